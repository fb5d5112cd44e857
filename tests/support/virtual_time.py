"""A runtime on real sockets whose time is moved by hand: what takes hours takes moments."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from actors import Runtime
from actors.settings import load
from actors.status import LineStatus, Status
from actors.timers import Entry, HeapTimers
from tests.support.runtimes import fresh, until

# Seconds of ours for a line to move by itself. One that subscribes may be waiting for the clock, too.
PATIENCE = {"connecting": 10.0, "logging_in": 10.0, "subscribing": 0.05}


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class VirtualTimers(HeapTimers):
    """Timers whose time is moved by hand: hours pass in milliseconds, in the caller's thread."""

    def __init__(self, settle: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.clock = self
        self._now = 1_000.0
        self._wall_ns = 1_790_000_000_000_000_000
        self._settle = settle  # returns when no thread has anything left to do at this moment

    def monotonic(self) -> float:
        return self._now

    def wall_ns(self) -> int:
        return self._wall_ns

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass, timer by timer."""
        until = self._now + seconds
        self._settle()
        while (due := self._pop(until)) is not None:
            due.send()
            self._settle()
        self._move(until)

    def _pop(self, until: float) -> Entry | None:
        with self._changed:
            if not self._heap or self._heap[0][0] > until:
                return None
            due, _, entry = heapq.heappop(self._heap)
        self._move(max(due, self._now))
        return entry

    def _move(self, now: float) -> None:
        self._wall_ns += round((now - self._now) * 1e9)
        self._now = now


class Clockwork:
    """A runtime and its time, which stands still while a line is on the move. One seed, one life."""

    def __init__(self, config: Mapping[str, Any], seed: int = 7) -> None:
        self.timers = VirtualTimers(settle=self._settle)
        self.runtime = Runtime(load(config), timers=self.timers, chance=random.Random(seed))

    @property
    def now(self) -> float:
        return self.timers.monotonic()

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass; whatever is due is done, and its consequences are over."""
        self.timers.advance(seconds)
        self._settle()

    def lines(self) -> Mapping[str, LineStatus]:
        return fresh(self.runtime).lines()

    def line(self) -> LineStatus:
        """The one line there is."""
        (line,) = self.lines().values()
        return line

    def until(self, wanted: Callable[[Status], bool]) -> Status:
        return until(self.runtime, wanted)

    def _settle(self) -> None:
        before, since = None, 0.0
        while True:
            here = tuple((line.state, line.epoch, line.counters.frames) for line in self.lines().values())
            patience = max((PATIENCE.get(state, 0.0) for state, _, _ in here), default=0.0)
            if here != before:
                before, since = here, time.monotonic()
            if not patience or time.monotonic() > since + patience:
                return
            time.sleep(0.002)


@contextmanager
def clockwork(config: Mapping[str, Any], *, seed: int = 7, live: bool = True) -> Iterator[Clockwork]:
    """The watchdog of such a runtime is off, for its patience would be over at once."""
    table = {**config, "runtime": {"watchdog_timeout": 0.0} | config.get("runtime", {})}
    clock = Clockwork(table, seed)
    with clock.runtime:
        if live:
            clock.runtime.wait_live(timeout=10.0)
        yield clock
