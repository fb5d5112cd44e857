"""Prices on their ticks, to the digit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol import Contract, money, nearest_tick, off_tick, on_tick, ticks
from actors.protocol.ticks import Direction

TICKS = st.sampled_from(
    [
        Decimal("0.1"),
        Decimal("0.25"),
        Decimal("0.015625"),
        Decimal("0.0000005"),
        Decimal("1"),
        Decimal("5"),
        Decimal("0.01"),
    ]
)
PRICES = st.decimals(min_value=-200_000, max_value=200_000, places=9)

EP = Contract("CON.F.US.EP.Z26", "ESZ6", Decimal("0.25"), Decimal("12.5"))
MNQ = Contract("CON.F.US.MNQ.Z26", "MNQZ6", Decimal("0.25"), Decimal("0.5"))


@pytest.mark.parametrize(
    ("price", "tick", "direction", "aligned"),
    [
        ("4120.41", "0.1", "nearest", "4120.4"),
        ("6801.13", "0.25", "down", "6801.00"),
        ("6801.13", "0.25", "up", "6801.25"),
        ("113.515625", "0.015625", "down", "113.515625"),
        ("-37.63", "0.01", "down", "-37.63"),
        ("-37.635", "0.01", "down", "-37.64"),
    ],
)
def test_a_price_moves_to_its_tick(price: str, tick: str, direction: Direction, aligned: str) -> None:
    assert str(on_tick(Decimal(price), Decimal(tick), direction)) == aligned


@given(price=PRICES, tick=TICKS)
def test_the_two_ticks_beside_a_price_enclose_it_and_are_one_tick_apart(
    price: Decimal, tick: Decimal
) -> None:
    below, above = off_tick(price, tick)
    assert below <= price <= above
    assert above - below == (0 if price % tick == 0 else tick)
    assert below % tick == above % tick == 0


@given(steps=st.integers(-10_000_000, 10_000_000), tick=TICKS)
def test_a_price_that_went_through_a_float_is_still_on_its_tick(steps: int, tick: Decimal) -> None:
    price = steps * tick
    assert nearest_tick(Decimal(float(price)), tick) == price


@given(price=PRICES, tick=TICKS)
def test_a_price_between_ticks_means_none_of_them(price: Decimal, tick: Decimal) -> None:
    between = on_tick(price, tick) + tick / 3
    assert nearest_tick(between, tick) is None


def test_profit_and_loss_counts_the_value_of_a_tick() -> None:
    """Points times size is no money: project-x-py 1.1 has 196.50 for the first."""
    assert money(EP, 2, Decimal("6801.75"), Decimal("6900.00")) == Decimal("9825.00")
    assert money(MNQ, -3, Decimal("24000"), Decimal("24010.25")) == Decimal("-61.50")
    assert not money(MNQ, -3, Decimal("24000"), Decimal("24000.00")).is_signed()
    assert ticks(EP, Decimal("6801.75"), Decimal("6900.00")) == 393
    assert ticks(EP, Decimal("6900.00"), Decimal("6801.75")) == -393
