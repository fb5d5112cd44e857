"""O2's history: bars of a market, and the trades of a loss.

O2's REST documents no limit of requests, neither the bounds of `to` nor whether the row that a page starts at
belongs to it. So bars are chosen by their time, and a page of trades starts one row before its end: whichever
it is, the pages overlap. Prices and quantities are integers in units of the chain, as in the stream; that the
volume of a bar is in units of the base is unconfirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from actors.protocol import (
    Backfilled,
    Bar,
    BarQuery,
    Call,
    CallRefused,
    FrameLimit,
    HttpAnswer,
    HttpRequest,
    Loss,
    NoResultError,
    Reason,
    RestApi,
    Retryable,
    RowChain,
    Slow,
    Steps,
    Timeframe,
    finished_bars,
    is_bounded,
    joined,
    status_reason,
    until_failure,
)
from actors.venues.o2 import messages as m
from actors.venues.o2.markets import PATH, KnownMarkets, is_name, read_markets

T = TypeVar("T")

LIMIT: Final = FrameLimit(60, 60.0)  # ours
MILLISECOND: Final = 1_000_000  # nanoseconds
SECOND: Final = 1_000 * MILLISECOND
LENGTHS: Final = {"second": SECOND, "minute": 60 * SECOND, "hour": 3_600 * SECOND}
RESOLUTIONS: Final[Mapping[Timeframe, str]] = {
    Timeframe("second"): "1s",
    **{Timeframe("minute", each): f"{each}m" for each in (1, 2, 3, 5, 15, 30)},
    Timeframe("minute", 60): "1h",
    **{Timeframe("hour", each): f"{each}h" for each in (1, 2, 4, 6, 8, 12)},
}
MOST_BARS: Final = 5_000  # of an answer
PAGE: Final = 50  # trades of an answer, at most
MOST_PAGES: Final = 20
GROWTH: Final = 10  # how much longer a time is asked for after one with few bars
WORDS: Final = 200  # characters of the venue's that are told


class BarRow(Struct, frozen=True):
    """`time`: its beginning, milliseconds since 1970."""

    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Bars(Struct, frozen=True):
    bars: list[BarRow]


class Trades(Struct, frozen=True):
    trades: list[m.TradeEntry]


# Not strict: "123" is read as the integer 123. A list may stand by itself.
_decode_bars: Callable[[bytes], list[BarRow] | Bars] = msgspec.json.Decoder(
    list[BarRow] | Bars, strict=False
).decode
_decode_trades: Callable[[bytes], list[m.TradeEntry] | Trades] = msgspec.json.Decoder(
    list[m.TradeEntry] | Trades, strict=False
).decode
_decode_failure = m.decode_failure


def identity(event: Any) -> str | None:
    """The id of a trade."""
    return event.trade_id if isinstance(event, m.Trade) else None


def time_ns(event: Any) -> int | None:
    """The time of a trade; None: it has none."""
    at_ms = event.timestamp_ms if isinstance(event, m.Trade) else None
    return None if at_ms is None else at_ms * MILLISECOND


class O2Rest(RestApi):
    """The history of one network. `base`: where it is; `markets`: what is known of names."""

    def __init__(self, base: str, markets: KnownMarkets | None = None) -> None:
        self.host = base.partition("://")[2].lower()
        self.meters = {"rest": LIMIT}
        self._base = base
        self._markets = markets or KnownMarkets()

    def bars(self, query: BarQuery) -> Call[tuple[Bar, ...]] | None:
        """Returns the read of bars that are over; None: O2 has no such timeframe."""
        resolution = RESOLUTIONS.get(query.every)
        if resolution is None:
            return None
        name = f"bars({query.key}, {query.every})"
        return Call(name, lambda _: until_failure(self._bars(query, resolution)))

    def backfill(self, market: str, loss: Loss) -> Call[Backfilled]:
        """Returns the read of the trades of a loss."""
        return Call(f"backfill(trades/{market})", lambda _: until_failure(self._backfilled(market, loss)))

    def _bars(self, query: BarQuery, resolution: str) -> Steps[tuple[Bar, ...]]:
        """From the newest backwards. Whether O2 limits the bars or the time of an answer is not documented.

        So each time begins as short as is certain to be allowed, and is longer where bars are few.
        """
        market = yield from self._id(query.key)
        length = query.every.number * LENGTHS[query.every.unit]
        least = (MOST_BARS - 1) * length  # `to` may belong to it
        span, growth = least, GROWTH
        found: dict[int, Bar] = {}
        end, now_ns = query.end_ns, None
        for _ in range(MOST_PAGES):
            start = max(query.start_ns, end - span)
            try:
                rows, date_ns = yield from self._bar_page(market, resolution, start, end)
            except NoResultError as failed:
                if span == least or not isinstance(failed.failure, CallRefused):
                    raise
                span, growth = least, 1
                continue
            if len(rows) >= MOST_BARS and span > least:  # some may be left out
                span, growth = least, 1
                continue
            now_ns = date_ns if now_ns is None else now_ns
            found.update({bar.start_ns: bar for bar in (_bar(row, length) for row in rows)})
            end = start
            over = finished_bars(found, query, now_ns)
            if end <= query.start_ns or (query.limit is not None and len(over) >= query.limit):
                return over if query.limit is None else over[-query.limit :]
            span *= growth if len(rows) * growth < MOST_BARS else 1
        text = f"o2 has {MOST_PAGES * MOST_BARS:,} bars at most in this time"
        raise NoResultError(Retryable(text, "cut", "Ask for a shorter time, or for fewer bars."))

    def _bar_page(
        self, market: str, resolution: str, start: int, end: int
    ) -> Steps[tuple[list[BarRow], int | None]]:
        query = {"market_id": market, "from": start // MILLISECOND, "to": -(-end // MILLISECOND)}
        answer = yield from self._get("/v1/bars", query | {"resolution": resolution})
        page = _read(_decode_bars, answer, "bars")
        rows = page.bars if isinstance(page, Bars) else page
        if not all(is_bounded(each) for row in rows for each in msgspec.structs.astuple(row)[1:]):
            raise _unreadable("bars")
        return rows, answer.date_ns

    def _backfilled(self, market: str, loss: Loss) -> Steps[Backfilled]:
        """From the newest trade backwards, until the last one before the loss has come."""
        pages: list[list[m.Trade]] = []
        id = yield from self._id(market)
        query: dict[str, object] = {"market_id": id, "direction": "desc", "count": PAGE}
        why = f"the loss has more than {MOST_PAGES} pages, which are not asked for"
        for _ in range(MOST_PAGES):
            try:
                page = yield from self._trade_page(market, query)
            except NoResultError as failed:
                if not pages:
                    raise
                why = failed.words
                break
            known = bool(pages) and {identity(each) for each in page} <= {identity(each) for each in pages[0]}
            if known or not page or time_ns(page[0]) is None:
                why = ""
                break
            pages.insert(0, page)
            if _reaches(page, loss) or len(page) < 2:
                why = ""
                break
            query |= {"start_timestamp": page[1].timestamp_ms, "start_trade_id": page[1].trade_id}
        chain: RowChain[m.Trade] = RowChain(identity, time_ns)
        for page in pages:
            chain.add(page)
        return joined(chain.rows, loss, identity, time_ns, why=why or chain.why)

    def _trade_page(self, market: str, query: Mapping[str, object]) -> Steps[list[m.Trade]]:
        """The trades of a page, oldest first."""
        answer = yield from self._get("/v1/trades", query)
        page = _read(_decode_trades, answer, "trades")
        entries = page.trades if isinstance(page, Trades) else page
        try:
            rows = [m.the_trade(entry, market, m.TradesFrame()) for entry in entries]
        except ValueError:
            raise _unreadable("trades") from None
        if rows and (time_ns(rows[0]) or 0) >= (time_ns(rows[-1]) or 0):
            rows.reverse()
        return rows

    def _id(self, market: str) -> Steps[str]:
        """The id of a market; O2's list is asked for where the last one lacks its name."""
        if not is_name(market):
            return market
        id = self._markets.id(market)
        if id is None:
            answer = yield from self._get(PATH, {})
            self._markets.keep(_read(read_markets, answer, "markets"))
            id = self._markets.id(market)
        if id is None:
            raise NoResultError(CallRefused(f"market {market}", None, "", self._markets.mistake(market)))
        return id

    def _get(self, path: str, query: Mapping[str, object]) -> Steps[HttpAnswer]:
        asked = f"?{urlencode(query)}" if query else ""
        answer = yield HttpRequest("GET", f"{self._base}{path}{asked}")
        if answer.status != 200:
            raise NoResultError(_refusal(answer, path))
        return answer


def _read(decode: Callable[[bytes], T], answer: HttpAnswer, what: str) -> T:
    try:
        return decode(answer.body)
    except Exception:
        raise _unreadable(what) from None


def _reaches(page: list[m.Trade], loss: Loss) -> bool:
    """Whether a page, oldest first, has what is from before the loss."""
    since = loss.since_ns if loss.last is None else time_ns(loss.last)
    oldest = time_ns(page[0])
    return oldest is not None and since is not None and oldest < since


def _bar(row: BarRow, length: int) -> Bar:
    """Raises: NoResultError: it does not begin at a whole number of its length."""
    start = row.time * MILLISECOND
    if start % length:
        raise _unreadable("bars")
    return Bar(start, start + length, row.open, row.high, row.low, row.close, row.volume)


def _refusal(answer: HttpAnswer, path: str) -> CallRefused | Reason:
    """The venue's code and words, where the request is at fault."""
    try:
        failure = _decode_failure(answer.body)
    except Exception:
        failure = m.Failure()
    code = failure.code if isinstance(failure.code, int) else None
    text = f"o2 answers {answer.status} to {path}"
    if code == 1003 and answer.status != 429:  # O2's codes: rate limited
        return Slow(text, "o2_1003", shared=True)
    if code is not None and 400 <= answer.status < 500 and answer.status not in {401, 429}:
        return CallRefused(path, code, "", failure.text[:WORDS])
    return status_reason(answer, text, "Check network and url in this feed's table.")


def _unreadable(what: str) -> NoResultError:
    return NoResultError(Retryable(f"o2's list of {what} cannot be read", "o2_history"))
