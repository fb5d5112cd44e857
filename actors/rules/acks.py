"""Until when each asking has to be answered. The time counts only while the line is read."""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

from actors.events import Topic


class SentAsking(Struct, frozen=True):
    """Topics whose frames have left. `number` is the registry's."""

    topics: tuple[Topic, ...]
    number: int
    due: float  # seconds of reading


class AckDeadlines:
    """Of one connection; `now` is monotonic seconds."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout  # of askings that leave from now on
        self._askings: list[SentAsking] = []
        self._paused_at: float | None = None
        self._paused_for = 0.0

    def sent(self, topics: Iterable[Topic], number: int, now: float) -> None:
        """Their frames have left now."""
        self._askings.append(SentAsking(tuple(topics), number, self._reading(now) + self.timeout))

    def pause(self, now: float) -> None:
        """The line is not read: no answer can be seen."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        if self._paused_at is not None:
            self._paused_for += now - self._paused_at
            self._paused_at = None

    def overdue(self, now: float) -> list[SentAsking]:
        """The askings whose time is over; each is named once."""
        reading = self._reading(now)
        count = next(
            (n for n, asking in enumerate(self._askings) if asking.due > reading), len(self._askings)
        )
        over = self._askings[:count]
        del self._askings[:count]
        return over

    def next_in(self, now: float) -> float:
        """Seconds until the next is over, if the line is read until then; infinity: there is none."""
        if not self._askings:
            return math.inf
        return max(0.0, self._askings[0].due - self._reading(now))

    def _reading(self, now: float) -> float:
        return (now if self._paused_at is None else self._paused_at) - self._paused_for
