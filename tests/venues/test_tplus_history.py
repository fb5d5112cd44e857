"""tplus' klines as bars: oldest first, whatever the pages and their order, and only those that are over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from actors.protocol import (
    Bar,
    BarQuery,
    BarUnit,
    Call,
    Fatal,
    HttpAnswer,
    LinewardenError,
    Print,
    Retryable,
    Secret,
    Slow,
    Timeframe,
)
from actors.simulators import SimulatedTplus
from actors.venues.tplus import Timebar, Tplus, TplusSettings, Trade
from actors.venues.tplus import history as pages
from actors.wire.connect import Dial
from actors.wire.http_client import converse

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOON = 1_772_452_800 * SECOND  # 2026-03-02T12:00:00Z
DATE = {"date": "Mon, 02 Mar 2026 12:30:30 GMT"}

Row = dict[str, Any]
Serve = Callable[[Mapping[str, str]], HttpAnswer]


def row(minute: int, volume: str = "12.5", **over: Any) -> Row:
    start = NOON + minute * MINUTE
    prices = {"open": "100", "high": "103", "low": "99", "close": "101.5", "volume": volume}
    return prices | {"open_timestamp_ns": start, "close_timestamp_ns": start + MINUTE} | over


def answer(body: object, status: int = 200, **headers: str) -> HttpAnswer:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpAnswer(status, content, DATE | headers)


def bars(serve: Serve, unit: BarUnit = "minute", number: int = 1, **over: Any) -> Any:
    query: dict[str, Any] = {"start_ns": NOON, "end_ns": NOON + 60 * MINUTE} | over
    call = Tplus("tplus", TplusSettings()).bars(BarQuery(key="200", every=Timeframe(unit, number), **query))
    assert call is not None
    conversation = call.converse(Secret(""))
    try:
        request = next(conversation)
        while True:
            assert request.url.startswith("https://mds.tplus.cx/klines/200?")
            request = conversation.send(serve(dict(parse_qsl(urlsplit(request.url).query))))
    except StopIteration as stop:
        return stop.value


class Klines:
    """A market's bars by pages, newest first or oldest first within a page."""

    def __init__(self, rows: list[Row], most: int, *, reverse: bool = True) -> None:
        self.rows, self.most, self.reverse = (
            sorted(rows, key=lambda row: -row["open_timestamp_ns"]),
            most,
            reverse,
        )
        self.asked: list[Mapping[str, str]] = []

    def __call__(self, query: Mapping[str, str]) -> HttpAnswer:
        self.asked.append(query)
        page = int(query["page"])
        part = self.rows[page * self.most : (page + 1) * self.most]
        more = len(self.rows) > (page + 1) * self.most
        items = part if self.reverse else part[::-1]
        return answer({"items": items, "has_next_page": more, "next_page": page + 1 if more else None})


def minutes(found: tuple[Bar, ...]) -> list[int]:
    return [(each.start_ns - NOON) // MINUTE for each in found]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("most", [3, 7, 100])
def test_bars_come_oldest_first_and_only_those_that_are_over(most: int, newest_first: bool) -> None:
    # The venue's clock is at 12:30:30.
    listed = [row(each) for each in range(-4, 34) if each != 5] + [row(40, volume="0")]
    found = bars(Klines(listed, most, reverse=newest_first))
    assert minutes(found) == [each for each in range(30) if each != 5]
    prices = [Decimal(each) for each in ("100", "103", "99", "101.5", "12.5")]
    assert [found[0].open, found[0].high, found[0].low, found[0].close, found[0].volume] == prices
    assert found[0].end_ns == NOON + MINUTE


def test_only_as_many_pages_are_asked_for_as_are_needed() -> None:
    klines = Klines([row(each) for each in range(-100, 30)], 10)
    assert minutes(bars(klines, limit=5)) == [25, 26, 27, 28, 29]
    assert len(klines.asked) == 1
    assert minutes(bars(klines)) == list(range(30))
    assert len(klines.asked) == 4
    assert {query["end_timestamp_ns"] for query in klines.asked} == {str(NOON + 60 * MINUTE)}


def test_the_bare_list_of_an_older_server_is_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE", 10)
    listed = [row(each) for each in range(25)][::-1]

    def serve(query: Mapping[str, str]) -> HttpAnswer:
        page = int(query["page"])
        return answer(listed[10 * page : 10 * page + 10])

    assert minutes(bars(serve)) == list(range(25))


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        pytest.param(answer(b'{"items":[{"open"'), Retryable, "tplus_history", id="a cut body"),
        pytest.param(answer({}), Retryable, "tplus_history", id="no list"),
        pytest.param(answer([row(1, open="1e999999999")]), Retryable, "tplus_history", id="no number"),
        pytest.param(
            answer([row(1, close_timestamp_ns=NOON + 300 * MINUTE)]),
            Retryable,
            "tplus_history",
            id="another interval",
        ),
        pytest.param(
            answer({"items": [], "has_next_page": True, "next_page": 1}),
            Retryable,
            "tplus_history",
            id="pages without an end",
        ),
        pytest.param(answer(b"", 429, **{"retry-after": "3"}), Slow, "http_429", id="429"),
        pytest.param(answer({"error": {"code": "ASSET_NOT_FOUND"}}, 404), Fatal, "", id="404"),
    ],
)
def test_what_is_no_page_is_no_result(reply: HttpAnswer, kind: type[Any], code: str) -> None:
    reason = bars(lambda _: reply, start_ns=NOON - 60 * MINUTE)
    assert isinstance(reason, kind)
    assert not code or reason.code == code


@pytest.mark.parametrize(
    ("unit", "number", "interval"),
    [
        ("second", 5, "5S"),
        ("minute", 3, "3"),
        ("hour", 4, "240"),
        ("minute", 2, None),
        ("day", 1, None),
        ("week", 1, None),
    ],
)
def test_only_the_venue_s_intervals_can_be_asked_for(
    unit: BarUnit, number: int, interval: str | None
) -> None:
    query = BarQuery(key="200", every=Timeframe(unit, number), start_ns=NOON, end_ns=NOON + MINUTE)
    call = Tplus("tplus", TplusSettings()).bars(query)
    assert (call is None) == (interval is None)
    if call is not None:
        assert f"interval={interval}&" in next(call.converse(Secret(""))).url


def test_the_key_of_bars_is_an_asset() -> None:
    query = BarQuery(key="BTC", every=Timeframe("minute"), start_ns=NOON, end_ns=NOON + MINUTE)
    with pytest.raises(LinewardenError, match="klines takes an asset"):
        Tplus("tplus", TplusSettings()).bars(query)


def test_the_market_data_service_is_asked_without_a_token() -> None:
    venue = Tplus("tplus", TplusSettings())
    assert not venue.needs_token("tplus")
    assert venue.rest().host == "mds.tplus.cx"


# ── the tape ──


def test_only_a_final_trade_is_a_print() -> None:
    venue = Tplus("tplus", TplusSettings())
    trade = Trade(asset_id="200", trade_id=7, price=Decimal("1.5"), quantity=Decimal(2), timestamp_ns=NOON)
    assert venue.trade(trade) == Print(Decimal("1.5"), Decimal(2), NOON, 7)
    for status in ("Pending", "Rollbacked"):
        assert venue.trade(msgspec.structs.replace(trade, status=status)) is None
    assert venue.trade("no trade") is None
    assert venue.channels[venue.tape_channel].key


def test_a_bar_of_the_stream_is_no_print() -> None:
    bar = msgspec.convert(row(1), Timebar, strict=False)
    assert Tplus("tplus", TplusSettings()).trade(bar) is None


# ── against the simulator, over sockets ──


@pytest.fixture
def simulator() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0, market=False) as simulator:
        yield simulator


@pytest.mark.parametrize("bare", [False, True])
def test_bars_are_made_of_the_trades(simulator: SimulatedTplus, bare: bool) -> None:
    simulator.settings.kline_objects = bare
    for second, price in ((0, "10"), (70, "14"), (290, "12"), (300, "11"), (900, "9")):
        simulator.trade("200", timestamp_ns=NOON + second * SECOND, price=price, quantity="0.5")
    venue = Tplus("tplus", TplusSettings(url=simulator.url))
    query = BarQuery(key="200", every=Timeframe("minute", 5), start_ns=NOON, end_ns=NOON + 60 * MINUTE)
    call: Call[Any] | None = venue.bars(query)
    assert call is not None
    found: Any = converse(call.converse(Secret("")), Dial(), seconds=5.0)
    assert [(each.open, each.high, each.close, each.volume) for each in found] == [
        tuple(map(Decimal, ("10", "14", "12", "1.5"))),
        tuple(map(Decimal, ("11", "11", "11", "0.5"))),
        tuple(map(Decimal, ("9", "9", "9", "0.5"))),
    ]


def test_without_the_venues_time_a_bar_is_over_once_a_later_one_began_though_that_was_not_asked_for() -> None:
    rows = [row(each) for each in range(6)]
    body = msgspec.json.encode({"items": rows, "has_next_page": False, "next_page": None})
    found = bars(lambda _: HttpAnswer(200, body, {}), end_ns=NOON + 3 * MINUTE)
    assert minutes(found) == [0, 1, 2]
    assert minutes(bars(lambda _: HttpAnswer(200, body, {}))) == [0, 1, 2, 3, 4]
