"""The rules of one row: which of two is newer, what differs, and what is left where a row does not tell it.

Venue times are compared with venue times only. An order has one of its last change. A position has only that
of its opening (ProjectX: `creationTimestamp`, which stays while the position is open), a fill none that could
decide: it never changes, but that it may be voided, and a voided one stays so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, TypeAlias, TypeVar

from msgspec import structs

from actors.protocol.accounts import AccountBalance, AccountOrder, AccountPosition, AccountRow, Fill

Kind = Literal["order", "position", "fill", "balance", "sum"]  # sum: fills against the position
Key: TypeAlias = tuple[Kind, int | str]
Row = TypeVar("Row", bound=AccountRow)

ALIKE: Final = Decimal("1e-6")  # average prices that differ by less are the same
BALANCE: Final[Key] = ("balance", 0)
# What makes two rows of an order another order: all but times, its family, and averages of its fills.
ORDER_TERMS: Final = ("side", "type", "size", "filled", "limit_price", "stop_price")
FILL_MONEY: Final = ("profit", "fees", "commissions")


def key_of(row: AccountRow) -> Key:
    """Returns what identifies a row in its account."""
    match row:
        case AccountOrder():
            return "order", row.id
        case AccountPosition():
            return "position", row.contract
        case Fill():
            return "fill", row.id
    return BALANCE


def is_older(told: AccountRow, known: AccountRow) -> bool:
    """Returns whether a row is of an earlier time at the venue than the one that is known.

    An order that has ended does not work again, unless the venue's times say so; a voided fill stays voided.
    """
    match told, known:
        case AccountOrder(), AccountOrder():
            earlier = _earlier(told.updated_ns, known.updated_ns)
            return known.is_final and not told.is_final if earlier is None else earlier
        case AccountPosition(), AccountPosition():
            return bool(_earlier(told.created_ns, known.created_ns))
        case Fill(), Fill():
            return known.voided and not told.voided
    return False


def _earlier(told_ns: int | None, known_ns: int | None) -> bool | None:
    """None: the times do not decide."""
    if told_ns is None or known_ns is None or told_ns == known_ns:
        return None
    return told_ns < known_ns


def merged(known: Row | None, told: Row) -> Row:
    """Returns the told row; what it does not tell is as it was known."""
    if known is None:
        return told
    left_out = {
        name: getattr(known, name)
        for name in told.__struct_fields__
        if getattr(told, name) in (None, "") and getattr(known, name) not in (None, "")
    }
    if isinstance(told, AccountPosition):
        left_out = _of_position(told, known, left_out)
    return structs.replace(told, **left_out) if left_out else told


def _of_position(told: AccountPosition, known: object, left_out: dict[str, object]) -> dict[str, object]:
    """A direction that is not told is not known, and an average is of its own size only."""
    left_out.pop("net", None)
    if not told.net or told.net != getattr(known, "net", None):
        left_out.pop("average_price", None)
    return left_out


def differs(told: AccountRow, known: AccountRow) -> bool:
    """Returns whether a row contradicts the one that is known; what it does not tell contradicts nothing."""
    match told, known:
        case AccountOrder(), AccountOrder():
            changed = told.state not in (known.state, "unknown")
            return changed or any(_contradicts(told, known, name) for name in ORDER_TERMS)
        case AccountPosition(), AccountPosition():
            return told.net != known.net or (bool(told.net) and not _alike(told, known))
        case Fill(), Fill():
            return told.voided != known.voided
        case AccountBalance(), AccountBalance():
            return _contradicts(told, known, "balance") or _contradicts(told, known, "can_trade")
    return True


def completes(told: AccountRow, known: AccountRow) -> bool:
    """Returns whether a row of REST tells what the stream did not, which is no sign of a lost event.

    An order whose state was not known, a position without a direction, the money of a fill: REST has the
    venue's accounts of it.
    """
    match told, known:
        case AccountOrder(), AccountOrder():
            return known.state == "unknown" and told.state != "unknown"
        case AccountPosition(), AccountPosition():
            return known.net is None and told.net is not None
        case Fill(), Fill():
            lacking = any(getattr(known, name) is None for name in ("side", "size"))
            changed = any(_contradicts(told, known, name, since=False) for name in FILL_MONEY)
            return told.voided == known.voided and (changed or (lacking and told.signed is not None))
    return False


def contradicts_money(told: AccountRow, known: AccountRow) -> bool:
    """Returns whether both rows of a fill tell its money, and other money."""
    are_fills = isinstance(told, Fill) and isinstance(known, Fill)
    return are_fills and any(_contradicts(told, known, name) for name in FILL_MONEY)


def _contradicts(told: AccountRow, known: AccountRow, name: str, since: bool = True) -> bool:
    """`since`: both rows must tell the field; otherwise what was not known is another value."""
    new, old = getattr(told, name), getattr(known, name)
    if new is None or (since and old in (None, "")) or new == "":
        return False
    return bool(new != old)


def _alike(told: AccountPosition, known: AccountPosition) -> bool:
    if told.average_price is None or known.average_price is None:
        return True
    return abs(told.average_price - known.average_price) < ALIKE


def is_same(told: AccountRow, known: AccountRow) -> bool:
    """Returns whether two rows look alike to a program; the time of the last change does not count."""
    if isinstance(told, AccountOrder) and isinstance(known, AccountOrder):
        return structs.replace(told, updated_ns=known.updated_ns) == known
    return told == known


def words(row: AccountRow) -> str:
    """Returns a row for people, such as `order 5 (sell 2 CON.F.US.EP.Z26, working)`."""
    match row:
        case AccountOrder():
            size = "?" if row.size is None else row.size
            return (
                f"order {row.id} ({row.side or 'trade'} {size} {row.contract or 'no contract'}, {row.state})"
            )
        case AccountPosition():
            return f"position {row.contract} (net {'not known' if row.net is None else row.net})"
        case Fill():
            undone = ", voided" if row.voided else ""
            return f"fill {row.id} ({row.side or 'trade'} {row.size} {row.contract}{undone})"
    return f"balance ({row.balance})"
