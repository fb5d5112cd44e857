"""Bars, and the trades that make them, in the words that all venues share."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Literal

from msgspec import Struct

BarUnit = Literal["second", "minute", "hour", "day", "week", "month", "session"]


class Timeframe(Struct, frozen=True, order=True):
    """How long a bar is: 5 minutes, one session of a calendar. Seconds to hours align to UTC."""

    unit: BarUnit
    number: int = 1

    def __str__(self) -> str:
        return f"{self.number}{self.unit}" if self.number > 1 else self.unit


class Bar(Struct, frozen=True):
    """What was traded from `start_ns` to before `end_ns`: wall clock, nanoseconds, UTC.

    `volume`: in the venue's units; of some venues only what was traded through it. `trades`: how many; None:
    not told. A period without trades has no bar.
    """

    start_ns: int
    end_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int | None = None


class BarQuery(Struct, frozen=True, kw_only=True):
    """Which bars a venue is asked for: those that begin in the time. `limit`: only so many, the newest."""

    key: str  # of the trades' topic, in the venue's spelling
    every: Timeframe
    start_ns: int
    end_ns: int
    limit: int | None = None


class Print(Struct, frozen=True):
    """One trade of the market, as bars are made from. `at_ns`: the venue's time, wall clock, nanoseconds.

    `id`: the same trade has the same one; None: the venue gives none. `cancels`: the id of an earlier trade
    that never was, or that this one replaces.
    """

    price: Decimal
    size: Decimal
    at_ns: int
    id: Hashable | None = None
    cancels: Hashable | None = None
