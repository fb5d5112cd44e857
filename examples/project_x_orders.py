"""ProjectX' REST from synchronous code: reads at once, an order with its outcome, and back to flat.

    python examples/project_x_orders.py

It trades on a simulator in this process, with an order store in a folder that is removed at the end. For a
real account, make a store with `linewarden orders init`, and write `trading = true` and its limits into your
config yourself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import actors
from actors.trading.order_store import OrderStore

ACCOUNT = 4242


def config(folder: Path) -> dict[str, object]:
    """One feed that may trade, on a simulator."""
    feed = {
        "venue": "projectx",
        "url": "sim://projectx?rate=0",
        "user_name": "trader",
        "api_key": "any",
        "trading": True,
        "limits": {"max_size": 3, "orders_per_minute": 30},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": feed}}


def trade(runtime: actors.Runtime) -> None:
    """Look, buy, and close again."""
    px = runtime.ask("projectx")
    accounts, positions, orders = px.accounts(), px.positions(ACCOUNT), px.open_orders(ACCOUNT)  # all at once
    print("accounts:", ", ".join(str(each.id) for each in accounts.get(timeout=10)))
    print(f"open: {len(positions.get().rows)} positions, {len(orders.get().rows)} orders")

    px.wait_settled(timeout=10)  # until it is known what became of orders of former processes
    handle = px.place(ACCOUNT, "ENQ", "buy", 1, bracket=actors.Bracket(stop=40, target=80))
    match handle.get(timeout=10):
        case actors.Accepted(order_id=order):
            print("accepted: order", order)
        case actors.Refused(code=code, message=message):
            print("refused:", code, message)
        case actors.Unknown(why=why):  # it may be at the venue: never place it again
            print("unknown:", why, px.settle(handle.tag).get(timeout=10))

    swept = px.close(ACCOUNT, "ENQ", sweep=True).get(timeout=30)
    print("closed, with its legs" if swept.is_complete else f"look at the account: {swept.why}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        OrderStore.create(Path(home) / "orders").close()
        with actors.start(config(Path(home) / "orders"), wait=10) as runtime:
            trade(runtime)
