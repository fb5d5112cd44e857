"""Sizes, limits that hold in every process, stops on a position, and a loss that ends the day.

    python examples/migrating/project_x_py/risk_management.py

`[feeds.projectx.limits]` and halts are judged in the transaction that records an order, so no part of a
program and no other process gets past them. Their `RiskManager` asks a method before an order, if the
program calls it.
"""

from __future__ import annotations

from decimal import Decimal
from statistics import mean

from project_x_suite import WAIT, TradingSuite, order_id, trading_suite

import actors


def sizing(suite: TradingSuite) -> None:
    """`calculate_position_size`: by a sum of money, or by a part of the balance."""
    nq, view = suite["NQ"], suite.account
    assert view.balance is not None
    assert view.balance.balance is not None
    one_per_cent = view.balance.balance / 100
    for risk in (Decimal(100), one_per_cent):
        size = actors.position_size(nq.contract, nq.price, nq.price - nq.ticks(40), risk)
        print(f"risk {risk}: {size} contracts")


def kelly(wins: list[Decimal], losses: list[Decimal]) -> Decimal:
    """`calculate_kelly_position_size`: the part of the capital, a quarter of Kelly's, 0 at least."""
    if not wins or not losses:
        return Decimal()
    chance = Decimal(len(wins)) / (len(wins) + len(losses))
    ratio = mean(wins) / mean(losses)
    return max(Decimal(), chance - (1 - chance) / ratio) / 4


def validation(suite: TradingSuite) -> None:
    """`validate_trade`: an order beyond a limit is refused before it leaves, with the numbers."""
    refused = suite.orders.place(suite.account_id, suite["NQ"].contract, "buy", 9).get(timeout=WAIT)
    print(refused.message if isinstance(refused, actors.Refused) else refused)


def attach_and_adjust(suite: TradingSuite) -> None:
    """`attach_risk_orders` and `adjust_stops`: a bracket comes with the entry; its stop is moved later."""
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    entry = order_id(px.place(account, nq.contract, "buy", 1, bracket=actors.Bracket(stop=200, target=400)))
    if entry is None:
        return
    (stop,) = (each for each in suite.legs(entry) if each.type == "stop")
    nearer = px.modify(account, stop.id, stop=nq.price - nq.ticks(100), align="safe")
    print("stop moved:", type(nearer.get(timeout=WAIT)).__name__)
    open_risk = (nq.price - (stop.stop_price or 0)) / nq.contract.tick_size * nq.contract.tick_value
    print("open risk was above 0:", open_risk > 0)


def metrics(suite: TradingSuite) -> None:
    """`get_risk_metrics`: what they are made of. Profits of closing fills; fees are apart."""
    view = suite.account
    profits = [each.profit for each in view.fills if each.profit is not None]
    wins, losses = [each for each in profits if each > 0], [-each for each in profits if each < 0]
    print(f"open profit is known: {view.unrealised is not None}; trades closed: {len(profits)}")
    print(f"won {len(wins)}, lost {len(losses)}; a quarter of Kelly: {kelly(wins, losses):.3f}")


def daily_loss(suite: TradingSuite, limit: Decimal) -> None:
    """Their daily loss limit. A halt is on disk, for all processes, until a person ends it by the command."""
    view = suite.account
    if view.synced and view.realised is not None and view.realised < limit:
        handle = suite.runtime.halt(f"projectx/{suite.account_id}", reason=f"realised {view.realised} today")
        refused = suite.orders.place(suite.account_id, suite["NQ"].contract, "buy", 1).get(timeout=WAIT)
        print(f"halted: {handle.halt.is_written}; another order: {getattr(refused, 'code', refused)}")


def main() -> None:
    with trading_suite("NQ") as suite:
        sizing(suite)
        validation(suite)
        attach_and_adjust(suite)
        print("closed:", suite.flatten("NQ"))
        metrics(suite)
        daily_loss(suite, limit=Decimal(1_000_000))  # so high that each result is below it


if __name__ == "__main__":
    main()
