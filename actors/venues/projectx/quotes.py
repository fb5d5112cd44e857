"""Sparse quotes made whole: the gateway tells what changed, and a user sees all that is known."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, structs

from actors.events import Topic
from actors.venues.projectx.messages import Quote, SparseQuote

NAMES = tuple(field.name for field in structs.fields(SparseQuote))
UNTOLD = frozenset(("symbol", "symbol_name", "last_updated", "timestamp"))  # no change in themselves


class Quotes:
    """The quotes of one connection, by topic. What it forgets begins anew, with nothing known."""

    def __init__(self) -> None:
        self._known: dict[Topic, Quote] = {}

    def merge(self, topic: Topic, sparse: SparseQuote) -> Quote:
        """A null is an answer: there is no such price now."""
        known = self._known.get(topic)
        pairs = zip(NAMES, structs.astuple(sparse), strict=True)
        told = {name: value for name, value in pairs if value is not UNSET}
        quote = _whole(topic.key, known, told)
        self._known[topic] = quote
        return quote

    def forget(self, topic: Topic) -> None:
        self._known.pop(topic, None)


def _whole(contract: str, known: Quote | None, told: dict[str, Any]) -> Quote:
    if known is None:
        changed = tuple(name for name in told if name not in UNTOLD and told[name] is not None)
        return Quote(contract_id=contract, changed=changed, **told)
    changed = tuple(name for name in told if name not in UNTOLD and told[name] != getattr(known, name))
    return structs.replace(known, changed=changed, **told)
