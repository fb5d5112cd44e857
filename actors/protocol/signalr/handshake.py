"""The handshake of a hub: which protocol is to be spoken. Always JSON, whatever that protocol is."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct

from actors.protocol.signalr.formatting import said
from actors.protocol.signalr.framing import END
from actors.protocol.signalr.messages import Codec, written

MAXIMUM = 64 * 1024  # bytes of an answer


class Denied(Struct, frozen=True):
    """The hub refuses the protocol, in its own words."""

    words: str


class BrokenHandshake(Struct, frozen=True):
    """What came is no answer, and why."""

    raw: bytes
    why: str


class HandshakeAnswer(Struct, frozen=True):
    error: Any = None
    type: Any = UNSET


_decode = msgspec.json.Decoder(HandshakeAnswer).decode


def request(codec: Codec) -> str:
    """The first message of a connection."""
    return written({"protocol": codec.name, "version": codec.version})


class Handshake:
    """Waits for the answer, which may come in pieces and with messages right behind it."""

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, payload: bytes) -> bytes | Denied | BrokenHandshake | None:
        """Returns what stood behind the answer, once it is whole, or what is wrong with it.

        Blank records before it are passed over.
        """
        self._begun = (self._begun + payload).lstrip(END)
        record, end, rest = self._begun.partition(END)
        if len(record) > MAXIMUM:
            return BrokenHandshake(record[:MAXIMUM], f"the answer has more than {MAXIMUM} bytes")
        if not end:
            return None
        return flaw_in(record) or rest


def flaw_in(record: bytes) -> Denied | BrokenHandshake | None:
    try:
        answer = _decode(record)
    except Exception as error:
        return BrokenHandshake(record, str(error) or type(error).__name__)
    if answer.type is not UNSET:  # HubProtocol, "Handshake": that would be a message
        return BrokenHandshake(record, "a message came before the answer to the handshake")
    return None if answer.error is None else Denied(said(answer.error))
