"""The law of coming back: how long a lost line waits, what parks it, and what makes it forget."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.reasons import Crashed, Fatal, Reason, Retryable, Slow, Stopped, Weather
from actors.rules.restarts import (
    SLOW_MAXIMUM,
    Intensity,
    Park,
    RestartPolicy,
    Restarts,
    RestDelay,
    Retry,
    Verdict,
)

LOST = Retryable("the venue is gone")
FATAL = Fatal("login refused", "http_401")
DOWN = False  # the venue was not reached
UP = True

policies = st.builds(
    RestartPolicy,
    initial=st.floats(0.01, 10.0),
    maximum=st.floats(10.0, 600.0),
    multiplier=st.floats(1.0, 1000.0),
)
chances = st.integers().map(random.Random)


def line(chance: random.Random | None = None, **policy: Any) -> Restarts:
    return Restarts(RestartPolicy(**policy), chance or random.Random(7))


def delay_of(verdict: Verdict) -> float:
    assert isinstance(verdict, Retry)
    return verdict.delay


def die_in_vain(restarts: Restarts, times: int, reason: Reason = LOST) -> list[float]:
    """The delays after so many attempts that did not reach the venue."""
    return [delay_of(restarts.ended(reason, reached=DOWN, now=float(now))) for now in range(times)]


def die_young(restarts: Restarts, times: int, now: float = 0.0) -> list[Verdict]:
    return [restarts.ended(LOST, reached=UP, now=now) for _ in range(times)]


# ── the back-off ────────────────────────────────────────────────────────────────────────────────


@given(policies, chances, st.integers(1, 80))
def test_a_delay_is_between_half_of_the_step_and_all_of_it(
    policy: RestartPolicy, chance: random.Random, tries: int
) -> None:
    for number, delay in enumerate(die_in_vain(Restarts(policy, chance), tries)):
        step = min(policy.initial * policy.multiplier ** min(number, 64), policy.maximum)
        assert step * 0.5 <= delay <= step


class Highest(random.Random):
    """Chance at its upper end: a delay is its whole step."""

    def uniform(self, a: float, b: float) -> float:
        return b


@given(policies)
def test_steps_grow_by_the_multiplier_up_to_the_cap(policy: RestartPolicy) -> None:
    steps = die_in_vain(Restarts(policy, Highest()), 40)
    assert steps[0] == policy.initial
    for former, later in pairwise(steps):
        assert later == pytest.approx(min(former * policy.multiplier, policy.maximum))


@given(chances)
def test_jitter_is_alive_at_the_cap(chance: random.Random) -> None:
    at_the_cap = die_in_vain(line(chance), 120)[20:]
    assert len(set(at_the_cap)) > 90
    assert all(15.0 <= delay <= 30.0 for delay in at_the_cap)
    assert max(at_the_cap) - min(at_the_cap) > 10.0


def test_a_line_may_be_down_for_months() -> None:
    restarts = line(multiplier=1000.0)
    assert all(delay <= 30.0 for delay in die_in_vain(restarts, 10_000))
    assert restarts.attempt == 10_000


# ── after a healthy life ────────────────────────────────────────────────────────────────────────


@given(chances, st.booleans())
def test_the_first_try_after_a_healthy_life_comes_within_initial(
    chance: random.Random, reached: bool
) -> None:
    delays = []
    for _ in range(100):
        restarts = line(chance, initial=2.0)
        restarts.stable()
        delays.append(delay_of(restarts.ended(LOST, reached=reached, now=0.0)))
    assert all(0.0 <= delay <= 2.0 for delay in delays)
    assert min(delays) < 0.5
    assert max(delays) > 1.5  # uniform, not the jitter of a step


def test_the_second_try_after_a_healthy_life_backs_off() -> None:
    restarts = line(Highest(), initial=1.0)
    restarts.stable()
    assert die_in_vain(restarts, 3) == [1.0, 2.0, 4.0]


def test_a_slow_reason_overrules_the_first_try() -> None:
    restarts = line()
    restarts.stable()
    assert delay_of(restarts.ended(Slow("too many", "http_429"), reached=UP, now=0.0)) == 30.0


def test_only_a_stable_life_resets_the_attempts() -> None:
    restarts = line(max_restarts=100)
    die_in_vain(restarts, 5)
    die_young(restarts, 4)
    assert restarts.attempt == 9
    restarts.stable()
    assert restarts.attempt == 0
    verdict = restarts.ended(LOST, reached=UP, now=0.0)
    assert isinstance(verdict, Retry)
    assert verdict.attempt == 1


def test_a_healthy_life_that_was_stopped_lends_its_health_to_no_other() -> None:
    restarts = line(max_restarts=0)
    restarts.stable()
    assert restarts.ended(Stopped("paused"), reached=UP, now=0.0) == RestDelay()
    assert isinstance(restarts.ended(LOST, reached=UP, now=1.0), Park)  # this one did die young


# ── slow reasons ────────────────────────────────────────────────────────────────────────────────


def test_a_slow_reason_waits_long_and_doubles_to_its_own_maximum() -> None:
    waits = die_in_vain(line(), 7, Slow("connection limit exceeded", "406"))
    assert waits == [30.0, 60.0, 120.0, 240.0, SLOW_MAXIMUM, SLOW_MAXIMUM, SLOW_MAXIMUM]


@given(st.floats(0.0, 86_400.0), st.integers(1, 30))
def test_a_venue_that_names_its_time_gets_at_least_that(retry_after: float, turns: int) -> None:
    waits = die_in_vain(line(), turns, Slow("too many", "http_429", retry_after))
    assert waits[-1] == max(retry_after, min(30.0 * 2.0 ** (turns - 1), SLOW_MAXIMUM))


def test_a_slow_reason_without_a_time_waits_as_the_policy_says_however_short() -> None:
    assert die_in_vain(line(slow_initial=0.25), 2, Slow("too many", "http_429")) == [0.25, 0.5]


def test_slow_turns_are_counted_in_a_row() -> None:
    restarts, slow = line(), Slow("too many", "http_429")
    assert die_in_vain(restarts, 2, slow) == [30.0, 60.0]
    die_in_vain(restarts, 1)
    assert die_in_vain(restarts, 1, slow) == [30.0]


# ── the budget ──────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 30))
def test_more_young_deaths_than_the_budget_park_the_line(budget: int) -> None:
    *allowed, last = die_young(line(max_restarts=budget), budget + 1)
    assert all(isinstance(verdict, Retry) for verdict in allowed)
    assert last == Park(60.0)


def test_attempts_that_never_reached_the_venue_never_park() -> None:
    restarts = line(max_restarts=0, period=1e9)
    die_in_vain(restarts, 2_000)
    assert not restarts.parked


def test_young_deaths_further_apart_than_the_period_never_park() -> None:
    restarts = line(max_restarts=2, period=100.0)
    verdicts = [restarts.ended(LOST, reached=UP, now=now * 51.0) for now in range(50)]
    assert all(isinstance(verdict, Retry) for verdict in verdicts)


def test_a_young_death_counts_until_the_period_is_over() -> None:
    restarts = line(max_restarts=1, period=100.0)
    assert isinstance(restarts.ended(LOST, reached=UP, now=0.0), Retry)
    assert isinstance(restarts.ended(LOST, reached=UP, now=100.0), Park)


@given(st.lists(st.tuples(st.floats(0.0, 50.0), st.booleans()), max_size=60), st.integers(0, 5))
def test_the_budget_is_a_window(deaths: list[tuple[float, bool]], budget: int) -> None:
    restarts, now, young = line(max_restarts=budget, period=60.0), 0.0, []
    for pause, reached in deaths:
        now += pause
        young += [now] if reached else []
        spent = sum(death >= now - 60.0 for death in young) > budget
        verdict = restarts.ended(LOST, reached=reached, now=now)
        assert isinstance(verdict, Park) == spent or not reached
        if restarts.parked:
            return


def test_a_life_that_was_stable_is_not_a_young_death() -> None:
    restarts = line(max_restarts=0)
    for now in range(100):
        restarts.stable()
        assert isinstance(restarts.ended(LOST, reached=UP, now=float(now)), Retry)


def test_a_stable_life_gives_the_budget_back() -> None:
    restarts = line(max_restarts=3)
    die_young(restarts, 3)
    restarts.stable()
    assert all(isinstance(verdict, Retry) for verdict in die_young(restarts, 4))


# ── parked ──────────────────────────────────────────────────────────────────────────────────────


def parked(**policy: Any) -> Restarts:
    restarts = line(max_restarts=0, **policy)
    assert isinstance(restarts.ended(LOST, reached=UP, now=0.0), Park)
    return restarts


def test_without_a_probe_interval_a_parked_line_waits_for_a_command() -> None:
    assert parked(probe_interval=0.0).ended(LOST, reached=DOWN, now=1.0) == Park(None)


@pytest.mark.parametrize("reached", [UP, DOWN])
def test_a_failed_probe_parks_again_at_once(reached: bool) -> None:
    restarts = parked(probe_interval=60.0)
    probes = [restarts.ended(LOST, reached=reached, now=1e6 * turn) for turn in range(1, 20)]
    assert probes == [Park(60.0)] * 19


def test_a_failed_probe_parks_again_when_the_young_deaths_lie_behind_the_period() -> None:
    restarts = line(max_restarts=2, period=100.0)
    assert isinstance(die_young(restarts, 3)[-1], Park)
    assert restarts.parked
    assert restarts.ended(LOST, reached=UP, now=1_000.0) == Park(60.0)


def test_a_probe_comes_within_a_second_if_the_policy_says_so() -> None:
    assert parked(probe_interval=0.5).ended(LOST, reached=DOWN, now=1.0) == Park(0.5)


def test_a_probe_waits_for_as_long_as_the_venue_asks() -> None:
    assert parked().ended(Slow("too many", "http_429", 900.0), reached=DOWN, now=60.0) == Park(900.0)


OURS = Slow("too many logins in a row", "login_budget", 7.5, exact=True)


def test_a_wait_that_we_reckoned_ourselves_is_taken_as_it_is_however_often() -> None:
    assert die_in_vain(line(), 20, OURS) == [7.5] * 20


def test_a_wait_of_ours_makes_no_wait_for_the_venue_longer_or_shorter() -> None:
    restarts, slow = line(), Slow("too many", "http_429")
    waits = [delay_of(restarts.ended(each, reached=DOWN, now=0.0)) for each in (OURS, slow, OURS, slow)]
    assert waits == [7.5, 30.0, 7.5, 60.0]


def test_a_stable_probe_ends_the_parking() -> None:
    restarts = parked()
    restarts.stable()
    assert isinstance(restarts.ended(LOST, reached=UP, now=1.0), Retry)


def test_clear_undoes_everything() -> None:
    restarts = line(Highest(), max_restarts=1, initial=1.0)
    die_young(restarts, 2)
    assert restarts.ended(Slow("too many", "http_429"), reached=DOWN, now=1.0) == Park(60.0)
    restarts.clear()
    assert (restarts.attempt, restarts.parked) == (0, False)
    assert restarts.ended(LOST, reached=UP, now=1.0) == Retry(1.0, 1)
    assert restarts.ended(Slow("too many", "http_429"), reached=DOWN, now=1.0) == Retry(30.0, 2)


def test_a_fatal_reason_parks_without_a_probe() -> None:
    restarts = line()
    assert restarts.ended(FATAL, reached=DOWN, now=0.0) == Park(None)
    assert restarts.parked
    restarts.clear()
    assert isinstance(restarts.ended(LOST, reached=DOWN, now=1.0), Retry)


def test_a_probe_that_meets_a_fatal_reason_is_the_last() -> None:
    assert parked().ended(FATAL, reached=UP, now=60.0) == Park(None)


@pytest.mark.parametrize("reason", [LOST, Slow("later", "http_429"), Crashed("ValueError")], ids=repr)
def test_what_may_pass_is_tried_again(reason: Reason) -> None:
    assert isinstance(line().ended(reason, reached=UP, now=0.0), Retry)


def test_stopped_rests_and_costs_nothing() -> None:
    restarts = line(max_restarts=0)
    assert {restarts.ended(Stopped(), reached=UP, now=0.0) for _ in range(50)} == {RestDelay()}
    assert (restarts.attempt, restarts.parked) == (0, False)


# ── verdict or weather ──────────────────────────────────────────────────────────────────────────

BARRED = Weather("403 Forbidden", "http_403", "Check the account.")


def refused(restarts: Restarts, reason: Fatal, now: float) -> Verdict:
    judged = restarts.judged(reason, proved=True, now=now)
    return restarts.ended(judged, reached=DOWN, now=now)


@pytest.mark.parametrize("reason", [FATAL, BARRED], ids=repr)
def test_before_any_stable_life_a_refusal_is_final_and_keeps_its_advice(reason: Fatal) -> None:
    restarts = line()
    judged = restarts.judged(reason, proved=False, now=0.0)
    assert judged == Fatal(reason.text, reason.code, reason.advice)
    assert restarts.ended(judged, reached=DOWN, now=0.0) == Park(None)


def test_after_a_stable_life_one_stray_refusal_is_retried_as_any_loss() -> None:
    restarts = line(Highest())
    restarts.stable()
    assert restarts.ended(LOST, reached=UP, now=0.0) == Retry(0.25, 1)
    judged = restarts.judged(BARRED, proved=True, now=0.2)
    assert judged == Retryable("403 Forbidden; it worked before", "http_403")
    assert restarts.ended(judged, reached=DOWN, now=0.2) == Retry(0.5, 2)


def test_after_a_stable_life_weather_is_slow_and_of_the_account() -> None:
    restarts = line()
    restarts.judged(BARRED, proved=True, now=0.0)
    judged = restarts.judged(BARRED, proved=True, now=0.5)
    assert judged == Slow("403 Forbidden; it worked before", "http_403", shared=True)


def test_weather_that_repeats_for_long_parks_the_line_and_is_probed_for_ever() -> None:
    restarts, now, waits = line(), 0.0, []
    assert delay_of(refused(restarts, BARRED, now)) <= 0.25
    for _ in range(20):
        if not isinstance(verdict := refused(restarts, BARRED, now), Retry):
            break
        waits.append(verdict.delay)
        now += verdict.delay
    assert waits[:5] == [30.0, 60.0, 120.0, 240.0, SLOW_MAXIMUM]
    assert now - waits[-1] < 1_800.0 <= now
    assert [verdict, *(refused(restarts, BARRED, now + 900.0 * n) for n in range(1, 50))] == [
        Park(900.0)
    ] * 50
    judged = restarts.judged(BARRED, proved=True, now=now)
    assert judged == Fatal("403 Forbidden", "http_403", "Check the account.", 900.0)


def test_a_verdict_after_a_stable_life_is_probed_until_its_time_is_over() -> None:
    restarts = line()
    probes = [refused(restarts, FATAL, now) for now in (100.0, 1_000.5, 1_900.0)]
    assert probes == [Park(900.0), Park(899.5), Park(None)]


def test_weather_is_final_at_the_very_end_of_its_time() -> None:
    restarts = line()
    refused(restarts, BARRED, 0.0)
    assert isinstance(refused(restarts, BARRED, 1_799.5), Retry)
    assert refused(restarts, BARRED, 1_800.0) == Park(900.0)


def test_every_kind_of_refusal_counts_from_the_first() -> None:
    restarts = line()
    assert isinstance(refused(restarts, BARRED, 0.0), Retry)
    assert refused(restarts, FATAL, 1_799.0) == Park(1.0)
    assert refused(restarts, FATAL, 1_800.0) == Park(None)


@pytest.mark.parametrize("forget", [Restarts.stable, Restarts.clear])
def test_a_stable_life_and_a_person_begin_the_time_again(forget: Callable[[Restarts], None]) -> None:
    restarts = line()
    refused(restarts, BARRED, 0.0)
    forget(restarts)
    assert isinstance(refused(restarts, BARRED, 5_000.0), Retry)


def test_another_policy_keeps_the_health_and_the_first_refusal() -> None:
    restarts = line(Highest(), max_restarts=0)
    restarts.stable()
    refused(restarts, BARRED, 0.0)
    later = restarts.under(RestartPolicy(verdict_after=60.0))
    assert later.attempt == 0
    assert refused(later, BARRED, 60.0) == Park(900.0)
    restarts.stable()
    healthy = restarts.under(RestartPolicy(initial=5.0, max_restarts=0))
    assert delay_of(healthy.ended(LOST, reached=UP, now=0.0)) == 5.0  # it did not die young


def test_other_losses_between_two_refusals_do_not_begin_the_time_again() -> None:
    restarts = line()
    refused(restarts, BARRED, 0.0)
    die_in_vain(restarts, 3)
    assert refused(restarts, BARRED, 1_800.0) == Park(900.0)


@pytest.mark.parametrize(("reason", "parked"), [(FATAL, Park(None)), (BARRED, Park(900.0))], ids=repr)
def test_without_a_time_the_first_refusal_is_final(reason: Fatal, parked: Park) -> None:
    assert refused(line(verdict_after=0.0), reason, 0.0) == parked


@pytest.mark.parametrize("reason", [FATAL, BARRED], ids=repr)
def test_without_an_interval_a_refused_line_is_not_probed(reason: Fatal) -> None:
    assert refused(line(verdict_after=0.0, refused_interval=0.0), reason, 0.0) == Park(None)
    restarts = line(refused_interval=0.0)
    assert refused(restarts, FATAL, 0.0) == Park(None)


def test_a_parked_line_is_probed_by_what_it_met_last() -> None:
    restarts = parked(verdict_after=10.0)
    assert refused(restarts, BARRED, 100.0) == Park(60.0)
    assert refused(restarts, BARRED, 111.0) == Park(900.0)
    assert restarts.ended(LOST, reached=DOWN, now=1_100.0) == Park(60.0)


@pytest.mark.parametrize("asked", [3_600.5, 999_999_999.0, 1e12])
def test_a_pause_is_observed_up_to_the_cap(asked: float) -> None:
    restarts = line()
    judged = restarts.capped(Slow("no", "http_429", asked, shared=True))
    assert judged == Slow("no", "http_429", 3_600.0, shared=True)
    assert delay_of(restarts.ended(judged, reached=DOWN, now=0.0)) == 3_600.0


@pytest.mark.parametrize(
    "reason",
    [
        Slow("no", "http_429", 3_600.0),
        Slow("no", "http_429"),
        Slow("ours", "budget", 9_999.0, exact=True),
        LOST,
    ],
    ids=repr,
)
def test_what_is_within_the_cap_or_no_pause_of_the_venue_s_stays_as_it_is(reason: Reason) -> None:
    assert line().capped(reason) is reason


# ── OTP's intensity and period ──────────────────────────────────────────────────────────────────


def test_the_sixth_death_within_a_minute_is_one_too_many() -> None:
    intensity = Intensity()
    deaths = [intensity.exceeded(now) for now in (0.0, 10.0, 20.0, 30.0, 40.0, 59.9)]
    assert deaths == [False] * 5 + [True]


@given(st.lists(st.floats(0.0, 30.0), min_size=1), st.integers(0, 6))
def test_intensity_counts_what_lies_within_the_period(pauses: list[float], limit: int) -> None:
    intensity, times = Intensity(limit, period=60.0), [0.0]
    for pause in pauses:
        assert intensity.exceeded(times[-1]) == (sum(t >= times[-1] - 60.0 for t in times) > limit)
        times.append(times[-1] + pause)


def test_a_death_counts_until_the_minute_is_over() -> None:
    intensity = Intensity(limit=1, period=60.0)
    assert [intensity.exceeded(now) for now in (0.0, 60.0)] == [False, True]


def test_deaths_a_minute_apart_go_on_for_ever() -> None:
    intensity = Intensity(limit=1)
    assert not any(intensity.exceeded(60.1 * n) for n in range(1000))
