"""Alpaca's pages: the latest data, the history, and what an account has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from email.utils import formatdate
from typing import Any, Protocol

import msgspec

from actors.simulators.alpaca.account import CLOSED, Account, Update, asset_class
from actors.simulators.alpaca.connections import Keys, keys_of
from actors.simulators.alpaca.endpoints import kind_of
from actors.simulators.alpaca.history import History, bare
from actors.simulators.alpaca.instruments import Listing, Told
from actors.simulators.alpaca.payloads import Stamp, to_json
from actors.simulators.alpaca.settings import SimulatedAlpacaSettings
from actors.simulators.base.client import HttpReply, Later, Request
from actors.simulators.base.faults import PendingFaults
from actors.simulators.base.history import Meter
from actors.simulators.base.history_faults import answered

_CHANNELS = ("trades", "quotes", "bars", "orderbooks")
_HOUR = 3600 * 10**9  # ns
_RECENT = _HOUR // 4

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Backend(Protocol):
    """What the pages need of the venue."""

    settings: SimulatedAlpacaSettings
    pending: PendingFaults
    account: Account
    articles: deque[Told]

    def listing(self, symbol: str) -> Listing: ...
    def now(self) -> Stamp: ...
    def accepts(self, keys: Keys) -> bool: ...
    def say_update(self, update: Update) -> Update: ...
    def call_later(self, seconds: float, call: Callable[[], None]) -> None: ...


class Pages:
    """Plain HTTP. Everything is asked for when it is needed: only the pace is kept here."""

    def __init__(self, venue: Backend) -> None:
        self._venue = venue
        self._account = venue.account
        self._find = venue.listing
        self._asked = Meter(60.0)
        self._history = History(venue.listing, venue.pending, venue.settings)

    def answer(self, request: Request) -> HttpReply | Later:
        """A page, or what came of an order; 404 where there is none, 400 where it cannot be meant."""
        refusal = self._paced() or self._admitted(request)
        if refusal is not None:
            return refusal
        try:
            match request.method, request.path.strip("/").split("/"):
                case "POST", ["v2", "orders"]:
                    return self._place(_decode(request.body))
                case "DELETE", ["v2", "orders", id] if id in self._account.orders:
                    self._venue.say_update(self._account.update("canceled", {"id": id}))
                    return HttpReply(204)
                case "GET", [*before, channel] if channel in _CHANNELS and "latest" not in before:
                    return self._past(request.path, request.query)
                case "GET", _:
                    return self._get(request.path, request.query)
                case _:
                    return complaint(404, "not found")
        except (ValueError, KeyError) as error:
            return complaint(400, f"invalid request: {error}")

    def _paced(self) -> HttpReply | None:
        limit = self._venue.settings.requests_per_minute
        if not limit or self._asked.admits(limit):
            return None
        left = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": "0"}
        return complaint(429, "too many requests.", left)

    def _admitted(self, request: Request) -> HttpReply | None:
        if request.path.startswith("/v1beta3/crypto"):  # open to all
            return None
        keys = keys_of(request.headers)
        if keys is None:
            return complaint(401, "unauthorized.")
        return None if self._venue.accepts(keys) else complaint(403, "forbidden.")

    def _place(self, asked: Mapping[str, Any]) -> HttpReply:
        order = {name: _amount(value) for name, value in asked.items() if value is not None}
        self._find(order["symbol"])
        return page(self._venue.say_update(self._account.update("new", order))["order"])

    def _past(self, path: str, query: Mapping[str, str]) -> HttpReply | Later:
        """A page of history, which may come late or be cut."""
        if self._is_too_recent(query):
            return complaint(403, "subscription does not permit querying recent SIP data")
        date = {"Date": formatdate(self._venue.now().ns // 10**9, usegmt=True)}
        reply = msgspec.structs.replace(self._get(path, query), headers=date)
        return answered(reply, self._venue.pending, self._venue.call_later)

    def _is_too_recent(self, query: Mapping[str, str]) -> bool:
        """The basic plan has data of the SIP that is 15 minutes old."""
        now = self._venue.now()
        end = Stamp.parse(query["end"]) if "end" in query else now
        is_recent = end.ns > now.ns - _RECENT
        return self._venue.settings.plan == "basic" and query.get("feed") == "sip" and is_recent

    def _get(self, path: str, query: Mapping[str, str]) -> HttpReply:
        match path.strip("/").split("/"):
            case ["v2", "stocks", *rest]:
                return self._data(rest, query)
            case ["v1beta3", "crypto", _, "latest", *rest]:
                return self._data([*rest, "latest"], query)
            case ["v1beta3", "crypto", _, *rest] | ["v1beta1", "options", *rest]:
                return self._data(rest, query, wrapped=True)
            case ["v1beta1", "news"]:
                return self._news(query)
            case ["v2", "orders"]:
                return self._orders(query)
            case ["v2", "orders", id]:
                found = self._account.orders.get(id)
                return page(found) if found else complaint(404, f"order not found for {id}")
            case ["v2", "positions"]:
                return page([self._position(symbol) for symbol in self._account.positions])
            case ["v2", "account"]:
                return page(self._holder())
            case ["v2", "clock"]:
                return page(self._opening_hours())
            case _:
                return complaint(404, "not found")

    def _data(self, rest: list[str], query: Mapping[str, str], wrapped: bool = False) -> HttpReply:
        symbols = [each for each in query.get("symbols", "").split(",") if each]
        match rest:
            case [channel, "latest"] if channel in _CHANNELS:
                return page({channel: {each: self._latest(each, channel) for each in symbols}})
            case [symbol, channel, "latest"] if channel in _CHANNELS:
                return page({"symbol": symbol, channel.removesuffix("s"): self._latest(symbol, channel)})
            case ["snapshots"]:
                found = {each: self._snapshot(each) for each in symbols}
                return page({"snapshots": found} if wrapped else found)
            case [symbol, "snapshot"]:
                return page({"symbol": symbol, **self._snapshot(symbol)})
            case [channel] if channel in _CHANNELS:
                return page(self._history.page(channel, symbols, query))
            case _:
                return complaint(404, "not found")

    def _latest(self, symbol: str, channel: str) -> Told:
        return bare(self._find(symbol).last(channel))

    def _snapshot(self, symbol: str) -> Told:
        trade, quote = self._latest(symbol, "trades"), self._latest(symbol, "quotes")
        latest = {"latestTrade": trade, "latestQuote": quote}
        if kind_of(symbol) == "options":
            return latest
        bars = {"minuteBar": self._latest(symbol, "bars"), "dailyBar": self._latest(symbol, "dailyBars")}
        return {**latest, **bars, "prevDailyBar": bars["dailyBar"]}

    def _news(self, query: Mapping[str, str]) -> HttpReply:
        wanted = {each for each in query.get("symbols", "").split(",") if each}
        named = [each for each in self._venue.articles if not wanted or wanted.intersection(each["symbols"])]
        found = [{**bare(each), "images": []} for each in _between(named, "created_at", query)]
        return page({"news": found[::-1][: int(query.get("limit", 10))], "next_page_token": None})

    def _orders(self, query: Mapping[str, str]) -> HttpReply:
        status = query.get("status", "open")
        every, closed = self._account.orders.values(), status == "closed"
        found = [each for each in every if status == "all" or (each["status"] in CLOSED) == closed]
        if query.get("direction", "desc") == "desc":
            found.reverse()
        return page(found[: int(query.get("limit", 50))])

    def _position(self, symbol: str) -> Told:
        quantity = self._account.positions[symbol]
        price = self._find(symbol).last("trades")["p"]
        worth = f"{float(quantity) * price:.2f}"
        asset = asset_class(symbol)
        about = {"asset_id": self._account.number, "symbol": symbol, "asset_class": asset}
        return {
            **about,
            "exchange": "CRYPTO" if asset == "crypto" else "NASDAQ",
            "side": "long" if quantity >= 0 else "short",
            **dict.fromkeys(("qty", "qty_available"), str(quantity)),
            **dict.fromkeys(("avg_entry_price", "current_price"), str(price)),
            **dict.fromkeys(("cost_basis", "market_value"), worth),
        }

    def _holder(self) -> Told:
        about = {"id": self._account.number, "account_number": "PA0000000000", "status": "ACTIVE"}
        money = dict.fromkeys(("cash", "equity", "buying_power", "portfolio_value"), "100000")
        return {**about, "currency": "USD", **money, "trading_blocked": False, "account_blocked": False}

    def _opening_hours(self) -> Told:
        now = self._venue.now()
        opens, closes = (Stamp.at(now.ns + hours * _HOUR).text for hours in (18, 1))
        return {"timestamp": now.text, "is_open": True, "next_open": opens, "next_close": closes}


def page(body: object) -> HttpReply:
    return HttpReply(200, to_json(body))


def complaint(status: int, message: str, headers: Mapping[str, str] = {}) -> HttpReply:
    return HttpReply(status, to_json({"message": message}), headers)


def _amount(value: Any) -> Any:
    """Amounts come as texts or numbers, and go as texts: `5.0` as `5`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{Decimal(str(value)).normalize():f}" if number else value


def _between(kept: list[Told], when: str, query: Mapping[str, str]) -> list[Told]:
    start = Stamp.parse(query["start"]).ns if "start" in query else 0
    end = Stamp.parse(query["end"]).ns if "end" in query else 1 << 64
    return [each for each in kept if start <= each[when].ns <= end]
