"""Follow an order to its end: wait for a fill, change it or cancel it, several at once.

    python examples/migrating/project_x_py/order_lifecycle.py

Their `OrderTracker` is a stream of the account's orders. Subscribe first: then no event of the order is
missed.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from project_x_suite import WAIT, TradingSuite, order_id, trading_suite

import actors
from actors.venues import projectx
from actors.venues.projectx import Order

Orders = actors.Stream[Order]


def wait_final(orders: Orders, wanted: Collection[int], timeout: float) -> dict[int, Order]:
    """The final rows of these orders; those that are missing had no end within `timeout` seconds."""
    found: dict[int, Order] = {}
    until = time.monotonic() + timeout
    while len(found) < len(wanted):
        try:
            order = orders.get(timeout=max(0.0, until - time.monotonic()))
        except actors.Timeout:
            break
        if order.id in wanted and order.status is not None and order.status.is_final:
            found[order.id] = order
    return found


def fill(suite: TradingSuite, orders: Orders) -> None:
    """`wait_for_fill`: a market order, until its final event."""
    placed = order_id(suite.orders.place(suite.account_id, suite["NQ"].contract, "buy", 1))
    assert placed is not None
    end = wait_final(orders, {placed}, timeout=10)[placed]
    print(f"filled: {end.fill_volume} of {end.size}" if end.filled_price else f"ended as {end.status}")


def modify_or_cancel(suite: TradingSuite, orders: Orders) -> None:
    """A limit order that is not filled in time is moved to the market, or else cancelled."""
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    placed = order_id(px.place(account, nq.contract, "buy", 1, limit=nq.price - nq.ticks(400)))
    assert placed is not None
    if not wait_final(orders, {placed}, timeout=0.5):
        print("not filled in time: moved")
        moved = px.modify(account, placed, limit=nq.price + nq.ticks(40), align="safe").get(timeout=WAIT)
        if not isinstance(moved, actors.Accepted) or not wait_final(orders, {placed}, timeout=10):
            px.cancel(account, placed).get(timeout=WAIT)
    status = px.order(account, placed).get(timeout=WAIT).status
    print(f"order is {status and status.name}")


def several(suite: TradingSuite, orders: Orders) -> None:
    """Three orders; the first end decides, and the others are cancelled."""
    px, account, nq = suite.orders, suite.account_id, suite["NQ"]
    prices = [nq.price - nq.ticks(count) for count in (400, 500)]
    handles = [px.place(account, nq.contract, "buy", 1, limit=price) for price in prices]
    last = order_id(px.place(account, nq.contract, "sell", 1))  # this one ends at once
    placed = {each for handle in handles if (each := order_id(handle)) is not None}
    ended = wait_final(orders, {last} if last is not None else placed, timeout=10)
    left = [px.cancel(account, each) for each in placed - ended.keys()]
    outcomes = actors.gather(left, timeout=WAIT)
    print(f"{len(ended)} ended; cancelled: {[type(each).__name__ for each in outcomes]}")


def tell(order: Order) -> None:
    """Their handlers of ORDER_PLACED, ORDER_MODIFIED, ORDER_FILLED, …: one, by the status of the row."""
    price = order.filled_price if order.status == projectx.OrderStatus.FILLED else order.limit_price
    print(f"  order event: {order.status.name.lower() if order.status else 'no status'} at {price}")


def main() -> None:
    with trading_suite("NQ") as suite:
        runtime, account = suite.runtime, suite.account_id
        events = runtime.on("projectx", projectx.ORDERS, account, handler=tell)
        with runtime.subscribe("projectx", projectx.ORDERS, account, wait=WAIT) as orders:
            fill(suite, orders)
            modify_or_cancel(suite, orders)
            several(suite, orders)
        events.close()
        print("closed:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
