"""What an account has, in the words that all venues share: orders, positions, fills, balance.

A venue turns its events into these rows (`Venue.account_row`), and its lists over REST
(`TradingApi.account_reads`). The account view is kept from both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct

from actors.protocol.rest import Call

Side = Literal["buy", "sell"]
OrderState = Literal[
    "working", "pending", "suspended", "cancelling", "filled", "cancelled", "expired", "rejected", "unknown"
]
FINAL_STATES = frozenset({"filled", "cancelled", "expired", "rejected"})


class AccountOrder(Struct, frozen=True, kw_only=True):
    """An order as the venue has it. `size` and `filled`: contracts. Prices are absolute; None: not told.

    `average_price`: of its fills. `parent`: the id of the entry whose leg it is; `parent_tag`: the tag of
    that entry, where the leg's own tag says it. `linked`: the id of the order that is cancelled when this
    one fills. Times are the venue's: wall clock, nanoseconds.
    """

    id: int
    contract: str
    state: OrderState
    side: Side | None = None
    type: str = ""  # an `OrderType`, or in the venue's words
    size: int | None = None
    filled: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    average_price: Decimal | None = None
    tag: str = ""
    parent: int | None = None
    parent_tag: str = ""
    linked: int | None = None
    created_ns: int | None = None
    updated_ns: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more becomes of it. What is not known is not final."""
        return self.state in FINAL_STATES


class AccountPosition(Struct, frozen=True, kw_only=True):
    """What the account has in one contract. `net`: signed contracts, below 0 for short; None: not told."""

    contract: str
    net: int | None
    average_price: Decimal | None = None
    id: int | None = None
    created_ns: int | None = None


class Fill(Struct, frozen=True, kw_only=True):
    """A trade of the account. `profit`: in money, without fees; None: it opens. `voided`: it is undone.

    `at_ns`: the venue's time, wall clock, nanoseconds.
    """

    id: int
    contract: str
    order: int | None = None
    side: Side | None = None
    size: int | None = None
    price: Decimal | None = None
    profit: Decimal | None = None
    fees: Decimal | None = None
    commissions: Decimal | None = None
    voided: bool = False
    at_ns: int | None = None

    @property
    def signed(self) -> int | None:
        """The contracts, below 0 for sold ones; 0: voided. None: not told."""
        if self.voided:
            return 0
        if self.side is None or self.size is None:
            return None
        return self.size if self.side == "buy" else -self.size


class AccountBalance(Struct, frozen=True, kw_only=True):
    """The account itself. `account`: its id at the venue; None: not told. `balance`: money."""

    balance: Decimal | None
    account: int | None = None
    name: str = ""
    can_trade: bool | None = None


AccountRow: TypeAlias = AccountOrder | AccountPosition | Fill | AccountBalance
Row = TypeVar("Row", bound=AccountRow)


class Listed(Struct, Generic[Row], frozen=True):
    """Rows of one list. Unless it is `whole`, nothing follows from what is not in it.

    `has_suspended` False: the venue leaves suspended orders out of this list of orders, whole as it is.
    """

    rows: tuple[Row, ...]
    whole: bool
    has_suspended: bool = True

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


class AccountReads(Struct, frozen=True, kw_only=True):
    """The reads that together tell what an account has. They may be asked all at once.

    `orders`: those that work, pending and suspended ones among them. `history`: orders since a moment,
    whatever became of them. `fills`: since that moment. `positions`: open ones; a contract that is not in a
    whole list is flat. `order`: one order by its id.
    """

    orders: Call[Listed[AccountOrder]]
    history: Call[Listed[AccountOrder]]
    fills: Call[Listed[Fill]]
    positions: Call[Listed[AccountPosition]]
    balance: Call[AccountBalance]
    order: Callable[[int], Call[AccountOrder]]
