"""A bracket order, watched until its position is over; nothing is left of it.

    python examples/migrating/project_x_py/bracket_watch.py

Their program looks every few seconds and cancels what a closed position has left behind. Here the venue
cancels one leg when the other fills, and `flatten` closes a position with its legs if the time is over.
"""

from __future__ import annotations

import signal
from types import FrameType

from project_x_suite import TradingSuite, order_id, trading_suite

import actors
from actors.rules.account.view import AccountView
from actors.venues import projectx

SECONDS = 5.0  # that it is watched, at most


def status(view: AccountView) -> str:
    positions = [f"{each.net} at {each.average_price}, {each.unrealised}" for each in view.positions]
    orders = [f"{each.order.type} {each.order.stop_price or each.order.limit_price}" for each in view.orders]
    return f"positions {positions}, orders {orders}"


def watch(suite: TradingSuite) -> None:
    """Looks when something has changed: a row of the account's positions or orders comes."""
    runtime, account = suite.runtime, suite.account_id
    with (
        runtime.subscribe("projectx", projectx.POSITIONS, account, wait=30) as positions,
        runtime.subscribe("projectx", projectx.ORDERS, account, wait=30) as orders,
    ):
        order_id(suite.orders.place(account, suite["NQ"].contract, "buy", 1, bracket=actors.Bracket(4, 4)))
        was = ""
        try:
            for _ in runtime.merge(positions, orders, timeout=SECONDS):
                if (now := status(suite.account)) != was:
                    print(now)
                was = now
                view, contract = suite.account, suite["NQ"].contract
                if view.net(contract) == 0 and contract.id not in {
                    each.order.contract for each in view.orders
                }:
                    break
        except actors.Timeout:
            print(f"nothing for {SECONDS:.0f} s")


def stop(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends it as Ctrl-C does: the blocks above are left, and `finally` below cleans up."""
    raise KeyboardInterrupt


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    with trading_suite("NQ") as suite:
        try:
            watch(suite)
        finally:
            print("cleaned up:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
