"""ProjectX's REST: everything is a POST, and what fails is said under HTTP 200."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from actors.simulators.base.client import HttpReply, Request, RequestRefused
from actors.simulators.projectx.account import CANCELLED, OPEN, Account
from actors.simulators.projectx.auth import INVALID_CREDENTIALS, TokenGate
from actors.simulators.projectx.instruments import Listing
from actors.simulators.projectx.payloads import Row
from actors.simulators.signalr.framing import encode
from actors.simulators.signalr.negotiate import text

_LISTED = 20  # contracts that a search finds at most
_SHORT = ("symbolId", "fillVolume", "filledPrice", "customTag")  # open orders are told without them

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Backend(Protocol):
    """What the pages need of the venue."""

    accounts: dict[int, Account]
    listings: dict[str, Listing]

    def place(self, account: Account, listing: Listing, asked: Row) -> Row: ...
    def change_order(self, account: Account, listing: Listing, over: Row) -> None: ...


class Pages:
    def __init__(self, venue: Backend, gate: TokenGate) -> None:
        self._venue = venue
        self._gate = gate

    def answer(self, request: Request, token: str) -> HttpReply:
        """A page. 404 where there is none, 401 without a good token, 400 where it cannot be read."""
        path = request.path.removeprefix("/api/")
        if (request.method, path) == ("GET", "Status/ping"):
            return text(200, b"pong")
        page = self._pages.get(path)
        if page is None or path == request.path:
            return text(404)
        if request.method != "POST":
            return HttpReply(405, b"", {"Allow": "POST"})
        if path != "Auth/loginKey" and not self._gate.good(token):
            return HttpReply(401, b"", {"WWW-Authenticate": "Bearer"})
        try:
            asked = _decode(request.body) if request.body.strip() else {}
            return enveloped(**page(self, asked, token))
        except RequestRefused as refused:
            return failure(refused.code, refused.text, **refused.also)
        except (msgspec.DecodeError, KeyError, ValueError) as wrong:
            problem = {"type": "https://tools.ietf.org/html/rfc9110#section-15.5.1", "status": 400}
            return HttpReply(400, encode({**problem, "title": "Bad Request", "detail": str(wrong)}))

    def _log_in(self, asked: Row, token: str) -> Row:
        given = self._gate.login(str(asked["userName"]), str(asked["apiKey"]))
        if given is None:
            raise RequestRefused(INVALID_CREDENTIALS, "Invalid credentials.", token=None)
        return {"token": given}

    def _validate(self, asked: Row, token: str) -> Row:
        return {"newToken": self._gate.renew(token)}

    def _log_out(self, asked: Row, token: str) -> Row:
        self._gate.logout(token)
        return {}

    def _search_accounts(self, asked: Row, token: str) -> Row:
        active = asked["onlyActiveAccounts"]
        every = [account.row for account in self._venue.accounts.values()]
        return {"accounts": [row for row in every if row["canTrade"] or not active]}

    def _search_contracts(self, asked: Row, token: str) -> Row:
        wanted = str(asked["searchText"]).upper()
        listings = self._venue.listings.values()
        found = [each.page() for each in listings if wanted in f"{each.id} {each.name}"]
        return {"contracts": found[:_LISTED]}

    def _find_contract(self, asked: Row, token: str) -> Row:
        found = self._venue.listings.get(asked["contractId"])
        if found is None:
            raise RequestRefused(1, "Contract not found.", contract=None)
        return {"contract": found.page()}

    def _list_contracts(self, asked: Row, token: str) -> Row:
        return {"contracts": [each.page() for each in self._venue.listings.values()]}

    def _open_positions(self, asked: Row, token: str) -> Row:
        return {"positions": list(self._account(asked, "positions").positions.values())}

    def _open_orders(self, asked: Row, token: str) -> Row:
        rows = self._account(asked, "orders").open_orders
        return {"orders": [{key: row[key] for key in row if key not in _SHORT} for row in rows]}

    def _search_orders(self, asked: Row, token: str) -> Row:
        orders = self._account(asked, "orders").orders.values()
        return {"orders": _between(orders, asked)}

    def _search_trades(self, asked: Row, token: str) -> Row:
        return {"trades": _between(self._account(asked, "trades").fills, asked)}

    def _place(self, asked: Row, token: str) -> Row:
        account = self._account(asked)
        listing = self._venue.listings.get(asked["contractId"])
        if listing is None:
            raise RequestRefused(8, "Contract not found.", orderId=None)
        return {"orderId": self._venue.place(account, listing, asked)["id"]}

    def _modify(self, asked: Row, token: str) -> Row:
        changes = ("size", "limitPrice", "stopPrice", "trailPrice")
        self._change(asked, {key: asked[key] for key in changes if asked.get(key) is not None})
        return {}

    def _cancel(self, asked: Row, token: str) -> Row:
        self._change(asked, {"status": CANCELLED})
        return {}

    def _change(self, asked: Row, over: Row) -> None:
        account = self._account(asked)
        row = account.orders.get(asked["orderId"])
        if row is None or row["status"] != OPEN:
            raise RequestRefused(2, "Order not found.")
        self._venue.change_order(account, self._venue.listings[row["contractId"]], {"id": row["id"], **over})

    def _account(self, asked: Row, listed: str = "") -> Account:
        found = self._venue.accounts.get(asked["accountId"])
        if found is None:
            raise RequestRefused(1, "Account not found.", **({listed: []} if listed else {}))
        return found

    _pages: Mapping[str, Callable[[Pages, Row, str], Row]] = {
        "Auth/loginKey": _log_in,
        "Auth/validate": _validate,
        "Auth/logout": _log_out,
        "Account/search": _search_accounts,
        "Contract/search": _search_contracts,
        "Contract/searchById": _find_contract,
        "Contract/available": _list_contracts,
        "Order/search": _search_orders,
        "Order/searchOpen": _open_orders,
        "Order/place": _place,
        "Order/modify": _modify,
        "Order/cancel": _cancel,
        "Position/searchOpen": _open_positions,
        "Trade/search": _search_trades,
    }


def enveloped(**payload: object) -> HttpReply:
    return HttpReply(200, encode({**payload, "success": True, "errorCode": 0, "errorMessage": None}))


def failure(code: int, message: str, **payload: object) -> HttpReply:
    """`success: false`, which is HTTP 200 all the same. Codes have another meaning on each page."""
    return HttpReply(200, encode({**payload, "success": False, "errorCode": code, "errorMessage": message}))


def _between(rows: Any, asked: Row) -> list[Row]:
    """The rows of a time. A name of a parameter that is not known is not minded: all come."""
    start, end = asked.get("startTimestamp") or "", asked.get("endTimestamp") or "9999"
    return [row for row in rows if start[:19] <= row["creationTimestamp"][:19] <= end[:19]]
