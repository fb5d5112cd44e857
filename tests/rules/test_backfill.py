"""One loss of one topic: when the venue is asked, what ends it, and what its stream is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from actors.events import Gap, Repaired, Topic
from actors.protocol import Backfilled, Channel
from actors.protocol.backfill import Loss
from actors.rules.backfill import (
    ACCOUNT_HOLD,
    ASK_AGAIN,
    NEVER,
    NEXT,
    BackfillPolicy,
    Fill,
    FillEvent,
    FillState,
    HeldEvents,
)
from actors.venues import VENUES

TOPIC = Topic("feed", "fills", "1")
GAP = Gap(TOPIC, "disconnect", None, 100, 200, 2)


def new_fill(
    last: int | None = 3,
    *,
    before: frozenset[Hashable] = frozenset(),
    joins: Callable[[Any], bool] = lambda _: True,
) -> Fill:
    return Fill(TOPIC, 100, last, 12.0, before=before, joins=joins)


def held(*events: int) -> HeldEvents:
    return HeldEvents(list(events), 1, 0.0, 10 * len(events))


def part(*events: int, why: str = "no seam", reaches_ns: int | None = None, lags: bool = False) -> Backfilled:
    return Backfilled(events, complete=False, why=why, reaches_ns=reaches_ns, lags=lags)


def whole(*events: int) -> Backfilled:
    return Backfilled(events, complete=True)


def itself(event: Any) -> Hashable:
    return int(event)


def nameless(event: Any) -> None:
    """No event can be told from another."""


# ── which channels, and for how long ────────────────────────────────────────────────────────────

ACCOUNT = Channel("fills", int, "fills", account=True, backfill=True)
MARKET = Channel("trades", int, "trades", backfill=True)
CHANGES = Channel("depth", int, "changes", backfill=True, deltas=True)
WITHOUT = Channel("quotes", int, "quotes", account=True)


@pytest.mark.parametrize(
    ("policy", "filled"),
    [
        (BackfillPolicy(), [ACCOUNT]),
        (BackfillPolicy(channels=True), [ACCOUNT, MARKET]),
        (BackfillPolicy(channels=("trades", "depth", "quotes")), [MARKET]),
        (BackfillPolicy(channels=()), []),
        (NEVER, []),
    ],
    ids=["by default", "all", "by name", "no name", "none"],
)
def test_what_can_be_back_filled_is_it_as_the_config_wants(
    policy: BackfillPolicy, filled: list[Channel]
) -> None:
    every = (ACCOUNT, MARKET, CHANGES, WITHOUT)
    assert [channel for channel in every if policy.seconds(channel)] == filled


def test_events_of_an_account_wait_two_seconds_at_most() -> None:
    policy = BackfillPolicy(channels=True, hold=8.0)
    assert (policy.seconds(ACCOUNT), policy.seconds(MARKET)) == (ACCOUNT_HOLD, 8.0)
    assert structs.replace(policy, hold=0.5).seconds(ACCOUNT) == 0.5


# ── asking ──────────────────────────────────────────────────────────────────────────────────────


def test_a_complete_answer_ends_it() -> None:
    fill = new_fill()
    assert fill.ask(150) == Loss(100, 150, 3, None)
    fill.answered(whole(4, 5), 10.0)
    assert (fill.is_over, fill.brought(itself)) == (True, ([4, 5], 0))
    assert fill.repaired(GAP, 2) == Repaired(GAP, 2, True)


def test_with_the_first_event_after_the_loss_the_venue_is_asked_once_more() -> None:
    fill = new_fill()
    fill.ask(150)
    fill.answered(part(4), 10.0)
    assert not fill.is_over
    assert not fill.is_due
    fill.hold(held(6, 7))
    assert fill.is_due
    assert fill.ask(160) == Loss(100, 160, 3, 6)
    fill.answered(whole(4, 5), 10.0)
    assert (fill.is_over, fill.brought(itself)) == (True, ([4, 5], 0))


def test_an_event_that_comes_before_the_first_answer_is_asked_with_after_it() -> None:
    fill = new_fill()
    fill.ask(150)
    fill.hold(held(6))
    assert not fill.is_due
    fill.answered(part(4), 10.0)
    assert fill.is_due


def test_where_the_first_event_is_there_at_once_the_venue_is_asked_only_once() -> None:
    fill = new_fill()
    fill.hold(held(6))
    assert fill.ask(150).first == 6
    fill.answered(part(4, 5), 10.0)
    assert fill.is_over


def test_without_an_event_before_the_loss_nothing_can_complete_a_part() -> None:
    fill = new_fill(last=None)
    fill.ask(150)
    fill.answered(part(4), 10.0)
    assert fill.is_over
    assert fill.brought(itself) == ([4], 0)


def test_the_second_answer_counts_unless_it_has_less() -> None:
    fill = new_fill()
    fill.ask(150)
    fill.hold(held(6))
    fill.answered(part(4, 5), 10.0)
    fill.ask(150)
    fill.answered(part(4), 10.0)
    assert fill.brought(itself) == ([4, 5], 0)


def test_a_list_that_lags_behind_the_first_event_is_asked_for_once_more_half_a_second_later() -> None:
    fill = new_fill()
    fill.hold(held(6))
    fill.ask(150)
    fill.answered(part(4, lags=True), 10.0)
    assert (fill.is_over, fill.due_at) == (False, 10.0 + ASK_AGAIN)
    fill.hold(held(7))
    assert fill.due_at == 10.0 + ASK_AGAIN
    assert fill.ask(160) == Loss(100, 160, 3, 6)
    fill.answered(whole(4, 5), 10.6)
    assert (fill.is_over, fill.brought(itself)) == (True, ([4, 5], 0))


def test_a_list_that_lags_once_more_is_not_asked_for_again() -> None:
    fill = new_fill()
    fill.hold(held(6))
    fill.ask(150)
    fill.answered(part(4, lags=True), 10.0)
    fill.ask(160)
    fill.answered(part(4, 5, lags=True), 10.6)
    assert (fill.is_over, fill.is_complete, fill.brought(itself)) == (True, False, ([4, 5], 0))


def test_without_time_left_a_list_that_lags_is_not_asked_for_again() -> None:
    fill = new_fill()
    fill.hold(held(6))
    fill.ask(150)
    fill.answered(part(4, lags=True), 11.5)
    assert fill.is_over


def test_what_lagged_at_the_end_of_its_time_is_told_as_such() -> None:
    fill = new_fill()
    fill.hold(held(6))
    fill.ask(150)
    fill.answered(part(4, why="it lags", lags=True), 11.0)
    fill.expire(2.0)
    assert fill.repaired(GAP, 1).text == "it lags"


def test_an_event_that_changes_an_earlier_one_is_no_bound_of_the_loss() -> None:
    fill = new_fill(joins=lambda event: event < 100)
    fill.ask(150)
    fill.hold(held(103))
    fill.answered(part(4), 10.0)
    assert not fill.is_due
    fill.hold(held(103, 8))
    assert fill.ask(160).first == 8
    fill.answered(whole(4, 103, 5, 8, 9), 10.0)
    assert fill.brought(itself) == ([4, 5], 3)


def test_what_was_delivered_before_the_loss_is_left_out_wherever_it_stands() -> None:
    fill = new_fill(before=frozenset({2, 3, 5}))
    fill.ask(150)
    fill.answered(whole(4, 5, 6), 10.0)
    assert fill.brought(itself) == ([4, 6], 1)


# ── the end without a complete answer ───────────────────────────────────────────────────────────


def test_without_an_answer_the_whole_gap_lacks() -> None:
    fill = new_fill()
    fill.ask(150)
    fill.hold(held(6))
    fill.expire(2.0)
    assert fill.brought(itself) == ([], 0)
    text = "the venue did not answer within 2 s"
    assert fill.repaired(GAP, 0) == Repaired(GAP, 0, False, text, 100, 200)


def test_what_a_partial_answer_reaches_does_not_lack() -> None:
    fill = new_fill()
    fill.ask(190)
    fill.answered(part(4, reaches_ns=170), 10.0)
    fill.expire(2.0)
    assert fill.repaired(GAP, 1) == Repaired(GAP, 1, False, "no seam", 170, 200)


def test_a_failed_second_question_leaves_what_the_first_one_brought() -> None:
    fill = new_fill()
    fill.ask(150)
    fill.hold(held(6))
    fill.answered(part(4), 10.0)
    fill.ask(150)
    fill.failed("http 429")
    assert fill.brought(itself) == ([4], 0)
    assert fill.repaired(GAP, 1).text == "no seam; http 429"


def test_a_question_that_reached_beyond_the_gap_leaves_open_what_lies_there() -> None:
    fill = new_fill()
    fill.ask(260)
    fill.failed("lost")
    assert fill.repaired(GAP, 0).lacks_until_ns == 260


# ── nothing twice ───────────────────────────────────────────────────────────────────────────────


def test_what_was_delivered_before_and_what_waits_behind_is_left_out() -> None:
    fill = new_fill(last=3)
    fill.hold(held(6, 7))
    fill.ask(150)
    fill.answered(part(2, 3, 4, 4, 5, 6), 10.0)
    assert fill.brought(itself) == ([4, 5], 4)


def test_what_lies_behind_the_first_event_that_waits_is_left_to_the_stream() -> None:
    fill = new_fill(last=3)
    fill.hold(held(5))
    fill.ask(150)
    fill.answered(part(4, 5, 6), 10.0)
    assert fill.brought(itself) == ([4], 2)


def test_events_that_cannot_be_told_apart_are_all_delivered() -> None:
    fill = new_fill(last=3)
    fill.hold(held(6))
    fill.ask(150)
    fill.answered(part(3, 6, 6), 10.0)
    assert fill.brought(nameless) == ([3, 6, 6], 0)


@given(
    last=st.none() | st.integers(0, 5),
    given_events=st.lists(st.integers(0, 12), max_size=12),
    waiting=st.lists(st.integers(6, 12), max_size=4),
)
def test_no_event_comes_twice_and_none_of_the_answer_is_lost(
    last: int | None, given_events: list[int], waiting: list[int]
) -> None:
    fill = new_fill(last)
    if waiting:
        fill.hold(held(*waiting))
    fill.ask(150)
    fill.answered(part(*given_events), 10.0)
    brought, left_out = fill.brought(itself)
    places = [place for place, event in enumerate(given_events) if event in waiting]
    inside = given_events[: places[0]] if places else given_events
    known = {last} if last is not None else set()
    assert len(brought) + left_out == len(given_events)
    assert len(set(brought)) == len(brought)
    assert known.isdisjoint(brought)
    before = inside[: _place_of(last, inside)]
    assert set(brought) | known | set(before) >= set(inside)
    assert set(waiting).isdisjoint(brought)


def _place_of(last: int | None, events: Iterable[int]) -> int:
    places = [place for place, event in enumerate(events) if event == last]
    return places[-1] + 1 if places else 0


# ── the table ───────────────────────────────────────────────────────────────────────────────────

HAPPENS = {
    FillState.DUE: {
        FillEvent.ASKS,
        FillEvent.ASKS_TO_FIRST,
        FillEvent.FIRST,
        FillEvent.FAILED,
        FillEvent.ENDED,
    },
    FillState.ASKED: {
        FillEvent.FIRST,
        FillEvent.WHOLE,
        FillEvent.PART,
        FillEvent.PART_AND_FIRST,
        FillEvent.FINAL_PART,
        FillEvent.FAILED,
        FillEvent.ENDED,
    },
    FillState.AWAITS_FIRST: {FillEvent.FIRST, FillEvent.ENDED},
    FillState.ASKED_TO_FIRST: {
        FillEvent.WHOLE,
        FillEvent.LAGS,
        FillEvent.FINAL_PART,
        FillEvent.FAILED,
        FillEvent.ENDED,
    },
    FillState.AWAITS_LIST: {FillEvent.ASKS_AGAIN, FillEvent.FAILED, FillEvent.ENDED},
    FillState.ASKED_AGAIN: {
        FillEvent.WHOLE,
        FillEvent.FINAL_PART,
        FillEvent.FAILED,
        FillEvent.ENDED,
    },
    FillState.OVER: set(),
}


@pytest.mark.parametrize("state", FillState, ids=str)
def test_the_table_has_a_row_for_each_event_that_can_happen_and_no_other(state: FillState) -> None:
    assert {event for known, event in NEXT if known is state} == HAPPENS[state]


STEPS = ["event", "void", "ask", "whole", "part", "lags", "fail", "expire"]


@given(st.lists(st.sampled_from(STEPS), max_size=16))
def test_in_any_order_the_venue_is_asked_three_times_at_most_and_it_ends_once(steps: list[str]) -> None:
    fill, asked, under_way = new_fill(joins=lambda event: event < 100), 0, False
    for number, step in enumerate(steps):
        if fill.is_over:
            break
        match step:
            case "event":
                fill.hold(held(10 + number))
            case "void":
                fill.hold(held(110 + number))
            case "ask" if fill.due_at <= 10.5:
                fill.ask(150)
                asked, under_way = asked + 1, True
            case "whole" | "part" | "lags" if under_way:
                fill.answered(whole(4) if step == "whole" else part(4, lags=step == "lags"), 10.0)
                under_way = False
            case "fail" if under_way:
                fill.failed("lost")
                under_way = False
            case "expire":
                fill.expire(2.0)
    assert asked <= 3
    if fill.is_over:
        repaired = fill.repaired(GAP, 0)
        assert repaired.complete or repaired.lacks_since_ns is not None


# ── venues ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [name for name in VENUES if name != "signalr"])
def test_a_channel_that_is_back_filled_has_ids_and_is_none_of_changes(name: str) -> None:
    filled = [channel for channel in VENUES[name].channels.values() if channel.backfill]
    assert [channel.name for channel in filled if channel.deltas or not channel.unique] == []
