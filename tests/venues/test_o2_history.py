"""O2's history: the trades of a loss from the newest backwards, and bars that are over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.http_types import HttpFailed
from actors.protocol import (
    Backfilled,
    Bar,
    BarQuery,
    BarUnit,
    Call,
    CallRefused,
    HttpAnswer,
    HttpRequest,
    Loss,
    Print,
    Retryable,
    Secret,
    Slow,
    Timeframe,
    joining,
)
from actors.simulators import SimulatedO2
from actors.venues.o2 import O2, O2Settings, Trade
from actors.venues.o2.history import MOST_PAGES
from actors.wire.connect import Dial
from actors.wire.http_client import converse

MARKET = "0x" + "aa" * 32
NOON_MS = 1_772_452_800_000  # 2026-03-02T12:00:00Z
MILLISECOND = 1_000_000
MINUTE = 60_000 * MILLISECOND
NOON = NOON_MS * MILLISECOND
DATE = {"date": "Mon, 02 Mar 2026 12:30:30 GMT"}

Row = dict[str, Any]
Serve = Callable[[Mapping[str, str]], HttpAnswer]


def row(number: int) -> Row:
    """One trade in a second."""
    return {
        "trade_id": str(number),
        "side": "sell",
        "total": "800000000",
        "quantity": "400000000",
        "price": "2000000000",
        "timestamp": str(NOON_MS + 1_000 * number),
    }


def trade(number: int) -> Trade:
    """As the stream brings it."""
    return Trade(
        MARKET,
        str(number),
        "sell",
        2_000_000_000,
        400_000_000,
        800_000_000,
        NOON_MS + 1_000 * number,
        seen_ns=NOON + 7,
    )


def answer(body: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, body if isinstance(body, bytes) else msgspec.json.encode(body), DATE)


def talk(call: Call[Any] | None, serve: Serve) -> tuple[list[HttpRequest], Any]:
    assert call is not None
    conversation, asked = call.converse(Secret("")), []
    try:
        request = next(conversation)
        while True:
            asked.append(request)
            request = conversation.send(serve(dict(parse_qsl(urlsplit(request.url).query))))
    except StopIteration as stop:
        return asked, stop.value


def backfill(last: int | None, first: int | None, serve: Serve, venue: O2 | None = None) -> Any:
    venue = venue or O2("o2", O2Settings())
    lost = Loss(
        NOON,
        NOON + 60 * MINUTE,
        None if last is None else trade(last),
        None if first is None else trade(first),
    )
    return talk(venue.backfill(venue.topic("trades", MARKET, {}), lost), serve)[1]


class History:
    """A market's trades, newest first, with or without the one that a page starts at."""

    def __init__(self, count: int, most: int = 50, *, inclusive: bool = True, bare: bool = False) -> None:
        self.rows = [row(each) for each in range(count)]
        self.most, self.inclusive, self.bare = most, inclusive, bare

    def of(self, query: Mapping[str, str]) -> list[Row]:
        listed = self.rows[::-1]
        begin = 0
        if "start_trade_id" in query:
            begin = [each["trade_id"] for each in listed].index(query["start_trade_id"]) + (
                not self.inclusive
            )
        return listed[begin : begin + min(self.most, int(query["count"]))]

    def body(self, rows: list[Row]) -> object:
        return rows if self.bare else {"trades": rows}

    def __call__(self, query: Mapping[str, str]) -> HttpAnswer:
        return answer(self.body(self.of(query)))


def numbers(found: Backfilled) -> list[int]:
    return [int(event.trade_id) for event in found.events]


# ── trades of a loss ──


@pytest.mark.parametrize("bare", [False, True], ids=["an object", "a bare list"])
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("most", [5, 7, 50])
def test_trades_between_both_seams_are_complete(most: int, inclusive: bool, bare: bool) -> None:
    found = backfill(3, 37, History(45, most, inclusive=inclusive, bare=bare))
    assert (numbers(found), found.complete) == (list(range(4, 37)), True)
    assert found.events[0].price == 2_000_000_000


def test_only_as_many_pages_are_asked_for_as_the_loss_has() -> None:
    venue = O2("o2", O2Settings(network="testnet"))
    lost = Loss(NOON, NOON, trade(95), trade(98))
    asked, _ = talk(venue.backfill(venue.topic("trades", MARKET, {}), lost), History(100))
    assert [request.url for request in asked] == [
        f"https://api.testnet.o2.app/v1/trades?market_id={MARKET}&direction=desc&count=50"
    ]


@pytest.mark.parametrize(
    ("last", "first", "events", "why"),
    [
        pytest.param(3, None, range(4, 9), joining.NO_FIRST, id="nothing after it"),
        pytest.param(3, 20, range(4, 9), joining.FIRST_MISSING, id="the list lags"),
        pytest.param(None, 7, range(7), joining.NO_LAST, id="nothing before it"),
        pytest.param(20, 30, (), joining.LAST_MISSING, id="it does not reach it"),
    ],
)
def test_an_open_seam_is_told(last: int | None, first: int | None, events: Any, why: str) -> None:
    found = backfill(last, first, History(9))
    assert (numbers(found), found.complete, found.why) == (list(events), False, why)


def test_a_venue_that_passes_the_start_over_is_told() -> None:
    history = History(60, 4)
    found = backfill(3, 50, lambda query: history({**query, "start_trade_id": "59"}))
    assert (numbers(found), found.why) == ([], joining.LAST_MISSING)


def test_a_loss_of_too_many_pages_is_told() -> None:
    found = backfill(0, 199, History(200, 3))
    assert found.why == f"the loss has more than {MOST_PAGES} pages, which are not asked for"
    assert numbers(found) == list(range(int(found.events[0].trade_id), 199))


def test_an_error_after_the_first_page_keeps_what_has_come() -> None:
    history = History(60, 10)
    answers = iter([True, False])
    found = backfill(3, 58, lambda query: history(query) if next(answers) else answer(b"", 503))
    assert (numbers(found), found.complete) == (list(range(50, 58)), False)
    assert found.why == "o2 answers 503 to /v1/trades"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(answer(b'[{"trade_id":"7"', 200), Retryable, id="a cut body"),
        pytest.param(answer({"other": []}), Retryable, id="no list"),
        pytest.param(answer([row(1) | {"side": "none"}]), Retryable, id="a side that is none"),
        pytest.param(answer({"code": 1003, "message": "rate limited"}, 429), Slow, id="429"),
        pytest.param(answer({"code": 1003, "message": "rate limited"}, 400), Slow, id="1003"),
        pytest.param(answer(b"", 502), Retryable, id="502"),
        pytest.param(answer({"code": 2000, "message": "market not found"}, 404), CallRefused, id="2000"),
    ],
)
def test_a_first_page_that_fails_is_no_result(reply: HttpAnswer, kind: type[Any]) -> None:
    assert isinstance(backfill(1, None, lambda _: reply), kind)


def always(reply: HttpAnswer) -> Serve:
    return lambda _: reply


def test_a_body_that_is_cut_at_any_byte_is_never_taken_for_a_list() -> None:
    whole = msgspec.json.encode({"trades": [row(each) for each in range(3, -1, -1)]})
    for size in range(len(whole)):
        assert isinstance(backfill(0, 3, always(answer(whole[:size]))), Retryable)


Spoil = Callable[[list[Row], History], list[Row]]
SPOILS: Mapping[str, Spoil] = {
    "as it is": lambda rows, _: rows,
    "short": lambda rows, _: rows[: len(rows) // 2],
    "empty": lambda _, __: [],
    "every row twice": lambda rows, _: [each for each in rows for _ in (0, 1)],
    "in the other order": lambda rows, _: rows[::-1],
    "two rows change places": lambda rows, _: rows[:-2] + rows[:-3:-1],
    "with the newest rows": lambda rows, history: history.rows[:-4:-1] + rows,
    "without its first rows": lambda rows, _: rows[2:],
    "without times": lambda rows, _: [each | {"timestamp": None} for each in rows],
}


@given(
    st.integers(4, 30),
    st.integers(3, 8),
    st.booleans(),
    st.lists(st.sampled_from(sorted(SPOILS)), max_size=20),
    st.data(),
)
def test_whatever_pages_come_the_trades_are_a_part_of_the_venue_s_list_in_order(
    count: int, most: int, inclusive: bool, spoils: list[str], data: st.DataObject
) -> None:
    history = History(count, most, inclusive=inclusive)
    last = data.draw(st.integers(0, count - 2))
    first = data.draw(st.integers(last + 1, count - 1))
    played = iter(spoils)

    def serve(query: Mapping[str, str]) -> HttpAnswer:
        return answer(SPOILS[next(played, "as it is")](history.of(query), history))

    found = backfill(last, first, serve)
    lacked = list(range(last + 1, first))
    assert numbers(found) == [each for each in lacked if each in set(numbers(found))]
    assert (numbers(found) == lacked) if found.complete else found.why


def test_only_trades_of_a_market_have_a_history() -> None:
    venue = O2("o2", O2Settings())
    lost = Loss(NOON, NOON + MINUTE)
    assert venue.backfill(venue.topic("orders", MARKET, {}), lost) is None
    assert [name for name, channel in venue.channels.items() if channel.backfill] == ["trades"]


# ── bars ──


def bar_row(minute: int, volume: int = 7) -> Row:
    prices = {"open": "10", "high": "12", "low": "9", "close": "11", "volume": str(volume)}
    return {"time": NOON_MS + minute * 60_000} | prices


def bars(serve: Serve, unit: BarUnit = "minute", number: int = 1, **over: Any) -> Any:
    query: dict[str, Any] = {"start_ns": NOON, "end_ns": NOON + 30 * MINUTE} | over
    asked = BarQuery(key=MARKET, every=Timeframe(unit, number), **query)
    return talk(O2("o2", O2Settings()).bars(asked), serve)[1]


class Bars:
    """A market's bars of minutes; an answer has all of a time."""

    def __init__(self, rows: list[Row], *, bare: bool = False) -> None:
        self.rows, self.bare = rows, bare
        self.asked: list[Mapping[str, str]] = []

    def __call__(self, query: Mapping[str, str]) -> HttpAnswer:
        self.asked.append(query)
        rows = [each for each in self.rows if int(query["from"]) <= each["time"] <= int(query["to"])]
        assert len(rows) <= 5_000
        return answer(rows if self.bare else {"bars": rows})


@pytest.mark.parametrize("bare", [False, True])
def test_bars_come_oldest_first_and_only_those_that_are_over(bare: bool) -> None:
    # The venue's clock is at 12:30:30.
    history = Bars([bar_row(each, volume=each) for each in (31, 30, 29, 2, 1, 0)], bare=bare)
    found = bars(history, end_ns=NOON + 60 * MINUTE)
    assert [(each.start_ns - NOON) // MINUTE for each in found] == [1, 2, 29]
    assert found[0] == Bar(
        NOON + MINUTE, NOON + 2 * MINUTE, Decimal(10), Decimal(12), Decimal(9), Decimal(11), Decimal(1)
    )
    assert [query["resolution"] for query in history.asked] == ["1m"]


def test_a_long_time_is_asked_for_in_parts() -> None:
    count = 12_000
    history = Bars([bar_row(-each) for each in range(1, count)])
    span: dict[str, Any] = {"start_ns": NOON - count * MINUTE, "end_ns": NOON}
    found = bars(history, **span)
    assert [each.start_ns for each in found] == [NOON - each * MINUTE for each in range(count - 1, 0, -1)]
    assert len(history.asked) == 3
    newest = bars(history, limit=10, **span)
    assert newest == found[-10:]
    assert len(history.asked) == 4


@pytest.mark.parametrize("limits_the_time", [False, True])
@pytest.mark.parametrize("limit", [None, 3])
def test_few_bars_in_a_long_time_take_few_requests(limits_the_time: bool, limit: int | None) -> None:
    every = 7_000 if not limits_the_time else 9_000  # minutes
    count = 12
    history = Bars([bar_row(-each * every) for each in range(1, count + 1)])

    def serve(query: Mapping[str, str]) -> HttpAnswer:
        minutes = (int(query["to"]) - int(query["from"])) // 60_000
        if limits_the_time and minutes > 5_000:
            return answer({"code": 1001, "message": "too many bars"}, 400)
        return history(query)

    start = NOON - (count + 1) * every * MINUTE if not limits_the_time else NOON - 9 * every * MINUTE
    found = bars(serve, start_ns=start, end_ns=NOON, limit=limit)
    numbers = list(range(count if not limits_the_time else 9, 0, -1))
    wanted = numbers[-limit:] if limit else numbers
    assert [(NOON - each.start_ns) // MINUTE // every for each in found] == wanted
    if not limits_the_time:
        assert len(history.asked) <= 4


def test_a_longer_time_whose_answer_is_full_is_asked_for_in_parts() -> None:
    rows = [bar_row(-each) for each in range(6_000, 30_000)]
    history = Bars(rows)

    def serve(query: Mapping[str, str]) -> HttpAnswer:
        found = [each for each in rows if int(query["from"]) <= each["time"] <= int(query["to"])]
        history.asked.append(query)
        return answer({"bars": sorted(found, key=lambda row: -row["time"])[:5_000]})

    found = bars(serve, start_ns=NOON - 30_000 * MINUTE, end_ns=NOON)
    assert len(found) == 24_000
    assert len(history.asked) < 10


@pytest.mark.parametrize(
    ("unit", "number", "resolution"),
    [
        ("second", 1, "1s"),
        ("minute", 15, "15m"),
        ("minute", 60, "1h"),
        ("hour", 4, "4h"),
        ("second", 5, None),
        ("minute", 10, None),
        ("day", 1, None),
        ("session", 1, None),
    ],
)
def test_only_the_venue_s_timeframes_can_be_asked_for(
    unit: BarUnit, number: int, resolution: str | None
) -> None:
    asked = BarQuery(key=MARKET, every=Timeframe(unit, number), start_ns=NOON, end_ns=NOON + MINUTE)
    call = O2("o2", O2Settings()).bars(asked)
    if resolution is None:
        assert call is None
    else:
        history = Bars([])
        talk(call, history)
        assert [query["resolution"] for query in history.asked] == [resolution]


@pytest.mark.parametrize(
    "body",
    [
        b'{"bars":[{"time":1',
        {"bars": None},
        [bar_row(1) | {"time": NOON_MS + 1}],
        [bar_row(1) | {"open": "NaN"}],
    ],
    ids=["a cut body", "no list", "no whole minute", "no number"],
)
def test_what_is_no_bar_is_no_result(body: object) -> None:
    reason = bars(lambda _: answer(body))
    assert isinstance(reason, Retryable)
    assert reason.code == "o2_history"


# ── the tape ──


def test_a_trade_is_a_print_in_units_of_the_chain() -> None:
    venue = O2("o2", O2Settings())
    assert venue.tape_channel == "trades"
    expected = Print(Decimal(2_000_000_000), Decimal(400_000_000), NOON + 7_000 * MILLISECOND, "7")
    assert venue.trade(trade(7)) == expected
    assert venue.trade(msgspec.structs.replace(trade(7), timestamp_ms=None)) is None
    assert venue.trade("no trade") is None


# ── against the simulator, over sockets ──


@pytest.fixture
def simulator() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0, market=False) as simulator:
        yield simulator


def ask(call: Call[Any] | None) -> Any:
    assert call is not None
    return converse(call.converse(Secret("")), Dial(), seconds=5.0)


def print_some(simulator: SimulatedO2, count: int) -> list[Trade]:
    told = [
        simulator.trade(MARKET, timestamp=NOON_MS + 1_000 * each, trade_id=str(each)) for each in range(count)
    ]
    return [
        msgspec.structs.replace(
            trade(int(each["trade_id"])),
            price=int(each["price"]),
            quantity=int(each["quantity"]),
            side=each["side"],
            total=int(each["total"]),
            seen_ns=None,
        )
        for each in told
    ]


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("start_belongs", [False, True])
def test_what_happened_during_a_cut_is_in_the_history(
    simulator: SimulatedO2, start_belongs: bool, bare: bool
) -> None:
    simulator.settings.start_belongs, simulator.settings.bare_lists = start_belongs, bare
    venue = O2("o2", O2Settings(url=simulator.url))
    told = print_some(simulator, 130)
    lost = Loss(NOON, NOON + 60 * MINUTE, told[10], told[120])
    found = ask(venue.backfill(venue.topic("trades", MARKET, {}), lost))
    assert found == Backfilled(tuple(told[11:120]), complete=True)


@pytest.mark.parametrize(
    ("fault", "count", "why"),
    [
        ("page_twice", 7, ""),
        ("page_reversed", 7, ""),
        ("page_short rows=5", 7, ""),  # the next page has what it lacks
        ("history_lags seconds=60", 0, joining.LAST_MISSING),
    ],
)
def test_a_page_that_fails_is_made_good_or_told(
    simulator: SimulatedO2, fault: str, count: int, why: str
) -> None:
    venue = O2("o2", O2Settings(url=simulator.url))
    told = print_some(simulator, 10)
    simulator.arm(fault)
    found = ask(venue.backfill(venue.topic("trades", MARKET, {}), Loss(NOON, NOON, told[1], told[9])))
    assert (found.complete, found.why) == (not why, why)
    assert found.events == tuple(told[2:9])[7 - count :] if count else not found.events


def test_a_page_that_is_cut_is_no_result(simulator: SimulatedO2) -> None:
    venue = O2("o2", O2Settings(url=simulator.url))
    told = print_some(simulator, 10)
    simulator.arm("page_cut size=-1")
    lost = Loss(NOON, NOON, told[1], told[9])
    assert isinstance(ask(venue.backfill(venue.topic("trades", MARKET, {}), lost)), HttpFailed)


def test_bars_are_made_of_the_trades(simulator: SimulatedO2) -> None:
    venue = O2("o2", O2Settings(url=simulator.url))
    for second, price in ((0, "10"), (30, "14"), (59, "12"), (60, "11"), (200, "9")):
        simulator.trade(MARKET, timestamp=NOON_MS + second * 1_000, price=price, quantity="5")
    query = BarQuery(key=MARKET, every=Timeframe("minute"), start_ns=NOON, end_ns=NOON + 10 * MINUTE)
    found = ask(venue.bars(query))
    assert [(int(each.open), int(each.high), int(each.close), int(each.volume)) for each in found] == [
        (10, 14, 12, 15),
        (11, 11, 11, 5),
        (9, 9, 9, 5),
    ]


# ── markets by name ──

LISTED = [{"market_id": MARKET, "base": {"symbol": "FUEL"}, "quote": {"symbol": "USDC"}}]


def by_name(venue: O2, key: str, listed: HttpAnswer) -> tuple[list[HttpRequest], Any]:
    """The bars of an hour: what is asked for, and what comes of it."""

    def serve(query: Mapping[str, str]) -> HttpAnswer:
        return listed if not query else answer([])

    query = BarQuery(key=key, every=Timeframe("minute"), start_ns=NOON, end_ns=NOON + 60 * MINUTE)
    return talk(venue.bars(query), serve)


def test_the_id_of_a_name_is_looked_up_once() -> None:
    venue = O2("o2", O2Settings())
    first, _ = by_name(venue, "FUEL/USDC", answer({"markets": LISTED}))
    assert [urlsplit(each.url).path for each in first] == ["/v1/markets", "/v1/bars"]
    assert dict(parse_qsl(urlsplit(first[1].url).query))["market_id"] == MARKET
    second, _ = by_name(venue, "FUEL/USDC", answer({}, 500))
    assert [urlsplit(each.url).path for each in second] == ["/v1/bars"]


def test_a_name_that_o2_does_not_list_is_refused_with_the_nearest_one() -> None:
    _, refused = by_name(O2("o2", O2Settings()), "FUEL/USDT", answer({"markets": LISTED}))
    assert isinstance(refused, CallRefused)
    why = "o2 lists no market 'FUEL/USDT'; did you mean 'FUEL/USDC'?"
    assert str(refused) == f"market FUEL/USDT was refused ({why})"


def test_a_list_that_cannot_be_read_is_told() -> None:
    _, failed = by_name(O2("o2", O2Settings()), "FUEL/USDC", answer(b"<html>"))
    assert failed == Retryable("o2's list of markets cannot be read", "o2_history")
