"""A question that was asked of an actor is answered or failed at once when the actor that answers ends."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

import actors
from actors import NotLiveError, Runtime
from actors.actor import Letter
from actors.errors import LinewardenError, RuntimeStopped, Timeout
from actors.reasons import Retryable
from actors.registry import Registry
from actors.simulators import SimulatedO2
from actors.wire.socket_inbox import SocketInbox, SocketLost
from tests.support.runtimes import config, feed_at, line_of, runtime_on, until

MARKET = "0x32d6c94ffb1a61890266ab17a4ed5fe10a5c4cf3115f5ec5add0cafcbd0e8f2e"


def in_thread(call: Callable[[], object]) -> queue.SimpleQueue[object]:
    """What the call returned or raised, once it has."""
    outcome: queue.SimpleQueue[object] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(call())
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome


def test_stop_may_be_called_by_many_threads_at_once() -> None:
    with SimulatedO2() as o2:
        runtime = actors.start(config(o2.url), wait=10.0)
        outcomes = [in_thread(lambda: runtime.stop(timeout=30.0)) for _ in range(4)]
        assert [outcome.get(timeout=20.0) for outcome in outcomes] == [()] * 4


def test_a_rotation_that_is_under_way_fails_when_the_runtime_stops() -> None:
    with SimulatedO2() as o2, runtime_on(o2) as runtime:
        _stream = runtime.subscribe("o2", "trades", MARKET, wait=10.0)
        o2.delay_ack(60.0)
        outcome = in_thread(lambda: runtime.rotate("o2", timeout=60.0))
        o2.wait_for(lambda: o2.connections == 2)
        runtime.stop()
        assert isinstance(outcome.get(timeout=20.0), RuntimeStopped | actors.RotationFailed)


def test_who_waits_for_a_line_is_told_of_the_end() -> None:
    with SimulatedO2() as o2:
        runtime = actors.start(config(o2.url), wait=10.0)
        runtime.supervisor.pause("o2").get(timeout=10.0)
        until(runtime, lambda status: status.lines()["o2"].state == "paused")
        outcome = in_thread(lambda: runtime.wait_live(timeout=math.inf))
        until(runtime, lambda _: bool(runtime._tree._supervisor._waiters))
        runtime.stop()
        assert isinstance(outcome.get(timeout=20.0), RuntimeStopped)


def test_infinity_is_a_time_that_may_be_waited() -> None:
    with SimulatedO2() as o2:
        runtime = actors.start(config(o2.url), wait=math.inf)
        stream = runtime.subscribe("o2", "trades", MARKET, wait=math.inf)
        o2.trade(MARKET)
        assert stream.get(timeout=math.inf)
        runtime.rotate("o2", timeout=math.inf)
        assert runtime.stop(timeout=math.inf) == ()


def test_a_timeout_says_which_actor_did_not_answer() -> None:
    with (
        SimulatedO2() as o2,
        runtime_on(o2) as runtime,
        pytest.raises(Timeout, match="o2 was not rotated within 0 s"),
    ):
        runtime.rotate("o2", timeout=0.0)


@pytest.mark.parametrize("target", [10, 10.0, ["o2"], {"o2": 1}, b"o2", True])
def test_a_target_that_is_no_name_fails_the_question_and_nothing_else(runtime: Runtime, target: Any) -> None:
    """Such as the seconds of `wait_live(10)`, given without their name."""
    asked: tuple[Callable[[], object], ...] = (
        lambda: runtime.wait_live(target),
        lambda: runtime.rotate(target),
        lambda: runtime.supervisor.restart(target).get(timeout=10.0),
        lambda: runtime.supervisor.pause(target).get(timeout=10.0),
        lambda: runtime.supervisor.resume(target).get(timeout=10.0),
    )
    for ask in asked:
        with pytest.raises(LinewardenError, match=r"is the name of a feed or line, and .* is none"):
            ask()
    runtime.wait_live("o2", timeout=10.0)
    assert runtime.end_reason is None


def test_who_waits_for_lines_waits_no_longer_than_was_said_though_the_registry_hangs(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()
    receive = Registry.on_receive

    def on_receive(registry: Registry, message: Any) -> None:
        assert going_on.wait(30)
        receive(registry, message)

    monkeypatch.setattr(Registry, "on_receive", on_receive)
    monkeypatch.setattr("actors.runtime.CALL", 60.0)
    with pytest.raises(NotLiveError, match="the runtime did not answer in time"):
        runtime.wait_live("o2", timeout=0.1)
    going_on.set()
    runtime.wait_live("o2", timeout=10.0)


def test_what_no_text_can_be_is_refused_before_it_comes_to_a_connection(runtime: Runtime) -> None:
    messages: tuple[str | dict[str, str], ...] = ("half \ud800", {"half": "\udc80"})
    for message in messages:
        with pytest.raises(LinewardenError, match="o2: nothing was sent: the message is no Unicode text"):
            runtime.send("o2", message)
    assert line_of(runtime).epoch == 1


def test_a_key_that_no_text_can_be_costs_no_line(o2: SimulatedO2) -> None:
    """The venues of tables take any key as it is."""
    with actors.start({"feeds": {"any": feed_at(o2.url, venue="binance")}}, wait=10.0) as runtime:
        with pytest.raises(LinewardenError, match="is no text that a venue could be sent"):
            runtime.subscribe("any", "trades", "BTC\ud800")
        with pytest.raises(LinewardenError, match="is no text that a venue could be sent"):
            runtime.subscribe("any", "candles", "BTCUSDT", interval="\ud800")
        runtime.subscribe("any", "trades", "BTCUSDT")
        assert line_of(runtime, "any").epoch == 1


def test_a_message_that_the_connection_is_lost_with_is_not_taken_for_sent(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(inbox: SocketInbox[Letter]) -> None:
        inbox._break(SocketLost(Retryable("connection reset by peer", "lost")))

    with monkeypatch.context() as patch:
        patch.setattr(SocketInbox, "_flush", lose)
        with pytest.raises(LinewardenError, match="o2: the connection was lost while this was sent"):
            runtime.send("o2", "hello")
    runtime.wait_live(timeout=10)
