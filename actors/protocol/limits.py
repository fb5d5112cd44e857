"""How often requests may be sent to a venue: budgets, and the pace of subscriptions."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from actors.reasons import Fatal, Reason, Retryable, Slow

_PAUSE: Final = re.compile(
    r"(?:retry[-_ ]?after|(?:retry|again|reconnect) (?:in|after))(_?ms)?[\"':=\s]*"
    r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)?\b",
    re.ASCII | re.IGNORECASE,
)
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}
ROUNDING = 1e-5  # of one token: after the exact wait, floats may be a little short of it


class RateLimit(Struct, frozen=True):
    """A budget: `burst` requests at once, then one in `interval` seconds; 0.0: no limit."""

    burst: int
    interval: float


class TokenBucket:
    """Counts requests against a budget. One thread at a time; `now` is monotonic seconds."""

    def __init__(self, budget: RateLimit) -> None:
        self._budget = budget
        self._left = float(budget.burst)
        self._at = 0.0

    def take(self, now: float) -> float:
        """Counts one request and returns 0.0, or counts none and returns the seconds until one is allowed."""
        budget = self._budget
        if budget.interval:
            self._refill(now)
            if self._left < 1.0 - ROUNDING:
                return (1.0 - self._left) * budget.interval
            self._left -= 1.0
        return 0.0

    def adjust(self, budget: RateLimit, now: float) -> None:
        """Applies another budget from now on; what was counted stays counted."""
        if budget != self._budget:
            if self._budget.interval:
                self._refill(now)
            self._left += budget.burst - self._budget.burst
            self._budget, self._at = budget, now

    def _refill(self, now: float) -> None:
        budget = self._budget
        self._left = min(budget.burst, self._left + max(0.0, now - self._at) / budget.interval)
        self._at = now

    def reserve(self, now: float) -> float:
        """Counts one request in any case, and returns the seconds until its turn."""
        if wait := self.take(now):
            self._left -= 1.0
        return wait

    def give_back(self) -> None:
        """Takes back the last request that was counted: it was not sent."""
        self._left = min(float(self._budget.burst), self._left + 1.0)

    def leave(self, now: float, seconds: float) -> None:
        """Allows nothing for so many seconds, then one request and no burst: the venue asked for a pause."""
        if self._budget.interval:
            self.take(now)
            self._left = min(self._left, 1.0 - seconds / self._budget.interval)


class SendRate(Struct, frozen=True):
    """The pace of subscriptions: `batch` topics, then `interval` seconds of rest."""

    batch: int = 100
    interval: float = 0.0


def closed_for(reason: Reason, words: str) -> Reason:
    """The reason of a close frame with these words: slow, if they name a time, such as `retry after 30 s`."""
    found = _PAUSE.search(words)
    if found is None or not isinstance(reason, Retryable | Slow | Fatal):
        return reason
    unit = (found[1] or found[3] or "s").lower().lstrip("_")
    factor = 0.001 if unit.startswith(("ms", "milli")) else _UNITS[unit[0]]
    return Slow(reason.text, reason.code, float(found[2]) * factor, shared=True)
