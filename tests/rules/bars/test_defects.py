"""What the synchronous SDK of old (project-x-py 1.1) got wrong with bars: one test each, or more.

`tests/stories/test_bar_defects.py` has those that need a hub or threads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from actors import records
from tests.rules.bars.test_sessions import CME
from tests.rules.bars.venue import HOUR, MINUTE, NOON, SECOND, Desk, Rest, ns, trade

CHICAGO = ZoneInfo("America/Chicago")


def test_defect_9_4_1_history_is_not_shifted_by_the_zone() -> None:
    """Nine o'clock in Chicago was stored as three."""
    nine = datetime(2026, 11, 30, 9, tzinfo=CHICAGO)
    at_ns = ns("2026-11-30T15:00:00Z")
    desk = Desk(Rest([trade(at_ns + SECOND, 100, 3)]), "1min", "1h", now_ns=at_ns + 2 * HOUR)
    desk.keeper.live(desk.now_ns)
    desk.pass_time(1.0)
    for frame in ("1min", "1h"):
        (row,) = records(desk.finished(frame))
        assert row["start"] == nine
        assert row["start"].tzinfo is UTC
        assert row["start"].astimezone(CHICAGO).hour == 9


@pytest.mark.parametrize(("frame", "bars"), [("4h", 6), ("1day", 1), ("1week", 1), ("1month", 1)])
def test_defect_9_4_2_four_hours_are_four_and_days_weeks_and_months_go_on(frame: str, bars: int) -> None:
    """Bars of 4 hours began every hour, and each tick raised for those of days and more."""
    first = ns("2026-06-01T00:00:00Z")
    desk = Desk(None, frame, now_ns=first)
    for hour in range(24):
        desk.now_ns = first + hour * HOUR
        desk.print(trade(desk.now_ns, 100 + hour, 1))
    desk.pass_time(35 * 86_400)
    shown = desk.finished(frame)
    assert len(shown) == bars
    assert sum(bar.volume for bar in shown) == 24
    assert [bar.start_ns for bar in shown][:2] == [first, first + 4 * HOUR][: min(bars, 2)]
    assert (shown[0].open, shown[-1].close) == (100, 123)


def test_defect_9_4_3_of_several_prints_at_one_time_all_count() -> None:
    desk = Desk(None, "1min")
    desk.print(trade(NOON, 100, 3), trade(NOON, 101, 4), trade(NOON, 99, 5))
    bar = desk.forming("1min")
    assert bar is not None
    assert (bar.volume, bar.trades, bar.high, bar.low) == (Decimal(12), 3, Decimal(101), Decimal(99))


def test_defect_9_4_6_bars_go_by_the_venues_time_and_a_late_trade_corrects_its_own() -> None:
    """Bars went by arrival, and a late trade was dropped."""
    desk = Desk(None, "1min")
    desk.keeper.live(NOON - 60 * SECOND)
    desk.print(trade(NOON + 59 * SECOND, 100, 2))
    desk.now_ns = NOON + 63 * SECOND
    desk.print(trade(NOON + 61 * SECOND, 101, 1), trade(NOON + 58 * SECOND, 90, 5))
    (first,) = desk.finished("1min")
    assert (first.open, first.low, first.close, first.volume) == (90, 90, 100, 7)
    assert [kind for kind, _ in desk.told("1min")] == ["finished", "corrected"]
    forming = desk.forming("1min")
    assert forming is not None
    assert forming.volume == 1


def test_defect_9_4_6_a_volume_is_not_made_up() -> None:
    """The first volume was at least 1."""
    desk = Desk(None, "1min")
    desk.print(trade(NOON, 100, "0.001"))
    bar = desk.forming("1min")
    assert bar is not None
    assert bar.volume == Decimal("0.001")


def test_defect_9_4_6_a_bar_ends_without_a_further_trade_and_none_is_made_up() -> None:
    desk = Desk(None, "1min")
    desk.keeper.live(NOON - 60 * SECOND)
    desk.print(trade(NOON + SECOND))
    desk.pass_time(60.5)
    assert desk.finished("1min") == ()
    desk.pass_time(0.6)
    (bar,) = desk.finished("1min")
    assert (bar.end_ns, bar.exact, desk.forming("1min")) == (NOON + MINUTE, True, None)
    desk.pass_time(600.0)
    assert desk.finished("1min") == (bar,)


def test_defect_9_4_6_a_loss_is_repaired() -> None:
    lost = trade(NOON + 70 * SECOND, 150, 4)
    seen = [trade(NOON + 10 * SECOND), trade(NOON + 115 * SECOND), trade(NOON + 200 * SECOND)]
    desk = Desk(Rest([*seen, lost]), "1min")
    desk.keeper.live(NOON - 60 * SECOND)
    desk.print(seen[0])
    desk.now_ns = NOON + 112 * SECOND
    desk.keeper.down(desk.now_ns, "feed is disconnected")
    desk.keeper.live(desk.now_ns)
    desk.keeper.gap(NOON + 65 * SECOND, desk.now_ns)
    desk.print(seen[1])
    desk.now_ns = NOON + 121 * SECOND + SECOND // 2
    desk.keeper.tick(desk.now_ns)
    marked = desk.finished("1min")[-1]
    assert (marked.volume, marked.exact, marked.complete) == (1, False, False)
    assert desk.reason("1min") == "REST is being asked for bars"
    desk.pass_time(2.0)
    mended = desk.finished("1min")[-1]
    assert (mended.high, mended.volume, mended.exact, mended.complete) == (150, 5, True, True)
    assert desk.reason("1min") == ""
    kinds = [(kind, bar.volume) for kind, bar in desk.told("1min") if bar.start_ns == NOON + MINUTE]
    assert kinds == [("finished", 1), ("repaired", 5)]


def test_defect_9_4_6_what_history_has_is_not_added_again() -> None:
    """The last bar of history was partial, and the stream's trades were added to it: a double volume."""
    trades = [trade(NOON + each * SECOND, 100 + each, 1, id=each) for each in range(0, 120, 5)]
    desk = Desk(Rest(trades), "1min", "1h", now_ns=NOON + 27 * SECOND)
    desk.keeper.live(desk.now_ns)
    for each in trades:
        if each.at_ns < NOON + 20 * SECOND:
            continue  # from there on the stream brings them, some of which REST has as well
        desk.now_ns = max(desk.now_ns, each.at_ns)
        desk.print(each)
        desk.pass_time()
    for frame in ("1min", "1h"):
        shown = desk.forming("1h") if frame == "1h" else desk.finished("1min")[-1]
        assert shown is not None
        wanted = [each for each in trades if shown.start_ns <= each.at_ns < shown.end_ns]
        assert shown.volume == len(wanted), frame
    desk.pass_time(70.0)
    assert [bar.volume for bar in desk.finished("1min")] == [12, 12]
    assert all(bar.exact for bar in desk.finished("1min"))


def test_defect_9_4_7_a_trade_copies_no_bars() -> None:
    desk = Desk(None, "1s", "1min", keep=500)
    for each in range(400):
        desk.now_ns = NOON + each * SECOND
        desk.print(trade(desk.now_ns))
    before = desk.finished("1s")
    desk.print(trade(desk.now_ns + 1), trade(desk.now_ns + 2))
    assert desk.finished("1s") is before


def test_defect_9_4_8_a_break_of_the_market_is_no_alarm() -> None:
    """Bars were unhealthy by their age, in each break."""
    friday = ns("2026-11-27T21:59:50Z")
    desk = Desk(Rest([trade(friday)]), "1min", now_ns=friday - HOUR)
    desk.add("session", CME)
    desk.keeper.live(desk.now_ns)
    desk.now_ns = friday
    desk.print(trade(friday, id=1))
    desk.pass_time(60.0)
    desk.pass_time(40 * 3_600.0)
    assert desk.reason("1min") == desk.reason("session") == ""
    assert desk.finished("session")[-1].end_ns == ns("2026-11-27T22:00:00Z")
