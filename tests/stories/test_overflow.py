"""What a full stream does is its own choice; what it gives up is marked, and hurts nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from actors import Gap, Runtime, Stream
from actors.dispatcher import Dispatcher
from actors.errors import LinewardenError
from actors.rules.stream_buffer import Policy
from actors.simulators import SimulatedO2
from actors.status import Status
from actors.venues import o2 as venue
from actors.venues.o2 import DepthChange, DepthSnapshot, Trade
from tests.stories.test_killed_actors import after, kill
from tests.support.counters import decoded, reconciled, settle
from tests.support.depth_book import Book
from tests.support.runtimes import fresh, line_of, runtime_on, until


def numbers(items: Iterator[Any], last: int) -> list[int | Gap]:
    """The trade numbers and gaps of a stream with markers, until that number comes."""
    seen: list[int | Gap] = []
    while not seen or seen[-1] != last:
        item = next(items)
        if isinstance(item, Gap):
            seen.append(item)
        elif isinstance(item, Trade):
            seen.append(int(item.trade_id))
    return seen


def read_past_a_gap(items: Iterator[Any]) -> Book:
    """Reads to the last gap there is; the first event behind it starts a book."""
    item = next(items)
    while not isinstance(item, Gap):
        item = next(items)
    while isinstance(item, Gap):
        item = next(items)
    assert isinstance(item, DepthSnapshot)
    book = Book()
    book.apply(item)
    return book


def live_for(seconds: float) -> Callable[[Status], bool]:
    return lambda status: (status.lines()["o2"].live_for_s or 0.0) > seconds


def dropped_over(count: int) -> Callable[[Status], bool]:
    return lambda status: status.streams[0].dropped > count


def paused_by_streams(stream: Stream[Any]) -> Callable[[Status], bool]:
    return lambda status: stream.id in status.lines()["o2"].paused_by_streams


# ── the policies that drop ──


def test_drop_oldest_keeps_the_newest_behind_its_gaps(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="drop_oldest", capacity=10)
    o2.number_trades(market, 50)
    until(runtime, decoded(50))
    assert (trades.queued, trades.dropped) == (10, 40)

    seen = numbers(trades.with_markers(), 50)
    *gaps, _ = islice(seen, len(seen) - 9)  # one a batch, say
    assert {(gap.reason, gap.topic.key) for gap in gaps if isinstance(gap, Gap)} == {("overflow", market)}
    assert sum(gap.missed or 0 for gap in gaps if isinstance(gap, Gap)) == 40
    assert seen[len(gaps) :] == list(range(41, 51))
    assert reconciled(fresh(runtime))


def test_drop_newest_keeps_the_oldest_before_its_gap(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="drop_newest", capacity=10)
    o2.number_trades(market, 50)
    until(runtime, decoded(50))
    items = trades.with_markers()
    seen = numbers(items, 10)
    assert seen == list(range(1, 11))

    o2.trade(market, trade_id="51")
    gap, trade = next(items), next(items)
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.missed) == ("overflow", 40)
    assert isinstance(trade, Trade)
    assert trade.trade_id == "51"
    assert reconciled(fresh(runtime))


def test_conflate_keeps_the_newest_of_each_key_without_a_gap(runtime: Runtime, o2: SimulatedO2) -> None:
    trades = runtime.subscribe("o2", "trades", *o2.markets, wait=5.0, policy="conflate")
    for market in o2.markets:
        o2.number_trades(market, 20)
    until(runtime, decoded(20 * len(o2.markets)))
    newest = [(trade.market, trade.trade_id) for trade in islice(trades, len(o2.markets))]
    assert sorted(newest) == sorted((market, "20") for market in o2.markets)
    assert (trades.conflated, trades.dropped, trades.gap_count) == (19 * len(o2.markets), 0, 0)
    assert reconciled(fresh(runtime))


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "conflate", "block"])
def test_what_is_read_under_load_is_in_order_and_the_rest_is_in_gaps(
    policy: Policy, o2: SimulatedO2, market: str
) -> None:
    with runtime_on(o2, block_timeout=60.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy=policy, capacity=7)
        o2.number_trades(market, 5_000, background=True)
        items = trades.with_markers()
        events: list[int] = []
        missed = 0
        while len(events) + missed + trades.conflated < 5_000:
            item = next(items)
            if isinstance(item, Gap):
                assert item.reason == "overflow"
                assert item.missed is not None
                missed += item.missed
            elif isinstance(item, Trade):
                events.append(int(item.trade_id))
        assert events == sorted(set(events))
        status = settle(runtime)
        (book,) = status.streams
        assert book.received == 5_000 == status.lines()["o2"].counters.routed
        if policy in {"block", "conflate"}:
            assert (book.dropped, book.gaps) == (0, 0)
        if policy == "block":
            assert events == list(range(1, 5_001))


# ── block: the line waits ──


def test_a_full_stream_that_blocks_makes_its_line_wait_and_status_names_it(
    o2: SimulatedO2, market: str
) -> None:
    with runtime_on(o2, block_timeout=60.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 100)
        until(runtime, paused_by_streams(trades))
        for number in range(1, 101):
            assert trades.get(timeout=5).trade_id == str(number)
        until(runtime, lambda status: not status.lines()["o2"].paused_by_streams)
        assert trades.gap_count == 0
        settle(runtime)


def test_a_held_line_does_not_die_of_the_pongs_it_cannot_see(o2: SimulatedO2, market: str) -> None:
    beat = {"ping_interval": 0.05, "pong_timeout": 0.05}
    with runtime_on(o2, block_timeout=60.0, heartbeat=beat) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 20_000, background=True)  # more than all buffers between us hold
        until(runtime, paused_by_streams(trades))
        begun = line_of(runtime).live_for_s or 0.0
        until(runtime, live_for(begun + 10 * 0.1))  # ten deadlines go by
        line = line_of(runtime)
        assert (line.epoch, line.paused_by_streams) == (1, (trades.id,))
        for number in range(1, 20_001):
            assert trades.get(timeout=5).trade_id == str(number)
        pings = o2.pings
        o2.wait_for(lambda: o2.pings > pings)  # and the beat goes on
        assert line_of(runtime).epoch == 1
        settle(runtime)


def test_after_the_block_limit_that_stream_alone_overflows(o2: SimulatedO2, market: str) -> None:
    other = o2.markets[1]
    with runtime_on(o2, block_timeout=0.3) as runtime:
        slow = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        quick = runtime.subscribe("o2", "trades", other, wait=5.0, policy="block")
        shared = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block")
        o2.number_trades(market, 10)
        until(runtime, paused_by_streams(slow))
        o2.number_trades(other, 100)  # behind a line that waits
        for number in range(1, 101):
            assert quick.get(timeout=5 * 0.3 + 1).trade_id == str(number)
        o2.number_trades(market, 10)
        for number in range(1, 21):
            assert shared.get(timeout=5).trade_id == str(number)
        settle(runtime)
        assert line_of(runtime).paused_by_streams == ()
        assert (slow.queued, slow.dropped) == (10, 10)
        assert quick.gap_count == shared.gap_count == 0

        items = slow.with_markers()
        assert numbers(items, 10) == list(range(1, 11))
        o2.trade(market, trade_id="21")  # there is room again
        gap, trade = next(items), next(items)
        assert isinstance(gap, Gap)
        assert (gap.reason, gap.missed) == ("overflow", 10)
        assert isinstance(trade, Trade)
        assert trade.trade_id == "21"

        o2.number_trades(market, 10)  # and it may hold its line again
        until(runtime, paused_by_streams(slow))


def test_a_stream_that_is_closed_lets_its_line_go(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, block_timeout=60.0) as runtime:
        slow = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        quick = runtime.subscribe("o2", "trades", o2.markets[1], wait=5.0)
        o2.number_trades(market, 10)
        until(runtime, paused_by_streams(slow))
        o2.trade(o2.markets[1], trade_id="1")
        slow.close()
        assert quick.get(timeout=5).trade_id == "1"
        until(runtime, lambda status: not status.lines()["o2"].paused_by_streams)


def test_a_stream_over_two_lines_holds_them_both(o2: SimulatedO2) -> None:
    accounts = [f"0x{number:064x}" for number in range(1, 12)]
    with runtime_on(o2, block_timeout=60.0) as runtime:
        orders = runtime.subscribe("o2", "orders", *accounts, wait=10.0, capacity=10)

        def both_held(status: Status) -> bool:
            return all(line.paused_by_streams == (orders.id,) for line in status.lines().values())

        for _ in range(10):
            o2.order(accounts[0])
        until(runtime, lambda status: bool(status.lines()["o2"].paused_by_streams))
        o2.order(accounts[10])
        until(runtime, both_held)
        for _ in range(11):
            orders.get(timeout=5)
        until(runtime, lambda status: not any(line.paused_by_streams for line in status.lines().values()))
        settle(runtime)


def test_a_dispatcher_that_dies_while_a_line_waits_for_a_stream(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, block_timeout=60.0) as runtime:
        slow = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        quick = runtime.subscribe("o2", "trades", o2.markets[1], wait=5.0)
        o2.number_trades(market, 10)
        until(runtime, paused_by_streams(slow))
        kill(Dispatcher)
        until(runtime, after("dispatcher", 1))
        o2.trade(o2.markets[1], trade_id="1")
        for number in range(1, 11):
            assert slow.get(timeout=5).trade_id == str(number)
        assert quick.get(timeout=5).trade_id == "1"
        until(runtime, lambda status: not status.lines()["o2"].paused_by_streams)
        o2.number_trades(market, 10)
        until(runtime, paused_by_streams(slow))  # the new one knows the policy as well
        assert slow.gap_count == quick.gap_count == 0


# ── books: a change without its predecessors is worth nothing ──


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "block"])
def test_a_book_is_right_again_after_an_overflow(policy: Policy, o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, block_timeout=0.1) as runtime:
        depth = runtime.subscribe("o2", venue.DEPTH, market, wait=5.0, policy=policy, capacity=10)
        for round in range(3):
            lost_before = depth.dropped
            for _ in range(20):
                o2.depth_change(market, buys=[(1_000 + 10 * round, 5)], sells=[(90_000_000, -1)])
            if policy == "block":
                until(runtime, paused_by_streams(depth))
                until(runtime, lambda status: not status.lines()["o2"].paused_by_streams)
                o2.depth_change(market, buys=[(1_000 + 10 * round, 5)])
            until(runtime, dropped_over(lost_before))
            anew = read_past_a_gap(depth.with_markers())
            while anew.sides != o2.book(market):
                anew.apply(depth.get(timeout=5))
            assert 1_000 + 10 * round in anew.bids
        assert len(o2.wait_heard("subscribe_depth")) == 1  # the line kept what makes it whole
        assert line_of(runtime).epoch == 1
        settle(runtime)


def test_a_book_goes_on_while_the_market_moves_and_its_reader_sleeps(market: str) -> None:
    with SimulatedO2(rate=2_000) as moving, runtime_on(moving) as runtime:
        depth = runtime.subscribe("o2", venue.DEPTH, moving.markets[0], wait=5.0, capacity=50)
        book = Book()
        until(runtime, dropped_over(50))
        moving.settings.rate = 0
        moving.depth_change(moving.markets[0], buys=[(777_770, 1)])  # the last thing that happens
        events = iter(depth)
        while book.sides != moving.book(moving.markets[0]):
            book.apply(next(events))
        assert 777_770 in book.bids
        assert depth.gap_count >= 1
        settle(runtime)


def test_conflating_changes_is_refused_with_the_way_out(runtime: Runtime, market: str) -> None:
    with pytest.raises(
        LinewardenError, match=r"newest alone says nothing: use policy 'block' or 'drop_oldest'"
    ):
        runtime.subscribe("o2", "depth", market, policy="conflate")
    view = runtime.subscribe("o2", "depth_view", market, policy="conflate", wait=5.0)  # whole pictures may
    view.close()
    until(runtime, lambda status: status.streams == ())


def test_a_topic_that_a_cut_reader_gives_up_is_not_resynced(o2: SimulatedO2) -> None:
    first, second = o2.markets[:2]
    with runtime_on(o2) as runtime:
        calm = runtime.subscribe("o2", venue.DEPTH, first, wait=5.0)
        slow = runtime.subscribe("o2", venue.DEPTH, first, second, wait=5.0, policy="drop_oldest", capacity=4)
        for number in range(20):
            o2.depth_change(first, buys=[(1_000 + number, 1)])
        until(runtime, lambda _: slow.is_cut)
        slow.remove(first)
        until(runtime, lambda _: not slow.is_cut)
        for number in range(10):
            o2.depth_change(second, buys=[(1_000 + number, 1)])
            while not isinstance(slow.get(timeout=5.0), DepthChange):
                pass  # what was queued of the first, and snapshots
        settle(runtime)
        asked = [frame for frame in o2.wait_heard("subscribe_depth") if frame["market_id"] == first]
        assert len(asked) == 1
        assert calm.gap_count == 0


def test_a_reader_that_falls_behind_on_a_book_costs_the_others_nothing(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        quick = runtime.subscribe("o2", venue.DEPTH, market, wait=5.0)
        slow = runtime.subscribe("o2", venue.DEPTH, market, wait=5.0, policy="drop_oldest", capacity=10)
        book = Book()
        for round in range(3):
            for _ in range(30):
                o2.depth_change(market, buys=[(1_000 + 10 * round, 5)])
            until(runtime, lambda _: slow.is_cut)
            anew = read_past_a_gap(slow.with_markers())
            while anew.sides != o2.book(market):
                anew.apply(slow.get(timeout=5))
            while book.sides != o2.book(market):
                book.apply(quick.get(timeout=5))
            runtime.subscribe("o2", venue.DEPTH, market, wait=5.0).close()  # a newcomer, too
        settle(runtime)
        assert slow.gap_count >= 3
        assert quick.gap_count == 0
        assert len(o2.wait_heard("subscribe_depth")) == 1


def test_an_answer_that_a_paused_line_cannot_read_is_not_missed(o2: SimulatedO2, market: str) -> None:
    """Deadlines of answers stand still while the line is not read."""
    with runtime_on(o2, block_timeout=60.0, ack_timeout=0.2) as runtime:
        slow = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 10)
        until(runtime, paused_by_streams(slow))
        added = runtime.subscribe("o2", venue.DEPTH, market)
        o2.wait_heard("subscribe_depth")
        begun = line_of(runtime).live_for_s or 0.0
        until(runtime, lambda status: (status.lines()["o2"].live_for_s or 0.0) > begun + 5 * 0.2)
        for _ in range(10):
            slow.get(timeout=5)
        assert isinstance(added.get(timeout=5), DepthSnapshot)
        assert line_of(runtime).epoch == 1
        assert len(o2.wait_heard("subscribe_depth")) == 1
