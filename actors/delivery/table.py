"""The routes of one line: to which streams each of its topics goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from actors.delivery.inlet import Inlet
from actors.events import ALL_KEYS, Scope, Topic


class Route(Struct, frozen=True):
    """Where the events of one topic go. `number` is that of its placement on this line."""

    number: int
    inlets: tuple[Inlet, ...] = ()


NO_ROUTE = Route(0)


class RouteTable:
    """Not thread-safe: the dispatcher has one for each line, and each connection a copy of its own."""

    def __init__(self) -> None:
        self.routes: dict[Topic, Route] = {}
        self.inlets: dict[int, Inlet] = {}  # every stream that some topic goes to
        self.topics: dict[int, dict[Topic, None]] = {}  # by stream: its topics on this line
        self._by_key: dict[str, dict[Topic, None]] | None = None  # once it was asked for

    @classmethod
    def of(cls, routes: Mapping[Topic, Route]) -> RouteTable:
        table = cls()
        for topic, route in routes.items():
            table.set(topic, route)
        return table

    def copy(self) -> RouteTable:
        copy = RouteTable()
        copy.routes = self.routes.copy()
        copy.inlets = self.inlets.copy()
        copy.topics = {stream: topics.copy() for stream, topics in self.topics.copy().items()}
        return copy

    def set(self, topic: Topic, route: Route) -> tuple[list[Inlet], list[Inlet]]:
        """The streams that this topic goes to from now on, and those that it goes to no longer."""
        former = self.routes.get(topic, NO_ROUTE)
        self.routes[topic] = route
        if self._by_key is not None:
            self._by_key.setdefault(topic.key, {})[topic] = None
        return self._change(topic, former.inlets, route.inlets)

    def remove(self, topic: Topic) -> list[Inlet]:
        """The topic lies on this line no longer. The streams that it went to."""
        former = self.routes.pop(topic, NO_ROUTE)
        if self._by_key is not None and topic in (mine := self._by_key.get(topic.key, {})):
            del mine[topic]
            if not mine:
                del self._by_key[topic.key]
        return self._change(topic, former.inlets, ())[1]

    def wants(self, stream: int) -> Iterable[Topic]:
        """The topics of this stream on this line."""
        return self.topics.get(stream, ())

    def reached(self, scope: Scope) -> Iterable[Topic]:
        """The topics of which some events belong to this scope."""
        topics: Iterable[Topic] = self.routes
        if scope.key:
            by_key = self._topics_by_key()
            topics = [topic for key in dict.fromkeys((scope.key, *ALL_KEYS)) for topic in by_key.get(key, ())]
        return [topic for topic in topics if scope.reaches(topic)]

    def readers(self, scope: Scope) -> Iterable[Inlet]:
        """The streams with such a topic."""
        if scope.key:
            topics = self.reached(scope)
            return dict.fromkeys(inlet for topic in topics for inlet in self.routes[topic].inlets)
        inlets = self.inlets.values()
        return [inlet for inlet in inlets if not scope.channel or scope.channel in inlet.channels]

    def _topics_by_key(self) -> dict[str, dict[Topic, None]]:
        if self._by_key is None:
            self._by_key = {}
            for topic in self.routes:
                self._by_key.setdefault(topic.key, {})[topic] = None
        return self._by_key

    def _change(
        self, topic: Topic, before: tuple[Inlet, ...], after: tuple[Inlet, ...]
    ) -> tuple[list[Inlet], list[Inlet]]:
        come, gone = _differences(before, after)
        for inlet in come:
            self.inlets[inlet.id] = inlet
            self.topics.setdefault(inlet.id, {})[topic] = None
        for inlet in gone:
            mine = self.topics[inlet.id]
            mine.pop(topic, None)
            if not mine:
                del self.topics[inlet.id], self.inlets[inlet.id]
        return come, gone


def _differences(before: tuple[Inlet, ...], after: tuple[Inlet, ...]) -> tuple[list[Inlet], list[Inlet]]:
    """Streams that have come, and that have gone. Mostly that is one of many: equal ends are left out."""
    start = _common(before, after)
    before, after = before[start:], after[start:]
    end = _common(before[::-1], after[::-1])
    before, after = before[: len(before) - end], after[: len(after) - end]
    former, present = set(before), set(after)
    come = [inlet for inlet in after if inlet not in former]
    return come, [inlet for inlet in before if inlet not in present]


def _common(one: tuple[Inlet, ...], other: tuple[Inlet, ...]) -> int:
    """How many both begin with. The interpreter compares slices: a loop over thousands costs far more."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
