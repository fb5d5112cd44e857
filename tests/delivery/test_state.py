"""What the streams of a line are owed, as it changes hands."""

from __future__ import annotations

from actors.delivery.state import DeliveryState, Outage
from actors.delivery.table import Route
from actors.events import Gap
from tests.delivery.streams import A, B, C, new_inlet


def owing() -> DeliveryState:
    state = DeliveryState()
    state.attempt, state.up = 3, True
    state.settled = {A}
    state.outages = {1: Outage((B, C), "restored"), 2: Outage((B,), "connected")}
    state.blind = {B: 5, C: 6}
    state.blind_streams = {1: {B: 5, C: 6}, 2: {B: 5}}
    state.joining = {A: {2}}
    return state


def seen(state: DeliveryState) -> object:
    outages = {stream: (outage.waiting, outage.word) for stream, outage in state.outages.items()}
    others = {name: value for name, value in vars(state).items() if name != "outages"}
    return outages, others


def test_a_copy_is_changed_by_its_holder_alone() -> None:
    state = owing()
    copy = state.copy()
    assert seen(copy) == seen(state) == seen(owing())
    copy.settled.add(B)
    copy.outages[1].waiting.discard(B)
    del copy.outages[2]
    copy.blind.clear()
    copy.blind_streams[1].clear()
    copy.joining[A].clear()
    copy.gap(Gap(A, "sequence", 1, 1, 1, 1))
    copy.next_number()
    assert seen(state) == seen(owing())


def test_the_dispatchers_copy_follows_what_the_holder_reports() -> None:
    state, first, second = owing(), new_inlet(id=1), new_inlet(id=2)
    routes = {A: Route(1), B: Route(2, (first, second)), C: Route(3, (first,))}
    state.note_settled([B], routes)
    assert state.settled == {A, B}
    assert (state.blind, state.blind_streams) == ({C: 6}, {1: {C: 6}})
    assert {stream: outage.waiting for stream, outage in state.outages.items()} == {1: {C}}
    state.note_settled([C], {A: routes[A], B: routes[B]})  # lifted meanwhile
    assert (state.settled, set(state.outages)) == ({A, B}, {1})
    state.note_settled([C], routes)
    assert (state.outages, state.blind_streams, state.blind) == ({}, {}, {})


def test_who_was_let_in_when_a_topic_started_anew_joins_no_more_in_the_dispatchers_copy() -> None:
    """Else an ending without a last letter would leave no gap for a stream that has followed the topic."""
    state, stream = DeliveryState(), new_inlet(id=2)
    state.joining = {A: {2}, B: {2}}
    state.note_settled([A], {A: Route(1, (stream,)), B: Route(2, (stream,))})
    assert state.joining == {B: {2}}


def test_gaps_are_counted_and_the_last_one_is_known() -> None:
    state = DeliveryState()
    assert (state.gaps, state.last_gap) == (0, None)
    for missed in (1, 2):
        state.gap(Gap(A, "sequence", missed, 1, 1, 1))
    assert (state.gaps, state.last_gap) == (2, Gap(A, "sequence", 2, 1, 1, 1))


def test_words_grow_from_holder_to_holder_whether_or_not_the_last_letter_came() -> None:
    dispatcher = DeliveryState()
    said = [dispatcher.next_number()]
    epoch = dispatcher.copy()
    epoch.begin_epoch(1)
    said += [epoch.next_number() for _ in range(100)]
    dispatcher.end_epoch(1)  # its last letter is missing
    said.append(dispatcher.next_number())
    late = epoch.next_number()  # it goes on, and does not know
    assert late < said[-1]
    following = dispatcher.copy()
    following.begin_epoch(2)
    said.append(following.next_number())
    returned = following  # it hands its state back
    said.append(returned.next_number())
    assert said == sorted(set(said))


def test_an_epoch_that_has_ended_without_a_word_takes_no_number_back() -> None:
    state = DeliveryState()
    state.begin_epoch(2)
    number = state.next_number()
    state.begin_epoch(1)
    state.end_epoch(1)
    assert state.next_number() == number + 1
