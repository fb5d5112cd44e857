"""Mutations: one request each, and what its answer says for certain.

A mutation is refused only where the answer is a definite no. Everything else that is no clear yes is
`Unknown`: a lost answer, a body that cannot be read, an envelope that contradicts itself, a code that the
endpoint's table calls pending or unknown, a code that is in no table, a refusal of the tag, 429, 5xx, and
statuses of no page.

HTTP statuses of the 4xx that are a definite no:

- 401, if it bears the challenge `WWW-Authenticate: Bearer` (RFC 6750, 3). The gateway is ASP.NET Core, whose
  authentication answers so before a controller is called: the order was never seen. A 401 without it may
  come from a controller or from something in front of the gateway, after it has passed the order on.
- 400, 404, 405, 407, 411, 413, 414, 415 and 431: the request was malformed, met no route, or no proxy let it
  pass (RFC 9110, 15.5). It is refused before it is carried out.

403 is not among them: the gateway documents none, and who answers with it is not known. Neither is 429: the
gateway does not say whether it counts before it acts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw, Struct

from actors.protocol import (
    Accepted,
    AnyMutation,
    Bracket,
    Cancel,
    Close,
    Conversation,
    HttpAnswer,
    Modify,
    OrderOutcome,
    Place,
    Refused,
    Secret,
    Side,
    Unknown,
)
from actors.protocol.signalr.formatting import said
from actors.venues.projectx.messages import OrderSide, OrderType
from actors.venues.projectx.rest.asking import Envelope, Gateway, read
from actors.venues.projectx.rest.codes import OPEN, name_of

PLACE: Final = "Order/place"
MODIFY: Final = "Order/modify"
CANCEL: Final = "Order/cancel"
CLOSE: Final = "Position/closeContract"
PARTIAL_CLOSE: Final = "Position/partialCloseContract"

SIDES: Final[Mapping[Side, OrderSide]] = {"buy": OrderSide.BID, "sell": OrderSide.ASK}
TYPES: Final[Mapping[str, OrderType]] = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "trailing_stop": OrderType.TRAILING_STOP,
    "join_bid": OrderType.JOIN_BID,
    "join_ask": OrderType.JOIN_ASK,
}
_OF_THE_TAG: Final = re.compile(r"\b(custom\s?)?tag\b", re.ASCII | re.IGNORECASE)
NOT_DONE: Final = frozenset((400, 404, 405, 407, 411, 413, 414, 415, 431))


class Sent(Struct, frozen=True):
    """One request as JSON: where to, and with which fields."""

    endpoint: str
    fields: Mapping[str, object]


class Placed(Envelope, frozen=True, kw_only=True):
    """`Order/place`."""

    order_id: int | None = None


def send(gateway: Gateway, mutation: AnyMutation, tag: str, secret: Secret) -> Conversation[OrderOutcome]:
    """Sends exactly one request, and judges its answer."""
    sent = request(mutation, tag)
    answer = yield gateway.post(sent.endpoint, msgspec.json.encode(sent.fields), secret)
    return judged(sent.endpoint, tag, answer, secret)


# ── what is sent ──


def request(mutation: AnyMutation, tag: str) -> Sent:
    """Returns what is sent for a mutation. ProjectX passes over a key that it does not know, in silence."""
    account: dict[str, object] = {"accountId": mutation.account}
    match mutation:
        case Place():
            return Sent(PLACE, account | _order(mutation) | {"customTag": tag})
        case Modify():
            # ProjectX, "ModifyOrder": only what changes; whether null means "no price" is not documented.
            size = {} if mutation.size is None else {"size": mutation.size}
            return Sent(MODIFY, account | {"orderId": mutation.order} | size | _prices(mutation))
        case Cancel():
            return Sent(CANCEL, account | {"orderId": mutation.order})
        case Close(size=None):
            return Sent(CLOSE, account | {"contractId": mutation.contract})
        case Close():
            # ProjectX, "PartialCloseContract": the key is `size`.
            return Sent(PARTIAL_CLOSE, account | {"contractId": mutation.contract, "size": mutation.size})


def _order(place: Place) -> dict[str, object]:
    order: dict[str, object] = {
        "contractId": place.contract,
        "type": TYPES[place.type],
        "side": SIDES[place.side],
        "size": place.size,
    }
    return order | _prices(place) | _legs(place.bracket, place.side)


def _legs(bracket: Bracket | None, side: Side) -> dict[str, object]:
    """ProjectX: ticks are signed from the entry. A buy has its stop below and its target above."""
    if bracket is None:
        return {}
    up = 1 if side == "buy" else -1
    legs: dict[str, object] = {}
    if bracket.stop is not None:
        legs["stopLossBracket"] = {"ticks": -up * bracket.stop, "type": OrderType.STOP}
    if bracket.target is not None:
        legs["takeProfitBracket"] = {"ticks": up * bracket.target, "type": OrderType.LIMIT}
    return legs


def _prices(terms: Place | Modify) -> dict[str, object]:
    prices = {
        "limitPrice": terms.limit_price,
        "stopPrice": terms.stop_price,
        "trailPrice": terms.trail_price,  # absolute here; in answers it is a distance
    }
    return {name: _number(price) for name, price in prices.items() if price is not None}


def _number(price: Decimal) -> Raw:
    """A JSON number with all of its digits, and without an exponent."""
    return Raw(format(price, "f").encode())


# ── what came of it ──


def judged(endpoint: str, tag: str, answer: HttpAnswer, secret: Secret) -> OrderOutcome:
    """Returns what an answer says for certain."""
    if answer.status != 200:
        return _by_status(endpoint, tag, answer)
    envelope = read(Envelope, answer.body)
    if envelope is None:
        return Unknown(tag, f"the answer to {endpoint} could not be read")
    if envelope.is_good is None:
        return Unknown(tag, f"success and errorCode contradict each other in the answer to {endpoint}")
    placed = read(Placed, answer.body) or Placed()
    if not envelope.is_good:
        return _refused(endpoint, tag, envelope, placed.order_id, secret)
    if endpoint != PLACE:
        return Accepted(tag)
    if not placed.order_id:
        return Unknown(tag, f"the answer to {endpoint} names no order")
    return Accepted(tag, placed.order_id)


def _refused(
    endpoint: str, tag: str, envelope: Envelope, order_id: int | None, secret: Secret
) -> Refused | Unknown:
    """A definite no may name an order: the gateway keeps a record of orders that it rejects.

    A refusal of the tag is none: it is sent once, so something on the way sent it twice, and the first lives.
    """
    name = name_of(endpoint, envelope.error_code)
    words = said(envelope.error_message, secret, otherwise="")
    code = str(envelope.error_code)
    if not name or name in OPEN or (endpoint == PLACE and _OF_THE_TAG.search(words)):
        return Unknown(
            tag, f"{endpoint} answered {code} {name or 'which is not known'}: {words or 'no words'}"
        )
    return Refused(tag, code, name, words, by_venue=True, order_id=order_id)


def _by_status(endpoint: str, tag: str, answer: HttpAnswer) -> Refused | Unknown:
    text = f"{endpoint} answered with HTTP {answer.status}"
    if answer.status in NOT_DONE or is_token_refused(answer):
        code = f"http_{answer.status}"
        return Refused(tag, code, "", text, answer.retry_after, by_venue=True)
    return Unknown(tag, text)


def is_token_refused(answer: HttpAnswer) -> bool:
    """Whether the token was not taken, by the gateway's authentication itself: see above."""
    challenge = answer.headers.get("www-authenticate", "").strip().lower()
    return answer.status == 401 and challenge.partition(" ")[0] == "bearer"
