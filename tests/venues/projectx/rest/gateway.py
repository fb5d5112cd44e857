"""The other end of a conversation: a transcript of it, or pages that answer whatever comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from actors.protocol import Call, Contract, Conversation, HttpAnswer, HttpRequest, Secret
from actors.venues.projectx.rest import ProjectXApi

Row = dict[str, Any]
Asked = Call[Any] | Conversation[Any]

REST = "https://api.topstepx.com"
API = ProjectXApi(REST)
TOKEN = Secret("the-token")
ACCOUNT = 4242
EP = Contract("CON.F.US.EP.Z26", "ESZ6", Decimal("0.25"), Decimal("12.5"), product="EP")

# Mon, 30 Nov 2026 12:00:00 GMT
NOON = 1_796_040_000
DATE = {"date": "Mon, 30 Nov 2026 12:00:00 GMT"}
NOON_NS = NOON * 1_000_000_000


def answer(status: int, body: object = None, **headers: str) -> HttpAnswer:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, content, DATE | named, at=NOON + 0.25)


def good(**payload: object) -> HttpAnswer:
    return answer(200, {**payload, "success": True, "errorCode": 0, "errorMessage": None})


def refusal(code: int, words: str | None = None, **payload: object) -> HttpAnswer:
    return answer(200, {**payload, "success": False, "errorCode": code, "errorMessage": words})


def talk(asked: Asked, *exchanges: tuple[str, Row, HttpAnswer]) -> Any:
    """Plays a transcript to its end: each request must be just the one that it has."""
    steps = asked.converse(TOKEN) if isinstance(asked, Call) else asked
    left = list(exchanges)

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        assert left, f"one request too many: {endpoint} {fields}"
        wanted, named, came = left.pop(0)
        assert (endpoint, fields) == (wanted, named)
        return came

    result = serve(steps, reply)
    assert left == []
    return result


def serve(asked: Asked, reply: Callable[[str, Row], HttpAnswer]) -> Any:
    """Answers every request by what the endpoint and the fields say."""
    steps: Any = asked.converse(TOKEN) if isinstance(asked, Call) else asked
    try:
        request = next(steps)
        while True:
            request = steps.send(reply(*read(request)))
    except StopIteration as end:
        return end.value


def pages(**by_endpoint: Mapping[str, object]) -> Callable[[str, Row], HttpAnswer]:
    """Answers by the last word of the endpoint, with a good envelope."""
    return lambda endpoint, _: good(**by_endpoint[endpoint.rpartition("/")[2]])


def read(request: HttpRequest) -> tuple[str, Row]:
    """The endpoint and the fields of a request, which bears the token in its header alone."""
    assert request.url.startswith(f"{REST}/api/")
    assert ("Authorization", "Bearer the-token") in request.headers
    assert "the-token" not in request.url + request.body.decode()
    fields = msgspec.json.decode(request.body) if request.body else {}
    return request.url.removeprefix(f"{REST}/api/"), fields


# ── rows, as they were seen ──


def order_row(order: int = 9, **fields: object) -> Row:
    row: Row = {
        "id": order,
        "accountId": ACCOUNT,
        "contractId": EP.id,
        "symbolId": "F.US.EP",
        "creationTimestamp": "2026-11-30T12:00:00.123456+00:00",
        "updateTimestamp": None,
        "status": 1,
        "type": 1,
        "side": 0,
        "size": 2,
        "limitPrice": 6801.25,
        "stopPrice": None,
        "fillVolume": 0,
        "filledPrice": None,
        "customTag": None,
    }
    return row | fields


def position_row(kind: int, size: int, contract: str = EP.id) -> Row:
    return {
        "id": 3,
        "accountId": ACCOUNT,
        "contractId": contract,
        "contractDisplayName": contract,
        "creationTimestamp": "2026-11-30T12:00:00+00:00",
        "type": kind,
        "size": size,
        "averagePrice": 6801.750000000,
    }


def trade_row(trade: int, order: int = 9, **fields: object) -> Row:
    row: Row = {
        "id": trade,
        "accountId": ACCOUNT,
        "contractId": EP.id,
        "creationTimestamp": "2026-11-30T12:00:05.1234567Z",
        "price": 6801.75,
        "profitAndLoss": 25.0,
        "fees": 1.4,
        "side": 1,
        "size": 2,
        "voided": False,
        "orderId": order,
    }
    return row | fields


def contract_row(product: str, name: str, *, active: bool = True) -> Row:
    return {
        "id": f"CON.F.US.{product}.{name[-2]}26",
        "name": name,
        "description": product,
        "tickSize": 0.25,
        "tickValue": 12.5,
        "activeContract": active,
        "symbolId": f"F.US.{product}",
    }
