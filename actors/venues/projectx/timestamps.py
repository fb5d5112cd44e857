"""The gateway's times: ISO 8601 with up to seven digits of a second, as .NET writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

SECOND = 1_000_000_000  # nanoseconds

_ISO = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)


def nanoseconds(stamp: str | None) -> int | None:
    """Since 1970, UTC; a time without an offset is taken for UTC too.

    None: there is no time, or it is none. Year 1 is what .NET writes where no time was set.
    """
    found = _ISO.fullmatch(stamp) if stamp else None
    if found is None or found[1].startswith("0001"):
        return None
    try:
        seconds = _seconds(found[1], found[3] or "Z")
    except (ValueError, OverflowError):
        return None
    return seconds * SECOND + int((found[2] or "0").ljust(9, "0"))


@lru_cache(maxsize=1024)  # a second holds many events
def _seconds(second: str, offset: str) -> int:
    at = datetime.fromisoformat(second.upper() + offset.upper())
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
