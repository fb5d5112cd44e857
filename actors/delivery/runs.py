"""What makes a topic of deltas whole for a newcomer: its last whole event, and the changes since."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Final

from actors.delivery.arrivals import Right
from actors.events import Topic
from actors.protocol.venue import Venue
from actors.rules.stream_buffer import Batch

EVENTS: Final = 10_000  # of one topic
BYTES: Final = 4 * 1_048_576  # of one topic, as they came
RUNTIME_BYTES: Final = 256 * 1_048_576  # of all topics of a runtime
BILL: Final = 65_536  # bytes after which a line reports how much it keeps


class RunBudget:
    """How much all lines of a runtime keep, in bytes. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Right, int] = {}

    def keeps(self, right: Right, size: int) -> bool:
        """This line keeps so much from now on; whether all of them together may.

        A line that was given up counts no more: its thread may hang, and never report that it keeps nothing.
        """
        with self._lock:
            self._kept[right] = size
            self._kept = {each: kept for each, kept in self._kept.items() if kept and each.valid}
            return sum(self._kept.values()) <= RUNTIME_BYTES


class TopicRun:
    """Of one topic."""

    __slots__ = ("count", "parts", "size")

    def __init__(self) -> None:
        self.parts: list[Batch] = []
        self.count = self.size = 0


class Runs:
    """The runs of one line. One thread at a time."""

    def __init__(self, venue: Venue, right: Right, budget: RunBudget) -> None:
        self._right, self._budget = right, budget
        self._starts_anew = venue.starts_anew
        self._runs: dict[Topic, TopicRun] = {}
        # By channel: the types of events about which `starts_anew` is asked.
        self._whole = {name: frozenset(its.whole) for name, its in venue.channels.items() if its.whole}
        self._size = self._billed = 0

    def keep(self, batch: Batch, topics: Collection[Topic], size: int) -> list[Topic]:
        """The events of one batch, `size` bytes of it. Returns the topics that have started again with it.

        `topics`: all that occur in it, each once.
        """
        started: list[Topic] = []
        kept = [topic for topic in topics if topic.channel in self._whole]
        if kept:
            parts = {kept[0]: batch} if len(topics) == 1 else _by_topic(batch)
            for topic in kept:
                if self._keep_part(topic, parts[topic], size * len(parts[topic]) // len(batch)):
                    started.append(topic)
        if abs(self._size - self._billed) > BILL:
            self._bill()
        return started

    def parts(self, topic: Topic) -> list[Batch] | None:
        """What makes this topic whole; None: that is not known, or is too much."""
        run = self._runs.get(topic)
        return None if run is None else run.parts

    def forget(self, topic: Topic) -> None:
        """What was kept of it does not lead to what comes next."""
        run = self._runs.pop(topic, None)
        if run is not None:
            self._size -= run.size

    def forget_all(self) -> None:
        for topic in list(self._runs):
            self.forget(topic)
        self._bill()

    def _keep_part(self, topic: Topic, part: Batch, size: int) -> bool:
        whole = self._last_whole(topic, part)
        if whole is not None:
            self.forget(topic)
            self._runs[topic] = TopicRun()
            part = part.piece(whole)
        run = self._runs.get(topic)
        if run is None:
            return False
        run.parts.append(part)
        run.count += len(part)
        run.size += size
        self._size += size
        if run.count > EVENTS or run.size > BYTES:
            self.forget(topic)
        return whole is not None

    def _last_whole(self, topic: Topic, part: Batch) -> int | None:
        events = part.events
        if self._whole[topic.channel].isdisjoint(map(type, events)):  # as mostly
            return None
        for place in range(len(events) - 1, -1, -1):
            if self._starts_anew(topic, events[place]):
                return place
        return None

    def _bill(self) -> None:
        self._billed = self._size
        if not self._budget.keeps(self._right, self._size) and self._runs:
            self.forget(max(self._runs, key=lambda topic: self._runs[topic].size))
            self._billed = self._size
            self._budget.keeps(self._right, self._size)


def _by_topic(batch: Batch) -> dict[Topic, Batch]:
    places: dict[Topic, list[int]] = {}
    for place, topic in enumerate(batch.topics):
        places.setdefault(topic, []).append(place)
    return {topic: batch.at(mine) for topic, mine in places.items()}
