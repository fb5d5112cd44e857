"""Which stream wants which topic, and on which line it lies: what outlives dispatchers."""

from __future__ import annotations

from collections.abc import Iterable

from actors.delivery.arrivals import Right
from actors.delivery.inlet import Inlet
from actors.delivery.state import DeliveryState
from actors.delivery.table import NO_ROUTE, Route, RouteTable
from actors.events import Topic
from actors.rules.freshness import NO_POLICY, FreshnessPolicy


class Subscriber:
    """One stream and what it wants."""

    def __init__(self, inlet: Inlet) -> None:
        self.inlet = inlet
        self.topics: dict[Topic, None] = {}

    def copy(self) -> Subscriber:
        copy = Subscriber(self.inlet)
        copy.topics = self.topics.copy()
        return copy


class LineRoutes:
    """One line, as far as streams go."""

    def __init__(self) -> None:
        self.table = RouteTable()
        self.state = DeliveryState()  # while a connection is the holder: a copy, as it reports
        self.epoch = 0  # of the present connection
        self.candidate: int | None = None  # epoch of one that may take over
        self.holder: int | None = None  # epoch of the connection that delivers; None: the dispatcher
        self.routed: set[int] = set()  # epochs that have the routes, and are told of changes
        self.turn: int | None = None  # epoch of a candidate that is to have its turn
        self.is_late = False  # something may be missing between the two
        self.was_given_up = False  # the last holder did not hand its state back: it may still write
        self.crashes = 0  # in a row
        self.failed = ""  # why, as its streams were told last; empty: they were told something else since

    def copy(self) -> LineRoutes:
        copy = LineRoutes()
        copy.__dict__.update(self.__dict__)
        copy.table, copy.state, copy.routed = self.table.copy(), self.state.copy(), self.routed.copy()
        return copy


class Routing:
    """One keeper at a time changes it, under the lease of its role."""

    def __init__(self) -> None:
        self.right = Right(makes_calls=False)  # of the present dispatcher
        self.subscribers: dict[int, Subscriber] = {}
        self.by_topic: dict[Topic, dict[int, Inlet]] = {}
        self.line_of: dict[Topic, str] = {}
        self.lines: dict[str, LineRoutes] = {}
        self._policies: dict[Topic, dict[FreshnessPolicy, int]] = {}  # of streams, and of how many

    def copy(self) -> Routing:
        """What another dispatcher goes on with, where a former one hangs over this. Any thread.

        Each dict is copied in one step of the interpreter before it is walked.
        """
        copy = Routing()
        copy.subscribers = {
            stream: subscriber.copy() for stream, subscriber in self.subscribers.copy().items()
        }
        copy.by_topic = {topic: inlets.copy() for topic, inlets in self.by_topic.copy().items()}
        copy.line_of = self.line_of.copy()
        copy.lines = {name: line.copy() for name, line in self.lines.copy().items()}
        copy._policies = {topic: counts.copy() for topic, counts in self._policies.copy().items()}
        return copy

    def line(self, name: str) -> LineRoutes:
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = LineRoutes()
        return line

    def want(self, inlet: Inlet, topics: Iterable[Topic]) -> list[Topic]:
        """Those that this stream did not want before."""
        subscriber = self.subscribers.setdefault(inlet.id, Subscriber(inlet))
        new = [topic for topic in topics if topic not in subscriber.topics]
        for topic in new:
            self.by_topic.setdefault(topic, {})[inlet.id] = inlet
            subscriber.topics[topic] = None
            self._count(topic, inlet)
        return new

    def policies(self, topic: Topic) -> tuple[FreshnessPolicy, ...]:
        """Those of the streams that want it, each once."""
        return tuple(self._policies.get(topic, ()))

    def _count(self, topic: Topic, inlet: Inlet) -> None:
        if inlet.freshness != NO_POLICY:
            counts = self._policies.setdefault(topic, {})
            counts[inlet.freshness] = counts.get(inlet.freshness, 0) + 1

    def _uncount(self, topic: Topic, inlet: Inlet) -> None:
        counts = self._policies.get(topic)
        if counts is None or inlet.freshness not in counts:
            return
        counts[inlet.freshness] -= 1
        if not counts[inlet.freshness]:
            del counts[inlet.freshness]
        if not counts:
            del self._policies[topic]

    def wanted(self, stream: int, topics: Iterable[Topic] | None) -> list[Topic]:
        """Those of them that this stream wants; None: all of its topics."""
        subscriber = self.subscribers.get(stream)
        if subscriber is None:
            return []
        return [
            topic for topic in (subscriber.topics if topics is None else topics) if topic in subscriber.topics
        ]

    def lines_of(self, topics: Iterable[Topic]) -> set[str]:
        """Those that these lie on."""
        found = (self.line_of.get(topic) for topic in topics)
        return {name for name in found if name is not None}

    def leave(self, stream: int, topic: Topic) -> None:
        """The stream gets no more of it."""
        others = self.by_topic.get(topic, {})
        inlet = others.pop(stream, None)
        if inlet is not None:
            self._uncount(topic, inlet)
        if not others:
            self.by_topic.pop(topic, None)

    def forget(self, stream: int, topics: Iterable[Topic]) -> None:
        """The stream wants these no longer, and the registry has been told."""
        subscriber = self.subscribers.get(stream)
        if subscriber is not None:
            for topic in topics:
                subscriber.topics.pop(topic, None)
            if not subscriber.topics:
                del self.subscribers[stream]

    def mend(self) -> None:
        """A former keeper may have stopped in the middle of a change: what depends on the rest is rebuilt."""
        self.by_topic.clear()
        self._policies.clear()
        for stream, subscriber in self.subscribers.items():
            for topic in subscriber.topics:
                self.by_topic.setdefault(topic, {})[stream] = subscriber.inlet
                self._count(topic, subscriber.inlet)
        for topic, name in list(self.line_of.items()):
            if topic not in self.line(name).table.routes:
                del self.line_of[topic]
        for name, line in self.lines.items():
            routes = {
                topic: self._kept(topic, route)
                for topic, route in line.table.routes.items()
                if self.line_of.get(topic) == name
            }
            line.table = RouteTable.of(routes)

    def _kept(self, topic: Topic, route: Route) -> Route:
        """Without the streams that have left it. Those that are to come into it are in an unread letter."""
        wanting = self.by_topic.get(topic, {})
        return Route(route.number, tuple(inlet for inlet in route.inlets if inlet.id in wanting))

    def joined(self, line: str, topic: Topic, number: int, streams: Iterable[int]) -> Route:
        """The route of this placement, with those of these streams in it that want the topic."""
        table, wanting = self.line(line).table, self.by_topic.get(topic, {})
        route = table.routes.get(topic, NO_ROUTE)
        if route.number != number:
            return Route(number, tuple(wanting[stream] for stream in streams if stream in wanting))
        come = [stream for stream in streams if stream in wanting and topic not in table.wants(stream)]
        return Route(number, (*route.inlets, *(wanting[stream] for stream in come)))

    def parted(self, line: str, topic: Topic, stream: int) -> Route:
        """The route without this stream, and with no newcomer in it: this placement may end."""
        table = self.line(line).table
        route = table.routes[topic]
        if topic not in table.wants(stream):
            return route
        place = route.inlets.index(table.inlets[stream])
        return Route(route.number, (*route.inlets[:place], *route.inlets[place + 1 :]))
