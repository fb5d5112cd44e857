"""The whole way in: from a URL to an upgraded socket, on the caller's short-lived thread.

    request.py   what to ask for, checked
    proxies.py   which proxy, and the way through it
    tcp.py       DNS (lookups.py), and the first address that answers
    tls.py       whom to trust
    upgrade.py   the HTTP exchange, by websocket-client, and what a refusal means
    attempt.py   what they share: the deadline, the socket and its connect_cancel, the failure in words

One deadline covers all of it. It holds against a peer that drips, because every single call on
the socket gets only the time that is left; so no second thread has to watch. Another thread ends
the attempt through its `ConnectCancel`.
"""

from __future__ import annotations

import socket

from msgspec import Struct

from actors.http_types import Endpoint
from actors.reasons import Reason
from actors.secret import RedactedStruct, Shown, origin
from actors.wire import tcp, tls
from actors.wire.attempt import Attempt, ConnectCancel, ConnectFailed
from actors.wire.deflate import OFFERS, Compression
from actors.wire.lookups import Lookups
from actors.wire.request import RequestHead, parse_endpoint

__all__ = ["ConnectCancel", "ConnectFailed", "Dial", "open_socket", "reach"]


class Dial(RedactedStruct, frozen=True, kw_only=True):
    """How to reach an endpoint. Its repr shows no secret.

    `connect_timeout` is in seconds, for DNS, TCP, proxy, TLS and upgrade together.
    `proxy` is "none", "env" (http_proxy, https_proxy, all_proxy and no_proxy, by urllib's rules),
    or a URL: http, socks4, socks5 (names are looked up here), socks4a, socks5h (looked up by the
    proxy). Loopback targets are never proxied.
    `ca_file` holds CAs (PEM) that are trusted in addition to the system's.
    `verify_tls=False` verifies no certificate.
    `compression` is offered to a WebSocket's server: "none" or "deflate".
    `lookups` starts the DNS look-ups, and keeps those that have not returned.
    """

    connect_timeout: float = 10.0
    proxy: str = "none"
    ca_file: str | None = None
    verify_tls: bool = True
    compression: Compression = "none"
    lookups: Lookups = Lookups()

    def shown(self) -> Shown:
        yield "connect_timeout", self.connect_timeout
        yield "proxy", self.proxy if self.proxy in ("none", "env") else origin(self.proxy)
        yield "ca_file", self.ca_file
        yield "verify_tls", self.verify_tls
        yield "compression", self.compression


def open_socket(endpoint: Endpoint, dial: Dial, connect_cancel: ConnectCancel) -> SocketOpened:
    """An upgraded socket, plain or TLS, non-blocking, held by `connect_cancel`: frames may be read.

    Blocks the calling thread for at most `dial.connect_timeout` seconds, or until `connect_cancel` is
    cancelled. A DNS look-up cannot be interrupted: one that never returns keeps a daemon thread.
    Under TLS bytes may be pending already: read until it would block before the first wait.

    Raises:
        ConnectFailed: with the reason; everything that was opened is closed again.
    """
    from actors.wire.upgrade import upgrade  # with websocket-client, which takes long to load

    with Attempt(dial.connect_timeout, connect_cancel, dial.lookups) as attempt:
        request = parse_endpoint(endpoint)
        sock = reach(attempt, request, dial)
        compressed = upgrade(attempt, sock, request, OFFERS[dial.compression])
        sock.setblocking(False)
        return SocketOpened(sock, compressed)


def reach(attempt: Attempt, request: RequestHead, dial: Dial) -> socket.socket:
    """A connection to the request's target, on the feed's terms of proxy and TLS; the attempt owns it.

    Raises:
        ConnectFailed, OSError: the attempt makes one of them.
    """
    target = request.target
    attempt.peer = str(target)
    # Mistakes in the settings are reported before anything is connected.
    proxy = None
    if dial.proxy != "none":
        from actors.wire.proxies import choose_proxy  # with python-socks, where a proxy may be needed

        proxy = choose_proxy(dial.proxy, request)
    context = tls.trust(dial.ca_file, dial.verify_tls) if request.secure else None

    sock = proxy.tunnel(attempt, target) if proxy else tcp.connect(attempt, target, str(target))
    return sock if context is None else tls.wrap(attempt, sock, target.host, context)


class SocketOpened(Struct, frozen=True):
    """From the opener's thread: the upgraded socket, ready to be read."""

    socket: socket.socket
    compressed: bool = False  # the venue may send compressed messages: it took our offer


class SocketRefused(Struct, frozen=True):
    """From the opener's thread: there is no connection, and why."""

    reason: Reason
