"""Prices on their ticks, and what a difference of prices is worth. Exact: nothing here is a float."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final, Literal

from actors.protocol.trading import Contract

Direction = Literal["down", "up", "nearest"]

ROUNDING: Final = {"down": ROUND_FLOOR, "up": ROUND_CEILING, "nearest": ROUND_HALF_EVEN}
NOISE: Final = Decimal("1e-6")  # of one tick: what a float leaves of a price that was on its tick


def on_tick(price: Decimal, tick: Decimal, direction: Direction = "nearest") -> Decimal:
    """Returns the multiple of `tick` at or beside the price, with as many digits as the tick has.

    Raises:
        ArithmeticError: the tick is zero, or the price has more digits than can be reckoned with.
    """
    return (price / tick).to_integral_value(ROUNDING[direction]) * tick


def nearest_tick(price: Decimal, tick: Decimal) -> Decimal | None:
    """Returns the multiple of `tick` that the price means; None: it is off by more than rounding noise."""
    nearest = on_tick(price, tick)
    return nearest if abs(price - nearest) <= tick * NOISE else None


def off_tick(price: Decimal, tick: Decimal) -> tuple[Decimal, Decimal]:
    """Returns the multiples of `tick` at or below the price, and at or above it."""
    return on_tick(price, tick, "down"), on_tick(price, tick, "up")


def ticks(contract: Contract, start: Decimal, end: Decimal) -> Decimal:
    """Returns how many ticks lie between two prices: above zero if the price rises, and rarely a fraction."""
    return (end - start) / contract.tick_size


def money(contract: Contract, net: int, entry: Decimal, exit: Decimal) -> Decimal:
    """Returns the profit of so many contracts, below zero for a short position; a loss is below zero.

    In the currency of `tick_value`, before fees.
    """
    profit = (exit - entry) * contract.tick_value * net / contract.tick_size
    return profit if profit else abs(profit)  # a short that has made nothing has made 0, and not -0
