"""Bars, and the trades that make them, in the words that all venues share."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from actors.errors import LinewardenError

BarUnit = Literal["second", "minute", "hour", "day", "week", "month", "session"]

SECOND_NS: Final = 1_000_000_000
LENGTHS: Final[Mapping[BarUnit, int]] = {  # nanoseconds, of units whose length is always the same
    "second": SECOND_NS,
    "minute": 60 * SECOND_NS,
    "hour": 3_600 * SECOND_NS,
}
_TEXTS: Final[Mapping[BarUnit, str]] = {"second": "s", "minute": "min", "hour": "h"}
_WRITTEN: Final = re.compile(
    r"([0-9]{0,4}) ?(s|sec|second|min|minute|h|hr|hour|d|day|w|week|month|session)s?"
)
_UNITS: Final[Mapping[str, BarUnit]] = {
    **dict.fromkeys(("s", "sec", "second"), "second"),
    **dict.fromkeys(("min", "minute"), "minute"),
    **dict.fromkeys(("h", "hr", "hour"), "hour"),
    **dict.fromkeys(("d", "day"), "day"),
    **dict.fromkeys(("w", "week"), "week"),
    "month": "month",
    "session": "session",
}


class Timeframe(Struct, frozen=True, order=True, cache_hash=True):
    """How long a bar is: 5 minutes, one session of a calendar. Seconds to hours align to UTC."""

    unit: BarUnit
    number: int = 1

    @property
    def length_ns(self) -> int | None:
        """Nanoseconds; None: it depends on the calendar."""
        length = LENGTHS.get(self.unit)
        return None if length is None else self.number * length

    def __str__(self) -> str:
        """Returns such as `15s`, `5min`, `1h`, `1day` or `session`."""
        if self.unit == "session" and self.number == 1:
            return self.unit
        return f"{self.number}{_TEXTS.get(self.unit, self.unit)}"


def timeframe_of(text: str) -> Timeframe:
    """Returns the timeframe that is written as "15s", "5min", "4h", "1day", "1week", "1month" or "session".

    Raises:
        LinewardenError: it is written in another way.
    """
    found = _WRITTEN.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    if found is None or int(found[1] or 1) == 0:
        several = "; give several one by one, and not as one" if isinstance(text, Iterable) else ""
        told = "" if isinstance(text, str) else several
        raise LinewardenError(
            f'bars are of a length such as "15s", "5min", "4h", "1day" or "session", not {text!r}{told}'
        )
    return Timeframe(_UNITS[found[2]], int(found[1] or 1))


class Bar(Struct, frozen=True):
    """What was traded from `start_ns` to before `end_ns`: wall clock, nanoseconds, UTC.

    `volume`: in the venue's units; of some venues only what was traded through it. `trades`: how many; None:
    not told. A period without trades has no bar.

    `exact`: it is the venue's own, or all trades of its time came. Otherwise it may change: REST is asked for
    it where the venue has such a bar. `complete`: no part of its time is without trades and without REST.
    """

    start_ns: int
    end_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int | None = None
    exact: bool = True
    complete: bool = True


class BarQuery(Struct, frozen=True, kw_only=True):
    """Which bars a venue is asked for: those that begin in the time. `limit`: only so many, the newest."""

    key: str  # of the trades' topic, in the venue's spelling
    every: Timeframe
    start_ns: int
    end_ns: int
    limit: int | None = None


def finished_bars(found: Mapping[int, Bar], query: BarQuery, now_ns: int | None) -> tuple[Bar, ...]:
    """Returns those of a venue's bars, by their start, that answer the query and are over, oldest first.

    `now_ns`: the venue's time, wall clock; None: not told, and a bar counts as over once a later one began.
    Without volume nothing was traded: such a bar is filled in by the venue, and is left out.
    """
    over_ns = max(found, default=0) if now_ns is None else now_ns
    starts = sorted(start for start in found if query.start_ns <= start < query.end_ns)
    bars = [found[start] for start in starts]
    return tuple(bar for bar in bars if bar.end_ns <= over_ns and bar.volume)


class Print(Struct, frozen=True):
    """One trade of the market, as bars are made from. `at_ns`: the venue's time, wall clock, nanoseconds.

    `id`: the same trade has the same one; None: the venue gives none. `cancels`: the id of an earlier trade
    that never was, or that this one replaces. A print of size 0 cancels, and is no trade.
    """

    price: Decimal
    size: Decimal
    at_ns: int
    id: Hashable | None = None
    cancels: Hashable | None = None
