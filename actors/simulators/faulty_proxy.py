"""A bad network in one object: a TCP proxy on loopback, between a line and its venue.

It knows nothing of what passes. What it does to bytes, networks do: it resets, holds, delays, cuts
into pieces, and narrows. `reset` and `hold` happen to the connections that there are; the others
hold for those to come as well, until `heal`.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

Way = Literal["up", "down", "both"]  # up: to the venue

_READ: Final = 65_536  # bytes
_TICK: Final = 0.02  # seconds; a narrow line hands on what fits into one
_CONNECT_TIMEOUT: Final = 5.0  # seconds; the venue is on loopback
_RESET: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # SO_LINGER: close() sends RST


class Conditions(Struct, frozen=True):
    """How bytes pass."""

    delay: float = 0.0  # seconds, for each piece
    jitter: float = 0.0  # seconds on top, at most, drawn for each piece
    size: int = _READ  # bytes of a piece, at most
    rate: float = math.inf  # bytes a second, each way of each connection


class FaultyProxy:
    """Stands before the server of a URL: `with FaultyProxy(simulator.url) as proxy: start(proxy.url)`.

    Any thread may call any method. Two threads a connection, and one that accepts; none is left, nor
    a socket, once `stop` has returned. `seed` draws the jitter.
    """

    def __init__(self, url: str, *, seed: int = 0) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port: int = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"127.0.0.1:{port}").geturl()
        self._network = _Network(seed)
        self._connections: list[_Connection] = []  # under the network's lock; ended ones leave at the next
        self._accepting = threading.Thread(target=self._accept, name="proxy/accept", daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Resets every connection, and waits until all threads and sockets are gone."""
        _shut(self._listener, socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for connection in self._there():
            connection.end()
            connection.thread.join()

    # ── faults ──

    def reset(self) -> None:
        """Both ends of every connection are told RST, as by a firewall that has forgotten it."""
        for connection in self._there():
            connection.reset()

    def hold(self, way: Way = "both", after: int = 0) -> None:
        """The connections that there are go half-open: no byte passes that way, nor an end.

        The first `after` bytes still do, so that it stalls in the middle of a frame. What is held
        passes after `heal`, as after a cable that was plugged in again.
        """
        for connection in self._there():
            for each in connection.ways(way):
                self._network.allow(each, after)

    def cut(self, after: int = 0, way: Literal["up", "down"] = "up") -> None:
        """Resets a connection once `after` bytes have passed that way: those that there are, and the next."""
        for connection in self._there():
            for each in connection.ways(way):
                each.life = after
        self._network.cuts.append((way, after))

    def delay(self, seconds: float, jitter: float = 0.0) -> None:
        """Every piece takes `seconds`, and up to `jitter` on top; the order stays."""
        self._network.terms = replace(self._network.terms, delay=seconds, jitter=jitter)

    def slice(self, size: int = 1) -> None:
        """Bytes pass in pieces of `size`, each in a call of its own."""
        self._network.terms = replace(self._network.terms, size=size)

    def throttle(self, rate: float) -> None:
        """At most `rate` bytes pass in a second, each way of each connection."""
        self._network.terms = replace(self._network.terms, rate=rate)

    def heal(self) -> None:
        """A good network from here on; what was held passes."""
        self._network.terms = Conditions()
        self._network.cuts.clear()
        for connection in self._there():
            for each in connection.ways("both"):
                each.life = math.inf
                self._network.allow(each, math.inf)

    def _there(self) -> list[_Connection]:
        with self._network.changed:
            return list(self._connections)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._server, _CONNECT_TIMEOUT)
                except OSError:
                    client.close()
                    continue
                connection = _Connection(self._network, client, server)
                if self._network.cuts:
                    way, after = self._network.cuts.popleft()
                    connection.ways(way)[0].life = after
                with self._network.changed:
                    going_on = [each for each in self._connections if each.thread.is_alive()]
                    self._connections = [*going_on, connection]
                connection.thread.start()


class _Network:
    """What holds for all connections, and where their threads wait."""

    def __init__(self, seed: int) -> None:
        self.terms = Conditions()
        self.changed = threading.Condition()
        self.cuts: deque[tuple[Way, int]] = deque()  # of connections to come
        self.random = random.Random(seed)

    def allow(self, way: _OneWay, left: float) -> None:
        with self.changed:
            way.left = left
            self.changed.notify_all()

    def wake(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def pause(self, way: _OneWay, seconds: float) -> None:
        """Raises ConnectionAbortedError: the connection was reset meanwhile."""
        with self.changed:
            if self.changed.wait_for(way.was_reset, seconds):
                raise ConnectionAbortedError

    def admit(self, way: _OneWay, size: int) -> int:
        """How many of so many bytes may pass, at least one; waits while it is none.

        Raises:
            ConnectionAbortedError: the connection was reset meanwhile.
        """
        with self.changed:
            self.changed.wait_for(lambda: way.was_reset() or way.left > 0)
            if way.was_reset():
                raise ConnectionAbortedError
            admitted = int(min(size, way.left))
            way.left -= admitted
            return admitted


class _OneWay:
    """The bytes of one direction of one connection."""

    def __init__(
        self, network: _Network, source: socket.socket, sink: socket.socket, was_reset: Callable[[], bool]
    ) -> None:
        self._network = network
        self._source, self._sink = source, sink
        self.was_reset = was_reset
        self.left: float = math.inf  # bytes that may still pass
        self.life: float = math.inf  # bytes that pass until it is reset

    def carry(self) -> None:
        """Until the source has no more to say. Raises OSError: one of the ends was reset."""
        while data := self._source.recv(_READ):
            while data:
                data = data[self._hand_on(data) :]
        self._network.admit(self, 1)  # an end is held as bytes are
        self._sink.shutdown(socket.SHUT_WR)

    def _hand_on(self, data: bytes) -> int:
        terms = self._network.terms
        self._network.pause(self, terms.delay + self._network.random.uniform(0.0, terms.jitter))
        size = self._network.admit(self, int(min(len(data), terms.size, max(1, terms.rate * _TICK))))
        passing = int(min(size, self.life))
        self._sink.sendall(data[:passing])
        self.life -= passing
        if self.life <= 0:
            raise ConnectionAbortedError
        self._network.pause(self, size / terms.rate)
        return size


class _Connection:
    """One that was accepted, and the one to the server that was opened for it."""

    def __init__(self, network: _Network, client: socket.socket, server: socket.socket) -> None:
        self._network = network
        self._sockets = (client, server)
        for sock in self._sockets:
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._was_reset = False
        self._up = _OneWay(network, client, server, lambda: self._was_reset)
        self._down = _OneWay(network, server, client, lambda: self._was_reset)
        self.thread = threading.Thread(target=self._run, name="proxy/connection", daemon=True)

    def ways(self, way: Way) -> tuple[_OneWay, ...]:
        return {"up": (self._up,), "down": (self._down,), "both": (self._up, self._down)}[way]

    def reset(self) -> None:
        self._was_reset = True
        for sock in self._sockets:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            _shut(sock, socket.SHUT_RD)  # wakes its reader; the peer is told when it is closed
        self._network.wake()

    def end(self) -> None:
        """A reset that wakes a writer as well."""
        self.reset()
        for sock in self._sockets:
            _shut(sock, socket.SHUT_RDWR)

    def _run(self) -> None:
        back = threading.Thread(target=self._carry, args=(self._down,), name="proxy/back", daemon=True)
        back.start()
        self._carry(self._up)
        back.join()
        for sock in self._sockets:
            sock.close()

    def _carry(self, way: _OneWay) -> None:
        try:
            way.carry()
        except OSError:  # an end was reset: so is the other
            self.reset()


def _shut(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # it has ended already
        sock.shutdown(how)
