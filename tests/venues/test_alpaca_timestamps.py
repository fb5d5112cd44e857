"""Times are exact to the nanosecond, in every form that Alpaca has for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from actors.venues.alpaca.timestamps import SECOND, from_extension, nanoseconds, text_of

seconds = st.integers(-2_000_000_000, 20_000_000_000)
fractions = st.integers(0, SECOND - 1)


@pytest.mark.parametrize(
    ("stamp", "ns"),
    [
        ("2026-03-02T15:04:05Z", 1_772_463_845_000_000_000),
        ("2026-03-02T15:04:05.208Z", 1_772_463_845_208_000_000),
        ("2026-03-02T15:04:05.3355677Z", 1_772_463_845_335_567_700),
        ("2026-03-02T15:04:05.335689322Z", 1_772_463_845_335_689_322),
        ("2026-03-02T11:04:05.000000001-04:00", 1_772_463_845_000_000_001),
        ("2026-03-02t15:04:05z", 1_772_463_845_000_000_000),
        ("1969-12-31T23:59:59.75Z", -250_000_000),
        (17, 17),
    ],
)
def test_a_time_to_the_nanosecond(stamp: str | int, ns: int) -> None:
    assert nanoseconds(stamp) == ns


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "2026-03-02",
        "2026-03-02T15:04:05",
        "2026-03-02T15:04:05.Z",
        "2026-03-02T15:04:05.1234567890Z",
        "2026-13-02T15:04:05Z",
        "2026-03-02T25:04:05Z",
        "2026-03-02 15:04:05Z",
        "٢٠٢٦-03-02T15:04:05Z",
        "2026-03-02T15:04:05+99:00",
        "x" * 1000,
    ],
)
def test_what_is_no_time_is_refused(stamp: str) -> None:
    with pytest.raises(ValueError):
        nanoseconds(stamp)


@given(seconds, fractions, st.booleans(), st.integers(-14 * 60, 14 * 60))
def test_a_text_and_back(second: int, fraction: int, trimmed: bool, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes)) if minutes else UTC
    local = datetime.fromtimestamp(0, zone) + timedelta(seconds=second)
    digits = f"{fraction:09}"
    if trimmed:
        digits = digits.rstrip("0")
    offset = local.strftime("%z")
    text = local.strftime("%Y-%m-%dT%H:%M:%S") + ("." + digits if digits else "")
    text += f"{offset[:3]}:{offset[3:]}" if minutes else "Z"
    assert nanoseconds(text) == second * SECOND + fraction


@given(st.integers(0, 2**32 - 1))
def test_the_short_form_of_msgpack(second: int) -> None:
    assert from_extension(Ext(-1, second.to_bytes(4, "big"))) == second * SECOND


@given(st.integers(0, 2**34 - 1), fractions)
def test_the_middle_form_of_msgpack(second: int, fraction: int) -> None:
    assert from_extension(Ext(-1, (fraction << 34 | second).to_bytes(8, "big"))) == second * SECOND + fraction


@given(st.integers(-(2**63), 2**63 - 1), fractions)
def test_the_long_form_of_msgpack(second: int, fraction: int) -> None:
    data = fraction.to_bytes(4, "big") + second.to_bytes(8, "big", signed=True)
    assert from_extension(Ext(-1, data)) == second * SECOND + fraction


@pytest.mark.parametrize(
    "extension",
    [Ext(-1, b""), Ext(-1, b"12345"), Ext(3, b"1234"), Ext(-1, b"\xff" * 12), Ext(-1, b"\xff" * 8)],
)
def test_an_extension_that_is_no_time_is_refused(extension: Ext) -> None:
    with pytest.raises(ValueError):
        from_extension(extension)


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1_772_463_845_120_000_045, "2026-03-02T15:04:05.120000045Z"),
        (-(2**70), "1970-01-01T00:00:00.000000000Z"),
        (2**70, "2262-04-11T23:47:16.854775807Z"),
    ],
)
def test_a_time_that_is_asked_for_has_all_nine_digits(at_ns: int, text: str) -> None:
    assert text_of(at_ns) == text
