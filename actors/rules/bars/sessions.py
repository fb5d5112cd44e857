"""The sessions of a market as whole days of trading.

A session has the trading date on which its hours end: hours from Sunday 17:00 to Monday 16:00 are Monday's.
Hours with the same trading date are one session, from the first opening to the last close that closures
leave.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from msgspec import Struct

from actors.rules.calendar import DAY, WEEK, Calendar, Span


class Session(Struct, frozen=True):
    """One day of trading. Times are wall clock, nanoseconds."""

    trading_date: date
    start_ns: int
    end_ns: int


def session_of(calendar: Calendar, at_ns: int) -> Session | None:
    """Returns the session that a moment lies in; None: the market is closed."""
    day = calendar.local(at_ns).date()
    for days in range(-1, WEEK + 1):  # hours of a week end up to seven days later
        found = session_on(calendar, day + timedelta(days=days))
        if found is not None and found.start_ns <= at_ns < found.end_ns:
            return found
    return None


@lru_cache(maxsize=16_384)
def session_on(calendar: Calendar, trading_date: date) -> Session | None:
    """Returns the session with this trading date; None: the market is closed all day."""
    spans: list[Span] = []
    for hours in calendar.sessions:
        opening = trading_date - timedelta(days=(hours.closes - 1) // DAY)
        if opening.weekday() in hours.days:
            spans += calendar.hours_of(opening, hours)
    if not spans:
        return None
    return Session(trading_date, min(spans)[0], max(until for _, until in spans))
