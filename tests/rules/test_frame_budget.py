"""A venue that counts never gets more than its limit, by a network that shifts frames a little."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.limits import FrameLimit
from actors.rules.frame_budget import JITTER, LONG, FrameBudget

LIMITS = st.builds(FrameLimit, st.integers(1, 8), st.sampled_from([0.5, 1.0, 5.0, LONG + 1.0]))


@given(
    st.lists(LIMITS, min_size=1, max_size=3),
    st.lists(st.tuples(st.booleans(), st.floats(0.0, 2.0)), max_size=60),
)
def test_no_window_has_more_than_its_limit(
    limits: list[FrameLimit], wishes: list[tuple[bool, float]]
) -> None:
    budget, now = FrameBudget(limits), 0.0
    left: list[tuple[float, bool]] = []
    for control, pause in wishes:
        now += pause
        if not budget.wait(now, control=control):
            budget.spend(now, control=control)
            left.append((now, control))
    for limit in limits:
        counted = [at for at, control in left if limit.seconds <= LONG or not control]
        for since in counted:
            assert sum(since <= at < since + limit.seconds + JITTER for at in counted) <= limit.frames


@given(st.lists(LIMITS, min_size=1, max_size=3), st.integers(0, 40))
def test_so_many_frames_take_the_time_that_is_foretold(limits: list[FrameLimit], frames: int) -> None:
    budget, now = FrameBudget(limits), 0.0
    for number in range(frames):
        while wait := budget.wait(now):
            now += wait
        budget.spend(now)
        assert now <= budget.time_for(number + 1) + 1e-6 * frames or len(limits) > 1
    assert budget.time_for(frames) <= now + 1e-6


def test_one_frame_is_left_for_a_heartbeat() -> None:
    budget = FrameBudget([FrameLimit(5, 1.0)])
    for room in (4, 3, 2, 1):
        assert budget.room(0.0) == room
        assert budget.wait(0.0) == 0.0
        budget.spend(0.0)
    assert budget.wait(0.0) == pytest.approx(1.0 + JITTER)
    assert budget.wait(0.0, control=True) == 0.0
    budget.spend(0.0, control=True)
    assert budget.wait(0.0, control=True) > 0.0


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_a_flood_of_heartbeats_leaves_a_frame_of_each_limit(frames: int) -> None:
    budget, seconds, left = FrameBudget([FrameLimit(frames, 1.0)]), 0.0, 0
    while seconds < 20.0:
        while not budget.wait(seconds, control=True):
            budget.spend(seconds, control=True)
        if budget.room(seconds):
            budget.spend(seconds)
            left += 1
        seconds += 0.125
    assert left >= 10


def test_a_limit_of_an_hour_is_one_of_requests() -> None:
    budget = FrameBudget([FrameLimit(3, 3600.0)])
    for _ in range(10):
        assert budget.wait(0.0, control=True) == 0.0
        budget.spend(0.0, control=True)
    assert budget.wait(0.0) == 0.0


def test_what_has_left_counts_for_a_limit_that_is_new() -> None:
    budget = FrameBudget([FrameLimit(5, 1.0), FrameLimit(480, 3600.0)])
    for at in (0.0, 0.0, 0.5):
        budget.spend(at)
    budget.spend(0.5, control=True)
    budget.take_limits([FrameLimit(4, 1.0), FrameLimit(5, 3600.0)])
    assert budget.room(0.6) == 0
    assert budget.wait(0.6) == pytest.approx(3600.0 - 0.6 + JITTER)
    budget.take_limits([FrameLimit(4, 1.0)])
    assert budget.room(1.3) == 1


def test_a_limit_that_stays_keeps_its_count() -> None:
    budget = FrameBudget([FrameLimit(1, 1.0)])
    budget.spend(0.0)
    budget.take_limits([FrameLimit(1, 1.0), FrameLimit(9, 1.0)])
    assert budget.wait(0.5) == pytest.approx(0.5 + JITTER)
    assert budget.room(0.5) == 0
    budget.take_limits([])
    assert budget.room(0.5) > 1_000_000
    assert budget.wait(0.5) == 0.0
    assert budget.time_for(1000) == 0.0
