"""ProjectX on loopback: what its hubs push, what its pages answer, and how both may fail."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, ClassVar

from actors.simulators.base.client import HttpReply, Later, Request, retry_header
from actors.simulators.base.faults import Code, RetryAfter, Status, Times, fault
from actors.simulators.base.parameters import one_of
from actors.simulators.base.random_market import Market, Order, Step
from actors.simulators.base.settings import given
from actors.simulators.projectx import payloads
from actors.simulators.projectx.account import ASK, BID, MARKET, Account, Filled
from actors.simulators.projectx.auth import TokenGate
from actors.simulators.projectx.instruments import BUY, SELL, Level, Listing
from actors.simulators.projectx.payloads import Action, MarketShape, Row, UserShape
from actors.simulators.projectx.rest import Pages, failure
from actors.simulators.projectx.settings import SimulatedProjectXSettings
from actors.simulators.signalr import Caller, HubError, Method, SimulatedHubs, framing
from actors.simulators.signalr.negotiate import bearer
from actors.simulators.signalr.server import OnlyHub

MARKET_HUB = "market"
Contract = Annotated[str, "its id; empty: the first one"]
Login = Annotated[str, "loginKey: logins; validate: renewals"]
PageName = Annotated[str, "such as Auth/loginKey; empty: any"]

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


class SimulatedProjectX(SimulatedHubs):
    """ProjectX on loopback, both hubs and the REST on one port: a context manager.

    `hub_url("user")` and `hub_url("market")` are the hubs, `http_url` is what the pages stand under.
    Methods that push something have written it to every subscriber when they return, unless the
    server packs its messages.
    """

    name: ClassVar[str] = "projectx"
    Settings = SimulatedProjectXSettings

    settings: SimulatedProjectXSettings

    @given(SimulatedProjectXSettings)
    def __init__(self, settings: SimulatedProjectXSettings) -> None:
        """Raises ValueError: an id that no contract has."""
        self.set_up_hubs(settings)
        self._gate = TokenGate(settings.token_life, settings.keys)
        new = partial(Listing, seed=settings.seed, moving=settings.market, now=_now)
        self.listings = {each: new(each) for each in settings.contracts}
        held = partial(Account, numbers=itertools.count(9_000_000_001), now=_now)
        self.accounts = {each: held(each, f"PRAC-V2-{each}") for each in settings.accounts}
        self._pages = Pages(self, self._gate)

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
        """The contracts' ids."""
        return list(self.listings)

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

        Raises:
            ValueError: the price is not on a tick.
        """
        with self._lock:
            listing = self._listing(contract)
            row = listing.trade(price, volume, side) | over
            self._say_market("trades", listing, [row], shape)
            return row

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
            return self._say_user("accounts", found, [found.change(over)], shape)

    def order(
        self, account: int = 0, contract: str = "", *, shape: UserShape | None = None, **over: Any
    ) -> Row:
        """A new order or, where `over` has the `id` of one, what has become of it. Only tells of it."""
        with self._lock:
            found = self._account(account)
            known = found.orders.get(over.get("id", 0), {})
            listing = self._listing(contract or known.get("contractId", ""))
            return self._say_user("orders", found, [found.order(listing, over)], shape)

    def position(
        self, account: int = 0, contract: str = "", *, shape: UserShape | None = None, **over: Any
    ) -> Row:
        """Changes a position, and tells it; with `size=0` it is closed."""
        with self._lock:
            found = self._account(account)
            told = found.position(self._listing(contract), over)
            return self._say_user("positions", found, [told], shape)

    def user_trade(
        self, account: int = 0, contract: str = "", *, shape: UserShape | None = None, **over: Any
    ) -> Row:
        """A half-turn of an account, which changes nothing else: see `fill`."""
        with self._lock:
            found = self._account(account)
            told = found.half_turn(self._listing(contract), over)
            return self._say_user("user_trades", found, [told], shape)

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
            filled = account.fill(listing, row, left if size is None else size, at)
            self._say_filled(account, filled)
            told, half_turn, position, balance = (row for _, row in filled)
            return told, half_turn, position, balance

    def tell_user(self, channel: str, account: int, *told: Action, shape: UserShape | None = None) -> None:
        """Tells these very rows, each with its action: 0 new, 1 changed. Batches as the shape has them.

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
    def refuse_login(self, code: Code = 3, n: Times = 1, page: Login = "loginKey") -> None:
        """Fails the next `n` logins or renewals under HTTP 200."""
        field = "newToken" if page == "validate" else "token"
        reply = failure(code, "Refused.", **{field: None})
        self.pending.add("page", f"/api/Auth/{page}", times=n, what=reply)

    @fault
    def refuse_page(
        self, status: Status = 503, n: Times = 1, retry_after: RetryAfter = 0.0, page: PageName = ""
    ) -> None:
        """Answers the next `n` requests for a page with this HTTP status."""
        reply = HttpReply(status, b"", retry_header(retry_after))
        self.pending.add("page", f"/api/{page}" if page else "", times=n, what=reply)

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

    def page(self, request: Request) -> HttpReply | Later:
        refusal = self.pending.take("page", request.path) or self.pending.take("page", "")
        return refusal or self._pages.answer(request, _header(request))

    def place(self, account: Account, listing: Listing, asked: Row) -> Row:
        """An order of a client: it is filled at once, or it rests in the book."""
        terms = ("type", "side", "size", "limitPrice", "stopPrice", "customTag")
        over = {key: asked[key] for key in terms if asked.get(key) is not None}
        over = {key: Decimal(str(value)) if key.endswith("Price") else value for key, value in over.items()}
        action, row = account.order(listing, {"limitPrice": None, **over})
        self._say_user("orders", account, [(action, row)])
        at = self._crossed(listing, row)
        if at is not None:
            self._say_filled(account, account.fill(listing, account.orders[row["id"]], row["size"], at))
        elif row["limitPrice"] is not None:
            self._rest(account, listing, row)
        return row

    def change_order(self, account: Account, listing: Listing, over: Row) -> None:
        """An order is changed or cancelled: it leaves the book, and comes back where it is still open."""
        resting = listing.market.orders.get(str(over["id"]))
        if resting is not None:
            self._say_step(listing, listing.market.cancel(resting))
        self._say_user("orders", account, [account.order(listing, over)])
        if resting is not None and "status" not in over:
            self._rest(account, listing, account.orders[over["id"]])

    def _rest(self, account: Account, listing: Listing, row: Row) -> None:
        order = Order(
            id=str(row["id"]),
            account=str(account.id),
            market=listing.id,
            side="buy" if row["side"] == BID else "sell",
            price=listing.ticks(row["limitPrice"]),
            quantity=row["size"] - row["fillVolume"],
        )
        self._say_step(listing, listing.market.place(order))

    def _crossed(self, listing: Listing, row: Row) -> Decimal | None:
        """The price at which an order is filled at once; None: it is not."""
        market = listing.market
        best = min(market.asks, default=None) if row["side"] == BID else max(market.bids, default=None)
        if row["type"] == MARKET:
            return listing.last if best is None else listing.price(best)
        if best is None or row["limitPrice"] is None:
            return None
        limit = listing.ticks(row["limitPrice"])
        crossed = limit >= best if row["side"] == BID else limit <= best
        return listing.price(best) if crossed else None

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
        if rows and self.members(f"{channel}/{listing.id}"):
            for arguments in payloads.market_arguments(shape or self._usual_shape(channel), listing.id, rows):
                self.tell_group(f"{channel}/{listing.id}", _EVENTS[channel], arguments)

    def _say_user(
        self, channel: str, account: Account, told: Sequence[Action], shape: UserShape | None = None
    ) -> Row:
        key = "" if channel == "accounts" else account.id
        for arguments in payloads.user_arguments(shape or self.settings.user_shape, told):
            self.tell_group(f"{channel}/{key}", _EVENTS[channel], arguments)
        return told[-1][1]

    def _say_filled(self, account: Account, filled: Filled) -> None:
        channels = ("orders", "user_trades", "positions", "accounts")
        for channel, told in zip(channels, filled, strict=True):
            self._say_user(channel, account, [told])

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
        listing = self.random.choice(list(self.listings.values()))
        if self.accounts and self.random.random() < 0.1:
            self._act(self.random.choice(list(self.accounts.values())), listing)
        else:
            self._say_step(listing, listing.market.step())

    def _act(self, account: Account, listing: Listing) -> None:
        """An account places an order, or takes one back."""
        resting = {id for each in self.listings.values() for id in each.market.orders}
        orders = [row for row in account.open_orders if str(row["id"]) in resting]
        if len(orders) >= 3:
            row = self.random.choice(orders)
            self.change_order(account, self.listings[row["contractId"]], {"id": row["id"], "status": 3})
            return
        side = self.random.choice((BID, ASK))
        price = listing.price(listing.market.quote_for("buy" if side == BID else "sell"))
        asked = {"type": 1, "side": side, "size": self.random.randint(1, 5), "limitPrice": price}
        if self.random.random() < 0.3:
            asked |= {"type": MARKET, "limitPrice": None}
        self.place(account, listing, asked)

    def _say_step(self, listing: Listing, step: Step) -> None:
        """Tells what a step of the market changed, in the order in which it happened."""
        if step.trade is not None:
            side = SELL if step.trade.side == "buy" else BUY  # the aggressor's
            row = listing.trade(listing.price(step.trade.price), step.trade.quantity, side)
            self._say_market("trades", listing, [row])
        for each in step.fills:
            account = self.accounts[int(each.order.account)]
            order = account.orders[int(each.order.id)]
            at = listing.price(each.order.price)
            self._say_filled(account, account.fill(listing, order, each.quantity, at))
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


def _header(request: Request) -> str:
    """The token of a page, which shows it in the header alone."""
    return "" if "access_token" in request.query else bearer(request)


def _now() -> str:
    """The venue's time: seven fractional digits, as .NET writes it."""
    ns = time.time_ns()
    second = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{ns % 10**9 // 100:07d}+00:00"
