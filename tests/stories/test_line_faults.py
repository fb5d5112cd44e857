"""A bad network between a line and each kind of venue: found in time, outlived, and nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import Runtime
from actors.simulators.faulty_proxy import FaultyProxy
from tests.conftest import Baseline
from tests.support.counters import settle
from tests.support.runtimes import at_epoch, line_of, until
from tests.support.venue_cases import VENUES, End, end_of, runtime_at

BEAT = {"ping_interval": 0.2, "pong_timeout": 0.2}
DETECTION = 0.2 + 0.2  # seconds: what the heartbeat promises for a half-open connection

Fault = Callable[[FaultyProxy], None]

HALF_OPEN: dict[str, Fault] = {
    "both": lambda proxy: proxy.hold(),
    "up": lambda proxy: proxy.hold("up"),
    "down": lambda proxy: proxy.hold("down"),
}
BAD: dict[str, Fault] = {
    "delay": lambda proxy: proxy.delay(0.05),
    "jitter": lambda proxy: proxy.delay(0.0, jitter=0.05),
    "slices": lambda proxy: proxy.slice(1),
    "narrow": lambda proxy: proxy.throttle(20_000),
}


@pytest.fixture(params=VENUES)
def end(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[End]:
    with end_of(request.param, tmp_path) as venue:
        yield venue


def comes_back(runtime: Runtime, end: End, proxy: FaultyProxy, stream: Any) -> None:
    """A new life, in which events come again, behind the one gap that the loss has cost."""
    until(runtime, at_epoch(2, end.line))
    proxy.heal()
    runtime.wait_live(timeout=10)
    end.say(2)
    assert end.number(stream.get(timeout=5)) == 2
    assert {gap.reason for gap in stream.gaps} == {"disconnect"}
    settle(runtime)


def test_a_reset_is_found_at_once_and_outlived(end: End, baseline: Baseline) -> None:
    with FaultyProxy(end.url) as proxy:
        with runtime_at(end, url=proxy.url) as runtime:
            stream = end.subscribe(runtime)
            end.say(1)
            assert end.number(stream.get(timeout=5)) == 1
            proxy.reset()
            comes_back(runtime, end, proxy, stream)
            reason = line_of(runtime, end.line).reason
            assert reason is not None
            assert reason.code == "lost"
        end.simulator.wait_for(lambda: end.simulator.connections == 0)
    baseline.check()


@pytest.mark.parametrize("way", HALF_OPEN)
def test_a_half_open_connection_is_found_within_the_beat_and_its_deadline(
    end: End, way: str, baseline: Baseline
) -> None:
    with FaultyProxy(end.url) as proxy, runtime_at(end, url=proxy.url, heartbeat=BEAT) as runtime:
        stream = end.subscribe(runtime)
        end.say(1)
        assert end.number(stream.get(timeout=5)) == 1
        begun = time.monotonic()
        HALF_OPEN[way](proxy)
        until(runtime, lambda status: status.lines()[end.line].reason is not None)
        assert time.monotonic() - begun < 5 * DETECTION
        comes_back(runtime, end, proxy, stream)
        # Later endings are refusals: a venue of one connection may still count the one that hangs.
        assert line_of(runtime, end.line).journal[0].code == "pong_timeout"
    baseline.check()


def test_a_stall_in_the_middle_of_a_frame_is_found_in_the_same_time(end: End, baseline: Baseline) -> None:
    with FaultyProxy(end.url) as proxy, runtime_at(end, url=proxy.url, heartbeat=BEAT) as runtime:
        stream = end.subscribe(runtime)
        begun = time.monotonic()
        proxy.hold("down", after=5)
        end.say(1)  # its head, and a few bytes
        until(runtime, lambda status: status.lines()[end.line].reason is not None)
        assert time.monotonic() - begun < 5 * DETECTION
        comes_back(runtime, end, proxy, stream)
    baseline.check()


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_network_costs_time_and_no_event(end: End, kind: str, baseline: Baseline) -> None:
    with FaultyProxy(end.url) as proxy:
        BAD[kind](proxy)  # from the login on
        with runtime_at(end, url=proxy.url, heartbeat={"ping_interval": 0.5, "pong_timeout": 5.0}) as runtime:
            stream = end.subscribe(runtime)
            for number in range(1, 11):
                end.say(number)
            assert [end.number(stream.get(timeout=10)) for _ in range(10)] == list(range(1, 11))
            assert (line_of(runtime, end.line).epoch, stream.gap_count) == (1, 0)
            settle(runtime)
    baseline.check()
