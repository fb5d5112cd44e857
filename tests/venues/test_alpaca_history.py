"""Alpaca's history: what the pages prove of a loss, and bars in order that are over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events import Topic
from actors.protocol import (
    Backfilled,
    Bar,
    BarQuery,
    BarUnit,
    Call,
    CallRefused,
    Fatal,
    FrameLimit,
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
from actors.venues.alpaca import Alpaca, AlpacaSettings
from actors.venues.alpaca import messages as m
from actors.venues.alpaca.history import MOST_PAGES, identity
from actors.venues.alpaca.timestamps import nanoseconds, text_of

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOON = nanoseconds("2026-03-02T12:00:00Z")
DATE = {"date": "Mon, 02 Mar 2026 12:30:30 GMT"}

Row = dict[str, Any]
Serve = Callable[[Mapping[str, str]], HttpAnswer]


def venue(stream: Any = "iex") -> Alpaca:
    return Alpaca("desk", AlpacaSettings(key=Secret("K"), secret=Secret("S"), stream=stream))


def row(number: int, at_ns: int | None = None) -> Row:
    """A print as the history has it: one in a second, unless its time is given."""
    at = text_of(NOON + number * SECOND if at_ns is None else at_ns)
    return {"t": at, "x": "V", "p": 10.02, "s": 100, "c": ["@"], "i": number, "z": "C"}


def trade(number: int, at_ns: int | None = None) -> m.Trade:
    """The same as the stream brings it."""
    body = msgspec.json.encode(row(number, at_ns) | {"T": "t", "S": "AAPL"})
    return msgspec.json.decode(body, type=m.Trade)


def bar_row(minute: int, volume: int = 50) -> Row:
    return {"t": text_of(NOON + minute * MINUTE), "o": 10, "h": 12.5, "l": 9.5, "c": 11, "v": volume, "n": 3}


def bar(minute: int) -> m.Bar:
    body = msgspec.json.encode(bar_row(minute) | {"T": "b", "S": "AAPL"})
    return msgspec.json.decode(body, type=m.Bar)


def loss(last: Any, first: Any) -> Loss:
    return Loss(NOON, NOON + 3_600 * SECOND, last, first)


def talk(call: Call[Any] | None, serve: Serve) -> tuple[list[HttpRequest], Any]:
    """What was asked, and the result."""
    assert call is not None
    conversation, asked = call.converse(Secret("")), []
    try:
        request = next(conversation)
        while True:
            asked.append(request)
            request = conversation.send(serve(dict(parse_qsl(urlsplit(request.url).query))))
    except StopIteration as stop:
        return asked, stop.value


def backfill(lost: Loss, serve: Serve, channel: str = "trades", stream: str = "iex") -> Any:
    return talk(venue(stream).backfill(Topic("desk", channel, "AAPL"), lost), serve)[1]


def page(rows: list[Row], more: bool = False, what: str = "trades") -> HttpAnswer:
    body = {what: {"AAPL": rows}, "next_page_token": "QUFQTA==" if more else None}
    return HttpAnswer(200, msgspec.json.encode(body), DATE)


def played(answer: HttpAnswer) -> Serve:
    return lambda _: answer


class History:
    """The venue's list, served page by page as it documents it."""

    def __init__(self, rows: list[Row], most: int = 10_000, what: str = "trades") -> None:
        self.rows, self.most, self.what = rows, most, what

    def of(self, query: Mapping[str, str]) -> tuple[list[Row], bool]:
        start, end = nanoseconds(query["start"]), nanoseconds(query["end"])
        found = [each for each in self.rows if start <= nanoseconds(each["t"]) <= end]
        if query.get("sort") == "desc":
            found.reverse()
        most = min(self.most, int(query["limit"]))
        return found[:most], len(found) > most

    def __call__(self, query: Mapping[str, str]) -> HttpAnswer:
        return page(*self.of(query), self.what)


def numbers(found: Backfilled) -> list[int]:
    return [event.id for event in found.events]


# ── what is asked ──


@pytest.mark.parametrize(
    ("stream", "key", "url"),
    [
        ("iex", "AAPL", "https://data.alpaca.markets/v2/stocks/trades?symbols=AAPL&{span}&feed=iex"),
        ("delayed_sip", "AAPL", "https://data.alpaca.markets/v2/stocks/trades?symbols=AAPL&{span}&feed=sip"),
        (
            "crypto/us-1",
            "BTC/USD",
            "https://data.alpaca.markets/v1beta3/crypto/us-1/trades?symbols=BTC%2FUSD&{span}",
        ),
    ],
)
def test_a_loss_is_asked_for_from_seam_to_seam(stream: str, key: str, url: str) -> None:
    call = venue(stream).backfill(Topic("desk", "trades", key), loss(trade(1), trade(9)))
    asked, _ = talk(call, lambda _: page([]))
    span = (
        "start=2026-03-02T12%3A00%3A01.000000000Z&end=2026-03-02T12%3A00%3A09.000000000Z&limit=10000&sort=asc"
    )
    assert [request.url for request in asked] == [url.format(span=span)]
    assert asked[0].headers == (("APCA-API-KEY-ID", "K"), ("APCA-API-SECRET-KEY", "S"))


def test_without_seams_the_times_of_the_loss_bound_it() -> None:
    lost = Loss(NOON, NOON + 3_600 * SECOND)
    for stream, end in (("iex", "13:00:00"), ("delayed_sip", "12:45:00")):
        asked, _ = talk(venue(stream).backfill(Topic("desk", "trades", "AAPL"), lost), History([]))
        query = dict(parse_qsl(urlsplit(asked[0].url).query))
        assert (query["start"], query["end"]) == (text_of(NOON), f"2026-03-02T{end}.000000000Z")


@pytest.mark.parametrize(
    ("stream", "channel", "key"),
    [
        ("iex", "trades", "*"),
        ("iex", "quotes", "AAPL"),
        ("test", "trades", "FAKEPACA"),
        ("overnight", "trades", "AAPL"),
        ("opra", "trades", "AAPL261218C00200000"),
        ("account", "trade_updates", ""),
    ],
)
def test_what_has_no_history_cannot_be_asked_for(stream: str, channel: str, key: str) -> None:
    assert venue(stream).backfill(Topic("desk", channel, key), loss(None, None)) is None
    has_rest = stream == "iex"
    assert (venue(stream).rest() is not None) == has_rest


def test_requests_count_against_the_plan_of_the_account() -> None:
    rest = venue().rest()
    assert rest is not None
    assert rest.host == "data.alpaca.markets"
    assert rest.meters == {"rest": FrameLimit(200, 60.0)}


# ── what the pages prove ──


def test_what_the_stream_lacked_comes_in_the_venue_s_order() -> None:
    found = backfill(loss(trade(1), trade(5)), History([row(each) for each in range(8)]))
    assert found == Backfilled((trade(2), trade(3), trade(4)), complete=True)
    assert {type(event) for event in found.events} == {m.Trade}


@pytest.mark.parametrize("most", [4, 5, 7, 100])
def test_pages_of_any_size_make_the_same_list(most: int) -> None:
    found = backfill(loss(trade(1), trade(40)), History([row(each) for each in range(60)], most))
    assert (numbers(found), found.complete) == (list(range(2, 40)), True)


def test_prints_of_one_moment_are_told_apart_by_their_ids() -> None:
    listed = [row(each, NOON + SECOND) for each in range(1, 6)]
    lost = loss(trade(2, NOON + SECOND), trade(5, NOON + SECOND))
    found = backfill(lost, History(listed))
    assert (numbers(found), found.complete) == ([3, 4], True)


def test_a_moment_that_is_longer_than_a_page_is_not_complete() -> None:
    listed = [row(each, NOON + SECOND) for each in range(9)]
    lost = loss(trade(0, NOON + SECOND), trade(8, NOON + SECOND))
    found = backfill(lost, History(listed, 4))
    assert (numbers(found), found.complete) == ([1, 2, 3], False)
    assert found.why == "a page of the venue's list brought nothing new"


def test_the_same_id_at_another_exchange_is_another_print() -> None:
    other = msgspec.structs.replace(trade(3), exchange="D")
    assert identity(other) != identity(trade(3))
    found = backfill(loss(trade(1), other), History([row(each) for each in range(6)]))
    assert (numbers(found), found.why) == ([2, 3], joining.FIRST_MISSING)


def test_a_stream_in_msgpack_has_the_same_identities() -> None:
    packed = msgspec.structs.replace(trade(3), timestamp=NOON + 3 * SECOND)
    assert identity(packed) == identity(trade(3))


def test_a_history_that_lags_is_told_with_how_far_it_reaches() -> None:
    found = backfill(loss(trade(1), trade(9)), History([row(each) for each in range(6)]))
    assert (numbers(found), found.complete) == ([2, 3, 4, 5], False)
    assert (found.why, found.reaches_ns) == (joining.FIRST_MISSING, NOON + 5 * SECOND)


def test_an_error_after_the_first_page_keeps_what_has_come() -> None:
    history, answers = History([row(each) for each in range(9)], 3), iter((True, False))

    def serve(query: Mapping[str, str]) -> HttpAnswer:
        return history(query) if next(answers) else HttpAnswer(429, b"", {"retry-after": "3"})

    found = backfill(loss(trade(0), trade(8)), serve)
    assert (numbers(found), found.complete) == ([1, 2], False)
    assert found.why == "alpaca's data server answers 429 to /v2/stocks/trades"
    assert found.reaches_ns is None


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        pytest.param(
            HttpAnswer(403, b'{"message":"subscription does not permit querying recent SIP data"}'),
            CallRefused(
                "/v2/stocks/trades", 403, "", "subscription does not permit querying recent SIP data"
            ),
            id="the plan",
        ),
        pytest.param(
            HttpAnswer(400, b'{"code":42210000,"message":"invalid symbol"}'),
            CallRefused("/v2/stocks/trades", 42210000, "", "invalid symbol"),
            id="the request",
        ),
    ],
)
def test_a_refusal_in_words_is_told_as_such(answer: HttpAnswer, failure: CallRefused) -> None:
    assert backfill(loss(trade(1), None), lambda _: answer) == failure


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        pytest.param(HttpAnswer(429, b"", {"retry-after": "7"}), Slow, "http_429", id="429"),
        pytest.param(HttpAnswer(503), Retryable, "http_503", id="503"),
        pytest.param(HttpAnswer(401), Fatal, "http_401", id="401"),
        pytest.param(HttpAnswer(200, b'{"trades":{"AAPL":[{'), Retryable, "alpaca_history", id="a cut body"),
        pytest.param(HttpAnswer(200, b"{}"), Retryable, "alpaca_history", id="no list"),
        pytest.param(HttpAnswer(200, b"<html>"), Retryable, "alpaca_history", id="HTML"),
        pytest.param(page([row(1) | {"p": "NaN"}]), Retryable, "alpaca_history", id="a price that is none"),
        pytest.param(page([row(1) | {"t": "2026-03-02 at noon"}]), Retryable, "alpaca_history", id="a time"),
    ],
)
def test_a_first_page_that_fails_is_a_reason(answer: HttpAnswer, kind: type[Any], code: str) -> None:
    reason = backfill(loss(trade(1), None), lambda _: answer)
    assert isinstance(reason, kind)
    assert reason.code == code


def test_a_body_that_is_cut_at_any_byte_is_never_taken_for_a_list() -> None:
    whole = page([row(each) for each in range(4)]).body
    for size in range(len(whole)):
        cut = HttpAnswer(200, whole[:size])
        assert isinstance(backfill(loss(trade(0), trade(3)), played(cut)), Retryable)


def test_a_token_that_never_ends_ends_by_itself() -> None:
    found = backfill(loss(trade(1), trade(9)), lambda _: page([row(1), row(2)], more=True))
    assert (numbers(found), found.complete) == ([2], False)


def test_a_loss_of_too_many_pages_is_told() -> None:
    history = History([row(each) for each in range(10 * MOST_PAGES)], 3)
    found = backfill(loss(trade(0), trade(10 * MOST_PAGES - 1)), history)
    assert numbers(found) == list(range(1, len(found.events) + 1))
    assert found.why == "the loss has more than 20 pages, which are not asked for"


# Each changes one page that the venue would have sent.
Spoil = Callable[[list[Row], bool, History], tuple[list[Row], bool]]
SPOILS: Mapping[str, Spoil] = {
    "as it is": lambda rows, more, _: (rows, more),
    "short, and more follow": lambda rows, _, __: (rows[: len(rows) // 2], True),
    "short, and it is the end": lambda rows, _, __: (rows[: len(rows) // 2], False),
    "empty": lambda _, more, __: ([], more),
    "every row twice": lambda rows, more, _: ([each for each in rows for _ in (0, 1)], more),
    "reversed": lambda rows, more, _: (rows[::-1], more),
    "two rows change places": lambda rows, more, _: (rows[:-2] + rows[:-3:-1], more),
    "with rows from before": lambda rows, more, history: (history.rows[:3] + rows, more),
    "without its first rows": lambda rows, more, _: (rows[2:], more),
    "without an id": lambda rows, more, _: ([each | {"i": None} for each in rows], more),
}


@given(
    st.integers(4, 30),
    st.integers(2, 8),
    st.lists(st.sampled_from(sorted(SPOILS)), max_size=30),
    st.data(),
)
def test_whatever_pages_come_the_events_are_a_part_of_the_venue_s_list_in_order(
    count: int, most: int, spoils: list[str], data: st.DataObject
) -> None:
    history = History([row(each) for each in range(count)], most)
    last = data.draw(st.integers(0, count - 2))
    first = data.draw(st.integers(last + 1, count - 1))
    played = iter(spoils)

    def serve(query: Mapping[str, str]) -> HttpAnswer:
        spoil = SPOILS[next(played, "as it is")]
        return page(*spoil(*history.of(query), history))

    found = backfill(loss(trade(last), trade(first)), serve)
    lacked = list(range(last + 1, first))
    assert numbers(found) == [each for each in lacked if each in set(numbers(found))]
    assert (numbers(found) == lacked) if found.complete else found.why


# ── bars of the stream ──


def test_minutes_that_the_stream_lacked_come_as_its_bars() -> None:
    history = History([bar_row(each) for each in (0, 1, 2, 4, 5)], what="bars")
    found = backfill(loss(bar(1), bar(5)), history, "bars")
    assert found == Backfilled((bar(2), bar(4)), complete=True)
    assert {type(event) for event in found.events} == {m.Bar}


# ── bars that are asked for ──


def bars(serve: Serve, **over: Any) -> Any:
    query: dict[str, Any] = {"every": Timeframe("minute"), "start_ns": NOON, "end_ns": NOON + 30 * MINUTE}
    return talk(venue().bars(BarQuery(key="AAPL", **(query | over))), serve)[1]


def test_bars_come_oldest_first_with_their_ends() -> None:
    found = bars(History([bar_row(each) for each in (0, 1, 3)], what="bars"))
    assert [each.start_ns for each in found] == [NOON, NOON + MINUTE, NOON + 3 * MINUTE]
    assert found[0] == Bar(
        NOON, NOON + MINUTE, Decimal(10), Decimal("12.5"), Decimal("9.5"), Decimal(11), Decimal(50), trades=3
    )


def test_a_bar_that_is_forming_is_left_out_by_the_venue_s_clock() -> None:
    # The venue's clock is at 12:30:30.
    history = History([bar_row(each) for each in (28, 29, 30)], what="bars")
    found = bars(history, end_ns=NOON + 60 * MINUTE)
    assert [(each.start_ns - NOON) // MINUTE for each in found] == [28, 29]
    silent = [row for row in history.rows if row != bar_row(30)]
    without = HttpAnswer(200, page(silent, what="bars").body)
    found = bars(lambda _: without, end_ns=NOON + 60 * MINUTE)
    assert [(each.start_ns - NOON) // MINUTE for each in found] == [28]


def test_a_minute_without_trades_has_no_bar() -> None:
    assert bars(History([bar_row(1, volume=0)], what="bars")) == ()


@pytest.mark.parametrize("most", [3, 4, 7, 10_000])
@pytest.mark.parametrize("limit", [None, 1, 5, 24, 25])
def test_bars_are_the_same_whatever_the_pages(most: int, limit: int | None) -> None:
    listed = [bar_row(each, volume=each % 5) for each in range(29)]
    found = bars(History(listed, most, "bars"), limit=limit)
    whole = [each for each in range(29) if each % 5]
    assert [(each.start_ns - NOON) // MINUTE for each in found] == (whole[-limit:] if limit else whole)


def test_bars_that_never_end_are_no_result() -> None:
    reason = bars(lambda _: page([bar_row(1)], more=True, what="bars"))
    assert isinstance(reason, Retryable)
    assert reason.code == "alpaca_history"


@pytest.mark.parametrize(
    ("unit", "number", "wire"),
    [
        ("minute", 1, "1Min"),
        ("minute", 15, "15Min"),
        ("minute", 60, "1Hour"),
        ("hour", 1, "1Hour"),
        ("minute", 7, None),
        ("hour", 4, None),
        ("second", 30, None),
        ("day", 1, None),
        ("session", 1, None),
    ],
)
def test_only_timeframes_that_begin_at_the_clock_are_the_venue_s(
    unit: BarUnit, number: int, wire: str | None
) -> None:
    query = BarQuery(key="AAPL", every=Timeframe(unit, number), start_ns=NOON, end_ns=NOON + 3_600 * SECOND)
    call = venue().bars(query)
    if wire is None:
        assert call is None
    else:
        asked, _ = talk(call, History([], what="bars"))
        assert dict(parse_qsl(urlsplit(asked[0].url).query))["timeframe"] == wire


# ── the tape ──


def test_a_print_is_a_trade_of_the_tape() -> None:
    desk = venue()
    assert desk.tape_channel == "trades"
    first = trade(7)
    assert desk.trade(first) == Print(Decimal("10.02"), Decimal(100), NOON + 7 * SECOND, identity(first))
    again = desk.trade(trade(7, NOON + 9 * SECOND))  # another facility of the exchange has used the number
    assert again is not None
    assert again.id != identity(first)
    assert desk.trade(bar(1)) is None
    assert desk.trade(msgspec.structs.replace(trade(7), price=Decimal("NaN"))) is None
    assert desk.trade(msgspec.structs.replace(trade(7), timestamp="no time in this text")) is None


def test_prints_and_minutes_have_an_identity_and_quotes_have_none() -> None:
    desk, topic = venue(), Topic("desk", "trades", "AAPL")
    quote = m.Quote(
        symbol="AAPL",
        timestamp=text_of(NOON),
        bid_price=Decimal(1),
        bid_size=1,
        ask_price=Decimal(2),
        ask_size=1,
    )
    assert desk.duplicate_key(topic, trade(1)) == desk.duplicate_key(topic, trade(1))
    assert desk.duplicate_key(topic, bar(1)) != desk.duplicate_key(topic, bar(2))
    assert desk.duplicate_key(topic, quote) is None
    assert desk.joins_history(topic, trade(1))
    assert not desk.joins_history(topic, msgspec.structs.replace(trade(1), id=None))
