"""The connection of one tail, with bounds on its bytes, seconds and threads."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from websockets.exceptions import ConnectionClosed
from websockets.frames import PONG, CloseCode, Frame
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN, Event
from websockets.server import ServerProtocol
from websockets.sync.server import Server, ServerConnection

from actors import log_queue
from actors.service.responses import ServiceResponse, response

if TYPE_CHECKING:
    from actors.service.tail import Tail

log = log_queue.logger("actors.service")

MAX_MESSAGE = 1_024  # bytes; a tail ignores what a client sends
SEND_BUFFER = 262_144  # bytes of a tail that the kernel may hold: a slow reader lags behind by that much
MAX_WHY = 123  # bytes of a close frame's reason: RFC 6455, 5.5


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds on the time of clients, in seconds. The numbers that a config sets: `ServiceLimits`."""

    open_within: float = 5.0  # from the connection to the end of its request's head
    answer_within: float = 10.0  # to read an answer and to hang up; to answer a close
    send_within: float = 10.0  # to take in one frame of a tail
    ping_interval: float = 20.0
    ping_timeout: float = 60.0  # a tail that is further behind than that is closed
    book_linger: float = 60.0  # from the last request for such a book to its end


class ServiceProtocol(ServerProtocol):
    """The library's protocol with one request per connection, and with refusals in JSON."""

    def __init__(self) -> None:
        super().__init__(max_size=MAX_MESSAGE, logger=_quiet)
        self._has_request = False

    def receive_data(self, data: bytes | bytearray) -> None:
        if self.state is not CONNECTING or self.eof_sent:
            super().receive_data(data)
        elif not self._has_request:  # bytes between a request and its answer are ignored
            self._has_request = True
            super().receive_data(data)

    def reject(self, status: HTTPStatus | int, text: str) -> Response:
        """The library words its refusals for those who open a WebSocket; most requests are none."""
        words = text.strip().removeprefix("Failed to open a WebSocket connection: ")
        return response(ServiceResponse(int(status), {"error": words}))


class _Server(Struct, frozen=True):
    """What the library's connections need of its server."""

    socket_closed: threading.Event


class Client(ServerConnection):
    """The library's connection, for a tail whose request has come; the tail ends with it."""

    def __init__(
        self, sock: socket.socket, head: bytes, limits: Limits, tail: Tail, stopping: threading.Event
    ) -> None:
        """It owns the tail from now on, and closes it.

        Raises:
            OSError: the client has left.
            RuntimeError: the system has no thread for it.
        """
        self._head, self._tail = head, tail
        self._open_within = limits.open_within
        self._responded = threading.Event()  # or it has ended
        sock.settimeout(limits.send_within)  # a client that does not read cannot hold a thread forever
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(
            sock,
            ServiceProtocol(),
            cast(Server, _Server(stopping)),
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
            close_timeout=limits.answer_within,
        )

    def attend(self) -> None:
        """Sends the tail, and returns when the connection has ended."""
        try:
            self.handshake(None, None, None, self._open_within)
            if self.protocol.state is OPEN:
                self.start_keepalive()
                with self:
                    self.send_tail()
        except Exception as error:
            log.debug("service.protocol", "A connection has ended: %s", error)
        finally:
            self.close_socket()
            self.join()

    def send_tail(self) -> None:
        """Sends the frames of the tail until it ends or the client leaves."""
        try:
            for frame in self._tail.frames():
                self.send(frame, text=True)
        except ConnectionClosed as error:
            log.debug("service.tail_ended", "%r has ended: %s", self._tail, error)
        except Exception:
            log.exception("service.tail_failed", "%r failed.", self._tail)
            self.close(CloseCode.INTERNAL_ERROR, "this tail failed; see the log of the service")
        else:
            self.close(CloseCode.GOING_AWAY, _short(self._tail.ended))

    def drain(self, why: str) -> None:
        """Its tail ends behind what is queued."""
        self._tail.drain(why)

    def leave(self, why: str) -> None:
        """Closes the tail with a close frame."""
        self._tail.close(why)

    def hang_up(self) -> None:
        """Closes the socket now: reads and writes of its threads return."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Waits until the threads of a closed connection have ended."""
        self.recv_events_thread.join()
        if self.keepalive_thread is not None:
            self.keepalive_thread.join()

    def recv_events(self) -> None:
        """Runs on the library's thread: the request was read before."""
        with self.protocol_mutex:
            self.protocol.receive_data(self._head)
            events = self.protocol.events_received()
        for event in events:
            self.process_event(event)
        self._responded.wait()  # a client that closes its half has its answer all the same
        super().recv_events()

    def send_data(self) -> None:
        super().send_data()
        if self.response is not None:
            self._responded.set()

    def process_event(self, event: Event) -> None:
        # Messages are not queued: sixteen unread ones would stop the reading of pongs.
        if not isinstance(event, Frame) or event.opcode is PONG:
            super().process_event(event)

    def close_socket(self) -> None:
        """Called by every thread that sees the end."""
        self._responded.set()
        super().close_socket()
        self._tail.close("the client has left")


class _Relay(logging.Handler):
    """Logs the errors of the library at debug level: port scanners cause most of them."""

    def emit(self, record: logging.LogRecord) -> None:
        text = "The connection's protocol: %s"
        log.traced(logging.DEBUG, "service.protocol", text, record.getMessage(), error=record.exc_info)


def _short(why: str) -> str:
    return why.encode()[:MAX_WHY].decode(errors="ignore")


# Outside the tree of loggers: at level debug the library writes every header, and with it the token.
_quiet = logging.Logger("actors.service.protocol", logging.ERROR)
_quiet.addHandler(_Relay())
