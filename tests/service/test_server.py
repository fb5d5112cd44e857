from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
from msgspec import structs
from websockets.exceptions import ConnectionClosed

from actors import Runtime, log_queue
from actors.errors import LinewardenError
from actors.service import Limits, Service, ServiceError, arrivals, listeners
from actors.settings.schema import ServiceSettings
from actors.simulators import SimulatedO2
from actors.status import Status
from tests.service.conftest import HERE, PORT, port_within
from tests.service.test_tail import IDENTITY, streams
from tests.service.visitor import BEARER, Told, ask, raw, rest, tail, tail_path
from tests.support.runtimes import line_of, runtime_on, until

STOP = 5 * 1.0  # the documented bound of stop() is a second; judged at five times that


def test_more_clients_than_allowed_are_told_so(runtime: Runtime, market: str) -> None:
    with Service(runtime, port_within(clients=3)) as service, ExitStack() as stack:
        for _ in range(3):
            path = tail_path("trades", market)
            stack.enter_context(tail(service, path, additional_headers=BEARER))
        told = ask(service, "/status", **BEARER)
        assert (told.status, told.headers["retry-after"]) == (503, "1")
        assert "too many clients" in told.error
        stack.close()
        until(runtime, streams(0))
        assert _answered(service).status == 200


def _answered(service: Service) -> Told:
    """A thread that served the former client may be on its way out."""
    deadline = time.monotonic() + 5.0
    while (told := ask(service, "/status", **BEARER)).status == 503 and time.monotonic() < deadline:
        pass
    return told


def test_sixty_askers_at_once_run_no_thread_each(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that answer at once would keep lines from the interpreter."""
    may_look, looks, looking = threading.Event(), list[str](), runtime.status
    before = threading.enumerate()

    def look() -> Status:
        assert may_look.wait(50.0)
        looks.append(threading.current_thread().name)
        return looking()

    with Service(runtime, HERE) as service, ExitStack() as stack:
        monkeypatch.setattr(runtime, "status", look)
        asked = [stack.enter_context(raw(service, f"GET {path}".encode() + HTTP)) for path in 15 * STATUSES]
        deadline = time.monotonic() + 50.0
        while len(service._slots) < len(asked):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        begun = {each.name for each in threading.enumerate() if each not in before}
        assert {name for name in begun if name.startswith("service/")} == {"service/accept", "service/status"}
        may_look.set()
        assert [rest(sock)[9:12] for sock in asked] == [b"200"] * len(asked)
    assert set(looks) == {"service/status"}


STATUSES = ("/status", "/journal", "/readyz", "/journal/o2")
HTTP = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_two_hundred_queries_a_second_while_a_line_flaps(o2: SimulatedO2) -> None:
    told: list[int] = []

    def query(service: Service) -> None:
        told.extend(ask(service, "/status").status for _ in range(50))

    with runtime_on(o2) as runtime, Service(runtime, HERE) as service:
        o2.arm("drop every=0.05")
        askers = [threading.Thread(target=query, args=(service,)) for _ in range(4)]
        begun = time.monotonic()
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert time.monotonic() - begun < 5 * 1.0
        assert told == [200] * 200
        until(runtime, lambda status: status.lines()["o2"].counters.restarts > 0)
        o2.heal()


def test_a_taken_port_is_told_in_a_sentence(runtime: Runtime, locked: Service) -> None:
    settings = ServiceSettings(socket="none", listen=f"127.0.0.1:{locked.port}")
    with pytest.raises(ServiceError, match=f"127.0.0.1:{locked.port} is taken") as error:
        Service(runtime, settings).start()
    assert isinstance(error.value, LinewardenError)


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_told_in_a_sentence(runtime: Runtime, host: str) -> None:
    with pytest.raises(ServiceError, match=r"not an address of this machine|cannot be listened on"):
        Service(runtime, ServiceSettings(listen=f"{host}:0")).start()
    with Service(runtime, HERE):
        pass  # the socket that was there before is gone


def test_it_starts_again_on_the_same_port(runtime: Runtime) -> None:
    service = Service(runtime, PORT)
    service.start()
    service.start()  # the second time it does nothing
    port = service.port
    service.stop()
    service.stop()
    with service:
        assert service.port == port
        assert ask(service, "/healthz").status == 200


def test_ipv6(runtime: Runtime) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with Service(runtime, structs.replace(PORT, listen="[::1]:0")) as service:
        assert service.url == f"http://[::1]:{service.port}"
        with socket.create_connection(("::1", service.port), timeout=20.0) as sock:
            sock.sendall(f"GET /healthz HTTP/1.1\r\nHost: [::1]:{service.port}\r\n\r\n".encode())
            assert rest(sock).startswith(b"HTTP/1.1 200 ")


class Scarce(socket.socket):
    """A listener on a machine that is out of descriptors now and then."""

    shortages = 2

    def accept(self) -> Any:
        if Scarce.shortages:
            Scarce.shortages -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def test_a_shortage_of_descriptors_passes(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    listen = listeners.listen
    monkeypatch.setattr(listeners, "listen", lambda host, port: Scarce(fileno=listen(host, port).detach()))
    monkeypatch.setattr(arrivals, "PAUSE", 0.01)
    with Service(runtime, PORT) as service:
        assert ask(service, "/status", **BEARER).status == 200
    assert Scarce.shortages == 0
    assert log_queue.flush(20.0)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert [getattr(record, "event", "") for record in caplog.records].count("service.accepting") == 1


def test_stop_leaves_no_thread_and_no_descriptor(o2: SimulatedO2, market: str, baseline: Any) -> None:
    with runtime_on(o2) as runtime, ExitStack() as stack:
        service = stack.enter_context(Service(runtime, HERE, limits=Limits(open_within=60.0)))
        ask(service, "/status")
        polite = stack.enter_context(tail(service, tail_path("nonce", IDENTITY)))
        stack.enter_context(tail(service, tail_path("trades", market)))
        stack.enter_context(tail(service, tail_path("trades", market), buffer=4_096, max_queue=1))
        stack.enter_context(raw(service))
        stack.enter_context(raw(service, b"GET /status HTTP/1.1\r\n"))
        head = f"GET /status HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n"
        stack.enter_context(raw(service, head.encode()))  # answered, and it does not hang up
        o2.number_trades(market, 5_000)

        begun = time.monotonic()
        service.stop()
        assert time.monotonic() - begun < STOP
        while any("service" in thread.name for thread in threading.enumerate()):  # a busy machine
            assert time.monotonic() - begun < STOP
        with pytest.raises(ConnectionClosed) as closed:
            polite.recv(timeout=20.0)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        with pytest.raises(FileNotFoundError):
            ask(service, "/healthz")
        assert line_of(runtime).state == "live"
    baseline.check()


def test_stop_while_a_client_does_not_read(o2: SimulatedO2, market: str, baseline: Any) -> None:
    """Its thread is in the middle of a write that would take for ever."""
    limits, path = Limits(send_within=60.0), tail_path("trades", market, capacity=10)
    with runtime_on(o2) as runtime, Service(runtime, HERE, limits=limits) as service:
        with tail(service, path, buffer=4_096, max_queue=1):
            o2.number_trades(market, 10_000)
            until(runtime, lambda status: status.streams[0].dropped > 0)
            begun = time.monotonic()
            service.stop()
            assert time.monotonic() - begun < STOP
        assert runtime.status().streams == ()
    baseline.check()


def test_many_visits_leave_nothing_behind(service: Service, runtime: Runtime, market: str) -> None:
    before = threading.active_count()
    for _ in range(50):
        ask(service, "/status")
        with tail(service, tail_path("trades", market)):
            pass
    until(runtime, streams(0))
    deadline = time.monotonic() + 5.0
    while threading.active_count() > before:
        assert time.monotonic() < deadline
