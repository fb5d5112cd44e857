"""One market of tplus as it is told: a numbered book, its bars, its ticker, its trades."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact
from typing import Any, NamedTuple

from actors.simulators.base.random_market import Levels, Market, Move

Number = Decimal | str | int
Level = tuple[Number, Number]  # price, and its new quantity: 0 where the level is gone
Row = dict[str, Any]

PRICE_DECIMALS, QUANTITY_DECIMALS = 2, 3  # of book units
BOOK_DECIMALS = {"book_price_decimals": PRICE_DECIMALS, "book_quantity_decimals": QUANTITY_DECIMALS}
FIRST = 9000  # the sequence number before the first diff

_DIGITS = 18  # after the point; the market counts in the last of them
_UNIT = 10**_DIGITS
_EXACT = Context(prec=120, traps=[Inexact])
_BAR_NS = 60 * 1_000_000_000
_BARS = 500
_TRADES = 1000
_PRICES: tuple[tuple[str, Number], ...] = (("BTC", "101.5"), ("ETH", "3000"), ("SOL", "150.25"))


class Picture(NamedTuple):
    """A book as it is: quantity by price, and the number of the last diff in it."""

    bids: dict[Decimal, Decimal]
    asks: dict[Decimal, Decimal]
    sequence: int


def whole(number: Number) -> int:
    """A decimal in the market's units. Raises ValueError beyond 18 places, or where it is no number."""
    try:
        units = _EXACT.scaleb(Decimal(str(number)), _DIGITS)
        if units == int(units):
            return int(units)
    except (ArithmeticError, ValueError, OverflowError):
        pass
    raise ValueError(f"{number!r} is no decimal number with at most {_DIGITS} places")


def spell(units: int, places: int = 0) -> str:
    """The market's units as a decimal string, with at least so many places."""
    before, after = divmod(abs(units), _UNIT)
    text = f"{after:0{_DIGITS}d}".rstrip("0").ljust(places, "0")
    return f"{'-' if units < 0 else ''}{before}{'.' if text else ''}{text}"


class Listing:
    """The market behind an asset. Everything told of it is made here; nothing is sent."""

    def __init__(self, asset: str, number: int, *, seed: int, moving: bool) -> None:
        symbol, price = _PRICES[number % len(_PRICES)]
        self.asset = asset
        self.symbol = symbol if number < len(_PRICES) else f"{symbol}{number // len(_PRICES)}"
        self.sequence = FIRST
        self.last_diff = b""
        self.market = Market(
            asset,
            price=whole(price),
            tick=_UNIT // 10**PRICE_DECIMALS,
            lot=_UNIT // 10,
            seed=seed,
            moving=moving,
        )
        self.trades: deque[Row] = deque(maxlen=_TRADES)  # confirmed, newest last
        self.bars: deque[Row] = deque(maxlen=_BARS)  # newest last
        self._opening = self.market.last
        self._range = (self.market.last, self.market.last)
        self._volume = 0

    # the book

    def change(self, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> Row:
        """Sets levels to new quantities; the diff that tells so. Raises ValueError on a bad number."""
        sides = [[(whole(price), whole(quantity)) for price, quantity in side] for side in (bids, asks)]
        if any(price <= 0 or quantity < 0 for side in sides for price, quantity in side):
            raise ValueError("a price is above 0, and a quantity 0 or more")
        self.market.set(*sides)
        return self._diff(*sides)

    def moved(self, buys: Iterable[Move], sells: Iterable[Move]) -> Row:
        """The diff after the market itself changed these levels: what is there now, each price once."""
        return self._diff(*self.market.left(buys, sells))

    def touch(self) -> Row:
        """A diff that surely changes something: one lot more at the best bid, or a first bid."""
        bids = self.market.bids
        price = max(bids, default=min(self.market.asks, default=self.market.last) - self.market.tick)
        return self.change(bids=[(spell(price), spell(bids.get(price, 0) + self.market.lot))])

    def unknown_level(self) -> Row:
        """A diff that takes away what is not there."""
        price = min(self.market.asks, default=self.market.last)
        while price in self.market.asks:
            price += self.market.tick
        return self.change(asks=[(spell(price), 0)])

    def snapshot(self) -> Row:
        return self._rows(*self.market.book())

    def picture(self) -> Picture:
        return Picture(_decimal(self.market.bids), _decimal(self.market.asks), self.sequence)

    def _diff(self, bids: Iterable[Move], asks: Iterable[Move]) -> Row:
        self.sequence += 1
        return self._rows(bids, asks)

    def _rows(self, bids: Iterable[Move], asks: Iterable[Move]) -> Row:
        return {
            "asks": [_level(*each) for each in asks],
            "bids": [_level(*each) for each in bids],
            "sequence_number": self.sequence,
        }

    # trades, bars, ticker

    def trade(self, *, price: int | None = None, quantity: int | None = None, number: int = 0) -> Row:
        """A trade that is confirmed at once; the caller says where it differs."""
        return {
            "asset_id": self.asset,
            "trade_id": number or self.market.number(),
            "order_id": "",
            "price": spell(self.market.last if price is None else price, PRICE_DECIMALS),
            "quantity": spell(self.market.lot if quantity is None else quantity),
            "timestamp_ns": time.time_ns(),
            "buyer_is_maker": False,
            "status": "Confirmed",
        }

    def confirmed(self, trade: Mapping[str, Any]) -> None:
        """Counts a trade in: list, bar, ticker. One whose numbers are none is told, not counted."""
        self.trades.append(dict(trade))
        try:
            price, quantity = whole(trade["price"]), whole(trade["quantity"])
        except ValueError:
            return
        self.market.last = price
        self._range = (min(self._range[0], price), max(self._range[1], price))
        self._volume += quantity
        bar = self.bar()
        bar["close"] = spell(price, PRICE_DECIMALS)
        bar["high"] = max(bar["high"], bar["close"], key=Decimal)
        bar["low"] = min(bar["low"], bar["close"], key=Decimal)
        bar["volume"] = spell(whole(bar["volume"]) + quantity)

    def bar(self) -> Row:
        """The bar of this minute; it is open, and the newest there is."""
        begin = time.time_ns() // _BAR_NS * _BAR_NS
        if not self.bars or self.bars[-1]["open_timestamp_ns"] < begin:
            at = spell(self.market.last, PRICE_DECIMALS)
            prices = dict.fromkeys(("open", "high", "low", "close"), at)
            stamps = {"open_timestamp_ns": begin, "close_timestamp_ns": begin + _BAR_NS}
            self.bars.append({**prices, "volume": "0", **stamps})
        return self.bars[-1]

    def klines(self, seconds: int) -> list[Row]:
        """Bars of this length out of the trades, oldest first; minutes are those that were told."""
        length = seconds * 10**9
        made: dict[int, Row] = {}
        for trade in self.trades:
            begin = trade["timestamp_ns"] // length * length
            made[begin] = _grown(made.get(begin), begin, length, trade)
        if length == _BAR_NS:
            self.bar()
            made |= {bar["open_timestamp_ns"]: bar for bar in self.bars}
        return [made[begin] for begin in sorted(made)]

    def ticker(self) -> Row:
        market, now = self.market, time.time_ns()
        last = spell(market.last, PRICE_DECIMALS)
        change = market.last - self._opening
        bid, ask = max(market.bids, default=0), min(market.asks, default=0)
        percent = change * 100 * 10**4 // self._opening * _UNIT // 10**4
        low, high = (spell(each, PRICE_DECIMALS) for each in self._range)
        prices = {"last_price": last, "mark_price": last, "index_price": None}
        top = {"best_bid": _best(bid, market.bids), "best_ask": _best(ask, market.asks)}
        interest = {"long": "12.5", "short": "12.5", "timestamp_ns": now}
        day = {"volume_24h": spell(self._volume), "high_24h": high, "low_24h": low}
        moved = {"price_change_24h": spell(change, PRICE_DECIMALS), "price_change_pct_24h": spell(percent)}
        about = {"asset_id": self.asset, "timestamp_ns": now}
        return {**about, **prices, **top, **day, **moved, "open_interest": interest}

    def terms(self) -> Row:
        """Its entry in `/markets`."""
        sizes = {"min_order_size": QUANTITY_DECIMALS, "tick_size": PRICE_DECIMALS}
        steps = {name: spell(_UNIT // 10**decimals) for name, decimals in sizes.items()}
        margin = {"max_leverage": "10", "isolated_only": False}
        return {"asset_id": self.asset, **BOOK_DECIMALS, **steps, **margin}


def _grown(bar: Row | None, begin: int, length: int, trade: Row) -> Row:
    price, volume = str(trade["price"]), Decimal(str(trade["quantity"]))
    if bar is None:
        prices = dict.fromkeys(("open", "high", "low", "close"), price)
        stamps = {"open_timestamp_ns": begin, "close_timestamp_ns": begin + length}
        return {**prices, "volume": f"{volume:f}", **stamps}
    highest = max(bar["high"], price, key=Decimal)
    lowest = min(bar["low"], price, key=Decimal)
    total = f"{Decimal(bar['volume']) + volume:f}"
    return {**bar, "high": highest, "low": lowest, "close": price, "volume": total}


def _level(price: int, quantity: int) -> list[str]:
    return [spell(price, PRICE_DECIMALS), spell(quantity)]


def _best(price: int, levels: Levels) -> Row | None:
    return {"price": spell(price, PRICE_DECIMALS), "size": spell(levels[price])} if price else None


def _decimal(levels: Levels) -> dict[Decimal, Decimal]:
    return {Decimal(spell(price)): Decimal(spell(quantity)) for price, quantity in levels.items()}
