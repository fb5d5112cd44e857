"""What Alpaca tells of a symbol, as its messages have it, from an order book that walks at random.

No socket and no clock: the time is told. A message is a dict with its T and, news excepted, its S.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from actors.simulators.alpaca.endpoints import Kind, kind_of
from actors.simulators.alpaca.payloads import Stamp
from actors.simulators.base.random_market import Market, Move

Told = dict[str, Any]
News = tuple[str, Told]  # a channel, and a message for it
Clock = Callable[[], Stamp]

_MINUTE = 60 * 10**9  # ns
_DAY = 1440 * _MINUTE
_REMEMBERED = {"trades": 5_000, "bars": 5_000}  # messages of a kind, for the history pages
_FEW = 1_000  # of other kinds

# what is known from the start: a symbol and its first price, in units
KNOWN: Mapping[str, int] = {
    "AAPL": 19_000,
    "MSFT": 41_500,
    "SPY": 52_000,
    "FAKEPACA": 13_388,
    "BTC/USD": 7_000_050,
    "ETH/USD": 350_025,
    "AAPL281215C00200000": 1_250,
    "SPY281215P00500000": 2_305,
}


class Shape(Struct, frozen=True):
    """How prices and sizes of a kind of symbol are written."""

    tick: int  # cents
    lot: int
    size_unit: float  # what a quantity of 1 is on the wire

    def price(self, units: int) -> float:
        return units / 100

    def size(self, quantity: int) -> float:
        """Whole sizes are written without a point, and so is nothing."""
        return quantity if self.size_unit == 1 or not quantity else round(quantity * self.size_unit, 9)

    def moves(self, levels: Mapping[float, float]) -> list[Move]:
        return [(round(price * 100), round(size / self.size_unit)) for price, size in levels.items()]

    def levels(self, moves: Iterable[Move]) -> dict[float, float]:
        return {self.price(price): self.size(quantity) for price, quantity in moves}


_STOCK = Shape(tick=1, lot=1, size_unit=1)
_CRYPTO = Shape(tick=50, lot=100, size_unit=0.0001)
_OPTION = Shape(tick=5, lot=1, size_unit=1)
SHAPES: Mapping[Kind, Shape] = {"stocks": _STOCK, "test": _STOCK, "crypto": _CRYPTO, "options": _OPTION}


class Listing:
    """One symbol: its book, the last that was told of it, and the bars that grow."""

    def __init__(self, symbol: str, seed: int, moving: bool, clock: Clock) -> None:
        self.symbol = symbol
        self.kind = kind_of(symbol)
        self.shape = SHAPES[self.kind]
        self.history: dict[str, deque[Told]] = {}  # by channel
        self.moments: dict[str, deque[float]] = {}  # when each was told, monotonic seconds
        self._clock = clock
        self._random = random.Random(f"{seed}/{symbol}")
        price = KNOWN.get(symbol) or self._random.randint(20, 400) * 100
        tick, lot = self.shape.tick, self.shape.lot
        self.market = Market(symbol, price=price, tick=tick, lot=lot, seed=seed, moving=moving)
        self._bars: dict[int, tuple[int, Told]] = {_MINUTE: (0, {}), _DAY: (0, {})}  # by length in ns

    # messages, one of each kind

    def quote(self, bid: float | None = None, ask: float | None = None) -> Told:
        """The top of the book, or these prices; 0: that side is missing."""
        bids, asks = self.market.bids, self.market.asks
        best_bid, best_ask = max(bids, default=0), min(asks, default=0)
        bid = self.shape.price(best_bid) if bid is None else bid
        ask = self.shape.price(best_ask) if ask is None else ask
        told: Told = {
            "bp": bid,
            "bs": self.shape.size(bids.get(best_bid, 1)) if bid else 0,
            "ap": ask,
            "as": self.shape.size(asks.get(best_ask, 1)) if ask else 0,
        }
        match self.kind:
            case "options":
                told |= {"bx": "C", "ax": "C", "c": "A"}
            case "stocks" | "test":
                told |= {"bx": "V" if bid else "", "ax": "V" if ask else "", "c": ["R"]}
        return self._told("q", **told)

    def trade(self, price: float | None = None, size: float | None = None, number: int = 0) -> Told:
        """A trade with this id, or with the next one. Those of options have none."""
        number = number or self.market.number()
        told: Told = {
            "p": self.shape.price(self.market.last) if price is None else price,
            "s": self.shape.size(self.shape.lot) if size is None else size,
        }
        match self.kind:
            case "options":
                told |= {"x": "C", "c": "a"}
            case "crypto":
                told |= {"i": number, "tks": self._random.choice("BS")}
            case _:
                told |= {"i": number, "x": "V", "c": ["@"]}
        return self._told("t", **told)

    def bar(self, channel: str = "bars") -> Told:
        """The minute's or, on `dailyBars`, the day's so far. Its tag is the channel's first letter."""
        price = self.shape.price(self.market.last)
        length = _DAY if channel == "dailyBars" else _MINUTE
        now = self._clock().ns
        slot, known = self._bars[length]
        # A minute without trades has a bar as well: crypto's bars are made of quotes.
        still = {"o": price, "h": price, "l": price, "c": price, "v": 0, "n": 0, "vw": price}
        prices = known if slot == now // length else still
        start = Stamp.at(now - now % length)
        return {"T": channel[0], "S": self.symbol, **prices, "t": start}

    def book(self) -> Told:
        """All of it: a reset."""
        return self._book(*self.market.book()) | {"r": True}

    def set_levels(self, bids: Mapping[float, float], asks: Mapping[float, float]) -> Told:
        """Levels that are what is told of them from now on; a size of 0 removes one."""
        self.market.set(self.shape.moves(bids), self.shape.moves(asks))
        return self._told("o", b=_written(bids), a=_written(asks))

    def status(self, code: str = "T", message: str = "Trading Resumption", reason: str = "") -> Told:
        return self._told("s", sc=code, sm=message, rc=reason, rm="")

    def luld(self) -> Told:
        price = self.shape.price(self.market.last)
        return self._told("l", u=round(price * 1.1, 2), d=round(price * 0.9, 2), i="B")

    def imbalance(self) -> Told:
        return self._told("i", p=self.shape.price(self.market.last))

    def correction(self) -> Told:
        """The last trade was another: a cent less, with the next id."""
        old = self.last("trades")
        new = {"ci": self.market.number(), "cp": round(old["p"] - 0.01, 2), "cs": old["s"], "cc": old["c"]}
        return self._told("c", x=old["x"], oi=old["i"], op=old["p"], os=old["s"], oc=old["c"], **new)

    def cancel_error(self) -> Told:
        """The last trade never was."""
        old = self.last("trades")
        return self._told("x", i=old["i"], x=old["x"], p=old["p"], s=old["s"], a="C")

    # what goes on

    def step(self) -> list[News]:
        """The market moves once: what there is to tell of it."""
        top = self._top()
        step = self.market.step()
        heard: list[News] = []
        if self.kind == "crypto" and (step.buys or step.sells):
            heard.append(("orderbooks", self._book(*self.market.left(step.buys, step.sells))))
        if top != self._top():
            heard.append(("quotes", self.quote()))
        if step.trade:
            price, size = self.shape.price(step.trade.price), self.shape.size(step.trade.quantity)
            heard.append(("trades", self.trade(price, size, step.trade.number)))
            heard += self._aftermath()
        return heard

    def remember(self, channel: str, told: Told) -> None:
        """A message was sent: REST answers with it as well."""
        most = _REMEMBERED.get(channel, _FEW)
        self.history.setdefault(channel, deque(maxlen=most)).append(told)
        self.moments.setdefault(channel, deque(maxlen=most)).append(time.monotonic())
        if channel == "trades" and isinstance(told["t"], Stamp):
            price, size, now = told["p"], told["s"], told["t"].ns
            for length, known in self._bars.items():
                slot = now // length
                bar = known[1] if known[0] == slot else {}
                self._bars[length] = (slot, grown(bar, price, size))

    def last(self, channel: str) -> Told:
        """The last that was told on that channel or, where that is nothing, what would be."""
        if told := self.history.get(channel):
            return told[-1]
        make: Mapping[str, Callable[[], Told]] = {
            "quotes": self.quote,
            "trades": self.trade,
            "bars": self.bar,
            "dailyBars": lambda: self.bar("dailyBars"),
            "orderbooks": self.book,
        }
        told_now = make[channel]()
        if channel == "trades":
            self.remember(channel, told_now)
        return told_now

    def _aftermath(self) -> list[News]:
        """What sometimes follows a trade."""
        dice = self._random.random()
        if self.kind == "options" or dice > 0.3:
            return []
        if dice > 0.1 or self.kind == "test":
            return [("bars", self.bar())]
        if dice > 0.05:
            return [(channel, self.bar(channel)) for channel in ("updatedBars", "dailyBars")]
        if self.kind == "crypto":
            return []
        rare: list[News] = [
            ("lulds", self.luld()),
            ("statuses", self.status()),
            ("corrections", self.correction()),
            ("cancelErrors", self.cancel_error()),
            ("imbalances", self.imbalance()),
        ]
        return [self._random.choice(rare)]

    def _top(self) -> tuple[object, ...]:
        bids, asks = self.market.bids, self.market.asks
        bid, ask = max(bids, default=0), min(asks, default=0)
        return bid, bids.get(bid), ask, asks.get(ask)

    def _book(self, bids: Iterable[Move], asks: Iterable[Move]) -> Told:
        return self._told("o", b=_written(self.shape.levels(bids)), a=_written(self.shape.levels(asks)))

    def _told(self, tag: str, **fields: Any) -> Told:
        told = {"T": tag, "S": self.symbol, **fields, "t": self._clock()}
        if self.kind in ("stocks", "test") and tag in "tqslicx":
            told["z"] = "C"
        return told


def article(number: int, now: Stamp, symbols: Iterable[str]) -> Told:
    """A piece of news."""
    named = list(symbols)
    headline = f"{' and '.join(named) or 'The market'}: headline {number}"
    text = {"headline": headline, "summary": "", "content": f"<p>Number {number}.</p>"}
    origin = {"author": "A. Reporter", "url": f"https://news.example/{number}", "source": "example"}
    return {"T": "n", "id": number, "symbols": named, **text, **origin, "created_at": now, "updated_at": now}


def _written(levels: Mapping[float, float]) -> list[dict[str, float]]:
    return [{"p": price, "s": size} for price, size in levels.items()]


def grown(bar: Told, price: float, size: float) -> Told:
    """The bar with one more trade in it."""
    if not bar:
        return {"o": price, "h": price, "l": price, "c": price, "v": size, "n": 1, "vw": price}
    volume = bar["v"] + size
    mean = (bar["vw"] * bar["v"] + price * size) / volume if volume else price
    return {
        **bar,
        "h": max(bar["h"], price),
        "l": min(bar["l"], price),
        "c": price,
        "v": round(volume, 9),
        "n": bar["n"] + 1,
        "vw": round(mean, 6),
    }
