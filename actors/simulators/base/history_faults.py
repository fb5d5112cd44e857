"""Faults of a venue's history pages, and what becomes of a page that one of them waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from msgspec import Struct, structs

from actors.simulators.base.client import HttpReply, Later, retry_header
from actors.simulators.base.faults import PendingFaults, RetryAfter, Status, Times, fault

Row = TypeVar("Row")
Seconds = Annotated[float, "seconds"]
Rows = Annotated[int, "how many rows"]
More = Annotated[bool, "the page tells that more follow"]
Size = Annotated[int, "bytes that are sent, the head among them; below 0: so many are missing"]

_ROWS, _ANSWER = "history_rows", "history_answer"  # the two queues of what waits


class HistoryPage(Struct, Generic[Row], frozen=True):
    """The rows of one page in their order; `before`: those that come before them in the list."""

    rows: tuple[Row, ...]
    before: tuple[Row, ...] = ()
    more: bool = False


Spoil = Callable[[HistoryPage[Any]], HistoryPage[Any]]


class HistoryFaults:
    """Each is of the next `n` pages of history; `history_lags` is of all of them until `heal()`."""

    pending: PendingFaults

    @fault
    def page_short(self, rows: Rows = 1, more: More = False, n: Times = 1) -> None:
        """Leaves the last rows out of the next `n` pages of history."""
        self._spoil(
            lambda page: structs.replace(page, rows=page.rows[: max(0, len(page.rows) - rows)], more=more), n
        )

    @fault
    def page_twice(self, n: Times = 1) -> None:
        """Has each row of the next `n` pages of history twice."""
        self._spoil(
            lambda page: structs.replace(page, rows=tuple(row for row in page.rows for _ in (0, 1))), n
        )

    @fault
    def page_overlaps(self, rows: Rows = 2, n: Times = 1) -> None:
        """Begins the next `n` pages of history with rows from before them."""
        self._spoil(lambda page: structs.replace(page, rows=(*page.before[-rows:], *page.rows)), n)

    @fault
    def page_reversed(self, n: Times = 1) -> None:
        """Has the rows of the next `n` pages of history in the other order."""
        self._spoil(lambda page: structs.replace(page, rows=page.rows[::-1]), n)

    @fault
    def page_endless(self, n: Times = 1) -> None:
        """Tells in the next `n` pages of history that more follow."""
        self._spoil(lambda page: structs.replace(page, more=True), n)

    @fault
    def page_late(self, seconds: Seconds = 1.0, n: Times = 1) -> None:
        """Answers the next `n` requests for history later."""
        self.pending.add(_ANSWER, times=n, what=_Answer(hold=seconds))

    @fault
    def page_cut(self, size: Size = 200, n: Times = 1) -> None:
        """Ends the connection within the answer to the next `n` requests for history."""
        self.pending.add(_ANSWER, times=n, what=_Answer(cut_at=size))

    @fault
    def page_refused(self, status: Status = 503, n: Times = 1, retry_after: RetryAfter = 0.0) -> None:
        """Answers the next `n` requests for history with this HTTP status."""
        reply = HttpReply(status, b"", retry_header(retry_after))
        self.pending.add(_ANSWER, times=n, what=_Answer(instead=reply))

    @fault
    def history_lags(self, seconds: Seconds = 1.0) -> None:
        """Leaves what happened in the last seconds out of the history, until `heal()`."""
        self.pending.set("history_lags", what=seconds)

    def _spoil(self, spoil: Spoil, n: int) -> None:
        self.pending.add(_ROWS, times=n, what=spoil)


class _Answer(Struct, frozen=True):
    """What is different for the answer to one request."""

    hold: float = 0.0
    cut_at: int | None = None
    instead: HttpReply | None = None


def lagged(rows: Sequence[tuple[float, Row]], pending: PendingFaults) -> list[Row]:
    """The rows that the history has, of rows with the time at which each came, monotonic seconds."""
    lag = pending.get("history_lags") or 0.0
    until = time.monotonic() - lag
    return [row for at, row in rows if at <= until or not lag]


def spoiled(page: HistoryPage[Row], pending: PendingFaults) -> HistoryPage[Row]:
    """The page as the fault that waits for it leaves it."""
    spoil: Spoil | None = pending.take(_ROWS)
    return page if spoil is None else spoil(page)


def answered(
    reply: HttpReply, pending: PendingFaults, call_later: Callable[[float, Callable[[], None]], None]
) -> HttpReply | Later:
    """The answer to a request for history as the fault that waits for it leaves it, now or later."""
    answer: _Answer | None = pending.take(_ANSWER)
    if answer is None:
        return reply
    sent = answer.instead or structs.replace(reply, cut_at=answer.cut_at)
    if not answer.hold:
        return sent
    return Later(lambda take: call_later(answer.hold, lambda: take(sent)))
