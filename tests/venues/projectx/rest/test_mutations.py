"""Mutations: what leaves, and what an answer says for certain."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol import (
    Accepted,
    AnyMutation,
    Bracket,
    Cancel,
    Close,
    HttpAnswer,
    Modify,
    Place,
    Refused,
    Unknown,
)
from tests.venues.projectx.rest.gateway import (
    ACCOUNT,
    API,
    EP,
    TOKEN,
    Row,
    answer,
    good,
    refusal,
    serve,
    talk,
)

TAG = "lw-store-1"
PLACE = Place(
    account=ACCOUNT, contract=EP.id, side="buy", size=2, type="limit", limit_price=Decimal("6801.25")
)
MODIFY = Modify(account=ACCOUNT, order=9, limit_price=Decimal("6800.50"))
CANCEL = Cancel(account=ACCOUNT, order=9)
CLOSE = Close(account=ACCOUNT, contract=EP.id)
PARTLY = Close(account=ACCOUNT, contract=EP.id, size=1)
EVERY: list[AnyMutation] = [PLACE, MODIFY, CANCEL, CLOSE, PARTLY]
ENDPOINTS = [
    "Order/place",
    "Order/modify",
    "Order/cancel",
    "Position/closeContract",
    "Position/partialCloseContract",
]
HERE = {"accountId": ACCOUNT, "contractId": EP.id}


def outcome(mutation: AnyMutation, came: HttpAnswer) -> Any:
    """Of one request and no second one."""
    sent: list[Row] = []

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        sent.append(fields)
        return came

    result = serve(API.send(mutation, TAG, TOKEN), reply)
    assert len(sent) == 1
    return result


def placed(**terms: Any) -> Row:
    """What leaves for a place, without what is the same in each."""
    given: dict[str, Any] = {"side": "buy", "size": 2, "type": "market"} | terms
    mutation = Place(account=ACCOUNT, contract=EP.id, **given)
    sent: list[Row] = []

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        assert endpoint == "Order/place"
        sent.append(fields)
        return good(orderId=1)

    serve(API.send(mutation, TAG, TOKEN), reply)
    return {name: value for name, value in sent[0].items() if name not in (*HERE, "customTag", "size")}


# ── what leaves ──


@pytest.mark.parametrize(
    ("mutation", "endpoint", "fields"),
    [
        (
            PLACE,
            "Order/place",
            {**HERE, "type": 1, "side": 0, "size": 2, "limitPrice": 6801.25, "customTag": TAG},
        ),
        (MODIFY, "Order/modify", {"accountId": ACCOUNT, "orderId": 9, "limitPrice": 6800.50}),
        (
            Modify(account=ACCOUNT, order=9, size=3, stop_price=Decimal("1.5"), trail_price=Decimal(2)),
            "Order/modify",
            {"accountId": ACCOUNT, "orderId": 9, "size": 3, "stopPrice": 1.5, "trailPrice": 2},
        ),
        (CANCEL, "Order/cancel", {"accountId": ACCOUNT, "orderId": 9}),
        (CLOSE, "Position/closeContract", HERE),
        (PARTLY, "Position/partialCloseContract", {**HERE, "size": 1}),
    ],
    ids=[*ENDPOINTS[:2], "several terms", *ENDPOINTS[2:]],
)
def test_a_mutation_is_one_request(mutation: AnyMutation, endpoint: str, fields: Row) -> None:
    assert isinstance(talk(API.send(mutation, TAG, TOKEN), (endpoint, fields, good(orderId=7))), Accepted)


@pytest.mark.parametrize(
    ("kind", "number", "price", "wire"),
    [
        ("market", 2, "", ""),
        ("limit", 1, "limit_price", "limitPrice"),
        ("stop", 4, "stop_price", "stopPrice"),
        ("trailing_stop", 5, "trail_price", "trailPrice"),
        ("join_bid", 6, "", ""),
        ("join_ask", 7, "", ""),
    ],
)
def test_types_have_the_gateways_numbers(kind: str, number: int, price: str, wire: str) -> None:
    prices = {price: Decimal("6801.25")} if price else {}
    assert placed(type=kind, **prices) == {"type": number, "side": 0} | ({wire: 6801.25} if wire else {})
    assert placed(type=kind, side="sell", **prices)["side"] == 1


@pytest.mark.parametrize(
    ("side", "stop", "target"),
    [("buy", {"ticks": -10, "type": 4}, {"ticks": 20, "type": 1}),
     ("sell", {"ticks": 10, "type": 4}, {"ticks": -20, "type": 1})],
)  # fmt: skip
def test_bracket_ticks_are_signed_by_the_side(side: str, stop: Row, target: Row) -> None:
    sent = placed(side=side, bracket=Bracket(stop=10, target=20))
    assert (sent["stopLossBracket"], sent["takeProfitBracket"]) == (stop, target)
    assert "takeProfitBracket" not in placed(side=side, bracket=Bracket(stop=10))
    assert "stopLossBracket" not in placed(side=side, bracket=Bracket(target=20))


@pytest.mark.parametrize("text", ["6801.25", "113.515625", "0.0000005", "4120.4", "1E+2", "-37.63", "100.00"])
def test_a_price_leaves_with_all_of_its_digits_and_no_exponent(text: str) -> None:
    request = next(API.send(Modify(account=1, order=1, limit_price=Decimal(text)), TAG, TOKEN))
    number = request.body.partition(b'"limitPrice":')[2].rstrip(b"}").decode()
    assert Decimal(number) == Decimal(text)
    assert "E" not in number.upper()


# ── a clear yes and a clear no ──


@pytest.mark.parametrize("mutation", EVERY, ids=ENDPOINTS)
def test_yes(mutation: AnyMutation) -> None:
    assert outcome(mutation, good(orderId=7)) == Accepted(TAG, 7 if mutation is PLACE else None)


def test_a_place_without_an_order_is_looked_for() -> None:
    """It was taken, but cannot be cancelled without its id, which `find` gets by the tag."""
    for order in (None, 0):
        assert isinstance(outcome(PLACE, good(orderId=order)), Unknown)


OPEN = range(4, 9)  # the codes that some table calls pending or unknown
DEFINITE = {
    "Order/place": (1, 2, 3, 4, 5, 8, 9, 10),
    "Order/modify": (1, 2, 3, 6, 7),
    "Order/cancel": (1, 2, 3, 6),
    "Position/closeContract": (1, 2, 3, 4, 5, 8),
    "Position/partialCloseContract": (1, 2, 3, 4, 5, 6, 9),
}


@pytest.mark.parametrize("code", [-1, *range(1, 13)])
@pytest.mark.parametrize("mutation", EVERY, ids=ENDPOINTS)
def test_a_code_is_a_no_where_its_table_says_so_and_else_open(mutation: AnyMutation, code: int) -> None:
    endpoint = ENDPOINTS[EVERY.index(mutation)]
    result = outcome(mutation, refusal(code, "some words"))
    if code in DEFINITE[endpoint]:
        assert isinstance(result, Refused)
        assert (result.code, result.message, result.by_venue) == (str(code), "some words", True)
    else:
        assert isinstance(result, Unknown)
        assert result.tag == TAG
        assert result.why.startswith(
            f"{endpoint} answered {code} {'which is not known' * (code not in OPEN)}"
        )
        assert result.why.endswith("some words")


def test_a_no_without_words_has_none() -> None:
    assert outcome(PLACE, refusal(2)) == Refused(TAG, "2", "OrderRejected", "", by_venue=True)
    assert outcome(PLACE, refusal(6)) == Unknown(TAG, "Order/place answered 6 OrderPending: no words")


def test_a_no_is_in_the_venues_words() -> None:
    words = "Invalid stop loss ticks (40). Ticks should be less than zero when longing."
    assert outcome(PLACE, refusal(2, words)) == Refused(TAG, "2", "OrderRejected", words, by_venue=True)


def test_a_no_may_bear_an_order_and_is_a_no() -> None:
    """In the mode Position Brackets, the gateway keeps a rejected order of it."""
    words = "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."
    assert outcome(PLACE, refusal(2, words, orderId=9)) == Refused(
        TAG, "2", "OrderRejected", words, by_venue=True, order_id=9
    )


@pytest.mark.parametrize("words", ["Custom tag is already in use.", "Duplicate customTag", "The TAG exists"])
def test_a_refusal_of_the_tag_leaves_it_open(words: str) -> None:
    """A tag is sent once. If it is in use, something on the way has sent the order twice."""
    assert isinstance(outcome(PLACE, refusal(2, words)), Unknown)
    assert isinstance(outcome(PLACE, refusal(2, "Order is in a wrong stage")), Refused)


def test_words_show_no_token() -> None:
    assert outcome(PLACE, refusal(2, "bad the-token")).message == "bad …"


def test_a_no_with_an_order_that_cannot_be_read_is_a_no() -> None:
    assert isinstance(outcome(PLACE, refusal(2, None, orderId="nine")), Refused)


# ── everything else ──


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "errorCode": 2, "orderId": 9},
        {"success": False, "errorCode": 0, "orderId": 9},
        {"success": False, "errorCode": None},
        {"success": True, "orderId": 9},
        {"orderId": 9},
        {"success": "true", "errorCode": 0, "orderId": 9},
        {"success": True, "errorCode": 0, "orderId": "9"},
        [],
        None,
        b"",
        b"{",
        b"<html>OK</html>",
        b"\xff\xfe",
    ],
    ids=repr,
)
def test_an_answer_that_says_nothing_certain_leaves_a_place_open(body: object) -> None:
    assert isinstance(outcome(PLACE, answer(200, body)), Unknown)


@pytest.mark.parametrize(
    "status", [201, 202, 204, 206, 301, 302, 303, 307, 308, 401, 402, 403, 408, 409, 421, 425]
)
def test_a_status_of_no_page_leaves_it_open(status: int) -> None:
    assert outcome(PLACE, answer(status, b"")) == Unknown(TAG, f"Order/place answered with HTTP {status}")


@pytest.mark.parametrize("status", [429, 500, 501, 502, 503, 504, 520, 524, 599])
def test_a_limit_and_an_error_of_the_server_leave_it_open(status: int) -> None:
    came = answer(status, {"success": False, "errorCode": 2}, retry_after="1")
    assert isinstance(outcome(PLACE, came), Unknown)


@pytest.mark.parametrize("status", [400, 404, 405, 407, 411, 413, 414, 415, 431])
def test_a_request_that_met_no_page_was_not_done(status: int) -> None:
    words = f"Order/place answered with HTTP {status}"
    assert outcome(PLACE, answer(status, b"")) == Refused(TAG, f"http_{status}", "", words, by_venue=True)


@pytest.mark.parametrize("challenge", ["Bearer", 'bearer error="invalid_token"', "  BEARER realm=x"])
def test_a_challenge_of_the_authentication_was_not_done(challenge: str) -> None:
    """It comes before the page is called."""
    assert outcome(PLACE, answer(401, b"", www_authenticate=challenge)).code == "http_401"


def test_a_no_says_when_to_ask_again_if_the_gateway_does() -> None:
    assert outcome(PLACE, answer(404, b"", retry_after="12")).retry_after == 12.0
    assert outcome(PLACE, answer(404, b"")).retry_after is None


@pytest.mark.parametrize("challenge", ["", "Basic", "Negotiate", "Bearerish"])
def test_another_401_may_come_from_behind_the_page(challenge: str) -> None:
    assert isinstance(outcome(PLACE, answer(401, b"", www_authenticate=challenge)), Unknown)


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=60)
    | st.fixed_dictionaries(
        {},
        optional={
            "success": st.sampled_from([True, False, None, 1]),
            "errorCode": st.sampled_from([0, 2, 6, 7, 99, None, "0"]),
            "orderId": st.sampled_from([0, 9, None, "9"]),
        },
    ).map(msgspec.json.encode),
    mutation=st.sampled_from(EVERY),
)
def test_whatever_the_answer_a_mutation_ends_with_an_outcome(
    status: int, body: bytes, mutation: AnyMutation
) -> None:
    result = outcome(mutation, HttpAnswer(status, body))
    assert isinstance(result, Accepted | Refused | Unknown)
    assert result.tag == TAG
    if isinstance(result, Accepted):
        assert status == 200
        told = msgspec.json.decode(body)
        assert (told["success"], told["errorCode"]) == (True, 0)
