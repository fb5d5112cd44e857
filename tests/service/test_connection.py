from __future__ import annotations

import logging
import socket
import time

import pytest

from actors import Runtime
from actors.service import Limits, Service
from actors.simulators import SimulatedO2
from tests.service.conftest import HERE
from tests.service.test_tail import streams
from tests.service.visitor import ask, raw, rest, tail, tail_path
from tests.support.runtimes import until


@pytest.mark.parametrize(("said", "told"), [(b"", b""), (b"GET /status HT", b"HTTP/1.1 408 ")])
def test_a_slow_request_is_hung_up_on(runtime: Runtime, said: bytes, told: bytes) -> None:
    limits = Limits(open_within=0.2)
    with Service(runtime, HERE, limits=limits) as service, raw(service, said) as sock:
        begun = time.monotonic()
        assert rest(sock)[: len(told) or None] == told
        assert time.monotonic() - begun < 5 * 0.2


def test_a_request_that_drips_is_not_waited_for(runtime: Runtime) -> None:
    """Each byte comes in time; the whole does not."""
    with Service(runtime, HERE, limits=Limits(open_within=0.2)) as service, raw(service) as sock:
        begun = time.monotonic()
        sock.settimeout(0.01)
        closed = False
        while not closed:
            assert time.monotonic() - begun < 5 * 0.2
            try:
                sock.sendall(b"x")
                closed = sock.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /status HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431),
        (b"GET /status HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /status HTTP/1.1\r\n" + (b"X: " + b"x" * 1_000 + b"\r\n") * 40 + b"\r\n", 431),
        (b"x" * 33_000, 431),
    ],
)
def test_a_large_head_is_refused(service: Service, head: bytes, status: int) -> None:
    with raw(service, head) as sock:
        told = rest(sock)
    assert told.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/json" in told
    assert b'{"error":"' in told
    assert ask(service, "/healthz").status == 200


def test_a_client_that_does_not_read_is_closed(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    limits = Limits(send_within=0.2)
    with (
        Service(runtime, HERE, limits=limits) as service,
        tail(service, tail_path("trades", market), buffer=4_096, max_queue=1),
    ):
        o2.number_trades(market, 10_000)
        until(runtime, streams(0))


def test_a_half_open_tail_is_pinged(runtime: Runtime, market: str) -> None:
    limits = Limits(ping_interval=0.1, ping_timeout=0.1, answer_within=0.1)
    with (
        Service(runtime, HERE, limits=limits) as service,
        tail(service, tail_path("trades", market)) as quiet,
    ):
        assert quiet.ping().wait(20.0)
        quiet.recv_flow_control.acquire()  # it reads no more, and so answers no ping
        try:
            until(runtime, streams(0))
        finally:
            quiet.recv_flow_control.release()


def test_port_scanners_are_no_news(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for said in (b"", b"\r\n\r\n", b"SSH-2.0-x\r\n", b"\x16\x03\x01\x00", b"GET / HTTP/1.0\r\n\r\n"):
        with raw(service, said):
            pass
    ask(service, "/")
    service.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    "request_",
    [b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/2\r\n\r\n", b"GET / HTTP/1.1\r\nx\r\n\r\n"],
)
def test_what_is_no_request_is_told_so_in_json(service: Service, request_: bytes) -> None:
    with raw(service, request_) as sock:
        told = rest(sock)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":"' in told


def test_a_body_is_not_read(service: Service) -> None:
    head = f"POST /restart/o2 HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nContent-Length: 2\r\n\r\n{{}}"
    with raw(service, head.encode()) as sock:
        assert rest(sock).startswith(b"HTTP/1.1 400 ")


def test_what_follows_a_request_does_not_spoil_its_answer(service: Service) -> None:
    head = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n"
    with raw(service, head.encode() * 2) as sock:
        assert rest(sock).count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("path", ["/healthz", "/status", "/nowhere"])
def test_a_client_that_closes_its_half_has_its_answer(service: Service, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n"
    with raw(service, head.encode()) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert rest(sock).startswith(b"HTTP/1.1 404 " if path == "/nowhere" else b"HTTP/1.1 200 ")
