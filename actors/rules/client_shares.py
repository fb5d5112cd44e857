"""How many tails, topics and lines the clients of the service may have opened at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TypeVar

from msgspec import Struct

from actors.events import Topic
from actors.protocol.venue import Venue

Key = TypeVar("Key")


class ClientShares(Struct, frozen=True, kw_only=True):
    """What a client may have, and the lines that all clients together may open at one feed."""

    tails: int = 32
    topics: int = 2_000  # of all tails of a client; one that two of them have counts twice
    lines: int = 16


class OpenedTopics:
    """The topics that requests have opened. One thread at a time."""

    def __init__(self, shares: ClientShares) -> None:
        self._shares = shares
        self._tails: Counter[str] = Counter()
        self._topics: Counter[str] = Counter()
        self._opened: dict[str, Counter[Topic]] = {}  # by feed

    def refusal(self, client: str, topics: Collection[Topic]) -> str:
        """Why this client may not open a tail of these; empty: it may."""
        if self._tails[client] >= self._shares.tails:
            return f"this client has {self._tails[client]} tails open, as many as it may; end some of them"
        if (would := self._topics[client] + len(topics)) > self._shares.topics:
            return (
                f"with these, the tails of this client would have {would:,} topics, and "
                f"{self._shares.topics:,} are allowed; end some of them, or ask for fewer keys"
            )
        return ""

    def refused_lines(self, venue: Venue, wanted: Iterable[Topic], topics: Iterable[Topic]) -> str:
        """Why requests may not open these topics of a feed; empty: they may.

        `wanted`: the topics that the feed has by its config. Lines on which some of these lie count for none.
        """
        configured = dict.fromkeys(wanted)
        opened = dict.fromkeys(self._opened.get(venue.feed, ()))
        further = {topic: None for topic in topics if topic not in configured and topic not in opened}
        if not further:
            return ""
        own = {*venue.first_lines(), *venue.spread(configured)}
        before = venue.spread((configured | opened).keys()).keys() - own
        after = venue.spread((configured | opened | further).keys()).keys() - own
        if len(after) <= max(len(before), self._shares.lines):
            return ""
        return (
            f"{venue.feed}: requests may open {self._shares.lines} lines, and with this they would have "
            f"{len(after)}; name the topic under subscribe of the feed, end a tail, or raise lines in "
            "[service.limits]"
        )

    def open(self, topics: Collection[Topic]) -> None:
        for topic in topics:
            self._opened.setdefault(topic.feed, Counter())[topic] += 1

    def close(self, topics: Collection[Topic]) -> None:
        for topic in topics:
            opened = self._opened[topic.feed]
            _take(opened, topic, 1)
            if not opened:
                del self._opened[topic.feed]

    def open_tail(self, client: str, topics: Collection[Topic]) -> None:
        self._tails[client] += 1
        self._topics[client] += len(topics)
        self.open(topics)

    def close_tail(self, client: str, topics: Collection[Topic]) -> None:
        _take(self._tails, client, 1)
        _take(self._topics, client, len(topics))
        self.close(topics)


def _take(counter: Counter[Key], key: Key, count: int) -> None:
    """Zeros take no room."""
    counter[key] -= count
    if not counter[key]:
        del counter[key]
