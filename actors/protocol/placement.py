"""The lines on which the topics of one feed lie; a place for one more is found without a search."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

from msgspec import Struct

from actors.events import Topic

K = TypeVar("K", bound=Hashable)


class Bound(Struct, frozen=True):
    """At most `most` topics with an equal `mark` may lie on one line. `Venue.bounds` returns them."""

    mark: Hashable
    most: int


Bounds = tuple[Bound, ...]


class Placement(Mapping[str, Collection[Topic]]):
    """The lines of one feed: name → topics in the order of placing. Not thread-safe; `place` only reads it.

    The lines of a venue with bounds are `feed`, `feed/2`, `feed/3`, …: number 1, 2, 3, …
    """

    def __init__(self, feed: str, lines: Iterable[str] = ()) -> None:
        self.feed = feed
        self._topics: dict[str, dict[Topic, None]] = {line: {} for line in lines}
        self._lines: dict[Topic, str] = {}
        self._bounds: dict[Topic, Bounds] = {}  # of the topics that have any
        self._counts: dict[tuple[Bound, int], int] = {}  # by bound and line: topics under it
        self._full: dict[Bound, int] = {}  # a set of bits: the lines that have no room under this bound

    def copy(self) -> Placement:
        """Returns a copy. Any thread: each dict is copied in one step of the interpreter, and then walked."""
        copy, bounds = Placement(self.feed), self._bounds.copy()
        for line, topics in self._topics.copy().items():
            for topic in topics.copy():
                copy.add(topic, line, bounds.get(topic, ()))
        return copy

    def __getitem__(self, line: str) -> Collection[Topic]:
        return self._topics[line].keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self._topics)

    def __len__(self) -> int:
        return len(self._topics)

    def line_of(self, topic: Topic) -> str | None:
        """Returns the line of this topic; None: it lies on none."""
        return self._lines.get(topic)

    def first_line(self, bounds: Bounds) -> str:
        """Returns the first of `feed`, `feed/2`, … that has room under all of these bounds."""
        full = 1  # there is no line 0
        for bound in bounds:
            full |= self._full.get(bound, 0)
        number = (~full & (full + 1)).bit_length() - 1
        return self.feed if number == 1 else f"{self.feed}/{number}"

    def add(self, topic: Topic, line: str, bounds: Bounds = ()) -> None:
        """Puts the topic on this line, and takes it off the one on which it lay."""
        former = self._lines.get(topic)
        if former == line:
            return
        if former is not None:
            self.remove(topic)
        if bounds:
            self._bounds[topic] = bounds
            for bound in bounds:
                self._count(bound, line, 1)
        self._lines[topic] = line
        self._topics.setdefault(line, {})[topic] = None

    def remove(self, topic: Topic) -> str | None:
        """Takes the topic off its line, which it returns; None: it had none. An empty line is removed."""
        line = self._lines.pop(topic, None)
        if line is None:
            return None
        del self._topics[line][topic]
        if not self._topics[line]:
            del self._topics[line]
        for bound in self._bounds.pop(topic, ()):
            self._count(bound, line, -1)
        return line

    def _count(self, bound: Bound, line: str, change: int) -> None:
        number = _number(line)
        count = self._counts.get((bound, number), 0) + change
        full = self._full.get(bound, 0)
        full = full | 1 << number if count >= bound.most else full & ~(1 << number)
        _keep(self._counts, (bound, number), count)
        _keep(self._full, bound, full)


def _number(line: str) -> int:
    """0: it is not one of `feed`, `feed/2`, …"""
    _, slash, number = line.partition("/")
    if not slash:
        return 1
    return int(number) if number.isascii() and number.isdigit() else 0


def _keep(table: dict[K, int], key: K, value: int) -> None:
    """Zeros take no room."""
    if value:
        table[key] = value
    else:
        table.pop(key, None)
