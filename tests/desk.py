"""A runtime on a simulated O2, quick to come back: what the stories are told on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import actors
from actors.simulators import SimulatedO2
from actors.status import LineStatus, Status

RESTART = {"initial": 0.05, "maximum": 0.2, "stable_after": 0.05, "max_restarts": 10_000}
HEARTBEAT = {"ping_interval": 0.5, "pong_timeout": 0.5}


def config(url: str, *, runtime: Mapping[str, Any] | None = None, **feed: Any) -> dict[str, Any]:
    """The config of one feed `o2` at this address; `feed` overrides its table's keys."""
    table: dict[str, Any] = {"venue": "o2", "url": url, "ack_timeout": 1.0, "connect_timeout": 5.0}
    table["restart"] = RESTART | feed.pop("restart", {})
    table["heartbeat"] = HEARTBEAT | feed.pop("heartbeat", {})
    return {"runtime": dict(runtime or {}), "feeds": {"o2": table | feed}}


@contextmanager
def desk_on(simulator: SimulatedO2, *, live: bool = True, **feed: Any) -> Iterator[actors.Runtime]:
    """A runtime on this simulator, live when the story begins."""
    with actors.start(config(simulator.url, **feed), wait=10.0 if live else None) as runtime:
        yield runtime


def line_of(runtime: actors.Runtime, name: str = "o2") -> LineStatus:
    return runtime.status().lines()[name]


def at_epoch(epoch: int, line: str = "o2") -> Callable[[Status], bool]:
    """The line has had its loss noticed, and begun this life or a later one."""
    return lambda status: status.lines()[line].epoch >= epoch


def until(runtime: actors.Runtime, wanted: Callable[[Status], bool], seconds: float = 20.0) -> Status:
    """The first status that is as wanted. Each look asks the supervisor, so this is no busy loop."""
    deadline = time.monotonic() + seconds
    while not wanted(status := runtime.status()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; the last status was {status}")
    return status
