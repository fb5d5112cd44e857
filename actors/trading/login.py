"""What all asks of one login share: its kept connections and its meter. It outlives requesters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakKeyDictionary

from actors.protocol.rest import Lane

if TYPE_CHECKING:
    from actors.login.token_store import TokenStore
    from actors.wire.kept_connections import KeptConnections

# Of 8 connections two are kept for mutations, and one of these for cancel and close.
ROOM: Final[Mapping[Lane, int]] = {"read": 6, "change": 7, "flatten": 8}


class Meter(Protocol):
    """How often a login may ask: see `request_meter.py`."""

    def take(self, meter: str, lane: Lane) -> float: ...
    def now(self) -> float: ...
    def late(self, meter: str, took: float) -> None: ...
    def leave(self, meter: str, seconds: float) -> None: ...
    def close(self) -> None: ...


class Inside(Protocol):
    """An ask that has a place."""

    def stop(self) -> None:
        """The runtime ends: what has not left does not leave."""


class Login:
    """Its connections, its meter, and which asks have a place now. Any thread."""

    def __init__(self, name: str, meter: Meter, connections: KeptConnections) -> None:
        self.name, self.meter, self.connections = name, meter, connections
        self._inside: dict[Inside, None] = {}
        self._logins: WeakKeyDictionary[TokenStore, int] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def enter(self, ask: Inside, lane: Lane) -> bool:
        """A place for it, unless those that its lane may use are taken. One that has one keeps it."""
        with self._lock:
            if ask not in self._inside and len(self._inside) >= ROOM[lane]:
                return False
            self._inside[ask] = None
            return True

    def leave(self, ask: Inside) -> None:
        """Its place is free, if it had one."""
        with self._lock:
            self._inside.pop(ask, None)

    def asks(self) -> tuple[Inside, ...]:
        """Those that have a place."""
        with self._lock:
            return tuple(self._inside)

    def new_requests_of(self, tokens: TokenStore) -> int:
        """How many requests of logins of a feed there have been since the last call."""
        with self._lock:
            counted, self._logins[tokens] = self._logins.get(tokens, 0), tokens.login_requests
            return max(0, self._logins[tokens] - counted)

    def take(self, meter: str, lane: Lane) -> float:
        """0.0: the request is counted, send it. Else seconds until it may be asked for again."""
        return self.meter.take(meter, lane)

    def close(self) -> None:
        self.connections.close()
        self.meter.close()


class Logins:
    """The logins of one runtime, by name; each is made when it is first asked with. Any thread."""

    def __init__(self) -> None:
        self._known: dict[str, Login] = {}
        self._lock = threading.Lock()

    def named(self, name: str, new: Callable[[], Login]) -> Login:
        with self._lock:
            if name not in self._known:
                self._known[name] = new()
            return self._known[name]

    def asks(self) -> tuple[Inside, ...]:
        return tuple(ask for login in self._all() for ask in login.asks())

    def close(self) -> None:
        for login in self._all():
            login.close()

    def _all(self) -> tuple[Login, ...]:
        with self._lock:
            return tuple(self._known.values())
