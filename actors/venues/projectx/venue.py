"""What ProjectX offers: its channels, their keys, its addresses, and a line for each of its hubs."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping
from typing import Any, ClassVar, cast

from actors.protocol import (
    AccountRow,
    Backfilled,
    Bar,
    BarQuery,
    BookUpdate,
    Call,
    Channel,
    Conversation,
    Endpoint,
    FrameLimit,
    Loss,
    Opening,
    Option,
    Price,
    Print,
    RateLimit,
    SendRate,
    Session,
    Token,
    Topic,
    TypedChannel,
    Variable,
    Venue,
    VenueSettings,
)
from actors.protocol.signalr import PING_INTERVAL, hub_endpoint, negotiate
from actors.venues.projectx import messages as m
from actors.venues.projectx.hub_methods import STREAMS
from actors.venues.projectx.login import MISSING_LOGIN, given, log_in, no_login, renew, token_of
from actors.venues.projectx.market_session import MarketSession
from actors.venues.projectx.platforms import Hub
from actors.venues.projectx.rest import ProjectXApi
from actors.venues.projectx.rest.account_rows import row_of
from actors.venues.projectx.settings import ProjectXSettings
from actors.venues.projectx.user_session import UserSession

# `trades` is the market's, as at other venues; an account's own are another thing, with another name.
ACCOUNTS: TypedChannel[m.Account] = TypedChannel("projectx", "accounts")
POSITIONS: TypedChannel[m.Position] = TypedChannel("projectx", "positions")
ORDERS: TypedChannel[m.Order] = TypedChannel("projectx", "orders")
ACCOUNT_TRADES: TypedChannel[m.AccountTrade] = TypedChannel("projectx", "account_trades")
QUOTES: TypedChannel[m.Quote] = TypedChannel("projectx", "quotes")
TRADES: TypedChannel[m.Trade] = TypedChannel("projectx", "trades")
DEPTH: TypedChannel[m.Depth | m.DepthReset] = TypedChannel("projectx", "depth")

USER: Hub = "user"
MARKET: Hub = "market"

_ACCOUNT = "id of an account, a number"
_CONTRACT = "full id of a contract, such as CON.F.US.EP.Z26"
# The gateway's ids are in upper case, and apart from their first word they are taken as they are.
_CONTRACT_ID = re.compile(r"CON(\.[A-Z0-9_+-]+){2,}", re.ASCII)
_ACCOUNT_ID = re.compile(r"[0-9]{1,18}", re.ASCII)


# Only fills have back-fill. Lists have accounts, positions and orders as they are now, and not what became of
# them on the way: the account view reads these. Prints of the market have no id to join them by.
_CHANNELS = (
    Channel(str(ACCOUNTS), m.Account, "accounts: balance, and whether they may trade", account=True),
    Channel(str(POSITIONS), m.Position, "an account's positions", key=_ACCOUNT, account=True),
    Channel(str(ORDERS), m.Order, "the life of an account's orders", key=_ACCOUNT, account=True, unique=True),
    Channel(
        str(ACCOUNT_TRADES),
        m.AccountTrade,
        "an account's fills",
        key=_ACCOUNT,
        account=True,
        unique=True,
        backfill=True,
    ),
    Channel(str(QUOTES), m.Quote, "best bid and ask, the day's prices: whole each time", key=_CONTRACT),
    Channel(str(TRADES), m.Trade, "prints of the market", key=_CONTRACT),
    Channel(
        str(DEPTH),
        m.Depth | m.DepthReset,
        "the book: changes, and resets",
        key=_CONTRACT,
        deltas=True,
        whole=(m.DepthReset,),
        resyncable=True,
    ),
)


class ProjectX(Venue):
    """ProjectX, as TopstepX and other firms have it: a hub for accounts, a hub for the market.

    Each hub is a line, `NAME/user` and `NAME/market`, and both are there from the start. Keys: an
    account's id in decimal digits, a contract's id in upper case; `accounts` takes none, and tells of all
    that the login may see.
    """

    name: ClassVar[str] = "projectx"
    about: ClassVar[str] = "ProjectX (TopstepX): quotes, trades, depth; an account's orders, positions, fills"
    hub_urls: ClassVar[bool] = True
    simulator: ClassVar[str] = "actors.simulators.projectx:SimulatedProjectX"
    requests: ClassVar[str] = "actors.trading.projectx_requests:ProjectXRequests"
    Settings: ClassVar[type[VenueSettings]] = ProjectXSettings
    channels: ClassVar[Mapping[str, Channel]] = {channel.name: channel for channel in _CHANNELS}
    # A guess: the gateway names no limit of calls.
    send_rate: ClassVar[SendRate] = SendRate(batch=5, frames=(FrameLimit(25, 1.0),))
    ping_interval: ClassVar[float] = PING_INTERVAL
    limits: ClassVar[Mapping[str, str]] = {
        "hubs": "ProjectX names no limit of connections, subscriptions or calls; ours is 25 calls per second",
        "REST": "200 requests in 60 s, logins among them; bars 30 in 30 s apart from these",
        "token": "24 h, then it is renewed, or a login gets a new one",
    }
    # As project-x-py reads them, in all of its versions.
    variables: ClassVar[Mapping[str, Variable]] = {
        "PROJECT_X_USERNAME": Variable("the platform's user name", "user_name", "PROJECT_X"),
        "PROJECT_X_API_KEY": Variable("the key", "api_key", "PROJECT_X"),
        **{
            f"PROJECTX_{part}_URL": Variable("an address of project-x-py's", "platform", is_address=True)
            for part in ("API", "USER_HUB", "MARKET_HUB")
        },
    }
    foreign_words: ClassVar[str] = "actors.venues.projectx.foreign_words:WORDS"
    book_channel: ClassVar[str] = str(DEPTH)
    tape_channel: ClassVar[str] = str(TRADES)
    price_channels: ClassVar[frozenset[str]] = frozenset({str(QUOTES), str(TRADES)})
    account_channels: ClassVar[tuple[str, ...]] = (
        str(ORDERS),
        str(POSITIONS),
        str(ACCOUNT_TRADES),
        str(ACCOUNTS),
    )
    # In any minute 12 logins, of the 200 requests that programs with the same key share.
    login_settings: ClassVar[frozenset[str] | None] = frozenset(
        {"url", "platform", "api_url", "user_name", "api_key", "token"}
    )
    login_budget: ClassVar[RateLimit] = RateLimit(10, 30.0)

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        super().__init__(feed, settings)
        self._own = own = cast(ProjectXSettings, settings)
        self._places = own.places
        bars = FrameLimit.parse(own.bars_rate)
        self._api = ProjectXApi(own.places.rest, live=own.live_data, bars_limit=bars)

    # ── topics and lines ──

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        known = self.channel(channel)
        for name in options:
            hint = self.hint(name, "options", ())
            raise self.mistake(f"{known.name} has no option {name!r}{hint} It takes none.")
        return Topic(self.feed, known.name, self._key(known, key))

    def first_lines(self) -> tuple[str, ...]:
        return self._line(USER), self._line(MARKET)

    def place(self, topic: Topic, placed: Mapping[str, Collection[Topic]]) -> str:
        return self._line(STREAMS[topic.channel].hub)

    def session(self, opening: Opening) -> Session:
        """Raises: ValueError: there is no such line."""
        if self._hub(opening.line) == USER:
            return UserSession(self.feed)
        return MarketSession(self.feed, self._own.depth_begins)

    # ── the way in ──

    def needs_token(self, line: str) -> bool:
        return True

    def missing_login(self) -> str:
        return "" if self._own.api_key or self._own.token else MISSING_LOGIN

    def login(self, now_ns: int) -> Conversation[Token]:
        own = self._own
        if own.token:
            return given(own.token, now_ns)
        if not own.api_key:
            return no_login()
        return log_in(self._places.rest, own.user_name.strip(), own.api_key)

    def given_token(self, text: str) -> Token:
        """Raises: LinewardenError: it is none."""
        token = token_of(text.strip())
        if token is None:
            raise self.mistake("what was given is no token: empty, or with signs that none has")
        return token

    def renew(self, token: Token, now_ns: int) -> Conversation[Token]:
        """By the token while it lasts, or else by a login, where there is a key for one."""
        return renew(self._places.rest, token, self.login(now_ns) if self._own.api_key else None)

    def approach(self, opening: Opening) -> Conversation[Endpoint]:
        """Negotiates before each connect, unless the settings skip it."""
        own = self._own
        return negotiate(
            self._hub_url(opening), opening.secret, place=own.token_in, skip=own.skip_negotiation
        )

    def endpoint(self, opening: Opening) -> Endpoint:
        """Where the hub is, without asking it first."""
        return hub_endpoint(self._hub_url(opening), opening.secret, place=self._own.token_in)

    def _hub_url(self, opening: Opening) -> str:
        return self._places.user if self._hub(opening.line) == USER else self._places.market

    # ── orders and requests ──

    def trading(self) -> ProjectXApi:
        return self._api

    def bars(self, query: BarQuery) -> Call[tuple[Bar, ...]] | None:
        """Seconds, minutes and hours. Days, weeks and months of the gateway are no sessions."""
        return self._api.finished_bars(query)

    def backfill(self, topic: Topic, loss: Loss) -> Call[Backfilled] | None:
        """Of fills alone."""
        return self._api.lost_fills(int(topic.key), loss) if topic.channel == ACCOUNT_TRADES else None

    # ── what events say ──

    def trade(self, event: Any) -> Print | None:
        """The gateway gives a trade no number, and takes none back."""
        if type(event) is not m.Trade or event.at_ns is None or event.volume is None:
            return None
        return Print(event.price, event.volume, event.at_ns)

    def event_time_ns(self, event: Any) -> int | None:
        match event:
            case m.Trade() | m.Depth():
                return event.at_ns
            case m.Quote() | m.Order():
                return event.updated_ns
            case m.AccountTrade():
                return event.created_ns
        return None

    def account_row(self, event: Any) -> AccountRow | None:
        """`accounts` has no key: its rows say of which account of the login they are."""
        return row_of(event)

    def price(self, event: Any) -> Price | None:
        """A quote's last price counts where the message told it: what was known before has no time."""
        if type(event) is m.Trade:
            return Price(event.contract_id, last=event.price, last_size=event.volume, traded_ns=event.at_ns)
        if type(event) is not m.Quote:
            return None
        at_ns = event.updated_ns
        last = event.last_price if "last_price" in event.changed else None
        return Price(
            event.contract_id,
            bid=event.best_bid,
            ask=event.best_ask,
            last=last,
            quoted_ns=at_ns,
            traded_ns=at_ns if last is not None else None,
        )

    def words(self, event: object) -> str:
        if not isinstance(event, m.Order):
            return ""
        side = event.side.name.lower() if event.side is not None else "order"
        price = "the market" if event.limit_price is None else f"{event.limit_price:,}"
        status = event.status.name.lower() if event.status is not None else "unknown"
        return f"{side} {event.fill_volume or 0} of {event.size or 0} at {price}, {status}"

    def book_update(self, event: Any) -> BookUpdate | None:
        """The rule was observed by clients, and is not documented: bids and asks of any kind set their
        level, a volume of 0 takes it away, a reset empties the book.
        """
        if type(event) is m.DepthReset:
            # Of two words about one level the later one counts.
            return BookUpdate(*self._sides(event.entries), whole=True, at_ns=event.at_ns)
        if type(event) is m.Depth and (event.is_bid or event.is_ask):
            return BookUpdate(*self._sides((event,)), at_ns=event.at_ns)
        return None

    def duplicate_key(self, topic: Topic, event: Any) -> Hashable | None:
        """A fill has an id, and comes again with it if it is voided; lists tell more of it than the hub does.

        An order says all there is to say of it, so an equal one is the same one. No other channel has such a
        thing. Positions and accounts have an id, but no time of their change, and may come back to what they
        were; the market's events have no number, and two of them may be alike.
        """
        if type(event) is m.AccountTrade:
            return event.id, bool(event.voided)
        if type(event) is m.Order and event.update_timestamp:
            return event
        return None

    def joins_history(self, topic: Topic, event: Any) -> bool:
        """Not the void of a fill: its row is at the time of the fill."""
        return not (type(event) is m.AccountTrade and event.voided)

    # ── details ──

    def _line(self, hub: Hub) -> str:
        return f"{self.feed}/{hub}"

    def _hub(self, line: str) -> Hub:
        for hub in (USER, MARKET):
            if line == self._line(hub):
                return hub
        raise ValueError(f"{line} is no line of ProjectX: a line is one of its hubs, user or market")

    def _sides(self, entries: tuple[m.Depth, ...]) -> tuple[list[Any], list[Any]]:
        bids = {each.price: self._resting(each) for each in entries if each.is_bid}
        asks = {each.price: self._resting(each) for each in entries if each.is_ask}
        return list(bids.items()), list(asks.items())

    def _resting(self, entry: m.Depth) -> Any:
        volumes = entry.volume, entry.current_volume
        first, second = volumes if self._own.depth_size == "volume" else volumes[::-1]
        return second if first is None else first

    def _key(self, channel: Channel, key: str) -> str:
        key = key.strip()
        stream = STREAMS[channel.name]
        if not stream.keyed:
            if key:
                raise self.mistake(
                    f"{channel.name} takes no key, and was given {key!r}; it is of all accounts."
                )
            return ""
        if stream.hub == USER and _ACCOUNT_ID.fullmatch(key):
            return str(int(key))
        if stream.hub == MARKET and _CONTRACT_ID.fullmatch(key.upper()):
            return key.upper()
        given = repr(key) if key else "no key"
        read = "account" if stream.hub == USER else "contract"
        hint = f" runtime.ask({self.feed!r}).{read}({key!r}).get().id is that of a name." if key else ""
        raise self.mistake(f"{channel.name} takes the {channel.key}, and was given {given}.{hint}")
