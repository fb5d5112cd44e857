"""What was received before a connection ended is delivered first, whichever way it ends; then it is judged.

An inline handler holds the connection's thread while the venue sends its last words and ends the connection.
So the kernel's buffer holds all of them before the connection reads any.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.frames import Close, Frame, Opcode

import actors
from actors import Runtime
from actors.messages import SendPing
from actors.wire import socket_inbox
from tests.support.runtimes import line_of, until
from tests.wire.proxies import Loopback, read_head

TABLE = """
name = "t"
about = "t"
url = "wss://venue.example"
[channels.trades]
about = "t"
key = "symbol"
acknowledged = false
[subscribe]
send = { sub = "{key}" }
[[events]]
wire = "ch"
key = "symbol"
data = "n"
[close]
fatal = [4001]
"""
KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
COUNT = 400  # events: less than the window of a new connection
REVOKED = Frame(Opcode.CLOSE, Close(4001, "key revoked").serialize()).serialize(mask=False)
GOING = Frame(Opcode.CLOSE, Close(1001, "going away").serialize()).serialize(mask=False)


def event(number: int) -> bytes:
    text = f'{{"ch": "trades", "symbol": "A", "n": {number}, "pad": "{"x" * 20}"}}'
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def ping(number: int) -> bytes:
    return Frame(Opcode.PING, b"p%d" % number).serialize(mask=False)


def events(*, pings: int = 0) -> bytes:
    """All but the first, with pings among the early ones."""
    pieces = [event(number) + (ping(number) if number <= pings else b"") for number in range(1, COUNT)]
    return b"".join(pieces)


def close(sock: socket.socket) -> None:
    """FIN; what is written to it afterwards is answered with RST."""
    socket.socket.shutdown(sock, socket.SHUT_WR)
    sock.close()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def keep(sock: socket.socket) -> None:
    """The venue goes on."""


class Ending:
    """How a connection ends: what the venue sends last, how it hangs up, and what we do meanwhile."""

    def __init__(
        self,
        words: bytes,
        hang_up: Callable[[socket.socket], None],
        code: str,
        ours: Callable[[Runtime], object] = id,
    ) -> None:
        self.words, self.hang_up, self.codes, self.ours = words, hang_up, code.split(), ours


def send_twice(runtime: Runtime) -> None:
    """The first is answered with RST, the second fails. Each waits for the thread that is held."""
    for _ in range(2):
        threading.Thread(target=_send, args=(runtime,), daemon=True).start()


def _send(runtime: Runtime) -> None:
    with contextlib.suppress(actors.LinewardenError):
        runtime.send("x", "hello")


def subscribe_twice(runtime: Runtime) -> None:
    for key in "BC":
        runtime.subscribe("x", "trades", key)


def ping_twice(runtime: Runtime) -> None:
    for beat in (1, 2):
        runtime._tree.roles.connection("x").tell(SendPing(beat))


def restart(runtime: Runtime) -> None:
    runtime.supervisor.restart("x").get(timeout=5)


def pause(runtime: Runtime) -> None:
    runtime.supervisor.pause("x").get(timeout=5)


RESERVED = b"\x83\x02{}"  # an opcode that does not exist

ENDINGS = {
    "end of file": Ending(events(), close, "eof"),
    "close frame": Ending(events() + REVOKED, close, "close_4001"),
    "reset": Ending(events(), reset, "lost eof"),  # TLS does not tell them apart
    "reset behind a close frame": Ending(events() + REVOKED, reset, "close_4001"),
    "a pong fails": Ending(events(pings=9), close, "lost eof"),
    "a pong fails before a close frame": Ending(events(pings=9) + REVOKED, close, "close_4001"),
    "a send fails": Ending(events() + REVOKED, close, "close_4001", send_twice),
    "a subscription fails": Ending(events() + REVOKED, close, "close_4001", subscribe_twice),
    "a ping fails": Ending(events() + REVOKED, close, "close_4001", ping_twice),
    "a ping fails, and no close frame": Ending(events(), close, "lost eof", ping_twice),
    "a violation": Ending(events() + RESERVED + event(COUNT), keep, "protocol"),
    "a violation behind a failed pong": Ending(events(pings=9) + RESERVED, close, "protocol"),
    "we restart": Ending(events(), keep, "", restart),
    "we pause": Ending(events(), keep, "", pause),
}


class Venue:
    """Sends one event, and once the connection's thread is held the rest, and ends."""

    def __init__(self, ending: Ending, context: ssl.SSLContext | None) -> None:
        self._ending, self._context = ending, context
        self.lives = 0
        self.held, self.over, self.done = (threading.Event() for _ in range(3))

    def __call__(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            self._talk(plain)
        else:
            with self._context.wrap_socket(plain, server_side=True) as secure:
                self._talk(secure)

    def _talk(self, sock: socket.socket) -> None:
        self.lives += 1
        is_first = self.lives == 1
        head = read_head(sock).split(b"\r\n")
        key = next(line for line in head if line.lower().startswith(b"sec-websocket-key")).split(b": ")[1]
        accept = b64encode(sha1(key + KEY, usedforsecurity=False).digest())
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        sock.recv(65_536)  # the subscription
        if not is_first:
            self.done.wait(20)
            return
        sock.sendall(event(0))
        self.held.wait(20)
        sock.sendall(self._ending.words)
        self._ending.hang_up(sock)
        self.over.set()
        self.done.wait(20)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, authority: trustme.CA, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The keys of the feed, and the context of its server."""
    if request.param == "plain":
        yield {}
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    yield {"ca_file": str(path), "context": context}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("reads_first", [socket_inbox.READS_FIRST, 0.0])  # seconds
def test_what_was_received_is_delivered_before_the_ending_is_judged(
    ending: Ending,
    reads_first: float,
    tls: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket_inbox, "READS_FIRST", reads_first)
    for size in ("READ", "READ_MORE"):
        monkeypatch.setattr(socket_inbox, size, 4_096)  # bytes: so it takes many reads
    table = tmp_path / "t.toml"
    table.write_text(TABLE)
    context = tls.pop("context", None)
    venue = Venue(ending, context)
    got: list[Any] = []

    def hold(event: Any) -> None:
        got.append(event.data)
        if len(got) == 1:
            venue.held.set()
            assert venue.over.wait(20)
            ending.ours(runtime)

    with Loopback(venue) as loopback, contextlib.ExitStack() as finish:
        finish.callback(venue.done.set)
        scheme = "ws" if context is None else "wss"
        url = f"{scheme}://localhost:{loopback.port}/"
        feed = {"venue": str(table), "url": url, "restart": {"initial": 0.05, "maximum": 0.1}, **tls}
        with actors.start({"feeds": {"x": feed}}) as runtime:
            runtime.on("x", "trades", "A", handler=hold, inline=True)
            if "close_4001" in ending.codes:
                until(runtime, lambda status: status.lines()["x"].state == "failed")
            elif ending.ours is pause:
                until(runtime, lambda status: all(each.id != "connection/x" for each in status.actors))
            else:
                until(runtime, lambda status: status.lines()["x"].epoch == 2)
            line = line_of(runtime, "x")
            assert got == [*range(COUNT)]
            if ending.codes:
                assert line.reason is not None
                assert line.reason.code in ending.codes
            assert line.counters.in_flight == line.counters.lost == 0
