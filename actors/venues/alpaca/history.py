"""Trades and bars of a symbol from Alpaca's history, page by page.

Alpaca, "Historical trades" and "Historical bars": `start` and `end` are inclusive, to the nanosecond; a page
has at most 10,000 rows and may have fewer although more follow, which `next_page_token` tells. A page by its
token cannot be proved to follow the page before it, so a further page is asked for from the time of the
newest row on, and must contain that row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, Struct, UnsetType

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
    Steps,
    Timeframe,
    Topic,
    finished_bars,
    is_bounded,
    joined,
    status_reason,
    until_failure,
)
from actors.venues.alpaca import messages as m
from actors.venues.alpaca.endpoints import DataStream
from actors.venues.alpaca.errors import KEYS
from actors.venues.alpaca.timestamps import SECOND, text_of

T = TypeVar("T")
Row: TypeAlias = m.Trade | m.Bar
What: TypeAlias = Literal["trades", "bars"]

PATHS: Final = {"stocks": "/v2/stocks/{what}", "crypto": "/v1beta3/crypto/{place}/{what}"}
PAGE: Final = 10_000  # rows of a page, at most
MOST_PAGES: Final = 20
SPARE: Final = 50  # bars beyond those that are wanted: some are forming, or made of quotes
LIMIT: Final = FrameLimit(200, 60.0)  # Basic; other plans have more
TIMEOUT: Final = 10.0  # seconds
WORDS: Final = 200  # characters of the venue's that are told
MINUTE: Final = 60 * SECOND
LENGTHS: Final[Mapping[str, int]] = {"minute": MINUTE, "hour": 60 * MINUTE}

_TAGS: Final = {"trades": "t", "bars": "b"}
_ADVICE: Final = "Check stream and data_url in this feed's table."


class Page(Struct, frozen=True):
    """A page of one symbol. An entry has neither its kind nor its symbol; null: there is none."""

    trades: dict[str, list[dict[str, msgspec.Raw]] | None] | UnsetType | None = UNSET
    bars: dict[str, list[dict[str, msgspec.Raw]] | None] | UnsetType | None = UNSET
    next_page_token: str | None = None


class Complaint(Struct, frozen=True):
    """The body of a refusal."""

    code: int | None = None
    message: str = ""


_decode_page = msgspec.json.Decoder(Page).decode
_decode_row: Callable[[bytes], Row] = msgspec.json.Decoder(m.Trade | m.Bar).decode
_decode_complaint = msgspec.json.Decoder(Complaint).decode


def identity(event: Any) -> Hashable | None:
    """What is the same of one event in the stream and in the history; None: it has nothing of the kind.

    Ids of trades are those of an exchange, and of one of its reporting facilities: price and time
    belong to the identity. A bar is known by its minute.
    """
    if type(event) is m.Bar:
        at_ns = time_ns(event)
        return None if at_ns is None else (event.symbol, at_ns)
    if type(event) is m.Trade and event.id is not None and event.price.is_finite():
        at_ns = time_ns(event)
        exchange = "" if "/" in event.symbol else event.exchange  # pairs: not in each message
        return None if at_ns is None else (event.symbol, exchange, event.id, event.price, at_ns)
    return None


def time_ns(event: Any) -> int | None:
    """The time that a page is ordered by; None: it cannot be read."""
    try:
        at_ns: int = event.ts_ns
    except ValueError:
        return None
    return at_ns


class AlpacaRest(RestApi):
    """The history of one stream. `base`: where it is; `headers`: the keys."""

    def __init__(self, base: str, stream: DataStream, headers: tuple[tuple[str, str], ...]) -> None:
        self.host = base.partition("://")[2].lower()
        self.meters = {"rest": LIMIT}
        self._base, self._stream, self._headers = base, stream, headers

    def backfill(self, topic: Topic, loss: Loss) -> Call[Backfilled]:
        """Returns the read of the trades or bars of a loss."""
        what: What = "bars" if topic.channel == "bars" else "trades"
        name = f"backfill({topic.channel}/{topic.key})"
        return Call(name, lambda _: until_failure(self._backfilled(what, topic.key, loss)), timeout=TIMEOUT)

    def bars(self, query: BarQuery) -> Call[tuple[Bar, ...]] | None:
        """Returns the read of bars; None: Alpaca builds that timeframe in another way.

        Days and weeks of stocks begin at midnight in New York, and those of crypto in Chicago; hours of
        which a bar has several, and minutes that do not divide an hour, begin where is not documented.
        """
        every = spelled(query.every)
        if every is None:
            return None
        name = f"bars({query.key}, {query.every})"
        return Call(name, lambda _: until_failure(self._bars(query, every)), timeout=TIMEOUT)

    def _backfilled(self, what: What, symbol: str, loss: Loss) -> Steps[Backfilled]:
        chain: RowChain[Row] = RowChain(identity, time_ns)
        start, end = self._bounds(loss)
        for number in range(MOST_PAGES):
            try:
                rows, more, _ = yield from self._page(what, symbol, start, end)
            except NoResultError as failed:
                if number == 0:
                    raise
                return joined(chain.rows, loss, identity, time_ns, why=failed.words)
            if not chain.add(rows) and more:
                chain.why = chain.why or "a page of the venue's list brought nothing new"
            if chain.why or not more:
                return joined(chain.rows, loss, identity, time_ns, why=chain.why)
            start = chain.newest_ns or start
        why = f"the loss has more than {MOST_PAGES} pages, which are not asked for"
        return joined(chain.rows, loss, identity, time_ns, why=why)

    def _bounds(self, loss: Loss) -> tuple[int, int]:
        """From the last event before the loss to the first one after it, and both."""
        last = None if loss.last is None else time_ns(loss.last)
        first = None if loss.first is None else time_ns(loss.first)
        end = loss.until_ns - self._stream.delay * SECOND if first is None else first
        start = loss.since_ns if last is None else last
        return min(start, end), max(start, end)

    def _bars(self, query: BarQuery, every: str) -> Steps[tuple[Bar, ...]]:
        length = query.every.number * LENGTHS[query.every.unit]
        found: dict[int, m.Bar] = {}
        start, end, now_ns = query.start_ns, query.end_ns - 1, None
        newest_first = query.limit is not None
        size = PAGE if query.limit is None else min(PAGE, 2 * query.limit + SPARE)
        more = start <= end
        for _ in range(MOST_PAGES):
            if not more or _has(found, query, length, now_ns):
                return _finished(found, query, length, now_ns)
            span = start, end, "desc" if newest_first else "asc"
            rows, more, date_ns = yield from self._page("bars", query.key, *span, timeframe=every, limit=size)
            now_ns = date_ns if now_ns is None else now_ns
            before = len(found)
            found.update({_start(row): row for row in rows if type(row) is m.Bar})
            if more and len(found) == before:
                raise NoResultError(_unreadable("bars", "a page brings nothing new, and more follow"))
            if newest_first:
                end = min(found, default=end)
            else:
                start = max(found, default=start)
        raise NoResultError(
            Retryable(
                f"alpaca has more than {MOST_PAGES * PAGE:,} bars in this time",
                "cut",
                "Ask for a shorter time, or for fewer bars.",
            )
        )

    def _page(
        self,
        what: What,
        symbol: str,
        start: int,
        end: int,
        sort: str = "asc",
        *,
        timeframe: str = "1Min",
        limit: int = PAGE,
    ) -> Steps[tuple[list[Row], bool, int | None]]:
        """The rows of a page, whether more follow, and the venue's time.

        Raises:
            NoResultError: none came, or it cannot be read.
        """
        span = {"start": text_of(start), "end": text_of(end)}
        query = {"symbols": symbol, **span, "limit": str(limit), "sort": sort}
        if what == "bars":
            query["timeframe"] = timeframe
        if self._stream.kind == "stocks":
            query["feed"] = self._stream.history
        path = PATHS[self._stream.kind].format(what=what, place=self._stream.place)
        url = f"{self._base}{path}?{urlencode(query)}"
        answer = yield HttpRequest("GET", url, self._headers, timeout=TIMEOUT)
        if answer.status != 200:
            raise NoResultError(_refusal(answer, path))
        try:
            page = _decode_page(answer.body)
            rows = [_row(entry, what, symbol) for entry in _entries(page, what, symbol)]
        except Exception as error:  # whatever came, it is no reason to raise
            raise NoResultError(_unreadable(what, str(error)[:WORDS])) from None
        return rows, page.next_page_token is not None, answer.date_ns


def spelled(every: Timeframe) -> str | None:
    """Returns a timeframe as Alpaca writes it, if its bars begin at the clock in UTC; None: they may not."""
    if every.unit == "minute" and 60 % every.number == 0:
        return "1Hour" if every.number == 60 else f"{every.number}Min"
    return "1Hour" if every == Timeframe("hour") else None


def _entries(page: Page, what: What, symbol: str) -> list[dict[str, msgspec.Raw]]:
    """Raises: ValueError: it does not say which there are; null means none."""
    found = page.trades if what == "trades" else page.bars
    if found is UNSET:
        raise ValueError(f"it has no {what}")
    return (found or {}).get(symbol) or []


def _row(entry: dict[str, msgspec.Raw], what: What, symbol: str) -> Row:
    row = _decode_row(msgspec.json.encode({**entry, "T": _TAGS[what], "S": symbol}))
    amounts = (row.price, row.size) if type(row) is m.Trade else _amounts(row)
    if not all(is_bounded(Decimal(each)) for each in amounts) or time_ns(row) is None:
        raise ValueError("a row has an amount or a time that is none")
    return row


def _amounts(bar: Any) -> tuple[Any, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def _start(bar: Any) -> int:
    at_ns: int = bar.ts_ns
    return at_ns


def _finished(
    found: Mapping[int, m.Bar], query: BarQuery, length: int, now_ns: int | None
) -> tuple[Bar, ...]:
    """Bars of volume 0 are made of quotes: nothing was traded."""
    bars = {start: _bar(start, length, row) for start, row in found.items()}
    made = finished_bars(bars, query, now_ns)
    return made if query.limit is None else made[-query.limit :]


def _has(found: Mapping[int, m.Bar], query: BarQuery, length: int, now_ns: int | None) -> bool:
    return query.limit is not None and len(_finished(found, query, length, now_ns)) >= query.limit


def _bar(start: int, length: int, bar: m.Bar) -> Bar:
    prices = bar.open, bar.high, bar.low, bar.close
    return Bar(start, start + length, *prices, Decimal(bar.volume), bar.trades)


def _refusal(answer: HttpAnswer, path: str) -> CallRefused | Reason:
    """The venue's words where the request is at fault, or the plan: asking again brings the same.

    Alpaca, "Market Data FAQ": 403 also tells of a plan without recent data of the SIP.
    """
    try:
        said = _decode_complaint(answer.body)
    except Exception:
        said = Complaint()
    words = said.message[:WORDS]
    of_plan = answer.status == 403 and "subscription" in words.lower()
    if answer.status in {400, 422} or of_plan:
        return CallRefused(path, said.code or answer.status, "", words)
    text = f"alpaca's data server answers {answer.status} to {path}"
    return status_reason(answer, text, KEYS if answer.status in {401, 403} else _ADVICE)


def _unreadable(what: str, words: str) -> Retryable:
    return Retryable(f"alpaca's history of {what} cannot be read: {words}", "alpaca_history")
