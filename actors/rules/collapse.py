"""Many reports of one kind as few: the newest of them and their number, at most one within an interval."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

T = TypeVar("T")

KINDS = 8  # kinds that are told apart...
KNOWN_FOR = 60.0  # ...for so many seconds after the last report
OTHERS = "others"


class Collapsed(Generic[T]):
    """Reports of one kind. The first is due at once. Times are monotonic seconds; one thread at a time."""

    __slots__ = ("_count", "_due_at", "_interval", "_newest")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._count = 0  # that were not taken yet
        self._newest: T | None = None
        self._due_at = -math.inf

    def add(self, report: T) -> bool:
        """Whether it is the first that waits to be taken."""
        self._count += 1
        self._newest = report
        return self._count == 1

    def take(self, now: float) -> tuple[int, T] | None:
        """The number and the newest, once they are due; `now` may be infinity: whatever there is."""
        newest = self._newest
        if newest is None or now < self._due_at:
            return None
        count, self._count, self._newest = self._count, 0, None
        self._due_at = now + self._interval
        return count, newest

    @property
    def due_at(self) -> float:
        """When there is something to take; infinity: there is nothing."""
        return math.inf if self._newest is None else self._due_at

    def is_idle(self, now: float) -> bool:
        """There was no report for a while."""
        return self._newest is None and now >= self._due_at + KNOWN_FOR


class CollapsedByKind(Generic[T]):
    """The same for each kind. Kinds beyond the first few are one."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._kinds: dict[str, Collapsed[T]] = {}

    def add(self, kind: str, report: T, now: float) -> bool:
        """Whether it is the first of its kind that waits to be taken."""
        found = self._kinds.get(kind)
        if found is None:
            found = self._new(kind, now)
        return found.add(report)

    def take(self, now: float) -> list[tuple[str, int, T]]:
        """Each kind that is due, with the number of its reports and the newest."""
        taken = ((kind, reports.take(now)) for kind, reports in self._kinds.items())
        return [(kind, *found) for kind, found in taken if found is not None]

    @property
    def due_at(self) -> float:
        return min((kind.due_at for kind in self._kinds.values()), default=math.inf)

    def _new(self, kind: str, now: float) -> Collapsed[T]:
        if len(self._kinds) >= KINDS:
            self._kinds = {kind: known for kind, known in self._kinds.items() if not known.is_idle(now)}
        if len(self._kinds) >= KINDS:
            kind = OTHERS
        return self._kinds.setdefault(kind, Collapsed(self._interval))
