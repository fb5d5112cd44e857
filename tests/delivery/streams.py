"""Streams without a runtime, and those who write into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from actors.delivery.arrivals import Right
from actors.delivery.backfills import Asking, Cancel
from actors.delivery.holder import Holder
from actors.delivery.inlet import Inlet, Put
from actors.delivery.last_events import LastEvents
from actors.delivery.routing import Routing
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route
from actors.events import Gap, Lifecycle, Marker, Repaired, Topic
from actors.protocol import Backfilled, Call
from actors.rules.backfill import NEVER
from actors.rules.counters import LineCounters
from actors.rules.latest_price import Prices
from actors.rules.stream_buffer import Origin, Policy
from tests.delivery.venue import STUB
from tests.support.batches import Pair, batch_of

A, B, C = TOPICS = tuple(Topic("o2", "trades", key) for key in "ABC")
LINE = "o2"


class Writer:
    """Puts into one stream as a connection does, with a right of its own."""

    def __init__(self, inlet: Inlet, right: Right | None = None) -> None:
        self.inlet = inlet
        self.right = right or Right()

    def put(
        self, pairs: list[Pair], origin: Origin, indexes: Sequence[int] | None = None, now: float = 0.0
    ) -> Put:
        return self.inlet.put(self.right, batch_of(pairs, origin, indexes), now)

    def mark(self, marker: Marker) -> None:
        self.inlet.mark(self.right, marker)


def whole_route(routing: Routing, topic: Topic, number: int) -> Route:
    """The route of a placement of its own, to every stream that wants the topic."""
    return routing.joined("elsewhere", topic, number, routing.by_topic.get(topic, ()))


def new_inlet(
    policy: Policy = "block", capacity: int = 100, *, id: int = 1, deltas: bool = False, topics: int = 2
) -> Inlet:
    inlet = Inlet(id, "o2", "trades", policy, capacity, deltas=deltas)
    inlet.set_topics(topics)
    return inlet


def read(inlet: Inlet) -> Iterator[Pair | Marker]:
    """All that waits in a stream: events with their topics, and markers."""
    hand = inlet.buffer.hand
    while True:
        with inlet.ready:
            if not hand:
                marker = inlet.buffer.reach()
                inlet.notice_room()
                if marker is not None:
                    yield marker
                    continue
                if not hand:
                    return
            yield inlet.buffer.reached_for.topics[-len(hand)], hand.popleft()


def told(inlet: Inlet) -> list[str]:
    """All that waits in a stream, in a word each."""
    return [word(item) for item in read(inlet)]


def word(item: Pair | Marker) -> str:
    """One of these."""
    match item:
        case Lifecycle(state=state):
            return state
        case Gap(topic=topic, reason=reason):
            return f"{reason} gap in {topic.key}"
        case Repaired(count=count, complete=complete):
            return f"{count} {'repaired' if complete else 'of more'}"
        case (_, str(event)):
            return event
        case _:
            return "closed"


class NoQuestions:
    """Of a line whose topics are not back-filled."""

    def ask_backfill(self, number: int, call: Call[Backfilled], seconds: float) -> Cancel:
        raise NotImplementedError

    def venue_failed(self, topic: Topic) -> None:
        raise NotImplementedError

    def note_filled(self, topics: list[Topic], events: list[Any]) -> None:
        raise NotImplementedError

    def wake(self) -> None:
        raise NotImplementedError


NOT_ASKING = Asking(NoQuestions(), NEVER, float, int)


def unwant(routing: Routing, stream: int, topics: Iterable[Topic] | None) -> list[Topic]:
    """Those that this stream wants no longer, as the dispatcher takes them out."""
    gone = routing.wanted(stream, topics)
    for topic in gone:
        routing.leave(stream, topic)
    routing.forget(stream, gone)
    return gone


def new_holder(
    right: Right | None = None, state: DeliveryState | None = None, last_events: LastEvents | None = None
) -> Holder:
    """What the first connection of a line shows."""
    state, last_events = state or DeliveryState(), last_events or LastEvents(Prices(STUB))
    counters, states = LineCounters(), state.venue_states
    return Holder(1, STUB, right or Right(), counters, last_events, state.settled, states, 0.0)
