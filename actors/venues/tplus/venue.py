"""What tplus offers: its channels, their keys, its addresses, and a line for each topic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, ClassVar, cast
from urllib.parse import quote, urlsplit

from actors.protocol import (
    Bar,
    BarQuery,
    BookUpdate,
    Call,
    Channel,
    Conversation,
    Endpoint,
    Fatal,
    HttpRequest,
    LinewardenError,
    Opening,
    Option,
    Price,
    Print,
    RateLimit,
    Refusal,
    Retryable,
    Session,
    Token,
    Topic,
    TypedChannel,
    Variable,
    Venue,
    VenueSettings,
    amount,
    origin,
    settled,
)
from actors.venues.tplus import messages as m
from actors.venues.tplus.decoding import typed
from actors.venues.tplus.depth_session import DepthSession
from actors.venues.tplus.errors import KEY_ADVICE, refusal
from actors.venues.tplus.history import TplusRest
from actors.venues.tplus.ids import asset_id, asset_text, user_id
from actors.venues.tplus.login import key_of, login, public_key
from actors.venues.tplus.paths import STREAMS, line_of, topic_of
from actors.venues.tplus.session import TplusSession
from actors.venues.tplus.settings import MAX_LINES, Base, TplusSettings, services

ORDERS: TypedChannel[m.OrderEvent] = TypedChannel("tplus", "orders")
USER_TRADES: TypedChannel[m.UserTrade | m.Unknown] = TypedChannel("tplus", "user_trades")
USER_FINALIZED_TRADES: TypedChannel[m.UserTrade] = TypedChannel("tplus", "user_finalized_trades")
POSITIONS: TypedChannel[m.PositionUpdate] = TypedChannel("tplus", "positions")
ACCOUNT_EVENTS: TypedChannel[m.AccountEvent] = TypedChannel("tplus", "account_events")
ACCOUNT_STATS: TypedChannel[m.AccountStats] = TypedChannel("tplus", "account_stats")
INTENT: TypedChannel[m.Intent] = TypedChannel("tplus", "intent")
TRADES: TypedChannel[m.Trade] = TypedChannel("tplus", "trades")
MARKET_TRADES: TypedChannel[m.Trade] = TypedChannel("tplus", "market_trades")
TRADE_EVENTS: TypedChannel[m.Trade | m.Unknown] = TypedChannel("tplus", "trade_events")
MARKET_TRADE_EVENTS: TypedChannel[m.Trade | m.Unknown] = TypedChannel("tplus", "market_trade_events")
DEPTH: TypedChannel[m.DepthSnapshot | m.DepthChange] = TypedChannel("tplus", "depth")
KLINES: TypedChannel[m.Timebar] = TypedChannel("tplus", "klines")
TICKER: TypedChannel[m.Ticker] = TypedChannel("tplus", "ticker")
TICKERS: TypedChannel[m.Ticker] = TypedChannel("tplus", "tickers")

SNAPSHOT_TIMEOUT = 5.0  # seconds
_ASSET = "asset: its index (200), or address@chain in hexadecimal"
_OLD = " (unconfirmed: of older servers)"

_ticker = typed(m.Ticker)


PUBLIC_TRADES = (TRADES, MARKET_TRADES, TRADE_EVENTS, MARKET_TRADE_EVENTS)


_EVENTS = (
    (ORDERS, m.OrderEvent, "what happens to an account's orders; fills are user_trades"),
    (USER_TRADES, m.UserTrade | m.Unknown, "an account's fills: pending, then confirmed or rolled back"),
    (USER_FINALIZED_TRADES, m.UserTrade, "an account's fills, once they are confirmed"),
    (POSITIONS, m.PositionUpdate, "an account's positions, all of them each time"),
    (ACCOUNT_EVENTS, m.AccountEvent, "an account's deposits, withdrawals, transfers, margin calls"),
    (ACCOUNT_STATS, m.AccountStats, "an account's statistics" + _OLD),
    (INTENT, m.Intent, "what market makers mean to do; for market makers only"),
    (TRADES, m.Trade, "public trades of all markets, finalised"),
    (MARKET_TRADES, m.Trade, "public trades of one market, finalised" + _OLD),
    (TRADE_EVENTS, m.Trade | m.Unknown, "public trades of all markets as they evolve" + _OLD),
    (MARKET_TRADE_EVENTS, m.Trade | m.Unknown, "public trades of one market as they evolve" + _OLD),
    (DEPTH, m.DepthSnapshot | m.DepthChange, "the book: a snapshot, then changes to it"),
    (KLINES, m.Timebar, "bars; the newest is sent again while it is open"),
    (TICKER, m.Ticker, "prices and statistics of one market"),
    (TICKERS, m.Ticker, "the same of all markets, as they change"),
)
# Whether a stream begins with a welcome is not certain for each: silence counts as one. Not so for a book,
# which the snapshot confirms.
_CHANNELS = {
    name: Channel(
        name,
        event,
        about,
        key=_ASSET if STREAMS[name].keyed else "",
        acknowledged=name == DEPTH,
        deltas=name == DEPTH,
        whole=(m.DepthSnapshot,) if name == DEPTH else (),
        resyncable=name == DEPTH,
        account=STREAMS[name].oms and name != INTENT,
        private=name == INTENT,
        unique=name in (USER_TRADES, USER_FINALIZED_TRADES, *PUBLIC_TRADES),
    )
    for name, event, about in ((str(channel), event, about) for channel, event, about in _EVENTS)
}


class Tplus(Venue):
    """tplus (T+): a socket for each stream, and so a line for each topic.

    Keys in their canonical form, which is what the wire has: an asset is its index in the registry
    (`200`) or `<64 hexadecimal digits>@<18, or 16 at older servers>`, in lower case without `0x`;
    a shorter address is filled up with zeros at its end. The account's channels take no key:
    whose they are stands in the settings.
    """

    name: ClassVar[str] = "tplus"
    about: ClassVar[str] = "tplus (T+): books, trades, bars, tickers; an account's orders, fills, positions"
    simulator: ClassVar[str] = "actors.simulators.tplus:SimulatedTplus"
    Settings: ClassVar[type[VenueSettings]] = TplusSettings
    channels: ClassVar[Mapping[str, Channel]] = _CHANNELS
    limits: ClassVar[Mapping[str, str]] = {
        "topics": "one per connection",
        "connections": f"tplus names no limit; ours is max_lines, {MAX_LINES} unless set",
        "logins": "100 requests per address in 1800 s, two per login; a token serves 24 h",
    }
    # tpluspy has no variable of a key: programs on it keep that of an EVM wallet in TPLUS_PRIVATE_KEY, which
    # has 64 digits as well, and as a seed would be another account.
    variables: ClassVar[Mapping[str, Variable]] = {
        "TPLUS_SEED": Variable("the account's Ed25519 seed, 64 hexadecimal digits", "private_key"),
        "TPLUS_PASSWORD": Variable(
            "the password of a keystore", "keystore_password", "TPLUS", beside="keystore"
        ),
        "TPLUS_TOKEN": Variable("a token from elsewhere; also set user", "token"),
        **{
            f"TPLUS_{part}_BASE_URL": Variable("an address of tpluspy's", "network", is_address=True)
            for part in ("API", "ORDERBOOK", "MARKET_DATA")
        },
    }
    foreign_words: ClassVar[str] = "actors.venues.tplus.foreign_words:WORDS"
    book_channel: ClassVar[str] = "depth"
    # Bars are of one market. `trades`, which is certain to be there, is of all markets.
    tape_channel: ClassVar[str] = str(MARKET_TRADES)
    price_channels: ClassVar[frozenset[str]] = frozenset({"ticker", "tickers", "trades", "market_trades"})
    # In any half hour 40 logins, which are 80 requests of the 100: others may log in from this address.
    login_settings: ClassVar[frozenset[str] | None] = frozenset(
        {"url", "network", "user", "private_key", "token"}
    )
    login_budget: ClassVar[RateLimit] = RateLimit(10, 60.0)

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        """Raises: LinewardenError: the settings contradict each other, or a key is none."""
        super().__init__(feed, settings)
        self._own = own = cast(TplusSettings, settings)
        self._oms, self._mds = self._services(own)
        self._key = None
        if own.private_key is not None and own.token is not None:
            raise LinewardenError("private_key and token are both given; one of them is enough.")
        if own.private_key is not None:
            try:
                self._key = key_of(own.private_key)
            except ValueError as error:
                raise LinewardenError(f"private_key is no key: {error}.") from None
        self._user = self._whose(own.user)
        if own.token is not None and not self._user:
            raise LinewardenError("user is missing: a token is presented beside it.")

    # ── topics and lines ──

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        known = self.channel(channel)
        self.check_options(known, options)
        stream = STREAMS[known.name]
        if stream.oms and self._key is None and self._own.token is None:
            raise self.mistake(
                f"{known.name} needs a login. Add keystore and keystore_password to the feed, "
                'or private_key = "${TPLUS_SEED}", or user and token.'
            )
        if stream.keyed:
            return Topic(self.feed, known.name, self._asset(known.name, key))
        if key:
            hint = " Whose it is stands in the feed's settings." if stream.oms else ""
            near = get_close_matches(f"market_{known.name}", STREAMS, 1, 0.9)
            hint = f" Did you mean {near[0]!r}?" if near else hint
            raise self.mistake(f"{known.name} takes no key, and was given {key!r}.{hint}")
        return Topic(self.feed, known.name)

    def key_text(self, given: object) -> str | None:
        return asset_text(given)

    def first_lines(self) -> tuple[str, ...]:
        return ()

    def place(self, topic: Topic, placed: Mapping[str, Collection[Topic]]) -> str | Refusal:
        """A line of its own, while there may be one more."""
        line, most = line_of(topic), self._own.max_lines
        if line in placed or len(placed) < most:
            return line
        return Refusal(
            f"{self.feed} has its {most} lines, and each stream of tplus takes one; raise max_lines of the "
            "feed, or give up another topic"
        )

    def endpoint(self, opening: Opening) -> Endpoint:
        """Raises: ValueError: no topic has such a line."""
        topic = topic_of(opening.line)
        stream = STREAMS[topic.channel]
        path = stream.path.format(asset=quote(topic.key, safe="@"), user=self._user)
        token, base = opening.token, self._oms if stream.oms else self._mds
        headers = [("Origin", base.origin)]
        if stream.oms and token is not None:  # the market data service would not know it
            headers += [("Authorization", f"Bearer {token.value.reveal()}"), ("User-Id", self._user)]
        return Endpoint(f"{base.ws}{path}", tuple(headers))

    def session(self, opening: Opening) -> Session:
        """Raises: ValueError: no topic has such a line."""
        topic = topic_of(opening.line)
        stream = STREAMS[topic.channel]
        if topic.channel == DEPTH:
            request = self._get(f"/marketdepth/{topic.key}")
            return DepthSession(topic, stream, request, self._own.sequence)
        return TplusSession(topic, stream, with_token=stream.oms)

    # ── the login ──

    def needs_token(self, line: str) -> bool:
        """The market data service, which `rest` asks, needs none."""
        return line != self.feed and STREAMS[topic_of(line).channel].oms

    def login(self, now_ns: int) -> Conversation[Token]:
        """A given token is as good as a new one: where the venue refuses it, the line has failed.

        A stream that the account may not have, such as `intent` for one that is no market maker, costs
        one login more before its line fails: the handshake's 403 may be about the token as well.
        """
        if self._key is not None:
            return login(self._oms.http, self._user, self._key)
        if self._own.token is not None:
            return settled(Token(self._own.token))
        return settled(Fatal("no login is set for this feed", "tplus_login", KEY_ADVICE))

    # ── what events say ──

    def event_time_ns(self, event: Any) -> int | None:
        at_ns: int | None = getattr(event, "timestamp_ns", None)
        return at_ns

    def price(self, event: Any) -> Price | None:
        if type(event) is m.Ticker:
            return _of_ticker(event)
        if type(event) is m.Trade and event.status == "Confirmed":
            return Price(
                event.asset_id, last=event.price, last_size=event.quantity, traded_ns=event.timestamp_ns
            )
        return None

    def symbol(self, event: Any) -> str | None:
        if type(event) is m.Trade:
            return event.asset_id if event.status == "Confirmed" else None
        return event.asset_id if type(event) is m.Ticker else None

    def latest(self, key: str) -> Conversation[Price]:
        """Raises: LinewardenError: the key is no asset."""
        return _latest(self._get(f"/ticker/{self._asset('ticker', key)}"))

    def rest(self) -> TplusRest:
        return TplusRest(self._mds)

    def bars(self, query: BarQuery) -> Call[tuple[Bar, ...]] | None:
        """Seconds, minutes and hours; tplus' days, weeks and months are of its own making."""
        return self.rest().bars(self._asset("klines", query.key), query)

    def trade(self, event: Any) -> Print | None:
        """A trade that is final. One that is pending may be undone, and comes again with its status."""
        if type(event) is not m.Trade or event.status != "Confirmed":
            return None
        return Print(event.price, event.quantity, event.timestamp_ns, event.trade_id)

    def words(self, event: object) -> str:
        if not isinstance(event, m.UserTrade):
            return ""
        done = "bought" if event.is_buyer else "sold"
        return f"{event.asset_id}: {amount(event.quantity)} {done} at {event.price:,}, {event.status.lower()}"

    def duplicate_key(self, topic: Topic, event: object) -> tuple[str, int, str] | None:
        """A trade bears an id in its market, and comes again with it as its status changes."""
        if isinstance(event, m.Trade | m.UserTrade) and event.trade_id is not None:
            return event.asset_id, event.trade_id, event.status
        return None

    def book_update(self, event: Any) -> BookUpdate | None:
        if type(event) is m.DepthChange or type(event) is m.DepthSnapshot:
            return BookUpdate(
                [(level.price, level.quantity) for level in event.bids],
                [(level.price, level.quantity) for level in event.asks],
                whole=type(event) is m.DepthSnapshot,
                sequence=event.sequence,
            )
        return None

    # ── details ──

    def _services(self, own: TplusSettings) -> tuple[Base, Base]:
        parts = urlsplit(own.market_url)
        known = parts.scheme in ("ws", "wss", "http", "https") and parts.hostname and not parts.username
        if own.market_url and not known:
            raise LinewardenError(
                f"market_url is {origin(own.market_url)!r}; expected a URL that starts with "
                "wss:// or ws://, without a user name."
            )
        return services(own)

    def _whose(self, user: str) -> str:
        if user:
            id = user_id(user)
            if id is None:
                raise LinewardenError("user is an account's public key, 64 hexadecimal digits.")
            return id
        return public_key(self._key) if self._key is not None else ""

    def _asset(self, channel: str, key: str) -> str:
        id = asset_id(key)
        if id is None:
            what = repr(key) if key else "no key"
            raise self.mistake(
                f"{channel} takes an {_ASSET} (64 digits @ 18 digits), and was given {what}. "
                "tplus lists its markets at /markets."
            )
        return id

    def _get(self, path: str) -> HttpRequest:
        headers = (("Accept", "application/json"), ("Origin", self._mds.origin))
        return HttpRequest("GET", f"{self._mds.http}{path}", headers, timeout=SNAPSHOT_TIMEOUT)


def _latest(request: HttpRequest) -> Conversation[Price]:
    answer = yield request
    if answer.status != 200:
        return refusal(answer, "the ticker")
    try:
        ticker = _ticker(answer.body)
        return _of_ticker(ticker[0] if isinstance(ticker, list) else ticker)
    except Exception:
        return Retryable("tplus' ticker could not be read", "tplus_ticker")


def _of_ticker(ticker: m.Ticker) -> Price:
    return Price(
        ticker.asset_id,
        *_side(ticker.best_bid),
        *_side(ticker.best_ask),
        last=ticker.last_price,
        quoted_ns=ticker.timestamp_ns,
        traded_ns=ticker.timestamp_ns if ticker.last_price is not None else None,
        quotes=True,
    )


def _side(quote: m.Quote | None) -> tuple[Decimal | None, Decimal | None]:
    return (quote.price, quote.size) if quote is not None else (None, None)
