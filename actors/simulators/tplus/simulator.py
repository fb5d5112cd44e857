"""tplus on loopback: what it answers, what it pushes, and how it may fail."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct

from actors.simulators.base.client import HttpReply, Later, Peer, Request, retry_header, text_frame
from actors.simulators.base.connections import Groups
from actors.simulators.base.faults import RetryAfter, Status, Times, fault, waiting
from actors.simulators.base.random_market import Market, Step
from actors.simulators.base.server import Simulator
from actors.simulators.base.settings import given
from actors.simulators.tplus import endpoints
from actors.simulators.tplus.account import Account, Activity, OrderVariant
from actors.simulators.tplus.auth import UNAUTHORIZED, SignatureGate
from actors.simulators.tplus.endpoints import StreamPath, stream_at
from actors.simulators.tplus.instruments import PRICE_DECIMALS, Level, Listing, Picture, Row, spell
from actors.simulators.tplus.rest import Pages, encode, reply, tidy
from actors.simulators.tplus.settings import SimulatedTplusSettings

Form = Annotated[Literal["lines", "array"], "two lines, or one array"]
Delay = Annotated[float, "seconds; 0: until `release_snapshots()` or `heal()`"]
Path = Annotated[str, "such as /orders"]
Asset = Annotated[str, "an asset; empty: the first one"]
CloseCodeOrOpen = Annotated[int, "of the close frame; 0: they stay open"]
CloseCodeOrReset = Annotated[int, "of the close frame; 0: TCP is reset without one"]

_ASSETS = ("200", "201", "202")
_POLICY = 1008  # RFC 6455, section 7.4.1
_UNSETTLED = 1000  # pending trades that the market remembers


class _Client(Struct, eq=False):
    """One connection: its stream, the user whose token opened it, and the pongs that it owes."""

    stream: StreamPath
    holder: str
    owing: int = 0


class SimulatedTplus(Simulator):
    """tplus on loopback, its order service and its market data on one port: a context manager.

    Each stream is a path with a socket of its own: `url` plus the path. Methods that push something have
    written it to every subscriber when they return.
    """

    name: ClassVar[str] = "tplus"
    Settings = SimulatedTplusSettings

    settings: SimulatedTplusSettings

    @given(SimulatedTplusSettings)
    def __init__(self, settings: SimulatedTplusSettings) -> None:
        self.set_up(settings)
        self.snapshots = 0  # how many books were served over HTTP
        self._prefix = tidy(settings.prefix)
        self._gate = SignatureGate(settings)
        self._pages = Pages(self, self._gate)
        self.listings: dict[str, Listing] = {}
        wanted = _ASSETS if settings.assets is None else settings.assets
        self.assets = [endpoints.canonical_asset(each) for each in wanted]  # from the start on
        for each in self.assets:
            self._add(each)
        self._accounts: dict[str, Account] = {}
        self._clients: dict[Peer, _Client] = {}
        self._watching: Groups[str, Peer] = Groups()  # by path
        # pending trades of the market, the newest: user, trade
        self._unsettled: deque[tuple[str, Row]] = deque(maxlen=_UNSETTLED)
        self._held: list[Callable[[], None]] = []

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{self._prefix}/"

    @property
    def http_url(self) -> str:
        """What pages stand under, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}{self._prefix}"

    # what a test sees

    @property
    def auth_requests(self) -> int:
        """How many requests for nonces and tokens there were."""
        return self._gate.asked

    @property
    def held(self) -> int:
        """How many snapshots are being held back."""
        return len(self._held)

    def book(self, asset: str) -> Picture:
        """The book as it is now: bids and asks, quantity by price, and its sequence number."""
        with self._lock:
            return self.listing(asset).picture()

    def subscribers(self, path: str) -> int:
        """How many sockets are open at a stream's path, such as `/marketdepth/diff/200`."""
        with self._lock:
            found = stream_at(path)
            return self._watching.count(found.path) if found else 0

    # what a test does

    def depth_change(self, asset: str, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> Row:
        """Sets levels to new quantities, 0 takes them away; tells the diff and returns it.

        Raises:
            ValueError: a price or a quantity is no decimal, or below 0, or has more than 18 places.
        """
        with self._lock:
            listing = self.listing(asset)
            return self._say_diff(listing, listing.change(bids, asks))

    def trade(self, asset: str, **over: Any) -> Row:
        """A trade, confirmed unless `over` has another status; `over` replaces fields or adds some.

        To let it be pending first, say it twice: `trade("200", **(told | {"status": "Rollbacked"}))`.
        """
        with self._lock:
            listing = self.listing(asset)
            return self._say_trade(listing, listing.trade(number=int(over.get("trade_id", 0))) | over)

    def kline(self, asset: str, *bars: Mapping[str, Any], **over: Any) -> list[Row]:
        """These bars in one frame; none given: the open one, `over` replacing its fields."""
        with self._lock:
            listing = self.listing(asset)
            return self._say_bars(listing, [dict(bar) for bar in bars] or [listing.bar() | over])

    def ticker(self, asset: str, **over: Any) -> Row:
        """An asset's ticker, on its own stream and on that of all tickers; `over` replaces fields."""
        with self._lock:
            listing = self.listing(asset)
            return self._say_tickers({listing.asset: listing.ticker() | over})[0]

    def tickers(self, *assets: str) -> list[Row]:
        """The tickers of these assets, changed in one tick: one list, and each on its own stream."""
        with self._lock:
            return self._say_tickers({each.asset: each.ticker() for each in map(self.listing, assets)})

    def user_trade(self, user: str, asset: str = "", **over: Any) -> Row:
        """A fill of a user, confirmed unless `over` has another status; `over` replaces fields.

        The stream of confirmed fills tells the confirmed ones alone.
        """
        with self._lock:
            trade = self.listing(asset).trade(number=int(over.get("trade_id", 0)))
            return self._say_fill(self.account(user), trade, over)

    def order(self, user: str, variant: OrderVariant = "Created", asset: str = "", **over: Any) -> Row:
        """News of an order of a user, sent to the sockets at `/orders` that its token opened.

        It is about the order made last unless `over` has its `order_id`; `Created` makes one. Returns
        the event's fields, without its tag.
        """
        with self._lock:
            return self._order_event(self.account(user), variant, asset, over)

    def position(self, user: str, asset: str = "", **over: Any) -> Row:
        """Changes one position of a user; tells all of them, and returns that.

        With `side="closed"` it is in the picture once more, and then gone.
        """
        with self._lock:
            listing = self.listing(asset)
            return self._say_position(user, listing, spell(listing.market.last, PRICE_DECIMALS), over)

    def account_event(
        self, user: str, variant: Activity = "DepositLanded", asset: str = "", **over: Any
    ) -> Row:
        """A deposit, a withdrawal, ... of a user. Returns the event's fields, without its tag."""
        with self._lock:
            told = self.account(user).activity(variant, self.listing(asset).asset, over)
            self._tell(endpoints.ACTIVITY.at(user), {variant: told})
            return told

    def intent(self, asset: str = "", **over: Any) -> Row:
        """What market makers intend with an asset, in one window."""
        with self._lock:
            deltas = {"watchers_delta": 1, "quantity_delta": "2.5", "watchers": 3, "quantity": "7.5"}
            window = {"asset_id": self.listing(asset).asset, **deltas, "window_end_ns": time.time_ns()}
            told = window | over
            self._tell(endpoints.INTENT.path, told)
            return told

    def delegate(self, user: str, key: str) -> None:
        """Has a key (64 digits of hex, Ed25519) sign for a user, as an additional signer."""
        with self._lock:
            self._gate.delegates.setdefault(user, set()).add(key)

    def release_snapshots(self) -> None:
        """Serves the snapshots that are held back, as the books are now."""
        with self._lock:
            for serve in list(self._held):
                serve()

    # faults

    @fault
    def unauthorized(self, n: Times = 1, close: CloseCodeOrOpen = 0) -> None:
        """Welcomes the next `n` user streams with `"errors":"unauthorized"`, whatever their token."""
        self.pending.set("unauthorized", times=n, what=close)

    @fault
    def no_welcome(self, n: Times = 1) -> None:
        """Leaves out the welcome of the next `n` streams; their data comes all the same."""
        self.lose_ack(n)

    @fault
    def expire_tokens(self, close: CloseCodeOrOpen = 0) -> None:
        """No token is valid any more; `close` is about user streams."""
        self._gate.expire()
        for peer, client in list(self._clients.items()):
            if close and client.stream.kind.access != "public":
                peer.close(close, "token expired")

    @waiting
    def refuse_auth(self, status: Status = 503, n: Times = 1, retry_after: RetryAfter = 0.0) -> HttpReply:
        """Answers the next `n` requests for a nonce or a token with this HTTP status."""
        return self._pages.error(status, "refused", retry_header(retry_after))

    @waiting
    def snapshot_error(self, status: Status = 503, n: Times = 1) -> HttpReply:
        """Answers the next `n` requests for a book with this HTTP status."""
        return self._pages.error(status, "no book now")

    @fault
    def hold_snapshot(self, seconds: Delay = 0.0, n: Times = 1) -> None:
        """Serves the next `n` books only later, as they are then."""
        self.pending.set("hold_snapshot", times=n, what=seconds)

    @fault
    def stale_snapshot(self, n: Times = 1) -> None:
        """Serves the next `n` books as they are at this moment, whatever diffs come meanwhile."""
        frozen = {asset: each.snapshot() for asset, each in self.listings.items()}
        self.pending.set("stale_snapshot", times=n, what=frozen)

    @fault
    def skip(self, asset: Asset = "") -> None:
        """Changes a book and loses its diff: the next one jumps."""
        self.listing(asset).touch()

    @fault
    def repeat(self, asset: Asset = "") -> None:
        """Sends a book's last diff again."""
        listing = self.listing(asset)
        self._send(endpoints.DEPTH.at(listing.asset), listing.last_diff)

    @fault
    def restart_sequence(self, asset: Asset = "") -> None:
        """Sets a book's sequence number to 0; its next diff is 1."""
        self.listing(asset).sequence = 0

    @fault
    def malformed_diff(self, asset: Asset = "") -> None:
        """Changes a book and sends a diff that cannot be read."""
        listing = self.listing(asset)
        diff = listing.touch()
        told = {"asks": [["101.50"]], "bids": None, "sequence_number": str(diff["sequence_number"])}
        self._tell(endpoints.DEPTH.at(listing.asset), told)

    @fault
    def unknown_level(self, asset: Asset = "") -> None:
        """Sends a diff that takes away a level that is not there."""
        listing = self.listing(asset)
        self._say_diff(listing, listing.unknown_level())

    @fault
    def two_documents(self, asset: Asset = "", form: Form = "lines") -> None:
        """Sends two diffs in one frame, and two trades."""
        listing = self.listing(asset)
        diffs = [listing.touch(), listing.touch()]
        trades = [listing.trade(), listing.trade()]
        for each in trades:
            listing.confirmed(each)
        told = ((endpoints.DEPTH, diffs), (endpoints.TRADES, trades), (endpoints.TRADES_OF, trades))
        for kind, rows in told:
            payload = encode(rows) if form == "array" else b"\n".join(map(encode, rows))
            self._send(kind.at(listing.asset), text_frame(payload))

    @fault
    def unknown_variant(self) -> None:
        """Sends an event of an unknown kind on every stream that tells kinds apart."""
        kinds = (endpoints.ORDERS, endpoints.ACTIVITY, endpoints.TRADE_EVENTS, endpoints.TRADE_EVENTS_OF)
        told = {"Teleported": {"order_id": "o-0", "timestamp_ns": 0}}
        for peer, client in list(self._clients.items()):
            if client.stream.kind in kinds:
                inner = self.settings.inner_tags and client.stream.kind is endpoints.ORDERS
                tagged = {"type": "teleported", **told["Teleported"]} if inner else told
                peer.tell(text_frame(encode(tagged)))

    @fault
    def rollback(self, asset: Asset = "") -> None:
        """Makes a trade pending and then undoes it: on `trade_events`, and for every subscribed user.

        Streams of finalised trades tell nothing of it.
        """
        listing = self.listing(asset)
        trade, users = listing.trade(), ["", *self._listening()]
        for status in ("Pending", "Rollbacked"):
            for user in users:
                self._say_stage(user, listing, trade, status)

    @fault
    def ping_text(self) -> None:
        """Sends `{"type":"ping"}` to every client, as a text."""
        self.send_raw('{"type":"ping"}')

    @fault
    def close_stream(self, path: Path, code: CloseCodeOrReset = 1001) -> None:
        """Closes the sockets at one path."""
        found = stream_at(path)
        for peer, client in list(self._clients.items()):
            if found and client.stream.path == found.path:
                peer.end(code)

    def heal(self) -> None:
        """Ends all lasting faults, and those still to come. What was lost stays lost."""
        with self._lock:
            super().heal()
            self.release_snapshots()

    # the streams

    def canonical(self, key: str) -> str:
        return key if key.startswith("/") else endpoints.canonical_asset(key)

    def serves(self, path: str) -> bool:
        stream = self._stream(path)
        return stream is not None and self.has(stream.asset) and not self.rejects(stream.path, stream.asset)

    def objection(self, request: Request) -> HttpReply | None:
        stream = self._stream(request.path)
        if stream is None or stream.kind.access == "public" or not self.settings.login:
            return None
        holder = self._gate.holder(request.headers)
        if not holder:
            return self._pages.error(401, UNAUTHORIZED) if self.settings.denial == "refuse" else None
        forbidden = stream.kind.access == "makers" and not self.settings.market_maker
        if forbidden or stream.user not in ("", holder):
            return self._pages.error(403, "Not yours to see")
        return None

    def opened(self, peer: Peer) -> None:
        stream = self._stream(peer.request.path)
        assert stream is not None
        client = self._clients[peer] = _Client(stream, self._gate.holder(peer.request.headers))
        if self.settings.ping_interval:
            self.call_later(self.settings.ping_interval, partial(self._ask, peer, client))
        self.subscription_asked(peer, partial(self._welcome, peer, client))

    def closed(self, peer: Peer) -> None:
        client = self._clients.pop(peer, None)
        if client is not None:
            self._watching.leave(client.stream.path, peer)

    def ponged(self, peer: Peer) -> None:
        if peer in self._clients:
            self._clients[peer].owing = 0
        super().ponged(peer)

    def _welcome(self, peer: Peer, client: _Client) -> None:
        stream = client.stream
        private = stream.kind.access != "public" and self.settings.login
        code: int | None = self.pending.take("unauthorized") if private else None
        if private and code is None and not client.holder:
            code = _POLICY if self.settings.denial == "close" else 0
        if code is not None:
            denied = {"type": "subscriptions", "channels": [], "errors": "unauthorized"}
            peer.tell(text_frame(encode(denied)))
            if code:
                peer.close(code, "unauthorized")
            return
        self._watching.join(stream.path, peer)
        kind = "control" if stream.kind is endpoints.CONTROL else "subscriptions"
        channels = [{"name": stream.kind.channel.format(asset=stream.asset)}]
        told = {"type": kind, "channels": channels, "errors": None}
        self.acknowledge(peer, [text_frame(encode(told))])
        self.announce()

    def _ask(self, peer: Peer, client: _Client) -> None:
        """Pings a client, and cuts it off where it does not answer."""
        if not peer.open:
            return
        if not peer.deaf:
            client.owing += 1
            peer.ping()
            self.call_later(self.settings.pong_timeout, partial(self._collect, peer, client))
        self.call_later(self.settings.ping_interval, partial(self._ask, peer, client))

    def _collect(self, peer: Peer, client: _Client) -> None:
        if peer.open and not peer.deaf and client.owing:
            peer.cut(reset=False)

    def _stream(self, path: str) -> StreamPath | None:
        return stream_at(path.removeprefix(self._prefix)) if path.startswith(self._prefix + "/") else None

    def _tell(self, path: str, told: object) -> None:
        if path in self._watching:
            self._send(path, text_frame(encode(told)))

    def _send(self, path: str, frame: bytes) -> None:
        if frame:
            for peer in self._watching.of(path):
                peer.tell(frame)

    def _say_diff(self, listing: Listing, diff: Row) -> Row:
        listing.last_diff = text_frame(encode(diff))
        self._send(endpoints.DEPTH.at(listing.asset), listing.last_diff)
        return diff

    def _say_trade(self, listing: Listing, trade: Row) -> Row:
        if trade["status"] == "Confirmed":
            listing.confirmed(trade)
            self._tell(endpoints.TRADES.path, trade)
            self._tell(endpoints.TRADES_OF.at(listing.asset), trade)
        event = {trade["status"]: trade}
        self._tell(endpoints.TRADE_EVENTS.path, event)
        self._tell(endpoints.TRADE_EVENTS_OF.at(listing.asset), event)
        return trade

    def _say_bars(self, listing: Listing, bars: list[Row]) -> list[Row]:
        for told in bars if self.settings.kline_objects else [bars]:
            self._tell(endpoints.KLINES.at(listing.asset), told)
        return bars

    def _say_tickers(self, tickers: Mapping[str, Row]) -> list[Row]:
        for asset, told in tickers.items():
            self._tell(endpoints.TICKER.at(asset), told)
        every = list(tickers.values())
        self._tell(endpoints.TICKERS.path, every)
        return every

    def _say_fill(self, account: Account, trade: Row, over: Mapping[str, Any]) -> Row:
        told = account.fill(trade, over)
        self._tell(endpoints.USER_TRADE_EVENTS.at(account.user), told)
        if told["status"] == "Confirmed":
            self._tell(endpoints.USER_TRADES.at(account.user), told)
        return told

    def _say_position(self, user: str, listing: Listing, price: str, over: Mapping[str, Any]) -> Row:
        told = self.account(user).position(listing.asset, price, over)
        self._tell(endpoints.POSITIONS.at(user), told)
        return told

    def _order_event(self, account: Account, variant: OrderVariant, asset: str, over: Row) -> Row:
        listing = self.listing(asset)
        price = listing.market.last // listing.market.tick  # in book units
        told = account.order_event(variant, listing.asset, price, over)
        inner = {"type": _snake(variant), **told}
        frame = text_frame(encode(inner if self.settings.inner_tags else {variant: told}))
        for peer in self._watching.of(endpoints.ORDERS.path):
            if self._clients[peer].holder in ("", account.user):  # empty: a server without logins
                peer.tell(frame)
        return told

    # the market

    def numbering(self, key: str) -> tuple[Market, Callable[[range], None]]:
        """Confirmed trades; numbers are in `trade_id`."""
        listing = self.listing(key)

        def send(numbers: range) -> None:
            for number in numbers:
                self._say_trade(listing, listing.trade(number=number))

        return listing.market, send

    def step(self) -> None:
        listing = self.random.choice(list(self.listings.values()))
        users = self._listening()
        if self._unsettled and self.random.random() < 0.45:
            self._settle()
        elif users and self.random.random() < 0.25:
            self._act(self.account(self.random.choice(users)), listing)
        else:
            self._say(listing, listing.market.step())

    def _say(self, listing: Listing, step: Step) -> None:
        """Tells what a step of the market changed."""
        if step.buys or step.sells:
            self._say_diff(listing, listing.moved(step.buys, step.sells))
        if step.trade is None:
            return
        made = step.trade
        trade = listing.trade(price=made.price, quantity=made.quantity, number=made.number)
        trade |= {"status": "Pending", "buyer_is_maker": made.side == "buy"}
        self._say_trade(listing, trade)
        self._unsettled.append(("", trade))

    def _settle(self) -> None:
        """The oldest pending trade is confirmed or, seldom, undone."""
        user, trade = self._unsettled.popleft()
        listing = self.listing(trade["asset_id"])
        undone = self.random.random() < 0.03
        self._say_stage(user, listing, trade, "Rollbacked" if undone else "Confirmed")
        if not user:
            self._say_bars(listing, [listing.bar()])
            self._say_tickers({listing.asset: listing.ticker()})

    def _act(self, account: Account, listing: Listing) -> None:
        """A user places an order, or one is filled."""
        orders = account.open_orders
        if not orders:
            self._order_event(account, "Created", listing.asset, {})
            return
        row = orders[0]
        filled = self.listing(row["base_asset"])
        trade = filled.trade()
        trade |= {"price": row["limit_price"], "quantity": row["quantity"]}
        self._say_stage(account.user, filled, trade, "Pending")
        self._unsettled.append((account.user, trade))
        self._order_event(account, "Removed", filled.asset, {"order_id": row["order_id"]})
        self._say_position(account.user, filled, row["limit_price"], {"size": row["quantity"]})

    def _say_stage(self, user: str, listing: Listing, trade: Row, status: str) -> None:
        """One stage of a trade, as a user sees it, or the public."""
        if user:
            why = "settlement failed" if status == "Rollbacked" else None
            self._say_fill(self.account(user), trade, {"status": status, "rollback_reason": why})
        else:
            self._say_trade(listing, trade | {"status": status})

    def _listening(self) -> list[str]:
        """The users that have a stream open."""
        return sorted({each.stream.user or each.holder for each in self._clients.values()} - {""})

    def account(self, user: str) -> Account:
        if user not in self._accounts:
            self._accounts[user] = Account(user)
        return self._accounts[user]

    def listing(self, asset: str = "") -> Listing:
        """The market of an asset; of the first one, where none is named."""
        key = endpoints.canonical_asset(asset) if asset else next(iter(self.listings))
        return self.listings.get(key) or self._add(key)

    def _add(self, asset: str) -> Listing:
        if not endpoints.is_asset(asset):
            raise ValueError(f"{asset!r} is no asset: an index, or address@chain in hex")
        listing = Listing(asset, len(self.listings), seed=self.settings.seed, moving=self.settings.market)
        self.listings[asset] = listing
        return listing

    def has(self, asset: str) -> bool:
        return not asset or self.settings.assets is None or asset in self.listings

    # pages

    def answer(self, request: Request) -> HttpReply | Later:
        return self._pages.answer(request)

    def depth_page(self, asset: str) -> HttpReply | Later:
        error: HttpReply | None = self.pending.take("snapshot_error")
        seconds: float | None = None if error else self.pending.take("hold_snapshot")
        if seconds is None:
            return error or self._snapshot(asset)

        def promise(take: Callable[[HttpReply], None]) -> None:
            def serve() -> None:
                if serve in self._held:
                    self._held.remove(serve)
                    take(self._snapshot(asset))

            self._held.append(serve)
            if seconds:
                self.call_later(seconds, serve)
            self.announce()

        return Later(promise)

    def _snapshot(self, asset: str) -> HttpReply:
        self.snapshots += 1
        self.announce()
        listing = self.listing(asset)
        frozen: Mapping[str, Row] = self.pending.take("stale_snapshot") or {}
        return reply(frozen.get(listing.asset) or listing.snapshot())


def _snake(variant: str) -> str:
    """`CreateFailed` as `create_failed`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in variant).strip("_")
