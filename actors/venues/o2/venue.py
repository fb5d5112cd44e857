"""What O2 offers: its channels, their keys and options, its addresses, and where a topic lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from operator import attrgetter
from reprlib import repr as shortened
from typing import Any, ClassVar, Literal, Never, cast, get_args
from urllib.parse import urlsplit

from actors.protocol import (
    Backfilled,
    Bar,
    BarQuery,
    BookUpdate,
    Bound,
    Bounds,
    Call,
    Channel,
    DepthChannel,
    Endpoint,
    Loss,
    Opening,
    Option,
    Options,
    Price,
    Print,
    Session,
    Topic,
    TypedChannel,
    Venue,
    VenueSettings,
    amount,
    price_words,
    short,
    suggestion,
)
from actors.venues.o2 import messages as m
from actors.venues.o2.history import O2Rest
from actors.venues.o2.markets import PATH, KnownMarkets, is_name
from actors.venues.o2.messages import identity_key, is_id, normal_id
from actors.venues.o2.session import O2Session
from actors.venues.o2.subscriptions import BY_IDENTITY

Level = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9]  # of a precision, as o2-sdk counts them
Power = Literal["10", "100", "1000", "10000", "100000", "1000000", "10000000", "100000000", "1000000000"]
Precision = Level | Power
Frequency = Literal["100ms", "500ms", "1s", "3s"]

DEPTH: DepthChannel[m.DepthSnapshot | m.DepthChange, Precision, Never] = DepthChannel("o2", "depth")
DEPTH_VIEW: DepthChannel[m.DepthView, Precision, Frequency] = DepthChannel("o2", "depth_view")
TRADES: TypedChannel[m.Trade] = TypedChannel("o2", "trades")
ORDERS: TypedChannel[m.Order] = TypedChannel("o2", "orders")
BALANCES: TypedChannel[m.Balance] = TypedChannel("o2", "balances")
NONCE: TypedChannel[m.Nonce] = TypedChannel("o2", "nonce")

Network = Literal["mainnet", "testnet", "devnet"]
URLS: Mapping[Network, str] = {
    "mainnet": "wss://api.o2.app/v1/ws",
    "testnet": "wss://api.testnet.o2.app/v1/ws",
    "devnet": "wss://api.devnet.o2.app/v1/ws",
}

PRECISIONS: tuple[str, ...] = get_args(Power)
POWERS: Mapping[str, str] = {str(level): f"1{'0' * level}" for level in get_args(Level)}
FINEST = int(PRECISIONS[0])
FREQUENCIES: tuple[str, ...] = get_args(Frequency)
VALUES: Mapping[str, tuple[str, ...]] = {"precision": (*POWERS, *PRECISIONS), "frequency": FREQUENCIES}
DEFAULTS: Mapping[str, str] = {"precision": "10", "frequency": "500ms"}

NAME_LENGTH = 64  # characters of a market's name
IDENTITIES = 10  # in one subscription
OPTIONAL = ("depth", "depth_view")  # channels of which a market has several topics
PING_INTERVAL = 20.0  # seconds; O2 recommends 30, and closes after 60 without a message

_PRECISION = (
    f"which prices are one level: a power of ten, 10 (finest, the default) to {PRECISIONS[-1]}, or its "
    "exponent, 1 to 9"
)
_FREQUENCY = f"how often: {', '.join(FREQUENCIES)}; by default {DEFAULTS['frequency']}"
_MARKET = "market id, 0x…, or name, FUEL/USDC"
_IDENTITY = "trade account's contract id, 0x…; a wallet is Address:0x…"


class O2Settings(VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    network: Network = "mainnet"  # where no url is given


_CHANNELS = (
    Channel(
        str(DEPTH),
        m.DepthSnapshot | m.DepthChange,
        "the book: a snapshot, then signed changes to it",
        key=_MARKET,
        options={"precision": _PRECISION},
        deltas=True,
        whole=(m.DepthSnapshot,),
        resyncable=True,
    ),
    Channel(
        str(DEPTH_VIEW),
        m.DepthView,
        "the whole book again and again, at a rate",
        key=_MARKET,
        options={"precision": _PRECISION, "frequency": _FREQUENCY},
    ),
    Channel(
        str(TRADES), m.Trade, "public trades", key=_MARKET, acknowledged=False, unique=True, backfill=True
    ),
    Channel(str(ORDERS), m.Order, "an account's orders", key=_IDENTITY, acknowledged=False, account=True),
    Channel(
        str(BALANCES), m.Balance, "an account's balances", key=_IDENTITY, acknowledged=False, account=True
    ),
    Channel(str(NONCE), m.Nonce, "an account's nonce", key=_IDENTITY, acknowledged=False, private=True),
)


class O2(Venue):
    """O2 Exchange on the Fuel network. No login; one socket bears every channel.

    Keys in their canonical form: ids in lower case with `0x`; a market's name as O2 lists it; an identity
    that is a contract, as a trader's is, is its id, one that is a wallet `Address:0x…`. Options are texts,
    and depth topics always have theirs; a precision is its power of ten. The name of a market and its id
    are two topics: O2's list of markets is read when a line subscribes to a name, and a line takes one of
    the two.
    """

    name: ClassVar[str] = "o2"
    about: ClassVar[str] = "O2 Exchange (Fuel): books, trades, orders, balances"
    simulator: ClassVar[str] = "actors.simulators.o2.simulator:SimulatedO2"
    Settings: ClassVar[type[VenueSettings]] = O2Settings
    channels: ClassVar[Mapping[str, Channel]] = {channel.name: channel for channel in _CHANNELS}
    price_channels: ClassVar[frozenset[str]] = frozenset({str(TRADES), str(DEPTH_VIEW)})
    tape_channel: ClassVar[str] = str(TRADES)
    ping_interval: ClassVar[float] = PING_INTERVAL
    foreign_words: ClassVar[str] = "actors.venues.o2.foreign_words:WORDS"
    book_channel: ClassVar[str] = str(DEPTH)
    limits: ClassVar[Mapping[str, str]] = {
        "identities": f"{IDENTITIES} per channel and connection; more open another connection",
        "books": "one depth and one depth_view per market and connection; another precision opens one more",
        "silence": "closed after 60 s without a message from us",
        "REST": "O2 names no limit; ours is 60 requests per minute",
    }

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        super().__init__(feed, settings)
        self._markets = KnownMarkets()  # what the lines of this feed have read; see there

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        known = self.channel(channel)
        key = self._identity(known, key) if known.name in BY_IDENTITY else self._market(known, key)
        return Topic(self.feed, known.name, key, self._options(known, options))

    def endpoint(self, opening: Opening) -> Endpoint:
        return Endpoint(self.settings.url or URLS[cast(O2Settings, self.settings).network])

    def session(self, opening: Opening) -> Session:
        return O2Session(self._markets, self._http())

    def bounds(self, topic: Topic) -> Bounds:
        if topic.channel in BY_IDENTITY:
            return (Bound(topic.channel, IDENTITIES),)
        if topic.channel in OPTIONAL:
            return (Bound((topic.channel, topic.key), 1),)
        return ()  # another one of its market would be itself

    def words(self, event: object) -> str:
        match event:
            case m.Trade():
                done = "bought" if event.side == "sell" else "sold"  # the event's side is the maker's
                return f"{amount(event.quantity)} {done} at {event.price:,}"
            case m.Order():
                done = f"{amount(event.quantity_fill)} of {amount(event.quantity)}"
                return f"{event.side} {done} at {event.price:,}, {event.state}"
            case m.Balance():
                free, locked = amount(event.total_unlocked), amount(event.total_locked)
                return f"{short(event.asset)}: {free} free, {locked} locked"
            case m.Nonce():
                return f"{event.nonce:,}"
            case m.DepthView():
                return price_words(_best(event)) or "the book is empty"
        return ""

    def duplicate_key(self, topic: Topic, event: object) -> str | None:
        """A trade has an id; books begin with a snapshot, and the other events hold the present state."""
        return event.trade_id if isinstance(event, m.Trade) else None

    def book_update(self, event: m.DepthSnapshot | m.DepthChange) -> BookUpdate:
        return BookUpdate(
            [(level.price, level.quantity) for level in event.bids],
            [(level.price, level.quantity) for level in event.asks],
            whole=isinstance(event, m.DepthSnapshot),
            relative=True,  # O2 sends amounts to add; a snapshot's are the first of them
            at_ns=event.seen_ns,
        )

    # ── history ──

    def rest(self) -> O2Rest:
        return O2Rest(self._http(), self._markets)

    def bars(self, query: BarQuery) -> Call[tuple[Bar, ...]] | None:
        """Seconds, minutes and hours. Prices and sizes are in on-chain units, as everywhere here."""
        return self.rest().bars(query)

    def backfill(self, topic: Topic, loss: Loss) -> Call[Backfilled] | None:
        """Of public trades. An account's channels have the present state, and no history."""
        return self.rest().backfill(topic.key, loss) if topic.channel == TRADES else None

    def trade(self, event: Any) -> Print | None:
        """A public trade, by its own time; what the venue saw of it later is no time of a trade."""
        if type(event) is not m.Trade or event.timestamp_ms is None:
            return None
        price, size = Decimal(event.price), Decimal(event.quantity)
        return Print(price, size, event.timestamp_ms * 1_000_000, event.trade_id)

    def _http(self) -> str:
        parts = urlsplit(self.endpoint(Opening(self.feed)).url)
        return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"

    def event_time_ns(self, event: Any) -> int | None:
        """A trade's own time where it has one; else when the venue saw it."""
        if isinstance(event, m.Trade) and event.timestamp_ms is not None:
            return event.timestamp_ms * 1_000_000
        return getattr(event, "seen_ns", None)

    def price(self, event: Any) -> Price | None:
        """A trade's price, or the best levels of a picture of the book; exact, in on-chain units."""
        match event:
            case m.Trade():
                last, size, at_ns = event.price, event.quantity, self.event_time_ns(event)
                return Price(event.market, last=last, last_size=size, traded_ns=at_ns)
            case m.DepthView(precision=int(precision)) if precision <= FINEST:
                return _best(event)
        return None  # the levels of a coarser book are rounded: no order has that price

    def key_text(self, given: object) -> str | None:
        """Returns the text of an identity that is written as O2 writes it: `{"ContractId": "0x…"}`."""
        if not isinstance(given, Mapping) or len(given) != 1:
            return None
        ((kind, id),) = given.items()
        return f"{kind}:{id}" if isinstance(kind, str) and isinstance(id, str) else None

    def _market(self, channel: Channel, key: str) -> str:
        name = key.strip()
        if not is_name(name):
            return normal_id(self._hex(channel, key, key))
        is_clean = name.isprintable() and " " not in name and len(name) <= NAME_LENGTH
        if not is_clean or not all(name.split("/")):
            raise self.mistake(f"{channel.name} takes a {channel.key}; {shortened(key)} is no name")
        return name

    def _identity(self, channel: Channel, key: str) -> str:
        kind, colon, id = key.strip().rpartition(":")
        if colon and kind.lower() not in {"address", "contractid"}:
            raise self.mistake(
                f"{channel.name} takes a {_IDENTITY}; {key!r} begins with {kind!r}"
                + suggestion(kind, ("Address", "ContractId"))
            )
        return identity_key(f"{kind}{colon}{self._hex(channel, id, key)}")

    def _hex(self, channel: Channel, id: str, key: str) -> str:
        id = id.strip()
        if not is_id(id):
            what = "no key" if not key else f"{key!r}"
            hint = "" if channel.name in BY_IDENTITY else f"{_as_name(key)} O2 lists its markets at {PATH}."
            raise self.mistake(
                f"{channel.name} takes a {channel.key}, and was given {what}. An id has at most "
                f"{m.ID_DIGITS} hexadecimal digits.{hint}"
            )
        return id.lower().removeprefix("0x")

    def _options(self, channel: Channel, options: Mapping[str, Option]) -> Options:
        self.check_options(channel, options)
        chosen = {name: str(options.get(name, DEFAULTS[name])).strip() for name in channel.options}
        for name, value in chosen.items():
            self.check_value(channel.name, name, value, VALUES[name])
        return tuple(sorted((name, POWERS.get(value, value)) for name, value in chosen.items()))


def _as_name(key: str) -> str:
    """The name that a text with another sign between the symbols probably means."""
    found = re.fullmatch(r"\s*([A-Za-z]\w*)[-_:]([A-Za-z]\w*)\s*", key)
    return f" A name has a slash: {found[1]}/{found[2]}." if found else ""


def _best(view: m.DepthView) -> Price:
    bid = max(view.bids, key=attrgetter("price"), default=None)
    ask = min(view.asks, key=attrgetter("price"), default=None)
    return Price(view.market, *_side(bid), *_side(ask), quoted_ns=view.seen_ns, quotes=True)


def _side(level: m.Level | None) -> tuple[int | None, int | None]:
    return (level.price, level.quantity) if level is not None else (None, None)
