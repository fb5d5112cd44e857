"""Whether events come later than they did: no clock that is wrong and no time that is rounded counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.rules.event_lags import ENOUGH, KEPT, RECENT, EventLags


def noted(
    *lags: float, channel: str = "trades", into: EventLags | None = None, since: float = 0.0
) -> EventLags:
    into = into or EventLags()
    for number, lag in enumerate(lags):
        into.note(channel, since + number, lag)
    return into


def test_what_comes_ever_later_grows() -> None:
    assert noted(0.1, 0.1, 0.1).growth(3.0) == 0.0
    assert noted(0.25, 2.25, 4.25, 6.25, 8.25, 10.25).growth(6.0) == 2.0  # the best of the last ones


def test_a_clock_that_is_wrong_is_no_growth() -> None:
    assert noted(*[-3_600.0] * KEPT).growth(KEPT) == 0.0
    assert noted(*[86_400.0] * KEPT).growth(KEPT) == 0.0


def test_one_event_may_be_late_by_itself() -> None:
    assert noted(0.0, 60.0, 0.0).growth(3.0) == 0.0
    assert noted(*[0.0] * KEPT, *[60.0] * (KEPT - 1)).growth(2 * KEPT) == 0.0


def test_few_samples_and_old_ones_say_nothing() -> None:
    assert EventLags().growth(0.0) is None
    assert noted(*[0.0] * (ENOUGH - 1)).growth(ENOUGH) is None
    lags = noted(*[0.0] * ENOUGH)
    assert lags.growth(RECENT) is None


def test_the_channel_that_is_least_behind_counts() -> None:
    lags = noted(0.0, *[9.0] * KEPT, channel="news")
    assert lags.growth(KEPT) == 9.0
    noted(*[0.5] * KEPT, into=lags)
    assert lags.growth(KEPT) == 0.0


@given(st.lists(st.floats(0.0, 0.999), min_size=ENOUGH, max_size=50), st.floats(-100.0, 100.0))
def test_times_in_whole_seconds_are_never_a_second_late(lags: list[float], skew: float) -> None:
    growth = noted(*(lag + skew for lag in lags)).growth(len(lags))
    assert growth is not None
    assert -1e-9 <= growth < 1.0
