"""The right to send one request, which any thread may revoke: its bytes leave under a lock, or not at all."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Final, Protocol

RESET: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # SO_LINGER: closing sends RST
WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class RightRevokedError(OSError):
    """The request may not be sent, or not sent on: its right was revoked, or its deadline is over."""


def _allowed() -> str:
    """The default of `barred`."""
    return ""


class Deadline(Protocol):
    def remaining(self) -> float:
        """Seconds left. Raises TimeoutError when none is."""


class SendRight:
    """The right to write one request. It is used once; after `revoke` no byte of the request is written.

    `left`: seconds until its deadline, asked under the lock right before each piece. A process that was
    stopped between head and body does not complete the request. `barred`: why it may not be begun any more,
    asked under the lock right before the first byte; empty: it may.
    """

    def __init__(self, left: Callable[[], float], barred: Callable[[], str] = _allowed) -> None:
        self._left, self._barred = left, barred
        self._lock = threading.Lock()
        self._used = self._revoked = self._over = False
        self._sock: socket.socket | None = None

    @property
    def used(self) -> bool:
        """Whether a byte may have left."""
        return self._used

    def write(self, sock: socket.socket, data: bytes, deadline: Deadline) -> None:
        """All of `data`. The lock is never held while this waits.

        Raises:
            RightRevokedError: it was revoked, or its deadline is over; what had left is reset.
            OSError: the connection is lost, or `deadline` is over.
        """
        rest = memoryview(data)
        while rest:
            sent = self._write_some(sock, rest)
            rest = rest[sent:]
            if not sent:
                await_writable(sock, deadline.remaining())

    def _write_some(self, sock: socket.socket, data: memoryview) -> int:
        with self._lock:
            if self._revoked or self._over:
                raise RightRevokedError("its right was revoked")
            if self._left() <= 0:
                self._revoked = True
                if self._used:
                    reset(sock)  # a part of it has left, and must not be completed
                raise RightRevokedError("its deadline is over")
            if not self._used and (why := self._barred()):
                self._revoked = True
                raise RightRevokedError(why)
            self._used, self._sock = True, sock  # first: what fails below may have written
            sock.setblocking(False)
            try:
                return sock.send(data)
            except WOULD_BLOCK:
                return 0

    @property
    def revoked(self) -> bool:
        """Whether no byte can leave any more."""
        return self._revoked

    def revoke(self, *, unless_used: bool = False) -> bool:
        """Returns whether a byte may have left; its connection is reset then. Any thread; never waits.

        `unless_used`: only if none has; else it goes on.
        """
        with self._lock:
            if self._used and unless_used:
                return True
            self._revoked = True
            if self._sock is not None and not self._over:
                reset(self._sock)
            return self._used

    def end(self) -> None:
        """The exchange is over: the connection is no longer this right's to reset, or to write to."""
        with self._lock:
            self._over, self._sock = True, None


def reset(sock: socket.socket) -> None:
    """Sends RST at once: what is queued is not delivered, as it would be by a close. Any thread.

    The descriptor stays the caller's, so that a thread that uses it meets an end, and never another socket.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        socket.socket.shutdown(sock, socket.SHUT_RD)  # wakes its reader, and sends nothing
    with contextlib.suppress(OSError):
        _replace_by_dead_end(sock)
        return
    with contextlib.suppress(OSError):  # no descriptor is left
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _replace_by_dead_end(sock: socket.socket) -> None:
    here, there = socket.socketpair()
    there.close()
    with here:
        os.dup2(here.fileno(), sock.fileno(), inheritable=False)


def await_writable(sock: socket.socket, seconds: float) -> None:
    """Raises TimeoutError: it cannot be written to within so many seconds."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        if not selector.select(seconds):
            raise TimeoutError
