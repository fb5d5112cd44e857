"""How many requests a venue takes: one sliding window for bars, and one for everything else."""

from __future__ import annotations

import time
from collections import deque

BARS = "History/retrieveBars"


class Meter:
    """Takes `limit` requests in any `window` seconds; 0: any number. A refused request takes no place.

    `most`: the largest number of requests that came in any such window, refused ones among them.
    """

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        self.most = 0
        self._taken: deque[float] = deque()
        self._came: deque[float] = deque()

    def takes(self) -> bool:
        """Whether one more request is taken now."""
        now = time.monotonic()
        self._came.append(now)
        self._forget(self._came, now)
        self.most = max(self.most, len(self._came))
        self._forget(self._taken, now)
        if self.limit and len(self._taken) >= self.limit:
            return False
        self._taken.append(now)
        return True

    def _forget(self, times: deque[float], now: float) -> None:
        while times and times[0] <= now - self.window:
            times.popleft()
