"""Pages of history on real sockets, their faults, and what the venue's conversations make of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import msgspec
import pytest

from actors.events import Topic
from actors.http_types import HttpFailed
from actors.protocol import (
    Backfilled,
    BarQuery,
    Call,
    CallRefused,
    Loss,
    Retryable,
    Secret,
    Slow,
    Timeframe,
    joining,
)
from actors.simulators import SimulatedAlpaca
from actors.venues.alpaca import Alpaca, AlpacaSettings, Trade
from actors.wire.connect import Dial
from actors.wire.http_client import converse

HEADERS = {"APCA-API-KEY-ID": "K", "APCA-API-SECRET-KEY": "S"}
SECOND = 10**9
START = 1_790_000_000 * SECOND


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    with SimulatedAlpaca(rate=0, market=False) as alpaca:
        yield alpaca


def print_ten(alpaca: SimulatedAlpaca, symbol: str = "AAPL", first: int = 1) -> list[dict[str, Any]]:
    return [alpaca.trade(symbol, 10.5, 7, t=START + each * SECOND) for each in range(first, first + 10)]


def get(alpaca: SimulatedAlpaca, path: str = "/v2/stocks/trades", **query: Any) -> Any:
    request = Request(f"{alpaca.http_url}{path}?{urlencode(query)}", headers=HEADERS)
    with urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def ids(body: Any, symbol: str = "AAPL") -> list[int]:
    return [each["i"] for each in body["trades"].get(symbol, ())]


# ── pages as they are documented ──


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 4, 20, 100])
def test_a_token_leads_from_page_to_page_through_all_symbols(
    alpaca: SimulatedAlpaca, limit: int, sort: str
) -> None:
    for symbol in ("AAPL", "MSFT"):
        print_ten(alpaca, symbol)
        alpaca.trade(symbol, 10.5, 7, t=START + 5 * SECOND)  # one of the same moment as another
    found: dict[str, list[int]] = {"AAPL": [], "MSFT": []}
    query: dict[str, Any] = {"symbols": "MSFT,AAPL", "limit": limit, "sort": sort}
    pages = 0
    while True:
        body = get(alpaca, **query)
        pages += 1
        for symbol in found:
            found[symbol] += ids(body, symbol)
        if body["next_page_token"] is None:
            break
        query["page_token"] = body["next_page_token"]
    listed = [1, 2, 3, 4, 5, 11, 6, 7, 8, 9, 10]
    if sort == "desc":
        listed = [10, 9, 8, 7, 6, 5, 11, 4, 3, 2, 1]
    assert found == {"AAPL": listed, "MSFT": listed}
    assert pages == -(-22 // limit)


def test_both_ends_belong_to_the_time(alpaca: SimulatedAlpaca) -> None:
    told = print_ten(alpaca)
    assert ids(get(alpaca, symbols="AAPL", start=told[2]["t"], end=told[5]["t"])) == [3, 4, 5, 6]


def test_bars_are_made_of_the_trades(alpaca: SimulatedAlpaca) -> None:
    start = START // (3_600 * SECOND) * 3_600 * SECOND
    for minute, price in ((0, 10), (0, 12), (1, 11), (7, 9)):
        alpaca.trade("AAPL", price, 2, t=start + minute * 60 * SECOND + SECOND)
    bars = get(alpaca, "/v2/stocks/bars", symbols="AAPL", timeframe="1Min")["bars"]["AAPL"]
    assert [(each["o"], each["h"], each["c"], each["v"], each["n"]) for each in bars] == [
        (10, 12, 12, 4, 2),
        (11, 11, 11, 2, 1),
        (9, 9, 9, 2, 1),
    ]
    [first, second] = get(alpaca, "/v2/stocks/bars", symbols="AAPL", timeframe="5Min")["bars"]["AAPL"]
    assert (first["l"], first["v"], second["v"]) == (10, 6, 2)
    assert len(get(alpaca, "/v2/stocks/bars", symbols="AAPL", timeframe="1Hour")["bars"]["AAPL"]) == 1


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 10_001}, {"page_token": "!"}, {"start": "yesterday"}],
    ids=["no limit", "too many", "no token", "no time"],
)
def test_a_parameter_that_is_none_is_refused(alpaca: SimulatedAlpaca, query: dict[str, Any]) -> None:
    with pytest.raises(HTTPError, match="400") as raised:
        get(alpaca, symbols="AAPL", **query)
    raised.value.close()


def test_the_basic_plan_has_no_recent_data_of_the_sip(alpaca: SimulatedAlpaca) -> None:
    alpaca.settings.plan = "basic"
    told = print_ten(alpaca)
    assert ids(get(alpaca, symbols="AAPL", feed="iex"))
    assert ids(get(alpaca, symbols="AAPL", feed="sip", end=told[9]["t"]))
    with pytest.raises(HTTPError, match="403") as raised:
        get(alpaca, symbols="AAPL", feed="sip")
    raised.value.close()


# ── faults ──


@pytest.mark.parametrize(
    ("fault", "listed", "more"),
    [
        ("page_short rows=2", [4, 5, 6], False),
        ("page_short rows=2 more=true", [4, 5, 6], True),
        ("page_twice", [4, 4, 5, 5, 6, 6, 7, 7, 8, 8], True),
        ("page_overlaps rows=2", [2, 3, 4, 5, 6, 7, 8], True),
        ("page_reversed", [8, 7, 6, 5, 4], True),
    ],
)
def test_a_fault_changes_one_page(alpaca: SimulatedAlpaca, fault: str, listed: list[int], more: bool) -> None:
    print_ten(alpaca)
    query: dict[str, Any] = {"symbols": "AAPL", "limit": 3}
    query["page_token"] = get(alpaca, **query)["next_page_token"]
    query["limit"] = 5
    alpaca.arm(fault)
    body = get(alpaca, **query)
    assert (ids(body), body["next_page_token"] is not None) == (listed, more)
    assert ids(get(alpaca, **query)) == [4, 5, 6, 7, 8]


def test_a_list_may_never_end(alpaca: SimulatedAlpaca) -> None:
    print_ten(alpaca)
    alpaca.arm("page_endless")
    assert get(alpaca, symbols="AAPL")["next_page_token"]
    assert get(alpaca, symbols="AAPL")["next_page_token"] is None


def test_a_page_may_come_late(alpaca: SimulatedAlpaca) -> None:
    print_ten(alpaca)
    alpaca.arm("page_late seconds=0.3")
    begun = time.monotonic()
    assert len(ids(get(alpaca, symbols="AAPL"))) == 10
    assert time.monotonic() - begun >= 0.3


def test_a_page_may_be_refused(alpaca: SimulatedAlpaca) -> None:
    alpaca.arm("page_refused status=429 retry_after=2")
    with pytest.raises(HTTPError, match="429") as raised:
        get(alpaca, symbols="AAPL")
    assert raised.value.headers["Retry-After"] == "2"
    raised.value.close()
    assert ids(get(alpaca, symbols="AAPL")) == []


def test_a_history_that_lags_catches_up(alpaca: SimulatedAlpaca) -> None:
    print_ten(alpaca)
    alpaca.arm("history_lags seconds=60")
    assert ids(get(alpaca, symbols="AAPL")) == []
    alpaca.heal()
    assert len(ids(get(alpaca, symbols="AAPL"))) == 10


# ── the venue's conversations against it ──


def ask(call: Call[Any] | None, timeout: float = 5.0) -> Any:
    assert call is not None
    return converse(call.converse(Secret("")), Dial(), seconds=timeout)


def venue(alpaca: SimulatedAlpaca, stream: str = "iex") -> Alpaca:
    settings = AlpacaSettings(key=Secret("K"), secret=Secret("S"), url=alpaca.url_of(stream))
    return Alpaca("desk", settings)


def trade(told: dict[str, Any]) -> Trade:
    return msgspec.json.decode(msgspec.json.encode(told), type=Trade)


def backfill(alpaca: SimulatedAlpaca, told: list[dict[str, Any]], last: int, first: int | None) -> Any:
    until = START + 3_600 * SECOND
    lost = Loss(START, until, trade(told[last]), None if first is None else trade(told[first]))
    return ask(venue(alpaca).backfill(Topic("desk", "trades", "AAPL"), lost))


@pytest.mark.parametrize("stream", ["iex", "crypto"])
def test_what_happened_during_a_cut_is_in_the_history(alpaca: SimulatedAlpaca, stream: str) -> None:
    symbol = {"iex": "AAPL", "crypto": "BTC/USD"}[stream]
    alpaca.stop()
    told = print_ten(alpaca, symbol)  # no client is connected
    alpaca.start()
    lost = Loss(START, START + 3_600 * SECOND, trade(told[0]), trade(told[9]))
    found = ask(venue(alpaca, stream).backfill(Topic("desk", "trades", symbol), lost))
    assert found == Backfilled(tuple(map(trade, told[1:9])), complete=True)


@pytest.mark.parametrize(
    ("fault", "lacked", "why"),
    [
        ("page_short rows=3", [3, 4, 5, 6], joining.FIRST_MISSING),
        ("page_twice", [3, 4, 5, 6, 7, 8], ""),
        ("page_overlaps", [3, 4, 5, 6, 7, 8], ""),
        ("page_short rows=3 more=true", [3, 4, 5, 6, 7, 8], ""),  # the next page has what it lacks
        ("page_reversed", [], joining.UNORDERED),
        ("history_lags seconds=60", [], joining.LAST_MISSING),
    ],
)
def test_a_page_that_fails_is_made_good_or_told(
    alpaca: SimulatedAlpaca, fault: str, lacked: list[int], why: str
) -> None:
    told = print_ten(alpaca)
    alpaca.arm(fault)
    found = backfill(alpaca, told, 1, 8)
    assert ([event.id for event in found.events], found.complete, found.why) == (lacked, not why, why)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("page_refused status=429 retry_after=3", Slow),
        ("page_refused status=503", Retryable),
        ("page_cut size=200", HttpFailed),
        ("page_cut size=-1", HttpFailed),
        ("page_cut size=0", HttpFailed),
    ],
)
def test_a_page_that_does_not_come_is_no_result(alpaca: SimulatedAlpaca, fault: str, kind: type[Any]) -> None:
    told = print_ten(alpaca)
    alpaca.arm(fault)
    assert isinstance(backfill(alpaca, told, 1, 8), kind)
    assert backfill(alpaca, told, 1, 8).complete


def test_a_plan_without_recent_data_is_a_refusal_in_words(alpaca: SimulatedAlpaca) -> None:
    sip = venue(alpaca, "sip")
    alpaca.settings.plan = "basic"
    now = time.time_ns()
    refused = ask(sip.backfill(Topic("desk", "trades", "AAPL"), Loss(now - SECOND, now)))
    assert refused == CallRefused(
        "/v2/stocks/trades", 403, "", "subscription does not permit querying recent SIP data"
    )


def test_bars_are_read_over_a_socket(alpaca: SimulatedAlpaca) -> None:
    start = START // (3_600 * SECOND) * 3_600 * SECOND
    for minute in range(6):
        alpaca.trade("AAPL", 10 + minute, 2, t=start + minute * 60 * SECOND)
    query = BarQuery(key="AAPL", every=Timeframe("minute"), start_ns=start, end_ns=start + 300 * SECOND)
    found = ask(venue(alpaca).bars(query))
    assert [(each.start_ns - start) // (60 * SECOND) for each in found] == [0, 1, 2, 3, 4]
    assert [int(each.close) for each in found] == [10, 11, 12, 13, 14]
