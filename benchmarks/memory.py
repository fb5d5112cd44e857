"""What a line, a topic and a queued event take: what the process has resident more, for each of many."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import actors
from benchmarks.alone import alone
from benchmarks.clients.feeds import subscription
from benchmarks.growth import LIVE, on_lines
from benchmarks.report import Table
from benchmarks.server import Plan, Sender, sending


def measure() -> Table:
    table = Table("Memory: what the process has resident more", ("one more", "bytes"))
    table.add(("idle line, of 500",), partial(_bytes, a_line, "o2", 1, 500))
    table.add(("topic of a stream, of 10,000",), partial(_bytes, a_topic, "alpaca", 10_000))
    table.add(("queued event, of 200,000",), partial(_bytes, a_queued_event, "o2", 1, 200_000))
    return table


def _bytes(grow: Callable[..., float], shape: str, topics: int, *given: int) -> Sequence[str]:
    with sending(shape, topics) as sender:
        return (f"{alone(grow, sender, *given):,.0f}",)


def a_line(sender: Sender, lines: int) -> float:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a line has four descriptors
    address = sender.listen(Plan(0))
    with on_lines(address["url"]):
        before = _resident()
        with on_lines(address["url"], lines):
            grown = _resident() - before
    return grown / lines


def a_topic(sender: Sender) -> float:
    address = sender.listen(Plan(0))
    wants = subscription(address)
    with actors.start({"feeds": {"bench": wants.feed}}, wait=LIVE) as runtime:
        before = _resident()
        _stream = runtime.subscribe("bench", wants.channel, *address["keys"])
        runtime.wait_live(timeout=LIVE)
        grown = _resident() - before
    return grown / len(address["keys"])


def a_queued_event(sender: Sender, count: int) -> float:
    address = sender.listen(Plan(count))
    with on_lines(address["url"]) as runtime:
        stream = runtime.subscribe("bench", "trades", *address["keys"], policy="block", capacity=count + 1)
        before = _resident()
        while stream.queued < count:
            time.sleep(0.05)
        return (_resident() - before) / count


def _resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
