"""Handshake, TLS, proxies: websocket-client's door, on a short-lived thread.

One deadline covers the whole way in: DNS, TCP, proxy, TLS, upgrade. It holds against a peer that
drips, because every single call on the socket gets only the time that is left of it; so no second
thread has to watch. Another thread ends the attempt through its `Hangup`.

websocket-client writes the request and judges the accept key. What it is not trusted with is done
here: it resolves and connects without our deadline, reads heads and bodies of any length, sends
less than all of a long request, and keeps one cookie jar for the whole process.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import errno
import functools
import http.client
import io
import ipaddress
import os
import re
import selectors
import socket
import ssl
import string
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import SplitResult, quote, unquote, urlsplit

from msgspec import Struct
from python_socks import ProxyError, ProxyType
from python_socks.sync import Proxy
from websocket import WebSocket, WebSocketException

from actors.messages import Endpoint, Fatal, Reason, Retryable, Slow, Stopped

STAGGER: Final = 0.25  # seconds: RFC 8305, 5: the "Connection Attempt Delay"
MAX_HEAD: Final = 64 * 1024  # bytes of one HTTP answer's head
MAX_BODY: Final = 2 * 1024  # bytes of a refusal's body that are read at all
BODY_PATIENCE: Final = 1.0  # seconds that a refusal's body may take: the status is known already
MAX_QUOTED: Final = 200  # characters of a refusal's body that people see

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]  # as getaddrinfo gives it


class Dial(Struct, frozen=True, kw_only=True):
    """How to reach an endpoint. Its repr shows no secret.

    `connect_timeout` is in seconds, for DNS, TCP, proxy, TLS and upgrade together.
    `proxy` is "none", "env" (http_proxy, https_proxy, all_proxy and no_proxy, by urllib's rules),
    or a URL: http, socks4, socks5 (names are looked up here), socks4a, socks5h (looked up by the
    proxy). Loopback targets are never proxied.
    `ca_file` holds CAs (PEM) that are trusted in addition to the system's.
    `insecure` verifies no certificate.
    """

    connect_timeout: float = 10.0
    proxy: str = "none"
    ca_file: str | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        proxy = self.proxy.rpartition("@")[2]
        return f"Dial({self.connect_timeout:g} s, proxy={proxy!r}, ca_file={self.ca_file!r})"


class ConnectFailed(Exception):  # noqa: N818 - a report, told with its reason
    """There is no connection; `reason` says why, and whether trying again can help."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.text)


class Hangup:
    """A handle by which another thread ends a connection's socket, whatever it is doing."""

    def __init__(self) -> None:
        self.pulled = False
        self._held: socket.socket | None = None
        self._lock = threading.Lock()

    def hold(self, sock: socket.socket) -> None:
        """From now on this socket is the one that `pull` shuts. The caller still owns it.

        Raises:
            ConnectFailed: it was pulled already; the caller closes the socket.
        """
        with self._lock:
            if self.pulled:
                raise ConnectFailed(Stopped())
            self._held = sock

    def let_go(self, sock: socket.socket) -> None:
        """Call before closing a held socket: its descriptor may at once be somebody else's."""
        with self._lock:
            if self._held is sock:
                self._held = None

    def pull(self) -> None:
        """Shut the socket for good. Any thread, any number of times; never raises or waits."""
        with self._lock:
            self.pulled = True
            if self._held is not None:
                # SSLSocket.shutdown would unhook the TLS layer first, and a reader in another
                # thread would take ciphertext for data.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._held, socket.SHUT_RDWR)


def open_socket(endpoint: Endpoint, dial: Dial, hangup: Hangup) -> socket.socket:
    """An upgraded socket, plain or TLS, non-blocking, held by `hangup`: frames may be read.

    Blocks the calling thread for at most `dial.connect_timeout` seconds, or until `hangup` is
    pulled. A DNS look-up cannot be interrupted: one that never returns keeps a daemon thread.
    Under TLS bytes may be pending already: read until it would block before the first wait.

    Raises:
        ConnectFailed: with the reason; everything that was opened is closed again.
    """
    attempt = Attempt(dial, hangup)
    try:
        return attempt.run(endpoint)
    except (ConnectFailed, OSError) as error:
        attempt.close()
        # `from None`: what the libraries say may quote headers and answers.
        raise ConnectFailed(attempt.explain(error)) from None
    except BaseException:
        attempt.close()
        raise


# ── where to ────────────────────────────────────────────────────────────────────────────────────

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_UNSAFE_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_UNSAFE_URL = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_OURS = re.compile(r"sec-websocket-.*|upgrade|connection|content-length|transfer-encoding", re.I)


class Target(Struct, frozen=True):
    """One end of a TCP connection, as people and Host headers write it."""

    host: str  # ASCII, without brackets
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


class Request(Struct, frozen=True):
    """What the endpoint comes to, checked: nothing in it can break out of its header line."""

    target: Target
    secure: bool
    authority: str  # the Host header
    resource: str  # path and query
    headers: tuple[tuple[str, str], ...]
    subprotocols: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Request({self.target})"

    def secrets(self) -> Iterable[str]:
        """What a careless server might echo, and people should not see."""
        path, _, query = self.resource.partition("?")
        yield from (part for part in path.split("/") if len(part) >= 16)  # a listen key, say
        yield query
        yield from (part.partition("=")[2] for part in query.split("&"))
        for _, value in self.headers:
            yield value
            yield from value.split()


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def parse_endpoint(endpoint: Endpoint) -> Request:
    """Raises ConnectFailed with Fatal for what cannot be asked for, or must not be."""
    if _UNSAFE_URL.search(endpoint.url):
        raise ConnectFailed(Fatal("the URL contains a line break or another blank", "header", "Correct url."))
    check_headers(endpoint)
    try:
        return parse_url(endpoint)
    except ValueError as error:  # UnicodeError too, for host names
        raise ConnectFailed(
            Fatal("the URL of this line is not a ws:// or wss:// URL", "url", "Correct url.")
        ) from error


def check_headers(endpoint: Endpoint) -> None:
    names = [name for name, _ in endpoint.headers]
    for name in (*names, *endpoint.subprotocols):
        if not _TOKEN.fullmatch(name):
            refuse_header("a header or subprotocol has a name that HTTP does not allow")
    for name, value in endpoint.headers:
        if _UNSAFE_VALUE.search(value):
            refuse_header(f"the value of header {name} contains a control character")
        if _OURS.fullmatch(name):
            refuse_header(f"the header {name} belongs to the handshake itself")


def refuse_header(text: str) -> None:
    raise ConnectFailed(Fatal(text, "header", "Correct the headers of this line."))


def parse_url(endpoint: Endpoint) -> Request:
    url = urlsplit(endpoint.url)
    if url.scheme not in ("ws", "wss") or not url.hostname:
        raise ValueError("scheme or host")
    secure = url.scheme == "wss"
    usual = 443 if secure else 80
    target = Target(ascii_host(url.hostname), url.port or usual)
    named = {name.lower(): value for name, value in endpoint.headers}
    authority = bracketed(target.host) if target.port == usual else str(target)
    return Request(
        target=target,
        secure=secure,
        authority=named.get("host", authority),
        resource=resource_of(url),
        headers=with_login(url, tuple((n, v) for n, v in endpoint.headers if n.lower() != "host")),
        subprotocols=endpoint.subprotocols,
    )


def ascii_host(host: str) -> str:
    """Raises UnicodeError for a name that no DNS could hold."""
    return host if ":" in host else host.encode("idna").decode("ascii")


def resource_of(url: SplitResult) -> str:
    # websocket-client drops what urlparse takes for the "parameters" of a path, hence %3B.
    path = (url.path or "/").replace(";", "%3B")
    return quote(path + (f"?{url.query}" if url.query else ""), safe=string.punctuation)


def with_login(url: SplitResult, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Userinfo in a URL is a login by RFC 7617, unless the headers bring one themselves."""
    if url.username is None or any(name.lower() == "authorization" for name, _ in headers):
        return headers
    login = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return (*headers, ("Authorization", f"Basic {base64.b64encode(login).decode()}"))


# ── one attempt ─────────────────────────────────────────────────────────────────────────────────


class Attempt:
    """One way in: its deadline, how far it has come, with whom, and the socket it owns."""

    def __init__(self, dial: Dial, hangup: Hangup) -> None:
        self.dial = dial
        self.phase = "the DNS look-up"
        self.peer = ""  # whom it is dealing with, for people
        self._hangup = hangup
        self._until = time.monotonic() + dial.connect_timeout
        self._sock: socket.socket | None = None

    def run(self, endpoint: Endpoint) -> socket.socket:
        """Every step of the way, in order."""
        request = parse_endpoint(endpoint)
        self.peer = str(request.target)
        proxy = choose_proxy(self.dial.proxy, request)
        sock = reach(self, request.target, proxy)
        if request.secure:
            sock = wrap_tls(self, sock, request.target)
        upgrade(self, sock, request)
        sock.setblocking(False)
        if self._hangup.pulled:
            raise ConnectFailed(Stopped())
        return sock

    def remaining(self) -> float:
        """Seconds left. Raises TimeoutError when none is."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def hold(self, sock: socket.socket) -> None:
        """Own this socket instead of the last one, and let the hangup shut it."""
        self._sock = sock
        self._hangup.hold(sock)

    @contextlib.contextmanager
    def bell(self) -> Iterator[socket.socket]:
        """A socket that becomes readable when somebody hangs up: for waits on many sockets."""
        waiting, rung = socket.socketpair()
        with waiting, rung:
            try:
                self._hangup.hold(rung)
                yield waiting
            finally:
                self._hangup.let_go(rung)

    def select(
        self, selector: selectors.BaseSelector, bell: socket.socket, at_most: float | None = None
    ) -> list[Any]:
        """The sockets that have news within `at_most` seconds; none after those.

        Raises:
            TimeoutError: the deadline of the attempt is over.
            ConnectFailed: somebody hung up.
        """
        left = self.remaining()
        events = selector.select(left if at_most is None else min(left, at_most))
        ready = [key.fileobj for key, _ in events]
        if bell in ready:
            raise ConnectFailed(Stopped())
        return ready

    def close(self) -> None:
        if self._sock is not None:
            self._hangup.let_go(self._sock)
            self._sock.close()

    def explain(self, error: Exception) -> Reason:
        """What the supervisor is told of this error, in this phase."""
        if self._hangup.pulled:
            return Stopped()
        match error:
            case ConnectFailed(reason=reason):
                return reason
            case ssl.SSLError():
                return self._explain_tls(error)
            case socket.gaierror():
                return Retryable(f"{self.peer} could not be looked up ({error.strerror})", "dns")
            case TimeoutError(errno=None):
                over = f"was not over after {self.dial.connect_timeout:g} s"
                return Retryable(f"{self.peer}: {self.phase} {over}", "connect_timeout")
            case OSError():
                return self._explain_os(error)
        raise error

    def _explain_tls(self, error: ssl.SSLError) -> Reason:
        if not isinstance(error, ssl.SSLCertVerificationError):
            return Retryable(f"TLS with {self.peer} failed ({error.reason or 'cut off'})", "tls")
        if error.verify_code in WRONG_NAME:
            text = f"the certificate of {self.peer} is for another host"
            return Fatal(text, "hostname", "Check the host in url; it may be an impostor's.")
        return Slow(f"the certificate of {self.peer} is not trusted ({error.verify_message})", "certificate")

    def _explain_os(self, error: OSError) -> Reason:
        why = error.strerror or type(error).__name__
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return Retryable(f"no file descriptor is left to connect to {self.peer} ({why})", "descriptors")
        if isinstance(error, ConnectionRefusedError):
            return Retryable(f"{self.peer} refused the connection", "refused")
        if self.phase == TCP:
            return Retryable(f"{self.peer} cannot be reached ({why})", "unreachable")
        return Retryable(f"{self.peer} was lost during {self.phase} ({why})", "handshake")


TCP: Final = "the TCP connection"
# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH in OpenSSL's x509_vfy.h
WRONG_NAME: Final = (62, 64)


class Timed:
    """A connected socket as a library sees it: no call on it outlasts the attempt."""

    def __init__(self, attempt: Attempt, sock: socket.socket) -> None:
        self.attempt = attempt
        self._sock = sock

    def send(self, data: bytes) -> int:
        """All of it: websocket-client sends its request once and does not look at the count."""
        rest = memoryview(data)
        try:
            while rest:
                self._sock.settimeout(self.attempt.remaining())
                rest = rest[self._sock.send(rest) :]
        except OSError as error:
            raise ConnectFailed(self.attempt.explain(error)) from None
        return len(data)

    sendall = send

    def recv(self, size: int) -> bytes:
        return self.hear(size)

    def hear(self, size: int) -> bytes:
        """At least one byte. Raises ConnectFailed where there is none."""
        try:
            self._sock.settimeout(self.attempt.remaining())
            data = self._sock.recv(size)
        except OSError as error:
            raise ConnectFailed(self.attempt.explain(error)) from None
        if not data:
            text = f"{self.attempt.peer} closed the connection during {self.attempt.phase}"
            raise ConnectFailed(Retryable(text, "handshake"))
        return data

    def recv_head(self) -> bytes:
        """An HTTP head up to its blank line, and not a byte of what follows it."""
        head = bytearray()
        while not head.endswith((b"\r\n\r\n", b"\n\n")):
            if len(head) >= MAX_HEAD:
                text = f"{self.attempt.peer} answered with a head of more than {MAX_HEAD} bytes"
                raise ConnectFailed(Retryable(text, "handshake"))
            head += self.hear(1)
        return bytes(head)

    def gettimeout(self) -> float | None:
        return self._sock.gettimeout()

    def close(self) -> None:
        """The libraries' wish; the socket is the attempt's to close."""


# ── DNS and TCP ─────────────────────────────────────────────────────────────────────────────────


def reach(attempt: Attempt, target: Target, proxy: ProxyServer | None) -> socket.socket:
    """A TCP connection to the target, through the proxy if there is one."""
    with attempt.bell() as bell:
        if proxy is None:
            return connect(attempt, target, str(target), bell)
        ask_for = target.host
        if proxy.local_dns:
            attempt.peer = target.host
            ask_for = choose_address(look_up(attempt, target, bell), proxy)
        sock = connect(attempt, proxy.target, str(proxy), bell)
    ask_proxy(attempt, sock, proxy, Target(ask_for, target.port))
    attempt.peer = f"{target} (through {proxy})"
    return sock


def connect(attempt: Attempt, target: Target, called: str, bell: socket.socket) -> socket.socket:
    attempt.phase, attempt.peer = "the DNS look-up", target.host
    addresses = look_up(attempt, target, bell)
    attempt.phase, attempt.peer = TCP, called
    sock = Race(attempt, addresses).run(bell)
    attempt.hold(sock)
    return sock


def look_up(attempt: Attempt, target: Target, bell: socket.socket) -> Sequence[Address]:
    """getaddrinfo, which nothing can interrupt, on a thread whose answer is waited for."""
    answer: list[Sequence[Address] | OSError] = []

    def ask(asking: socket.socket) -> None:
        with asking:  # closing it says that the answer is there
            try:
                answer.append(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
            except OSError as error:
                answer.append(error)

    with selectors.DefaultSelector() as selector:
        waiting, asking = socket.socketpair()
        with waiting:
            start_daemon(ask, asking, f"dns/{target.host}")
            selector.register(bell, selectors.EVENT_READ)
            selector.register(waiting, selectors.EVENT_READ)
            while waiting not in attempt.select(selector, bell):
                pass
    found = answer[0] if answer else []
    if isinstance(found, OSError):
        raise found
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    return found


def start_daemon(work: Callable[[socket.socket], None], owned: socket.socket, name: str) -> None:
    """Run `work(owned)` on a thread that owns this socket from now on. Raises OSError."""
    try:
        threading.Thread(target=work, args=(owned,), name=name, daemon=True).start()
    except RuntimeError:
        owned.close()
        raise OSError(errno.EAGAIN, "no thread can be started") from None


class Race:
    """All addresses of a host, started one after another; the first that answers wins.

    RFC 8305: a dead address (IPv6, mostly) that swallows the SYNs costs 250 ms, not the deadline.
    """

    def __init__(self, attempt: Attempt, addresses: Sequence[Address]) -> None:
        self._attempt = attempt
        self._waiting = deque(by_turns(addresses))
        self._running: set[socket.socket] = set()
        self._lost: list[OSError] = []
        self._next_at = 0.0  # monotonic seconds

    def run(self, bell: socket.socket) -> socket.socket:
        """The winner; the others are closed. Raises the OSError that says most when all lost."""
        winner: socket.socket | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(bell, selectors.EVENT_READ)
            try:
                while winner is None and (self._waiting or self._running):
                    self._start_due(selector)
                    ready = self._attempt.select(selector, bell, self._until_next())
                    winner = next((sock for sock in ready if self._has_won(sock, selector)), None)
            finally:
                for sock in self._running - {winner}:
                    sock.close()
        if winner is None:
            raise min(self._lost, key=telling)
        return winner

    def _until_next(self) -> float | None:
        """Seconds to wait for those that run; None: there is nobody left to start."""
        if not self._running:
            return 0.0
        return max(0.0, self._next_at - time.monotonic()) if self._waiting else None

    def _start_due(self, selector: selectors.BaseSelector) -> None:
        if self._waiting and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + STAGGER
            self._start(self._waiting.popleft(), selector)

    def _start(self, address: Address, selector: selectors.BaseSelector) -> None:
        family, kind, protocol, _, where = address
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            self._lose(error)
            return
        self._running.add(sock)
        try:
            start_connecting(sock, where)
            selector.register(sock, selectors.EVENT_WRITE)
        except OSError as error:
            self._lose(error, sock)

    def _has_won(self, sock: socket.socket, selector: selectors.BaseSelector) -> bool:
        selector.unregister(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and not talks_to_itself(sock):
            return True
        code = code or errno.ECONNREFUSED
        self._lose(OSError(code, os.strerror(code)), sock)
        return False

    def _lose(self, error: OSError, sock: socket.socket | None = None) -> None:
        self._lost.append(error)
        self._next_at = 0.0  # a certain no: the next address need not wait
        if sock is not None:
            self._running.discard(sock)
            sock.close()


def by_turns(addresses: Sequence[Address]) -> list[Address]:
    """The resolver's order with the families alternating (RFC 8305, 4), each address once."""
    unique = list(dict.fromkeys(addresses))
    first = deque(a for a in unique if a[0] == unique[0][0])
    other = deque(a for a in unique if a[0] != unique[0][0])
    turns: list[Address] = []
    while first or other:
        turns += [family.popleft() for family in (first, other) if family]
    return turns


def telling(error: OSError) -> int:
    """Lower says more: our own want of descriptors, then a host that is there and refuses."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return 0
    return 1 if isinstance(error, ConnectionRefusedError) else 2


def start_connecting(sock: socket.socket, where: Any) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # The names that this platform has; macOS calls the idle time TCP_KEEPALIVE. Seconds; a count.
    for name, value in (("KEEPIDLE", 30), ("KEEPALIVE", 30), ("KEEPINTVL", 10), ("KEEPCNT", 3)):
        if (option := getattr(socket, f"TCP_{name}", None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    with contextlib.suppress(BlockingIOError):
        sock.connect(where)


def talks_to_itself(sock: socket.socket) -> bool:
    """TCP lets a client meet itself on a loopback port nobody listens on (simultaneous open)."""
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:  # gone again already: the next phase will say so
        return False


# ── proxies ─────────────────────────────────────────────────────────────────────────────────────

_SCHEMES: Final = {
    "http": (ProxyType.HTTP, 80),
    "socks4": (ProxyType.SOCKS4, 1080),
    "socks4a": (ProxyType.SOCKS4, 1080),
    "socks5": (ProxyType.SOCKS5, 1080),
    "socks5h": (ProxyType.SOCKS5, 1080),
}
_PROXY_ADVICE: Final = "Check proxy: none, env, or a http://, socks4(a):// or socks5(h):// URL."
_LOGIN_ADVICE: Final = "Check user and password in the proxy's URL, then restart the line."


class ProxyServer(Struct, frozen=True):
    """A proxy and how to speak to it. Its texts show no login."""

    scheme: str
    target: Target
    username: str | None
    password: str | None

    @property
    def kind(self) -> ProxyType:
        return _SCHEMES[self.scheme][0]

    @property
    def local_dns(self) -> bool:
        return self.scheme in ("socks4", "socks5")

    def __str__(self) -> str:
        return f"the proxy {self.target}"

    __repr__ = __str__


def choose_proxy(proxy: str, request: Request) -> ProxyServer | None:
    """Raises ConnectFailed with Fatal for a proxy that is none."""
    if is_loopback(request.target.host) or proxy == "none":
        return None
    url = proxy_in_environment(request) if proxy == "env" else proxy
    if not url:
        return None
    try:
        return parse_proxy(url)
    except ValueError as error:
        raise ConnectFailed(Fatal("the proxy's URL cannot be used", "proxy", _PROXY_ADVICE)) from error


def is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.rstrip(".").endswith(".localhost") or host.rstrip(".") == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def proxy_in_environment(request: Request) -> str | None:
    known = urllib.request.getproxies_environment()
    url = known.get("https" if request.secure else "http") or known.get("all")
    # With a proxy in the environment, urllib asks the environment's no_proxy on every platform.
    if not url or urllib.request.proxy_bypass(str(request.target)):
        return None
    return url


def parse_proxy(text: str) -> ProxyServer:
    """Raises ValueError."""
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme not in _SCHEMES or not url.hostname or _UNSAFE_URL.search(text):
        raise ValueError("scheme or host")
    return ProxyServer(
        scheme=url.scheme,
        target=Target(ascii_host(url.hostname), url.port or _SCHEMES[url.scheme][1]),
        username=None if url.username is None else unquote(url.username),
        password=None if url.username is None else unquote(url.password or ""),
    )


def choose_address(addresses: Sequence[Address], proxy: ProxyServer) -> str:
    """The address to ask the proxy for; an IPv4 one if there is one, for SOCKS4 knows no other."""
    ordered = sorted(addresses, key=lambda address: address[0] != socket.AF_INET)
    if proxy.scheme == "socks4" and ordered[0][0] != socket.AF_INET:
        raise ConnectFailed(Retryable(f"{proxy} speaks SOCKS4, which needs an IPv4 address", "proxy"))
    return str(ordered[0][4][0])


class ProxyTalk(Timed):
    """The socket as python-socks sees it; `heard` is all that the proxy said."""

    def __init__(self, attempt: Attempt, sock: socket.socket, kind: ProxyType) -> None:
        super().__init__(attempt, sock)
        self.heard = bytearray()
        self._kind = kind

    def recv(self, size: int) -> bytes:
        # python-socks takes one read for the whole answer to CONNECT; TCP promises no such thing.
        whole = self._kind is ProxyType.HTTP and size > 1
        data = self.recv_head() if whole else self.hear(size)
        self.heard += data
        return data


class Reached(Proxy):
    """python-socks' way to a proxy behind another one: here, the socket that is open already."""

    def __init__(self, talk: ProxyTalk) -> None:
        self._talk = talk

    def connect(self, *args: Any, **kwargs: Any) -> socket.socket:
        return cast(socket.socket, self._talk)


def ask_proxy(attempt: Attempt, sock: socket.socket, proxy: ProxyServer, target: Target) -> None:
    """Have the proxy connect to the target. Raises ConnectFailed."""
    attempt.phase = "the proxy's answer"
    talk = ProxyTalk(attempt, sock, proxy.kind)
    door = Proxy(
        proxy.kind,
        proxy.target.host,
        proxy.target.port,
        username=proxy.username,
        password=proxy.password,
        rdns=True,  # what is to be looked up here has been
        forward=Reached(talk),
    )
    try:
        door.connect(target.host, target.port, timeout=attempt.remaining())
    except ProxyError as error:
        raise ConnectFailed(explain_proxy(proxy, talk.heard, error.error_code)) from None
    except (ValueError, AssertionError):  # a login or a name that its protocol cannot express
        text = f"{proxy} cannot be asked: its protocol has no way to write this login or host"
        raise ConnectFailed(Fatal(text, "proxy", _PROXY_ADVICE)) from None


def explain_proxy(proxy: ProxyServer, heard: bytearray, code: int | None) -> Reason:
    """Why it said no. Its own words are not repeated."""
    if code == 407 or wants_login(proxy.kind, heard):
        return Fatal(f"{proxy} refused our login", f"proxy_{code or 'login'}", _LOGIN_ADVICE)
    text = f"{proxy} did not connect us ({'no valid answer' if code is None else code})"
    name = "proxy" if code is None else f"proxy_{code}"
    if code in FORBIDDEN[proxy.kind]:
        return Fatal(text, name, "Ask whoever runs the proxy to allow this target.")
    return Retryable(text, name)


# Codes that do not pass by themselves. RFC 1928, 6: not allowed by ruleset, command or address
# type not supported. SOCKS4: 93 identd disagrees with our user.
FORBIDDEN: Final[dict[ProxyType, Sequence[int]]] = {
    ProxyType.HTTP: [code for code in range(400, 500) if code not in (408, 425, 429)],
    ProxyType.SOCKS5: [2, 7, 8],
    ProxyType.SOCKS4: [93],
}


def wants_login(kind: ProxyType, heard: bytearray) -> bool:
    """python-socks has no code for it: RFC 1928, 3 (no acceptable method); RFC 1929, 2 (status)."""
    if kind is not ProxyType.SOCKS5 or len(heard) < 2:
        return False
    return heard[1] == 0xFF or (heard[1] == 2 and len(heard) == 4 and heard[3] != 0)


# ── TLS ─────────────────────────────────────────────────────────────────────────────────────────


def wrap_tls(attempt: Attempt, sock: socket.socket, target: Target) -> ssl.SSLSocket:
    attempt.phase = "the TLS handshake"
    context = trust(attempt.dial)
    sock.settimeout(attempt.remaining())
    wrapped = context.wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)
    attempt.hold(wrapped)
    wrapped.settimeout(attempt.remaining())  # do_handshake counts it for all of its reads together
    wrapped.do_handshake()
    return wrapped


def trust(dial: Dial) -> ssl.SSLContext:
    """Raises ConnectFailed with Fatal for a CA file that cannot be read."""
    if dial.insecure or dial.ca_file is None:
        return make_context(None, 0, dial.insecure)
    try:
        return make_context(dial.ca_file, Path(dial.ca_file).stat().st_mtime_ns, False)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not PEM"
        text = f"the CA file {dial.ca_file} cannot be used ({why})"
        raise ConnectFailed(Fatal(text, "ca_file", "Check ca_file, then restart the line.")) from None


@functools.lru_cache(maxsize=8)
def make_context(ca_file: str | None, changed_ns: int, insecure: bool) -> ssl.SSLContext:  # noqa: ARG001
    """Loading the system's CAs takes 30 ms with the GIL held: not at every reconnection.

    `changed_ns` is when the file was last written: a renewed CA must be noticed.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


# ── the upgrade ─────────────────────────────────────────────────────────────────────────────────

# The headers of the answer that websocket-client judges; it is told no others.
_JUDGED: Final = ("Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol")


def upgrade(attempt: Attempt, sock: socket.socket, request: Request) -> None:
    """The HTTP exchange. Raises ConnectFailed."""
    attempt.phase = "the WebSocket upgrade"
    try:
        WebSocket(enable_multithread=False).connect(  # type: ignore[no-untyped-call]
            # Not the real host: its jar could hold cookies of that one, from another user of the
            # library in this process. The socket is connected, and Host is given below.
            f"ws://linewarden{request.resource}",
            socket=UpgradeTalk(attempt, sock, request),
            host=request.authority,
            header=[f"{name}: {value}" for name, value in request.headers],
            subprotocols=list(request.subprotocols),
            suppress_origin=True,
            redirect_limit=0,
        )
    except WebSocketException:
        text = f"{attempt.peer} answered the upgrade with headers that are no WebSocket's"
        raise ConnectFailed(Retryable(text, "handshake")) from None


class UpgradeTalk(Timed):
    """The socket as websocket-client sees it; it hears only of an answer that may be accepted."""

    def __init__(self, attempt: Attempt, sock: socket.socket, request: Request) -> None:
        super().__init__(attempt, sock)
        self._request = request
        self._accepted: io.BytesIO | None = None

    def recv(self, size: int) -> bytes:
        if self._accepted is None:
            self._accepted = io.BytesIO(self._hear())
        return self._accepted.read(size)

    def _hear(self) -> bytes:
        answer = parse_answer(self.attempt.peer, self.recv_head())
        if answer.status != 101:
            body = self._hear_body(answer)
            raise ConnectFailed(
                judge_status(self.attempt.peer, answer, quotable(body, answer, self._request))
            )
        check_offer(self.attempt.peer, answer, self._request)
        return judged_head(answer)

    def _hear_body(self, answer: Answer) -> bytes:
        """What there is of it, within bounds: it is only for people to read."""
        wanted = min(answer.length, MAX_BODY)
        until = time.monotonic() + BODY_PATIENCE
        body = bytearray()
        with contextlib.suppress(OSError):
            while len(body) < wanted and (left := until - time.monotonic()) > 0:
                self._sock.settimeout(min(left, self.attempt.remaining()))
                if not (data := self._sock.recv(wanted - len(body))):
                    break
                body += data
        return bytes(body)


# ── the answer ──────────────────────────────────────────────────────────────────────────────────

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?\r?\n")
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_PASSING: Final = (408, 425)  # the 4xx that say nothing about us: a slow request, early data


class Answer(Struct, frozen=True):
    """An HTTP answer's head."""

    status: int
    headers: http.client.HTTPMessage

    @property
    def length(self) -> int:
        """Bytes of its body; 0 where it does not say, for its end might never come."""
        length = self.headers.get("Content-Length", "").strip()
        return int(length) if length.isdecimal() and len(length) < 20 else 0

    @property
    def phrase(self) -> str:
        """The status in words: HTTP's own, not the server's."""
        return f"{self.status} {http.client.responses.get(self.status, '')}".strip()


def parse_answer(peer: str, head: bytes) -> Answer:
    """Raises ConnectFailed for what is not HTTP."""
    line = _STATUS_LINE.match(head)
    try:
        if line is None:
            raise http.client.BadStatusLine("")
        return Answer(int(line[1]), http.client.parse_headers(io.BytesIO(head[line.end() :])))
    except http.client.HTTPException:
        raise ConnectFailed(Retryable(f"{peer} did not answer in HTTP/1.1", "handshake")) from None


def check_offer(peer: str, answer: Answer, request: Request) -> None:
    """Raises ConnectFailed for an upgrade to something that was not asked for.

    An offer of subprotocols to which the server chooses none is refused as well, as browsers do
    (WHATWG WebSockets, 2.2), although RFC 6455 allows it: what the bytes mean would be unknown.
    """
    extensions = (answer.headers.get("Sec-WebSocket-Extensions") or "").strip()
    chosen = [value.strip() for value in answer.headers.get_all("Sec-WebSocket-Protocol") or []]
    expected = [[name] for name in request.subprotocols] or [[]]
    if extensions:
        text = f"{peer} switched on a WebSocket extension that was not offered"
    elif chosen not in expected:
        text = f"{peer} chose {'another' if chosen else 'no'} subprotocol than was offered"
    else:
        return
    raise ConnectFailed(Fatal(text, "offer", "Check url and the venue's documentation."))


def judged_head(answer: Answer) -> bytes:
    """The head without what websocket-client would keep: no cookie reaches its process-wide jar."""
    lines = [f"HTTP/1.1 {answer.status} Switching Protocols"]
    for name in _JUDGED:
        # Joined, for it knows only the last of several; split, for one may be folded.
        if values := answer.headers.get_all(name):
            lines.append(f"{name}: {' '.join(', '.join(values).split())}")
    return "\r\n".join((*lines, "", "")).encode()


def judge_status(peer: str, answer: Answer, quoted: str) -> Reason:
    """What a status other than 101 means for the next attempt."""
    text, code = f"{peer} answered {answer.phrase}{quoted}", f"http_{answer.status}"
    retry_after = parse_retry_after(answer.headers.get("Retry-After"))
    match answer.status // 100:
        case 3:
            elsewhere = f"{text} and points to {location(answer)}"
            return Fatal(elsewhere, code, "If you trust that address, put it into url.")
        case 4 if answer.status == 429:
            return Slow(text, code, retry_after)
        case 4 if answer.status not in _PASSING:
            return Fatal(text, code, ADVICE.get(answer.status, "Check url and the venue's documentation."))
        case 5 if retry_after is not None:
            return Slow(text, code, retry_after)
    return Retryable(text, code)


ADVICE: Final = {
    401: "Check the credentials of this line, then restart it.",
    403: "Check the credentials of this line and what its account may do, then restart it.",
    404: "Check the path in url, then restart the line.",
    407: "Check the proxy, then restart the line.",
}


def location(answer: Answer) -> str:
    """The host that a redirect names; its path and query may hold what is nobody's business."""
    try:
        host = urlsplit(answer.headers.get("Location", "")).hostname or ""
    except ValueError:
        return "an address that is none"
    return "".join(filter(str.isprintable, host))[:MAX_QUOTED] or "another path of the same host"


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from now. RFC 9110, 10.2.3: a number of them, or a date; None for anything else."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return float(value)
    try:
        moment: float = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return max(0.0, moment - time.time())


def quotable(body: bytes, answer: Answer, request: Request) -> str:
    """As much of a refusal's body as people can use: no page, nothing that we sent."""
    kind = answer.headers.get_content_type()
    if kind == "text/html" or not (kind.startswith("text/") or kind.endswith("json")):
        return ""
    text = body.decode("utf-8", "replace")
    for secret in sorted({s for s in request.secrets() if len(s) >= 4}, key=len, reverse=True):
        text = text.replace(secret, "…").replace(unquote(secret), "…")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f" ({text[:MAX_QUOTED]})" if text else ""
