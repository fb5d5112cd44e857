"""Answers that cost a look at many topics: equal questions share one for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from actors.timers import SystemClock

SHARED: Final = 0.1  # seconds, as of a status
QUESTIONS: Final = 64  # whose answers are kept

Answer = TypeVar("Answer")


class SharedAnswers:
    """Any thread may ask. One makes the answer to a question; the others wait for that and share it.

    One answer is made at a time: many different questions at once would leave the lines no time to run.
    """

    def __init__(self, *, monotonic: Callable[[], float] = SystemClock.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    def answer(self, question: str, make: Callable[[], Answer]) -> Answer:
        """What `make` returns, or has returned within `SHARED` seconds. What it raises is not shared."""
        with self._lock:
            entry = self._entries.pop(question, None) or _Entry()
            self._entries[question] = entry  # the newest last
            if len(self._entries) > QUESTIONS:
                del self._entries[next(iter(self._entries))]
        with entry.lock:
            if self._monotonic() >= entry.until:
                with self._making:
                    entry.answer = make()
                entry.until = self._monotonic() + SHARED
            answer: Answer = entry.answer
            return answer


class _Entry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answer: Any = None
        self.until = float("-inf")
