"""When a market is open: its sessions, applied to any moment, through changes of the clock.

Sessions are local: `Mon-Fri 09:30-16:00` opens at half past nine in summer and in winter. An hour that the
clock leaves out is read as if it had not been put forward, one that comes twice is the first of the two
(PEP 495, `fold=0`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from msgspec import Struct

SECOND: Final = 1_000_000_000  # nanoseconds
MINUTE: Final = 60 * SECOND  # sessions open and close at whole minutes
DAY: Final = 1440  # minutes
WEEK: Final = 7  # days; no session is longer
HORIZON: Final = timedelta(days=31)  # how far is looked for the next session

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TIME = r"(\d\d):(\d\d)"
_EACH_DAY = re.compile(rf"([a-z]{{3}})(?:\s*-\s*([a-z]{{3}}))?\s+{_TIME}\s*-\s*{_TIME}", re.IGNORECASE)
_ACROSS = re.compile(rf"([a-z]{{3}})\s+{_TIME}\s*-\s*([a-z]{{3}})\s+{_TIME}", re.IGNORECASE)
_CLOSED = re.compile(rf"(\d{{4}}-\d\d-\d\d)(?:\s+{_TIME}\s*-\s*{_TIME})?")

Span = tuple[int, int]  # wall-clock nanoseconds: from, until


class TradingHours(Struct, frozen=True):
    """Opens on these days of the week (Monday is 0); minutes from midnight, `closes` maybe days later."""

    days: tuple[int, ...]
    opens: int
    closes: int


class Closure(Struct, frozen=True):
    """A day, or hours of it, on which the market is closed against its sessions; minutes from midnight."""

    day: date
    since: int = 0
    until: int = DAY


class Calendar(Struct, frozen=True, cache_hash=True):
    """The sessions of one market, in its own time zone."""

    name: str
    zone: str  # as the IANA database calls it
    sessions: tuple[TradingHours, ...]
    closed: tuple[Closure, ...] = ()

    def is_open(self, at_ns: int) -> bool:
        return _is_open(self, at_ns // MINUTE)

    def open_seconds(self, since_ns: int, until_ns: int) -> float:
        """Market time between two moments: the seconds for which the market was open."""
        return sum(until - since for since, until in self.spans(since_ns, until_ns)) / SECOND

    def opens_after(self, at_ns: int) -> datetime | None:
        """The next opening in the market's time; None: not within a month."""
        return _opens_after(self, at_ns // MINUTE)

    def opened_before(self, at_ns: int) -> int | None:
        """When the session that is open, or the last one, began, in nanoseconds; None: not within a month."""
        spans = self.spans(at_ns - int(HORIZON.total_seconds()) * SECOND, at_ns + 1)
        return max((since for since, _ in spans), default=None)

    def spans(self, since_ns: int, until_ns: int) -> Iterator[Span]:
        """When it is open between two moments: in order, none touches the next."""
        day, last = self.local(since_ns).date() - timedelta(days=WEEK), self.local(until_ns).date()
        found: list[Span] = []
        while day <= last:
            found += _spans_of(self, day)
            day += timedelta(days=1)
        for since, until in _joined(found):
            if since < until_ns and until > since_ns:
                yield max(since, since_ns), min(until, until_ns)

    def hours_of(self, day: date, hours: TradingHours) -> tuple[Span, ...]:
        """When these hours, which open on this day, are open: what closures leave of them, in order."""
        zone = ZoneInfo(self.zone)
        spans = [(moment(day, hours.opens, zone), moment(day, hours.closes, zone))]
        for closure in self.closed:
            shut = moment(closure.day, closure.since, zone), moment(closure.day, closure.until, zone)
            spans = [part for span in spans for part in _without(span, shut)]
        return tuple(spans)

    def local(self, at_ns: int) -> datetime:
        return (EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(ZoneInfo(self.zone))


# A status asks about the same minute and the same few days for every topic.
@lru_cache(maxsize=64)
def _is_open(calendar: Calendar, minute: int) -> bool:
    return any(calendar.spans(minute * MINUTE, minute * MINUTE + 1))


@lru_cache(maxsize=64)
def _opens_after(calendar: Calendar, minute: int) -> datetime | None:
    at_ns = minute * MINUTE
    first = next(calendar.spans(at_ns, at_ns + int(HORIZON.total_seconds()) * SECOND), None)
    return None if first is None else calendar.local(first[0])


@lru_cache(maxsize=4096)
def _spans_of(calendar: Calendar, day: date) -> tuple[Span, ...]:
    """When the sessions that open on this day are open."""
    its = (session for session in calendar.sessions if day.weekday() in session.days)
    return tuple(span for session in its for span in calendar.hours_of(day, session))


def moment(day: date, minutes: int, zone: ZoneInfo) -> int:
    """So many minutes after midnight of a day, by the clock of the zone: wall-clock nanoseconds."""
    days, minutes = divmod(minutes, DAY)
    local = datetime.combine(day + timedelta(days=days), time(*divmod(minutes, 60)), zone)
    return int((local.astimezone(UTC) - EPOCH).total_seconds()) * SECOND


def _without(span: Span, shut: Span) -> Iterator[Span]:
    for since, until in ((span[0], min(span[1], shut[0])), (max(span[0], shut[1]), span[1])):
        if since < until:
            yield since, until


def _joined(spans: list[Span]) -> Iterator[Span]:
    """In order, those that touch made one."""
    present: Span | None = None
    for span in sorted(spans):
        if present is not None and span[0] <= present[1]:
            present = present[0], max(present[1], span[1])
            continue
        if present is not None:
            yield present
        present = span
    if present is not None:
        yield present


# ── as they are written ─────────────────────────────────────────────────────────────────────────


def read_session(text: str) -> TradingHours:
    """`Mon-Fri 09:30-16:00`, on each of these days; one that ends no later than it begins ends the day after.

    `Sun 17:00 - Fri 16:00` is one long session.

    Raises:
        ValueError: it is neither; says what is wrong.
    """
    text = text.strip()
    if found := _EACH_DAY.fullmatch(text):
        first, last, *clock = found.groups()
        opens, closes = _minutes(*clock[:2]), _minutes(*clock[2:])
        length = (_day(last or first) - _day(first)) % WEEK
        days = tuple(sorted((_day(first) + each) % WEEK for each in range(length + 1)))
        closes += DAY * (closes <= opens)
    elif found := _ACROSS.fullmatch(text):
        first, hour, minute, last, *clock = found.groups()
        days, opens = (_day(first),), _minutes(hour, minute)
        closes = _minutes(*clock) + DAY * ((_day(last) - _day(first)) % WEEK)
        closes += DAY * WEEK * (closes <= opens)
    else:
        raise ValueError('expected such as "Mon-Fri 09:30-16:00" or "Sun 17:00 - Fri 16:00"')
    if opens == DAY:
        raise ValueError("expected a session to open at 23:59 or before; 24:00 is an end")
    return TradingHours(days, opens, closes)


def read_closure(text: str) -> Closure:
    """`2026-12-25`, or `2026-11-27 13:00-16:00` where only some hours are closed.

    Raises:
        ValueError: it is neither; says what is wrong.
    """
    found = _CLOSED.fullmatch(text.strip())
    if found is None:
        raise ValueError('expected such as "2026-12-25" or "2026-11-27 13:00-16:00"')
    try:
        day = date.fromisoformat(found[1])
    except ValueError:
        raise ValueError(f"there is no day {found[1]}") from None
    if found[2] is None:
        return Closure(day)
    since, until = _minutes(found[2], found[3]), _minutes(found[4], found[5])
    if until <= since:
        raise ValueError("expected the end to come after the beginning, on the same day")
    return Closure(day, since, until)


def read_zone(text: str) -> str:
    """Raises: ValueError: there is no such time zone here."""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(_no_zone(text)) from None


def _no_zone(text: str) -> str:
    known = available_timezones()
    if not known:
        return "this system has no time zone database; install the package tzdata"
    near = get_close_matches(text, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else 'expected a name such as "America/New_York"'
    return f"there is no such time zone; {hint}"


def _day(text: str) -> int:
    if text.lower() not in DAYS:
        raise ValueError(f"there is no day {text!r}; expected one of: {', '.join(map(str.title, DAYS))}")
    return DAYS.index(text.lower())


def _minutes(hour: str, minute: str) -> int:
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > DAY:
        raise ValueError(f"there is no time {hour}:{minute}; expected 00:00 to 24:00")
    return minutes
