"""Bars of a market from tplus' klines, oldest first.

tplus, "klines": `{items, has_next_page, next_page, truncated_before_ns}`, of an older server a bare list.
The order of the items, and whether `end_timestamp_ns` belongs to the time, are not documented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from actors.protocol import (
    Bar,
    BarQuery,
    Call,
    FrameLimit,
    HttpRequest,
    NoResultError,
    RestApi,
    Retryable,
    Steps,
    Timeframe,
    exact_decimal,
    finished_bars,
    until_failure,
)
from actors.venues.tplus import messages as m
from actors.venues.tplus.decoding import converted
from actors.venues.tplus.errors import refusal
from actors.venues.tplus.settings import Base

LIMIT: Final = FrameLimit(60, 60.0)  # ours: tplus names none for its market data
SECOND: Final = 1_000_000_000
LENGTHS: Final = {"second": SECOND, "minute": 60 * SECOND, "hour": 3_600 * SECOND}
INTERVALS: Final[Mapping[Timeframe, str]] = {
    **{Timeframe("second", each): f"{each}S" for each in (1, 5, 15, 30)},
    **{Timeframe("minute", each): str(each) for each in (1, 3, 5, 15, 30, 60)},
    **{Timeframe("hour", each): str(60 * each) for each in (1, 2, 4, 6, 8, 12)},
}
PAGE: Final = 5_000  # bars of an answer; tplus has 18,000 at most
MOST_PAGES: Final = 20


class Klines(Struct, frozen=True):
    """A page."""

    items: list[m.Timebar]
    has_next_page: bool = False
    next_page: int | None = None


_untyped: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=exact_decimal).decode


class TplusRest(RestApi):
    """The history of the market data service, which needs no login."""

    def __init__(self, base: Base) -> None:
        self.host = base.http.partition("://")[2].partition("/")[0].lower()
        self.meters = {"rest": LIMIT}
        self._base = base

    def bars(self, asset: str, query: BarQuery) -> Call[tuple[Bar, ...]] | None:
        """Returns the read of bars that are over; None: tplus has no such interval."""
        interval = INTERVALS.get(query.every)
        if interval is None:
            return None
        name = f"bars({asset}, {query.every})"
        return Call(name, lambda _: until_failure(self._bars(asset, query, interval)))

    def _bars(self, asset: str, query: BarQuery, interval: str) -> Steps[tuple[Bar, ...]]:
        length = query.every.number * LENGTHS[query.every.unit]
        found: dict[int, Bar] = {}
        page = 0
        now_ns: int | None = None
        for _ in range(MOST_PAGES):
            asked = {"interval": interval, "limit": PAGE, "page": page, "end_timestamp_ns": query.end_ns}
            answer = yield self._request(f"/klines/{quote(asset, safe='@')}?{urlencode(asked)}")
            if answer.status != 200:
                raise NoResultError(refusal(answer, "bars"))
            now_ns = answer.date_ns if now_ns is None else now_ns
            klines = _read(answer.body, page)
            before = len(found)
            found.update({bar.start_ns: bar for bar in (_bar(row, length) for row in klines.items)})
            over = finished_bars(found, query, now_ns)
            enough = query.limit is not None and len(over) >= query.limit
            is_last = not klines.has_next_page or klines.next_page is None
            if is_last or enough or min(found, default=query.end_ns) <= query.start_ns:
                return over if query.limit is None else over[-query.limit :]
            if len(found) == before:
                raise _unreadable("a page brings nothing new, and more follow")
            page = klines.next_page or 0
        text = f"tplus has more than {MOST_PAGES * PAGE:,} bars in this time"
        raise NoResultError(Retryable(text, "cut", "Ask for a shorter time, or for fewer bars."))

    def _request(self, path: str) -> HttpRequest:
        headers = (("Accept", "application/json"), ("Origin", self._base.origin))
        return HttpRequest("GET", f"{self._base.http}{path}", headers)


def _read(body: bytes, page: int) -> Klines:
    """Returns what a page has. After a bare list that is full, the next page is asked for.

    Raises:
        NoResultError: it is no page.
    """
    try:
        found: Any = _untyped(body)
        if isinstance(found, list):
            found = {"items": found, "has_next_page": len(found) >= PAGE, "next_page": page + 1}
        klines: Klines = converted(found, Klines)
    except Exception as error:  # whatever came, it is no reason to raise
        raise _unreadable(str(error)[:200]) from None
    return klines


def _bar(row: m.Timebar, length: int) -> Bar:
    """Raises: NoResultError: it is a bar of another length."""
    start, end = row.open_timestamp_ns, row.close_timestamp_ns
    if start % length or not length - SECOND <= end - start <= length:  # an end may be the last moment of it
        raise _unreadable("a bar is of another interval")
    return Bar(start, start + length, row.open, row.high, row.low, row.close, row.volume)


def _unreadable(words: str) -> NoResultError:
    return NoResultError(Retryable(f"tplus' bars cannot be read: {words}", "tplus_history"))
