"""A dead man's switch: who is armed, who is overdue, and which looks judge."""

from __future__ import annotations

import pytest

from actors.rules.dead_mans_switch import LONGEST_NAME, MOST_NAMES, DeadMansSwitch, Rounds, Silence


def test_a_program_that_never_beat_is_not_armed() -> None:
    switch = DeadMansSwitch(5.0)
    assert switch.overdue(1_000.0) == ()
    assert switch.armed == ()


def test_the_first_beat_arms_it_and_silence_makes_it_overdue() -> None:
    switch = DeadMansSwitch(5.0)
    assert switch.beat("bot", 10.0)
    assert not switch.beat("bot", 12.0)
    assert switch.overdue(17.0) == ()
    assert switch.overdue(17.5) == (Silence("bot", 5.5),)


def test_each_program_of_a_feed_is_watched_apart() -> None:
    switch = DeadMansSwitch(5.0)
    switch.beat("one", 0.0)
    switch.beat("two", 4.0)
    assert [each.name for each in switch.overdue(6.0)] == ["one"]
    assert switch.armed == ("one", "two")


def test_a_program_that_is_disarmed_is_not_overdue_before_it_beats_again() -> None:
    switch = DeadMansSwitch(5.0)
    switch.beat("bot", 0.0)
    assert switch.disarm("bot")
    assert not switch.disarm("bot")
    assert switch.overdue(100.0) == ()
    assert switch.beat("bot", 100.0)


def test_what_was_armed_before_a_restart_counts_from_the_start() -> None:
    switch = DeadMansSwitch(5.0, ("bot",), 100.0)
    assert switch.overdue(105.0) == ()
    assert switch.overdue(105.5) == (Silence("bot", 5.5),)


def test_an_older_beat_that_is_read_late_takes_nothing_back() -> None:
    switch = DeadMansSwitch(5.0)
    switch.beat("bot", 10.0)
    switch.beat("bot", 9.0)
    assert switch.overdue(15.0) == ()


def test_names_and_their_number_are_bounded() -> None:
    switch = DeadMansSwitch(5.0)
    with pytest.raises(ValueError, match="at most"):
        switch.beat("b" * (LONGEST_NAME + 1), 0.0)
    for number in range(MOST_NAMES):
        switch.beat(str(number), 0.0)
    with pytest.raises(ValueError, match="at most"):
        switch.beat("one more", 0.0)
    switch.beat("0", 1.0)


def test_a_round_that_is_late_by_more_than_half_its_period_judges_nothing() -> None:
    rounds = Rounds(1.0, 0.0)
    assert rounds.begin(1.0)
    assert rounds.begin(2.5)
    assert not rounds.begin(4.1)
    assert rounds.due == pytest.approx(5.1)
    assert rounds.begin(5.1)
