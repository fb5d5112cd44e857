"""The rows of an account, each with the local time at which the stream last told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from msgspec import Struct

from actors.protocol.accounts import AccountBalance, AccountOrder, AccountPosition, AccountRow, Fill
from actors.rules.account.rows import BALANCE, Key, Kind, key_of

Row = TypeVar("Row", AccountOrder, Fill)

NEVER: Final = float("-inf")
MOST_ROWS: Final = 10_000  # ended orders, fills, and contracts, of each: all that has not ended is kept
MOST_FORGOTTEN: Final = 100_000  # ids of orders and fills that are not taken for new ones
SLICE: Final = 0.1  # so much of a full table is forgotten at once


class Entry(Struct):
    """A row; `heard`: when the stream last told of it, monotonic seconds of the receipt on this machine."""

    row: AccountRow
    heard: float


class KeptRows:
    """All rows of an account by their keys. Bounded: the oldest of those that have ended are forgotten."""

    def __init__(self) -> None:
        self._tables: dict[Kind, dict[int | str, Entry]] = {
            "order": {},
            "position": {},
            "fill": {},
            "balance": {},
        }
        self._working: dict[int | str, None] = {}  # orders that have not ended
        self._forgotten: dict[Key, None] = {}  # in the order of forgetting

    def get(self, key: Key) -> AccountRow | None:
        """Returns the row of this key; None: there is none."""
        entry = self._entry(key)
        return None if entry is None else entry.row

    def heard(self, key: Key) -> float:
        """Returns when the stream last told of it."""
        entry = self._entry(key)
        return NEVER if entry is None else entry.heard

    def is_forgotten(self, key: Key) -> bool:
        """Returns whether it was kept once, had ended, and made room."""
        return key in self._forgotten

    def put(self, row: AccountRow, heard: float = NEVER) -> AccountRow | None:
        """Keeps a row, and returns the one it replaces. `heard`: of a row of the stream."""
        kind, name = key = key_of(row)
        if isinstance(row, AccountOrder):
            self._note(row)
        entry = self._entry(key)
        if entry is None:
            self._tables[kind][name] = Entry(row, heard)
            return None
        before, entry.row, entry.heard = entry.row, row, max(entry.heard, heard)
        return before

    def remove(self, key: Key) -> None:
        """Keeps this row no longer."""
        self._tables[key[0]].pop(key[1], None)

    def orders(self) -> Iterator[AccountOrder]:
        """Yields all orders."""
        return (each.row for each in self._tables["order"].values() if isinstance(each.row, AccountOrder))

    def working(self) -> Iterator[AccountOrder]:
        """Yields orders that have not ended, or of which that is not known."""
        rows = (self.get(("order", id)) for id in self._working)
        return (row for row in rows if isinstance(row, AccountOrder))

    def positions(self) -> Iterator[AccountPosition]:
        """Yields positions, flat ones too."""
        rows = (each.row for each in self._tables["position"].values())
        return (row for row in rows if isinstance(row, AccountPosition))

    def fills(self) -> Iterator[Fill]:
        """Yields all fills, voided ones too."""
        return (each.row for each in self._tables["fill"].values() if isinstance(each.row, Fill))

    def balance(self) -> AccountBalance | None:
        """Returns the account itself; None: nothing told of it."""
        row = self.get(BALANCE)
        return row if isinstance(row, AccountBalance) else None

    def make_room(self) -> list[Fill]:
        """Forgets the oldest of what has ended, where there is too much. Returns the fills among it."""
        if len(self._tables["order"]) - len(self._working) > MOST_ROWS:
            self._forget("order", _oldest(row for row in self.orders() if row.is_final))
        if len(self._tables["position"]) > MOST_ROWS:
            self._forget("position", [row for row in self.positions() if row.net == 0])
        fills: list[Fill] = []
        if len(self._tables["fill"]) > MOST_ROWS:
            fills = _oldest(self.fills())
            self._forget("fill", fills)
        return fills

    def forget_before(self, at_ns: int) -> list[Fill]:
        """Forgets orders that had ended and fills from before that time, and returns these fills."""
        ended = [row for row in self.orders() if row.is_final and _is_before(row.created_ns, at_ns)]
        fills = [row for row in self.fills() if _is_before(row.at_ns, at_ns)]
        self._forget("order", ended)
        self._forget("fill", fills)
        return fills

    def _note(self, order: AccountOrder) -> None:
        if order.is_final:
            self._working.pop(order.id, None)
        else:
            self._working[order.id] = None

    def _forget(self, kind: Kind, rows: Iterable[AccountRow]) -> None:
        for row in rows:
            key = key_of(row)
            del self._tables[kind][key[1]]
            if kind != "position":
                self._forgotten[key] = None
        while len(self._forgotten) > MOST_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]

    def _entry(self, key: Key) -> Entry | None:
        return self._tables[key[0]].get(key[1])


def _is_before(time_ns: int | None, at_ns: int) -> bool:
    return time_ns is not None and time_ns < at_ns


def _oldest(rows: Iterable[Row]) -> list[Row]:
    """A tenth of a full table."""
    return sorted(rows, key=_age)[: int(MOST_ROWS * SLICE)]


def _age(row: AccountOrder | Fill) -> tuple[int, int]:
    at_ns = row.at_ns if isinstance(row, Fill) else row.created_ns
    return at_ns or 0, row.id
