"""The states of lines as a stream: what a follower gets, whenever it comes and whatever it wants."""

from __future__ import annotations

from typing import cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.delivery.arrivals import Arrivals
from actors.delivery.inlet import Inlet
from actors.events import LIFECYCLE, Closed, Gap, Lifecycle, LifecycleState, Received, Topic
from actors.stream import LifecycleStream
from actors.supervision.lifecycles import Lifecycles
from tests.support.examples import examples
from tests.test_stream import Desk

NOW_NS = 1_000


class StoppedClock:
    def monotonic(self) -> float:
        return 5.0

    def wall_ns(self) -> int:
        return NOW_NS


FEEDS = {"o2": "o2", "o2/2": "o2", "iex": "iex"}  # by line


def told(line: str, state: LifecycleState, number: int = 1) -> Lifecycle:
    return Lifecycle(line, state, number, 0, "", number)


def new_lifecycles() -> Lifecycles:
    return Lifecycles(Arrivals(), StoppedClock())


def follower(lifecycles: Lifecycles, target: str | None = None, capacity: int = 1_000) -> LifecycleStream:
    inlet = Inlet(1, "*", LIFECYCLE, "drop_oldest", capacity, deltas=False)
    lifecycles.follow(inlet, target)
    return LifecycleStream(inlet, Desk())


def waiting(stream: LifecycleStream) -> list[Lifecycle]:
    return list(stream.take(0))


def test_a_follower_begins_with_the_present_state_of_each_line() -> None:
    lifecycles = new_lifecycles()
    for line, feed in FEEDS.items():
        lifecycles.tell(feed, told(line, "connecting"))
        lifecycles.tell(feed, told(line, "failed", 2))
    lifecycles.forget("o2/2")
    assert waiting(follower(lifecycles)) == [told("o2", "failed", 2), told("iex", "failed", 2)]


def test_an_event_says_of_which_line_it_is_and_when_it_came() -> None:
    lifecycles = new_lifecycles()
    lifecycles.tell("o2", told("o2/2", "connecting", 7))
    (received,) = [next(follower(lifecycles).with_meta())]
    assert received == Received(Topic("o2", "lifecycle", "o2/2"), NOW_NS, 7, told("o2/2", "connecting", 7))


def test_what_waits_is_as_old_as_its_arrival_and_not_as_the_change() -> None:
    lifecycles = new_lifecycles()
    lifecycles.tell("o2", told("o2", "failed"))
    stream = follower(lifecycles)
    stream._inlet._now = lambda: 7.0
    assert stream.lag_s == 2.0
    assert waiting(stream) == [told("o2", "failed")]
    assert stream.lag_s == 0.0


def test_a_follower_that_is_late_loses_the_oldest_of_its_events_behind_a_gap_of_each_line() -> None:
    lifecycles = new_lifecycles()
    stream = follower(lifecycles, capacity=2)
    for number in range(1, 6):
        lifecycles.tell("o2", told("o2", "reconnecting", number))
    lifecycles.tell("iex", told("iex", "connecting", 6))
    stream.close()
    gap, *rest = stream.with_markers()
    assert isinstance(gap, Gap)
    assert (gap.topic, gap.reason, gap.missed) == (Topic("o2", "lifecycle", "o2"), "overflow", 4)
    events = [told("o2", "reconnecting", 5), told("iex", "connecting", 6)]
    assert rest == [*events, Closed("close() was called")]


@pytest.mark.parametrize("again", [False, True])
def test_a_line_is_connected_the_first_time_and_restored_later(again: bool) -> None:
    lifecycles = new_lifecycles()
    lifecycles.tell("o2", told("o2", "connecting"))
    assert lifecycles.live_word("o2") == "connected"
    if again:
        lifecycles.tell("o2", told("o2", "connected"))
        lifecycles.tell("o2", told("o2", "disconnected"))
        assert lifecycles.live_word("o2") == "restored"
        lifecycles.forget("o2")  # it is no longer needed, and then it is
        lifecycles.tell("o2", told("o2", "connecting"))
        assert lifecycles.live_word("o2") == "connected"


def test_who_leaves_gets_nothing_more_and_the_end_closes_the_others() -> None:
    lifecycles = new_lifecycles()
    stream = follower(lifecycles)
    lifecycles.leave(stream.id)
    lifecycles.leave(stream.id)
    lifecycles.tell("o2", told("o2", "connecting"))
    assert waiting(stream) == []
    stream = follower(lifecycles)
    lifecycles.end("stopped", quiet=True)
    lifecycles.tell("o2", told("o2", "failed"))
    assert list(stream.with_markers()) == [told("o2", "connecting"), Closed("stopped")]


lines = st.sampled_from(sorted(FEEDS))
steps = st.one_of(
    st.tuples(lines, st.sampled_from(get_args(LifecycleState))),
    st.tuples(lines, st.just("gone")),
    st.tuples(st.sampled_from(["*", *sorted(FEEDS)]), st.just("follow")),
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(steps, max_size=30))
def test_each_follower_gets_what_it_wants_in_order(steps: list[tuple[str, str]]) -> None:
    lifecycles, present = new_lifecycles(), dict[str, Lifecycle]()
    followers: list[tuple[LifecycleStream, str | None, list[Lifecycle]]] = []

    def wants(target: str | None, line: str) -> bool:
        return target is None or target in (line, FEEDS[line])

    for number, (name, what) in enumerate(steps, 1):
        if what == "gone":
            lifecycles.forget(name)
            present.pop(name, None)
        elif what == "follow":
            target = None if name == "*" else name
            inlet = Inlet(number, name, LIFECYCLE, "drop_oldest", 1_000, deltas=False)
            lifecycles.follow(inlet, target)
            due = [each for line, each in present.items() if wants(target, line)]
            followers.append((LifecycleStream(inlet, Desk()), target, due))
        else:
            present[name] = told(name, cast(LifecycleState, what), number)
            lifecycles.tell(FEEDS[name], present[name])
            for _, target, mine in followers:
                mine.extend([present[name]] if wants(target, name) else [])
    for stream, _, due in followers:
        assert waiting(stream) == due
