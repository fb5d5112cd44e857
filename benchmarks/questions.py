"""What it costs to ask whether data is fresh, while a line brings events."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import actors
from actors.venues import o2
from benchmarks.growth import LIVE
from benchmarks.report import Table

MARKET, ACCOUNT = "0xbeef", "0xacc"
CALLS = 2_000  # of each kind in a round
CONFIG = {"feeds": {"o2": {"venue": "o2", "url": "sim://o2?rate=100"}}}


def measure(rounds: int) -> Table:
    """Microseconds of the calling thread a call; the simulator runs in the same process."""
    table = Table(f"May I act now? Medians of {rounds} rounds of {CALLS:,} calls", ("call", "µs"), words=1)
    with actors.start(CONFIG, wait=LIVE) as runtime:
        prices = runtime.subscribe("o2", o2.TRADES, MARKET, stale_after=60.0, wait=LIVE)
        orders = runtime.subscribe("o2", o2.ORDERS, ACCOUNT, wait=LIVE)
        prices.get(timeout=LIVE)
        permit = runtime.require(prices, orders, max_age=60.0)
        asked: dict[str, Callable[[], object]] = {
            "runtime.fresh(feed, channel, key)": lambda: runtime.fresh("o2", o2.TRADES, MARKET),
            "stream.fresh()": prices.fresh,
            "runtime.require(stream)": lambda: runtime.require(prices),
            "runtime.require(prices, orders, max_age)": partial(
                runtime.require, prices, orders, max_age=60.0
            ),
            "permit.valid, of two streams": lambda: permit.valid,
        }
        for name, ask in asked.items():
            table.add((name,), partial(_microseconds, ask, rounds))
    return table


def _microseconds(ask: Callable[[], object], rounds: int) -> Sequence[str]:
    return (f"{median(_once(ask) for _ in range(rounds)):.1f}",)


def _once(ask: Callable[[], object]) -> float:
    begun = time.thread_time()
    for _ in range(CALLS):
        ask()
    return (time.thread_time() - begun) / CALLS * 1e6
