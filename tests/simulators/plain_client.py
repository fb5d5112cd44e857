"""A plain client for tests of simulators: what it hears, in order, and nothing done behind its back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

ALICE = "0x" + "a1" * 32
BOB = "0x" + "b0" * 32
UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: o2\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Client:
    """Says and hears JSON; anything else is text or bytes."""

    def __init__(self, connection: ClientConnection) -> None:
        self.socket = connection

    def say(self, action: str, **fields: Any) -> None:
        self.socket.send(msgspec.json.encode({"action": action, **fields}).decode())

    def hear(self, timeout: float = 5.0) -> Any:
        message = self.socket.recv(timeout=timeout)
        if isinstance(message, str) and message.startswith("{"):
            return msgspec.json.decode(message)
        return message

    def hears_nothing(self) -> bool:
        """Whether nothing stands between here and the answer to a ping: PONG comes after it all."""
        self.socket.send("PING")
        return bool(self.hear() == "PONG")

    def hear_until_closed(self) -> list[Any]:
        """All that comes before the connection ends, however it ends."""
        heard = []
        with suppress(ConnectionClosed):
            while True:
                heard.append(self.hear())
        return heard

    def depth(self, market: str, precision: str = "10") -> None:
        self.say("subscribe_depth", market_id=market, precision=precision)

    def trades(self, market: str) -> None:
        self.say("subscribe_trades", market_id=market)

    def identities(self, channel: str, *ids: str) -> None:
        self.say(f"subscribe_{channel}", identities=[{"ContractId": id} for id in ids])


@contextmanager
def client(url: str, *, max_size: int | None = None, open_timeout: float = 5.0) -> Iterator[Client]:
    with connect(url, ping_interval=None, proxy=None, max_size=max_size, open_timeout=open_timeout) as each:
        yield Client(each)


@contextmanager
def plain_socket(port: int) -> Iterator[socket.socket]:
    """A WebSocket on which everything but the upgrade is done by hand."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(UPGRADE)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += plain.recv(1)
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # RFC 6455, section 1.3
        yield plain


def masked(payload: bytes) -> bytes:
    """A text frame as clients send it; its mask is 0."""
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload
