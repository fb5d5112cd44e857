"""Which proxy, and the way through it; python-socks talks to it."""

from __future__ import annotations

import contextlib
import socket
import urllib.request
from collections.abc import Container
from ipaddress import ip_address, ip_network
from typing import Final, cast
from urllib.parse import unquote, urlsplit

from python_socks import ProxyError, ProxyType
from python_socks.sync import Proxy

from actors.http_types import HostPort, is_loopback
from actors.reasons import Fatal, Reason, Retryable, Slow, Weather
from actors.secret import RedactedStruct, Shown
from actors.wire.attempt import Attempt, ConnectFailed, Talk
from actors.wire.request import UNSAFE_URL, RequestHead, ascii_host
from actors.wire.tcp import connect, look_up

SCHEMES: Final = {
    "http": (ProxyType.HTTP, 80),
    "socks4": (ProxyType.SOCKS4, 1080),
    "socks4a": (ProxyType.SOCKS4, 1080),
    "socks5": (ProxyType.SOCKS5, 1080),
    "socks5h": (ProxyType.SOCKS5, 1080),
}
# Codes that do not pass by themselves. RFC 1928, 6: not allowed by ruleset, command or address
# type not supported. SOCKS4: 93 identd disagrees with our user.
FORBIDDEN: Final[dict[ProxyType, Container[int]]] = {
    ProxyType.HTTP: set(range(400, 500)) - {408, 425, 429},
    ProxyType.SOCKS5: {2, 7, 8},
    ProxyType.SOCKS4: {93},
}
_URL_ADVICE: Final = "Check proxy: none, env, or a http://, socks4(a):// or socks5(h):// URL."
_LOGIN_ADVICE: Final = "Check user and password in the proxy's URL."


class ProxyServer(RedactedStruct, frozen=True):
    """A proxy and its protocol. Its texts show no login."""

    scheme: str
    target: HostPort
    username: str | None
    password: str | None

    @property
    def kind(self) -> ProxyType:
        return SCHEMES[self.scheme][0]

    def tunnel(self, attempt: Attempt, target: HostPort) -> socket.socket:
        """A connection to the target through this proxy; the attempt owns it. Raises ConnectFailed."""
        asked = target
        if self.scheme in ("socks4", "socks5"):  # the schemes whose names are looked up here
            asked = choose_address(attempt, self, target)
        sock = connect(attempt, self.target, str(self))
        ask_proxy(attempt, sock, self, asked)
        attempt.peer = f"{target} (through {self})"
        return sock

    def __str__(self) -> str:
        return f"the proxy {self.target}"

    def shown(self) -> Shown:
        yield "scheme", self.scheme
        yield "target", str(self.target)


# ── which ───────────────────────────────────────────────────────────────────────────────────────


def choose_proxy(proxy: str, request: RequestHead) -> ProxyServer | None:
    """Raises ConnectFailed with Fatal for a proxy that is none."""
    if is_loopback(request.target.host):
        return None
    url = proxy_in_environment(request) if proxy == "env" else proxy
    if not url:
        return None
    try:
        return parse_proxy(url)
    except ValueError:
        raise ConnectFailed(Fatal("the proxy's URL cannot be used", "proxy", _URL_ADVICE)) from None


def proxy_in_environment(request: RequestHead) -> str | None:
    known = urllib.request.getproxies_environment()
    url = known.get("https" if request.secure else "http") or known.get("all")
    if not url or in_networks(request.target.host, known.get("no", "")):
        return None
    # With a proxy in the environment, urllib asks the environment's no_proxy on every platform.
    return None if urllib.request.proxy_bypass(str(request.target)) else url


def in_networks(host: str, no_proxy: str) -> bool:
    """Whether an address is one of those, or in one of the networks (10.0.0.0/8), that `no_proxy` lists."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    for entry in no_proxy.split(","):
        with contextlib.suppress(ValueError):
            if address in ip_network(entry.strip().strip("[]"), strict=False):
                return True
    return False


def parse_proxy(text: str) -> ProxyServer:
    """Raises ValueError."""
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme == "socks":  # as GNOME writes it into the environment
        url = url._replace(scheme="socks5h")
    if url.scheme not in SCHEMES or not url.hostname or UNSAFE_URL.search(text):
        raise ValueError("scheme or host")
    return ProxyServer(
        scheme=url.scheme,
        target=HostPort(ascii_host(url.hostname), url.port or SCHEMES[url.scheme][1]),
        username=None if url.username is None else unquote(url.username),
        password=None if url.username is None else unquote(url.password or ""),
    )


# ── through it ──────────────────────────────────────────────────────────────────────────────────


def choose_address(attempt: Attempt, proxy: ProxyServer, target: HostPort) -> HostPort:
    """The address to ask the proxy for; an IPv4 one if there is one, because SOCKS4 has no other."""
    family, _, _, _, where = min(look_up(attempt, target), key=lambda address: address[0] != socket.AF_INET)
    if proxy.scheme == "socks4" and family != socket.AF_INET:
        raise ConnectFailed(Retryable(f"{proxy} speaks SOCKS4, which needs an IPv4 address", "proxy"))
    return HostPort(where[0], target.port)


def ask_proxy(attempt: Attempt, sock: socket.socket, proxy: ProxyServer, target: HostPort) -> None:
    """Have the proxy connect to the target. Raises ConnectFailed."""
    attempt.phase = "the proxy's answer"
    talk = ProxyTalk(attempt, sock, proxy.kind)
    client = Proxy(
        proxy.kind,
        proxy.target.host,
        proxy.target.port,
        username=_as_utf8(proxy.username, proxy.kind),
        password=_as_utf8(proxy.password, proxy.kind),
        rdns=True,  # what is to be looked up here has been
        forward=cast(Proxy, talk),  # asked for a socket to the proxy, it gives itself
    )
    try:
        client.connect(target.host, target.port)
    except ProxyError as error:
        raise ConnectFailed(judge_refusal(proxy, talk.received, error.error_code)) from None
    except (ValueError, AssertionError):  # a login or a name that its protocol cannot express
        text = f"{proxy} cannot be asked: its protocol has no way to write this login or host"
        raise ConnectFailed(Fatal(text, "proxy", _URL_ADVICE)) from None


class Utf8(str):
    """A text that python-socks writes as UTF-8, where it means to write ASCII."""

    def __len__(self) -> int:
        return len(self.encode())

    def encode(self, *_: object, **__: object) -> bytes:
        return str.encode(self, "utf-8")


def _as_utf8(word: str | None, kind: ProxyType) -> str | None:
    """RFC 7617 leaves the encoding of a login open, RFC 1929 has bytes: proxies expect UTF-8."""
    if word is None or word.isascii():
        return word
    # For HTTP, python-socks joins user and password, and writes them as Latin-1.
    return word.encode().decode("latin-1") if kind is ProxyType.HTTP else Utf8(word)


class ProxyTalk(Talk):
    """The socket as python-socks sees it; `received` is all that the proxy sent."""

    def __init__(self, attempt: Attempt, sock: socket.socket, kind: ProxyType) -> None:
        super().__init__(attempt, sock)
        self.received = bytearray()
        self._kind = kind

    def connect(self, *_: object, **__: object) -> ProxyTalk:
        return self

    def recv(self, size: int) -> bytes:
        # python-socks takes one read for the whole answer to CONNECT; TCP promises no such thing.
        data = self.read_head() if self._kind is ProxyType.HTTP else self.read(size)
        self.received += data
        return data


def judge_refusal(proxy: ProxyServer, received: bytearray, code: int | None) -> Reason:
    """Why it refused. Its own words are not repeated."""
    if (pause := asks_for_pause(proxy, received, code)) is not None:
        return pause
    if code == 407 or wants_login(proxy.kind, received):
        return Fatal(f"{proxy} refused our login", f"proxy_{code or 'login'}", _LOGIN_ADVICE)
    if code is None:
        return Retryable(f"{proxy} did not connect us (no valid answer)", "proxy")
    text, name = f"{proxy} did not connect us ({code})", f"proxy_{code}"
    if code in FORBIDDEN[proxy.kind]:
        return Weather(text, name, "Ask the operator of the proxy to allow this target.")
    return Retryable(text, name)


def asks_for_pause(proxy: ProxyServer, received: bytearray, code: int | None) -> Reason | None:
    """An HTTP proxy may say when to come back; None: it does not."""
    if proxy.kind is not ProxyType.HTTP or code is None:
        return None
    from actors.wire.upgrade import parse_answer, retry_after  # which loads websocket-client

    try:
        pause = retry_after(parse_answer(str(proxy), bytes(received)).headers)
    except ConnectFailed:
        return None
    text = f"{proxy} did not connect us ({code})"
    return None if pause is None and code != 429 else Slow(text, f"proxy_{code}", pause, shared=True)


def wants_login(kind: ProxyType, received: bytearray) -> bool:
    """python-socks has no code for it: RFC 1928, 3 (no acceptable method); RFC 1929, 2 (status)."""
    if kind is not ProxyType.SOCKS5 or len(received) < 2:
        return False
    return received[1] == 0xFF or (received[1] == 2 and len(received) == 4 and received[3] != 0)
