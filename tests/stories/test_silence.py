"""A line is ended for silence only after all that came has been heard, however busy its connection is."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from typing import Any

import pytest

from actors import Runtime
from actors.connection import Connection
from actors.messages import EndIfSilent, SendPing
from actors.simulators import SimulatedO2
from tests.support.runtimes import at_epoch, line_of, runtime_on, until

BEAT = 1 << 40  # none of the heartbeat's own
OFF = {"ping_interval": 0.0}

Work = Callable[[Connection], object]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runtime, Work], Any]:
    """Runs work on the connection's own thread, as a letter to it; returns what came of it."""
    on_receive = Connection.on_receive

    def work(connection: Connection, message: Any) -> Any:
        return message(connection) if callable(message) else on_receive(connection, message)

    monkeypatch.setattr(Connection, "on_receive", work)
    return lambda runtime, work: runtime._roles.connection("o2").ask(work).get(timeout=10)


def test_letters_without_end_keep_no_event_and_no_pong_waiting(
    o2: SimulatedO2, market: str, ask: Callable[[Runtime, Work], Any]
) -> None:
    over = threading.Event()

    def write(connection: Connection) -> None:
        if not over.wait(0.001):
            connection.tell_self(write)  # there is always one more letter

    with runtime_on(o2, heartbeat={"ping_interval": 0.1, "pong_timeout": 5.0}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        ask(runtime, write)
        ask(runtime, write)
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=10).trade_id == "1"
        pings = o2.pings
        o2.wait_for(lambda: o2.pings > pings + 2)  # each waits for the pong before it
        assert line_of(runtime).epoch == 1
        over.set()


def test_a_pong_that_lies_in_the_socket_is_heard_before_silence_is_judged(
    o2: SimulatedO2, ask: Callable[[Runtime, Work], Any]
) -> None:
    def judge(connection: Connection) -> None:
        assert connection._socket is not None
        connection._send_ping(BEAT)
        select.select([connection._socket], [], [], 10.0)  # the pong is there
        connection.tell_self(EndIfSilent(BEAT, 0.0))
        connection.tell_self(lambda _: judged.set())

    judged = threading.Event()
    with runtime_on(o2, heartbeat=OFF) as runtime:
        ask(runtime, judge)
        assert judged.wait(10)
        assert line_of(runtime).epoch == 1


def test_a_ping_that_left_late_is_given_its_whole_time(
    o2: SimulatedO2, ask: Callable[[Runtime, Work], Any]
) -> None:
    """A connection that was busy finds the ping and the end of its time side by side."""

    def be_late(waited: float) -> Work:
        def work(connection: Connection) -> None:
            connection.tell_self(SendPing(BEAT))
            connection.tell_self(EndIfSilent(BEAT, waited))

        return work

    with runtime_on(o2, heartbeat=OFF) as runtime:
        pings = o2.pings
        ask(runtime, be_late(5.0))
        o2.wait_for(lambda: o2.pings == pings + 1)
        ask(runtime, lambda _: None)
        assert line_of(runtime).epoch == 1

        o2.deaf(new=False)
        ask(runtime, be_late(0.1))
        until(runtime, at_epoch(2))
        reason = line_of(runtime).reason
        assert reason is not None
        assert reason.code == "pong_timeout"
