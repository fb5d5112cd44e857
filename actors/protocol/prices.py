"""What events say of prices and order books."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

Number = Decimal | int | float  # as exact as the wire is


class Price(Struct, frozen=True):
    """The prices in one event, exact as on the wire. None: the event has no such value, or the side is empty.

    `Venue.price` and `Venue.latest` return it.
    """

    symbol: str
    bid: Number | None = None
    bid_size: Number | None = None
    ask: Number | None = None
    ask_size: Number | None = None
    last: Number | None = None
    last_size: Number | None = None
    quoted_ns: int | None = None  # venue's time of bid and ask: wall clock, nanoseconds
    traded_ns: int | None = None  # venue's time of last: wall clock, nanoseconds
    quotes: bool = False  # it is a quote: a side that is None is empty


class BookUpdate(Struct, frozen=True):
    """The change that one event makes to an order book. Levels are (price, quantity) in any order."""

    bids: Iterable[tuple[Number, Number]]
    asks: Iterable[tuple[Number, Number]]
    whole: bool = False  # it replaces the book
    relative: bool = False  # quantities are added to a level; else they replace its own. At 0 it is gone
    sequence: int | None = None  # the venue's number of the update, for `BookView.sequence`
    at_ns: int | None = None  # venue's time: wall clock, nanoseconds
