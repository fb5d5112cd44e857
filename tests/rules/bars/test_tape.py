"""The tape counts each print once, takes cancelled ones out, and is bounded."""

from __future__ import annotations

import pytest

from actors.rules.bars.tape import Tape
from tests.rules.bars.venue import MINUTE, NOON, SECOND, trade


def test_an_id_comes_once_and_prints_without_one_all_count() -> None:
    tape = Tape()
    assert [tape.add(trade(NOON, id=each)) for each in ("a", "a", "b", None, None)] == [
        True,
        False,
        True,
        True,
        True,
    ]
    assert len(list(tape.between(NOON, NOON + 1))) == 4


def test_a_cancelled_print_is_taken_out_and_does_not_come_back() -> None:
    tape = Tape()
    first = trade(NOON, id="a")
    tape.add(first)
    assert tape.cancel("a") is first
    assert list(tape.between(0, NOON + MINUTE)) == []
    assert not tape.add(first)
    with pytest.raises(KeyError):
        tape.cancel("a")


def test_a_cancel_that_comes_first_counts_for_the_print_that_follows() -> None:
    tape = Tape()
    assert tape.cancel("a") is None
    assert not tape.add(trade(NOON, id="a"))


def test_prints_are_found_by_their_time() -> None:
    tape = Tape()
    prints = [trade(NOON + each * SECOND) for each in range(0, 300, 7)]
    for each in prints:
        tape.add(each)
    since, until = NOON + 30 * SECOND, NOON + 200 * SECOND
    assert list(tape.between(since, until)) == [each for each in prints if since <= each.at_ns < until]
    assert list(tape.between(0, 2**62)) == prints


def test_the_oldest_minutes_are_forgotten_and_it_says_so() -> None:
    tape = Tape(most=100)
    for each in range(250):
        tape.add(trade(NOON + each * SECOND, id=each))
    assert tape.forgotten_until_ns == NOON + 3 * MINUTE
    assert not tape.reaches(NOON)
    assert tape.reaches(NOON + 3 * MINUTE)
    assert len(list(tape.between(0, 2**62))) == 70
