"""Positions, profit in money, sizes by risk, an alert, a report. It does what 03_position_management.py does.

    python examples/migrating/project_x_py_1/position_management.py
    python examples/migrating/project_x_py_1/position_management.py CONFIG ACCOUNT INSTRUMENT

Without arguments it trades on a simulator in this process. With them it buys one contract for real, and sells
it, if the table of the feed `projectx` has `trading = true`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import actors
from actors.protocol import Contract
from actors.trading.order_store import OrderStore
from actors.venues import projectx

MAX_LOSS, MAX_GAIN = Decimal(-50), Decimal(100)  # money
WAIT = 30.0  # seconds


def manage(config: str | Mapping[str, Any], account_name: str, instrument: str) -> None:
    with actors.start(config, wait=WAIT) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(timeout=WAIT)
        account = px.account(account_name).get(timeout=WAIT).id
        contract = px.contract(instrument).get(timeout=WAIT)
        # The marks that open positions are valued by; this stream need not be read.
        marks = runtime.subscribe("projectx", projectx.TRADES, contract.id, wait=WAIT)
        show(runtime.account("projectx", account, wait=WAIT))
        sizes(contract, px.bars(contract, "1min", days=1).get(timeout=WAIT)[-1].close)

        history = History()
        runtime.on_account("projectx", account, handler=history.keep)
        print("buy:", type(px.place(account, contract, "buy", 1).get(timeout=WAIT)).__name__)
        history.opened.wait(WAIT)

        watch(runtime, account, rounds=3)
        view = runtime.account("projectx", account, wait=WAIT)
        print(json.dumps(report(view, contract), default=str))
        done = px.close(account, contract, sweep=True).get(timeout=2 * WAIT)
        history.closed.wait(WAIT)
        print(f"closed: {done.is_complete}; changes: {history.changes}")
        marks.close()


def show(view: actors.AccountView) -> None:
    """What is not known is None: neither zero, nor flat."""
    for each in view.positions:
        print(f"{each.net} {each.name} at {each.average_price}: {each.unrealised} at {each.mark}")
    print(
        f"{view.state}: {len(view.positions)} positions, unrealised {view.unrealised}, today {view.realised}"
    )


def sizes(contract: Contract, price: Decimal) -> None:
    """By the value of a tick: 10 points of NQ are 200 of money, and not 10."""
    for risk in (100, 200, 500):
        size = actors.position_size(contract, entry=price, stop=price - 10, risk=risk)
        print(f"risk {risk}: {size} contracts")


class History:
    """Each change of a position, as it came. Its handler runs on a thread of its own."""

    def __init__(self) -> None:
        self.changes: list[int | None] = []
        self.opened, self.closed = threading.Event(), threading.Event()

    def keep(self, event: actors.AccountEvent) -> None:
        if isinstance(event.row, actors.AccountPosition):
            self.changes.append(event.row.net)
            if event.row.net is not None:
                (self.opened if event.row.net else self.closed).set()


def watch(runtime: actors.Runtime, account: int, rounds: int, pause: float = 0.5) -> None:
    """An alert of your own: those of the SDK never look at max_loss and max_gain. It closes nothing."""
    for _ in range(rounds):
        profit = runtime.account("projectx", account).unrealised
        if profit is None:
            print("profit: not known")  # decide what your program does then
        else:
            print("profit: alert" if not MAX_LOSS < profit < MAX_GAIN else "profit: within bounds")
        threading.Event().wait(pause)


def report(view: actors.AccountView, contract: Contract) -> dict[str, Any]:
    """Their risk metrics and portfolio report, of what the view has; for one contract."""
    held = [each for each in view.positions if each.contract == contract.id and each.net and each.mark]
    point = contract.tick_value / contract.tick_size  # money, one contract
    exposure = [abs(each.net or 0) * (each.mark or 0) * point for each in held]
    return {
        "positions": [each.net for each in view.positions],
        "total_exposure": sum(exposure),
        "largest_position_risk": max(exposure, default=0) / sum(exposure) if exposure else 0,
        "unrealised": view.unrealised,
        "fills": len(view.fills),
        "age_s": view.age_s,
    }


def simulated(folder: Path) -> dict[str, Any]:
    OrderStore.create(folder).close()
    feed = {
        "venue": "projectx",
        "url": "sim://projectx?rate=50&acting=false&past=1",
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
