"""Every kind of order: place, look at, change, cancel.

    python examples/migrating/project_x_py/order_management.py

A handle is returned at once; `order_id` waits for the outcome. Prices are Decimal or text: no float,
and no rounding of your own, because a price off its tick is refused or, with `align="safe"`, moved to
the safe side.
"""

from __future__ import annotations

from project_x_suite import WAIT, TradingSuite, order_id, trading_suite

import actors


def single_orders(suite: TradingSuite) -> list[int]:
    """Market, limit, stop and trailing stop. Returns those that work."""
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    bought = order_id(px.place(account, nq.contract, "buy", 1))
    limit = px.place(account, nq.contract, "buy", 1, limit=nq.price - nq.ticks(400))
    stop = px.place(account, nq.contract, "sell", 1, stop=nq.price - nq.ticks(80))
    trail = px.place(account, nq.contract, "sell", 1, trail=nq.price - nq.ticks(200))
    placed = [order_id(each) for each in (limit, stop, trail)]  # the three are under way together
    works = [each for each in placed if each is not None]
    suite.wait_account(lambda view: {*works} <= {each.order.id for each in view.orders})
    print(f"bought: {bought is not None}; working: {len(works)}")
    return works


def look_and_change(suite: TradingSuite, orders: list[int]) -> None:
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    row = px.order(account, orders[0]).get(timeout=WAIT)  # whatever became of it
    print(f"order is {row.status and row.status.name}, {row.size} at {row.limit_price}")
    px.modify(account, orders[0], limit=nq.price - nq.ticks(300), size=2).get(timeout=WAIT)
    px.modify(account, orders[0], size=3).get(timeout=WAIT)  # what is left out stays
    row = px.order(account, orders[0]).get(timeout=WAIT)
    print(f"order is {row.status and row.status.name}, {row.size} at a new price")


def cancel(suite: TradingSuite, orders: list[int]) -> None:
    """One, then all of this contract; the sweep returns when two looks show no working order."""
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    print("cancel one:", type(px.cancel(account, orders[0]).get(timeout=WAIT)).__name__)
    swept = px.cancel_all(account, nq.contract).get(timeout=WAIT)
    print(f"cancel the rest: {len(swept.steps)}, complete: {swept.is_complete}")


def bracket(suite: TradingSuite) -> None:
    """An entry with its exits is one order. Distances are ticks from the fill; legs cancel one another."""
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    entry = px.place(account, nq.contract, "buy", 1, bracket=actors.Bracket(stop=40, target=80))
    if (parent := order_id(entry)) is not None:
        print("legs:", ", ".join(sorted(f"{each.side} {each.type}" for each in suite.legs(parent))))


def main() -> None:
    with trading_suite("NQ") as suite:
        print(f"at first: {len(suite.account.orders)} orders, {len(suite.account.positions)} positions")
        works = single_orders(suite)
        if works:
            look_and_change(suite, works)
            cancel(suite, works)
        bracket(suite)
        print("closed, with all orders:", suite.flatten("NQ"))
        print("fills:", [f"{each.side} {each.size}" for each in suite.account.fills])


if __name__ == "__main__":
    main()
