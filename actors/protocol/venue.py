"""What a venue declares: its channels, where its topics lie, and how to speak to it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, ClassVar
from urllib.parse import urlsplit

from msgspec import Struct

from actors.errors import LinewardenError
from actors.events import Option, Topic
from actors.http_types import Endpoint
from actors.protocol.conversation import Conversation, Token
from actors.protocol.limits import RateLimit, SendRate
from actors.protocol.placement import Bounds, Placement
from actors.protocol.session import Session
from actors.secret import RedactedStruct, Secret, Shown, origin


class Channel(Struct, frozen=True):
    """One kind of event of a venue, as a user subscribes to it."""

    name: str
    event: Any  # the type, or union of types, of its events
    about: str  # one line for people
    key: str = ""  # what a key is ("market id"); empty: the channel takes none
    options: Mapping[str, str] = {}  # name: what it is, with the values it takes
    acknowledged: bool = True  # the venue answers every subscription for certain
    deltas: bool = False  # an event is a change to what earlier ones built
    whole: tuple[type, ...] = ()  # of deltas: the types of the events that may start a topic anew
    resyncable: bool = False  # the venue can be made to send such a channel from the start
    account: bool = False  # of an account: by default nothing of it is dropped
    unique: bool = False  # `duplicate_key` tells its events apart: none comes twice by a rotation


Number = Decimal | int | float  # as exact as the wire is


class Price(Struct, frozen=True):
    """What one event says of a price. None: it does not say, or the venue has no such side now."""

    symbol: str
    bid: Number | None = None
    bid_size: Number | None = None
    ask: Number | None = None
    ask_size: Number | None = None
    last: Number | None = None
    last_size: Number | None = None
    quoted_ns: int | None = None  # venue's time of bid and ask, wall clock
    traded_ns: int | None = None  # venue's time of last
    quotes: bool = False  # it speaks of bid and ask: a side that is None is not there


class BookUpdate(Struct, frozen=True):
    """What one event does to an order book; levels are (price, quantity), in any order."""

    bids: Iterable[tuple[Number, Number]]
    asks: Iterable[tuple[Number, Number]]
    whole: bool = False  # it replaces everything
    relative: bool = False  # quantities are to be added; else they are the new ones. At 0 a level is gone
    sequence: int | None = None
    at_ns: int | None = None  # venue's time, wall clock


class Opening(Struct, frozen=True):
    """What a venue is told of one life of a line: fields are added, and all but `line` have defaults."""

    line: str
    token: Token | None = None  # what `login` gave, where the line needs one; not yet known to `session`


class Refusal(Struct, frozen=True):
    """A topic that no line can take now, and why.

    The refused topics of a feed wait in the order of wanting. When another topic is given up, the first
    is tried again, and the next one only after it has found its place.
    """

    reason: str


class VenueSettings(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[feeds.NAME]` table that belong to its venue; venues add their own."""

    url: str = ""  # the WebSocket endpoint; empty: the venue's public one

    def shown(self) -> Shown:
        """What may be seen: URLs are cut short, for they may hold a token."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            yield name, origin(value) if isinstance(value, str) and "://" in value else value


class Venue(ABC):
    """The protocol of a feed. Immutable: one object serves all lines of its feed."""

    name: ClassVar[str]
    about: ClassVar[str]
    Settings: ClassVar[type[VenueSettings]] = VenueSettings
    channels: ClassVar[Mapping[str, Channel]]
    simulator: ClassVar[str] = ""  # what `url = "sim://NAME"` starts, as `module:Class`; empty: nothing
    send_rate: ClassVar[SendRate] = SendRate()
    ping_interval: ClassVar[float] = 0.0  # seconds between its own heartbeats; 0: it has none
    limits: ClassVar[Mapping[str, str]] = {}  # for people: the name of a limit and its value
    variables: ClassVar[Mapping[str, str]] = {}  # for people: environment variables it is used with
    book_channel: ClassVar[str] = ""  # whose events make an order book; empty: none
    price_channels: ClassVar[frozenset[str]] = frozenset()  # whose events tell prices
    connect_rate: ClassVar[RateLimit] = RateLimit(
        1, 0.0
    )  # of all lines of one account; 0.0: no limit is known
    login_budget: ClassVar[RateLimit] = RateLimit(10, 45.0)  # logins, where it has them
    login_settings: ClassVar[frozenset[str] | None] = None  # keys that its token depends on; None: all
    latest_budget: ClassVar[RateLimit] = RateLimit(10, 0.5)  # conversations of `latest`

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        self.feed = feed
        self.settings = settings

    def channel(self, name: str) -> Channel:
        """The channel of that name.

        Raises:
            LinewardenError: there is none; the nearest name is given.
        """
        try:
            return self.channels[name]
        except KeyError:
            near = get_close_matches(name, self.channels, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            known = ", ".join(sorted(self.channels))
            raise LinewardenError(
                f"{self.feed}: venue {self.name!r} has no channel {name!r}{hint} It has: {known}."
            ) from None

    def account(self) -> str:
        """Whom the venue takes its lines for; feeds of one account share what it meters. Tells no secret."""
        settings = self.settings
        values = (getattr(settings, name) for name in settings.__struct_fields__)
        secrets = "\0".join(value.reveal() for value in values if isinstance(value, Secret))
        digest = hashlib.sha256(secrets.encode()).hexdigest()[:16] if secrets else "public"
        return f"{self.name}@{urlsplit(settings.url).netloc.rpartition('@')[2] or 'default'}/{digest}"

    def offers(self, channel: str) -> bool:
        """Whether this feed has the channel of that name: a venue's feeds may not all have the same."""
        return channel in self.channels

    @abstractmethod
    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        """The one topic that these words mean, in the venue's canonical form.

        Raises:
            LinewardenError: the channel, the key or an option is not one of this venue's.
        """

    @abstractmethod
    def endpoint(self, opening: Opening) -> Endpoint:
        """The address of this life's WebSocket. Called where `approach` returns None, and for the status."""

    def approach(self, opening: Opening) -> Conversation[Endpoint] | None:
        """What is asked over HTTP before each connect (SignalR's negotiate); None: `endpoint` says it all."""
        return None

    def needs_token(self, line: str) -> bool:
        """Whether this line shows a token at its connect. All lines of a feed share one."""
        return False

    def login(self, now_ns: int) -> Conversation[Token]:
        """How a token is got, over HTTP. Only called where a line needs one."""
        raise NotImplementedError
        yield  # a generator

    @abstractmethod
    def session(self, opening: Opening) -> Session:
        """A new session for one life of this line."""

    def given_token(self, text: str) -> Token:
        """A token that somebody has, as the venue reads it: where it says so, with its end."""
        return Token(Secret(text))

    def renew(self, token: Token, now_ns: int) -> Conversation[Token] | None:
        """How a token that is about to expire is exchanged for a new one; None: by a login."""
        return None

    def first_lines(self) -> tuple[str, ...]:
        """The lines that are there from the start, wanted or not."""
        return (self.feed,)

    def bounds(self, topic: Topic) -> Bounds:
        """What limits which other topics lie on the line of this one; never another answer for one topic."""
        return ()

    def place(self, topic: Topic, placed: Placement) -> str | Refusal:
        """The line on which this topic lies: where it is already, or the first one with room.

        `placed` holds the lines that have topics. Called for each topic that is added: it looks at no other.
        """
        return placed.line_of(topic) or placed.first_line(self.bounds(topic))

    def spread(self, topics: Iterable[Topic]) -> dict[str, list[Topic]]:
        """The lines that there are when just these are wanted, each with its topics in their order."""
        placed = Placement(self.feed, self.first_lines())
        for topic in topics:
            line = self.place(topic, placed)
            if not isinstance(line, Refusal):
                placed.add(topic, line, self.bounds(topic))
        return {line: list(topics) for line, topics in placed.items()}

    def words(self, event: Any) -> str:
        """One event in a few words for people; empty: its price, book or fields speak for it."""
        return ""

    # ── what its events say, for `runtime.latest` and `runtime.book` ──

    def price(self, event: Any) -> Price | None:
        """What an event of a price channel says; None: nothing."""
        return None

    def event_time_ns(self, event: Any) -> int | None:
        """When the venue says that this event happened, wall clock; None: it does not say."""
        return None

    def symbol(self, event: Any) -> str | None:
        """Whose price an event tells whose topic is of all symbols; None: it tells none."""
        price = self.price(event)
        return None if price is None else price.symbol

    def latest(self, key: str) -> Conversation[Price] | None:
        """How the newest quote and trade are asked for over HTTP; None: they cannot be."""
        return None

    def duplicate_key(self, topic: Topic, event: Any) -> Hashable | None:
        """What tells an event from others of its topic, while two connections both bear it.

        None: nothing does, so some of its events may come twice when a connection is rotated.
        """
        return None

    def starts_anew(self, topic: Topic, event: Any) -> bool:
        """Whether an event of a channel of deltas needs none of the events before it.

        A stream that comes late, or was cut, gets the last such event of its topic and the changes since. By
        default each event of a type in the channel's `whole` is one. An override may accept fewer, not more:
        it is not asked about a batch without an event of such a type. Called on the thread of the line.
        """
        return type(event) in self.channels[topic.channel].whole

    def book_update(self, event: Any) -> BookUpdate | None:
        """What an event of the book channel does to the book; None: nothing."""
        return None
