"""Alpaca through the whole runtime: every stream, its login, its error table, its order books."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

import actors
from actors import BookView, Gap, Lifecycle, NotLiveError, Runtime, StalePriceError, SubscribeError
from actors.connection import Connection
from actors.errors import ConfigError, LinewardenError
from actors.market import order_books as books
from actors.simulators import SimulatedAlpaca
from actors.status import Status
from actors.stream import Stream
from actors.venues import alpaca as venue
from actors.venues.alpaca import Quote, TradeUpdate
from actors.venues.alpaca.endpoints import STREAMS
from tests.stories.test_killed_actors import kill
from tests.support.counters import settle
from tests.support.runtimes import KEY, SECRET, alpaca_config, alpaca_runtime, at_epoch, line_of, until
from tests.test_metrics import Recorder

DATA = ("iex", "sip", "test", "crypto", "news")
KEYS = {
    "iex": "AAPL",
    "sip": "MSFT",
    "test": "FAKEPACA",
    "crypto": "BTC/USD",
    "news": "AAPL",
    "indicative": "AAPL281215C00200000",
}
BTC = "BTC/USD"

Say = Callable[[SimulatedAlpaca, str], Any]
SAY: dict[str, Say] = {
    "trades": lambda alpaca, key: alpaca.trade(key),  # the first, for some are about the last trade
    "quotes": lambda alpaca, key: alpaca.quote(key),
    "bars": lambda alpaca, key: alpaca.bar(key),
    "updated_bars": lambda alpaca, key: alpaca.bar(key, "updatedBars"),
    "daily_bars": lambda alpaca, key: alpaca.bar(key, "dailyBars"),
    "statuses": lambda alpaca, key: alpaca.status(key),
    "lulds": lambda alpaca, key: alpaca.luld(key),
    "imbalances": lambda alpaca, key: alpaca.imbalance(key),
    "corrections": lambda alpaca, key: alpaca.correction(key),
    "cancel_errors": lambda alpaca, key: alpaca.cancel_error(key),
    "orderbooks": lambda alpaca, key: alpaca.orderbook(key, {1.0: 2.0}, reset=True),
    "news": lambda alpaca, key: alpaca.news(key),
}


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    """A venue where nothing moves by itself, and one account may have one connection to an endpoint."""
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


@pytest.fixture
def runtime(alpaca: SimulatedAlpaca) -> Iterator[Runtime]:
    with alpaca_runtime(alpaca, "iex") as runtime:
        yield runtime


def reason_is(code: str, line: str = "iex", state: str = "") -> Callable[[Status], bool]:
    """The line has died of this, and is in that state by now."""

    def look(status: Status) -> bool:
        found = status.lines()[line]
        return found.reason is not None and found.reason.code == code and state in {"", found.state}

    return look


def endings(runtime: Runtime, line: str = "iex") -> list[tuple[str, str]]:
    journal = line_of(runtime, line).journal
    return [(each.kind, each.code) for each in journal for _ in range(each.times)]


def told_until_quote(stream: Stream[Any]) -> list[Any]:
    """What a stream shows, markers too, until a quote comes."""
    told: list[Any] = []
    for item in stream.with_markers():
        told.append(item)
        if isinstance(item, Quote):
            break
    return told


# ── every stream ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("login", ["message", "header"])
@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_every_data_stream_is_live_and_delivers_each_of_its_channels(
    alpaca: SimulatedAlpaca, encoding: str, login: str
) -> None:
    with alpaca_runtime(alpaca, *DATA, encoding=encoding, login=login) as runtime:
        for stream in DATA:
            spoken = [name for name in STREAMS[stream].channels if name in SAY]
            opened = {name: runtime.subscribe(stream, name, KEYS[stream], wait=10.0) for name in spoken}
            for name, each in opened.items():
                if name == "orderbooks":
                    assert each.get(timeout=10).reset  # the whole book, as it was subscribed to
                SAY[name](alpaca, KEYS[stream])
                event = each.get(timeout=10)
                assert type(event) is venue.Alpaca.channels[name].event
                assert KEYS[stream] in (event.symbols if name == "news" else (event.symbol,))
        for stream, line in runtime.status().lines().items():
            assert (stream, line.state, line.epoch, line.counters.quarantined) == (stream, "live", 1, 0)


@pytest.mark.parametrize("login", ["message", "header"])
def test_options_come_in_msgpack_without_being_told(alpaca: SimulatedAlpaca, login: str) -> None:
    with alpaca_runtime(alpaca, "indicative", login=login) as runtime:
        contract = KEYS["indicative"]
        quotes = runtime.subscribe("indicative", "quotes", contract, wait=10.0)
        trades = runtime.subscribe("indicative", "trades", contract, wait=10.0)
        alpaca.quote(contract, bid=1.25, ask=1.35, t=1_772_463_845_120_000_045)
        alpaca.trade(contract, price=1.3)
        quote, trade = quotes.get(timeout=10), trades.get(timeout=10)
        assert (quote.bid_price, quote.conditions) == (Decimal("1.25"), "A")
        assert quote.ts_ns == 1_772_463_845_120_000_045
        assert (trade.price, trade.id) == (Decimal("1.3"), None)


@pytest.mark.parametrize(("binary", "encoding"), [(True, "json"), (False, "json"), (True, "msgpack")])
def test_an_accounts_orders_whatever_the_frames_are_called(binary: bool, encoding: str) -> None:
    with (
        SimulatedAlpaca(rate=0, binary=binary, offset="-04:00") as alpaca,
        alpaca_runtime(alpaca, "account", encoding=encoding) as runtime,
    ):
        updates = runtime.subscribe("account", "trade_updates", wait=10.0)
        order = alpaca.trade_update("new")["order"]
        alpaca.trade_update("partial_fill", {"id": order["id"]}, qty="40", price="10.02")
        alpaca.multi_leg("AAPL281215C00200000", "SPY281215P00500000")
        new, fill, legs = islice(updates, 3)
        assert isinstance(new, TradeUpdate)
        assert (new.event, new.order.id, new.order.qty) == ("new", order["id"], Decimal(100))
        assert (fill.price, fill.qty, fill.position_qty) == (Decimal("10.02"), 40, 40)
        assert (legs.execution_id, [leg.qty for leg in legs.legs]) == (None, [1, 1])
        assert new.ts_ns is not None


def test_a_login_by_headers_is_welcomed_in_any_of_four_ways() -> None:
    for greeting in ("apart", "together", "short", "connected"):
        with (
            SimulatedAlpaca(rate=0, greeting=greeting) as alpaca,
            alpaca_runtime(alpaca, login="header") as runtime,
        ):
            quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
            alpaca.quote("AAPL", bid=1.0)
            assert quotes.get(timeout=10).bid_price == 1
            assert line_of(runtime, "iex").epoch == 1


# ── keys ────────────────────────────────────────────────────────────────────────────────────────


def test_keys_come_from_the_environment_and_a_missing_one_is_named(
    alpaca: SimulatedAlpaca, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(
        f'[feeds.alpaca]\nvenue = "alpaca"\nurl = "{alpaca.url_of("iex")}"\n'
        'key = "${ALPACA_API_KEY}"\nsecret = "${ALPACA_API_SECRET}"\n'
        'subscribe = [{ channel = "quotes", keys = ["aapl", " MSFT "] }]\n'
    )
    monkeypatch.delenv("ALPACA_API_KEY", raising=False)
    monkeypatch.setenv("ALPACA_API_SECRET", SECRET)
    with pytest.raises(ConfigError) as caught:
        actors.start(path)
    [problem] = caught.value.problems
    assert "desk.toml" in problem
    assert "ALPACA_API_KEY" in problem
    assert SECRET not in problem

    monkeypatch.setenv("ALPACA_API_KEY", KEY)
    with actors.start(path, wait=10.0) as runtime:
        assert alpaca.heard[0] == {"action": "auth", "key": KEY, "secret": SECRET}
        wanted = [topic.topic for topic in line_of(runtime, "alpaca").topics]
        assert sorted(wanted) == ["alpaca/quotes/AAPL", "alpaca/quotes/MSFT"]


@pytest.mark.parametrize("login", ["message", "header"])
def test_keys_are_shown_nowhere(login: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    with SimulatedAlpaca(rate=0, keys={}) as alpaca:  # nobody's keys are right: 402, and 403 of the pages
        alpaca.refuse(401)
        with alpaca_runtime(alpaca, "iex", "crypto", "account", live=False, login="message") as runtime:
            until(runtime, lambda status: all(line.state == "failed" for line in status.lines().values()))
            for call in (runtime.wait_live, lambda: runtime.latest("iex", "AAPL")):
                with pytest.raises((NotLiveError, StalePriceError)) as caught:
                    call()
                seen += [repr(caught.value), *traceback.format_exception(caught.value)]
            seen += [repr(runtime), repr(runtime.settings), repr(runtime.status())]
            seen.append(msgspec.json.encode(runtime.status()).decode())
            codes = {line.reason.code for line in runtime.status().lines().values() if line.reason}
            assert "http_401" in codes  # of whichever came first
            assert codes <= {"http_401", "alpaca_402", "alpaca_unauthorized"}
    with SimulatedAlpaca(rate=0) as alpaca, alpaca_runtime(alpaca, login=login) as runtime:
        _stream = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        alpaca.garbage()
        alpaca.error(402)
        until(runtime, reason_is("alpaca_402"))
        seen += [repr(runtime._wanted), msgspec.json.encode(runtime.status()).decode()]
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets")]
    shown = "\n".join([*seen, *ours])  # what the venue's side logs is its own
    assert "402" in shown
    assert KEY not in shown
    assert SECRET not in shown


# ── the error table ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("login", ["message", "header"])
def test_402_is_not_tried_again_and_says_what_to_do(login: str) -> None:
    with (
        SimulatedAlpaca(rate=0, keys={"other": "other"}) as alpaca,
        alpaca_runtime(
            alpaca, live=False, login=login, subscribe=[{"channel": "quotes", "keys": ["AAPL"]}]
        ) as runtime,
    ):
        with pytest.raises(NotLiveError, match=r"auth failed.*key and secret"):
            runtime.wait_live(timeout=10.0)
        line = line_of(runtime, "iex")
        assert line.reason is not None
        assert (line.state, line.reason.code, line.next_attempt_s) == ("failed", "alpaca_402", None)
        assert "key and secret" in line.reason.advice
        assert alpaca.lives == 1

        alpaca.settings.keys = None
        runtime.supervisor.restart("iex").get(timeout=5)  # the keys were mended there
        runtime.wait_live(timeout=10.0)


def test_409_names_the_plan() -> None:
    with (
        SimulatedAlpaca(rate=0, plan="basic") as alpaca,
        alpaca_runtime(alpaca, "sip", live=False) as runtime,
    ):
        status = until(runtime, reason_is("alpaca_409", "sip", "failed"))
        reason = status.lines()["sip"].reason
        assert reason is not None
        assert "plan" in reason.advice
        assert alpaca.lives == 1


@pytest.mark.parametrize("code", [402, 408, 409, 411, 412])
def test_an_error_that_no_trying_mends_parks_a_line_that_was_live(alpaca: SimulatedAlpaca, code: int) -> None:
    with alpaca_runtime(alpaca, "iex", restart={"stable_after": 3_600.0}) as runtime:  # nothing is proved
        alpaca.error(code)
        status = until(runtime, reason_is(f"alpaca_{code}", state="failed"))
    reason = status.lines()["iex"].reason
    assert reason is not None
    assert (reason.kind, status.lines()["iex"].next_attempt_s) == ("fatal", None)
    assert reason.advice
    assert alpaca.lives == 1


@pytest.mark.parametrize(
    ("code", "kind"), [(404, "retryable"), (406, "slow"), (407, "retryable"), (500, "retryable")]
)
def test_an_error_that_may_pass_is_a_gap_and_the_line_comes_back(
    runtime: Runtime, alpaca: SimulatedAlpaca, code: int, kind: str
) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    alpaca.error(code)
    until(runtime, at_epoch(2, "iex"))
    runtime.wait_live(timeout=10.0)
    alpaca.quote("AAPL", bid=2.0)
    assert [type(item) for item in told_until_quote(quotes)][-2:] == [Gap, Quote]
    assert endings(runtime)[0] == (kind, f"alpaca_{code}")


@pytest.mark.parametrize("code", [400, 403, 405, 410, 413, 499])
def test_an_error_that_concerns_no_change_leaves_the_line_up(
    runtime: Runtime, alpaca: SimulatedAlpaca, code: int
) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    alpaca.error(code)
    alpaca.quote("AAPL", bid=2.0)
    assert quotes.get(timeout=10).bid_price == 2
    if code != 403:  # which says that all is well
        until(runtime, lambda status: f"{code}" in status.lines()["iex"].last_venue_error)
    line = line_of(runtime, "iex")
    assert (line.state, line.epoch) == ("live", 1)
    assert (f"{code}" in line.last_venue_error) == (code != 403)


def test_401_logs_in_once_more_and_then_goes_on(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    alpaca.error(401)
    alpaca.wait_heard("auth", 2)
    alpaca.quote("AAPL", bid=2.0)
    assert quotes.get(timeout=10).bid_price == 2
    _stream = runtime.subscribe("iex", "quotes", "MSFT", wait=10.0)
    assert line_of(runtime, "iex").epoch == 1


@pytest.mark.parametrize("keep_refused", [True, False])
def test_a_dead_session_holds_the_slot_and_is_waited_out(keep_refused: bool) -> None:
    with (
        SimulatedAlpaca(rate=0, dead_session=0.3, keep_refused=keep_refused) as alpaca,
        alpaca_runtime(alpaca) as runtime,
    ):
        quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        alpaca.drop()  # a cancelled cable: Alpaca goes on to count that connection
        until(runtime, reason_is("alpaca_406"))
        runtime.wait_live(timeout=20.0)
        alpaca.quote("AAPL", bid=2.0)
        told = told_until_quote(quotes)
        assert [type(item) for item in told][-2:] == [Gap, Quote]
        assert "restored" in [item.state for item in told if isinstance(item, Lifecycle)]
        kinds = endings(runtime)
        assert kinds[0][0] == "retryable"
        assert set(kinds[1:]) == {("slow", "alpaca_406")}
        assert alpaca.authorized == 1


def test_a_restart_and_a_pause_leave_no_dead_session_behind() -> None:
    with SimulatedAlpaca(rate=0, dead_session=60.0) as alpaca, alpaca_runtime(alpaca) as runtime:
        runtime.supervisor.restart("iex").get(timeout=5)
        until(runtime, at_epoch(2, "iex"))
        runtime.wait_live(timeout=10.0)
        runtime.supervisor.pause("iex").get(timeout=5)
        runtime.supervisor.resume("iex").get(timeout=5)
        runtime.wait_live(timeout=10.0)
        assert not [code for _, code in endings(runtime) if code == "alpaca_406"]


def test_a_connection_of_ours_that_crashes_gives_its_slot_back() -> None:
    with SimulatedAlpaca(rate=0, dead_session=60.0) as alpaca, alpaca_runtime(alpaca) as runtime:
        quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        kill(Connection)
        until(runtime, at_epoch(2, "iex"))
        runtime.wait_live(timeout=10.0)
        alpaca.quote("AAPL", bid=2.0)
        assert quotes.get(timeout=10).bid_price == 2
        assert endings(runtime) == [("crashed", "crashed")]


def test_what_the_venue_did_to_a_line_is_counted(alpaca: SimulatedAlpaca) -> None:
    seen = Recorder()
    with actors.start(alpaca_config(alpaca), wait=10.0, metrics=seen) as runtime:
        quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        alpaca.poison("scalar")
        assert [quote.symbol for quote in islice(quotes, 2)] == ["AAPL", "AAPL"]
        alpaca.error(407)
        until(runtime, at_epoch(2, "iex"))
        runtime.wait_live(timeout=10.0)
    assert seen.counts == {
        "linewarden_line_starts_total": 2,
        "linewarden_line_connects_total": 2,
        "linewarden_line_stops_total": 2,
        "linewarden_line_errors_total": 1,
        "linewarden_events_total": 2,
        "linewarden_quarantined_total": 1,
    }
    labels = seen.labels["linewarden_line_errors_total"]
    assert [dict(each) for each in labels] == [{"feed": "iex", "line": "iex", "code": "alpaca_407"}]


def test_405_costs_the_symbols_that_have_no_room_alone() -> None:
    with SimulatedAlpaca(rate=0, symbols=2) as alpaca, alpaca_runtime(alpaca) as runtime:
        with pytest.raises(SubscribeError, match=r"symbol limit exceeded.*2 are subscribed to") as caught:
            runtime.subscribe("iex", "quotes", "AAPL", "MSFT", "SPY", "TSLA", wait=10.0)
        states = [state.state for state in caught.value.results.values()]
        assert sorted(states) == ["confirmed", "confirmed", "rejected", "rejected"]
        quotes = caught.value.stream
        assert isinstance(quotes, Stream)
        there = [topic.key for topic, state in caught.value.results.items() if state.state == "confirmed"]
        for symbol in ("AAPL", "MSFT", "SPY", "TSLA"):
            alpaca.quote(symbol)
        assert sorted(quote.symbol for quote in islice(quotes, 2)) == sorted(there)
        line = line_of(runtime, "iex")
        assert (line.state, line.epoch) == ("live", 1)

        quotes.remove(there[0])  # which makes room for one of those that had none
        first, second = (
            topic.key for topic, state in caught.value.results.items() if state.state == "rejected"
        )
        until(runtime, lambda _: sum(alpaca.subscribers("quotes", each) for each in (first, second)) == 1)
        until(
            runtime,
            lambda status: (
                sorted(topic.state.state for topic in status.lines()["iex"].topics)
                == ["confirmed", "confirmed", "rejected"]
            ),
        )


def test_410_costs_the_channel_alone(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    alpaca.reject("lulds")
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    with pytest.raises(SubscribeError, match=r"iex/lulds/AAPL: rejected \(.*410.*does not offer"):
        runtime.subscribe("iex", "lulds", "AAPL", wait=10.0)
    alpaca.quote("AAPL", bid=2.0)
    assert quotes.get(timeout=10).bid_price == 2
    assert line_of(runtime, "iex").state == "live"


def test_413_costs_the_star_alone(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "indicative") as runtime:
        with pytest.raises(LinewardenError, match=r"no \* for the quotes of options"):
            runtime.subscribe("indicative", "quotes", "*")
        _stream = runtime.subscribe("indicative", "trades", "*", wait=10.0)


def test_400_concerns_the_bad_symbols_alone(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    names = [f"S{number}" for number in range(20)]
    alpaca.reject("S13")
    with pytest.raises(SubscribeError) as caught:
        runtime.subscribe("iex", "quotes", *names, wait=10.0)
    rejected = {
        topic.key: state for topic, state in caught.value.results.items() if state.state != "confirmed"
    }
    assert list(rejected) == ["S13"]
    assert "invalid syntax" in rejected["S13"].reason
    assert [alpaca.subscribers("quotes", name) for name in names].count(1) == 19
    assert line_of(runtime, "iex").epoch == 1


@pytest.mark.parametrize("told", [True, False])
def test_a_slow_reader_that_is_cut_off_has_a_gap_and_comes_back(
    runtime: Runtime, alpaca: SimulatedAlpaca, told: bool
) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    alpaca.slow_client(told)
    until(runtime, at_epoch(2, "iex"))
    runtime.wait_live(timeout=10.0)
    alpaca.quote("AAPL", bid=2.0)
    shown = [item for item in told_until_quote(quotes) if isinstance(item, Gap)]
    assert [(gap.reason, gap.topic.key) for gap in shown] == [("disconnect", "AAPL")]
    if told:
        assert endings(runtime)[0] == ("retryable", "alpaca_407")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_upgrade_that_is_refused_for_good(alpaca: SimulatedAlpaca, status: int) -> None:
    alpaca.refuse(status)
    with alpaca_runtime(alpaca, live=False) as runtime:
        shown = until(runtime, reason_is(f"http_{status}", state="failed")).lines()["iex"]
        assert shown.reason is not None
        assert shown.reason.advice
        assert (shown.next_attempt_s, alpaca.lives) == (None, 0)


@pytest.mark.parametrize(("status", "kind"), [(429, "slow"), (503, "retryable")])
def test_an_upgrade_that_is_refused_for_now(alpaca: SimulatedAlpaca, status: int, kind: str) -> None:
    alpaca.refuse(status, n=2)
    with alpaca_runtime(alpaca) as runtime:
        assert endings(runtime) == [(kind, f"http_{status}")] * 2


def test_a_welcome_that_never_comes_is_an_auth_timeout_and_a_new_try() -> None:
    with SimulatedAlpaca(rate=0, auth_timeout=0.1) as alpaca:
        alpaca.welcome_lost()
        with alpaca_runtime(alpaca) as runtime:
            assert endings(runtime) == [("retryable", "alpaca_404")]
            assert alpaca.lives == 2


def test_an_account_that_is_unauthorized_is_not_asked_again() -> None:
    with SimulatedAlpaca(rate=0, keys={}) as alpaca, alpaca_runtime(alpaca, "account", live=False) as runtime:
        shown = until(runtime, reason_is("alpaca_unauthorized", "account", "failed")).lines()["account"]
        assert shown.reason is not None
        assert "paper" in shown.reason.advice
        assert "access key verification failed" in shown.reason.text
        assert alpaca.lives == 1


def test_an_account_stream_that_fails_by_itself_is_a_gap_and_a_fill_comes_again(
    alpaca: SimulatedAlpaca,
) -> None:
    with alpaca_runtime(alpaca, "account") as runtime:
        updates = runtime.subscribe("account", "trade_updates", wait=10.0)
        alpaca.trade_update("fill")
        alpaca.duplicate_fill()
        assert updates.get(timeout=10).event == "fill"
        until(runtime, lambda status: status.lines()["account"].counters.duplicates == 1)
        alpaca.account_error()
        until(runtime, at_epoch(2, "account"))
        runtime.wait_live(timeout=10.0)
        alpaca.trade_update("canceled")
        assert updates.get(timeout=10).event == "canceled"
        assert updates.gap_count == 1
        assert endings(runtime, "account")[0] == ("retryable", "alpaca_error")


# ── confirmed means listed ──────────────────────────────────────────────────────────────────────


def test_what_the_acknowledgement_does_not_list_is_not_confirmed(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    alpaca.ack_differs()
    with pytest.raises(SubscribeError, match=r"iex/quotes/SPY: rejected \(.*does not list it") as caught:
        runtime.subscribe("iex", "quotes", "AAPL", "MSFT", "SPY", wait=10.0)
    assert [state.state for state in caught.value.results.values()] == ["confirmed", "confirmed", "rejected"]


def test_an_account_stream_that_the_acknowledgement_lacks_is_not_confirmed(alpaca: SimulatedAlpaca) -> None:
    alpaca.lose_stream()
    with (
        alpaca_runtime(alpaca, "account") as runtime,
        pytest.raises(SubscribeError, match=r"account/trade_updates: rejected \(.*does not list it"),
    ):
        runtime.subscribe("account", "trade_updates", wait=10.0)


def test_a_lost_acknowledgement_of_an_account_is_asked_for_again_over_the_same_connection(
    alpaca: SimulatedAlpaca,
) -> None:
    with alpaca_runtime(alpaca, "account") as runtime:
        alpaca.lose_ack()
        updates = runtime.subscribe("account", "trade_updates", wait=20.0)
        alpaca.trade_update("new")
        assert updates.get(timeout=10).event == "new"
        assert line_of(runtime, "account").epoch == 1


def test_a_lost_acknowledgement_is_asked_for_again_over_the_same_connection(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    alpaca.lose_ack()
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=20.0)
    alpaca.quote("AAPL", bid=2.0)
    assert quotes.get(timeout=10).bid_price == 2
    assert [said["action"] for said in alpaca.heard] == ["auth", "subscribe", "subscribe"]
    assert line_of(runtime, "iex").epoch == 1


def test_a_lost_answer_to_what_was_given_up_is_not_for_ever_in_the_way(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    alpaca.lose_ack()
    quotes.remove("AAPL")
    alpaca.wait_heard("unsubscribe")
    _stream = runtime.subscribe("iex", "quotes", "MSFT", wait=20.0)
    assert (alpaca.subscribers("quotes", "AAPL"), alpaca.subscribers("quotes", "MSFT")) == (0, 1)
    assert line_of(runtime, "iex").epoch == 1


def test_a_change_that_was_in_flight_at_a_loss_is_made_in_the_next_life(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    alpaca.delay_ack(30.0)
    quotes = runtime.subscribe("iex", "quotes", "AAPL")
    alpaca.wait_heard("subscribe")
    alpaca.heal()
    alpaca.slow_client()
    until(runtime, at_epoch(2, "iex"))
    runtime.wait_live(timeout=10.0)
    alpaca.quote("AAPL", bid=2.0)
    assert quotes.get(timeout=10).bid_price == 2


def test_a_change_of_keys_is_planned_by_its_name_alone(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    plan = runtime.reload(alpaca_config(alpaca, secret="canary-of-tomorrow"))
    assert [change.text for change in plan.changes] == ["feed iex is reconnected: secret changed"]
    assert "canary" not in repr(plan)
    alpaca.wait_for(lambda: any(said.get("secret") == "canary-of-tomorrow" for said in alpaca.heard))


def test_nothing_subscribed_is_a_quiet_line_that_is_live(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    with runtime.subscribe("iex", "quotes", "AAPL", "MSFT", wait=10.0):
        pass
    until(
        runtime, lambda _: alpaca.subscribers("quotes", "AAPL") == alpaca.subscribers("quotes", "MSFT") == 0
    )
    pings = alpaca.pings
    until(runtime, lambda _: alpaca.pings > pings + 1)
    line = line_of(runtime, "iex")
    assert (line.state, line.epoch, line.topics) == ("live", 1, ())
    again = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    alpaca.quote("AAPL", bid=2.0)
    assert again.get(timeout=10).bid_price == 2


def test_a_star_brings_everything_and_each_stream_has_it_once(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    every = runtime.subscribe("iex", "quotes", "*", wait=10.0)
    some = runtime.subscribe("iex", "quotes", "MSFT", wait=10.0)
    for symbol in ("AAPL", "MSFT", "SPY"):
        alpaca.quote(symbol)
    assert [quote.symbol for quote in islice(every, 3)] == ["AAPL", "MSFT", "SPY"]
    assert some.get(timeout=10).symbol == "MSFT"
    some.close()
    until(runtime, lambda _: alpaca.subscribers("quotes", "MSFT") == 0)
    alpaca.quote("MSFT")
    assert every.get(timeout=10).symbol == "MSFT"
    assert (every.queued, settle(runtime).lines()["iex"].counters.unrouted) == (0, 0)


def stale(status: Status) -> list[str]:
    return [topic.topic for topic in status.lines()["iex"].topics if topic.stale]


def test_a_symbol_that_is_mute_is_stale_and_costs_no_other_topic(alpaca: SimulatedAlpaca) -> None:
    wanted = [
        {"channel": "trades", "keys": ["AAPL", "MSFT"], "stale_after": 0.5},
        {"channel": "bars", "keys": ["AAPL"]},  # quiet, and nobody minds
    ]
    with alpaca_runtime(alpaca, subscribe=wanted) as runtime:
        alpaca.mute_symbol("AAPL")
        alpaca.number_trades("MSFT", 100_000, per_second=100, background=True)
        status = until(runtime, lambda status: stale(status) == ["iex/trades/AAPL"])
        line = status.lines()["iex"]
        assert (line.state, line.epoch, line.health.score) == ("live", 1, 50)
        alpaca.heal()
        alpaca.trade("AAPL")
        until(runtime, lambda status: not stale(status))


def test_a_quiet_market_costs_nothing(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, heartbeat={"ping_interval": 0.05}) as runtime:
        _stream = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        until(runtime, lambda _: alpaca.pings > 10)
        line = line_of(runtime, "iex")
        assert (line.state, line.epoch, line.health.score) == ("live", 1, 100)


def test_what_trails_in_after_the_end_of_a_subscription_is_not_delivered(
    runtime: Runtime, alpaca: SimulatedAlpaca
) -> None:
    quotes = runtime.subscribe("iex", "quotes", "AAPL", "MSFT", wait=10.0)
    alpaca.late_data()
    quotes.remove("AAPL")
    until(runtime, lambda status: status.lines()["iex"].counters.unrouted == 1)
    alpaca.quote("MSFT", bid=2.0)
    assert quotes.get(timeout=10).symbol == "MSFT"
    settle(runtime)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("kind", ["null", "unknown", "scalar", "error"])
def test_something_odd_in_an_array_costs_itself_alone(
    alpaca: SimulatedAlpaca, kind: Any, encoding: str
) -> None:
    with alpaca_runtime(alpaca, encoding=encoding) as runtime:
        quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
        alpaca.poison(kind)
        assert quotes.get(timeout=10).symbol == "AAPL"
        if kind == "error":  # 500 in the middle: what stands before it counts
            until(runtime, at_epoch(2, "iex"))
            assert endings(runtime)[0] == ("retryable", "alpaca_500")
        else:
            assert quotes.get(timeout=10).symbol == "AAPL"
            line = settle(runtime).lines()["iex"]
            assert (line.epoch, line.counters.quarantined) == (1, 1)
            assert [gap.reason for gap in quotes.gaps] == (["quarantine"] if kind == "null" else [])


def test_news_of_five_megabytes_in_fragments(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "news") as runtime:
        news = runtime.subscribe("news", "news", "AAPL", wait=10.0)
        alpaca.fragment(65_536)
        alpaca.news("AAPL", "MSFT", content="x" * (5 << 20))
        assert len(news.get(timeout=20).content) == 5 << 20
        assert news.queued == 0


def test_a_numbered_burst_arrives_whole_and_in_order(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, encoding="msgpack") as runtime:
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0, policy="block", capacity=1_000)
        alpaca.number_trades("AAPL", 20_000, batch=50, background=True)
        assert [trade.id for trade in islice(trades, 20_000)] == list(range(1, 20_001))
        assert trades.gap_count == 0


# ── order books ─────────────────────────────────────────────────────────────────────────────────

Sides = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]


def book_of(alpaca: SimulatedAlpaca, symbol: str = BTC) -> Sides:
    """The venue's own, as its wire would write it."""
    whole = alpaca.listing(symbol).book()

    def side(levels: list[dict[str, Any]]) -> dict[Decimal, Decimal]:
        return {Decimal(str(level["p"])): Decimal(str(level["s"])) for level in levels}

    return side(whole["b"]), side(whole["a"])


def sides(view: BookView) -> Sides:
    bids: Any = dict(view.bids)
    asks: Any = dict(view.asks)
    return bids, asks


def is_right(runtime: Runtime, alpaca: SimulatedAlpaca) -> Callable[[Status], bool]:
    def look(_: Status) -> bool:
        view = runtime.book("crypto", BTC)
        return view.synced and sides(view) == book_of(alpaca)

    return look


@contextmanager
def held(runtime: Runtime) -> Iterator[None]:
    """The thread that follows the book does not get on meanwhile."""
    (only,) = runtime._books._books.values()
    with only._changed:
        yield


@pytest.fixture
def crypto(alpaca: SimulatedAlpaca) -> Iterator[Runtime]:
    with alpaca_runtime(alpaca, "crypto") as runtime:
        yield runtime


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_the_book_is_the_venues(alpaca: SimulatedAlpaca, encoding: str) -> None:
    with alpaca_runtime(alpaca, "crypto", encoding=encoding) as runtime:
        view = runtime.book("crypto", "btc/usd", wait=10.0)
        assert sides(view) == book_of(alpaca)
        assert view.at_ns is not None
        alpaca.steps(200)
        until(runtime, is_right(runtime, alpaca))
        assert not runtime.book("crypto", BTC).crossed


def test_a_second_reset_is_the_whole_book(crypto: Runtime, alpaca: SimulatedAlpaca) -> None:
    crypto.book("crypto", BTC, wait=10.0)
    alpaca.orderbook(BTC, {70_000.5: 0.4}, {70_010.0: 0.2}, reset=True)
    until(crypto, is_right(crypto, alpaca))
    view = crypto.book("crypto", BTC)
    assert (view.bids, view.asks) == (
        ((Decimal("70000.5"), Decimal("0.4")),),
        ((Decimal("70010.0"), Decimal("0.2")),),
    )
    alpaca.orderbook(BTC, {70_000.5: 0, 69_000.0: 1.5})  # a size of 0 takes the level away
    until(crypto, is_right(crypto, alpaca))
    alpaca.reset_book()
    alpaca.steps(20)
    until(crypto, is_right(crypto, alpaca))
    assert crypto.book("crypto", BTC).epoch == 1


def test_after_a_drop_the_book_begins_anew(crypto: Runtime, alpaca: SimulatedAlpaca) -> None:
    crypto.book("crypto", BTC, wait=10.0)
    alpaca.drop()
    alpaca.steps(50)  # which nobody hears
    until(crypto, at_epoch(2, "crypto"))
    view = crypto.book("crypto", BTC, wait=10.0)
    assert view.epoch == 2
    alpaca.steps(50)
    until(crypto, is_right(crypto, alpaca))


def test_a_book_that_overflowed_is_empty_and_then_right_in_the_same_life(
    alpaca: SimulatedAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "CAPACITY", 10)
    with alpaca_runtime(alpaca, "crypto") as runtime:
        assert runtime.book("crypto", BTC, wait=10.0).synced
        with held(runtime):
            for number in range(50):
                alpaca.orderbook(BTC, {60_000.0: number + 1.0})
            until(runtime, lambda status: status.streams[0].dropped > 0)
            view = runtime.book("crypto", BTC)
            assert (view.state, view.bids) == ("syncing", ())
        until(runtime, is_right(runtime, alpaca))
        view = runtime.book("crypto", BTC)
        assert sides(view)[0][Decimal("60000.0")] == 50
        assert view.epoch == 1
        assert [said["action"] for said in alpaca.heard] == ["auth", "subscribe"]  # the line kept the book


def test_a_change_of_a_book_that_cannot_be_read_starts_it_anew(
    crypto: Runtime, alpaca: SimulatedAlpaca
) -> None:
    crypto.book("crypto", BTC, wait=10.0)
    alpaca.orderbook(BTC, {60_000.0: 1.0}, b=None)
    alpaca.wait_heard("subscribe", 2)
    until(crypto, is_right(crypto, alpaca))
    assert sides(crypto.book("crypto", BTC))[0][Decimal(60_000)] == 1
    assert line_of(crypto, "crypto").epoch == 1


def test_a_late_stream_of_all_books_gets_each_of_them_whole(crypto: Runtime, alpaca: SimulatedAlpaca) -> None:
    first = crypto.subscribe("crypto", "orderbooks", "*", wait=10.0)
    symbols = {first.get(timeout=10.0).symbol for _ in range(2)}  # a reset of each comes first
    late = crypto.subscribe("crypto", "orderbooks", "*", wait=10.0)
    until(crypto, lambda _: late.queued >= len(symbols))
    books = [late.get(timeout=10.0) for _ in symbols]
    assert {book.symbol for book in books if book.reset} == symbols
    assert len(symbols) == 2
