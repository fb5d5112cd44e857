"""Mutations that left, and of which the venue has told nothing yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from msgspec import Struct

from actors.protocol.accounts import AccountOrder, AccountPosition, AccountRow, Fill

PATIENCE: Final = 5.0  # seconds without an event until a snapshot is to show what became of it
MOST: Final = 1_000

Expected: TypeAlias = str | int  # a tag, a contract, or the id of an order


class Waiting(Struct):
    """`left`: when the mutation left, monotonic seconds. `asked`: whether a look was due because of it."""

    left: float
    asked: bool = False


class Expectations:
    """At most 1,000; the oldest are dropped."""

    def __init__(self) -> None:
        self._waiting: dict[Expected, Waiting] = {}
        self._told: dict[Expected, float] = {}  # when the stream told of it last

    def add(self, key: Expected, now: float) -> None:
        """A mutation left then. The word of it may come after that of the stream, from another thread."""
        self._waiting.pop(key, None)
        if self._told.get(key, now) > now:
            return
        self._waiting[key] = Waiting(now)
        _bound(self._waiting)

    def add_order(self, tag: str, now: float) -> None:
        """An order with this tag left then, and may have been told since: by the stream, or by `add`."""
        if tag not in self._told and tag not in self._waiting:
            self.add(tag, now)

    def drop(self, key: Expected) -> None:
        """No answer is waited for any longer."""
        self._waiting.pop(key, None)

    def give_up(self, now: float) -> None:
        """What has waited for long enough is waited for no longer."""
        self._waiting = {key: each for key, each in self._waiting.items() if each.left + PATIENCE > now}

    def told(self, row: AccountRow, now: float) -> None:
        """The stream tells of this row; `now`: of its receipt."""
        for key in _keys(row):
            self._waiting.pop(key, None)
            self._told.pop(key, None)
            self._told[key] = now
            _bound(self._told)

    def shown(self, rows: Iterable[AccountRow], asked: float) -> None:
        """A snapshot that was asked for then shows these rows: an answer, where the venue had its time."""
        for row in rows:
            for key in _keys(row):
                if key in self._waiting and self._waiting[key].left + PATIENCE <= asked:
                    del self._waiting[key]

    def looked(self, asked: float) -> None:
        """A snapshot was asked for then: what waited long enough before has had its look."""
        for waiting in self._waiting.values():
            waiting.asked = waiting.asked or waiting.left + PATIENCE <= asked

    def due(self) -> float | None:
        """Returns when a look is due, monotonic seconds; None: none is."""
        return min((each.left + PATIENCE for each in self._waiting.values() if not each.asked), default=None)

    def unanswered(self) -> tuple[Expected, ...]:
        """Returns what is still waited for."""
        return tuple(self._waiting)


def _bound(kept: dict[Expected, Any]) -> None:
    if len(kept) > MOST:
        del kept[next(iter(kept))]


def _keys(row: AccountRow) -> tuple[Expected, ...]:
    match row:
        case AccountOrder():
            return (row.id, row.tag) if row.tag else (row.id,)
        case AccountPosition() | Fill():
            return (row.contract,)
    return ()
