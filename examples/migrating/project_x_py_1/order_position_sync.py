"""A stop that follows the size of its position. It does what order_position_sync_demo.py of 1.0 does.

    python examples/migrating/project_x_py_1/order_position_sync.py
    python examples/migrating/project_x_py_1/order_position_sync.py CONFIG ACCOUNT INSTRUMENT

Without arguments it trades on a simulator in this process. With them it buys three contracts for real, and
sells them again, if the table of the feed `projectx` has `trading = true`. The gateway resizes no order when
its position changes, and cancels none when that is closed. The handler does.
"""

from __future__ import annotations

import queue
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import actors
from actors.protocol import Contract
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests

WAIT = 30.0  # seconds


class FollowingStop:
    """One stop of a long position. Its handler runs on a thread of its own, so it may ask and wait."""

    def __init__(self, px: ProjectXRequests, account: int, contract: Contract, order: int) -> None:
        self._px, self._account, self._contract, self._order = px, account, contract, order
        self.done: queue.SimpleQueue[str] = queue.SimpleQueue()

    def handle(self, event: actors.AccountEvent) -> None:
        row = event.row
        if not isinstance(row, actors.AccountPosition) or row.contract != self._contract.id:
            return
        if row.net is None:  # the venue does not tell: the stop stays as it is
            return
        if row.net > 0:
            changed = self._px.modify(self._account, self._order, size=row.net).get(timeout=WAIT)
            self.done.put(f"position {row.net}: stop changed, {type(changed).__name__}")
        else:
            gone = self._px.cancel(self._account, self._order).get(timeout=WAIT)
            self.done.put(f"position {row.net}: stop cancelled, {type(gone).__name__}")


def trade(config: str | Mapping[str, Any], account_name: str, instrument: str) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(timeout=WAIT)
        account = px.account(account_name).get(timeout=WAIT).id
        contract = px.contract(instrument).get(timeout=WAIT)
        price = px.bars(contract, "1min", days=1).get(timeout=WAIT)[-1].close
        runtime.account("projectx", account, wait=WAIT)

        print("buy 3:", type(px.place(account, contract, "buy", 3).get(timeout=WAIT)).__name__)
        stop = px.place(account, contract, "sell", 3, stop=price - 40 * contract.tick_size).get(timeout=WAIT)
        if not isinstance(stop, actors.Accepted) or stop.order_id is None:
            print("no stop:", stop)  # out again, then: a position without a stop is not what was wanted
            px.close(account, contract, sweep=True).get(timeout=2 * WAIT)
            return

        follower = FollowingStop(px, account, contract, stop.order_id)
        wait_for_position(runtime, account, contract, 3)
        runtime.on_account("projectx", account, handler=follower.handle)
        px.close(account, contract, 1).get(timeout=WAIT)
        print(follower.done.get(timeout=WAIT))
        px.close(account, contract).get(timeout=WAIT)
        print(follower.done.get(timeout=WAIT))
        print("flat:", runtime.flat("projectx", account, wait=WAIT).answer)


def wait_for_position(runtime: actors.Runtime, account: int, contract: Contract, net: int) -> None:
    """Until the view has it: an accepted order is not yet a filled one."""
    changes: queue.SimpleQueue[actors.AccountEvent] = queue.SimpleQueue()
    listening = runtime.on_account("projectx", account, handler=changes.put)
    while runtime.account("projectx", account, wait=WAIT).net(contract) != net:
        changes.get(timeout=WAIT)
    listening.close()


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
        trade(*sys.argv[1:])
    elif len(sys.argv) == 1:
        with tempfile.TemporaryDirectory() as home:
            trade(simulated(Path(home) / "orders"), "PRAC-V2-4242", "NQ")
    else:
        sys.exit(__doc__)
