"""Numbers of venues are exact within bounds, and refused beyond."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.formatting import amount, at
from actors.protocol.numbers import LAST_NS, exact_decimal, is_bounded, known_time
from actors.protocol.recent_ids import RecentIds
from actors.venues.alpaca.account_messages import AccountFrame
from actors.venues.alpaca.codec import trade_update
from actors.venues.declarative.messages import clock, decode


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=30))
def test_within_the_bounds_it_is_exact(number: Decimal) -> None:
    assert str(exact_decimal(str(number))) == str(number)
    assert is_bounded(number)


BOMBS = ["1e999999999", "1e-999999999", "1e401", "1." + "1" * 500, "1" * 100_000, "1e" + "9" * 30]
LONG = [10**40, -(10**4_000), 10**400, Decimal("1e999999999"), Decimal("1." + "1" * 300)]


@pytest.mark.parametrize("text", BOMBS)
def test_beyond_the_bounds_it_is_refused(text: str) -> None:
    with pytest.raises(ArithmeticError):
        exact_decimal(text)


@pytest.mark.parametrize("text", ["1e999999999", "1e-999999999", "1." + "1" * 500, "NaN", "-Infinity"])
def test_what_is_out_of_bounds_is_known(text: str) -> None:
    assert not is_bounded(Decimal(text))


@pytest.mark.parametrize("at_ns", [None, LAST_NS, -LAST_NS, 10**4_000])
def test_a_time_beyond_all_calendars_is_none(at_ns: int | None) -> None:
    assert known_time(at_ns) is None
    assert known_time(1_700_000_000_000_000_000) == 1_700_000_000_000_000_000


@pytest.mark.parametrize("number", LONG)
def test_words_of_numbers_are_short(number: int | Decimal) -> None:
    assert len(amount(number)) < 60
    assert len(at(number, number)) < 160


def test_a_long_id_is_remembered_by_a_digest() -> None:
    ids = RecentIds(10)
    long, longer = "a" * 10**6, "a" * (10**6 + 1)
    assert [ids.add(each) for each in (long, longer, long, longer)] == [True, True, False, False]
    assert max(map(len, ids._new)) <= 128


def test_numbers_of_a_table_s_events_are_bounded() -> None:
    assert decode(b'{"p": 1.50}') == {"p": Decimal("1.50")}
    for bomb in BOMBS:
        with pytest.raises((ArithmeticError, msgspec.MsgspecError)):
            decode(f'{{"p": {bomb}}}'.encode())
    assert clock("s")(10**4_000) is None


def test_an_amount_of_a_fill_is_bounded() -> None:
    for bomb in ('"1e999999999"', '"NaN"', '"0.' + "1" * 100_000 + '"'):
        text = f'{{"event": "fill", "price": {bomb}, "order": {{"id": "o"}}}}'
        with pytest.raises(ValueError, match="amount"):
            trade_update(AccountFrame("trade_updates", "", msgspec.Raw(text.encode())))
