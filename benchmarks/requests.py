"""What `runtime.ask` brings: reads at once beside reads one after another, and the cost of one."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import actors
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests
from benchmarks.report import Table

ACCOUNT: Final = 4242
LATENCY: Final = 0.1  # seconds of each answer, as the gateway's ordinary ones
CALLS: Final = 30  # of a kind in a round; the gateway's budget has room for them
PATIENCE: Final = 30.0  # seconds


def measure(rounds: int) -> Table:
    """Milliseconds by the wall clock; the simulator runs in the same process."""
    title = f"Requests: medians of {rounds} rounds; answers take {LATENCY * 1e3:.0f} ms where it is said"
    table = Table(title, ("what", "ms"), words=1)
    table.add(("five reads, one after another, answers of 100 ms",), lambda: _reads(rounds, at_once=False))
    table.add(("five reads at once, answers of 100 ms",), lambda: _reads(rounds, at_once=True))
    table.add(("one read, answered at once",), lambda: _one(rounds, is_order=False))
    table.add(("one order, answered at once, recorded on disk twice",), lambda: _one(rounds, is_order=True))
    return table


@contextmanager
def asking(latency: float) -> Iterator[ProjectXRequests]:
    """Requests to a simulator that does nothing by itself; a connection and a contract are known."""
    with tempfile.TemporaryDirectory() as home, SimulatedProjectX(rate=0, latency=latency) as venue:
        OrderStore.create(Path(home) / "orders").close()
        login = {"venue": "projectx", "url": venue.url, "user_name": "trader", "api_key": os.urandom(8).hex()}
        limits = {"max_size": 1, "orders_per_minute": 1_000}
        feed = {**login, "trading": True, "limits": limits}
        config = {"trading": {"dir": f"{home}/orders"}, "feeds": {"projectx": feed}}
        with actors.start(config) as runtime:
            px = runtime.ask("projectx")
            px.wait_settled(PATIENCE)
            px.contract("ENQ").get(PATIENCE)
            px.place(ACCOUNT, "ENQ", "buy", 1).get(PATIENCE)
            yield px


def _reads(rounds: int, *, at_once: bool) -> Sequence[str]:
    with asking(LATENCY) as px:
        kinds = (px.ping, px.accounts, px.available_contracts, px.ping, px.accounts)
        actors.gather([kind() for kind in kinds], timeout=PATIENCE)  # five connections
        found = []
        for _ in range(rounds):
            begun = time.perf_counter()
            if at_once:
                actors.gather([kind() for kind in kinds], timeout=PATIENCE)
            else:
                for kind in kinds:
                    kind().get(PATIENCE)
            found.append((time.perf_counter() - begun) * 1e3)
    return (f"{median(found):.0f}",)


def _one(rounds: int, *, is_order: bool) -> Sequence[str]:
    found = []
    for _ in range(rounds):
        with asking(0.0) as px:
            begun = time.perf_counter()
            for _ in range(CALLS):
                asked = px.place(ACCOUNT, "ENQ", "buy", 1) if is_order else px.ping()
                asked.get(PATIENCE)
            found.append((time.perf_counter() - begun) / CALLS * 1e3)
    return (f"{median(found):.2f}",)
