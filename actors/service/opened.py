"""Bounds on what requests open: tails and topics of each client, and lines at each feed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from functools import partial

from actors.events import Topic
from actors.protocol.venue import Venue
from actors.rules.client_shares import ClientShares, OpenedTopics
from actors.runtime import Runtime
from actors.service.responses import RequestDeclined
from actors.settings.schema import ServiceLimits


class Opened:
    """Any thread may call. `client`: see `Caller.client`."""

    def __init__(self, runtime: Runtime, limits: ServiceLimits) -> None:
        self._runtime = runtime
        self._topics = OpenedTopics(
            ClientShares(tails=limits.tails, topics=limits.topics, lines=limits.lines)
        )
        self._lock = threading.Lock()
        self._closed = ""  # why nothing is opened any more

    def close(self, why: str) -> None:
        """Nothing is opened from now on."""
        self._closed = why

    def tail(self, client: str, venue: Venue, topics: Collection[Topic]) -> Callable[[], None]:
        """Counts a tail of these topics. Returns what ends that, and is to be called once.

        Raises:
            RequestDeclined: the client has as many as it may, or requests have opened too many lines (429);
                or nothing is opened any more (503).
        """
        with self._lock:
            self._refuse_if_closed()
            if refusal := self._topics.refusal(client, topics):
                raise RequestDeclined(429, refusal)
            self._refuse_lines(venue, topics)
            self._topics.open_tail(client, topics)
        return partial(self._end_tail, client, topics)

    def _end_tail(self, client: str, topics: Collection[Topic]) -> None:
        with self._lock:
            self._topics.close_tail(client, topics)

    def begin_book(self, topic: Topic) -> None:
        """Raises: RequestDeclined: requests have opened as many lines as they may (429)."""
        with self._lock:
            self._refuse_if_closed()
            self._refuse_lines(self._runtime._spec_of(topic.feed).venue, (topic,))
            self._topics.open((topic,))

    def end_book(self, topic: Topic) -> None:
        with self._lock:
            self._topics.close((topic,))

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RequestDeclined(503, self._closed)

    def _refuse_lines(self, venue: Venue, topics: Collection[Topic]) -> None:
        wanted = self._runtime._spec_of(venue.feed).wanted
        if refusal := self._topics.refused_lines(venue, wanted, topics):
            raise RequestDeclined(429, refusal)
