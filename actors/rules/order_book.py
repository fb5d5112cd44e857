"""An order book as its events make it, and the immutable view that a program gets of it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Literal

from msgspec import Struct
from sortedcontainers import SortedDict

from actors.display.escaping import printable
from actors.display.shown import html_of
from actors.events import Topic
from actors.protocol.formatting import at, counted
from actors.protocol.numbers import known_time
from actors.protocol.prices import BookUpdate, Number

Level = tuple[Number, Number]  # price, quantity

FIRST = "no snapshot has come yet"


def _best(side: str, levels: tuple[Level, ...]) -> str:
    """The best level in words, and how many there are."""
    return f"{at(*levels[0], f'{side} ')} ({counted(len(levels), 'level')})" if levels else f"no {side}s"


class BookView(Struct, frozen=True, gc=False):
    """A book at one moment: both sides are of one epoch and of the same update.

    While it is `syncing` it has no levels, because earlier levels cannot be trusted, and `reason` says
    why. Prices and quantities are as exact as the venue's wire; times are wall-clock nanoseconds.
    """

    topic: Topic
    state: Literal["syncing", "synced"]
    reason: str = ""  # why it is syncing
    bids: tuple[Level, ...] = ()  # best first, as asks are
    asks: tuple[Level, ...] = ()
    sequence: int | None = None  # the venue's number of the newest update, where it has one
    at_ns: int | None = None  # the venue's time of it, where it gives one
    received_ns: int | None = None  # when it came in; None while syncing
    epoch: int | None = None  # of its line; None while syncing

    @property
    def feed(self) -> str:
        return self.topic.feed

    @property
    def synced(self) -> bool:
        return self.state == "synced"

    @property
    def best_bid(self) -> Level | None:
        """The highest bid as (price, quantity); None: there is none."""
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask as (price, quantity); None: there is none."""
        return self.asks[0] if self.asks else None

    @property
    def spread(self) -> Number | None:
        """From best bid to best ask, below zero where they overlap; None: a side is empty."""
        if not (self.bids and self.asks):
            return None
        ask: Any = self.asks[0][0]  # of the same kind as the bid, which a type cannot say
        spread: Number = ask - self.bids[0][0]
        return spread

    def __repr__(self) -> str:
        if not self.synced:
            return printable(f"<BookView {self.topic}: {self.state}, {self.reason}>")
        sides = [_best("bid", self.bids), _best("ask", self.asks)]
        return printable(f"<BookView {self.topic}: {' · '.join(sides)}>")

    def _repr_html_(self) -> str | None:
        return html_of(self, "view_pages:of_book")

    @property
    def crossed(self) -> bool:
        """Whether the best bid is at the best ask or above it: no matching market stays like that.

        A venue may send such a book, and it is shown as it was sent.
        """
        spread = self.spread
        return spread is not None and spread <= 0


class Book:
    """The levels of one topic, by the updates since the last whole one. For one thread at a time."""

    __slots__ = ("_asks", "_at_ns", "_bids", "_epoch", "_received_ns", "_sequence", "reason", "topic")

    _sequence: int | None
    _at_ns: int | None

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.lose(FIRST)

    @property
    def synced(self) -> bool:
        return not self.reason

    def apply(self, update: BookUpdate, received_ns: int, epoch: int) -> None:
        """One event's work. A change to a book that is not there is passed over."""
        if update.whole:
            self._bids, self._asks = _sorted(update.bids), _sorted(update.asks)
            self._epoch, self.reason = epoch, ""
        elif self.reason:
            return
        elif epoch != self._epoch:
            self.lose(f"a change of epoch {epoch} came to a book of epoch {self._epoch}")
            return
        else:
            change = _add if update.relative else _set
            change(self._bids, update.bids)
            change(self._asks, update.asks)
        self._sequence, self._at_ns, self._received_ns = (
            update.sequence,
            known_time(update.at_ns),
            received_ns,
        )

    def lose(self, reason: str) -> None:
        """What it holds cannot be trusted any more; a whole update mends that."""
        self.reason = reason
        self._bids, self._asks = SortedDict(), SortedDict()
        self._sequence = self._at_ns = None
        self._received_ns = self._epoch = 0

    def view(self, depth: int | None = None) -> BookView:
        """As it is now, with so many levels a side; None: with all."""
        if self.reason:
            return BookView(self.topic, "syncing", self.reason)
        bids = _levels(self._bids, islice(reversed(self._bids), depth))
        asks = _levels(self._asks, islice(self._asks, depth))
        return BookView(
            self.topic,
            "synced",
            "",
            bids,
            asks,
            self._sequence,
            self._at_ns,
            self._received_ns,
            self._epoch,
        )


def _sorted(levels: Iterable[Level]) -> SortedDict:
    return SortedDict({price: quantity for price, quantity in levels if quantity > 0})


def _set(levels: SortedDict, changes: Iterable[Level]) -> None:
    for price, quantity in changes:
        if quantity > 0:
            levels[price] = quantity
        else:
            levels.pop(price, None)


def _add(levels: SortedDict, changes: Iterable[Level]) -> None:
    for price, amount in changes:
        quantity = levels.get(price, 0) + amount
        if quantity > 0:
            levels[price] = quantity
        else:
            levels.pop(price, None)


def _levels(levels: SortedDict, prices: Iterable[Number]) -> tuple[Level, ...]:
    """Without a step of Python for each level: the thread that follows the book waits meanwhile."""
    prices = tuple(prices)
    return tuple(zip(prices, map(levels.__getitem__, prices), strict=True))
