"""A runtime with many lines, some of them in trouble: one of each kind that simulators can make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import actors
from actors import Runtime
from actors.simulators import SimulatedAlpaca, SimulatedO2, SimulatedProjectX, SimulatedTplus
from actors.status import LineStatus

SEED = 20  # of the first simulated market; each has another one
READY = 90.0  # seconds until all troubles are there
LOOK = 0.2  # seconds between two looks
DESKS = 20  # feeds that are well, in addition to the others
CONTRACT, UNKNOWN = "CON.F.US.EP.Z26", "CON.F.US.EP.Z20"


@contextmanager
def troubled() -> Iterator[Runtime]:
    """The runtime, when all troubles are there."""
    with ExitStack() as stack:
        o2, mute, gone, fast = (
            stack.enter_context(SimulatedO2(rate=rate, seed=SEED + number))
            for number, rate in enumerate((5, 5, 5, 500))
        )
        iex, closed, busy = (
            stack.enter_context(SimulatedAlpaca(rate=5, seed=SEED + number)) for number in range(3)
        )
        tplus = stack.enter_context(SimulatedTplus(rate=5, seed=SEED))
        projectx = stack.enter_context(SimulatedProjectX(rate=5, seed=SEED))
        closed.refuse_keys(n=1_000)
        busy.refuse(status=429, retry_after=900, n=1_000)
        projectx.reject(UNKNOWN)
        feeds = {
            "alpaca-iex": _alpaca(iex, "iex"),
            "alpaca-sip": _alpaca(closed, "sip"),
            "alpaca-news": _alpaca(busy, "sip"),
            "o2": _o2(o2, *o2.markets[:2]),
            "o2-eu": _o2(mute, *mute.markets[:2], stale_after=3.0),
            "o2-test": _o2(gone, gone.markets[0]),
            "o2-backup": _o2(o2, o2.markets[0]),
            "o2-fast": _o2(fast, fast.markets[0]) | {"block_timeout": 300.0},
            "tplus": {"venue": "tplus", "url": tplus.url, "private_key": "4a" * 32}
            | {"subscribe": [{"channel": "depth", "keys": ["200"]}, {"channel": "trades"}]},
            "projectx": {"venue": "projectx", "url": projectx.url, "user_name": "demo", "api_key": "demo"}
            | {"subscribe": [{"channel": "quotes", "keys": [CONTRACT, UNKNOWN]}]},
            **{f"desk-{number:02}": _o2(o2, *o2.markets[:3]) for number in range(1, DESKS + 1)},
        }
        config = {"runtime": {"name": "desk"}, "defaults": {"restart": {"maximum": 8.0}}, "feeds": feeds}
        runtime = stack.enter_context(actors.start(config))
        _wait(runtime, lambda lines: _states(lines).count("live") >= len(lines) - 2)
        held = runtime.subscribe("o2-fast", "trades", fast.markets[0], policy="block", capacity=10)
        gone.stop()
        mute.mute()
        for kind in ("json", "binary"):
            tplus.garbage(kind)
        for simulator in (iex, projectx, tplus, iex):
            simulator.drop()
            _wait(runtime, lambda lines: _states(lines).count("live") >= len(lines) - 4)
        _wait(runtime, _are_ready)
        yield runtime
        held.close()


def _o2(simulator: SimulatedO2, *markets: str, **subscription: Any) -> dict[str, Any]:
    wanted = {"channel": "trades", "keys": list(markets)} | subscription
    return {"venue": "o2", "url": simulator.url, "subscribe": [wanted]}


def _alpaca(simulator: SimulatedAlpaca, stream: str) -> dict[str, Any]:
    wanted = [{"channel": "quotes", "keys": ["AAPL", "MSFT"]}]
    login = {"key": "demo", "secret": "demo", "stream": stream}
    return {"venue": "alpaca", "url": simulator.url_of(stream), "subscribe": wanted} | login


def _states(lines: Mapping[str, LineStatus]) -> list[str]:
    return [line.state for line in lines.values()]


def _are_ready(lines: Mapping[str, LineStatus]) -> bool:
    return (
        any(topic.stale for topic in lines["o2-eu"].topics)
        and bool(lines["o2-fast"].paused_by_streams)
        and lines["o2-test"].attempt >= 5
    )


def _wait(runtime: Runtime, are_so: Callable[[Mapping[str, LineStatus]], bool]) -> None:
    deadline = time.monotonic() + READY
    while not are_so(runtime.status().lines()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the troubles of the pictures did not come: {runtime.status()!r}")
        time.sleep(LOOK)
