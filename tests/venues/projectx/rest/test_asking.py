"""Envelopes and statuses: what proves something, and what proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol import CallRefused, Fatal, HttpAnswer, Retryable, Slow, Weather
from actors.venues.projectx import OrderStatus, OrderType
from actors.venues.projectx.rest.asking import VenueClock, may_be_cut
from tests.venues.projectx.rest.gateway import (
    ACCOUNT,
    API,
    NOON,
    NOON_NS,
    answer,
    good,
    order_row,
    position_row,
    refusal,
    serve,
    talk,
)

SINCE = datetime(2026, 11, 30, tzinfo=UTC)
POSITIONS = ("Position/searchOpen", {"accountId": ACCOUNT})


def positions(came: HttpAnswer) -> Any:
    return talk(API.positions(ACCOUNT), (*POSITIONS, came))


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "errorCode": 2, "positions": []},
        {"success": False, "errorCode": 0, "positions": []},
        {"success": True, "positions": []},
        {"errorCode": 0, "positions": []},
        {"success": True, "errorCode": 0, "positions": None},
        {"success": True, "errorCode": 0},
    ],
    ids=str,
)
def test_an_envelope_that_proves_nothing_is_no_empty_list(body: object) -> None:
    reason = positions(answer(200, body))
    assert isinstance(reason, Retryable)
    assert reason.code == "no_evidence"
    assert "Position/searchOpen proves nothing" in reason.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b"\xff",
        b'{"success":true,"errorCode":0,"positions":[{"size":2}]}',
        b'{"success":true,"errorCode":0,"positions":[{"id":1,"averagePrice":1e999999}]}',
        b'{"success":true,"errorCode":0,"positions":' + b"[" * 100_000,
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
def test_a_body_that_cannot_be_read_is_no_empty_list(body: bytes) -> None:
    reason = positions(answer(200, body))
    assert isinstance(reason, Retryable)
    assert reason.code == "unreadable"


def test_a_list_that_is_there_and_empty_is_flat() -> None:
    listing = positions(good(positions=[]))
    assert (listing.rows, listing.whole) == ((), True)


def test_a_refusal_bears_the_endpoint_its_code_and_name_and_the_words() -> None:
    refused = positions(refusal(1, "Account the-token not found", positions=None))
    assert refused == CallRefused("Position/searchOpen", 1, "AccountNotFound", "Account … not found")
    assert str(refused) == "Position/searchOpen was refused (1 AccountNotFound: Account … not found)"


def test_a_refusal_often_has_no_words() -> None:
    assert str(positions(refusal(1))) == "Position/searchOpen was refused (1 AccountNotFound)"
    assert str(positions(refusal(77))) == "Position/searchOpen was refused (77)"


def test_a_token_that_is_not_taken_has_a_code_of_its_own() -> None:
    """By it, the caller gets another token and asks once more."""
    reason = positions(answer(401, b""))
    assert isinstance(reason, Fatal)
    assert reason.code == "http_401"


def test_a_limit_is_slow_for_as_long_as_the_gateway_says() -> None:
    reason = positions(answer(429, b"", retry_after="12"))
    assert isinstance(reason, Slow)
    assert (reason.retry_after, reason.shared) == (12.0, True)


def test_a_limit_without_a_time_is_slow_as_well() -> None:
    assert isinstance(positions(answer(429, b"")), Slow)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, Weather), (302, Weather), (500, Retryable), (503, Retryable)]
)
def test_other_statuses_are_reasons_by_the_rule_of_all_venues(status: int, kind: type) -> None:
    assert type(positions(answer(status, b""))) is kind


NUMBERS = st.none() | st.integers(-1, 2**40)
NEW = st.dictionaries(st.sampled_from(["newA", "newB"]), st.sampled_from([None, 1.5, "x", [[1]], {"id": 2}]))


@given(status=NUMBERS, kind=NUMBERS, side=NUMBERS, extra=NEW)
def test_numbers_and_fields_that_the_gateway_adds_are_read(
    status: int | None, kind: int | None, side: int | None, extra: dict[str, Any]
) -> None:
    row = extra | order_row(status=status, type=kind, side=side)
    came = good(orders=[row], totalCount=1, **extra)
    [order] = serve(API.orders(ACCOUNT, since=SINCE), lambda *_: came)
    assert (order.status, order.type, order.side) == (status, kind, side)
    assert status not in (7, 8) or not order.status.is_final


@given(body=st.binary(max_size=200) | st.text(max_size=200).map(msgspec.json.encode))
def test_no_body_makes_a_read_raise(body: bytes) -> None:
    assert isinstance(positions(answer(200, body)), Retryable)


def test_known_numbers_have_their_names() -> None:
    [order] = serve(API.orders(ACCOUNT, since=SINCE), lambda *_: good(orders=[order_row(status=8, type=5)]))
    assert (order.status, order.type) == (OrderStatus.SUSPENDED, OrderType.TRAILING_STOP)


def test_ping_answers_without_an_envelope() -> None:
    assert serve(API.ping(), lambda *_: answer(200, b"pong")) == "pong"
    assert serve(API.ping(), lambda *_: answer(503, b"")).code == "http_503"


@pytest.mark.parametrize(
    ("count", "cut"),
    [(0, False), (10, False), (19, False), (20, True), (25, True), (33, False), (100, True), (1_000, True)],
)
def test_a_list_of_a_round_length_may_be_cut(count: int, cut: bool) -> None:
    assert may_be_cut(count) is cut


def test_a_position_list_of_a_round_length_is_not_whole() -> None:
    rows = [position_row(1, 1, f"CON.F.US.A{number}.Z26") for number in range(20)]
    listing = positions(good(positions=rows))
    assert (len(listing), listing.whole) == (20, False)


def test_the_venues_clock_is_known_within_a_second_and_the_way_of_an_answer() -> None:
    clock = VenueClock()
    assert (clock.earliest(0), clock.latest(0), clock.date_ns) == (None, None, None)
    clock.note(HttpAnswer(200, headers={"date": "Mon, 30 Nov 2026 12:00:00 GMT"}, at=NOON - 99.5))
    clock.note(HttpAnswer(200, headers={"date": "Mon, 30 Nov 2026 12:00:01 GMT"}, at=NOON - 98.5))
    begun = NOON_NS - 100_000_000_000  # on this machine; the venue is 99.5 to 100.5 seconds ahead
    earliest, latest = clock.earliest(begun), clock.latest(begun)
    assert earliest is not None
    assert latest is not None
    assert earliest == NOON_NS - 500_000_000
    assert latest == NOON_NS + 1_500_000_000


def test_an_answer_without_a_date_tells_no_time() -> None:
    clock = VenueClock()
    clock.note(HttpAnswer(200, at=1.0))
    assert (clock.earliest(0), clock.latest(0), clock.date_ns) == (None, None, None)
