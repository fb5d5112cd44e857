"""Contracts that a sum of money allows: by the value of a tick, and never one too many."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import actors
from actors import LinewardenError
from actors.protocol import Contract, money

EP = Contract("CON.F.US.EP.Z26", "ESZ6", Decimal("0.25"), Decimal("12.5"))
MNQ = Contract("CON.F.US.MNQ.Z26", "MNQZ6", Decimal("0.25"), Decimal("0.5"))
CENTS = st.decimals(min_value=0, max_value=100_000, places=2)
STEPS = st.integers(-4_000, 4_000)


@pytest.mark.parametrize(
    ("contract", "entry", "stop", "risk", "size"),
    [
        (EP, "6801.75", "6791.75", 1_000, 2),  # 10 points are 500
        (EP, "6801.75", "6791.75", "999.99", 1),
        (EP, "6791.75", "6801.75", 500, 1),  # a short: the stop is above
        (EP, "6801.75", "6791.75", "499.99", 0),
        (MNQ, 24_000, "24010.25", "61.50", 3),
        (MNQ, 24_000, Decimal("24010.25"), "61.49", 2),
        (MNQ, 24_000.5, 24_000, 10, 10),
        (EP, 6_800, 6_790, 0, 0),
    ],
)
def test_a_size_counts_the_value_of_a_tick(
    contract: Contract, entry: Any, stop: Any, risk: Any, size: int
) -> None:
    """project-x-py 1.1 takes a point for one unit of money: 50 times as many for EP."""
    assert actors.position_size(contract, entry, stop, risk) == size


@given(steps=STEPS.filter(bool), risk=CENTS, contract=st.sampled_from([EP, MNQ]))
def test_a_size_risks_no_more_than_the_sum_and_one_more_would(
    steps: int, risk: Decimal, contract: Contract
) -> None:
    entry = Decimal(6_800)
    stop = entry + steps * contract.tick_size
    size = actors.position_size(contract, entry, stop, risk)
    assert abs(money(contract, size, entry, stop)) <= risk
    assert abs(money(contract, size + 1, entry, stop)) > risk


@pytest.mark.parametrize(
    ("entry", "stop", "risk", "words"),
    [
        (6_800, 6_800, 100, "stop is at entry"),
        (6_800, 6_790, -1, "risk is a sum of money from 0 on"),
        ("high", 6_790, 1, "entry is a price"),
        (6_800, None, 1, "stop is None"),
        (6_800, 6_790, "NaN", "risk is a number"),
        (float("inf"), 6_790, 1, "entry is a number"),
    ],
)
def test_a_size_of_what_is_no_number_is_refused(entry: Any, stop: Any, risk: Any, words: str) -> None:
    with pytest.raises(LinewardenError, match=words):
        actors.position_size(EP, entry, stop, risk)


def test_a_size_is_of_a_contract_that_was_read_and_not_of_its_name() -> None:
    name: Any = "ENQ"
    with pytest.raises(LinewardenError, match=r'contract\("ENQ"\)\.get\(\) returns, and \'ENQ\' is none'):
        actors.position_size(name, 6_800, 6_790, 500)
