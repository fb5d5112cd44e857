"""Reads quotes and order updates in one plain loop, though they come from two hubs.

    python examples/quotes_and_orders.py
    python examples/quotes_and_orders.py CONFIG CONTRACT ACCOUNT

Without arguments it reads a ProjectX simulated inside this process, which also makes
orders for the account. With them it reads the feed `projectx` of a config file. It ends at the first
quote after a filled order.
"""

import sys
from collections.abc import Mapping
from typing import Any

import actors
from actors.venues import projectx

SIMULATED: Mapping[str, Any] = {
    "feeds": {
        "projectx": {
            "venue": "projectx",
            "url": "sim://projectx?rate=200",
            "user_name": "trader",
            "api_key": "any will do",
        },
    },
}
CONTRACT, ACCOUNT = "CON.F.US.EP.Z26", "4242"  # the simulator has them


def read(config: str | Mapping[str, Any], contract: str, account: str) -> None:
    """Print quotes and orders until a quote follows a filled order."""
    with actors.start(config, wait=10.0) as runtime:
        quotes = runtime.subscribe("projectx", projectx.QUOTES, contract, wait=10.0)
        orders = runtime.subscribe("projectx", projectx.ORDERS, account, wait=10.0)
        filled = False
        for received in runtime.merge(quotes, orders):  # in the order of arrival
            print(line_about(received.event))
            if filled and isinstance(received.event, projectx.Quote):
                break
            if isinstance(received.event, projectx.Order):
                filled = filled or received.event.status is projectx.OrderStatus.FILLED


def line_about(event: projectx.Quote | projectx.Order) -> str:
    if isinstance(event, projectx.Quote):
        return f"quote  {event.best_bid} / {event.best_ask}  ({', '.join(event.changed)})"
    side = "?" if event.side is None else "buy" if event.side is projectx.OrderSide.BID else "sell"
    status = "?" if event.status is None else event.status.name.lower()
    return f"order  {event.id} {side} {event.size} {event.contract_id}: {status}"


if __name__ == "__main__":
    if len(sys.argv) not in {1, 4}:
        sys.exit(__doc__)
    read(*(sys.argv[1:] or (SIMULATED, CONTRACT, ACCOUNT)))
