"""O2's REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any, Protocol

import msgspec

from actors.simulators.base.client import HttpReply, Later, Request, RequestRefused
from actors.simulators.base.faults import PendingFaults
from actors.simulators.base.history_faults import answered
from actors.simulators.o2.account import Account
from actors.simulators.o2.history import History
from actors.simulators.o2.instruments import PRECISIONS, Asset, Listing, canonical, make_id
from actors.simulators.o2.payloads import INVALID, NO_MARKET, encode, sides
from actors.simulators.o2.settings import SimulatedO2Settings

_NAMES = ("contract", "account", "address", "trade_account_id", "owner")  # of an account in a query
_LIST = "/v1/markets"
_OF_HISTORY = ("/v1/trades", "/v1/bars")
_REGISTRIES = ("books_registry_id", "accounts_registry_id", "trade_account_oracle_id", "base_asset_id")

Query = Mapping[str, str]


class Backend(Protocol):
    """What the pages need of the venue."""

    known_markets: dict[str, Listing]
    known_accounts: dict[str, Account]
    settings: SimulatedO2Settings
    pending: PendingFaults
    history: History

    def account(self, identity: str) -> Account: ...
    def balance_entry(self, account: Account, asset: str) -> dict[str, Any]: ...
    def call_later(self, seconds: float, call: Callable[[], None]) -> None: ...


class Pages:
    def __init__(self, venue: Backend) -> None:
        self._venue = venue

    def answer(self, request: Request) -> HttpReply | Later:
        """A page; 404 where there is none."""
        reply = self._page(request)
        if request.path == _LIST:
            return self._list(reply)
        if request.path not in _OF_HISTORY:
            return reply
        date = {"Date": formatdate(usegmt=True)}
        reply = msgspec.structs.replace(reply, headers=date)
        return answered(reply, self._venue.pending, self._venue.call_later)

    def _page(self, request: Request) -> HttpReply:
        page = self._pages.get(request.path)
        try:
            return page(self, request.query) if page else failure(404, INVALID, "not found")
        except RequestRefused as refused:
            return failure(404 if refused.code == NO_MARKET else 400, refused.code, refused.text)
        except ValueError:
            return failure(400, INVALID, "invalid request: a number is none")

    def _list(self, reply: HttpReply) -> HttpReply | Later:
        """The list of markets as the fault that waits for it leaves it."""
        what = self._venue.pending.take("list")
        if isinstance(what, HttpReply):
            return what
        if what is None:
            return reply
        return Later(lambda take: self._venue.call_later(what, lambda: take(reply)))

    def _health(self, query: Query) -> HttpReply:
        return _page({"status": "ok"})

    def _markets(self, query: Query) -> HttpReply:
        listed = [_terms(each) for each in self._venue.known_markets.values()]
        return _page({**{key: make_id(key) for key in _REGISTRIES}, "chain_id": "0x0", "markets": listed})

    def _depth(self, query: Query) -> HttpReply:
        found = self._market(query)
        orders = sides(found, PRECISIONS.get(query.get("precision", ""), 10))
        return _page({"action": "depth", "market_id": found.id, "orders": orders})

    def _trades(self, query: Query) -> HttpReply:
        return _page(self._venue.history.trades(self._market(query).id, query))

    def _bars(self, query: Query) -> HttpReply:
        return _page(self._venue.history.bars(self._market(query).id, query))

    def _order(self, query: Query) -> HttpReply:
        id = canonical(query.get("order_id", ""))
        for account in self._venue.known_accounts.values():
            if id in account.orders:
                return _page({"order": account.orders[id]})
        return failure(404, 3000, "order not found")

    def _balance(self, query: Query) -> HttpReply:
        asset = canonical(query.get("asset_id", ""))
        return _page(self._venue.balance_entry(self._account(query), asset))

    def _trade_account(self, query: Query) -> HttpReply:
        account = self._account(query)
        state = {"nonce": str(account.nonce), "owner": account.identity, "synced_with_network": True}
        return _page({"trade_account_id": account.id, "trade_account": state, "session": None})

    def _orders(self, query: Query) -> HttpReply:
        account = self._account(query)
        market = canonical(query.get("market_id", ""))
        orders = [each for each in account.orders.values() if canonical(each["market_id"]) == market]
        if query.get("is_open") == "true":
            orders = [each for each in orders if not each["close"]]
        return _page({"identity": account.identity, "market_id": market, "orders": orders})

    def _market(self, query: Query) -> Listing:
        found = self._venue.known_markets.get(canonical(query.get("market_id", "")))
        if found is None:
            raise RequestRefused(NO_MARKET, "market not found")
        return found

    def _account(self, query: Query) -> Account:
        id = next((query[name] for name in _NAMES if name in query), "")
        if not id:
            raise RequestRefused(INVALID, "invalid request: whose?")
        return self._venue.account(id)

    _pages: Mapping[str, Callable[[Pages, Query], HttpReply]] = {
        "/health": _health,
        _LIST: _markets,
        "/v1/depth": _depth,
        "/v1/trades": _trades,
        "/v1/bars": _bars,
        "/v1/order": _order,
        "/v1/orders": _orders,
        "/v1/balance": _balance,
        "/v1/accounts": _trade_account,
    }


def failure(status: int, code: int, message: str) -> HttpReply:
    return HttpReply(status, encode({"code": code, "message": message}))


def _page(body: object) -> HttpReply:
    return HttpReply(200, encode(body))


def _terms(market: Listing) -> dict[str, Any]:
    ids = {"contract_id": market.contract, "market_id": market.id}
    fees = {"maker_fee": "0", "taker_fee": "100"}
    limits = {"min_order": str(market.lot), "dust": "1000", "price_window": 0}
    return {**ids, **fees, **limits, "base": _asset(market.base), "quote": _asset(market.quote)}


def _asset(each: Asset) -> dict[str, Any]:
    digits = {"decimals": each.decimals, "max_precision": each.max_precision}
    return {"symbol": each.symbol, "asset": each.id, **digits}
