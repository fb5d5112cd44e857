"""The fills that a loss has swallowed: asked for by REST, between the gap and what came after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from actors import Blind, Closed, Gap, Lifecycle, Received, Repaired, Runtime, Stream
from actors.simulators.faulty_proxy import FaultyProxy
from actors.simulators.projectx import SimulatedProjectX
from actors.status import LineStatus, Status
from tests.stories.test_projectx import ALICE, BOB, EP, USER, config, runtime_on
from tests.support.counters import reconciled, settle
from tests.support.runtimes import fresh, until

FILLS = {"channel": "account_trades", "keys": [ALICE]}
PAGE = "Trade/search"


@pytest.fixture
def px() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False) as simulator:
        yield simulator


@pytest.fixture
def runtime(px: SimulatedProjectX) -> Iterator[Runtime]:
    with runtime_on(px, subscribe=[FILLS]) as runtime:
        yield runtime


def fill(px: SimulatedProjectX, account: str = ALICE) -> int:
    """One that the venue has in its list, and tells who listens. Its id."""
    return int(px.user_trade(int(account), EP)["id"])


def fills(px: SimulatedProjectX, count: int) -> list[int]:
    return [fill(px) for _ in range(count)]


def followed(runtime: Runtime, *keys: str) -> Stream[Any]:
    return runtime.subscribe("projectx", "account_trades", *(keys or (ALICE,)), wait=10.0)


@contextmanager
def outage(px: SimulatedProjectX, runtime: Runtime) -> Iterator[None]:
    """Its lines are lost, and that of the user hub does not come back before the end of this."""
    px.refuse(503, n=1_000_000, only_hub="user")
    px.drop()
    until(runtime, lambda status: status.lines()[USER].state != "live")
    yield
    px.pending.set("refuse", "user", times=0)
    until(runtime, lambda status: status.lines()[USER].state == "live")


def items_to(stream: Stream[Any], last: int) -> list[Any]:
    """All items up to the fill of this id, but for the states of the line."""
    items: list[Any] = []
    for item in stream.items(timeout=20.0):
        if not isinstance(item, Lifecycle):
            items.append(item)
        if isinstance(item, Received) and int(item.event.id) == last:
            return items
    raise AssertionError(f"the stream ended before {last}: {items}")


def word(item: Any) -> object:
    """An id, negative if REST brought it, and a word for each marker."""
    match item:
        case Received(source="rest"):
            return -int(item.event.id)
        case Received():
            return int(item.event.id)
        case Repaired(complete=complete):
            return "repaired" if complete else "in part"
        case Closed():
            return "closed"
    assert isinstance(item, Gap)
    return "gap"


def told(stream: Stream[Any], last: int) -> list[object]:
    return [word(item) for item in items_to(stream, last)]


def negative(ids: list[int]) -> list[int]:
    return [-each for each in ids]


def user_line(runtime: Runtime) -> LineStatus:
    return fresh(runtime).lines()[USER]


def check_against(items: list[Any], said: list[int]) -> None:
    """The stream has the venue's list in order and once, or a marker where it lacks some of it."""
    place, is_open = 0, False
    for item in items:
        match item:
            case Gap():
                is_open = True
            case Repaired(complete=complete):
                is_open = not complete
            case Received(event=event):
                at = said.index(int(event.id), place)  # ValueError: twice, or not in order
                assert at == place or is_open, f"{said[place:at]} are missing"
                place, is_open = at + 1, is_open and item.source == "rest"
    assert place == len(said)


# ── all that is lost comes ──────────────────────────────────────────────────────────────────────


def test_fills_of_an_outage_stand_between_the_gap_and_what_came_after_it(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    stream = followed(runtime)
    before = fills(px, 2)
    assert told(stream, before[-1]) == before
    with outage(px, runtime):
        lost = fills(px, 5)
    after = fill(px)
    items = items_to(stream, after)
    assert [word(item) for item in items] == ["gap", *negative(lost), "repaired", after]
    assert items[-2] == Repaired(items[0], 5, True)
    settle(runtime)
    counters = user_line(runtime).counters
    assert (counters.gaps, counters.repaired, counters.unrepaired) == (1, 1, 0)


def test_where_nothing_was_lost_the_marker_says_so(px: SimulatedProjectX, runtime: Runtime) -> None:
    stream = followed(runtime)
    before = fill(px)
    assert told(stream, before) == [before]
    with outage(px, runtime):
        pass
    after = fill(px)
    assert told(stream, after) == ["gap", "repaired", after]


# ── a fill that is voided comes once more, with its id and its old time ─────────────────────────


def keys(items: list[Any]) -> list[object]:
    """Of each fill its id, and whether it is voided; and a word for each marker."""
    return [
        (int(item.event.id), bool(item.event.voided)) if isinstance(item, Received) else word(item)
        for item in items
    ]


def test_a_void_of_the_last_fill_does_not_hide_what_was_lost(px: SimulatedProjectX, runtime: Runtime) -> None:
    stream = followed(runtime)
    before = fill(px)
    assert told(stream, before) == [before]
    with outage(px, runtime):
        lost = fills(px, 2)
    px.void(before)
    after = fill(px)
    items = keys(items_to(stream, after))
    assert items[:3] == ["gap", (lost[0], False), (lost[1], False)] or items[:4] == [
        "gap",
        (before, True),
        (lost[0], False),
        (lost[1], False),
    ]
    assert items[-1] == (after, False)
    assert items.count((before, True)) == 1
    assert "repaired" in items


def test_a_void_of_a_lost_fill_does_not_hide_what_was_lost_behind_it(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    stream = followed(runtime)
    before = fill(px)
    assert told(stream, before) == [before]
    with outage(px, runtime):
        lost = fills(px, 3)
    px.void(lost[1])
    after = fill(px)
    items = keys(items_to(stream, after))
    assert {(lost[0], False), (lost[1], True), (lost[2], False)} <= set(items)
    assert "repaired" in items
    assert len(set(items)) == len(items)


def test_after_a_void_of_an_older_fill_nothing_comes_twice(px: SimulatedProjectX, runtime: Runtime) -> None:
    stream = followed(runtime)
    before = fills(px, 3)
    assert told(stream, before[-1]) == before
    px.void(before[0])
    assert word(next(stream.items(timeout=20.0))) == before[0]
    with outage(px, runtime):
        lost = fill(px)
    after = fill(px)
    assert told(stream, after) == ["gap", -lost, "repaired", after]


def test_several_outages_in_a_row_lose_nothing(px: SimulatedProjectX, runtime: Runtime) -> None:
    stream = followed(runtime)
    said = fills(px, 1)
    items = items_to(stream, said[-1])
    for count in (1, 0, 3, 2):
        with outage(px, runtime):
            said += fills(px, count)
        said += fills(px, 1)
        items += items_to(stream, said[-1])
    check_against(items, said)
    assert [item.complete for item in items if isinstance(item, Repaired)] == [True] * 4


def test_each_account_waits_for_its_own_fills(px: SimulatedProjectX) -> None:
    both = {"channel": "account_trades", "keys": [ALICE, BOB]}
    with runtime_on(px, subscribe=[both]) as runtime:
        alice, bob = followed(runtime), followed(runtime, BOB)
        first = fill(px), fill(px, BOB)
        assert (told(alice, first[0]), told(bob, first[1])) == ([first[0]], [first[1]])
        with outage(px, runtime):
            lost = fill(px), fill(px, BOB)
        after = fill(px), fill(px, BOB)
        for stream, number in ((alice, 0), (bob, 1)):
            assert told(stream, after[number]) == ["gap", -lost[number], "repaired", after[number]]


def test_merge_gives_the_items_of_a_fill_in_their_order(px: SimulatedProjectX, runtime: Runtime) -> None:
    stream = followed(runtime)
    before = fill(px)
    merged = runtime.merge(stream, markers=True, timeout=20.0)
    assert next(item for item in merged if isinstance(item, Received)).event.id == before
    with outage(px, runtime):
        lost = fills(px, 3)
    after = fill(px)
    seen: list[object] = []
    for item in merged:
        inner = getattr(item, "marker", item)
        if not isinstance(inner, Lifecycle):
            seen.append(word(inner))
        if seen[-1:] == [after]:
            break
    assert seen == ["gap", *negative(lost), "repaired", after]


def test_a_handler_is_called_in_the_same_order(px: SimulatedProjectX, runtime: Runtime) -> None:
    seen: list[object] = []
    runtime.on(
        "projectx",
        "account_trades",
        ALICE,
        handler=lambda event: seen.append(int(event.id)),
        on_marker=lambda marker: None if isinstance(marker, Lifecycle) else seen.append(word(marker)),
        inline=True,
        wait=10.0,
    )
    before = fill(px)
    until(runtime, lambda _: before in seen)
    with outage(px, runtime):
        lost = fills(px, 2)
    after = fill(px)
    until(runtime, lambda _: after in seen)
    assert seen == [before, "gap", *lost, "repaired", after]


# ── a venue that answers late, in part, or not ──────────────────────────────────────────────────

Fault = Callable[[SimulatedProjectX], object]
FAULTS: dict[str, Fault] = {
    "answers late": lambda px: px.answer_late(0.3, n=5, page=PAGE),
    "answers after the hold": lambda px: px.answer_late(4.0, n=5, page=PAGE),
    "loses one answer": lambda px: px.answer_lost(n=1, page=PAGE),
    "loses all answers": lambda px: px.answer_lost(n=20, page=PAGE),
    "cuts one answer": lambda px: px.cut_answer(60, n=1, page=PAGE),
    "is refused": lambda px: px.refuse_page(503, n=20, page=PAGE),
    "is asked too often": lambda px: px.refuse_page(429, n=20, page=PAGE, retry_after=30.0),
    "has no list": lambda px: px.list_absent(n=20, page=PAGE),
    "answers rubbish": lambda px: px.garbage_answer(n=20, page=PAGE),
    "has a list that lags": lambda px: px.rest_lag(0.2),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_stream_is_the_venues_list_or_a_marker_names_what_it_lacks(
    px: SimulatedProjectX, runtime: Runtime, fault: str
) -> None:
    stream = followed(runtime)
    said = fills(px, 2)
    items = items_to(stream, said[-1])
    with outage(px, runtime):
        said += fills(px, 4)
        FAULTS[fault](px)
    said += fills(px, 3)
    items += items_to(stream, said[-1])
    check_against(items, said)
    (repaired,) = [item for item in items if isinstance(item, Repaired)]
    if not repaired.complete:
        assert repaired.text
        assert repaired.lacks_since_ns is not None
        assert repaired.lacks_until_ns is not None
        assert repaired.lacks_since_ns <= repaired.lacks_until_ns
    px.pending.clear()
    settle(runtime)


def test_a_list_that_lags_a_little_behind_the_stream_still_ends_in_a_complete_fill(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    stream = followed(runtime)
    before = fill(px)
    assert told(stream, before) == [before]
    with outage(px, runtime):
        lost = fills(px, 3)
    px.rest_lag(0.3)
    after = fill(px)
    assert told(stream, after) == ["gap", *negative(lost), "repaired", after]


def test_a_late_answer_changes_nothing_in_the_stream(px: SimulatedProjectX, runtime: Runtime) -> None:
    stream = followed(runtime)
    before = fill(px)
    assert told(stream, before) == [before]
    with outage(px, runtime):
        lost = fills(px, 2)
        px.answer_late(2.6, n=1, page=PAGE)
    after = fill(px)
    items = items_to(stream, after)
    assert [word(item) for item in items] == ["gap", "in part", after]
    assert isinstance(items[1], Repaired)
    assert (items[1].count, items[1].complete) == (0, False)
    assert lost[0] not in told(stream, fill(px))
    settle(runtime)
    counters = user_line(runtime).counters
    assert (counters.repaired, counters.unrepaired) == (0, 1)


def test_a_loss_while_the_venue_is_asked_loses_nothing_of_what_waited(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    stream = followed(runtime)
    said = fills(px, 1)
    items = items_to(stream, said[-1])
    with outage(px, runtime):
        said += fills(px, 2)
        px.answer_late(1.5, n=1, page=PAGE)
    said += fills(px, 2)  # these wait
    with outage(px, runtime):
        said += fills(px, 2)
    said += fills(px, 1)
    items += items_to(stream, said[-1])
    check_against(items, said)
    assert [item.complete for item in items if isinstance(item, Repaired)] == [False, True]
    settle(runtime)


# ── permits ─────────────────────────────────────────────────────────────────────────────────────


def test_there_is_no_permit_until_the_stream_has_gone_on(px: SimulatedProjectX, runtime: Runtime) -> None:
    stream = followed(runtime)
    before = fill(px)
    assert told(stream, before) == [before]
    until(runtime, lambda _: bool(runtime.fresh("projectx", "account_trades", ALICE)))
    permit = runtime.require(stream)
    with outage(px, runtime):
        px.answer_late(0.7, n=1, page=PAGE)
    until(runtime, lambda _: runtime.fresh("projectx", "account_trades", ALICE).cause == "backfill")
    with pytest.raises(Blind, match="backfill"):
        runtime.require(("projectx", "account_trades", ALICE))
    after = fill(px)
    assert told(stream, after) == ["gap", "repaired", after]
    until(runtime, lambda _: bool(runtime.fresh("projectx", "account_trades", ALICE)))
    assert runtime.require(stream).valid
    assert not permit.valid


# ── settings ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("backfill", [False, []], ids=["off", "no channel"])
def test_a_feed_that_wants_no_back_fill_asks_for_nothing(px: SimulatedProjectX, backfill: object) -> None:
    with runtime_on(px, subscribe=[FILLS], backfill=backfill) as runtime:
        stream = followed(runtime)
        before = fill(px)
        assert told(stream, before) == [before]
        with outage(px, runtime):
            fills(px, 2)
        after = fill(px)
        assert told(stream, after) == ["gap", after]
        assert px.seen.requests[PAGE] == 0


def test_a_reload_takes_the_hold_over_while_the_sockets_stay_open(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    stream = followed(runtime)
    before = fill(px)
    assert told(stream, before) == [before]
    epoch = user_line(runtime).epoch
    runtime.reload(config(px, subscribe=[FILLS], backfill_hold=0.2))
    settle(runtime)
    assert user_line(runtime).epoch == epoch
    with outage(px, runtime):
        fills(px, 1)
        px.answer_late(1.5, n=1, page=PAGE)
    after = fill(px)
    items = items_to(stream, after)
    assert isinstance(items[1], Repaired)
    assert not items[1].complete  # it would be with two seconds


# ── the end ─────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_meanwhile_gives_the_stream_what_waited(px: SimulatedProjectX) -> None:
    with runtime_on(px, subscribe=[FILLS]) as runtime:
        stream = followed(runtime)
        before = fill(px)
        assert told(stream, before) == [before]
        with outage(px, runtime):
            px.answer_late(1.8, n=1, page=PAGE)
        waiting = fill(px)
        until(runtime, lambda status: status.lines()[USER].counters.in_flight == 1)
        status = runtime.status()
        assert not reconciled(status)
        runtime.stop()
        assert [word(item) for item in stream.items(timeout=5.0) if not isinstance(item, Lifecycle)] == [
            "gap",
            "in part",
            waiting,
            "closed",
        ]
        counters = runtime.status().lines()[USER].counters
        assert (counters.in_flight, counters.lost) == (0, 0)


def test_a_rotation_meanwhile_loses_nothing(px: SimulatedProjectX, runtime: Runtime) -> None:
    stream = followed(runtime)
    said = fills(px, 1)
    items = items_to(stream, said[-1])
    with outage(px, runtime):
        said += fills(px, 2)
        px.answer_late(1.5, n=1, page=PAGE)
    said += fills(px, 1)
    runtime.rotate(USER)
    said += fills(px, 1)
    items += items_to(stream, said[-1])
    check_against(items, said)
    settle(runtime)


# ── wherever the line is cut ────────────────────────────────────────────────────────────────────


def is_back(epoch: int, status: Status) -> bool:
    """Behind this epoch."""
    line = status.lines()[USER]
    return line.epoch > epoch and line.state == "live"


FRAME = 420  # bytes of one fill on the wire, and some of the next
STEP = 21


# Every byte is cut in tests/delivery/test_every_cut.py, without sockets.
@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(7, STEP, 7))])
def test_wherever_a_message_is_cut_the_stream_is_the_venues_list(px: SimulatedProjectX, first: int) -> None:
    with FaultyProxy(px.url) as proxy, runtime_on(px, url=proxy.url, subscribe=[FILLS]) as runtime:
        stream = followed(runtime)
        said = fills(px, 1)
        items = items_to(stream, said[-1])
        for after in range(first, FRAME, STEP):
            epoch = user_line(runtime).epoch
            proxy.hold("down", after)
            said += fills(px, 2)
            proxy.reset()
            until(runtime, partial(is_back, epoch))
            said += fills(px, 1)
            items += items_to(stream, said[-1])
            assert [item.complete for item in items if isinstance(item, Repaired)][-1]
        check_against(items, said)
        settle(runtime)
