"""In which period a moment lies: by the clock in UTC, by days of a zone, by sessions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LinewardenError
from actors.protocol.bars import Timeframe, timeframe_of
from actors.rules.bars.periods import Periods, periods_of
from actors.rules.calendar import Calendar, read_session
from tests.rules.bars.test_sessions import CME, NYSE
from tests.rules.bars.venue import HOUR, ns


def zone(name: str) -> Calendar:
    return Calendar("days", name, (read_session("Mon-Sun 00:00-24:00"),))


def period(frame: str, at: str, calendar: Calendar | None = None) -> tuple[int, int] | None:
    return periods_of(timeframe_of(frame), calendar).at(ns(at))


@pytest.mark.parametrize(
    ("frame", "at", "start", "end"),
    [
        ("15s", "2026-11-30T12:00:14Z", "2026-11-30T12:00:00Z", "2026-11-30T12:00:15Z"),
        ("5min", "2026-11-30T12:04:59Z", "2026-11-30T12:00:00Z", "2026-11-30T12:05:00Z"),
        ("4h", "2026-11-30T15:59:59Z", "2026-11-30T12:00:00Z", "2026-11-30T16:00:00Z"),
        ("4h", "2026-11-30T13:00:00Z", "2026-11-30T12:00:00Z", "2026-11-30T16:00:00Z"),
        ("1day", "2026-11-30T23:59:59Z", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("1week", "2026-12-06T23:59:59Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
        ("1month", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("1month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_without_a_calendar_all_is_in_utc(frame: str, at: str, start: str, end: str) -> None:
    assert period(frame, at) == (ns(start), ns(end))


@pytest.mark.parametrize(
    ("at", "start", "end", "hours"),
    [
        ("2026-03-08T12:00:00Z", "2026-03-08T06:00:00Z", "2026-03-09T05:00:00Z", 23),
        ("2026-11-01T12:00:00Z", "2026-11-01T05:00:00Z", "2026-11-02T06:00:00Z", 25),
        ("2026-11-02T05:59:59Z", "2026-11-01T05:00:00Z", "2026-11-02T06:00:00Z", 25),
    ],
)
def test_a_day_of_a_zone_is_shorter_and_longer_where_the_clock_changes(
    at: str, start: str, end: str, hours: int
) -> None:
    assert period("1day", at, CME) == (ns(start), ns(end))
    assert ns(end) - ns(start) == hours * HOUR


def test_a_midnight_that_comes_twice_begins_its_day_with_the_first_one() -> None:
    """In Havana the clock goes from 01:00 back to 00:00 on 2026-11-01."""
    havana = periods_of(Timeframe("day"), zone("America/Havana"))
    first = havana.at(ns("2026-11-01T04:30:00Z"))
    assert first == havana.at(ns("2026-11-01T05:30:00Z"))
    assert first == (ns("2026-11-01T04:00:00Z"), ns("2026-11-02T05:00:00Z"))


def test_an_hour_before_midnight_that_comes_again_belongs_to_the_day_that_has_begun() -> None:
    """In St. John's the clock went from 00:01 back to 23:01 on 2010-11-07."""
    st_johns = periods_of(Timeframe("day"), zone("America/St_Johns"))
    day = ns("2010-11-07T02:30:00Z"), ns("2010-11-08T03:30:00Z")
    assert st_johns.at(ns("2010-11-07T02:40:00Z")) == day
    assert st_johns.at(ns("2010-11-07T03:40:00Z")) == day
    assert st_johns.before(day[0]) == (ns("2010-11-06T02:30:00Z"), day[0])


def test_a_day_whose_last_hour_comes_twice_has_25_hours() -> None:
    """In Beirut the clock goes from 24:00 back to 23:00 on 2026-10-24."""
    beirut = periods_of(Timeframe("day"), zone("Asia/Beirut"))
    day = ns("2026-10-23T21:00:00Z"), ns("2026-10-24T22:00:00Z")
    assert beirut.at(ns("2026-10-24T20:30:00Z")) == beirut.at(ns("2026-10-24T21:30:00Z")) == day


@pytest.mark.parametrize("frame", ["15s", "7min", "1h", "4h", "1day", "1week", "1month", "session"])
@pytest.mark.parametrize(
    "calendar",
    [CME, zone("America/Havana"), zone("Asia/Beirut"), zone("Australia/Lord_Howe"), NYSE],
    ids=lambda each: each.zone,
)
@given(at=st.integers(ns("2026-01-01T00:00:00Z"), ns("2027-01-01T00:00:00Z")))
def test_periods_contain_their_moments_and_follow_each_other(calendar: Calendar, frame: str, at: int) -> None:
    periods: Periods = periods_of(timeframe_of(frame), calendar)
    found = periods.at(at)
    if found is None:
        assert frame == "session"
        return
    start, end = found
    assert start <= at < end
    assert periods.at(start) == periods.at(end - 1) == found
    before = periods.before(start)
    assert before is not None
    assert before[1] <= start
    assert frame == "session" or before[1] == start
    assert start % (periods.grid.length_ns or 0) == 0 or frame == "session"


@pytest.mark.parametrize(
    ("frame", "calendar", "grid"),
    [
        ("5min", None, "5min"),
        ("7min", None, "1min"),
        ("45s", None, "1s"),
        ("4h", None, "1h"),
        ("1day", None, "1h"),
        ("session", CME, "1h"),
        ("session", NYSE, "30min"),
        ("1day", zone("Asia/Kathmandu"), "15min"),
        ("1day", zone("Australia/Lord_Howe"), "30min"),
    ],
    ids=lambda each: each.zone if isinstance(each, Calendar) else str(each),
)
def test_what_bars_a_timeframe_can_be_put_together_from(
    frame: str, calendar: Calendar | None, grid: str
) -> None:
    assert str(periods_of(timeframe_of(frame), calendar).grid) == grid


def test_sessions_need_a_calendar_and_days_come_one_at_a_time() -> None:
    with pytest.raises(LinewardenError, match="need a calendar"):
        periods_of(Timeframe("session"), None)
    for unit in ("day", "week", "month", "session"):
        with pytest.raises(LinewardenError, match="no agreed beginning"):
            periods_of(Timeframe(unit, 2), CME)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("15s", "15s"),
        ("15 seconds", "15s"),
        ("5min", "5min"),
        ("minute", "1min"),
        ("4H", "4h"),
        ("4hr", "4h"),
        ("day", "1day"),
        ("1d", "1day"),
        ("1week", "1week"),
        ("month", "1month"),
        ("session", "session"),
    ],
)
def test_timeframes_are_written_in_one_way(text: str, written: str) -> None:
    assert str(timeframe_of(text)) == written
    assert timeframe_of(written) == timeframe_of(text)


@pytest.mark.parametrize("text", ["", "0min", "5", "-1min", "5 fortnights", "99999s", None, 5])
def test_what_is_no_timeframe_is_refused(text: str) -> None:
    with pytest.raises(LinewardenError, match="bars are of a length such as"):
        timeframe_of(text)
