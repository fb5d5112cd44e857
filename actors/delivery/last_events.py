"""The newest event of each topic of a line, and when it came."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from actors.events import Topic
from actors.rules.latest_price import Prices

RECENT: Final = 100  # events of a topic that is back-filled


class ReceiptTime(Struct, frozen=True, gc=False):
    """When a batch came: monotonic seconds, and wall-clock nanoseconds."""

    at: float
    wall_ns: int


class LastEvents:
    """The newest event of each topic of a line, from the epoch before, too. One thread writes."""

    def __init__(self, prices: Prices) -> None:
        self.events: dict[Topic, Any] = {}  # the newest of each topic
        self.stamps: dict[Topic, ReceiptTime] = {}  # when it came
        self.recent: dict[Topic, deque[Any]] = {}  # the newest ones of topics that are back-filled
        self.prices = prices

    def keep(
        self, topics: Sequence[Topic], events: Sequence[Any], newest: dict[Topic, Any], stamp: ReceiptTime
    ) -> None:
        """One batch, and the newest event of each of its topics.

        The event comes first: a thread that looks between the two takes it for older.
        """
        if len(newest) == 1:  # the usual batch at a low rate; the rest would do, too
            topic = topics[0]
            self.events[topic], self.stamps[topic] = events[-1], stamp
        else:
            self.events.update(newest)
            self.stamps.update(dict.fromkeys(newest, stamp))
        self.prices.keep(topics, events, newest, stamp.at)

    def keep_recent(self, topic: Topic, events: Iterable[Any]) -> None:
        """More events of a topic that is back-filled."""
        recent = self.recent.get(topic)
        if recent is None:
            recent = self.recent[topic] = deque(maxlen=RECENT)
        recent.extend(events)

    def forget(self, topic: Topic) -> None:
        self.events.pop(topic, None)
        self.stamps.pop(topic, None)
        self.recent.pop(topic, None)
        self.prices.forget(topic)

    def keep_only(self, topics: Collection[Topic]) -> None:
        """These are all topics that are wanted."""
        for topic in [topic for topic in self.events if topic not in topics]:
            self.forget(topic)

    def copy(self) -> LastEvents:
        copy = LastEvents(self.prices.copy())
        copy.events, copy.stamps = self.events.copy(), self.stamps.copy()
        copy.recent = {topic: events.copy() for topic, events in self.recent.copy().items()}
        return copy
