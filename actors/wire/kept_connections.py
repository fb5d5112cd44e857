"""HTTP connections that outlive an exchange: those of one login, 8 at most."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from typing import Final

import httpcore

from actors.http_types import Endpoint, HttpAnswer, HttpFailed, HttpRequest
from actors.reasons import Fatal, Slow
from actors.wire.attempt import Attempt, ConnectCancel, ConnectFailed
from actors.wire.connect import Dial, reach
from actors.wire.http_client import CODES, Wire, answered, unlogged, written
from actors.wire.request import HTTP, RequestHead, parse_endpoint
from actors.wire.send_right import SendRight, reset

AT_MOST: Final = 8  # connections of one login
IDLE: Final = 30.0  # seconds after which an unused one is not used again: servers close them without a word

Place = tuple[str, str, Dial]  # scheme, authority, and how it is reached


class KeptConnection:
    """A connected socket, and httpcore's view of it. One exchange at a time."""

    def __init__(self, attempt: Attempt, sock: socket.socket, origin: httpcore.Origin, place: Place) -> None:
        self.place = place
        self._sock = sock
        self._wire = Wire(attempt, sock)
        self._connection = httpcore.HTTP11Connection(origin, self._wire)
        self._used_at = time.monotonic()

    def exchange(self, attempt: Attempt, order: httpcore.Request, right: SendRight | None) -> HttpAnswer:
        """Raises ConnectFailed, or the OSError of which the attempt makes one."""
        self._wire.begin(attempt, right)
        try:
            return answered(attempt, self._wire, self._connection, order)
        finally:
            self._used_at = time.monotonic()

    def hold(self, attempt: Attempt) -> None:
        """The attempt owns its socket while it is in use."""
        attempt.hold(self._sock)

    @property
    def is_usable(self) -> bool:
        """Whether another exchange may begin: it is idle, and the peer has not closed it or sent more."""
        is_old = time.monotonic() - self._used_at > IDLE
        return not is_old and self._connection.is_idle() and not self._has_more() and not self._is_readable()

    def _has_more(self) -> bool:
        """Bytes behind the last answer: httpcore would take them for the answer to the next request."""
        return bool(self._connection._h11_state.trailing_data[0])

    def _is_readable(self) -> bool:
        """An idle connection has nothing to read, but its end."""
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            return bool(selector.select(0))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.close()

    def reset(self) -> None:
        """What is queued is not delivered."""
        reset(self._sock)
        self.close()


class KeptConnections:
    """The connections of one login. Any thread; the caller keeps to `AT_MOST` in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: deque[KeptConnection] = deque()  # the one that was used last at the right end
        self._in_use = 0
        self._closed = False

    def fetch(
        self,
        request: HttpRequest,
        dial: Dial,
        connect_cancel: ConnectCancel | None = None,
        right: SendRight | None = None,
    ) -> HttpAnswer | HttpFailed:
        """As `http_client.fetch`, on a connection that was kept, or on a new one that is kept afterwards.

        With a `right` the request is written as long as that lasts, once, and whatever fails after its first
        byte resets the connection. Nothing is written a second time here, on no connection.
        """
        attempt = Attempt(request.timeout, connect_cancel or ConnectCancel(), dial.lookups)
        try:
            with attempt:
                return self._exchange(attempt, request, dial, right)
        except ConnectFailed as failed:
            reason = failed.reason
            lasting = reason if isinstance(reason, Slow | Fatal) else None
            return HttpFailed(reason.text, CODES.get(reason.code, reason.code), lasting)

    def _exchange(
        self, attempt: Attempt, request: HttpRequest, dial: Dial, right: SendRight | None
    ) -> HttpAnswer:
        parsed = parse_endpoint(Endpoint(request.url, request.headers), HTTP)
        order = written(request, parsed)
        attempt.peer, attempt.phase = str(parsed.target), "the HTTP request"
        attempt.remaining()  # where no time is left, no connection is opened
        connection = self._take(attempt, parsed, order, dial)
        try:
            answer = connection.exchange(attempt, order, right)
        except BaseException:
            self._drop(connection, is_reset=right is not None and right.used)
            raise
        finally:
            if right is not None:
                right.end()
        attempt.let_go()
        self._give_back(connection)
        return answer

    def _take(
        self, attempt: Attempt, parsed: RequestHead, order: httpcore.Request, dial: Dial
    ) -> KeptConnection:
        place = ("https" if parsed.secure else "http", parsed.authority, dial)
        with self._lock:
            self._in_use += 1
            found = self._find(place)
        try:
            if found is None:
                found = KeptConnection(attempt, reach(attempt, parsed, dial), order.url.origin, place)
            else:
                found.hold(attempt)
        except BaseException:
            with self._lock:
                self._in_use -= 1
            raise
        return found

    def _find(self, place: Place) -> KeptConnection | None:
        """One that can be used; those that cannot are closed, and the oldest one where there is no room."""
        for connection in [each for each in reversed(self._idle) if each.place == place]:
            self._idle.remove(connection)
            if connection.is_usable:
                return connection
            connection.close()
        while self._idle and len(self._idle) + self._in_use > AT_MOST:
            self._idle.popleft().close()
        return None

    def _give_back(self, connection: KeptConnection) -> None:
        with self._lock:
            self._in_use -= 1
            if not self._closed and connection.is_usable:
                self._idle.append(connection)
                return
        connection.close()

    def _drop(self, connection: KeptConnection, *, is_reset: bool) -> None:
        with self._lock:
            self._in_use -= 1
        with unlogged():
            connection.reset() if is_reset else connection.close()

    def close(self) -> None:
        """The idle ones now, each other one after its exchange."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()
