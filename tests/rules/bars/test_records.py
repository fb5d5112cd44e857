"""Rows for data frames: floats or exact numbers, and times with their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from actors import Bar, BarsView, FrameView, LinewardenError, records
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


def test_the_view_of_a_timeframe_gives_its_finished_bars_and_one_of_several_is_refused() -> None:
    frame = FrameView("1min", BARS, BARS[0], synced=True)
    assert records(frame) == records(BARS)
    wrong: Any = BarsView("px", "EP", {"1min": frame})
    nothing: Any = None
    for each in (wrong, nothing):
        with pytest.raises(LinewardenError, match="takes bars of one timeframe"):
            records(each)


def test_views_are_shown_in_one_short_line_and_name_what_they_have() -> None:
    frame = FrameView("1min", BARS, BARS[0], synced=False, reason="no answer")
    assert repr(frame) == "<FrameView 1min: 2 bars and one that forms; no answer>"
    view = BarsView("px", "EP", {"1min": frame})
    assert repr(view) == "<BarsView px/EP: 1min 2 bars; 1min: no answer>"
    with pytest.raises(KeyError, match="5min was not asked for; this view has 1min"):
        view["5min"]


def test_exact_rows_have_the_numbers_as_they_are() -> None:
    assert records(BARS, exact=True)[1]["volume"] == Decimal("0.1")
    assert isinstance(records(BARS, exact=True)[0]["open"], Decimal)
    assert records(()) == []
