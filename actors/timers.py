"""send_after: the only way time enters an actor."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from numbers import Real
from typing import Any, Protocol

from actors import log_queue
from actors.errors import LinewardenError

log = log_queue.logger("actors.timers")

CENTURY = 3_155_760_000.0  # seconds; less than a lock can wait


def check_seconds(name: str, value: object, *, optional: bool = False) -> None:
    """Raises LinewardenError where a program gave what is no time; `optional`: None is one."""
    is_number = isinstance(value, Real) and not isinstance(value, bool) and not math.isnan(value)
    if not is_number and not (optional and value is None):
        raise LinewardenError(f"{name} is a number of seconds, and {value!r} is none")


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, for people and markers; it may jump."""


class Tellable(Protocol):
    def tell(self, message: Any) -> None:
        """Put the message into a mailbox; returns at once and never raises."""


class Timer(Protocol):
    def cancel(self) -> None:
        """The message will not be sent, unless it has been already. Any thread, any number of times."""


class Timers(Protocol):
    @property
    def clock(self) -> Clock: ...

    def send_after(self, seconds: float, target: Tellable, message: Any) -> Timer:
        """Tell `message` to `target` in so many seconds. Any thread."""

    def stop(self) -> None:
        """Forget every timer; later ones are never sent."""


class SystemClock:
    """The machine's own clocks."""

    monotonic = staticmethod(time.monotonic)
    wall_ns = staticmethod(time.time_ns)


class Entry:
    """One message on its way through time."""

    __slots__ = ("message", "target")

    def __init__(self, target: Tellable, message: Any) -> None:
        self.target: Tellable | None = target
        self.message = message

    def cancel(self) -> None:
        self.target = self.message = None

    def send(self) -> None:
        message, target = self.message, self.target  # `cancel` writes them in the other order
        if target is not None:
            target.tell(message)


def bounded(seconds: float) -> float:
    """A delay from anywhere, as time can be reckoned with: 0 or more (0 for a NaN), at most a century."""
    return float(min(max(0.0, seconds), CENTURY))


def lock_timeout(seconds: float) -> float | None:
    """The same time as a lock takes it: locks know neither infinity nor more than `threading.TIMEOUT_MAX`."""
    return None if seconds > threading.TIMEOUT_MAX else max(0.0, seconds)


Heap = list[tuple[float, int, Entry]]


class HeapTimers:
    """The messages that are to be sent, by their time. Any thread, with the lock."""

    clock: Clock

    def __init__(self) -> None:
        self._heap: Heap = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False

    def send_after(self, seconds: float, target: Tellable, message: Any) -> Entry:
        entry = Entry(target, message)
        with self._changed:
            due = self.clock.monotonic() + bounded(seconds)
            if not self._stopped:
                heapq.heappush(self._heap, (due, next(self._order), entry))
                if self._heap[0][2] is entry:
                    self._changed.notify()
        return entry

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._heap.clear()
            self._changed.notify()


class ThreadTimers(HeapTimers):
    """Timers on one daemon thread, for all actors of a runtime."""

    def __init__(self, name: str = "timers") -> None:
        super().__init__()
        self.clock = SystemClock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        super().stop()
        if threading.current_thread() is not self._thread:
            self._thread.join(1.0)  # it never waits for another thread: this takes a moment

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            try:
                entry.send()
            except BaseException:  # all actors of the runtime wait for this thread, whatever a target raises
                log.exception("A timer's message could not be sent; the other timers go on.")

    def _next(self) -> Entry | None:
        with self._changed:
            while not self._stopped:
                wait = self._heap[0][0] - self.clock.monotonic() if self._heap else math.inf
                if wait <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(lock_timeout(wait))
        return None


def seconds_left(deadline: float) -> float:
    """By the machine's monotonic clock."""
    return max(0.0, deadline - time.monotonic())
