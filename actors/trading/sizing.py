"""How many contracts a sum of money allows to risk."""

from __future__ import annotations

from decimal import Decimal

from actors.protocol.ticks import money
from actors.protocol.trading import Contract
from actors.trading.arguments import ArgumentError, Price, exact_price


def position_size(contract: Contract, entry: Price, stop: Price, risk: Price) -> int:
    """Returns the largest number of contracts that loses at most `risk` from `entry` to `stop`; 0: none does.

    `risk` is money, in the currency of the contract's `tick_value`. The loss of one contract is
    |entry - stop| / tick_size * tick_value. Fees, and a stop that is filled at a worse price, are not in it.
    Exact: `Decimal`, text or int; a float is taken as it is written.

    Raises:
        LinewardenError: `contract` is no `Contract`, another argument is no number, `risk` is below zero,
            or `stop` is at `entry`.
    """
    if not isinstance(contract, Contract):
        raise ArgumentError(
            f'contract is what runtime.ask(feed).contract("ENQ").get() returns, and {contract!r} is none'
        )
    prices = _finite("entry", entry), _finite("stop", stop)
    sum_at_risk = _finite("risk", risk)
    if sum_at_risk < 0:
        raise ArgumentError(f"risk is a sum of money from 0 on, not {risk!r}")
    loss = abs(money(contract, 1, *prices))
    if not loss:
        raise ArgumentError(f"stop is at entry, {stop!r}: no loss of one contract follows from that")
    return int(sum_at_risk // loss)


def _finite(name: str, value: Price) -> Decimal:
    number = exact_price(name, value)
    if number is None or not number.is_finite():
        raise ArgumentError(f"{name} is a number, as Decimal, text or int, and {value!r} is none")
    return number
