"""Snapshots in a row that agree: what a permit, or the word that an account is flat, may be built on."""

from __future__ import annotations

from typing import Final

APART: Final = 2.0  # seconds between two snapshots, so that they are two


class Agreement:
    """A run of agreeing snapshots. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.broken()

    def broken(self) -> None:
        """A snapshot differs, or what was agreed on has changed."""
        self._first_ended: float | None = None
        self._newest: float | None = None
        self.is_proved = False

    def agreed(self, first_asked: float, ended: float) -> None:
        """One more whole snapshot agrees: when the first of its lists was asked for, and the last had come.

        When each of them left is not known exactly: it may have waited for its meter.
        """
        if self._first_ended is None:
            self._first_ended = ended
        elif first_asked - self._first_ended >= APART:
            self.is_proved = True
        self._newest = first_asked if self._newest is None else max(self._newest, first_asked)

    def next_due(self) -> float | None:
        """Returns when a second snapshot may be asked for; None: there was no first, or none is needed."""
        return None if self.is_proved or self._first_ended is None else self._first_ended + APART

    def age(self, now: float) -> float | None:
        """Returns the seconds since the newest was asked for; None: there was none."""
        return None if self._newest is None else now - self._newest

    def lacks(self, now: float, max_age: float) -> str:
        """Returns what is missing, as a sentence; empty: nothing."""
        age = self.age(now)
        if age is None:
            return "no snapshot agrees with the stream yet"
        if not self.is_proved:
            return f"one snapshot agrees; a second one, at least {APART:g} s later, is needed"
        if age > max_age:
            return f"the newest snapshot is {age:.1f} s old, and at most {max_age:g} s are allowed"
        return ""
