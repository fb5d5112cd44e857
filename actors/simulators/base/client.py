"""One connection of a simulator: plain HTTP that may become a WebSocket, and never waits.

websockets' own servers answer pings by themselves and close politely, so they cannot play a dead
host. Here its sans-I/O protocol runs over a plain socket, and everything beyond it is up to the
simulator.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Mapping
from http.client import responses
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Struct
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Upgrade
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from actors.simulators.base.settings import Compression, SimulatorSettings

_FINAL = 0x80
_TEXT, _BINARY, _PING = _FINAL | 1, _FINAL | 2, _FINAL | 9
_HEADS = {126: 4, 127: 10}  # bytes before a payload whose length takes more than 7 bits
_HEAD_LIMIT = 65_536  # bytes of an HTTP request's head
_FAREWELL = 1.0  # seconds a client has to answer a close frame
# SO_LINGER: close() sends RST, as a process that was killed would.
_RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Request(Struct, frozen=True):
    """An HTTP request, be it for a page or for an upgrade. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


class HttpReply(Struct, frozen=True):
    """What plain HTTP answers.

    `cut_at`: the connection ends once so many bytes of it were sent, below 0 counted from its end; None: all
    of it is sent. `reset`: such a connection ends by a reset, not by a FIN.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    cut_at: int | None = None
    reset: bool = False

    def serialize(self, keep_alive: bool) -> bytes:
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
            "Connection": "keep-alive" if keep_alive else "close",
            **self.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        phrase = responses.get(self.status, "Unknown")
        return f"HTTP/1.1 {self.status} {phrase}\r\n{head}\r\n".encode() + self.body


def retry_header(seconds: float) -> Mapping[str, str]:
    """The header that asks a client to wait; none for 0 seconds."""
    return {"Retry-After": f"{seconds:.3f}".rstrip("0").rstrip(".")} if seconds else {}


class RequestRefused(Exception):  # noqa: N818  (an answer, not an error of ours)
    """A request that a venue refuses: the code and the text are the venue's own, and so is `also`."""

    def __init__(self, code: int, text: str = "", **also: Any) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.also = also


class Later(Struct, frozen=True):
    """An answer that is still to come: `promise` is handed what takes it, under the lock."""

    promise: Callable[[Callable[[HttpReply], None]], None]


def text_frame(payload: bytes) -> bytes:
    """A whole text message in one frame."""
    return _frame(_TEXT, payload)


def json_frame(message: object) -> bytes:
    """Anything that JSON can hold, as a text message."""
    return text_frame(msgspec.json.encode(message))


def binary_frame(payload: bytes) -> bytes:
    """A whole binary message in one frame."""
    return _frame(_BINARY, payload)


def fragments(whole: bytes, size: int, most: int | None = None) -> bytes:
    """A frame as several of at most `size` bytes of payload: RFC 6455, section 5.4.

    `most`: how many; the last one has all the rest.
    """
    opcode, payload = whole[0] & 0x0F, unframed(whole)
    starts = list(range(0, len(payload), size))[:most] or [0]
    ends = [*starts[1:], len(payload)]
    return b"".join(
        _frame((_FINAL if end == ends[-1] else 0) | (0 if start else opcode), payload[start:end])
        for start, end in zip(starts, ends, strict=True)
    )


def unframed(whole: bytes) -> bytes:
    """The payload of a frame."""
    return whole[_HEADS.get(whole[1], 2) :]


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


class Host(Protocol):
    """What a connection needs of its server."""

    settings: SimulatorSettings

    def watch(self, sock: socket.socket, events: int, call: Callable[[int], None]) -> None: ...
    def call_later(self, seconds: float, call: Callable[[], None]) -> None: ...
    def serve(self, request: Request) -> HttpReply | Later: ...
    def refusal(self, request: Request) -> HttpReply | None: ...
    def join(self, peer: Peer) -> None: ...
    def hear(self, peer: Peer, payload: bytes, binary: bool) -> None: ...
    def pinged(self, peer: Peer) -> None: ...
    def ponged(self, peer: Peer) -> None: ...
    def count(self) -> None: ...
    def announce(self) -> None: ...
    def left(self, peer: Peer) -> None: ...
    def forget(self, peer: Peer) -> None: ...


class Peer:
    """One connection, as the server sees it. Everything here is done under the simulator's lock."""

    def __init__(self, server: Host, sock: socket.socket, compression: Compression) -> None:
        self.request = Request("", "", {}, {})  # of the upgrade, once there was one
        self.heard_at = time.monotonic()
        self.turn = 0.0  # monotonic: when its last delayed request is due
        self.muted = False
        self.deaf = False
        self._server = server
        self._sock = sock
        self._head = b""
        self._upgraded = False
        self._over = False  # says no more: closing, or closed
        self._gone = False  # the socket is closed
        self._promised = False  # an answer to a page is still to come
        self._hang_up = False  # shut the writing side once the rest is out
        self._rest = bytearray()  # what the socket did not take
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        extensions = [ServerPerMessageDeflateFactory()] if compression == "deflate" else []
        self._protocol = ServerProtocol(extensions=extensions)

    @property
    def open(self) -> bool:
        """Whether this is a WebSocket on which something can be said."""
        return self._upgraded and not self._over

    @property
    def upgraded(self) -> bool:
        """Whether this is a WebSocket, and no connection for requests any more."""
        return self._upgraded

    @property
    def parted(self) -> bool:
        """Whether either side said goodbye: a connection that breaks off ends without."""
        return self._protocol.close_rcvd is not None or self._protocol.close_sent is not None

    @property
    def backlog(self) -> int:
        """The bytes that wait here because the client does not read."""
        return len(self._rest)

    def tell(self, frame: bytes) -> None:
        """Says something unasked for: it is lost on a muted connection."""
        if not (self.muted or self.deaf):
            self.answer(frame)

    def answer(self, frame: bytes) -> None:
        """Says something even when muted: PONG, say."""
        if self._over or self.deaf:
            return
        self._write(self._compressed(frame))
        self._server.count()

    def _compressed(self, frame: bytes) -> bytes:
        """A message as this client agreed to have it; what is no whole one stays as it is."""
        if not self._protocol.extensions:
            return frame
        payload = unframed(frame)
        if frame[0] not in (_TEXT, _BINARY) or frame != _frame(frame[0], payload):
            return frame
        message = Frame(Opcode(frame[0] & 0x0F), payload)
        return message.serialize(mask=False, extensions=self._protocol.extensions)

    def ping(self) -> None:
        """Asks whether the client is still there."""
        if not (self._over or self.deaf):
            self._write(_frame(_PING, b""))

    def close(self, code: int, reason: str = "") -> None:
        """Starts the closing handshake. Raises ValueError where `code` may not be sent."""
        if self._over or not self._upgraded:
            return
        self._protocol.send_close(code, reason)
        self._pass_on()
        self._leave()

    def end(self, code: int, *, reset: bool = True) -> None:
        """Closes with this code; 0: `cut`."""
        if code:
            self.close(code)
        else:
            self.cut(reset=reset)

    def cut(self, *, reset: bool = True) -> None:
        """Ends the TCP connection now; what the client has not yet been sent is lost."""
        if self._gone:
            return
        self._gone = True
        if reset:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._server.watch(self._sock, 0, self.ready)
        self._sock.close()
        self._leave()
        self._server.forget(self)

    def watch(self) -> None:
        """Has the server watch the socket for what is wanted of it now."""
        if self._gone:
            return
        reads = 0 if self.deaf else selectors.EVENT_READ
        writes = selectors.EVENT_WRITE if self._rest and not self.deaf else 0
        self._server.watch(self._sock, reads | writes, self.ready)

    def ready(self, mask: int) -> None:
        """The socket can be read from, or written to."""
        if self._gone or self.deaf:
            return
        try:
            if mask & selectors.EVENT_WRITE:
                self._flush()
            if mask & selectors.EVENT_READ:
                self._read()
        except BlockingIOError:
            pass
        except OSError:
            self.cut()

    def _read(self) -> None:
        if self._gone:
            return
        data = self._sock.recv(65_536)
        if not data:
            self.cut(reset=False)
        elif self._upgraded:
            self._protocol.receive_data(data)
            self._hear()
        else:
            self._head += data
            self._converse()

    def _hear(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._hear_frame(event)
        self._pass_on()
        if self._protocol.state is not OPEN:
            self._leave()

    def _hear_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            self._server.pinged(self)
        elif frame.opcode is Opcode.PONG:
            self._server.ponged(self)
        elif frame.opcode is not Opcode.CLOSE:
            if frame.opcode is not Opcode.CONT:
                self._opcode, self._parts = frame.opcode, []
            self._parts.append(bytes(frame.data))
            if frame.fin and not self._over:
                self.heard_at = time.monotonic()
                self._server.hear(self, b"".join(self._parts), self._opcode is Opcode.BINARY)

    def _pass_on(self) -> None:
        """Writes what the protocol wants to be written: pongs, close frames, the end."""
        for data in self._protocol.data_to_send():
            if data:
                self._write(data)
            else:
                self._end()

    def _leave(self) -> None:
        if self._over:
            return
        self._over = True
        if self._upgraded:
            self._server.left(self)
        if not self._gone:
            self._server.call_later(_FAREWELL, lambda: self.cut(reset=False))

    def _end(self) -> None:
        """Shuts the writing side, now or when the rest is out."""
        self._hang_up = True
        if not self._rest:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def _write(self, data: bytes) -> None:
        if self._gone:
            return
        if self._rest:
            # O2, "Documented limits": a reader that falls behind is cut off.
            if len(self._rest) > self._server.settings.backlog:
                self.cut()
            else:
                self._rest += data
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.cut()
            return
        if sent < len(data):
            self._rest += memoryview(data)[sent:]
            self.watch()

    def _flush(self) -> None:
        if not self._rest:
            return
        with memoryview(self._rest) as rest:
            sent = self._sock.send(rest)
        del self._rest[:sent]
        if not self._rest:
            self.watch()
            self._server.announce()
            if self._hang_up:
                self._end()

    # plain HTTP, before the upgrade

    def _converse(self) -> None:
        """Answers the requests that are complete, up to one that becomes a WebSocket."""
        while not (self._gone or self._upgraded or self._over or self._promised):
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                if len(head) > _HEAD_LIMIT:
                    self._reply(HttpReply(431), keep_alive=False)
                return
            try:
                request, keep_alive = _parse_head(head)
                size = int(request.headers.get("content-length", 0))
            except ValueError:
                self._reply(HttpReply(400), keep_alive=False)
                return
            if len(rest) < size:
                return
            self._head = rest[size:]
            request = Request(request.method, request.path, request.query, request.headers, rest[:size])
            if request.headers.get("upgrade", "").lower() == "websocket":
                self._upgrade(request, head + end)
            else:
                self._serve(request, keep_alive)

    def _serve(self, request: Request, keep_alive: bool) -> None:
        answer = self._server.serve(request)
        if isinstance(answer, HttpReply):
            self._reply(answer, keep_alive)
            return

        def take(reply: HttpReply) -> None:
            self._promised = False
            self._reply(reply, keep_alive)
            self._converse()  # with what was asked meanwhile

        self._promised = True
        answer.promise(take)

    def _reply(self, reply: HttpReply, keep_alive: bool) -> None:
        whole = reply.serialize(keep_alive)
        self._write(whole[: reply.cut_at])
        if reply.cut_at is not None:
            self.cut(reset=reply.reset)
            return
        if not keep_alive:
            self._leave()
            self._end()

    def _upgrade(self, request: Request, head: bytes) -> None:
        refusal = self._server.refusal(request)
        if refusal is not None:
            self._reply(refusal, keep_alive=False)
            return
        self._protocol.receive_data(head)
        for event in self._protocol.events_received():
            if isinstance(event, Upgrade):
                self._protocol.send_response(self._protocol.accept(event))
        self._pass_on()
        if self._protocol.state is not OPEN:
            self._leave()
            return
        self._upgraded = True
        self.request = request
        self._server.join(self)
        if self._head and not self._gone:  # said without waiting for our answer
            early, self._head = self._head, b""
            self._protocol.receive_data(early)
            self._hear()


def _parse_head(head: bytes) -> tuple[Request, bool]:
    """The request, and whether the connection outlives it. Raises ValueError on anything else."""
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, version = line.split(" ")
    headers = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon:
            raise ValueError(field)
        headers[name.strip().lower()] = value.strip()
    parts = urlsplit(target)
    wish = headers.get("connection", "").lower()
    keep_alive = "keep-alive" in wish if version == "HTTP/1.0" else "close" not in wish
    return Request(method, parts.path, dict(parse_qsl(parts.query)), headers), keep_alive
