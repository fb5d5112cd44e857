"""ProjectX' rows of an account in the words that all venues share; the hub and the lists have the same rows.

Zeros, nulls and absent fields were seen alike for "none". `size` of a position has no sign; `type` has the
direction, and a closed one is told with `type` 0 and `size` 0. Trades are half-turns: `profitAndLoss` of one
that opens is null. A leg of a bracket names its entry in `parentOrderId`, which stands in the OpenAPI
document and was seen on the hub; its tag is the tag of the entry with `-SL` or `-TP` behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from actors.protocol import (
    AccountBalance,
    AccountOrder,
    AccountPosition,
    AccountRow,
    Fill,
    Listed,
    NoResultError,
    OrderState,
    Side,
    Steps,
)
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import account as lists
from actors.venues.projectx.rest.asking import Asking, unproved
from actors.venues.projectx.rest.holdings import LEG_TAGS

R = TypeVar("R", bound=AccountRow)

STATES: Final[Mapping[object, OrderState]] = {
    m.OrderStatus.OPEN: "working",
    m.OrderStatus.FILLED: "filled",
    m.OrderStatus.CANCELLED: "cancelled",
    m.OrderStatus.EXPIRED: "expired",
    m.OrderStatus.REJECTED: "rejected",
    m.OrderStatus.PENDING: "pending",
    m.OrderStatus.PENDING_CANCELLATION: "cancelling",
    m.OrderStatus.SUSPENDED: "suspended",
}
SIDES: Final[Mapping[object, Side]] = {m.OrderSide.BID: "buy", m.OrderSide.ASK: "sell"}


def row_of(event: Any) -> AccountRow | None:
    """Returns what an event of the user hub tells; None: it is of the market."""
    match event:
        case m.Order():
            return order_of(event)
        case m.Position():
            return position_of(event)
        case m.AccountTrade():
            return fill_of(event)
        case m.Account():
            return balance_of(event)
    return None


def order_of(row: m.Order) -> AccountOrder:
    """A status without a meaning, or one that is not known, is `unknown`, which is not final."""
    tag = row.custom_tag or ""
    return AccountOrder(
        id=row.id,
        contract=row.contract_id or "",
        state=STATES.get(row.status, "unknown"),
        side=SIDES.get(row.side),
        type="" if row.type in (None, m.OrderType.UNKNOWN) else row.type.name.lower(),
        size=row.size,
        filled=row.fill_volume,
        limit_price=_price(row.limit_price),
        stop_price=_price(row.stop_price),
        average_price=_price(row.filled_price),
        tag=tag,
        parent=row.parent_order_id or None,
        parent_tag=next((tag.removesuffix(end) for end in LEG_TAGS if tag.endswith(end)), ""),
        linked=row.linked_order_id or None,
        created_ns=row.created_ns,
        updated_ns=row.updated_ns,
    )


def position_of(row: m.Position) -> AccountPosition:
    """`net` has the sign that `type` gives to `size`."""
    return AccountPosition(
        contract=row.contract_id or "",
        net=row.net,
        average_price=_price(row.average_price),
        id=row.id,
        created_ns=row.created_ns,
    )


def fill_of(row: m.AccountTrade) -> Fill:
    """Fees and commissions are apart, and the profit is before both."""
    return Fill(
        id=row.id,
        contract=row.contract_id or "",
        order=row.order_id or None,
        side=SIDES.get(row.side),
        size=row.size,
        price=row.price,
        profit=row.profit_and_loss,
        fees=row.fees,
        commissions=row.commissions,
        voided=bool(row.voided),
        at_ns=row.created_ns,
    )


def balance_of(row: m.Account) -> AccountBalance:
    """The channel `accounts` tells of each account of the login: `account` says of which."""
    return AccountBalance(account=row.id, balance=row.balance, name=row.name or "", can_trade=row.can_trade)


def _price(price: Decimal | None) -> Decimal | None:
    return price or None


# ── lists ───────────────────────────────────────────────────────────────────────────────────────


def working(asking: Asking, account: int) -> Steps[Listed[AccountOrder]]:
    """Where the gateway has no `v2/query`, suspended legs are left out: `searchOpen` does not show them."""
    listing = yield from lists.open_orders(asking, account)
    rows = tuple(order_of(row) for row in listing)
    return Listed(rows, listing.whole, has_suspended=listing.endpoint == lists.QUERY)


def history(asking: Asking, account: int, since_ns: int) -> Steps[Listed[AccountOrder]]:
    """Orders created since then, whatever became of them."""
    listing = yield from lists.orders(asking, account, since_ns, None)
    return Listed(tuple(order_of(row) for row in listing), listing.whole)


def fills(asking: Asking, account: int, since_ns: int) -> Steps[Listed[Fill]]:
    """A row without a contract could be of any, so a list with one is not whole."""
    listing = yield from lists.trades(asking, account, since_ns, None)
    return _listed((fill_of(row) for row in listing), listing.whole)


def positions(asking: Asking, account: int) -> Steps[Listed[AccountPosition]]:
    """A row without a contract could be of any, so a list with one is not whole."""
    listing = yield from lists.positions(asking, account)
    return _listed((position_of(row) for row in listing), listing.whole)


def order(asking: Asking, account: int, order_id: int) -> Steps[AccountOrder]:
    """One order, whatever became of it."""
    return order_of((yield from lists.order(asking, account, order_id)))


def balance(asking: Asking, account: int) -> Steps[AccountBalance]:
    """Of one account.

    Raises:
        NoResultError: the gateway does not name the account among those of the login.
    """
    found = yield from lists.accounts(asking, False)
    row = next((row for row in found if row.id == account), None)
    if row is None:
        raise NoResultError(unproved(lists.ACCOUNTS, f"account {account} is not in it"))
    return balance_of(row)


def _listed(rows: Iterable[R], whole: bool) -> Listed[R]:
    rows = tuple(rows)
    return Listed(rows, whole and all(getattr(row, "contract", "") for row in rows))
