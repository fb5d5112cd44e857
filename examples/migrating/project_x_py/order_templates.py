"""Order chains and templates: distances in money, reward, average range, a level, or a few ticks.

    python examples/migrating/project_x_py/order_templates.py

Their `order_chain()` and templates each place an entry and two more orders. Here each is one bracket
order, so no exit can work before its entry is filled, or be forgotten.
"""

from __future__ import annotations

from decimal import Decimal

from indicators import average_true_range
from project_x_suite import Instrument, TradingSuite, order_id, trading_suite

import actors
from actors.protocol import Contract


def ticks_of(contract: Contract, distance: Decimal) -> int:
    """A distance of prices in whole ticks, rounded up: a stop is never nearer than was meant."""
    return max(4, -int(-distance // contract.tick_size))


def risk_reward(nq: Instrument, risk: Decimal, ratio: int) -> tuple[int, actors.Bracket]:
    """`RiskRewardTemplate`: a stop of 40 ticks, a size that risks so much money, a target at its multiple."""
    stop = nq.price - nq.ticks(40)
    size = actors.position_size(nq.contract, nq.price, stop, risk)
    return size, actors.Bracket(stop=40, target=40 * ratio)


def average_range(nq: Instrument) -> tuple[int, actors.Bracket]:
    """`ATRStopTemplate`: the stop is one and a half average ranges away, the target three."""
    distance = average_true_range(nq.bars["5min"].finished, 14)
    stop = ticks_of(nq.contract, distance * Decimal("1.5"))
    return 1, actors.Bracket(stop=stop, target=2 * stop)


def scalp() -> tuple[int, actors.Bracket]:
    """`ScalpingTemplate`: near exits in ticks."""
    return 1, actors.Bracket(stop=8, target=12)


def breakout(suite: TradingSuite, nq: Instrument) -> actors.OrderHandle:
    """`BreakoutTemplate`: a stop order above the highest price of an hour, with its exits."""
    level = max(bar.high for bar in nq.bars["5min"].finished[-12:])
    entry = max(level, nq.price) + nq.ticks(8)
    bracket = actors.Bracket(stop=40, target=80)
    return suite.orders.place(suite.account_id, nq.contract, "buy", 1, stop=entry, bracket=bracket)


def chain(suite: TradingSuite, nq: Instrument) -> actors.OrderHandle:
    """`order_chain().limit_order().with_stop_loss().with_take_profit().execute()`."""
    price = nq.price - nq.ticks(400)
    bracket = actors.Bracket(stop=40, target=80)
    return suite.orders.place(suite.account_id, nq.contract, "buy", 1, limit=price, bracket=bracket)


def main() -> None:
    with trading_suite("NQ") as suite:
        px, account, nq = suite.orders, suite.account_id, suite["NQ"]
        templates = {
            "risk and reward": risk_reward(nq, risk=Decimal(500), ratio=2),
            "average range": average_range(nq),
            "scalp": scalp(),
        }
        for name, (size, bracket) in templates.items():
            placed = order_id(px.place(account, nq.contract, "buy", min(size, 3), bracket=bracket))
            print(f"{name}: size {size}, {bracket.stop} and {bracket.target} ticks: {placed is not None}")
        print("breakout:", order_id(breakout(suite, nq)) is not None)
        print("chain:", order_id(chain(suite, nq)) is not None)
        print("closed, with all orders:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
