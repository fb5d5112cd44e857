"""What working orders are for: which protect a position, and which can open one."""

from __future__ import annotations

from typing import Any

import pytest

from actors.protocol import AccountLook, FinalRow, WorkingOrder
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import working
from tests.venues.projectx.rest.gateway import (
    ACCOUNT,
    API,
    EP,
    Row,
    answer,
    good,
    order_row,
    pages,
    position_row,
    refusal,
    serve,
)

LONG, SHORT = 1, 2
LIMIT, MARKET, STOP, TRAIL = 1, 2, 4, 5
BUY, SELL = 0, 1
OPEN, PENDING, SUSPENDED = 1, 6, 8


def look(orders: list[Row], positions: list[Row]) -> AccountLook:
    found: Any = serve(
        API.working(ACCOUNT),
        pages(query={"orders": orders, "totalCount": len(orders)}, searchOpen={"positions": positions}),
    )
    assert isinstance(found, AccountLook)
    return found


def protecting(orders: list[Row], positions: list[Row]) -> dict[int, bool | None]:
    return {each.id: each.protects for each in look(orders, positions).orders}


def bracket(entry_status: int = PENDING) -> list[Row]:
    """An entry to buy 2, and its suspended legs."""
    return [
        order_row(1, status=entry_status, type=LIMIT, side=BUY, customTag="t"),
        order_row(2, status=SUSPENDED, type=STOP, side=SELL, customTag="t-SL", parentOrderId=1),
        order_row(3, status=SUSPENDED, type=LIMIT, side=SELL, customTag="t-TP", parentOrderId=1),
    ]


@pytest.mark.parametrize("kind", [STOP, TRAIL, 3])
def test_a_stop_on_the_other_side_of_a_position_protects_it(kind: int) -> None:
    assert protecting([order_row(5, type=kind, side=SELL)], [position_row(LONG, 2)]) == {5: True}
    assert protecting([order_row(5, type=kind, side=BUY)], [position_row(LONG, 2)]) == {5: False}
    assert protecting([order_row(5, type=kind, side=BUY)], [position_row(SHORT, 2)]) == {5: True}
    assert protecting([order_row(5, type=kind, side=SELL)], []) == {5: False}


@pytest.mark.parametrize("kind", [LIMIT, MARKET, 6, 7])
def test_an_order_that_is_no_stop_and_no_leg_can_open_a_position(kind: int) -> None:
    (found,) = look([order_row(5, type=kind, side=SELL)], [position_row(LONG, 2)]).orders
    assert found.protects is False
    assert not found.may_protect


def test_a_stop_in_another_contract_protects_nothing() -> None:
    other = position_row(LONG, 2, "CON.F.US.MES.Z26")
    assert protecting([order_row(5, type=STOP, side=SELL)], [other]) == {5: False}


def test_suspended_legs_wait_for_their_entry_which_can_open_a_position() -> None:
    assert protecting(bracket(), []) == {1: False, 2: True, 3: True}


def test_a_stop_that_ends_a_position_and_has_legs_of_its_own_protects_and_could_open_another_one() -> None:
    entry, *legs = bracket()
    stop = entry | {"type": STOP, "stopPrice": 6900}
    (found, *waiting) = look([stop, *legs], [position_row(SHORT, 2)]).orders
    assert (found.protects, found.excess) == (True, 2)
    assert [each.excess for each in waiting] == [0, 0]
    (found, *_) = look([stop, *legs], []).orders
    assert found.protects is False
    (found, *_) = look([order_row(5, type=STOP, side=BUY)], [position_row(SHORT, 2)]).orders
    assert (found.protects, found.excess) == (True, 0)


def test_legs_whose_entry_is_told_by_its_tag_alone_wait_for_it() -> None:
    rows = [row | {"parentOrderId": None} for row in bracket()]
    assert protecting(rows, []) == {1: False, 2: True, 3: True}


def test_legs_without_entry_and_position_can_open_one() -> None:
    """The gateway leaves them in the book when a position is closed."""
    _, *legs = bracket()
    assert protecting(legs, []) == {2: False, 3: False}
    active = [row | {"status": OPEN} for row in legs]
    assert protecting(active, []) == {2: False, 3: False}
    assert protecting(active, [position_row(LONG, 2)]) == {2: True, 3: True}
    assert all(each.may_protect for each in look(active, []).orders)


def test_what_could_open_more_than_it_protects_is_told() -> None:
    legs = [row | {"status": OPEN} for row in bracket()[1:]]
    assert {each.id: each.excess for each in look(legs, [position_row(LONG, 2)]).orders} == {2: 0, 3: 0}
    assert {each.id: each.excess for each in look(legs, [position_row(LONG, 1)]).orders} == {2: 1, 3: 1}
    stops = [order_row(number, type=STOP, side=SELL, size=2) for number in (5, 6)]
    assert {each.excess for each in look(stops, [position_row(LONG, 2)]).orders} == {2}


@pytest.mark.parametrize(
    "positions",
    [refusal(1, "AccountNotFound"), good(), answer(500), good(positions=[position_row(0, 3)])],
)
def test_if_positions_are_unknown_only_entries_are_known_to_be_some(positions: Any) -> None:
    rows = [*bracket(), order_row(5, type=STOP, side=SELL), order_row(6, type=LIMIT, side=SELL)]

    def reply(endpoint: str, _: Row) -> Any:
        return good(orders=rows, totalCount=len(rows)) if endpoint == "Order/v2/query" else positions

    found: Any = serve(API.working(ACCOUNT), reply)
    assert found.why.startswith("its positions are not known: ")
    assert {each.id: each.protects for each in found.orders} == {
        1: False,
        2: True,
        3: True,
        5: None,
        6: False,
    }


def test_a_list_of_orders_that_may_be_cut_is_told() -> None:
    reply = pages(query={"orders": [], "totalCount": 3}, searchOpen={"positions": []})
    found: Any = serve(API.working(ACCOUNT), reply)
    assert found == AccountLook((), "Order/v2/query may not have told of all orders")


def test_orders_that_are_missing_are_no_empty_list() -> None:
    assert serve(API.working(ACCOUNT), pages(query={}, searchOpen={"positions": []})).code == "no_evidence"


def test_an_order_is_told_in_words() -> None:
    (found,) = look([order_row(5, type=STOP, side=SELL, limitPrice=None, stopPrice=6800.25)], []).orders
    assert found == WorkingOrder(
        id=5, contract=EP.id, text=f"sell 2 {EP.id}, stop at 6800.25", protects=False, may_protect=True
    )
    empty = m.Order(id=7)
    assert working.words(empty) == "trade ? (no contract), order"


def test_a_final_row_has_what_was_filled() -> None:
    reply = pages(searchById={"order": order_row(9, status=3, fillVolume=1)})
    assert serve(API.final_row(ACCOUNT, 9), reply) == FinalRow(9, "cancelled", True, 1, 2)
    reply = pages(searchById={"order": order_row(9, status=7, fillVolume=None)})
    assert serve(API.final_row(ACCOUNT, 9), reply) == FinalRow(9, "pending cancellation", False, None, 2)


def test_accounts_are_those_that_are_active() -> None:
    reply = pages(search={"accounts": [{"id": 7, "canTrade": False}, {"id": 8}]})
    assert serve(API.account_ids(), reply) == (7, 8)
