"""When to look at an account again. All times are monotonic seconds."""

from __future__ import annotations

from typing import Final

from actors.rules.account.agreement import APART

BUSY: Final = 60.0  # seconds between two audits with a working order or an open position
IDLE: Final = 300.0  # and without
MOST_WANTED: Final = 6  # looks for evidence, where some of them prove nothing
RETRIES: Final = (2.0, 5.0, 15.0)  # seconds after a look that was not enough, one after the other


class Schedule:
    """The looks that are due apart from those of the audit and of mutations."""

    def __init__(self, now: float) -> None:
        self.due_at = now  # once, for what cannot wait
        self.asked: float | None = None  # when the first list of the newest look was asked for
        self._ended = now
        self._failures = 0
        self._left = 0  # looks that may be spent on evidence; 0: none is wanted

    @property
    def is_failing(self) -> bool:
        """Whether the newest look was not enough: it is asked again later and later."""
        return self._failures > 0

    def at_once(self, now: float) -> None:
        """A look is due now; the one before does not count any more."""
        self.due_at, self._failures = now, 0

    def want_proof(self, now: float) -> None:
        """Looks are due, 2 s apart, until two have agreed; at most `MOST_WANTED` are spent on that."""
        soonest = now if self.asked is None else max(now, self._ended + APART)
        self.due_at = min(self.due_at, soonest)
        self._left = MOST_WANTED

    def looked(self, first_asked: float, now: float, *, enough: bool, is_proved: bool) -> None:
        """A look is over: when the first of its lists was asked for. `enough`: it was whole. `is_proved`: two
        have agreed since the last change.
        """
        self.asked, self._ended = first_asked, now
        self._failures = 0 if enough else self._failures + 1
        self._left = 0 if is_proved else max(0, self._left - 1)
        if self._failures:
            self.due_at = now + RETRIES[min(self._failures, len(RETRIES)) - 1]
        else:
            self.due_at = now + APART if self._left else float("inf")

    def due(self, is_busy: bool) -> float:
        """Returns when the next one is due."""
        if self.asked is None:
            return self.due_at
        return min(self.due_at, self.asked + (BUSY if is_busy else IDLE))
