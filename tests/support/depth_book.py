"""An order book as a reader of O2's depth stream keeps it."""

from __future__ import annotations

from actors.venues.o2 import DepthChange, DepthSnapshot, Level

Levels = dict[int, int]  # quantity by price


class Book:
    """What a reader makes of a depth stream: a snapshot, then signed quantities to add."""

    def __init__(self) -> None:
        self.bids: Levels = {}
        self.asks: Levels = {}

    def apply(self, event: DepthSnapshot | DepthChange) -> None:
        if isinstance(event, DepthSnapshot):
            self.bids = {level.price: level.quantity for level in event.bids}
            self.asks = {level.price: level.quantity for level in event.asks}
        else:
            _add(self.bids, event.bids)
            _add(self.asks, event.asks)

    @property
    def sides(self) -> tuple[Levels, Levels]:
        """As `SimulatedO2.book` gives them."""
        return self.bids, self.asks


def _add(levels: Levels, changes: tuple[Level, ...]) -> None:
    for level in changes:
        quantity = levels.get(level.price, 0) + level.quantity
        if quantity > 0:
            levels[level.price] = quantity
        else:
            levels.pop(level.price, None)
