"""Times as venues write them in JSON: ISO 8601, and RFC 3339 as a part of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

SECOND = 1_000_000_000  # nanoseconds
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_OFFSET = r"[Zz]|[+-]\d\d(?::?\d\d)?"
_ISO = re.compile(rf"(\d{{4}}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{{1,9}})\d*)?({_OFFSET})?", re.ASCII)


def iso_nanoseconds(text: str) -> int | None:
    """Returns a time in nanoseconds since 1970, UTC, to the digit; None: the text is none.

    A time without an offset is taken for UTC.
    """
    if (found := _ISO.fullmatch(text)) is None:
        return None
    try:
        return _seconds(found[1], found[3] or "Z") * SECOND + int((found[2] or "0").ljust(9, "0"))
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1024)  # a second holds many events
def _seconds(second: str, offset: str) -> int:
    return int((datetime.fromisoformat(second.upper() + offset.upper()) - EPOCH).total_seconds())
