"""O2's page of the API docs as types: what a user gets, and the frames that it comes in.

Numbers on the wire are decimal strings, sometimes numbers; here they are exact integers in on-chain
units. Ids are lower case with `0x`. Unknown keys are passed over; optional ones may be absent or null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

Side = Literal["buy", "sell"]
OrderState = Literal["open", "filled", "closed", "cancelled"]

MAX_WORDS = 500  # characters of an error
ID_DIGITS = 64  # an id has 32 bytes
HEX = frozenset("0123456789abcdef")
SIDES: Mapping[str, Side] = {"buy": "buy", "sell": "sell"}

# ── to users ────────────────────────────────────────────────────────────────────────────────────
# `onchain_s` is seconds since 1970 on the chain's clock, `seen_ns` nanoseconds on the venue's.


class Level(Struct, frozen=True, gc=False):
    """One price of a book. In a `DepthChange` the quantity is signed: an amount to add."""

    price: int
    quantity: int


Levels = tuple[Level, ...]


class Picture(Struct, frozen=True, gc=False):
    """A whole book. Bids come highest first."""

    market: str  # the key of its topic: an id, or a name
    bids: Levels
    asks: Levels
    precision: int | None = None  # where the venue says so
    onchain_s: int | None = None
    seen_ns: int | None = None


class DepthSnapshot(Picture, frozen=True, gc=False):
    """A whole book: it replaces what was known of the market."""


class DepthChange(Struct, frozen=True, gc=False):
    """Signed quantities to add to a book, all at once; a level at or below zero is gone.

    They are neither new sizes nor is zero a deletion. A change follows a `DepthSnapshot`, or the
    changes since; where one may be missing there is a `Gap`, and a new snapshot after it.
    """

    market: str  # the key of its topic
    bids: Levels
    asks: Levels
    onchain_s: int | None = None
    seen_ns: int | None = None


class DepthView(Picture, frozen=True, gc=False):
    """A whole picture of a book, sent at the rate that was asked for; each heals a lost one."""


class Fill(Struct, frozen=True, gc=False):
    order_id: str = ""
    price: int | None = None
    quantity: int | None = None
    timestamp: int | None = None


class Order(Struct, frozen=True, gc=False):
    """One order as it is now; it replaces what was known of `order_id`.

    `account` is whose order it is, spelled like the channel's keys; empty where the venue did not
    say and several accounts are subscribed to. `filled` means closed with its whole quantity filled.
    """

    order_id: str
    account: str
    market: str  # an id; empty where the venue did not say
    state: OrderState
    side: Side
    order_type: str  # "Spot", "Market", "FillOrKill", "PostOnly", "Limit", "BoundedMarket"
    quantity: int  # base units
    quantity_fill: int
    price: int  # quote units
    price_fill: int  # the average; 0 where nothing is filled
    partially_filled: bool = False
    timestamp: int | None = None  # of its creation, as the venue counts it
    base_decimals: int | None = None
    fills: tuple[Fill, ...] = ()
    terms: Any = None  # what stands beside the order's type, e.g. [price, timestamp] of a "Limit"
    desired_quantity: Any = None  # these three as the venue sent them
    fill: Any = None
    history: Any = None
    onchain_s: int | None = None
    seen_ns: int | None = None

    @property
    def remaining(self) -> int:
        return self.quantity - self.quantity_fill


class Trade(Struct, frozen=True, gc=False):
    """One public print. `side` is the maker's side.

    A trade comes once in the life of a connection. After a `Gap` the venue may send recent trades
    again; those have the `trade_id` they had before.
    """

    market: str  # the key of its topic: an id, or a name
    trade_id: str
    side: Side
    price: int
    quantity: int
    total: int | None = None
    timestamp_ms: int | None = None
    maker: str = ""  # spelled like the keys of the account channels
    taker: str = ""
    onchain_s: int | None = None
    seen_ns: int | None = None


class BookBalance(Struct, frozen=True, gc=False):
    """What of a balance lies in one order book."""

    locked: int = 0
    unlocked: int = 0
    fee: int = 0


class Balance(Struct, frozen=True, gc=False):
    """One account's balance of one asset; it replaces what was known of the two."""

    account: str
    asset: str
    total_locked: int
    total_unlocked: int  # includes `trading_account_balance`: do not add them
    trading_account_balance: int | None = None
    order_books: Mapping[str, BookBalance] = {}
    onchain_s: int | None = None
    seen_ns: int | None = None

    @property
    def available(self) -> int:
        return self.total_unlocked

    @property
    def total(self) -> int:
        return self.total_unlocked + self.total_locked


class Nonce(Struct, frozen=True, gc=False):
    """An account's nonce: a hint and no reservation. Read it again before signing."""

    account: str
    nonce: int
    onchain_s: int | None = None
    seen_ns: int | None = None


# ── ids ─────────────────────────────────────────────────────────────────────────────────────────


def normal_id(text: str) -> str:
    """An id as we compare it: O2 itself is not consistent about case and the `0x`."""
    text = text.lower()
    return text if text.startswith("0x") else "0x" + text


def is_id(text: str) -> bool:
    """Whether it is an id, with or without the `0x`."""
    digits = text.lower().removeprefix("0x")
    return 0 < len(digits) <= ID_DIGITS and set(digits) <= HEX


class Identity(Struct, frozen=True, gc=False):
    contract: str | None = field(name="ContractId", default=None)
    address: str | None = field(name="Address", default=None)


def identity_key(identity: Identity | str | None) -> str:
    """An identity as a key: `0x…` for a contract, `Address:0x…` for a wallet, empty for none."""
    if isinstance(identity, str):
        kind, colon, text = identity.rpartition(":")
        return ("Address:" if colon and kind.lower() == "address" else "") + normal_id(text)
    if identity is None:
        return ""
    if identity.contract is not None:
        return normal_id(identity.contract)
    return f"Address:{normal_id(identity.address)}" if identity.address is not None else ""


# ── frames ──────────────────────────────────────────────────────────────────────────────────────


class Pushed(Struct, frozen=True, gc=False, kw_only=True, tag_field="action"):
    market_id: str = ""
    onchain_timestamp: int | None = None
    seen_timestamp: int | None = None
    turbo: bool | None = None  # of O2's second venue, which we never ask for


class Sides(Struct, frozen=True, gc=False):
    buys: Levels | None = None
    sells: Levels | None = None
    precision: int | None = None


class DepthFrame(Pushed, frozen=True, gc=False, kw_only=True):
    changes: Sides | None = None
    orders: Sides | None = None  # a snapshot's container has changed its name over time
    view: Sides | None = None
    buys: Levels | None = None
    sells: Levels | None = None
    precision: int | None = None

    def sides(self) -> Sides | None:
        """The levels, wherever this server puts them; None: there are none where we know to look."""
        sides = self.changes or self.orders or self.view or Sides(self.buys, self.sells, self.precision)
        return None if sides.buys is None and sides.sells is None else sides


class ChangeFrame(DepthFrame, frozen=True, gc=False, tag="subscribe_depth_update"):
    pass


class SnapshotFrame(DepthFrame, frozen=True, gc=False, tag="subscribe_depth"):
    pass


class ViewFrame(DepthFrame, frozen=True, gc=False, tag="subscribe_depth_view"):
    pass


class TradeEntry(Struct, frozen=True, gc=False):
    trade_id: str | int
    side: str
    price: int
    quantity: int
    total: int | None = None
    timestamp: int | None = None
    maker: Identity | str | None = None
    taker: Identity | str | None = None
    market_id: str | None = None


class TradesFrame(Pushed, frozen=True, gc=False, kw_only=True, tag="subscribe_trades"):
    trades: list[TradeEntry] | None = None


class NewTradesFrame(TradesFrame, frozen=True, gc=False, tag="trades"):
    """The name that O2's newest SDK listens for as well."""


class OrderEntry(Struct, frozen=True, gc=False, kw_only=True):
    order_id: str
    side: str
    quantity: int
    price: int
    order_type: str | dict[str, Any] | None = None
    quantity_fill: int | None = None
    price_fill: int | None = None
    timestamp: int | None = None
    close: bool | None = None
    partially_filled: bool | None = None
    cancel: bool | None = None
    account: Identity | str | None = None
    owner: Identity | str | None = None
    identity: Identity | str | None = None
    market_id: str | None = None
    base_decimals: int | None = None
    fills: tuple[Fill, ...] | None = None
    desired_quantity: Any = None
    fill: Any = None
    order_tx_history: Any = None
    history: Any = None

    def whose(self) -> Identity | str | None:
        return self.account or self.owner or self.identity


class OrdersFrame(Pushed, frozen=True, gc=False, kw_only=True, tag="subscribe_orders"):
    entries: list[OrderEntry] | None = field(name="orders", default=None)


class BalanceEntry(Struct, frozen=True, gc=False, kw_only=True):
    asset_id: str
    total_locked: int
    total_unlocked: int
    trading_account_balance: int | None = None
    order_books: dict[str, BookBalance] | None = None
    identity: Identity | str | None = None
    account: Identity | str | None = None
    owner: Identity | str | None = None

    def whose(self) -> Identity | str | None:
        return self.identity or self.account or self.owner


class BalancesFrame(Pushed, frozen=True, gc=False, kw_only=True, tag="subscribe_balances"):
    entries: list[BalanceEntry] | None = field(name="balance", default=None)


class NonceFrame(Pushed, frozen=True, gc=False, kw_only=True, tag="subscribe_nonce"):
    contract_id: Identity | str | None = None
    identity: Identity | str | None = None
    nonce: str | int | None = None

    def whose(self) -> Identity | str | None:
        return self.contract_id or self.identity

    @property
    def entries(self) -> list[NonceFrame]:
        """It is an entry itself, if it has a nonce."""
        return [] if self.nonce is None else [self]


class NewNonceFrame(NonceFrame, frozen=True, gc=False, tag="nonce"):
    """The name that O2's newest SDK listens for as well."""


AccountFrame = OrdersFrame | BalancesFrame | NonceFrame | NewNonceFrame
Inbound = ChangeFrame | SnapshotFrame | ViewFrame | TradesFrame | NewTradesFrame | AccountFrame
# Not strict: "123" is read as the integer 123, at the speed of a number.
decode = msgspec.json.Decoder(Inbound, strict=False).decode


class Failure(Struct, frozen=True):
    """An error of the venue. Its shape on the socket is not documented: anything may be anything."""

    action: Any = None
    market_id: Any = None
    code: Any = None
    message: Any = None
    error: Any = None
    reason: Any = None
    resync_required: Any = None

    @property
    def text(self) -> str:
        said = self.message or self.error or self.reason or ""
        return (said if isinstance(said, str) else repr(said))[:MAX_WORDS]


decode_failure = msgspec.json.Decoder(Failure).decode

# ── from entries to events ──────────────────────────────────────────────────────────────────────


def the_side(text: str) -> Side:
    """Raises: ValueError: it is neither."""
    try:
        return SIDES[text.lower()]
    except KeyError:
        raise ValueError(f"a side is 'buy' or 'sell', not {text!r}") from None


def the_nonce(entry: NonceFrame, account: str, frame: Pushed) -> Nonce:
    """O2 sends it as a decimal string, as a number and as a hex string."""
    nonce = entry.nonce
    if not isinstance(nonce, int):
        nonce = int(nonce or "", 16 if nonce and nonce[:2] in ("0x", "0X") else 10)
    return Nonce(account, nonce, frame.onchain_timestamp, frame.seen_timestamp)


def the_change(sides: Sides, market: str, frame: Pushed) -> DepthChange:
    return DepthChange(
        market, sides.buys or (), sides.sells or (), frame.onchain_timestamp, frame.seen_timestamp
    )


def the_trade(entry: TradeEntry, market: str, frame: Pushed) -> Trade:
    id, maker, taker = entry.trade_id, entry.maker, entry.taker
    return Trade(
        market,
        id if isinstance(id, str) else str(id),
        SIDES.get(entry.side) or the_side(entry.side),
        entry.price,
        entry.quantity,
        entry.total,
        entry.timestamp,
        identity_key(maker) if maker is not None else "",
        identity_key(taker) if taker is not None else "",
        frame.onchain_timestamp,
        frame.seen_timestamp,
    )


def the_order(entry: OrderEntry, account: str, frame: Pushed) -> Order:
    fill = entry.quantity_fill or 0
    state: OrderState = "open"
    if entry.cancel:
        state = "cancelled"
    elif entry.close:
        state = "filled" if fill >= entry.quantity else "closed"
    kind, terms = entry.order_type, None
    if isinstance(kind, dict):
        kind, terms = next(iter(kind.items()), ("", None))
    market = entry.market_id or frame.market_id
    return Order(
        normal_id(entry.order_id),
        account,
        normal_id(market) if market else "",
        state,
        SIDES.get(entry.side) or the_side(entry.side),
        kind or "",
        entry.quantity,
        fill,
        entry.price,
        entry.price_fill or 0,
        bool(entry.partially_filled),
        entry.timestamp,
        entry.base_decimals,
        entry.fills or (),
        terms,
        entry.desired_quantity,
        entry.fill,
        entry.order_tx_history if entry.history is None else entry.history,
        frame.onchain_timestamp,
        frame.seen_timestamp,
    )


def the_balance(entry: BalanceEntry, account: str, frame: Pushed) -> Balance:
    return Balance(
        account,
        normal_id(entry.asset_id),
        entry.total_locked,
        entry.total_unlocked,
        entry.trading_account_balance,
        {normal_id(book): balance for book, balance in (entry.order_books or {}).items()},
        frame.onchain_timestamp,
        frame.seen_timestamp,
    )
