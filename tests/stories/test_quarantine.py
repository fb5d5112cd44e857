"""What cannot be read is put aside and shown; what breaks the protocol costs the connection."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from actors import Gap, Lifecycle, Runtime
from actors.simulators import SimulatedO2
from actors.simulators.base.server import Garbage
from actors.venues import o2 as venue
from actors.venues.o2 import DepthSnapshot, Trade
from tests.support.counters import settle
from tests.support.depth_book import Book
from tests.support.runtimes import at_epoch, line_of, runtime_on, until

BROKEN: dict[Garbage, int] = {"utf8": 1007, "opcode": 1002, "length": 1002}  # the close codes they earn


def good_bye(o2: SimulatedO2) -> Any:
    """The other end of the one connection there is; its close frame can be asked for later."""
    (peer,) = o2._peers
    return peer._protocol


def test_every_kind_of_garbage_is_dealt_with_here() -> None:
    assert set(get_args(Garbage)) == {*BROKEN, "json", "binary", "nesting"}


@pytest.mark.parametrize("kind", ["json", "binary", "nesting"])
def test_a_message_that_cannot_be_read_is_put_aside(
    kind: Garbage, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.trade(market, trade_id="1")
    o2.garbage(kind)
    o2.trade(market, trade_id="2")
    items = trades.with_markers()
    assert isinstance(next(items), Lifecycle)
    told = [next(items), next(items)]
    if isinstance(told[1], Gap):  # broken JSON of the channel itself: a trade may have been in it
        assert kind == "json"
        assert told[1].reason == "quarantine"
        told[1] = next(items)
    assert [trade.trade_id for trade in told if isinstance(trade, Trade)] == ["1", "2"]

    status = settle(runtime)
    line = status.lines()["o2"]
    assert (line.state, line.epoch) == ("live", 1)
    assert line.counters.quarantined == status.quarantine.count == 1
    assert line.health.inputs.quarantined == 1
    (kept,) = status.quarantine.newest
    assert kept.line == "o2"
    assert kept.error
    assert len(kept.raw) <= 4 * 4_096
    assert kept.size == {"json": 41, "binary": 4, "nesting": 100_000}[kind]


@pytest.mark.parametrize("kind", BROKEN)
def test_what_breaks_the_protocol_ends_the_connection(
    kind: Garbage, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=5).trade_id == "1"
    end = good_bye(o2)
    o2.garbage(kind)
    until(runtime, at_epoch(2))
    o2.wait_for(lambda: end.close_rcvd is not None)
    assert end.close_rcvd.code == BROKEN[kind]
    reason = line_of(runtime).reason
    assert reason is not None
    assert (reason.kind, reason.code) == ("retryable", "protocol")

    runtime.wait_live(timeout=10)
    o2.trade(market, trade_id="2")
    assert trades.get(timeout=5).trade_id == "2"
    assert [gap.reason for gap in trades.gaps] == ["disconnect"]
    settle(runtime)


def test_a_message_beyond_the_bound_ends_the_connection_with_1009(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, max_message=100_000) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        end = good_bye(o2)
        o2.huge(200_000)
        until(runtime, at_epoch(2))
        o2.wait_for(lambda: end.close_rcvd is not None)
        assert end.close_rcvd.code == 1009
        runtime.wait_live(timeout=10)
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=5).trade_id == "1"


def test_a_large_message_within_the_bound_is_only_odd(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, max_message=300_000) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.huge(200_000)
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=5).trade_id == "1"
        status = settle(runtime)
        assert line_of(runtime).epoch == 1
        assert status.quarantine.newest[0].size == 200_000


def test_a_change_that_cannot_be_read_costs_a_snapshot(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    """The book would be wrong for ever after, and nothing in O2's changes would show it."""
    depth = runtime.subscribe("o2", venue.DEPTH, market, wait=5.0)
    items = depth.with_markers()
    assert [type(next(items)) for _ in range(2)] == [Lifecycle, DepthSnapshot]
    o2.send_raw(f'{{"action":"subscribe_depth_update","market_id":"{market}","changes":{{"buys":"?"}}}}')
    gap, snapshot = next(items), next(items)
    assert isinstance(gap, Gap)
    assert gap.reason == "quarantine"
    book = Book()
    assert isinstance(snapshot, DepthSnapshot)
    book.apply(snapshot)
    assert book.sides == o2.book(market)
    o2.depth_change(market, sells=[(99_999_999_990, 3)])
    change = next(items)
    assert isinstance(change, venue.DepthChange)
    book.apply(change)
    assert book.sides == o2.book(market)
    settle(runtime)


def test_a_flood_of_garbage_is_counted_and_a_few_are_kept(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    for _ in range(500):
        o2.garbage("binary")
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=5).trade_id == "1"
    status = settle(runtime)
    assert status.quarantine.count == status.lines()["o2"].counters.quarantined == 500
    assert len(status.quarantine.newest) == 50
    assert status.lines()["o2"].health.score == 80
