"""Alpaca's two encodings, and its timestamps: text in JSON, an extension type in msgpack."""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from actors.simulators.base.client import binary_frame, text_frame

Codec = Literal["json", "msgpack"]

_BILLION = 1_000_000_000
_TIMESTAMP = -1  # msgpack's own extension type
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Stamp:
    """A point in time: nanoseconds since 1970, and how it is written in JSON."""

    def __init__(self, ns: int, text: str) -> None:
        self.ns = ns
        self.text = text

    @classmethod
    def at(cls, ns: int, digits: int = -1, offset: str = "Z") -> Stamp:
        """`digits` of the fraction are written, zeros too; -1: as many as needed."""
        if digits >= 0:
            ns -= ns % 10 ** (9 - digits)
        seconds, fraction = divmod(ns, _BILLION)
        local = datetime.fromtimestamp(seconds, UTC) + _distance(offset)
        decimals = f"{fraction:09}".rstrip("0") if digits < 0 else f"{fraction:09}"[:digits]
        return cls(ns, f"{local:%Y-%m-%dT%H:%M:%S}{'.' * bool(decimals)}{decimals}{offset}")

    @classmethod
    def parse(cls, text: str) -> Stamp:
        """What a text means; it is written in JSON as it is. Raises ValueError if it is no RFC 3339."""
        found = _RFC3339.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no time such as 2026-03-02T15:04:05.123Z")
        clock, fraction, offset = found.groups()
        moment = datetime.fromisoformat(f"{clock}+00:00") - _distance(offset)
        return cls(int(moment.timestamp()) * _BILLION + int((fraction or "").ljust(9, "0")), text)


def _distance(offset: str) -> timedelta:
    if offset == "Z":
        return timedelta()
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
    return -ahead if offset[0] == "-" else ahead


def _text(value: Any) -> str:
    if isinstance(value, Stamp):
        return value.text
    raise NotImplementedError(f"{type(value).__name__} is nothing that is sent")


def _extension(value: Any) -> msgspec.msgpack.Ext:
    if not isinstance(value, Stamp):
        raise NotImplementedError(f"{type(value).__name__} is nothing that is sent")
    # msgpack, "Timestamp extension type": timestamp 32, 64 and 96, the shortest that fits.
    seconds, nanoseconds = divmod(value.ns, _BILLION)
    if 0 <= seconds < 1 << 34:
        packed = struct.pack(">Q", nanoseconds << 34 | seconds)
        return msgspec.msgpack.Ext(_TIMESTAMP, packed if nanoseconds or seconds >> 32 else packed[4:])
    return msgspec.msgpack.Ext(_TIMESTAMP, struct.pack(">Iq", nanoseconds, seconds))


to_json = msgspec.json.Encoder(enc_hook=_text).encode
to_msgpack = msgspec.msgpack.Encoder(enc_hook=_extension).encode
_from_json = msgspec.json.Decoder().decode
_from_msgpack = msgspec.msgpack.Decoder().decode


def encode(told: object, codec: Codec) -> bytes:
    return to_json(told) if codec == "json" else to_msgpack(told)


def frame(told: object, codec: Codec, binary: bool = False) -> bytes:
    """A whole message. JSON goes as text, unless it is to be `binary`; msgpack is always binary."""
    payload = encode(told, codec)
    return text_frame(payload) if codec == "json" and not binary else binary_frame(payload)


def read(message: str | bytes, codec: Codec) -> Any:
    """What a client said. Raises ValueError where it is not of this encoding, as text is no msgpack."""
    try:
        if codec == "json":
            return _from_json(message)
        return _from_msgpack(message if isinstance(message, bytes) else b"")
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
