"""What a hub says and hears, as bytes: JSON records, each ended by a separator.

SignalR, "HubProtocol": a WebSocket message holds any number of records, and a record may span messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from actors.simulators.base.client import fragments, text_frame

RS = b"\x1e"
LIMIT = 32 * 1024  # bytes of one record that a client may say: the server's default
WELCOME = b"{}" + RS
PING = b'{"type":6}' + RS
# ASP.NET Core: its words after a client's protocol error or silence.
CLOSED_WITH_ERROR = "Connection closed with an error."
UNREADABLE_HANDSHAKE = "An unexpected error occurred during connection handshake."

KINDS = range(1, 10)
INVOCATION, COMPLETION, STREAM_INVOCATION, A_PING, CLOSE = 1, 3, 4, 6, 7

_SEGMENT = 4096  # bytes: what Kestrel writes in one piece

# Prices are numbers on the wire and keep their trailing zeros.
encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder().decode


class Broken(Exception):  # noqa: N818  (what the client did, not an error of ours)
    """A record that the server cannot read: it ends the connection."""


class Records:
    """Puts together what comes in pieces. Raises Broken on a record that is too long."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, payload: bytes) -> Iterator[bytes]:
        """The records that are complete now, without their separators."""
        *whole, self._rest = (self._rest + payload).split(RS)
        for record in whole:
            if len(record) > self._limit:
                raise Broken
            yield record
        if len(self._rest) > self._limit:
            raise Broken


def read(record: bytes) -> dict[str, Any]:
    """Raises Broken on anything but an object."""
    try:
        message = _decode(record)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Broken from None
    if not isinstance(message, dict):
        raise Broken
    return message


def record(message: dict[str, Any]) -> bytes:
    return encode(message) + RS


def invocation(target: str, arguments: Sequence[object], id: str = "") -> bytes:
    """A push to a client; with an id it wants a completion back."""
    asks = {"invocationId": id} if id else {}
    return record({"type": INVOCATION, **asks, "target": target, "arguments": arguments})


def completion(id: str, result: object = None, error: str | None = None) -> bytes:
    """ASP.NET Core: a method without a result completes with `"result":null`."""
    said = {"result": result} if error is None else {"error": error}
    return record({"type": COMPLETION, "invocationId": id, **said})


def close(error: str = "", allow_reconnect: bool = False) -> bytes:
    message: dict[str, Any] = {"type": CLOSE}
    if error:
        message["error"] = error
    if allow_reconnect:
        message["allowReconnect"] = True
    return record(message)


def handshake_error(said: bytes) -> str:
    """What is wrong with a handshake request; nothing: it is answered with `WELCOME`."""
    try:
        asked = read(said)
    except Broken:
        return UNREADABLE_HANDSHAKE
    protocol, version = asked.get("protocol"), asked.get("version")
    if "type" in asked or not isinstance(protocol, str) or type(version) is not int:
        return UNREADABLE_HANDSHAKE
    if protocol != "json":
        return f"The protocol '{protocol}' is not supported."
    if version > 2:  # 2: stateful reconnects
        return f"The server does not support version {version} of the 'json' protocol."
    return ""


def frames(payload: bytes, most: int = 0) -> bytes:
    """One text message, in frames of at most `most` bytes; 0: as Kestrel does it.

    Kestrel sends what overflows a buffer as a second frame of the message.
    """
    whole = text_frame(payload)
    if most:
        return fragments(whole, most)
    return fragments(whole, _SEGMENT, 2) if len(payload) > _SEGMENT else whole
