"""Alpaca from the venue's side: its data streams, its account stream and its pages, on one port."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from actors.simulators.alpaca.account import Account, Update
from actors.simulators.alpaca.connections import Client, Connections, Keys, Subscriptions, error, keys_of
from actors.simulators.alpaca.endpoints import BY_NAME, BY_PATH, Kind, kind_of, well_formed
from actors.simulators.alpaca.instruments import KNOWN, Listing, Told, article
from actors.simulators.alpaca.payloads import Codec, Stamp, frame, read, to_json
from actors.simulators.alpaca.rest import Pages, complaint
from actors.simulators.alpaca.settings import SimulatedAlpacaSettings
from actors.simulators.base.client import (
    HttpReply,
    Later,
    Peer,
    Request,
    RequestRefused,
    fragments,
    retry_header,
)
from actors.simulators.base.connections import Groups
from actors.simulators.base.faults import Code, RetryAfter, Status, Text, Times, fault, waiting
from actors.simulators.base.history_faults import HistoryFaults
from actors.simulators.base.parameters import one_of
from actors.simulators.base.random_market import Market
from actors.simulators.base.server import Message, Simulator
from actors.simulators.base.settings import given

AUTHENTICATED: Told = {"T": "success", "msg": "authenticated"}
Poison = Annotated[
    Literal["null", "unknown", "scalar", "error"], "a quote of nulls, an unknown T, a number, an error"
]
Words = Annotated[str, "of the error; empty: the usual ones of its code"]
Symbol = Annotated[str, "a symbol"]
Tape = Annotated[str, "A or B: with the codes of the CTA; C or O: with those of the UTP"]
StatusText = Annotated[str, "the venue's words"]
End = Annotated[bool, "whether the streams end with it"]
OnListen = Annotated[bool, "not now, but whenever a client begins to listen"]

_ODD: Mapping[str, Any] = {
    "null": {"T": "q", "S": "AAPL", "bp": None, "bs": None, "ap": None, "as": None, "t": None},
    "unknown": {"T": "zz", "S": "AAPL", "news": True},
    "scalar": 17,
    "error": error(500),
}
_UNAUTHORIZED = "access key verification failed"
_ARTICLES = 100  # that are remembered

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class SimulatedAlpaca(Simulator, HistoryFaults):
    """Alpaca on loopback: a context manager.

    A symbol tells by its looks whose it is: `AAPL`, `BTC/USD`, `AAPL281215C00200000`, and
    `FAKEPACA` is the test stream's. Every symbol is known as soon as it is asked for.
    """

    name: ClassVar[str] = "alpaca"
    Settings = SimulatedAlpacaSettings

    settings: SimulatedAlpacaSettings

    @given(SimulatedAlpacaSettings)
    def __init__(self, settings: SimulatedAlpacaSettings) -> None:
        self.set_up(settings)
        self.account = Account(
            settings.seed, lambda: Stamp.at(time.time_ns(), settings.digits, settings.offset)
        )
        self._listings: dict[str, Listing] = {}
        self.articles: deque[Told] = deque(maxlen=_ARTICLES)
        self._articles_made = 0
        self._pages = Pages(self)
        self._connections = Connections()
        self._holders: Groups[tuple[str, str], Client] = Groups()  # slots of endpoint and key
        self._watched: list[Listing] | None = None  # what moves; None: to be found out
        for symbol in KNOWN:
            self.listing(symbol)

    # what a test sees and does

    def url_of(self, stream: str) -> str:
        """The URL of a stream: `iex`, `crypto`, `crypto/eu-1`, `news`, `opra`, `account`, ...

        Raises:
            ValueError: there is no such stream.
        """
        return f"ws://127.0.0.1:{self.port}{one_of(BY_NAME, stream, 'stream').path}"

    @property
    def authorized(self) -> int:
        """How many open connections are logged in."""
        with self._lock:
            return sum(bool(line.key) for line in self._connections.lines.values())

    def subscribers(self, channel: str, symbol: str = "") -> int:
        """How many connections are subscribed to this very symbol, or to `*`. Of `trade_updates`: to it."""
        with self._lock:
            return self._connections.count(channel, symbol)

    def quote(self, symbol: str, bid: float | None = None, ask: float | None = None, **over: Any) -> Told:
        """One quote; a side of 0 is missing. `over` replaces its fields, or adds some.

        When it, or any of its like, returns, the message was written to every subscriber. A time in
        `over` is a text or nanoseconds. What is returned is the message as JSON has it.
        """
        return self._say_of(symbol, "quotes", lambda listing: listing.quote(bid, ask), over)

    def trade(self, symbol: str, price: float | None = None, size: float | None = None, **over: Any) -> Told:
        """One trade; its `i` is the next of this symbol."""
        return self._say_of(symbol, "trades", lambda listing: listing.trade(price, size), over)

    def bar(
        self, symbol: str, channel: Literal["bars", "updatedBars", "dailyBars"] = "bars", **over: Any
    ) -> Told:
        """The bar that the trades so far make."""
        return self._say_of(symbol, channel, lambda listing: listing.bar(channel), over)

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
            listing = self.listing(symbol)
            if reset:
                listing.market.clear()
            told = listing.set_levels(bids, asks)
            return self._say("orderbooks", told | ({"r": True} if reset else {}), over)

    def news(self, *symbols: str, **over: Any) -> Told:
        """One piece of news, of these symbols."""
        with self._lock:
            return self._say("news", self._article(symbols), over)

    def status(self, symbol: str, code: str = "T", message: str = "Trading Resumption", **over: Any) -> Told:
        """A trading status, such as `H` for a halt."""
        return self._say_of(symbol, "statuses", lambda listing: listing.status(code, message), over)

    def luld(self, symbol: str, **over: Any) -> Told:
        """A symbol's limits, up and down."""
        return self._say_of(symbol, "lulds", Listing.luld, over)

    def imbalance(self, symbol: str, **over: Any) -> Told:
        """An order imbalance."""
        return self._say_of(symbol, "imbalances", Listing.imbalance, over)

    def correction(self, symbol: str, **over: Any) -> Told:
        """The last trade of this symbol was another."""
        return self._say_of(symbol, "corrections", Listing.correction, over)

    def cancel_error(self, symbol: str, **over: Any) -> Told:
        """The last trade of this symbol never was."""
        return self._say_of(symbol, "cancelErrors", Listing.cancel_error, over)

    def trade_update(self, event: str, order: Mapping[str, Any] = {}, **over: Any) -> Update:
        """One turn of an order's life: of a new one, or of the one whose `id` is in `order`.

        `order` replaces fields of the order, `over` those beside it: `qty`, `price`, `timestamp`, ...
        """
        with self._lock:
            return self.say_update(self.account.update(event, order, **over))

    def multi_leg(self, *symbols: str, **over: Any) -> Update:
        """A fill of several option contracts at once, without an `execution_id` of its own."""
        with self._lock:
            return self.say_update(self.account.multi_leg(symbols, **over))

    # faults

    @fault
    def error(self, code: Code = 500, message: Words = "") -> None:
        """Sends an error on every data stream."""
        for line in self._connections.on_data():
            self._write(line, [error(code, message)])

    @fault
    def account_error(self, message: Text = "internal server error", close: End = True) -> None:
        """Sends an error on every account stream."""
        for line in self._connections.on_account():
            self._write(line, {"action": "error", "data": {"error_message": message}})
            if close:
                line.peer.close(1011)

    @fault
    def mute_symbol(self, symbol: Symbol) -> None:
        """Loses the data of one symbol from now on, while the others go on."""
        self.pending.set("mute_symbol", symbol)

    @fault
    def halt(self, symbol: Symbol, tape: Tape = "C", message: StatusText = "Trading Halt") -> None:
        """Tells those who subscribe to statuses that a symbol is halted. Its data goes on."""
        self.status(symbol, "2" if tape in "AB" else "H", message, z=tape)

    @fault
    def resume(self, symbol: Symbol, tape: Tape = "C", message: StatusText = "Trading Resumption") -> None:
        """Tells those who subscribe to statuses that trading of a symbol is resumed."""
        self.status(symbol, "3" if tape in "AB" else "T", message, z=tape)

    @fault
    def poison(self, kind: Poison = "null") -> None:
        """Sends an array with something odd between two sound messages, on every subscribed data stream."""
        for line in self._connections.on_data():
            for channel in ("trades", "quotes", "news"):
                if symbols := line.subscriptions.get(channel):
                    sound = [self._fresh(line, channel, next(iter(symbols))) for _ in range(2)]
                    self._write(line, [sound[0], _ODD[kind], sound[1]])
                    break

    @fault
    def slow_client(self, told: Annotated[bool, "with a 407 first"] = True) -> None:
        """Cuts every data stream off for reading too slowly."""
        for line in self._connections.on_data():
            if told:
                self._write(line, [error(407)])
            line.peer.cut(reset=not told)

    @fault
    def reset_book(self, symbol: Annotated[str, "empty: each that is subscribed"] = "") -> None:
        """Sends an order book as a whole again."""
        for listing in [self.listing(symbol)] if symbol else self._find_watched():
            if listing.kind == "crypto":
                self._say("orderbooks", listing.book())

    @waiting
    def ack_differs(self, n: Times = 1) -> None:
        """Takes the last symbol out of the next `n` requests, and acknowledges them without it."""

    @waiting
    def lose_stream(self, n: Times = 1) -> None:
        """Acknowledges the next `n` requests to listen without any stream."""

    @waiting
    def welcome_lost(self, n: Times = 1) -> None:
        """Sends no welcome to the next `n` connections."""

    @waiting
    def refuse_keys(self, n: Times = 1) -> None:
        """Refuses the next `n` logins, whatever their keys."""

    @waiting
    def late_data(self, n: Times = 1) -> None:
        """Sends data of what was unsubscribed after the next `n` requests to unsubscribe."""

    @waiting
    def fragment(self, size: Annotated[int, "bytes of a frame, at most"] = 16, n: Times = 1) -> int:
        """Sends the next `n` messages in several frames."""
        return size

    @fault
    def duplicate_fill(self, on_listen: OnListen = False) -> None:
        """Sends the last fill again."""
        if on_listen:
            self.pending.set("duplicate_fill")
        elif self.account.last_fill:
            self.say_update(self.account.last_fill)

    @waiting
    def refuse_pages(self, status: Status = 429, n: Times = 1, retry_after: RetryAfter = 0.0) -> HttpReply:
        """Answers the next `n` pages with this HTTP status."""
        return complaint(status, "refused", retry_header(retry_after))

    # connections

    def start(self) -> None:
        with self._lock:
            if not self.running:
                self._holders = Groups()
            super().start()

    def serves(self, path: str) -> bool:
        return path in BY_PATH

    def opened(self, peer: Peer) -> None:
        headers = peer.request.headers
        codec: Codec = "msgpack" if "msgpack" in headers.get("content-type", "") else "json"
        line = self._connections.lines[peer] = Client(peer, BY_PATH[peer.request.path], codec)
        if line.endpoint.kind == "account":
            return
        keys = keys_of(headers)
        connected = {"T": "success", "msg": "connected"}
        self.call_later(self.settings.auth_timeout, lambda: self._expect_login(line))
        welcomed = keys is None or self.settings.greeting in ("apart", "connected")
        if not self.pending.take("welcome_lost") and welcomed:
            self._write(line, [connected])
        if keys is not None and peer.open:  # a fault may have ended it meanwhile
            greetings: Mapping[str, list[Told]] = {"together": [connected, AUTHENTICATED], "connected": []}
            self._log_in(line, keys, greetings.get(self.settings.greeting, [AUTHENTICATED]))

    def closed(self, peer: Peer) -> None:
        line = self._connections.lines.get(peer)
        if line is None:
            return
        self._subscribe(line, {})
        del self._connections.lines[peer]
        if not line.key:
            return
        # Forum, 2022: a connection that broke off holds its slot for about 90 s.
        if peer.parted or not self.settings.dead_session:
            self._free(line)
        else:
            self.call_later(self.settings.dead_session, lambda: self._free(line))

    def received(self, peer: Peer, message: Message) -> None:
        line = self._connections.lines[peer]
        try:
            asked = read(message, line.codec)
        except ValueError:
            asked = None
        if line.endpoint.kind == "account":
            self._heard_on_account(line, asked)
        else:
            self._heard_on_data(line, asked)

    def decode(self, message: Message) -> Any:
        codec: Codec = "json" if isinstance(message, str) or message[:1] == b"{" else "msgpack"
        try:
            return read(message, codec)
        except ValueError:
            return message

    def _expect_login(self, line: Client) -> None:
        if line.peer.open and not line.tried:
            self._refuse(line, 404)

    def _free(self, line: Client) -> None:
        self._holders.leave((line.endpoint.name, line.key), line)

    def accepts(self, keys: Keys) -> bool:
        if self.pending.take("refuse_keys"):
            return False
        key, secret = keys
        known = self.settings.keys
        return bool(key and secret) if known is None else known.get(key) == secret

    # data streams

    def _heard_on_data(self, line: Client, asked: Any) -> None:
        match asked:
            case {"action": "auth", "key": str(key), "secret": str(secret)}:
                self._log_in(line, (key, secret), [AUTHENTICATED])
            case {"action": "subscribe" | "unsubscribe"} if not line.key:
                self._write(line, [error(401)])
            case {"action": "subscribe" | "unsubscribe"}:
                self.subscription_asked(line.peer, lambda: self._change(line, asked))
            case _:
                self._write(line, [error(400)])

    def _log_in(self, line: Client, keys: Keys, greeting: list[Told]) -> None:
        endpoint = line.endpoint
        if line.key:
            self._write(line, [error(403)])
            return
        line.tried = True
        slots = (endpoint.name, keys[0])
        if endpoint.kind == "options" and line.codec == "json":
            self._refuse(line, 412)
        elif not self.accepts(keys):
            self._refuse(line, 402)
        elif endpoint.paid and self.settings.plan == "basic":
            self._refuse(line, 409)
        elif self.settings.connections and self._holders.count(slots) >= self.settings.connections:
            self._refuse(line, 406, close=not self.settings.keep_refused)
        else:
            line.key = keys[0]
            self._holders.join(slots, line)
            if greeting:
                self._write(line, greeting)
            self.announce()

    def _refuse(self, line: Client, code: int, close: bool = True) -> None:
        self._write(line, [error(code)])
        if close:
            line.peer.close(1000)

    def _change(self, line: Client, asked: dict[str, Any]) -> None:
        if asked["action"] == "subscribe" and self.pending.take("ack_differs"):
            last = [channel for channel, named in asked.items() if isinstance(named, list)][-1:]
            asked = asked | {channel: asked[channel][:-1] for channel in last}
        try:
            wanted = line.after(asked, self.settings.plan, self.settings.symbols, self.rejects)
        except RequestRefused as refused:
            self._write(line, [error(refused.code)])
            return
        before = line.subscriptions
        self._subscribe(line, wanted)
        self.acknowledge(line.peer, [frame([line.acknowledged], line.codec)])
        for symbol in wanted.get("orderbooks", {}).keys() - before.get("orderbooks", {}).keys():
            for listing in self._named(line.endpoint.kind, symbol):
                self._write(line, [listing.book()])
        if asked["action"] == "unsubscribe" and self.pending.take("late_data"):
            for channel in ("trades", "quotes"):
                for symbol in before.get(channel, {}).keys() - wanted.get(channel, {}).keys():
                    self._write(line, [self._fresh(line, channel, symbol)])
        self.announce()

    def _subscribe(self, line: Client, wanted: Subscriptions) -> None:
        self._connections.subscribe(line, wanted)
        self._watched = None

    # the account stream

    def _heard_on_account(self, line: Client, asked: Any) -> None:
        match asked:
            case {"action": "auth", "key": str(key), "secret": str(secret)} | {
                "action": "authenticate",
                "data": {"key_id": str(key), "secret_key": str(secret)},
            }:
                if self.accepts((key, secret)):
                    line.key = key
                    self._tell_account(line, "authorization", status="authorized", action="authenticate")
                    self.announce()
                else:
                    self._turn_away(line, _UNAUTHORIZED)
            case {"action": "auth" | "authenticate"}:
                self._turn_away(line, "must provide key_id and secret_key or oauth_token")
            case {"action": "listen"} if not line.key:
                self._tell_account(line, "authorization", status="unauthorized", action="listen")
            case {"action": "listen", "data": {"streams": list(streams)}}:
                self.subscription_asked(line.peer, lambda: self._listen(line, streams))
            case _:
                self._write(line, {"action": "error", "data": {"error_message": "invalid syntax"}})

    def _turn_away(self, line: Client, message: str) -> None:
        told = {"status": "unauthorized", "action": "authenticate", "message": message}
        self._tell_account(line, "authorization", **told)
        line.peer.close(1000)

    def _listen(self, line: Client, streams: list[Any]) -> None:
        offered = [each for each in line.endpoint.channels if each in streams]
        if self.pending.take("lose_stream"):
            offered = []
        self._subscribe(line, {each: {"": None} for each in offered})
        told = {"stream": "listening", "data": {"streams": offered}}
        self.acknowledge(line.peer, [frame(told, line.codec, self.settings.binary)])
        if self.pending.get("duplicate_fill") and offered and self.account.last_fill:
            self._tell_account(line, "trade_updates", **self.account.last_fill)
        self.announce()

    def _tell_account(self, line: Client, stream: str, **data: Any) -> None:
        self._write(line, {"stream": stream, "data": data})

    def say_update(self, update: Update) -> Update:
        for line in self._connections.of("account", "trade_updates", [""]):
            self._tell_account(line, "trade_updates", **update)
        return _decode(to_json(update))

    # the market

    def numbering(self, key: str) -> tuple[Market, Callable[[range], None]]:
        """Numbers are in `i`; a batch is one array."""
        listing = self.listing(key)

        def send(numbers: range) -> None:
            told = [listing.trade(number=number) for number in numbers]
            for each in told:
                listing.remember("trades", each)
            self._tell(listing.kind, "trades", [key], told)

        return listing.market, send

    def step(self) -> None:
        dice = self.random.random()
        if dice < 0.2 and self._connections.count("trade_updates", ""):
            self.say_update(self.account.step())
        elif dice > 0.98:
            self.news(self.random.choice([each for each in self._listings if kind_of(each) == "stocks"]))
        else:
            listing = self.random.choice(self._find_watched() or list(self._listings.values()))
            for channel, told in listing.step():
                self._say(channel, told)

    def _find_watched(self) -> list[Listing]:
        if self._watched is None:
            named = [each for each in self._connections.watched() if each[0] not in ("account", "news")]
            found = [listing for each in named for listing in self._named(*each)]
            self._watched = list(dict.fromkeys(found))
        return self._watched

    def _named(self, kind: Kind, symbol: str) -> list[Listing]:
        """What a subscription's symbol means. The test stream knows but one; `*` is all that are known."""
        if symbol == "*":
            return [each for each in self._listings.values() if each.kind == kind]
        return [self.listing(symbol)] if kind_of(symbol) == kind else []

    def listing(self, symbol: str) -> Listing:
        """Raises ValueError: there can be no such symbol."""
        if symbol not in self._listings:
            if symbol == "*" or not well_formed(kind_of(symbol), symbol):
                raise ValueError(f"{symbol!r} is no symbol")
            self._listings[symbol] = Listing(symbol, self.settings.seed, self.settings.market, self.now)
            self._watched = None
        return self._listings[symbol]

    def now(self) -> Stamp:
        return Stamp.at(time.time_ns(), self.settings.digits)

    def _article(self, symbols: Iterable[str]) -> Told:
        self._articles_made += 1
        return article(self._articles_made, self.now(), symbols)

    def _fresh(self, line: Client, channel: str, symbol: str) -> Told:
        if channel == "news":
            return self._article([symbol])
        named = self._named(line.endpoint.kind, symbol) or [self.listing("AAPL")]
        return named[0].quote() if channel == "quotes" else named[0].trade()

    def _say_of(self, symbol: str, channel: str, make: Callable[[Listing], Told], over: Told) -> Told:
        with self._lock:
            return self._say(channel, make(self.listing(symbol)), over)

    def _say(self, channel: str, told: Told, over: Mapping[str, Any] = {}) -> Told:
        """Tells subscribers, and remembers it for the pages."""
        told = told | {name: _timely(name, value) for name, value in over.items()}
        if channel == "news":
            self.articles.append(told)
            self._tell("news", channel, told["symbols"], [told])
        else:
            listing = self.listing(told["S"])
            listing.remember(channel, told)
            self._tell(listing.kind, channel, [listing.symbol], [told])
        return _decode(to_json(told))

    def _tell(self, kind: Kind, channel: str, symbols: Iterable[str], told: list[Told]) -> None:
        if any(self.pending.get("mute_symbol", symbol) for symbol in symbols):
            return
        frames: dict[Codec, bytes] = {}
        for line in self._connections.of(kind, channel, symbols):
            if line.codec not in frames:
                frames[line.codec] = self._framed(frame(told, line.codec))
            line.peer.tell(frames[line.codec])

    def _write(self, line: Client, told: object) -> None:
        binary = self.settings.binary and line.endpoint.kind == "account"
        line.peer.tell(self._framed(frame(told, line.codec, binary)))

    def _framed(self, whole: bytes) -> bytes:
        size = self.pending.take("fragment")
        return fragments(whole, size) if size else whole

    # pages

    def answer(self, request: Request) -> HttpReply | Later:
        return self.pending.take("refuse_pages") or self._pages.answer(request)


def _timely(name: str, value: Any) -> Any:
    """A time that was given as a text, or in nanoseconds."""
    if name not in ("t", "created_at", "updated_at"):
        return value
    return Stamp.parse(value) if isinstance(value, str) else Stamp.at(value)
