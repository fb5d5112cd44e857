"""What came of a mutation without an answer: evidence, or nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.protocol import (
    Accepted,
    AnyMutation,
    Cancel,
    Close,
    HttpAnswer,
    Intent,
    Modify,
    Place,
    Refused,
    Unknown,
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
    refusal,
    serve,
    trade_row,
)

TAG = "lw-store-1"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
PLACE = Place(
    account=ACCOUNT, contract=EP.id, side="buy", size=2, type="limit", limit_price=Decimal("6801.25")
)
OURS: Row = {"customTag": TAG}
ABSENT = "the venue has no order with this tag so far, which proves nothing"


class Gateway:
    """One whose lists are given."""

    def __init__(
        self,
        *,
        working: Sequence[Row] = (),
        history: Sequence[Row] = (),
        order: Row | None = None,
        positions: Sequence[Row] | None = (),
        trades: Sequence[Row] = (),
        total: int | None = None,
    ) -> None:
        count = total if total is not None else len(working)
        self.pages: dict[str, Row] = {
            "Order/v2/query": {"orders": working, "totalCount": count},
            "Order/search": {"orders": history},
            "Order/searchById": {"order": order},
            "Position/searchOpen": {"positions": positions},
            "Trade/search": {"trades": trades},
        }
        self.asked: list[tuple[str, Row]] = []

    def __call__(self, endpoint: str, fields: Row) -> HttpAnswer:
        self.asked.append((endpoint, fields))
        return good(**self.pages[endpoint])


def found(mutation: AnyMutation, gateway: Any, begun_ns: int = NOON_NS) -> Any:
    result = serve(API.find(Intent(tag=TAG, mutation=mutation, begun_ns=begun_ns)), gateway)
    if isinstance(result, Accepted | Refused | Unknown):
        assert result.tag == TAG
    if isinstance(result, Unknown):
        assert re.fullmatch(r"[a-z].*[a-z0-9)]", result.why)
    return result


# ── a place ──


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 6, 7, 8, 99])
def test_an_order_with_the_tag_was_taken(status: int) -> None:
    rows = [order_row(status=status, **OURS)]
    assert found(PLACE, Gateway(history=rows)) == Accepted(TAG, 9)


@pytest.mark.parametrize("status", [0, 1, 6, 7, 8, 99])
def test_an_order_that_only_the_query_shows_was_taken(status: int) -> None:
    rows = [order_row(status=status, **OURS)]
    assert found(PLACE, Gateway(working=rows)) == Accepted(TAG, 9)


def test_absence_is_no_evidence() -> None:
    others = [order_row(8), order_row(7, customTag=f"{TAG}-SL"), order_row(6, customTag=TAG[:-1])]
    assert found(PLACE, Gateway(working=others, history=others)) == Unknown(TAG, ABSENT)


def test_a_rejected_order_with_the_tag_was_refused() -> None:
    result = found(PLACE, Gateway(history=[order_row(status=5, **OURS)]))
    words = "the venue's record of it is rejected"
    assert result == Refused(TAG, "rejected", "OrderRejected", words, by_venue=True, order_id=9)


def test_an_order_beside_a_rejected_one_was_taken() -> None:
    """A tag that comes a second time is rejected, and a record of it kept."""
    rows = [order_row(8, **OURS), order_row(9, status=5, **OURS)]
    assert found(PLACE, Gateway(history=rows)) == Accepted(TAG, 8)


def test_two_orders_with_one_tag_are_told_and_not_chosen_from() -> None:
    result = found(PLACE, Gateway(history=[order_row(8, **OURS), order_row(9, **OURS)]))
    assert result == Unknown(TAG, "the venue has several orders with this tag: 8, 9. Look at them at once")


def test_one_order_in_both_lists_is_one() -> None:
    rows = [order_row(**OURS)]
    assert found(PLACE, Gateway(working=rows, history=rows)) == Accepted(TAG, 9)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"contractId": "CON.F.US.MES.Z26"}, "contract"),
        ({"side": 1}, "side"),
        ({"side": None}, "side"),
        ({"type": 4}, "type"),
        ({"size": 3}, "size"),
        ({"size": None, "type": 2}, "type, size"),
        ({"creationTimestamp": "2026-11-28T11:00:00Z"}, "day"),
        ({"creationTimestamp": "2026-12-01T12:00:01Z"}, "day"),
        ({"creationTimestamp": None}, "day"),
    ],
)
def test_another_order_with_the_tag_is_no_evidence(other: Row, named: str) -> None:
    result = found(PLACE, Gateway(working=[order_row(**(OURS | other))]))
    assert result == Unknown(TAG, f"order 9 has this tag, and another {named} than was asked for")


def test_an_order_of_another_account_is_no_evidence() -> None:
    assert found(PLACE, Gateway(history=[order_row(accountId=7, **OURS)])) == Unknown(TAG, ABSENT)
    result = found(PLACE, Gateway(history=[order_row(accountId=None, **OURS)]))
    assert result == Unknown(TAG, "order 9 has this tag, and another account than was asked for")


def test_the_window_is_a_day_to_both_sides_by_the_venues_clock() -> None:
    gateway = Gateway()
    found(PLACE, gateway, begun_ns=NOON_NS + 3_600_000_000_000)
    endpoint, fields = gateway.asked[-1]
    assert (endpoint, fields["accountId"]) == ("Order/search", ACCOUNT)
    # The answers say noon a quarter of a second after this machine's noon.
    assert fields["startTimestamp"] == "2026-11-29T12:59:59.750000Z"
    assert fields["endTimestamp"] == "2026-12-01T12:59:59.750000Z"


def test_without_a_date_the_clock_of_this_machine_counts() -> None:
    def reply(endpoint: str, _: Row) -> HttpAnswer:
        return HttpAnswer(200, good(orders=[order_row(**OURS)], totalCount=1).body)

    assert found(PLACE, reply) == Accepted(TAG, 9)


def test_a_wrong_clock_of_this_machine_hides_no_order() -> None:
    """It is three days behind: the answers tell by how much."""
    behind = 3 * 86_400

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        rows = [order_row(**OURS)] if fields.get("startTimestamp", "") > "2026-11-29T11" else []
        came = good(orders=rows, totalCount=len(rows))
        return HttpAnswer(200, came.body, came.headers, at=NOON.timestamp() - behind)

    assert found(PLACE, reply, begun_ns=NOON_NS - behind * 10**9) == Accepted(TAG, 9)


def test_a_list_that_may_be_cut_is_no_answer_and_what_is_in_it_counts() -> None:
    at = "2026-11-30T12:00:00Z"
    full = [order_row(number, creationTimestamp=at) for number in range(100, 200)]
    result = found(PLACE, Gateway(history=full))
    assert result == Unknown(TAG, "no order with this tag is in the venue's lists, which may be cut")
    assert found(PLACE, Gateway(history=[*full[:99], order_row(**OURS)])) == Accepted(TAG, 9)
    assert found(PLACE, Gateway(total=1)).why.endswith("which may be cut")


def test_without_the_query_the_other_lists_are_asked() -> None:
    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        if endpoint == "Order/v2/query":
            return answer(404, b"")
        return good(orders=[order_row(**OURS)] if endpoint == "Order/search" else [])

    assert found(PLACE, reply) == Accepted(TAG, 9)


@pytest.mark.parametrize("came", [answer(503, b""), answer(401, b""), answer(200, b"{"), good(orders=None)])
def test_a_read_that_fails_is_a_reason_and_no_outcome(came: HttpAnswer) -> None:
    assert not isinstance(found(PLACE, lambda *_: came), Accepted | Refused | Unknown)


# ── a change ──


def modify(**terms: Any) -> Modify:
    return Modify(account=ACCOUNT, order=9, **terms)


LIMIT = Decimal("6800.50")


@pytest.mark.parametrize("status", [1, 2, 3, 6])
def test_an_order_with_the_terms_was_changed(status: int) -> None:
    row = order_row(status=status, limitPrice=6800.500000, size=3)
    assert found(modify(limit_price=LIMIT, size=3), Gateway(order=row)) == Accepted(TAG, 9)


@pytest.mark.parametrize(
    "change", [modify(limit_price=LIMIT), modify(size=3), modify(limit_price=Decimal("6801.25"), size=3)]
)
def test_an_order_that_works_with_other_terms_may_yet_be_changed(change: Modify) -> None:
    assert isinstance(found(change, Gateway(order=order_row())), Unknown)


def test_an_order_that_is_final_with_other_terms_will_never_be_changed() -> None:
    result = found(modify(limit_price=LIMIT), Gateway(order=order_row(status=2)))
    assert result == Refused(TAG, "final", "", "order 9 is filled, with other terms", by_venue=True)


def test_the_size_of_a_partly_filled_order_proves_nothing() -> None:
    """Whether it is of all or of the rest is not documented."""
    row = order_row(status=3, size=5, fillVolume=2)
    assert isinstance(found(modify(size=3), Gateway(order=row)), Unknown)


@pytest.mark.parametrize(
    ("change", "fields"),
    [(modify(limit_price=LIMIT), {"fillVolume": 1}), (modify(size=3), {"fillVolume": 0})],
)
def test_a_final_order_tells_by_what_can_be_compared(change: Modify, fields: Row) -> None:
    assert isinstance(found(change, Gateway(order=order_row(status=3, **fields))), Refused)


@pytest.mark.parametrize("status", [1, 2])
def test_a_trail_cannot_be_compared(status: int) -> None:
    """It is a price in a request, and a distance in an answer."""
    row = order_row(type=5, status=status, trailPrice=5)
    assert isinstance(found(modify(trail_price=Decimal(5)), Gateway(order=row)), Unknown)


# ── a cancel ──

CANCEL = Cancel(account=ACCOUNT, order=9)


@pytest.mark.parametrize("filled", [0, 1])
def test_a_cancelled_order_was_cancelled(filled: int) -> None:
    assert found(CANCEL, Gateway(order=order_row(status=3, fillVolume=filled))) == Accepted(TAG, 9)


@pytest.mark.parametrize(("status", "word"), [(2, "filled"), (4, "expired"), (5, "rejected")])
def test_an_order_that_ended_otherwise_was_not(status: int, word: str) -> None:
    result = found(CANCEL, Gateway(order=order_row(status=status)))
    assert result == Refused(TAG, "final", "", f"order 9 is {word}", by_venue=True)


@pytest.mark.parametrize("status", [None, 0, 1, 6, 7, 8, 99])
def test_an_order_that_is_not_final_may_yet_be_cancelled(status: int | None) -> None:
    assert isinstance(found(CANCEL, Gateway(order=order_row(status=status))), Unknown)


def test_an_order_that_is_not_found_is_no_cancelled_one() -> None:
    assert found(CANCEL, lambda *_: refusal(1)).name == "OrderNotFound"
    assert found(CANCEL, Gateway(order=None)).code == "no_evidence"


# ── a close ──

CLOSE = Close(account=ACCOUNT, contract=EP.id)


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def fill(seconds: float, **fields: Any) -> Row:
    return trade_row(1, creationTimestamp=at(seconds), **fields)


def test_flat_and_a_fill_since_that_closed_is_closed() -> None:
    other = position_row(1, 2, "CON.F.US.MES.Z26")
    assert found(CLOSE, Gateway(positions=[other], trades=[fill(1)])) == Accepted(TAG)


def test_fills_of_a_day_are_asked_for_from_the_close_on() -> None:
    gateway = Gateway()
    found(CLOSE, gateway)
    # The answers say noon a quarter of a second after this machine's noon.
    assert gateway.asked[-1] == (
        "Trade/search",
        {
            "accountId": ACCOUNT,
            "startTimestamp": "2026-11-30T11:59:58.750000Z",
            "endTimestamp": "2026-12-01T11:59:59.750000Z",
        },
    )


@pytest.mark.parametrize(
    "trades",
    [
        [],
        [fill(-10)],
        [fill(1, profitAndLoss=None)],
        [fill(1, voided=True)],
        [fill(1, contractId="CON.F.US.MES.Z26")],
        [fill(1, accountId=7)],
    ],
)
def test_flat_without_such_a_fill_is_open(trades: list[Row]) -> None:
    assert isinstance(found(CLOSE, Gateway(trades=trades)), Unknown)


def test_a_position_that_is_there_is_not_closed() -> None:
    result = found(CLOSE, Gateway(positions=[position_row(2, 2)], trades=[fill(1)]))
    assert result == Unknown(TAG, "the position in CON.F.US.EP.Z26 is still -2")


@pytest.mark.parametrize("positions", [None, [position_row(0, 2)]])
def test_a_list_that_proves_nothing_is_not_flat(positions: list[Row] | None) -> None:
    assert found(CLOSE, Gateway(positions=positions, trades=[fill(1)])).code == "no_evidence"


def test_positions_that_may_be_cut_are_not_flat() -> None:
    rows = [position_row(1, 1, f"CON.F.US.A{number}.Z26") for number in range(20)]
    assert found(CLOSE, Gateway(positions=rows, trades=[fill(1)])).code == "cut"


def test_answers_without_a_date_tell_no_fill_to_be_later() -> None:
    def reply(endpoint: str, _: Row) -> HttpAnswer:
        return HttpAnswer(200, good(positions=[], trades=[fill(1)]).body)

    assert isinstance(found(CLOSE, reply), Unknown)


PARTLY = Close(account=ACCOUNT, contract=EP.id, size=2)


@pytest.mark.parametrize(
    ("trades", "closed"),
    [
        ([fill(10)], True),
        ([trade_row(n, creationTimestamp=at(10), size=1) for n in (1, 2)], True),
        ([fill(10, size=1)], False),
        ([fill(10, size=3)], False),
        ([fill(0.2)], False),  # an earlier close of the same size cannot be told apart
        ([trade_row(n, n, creationTimestamp=at(10)) for n in (1, 2)], False),
        ([fill(10, orderId=None)], False),
        ([], False),
    ],
)
def test_a_partial_close_is_told_by_one_order_of_just_its_size_and_certainly_later(
    trades: list[Row], closed: bool
) -> None:
    result = found(PARTLY, Gateway(positions=[position_row(1, 2)], trades=trades))
    assert result == (Accepted(TAG, 9) if closed else result)
    assert isinstance(result, Accepted if closed else Unknown)
