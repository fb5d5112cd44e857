"""A socket whose request and answer have one deadline, however many parts they come in.

The timeout of a socket is one for each part: a server that sends a byte now and then would hold its caller
forever.
"""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING, cast

from actors.timers import SystemClock, seconds_left

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def timed(sock: socket.socket, seconds: float) -> socket.socket:
    """What http.client needs of a socket, from now on for so long. Its owner closes `sock`."""
    return cast(socket.socket, _TimedSocket(sock, SystemClock.monotonic() + seconds))


class _TimedSocket:
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        self._limit()
        self._sock.sendall(data)

    def receive(self, buffer: WriteableBuffer) -> int:
        self._limit()
        return self._sock.recv_into(buffer)

    def _limit(self) -> None:
        left = seconds_left(self._deadline)
        if not left:
            raise TimeoutError
        self._sock.settimeout(left)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Answer(self))

    def close(self) -> None:
        """http.client closes it before the answer has been read."""


class _Answer(io.RawIOBase):
    def __init__(self, sock: _TimedSocket) -> None:
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._sock.receive(buffer)
