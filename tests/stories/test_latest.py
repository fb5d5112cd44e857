"""`runtime.latest`: the newest price by the stream, else by the venue's HTTP connector; each says which."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar, cast

import pytest

import actors
from actors import LatestPrice, Runtime, RuntimeStopped, StalePriceError, Timeout, wire
from actors.actor import Address
from actors.delivery.cells import Cells
from actors.dispatcher import Dispatcher
from actors.errors import LinewardenError
from actors.http_types import HttpRequest
from actors.market.latest_prices import LatestPrices
from actors.messages import AskLatest
from actors.protocol.conversation import Conversation
from actors.protocol.limits import RateLimit
from actors.protocol.prices import Price
from actors.protocol.venue import VenueSettings
from actors.reasons import Retryable
from actors.requester import AT_ONCE, Requester
from actors.settings import load
from actors.simulators import SimulatedO2
from actors.venues.o2 import O2
from actors.venues.o2.venue import O2Settings
from tests.stories.test_killed_actors import after, kill
from tests.stories.test_wedged import WATCHDOG, Trap, is_wedged
from tests.support.runtimes import config, line_of, until
from tests.support.virtual_time import VirtualTimers
from tests.wire.proxies import Loopback, read_head

A, B = "0x" + "a" * 64, "0x" + "b" * 64


class Settings(O2Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rest: str = ""


class Priced(O2):
    """O2's streams, and a page of the newest prices beside them."""

    name: ClassVar[str] = "priced"
    Settings: ClassVar[type[VenueSettings]] = Settings
    latest_budget: ClassVar[RateLimit] = RateLimit(100, 0.001)

    def latest(self, key: str) -> Conversation[Price] | None:
        return self._ask(key)

    def _ask(self, key: str) -> Conversation[Price]:
        answer = yield HttpRequest("GET", f"{cast(Settings, self.settings).rest}/{key}")
        if answer.status != 200:
            return Retryable(f"the page of prices answered {answer.status}", f"http_{answer.status}")
        return Price(key, **json.loads(answer.body))


class Frugal(Priced):
    """It may be asked once in a minute."""

    name: ClassVar[str] = "frugal"
    latest_budget: ClassVar[RateLimit] = RateLimit(1, 60.0)


class Slow(Priced):
    """It may be asked five times a second, one at a time."""

    name: ClassVar[str] = "slow"
    latest_budget: ClassVar[RateLimit] = RateLimit(1, 0.2)


class Page(Loopback):
    """The prices over HTTP: by key, its JSON, or the status that it is refused with."""

    def __init__(self) -> None:
        super().__init__(self._serve)
        self.prices: dict[str, Any] = {}
        self.asked: list[str] = []
        self.heard = threading.Semaphore(0)  # one for each question
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._lock = threading.Lock()
        self._at_once = 0
        self.most_at_once = 0

    def __exit__(self, *exc: Any) -> None:
        self.may_answer.set()
        super().__exit__(*exc)

    def _serve(self, sock: socket.socket) -> None:
        key = read_head(sock).split()[1].decode().removeprefix("/")
        with self._lock:
            self.asked.append(key)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        self.heard.release()
        self.may_answer.wait(30)
        with self._lock:
            self._at_once -= 1
        price = self.prices.get(key, 404)
        status, body = (price, b"") if isinstance(price, int) else (200, json.dumps(price).encode())
        sock.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


@pytest.fixture
def page() -> Iterator[Page]:
    with Page() as server:
        yield server


@contextmanager
def priced(o2: SimulatedO2, page: Page, venue: type[Priced] = Priced, **feed: Any) -> Iterator[Runtime]:
    """A live runtime of such a feed, still called o2."""
    rest = f"http://127.0.0.1:{page.port}"
    table = config(o2.url, venue=venue.name, rest=rest, **feed)
    with actors.start(load(table, venues={venue.name: venue}), wait=10.0) as runtime:
        yield runtime


@pytest.fixture
def runtime(o2: SimulatedO2, page: Page) -> Iterator[Runtime]:
    with priced(o2, page) as runtime:
        yield runtime


def streamed(runtime: Runtime, key: str) -> LatestPrice:
    """What the stream says, as soon as it says something."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return runtime.latest("o2", key, timeout=0)
        except StalePriceError:
            if time.monotonic() > deadline:
                raise


# ── from the stream ─────────────────────────────────────────────────────────────────────────────


def test_what_a_stream_brings_is_known_and_the_venue_is_not_asked(
    runtime: Runtime, o2: SimulatedO2, market: str, page: Page
) -> None:
    with runtime.subscribe("o2", "trades", market, wait=5.0) as trades:
        o2.trade(market, price=1234, quantity=5)
        trades.get(timeout=5)
        price = runtime.latest("o2", market.upper().replace("0X", " 0x"))
    assert (price.feed, price.symbol, price.source) == ("o2", market, "stream")
    assert (price.last, price.last_size) == (1234, 5)
    assert price.bid is price.ask is price.quote_age is None
    assert price.trade_age is not None
    assert 0.0 <= price.trade_age < 15.0
    assert price.trade_venue_age is not None
    assert [(each.source, each.part, each.why) for each in price.tried] == [("stream", "quote", "none")]
    assert page.asked == []


def test_it_subscribes_to_nothing_and_sees_what_the_config_wants(
    o2: SimulatedO2, market: str, page: Page
) -> None:
    with priced(o2, page, subscribe=[{"channel": "depth_view", "keys": [market]}]) as runtime:
        price = streamed(runtime, market)
        bids, asks = o2.book(market)
        assert (price.bid, price.ask, price.last) == (max(bids), min(asks), None)
        assert (price.bid_size, price.ask_size) == (bids[max(bids)], asks[min(asks)])
        o2.forget_heard()
        with pytest.raises(StalePriceError):
            runtime.latest("o2", A)
        assert [topic.topic for topic in line_of(runtime).topics] == [
            f"o2/depth_view/{market}?frequency=500ms&precision=10"
        ]
        assert [said for said in o2.heard if said != "PING"] == []


def test_a_dispatcher_that_dies_forgets_no_price(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.trade(market, price=77)
    trades.get(timeout=5)
    kill(Dispatcher)
    until(runtime, after("dispatcher", 1))
    assert runtime.latest("o2", market).last == 77
    o2.trade(market, price=78)
    trades.get(timeout=5)
    assert runtime.latest("o2", market).last == 78


# ── from the venue's HTTP connector ──────────────────────────────────────────────────────────────────


def test_where_the_stream_knows_nothing_the_venue_is_asked(runtime: Runtime, page: Page) -> None:
    page.prices[A] = {"bid": 9, "bid_size": 2, "ask": None, "quotes": True}
    price = runtime.latest("o2", A)
    assert (price.source, price.bid, price.bid_size, price.ask, price.last) == ("rest", 9, 2, None, None)
    assert price.quote_age is not None
    assert [(each.source, each.part) for each in price.tried] == [
        ("stream", "quote"),
        ("stream", "trade"),
        ("rest", "trade"),
    ]
    assert page.asked == [A]


def test_an_answer_of_last_friday_is_not_fresh_because_it_was_fetched_now(
    runtime: Runtime, page: Page
) -> None:
    friday = time.time_ns() - 3 * 86_400 * 1_000_000_000
    page.prices[A] = {"bid": 9, "last": 10, "quoted_ns": friday, "traded_ns": friday}
    with pytest.raises(StalePriceError) as caught:
        runtime.latest("o2", A)
    told = str(caught.value)
    assert told.startswith(
        f"o2: no price of {A} from the last 15 s. stream: quote none, trade none; rest: quote"
    )
    assert [each.age for each in caught.value.tried if each.source == "rest"] == [
        pytest.approx(3 * 86_400, abs=60),
        pytest.approx(3 * 86_400, abs=60),
    ]
    assert runtime.latest("o2", A, max_age=4 * 86_400).last == 10


def test_why_the_venue_told_nothing_is_in_the_sentence(runtime: Runtime, page: Page) -> None:
    page.prices[A] = 503
    with pytest.raises(StalePriceError, match=r"trade none; rest: the page of prices answered 503\.$"):
        runtime.latest("o2", A)


def test_an_answer_that_cannot_be_read_harms_nothing(
    runtime: Runtime, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    page.prices[A], page.prices[B] = {"surprise": 1}, {"last": 5}
    with pytest.raises(StalePriceError, match=r"rest: unexpected error while asking for it \(TypeError\)"):
        runtime.latest("o2", A)
    assert f"unexpected error while asking for the price of {A}" in caplog.text
    assert runtime.latest("o2", B).last == 5
    assert after("requester", 0)(runtime.status())
    assert not after("requester", 1)(runtime.status())


def test_a_question_that_cannot_be_asked_gives_its_place_back(
    runtime: Runtime, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.prices[A] = {"last": 5}
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "actors.wire.http_client", None)  # as in an installation that lost a file
        for number in range(AT_ONCE):
            with pytest.raises(
                StalePriceError, match=r"rest: unexpected error while asking for it \(ModuleNotFoundError\)"
            ):
                runtime.latest("o2", f"0x{number:064x}")
    assert runtime.latest("o2", A).last == 5


class SlowImport:
    """The import of the HTTP client takes 10 s of virtual time."""

    def __init__(self, timers: VirtualTimers) -> None:
        self._timers = timers

    def find_spec(self, name: str, *_: object) -> None:
        if name == "actors.wire.http_client":
            self._timers.advance(10.0)


class NoAnswer:
    """Stands for the requester's address."""

    def ask(self, question: AskLatest) -> Any:
        self.question = question
        raise Timeout("no answer")


def test_the_timeout_begins_after_the_import_of_the_http_client(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, requester = VirtualTimers(), NoAnswer()
    monkeypatch.setattr(wire, "http_client", import_module("actors.wire.http_client"))  # as it is afterwards
    monkeypatch.delitem(sys.modules, "actors.wire.http_client")
    monkeypatch.setattr(sys, "meta_path", [SlowImport(timers), *sys.meta_path])
    prices = LatestPrices(Cells(), cast(Address, requester), timers)
    begun = timers.monotonic()
    with pytest.raises(StalePriceError, match="rest: no answer in time"):
        prices.latest(Priced("o2", Settings()), A, 15.0, 2.0)
    assert requester.question.until == begun + 10.0 + 2.0


def test_a_venue_that_does_not_answer_costs_the_timeout_and_no_more(runtime: Runtime, page: Page) -> None:
    page.may_answer.clear()
    with pytest.raises(StalePriceError, match="rest: no answer in time"):
        runtime.latest("o2", A, timeout=0.2)
    assert page.asked == [A]
    with pytest.raises(StalePriceError):
        runtime.latest("o2", B, timeout=0)  # it is not asked at all
    assert page.asked == [A]


def test_what_the_stream_brings_meanwhile_is_taken(
    runtime: Runtime, o2: SimulatedO2, market: str, page: Page
) -> None:
    page.prices[market] = 500
    page.may_answer.clear()
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(runtime.latest, "o2", market, timeout=20.0)
        assert page.heard.acquire(timeout=10)
        o2.trade(market, price=42)
        trades.get(timeout=5)
        page.may_answer.set()
        price = asking.result(timeout=10)
    assert (price.source, price.last) == ("stream", 42)


def asked(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released for each question that has reached the requester."""
    arrived = threading.Semaphore(0)
    ask = Requester._ask

    def told(self: Requester, asker: Any) -> None:
        ask(self, asker)
        arrived.release()

    monkeypatch.setattr(Requester, "_ask", told)
    return arrived


def test_equal_questions_share_one_answer(
    runtime: Runtime, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = asked(monkeypatch)
    page.prices[A] = {"last": 5}
    page.may_answer.clear()
    with ThreadPoolExecutor(5) as pool:
        asking = [pool.submit(runtime.latest, "o2", A, timeout=20.0) for _ in range(5)]
        for _ in asking:
            assert arrived.acquire(timeout=10)
        page.may_answer.set()
        assert [each.result(timeout=10).last for each in asking] == [5] * 5
    assert page.asked == [A]


def test_only_some_questions_are_asked_at_once(runtime: Runtime, page: Page) -> None:
    keys = [f"0x{number:064x}" for number in range(AT_ONCE + 3)]
    page.prices |= {key: {"last": number + 1} for number, key in enumerate(keys)}
    page.may_answer.clear()
    with ThreadPoolExecutor(len(keys)) as pool:
        asking = [pool.submit(runtime.latest, "o2", key, timeout=20.0) for key in keys]
        for _ in range(AT_ONCE):
            assert page.heard.acquire(timeout=10)
        page.may_answer.set()
        assert [each.result(timeout=10).last for each in asking] == list(range(1, len(keys) + 1))
    assert page.most_at_once <= AT_ONCE


def test_the_venue_is_asked_no_oftener_than_it_allows(o2: SimulatedO2, page: Page) -> None:
    page.prices |= {A: {"last": 5}, B: {"last": 6}}
    with priced(o2, page, Frugal) as runtime:
        assert runtime.latest("o2", A).last == 5
        with pytest.raises(
            StalePriceError, match=r"rest: the venue may not be asked so often; again in \d+\.\d s"
        ):
            runtime.latest("o2", B)
        kill(Requester)
        until(runtime, after("requester", 1))
        with pytest.raises(StalePriceError, match="so often"):  # its successor knows
            runtime.latest("o2", B)
    assert page.asked == [A]


def test_a_question_waits_for_its_turn_where_its_asker_has_the_time(o2: SimulatedO2, page: Page) -> None:
    page.prices |= {A: {"last": 5}, B: {"last": 6}}
    with priced(o2, page, Slow) as runtime:
        assert runtime.latest("o2", A, timeout=20.0).last == 5
        assert runtime.latest("o2", B, timeout=20.0).last == 6
        assert runtime.latest("o2", A, timeout=20.0).last == 5
    assert page.asked == [A, B, A]


# ── who dies meanwhile ──────────────────────────────────────────────────────────────────────────


def test_a_requester_that_dies_over_a_question_leaves_it_to_the_next(runtime: Runtime, page: Page) -> None:
    page.prices[A] = {"last": 5}
    page.may_answer.clear()
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(runtime.latest, "o2", A, timeout=20.0)
        assert page.heard.acquire(timeout=10)
        kill(Requester)
        assert page.heard.acquire(timeout=10)
        page.may_answer.set()
        assert asking.result(timeout=10).last == 5
    assert page.asked == [A, A]


def test_a_requester_that_hangs_costs_the_timeout_and_is_replaced(
    o2: SimulatedO2, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.prices[A] = {"last": 5}
    trap = Trap(monkeypatch, Requester, "_begin")
    table = config(
        o2.url, runtime={"watchdog_timeout": WATCHDOG}, venue="priced", rest=f"http://127.0.0.1:{page.port}"
    )
    with actors.start(load(table, venues={"priced": Priced}), wait=10.0) as runtime:
        with pytest.raises(StalePriceError, match="no answer in time"):
            runtime.latest("o2", A, timeout=0.1)
        assert trap.caught.is_set()
        until(runtime, is_wedged("requester"))
        assert runtime.latest("o2", A, timeout=10.0).last == 5
        trap.released.set()
        assert trap.over.wait(5)


def test_stop_ends_every_wait_and_every_conversation(o2: SimulatedO2, page: Page) -> None:
    page.may_answer.clear()
    with ThreadPoolExecutor() as pool, priced(o2, page) as runtime:
        asking = pool.submit(runtime.latest, "o2", A, timeout=60.0)
        assert page.heard.acquire(timeout=10)
        assert runtime.stop() == ()
        with pytest.raises(RuntimeStopped):
            asking.result(timeout=10)
        for thread in threading.enumerate():
            if thread.name.startswith("requester/"):
                thread.join(5 * 1.0)
                assert not thread.is_alive()
        with pytest.raises(RuntimeStopped):
            runtime.latest("o2", A)


# ── what cannot be asked ────────────────────────────────────────────────────────────────────────


def test_what_is_not_known_is_said_so(runtime: Runtime) -> None:
    with pytest.raises(LinewardenError, match=r"there is no feed 'o3' in the config\. There are: o2\."):
        runtime.latest("o3", A)
    with pytest.raises(LinewardenError, match="'nonsense'"):
        runtime.latest("o2", "nonsense")
    with pytest.raises(LinewardenError, match=r"a key is text or an integer, and 4\.5 is of type float"):
        runtime.latest("o2", 4.5)  # type: ignore[arg-type]
    with pytest.raises(LinewardenError, match="max_age is a number of seconds, and nan is none"):
        runtime.latest("o2", A, max_age=float("nan"))


def test_a_venue_without_an_http_door_says_so(o2: SimulatedO2) -> None:
    with (
        actors.start(config(o2.url), wait=10.0) as runtime,
        pytest.raises(StalePriceError, match="rest: the venue cannot be asked for it"),
    ):
        runtime.latest("o2", A)
