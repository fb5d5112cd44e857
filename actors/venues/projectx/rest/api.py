"""The requests of a ProjectX feed: every read and every mutation as a conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar, cast
from urllib.parse import urlsplit

from actors import protocol
from actors.protocol import (
    AccountLook,
    AccountReads,
    Align,
    AnyMutation,
    Backfilled,
    Call,
    CallRefused,
    Contract,
    Conversation,
    Exposure,
    FinalRow,
    FrameLimit,
    Intent,
    LinewardenError,
    Loss,
    OrderOutcome,
    Secret,
    Side,
    Steps,
    TradingApi,
    until_failure,
)
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import account as lists
from actors.venues.projectx.rest import (
    account_rows,
    holdings,
    lost_fills,
    mutations,
    settling,
    terms,
    working,
)
from actors.venues.projectx.rest import bars as bar_pages
from actors.venues.projectx.rest import contracts as found
from actors.venues.projectx.rest.account import Listing
from actors.venues.projectx.rest.asking import ORDINARY, Asking, Envelope, Gateway
from actors.venues.projectx.rest.bars import BarQuery, BarUnit
from actors.venues.projectx.rest.times import nanoseconds_of

T = TypeVar("T")

REST_LIMIT: Final = FrameLimit(200, 60.0)  # ProjectX, "Rate Limits": all but bars, of all processes of a user
BARS_LIMIT: Final = FrameLimit(30, 30.0)  # the docs said 50 at another time


class ProjectXApi(TradingApi):
    """Reads return a `Call`, whose conversation returns rows; mutations are prepared, sent and found.

    `live`: contracts and bars are those of live accounts, where a call does not say otherwise; a wrong one
    finds nothing. Prices and money are `Decimal`, as exact as the wire. Enumerations and fields that are not
    known do not disturb. Lists of an account are `Listing`s, which tell whether they are whole.
    """

    def __init__(self, rest: str, *, live: bool = False, bars_limit: FrameLimit = BARS_LIMIT) -> None:
        self.host = urlsplit(rest).netloc.rpartition("@")[2].lower()
        self._gateway = Gateway(rest)
        self._live = live
        self.meters: Mapping[str, FrameLimit] = {"rest": REST_LIMIT, "bars": bars_limit}

    # ── what there is to trade ──

    def contract(self, text: str, *, live: bool | None = None, inactive: bool = False) -> Call[Contract]:
        """Returns the read that resolves a full id, a name (NQZ6), its root (NQ) or a product (ENQ).

        What names none, or several, is a `CallRefused` that lists what was found. `inactive`: others than
        those that the gateway calls active count too; a full id finds them in any case.
        """
        return self._call(
            f"contract({text!r})",
            lambda asking: found.resolved(asking, text, self._is_live(live), inactive),
        )

    def contracts(self, text: str, *, live: bool | None = None) -> Call[tuple[Contract, ...]]:
        """Returns the read of what the gateway's search finds, at most 20, in its order."""
        return self._call(
            f"contracts({text!r})", lambda asking: found.found(asking, text, self._is_live(live))
        )

    def available_contracts(self, *, live: bool | None = None) -> Call[tuple[Contract, ...]]:
        """Returns the read of all contracts that may be traded."""
        return self._call("available_contracts", lambda asking: found.available(asking, self._is_live(live)))

    def bars(
        self,
        contract: str,
        unit: BarUnit,
        unit_number: int = 1,
        *,
        start: datetime,
        end: datetime,
        limit: int | None = None,
        partial: bool = False,
        live: bool | None = None,
    ) -> Call[tuple[protocol.Bar, ...]]:
        """Returns the read of a contract's bars, by its full id, oldest first, each once.

        It asks page by page, each of up to 20,000, and counts as much in the meter `bars`. `limit`: only so
        many, the newest. `partial`: the bar that is forming as well, which is not `complete` by the venue's
        time. A period without trades has no bar.

        Raises:
            LinewardenError: a time has no time zone, or a number is no number of bars.
        """
        if unit not in bar_pages.UNITS:
            raise LinewardenError(f"a unit of bars is one of {', '.join(bar_pages.UNITS)}, not {unit!r}")
        if unit_number < 1 or (limit is not None and limit < 1):
            raise LinewardenError("unit_number and limit are whole numbers from 1 on")
        query = BarQuery(
            contract=contract,
            unit=unit,
            unit_number=unit_number,
            start_ns=nanoseconds_of(start),
            end_ns=nanoseconds_of(end),
            live=self._is_live(live),
            limit=limit,
            partial=partial,
        )
        return self._call(
            f"bars({contract}, {unit_number} {unit})",
            lambda asking: bar_pages.retrieved(asking, query),
            meter="bars",
            timeout=bar_pages.TIMEOUT,
        )

    def finished_bars(self, query: protocol.BarQuery) -> Call[tuple[protocol.Bar, ...]] | None:
        """Returns the read of bars that are over; None: the gateway may align them in another way."""
        every = query.every
        if not bar_pages.is_clock_aligned(every):
            return None
        unit = cast(BarUnit, every.unit)
        page = BarQuery(
            contract=query.key,
            unit=unit,
            unit_number=every.number,
            start_ns=query.start_ns,
            end_ns=query.end_ns,
            live=self._live,
            limit=query.limit,
        )

        def steps(asking: Asking) -> Steps[tuple[protocol.Bar, ...]]:
            rows = yield from bar_pages.retrieved(asking, page)
            return bar_pages.finished(rows, query.start_ns, query.end_ns)

        name = f"bars({query.key}, {every})"
        return self._call(name, steps, meter="bars", timeout=bar_pages.TIMEOUT)

    # ── an account ──

    def accounts(self, only_active: bool = True) -> Call[tuple[m.Account, ...]]:
        """Returns the read of the accounts that the login may see."""
        return self._call("accounts", lambda asking: lists.accounts(asking, only_active))

    def account(self, name: str) -> Call[m.Account]:
        """Returns the read of the active account of this name, in upper or lower case.

        What names none, or several, is a `CallRefused` that lists the accounts.
        """
        return self._call(f"account({name!r})", lambda asking: lists.named(asking, name))

    def orders(self, account: int, since: datetime, until: datetime | None = None) -> Call[Listing[m.Order]]:
        """Returns the read of orders created in a time, whatever became of them.

        Raises:
            LinewardenError: a time has no time zone.
        """
        span = nanoseconds_of(since), None if until is None else nanoseconds_of(until)
        return self._call(f"orders({account})", lambda asking: lists.orders(asking, account, *span))

    def open_orders(self, account: int, contract: str | None = None) -> Call[Listing[m.Order]]:
        """Returns the read of working orders; `contract`: only of this one, by its full id.

        Legs that are suspended are among them, where the gateway has `Order/v2/query`.
        """
        return self._call(
            f"open_orders({account})", lambda asking: lists.open_orders(asking, account, contract)
        )

    def order(self, account: int, order: int) -> Call[m.Order]:
        """Returns the read of one order, whatever became of it."""
        return self._call(f"order({order})", lambda asking: lists.order(asking, account, order))

    def positions(self, account: int) -> Call[Listing[m.Position]]:
        """Returns the read of open positions, one for each contract; `net` is the signed size.

        An account whose list is empty and `whole` had no position at that moment. A list that is missing is a
        reason, and no empty one.
        """
        return self._call(f"positions({account})", lambda asking: lists.positions(asking, account))

    def trades(
        self, account: int, since: datetime, until: datetime | None = None
    ) -> Call[Listing[m.AccountTrade]]:
        """Returns the read of fills of a time; those that are `voided` are no fills any more.

        Raises:
            LinewardenError: a time has no time zone.
        """
        span = nanoseconds_of(since), None if until is None else nanoseconds_of(until)
        return self._call(f"trades({account})", lambda asking: lists.trades(asking, account, *span))

    def account_reads(self, account: int, since_ns: int) -> AccountReads:
        """Returns the reads of the account view. The list of working orders has suspended legs.

        It is whole only where the gateway has `Order/v2/query`, which stands in the OpenAPI document alone.
        """
        rows = account_rows
        return AccountReads(
            orders=self._call(f"orders({account})", lambda asking: rows.working(asking, account)),
            history=self._call(f"history({account})", lambda asking: rows.history(asking, account, since_ns)),
            fills=self._call(f"fills({account})", lambda asking: rows.fills(asking, account, since_ns)),
            positions=self._call(f"positions({account})", lambda asking: rows.positions(asking, account)),
            balance=self._call(f"balance({account})", lambda asking: rows.balance(asking, account)),
            order=lambda order: self._call(
                f"order({order})", lambda asking: rows.order(asking, account, order)
            ),
        )

    def lost_fills(self, account: int, loss: Loss) -> Call[Backfilled]:
        """Returns the read of the fills of a loss."""
        return self._call(
            f"lost_fills({account})", lambda asking: lost_fills.backfilled(asking, account, loss)
        )

    # ── the gateway ──

    def ping(self) -> Call[str]:
        """Returns the read of `Status/ping`, which answers pong."""
        return self._call("ping", Asking.ping)

    def logout(self) -> Call[bool]:
        """Returns the read that ends the token which it is asked with; its lines are logged out as well."""
        return self._call("logout", _log_out)

    # ── mutations ──

    def prepare(
        self,
        mutation: AnyMutation,
        contract: Contract | None,
        *,
        align: Align = "refuse",
        side: Side | None = None,
    ) -> AnyMutation | str:
        """Returns the mutation as it may be sent, prices on their ticks; or a sentence why it may not be."""
        return terms.prepared(mutation, contract, align, side)

    def send(self, mutation: AnyMutation, tag: str, secret: Secret) -> Conversation[OrderOutcome]:
        """Returns the conversation of exactly one request. It ends with an outcome, whatever the answer."""
        return mutations.send(self._gateway, mutation, tag, secret)

    def find(self, intent: Intent) -> Call[OrderOutcome]:
        """Returns the read that looks for evidence of what came of an intent; without it: `Unknown`."""
        return self._call(f"find({intent.tag})", lambda asking: settling.settled(asking, intent))

    def exposure(self, account: int, contract: str) -> Call[Exposure]:
        """Returns the read of what the account has in this contract; a list that may be cut is a reason."""
        return self._call(
            f"exposure({account}, {contract})", lambda asking: holdings.exposure(asking, account, contract)
        )

    def is_protective(self, account: int, order: int) -> Call[bool]:
        """Returns the read whether a working order is a leg or a stop of an open position."""
        return self._call(
            f"is_protective({order})", lambda asking: holdings.is_protective(asking, account, order)
        )

    # ── the way out of a halt ──

    def account_ids(self) -> Call[tuple[int, ...]]:
        """Returns the read of the accounts that are active."""
        return self._call("account_ids", working.account_ids)

    def working(self, account: int) -> Call[AccountLook]:
        """Returns the read of the working orders, and of what each is for."""
        return self._call(f"working({account})", lambda asking: working.look(asking, account))

    def final_row(self, account: int, order: int) -> Call[FinalRow]:
        """Returns the read of one order, as the way out of a halt reports it."""
        return self._call(f"final_row({order})", lambda asking: working.final_row(asking, account, order))

    def tags(self, since_ns: int) -> Call[Mapping[int, tuple[str, ...]]]:
        """Returns the read of the tags of orders since then, of all active accounts."""
        return self._call("tags", lambda asking: lists.tags(asking, since_ns))

    # ── details ──

    def _call(
        self,
        name: str,
        steps: Callable[[Asking], Steps[T]],
        *,
        meter: str = "rest",
        timeout: float = ORDINARY,
    ) -> Call[T]:
        def converse(secret: Secret) -> Conversation[T | CallRefused]:
            return until_failure(steps(Asking(self._gateway, secret)))

        return Call(name, converse, meter, timeout)

    def _is_live(self, live: bool | None) -> bool:
        return self._live if live is None else live


def _log_out(asking: Asking) -> Steps[bool]:
    yield from asking.post("Auth/logout", Envelope, {})
    return True
