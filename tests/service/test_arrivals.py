"""Connections until their request is complete: an operator gets in, whatever the others do."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import Self

import pytest
import trustme
from websockets.http11 import Request

from actors import Runtime
from actors.rules.admission import AdmissionLimits
from actors.service import Limits, Service
from actors.service.arrivals import Arrival, Arrivals, parse_request
from actors.service.responses import ServiceResponse
from actors.service.rights import Caller
from tests.service.conftest import PORT, port_within
from tests.service.visitor import BEARER, TOKEN, ask, raw, rest

PATIENT = Limits(open_within=60.0)  # no connection ends by its time


def threads_of_clients() -> int:
    return sum(thread.name.startswith("service/1") for thread in threading.enumerate())


def test_connections_without_a_request_cost_no_thread(runtime: Runtime) -> None:
    with Service(runtime, PORT, limits=PATIENT) as service, ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(raw(service, b"G"))
        assert ask(service, "/status", **BEARER).status == 200
        assert threads_of_clients() <= 2  # of that answer, on their way out


def test_the_oldest_goes_first_and_is_told_why(runtime: Runtime) -> None:
    with Service(runtime, port_within(waiting=3), limits=PATIENT) as service, ExitStack() as stack:
        first, second, third = (stack.enter_context(raw(service, b"GET ")) for _ in range(3))
        ask(service, "/healthz")  # takes a place for a moment
        told = rest(first)
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in told
        assert b"too many connections wait without a request" in told
        third.sendall(f"/healthz HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n".encode())
        assert rest(third).startswith(b"HTTP/1.1 200 ")
        second.close()


def test_an_address_has_its_share_and_no_more(runtime: Runtime) -> None:
    settings = port_within(waiting=100, waiting_per_address=2)
    with Service(runtime, settings, limits=PATIENT) as service, ExitStack() as stack:
        first, _, _ = (stack.enter_context(raw(service, b"GET ")) for _ in range(3))
        assert rest(first).startswith(b"HTTP/1.1 503 ")


def test_clients_that_do_not_hang_up_give_their_places_to_others(runtime: Runtime) -> None:
    """Each has its answer; the library would wait for ten seconds."""
    head = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n"
    with Service(runtime, port_within(clients=4)) as service, ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(raw(service, head % (service.port, TOKEN.encode())))
            assert sock.recv(12) == b"HTTP/1.1 200"
        assert ask(service, "/status", **BEARER).status == 200
        deadline = time.monotonic() + 5.0  # half of what a client has to hang up
        while threads_of_clients() > 5:
            assert time.monotonic() < deadline


def test_a_head_that_does_not_end_is_refused_at_its_bound(runtime: Runtime) -> None:
    said = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 6_000
    with Service(runtime, PORT, limits=PATIENT) as service, raw(service, said) as sock:
        assert rest(sock).startswith(b"HTTP/1.1 431 ")


def test_out_of_descriptors_the_oldest_connection_that_waits_ends() -> None:
    listener = Loopback()
    served = Arrivals([listener], AdmissionLimits(within=60.0), lambda _, __: ServiceResponse(200, "ok"))
    with ExitStack() as stack:
        address = listener.sock.getsockname()
        first, second = (
            stack.enter_context(socket.create_connection(address, timeout=20.0)) for _ in range(2)
        )
        served._accept(listener)  # before its thread runs
        served._note_scarcity(OSError(errno.EMFILE, "Too many open files"))
        assert rest(first).startswith(b"HTTP/1.1 503 ")
        assert len(served._room) == 1
        served._end(served._present[served._room.oldest() or 0])
        assert rest(second) == b""
        served._selector.close()
        stack.callback(listener.close)
        stack.callback(served._waker.close)
        stack.callback(served._wakened.close)


def test_probes_need_no_thread_and_no_place(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    with Service(runtime, PORT) as service:
        assert ask(service, "/readyz").status == 200
        monkeypatch.setattr(service, "_begin", lambda _: pytest.fail("a thread was asked for"))
        assert ask(service, "/healthz").status == 200
        readiness = service._routes._readiness
        monkeypatch.setattr(readiness, "_monotonic", lambda: 0.0)
        readiness.note(False, ServiceResponse(200, "ready"), None)
        readiness._last[False].is_asked = True  # a caller looks: the last answer is given again
        assert ask(service, "/readyz").status == 200


# ── another protocol ──


def test_a_tls_client_at_a_plain_port_is_told_so(locked: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    trusting = ssl.create_default_context()
    for _ in range(3):
        with (
            socket.create_connection(("127.0.0.1", locked.port), timeout=20.0) as sock,
            pytest.raises(ssl.SSLError),
        ):
            trusting.wrap_socket(sock, server_hostname="localhost")
    with raw(locked, b"\x16\x03\x01\x02\x00") as sock:
        assert b"this port speaks plain HTTP: use http://" in rest(sock)
    locked.stop()
    told = [record.getMessage() for record in caplog.records if "TLS" in record.getMessage()]
    assert told == [
        "A client at 127.0.0.1 speaks TLS, and this port plain HTTP: use http://, or set tls_certificate."
    ]


@pytest.fixture
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """That of a server for localhost, and that of a client that trusts it."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


class Loopback:
    """Listens at a port of its own."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.sock, self.tls = socket.create_server(("127.0.0.1", 0)), tls
        self.sock.setblocking(False)

    def caller(self, _sock: socket.socket, _address: object) -> Caller:
        return Caller(name="a client")

    def close(self) -> None:
        self.sock.close()


@contextmanager
def arrivals(tls: ssl.SSLContext, limits: AdmissionLimits) -> Iterator[tuple[str, int]]:
    """Answers every request with its path, over TLS."""
    listener = Loopback(tls)
    served = Arrivals(
        [listener],
        limits,
        lambda _, request: ServiceResponse(200, {"path": request.path}),
    )
    address = listener.sock.getsockname()
    served.start()
    try:
        yield address
    finally:
        served.stop()


SHORT = AdmissionLimits(within=0.5)


def test_a_tls_handshake_and_a_request_in_pieces(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = tls
    with (
        arrivals(server, AdmissionLimits()) as address,
        socket.create_connection(address, timeout=20.0) as plain,
        client.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        for piece in (b"GET /tw", b"o HTTP/1.1\r\nX: ", b"y" * 8_000, b"\r\nHost: x\r\n", b"\r\n"):
            sock.sendall(piece)
        told = rest(sock)
    assert told.startswith(b"HTTP/1.1 200 ")
    assert told.endswith(b'{"path":"/two"}')


def test_a_plain_client_at_a_tls_port_is_told_so(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with arrivals(tls[0], AdmissionLimits()) as address:
        for _ in range(2):
            with socket.create_connection(address, timeout=20.0) as sock:
                sock.sendall(b"GET /status HTTP/1.1\r\n\r\n")
                told = rest(sock)
                assert told.startswith(b"HTTP/1.1 400 ")
                assert b"this port speaks TLS: use https://" in told
    sentence = "A client at a client speaks plain HTTP; this port speaks TLS: use https://"
    assert [record.getMessage() for record in caplog.records] == [sentence]


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x00\x10"])
def test_a_handshake_that_is_not_completed_is_overdue(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], said: bytes
) -> None:
    with arrivals(tls[0], SHORT) as address, socket.create_connection(address, timeout=20.0) as sock:
        sock.sendall(said)
        assert rest(sock) == b""


def test_a_client_without_the_certificate_harms_no_other(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = tls
    with arrivals(server, AdmissionLimits()) as address:
        with socket.create_connection(address, timeout=20.0) as plain, pytest.raises(ssl.SSLError):
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
        with (
            socket.create_connection(address, timeout=20.0) as plain,
            client.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(b"GET /on HTTP/1.1\r\n\r\n")
            assert rest(sock).endswith(b'{"path":"/on"}')


def test_a_defect_in_an_answer_costs_that_answer(caplog: pytest.LogCaptureFixture) -> None:
    listener = Loopback()

    def receive(arrival: object, request: Request) -> ServiceResponse:
        if request.path == "/defect":
            raise ZeroDivisionError
        return ServiceResponse(200, {"ok": True})

    served = Arrivals([listener], AdmissionLimits(), receive)
    address = listener.sock.getsockname()
    served.start()
    try:
        for path, status in (("/defect", b"500"), ("/", b"200")):
            with socket.create_connection(address, timeout=20.0) as sock:
                sock.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
                assert rest(sock)[9:12] == status
    finally:
        served.stop()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


# ── answers that are given later ──

ANSWER = (b"HTTP/1.1 200 OK\r\n\r\n", bytes(range(256)) * 32_768)  # 8 MB: more than a system takes at once
SMALL = (b"HTTP/1.1 200 OK\r\n\r\n", b"small")


class Later:
    """Keeps each request until it is told to answer."""

    def __init__(self, limits: AdmissionLimits | None = None, tls: ssl.SSLContext | None = None) -> None:
        listener = Loopback(tls)
        self.arrivals = Arrivals([listener], limits or AdmissionLimits(), self._receive)
        self.address = listener.sock.getsockname()
        self.kept: SimpleQueue[Arrival[Loopback]] = SimpleQueue()
        self.ended = threading.Semaphore(0)

    def _receive(self, arrival: Arrival[Loopback], _: Request) -> None:
        self.kept.put(arrival)

    def answer(self, pieces: tuple[bytes, bytes]) -> None:
        """To the first one that is kept."""
        self.arrivals.answer(self.kept.get(timeout=50.0), pieces, self.ended.release)

    def __enter__(self) -> Self:
        self.arrivals.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.arrivals.stop()


@contextmanager
def asking(later: Later, trusting: ssl.SSLContext | None = None) -> Iterator[socket.socket]:
    """A client whose system takes little before it reads."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        plain.settimeout(50.0)
        plain.connect(later.address)
        sock = plain if trusting is None else trusting.wrap_socket(plain, server_hostname="localhost")
        with sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            yield sock


def size_of(sock: socket.socket) -> int:
    """Of all that comes until the other side hangs up."""
    return sum(iter(lambda: len(sock.recv(65_536)), 0))


PATIENT_TO_READ = AdmissionLimits(answer_within=600.0)


@pytest.mark.parametrize("is_secure", [False, True])
def test_a_client_that_reads_slowly_delays_no_other_and_gets_all(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], is_secure: bool
) -> None:
    server, client = tls if is_secure else (None, None)
    with Later(PATIENT_TO_READ, server) as later, asking(later, client) as slow:
        later.answer(ANSWER)
        with asking(later, client) as fast:
            later.answer(SMALL)
            assert rest(fast) == b"".join(SMALL)
        assert later.ended.acquire(timeout=50.0)
        assert not later.ended.acquire(blocking=False)  # the slow one has not got everything
        assert size_of(slow) == len(b"".join(ANSWER))
        assert later.ended.acquire(timeout=50.0)


def test_a_client_that_does_not_read_is_hung_up_on() -> None:
    with Later(AdmissionLimits(answer_within=0.2)) as later, asking(later):
        later.answer(ANSWER)
        assert later.ended.acquire(timeout=50.0)


def test_a_client_that_has_left_costs_its_answer() -> None:
    with Later() as later:
        with asking(later):
            arrival = later.kept.get(timeout=50.0)
        later.arrivals.answer(arrival, ANSWER, later.ended.release)
        assert later.ended.acquire(timeout=50.0)


def test_after_close_answers_are_sent_and_after_stop_none() -> None:
    with Later(PATIENT_TO_READ) as later, asking(later) as first, asking(later) as second, asking(later):
        kept = [later.kept.get(timeout=50.0) for _ in range(3)]
        later.arrivals.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(later.address, timeout=50.0)
        later.arrivals.answer(kept[0], SMALL, later.ended.release)
        assert rest(first) == b"".join(SMALL)
        later.arrivals.answer(kept[1], ANSWER, later.ended.release)
        later.arrivals.stop()
        later.arrivals.answer(kept[2], SMALL, later.ended.release)
        assert all(later.ended.acquire(timeout=50.0) for _ in range(3))
        assert size_of(second) < len(b"".join(ANSWER))


# ── the head of a request ──


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 0),
        (b"GET / HTTP/1.0\r\n\r\n", 0),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX : y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX:\r\n y\r\n\r\n", 400),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_is_no_request_has_its_answer(head: bytes, status: int) -> None:
    found = parse_request(head)
    assert (found.status if isinstance(found, ServiceResponse) else 0) == status
