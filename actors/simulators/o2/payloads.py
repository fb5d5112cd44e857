"""O2's messages: what clients send, and what the venue sends, as frames and as pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from actors.simulators.base.client import text_frame
from actors.simulators.base.random_market import Move, Order, Trade, gathered
from actors.simulators.o2.account import Account
from actors.simulators.o2.instruments import Listing, book_of, worth
from actors.simulators.o2.settings import NonceForm, SimulatedO2Settings

PONG = text_frame(b"PONG")

# O2's error codes
INVALID, UNREADABLE, NO_MARKET, NO_ACCOUNT, ALREADY, TOO_MANY = 1001, 1002, 2000, 4002, 6000, 6001

_FORMS: Mapping[NonceForm, Callable[[int], str | int]] = {"decimal": str, "number": int, "hex": hex}

encode = msgspec.json.Encoder().encode


class SubscriptionRequest(Struct):
    """A frame of a client."""

    action: str
    market_id: str = ""
    precision: str = ""
    frequency: str = ""
    identities: list[dict[str, str]] = []


class Level(Struct, gc=False):
    price: str
    quantity: str


class Sides(Struct):
    buys: list[Level]
    sells: list[Level]


class DepthChanged(Struct, tag_field="action", tag="subscribe_depth_update"):
    market_id: str
    changes: Sides
    onchain_timestamp: str
    seen_timestamp: str


class Print(Struct, gc=False):
    trade_id: str
    side: str
    total: str
    quantity: str
    price: str
    timestamp: int  # milliseconds since 1970


class Traded(Struct, tag_field="action", tag="subscribe_trades"):
    market_id: str
    trades: list[Print]
    onchain_timestamp: str
    seen_timestamp: str


class Payloads:
    """Makes the frames, in the spelling that the settings ask for."""

    def __init__(self, settings: SimulatedO2Settings) -> None:
        self._settings = settings

    # books and trades

    def change(self, found: Listing, buys: Sequence[Move], sells: Sequence[Move], precision: int) -> bytes:
        if precision > found.tick or found.tick % precision:
            buys = list(gathered(buys, precision, "buy").items())
            sells = list(gathered(sells, precision, "sell").items())
        changes = Sides(_levels(buys), _levels(sells))
        return text_frame(encode(DepthChanged(self._spell(found.id, "depth_update"), changes, *_stamps())))

    def snapshot(self, found: Listing, precision: int) -> bytes:
        body = sides(found, precision)
        match self._settings.snapshot_key:
            case "view":
                body = {"view": {"precision": precision, **body}}
            case "orders":
                body = {"orders": body}
        return self._frame("subscribe_depth", market_id=self._spell(found.id, "depth"), **body)

    def view(self, found: Listing, precision: int) -> bytes:
        view = {"precision": precision, **sides(found, precision)}
        return self._frame("subscribe_depth_view", market_id=self._spell(found.id, "depth_view"), view=view)

    def trades(self, found: Listing, trades: list[Any]) -> bytes:
        return text_frame(encode(Traded(self._spell(found.id, "trades"), trades, *_stamps())))

    def resync(self, market: str) -> bytes:
        spelled = self._spell(market, "error")
        told = {"action": "error", "market_id": spelled, "turbo": True, "resync_required": True}
        return text_frame(encode(told))

    # accounts

    def orders(self, orders: list[dict[str, Any]]) -> bytes:
        return self._frame("subscribe_orders", orders=orders)

    def order(self, account: Account, found: Listing, order: Order) -> dict[str, Any]:
        known = account.orders.get(order.id)
        ids = {"order_id": self._spell(order.id, "orders"), "market_id": self._spell(found.id, "orders")}
        kind = {"side": order.side, "order_type": "Spot", "base_decimals": found.base.decimals}
        quantities = {"quantity": str(order.quantity), "quantity_fill": str(order.filled)}
        prices = {"price": str(order.price), "price_fill": str(order.price if order.filled else 0)}
        partly = 0 < order.filled < order.quantity
        state = {"close": order.closed, "partially_filled": partly, "cancel": order.cancelled}
        since = known["timestamp"] if known else str(int(time.time()))
        whose = {"account": self._identity(account, "orders"), "timestamp": since}
        return {**ids, **kind, **quantities, **prices, **state, **whose}

    def balances(self, entries: list[dict[str, Any]]) -> bytes:
        return self._frame("subscribe_balances", balance=entries)

    def balance(self, account: Account, asset: str, contracts: Iterable[str]) -> dict[str, Any]:
        """An account's balance of one asset; `contracts` are those of order books that hold some of it."""
        holding = account.holdings[asset]
        held = {"locked": str(holding.locked), "unlocked": "0", "fee": "0"}
        about = {"identity": self._identity(account, "balances"), "asset_id": self._spell(asset, "balances")}
        totals = {"total_locked": str(holding.locked), "total_unlocked": str(holding.free)}
        books = {self._spell(each, "balances"): held for each in contracts}
        return {**about, **totals, "trading_account_balance": str(holding.free), "order_books": books}

    def nonce(self, account: Account, form: NonceForm | None = None) -> bytes:
        nonce = _FORMS[form or self._settings.nonce_form](account.nonce)
        return self._frame("subscribe_nonce", contract_id=self._spell(account.id, "nonce"), nonce=nonce)

    def _frame(self, action: str, **fields: Any) -> bytes:
        onchain, seen = _stamps()
        stamps = {"onchain_timestamp": onchain, "seen_timestamp": seen}
        return text_frame(encode({"action": action, **fields, **stamps}))

    def _spell(self, id: str, where: str) -> str:
        """An id as this channel writes it. O2 is not consistent about 0x and letter case."""
        if not self._settings.untidy_ids:
            return id
        bare = id.removeprefix("0x")
        match where:
            case "depth" | "balances" | "error":
                return bare
            case "depth_update" | "nonce":
                return bare.upper()
            case _:
                return "0x" + bare.upper()

    def _identity(self, account: Account, where: str) -> dict[str, str]:
        return {kind: self._spell(value, where) for kind, value in account.identity.items()}


def printed(found: Listing, trade: Trade) -> Print:
    """A trade as it is told."""
    total = worth(found, trade.quantity, trade.price)
    now = time.time_ns() // 1_000_000
    return Print(str(trade.number), trade.side, str(total), str(trade.quantity), str(trade.price), now)


def sides(found: Listing, precision: int) -> dict[str, Any]:
    bids, asks = book_of(found, precision)
    return {"buys": _levels(sorted(bids.items(), reverse=True)), "sells": _levels(sorted(asks.items()))}


def _levels(moves: Iterable[Move]) -> list[Level]:
    return [Level(str(price), str(quantity)) for price, quantity in moves]


def _stamps() -> tuple[str, str]:
    now = time.time_ns()
    return str(now // 1_000_000_000), str(now)
