"""Which ask is next: what reduces risk first, then other mutations, then reads; feeds take turns."""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec import Struct

from actors.protocol.rest import Lane
from actors.trading.asks import Ask
from actors.trading.login import Login

ORDER: Final[dict[Lane, int]] = {"flatten": 0, "change": 1, "read": 2}

Line = tuple[Lane, str, str]  # lane, feed, meter


class Pause(Struct, frozen=True):
    """A meter has no room: the number of the pause, and its end."""

    turn: int
    until: float  # monotonic seconds


class AskQueue:
    """The asks of a requester that wait for a place or for a meter. One thread."""

    def __init__(self) -> None:
        self._lines: dict[Line, deque[Ask]] = {}  # the one that was served last at the end
        self._paused: dict[tuple[Login, str], Pause] = {}  # meters without room for reads

    def add(self, ask: Ask) -> None:
        self._lines.setdefault((ask.lane, ask.feed, ask.meter), deque()).append(ask)

    def put_back(self, ask: Ask) -> None:
        """It was next, and found its meter empty."""
        self._lines.setdefault((ask.lane, ask.feed, ask.meter), deque()).appendleft(ask)

    def pause(self, login: Login, meter: str, pause: Pause) -> bool:
        """Reads of this meter wait for `resume`. Returns whether they did not do so already."""
        return self._paused.setdefault((login, meter), pause) is pause

    def resume(self, login: Login, meter: str, turn: int) -> None:
        if (pause := self._paused.get((login, meter))) is not None and pause.turn == turn:
            del self._paused[login, meter]

    def waiting(self, login: Login, meter: str) -> tuple[Ask, ...]:
        """The reads that wait for this meter."""
        lines = [asks for line, asks in self._lines.items() if (line[0], line[2]) == ("read", meter)]
        return tuple(ask for asks in lines for ask in asks if ask.login is login)

    def begins_at(self, ask: Ask) -> float:
        """Monotonic seconds before which this ask does not begin."""
        pause = self._paused.get((ask.login, ask.meter)) if ask.lane == "read" else None
        return 0.0 if pause is None else pause.until

    def next(self) -> Ask | None:
        """The next one that has a place now; None: none of them has."""
        for line in sorted(self._lines, key=lambda line: ORDER[line[0]]):
            if (ask := self._first(line)) is not None and self._may_begin(ask):
                waiting = self._lines.pop(line)
                waiting.popleft()
                if waiting:
                    self._lines[line] = waiting  # behind the other feeds
                return ask
        return None

    def _first(self, line: Line) -> Ask | None:
        """The first of this line that still waits; a line without one is forgotten."""
        waiting = self._lines[line]
        while waiting:
            if waiting[0].is_waiting:
                return waiting[0]
            waiting.popleft()
        del self._lines[line]
        return None

    def _may_begin(self, ask: Ask) -> bool:
        is_paused = ask.lane == "read" and (ask.login, ask.meter) in self._paused
        return not is_paused and ask.login.enter(ask, ask.lane)
