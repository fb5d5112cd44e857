"""The newest prices of each symbol: what is kept of every event, and what an answer is made of.

An event is kept as it came, which costs its line an append. The venue is asked for its price when a
program wants to know.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final, cast

from msgspec import Struct, StructMeta

from actors.display.shown import html_of
from actors.errors import LinewardenError
from actors.events import Key, Part, Topic, Tried
from actors.protocol.numbers import known_time
from actors.protocol.prices import Number, Price
from actors.protocol.venue import Venue
from actors.rules.topics import key_of

LIMIT: Final = 16_384  # symbols of one line beside those of wanted topics: all stocks of a country
LONGEST: Final = 256  # characters of a symbol
NEWEST: Final = 4  # events of one kind that are kept: venues do not always send them in order
EVERY: Final = ("", "*")  # keys that are no symbol's: their events name it
STREAM: Final = "stream"  # the source of what a line has brought
REST: Final = "rest"  # the source of what the venue was asked for

Kept = tuple[Any, float]  # an event, and the monotonic seconds of its receipt


class LatestPrice(Struct, frozen=True, kw_only=True):
    """The newest fresh price of a symbol: a quote, a trade, or both, from one source.

    `source`: "stream", "rest", or the name that a program has put the price with (`Runtime.put_price`).
    What is not known, or not fresh, is None; so is a side of the quote that the venue does not have,
    and nothing is made up from the other one. Prices are as exact as the venue's events have them.

    An age counts from our receipt, a venue age from the venue's own timestamp; seconds, None where that
    is unknown. A venue's clock that is ahead of ours makes a venue age negative. `tried` tells what
    was looked at, too, and not taken.
    """

    feed: str
    symbol: str
    source: str
    bid: Number | None = None
    bid_size: Number | None = None
    ask: Number | None = None
    ask_size: Number | None = None
    last: Number | None = None
    last_size: Number | None = None
    quote_age: float | None = None
    quote_venue_age: float | None = None
    trade_age: float | None = None
    trade_venue_age: float | None = None
    tried: tuple[Tried, ...] = ()

    def _repr_html_(self) -> str | None:
        return html_of(self, "view_pages:of_price")


# ── what is kept ────────────────────────────────────────────────────────────────────────────────

Ring = list[Kept]  # the newest events of one kind, at most `NEWEST`


class Shelf(dict[type, Ring]):
    """The newest events of one topic and symbol, by their type: no kind pushes out another."""

    def keep(self, event: Any, at: float) -> None:
        ring = self[type(event)]
        ring.append((event, at))
        if len(ring) > NEWEST:
            del ring[0]

    def copy(self) -> Shelf:
        copy = Shelf()
        for kind, ring in dict(self).items():
            copy[kind] = ring.copy()
        return copy

    def __missing__(self, kind: type) -> Ring:
        ring = self[kind] = []
        return ring


class SymbolShelves:
    """Of a topic whose events name their symbols: one shelf for each."""

    def __init__(self, prices: Prices, topic: Topic) -> None:
        self._prices, self._topic = prices, topic

    def keep(self, events: Sequence[Any], at: float) -> None:
        """The events of one batch. It is read from its end: older events of a symbol would go at once."""
        symbol_of = self._prices.venue.symbol
        by_kind: dict[type, dict[str, Ring]] = {}  # by symbol; the newest event first
        symbols: list[str] = []  # that of the newest event first
        kind: type = Shelf  # of no event
        rings: dict[str, Ring] = {}
        has_symbol = True  # whether events of this kind may have one of their own
        for event in reversed(events):
            if type(event) is not kind:
                kind = type(event)
                rings = by_kind.setdefault(kind, {})
                has_symbol = not isinstance(kind, StructMeta) or hasattr(kind, "symbol")
            try:
                symbol: Any = (has_symbol and getattr(event, "symbol", None)) or symbol_of(event)
                ring = rings.get(symbol)
            except Exception:  # its symbol cannot be read, so it is the price of none
                symbol = ring = None
            if ring is not None:
                if len(ring) < NEWEST:
                    ring.append((event, at))
            elif isinstance(symbol, str) and 0 < len(symbol) <= LONGEST:
                rings[symbol] = [(event, at)]
                symbols.append(symbol)
        self._shelve(list(dict.fromkeys(symbols))[::-1], by_kind)

    def _shelve(self, symbols: Sequence[str], by_kind: dict[type, dict[str, Ring]]) -> None:
        """The newest events of a batch, those of the last symbol last."""
        for symbol, shelf in zip(symbols, self._prices.shelves(self._topic, symbols), strict=True):
            for kind, rings in by_kind.items():
                newest = rings.get(symbol)
                if newest is not None:
                    ring = shelf[kind]
                    ring += newest[::-1]
                    if len(ring) > NEWEST:
                        del ring[:-NEWEST]


Store = Ring | Shelf
TopicStore = Store | SymbolShelves | None  # None: the topic has no prices


class Prices:
    """The newest events of each wanted topic, and of about `limit` other symbols.

    These are symbols of former topics, and of topics for all symbols; the one longest without an event goes.
    Written by one thread; any may read.
    """

    def __init__(self, venue: Venue, limit: int = LIMIT) -> None:
        self.venue = venue
        self._limit = limit
        # By symbol, that longest without an event first; for a wanted topic its position says nothing.
        self._symbols: OrderedDict[str, dict[Topic, Store]] = OrderedDict()
        self._topics = TopicStores(self)
        self._wanted = 0  # topics of one symbol each; a symbol in two channels counts twice

    def are_of(self, venue: Venue) -> bool:
        """Whether they come from where this venue's would."""
        return type(venue) is type(self.venue) and venue.settings == self.venue.settings

    def keep(
        self, topics: Sequence[Topic], events: Sequence[Any], distinct: Collection[Topic], at: float
    ) -> None:
        """The events of one batch, received at `at`, monotonic seconds; `distinct`: its topics, each once."""
        topic_stores = self._topics
        if len(distinct) == 1:
            only = topic_stores[topics[0]]
            if only is None:
                return
            if isinstance(only, SymbolShelves):
                only.keep(events, at)
                return
            if isinstance(only, list):  # as nearly all are
                only.extend(zip(events[-NEWEST:], repeat(at)))
                del only[:-NEWEST]
                return
        elif all(topic_stores[topic] is None for topic in distinct):
            return
        of_all: dict[SymbolShelves, list[Any]] = {}
        for topic, event in zip(topics, events, strict=True):
            store = topic_stores[topic]
            if isinstance(store, list):  # as nearly all are
                store.append((event, at))
                if len(store) > NEWEST:
                    del store[0]
            elif isinstance(store, SymbolShelves):
                of_all.setdefault(store, []).append(event)
            elif store is not None:
                store.keep(event, at)
        for shelves, own in of_all.items():
            shelves.keep(own, at)

    def forget(self, topic: Topic) -> None:
        """The topic is wanted no longer; what is kept of it stays."""
        store = self._topics.pop(topic, None)
        if isinstance(store, list | Shelf):
            self._wanted -= 1
            self._symbols.move_to_end(topic.key)

    def copy(self) -> Prices:
        copy = Prices(self.venue, self._limit)
        wanted = self._topics.copy()
        for symbol, stores in self._symbols.copy().items():
            copy._symbols[symbol] = {topic: store.copy() for topic, store in stores.copy().items()}
        for topic in wanted:
            store = copy._symbols.get(topic.key, {}).get(topic)
            if store is not None:
                copy._topics[topic] = store
                copy._wanted += 1
        return copy

    def store_of(self, topic: Topic) -> TopicStore:
        """What keeps the events of this topic."""
        if topic.channel not in self.venue.price_channels:
            return None
        if topic.key in EVERY:
            return SymbolShelves(self, topic)
        event = self.venue.channels[topic.channel].event
        is_one_kind = isinstance(event, type(Struct)) and not event.__subclasses__()
        self._wanted += 1
        return self._stores(topic.key).setdefault(topic, [] if is_one_kind else Shelf())

    def shelves(self, topic: Topic, symbols: Sequence[str]) -> list[Shelf]:
        """What keeps the events of these symbols, in a topic for all; the last has the newest event."""
        known = self._symbols
        heard = [symbol for symbol in symbols if symbol in known]
        for symbol in heard:  # before room is made for others
            known.move_to_end(symbol)
        found: list[Shelf] = []
        for symbol in symbols:
            stores = known.get(symbol)
            if stores is None:
                stores = self._stores(symbol)
            elif len(heard) < len(symbols):
                known.move_to_end(symbol)
            shelf = stores.get(topic)
            if shelf is None:
                shelf = stores[topic] = Shelf()
            found.append(cast(Shelf, shelf))
        return found

    def _stores(self, symbol: str) -> dict[Topic, Store]:
        stores = self._symbols.get(symbol)
        if stores is None:
            if len(self._symbols) >= self._limit + self._wanted:
                self._make_room()
            stores = self._symbols[symbol] = {}
        return stores

    def _make_room(self) -> None:
        """For one symbol. Wanted ones are passed over, once around."""
        for _ in range(len(self._symbols)):
            symbol, stores = next(iter(self._symbols.items()))
            if not any(topic.key == symbol and topic in self._topics for topic in stores):
                del self._symbols[symbol]
                return
            self._symbols.move_to_end(symbol)

    def kept(self, symbol: str) -> Iterator[Kept]:
        """All that is kept of a symbol, in no order. Any thread."""
        for store in self._symbols.get(symbol, {}).copy().values():
            for ring in [store] if isinstance(store, list) else list(store.values()):
                yield from ring.copy()

    def __len__(self) -> int:
        return len(self._symbols)


class TopicStores(dict[Topic, TopicStore]):
    """By topic that is wanted; each is made with the first event."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices

    def __missing__(self, topic: Topic) -> TopicStore:
        store = self[topic] = self._prices.store_of(topic)
        return store


# ── what is answered ────────────────────────────────────────────────────────────────────────────


class PricePart(Struct, frozen=True):
    """One part of a price, from one event."""

    price: Price
    at: float  # monotonic seconds of its receipt
    venue_ns: int | None
    until: float | None = None  # monotonic seconds; None: its source sets no end

    def is_over(self, now: float) -> bool:
        """Whether its source no longer stands by it."""
        return self.until is not None and self.until <= now

    def ages(self, now: float, now_ns: int) -> tuple[float, float | None]:
        """Seconds since receipt, and since the venue's time; None: it named none."""
        venue_ns = known_time(self.venue_ns)
        venue_age = None if venue_ns is None else (now_ns - venue_ns) / 1e9
        return max(0.0, now - self.at), venue_age

    def age(self, now: float, now_ns: int) -> float:
        """The larger of both."""
        received, venue = self.ages(now, now_ns)
        return received if venue is None else max(received, venue)

    def older_than(self, other: PricePart) -> bool:
        """By the venue's times where both have one, for events overtake each other; else by receipt."""
        if self.venue_ns is not None and other.venue_ns is not None and self.venue_ns != other.venue_ns:
            return self.venue_ns < other.venue_ns
        return self.at <= other.at


class Candidates:
    """The newest quote and the newest trade of a symbol, from one source."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.quote: PricePart | None = None
        self.trade: PricePart | None = None
        self.flaws: dict[str, None] = {}  # why events could not be read, each once

    def read(self, kept: Iterable[Kept], venue: Venue) -> None:
        """What these events say, in the venue's words; one that it cannot read is named and passed."""
        for event, at in kept:
            try:
                price = venue.price(event)
            except Exception as error:  # one odd event must not hide the others
                self.flaws[f"a {type(event).__name__} could not be read ({type(error).__name__})"] = None
            else:
                if price is not None:
                    self.add(price, at)

    def add(self, price: Price, at: float) -> None:
        if price.quotes or price.bid is not None or price.ask is not None:
            self.quote = newer(self.quote, PricePart(price, at, price.quoted_ns))
        if price.last is not None:
            self.trade = newer(self.trade, PricePart(price, at, price.traded_ns))

    def weigh(self, max_age: float, now: float, now_ns: int) -> tuple[dict[str, Any], list[Tried]]:
        """The fields of a `LatestPrice` that are fresh, and why others are not among them."""
        fields: dict[str, Any] = {}
        tried = [Tried(self.source, None, flaw) for flaw in self.flaws]
        parts: tuple[tuple[Part, PricePart | None, Fields], ...] = (
            ("quote", self.quote, sides),
            ("trade", self.trade, last),
        )
        for part, found, tell in parts:
            if found is None:
                tried.append(Tried(self.source, part, "none"))
                continue
            age, told = found.age(now, now_ns), tell(found.price)
            if told and age <= max_age and not found.is_over(now):
                fields |= told
                fields[f"{part}_age"], fields[f"{part}_venue_age"] = found.ages(now, now_ns)
            else:
                why = "past its ttl" if found.is_over(now) else "too old" if told else "without a price"
                tried.append(Tried(self.source, part, why, age))
        return fields, tried


Fields = Callable[[Price], dict[str, Any]]


def newer(one: PricePart | None, other: PricePart) -> PricePart:
    return other if one is None or one.older_than(other) else one


def sides(price: Price) -> dict[str, Any]:
    return one("bid", price.bid, price.bid_size) | one("ask", price.ask, price.ask_size)


def last(price: Price) -> dict[str, Any]:
    return one("last", price.last, price.last_size)


def one(name: str, price: Number | None, size: Number | None) -> dict[str, Any]:
    """A price with its size. Venues write 0 for a side that is not there; that is no price."""
    if price is None or price == 0 or price != price:  # noqa: PLR0124 - NaN alone differs from itself
        return {}
    return {name: price, f"{name}_size": size}


def in_words(tried: Iterable[Tried]) -> str:
    """`stream: quote too old (31.2 s), trade none; rest: …`."""
    by_source: dict[str, list[str]] = {}
    for each in tried:
        age = "" if each.age is None else f" ({each.age:.1f} s)"
        part = "" if each.part is None else f"{each.part} "
        by_source.setdefault(each.source, []).append(f"{part}{each.why}{age}")
    return "; ".join(f"{source}: {', '.join(each)}" for source, each in by_source.items())


def symbol_of(venue: Venue, key: Key) -> str:
    """The symbol that this key means, as the venue's topics have it.

    Raises:
        LinewardenError: it is not one symbol of this venue's, or no channel of the feed tells prices.
    """
    text = key_of(venue, key)
    telling = [name for name in venue.channels if name in venue.price_channels and venue.offers(name)]
    if not telling:
        raise LinewardenError(f"{venue.feed}: none of its channels has prices")
    channels = [venue.channels[name] for name in telling]
    channel = next((each for each in channels if each.key), None)  # one without keys has no spelling
    symbol = venue.topic(channel.name, text, {}).key if channel else text.strip()
    if symbol in EVERY:
        raise LinewardenError(f"{venue.feed}: a price has one symbol, not {key!r}")
    return symbol
