"""The messages of tplus as types: what a user gets.

Decimal texts and numbers are exact `Decimal`s in human units. Integers of orders are book units,
scaled by `book_price_decimals` and `book_quantity_decimals`. Times are nanoseconds since 1970. Names
that the venue may add to (a status, a reason) are plain texts; a whole variant that is not known
comes as `Unknown`. Unknown keys are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, get_args

from msgspec import Struct, field, structs

from actors.venues.tplus.ids import WRITTEN_SO, asset_id

TOO_LARGE = Decimal("1e40")  # no amount: calculations with it would fail
TOO_LOW = -TOO_LARGE
ZERO = Decimal(0)
ASSETS = frozenset({"asset_id", "asset", "base_asset"})


class TplusMessage(Struct, frozen=True, gc=False):
    """Its decimals are finite, and its assets are spelled like the keys of topics."""

    def __post_init__(self) -> None:
        assets, decimals = _to_check(type(self))
        for name in assets:
            text = getattr(self, name)
            if not text.isdecimal() and (id := asset_id(text)) is not None:
                structs.force_setattr(self, name, id)
        for name in decimals:
            value = getattr(self, name)
            if value is not None and not (value.is_finite() and TOO_LOW < value < TOO_LARGE):
                raise ValueError(f"{name} is out of any range")


@cache
def _to_check(kind: type[TplusMessage]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    fields = structs.fields(kind)
    assets = tuple(each.name for each in fields if each.name in ASSETS)
    decimals = tuple(each.name for each in fields if Decimal in (each.type, *get_args(each.type)))
    return assets, decimals


class Unknown(Struct, frozen=True, gc=False, tag_field="kind", tag="Unknown"):
    """A variant that this version does not know: its name, and what it bears as it came."""

    name: str
    fields: Any = None


# ── order book ──────────────────────────────────────────────────────────────────────────────────


class Level(Struct, frozen=True, gc=False, array_like=True):
    """One price of a book. In a `DepthChange` the quantity is the new one; at 0 the level is gone."""

    price: Decimal
    quantity: Decimal


Levels = tuple[Level, ...]


class Depth(Struct, frozen=True, gc=False):
    """Levels of a book, and the number with which they came."""

    asset_id: str
    bids: Levels
    asks: Levels
    sequence: int


class DepthSnapshot(Depth, frozen=True, gc=False):
    """A whole book: it replaces what was known of the asset. Best prices come first."""


class DepthChange(Depth, frozen=True, gc=False):
    """New quantities of some levels, absolute; one of 0 is gone. All at once, in any order.

    A change follows a `DepthSnapshot`, or the changes since; where one may be missing there is a
    `Gap`, and a new snapshot after it.
    """


class PriceLevelUpdate(TplusMessage, frozen=True, gc=False):
    """One level, as older streams sent it: without a number by which a book could be put together."""

    asset_id: str
    side: str  # "Ask" or "Bid"
    price_level: Decimal
    quantity: Decimal


# ── trades ──────────────────────────────────────────────────────────────────────────────────────


class Trade(TplusMessage, frozen=True, gc=False, kw_only=True):
    """One public print. One that is `Pending` may still be undone: then it comes as `Rollbacked`."""

    asset_id: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    timestamp_ns: int
    order_id: str = ""  # mostly empty
    buyer_is_maker: bool | None = None
    status: str = "Confirmed"  # or "Pending", "Rollbacked"
    is_maker: bool | None = None  # older servers' name of buyer_is_maker

    def __post_init__(self) -> None:
        try:
            in_range = TOO_LOW < self.price < TOO_LARGE and TOO_LOW < self.quantity < TOO_LARGE
        except ArithmeticError:  # not a number
            in_range = False
        if not in_range or (self.asset_id not in WRITTEN_SO and asset_id(self.asset_id) != self.asset_id):
            super().__post_init__()  # the same of any message, field by field: this is the busiest
        if self.buyer_is_maker is None:
            structs.force_setattr(self, "buyer_is_maker", self.is_maker)


class UserTrade(TplusMessage, frozen=True, gc=False, kw_only=True):
    """A fill of one's own. It comes again with the same `trade_id` as its status changes."""

    asset_id: str
    order_id: str
    price: Decimal
    quantity: Decimal
    timestamp_ns: int
    is_maker: bool
    is_buyer: bool
    trade_id: int | None = None
    status: str = "Confirmed"  # or "Pending", "Rollbacked"
    rollback_reason: str | None = None
    is_liquidation: bool = False
    is_auto_deleverage: bool = False
    sub_account: int = 0  # 0: main and spot, 1: margin
    trading_fee: Decimal | None = None  # USD; negative: a rebate


# ── bars and tickers ────────────────────────────────────────────────────────────────────────────


class Timebar(TplusMessage, frozen=True, gc=False, kw_only=True):
    """One bar; it replaces the one with the same `open_timestamp_ns`."""

    asset_id: str = ""  # the wire does not say it: it is the topic's
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    open_timestamp_ns: int
    close_timestamp_ns: int


class Quote(TplusMessage, frozen=True, gc=False):
    price: Decimal
    size: Decimal


class OpenInterest(TplusMessage, frozen=True, gc=False):
    long: Decimal
    short: Decimal
    timestamp_ns: int | None = None

    @property
    def total(self) -> Decimal:
        return max(self.long, self.short)


class Ticker(TplusMessage, frozen=True, gc=False, kw_only=True):
    """One market as it is now; it replaces what was known of it."""

    asset_id: str
    volume_24h: Decimal
    timestamp_ns: int
    last_price: Decimal | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    best_bid: Quote | None = None
    best_ask: Quote | None = None
    open_interest: OpenInterest | None = None
    high_24h: Decimal | None = None
    low_24h: Decimal | None = None
    price_change_24h: Decimal | None = None
    price_change_pct_24h: Decimal | None = None


# ── orders ──────────────────────────────────────────────────────────────────────────────────────


class Variant(TplusMessage, frozen=True, gc=False, kw_only=True, tag_field="kind", tag=True):
    """One of several: `kind` is its name."""


class GTC(Variant, frozen=True, gc=False, kw_only=True):
    """Good until it is cancelled."""

    post_only: bool = False


class GTD(Variant, frozen=True, gc=False, kw_only=True):
    """Good until `timestamp_ns`."""

    timestamp_ns: int
    post_only: bool = False


class IOC(Variant, frozen=True, gc=False, kw_only=True):
    """Immediate or cancelled."""

    fill_or_kill: bool = False


class BaseAsset(Variant, frozen=True, gc=False, kw_only=True):
    quantity: int
    max_sellable_amount: int | None = None


class QuoteAsset(Variant, frozen=True, gc=False, kw_only=True):
    quantity: int
    max_sellable_quantity: int | None = None


class Limit(Variant, frozen=True, gc=False, kw_only=True):
    limit_price: int
    quantity: int
    time_in_force: GTC | GTD | IOC | Unknown | None = None


class Market(Variant, frozen=True, gc=False, kw_only=True):
    quantity: BaseAsset | QuoteAsset | Unknown
    fill_or_kill: bool = False


class PriceAbove(Variant, frozen=True, gc=False, kw_only=True):
    price: int


class PriceBelow(Variant, frozen=True, gc=False, kw_only=True):
    price: int


class Trigger(Struct, frozen=True, gc=False):
    condition: PriceAbove | PriceBelow | Unknown
    parent_order_id: str | None = None


class Target(Struct, frozen=True, gc=False):
    account: Any = None
    is_spot: bool | None = None


class Order(TplusMessage, frozen=True, gc=False, kw_only=True):
    """An order as its owner signed it; integers are book units."""

    order_id: str
    base_asset: str
    side: str  # "Buy" or "Sell"
    details: Limit | Market | Unknown
    signer: Any = None  # the account's key
    book_price_decimals: int | None = None
    book_quantity_decimals: int | None = None
    trigger: Trigger | None = None
    creation_timestamp_ns: int | None = None
    target: Target | None = None
    reduce_only: bool = False
    max_trading_fees_rate: int | None = None
    protocol_version: int | None = None


class Created(Variant, frozen=True, gc=False, kw_only=True):
    user_order: Order
    signature: tuple[int, ...]
    book_timestamp_ns: int
    limit_overrides: Any = None
    limit_overrides_signature: Any = None
    amend_overrides: Any = None
    trigger_touched: bool | None = None
    is_liquidation: bool = False
    is_auto_deleverage: bool = False


class OfOrder(Variant, frozen=True, gc=False, kw_only=True):
    order_id: str
    asset_id: str
    user_id: str
    operator_pubkey: Any = None


class Canceled(OfOrder, frozen=True, gc=False, kw_only=True):
    timestamp_ns: int
    initial_receive_timestamp_ns: int | None = None
    reason: str | None = None


class Removed(OfOrder, frozen=True, gc=False, kw_only=True):
    timestamp_ns: int
    reason: str  # "Completed", "Canceled", "Expired", "Rejected", "SelfTradePrevented"
    filled_quantity: int | None = None
    confirmed_quantity: int | None = None
    filled_amount: int | None = None
    confirmed_amount: int | None = None
    book_quantity_decimals: int | None = None
    initial_receive_timestamp_ns: int | None = None


class Replaced(OfOrder, frozen=True, gc=False, kw_only=True):
    new_quantity: int
    new_price: int
    timestamp_ns: int | None = None
    authorization_revision: int | None = None
    initial_receive_timestamp_ns: int | None = None


class Amended(OfOrder, frozen=True, gc=False, kw_only=True):
    new_quantity: int
    remaining_quantity: int
    authorization_revision: int | None = None
    book_quantity_decimals: int | None = None
    timestamp_ns: int | None = None


class Triggered(OfOrder, frozen=True, gc=False, kw_only=True):
    timestamp_ns: int
    quantity: int
    trigger_touched: bool


class Failed(Variant, frozen=True, gc=False, kw_only=True):
    order_id: str
    user_id: str
    reason: str | None = None


class CreateFailed(Failed, frozen=True, gc=False, kw_only=True):
    pass


class ReplaceFailed(Failed, frozen=True, gc=False, kw_only=True):
    pass


class AmendFailed(Failed, frozen=True, gc=False, kw_only=True):
    pass


class CancelFailed(Failed, frozen=True, gc=False, kw_only=True):
    pass


class Updated(Variant, frozen=True, gc=False, kw_only=True):
    """Of older servers; today's never send it, so fills are only in the user's trades."""

    order_id: str | None = None
    asset_id: str = ""
    user_id: str | None = None
    status: str | None = None
    filled_quantity: int | None = None
    remaining_quantity: int | None = None
    update_timestamp_ns: int | None = None


RequestFailed = CreateFailed | ReplaceFailed | AmendFailed | CancelFailed
OrderEvent = Created | Canceled | Removed | Replaced | Amended | Triggered | RequestFailed | Updated | Unknown

# ── account ─────────────────────────────────────────────────────────────────────────────────────


class Position(TplusMessage, frozen=True, gc=False, kw_only=True):
    asset_id: str
    side: str  # "long", "short", "closed"
    size: Decimal
    sub_account_index: int = 0
    name: str | None = None
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    margin: Decimal | None = None
    leverage: Decimal | None = None
    liquidation_price: Decimal | None = None
    base_credits: Decimal | None = None
    base_liabilities: Decimal | None = None
    quote_credits: Decimal | None = None
    quote_liabilities: Decimal | None = None


class PositionUpdate(Struct, frozen=True, gc=False):
    """All positions of a user: it replaces the whole set."""

    user_id: str
    positions: tuple[Position, ...]
    timestamp_ns: int


class AccountActivity(Variant, frozen=True, gc=False, kw_only=True):
    """What happened to an account's assets."""

    user: str


class DepositLanded(AccountActivity, frozen=True, gc=False, kw_only=True):
    asset: str
    amount: int  # with 18 decimals
    chain_id: int | str | None = None
    deposit_nonce: int | None = None
    timestamp_ns: int


class WithdrawalCompleted(AccountActivity, frozen=True, gc=False, kw_only=True):
    asset: str
    amount: int  # with 18 decimals
    chain_id: int | str | None = None
    withdrawal_nonce: int | None = None
    timestamp_ns: int


class PositionCleared(AccountActivity, frozen=True, gc=False, kw_only=True):
    sub_account_index: int
    asset: str
    timestamp_ns: int


class SubAccountAssetTransferred(AccountActivity, frozen=True, gc=False, kw_only=True):
    source_sub_account_index: int
    target_sub_account_index: int
    asset: str
    amount: int  # with 18 decimals
    timestamp_ns: int


class CalledVenue(Struct, frozen=True, gc=False):
    venue: Any
    deadline_ns: int | None = None


class MarginCallUpdated(AccountActivity, frozen=True, gc=False, kw_only=True):
    """The margin calls there are now; none in `called_venues`: they are over."""

    sub_account_index: int
    called_venues: tuple[CalledVenue, ...]
    timestamp_ns: int


AccountEvent = (
    DepositLanded
    | WithdrawalCompleted
    | PositionCleared
    | SubAccountAssetTransferred
    | MarginCallUpdated
    | Unknown
)


class AccountStats(Struct, frozen=True, gc=False):
    """Statistics of an account as they came: their shape is not published."""

    fields: Mapping[str, Any]


class Intent(TplusMessage, frozen=True, gc=False):
    """What market makers mean to do, in a window of 100 ms. The totals are absolute."""

    asset_id: str
    watchers: int
    quantity: Decimal
    window_end_ns: int
    watchers_delta: int | None = None
    quantity_delta: Decimal | None = None


# ── frames ──────────────────────────────────────────────────────────────────────────────────────


class BookFrame(Struct, frozen=True, gc=False):
    """A snapshot or a diff: they have one shape. Its levels are checked here, all in one go."""

    asks: Levels
    bids: Levels
    sequence: int = field(name="sequence_number")

    def __post_init__(self) -> None:
        if self.sequence < 0:
            raise ValueError("a sequence number is negative")
        if not (_in_range(self.asks) and _in_range(self.bids)):
            raise ValueError("a level's price or quantity is negative or out of any range")


def _in_range(levels: Levels) -> bool:
    try:
        for level in levels:
            if not (ZERO <= level.price < TOO_LARGE and ZERO <= level.quantity < TOO_LARGE):
                return False
    except InvalidOperation:  # what is no number cannot be compared
        return False
    return True


class Control(Struct, frozen=True):
    """What a connection says of itself: a welcome, an error, a beat. Anything may be anything."""

    type: Any = None
    channels: Any = None
    errors: Any = None
    error: Any = None
    message: Any = None
