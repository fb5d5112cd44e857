"""The gateway's pages on its real-time hubs as types: what a user gets.

Prices, sizes of the market and money are exact decimals, as the wire has them; what the gateway left
out, or said nothing in, is None. Times are kept as they came; the same in nanoseconds since 1970 is
asked for as `…_ns`, and None where the gateway sent no time. Fields that are not named here are passed
over. `action` stands in the envelope that some account events come in: 0 was seen for new ones and 1
for changes, and the gateway documents neither.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from typing import Any, TypeAlias

from msgspec import UNSET, Struct, UnsetType, structs

from actors.protocol import iso_nanoseconds

Exact: TypeAlias = Decimal | None
LARGEST = 30  # decimal digits before the point, or noughts after it: more is no price
SMALLEST = -LARGEST
TINY, HUGE = Decimal(10) ** SMALLEST, Decimal(10) ** (LARGEST + 1)  # TINY <= a price < HUGE: it is in bounds


def check_number(value: Decimal) -> None:
    """Raises: ValueError: nothing can be reckoned with it."""
    if not (value.is_finite() and SMALLEST <= value.adjusted() <= LARGEST):
        raise ValueError("a number that is not finite, or out of all bounds")


def check(thing: Struct) -> None:
    """Checks all decimals among its fields."""
    for value in structs.astuple(thing):
        if type(value) is Decimal:
            check_number(value)


def nanoseconds(stamp: str | None) -> int | None:
    """None: there is no time. Year 1 is what .NET writes where no time was set."""
    return iso_nanoseconds(stamp) if stamp and not stamp.startswith("0001") else None


# ── numbers that mean something; the gateway may add to them ────────────────────────────────────


class Open(IntEnum):
    """One that is not known here is `unknown(7)`, and equal to 7."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, int):
            return None
        unknown = int.__new__(cls, value)
        unknown._name_, unknown._value_ = f"unknown({value})", value
        return unknown


class OrderSide(Open):
    BID = 0  # buy
    ASK = 1  # sell


class OrderType(Open):
    UNKNOWN = 0
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


class OrderStatus(Open):
    """From 7 on they stand in the gateway's OpenAPI document alone."""

    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8  # a bracket's leg that is not active yet

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset((OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED))


class PositionType(Open):
    UNDEFINED = 0
    LONG = 1
    SHORT = 2


class TradeType(Open):
    """The gateway does not say so in words, but it is taken for the side of the aggressor."""

    BUY = 0
    SELL = 1


class DomType(Open):
    UNKNOWN = 0
    ASK = 1
    BID = 2
    BEST_ASK = 3
    BEST_BID = 4
    TRADE = 5
    RESET = 6
    LOW = 7
    HIGH = 8
    NEW_BEST_BID = 9
    NEW_BEST_ASK = 10
    FILL = 11


BIDS = frozenset((DomType.BID, DomType.BEST_BID, DomType.NEW_BEST_BID))
ASKS = frozenset((DomType.ASK, DomType.BEST_ASK, DomType.NEW_BEST_ASK))


# ── of an account ───────────────────────────────────────────────────────────────────────────────


class Entity(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """What the user hub tells of has an id."""

    id: int
    action: int | None = None  # of the envelope


class Account(Entity, frozen=True, gc=False, kw_only=True):
    """`simulated` is about where orders go: accounts with real money at stake have it too."""

    name: str | None = None
    balance: Exact = None
    can_trade: bool | None = None
    is_visible: bool | None = None
    simulated: bool | None = None


class OfAccount(Entity, frozen=True, gc=False, kw_only=True):
    """What an account has in a contract."""

    account_id: int | None = None
    contract_id: str | None = None
    creation_timestamp: str | None = None

    @property
    def created_ns(self) -> int | None:
        return nanoseconds(self.creation_timestamp)


class Position(OfAccount, frozen=True, gc=False, kw_only=True):
    """`size` has no sign, that is in `type`. A closed one was seen with a size of 0: undocumented."""

    type: PositionType | None = None
    size: int | None = None
    average_price: Exact = None

    @property
    def net(self) -> int | None:
        """The size with its sign, below zero for short; None: the gateway does not say."""
        if self.size == 0:
            return 0
        if self.size is not None and self.size < 0:  # a sign where there is none: of which side is it?
            return None
        sign = {PositionType.LONG: 1, PositionType.SHORT: -1}.get(self.type or PositionType.UNDEFINED)
        return None if sign is None or self.size is None else sign * self.size


class Order(OfAccount, frozen=True, gc=False, kw_only=True):
    """The last four stand in the gateway's REST model, and may never come here."""

    symbol_id: str | None = None
    update_timestamp: str | None = None
    status: OrderStatus | None = None
    type: OrderType | None = None
    side: OrderSide | None = None
    size: int | None = None
    limit_price: Exact = None
    stop_price: Exact = None
    fill_volume: int | None = None
    filled_price: Exact = None
    custom_tag: str | None = None
    trail_price: Exact = None
    trail_distance: Exact = None
    parent_order_id: int | None = None
    linked_order_id: int | None = None

    @property
    def updated_ns(self) -> int | None:
        return nanoseconds(self.update_timestamp)


class AccountTrade(OfAccount, frozen=True, gc=False, kw_only=True):
    """A fill of an order. One that opens has no profit or loss: `profit_and_loss` is None."""

    price: Exact = None
    profit_and_loss: Exact = None
    fees: Exact = None
    commissions: Exact = None  # of the REST model
    side: OrderSide | None = None
    size: int | None = None
    voided: bool | None = None
    order_id: int | None = None


# ── of the market; `contract_id` is what was subscribed to, a `symbol` only its product ─────────


class SparseQuote(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """A quote as it comes: what is not in it has not changed. Its fields stand as in a `Quote`."""

    symbol: str | UnsetType | None = UNSET
    symbol_name: str | UnsetType | None = UNSET
    last_price: Exact | UnsetType = UNSET
    best_bid: Exact | UnsetType = UNSET
    best_ask: Exact | UnsetType = UNSET
    change: Exact | UnsetType = UNSET
    change_percent: Exact | UnsetType = UNSET
    open: Exact | UnsetType = UNSET
    high: Exact | UnsetType = UNSET
    low: Exact | UnsetType = UNSET
    volume: Exact | UnsetType = UNSET
    last_updated: str | UnsetType | None = UNSET
    timestamp: str | UnsetType | None = UNSET


class Quote(Struct, frozen=True, gc=False):
    """All that is known of a contract's quote on this connection; None: nothing was said of it yet.

    `changed` names the fields that this message gave another value, or their first; of the times and
    names it says nothing. Where a stream conflates, it is of the newest message alone.
    """

    contract_id: str
    changed: tuple[str, ...] = ()
    symbol: str | None = None
    symbol_name: str | None = None
    last_price: Exact = None
    best_bid: Exact = None
    best_ask: Exact = None
    change: Exact = None
    change_percent: Exact = None
    open: Exact = None
    high: Exact = None
    low: Exact = None
    volume: Exact = None  # of the session
    last_updated: str | None = None
    timestamp: str | None = None

    @property
    def updated_ns(self) -> int | None:
        """The gateway's time of this message."""
        at = nanoseconds(self.last_updated)
        return nanoseconds(self.timestamp) if at is None else at


class OfMarket(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """`contract_id` is not in what comes, but beside it."""

    contract_id: str = ""
    symbol_id: str | None = None
    timestamp: str | None = None

    @property
    def at_ns(self) -> int | None:
        return nanoseconds(self.timestamp)


class Trade(OfMarket, frozen=True, gc=False, kw_only=True):
    """A print of the market."""

    price: Decimal
    volume: Exact = None
    type: TradeType | None = None


class Depth(OfMarket, frozen=True, gc=False, kw_only=True):
    """One level as it is now, or something else that the gateway tells in this place: see `type`.

    The gateway documents `volume` as the total at the level and `current_volume` as what is there now;
    clients contradict each other on which of the two is resting.
    """

    type: DomType
    price: Decimal
    volume: Exact = None
    current_volume: Exact = None
    index: int | None = None

    @property
    def is_bid(self) -> bool:
        return self.type in BIDS

    @property
    def is_ask(self) -> bool:
        return self.type in ASKS


def check_depth(entry: Depth) -> None:
    """Raises: ValueError: a number is out of all bounds, or a level has no volume."""
    check(entry)
    if entry.volume is None and entry.current_volume is None and (entry.is_bid or entry.is_ask):
        raise ValueError("a level without a volume")


class DepthReset(OfMarket, frozen=True, kw_only=True):
    """The book is cleared, and filled with the levels behind the reset in the same message.

    `assumed`: the gateway sent no reset, but the first list of a subscription, and the feed's settings
    say that such a list is the whole book.
    """

    entries: tuple[Depth, ...] = ()
    assumed: bool = False
