"""What Alpaca offers: its streams, their channels and symbols, its addresses.

One feed is one endpoint. Alpaca lets an account have one connection to an endpoint, offers other channels
at each, and counts symbols at each apart: so an endpoint is what a config names, what is live or is not,
and what a plan's limit is about. Stocks, crypto and the account are three feeds:

    [feeds.stocks]
    venue = "alpaca"
    stream = "iex"
    key = "${ALPACA_API_KEY}"
    secret = "${ALPACA_API_SECRET}"
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, cast
from urllib.parse import urlsplit

from msgspec import Meta

from actors.protocol import (
    Backfilled,
    Bar,
    BarQuery,
    BookUpdate,
    Call,
    Channel,
    Conversation,
    Endpoint,
    Loss,
    Opening,
    Option,
    Price,
    Print,
    RateLimit,
    Secret,
    SendRate,
    Session,
    Topic,
    Variable,
    Venue,
    VenueSettings,
    is_loopback,
)
from actors.venues.alpaca import messages as m
from actors.venues.alpaca.account_session import AccountSession
from actors.venues.alpaca.channels import BARS, CHANNELS, ORDERBOOKS, QUOTES, TRADES
from actors.venues.alpaca.codec import Encoding
from actors.venues.alpaca.endpoints import (
    STREAMS,
    TEST_SYMBOL,
    DataStream,
    Name,
    example,
    path_of,
    stream_of,
    symbol,
)
from actors.venues.alpaca.history import AlpacaRest, identity
from actors.venues.alpaca.latest import ask_latest, price_of
from actors.venues.alpaca.session import AlpacaSession

STREAM_HOST, STREAM_SANDBOX = "stream.data.alpaca.markets", "stream.data.sandbox.alpaca.markets"
DATA_HOST, DATA_SANDBOX = "data.alpaca.markets", "data.sandbox.alpaca.markets"
LIVE_HOST, PAPER_HOST = "api.alpaca.markets", "paper-api.alpaca.markets"


class AlpacaSettings(VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`stream` decides the protocol; where it is left out the path of `url` does, and else it is iex.

    `encoding` is JSON unless it is said, but for options, which have msgpack alone: a JSON number is the
    venue's own decimal text, where msgpack has a binary fraction, and it can be read where it is kept.
    `login` by message is what Alpaca documents first; by header, the handshake bears the keys as well.
    `connected` is no proof that they were taken, so the message follows it either way.
    """

    key: Annotated[Secret, Meta(description='text, such as "${ALPACA_API_KEY}"')]
    secret: Annotated[Secret, Meta(description='text, such as "${ALPACA_API_SECRET}"')]
    stream: Name | None = None
    sandbox: bool = False  # the broker sandbox's hosts, which know no others' keys
    paper: bool = True  # of the account stream alone
    encoding: Encoding | None = None
    login: Literal["message", "header"] = "message"
    data_url: str = ""  # of the REST part, for `latest`; empty: Alpaca's, or the simulator's

    def __post_init__(self) -> None:
        if self.stream is None and path_of(self.url) and stream_of(self.url) is None:
            raise ValueError(
                f"the path of url says nothing of the stream: add stream, one of {', '.join(STREAMS)}"
            )
        if self.kind == "options" and self.encoding == "json":
            raise ValueError('options come in msgpack alone: leave encoding out, or set it to "msgpack"')
        if self.kind == "account" and self.login == "header":
            raise ValueError("the account stream logs in by message alone: leave login out")
        if self.kind == "account" and self.sandbox:
            raise ValueError("the account stream has no sandbox: leave sandbox out, and set paper")
        if self.data_url and not self.data_url.startswith(("https://", "http://")):
            raise ValueError("data_url is a URL that starts with https:// or http://")

    @property
    def name(self) -> str:
        """The stream that is meant."""
        return self.stream or stream_of(self.url) or "iex"

    @property
    def kind(self) -> str:
        return STREAMS[self.name].kind

    @property
    def codec(self) -> Encoding:
        return self.encoding or ("msgpack" if self.kind == "options" else "json")


class Alpaca(Venue):
    """Alpaca's market data and account streams; see the module for what one feed is.

    Keys in their canonical form: symbols in upper case, `*` for all of a channel.
    """

    name: ClassVar[str] = "alpaca"
    about: ClassVar[str] = "Alpaca: stocks, crypto, options, news; an account's orders"
    simulator: ClassVar[str] = "actors.simulators.alpaca:SimulatedAlpaca"
    Settings: ClassVar[type[VenueSettings]] = AlpacaSettings
    channels: ClassVar[Mapping[str, Channel]] = CHANNELS
    send_rate: ClassVar[SendRate] = SendRate(batch=500)
    limits: ClassVar[Mapping[str, str]] = {
        "connections": "one per endpoint on most plans; a dead one may hold the place for about 90 s",
        "symbols": "Basic: 30 in trades and quotes of stocks, 200 option quotes; more by plan",
        "login": "within 10 s of the connect",
        "REST": "Basic: 200 requests per minute",
    }
    venue_states: ClassVar[Mapping[str, str]] = {
        "halted, open": "a symbol of stocks: by its trading status, while statuses is subscribed to",
    }
    # alpaca-py reads none: the names are of its examples, and of its forerunner alpaca-trade-api.
    variables: ClassVar[Mapping[str, Variable]] = {
        "ALPACA_API_KEY": Variable("the key's id", "key", "ALPACA"),
        "ALPACA_API_SECRET": Variable("the key's secret", "secret", "ALPACA"),
        "ALPACA_SECRET_KEY": Variable("the same, as alpaca-py's examples call it", "secret", "ALPACA"),
        "APCA_API_KEY_ID": Variable("the key's id, as alpaca-trade-api calls it", "key", "APCA"),
        "APCA_API_SECRET_KEY": Variable("the key's secret, likewise", "secret", "APCA"),
    }
    foreign_words: ClassVar[str] = "actors.venues.alpaca.foreign_words:WORDS"
    book_channel: ClassVar[str] = str(ORDERBOOKS)
    price_channels: ClassVar[frozenset[str]] = frozenset({str(TRADES), str(QUOTES)})
    # Corrections and cancellations come in channels of their own, and never in this one.
    tape_channel: ClassVar[str] = str(TRADES)
    latest_budget: ClassVar[RateLimit] = RateLimit(10, 0.7)  # of two requests each; Basic: 200 a minute

    @property
    def _own(self) -> AlpacaSettings:
        return cast(AlpacaSettings, self.settings)

    @property
    def _stream(self) -> DataStream:
        return STREAMS[self._own.name]

    def offers(self, channel: str) -> bool:
        return channel in self._stream.channels

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        known = self.channel(channel)
        if not self.offers(known.name):
            others = ", ".join(name for name, each in STREAMS.items() if known.name in each.channels)
            raise self.mistake(
                f"stream {self._own.name!r} has no {known.name}; streams that have: {others}. "
                f"It has: {', '.join(self._stream.channels)}."
            )
        self.check_options(known, options)
        return Topic(self.feed, known.name, self._symbol(known, key))

    def endpoint(self, opening: Opening) -> Endpoint:
        own = self._own
        headers: tuple[tuple[str, str], ...] = ()
        if own.codec == "msgpack":
            headers = (("Content-Type", "application/msgpack"),)
        if own.login == "header":
            headers += self._keys()
        return Endpoint(self._url(), headers)

    def session(self, opening: Opening) -> Session:
        own = self._own
        if own.kind == "account":
            return AccountSession(own.key, own.secret, encoding=own.codec)
        return AlpacaSession(own.key, own.secret, encoding=own.codec)

    def price(self, event: Any) -> Price | None:
        return price_of(event) if isinstance(event, (m.Quote, m.Trade)) else None

    def event_time_ns(self, event: Any) -> int | None:
        """A bar's time is its beginning, which says nothing of when it was made."""
        if isinstance(event, m.Bar) or not isinstance(event, m.Stamped | m.News):
            return None
        try:
            return event.ts_ns
        except ValueError:
            return None

    def latest(self, key: str) -> Conversation[Price] | None:
        stream = self._stream
        found = symbol(stream.kind, key) if stream.place else None
        if found is None or found == "*":
            return None
        return ask_latest(self._data_url(), stream, found, self._keys())

    # ── history ──

    def rest(self) -> AlpacaRest | None:
        stream = self._stream
        return AlpacaRest(self._data_url(), stream, self._keys()) if stream.history else None

    def bars(self, query: BarQuery) -> Call[tuple[Bar, ...]] | None:
        rest = self.rest()
        return None if rest is None or query.key == "*" else rest.bars(query)

    def backfill(self, topic: Topic, loss: Loss) -> Call[Backfilled] | None:
        """Of one symbol: the history cannot be asked for all of them."""
        rest = self.rest()
        if rest is None or topic.key == "*" or topic.channel not in {str(TRADES), str(BARS)}:
            return None
        return rest.backfill(topic, loss)

    def trade(self, event: Any) -> Print | None:
        """Each print counts, whatever its conditions; Alpaca's own bars leave some out."""
        if type(event) is not m.Trade or not event.price.is_finite():
            return None
        at_ns = self.event_time_ns(event)
        if at_ns is None:
            return None
        return Print(event.price, Decimal(event.size), at_ns, identity(event))

    def duplicate_key(self, topic: Topic, event: Any) -> Hashable | None:
        """A trade by its id, its price and its time; a bar by its minute."""
        return identity(event)

    def joins_history(self, topic: Topic, event: Any) -> bool:
        """Not a trade without an id."""
        return identity(event) is not None

    def starts_anew(self, topic: Topic, event: Any) -> bool:
        """A reset is of one symbol: it leaves the other books of a topic of all symbols as they are."""
        return isinstance(event, m.OrderBook) and event.reset is True and topic.key != "*"

    def book_update(self, event: Any) -> BookUpdate | None:
        if not isinstance(event, m.OrderBook):
            return None
        bids = [(level.price, level.quantity) for level in event.bids]
        asks = [(level.price, level.quantity) for level in event.asks]
        return BookUpdate(bids, asks, whole=bool(event.reset), at_ns=self.event_time_ns(event))

    # ── symbols ──

    def _symbol(self, channel: Channel, key: str) -> str:
        kind = self._stream.kind
        if not channel.key:
            if key:
                raise self.mistake(f"{channel.name} takes no key, and was given {key!r}.")
            return ""
        found = symbol(kind, key)
        if found is None:
            given = repr(key) if key.strip() else "no key"
            raise self.mistake(f"{channel.name} takes {example(kind)}, or * for all, and was given {given}.")
        if found == "*" and kind == "options" and channel.name == "quotes":
            raise self.mistake("Alpaca has no * for the quotes of options: name contracts.")
        if self._own.name == "test" and found not in {TEST_SYMBOL, "*"}:
            raise self.mistake(f"the test stream has one symbol, {TEST_SYMBOL}; {found!r} stays silent.")
        return found

    # ── addresses ──

    def _url(self) -> str:
        own = self._own
        if own.url:
            bare, mark, query = own.url.partition("?")
            return own.url if path_of(own.url) else bare.rstrip("/") + self._stream.path + mark + query
        if own.kind == "account":
            host = PAPER_HOST if own.paper else LIVE_HOST
        else:
            host = STREAM_SANDBOX if own.sandbox else STREAM_HOST
        return f"wss://{host}{self._stream.path}"

    def _data_url(self) -> str:
        own = self._own
        if own.data_url:
            return own.data_url.rstrip("/")
        parts = urlsplit(own.url)
        if is_loopback(parts.hostname or ""):  # a simulator: it has a REST part at the same port
            return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"
        return f"https://{DATA_SANDBOX if own.sandbox else DATA_HOST}"

    def _keys(self) -> tuple[tuple[str, str], ...]:
        own = self._own
        return (("APCA-API-KEY-ID", own.key.reveal()), ("APCA-API-SECRET-KEY", own.secret.reveal()))
