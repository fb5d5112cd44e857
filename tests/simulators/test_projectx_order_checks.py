"""What the simulated ProjectX refuses of orders, in the words of the venue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from actors.simulators import SimulatedProjectX
from tests.simulators.projectx_client import (
    ALICE,
    BOB,
    EP,
    heard,
    on_hub,
    order,
    placed,
    post,
    refusal,
    row,
    working,
)

LIMIT, STOP_LIMIT, STOP, TRAIL = 1, 3, 4, 5
BUY, SELL = 0, 1


@pytest.fixture(scope="module")
def projectx() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False, position_brackets=[BOB]) as each:
        yield each


def stop_loss(ticks: int, kind: int = STOP) -> dict[str, Any]:
    return {"stopLossBracket": {"ticks": ticks, "type": kind}}


def take_profit(ticks: int, kind: int = LIMIT) -> dict[str, Any]:
    return {"takeProfitBracket": {"ticks": ticks, "type": kind}}


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"type": LIMIT, "limitPrice": 6800.1}, "Invalid price"),
        ({"type": LIMIT, "limitPrice": 6800.250000001}, "Invalid price"),
        ({"type": LIMIT}, "Invalid price"),
        ({"type": STOP, "stopPrice": 6810.1}, "Invalid stop price"),
        ({"type": STOP, "stopPrice": 6801.25}, "Invalid stop price"),  # where the market is
        ({"type": STOP, "stopPrice": 6790}, "Invalid stop price"),
        ({"type": STOP, "stopPrice": 6810, "side": SELL}, "Invalid stop price"),
        ({"type": TRAIL}, "Invalid trail price"),
        ({"type": TRAIL, "trailPrice": 6790}, "Invalid trail price"),
        ({"type": TRAIL, "trailPrice": 6801.4}, "Invalid trail price"),  # less than a tick
        (
            {"type": TRAIL, "trailPrice": 7051.5},
            "Invalid trail price. The distance is more than 1000 ticks.",
        ),
        ({"type": STOP_LIMIT, "stopPrice": 6810, "limitPrice": 6811}, "Invalid order type."),
        ({"type": 99}, "Invalid order type."),
        ({"side": 2}, "Invalid order side."),
        ({"size": 0}, "Invalid order size."),
        (
            stop_loss(40),
            "Invalid stop loss ticks (40). Ticks should be less than zero when longing.",
        ),
        (
            stop_loss(-40) | {"side": SELL},
            "Invalid stop loss ticks (-40). Ticks should be greater than zero when going short.",
        ),
        (
            take_profit(-20),
            "Invalid take profit ticks (-20). Ticks should be greater than zero when longing.",
        ),
        (
            take_profit(20) | {"side": SELL},
            "Invalid take profit ticks (20). Ticks should be less than zero when going short.",
        ),
        (stop_loss(-3), "Invalid stop loss ticks (-3). Ticks should be at least 4 ticks."),
        (stop_loss(-40, LIMIT), "Invalid stop loss type (Limit)."),
        (take_profit(20, STOP), "Invalid take profit type (Stop)."),
    ],
)
def test_an_order_is_refused_with_code_2_and_its_record_is_there_all_the_same(
    projectx: SimulatedProjectX, asked: dict[str, Any], text: str
) -> None:
    status, told = post(projectx, "Order/place", order(**asked))
    assert (status, told["success"], told["errorCode"], told["errorMessage"]) == (200, False, 2, text)
    assert row(projectx, told["orderId"])["status"] == 5
    assert working(projectx) == []


def test_a_rejection_is_told_on_the_hub_without_a_reason(projectx: SimulatedProjectX) -> None:
    with on_hub(projectx, "user", "orders") as user:
        refusal(projectx, "Order/place", order(type=LIMIT, limitPrice=6800.1, customTag="wrong"))
        ((_, told),) = heard(user, 1)
    assert (told["status"], told["customTag"]) == (5, "wrong")
    assert not [key for key in told if "rror" in key or "eason" in key]


def test_an_account_in_position_brackets_mode_has_no_brackets(projectx: SimulatedProjectX) -> None:
    assert refusal(projectx, "Order/place", order(accountId=BOB) | stop_loss(-40)) == (
        2,
        "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets.",
    )


def test_a_tag_is_of_one_order() -> None:
    with SimulatedProjectX(rate=0) as projectx:
        placed(projectx, customTag="mine")
        assert refusal(projectx, "Order/place", order(customTag="mine")) == (
            2,
            "Custom tag is already in use.",
        )
        placed(projectx, accountId=BOB, customTag="mine")
        refusal(projectx, "Order/place", order(type=LIMIT, customTag="other"))
        placed(projectx, customTag="other")  # a rejected order has used up none
        assert projectx.seen.orders("mine") == 2  # of two accounts
    with SimulatedProjectX(rate=0, duplicate_tag="accepted") as projectx:
        assert placed(projectx, customTag="mine") != placed(projectx, customTag="mine")
        assert projectx.seen.placed_twice == ["mine"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"limitPrice": 6800.1}, "Invalid price"),
        ({"stopPrice": 6790}, "Invalid stop price"),
        ({"size": 0}, "Invalid order size."),
    ],
)
def test_a_change_is_refused_with_code_3(
    projectx: SimulatedProjectX, asked: dict[str, Any], text: str
) -> None:
    id = placed(projectx, type=LIMIT, limitPrice=6790)
    before = row(projectx, id)
    which = {"accountId": ALICE, "orderId": id}
    assert refusal(projectx, "Order/modify", which | asked) == (3, text)
    assert row(projectx, id) == before
    post(projectx, "Order/cancel", which)


def test_a_suspended_leg_has_no_price_to_be_changed(projectx: SimulatedProjectX) -> None:
    entry = placed(projectx, type=LIMIT, limitPrice=6790, **stop_loss(-40))
    which = {"accountId": ALICE, "orderId": entry + 1}
    assert refusal(projectx, "Order/modify", which | {"stopPrice": 6780}) == (3, "Order is suspended.")
    post(projectx, "Order/cancel", which | {"orderId": entry})


def test_refusals_may_come_without_a_text() -> None:
    with SimulatedProjectX(rate=0, error_texts=False) as projectx:
        assert refusal(projectx, "Order/place", order(type=LIMIT)) == (2, None)
        assert refusal(projectx, "Order/place", order(contractId="ES")) == (8, None)


def test_keys_that_are_not_known_change_nothing(projectx: SimulatedProjectX) -> None:
    id = placed(projectx, type=LIMIT, limitPrice=6790, stoploss=4, limitprice=1)
    status, told = post(projectx, "Order/searchOpen", {"accountId": ALICE, "contractId": "ES"})
    assert (status, [each["id"] for each in told["orders"]]) == (200, [id])  # a filter there is none
    assert told["orders"][0]["contractId"] == EP
    post(projectx, "Order/cancel", {"accountId": ALICE, "orderId": id})


@pytest.mark.parametrize("wrong", [{"accountId": "4242"}, {"size": 1.5}, {"side": None}, {"size": "2"}])
def test_a_value_of_another_type_is_no_request(projectx: SimulatedProjectX, wrong: dict[str, Any]) -> None:
    status, told = post(projectx, "Order/place", order(**wrong))
    assert (status, told["status"]) == (400, 400)
