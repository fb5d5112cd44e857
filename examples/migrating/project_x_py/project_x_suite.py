"""What project-x-py's `TradingSuite` holds, for the ports in this folder: copy it and change what you
like.

Without arguments a port runs on a simulator in its own process, with account 4242 and an order store in
a folder that is removed at the end. With a config of yours and the number of an account it uses these:

    python examples/migrating/project_x_py/PORT.py CONFIG ACCOUNT

A port that places orders then needs `trading = true` in the feed `projectx` of that config.
It closes the whole position in its instrument at its end, and takes back all orders of it: use a practice
account.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import actors
from actors.metrics import Metrics
from actors.protocol import Contract
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests
from actors.venues import projectx

WAIT = 30.0  # seconds that a call may wait for the venue
PAST = 1.0  # days of history that the simulator makes up


@dataclass(frozen=True)
class Instrument:
    """One instrument of the suite. Each property is what is known now; no call is needed to keep it."""

    suite: TradingSuite
    contract: Contract
    timeframes: tuple[str, ...]

    @property
    def bars(self) -> actors.BarsView:
        return self.suite.runtime.bars("projectx", self.contract.id, *self.timeframes, wait=WAIT)

    @property
    def book(self) -> actors.BookView:
        return self.suite.runtime.book("projectx", self.contract.id, wait=WAIT)

    @property
    def price(self) -> Decimal:
        """The newest price of a trade. Raises StalePriceError where it is older than 15 s."""
        found = self.suite.runtime.latest("projectx", self.contract.id, max_age=15.0)
        if found.last is None:
            raise actors.StalePriceError(f"{self.contract.name} has a quote, and no trade of the last 15 s")
        return Decimal(found.last)

    def ticks(self, count: int) -> Decimal:
        """The distance of so many ticks, as a price."""
        return count * self.contract.tick_size


@dataclass(frozen=True)
class TradingSuite:
    """Instruments of one account, by the names that were given."""

    runtime: actors.Runtime
    orders: ProjectXRequests
    account_id: int
    instruments: dict[str, Instrument] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Instrument:
        return self.instruments[name]

    @property
    def account(self) -> actors.AccountView:
        """Positions, working orders, fills and balance, once lists and channels agree."""
        return self.runtime.account("projectx", self.account_id, wait=WAIT)

    def wait_account(self, holds: Callable[[actors.AccountView], bool]) -> actors.AccountView:
        """The first view of which something holds. What an order causes comes after its answer.

        Raises TimeoutError where none does within 30 s.
        """
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            if holds(view := self.account):
                return view
            time.sleep(0.02)
        raise TimeoutError(f"{self.account} is not what was waited for")

    def legs(self, entry: int) -> list[actors.AccountOrder]:
        """The stop and the target of a bracket, once the entry is filled and both work."""

        def of_entry(view: actors.AccountView) -> list[actors.AccountOrder]:
            return [each.order for each in view.orders if each.order.parent == entry]

        return of_entry(self.wait_account(lambda view: len(of_entry(view)) == 2))

    @property
    def is_simulated(self) -> bool:
        return len(sys.argv) != 3

    def flatten(self, name: str) -> bool:
        """Closes the position and its legs, cancels other orders, and returns whether that is certain."""
        contract, px = self[name].contract, self.orders
        until = time.monotonic() + WAIT
        while time.monotonic() < until:  # an order that was filled meanwhile has made another position
            px.close(self.account_id, contract, sweep=True).get(timeout=WAIT)  # refused without a position
            is_swept = px.cancel_all(self.account_id, contract).get(timeout=WAIT).is_complete
            if is_swept and self.wait_account(lambda view: view.synced).net(contract) == 0:
                return True
            time.sleep(0.5)
        return False


@contextmanager
def trading_suite(
    *names: str,
    timeframes: tuple[str, ...] = ("1min", "5min"),
    calendars: Mapping[str, Any] | None = None,
    past: float = PAST,
    metrics: Metrics | None = None,
) -> Iterator[TradingSuite]:
    """Connected when the block begins, with quotes and trades of each instrument; all ends with the block."""
    with (
        _config(calendars or {}, past) as (config, account),
        actors.start(config, wait=WAIT, metrics=metrics) as runtime,
    ):
        orders = runtime.ask("projectx")
        orders.wait_settled(timeout=WAIT)  # until it is known what became of orders of former processes
        runtime.account("projectx", account)  # followed from here on
        suite = TradingSuite(runtime, orders, account)
        for name, contract in actors.gather({each: orders.contract(each) for each in names}).items():
            suite.instruments[name] = Instrument(suite, contract, timeframes)
        contracts = [each.contract.id for each in suite.instruments.values()]
        kept = [
            runtime.subscribe("projectx", channel, contracts, policy="conflate", wait=WAIT)
            for channel in (projectx.QUOTES, projectx.TRADES)
            if contracts
        ]
        yield suite
        for stream in kept:
            stream.close()


def order_id(handle: actors.OrderHandle) -> int | None:
    """The order, once the venue has taken it. None: refused, or unknown; the reason is printed."""
    match handle.get(timeout=WAIT):
        case actors.Accepted(order_id=order):
            return order
        case actors.Refused(code=code, message=message):
            print(f"refused ({code}): {message}")
        case actors.Unknown(tag=tag, why=why):  # never placed again: `orders.settle(tag)` looks for it
            print(f"may be at the venue: {tag}: {why}")
    return None


@contextmanager
def _config(calendars: Mapping[str, Any], past: float) -> Iterator[tuple[Any, int]]:
    """A config and an account: those of the command line, or of a simulator."""
    if len(sys.argv) == 3:
        yield sys.argv[1], int(sys.argv[2])
        return
    feed = {
        "venue": "projectx",
        "url": f"sim://projectx?rate=300&acting=false&past={past}",
        "user_name": "trader",
        "api_key": "any",
        "trading": True,
        "limits": {"max_size": 3, "orders_per_minute": 60},
    }
    with tempfile.TemporaryDirectory() as home:
        OrderStore.create(Path(home) / "orders").close()
        trading = {"dir": str(Path(home) / "orders")}
        yield {"trading": trading, "calendars": calendars, "feeds": {"projectx": feed}}, 4242
