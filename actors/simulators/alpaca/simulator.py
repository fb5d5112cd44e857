"""Alpaca from the venue's side: its data streams, its account stream and its pages, on one port."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import msgspec

from actors.simulators.alpaca.account import Account, Update
from actors.simulators.alpaca.audience import Audience
from actors.simulators.alpaca.codec import Codec, Stamp, fragments, frame, read, to_json
from actors.simulators.alpaca.connections import (
    ClientConnection,
    Keys,
    RequestRefused,
    Subscriptions,
    error,
    keys_of,
)
from actors.simulators.alpaca.endpoints import (
    BY_NAME,
    BY_PATH,
    Kind,
    Plan,
    kind_of,
    well_formed,
)
from actors.simulators.alpaca.instruments import KNOWN, Listing, Told, article
from actors.simulators.alpaca.rest import Pages, complaint
from actors.simulators.base.client import Peer, Reply, Request
from actors.simulators.base.faults import Fault, fault
from actors.simulators.base.server import Message, Simulator

Greeting = Literal["apart", "together", "short", "connected"]
AUTHENTICATED: Told = {"T": "success", "msg": "authenticated"}
Poison = Literal["null", "unknown", "scalar", "error"]

_ODD: Mapping[str, Any] = {
    "null": {"T": "q", "S": "AAPL", "bp": None, "bs": None, "ap": None, "as": None, "t": None},
    "unknown": {"T": "zz", "S": "AAPL", "news": True},
    "scalar": 17,
    "error": error(500),
}
_UNAUTHORIZED = "access key verification failed"
_MINUTE = 60.0  # seconds

_decode = msgspec.json.Decoder().decode


class SimulatedAlpaca(Simulator):
    """Alpaca on loopback: a context manager.

    Whatever the venue's documents leave open can be played both ways; the arguments say which.
    A symbol tells by its looks whose it is: `AAPL`, `BTC/USD`, `AAPL281215C00200000`, and
    `FAKEPACA` is the test stream's. Every symbol is known as soon as it is asked for.
    """

    name: ClassVar[str] = "alpaca"

    def __init__(
        self,
        port: int = 0,
        *,
        rate: float = 10.0,
        seed: int = 0,
        faults: Iterable[str | Fault] = (),
        keys: Mapping[str, str] | None = None,
        plan: Plan = "plus",
        symbols: int = 0,
        connections: int = 1,
        dead_session: float = 0.0,
        keep_refused: bool = True,
        auth_timeout: float = 10.0,
        greeting: Greeting = "apart",
        binary: bool = True,
        digits: int = -1,
        offset: str = "Z",
        requests_per_minute: int = 0,
        backlog: int = 1 << 23,
        send_buffer: int = 0,
    ) -> None:
        """What to play.

        Args:
            port: 0 picks a free one, which stays the same after stop() and start().
            rate: market steps a second; 0: nothing moves until a method is called.
            seed: the same seed makes the same market.
            faults: armed at the first start, such as `"drop every=5"`.
            keys: secrets by key, and no others are let in; None: any that are not empty.
            plan: `basic` has fewer symbols, and no sip, boats or opra (409).
            symbols: how many a connection may subscribe to (405); 0: as the plan says.
            connections: how many an endpoint and key may have (406); 0: no limit.
            dead_session: seconds for which a connection that broke off still counts; Alpaca: 90.
            keep_refused: a connection that was told 406 stays open and may try again.
            auth_timeout: seconds until a connection that does not log in is told 404 and closed.
            greeting: what who logs in by headers is told: `connected` and `authenticated` in two
                frames (apart), both in one (together), only the latter (short), or only the former
                (connected).
            binary: the account stream sends its JSON in binary frames, as the paper host does.
            digits: decimals of a timestamp's seconds; -1: as many as needed.
            offset: how the account stream's times end, such as `-04:00`.
            requests_per_minute: how many pages are answered before 429; 0: no limit.
            backlog: bytes that may wait for a slow reader before it is cut off.
            send_buffer: bytes that the kernel may hold for a connection; 0: as it likes.
        """
        super().__init__(port, rate=rate, seed=seed, faults=faults, backlog=backlog, send_buffer=send_buffer)
        self.keys = keys
        self.plan = plan
        self.symbols = symbols
        self.connections_allowed = connections
        self.dead_session = dead_session
        self.keep_refused = keep_refused
        self.auth_timeout = auth_timeout
        self.greeting = greeting
        self.binary = binary
        self.digits = digits
        self.offset = offset
        self.requests_per_minute = requests_per_minute
        self.account = Account(seed, lambda: Stamp.at(time.time_ns(), self.digits, self.offset))
        self._listings = {symbol: self._list(symbol) for symbol in KNOWN}
        self._articles: list[Told] = []
        self._pages = Pages(self._listing, self._articles, self.account, self._now, self._say_update)
        self._asked: deque[float] = deque()  # when the pages of the last minute were
        self._audience = Audience()
        self._holders: dict[tuple[str, str], set[Peer]] = {}  # of each endpoint's and key's slots
        self._watched: list[Listing] | None = None  # what moves; None: to be found out
        # what faults leave behind
        self._muted: set[str] = set()
        self._lost_welcomes = 0
        self._refused_keys = 0
        self._lacking_acks = 0
        self._lost_streams = 0
        self._trailing = 0
        self._fragments, self._fragment_size = 0, 0
        self._fill_again = False
        self._page_refusals: list[Reply] = []

    # what a test sees and does

    def url_of(self, stream: str) -> str:
        """The URL of a stream: `iex`, `crypto`, `crypto/eu-1`, `news`, `opra`, `account`, ...

        Raises:
            ValueError: there is no such stream.
        """
        if stream not in BY_NAME:
            raise ValueError(f"there is no stream {stream!r}, but {', '.join(BY_NAME)}")
        return f"ws://127.0.0.1:{self.port}{BY_NAME[stream].path}"

    @property
    def authorized(self) -> int:
        """How many open connections are logged in."""
        with self._lock:
            return sum(bool(line.key) for line in self._audience.lines.values())

    def subscribers(self, channel: str, symbol: str = "") -> int:
        """How many connections are subscribed to this very symbol, or to `*`. Of `trade_updates`: to it."""
        with self._lock:
            return self._audience.count(channel, symbol)

    def steps(self, n: int = 1) -> None:
        """The market moves `n` times, at once."""
        with self._lock:
            for _ in range(n):
                self.step()

    def quote(self, symbol: str, bid: float | None = None, ask: float | None = None, **over: Any) -> Told:
        """One quote; a side of 0 is missing. `over` replaces its fields, or adds some.

        When it, or any of its like, returns, the message was written to every subscriber. A time in
        `over` is a text or nanoseconds. What is returned is the message as JSON has it.
        """
        with self._lock:
            return self._say("quotes", self._listing(symbol).quote(bid, ask), over)

    def trade(self, symbol: str, price: float | None = None, size: float | None = None, **over: Any) -> Told:
        """One trade; its `i` is the next of this symbol."""
        with self._lock:
            return self._say("trades", self._listing(symbol).trade(price, size), over)

    def bar(
        self, symbol: str, channel: Literal["bars", "updatedBars", "dailyBars"] = "bars", **over: Any
    ) -> Told:
        """The bar that the trades so far make."""
        tag = {"bars": "b", "updatedBars": "u", "dailyBars": "d"}[channel]
        with self._lock:
            return self._say(channel, self._listing(symbol).bar(tag), over)

    def orderbook(
        self,
        symbol: str,
        bids: Mapping[float, float] = {},
        asks: Mapping[float, float] = {},
        *,
        reset: bool = False,
        **over: Any,
    ) -> Told:
        """Sizes by price that changed, 0 where a level is gone; with `reset` these are all there is."""
        with self._lock:
            listing = self._listing(symbol)
            if reset:
                listing.market.bids.clear()
                listing.market.asks.clear()
            told = listing.set_levels(bids, asks)
            return self._say("orderbooks", told | ({"r": True} if reset else {}), over)

    def news(self, *symbols: str, **over: Any) -> Told:
        """One piece of news, of these symbols."""
        with self._lock:
            return self._say("news", article(len(self._articles) + 1, self._now(), symbols), over)

    def status(self, symbol: str, code: str = "T", message: str = "Trading Resumption", **over: Any) -> Told:
        """A trading status, such as `H` for a halt."""
        with self._lock:
            return self._say("statuses", self._listing(symbol).status(code, message), over)

    def luld(self, symbol: str, **over: Any) -> Told:
        """A symbol's limits, up and down."""
        with self._lock:
            return self._say("lulds", self._listing(symbol).luld(), over)

    def imbalance(self, symbol: str, **over: Any) -> Told:
        """An order imbalance."""
        with self._lock:
            return self._say("imbalances", self._listing(symbol).imbalance(), over)

    def correction(self, symbol: str, **over: Any) -> Told:
        """The last trade of this symbol was another."""
        with self._lock:
            return self._say("corrections", self._listing(symbol).correction(), over)

    def cancel_error(self, symbol: str, **over: Any) -> Told:
        """The last trade of this symbol never was."""
        with self._lock:
            return self._say("cancelErrors", self._listing(symbol).cancel_error(), over)

    def trade_update(self, event: str, order: Mapping[str, Any] = {}, **over: Any) -> Update:
        """One turn of an order's life: of a new one, or of the one whose `id` is in `order`.

        `order` replaces fields of the order, `over` those beside it: `qty`, `price`, `timestamp`, ...
        """
        with self._lock:
            return self._say_update(self.account.update(event, order, **over))

    def multi_leg(self, *symbols: str, **over: Any) -> Update:
        """A fill of several option contracts at once, without an `execution_id` of its own."""
        with self._lock:
            return self._say_update(self.account.multi_leg(symbols, **over))

    def number_trades(
        self,
        symbol: str,
        count: int,
        per_second: float | None = None,
        *,
        background: bool = False,
        batch: int = 1,
    ) -> range:
        """Trades with `i` 1, 2, 3, ... of each symbol, said whether anybody listens or not.

        `batch` of them are in one array; `per_second` counts trades. Without a pace it goes as fast as
        its slowest reader. Returns the numbers; in the background they are still to come.
        """
        with self._lock:
            listing = self._listing(symbol)
            first = listing.market.traded + 1
            listing.market.traded += count
            numbers = range(first, first + count)

        def say(some: range) -> None:
            told = [listing.numbered_trade(number) for number in some]
            for each in told:
                listing.remember("trades", each)
            self._tell(listing.kind, "trades", [symbol], told)

        batches = (numbers[at : at + batch] for at in range(0, count, batch))
        pace = per_second / batch if per_second else None
        self.feed((partial(say, some) for some in batches), pace, background)
        return numbers

    # faults

    @fault
    def error(self, code: int = 500, message: str = "") -> None:
        """An error on every data stream; where nothing else is said, with the code's own words."""
        with self._lock:
            for peer, line in self._audience.on_data():
                self._write(peer, line, [error(code, message)])

    @fault
    def account_error(self, message: str = "internal server error", close: bool = True) -> None:
        """An error on every account stream and, with `close`, its end."""
        with self._lock:
            for peer, line in self._audience.on_account():
                self._write(peer, line, {"action": "error", "data": {"error_message": message}})
                if close:
                    peer.close(1011)

    @fault
    def mute_symbol(self, symbol: str) -> None:
        """What there is to say of one symbol is lost from now on, while the others go on."""
        with self._lock:
            self._muted.add(symbol)

    @fault
    def poison(self, kind: Poison = "null") -> None:
        """An array with something odd between two sound messages, on every subscribed data stream.

        A quote of nulls, a kind that nobody knows, a number where an object should be, or an error.
        """
        with self._lock:
            for peer, line in self._audience.on_data():
                subscribed = [
                    (channel, symbol)
                    for channel in ("trades", "quotes", "news")
                    for symbol in line.subscriptions.get(channel, ())
                ]
                if subscribed:
                    channel, symbol = subscribed[0]
                    sound = [self._fresh(line, channel, symbol) for _ in range(2)]
                    self._write(peer, line, [sound[0], _ODD[kind], sound[1]])

    @fault
    def slow_client(self, told: bool = True) -> None:
        """Cuts every data stream off for reading too slowly, with a 407 first if it is to be told."""
        with self._lock:
            for peer, line in self._audience.on_data():
                if told:
                    self._write(peer, line, [error(407)])
                peer.cut(reset=not told)

    @fault
    def reset_book(self, symbol: str = "") -> None:
        """Tells an order book as a whole again; default: each that somebody watches."""
        with self._lock:
            for listing in [self._listing(symbol)] if symbol else self._find_watched():
                if listing.kind == "crypto":
                    self._say("orderbooks", listing.book())

    @fault
    def ack_differs(self, n: int = 1) -> None:
        """The next `n` requests lose the last symbol that they ask for, and their acks show it."""
        with self._lock:
            self._lacking_acks += n

    @fault
    def lose_stream(self, n: int = 1) -> None:
        """The next `n` requests to listen are acknowledged without any stream."""
        with self._lock:
            self._lost_streams += n

    @fault
    def welcome_lost(self, n: int = 1) -> None:
        """The next `n` connections are not welcomed."""
        with self._lock:
            self._lost_welcomes += n

    @fault
    def refuse_keys(self, n: int = 1) -> None:
        """Takes the next `n` logins for wrong ones, whatever their keys."""
        with self._lock:
            self._refused_keys += n

    @fault
    def late_data(self, n: int = 1) -> None:
        """The next `n` requests to unsubscribe are followed by data of what was unsubscribed."""
        with self._lock:
            self._trailing += n

    @fault
    def fragment(self, size: int = 16, n: int = 1) -> None:
        """Sends the next `n` messages in frames of at most `size` bytes."""
        with self._lock:
            self._fragments, self._fragment_size = self._fragments + n, size

    @fault
    def duplicate_fill(self, on_listen: bool = False) -> None:
        """Tells the last fill again; `on_listen`: not now, but whenever somebody begins to listen."""
        with self._lock:
            self._fill_again = self._fill_again or on_listen
            if self.account.last_fill and not on_listen:
                self._say_update(self.account.last_fill)

    @fault
    def refuse_pages(self, status: int = 429, n: int = 1, retry_after: float = 0.0) -> None:
        """Answers the next `n` pages with this HTTP status. `retry_after`: seconds; 0: not said."""
        headers = {"Retry-After": f"{retry_after:g}"} if retry_after else {}
        with self._lock:
            self._page_refusals += [complaint(status, "refused", headers)] * n

    def heal(self) -> None:
        with self._lock:
            super().heal()
            self._lost_welcomes = self._refused_keys = self._lacking_acks = 0
            self._lost_streams = self._trailing = self._fragments = 0
            self._fill_again = False
            self._muted.clear()
            self._page_refusals.clear()

    # connections

    def start(self) -> None:
        with self._lock:
            if not self.running:
                self._holders.clear()
            super().start()

    def serves(self, path: str) -> bool:
        return path in BY_PATH

    def opened(self, peer: Peer) -> None:
        assert peer.request is not None
        headers = peer.request.headers
        codec: Codec = "msgpack" if "msgpack" in headers.get("content-type", "") else "json"
        line = self._audience.lines[peer] = ClientConnection(BY_PATH[peer.request.path], codec)
        if line.endpoint.kind == "account":
            return
        keys = keys_of(headers)
        connected = {"T": "success", "msg": "connected"}
        self.call_later(self.auth_timeout, lambda: self._expect_login(peer, line))
        if self._lost_welcomes:
            self._lost_welcomes -= 1
        elif keys is None or self.greeting in ("apart", "connected"):
            self._write(peer, line, [connected])
        if keys is not None and peer.open:  # a fault may have ended it meanwhile
            told = [] if self.greeting == "connected" else [AUTHENTICATED]
            self._log_in(peer, line, keys, [connected, *told] if self.greeting == "together" else told)

    def closed(self, peer: Peer) -> None:
        line = self._audience.lines.get(peer)
        if line is None:
            return
        self._subscribe(peer, line, {})
        del self._audience.lines[peer]
        if not line.key:
            return
        # Forum, 2022: a connection that broke off holds its slot for about 90 s.
        if peer.parted or not self.dead_session:
            self._free(peer, line)
        else:
            self.call_later(self.dead_session, lambda: self._free(peer, line))

    def received(self, peer: Peer, message: Message) -> None:
        line = self._audience.lines[peer]
        try:
            asked = read(message, line.codec)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            asked = {}
        if line.endpoint.kind == "account":
            self._heard_on_account(peer, line, asked)
        else:
            self._heard_on_data(peer, line, asked)

    def decode(self, message: Message) -> Any:
        codec: Codec = "json" if isinstance(message, str) or message[:1] == b"{" else "msgpack"
        try:
            return read(message, codec)
        except ValueError:
            return message

    def _expect_login(self, peer: Peer, line: ClientConnection) -> None:
        if peer.open and not line.tried:
            self._refuse(peer, line, 404)

    def _free(self, peer: Peer, line: ClientConnection) -> None:
        self._holders.get((line.endpoint.name, line.key), set()).discard(peer)

    def _accepts(self, keys: Keys) -> bool:
        if self._refused_keys:
            self._refused_keys -= 1
            return False
        key, secret = keys
        return bool(key and secret) if self.keys is None else self.keys.get(key) == secret

    # data streams

    def _heard_on_data(self, peer: Peer, line: ClientConnection, asked: dict[str, Any]) -> None:
        match asked:
            case {"action": "auth", "key": str(key), "secret": str(secret)}:
                self._log_in(peer, line, (key, secret), [AUTHENTICATED])
            case {"action": "subscribe" | "unsubscribe"} if not line.key:
                self._write(peer, line, [error(401)])
            case {"action": "subscribe" | "unsubscribe"}:
                self.subscription_asked(peer, lambda: self._change(peer, line, asked))
            case _:
                self._write(peer, line, [error(400)])

    def _log_in(self, peer: Peer, line: ClientConnection, keys: Keys, greeting: list[Told]) -> None:
        endpoint = line.endpoint
        if line.key:
            self._write(peer, line, [error(403)])
            return
        line.tried = True
        holders = self._holders.setdefault((endpoint.name, keys[0]), set())
        if endpoint.kind == "options" and line.codec == "json":
            self._refuse(peer, line, 412)
        elif not self._accepts(keys):
            self._refuse(peer, line, 402)
        elif endpoint.paid and self.plan == "basic":
            self._refuse(peer, line, 409)
        elif self.connections_allowed and len(holders) >= self.connections_allowed:
            self._refuse(peer, line, 406, close=not self.keep_refused)
        else:
            line.key = keys[0]
            holders.add(peer)
            if greeting:
                self._write(peer, line, greeting)
            self.announce()

    def _refuse(self, peer: Peer, line: ClientConnection, code: int, close: bool = True) -> None:
        self._write(peer, line, [error(code)])
        if close:
            peer.close(1000)

    def _change(self, peer: Peer, line: ClientConnection, asked: dict[str, Any]) -> None:
        if asked["action"] == "subscribe" and self._lacking_acks:
            self._lacking_acks -= 1
            last = [channel for channel, named in asked.items() if isinstance(named, list)][-1:]
            asked = asked | {channel: asked[channel][:-1] for channel in last}
        try:
            wanted = line.after(asked, self.plan, self.symbols, self.rejects)
        except RequestRefused as refused:
            self._write(peer, line, [error(refused.code)])
            return
        before = line.subscriptions
        self._subscribe(peer, line, wanted)
        self.acknowledge(peer, [frame([line.acknowledged], line.codec)])
        for symbol in wanted.get("orderbooks", {}).keys() - before.get("orderbooks", {}).keys():
            for listing in self._named(line.endpoint.kind, symbol):
                self._write(peer, line, [listing.book()])
        if asked["action"] == "unsubscribe" and self._trailing:
            self._trailing -= 1
            for channel in ("trades", "quotes"):
                for symbol in before.get(channel, {}).keys() - wanted.get(channel, {}).keys():
                    self._write(peer, line, [self._fresh(line, channel, symbol)])
        self.announce()

    def _subscribe(self, peer: Peer, line: ClientConnection, wanted: Subscriptions) -> None:
        self._audience.subscribe(peer, line, wanted)
        self._watched = None

    # the account stream

    def _heard_on_account(self, peer: Peer, line: ClientConnection, asked: dict[str, Any]) -> None:
        match asked:
            case {"action": "auth", "key": str(key), "secret": str(secret)} | {
                "action": "authenticate",
                "data": {"key_id": str(key), "secret_key": str(secret)},
            }:
                if self._accepts((key, secret)):
                    line.key = key
                    self._tell_account(
                        peer, line, "authorization", status="authorized", action="authenticate"
                    )
                    self.announce()
                else:
                    self._turn_away(peer, line, "authenticate", _UNAUTHORIZED)
            case {"action": "auth" | "authenticate"}:
                what = "must provide key_id and secret_key or oauth_token"
                self._turn_away(peer, line, "authenticate", what)
            case {"action": "listen"} if not line.key:
                self._tell_account(peer, line, "authorization", status="unauthorized", action="listen")
            case {"action": "listen", "data": {"streams": list(streams)}}:
                self.subscription_asked(peer, lambda: self._listen(peer, line, streams))
            case _:
                self._write(peer, line, {"action": "error", "data": {"error_message": "invalid syntax"}})

    def _turn_away(self, peer: Peer, line: ClientConnection, action: str, message: str) -> None:
        told = {"status": "unauthorized", "action": action, "message": message}
        self._tell_account(peer, line, "authorization", **told)
        peer.close(1000)

    def _listen(self, peer: Peer, line: ClientConnection, streams: list[Any]) -> None:
        offered = [each for each in line.endpoint.channels if each in streams]
        if self._lost_streams:
            self._lost_streams -= 1
            offered = []
        self._subscribe(peer, line, {each: {"": None} for each in offered})
        told = {"stream": "listening", "data": {"streams": offered}}
        self.acknowledge(peer, [frame(told, line.codec, self.binary)])
        if self._fill_again and offered and self.account.last_fill:
            self._tell_account(peer, line, "trade_updates", **self.account.last_fill)
        self.announce()

    def _tell_account(self, peer: Peer, line: ClientConnection, stream: str, **data: Any) -> None:
        self._write(peer, line, {"stream": stream, "data": data})

    def _say_update(self, update: Update) -> Update:
        for peer, line in self._audience.of("account", "trade_updates", [""]):
            self._tell_account(peer, line, "trade_updates", **update)
        told: Update = _decode(to_json(update))
        return told

    # the market

    def step(self) -> None:
        dice = self.random.random()
        if dice < 0.2 and self._audience.count("trade_updates", ""):
            self._say_update(self.account.step())
        elif dice > 0.98:
            self.news(self.random.choice([each for each in self._listings if kind_of(each) == "stocks"]))
        else:
            listing = self.random.choice(self._find_watched() or list(self._listings.values()))
            for channel, told in listing.step():
                self._say(channel, told)

    def _find_watched(self) -> list[Listing]:
        if self._watched is None:
            named = [each for each in self._audience.watched() if each[0] not in ("account", "news")]
            found = [listing for each in named for listing in self._named(*each)]
            self._watched = list(dict.fromkeys(found))
        return self._watched

    def _named(self, kind: Kind, symbol: str) -> list[Listing]:
        """What a subscription's symbol means. The test stream knows but one; `*` is all that are known."""
        if symbol == "*":
            return [each for each in self._listings.values() if each.kind == kind]
        return [self._listing(symbol)] if kind_of(symbol) == kind else []

    def _listing(self, symbol: str) -> Listing:
        """Raises ValueError: there can be no such symbol."""
        if symbol not in self._listings:
            if symbol == "*" or not well_formed(kind_of(symbol), symbol):
                raise ValueError(f"{symbol!r} is no symbol")
            self._listings[symbol] = self._list(symbol)
            self._watched = None
        return self._listings[symbol]

    def _list(self, symbol: str) -> Listing:
        return Listing(symbol, self._seed, self._now)

    def _now(self) -> Stamp:
        return Stamp.at(time.time_ns(), self.digits)

    def _fresh(self, line: ClientConnection, channel: str, symbol: str) -> Told:
        if channel == "news":
            return article(len(self._articles) + 1, self._now(), [symbol])
        named = self._named(line.endpoint.kind, symbol) or [self._listing("AAPL")]
        return named[0].quote() if channel == "quotes" else named[0].trade()

    def _say(self, channel: str, told: Told, over: Mapping[str, Any] = {}) -> Told:
        """Tells all who watch, and remembers it for the pages."""
        told = told | {name: _timely(name, value) for name, value in over.items()}
        if channel == "news":
            self._articles.append(told)
            del self._articles[:-100]
            self._tell("news", channel, told["symbols"], [told])
        else:
            listing = self._listing(told["S"])
            listing.remember(channel, told)
            self._tell(listing.kind, channel, [listing.symbol], [told])
        shown: Told = _decode(to_json(told))
        return shown

    def _tell(self, kind: Kind, channel: str, symbols: Iterable[str], told: list[Told]) -> None:
        if not self._muted.isdisjoint(symbols):
            return
        frames: dict[Codec, bytes] = {}
        for peer, line in self._audience.of(kind, channel, symbols):
            if line.codec not in frames:
                frames[line.codec] = self._framed(frame(told, line.codec))
            peer.tell(frames[line.codec])

    def _write(self, peer: Peer, line: ClientConnection, told: object) -> None:
        binary = self.binary and line.endpoint.kind == "account"
        peer.tell(self._framed(frame(told, line.codec, binary)))

    def _framed(self, whole: bytes) -> bytes:
        if not self._fragments:
            return whole
        self._fragments -= 1
        return fragments(whole, self._fragment_size)

    # pages

    def answer(self, request: Request) -> Reply:
        if self._page_refusals:
            return self._page_refusals.pop(0)
        now = time.monotonic()
        while self._asked and self._asked[0] <= now - _MINUTE:
            self._asked.popleft()
        self._asked.append(now)
        if self.requests_per_minute and len(self._asked) > self.requests_per_minute:
            left = {"X-RateLimit-Limit": str(self.requests_per_minute), "X-RateLimit-Remaining": "0"}
            return complaint(429, "too many requests.", left)
        keys = keys_of(request.headers)
        if not request.path.startswith("/v1beta3/crypto"):  # which is there for everybody
            if keys is None:
                return complaint(401, "unauthorized.")
            if not self._accepts(keys):
                return complaint(403, "forbidden.")
        return self._pages.answer(request)


def _timely(name: str, value: Any) -> Any:
    """A time that was given as a text, or in nanoseconds."""
    if name not in ("t", "created_at", "updated_at"):
        return value
    return Stamp.parse(value) if isinstance(value, str) else Stamp.at(value)
