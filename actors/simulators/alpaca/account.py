"""An account at Alpaca: its orders live, and each turn of their lives is a trade update.

No socket and no clock: the time is told. Amounts are texts, as on the wire.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from actors.simulators.alpaca.endpoints import kind_of
from actors.simulators.alpaca.payloads import Stamp
from actors.simulators.base.history import BoundedDict

Update = dict[str, Any]  # the `data` of a message of the stream trade_updates
Order = dict[str, Any]

FILLS = ("fill", "partial_fill")
_STATUS = {"fill": "filled", "partial_fill": "partially_filled"}  # the others are called like their event
_ENDS = {
    "fill": "filled_at",
    "canceled": "canceled_at",
    "expired": "expired_at",
    "replaced": "replaced_at",
    "rejected": "failed_at",
}
CLOSED = ("filled", "canceled", "expired", "replaced", "rejected")
# The fields of an order that are null at first, beside the times of its end.
_OTHERS = ("cancel_requested_at", "replaced_by", "replaces", "notional", "legs")
_PRICES = ("filled_avg_price", "stop_price", "trail_percent", "trail_price", "hwm")
_REMEMBERED = 500  # orders


class Account:
    """Orders by id, oldest first, and positions by symbol."""

    def __init__(self, seed: int, clock: Callable[[], Stamp]) -> None:
        self.orders: dict[str, Order] = BoundedDict(_REMEMBERED)
        self.positions: dict[str, Decimal] = {}
        self.last_fill: Update | None = None
        self._clock = clock
        self._random = random.Random(f"{seed}/account")
        self.number = self._id()

    def update(self, event: str, order: Mapping[str, Any], **over: Any) -> Update:
        """One turn of an order's life: of the one that `order` names by its id, or of a new one.

        `order` and `over` replace fields of the order and of the update, or add some.
        """
        known = self.orders.get(str(order.get("id", "")), {})
        now = self._clock()
        lives = {**(known or self._order(now)), **order}
        told: Update = {"event": event, "timestamp": now.text}
        if event in FILLS:
            told |= self._fill(event, lives, over)
        lives |= {"updated_at": now.text, "status": _STATUS.get(event, event)}
        if event in _ENDS:
            lives[_ENDS[event]] = now.text
        lives |= {name: value for name, value in order.items() if name in ("status", "updated_at")}
        self._keep(lives)
        told |= {"order": lives, **over}
        if event in FILLS:
            self.last_fill = told
        return told

    def multi_leg(self, symbols: Iterable[str], **over: Any) -> Update:
        """A fill of several option contracts at once: it has no execution id of its own."""
        now = self._clock()
        filled = {"order_class": "mleg", "status": "filled", "filled_qty": "1"}
        of_leg = {**filled, "asset_class": "us_option", "ratio_qty": "1"}
        legs = [{**self._order(now), **of_leg, "symbol": symbol} for symbol in symbols]
        done = {"price": "1.25", "qty": "1", "timestamp": now.text}
        empty = dict.fromkeys(("symbol", "asset_class", "asset_id", "side"), "")
        order = {**self._order(now), **empty, **filled, "qty": "1", "legs": legs}
        self._keep(order)
        for leg in legs:
            self._move(leg["symbol"], Decimal(1))
        event_id = f"01{self._random.getrandbits(120):030X}"[:26]
        fills = [
            {**done, "execution_id": self._id(), "order_id": leg["id"], "symbol": leg["symbol"]}
            for leg in legs
        ]
        held = {leg["symbol"]: str(self.positions[leg["symbol"]]) for leg in legs}
        told = {"event": "fill", "at": now.text, **done, "event_id": event_id, "legs": fills}
        return {**told, "position_qtys": held, "order": order, **over}

    def step(self) -> Update:
        """An order is placed, filled in two parts, or taken back."""
        working = [each for each in self.orders.values() if each["status"] not in CLOSED]
        if not working or (len(working) < 3 and self._random.random() < 0.5):
            return self.update("new", {"side": self._random.choice(("buy", "sell"))})
        order = self._random.choice(working)
        if order["status"] == "partially_filled":
            return self.update("fill", {"id": order["id"]})
        event = self._random.choice(("partial_fill", "partial_fill", "fill", "canceled"))
        return self.update(event, {"id": order["id"]})

    def _fill(self, event: str, lives: Order, over: Mapping[str, Any]) -> Update:
        """What an execution says, and what it does to the order and to the position."""
        wanted, filled = Decimal(lives["qty"] or 0), Decimal(lives["filled_qty"])
        left = max(wanted - filled, Decimal(0))
        quantity = Decimal(over.get("qty", left if event == "fill" else max(left // 2, Decimal(1))))
        price = Decimal(over.get("price", lives["limit_price"] or "100.00"))
        paid = Decimal(lives["filled_avg_price"] or 0) * filled + price * quantity
        total = filled + quantity
        lives["filled_qty"] = str(total)
        lives["filled_avg_price"] = f"{paid / total if total else price:f}"
        signed = quantity if lives["side"] == "buy" else -quantity
        return {
            "execution_id": self._id(),
            "price": str(price),
            "qty": str(quantity),
            "position_qty": str(self._move(lives["symbol"], signed)),
        }

    def _move(self, symbol: str, quantity: Decimal) -> Decimal:
        self.positions[symbol] = self.positions.get(symbol, Decimal(0)) + quantity
        return self.positions[symbol]

    def _keep(self, order: Order) -> None:
        order["asset_class"] = asset_class(order["symbol"]) if order["symbol"] else ""
        self.orders[order["id"]] = order

    def _order(self, now: Stamp) -> Order:
        """A new one: a limit order for 100 AAPL."""
        ids = {"id": self._id(), "client_order_id": self._id(), "asset_id": self._id()}
        times = dict.fromkeys(("created_at", "updated_at", "submitted_at"), now.text)
        nothing = dict.fromkeys((*_ENDS.values(), *_OTHERS, *_PRICES))
        asset = {"symbol": "AAPL", "asset_class": "us_equity"}
        kind = {"order_class": "simple", "order_type": "limit", "type": "limit", "time_in_force": "day"}
        terms = {"side": "buy", "qty": "100", "limit_price": "190.02", "extended_hours": False}
        return {**ids, **times, **nothing, **asset, **kind, **terms, "filled_qty": "0", "status": "new"}

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def asset_class(symbol: str) -> str:
    return {"crypto": "crypto", "options": "us_option"}.get(kind_of(symbol), "us_equity")
