"""What a program sees of an account: frozen, and sure to be of one moment."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from actors.display.escaping import printable
from actors.display.shown import html_of
from actors.errors import LinewardenError
from actors.protocol.accounts import AccountBalance, AccountOrder, AccountPosition, AccountRow, Fill
from actors.protocol.formatting import counted
from actors.protocol.trading import Contract
from actors.rules.account.states import ViewState

AccountSource = Literal["stream", "rest", "audit"]
FlatAnswer = Literal["yes", "no", "unknown"]


class Mark(Struct, frozen=True):
    """The price at which an open position is valued, and how old it is. `of`: "trade" or "mid"."""

    price: Decimal
    age_s: float
    of: str = "trade"


class AccountEvent(Struct, frozen=True):
    """One change of an account, at the place where the view took it over.

    `row` is the whole row as the view has it now, `before` the one it replaces; None: there was none.
    `source`: "stream" from the venue's stream; "rest" for what a snapshot showed after a start or a loss;
    "audit" for what a snapshot showed on a healthy line. `at_ns`: wall clock, nanoseconds.
    """

    row: AccountRow
    source: AccountSource
    at_ns: int
    before: AccountRow | None = None


class SilentLoss(Struct, frozen=True):
    """An event that the stream did not bring, on a line that was live. `what`: order, position, …, in words.

    `since_ns`: when a snapshot first showed it; `at_ns`: when it was taken over. Wall clock, nanoseconds.
    """

    what: str
    since_ns: int
    at_ns: int


class Flat(Struct, frozen=True):
    """Whether an account has no position and no order that could open one. Truthy only for `yes`.

    `reasons`: what makes it "no", or what is missing for an answer.
    """

    answer: FlatAnswer
    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.answer == "yes"

    def _repr_html_(self) -> str | None:
        return html_of(self, "view_pages:of_flat")


class PositionView(Struct, frozen=True, kw_only=True):
    """An open position. `net`: signed contracts, below 0 for short; None: the venue did not tell a direction.

    `contract`: the venue's id; `name`: its name there, empty: not known. `unrealised`: in money, by the
    contract's tick value, before fees, at `mark`; None: `why` says what is missing. `mark_age_s`: the age of
    the mark in seconds.
    """

    contract: str
    net: int | None
    average_price: Decimal | None
    unrealised: Decimal | None = None
    mark: Decimal | None = None
    mark_age_s: float | None = None
    why: str = ""
    name: str = ""
    row: AccountPosition


class OrderView(Struct, frozen=True):
    """An order that works, or of which that is not known. `legs`: of its bracket, those that work."""

    order: AccountOrder
    legs: tuple[AccountOrder, ...] = ()


class AccountView(Struct, frozen=True, kw_only=True):
    """An account at one moment.

    Only a `synced` view is what the account has. In any other state it holds what was known last, and
    `reasons` says why that is not enough. `age_s`: seconds since the newest whole snapshot was asked for;
    None: there was none. `fills`: of the session, without voided ones, oldest first. `realised`: the profit
    of the session's fills less fees and commissions, since `since_ns`; None: fills have not been read yet.
    `unrealised`: of all positions; None: one of them cannot be valued, or there was no snapshot. `unproved`:
    why no permit may be built on it; empty: the evidence is enough. `silent_losses`: of the last hour.
    """

    feed: str
    account: int
    state: ViewState
    reasons: tuple[str, ...]
    positions: tuple[PositionView, ...]
    orders: tuple[OrderView, ...]
    fills: tuple[Fill, ...]
    balance: AccountBalance | None
    realised: Decimal | None
    unrealised: Decimal | None
    since_ns: int
    at_ns: int
    age_s: float | None
    flat: Flat
    unproved: tuple[str, ...]
    silent_losses: tuple[SilentLoss, ...] = ()

    @property
    def synced(self) -> bool:
        """Whether stream and REST agree on it."""
        return self.state == "synced"

    def net(self, contract: str | Contract) -> int | None:
        """Returns the signed position in a contract, which is given as it was read, or by its full id.

        None: it is not known, because the view is not synced, or because the text is a part of the id or of
        the name of a contract that is held, such as `ENQ`: it may mean that one.

        Raises:
            LinewardenError: `contract` is neither text nor a `Contract`.
        """
        if not isinstance(contract, str | Contract):
            raise LinewardenError(f"net takes a Contract or its full id, and {contract!r} is neither")
        if not self.synced:
            return None
        id = contract if isinstance(contract, str) else contract.id
        for each in self.positions:
            if each.contract == id:
                return each.net
        held = {text for each in self.positions for text in (each.contract, each.name)}
        return None if any(id in text for text in held) else 0

    def __repr__(self) -> str:
        if not self.synced:
            reason = f", {self.reasons[0]}" if self.reasons else ""
            return printable(f"<AccountView {self.feed}/{self.account}: {self.state}{reason}>")
        parts = (
            counted(len(self.positions), "position"),
            counted(len(self.orders), "order"),
            f"flat {self.flat.answer}",
        )
        return printable(f"<AccountView {self.feed}/{self.account}: {' · '.join(parts)}>")

    def _repr_html_(self) -> str | None:
        return html_of(self, "view_pages:of_account")
