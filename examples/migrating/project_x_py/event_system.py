"""All events of a program in one loop, and the same by handlers: every event of their `EventType` has its
place.

    python examples/migrating/project_x_py/event_system.py

`merge` gives events of several streams and what happens to their lines, in the order of arrival, on
your own thread: no handler can be called at a time that does not suit.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from project_x_suite import WAIT, TradingSuite, trading_suite

import actors
from actors.venues import projectx
from actors.venues.projectx import OrderStatus

ORDER_EVENTS = {
    OrderStatus.OPEN: "order_placed, or order_modified",
    OrderStatus.FILLED: "order_filled",
    OrderStatus.CANCELLED: "order_cancelled",
    OrderStatus.REJECTED: "order_rejected",
    OrderStatus.EXPIRED: "order_expired",
}


def their_name(item: Any) -> str:
    """What project-x-py calls it. `item`: an event or a marker."""
    match item:
        case projectx.Quote():
            return "quote_update"
        case projectx.Trade():
            return "trade_tick"
        case projectx.Depth() | projectx.DepthReset():
            return "market_depth_update"
        case projectx.Order(status=status):
            return ORDER_EVENTS.get(status or OrderStatus.NONE, "order_update")
        case projectx.Position(net=0):
            return "position_closed"
        case projectx.Position():
            return "position_opened, or position_updated"
        case actors.Lifecycle(state="connected" | "restored"):
            return "connected"
        case actors.Lifecycle(state="disconnected" | "reconnecting" as state):
            return state
        case actors.Stale():
            return "feed_stale"
        case actors.Gap():  # project-x-py has no name for it
            return "(events are missing here)"
        case _:
            return type(item).__name__


def one_loop(suite: TradingSuite) -> None:
    runtime, contract, account = suite.runtime, suite["NQ"].contract, suite.account_id
    quotes = runtime.subscribe("projectx", projectx.QUOTES, contract.id, wait=WAIT)
    trades = runtime.subscribe("projectx", projectx.TRADES, contract.id, wait=WAIT)
    depth = runtime.subscribe("projectx", projectx.DEPTH, contract.id, wait=WAIT)
    orders = runtime.subscribe("projectx", projectx.ORDERS, account, wait=WAIT)
    positions = runtime.subscribe("projectx", projectx.POSITIONS, account, wait=WAIT)
    streams = (quotes, trades, depth, orders, positions)

    bought = suite.orders.place(account, contract, "buy", 1)  # its events come below
    seen = Counter[str]()
    for item in runtime.merge(*streams, runtime.lifecycle(), markers=True, timeout=WAIT):
        seen[their_name(item.event if isinstance(item, actors.Received) else item.marker)] += 1
        if {"position_opened, or position_updated", "trade_tick", "quote_update"} <= seen.keys():
            break
    for stream in streams:
        stream.close()
    print(f"{type(bought.get(timeout=WAIT)).__name__}; events:")
    for name in sorted(seen):
        print(" ", name)


def by_handlers(suite: TradingSuite) -> None:
    """`on` is `on`, `off` is `close()`. `once` and `wait_for` are a stream from which one event is taken."""
    runtime, contract = suite.runtime, suite["NQ"].contract.id
    counted = Counter[str]()

    def count(_quote: projectx.Quote) -> None:
        counted["quotes"] += 1

    handling = runtime.on("projectx", projectx.QUOTES, contract, handler=count)
    with runtime.subscribe("projectx", projectx.TRADES, contract) as trades:
        print("the next trade is at", trades.get(timeout=WAIT).price)  # raises Timeout where none comes
        up = next(each for each in trades.take(WAIT) if each.type == projectx.TradeType.BUY)
        print("the next buy is at", up.price)
    handling.close()
    print("quotes were counted:", counted["quotes"] > 0, "errors:", handling.handler_errors)


def main() -> None:
    with trading_suite("NQ") as suite:
        one_loop(suite)
        by_handlers(suite)
        print("closed:", suite.flatten("NQ"))


if __name__ == "__main__":
    main()
