"""What comes of one read."""

from __future__ import annotations

from typing import Any

from actors.events import Topic
from actors.protocol.session import Deliver, Duplicates, Effect, Unrouted


class EffectBatch:
    """Effects in order; events that follow each other go in one piece, counts come last."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Topic, Any]] = []
        self.unrouted = 0
        self.duplicates = 0
        self._effects: list[Effect] = []

    def add(self, *effects: Effect) -> None:
        if self.pairs:
            self._effects.append(Deliver(self.pairs))
            self.pairs = []
        self._effects += effects

    def effects(self) -> list[Effect]:
        self.add()
        if self.unrouted:
            self._effects.append(Unrouted(self.unrouted))
        if self.duplicates:
            self._effects.append(Duplicates(self.duplicates))
        return self._effects
