"""What the connection that delivers a line shows to any thread: by it, the topics of the line are judged."""

from __future__ import annotations

from collections.abc import Collection

from actors.delivery.arrivals import Right
from actors.delivery.last_events import LastEvents, ReceiptTime
from actors.events import Topic
from actors.protocol.numbers import known_time
from actors.protocol.venue import Venue
from actors.rules.counters import LineCounters
from actors.rules.freshness import Evidence, Signs
from actors.rules.venue_states import VenueStates


class Holder:
    """One epoch, as the holder of its line's delivery. Its thread writes, and any thread may read.

    `life` is that of a former holder if this one took over from it without a gap. `breaks` counts, for each
    topic, how often something of it was missing, or it became stale, in this life.
    """

    __slots__ = (
        "_broken",
        "breaks",
        "counters",
        "epoch",
        "last_events",
        "life",
        "life_since",
        "right",
        "settled",
        "since",
        "states",
        "venue",
    )

    def __init__(
        self,
        epoch: int,
        venue: Venue,
        right: Right,
        counters: LineCounters,
        last_events: LastEvents,
        settled: Collection[Topic],
        states: VenueStates,
        since: float,
    ) -> None:
        self.epoch, self.venue, self.right, self.counters = epoch, venue, right, counters
        self.last_events, self.settled, self.states = last_events, settled, states
        self.since = since  # monotonic seconds
        self.life, self.life_since = epoch, since
        self.breaks: dict[Topic, int] = {}
        self._broken: dict[Topic, ReceiptTime | None] = {}  # the last event before something was missing

    def follow(self, former: Holder) -> None:
        """It takes over without a gap."""
        self.life, self.life_since = former.life, former.life_since
        self.breaks, self._broken = former.breaks.copy(), former._broken.copy()

    def note_break(self, topic: Topic) -> None:
        """Something of it is missing, or it is stale, from now on."""
        self.breaks[topic] = self.breaks.get(topic, 0) + 1

    def note_missing(self, topic: Topic) -> None:
        """Something of it is missing: what is known is worth nothing until its next event."""
        self.note_break(topic)
        self._broken[topic] = self.last_events.stamps.get(topic)

    def forget(self, topic: Topic) -> None:
        """It lies on the line no longer."""
        self.breaks.pop(topic, None)
        self._broken.pop(topic, None)

    def evidence(self, topic: Topic, now: float, now_ns: int, *, dated: bool) -> Evidence:
        """What there is to judge the topic by. `dated`: the venue's time of its newest event, too."""
        counters, last_events = self.counters, self.last_events
        stamp = last_events.stamps.get(topic)
        at = None if stamp is None or stamp.at < counters.upgraded_at else stamp.at
        venue_ns = self._venue_time(topic) if dated and at is not None else None
        return Evidence(
            now=now,
            now_ns=now_ns,
            since=self.since,
            at=at,
            signs=Signs(
                counters.received_at, counters.message_at, counters.acknowledged_at, counters.event_at
            ),
            venue_ns=venue_ns,
            received_ns=0 if stamp is None else stamp.wall_ns,
            is_broken=topic in self._broken and self._broken[topic] is stamp,
            told=self.states.explaining(topic, now_ns),
            resumed_ns=self.states.resumed_ns(topic, now_ns),
        )

    def _venue_time(self, topic: Topic) -> int | None:
        event = self.last_events.events.get(topic)
        try:
            return None if event is None else known_time(self.venue.event_time_ns(event))
        except Exception:  # a defect of the venue's: the event names no time that can be read
            return None
