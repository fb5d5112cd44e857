"""A plain client of ProjectX: its pages, its hubs, and nothing done behind its back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec

from actors.simulators import SimulatedProjectX
from tests.simulators.hub_client import HubClient, fetch, joined

EP, ENQ = "CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26"
ALICE, BOB = 4242, 4243
LONG_AGO = "2020-01-01T00:00:00Z"
SUBSCRIBE = {
    "quotes": "SubscribeContractQuotes",
    "trades": "SubscribeContractTrades",
    "depth": "SubscribeContractMarketDepth",
    "orders": "SubscribeOrders",
    "positions": "SubscribePositions",
    "user_trades": "SubscribeTrades",
    "accounts": "SubscribeAccounts",
}

_exact = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


@contextmanager
def on_hub(projectx: SimulatedProjectX, hub: str, *channels: str, key: str | int = "") -> Iterator[HubClient]:
    """A client of a hub who has subscribed to these channels of a contract, or of an account."""
    with joined(projectx.hub_url(hub), access_token=projectx.token()) as client:
        for channel in channels:
            arguments = [] if channel == "accounts" else [key or (EP if hub == "market" else ALICE)]
            assert client.invoke(SUBSCRIBE[channel], *arguments) == {"result": None}
        yield client


def post(
    projectx: SimulatedProjectX, page: str, body: Any = None, token: str | None = None
) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of a page; nothing where it has no JSON."""
    shown = {"Authorization": f"Bearer {projectx.token() if token is None else token}"}
    status, headers, answer = fetch("POST", f"{projectx.http_url}/api/{page}?", body, shown)
    return status, _exact(answer) if answer and "json" in headers["content-type"] else {}


def got(projectx: SimulatedProjectX, page: str, body: Any = None, token: str | None = None) -> dict[str, Any]:
    """What a page has, where it says that all is well."""
    status, told = post(projectx, page, body, token)
    envelope = (told.pop("success"), told.pop("errorCode"), told.pop("errorMessage"))
    assert (status, *envelope) == (200, True, 0, None)
    return told


def refusal(projectx: SimulatedProjectX, page: str, body: Any) -> tuple[int, str | None]:
    """The code and the text of a page that refuses."""
    status, told = post(projectx, page, body)
    assert (status, told["success"]) == (200, False)
    return told["errorCode"], told["errorMessage"]


def order(**over: Any) -> dict[str, Any]:
    """What is asked to place one: a market order of Alice's to buy one EP, unless told otherwise."""
    return {"accountId": ALICE, "contractId": EP, "type": 2, "side": 0, "size": 1, **over}


def placed(projectx: SimulatedProjectX, **over: Any) -> int:
    """The id of an order that was placed."""
    id: int = got(projectx, "Order/place", order(**over))["orderId"]
    return id


def row(projectx: SimulatedProjectX, id: int) -> dict[str, Any]:
    """An order as it is now."""
    found: dict[str, Any] = got(projectx, "Order/searchById", {"accountId": ALICE, "orderId": id})["order"]
    return found


def working(projectx: SimulatedProjectX, *statuses: int) -> list[dict[str, Any]]:
    """Alice's orders that have one of these statuses; without any: that are not final."""
    asked = {"filter": {"accountId": ALICE, "statuses": statuses or (1, 6, 7, 8)}, "pageSize": 100}
    found: list[dict[str, Any]] = got(projectx, "Order/v2/query", asked)["orders"]
    return found


def positions(projectx: SimulatedProjectX) -> list[tuple[str, int, int]]:
    """Contract, type and size of Alice's positions."""
    rows = got(projectx, "Position/searchOpen", {"accountId": ALICE})["positions"]
    return [(each["contractId"], each["type"], each["size"]) for each in rows]


def heard(client: HubClient, events: int) -> list[tuple[str, dict[str, Any]]]:
    """So many events of the user hub, as they come: what they are called, and their row."""
    told = [client.hear_push() for _ in range(events)]
    return [(name.removeprefix("GatewayUser"), arguments[0]) for name, arguments in told]
