"""A runtime on a simulated venue, quick to come back: what the stories are told on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

import actors
from actors import RuntimeStopped, Timeout
from actors.calls import ask
from actors.messages import ReadMail
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.status import LineStatus, Status

RESTART = {"initial": 0.05, "maximum": 0.2, "stable_after": 0.05, "max_restarts": 10_000}
HANGS = 0.5  # seconds after which a supervisor that does not answer is waited for no longer
HEARTBEAT = {"ping_interval": 0.5, "pong_timeout": 0.5}


KEY, SECRET = "PKCANARY0f00dfeed", "canary-cafe4711d00d"  # of an Alpaca account; to be shown nowhere


def config(url: str, *, runtime: Mapping[str, Any] | None = None, **feed: Any) -> dict[str, Any]:
    """The config of one feed `o2` at this address; `feed` overrides its table's keys."""
    return {"runtime": dict(runtime or {}), "feeds": {"o2": feed_at(url, **feed)}}


def feed_at(url: str, *, venue: str = "o2", **feed: Any) -> dict[str, Any]:
    """The table of one feed at this address."""
    table: dict[str, Any] = {"venue": venue, "url": url, "ack_timeout": 1.0, "connect_timeout": 5.0}
    table["restart"] = RESTART | feed.pop("restart", {})
    table["heartbeat"] = HEARTBEAT | feed.pop("heartbeat", {})
    return table | feed


def alpaca_config(alpaca: SimulatedAlpaca, *streams: str, **feed: Any) -> dict[str, Any]:
    """A feed for each of these streams, with its name; Alpaca is asked again soon where it wants patience."""
    feed["restart"] = {"slow_initial": 0.05} | feed.get("restart", {})
    keys = {"venue": "alpaca", "key": KEY, "secret": SECRET}
    return {"feeds": {name: feed_at(alpaca.url_of(name), **keys | feed) for name in streams or ("iex",)}}


@contextmanager
def alpaca_runtime(
    alpaca: SimulatedAlpaca, *streams: str, live: bool = True, **feed: Any
) -> Iterator[actors.Runtime]:
    """A runtime on these streams of this simulator, live when the story begins."""
    with actors.start(alpaca_config(alpaca, *streams, **feed), wait=10.0 if live else None) as runtime:
        yield runtime


@contextmanager
def runtime_on(simulator: SimulatedO2, *, live: bool = True, **feed: Any) -> Iterator[actors.Runtime]:
    """A runtime on this simulator, live when the story begins."""
    with actors.start(config(simulator.url, **feed), wait=10.0 if live else None) as runtime:
        yield runtime


def fresh(runtime: actors.Runtime) -> Status:
    """The status of this moment, not a shared one: for what was just counted, or told to the supervisor."""
    with suppress(RuntimeStopped, Timeout):
        ask(runtime._roles.named("supervisor"), ReadMail(), HANGS)
    runtime._shared.note_change()
    return runtime.status()


def line_of(runtime: actors.Runtime, name: str = "o2") -> LineStatus:
    return fresh(runtime).lines()[name]


def at_epoch(epoch: int, line: str = "o2") -> Callable[[Status], bool]:
    """The line has had its loss noticed, and begun this life or a later one."""
    return lambda status: status.lines()[line].epoch >= epoch


def until(runtime: actors.Runtime, wanted: Callable[[Status], bool], seconds: float = 20.0) -> Status:
    """The first status that is as wanted."""
    deadline = time.monotonic() + seconds
    while not wanted(status := fresh(runtime)):
        if time.monotonic() > deadline:
            last = msgspec.json.encode(status).decode()
            raise AssertionError(f"not within {seconds} s; the last status was {last}")
        time.sleep(0.005)
    return status


def pause(runtime: actors.Runtime, line: str) -> None:
    """Returns when the streams of the line have been told; the status shows it at once."""
    lives = runtime.lifecycle(line)
    runtime.supervisor.pause(line).get(timeout=5)
    while lives.get(timeout=10.0).state != "paused":
        pass
