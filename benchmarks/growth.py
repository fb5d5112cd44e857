"""What more topics, streams and lines cost, in events a second and in memory; and what a start takes."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import actors
from benchmarks.alone import alone
from benchmarks.clients.feeds import subscription
from benchmarks.report import Table
from benchmarks.server import Plan, Sender, sending

TOPICS = (1, 100, 10_000, 100_000)
STREAMS = (1, 10, 100, 1_000)
LINES = (1, 8, 64)
EVENTS = 300_000  # deliveries of a run
LIVE = 60.0  # seconds until everything is confirmed
LOSSLESS: Any = {"policy": "block", "capacity": 100_000}


def measure(rounds: int) -> Iterator[Table]:
    yield measure_rates()
    yield measure_memory()
    yield measure_start(rounds)


# ── events a second ─────────────────────────────────────────────────────────────────────────────


def measure_rates() -> Table:
    table = Table("Growth: one process, as fast as it goes", ("more", "how many", "events/s"), words=1)
    for topics in TOPICS:
        table.add(("topics", f"{topics:,}"), partial(_rate, hear_topics, "alpaca", topics))
    for streams in STREAMS:
        table.add(("streams of one topic", f"{streams:,}"), partial(_rate, hear_streams, "o2", 1, streams))
    for lines in LINES:
        table.add(("lines", f"{lines:,}"), partial(_rate, hear_lines, "o2", 1, lines))
    return table


def _rate(hear: Callable[..., int], shape: str, topics: int, *given: int) -> Sequence[str]:
    with sending(shape, topics) as sender:
        seen_ns = alone(hear, sender, *given)
        return (f"{EVENTS * 1e9 / (seen_ns - sender.sent().begun_ns):,.0f}",)


def hear_topics(sender: Sender) -> int:
    """When the last event of all topics was seen: monotonic nanoseconds."""
    address = sender.listen(Plan(EVENTS))
    wants = subscription("alpaca", address)
    with actors.start({"feeds": {"bench": wants.feed}}, wait=LIVE) as runtime:
        stream = runtime.subscribe("bench", wants.channel, *address["keys"], **LOSSLESS)
        return _read(stream, EVENTS)


def hear_streams(sender: Sender, streams: int) -> int:
    """Of several streams of one topic the last is read, and the others keep what is put into them."""
    count = EVENTS // streams
    address = sender.listen(Plan(count))
    with _runtime(address["url"]) as runtime:
        every = [
            runtime.subscribe("bench", "trades", *address["keys"], policy="block", capacity=count + 1)
            for _ in range(streams)
        ]
        seen_ns = _read(every[-1], count)
        assert all(stream.received == count for stream in every)
        return seen_ns


def hear_lines(sender: Sender, lines: int) -> int:
    """Each line is read by a thread of its own."""
    count = EVENTS // lines
    address = sender.listen(Plan(count, connections=lines))
    with _runtime(address["url"], lines) as runtime:
        streams = [runtime.subscribe(feed, "trades", *address["keys"], **LOSSLESS) for feed in _feeds(lines)]
        readers = [threading.Thread(target=_read, args=(stream, count)) for stream in streams]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        return time.monotonic_ns()


def _read(stream: actors.Stream[Any], count: int) -> int:
    for number, _ in enumerate(stream, 1):
        if number == count:
            break
    return time.monotonic_ns()


# ── memory ──────────────────────────────────────────────────────────────────────────────────────


def measure_memory() -> Table:
    table = Table("Growth: memory, by what the process has resident before and after", ("one more", "bytes"))
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
    address = sender.listen(Plan(0, connections=lines + 1))
    with _runtime(address["url"]):
        before = _resident()
        with _runtime(address["url"], lines):
            grown = _resident() - before
    return grown / lines


def a_topic(sender: Sender) -> float:
    address = sender.listen(Plan(0))
    wants = subscription("alpaca", address)
    with actors.start({"feeds": {"bench": wants.feed}}, wait=LIVE) as runtime:
        before = _resident()
        runtime.subscribe("bench", wants.channel, *address["keys"])
        runtime.wait_live(timeout=LIVE)
        grown = _resident() - before
    return grown / len(address["keys"])


def a_queued_event(sender: Sender, count: int) -> float:
    address = sender.listen(Plan(count))
    with _runtime(address["url"]) as runtime:
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


# ── the start ───────────────────────────────────────────────────────────────────────────────────


def measure_start(rounds: int) -> Table:
    table = Table(f"Growth: the start, medians of {rounds}", ("from", "until", "ms"), words=2)
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


# ── a runtime ───────────────────────────────────────────────────────────────────────────────────


def _feeds(lines: int) -> Sequence[str]:
    return ["bench", *(f"bench{number}" for number in range(2, lines + 1))]


@contextmanager
def _runtime(url: str, lines: int = 1) -> Iterator[actors.Runtime]:
    feeds = {name: {"venue": "o2", "url": url} for name in _feeds(lines)}
    with actors.start({"feeds": feeds}, wait=LIVE) as runtime:
        yield runtime
