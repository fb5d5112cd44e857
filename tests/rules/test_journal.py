from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.rules.journal import DAY_NS, BlindTime, Journal, LineExit, RecoveryTimes

ENDING = LineExit(1, 0, "retryable", "lost", "Connection reset by peer", 1, 60.0, RecoveryTimes())


def test_the_way_back_is_split_where_the_time_went() -> None:
    journal = Journal()
    journal.mark("live", 0.0)  # nothing has ended yet
    journal.ended(ENDING, received_at=9.5, ended_at=10.0)
    for step, at in (("started", 10.2), ("upgraded", 10.3), ("opened", 10.35), ("live", 10.4)):
        journal.mark(step, at)
    journal.mark("live", 99.0)  # only the first time counts
    (told,) = journal.exits()
    assert told.split == RecoveryTimes(
        detect=500, wait=200, connect=100, login=50, subscribe=50, first_data=None
    )


def test_a_try_that_failed_has_an_ending_of_its_own() -> None:
    journal = Journal(keep=2)
    for number in range(4):
        journal.ended(ENDING, received_at=None, ended_at=float(number))
        journal.mark("started", number + 0.5)
    told = journal.exits()
    assert len(told) == 2
    assert told[0].split == RecoveryTimes(wait=500.0)


def test_blind_time_of_today_begins_at_midnight() -> None:
    blind = BlindTime().plus(DAY_NS - 5, DAY_NS + 7)
    assert blind.total_ns == 12
    assert blind.today_ns(DAY_NS + 8) == 7
    assert blind.today_ns(2 * DAY_NS) == 0


@given(st.lists(st.tuples(st.integers(0, 3 * DAY_NS), st.integers(0, DAY_NS)), max_size=20))
def test_today_is_never_more_than_all(interruptions: list[tuple[int, int]]) -> None:
    blind, now = BlindTime(), 0
    for since, length in sorted(interruptions):
        now = max(now, since + length)
        blind = blind.plus(since, since + length)
        total, today = blind.with_open(None, now)
        assert 0 <= today <= total == blind.total_ns
        assert blind.with_open(now, now + 10)[0] == total + 10
