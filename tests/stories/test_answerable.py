"""`status()` and `stop()` are answered within their bound, whatever the children do.

The documented bound of `status()` is 0.1 s, that of `stop(timeout)` the timeout and one second. In
real time they are judged at five times that.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import actors
from actors import Runtime
from actors.rules.session import Effect, Send, Session
from actors.settings import load
from actors.simulators import SimulatedO2
from actors.venues.o2 import O2, O2Session
from tests.desk import config, desk_on, until

STATUS, STOP = 5 * 0.1, 5 * 1.5


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts and never says a word: half a handshake, for ever."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"ws://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refused() -> str:
    """An address where nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{probe.getsockname()[1]}"


def assert_answers(runtime: Runtime, times: int = 20) -> None:
    for _ in range(times):
        begun = time.monotonic()
        runtime.status()
        assert time.monotonic() - begun < STATUS


def assert_stops(runtime: Runtime) -> None:
    begun = time.monotonic()
    assert runtime.stop(timeout=0.5) == ()
    assert time.monotonic() - begun < STOP


def test_while_a_connect_hangs(silent: str, baseline: Any) -> None:
    runtime = actors.start(config(silent, connect_timeout=60.0))
    until(runtime, lambda status: status.lines()["o2"].state == "connecting")
    assert_answers(runtime)
    assert_stops(runtime)
    baseline.check()


def test_in_backoff(refused: str, baseline: Any) -> None:
    runtime = actors.start(config(refused, restart={"initial": 30.0, "maximum": 60.0}))
    until(runtime, lambda status: status.lines()["o2"].state == "backoff")
    assert_answers(runtime)
    assert_stops(runtime)
    baseline.check()


def test_while_a_child_crash_loops(refused: str, baseline: Any) -> None:
    runtime = actors.start(config(refused, restart={"initial": 0.001, "maximum": 0.001}))
    until(runtime, lambda status: status.lines()["o2"].epoch > 20)
    assert_answers(runtime)
    assert_stops(runtime)
    baseline.check()


def test_parked(o2: SimulatedO2, baseline: Any) -> None:
    o2.refuse(status=403, n=10)
    runtime = actors.start(config(o2.url))
    until(runtime, lambda status: status.lines()["o2"].state == "failed")
    assert_answers(runtime)
    assert_stops(runtime)
    baseline.check()


class SilentLogin(O2Session):
    """A venue with a login, which it never answers."""

    def opened(self, now: float) -> list[Effect]:
        self._move("upgraded")
        return [Send('{"action":"login"}')]


class LoginVenue(O2):
    def session(self, line: str) -> Session:
        return SilentLogin()


def test_logging_in(o2: SimulatedO2, baseline: Any) -> None:
    runtime = Runtime(load(config(o2.url), venues={"o2": LoginVenue}))
    until(runtime, lambda status: status.lines()["o2"].state == "logging_in")
    assert_answers(runtime)
    assert_stops(runtime)
    o2.wait_for(lambda: o2.connections == 0)
    baseline.check()


def test_a_login_that_is_never_answered_is_given_up(o2: SimulatedO2) -> None:
    with Runtime(load(config(o2.url, connect_timeout=0.2), venues={"o2": LoginVenue})) as runtime:
        given_up = until(runtime, lambda status: status.lines()["o2"].reason is not None)
        reason = given_up.lines()["o2"].reason
        assert reason is not None
        assert reason.code == "login_timeout"


def test_mid_replay(o2: SimulatedO2, baseline: Any) -> None:
    o2.delay_ack(60.0)
    runtime = actors.start(config(o2.url, ack_timeout=60.0))
    _stream = runtime.subscribe("o2", "depth", o2.markets[0])
    until(runtime, lambda status: status.lines()["o2"].state == "subscribing")
    assert_answers(runtime)
    assert_stops(runtime)
    o2.wait_for(lambda: o2.connections == 0)
    baseline.check()


def test_while_queues_are_full(o2: SimulatedO2, market: str, baseline: Any) -> None:
    with desk_on(o2, block_limit=60.0) as desk:
        trades = desk.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 1_000)
        held = until(desk, lambda status: bool(status.lines()["o2"].held_by))
        assert held.lines()["o2"].held_by == (trades.id,)
        assert_answers(desk)
        assert_stops(desk)
    baseline.check()


def test_live(o2: SimulatedO2, baseline: Any) -> None:
    with desk_on(o2) as desk:
        assert_answers(desk, 200)
        assert_stops(desk)
        assert desk.stop() == ()  # the second time nothing happens
    baseline.check()


def test_a_handler_that_never_returns_is_named(o2: SimulatedO2, market: str) -> None:
    release = threading.Event()
    with desk_on(o2) as desk:
        called = threading.Event()

        def handler(trade: object) -> None:
            called.set()
            release.wait()

        desk.on("o2", "trades", market, handler=handler, wait=5.0)
        o2.trade(market)
        assert called.wait(5)
        assert desk.stop(timeout=0.5) == ("on/o2/trades",)
    release.set()
