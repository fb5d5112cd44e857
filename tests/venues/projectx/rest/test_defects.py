"""What the synchronous SDK of old (project-x-py 1.1) got wrong with orders and requests: one test each."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from actors.protocol import (
    Accepted,
    Bracket,
    CallRefused,
    Cancel,
    Close,
    FrameLimit,
    HttpAnswer,
    Modify,
    Place,
    Refused,
    Retryable,
    Unknown,
    lane_of,
)
from tests.venues.projectx.rest.gateway import (
    ACCOUNT,
    API,
    EP,
    TOKEN,
    Row,
    answer,
    contract_row,
    good,
    order_row,
    pages,
    position_row,
    refusal,
    serve,
    talk,
    trade_row,
)

SINCE = datetime(2026, 11, 30, tzinfo=UTC)
TAG = "lw-store-1"


def send(mutation: Any, came: HttpAnswer) -> tuple[list[tuple[str, Row]], Any]:
    """Every request that left, and the outcome."""
    sent: list[tuple[str, Row]] = []

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        sent.append((endpoint, fields))
        return came

    return sent, serve(API.send(mutation, TAG, TOKEN), reply)


# ── the client ──


def test_the_limit_is_the_gateways_and_not_one_request_a_second() -> None:
    assert API.meters["rest"] == FrameLimit(200, 60.0)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_mutation_is_never_sent_again(status: int) -> None:
    mutation = Place(account=ACCOUNT, contract=EP.id, side="buy", size=1, type="market")
    sent, outcome = send(mutation, answer(status, b""))
    assert len(sent) == 1
    assert isinstance(outcome, Unknown)


def test_fills_are_asked_for_by_names_that_the_gateway_knows() -> None:
    """startTime, endTime and limit are passed over in silence: the answer is unfiltered."""
    names: set[str] = set()

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        names.update(fields)
        return good(trades=[])

    serve(API.trades(ACCOUNT, SINCE, SINCE), reply)
    assert names == {"accountId", "startTimestamp", "endTimestamp"}


@pytest.mark.parametrize(
    ("text", "only"), [("ES", contract_row("MES", "MESZ6")), ("NQZ6", contract_row("MNQ", "MNQZ6"))]
)
def test_the_first_contract_that_is_found_is_not_taken(text: str, only: Row) -> None:
    refused = serve(API.contract(text), pages(search={"contracts": [only]}))
    assert isinstance(refused, CallRefused)
    assert only["id"] in refused.message


def test_two_weeks_of_day_bars_are_asked_for_within_the_limit() -> None:
    """There, limit was minutes divided by the interval: more than 20,000."""

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        assert (fields["unit"], fields["unitNumber"]) == (4, 1)
        assert 1 <= fields["limit"] <= 20_000
        return good(bars=[])

    before = datetime(2026, 11, 16, tzinfo=UTC)
    assert serve(API.bars(EP.id, "day", start=before, end=SINCE), reply) == ()


def test_a_new_field_breaks_no_position_and_a_time_of_any_form_is_read() -> None:
    for stamp in ("2026-11-30T12:00:00+00:00", "2026-11-30T12:00:00.1234567Z"):
        row = position_row(1, 2) | {"brandNew": [1], "creationTimestamp": stamp}
        [position] = serve(API.positions(ACCOUNT), pages(searchOpen={"positions": [row]}))
        assert position.created_ns is not None


def test_the_front_month_is_asked_for_each_time() -> None:
    for name in ("ESZ6", "ESH6"):
        rows = [contract_row("EP", name)]
        assert serve(API.contract("ES"), pages(search={"contracts": rows})).name == name


# ── orders ──


@pytest.mark.parametrize("kind", [1, 2])
def test_closing_a_short_buys_and_never_doubles_it(kind: int) -> None:
    """A size has no sign. The gateway closes whichever side there is: no side is told that could be wrong."""
    [position] = serve(API.positions(ACCOUNT), pages(searchOpen={"positions": [position_row(kind, 2)]}))
    assert position.net == (2 if kind == 1 else -2)
    sent, outcome = send(Close(account=ACCOUNT, contract=EP.id), good())
    assert sent == [("Position/closeContract", {"accountId": ACCOUNT, "contractId": EP.id})]
    assert outcome == Accepted(TAG)


def test_a_bracket_is_one_order_whose_exits_cannot_work_before_its_entry() -> None:
    """There, they were three orders, and a refused stop hid an entry that was alive."""
    entry = Place(
        account=ACCOUNT,
        contract=EP.id,
        side="buy",
        size=1,
        type="market",
        bracket=Bracket(stop=10, target=20),
    )
    sent, outcome = send(entry, refusal(2, "Invalid stop loss ticks"))
    assert [endpoint for endpoint, _ in sent] == ["Order/place"]
    assert {"stopLossBracket", "takeProfitBracket"} <= sent[0][1].keys()
    assert "linkedOrderId" not in sent[0][1]
    assert isinstance(outcome, Refused)


def test_no_contract_lets_a_price_pass_unaligned() -> None:
    """There, an id such as M2K's did not match a pattern, and its prices left as they were."""
    row = contract_row("M2K", "M2KZ6") | {"tickSize": 0.1}
    contract = serve(API.contract("M2K"), pages(search={"contracts": [row]}))
    place = Place(
        account=ACCOUNT, contract=contract.id, side="sell", size=1, type="stop", stop_price=Decimal("2301.27")
    )
    assert "lies between the ticks 2301.2 and 2301.3" in str(API.prepare(place, contract))
    safe = API.prepare(place, contract, align="safe")
    assert isinstance(safe, Place)
    assert safe.stop_price == Decimal("2301.2")


def test_orders_that_could_not_be_read_are_not_no_orders() -> None:
    for came in (answer(503, b""), refusal(1), good(orders=None)):
        assert isinstance(
            serve(API.open_orders(ACCOUNT), lambda *_, came=came: came), CallRefused | Retryable
        )


def test_orders_of_one_contract_are_not_those_of_every_contract() -> None:
    """There, contractId was sent where it is no parameter, and every contract's orders were cancelled."""
    rows = [order_row(1), order_row(2, contractId="CON.F.US.MES.Z26")]

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        if endpoint == "Order/v2/query":
            return answer(404, b"")
        assert fields == {"accountId": ACCOUNT}
        return good(orders=rows)

    assert [row.id for row in serve(API.open_orders(ACCOUNT, EP.id), reply)] == [1]


def test_a_filled_order_is_found_by_its_id() -> None:
    order = serve(API.order(ACCOUNT, 9), pages(searchById={"order": order_row(status=2)}))
    assert order.status.is_final


def test_bracket_legs_have_statuses_that_are_read() -> None:
    rows = [order_row(1, status=7), order_row(2, status=8), order_row(3, status=9)]
    assert len(serve(API.open_orders(ACCOUNT), pages(query={"orders": rows, "totalCount": 3}))) == 3


def test_orders_of_other_accounts_are_not_mixed_in() -> None:
    rows = [order_row(1), order_row(2, accountId=7)]
    assert [row.id for row in serve(API.orders(ACCOUNT, SINCE), pages(search={"orders": rows}))] == [1]


@pytest.mark.parametrize(
    "mutation",
    [Cancel(account=ACCOUNT, order=9), Modify(account=ACCOUNT, order=9, size=1)],
    ids=["cancel", "modify"],
)
def test_refused_and_unknown_are_not_the_same(mutation: Any) -> None:
    """There, all of it was False."""
    assert isinstance(send(mutation, good())[1], Accepted)
    assert isinstance(send(mutation, refusal(2))[1], Refused)
    assert isinstance(send(mutation, answer(504, b""))[1], Unknown)


def test_an_order_always_has_a_tag() -> None:
    mutation = Place(account=ACCOUNT, contract=EP.id, side="buy", size=1, type="market")
    [(_, fields)], _ = send(mutation, good(orderId=1))
    assert fields["customTag"] == TAG


# ── positions ──


def test_a_partial_close_names_its_size_as_the_gateway_does() -> None:
    """There, closeSize was sent, and passed over or refused."""
    mutation = Close(account=ACCOUNT, contract=EP.id, size=1)
    sent = ("Position/partialCloseContract", {"accountId": ACCOUNT, "contractId": EP.id, "size": 1}, good())
    assert talk(API.send(mutation, TAG, TOKEN), sent) == Accepted(TAG)
    assert lane_of(mutation) == "flatten"


def test_positions_that_could_not_be_read_are_not_flat() -> None:
    for came in (answer(503, b""), refusal(1), good(positions=None)):
        assert isinstance(serve(API.positions(ACCOUNT), lambda *_, came=came: came), CallRefused | Retryable)


def test_a_position_that_turned_has_another_net() -> None:
    """Long 2 to short 2 was unchanged there: sizes have no sign."""
    rows = [position_row(kind, 2) for kind in (1, 2)]
    nets = [serve(API.positions(ACCOUNT), pages(searchOpen={"positions": [row]})).rows[0].net for row in rows]
    assert nets == [2, -2]


def test_a_voided_fill_is_told() -> None:
    [fill] = serve(API.trades(ACCOUNT, SINCE), pages(search={"trades": [trade_row(1, voided=True)]}))
    assert fill.voided is True
