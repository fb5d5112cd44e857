"""The other end of a round trip: a process of its own that sends each message back as it came.

It is no simulator, so that it takes a few microseconds: the rest of a round trip is the client's.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask

from benchmarks.server import PATIENCE, Plan, Sent

PIECE = 1 << 18  # bytes that are read at once
_LONG = {126: 2, 127: 8}  # bytes of a length that takes more than 7 bits
_ANSWER = {Opcode.PING: Opcode.PONG}  # any other kind: the same


class Echo:
    """Sends back messages of one client at a time. It offers what `run` asks of a server."""

    def __init__(self, size: int) -> None:
        self._size = size

    def listen(self, plan: Plan) -> Mapping[str, Any]:
        self._begun_ns: int | None = None
        self._ear = socket.create_server(("127.0.0.1", 0))
        self._ear.settimeout(PATIENCE)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return {"url": f"ws://127.0.0.1:{self._ear.getsockname()[1]}/", "size": self._size}

    def sent(self) -> Sent:
        """When the first message came, of a client that has ended.

        Raises:
            TimeoutError: it did not connect.
        """
        self._thread.join()
        if self._begun_ns is None:
            raise TimeoutError("no message came")
        return Sent(self._begun_ns, [])

    def _serve(self) -> None:
        with self._ear, contextlib.suppress(OSError):  # the client is gone, or never came
            client, _ = self._ear.accept()
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _upgrade(client)
                self._send_back(client)

    def _send_back(self, client: socket.socket) -> None:
        unread = bytearray()
        while piece := client.recv(PIECE):
            self._begun_ns = self._begun_ns or time.monotonic_ns()
            unread += piece
            while frame := _first(unread):
                client.sendall(frame.serialize(mask=False))


def _upgrade(client: socket.socket) -> None:
    protocol = ServerProtocol()
    while protocol.state is CONNECTING:
        protocol.receive_data(client.recv(PIECE))
        for request in protocol.events_received():
            assert isinstance(request, Request)
            protocol.send_response(protocol.accept(request))
    client.sendall(b"".join(protocol.data_to_send()))


def _first(unread: bytearray) -> Frame | None:
    """Takes the first frame away, as it goes back; None: it is not here as a whole. RFC 6455, 5.2."""
    if len(unread) < 2:
        return None
    size, start = unread[1] & 0x7F, 2
    if more := _LONG.get(size):
        size, start = int.from_bytes(unread[2 : 2 + more], "big"), 2 + more
    end = start + 4 + size
    if len(unread) < end:
        return None
    opcode = Opcode(unread[0] & 0x0F)
    payload = apply_mask(unread[start + 4 : end], unread[start : start + 4])
    del unread[:end]
    return Frame(_ANSWER.get(opcode, opcode), payload)
