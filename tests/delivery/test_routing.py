"""Which stream wants which topic, held against a model."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.delivery.routing import Routing
from actors.delivery.table import Route
from actors.events import Topic
from tests.delivery.streams import LINE, TOPICS, A, B, new_inlet, unwant, whole_route
from tests.support.examples import examples

INLETS = {number: new_inlet(id=number) for number in range(1, 5)}


class AnyOrder(RuleBasedStateMachine):
    streams = st.sampled_from(sorted(INLETS))
    topics = st.lists(st.sampled_from(TOPICS), max_size=3)

    def __init__(self) -> None:
        super().__init__()
        self.routing = Routing()
        self.wants: dict[int, set[Topic]] = {number: set() for number in INLETS}

    @rule(stream=streams, topics=topics.filter(bool))
    def want(self, stream: int, topics: list[Topic]) -> None:
        new = self.routing.want(INLETS[stream], dict.fromkeys(topics))
        assert set(new) == set(topics) - self.wants[stream]
        self.wants[stream] |= set(topics)

    @rule(stream=streams, topics=topics)
    def unwant(self, stream: int, topics: list[Topic]) -> None:
        gone = unwant(self.routing, stream, dict.fromkeys(topics))
        assert set(gone) == set(topics) & self.wants[stream]
        self.wants[stream] -= set(topics)

    @rule(stream=streams)
    def leave(self, stream: int) -> None:
        assert set(unwant(self.routing, stream, None)) == self.wants[stream]
        self.wants[stream] = set()

    @rule(stream=streams, topics=topics)
    def a_copy_goes_on(self, stream: int, topics: list[Topic]) -> None:
        """Another dispatcher takes over, and the former one does not know it yet."""
        former, self.routing = self.routing, self.routing.copy()
        former.want(INLETS[stream], dict.fromkeys(topics))
        for other in INLETS:
            unwant(former, other, [A, B])

    @invariant()
    def routes_go_to_who_wants_them(self) -> None:
        for topic in TOPICS:
            route = whole_route(self.routing, topic, 7)
            wanted = {INLETS[stream] for stream, topics in self.wants.items() if topic in topics}
            assert (route.number, set(route.inlets)) == (7, wanted)
            assert len(route.inlets) == len(wanted)
        assert self.routing.subscribers.keys() == {stream for stream, topics in self.wants.items() if topics}
        assert self.routing.by_topic.keys() == {topic for topics in self.wants.values() for topic in topics}


TestAnyOrder: Any = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(50), stateful_step_count=30, deadline=None)


def test_a_copy_has_lines_of_its_own_and_a_right_of_its_own() -> None:
    routing = Routing()
    line = routing.line("o2")
    line.table.set(A, Route(1, (INLETS[1],)))
    line.state.settled.add(A)
    line.routed.add(4)
    copy = routing.copy()
    line.table.remove(A)
    line.state.settled.clear()
    line.routed.clear()
    line.epoch = 9
    routing.right.valid = False
    mine = copy.line("o2")
    assert (mine.table.routes, mine.state.settled) == ({A: Route(1, (INLETS[1],))}, {A})
    assert (mine.routed, mine.epoch) == ({4}, 0)
    assert copy.right.valid


def test_a_stream_comes_into_a_placement_when_the_registry_names_it() -> None:
    """The placement may be about to end, with a stream whose wish the registry has not read yet."""
    routing = Routing()
    one, other, late = INLETS[1], INLETS[2], INLETS[3]
    for inlet in (one, other, late):
        routing.want(inlet, [A])
    routing.line(LINE).table.set(A, routing.joined(LINE, A, 7, [one.id]))
    assert routing.joined(LINE, A, 7, [other.id]) == Route(7, (one, other))
    assert routing.joined(LINE, A, 7, [one.id, other.id]) == Route(7, (one, other))
    assert routing.joined(LINE, A, 8, [late.id, 0]) == Route(8, (late,))


def test_mending_lets_no_stream_into_a_placement() -> None:
    routing = Routing()
    one, left, late = INLETS[1], INLETS[2], INLETS[3]
    for inlet in (one, left):
        routing.want(inlet, [A])
    routing.line_of[A] = LINE
    routing.line(LINE).table.set(A, routing.joined(LINE, A, 7, [one.id, left.id]))
    unwant(routing, left.id, [A])
    routing.want(late, [A])
    routing.mend()
    assert routing.line(LINE).table.routes == {A: Route(7, (one,))}
