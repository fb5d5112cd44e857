"""A market that can be believed: order books that walk at random, and the accounts that trade there.

No socket, no thread and no clock: a step tells what it changed. All prices and quantities are
whole on-chain units.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

Side = Literal["buy", "sell"]
Levels = dict[int, int]  # quantity by price
Move = tuple[int, int]  # price, and what is added to its quantity: negative where it is taken

_LEVELS = 12  # a side that has fewer is filled up again


class Order(Struct, kw_only=True):
    """A resting order of an account."""

    id: str
    account: str
    market: str
    side: Side
    price: int
    quantity: int
    filled: int = 0
    cancelled: bool = False

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled

    @property
    def closed(self) -> bool:
        return self.cancelled or self.remaining == 0


class Fill(Struct, frozen=True):
    order: Order
    quantity: int


class Trade(Struct, frozen=True):
    number: int
    side: Side  # the maker's
    price: int
    quantity: int


class Step(Struct):
    """What one step changed, in the order in which a venue tells it."""

    buys: list[Move] = field(default_factory=list)
    sells: list[Move] = field(default_factory=list)
    trade: Trade | None = None
    fills: list[Fill] = field(default_factory=list)


class Market:
    """One order book. `bids` are always below `asks`, and no quantity is 0 or less."""

    def __init__(self, id: str, *, price: int, tick: int, lot: int, seed: int, moving: bool) -> None:
        self.id = id
        self.tick = tick
        self.lot = lot
        self.last = price
        self.traded = 0  # the number of the last trade
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.orders: dict[str, Order] = {}  # resting, by id
        self._held: Levels = {}  # how much of a level is accounts' orders
        self._random = random.Random(f"{seed}/{id}")
        if moving:
            for offset in range(1, _LEVELS + 1):
                self.bids[price - offset * tick] = self._size()
                self.asks[price + offset * tick] = self._size()

    def levels(self, side: Side) -> Levels:
        return self.bids if side == "buy" else self.asks

    def book(self) -> tuple[list[Move], list[Move]]:
        """All bids and all asks, the best first."""
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())

    def left(self, buys: Iterable[Move], sells: Iterable[Move]) -> tuple[list[Move], list[Move]]:
        """What is now at the prices of these moves, each price once."""
        bids = [(price, self.bids.get(price, 0)) for price in dict(buys)]
        asks = [(price, self.asks.get(price, 0)) for price in dict(sells)]
        return bids, asks

    def set(self, bids: Iterable[Move], asks: Iterable[Move]) -> None:
        """Levels have these quantities from now on; where it is 0 or less, the level is gone."""
        for levels, wanted in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in wanted:
                _put(levels, price, quantity)

    def apply(self, buys: Iterable[Move], sells: Iterable[Move]) -> None:
        """Adds each change to its level; a level that is used up is gone."""
        for levels, moves in ((self.bids, buys), (self.asks, sells)):
            for price, change in moves:
                _put(levels, price, levels.get(price, 0) + change)

    def clear(self) -> None:
        """Empties the book."""
        self.bids.clear()
        self.asks.clear()

    def step(self) -> Step:
        """One thing happens: a trade, or one to three orders of others come or go."""
        if not (self.bids and self.asks):
            return Step()
        if self._random.random() < 0.4:
            return self._trade()
        step = Step()
        for _ in range(self._random.randint(1, 3)):
            buys, sells = self._shuffle()
            self.apply(buys, sells)
            step.buys += buys
            step.sells += sells
        return step

    def place(self, order: Order) -> Step:
        """An account's order comes to rest in the book; it must not cross it."""
        self.orders[order.id] = order
        self._held[order.price] = self._held.get(order.price, 0) + order.remaining
        return self._moved(order.side, order.price, order.remaining)

    def cancel(self, order: Order) -> Step:
        """An account takes back what is left of its order."""
        order.cancelled = True
        self._release(order, order.remaining)
        return self._moved(order.side, order.price, -order.remaining)

    def quote_for(self, side: Side) -> int:
        """A price at which an order of that side rests at the top of the book."""
        return max(self.bids) if side == "buy" else min(self.asks)

    def number(self) -> int:
        """The number of a trade that happens now."""
        self.traded += 1
        return self.traded

    def _trade(self) -> Step:
        # Far down a falling price turns: prices stay positive.
        low = max(self.bids) < 50 * self.tick
        side: Side = "sell" if low or self._random.random() < 0.5 else "buy"
        levels, price = self.levels(side), self.quote_for(side)
        quantity = min(levels[price], self._size())
        self.last = price
        trade = Trade(self.number(), side, price, quantity)
        step = Step(trade=trade, fills=self._fill(side, price, quantity))
        gone = quantity == levels[price]
        moves = [(price, -quantity)]
        if len(levels) <= _LEVELS:
            away = min(levels) - self.tick if side == "buy" else max(levels) + self.tick
            if away > 0:
                moves.append((away, self._size()))
        follow = [(price, self._size())] if gone and len(levels) > 2 and not self._held.get(price) else []
        step.buys, step.sells = _sides(side, moves, follow)
        self.apply(step.buys, step.sells)
        if follow:  # the other side steps in where the level was: so the price walks
            other = self.asks if side == "buy" else self.bids
            far = (max if side == "buy" else min)(other)
            if len(other) > 2 * _LEVELS and not self._held.get(far):
                follow.append((far, -other[far]))
                self.apply(*_sides(side, [], follow[1:]))
        return step

    def _shuffle(self) -> tuple[list[Move], list[Move]]:
        side: Side = "buy" if self._random.random() < 0.5 else "sell"
        levels = self.levels(side)
        offset = min(int(self._random.expovariate(0.35)), _LEVELS) * self.tick
        price = self.quote_for(side) + (-offset if side == "buy" else offset)
        if price <= 0:
            return [], []
        free = levels.get(price, 0) - self._held.get(price, 0)
        if free > 0 and self._random.random() < 0.5:
            change = -free
            if len(levels) <= _LEVELS // 2 or self._random.random() >= 0.3:  # not all of it
                change = -min(free, self.lot * self._random.randint(1, max(1, free // self.lot - 1)))
            if change == -levels[price] and len(levels) <= 2:
                return [], []
        else:
            change = self._size()
        return _sides(side, [(price, change)], [])

    def _fill(self, side: Side, price: int, quantity: int) -> list[Fill]:
        fills = []
        if self._held.get(price):
            for order in list(self.orders.values()):
                if quantity and order.price == price and order.side == side:
                    taken = min(order.remaining, quantity)
                    order.filled += taken
                    quantity -= taken
                    self._release(order, taken)
                    fills.append(Fill(order, taken))
        return fills

    def _release(self, order: Order, quantity: int) -> None:
        self._held[order.price] -= quantity
        if not self._held[order.price]:
            del self._held[order.price]
        if order.closed:
            self.orders.pop(order.id, None)

    def _moved(self, side: Side, price: int, change: int) -> Step:
        step = Step(*_sides(side, [(price, change)], []))
        self.apply(step.buys, step.sells)
        return step

    def _size(self) -> int:
        return self.lot * self._random.randint(1, 40)


def _put(levels: Levels, price: int, quantity: int) -> None:
    if quantity > 0:
        levels[price] = quantity
    else:
        levels.pop(price, None)


def _sides(side: Side, own: list[Move], other: list[Move]) -> tuple[list[Move], list[Move]]:
    """The moves of a side and of the other one, as those of buys and sells."""
    return (own, other) if side == "buy" else (other, own)


def gathered(levels: Iterable[Move], precision: int, side: Side) -> Levels:
    """Levels, or changes to them, by a coarser price: buys rounded down, sells up.

    Sums of changes are changes of sums, so this fits snapshots and deltas alike.
    """
    sums: Levels = {}
    for price, quantity in levels:
        rounded = price // precision * precision if side == "buy" else -(-price // precision) * precision
        sums[rounded] = sums.get(rounded, 0) + quantity
    return sums
