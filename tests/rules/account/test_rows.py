"""Which of two rows is newer, what differs, and what stays."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.protocol.accounts import AccountOrder, AccountPosition, Fill
from actors.rules.account.rows import completes, differs, is_older, merged


def order(state: str = "working", **fields: object) -> AccountOrder:
    return AccountOrder(id=1, contract="C", state=state, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "known", "older"),
    [
        (order(updated_ns=1), order(updated_ns=2), True),
        (order(updated_ns=2), order(updated_ns=1), False),
        (order(), order(updated_ns=1), False),
        (order(), order("filled"), True),
        (order(updated_ns=2), order("filled", updated_ns=2), True),
        (order(updated_ns=3), order("filled", updated_ns=2), False),
        (order("cancelled"), order("filled"), False),
    ],
)
def test_an_order_is_as_old_as_the_venue_says_and_does_not_rise_from_its_end(
    told: AccountOrder, known: AccountOrder, older: bool
) -> None:
    assert is_older(told, known) == older


def test_what_a_row_does_not_tell_is_as_it_was() -> None:
    known = order(tag="t", parent=7, limit_price=Decimal(5), filled=1, updated_ns=1)
    row = merged(known, order("cancelled", updated_ns=2))
    assert row == order("cancelled", tag="t", parent=7, limit_price=Decimal(5), filled=1, updated_ns=2)
    assert not differs(order(), known)


def test_the_average_of_another_size_is_not_kept() -> None:
    known = AccountPosition(contract="C", net=2, average_price=Decimal(5))
    assert merged(known, AccountPosition(contract="C", net=3)).average_price is None
    assert merged(known, AccountPosition(contract="C", net=2)).average_price == 5
    assert merged(known, AccountPosition(contract="C", net=None)).net is None


def test_averages_that_differ_by_rounding_are_alike() -> None:
    known = AccountPosition(contract="C", net=3, average_price=Decimal("100.333333333"))
    assert not differs(AccountPosition(contract="C", net=3, average_price=Decimal("100.3333333333")), known)
    assert differs(AccountPosition(contract="C", net=3, average_price=Decimal("100.34")), known)


def test_a_side_that_changes_is_a_difference_at_the_same_size() -> None:
    assert differs(AccountPosition(contract="C", net=-2), AccountPosition(contract="C", net=2))


def test_the_money_of_a_fill_that_only_rest_tells_is_no_lost_event() -> None:
    known = Fill(id=1, contract="C", side="buy", size=1)
    told = Fill(id=1, contract="C", side="buy", size=1, fees=Decimal("1.4"))
    assert not differs(told, known)
    assert completes(told, known)
    assert not completes(known, told)
