"""ProjectX' requests as a program calls them: what `runtime.ask` returns for a feed of that venue.

Reads return a future at once (`Asked`), mutations a handle (`OrderHandle`). An account is the gateway's
number of it. A contract is named by a full id (CON.F.US.ENQ.Z26), a name (NQZ6), its root (NQ) or a product
(ENQ); what names several is refused with what was found. Prices are `Decimal`, text or int; a float is taken
as it is written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import wraps
from numbers import Real
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar, cast, overload

from actors.protocol.accounts import Side
from actors.protocol.bars import Bar, timeframe_of
from actors.protocol.trading import (
    Accepted,
    Align,
    AnyMutation,
    Bracket,
    Cancel,
    Close,
    Contract,
    Modify,
    OrderOutcome,
    OrderType,
    Place,
    Refused,
)
from actors.trading.arguments import (
    LEFT_OUT,
    AccountNumber,
    ArgumentError,
    LeftOut,
    Price,
    account_number,
    check_align,
    check_bracket,
    check_deadline,
    check_moment,
    check_tag,
    contract_text,
    exact_price,
    optional_size,
    order_number,
    whole,
)
from actors.trading.asks import Access, Asked
from actors.trading.mutation import Instrument, Resolve
from actors.trading.order_handle import OrderHandle
from actors.trading.requests import Requests, refused, unsent_tag
from actors.trading.sweep import Begun, Steps, SweepHandle, SweepIncompleteError, pause, repeat
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import BarUnit, Listing, ProjectXApi
from actors.venues.projectx.rest.holdings import is_leg

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.protocol.rest import Call

P = ParamSpec("P")
Row = TypeVar("Row", m.Order, m.Position)

BARS: Final = 60.0  # seconds: the gateway took 33 for one page on bad days
ROUNDS: Final = 20  # looks at the account within a sweep
NO_POSITION: Final = "PositionNotFound"  # the name of the refusal of a close
MOST_DAYS: Final = 20_000
_SIDES: Final[dict[int, Side]] = {0: "buy", 1: "sell"}


def _refusing(call: Callable[P, OrderHandle]) -> Callable[P, OrderHandle]:
    """An argument that makes no sense is `Refused`, as all that is not sent."""

    @wraps(call)
    def refusing(*args: P.args, **kwargs: P.kwargs) -> OrderHandle:
        try:
            return call(*args, **kwargs)
        except ArgumentError as error:
            given = kwargs.get("tag")
            tag = given if isinstance(given, str) and given else unsent_tag()
            return refused(tag, "terms", f"{error}. This call sent nothing.")

    return refusing


class ProjectXRequests:
    """The gateway's REST part, from synchronous code. Any thread; each call returns at once.

    Reads: `timeout` is in seconds, for all of it with the waiting for a connection and for the gateway's
    budget. `get` raises what a read comes to; see `Asked`. Mutations: `deadline` is in seconds; after it
    nothing leaves, and what has left and was not answered is `Unknown`. They need `trading = true` in the
    feed's table, or are refused before they leave; see `docs/trading.md`.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def __repr__(self) -> str:
        return f"<ProjectXRequests of {self._requests.feed}>"

    if not TYPE_CHECKING:  # a type checker would take every name

        def __getattr__(self, name: str) -> object:
            from actors.venues.projectx import ProjectX
            from actors.venues.unknown_names import unknown_name

            raise unknown_name("'ProjectXRequests' object", name, self, [ProjectX])

    @property
    def _api(self) -> ProjectXApi:
        return cast(ProjectXApi, self._requests.api)

    # ── what there is to trade ──

    def contract(
        self, text: str, *, live: bool | None = None, timeout: float | None = None
    ) -> Asked[Contract]:
        """The one contract that this text names. `live`: of live accounts; None: as the feed has it."""
        return self._requests.read(self._api.contract(contract_text(text), live=live), timeout)

    def contracts(
        self, text: str, *, live: bool | None = None, timeout: float | None = None
    ) -> Asked[tuple[Contract, ...]]:
        """What the gateway's search finds for a text, at most 20."""
        if not isinstance(text, str):
            raise ArgumentError(f"text is what to search for, and {text!r} is none")
        return self._requests.read(self._api.contracts(text, live=live), timeout)

    def available_contracts(
        self, *, live: bool | None = None, timeout: float | None = None
    ) -> Asked[tuple[Contract, ...]]:
        """All contracts that may be traded."""
        return self._requests.read(self._api.available_contracts(live=live), timeout)

    def bars(
        self,
        contract: str | Contract,
        every: str = "1min",
        *,
        days: float | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
        partial: bool = False,
        live: bool | None = None,
        timeout: float | None = None,
    ) -> Asked[tuple[Bar, ...]]:
        """Bars of a contract, oldest first: `every` is such as "15s", "5min", "4h", "1day", "1week",
        "1month".

        From `start`, or `days` before `end`, to `end`, which is now by default. `limit`: only so many, the
        newest. `partial`: the bar that is forming as well, which is not `complete`. A period without
        trades has no bar.

        Raises:
            LinewardenError: an argument makes no sense, or a time has no time zone.
        """
        (unit, number), text = _every(every), contract_text(contract)
        begin, end = _span(days, start, self._now() if end is None else end)
        limit = None if limit is None else whole("limit", limit)
        api = self._api

        def of(found: Contract) -> Call[tuple[Bar, ...]]:
            return api.bars(
                found.id, unit, number, start=begin, end=end, limit=limit, partial=partial, live=live
            )

        return self._requests.read_of(text, of, BARS if timeout is None else timeout)

    # ── an account ──

    def accounts(
        self, *, only_active: bool = True, timeout: float | None = None
    ) -> Asked[tuple[m.Account, ...]]:
        """The accounts that the login may see."""
        return self._requests.read(self._api.accounts(only_active), timeout)

    def account(self, name: str, *, timeout: float | None = None) -> Asked[m.Account]:
        """The active account of this name, in upper or lower case; other calls take its `id`.

        What names none, or several, is refused with the accounts that there are.
        """
        if not isinstance(name, str) or not name.strip():
            raise ArgumentError(f"name is the name of an account, and {name!r} is none")
        return self._requests.read(self._api.account(name), timeout)

    def orders(
        self,
        account: AccountNumber,
        since: datetime,
        until: datetime | None = None,
        *,
        timeout: float | None = None,
    ) -> Asked[Listing[m.Order]]:
        """Orders created in a time, whatever became of them."""
        call = self._api.orders(account_number(account), *_since(since, until))
        return self._requests.read(call, timeout)

    def open_orders(
        self, account: AccountNumber, contract: str | Contract | None = None, *, timeout: float | None = None
    ) -> Asked[Listing[m.Order]]:
        """Working orders; legs that are suspended are among them, where the gateway tells of them."""
        api, number = self._api, account_number(account)
        if contract is None:
            return self._requests.read(api.open_orders(number), timeout)
        text = contract_text(contract)
        return self._requests.read_of(text, lambda found: api.open_orders(number, found.id), timeout)

    def order(self, account: AccountNumber, order: int, *, timeout: float | None = None) -> Asked[m.Order]:
        """One order, whatever became of it."""
        return self._requests.read(self._api.order(account_number(account), order_number(order)), timeout)

    def positions(
        self, account: AccountNumber, *, timeout: float | None = None
    ) -> Asked[Listing[m.Position]]:
        """Open positions, one for each contract. `Position.net` has the sign."""
        return self._requests.read(self._api.positions(account_number(account)), timeout)

    def trades(
        self,
        account: AccountNumber,
        since: datetime,
        until: datetime | None = None,
        *,
        timeout: float | None = None,
    ) -> Asked[Listing[m.AccountTrade]]:
        """Fills of a time; those that are `voided` are no fills any more."""
        call = self._api.trades(account_number(account), *_since(since, until))
        return self._requests.read(call, timeout)

    def ping(self, *, timeout: float | None = None) -> Asked[str]:
        """ "pong", if the gateway answers."""
        return self._requests.read(self._api.ping(), timeout)

    # ── mutations ──

    @_refusing
    def place(
        self,
        account: AccountNumber,
        contract: str | Contract,
        side: Side,
        size: int,
        *,
        limit: Price | LeftOut = LEFT_OUT,
        stop: Price | LeftOut = LEFT_OUT,
        trail: Price | LeftOut = LEFT_OUT,
        join: Literal["bid", "ask"] | LeftOut = LEFT_OUT,
        bracket: Bracket | None = None,
        tag: str | None = None,
        deadline: float | None = None,
        align: Align | None = None,
    ) -> OrderHandle:
        """A new order: at the market, or with one of `limit`, `stop`, `trail` (an absolute price) and `join`.

        A price is a `Decimal`, text or int; one that is None is refused, so that a price that was not found
        does not become an order at the market. `side`: "buy" or "sell". `size`: contracts. `bracket`: exits
        in ticks from the fill, unsigned. `tag`: one of your own; an order with a tag that is known
        is not sent again. `align`: "refuse" a price off its tick, or "safe": move it to the side
        that is never worse. `deadline`: seconds.

        Returns its handle at once, also where an argument makes no sense: `Refused` with the code `terms`.

        Raises:
            ForkError: this is a forked child.
        """
        prices = {"limit": limit, "stop": stop, "trail": trail}
        given = [name for name, value in {**prices, "join": join}.items() if value is not LEFT_OUT]
        if len(given) > 1:
            raise ArgumentError(
                f"an order has one of limit, stop, trail and join, and not {' and '.join(given)}"
            )
        check_bracket(bracket)
        text = contract_text(contract)
        mutation = Place(
            account=account_number(account),
            contract=text,
            side=side,
            size=whole("size", size),
            type=_type(given, join),
            limit_price=exact_price("limit", limit),
            stop_price=exact_price("stop", stop),
            trail_price=exact_price("trail", trail),
            bracket=bracket,
        )
        return self._mutate(mutation, self._named(text), tag, deadline, align)

    @_refusing
    def modify(
        self,
        account: AccountNumber,
        order: int,
        *,
        size: int | LeftOut = LEFT_OUT,
        limit: Price | LeftOut = LEFT_OUT,
        stop: Price | LeftOut = LEFT_OUT,
        trail: Price | LeftOut = LEFT_OUT,
        tag: str | None = None,
        deadline: float | None = None,
        align: Align | None = None,
    ) -> OrderHandle:
        """Other terms for a working order; what is left out stays. The order is read first.

        A size or a price that is None is refused. Otherwise as `place`.
        """
        order, number = order_number(order), account_number(account)
        if size is None:
            raise ArgumentError("size is None, which is no number of contracts; leave it out if it stays")
        mutation = Modify(
            account=number,
            order=order,
            size=None if size is LEFT_OUT else whole("size", size),
            limit_price=exact_price("limit", limit),
            stop_price=exact_price("stop", stop),
            trail_price=exact_price("trail", trail),
        )
        return self._mutate(mutation, self._of_order(number, order), tag, deadline, align)

    @_refusing
    def cancel(
        self, account: AccountNumber, order: int, *, tag: str | None = None, deadline: float | None = None
    ) -> OrderHandle:
        """Takes a working order back. It may be filled before."""
        mutation = Cancel(account=account_number(account), order=order_number(order))
        return self._mutate(mutation, None, tag, deadline)

    def cancel_all(
        self, account: AccountNumber, contract: str | Contract | None = None, *, deadline: float | None = None
    ) -> SweepHandle:
        """Cancels every working order of the account, or of one contract, until two looks show none.

        Each cancel is an intent of its own; `deadline` is for each of them. Stops of open positions are among
        them: such a position is not protected any more.
        """
        return SweepHandle("cancel_all", self._cancelling(account, contract, deadline))

    @overload
    def close(
        self,
        account: AccountNumber,
        contract: str | Contract,
        size: int | None = None,
        *,
        sweep: Literal[False] = False,
        tag: str | None = None,
        deadline: float | None = None,
    ) -> OrderHandle: ...
    @overload
    def close(
        self,
        account: AccountNumber,
        contract: str | Contract,
        size: None = None,
        *,
        sweep: Literal[True],
        tag: str | None = None,
        deadline: float | None = None,
    ) -> SweepHandle: ...
    def close(
        self,
        account: AccountNumber,
        contract: str | Contract,
        size: int | None = None,
        *,
        sweep: bool = False,
        tag: str | None = None,
        deadline: float | None = None,
    ) -> OrderHandle | SweepHandle:
        """Ends the position in a contract at the market; `size`: only so many contracts of it.

        The gateway leaves the legs of brackets in the book, where they may open another position. `sweep`:
        once the position is gone they are cancelled, and the account is looked at until it shows none of
        them. If the close is not accepted, or the position does not go, they stay: they protect it. At the
        end the account is followed, if it was not, and `Sweep.flat` says whether it is flat, which takes some
        seconds.

        Raises:
            ForkError: this is a forked child.
        """
        handle = self._close(account, contract, size, sweep, tag=tag, deadline=deadline)
        if not sweep:
            return handle
        return SweepHandle("close", self._sweeping(handle, account, contract, deadline), handle)

    @_refusing
    def _close(
        self,
        account: AccountNumber,
        contract: str | Contract,
        size: int | None,
        sweep: bool,
        *,
        tag: str | None,
        deadline: float | None,
    ) -> OrderHandle:
        if sweep and size is not None:
            raise ArgumentError("sweep takes the whole position; the legs of what is left protect it")
        text = contract_text(contract)
        mutation = Close(account=account_number(account), contract=text, size=optional_size(size))
        return self._mutate(mutation, self._named(text), tag, deadline)

    def wait_settled(self, timeout: float | None = None) -> None:
        """Waits until orders of former processes have been looked for; until then nothing adds risk.

        Raises:
            Timeout: that is not so after `timeout` seconds.
            RuntimeStopped: the runtime has ended.
        """
        self._requests.wait_settled(timeout)

    def settle(self, tag: str, *, timeout: float | None = None) -> OrderHandle:
        """Looks at the gateway for what came of a mutation, by its tag, and records what is found.

        Its handle gives `Accepted` or `Refused` by the gateway's evidence, and `Unknown` without: an order
        that is in no list may still come.

        Raises:
            LinewardenError: `tag` is no text.
            RuntimeStopped: the runtime has ended.
            ForkError: this is a forked child.
        """
        if not isinstance(tag, str) or not tag:
            raise ArgumentError(
                f"settle takes the tag of an order, which its handle has as .tag, not {tag!r}"
            )
        return self._requests.settle(tag, timeout)

    # ── how it is done ──

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._requests.wall_ns() / 1e9, UTC)

    def _mutate(
        self,
        mutation: AnyMutation,
        resolve: Resolve | None,
        tag: str | None,
        deadline: float | None,
        align: Align | None = None,
    ) -> OrderHandle:
        check_tag(tag)
        check_deadline(deadline)
        check_align(align)
        return self._requests.mutate(mutation, resolve=resolve, tag=tag, deadline=deadline, align=align)

    def _named(self, contract: str) -> Resolve:
        def resolve(access: Access) -> Instrument:
            return Instrument(self._requests.contract(access, contract))

        return resolve

    def _of_order(self, account: int, order: int) -> Resolve:
        def resolve(access: Access) -> Instrument:
            row = access.read(self._api.order(account, order), "change")
            side = None if row.side is None else _SIDES.get(row.side)
            return Instrument(self._requests.contract(access, row.contract_id or ""), side)

        return resolve

    def _cancelling(
        self, account: AccountNumber, contract: str | Contract | None, deadline: float | None
    ) -> Steps:
        number = account_number(account)
        check_deadline(deadline)
        id = None if contract is None else self._id(contract)

        def look() -> list[Begun]:
            working = _whole(self._requests.read(self._api.open_orders(number, id)))
            return [(each.id, self.cancel(number, each.id, deadline=deadline)) for each in working]

        return (yield from repeat(look, ROUNDS, f"orders of account {number} are still working"))

    def _sweeping(
        self, handle: OrderHandle, account: AccountNumber, contract: str | Contract, deadline: float | None
    ) -> Steps:
        (outcome,) = yield [(None, handle)]
        if not isinstance(outcome, Accepted):
            stay = (
                "Orders of the contract stay; cancel_all takes them back"
                if isinstance(outcome, Refused) and outcome.by_venue and outcome.name == NO_POSITION
                else "Its legs stay"
            )
            raise SweepIncompleteError(f"the position was not closed: {_said(outcome)}. {stay}.")
        number, id = account_number(account), self._id(contract)
        self._await_flat(number, id)

        def look() -> list[Begun]:
            legs = [
                each
                for each in _whole(self._requests.read(self._api.open_orders(number, id)))
                if is_leg(each)
            ]
            return [(each.id, self.cancel(number, each.id, deadline=deadline)) for each in legs]

        yield from repeat(look, ROUNDS, f"legs of {id} are still working")
        self._await_flat(number, id, most=1)
        return self._requests.flat(number)

    def _id(self, contract: str | Contract) -> str:
        return self.contract(contract_text(contract)).get().id

    def _await_flat(self, account: int, contract: str, most: int = ROUNDS) -> None:
        for _ in range(most):
            positions = _whole(self._requests.read(self._api.positions(account)))
            if not any(each.contract_id == contract and each.net != 0 for each in positions):
                return
            pause()
        raise SweepIncompleteError(f"the position in {contract} is still open; its legs stay")


def _whole(asked: Asked[Listing[Row]]) -> tuple[Row, ...]:
    """The rows. Raises SweepIncompleteError: the list may be cut."""
    listing = asked.get()
    if not listing.whole:
        raise SweepIncompleteError(f"{listing.endpoint} may not have told of all")
    return listing.rows


def _said(outcome: OrderOutcome) -> str:
    match outcome:
        case Refused(code=code, name=name, message=message):
            return f"refused ({' '.join(filter(None, (code, name)))}: {message})"
    return str(getattr(outcome, "why", outcome))


def _type(given: list[str], join: object) -> OrderType:
    types: dict[str, OrderType] = {"limit": "limit", "stop": "stop", "trail": "trailing_stop"}
    joins: dict[object, OrderType] = {"bid": "join_bid", "ask": "join_ask"}
    if given != ["join"]:
        return types[given[0]] if given else "market"
    if not isinstance(join, str) or join not in joins:
        raise ArgumentError(f'join is "bid" or "ask", not {join!r}')
    return joins[join]


def _every(text: str) -> tuple[BarUnit, int]:
    every = timeframe_of(text)
    if every.unit == "session":
        raise ArgumentError("the gateway has no bars of sessions; runtime.bars puts them together")
    return every.unit, every.number


def _span(days: float | None, start: datetime | None, end: datetime) -> tuple[datetime, datetime]:
    """The time of bars."""
    check_moment("end", end)
    if (days is None) == (start is None):
        raise ArgumentError("bars takes either days or start")
    if start is not None:
        check_moment("start", start)
        if start >= end:
            raise ArgumentError(f"start is before end, and {start} is not before {end}")
        return start, end
    if not isinstance(days, Real) or isinstance(days, bool) or not 0 < days <= MOST_DAYS:
        raise ArgumentError(f"days is a number above 0 and at most {MOST_DAYS}, not {days!r}")
    return end - timedelta(days=float(days)), end


def _since(since: datetime, until: datetime | None) -> tuple[datetime, datetime | None]:
    check_moment("since", since)
    if until is not None:
        check_moment("until", until)
    return since, until
