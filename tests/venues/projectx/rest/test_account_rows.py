"""ProjectX' rows of an account in the words that all venues share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.protocol import AccountBalance, AccountOrder, AccountPosition, Fill, HttpAnswer, Listed, Retryable
from actors.venues.projectx import (
    Account,
    AccountTrade,
    Order,
    OrderSide,
    OrderStatus,
    OrderType,
    Position,
    PositionType,
    ProjectX,
    ProjectXSettings,
    Trade,
)
from tests.venues.projectx.rest.gateway import (
    ACCOUNT,
    API,
    EP,
    NOON_NS,
    Row,
    answer,
    good,
    order_row,
    position_row,
    serve,
    trade_row,
)

VENUE = ProjectX("topstep", ProjectXSettings())
SINCE_NS = NOON_NS - 3_600 * 10**9
READS = API.account_reads(ACCOUNT, SINCE_NS)
MISSING = answer(404, b"")


def reply(**by_page: Any) -> Any:
    """Answers by the last word of the endpoint: a payload, or a whole answer."""

    def answered(endpoint: str, fields: Row) -> HttpAnswer:
        found = by_page[endpoint.rpartition("/")[2]]
        return found if isinstance(found, HttpAnswer) else good(**found)

    return answered


def test_the_channels_of_an_account_are_those_whose_events_are_its_rows() -> None:
    assert VENUE.account_channels == ("orders", "positions", "account_trades", "accounts")
    assert all(VENUE.channels[name].account for name in VENUE.account_channels)


@pytest.mark.parametrize(
    ("kind", "size", "net"),
    [(2, 2, -2), (1, 2, 2), (0, 0, 0), (0, 3, None), (None, 3, None), (1, None, None)],
)
def test_the_net_of_a_position_has_the_sign_of_its_type(
    kind: int | None, size: int | None, net: int | None
) -> None:
    event = Position(
        id=3,
        account_id=ACCOUNT,
        contract_id=EP.id,
        type=None if kind is None else PositionType(kind),
        size=size,
        average_price=Decimal("6801.75"),
    )
    assert VENUE.account_row(event) == AccountPosition(
        contract=EP.id, net=net, average_price=Decimal("6801.75"), id=3
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0, "unknown"),
        (1, "working"),
        (2, "filled"),
        (3, "cancelled"),
        (4, "expired"),
        (5, "rejected"),
        (6, "pending"),
        (7, "cancelling"),
        (8, "suspended"),
        (99, "unknown"),
        (None, "unknown"),
    ],
)
def test_each_status_has_a_state_and_one_without_a_meaning_is_not_final(
    status: int | None, state: str
) -> None:
    event = Order(id=1, contract_id=EP.id, status=None if status is None else OrderStatus(status))
    row = VENUE.account_row(event)
    assert isinstance(row, AccountOrder)
    assert row.state == state
    assert row.is_final == (status in (2, 3, 4, 5))


def test_the_leg_of_a_bracket_names_its_entry_by_id_and_by_tag() -> None:
    event = Order(
        id=2,
        contract_id=EP.id,
        status=OrderStatus.SUSPENDED,
        type=OrderType.STOP,
        side=OrderSide.ASK,
        size=2,
        limit_price=Decimal(0),
        stop_price=Decimal("6790.25"),
        fill_volume=0,
        custom_tag="mine-SL",
        parent_order_id=1,
        linked_order_id=0,
        creation_timestamp="2026-11-30T12:00:00Z",
        update_timestamp="2026-11-30T12:00:01Z",
    )
    assert VENUE.account_row(event) == AccountOrder(
        id=2,
        contract=EP.id,
        state="suspended",
        side="sell",
        type="stop",
        size=2,
        filled=0,
        stop_price=Decimal("6790.25"),
        tag="mine-SL",
        parent=1,
        parent_tag="mine",
        created_ns=NOON_NS,
        updated_ns=NOON_NS + 10**9,
    )


def test_a_half_turn_is_a_fill_with_its_costs_apart() -> None:
    event = AccountTrade(
        id=7,
        contract_id=EP.id,
        price=Decimal("6801.75"),
        profit_and_loss=Decimal(25),
        fees=Decimal("1.4"),
        commissions=Decimal("0.5"),
        side=OrderSide.ASK,
        size=2,
        voided=True,
        order_id=9,
        creation_timestamp="2026-11-30T12:00:00Z",
    )
    row = VENUE.account_row(event)
    assert row == Fill(
        id=7,
        contract=EP.id,
        order=9,
        side="sell",
        size=2,
        price=Decimal("6801.75"),
        profit=Decimal(25),
        fees=Decimal("1.4"),
        commissions=Decimal("0.5"),
        voided=True,
        at_ns=NOON_NS,
    )


def test_the_balance_says_of_which_account_it_is() -> None:
    event = Account(id=ACCOUNT, name="PRAC", balance=Decimal(50_000), can_trade=True)
    assert VENUE.account_row(event) == AccountBalance(
        account=ACCOUNT, balance=Decimal(50_000), name="PRAC", can_trade=True
    )


def test_an_event_of_the_market_tells_nothing_of_an_account() -> None:
    assert VENUE.account_row(Trade(price=Decimal(1))) is None


# ── lists ──


def test_working_orders_have_suspended_legs_and_are_whole_where_the_gateway_counts_them() -> None:
    rows = [order_row(1, status=6), order_row(2, status=8, customTag="t-SL", parentOrderId=1)]
    listed = serve(READS.orders, reply(query={"orders": rows, "totalCount": 2}))
    assert listed.whole
    assert listed.has_suspended
    assert [(row.id, row.state, row.parent) for row in listed] == [(1, "pending", None), (2, "suspended", 1)]


def test_working_orders_without_the_query_are_whole_but_for_suspended_legs() -> None:
    listed = serve(READS.orders, reply(query=MISSING, searchOpen={"orders": [order_row(1)]}))
    assert [row.id for row in listed] == [1]
    assert listed.whole
    assert not listed.has_suspended


def test_working_orders_without_the_query_that_may_be_cut_are_not_whole() -> None:
    rows = [order_row(number) for number in range(1, 101)]
    listed = serve(READS.orders, reply(query=MISSING, searchOpen={"orders": rows}))
    assert (listed.whole, listed.has_suspended) == (False, False)


@pytest.mark.parametrize(
    ("read", "page", "name"),
    [
        ("orders", "query", "orders"),
        ("history", "search", "orders"),
        ("fills", "search", "trades"),
        ("positions", "searchOpen", "positions"),
        ("balance", "search", "accounts"),
    ],
)
def test_a_list_that_is_missing_is_a_reason_and_no_empty_list(read: str, page: str, name: str) -> None:
    for payload in ({}, {name: None}):
        result = serve(getattr(READS, read), reply(**{page: payload}))
        assert isinstance(result, Retryable)
        assert result.code == "no_evidence"


@pytest.mark.parametrize(
    ("read", "page", "name", "row"),
    [
        ("positions", "searchOpen", "positions", position_row(1, 1)),
        ("fills", "search", "trades", trade_row(1)),
    ],
)
def test_a_row_without_a_contract_could_be_of_any(read: str, page: str, name: str, row: Row) -> None:
    assert serve(getattr(READS, read), reply(**{page: {name: [row]}})).whole
    broken = row | {"contractId": None}
    assert not serve(getattr(READS, read), reply(**{page: {name: [broken]}})).whole


def test_a_list_of_a_round_length_is_not_whole() -> None:
    rows = [position_row(1, 1, f"CON.F.US.X{each}.Z26") for each in range(20)]
    listed = serve(READS.positions, reply(searchOpen={"positions": rows}))
    assert len(listed.rows) == 20
    assert not listed.whole


def test_an_empty_list_that_is_there_is_whole() -> None:
    assert serve(READS.positions, reply(searchOpen={"positions": []})) == Listed((), True)


def test_history_and_fills_are_asked_for_since_the_moment_that_was_given() -> None:
    asked = []

    def answered(endpoint: str, fields: Row) -> HttpAnswer:
        asked.append((endpoint, fields["startTimestamp"]))
        return good(orders=[], trades=[])

    serve(READS.history, answered)
    serve(READS.fills, answered)
    assert asked == [
        ("Order/search", "2026-11-30T11:00:00.000000Z"),
        ("Trade/search", "2026-11-30T11:00:00.000000Z"),
    ]


def test_an_account_that_the_login_does_not_see_is_a_reason() -> None:
    rows = [{"id": 1, "name": "A", "balance": 1}, {"id": ACCOUNT, "name": "B", "balance": 2.5}]
    assert serve(READS.balance, reply(search={"accounts": rows})).balance == Decimal("2.5")
    assert isinstance(serve(READS.balance, reply(search={"accounts": rows[:1]})), Retryable)


def test_one_order_is_asked_for_by_its_id() -> None:
    found = serve(READS.order(9), reply(searchById={"order": order_row(9, status=3, fillVolume=1)}))
    assert (found.id, found.state, found.filled) == (9, "cancelled", 1)
