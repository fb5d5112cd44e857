"""Draws statuses on a terminal, one after the other, with events per second."""

from __future__ import annotations

from collections import deque

from msgspec import structs
from rich.console import Group
from rich.text import Text

from actors.display.status_rows import BY_TROUBLE, status_rows
from actors.display.status_screen import screen
from actors.status import Status

WINDOW = 3.0  # seconds over which events are counted


class StatusView:
    """Draws one status after the other. Times are seconds: `now` monotonic, `at` of the wall clock.

    `moving`: several will follow, so there is a column of events per second. `brief`: streams are shown
    elsewhere. The others are those of `status_rows`.
    """

    def __init__(
        self,
        *,
        moving: bool = False,
        brief: bool = False,
        fresh: bool = False,
        target: str | None = None,
        down: bool = False,
        sort: str = BY_TROUBLE,
    ) -> None:
        self._rates = Rates() if moving else None
        self._brief, self._fresh = brief, fresh
        self._target, self._down, self._sort = target, down, sort

    def render(
        self, status: Status, now: float, at: float, width: int | None, height: int | None = None
    ) -> Group:
        """The rows for a terminal of this size, as `display/status_screen.screen` makes them."""
        rates = None
        if self._rates is not None:
            counts = {name: line.counters.decoded for name, line in status.lines().items()}
            rates = {name: self._rates.rate(name, count, now) for name, count in counts.items()}
        rows = status_rows(
            structs.replace(status, streams=()) if self._brief else status,
            at,
            target=self._target,
            down=self._down,
            sort=self._sort,
            fresh=self._fresh,
            rates=rates,
        )
        return Group(
            *(
                Text.assemble(*row.spans, no_wrap=True, overflow="ignore")
                for row in screen(rows, width, height)
            )
        )


class Rates:
    """Events per second of each line, over the last seconds. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, deque[tuple[float, int]]] = {}

    def rate(self, name: str, count: int, now: float) -> float:
        """`count` is the total so far. It falls when another process counts."""
        counts = self._counts.setdefault(name, deque())
        if counts and count < counts[-1][1]:
            counts.clear()
        counts.append((now, count))
        while len(counts) > 2 and counts[1][0] <= now - WINDOW:
            counts.popleft()
        (since, before), (until, after) = counts[0], counts[-1]
        return (after - before) / (until - since) if until > since else 0.0
