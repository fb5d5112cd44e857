"""One user of tplus: orders, fills and positions, as they are told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

from actors.simulators.base.history import BoundedDict
from actors.simulators.tplus.instruments import BOOK_DECIMALS, PRICE_DECIMALS, QUANTITY_DECIMALS, Row

BookVariant = Literal["Canceled", "Removed", "Replaced", "Amended", "Triggered"]
FailedVariant = Literal["CreateFailed", "ReplaceFailed", "AmendFailed", "CancelFailed"]
OrderVariant = Literal["Created", "Updated", BookVariant, FailedVariant]
Activity = Literal[
    "DepositLanded",
    "WithdrawalCompleted",
    "PositionCleared",
    "SubAccountAssetTransferred",
    "MarginCallUpdated",
]
_OF_THE_BOOK = get_args(BookVariant)
_FILLED = ("filled_quantity", "filled_amount", "trading_fees_amount")
# The fields of an order's row that are null, and those that are false.
_NULL = (
    "amount",
    "max_sellable_amount",
    "max_sellable_quantity",
    "good_until_timestamp_ns",
    "trigger_above_price",
    "trigger_below_price",
    "trigger_touched",
    "trigger_enabled_quantity",
    "parent_id",
)
_FALSE = (
    "in_flight",
    "canceled",
    "is_immediate_or_cancel",
    "is_fill_or_kill",
    "is_liquidation",
    "is_auto_deleverage",
)
_SHARED = ("asset_id", "trade_id", "price", "quantity", "timestamp_ns")  # of a trade and its fills
_KEPT = 1000  # orders, and fills
_CLOSING = ("Canceled", "Removed", "CreateFailed")


class Account:
    """A user. Each method makes one message, and keeps what pages repeat of it."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.orders: dict[str, Row] = BoundedDict(_KEPT)  # as pages show them, by id, oldest first
        self.fills: dict[int, Row] = BoundedDict(_KEPT)  # as last told, by number, newest last
        self.positions: dict[tuple[str, int], Row] = {}  # by asset and sub-account
        self._orders_made = 0
        self._nonces = 0

    @property
    def open_orders(self) -> list[Row]:
        return [row for row in self.orders.values() if row["status"] == "open"]

    # orders

    def order_event(self, variant: OrderVariant, asset: str, price: int, over: Mapping[str, Any]) -> Row:
        """The fields of an order event, `over` replacing some. It is about the last order that was
        made, unless `over` has its `order_id`; Created makes one."""
        if variant == "Created":
            return self._created(asset, price, over)
        about = over.get("order_id", next(reversed(self.orders), self._order_id()))
        known = self.orders.get(str(about), {})
        now = time.time_ns()
        told = {"order_id": about}
        if variant != "Updated":
            told["user_id"] = self.user
        if variant in _OF_THE_BOOK:
            told |= {"asset_id": known.get("base_asset", asset), "timestamp_ns": now}
        told |= {**_extra(variant, price, now), **over}
        if known and variant in _CLOSING:
            done = told.get("reason") == "Completed"
            known |= {"status": "closed" if done else "cancelled", "canceled": not done}
        if known:
            known["last_update_timestamp_ns"] = now
        return told

    def _created(self, asset: str, price: int, over: Mapping[str, Any]) -> Row:
        now = time.time_ns()
        limit = {"limit_price": price, "quantity": 750, "time_in_force": {"GTC": {"post_only": False}}}
        about = {"signer": self.user, "order_id": self._order_id(new=True), "creation_timestamp_ns": now}
        traded = {"base_asset": asset, **BOOK_DECIMALS, "target": {"account": 0, "is_spot": True}}
        terms = {"details": {"Limit": limit}, "side": "Buy", "trigger": None, "reduce_only": False}
        order = {**about, **traded, **terms, "max_trading_fees_rate": 50_000, "protocol_version": 1}
        rest = {key: value for key, value in over.items() if key not in order}
        order |= {key: value for key, value in over.items() if key in order}
        self.orders[str(order["order_id"])] = _page_row(order, price, now)
        return {"user_order": order, "signature": [0] * 64, "book_timestamp_ns": now, **rest}

    def _order_id(self, *, new: bool = False) -> str:
        self._orders_made += new
        return f"o-{self._orders_made}"

    # fills and positions

    def fill(self, trade: Mapping[str, Any], over: Mapping[str, Any]) -> Row:
        """A trade as this user sees it. It is of the last order, or of that of its former event."""
        shared = {name: trade[name] for name in _SHARED}
        former = self.fills.get(over.get("trade_id", trade["trade_id"]), {})
        of = former.get("order_id", next(reversed(self.orders), "o-0"))
        order = {"order_id": of, "sub_account": 0, "trading_fee": "0.01"}
        stage = {"status": "Confirmed", "rollback_reason": None}
        flags = {"is_maker": True, "is_buyer": True, "is_liquidation": False, "is_auto_deleverage": False}
        told = {**shared, **order, **stage, **flags, **over}
        self.fills.pop(told["trade_id"], None)
        self.fills[told["trade_id"]] = told
        return told

    def position(self, asset: str, price: str, over: Mapping[str, Any]) -> Row:
        """All positions after this one changed; a closed one is in it once more."""
        about = {"asset_id": asset, "sub_account_index": 1, "name": "Margin", "side": "long", "size": "0.75"}
        prices = {"entry_price": price, "mark_price": price, "liquidation_price": None}
        margin = {"margin": "15", "leverage": "5", "unrealized_pnl": "0"}
        base = {"base_credits": "0.75", "base_liabilities": "0"}
        quote = {"quote_credits": "0", "quote_liabilities": "76.125"}
        row = {**about, **prices, **margin, **base, **quote, **over}
        key = (row["asset_id"], row["sub_account_index"])
        self.positions[key] = row
        told = self.all_positions()
        if row["side"] == "closed":
            del self.positions[key]
        return told

    def all_positions(self) -> Row:
        positions = list(self.positions.values())
        return {"user_id": self.user, "positions": positions, "timestamp_ns": time.time_ns()}

    # activity

    def activity(self, variant: Activity, asset: str, over: Mapping[str, Any]) -> Row:
        """The fields of an activity event."""
        self._nonces += 1
        amount = {"asset": asset, "amount": "1500000000000000000"}
        between = {"source_sub_account_index": 0, "target_sub_account_index": 1}
        moved = {**amount, "chain_id": "00" + "00" * 6 + "a4b1"}
        fields: Mapping[Activity, Row] = {
            "DepositLanded": {**moved, "deposit_nonce": self._nonces},
            "WithdrawalCompleted": {**moved, "withdrawal_nonce": self._nonces},
            "PositionCleared": {"sub_account_index": 1, "asset": asset},
            "SubAccountAssetTransferred": {**between, **amount},
            "MarginCallUpdated": {"sub_account_index": 1, "called_venues": []},
        }
        return {"user": self.user, **fields[variant], "timestamp_ns": time.time_ns(), **over}


def _extra(variant: OrderVariant, price: int, now: int) -> Row:
    """What a variant has beside the fields that most of them have."""
    quantities = {"filled_quantity": 750, "confirmed_quantity": 500}
    amounts = {"filled_amount": 750 * price, "confirmed_amount": 500 * price}
    decimals = {"book_quantity_decimals": QUANTITY_DECIMALS}
    amended = {"new_quantity": 500, "remaining_quantity": 500}
    updated = {"status": "PartiallyFilled", "filled_quantity": 250, "remaining_quantity": 500}
    extras: Mapping[OrderVariant, Row] = {
        "Created": {},
        "Canceled": {"operator_pubkey": None, "reason": "Canceled by its owner"},
        "Removed": {"reason": "Completed", **quantities, **amounts, **decimals},
        "Replaced": {"new_quantity": 800, "new_price": price, "authorization_revision": 1},
        "Amended": {**amended, "authorization_revision": 1, **decimals},
        "Triggered": {"quantity": 750, "trigger_touched": True},
        "Updated": {**updated, "update_timestamp_ns": now},
    }
    return extras.get(variant, {"reason": "Rejected by the risk engine"})


def _page_row(order: Row, price: int, now: int) -> Row:
    """An order as `/orders/user/...` has it: decimals, not book units."""
    stages = [f"{stage}_{what}" for stage in ("confirmed", "pending") for what in _FILLED]
    limit = order["details"].get("Limit", {})
    return {
        **{name: order[name] for name in ("order_id", "base_asset", "side")},
        "limit_price": _places(limit.get("limit_price", price), PRICE_DECIMALS),
        "quantity": _places(limit.get("quantity", 0), QUANTITY_DECIMALS),
        "status": "open",
        "is_reduce_only": order["reduce_only"],
        **dict.fromkeys(_NULL),
        **dict.fromkeys(_FALSE, False),
        **dict.fromkeys(stages, "0"),
        **dict.fromkeys(["timestamp_ns", "last_update_timestamp_ns"], now),
    }


def _places(units: int, decimals: int) -> str:
    return f"{units // 10**decimals}.{units % 10**decimals:0{decimals}d}"
