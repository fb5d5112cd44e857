"""How often requests may be sent to a venue: budgets, and the pace of subscriptions."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from actors.reasons import Fatal, Reason, Retryable, Slow

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_FRAMES = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,4})?(s|min|h)")
_PAUSE: Final = re.compile(
    r"(?:retry[-_ ]?after|(?:retry|again|reconnect) (?:in|after))(_?ms)?[\"':=\s]*"
    r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)?\b",
    re.ASCII | re.IGNORECASE,
)
_WORDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}

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

    def has_one(self, now: float) -> bool:
        """Whether a request is allowed now. None is counted."""
        if self._budget.interval:
            self._refill(now)
        return not self._budget.interval or self._left >= 1.0 - ROUNDING

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


class FrameLimit(Struct, frozen=True):
    """A venue's limit on what a connection sends: so many frames within any `seconds`."""

    frames: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> FrameLimit:
        """Reads a limit such as "5/s", "480/h" or "10/5min".

        Raises:
            ValueError: it is none.
        """
        found = _FRAMES.fullmatch(text)
        if found is None:
            raise ValueError(f'expected frames per time, such as "5/s", "20/min" or "480/h", found {text!r}')
        frames, count, unit = found.groups()
        return cls(int(frames), int(count or 1) * UNITS[unit])

    def __str__(self) -> str:
        unit = next((unit for unit in ("h", "min") if not self.seconds % UNITS[unit]), "s")
        count = self.seconds / UNITS[unit]
        return f"{self.frames}/{'' if count == 1 else format(count, 'g')}{unit}"


class SendRate(Struct, frozen=True):
    """What a connection may send: frames per time, and so many topics asked for together.

    Every frame counts: subscriptions, what gives them up, messages of a program, and heartbeats, which leave
    first. Without `frames` there is no limit.
    """

    batch: int = 100
    frames: tuple[FrameLimit, ...] = ()


def closed_for(reason: Reason, words: str) -> Reason:
    """The reason of a close frame with these words: slow, if they name a time, such as `retry after 30 s`."""
    found = _PAUSE.search(words)
    if found is None or not isinstance(reason, Retryable | Slow | Fatal):
        return reason
    unit = (found[1] or found[3] or "s").lower().lstrip("_")
    factor = 0.001 if unit.startswith(("ms", "milli")) else _WORDS[unit[0]]
    return Slow(reason.text, reason.code, float(found[2]) * factor, shared=True)
