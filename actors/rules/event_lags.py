"""By how much the events of a connection come later than they did, by the venue's own time."""

from __future__ import annotations

from collections import deque
from typing import Final

EVERY: Final = 0.1  # seconds between two samples of a connection
KEPT, ENOUGH = 5, 3  # samples of a channel: one event may be late by itself
RECENT: Final = 30.0  # seconds for which a sample counts
SECOND: Final = 1_000_000_000  # nanoseconds


class EventLags:
    """Compares samples with the best of their channel, so a clock that is wrong counts as nothing.

    One thread notes, any looks.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}  # by channel: the venue's time, nanoseconds
        self._best: dict[str, float] = {}  # by channel: seconds from the venue's time to the receipt
        self._last: dict[str, deque[tuple[float, float]]] = {}  # when, monotonic seconds, and the same of it

    def note(self, channel: str, now: float, received_ns: int, venue_ns: int) -> None:
        """A sample: an event that came now. One from before the last ones is history, and no delay."""
        newest = self._newest.get(channel, venue_ns)
        if venue_ns < newest - SECOND:
            return
        self._newest[channel] = max(newest, venue_ns)
        lag = (received_ns - venue_ns) / SECOND
        self._best[channel] = min(lag, self._best.get(channel, lag))
        if channel not in self._last:
            self._last[channel] = deque(maxlen=KEPT)
        self._last[channel].append((now, lag))

    def growth(self, now: float) -> float | None:
        """Seconds; of the channel that is least behind, by the best of its last samples. None: too few."""
        grown = [self._grown(channel, samples, now) for channel, samples in self._last.copy().items()]
        return min((each for each in grown if each is not None), default=None)

    def _grown(self, channel: str, samples: deque[tuple[float, float]], now: float) -> float | None:
        recent = [lag for at, lag in samples.copy() if now - at < RECENT]
        return min(recent) - self._best[channel] if len(recent) >= ENOUGH else None
