"""O2 from the venue's side: one socket, plain JSON, text heartbeats, and a market that moves."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Struct

from actors.simulators.base.client import (
    HttpReply,
    Later,
    Peer,
    Request,
    RequestRefused,
    retry_header,
    text_frame,
)
from actors.simulators.base.connections import Groups
from actors.simulators.base.faults import Code, RetryAfter, Status, Text, Times, fault
from actors.simulators.base.history_faults import HistoryFaults
from actors.simulators.base.random_market import Levels, Market, Move, Order, Side, Step, Trade
from actors.simulators.base.server import Message, Simulator
from actors.simulators.base.settings import given
from actors.simulators.o2 import payloads
from actors.simulators.o2.account import Account, Holding, Identity, named
from actors.simulators.o2.history import History
from actors.simulators.o2.instruments import PAIRS, PRECISIONS, Listing, book_of, canonical, make_id
from actors.simulators.o2.payloads import Payloads, SubscriptionRequest, encode, printed
from actors.simulators.o2.rest import Pages
from actors.simulators.o2.settings import NonceForm, SimulatedO2Settings

_FREQUENCIES = {"100ms": 0.1, "500ms": 0.5, "1s": 1.0, "3s": 3.0}
_IDENTITIES = 10  # in one request
_BY_MARKET = ("depth", "depth_view", "trades")
_BY_IDENTITY = ("orders", "balances", "nonce")
_RECENT = 5  # trades that an acknowledgement repeats

Slot = tuple[str, str]  # a channel, and a market: what a connection can have once

_asked = msgspec.json.Decoder(SubscriptionRequest).decode


class Subscription(Struct, eq=False):
    """What one connection has in one slot."""

    peer: Peer
    channel: str
    keys: tuple[str, ...]
    precision: int = 10
    frequency: float = 0.0  # depth_view: seconds between two pictures
    shown_at: float = 0.0  # depth_view: when the last picture was sent, monotonic seconds
    due: bool = False  # depth_view: the next picture has its timer


class SimulatedO2(Simulator, HistoryFaults):
    """O2 on loopback: a context manager."""

    name: ClassVar[str] = "o2"
    path: ClassVar[str] = "/v1/ws"
    Settings = SimulatedO2Settings

    settings: SimulatedO2Settings

    @given(SimulatedO2Settings)
    def __init__(self, settings: SimulatedO2Settings) -> None:
        self.set_up(settings)
        self.known_markets: dict[str, Listing] = {}
        self.known_accounts: dict[str, Account] = {}
        wanted = settings.markets
        usual = [make_id("market", pair[0]) for pair in PAIRS]
        self.markets = [canonical(id) for id in (usual if wanted is None else wanted)]  # from the start on
        for id in self.markets:
            self._add_market(id)
        self._payloads = Payloads(settings)
        self._pages = Pages(self)
        self.history = History(self)
        self.recent: dict[str, deque[Any]] = {}  # the last trades of each market, as told, oldest first
        self._subscriptions: dict[Peer, dict[Slot, Subscription]] = {}
        self._watching: Groups[tuple[str, str], Subscription] = Groups()  # by channel and key
        self._orders_made = 0

    # what a test sees and does

    def book(self, market: str, precision: int = 10) -> tuple[Levels, Levels]:
        """The bids and the asks as they are now: quantity by price."""
        with self._lock:
            return book_of(self._market(market), precision)

    def subscribers(self, channel: str, key: str) -> int:
        """How many connections are subscribed to this: `depth`, `trades`, `orders`, ..."""
        with self._lock:
            return self._watching.count((channel, canonical(key)))

    def name_of(self, market: str) -> str:
        """What the list of markets calls it: `FUEL/USDC` is the first one."""
        with self._lock:
            return self._market(market).name

    def rename(self, market: str, name: str) -> None:
        """Calls a market `BASE/QUOTE` in the list from now on. A name may be that of two markets."""
        with self._lock:
            self._market(market).rename(name)

    def trade(self, market: str, **over: Any) -> dict[str, Any]:
        """One print; `over` replaces its fields, or adds some. It leaves the book as it is.

        When it returns, the frame was written to every subscriber.
        """
        with self._lock:
            found = self._market(market)
            made = printed(found, Trade(found.number(), "buy", found.last, found.lot))
            told: dict[str, Any] = msgspec.to_builtins(made) | over
            self._say_trade(found, told)
            return told

    def depth_change(self, market: str, buys: Sequence[Move] = (), sells: Sequence[Move] = ()) -> None:
        """Changes the book by signed quantities, and tells it. A level that is used up is gone."""
        with self._lock:
            found = self._market(market)
            found.apply(buys, sells)
            self._say_depth(found, buys, sells)

    def order(self, identity: Identity, **over: Any) -> dict[str, Any]:
        """News of one order of an account: a new one, unless `order_id` is in `over`.

        It is no part of the book.
        """
        with self._lock:
            account = self.account(identity)
            found = next(iter(self.known_markets.values()))
            known = account.orders.get(canonical(str(over.get("order_id", ""))))
            resting = self._new_order(account, found, "buy", found.last, found.lot)
            told = (known or self._payloads.order(account, found, resting)) | over
            self._say_order(account, told)
            return told

    def balance(self, identity: Identity, asset: str = "", **over: Any) -> dict[str, Any]:
        """An account's balance of one asset; `over` replaces fields of the entry."""
        with self._lock:
            account = self.account(identity)
            held = canonical(asset) if asset else next(iter(account.holdings))
            entry = self.balance_entry(account, held) | over
            self._tell("balances", account.id, self._payloads.balances, [entry])
            return entry

    def nonce(self, identity: Identity, n: int | None = None, form: NonceForm | None = None) -> int:
        """An account's nonce: the next one, or `n`. Returns it."""
        with self._lock:
            account = self.account(identity)
            account.nonce = account.nonce + 1 if n is None else n
            self._tell("nonce", account.id, self._payloads.nonce, account, form)
            return account.nonce

    @fault
    def error(self, code: Code = 1000, message: Text = "internal error") -> None:
        """Sends an error that answers no request."""
        self.send_frame(text_frame(encode({"code": code, "message": message})))

    @fault
    def resync_required(self, market: Annotated[str, "its id; empty: the first one"] = "") -> None:
        """Tells clients to subscribe to a market's book again."""
        self.send_frame(self._payloads.resync(canonical(market or self.markets[0])))

    @fault
    def list_refused(self, status: Status = 503, n: Times = 1, retry_after: RetryAfter = 0.0) -> None:
        """Answers the next `n` requests for the list of markets with this HTTP status."""
        self.pending.add("list", times=n, what=HttpReply(status, b"", retry_header(retry_after)))

    @fault
    def list_late(self, seconds: Annotated[float, "seconds"] = 1.0, n: Times = 1) -> None:
        """Answers the next `n` requests for the list of markets later."""
        self.pending.add("list", times=n, what=seconds)

    # the protocol

    def canonical(self, key: str) -> str:
        return canonical(key)

    def opened(self, peer: Peer) -> None:
        self._subscriptions[peer] = {}

    def closed(self, peer: Peer) -> None:
        for subscription in self._subscriptions.pop(peer, {}).values():
            self._unwatch(subscription, subscription.keys)

    def received(self, peer: Peer, message: Message) -> None:
        if message == "PING":
            peer.answer(payloads.PONG)
            return
        try:
            asked = _asked(message)
        except msgspec.ValidationError as wrong:
            self._refuse(peer, payloads.INVALID, f"invalid request: {wrong}")
            return
        except (msgspec.DecodeError, RecursionError):
            self._refuse(peer, payloads.UNREADABLE, "cannot parse")
            return
        verb, _, channel = asked.action.partition("_")
        if channel not in (*_BY_MARKET, *_BY_IDENTITY) or verb not in ("subscribe", "unsubscribe"):
            self._refuse(peer, payloads.INVALID, f"invalid request: unknown action {asked.action!r}")
            return
        act = self._subscribe if verb == "subscribe" else self._unsubscribe
        self.subscription_asked(peer, lambda: act(peer, channel, asked))

    def _subscribe(self, peer: Peer, channel: str, asked: SubscriptionRequest) -> None:
        try:
            slot, subscription = self._accepted(peer, channel, asked)
        except RequestRefused as refused:
            self._refuse(peer, refused.code, refused.text, asked)
            return
        self._subscriptions[peer][slot] = subscription
        for key in subscription.keys:
            self._watching.join((channel, key), subscription)
        if frames := self._first_frames(subscription):
            self.acknowledge(peer, frames)
        self.announce()

    def _accepted(self, peer: Peer, channel: str, asked: SubscriptionRequest) -> tuple[Slot, Subscription]:
        """What a request makes, and its place. Raises RequestRefused."""
        keys = self._keys(channel, asked)
        subscription = Subscription(peer, channel, keys)
        if channel.startswith("depth"):
            subscription.precision = _one_of(PRECISIONS, "precision", asked.precision)
        if channel == "depth_view":
            subscription.frequency = _one_of(_FREQUENCIES, "frequency", asked.frequency)
        if self.rejects(channel, *keys):
            if channel in _BY_MARKET:
                raise RequestRefused(payloads.NO_MARKET, "market not found")
            raise RequestRefused(payloads.NO_ACCOUNT, "account not found")
        slot = (channel, keys[0] if channel in _BY_MARKET else "")
        if slot in self._subscriptions[peer]:
            raise RequestRefused(payloads.ALREADY, "already subscribed")
        return slot, subscription

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
        self._unwatch(subscription, gone)
        subscription.keys = tuple(key for key in subscription.keys if key not in gone)
        if not subscription.keys:
            del slots[slot]
        self.announce()

    def _unwatch(self, subscription: Subscription, keys: Iterable[str]) -> None:
        for key in keys:
            self._watching.leave((subscription.channel, key), subscription)

    def _keys(self, channel: str, asked: SubscriptionRequest) -> tuple[str, ...]:
        if channel in _BY_MARKET:
            id = canonical(asked.market_id)
            if id not in self.known_markets and not (self.settings.markets is None and id.startswith("0x")):
                raise RequestRefused(payloads.NO_MARKET, "market not found")
            return (self._market(id).id,)
        if not asked.identities:
            raise RequestRefused(payloads.INVALID, "invalid request: no identities")
        if len(asked.identities) > _IDENTITIES:
            too_many = f"too many subscriptions: at most {_IDENTITIES} identities"
            raise RequestRefused(payloads.TOO_MANY, too_many)
        for each in asked.identities:
            if len(each) != 1 or not each.keys() <= {"ContractId", "Address"}:
                raise RequestRefused(payloads.INVALID, f"invalid request: {each} is no identity")
        return tuple(dict.fromkeys(self.account(each).id for each in asked.identities))

    def _refuse(self, peer: Peer, code: int, text: str, asked: SubscriptionRequest | None = None) -> None:
        told: dict[str, Any] = {"code": code, "message": text}
        if self.settings.name_errors and asked is not None:
            told["action"] = asked.action
            if asked.market_id:
                told["market_id"] = asked.market_id
        peer.tell(text_frame(encode(told)))

    def _first_frames(self, subscription: Subscription) -> list[bytes]:
        channel, keys = subscription.channel, subscription.keys
        if channel in _BY_MARKET:
            found = self.known_markets[keys[0]]
        if channel == "depth":
            return [self._payloads.snapshot(found, subscription.precision)]
        if channel == "depth_view":
            subscription.shown_at = time.monotonic()
            return [self._payloads.view(found, subscription.precision)]
        if not self.settings.acknowledge_all:
            return []
        if channel == "trades":
            return [self._payloads.trades(found, list(self.recent.get(found.id, ())))]
        accounts = [self.known_accounts[key] for key in keys]
        if channel == "orders":
            orders = [order for account in accounts for order in account.orders.values()]
            return [self._payloads.orders([each for each in orders if not each["close"]])]
        if channel == "balances":
            entries = [self.balance_entry(each, asset) for each in accounts for asset in each.holdings]
            return [self._payloads.balances(entries)]
        return [self._payloads.nonce(account) for account in accounts]

    # the market

    def step(self) -> None:
        found = self.random.choice(list(self.known_markets.values()))
        active = [key for channel, key in self._watching if channel in _BY_IDENTITY]
        if active and self.random.random() < 0.25:
            self._act(self.known_accounts[self.random.choice(active)], found)
        else:
            self._say(found, found.step())

    def numbering(self, key: str) -> tuple[Market, Callable[[range], None]]:
        """Numbers are in `trade_id`."""
        found = self._market(key)

        def send(numbers: range) -> None:
            for number in numbers:
                self._say_trade(found, printed(found, Trade(number, "buy", found.last, found.lot)))

        return found, send

    def _say(self, found: Listing, step: Step) -> None:
        """Tells subscribers what a step changed: the book first, as the venue does."""
        if step.buys or step.sells:
            self._say_depth(found, step.buys, step.sells)
        if step.trade:
            self._say_trade(found, printed(found, step.trade))
        for fill in step.fills:
            account = self.known_accounts[fill.order.account]
            account.settle(found, fill.order, fill.quantity)
            self._say_account(account, found, fill.order)

    def _act(self, account: Account, found: Listing) -> None:
        """An account places an order at the top of the book, or takes one back."""
        mine = [order for order in found.orders.values() if order.account == account.id]
        side: Side = self.random.choice(("buy", "sell"))
        quantity = found.lot * self.random.randint(1, 5)
        order = self._new_order(account, found, side, found.quote_for(side), quantity)
        holding, amount = account.at_stake(found, order)
        if len(mine) < 3 and amount <= holding.free:
            step = found.place(order)
        elif mine:
            order = mine[0]
            holding, amount = account.at_stake(found, order)
            step = found.cancel(order)
            amount = -amount
        else:
            return
        holding.free -= amount
        holding.locked += amount
        account.nonce += 1
        self._say(found, step)
        self._say_account(account, found, order)
        self._tell("nonce", account.id, self._payloads.nonce, account)

    def _new_order(self, account: Account, found: Listing, side: Side, price: int, quantity: int) -> Order:
        self._orders_made += 1
        id = make_id("order", self.settings.seed, account.id, self._orders_made)
        return Order(id=id, account=account.id, market=found.id, side=side, price=price, quantity=quantity)

    def _say_account(self, account: Account, found: Listing, order: Order) -> None:
        self._say_order(account, self._payloads.order(account, found, order))
        assets = (found.base.id, found.quote.id)
        entries = [self.balance_entry(account, asset) for asset in assets]
        self._tell("balances", account.id, self._payloads.balances, entries)

    def _market(self, id: str) -> Listing:
        key = canonical(id)
        return self.known_markets.get(key) or self._add_market(key)

    def _add_market(self, id: str) -> Listing:
        number, moving = len(self.known_markets), self.settings.market
        found = Listing(id, number, seed=self.settings.seed, moving=moving)
        self.known_markets[id] = found
        for account in self.known_accounts.values():
            account.holdings.setdefault(found.base.id, Holding(10**12))
        return found

    def account(self, identity: Identity) -> Account:
        """The account of an identity; it is there as soon as it is asked for."""
        key = canonical(next(iter(named(identity).values())))
        found = self.known_accounts.get(key)
        if found is None:
            assets = [asset.id for each in self.known_markets.values() for asset in (each.quote, each.base)]
            tidy = {kind: canonical(value) for kind, value in named(identity).items()}
            found = self.known_accounts[key] = Account(tidy, dict.fromkeys(assets), self.settings.seed)
        return found

    def balance_entry(self, account: Account, asset: str) -> dict[str, Any]:
        account.holdings.setdefault(asset, Holding(0))
        contracts = [each.contract for each in list(self.known_markets.values())[:1]]
        return self._payloads.balance(account, asset, contracts)

    # what is told

    def _tell(self, channel: str, key: str, make: Callable[..., bytes], *about: Any) -> None:
        """Makes a frame of `about`, where there are subscribers, and sends it."""
        if watching := self._watching.of((channel, key)):
            frame = make(*about)
            for subscription in watching:
                subscription.peer.tell(frame)

    def _say_depth(self, found: Listing, buys: Sequence[Move], sells: Sequence[Move]) -> None:
        frames: dict[int, bytes] = {}
        for subscription in self._watching.of(("depth", found.id)):
            precision = subscription.precision
            if precision not in frames:
                frames[precision] = self._payloads.change(found, buys, sells, precision)
            subscription.peer.tell(frames[precision])
        for subscription in self._watching.of(("depth_view", found.id)):
            if not subscription.due:
                subscription.due = True
                wait = subscription.shown_at + subscription.frequency - time.monotonic()
                show = partial(self._show, subscription, found)
                if wait > 0:
                    self.call_later(wait, show)
                else:
                    show()

    def _show(self, subscription: Subscription, found: Listing) -> None:
        if subscription in self._watching.of(("depth_view", found.id)):
            subscription.due = False
            subscription.shown_at = time.monotonic()
            subscription.peer.tell(self._payloads.view(found, subscription.precision))

    def _say_trade(self, found: Listing, told: Any) -> None:
        self.history.remember(found.id, told)
        self.recent.setdefault(found.id, deque(maxlen=_RECENT)).append(told)
        self._tell("trades", found.id, self._payloads.trades, found, [told])

    def _say_order(self, account: Account, told: dict[str, Any]) -> None:
        account.orders[canonical(str(told["order_id"]))] = told
        self._tell("orders", account.id, self._payloads.orders, [told])

    def answer(self, request: Request) -> HttpReply | Later:
        return self._pages.answer(request)


def _one_of(known: Mapping[str, Any], name: str, value: str) -> Any:
    if value not in known:
        wrong = f"{name} {value!r} is none of {', '.join(known)}"
        raise RequestRefused(payloads.INVALID, f"invalid request: {wrong}")
    return known[value]
