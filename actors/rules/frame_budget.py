"""How many frames may leave a connection now, by the limits that its venue states.

A venue counts what arrives. One frame of each limit is left for control frames, and each window is longer
than the venue's by `JITTER`, since a network may bring frames closer together than they left.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from actors.protocol.limits import FrameLimit

JITTER = 0.25  # seconds
LONG = 10.0  # seconds: a limit over a longer time is one of requests, and heartbeats do not count

SentFrame = tuple[float, bool]  # when it left, monotonic seconds; whether it is a control frame


class Window:
    """The frames of one limit that are still counted.

    Control frames leave one frame of the limit to others as well: quick heartbeats hold up no subscription.
    """

    __slots__ = ("_most", "_most_control", "_seconds", "counts_control", "left", "limit")

    def __init__(self, limit: FrameLimit, left: Iterable[SentFrame] = ()) -> None:
        self.limit = limit
        self.counts_control = limit.seconds <= LONG
        self._most = limit.frames - 1 if limit.frames > 2 else limit.frames
        self._most_control = max(1, limit.frames - 1)
        self._seconds = limit.seconds + JITTER
        self.left: deque[SentFrame] = deque(left)

    def wait(self, now: float, *, control: bool) -> float:
        if control and not self.counts_control:
            return 0.0
        self._forget(now)
        if len(self.left) < min(self._most, self._most_control):
            return 0.0
        every = [at for at, _ in self.left]
        alike = [at for at, is_control in self.left if is_control is control]
        if control:
            due = max(self._due(every, self.limit.frames), self._due(alike, self._most_control))
        else:
            due = max(self._due(every, self.limit.frames), self._due(alike, 1))
            due = min(due, self._due(every, self._most))
        return max(0.0, due - now)

    def room(self, now: float) -> int:
        return 0 if self.wait(now, control=False) else max(1, self._most - len(self.left))

    def spend(self, now: float, *, control: bool) -> None:
        if not control or self.counts_control:
            self._forget(now)
            self.left.append((now, control))

    def _due(self, left: Sequence[float], most: int) -> float:
        """When there are less than so many of these."""
        return left[len(left) - most] + self._seconds if len(left) >= most else 0.0

    def time_for(self, frames: int) -> float:
        return (frames - 1) // self._most * self._seconds if frames else 0.0

    def _forget(self, now: float) -> None:
        while self.left and self.left[0][0] + self._seconds <= now:
            self.left.popleft()


class FrameBudget:
    """Of one connection; `now` is monotonic seconds. `control`: a heartbeat, an answer to one, or a close."""

    def __init__(self, limits: Iterable[FrameLimit]) -> None:
        self._windows = [Window(limit) for limit in limits]

    def take_limits(self, limits: Iterable[FrameLimit]) -> None:
        """These hold from now on. Frames that have left count, as far as a former limit remembers them."""
        former = {window.limit: window for window in self._windows}
        left: Counter[SentFrame] = Counter()
        for window in self._windows:
            left |= Counter(window.left)
        known = sorted(left.elements())
        self._windows = [former.get(limit) or Window(limit, known) for limit in limits]

    def wait(self, now: float, *, control: bool = False) -> float:
        """Seconds until one more frame may leave."""
        return max((window.wait(now, control=control) for window in self._windows), default=0.0)

    @property
    def is_limited(self) -> bool:
        return bool(self._windows)

    def room(self, now: float) -> int:
        """How many frames may leave now."""
        return min((window.room(now) for window in self._windows), default=sys.maxsize)

    def spend(self, now: float, *, control: bool = False) -> None:
        """A frame leaves."""
        for window in self._windows:
            window.spend(now, control=control)

    def time_for(self, frames: int) -> float:
        """Seconds from the first of so many frames to the last."""
        return max((window.time_for(frames) for window in self._windows), default=0.0)
