"""Rows for data frames: floats or exact numbers, and times with their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from actors import Bar, records
from tests.rules.bars.venue import MINUTE, NOON

ONE = Decimal(1)
BARS = (
    Bar(
        NOON,
        NOON + MINUTE,
        Decimal("6800.25"),
        Decimal(6801),
        Decimal("6799.75"),
        Decimal("6800.50"),
        Decimal(12),
        3,
    ),
    Bar(NOON + MINUTE, NOON + 2 * MINUTE, ONE, ONE, ONE, ONE, Decimal("0.1"), exact=False, complete=False),
)


def test_rows_have_floats_and_aware_times() -> None:
    first, second = records(BARS)
    assert first == {
        "start": datetime(2026, 11, 30, 12, tzinfo=UTC),
        "end": datetime(2026, 11, 30, 12, 1, tzinfo=UTC),
        "open": 6800.25,
        "high": 6801.0,
        "low": 6799.75,
        "close": 6800.5,
        "volume": 12.0,
        "trades": 3,
        "exact": True,
        "complete": True,
    }
    assert (second["trades"], second["exact"], second["complete"]) == (None, False, False)
    assert isinstance(first["volume"], float)


def test_exact_rows_have_the_numbers_as_they_are() -> None:
    assert records(BARS, exact=True)[1]["volume"] == Decimal("0.1")
    assert isinstance(records(BARS, exact=True)[0]["open"], Decimal)
    assert records(()) == []
