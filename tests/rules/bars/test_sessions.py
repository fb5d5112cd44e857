"""Sessions have the trading date on which they end, over changes of the clock and early closes as well."""

from __future__ import annotations

from datetime import date

import pytest

from actors.rules.bars.sessions import Session, session_of, session_on
from actors.rules.calendar import Calendar, read_closure, read_session
from tests.rules.bars.venue import HOUR, ns


def calendar(*sessions: str, zone: str = "America/Chicago", closed: tuple[str, ...] = ()) -> Calendar:
    return Calendar(
        "market", zone, tuple(map(read_session, sessions)), tuple(read_closure(each) for each in closed)
    )


CME = calendar("Sun-Thu 17:00-16:00")
NYSE = calendar(
    "Mon-Fri 09:30-16:00", zone="America/New_York", closed=("2026-11-26", "2026-11-27 13:00-16:00")
)


def test_friday_evening_is_no_session_and_sunday_evening_is_mondays() -> None:
    assert session_of(CME, ns("2026-11-27T23:30:00Z")) is None  # 17:30 in Chicago
    found = session_of(CME, ns("2026-11-29T23:30:00Z"))
    assert found is not None
    assert found.trading_date == date(2026, 11, 30)


@pytest.mark.parametrize(
    ("trading_date", "start", "end"),
    [
        ("2026-03-06", "2026-03-05T23:00:00Z", "2026-03-06T22:00:00Z"),
        # The clock is put forward on Sunday, 2026-03-08, before the session opens.
        ("2026-03-09", "2026-03-08T22:00:00Z", "2026-03-09T21:00:00Z"),
        ("2026-10-30", "2026-10-29T22:00:00Z", "2026-10-30T21:00:00Z"),
        # The clock is put back on Sunday, 2026-11-01.
        ("2026-11-02", "2026-11-01T23:00:00Z", "2026-11-02T22:00:00Z"),
    ],
)
def test_a_session_has_23_hours_on_both_sides_of_a_change_of_the_clock(
    trading_date: str, start: str, end: str
) -> None:
    found = session_on(CME, date.fromisoformat(trading_date))
    assert found == Session(date.fromisoformat(trading_date), ns(start), ns(end))
    assert found.end_ns - found.start_ns == 23 * HOUR


def test_a_session_over_a_change_of_the_clock_is_an_hour_shorter_or_longer() -> None:
    round_the_clock = calendar("Mon-Sun 00:00-24:00")
    lengths = {}
    for day in ("2026-03-07", "2026-03-08", "2026-11-01"):
        found = session_on(round_the_clock, date.fromisoformat(day))
        assert found is not None
        lengths[day] = (found.end_ns - found.start_ns) // HOUR
    assert lengths == {"2026-03-07": 24, "2026-03-08": 23, "2026-11-01": 25}


def test_a_holiday_has_no_session_and_an_early_close_ends_one() -> None:
    assert session_on(NYSE, date(2026, 11, 26)) is None
    assert session_of(NYSE, ns("2026-11-26T15:00:00Z")) is None
    short = session_on(NYSE, date(2026, 11, 27))
    assert short == Session(date(2026, 11, 27), ns("2026-11-27T14:30:00Z"), ns("2026-11-27T18:00:00Z"))
    assert session_of(NYSE, ns("2026-11-27T18:00:00Z")) is None


def test_an_early_close_of_a_session_that_began_the_day_before() -> None:
    cme = calendar("Sun-Thu 17:00-16:00", closed=("2026-11-26 12:00-16:00", "2026-11-27 12:15-16:00"))
    thanksgiving = session_of(cme, ns("2026-11-26T17:59:00Z"))
    assert thanksgiving is not None
    assert thanksgiving.trading_date == date(2026, 11, 26)
    assert session_of(cme, ns("2026-11-26T18:00:00Z")) is None
    friday = session_of(cme, ns("2026-11-26T23:00:00Z"))
    assert friday is not None
    assert (friday.trading_date, friday.end_ns) == (date(2026, 11, 27), ns("2026-11-27T18:15:00Z"))


def test_hours_with_one_trading_date_are_one_session() -> None:
    tokyo = calendar("Mon-Fri 09:00-11:30", "Mon-Fri 12:30-15:30", zone="Asia/Tokyo")
    assert session_on(tokyo, date(2026, 11, 30)) == Session(
        date(2026, 11, 30), ns("2026-11-30T00:00:00Z"), ns("2026-11-30T06:30:00Z")
    )
    with_evening = calendar("Sun-Thu 17:00-24:00", "Mon-Fri 00:00-16:00")
    evening = session_of(with_evening, ns("2026-11-30T03:00:00Z"))  # 21:00 on Sunday
    assert evening is not None
    assert evening.trading_date == date(2026, 11, 29)


def test_a_session_of_a_week_is_that_of_its_last_day() -> None:
    week = calendar("Sun 17:00 - Fri 16:00")
    found = session_of(week, ns("2026-12-01T12:00:00Z"))
    assert found is not None
    assert found.trading_date == date(2026, 12, 4)
    assert session_of(week, ns("2026-12-05T12:00:00Z")) is None
