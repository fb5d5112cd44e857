"""The effects of one read, collected."""

from __future__ import annotations

from typing import Any

from actors.events import Topic
from actors.protocol.session import Deliver, Duplicates, Effect, Quarantine, Unrouted


class EffectBatch:
    """Collects the effects of one read in order: events in a row as one `Deliver`, counts last.

    A session appends events to `pairs` and counts up `unrouted` and `duplicates`. For one thread.
    """

    def __init__(self) -> None:
        self.pairs: list[tuple[Topic, Any]] = []  # a new list after each `add`: do not keep it across one
        self.unrouted = 0  # events
        self.duplicates = 0  # events
        self._effects: list[Effect] = []

    def add(self, *effects: Effect) -> None:
        """Appends these effects behind the events so far."""
        if self.pairs:
            self._effects.append(Deliver(self.pairs))
            self.pairs = []
        self._effects += effects

    def quarantine(self, raw: bytes, error: Exception | str) -> None:
        """Appends a `Quarantine`; an exception without words goes by the name of its type."""
        self.add(Quarantine(raw, str(error) or type(error).__name__))

    def effects(self) -> list[Effect]:
        """Returns all of them. Called once, at the end of the read."""
        self.add()
        if self.unrouted:
            self._effects.append(Unrouted(self.unrouted))
        if self.duplicates:
            self._effects.append(Duplicates(self.duplicates))
        return self._effects
