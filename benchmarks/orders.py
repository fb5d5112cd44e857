"""What the order store and the request meter cost: wall time, for both wait for the disk or for a lock."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from actors.protocol.limits import FrameLimit
from actors.protocol.trading import Accepted, Intent, Place
from actors.trading.order_store import OrderStore
from actors.trading.records import StoreView
from actors.trading.request_meter import RequestMeter
from benchmarks.report import Table

CALLS = 200  # of each kind in a round

_accounts = itertools.count(1)


def measure(rounds: int) -> Table:
    """Microseconds a call, in the folder for temporary files: its disk decides."""
    table = Table(f"Orders on disk, medians of {rounds} rounds of {CALLS:,} calls", ("call", "µs"), words=1)
    with tempfile.TemporaryDirectory() as place:
        store = OrderStore.create(Path(place, "orders"))
        meter = RequestMeter(Path(place), "anna", {"rest": FrameLimit(200, 60.0)}, starts_spent=False)
        asked: dict[str, Callable[[], object]] = {
            "store.begin and store.finish": partial(_order, store),
            "store.halt_of": partial(store.halt_of, "host", 1),
            "meter.take, of 200 within a minute": partial(meter.take, "rest", "flatten"),
        }
        for name, ask in asked.items():
            table.add((name,), partial(_microseconds, ask, rounds))
        meter.close()
        store.close()
    return table


def _allow(view: StoreView) -> None:
    """No limits."""


def _order(store: OrderStore) -> None:
    """Of an account of its own: the limits read the orders of the last minute, and here they are many."""
    mutation = Place(account=next(_accounts), contract="CON.F.US.EP.Z26", side="buy", size=1, type="market")
    intent = Intent(tag=store.new_tag(), mutation=mutation, begun_ns=time.time_ns())
    store.begin(intent, "host", _allow)
    store.finish(Accepted(intent.tag, 1))


def _microseconds(ask: Callable[[], object], rounds: int) -> Sequence[str]:
    return (f"{median(_once(ask) for _ in range(rounds)):,.0f}",)


def _once(ask: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(CALLS):
        ask()
    return (time.perf_counter() - begun) / CALLS * 1e6
