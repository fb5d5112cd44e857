"""A limit, a stop, a bracket, a change, and all taken back. It does what 02_order_management.py does.

    python examples/migrating/project_x_py_1/order_management.py
    python examples/migrating/project_x_py_1/order_management.py CONFIG ACCOUNT INSTRUMENT

Without arguments it trades on a simulator in this process. With them it places real orders, if the table of
the feed `projectx` has `trading = true`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import actors
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests

WAIT = 30.0  # seconds


def manage(config: str | Mapping[str, Any], account_name: str, instrument: str) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(timeout=WAIT)  # until it is known what became of orders of a former process
        account = px.account(account_name).get(timeout=WAIT).id
        contract = px.contract(instrument).get(timeout=WAIT)
        price = px.bars(contract, "1min", days=1).get(timeout=WAIT)[-1].close

        # Fills and cancels are told here, for as long as this runs: nothing has to be tracked.
        runtime.on_account("projectx", account, handler=show)
        runtime.account("projectx", account, wait=WAIT)

        below = price - 40 * contract.tick_size  # a multiple of the tick: nothing is rounded
        print("limit:", limit := order_of(px.place(account, contract, "buy", 1, limit=below)))
        print("stop:", order_of(px.place(account, contract, "buy", 1, stop=price + 60 * contract.tick_size)))

        # One order at the venue. Its exits count in ticks from the fill, and cannot work before it.
        bracket = actors.Bracket(stop=40, target=80)
        print("entry:", order_of(px.place(account, contract, "buy", 1, limit=below, bracket=bracket)))

        if limit is not None:
            changed = px.modify(account, limit, limit=price - 20 * contract.tick_size).get(timeout=WAIT)
            print("change:", type(changed).__name__)

        view = runtime.account("projectx", account, wait=WAIT)
        for each in view.orders:  # the bracket's legs stand under their entry
            order = each.order
            at = order.limit_price or order.stop_price
            print(f"works: {order.type} {order.side} {order.size} at {at}, {len(each.legs)} legs")

        clean_up(px, account, view)
        print("flat:", runtime.flat("projectx", account, wait=WAIT).answer)  # by evidence


def order_of(handle: actors.OrderHandle) -> int | None:
    """The order's id. It raises nothing: an order without an answer may be at the venue all the same."""
    match handle.get(timeout=WAIT):
        case actors.Accepted(order_id=order):
            return order
        case actors.Refused(code=code, message=message):
            print("refused:", code, message)
        case actors.Unknown(tag=tag, why=why):  # never place it again
            print("unknown:", tag, why)
    return None


def show(event: actors.AccountEvent) -> None:
    if isinstance(event.row, actors.AccountOrder):
        print(f"-- order {event.row.id}: {event.row.state}")


def clean_up(px: ProjectXRequests, account: int, view: actors.AccountView) -> None:
    """Every working order of the account, and then every position."""
    swept = px.cancel_all(account).get(timeout=2 * WAIT)
    print(f"cancelled: {len(swept.steps)}" if swept.is_complete else f"look at the account: {swept.why}")
    for position in view.positions:
        closed = px.close(account, position.contract, sweep=True).get(timeout=2 * WAIT)
        print(f"closed: {position.contract}" if closed.is_complete else f"not closed: {closed.why}")


def simulated(folder: Path) -> dict[str, Any]:
    """A feed that may trade, on a simulator whose price stands still."""
    OrderStore.create(folder).close()
    feed = {
        "venue": "projectx",
        "url": "sim://projectx?rate=0&past=1",
        "user_name": "trader",
        "api_key": "any",
        "trading": True,
        "limits": {"max_size": 3, "orders_per_minute": 30},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": feed}}


if __name__ == "__main__":
    if len(sys.argv) == 4:
        manage(*sys.argv[1:])
    elif len(sys.argv) == 1:
        with tempfile.TemporaryDirectory() as home:
            manage(simulated(Path(home) / "orders"), "PRAC-V2-4242", "NQ")
    else:
        sys.exit(__doc__)
