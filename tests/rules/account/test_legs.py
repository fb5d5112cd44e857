"""Legs of brackets under their entries."""

from __future__ import annotations

from actors.protocol.accounts import AccountOrder
from actors.rules.account.legs import grouped


def order(id: int, **fields: object) -> AccountOrder:
    return AccountOrder(id=id, contract="C", state="working", **fields)  # type: ignore[arg-type]


def shape(*orders: AccountOrder) -> list[tuple[int, list[int]]]:
    return [(each.order.id, [leg.id for leg in each.legs]) for each in grouped(orders)]


def test_legs_stand_under_the_entry_that_they_name_by_id() -> None:
    assert shape(order(3, parent=1), order(1), order(2, parent=1)) == [(1, [2, 3])]


def test_legs_stand_under_the_entry_whose_tag_is_in_theirs() -> None:
    assert shape(order(1, tag="t"), order(2, tag="t-SL", parent_tag="t")) == [(1, [2])]


def test_a_leg_whose_entry_is_gone_stands_on_its_own() -> None:
    assert shape(order(2, parent=1), order(4, parent_tag="gone")) == [(2, []), (4, [])]


def test_orders_stand_in_the_order_of_their_creation() -> None:
    assert shape(order(1, created_ns=5), order(2, created_ns=3)) == [(2, []), (1, [])]


def test_an_order_that_names_itself_is_no_leg() -> None:
    assert shape(order(1, parent=1)) == [(1, [])]
