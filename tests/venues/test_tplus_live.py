"""tplus with the runtime, on loopback: a line for each topic, one token for all, a book that heals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import actors
from actors import Gap, Runtime, SubscribeError
from actors.events import Topic
from actors.simulators import SimulatedTplus
from actors.status import Status
from actors.venues import tplus
from tests.support.runtimes import HEARTBEAT, RESTART, at_epoch, until
from tests.venues.test_tplus_login import SEED, USER

LOGIN_REQUESTS = 2  # a nonce, and the token for it


@pytest.fixture
def market() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0) as simulator:
        yield simulator


@contextmanager
def runtime_on(market: SimulatedTplus, **feed: Any) -> Iterator[Runtime]:
    table = {"venue": "tplus", "url": market.url, "restart": RESTART, "heartbeat": HEARTBEAT}
    table |= feed if "token" in feed else {"private_key": SEED} | feed
    with actors.start({"feeds": {"tplus": table}}) as runtime:
        yield runtime


@pytest.fixture
def runtime(market: SimulatedTplus) -> Iterator[Runtime]:
    with runtime_on(market) as runtime:
        yield runtime


def is_right(runtime: Runtime, market: SimulatedTplus, asset: str = "200") -> Callable[[Status], bool]:
    """The book is synced and what the venue has."""

    def look(status: Status) -> bool:
        view, there = runtime.book("tplus", asset), market.book(asset)
        ours: tuple[Any, ...] = (dict(view.bids), dict(view.asks), view.sequence)
        return view.synced and ours == (there.bids, there.asks, there.sequence)

    return look


def _state(status: Status, line: str) -> str:
    lines = status.lines()
    return lines[line].state if line in lines else ""


# ── streams ──


def test_every_stream_comes_on_a_line_of_its_own(runtime: Runtime, market: SimulatedTplus) -> None:
    fills = runtime.subscribe("tplus", tplus.USER_TRADES, wait=10.0)
    orders = runtime.subscribe("tplus", tplus.ORDERS, wait=10.0)
    positions = runtime.subscribe("tplus", tplus.POSITIONS, wait=10.0)
    happenings = runtime.subscribe("tplus", tplus.ACCOUNT_EVENTS, wait=10.0)
    trades = runtime.subscribe("tplus", tplus.TRADES, wait=10.0)
    bars = runtime.subscribe("tplus", tplus.KLINES, "200", wait=10.0)
    ticker = runtime.subscribe("tplus", tplus.TICKER, "200", wait=10.0)
    tickers = runtime.subscribe("tplus", tplus.TICKERS, wait=10.0)
    assert set(runtime.status().lines()) == {
        *("tplus/user-trades", "tplus/orders", "tplus/positions", "tplus/account-events"),
        *("tplus/trades", "tplus/klines-200", "tplus/ticker-200", "tplus/tickers"),
    }
    assert market.auth_requests == LOGIN_REQUESTS

    market.user_trade(USER, "200", status="Pending")
    fill = fills.get(timeout=5.0)
    assert isinstance(fill, tplus.UserTrade)
    assert fill.status == "Pending"
    told = market.order(USER, "Created", "200")
    created = orders.get(timeout=5.0)
    assert isinstance(created, tplus.Created)
    assert created.user_order.order_id == told["user_order"]["order_id"]
    market.position(USER, "200")
    assert len(positions.get(timeout=5.0).positions) == 1
    market.account_event(USER, "DepositLanded", "200")
    assert isinstance(happenings.get(timeout=5.0), tplus.DepositLanded)
    market.trade("201", price="101.50")
    assert str(trades.get(timeout=5.0).price) == "101.50"
    market.kline("200")
    assert bars.get(timeout=5.0).asset_id == "200"
    market.tickers("200", "201")
    assert ticker.get(timeout=5.0).asset_id == "200"
    assert [tickers.get(timeout=5.0).asset_id for _ in range(2)] == ["200", "201"]


class Identifier:
    """As tpluspy's `AssetIdentifier`: a pydantic model, which is iterable, of one text."""

    root = "200"

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([("root", self.root)])


def test_an_asset_is_one_topic_in_each_form_and_each_call(runtime: Runtime, market: SimulatedTplus) -> None:
    forms: list[Any] = [200, "200", " 0200 ", {"Index": 200}, Identifier()]
    depth = runtime.subscribe("tplus", tplus.DEPTH, *forms, wait=10.0)
    assert [topic.key for topic in depth.topics] == ["200"]
    bars = runtime.subscribe("tplus", tplus.KLINES, 7)
    heard: list[Any] = []
    for form in forms:
        runtime.on("tplus", tplus.TICKER, form, handler=heard.append)
        runtime.bars("tplus", form, "1min")
        bars.add(form)
        assert {topic.key for topic in bars.topics} == {"7", "200"}
        bars.remove(form)
        assert {topic.key for topic in bars.topics} == {"7"}
        assert runtime.book("tplus", form, wait=10.0).topic == Topic("tplus", "depth", "200")
        assert runtime.latest("tplus", form, max_age=60.0, timeout=5.0).symbol == "200"
        assert runtime.fresh("tplus", "depth", form).topic == "tplus/depth/200"
    lines = {line for line in runtime.status().lines() if line.endswith("-200")} - {"tplus/klines-200"}
    assert lines == {"tplus/depth-200", "tplus/ticker-200", "tplus/market-trades-200"}


def test_a_config_has_assets_as_numbers_and_texts(market: SimulatedTplus) -> None:
    token = "0x" + "62" * 20
    entry = {"channel": "ticker", "keys": [200, f"{token}@{42161:018x}"]}
    with runtime_on(market, subscribe=[entry]) as runtime:
        runtime.wait_live(timeout=10.0)
        address = "62" * 20 + "00" * 12 + "@" + "00" * 7 + "a4b1"
        assert set(runtime.status().lines()) == {"tplus/ticker-200", f"tplus/ticker-{address}"}


def test_a_line_goes_with_its_topic(runtime: Runtime, market: SimulatedTplus) -> None:
    stream = runtime.subscribe("tplus", tplus.TICKER, "200", wait=10.0)
    stream.close()
    until(runtime, lambda status: "tplus/ticker-200" not in status.lines())
    until(runtime, lambda _: market.subscribers("/ticker/ws/200") == 0)


def test_no_more_lines_than_may_be(market: SimulatedTplus) -> None:
    with runtime_on(market, max_lines=1) as runtime:
        first = runtime.subscribe("tplus", tplus.TICKER, "200", wait=10.0)
        with pytest.raises(SubscribeError, match="max_lines") as refused:
            runtime.subscribe("tplus", tplus.TICKER, "201", wait=10.0)
        assert refused.value.stream
        assert set(runtime.status().lines()) == {"tplus/ticker-200"}
        first.close()  # now there is room
        until(runtime, lambda _: market.subscribers("/ticker/ws/201") == 1)


def test_where_no_welcome_comes_the_first_data_confirm(runtime: Runtime, market: SimulatedTplus) -> None:
    market.no_welcome()
    trades = runtime.subscribe("tplus", tplus.TRADES)
    until(runtime, lambda _: market.subscribers("/trades") == 1)
    market.trade("200")
    assert trades.get(timeout=5.0).asset_id == "200"
    until(runtime, lambda status: status.lines()["tplus/trades"].topics[0].state.state == "confirmed")
    assert not runtime.status().lines()["tplus/trades"].topics[0].state.assumed


# ── the login ──


def test_defect_1_and_2_a_clean_close_shows_as_a_gap_and_the_trades_go_on(
    runtime: Runtime, market: SimulatedTplus
) -> None:
    trades = runtime.subscribe("tplus", tplus.TRADES, wait=10.0)
    market.close_stream("/trades", 1000)
    until(runtime, at_epoch(2, "tplus/trades"))
    runtime.wait_live("tplus/trades", timeout=10.0)
    market.trade("200")
    told: list[object] = []
    for item in trades.with_markers():
        told.append(item)
        if isinstance(item, tplus.Trade):
            break
    assert isinstance(told[-2], Gap)
    assert told[-2].reason == "disconnect"


def test_defect_3_a_stream_that_is_denied_after_the_upgrade_fails(
    runtime: Runtime, market: SimulatedTplus
) -> None:
    market.unauthorized(n=1000)  # whatever the token, and the socket stays open
    _stream = runtime.subscribe("tplus", tplus.ORDERS)
    status = until(runtime, lambda status: _state(status, "tplus/orders") == "failed")
    reason = status.lines()["tplus/orders"].reason
    assert reason is not None
    assert "unauthorized" in reason.text
    assert market.auth_requests == LOGIN_REQUESTS  # a new one is no better than the first was


def test_a_token_that_was_given_is_presented_and_never_renewed(market: SimulatedTplus) -> None:
    with runtime_on(market, user=USER, token="tok-1") as runtime:
        _stream = runtime.subscribe("tplus", tplus.ORDERS)
        until(runtime, lambda status: _state(status, "tplus/orders") == "failed")
        assert market.auth_requests == 0


def test_defect_9_an_expired_token_is_replaced_once_for_all_lines(
    runtime: Runtime, market: SimulatedTplus
) -> None:
    fills = runtime.subscribe("tplus", tplus.USER_TRADES, wait=10.0)
    _stream = runtime.subscribe("tplus", tplus.ORDERS, wait=10.0)
    market.expire_tokens(close=1008)
    for line in ("tplus/user-trades", "tplus/orders"):
        until(runtime, at_epoch(2, line))
        runtime.wait_live(line, timeout=10.0)
    assert market.auth_requests == 2 * LOGIN_REQUESTS
    market.user_trade(USER, "200")
    assert isinstance(fills.get(timeout=5.0), tplus.UserTrade)


def test_defect_10_reconnects_ask_for_no_new_token(runtime: Runtime, market: SimulatedTplus) -> None:
    _stream = runtime.subscribe("tplus", tplus.ORDERS, wait=10.0)
    for epoch in range(2, 7):
        market.close_stream("/orders", 1001)
        until(runtime, at_epoch(epoch, "tplus/orders"))
        runtime.wait_live("tplus/orders", timeout=10.0)
    assert market.auth_requests == LOGIN_REQUESTS


def test_defect_16_a_gateways_path_is_kept() -> None:
    with SimulatedTplus(rate=0, prefix="/gateway") as market, runtime_on(market) as runtime:
        _stream = runtime.subscribe("tplus", tplus.ORDERS, wait=10.0)
        assert runtime.book("tplus", "200", wait=10.0).synced


# ── books and prices ──


@pytest.mark.parametrize("mishap", ["skip", "repeat", "restart_sequence", "malformed_diff"])
def test_defect_4_a_book_that_lost_something_is_put_together_anew(
    runtime: Runtime, market: SimulatedTplus, mishap: str
) -> None:
    assert runtime.book("tplus", "200", wait=10.0).synced
    market.steps(200)
    until(runtime, is_right(runtime, market))
    getattr(market, mishap)("200")
    market.depth_change("200", bids=[("1.50", "2")])  # by which some of them show
    until(runtime, is_right(runtime, market))
    market.steps(50)
    until(runtime, is_right(runtime, market))


def test_a_book_follows_odd_frames_and_a_lost_socket(runtime: Runtime, market: SimulatedTplus) -> None:
    assert runtime.book("tplus", "200", wait=10.0).synced
    market.two_documents("200")
    market.two_documents("200", form="array")
    market.unknown_level("200")
    market.steps(50)
    until(runtime, is_right(runtime, market))
    assert market.snapshots == 1  # nothing was missing
    market.close_stream("/marketdepth/diff/200", 0)
    until(runtime, at_epoch(2, "tplus/depth-200"))
    market.steps(50)
    until(runtime, is_right(runtime, market))


def test_changes_that_come_before_the_snapshot_are_not_lost(runtime: Runtime, market: SimulatedTplus) -> None:
    market.stale_snapshot(n=2)
    market.hold_snapshot()
    changes = runtime.subscribe("tplus", tplus.DEPTH, "200")
    until(runtime, lambda _: market.held == 1)
    market.steps(20)
    market.release_snapshots()
    assert isinstance(changes.get(timeout=10.0), tplus.DepthSnapshot)
    until(runtime, is_right(runtime, market))


def test_a_snapshot_that_fails_is_asked_for_again(runtime: Runtime, market: SimulatedTplus) -> None:
    market.snapshot_error(503, n=2)
    assert runtime.book("tplus", "200", wait=10.0).synced


def test_an_asset_that_does_not_exist_is_rejected(runtime: Runtime, market: SimulatedTplus) -> None:
    market.snapshot_error(404, n=1000)
    with pytest.raises(SubscribeError, match="404"):
        runtime.subscribe("tplus", tplus.DEPTH, "200", wait=10.0)


def test_the_newest_price_comes_from_the_stream_or_over_http(
    runtime: Runtime, market: SimulatedTplus
) -> None:
    asked = runtime.latest("tplus", "200", max_age=60.0, timeout=5.0)
    assert asked.last is not None
    _stream = runtime.subscribe("tplus", tplus.TICKER, "200", wait=10.0)
    market.ticker("200", last_price="123.45")
    until(runtime, lambda _: str(runtime.latest("tplus", "200", max_age=60.0).last) == "123.45")
