"""A topic lies on the first line with room, held against a search through all of them."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.events import Topic
from actors.protocol.placement import Bound, Bounds, Placement
from tests.support.examples import examples

TOPICS = tuple(Topic("pier", channel, key) for channel in ("free", "few", "alone", "both") for key in "ABCDE")


def bounds_of(topic: Topic) -> Bounds:
    """Three topics of `few` and `both` lie on a line, of `alone` and `both` one of each mark."""
    few, alone = Bound("few", 3), Bound(("alone", topic.key in "AB"), 1)
    return {"free": (), "few": (few,), "alone": (alone,), "both": (few, alone)}[topic.channel]


def names(feed: str, count: int) -> list[str]:
    return [feed, *(f"{feed}/{number}" for number in range(2, count + 1))]


class AnyOrder(RuleBasedStateMachine):
    topics = st.sampled_from(TOPICS)

    def __init__(self) -> None:
        super().__init__()
        self.placement = Placement("pier")
        self.model: dict[str, list[Topic]] = {}

    def fits(self, topic: Topic, line: str) -> bool:
        others = self.model.get(line, [])
        return all(
            sum(bound in bounds_of(other) for other in others) < bound.most for bound in bounds_of(topic)
        )

    @rule(topic=topics)
    def add_where_there_is_room(self, topic: Topic) -> None:
        if self.placement.line_of(topic) is None:
            line = next(line for line in names("pier", len(TOPICS)) if self.fits(topic, line))
            assert self.placement.first_line(bounds_of(topic)) == line
            self.add(topic, line)

    @rule(topic=topics, line=st.sampled_from([*names("pier", 4), "pier/elsewhere"]))
    def add(self, topic: Topic, line: str) -> None:
        """Wherever it lay, and whether or not there is room."""
        if topic not in self.model.get(line, []):
            self.forget(topic)
            self.model.setdefault(line, []).append(topic)
        self.placement.add(topic, line, bounds_of(topic))

    @rule(topic=topics)
    def remove(self, topic: Topic) -> None:
        assert self.placement.remove(topic) == self.forget(topic)

    def forget(self, topic: Topic) -> str | None:
        """The line on which the model had it."""
        line = next((line for line, topics in self.model.items() if topic in topics), None)
        if line is not None:
            self.model[line].remove(topic)
            if not self.model[line]:
                del self.model[line]
        return line

    @rule(topic=topics)
    def a_copy_goes_on(self, topic: Topic) -> None:
        former, self.placement = self.placement, self.placement.copy()
        former.remove(topic)
        former.add(TOPICS[0], "pier/9", bounds_of(TOPICS[0]))

    @invariant()
    def it_holds_what_was_added(self) -> None:
        assert {line: list(topics) for line, topics in self.placement.items()} == self.model
        assert len(self.placement) == len(self.model)
        for line, topics in self.model.items():
            assert all(self.placement.line_of(topic) == line for topic in topics)


TestAnyOrder: Any = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)


def test_lines_that_are_always_there_may_be_empty() -> None:
    placement = Placement("pier", ["pier", "pier/user"])
    assert {line: list(topics) for line, topics in placement.items()} == {"pier": [], "pier/user": []}
    assert placement.first_line(()) == "pier"


A, B = (Topic("pier", "alone", key) for key in "AB")
ALONE = (Bound("alone", 1),)


def test_a_topic_that_is_placed_on_another_line_makes_room_on_the_former_one() -> None:
    placement = Placement("pier")
    placement.add(A, "pier", ALONE)
    placement.add(A, "pier/2", ALONE)
    assert (placement.line_of(A), list(placement)) == ("pier/2", ["pier/2"])
    assert placement.first_line(ALONE) == "pier"
    placement.add(B, "pier", ALONE)
    assert placement.first_line(ALONE) == "pier/3"


def test_a_topic_that_is_placed_twice_takes_room_once() -> None:
    placement, pair = Placement("pier"), (Bound("pair", 2),)
    placement.add(A, "pier", pair)
    placement.add(A, "pier", pair)
    assert placement.first_line(pair) == "pier"


def test_a_line_that_is_none_of_the_numbered_ones_takes_no_room_from_them() -> None:
    placement = Placement("pier")
    placement.add(A, "pier", ALONE)
    placement.add(B, "pier/user/2", ALONE)
    assert placement.first_line(ALONE) == "pier/2"


def test_a_placement_keeps_nothing_of_topics_that_have_left() -> None:
    placement = Placement("pier")
    for topic, line in ((A, "pier"), (B, "pier/2")):
        placement.add(topic, line, ALONE)
        placement.remove(topic)
    assert vars(placement) == vars(Placement("pier"))
