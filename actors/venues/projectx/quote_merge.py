"""Sparse quotes made whole: the gateway tells what changed, and a user sees all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from msgspec import UNSET, structs

from actors.protocol import Topic
from actors.venues.projectx.messages import HUGE, Exact, Quote, SparseQuote
from actors.venues.projectx.pushes import NOTHING, PushedQuote

NAMES = SparseQuote.__struct_fields__
NUMBERS = tuple(range(NAMES.index("last_price"), NAMES.index("volume") + 1))  # what else is new is no change
BOUND = int(HUGE)
UNKNOWN = (None,) * len(NAMES)


class Quotes:
    """The quotes of one connection, by topic. After `forget` a topic begins without values."""

    def __init__(self) -> None:
        self._known: dict[Topic, Sequence[Any]] = {}  # the fields of a quote, by their places

    def merge(self, topic: Topic, told: SparseQuote | PushedQuote) -> Quote:
        """A null is an answer: there is no such price now.

        Raises: ValueError: what was pushed has to be read as a `SparseQuote`. Nothing is changed.
        """
        values, known = [*structs.astuple(told)], self._known.get(topic, UNKNOWN)
        if not all(values):
            if told == NOTHING:
                raise ValueError("it says nothing, and may be an envelope")
            values = [old if new is UNSET else new for new, old in zip(values, known, strict=True)]
        changed = []
        for place in NUMBERS:
            number = values[place]
            if number is not known[place]:
                if type(number) is not Decimal:
                    number = values[place] = _exact(number)
                if number != known[place]:
                    changed.append(NAMES[place])
        self._known[topic] = values
        return Quote(topic.key, tuple(changed), *values)

    def forget(self, topic: Topic) -> None:
        self._known.pop(topic, None)


def _exact(number: object) -> Exact:
    """Of an integer, or a null.

    Raises: ValueError: it is none of these, or out of all bounds.
    """
    if number is None:
        return None
    if type(number) is not int or not -BOUND < number < BOUND:
        raise ValueError("no integer that is a usual number")
    return Decimal(number)
