"""Whether a live line is restarted for its health: what counts, for how long, and how seldom."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from actors.rules.liveness import HealthInputs
from actors.rules.poor_health import LONGEST, MEMORY, MENDABLE, PINGS, HealthPolicy, HealthWatch, Poor, Vitals

GOOD = HealthInputs(live=True, rtt_ms=20.0, missed_pongs=0, restarts=0, quarantined=0, stale_topics=0)
WELL = Vitals(GOOD, rtt=0.02, pings=0)
MUTE = structs.replace(WELL, stale="trades/AAPL is stale", inputs=structs.replace(GOOD, stale_topics=1))
SLOW = structs.replace(WELL, rtt=3.0)
ALL = HealthPolicy(stale_action="restart", health_floor=60, rtt_ceiling=2.0)


class Line:
    """One that is live from 0 on, and is looked at as often as its policy wants. It returns at once."""

    def __init__(self, policy: HealthPolicy = ALL, **more: Any) -> None:
        self.policy, self.watch = structs.replace(policy, **more), HealthWatch()
        self.now, self.live_at = 0.0, 0.0
        self.restarts: list[tuple[float, Poor]] = []

    def show(self, vitals: Vitals, seconds: float, *, live: bool = True, ping_every: float = 0.0) -> None:
        """This is what each look finds for so long."""
        end, begun = self.now + seconds, self.now
        while self.now < end:
            self.now += self.policy.look_every
            pings = None if vitals.pings is None else vitals.pings
            if ping_every:
                pings = (vitals.pings or 0) + int((self.now - begun) / ping_every)
            self.look(structs.replace(vitals, pings=pings), live=live)

    def look(self, vitals: Vitals, *, live: bool = True) -> Poor | None:
        poor = self.watch.look(self.policy, vitals, self.live_at if live else None, self.now)
        if poor is not None:
            self.watch.restarted(self.now)
            self.restarts.append((self.now, poor))
            self.live_at = self.now
        return poor

    @property
    def codes(self) -> list[str]:
        return [poor.code for _, poor in self.restarts]


def test_by_default_nothing_is_restarted() -> None:
    assert not HealthPolicy().acts
    line = Line(HealthPolicy())
    line.show(structs.replace(MUTE, rtt=60.0), 86_400.0, ping_every=5.0)
    assert not line.restarts


@pytest.mark.parametrize(
    ("policy", "poor", "code"),
    [
        ({"stale_action": "restart"}, MUTE, "stale"),
        ({"rtt_ceiling": 2.0}, SLOW, "rtt"),
        ({"health_floor": 60}, MUTE, "health"),
    ],
)
def test_each_sign_restarts_where_its_key_is_set(policy: dict[str, Any], poor: Vitals, code: str) -> None:
    line = Line(HealthPolicy(**policy))
    line.show(WELL, 100.0, ping_every=10.0)
    line.show(poor, 60.0, ping_every=10.0)
    assert line.codes == [code]
    others = Line(HealthPolicy(**{key: value for key, value in _all().items() if key not in policy}))
    others.show(WELL, 100.0, ping_every=10.0)
    others.show(poor, 60.0, ping_every=10.0)
    assert code not in others.codes


def _all() -> dict[str, Any]:
    return {"stale_action": "restart", "rtt_ceiling": 2.0, "health_floor": 60}


def test_the_text_names_what_was_measured_and_the_key() -> None:
    line = Line(HealthPolicy(rtt_ceiling=2.0))
    line.show(SLOW, 100.0, ping_every=10.0)
    assert line.restarts[0][1].text == "the round trip is 3,000 ms; rtt_ceiling is 2,000 ms"
    line = Line(HealthPolicy(health_floor=60))
    line.show(MUTE, 100.0, ping_every=10.0)
    assert line.restarts[0][1].text == "the health score is 50; health_floor is 60"


def test_a_sign_counts_after_poor_for_seconds_and_no_earlier() -> None:
    line = Line(HealthPolicy(stale_action="restart"))
    line.show(WELL, 100.0)
    line.show(MUTE, 30.0)
    assert not line.restarts
    line.show(MUTE, 5.0)
    assert line.codes == ["stale"]


def test_a_sign_that_was_away_for_one_look_begins_again() -> None:
    line = Line(HealthPolicy(stale_action="restart"))
    line.show(WELL, 100.0)
    for _ in range(100):
        line.show(MUTE, 25.0)
        line.show(WELL, 5.0)
    assert not line.restarts


def test_one_slow_pong_restarts_nothing_however_long_it_is_the_last() -> None:
    line = Line(HealthPolicy(rtt_ceiling=2.0))
    line.show(SLOW, 10_000.0)
    assert not line.restarts
    line.show(SLOW, 30.0, ping_every=10.0)
    assert line.codes == ["rtt"]


def test_pings_are_counted_anew_where_another_heartbeat_watches() -> None:
    line = Line(HealthPolicy(rtt_ceiling=2.0))
    line.show(structs.replace(SLOW, pings=7), 100.0)
    line.show(structs.replace(SLOW, pings=0), 5.0)
    line.show(structs.replace(SLOW, pings=PINGS - 2), 100.0)
    assert not line.restarts
    line.show(structs.replace(SLOW, pings=PINGS - 1), 5.0)
    assert line.codes == ["rtt"]


def test_a_low_score_counts_without_pings() -> None:
    line = Line(HealthPolicy(health_floor=60))
    line.show(structs.replace(MUTE, pings=None, rtt=None), 100.0)
    assert line.codes == ["health"]


def test_a_look_that_comes_late_says_nothing_of_the_time_between() -> None:
    line = Line(HealthPolicy(stale_action="restart"))
    line.show(WELL, 100.0)
    line.look(MUTE)
    line.now += 3_600.0  # the process was paused; it has not read since
    assert line.look(MUTE) is None
    line.now += line.policy.look_every
    assert line.look(WELL) is None


def test_the_hold_off_doubles_up_to_an_hour_and_is_forgotten_after_six() -> None:
    line = Line(HealthPolicy(stale_action="restart"))
    line.show(MUTE, 5 * 3_600.0)
    times = [at for at, _ in line.restarts]
    waits = [later - at for at, later in pairwise(times)]
    assert waits[:6] == [120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0]
    assert set(waits[6:]) <= {LONGEST}
    line.show(WELL, MEMORY)
    assert line.watch.hold_off(line.policy, line.now) == line.policy.hold_off


def test_a_hold_off_of_hours_stays_as_it_is() -> None:
    line = Line(HealthPolicy(stale_action="restart", hold_off=7_200.0))
    line.show(MUTE, 30_000.0)
    times = [at for at, _ in line.restarts]
    assert [later - at for at, later in pairwise(times)] == [7_200.0] * 3


def test_silence_beside_other_topics_and_late_data_are_not_mended_by_a_restart() -> None:
    assert not MENDABLE & {"others", "venue_time"}


@given(st.floats(0.001, 1e6))
def test_the_looks_are_often_enough_for_the_time_that_a_sign_must_last(poor_for: float) -> None:
    policy = HealthPolicy(poor_for=poor_for)
    assert 0 < policy.look_every <= min(5.0, poor_for / 3)


# ── laws: whatever happens ──

vitals = st.builds(
    Vitals,
    inputs=st.builds(
        HealthInputs,
        live=st.just(True),
        rtt_ms=st.none() | st.floats(0.0, 1e5),
        missed_pongs=st.integers(0, 5),
        restarts=st.just(0),
        quarantined=st.integers(0, 50),
        stale_topics=st.integers(0, 3),
    ),
    rtt=st.none() | st.floats(0.0, 100.0),
    pings=st.none() | st.integers(0, 1_000),
    stale=st.sampled_from(["", "stale"]),
    is_explained=st.booleans(),
)
policies = st.builds(
    HealthPolicy,
    stale_action=st.sampled_from(["none", "restart"]),
    health_floor=st.integers(0, 100),
    rtt_ceiling=st.floats(0.0, 10.0),
    poor_for=st.floats(0.1, 100.0),
    hold_off=st.floats(0.1, 10_000.0),
)
# How long a condition lasts, in looks; what each finds; whether the line is live.
phases = st.lists(st.tuples(st.integers(1, 60), vitals, st.booleans()), max_size=12)


@given(policies, phases)
def test_no_line_is_restarted_twice_within_the_hold_off_nor_soon_after_it_is_live(
    policy: HealthPolicy, life: list[tuple[int, Vitals, bool]]
) -> None:
    line = Line(policy)
    for looks, found, live in life:
        line.show(found, looks * policy.look_every, live=live, ping_every=policy.look_every)
    times = [0.0, *(at for at, _ in line.restarts)]  # it is live again at once
    assert all(later - at >= policy.hold_off for at, later in pairwise(times))


@given(policies, phases)
def test_none_is_restarted_that_is_not_live_or_whose_market_is_closed(
    policy: HealthPolicy, life: list[tuple[int, Vitals, bool]]
) -> None:
    line = Line(policy)
    for looks, found, live in life:
        before = len(line.restarts)
        line.show(found, looks * policy.look_every, live=live, ping_every=policy.look_every)
        if not live or found.is_explained:
            assert len(line.restarts) == before


@given(policies, phases)
def test_an_hour_has_few_restarts_whatever_the_line_shows(
    policy: HealthPolicy, life: list[tuple[int, Vitals, bool]]
) -> None:
    """With any hold-off of a minute or more: 6 within the first hour."""
    line = Line(structs.replace(policy, hold_off=max(60.0, policy.hold_off), poor_for=15.0))
    for _, found, live in life * 5:
        line.show(found, 300.0, live=live, ping_every=5.0)
    times = [at for at, _ in line.restarts]
    assert all(sum(at <= other < at + 3_600.0 for other in times) <= 6 for at in times)


@given(policies, phases)
def test_a_sign_of_pings_alone_needs_three_of_them(
    policy: HealthPolicy, life: list[tuple[int, Vitals, bool]]
) -> None:
    """Where no ping is sent between the looks, only staleness and a score without pings restart."""
    line = Line(policy)
    for looks, found, live in life:
        line.show(structs.replace(found, pings=3), looks * policy.look_every, live=live)
    assert set(line.codes) <= {"stale"}
