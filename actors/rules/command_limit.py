"""How often a client of the service may restart lines, and which commands count as one.

Restarting a line costs a connection, which a venue meters. A line is restarted at most once per interval,
and an equal command within it has the answer of the one before. A pause is always carried out.
`now` is monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from actors.rules.client_rate import ClientRate

CONNECTING: Final = frozenset({"restart", "resume"})  # commands that open a connection


class Go(Struct, frozen=True):
    """Carry the command out for these lines. `told`: a sentence about the others; empty: there are none."""

    lines: tuple[str, ...]
    told: str = ""


class Same(Struct, frozen=True):
    """An equal command was carried out a moment ago, and this one is answered by it."""

    told: str


class Later(Struct, frozen=True):
    """Not now."""

    told: str
    retry_after: int  # seconds


class _Last(Struct):
    command: str
    at: float
    connected_at: float = float("-inf")  # the last command that opened a connection


class CommandLimit:
    """`interval`: seconds between two connects of a line by commands. `most`: of a client in a minute."""

    def __init__(self, interval: float, most: int) -> None:
        self._interval, self._rate = interval, ClientRate(most)
        self._lines: dict[str, _Last] = {}

    def count(self, client: str, now: float) -> Later | None:
        """A command of this client. None: it is within its limit."""
        seconds = self._rate.count(client, now)
        if not seconds:
            return None
        told = f"this client has given {self._rate.most} commands within a minute, as many as it may"
        return Later(f"{told}; try again in {seconds} s", seconds)

    def judge(self, command: str, target: str, lines: Sequence[str], now: float) -> Go | Same | Later:
        """What becomes of a command for these lines. A `Go` counts as carried out."""
        self._forget(now)
        due = tuple(line for line in lines if self._is_due(command, line, now))
        if due or not lines:
            for line in due:
                self._note(command, line, now)
            left = [line for line in lines if line not in due]
            return Go(due, f"not again: {', '.join(left)}" if left else "")
        last = max((self._lines[line] for line in lines), key=lambda each: each.at)
        ago = f"{now - last.at:.1f} s ago"
        if all(self._lines[line].command == command for line in lines):
            return Same(f"the same as the {command} {ago}; not done again")
        connected = max(self._lines[line].connected_at for line in lines)
        seconds = math.ceil(connected + self._interval - now)
        told = (
            f"{target}: the last {last.command} was {ago}, and commands connect a line at most once in "
            f"{self._interval:g} s"
        )
        return Later(f"{told}; try again in {seconds} s", seconds)

    def not_done(self, lines: Iterable[str]) -> None:
        """A command that was to be carried out for these has failed: it counts for none that follows."""
        for line in lines:
            self._lines.pop(line, None)

    def _is_due(self, command: str, line: str, now: float) -> bool:
        last = self._lines.get(line)
        return command not in CONNECTING or last is None or now - last.connected_at >= self._interval

    def _note(self, command: str, line: str, now: float) -> None:
        last = self._lines.get(line)
        connected_at = last.connected_at if last is not None else float("-inf")
        self._lines[line] = _Last(command, now, now if command in CONNECTING else connected_at)

    def _forget(self, now: float) -> None:
        """Lines without a command within the interval."""
        over = now - self._interval
        for line in [line for line, last in self._lines.items() if last.at <= over]:
            del self._lines[line]
