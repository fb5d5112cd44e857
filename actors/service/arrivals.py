"""The thread that listens: it accepts connections, reads each one's request, and sends each one's answer.

A connection without a complete request costs a descriptor and at most `MAX_HEAD` bytes, and no thread.
`rules/admission.py` says which one ends when the place of one is needed. Neither a refusal nor an
answer that a client reads slowly costs a thread. Every answer is sent from here: many threads that send at
once would keep lines from the interpreter.
"""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request
from websockets.streams import StreamReader

from actors import log_queue
from actors.rules.admission import AdmissionLimits, WaitingRoom
from actors.service.responses import ServiceResponse, written
from actors.service.rights import Caller
from actors.timers import SystemClock

log = log_queue.logger("actors.service")

MAX_HEAD: Final = 32_768  # bytes of a request's line and headers; a single line: 8,192
PIECE: Final = 65_536  # bytes of one read
BATCH: Final = 1_024  # connections that are accepted before those that have come are read: the backlog
PAUSE: Final = 0.2  # seconds until the next try when out of threads or file descriptors
TOLD_AGAIN: Final = 60.0  # seconds between two log records about clients of one kind
HANDSHAKE: Final = 0x16  # the first byte of a TLS connection (RFC 8446, 5.1)

_AGAIN: Final = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.ECONNABORTED}
_SCARCE: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_BUSY: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_AGAIN_IN_A_SECOND: Final = (("Retry-After", "1"),)


class Listener(Protocol):
    """A place where the service listens."""

    @property
    def sock(self) -> socket.socket:
        """It does not block."""
        ...

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What a client has to speak; None: plain HTTP."""
        ...

    def caller(self, sock: socket.socket, address: object) -> Caller:
        """What a connection that was accepted proves by itself. Raises: OSError: the client has left."""
        ...

    def close(self) -> None: ...


L = TypeVar("L", bound=Listener)


class Arrival(Generic[L]):
    """A connection until its request is complete. One thread at a time."""

    def __init__(self, number: int, sock: socket.socket, listener: L, caller: Caller) -> None:
        self.number, self.sock, self.listener, self.caller = number, sock, listener, caller
        self.head = bytearray()  # what has come of the request
        self.is_refused = False  # or it has its answer
        self.ended: Callable[[], object] | None = None  # set while its answer is being sent
        self._unsent: deque[memoryview] = deque()
        self._tls = listener.tls  # None: plain, or the handshake has begun
        self._has_handshake = self._tls is None

    def read(self) -> bytes | None:
        """What has come; empty: the client has left, None: nothing now.

        Raises:
            OSError: the connection has failed.
            PlainAtTlsError: it does not speak TLS.
        """
        try:
            if self._tls is not None:
                self._begin_tls(self._tls)
            if not self._has_handshake:
                assert isinstance(self.sock, ssl.SSLSocket)
                self.sock.do_handshake()
                self._has_handshake = True
            return self.sock.recv(PIECE)
        except _BUSY:
            return None

    def _begin_tls(self, tls: ssl.SSLContext) -> None:
        first = self.sock.recv(1, socket.MSG_PEEK)
        if first and first[0] != HANDSHAKE:
            raise PlainAtTlsError
        if first:
            self.sock = tls.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        self._tls = None if first else self._tls
        self._has_handshake = not first

    def send(self, answer: ServiceResponse, *, head: bool = False) -> None:
        """As much as the system takes at once: an answer is small. Nothing follows it."""
        with suppress(OSError, ValueError):
            self.sock.send(b"".join(written(answer, head=head)))
            self.sock.shutdown(socket.SHUT_WR)

    def reply(self, pieces: Sequence[bytes], ended: Callable[[], object]) -> None:
        """What `push` sends. The bytes are shared, not copied."""
        self._unsent.extend(memoryview(piece) for piece in pieces if piece)
        self.ended = ended

    def push(self) -> bool:
        """Sends as much as the system takes. True: that was all.

        Raises:
            OSError, ValueError: the client has left.
        """
        try:
            while self._unsent:
                sent = self.sock.send(self._unsent[0])
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    self._unsent.popleft()
        except _BUSY:
            return False
        self.sock.shutdown(socket.SHUT_WR)
        return True

    def note_ended(self) -> None:
        """Its answer has been sent, or the client has left."""
        ended, self.ended = self.ended, None
        self._unsent.clear()
        if ended is not None:
            ended()


class PlainAtTlsError(Exception):
    """A client speaks plain HTTP where the service speaks TLS."""


class Arrivals(Generic[L]):
    """From `start` to `stop` one thread runs.

    `receive` gets each complete request with the bytes of its head. It returns a response, which is sent at
    once, or None: it has the connection from now on, and may give it back with `answer`. It must not wait.
    """

    def __init__(
        self,
        listeners: Sequence[L],
        limits: AdmissionLimits,
        receive: Callable[[Arrival[L], Request], ServiceResponse | None],
    ) -> None:
        self._listeners = listeners
        self._room = WaitingRoom(limits)
        self._receive = receive
        self._present: dict[int, Arrival[L]] = {}
        self._numbers = 0
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)  # one that is full wakes it all the same
        self._wakened.setblocking(False)
        self._closing, self._closed, self._stopping = (threading.Event() for _ in range(3))
        self._returned: deque[Arrival[L]] = deque()  # with their answers
        self._rounds = threading.Condition()
        self._ended = 0  # rounds
        self._asking = 0  # threads that wait for rounds to end
        self._is_over = False
        self._is_scarce = False
        self._told: dict[str, float] = {}  # when a record of this kind was written
        self._thread = threading.Thread(target=self._run, name="service/accept", daemon=True)

    def start(self) -> None:
        for listener in self._listeners:
            self._selector.register(listener.sock, selectors.EVENT_READ, listener)
        self._selector.register(self._wakened, selectors.EVENT_READ)
        self._thread.start()

    def close(self) -> None:
        """The sockets that listen, and the connections that wait, are closed when it returns.

        Answers are sent until `stop`.
        """
        self._closing.set()
        self._wake()
        self._closed.wait()

    def stop(self) -> None:
        """Every connection that it has is closed when it returns."""
        self._closing.set()
        self._stopping.set()
        self._wake()
        self._thread.join()
        self._waker.close()

    def answer(self, arrival: Arrival[L], pieces: Sequence[bytes], ended: Callable[[], object]) -> None:
        """Gives a connection back, to be sent these bytes and hung up on. Any thread may call.

        `ended` is called when they have been sent, or the client has left; on the thread that listens, as a
        rule.
        """
        arrival.reply(pieces, ended)
        with self._rounds:
            is_over = self._is_over
            if not is_over:
                self._returned.append(arrival)
        if not is_over:
            self._wake()
        else:
            arrival.sock.close()
            arrival.note_ended()

    def read_all(self, seconds: float) -> bool:
        """Waits until the requests that had come when it was called have been handed on."""
        with self._rounds:
            wanted = self._ended + 2  # a round that is under way may have looked before
            self._asking += 1
            self._wake()
            try:
                return self._rounds.wait_for(
                    lambda: self._ended >= wanted or self._stopping.is_set(), seconds
                )
            finally:
                self._asking -= 1

    def _wake(self) -> None:
        with suppress(OSError):
            self._waker.send(b"!")

    # ── the thread ──

    def _run(self) -> None:
        with self._selector, self._wakened:
            while not self._stopping.is_set():
                try:
                    self._round()
                except Exception:
                    log.exception("service.request_failed", "Unexpected error at its connections.")
                    self._stopping.wait(PAUSE)
                if self._closing.is_set() and not self._closed.is_set():
                    self._close()
            with self._rounds:
                self._is_over = True
            self._take_back()
            for arrival in list(self._present.values()):
                self._end(arrival)
            self._close()

    def _round(self) -> None:
        """Connections that have said something come before those that are new."""
        ready: list[Arrival[L] | L | None]
        ready = [key.data for key, _ in self._selector.select(self._timeout())]
        for each in ready:
            if isinstance(each, Arrival) and each.number in self._present:
                (self._read if each.ended is None else self._push)(each)
        for each in ready:
            if each is None:
                with suppress(OSError):
                    self._wakened.recv(PIECE)
                self._take_back()
            elif not isinstance(each, Arrival):
                self._accept(each)
        for number in self._room.overdue(SystemClock.monotonic()):
            self._end_overdue(self._present[number])
        with self._rounds:
            self._ended += 1
            self._rounds.notify_all()

    def _timeout(self) -> float | None:
        due = self._room.next_due()
        if self._asking:
            return 0.0
        return None if due is None else max(0.0, due - SystemClock.monotonic())

    def _close(self) -> None:
        try:
            for listener in self._listeners:
                if not self._closed.is_set():
                    self._selector.unregister(listener.sock)
                listener.close()
            for arrival in list(self._present.values()):
                if arrival.ended is None:
                    self._end(arrival)
        finally:
            self._closed.set()

    def _accept(self, listener: L) -> None:
        for _ in range(BATCH):
            try:
                sock, address = listener.sock.accept()
            except OSError as error:
                if error.errno not in _AGAIN:
                    self._note_scarcity(error)
                return
            if self._is_scarce:
                log.info("service.accepting", "Connections are accepted again.")
            self._is_scarce = False
            try:
                sock.setblocking(False)
                caller = listener.caller(sock, address)
            except OSError:  # the client has left
                sock.close()
            else:
                self._admit(sock, listener, caller)

    def _note_scarcity(self, error: OSError) -> None:
        """A connection that waits ends for the one that could not be accepted."""
        if not self._is_scarce:
            text = "Out of threads or file descriptors: no connection can be accepted now (%s)"
            log.warning("service.out_of_descriptors", text, error)
        self._is_scarce = True
        oldest = self._room.oldest()
        if oldest is not None and error.errno in _SCARCE:
            self._make_room(self._present[oldest])
        else:
            self._stopping.wait(PAUSE)

    def _admit(self, sock: socket.socket, listener: L, caller: Caller) -> None:
        while (surplus := self._room.surplus(caller.name)) is not None:
            self._make_room(self._present[surplus])
        self._numbers += 1
        arrival = Arrival(self._numbers, sock, listener, caller)
        self._present[arrival.number] = arrival
        self._room.arrived(arrival.number, caller.name, SystemClock.monotonic())
        self._selector.register(sock, selectors.EVENT_READ, arrival)
        self._read(arrival)  # most requests come with their connection

    # ── one connection ──

    def _read(self, arrival: Arrival[L]) -> None:
        try:
            data = arrival.read()
        except PlainAtTlsError:
            self._tell(
                "plain", arrival, "A client at %s speaks plain HTTP; this port speaks TLS: use https://"
            )
            text = "this port speaks TLS: use https:// (LINEWARDEN_URL, --url)"
            self._refuse(arrival, ServiceResponse(400, {"error": text}))
        except (OSError, ValueError):
            self._end(arrival)
        else:
            if data == b"":
                self._end(arrival)
            elif data is not None and not arrival.is_refused:
                self._take(arrival, data)

    def _take(self, arrival: Arrival[L], data: bytes) -> None:
        head = arrival.head
        searched = max(0, len(head) - 3)
        head += data
        end = head.find(b"\r\n\r\n", searched) + 4
        if head[0] == HANDSHAKE:
            text = "A client at %s speaks TLS, and this port plain HTTP: use http://, or set tls_certificate."
            self._tell("tls", arrival, text)
            text = "this port speaks plain HTTP: use http://, or set tls_certificate and tls_key in [service]"
            self._refuse(arrival, ServiceResponse(400, {"error": text}))
        elif (end if end > 3 else len(head)) > MAX_HEAD:
            text = f"the head of a request is at most {MAX_HEAD} bytes long"
            self._refuse(arrival, ServiceResponse(431, {"error": text}))
        elif end > 3:
            del head[end:]  # what follows a request is ignored
            self._hand_on(arrival)

    def _hand_on(self, arrival: Arrival[L]) -> None:
        request = parse_request(bytes(arrival.head))
        if isinstance(request, ServiceResponse):
            self._refuse(arrival, request)
            return
        self._selector.unregister(arrival.sock)
        try:
            answer = self._receive(arrival, request)
        except Exception:
            log.exception("service.request_failed", "A request could not be answered.")
            answer = ServiceResponse(500, {"error": "an unexpected error; see the log of the service"})
        if answer is None:
            self._forget(arrival)
        else:
            self._selector.register(arrival.sock, selectors.EVENT_READ, arrival)
            self._refuse(arrival, answer, head=request.method == "HEAD")

    def _take_back(self) -> None:
        while self._returned:
            arrival = self._returned.popleft()
            self._present[arrival.number] = arrival
            self._room.sending(arrival.number, SystemClock.monotonic())
            self._selector.register(arrival.sock, selectors.EVENT_WRITE, arrival)
            self._push(arrival)

    def _push(self, arrival: Arrival[L]) -> None:
        try:
            is_sent = arrival.push()
        except (OSError, ValueError):
            self._end(arrival)
            return
        if is_sent:
            arrival.is_refused = True
            arrival.head.clear()
            self._room.refused(arrival.number, SystemClock.monotonic())
            self._selector.modify(arrival.sock, selectors.EVENT_READ, arrival)
            arrival.note_ended()

    def _refuse(self, arrival: Arrival[L], answer: ServiceResponse, *, head: bool = False) -> None:
        """Or answer at once. The client has a moment to hang up: closing now could destroy the answer."""
        arrival.is_refused = True
        arrival.head.clear()
        arrival.send(answer, head=head)
        self._room.refused(arrival.number, SystemClock.monotonic())

    def _make_room(self, arrival: Arrival[L]) -> None:
        """It ends, unless its request has come meanwhile."""
        self._read(arrival)
        if arrival.number in self._present:
            if not arrival.is_refused:
                text = "too many connections wait without a request; try again"
                arrival.send(ServiceResponse(503, {"error": text}, _AGAIN_IN_A_SECOND))
            self._end(arrival)

    def _end_overdue(self, arrival: Arrival[L]) -> None:
        if arrival.head and arrival.ended is None:
            text = "the request was not complete in time"
            arrival.send(ServiceResponse(408, {"error": text}))
        self._end(arrival)

    def _end(self, arrival: Arrival[L]) -> None:
        if arrival.number in self._present:
            with suppress(KeyError, ValueError):
                self._selector.unregister(arrival.sock)
            arrival.sock.close()
            self._forget(arrival)
            arrival.note_ended()

    def _forget(self, arrival: Arrival[L]) -> None:
        del self._present[arrival.number]
        self._room.left(arrival.number)

    def _tell(self, kind: str, arrival: Arrival[L], text: str) -> None:
        now = SystemClock.monotonic()
        if now >= self._told.get(kind, now):
            self._told[kind] = now + TOLD_AGAIN
            log.info("service.other_protocol", text, arrival.caller.name)


def parse_request(head: bytes) -> Request | ServiceResponse:
    """The request, or what to answer to something else."""
    reader = StreamReader()
    reader.feed_data(head)
    reader.feed_eof()
    parsing = Request.parse(reader.read_line)
    try:
        next(parsing)
    except StopIteration as parsed:
        request: Request = parsed.value
        return request
    except RequestLineTooLong:
        return ServiceResponse(414, {"error": "the first line of a request is at most 8,192 bytes long"})
    except (HeaderLineTooLong, TooManyHeaders) as error:
        return ServiceResponse(431, {"error": f"the headers of a request are too large: {error}"})
    except (ValueError, EOFError, NotImplementedError):
        pass
    text = "not a request of this service: HTTP/1.1, GET or POST, without a body"
    return ServiceResponse(400, {"error": text})
