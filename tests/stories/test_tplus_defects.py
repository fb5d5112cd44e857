"""What tpluspy gets wrong, by its number in the list of its defects: told with the runtime.

What a session shows by itself is in tests/venues/test_tplus_defects.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import actors
from actors import Gap, Lifecycle, LinewardenError, Runtime, Timeout
from actors.registry import Registry
from actors.simulators import SimulatedTplus
from actors.venues import tplus as venue
from tests.login.test_connector import A_LOGIN
from tests.stories.test_killed_actors import after, kill
from tests.stories.test_tplus import USER, all_at, config, is_right, runtime_on, states, wants
from tests.support.counters import reconciled, settle
from tests.support.runtimes import until

OTHER_SEED = "0b" * 32


@pytest.fixture
def tplus() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0, market=False) as simulator:
        yield simulator


@pytest.fixture
def runtime(tplus: SimulatedTplus) -> Iterator[Runtime]:
    with runtime_on(tplus) as runtime:
        yield runtime


def upgrades(tplus: SimulatedTplus, path: str) -> list[dict[str, str]]:
    """The headers of each socket that was asked for at this path."""
    return [dict(each.headers) for each in tplus.requests if each.path == path and "upgrade" in each.headers]


def test_defect_1_a_socket_that_is_there_and_says_nothing_is_noticed(tplus: SimulatedTplus) -> None:
    wanted = [{"channel": "ticker", "keys": ["200"], "stale_after": 0.2}]
    with runtime_on(tplus, heartbeat={"ping_interval": 0.1}, subscribe=wanted) as runtime:
        tplus.ticker("200")
        tplus.mute()
        status = until(runtime, lambda status: status.lines()["tplus/ticker-200"].topics[0].stale)
        assert states(status) == {"tplus/ticker-200": "live"}
        tplus.heal()
        tplus.deaf(new=False)  # and one that answers no ping is a loss
        until(runtime, all_at(2))


def test_defect_1_what_is_wanted_outlives_sockets_and_its_own_keeper(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    trades = runtime.subscribe("tplus", venue.TRADES, wait=5.0)
    ticker = runtime.subscribe("tplus", venue.TICKER, "200", wait=5.0)
    kill(Registry)
    tplus.drop()
    until(runtime, after("registry", 1))
    until(runtime, all_at(2))
    tplus.trade("200")
    tplus.ticker("200")
    assert trades.get(timeout=5).asset_id == ticker.get(timeout=5).asset_id == "200"
    assert [len(stream.gaps) for stream in (trades, ticker)] == [1, 1]


@pytest.mark.parametrize("code", [1000, 1001])
def test_defect_2_a_venue_that_closes_politely_again_and_again_is_not_hammered(
    tplus: SimulatedTplus, code: int
) -> None:
    patient = {"initial": 0.05, "maximum": 60.0, "multiplier": 20.0, "stable_after": 60.0}
    tplus.flap(n=1_000, code=code)
    with runtime_on(tplus, live=False, restart=patient) as runtime:
        trades = runtime.subscribe("tplus", venue.TRADES)
        status = until(runtime, lambda status: (status.lines()["tplus/trades"].next_attempt_s or 0) > 8.0)
        assert tplus.lives == 3  # after 0.05 s, 1 s, and then not before 10
        reason = status.lines()["tplus/trades"].reason
        assert reason is not None
        assert (reason.kind, reason.code) == ("retryable", f"close_{code}")
        assert not trades.closed


def test_defect_3_no_reader_has_an_empty_stream_that_looks_healthy(tplus: SimulatedTplus) -> None:
    tplus.unauthorized(n=1_000)
    with runtime_on(tplus, live=False, **wants()) as runtime:
        with pytest.raises(actors.SubscribeError):
            runtime.subscribe("tplus", venue.POSITIONS, wait=1.0)
        positions = runtime.subscribe("tplus", venue.POSITIONS)
        until(runtime, lambda status: states(status) == {"tplus/positions": "failed"})
        line = runtime.status().lines()["tplus/positions"]
        assert line.health.score == 0
        assert [state.state for state in positions.topics.values()] == ["desired"]


def test_defect_4_every_reader_of_a_depth_is_told_of_the_change_that_was_lost(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    depth = runtime.subscribe("tplus", venue.DEPTH, "200", wait=10.0)
    assert isinstance(depth.get(timeout=5), venue.DepthSnapshot)
    tplus.malformed_diff("200")
    told = depth.with_markers()
    gap = next(each for each in told if not isinstance(each, Lifecycle))
    assert isinstance(gap, Gap)
    assert gap.reason == "quarantine"
    whole = next(told)
    assert isinstance(whole, venue.DepthSnapshot)
    assert whole.sequence == tplus.book("200").sequence


def test_defect_5_bars_come_one_by_one_however_the_server_packs_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for alone in (True, False):
        with SimulatedTplus(rate=0, market=False, kline_objects=alone) as tplus, runtime_on(tplus) as runtime:
            bars = runtime.subscribe("tplus", venue.KLINES, "200", wait=5.0)
            bar = tplus.kline("200")[0]
            tplus.kline("200", bar | {"close": "1.5"}, bar | {"close": "2.5"})
            heard = [bars.get(timeout=5) for _ in range(3)]
            assert [each.close for each in heard[1:]] == [Decimal("1.5"), Decimal("2.5")]
            assert {each.asset_id for each in heard} == {"200"}
            assert settle(runtime).quarantine.count == 0
    assert capsys.readouterr().out == ""


def test_defect_6_a_book_has_the_numbers_of_the_wire(runtime: Runtime, tplus: SimulatedTplus) -> None:
    tplus.depth_change("200", asks=[("9007199254740993.12", "0.000000000000000001")])
    view = runtime.book("tplus", "200", wait=10.0)
    assert view.asks == ((Decimal("9007199254740993.12"), Decimal("0.000000000000000001")),)


def test_defect_7_a_change_between_socket_and_snapshot_is_in_the_book(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    tplus.hold_snapshot()
    tplus.depth_change("200", bids=[("1", "1")])
    runtime.book("tplus", "200")
    tplus.wait_for(lambda: tplus.held)  # asked for behind the welcome
    assert tplus.subscribers("/marketdepth/diff/200") == 1
    tplus.depth_change("200", bids=[("2", "2")])
    tplus.release_snapshots()
    tplus.depth_change("200", bids=[("1", "0")])
    until(runtime, is_right(runtime, tplus))


def test_defect_8_every_way_to_ask_for_a_socket_is_within_the_limit(tplus: SimulatedTplus) -> None:
    with runtime_on(tplus, max_lines=3, **wants("orders")) as runtime:
        runtime.book("tplus", "200", wait=10.0)
        _stream = runtime.subscribe("tplus", venue.TICKER, *map(str, range(300, 340)))
        with pytest.raises(actors.SubscribeError, match="max_lines"):
            runtime.book("tplus", "201", wait=10.0)
        assert "max_lines" in runtime.book("tplus", "202").reason
        until(runtime, all_at(1))
        assert tplus.connections == len(runtime.status().lines()) == 3


def test_defect_9_a_token_that_ends_under_an_open_stream_is_replaced_when_it_is_needed(
    tplus: SimulatedTplus,
) -> None:
    with runtime_on(tplus, **wants("orders", "positions")) as runtime:
        tplus.expire_tokens()  # the sockets stay
        assert set(states(runtime.status()).values()) == {"live"}
        tplus.drop()
        until(runtime, all_at(2))
        assert tplus.auth_requests == 2 * A_LOGIN


def test_defect_9_a_stream_that_says_so_when_its_token_ends_comes_back_with_a_new_one(
    tplus: SimulatedTplus,
) -> None:
    with runtime_on(tplus, **wants("orders", "positions")) as runtime:
        orders = runtime.subscribe("tplus", venue.ORDERS, wait=5.0)
        tplus.expire_tokens()
        tplus.send_raw('{"type":"subscriptions","channels":[],"errors":"unauthorized"}')
        until(runtime, all_at(2))  # also the line for which that token was made: it was good once
        tplus.order(USER, "Created")
        assert isinstance(orders.get(timeout=5), venue.Created)
        assert [gap.reason for gap in orders.gaps] == ["disconnect"]
        assert tplus.auth_requests == 2 * A_LOGIN


def test_defect_10_a_morning_of_drops_costs_one_login(tplus: SimulatedTplus) -> None:
    with runtime_on(tplus, **wants("orders", "positions", "user_trades")) as runtime:
        for epoch in range(2, 7):
            tplus.drop()
            until(runtime, all_at(epoch))
        assert tplus.lives == 3 * 6
        assert tplus.auth_requests == A_LOGIN


def test_defect_11_and_12_each_feed_shows_its_own_token_and_user_and_no_public_line_any(
    tplus: SimulatedTplus,
) -> None:
    both = config(tplus, **wants("orders", "tickers"))
    both["feeds"]["other"] = both["feeds"]["tplus"] | {"private_key": OTHER_SEED}
    with actors.start(both, wait=10.0) as runtime:
        tplus.drop()
        until(runtime, all_at(2))
        shown = {(each["user-id"], each["authorization"]) for each in upgrades(tplus, "/orders")}
        assert len(shown) == len({user for user, _ in shown}) == 2
        assert USER in {user for user, _ in shown}
        for each in upgrades(tplus, "/tickers/ws"):
            assert not {"authorization", "user-id"} & each.keys()
        orders = runtime.subscribe("tplus", venue.ORDERS, wait=5.0)
        tplus.order(USER, "Created")
        assert isinstance(orders.get(timeout=5), venue.Created)
        assert tplus.auth_requests == 2 * A_LOGIN


def test_defect_13_after_a_clean_close_no_reader_waits_for_what_cannot_come(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    """There is no channel for orders here; what is sent by `send` fails at once, not by a time-out."""
    trades = runtime.subscribe("tplus", venue.TRADES, wait=5.0)
    tplus.refuse(n=1_000)
    tplus.close(1000)
    until(runtime, lambda status: status.lines()["tplus/trades"].reason is not None)
    with pytest.raises(LinewardenError, match="tplus/trades: nothing was sent"):
        runtime.send("tplus", "anybody there?")
    with pytest.raises(Timeout):
        trades.get(timeout=0)


def test_defect_14_a_schema_that_drifted_fills_no_log(
    tplus: SimulatedTplus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with runtime_on(tplus, **wants("orders")) as runtime:
        orders = runtime.subscribe("tplus", venue.ORDERS, wait=5.0)
        before = len(caplog.records)
        for _ in range(500):
            tplus.send_raw('{"Canceled":{"id":"o-1"}}')
        tplus.order(USER, "Created")
        assert isinstance(orders.get(timeout=10), venue.Created)
        status = until(runtime, reconciled)
        assert status.lines()["tplus/orders"].counters.quarantined == 500
        assert status.quarantine.count == 500
        assert len(status.quarantine.newest) < 500
        assert len(caplog.records) - before < 10
        assert orders.gap_count >= 1  # and it is not passed over in silence
        assert states(status) == {"tplus/orders": "live"}


def test_defect_15_a_slow_reader_loses_its_own_and_is_told_and_the_server_drops_no_client(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    slow = runtime.subscribe("tplus", venue.TRADES, capacity=32, wait=5.0)
    quick = runtime.subscribe("tplus", venue.TRADES, wait=5.0)
    tplus.number_trades("200", 2_000)
    assert [quick.get(timeout=5).trade_id for _ in range(2_000)] == list(range(1, 2_001))
    status = settle(runtime)
    (books,) = [stream for stream in status.streams if stream.capacity == 32]
    assert (books.received, books.dropped, books.queued) == (2_000, 2_000 - 32, 32)
    assert [slow.get(timeout=5).trade_id for _ in range(32)] == list(range(2_000 - 31, 2_001))
    assert {gap.reason for gap in slow.gaps} == {"overflow"}
    assert sum(gap.missed or 0 for gap in slow.gaps) == 2_000 - 32
    assert (quick.gap_count, tplus.lives) == (0, 1)


def test_defect_15_a_reader_that_may_not_lose_anything_is_named_while_it_holds_the_line(
    tplus: SimulatedTplus,
) -> None:
    with runtime_on(tplus, block_timeout=60.0, **wants()) as runtime:
        fills = runtime.subscribe("tplus", venue.USER_TRADES, capacity=10, wait=5.0)
        for number in range(1, 101):
            tplus.user_trade(USER, "200", trade_id=number)
        status = until(runtime, lambda status: bool(status.lines()["tplus/user-trades"].paused_by_streams))
        assert status.lines()["tplus/user-trades"].paused_by_streams == (status.streams[0].id,)
        heard: list[Any] = [fills.get(timeout=5) for _ in range(100)]
        assert [fill.trade_id for fill in heard] == list(range(1, 101))
        assert (fills.gap_count, tplus.lives) == (0, 1)


def test_defect_16_a_gateway_with_a_path_serves_streams_logins_and_snapshots() -> None:
    with SimulatedTplus(rate=0, prefix="/gate/way") as tplus, runtime_on(tplus, **wants("orders")) as runtime:
        assert runtime.book("tplus", "200", wait=10.0).synced
        tplus.drop()
        until(runtime, all_at(2))
        until(runtime, is_right(runtime, tplus))
        assert {each.path.startswith("/gate/way/") for each in tplus.requests} == {True}
