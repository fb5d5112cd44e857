"""What `create_trading_suite` of project-x-py 1.1 gave, in one call: connected, loaded, and kept true.

    python examples/trading_suite.py

It trades on a simulator in this process, with an order store in a folder that is removed at the end. For a
real account, make a store with `linewarden orders init`, and write `trading = true` and its limits into your
config yourself. Indicators are your own: `actors.records(...)` gives bars to pandas and polars.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import actors
from actors.protocol import Contract
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests

ACCOUNT = 4242


@dataclass(frozen=True)
class TradingSuite:
    """One instrument of one account. Every property is what is known now; no call is needed to keep it."""

    runtime: actors.Runtime  # the real-time client
    orders: ProjectXRequests  # the client and the order manager
    contract: Contract  # the instrument
    account_id: int
    timeframes: tuple[str, ...]

    @property
    def bars(self) -> actors.BarsView:  # the data manager
        return self.runtime.bars("projectx", self.contract.id, *self.timeframes, wait=30)

    @property
    def account(self) -> actors.AccountView:  # the position manager, and the orders that work
        return self.runtime.account("projectx", self.account_id, wait=30)


@contextmanager
def trading_suite(
    config: Mapping[str, Any], instrument: str, account: int, *timeframes: str
) -> Iterator[TradingSuite]:
    """Connected and loaded when the block begins; everything ends with it."""
    with actors.start(config, wait=30) as runtime:
        orders = runtime.ask("projectx")
        orders.wait_settled(timeout=30)  # until it is known what became of orders of former processes
        contract = orders.contract(instrument).get(timeout=30)  # the one that it names, or an error
        suite = TradingSuite(runtime, orders, contract, account, timeframes)
        print(f"loaded: {suite.bars}; account {account} is {suite.account.state}")
        yield suite


def config(folder: Path) -> dict[str, Any]:
    """One feed that may trade, on a simulator with a day of history."""
    feed = {
        "venue": "projectx",
        "url": "sim://projectx?rate=50&acting=false&past=1",
        "user_name": "trader",
        "api_key": "any",
        "trading": True,
        "limits": {"max_size": 3, "orders_per_minute": 30},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": feed}}


def trade(suite: TradingSuite) -> None:
    """Look, buy with a bracket, look again, and get out."""
    last = suite.bars["1min"].finished[-1].close
    stop = last - 40 * suite.contract.tick_size
    size = min(3, actors.position_size(suite.contract, last, stop, risk=500))
    bracket = actors.Bracket(stop=40, target=80)
    placed = suite.orders.place(suite.account_id, suite.contract, "buy", size, bracket=bracket)
    print(f"buy {size}: {type(placed.get(timeout=30)).__name__}")

    for position in suite.account.positions:
        print(f"position: {position.net}, {position.unrealised} at {position.mark}")

    done = suite.orders.close(suite.account_id, suite.contract, sweep=True).get(timeout=60)
    print(f"closed, flat: {done.flat.answer}" if done.is_complete else f"look at the account: {done.why}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        OrderStore.create(Path(home) / "orders").close()
        with trading_suite(config(Path(home) / "orders"), "ENQ", ACCOUNT, "1min", "5min", "1h") as suite:
            trade(suite)
