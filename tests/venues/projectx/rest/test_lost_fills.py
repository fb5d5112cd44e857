"""The fills of a loss are those between both seams of a whole list, or the result tells what is open."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol import Backfilled, CallRefused, HttpAnswer, Loss, Retryable, joining
from actors.venues.projectx import AccountTrade, ProjectX, ProjectXSettings
from actors.venues.projectx.rest.lost_fills import MAY_BE_CUT
from actors.venues.projectx.rest.times import text_of
from tests.venues.projectx.rest.gateway import ACCOUNT, NOON_NS, Row, answer, good, refusal, serve

SECOND = 1_000_000_000
VENUE = ProjectX("topstep", ProjectXSettings())
TOPIC = VENUE.topic("account_trades", str(ACCOUNT), {})


def row(number: int, **over: Any) -> Row:
    """A fill as the list has it: one in a second. The hub leaves the commissions out."""
    made = {
        "id": number,
        "accountId": ACCOUNT,
        "contractId": "CON.F.US.EP.Z26",
        "creationTimestamp": text_of(NOON_NS + number * SECOND),
        "price": 6_800.25,
        "fees": 1.4,
        "commissions": 0.5,
        "side": 0,
        "size": 1,
        "voided": False,
        "orderId": 7,
    }
    return made | over


def listed(number: int, **over: Any) -> AccountTrade:
    return msgspec.convert(row(number, **over), AccountTrade, strict=False)


def told(number: int, **over: Any) -> AccountTrade:
    """As the hub tells it."""
    return msgspec.structs.replace(listed(number, **over), commissions=None)


def fills(last: AccountTrade | None, first: AccountTrade | None, *rows: Row) -> Any:
    return replies(last, first, lambda _, __: good(trades=list(rows)))


def replies(last: AccountTrade | None, first: AccountTrade | None, reply: Any) -> Any:
    call = VENUE.backfill(TOPIC, Loss(NOON_NS, NOON_NS + 60 * SECOND, last, first))
    assert call is not None
    return serve(call, reply)


def test_the_span_is_from_seam_to_seam_with_a_second_around_it() -> None:
    asked: list[tuple[str, Row]] = []

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        asked.append((endpoint, fields))
        return good(trades=[])

    replies(told(5), told(9), reply)
    replies(told(5), None, reply)
    replies(None, None, reply)
    start = {"accountId": ACCOUNT, "startTimestamp": text_of(NOON_NS + 4 * SECOND)}
    assert asked == [
        ("Trade/search", start | {"endTimestamp": text_of(NOON_NS + 10 * SECOND)}),
        ("Trade/search", start),
        ("Trade/search", {"accountId": ACCOUNT, "startTimestamp": text_of(NOON_NS - SECOND)}),
    ]


def test_fills_between_both_seams_are_complete() -> None:
    found = fills(told(1), told(5), *(row(each) for each in range(7)))
    assert found == Backfilled((listed(2), listed(3), listed(4)), complete=True)


def test_a_fill_of_the_list_is_the_same_one_as_the_hub_s() -> None:
    assert listed(3) != told(3)
    assert VENUE.duplicate_key(TOPIC, listed(3)) == VENUE.duplicate_key(TOPIC, told(3))


@pytest.mark.parametrize(
    ("last", "first", "numbers", "why"),
    [
        pytest.param(told(1), None, [2, 3], joining.NO_FIRST, id="nothing after it"),
        pytest.param(told(1), told(9), [2, 3], joining.FIRST_MISSING, id="the list lags"),
        pytest.param(None, told(3), [1, 2], joining.NO_LAST, id="nothing before it"),
    ],
)
def test_an_open_seam_is_told(
    last: AccountTrade | None, first: AccountTrade | None, numbers: list[int], why: str
) -> None:
    found = fills(last, first, *(row(each) for each in range(1, 4)))
    assert ([each.id for each in found.events], found.complete, found.why) == (numbers, False, why)


def test_a_list_of_a_round_length_is_not_complete() -> None:
    # All in one moment: a span that short cannot be halved.
    rows = [row(each, creationTimestamp=text_of(NOON_NS + SECOND)) for each in range(50)]
    at = {"creationTimestamp": text_of(NOON_NS + SECOND)}
    found = fills(told(0, **at), told(49, **at), *rows)
    assert ([each.id for each in found.events], found.complete) == (list(range(1, 49)), False)
    assert found.why == MAY_BE_CUT


def test_a_fill_that_is_voided_meanwhile_comes_again() -> None:
    found = fills(told(1), told(3), row(1, voided=True), row(2, voided=True), row(3))
    assert found == Backfilled((listed(1, voided=True), listed(2, voided=True)), complete=True)
    again = fills(told(1, voided=True), told(3), row(1, voided=True), row(3))
    assert again == Backfilled((), complete=True)


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        pytest.param(good(trades=None), Retryable, id="no list"),
        pytest.param(answer(503), Retryable, id="503"),
        pytest.param(answer(200, b'{"trades":[{'), Retryable, id="a cut body"),
        pytest.param(refusal(1, "Account not found."), CallRefused, id="a refusal"),
    ],
)
def test_what_is_no_list_is_no_result(reply: HttpAnswer, failure: type[Any]) -> None:
    assert isinstance(replies(told(1), told(3), lambda _, __: reply), failure)


def test_a_body_that_is_cut_at_any_byte_is_never_taken_for_a_list() -> None:
    whole = good(trades=[row(each) for each in range(4)]).body
    for size in range(len(whole)):
        cut = answer(200, whole[:size])
        assert isinstance(replies(told(0), told(3), lambda _, __, cut=cut: cut), Retryable)


def test_other_channels_cannot_be_asked_for() -> None:
    loss = Loss(NOON_NS, NOON_NS + SECOND)
    for channel, key in (("orders", "4242"), ("positions", "4242"), ("trades", "CON.F.US.EP.Z26")):
        assert VENUE.backfill(VENUE.topic(channel, key, {}), loss) is None
        assert not VENUE.channels[channel].backfill


@given(
    st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=12),
    st.none() | st.integers(0, 15),
    st.none() | st.integers(0, 15),
)
def test_whatever_rows_come_the_fills_are_in_order_each_once(
    numbers: list[tuple[int, bool]], last: int | None, first: int | None
) -> None:
    rows = [row(number, voided=voided) for number, voided in numbers]
    found = fills(None if last is None else told(last), None if first is None else told(first), *rows)
    ids = [each.id for each in found.events]
    assert ids == sorted(set(ids))
    assert set(ids) <= {number for number, _ in numbers}
    if found.complete:
        assert last is not None
        assert first is not None
        assert set(ids) - {last} == {number for number, _ in numbers if last < number < first}
