"""`runtime.latest` of Alpaca: the stream while it is fresh, else its pages; the seed's defects gone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import actors
from actors import LatestPrice, Runtime, StalePriceError
from actors.errors import LinewardenError
from actors.protocol.limits import RateLimit
from actors.rules.latest_price import LIMIT
from actors.simulators import SimulatedAlpaca
from actors.venues.alpaca import Alpaca
from tests.support.runtimes import KEY, SECRET, alpaca_config, alpaca_runtime, line_of, until
from tests.test_metrics import Recorder

MINUTE = 60 * 1_000_000_000  # ns


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


@pytest.fixture
def runtime(alpaca: SimulatedAlpaca) -> Iterator[Runtime]:
    with alpaca_runtime(alpaca) as runtime:
        yield runtime


def ago(nanoseconds: int) -> int:
    return time.time_ns() - nanoseconds


def pages(alpaca: SimulatedAlpaca) -> list[str]:
    """What was asked over plain HTTP."""
    return [request.path for request in alpaca.requests if request.path.endswith("/latest")]


def quoted(runtime: Runtime, alpaca: SimulatedAlpaca, **quote: Any) -> None:
    """A quote of AAPL that has come in."""
    with runtime.subscribe("iex", "quotes", "AAPL", wait=10.0) as quotes:
        alpaca.quote("AAPL", **quote)
        quotes.get(timeout=10)


def tried(answer: LatestPrice | StalePriceError) -> list[tuple[str, str | None, str]]:
    return [(each.source, each.part, each.why) for each in answer.tried]


# ── from the stream ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_a_quote_and_a_trade_make_one_price_and_no_page_is_asked(
    alpaca: SimulatedAlpaca, encoding: str
) -> None:
    with alpaca_runtime(alpaca, encoding=encoding) as runtime:
        quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        alpaca.quote("AAPL", bid=10.01, ask=10.02)
        alpaca.trade("AAPL", price=10.015, size=7)
        assert (quotes.get(timeout=10).symbol, trades.get(timeout=10).size) == ("AAPL", 7)
        price = runtime.latest("iex", " aapl ", timeout=0)
        assert (price.source, price.symbol, price.tried) == ("stream", "AAPL", ())
        assert (price.bid, price.ask) == (Decimal("10.01"), Decimal("10.02"))
        assert (price.last, price.last_size) == (Decimal("10.015"), 7)
        for age in (price.quote_age, price.quote_venue_age, price.trade_age, price.trade_venue_age):
            assert age is not None
            assert age < 15
        assert pages(alpaca) == []


def test_h_a_quote_leaves_the_last_trade_and_a_trade_leaves_the_quote(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
    alpaca.trade("AAPL", price=9.0)
    trades.get(timeout=10)
    alpaca.quote("AAPL", bid=10.0, ask=20.0)
    quotes.get(timeout=10)
    price = runtime.latest("iex", "AAPL", timeout=0)
    assert (price.bid, price.ask, price.last) == (10, 20, 9)  # and no 15, which nobody traded at
    alpaca.trade("AAPL", price=11.0)
    trades.get(timeout=10)
    price = runtime.latest("iex", "AAPL", timeout=0)
    assert (price.bid, price.ask, price.last) == (10, 20, 11)


def test_i_a_quote_of_one_side_is_one_side(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quoted(runtime, alpaca, bid=10.0, ask=0)
    price = runtime.latest("iex", "AAPL", timeout=0)
    assert (price.bid, price.ask, price.ask_size, price.last) == (10, None, None, None)
    quoted(runtime, alpaca, bid=0, ask=12.0)  # the newer quote says that the bid is gone
    price = runtime.latest("iex", "AAPL", timeout=0)
    assert (price.bid, price.ask, price.last) == (None, 12, None)


def test_a_quote_without_any_side_is_no_price(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quoted(runtime, alpaca, bid=0, ask=0)
    with pytest.raises(StalePriceError, match="stream: quote without a price"):
        runtime.latest("iex", "AAPL", timeout=0)


def test_g_the_age_is_that_of_the_venues_own_time(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quoted(runtime, alpaca, bid=10.0, ask=11.0, t=ago(MINUTE))
    with pytest.raises(StalePriceError, match=r"stream: quote too old \(60\.\d s\), trade none"):
        runtime.latest("iex", "AAPL", timeout=0)
    price = runtime.latest("iex", "AAPL", max_age=3600, timeout=0)
    assert price.quote_venue_age == pytest.approx(60, abs=10)
    assert price.quote_age is not None
    assert price.quote_age < 30


def test_j_a_quote_of_nulls_hides_nothing_and_ends_nothing(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    alpaca.quote("AAPL", bid=10.0, ask=11.0)
    alpaca.quote("AAPL", bid=12.0, ap=None)
    quotes.get(timeout=10)
    until(runtime, lambda status: status.lines()["iex"].counters.quarantined == 1)
    assert runtime.latest("iex", "AAPL", timeout=0).bid == 10
    assert line_of(runtime, "iex").epoch == 1


def test_a_star_brings_prices_of_whatever_comes_and_no_more_than_there_is_room_for(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    quotes = runtime.subscribe("iex", "quotes", "*", capacity=LIMIT + 1_000, wait=10.0)
    count = LIMIT + 500
    one = alpaca.quote("AAPL", bid=10.0, ask=11.0)
    alpaca.send_raw(json.dumps([one | {"S": f"S{number}"} for number in range(count)]))
    read = 0
    while read <= count:
        read += len(quotes.get_many(10_000, timeout=10))
    assert (
        sum(
            len(last_events.prices)
            for last_events in runtime._tree._supervisor.shared.cells.last_events_of_feed("iex")
        )
        <= LIMIT
    )
    assert runtime.latest("iex", f"S{count - 1}", timeout=0).bid == 10


# ── from the pages ──────────────────────────────────────────────────────────────────────────────


def test_without_a_subscription_the_pages_are_asked_with_the_feeds_own_keys(
    alpaca: SimulatedAlpaca,
) -> None:
    alpaca.settings.keys = {KEY: SECRET}
    with alpaca_runtime(alpaca) as runtime:
        alpaca.quote("AAPL", bid=10.01, ask=10.02)
        alpaca.trade("AAPL", price=10.015, size=7)
        price = runtime.latest("iex", "AAPL", timeout=10.0)
        assert (price.source, price.bid, price.ask) == ("rest", Decimal("10.01"), Decimal("10.02"))
        assert (price.last, price.last_size) == (Decimal("10.015"), 7)
        assert tried(price) == [("stream", "quote", "none"), ("stream", "trade", "none")]
        assert pages(alpaca) == ["/v2/stocks/quotes/latest", "/v2/stocks/trades/latest"]
        asked = [request for request in alpaca.requests if request.path.endswith("/latest")]
        assert [dict(request.query) for request in asked] == [{"symbols": "AAPL", "feed": "iex"}] * 2
        assert line_of(runtime, "iex").topics == ()  # it subscribed to nothing


@pytest.mark.parametrize(("stream", "symbol"), [("crypto", "BTC/USD"), ("indicative", "AAPL281215C00200000")])
def test_crypto_and_options_have_pages_too(alpaca: SimulatedAlpaca, stream: str, symbol: str) -> None:
    with alpaca_runtime(alpaca, stream) as runtime:
        alpaca.quote(symbol, bid=1.25, ask=1.35)
        alpaca.trade(symbol, price=1.3)
        price = runtime.latest(stream, symbol, timeout=10.0)
        assert (price.source, price.bid, price.ask) == ("rest", Decimal("1.25"), Decimal("1.35"))
        assert price.last == Decimal("1.3")


def test_what_has_no_pages_says_so(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "test", "news") as runtime:
        with pytest.raises(StalePriceError, match="rest: the venue cannot be asked for it"):
            runtime.latest("test", "FAKEPACA")
        with pytest.raises(LinewardenError, match="news: none of its channels has prices"):
            runtime.latest("news", "AAPL")


def test_the_pages_stand_in_while_one_symbol_is_mute(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quoted(runtime, alpaca, bid=1.0, ask=2.0, t=ago(MINUTE))
    alpaca.mute_symbol("AAPL")
    alpaca.quote("AAPL", bid=3.0, ask=4.0)
    alpaca.trade("AAPL", price=3.5)
    price = runtime.latest("iex", "AAPL", timeout=10.0)
    assert (price.source, price.bid, price.last) == ("rest", 3, Decimal("3.5"))
    assert tried(price) == [("stream", "quote", "too old"), ("stream", "trade", "none")]


def test_the_pages_stand_in_while_the_line_is_down(alpaca: SimulatedAlpaca) -> None:
    alpaca.refuse(503, n=10_000)
    with alpaca_runtime(alpaca, live=False) as runtime:
        alpaca.quote("AAPL", bid=3.0, ask=4.0)
        assert runtime.latest("iex", "AAPL", timeout=10.0).source == "rest"


def test_a_page_with_one_side_makes_one_side(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    alpaca.quote("AAPL", bid=0, ask=4.0)
    alpaca.trade("AAPL", price=3.5, t=ago(MINUTE))
    price = runtime.latest("iex", "AAPL", timeout=10.0)
    assert (price.source, price.bid, price.ask, price.last) == ("rest", None, 4, None)
    assert tried(price)[-1] == ("rest", "trade", "too old")


def test_nothing_fresh_anywhere_is_said_with_every_age(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quoted(runtime, alpaca, bid=1.0, ask=2.0, t=ago(MINUTE))
    alpaca.mute_symbol("AAPL")
    alpaca.quote("AAPL", bid=3.0, ask=4.0, t=ago(MINUTE // 2))
    alpaca.trade("AAPL", price=3.5, t=ago(2 * MINUTE))
    with pytest.raises(StalePriceError) as caught:
        runtime.latest("iex", "AAPL", timeout=10.0)
    assert [each.source for each in caught.value.tried] == ["stream", "stream", "rest", "rest"]
    ages = [each.age for each in caught.value.tried]
    assert ages == [pytest.approx(60, abs=10), None, pytest.approx(30, abs=10), pytest.approx(120, abs=10)]
    said = str(caught.value)
    assert said.startswith("iex: no price of AAPL from the last 15 s. stream: quote too old (6")
    assert "; rest: quote too old (3" in said
    assert "trade too old (12" in said


@pytest.mark.parametrize("status", [500, 503])
def test_a_page_that_fails_is_named_and_the_next_one_is_asked(
    runtime: Runtime, alpaca: SimulatedAlpaca, status: int
) -> None:
    alpaca.refuse_pages(status)
    with pytest.raises(StalePriceError, match=rf"rest: alpaca's data server answers {status}\.$"):
        runtime.latest("iex", "AAPL", timeout=10.0)
    assert runtime.latest("iex", "AAPL", timeout=10.0).source == "rest"


def test_after_429_the_pages_are_left_alone_for_as_long_as_they_say(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    alpaca.refuse_pages(429, retry_after=2)
    with pytest.raises(StalePriceError, match="alpaca's data server answers 429"):
        runtime.latest("iex", "AAPL", timeout=10.0)
    before = len(pages(alpaca))
    with pytest.raises(StalePriceError, match=r"may not be asked so often; again in [12]\.\d s"):
        runtime.latest("iex", "MSFT", timeout=0.5)
    assert len(pages(alpaca)) == before
    assert runtime.latest("iex", "MSFT", timeout=20.0).source == "rest"  # who has the time waits


@pytest.mark.parametrize("status", [403, 418, 503])
def test_any_status_with_a_time_makes_the_pages_be_left_alone(
    runtime: Runtime, alpaca: SimulatedAlpaca, status: int
) -> None:
    alpaca.refuse_pages(status, retry_after=60)
    with pytest.raises(StalePriceError, match=f"alpaca's data server answers {status}"):
        runtime.latest("iex", "AAPL", timeout=10.0)
    with pytest.raises(StalePriceError, match=r"may not be asked so often; again in [56]\d\.\d s"):
        runtime.latest("iex", "MSFT", timeout=0.5)


def test_pages_are_left_alone_for_as_long_as_the_policy_observes_and_no_longer(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    alpaca.refuse_pages(429, retry_after=999_999_999)
    with alpaca_runtime(alpaca, restart={"retry_after_cap": 90.0}) as runtime:
        with pytest.raises(StalePriceError, match="alpaca's data server answers 429"):
            runtime.latest("iex", "AAPL", timeout=10.0)
        with pytest.raises(StalePriceError, match=r"may not be asked so often; again in [89]\d\.\d s"):
            runtime.latest("iex", "MSFT", timeout=0.5)
    assert "iex: pause of 999999999 s asked for by the venue's pages; 90 s are observed" in caplog.text


def test_too_many_requests_of_all_programs_with_these_keys() -> None:
    with SimulatedAlpaca(rate=0, requests_per_minute=3) as alpaca, alpaca_runtime(alpaca) as runtime:
        assert runtime.latest("iex", "AAPL", timeout=10.0).source == "rest"
        with pytest.raises(StalePriceError, match="answers 429"):
            runtime.latest("iex", "MSFT", timeout=10.0)
        with pytest.raises(StalePriceError, match=r"again in \d+\.\d s"):  # no time was named: for a while
            runtime.latest("iex", "SPY", timeout=1.0)
        assert len(pages(alpaca)) == 4
        assert line_of(runtime, "iex").state == "live"


def test_pages_that_do_not_answer_cost_the_timeout_and_harm_no_stream(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    with SimulatedAlpaca(rate=0) as silent:
        silent.deaf()
        table = alpaca_config(alpaca, data_url=f"http://127.0.0.1:{silent.port}")
        runtime.reload(table)
        runtime.wait_live(timeout=10.0)
        with pytest.raises(StalePriceError, match="rest: no answer in time"):
            runtime.latest("iex", "AAPL", timeout=0.2)
        quoted(runtime, alpaca, bid=5.0, ask=6.0)
        assert runtime.latest("iex", "AAPL", timeout=0.2).bid == 5


def test_the_pages_are_asked_no_oftener_than_the_plan_allows(
    alpaca: SimulatedAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Alpaca.latest_budget
    assert 60 / budget.interval * 2 + 2 * budget.burst <= 200  # requests a minute of the Basic plan
    monkeypatch.setattr(Alpaca, "latest_budget", RateLimit(1, 60.0))
    with alpaca_runtime(alpaca) as runtime:
        assert runtime.latest("iex", "AAPL", timeout=10.0).source == "rest"
        with pytest.raises(
            StalePriceError, match=r"rest: the venue may not be asked so often; again in \d+\.\d s"
        ):
            runtime.latest("iex", "MSFT", timeout=1.0)
    assert len(pages(alpaca)) == 2


# ── what is seen without asking ─────────────────────────────────────────────────────────────────


def test_what_expires_is_told_once_and_so_is_its_return(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = [{"channel": "quotes", "keys": ["AAPL"], "stale_after": 0.2}]
    with caplog.at_level("WARNING", "actors"), alpaca_runtime(alpaca, subscribe=wanted) as runtime:
        alpaca.quote("AAPL")
        until(runtime, lambda status: status.lines()["iex"].topics[0].stale)
        until(runtime, lambda status: (status.lines()["iex"].topics[0].age_s or 0.0) > 0.5)
        told = [record.getMessage() for record in caplog.records if "is stale" in record.getMessage()]
        assert len(told) == 1
        assert told[0].startswith("iex: iex/quotes/AAPL is stale: nothing for 0.")


def test_l_the_age_of_the_last_message_is_gauged_without_a_question(alpaca: SimulatedAlpaca) -> None:
    seen = Recorder()
    table = alpaca_config(alpaca, heartbeat={"ping_interval": 0.05})
    with actors.start(table, wait=10.0, metrics=seen) as runtime:
        quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        alpaca.quote("AAPL")
        quotes.get(timeout=10)
        assert all(age >= 0 for age in seen.wait_for("linewarden_last_event_age_seconds"))
