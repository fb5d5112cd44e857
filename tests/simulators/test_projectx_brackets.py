"""Brackets at the simulated ProjectX: legs that wait, open, cancel one another, and are left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actors.simulators import SimulatedProjectX
from tests.simulators.projectx_client import (
    ALICE,
    EP,
    LONG_AGO,
    got,
    heard,
    on_hub,
    placed,
    positions,
    row,
    working,
)

OPEN, FILLED, CANCELLED, PENDING, SUSPENDED = 1, 2, 3, 6, 8
LIMIT, STOP, TRAIL = 1, 4, 5
BUY, SELL = 0, 1
BRACKET = {
    "stopLossBracket": {"ticks": -10, "type": STOP},
    "takeProfitBracket": {"ticks": 20, "type": LIMIT},
}


@pytest.fixture
def projectx() -> Iterator[SimulatedProjectX]:
    """Without a book: orders are filled at the last price, which is 6801.25."""
    with SimulatedProjectX(rate=0, market=False, snapshots=False) as each:
        yield each


def legs(projectx: SimulatedProjectX, entry: int) -> list[dict[str, Any]]:
    """The legs of an entry, the stop first; also those that are final."""
    asked = {"filter": {"accountId": ALICE}, "pageSize": 100, "sortBy": 1}
    rows = got(projectx, "Order/v2/query", asked)["orders"]
    return [each for each in rows if each["parentOrderId"] == entry]


def statuses(projectx: SimulatedProjectX, entry: int) -> list[int]:
    return [each["status"] for each in legs(projectx, entry)]


def test_one_order_makes_three_that_know_one_another(projectx: SimulatedProjectX) -> None:
    with on_hub(projectx, "user", "orders") as user:
        entry = placed(projectx, type=LIMIT, limitPrice=6800, size=2, customTag="mine", **BRACKET)
        told = [each for _, each in heard(user, 4)]
    assert [each["status"] for each in told] == [PENDING, SUSPENDED, SUSPENDED, OPEN]
    assert [each["id"] - entry for each in told] == [0, 1, 2, 0]
    assert [each["customTag"] for each in told] == ["mine", "mine-SL", "mine-TP", "mine"]
    assert len({each["creationTimestamp"] for each in told}) == 1
    stop, target = legs(projectx, entry)
    assert (stop["limitPrice"], stop["stopPrice"], stop["linkedOrderId"]) == (None, None, None)
    assert (target["limitPrice"], target["linkedOrderId"]) == (None, stop["id"])
    assert [(each["side"], each["size"], each["type"]) for each in (stop, target)] == [
        (SELL, 2, STOP),
        (SELL, 2, LIMIT),
    ]


def test_suspended_legs_are_in_no_list_but_the_query(projectx: SimulatedProjectX) -> None:
    entry = placed(projectx, type=LIMIT, limitPrice=6800, **BRACKET)
    account = {"accountId": ALICE}
    searched = got(projectx, "Order/search", account | {"startTimestamp": LONG_AGO})["orders"]
    opened = got(projectx, "Order/searchOpen", account)["orders"]
    assert [each["id"] for each in searched] == [each["id"] for each in opened] == [entry]
    assert [each["id"] for each in working(projectx)] == [entry, entry + 1, entry + 2]
    assert [each["id"] for each in working(projectx, SUSPENDED)] == [entry + 1, entry + 2]


@pytest.mark.parametrize(("side", "stop", "target"), [(BUY, "6798", "6805.50"), (SELL, "6803", "6795.50")])
def test_legs_open_at_the_price_of_the_fill(
    projectx: SimulatedProjectX, side: int, stop: str, target: str
) -> None:
    sign = 1 if side == BUY else -1
    entry = placed(
        projectx,
        side=side,
        type=LIMIT,
        limitPrice=6800.5,
        stopLossBracket={"ticks": -10 * sign, "type": STOP},
        takeProfitBracket={"ticks": 20 * sign, "type": LIMIT},
    )
    projectx.fill(entry, price="6800.50")
    first, second = legs(projectx, entry)
    assert [each["status"] for each in (first, second)] == [OPEN, OPEN]
    assert (str(first["stopPrice"]), str(second["limitPrice"])) == (f"{float(stop):.2f}", target)
    assert len(got(projectx, "Order/searchOpen", {"accountId": ALICE})["orders"]) == 2


@pytest.mark.parametrize(
    ("price", "ends"), [("6806.25", [CANCELLED, FILLED]), ("6798.75", [FILLED, CANCELLED])]
)
def test_a_leg_that_is_filled_cancels_the_other(
    projectx: SimulatedProjectX, price: str, ends: list[int]
) -> None:
    entry = placed(projectx, **BRACKET)
    assert statuses(projectx, entry) == [OPEN, OPEN]
    projectx.trade(EP, price=price)
    assert statuses(projectx, entry) == ends
    assert (positions(projectx), working(projectx)) == ([], [])


def test_a_leg_may_trail(projectx: SimulatedProjectX) -> None:
    entry = placed(projectx, stopLossBracket={"ticks": -8, "type": TRAIL})
    projectx.trade(EP, price="6805.25")
    (leg,) = legs(projectx, entry)
    assert (leg["type"], leg["trailDistance"], leg["stopPrice"]) == (TRAIL, -8, 6803.25)


def test_closing_the_position_leaves_the_legs_which_may_open_a_new_one(projectx: SimulatedProjectX) -> None:
    entry = placed(projectx, **BRACKET)
    got(projectx, "Position/closeContract", {"accountId": ALICE, "contractId": EP})
    assert positions(projectx) == []
    assert statuses(projectx, entry) == [OPEN, OPEN]
    projectx.trade(EP, price="6798.75")
    assert positions(projectx) == [(EP, 2, 1)]


def test_moving_or_cancelling_a_leg_leaves_the_other_alone(projectx: SimulatedProjectX) -> None:
    entry = placed(projectx, **BRACKET)
    stop, target = legs(projectx, entry)
    which = {"accountId": ALICE, "orderId": stop["id"]}
    got(projectx, "Order/modify", which | {"stopPrice": 6790})
    assert legs(projectx, entry)[1] == target
    got(projectx, "Order/cancel", which)
    assert statuses(projectx, entry) == [CANCELLED, OPEN]


def test_legs_are_cancelled_with_an_entry_of_which_nothing_was_filled(projectx: SimulatedProjectX) -> None:
    entry = placed(projectx, type=LIMIT, limitPrice=6800, **BRACKET)
    got(projectx, "Order/cancel", {"accountId": ALICE, "orderId": entry})
    assert statuses(projectx, entry) == [CANCELLED, CANCELLED]


def test_legs_protect_what_was_filled_of_an_entry_that_is_cancelled(projectx: SimulatedProjectX) -> None:
    entry = placed(projectx, type=LIMIT, limitPrice=6800, size=3, **BRACKET)
    projectx.trade(EP, price="6800", volume=2)
    assert statuses(projectx, entry) == [SUSPENDED, SUSPENDED]
    got(projectx, "Order/cancel", {"accountId": ALICE, "orderId": entry})
    assert [(each["status"], each["size"]) for each in legs(projectx, entry)] == [(OPEN, 2), (OPEN, 2)]


def test_an_order_that_names_another_one_is_not_tied_to_it(projectx: SimulatedProjectX) -> None:
    """The usual SDK's bracket: three orders of their own. Both exits may be filled."""
    entry = placed(projectx)
    stop = placed(projectx, side=SELL, type=STOP, stopPrice=6798, linkedOrderId=entry)
    target = placed(projectx, side=SELL, type=LIMIT, limitPrice=6805, linkedOrderId=entry)
    projectx.trade(EP, price="6805.25")
    projectx.trade(EP, price="6798")
    assert [row(projectx, each)["status"] for each in (stop, target)] == [FILLED, FILLED]
    assert positions(projectx) == [(EP, 2, 1)]
