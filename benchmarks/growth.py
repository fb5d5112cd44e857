"""What more topics, streams and lines cost in events a second, and what it costs to add a topic."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import actors
from benchmarks.alone import alone, alone_within
from benchmarks.clients.feeds import subscription
from benchmarks.report import Table
from benchmarks.server import Plan, Sender, sending

TOPICS = (1, 100, 10_000, 100_000)
STREAMS = (1, 10, 100, 1_000)
LINES = (1, 8, 64)
ADDED = (10_000, 100_000)
ADDING = 300.0  # seconds that adding them may take
EVENTS = 300_000  # deliveries of a run
PIECE = 10_000  # topics that are subscribed to at once
LIVE = 60.0  # seconds until everything is confirmed
LOSSLESS: Any = {"policy": "block", "capacity": 100_000}


def measure() -> Table:
    table = Table("Growth: one process, as fast as it goes", ("more", "how many", "events/s"), words=1)
    for topics in TOPICS:
        table.add(("topics", f"{topics:,}"), partial(_rate, hear_topics, "alpaca", topics))
    for streams in STREAMS:
        table.add(("streams of one topic", f"{streams:,}"), partial(_rate, hear_streams, "o2", 1, streams))
    for lines in LINES:
        table.add(("lines", f"{lines:,}"), partial(_rate, hear_lines, "o2", 1, lines))
    return table


def measure_adding() -> Table:
    table = Table("Topics added one by one to a live stream", ("topics", "s a topic, of the last tenth", "s"))
    for topics in ADDED:
        table.add((f"{topics:,}",), partial(_added, topics))
    return table


def _added(topics: int) -> Sequence[str]:
    with sending("o2", topics) as sender:
        last_tenth, whole = alone_within(ADDING, add_one_by_one, sender.listen(Plan(0)))
    return f"{last_tenth / (topics // 10):.6f}", f"{whole:.1f}"


def add_one_by_one(address: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds that the last tenth took, and seconds from the first until the venue has answered all."""
    keys = address["keys"]
    before = len(keys) - len(keys) // 10
    with on_lines(address["url"]) as runtime:
        began = time.monotonic()
        stream = runtime.subscribe("bench", "trades", keys[0])
        for key in keys[1:before]:
            stream.add(key)
        nearly = time.monotonic()
        for key in keys[before:]:
            stream.add(key)
        added = time.monotonic()
        stream.add(keys[-1], wait=ADDING)
        return added - nearly, time.monotonic() - began


def _rate(hear: Callable[..., int], shape: str, topics: int, *given: int) -> Sequence[str]:
    with sending(shape, topics) as sender:
        seen_ns = alone(hear, sender, *given)
        return (f"{EVENTS * 1e9 / (seen_ns - sender.sent().begun_ns):,.0f}",)


def hear_topics(sender: Sender) -> int:
    """When the last event of all topics was seen: monotonic nanoseconds."""
    address = sender.listen(Plan(EVENTS))
    wants = subscription(address)
    with actors.start({"feeds": {"bench": wants.feed}}, wait=LIVE) as runtime:
        keys = address["keys"]
        stream = runtime.subscribe("bench", wants.channel, *keys[:PIECE], **LOSSLESS)
        for since in range(PIECE, len(keys), PIECE):
            stream.add(*keys[since : since + PIECE])
        return _read(stream, EVENTS)


def hear_streams(sender: Sender, streams: int) -> int:
    """Of several streams of one topic the last is read, and the others keep what is put into them."""
    count = EVENTS // streams
    address = sender.listen(Plan(count))
    with on_lines(address["url"]) as runtime:
        line = next(iter(runtime.status().lines()))
        runtime.supervisor.pause(line).get(timeout=LIVE)  # all streams are there before the venue sends
        every = [
            runtime.subscribe("bench", "trades", *address["keys"], policy="block", capacity=count + 1)
            for _ in range(streams)
        ]
        runtime.supervisor.resume(line).get(timeout=LIVE)
        seen_ns = _read(every[-1], count)
        assert all(stream.received == count for stream in every)
        return seen_ns


def hear_lines(sender: Sender, lines: int) -> int:
    """Each line is read by a thread of its own."""
    count = EVENTS // lines
    address = sender.listen(Plan(count, connections=lines))
    with on_lines(address["url"], lines) as runtime:
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


def _feeds(lines: int) -> Sequence[str]:
    return ["bench", *(f"bench{number}" for number in range(2, lines + 1))]


@contextmanager
def on_lines(url: str, lines: int = 1) -> Iterator[actors.Runtime]:
    """A runtime with so many live lines, each a feed of its own to the same venue."""
    feeds = {name: {"venue": "o2", "url": url} for name in _feeds(lines)}
    with actors.start({"feeds": feeds}, wait=LIVE) as runtime:
        yield runtime
