"""Bars come in order, each once, and the one that is forming is marked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.protocol import (
    Bar,
    BarQuery,
    Call,
    CallRefused,
    HttpAnswer,
    LinewardenError,
    Retryable,
    Timeframe,
)
from actors.venues.projectx.rest import BarUnit
from actors.venues.projectx.rest.bars import end_of
from tests.venues.projectx.rest.gateway import (
    API,
    EP,
    NOON_NS,
    TOKEN,
    Row,
    answer,
    good,
    refusal,
    serve,
    talk,
)

PRICES = (Decimal("6800"), Decimal("6802.5"), Decimal("6799.75"), Decimal("6801.25"))
MINUTE = 60_000_000_000
START = datetime(2026, 11, 29, tzinfo=UTC)
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def bars(unit: BarUnit = "minute", number: int = 1, **more: Any) -> Call[tuple[Bar, ...]]:
    return API.bars(EP.id, unit, number, **({"start": START, "end": NOON} | more))


def row(start: datetime, close: float = 6801.25) -> Row:
    return {"t": start.isoformat(), "o": 6800.0, "h": 6802.5, "l": 6799.75, "c": close, "v": 7}


def minutes(*before_noon: int) -> list[Row]:
    return [row(NOON - timedelta(minutes=each)) for each in before_noon]


class History:
    """A gateway with minute bars until noon: newest first, a page at most, `endTime` included or not."""

    def __init__(self, count: int, page: int = 20_000, *, inclusive: bool = True) -> None:
        self.starts = [NOON - timedelta(minutes=each) for each in range(1, count + 1)]
        self.page, self.inclusive = page, inclusive
        self.asked: list[Row] = []

    def __call__(self, endpoint: str, fields: Row) -> HttpAnswer:
        assert endpoint == "History/retrieveBars"
        self.asked.append(fields)
        end = datetime.fromisoformat(fields["endTime"])
        found = [each for each in self.starts if each < end or (self.inclusive and each == end)]
        return good(bars=[row(each) for each in found[: min(fields["limit"], self.page)]])


def test_newest_first_becomes_oldest_first() -> None:
    asked = {
        "contractId": EP.id,
        "live": False,
        "startTime": "2026-11-29T00:00:00.000000Z",
        "endTime": "2026-11-30T12:00:00.000000Z",
        "unit": 2,
        "unitNumber": 5,
        "limit": 20_000,
        "includePartialBar": False,
    }
    came = talk(bars(number=5), ("History/retrieveBars", asked, good(bars=minutes(5, 10))))
    assert came == (
        Bar(NOON_NS - 10 * MINUTE, NOON_NS - 5 * MINUTE, *PRICES, Decimal(7)),
        Bar(NOON_NS - 5 * MINUTE, NOON_NS, *PRICES, Decimal(7)),
    )


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("page", [20_000, 1_000, 700])
def test_it_pages_backwards_until_nothing_older_comes(page: int, inclusive: bool) -> None:
    """The docs say 20,000 for a page, and one client measured 1,000."""
    history = History(2_150, page, inclusive=inclusive)
    came = serve(bars(), history)
    assert [bar.start_ns for bar in came] == [NOON_NS - each * MINUTE for each in range(2_150, 0, -1)]
    assert len(history.asked) <= 2_150 // (page - 1) + 2


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 99, 100, 101, 150])
def test_a_limit_keeps_the_newest(limit: int, inclusive: bool) -> None:
    came = serve(bars(limit=limit), History(500, 100, inclusive=inclusive))
    assert [bar.start_ns for bar in came] == [NOON_NS - each * MINUTE for each in range(limit, 0, -1)]


def test_a_range_without_trades_has_no_bars() -> None:
    history = History(0)
    assert serve(bars(), history) == ()
    assert len(history.asked) == 1


def test_a_gateway_that_gives_the_same_page_for_ever_ends_the_paging() -> None:
    same = good(bars=minutes(*range(1, 101)))
    assert len(serve(bars(), lambda *_: same)) == 100


def test_a_hundred_pages_are_enough() -> None:
    reason = serve(bars(), History(5_000, 20))
    assert isinstance(reason, Retryable)
    assert (reason.code, reason.advice) == ("cut", "Ask for a shorter time, or for fewer bars.")


@pytest.mark.parametrize(
    ("before_noon", "number", "partial"),
    [(1, 1, False), (0, 1, True), (4, 5, True), (5, 5, False), (6, 5, False)],
)
def test_a_bar_is_partial_if_it_ends_after_the_venues_time(
    before_noon: int, number: int, partial: bool
) -> None:
    """The simulated gateway answers at noon by its own clock."""
    came = serve(bars(number=number), lambda *_: good(bars=minutes(before_noon)))
    assert [not bar.complete for bar in came] == [partial]


def test_a_bar_that_has_just_ended_may_have_been_read_before_its_end() -> None:
    came = serve(bars(partial=True), lambda *_: good(bars=minutes(1, 2)))
    assert [not bar.complete for bar in came] == [False, True]


def test_without_the_venues_time_the_newest_is_as_it_was_asked_for() -> None:
    body = good(bars=minutes(1, 2)).body
    for asked in (True, False):
        came = serve(bars(partial=asked), lambda *_: HttpAnswer(200, body))
        assert [not bar.complete for bar in came] == [False, asked]


@pytest.mark.parametrize(
    ("unit", "number", "start", "end"),
    [
        ("second", 15, "2026-11-30T12:00:00", "2026-11-30T12:00:15"),
        ("hour", 4, "2026-11-30T12:00:00", "2026-11-30T16:00:00"),
        ("day", 1, "2026-11-30T00:00:00", "2026-12-01T00:00:00"),
        ("week", 1, "2026-11-30T00:00:00", "2026-12-07T00:00:00"),
        ("month", 1, "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("month", 2, "2026-12-01T00:00:00", "2027-02-01T00:00:00"),
        ("month", 14, "2026-12-31T00:00:00", "2028-02-01T00:00:00"),
    ],
)
def test_a_bar_is_as_long_as_its_unit(unit: BarUnit, number: int, start: str, end: str) -> None:
    began, ended = (datetime.fromisoformat(f"{each}+00:00").timestamp() for each in (start, end))
    assert end_of(int(began) * 10**9, unit, number) == int(ended) * 10**9


def test_bars_have_a_meter_and_a_time_of_their_own() -> None:
    call = bars()
    assert (call.meter, call.timeout) == ("bars", 30.0)
    assert next(call.converse(TOKEN)).timeout == 30.0


def test_a_refusal_has_the_name_of_this_endpoint() -> None:
    assert serve(bars(), lambda *_: refusal(3)) == CallRefused("History/retrieveBars", 3, "UnitNumberInvalid")


@pytest.mark.parametrize("body", [b'{"t":"soon","o":1,"h":1,"l":1,"c":1,"v":1}', b'{"t":null,"o":1}', b"{}"])
def test_a_bar_that_cannot_be_read_is_not_left_out(body: bytes) -> None:
    came = answer(200, b'{"success":true,"errorCode":0,"bars":[' + body + b"]}")
    assert serve(bars(), lambda *_: came).code == "unreadable"


@pytest.mark.parametrize(
    "wrong",
    [{"unit": "tick"}, {"number": 0}, {"limit": 0}, {"start": datetime(2026, 1, 1)}],
    ids=str,
)
def test_what_no_gateway_can_answer_is_refused_at_once(wrong: Row) -> None:
    with pytest.raises(LinewardenError):
        bars(**wrong)


# ── in the words that all venues share ──


def shared(every: Timeframe, start_ns: int, end_ns: int) -> Any:
    return API.finished_bars(BarQuery(key=EP.id, every=every, start_ns=start_ns, end_ns=end_ns))


def test_finished_bars_have_both_ends_and_exact_numbers() -> None:
    call = shared(Timeframe("minute", 5), NOON_NS - 10 * MINUTE, NOON_NS)
    came = serve(call, lambda *_: good(bars=minutes(0, 5, 10, 15)))
    assert came == tuple(
        Bar(NOON_NS - each * MINUTE, NOON_NS - (each - 5) * MINUTE, *PRICES, Decimal(7)) for each in (10, 5)
    )
    assert (call.meter, call.timeout) == ("bars", 30.0)


@pytest.mark.parametrize(
    ("every", "is_known"),
    [
        (Timeframe("second", 15), True),
        (Timeframe("minute", 30), True),
        (Timeframe("minute", 7), False),
        (Timeframe("hour"), True),
        (Timeframe("hour", 4), False),
        (Timeframe("day"), False),
        (Timeframe("week"), False),
        (Timeframe("session"), False),
    ],
    ids=str,
)
def test_the_gateway_has_the_bars_whose_alignment_is_known(every: Timeframe, is_known: bool) -> None:
    assert (shared(every, 0, NOON_NS) is not None) == is_known
