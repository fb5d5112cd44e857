"""Connections that are kept: used again while they are good, and never for a second copy of a request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from unittest import mock

from msgspec import structs

from actors.http_types import HttpAnswer, HttpFailed, HttpRequest
from actors.wire import kept_connections
from actors.wire.connect import Dial
from actors.wire.kept_connections import AT_MOST, KeptConnections
from actors.wire.send_right import SendRight
from tests.wire.proxies import Loopback, read_exactly, read_head

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DIAL = Dial()


class Server(Loopback):
    """Answers each request of a connection with the next of these; None ends the connection instead."""

    def __init__(self, *answers: bytes | None) -> None:
        super().__init__(self._serve)
        self.heads: list[bytes] = []
        self.connections = 0
        self.ended = threading.Semaphore(0)  # connections that the client has ended, or the server
        self._answers = list(answers)

    def _serve(self, sock: socket.socket) -> None:
        self.connections += 1
        try:
            while True:
                head = read_head(sock)
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                read_exactly(sock, int(length or 0))
                self.heads.append(head)
                answer = self._answers.pop(0) if self._answers else OK
                if answer is None:
                    return
                sock.sendall(answer)
        finally:
            self.ended.release()


def get(server: Loopback, **options: object) -> HttpRequest:
    return structs.replace(HttpRequest("GET", f"http://127.0.0.1:{server.port}/", timeout=5.0), **options)


def right(left: Callable[[], float] = lambda: 5.0) -> SendRight:
    return SendRight(left)


def status(answer: HttpAnswer | HttpFailed) -> int | str:
    return answer.status if isinstance(answer, HttpAnswer) else answer.code


def test_requests_one_after_another_take_one_connection() -> None:
    with Server() as server:
        kept = KeptConnections()
        assert [status(kept.fetch(get(server), DIAL)) for _ in range(3)] == [200] * 3
        kept.close()
    assert server.connections == 1


def test_one_that_the_peer_closed_is_noticed_before_the_first_byte() -> None:
    with Server(OK, None) as server:
        kept = KeptConnections()
        assert status(kept.fetch(get(server), DIAL)) == 200
        connection = kept._idle[0]
        server._open[0].shutdown(socket.SHUT_RDWR)
        server.ended.acquire(timeout=5.0)
        assert not connection.is_usable
        server._answers.clear()
        mine = right()
        assert status(kept.fetch(get(server), DIAL, right=mine)) == 200
        kept.close()
    assert (server.connections, len(server.heads)) == (2, 2)


def test_a_second_answer_behind_the_first_is_not_taken_for_the_next_one() -> None:
    other = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
    with Server(OK + other) as server:
        kept = KeptConnections()
        bodies = []
        for _ in range(2):
            answer = kept.fetch(get(server), DIAL)
            assert isinstance(answer, HttpAnswer)
            bodies.append(answer.body)
        kept.close()
    assert bodies == [b"ok", b"ok"]
    assert server.connections == 2


def test_one_that_was_idle_for_long_is_not_used_again() -> None:
    with Server() as server:
        kept = KeptConnections()
        kept.fetch(get(server), DIAL)
        now = time.monotonic() + kept_connections.IDLE + 1.0
        with mock.patch.object(time, "monotonic", return_value=now):
            assert not kept._idle[0].is_usable
        kept.close()


def test_a_mutation_whose_connection_is_lost_is_not_sent_again() -> None:
    with Server(OK, None) as server:
        kept = KeptConnections()
        kept.fetch(get(server), DIAL)
        mine = right()
        assert status(kept.fetch(get(server), DIAL, right=mine)) == "lost"
        kept.close()
    assert mine.used
    assert len(server.heads) == 2  # the first one, and this one once


def test_a_right_sends_one_request_and_no_second() -> None:
    with Server() as server:
        kept, mine = KeptConnections(), right()
        assert status(kept.fetch(get(server), DIAL, right=mine)) == 200
        assert isinstance(kept.fetch(get(server), DIAL, right=mine), HttpFailed)
        kept.close()
    assert len(server.heads) == 1


def test_a_redirect_is_not_followed() -> None:
    moved = b"HTTP/1.1 307 X\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    with Server(moved) as server:
        kept = KeptConnections()
        assert status(kept.fetch(get(server), DIAL, right=right())) == 307
        kept.close()
    assert len(server.heads) == 1


def test_a_connection_that_ends_with_its_answer_is_not_kept() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with Server(closing) as server:
        kept = KeptConnections()
        assert [status(kept.fetch(get(server), DIAL)) for _ in range(2)] == [200, 200]
        kept.close()
    assert server.connections == 2


def test_the_deadline_is_judged_when_connected_and_nothing_is_written_after_it() -> None:
    connected = threading.Event()

    def left() -> float:
        connected.set()
        return -1.0

    with Server() as server:
        kept, mine = KeptConnections(), right(left)
        assert isinstance(kept.fetch(get(server), DIAL, right=mine), HttpFailed)
        kept.close()
        server.ended.acquire(timeout=5.0)
    assert connected.is_set()
    assert (server.connections, server.heads, mine.used) == (1, [], False)


def test_an_unanswered_mutation_resets_its_connection() -> None:
    ends: list[BaseException | bytes] = []
    done = threading.Event()

    def serve(sock: socket.socket) -> None:
        read_head(sock)
        try:
            ends.append(sock.recv(1))
        except OSError as error:
            ends.append(error)
        done.set()

    with Loopback(serve) as server:
        kept, mine = KeptConnections(), right()
        assert status(kept.fetch(get(server, timeout=0.1), DIAL, right=mine)) == "timeout"
        assert done.wait(5.0)
        kept.close()
    assert isinstance(ends[0], ConnectionResetError)


def test_eight_are_kept_at_most() -> None:
    barrier = threading.Barrier(AT_MOST)
    with Server() as server:
        kept = KeptConnections()

        def ask() -> None:
            barrier.wait(5.0)
            kept.fetch(get(server), DIAL)

        threads = [threading.Thread(target=ask) for _ in range(AT_MOST)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with Server() as another:
            for _ in range(3):
                kept.fetch(get(another), DIAL)
            assert len(kept._idle) <= AT_MOST
        kept.close()
        assert not kept._idle
