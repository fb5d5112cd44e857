"""Stretches of time, as a set: what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]  # wall-clock nanoseconds: from, until

EVER: Final = 2**62  # nanoseconds: the year 2116, for a stretch whose end is not known


class Spans:
    """Stretches that do not touch each other, in order."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def __bool__(self) -> bool:
        return bool(self._spans)

    def add(self, since: int, until: int) -> None:
        """All of this stretch belongs to it."""
        if since >= until:
            return
        apart = [each for each in self._spans if each[1] < since or each[0] > until]
        joined = [each for each in self._spans if each[1] >= since and each[0] <= until]
        since = min([since, *(each[0] for each in joined)])
        until = max([until, *(each[1] for each in joined)])
        self._spans = sorted([*apart, (since, until)])

    def remove(self, since: int, until: int) -> None:
        """Nothing of this stretch belongs to it any more."""
        if since >= until:
            return
        left: list[Span] = []
        for first, last in self._spans:
            left += [
                each for each in ((first, min(last, since)), (max(first, until), last)) if each[0] < each[1]
            ]
        self._spans = left

    def touches(self, since: int, until: int) -> bool:
        """Whether some of this stretch belongs to it."""
        return since < until and any(first < until and last > since for first, last in self._spans)

    def without(self, others: Spans) -> Spans:
        """What belongs to this one and not to the others."""
        left = Spans()
        left._spans = list(self._spans)
        for since, until in others:
            left.remove(since, until)
        return left
