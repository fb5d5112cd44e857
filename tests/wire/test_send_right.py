"""The right to send: its bytes leave in time and under a lock, or not at all."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from actors.wire.send_right import RightRevokedError, SendRight, reset

ENDLESS = b"x" * 50_000_000


class Seconds:
    def __init__(self, left: float = 5.0) -> None:
        self.left = left

    def remaining(self) -> float:
        return self.left


def right(left: float = 5.0) -> SendRight:
    return SendRight(lambda: left)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection; the second takes little before it reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    server.settimeout(5.0)
    with client, server:
        yield client, server


def received(server: socket.socket) -> tuple[int, bool]:
    """How many bytes come, and whether the end of them is a reset."""
    count = 0
    try:
        while data := server.recv(65_536):
            count += len(data)
    except ConnectionResetError:
        return count, True
    return count, False


def test_what_is_written_arrives(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    its = right()
    its.write(client, b"hello", Seconds())
    assert (its.used, server.recv(10)) == (True, b"hello")


def test_a_revoked_right_writes_nothing_and_says_that_nothing_left(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    its = right()
    assert its.revoke() is False
    with pytest.raises(RightRevokedError):
        its.write(client, b"hello", Seconds())
    client.close()
    assert received(server) == (0, False)


def test_after_the_deadline_no_first_byte_is_written(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    its = right(left=0.0)
    with pytest.raises(RightRevokedError, match="deadline"):
        its.write(client, b"hello", Seconds())
    assert (its.used, its.revoke()) == (False, False)
    client.close()
    assert received(server) == (0, False)


def test_the_deadline_is_asked_under_the_lock_that_a_revoking_thread_takes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, _ = pair
    judging, told = threading.Event(), threading.Event()

    def left() -> float:
        judging.set()
        assert not told.wait(0.05)  # the other thread waits for the lock
        return 5.0

    its = SendRight(left)
    revoked: list[bool] = []

    def revoke() -> None:
        judging.wait(5.0)
        revoked.append(its.revoke())
        told.set()

    other = threading.Thread(target=revoke)
    other.start()
    its.write(client, b"hello", Seconds())
    other.join()
    assert revoked == [True]
    with pytest.raises(RightRevokedError):
        its.write(client, b" again", Seconds())


def test_what_is_queued_when_a_right_is_revoked_is_not_delivered(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    its = right()
    with pytest.raises(TimeoutError):  # the peer does not read: much lies in the queue of the system
        its.write(client, ENDLESS, Seconds(0.05))
    assert its.revoke() is True
    count, is_reset = received(server)
    assert is_reset
    assert count < 1_000_000


def test_a_plain_close_would_deliver_it(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    client.setblocking(False)
    queued = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            queued += client.send(b"x" * 65_536)
    client.close()
    assert received(server) == (queued, False)


def test_a_reset_wakes_a_reader_that_keeps_its_descriptor(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    client.settimeout(10.0)
    heard: list[bytes | OSError] = []
    started = threading.Event()

    def read() -> None:
        started.set()
        try:
            heard.append(client.recv(10))
        except OSError as error:
            heard.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    started.wait(5.0)
    before = client.fileno()
    reset(client)
    reader.join(5.0)
    assert not reader.is_alive()
    assert client.fileno() == before  # no other socket of the process can have this number
    assert heard == [b""] or isinstance(heard[0], OSError)
    assert received(server) == (0, True)


def test_after_the_exchange_the_connection_is_not_the_rights_to_reset(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    its = right()
    its.write(client, b"one", Seconds())
    its.end()
    assert its.revoke() is True  # a byte has left
    client.sendall(b"two")
    server.settimeout(5.0)
    assert server.recv(6, socket.MSG_WAITALL) == b"onetwo"
    with pytest.raises(RightRevokedError):
        its.write(client, b"three", Seconds())


def test_unless_it_was_used_means_that_a_used_one_goes_on(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    its = right()
    its.write(client, b"one", Seconds())
    assert its.revoke(unless_used=True) is True
    its.write(client, b"two", Seconds())
    assert server.recv(6, socket.MSG_WAITALL) == b"onetwo"
    unused = right()
    assert unused.revoke(unless_used=True) is False
    assert unused.revoked


def test_t3_a_thread_that_was_stopped_between_two_pieces_does_not_complete_the_request(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Head and body are two writes: the process may stand still between them."""
    client, server = pair
    left = [5.0]
    its = SendRight(lambda: left[0])
    its.write(client, b"head", Seconds())
    left[0] = 0.0
    with pytest.raises(RightRevokedError, match="deadline"):
        its.write(client, b"body", Seconds())
    assert (its.used, its.revoke()) == (True, True)
    assert server.recv(4) == b"head"
    assert received(server) == (0, True)
