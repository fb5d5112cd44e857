"""send_after: the only way time enters an actor."""

from __future__ import annotations

import functools
import heapq
import itertools
import math
import sys
import threading
import time
from numbers import Real
from typing import Any, Final, Protocol

from actors import log_queue
from actors.errors import LinewardenError

log = log_queue.logger("actors.timers")

CENTURY = 3_155_760_000.0  # seconds; less than a lock can wait
MOMENT = 50e-6  # seconds, in which a thread that waits for the interpreter gets it


def check_seconds(name: str, value: object, *, optional: bool = False) -> None:
    """Raises LinewardenError where a program gave what is no time; `optional`: None is one."""
    if optional and value is None:
        return
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            if not math.isnan(value):
                return
        except OverflowError:
            raise LinewardenError(f"{name} is a number of seconds, and this one is too large") from None
    raise LinewardenError(f"{name} is a number of seconds, and {value!r} is none")


def give_way() -> None:
    """Let other threads run. One that computes on would keep the threads of lines waiting 5 ms each time."""
    time.sleep(MOMENT)


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
    on_resume: Tellable | None  # it is told, on their thread, that a pause of the process is over

    @property
    def clock(self) -> Clock: ...

    @property
    def pulse(self) -> Pulse: ...

    def send_after(self, seconds: float, target: Tellable, message: Any) -> Timer:
        """Tell `message` to `target` in so many seconds. Any thread."""

    def stop(self) -> None:
        """Forget every timer; later ones are never sent."""


# It goes on while the machine is suspended: what was received before that is as old as it is.
_boottime = functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else None


class SystemClock:
    """The machine's own clocks."""

    monotonic = staticmethod(_boottime or time.monotonic)
    wall_ns = staticmethod(time.time_ns)


class Pulse:
    """Tells a pause of the process or the machine: the thread of the timers beats, and a beat comes late.

    That thread writes; any thread reads. Times are monotonic seconds.
    """

    PERIOD: Final = 0.25  # seconds between two beats
    LATE: Final = 1.0  # seconds without one that are a pause

    def __init__(self, now: float) -> None:
        self.beat_at = now
        self.resumed_at = 0.0  # when the last pause was over

    def is_late(self, now: float) -> bool:
        """Whether there is a pause, or was one, and the thread of the timers has not run since."""
        return now - self.beat_at > self.LATE

    def beat(self, now: float) -> bool:
        """Returns whether a pause has ended with this beat."""
        was_paused = self.is_late(now)
        if was_paused:
            self.resumed_at = now  # first: a reader between the two takes it for paused
        self.beat_at = now
        return was_paused


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
        self.pulse = Pulse(math.inf)  # time that is moved by hand knows no pause
        self.on_resume: Tellable | None = None

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
        self.pulse = Pulse(self.clock.monotonic())
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
                log.exception("timer.failed", "A timer's message could not be sent; the other timers go on.")

    def _next(self) -> Entry | None:
        """What is due; first, once a pause is over, the word of that."""
        with self._changed:
            while not self._stopped:
                now = self.clock.monotonic()
                if self.pulse.beat(now) and self.on_resume is not None:
                    return Entry(self.on_resume, None)
                wait = self._heap[0][0] - now if self._heap else math.inf
                if wait <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(min(wait, Pulse.PERIOD))
        return None


def seconds_left(deadline: float) -> float:
    """By the machine's monotonic clock."""
    return max(0.0, deadline - time.monotonic())
