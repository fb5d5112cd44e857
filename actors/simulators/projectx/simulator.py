"""ProjectX on loopback: what its hubs push, what its pages answer, and how both may fail."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from actors.simulators.base.client import HttpReply, Later, Request
from actors.simulators.base.faults import Times, fault
from actors.simulators.base.history import BoundedDict
from actors.simulators.base.parameters import one_of
from actors.simulators.base.random_market import Market, Step
from actors.simulators.base.settings import given
from actors.simulators.projectx import payloads
from actors.simulators.projectx.account import Account
from actors.simulators.projectx.auth import TokenGate
from actors.simulators.projectx.clock import VenueClock
from actors.simulators.projectx.codes import ASK, BID, LIMIT, MARKET, VenueRefusal
from actors.simulators.projectx.forms import Placing
from actors.simulators.projectx.instruments import BUY, SELL, Level, Listing
from actors.simulators.projectx.lag import Lag, Table, View
from actors.simulators.projectx.matching import Matching
from actors.simulators.projectx.meters import Meter
from actors.simulators.projectx.page_faults import PageFaults
from actors.simulators.projectx.page_server import PageServer
from actors.simulators.projectx.payloads import Action, MarketShape, Row, UserShape
from actors.simulators.projectx.rest import Pages
from actors.simulators.projectx.seen import Seen
from actors.simulators.projectx.settings import SimulatedProjectXSettings
from actors.simulators.signalr import Caller, HubError, Method, SimulatedHubs, framing
from actors.simulators.signalr.server import OnlyHub

MARKET_HUB = "market"
_ACTED = 1_000
Contract = Annotated[str, "its id; empty: the first one"]
Channel = Annotated[
    Literal["accounts", "orders", "positions", "user_trades", "quotes", "trades", "depth"],
    "the channel of the event",
]

_LOGOUT = "GatewayLogout"

# ProjectX, "Real Time Data Overview": the words of the methods that subscribe, and what they make come.
_OF_ACCOUNTS = {"orders": "Orders", "positions": "Positions", "user_trades": "Trades"}
_OF_CONTRACTS = {"quotes": "ContractQuotes", "trades": "ContractTrades", "depth": "ContractMarketDepth"}
_EVENTS = {
    "accounts": "GatewayUserAccount",
    "orders": "GatewayUserOrder",
    "positions": "GatewayUserPosition",
    "user_trades": "GatewayUserTrade",
    "quotes": "GatewayQuote",
    "trades": "GatewayTrade",
    "depth": "GatewayDepth",
}


class SimulatedProjectX(SimulatedHubs, PageFaults):
    """ProjectX on loopback, both hubs and the REST on one port: a context manager.

    `hub_url("user")` and `hub_url("market")` are the hubs, `http_url` is what the pages stand under.
    Methods that push something have written it to every subscriber when they return, unless the
    server packs its messages. `seen` counts what clients asked of the REST, and has all placed orders.
    """

    name: ClassVar[str] = "projectx"
    Settings = SimulatedProjectXSettings

    settings: SimulatedProjectXSettings

    @given(SimulatedProjectXSettings)
    def __init__(self, settings: SimulatedProjectXSettings) -> None:
        """Raises ValueError: an id that no contract has."""
        self.set_up_hubs(settings)
        self._gate = TokenGate(settings.token_life, settings.keys)
        self.clock = VenueClock(settings.clock_ahead)
        new = partial(Listing, seed=settings.seed, moving=settings.market, clock=self.clock)
        self.listings = {each: new(each) for each in settings.contracts}
        self.listings |= {each: new(each, active=False) for each in settings.inactive}
        numbers = itertools.count(9_000_000_001)
        self.accounts = {each: self._new_account(each, numbers) for each in settings.accounts}
        self.matching = Matching(self)
        meters = {
            "rest": Meter(settings.rest_limit, settings.rest_window),
            "bars": Meter(settings.bars_limit, settings.bars_window),
        }
        self.seen = Seen(meters)
        self._pages = Pages(self, self._gate)
        self._server = PageServer(self, self._pages, meters)
        self._acted: dict[int, None] = BoundedDict(_ACTED)  # orders that accounts placed by themselves
        self._held_back: list[tuple[str, str, list[object]]] | None = None  # events that are told later

    def _new_account(self, id: int, numbers: Iterator[int]) -> Account:
        live = id in self.settings.live_accounts
        account = Account(id, f"{'LIVE' if live else 'PRAC-V2'}-{id}", numbers=numbers, clock=self.clock)
        account.row["simulated"] = not live
        account.flip_renews_id = self.settings.flip_renews_id
        account.commission = Decimal(str(self.settings.commission))
        account.changed = partial(self._note_change, id)
        return account

    def methods(self) -> Mapping[str, Mapping[str, Method]]:
        user = self._following(_OF_ACCOUNTS, int)
        user["SubscribeAccounts"] = Method(partial(self.join_group, "accounts/"))
        user["UnsubscribeAccounts"] = Method(partial(self.leave_group, "accounts/"))
        return {"/hubs/user": user, "/hubs/market": self._following(_OF_CONTRACTS, str)}

    def accepts(self, token: str) -> bool:
        return self._gate.good(token)

    # what a test sees

    @property
    def contracts(self) -> list[str]:
        """The ids of the contracts that can be traded."""
        return [each.id for each in self.listings.values() if each.active]

    @property
    def logins(self) -> int:
        """How many logins by key there were."""
        return self._gate.logins

    @property
    def renewals(self) -> int:
        """How many tokens were made out of older ones."""
        return self._gate.renewals

    def token(self, life: float | None = None, user: str = "trader") -> str:
        """A token without a login. `life`: seconds; 0 or less: it has expired already."""
        with self._lock:
            return self._gate.issue(user, life)

    def subscribers(self, channel: str, key: str | int = "") -> int:
        """How many connections are subscribed to a channel.

        `accounts`; `orders`, `positions`, `user_trades` of an account; `quotes`, `trades`, `depth` of a
        contract.
        """
        return self.members(f"{channel}/{key}")

    def book(self, contract: str = "") -> tuple[dict[Decimal, int], dict[Decimal, int]]:
        """Bids and asks as they are now, volume by price."""
        with self._lock:
            listing = self._listing(contract)
            bids, asks = ({listing.price(at): size for at, size in side} for side in listing.market.book())
            return bids, asks

    # what a test does: the market hub

    def quote(self, contract: str = "", *, shape: MarketShape | None = None, **changed: Any) -> Row:
        """Tells what has changed in a quote, and only that; nothing given: all of it."""
        with self._lock:
            listing = self._listing(contract)
            row = listing.change(changed) if changed else listing.quote()
            self._say_market("quotes", listing, [row], shape)
            return row

    def trade(
        self,
        contract: str = "",
        price: Decimal | float | str | None = None,
        volume: int = 1,
        side: int = BUY,
        *,
        shape: MarketShape | None = None,
        **over: Any,
    ) -> Row:
        """A trade in the market; `over` replaces fields. Price: the last one, unless given.

        Stops and trails that it reaches are filled at its price. Of the orders that rest at its price it
        fills so many contracts as its volume; those that rest at a worse price are filled whole.

        Raises:
            ValueError: the price is not on a tick.
        """
        with self._lock:
            listing = self._listing(contract)
            row = listing.trade(price, volume, side) | over
            self._say_market("trades", listing, [row], shape)
            self.matching.traded(listing, listing.market.last, volume)
            return row

    def past_trade(self, contract: str, at: datetime, price: Decimal | float | str, volume: int = 1) -> None:
        """A trade that happened at this time, of which there are bars. The hub does not tell of it.

        They are given in the order of their times.

        Raises:
            ValueError: the price is not on a tick.
        """
        with self._lock:
            listing = self._listing(contract)
            listing.tape.append((at, listing.ticks(price), volume))

    def depth(
        self,
        contract: str = "",
        bids: Iterable[Level] = (),
        asks: Iterable[Level] = (),
        *,
        reset: bool = False,
        shape: MarketShape | None = None,
    ) -> list[Row]:
        """Sets levels to new volumes, 0 takes them away; `reset`: the book is emptied first.

        Raises:
            ValueError: a price is not on a tick.
        """
        with self._lock:
            listing = self._listing(contract)
            rows = [listing.clear()] if reset else []
            rows += listing.set_levels(bids, asks)
            self._say_market("depth", listing, rows, shape)
            return rows

    def tell_market(self, channel: str, contract: str, *rows: Row, shape: MarketShape | None = None) -> None:
        """Tells these very rows on `quotes`, `trades` or `depth`, in one batch where the shape has any."""
        with self._lock:
            self._say_market(channel, self._listing(contract), rows, shape)

    # what a test does: the user hub

    def account(self, account: int = 0, *, shape: UserShape | None = None, **over: Any) -> Row:
        """Changes an account, and tells it; the first one unless its id is given."""
        with self._lock:
            found = self._account(account)
            return self.tell_account("accounts", found, [found.change(over)], shape)

    def order(
        self, account: int = 0, contract: str = "", *, shape: UserShape | None = None, **over: Any
    ) -> Row:
        """A new order or, where `over` has the `id` of one, what has become of it. Only tells of it."""
        with self._lock:
            found = self._account(account)
            known = found.orders.get(over.get("id", 0), {})
            listing = self._listing(contract or known.get("contractId", ""))
            return self.tell_account("orders", found, [found.order(listing, over)], shape)

    def place(
        self,
        account: int = 0,
        contract: str = "",
        *,
        type: int = MARKET,
        side: int = BID,
        size: int = 1,
        **terms: Any,
    ) -> Row:
        """Places an order that meets the market, as another client of the account does.

        `terms` are those of `Order/place`, such as `limit_price` and `custom_tag`. `seen` does not count it.

        Raises:
            VenueRefusal: the venue refuses it.
        """
        with self._lock:
            found, listing = self._account(account), self._listing(contract)
            asked = Placing(found.id, listing.id, type, side, size, **terms)
            return dict(self.matching.place(found, listing, asked))

    def position(
        self, account: int = 0, contract: str = "", *, shape: UserShape | None = None, **over: Any
    ) -> Row:
        """Changes a position, and tells it; with `size=0` it is closed."""
        with self._lock:
            found = self._account(account)
            told = found.position(self._listing(contract), over)
            return self.tell_account("positions", found, [told], shape)

    def user_trade(
        self, account: int = 0, contract: str = "", *, shape: UserShape | None = None, **over: Any
    ) -> Row:
        """A half-turn of an account, which changes nothing else: see `fill`."""
        with self._lock:
            found = self._account(account)
            told = found.half_turn(self._listing(contract), over)
            return self.tell_account("user_trades", found, [told], shape)

    def fill(
        self, order: int, size: int | None = None, price: Decimal | float | str | None = None
    ) -> tuple[Row, Row, Row, Row]:
        """Fills an order by its id, whole or in part: tells order, half-turn, position and account.

        Raises:
            ValueError: there is no such order, or the price is not on a tick.
        """
        with self._lock:
            account, row = self._order(order)
            listing = self.listings[row["contractId"]]
            at = listing.last if price is None else listing.price(listing.ticks(price))
            left = row["size"] - row["fillVolume"]
            told = self.matching.fill_by_hand(account, listing, row, left if size is None else size, at)
            order_told, half_turn, position, balance = told
            return order_told, half_turn, position, balance

    def void(self, half_turn: int) -> Row:
        """Takes a fill back, by the id of its half-turn: tells half-turn, position and account.

        Raises:
            ValueError: there is no such half-turn.
        """
        with self._lock:
            for account in self.accounts.values():
                row = next((row for row in account.fills if row["id"] == half_turn), None)
                if row is not None:
                    told = account.void(self.listings[row["contractId"]], row)
                    for channel, each in zip(("user_trades", "positions", "accounts"), told, strict=True):
                        self.tell_account(channel, account, [each])
                    return dict(row)
            raise ValueError(f"there is no half-turn {half_turn}")

    def tell_user(self, channel: str, account: int, *told: Action, shape: UserShape | None = None) -> None:
        """Tells these very rows, each with the code of its action. Batches as the shape has them.

        `accounts`, `orders`, `positions` or `user_trades`.
        """
        with self._lock:
            self._say_user(channel, self._account(account), list(told), shape)

    # faults

    @fault
    def expire_tokens(self, close: Annotated[bool, "and the hubs say Close"] = False) -> None:
        """Ends every token that was given."""
        self._gate.expire()
        if close:
            self.hub_close(True, "Connection closed with an error.")

    @fault
    def gateway_logout(self, only_hub: OnlyHub = "", close: Annotated[bool, "with Close"] = False) -> None:
        """Sends GatewayLogout, of which nothing more is known."""
        self.say(framing.invocation(_LOGOUT, []), only_hub)
        if close:
            self.hub_close(only_hub=only_hub)

    @fault
    def event_dropped(self, channel: Channel, n: Times = 1) -> None:
        """Loses the next `n` events of a channel, while everything else goes on."""
        self.pending.add("event_dropped", channel, times=n)

    @fault
    def rest_lag(self, seconds: Annotated[float, "how old what the lists show is"] = 1.0) -> None:
        """Makes the lists of the REST show older rows than the hubs tell of, until heal()."""
        for id, account in self.accounts.items():
            self.pending.set("rest_lag", str(id), what=Lag(seconds, account.view()))

    @fault
    def partial_fill(self, size: Annotated[int, "contracts"] = 1, n: Times = 1) -> None:
        """Fills only a part of the next `n` orders that are filled at once; the rest stays open."""
        self.pending.add("partial_fill", times=n, what=size)

    @fault
    def reset_depth(self, contract: Contract = "") -> None:
        """Sends a Reset of a book, and then all of it."""
        listing = self._listing(contract)
        self._say_market("depth", listing, listing.book())

    @fault
    def unknown_values(self) -> None:
        """Sends unknown values of enumerations, in an order and in a book, and an unknown event."""
        self.order(status=99, type=98, side=97)
        listing = self._listing("")
        row = listing.set_levels([(listing.last, 1)], [])[0] | {"type": 99}
        self._say_market("depth", listing, [row])
        self.push(MARKET_HUB, "GatewayWeather", "sunny")

    # the pages

    def page_names(self) -> list[str]:
        return self._pages.names

    def page(self, request: Request) -> HttpReply | Later:
        return self._server.serve(request)

    def view(self, account: Account) -> View:
        """The rows of an account as lists show them."""
        lag: Lag | None = self.pending.get("rest_lag", str(account.id))
        return account.view() if lag is None else lag.view()

    def _note_change(self, account: int, table: Table, key: Any, row: Row | None) -> None:
        lag: Lag | None = self.pending.get("rest_lag", str(account))
        if lag is not None:
            lag.note(table, key, row)

    # the hubs' methods

    def _following(self, channels: Mapping[str, str], key: type) -> dict[str, Method]:
        """The methods that begin and end a subscription to these channels."""
        found = {}
        for channel, noun in channels.items():
            found[f"Subscribe{noun}"] = Method(partial(self._follow, channel), (key,))
            found[f"Unsubscribe{noun}"] = Method(partial(self._unfollow, channel), (key,))
        return found

    def _follow(self, channel: str, caller: Caller, key: str | int) -> None:
        unknown = key not in self.listings and key not in self.accounts
        if (self.settings.strict and unknown) or self.rejects(str(key)):
            raise HubError(f"{'Account' if channel in _OF_ACCOUNTS else 'Contract'} {key} not found")
        self.join_group(f"{channel}/{key}", caller)
        if self.settings.snapshots and isinstance(key, str) and key in self.listings:
            self._say_snapshot(channel, caller, self.listings[key])

    def _unfollow(self, channel: str, caller: Caller, key: str | int) -> None:
        self.leave_group(f"{channel}/{key}", caller)

    def _say_snapshot(self, channel: str, caller: Caller, listing: Listing) -> None:
        """What is told first of all: it may come before the completion does, and here it does."""
        if channel == "trades":
            return
        rows = [listing.quote()] if channel == "quotes" else listing.book()
        for arguments in payloads.market_arguments(self._usual_shape(channel), listing.id, rows):
            self.tell_caller(caller, framing.invocation(_EVENTS[channel], arguments))

    # what is pushed

    def _usual_shape(self, channel: str) -> MarketShape:
        return self.settings.quote_shape if channel == "quotes" else self.settings.tape_shape

    def _say_market(
        self, channel: str, listing: Listing, rows: Sequence[Row], shape: MarketShape | None = None
    ) -> None:
        if rows and self.members(f"{channel}/{listing.id}") and not self._loses(channel):
            for arguments in payloads.market_arguments(shape or self._usual_shape(channel), listing.id, rows):
                self.tell_group(f"{channel}/{listing.id}", _EVENTS[channel], arguments)

    def _say_user(
        self, channel: str, account: Account, told: Sequence[Action], shape: UserShape | None = None
    ) -> Row:
        key = "" if channel == "accounts" else account.id
        if not self._loses(channel):
            for arguments in payloads.user_arguments(shape or self.settings.user_shape, told):
                self.tell_group(f"{channel}/{key}", _EVENTS[channel], arguments)
        return told[-1][1]

    def tell_account(
        self, channel: str, account: Account, told: Sequence[Action], shape: UserShape | None = None
    ) -> Row:
        """Tells of entities of an account, with the codes that the settings have for what has happened."""
        return self._say_user(channel, account, payloads.coded(self.settings.actions, channel, told), shape)

    def _loses(self, channel: str) -> bool:
        """Whether a fault swallows this event."""
        return bool(self.pending) and bool(self.pending.take("event_dropped", channel))

    def tell_group(self, group: str, target: str, arguments: Iterable[object]) -> None:
        if self._held_back is None:
            super().tell_group(group, target, arguments)
        else:
            self._held_back.append((group, target, list(arguments)))

    @contextlib.contextmanager
    def telling_later(self, seconds: float) -> Iterator[None]:
        """Holds back what the hubs tell meanwhile, and tells it so much later; 0: at once."""
        held: list[tuple[str, str, list[object]]] = []
        self._held_back = held if seconds else None
        try:
            yield
        finally:
            self._held_back = None

        def tell() -> None:
            for each in held:
                self.tell_group(*each)

        if held:
            self.call_later(seconds, tell)

    # the market

    def numbering(self, key: str) -> tuple[Market, Callable[[range], None]]:
        """Numbers are in `volume`; a batch is one invocation where the shape has such."""
        listing = self._listing(key)

        def send(numbers: range) -> None:
            rows = [listing.trade() | {"volume": number} for number in numbers]
            self._say_market("trades", listing, rows)

        return listing.market, send

    def step(self) -> None:
        if not self.listings:
            return
        listing = self.listings[self.random.choice(self.contracts)]
        if self.settings.acting and self.accounts and self.random.random() < 0.1:
            self._act(self.random.choice(list(self.accounts.values())), listing)
        else:
            self._say_step(listing, listing.market.step())

    def _act(self, account: Account, listing: Listing) -> None:
        """An account places an order, or takes back one that it placed so."""
        resting = {id for each in self.listings.values() for id in each.market.orders}
        orders = [id for id in self._acted if id in account.orders and str(id) in resting]
        with contextlib.suppress(VenueRefusal):
            if len(orders) >= 3:
                self.matching.cancel(account, self.random.choice(orders))
                return
            side = self.random.choice((BID, ASK))
            price = listing.price(listing.market.quote_for("buy" if side == BID else "sell"))
            size = self.random.randint(1, 5)
            kind = MARKET if self.random.random() < 0.3 else LIMIT
            asked = Placing(account.id, listing.id, kind, side, size, price)
            self._acted[self.matching.place(account, listing, asked)["id"]] = None

    def _say_step(self, listing: Listing, step: Step) -> None:
        """Tells what a step of the market changed, in the order in which it happened."""
        if step.trade is not None:
            side = SELL if step.trade.side == "buy" else BUY  # the aggressor's
            row = listing.trade(listing.price(step.trade.price), step.trade.quantity, side)
            self._say_market("trades", listing, [row])
        for each in step.fills:
            account = self.accounts[int(each.order.account)]
            order = account.orders[int(each.order.id)]
            self.matching.fill(account, listing, order, each.quantity, listing.price(each.order.price))
        self.tell_depth(listing, step)
        if step.trade is not None:
            self.matching.trigger(listing)

    def tell_depth(self, listing: Listing, step: Step) -> None:
        """Tells what a step changed in the book, and in the quote."""
        self._say_market("depth", listing, listing.deltas(step))
        changed = listing.moved()
        if changed is not None:
            self._say_market("quotes", listing, [changed])

    # what there is

    def _listing(self, contract: str) -> Listing:
        """A contract, the first one where none is named. Raises ValueError where there is none."""
        return one_of(self.listings, contract or next(iter(self.listings)), "contract")

    def _account(self, account: int) -> Account:
        return one_of(self.accounts, account or next(iter(self.accounts)), "account")

    def _order(self, id: int) -> tuple[Account, Row]:
        for account in self.accounts.values():
            if id in account.orders:
                return account, account.orders[id]
        raise ValueError(f"there is no order {id}")
