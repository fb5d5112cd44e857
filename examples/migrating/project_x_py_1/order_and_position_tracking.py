"""A bracket is watched until its position has gone. It does what 08_order_and_position_tracking.py does.

    python examples/migrating/project_x_py_1/order_and_position_tracking.py
    python examples/migrating/project_x_py_1/order_and_position_tracking.py CONFIG ACCOUNT INSTRUMENT

Without arguments it trades on a simulator in this process. With them it buys one contract for real, if the
table of the feed `projectx` has `trading = true`. The venue cancels the other leg when one is filled. It does
not when a position is closed by hand: there `sweep=True` cancels the legs that are left.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import actors
from actors.trading.order_store import OrderStore

WAIT = 30.0  # seconds


class Tracker:
    """What became of each order and of the position, in order, on a thread of its own."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def handle(self, event: actors.AccountEvent) -> None:
        match event.row:
            case actors.AccountOrder(id=order, state=state, parent=parent):
                print(f"-- {'leg' if parent else 'order'} {order} is {state}")
            case actors.AccountPosition(contract=contract, net=net):
                print(f"-- position {net} of {contract}")
                if net == 0:
                    self.gone.set()


def track(config: str | Mapping[str, Any], account_name: str, instrument: str, patience: float) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(timeout=WAIT)
        account = px.account(account_name).get(timeout=WAIT).id
        contract = px.contract(instrument).get(timeout=WAIT)
        runtime.account("projectx", account, wait=WAIT)
        tracker = Tracker()
        runtime.on_account("projectx", account, handler=tracker.handle)

        bracket = actors.Bracket(stop=10, target=15)  # ticks from the fill
        placed = px.place(account, contract, "buy", 1, bracket=bracket).get(timeout=WAIT)
        print("bracket:", type(placed).__name__)
        try:
            if not tracker.gone.wait(patience):
                print("still open")
        except KeyboardInterrupt:  # no signal handler is needed
            print("Ctrl-C")
        finally:
            if any(each.contract_id == contract.id for each in px.positions(account).get(timeout=WAIT)):
                done = px.close(account, contract, sweep=True).get(timeout=2 * WAIT)
                print("closed by hand" if done.is_complete else f"look at the account: {done.why}")
        print("flat:", runtime.flat("projectx", account, wait=WAIT).answer)


def simulated(folder: Path) -> dict[str, Any]:
    OrderStore.create(folder).close()
    feed = {
        "venue": "projectx",
        "url": "sim://projectx?rate=200&acting=false",
        "user_name": "trader",
        "api_key": "any",
        "trading": True,
        "limits": {"max_size": 1, "orders_per_minute": 10},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": feed}}


if __name__ == "__main__":
    if len(sys.argv) == 4:
        track(sys.argv[1], sys.argv[2], sys.argv[3], patience=3_600.0)
    elif len(sys.argv) == 1:
        with tempfile.TemporaryDirectory() as home:
            track(simulated(Path(home) / "orders"), "PRAC-V2-4242", "NQ", patience=5.0)
    else:
        sys.exit(__doc__)
