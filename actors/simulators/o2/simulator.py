"""O2 from the venue's side: one socket, plain JSON, text heartbeats, and a market that moves."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from actors.simulators.base.client import Compression, Peer, Reply, Request, text_frame
from actors.simulators.base.faults import Fault, fault
from actors.simulators.base.random_market import (
    Asset,
    Levels,
    Market,
    Move,
    Order,
    Side,
    Step,
    Trade,
    gathered,
    make_id,
)
from actors.simulators.base.server import Message, Simulator

Identity = str | Mapping[str, str]  # an id alone is a contract's, as traders' are
NonceForm = Literal["decimal", "number", "hex"]
SnapshotKey = Literal["orders", "view", ""]

PONG = text_frame(b"PONG")

# O2's error codes
INVALID, UNREADABLE, NO_MARKET, NO_ACCOUNT, ALREADY, TOO_MANY = 1001, 1002, 2000, 4002, 6000, 6001

_FREQUENCIES = {"100ms": 0.1, "500ms": 0.5, "1s": 1.0, "3s": 3.0}
_PRECISIONS = {str(10**level): 10**level for level in range(1, 19)}
_IDENTITIES = 10  # in one request
_BY_MARKET = ("depth", "depth_view", "trades")
_BY_IDENTITY = ("orders", "balances", "nonce")
_PAIRS = (("FUEL", 12_000_000, 10_000), ("ETH", 3_000_000_000_000, 100_000_000), ("BTC", 90 * 10**12, 10**9))
_RECENT = 5  # trades that an acknowledgement repeats

_encode = msgspec.json.Encoder().encode


class SubscriptionRequest(Struct):
    """A frame of a client."""

    action: str
    market_id: str = ""
    precision: str = ""
    frequency: str = ""
    identities: list[dict[str, str]] = []


_asked = msgspec.json.Decoder(SubscriptionRequest).decode
_anything = msgspec.json.Decoder().decode


class Level(Struct, gc=False):
    price: str
    quantity: str


class Sides(Struct):
    buys: list[Level]
    sells: list[Level]


class DepthChanged(Struct, tag_field="action", tag="subscribe_depth_update"):
    market_id: str
    changes: Sides
    onchain_timestamp: str
    seen_timestamp: str


class Print(Struct, gc=False):
    trade_id: str
    side: str
    total: str
    quantity: str
    price: str
    timestamp: int


class Traded(Struct, tag_field="action", tag="subscribe_trades"):
    market_id: str
    trades: list[Print]
    onchain_timestamp: str
    seen_timestamp: str


class Subscription(Struct):
    """What one connection has in one slot."""

    channel: str
    keys: tuple[str, ...]
    precision: int = 10
    frequency: float = 0.0
    shown_at: float = 0.0  # depth_view: when the last picture was sent
    due: bool = False  # depth_view: the next picture has its timer


class Holding(Struct):
    free: int
    locked: int = 0


class Account:
    """Somebody who was asked for: he has some of everything, and trades."""

    def __init__(self, identity: Mapping[str, str], assets: Iterable[str], seed: object) -> None:
        dice = random.Random(f"{seed}/{next(iter(identity.values()))}")
        self.identity = dict(identity)
        self.nonce = dice.randint(1, 500)
        self.holdings = {asset: Holding(dice.randint(1_000, 9_000) * 10**9) for asset in assets}
        self.orders: dict[str, dict[str, Any]] = {}  # as last told, by id

    @property
    def id(self) -> str:
        return canonical(next(iter(self.identity.values())))


def canonical(text: str) -> str:
    """An id as it is compared: lower case, with 0x. Anything else stays as it is."""
    low = text.lower()
    bare = low.removeprefix("0x")
    return f"0x{bare}" if bare and set(bare) <= set("0123456789abcdef") else text


class SimulatedO2(Simulator):
    """O2 on loopback: a context manager.

    Whatever the venue's documents leave open can be played both ways; the arguments say which.
    """

    name: ClassVar[str] = "o2"
    path: ClassVar[str] = "/v1/ws"

    def __init__(
        self,
        port: int = 0,
        *,
        rate: float = 10.0,
        seed: int = 0,
        market: bool = True,
        faults: Iterable[str | Fault] = (),
        markets: Sequence[str] | None = None,
        inactivity: float = 60.0,
        pings_count: bool = True,
        snapshot_key: SnapshotKey = "orders",
        acknowledge_all: bool = False,
        name_errors: bool = False,
        untidy_ids: bool = False,
        nonce_form: NonceForm = "decimal",
        backlog: int = 1 << 20,
        send_buffer: int = 0,
        compression: Compression = "none",
    ) -> None:
        """What to play.

        Args:
            port: 0 picks a free one, which stays the same after stop() and start().
            rate: market steps a second; 0: nothing moves until a method is called.
            seed: the same seed makes the same market.
            market: False: the books are empty and stay so, but for what methods do.
            faults: armed at the first start, such as `"drop every=5"`.
            markets: their ids, and no others are known; None: three, and any that is asked for.
            inactivity: seconds without a message after which a client is closed; 0: never.
            pings_count: whether protocol pings are a sign of life, too.
            snapshot_key: where a snapshot has its sides: `orders`, `view`, or at its top ("").
            acknowledge_all: orders, trades, balances and nonce are answered with what is, too.
            name_errors: errors bear the action and the market that they are about.
            untidy_ids: ids lose their 0x or are in upper case, differently in each channel.
            nonce_form: how a nonce is written.
            backlog: bytes that may wait for a slow reader before it is cut off.
            send_buffer: bytes that the kernel may hold for a connection; 0: as it likes.
            compression: deflate: messages are compressed for clients that offer permessage-deflate.
        """
        super().__init__(
            port,
            rate=rate,
            seed=seed,
            faults=faults,
            inactivity=inactivity,
            pings_count=pings_count,
            backlog=backlog,
            send_buffer=send_buffer,
            compression=compression,
        )
        self.snapshot_key = snapshot_key
        self.acknowledge_all = acknowledge_all
        self.name_errors = name_errors
        self.untidy_ids = untidy_ids
        self.nonce_form = nonce_form
        self._moving = market
        self._open_list = markets is None
        self._markets: dict[str, Market] = {}
        self._names = [make_id("market", pair[0]) for pair in _PAIRS] if markets is None else list(markets)
        self._accounts: dict[str, Account] = {}
        for id in self._names:
            self._add_market(canonical(id))
        self._recent: dict[str, list[Any]] = {}  # the last trades of each market, as told
        self._subscriptions: dict[Peer, dict[tuple[str, str], Subscription]] = {}
        self._watching: dict[tuple[str, str], dict[Peer, Subscription]] = {}
        self._orders_made = 0

    # what a test sees and does

    @property
    def markets(self) -> list[str]:
        """The ids of the markets known from the start."""
        return [canonical(id) for id in self._names]

    def book(self, market: str, precision: int = 10) -> tuple[Levels, Levels]:
        """The bids and the asks as they are now: quantity by price."""
        with self._lock:
            found = self._market(market)
            bids, asks = gathered_book(found, precision)
            return dict(bids), dict(asks)

    def subscribers(self, channel: str, key: str) -> int:
        """How many connections are subscribed to this: `depth`, `trades`, `orders`, ..."""
        with self._lock:
            return len(self._watching.get((channel, canonical(key)), ()))

    def steps(self, n: int = 1) -> None:
        """The market moves `n` times, at once."""
        with self._lock:
            for _ in range(n):
                self.step()

    def trade(self, market: str, **over: Any) -> dict[str, Any]:
        """One print; `over` replaces its fields, or adds some. It leaves the book as it is.

        When it returns, the frame was written to every subscriber.
        """
        with self._lock:
            found = self._market(market)
            made = self._print(found, Trade(found.number(), "buy", found.last, found.lot))
            told: dict[str, Any] = msgspec.to_builtins(made) | over
            self._say_trade(found, told)
            return told

    def depth_change(self, market: str, buys: Sequence[Move] = (), sells: Sequence[Move] = ()) -> None:
        """Changes the book by signed quantities, and says so. A level that is used up is gone."""
        with self._lock:
            found = self._market(market)
            found.apply(buys, sells)
            self._say_depth(found, buys, sells)

    def order(self, identity: Identity, **over: Any) -> dict[str, Any]:
        """News of one order of an account: a new one, unless `order_id` is in `over`.

        It is no part of the book.
        """
        with self._lock:
            account = self._account(identity)
            found = next(iter(self._markets.values()))
            known = account.orders.get(canonical(str(over.get("order_id", ""))))
            resting = Order(
                id=self._order_id(account),
                account=account.id,
                market=found.id,
                side="buy",
                price=found.last,
                quantity=found.lot,
            )
            told = (known or self._entry(account, found, resting)) | over
            self._say_orders(account, [told])
            return told

    def balance(self, identity: Identity, asset: str = "", **over: Any) -> dict[str, Any]:
        """An account's balance of one asset; `over` replaces fields of the entry."""
        with self._lock:
            account = self._account(identity)
            entry = self._balance(account, canonical(asset) if asset else next(iter(account.holdings))) | over
            self._say_balances(account, [entry])
            return entry

    def nonce(self, identity: Identity, n: int | None = None, form: NonceForm | None = None) -> int:
        """An account's nonce: the next one, or `n`. Returns it."""
        with self._lock:
            account = self._account(identity)
            account.nonce = account.nonce + 1 if n is None else n
            self._tell("nonce", account.id, self._nonce_frame(account, form))
            return account.nonce

    def number_trades(
        self, market: str, count: int, per_second: float | None = None, *, background: bool = False
    ) -> range:
        """Prints with `trade_id` 1, 2, 3, ... in each market, said whether anybody listens or not.

        Without a pace it goes as fast as its slowest reader. Returns the numbers; in the background
        they are still to come.
        """
        with self._lock:
            found = self._market(market)
            first = found.traded + 1
            found.traded += count
            numbers = range(first, first + count)

        def say(number: int) -> None:
            made = self._print(found, Trade(number, "buy", found.last, found.lot))
            self._say_trade(found, made)

        self.feed((partial(say, number) for number in numbers), per_second, background)
        return numbers

    @fault
    def error(self, code: int = 1000, message: str = "internal error") -> None:
        """An error of the venue that answers nothing in particular."""
        self.send_frame(text_frame(_encode({"code": code, "message": message})))

    @fault
    def resync_required(self, market: str = "") -> None:
        """The venue lost its place: a market's book must be asked for again. Default: the first."""
        told = {
            "action": "error",
            "market_id": self._spell(canonical(market or self._names[0]), "error"),
            "turbo": True,
            "resync_required": True,
        }
        self.send_frame(text_frame(_encode(told)))

    # the protocol

    def canonical(self, key: str) -> str:
        return canonical(key)

    def decode(self, message: Message) -> Any:
        try:
            return _anything(message) if isinstance(message, str) and message[:1] == "{" else message
        except msgspec.DecodeError:
            return message

    def opened(self, peer: Peer) -> None:
        self._subscriptions[peer] = {}

    def closed(self, peer: Peer) -> None:
        for slot, subscription in self._subscriptions.pop(peer, {}).items():
            self._unwatch(peer, slot[0], subscription.keys)

    def received(self, peer: Peer, message: Message) -> None:
        if message == "PING":
            peer.answer(PONG)
            return
        try:
            asked = _asked(message)
        except msgspec.ValidationError as wrong:
            self._refuse(peer, INVALID, f"invalid request: {wrong}")
            return
        except (msgspec.DecodeError, RecursionError):
            self._refuse(peer, UNREADABLE, "cannot parse")
            return
        verb, _, channel = asked.action.partition("_")
        if channel not in (*_BY_MARKET, *_BY_IDENTITY) or verb not in ("subscribe", "unsubscribe"):
            self._refuse(peer, INVALID, f"invalid request: unknown action {asked.action!r}")
            return
        act = self._subscribe if verb == "subscribe" else self._unsubscribe
        self.subscription_asked(peer, lambda: act(peer, channel, asked))

    def _subscribe(self, peer: Peer, channel: str, asked: SubscriptionRequest) -> None:
        try:
            keys = self._keys(channel, asked)
            subscription = Subscription(channel, keys)
            if channel.startswith("depth"):
                subscription.precision = _one_of(_PRECISIONS, "precision", asked.precision)
            if channel == "depth_view":
                subscription.frequency = _one_of(_FREQUENCIES, "frequency", asked.frequency)
        except _Refused as refused:
            self._refuse(peer, refused.code, refused.text, asked)
            return
        if self.rejects(channel, *keys):
            code, text = (NO_MARKET, "market") if channel in _BY_MARKET else (NO_ACCOUNT, "account")
            self._refuse(peer, code, f"{text} not found", asked)
            return
        slots = self._subscriptions[peer]
        slot = (channel, keys[0] if channel in _BY_MARKET else "")
        if slot in slots:
            self._refuse(peer, ALREADY, "already subscribed", asked)
            return
        slots[slot] = subscription
        for key in keys:
            self._watching.setdefault((channel, key), {})[peer] = subscription
        frames = self._first_frames(subscription)
        if frames:
            self.acknowledge(peer, frames)
        self.announce()

    def _unsubscribe(self, peer: Peer, channel: str, asked: SubscriptionRequest) -> None:
        # Of a topic that was not subscribed to: unconfirmed what the venue does; here, nothing.
        slots = self._subscriptions[peer]
        slot = (channel, canonical(asked.market_id) if channel in _BY_MARKET else "")
        subscription = slots.get(slot)
        if subscription is None:
            return
        gone = subscription.keys
        if channel in ("balances", "nonce") and asked.identities:
            named = {canonical(next(iter(each.values()), "")) for each in asked.identities}
            gone = tuple(key for key in subscription.keys if key in named)
        self._unwatch(peer, channel, gone)
        subscription.keys = tuple(key for key in subscription.keys if key not in gone)
        if not subscription.keys:
            del slots[slot]
        self.announce()

    def _unwatch(self, peer: Peer, channel: str, keys: Iterable[str]) -> None:
        for key in keys:
            watching = self._watching[channel, key]
            del watching[peer]
            if not watching:
                del self._watching[channel, key]

    def _keys(self, channel: str, asked: SubscriptionRequest) -> tuple[str, ...]:
        if channel in _BY_MARKET:
            id = canonical(asked.market_id)
            if id not in self._markets and not (self._open_list and id.startswith("0x")):
                raise _Refused(NO_MARKET, "market not found")
            return (self._market(id).id,)
        if not asked.identities:
            raise _Refused(INVALID, "invalid request: no identities")
        if len(asked.identities) > _IDENTITIES:
            raise _Refused(TOO_MANY, f"too many subscriptions: at most {_IDENTITIES} identities")
        for each in asked.identities:
            if len(each) != 1 or not each.keys() <= {"ContractId", "Address"}:
                raise _Refused(INVALID, f"invalid request: {each} is no identity")
        return tuple(dict.fromkeys(self._account(each).id for each in asked.identities))

    def _refuse(self, peer: Peer, code: int, text: str, asked: SubscriptionRequest | None = None) -> None:
        told: dict[str, Any] = {"code": code, "message": text}
        if self.name_errors and asked is not None:
            told["action"] = asked.action
            if asked.market_id:
                told["market_id"] = asked.market_id
        peer.tell(text_frame(_encode(told)))

    def _first_frames(self, subscription: Subscription) -> list[bytes]:
        channel, keys = subscription.channel, subscription.keys
        if channel == "depth":
            return [self._snapshot(self._markets[keys[0]], subscription.precision)]
        if channel == "depth_view":
            subscription.shown_at = time.monotonic()
            return [self._view(self._markets[keys[0]], subscription.precision)]
        if not self.acknowledge_all:
            return []
        if channel == "trades":
            found = self._markets[keys[0]]
            return [self._trades(found, self._recent.get(found.id, []))]
        accounts = [self._accounts[key] for key in keys]
        if channel == "orders":
            orders = [order for account in accounts for order in account.orders.values()]
            return [self._frame("subscribe_orders", orders=[each for each in orders if not each["close"]])]
        if channel == "balances":
            entries = [self._balance(account, asset) for account in accounts for asset in account.holdings]
            return [self._frame("subscribe_balances", balance=entries)]
        return [self._nonce_frame(account) for account in accounts]

    # the market

    def step(self) -> None:
        if not self._moving:
            return
        found = self.random.choice(list(self._markets.values()))
        active = self._active()
        if active and self.random.random() < 0.25:
            self._act(self.random.choice(active), found)
        else:
            self._say(found, found.step())

    def _say(self, found: Market, step: Step) -> None:
        """Tells all who watch what a step changed: the book first, as the venue does."""
        if step.buys or step.sells:
            self._say_depth(found, step.buys, step.sells)
        if step.trade:
            self._say_trade(found, self._print(found, step.trade))
        for fill in step.fills:
            account = self._accounts[fill.order.account]
            paid = self._worth(found, fill.quantity, fill.order.price)
            base, quote = account.holdings[found.base.id], account.holdings[found.quote.id]
            if fill.order.side == "buy":
                quote.locked -= paid
                base.free += fill.quantity
            else:
                base.locked -= fill.quantity
                quote.free += paid
            self._say_account(account, found, fill.order)

    def _active(self) -> list[str]:
        return [key for channel, key in self._watching if channel in _BY_IDENTITY]

    def _act(self, key: str, found: Market) -> None:
        """An account places an order at the top of the book, or takes one back."""
        account = self._accounts[key]
        mine = [order for order in found.orders.values() if order.account == key]
        side: Side = self.random.choice(("buy", "sell"))
        order = Order(
            id=self._order_id(account),
            account=key,
            market=found.id,
            side=side,
            price=found.quote_for(side),
            quantity=found.lot * self.random.randint(1, 5),
        )
        holding, amount = self._at_stake(account, found, order)
        if len(mine) < 3 and amount <= holding.free:
            step = found.place(order)
            holding.free -= amount
            holding.locked += amount
        elif mine:
            order = mine[0]
            holding, amount = self._at_stake(account, found, order)
            step = found.cancel(order)
            holding.free += amount
            holding.locked -= amount
        else:
            return
        account.nonce += 1
        self._say(found, step)
        self._say_account(account, found, order)
        self._tell("nonce", key, self._nonce_frame(account))

    def _at_stake(self, account: Account, found: Market, order: Order) -> tuple[Holding, int]:
        """What an order locks: of which holding, and how much."""
        if order.side == "sell":
            return account.holdings[found.base.id], order.remaining
        return account.holdings[found.quote.id], self._worth(found, order.remaining, order.price)

    @staticmethod
    def _worth(found: Market, quantity: int, price: int) -> int:
        whole: int = abs(quantity) * price // 10**found.base.decimals
        return whole if quantity >= 0 else -whole

    def _say_account(self, account: Account, found: Market, order: Order) -> None:
        self._say_orders(account, [self._entry(account, found, order)])
        self._say_balances(
            account, [self._balance(account, asset) for asset in (found.base.id, found.quote.id)]
        )

    def _market(self, id: str) -> Market:
        key = canonical(id)
        return self._markets.get(key) or self._add_market(key)

    def _add_market(self, id: str) -> Market:
        symbol, price, tick = _PAIRS[len(self._markets) % len(_PAIRS)]
        if len(self._markets) >= len(_PAIRS):
            symbol += str(len(self._markets) // len(_PAIRS))
        base, quote = Asset(symbol, make_id("asset", symbol), 9), Asset("USDC", make_id("asset", "USDC"), 9)
        found = Market(
            id,
            base,
            quote,
            price=price,
            tick=tick,
            lot=10**7,
            seed=self._seed,
            moving=self._moving,
        )
        self._markets[id] = found
        for account in self._accounts.values():
            account.holdings.setdefault(base.id, Holding(10**12))
        return found

    def _account(self, identity: Identity) -> Account:
        named = {"ContractId": identity} if isinstance(identity, str) else identity
        key = canonical(next(iter(named.values())))
        found = self._accounts.get(key)
        if found is None:
            assets = [asset.id for each in self._markets.values() for asset in (each.quote, each.base)]
            tidy = {kind: canonical(value) for kind, value in named.items()}
            found = self._accounts[key] = Account(tidy, dict.fromkeys(assets), self._seed)
        return found

    def _order_id(self, account: Account) -> str:
        self._orders_made += 1
        return make_id("order", self._seed, account.id, self._orders_made)

    # frames

    def _tell(self, channel: str, key: str, frame: bytes) -> None:
        for peer in list(self._watching.get((channel, key), ())):
            peer.tell(frame)

    def _say_depth(self, found: Market, buys: Sequence[Move], sells: Sequence[Move]) -> None:
        frames: dict[int, bytes] = {}
        for peer, subscription in list(self._watching.get(("depth", found.id), {}).items()):
            precision = subscription.precision
            if precision not in frames:
                frames[precision] = self._change(found, buys, sells, precision)
            peer.tell(frames[precision])
        for peer, subscription in list(self._watching.get(("depth_view", found.id), {}).items()):
            if not subscription.due:
                subscription.due = True
                wait = subscription.shown_at + subscription.frequency - time.monotonic()
                show = partial(self._show, peer, subscription, found)
                if wait > 0:
                    self.call_later(wait, show)
                else:
                    show()

    def _show(self, peer: Peer, subscription: Subscription, found: Market) -> None:
        if self._watching.get(("depth_view", found.id), {}).get(peer) is subscription:
            subscription.due = False
            subscription.shown_at = time.monotonic()
            peer.tell(self._view(found, subscription.precision))

    def _change(self, found: Market, buys: Sequence[Move], sells: Sequence[Move], precision: int) -> bytes:
        if precision > found.tick or found.tick % precision:
            buys = list(gathered(buys, precision, "buy").items())
            sells = list(gathered(sells, precision, "sell").items())
        onchain, seen = _stamps()
        changes = Sides(_levels(buys), _levels(sells))
        told = DepthChanged(self._spell(found.id, "depth_update"), changes, onchain, seen)
        return text_frame(_encode(told))

    def _snapshot(self, found: Market, precision: int) -> bytes:
        body = self._sides(found, precision)
        if self.snapshot_key == "view":
            body = {"view": {"precision": precision, **body}}
        elif self.snapshot_key == "orders":
            body = {"orders": body}
        return self._frame("subscribe_depth", market_id=self._spell(found.id, "depth"), **body)

    def _view(self, found: Market, precision: int) -> bytes:
        view = {"precision": precision, **self._sides(found, precision)}
        return self._frame("subscribe_depth_view", market_id=self._spell(found.id, "depth_view"), view=view)

    def _sides(self, found: Market, precision: int) -> dict[str, Any]:
        bids, asks = gathered_book(found, precision)
        return {"buys": _levels(sorted(bids.items(), reverse=True)), "sells": _levels(sorted(asks.items()))}

    def _print(self, found: Market, trade: Trade) -> Print:
        total = self._worth(found, trade.quantity, trade.price)
        return Print(
            str(trade.number), trade.side, str(total), str(trade.quantity), str(trade.price), _now_ms()
        )

    def _say_trade(self, found: Market, told: Any) -> None:
        recent = self._recent.setdefault(found.id, [])
        recent.append(told)
        del recent[:-_RECENT]
        if ("trades", found.id) in self._watching:
            self._tell("trades", found.id, self._trades(found, [told]))

    def _trades(self, found: Market, trades: list[Any]) -> bytes:
        onchain, seen = _stamps()
        return text_frame(_encode(Traded(self._spell(found.id, "trades"), trades, onchain, seen)))

    def _entry(self, account: Account, found: Market, order: Order) -> dict[str, Any]:
        known = account.orders.get(order.id)
        return {
            "order_id": self._spell(order.id, "orders"),
            "market_id": self._spell(found.id, "orders"),
            "side": order.side,
            "order_type": "Spot",
            "quantity": str(order.quantity),
            "quantity_fill": str(order.filled),
            "price": str(order.price),
            "price_fill": str(order.price if order.filled else 0),
            "timestamp": known["timestamp"] if known else str(int(time.time())),
            "close": order.closed,
            "partially_filled": 0 < order.filled < order.quantity,
            "cancel": order.cancelled,
            "account": self._spell_identity(account, "orders"),
            "base_decimals": found.base.decimals,
        }

    def _say_orders(self, account: Account, orders: list[dict[str, Any]]) -> None:
        for each in orders:
            key = canonical(str(each["order_id"]))
            account.orders[key] = each
            while len(account.orders) > 200:
                del account.orders[next(iter(account.orders))]
        if ("orders", account.id) in self._watching:
            self._tell("orders", account.id, self._frame("subscribe_orders", orders=orders))

    def _balance(self, account: Account, asset: str) -> dict[str, Any]:
        holding = account.holdings.setdefault(asset, Holding(0))
        books = {
            self._spell(each.contract, "balances"): {
                "locked": str(holding.locked),
                "unlocked": "0",
                "fee": "0",
            }
            for each in list(self._markets.values())[:1]
        }
        return {
            "identity": self._spell_identity(account, "balances"),
            "asset_id": self._spell(asset, "balances"),
            "total_locked": str(holding.locked),
            "total_unlocked": str(holding.free),
            "trading_account_balance": str(holding.free),
            "order_books": books,
        }

    def _say_balances(self, account: Account, entries: list[dict[str, Any]]) -> None:
        if ("balances", account.id) in self._watching:
            self._tell("balances", account.id, self._frame("subscribe_balances", balance=entries))

    def _nonce_frame(self, account: Account, form: NonceForm | None = None) -> bytes:
        forms: dict[str, Callable[[int], str | int]] = {"decimal": str, "number": int, "hex": hex}
        nonce = forms[form or self.nonce_form](account.nonce)
        return self._frame("subscribe_nonce", contract_id=self._spell(account.id, "nonce"), nonce=nonce)

    def _frame(self, action: str, **fields: Any) -> bytes:
        onchain, seen = _stamps()
        stamps = {"onchain_timestamp": onchain, "seen_timestamp": seen}
        return text_frame(_encode({"action": action, **fields, **stamps}))

    def _spell(self, id: str, where: str) -> str:
        """An id as this channel writes it. O2 is not consistent about 0x and letter case."""
        if not self.untidy_ids:
            return id
        bare = id.removeprefix("0x")
        match where:
            case "depth" | "balances" | "error":
                return bare
            case "depth_update" | "nonce":
                return bare.upper()
            case _:
                return "0x" + bare.upper()

    def _spell_identity(self, account: Account, where: str) -> dict[str, str]:
        return {kind: self._spell(value, where) for kind, value in account.identity.items()}

    # REST

    def answer(self, request: Request) -> Reply:
        query = request.query
        match request.path:
            case "/health":
                return _reply({"status": "ok"})
            case "/v1/markets":
                return _reply(self._markets_page())
            case "/v1/depth":
                return self._depth_page(query)
            case "/v1/trades":
                found = self._markets.get(canonical(query.get("market_id", "")))
                if found is None:
                    return _reply_error(404, NO_MARKET, "market not found")
                return _reply({"trades": self._recent.get(found.id, [])[::-1]})
            case "/v1/order":
                id = canonical(query.get("order_id", ""))
                orders = [each.orders[id] for each in self._accounts.values() if id in each.orders]
                return _reply({"order": orders[0]}) if orders else _reply_error(404, 3000, "order not found")
            case "/v1/orders" | "/v1/balance" | "/v1/accounts":
                return self._account_page(request.path, query)
            case _:
                return _reply_error(404, INVALID, "not found")

    def _markets_page(self) -> dict[str, Any]:
        def asset(each: Asset) -> dict[str, Any]:
            return {
                "symbol": each.symbol,
                "asset": each.id,
                "decimals": each.decimals,
                "max_precision": each.max_precision,
            }

        listed = [
            {
                "contract_id": each.contract,
                "market_id": each.id,
                "maker_fee": "0",
                "taker_fee": "100",
                "min_order": str(each.lot),
                "dust": "1000",
                "price_window": 0,
                "base": asset(each.base),
                "quote": asset(each.quote),
            }
            for each in self._markets.values()
        ]
        registries = ("books_registry_id", "accounts_registry_id", "trade_account_oracle_id", "base_asset_id")
        return {**{key: make_id(key) for key in registries}, "chain_id": "0x0", "markets": listed}

    def _depth_page(self, query: Mapping[str, str]) -> Reply:
        found = self._markets.get(canonical(query.get("market_id", "")))
        if found is None:
            return _reply_error(404, NO_MARKET, "market not found")
        sides = self._sides(found, _PRECISIONS.get(query.get("precision", ""), 10))
        return _reply({"action": "depth", "market_id": found.id, "orders": sides})

    def _account_page(self, path: str, query: Mapping[str, str]) -> Reply:
        names = ("contract", "account", "address", "trade_account_id", "owner")
        id = next((query[name] for name in names if name in query), "")
        if not id:
            return _reply_error(400, INVALID, "invalid request: whose?")
        account = self._account(id)
        if path == "/v1/balance":
            return _reply(self._balance(account, canonical(query.get("asset_id", ""))))
        if path == "/v1/accounts":
            state = {"nonce": str(account.nonce), "owner": account.identity, "synced_with_network": True}
            return _reply({"trade_account_id": account.id, "trade_account": state, "session": None})
        market = canonical(query.get("market_id", ""))
        orders = [each for each in account.orders.values() if canonical(each["market_id"]) == market]
        if query.get("is_open") == "true":
            orders = [each for each in orders if not each["close"]]
        return _reply({"identity": account.identity, "market_id": market, "orders": orders})


class _Refused(Exception):  # noqa: N818  (an answer, not an error of ours)
    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


def gathered_book(found: Market, precision: int) -> tuple[Levels, Levels]:
    """A market's bids and asks by a coarser price."""
    return gathered(found.bids.items(), precision, "buy"), gathered(found.asks.items(), precision, "sell")


def _one_of(known: Mapping[str, Any], name: str, value: str) -> Any:
    if value not in known:
        raise _Refused(INVALID, f"invalid request: {name} {value!r} is none of {', '.join(known)}")
    return known[value]


def _levels(moves: Iterable[Move]) -> list[Level]:
    return [Level(str(price), str(quantity)) for price, quantity in moves]


def _stamps() -> tuple[str, str]:
    now = time.time_ns()
    return str(now // 1_000_000_000), str(now)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _reply(body: object) -> Reply:
    return Reply(200, _encode(body))


def _reply_error(status: int, code: int, message: str) -> Reply:
    return Reply(status, _encode({"code": code, "message": message}))
