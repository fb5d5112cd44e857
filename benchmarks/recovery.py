"""From a dropped TCP connection to the moment when every subscription is confirmed again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median
from typing import Any

from msgspec import Struct

import actors
from actors import Lifecycle, Runtime
from benchmarks.alone import alone
from benchmarks.clients.feeds import subscription
from benchmarks.report import Table
from benchmarks.server import Plan, Sender, sending

SHAPES = ("o2", "alpaca", "projectx")
TOPICS = (10, 1_000, 10_000)
# Every life counts as healthy, so that each first retry is due at a time from 0 to `initial`.
RESTART = {"initial": 0.25, "stable_after": 0.0}
# Open: ProjectX is given small batches and a rest by default, for fear of limits that it does not name.
PACING = {"batch": 500, "frames": []}


class Recovery(Struct, frozen=True):
    """Milliseconds: all of it, and its parts as the journal has them."""

    whole: float  # from the reset at the other end to `restored` in the program's loop
    wait: float  # until a new connection was begun: by chance
    connect: float
    login: float
    subscribe: float  # until every subscription was answered for

    @property
    def restoring(self) -> float:
        return self.whole - self.wait


PARTS = ("whole", "wait", "restoring", "connect", "login", "subscribe")


def measure(topics: Sequence[int], drops: int) -> Table:
    columns = ("venue", "topics", "whole", "restart delay", "the rest", "connect", "login", "subscribe")
    table = Table(f"Recovery: from a TCP reset to all confirmed, medians of {drops}, ms", columns)
    for shape in SHAPES:
        for count in topics:
            table.add((shape, f"{count:,}"), partial(_medians, shape, count, drops))
    return table


def _medians(shape: str, topics: int, drops: int) -> Sequence[str]:
    with sending(shape, topics) as sender:
        done = alone(recover, sender, drops)
    return [f"{median(getattr(each, part) for each in done):,.1f}" for part in PARTS]


def recover(sender: Sender, drops: int) -> list[Recovery]:
    address = sender.listen(Plan(0))
    wants = subscription(address)
    feed = {**wants.feed, "restart": RESTART, "send_rate": PACING}
    with actors.start({"feeds": {"bench": feed}}, wait=10.0) as runtime:
        stream = runtime.subscribe("bench", wants.channel, *address["keys"])
        runtime.wait_live(timeout=60.0)
        markers = stream.with_markers()
        done = [_dropped(sender, runtime, markers) for _ in range(drops)]
    sender.sent()
    return done


def _dropped(sender: Sender, runtime: Runtime, markers: Iterator[Any]) -> Recovery:
    dropped_ns = sender.drop()
    next(each for each in markers if isinstance(each, Lifecycle) and each.state == "restored")
    whole = (time.monotonic_ns() - dropped_ns) / 1e6
    runtime.wait_live(timeout=60.0)
    line = next(each for each in runtime.status().lines().values() if each.topics)
    split = line.journal[-1].split
    steps = (split.wait, split.connect, split.login, split.subscribe)
    return Recovery(whole, *(step or 0.0 for step in steps))
