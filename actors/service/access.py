"""Decides which requests are admitted, by their Host, Origin and token. Without I/O.

A page in a browser on this machine can reach loopback, too. Two headers that it cannot forge identify it:
`Origin`, and `Host` where a name of its own resolves to this address (DNS rebinding).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from websockets.datastructures import Headers

from actors.http_types import HostPort
from actors.secret import Secret
from actors.service.responses import RequestDeclined
from actors.service.rights import Caller, Needed, Right, with_implied
from actors.settings.schema import ServiceTokens

_PORTS = {"http": 80, "https": 443}


class Guard:
    """For a port. `host` and `port` are where the service listens."""

    def __init__(self, host: str, port: int, *, loopback: bool) -> None:
        self._own = {str(HostPort(name, port)) for name in (host.lower(), "localhost", "127.0.0.1", "::1")}
        self._loopback = loopback

    def admit(self, headers: Headers) -> None:
        """Raises: RequestDeclined: a page of another origin, or the `Host` of another service."""
        hosts = headers.get_all("Host")
        host = hosts[0] if len(hosts) == 1 else ""
        if len(hosts) > 1 or (self._loopback and _place(host) not in self._own):
            raise RequestDeclined(403, "the Host header is not the address of this service")
        for origin in headers.get_all("Origin"):
            scheme, _, rest = origin.partition("://")
            place = _place(rest, scheme.lower())
            own = self._own if self._loopback else {_place(host, scheme.lower())}
            if not place or place not in own:
                raise RequestDeclined(403, "a page of another origin may not use this service")


class TokenRights:
    """Which rights the token of a request gives."""

    def __init__(self, tokens: ServiceTokens) -> None:
        self._tokens = tokens.by_right()

    def of(self, headers: Headers) -> frozenset[Right]:
        """Empty: it has no token, or another one. All are compared, in constant time."""
        given = headers.get_all("Authorization")
        scheme, _, value = (given[0] if len(given) == 1 else "").partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            return frozenset()
        shown = Secret(value.strip())
        return with_implied(frozenset([right for right, token in self._tokens if token == shown]))


def without_rights(caller: Caller) -> RequestDeclined:
    """For a caller that has none."""
    if caller.is_local_user:
        text = f"{caller.name} has no right to use this service: give it one in [service.users]"
        return RequestDeclined(403, text)
    text = "this service requires its token: Authorization: Bearer ..."
    return RequestDeclined(401, text, ("WWW-Authenticate", 'Bearer realm="linewarden"'))


def without_right(caller: Caller, needed: Needed) -> RequestDeclined:
    """For a caller that has others."""
    if needed == "owner":
        return RequestDeclined(403, "this is for the service's own user, or root, at its Unix socket")
    place, whose = (
        ("[service.users]", caller.name) if caller.is_local_user else ("[service.tokens]", "the token")
    )
    has = ", ".join(sorted(caller.rights))
    return RequestDeclined(403, f"this needs the right {needed}; {whose} has {has}: see {place}")


def of_an_account(feed: str, channel: str) -> RequestDeclined:
    """For a caller without the right `account`."""
    return RequestDeclined(403, f"{feed}: {channel} is a channel of an account: this needs the right account")


def _place(netloc: str, scheme: str = "http") -> str:
    """`host:port` in lower case, always with the port; empty: not an address."""
    try:
        parts = urlsplit(f"//{netloc}")
        port = parts.port or _PORTS[scheme]
    except (ValueError, KeyError):
        return ""
    host = parts.hostname or ""
    if not host or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return ""
    return str(HostPort(host, port))
