"""Who may ask: what a request's Host, Origin and token must be. Pure.

A page in a browser on this machine can reach loopback, too. Two headers that it cannot forge give
it away: `Origin`, and `Host` where a name of its own was made to point here (DNS rebinding).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from websockets.datastructures import Headers

from actors.secret import Secret
from actors.service.responses import RequestRefused

_PORTS = {"http": 80, "https": 443}


class Guard:
    """`host` and `port` are where the service listens."""

    def __init__(self, host: str, port: int, *, loopback: bool, token: Secret | None) -> None:
        bracketed = f"[{host}]" if ":" in host else host
        self._own = {f"{name}:{port}" for name in (bracketed.lower(), "localhost", "127.0.0.1", "[::1]")}
        self._loopback = loopback
        self._token = token

    def admit(self, headers: Headers) -> None:
        """Raises: RequestRefused: a page of another origin asks, or the `Host` header is not this one."""
        hosts = headers.get_all("Host")
        host = hosts[0] if len(hosts) == 1 else ""
        if len(hosts) > 1 or (self._loopback and _place(host) not in self._own):
            raise RequestRefused(403, "the Host header is not the address of this service")
        for origin in headers.get_all("Origin"):
            scheme, _, rest = origin.partition("://")
            place = _place(rest, scheme.lower())
            own = self._own if self._loopback else {_place(host, scheme.lower())}
            if not place or place not in own:
                raise RequestRefused(403, "a page of another origin may not ask this service")

    def recognise(self, headers: Headers) -> None:
        """Raises: RequestRefused: there is a token, and the request does not bear it."""
        if not self.knows(headers):
            raise RequestRefused(
                401,
                "this service wants its token: Authorization: Bearer ...",
                ("WWW-Authenticate", 'Bearer realm="linewarden"'),
            )

    def knows(self, headers: Headers) -> bool:
        """Whether there is no token, or the request bears it. Compared in constant time."""
        if self._token is None:
            return True
        given = headers.get_all("Authorization")
        scheme, _, value = (given[0] if len(given) == 1 else "").partition(" ")
        return scheme.lower() == "bearer" and Secret(value.strip()) == self._token


def _place(netloc: str, scheme: str = "http") -> str:
    """`host:port` in lower case, the port always said; empty: it is none."""
    try:
        parts = urlsplit(f"//{netloc}")
        port = parts.port or _PORTS[scheme]
    except (ValueError, KeyError):
        return ""
    host = parts.hostname or ""
    if not host or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
