"""What a client counts, and the one line of JSON that it says at its end. It knows nothing of Linewarden.

It is done with the last message or, where that one does not come, when nothing has come for a while.
Only the standard library is used: it runs in the virtualenv of any SDK.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIFE = 120.0  # seconds
SILENCE = 2.0  # seconds without a message, after the first
PATIENCE = 30.0  # seconds until the first
LOOK = 0.05  # seconds: how exactly is known when the last came, where it is not the last of all


@dataclass(frozen=True)
class Wanted:
    """What is to be measured, heard on standard input. `last` is the number of the last message."""

    shape: str
    address: dict[str, Any]
    last: int
    timed: bool
    options: dict[str, Any]


def wanted() -> Wanted:
    """What this client is to do. It ends by itself after a while: who started it may be gone."""
    end = threading.Timer(LIFE, os._exit, (1,))
    end.daemon = True
    end.start()
    return Wanted(**json.load(sys.stdin))


def nothing() -> dict[str, Any]:
    return {}


class Tally:
    """Counts by `saw(mark)`: the field that bears a message's number, as the client has it.

    `last` is the mark of the last message. `timed`: the time of each is kept. `more` is asked at the end
    for what else there is to tell. The first `begin()`, when the subscription is made, and before
    anything has come.
    """

    def __init__(self, last: object, timed: bool, more: Callable[[], dict[str, Any]] = nothing) -> None:
        self.saw: Callable[[Any], None] = self._saw_at if timed else self._saw
        self._last = last
        self._more = more
        self._count = 0
        self._marks: list[Any] = []
        self._times: list[int] = []  # monotonic nanoseconds
        self._ending = threading.Lock()

    def begin(self) -> None:
        self._cpu = _cpu_seconds()
        threading.Thread(target=self._watch, daemon=True).start()

    def _saw(self, mark: Any) -> None:
        self._count += 1
        if mark == self._last:
            self._end(time.monotonic_ns())

    def _saw_at(self, mark: Any) -> None:
        now = time.monotonic_ns()
        self._count += 1
        self._marks.append(mark)
        self._times.append(now)
        if mark == self._last:
            self._end(now)

    def _watch(self) -> None:
        before, seen_ns = 0, time.monotonic_ns()
        while time.monotonic_ns() - seen_ns < (SILENCE if before else PATIENCE) * 1e9:
            time.sleep(LOOK)
            if self._count != before:
                before, seen_ns = self._count, time.monotonic_ns()
        self._end(seen_ns)

    def _end(self, seen_ns: int) -> None:
        used = _cpu_seconds() - self._cpu
        if not self._ending.acquire(blocking=False):
            return  # the other thread tells
        told = {
            "count": self._count,
            "seen_ns": seen_ns,
            "cpu_s": used,
            "numbers": [int(mark) for mark in self._marks],
            "at_ns": self._times,
            "more": self._more(),
        }
        sys.stdout.write(f"\n{json.dumps(told)}\n")  # an SDK may have left half a line
        sys.stdout.flush()
        os._exit(0)  # whatever an SDK would still wait for


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
