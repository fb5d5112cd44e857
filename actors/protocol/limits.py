"""How often a venue may be asked: budgets, and the pace of subscriptions."""

from __future__ import annotations

from msgspec import Struct

ROUNDING = 1e-5  # of one: who waits as long as he was told finds floats a little short


class RateLimit(Struct, frozen=True):
    """How often something may be asked: `burst` times at once, and then once in `interval` seconds."""

    burst: int
    interval: float


class TokenBucket:
    """Holds to a budget. One thread at a time; `now` is monotonic seconds."""

    def __init__(self, budget: RateLimit) -> None:
        self._budget = budget
        self._left = float(budget.burst)
        self._at = 0.0

    def take(self, now: float) -> float:
        """0.0: go ahead, it is counted. Else the seconds after which it will be allowed."""
        budget = self._budget
        if budget.interval:
            self._refill(now)
            if self._left < 1.0 - ROUNDING:
                return (1.0 - self._left) * budget.interval
            self._left -= 1.0
        return 0.0

    def adjust(self, budget: RateLimit, now: float) -> None:
        """Another budget holds from now on; what was counted stays counted."""
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
        """Counts one at any rate: the seconds after which it is its turn."""
        if wait := self.take(now):
            self._left -= 1.0
        return wait

    def give_back(self) -> None:
        """The last one that was counted came to nothing: nobody was asked."""
        self._left = min(float(self._budget.burst), self._left + 1.0)

    def leave(self, now: float, seconds: float) -> None:
        """The venue has had enough: for so many seconds nothing is allowed, and then one, and no burst."""
        if self._budget.interval:
            self.take(now)
            self._left = min(self._left, 1.0 - seconds / self._budget.interval)


class SendRate(Struct, frozen=True):
    """How fast a venue wants to be asked: `batch` topics, then `interval` seconds of rest."""

    batch: int = 100
    interval: float = 0.0
