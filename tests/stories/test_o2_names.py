"""O2's markets by name, from the subscription to the bars, and what happens when the list does not come."""

from __future__ import annotations

import queue
from decimal import Decimal
from functools import partial

import pytest

from actors import Gap, Received, Repaired, Runtime, Stream, SubscribeError
from actors.simulators import SimulatedO2
from actors.venues import o2 as venue
from tests.support.runtimes import config, fresh, runtime_on, until
from tests.support.virtual_time import Clockwork, clockwork

NAME = "FUEL/USDC"  # of the simulator's first market


def test_every_call_that_takes_a_market_takes_its_name(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    assert o2.name_of(market) == NAME
    trades = runtime.subscribe("o2", venue.TRADES, NAME, wait=10.0)
    assert runtime.bars("o2", NAME, "1min", wait=20.0)["1min"].synced  # O2's REST has told it
    o2.trade(market, price="12000000", quantity="5")
    trade = trades.get(timeout=10.0)
    assert (trade.market, trade.price) == (NAME, 12_000_000)
    assert runtime.fresh("o2", "trades", NAME, max_age=60.0)
    latest = runtime.latest("o2", NAME, max_age=60.0)
    assert (latest.symbol, latest.last) == (NAME, 12_000_000)

    book = runtime.book("o2", NAME, wait=10.0)
    bids, asks = o2.book(market)
    assert book.best_bid == (max(bids), bids[max(bids)])
    assert book.best_ask == (min(asks), asks[min(asks)])

    told: queue.Queue[venue.DepthView] = queue.Queue()
    views = runtime.on("o2", venue.DEPTH_VIEW, NAME, handler=told.put, precision=1, wait=10.0)
    assert told.get(timeout=10.0).market == NAME
    views.close()

    until(runtime, lambda _: runtime.bars("o2", NAME, "1min")["1min"].forming is not None)
    bar = runtime.bars("o2", NAME, "1min")["1min"].forming
    assert bar is not None
    assert (bar.close, bar.volume) == (Decimal(12_000_000), Decimal(5))


def test_a_config_may_name_markets(o2: SimulatedO2) -> None:
    wanted = [
        {"channel": "trades", "keys": [NAME, "ETH/USDC"]},
        {"channel": "depth", "keys": [NAME], "precision": 1},
    ]
    with runtime_on(o2, subscribe=wanted) as runtime:
        topics = fresh(runtime).lines()["o2"].topics
        assert {each.state.state for each in topics} == {"confirmed"}
        assert {each.topic for each in topics} == {
            "o2/trades/FUEL/USDC",
            "o2/trades/ETH/USDC",
            "o2/depth/FUEL/USDC?precision=10",
        }


def test_a_loss_of_a_market_by_name_is_filled_from_its_history(o2: SimulatedO2, market: str) -> None:
    beats = {"ping_interval": 0.0}  # a pong that is late would be another loss
    with runtime_on(o2, backfill=True, backfill_hold=10.0, ack_timeout=10.0, heartbeat=beats) as runtime:
        trades = runtime.subscribe("o2", venue.TRADES, NAME, wait=10.0)
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=10.0).trade_id == "1"
        o2.refuse(503, n=1_000_000)
        o2.drop()
        until(runtime, lambda status: status.lines()["o2"].state != "live")
        o2.trade(market, trade_id="2")
        o2.heal()
        until(runtime, lambda status: status.lines()["o2"].state == "live")
        o2.trade(market, trade_id="3")
        assert told(trades, "3") == ["gap", ("rest", NAME, "2"), "repaired", ("stream", NAME, "3")]


def told(trades: Stream[venue.Trade], last: str) -> list[object]:
    """What the stream has up to this trade."""
    words: list[object] = []
    for item in trades.items(timeout=20.0):
        match item:
            case Received(event=event, source=source):
                words.append((source or "stream", event.market, event.trade_id))
                if event.trade_id == last:
                    return words
            case Gap():
                words.append("gap")
            case Repaired():
                words.append("repaired")
    raise AssertionError(f"the stream ended: {words}")


def test_a_name_that_o2_does_not_list_is_rejected_with_the_nearest_one(runtime: Runtime) -> None:
    why = r"rejected \(o2 lists no market 'FUEL/USDT'; did you mean 'FUEL/USDC'"
    with pytest.raises(SubscribeError, match=why):
        runtime.subscribe("o2", venue.TRADES, "FUEL/USDT", wait=10.0)


def test_a_name_of_two_markets_is_rejected_with_both_ids(o2: SimulatedO2, runtime: Runtime) -> None:
    first, second = o2.markets[:2]
    o2.rename(second, NAME)
    with pytest.raises(SubscribeError, match=f"2 markets of o2 are called 'FUEL/USDC': {first}, {second}"):
        runtime.subscribe("o2", venue.TRADES, NAME, wait=10.0)


def test_the_second_spelling_of_a_market_is_rejected(runtime: Runtime, market: str) -> None:
    first = runtime.subscribe("o2", venue.TRADES, NAME, wait=10.0)
    with pytest.raises(SubscribeError, match=f"market {market} is subscribed to as 'FUEL/USDC'"):
        runtime.subscribe("o2", venue.TRADES, market, wait=10.0)
    depth = runtime.subscribe("o2", venue.DEPTH, market, wait=10.0)  # another channel may have it
    assert {each.state for stream in (first, depth) for each in stream.topics.values()} == {"confirmed"}


def test_identities_are_text_or_mappings(o2: SimulatedO2, runtime: Runtime) -> None:
    alice, bob = "0x" + "a1" * 32, "0x" + "b2" * 32
    orders = runtime.subscribe("o2", venue.ORDERS, {"ContractId": alice}, wait=10.0)
    nonces = runtime.subscribe("o2", venue.NONCE, [{"ContractId": alice}, {"Address": bob}], wait=10.0)
    assert [topic.key for topic in (*orders.topics, *nonces.topics)] == [alice, alice, f"Address:{bob}"]
    o2.order({"ContractId": alice})
    assert orders.get(timeout=10.0).account == alice


def test_two_accounts_get_their_own_orders(o2: SimulatedO2, runtime: Runtime) -> None:
    alice, bob = "0x" + "a1" * 32, "0x" + "b2" * 32
    streams = {each: runtime.subscribe("o2", venue.ORDERS, each, wait=10.0) for each in (alice, bob)}
    for each in (bob, alice):
        o2.order(each)
    assert {each: stream.get(timeout=10.0).account for each, stream in streams.items()} == {
        alice: alice,
        bob: bob,
    }


# ── the list does not come ──────────────────────────────────────────────────────────────────────


def has_reason(clock: Clockwork, words: str, _: object) -> bool:
    """Whether the one topic is rejected with these words at the end."""
    (topic,) = fresh(clock.runtime).lines()["o2"].topics
    return topic.state.reason.endswith(words)


def test_a_list_that_does_not_come_is_told_and_asked_for_again(o2: SimulatedO2, market: str) -> None:
    o2.list_refused(503, n=2)
    with clockwork(config(o2.url, heartbeat={"ping_interval": 0.0})) as clock:
        trades = clock.runtime.subscribe("o2", venue.TRADES, NAME)
        for seconds in (5, 10):
            clock.until(partial(has_reason, clock, f"http 503. It is asked for again in {seconds} s"))
            clock.advance(float(seconds))
        clock.until(lambda _: o2.subscribers("trades", market) == 1)
        o2.trade(market)
        assert trades.get(timeout=10.0).market == NAME


def test_a_name_that_was_known_needs_no_list_to_come_back(o2: SimulatedO2, market: str) -> None:
    with clockwork(config(o2.url, heartbeat={"ping_interval": 0.0})) as clock:
        trades = clock.runtime.subscribe("o2", venue.TRADES, NAME, wait=10.0)
        clock.advance(120.0)  # the list is old by now
        o2.list_refused(503, n=1_000)
        o2.drop()
        clock.until(lambda status: status.lines()["o2"].state != "live")
        clock.advance(1.0)
        clock.until(lambda _: o2.subscribers("trades", market) == 1)
        o2.trade(market)
        assert trades.get(timeout=10.0).market == NAME


def test_a_list_that_is_late_delays_the_names_alone(o2: SimulatedO2, runtime: Runtime, market: str) -> None:
    o2.list_late(seconds=0.5)
    named = runtime.subscribe("o2", venue.TRADES, "ETH/USDC")
    by_id = runtime.subscribe("o2", venue.TRADES, market, wait=10.0)
    assert o2.subscribers("trades", o2.markets[1]) == 0
    o2.wait_for(lambda: o2.subscribers("trades", o2.markets[1]) == 1, timeout=10.0)
    o2.trade(o2.markets[1])
    assert named.get(timeout=10.0).market == "ETH/USDC"
    by_id.close()
