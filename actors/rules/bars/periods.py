"""The periods of a timeframe: in which one a moment lies, and which one was before.

Seconds, minutes and hours align to UTC, also where they lie in a session. Days, weeks (from Monday) and
months are those of the clock of a calendar's zone, or of UTC.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from math import gcd
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from actors.errors import LinewardenError
from actors.protocol.bars import BarUnit, Timeframe
from actors.rules.bars.sessions import session_of, session_on
from actors.rules.bars.spans import Span
from actors.rules.calendar import EPOCH, HORIZON, Calendar, moment

HOUR: Final = 60  # minutes
YEARS: Final = range(2000, 2041)  # in which the offsets of zones are compared
UTC_ZONE: Final = "UTC"


class Periods(Protocol):
    """The periods of one timeframe. `grid`: the longest bars of a clock of which each of them is made."""

    grid: Timeframe
    accepts_all: bool  # each moment lies in one of them

    def at(self, at_ns: int) -> Span | None:
        """The period of a moment; None: there is none."""

    def before(self, start_ns: int) -> Span | None:
        """The last period that ends by then; None: none within a month."""


def periods_of(timeframe: Timeframe, calendar: Calendar | None) -> Periods:
    """Returns the periods of a timeframe.

    Raises:
        LinewardenError: it needs a calendar; or it is of several days, which have no agreed beginning.
    """
    if timeframe.length_ns is not None:
        return ClockPeriods(timeframe)
    if timeframe.number != 1:
        raise LinewardenError(f"bars of {timeframe} have no agreed beginning; ask for 1{timeframe.unit}")
    if timeframe.unit != "session":
        return DayPeriods(timeframe.unit, calendar.zone if calendar is not None else UTC_ZONE)
    if calendar is None:
        raise LinewardenError("bars of sessions need a calendar: name one of [calendars] with calendar=")
    return SessionPeriods(calendar)


class ClockPeriods:
    """So many seconds, minutes or hours, from 1970 on in UTC."""

    accepts_all = True

    def __init__(self, timeframe: Timeframe) -> None:
        assert timeframe.length_ns is not None
        self._length = timeframe.length_ns
        self.grid = _grid(timeframe)

    def at(self, at_ns: int) -> Span:
        """The period of a moment."""
        start = at_ns - at_ns % self._length
        return start, start + self._length

    def before(self, start_ns: int) -> Span:
        """The last period that ends by then."""
        return self.at(start_ns - self._length)


def _grid(timeframe: Timeframe) -> Timeframe:
    """How venues align bars that do not divide the next unit is not agreed, and neither are several hours."""
    if timeframe.unit == "hour":
        return Timeframe("hour")
    return timeframe if HOUR % timeframe.number == 0 else Timeframe(timeframe.unit)


class DayPeriods:
    """Days, weeks or months of a zone."""

    accepts_all = True

    def __init__(self, unit: BarUnit, zone: str) -> None:
        self._unit, self._zone = unit, ZoneInfo(zone)
        self.grid = minutes_grid(_offsets(zone))

    def at(self, at_ns: int) -> Span:
        """The period of a moment."""
        local = (EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(self._zone).date()
        first = self._first(local)
        start, end = self._midnight(first), self._midnight(self._next(first))
        while at_ns >= end:  # where midnight comes twice, the day has begun with the first one
            first = self._next(first)
            start, end = end, self._midnight(self._next(first))
        return start, end

    def before(self, start_ns: int) -> Span:
        """The last period that ends by then."""
        start, end = self.at(start_ns - 1)
        return (start, end) if end <= start_ns else self.at(start - 1)

    def _first(self, day: date) -> date:
        if self._unit == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self._unit == "month" else day

    def _next(self, first: date) -> date:
        if self._unit == "month":
            return (first + timedelta(days=31)).replace(day=1)
        return first + timedelta(days=7 if self._unit == "week" else 1)

    def _midnight(self, day: date) -> int:
        return moment(day, 0, self._zone)


class SessionPeriods:
    """The sessions of a calendar. What is traded outside of them belongs to none."""

    accepts_all = False

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        minutes = [each for hours in calendar.sessions for each in (hours.opens, hours.closes)]
        # The hours of closures are left out: outside of them and of sessions nothing is traded.
        self.grid = minutes_grid((*minutes, *_offsets(calendar.zone)))

    def at(self, at_ns: int) -> Span | None:
        """The session of a moment; None: the market is closed."""
        found = session_of(self._calendar, at_ns)
        return None if found is None else (found.start_ns, found.end_ns)

    def before(self, start_ns: int) -> Span | None:
        """The last session that ends by then."""
        day = self._calendar.local(start_ns).date() + timedelta(days=1)
        for days in range(HORIZON.days + 1):
            found = session_on(self._calendar, day - timedelta(days=days))
            if found is not None and found.end_ns <= start_ns:
                return found.start_ns, found.end_ns
        return None


def minutes_grid(minutes: tuple[int, ...]) -> Timeframe:
    """Returns the longest bars, of an hour at most, of which whole ones lie between all of these minutes."""
    common = gcd(HOUR, *minutes)
    return Timeframe("hour") if common == HOUR else Timeframe("minute", common)


@lru_cache(maxsize=64)
def _offsets(zone: str) -> tuple[int, ...]:
    """Minutes by which the clock of a zone is apart from UTC, in any of the years."""
    at = ZoneInfo(zone)
    found = {datetime(year, month, 1, tzinfo=at).utcoffset() for year in YEARS for month in (1, 7)}
    return tuple(sorted(int(each.total_seconds()) // 60 for each in found if each is not None))
