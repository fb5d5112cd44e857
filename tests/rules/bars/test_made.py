"""Numbers are exact, whatever their size and in whatever order prints come."""

from __future__ import annotations

from decimal import Decimal, localcontext

from actors.rules.bars.made import joined, made_of
from tests.rules.bars.venue import NOON, trade


def numbers(*each: Decimal | int | None) -> tuple[int, ...]:
    return tuple(int(number or 0) for number in each)


def test_a_sum_is_exact_beyond_the_digits_of_the_context() -> None:
    sizes = ("1e30", "1e-30", "123456789.123456789")
    with localcontext() as context:
        context.prec = 5
        made = made_of(trade(NOON + number, 1, size) for number, size in enumerate(sizes))
    assert made is not None
    assert str(made.volume) == "1000000000000000000000123456789.123456789000000000000000000001"


def test_of_prints_at_one_time_the_last_to_come_closes_and_the_first_opens() -> None:
    made = made_of([trade(NOON, 1), trade(NOON, 2), trade(NOON, 3)])
    assert made is not None
    assert numbers(made.open, made.close) == (1, 3)


def test_a_late_print_can_open_and_does_not_close() -> None:
    made = made_of([trade(NOON + 5, 10), trade(NOON, 7), trade(NOON + 3, 20)])
    assert made is not None
    assert numbers(made.open, made.high, made.low, made.close) == (7, 20, 7, 10)


def test_a_print_inside_can_be_taken_out_and_an_extreme_or_an_end_cannot() -> None:
    prints = [trade(NOON, 10), trade(NOON + 1, 5), trade(NOON + 2, 12), trade(NOON + 3, 8)]
    inside = trade(NOON + 2, 9)
    made = made_of([*prints, inside])
    assert made is not None
    assert made.take_out(inside)
    assert numbers(made.volume, made.trades) == (4, 4)
    assert not made.take_out(prints[1])
    assert not made.take_out(prints[0])


def test_parts_are_joined_and_stay_as_they_are() -> None:
    first, second = made_of([trade(NOON, 1)]), made_of([trade(NOON + 9, 4, 2)])
    assert first is not None
    assert second is not None
    both = joined([second, first])
    assert both is not None
    assert numbers(both.open, both.close, both.volume, both.trades) == (1, 4, 3, 2)
    assert numbers(first.close, second.open) == (1, 4)
    first.trades = None
    unknown = joined([first, second])
    assert unknown is not None
    assert unknown.trades is None
    assert joined([]) is None
