"""How long it takes until a program hears its first line."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from statistics import median

import actors
from benchmarks.alone import alone
from benchmarks.growth import LIVE
from benchmarks.report import Table
from benchmarks.server import Plan, Sender, sending


def measure(rounds: int) -> Table:
    table = Table(f"The start, medians of {rounds}", ("from", "until", "ms"), words=2)
    table.add(("a Python that runs", "actors is imported"), partial(_import, rounds))
    table.add(("actors.start", "one line is live"), partial(_start, rounds))
    return table


def _import(rounds: int) -> Sequence[str]:
    seconds = [_seconds("import actors") - _seconds("pass") for _ in range(rounds)]
    return (f"{median(seconds) * 1e3:,.0f}",)


def _start(rounds: int) -> Sequence[str]:
    with sending("o2") as sender:
        return (f"{median(alone(start, sender) for _ in range(rounds)) * 1e3:,.0f}",)


def _seconds(program: str) -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.monotonic() - begun


def start(sender: Sender) -> float:
    address = sender.listen(Plan(0))
    begun = time.monotonic()
    feed = {
        "venue": "o2",
        "url": address["url"],
        "subscribe": [{"channel": "trades", "keys": address["keys"]}],
    }
    with actors.start({"feeds": {"bench": feed}}, wait=LIVE):
        took = time.monotonic() - begun
    sender.sent()
    return took
