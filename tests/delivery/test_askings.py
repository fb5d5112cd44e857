"""Subscriptions leave when the routes of their own placements are there, and those of one asking together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.delivery.askings import Askings
from actors.delivery.table import Route
from actors.events import Topic
from tests.delivery.streams import TOPICS, A, B, C


def routes(**numbers: int) -> dict[Topic, Route]:
    """By the topics' keys."""
    return {Topic("o2", "trades", key): Route(number) for key, number in numbers.items()}


def test_what_has_its_routes_leaves_at_once() -> None:
    assert Askings().add(1, {A: 7, B: 8}, routes(A=7, B=8)) == [(1, (A, B))]


def test_an_asking_waits_for_the_last_of_its_routes() -> None:
    askings = Askings()
    assert askings.add(1, {A: 7, B: 8}, routes(A=7)) == []
    assert askings.routed(B, routes(A=7, B=5)) == []  # of another placement
    assert askings.routed(C, routes(A=7, B=8, C=1)) == []
    assert askings.routed(B, routes(A=7, B=8)) == [(1, (A, B))]
    assert askings.routed(B, routes(A=7, B=8)) == []


def test_a_topic_that_is_taken_back_is_not_waited_for() -> None:
    askings = Askings()
    askings.add(1, {A: 7, B: 8}, routes(A=7))
    assert askings.cancel([B], routes(A=7)) == [(1, (A,))]
    askings.add(2, {C: 9}, {})
    assert askings.cancel([C], {}) == []
    assert askings.routed(C, routes(C=9)) == []


def test_an_asking_that_is_repeated_changes_nothing() -> None:
    askings = Askings()
    assert askings.add(3, {A: 7}, routes(A=7)) == [(3, (A,))]
    assert askings.add(3, {A: 7}, routes(A=7)) == []
    assert askings.add(2, {B: 8}, routes(B=8)) == []


def test_the_newest_asking_of_a_topic_counts() -> None:
    askings = Askings()
    askings.add(1, {A: 7, B: 8}, routes(B=8))
    assert askings.add(2, {A: 9}, routes(B=8)) == [(1, (B,))]
    assert askings.routed(A, routes(A=7, B=8)) == []
    assert askings.routed(A, routes(A=9, B=8)) == [(2, (A,))]


@given(st.lists(st.sets(st.sampled_from(TOPICS), min_size=1), min_size=1, max_size=6), st.data())
def test_every_topic_that_is_still_wanted_leaves_once(wanted: list[set[Topic]], data: st.DataObject) -> None:
    """Whatever the order in which askings and routes come."""
    askings, present, left = Askings(), dict[Topic, Route](), list[tuple[int, Topic]]()
    newest: dict[Topic, int] = {}
    for number, topics in enumerate(wanted, 1):
        newest |= dict.fromkeys(topics, number)
        for asking, ready in askings.add(number, dict.fromkeys(topics, number), present):
            left += [(asking, topic) for topic in ready]
        for topic in data.draw(st.sets(st.sampled_from(sorted(newest)))):
            present[topic] = Route(newest[topic])
            for asking, ready in askings.routed(topic, present):
                left += [(asking, each) for each in ready]
    for topic, placement in newest.items():
        present[topic] = Route(placement)
        for asking, ready in askings.routed(topic, present):
            left += [(asking, each) for each in ready]
    assert {(number, topic) for topic, number in newest.items()} <= set(left)
    assert len(left) == len(set(left))
