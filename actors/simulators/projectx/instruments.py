"""What ProjectX knows of one contract: its terms, its book, its quote and what was traded."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from actors.simulators.base.random_market import Market, Move, Step
from actors.simulators.projectx.clock import VenueClock
from actors.simulators.projectx.payloads import Row

Level = tuple[Decimal | float | str, int]  # price, and volume: 0 takes it away
Print = tuple[datetime, int, int]  # a trade: its time, its price in ticks, its volume

_TAPE = 200_000  # trades of which there are bars

# ProjectX, "DomType" and "TradeLogType".
ASK, BID, RESET = 1, 2, 6
BUY, SELL = 0, 1

_ID = re.compile(r"CON\.F\.US\.(?P<product>[A-Z0-9]{1,8})\.(?P<month>[FGHJKMNQUVXZ])(?P<year>\d{2})")


class ContractTerms(Struct, frozen=True):
    """A product: `price` is where it starts, `tick_value` is money."""

    root: str  # of the contract's name
    description: str
    tick: Decimal
    tick_value: Decimal
    price: Decimal


_TERMS = {
    "EP": ContractTerms("ES", "E-mini S&P 500", Decimal("0.25"), Decimal("12.5"), Decimal("6801.25")),
    "ENQ": ContractTerms("NQ", "E-mini NASDAQ-100", Decimal("0.25"), Decimal("5.0"), Decimal("24730.50")),
    "MES": ContractTerms("MES", "Micro E-mini S&P 500", Decimal("0.25"), Decimal("1.25"), Decimal("6801.25")),
    "CLE": ContractTerms("CL", "Crude Light", Decimal("0.01"), Decimal("10.0"), Decimal("61.37")),
    "GCE": ContractTerms("GC", "Gold (Globex)", Decimal("0.10"), Decimal("10.0"), Decimal("4012.30")),
    "MNQ": ContractTerms(
        "MNQ", "Micro E-mini NASDAQ-100", Decimal("0.25"), Decimal("0.5"), Decimal("24730.50")
    ),
    "M2K": ContractTerms(
        "M2K", "Micro E-mini Russell 2000", Decimal("0.10"), Decimal("0.5"), Decimal("2431.20")
    ),
    "MGC": ContractTerms("MGC", "Micro Gold", Decimal("0.10"), Decimal("1.0"), Decimal("4012.30")),
    "NQG": ContractTerms("QG", "E-mini Natural Gas", Decimal("0.005"), Decimal("12.5"), Decimal("3.945")),
}
_UNKNOWN = ContractTerms("", "", Decimal("0.01"), Decimal("1.0"), Decimal("100.00"))


class Listing:
    """One contract. Rows are what the hub tells of it; prices are decimals that keep their zeros."""

    def __init__(self, id: str, *, seed: int, moving: bool, clock: VenueClock, active: bool = True) -> None:
        """Raises ValueError where `id` is no contract's."""
        found = _ID.fullmatch(id)
        if found is None:
            raise ValueError(f"{id!r} is no contract; one is CON.F.US.EP.Z26")
        product = found["product"]
        self.id = id
        self.active = active
        self.symbol = f"F.US.{product}"
        self.terms = _TERMS.get(product, _UNKNOWN)
        self.name = f"{self.terms.root or product}{found['month']}{found['year'][1]}"
        self.volume = 0
        self._clock = clock
        self._now = clock.stamp
        ticks = int(self.terms.price / self.terms.tick)
        self.market = Market(id, price=ticks, tick=1, lot=1, seed=seed, moving=moving)
        self.tape: deque[Print] = deque(maxlen=_TAPE)
        self.began, self.began_at = clock.now(), ticks
        self._opened = self._high = self._low = ticks
        self._quote = self._picture()  # all of it, as it was told last

    # the page

    def page(self) -> Row:
        about = {"id": self.id, "name": self.name, "description": f"{self.terms.description}: {self.name}"}
        terms = {"tickSize": self.terms.tick, "tickValue": self.terms.tick_value}
        return {**about, **terms, "activeContract": self.active, "symbolId": self.symbol}

    # prices

    def price(self, ticks: int) -> Decimal:
        return ticks * self.terms.tick

    def ticks(self, price: Decimal | float | str) -> int:
        """Raises ValueError where the price is not on a tick."""
        ticks = Decimal(str(price)) / self.terms.tick
        if ticks != int(ticks):
            raise ValueError(f"{price} is not a multiple of {self.id}'s tick, {self.terms.tick}")
        return int(ticks)

    def nearest(self, price: Decimal) -> Decimal:
        """The tick that is nearest to a price, such as the average of a fill at two prices."""
        return self.price(int((price / self.terms.tick).to_integral_value()))

    @property
    def last(self) -> Decimal:
        return self.price(self.market.last)

    def best(self, *, bid: bool) -> Decimal:
        """The best price of a side of the book; the last price where it is empty."""
        market = self.market
        top = max(market.bids, default=market.last) if bid else min(market.asks, default=market.last)
        return self.price(top)

    # the quote

    def quote(self) -> Row:
        """All of it."""
        now = self._now()
        return {"symbol": self.symbol, "symbolName": "", **self._quote, "lastUpdated": now, "timestamp": now}

    def change(self, changed: Mapping[str, Any]) -> Row:
        """What is told of a change: only that, and what it is about."""
        self._quote |= changed
        return {"symbol": self.symbol, **changed, "lastUpdated": self._now()}

    def moved(self) -> Row | None:
        """What has changed in the quote by itself since it was told; None: nothing has."""
        changed = {key: value for key, value in self._picture().items() if value != self._quote.get(key)}
        return self.change(changed) if changed else None

    def _picture(self) -> Row:
        market = self.market
        last = market.last
        self._high, self._low = max(self._high, last), min(self._low, last)
        change = last - self._opened
        percent = (Decimal(change) / self._opened).quantize(Decimal("0.0001"))
        top = {"bestBid": max(market.bids, default=last - 1), "bestAsk": min(market.asks, default=last + 1)}
        day = {"open": self._opened, "high": self._high, "low": self._low, "change": change}
        prices = {name: self.price(at) for name, at in {"lastPrice": last, **top, **day}.items()}
        return {**prices, "changePercent": percent, "volume": self.volume}

    # trades

    def trade(self, price: Decimal | float | str | None = None, volume: int = 1, side: int = BUY) -> Row:
        """A trade that happened now."""
        if price is not None:
            self.market.last = self.ticks(price)
        self.volume += volume
        self.tape.append((self._clock.now(), self.market.last, volume))
        told = {"symbolId": self.symbol, "price": self.last, "timestamp": self._now()}
        return {**told, "type": side, "volume": volume}

    # the book

    def set_levels(self, bids: Iterable[Level], asks: Iterable[Level]) -> list[Row]:
        """Sets levels to new volumes, and tells them."""
        buys, sells = ([(self.ticks(price), volume) for price, volume in side] for side in (bids, asks))
        self.market.set(buys, sells)
        return self._levels(buys, sells)

    def clear(self) -> Row:
        """Empties the book, and tells it."""
        self.market.clear()
        return self._reset()

    def deltas(self, step: Step) -> list[Row]:
        """The levels that a step changed, as they are now."""
        return self._levels(*self.market.left(step.buys, step.sells))

    def book(self) -> list[Row]:
        """The whole book, after a reset."""
        return [self._reset(), *self._levels(*self.market.book())]

    def _reset(self) -> Row:
        return {"timestamp": self._now(), "type": RESET, "price": 0, "volume": 0, "currentVolume": 0}

    def _levels(self, bids: Iterable[Move], asks: Iterable[Move]) -> list[Row]:
        bid_rows = [self._level(BID, *each) for each in bids]
        return bid_rows + [self._level(ASK, *each) for each in asks]

    def _level(self, kind: int, ticks: int, volume: int) -> Row:
        # Which of the two volumes is what rests there is contradicted among clients: here both are.
        volumes = {"volume": volume, "currentVolume": volume}
        return {"timestamp": self._now(), "type": kind, "price": self.price(ticks), **volumes}
