"""Joins the pages of a venue's history to each other, and to the events around a loss.

A venue's list is taken to be ordered by time. What the pages prove is kept apart from what they contain: a
list that contains both seams by identity, and whose pages follow each other, is complete. All else is told.
A row that a venue leaves out in the middle of a page cannot be seen, unless its ids are consecutive.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from actors.protocol.backfill import Backfilled, Loss

E = TypeVar("E")

Identity = Callable[[E], Hashable | None]  # None: the event cannot be told from another
TimeOf = Callable[[E], int | None]  # the venue's, wall clock, nanoseconds

NO_LAST = "no event before the loss is known to join the venue's list with"
NO_FIRST = "no event after the loss has come to join the venue's list with"
LAST_MISSING = "the venue's list does not contain the last event before the loss"
FIRST_MISSING = "the venue's list does not yet contain the first event after the loss"
CROSSED = "the venue's list has the first event after the loss before the last one before it"
UNORDERED = "the venue's list is not ordered by time"
NAMELESS = "the venue's list has a row without an id or a time"
CHANGED = "the venue's list changed while it was read"
APART = "two pages of the venue's list do not join"


class RowChain(Generic[E]):
    """The rows of a venue's list, read page by page, oldest first and each once.

    `why`: what the pages leave open; empty: they follow each other without a hole. A chain that leaves
    something open takes no further rows.
    """

    def __init__(self, identity: Identity[E], time_ns: TimeOf[E]) -> None:
        self._identity, self._time_ns = identity, time_ns
        self._seen: set[Hashable] = set()
        self.rows: list[E] = []
        self.why = ""

    @property
    def newest_ns(self) -> int | None:
        """The time of the newest row; None: there is none."""
        return self._time_ns(self.rows[-1]) if self.rows else None

    def add(self, page: Sequence[E], *, joins: bool = True) -> bool:
        """Adds the rows of the next page. Returns whether there was a new one.

        `joins`: the page must contain the newest row of those before it.
        """
        before = len(self.rows)
        if joins and self.rows and not self.why:
            page = self._behind_the_join(page)
        for row in page:
            if self.why or not self._takes(row):
                break
        return len(self.rows) > before

    def _behind_the_join(self, page: Sequence[E]) -> Sequence[E]:
        newest = self._identity(self.rows[-1])
        names = [self._identity(row) for row in page]
        if newest not in names:
            self.why = APART
            return ()
        at = names.index(newest)
        if not self._seen.issuperset(names[:at]):
            self.why = CHANGED
            return ()
        return page[at + 1 :]

    def _takes(self, row: E) -> bool:
        name, at_ns = self._identity(row), self._time_ns(row)
        if name is None or at_ns is None:
            self.why = NAMELESS
            return False
        if name in self._seen:
            return True
        newest_ns = self.newest_ns
        if newest_ns is not None and at_ns < newest_ns:
            self.why = UNORDERED
            return False
        self._seen.add(name)
        self.rows.append(row)
        return True


def joined(
    rows: Sequence[E], loss: Loss, identity: Identity[E], time_ns: TimeOf[E], *, why: str = ""
) -> Backfilled:
    """Returns the events of a loss among the rows of a venue's list, which are oldest first, each once.

    `why`: what the list leaves open, such as that it may be cut; empty: nothing. Rows whose seam is missing
    are chosen by their time.
    """
    names = [identity(row) for row in rows]
    last, first = _place(names, loss.last, identity), _place(names, loss.first, identity)
    if last is not None and first is not None and first <= last:
        return Backfilled((), complete=False, why=why or CROSSED)
    inside = _between(rows, loss, last, first, time_ns)
    open_seam = why or _left(loss, last) or _right(loss, first)
    if not open_seam:
        return Backfilled(inside, complete=True)
    reach = time_ns(rows[-1]) if last is not None and not why else None
    lags = not why and first is None and loss.first is not None and identity(loss.first) is not None
    return Backfilled(inside, complete=False, why=open_seam, reaches_ns=reach, lags=lags)


def _place(names: list[Hashable | None], event: E | None, identity: Identity[E]) -> int | None:
    name = None if event is None else identity(event)
    return names.index(name) if name is not None and name in names else None


def _between(
    rows: Sequence[E], loss: Loss, last: int | None, first: int | None, time_ns: TimeOf[E]
) -> tuple[E, ...]:
    inside = rows[0 if last is None else last + 1 : first]
    if last is None:
        since = loss.since_ns if loss.last is None else time_ns(loss.last)
        inside = _timed(inside, time_ns, lambda at_ns: since is None or at_ns >= since)
    if first is None and loss.first is not None:
        until = time_ns(loss.first)
        inside = _timed(inside, time_ns, lambda at_ns: until is None or at_ns <= until)
    return tuple(inside)


def _timed(rows: Iterable[E], time_ns: TimeOf[E], fits: Callable[[int], bool]) -> list[E]:
    return [row for row in rows if (at_ns := time_ns(row)) is not None and fits(at_ns)]


def _left(loss: Loss, last: int | None) -> str:
    if loss.last is None:
        return NO_LAST
    return LAST_MISSING if last is None else ""


def _right(loss: Loss, first: int | None) -> str:
    if loss.first is None:
        return NO_FIRST
    return FIRST_MISSING if first is None else ""
