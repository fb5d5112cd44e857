"""The venue's times, exact to the nanosecond, which neither `datetime` nor msgspec's reading of it is.

In JSON they are RFC 3339 texts with 0 to 9 digits after the point, in msgpack the timestamp extension
(msgpack specification, "Timestamp extension type"). Reading one costs as much as decoding the rest of a
quote, so events keep what came, and read it when `ts_ns` is asked for.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, TypeAlias

from msgspec import Meta
from msgspec.msgpack import Ext

if TYPE_CHECKING:
    Stamp: TypeAlias = str | int
else:  # an Ext is what msgpack brings; the codec puts nanoseconds in its place
    Stamp = Annotated[str, Meta(min_length=20, max_length=40)] | Ext

SECOND = 1_000_000_000  # nanoseconds
LAST_NS = 2**63 - 1  # the year 2262
EXTENSION = -1  # msgpack's number for a timestamp

_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def nanoseconds(stamp: str | int) -> int:
    """Since 1970, UTC. An integer is the answer already.

    Raises:
        ValueError: the text is no time.
    """
    if isinstance(stamp, int):
        return stamp
    found = _RFC_3339.fullmatch(stamp)
    if found is None:
        raise ValueError(f"expected a time such as 2026-03-02T15:04:05.120000045Z, not {stamp[:40]!r}")
    second, fraction, offset = found.groups()
    return _seconds(second, offset) * SECOND + (int(fraction.ljust(9, "0")) if fraction else 0)


def text_of(at_ns: int) -> str:
    """Returns nanoseconds since 1970 as text: 2026-03-02T15:04:05.120000045Z; the nearest of 1970 to 2262."""
    second, fraction = divmod(min(max(at_ns, 0), LAST_NS), SECOND)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"


def from_extension(extension: Ext) -> int:
    """Nanoseconds since 1970, from any of the three forms.

    Raises:
        ValueError: it is none of them.
    """
    data = bytes(extension.data)
    if extension.code != EXTENSION or len(data) not in {4, 8, 12}:
        raise ValueError(f"expected a timestamp, not extension {extension.code} of {len(data)} bytes")
    if len(data) == 4:
        return int.from_bytes(data, "big") * SECOND
    if len(data) == 8:
        both = int.from_bytes(data, "big")
        fraction, second = both >> 34, both & (1 << 34) - 1
    else:
        fraction, second = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big", signed=True)
    if fraction >= SECOND:
        raise ValueError("a timestamp whose nanoseconds are more than a second")
    return second * SECOND + fraction


@lru_cache(maxsize=1024)  # a second holds many events
def _seconds(second: str, offset: str) -> int:
    zone = "+00:00" if offset in {"Z", "z"} else offset
    return int(datetime.fromisoformat(second.upper() + zone).timestamp())
