"""When a topic of deltas may be made to start again for readers that cannot follow it otherwise."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Final

from msgspec import Struct

from actors.events import Topic

FIRST_WAIT: Final = 1.0  # seconds between two resyncs of one topic...
LONGEST_WAIT: Final = 30.0  # ...and at most, where readers go on falling behind


class _Pause(Struct, frozen=True):
    until: float  # monotonic seconds
    wait: float


class Resyncs:
    """A resync costs every reader of the topic a gap: one for all that wait, at most once per back-off."""

    def __init__(self) -> None:
        self.wanted: dict[Topic, int] = {}  # with the number of the wish
        self._due: list[tuple[float, int, Topic]] = []  # a heap; a wish that was taken back stays in it
        self._wishes = 0
        self._pauses: dict[Topic, _Pause] = {}

    def want(self, topic: Topic) -> None:
        if topic not in self.wanted:
            pause = self._pauses.get(topic)
            self._wishes += 1
            self.wanted[topic] = self._wishes
            heappush(self._due, (-math.inf if pause is None else pause.until, self._wishes, topic))

    def forget(self, topic: Topic) -> None:
        """It has started again by itself, or is wanted no longer."""
        self.wanted.pop(topic, None)

    def drop(self, topic: Topic) -> None:
        """It lies on this line no longer."""
        self.forget(topic)
        self._pauses.pop(topic, None)

    def take(self, now: float) -> tuple[Topic, ...]:
        """Those that may be resynced now."""
        due: list[Topic] = []
        while self._next_due() <= now:
            topic = heappop(self._due)[2]
            del self.wanted[topic]
            due.append(topic)
            former = self._pauses.get(topic)
            wait = FIRST_WAIT
            if former is not None and now < former.until + former.wait:
                wait = min(2 * former.wait, LONGEST_WAIT)
            self._pauses[topic] = _Pause(now + wait, wait)
        return tuple(due)

    def next_in(self, now: float) -> float:
        """Seconds until the next one is due; infinity: none is wanted."""
        return max(0.0, self._next_due() - now)

    def _next_due(self) -> float:
        while self._due and self.wanted.get(self._due[0][2]) != self._due[0][1]:
            heappop(self._due)
        return self._due[0][0] if self._due else math.inf
