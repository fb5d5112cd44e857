"""How many requests the looks at accounts may take of a meter that mutations need more, and how often a
line may be replaced because it loses events."""

from __future__ import annotations

from collections import deque
from typing import Final

from actors.protocol.limits import FrameLimit

SHARE: Final = 0.25
MOST_REPLACED: Final = 3  # times within an hour
HOUR: Final = 3_600.0  # seconds


def share_of(limit: FrameLimit) -> FrameLimit:
    """Returns the part of a meter that looks may take."""
    return FrameLimit(max(1, int(limit.frames * SHARE)), limit.seconds)


class AuditBudget:
    """A sliding window over a quarter of a meter, for all accounts of a login in this process.

    It says when a look fits; the meter itself counts the looks of all processes. All keepers that share one
    are called by one thread at a time. `limit`: the meter of reads. `margin`: seconds by which that meter
    keeps its window longer than the venue's.
    """

    def __init__(self, limit: FrameLimit, margin: float = 0.0) -> None:
        share = share_of(limit)
        self._most, self._per = share.frames, share.seconds + margin
        self._spent: deque[tuple[float, int]] = deque()

    def spend(self, requests: int, now: float) -> None:
        """Notes requests that a look took."""
        self._forget(now)
        self._spent.append((now, requests))

    def wait(self, requests: int, now: float) -> float:
        """Returns the seconds until a look of so many requests fits; a larger one waits for all before it."""
        self._forget(now)
        over = sum(number for _, number in self._spent) + requests - self._most
        until = now
        for at, number in self._spent:
            if over <= 0:
                break
            over -= number
            until = at + self._per
        return until - now

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] + self._per <= now:
            self._spent.popleft()


class Replacements:
    """When the lines of a login were replaced because one of its accounts lost events in silence.

    A venue that never tells of some events would have its lines replaced without end. All accounts that share
    one are called by one thread at a time.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MOST_REPLACED)

    def wait(self, now: float) -> float:
        """Returns the seconds until they may be replaced once more."""
        is_full = len(self._times) == MOST_REPLACED
        return max(0.0, self._times[0] + HOUR - now) if is_full else 0.0

    def note(self, now: float) -> None:
        """They are replaced."""
        self._times.append(now)
