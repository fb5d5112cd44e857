"""What two connections of one line both bring, where the venue's events have keys: it is handed out once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Final

from actors.events import Topic
from actors.rules.mailbox import Pair

KEYS: Final = 1_000_000  # beyond which a rotation is given up

KeyOf = Callable[[Topic, Any], Hashable | None]


class Overlap:
    """The keys of one connection's events since a rotation began. One thread."""

    def __init__(self, key_of: KeyOf) -> None:
        self._key_of = key_of
        self._noted: deque[tuple[Topic, Hashable]] = deque()
        self._known: dict[Topic, Collection[Hashable]] = {}

    @classmethod
    def of(cls, key_of: KeyOf, known: Mapping[Topic, Collection[Hashable]]) -> Overlap | None:
        """What the former connection has brought; None: nothing that could come twice."""
        overlap = cls(key_of)
        overlap._known = dict(known)
        return overlap if known else None

    def add(self, pairs: list[Pair]) -> bool:
        """Whether there is room for their keys."""
        key_of, noted = self._key_of, self._noted
        for topic, event in pairs:
            key = key_of(topic, event)
            if key is not None:
                noted.append((topic, key))
        return len(noted) <= KEYS

    def keys(self) -> dict[Topic, set[Hashable]]:
        """What was noted, by topic."""
        known: dict[Topic, set[Hashable]] = {}
        for topic, key in self._noted:
            known.setdefault(topic, set()).add(key)
        return known

    @property
    def is_over(self) -> bool:
        """Whether every topic has gone beyond what the former connection brought."""
        return not self._known

    def without(self, pairs: list[Pair]) -> list[Pair]:
        """But for what the former connection brought: a topic's first event beyond that ends it."""
        new = []
        for topic, event in pairs:
            known = self._known.get(topic)
            if known is not None:
                if self._key_of(topic, event) in known:
                    continue
                del self._known[topic]
            new.append((topic, event))
        return new
