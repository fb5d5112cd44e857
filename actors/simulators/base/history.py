"""Bounded memory: the newest entries of a kind, and what happened lately."""

from __future__ import annotations

import time
from collections import deque
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedDict(dict[Key, Value]):
    """A dict of at most `limit` entries, oldest first: a new one beyond that drops the oldest."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: Key, value: Value) -> None:
        super().__setitem__(key, value)
        if len(self) > self._limit:
            del self[next(iter(self))]


class Meter:
    """Counts requests in a sliding window of so many seconds."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._times: deque[float] = deque()

    def admits(self, limit: int) -> bool:
        """Counts one more request, unless there were `limit` of them in the window."""
        now = time.monotonic()
        while self._times and self._times[0] <= now - self._window:
            self._times.popleft()
        if len(self._times) >= limit:
            return False
        self._times.append(now)
        return True
