"""Working orders as a program sees them: the legs of a bracket under their entry."""

from __future__ import annotations

from collections.abc import Iterable

from actors.protocol.accounts import AccountOrder
from actors.rules.account.view import OrderView


def grouped(orders: Iterable[AccountOrder]) -> tuple[OrderView, ...]:
    """Returns the orders, oldest first. A leg whose entry is not among them stands on its own.

    An entry is named by its id, or by its tag where the venue tells no id.
    """
    rows = sorted(orders, key=lambda row: (row.created_ns or 0, row.id))
    by_id = {row.id for row in rows}
    by_tag = {row.tag: row.id for row in rows if row.tag}
    legs: dict[int, list[AccountOrder]] = {}
    entries = []
    for row in rows:
        entry = row.parent if row.parent is not None else by_tag.get(row.parent_tag)
        if entry in by_id and entry is not None and entry != row.id:
            legs.setdefault(entry, []).append(row)
        else:
            entries.append(row)
    return tuple(OrderView(row, tuple(legs.get(row.id, ()))) for row in entries)
