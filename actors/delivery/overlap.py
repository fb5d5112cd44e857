"""What two connections of one line both bring, where the venue's events have keys: it is handed out once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, Final

from actors.events import Topic

KEYS: Final = 1_000_000  # beyond which a rotation is given up

KeyOf = Callable[[Topic, Any], Hashable | None]


class Overlap:
    """The keys of the present connection's events since a rotation began.

    The present connection writes it, however it ends. Its successor reads it once, when the other may put
    nothing more into a stream.
    """

    def __init__(self, key_of: KeyOf) -> None:
        self._key_of = key_of
        self._noted: deque[tuple[Topic, Hashable]] = deque()

    def add(self, topics: Sequence[Topic], events: Sequence[Any]) -> None:
        """Before they are put: what is cut off in the middle of that is missing, and does not come twice."""
        key_of, noted = self._key_of, self._noted
        for topic, event in zip(topics, events, strict=True):
            key = key_of(topic, event)
            if key is not None:
                noted.append((topic, key))

    @property
    def is_full(self) -> bool:
        """Whether the rotation is to be given up for it."""
        return len(self._noted) > KEYS

    def take(self) -> KnownKeys | None:
        """What the successor is to pass over; None: nothing that could come twice.

        Copied in one step of the interpreter: a thread that was given up may still be adding.
        """
        noted, self._noted = self._noted, deque()
        return KnownKeys(self._key_of, list(noted)) if noted else None


class KnownKeys:
    """What the former connection has brought, as its successor compares with it. One thread."""

    def __init__(self, key_of: KeyOf, noted: Collection[tuple[Topic, Hashable]]) -> None:
        self._key_of = key_of
        self._keys: dict[Topic, set[Hashable]] = {}
        for topic, key in noted:
            self._keys.setdefault(topic, set()).add(key)

    @property
    def is_over(self) -> bool:
        """Whether every topic has gone beyond what the former connection brought."""
        return not self._keys

    def without(self, topics: Sequence[Topic], events: Sequence[Any]) -> tuple[list[Topic], list[Any]]:
        """But for what the former connection brought: a topic's first event beyond that ends it."""
        new_topics: list[Topic] = []
        new_events: list[Any] = []
        for topic, event in zip(topics, events, strict=True):
            known = self._keys.get(topic)
            if known is not None:
                key = self._key_of(topic, event)
                if key in known:
                    continue
                if key is not None:
                    del self._keys[topic]
            new_topics.append(topic)
            new_events.append(event)
        return new_topics, new_events
