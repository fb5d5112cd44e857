"""What the connection that delivers a line shows to any thread: by it, the topics of the line are judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from actors.delivery.arrivals import Right
from actors.delivery.last_events import LastEvents, ReceiptTime
from actors.events import Topic
from actors.protocol.numbers import known_time
from actors.protocol.venue import Venue
from actors.rules.counters import LineCounters
from actors.rules.freshness import Evidence, FreshnessPolicy, Policies, Signs
from actors.rules.venue_states import VenueStates

AT_ONCE: Final = 0.2  # seconds after the login within which a topic counts as subscribed to with it


class Holder:
    """One epoch, as the holder of its line's delivery. Its thread writes, and any thread may read.

    `life` is that of a former holder if this one took over from it without a gap. `breaks_of` counts how
    often something of a topic was missing, or it became stale by a policy, in this life.
    """

    __slots__ = (
        "_breaks",
        "_broken",
        "_settled_at",
        "_stale",
        "counters",
        "epoch",
        "filling",
        "heard_since",
        "last_events",
        "life",
        "life_since",
        "rejected",
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
        rejected: Collection[Topic] = (),
    ) -> None:
        self.epoch, self.venue, self.right, self.counters = epoch, venue, right, counters
        self.last_events, self.settled, self.states = last_events, settled, states
        self.rejected = rejected  # of the settled ones, those that the venue has refused
        self.since = since  # monotonic seconds
        self.life, self.life_since = epoch, since
        self.heard_since = counters.upgraded_at  # monotonic seconds: events from before are of another life
        self.filling: set[Topic] = set()  # their gaps are being filled: what is known of them is incomplete
        self._breaks: dict[Topic, int] = {}
        self._stale: dict[Topic, dict[FreshnessPolicy, int]] = {}
        self._broken: dict[Topic, ReceiptTime | None] = {}  # the last event before something was missing
        self._settled_at: dict[Topic, float] = {}  # of topics that came later than the login

    def follow(self, former: Holder) -> None:
        """It takes over without a gap."""
        self.life, self.life_since = former.life, former.life_since
        self.heard_since = former.heard_since
        self._breaks, self._broken = former._breaks.copy(), former._broken.copy()
        self._stale = {topic: counts.copy() for topic, counts in former._stale.copy().items()}

    def note_stale(self, topic: Topic, policy: FreshnessPolicy) -> None:
        """It breaks this policy from now on."""
        counts = self._stale.setdefault(topic, {})
        counts[policy] = counts.get(policy, 0) + 1

    def breaks_of(self, topic: Topic, policies: Policies) -> int:
        """How often something was missing, or one of these policies was broken."""
        found = self._breaks.get(topic, 0)
        if counts := self._stale.get(topic):  # mostly there are none
            found += sum(counts.get(policy, 0) for policy in policies)
        return found

    def note_settled(self, topics: Iterable[Topic], now: float) -> None:
        """The venue has answered for these. Their silence counts from now on, not from the login."""
        if now - self.since > AT_ONCE:
            self._settled_at.update((topic, now) for topic in topics if topic not in self.settled)

    def settled_at(self, topic: Topic) -> float:
        """Monotonic seconds, from which its silence counts where it has had no event."""
        return self._settled_at.get(topic, self.since)

    def note_missing(self, topic: Topic) -> None:
        """Something of it is missing: what is known is worth nothing until its next event."""
        self._breaks[topic] = self._breaks.get(topic, 0) + 1
        self._broken[topic] = self.last_events.stamps.get(topic)

    def note_filled(self, topic: Topic, *, complete: bool) -> None:
        """Its gap is filled. If not completely, its next event still ends what is missing."""
        if complete:
            self._broken.pop(topic, None)
        elif topic in self._broken:
            self._broken[topic] = self.last_events.stamps.get(topic)

    def forget(self, topic: Topic) -> None:
        """It lies on the line no longer."""
        self._breaks.pop(topic, None)
        self._broken.pop(topic, None)
        self._stale.pop(topic, None)
        self._settled_at.pop(topic, None)

    def evidence(self, topic: Topic, now: float, now_ns: int, *, dated: bool) -> Evidence:
        """What there is to judge the topic by. `dated`: the venue's time of its newest event, too."""
        counters, last_events = self.counters, self.last_events
        stamp = last_events.stamps.get(topic)
        at = None if stamp is None or stamp.at < self.heard_since else stamp.at
        venue_ns = self._venue_time(topic) if dated and at is not None else None
        return Evidence(
            now=now,
            now_ns=now_ns,
            since=self.settled_at(topic),
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
