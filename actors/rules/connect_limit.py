"""When the lines of one account may connect: a venue meters accounts and addresses, not lines."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Literal

from actors.protocol.limits import ROUNDING, RateLimit, TokenBucket
from actors.reasons import Reason, Slow

Wait = Literal["backoff", "cooling", "asked"]  # own delay; the account's cool-down; one that the venue timed
SPREAD = 1.0  # seconds within which those come that have waited for the same end


class ConnectLimiter:
    """What is left of the venue's budget of connects, and the end of the current cool-down.

    One thread at a time; `now` is monotonic seconds.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._bucket: TokenBucket | None = None
        self._turns: dict[str, float] = {}  # lines that wait for their turn: monotonic seconds
        self.closed_until = float("-inf")
        self.why: str  # of the last cool-down
        self.wait: Wait

    def try_acquire(self, line: str, budget: RateLimit, now: float) -> float:
        """0.0: connect now, it is counted. Else the seconds after which this line is to try_acquire again.

        `budget` is the account's, and the same for all of its lines until a reload changes it.
        """
        left = self.closed_until - now
        if left > 0:
            return left + self._chance.uniform(0.0, SPREAD)
        turn = self._turns.pop(line, None)
        if turn is None:
            turn = now + self._bucket_for(budget, now).reserve(now)
        if turn > now + ROUNDING:
            self._turns[line] = turn
            return turn - now
        return 0.0

    def is_open(self, budget: RateLimit, now: float) -> bool:
        """Whether a line might connect now. Nothing is counted."""
        return now >= self.closed_until and self._bucket_for(budget, now).has_one(now)

    def _bucket_for(self, budget: RateLimit, now: float) -> TokenBucket:
        if self._bucket is None:
            self._bucket = TokenBucket(budget)
        self._bucket.adjust(budget, now)
        return self._bucket

    def close(self, until: float, why: str, wait: Wait) -> bool:
        """The account has a cool-down until then. Returns whether that is later than was known."""
        if until <= self.closed_until:
            return False
        self.closed_until, self.why, self.wait = until, why, wait
        return True

    def open(self) -> None:
        """A person acts: the cool-down ends."""
        self.closed_until = float("-inf")


def strictest(budgets: Iterable[RateLimit]) -> RateLimit:
    """One that keeps within each of these; an interval of 0 is no limit."""
    limits = [budget for budget in budgets if budget.interval]
    if not limits:
        return RateLimit(1, 0.0)
    return RateLimit(min(each.burst for each in limits), max(each.interval for each in limits))


def wait_of(reason: Reason) -> Wait:
    """What kind of wait follows an ending with this reason."""
    match reason:
        case Slow(exact=False, retry_after=None, shared=True):
            return "cooling"
        case Slow(exact=False, retry_after=asked) if asked is not None:
            return "asked"
    return "backoff"


def wanted_rest(reason: Reason, otherwise: float) -> float:
    """Seconds for which the venue wants to see no line of this account; 0: it is about this line alone.

    `otherwise` is for a venue that does not say for how long. Not the line's own wait, which doubles: a line
    that is refused for ever must not keep all others out.
    """
    if not isinstance(reason, Slow) or reason.exact:
        return 0.0
    if reason.retry_after is not None:
        return reason.retry_after
    return otherwise if reason.shared else 0.0
