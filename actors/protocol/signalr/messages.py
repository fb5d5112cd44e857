"""The messages of SignalR's HubProtocol, and their JSON codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Raw, Struct

from actors.protocol.conversation import decoded
from actors.protocol.signalr.framing import END, RecordReader

# ── what is heard ───────────────────────────────────────────────────────────────────────────────


class Invocation(Struct, frozen=True, gc=False, tag=1, rename="camel"):
    """The hub calls a target of ours; with an id it wants a completion."""

    target: str
    arguments: Raw  # an array; decoded by code that knows the target
    invocation_id: str | None = None


class StreamItem(Struct, frozen=True, gc=False, tag=2, rename="camel"):
    """An element of a stream that was asked for by a stream invocation; we send none."""

    invocation_id: str
    item: Raw


NULL: Final = b"null"


class Completion(Struct, frozen=True, gc=False, tag=3, rename="camel"):
    """What came of an invocation of ours. An empty error is none, for the official clients too."""

    invocation_id: str
    result: Raw = Raw(b"null")
    error: str | None = None

    def __post_init__(self) -> None:
        """HubProtocol, "Completion": a result and an error exclude each other. A null is no result."""
        if self.error and bytes(self.result) != NULL:
            raise ValueError("a completion has a result and an error")


class Ping(Struct, frozen=True, gc=False, tag=6):
    """A sign of life; it has no answer."""


class Close(Struct, frozen=True, gc=False, tag=7, rename="camel"):
    """The hub ends the connection; of any type, for it ends whatever stands here."""

    error: Any = None
    allow_reconnect: Any = False


Message = Invocation | StreamItem | Completion | Ping | Close

KNOWN: Final = (1, 2, 3, 6, 7)
DATA: Final = (1, 2, None)  # None: unknown


class UnknownMessage(Struct, frozen=True):
    """A message of a type that concerns no subscriber, or that did not exist when this was written."""

    type: int


class Malformed(Struct, frozen=True):
    """A record that is no message, and why; `type` is the one that it claims to be of."""

    raw: bytes
    error: str
    type: int | None = None

    @property
    def may_be_data(self) -> bool:
        return self.type in DATA


Heard = Message | UnknownMessage | Malformed


class Codec(Protocol):
    """A hub protocol on one connection: it keeps what is left of a message that is not whole yet."""

    name: str  # as the handshake has it
    version: int
    transfer_format: str  # "Text" or "Binary", as a negotiation has it

    @property
    def overflowed(self) -> bool:
        """A message has grown too big; nothing more is taken."""

    def split(self, payloads: Sequence[bytes]) -> list[bytes]:
        """The messages that these WebSocket messages end, each as it is on the wire. Never raises."""

    def read(self, record: bytes) -> Heard:
        """One of these messages. Never raises."""

    def invocation(self, id: str | None, target: str, arguments: Sequence[Any]) -> str | bytes:
        """One call. Raises TypeError for arguments that this protocol cannot say."""

    def message(self, message: Mapping[str, Any] | Sequence[Any]) -> str | bytes:
        """A message of a program's own. Raises TypeError for what this protocol cannot say."""

    def failure(self, id: str, error: str) -> str | bytes:
        """The completion of a call of the hub's, by an error."""

    def record(self, invocation: Invocation) -> bytes:
        """What was heard, nearly as it was heard: for people."""

    def ping(self) -> str | bytes:
        """A sign of life."""


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────


class MessageKind(Struct, frozen=True, gc=False):
    type: int


_decode: Callable[[bytes], Message] = msgspec.json.Decoder(Message).decode
_decode_kind = msgspec.json.Decoder(MessageKind).decode
_encode = msgspec.json.Encoder().encode


class JsonCodec:
    """Records of JSON. `maximum` is in bytes of one whose end has not come yet."""

    name = "json"
    version = 1
    transfer_format = "Text"

    def __init__(self, maximum: int) -> None:
        self._records = RecordReader(maximum)

    @property
    def overflowed(self) -> bool:
        return self._records.overflowed

    def split(self, payloads: Sequence[bytes]) -> list[bytes]:
        return self._records.feed_all(payloads)

    def read(self, record: bytes) -> Heard:
        try:
            return _decode(record)
        except Exception as error:
            why = str(error) or type(error).__name__
        kind = decoded(_decode_kind, record)
        if kind is None or kind.type in KNOWN:
            return Malformed(record, why, None if kind is None else kind.type)
        return UnknownMessage(kind.type)

    def invocation(self, id: str | None, target: str, arguments: Sequence[Any]) -> str:
        message: dict[str, Any] = {"type": 1}
        if id is not None:
            message["invocationId"] = id
        return written(message | {"target": target, "arguments": arguments})

    def message(self, message: Mapping[str, Any] | Sequence[Any]) -> str:
        return written(message)

    def failure(self, id: str, error: str) -> str:
        return written({"type": 3, "invocationId": id, "error": error})

    def record(self, invocation: Invocation) -> bytes:
        return _encode(invocation)

    def ping(self) -> str:
        return written({"type": 6})


def written(message: Mapping[str, Any] | Sequence[Any]) -> str:
    """A record as text. Raises TypeError for what JSON cannot say."""
    return (_encode(message) + END).decode()
