"""For how long an account is blind."""

from __future__ import annotations

from actors.rules.blindness import BlindTimes, LongBlind


def test_an_account_that_is_blind_for_too_long_is_told_once() -> None:
    times = BlindTimes(10.0)
    assert times.look({7: "down"}, 0.0) == ()
    assert times.look({7: "down"}, 9.9) == ()
    assert times.look({7: "still down"}, 10.0) == (LongBlind(7, 10.0, "still down"),)
    assert times.look({7: "still down"}, 60.0) == ()


def test_an_account_that_sees_again_begins_from_nothing() -> None:
    times = BlindTimes(10.0)
    times.look({7: "down"}, 0.0)
    assert times.look({}, 9.0) == ()
    assert times.look({7: "down"}, 11.0) == ()
    assert times.look({7: "down"}, 21.0) == (LongBlind(7, 10.0, "down"),)
    times.look({}, 22.0)
    times.look({7: "down"}, 23.0)
    assert times.look({7: "down"}, 33.0) == (LongBlind(7, 10.0, "down"),), "a new blindness is told again"


def test_each_account_counts_apart() -> None:
    times = BlindTimes(10.0)
    times.look({7: "down"}, 0.0)
    times.look({7: "down", 8: "silent"}, 5.0)
    assert times.look({7: "down", 8: "silent"}, 10.0) == (LongBlind(7, 10.0, "down"),)
    assert times.look({7: "down", 8: "silent"}, 15.0) == (LongBlind(8, 10.0, "silent"),)
