"""Prices that a program puts beside those of a feed: what it may give, what is kept, and their order."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct

from actors.errors import LinewardenError
from actors.protocol.numbers import LAST_NS, exact_decimal, is_bounded
from actors.protocol.prices import Price
from actors.rules.latest_price import LONGEST, REST, STREAM, Candidates, PricePart, newer

LIMIT: Final = 16_384  # symbols of one feed; the one that was put longest ago goes
SOURCES: Final = 8  # of one feed: a source is a vendor or a poller, and no question
AHEAD_NS: Final = 60 * 10**9  # how far a venue's clock may be ahead of ours
OLDEST_NS: Final = 946_684_800 * 10**9  # the year 2000: a smaller number is in another unit
SOURCE: Final = r"^[A-Za-z0-9_.:-]{1,64}\Z"

Exact = Decimal | int | float | str
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def order_of(listed: Sequence[str], known: Iterable[str]) -> list[str]:
    """The sources in the order in which they are looked at.

    The stream first and the venue's REST last, unless they are `listed`; between them the listed ones, then
    the others, by their first price.
    """
    others = [each for each in known if each not in listed]
    first, last = ([each] if each not in listed else [] for each in (STREAM, REST))
    return [*first, *listed, *others, *last]


# ── what is given ───────────────────────────────────────────────────────────────────────────────


class GivenPrice(Struct, frozen=True, kw_only=True):
    """What a program gives, as it gives it."""

    bid: Exact | None = None
    bid_size: Exact | None = None
    ask: Exact | None = None
    ask_size: Exact | None = None
    last: Exact | None = None
    last_size: Exact | None = None
    at: datetime | int | None = None

    def price(self, symbol: str, now_ns: int) -> Price:
        """The same with exact numbers.

        Raises:
            LinewardenError: there is no price in it, or a value is none that a price can have.
        """
        if self.bid is None and self.ask is None and self.last is None:
            raise _mistake(symbol, "has none of bid, ask and last: give one of them at least")
        bid, bid_size = _pair(symbol, "bid", self.bid, self.bid_size)
        ask, ask_size = _pair(symbol, "ask", self.ask, self.ask_size)
        last, last_size = _pair(symbol, "last", self.last, self.last_size)
        at_ns = None if self.at is None else _nanoseconds(symbol, self.at, now_ns)
        return Price(symbol, bid, bid_size, ask, ask_size, last, last_size, at_ns, at_ns)


def check_source(source: object) -> None:
    """Raises LinewardenError for what is no name of a source of a program's own."""
    if not isinstance(source, str) or re.match(SOURCE, source) is None:
        text = "letters, digits and any of _ . : - and at most 64 of them"
        raise LinewardenError(f"source names where a price comes from, in {text}: not {_shown(source)}")
    if source in (STREAM, REST):
        raise LinewardenError(f"{source!r} is a source of the feed itself: give yours another name")


def _pair(symbol: str, name: str, price: object, size: object) -> tuple[Decimal | None, Decimal | None]:
    """A price and its size."""
    if size is not None and price is None:
        raise _mistake(symbol, f"has {name}_size without {name}")
    exact = _exact(symbol, f"{name}_size", size)
    if exact is not None and exact < 0:
        raise _mistake(symbol, f"has {name}_size={exact}: expected 0 or more")
    return _exact(symbol, name, price), exact


def _exact(symbol: str, name: str, value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        match value:
            case bool():
                pass
            case Decimal() if is_bounded(value):
                return value
            case float():
                return _finite(repr(float(value)))
            case int() | str():
                return _finite(str(value))
    except (ArithmeticError, ValueError):
        pass
    expected = "a finite Decimal, int or float, or such a number as text"
    raise _mistake(symbol, f"has {name}={_shown(value)}: expected {expected}")


def _finite(text: str) -> Decimal:
    number = exact_decimal(text)
    if not number.is_finite():
        raise ValueError
    return number


def _nanoseconds(symbol: str, at: object, now_ns: int) -> int:
    match at:
        case datetime() if at.utcoffset() is None:
            advice = "give one with a zone, such as datetime.now(UTC)"
            raise _mistake(symbol, f"has a time without a zone (at={_shown(at)}): {advice}")
        case datetime():
            at_ns = (at - _EPOCH) // timedelta(microseconds=1) * 1_000
        case int() if not isinstance(at, bool):
            at_ns = at
        case _:
            text = "expected a datetime with a zone, or nanoseconds since 1970 as an int"
            raise _mistake(symbol, f"has at={_shown(at)}: {text}")
    if at_ns < OLDEST_NS:
        unit = "" if isinstance(at, datetime) else ", in nanoseconds since 1970; is it in another unit?"
        raise _mistake(symbol, f"has at={_shown(at)}, which is before the year 2000{unit}")
    if at_ns >= LAST_NS:
        raise _mistake(symbol, "has a time (at) after the year 2262, in nanoseconds since 1970")
    if at_ns > now_ns + AHEAD_NS:
        ahead = (at_ns - now_ns) / 1e9
        text = f"is {ahead:,.0f} s in the future (at={_shown(at)}): check its unit and both clocks"
        raise _mistake(symbol, text)
    return at_ns


def _shown(value: object) -> str:
    try:
        shown = repr(value)
    except ValueError:  # of an int with thousands of digits
        return "a very large number"
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _mistake(symbol: str, text: str) -> LinewardenError:
    return LinewardenError(f"the price of {symbol} {text}. Nothing was put")


# ── what is kept ────────────────────────────────────────────────────────────────────────────────


class ForeignPart(Struct):
    """The newest quote and the newest trade of one symbol, from one source."""

    quote: PricePart | None = None
    trade: PricePart | None = None


class FeedPrices:
    """What was put for one feed. One thread at a time."""

    def __init__(self) -> None:
        self.sources: dict[str, None] = {}  # by their first price
        self._symbols: OrderedDict[str, dict[str, ForeignPart]] = OrderedDict()  # that put longest ago first

    def put(self, source: str, price: Price, now: float, until: float | None) -> None:
        """Replaces the parts that this price has, unless a newer one is kept, by the venue's time.

        Raises:
            LinewardenError: the feed has too many sources, or the symbol is too long.
        """
        if len(price.symbol) > LONGEST:
            raise _mistake(price.symbol[:60], f"has a symbol of more than {LONGEST} characters")
        if source not in self.sources and len(self.sources) >= SOURCES:
            names = ", ".join(self.sources)
            text = f"a feed has {SOURCES} sources of prices at most, and {source!r} would be one more"
            raise LinewardenError(f"{text}. There are: {names}")
        self.sources[source] = None
        if price.symbol not in self._symbols and len(self._symbols) >= LIMIT:
            self._symbols.popitem(last=False)
        by_source = self._symbols.setdefault(price.symbol, {})
        self._symbols.move_to_end(price.symbol)
        kept = by_source.setdefault(source, ForeignPart())
        if price.bid is not None or price.ask is not None:
            kept.quote = _newest(kept.quote, PricePart(price, now, price.quoted_ns, until), now)
        if price.last is not None:
            kept.trade = _newest(kept.trade, PricePart(price, now, price.traded_ns, until), now)

    def candidates(self, source: str, symbol: str) -> Candidates:
        """What is kept of a symbol from a source."""
        found = Candidates(source)
        kept = self._symbols.get(symbol, {}).get(source)
        if kept is not None:
            found.quote, found.trade = kept.quote, kept.trade
        return found

    def __len__(self) -> int:
        return len(self._symbols)


def _newest(kept: PricePart | None, part: PricePart, now: float) -> PricePart:
    return part if kept is not None and kept.is_over(now) else newer(kept, part)
