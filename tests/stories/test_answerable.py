"""`status()` and `stop()` are answered within their bound, whatever the children do.

The documented bound of `status()` is 0.1 s, that of `stop(timeout)` the timeout and one second. In
real time they are judged at five times that.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

import actors
from actors import Runtime, log_queue
from actors.protocol import Opening
from actors.protocol.session import Effect, Send, Session
from actors.settings import load
from actors.simulators import SimulatedO2
from actors.venues.o2 import O2, O2Session
from tests.support.runtimes import at_epoch, config, runtime_on, until

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
    def session(self, opening: Opening) -> Session:
        return SilentLogin()


def test_logging_in(o2: SimulatedO2, baseline: Any) -> None:
    runtime = Runtime(load(config(o2.url), venues={"o2": LoginVenue}))
    until(runtime, lambda status: status.lines()["o2"].state == "logging_in")
    assert_answers(runtime)
    assert_stops(runtime)
    o2.wait_for(lambda: o2.connections == 0)
    baseline.check()


def test_a_login_that_is_never_answered_is_given_up(o2: SimulatedO2) -> None:
    with Runtime(load(config(o2.url, connect_timeout=1.0), venues={"o2": LoginVenue})) as runtime:
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
    with runtime_on(o2, block_timeout=60.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 1_000)
        held = until(runtime, lambda status: bool(status.lines()["o2"].paused_by_streams))
        assert held.lines()["o2"].paused_by_streams == (trades.id,)
        assert_answers(runtime)
        assert_stops(runtime)
    baseline.check()


def test_live(o2: SimulatedO2, baseline: Any) -> None:
    with runtime_on(o2) as runtime:
        assert_answers(runtime, 200)
        assert_stops(runtime)
        assert runtime.stop() == ()  # the second time nothing happens
    baseline.check()


def test_a_stop_waits_for_its_own_look_ups_alone(o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, release = threading.Event(), threading.Event()
    getaddrinfo = socket.getaddrinfo

    def hang(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != "hangs.example":
            return getaddrinfo(host, *args, **kwargs)
        asked.set()
        assert release.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with actors.start(config("ws://hangs.example:1")) as other, runtime_on(o2) as runtime:
        try:
            assert asked.wait(10)
            assert_stops(runtime)
            left = other.stop(timeout=0.1)
        finally:
            release.set()
        assert [name for name in left if name != log_queue.THREAD] == ["dns/hangs.example"]


def test_a_stop_while_a_handler_is_about_to_start(
    runtime: Runtime, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def stop_first(thread: threading.Thread) -> None:
        if thread.name.startswith("on/"):
            assert_stops(runtime)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", stop_first)
    assert runtime.on("o2", "trades", market, handler=print).closed


# ── what belongs to the program, and waits ──────────────────────────────────────────────────────


@contextmanager
def logged_to(emit: Callable[[logging.LogRecord], object]) -> Iterator[None]:
    """A program's own handler of all that we log."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            emit(record)

    ours, handler = logging.getLogger("actors"), Handler()
    former = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(former)
        assert log_queue.flush(20)


def goes_on(o2: SimulatedO2, runtime: Runtime, times: int = 3) -> None:
    """The line is lost and comes back; all the while the supervisor answers."""
    for _ in range(times):
        epoch = runtime.status().lines()["o2"].epoch
        o2.drop()
        assert_answers(runtime)
        until(runtime, at_epoch(epoch + 1))
        runtime.wait_live(timeout=10)


def test_while_a_log_handler_stands_still(o2: SimulatedO2, baseline: Any) -> None:
    """It writes into a pipe that is not read, say."""
    caught, release = threading.Event(), threading.Event()

    def stand_still(_: logging.LogRecord) -> None:
        caught.set()
        assert release.wait(30)

    with logged_to(stand_still), runtime_on(o2) as runtime:
        assert caught.wait(5)
        goes_on(o2, runtime)
        begun = time.monotonic()
        assert runtime.stop(timeout=0.5) == (log_queue.THREAD,)
        assert time.monotonic() - begun < STOP
        release.set()
    baseline.check()


def test_while_a_log_handler_asks_the_runtime(o2: SimulatedO2, baseline: Any) -> None:
    answers: list[str] = []
    with runtime_on(o2) as runtime:
        with logged_to(lambda _: answers.append(runtime.status().lines()["o2"].state)):
            goes_on(o2, runtime)
            assert log_queue.flush(20)
            assert answers
        assert_stops(runtime)
    baseline.check()


def test_while_metrics_stand_still(o2: SimulatedO2, baseline: Any) -> None:
    release = threading.Event()
    counted: list[str] = []

    class Metrics:
        """Waits with what the supervisor counts; a line waits with its own thread."""

        def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
            if name.startswith("linewarden_line"):
                assert release.wait(30)
                counted.append(name)

        def gauge(self, name: str, value: float, /, **labels: str) -> None: ...
        def observe(self, name: str, value: float, /, **labels: str) -> None: ...

    with actors.start(config(o2.url), wait=10.0, metrics=Metrics()) as runtime:
        goes_on(o2, runtime)
        assert counted == []
        release.set()
        assert_stops(runtime)
        assert counted.count("linewarden_line_starts_total") == 4
    baseline.check()


def test_a_handler_that_never_returns_is_named(o2: SimulatedO2, market: str) -> None:
    release = threading.Event()
    with runtime_on(o2) as runtime:
        called = threading.Event()

        def handler(trade: object) -> None:
            called.set()
            release.wait()

        runtime.on("o2", "trades", market, handler=handler, wait=5.0)
        o2.trade(market)
        assert called.wait(5)
        assert runtime.stop(timeout=0.5) == ("on/o2/trades",)
    release.set()
