"""Prices, books and freshness over HTTP: their public types as JSON, and every reason not to give one."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

import actors
from actors import BookView, Freshness, LatestPrice, Runtime
from actors.service import Service, market_answers
from actors.service.responses import RequestDeclined, ServiceRequest, ServiceResponse, parse_query, to_json
from actors.service.rights import OWNER
from actors.simulators import SimulatedAlpaca, SimulatedO2
from tests.service.conftest import HERE
from tests.service.visitor import BEARER, LOOK, Told, ask
from tests.stories.test_latest import Page, page, priced
from tests.support.runtimes import alpaca_runtime, runtime_on, until

__all__ = ["page"]  # a fixture

ORDERS = "0x" + "c0" * 32  # an identity of O2


def asked_until(service: Service, path: str, status: int = 200, seconds: float = 20.0) -> Told:
    """The first answer with this status: the service follows what the venue sends."""
    deadline = time.monotonic() + seconds
    while (told := ask(service, path)).status != status:
        assert time.monotonic() < deadline, told.raw
    return told


# ── the latest price ──


def test_a_price_is_decoded_as_its_public_type(
    service: Service, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market, price=2**70, quantity=5)
    trades.get(timeout=10.0)
    told = ask(service, f"/latest/o2/{market}")
    assert told.status == 200
    assert told.headers["cache-control"] == "no-store"
    price = msgspec.json.decode(told.raw, type=LatestPrice)
    assert (price.feed, price.symbol, price.source) == ("o2", market, "stream")
    assert (price.last, price.last_size, price.bid) == (2**70, 5, None)  # integers stay exact
    head = ask(service, f"/latest/o2/{market}", "HEAD")
    assert (head.status, head.raw) == (200, b"")


def test_decimals_are_texts_and_keys_may_have_slashes() -> None:
    with SimulatedAlpaca(rate=0) as alpaca, alpaca_runtime(alpaca, "crypto") as runtime:
        quotes = runtime.subscribe("crypto", "quotes", "BTC/USD", wait=10.0)
        alpaca.quote("BTC/USD", bid=100.25, ask=100.5)
        quotes.get(timeout=10.0)
        with Service(runtime, HERE) as service:
            for path in ("/latest/crypto/BTC/USD", "/latest/crypto/BTC%2FUSD"):
                told = ask(service, path)
                price = msgspec.json.decode(told.raw, type=LatestPrice)
                assert price.bid == Decimal("100.25")
                assert told.body["bid"] == "100.25"
            told = ask(service, "/fresh/crypto/quotes/BTC/USD?max_age=60")
            assert msgspec.json.decode(told.raw, type=Freshness).fresh
            told = ask(service, "/latest/crypto/ETH%2FUSD")
            assert told.status == 404
            assert "did you mean 'BTC/USD'?" in told.error


def test_a_price_that_is_too_old_is_told_with_what_was_tried(
    service: Service, runtime: Runtime, market: str
) -> None:
    _trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    told = ask(service, f"/latest/o2/{market}?max_age=0.5&timeout=0")
    assert told.status == 503
    assert told.error.startswith(f"o2: no price of {market} from the last 0.5 s. ")
    assert {"source": "stream", "part": "trade", "why": "none", "age": None} in told.body["tried"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/latest/o3/X", 404, "there is no feed 'o3' in the config. There are: o2."),
        ("/latest/o2", 404, "expected /latest/FEED/KEY"),
        ("/latest/o2/", 404, "expected /latest/FEED/KEY"),
        ("/latest//X", 404, "expected /latest/FEED/KEY"),
        ("/latest/o2/%ff", 400, "not percent-encoded UTF-8"),
        ("/latest/o2/*", 400, "takes a market id"),
        ("/latest/o2/X?max_age=soon", 400, "max_age: expected seconds"),
        ("/latest/o2/X?max_age=nan", 400, "max_age: expected seconds"),
        ("/latest/o2/X?max_age=-1", 400, "max_age: expected seconds"),
        ("/latest/o2/X?max_age=1&max_age=2", 400, "given more than once"),
        ("/latest/o2/X?maxage=1", 400, "not 'maxage'"),
        ("/book/o3/X", 404, "there is no feed 'o3' in the config. There are: o2."),
        ("/book/o2/X?depth=0", 400, "depth: expected 1 to 1000"),
        ("/book/o2/X?depth=1001", 400, "depth: expected 1 to 1000"),
        ("/book/o2/X?depth=9999999", 400, "depth: expected 1 to 1000"),
        ("/book/o2/0xbeef?precison=10", 400, "did you mean 'precision'?"),
        ("/book/o2/0xbeef?precision=fine", 400, "precision"),
        ("/book/o2/X", 400, "takes a market id"),
        ("/book/o2/*", 400, "an order book has one key"),
        ("/fresh/o3", 404, "there is no feed 'o3' in the config. There are: o2."),
        ("/fresh/o2/trade", 404, "did you mean 'trades'?"),
        ("/fresh/o2?precision=1", 400, "not 'precision'"),
        ("/fresh/o2/trades/X?precision=1", 400, "precision"),
        ("/fresh/", 404, ""),
    ],
)
def test_what_cannot_be_answered_is_told_with_its_reason(
    service: Service, path: str, status: int, words: str
) -> None:
    told = ask(service, path)
    assert told.status == status
    assert words in told.error


def test_the_token_is_required(locked: Service, market: str) -> None:
    for path in (f"/latest/o2/{market}", f"/book/o2/{market}", "/fresh/o2"):
        assert ask(locked, path).status == 401


def test_the_venue_is_asked_only_for_what_is_subscribed_to(o2: SimulatedO2, market: str, page: Page) -> None:
    page.prices[market] = {"last": 7}
    with priced(o2, page) as runtime, Service(runtime, HERE) as service:
        told = ask(service, f"/latest/o2/{market}")
        assert (told.status, page.asked) == (404, [])
        assert "Subscribed to are: none." in told.error
        _trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        price = msgspec.json.decode(asked_until(service, f"/latest/o2/{market}").raw, type=LatestPrice)
        assert (price.last, price.source, page.asked) == (7, "rest", [market])
        near = market[:-1] + ("0" if market[-1] != "0" else "1")
        assert f"did you mean '{market}'?" in ask(service, f"/latest/o2/{near}").error


def test_few_requests_wait_for_a_slow_venue_and_the_others_are_answered_at_once(
    o2: SimulatedO2, market: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_answers, "WAITING", 1)
    monkeypatch.setattr(market_answers, "LONGEST_WAIT", 100.0)
    page.may_answer.clear()
    page.prices[market] = {"last": 7}
    with priced(o2, page) as runtime, Service(runtime, HERE) as service, ThreadPoolExecutor(1) as pool:
        _trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        path = f"/latest/o2/{market}?timeout=100"
        slow = pool.submit(ask, service, path)
        try:
            assert page.heard.acquire(timeout=20.0)  # it waits for the venue now
            told = ask(service, path)
            assert told.status == 503
            assert {"source": "rest", "part": None, "why": "not asked", "age": None} in told.body["tried"]
            assert ask(service, "/status").status == 200
        finally:
            page.may_answer.set()
        assert slow.result().status in {200, 503}  # a busy machine is late
        assert asked_until(service, path).body["last"] == 7


def test_a_wait_is_capped(o2: SimulatedO2, market: str, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_answers, "LONGEST_WAIT", 0.1)
    page.may_answer.clear()
    with priced(o2, page) as runtime, Service(runtime, HERE) as service:
        _trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        begun = time.monotonic()
        told = ask(service, f"/latest/o2/{market}?timeout=1000")
        assert time.monotonic() - begun < 5 * 1.0
        assert {"source": "rest", "part": None, "why": "no answer in time", "age": None} in told.body["tried"]
        page.may_answer.set()


# ── the page ──


@pytest.mark.parametrize(("number", "kind"), list(enumerate([LatestPrice, BookView, Freshness])))
def test_the_page_shows_each_type_with_all_its_fields(number: int, kind: type) -> None:
    page = (Path(actors.__file__).parents[1] / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(shown) == 3
    decoded: object = msgspec.json.decode(shown[number], type=kind)
    assert json.loads(to_json(decoded)) == json.loads(shown[number])


# ── the order book ──


def test_a_book_is_decoded_as_its_public_type(service: Service, o2: SimulatedO2, market: str) -> None:
    told = ask(service, f"/book/o2/{market}?depth=3&wait=5")
    assert told.status == 200
    view = msgspec.json.decode(told.raw, type=BookView)
    bids, asks = o2.book(market)
    assert view.synced
    assert view.bids == tuple((price, bids[price]) for price in sorted(bids, reverse=True)[:3])
    assert view.asks == tuple((price, asks[price]) for price in sorted(asks)[:3])
    assert (view.topic.feed, view.topic.key) == ("o2", market)
    full = msgspec.json.decode(ask(service, f"/book/o2/{market}?depth=1000").raw, type=BookView)
    assert len(full.bids) == len(bids)


def test_a_book_that_is_syncing_has_its_reason(service: Service, runtime: Runtime, market: str) -> None:
    asked_until(service, f"/book/o2/{market}")
    runtime.supervisor.pause("o2").get()
    told = asked_until(service, f"/book/o2/{market}", 503)
    assert "o2 is paused" in told.error
    view = msgspec.json.decode(told.raw, type=BookView)
    assert (view.state, view.bids) == ("syncing", ())
    told = ask(service, f"/book/o2/{market}?wait=0.1")
    assert told.status == 503


def test_options_are_those_of_the_books_channel(service: Service, market: str) -> None:
    told = ask(service, f"/book/o2/{market}?precision=100&wait=5")
    assert told.status == 200
    assert msgspec.json.decode(told.raw, type=BookView).topic.options == (("precision", "100"),)


def test_a_book_that_the_venue_rejects_is_not_found(service: Service, o2: SimulatedO2, market: str) -> None:
    o2.reject(market)
    told = asked_until(service, f"/book/o2/{market}", 404)
    assert "rejected: " in told.error
    assert "rejected" in ask(service, f"/book/o2/{market}?wait=5").error


def test_a_venue_without_books_has_none() -> None:
    with (
        SimulatedAlpaca(rate=0) as alpaca,
        alpaca_runtime(alpaca) as runtime,
        Service(runtime, HERE) as service,
    ):
        told = ask(service, "/book/iex/AAPL")
        assert told.status == 404
        assert "orderbooks" in told.error


# ── freshness ──


def test_freshness_of_a_key_a_channel_and_a_feed(
    service: Service, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    assert ask(service, "/fresh/o2").status == 503
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    told = ask(service, f"/fresh/o2/trades/{market}?max_age=60")
    assert told.status == 503
    found = msgspec.json.decode(told.raw, type=Freshness)
    assert (found.fresh, found.cause, found.topic) == (False, "no_event", f"o2/trades/{market}")
    assert told.error == str(found)

    o2.trade(market)
    trades.get(timeout=10.0)
    for path in ("/fresh/o2", "/fresh/o2/trades", f"/fresh/o2/trades/{market}"):
        found = msgspec.json.decode(asked_until(service, f"{path}?max_age=60").raw, type=Freshness)
        assert (found.fresh, found.topic) == (True, f"o2/trades/{market}")
    assert ask(service, f"/fresh/o2/trades/{market}").body["cause"] == "unwatched"


def test_account_channels_do_not_appear(locked: Service, runtime: Runtime, o2: SimulatedO2) -> None:
    """Nor does the identity that is their key: the account data of a feed make no difference to an answer."""
    _nonces = runtime.subscribe("o2", "nonce", ORDERS, wait=10.0)
    runtime.supervisor.pause("o2").get()
    until(runtime, lambda status: status.lines()["o2"].state == "paused")
    told = ask(locked, "/fresh/o2", **LOOK)
    assert (told.status, told.body["cause"]) == (503, "not_subscribed")
    assert ORDERS not in told.raw.decode()
    assert ask(locked, "/fresh/o2", **BEARER).body["topic"] == f"o2/nonce/{ORDERS}"


def test_a_stopped_runtime_is_told_of(service: Service, runtime: Runtime, market: str) -> None:
    runtime.stop()
    for path in (f"/latest/o2/{market}", f"/book/o2/{market}"):
        told = ask(service, path)
        assert (told.status, told.error) == (503, "the runtime has stopped")
    assert ask(service, "/fresh/o2?max_age=60").status == 503


@pytest.mark.parametrize("key", ["FUEL/USDC", "ä/€", "50%", "CON.F.US.ENQ.Z26", "a b+c", "../x", "日本"])
def test_keys_arrive_as_they_are_written(service: Service, key: str) -> None:
    told = ask(service, f"/fresh/o2/trades/{quote(key)}?max_age=1")
    assert told.status in {400, 503}  # O2 knows no such market
    assert quote(key, safe="") not in told.error or key == quote(key, safe="")
    if told.status == 503:
        assert told.body["topic"].lower() == f"o2/trades/{key}".lower()


@pytest.mark.parametrize("path", [f"orders/{ORDERS}", "orders", f"nonce/{ORDERS}"])
def test_a_channel_of_an_account_needs_the_right_to_see_accounts(locked: Service, path: str) -> None:
    told = ask(locked, f"/fresh/o2/{path}", **LOOK)
    assert told.status == 403
    assert told.error.endswith("is a channel of an account: this needs the right account")
    assert ask(locked, f"/fresh/o2/{path}", **BEARER).status == 503


# ── many at once ──


@pytest.fixture
def busy() -> Iterator[tuple[SimulatedO2, Runtime]]:
    with SimulatedO2(rate=200) as o2, runtime_on(o2) as runtime:
        yield o2, runtime


def test_sixty_askers_cost_no_line_its_life_and_no_event(busy: tuple[SimulatedO2, Runtime]) -> None:
    o2, runtime = busy
    market = o2.markets[0]
    trades = runtime.subscribe("o2", "trades", *o2.markets, wait=10.0)
    paths = [f"/latest/o2/{market}?timeout=0", f"/book/o2/{market}", "/fresh/o2?max_age=60"]
    told: list[int] = []
    with Service(runtime, HERE) as service:
        for path in paths:
            asked_until(service, path)
        for event in trades.get_many(10_000, timeout=1.0):
            assert event
        dropped, epoch = trades.dropped, runtime.status().lines()["o2"].epoch

        def many() -> None:
            told.extend(ask(service, path).status for _ in range(3) for path in paths)

        askers = [threading.Thread(target=many) for _ in range(60)]
        begun = time.monotonic()
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert time.monotonic() - begun < 5 * 4.0
        line = runtime.status().lines()["o2"]
    assert len(told) == 540
    assert set(told) == {200}
    assert (line.state, line.epoch, trades.dropped) == ("live", epoch, dropped)


# ── whatever is asked ──

PARTS = (
    *("o2", "trades", "orders", "0xbeef", "", "/", "..", "*", "%2F", "%", "%zz", "%00", "%ff", "%ED%A0%80"),
    *("a" * 300, "9" * 5_000, "é", "-1", "BTC/USD", "nonce"),
)
WORDS = (
    *("max_age=1", "max_age=", "max_age=1e9", "max_age=999999999.999999999", "timeout=0", "wait=0.01", "x"),
    *("depth=3", "depth=%00", "precision=10", "precision=%ff", "=", "&&", "self=1", "feed=2", "key=3"),
    *("channel=4", "handler=1", "policy=block", "stale_after=3", "capacity=1"),
)


def test_no_path_and_no_query_is_an_unexpected_error(service: Service) -> None:
    chance, told = random.Random(5), set[int]()
    for _ in range(1_500):
        name = chance.choice(("latest", "book", "fresh"))
        path = f"/{name}/o2/" + "/".join(chance.choices(PARTS, k=chance.randrange(4)))
        query = "&".join(chance.choices(WORDS, k=chance.randrange(3)))
        try:
            routes = service._routes
            request = ServiceRequest("GET", path, parse_query(query), caller=OWNER)
            answer = routes.answer(routes.route("GET", path, OWNER), request)
        except RequestDeclined as declined:
            answer = declined.answer
        assert isinstance(answer, ServiceResponse)
        assert answer.status != 500, (path, query)
        to_json(answer.body)
        told.add(answer.status)
    assert {400, 404, 503} <= told
