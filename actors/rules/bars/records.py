"""Bars as rows for a data frame of pandas or polars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from actors.protocol.bars import Bar
from actors.rules.calendar import EPOCH


def records(bars: Iterable[Bar], exact: bool = False) -> list[dict[str, Any]]:
    """Returns one dict for each bar, for `pandas.DataFrame` or `polars.DataFrame`.

    `start` and `end` are aware datetimes in UTC, to the microsecond. Prices and volume are floats, which may
    round; `exact`: `Decimal`, as they are. `trades` is None where it is not known.
    """
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
        for each in bars
    ]


def _moment(at_ns: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_ns // 1000)
