"""Positions with their profit, and what the account risks.

    python examples/migrating/project_x_py/positions.py

Each number is a Decimal in money, or None where it cannot be told, such as a profit without a price.
"""

from __future__ import annotations

import time

from project_x_suite import TradingSuite, order_id, trading_suite

import actors


def show(suite: TradingSuite) -> None:
    view = suite.account  # one moment; the next call is another one
    for position in view.positions:
        price, profit = position.average_price, position.unrealised
        print(f"  {position.net} of {position.name} from {price}, profit {profit}")  # below 0: short
    for each in view.orders:
        order = each.order
        left = (order.size or 0) - (order.filled or 0)
        print(f"  {order.state}: {order.side} {order.type}, {left} of {order.size} left")
    print(f"  balance {view.balance.balance if view.balance else None}, open profit {view.unrealised}")


def risk(suite: TradingSuite) -> None:
    """What stops would lose, in money; a position without a stop has no bound."""
    view, nq = suite.account, suite["NQ"]
    stops = [each.order for each in view.orders if each.order.type == "stop"]
    for position in view.positions:
        mine = [order for order in stops if order.contract == position.contract]
        covered = sum(order.size or 0 for order in mine)
        print(f"  {position.name}: {covered} of {abs(position.net or 0)} contracts have a stop")
    size = actors.position_size(nq.contract, nq.price, nq.price - nq.ticks(40), risk=500)
    print(f"  500 of risk and a stop of 40 ticks allow {size} contracts")


def changed(event: actors.AccountEvent) -> None:
    """Their position callbacks and alerts: each change, with the row before it."""
    if isinstance(event.row, actors.AccountPosition):
        before = event.before.net if isinstance(event.before, actors.AccountPosition) else 0
        print(f"  position event: from {before} to {event.row.net}")


def main() -> None:
    with trading_suite("NQ") as suite:
        held = suite.account.net(suite["NQ"].contract) or 0  # synced: the changes below are told
        events = suite.runtime.on_account("projectx", suite.account_id, handler=changed)
        order_id(suite.orders.place(suite.account_id, suite["NQ"].contract, "buy", 2))
        bracket = actors.Bracket(stop=40)
        order_id(suite.orders.place(suite.account_id, suite["NQ"].contract, "buy", 1, bracket=bracket))
        suite.wait_account(lambda view: view.net(suite["NQ"].contract) == held + 3 and bool(view.orders))
        for _ in range(2):  # a loop of yours: the view costs 0.1 ms
            show(suite)
            time.sleep(0.2)
        risk(suite)
        done = suite.orders.close(suite.account_id, suite["NQ"].contract, 1).get(timeout=30)
        suite.wait_account(lambda view: view.net(suite["NQ"].contract) == held + 2)
        print("one contract closed:", type(done).__name__)
        print("all closed:", suite.flatten("NQ"))
        view = suite.wait_account(lambda view: len(view.fills) >= 4)
        print(f"realised {view.realised} by {len(view.fills)} fills")
        events.close()


if __name__ == "__main__":
    main()
