"""The order in which batches arrived, over all lines, and which of them are still being delivered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

Progress = Callable[[], None]  # called after each call of a handler: the writer is not wedged


class Calling(Protocol):
    """An inline handler for which a writer has brought something."""

    def call(self, right: Right, progress: Progress) -> None:
        """On the thread of this writer: call the handler with all that it has brought."""


class MergeReader(Protocol):
    """A reader of several streams."""

    is_over: bool  # it reads no more, and may have been interrupted while it left


class Right:
    """One writer's permission to put into streams: of one epoch of a line, or of one dispatcher.

    The writer gives it up after its last put. The supervisor revokes it when it gives the writer up.
    A line's thread calls inline handlers itself (`makes_calls`), the dispatcher's does not.
    """

    __slots__ = ("calls", "is_calling", "makes_calls", "revoked", "valid")

    def __init__(self, *, makes_calls: bool = True) -> None:
        self.valid = True
        self.revoked = False  # taken away: later puts and reports of its writer do not count
        self.makes_calls = makes_calls
        self.is_calling = False  # its thread is making the calls
        self.calls: list[Calling] = []  # by its thread, once the buffers of a batch are filled


class Arrivals:
    """Numbers the batches of a runtime. A connection begins one and ends it; `merge` waits for lower ones."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._last = 0
        self._delivering: dict[Right, int] = {}  # each writer delivers one batch at a time
        self._merging: list[MergeReader] = []  # iterators that wait here, or may

    def begin(self, right: Right) -> int:
        """The number of a batch that is delivered from now on."""
        with self.lock:  # the condition's: entered directly, it costs a third
            self._last += 1
            if right.valid:  # what another writes goes nowhere
                self._delivering[right] = self._last
            return self._last

    def end(self, right: Right) -> None:
        """Its buffers are filled, or its writer failed or was given up."""
        with self.lock:
            self._delivering.pop(right, None)
            if self._merging:
                self.changed.notify_all()

    def give_up(self, right: Right) -> None:
        """The writer's own last act: it puts nothing more."""
        right.valid = False
        self.end(right)

    def revoke(self, right: Right) -> None:
        """What this writer still puts goes nowhere, and no reader waits for it."""
        right.revoked = True
        self.give_up(right)

    def is_complete(self, number: int) -> bool:
        """Whether no batch up to this one is still being delivered. With the lock."""
        return all(lower > number for lower in self._delivering.values())

    def enter(self, reader: MergeReader) -> None:
        """A `merge` begins to read."""
        with self.lock:
            self._merging = [*self._present(), reader]

    def leave(self) -> None:
        """Some read no more."""
        with self.lock:
            self._merging = self._present()

    def _present(self) -> list[MergeReader]:
        return [reader for reader in self._merging if not reader.is_over]
