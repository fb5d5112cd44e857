"""Which beat is unanswered, and how well a line is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.rules.liveness import Beats, HealthInputs, RecentRoundTrips, health

WELL = HealthInputs(live=True, rtt_ms=20.0, missed_pongs=0, restarts=0, quarantined=0, stale_topics=0)

inputs = st.builds(
    HealthInputs,
    live=st.booleans(),
    rtt_ms=st.none() | st.floats(0.0, 1e9),
    missed_pongs=st.integers(0, 1_000),
    restarts=st.integers(0, 1_000),
    quarantined=st.integers(0, 10**9),
    stale_topics=st.integers(0, 1_000),
)


def test_an_answered_beat_is_measured() -> None:
    beats = Beats()
    number = beats.beat()
    assert not beats.may_beat  # one at a time
    beats.pong(number, 0.025)
    assert beats.may_beat
    assert beats.rtt == 0.025
    assert not beats.overdue(number)


def test_an_unanswered_beat_is_judged_once() -> None:
    beats = Beats()
    number = beats.beat()
    assert beats.overdue(number)
    assert not beats.overdue(number)
    assert beats.missed == 1
    assert beats.may_beat


def test_beats_missed_in_a_row_are_counted_until_one_is_answered() -> None:
    beats = Beats()
    assert [beats.overdue(beats.beat()) for _ in range(3)] == [True] * 3
    assert beats.missed == 3
    beats.pong(beats.beat(), 0.1)
    assert beats.missed == 0


def test_the_pong_of_an_earlier_beat_answers_nothing() -> None:
    beats = Beats()
    first = beats.beat()
    beats.overdue(first)
    second = beats.beat()
    beats.pong(first, 9.0)
    assert beats.rtt is None
    assert beats.overdue(second)


def test_the_deadline_of_an_earlier_beat_has_no_meaning() -> None:
    beats = Beats()
    first = beats.beat()
    beats.pong(first, 0.1)
    beats.beat()
    assert not beats.overdue(first)


def test_a_beat_behind_unread_data_is_never_overdue() -> None:
    beats = Beats()
    number = beats.beat()
    beats.freeze()
    assert not beats.overdue(number)
    assert not beats.may_beat  # an answer could not be seen
    beats.thaw()
    assert not beats.overdue(number)
    assert beats.may_beat
    assert beats.missed == 0


def test_after_a_pause_beats_go_on_as_before() -> None:
    beats = Beats()
    beats.freeze()
    beats.thaw()
    assert beats.overdue(beats.beat())


# ── health ──────────────────────────────────────────────────────────────────────────────────────


def test_a_line_without_a_fault_scores_a_hundred() -> None:
    assert health(WELL).score == 100


def test_a_round_trip_that_was_never_measured_costs_nothing() -> None:
    assert health(replace(WELL, rtt_ms=None)).score == 100


@pytest.mark.parametrize(
    ("change", "score"),
    [
        ({"live": False}, 0),
        ({"stale_topics": 1}, 50),
        ({"decodes_nothing": True}, 50),
        ({"rtt_ms": 100.0}, 98),
        ({"rtt_ms": 60_000.0}, 80),
        ({"missed_pongs": 1}, 85),
        ({"missed_pongs": 9}, 70),
        ({"restarts": 2}, 80),
        ({"restarts": 99}, 60),
        ({"quarantined": 3}, 94),
        ({"quarantined": 10**6}, 80),
        ({"stale_topics": 1, "missed_pongs": 9, "restarts": 99}, 30),
    ],
)
def test_each_fault_has_its_price(change: dict[str, float], score: int) -> None:
    assert health(replace(WELL, **change)).score == score


@given(inputs)
def test_a_score_is_between_nothing_and_a_hundred(inputs: HealthInputs) -> None:
    score = health(inputs).score
    assert 0 <= score <= 100
    assert (score > 0) == inputs.live
    assert score <= 50 or not (inputs.stale_topics or inputs.decodes_nothing)


@given(inputs, st.sampled_from(["rtt_ms", "missed_pongs", "restarts", "quarantined", "stale_topics"]))
def test_nothing_bad_ever_improves_a_score(inputs: HealthInputs, fault: str) -> None:
    worse = replace(inputs, **{fault: (getattr(inputs, fault) or 0) + 1})
    assert health(worse).score <= health(inputs).score


@given(st.lists(st.floats(0.0, 100.0), max_size=50))
def test_recent_counts_what_is_not_older_than_its_period(pauses: list[float]) -> None:
    recent, now, times = RecentRoundTrips(period=60.0), 0.0, []
    for pause in pauses:
        now += pause
        recent.add(now)
        times.append(now)
        assert recent.count(now) == sum(time >= now - 60.0 for time in times)
