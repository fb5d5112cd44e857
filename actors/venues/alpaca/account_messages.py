"""Alpaca's page on trade updates as types. Amounts are decimal texts or null: exact, or None."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct, field

from actors.venues.alpaca.timestamps import Stamp, nanoseconds

Amount = Decimal | None


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order as it is now; it replaces what was known of `id`, if `updated_at` is not older."""

    id: str
    client_order_id: str | None = None
    symbol: str | None = ""  # empty for an order of several legs
    asset_id: str | None = None
    asset_class: str | None = None
    status: str | None = None
    side: str | None = None
    order_class: str | None = None
    order_type: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    qty: Amount = None
    notional: Amount = None
    filled_qty: Amount = None
    filled_avg_price: Amount = None
    limit_price: Amount = None
    stop_price: Amount = None
    trail_percent: Amount = None
    trail_price: Amount = None
    hwm: Amount = None
    ratio_qty: Amount = None  # of a leg
    extended_hours: bool | None = None
    position_intent: str | None = None
    legs: tuple[Order, ...] | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    created_at: Stamp | None = None
    updated_at: Stamp | None = None
    submitted_at: Stamp | None = None
    filled_at: Stamp | None = None
    expired_at: Stamp | None = None
    expires_at: Stamp | None = None  # when the venue cancels it by itself
    cancel_requested_at: Stamp | None = None
    canceled_at: Stamp | None = None
    failed_at: Stamp | None = None
    replaced_at: Stamp | None = None

    @property
    def updated_ns(self) -> int | None:
        """Nanoseconds since 1970; None: the venue did not say."""
        return None if self.updated_at is None else nanoseconds(self.updated_at)


class Execution(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one leg of an order of several traded."""

    execution_id: str | None = None
    order_id: str | None = None
    symbol: str | None = None
    price: Amount = None
    qty: Amount = None
    timestamp: Stamp | None = None


class TradeUpdate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something happened to an order. `event` is an open set: new, fill, partial_fill, canceled, …

    `price` and `qty` are of this one execution, `position_qty` is signed and holds after it. An order
    of several legs has `legs` and `position_qtys` instead.
    """

    event: str
    order: Order
    execution_id: str | None = None
    event_id: str | None = None
    price: Amount = None
    qty: Amount = None
    position_qty: Amount = None
    timestamp: Stamp | None = None  # may be missing where nothing was filled
    at: Stamp | None = None
    legs: tuple[Execution, ...] | None = ()
    position_qtys: dict[str, Decimal] | None = None

    @property
    def ts_ns(self) -> int | None:
        """The venue's time, nanoseconds since 1970; None: it did not say."""
        stamp = self.timestamp if self.timestamp is not None else self.at
        return None if stamp is None else nanoseconds(stamp)


ORDER_TIMES = tuple(name for name in Order.__struct_fields__ if name.endswith("_at"))


# ── frames ──────────────────────────────────────────────────────────────────────────────────────


class AccountFrame(Struct, frozen=True):
    """Any message of the account stream; what `data` is depends on `stream`."""

    stream: str | None = ""
    action: str | None = ""
    data: msgspec.Raw = field(default_factory=msgspec.Raw)


class AccountAnswer(Struct, frozen=True):
    """`data` of an authorization, a listening or an error."""

    status: Any = None
    action: Any = None
    message: Any = None
    streams: Any = None
    error_message: Any = None
