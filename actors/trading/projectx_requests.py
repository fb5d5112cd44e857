"""ProjectX' requests as a program calls them: what `runtime.ask` returns for a feed of that venue.

Reads return a future at once (`Asked`), mutations a handle (`OrderHandle`). An account is the gateway's
number of it. A contract is named by a full id (CON.F.US.ENQ.Z26), a name (NQZ6), its root (NQ) or a product
(ENQ); what names several is refused with what was found. Prices are `Decimal`, text or int; a float is taken
as it is written.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, overload

from actors.errors import LinewardenError
from actors.protocol.trading import (
    Accepted,
    Align,
    Bracket,
    Cancel,
    Close,
    Contract,
    Modify,
    OrderOutcome,
    OrderType,
    Place,
    Refused,
    Side,
)
from actors.trading.asks import Access, Asked
from actors.trading.mutation import Instrument, Resolve
from actors.trading.order_handle import OrderHandle
from actors.trading.requests import Requests
from actors.trading.sweep import Steps, SweepHandle, SweepIncompleteError, pause, repeat
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import Bar, BarUnit, Listing, ProjectXApi
from actors.venues.projectx.rest.holdings import is_leg

if TYPE_CHECKING:
    from actors.protocol.trading import Call

Price: TypeAlias = Decimal | int | str | float

BARS: Final = 60.0  # seconds: the gateway took 33 for one page on bad days
ROUNDS: Final = 20  # looks at the account within a sweep
_EVERY: Final = re.compile(r"([0-9]{0,4}) ?(s|sec|second|min|minute|h|hour|d|day|w|week|month)s?")
_UNITS: Final[dict[str, BarUnit]] = {
    **dict.fromkeys(("s", "sec", "second"), "second"),
    **dict.fromkeys(("min", "minute"), "minute"),
    **dict.fromkeys(("h", "hour"), "hour"),
    **dict.fromkeys(("d", "day"), "day"),
    **dict.fromkeys(("w", "week"), "week"),
    "month": "month",
}


class ProjectXRequests:
    """The gateway's REST part, from synchronous code. Any thread; each call returns at once.

    Reads: `timeout` is in seconds, for all of it with the waiting for a connection and for the gateway's
    budget. `get` raises what a read comes to; see `Asked`. Mutations: `deadline` is in seconds; after it
    nothing leaves, and what has left and was not answered is `Unknown`. They need `trading = true` in the
    feed's table, or are refused before they leave; see `docs/trading.md`.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    @property
    def _api(self) -> ProjectXApi:
        return cast(ProjectXApi, self._requests.api)

    # ── what there is to trade ──

    def contract(
        self, text: str, *, live: bool | None = None, timeout: float | None = None
    ) -> Asked[Contract]:
        """The one contract that this text names. `live`: of live accounts; None: as the feed has it."""
        return self._requests.read(self._api.contract(text, live=live), timeout)

    def contracts(
        self, text: str, *, live: bool | None = None, timeout: float | None = None
    ) -> Asked[tuple[Contract, ...]]:
        """What the gateway's search finds for a text, at most 20."""
        return self._requests.read(self._api.contracts(text, live=live), timeout)

    def available_contracts(
        self, *, live: bool | None = None, timeout: float | None = None
    ) -> Asked[tuple[Contract, ...]]:
        """All contracts that may be traded."""
        return self._requests.read(self._api.available_contracts(live=live), timeout)

    def bars(
        self,
        contract: str,
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
        newest. `partial`: the bar that is forming as well. A period without trades has no bar.

        Raises:
            LinewardenError: an argument makes no sense, or a time has no time zone.
        """
        unit, number = _every(every)
        end = self._now() if end is None else end
        if (days is None) == (start is None):
            raise LinewardenError("bars takes either days or start")
        begin = start if start is not None else end - timedelta(days=days or 0)
        api = self._api

        def of(found: Contract) -> Call[tuple[Bar, ...]]:
            return api.bars(
                found.id, unit, number, start=begin, end=end, limit=limit, partial=partial, live=live
            )

        return self._requests.read_of(contract, of, BARS if timeout is None else timeout)

    # ── an account ──

    def accounts(
        self, *, only_active: bool = True, timeout: float | None = None
    ) -> Asked[tuple[m.Account, ...]]:
        """The accounts that the login may see."""
        return self._requests.read(self._api.accounts(only_active), timeout)

    def orders(
        self, account: int, since: datetime, until: datetime | None = None, *, timeout: float | None = None
    ) -> Asked[Listing[m.Order]]:
        """Orders created in a time, whatever became of them."""
        return self._requests.read(self._api.orders(account, since, until), timeout)

    def open_orders(
        self, account: int, contract: str | None = None, *, timeout: float | None = None
    ) -> Asked[Listing[m.Order]]:
        """Working orders; legs that are suspended are among them, where the gateway tells of them."""
        api = self._api
        if contract is None:
            return self._requests.read(api.open_orders(account), timeout)
        return self._requests.read_of(contract, lambda found: api.open_orders(account, found.id), timeout)

    def order(self, account: int, order: int, *, timeout: float | None = None) -> Asked[m.Order]:
        """One order, whatever became of it."""
        return self._requests.read(self._api.order(account, order), timeout)

    def positions(self, account: int, *, timeout: float | None = None) -> Asked[Listing[m.Position]]:
        """Open positions, one for each contract. `Position.net` has the sign."""
        return self._requests.read(self._api.positions(account), timeout)

    def trades(
        self, account: int, since: datetime, until: datetime | None = None, *, timeout: float | None = None
    ) -> Asked[Listing[m.AccountTrade]]:
        """Fills of a time; those that are `voided` are no fills any more."""
        return self._requests.read(self._api.trades(account, since, until), timeout)

    def ping(self, *, timeout: float | None = None) -> Asked[str]:
        """ "pong", if the gateway answers."""
        return self._requests.read(self._api.ping(), timeout)

    # ── mutations ──

    def place(
        self,
        account: int,
        contract: str,
        side: Side,
        size: int,
        *,
        limit: Price | None = None,
        stop: Price | None = None,
        trail: Price | None = None,
        join: Literal["bid", "ask"] | None = None,
        bracket: Bracket | None = None,
        tag: str | None = None,
        deadline: float | None = None,
        align: Align | None = None,
    ) -> OrderHandle:
        """A new order: at the market, or with one of `limit`, `stop`, `trail` (an absolute price) and `join`.

        `bracket`: exits in ticks from the fill, unsigned. `tag`: one of your own; an order with a tag that is
        known is not sent again. `align`: a price off its tick is refused, or moved to the side that is never
        worse.

        Raises:
            LinewardenError: an argument makes no sense. Nothing was sent.
        """
        given = [
            name for name, value in (("limit", limit), ("stop", stop), ("trail", trail)) if value is not None
        ]
        given += ["join"] * (join is not None)
        if len(given) > 1:
            raise LinewardenError(
                f"an order has one of limit, stop, trail and join, and not {' and '.join(given)}"
            )
        mutation = Place(
            account=account,
            contract=contract,
            side=side,
            size=size,
            type=_type(given, join),
            limit_price=_price("limit", limit),
            stop_price=_price("stop", stop),
            trail_price=_price("trail", trail),
            bracket=bracket,
        )
        return self._requests.mutate(
            mutation, resolve=self._named(contract), tag=tag, deadline=deadline, align=align
        )

    def modify(
        self,
        account: int,
        order: int,
        *,
        size: int | None = None,
        limit: Price | None = None,
        stop: Price | None = None,
        trail: Price | None = None,
        tag: str | None = None,
        deadline: float | None = None,
        align: Align | None = None,
    ) -> OrderHandle:
        """Other terms for a working order; what is left out stays. The order is read first.

        Raises:
            LinewardenError: an argument makes no sense. Nothing was sent.
        """
        mutation = Modify(
            account=account,
            order=order,
            size=size,
            limit_price=_price("limit", limit),
            stop_price=_price("stop", stop),
            trail_price=_price("trail", trail),
        )
        resolve = self._of_order(account, order)
        return self._requests.mutate(mutation, resolve=resolve, tag=tag, deadline=deadline, align=align)

    def cancel(
        self, account: int, order: int, *, tag: str | None = None, deadline: float | None = None
    ) -> OrderHandle:
        """Takes a working order back."""
        return self._requests.mutate(Cancel(account=account, order=order), tag=tag, deadline=deadline)

    def cancel_all(
        self, account: int, contract: str | None = None, *, deadline: float | None = None
    ) -> SweepHandle:
        """Cancels every working order of the account, or of one contract, until two looks show none.

        Each cancel is an intent of its own; `deadline` is for each of them. Stops of open positions are among
        them: such a position is not protected any more.
        """
        return SweepHandle("cancel_all", self._cancelling(account, contract, deadline))

    @overload
    def close(
        self,
        account: int,
        contract: str,
        size: int | None = None,
        *,
        sweep: Literal[False] = False,
        tag: str | None = None,
        deadline: float | None = None,
    ) -> OrderHandle: ...
    @overload
    def close(
        self,
        account: int,
        contract: str,
        size: None = None,
        *,
        sweep: Literal[True],
        tag: str | None = None,
        deadline: float | None = None,
    ) -> SweepHandle: ...
    def close(
        self,
        account: int,
        contract: str,
        size: int | None = None,
        *,
        sweep: bool = False,
        tag: str | None = None,
        deadline: float | None = None,
    ) -> OrderHandle | SweepHandle:
        """Ends the position in a contract at the market; `size`: only so many contracts of it.

        The gateway leaves the legs of brackets in the book, where they may open another position. `sweep`:
        once the position is gone they are cancelled, and the account is looked at until it shows none of
        them. If the close is not accepted, or the position does not go, they stay: they protect it.

        Raises:
            LinewardenError: an argument makes no sense. Nothing was sent.
        """
        if sweep and size is not None:
            raise LinewardenError("sweep takes the whole position; the legs of what is left protect it")
        mutation = Close(account=account, contract=contract, size=size)
        handle = self._requests.mutate(mutation, resolve=self._named(contract), tag=tag, deadline=deadline)
        if not sweep:
            return handle
        return SweepHandle("close", self._sweeping(handle, account, contract, deadline), handle)

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
        """
        return self._requests.settle(tag, timeout)

    # ── how it is done ──

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._requests.wall_ns() / 1e9, UTC)

    def _named(self, contract: str) -> Resolve:
        def resolve(access: Access) -> Instrument:
            return Instrument(self._requests.contract(access, contract))

        return resolve

    def _of_order(self, account: int, order: int) -> Resolve:
        def resolve(access: Access) -> Instrument:
            row = access.read(self._api.order(account, order), "change")
            side: Side | None = {0: "buy", 1: "sell"}.get(-1 if row.side is None else row.side)  # type: ignore[assignment]
            return Instrument(self._requests.contract(access, row.contract_id or ""), side)

        return resolve

    def _cancelling(self, account: int, contract: str | None, deadline: float | None) -> Steps:
        id = None if contract is None else self.contract(contract).get().id

        def look() -> list[OrderHandle]:
            working = _whole(self._requests.read(self._api.open_orders(account, id)))
            return [self.cancel(account, each.id, deadline=deadline) for each in working]

        yield from repeat(look, ROUNDS, f"orders of account {account} are still working")

    def _sweeping(self, handle: OrderHandle, account: int, contract: str, deadline: float | None) -> Steps:
        (outcome,) = yield [handle]
        if not isinstance(outcome, Accepted):
            raise SweepIncompleteError(f"the position was not closed: {_said(outcome)}. Its legs stay.")
        id = self.contract(contract).get().id
        self._await_flat(account, id)

        def look() -> list[OrderHandle]:
            legs = [
                each
                for each in _whole(self._requests.read(self._api.open_orders(account, id)))
                if is_leg(each)
            ]
            return [self.cancel(account, each.id, deadline=deadline) for each in legs]

        yield from repeat(look, ROUNDS, f"legs of {id} are still working")
        self._await_flat(account, id, most=1)

    def _await_flat(self, account: int, contract: str, most: int = ROUNDS) -> None:
        for _ in range(most):
            positions = _whole(self._requests.read(self._api.positions(account)))
            if not any(each.contract_id == contract and each.net != 0 for each in positions):
                return
            pause()
        raise SweepIncompleteError(f"the position in {contract} is still open; its legs stay")


def _whole(asked: Asked[Listing[m.Order]] | Asked[Listing[m.Position]]) -> tuple:  # type: ignore[type-arg]
    listing = asked.get()
    if not listing.whole:
        raise SweepIncompleteError(f"{listing.endpoint} may not have told of all")
    return listing.rows


def _said(outcome: OrderOutcome) -> str:
    match outcome:
        case Refused(code=code, name=name, message=message):
            return f"refused ({' '.join(filter(None, (code, name)))}: {message})"
    return str(getattr(outcome, "why", outcome))


def _type(given: list[str], join: str | None) -> OrderType:
    if join is not None:
        if join not in ("bid", "ask"):
            raise LinewardenError(f'join is "bid" or "ask", not {join!r}')
        return "join_bid" if join == "bid" else "join_ask"
    types: dict[str, OrderType] = {"limit": "limit", "stop": "stop", "trail": "trailing_stop"}
    return types[given[0]] if given else "market"


def _price(name: str, price: Price | None) -> Decimal | None:
    """Exact; a float as it is written."""
    if price is None or isinstance(price, Decimal):
        return price
    if isinstance(price, bool) or not isinstance(price, int | str | float):
        raise LinewardenError(f"{name} is a price, and {price!r} is none")
    try:
        return Decimal(str(price))
    except InvalidOperation:
        raise LinewardenError(f"{name} is a price, and {price!r} is none") from None


def _every(text: str) -> tuple[BarUnit, int]:
    found = _EVERY.fullmatch(text.strip().lower())
    if found is None or found[1] == "0":
        raise LinewardenError(f'bars are of a length such as "15s", "5min", "4h" or "1day", not {text!r}')
    return _UNITS[found[2]], int(found[1] or 1)
