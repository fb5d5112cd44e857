"""What clients of Alpaca are known to get wrong, and ours does not: what it takes a runtime to see.

The numbers are those of alpaca-py 0.44.0's weaknesses as we count them, the letters those of the market
data layer that this project grew from. What a session alone can show stands in `tests/venues`.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

import actors
from actors import Gap, Lifecycle, NotLiveError, Runtime, SubscribeError
from actors.reasons import Slow
from actors.registry import ANSWERED
from actors.rules.restarts import RestartPolicy, Restarts, Retry
from actors.settings import load
from actors.simulators import SimulatedAlpaca
from actors.venues.alpaca import Trade, TradeUpdate
from actors.wire.socket_inbox import SocketInbox
from tests.support.counters import settle
from tests.support.runtimes import alpaca_config, alpaca_runtime, at_epoch, line_of, until

DEAD_SESSION = 90.0  # seconds for which Alpaca may count a connection that broke off


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    """A venue where nothing moves by itself, and one account may have one connection to an endpoint."""
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


@pytest.fixture
def runtime(alpaca: SimulatedAlpaca) -> Iterator[Runtime]:
    with alpaca_runtime(alpaca) as runtime:
        yield runtime


def refused(code: str) -> Any:
    return lambda status: any(each.code == code for each in status.lines()["iex"].journal)


# ── alpaca-py ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", ["iex", "account"])
def test_1_wrong_keys_are_tried_once(stream: str) -> None:
    with SimulatedAlpaca(rate=0, keys={}) as alpaca:
        with pytest.raises(NotLiveError):
            actors.start(alpaca_config(alpaca, stream), wait=10.0)
        assert alpaca.lives == 1


def test_2_an_error_reaches_the_caller_and_the_status(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    alpaca.reject("XYZ")
    with pytest.raises(SubscribeError, match="400: invalid syntax"):
        runtime.subscribe("iex", "quotes", "XYZ", wait=10.0)
    alpaca.error(499, "something new")
    until(runtime, lambda status: "something new" in status.lines()["iex"].last_venue_error)


def test_3_who_waits_for_a_subscription_is_told_what_was_not_made(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    alpaca.ack_differs()
    with pytest.raises(SubscribeError) as caught:
        runtime.subscribe("iex", "trades", "AAPL", "MSFT", wait=10.0)
    assert {topic.key: state.state for topic, state in caught.value.results.items()} == {
        "AAPL": "confirmed",
        "MSFT": "rejected",
    }


def test_4_a_stream_shows_the_loss_each_attempt_and_the_return(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
    alpaca.refuse(503)
    alpaca.drop()
    until(runtime, lambda status: status.lines()["iex"].counters.restored == 1)
    alpaca.trade("AAPL")
    told: list[Any] = []
    while not told or not isinstance(told[-1], Trade):
        told.append(next(trades.with_markers()))
    lives = [(item.state, item.attempt) for item in told if isinstance(item, Lifecycle)]
    assert [state for state, _ in lives if state != "connected"] == [
        "disconnected",
        "reconnecting",
        "reconnecting",
        "restored",
    ]
    assert [attempt for state, attempt in lives if state == "reconnecting"] == [1, 2]
    assert [type(item) for item in told[-2:]] == [Gap, Trade]


def test_5_a_slow_handler_delays_no_other_stream_and_no_ping(alpaca: SimulatedAlpaca) -> None:
    entered, released = threading.Event(), threading.Event()

    def slow(_: object) -> None:
        entered.set()
        released.wait(30)

    with alpaca_runtime(alpaca, heartbeat={"ping_interval": 0.05}) as runtime:
        runtime.on("iex", "quotes", "AAPL", handler=slow, wait=10.0)
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0, policy="block")
        alpaca.quote("AAPL")
        assert entered.wait(10)
        pings = alpaca.pings
        alpaca.number_trades("AAPL", 1_000)
        assert [trade.id for trade in islice(trades, 1_000)] == list(range(1, 1_001))
        alpaca.wait_for(lambda: alpaca.pings > pings + 3)
        assert line_of(runtime, "iex").epoch == 1
        released.set()


def test_6_a_handler_that_raises_gets_the_rest_of_the_batch_and_is_counted(
    runtime: Runtime, alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Any] = []
    over = threading.Event()

    def picky(trade: Trade) -> None:
        heard.append(trade.id)
        if len(heard) == 10:
            over.set()
        if isinstance(trade.id, int) and trade.id % 2:
            raise ValueError(f"{trade.id} is odd")

    with caplog.at_level(logging.ERROR, "actors"):
        stream = runtime.on("iex", "trades", "AAPL", handler=picky, wait=10.0)
        alpaca.number_trades("AAPL", 10, batch=10)
        assert over.wait(10)
        assert heard == list(range(1, 11))
        assert stream.handler_errors == 5
    assert "9 is odd" in caplog.text
    assert "iex/trades/AAPL" in caplog.text


def test_7_a_handler_may_subscribe_and_unsubscribe(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    done = threading.Event()
    seen: list[Any] = []

    def busy(_: object) -> None:
        with runtime.subscribe("iex", "trades", "AAPL", "MSFT", wait=10.0) as trades:
            trades.remove("MSFT")
            trades.add("SPY", wait=10.0)
            alpaca.trade("SPY", price=5.0)
            seen.append(trades.get(timeout=10).price)
        quotes.remove("AAPL")
        quotes.close()
        done.set()

    quotes = runtime.on("iex", "quotes", "AAPL", handler=busy, wait=10.0)
    alpaca.quote("AAPL")
    assert done.wait(10)
    assert seen == [5]
    until(runtime, lambda status: not status.streams)
    alpaca.wait_for(lambda: not alpaca.subscribers("quotes", "AAPL"))


def test_8_a_symbol_without_a_subscription_can_be_given_up(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    before = len(alpaca.heard)
    quotes.remove("MSFT")
    alpaca.quote("AAPL", bid=2.0)
    assert quotes.get(timeout=10).bid_price == 2
    assert len(alpaca.heard) == before
    quotes.remove("AAPL")  # all of it: the line is up, and that is said
    alpaca.wait_for(lambda: not alpaca.subscribers("quotes", "AAPL"))
    assert line_of(runtime, "iex").state == "live"


def test_9_a_line_with_nothing_to_do_sleeps(alpaca: SimulatedAlpaca, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    hear = SocketInbox._wait

    def counted(self: SocketInbox[Any]) -> Any:
        nonlocal looks
        looks += 1
        return hear(self)

    monkeypatch.setattr(SocketInbox, "_wait", counted)
    with alpaca_runtime(alpaca, heartbeat={"ping_interval": 0.05}):
        alpaca.wait_for(lambda: alpaca.pings > 1)
        before, pings = looks, alpaca.pings
        alpaca.wait_for(lambda: alpaca.pings > pings + 5)
        assert looks - before < 20 * (alpaca.pings - pings)  # a few for each ping, and none between them


def test_10_it_may_be_stopped_at_once_twice_and_in_a_running_loop(alpaca: SimulatedAlpaca) -> None:
    async def main() -> None:
        with actors.start(alpaca_config(alpaca), wait=10.0) as runtime:
            quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
            alpaca.quote("AAPL", bid=2.0)
            assert (await asyncio.to_thread(quotes.get, 10.0)).bid_price == 2

    asyncio.run(main())
    runtime = actors.start(alpaca_config(alpaca))
    assert runtime.stop() == ()
    assert runtime.stop() == ()
    assert runtime.status().state == "stopped"


@pytest.mark.parametrize("stream", ["iex", "account"])
def test_11_a_venue_that_says_nothing_costs_a_login_timeout(alpaca: SimulatedAlpaca, stream: str) -> None:
    alpaca.mute()
    with alpaca_runtime(alpaca, stream, live=False, connect_timeout=1.0) as runtime:
        until(runtime, lambda status: bool(status.lines()[stream].journal))
        until(runtime, lambda status: status.lines()[stream].epoch > 1)
        alpaca.heal()
        runtime.wait_live(timeout=10.0)
        assert {each.code for each in line_of(runtime, stream).journal} == {"login_timeout"}


def test_12_one_setting_of_a_kind_leaves_the_others_as_they_are() -> None:
    table = {"venue": "alpaca", "key": "k", "secret": "s", "heartbeat": {"ping_interval": 3.0}}
    plain, own = ({**table, "heartbeat": {}}, table)
    before = load({"feeds": {"iex": plain}}).feeds["iex"].heartbeat
    after = load({"feeds": {"iex": own}}).feeds["iex"].heartbeat
    assert (after.ping_interval, after.pong_timeout) == (3.0, before.pong_timeout)
    assert before.pong_timeout > 0


def test_13_a_dead_path_is_noticed_by_the_first_ping_that_is_not_answered(alpaca: SimulatedAlpaca) -> None:
    beat = load({"feeds": {"iex": {"venue": "alpaca", "key": "k", "secret": "s"}}}).feeds["iex"].heartbeat
    assert beat.ping_interval + beat.pong_timeout <= 30  # seconds
    with alpaca_runtime(alpaca, heartbeat={"ping_interval": 0.05, "pong_timeout": 0.1}) as runtime:
        _stream = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        alpaca.deaf()
        until(runtime, refused("pong_timeout"))


def test_14_bands_and_imbalances_are_subscribed_to_like_anything_else(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    bands = runtime.subscribe("iex", "lulds", "AAPL", wait=10.0)
    imbalances = runtime.subscribe("iex", "imbalances", "AAPL", wait=10.0)
    alpaca.luld("AAPL", u=11.02, d=9.02)
    alpaca.imbalance("AAPL", p=10.5)
    band, imbalance = bands.get(timeout=10), imbalances.get(timeout=10)
    assert (str(band.limit_up), str(band.limit_down), str(imbalance.price)) == ("11.02", "9.02", "10.5")


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_15_nanoseconds_and_decimals_arrive_as_they_were_sent(alpaca: SimulatedAlpaca, encoding: str) -> None:
    with alpaca_runtime(alpaca, encoding=encoding) as runtime:
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        alpaca.trade("AAPL", price=10.02, t="2026-03-02T15:04:05.335689322Z")
        trade = trades.get(timeout=10)
        assert (trade.ts_ns, str(trade.price)) == (1_772_463_845_335_689_322, "10.02")


def test_16_corrections_come_in_their_place_among_the_trades(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
    corrections = runtime.subscribe("iex", "corrections", "AAPL", wait=10.0)
    cancelled = runtime.subscribe("iex", "cancel_errors", "AAPL", wait=10.0)
    alpaca.trade("AAPL", price=10.02)
    alpaca.correction("AAPL")
    alpaca.cancel_error("AAPL")
    events = list(islice(runtime.merge(trades, corrections, cancelled), 3))
    first, second, third = (each.event for each in events)
    assert [each.topic.channel for each in events] == ["trades", "corrections", "cancel_errors"]
    assert second.original_id == third.id == first.id


def test_17_the_second_try_at_a_taken_place_comes_after_a_dead_session_is_over() -> None:
    law = Restarts(RestartPolicy())
    waited = 0.0
    for _ in range(2):
        verdict = law.ended(Slow("connection limit exceeded", "alpaca_406"), reached=True, now=waited)
        assert isinstance(verdict, Retry)
        assert verdict.delay >= 5.0
        waited += verdict.delay
    assert waited >= DEAD_SESSION


def test_18_fills_that_may_have_been_missed_are_a_gap_at_their_place(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "account") as runtime:
        updates = runtime.subscribe("account", "trade_updates", wait=10.0)
        order = alpaca.trade_update("new")["order"]
        alpaca.drop()
        alpaca.trade_update("fill", {"id": order["id"]})  # nobody hears it, and it is not told again
        until(runtime, lambda status: status.lines()["account"].counters.restored == 1)
        alpaca.trade_update("new")
        told = [type(each) for each in islice(updates.with_markers(), 7)]
        assert told == [Lifecycle, TradeUpdate, Lifecycle, Lifecycle, Lifecycle, Gap, TradeUpdate]


def test_19_nothing_of_a_library_that_churns_is_needed_to_connect() -> None:
    program = (
        "import sys, actors.connection, actors.supervisor, actors.venues.alpaca; "
        "print([name for name in sys.modules if name.split('.')[0] == 'websockets'])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_20_two_consumers_of_one_endpoint_share_its_one_connection(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    one = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    two = runtime.subscribe("iex", "quotes", "AAPL", "MSFT", wait=10.0)
    alpaca.quote("AAPL", bid=2.0)
    assert one.get(timeout=10) == two.get(timeout=10)
    one.close()  # the other one's quotes go on
    alpaca.quote("AAPL", bid=3.0)
    assert two.get(timeout=10).bid_price == 3
    assert alpaca.lives == 1
    assert [said["action"] for said in alpaca.heard] == ["auth", "subscribe", "subscribe"]


# ── the layer that this project grew from ───────────────────────────────────────────────────────


def test_a_silence_of_any_length_ends_no_connection(alpaca: SimulatedAlpaca) -> None:
    wanted = [{"channel": "quotes", "keys": ["AAPL"]}]
    with alpaca_runtime(alpaca, subscribe=wanted, heartbeat={"ping_interval": 0.02}) as runtime:
        alpaca.wait_for(lambda: alpaca.pings > 20)
        line = line_of(runtime, "iex")
        assert (line.epoch, line.topics[0].stale, line.journal) == (1, False, ())


def test_b_wrong_keys_hold_no_connection(alpaca: SimulatedAlpaca) -> None:
    alpaca.refuse_keys()
    with alpaca_runtime(alpaca, live=False) as runtime:
        until(runtime, lambda status: status.lines()["iex"].state == "failed")
        alpaca.wait_for(lambda: alpaca.connections == 0)


def test_c_acknowledgements_and_errors_are_heard(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    alpaca.reject("XYZ")
    quotes = runtime.subscribe("iex", "quotes", "AAPL", "XYZ")
    until(
        runtime, lambda status: all(topic.state.state in ANSWERED for topic in status.lines()["iex"].topics)
    )
    states = {topic.topic: topic.state.state for topic in line_of(runtime, "iex").topics}
    assert states == {"iex/quotes/AAPL": "confirmed", "iex/quotes/XYZ": "rejected"}
    quotes.close()


def test_d_a_server_that_is_not_alpaca_is_not_told_the_keys(alpaca: SimulatedAlpaca) -> None:
    alpaca.welcome_lost(n=1_000)
    with alpaca_runtime(alpaca, live=False, connect_timeout=1.0) as runtime:
        alpaca.send_raw('[{"T":"success","msg":"hello"}]')
        until(runtime, lambda status: status.lines()["iex"].epoch > 1)
        assert alpaca.heard == []


def test_e_the_old_connection_is_gone_before_the_new_one_comes() -> None:
    with SimulatedAlpaca(rate=0, dead_session=DEAD_SESSION) as alpaca:
        with alpaca_runtime(alpaca) as runtime:
            for epoch in range(2, 6):
                runtime.supervisor.restart("iex").get(timeout=5)
                until(runtime, at_epoch(epoch, "iex"))
                runtime.wait_live(timeout=10.0)
            assert "alpaca_406" not in {each.code for each in line_of(runtime, "iex").journal}
            assert runtime.stop() == ()
        with alpaca_runtime(alpaca) as again:  # at once, in the same slot
            assert line_of(again, "iex").journal == ()


def test_f_a_login_alone_does_not_make_the_next_wait_a_short_one(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, restart={"stable_after": 60.0}) as runtime:
        for epoch in range(2, 6):
            alpaca.drop()
            until(runtime, at_epoch(epoch, "iex"))
            runtime.wait_live(timeout=10.0)
        assert [each.attempt for each in line_of(runtime, "iex").journal] == [1, 2, 3, 4]


def test_k_an_error_that_is_over_does_not_look_like_one(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    alpaca.error(499, "something new")
    until(runtime, lambda status: bool(status.lines()["iex"].last_venue_error))
    alpaca.drop()
    until(runtime, lambda status: status.lines()["iex"].counters.restored == 1)
    assert line_of(runtime, "iex").last_venue_error == ""
    status = runtime.status()
    assert (status.state, status.feeds["iex"].live, line_of(runtime, "iex").state) == ("live", True, "live")
    until(runtime, lambda status: status.lines()["iex"].attempt == 0)
    runtime.wait_live(timeout=0.5)


def test_m_the_same_events_come_in_either_encoding(alpaca: SimulatedAlpaca) -> None:
    told: list[Any] = []
    for encoding in ("json", "msgpack"):
        with alpaca_runtime(alpaca, encoding=encoding) as runtime:
            quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
            alpaca.quote("AAPL", bid=10.01, ask=10.02, t=1_772_463_845_120_000_045)
            quote = quotes.get(timeout=10)
            told.append((quote.symbol, quote.bid_price, quote.ask_price, quote.ts_ns, quote.conditions))
    assert told[0] == told[1]


def test_n_symbols_come_and_go_without_a_new_connection(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    quotes.add("MSFT", wait=10.0)
    alpaca.quote("MSFT", bid=2.0)
    assert quotes.get(timeout=10).symbol == "MSFT"
    quotes.remove("AAPL")
    alpaca.wait_for(lambda: not alpaca.subscribers("quotes", "AAPL"))
    assert alpaca.subscribers("quotes", "MSFT") == 1
    assert alpaca.lives == 1


def test_o_a_numbered_feed_through_every_kind_of_loss(alpaca: SimulatedAlpaca) -> None:
    losses: list[Any] = [
        alpaca.drop,
        lambda: alpaca.close(1012),
        lambda: alpaca.slow_client(True),
        lambda: alpaca.slow_client(False),
        lambda: alpaca.garbage("opcode"),
        lambda: alpaca.error(500),
    ]
    with alpaca_runtime(alpaca) as runtime:
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0, policy="block")
        for epoch, lose in enumerate(losses, start=2):
            alpaca.number_trades("AAPL", 50)
            lose()
            until(runtime, at_epoch(epoch, "iex"))
            runtime.wait_live(timeout=10.0)
        alpaca.number_trades("AAPL", 50)
        last = 50 * (len(losses) + 1)
        heard: list[int] = []
        while not heard or heard[-1] != last:
            heard.append(trades.get(timeout=10).id)
        assert heard == sorted(set(heard))
        assert trades.gap_count == len(losses)
        settle(runtime)
