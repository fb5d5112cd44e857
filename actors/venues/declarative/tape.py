"""The trades in the events of a table's channel, for bars."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.protocol import Print, exact_decimal
from actors.venues.declarative.messages import Message, clock
from actors.venues.declarative.path import MISSING
from actors.venues.declarative.table import TradesTable


class Tape:
    """Reads the trade of an event by the paths of `[trades]`."""

    def __init__(self, table: TradesTable) -> None:
        self._table = table
        self._nanoseconds = clock(table.unit)

    def trade(self, event: Message) -> Print | None:
        """Returns the trade; None: the event is of another channel, or something is missing in it."""
        table, data = self._table, event.data
        if event.channel != table.channel:
            return None
        price, size = number(table.price.get(data)), number(table.size.get(data))
        at_ns = event.at_ns if table.time is None else self._nanoseconds(table.time.get(data))
        if price is None or size is None or at_ns is None:
            return None
        id = None if table.id is None else table.id.get(data)
        return Print(price, size, at_ns, id if isinstance(id, str | int) else None)


def number(value: Any) -> Decimal | None:
    """Returns a number that may stand as text; None: it is none."""
    if value is MISSING or not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        return None
    try:
        found = exact_decimal(str(value))
    except (ArithmeticError, ValueError):
        return None
    return found if found.is_finite() else None
