"""Bars of the simulated ProjectX: made of its own trades, newest first, with holes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.simulators import SimulatedProjectX
from tests.simulators.projectx_client import EP, got, refusal

SECOND, MINUTE, HOUR, DAY, WEEK, MONTH = 1, 2, 3, 4, 5, 6
NOON = datetime(2026, 11, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def projectx() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, market=False, minute_depth=3650, hour_depth=3650) as each:
        yield each


def asked(**over: Any) -> dict[str, Any]:
    return {
        "contractId": EP,
        "live": False,
        "startTime": "2020-01-01T00:00:00Z",
        "endTime": "2099-01-01T00:00:00Z",
        "unit": MINUTE,
        "unitNumber": 1,
        "limit": 20_000,
        "includePartialBar": True,
        **over,
    }


def bars(projectx: SimulatedProjectX, **over: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = got(projectx, "History/retrieveBars", asked(**over))["bars"]
    return found


def openings(projectx: SimulatedProjectX, **over: Any) -> list[str]:
    return [each["t"] for each in bars(projectx, **over)]


def test_a_bar_is_made_of_the_trades_of_its_time(projectx: SimulatedProjectX) -> None:
    for seconds, price, volume in (
        (0, "6801.25", 1),
        (20, "6803.00", 2),
        (40, "6800.50", 3),
        (59, "6802.00", 4),
    ):
        projectx.past_trade(EP, NOON + timedelta(seconds=seconds), price, volume)
    projectx.past_trade(EP, NOON + timedelta(minutes=3), "6810.25")
    later, first = bars(projectx)
    assert first == {
        "t": "2026-11-04T12:00:00+00:00",
        "o": Decimal("6801.25"),
        "h": Decimal("6803.00"),
        "l": Decimal("6800.50"),
        "c": Decimal("6802.00"),
        "v": 10,
    }
    assert later["t"] == "2026-11-04T12:03:00+00:00"  # none for the minutes without a trade


@pytest.mark.parametrize(
    ("unit", "number", "opening"),
    [
        (SECOND, 30, "2026-11-04T22:47:30+00:00"),
        (MINUTE, 5, "2026-11-04T22:45:00+00:00"),
        (HOUR, 4, "2026-11-04T20:00:00+00:00"),
        (DAY, 1, "2026-11-04T00:00:00+00:00"),
        (WEEK, 1, "2026-11-02T00:00:00+00:00"),
        (MONTH, 1, "2026-11-01T00:00:00+00:00"),
        (MONTH, 3, "2026-10-01T00:00:00+00:00"),
    ],
)
def test_bars_align_to_utc(projectx: SimulatedProjectX, unit: int, number: int, opening: str) -> None:
    projectx.past_trade(EP, datetime(2026, 11, 4, 22, 47, 31, tzinfo=UTC), "6801.25")
    assert openings(projectx, unit=unit, unitNumber=number) == [opening]


def test_the_newest_come_first_and_a_limit_keeps_them(projectx: SimulatedProjectX) -> None:
    for minutes in range(5):
        projectx.past_trade(EP, NOON + timedelta(minutes=minutes), "6801.25")
    assert [each[14:16] for each in openings(projectx, limit=3)] == ["04", "03", "02"]
    oldest = NOON + timedelta(minutes=2)
    assert [each[14:16] for each in openings(projectx, endTime=oldest)] == ["02", "01", "00"]
    assert [each[14:16] for each in openings(projectx, startTime=oldest)] == ["04", "03", "02"]


def test_the_bar_that_is_forming_is_there_to_order(projectx: SimulatedProjectX) -> None:
    projectx.trade(EP, price="6802.25", volume=3)
    (bar,) = bars(projectx, unit=DAY)
    assert (bar["c"], bar["v"]) == (Decimal("6802.25"), 3)
    assert bars(projectx, unit=DAY, includePartialBar=False) == []


def test_bars_reach_back_so_far_and_answers_hold_so_many() -> None:
    with SimulatedProjectX(rate=0, minute_depth=2, hour_depth=5, bars_cap=50) as each:
        now = datetime.now(UTC)
        for days in (1, 3, 6):
            each.past_trade(EP, now - timedelta(days=days), "6801.25")
        assert (len(bars(each)), len(bars(each, unit=HOUR))) == (1, 2)
    with SimulatedProjectX(rate=0, past=2, bars_cap=50) as each:
        assert len(bars(each)) == 50


def test_the_past_may_be_made_up_with_holes_and_the_same_for_the_same_seed() -> None:
    def made(seed: int) -> list[Decimal]:
        with SimulatedProjectX(rate=0, past=1, seed=seed) as each:
            return [bar["c"] for bar in bars(each)]

    first = made(1)
    assert 1_150 < len(first) < 1_430  # of 1,440 minutes
    assert first == made(1) != made(2)


def test_what_cannot_be_asked_for(projectx: SimulatedProjectX) -> None:
    wrong: list[dict[str, Any]] = [
        {"contractId": "ES"},
        {"unit": 7},
        {"unitNumber": 0},
        {"limit": 0},
        {"limit": 20_001},
    ]
    codes = [refusal(projectx, "History/retrieveBars", asked(**each))[0] for each in wrong]
    assert codes == [1, 2, 3, 4, 4]
    projectx.past_trade(EP, NOON, "6801.25")
    assert bars(projectx, live=True) == []
