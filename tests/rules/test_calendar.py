"""When a market is open, through nights, holidays and changes of the clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.rules.calendar import SECOND, Calendar, read_closure, read_session, read_zone

HOUR = 3600.0
NEW_YORK, CHICAGO, LONDON = "America/New_York", "America/Chicago", "Europe/London"


def calendar(zone: str, *sessions: str, closed: tuple[str, ...] = ()) -> Calendar:
    return Calendar(
        "market", read_zone(zone), tuple(map(read_session, sessions)), tuple(map(read_closure, closed))
    )


def at(text: str, zone: str, fold: int = 0) -> int:
    """Nanoseconds of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()) * SECOND


EQUITIES = calendar(NEW_YORK, "Mon-Fri 09:30-16:00", closed=("2026-12-25", "2026-11-27 13:00-16:00"))
FUTURES = calendar(CHICAGO, "Sun-Thu 17:00-16:00")  # with the break of each day
CURRENCIES = calendar(NEW_YORK, "Sun 17:00 - Fri 17:00")
ALWAYS = calendar(LONDON, "Mon-Sun 00:00-24:00")
SPLIT = calendar("Asia/Tokyo", "Mon-Fri 09:00-11:30", "Mon-Fri 12:30-15:30")
CALENDARS = (EQUITIES, FUTURES, CURRENCIES, ALWAYS, SPLIT)

# Both changes of the clock of 2026 in America (8 March, 1 November) and Europe (29 March, 25 October), and
# days around them.
moments = st.integers(at("2026-03-01", LONDON), at("2026-12-31", LONDON))
calendars = st.sampled_from(CALENDARS)


@pytest.mark.parametrize(
    ("market", "moment", "is_open"),
    [
        (EQUITIES, "2026-03-06 09:29:59", False),
        (EQUITIES, "2026-03-06 09:30:00", True),
        (EQUITIES, "2026-03-06 15:59:59", True),
        (EQUITIES, "2026-03-06 16:00:00", False),
        (EQUITIES, "2026-03-07 12:00:00", False),  # a Saturday
        (EQUITIES, "2026-03-09 09:30:00", True),  # the clock was put forward the day before
        (EQUITIES, "2026-12-25 12:00:00", False),
        (EQUITIES, "2026-11-27 12:59:59", True),
        (EQUITIES, "2026-11-27 13:00:00", False),
        (FUTURES, "2026-03-08 16:59:59", False),  # a Sunday
        (FUTURES, "2026-03-08 17:00:00", True),
        (FUTURES, "2026-03-10 03:00:00", True),  # overnight
        (FUTURES, "2026-03-10 16:30:00", False),  # the break
        (FUTURES, "2026-03-13 15:59:59", True),
        (FUTURES, "2026-03-13 17:30:00", False),  # a Friday
        (CURRENCIES, "2026-03-11 03:00:00", True),
        (CURRENCIES, "2026-03-14 03:00:00", False),
        (SPLIT, "2026-03-11 12:00:00", False),
    ],
)
def test_a_market_is_open_by_its_own_clock(market: Calendar, moment: str, is_open: bool) -> None:
    assert market.is_open(at(moment, market.zone)) is is_open


@pytest.mark.parametrize(
    ("market", "hours", "since", "until"),
    [
        (EQUITIES, 5 * 6.5, "2026-03-02", "2026-03-09"),
        (EQUITIES, 5 * 6.5, "2026-03-05", "2026-03-12"),  # across the change
        (EQUITIES, 2 * 6.5 + 3.5 + 6.5, "2026-11-24", "2026-11-28"),
        (EQUITIES, 4 * 6.5, "2026-12-21", "2026-12-28"),
        (FUTURES, 5 * 23.0, "2026-03-06 16:00", "2026-03-13 16:00"),
        (CURRENCIES, 120.0, "2026-10-30 17:00", "2026-11-06 17:00"),
        (SPLIT, 5.5, "2026-03-11", "2026-03-12"),
    ],
)
def test_a_week_has_its_hours_in_summer_and_in_winter(
    market: Calendar, hours: float, since: str, until: str
) -> None:
    assert market.open_seconds(at(since, market.zone), at(until, market.zone)) == hours * HOUR


def test_a_night_session_is_an_hour_shorter_when_the_clock_is_put_forward_and_longer_when_back() -> None:
    market = calendar(NEW_YORK, "Sat 20:00-08:00")
    lengths = [
        market.open_seconds(at(f"{day} 18:00", NEW_YORK), at(f"{day} 18:00", NEW_YORK) + 20 * 3600 * SECOND)
        for day in ("2026-02-28", "2026-03-07", "2026-10-31")
    ]
    assert lengths == [12 * HOUR, 11 * HOUR, 13 * HOUR]


def test_an_hour_that_the_clock_leaves_out_or_repeats_is_one_moment() -> None:
    market = calendar(NEW_YORK, "Sun 02:30-12:00", "Sun 01:30-01:45")
    spring, autumn = at("2026-03-08", NEW_YORK), at("2026-11-01", NEW_YORK)
    opened = [since for since, _ in market.spans(spring, spring + 86_400 * SECOND)]
    assert opened == [at("2026-03-08 01:30", NEW_YORK), at("2026-03-08 03:30", NEW_YORK)]
    opened = [since for since, _ in market.spans(autumn, autumn + 86_400 * SECOND)]
    assert opened == [at("2026-11-01 01:30", NEW_YORK), at("2026-11-01 02:30", NEW_YORK)]


def test_sessions_that_touch_or_overlap_count_once() -> None:
    market = calendar(LONDON, "Mon 09:00-12:00", "Mon 12:00-13:00", "Mon 12:30-14:00")
    day = at("2026-03-02", LONDON)
    assert list(market.spans(day, day + 86_400 * SECOND)) == [
        (at("2026-03-02 09:00", LONDON), at("2026-03-02 14:00", LONDON))
    ]


@example(EQUITIES, at("2026-03-07 12:00", NEW_YORK), 3 * 86_400, 86_400)
@example(ALWAYS, at("2026-10-24 12:00", LONDON), 86_400, 43_200)
@given(calendars, moments, st.integers(0, 14 * 86_400), st.integers(0, 14 * 86_400))
def test_market_time_adds_up_and_never_runs_faster_than_time(
    market: Calendar, start: int, first: int, second: int
) -> None:
    middle, end = start + first * SECOND, start + (first + second) * SECOND
    whole = market.open_seconds(start, end)
    assert whole == pytest.approx(market.open_seconds(start, middle) + market.open_seconds(middle, end))
    assert 0 <= whole <= first + second
    if market is ALWAYS:
        assert whole == first + second


@given(calendars, moments)
def test_it_is_open_exactly_in_its_spans(market: Calendar, moment: int) -> None:
    assert market.is_open(moment) is (market.open_seconds(moment, moment + 1) > 0)
    opens = market.opens_after(moment)
    assert opens is not None
    if not market.is_open(moment):
        opened = int(opens.timestamp()) * SECOND
        assert opened > moment
        assert market.open_seconds(moment, opened) == 0
        assert market.is_open(opened)


@given(st.sampled_from([(EQUITIES, {"09:30"}), (FUTURES, {"17:00"}), (SPLIT, {"09:00", "12:30"})]), moments)
def test_it_opens_at_the_same_hour_of_its_own_clock_all_year(
    market: tuple[Calendar, set[str]], start: int
) -> None:
    sessions, hours = market
    opened = [since for since, _ in sessions.spans(start, start + 14 * 86_400 * SECOND) if since > start]
    assert {f"{sessions.local(each):%H:%M}" for each in opened} == hours


def test_a_market_that_does_not_open_within_a_month_is_not_waited_for_longer() -> None:
    market = calendar(LONDON, "Mon 09:00-10:00", closed=tuple(f"2026-03-{day:02}" for day in range(1, 32)))
    assert market.opens_after(at("2026-03-01", LONDON)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mon",
        "Mon-Fri",
        "09:30-16:00",
        "Mo-Fr 09:30-16:00",
        "Mon-Fri 9:30-16:00",
        "Mon-Fri 09:60-16:00",
        "Mon-Fri 24:00-16:00",
        "Mon-Fri 09:30-24:01",
        "Fun 09:30-16:00",
        "Mon-Fri 09:30 - Fri 16:00",
    ],
)
def test_what_is_no_session_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_session(text)


@pytest.mark.parametrize(
    "text", ["", "25 December", "2026-12-25 13:00", "2026-12-25 16:00-13:00", "2026-02-30"]
)
def test_what_is_no_closure_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|there is no day"):
        read_closure(text)


@pytest.mark.parametrize("text", ["", "New York", "America/Nowhere", "../etc/passwd", "/etc/localtime"])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no such time zone"):
        read_zone(text)
