"""What a consumer gets of a venue that a table describes, and how its payloads are read."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from actors.protocol import exact_decimal, iso_nanoseconds, known_time


class Message(Struct, frozen=True, gc=False):
    """One event, as the venue sent it: `data` is its JSON.

    Numbers with a point or an exponent are `Decimal`, for a float would not be what the venue wrote;
    whole numbers are `int`. What the venue wrote as text stays text.
    """

    channel: str
    key: str
    data: Any
    kind: str = ""  # what the venue calls it ("snapshot", "update"), where the table says where that stands
    at_ns: int | None = None  # the venue's time, wall clock


# The whole message is decoded, once: what lies around `data` decides where it goes, and a venue's messages
# are small. `Decimal` is called for numbers that are no integers only; most venues send prices as text.
decode: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=exact_decimal).decode

_WINDOW: Mapping[str, int] = {  # zlib's manual, inflateInit2: how the stream is wrapped
    "gzip": 16 + zlib.MAX_WBITS,
    "zlib": zlib.MAX_WBITS,
    "deflate": -zlib.MAX_WBITS,
}


def inflate(payload: bytes, how: str, most: int) -> bytes:
    """The payload of one message, inflated.

    Raises:
        ValueError: it is not of this compression, or is more than `most` bytes: a bomb is not unpacked.
    """
    text, rest, members = b"", payload, 0
    try:
        while rest or not members:
            members += 1
            machine = zlib.decompressobj(_WINDOW[how])
            text += machine.decompress(rest, most + 1 - len(text))
            if len(text) > most:
                raise ValueError(f"it inflates to more than {most} bytes")
            rest = machine.unused_data
            if rest and how != "gzip":  # RFC 1952, 2.2: gzip has one or several members
                raise ValueError(f"this is not one message in {how}")
    except zlib.error as error:
        raise ValueError(f"this is not {how}: {error}") from None
    # A sync flush ends a message of RFC 7692's kind; such a stream has no end of its own.
    if not machine.eof and (members > 1 or not text):
        raise ValueError(f"this is not one message in {how}")
    return text


UNITS: Mapping[str, int] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


SHORT = 18  # digits of a time that decimals do not round either


def clock(unit: str) -> Callable[[Any], int | None]:
    """A function from a venue's time to wall-clock nanoseconds; None: it cannot be read as one."""
    factor = UNITS.get(unit)
    if factor is None:
        return lambda value: iso_nanoseconds(value) if type(value) is str else None

    def read(value: Any) -> int | None:
        if type(value) is int:
            return known_time(value * factor)
        if type(value) is str and len(value) <= SHORT and value.isascii() and value.isdigit():
            return int(value) * factor
        try:
            number = Decimal(value) if type(value) is str else value
            return int(number * factor) if type(number) is Decimal and abs(number) < 10**20 else None
        except (ArithmeticError, AttributeError, ValueError, TypeError):
            return None

    return read
