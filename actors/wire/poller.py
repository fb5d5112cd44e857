"""Waits for a few sockets: epoll itself where the system has it, else `selectors`.

A connection waits once per read, and at a low rate each Python function on its way costs a microsecond.
"""

from __future__ import annotations

import select
import selectors
import sys
from typing import Protocol

READABLE, WRITABLE = 0x1, 0x4  # EPOLLIN and EPOLLOUT


class Poller(Protocol):
    """The methods of `select.epoll` that are used. An error or a hang-up may be reported as other bits."""

    def register(self, fd: int, wanted: int, /) -> None: ...
    def modify(self, fd: int, wanted: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, seconds: float | None, most: int, /) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class SelectorsPoller:
    """The same on the selector of any system."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, wanted: int, /) -> None:
        self._selector.register(fd, _events(wanted))

    def modify(self, fd: int, wanted: int, /) -> None:
        self._selector.modify(fd, _events(wanted))

    def unregister(self, fd: int, /) -> None:
        self._selector.unregister(fd)

    def poll(self, seconds: float | None, most: int, /) -> list[tuple[int, int]]:
        ready = self._selector.select(seconds)
        return [(key.fd, _bits(events)) for key, events in ready[:most]]

    def close(self) -> None:
        self._selector.close()


def _events(wanted: int) -> int:
    reads = selectors.EVENT_READ if wanted & READABLE else 0
    return reads | (selectors.EVENT_WRITE if wanted & WRITABLE else 0)


def _bits(events: int) -> int:
    reads = READABLE if events & selectors.EVENT_READ else 0
    return reads | (WRITABLE if events & selectors.EVENT_WRITE else 0)


def new_poller() -> Poller:
    return select.epoll() if sys.platform == "linux" else SelectorsPoller()
