"""Times as the gateway's REST part takes them: ISO 8601 in UTC, to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from actors.protocol import LinewardenError

MICROSECOND: Final = 1_000
SECOND: Final = 1_000_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR
LAST_NS: Final = 2**63 - 1  # the year 2262
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds_of(moment: datetime) -> int:
    """Returns a moment in nanoseconds since 1970, UTC.

    Raises:
        LinewardenError: it has no time zone.
    """
    if moment.tzinfo is None:
        raise LinewardenError(f"{moment} has no time zone; write datetime(…, tzinfo=UTC)")
    return (moment - _EPOCH) // timedelta(microseconds=1) * MICROSECOND


def moment_of(at_ns: int) -> datetime:
    """Returns nanoseconds since 1970 as a moment in UTC; what is finer than a microsecond is cut off."""
    return _EPOCH + timedelta(microseconds=at_ns // MICROSECOND)


def text_of(at_ns: int) -> str:
    """Returns nanoseconds since 1970 as text: 2026-11-30T02:55:44.123456Z; the nearest of 1970 to 2262."""
    return moment_of(min(max(at_ns, 0), LAST_NS)).isoformat(timespec="microseconds").replace("+00:00", "Z")
