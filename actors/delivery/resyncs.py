"""When a topic of deltas may be made to start anew for readers that cannot follow it otherwise."""

from __future__ import annotations

import math
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
        self._wanted: dict[Topic, None] = {}
        self._pauses: dict[Topic, _Pause] = {}

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def want(self, topic: Topic) -> None:
        self._wanted[topic] = None

    def forget(self, topic: Topic) -> None:
        """It has started anew by itself, or is wanted no longer."""
        self._wanted.pop(topic, None)

    def take(self, now: float) -> tuple[Topic, ...]:
        """Those that may be resynced now."""
        due = tuple(topic for topic in self._wanted if self._due(topic) <= now)
        for topic in due:
            del self._wanted[topic]
            former = self._pauses.get(topic)
            wait = FIRST_WAIT
            if former is not None and now < former.until + former.wait:
                wait = min(2 * former.wait, LONGEST_WAIT)
            self._pauses[topic] = _Pause(now + wait, wait)
        return due

    def next_in(self, now: float) -> float:
        """Seconds until the next one is due; infinity: none is wanted."""
        return min((max(0.0, self._due(topic) - now) for topic in self._wanted), default=math.inf)

    def _due(self, topic: Topic) -> float:
        pause = self._pauses.get(topic)
        return -math.inf if pause is None else pause.until
