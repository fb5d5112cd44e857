"""Orders at a venue: what can be asked for, what comes of it, and the conversations that a venue provides.

A venue with orders returns its `TradingApi` from `Venue.trading`. It is sans-I/O, as all of a venue: each
method returns a conversation, or a value. The tag, the record on disk, the limits, the meters and the
deadline of a mutation are the caller's (`actors/trading`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypeAlias

from msgspec import Struct

from actors.protocol.accounts import AccountReads, Side
from actors.protocol.conversation import Conversation, settled
from actors.protocol.rest import Call, Lane, RestApi
from actors.secret import Secret

OrderType = Literal["market", "limit", "stop", "trailing_stop", "join_bid", "join_ask"]
Align = Literal["refuse", "safe"]  # what becomes of a price that is off its tick


class Contract(Struct, frozen=True):
    """What is traded. Prices are multiples of `tick_size`; `tick_value`: money, one tick of one contract."""

    id: str
    name: str
    tick_size: Decimal
    tick_value: Decimal
    description: str = ""
    is_active: bool = True
    product: str = ""  # the venue's code of the product, such as EP


class Bracket(Struct, frozen=True):
    """Exits of an entry, in ticks from its fill, unsigned: the side of the entry gives their signs."""

    stop: int | None = None
    target: int | None = None


# ── mutations: what changes something at the venue ──────────────────────────────────────────────


class Mutation(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """`account`: the venue's id of it."""

    account: int


class Place(Mutation, frozen=True, kw_only=True, tag="place"):
    """A new order. `contract`: the venue's full id. Prices are absolute, also that of a trailing stop."""

    contract: str
    side: Side
    size: int
    type: OrderType
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    bracket: Bracket | None = None


class Modify(Mutation, frozen=True, kw_only=True, tag="modify"):
    """Other terms for a working order; None: that one stays."""

    order: int
    size: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None


class Cancel(Mutation, frozen=True, kw_only=True, tag="cancel"):
    """Takes a working order back."""

    order: int


class Close(Mutation, frozen=True, kw_only=True, tag="close"):
    """Ends the position in a contract at the market; `size`: only so many contracts of it."""

    contract: str
    size: int | None = None


AnyMutation: TypeAlias = Place | Modify | Cancel | Close


def adds_risk(mutation: AnyMutation) -> bool:
    """Returns whether a halt, a full disk or an unknown outcome refuses it: true for `Place` and `Modify`."""
    return isinstance(mutation, Place | Modify)


def lane_of(mutation: AnyMutation) -> Lane:
    """Returns `flatten` for what reduces risk, which has room of its own in meters and connections."""
    return "change" if adds_risk(mutation) else "flatten"


# ── outcomes ────────────────────────────────────────────────────────────────────────────────────


class Accepted(Struct, frozen=True, tag_field="outcome", tag="accepted"):
    """The venue has taken it, which is no fill. `order_id`: of the order, where the venue tells it."""

    tag: str
    order_id: int | None = None


class Refused(Struct, frozen=True, tag_field="outcome", tag="refused"):
    """It was not done: by the venue's word, or because Linewarden did not send it.

    `code` is the venue's, as text, or one of Linewarden's: halted, limit, meter, deadline, trading, …
    `retry_after`: seconds after which it may be asked for again; None: not known. `order_id`: some venues
    keep a record of an order that they refused.
    """

    tag: str
    code: str
    name: str = ""
    message: str = ""
    retry_after: float | None = None
    by_venue: bool = False
    order_id: int | None = None


class Unknown(Struct, frozen=True, tag_field="outcome", tag="unknown"):
    """It may have been done. It is never sent again; `settle(tag)` looks for evidence at the venue."""

    tag: str
    why: str


OrderOutcome: TypeAlias = Accepted | Refused | Unknown


class Intent(Struct, frozen=True, kw_only=True):
    """A mutation that may have left: what is needed to find out what came of it."""

    tag: str
    mutation: AnyMutation
    begun_ns: int  # wall clock, nanoseconds: no byte left before


class Exposure(Struct, frozen=True, kw_only=True):
    """What an account has in one contract, as the venue tells it: for limits.

    `position` is signed. `buys` and `sells` are contracts of working orders, `orders` the number of all
    working orders of the account. `left`: of each order in `buys` and `sells`, by its id, its contracts.
    """

    position: int
    buys: int
    sells: int
    orders: int
    left: Mapping[int, int] = {}


class WorkingOrder(Struct, frozen=True, kw_only=True):
    """An order that works, as the way out of a halt sees it. `text`: what it is, for people.

    `protects`: whether it protects an open position, or waits for an entry that works; None: positions are
    not known, and so neither is that. `may_protect`: it is a stop, or the leg of a bracket. `excess`:
    contracts by which what protects a position is larger than it, and could open another one.
    """

    id: int
    contract: str
    text: str
    protects: bool | None
    may_protect: bool = False
    excess: int = 0


class AccountLook(Struct, frozen=True):
    """The working orders of an account. `why`: why orders or positions may be missing; empty: it is whole."""

    orders: tuple[WorkingOrder, ...]
    why: str = ""


class FinalRow(Struct, frozen=True):
    """An order as the venue has it last; `state`: in its words. None: it does not tell."""

    id: int
    state: str
    is_final: bool
    filled: int | None  # contracts
    size: int | None


# ── what a venue provides ───────────────────────────────────────────────────────────────────────


class TradingApi(RestApi, ABC):
    """The requests of one feed. Immutable; any thread. A conversation returns a `Reason` where it fails.

    Intents and halts are kept by host and account.
    """

    @abstractmethod
    def contract(self, text: str) -> Call[Contract]:
        """Returns the read that resolves an id, a name or a product strictly; it never guesses."""

    @abstractmethod
    def prepare(
        self,
        mutation: AnyMutation,
        contract: Contract | None,
        *,
        align: Align = "refuse",
        side: Side | None = None,
    ) -> AnyMutation | str:
        """Returns the mutation as it may be sent, prices on their ticks; or a sentence why it may not be.

        `contract` is needed where there is a price. `align`: "refuse" what is off its tick, or "safe": move
        it to the side that is never worse. `side`: of the order that a `Modify` changes; "safe" needs it.
        """

    @abstractmethod
    def send(self, mutation: AnyMutation, tag: str, secret: Secret) -> Conversation[OrderOutcome]:
        """Returns the conversation that sends it: exactly one request, and never a second one."""

    @abstractmethod
    def find(self, intent: Intent) -> Call[OrderOutcome]:
        """Returns the read that looks for what came of an intent: `Accepted`, `Refused`, or `Unknown` still.

        Absence is no evidence: an order that is in no list is `Unknown`.
        """

    @abstractmethod
    def exposure(self, account: int, contract: str) -> Call[Exposure]:
        """Returns the read of what the account has in this contract, and of its working orders."""

    @abstractmethod
    def is_protective(self, account: int, order: int) -> Call[bool]:
        """Returns the read whether this working order protects an open position."""

    @abstractmethod
    def account_ids(self) -> Call[tuple[int, ...]]:
        """Returns the read of the accounts that this login may trade."""

    @abstractmethod
    def working(self, account: int) -> Call[AccountLook]:
        """Returns the read of all working orders, suspended ones too, and of what each is for."""

    @abstractmethod
    def final_row(self, account: int, order: int) -> Call[FinalRow]:
        """Returns the read of one order, whatever became of it."""

    def account_reads(self, account: int, since_ns: int) -> AccountReads | None:
        """Returns the reads of what an account has; None: the venue has none, and no account view.

        `since_ns`: from where on history and fills are told; the venue's time, wall clock, nanoseconds.
        """
        return None

    def tags(self, since_ns: int) -> Call[Mapping[int, tuple[str, ...]]]:
        """Returns the read of the tags of orders since then, by account; by default of none.

        They tell whether the order store lacks orders of its own. `since_ns`: wall clock, nanoseconds.
        """
        return Call("tags", lambda _: settled({}))
