"""How many lines of one account connect, and when: held against the venue's own count."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.limits import RateLimit
from actors.reasons import Crashed, Fatal, Reason, Retryable, Slow
from actors.rules.connect_limit import SPREAD, ConnectLimiter, Wait, strictest, wait_of, wanted_rest
from actors.rules.restarts import RestartPolicy, Restarts, Retry

UNBOUNDED = RateLimit(1, 0.0)
LINES = [f"tplus/{number}" for number in range(200)]


def connected_at(limiter: ConnectLimiter, budget: RateLimit, knocks: dict[str, float]) -> list[float]:
    """When each line connects, in order: it knocks at its time, and again when it was told to."""
    at: list[float] = []
    while knocks:
        line = min(knocks, key=lambda each: (knocks[each], each))
        now = knocks[line]
        wait = limiter.try_acquire(line, budget, now)
        if wait:
            knocks[line] = now + wait
        else:
            at.append(now)
            del knocks[line]
    return at


@given(
    st.integers(1, 10),
    st.floats(0.1, 5.0),
    st.lists(st.floats(0.0, 20.0), min_size=1, max_size=40),
)
def test_in_no_span_of_time_are_there_more_than_the_budget(
    burst: int, interval: float, knocks: list[float]
) -> None:
    limiter = ConnectLimiter(random.Random(1))
    at = connected_at(
        limiter, RateLimit(burst, interval), {f"line/{n}": when for n, when in enumerate(knocks)}
    )
    assert len(at) == len(knocks), "every line connects in the end"
    for first, begun in enumerate(at):
        for last in range(first, len(at)):
            assert last - first + 1 <= burst + (at[last] - begun) / interval + 1e-3


def test_each_line_has_its_turn_and_waits_for_no_more_than_it() -> None:
    limiter = ConnectLimiter(random.Random(1))
    budget = RateLimit(2, 1.0)
    assert [limiter.try_acquire(line, budget, 100.0) for line in "abcde"] == [0.0, 0.0, 1.0, 2.0, 3.0]
    assert limiter.try_acquire("d", budget, 101.0) == 1.0  # too early: its turn stays where it was
    assert limiter.try_acquire("c", budget, 101.0) == 0.0


def test_where_no_limit_is_known_no_line_waits() -> None:
    limiter = ConnectLimiter(random.Random(1))
    assert [limiter.try_acquire(line, UNBOUNDED, 0.0) for line in LINES] == [0.0] * 200


@pytest.mark.parametrize(
    ("budgets", "holds"),
    [
        ([RateLimit(5, 1.0), RateLimit(2, 60.0)], RateLimit(2, 60.0)),
        ([RateLimit(2, 1.0), RateLimit(5, 60.0)], RateLimit(2, 60.0)),  # each of them is kept
        ([RateLimit(5, 1.0), UNBOUNDED], RateLimit(5, 1.0)),
        ([UNBOUNDED, UNBOUNDED], UNBOUNDED),
    ],
)
def test_the_strictest_of_several_budgets(budgets: list[RateLimit], holds: RateLimit) -> None:
    assert strictest(budgets) == holds


def test_a_budget_that_changes_forgets_no_connect() -> None:
    limiter = ConnectLimiter(random.Random(1))
    assert [limiter.try_acquire(line, RateLimit(2, 60.0), 0.0) for line in "ab"] == [0.0, 0.0]
    assert limiter.try_acquire("c", RateLimit(2, 61.0), 0.0) == 61.0
    assert limiter.try_acquire("d", RateLimit(5, 61.0), 0.0) == 0.0  # two are left, and one of them is c's
    assert limiter.try_acquire("e", RateLimit(5, 61.0), 0.0) == 0.0
    assert limiter.try_acquire("f", RateLimit(5, 61.0), 0.0) == 61.0


@given(st.integers(0, 10_000))
def test_who_waited_for_the_same_end_does_not_come_at_the_same_moment(seed: int) -> None:
    limiter = ConnectLimiter(random.Random(seed))
    assert limiter.close(130.0, "429", "cooling")
    at = connected_at(limiter, UNBOUNDED, dict.fromkeys(LINES, 100.0))
    assert len(at) == 200
    assert at[0] > 130.0
    assert at[-1] <= 130.0 + SPREAD
    tenths = [sum(130 + tenth / 10 < when <= 130 + (tenth + 1) / 10 for when in at) for tenth in range(10)]
    assert max(tenths) <= 50  # 20 are to be expected


def test_an_earlier_end_does_not_replace_a_later_one_and_one_line_may_open() -> None:
    limiter = ConnectLimiter(random.Random(1))
    assert limiter.close(130.0, "an hour's limit", "asked")
    assert not limiter.close(110.0, "a minute's limit", "cooling")
    assert not limiter.close(130.0, "the same", "cooling")
    assert (limiter.why, limiter.wait) == ("an hour's limit", "asked")
    assert limiter.try_acquire("a", UNBOUNDED, 120.0) >= 10.0
    limiter.open()
    assert limiter.try_acquire("a", UNBOUNDED, 120.0) == 0.0


@pytest.mark.parametrize(
    ("reason", "seconds", "wait"),
    [
        (Slow("", "http_429", 7.0), 7.0, "asked"),
        (Slow("", "http_503", 7.0), 7.0, "asked"),
        (Slow("", "alpaca_406", shared=True), 30.0, "cooling"),
        (Slow("", "http_429", 0.0, shared=True), 0.0, "asked"),
        (Slow("", "certificate"), 0.0, "backoff"),
        (Slow("", "login_budget", 9.0, exact=True), 0.0, "backoff"),
        (Retryable(""), 0.0, "backoff"),
        (Fatal("", "http_401"), 0.0, "backoff"),
        (Crashed(""), 0.0, "backoff"),
    ],
)
def test_what_a_venue_wants_of_all_lines(reason: Reason, seconds: float, wait: Wait) -> None:
    assert wanted_rest(reason, 30.0) == seconds
    assert wait_of(reason) == wait


# ── the herd: 200 lines after one server restart ────────────────────────────────────────────────


@given(st.integers(0, 10_000))
def test_a_herd_spreads_by_the_law_of_jitter(seed: int) -> None:
    """First tries anywhere in `initial`, later ones anywhere between half their delay and all of it."""
    chance = random.Random(seed)
    policy = RestartPolicy(initial=1.0)
    herd = [Restarts(policy, chance) for _ in LINES]
    for line in herd:
        line.stable()
    now = dict.fromkeys(range(200), 0.0)
    for attempt in range(1, 8):
        waits = []
        for number, line in enumerate(herd):
            verdict = line.ended(Retryable("server restart"), reached=False, now=now[number])
            assert isinstance(verdict, Retry)
            waits.append(verdict.delay)
            now[number] += verdict.delay
        delay = min(policy.initial * 2.0 ** (attempt - 1), policy.maximum)
        low = 0.0 if attempt == 1 else delay / 2
        assert all(low <= wait <= delay for wait in waits)
        waits.sort()
        tenth = (delay - low) / 10
        counts = [sum(low + n * tenth <= wait <= low + (n + 1) * tenth for wait in waits) for n in range(10)]
        assert max(counts) <= 50  # of 200: 20 are to be expected


@given(st.integers(0, 10_000))
def test_a_herd_stays_under_the_venue_s_cap(seed: int) -> None:
    """Binance: 300 attempts in 5 minutes from one address. Here 20, and one in 4 s."""
    chance = random.Random(seed)
    herd = {line: Restarts(RestartPolicy(), chance) for line in LINES}
    knocks = {}
    for line, law in herd.items():
        law.stable()
        verdict = law.ended(Retryable("server restart"), reached=True, now=0.0)
        assert isinstance(verdict, Retry)
        knocks[line] = verdict.delay
    at = connected_at(ConnectLimiter(chance), RateLimit(20, 4.0), knocks)
    assert len(at) == 200
    for begin in range(0, 800, 7):
        assert sum(begin <= when < begin + 60 for when in at) <= 20 + 60 / 4 + 1
    assert all(later - sooner <= 4.0 + 1e-3 for sooner, later in pairwise(at[20:])), "nor is time wasted"


def test_whether_a_line_might_connect_is_told_and_counts_nothing() -> None:
    limiter, budget = ConnectLimiter(random.Random(7)), RateLimit(1, 60.0)
    assert [limiter.is_open(budget, 0.0) for _ in range(3)] == [True] * 3
    assert limiter.try_acquire("a", budget, 0.0) == 0.0
    assert not limiter.is_open(budget, 59.0)
    assert limiter.is_open(budget, 61.0)
    limiter.close(100.0, "429", "asked")
    assert not limiter.is_open(budget, 99.0)
    assert limiter.is_open(budget, 100.0)
