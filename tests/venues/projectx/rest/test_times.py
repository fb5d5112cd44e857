"""Times of requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol import LinewardenError, iso_nanoseconds
from actors.venues.projectx.rest.times import nanoseconds_of, text_of


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(LinewardenError, match="has no time zone"):
        nanoseconds_of(datetime(2026, 11, 30))


def test_a_time_is_sent_in_utc_whatever_its_zone() -> None:
    chicago = datetime(2026, 11, 30, 17, 30, tzinfo=timezone(timedelta(hours=-6)))
    assert text_of(nanoseconds_of(chicago)) == "2026-11-30T23:30:00.000000Z"


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_a_time_is_sent_to_the_microsecond(moment: datetime) -> None:
    at_ns = nanoseconds_of(moment.replace(tzinfo=UTC))
    assert iso_nanoseconds(text_of(at_ns)) == at_ns


@given(st.integers(-(10**30), 10**30))
def test_any_number_is_some_time(at_ns: int) -> None:
    assert iso_nanoseconds(text_of(at_ns)) is not None
