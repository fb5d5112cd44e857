"""A dead man's switch: which program has stopped to beat, and when that may be judged.

It is armed by the first beat of a program and disarmed by its last one, so a program that never ran is no
dead one. A late look proves nothing: where this process was paused, beats may wait unread.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec import Struct

MOST_NAMES: Final = 64  # programs of one feed
LONGEST_NAME: Final = 64  # characters


class Silence(Struct, frozen=True):
    """A program that is armed and has not beaten in time; `seconds` since its last beat."""

    name: str
    seconds: float


class DeadMansSwitch:
    """The switch of one feed. One thread at a time. Times are monotonic seconds.

    `armed`: the programs that were armed when the former process ended: they count from now.
    """

    def __init__(self, after: float, armed: Collection[str] = (), now: float = 0.0) -> None:
        self.after = after
        self._beats = dict.fromkeys(armed, now)

    @property
    def armed(self) -> tuple[str, ...]:
        """The programs that have to beat."""
        return tuple(self._beats)

    def beat(self, name: str, now: float) -> bool:
        """A program is alive. Returns whether it was not armed before.

        Raises:
            ValueError: there are too many programs already, or its name is too long.
        """
        is_new = name not in self._beats
        if is_new and (len(name) > LONGEST_NAME or len(self._beats) >= MOST_NAMES):
            raise ValueError(
                f"a feed has at most {MOST_NAMES} programs, with names of {LONGEST_NAME} characters"
            )
        self._beats[name] = max(now, self._beats.get(name, now))
        return is_new

    def disarm(self, name: str) -> bool:
        """A program ends in good order, or its feed is halted. Returns whether it was armed."""
        return self._beats.pop(name, None) is not None

    def overdue(self, now: float) -> tuple[Silence, ...]:
        """Returns the programs whose last beat is too old at this moment. It changes nothing."""
        return tuple(Silence(name, now - at) for name, at in self._beats.items() if now - at > self.after)


class Rounds:
    """When to look, and whether a look may judge: one that is late by half a period may not."""

    def __init__(self, period: float, now: float) -> None:
        self._period = period
        self.due = now + period

    def begin(self, now: float) -> bool:
        """A round begins; the next one is due a period later. Returns whether it may judge."""
        may_judge = now - self.due <= self._period / 2
        self.due = now + self._period
        return may_judge
