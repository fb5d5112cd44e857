"""Sparse quotes made whole: the gateway tells what changed, and a user sees all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, structs

from actors.events import Topic
from actors.venues.projectx.messages import Quote, SparseQuote

NAMES = tuple(field.name for field in structs.fields(SparseQuote))
PRICES = slice(NAMES.index("last_price"), NAMES.index("volume") + 1)  # the others are no change in themselves
NOTHING = (None,) * len(NAMES)


class Quotes:
    """The quotes of one connection, by topic. What it forgets begins anew, with nothing known."""

    def __init__(self) -> None:
        self._known: dict[Topic, Sequence[Any]] = {}

    def merge(self, topic: Topic, sparse: SparseQuote) -> Quote:
        """A null is an answer: there is no such price now."""
        known = self._known.get(topic, NOTHING)
        told = structs.astuple(sparse)
        whole = [old if new is UNSET else new for old, new in zip(known, told, strict=True)]
        self._known[topic] = whole
        prices = zip(NAMES[PRICES], known[PRICES], whole[PRICES], strict=True)
        changed = [name for name, old, new in prices if new is not old and new != old]
        return Quote(topic.key, tuple(changed), *whole)

    def forget(self, topic: Topic) -> None:
        self._known.pop(topic, None)
