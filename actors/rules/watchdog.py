"""Which actors are wedged: they have work, and made no progress with it for too long. Busy is not wedged."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)  # an actor's name, or what stands for the actor


class Watchdog(Generic[T]):
    """Judges actors by what their inboxes show, at a look every `period`. Times are monotonic seconds."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.period = timeout / 2
        self._due = math.inf  # when the next look is planned
        self._seen: dict[T, tuple[int, float]] = {}  # each busy actor's serial, and since when

    def look(self, shown: Iterable[tuple[T, int, bool]], now: float) -> list[T]:
        """Returns the wedged actors; `shown` holds each actor, its inbox's serial, and whether it is busy.

        A look that is late by more than half a period judges nothing and counts from now: the whole
        process may have stood still.
        """
        late = now - self._due > self.period / 2
        self._due = now + self.period
        former, self._seen = {} if late else self._seen, {}
        for actor, serial, busy in shown:
            if busy:
                seen = former.get(actor)
                self._seen[actor] = seen if seen is not None and seen[0] == serial else (serial, now)
        return [actor for actor, (_, since) in self._seen.items() if now - since >= self.timeout]
