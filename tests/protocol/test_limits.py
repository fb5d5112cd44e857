"""A budget: so many at once, and then one in each interval, whoever asks and however often."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actors.protocol.limits import RateLimit, TokenBucket, closed_for
from actors.protocol.venue import Venue
from actors.reasons import Fatal, Reason, Retryable, Slow, Stopped
from actors.venues import VENUES

ROUNDING = 1e-4  # for sums of floats

budgets = st.builds(RateLimit, st.integers(1, 20), st.floats(0.01, 3_600.0))
pauses = st.lists(st.floats(0.0, 10_000.0) | st.just(0.0), max_size=60)
starts = st.floats(0.0, 1e8)  # a machine may be up for three years


@settings(deadline=None)
@given(budgets, starts, pauses)
def test_no_window_of_time_holds_more_than_the_budget_allows(
    budget: RateLimit, start: float, pauses: list[float]
) -> None:
    bucket, now, allowed = TokenBucket(budget), start, list[float]()
    for pause in pauses:
        now += pause
        if not bucket.take(now):
            allowed.append(now)
    for first, begin in enumerate(allowed):
        for last in range(first, len(allowed)):
            most = budget.burst + (allowed[last] - begin) / budget.interval
            assert last - first + 1 <= most * (1 + ROUNDING) + ROUNDING


@settings(deadline=None)
@given(budgets, starts, pauses)
def test_a_client_that_waits_as_long_as_it_is_told_is_let_in(
    budget: RateLimit, start: float, pauses: list[float]
) -> None:
    bucket, now = TokenBucket(budget), start
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        assert 0.0 <= wait <= budget.interval * (1 + ROUNDING)
        if wait:
            now += wait
            assert bucket.take(now) == 0.0


@settings(deadline=None)
@given(budgets, starts, pauses, st.floats(0.01, 10_000.0))
def test_a_venue_that_has_had_enough_is_left_alone_for_so_long(
    budget: RateLimit, start: float, pauses: list[float], seconds: float
) -> None:
    assume(seconds > budget.interval / 100)
    bucket, now = TokenBucket(budget), start
    for pause in pauses:
        now += pause
        bucket.take(now)
    bucket.leave(now, seconds)
    wait = bucket.take(now)
    assert wait >= seconds * 0.99
    assert wait <= max(seconds, budget.interval) * (1 + ROUNDING) + ROUNDING
    assert bucket.take(now + wait) == 0.0
    assert bucket.take(now + wait) > 0.0  # one, and no burst


@settings(deadline=None)
@given(budgets, starts, st.integers(1, 100))
def test_asking_in_vain_costs_nothing(budget: RateLimit, start: float, times: int) -> None:
    patient, pushing = TokenBucket(budget), TokenBucket(budget)
    for bucket in (patient, pushing):
        for _ in range(budget.burst):
            assert bucket.take(start) == 0.0
    for _ in range(times):
        assert pushing.take(start) > 0.0
    assert pushing.take(start) == patient.take(start)


@settings(deadline=None)
@given(budgets, starts, st.lists(st.booleans(), max_size=40))
def test_what_is_given_back_was_never_taken(budget: RateLimit, start: float, counts: list[bool]) -> None:
    bucket, other = TokenBucket(budget), TokenBucket(budget)
    for it_counts in counts:
        allowed = bucket.take(start) == 0.0
        if it_counts:
            other.take(start)
        elif allowed:
            bucket.give_back()
    assert bucket.take(start) == pytest.approx(other.take(start))


def test_what_is_given_back_makes_no_burst_greater() -> None:
    bucket = TokenBucket(RateLimit(2, 60.0))
    bucket.give_back()
    assert [bucket.take(1.0) == 0.0 for _ in range(3)] == [True, True, False]


@settings(deadline=None)
@given(budgets, starts)
def test_at_first_and_after_a_long_rest_the_whole_burst_is_there(budget: RateLimit, start: float) -> None:
    bucket = TokenBucket(budget)
    for now in (start, start + 2 * budget.burst * budget.interval):
        assert [bucket.take(now) for _ in range(budget.burst)] == [0.0] * budget.burst
        assert bucket.take(now) > 0.0


def test_without_an_interval_there_is_no_limit() -> None:
    bucket = TokenBucket(RateLimit(0, 0.0))
    assert [bucket.take(1.0) for _ in range(100)] == [0.0] * 100


def test_tplus_counts_two_requests_for_a_login_and_a_hundred_in_half_an_hour() -> None:
    bucket = TokenBucket(VENUES["tplus"].login_budget)
    logins = sum(bucket.take(float(second)) == 0.0 for second in range(1800))
    assert 10 <= logins <= 40


@pytest.mark.parametrize("venue", VENUES.values(), ids=VENUES)
def test_the_budgets_of_each_venue_give_something_back(venue: type[Venue]) -> None:
    for budget in (venue.login_budget, venue.latest_budget):
        assert budget.burst >= 1
        assert budget.interval > 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(budgets, st.floats(0.0, 100.0)), min_size=1, max_size=40))
def test_a_budget_that_changes_counts_what_was_taken(changes: list[tuple[RateLimit, float]]) -> None:
    """At no moment are more allowed at once than the present budget says."""
    bucket, now = TokenBucket(changes[0][0]), 0.0
    for budget, pause in changes:
        now += pause
        bucket.adjust(budget, now)
        taken = 0
        while not bucket.take(now):
            taken += 1
        assert taken <= budget.burst
        assert 0.0 < bucket.take(now) <= budget.interval * budget.burst * 25 + budget.interval


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("retry after 30", 30.0),
        ("Too many requests, retry after 1.5 seconds", 1.5),
        ('{"error": "banned", "retry_after": 90}', 90.0),
        ('{"retry_after_ms":2500}', 2.5),
        ("Retry-After: 250ms", 0.25),
        ("Please try again in 2 minutes.", 120.0),
        ("maintenance: reconnect in 1 hour", 3_600.0),
        ("retry in 5s", 5.0),
        ("retry after 999999999999", 999_999_999_999.0),
        ("retry after 9999999999999", None),
        ("retry limit 5 exceeded", None),
        ("no pong for 10 s", None),
        ("retry after a while", None),
        ("retry after -5", None),
        ("retry after 5 x", 5.0),
        ("", None),
    ],
)
@pytest.mark.parametrize(
    "reason", [Retryable("t", "close_1013"), Fatal("t", "close_1013"), Slow("t", "close_1013")]
)
def test_a_close_frame_may_name_a_time(reason: Reason, words: str, seconds: float | None) -> None:
    expected = reason if seconds is None else Slow("t", "close_1013", seconds, shared=True)
    assert closed_for(reason, words) == expected


def test_what_is_no_refusal_stays_what_it_is() -> None:
    assert closed_for(Stopped("retry after 5"), "retry after 5") == Stopped("retry after 5")


@given(budgets, starts, pauses)
def test_whether_one_is_allowed_is_told_and_costs_nothing(
    budget: RateLimit, start: float, pauses: list[float]
) -> None:
    bucket, now = TokenBucket(budget), start
    for pause in pauses:
        now += pause
        assert bucket.has_one(now) == bucket.has_one(now) == (bucket.take(now) == 0.0)
    assert TokenBucket(RateLimit(1, 0.0)).has_one(start)
