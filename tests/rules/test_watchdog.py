"""Who is wedged, judged by what inboxes show: no thread, no clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.rules.watchdog import Watchdog

TIMEOUT = 10.0
PERIOD = TIMEOUT / 2


def looks(*shown: tuple[int, bool], lateness: tuple[float, ...] = ()) -> list[bool]:
    """One actor's serial and whether it is busy, look by look; which of the looks find it wedged."""
    watchdog: Watchdog[str] = Watchdog(TIMEOUT)
    late = lateness + (0.0,) * (len(shown) - len(lateness))
    now, found = 100.0, []
    for (serial, busy), by in zip(shown, late, strict=True):
        now += by
        found.append(watchdog.look([("it", serial, busy)], now) == ["it"])
        now += watchdog.period
    return found


def test_the_same_letter_for_the_whole_time_is_wedged() -> None:
    assert looks((7, True), (7, True), (7, True)) == [False, False, True]


def test_progress_at_each_look_is_not_wedged_however_much_waits() -> None:
    assert not any(looks(*[(serial, True) for serial in range(20)]))


def test_the_last_moment_saves_it() -> None:
    assert looks((7, True), (7, True), (8, True), (8, True), (8, True)) == [False] * 4 + [True]


def test_an_idle_actor_is_not_wedged() -> None:
    assert not any(looks(*[(7, False)] * 20))


def test_time_counts_from_the_letter_and_not_from_the_idleness_before_it() -> None:
    assert looks((7, False), (7, False), (7, True), (7, True), (7, True)) == [False] * 4 + [True]


def test_a_look_between_two_letters_makes_it_idle_then() -> None:
    assert not any(looks((7, True), (7, False), (7, True), (7, False)))


def test_a_late_look_judges_nothing_and_counts_anew() -> None:
    shown = [(7, True)] * 5
    late = PERIOD / 2 + 0.1
    assert looks(*shown, lateness=(0.0, 0.0, late)) == [False] * 4 + [True]
    at_the_bound = (0.0, 0.0, PERIOD / 2)
    assert looks(*shown, lateness=at_the_bound) == [False, False, True, True, True]


def test_a_process_that_stood_still_finds_none_of_its_actors_wedged() -> None:
    shown = [(7, True), (7, True), (7, True), (8, True)]
    assert not any(looks(*shown, lateness=(0.0, 0.0, 3_600.0)))


def test_each_actor_is_judged_alone_and_a_successor_from_its_own_start() -> None:
    watchdog: Watchdog[str] = Watchdog(TIMEOUT)
    assert watchdog.look([("one", 1, True), ("two", 1, True)], 0.0) == []
    assert watchdog.look([("one", 1, True), ("two", 2, True)], 5.0) == []
    assert watchdog.look([("one", 1, True), ("two", 3, True)], 10.0) == ["one"]
    assert watchdog.look([("one's successor", 1, True), ("two", 4, True)], 15.0) == []
    assert watchdog.look([("one's successor", 1, True), ("two", 4, True)], 20.0) == []
    assert watchdog.look([("one's successor", 1, True), ("two", 4, True)], 25.0) == ["one's successor", "two"]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_wedged_means_busy_with_one_serial_at_three_looks_in_a_row(shown: list[tuple[int, bool]]) -> None:
    three = zip(shown, shown[1:], shown[2:], strict=False)
    meant = [one[0] == two[0] == now[0] and one[1] and two[1] and now[1] for one, two, now in three]
    assert looks(*shown) == ([False, False, *meant])[: len(shown)]
