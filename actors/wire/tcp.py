"""DNS and TCP: from a host and a port to a connected socket."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
from collections import deque
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

from actors.http_types import HostPort
from actors.reasons import Stopped
from actors.wire.attempt import TCP, Attempt, ConnectFailed
from actors.wire.lookups import Address, Answer

ANY: Final = 0  # a port that is filled in later
STAGGER: Final = 0.25  # seconds: RFC 8305, 5: the "Connection Attempt Delay"


def connect(attempt: Attempt, target: HostPort, called: str) -> socket.socket:
    """A connection to the target, which people know as `called`; the attempt owns it."""
    addresses = look_up(attempt, target)
    attempt.phase, attempt.peer = TCP, called
    bell, rope = socket.socketpair()
    with bell:
        attempt.hold(rope)  # a cancel shuts it down, which wakes the wait below
        winner = Race(addresses).run(attempt, bell)
        attempt.hold(winner)
    return winner


def look_up(attempt: Attempt, target: HostPort) -> Sequence[Address]:
    """The addresses of a host, by getaddrinfo, which nothing can interrupt: its thread is waited for."""
    attempt.phase, attempt.peer = "the DNS look-up", target.host

    def look() -> Answer:
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError as error:
            return error
        return [at_port(address, target.port, ANY) for address in found]

    try:
        waiter = attempt.lookups.join(target.host, look)
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, f"no thread can be started ({error})") from None
    try:
        attempt.hold(waiter.bell)
        waiter.bell.settimeout(attempt.remaining())
        waiter.bell.recv(1)
    finally:
        attempt.lookups.leave(target.host, waiter)
    answer = waiter.answer
    if isinstance(answer, OSError):
        raise answer
    if not answer:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    return [at_port(address, ANY, target.port) for address in answer]


def at_port(address: Address, former: int, port: int) -> Address:
    """A look-up that was started for one port of a host answers for every other, too."""
    family, kind, protocol, name, (host, found, *more) = address
    return family, kind, protocol, name, (host, port if found == former else found, *more)


class Race:
    """All addresses of a host, started one after another; the first that answers wins.

    RFC 8305: a dead address (IPv6, mostly) that swallows the SYNs costs 250 ms, not the deadline.
    """

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._waiting = deque(by_turns(addresses))
        self._running: set[socket.socket] = set()
        self._lost: list[OSError] = []

    def run(self, attempt: Attempt, bell: socket.socket) -> socket.socket:
        """The winner; the others are closed. Raises the most telling OSError when all failed."""
        try:
            while self._start_next():
                for sock in self._await_news(attempt, bell):
                    self._running.remove(sock)
                    if (error := outcome(sock)) is None:
                        return sock
                    sock.close()
                    self._lost.append(error)
        finally:
            for sock in self._running:
                sock.close()
        raise min(self._lost, key=telling)

    def _start_next(self) -> bool:
        """Start the next address that does not fail at once. True: an attempt is under way."""
        while self._waiting:
            try:
                self._running.add(start(self._waiting.popleft()))
                break
            except OSError as error:
                self._lost.append(error)
        return bool(self._running)

    def _await_news(self, attempt: Attempt, bell: socket.socket) -> list[socket.socket]:
        """The sockets that won or lost; none if it is the next one's turn before."""
        left = attempt.remaining()
        with selectors.DefaultSelector() as selector:
            selector.register(bell, selectors.EVENT_READ)
            for sock in self._running:
                selector.register(sock, selectors.EVENT_WRITE)
            events = selector.select(min(left, STAGGER) if self._waiting else left)
        ready: list[Any] = [key.fileobj for key, _ in events]
        if bell in ready:
            raise ConnectFailed(Stopped())
        return ready


def by_turns(addresses: Sequence[Address]) -> list[Address]:
    """The resolver's order with the families alternating (RFC 8305, 4), each address once."""
    unique = list(dict.fromkeys(addresses))
    first = [address for address in unique if address[0] == unique[0][0]]
    other = [address for address in unique if address[0] != unique[0][0]]
    return [address for turn in zip_longest(first, other) for address in turn if address is not None]


def start(address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        start_connecting(sock, where)
    except OSError:
        sock.close()
        raise
    return sock


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


def outcome(sock: socket.socket) -> OSError | None:
    """Why this socket is not connected; None: it is."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code == 0 and talks_to_itself(sock):
        code = errno.ECONNREFUSED
    return OSError(code, os.strerror(code)) if code else None


def talks_to_itself(sock: socket.socket) -> bool:
    """TCP lets a client connect to itself on a loopback port without a listener (simultaneous open)."""
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:  # gone again already: the next phase will report it
        return False


def telling(error: OSError) -> int:
    """Lower is more telling: our own want of descriptors, then a host that is there and refuses."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return 0
    return 1 if isinstance(error, ConnectionRefusedError) else 2
