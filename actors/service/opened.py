"""Bounds on what requests open: tails and topics of each client, also in a minute, and lines at each feed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from functools import partial

from actors.events import Topic
from actors.protocol.venue import Venue
from actors.rules.client_rate import ClientRate
from actors.rules.client_shares import ClientShares, OpenedTopics
from actors.runtime import Runtime
from actors.service.responses import RequestDeclined
from actors.settings.schema import ServiceLimits
from actors.timers import SystemClock


class Opened:
    """Any thread may call. `client`: see `Caller.client`."""

    def __init__(
        self,
        runtime: Runtime,
        limits: ServiceLimits,
        *,
        monotonic: Callable[[], float] = SystemClock.monotonic,
    ) -> None:
        self._runtime, self._monotonic = runtime, monotonic
        self._openings = ClientRate(limits.tail_openings)
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
            RequestDeclined: the client has as many as it may, or has opened too many within a minute, or
                requests have opened too many lines (429); or nothing is opened any more (503).
        """
        with self._lock:
            self._refuse_if_closed()
            if refusal := self._topics.refusal(client, topics):
                raise RequestDeclined(429, refusal)
            self._refuse_lines(venue, topics)
            self._count(client)
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

    def _count(self, client: str) -> None:
        """Each tail that is opened or closed changes the status: a flood would have it made all the time."""
        if seconds := self._openings.count(client, self._monotonic()):
            text = f"this client has opened {self._openings.most} tails within a minute, as many as it may"
            raise RequestDeclined(429, f"{text}; try again in {seconds} s", ("Retry-After", str(seconds)))

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RequestDeclined(503, self._closed)

    def _refuse_lines(self, venue: Venue, topics: Collection[Topic]) -> None:
        wanted = self._runtime._spec_of(venue.feed).wanted
        if refusal := self._topics.refused_lines(venue, wanted, topics):
            raise RequestDeclined(429, refusal)
