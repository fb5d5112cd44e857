"""What a connection is to ask of its venue, kept until its budget has room.

Requests that wait share frames: topics that are given up one by one leave together. A topic that is given
up before it was asked for is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from actors.events import Topic


class SubscribeRequest(Struct, frozen=True):
    """Subscribe to these; `number` is the registry's, of the asking."""

    topics: tuple[Topic, ...]
    number: int


class UnsubscribeRequest(Struct, frozen=True):
    """Give these up."""

    topics: tuple[Topic, ...]


class ResyncRequest(Struct, frozen=True):
    """Make the venue send these from the start."""

    topics: tuple[Topic, ...]


VenueRequest = SubscribeRequest | UnsubscribeRequest | ResyncRequest


class WaitingRequest:
    """Topics of one kind of request that wait; `number`: of an asking, None where they are given up."""

    __slots__ = ("number", "topics")

    def __init__(self, number: int | None) -> None:
        self.number = number
        self.topics: dict[Topic, None] = {}


class VenueRequests:
    """Of one connection, in order; resyncs come first, since a stream has a hole until then."""

    def __init__(self) -> None:
        self._resync: dict[Topic, None] = {}
        self._queue: list[WaitingRequest] = []  # mostly empty; a deque is large
        self._asked: dict[Topic, WaitingRequest] = {}  # subscriptions that wait

    def __bool__(self) -> bool:
        return bool(self._resync or self._queue)

    def subscribe(self, number: int, topics: Iterable[Topic]) -> None:
        request = WaitingRequest(number)
        for topic in topics:
            self._cancel(topic)  # the newest asking counts
            request.topics[topic] = None
            self._asked[topic] = request
        self._queue.append(request)

    def unsubscribe(self, topics: Iterable[Topic]) -> None:
        topics = tuple(topics)
        for topic in topics:
            self._cancel(topic)
            self._resync.pop(topic, None)
        if not self._queue or self._queue[-1].number is not None:
            self._queue.append(WaitingRequest(None))
        self._queue[-1].topics.update(dict.fromkeys(topics))

    def resync(self, topics: Iterable[Topic]) -> None:
        """But for topics that are to be asked for or given up: they start from the beginning in any case."""
        waiting = [request.topics for request in self._queue]
        self._resync.update((topic, None) for topic in topics if not any(topic in each for each in waiting))

    def take(self, most: int) -> VenueRequest | None:
        """The next request, of so many topics at most; None: nothing waits."""
        if self._resync:
            return ResyncRequest(_taken(self._resync, most))
        while self._queue:
            first = self._queue[0]
            topics = _taken(first.topics, most)
            if not first.topics:
                del self._queue[0]
            if not topics:
                continue
            if first.number is None:
                return UnsubscribeRequest(topics)
            for topic in topics:
                del self._asked[topic]
            return SubscribeRequest(topics, first.number)
        return None

    def _cancel(self, topic: Topic) -> None:
        request = self._asked.pop(topic, None)
        if request is None:
            return
        del request.topics[topic]
        if not request.topics and self._queue and request is self._queue[-1]:
            del self._queue[-1]  # what is wanted and given up again and again fills no memory


def _taken(topics: dict[Topic, None], most: int) -> tuple[Topic, ...]:
    """Takes the first of them out."""
    some = tuple(islice(topics, most))
    for topic in some:
        del topics[topic]
    return some
