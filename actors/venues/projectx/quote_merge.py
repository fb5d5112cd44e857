"""Sparse quotes made whole: the gateway tells what changed, and a user sees all that is known."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, structs

from actors.protocol import Topic
from actors.venues.projectx.messages import Quote, SparseQuote

NAMES = tuple(field.name for field in structs.fields(SparseQuote))
UNTOLD = frozenset(("symbol", "symbol_name", "last_updated", "timestamp"))  # no change in themselves


class Quotes:
    """The quotes of one connection, by topic. After `forget` a topic begins without values."""

    def __init__(self) -> None:
        self._known: dict[Topic, list[Any]] = {}  # the fields of a quote, by their places

    def merge(self, topic: Topic, sparse: SparseQuote) -> Quote:
        """A null is an answer: there is no such price now."""
        known = self._known.get(topic)
        if known is None:
            known = self._known[topic] = [None] * len(NAMES)
        changed = []
        for place, value in enumerate(structs.astuple(sparse)):
            if value is not UNSET:
                if value != known[place] and NAMES[place] not in UNTOLD:
                    changed.append(NAMES[place])
                known[place] = value
        return Quote(topic.key, tuple(changed), *known)

    def forget(self, topic: Topic) -> None:
        self._known.pop(topic, None)
