"""tplus' pages: logins, books, history, and what a user has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Any, Protocol

import msgspec

from actors.simulators.base.client import HttpReply, Later, Request, RequestRefused
from actors.simulators.base.faults import PendingFaults
from actors.simulators.tplus.account import Account
from actors.simulators.tplus.auth import UNAUTHORIZED, SignatureGate
from actors.simulators.tplus.endpoints import match
from actors.simulators.tplus.instruments import Listing, Row
from actors.simulators.tplus.settings import SimulatedTplusSettings

Query = Mapping[str, str]
Page = Callable[..., HttpReply | Later]

_CODES = {
    400: "INVALID_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    429: "RATE_LIMITED",
    503: "SERVER_BUSY",
}

encode = msgspec.json.Encoder().encode


class Backend(Protocol):
    """What the pages need of the venue."""

    settings: SimulatedTplusSettings
    pending: PendingFaults
    listings: dict[str, Listing]

    def has(self, asset: str) -> bool: ...
    def listing(self, asset: str) -> Listing: ...
    def account(self, user: str) -> Account: ...
    def depth_page(self, asset: str) -> HttpReply | Later: ...


class Pages:
    def __init__(self, venue: Backend, gate: SignatureGate) -> None:
        self._venue = venue
        self._gate = gate
        self._prefix = tidy(venue.settings.prefix)
        self._auth_prefix = tidy(venue.settings.auth_prefix)

    def answer(self, request: Request) -> HttpReply | Later:
        path = request.path
        if not path.startswith(self._prefix + "/"):
            return self.error(404, "not found")
        path = path.removeprefix(self._prefix)
        try:
            login = self._login(path, request)
            return login if login is not None else self._page(path, request)
        except RequestRefused as refused:
            return self.error(refused.code, refused.text, **refused.also)

    def error(self, status: int, text: str, headers: Mapping[str, str] = {}, name: str = "") -> HttpReply:
        """An error as this server writes it; `name`: the usual one of its status, unless given."""
        if self._venue.settings.flat_errors:
            return HttpReply(status, encode({"error": text}), headers)
        code, again = name or _CODES.get(status, "INTERNAL_ERROR"), status == 429 or status >= 500
        error = {"code": code, "message": text, "details": None, "retryable": again}
        return HttpReply(status, encode({"error": error}), headers)

    def _login(self, path: str, request: Request) -> HttpReply | None:
        """The answer of the authority; None: it is another page."""
        if not path.startswith(self._auth_prefix + "/"):
            return None
        path = path.removeprefix(self._auth_prefix)
        if (request.method, path) == ("POST", "/logout"):
            self._gate.logout(request.headers)
            return reply({})
        asked = match("/nonce/{user}", path)
        if not (asked if request.method == "GET" else path == "/auth"):
            return None
        self._gate.meter()
        refusal: HttpReply | None = self._venue.pending.take("refuse_auth")
        if refusal is not None:
            return refusal
        if asked:
            return reply(self._gate.nonce(asked["user"]))
        token = self._gate.login(request.body)
        return reply({"token": token.value, "expiry_ns": token.expiry_ns})

    def _page(self, path: str, request: Request) -> HttpReply | Later:
        for template, page in self._pages.items():
            found = match(template, path)
            if found is None:
                continue
            asset, user = found.get("asset", ""), found.get("user", "")
            if not self._venue.has(asset):
                raise RequestRefused(404, f"No market {asset}", name="MARKET_NOT_FOUND")
            if user:
                self._admit(request, user)
            return page(self, asset, user, request.query)
        raise RequestRefused(404, "not found")

    def _admit(self, request: Request, user: str) -> None:
        if not self._venue.settings.login:
            return
        holder = self._gate.holder(request.headers)
        if not holder:
            raise RequestRefused(401, UNAUTHORIZED)
        if holder != user:
            raise RequestRefused(403, "Not yours to see")

    def _health(self, asset: str, user: str, query: Query) -> HttpReply:
        return reply({"status": "ok"})

    def _depth(self, asset: str, user: str, query: Query) -> HttpReply | Later:
        return self._venue.depth_page(asset)

    def _ticker(self, asset: str, user: str, query: Query) -> HttpReply:
        return reply(self._venue.listing(asset).ticker())

    def _tickers(self, asset: str, user: str, query: Query) -> HttpReply:
        return reply([each.ticker() for each in self._venue.listings.values()])

    def _klines(self, asset: str, user: str, query: Query) -> HttpReply:
        listing = self._venue.listing(asset)
        end = _number(query, "end_timestamp_ns", 1 << 63)
        made = listing.klines(_seconds(query.get("interval", "1")))
        bars = [each for each in reversed(made) if each["open_timestamp_ns"] <= end]
        rows, meta = _part(bars, query, 500)
        body = {"items": rows, **_ahead(meta), "truncated_before_ns": None}
        date = {"Date": formatdate(usegmt=True)}
        return HttpReply(200, encode(rows if self._venue.settings.kline_objects else body), date)

    def _trades(self, asset: str, user: str, query: Query) -> HttpReply:
        listings = [self._venue.listing(asset)] if asset else self._venue.listings.values()
        trades = [trade for each in listings for trade in each.trades]
        trades.sort(key=lambda trade: trade["timestamp_ns"], reverse=True)
        return reply(_part(trades, query, 100)[0])

    def _markets(self, asset: str, user: str, query: Query) -> HttpReply:
        listed = [each.terms() for each in self._venue.listings.values()]
        rows, meta = _part(listed, query, 1000)
        return reply({"markets": rows, "symbol_map": None, "total_markets": len(listed), **meta})

    def _market(self, asset: str, user: str, query: Query) -> HttpReply:
        return reply(self._venue.listing(asset).terms())

    def _orders(self, asset: str, user: str, query: Query) -> HttpReply:
        rows = list(reversed(self._venue.account(user).orders.values()))
        if asset:
            rows = [row for row in rows if row["base_asset"] == asset]
        if query.get("open_only", "").lower() == "true":
            rows = [row for row in rows if row["status"] == "open"]
        rows, meta = _part(rows, query, 100)
        return reply(rows if asset else {"orders": rows, **meta})

    def _positions(self, asset: str, user: str, query: Query) -> HttpReply:
        held = self._venue.account(user).positions.values()
        rows = [row for row in held if asset in ("", row["asset_id"])]
        rows, meta = _part(rows, query, 100)
        return reply({"positions": rows, "total_positions": len(rows), **meta})

    def _fills(self, asset: str, user: str, query: Query) -> HttpReply:
        newest = reversed(self._venue.account(user).fills.values())
        fills = [each for each in newest if asset in ("", each["asset_id"])]
        rows, meta = _part(fills, query, 100)
        # Several fills may be one row of the history, so it has no numbers.
        rows = [{key: value for key, value in row.items() if key != "trade_id"} for row in rows]
        return reply({"trades": rows, **_ahead(meta)})

    _pages: Mapping[str, Page] = {
        "/health": _health,
        "/marketdepth/{asset}": _depth,
        "/ticker/{asset}": _ticker,
        "/tickers": _tickers,
        "/klines/{asset}": _klines,
        "/trades": _trades,
        "/trades/{asset}": _trades,
        "/markets": _markets,
        "/market/{asset}": _market,
        "/orders/user/{user}": _orders,
        "/orders/user/{user}/{asset}": _orders,
        "/positions/{user}": _positions,
        "/positions/{user}/{asset}": _positions,
        "/trades/user/{user}": _fills,
        "/trades/user/{user}/{asset}": _fills,
    }


_UNITS = {"S": 1, "": 60, "D": 86_400, "W": 604_800}


def reply(body: object) -> HttpReply:
    return HttpReply(200, encode(body))


def tidy(prefix: str) -> str:
    """A prefix of paths: with a slash before it and none behind."""
    bare = prefix.strip("/")
    return f"/{bare}" if bare else ""


def _number(query: Query, name: str, default: int) -> int:
    try:
        return max(int(query.get(name, default)), 0)
    except ValueError:
        raise RequestRefused(400, f"{name} is a whole number") from None


def _seconds(interval: str) -> int:
    """The length of an interval: 30S, 5 (minutes), 1D."""
    number, unit = (interval[:-1], interval[-1]) if interval[-1:] in _UNITS else (interval, "")
    if not number.isdecimal() or not int(number):
        raise RequestRefused(400, "interval is none")
    return int(number) * _UNITS[unit]


def _part(rows: Sequence[Row], query: Query, size: int) -> tuple[list[Row], Row]:
    """The rows of the page that was asked for, and what is said about it."""
    page, limit = _number(query, "page", 0), _number(query, "limit", size) or size
    part = list(rows[page * limit : (page + 1) * limit])
    more = len(rows) > (page + 1) * limit
    here = {"page": page, "limit": limit, "total_pages": -(-len(rows) // limit), "cursor_size": len(part)}
    return part, {**here, "has_next_page": more, "next_page": page + 1 if more else None}


def _ahead(meta: Row) -> dict[str, Any]:
    return {key: meta[key] for key in ("has_next_page", "next_page")}
