"""What the lists of an account show: its rows as they are, or as they were some seconds ago."""

from __future__ import annotations

import copy
import time
from collections import deque
from typing import Any, Literal

from msgspec import Struct

from actors.simulators.projectx.payloads import Row

Table = Literal["accounts", "orders", "positions", "trades"]


class View(Struct):
    """The rows of an account: itself, and orders by id, positions by contract, half-turns by id."""

    account: Row
    orders: dict[int, Row]
    positions: dict[str, Row]
    trades: dict[int, Row]


class Lag:
    """An account as it was `seconds` ago; at first it stands still for so long."""

    def __init__(self, seconds: float, view: View) -> None:
        self.seconds = seconds
        self._shown = copy.deepcopy(view)
        self._changes: deque[tuple[float, Table, Any, Row | None]] = deque()

    def note(self, table: Table, key: Any, row: Row | None) -> None:
        """A row has changed; None: it is gone."""
        self._changes.append((time.monotonic(), table, key, None if row is None else dict(row)))

    def view(self) -> View:
        until = time.monotonic() - self.seconds
        while self._changes and self._changes[0][0] <= until:
            _, table, key, row = self._changes.popleft()
            self._apply(table, key, row)
        return self._shown

    def _apply(self, table: Table, key: Any, row: Row | None) -> None:
        if table == "accounts":
            self._shown.account = row or {}
            return
        rows = getattr(self._shown, table)
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row
