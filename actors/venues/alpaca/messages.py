"""Alpaca's pages on market data as types: what a user gets, and what controls a connection.

One family serves stocks, crypto and options: what one of them lacks is empty there. Prices are exact
decimals; sizes are integers where the venue sends integers. `timestamp` is the venue's time as it came,
`ts_ns` the same in nanoseconds since 1970, in UTC.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import Struct, field

from actors.venues.alpaca.timestamps import Stamp, nanoseconds

Size: TypeAlias = int | Decimal
Codes: TypeAlias = tuple[str, ...] | str | None  # a list; one text where it is an option's

# ── to users ────────────────────────────────────────────────────────────────────────────────────


class Stamped(Struct, frozen=True, gc=False, kw_only=True, tag_field="T", omit_defaults=True):
    """What all events of a symbol have."""

    symbol: str = field(name="S")
    timestamp: Stamp = field(name="t")

    @property
    def ts_ns(self) -> int:
        """The venue's time, nanoseconds since 1970.

        Raises:
            ValueError: what the venue sent is no time.
        """
        return nanoseconds(self.timestamp)


class Trade(Stamped, frozen=True, gc=False, kw_only=True, tag="t"):
    """One print. An `id` is not unique across exchanges; a correction or cancellation names it."""

    price: Decimal = field(name="p")
    size: Size = field(name="s")
    id: int | str | None = field(name="i", default=None)  # options have none
    exchange: str = field(name="x", default="")
    conditions: Codes = field(name="c", default=())
    tape: str = field(name="z", default="")
    taker_side: str = field(name="tks", default="")  # crypto: "B" or "S"


class Quote(Stamped, frozen=True, gc=False, kw_only=True, tag="q"):
    """The best bid and ask. A price of 0 means that there is no such side.

    Sizes of stocks are in round lots.
    """

    bid_price: Decimal = field(name="bp")
    bid_size: Size = field(name="bs")
    ask_price: Decimal = field(name="ap")
    ask_size: Size = field(name="as")
    bid_exchange: str = field(name="bx", default="")
    ask_exchange: str = field(name="ax", default="")
    conditions: Codes = field(name="c", default=())
    tape: str = field(name="z", default="")


class Bar(Stamped, frozen=True, gc=False, kw_only=True, tag="b"):
    """One minute; `timestamp` is its start. Crypto has bars of volume 0, from quotes alone."""

    open: Decimal = field(name="o")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    close: Decimal = field(name="c")
    volume: Size = field(name="v")
    trades: int | None = field(name="n", default=None)
    vwap: Decimal | None = field(name="vw", default=None)


class UpdatedBar(Bar, frozen=True, gc=False, kw_only=True, tag="u"):
    """A minute once more, with late trades: it replaces the bar of the same `timestamp`."""


class DailyBar(Bar, frozen=True, gc=False, kw_only=True, tag="d"):
    """The day so far."""


class Status(Stamped, frozen=True, gc=False, kw_only=True, tag="s"):
    """Trading halts and resumes; tapes A and B have CTA's codes, C and O have UTP's."""

    status_code: str = field(name="sc", default="")
    status_message: str = field(name="sm", default="")
    reason_code: str = field(name="rc", default="")
    reason_message: str = field(name="rm", default="")
    tape: str = field(name="z", default="")


class Luld(Stamped, frozen=True, gc=False, kw_only=True, tag="l"):
    """The band of prices within which a stock may trade."""

    limit_up: Decimal = field(name="u")
    limit_down: Decimal = field(name="d")
    indicator: str = field(name="i", default="")
    tape: str = field(name="z", default="")


class Imbalance(Stamped, frozen=True, gc=False, kw_only=True, tag="i"):
    price: Decimal = field(name="p")
    tape: str = field(name="z", default="")


class Correction(Stamped, frozen=True, gc=False, kw_only=True, tag="c"):
    """The trade `original_id` was as the fields `corrected_…` say."""

    original_id: int | str = field(name="oi")
    original_price: Decimal = field(name="op")
    original_size: Size = field(name="os")
    corrected_id: int | str = field(name="ci")
    corrected_price: Decimal = field(name="cp")
    corrected_size: Size = field(name="cs")
    original_conditions: Codes = field(name="oc", default=())
    corrected_conditions: Codes = field(name="cc", default=())
    exchange: str = field(name="x", default="")
    tape: str = field(name="z", default="")


class CancelError(Stamped, frozen=True, gc=False, kw_only=True, tag="x"):
    """The trade `id` does not count: cancelled ("C"), or an error ("E")."""

    id: int | str = field(name="i")
    price: Decimal = field(name="p")
    size: Size = field(name="s")
    action: str = field(name="a", default="")
    exchange: str = field(name="x", default="")
    tape: str = field(name="z", default="")


class Level(Struct, frozen=True, gc=False):
    """One price of a book and the quantity that is there now; 0: the level is gone."""

    price: Decimal = field(name="p")
    quantity: Size = field(name="s")


class OrderBook(Stamped, frozen=True, gc=False, kw_only=True, tag="o"):
    """A whole book where `reset` is true, else the levels that changed, each with its new quantity."""

    bids: tuple[Level, ...] = field(name="b", default=())
    asks: tuple[Level, ...] = field(name="a", default=())
    reset: bool | None = field(name="r", default=False)


class Pricing(Stamped, frozen=True, gc=False, kw_only=True, tag="p"):
    """A perpetual's prices. Alpaca does not document it; its Go SDK reads it."""

    index_price: Decimal | None = field(name="ip", default=None)
    mark_price: Decimal | None = field(name="mp", default=None)
    funding_rate: Decimal | None = field(name="fr", default=None)
    open_interest: Size | None = field(name="oi", default=None)
    next_funding: Stamp | None = field(name="ft", default=None)
    exchange: str = field(name="x", default="")


class News(Struct, frozen=True, kw_only=True, tag_field="T", tag="n", omit_defaults=True):
    """One article; `content` is HTML and can be huge."""

    id: int | str
    headline: str = ""
    summary: str | None = ""
    author: str | None = ""
    created_at: Stamp | None = None
    updated_at: Stamp | None = None
    url: str | None = ""
    content: str | None = ""
    symbols: tuple[str, ...] | None = ()
    source: str | None = ""

    @property
    def ts_ns(self) -> int | None:
        """When it was updated last, nanoseconds since 1970; None: the venue did not say."""
        stamp = self.updated_at or self.created_at
        return None if stamp is None else nanoseconds(stamp)


# ── control ─────────────────────────────────────────────────────────────────────────────────────


class Success(Struct, frozen=True, tag_field="T", tag="success"):
    msg: str = ""


class Failure(Struct, frozen=True, tag_field="T", tag="error"):
    code: int | str | None = None
    msg: str | None = ""


Symbols = tuple[str, ...]


class Acknowledgement(Struct, frozen=True, kw_only=True, tag_field="T", tag="subscription"):
    """All that the connection is subscribed to now. A channel that the endpoint lacks is left out."""

    trades: Symbols | None = None
    quotes: Symbols | None = None
    bars: Symbols | None = None
    updated_bars: Symbols | None = field(name="updatedBars", default=None)
    daily_bars: Symbols | None = field(name="dailyBars", default=None)
    statuses: Symbols | None = None
    lulds: Symbols | None = None
    imbalances: Symbols | None = None
    corrections: Symbols | None = None
    cancel_errors: Symbols | None = field(name="cancelErrors", default=None)
    orderbooks: Symbols | None = None
    pricing: Symbols | None = None
    news: Symbols | None = None


Market = Trade | Quote | Bar | UpdatedBar | DailyBar | Status | Luld | Imbalance | Correction | CancelError
Control = Success | Failure | Acknowledgement
Inbound = Market | OrderBook | Pricing | News | Control

# Which fields of a kind are times; all others have `timestamp` alone.
TIMES: dict[type[Struct], tuple[str, ...]] = {
    Pricing: ("timestamp", "next_funding"),
    News: ("created_at", "updated_at"),
    Success: (),
    Failure: (),
    Acknowledgement: (),
}


class Named(Struct, frozen=True):
    """The fields of an undecodable element that name the topics of its loss."""

    kind: Any = field(name="T", default=None)
    symbol: Any = field(name="S", default=None)
    symbols: Any = None
