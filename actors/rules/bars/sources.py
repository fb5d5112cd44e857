"""Which bars of a venue's REST a timeframe is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from actors.protocol.bars import Timeframe

# Longest first. None of them is aligned in different ways by different venues.
LADDER: Final = (
    Timeframe("hour"),
    Timeframe("minute", 30),
    Timeframe("minute", 15),
    Timeframe("minute", 5),
    Timeframe("minute"),
    Timeframe("second", 15),
    Timeframe("second", 5),
    Timeframe("second"),
)

HasBars = Callable[[Timeframe], bool]


class Source(Struct, frozen=True):
    """The length of buckets, and whether REST has bars of it."""

    every: Timeframe
    has_rest: bool


def source_of(grid: Timeframe, has_bars: HasBars) -> Source:
    """Returns the longest bars that the venue has and of which periods on this grid are made."""
    if has_bars(grid):
        return Source(grid, True)
    length = _length(grid)
    for rung in LADDER:
        if _length(rung) < length and length % _length(rung) == 0 and has_bars(rung):
            return Source(rung, True)
    return Source(grid, False)


def finest(has_bars: HasBars) -> Timeframe | None:
    """Returns the shortest bars that the venue has; None: it has none."""
    return next((rung for rung in reversed(LADDER) if has_bars(rung)), None)


def _length(every: Timeframe) -> int:
    return every.length_ns or 0
