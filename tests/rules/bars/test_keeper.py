"""Any order of trades, with duplicates, cancels and losses, makes the bars of the venue's own list."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from actors.protocol.bars import Bar, Print, timeframe_of
from actors.rules.bars.periods import periods_of
from tests.rules.bars.test_sessions import CME, NYSE
from tests.rules.bars.venue import HOUR, MINUTE, NOON, SECOND, Desk, Rest, ns, plain, trade
from tests.support.examples import examples

FRAMES = ("5s", "1min", "7min", "1h", "4h", "1day", "1week")

prices = st.integers(1, 10**6).map(lambda each: Decimal(each) / 100)
sizes = st.integers(1, 10**9).map(lambda each: Decimal(each) / 1000)


@st.composite
def tapes(draw: st.DrawFn, since: int = NOON - 3 * HOUR, until: int = NOON) -> list[Print]:
    """A venue's list; no two trades at one time, and each with an id."""
    times = sorted(draw(st.sets(st.integers(since, until - 1), min_size=1, max_size=40)))
    return [Print(draw(prices), draw(sizes), at, number) for number, at in enumerate(times)]


def numbers(bars: tuple[Bar, ...] | list[Bar]) -> list[Bar]:
    """Without what is said of how they were made."""
    return [structs.replace(each, exact=True, complete=True) for each in bars]


def wanted(trades: list[Print], frame: str) -> list[Bar]:
    return plain(trades, periods_of(timeframe_of(frame), None))


@given(tapes(), st.randoms(use_true_random=False), st.data())
@settings(max_examples=examples(100), deadline=None)
def test_any_order_with_duplicates_and_cancels_makes_the_bars_of_the_list(
    tape: list[Print], chance: random.Random, data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from([each.id for each in tape])))
    cancels = [Print(Decimal(0), Decimal(0), tape[0].at_ns, None, id) for id in sorted(gone)]  # type: ignore[type-var]
    again = data.draw(st.lists(st.sampled_from(tape), max_size=10))
    mixed = [*tape, *again, *cancels]
    chance.shuffle(mixed)
    desk = Desk(None, *FRAMES)
    desk.print(*mixed)
    desk.pass_time(8 * 86_400)
    left = [each for each in tape if each.id not in gone]
    for frame in FRAMES:
        assert numbers(desk.finished(frame)) == wanted(left, frame), frame
    view = desk.keeper.view([], NOON)
    assert view.duplicates >= len(again) - len(gone)


def check_nothing_is_silently_wrong(desk: Desk, frames: list[str]) -> None:
    """What is called exact is the venue's own at this moment."""
    so_far = [each for each in desk.rest.trades if each.at_ns <= desk.now_ns]
    for frame in frames:
        own = {bar.start_ns: bar for bar in wanted(so_far, frame)}
        for bar in desk.finished(frame):
            assert not bar.exact or numbers([bar]) == [own[bar.start_ns]], frame


@given(tapes(NOON - 2 * HOUR, NOON + HOUR), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_any_split_into_history_live_and_losses_makes_the_bars_of_the_list(
    tape: list[Print], data: st.DataObject
) -> None:
    """The stream begins somewhere, and breaks off once; REST tells the rest. Some trades come late."""
    frames = data.draw(st.sets(st.sampled_from(FRAMES), min_size=1).map(sorted))
    begins = data.draw(st.integers(NOON - HOUR, NOON + HOUR // 2))
    breaks, lasts = data.draw(st.integers(begins, NOON + HOUR)), data.draw(st.integers(0, HOUR // 2))
    late = data.draw(st.sets(st.sampled_from([each.id for each in tape]), max_size=3))
    desk = Desk(Rest(tape), *frames, now_ns=begins)
    desk.keeper.live(begins)
    steps = [(each.at_ns + (30 * SECOND if each.id in late else 0), each) for each in tape]
    steps = [each for each in steps if each[1].at_ns >= begins]
    is_lost = False
    for at, each in sorted(steps, key=lambda step: step[0]):
        while desk.now_ns + 20 * MINUTE < at:
            desk.pass_time(20 * 60.0)
        desk.pass_time((at - desk.now_ns) / SECOND)
        if breaks <= each.at_ns < breaks + lasts:
            if not is_lost:
                desk.keeper.down(desk.now_ns, "cut")
            is_lost = True
            continue
        if is_lost:
            desk.keeper.live(desk.now_ns)
            desk.keeper.gap(breaks, desk.now_ns)
            is_lost = False
        desk.print(each)
        if not late:
            check_nothing_is_silently_wrong(desk, frames)
    for day in range(9):
        desk.pass_time(86_400)
        if is_lost and not day:
            desk.keeper.live(desk.now_ns)
            desk.keeper.gap(breaks, desk.now_ns)
        later = trade(desk.now_ns, id=f"later {day}")
        desk.rest.trades.append(later)
        desk.print(later)
    desk.pass_time(60.0)
    desk.pass_time(60.0)
    for frame in frames:
        shown = desk.finished(frame)
        assert all(each.exact and each.complete for each in shown), frame
        first, last = shown[0].start_ns, shown[-1].end_ns
        expected = [
            each for each in wanted(desk.rest.trades, frame) if first <= each.start_ns and each.end_ns <= last
        ]
        assert numbers(shown) == expected, frame
        assert first <= max(begins, tape[0].at_ns), frame


def test_days_of_two_zones_are_told_apart() -> None:
    """A handler of days in Chicago is not told of days in New York."""
    desk = Desk()
    for calendar in (CME, NYSE):
        desk.add("1day", calendar)
    desk.keeper.live(desk.now_ns)
    desk.now_ns = ns("2026-12-01T03:00:00Z")
    desk.print(Print(Decimal(7), Decimal(1), desk.now_ns))
    desk.pass_time(2 * 3_600 + 5)  # midnight in New York, and 23:00 in Chicago
    told = [(name, event.bar.end_ns) for name, event in desk.keeper.take_told()]
    assert told == [((timeframe_of("1day"), NYSE), ns("2026-12-01T05:00:00Z"))]


# ── the clocks of the venue and of this host ──


@pytest.mark.parametrize("ahead", [0, 3, -3, 15, -15, 60, -60, 200, -200], ids="the venue {:+} s".format)
@pytest.mark.parametrize("seed", range(4))
def test_no_bar_is_called_exact_that_is_not_however_far_the_clocks_are_apart(seed: int, ahead: int) -> None:
    """`ahead`: seconds by which the venue's clock is ahead. The stream is lost once for two of the seeds."""
    chance, skew = random.Random(seed), ahead * SECOND
    began = NOON + chance.randrange(HOUR)
    tape, at = [], began + skew - 6 * MINUTE
    while at < began + skew + 4 * MINUTE:
        at += 1 + int(chance.expovariate(0.1 + seed % 2) * SECOND)
        price = Decimal(chance.randrange(9_000, 11_000)) / 100
        tape.append(Print(price, Decimal(chance.randrange(1, 50)), at, at))
    desk = Desk(Rest(tape, "1h 1min 1s"), "15s", "1min", now_ns=began, history=5)
    desk.keeper.live(began)
    lost = began + chance.randrange(20, 120) * SECOND if seed < 2 else None
    back = None if lost is None else lost + chance.randrange(1, 40) * SECOND
    coming = [each for each in tape if each.at_ns - skew >= began]
    is_down = False
    for step in range(180):
        desk.now_ns += SECOND
        if lost is not None and back is not None and not is_down and lost <= desk.now_ns < back:
            is_down = True
            desk.keeper.down(desk.now_ns, "cut")
        elif is_down and back is not None and desk.now_ns >= back:
            is_down = False
            desk.keeper.live(desk.now_ns)
            desk.keeper.gap(lost or back, desk.now_ns)
        while coming and coming[0].at_ns - skew <= desk.now_ns:
            each = coming.pop(0)
            if not is_down:
                desk.keeper.print(each, each.at_ns - skew, 1)
        desk.keeper.tick(desk.now_ns)
        for wanted_now in desk.keeper.wanted(desk.now_ns):
            told = desk.rest.tell(wanted_now, desk.now_ns + skew)
            desk.keeper.answered(wanted_now, told, desk.now_ns, desk.now_ns)
        if step % 5 == 0:
            so_far = [each for each in tape if each.at_ns <= desk.now_ns + skew]
            for frame in ("15s", "1min"):
                own = {bar.start_ns: bar for bar in wanted(so_far, frame)}
                forming = desk.forming(frame)
                for bar in (*desk.finished(frame), *([] if forming is None else [forming])):
                    assert not bar.exact or numbers([bar]) == [own[bar.start_ns]], (frame, step)
    assert any(bar.exact for bar in desk.finished("15s")[-6:])


def test_the_end_of_one_gap_does_not_end_another_one_of_the_same_time() -> None:
    desk = Desk(None, "1min")
    desk.keeper.live(desk.now_ns)
    desk.print(trade(NOON + 10 * SECOND, id=1))
    dropped = NOON + 70 * SECOND, NOON + 80 * SECOND
    lost = NOON + 65 * SECOND, NOON + 85 * SECOND
    desk.keeper.gap(*dropped)
    desk.keeper.gap(*lost)
    desk.print(trade(NOON + 110 * SECOND, id=2))
    desk.keeper.mended(*lost)
    desk.pass_time(130.0)
    assert not desk.finished("1min")[-1].exact
    desk.keeper.mended(*dropped)
    assert desk.finished("1min")[-1].exact
