"""Bars as rows for a data frame of pandas or polars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from actors.errors import LinewardenError
from actors.protocol.bars import Bar
from actors.rules.bars.view import FrameView
from actors.rules.calendar import EPOCH


def records(bars: Iterable[Bar] | FrameView, exact: bool = False) -> list[dict[str, Any]]:
    """Returns one dict for each bar, for `pandas.DataFrame` or `polars.DataFrame`.

    Of the view of a timeframe these are the finished bars.
    `start` and `end` are aware datetimes in UTC, to the microsecond. Prices and volume are floats, which may
    round; `exact`: `Decimal`, as they are. `trades` is None where it is not known.

    Raises:
        LinewardenError: this is no list of bars, such as a view of several timeframes.
    """
    if isinstance(bars, FrameView):
        bars = bars.finished
    rows = list(bars) if isinstance(bars, Iterable) else [bars]
    if not all(isinstance(each, Bar) for each in rows):
        raise LinewardenError('records takes bars of one timeframe, such as view["5min"].finished')
    number: Any = (lambda value: value) if exact else float
    return [
        {
            "start": _moment(each.start_ns),
            "end": _moment(each.end_ns),
            "open": number(each.open),
            "high": number(each.high),
            "low": number(each.low),
            "close": number(each.close),
            "volume": number(each.volume),
            "trades": each.trades,
            "exact": each.exact,
            "complete": each.complete,
        }
        for each in rows
    ]


def _moment(at_ns: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_ns // 1000)
