"""tplus on loopback: what it answers, what it pushes, and how it may fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import msgspec

from actors.simulators.base.client import Later, Peer, Reply, Request, text_frame
from actors.simulators.base.faults import Fault, fault
from actors.simulators.base.random_market import Step
from actors.simulators.base.server import Message, Simulator
from actors.simulators.tplus import paths
from actors.simulators.tplus.account import Account, Activity, OrderVariant
from actors.simulators.tplus.auth import AuthRefused, SignatureGate
from actors.simulators.tplus.instruments import PRICE_DECIMALS, Level, Listing, Picture, Row, spell
from actors.simulators.tplus.paths import Stream, match, stream_at

Denial = Literal["refuse", "stay", "close"]
Form = Literal["lines", "array"]

UNAUTHORIZED = "Invalid or missing auth token"

_ASSETS = ("200", "201", "202")
_POLICY = 1008  # RFC 6455, section 7.4.1

_encode = msgspec.json.Encoder().encode
_anything = msgspec.json.Decoder().decode


class SimulatedTplus(Simulator):
    """tplus on loopback, its order service and its market data on one port: a context manager.

    Each stream is a path with a socket of its own: `url` plus the path. Whatever is not known of the
    venue can be played both ways; the arguments say which. Methods that push something have written it
    to every subscriber when they return.
    """

    name: ClassVar[str] = "tplus"
    path: ClassVar[str] = "/"

    def __init__(
        self,
        port: int = 0,
        *,
        rate: float = 10.0,
        seed: int = 0,
        market: bool = True,
        faults: Iterable[str | Fault] = (),
        assets: Sequence[str] | None = None,
        prefix: str = "",
        auth_prefix: str = "",
        login: bool = True,
        denial: Denial = "refuse",
        market_maker: bool = True,
        token_life: float = 86_400.0,
        nonce_life: float = 300.0,
        auth_limit: int = 100,
        auth_window: float = 1800.0,
        flat_errors: bool = False,
        inner_tags: bool = False,
        kline_objects: bool = False,
        ping_interval: float = 20.0,
        pong_timeout: float = 5.0,
        backlog: int = 1 << 20,
        send_buffer: int = 0,
    ) -> None:
        """What to play.

        Args:
            port: 0 picks a free one, which stays the same after stop() and start().
            rate: market steps a second; 0: nothing moves until a method is called.
            seed: the same seed makes the same market.
            market: False: the books are empty and stay so, but for what methods do.
            faults: armed at the first start, such as `"skip asset=200 every=5"`.
            assets: which have markets, and no others are known; None: three, and any that is asked for.
            prefix: what a gateway has before every path, such as `/gateway`.
            auth_prefix: what it has, after `prefix`, before /nonce, /auth and /logout alone.
            login: False: user streams and pages are open to all, as on older servers.
            denial: how a user stream without a valid token ends: 401 instead of the upgrade, or a
                welcome that says so on a socket that stays, or that closes.
            market_maker: False: the intent stream is refused with 403.
            token_life: seconds.
            nonce_life: seconds.
            auth_limit: requests for nonces and tokens in `auth_window` seconds; more get a 429.
            auth_window: seconds.
            flat_errors: errors are `{"error": "text"}`, without a code.
            inner_tags: order events are `{"type": "removed", ...}`, as on older servers.
            kline_objects: a bar is not in a list, and a page of bars is nothing but one: older servers.
            ping_interval: seconds between two pings of the server; 0: none.
            pong_timeout: seconds for the answer; a client that owes it is cut off.
            backlog: bytes that may wait for a slow reader before it is cut off.
            send_buffer: bytes that the kernel may hold for a connection; 0: as it likes.
        """
        super().__init__(port, rate=rate, seed=seed, faults=faults, backlog=backlog, send_buffer=send_buffer)
        self.denial = denial
        self.snapshots = 0  # how many books were served over HTTP
        self._login = login
        self._market_maker = market_maker
        self._flat_errors = flat_errors
        self._inner_tags = inner_tags
        self._kline_objects = kline_objects
        self._ping_interval = ping_interval
        self._pong_timeout = pong_timeout
        self._prefix = _tidy(prefix)
        self._auth_prefix = _tidy(auth_prefix)
        self._gate = SignatureGate(
            nonce_life=nonce_life, token_life=token_life, limit=auth_limit, window=auth_window
        )
        self._moving = market
        self._open_list = assets is None
        self._listings: dict[str, Listing] = {}
        self._names = [paths.canonical_asset(each) for each in (_ASSETS if assets is None else assets)]
        for each in self._names:
            self._add(each)
        self._accounts: dict[str, Account] = {}
        self._streams: dict[Peer, Stream] = {}
        self._holders: dict[Peer, str] = {}  # whose token opened it
        self._watching: dict[str, dict[Peer, None]] = {}  # by path
        self._unsettled: deque[tuple[str, Row]] = deque()  # pending trades of the market: user, trade
        self._owing: dict[Peer, int] = {}  # pongs
        # what faults leave behind
        self._unauthorized, self._unauthorized_code = 0, 0
        self._auth_refusals: list[Reply] = []
        self._snapshot_errors: list[Reply] = []
        self._stale, self._frozen = 0, dict[str, Row]()
        self._holds, self._hold_seconds = 0, 0.0
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
    def assets(self) -> list[str]:
        """The assets known from the start."""
        return list(self._names)

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
            return self._listing(asset).picture()

    def subscribers(self, path: str) -> int:
        """How many sockets are open at a stream's path, such as `/marketdepth/diff/200`."""
        with self._lock:
            found = stream_at(path)
            return len(self._watching.get(found.path, ())) if found else 0

    # what a test does

    def steps(self, n: int = 1) -> None:
        """The market moves `n` times, at once."""
        with self._lock:
            for _ in range(n):
                self.step()

    def depth_change(self, asset: str, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> Row:
        """Sets levels to new quantities, 0 takes them away; tells the diff and returns it.

        Raises:
            ValueError: a price or a quantity is no decimal, or below 0, or has more than 18 places.
        """
        with self._lock:
            listing = self._listing(asset)
            diff = listing.change(bids, asks)
            self._say_diff(listing, diff)
            return diff

    def trade(self, asset: str, **over: Any) -> Row:
        """A trade, confirmed unless `over` has another status; `over` replaces fields or adds some.

        To let it be pending first, say it twice: `trade("200", **(told | {"status": "Rollbacked"}))`.
        """
        with self._lock:
            listing = self._listing(asset)
            told = listing.trade(number=int(over.get("trade_id", 0))) | over
            self._say_trade(listing, told)
            return told

    def number_trades(
        self, asset: str, count: int, per_second: float | None = None, *, background: bool = False
    ) -> range:
        """Confirmed trades with `trade_id` 1, 2, 3, ... in each market, whether anybody listens or not.

        Without a pace it goes as fast as its slowest reader. Returns the numbers; in the background
        they are still to come.
        """
        with self._lock:
            listing = self._listing(asset)
            first = listing.market.traded + 1
            listing.market.traded += count
            numbers = range(first, first + count)

        def say(number: int) -> None:
            self._say_trade(listing, listing.trade(number=number))

        self.feed((partial(say, number) for number in numbers), per_second, background)
        return numbers

    def kline(self, asset: str, *bars: Mapping[str, Any], **over: Any) -> list[Row]:
        """These bars in one frame; none given: the open one, `over` replacing its fields."""
        with self._lock:
            listing = self._listing(asset)
            told = [dict(bar) for bar in bars] or [listing.bar() | over]
            self._say_bars(listing, told)
            return told

    def ticker(self, asset: str, **over: Any) -> Row:
        """An asset's ticker, on its own stream and on that of all tickers; `over` replaces fields."""
        with self._lock:
            listing = self._listing(asset)
            told = listing.ticker() | over
            self._say_tickers({listing.asset: told})
            return told

    def tickers(self, *assets: str) -> list[Row]:
        """The tickers of these assets, changed in one tick: one list, and each on its own stream."""
        with self._lock:
            told = {each.asset: each.ticker() for each in map(self._listing, assets)}
            self._say_tickers(told)
            return list(told.values())

    def user_trade(self, user: str, asset: str = "", **over: Any) -> Row:
        """A fill of a user, confirmed unless `over` has another status; `over` replaces fields.

        The stream of confirmed fills tells the confirmed ones alone.
        """
        with self._lock:
            account = self._account(user)
            listing = self._listing(asset)
            number = int(over.get("trade_id", 0))
            told = account.fill(listing.trade(number=number), over)
            self._say_fill(account, told)
            return told

    def order(self, user: str, variant: OrderVariant = "Created", asset: str = "", **over: Any) -> Row:
        """News of an order of a user, told to whoever opened `/orders` with his token.

        It is about the order made last unless `over` has its `order_id`; `Created` makes one. Returns
        the event's fields, without its tag.
        """
        with self._lock:
            account = self._account(user)
            told = account.order_event(variant, *self._terms_of(asset), over)
            self._say_order(account, variant, told)
            return told

    def position(self, user: str, asset: str = "", **over: Any) -> Row:
        """Changes one position of a user; tells all of them, and returns that.

        With `side="closed"` it is in the picture once more, and then gone.
        """
        with self._lock:
            account = self._account(user)
            listing = self._listing(asset)
            at = spell(listing.market.last, PRICE_DECIMALS)
            told = account.position(listing.asset, at, over)
            self._tell(paths.POSITIONS.format(user=account.user), told)
            return told

    def account_event(
        self, user: str, variant: Activity = "DepositLanded", asset: str = "", **over: Any
    ) -> Row:
        """A deposit, a withdrawal, ... of a user. Returns the event's fields, without its tag."""
        with self._lock:
            account = self._account(user)
            told = account.activity(variant, self._listing(asset).asset, over)
            self._tell(paths.ACTIVITY.format(user=account.user), {variant: told})
            return told

    def intent(self, asset: str = "", **over: Any) -> Row:
        """What market makers intend with an asset, in one window."""
        with self._lock:
            listing = self._listing(asset)
            deltas = {"watchers_delta": 1, "quantity_delta": "2.5", "watchers": 3, "quantity": "7.5"}
            told = {"asset_id": listing.asset, **deltas, "window_end_ns": listing.trade()["timestamp_ns"]}
            told |= over
            self._tell(paths.INTENT, told)
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
    def unauthorized(self, n: int = 1, close: int = 0) -> None:
        """Welcomes the next `n` user streams with `"errors":"unauthorized"`, whatever their token.

        `close`: the code they are then closed with; 0: they stay open, and hear nothing.
        """
        with self._lock:
            self._unauthorized, self._unauthorized_code = n, close

    @fault
    def no_welcome(self, n: int = 1) -> None:
        """Leaves out the welcome of the next `n` streams; their data comes all the same."""
        self.lose_ack(n)

    @fault
    def expire_tokens(self, close: int = 0) -> None:
        """No token is valid any more. `close`: the code that user streams are closed with; 0: they stay."""
        with self._lock:
            self._gate.expire()
            for peer, stream in list(self._streams.items()):
                if close and stream.kind.access != "public":
                    peer.close(close, "token expired")

    @fault
    def refuse_auth(self, status: int = 503, n: int = 1, retry_after: float = 0.0) -> None:
        """Answers the next `n` requests for a nonce or a token with this HTTP status.

        `retry_after`: seconds; 0: not said.
        """
        headers = {"Retry-After": f"{retry_after:g}"} if retry_after else {}
        with self._lock:
            self._auth_refusals += [self._error(status, _code(status), "refused", headers=headers)] * n

    @fault
    def snapshot_error(self, status: int = 503, n: int = 1) -> None:
        """Answers the next `n` requests for a book with this HTTP status."""
        with self._lock:
            self._snapshot_errors += [self._error(status, _code(status), "no book now")] * n

    @fault
    def hold_snapshot(self, seconds: float = 0.0, n: int = 1) -> None:
        """Serves the next `n` books only so many seconds later, as they are then.

        0 seconds: when `release_snapshots()` or `heal()` is called.
        """
        with self._lock:
            self._holds, self._hold_seconds = n, seconds

    @fault
    def stale_snapshot(self, n: int = 1) -> None:
        """Serves the next `n` books as they are at this moment, whatever diffs come meanwhile."""
        with self._lock:
            self._stale = n
            self._frozen = {asset: each.snapshot() for asset, each in self._listings.items()}

    @fault
    def skip(self, asset: str = "") -> None:
        """A book changes, and its diff is lost: the next one jumps. Default: the first asset."""
        with self._lock:
            self._listing(asset).touch()

    @fault
    def repeat(self, asset: str = "") -> None:
        """Tells a book's last diff again."""
        with self._lock:
            listing = self._listing(asset)
            self._send(paths.DEPTH.format(asset=listing.asset), listing.last_diff)

    @fault
    def restart_sequence(self, asset: str = "") -> None:
        """A book begins to count anew: it is at 0, and its next diff is 1."""
        with self._lock:
            self._listing(asset).sequence = 0

    @fault
    def malformed_diff(self, asset: str = "") -> None:
        """A book changes, and its diff cannot be read."""
        with self._lock:
            listing = self._listing(asset)
            diff = listing.touch()
            told = {"asks": [["101.50"]], "bids": None, "sequence_number": str(diff["sequence_number"])}
            self._tell(paths.DEPTH.format(asset=listing.asset), told)

    @fault
    def unknown_level(self, asset: str = "") -> None:
        """A diff takes away a level that is not there."""
        with self._lock:
            listing = self._listing(asset)
            self._say_diff(listing, listing.unknown_level())

    @fault
    def two_documents(self, asset: str = "", form: Form = "lines") -> None:
        """Two diffs in one frame, and two trades: as two lines, or as an array."""
        with self._lock:
            listing = self._listing(asset)
            diffs = [listing.touch(), listing.touch()]
            trades = [listing.trade(), listing.trade()]
            for each in trades:
                listing.confirmed(each)
            for path, told in ((paths.DEPTH, diffs), (paths.TRADES, trades), (paths.TRADES_OF, trades)):
                payload = _encode(told) if form == "array" else b"\n".join(map(_encode, told))
                self._send(path.format(asset=listing.asset), text_frame(payload))

    @fault
    def unknown_variant(self) -> None:
        """An event of a kind that nobody knows, on every stream that tells kinds apart."""
        kinds = (paths.ORDERS, paths.ACTIVITY, paths.TRADE_EVENTS, paths.TRADE_EVENTS_OF)
        told = {"Teleported": {"order_id": "o-0", "timestamp_ns": 0}}
        with self._lock:
            for peer, stream in list(self._streams.items()):
                if stream.kind.path in kinds:
                    inner = self._inner_tags and stream.kind.path == paths.ORDERS
                    tagged = {"type": "teleported", **told["Teleported"]} if inner else told
                    peer.tell(text_frame(_encode(tagged)))

    @fault
    def rollback(self, asset: str = "") -> None:
        """A trade is pending and then undone, for the public and for every user who listens."""
        with self._lock:
            listing = self._listing(asset)
            trade = listing.trade() | {"status": "Pending"}
            for user in ["", *self._listening()]:
                self._say_pending(user, listing, trade)
            for user in ["", *self._listening()]:
                self._say_settled(user, listing, trade, "Rollbacked")

    @fault
    def ping_text(self) -> None:
        """Says `{"type":"ping"}` to everybody, as a text."""
        self.send_raw('{"type":"ping"}')

    @fault
    def close_stream(self, path: str, code: int = 1001) -> None:
        """Closes the sockets at one path, such as `/orders`. Code 0: resets them, without a close frame."""
        with self._lock:
            found = stream_at(path)
            for peer, stream in list(self._streams.items()):
                if found and stream.path == found.path:
                    if code:
                        peer.close(code)
                    else:
                        peer.cut()

    def heal(self) -> None:
        """Ends all lasting faults, and those still to come. What was lost stays lost."""
        with self._lock:
            super().heal()
            self._unauthorized = self._stale = self._holds = 0
            self._auth_refusals.clear()
            self._snapshot_errors.clear()
            self.release_snapshots()

    # the streams

    def canonical(self, key: str) -> str:
        return key if key.startswith("/") else paths.canonical_asset(key)

    def decode(self, message: Message) -> Any:
        try:
            return _anything(message) if isinstance(message, str) and message[:1] == "{" else message
        except msgspec.DecodeError:
            return message

    def serves(self, path: str) -> bool:
        stream = self._stream(path)
        return stream is not None and self._has(stream.asset) and not self.rejects(stream.path, stream.asset)

    def objection(self, request: Request) -> Reply | None:
        stream = self._stream(request.path)
        if stream is None or stream.kind.access == "public" or not self._login:
            return None
        holder = self._gate.holder(request.headers)
        if not holder:
            return self._error(401, "UNAUTHORIZED", UNAUTHORIZED) if self.denial == "refuse" else None
        if stream.user not in ("", holder) or (stream.kind.access == "makers" and not self._market_maker):
            return self._error(403, "FORBIDDEN", "Not yours to see")
        return None

    def opened(self, peer: Peer) -> None:
        assert peer.request is not None
        stream = self._stream(peer.request.path)
        assert stream is not None
        self._streams[peer] = stream
        self._holders[peer] = self._gate.holder(peer.request.headers)
        if self._ping_interval:
            self._owing[peer] = 0
            self.call_later(self._ping_interval, partial(self._ask, peer))
        self.subscription_asked(peer, partial(self._welcome, peer, stream))

    def closed(self, peer: Peer) -> None:
        stream = self._streams.pop(peer, None)
        self._holders.pop(peer, None)
        self._owing.pop(peer, None)
        if stream is not None:
            self._watching.get(stream.path, {}).pop(peer, None)

    def ponged(self, peer: Peer) -> None:
        if peer in self._owing:
            self._owing[peer] = 0
        super().ponged(peer)

    def _welcome(self, peer: Peer, stream: Stream) -> None:
        private = stream.kind.access != "public" and self._login
        faulty = private and self._unauthorized > 0
        if faulty or (private and not self._holders[peer]):
            self._deny(peer, faulty)
            return
        self._watching.setdefault(stream.path, {})[peer] = None
        control = stream.kind.path == paths.CONTROL
        channels = [{"name": stream.kind.channel.format(asset=stream.asset)}]
        told = {"type": "control" if control else "subscriptions", "channels": channels, "errors": None}
        self.acknowledge(peer, [text_frame(_encode(told))])
        self.announce()

    def _deny(self, peer: Peer, faulty: bool) -> None:
        told = {"type": "subscriptions", "channels": [], "errors": "unauthorized"}
        peer.tell(text_frame(_encode(told)))
        code = _POLICY if self.denial == "close" else 0
        if faulty:
            self._unauthorized -= 1
            code = self._unauthorized_code
        if code:
            peer.close(code, "unauthorized")

    def _ask(self, peer: Peer) -> None:
        """Pings a client, and cuts it off where it does not answer."""
        if not peer.open:
            return
        if not peer.deaf:
            self._owing[peer] += 1
            peer.ping()
            self.call_later(self._pong_timeout, partial(self._collect, peer))
        self.call_later(self._ping_interval, partial(self._ask, peer))

    def _collect(self, peer: Peer) -> None:
        if peer.open and not peer.deaf and self._owing.get(peer):
            peer.cut(reset=False)

    def _stream(self, path: str) -> Stream | None:
        return stream_at(path.removeprefix(self._prefix)) if path.startswith(self._prefix + "/") else None

    def _tell(self, path: str, told: object) -> None:
        if self._watching.get(path):
            self._send(path, text_frame(_encode(told)))

    def _send(self, path: str, frame: bytes) -> None:
        if frame:
            for peer in list(self._watching.get(path, ())):
                peer.tell(frame)

    def _say_diff(self, listing: Listing, diff: Row) -> None:
        listing.last_diff = text_frame(_encode(diff))
        self._send(paths.DEPTH.format(asset=listing.asset), listing.last_diff)

    def _say_trade(self, listing: Listing, trade: Row) -> None:
        if trade["status"] == "Confirmed":
            listing.confirmed(trade)
            self._tell(paths.TRADES, trade)
            self._tell(paths.TRADES_OF.format(asset=listing.asset), trade)
        event = {trade["status"]: trade}
        self._tell(paths.TRADE_EVENTS, event)
        self._tell(paths.TRADE_EVENTS_OF.format(asset=listing.asset), event)

    def _say_bars(self, listing: Listing, bars: list[Row]) -> None:
        path = paths.KLINES.format(asset=listing.asset)
        for told in bars if self._kline_objects else [bars]:
            self._tell(path, told)

    def _say_tickers(self, tickers: Mapping[str, Row]) -> None:
        for asset, told in tickers.items():
            self._tell(paths.TICKER.format(asset=asset), told)
        self._tell(paths.TICKERS, list(tickers.values()))

    def _say_fill(self, account: Account, told: Row) -> None:
        self._tell(paths.USER_TRADE_EVENTS.format(user=account.user), told)
        if told["status"] == "Confirmed":
            self._tell(paths.USER_TRADES.format(user=account.user), told)

    def _say_order(self, account: Account, variant: str, told: Row) -> None:
        inner = {"type": _snake(variant), **told}
        frame = text_frame(_encode(inner if self._inner_tags else {variant: told}))
        for peer in list(self._watching.get(paths.ORDERS, ())):
            if self._holders[peer] in ("", account.user):  # nobody's: a server without logins
                peer.tell(frame)

    # the market

    def step(self) -> None:
        if not self._moving:
            return
        listing = self.random.choice(list(self._listings.values()))
        users = self._listening()
        if self._unsettled and self.random.random() < 0.45:
            self._settle()
        elif users and self.random.random() < 0.25:
            self._act(self._account(self.random.choice(users)), listing)
        else:
            self._say(listing, listing.market.step())

    def _say(self, listing: Listing, step: Step) -> None:
        """Tells what a step of the market changed."""
        if step.buys or step.sells:
            self._say_diff(listing, listing.moved(step.buys, step.sells))
        if step.trade is None:
            return
        trade = listing.trade(
            price=step.trade.price, quantity=step.trade.quantity, number=step.trade.number
        ) | {"status": "Pending", "buyer_is_maker": step.trade.side == "buy"}
        self._say_trade(listing, trade)
        self._unsettled.append(("", trade))

    def _settle(self) -> None:
        """The oldest pending trade is confirmed or, seldom, undone."""
        user, trade = self._unsettled.popleft()
        listing = self._listing(trade["asset_id"])
        undone = self.random.random() < 0.03
        self._say_settled(user, listing, trade, "Rollbacked" if undone else "Confirmed")
        if not user:
            self._say_bars(listing, [listing.bar()])
            self._say_tickers({listing.asset: listing.ticker()})

    def _act(self, account: Account, listing: Listing) -> None:
        """A user places an order, or one of his is filled."""
        orders = account.open_orders
        if not orders:
            told = account.order_event("Created", *self._terms_of(listing.asset), {})
            self._say_order(account, "Created", told)
            return
        row = orders[0]
        filled = self._listing(row["base_asset"])
        trade = filled.trade()
        trade |= {"price": row["limit_price"], "quantity": row["quantity"]}
        self._say_pending(account.user, filled, trade)
        self._unsettled.append((account.user, trade))
        over = {"order_id": row["order_id"]}
        removed = account.order_event("Removed", *self._terms_of(filled.asset), over)
        self._say_order(account, "Removed", removed)
        position = account.position(filled.asset, row["limit_price"], {"size": row["quantity"]})
        self._tell(paths.POSITIONS.format(user=account.user), position)

    def _say_pending(self, user: str, listing: Listing, trade: Row) -> None:
        self._say_stage(user, listing, trade, {"status": "Pending"})

    def _say_settled(self, user: str, listing: Listing, trade: Row, status: str) -> None:
        undone = status == "Rollbacked"
        why = {"rollback_reason": "settlement failed" if undone else None} if user else {}
        self._say_stage(user, listing, trade, {"status": status, **why})

    def _say_stage(self, user: str, listing: Listing, trade: Row, over: Row) -> None:
        """One stage of a trade, as a user sees it, or the public."""
        if user:
            account = self._account(user)
            self._say_fill(account, account.fill(trade, over))
        else:
            self._say_trade(listing, trade | over)

    def _listening(self) -> list[str]:
        """The users of whom somebody hears something."""
        users = [stream.user or self._holders[peer] for peer, stream in self._streams.items()]
        return sorted({user for user in users if user})

    def _account(self, user: str) -> Account:
        if user not in self._accounts:
            self._accounts[user] = Account(user)
        return self._accounts[user]

    def _listing(self, asset: str = "") -> Listing:
        """The market of an asset; of the first one, where none is named."""
        key = paths.canonical_asset(asset) if asset else next(iter(self._listings))
        return self._listings.get(key) or self._add(key)

    def _add(self, asset: str) -> Listing:
        if not paths.is_asset(asset):
            raise ValueError(f"{asset!r} is no asset: an index, or address@chain in hex")
        listing = Listing(asset, len(self._listings), seed=self._seed, moving=self._moving)
        self._listings[asset] = listing
        return listing

    def _has(self, asset: str) -> bool:
        return not asset or self._open_list or asset in self._listings

    def _terms_of(self, asset: str) -> tuple[str, int]:
        """An asset, and its price in book units."""
        listing = self._listing(asset)
        return listing.asset, listing.market.last // listing.market.tick

    # pages

    def answer(self, request: Request) -> Reply | Later:
        path = request.path
        if not path.startswith(self._prefix + "/"):
            return self._error(404, "NOT_FOUND", "not found")
        path = path.removeprefix(self._prefix)
        try:
            login = self._login_page(path, request)
            return login if login is not None else self._page(path, request)
        except AuthRefused as refused:
            return self._error(refused.status, refused.code, refused.text, retryable=refused.retryable)

    def _login_page(self, path: str, request: Request) -> Reply | None:
        """The answer of the authority; None: it is another page."""
        if not path.startswith(self._auth_prefix + "/"):
            return None
        path = path.removeprefix(self._auth_prefix)
        if (request.method, path) == ("POST", "/logout"):
            self._gate.logout(request.headers)
            return _reply({})
        asked = match("/nonce/{user}", path)
        if not (asked if request.method == "GET" else path == "/auth"):
            return None
        self._gate.meter()
        if self._auth_refusals:
            return self._auth_refusals.pop(0)
        if asked:
            nonce = self._gate.nonce(asked["user"])
            return _reply({"value": nonce.value, "expiry_ns": nonce.expiry_ns})
        token = self._gate.login(request.body)
        return _reply({"token": token.value, "expiry_ns": token.expiry_ns})

    def _page(self, path: str, request: Request) -> Reply | Later:
        query = request.query
        for template, page in self._pages.items():
            found = match(template, path)
            if found is None:
                continue
            asset, user = found.get("asset", ""), found.get("user", "")
            if not self._has(asset):
                raise AuthRefused(404, "MARKET_NOT_FOUND", f"No market {asset}")
            if user:
                self._admit(request, user)
            return page(self, asset, user, query)
        raise AuthRefused(404, "NOT_FOUND", "not found")

    def _admit(self, request: Request, user: str) -> None:
        if not self._login:
            return
        holder = self._gate.holder(request.headers)
        if not holder:
            raise AuthRefused(401, "UNAUTHORIZED", UNAUTHORIZED)
        if holder != user:
            raise AuthRefused(403, "FORBIDDEN", "Not yours to see")

    def _health_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        return _reply({"status": "ok"})

    def _depth_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply | Later:
        if self._snapshot_errors:
            return self._snapshot_errors.pop(0)
        if not self._holds:
            return self._snapshot(asset)
        self._holds -= 1

        def promise(take: Callable[[Reply], None]) -> None:
            def serve() -> None:
                if serve in self._held:
                    self._held.remove(serve)
                    take(self._snapshot(asset))

            self._held.append(serve)
            if self._hold_seconds:
                self.call_later(self._hold_seconds, serve)
            self.announce()

        return Later(promise)

    def _snapshot(self, asset: str) -> Reply:
        self.snapshots += 1
        self.announce()
        listing = self._listing(asset)
        if self._stale:
            self._stale -= 1
            return _reply(self._frozen.get(listing.asset) or listing.snapshot())
        return _reply(listing.snapshot())

    def _ticker_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        return _reply(self._listing(asset).ticker())

    def _tickers_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        return _reply([each.ticker() for each in self._listings.values()])

    def _klines_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        listing = self._listing(asset)
        listing.bar()
        end = _number(query, "end_timestamp_ns", 1 << 63)
        bars = [each for each in reversed(listing.bars) if each["open_timestamp_ns"] <= end]
        rows, meta = _part(bars, query, 500)
        if self._kline_objects:
            return _reply(rows)
        ahead = {key: meta[key] for key in ("has_next_page", "next_page")}
        return _reply({"items": rows, **ahead, "truncated_before_ns": None})

    def _trades_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        listings = [self._listing(asset)] if asset else self._listings.values()
        trades = [trade for each in listings for trade in each.trades]
        trades.sort(key=lambda trade: trade["timestamp_ns"], reverse=True)
        return _reply(_part(trades, query, 100)[0])

    def _markets_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        listed = [each.terms() for each in self._listings.values()]
        rows, meta = _part(listed, query, 1000)
        return _reply({"markets": rows, "symbol_map": None, "total_markets": len(listed), **meta})

    def _market_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        return _reply(self._listing(asset).terms())

    def _orders_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        rows = list(reversed(self._account(user).orders.values()))
        if asset:
            rows = [row for row in rows if row["base_asset"] == asset]
        if query.get("open_only", "").lower() == "true":
            rows = [row for row in rows if row["status"] == "open"]
        rows, meta = _part(rows, query, 100)
        return _reply(rows if asset else {"orders": rows, **meta})

    def _positions_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        rows = [row for row in self._account(user).positions.values() if asset in ("", row["asset_id"])]
        rows, meta = _part(rows, query, 100)
        return _reply({"positions": rows, "total_positions": len(rows), **meta})

    def _fills_page(self, asset: str, user: str, query: Mapping[str, str]) -> Reply:
        newest = reversed(self._account(user).fills.values())
        fills = [each for each in newest if asset in ("", each["asset_id"])]
        rows, meta = _part(fills, query, 100)
        # Several fills may be one row of the history, so it has no numbers.
        rows = [{key: value for key, value in row.items() if key != "trade_id"} for row in rows]
        ahead = {key: meta[key] for key in ("has_next_page", "next_page")}
        return _reply({"trades": rows, **ahead})

    _pages: ClassVar[Mapping[str, Callable[..., Reply | Later]]] = {
        "/health": _health_page,
        "/marketdepth/{asset}": _depth_page,
        "/ticker/{asset}": _ticker_page,
        "/tickers": _tickers_page,
        "/klines/{asset}": _klines_page,
        "/trades": _trades_page,
        "/trades/{asset}": _trades_page,
        "/markets": _markets_page,
        "/market/{asset}": _market_page,
        "/orders/user/{user}": _orders_page,
        "/orders/user/{user}/{asset}": _orders_page,
        "/positions/{user}": _positions_page,
        "/positions/{user}/{asset}": _positions_page,
        "/trades/user/{user}": _fills_page,
        "/trades/user/{user}/{asset}": _fills_page,
    }

    def _error(
        self,
        status: int,
        code: str,
        text: str,
        *,
        retryable: bool | None = None,
        headers: Mapping[str, str] = {},
    ) -> Reply:
        if self._flat_errors:
            return Reply(status, _encode({"error": text}), headers)
        again = status == 429 or status >= 500 if retryable is None else retryable
        error = {"code": code, "message": text, "details": None, "retryable": again}
        return Reply(status, _encode({"error": error}), headers)


def _reply(body: object) -> Reply:
    return Reply(200, _encode(body))


def _tidy(prefix: str) -> str:
    bare = prefix.strip("/")
    return f"/{bare}" if bare else ""


def _snake(variant: str) -> str:
    """`CreateFailed` as `create_failed`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in variant).strip("_")


def _code(status: int) -> str:
    known = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 429: "RATE_LIMITED", 503: "SERVER_BUSY"}
    return known.get(status, "INTERNAL_ERROR")


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    try:
        return max(int(query.get(name, default)), 0)
    except ValueError:
        raise AuthRefused(400, "INVALID_REQUEST", f"{name} is a whole number") from None


def _part(rows: Sequence[Row], query: Mapping[str, str], size: int) -> tuple[list[Row], Row]:
    """The rows of the page that was asked for, and what is said about it."""
    page, limit = _number(query, "page", 0), _number(query, "limit", size) or size
    part = list(rows[page * limit : (page + 1) * limit])
    more = len(rows) > (page + 1) * limit
    return part, {
        "page": page,
        "limit": limit,
        "total_pages": -(-len(rows) // limit),
        "cursor_size": len(part),
        "has_next_page": more,
        "next_page": page + 1 if more else None,
    }
