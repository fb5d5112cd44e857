"""A mailbox that hears a socket: letters and bytes, over real socket pairs."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pykka
import pytest
import trustme
from pykka._envelope import Envelope

from actors.actor import Letter, letter, refuse
from actors.diagnostics import DeadLetters
from actors.messages import LoginOverdue
from actors.reasons import Retryable, Stopped
from actors.wire import socket_inbox
from actors.wire.poller import SelectorsPoller, new_poller
from actors.wire.socket_inbox import READ, BytesReceived, HandlingEnded, SocketInbox, SocketLost
from tests.conftest import Baseline

Inbox = SocketInbox[Letter]

BOUND = 1 << 20


class Refused:
    """What nobody will read, in its order."""

    def __init__(self) -> None:
        self.dead_letters = DeadLetters()
        self.messages: list[object] = []

    def __call__(self, envelope: Envelope[object]) -> None:
        self.messages.append(envelope.message)
        refuse(envelope, None, "connection/o2", self.dead_letters)


@pytest.fixture
def refused() -> Refused:
    return Refused()


@pytest.fixture(params=[new_poller, SelectorsPoller])
def inbox(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, refused: Refused, baseline: Baseline
) -> Iterator[Inbox]:
    monkeypatch.setattr(socket_inbox, "new_poller", request.param)
    inbox = SocketInbox(BOUND, letter, refused)
    yield inbox
    inbox.close()


@pytest.fixture
def peer(inbox: Inbox) -> Iterator[socket.socket]:
    """The venue's end; the inbox hears the other."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    inbox.open(ours, monotonic)
    with ours, theirs:
        yield theirs


def tell(inbox: Inbox, *messages: object) -> None:
    for message in messages:
        inbox.put(Envelope(message))


def take(inbox: Inbox) -> object:
    return inbox.get().message


def hear_lost(inbox: Inbox) -> Retryable:
    lost = take(inbox)
    assert isinstance(lost, SocketLost)
    assert isinstance(lost.reason, Retryable)
    return lost.reason


def hear_bytes(inbox: Inbox, count: int) -> bytes:
    """So many bytes, in however many messages."""
    taken = b""
    while len(taken) < count:
        message = take(inbox)
        assert isinstance(message, BytesReceived)
        taken += message.data
    return taken


def take_in_a_thread(pool: ThreadPoolExecutor, inbox: Inbox) -> Callable[[], object]:
    """The actor's own thread, waiting for whatever comes first."""
    future = pool.submit(take, inbox)
    return lambda: future.result(10)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def flood(peer: socket.socket) -> int:
    """Send until the other end's window is full; how many bytes."""
    peer.setblocking(False)
    sent = 0
    while True:
        try:
            sent += peer.send(b"x" * READ)
        except BlockingIOError:
            return sent


# ── letters and bytes ───────────────────────────────────────────────────────────────────────────


def test_bytes_arrive_as_messages(inbox: Inbox, peer: socket.socket) -> None:
    peer.sendall(b"quote")
    assert take(inbox) == BytesReceived(b"quote")


def test_letters_come_before_bytes(inbox: Inbox, peer: socket.socket) -> None:
    peer.sendall(b"quote")
    tell(inbox, "stop", "now")
    assert [take(inbox) for _ in range(3)] == ["stop", "now", BytesReceived(b"quote")]


def test_a_letter_is_heard_between_two_reads_of_a_flood(inbox: Inbox, peer: socket.socket) -> None:
    sent = flood(peer)
    first = take(inbox)
    tell(inbox, "ping")
    assert isinstance(first, BytesReceived)
    assert take(inbox) == "ping"
    assert len(hear_bytes(inbox, sent - len(first.data))) == sent - len(first.data)


def test_letters_without_end_keep_no_bytes_waiting(inbox: Inbox, peer: socket.socket) -> None:
    tell(inbox, "one", "two")
    peer.sendall(b"quote")
    taken = []
    for _ in range(6):
        taken.append(take(inbox))
        tell(inbox, "one more")
    assert taken == ["one", "two", BytesReceived(b"quote"), *["one more"] * 3]
    peer.sendall(b"trade")
    assert BytesReceived(b"trade") in [take(inbox) for _ in range(4)]


def test_a_letter_that_came_before_the_bytes_is_heard_before_them(inbox: Inbox, peer: socket.socket) -> None:
    """A stream that was added before an event was sent gets it, however late the reader wakes."""

    class Late(socket.socket):
        def recv(self, *args: int) -> bytes:
            tell(inbox, "added")
            peer.sendall(b"event")
            return super().recv(*args)

    former = inbox._socket
    assert former is not None
    inbox.forget()
    with Late(fileno=former.detach()) as late:
        late.setblocking(False)
        inbox.open(late, monotonic)
        peer.sendall(b"quote, ")
        assert [take(inbox), take(inbox)] == ["added", BytesReceived(b"quote, event")]


# ── bytes that are handled at once ──────────────────────────────────────────────────────────────


class Handler:
    """Stands for an actor: it ends, or fails, with the bytes that say so."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox, self.handled = inbox, queue.SimpleQueue[bytes]()

    def __call__(self, data: bytes) -> bool:
        assert not self.inbox.has_unread
        self.handled.put(data)
        if data == b"defect":
            raise ZeroDivisionError
        if data == b"write":
            tell(self.inbox, "written")
        return data != b"end"


@pytest.fixture
def handler(inbox: Inbox, peer: socket.socket) -> Handler:
    handler, sock = Handler(inbox), inbox._socket
    assert sock is not None
    inbox.forget()
    inbox.open(sock, monotonic, handler)
    return handler


def test_bytes_that_no_letter_waits_for_are_handled_at_once(
    inbox: Inbox, peer: socket.socket, handler: Handler, pool: ThreadPoolExecutor
) -> None:
    letter, before = take_in_a_thread(pool, inbox), inbox.serial
    for data in (b"quote", b"trade"):
        peer.sendall(data)
        assert handler.handled.get(timeout=10) == data
    tell(inbox, "letter")
    assert letter() == "letter"
    assert inbox.serial >= before + 2  # the watchdog sees that it goes on


def test_a_letter_that_is_written_while_bytes_are_handled_comes_next(
    inbox: Inbox, peer: socket.socket, handler: Handler
) -> None:
    peer.sendall(b"write")
    assert take(inbox) == "written"


def test_letters_come_before_bytes_that_would_be_handled_at_once(
    inbox: Inbox, peer: socket.socket, handler: Handler
) -> None:
    peer.sendall(b"quote")
    tell(inbox, "stop", "now")
    assert [take(inbox) for _ in range(3)] == ["stop", "now", BytesReceived(b"quote")]
    assert handler.handled.empty()


def test_an_actor_that_ends_while_it_handles_bytes_takes_no_letter(
    inbox: Inbox, peer: socket.socket, handler: Handler
) -> None:
    peer.sendall(b"end")
    assert take(inbox) == HandlingEnded()


def test_what_fails_while_bytes_are_handled_is_raised_by_the_actor(
    inbox: Inbox, peer: socket.socket, handler: Handler
) -> None:
    peer.sendall(b"defect")
    ended = take(inbox)
    assert isinstance(ended, HandlingEnded)
    assert isinstance(ended.error, ZeroDivisionError)


def test_it_is_known_whether_anything_waits_to_be_heard(inbox: Inbox, peer: socket.socket) -> None:
    assert not inbox.has_unread
    peer.sendall(b"quote")
    assert inbox.has_unread
    tell(inbox, "letter")
    assert take(inbox) == "letter"
    assert inbox.has_unread  # it has been read
    assert take(inbox) == BytesReceived(b"quote")
    assert not inbox.has_unread
    peer.close()
    assert inbox.has_unread
    assert hear_lost(inbox).code == "eof"
    assert not inbox.has_unread


@pytest.fixture
def writes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame waits for what is there to be read."""
    monkeypatch.setattr(socket_inbox, "READS_FIRST", 0.0)


@pytest.mark.usefixtures("writes_first")
def test_a_flood_does_not_keep_what_is_unsent_waiting(inbox: Inbox, peer: socket.socket) -> None:
    assert inbox.send(b"x" * (BOUND - 1))
    unsent = inbox.unsent
    flood(peer)
    take(inbox)  # and there is more of it
    peer.setblocking(True)
    peer.recv(READ)
    take(inbox)
    assert inbox.unsent < unsent


def test_a_letter_of_another_thread_wakes_the_sleeper(inbox: Inbox, pool: ThreadPoolExecutor) -> None:
    for number in range(200):
        taken = take_in_a_thread(pool, inbox)
        tell(inbox, number)  # before it sleeps, while it falls asleep, or after
        assert taken() == number


def test_bytes_wake_the_sleeper(inbox: Inbox, peer: socket.socket, pool: ThreadPoolExecutor) -> None:
    taken = take_in_a_thread(pool, inbox)
    peer.sendall(b"quote")
    assert taken() == BytesReceived(b"quote")


def test_letters_of_many_threads_all_come_each_in_its_order(inbox: Inbox) -> None:
    def write(name: int) -> None:
        tell(inbox, *((name, number) for number in range(500)))

    writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for writer in writers:
        writer.start()
    taken = [take(inbox) for _ in range(2_000)]
    for writer in writers:
        writer.join()
    for name in range(4):
        assert [letter for letter in taken if letter[0] == name] == [  # type: ignore[index]
            (name, number) for number in range(500)
        ]


# ── back-pressure ───────────────────────────────────────────────────────────────────────────────


def test_an_unwatched_socket_is_not_read(inbox: Inbox, peer: socket.socket) -> None:
    inbox.watch(False)
    peer.sendall(b"quote")
    peer.shutdown(socket.SHUT_WR)
    tell(inbox, "first")
    assert take(inbox) == "first"
    tell(inbox, "second")
    assert take(inbox) == "second"  # neither the bytes nor the end were taken
    inbox.watch(True)
    assert take(inbox) == BytesReceived(b"quote")
    assert hear_lost(inbox).code == "eof"


def test_unwatched_the_peer_has_to_wait(inbox: Inbox, peer: socket.socket) -> None:
    inbox.watch(False)
    sent = flood(peer)
    inbox.watch(True)
    assert len(hear_bytes(inbox, sent)) == sent


def test_what_is_unsent_goes_out_while_nothing_is_read(inbox: Inbox, peer: socket.socket) -> None:
    data = b"x" * (BOUND - 1)
    assert inbox.send(data)
    assert inbox.unsent > 0
    inbox.watch(False)
    received = bytearray()

    def read() -> None:
        while len(received) < len(data):
            received.extend(peer.recv(READ))
        tell(inbox, "all read")

    reader = threading.Thread(target=read)
    reader.start()
    assert take(inbox) == "all read"
    reader.join()
    assert received == data
    assert inbox.unsent == 0


# ── how far it was read ──────────────────────────────────────────────────────────────────────────


class Moments:
    """A clock that shows a new moment at each look, and what the inbox writes."""

    def __init__(self) -> None:
        self.read_begun_at = self.read_to_end_at = 0.0
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 1.0
        return self._now


@pytest.fixture
def moments() -> Moments:
    return Moments()


@pytest.fixture
def timed_peer(inbox: Inbox, moments: Moments) -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    inbox.open(ours, moments, state=moments)
    with ours, theirs:
        yield theirs


def test_bytes_count_as_read_once_they_are_handled(
    inbox: Inbox, timed_peer: socket.socket, moments: Moments
) -> None:
    before = moments()
    timed_peer.sendall(b"quote")
    take(inbox)
    assert moments.read_to_end_at < before < moments.read_begun_at  # in hand
    tell(inbox, "next")
    take(inbox)
    assert moments.read_to_end_at == moments.read_begun_at > before


def test_a_read_that_fills_its_buffer_is_not_the_end(
    inbox: Inbox, timed_peer: socket.socket, moments: Moments
) -> None:
    flood(timed_peer)
    before = moments()
    for _ in range(2):
        tell(inbox, "next")
        take(inbox)
        inbox.note_end()
        assert moments.read_to_end_at < before
        assert isinstance(take(inbox), BytesReceived)
    while inbox.has_unread:
        take(inbox)
    tell(inbox, "next")
    take(inbox)
    assert moments.read_to_end_at > before


def test_a_quiet_socket_is_at_its_end_when_it_is_looked_at(
    inbox: Inbox, timed_peer: socket.socket, moments: Moments
) -> None:
    before = moments()
    inbox.note_end()
    assert moments.read_to_end_at == moments.read_begun_at > before
    timed_peer.sendall(b"quote")
    former = moments.read_to_end_at
    inbox.note_end()
    assert moments.read_to_end_at == former


@pytest.mark.parametrize("is_unwatched", [False, True])
def test_what_waited_while_nothing_was_read_counts_from_the_beginning_of_that(
    inbox: Inbox, timed_peer: socket.socket, moments: Moments, is_unwatched: bool
) -> None:
    inbox.note_end()
    before = moments()
    if is_unwatched:
        inbox.watch(False)
    else:
        inbox.note_stall(before)
    after = moments()
    timed_peer.sendall(b"quote")
    inbox.watch(True)
    take(inbox)
    assert before <= moments.read_begun_at < after
    assert moments.read_to_end_at < before  # in hand
    tell(inbox, "next")
    take(inbox)
    assert moments.read_to_end_at == moments.read_begun_at
    timed_peer.sendall(b"quote")
    take(inbox)
    assert moments.read_begun_at > after


def test_after_a_stall_an_empty_socket_is_at_its_end_when_it_is_looked_at(
    inbox: Inbox, timed_peer: socket.socket, moments: Moments
) -> None:
    inbox.note_stall(moments())
    tell(inbox, "next")
    take(inbox)
    after = moments()
    inbox.note_end()
    assert moments.read_to_end_at == moments.read_begun_at > after
    timed_peer.sendall(b"quote")
    take(inbox)
    assert moments.read_begun_at > moments.read_to_end_at


def test_an_unwatched_socket_is_not_at_its_end(
    inbox: Inbox, timed_peer: socket.socket, moments: Moments
) -> None:
    inbox.note_end()
    former = moments.read_to_end_at
    inbox.watch(False)
    inbox.note_end()
    tell(inbox, "next")
    take(inbox)
    assert moments.read_to_end_at == former


def test_bytes_that_wait_in_the_kernel_are_counted(inbox: Inbox, peer: socket.socket) -> None:
    assert inbox.kernel_bytes == 0
    peer.sendall(b"quote")
    assert inbox.kernel_bytes == 5
    assert take(inbox) == BytesReceived(b"quote")
    assert inbox.kernel_bytes == 0


def test_of_a_socket_that_is_closed_no_bytes_are_known(inbox: Inbox) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    assert inbox.kernel_bytes is None
    inbox.open(ours, monotonic)
    ours.close()
    theirs.close()
    assert inbox.kernel_bytes is None


def test_where_the_system_does_not_tell_no_bytes_are_known(
    inbox: Inbox, peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.sendall(b"quote")
    monkeypatch.setattr("sys.platform", "win32")
    assert inbox.kernel_bytes is None


# ── what is lost ────────────────────────────────────────────────────────────────────────────────


def test_a_peer_that_reads_nothing_is_given_up_on(inbox: Inbox, peer: socket.socket) -> None:
    peer.sendall(b"last words")
    taken = [inbox.send(b"x" * (BOUND // 4)) for _ in range(100)]
    assert taken[0]
    assert not taken[-1]
    assert inbox.unsent == 0  # it is given up
    assert take(inbox) == BytesReceived(b"last words")
    assert hear_lost(inbox).code == "send_buffer"
    assert not inbox.send(b"more")
    tell(inbox, "letters go on")
    assert take(inbox) == "letters go on"


def test_the_end_of_the_peer_is_a_loss(inbox: Inbox, peer: socket.socket) -> None:
    peer.sendall(b"last words")
    peer.close()
    assert take(inbox) == BytesReceived(b"last words")
    assert hear_lost(inbox).code == "eof"


@pytest.fixture
def tcp_peer(inbox: Inbox) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setblocking(False)
    inbox.open(ours, monotonic)
    with ours, theirs:
        yield theirs


def reset(sock: socket.socket) -> None:
    """Close without the courtesy of a FIN: TCP's RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_reset_is_a_loss(inbox: Inbox, tcp_peer: socket.socket) -> None:
    reset(tcp_peer)
    reason = hear_lost(inbox)
    assert reason.code == "lost"
    assert "reset" in reason.text.lower()


@pytest.mark.usefixtures("writes_first")
def test_sending_into_a_reset_is_a_loss(inbox: Inbox, tcp_peer: socket.socket) -> None:
    reset(tcp_peer)
    assert not all(inbox.send(b"anybody there?") for _ in range(1_000))
    assert hear_lost(inbox).code == "lost"
    tell(inbox, "told once")
    assert take(inbox) == "told once"


def test_a_frame_waits_while_there_is_more_to_read(inbox: Inbox, peer: socket.socket) -> None:
    now = 0.0
    sock = inbox._socket
    assert sock is not None
    inbox.forget()
    inbox.open(sock, lambda: now)
    peer.sendall(b"quote")
    assert inbox.send(b"pong")
    assert inbox.unsent == 4
    assert take(inbox) == BytesReceived(b"quote")
    tell(inbox, "letter")
    assert take(inbox) == "letter"
    assert peer.recv(READ) == b"pong"

    peer.sendall(b"quote")
    assert inbox.send(b"pong")
    now = 0.2  # as long as that it does not wait
    peer.sendall(b"trade")
    assert inbox.send(b"ping")
    assert peer.recv(READ) == b"pongping"


@pytest.mark.parametrize("watched", [True, False])
def test_a_reset_that_unsent_bytes_meet_comes_behind_what_was_received(
    inbox: Inbox, tcp_peer: socket.socket, watched: bool
) -> None:
    while not inbox.unsent:
        inbox.send(b"." * 65_536)
    inbox.watch(watched)
    tcp_peer.sendall(b"last words")
    reset(tcp_peer)
    if not watched:
        tell(inbox, "letter")
        assert take(inbox) == "letter"  # and neither the bytes nor the end were taken
        inbox.watch(True)
    assert take(inbox) == BytesReceived(b"last words")
    assert hear_lost(inbox).code == "lost"


def test_reading_on_after_a_failed_write_is_bounded_in_bytes(
    inbox: Inbox, peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_inbox, "REST", 3 * READ)
    for _ in range(100):
        inbox.send(b"x" * (BOUND // 4))
    peer.setblocking(False)
    heard = 0
    while True:
        with contextlib.suppress(BlockingIOError):
            peer.send(b"x" * READ)  # more, as fast as it is read
        message = take(inbox)
        if isinstance(message, SocketLost):
            break
        assert isinstance(message, BytesReceived)
        heard += len(message.data)
    assert heard < 6 * READ


def test_reading_on_is_bounded_in_seconds_of_reading(
    inbox: Inbox, peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_inbox, "READ_MORE", READ // 4)
    inbox._size = READ // 4
    now = 0.0
    sock = inbox._socket
    assert sock is not None
    inbox.forget()
    inbox.open(sock, lambda: now)
    flood(peer)
    assert inbox.read_to_end(SocketLost(Stopped("asked")), 2.0)
    assert isinstance(take(inbox), BytesReceived)
    now = 1.9
    assert isinstance(take(inbox), BytesReceived)
    inbox.watch(False)
    now = 60.0
    inbox.watch(True)
    assert isinstance(take(inbox), BytesReceived)
    now = 62.1
    assert take(inbox) == SocketLost(Stopped("asked"))


@pytest.mark.usefixtures("writes_first")
def test_what_is_to_come_last_comes_behind_what_was_received(inbox: Inbox, peer: socket.socket) -> None:
    peer.sendall(b"last words")
    assert inbox.read_to_end(LoginOverdue(was_read=True), 1.0)
    assert inbox.send(b"still there")
    assert take(inbox) == BytesReceived(b"last words")
    assert take(inbox) == LoginOverdue(was_read=True)
    assert peer.recv(READ) == b"still there"
    peer.sendall(b"welcome")  # it goes on
    assert take(inbox) == BytesReceived(b"welcome")
    peer.close()
    assert hear_lost(inbox).code == "eof"


def test_an_end_that_was_asked_for_keeps_its_reason_where_the_peer_ends_meanwhile(
    inbox: Inbox, peer: socket.socket
) -> None:
    peer.sendall(b"last words")
    peer.close()
    assert inbox.read_to_end(SocketLost(Stopped("asked")), 1.0)
    assert take(inbox) == BytesReceived(b"last words")
    assert take(inbox) == SocketLost(Stopped("asked"))


def test_an_unwatched_socket_is_not_read_to_its_end(inbox: Inbox, peer: socket.socket) -> None:
    inbox.watch(False)
    assert not inbox.read_to_end(SocketLost(Stopped("asked")), 1.0)


# ── the end ─────────────────────────────────────────────────────────────────────────────────────


def test_close_refuses_unread_letters(inbox: Inbox, refused: Refused) -> None:
    answer: pykka.Future[object] = pykka.ThreadingFuture()
    tell(inbox, "told")
    inbox.put(Envelope("asked", reply_to=answer))
    inbox.close()
    tell(inbox, "too late")
    assert refused.messages == ["told", "asked", "too late"]
    assert refused.dead_letters.count == 2
    with pytest.raises(pykka.ActorDeadError):
        answer.get(timeout=0)


def test_pykka_s_teardown_leaves_unread_letters_to_close(inbox: Inbox, refused: Refused) -> None:
    tell(inbox, "told")
    assert inbox.empty()  # else Pykka takes it out and throws it away without a word
    inbox.close()
    assert refused.messages == ["told"]


def test_descriptors_are_back_after_the_end(baseline: Baseline, refused: Refused) -> None:
    for _ in range(20):
        inbox = SocketInbox(BOUND, letter, refused)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        inbox.open(ours, monotonic)
        theirs.sendall(b"quote")
        take(inbox)
        inbox.forget()
        inbox.close()
        ours.close()
        theirs.close()
    baseline.check()


# ── TLS ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tls_peer(inbox: Inbox) -> Iterator[ssl.SSLSocket]:
    """The venue's end of a TLS connection."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    plain, far = socket.socketpair()
    plain.settimeout(10)
    far.settimeout(10)
    with ThreadPoolExecutor() as pool:
        accepting = pool.submit(server.wrap_socket, far, server_side=True)
        ours = client.wrap_socket(plain, server_hostname="localhost")
        theirs = accepting.result(10)
    ours.setblocking(False)
    with ours, theirs:
        inbox.open(ours, monotonic)
        yield theirs


def test_what_tls_holds_back_is_heard_without_another_byte(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    records = [bytes([number]) * 16_384 for number in range(3)]
    for record in records:  # a read gives one record at most
        tls_peer.sendall(record)
    assert hear_bytes(inbox, 3 * 16_384) == b"".join(records)


def test_what_tls_read_ahead_in_the_handshake_is_heard(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    ours = inbox._socket
    assert isinstance(ours, ssl.SSLSocket)
    tls_peer.sendall(b"welcome")
    ours.setblocking(True)
    assert ours.recv(1) == b"w"  # as a handshake that reads byte by byte
    ours.setblocking(False)
    assert ours.pending() == 6
    inbox.forget()
    inbox.open(ours, monotonic)
    assert take(inbox) == BytesReceived(b"elcome")


def test_many_small_records_are_one_message(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    for number in range(40):
        tls_peer.sendall(b"%02d" % number)
    assert take(inbox) == BytesReceived(b"".join(b"%02d" % number for number in range(40)))


def test_letters_come_before_what_tls_holds_back(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    sent = b"x" * (2 * READ)
    tls_peer.sendall(sent)
    first = take(inbox)
    tell(inbox, "ping")
    assert isinstance(first, BytesReceived)
    assert take(inbox) == "ping"
    assert first.data + hear_bytes(inbox, len(sent) - len(first.data)) == sent


def test_unwatched_tls_is_not_read_on(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    sent = b"x" * (2 * READ)
    tls_peer.sendall(sent)
    first = take(inbox)
    assert isinstance(first, BytesReceived)
    assert len(first.data) < len(sent)
    inbox.watch(False)
    tell(inbox, "alone")
    assert take(inbox) == "alone"
    inbox.watch(True)
    assert first.data + hear_bytes(inbox, len(sent) - len(first.data)) == sent


def test_what_came_before_broken_tls_is_heard_before_the_loss(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    tls_peer.sendall(b"last words")
    socket.socket.sendall(tls_peer, b"no record at all")  # past the cipher
    assert take(inbox) == BytesReceived(b"last words")
    lost = hear_lost(inbox)
    assert lost.code == "lost"


def test_tls_sends_what_the_peer_did_not_take_at_first(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    pieces = [bytes([number]) * 100_000 for number in range(10)]
    for piece in pieces:  # the buffer grows between two tries of one record
        assert inbox.send(piece)
    assert inbox.unsent > 0
    received = bytearray()

    def read() -> None:
        while len(received) < 1_000_000:
            received.extend(tls_peer.recv(READ))
        tell(inbox, "all read")

    reader = threading.Thread(target=read)
    reader.start()
    assert take(inbox) == "all read"
    reader.join()
    assert received == b"".join(pieces)


def test_under_tls_the_kernel_s_bytes_are_those_on_the_wire(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    tell(inbox, "next")
    take(inbox)
    tls_peer.sendall(b"quote")
    assert (inbox.kernel_bytes or 0) > 5
    assert take(inbox) == BytesReceived(b"quote")
    assert inbox.kernel_bytes == 0


def test_tls_is_at_its_end_when_no_record_is_held_back(
    inbox: Inbox, tls_peer: ssl.SSLSocket, moments: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_inbox, "READ", 16_384)
    sock = inbox._socket
    assert sock is not None
    inbox.forget()
    inbox.open(sock, moments, state=moments)
    for _ in range(2):
        tls_peer.sendall(b"x" * 16_384)
    assert isinstance(take(inbox), BytesReceived)  # as much as one read brings
    inbox.note_end()
    assert moments.read_to_end_at == 0.0
    assert isinstance(take(inbox), BytesReceived)
    tell(inbox, "next")
    take(inbox)
    assert moments.read_to_end_at == moments.read_begun_at > 0.0


def test_tls_that_just_ends_is_a_loss(inbox: Inbox, tls_peer: ssl.SSLSocket) -> None:
    tls_peer.sendall(b"last words")
    socket.socket.shutdown(tls_peer, socket.SHUT_RDWR)
    assert take(inbox) == BytesReceived(b"last words")
    assert isinstance(take(inbox), SocketLost)
