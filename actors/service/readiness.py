"""Whether the service is ready, for callers without a right: a flood of them costs one look at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from actors.service.responses import ServiceResponse
from actors.timers import SystemClock

RECENT: Final = 0.1  # seconds: an answer of this age is given again, unless something has changed
KEPT: Final = 2.0  # seconds: so is an older one, while a caller waits for the next


class _Last(Struct):
    answer: ServiceResponse
    change: object  # the last one before it
    at: float  # monotonic seconds
    is_asked: bool = False  # a caller waits for the next one


class Readiness:
    """Any thread may call. A question: whether freshness counts. `change` is replaced with each change."""

    def __init__(
        self, change: Callable[[], object], *, monotonic: Callable[[], float] = SystemClock.monotonic
    ) -> None:
        self._change, self._monotonic = change, monotonic
        self._lock = threading.Lock()
        self._last: dict[bool, _Last] = {}

    def recent(self, question: bool) -> ServiceResponse | None:
        """None: the caller is to look, and to call `note`."""
        with self._lock:
            last = self._last.get(question)
            if last is None:
                return None
            age = self._monotonic() - last.at
            is_recent = age < RECENT and last.change is self._change()
            if is_recent or (last.is_asked and age < KEPT):
                return last.answer
            last.is_asked = True
            return None

    def note(self, question: bool, answer: ServiceResponse, change: object) -> None:
        """`change`: the last one when the look began."""
        with self._lock:
            self._last[question] = _Last(answer, change, self._monotonic())
