"""Whether events come later than they did: no clock that is wrong and no time that is rounded counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.event_lags import ENOUGH, KEPT, RECENT, SECOND, EventLags


def noted(
    *lags: float, channel: str = "trades", into: EventLags | None = None, every: float = 1.0
) -> EventLags:
    """Samples that came every so many seconds, the first of them then."""
    into = into or EventLags()
    for number, lag in enumerate(lags, start=1):
        into.note(
            channel, number * every, round(number * every * SECOND), round((number * every - lag) * SECOND)
        )
    return into


def test_what_comes_ever_later_grows() -> None:
    assert noted(0.1, 0.1, 0.1).growth(3.0) == pytest.approx(0.0)
    later = noted(0.25, 5.25, 10.25, 15.25, every=5.0)
    assert later.growth(20.0) == 0.0  # one of the last ones was in time
    assert noted(0.25, 5.25, 10.25, 15.25, 20.25, 25.25, every=5.0).growth(30.0) == 5.0


def test_a_clock_that_is_wrong_is_no_growth() -> None:
    assert noted(*[-3_600.0] * KEPT).growth(KEPT) == 0.0
    assert noted(*[86_400.0] * KEPT).growth(KEPT) == 0.0


def test_what_was_told_before_is_history_and_no_delay() -> None:
    lags = noted(0.0, 0.0, 0.0, *[3_600.0] * (2 * KEPT))  # as a topic that is added to begins with
    assert lags.growth(3.0 + 2 * KEPT) == 0.0


def test_a_single_time_in_the_future_makes_nothing_late() -> None:
    assert noted(0.0, 0.0, 0.0, -3_600.0, *[0.0] * 10).growth(14.0) == 0.0


def test_one_event_may_be_late_by_itself() -> None:
    assert noted(0.0, 6.0, 0.0, every=6.0).growth(18.0) == 0.0


def test_few_samples_and_old_ones_say_nothing() -> None:
    assert EventLags().growth(0.0) is None
    assert noted(*[0.0] * (ENOUGH - 1)).growth(ENOUGH) is None
    assert noted(*[0.0] * ENOUGH).growth(RECENT + 1.0) is None


def test_the_channel_that_is_least_behind_counts() -> None:
    lags = noted(0.0, *[5.0] * KEPT, channel="news", every=5.0)
    assert lags.growth(5.0 * KEPT) == 5.0
    noted(*[0.5] * KEPT, into=lags, every=5.0)
    assert lags.growth(5.0 * KEPT) == 0.0


@given(st.lists(st.floats(0.0, 0.999), min_size=ENOUGH, max_size=50), st.floats(-100.0, 100.0))
def test_times_in_whole_seconds_are_never_a_second_late(lags: list[float], skew: float) -> None:
    growth = noted(*(lag + skew for lag in lags)).growth(len(lags))
    assert growth is not None
    assert -1e-9 <= growth < 1.0
