"""The routes of one line, held against a model."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.delivery.inlet import Inlet
from actors.delivery.table import Route, RouteTable
from actors.events import Topic
from tests.delivery.streams import TOPICS, A, new_inlet
from tests.support.examples import examples

INLETS = tuple(new_inlet(id=number) for number in range(1, 5))


class AnyOrder(RuleBasedStateMachine):
    topics = st.sampled_from(TOPICS)
    inlets = st.lists(st.sampled_from(INLETS), max_size=4, unique=True)

    def __init__(self) -> None:
        super().__init__()
        self.table = RouteTable()
        self.model: dict[Topic, Route] = {}

    @rule(topic=topics, number=st.integers(1, 9), inlets=inlets)
    def set(self, topic: Topic, number: int, inlets: list[Inlet]) -> None:
        before = set(self.model[topic].inlets) if topic in self.model else set[Inlet]()
        self.model[topic] = route = Route(number, tuple(inlets))
        come, gone = self.table.set(topic, route)
        assert set(come) == set(inlets) - before
        assert set(gone) == before - set(inlets)
        assert (len(come), len(gone)) == (len(set(come)), len(set(gone)))

    @rule(topic=topics)
    def remove(self, topic: Topic) -> None:
        former = self.model.pop(topic, Route(0))
        assert self.table.remove(topic) == list(former.inlets)

    @rule(topic=topics, inlets=inlets)
    def a_copy_goes_on(self, topic: Topic, inlets: list[Inlet]) -> None:
        former, self.table = self.table, self.table.copy()
        former.set(topic, Route(99, tuple(inlets)))
        former.remove(TOPICS[0])

    @invariant()
    def it_says_what_was_set(self) -> None:
        assert self.table.routes == self.model
        for inlet in INLETS:
            wanted = {topic for topic, route in self.model.items() if inlet in route.inlets}
            assert set(self.table.wants(inlet.id)) == wanted
            assert (self.table.inlets.get(inlet.id) is inlet) == bool(wanted)
        assert self.table.topics.keys() == self.table.inlets.keys()


TestAnyOrder: Any = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(50), stateful_step_count=30, deadline=None)


def test_a_topic_without_a_stream_has_a_route() -> None:
    table = RouteTable()
    assert table.set(A, Route(1)) == ([], [])
    assert table.routes == {A: Route(1)}
    assert table.wants(1) == ()
