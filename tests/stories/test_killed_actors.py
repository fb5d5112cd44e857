"""Every actor but the supervisor may die at any moment: streams go on, holes are marked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pykka
import pytest
from pykka.messages import ProxyCall

import actors
from actors import Closed, Gap, Runtime, RuntimeStopped, StreamClosed
from actors.connection import Connection
from actors.delivery.connection_delivery import ConnectionDelivery
from actors.delivery.epoch_delivery import EpochDelivery
from actors.dispatcher import Dispatcher
from actors.heartbeat import Heartbeat
from actors.registry import Registry
from actors.requester import Requester
from actors.simulators import SimulatedO2
from actors.status import Status
from actors.supervisor import Supervisor
from actors.wire.connect import SocketOpened
from tests.support.runtimes import at_epoch, line_of, runtime_on, until

MORTALS = (Registry, Dispatcher, Heartbeat, Requester, Connection)
POISON = ProxyCall(attr_path=("nothing_of_that_name",), args=(), kwargs={})


def kill(kind: type[pykka.Actor]) -> None:
    """A message that it fails on, through its own mailbox."""
    for reference in pykka.ActorRegistry.get_by_class(kind):
        reference.tell(POISON)


def incarnation(status: Status, id: str) -> int:
    mine = [actor for actor in status.actors if actor.id == id]
    return max((actor.incarnation for actor in mine if actor.state == "running"), default=0)


def after(id: str, before: int) -> Callable[[Status], bool]:
    return lambda status: incarnation(status, id) > before


@pytest.mark.parametrize("kind", MORTALS)
def test_a_numbered_feed_outlives_each_actor(
    kind: type[pykka.Actor], runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block")
    id = "connection/o2" if kind is Connection else kind.__name__.lower()
    count = 0
    heard: list[str] = []
    for _ in range(4):  # more than five deaths a minute of one worker would end the runtime
        before = incarnation(runtime.status(), id)
        o2.number_trades(market, 100)
        kill(kind)
        until(runtime, after(id, before))
        runtime.wait_live(timeout=10)
        o2.number_trades(market, 100)
        count += 200
    # The last one arrives for certain: it was sent over a live line.
    while not heard or heard[-1] != str(count):
        heard.append(trades.get(timeout=10).trade_id)
    numbers = [int(trade) for trade in heard]
    assert numbers == sorted(set(numbers))
    missing = count - len(numbers)
    if kind is not Connection:
        assert missing == 0  # the mail of a role outlives the actor
        assert trades.gap_count == 0
    else:
        assert trades.gap_count == 4
    line = line_of(runtime)
    assert trades.received == trades.delivered + trades.dropped + trades.queued
    assert line.counters.in_flight == 0
    assert line.counters.routed == trades.received


def test_subscribing_works_while_the_registry_dies(runtime: Runtime, o2: SimulatedO2) -> None:
    for _ in range(4):
        kill(Registry)
        with runtime.subscribe("o2", "trades", o2.markets[0], wait=5.0) as trades:
            o2.trade(o2.markets[0])
            trades.get(timeout=5)


def test_a_defect_in_delivery_costs_one_line_one_restart_and_one_gap(
    runtime: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    put = EpochDelivery._put

    def fail_once(self: EpochDelivery, *args: Any) -> Any:
        monkeypatch.setattr(EpochDelivery, "_put", put)
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(EpochDelivery, "_put", fail_once)
    o2.trade(market, trade_id="1")
    gap = next(item for item in trades.with_markers() if isinstance(item, Gap))
    assert gap.reason == "disconnect"
    o2.trade(market, trade_id="2")
    while (trade := trades.get(timeout=5)).trade_id != "2":
        pass  # the venue may have repeated the first
    assert trade.trade_id == "2"
    line = line_of(runtime)
    assert line.epoch == 2
    assert trades.gap_count == 1
    assert (line.counters.lost, line.counters.in_flight) == (1, 0)


def test_a_connection_that_dies_of_its_socket_closes_it(
    runtime: Runtime, o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, sockets = Connection.on_receive, list[socket.socket]()

    def fail_once(connection: Connection, message: Any) -> Any:
        if isinstance(message, SocketOpened) and not sockets:
            sockets.append(message.socket)
            raise ZeroDivisionError("on purpose")
        return receive(connection, message)

    monkeypatch.setattr(Connection, "on_receive", fail_once)
    o2.drop()
    until(runtime, lambda _: bool(sockets))
    until(runtime, lambda status: status.lines()["o2"].state == "live")
    assert [sock.fileno() for sock in sockets] == [-1]


def test_a_worker_that_dies_too_often_ends_the_runtime(runtime: Runtime, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(StreamClosed, match="heartbeat died"):
            trades.get()
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    while pykka.ActorRegistry.get_by_class(Supervisor):
        kill(Heartbeat)
    assert ended.wait(10)
    reader.join()
    with pytest.raises(RuntimeStopped, match="heartbeat died"):
        runtime.wait_live()
    assert runtime.status().state == "stopped"


def test_when_the_supervisor_dies_everything_ends_in_order(
    o2: SimulatedO2, market: str, baseline: Any
) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        proxy = runtime.supervisor
        kill(Supervisor)
        items = list(trades.with_markers())
        assert isinstance(items[-1], Closed)
        with pytest.raises(RuntimeStopped):
            proxy.resume("o2").get(timeout=5)
        assert proxy.status().get(timeout=5).state == "stopped"
        with pytest.raises(RuntimeStopped):
            runtime.subscribe("o2", "trades", market)
        with pytest.raises(StreamClosed):
            trades.get(timeout=1)
        o2.wait_for(lambda: o2.connections == 0)
    baseline.check()  # their threads have ended; nobody waited for them
    assert not pykka.ActorRegistry.get_all()


def test_actors_stopped_by_a_stranger_come_back(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    for kind in MORTALS:
        (reference,) = pykka.ActorRegistry.get_by_class(kind)
        reference.stop(timeout=5)
    until(runtime, lambda status: len(status.actors) == 5)
    until(runtime, lambda status: status.lines()["o2"].epoch == 2)
    runtime.wait_live(timeout=10)
    o2.trade(market, trade_id="5")
    assert trades.get(timeout=5).trade_id == "5"


def test_no_thread_is_left_behind(o2: SimulatedO2, baseline: Any) -> None:
    with runtime_on(o2):
        assert len(pykka.ActorRegistry.get_all()) == 6
    assert not pykka.ActorRegistry.get_all()
    baseline.check()
    assert actors.start is not None


@pytest.mark.parametrize(
    ("where", "step"), [(ConnectionDelivery, "leave"), (Connection, "_part"), (Connection, "cleanup")]
)
def test_a_connection_that_fails_as_it_ends_gives_its_socket_back(
    runtime: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch, where: type, step: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    former = [reference._actor_weakref() for reference in pykka.ActorRegistry.get_by_class(Connection)]

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(where, step, fail)
        kill(Connection)
        until(runtime, at_epoch(2))
    runtime.wait_live(timeout=10)
    o2.wait_for(lambda: o2.connections == 1)
    assert former  # they are held: the garbage collector has closed nothing
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=10).trade_id == "1"
    assert [gap.reason for gap in trades.gaps] == ["disconnect"]
    for connection in former:  # the collector closes a socket that is shut, where `cleanup` failed
        assert connection is not None
        assert connection._socket is not None
        connection._socket.close()
