"""Bars of a contract, oldest first, page by page backwards.

ProjectX, "History/retrieveBars": answers come newest first, `limit` keeps the newest of the range and is at
most 20,000; one client measured 1,000. A period without trades has no bar. Volumes are of what was traded
through ProjectX. Day bars begin at 00:00 UTC, and are no sessions of the exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct, structs

from actors.protocol import Bar, NoResultError, Steps, Timeframe, iso_nanoseconds, known_time
from actors.venues.projectx.rest.asking import Asking, Envelope, cut, may_be_cut, present, unreadable
from actors.venues.projectx.rest.times import DAY, HOUR, SECOND, moment_of, nanoseconds_of, text_of

BarUnit = Literal["second", "minute", "hour", "day", "week", "month"]

RETRIEVE: Final = "History/retrieveBars"
UNITS: Final[Mapping[BarUnit, int]] = {"second": 1, "minute": 2, "hour": 3, "day": 4, "week": 5, "month": 6}
LENGTHS: Final[Mapping[BarUnit, int]] = {
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": HOUR,
    "day": DAY,
    "week": 7 * DAY,
}
PAGE: Final = 20_000  # bars, at most
MOST_PAGES: Final = 100
TIMEOUT: Final = 30.0  # seconds: 33 were seen on a bad day
SLACK: Final = 2 * SECOND  # between the reading of a bar and the Date of its answer


class BarRow(Struct, frozen=True):
    """A bar as it comes. `t` is its beginning."""

    t: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 (the gateway's name)
    c: Decimal
    v: int


class BarRows(Envelope, frozen=True, kw_only=True):
    """`History/retrieveBars`."""

    bars: tuple[BarRow, ...] | None = None


class BarQuery(Struct, frozen=True, kw_only=True):
    """What is asked for. `limit`: at most so many bars, the newest ones; None: all from `start` on."""

    contract: str
    unit: BarUnit
    unit_number: int
    start_ns: int
    end_ns: int
    live: bool
    limit: int | None = None
    partial: bool = False

    def request(self, end_ns: int, limit: int) -> dict[str, object]:
        """Returns the fields of one page: the newest `limit` bars until `end_ns`."""
        return {
            "contractId": self.contract,
            "live": self.live,
            "startTime": text_of(self.start_ns),
            "endTime": text_of(end_ns),
            "unit": UNITS[self.unit],
            "unitNumber": self.unit_number,
            "limit": limit,
            "includePartialBar": self.partial,
        }


def retrieved(asking: Asking, query: BarQuery) -> Steps[tuple[Bar, ...]]:
    """Bars in order, each once. The newest is not `complete` if it ends after the venue's time.

    Whether `endTime` is in its range is not documented, so a further page is asked for one bar more.
    """
    bars: dict[int, BarRow] = {}
    end_ns, wanted = query.end_ns, query.limit
    newest_ns: int | None = None  # the venue's time as the newest bar came
    for page in range(MOST_PAGES):
        limit = PAGE if wanted is None else min(PAGE, wanted - len(bars) + bool(page))
        answer = yield from asking.post(RETRIEVE, BarRows, query.request(end_ns, limit), TIMEOUT)
        rows = present(RETRIEVE, answer.bars)
        newest_ns = newest_ns if page else asking.clock.date_ns
        before = len(bars)
        bars = {_start(row): row for row in rows} | bars
        if len(bars) == before or not _goes_on(len(rows), limit) or _has(bars, wanted):
            return _in_order(bars, query, newest_ns)
        end_ns = min(bars)
    raise NoResultError(cut(RETRIEVE, "Ask for a shorter time, or for fewer bars."))


def is_clock_aligned(every: Timeframe) -> bool:
    """Whether bars of this length are known to begin at whole numbers of it, in UTC.

    How bars of several hours, and of minutes that do not divide an hour, are aligned is not documented.
    Days, weeks and months are no sessions of the exchange.
    """
    if every.unit in ("second", "minute"):
        return 60 % every.number == 0
    return every.unit == "hour" and every.number == 1


def finished(bars: tuple[Bar, ...], start_ns: int, end_ns: int) -> tuple[Bar, ...]:
    """Returns those that are over and begin in the time."""
    return tuple(each for each in bars if each.complete and start_ns <= each.start_ns < end_ns)


def _has(bars: Mapping[int, BarRow], wanted: int | None) -> bool:
    return wanted is not None and len(bars) >= wanted


def _goes_on(count: int, limit: int) -> bool:
    """Whether older bars may follow: the page is full, by our limit or by one that is not documented."""
    return count >= limit or may_be_cut(count)


def _in_order(bars: Mapping[int, BarRow], query: BarQuery, now_ns: int | None) -> tuple[Bar, ...]:
    starts = sorted(bars)[-query.limit :] if query.limit else sorted(bars)
    made = [_bar(start, bars[start], query) for start in starts]
    if made and _is_partial(made[-1].start_ns, query, now_ns):
        made[-1] = structs.replace(made[-1], complete=False)
    return tuple(made)


def _bar(start_ns: int, row: BarRow, query: BarQuery) -> Bar:
    end_ns = end_of(start_ns, query.unit, query.unit_number)
    return Bar(start_ns, end_ns, row.o, row.h, row.l, row.c, Decimal(row.v))


def _is_partial(start_ns: int, query: BarQuery, now_ns: int | None) -> bool:
    """A bar that is forming is not marked, and only its end against the venue's clock tells it."""
    if now_ns is None:
        return query.partial
    slack = SLACK if query.partial else 0
    return end_of(start_ns, query.unit, query.unit_number) > now_ns - slack


def end_of(start_ns: int, unit: BarUnit, number: int) -> int:
    """Returns the end of a bar, in nanoseconds since 1970."""
    if unit != "month":
        return start_ns + number * LENGTHS[unit]
    start = moment_of(start_ns)
    years, month = divmod(start.month - 1 + number, 12)
    return nanoseconds_of(start.replace(year=start.year + years, month=month + 1, day=1))


def _start(row: BarRow) -> int:
    start_ns = known_time(iso_nanoseconds(row.t))
    if start_ns is None:
        raise NoResultError(unreadable(RETRIEVE))
    return start_ns
