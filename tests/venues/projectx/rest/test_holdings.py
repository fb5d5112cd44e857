"""What an account has in a contract, and which orders protect a position."""

from __future__ import annotations

from typing import Any

import pytest

from actors.protocol import Exposure
from tests.venues.projectx.rest.gateway import (
    ACCOUNT,
    API,
    EP,
    Row,
    good,
    order_row,
    pages,
    position_row,
    serve,
)

OTHER = "CON.F.US.MES.Z26"


def exposure(orders: list[Row], positions: list[Row]) -> Any:
    reply = pages(query={"orders": orders, "totalCount": len(orders)}, searchOpen={"positions": positions})
    return serve(API.exposure(ACCOUNT, EP.id), reply)


def test_what_is_filled_of_an_order_is_in_the_position() -> None:
    orders = [
        order_row(1, side=0, size=5, fillVolume=2),
        order_row(2, side=1, size=2),
        order_row(3, side=1, size=2, status=8),
        order_row(4, side=0, size=9, contractId=OTHER),
    ]
    positions = [position_row(2, 2), position_row(1, 7, OTHER)]
    assert exposure(orders, positions) == Exposure(
        position=-2, buys=3, sells=4, orders=4, left={1: 3, 2: 2, 3: 2}
    )


@pytest.mark.parametrize("filled", [2, 3])
def test_an_order_that_is_filled_and_still_listed_adds_nothing(filled: int) -> None:
    assert exposure([order_row(size=2, fillVolume=filled)], []).buys == 0


def test_an_account_without_anything_has_no_exposure() -> None:
    assert exposure([], []) == Exposure(position=0, buys=0, sells=0, orders=0)


@pytest.mark.parametrize(
    ("orders", "positions"),
    [
        ([], [position_row(0, 3)]),
        ([], [position_row(0, 3, OTHER)]),
        ([], [position_row(1, 3) | {"contractId": None}]),
        ([order_row(size=None)], []),
        ([order_row(size=-2)], []),
        ([order_row(size=2, fillVolume=-1)], []),
        ([], [position_row(1, -3)]),
        ([order_row(side=None)], []),
        ([order_row(side=5)], []),
    ],
)
def test_what_is_not_known_is_not_counted_as_nothing(orders: list[Row], positions: list[Row]) -> None:
    reason = exposure(orders, positions)
    assert reason.code == "no_evidence"
    where, row = ("Order/v2/query", "order 9") if orders else ("Position/searchOpen", "position 3")
    assert reason.text.startswith(f"ProjectX' answer to {where} proves nothing: {row} has no ")


def test_an_order_that_names_no_contract_counts_here() -> None:
    assert exposure([order_row(contractId=None)], []).buys == 2


def test_lists_that_may_be_cut_are_no_answer() -> None:
    reply = pages(query={"orders": [], "totalCount": 1})
    assert serve(API.exposure(ACCOUNT, EP.id), reply).code == "cut"
    rows = [position_row(1, 1, f"CON.F.US.A{number}.Z26") for number in range(20)]
    assert exposure([], rows).code == "cut"


def test_orders_are_read_before_positions() -> None:
    """A fill between the two is then counted twice. In the other order it is missed."""
    asked: list[str] = []

    def reply(endpoint: str, _: Row) -> Any:
        asked.append(endpoint)
        return good(orders=[], totalCount=0, positions=[])

    serve(API.exposure(ACCOUNT, EP.id), reply)
    assert asked == ["Order/v2/query", "Position/searchOpen"]


BUY, SELL = 0, 1
STOP, LIMIT, TRAIL = 4, 1, 5


@pytest.mark.parametrize(
    ("order", "position", "protects"),
    [
        (order_row(side=SELL, type=STOP), position_row(1, 2), True),
        (order_row(side=SELL, type=STOP), position_row(1, 1), True),
        (order_row(side=SELL, type=TRAIL), position_row(1, 2), True),
        (order_row(side=BUY, type=STOP), position_row(2, 1), True),
        (order_row(side=BUY, type=STOP), None, False),
        (order_row(side=BUY, type=STOP), position_row(2, 2), True),
        (order_row(side=BUY, type=STOP), position_row(1, 2), False),
        (order_row(side=SELL, type=STOP), position_row(1, 2, OTHER), False),
        (order_row(side=SELL, type=STOP), None, False),
        (order_row(side=SELL, type=LIMIT), position_row(1, 2), False),
        (order_row(side=SELL, type=LIMIT, parentOrderId=1), position_row(1, 2), True),
        (order_row(side=SELL, type=LIMIT, customTag="a-TP"), position_row(1, 2), True),
        (order_row(side=BUY, type=STOP, customTag="a-SL"), position_row(1, 2), False),
        (order_row(side=SELL, type=STOP, customTag="a-SL"), None, False),
        (order_row(side=SELL, type=STOP, customTag="a-SL", status=8), None, True),
        (order_row(side=SELL, type=STOP, customTag="a-SL", status=6), None, True),
        (order_row(side=SELL, type=STOP, parentOrderId=1, status=0), None, True),
        (order_row(side=SELL, type=STOP, status=3), position_row(1, 2), False),
        (order_row(side=SELL, type=LIMIT, customTag="a-TP", status=2), position_row(1, 2), False),
    ],
)
def test_an_order_protects_a_position(order: Row, position: Row | None, protects: bool) -> None:
    """Legs and stops of the other side do. An orphaned leg protects nothing, and may open a position."""
    rows = [] if position is None else [position]
    reply = pages(searchById={"order": order}, searchOpen={"positions": rows})
    assert serve(API.is_protective(ACCOUNT, 9), reply) is protects


def test_whether_it_protects_is_unknown_while_positions_are() -> None:
    stop = order_row(side=SELL, type=STOP)
    for positions in (None, [position_row(0, 3)]):
        reply = pages(searchById={"order": stop}, searchOpen={"positions": positions})
        assert serve(API.is_protective(ACCOUNT, 9), reply).code == "no_evidence"


def test_what_an_order_without_a_contract_protects_is_unknown() -> None:
    stop = order_row(side=SELL, type=STOP, contractId=None)
    reply = pages(searchById={"order": stop}, searchOpen={"positions": [position_row(1, 2)]})
    assert serve(API.is_protective(ACCOUNT, 9), reply).code == "no_evidence"


def test_several_positions_in_one_contract_prove_nothing() -> None:
    """The gateway nets: a sum of both could hide that one of them is gone."""
    rows = [position_row(1, 2), position_row(1, 2)]
    reason = exposure([], rows)
    assert (
        reason.text
        == f"ProjectX' answer to Position/searchOpen proves nothing: {EP.id} has several positions"
    )
    assert exposure([], [*rows, position_row(2, 1, OTHER)]).code == "no_evidence"
