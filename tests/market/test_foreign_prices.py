"""`runtime.put_price`: a price from elsewhere is an answer of `latest`, and of nothing else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

import actors
from actors import Blind, ConfigError, LinewardenError, Runtime, RuntimeStopped, StalePriceError
from actors.market.foreign_prices import ForeignPrices
from actors.settings import load
from actors.simulators import SimulatedO2
from tests.stories.test_latest import Page, Priced
from tests.stories.test_reload import two_feeds
from tests.support.runtimes import config, runtime_on
from tests.support.virtual_time import clockwork


@pytest.fixture
def page() -> Iterator[Page]:
    with Page() as server:
        yield server


@contextmanager
def priced(o2: SimulatedO2, page: Page, **feed: Any) -> Iterator[Runtime]:
    """A runtime whose venue can be asked, still called o2."""
    table = config(o2.url, venue="priced", rest=f"http://127.0.0.1:{page.port}", **feed)
    with actors.start(load(table, venues={"priced": Priced}), wait=10.0) as runtime:
        yield runtime


def looked_at(runtime: Runtime, market: str) -> list[str]:
    """The sources in their order, all in vain."""
    with pytest.raises(StalePriceError) as caught:
        runtime.latest("o2", market)
    return list(dict.fromkeys(each.source for each in caught.value.tried))


# ── who is asked ────────────────────────────────────────────────────────────────────────────────


def test_a_price_from_elsewhere_is_an_answer_that_names_its_source(runtime: Runtime, market: str) -> None:
    runtime.put_price("o2", market, bid="101.10", bid_size=3, ask=101.2, source="poller")
    price = runtime.latest("o2", market.upper().replace("0X", " 0x"))
    assert (price.source, price.bid, price.bid_size) == ("poller", Decimal("101.10"), 3)
    assert (price.ask, price.last) == (Decimal("101.2"), None)
    assert price.quote_age is not None
    assert 0.0 <= price.quote_age < 15.0
    assert price.quote_venue_age is None
    assert [(each.source, each.part) for each in price.tried] == [
        ("stream", "quote"),
        ("stream", "trade"),
        ("poller", "trade"),
    ]


def test_the_stream_comes_first_then_what_was_put_then_rest(o2: SimulatedO2, market: str, page: Page) -> None:
    with priced(o2, page) as runtime:
        page.prices[market] = {"last": 3}
        assert runtime.latest("o2", market).source == "rest"
        runtime.put_price("o2", market, last=2, source="poller")
        runtime.put_price("o2", market, last=5, source="other")
        assert runtime.latest("o2", market).source == "poller"
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.trade(market, price=1)
        trades.get(timeout=5)
        assert runtime.latest("o2", market).source == "stream"
        assert page.asked == [market]


def test_the_order_of_the_config_counts(o2: SimulatedO2, market: str, page: Page) -> None:
    order = ["b", "stream", "a"]
    with priced(o2, page, price_sources=order) as runtime:
        assert looked_at(runtime, market) == [*order, "rest"]
        runtime.put_price("o2", market, last=1, source="c")
        runtime.put_price("o2", market, last=2, source="b")
        assert runtime.latest("o2", market).source == "b"
        runtime.put_price("o2", market, last=3, source="a")
        runtime.put_price("o2", market, last=2, source="b", ttl=1e-9)
        assert runtime.latest("o2", market).source == "a"


def test_another_order_is_taken_over_by_a_reload_that_keeps_the_sockets(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        for source in ("a", "b"):
            runtime.put_price("o2", market, last=1, source=source)
        plan = runtime.reload(config(o2.url, price_sources=["b"]))
        assert [change.text for change in plan.changes] == [
            "feed o2 takes over price_sources; sockets stay open"
        ]
        assert runtime.latest("o2", market).source == "b"
        assert runtime.status().lines()["o2"].epoch == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [(["a", "a"], "expected each source once; a is twice"), (["two words"], "expected a list of names")],
)
def test_an_order_with_a_mistake_is_refused(given: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[feeds\.o2\] price_sources: {told}"):
        load(config("sim://o2", price_sources=given))


def test_max_age_and_ttl_both_bound_a_price(o2: SimulatedO2, market: str) -> None:
    with clockwork(config(o2.url)) as clock:
        runtime = clock.runtime
        runtime.put_price("o2", market, last=1, source="poller", ttl=30.0)
        runtime.put_price("o2", market, bid=2, source="poller")
        clock.advance(14.0)
        price = runtime.latest("o2", market)
        assert (price.last, price.bid, price.trade_age) == (1, 2, 14.0)
        clock.advance(2.0)
        with pytest.raises(StalePriceError, match=r"poller: quote too old \(16.0 s\), trade too old"):
            runtime.latest("o2", market, timeout=0)
        assert runtime.latest("o2", market, max_age=60.0).last == 1
        clock.advance(14.0)
        assert runtime.latest("o2", market, max_age=60.0).last is None
        with pytest.raises(StalePriceError, match=r"trade past its ttl \(30.0 s\)"):
            runtime.latest("o2", market, max_age=29.0, timeout=0)


# ── what it is not ──────────────────────────────────────────────────────────────────────────────


def test_it_is_no_event_and_makes_nothing_fresh(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    before = runtime.fresh("o2", "trades", market, max_age=60.0)
    book = runtime.book("o2", market, wait=10.0)
    runtime.put_price("o2", market, bid=1, ask=2, last=3, source="poller")
    assert runtime.latest("o2", market).source == "poller"
    assert runtime.fresh("o2", "trades", market, max_age=60.0).cause == before.cause == "no_event"
    assert not trades.fresh(max_age=60.0)
    with pytest.raises(Blind):
        runtime.require(trades, max_age=60.0)
    assert (trades.received, trades.queued) == (0, 0)
    assert runtime.book("o2", market).bids == book.bids
    o2.trade(market, price=7)
    assert trades.get(timeout=10).price == 7
    assert runtime.fresh("o2", "trades", market, max_age=60.0)


def test_it_is_no_mark_of_an_order_or_of_an_account(runtime: Runtime, market: str) -> None:
    runtime.put_price("o2", market, bid=1, ask=2, last=3, source="poller")
    venue = runtime._spec_of("o2").venue
    assert runtime._prices.newest(venue, market) is None
    with pytest.raises(StalePriceError):  # as the price band of an order asks for it
        runtime._requests.prices.latest(venue, market, 15.0, 0.0)


# ── mistakes ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"last": "x"}, "has last='x'"),
        ({"last": 1, "source": "rest"}, "a source of the feed itself"),
        ({"last": 1, "ttl": 0}, "ttl is the seconds for which the price counts"),
        ({"last": 1, "ttl": -1.0}, "ttl is the seconds for which the price counts"),
        ({"last": 1, "ttl": "5"}, "ttl is a number of seconds"),
        ({"last": 1, "at": 1_700_000_000}, "in another unit"),
        ({"feed": "o3", "last": 1}, "there is no feed 'o3'"),
        ({"key": "*", "last": 1}, "takes a market id"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_put(
    runtime: Runtime, market: str, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(LinewardenError, match=told):
        runtime.put_price(**({"feed": "o2", "key": market, "source": "poller"} | given))
    with pytest.raises(StalePriceError) as caught:
        runtime.latest("o2", market, timeout=0)
    assert "poller" not in str(caught.value)


def test_after_the_end_it_is_refused(runtime: Runtime, market: str) -> None:
    runtime.stop()
    with pytest.raises(RuntimeStopped):
        runtime.put_price("o2", market, last=1, source="poller")


# ── the end of a feed ───────────────────────────────────────────────────────────────────────────


def test_the_prices_of_a_feed_go_with_it_and_those_of_others_stay(o2: SimulatedO2, market: str) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        for feed in ("o2", "other"):
            runtime.put_price(feed, market, last=1, source="poller")
        runtime.reload(config(o2.url))
        runtime.reload(two_feeds(o2))
        assert runtime.latest("o2", market, timeout=0).source == "poller"
        with pytest.raises(StalePriceError, match="stream: quote none, trade none; rest"):
            runtime.latest("other", market, timeout=0)


def test_the_prices_of_a_feed_that_gets_another_venue_go(o2: SimulatedO2, market: str) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        runtime.put_price("other", market, last=1, source="poller")
        runtime.reload(two_feeds(o2, url="wss://localhost:9/"))  # another address is the same venue
        assert runtime.latest("other", market, timeout=0).source == "poller"
        tplus = two_feeds(o2) | {"feeds": {"other": {"venue": "tplus", "url": "sim://tplus"}}}
        runtime.reload(tplus)
        runtime.reload(two_feeds(o2))
        with pytest.raises(StalePriceError):
            runtime.latest("other", market, timeout=0)


def test_a_price_that_is_put_while_its_feed_goes_does_not_outlive_it(o2: SimulatedO2, market: str) -> None:
    with Runtime(load(two_feeds(o2))) as runtime, ThreadPoolExecutor() as pool:
        foreign = runtime._foreign
        with foreign.lock:  # the put has looked its feed up, and waits to store its price
            putting = pool.submit(runtime.put_price, "other", market, last=1, source="poller")
            removing = pool.submit(runtime.reload, config(o2.url))
            while "other" in runtime.settings.feeds:
                assert not removing.done()
        removing.result(timeout=10)
        error = putting.exception(timeout=10)
        assert error is None or "there is no feed 'other'" in str(error)
        assert foreign._feeds == {}


def test_many_threads_put_and_look_at_once(runtime: Runtime, market: str) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    started = threading.Barrier(4)

    def work(number: int) -> None:
        started.wait(10)
        for each in range(300):
            runtime.put_price("o2", market, bid=each, bid_size=each, source=f"s{number}")
            price = runtime.latest("o2", market, timeout=0) if each else None
            assert price is None or price.bid == price.bid_size

    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    finally:
        sys.setswitchinterval(interval)
    assert isinstance(runtime._foreign, ForeignPrices)
