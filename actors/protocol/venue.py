"""What a venue declares: its channels, where its topics lie, and how to speak to it."""

from __future__ import annotations

import hashlib
import traceback
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any, ClassVar, Self, cast
from urllib.parse import urlsplit

from msgspec import Struct

from actors.errors import LinewardenError
from actors.events import Option, Topic
from actors.http_types import Endpoint
from actors.lazy import imported
from actors.protocol.accounts import AccountRow
from actors.protocol.backfill import Backfilled, Loss
from actors.protocol.bars import Bar, BarQuery, Print
from actors.protocol.channel import TypedChannel
from actors.protocol.conversation import Conversation, Token
from actors.protocol.foreign_words import ForeignWords, Kind, meaning
from actors.protocol.formatting import suggestion
from actors.protocol.limits import RateLimit, SendRate
from actors.protocol.placement import Bound, Bounds, Placement
from actors.protocol.prices import BookUpdate, Price
from actors.protocol.rest import Call, RestApi
from actors.protocol.session import Session
from actors.protocol.trading import TradingApi
from actors.protocol.variables import Variable
from actors.secret import RedactedStruct, Secret, Shown, origin


class Channel(Struct, frozen=True):
    """One kind of event of a venue, as a user subscribes to it. New fields have defaults."""

    name: str
    event: Any  # the type, or union of types, of its events
    about: str  # one line for people
    key: str = ""  # what a key is ("market id"); empty: the channel takes none
    options: Mapping[str, str] = {}  # name: what it is, with the values it takes
    acknowledged: bool = True  # the venue answers every subscription; else silence counts as a confirmation
    deltas: bool = False  # an event is a change to what earlier ones built
    whole: tuple[type, ...] = ()  # of deltas: types of events that may start a topic, see `starts_anew`
    resyncable: bool = False  # `Session.resync` makes the venue send a topic of this channel from the start
    account: bool = False  # of an account: by default no event is dropped
    unique: bool = False  # `duplicate_key` identifies its events: a rotation delivers none twice
    backfill: bool = False  # `Venue.backfill` may be asked for the events of a loss
    private: bool = False  # not public, although it is no `account` channel and events may be dropped

    @property
    def is_public(self) -> bool:
        """Whether its keys and events say nothing of an account."""
        return not (self.account or self.private)


class Opening(Struct, frozen=True):
    """What a venue is given for one connection of a line. New fields have defaults."""

    line: str  # its name, as `place` returns it
    token: Token | None = None  # from `login`, where the line needs one; `session` has none yet

    @property
    def secret(self) -> Secret | None:
        """The token's value, if there is a token."""
        return None if self.token is None else self.token.value


class Refusal(Struct, frozen=True):
    """No line can take this topic now; `reason` is shown to people.

    The refused topics of a feed wait in the order in which they were wanted. When another topic is removed,
    the first is placed again, and the next one after it until one is refused.
    """

    reason: str


class VenueSettings(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[feeds.NAME]` table that belong to its venue. A venue's subclass adds its own.

    Types, bounds (`msgspec.Meta`) and defaults are checked when a config is read; a `ValueError` of
    `__post_init__` becomes a mistake of the config. Its repr shows no `Secret` and no path of a URL.
    """

    url: str = ""  # the WebSocket endpoint; empty: the venue's public one

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Returns the settings of these keys, which have been checked one by one.

        A venue overrides it if a key only leads to another one, as a key file does to the key in it.

        Raises:
            LinewardenError: they cannot work together; the message becomes a mistake of the config.
        """
        return cls(**given)

    def shown(self) -> Shown:
        """Yields the fields for the repr. A URL is shortened to its origin: its path may hold a token."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            yield name, origin(value) if isinstance(value, str) and "://" in value else value


class Venue(ABC):
    """The protocol of a feed. Immutable: one object serves all lines of its feed, and any thread.

    No method blocks, reads a clock or opens a socket. Only `topic`, `endpoint` and `session` must be written.
    An exception in `price`, `event_time_ns` or `book_update` costs what that event says, never the line.
    """

    name: ClassVar[str]  # in configs
    about: ClassVar[str]  # one line for people
    Settings: ClassVar[type[VenueSettings]] = VenueSettings
    channels: ClassVar[Mapping[str, Channel]]  # by name
    hub_urls: ClassVar[bool] = False  # a config may write `url` as hubs are documented: https://…
    has_constants: ClassVar[bool] = True  # a `TypedChannel` may name a channel; not so for a table's
    simulator: ClassVar[str] = ""  # what `url = "sim://NAME"` starts, as `module:Class`; empty: nothing
    requests: ClassVar[str] = ""  # what `runtime.ask` returns, as `module:Class`; empty: it cannot be asked
    send_rate: ClassVar[SendRate] = SendRate()
    ping_interval: ClassVar[float] = 0.0  # seconds between calls of `Session.ping`; 0: the venue needs none
    limits: ClassVar[Mapping[str, str]] = {}  # for people: the name of a limit and its value
    venue_states: ClassVar[Mapping[str, str]] = {}  # for people: what it tells of itself, and by what
    variables: ClassVar[Mapping[str, Variable]] = {}  # environment variables and what they hold
    foreign_words: ClassVar[str] = ""  # a tuple of `ForeignWords`, as `module:NAME`; empty: none
    book_channel: ClassVar[str] = ""  # whose events make an order book; empty: none
    price_channels: ClassVar[frozenset[str]] = frozenset()  # whose events hold prices
    tape_channel: ClassVar[str] = ""  # whose events are the trades that bars are made of; empty: none
    account_channels: ClassVar[tuple[str, ...]] = ()  # whose events tell what an account has; empty: none
    connect_rate: ClassVar[RateLimit] = RateLimit(1, 0.0)  # of all lines of one account; 0.0: no limit
    login_budget: ClassVar[RateLimit] = RateLimit(10, 45.0)  # of `login` and `renew`
    login_settings: ClassVar[frozenset[str] | None] = None  # keys that its token depends on; None: all
    latest_budget: ClassVar[RateLimit] = RateLimit(10, 0.5)  # of conversations of `latest`

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        """Checks the settings that only the venue can check.

        Raises:
            LinewardenError: they cannot work; the message becomes a mistake of the config.
        """
        self.feed = feed
        self.settings = settings

    def mistake(self, text: str) -> LinewardenError:
        """Returns an error about a topic or setting of this feed, whose name its message begins with."""
        return LinewardenError(f"{self.feed}: {text}")

    @classmethod
    def sdk_words(cls) -> tuple[ForeignWords, ...]:
        """Returns the words of the SDKs of this venue. Their module is imported at the first call."""
        return cast(tuple[ForeignWords, ...], imported(cls.foreign_words)) if cls.foreign_words else ()

    @classmethod
    def hint(cls, word: str, kind: Kind, known: Collection[str]) -> str:
        """Returns the end of a sentence about an unknown word: its meaning in an SDK, or the nearest name."""
        told = meaning(word, kind, cls.sdk_words())
        return f"{told}." if told else suggestion(word, known)

    def channel(self, name: str | TypedChannel[Any]) -> Channel:
        """Returns the channel of that name, or of that constant.

        Raises:
            LinewardenError: it does not exist; the message has the nearest name. Or the constant is of
                another venue; the message says what to write.
        """
        if isinstance(name, TypedChannel) and not self._is_of(name.venue):
            raise self.mistake(self._misfit(name))
        name = str(name)
        if name in self.channels:
            return self.channels[name]
        known = ", ".join(sorted(self.channels))
        hint = self.hint(name, "channels", self.channels)
        raise self.mistake(f"venue {self.name!r} has no channel {name!r}{hint} It has: {known}.")

    def _is_of(self, venue: str) -> bool:
        """Returns whether its class is the one of that name, or extends it."""
        names = (getattr(each, "name", None) for each in type(self).__mro__)
        return self.has_constants and venue in names

    def _misfit(self, channel: TypedChannel[Any]) -> str:
        own = f"venue {self.name!r}" if self.has_constants else f"the table {self.name!r}"
        text = f"this constant is for {channel.name!r} of venue {channel.venue!r}, and the feed is of {own}. "
        if channel.name not in self.channels:
            return f"{text}It has: {', '.join(sorted(self.channels))}."
        constant = f", or the constant of {own}" if self.has_constants else ""
        return f"{text}Write {channel.name!r}{constant}."

    def check_options(self, channel: Channel, given: Iterable[str]) -> None:
        """Checks the names of the options that a user gave for a topic of this channel.

        Raises:
            LinewardenError: the channel has no such option; the message has the nearest name.
        """
        for name in given:
            if name not in channel.options:
                hint = self.hint(name, "options", channel.options)
                takes = ", ".join(channel.options) or "none"
                raise self.mistake(f"{channel.name} has no option {name!r}{hint} It takes: {takes}.")

    def check_value(self, channel: str, option: str, value: Option, known: Collection[str]) -> None:
        """Checks the value that a user gave for an option; `known` are the values as text.

        Raises:
            LinewardenError: there is no such value; the message has the nearest one.
        """
        if str(value) not in known:
            hint = suggestion(str(value), known)
            raise self.mistake(
                f"{option} of {channel} is one of {', '.join(known)}, not {str(value)!r}{hint}"
            )

    def account(self) -> str:
        """Returns a name for the account at the venue: feeds with the same name share limits and cool-downs.

        It holds no secret. By default it depends on the host and on the secrets of the settings.
        """
        settings = self.settings
        values = (getattr(settings, name) for name in settings.__struct_fields__)
        secrets = "\0".join(value.reveal() for value in values if isinstance(value, Secret))
        digest = (
            hashlib.sha256(secrets.encode("utf-8", "surrogatepass")).hexdigest()[:16] if secrets else "public"
        )
        return f"{self.name}@{urlsplit(settings.url).netloc.rpartition('@')[2] or 'default'}/{digest}"

    def offers(self, channel: str) -> bool:
        """Returns whether this feed has the channel: the feeds of a venue need not all have the same."""
        return channel in self.channels

    @abstractmethod
    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        """Returns the topic, its key and options in the venue's one spelling.

        Equal subscriptions must give equal topics. Called on the threads of users.

        Raises:
            LinewardenError: the channel, the key or an option does not exist.
        """

    def key_text(self, given: object) -> str | None:
        """Returns the text of a key that a program gave as neither text nor an integer; None: it is no key.

        For venues that write keys as mappings, or whose SDK has a type for them. Called with anything.
        """
        return None

    # ── connecting ──

    @abstractmethod
    def endpoint(self, opening: Opening) -> Endpoint:
        """Returns the address of the WebSocket. Used where `approach` returns None, and for the status."""

    def approach(self, opening: Opening) -> Conversation[Endpoint] | None:
        """Returns the conversation that finds the address before each connect; None: `endpoint` has it."""
        return None

    @abstractmethod
    def session(self, opening: Opening) -> Session:
        """Returns a new session, for one connection of the line."""

    def needs_token(self, line: str) -> bool:
        """Returns whether this line presents a token when it connects. All lines of a feed share one."""
        return False

    def missing_login(self) -> str:
        """Returns what a feed without a login is to add; empty: it has one, or can do without.

        The sentence becomes a mistake of the config. It names the keys, and their environment variables.
        """
        return ""

    def login(self, now_ns: int) -> Conversation[Token]:
        """Returns the HTTP conversation that gets a token. Called only where a line needs one.

        `now_ns`: wall clock, nanoseconds.
        """
        raise NotImplementedError
        yield  # a generator

    def given_token(self, text: str) -> Token:
        """Returns a token that a user supplied, with its expiry where it contains one.

        Raises:
            LinewardenError: the text cannot be a token.
        """
        return Token(Secret(text))

    def renew(self, token: Token, now_ns: int) -> Conversation[Token] | None:
        """Returns the conversation that exchanges a token before it expires; None: `login` gets a new one."""
        return None

    # ── lines ──

    def first_lines(self) -> tuple[str, ...]:
        """Returns the lines that exist from the start, also without topics."""
        return (self.feed,)

    def bounds(self, topic: Topic) -> Bounds:
        """Returns what limits the topics on the line of this one. The result for a topic never changes."""
        return ()

    def place(self, topic: Topic, placed: Placement) -> str | Refusal:
        """Returns the line for this topic: the one on which it lies, or the first with room.

        `placed` has the lines with topics. Called for each topic that is added, so it must not search through
        the others. A venue whose lines have names of their own, such as `feed/depth-200`, overrides it.
        """
        return placed.line_of(topic) or placed.first_line(self.bounds(topic))

    def placed(self, topic: Topic, placed: Placement) -> tuple[str, Bounds] | Refusal:
        """Returns the line and the bounds of a topic. A defect of `place` or `bounds` refuses it."""
        name = type(self).__name__
        try:
            line, bounds = self.place(topic, placed), self.bounds(topic)
            if isinstance(line, Refusal):
                return line
            hash(bounds)
        except Exception as error:
            *_, frame = traceback.extract_tb(error.__traceback__)
            why = f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
            return Refusal(f"place or bounds of {name} failed: {why}")
        if not isinstance(line, str) or line.partition("/")[0] != self.feed:
            return Refusal(f"{name}.place returned {line!r}, which is no line of feed {self.feed!r}")
        if not (isinstance(bounds, tuple) and all(isinstance(each, Bound) for each in bounds)):
            return Refusal(f"{name}.bounds returned {bounds!r}, which is no tuple of Bound")
        return line, bounds

    def spread(self, topics: Iterable[Topic]) -> dict[str, list[Topic]]:
        """Returns the lines for these topics, each with its topics in order; refused ones are left out."""
        placed = Placement(self.feed, self.first_lines())
        for topic in topics:
            found = self.placed(topic, placed)
            if not isinstance(found, Refusal):
                placed.add(topic, *found)
        return {line: list(topics) for line, topics in placed.items()}

    # ── what its events say ──

    def words(self, event: Any) -> str:
        """Returns the event in a few words for people; empty: its price, book or fields are shown."""
        return ""

    def price(self, event: Any) -> Price | None:
        """Returns the prices in an event of a price channel; None: none. Called on the threads of users."""
        return None

    def event_time_ns(self, event: Any) -> int | None:
        """Returns the venue's time of an event: wall clock, nanoseconds; None: it has none."""
        return None

    def symbol(self, event: Any) -> str | None:
        """Returns the symbol of an event whose topic is of all symbols; None: it has none."""
        price = self.price(event)
        return None if price is None else price.symbol

    def latest(self, key: str) -> Conversation[Price] | None:
        """Returns the HTTP conversation for the newest quote and trade of a key; None: the venue has none."""
        return None

    def trading(self) -> TradingApi | None:
        """Returns the requests of this feed to the venue's REST; None: it has none."""
        return None

    def rest(self) -> RestApi | None:
        """Returns how the venue's REST may be asked for bars and the events of a loss; None: it has none."""
        return self.trading()

    def bars(self, query: BarQuery) -> Call[tuple[Bar, ...]] | None:
        """Returns the read of these bars, oldest first, each once, finished ones only; None: it has no such.

        It asks page by page. A timeframe that the venue builds in another way (days that are no sessions) is
        one that it does not have.
        """
        return None

    def trade(self, event: Any) -> Print | None:
        """Returns the trade in an event of the tape channel; None: it is none. Called on any thread."""
        return None

    def account_row(self, event: Any) -> AccountRow | None:
        """Returns what an event of an account channel tells; None: nothing of the account view."""
        return None

    def backfill(self, topic: Topic, loss: Loss) -> Call[Backfilled] | None:
        """Returns the read of the events of a loss, for a channel with `backfill`; None: it cannot be asked.

        It is asked when the topic is restored, and may be asked again when the first event after the loss has
        come. Called on the thread of the line.
        """
        return None

    def duplicate_key(self, topic: Topic, event: Any) -> Hashable | None:
        """Returns what identifies an event among those of its topic on two connections at once.

        None: nothing does, so a rotation may deliver some events twice. Called on the thread of the line.
        """
        return None

    def joins_history(self, topic: Topic, event: Any) -> bool:
        """Returns whether the venue's list of a channel with `backfill` has this event where it came.

        False: it changes an earlier event, whose place it has there. Such an event bounds no loss. Called on
        the thread of the line.
        """
        return True

    def starts_anew(self, topic: Topic, event: Any) -> bool:
        """Returns whether an event of a channel of deltas needs none of the events before it.

        A stream that comes late, or was cut, gets the last such event of its topic and the changes since. By
        default each event of a type in the channel's `whole` is one. An override may accept fewer, not more:
        it is not asked about a batch without an event of such a type. Called on the thread of the line.
        """
        return type(event) in self.channels[topic.channel].whole

    def book_update(self, event: Any) -> BookUpdate | None:
        """Returns the change that an event of the book channel makes to the book; None: none."""
        return None
