"""How far behind a stream and a line are, and what is behind."""

from __future__ import annotations

import time
from collections.abc import Callable

from actors.messages import LookAgain
from actors.rules.counters import LineCounters
from actors.runtime import Runtime
from actors.simulators import SimulatedO2
from actors.status import Status
from tests.support.runtimes import runtime_on, until


def counters_of(runtime: Runtime, line: str = "o2") -> LineCounters:
    return runtime._shared.lines[line].counters


def looking_until(runtime: Runtime, wanted: Callable[[], bool], line: str = "o2") -> None:
    """The connection is told to look again until it is as wanted."""

    def is_wanted(_: Status) -> bool:
        runtime._roles.connection(line).tell(LookAgain())
        return wanted()

    until(runtime, is_wanted)


def test_a_quiet_line_that_is_told_to_look_again_is_read_to_its_end(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, heartbeat={"ping_interval": 600.0}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.number_trades(market, 1)
        trades.get(5.0)
        counters, since = counters_of(runtime), time.monotonic()
        assert not counters.is_read_to_end(since)
        looking_until(runtime, lambda: counters.is_read_to_end(since))
        assert counters.kernel_bytes == 0


def test_a_line_that_is_paused_is_not_read_to_its_end_and_counts_what_waits(
    o2: SimulatedO2, market: str
) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 10)
        until(runtime, lambda status: bool(status.lines()["o2"].paused_by_streams))
        counters, since = counters_of(runtime), time.monotonic()
        o2.number_trades(market, 100)
        looking_until(runtime, lambda: bool(counters.kernel_bytes))
        assert not counters.is_read_to_end(since)
        for _ in range(110):
            trades.get(5.0)
        looking_until(runtime, lambda: counters.is_read_to_end(since))
        assert counters.kernel_bytes == 0
