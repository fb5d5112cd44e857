"""O2's rules, each as its documents tell it, from the client's side."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.request import urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from websockets.exceptions import ConnectionClosed

from actors.simulators import SimulatedO2
from actors.simulators.base.random_market import Levels
from tests.simulators.plain_client import ALICE, BOB, Client, client
from tests.support.examples import examples

pytest_plugins = ["actors.testing"]

MARKET = "0x" + "ab" * 32


@pytest.fixture
def desk(simulated_o2: SimulatedO2) -> Iterator[Client]:
    with client(simulated_o2.url) as each:
        yield each


class Book:
    """What a correct client makes of depth frames."""

    def __init__(self) -> None:
        self.bids: Levels = {}
        self.asks: Levels = {}

    def hear(self, told: dict[str, Any]) -> None:
        snapshot = told["action"] == "subscribe_depth"
        sides = told["orders"] if snapshot else told["changes"]
        for mine, levels in ((self.bids, sides["buys"]), (self.asks, sides["sells"])):
            if snapshot:
                mine.clear()
            for level in levels:
                price, quantity = int(level["price"]), int(level["quantity"])
                mine[price] = mine.get(price, 0) + quantity
                if mine[price] <= 0:
                    del mine[price]


def test_text_ping_gets_text_pong(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.socket.send("PING")
    assert desk.hear() == "PONG"
    assert simulated_o2.heard == ["PING"]


def test_a_protocol_ping_gets_its_pong(simulated_o2: SimulatedO2, desk: Client) -> None:
    assert desk.socket.ping().wait(5)
    assert simulated_o2.pings == 1
    assert simulated_o2.heard == []


def test_depth_is_acknowledged_by_a_sorted_snapshot(simulated_o2: SimulatedO2, desk: Client) -> None:
    market = simulated_o2.markets[0]
    desk.depth(market)
    told = desk.hear()
    assert told["action"] == "subscribe_depth"
    assert told["market_id"] == market
    buys = [int(level["price"]) for level in told["orders"]["buys"]]
    sells = [int(level["price"]) for level in told["orders"]["sells"]]
    assert buys == sorted(buys, reverse=True)
    assert sells == sorted(sells)
    assert buys[0] < sells[0]
    assert simulated_o2.heard == [{"action": "subscribe_depth", "market_id": market, "precision": "10"}]
    assert simulated_o2.subscribers("depth", market) == 1


@given(
    seed=some.integers(0, 1 << 16),
    before=some.integers(0, 20),
    after=some.integers(0, 60),
    level=some.integers(1, 12),
)
@settings(max_examples=examples(25), deadline=None)
def test_snapshot_and_deltas_are_the_book(seed: int, before: int, after: int, level: int) -> None:
    with SimulatedO2(rate=0, seed=seed, markets=[MARKET]) as o2, client(o2.url) as desk:
        o2.steps(before)
        desk.depth(MARKET, str(10**level))
        desk.identities("orders", ALICE)  # somebody's orders come and go in the book, too
        book = Book()
        book.hear(desk.hear())
        o2.wait_for(lambda: o2.subscribers("orders", ALICE))
        o2.steps(after)
        o2.send_raw("that is all")
        while (told := desk.hear()) != "that is all":
            if told["action"].startswith("subscribe_depth"):
                book.hear(told)
        assert (book.bids, book.asks) == o2.book(MARKET, 10**level)


def test_a_delta_is_signed_and_may_take_more_than_there_is(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.depth(MARKET)
    best = int(desk.hear()["orders"]["buys"][0]["price"])
    simulated_o2.depth_change(MARKET, buys=[(best, -(10**15))], sells=[(best + 10**9, 7)])
    told = desk.hear()
    assert told["action"] == "subscribe_depth_update"
    assert told["changes"]["buys"] == [{"price": str(best), "quantity": str(-(10**15))}]
    assert told["changes"]["sells"] == [{"price": str(best + 10**9), "quantity": "7"}]
    assert best not in simulated_o2.book(MARKET)[0]


@pytest.mark.parametrize("key", ["orders", "view", ""])
def test_where_a_snapshot_has_its_sides(key: Any) -> None:
    with SimulatedO2(rate=0, snapshot_key=key) as o2, client(o2.url) as desk:
        desk.depth(MARKET)
        told = desk.hear()
        sides = told[key] if key else told
        assert sides["buys"]
        assert sides["sells"]
        assert sides.get("precision") == (10 if key == "view" else None)


def test_depth_view_sends_whole_pictures_at_most_so_often(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.say("subscribe_depth_view", market_id=MARKET, precision="100", frequency="500ms")
    told = desk.hear()
    assert told["action"] == "subscribe_depth_view"
    assert told["view"]["precision"] == 100
    begun = time.monotonic()
    for _ in range(50):
        simulated_o2.depth_change(MARKET, buys=[(100, 1)])
    seen = desk.hear()
    assert time.monotonic() - begun >= 0.3
    assert seen["view"]["buys"][-1] == {"price": "100", "quantity": "50"}
    assert desk.hears_nothing()


def test_trades_bear_what_was_asked_for(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.trades(MARKET)
    simulated_o2.wait_for(lambda: simulated_o2.subscribers("trades", MARKET))
    told = simulated_o2.trade(MARKET, price="2000000000", trade_id="77", maker={"ContractId": ALICE})
    heard = desk.hear()
    assert heard["action"] == "subscribe_trades"
    assert heard["market_id"] == MARKET
    assert heard["trades"] == [told]
    assert (told["price"], told["trade_id"]) == ("2000000000", "77")


def test_numbered_trades_come_in_order_and_at_their_pace(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.trades(MARKET)
    simulated_o2.wait_for(lambda: simulated_o2.subscribers("trades", MARKET))
    assert simulated_o2.number_trades(MARKET, 5) == range(1, 6)
    begun = time.monotonic()
    assert simulated_o2.number_trades(MARKET, 5, per_second=50) == range(6, 11)
    assert time.monotonic() - begun >= 0.08
    numbers = [int(desk.hear()["trades"][0]["trade_id"]) for _ in range(10)]
    assert numbers == list(range(1, 11))


def test_a_burst_waits_for_its_reader(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.trades(MARKET)
    simulated_o2.wait_for(lambda: simulated_o2.subscribers("trades", MARKET))
    numbers = simulated_o2.number_trades(MARKET, 20_000, background=True)
    heard = [int(desk.hear()["trades"][0]["trade_id"]) for _ in numbers]
    assert heard == list(numbers)


@pytest.mark.parametrize("channel", ["orders", "balances", "nonce"])
def test_identities_get_their_own(simulated_o2: SimulatedO2, desk: Client, channel: str) -> None:
    desk.identities(channel, ALICE, BOB)
    simulated_o2.wait_for(lambda: simulated_o2.subscribers(channel, BOB))
    say: dict[str, Any] = {
        "orders": simulated_o2.order,
        "balances": simulated_o2.balance,
        "nonce": simulated_o2.nonce,
    }
    say[channel]("0x" + "ee" * 32)  # nobody asked for that one
    told = say[channel](BOB)
    heard = desk.hear()
    assert heard["action"] == f"subscribe_{channel}"
    match channel:
        case "orders":
            assert heard["orders"] == [told]
            assert told["account"] == {"ContractId": BOB}
        case "balances":
            assert heard["balance"] == [told]
            assert told["identity"] == {"ContractId": BOB}
        case "nonce":
            assert heard["contract_id"] == BOB
            assert heard["nonce"] == str(told)


def test_an_order_is_told_again_with_what_changed(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.identities("orders", ALICE)
    simulated_o2.wait_for(lambda: simulated_o2.subscribers("orders", ALICE))
    first = simulated_o2.order(ALICE, quantity="10")
    simulated_o2.order(ALICE, order_id=first["order_id"], quantity_fill="10", close=True)
    assert desk.hear()["orders"] == [first]
    assert desk.hear()["orders"] == [first | {"quantity_fill": "10", "close": True}]


@pytest.mark.parametrize(("form", "written"), [("decimal", "42"), ("number", 42), ("hex", "0x2a")])
def test_a_nonce_in_three_forms(simulated_o2: SimulatedO2, desk: Client, form: Any, written: object) -> None:
    desk.identities("nonce", ALICE)
    simulated_o2.wait_for(lambda: simulated_o2.subscribers("nonce", ALICE))
    simulated_o2.nonce(ALICE, 42, form=form)
    assert desk.hear()["nonce"] == written


def test_one_slot_a_market_and_one_a_connection(simulated_o2: SimulatedO2, desk: Client) -> None:
    taken = {"code": 6000, "message": "already subscribed"}
    desk.depth(MARKET)
    desk.hear()
    desk.depth(MARKET.upper().replace("0X", ""), "1000")
    assert desk.hear() == taken
    desk.trades(MARKET)
    desk.trades(MARKET)
    assert desk.hear() == taken
    for channel in ("orders", "balances", "nonce"):
        desk.identities(channel, ALICE)
        desk.identities(channel, BOB)
        assert desk.hear() == taken
    desk.depth(simulated_o2.markets[0])
    assert desk.hear()["action"] == "subscribe_depth"


def test_precision_is_changed_by_unsubscribing(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.depth(MARKET)
    desk.hear()
    desk.say("unsubscribe_depth", market_id=MARKET)
    desk.depth(MARKET, "1000000000")
    told = desk.hear()
    assert all(int(level["price"]) % 10**9 == 0 for level in told["orders"]["sells"])


def test_what_was_unsubscribed_is_quiet(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.trades(MARKET)
    desk.say("unsubscribe_trades", market_id=MARKET)
    desk.say("unsubscribe_depth", market_id=MARKET)  # which never was subscribed
    desk.identities("orders", ALICE, BOB)
    desk.say("unsubscribe_orders")
    desk.identities("balances", ALICE, BOB)
    desk.say("unsubscribe_balances", identities=[{"ContractId": ALICE}])
    assert desk.hears_nothing()
    simulated_o2.trade(MARKET)
    simulated_o2.order(BOB)
    simulated_o2.balance(ALICE)
    assert desk.hears_nothing()
    simulated_o2.balance(BOB)
    assert desk.hear()["balance"][0]["identity"] == {"ContractId": BOB}


def test_eleven_identities_are_too_many(desk: Client) -> None:
    ids = [f"0x{number:064x}" for number in range(11)]
    desk.identities("orders", *ids)
    assert desk.hear()["code"] == 6001
    desk.identities("orders", *ids[:10])
    assert desk.hears_nothing()


def test_an_unknown_market_where_markets_are_listed() -> None:
    with SimulatedO2(rate=0, markets=[MARKET]) as o2, client(o2.url) as desk:
        desk.depth("0xdead")
        assert desk.hear() == {"code": 2000, "message": "market not found"}
        desk.depth(MARKET.upper().replace("0X", "0x"))
        assert desk.hear()["market_id"] == MARKET


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"action":"subscribe_candles","market_id":"0x01"}', 1001),
        ('{"action":"subscribe"}', 1001),
        ('{"market_id":"0x01"}', 1001),
        ('{"action":"subscribe_depth","market_id":"0x01","precision":10}', 1001),
        ('{"action":"subscribe_depth","market_id":"0x01","precision":"1"}', 1001),
        (
            '{"action":"subscribe_depth_view","market_id":"0x01","precision":"10","frequency":"2s"}',
            1001,
        ),
        ('{"action":"subscribe_orders","identities":[]}', 1001),
        ('{"action":"subscribe_orders","identities":[{"Wallet":"0x01"}]}', 1001),
        ('{"action":"subscribe_trades","market_id":"FUEL/USDC"}', 2000),
        ('{"action":', 1002),
        ("ping", 1002),
        (b"\x00\xff", 1002),
    ],
)
def test_what_is_not_understood_is_an_error_without_an_action(
    simulated_o2: SimulatedO2, desk: Client, text: str | bytes, code: int
) -> None:
    desk.socket.send(text)
    told = desk.hear()
    assert told["code"] == code
    assert told.keys() == {"code", "message"}
    [heard] = simulated_o2.heard
    assert heard == (json.loads(text) if code != 1002 else text)


def test_errors_may_name_what_they_are_about() -> None:
    with SimulatedO2(rate=0, markets=[MARKET], name_errors=True) as o2, client(o2.url) as desk:
        desk.trades("0xdead")
        told = {"code": 2000, "message": "market not found"}
        assert desk.hear() == told | {"action": "subscribe_trades", "market_id": "0xdead"}


def test_only_depth_is_acknowledged_for_certain(simulated_o2: SimulatedO2, desk: Client) -> None:
    desk.trades(MARKET)
    for channel in ("orders", "balances", "nonce"):
        desk.identities(channel, ALICE)
    assert desk.hears_nothing()


def test_all_may_be_acknowledged() -> None:
    with SimulatedO2(rate=0, acknowledge_all=True) as o2, client(o2.url) as desk:
        told, order = o2.trade(MARKET), o2.order(ALICE)
        o2.order(ALICE, close=True)
        desk.trades(MARKET)
        assert desk.hear()["trades"] == [told]
        desk.identities("orders", ALICE)
        assert desk.hear()["orders"] == [order]
        desk.identities("balances", ALICE)
        assert {entry["identity"]["ContractId"] for entry in desk.hear()["balance"]} == {ALICE}
        desk.identities("nonce", ALICE, BOB)
        assert [desk.hear()["contract_id"] for _ in range(2)] == [ALICE, BOB]


def test_ids_may_be_untidy() -> None:
    with SimulatedO2(rate=0, untidy_ids=True) as o2, client(o2.url) as desk:
        bare = MARKET.removeprefix("0x")
        desk.depth(MARKET)
        assert desk.hear()["market_id"] == bare
        o2.depth_change(MARKET, buys=[(10, 1)])
        assert desk.hear()["market_id"] == bare.upper()
        desk.trades(bare.upper())
        o2.wait_for(lambda: o2.subscribers("trades", MARKET))
        o2.trade(MARKET)
        assert desk.hear()["market_id"] == "0x" + bare.upper()


def test_the_silent_are_closed() -> None:
    with SimulatedO2(rate=0, inactivity=0.2) as o2, client(o2.url) as desk:
        begun = time.monotonic()
        assert desk.hear_until_closed() == []
        assert time.monotonic() - begun >= 0.15
        assert (desk.socket.close_code, desk.socket.close_reason) == (1001, "inactivity")


@pytest.mark.parametrize("count", [True, False])
def test_whether_protocol_pings_are_a_sign_of_life(count: bool) -> None:
    with SimulatedO2(rate=0, inactivity=1.0, pings_count=count) as o2, client(o2.url) as desk:
        until = time.monotonic() + 3.0
        while o2.connections and time.monotonic() < until:
            with suppress(TimeoutError, ConnectionClosed):
                desk.socket.ping()
                desk.hear(timeout=0.05)
        assert o2.connections == count


def test_errors_that_answer_nothing(simulated_o2: SimulatedO2, desk: Client) -> None:
    simulated_o2.error(1003, "rate limited")
    assert desk.hear() == {"code": 1003, "message": "rate limited"}
    simulated_o2.resync_required(MARKET)
    told = desk.hear()
    assert (told["action"], told["market_id"], told["resync_required"]) == ("error", MARKET, True)


def test_the_market_moves_by_itself() -> None:
    with SimulatedO2(rate=500) as o2, client(o2.url) as desk:
        for market in o2.markets:
            desk.depth(market)
            desk.trades(market)
        for channel in ("orders", "balances", "nonce"):
            desk.identities(channel, ALICE)
        awaited = {
            "subscribe_depth_update",
            "subscribe_trades",
            "subscribe_orders",
            "subscribe_balances",
            "subscribe_nonce",
        }
        while awaited:
            awaited.discard(desk.hear()["action"])


@given(seed=some.integers(0, 1 << 16))
@settings(max_examples=examples(10), deadline=None)
def test_the_books_of_an_account_balance(seed: int) -> None:
    with SimulatedO2(rate=0, seed=seed) as o2, client(o2.url) as desk:
        desk.identities("orders", ALICE)
        desk.identities("balances", ALICE)
        o2.wait_for(lambda: o2.subscribers("balances", ALICE))
        o2.steps(400)
        o2.send_raw("that is all")
        orders: dict[str, Any] = {}
        balances: dict[str, Any] = {}
        while (told := desk.hear()) != "that is all":
            orders |= {each["order_id"]: each for each in told.get("orders", [])}
            balances |= {each["asset_id"]: each for each in told.get("balance", [])}
        markets = {each["market_id"]: each for each in pages(o2, "/v1/markets")["markets"]}
        at_stake = dict.fromkeys(balances, 0)
        for order in orders.values():
            market = markets[order["market_id"]]
            left = 0 if order["close"] else int(order["quantity"]) - int(order["quantity_fill"])
            if order["side"] == "sell":
                at_stake[market["base"]["asset"]] += left
            else:
                at_stake[market["quote"]["asset"]] += left * int(order["price"]) // 10**9
        assert {asset: int(each["total_locked"]) for asset, each in balances.items()} == at_stake
        for each in balances.values():
            assert int(each["total_unlocked"]) >= 0
            booked = sum(int(book["locked"]) for book in each["order_books"].values())
            assert booked == int(each["total_locked"])


def pages(o2: SimulatedO2, path: str) -> Any:
    with urlopen(o2.http_url + path, timeout=5) as answer:
        return json.load(answer)


def test_an_empty_market() -> None:
    with SimulatedO2(rate=100, market=False) as o2, client(o2.url) as desk:
        desk.depth(MARKET)
        assert desk.hear()["orders"] == {"buys": [], "sells": []}
        o2.depth_change(MARKET, sells=[(20, 5)])
        assert desk.hear()["changes"] == {"buys": [], "sells": [{"price": "20", "quantity": "5"}]}
        assert o2.book(MARKET) == ({}, {20: 5})


def test_pages(simulated_o2: SimulatedO2) -> None:
    get = partial(pages, simulated_o2)

    assert get("/health") == {"status": "ok"}
    markets = get("/v1/markets")["markets"]
    assert [market["market_id"] for market in markets] == simulated_o2.markets
    depth = get(f"/v1/depth?market_id={simulated_o2.markets[0]}&precision=10")
    assert len(depth["orders"]["buys"]) == len(simulated_o2.book(simulated_o2.markets[0])[0])
    order = simulated_o2.order(ALICE)
    orders = get(f"/v1/orders?market_id={order['market_id']}&contract={ALICE}&is_open=true")
    assert orders["orders"] == [order]
    assert get(f"/v1/order?market_id={order['market_id']}&order_id={order['order_id']}") == {"order": order}
    asset = markets[0]["base"]["asset"]
    assert int(get(f"/v1/balance?asset_id={asset}&contract={ALICE}")["total_unlocked"]) > 0
    nonce = simulated_o2.nonce(ALICE)
    assert get(f"/v1/accounts?trade_account_id={ALICE}")["trade_account"]["nonce"] == str(nonce)
