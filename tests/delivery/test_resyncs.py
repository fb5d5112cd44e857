"""One resync for all who wait, at most once per back-off."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.delivery.resyncs import FIRST_WAIT, LONGEST_WAIT, Resyncs
from tests.delivery.streams import A, B


def test_the_first_is_due_at_once_and_serves_all_who_wait() -> None:
    resyncs = Resyncs()
    assert not resyncs.wanted
    assert resyncs.next_in(5.0) == math.inf
    resyncs.want(A)
    resyncs.want(A)
    assert resyncs.wanted
    assert resyncs.next_in(5.0) == 0.0
    assert resyncs.take(5.0) == (A,)
    assert not resyncs.wanted
    assert resyncs.take(5.0) == ()


def test_the_next_waits_twice_as_long_each_time_up_to_a_limit() -> None:
    resyncs, now, waits = Resyncs(), 0.0, []
    for _ in range(8):
        resyncs.want(A)
        assert resyncs.take(now) == (A,)
        resyncs.want(A)
        waits.append(resyncs.next_in(now))
        assert resyncs.take(now + waits[-1] - 0.01) == ()
        now += waits[-1]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert (waits[0], waits[-1]) == (FIRST_WAIT, LONGEST_WAIT)


def test_a_topic_that_was_left_alone_begins_anew() -> None:
    resyncs, now = Resyncs(), 0.0
    for _ in range(4):
        resyncs.want(A)
        assert resyncs.take(now) == (A,)
        now += 8.0
    now += 2 * LONGEST_WAIT
    resyncs.want(A)
    assert resyncs.take(now) == (A,)
    resyncs.want(A)
    assert resyncs.next_in(now) == FIRST_WAIT


def test_a_topic_that_has_gone_leaves_nothing_behind() -> None:
    resyncs = Resyncs()
    resyncs.want(A)
    resyncs.take(0.0)
    resyncs.want(A)
    resyncs.drop(A)
    assert (bool(resyncs.wanted), resyncs.next_in(0.0)) == (False, math.inf)
    assert not resyncs._pauses
    resyncs.want(A)
    assert resyncs.take(0.0) == (A,)


def test_one_topic_does_not_wait_for_another() -> None:
    resyncs = Resyncs()
    resyncs.want(A)
    resyncs.take(0.0)
    resyncs.want(A)
    resyncs.want(B)
    assert resyncs.next_in(0.5) == 0.0
    assert resyncs.take(0.5) == (B,)
    assert resyncs.next_in(0.5) == pytest.approx(0.5)


def test_what_started_anew_by_itself_is_not_resynced() -> None:
    resyncs = Resyncs()
    resyncs.want(A)
    resyncs.forget(A)
    assert not resyncs.wanted
    assert resyncs.take(0.0) == ()


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.floats(0.0, 3.0)), max_size=40))
def test_never_sooner_than_the_first_wait(wants: list[tuple[object, float]]) -> None:
    resyncs, now, last = Resyncs(), 0.0, dict[object, float]()
    for topic, pause in wants:
        now += pause
        resyncs.want(topic)  # type: ignore[arg-type]
        for taken in resyncs.take(now):
            assert now >= last.get(taken, -math.inf) + FIRST_WAIT
            last[taken] = now
