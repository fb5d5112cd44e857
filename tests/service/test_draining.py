from __future__ import annotations

import os
import threading

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from actors import Runtime
from actors.service import Service
from actors.service.draining import WHY, Draining
from actors.simulators import SimulatedO2
from tests.service.conftest import HERE, PORT
from tests.service.visitor import BEARER, LOOK_TOKEN, ask, hear, tail, tail_path
from tests.support.virtual_time import Clock


def test_a_tail_gets_what_is_queued_and_its_end_and_then_the_process_ends(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    ended = threading.Event()
    with (
        Service(runtime, HERE, end=ended.set) as service,
        tail(service, tail_path("trades", market, markers=1)) as trades,
    ):
        assert hear(trades)["state"] == "connected"
        o2.number_trades(market, 500)
        assert hear(trades)["event"]["trade_id"] == "1"
        told = ask(service, "/drain?timeout=60", "POST")
        assert (told.status, told.body["draining"], told.body["pid"]) == (200, True, os.getpid())
        heard = [hear(trades)]
        while heard[-1].get("marker") != "closed":
            heard.append(hear(trades))
        assert heard[-1]["reason"] == WHY
        numbers = [int(each["event"]["trade_id"]) for each in heard[:-1]]
        assert numbers == list(range(2, 2 + len(numbers)))
        with pytest.raises(ConnectionClosed) as closed:
            trades.recv(timeout=20.0)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, WHY)
        assert ended.wait(20.0)


def test_a_draining_service_is_not_ready_and_opens_nothing_new(runtime: Runtime, market: str) -> None:
    ended = threading.Event()
    with (
        Service(runtime, HERE, end=ended.set) as service,
        tail(service, tail_path("trades", market), buffer=4096),
    ):
        assert ask(service, "/readyz").status == 200
        assert ask(service, "/drain").body["draining"] is False
        ask(service, "/drain?timeout=60", "POST")
        ready = ask(service, "/readyz")
        assert (ready.status, ready.body) == (503, {"draining": True})
        assert ask(service, "/healthz").status == 200
        book = ask(service, f"/book/o2/{market}")
        assert (book.status, book.error) == (503, WHY)
        with pytest.raises(InvalidStatus) as refused, tail(service, tail_path("trades", market)):
            pass
        assert refused.value.response.status_code == 503
        assert ask(service, "/status").status == 200


def test_the_process_ends_when_the_time_is_over_with_clients_left() -> None:
    class Left:
        def drain(self, why: str) -> None:
            clock.now += 4.0

    clock, ended, closed = Clock(), threading.Event(), list[str]()
    draining = Draining(lambda: [Left()], closed.append, ended.set, monotonic=clock)
    began = clock.now
    draining.begin(10.0, "alice")
    draining.begin(0.0, "alice")  # the first one counts
    assert ended.wait(20.0)
    assert clock.now - began >= 10.0
    assert closed == [WHY]


def test_a_service_inside_a_program_cannot_be_drained(service: Service) -> None:
    told = ask(service, "/drain", "POST")
    assert (told.status, told.error) == (404, "this service ends with its program, which has to end it")
    assert ask(service, "/drain").body["draining"] is False
    assert ask(service, "/readyz").status == 200


def test_a_probe_without_a_token_gets_one_word_and_a_drain_needs_the_right_to_act(runtime: Runtime) -> None:
    ended = threading.Event()
    with Service(runtime, PORT, end=ended.set) as service:
        look = {"Authorization": f"Bearer {LOOK_TOKEN}"}
        assert ask(service, "/drain", "POST", **look).status == 403
        assert ask(service, "/log-level/debug", "POST", **look).status == 403
        assert ask(service, "/drain", "POST").status == 401
        assert ask(service, "/drain?timeout=60", "POST", **BEARER).status == 200
        ready = ask(service, "/readyz")
        assert (ready.status, ready.body) == (503, "draining")
        assert ended.wait(20.0)


@pytest.mark.parametrize("timeout", ["-1", "soon", "3601", "nan"])
def test_a_timeout_is_a_number_of_seconds(runtime: Runtime, timeout: str) -> None:
    with Service(runtime, HERE, end=lambda: None) as service:
        told = ask(service, f"/drain?timeout={timeout}", "POST")
        assert (told.status, told.error) == (
            400,
            f"timeout: expected 0 to 3600 seconds, found '{timeout}'",
        )
