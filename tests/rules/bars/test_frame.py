"""What is over, what forms, what is told; what is known to be missing; and how much is kept."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.protocol.bars import Bar, Print
from actors.rules.bars.sessions import session_of
from actors.rules.calendar import Calendar, read_closure, read_session
from tests.rules.bars.venue import HOUR, MINUTE, NOON, SECOND, Desk, Rest, ns, trade


def cancel(id: object, at_ns: int = NOON) -> Print:
    return Print(Decimal(0), Decimal(0), at_ns, None, id)


def marks(bar: Bar | None) -> tuple[bool, bool]:
    assert bar is not None
    return bar.exact, bar.complete


# ── where history and trades meet ──


def test_the_forming_bar_is_rests_shorter_bars_and_the_trades_beside_them() -> None:
    before = [trade(NOON + each * SECOND, 100 + each) for each in range(0, 40, 10)]
    desk = Desk(Rest(before), "1min", now_ns=NOON + 40 * SECOND)
    desk.keeper.live(desk.now_ns)
    desk.pass_time(3.0)  # by then REST has each second before the stream
    forming = desk.forming("1min")
    assert forming is not None
    assert (forming.open, forming.close, forming.volume) == (100, 130, 4)
    assert marks(forming) == (False, True)
    desk.rest.trades.append(live := trade(NOON + 50 * SECOND, 50))
    desk.print(live)
    desk.pass_time(19.0)
    desk.pass_time(2.0)
    (bar,) = desk.finished("1min")
    assert (bar.low, bar.volume, marks(bar)) == (50, 5, (True, True))
    assert [kind for kind, _ in desk.told("1min")] == ["finished", "repaired"]


def test_a_bar_after_the_beginning_is_exact_by_the_stream_alone() -> None:
    desk = Desk(Rest([]), "1min")
    desk.keeper.live(NOON)
    desk.print(trade(NOON + 61 * SECOND, id=1), trade(NOON + 125 * SECOND, id=2))
    assert [marks(bar) for bar in desk.finished("1min")] == [(True, True)]


def test_without_rest_a_bar_that_was_begun_before_stays_marked() -> None:
    desk = Desk(None, "1min", now_ns=NOON + 30 * SECOND)
    desk.keeper.live(desk.now_ns)
    for second in (31, 61, 121):
        desk.now_ns = NOON + second * SECOND
        desk.print(trade(desk.now_ns))
    desk.pass_time(86_400.0)
    assert [marks(bar) for bar in desk.finished("1min")] == [(False, False), (True, True), (True, True)]
    assert desk.rest.asked == []
    assert desk.reason("1min") == ""


@pytest.mark.parametrize(
    ("has", "frame", "of"),
    [
        ("1min", "5min", "1min"),
        ("1min 1h", "4h", "1h"),
        ("1min", "1day", "1min"),
        ("1min 5s", "15s", "5s"),
        ("1min 7min", "7min", "1min"),
    ],
)
def test_bars_are_made_of_the_longest_ones_that_the_venue_has(has: str, frame: str, of: str) -> None:
    desk = Desk(Rest([trade(NOON - HOUR)], has), frame, history=3)
    desk.keeper.live(NOON)
    desk.pass_time()
    assert str(desk.rest.asked[0].every) == of


def test_a_history_of_so_many_bars_is_asked_for_over_holes() -> None:
    trades = [trade(NOON - each * 7 * MINUTE) for each in range(1, 500)]
    desk = Desk(Rest(trades), "1min", "4h", history=20)
    desk.keeper.live(NOON)
    desk.pass_time()
    assert [wanted.limit for wanted in desk.rest.asked] == [20, 80]
    assert len(desk.finished("1min")) == 20
    assert desk.finished("1min")[-1].start_ns == NOON - 7 * MINUTE
    assert desk.finished("4h")[0].trades is not None
    assert desk.reason("1min") == desk.reason("4h") == ""


def test_a_longer_history_is_fetched_later_and_the_same_one_is_not() -> None:
    trades = [trade(NOON - each * MINUTE) for each in range(1, 200)]
    desk = Desk(Rest(trades), "1min", history=20)
    desk.keeper.live(NOON)
    desk.pass_time()
    asked = len(desk.rest.asked)
    desk.add("1min")
    desk.pass_time(1.0)
    assert len(desk.rest.asked) == asked
    desk._history = 100
    desk.add("1min")
    desk.pass_time(10.0)
    assert len(desk.finished("1min")) >= 100
    starts = [bar.start_ns for bar in desk.finished("1min")]
    assert starts == [NOON - each * MINUTE for each in range(len(starts), 0, -1)]


def test_a_timeframe_that_is_added_later_has_the_trades_of_before() -> None:
    desk = Desk(None, "1h")
    desk.keeper.live(NOON - HOUR)
    desk.print(*[trade(NOON + each * SECOND, id=each) for each in range(150)])
    desk.now_ns = NOON + 150 * SECOND
    desk.add("1min")
    assert [bar.volume for bar in desk.finished("1min")] == [60, 60]
    forming = desk.forming("1min")
    assert forming is not None
    assert (forming.volume, marks(forming)) == (30, (True, True))


# ── REST that lags, contradicts or fails ──


def test_rest_that_lacks_a_price_of_the_stream_is_asked_again_and_then_its_word_counts() -> None:
    desk = Desk(Rest([trade(NOON + SECOND, 100)]), "1min", now_ns=NOON + 2 * SECOND)
    desk.keeper.live(desk.now_ns)
    desk.print(trade(NOON + 3 * SECOND, 150))
    desk.pass_time(62.0)
    assert desk.finished("1min")[-1].high == 150
    assert marks(desk.finished("1min")[-1])[0] is False
    shown = []
    for _ in range(6):
        desk.pass_time(20.0)
        shown.append((desk.finished("1min")[-1].high, desk.finished("1min")[-1].exact))
    assert shown[0] == (150, False)
    assert shown[-1] == (100, True)


def test_rest_that_has_no_bar_for_trades_of_the_stream_leaves_them_marked_and_is_left_alone() -> None:
    desk = Desk(Rest([]), "1min", now_ns=NOON + 2 * SECOND)
    desk.keeper.live(desk.now_ns)
    desk.print(trade(NOON + 3 * SECOND, 150))
    for _ in range(10):
        desk.pass_time(60.0)
    asked = len(desk.rest.asked)
    for _ in range(10):
        desk.pass_time(60.0)
    assert len(desk.rest.asked) == asked
    assert marks(desk.finished("1min")[-1])[0] is False
    assert desk.reason("1min") == ""


def test_rest_whose_bar_is_not_made_yet_has_not_said_that_there_is_none() -> None:
    late = trade(NOON + SECOND, 100)
    desk = Desk(Rest([]), "1min", now_ns=NOON + 30 * SECOND)
    desk.keeper.live(desk.now_ns)
    desk.pass_time(33.0)  # the bar is over, and REST does not have it yet
    desk.rest.trades.append(late)
    desk.pass_time(6.0)
    assert [(bar.volume, bar.exact) for bar in desk.finished("1min")] == [(1, True)]


def test_a_failure_of_rest_is_told_and_asked_again_after_longer_and_longer_times() -> None:
    desk = Desk(Rest([trade(NOON - HOUR)]), "1min")
    desk.keeper.live(NOON)
    asked = []
    for second in range(100):
        desk.now_ns = NOON + second * SECOND
        for wanted in desk.keeper.wanted(desk.now_ns):
            if not wanted.is_fill:
                asked.append(second)
            desk.keeper.failed(wanted, "503", desk.now_ns)
    assert asked == [0, 5, 15, 35, 75]
    assert desk.reason("1min") == "REST could not be asked for bars: 503"
    desk.print(trade(NOON + 61 * SECOND, id=1))
    assert desk.forming("1min") is not None
    desk.now_ns = NOON + 155 * SECOND
    desk.ask()
    assert desk.reason("1min") == ""


def test_a_late_trade_in_a_bar_that_rest_told_makes_it_ask_again() -> None:
    first, late = trade(NOON + SECOND, 100), trade(NOON + 2 * SECOND, 120, 5)
    desk = Desk(Rest([first]), "1min", now_ns=NOON + 30 * SECOND)
    desk.keeper.live(desk.now_ns)
    desk.pass_time(33.0)
    desk.pass_time(30.0)
    assert marks(desk.finished("1min")[-1]) == (True, True)
    desk.told("1min")
    in_time = trade(desk.now_ns, 100)
    desk.rest.trades += [late, in_time]
    desk.print(in_time, late)
    assert marks(desk.finished("1min")[-1])[0] is False
    desk.pass_time(6.0)
    assert [(kind, bar.volume, bar.exact) for kind, bar in desk.told("1min")] == [
        ("corrected", 1, False),
        ("repaired", 6, True),
    ]


# ── losses ──


def test_while_the_stream_is_down_its_bars_are_rests() -> None:
    desk = Desk(Rest([]), "1min")
    desk.keeper.live(NOON - HOUR)
    desk.print(trade(NOON + SECOND, id=1))
    desk.keeper.down(NOON + 2 * SECOND, "feed is reconnecting")
    assert desk.reason("1min") == "feed is reconnecting"
    desk.rest.trades += [trade(NOON + SECOND), trade(NOON + 61 * SECOND, 7, 9)]
    for _ in range(30):
        desk.pass_time(5.0)
    assert [(bar.volume, bar.exact) for bar in desk.finished("1min")] == [(1, True), (9, True)]
    assert desk.forming("1min") is None
    assert ("repaired", 9) in [(kind, bar.volume) for kind, bar in desk.told("1min")]


def test_a_gap_marks_bars_by_the_venues_clock_as_well() -> None:
    """The venue's clock is ten seconds behind: what was lost is older than the gap says."""
    desk = Desk(None, "1min")
    desk.keeper.live(NOON - HOUR)
    for second in (50, 75):
        desk.keeper.print(trade(NOON + second * SECOND), NOON + (second + 10) * SECOND, 1)
    desk.keeper.gap(NOON + 88 * SECOND, NOON + 95 * SECOND)
    desk.keeper.print(trade(NOON + 130 * SECOND), NOON + 140 * SECOND, 1)
    assert [marks(bar) for bar in desk.finished("1min")] == [(True, True), (False, False)]


def test_a_gap_that_was_filled_completely_leaves_no_mark() -> None:
    desk = Desk(None, "1min")
    desk.keeper.live(NOON - HOUR)
    desk.print(trade(NOON + SECOND, id=1))
    desk.keeper.gap(NOON + 5 * SECOND, NOON + 9 * SECOND)
    desk.print(trade(NOON + 6 * SECOND, id=2), trade(NOON + 61 * SECOND, id=3))
    assert marks(desk.finished("1min")[0]) == (False, False)
    desk.keeper.mended(NOON + 5 * SECOND, NOON + 9 * SECOND)
    (bar,) = desk.finished("1min")
    assert (bar.volume, marks(bar)) == (2, (True, True))


@pytest.mark.parametrize(("ids", "exact"), [(True, True), (False, False)])
def test_a_rotation_marks_bars_whose_trades_cannot_be_told_apart(ids: bool, exact: bool) -> None:
    desk = Desk(None, "1min")
    desk.keeper.live(NOON - HOUR)
    seconds = (1, 10, 20)
    desk.print(*[trade(NOON + each * SECOND, id=each if ids else None) for each in seconds])
    desk.print(*[trade(NOON + each * SECOND, id=each if ids else None) for each in (20, 30, 70)], epoch=2)
    assert desk.finished("1min")[0].exact is exact


# ── cancels ──


def test_a_bar_whose_trades_are_all_cancelled_is_told_and_left_out() -> None:
    desk = Desk(None, "1min")
    desk.keeper.live(NOON - HOUR)
    desk.print(trade(NOON, 100, 3, id="a"), trade(NOON + 61 * SECOND, id="b"), cancel("a"))
    assert desk.finished("1min") == ()
    kinds = [(kind, bar.volume, bar.trades) for kind, bar in desk.told("1min")]
    assert kinds == [("finished", 3, 1), ("corrected", 0, 0)]


def test_a_correction_takes_one_trade_out_and_counts_another() -> None:
    desk = Desk(None, "1min")
    desk.keeper.live(NOON - HOUR)
    desk.print(trade(NOON, 100, 3, id="a"), trade(NOON + SECOND, 999, 1, id="b"))
    desk.print(Print(Decimal(101), Decimal(2), NOON + SECOND, "c", "b"))
    forming = desk.forming("1min")
    assert forming is not None
    assert (forming.high, forming.close, forming.volume, forming.exact) == (101, 101, 5, True)


def test_a_cancel_that_is_told_twice_changes_nothing_more() -> None:
    desk = Desk(None, "1min")
    desk.keeper.live(NOON - HOUR)
    desk.print(trade(NOON, id="a"), trade(NOON + 1, id="b"), cancel("a"), cancel("a"))
    forming = desk.forming("1min")
    assert forming is not None
    assert (forming.volume, forming.exact) == (1, True)


def test_a_cancel_of_a_trade_before_the_stream_makes_rest_tell_its_bar_again() -> None:
    gone, kept = trade(NOON + SECOND, 500), trade(NOON + 2 * SECOND, 100)
    desk = Desk(Rest([gone, kept]), "1min", now_ns=NOON + 70 * SECOND)
    desk.keeper.live(desk.now_ns)
    desk.pass_time(1.0)
    assert desk.finished("1min")[-1].high == 500
    desk.rest.trades.remove(gone)
    desk.print(cancel("unknown here", NOON + SECOND))
    assert marks(desk.finished("1min")[-1])[0] is False
    desk.pass_time(6.0)
    assert (desk.finished("1min")[-1].high, marks(desk.finished("1min")[-1])[0]) == (100, True)


# ── sessions ──

SHORT = Calendar(
    "cme",
    "America/Chicago",
    (read_session("Sun-Thu 17:00-16:00"),),
    (read_closure("2026-11-26 12:00-16:00"), read_closure("2026-11-27 12:15-16:00")),
)


def test_what_is_traded_outside_of_sessions_is_in_no_session() -> None:
    desk = Desk(None, now_ns=ns("2026-11-27T12:00:00Z"), history=0)
    desk.add("session", SHORT)
    desk.add("1h")
    desk.keeper.live(desk.now_ns)
    times = ("2026-11-27T18:14:59Z", "2026-11-27T18:20:00Z", "2026-11-28T12:00:00Z", "2026-11-29T23:00:00Z")
    for number, time in enumerate(times):
        desk.now_ns = ns(time)
        desk.print(trade(desk.now_ns, 100 + number, id=number))
    (friday,) = desk.finished("session")
    assert (friday.start_ns, friday.end_ns) == (ns("2026-11-26T23:00:00Z"), ns("2026-11-27T18:15:00Z"))
    assert (friday.volume, friday.close) == (1, 100)
    monday = desk.forming("session")
    assert monday is not None
    assert (monday.start_ns, monday.open) == (ns("2026-11-29T23:00:00Z"), 103)
    assert [bar.volume for bar in desk.finished("1h")] == [2, 1]


@pytest.mark.parametrize("day", ["2026-03-09", "2026-11-02", "2026-11-27"])
def test_sessions_of_history_are_put_together_from_hours(day: str) -> None:
    """Around both changes of the clock, and over an early close."""
    now_ns = ns(f"{day}T12:00:00Z")
    trades = [trade(now_ns - each * HOUR - each * MINUTE, 100 + each % 13, each + 1) for each in range(150)]
    desk = Desk(Rest(trades), now_ns=now_ns, history=3)
    desk.add("session", SHORT)
    desk.keeper.live(now_ns)
    desk.pass_time()
    assert {str(each.every) for each in desk.rest.asked if not each.is_fill} == {"1h"}
    for bar in desk.finished("session"):
        inside = [each for each in trades if bar.start_ns <= each.at_ns < bar.end_ns]
        session = session_of(SHORT, bar.start_ns)
        assert session is not None
        assert (session.start_ns, session.end_ns) == (bar.start_ns, bar.end_ns)
        assert bar.volume == sum(each.size for each in inside)
        assert bar.close == max(inside, key=lambda each: each.at_ns).price
    assert len(desk.finished("session")) == 3


# ── bounds ──


def test_what_is_older_than_all_bars_is_counted_and_left_out() -> None:
    desk = Desk(None, "1min", history=0)
    desk.keeper.live(NOON)
    desk.print(trade(NOON - 3 * 86_400 * SECOND), trade(NOON + SECOND, id=1), trade(NOON + SECOND, id=1))
    desk.keeper.print(trade(NOON + HOUR), NOON, 1)
    view = desk.keeper.view([], NOON)
    assert (view.left_out, view.duplicates, view.ahead) == (1, 1, 1)


def test_so_many_bars_are_kept_and_the_memory_of_others_is_given_back() -> None:
    desk = Desk(None, "1s", "1min", keep=50, history=0)
    desk.keeper.live(NOON)
    for second in range(600):
        desk.now_ns = NOON + second * SECOND
        desk.print(trade(desk.now_ns, id=second))
        if second % 7 == 0:
            desk.keeper.gap(desk.now_ns, desk.now_ns)
        desk.pass_time()
    assert len(desk.finished("1s")) == 50
    assert len(desk.finished("1min")) == 9
    (buckets,) = [each for each, _ in desk.keeper._all if each.length == SECOND]
    assert len(buckets.starts(0, 2**62)) <= 52
    assert len(list(buckets.unknown)) <= 52


def test_a_late_trade_in_a_minute_without_trades_finishes_its_bar() -> None:
    desk = Desk(None, "1min")
    desk.keeper.live(desk.now_ns)
    desk.print(trade(NOON + MINUTE))
    desk.pass_time(600.0)
    assert [kind for kind, _ in desk.told("1min")] == ["finished"]
    desk.print(trade(NOON + 5 * MINUTE, 7))
    told = desk.told("1min")
    assert [(kind, bar.start_ns, bar.close) for kind, bar in told] == [("finished", NOON + 5 * MINUTE, 7)]
