"""A table with a feed's own keys put in: what its sessions go by. Immutable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from actors.protocol import REDACTED, Topic
from actors.venues.declarative.messages import Message, clock
from actors.venues.declarative.path import MISSING, Getter, Path, Spot, Test, compiled, getter, spot
from actors.venues.declarative.table import (
    AckTable,
    AskTable,
    ErrorTable,
    EventTable,
    FrameTable,
    LoginTable,
    VenueTable,
)
from actors.venues.declarative.template import Template
from actors.venues.declarative.topics import Marks, Names, TopicPlaces

MANY = "topics"  # the place in a frame that takes a list of them


class Count:
    """How far the numbers of one topic have come on one connection."""

    __slots__ = ("lost", "number")

    def __init__(self) -> None:
        self.number: int | None = None  # of the newest event
        self.lost = False  # waits for a message that begins a count; others are of an older subscription


class Hole(Struct, frozen=True):
    """Before this event others are missing; None: an unknown number."""

    missed: int | None


class Numbers(Struct, frozen=True):
    """Where one kind of message bears its channel's numbers."""

    number: Spot
    first: Spot | None
    previous: Spot | None
    start: Test | None

    def follow(self, count: Count, nodes: Sequence[Any]) -> bool | Hole:
        """Whether the event may be delivered, as far as its number tells, which is counted."""
        if self.start is not None and self.start(nodes[0]):
            count.number, count.lost = _whole(self.number.of(nodes)), False
            return True
        if count.lost:
            return False
        number, former = _whole(self.number.of(nodes)), count.number
        if number is None:
            return True
        count.number = number
        if former is None:
            return True
        if self.previous is not None:
            return _whole(self.previous.of(nodes)) in (former, None) or Hole(None)
        if self.first is not None:
            first = _whole(self.first.of(nodes))
            return first is None or first <= former + 1 <= number or Hole(None)
        return number == former + 1 or Hole(number - former - 1 if number > former else None)


Nodes = Sequence[Any]  # the message, and the element of each list on the way to an event
Told = tuple[Nodes, Marks, Any]  # of one event: the nodes on the way to it, its marks, its data


class EventRule:
    """One kind of message that bears events."""

    def __init__(self, table: EventTable, names: Mapping[str, Names]) -> None:
        self.places = TopicPlaces(table, names)
        self._data = _way(table.data, table.each) or (-1, getter(()))
        self._kind = _way(table.kind, table.each)
        self._time = _way(table.time, table.each)
        self._nanoseconds = clock(table.unit)
        self.sequences = {
            name: _sequence(each, table.each)
            for name, each in self.places.names.items()
            if each.table.sequence
        }

    def read(self, message: Any) -> Sequence[Told] | None:
        """The events in it; None: it is no such message.

        Raises:
            ValueError: one of several is no event.
        """
        places, (_, get) = self.places, self._data
        if not places.fits(message):
            return None
        if places.each is not None:
            return self._read_each(places.each.of(message))
        nodes = (message,)
        marks, data = places.marks(nodes), get(message)
        if data is MISSING or (MISSING in marks and not places.shows(marks)):
            return None
        return ((nodes, marks, data),)

    def _read_each(self, found: Sequence[Nodes] | None) -> Sequence[Told] | None:
        if found is None:
            return None
        places, (level, get) = self.places, self._data
        told: list[Told] = []
        for nodes in found:
            marks, data = places.marks(nodes), get(nodes[level])
            if data is MISSING or (MISSING in marks and not places.shows(marks)):
                if len(found) == 1:
                    return None
                raise ValueError("one of its events says neither what it is nor holds data")
            told.append((nodes, marks, data))
        return told

    def event(self, topic: Topic, nodes: Sequence[Any], data: Any) -> Message:
        """What a consumer gets of it."""
        kind, at_ns = "", None
        if self._kind is not None:
            level, get = self._kind
            kind = get(nodes[level])
            if type(kind) is not str:
                kind = ""
        if self._time is not None:
            level, get = self._time
            at_ns = self._nanoseconds(get(nodes[level]))
        return Message(topic.channel, topic.key, data, kind, at_ns)


def _way(path: Path | None, each: Path | None) -> tuple[int, Getter] | None:
    """From which node, and how."""
    if path is None:
        return None
    found = spot(path, each)
    return found.level, found.get


def _sequence(names: Names, each: Path | None) -> Numbers:
    table = names.table.sequence
    assert table is not None

    def place(path: Path | None) -> Spot | None:
        return None if path is None else spot(path, each)

    start = compiled(table.start)
    return Numbers(spot(table.number, each), place(table.first), place(table.previous), start)


class AckRule:
    def __init__(self, table: AckTable, names: Mapping[str, Names]) -> None:
        self.table = table
        self.places = TopicPlaces(table, names)
        self.names_topics = bool(self.places.parts)
        self.id = _getter(table.id)


class ErrorRule:
    def __init__(self, table: ErrorTable, names: Mapping[str, Names]) -> None:
        self.table = table
        self.places = TopicPlaces(table, names)
        self.names_topics = bool(self.places.parts)
        self.id = _getter(table.id)
        self.code = _getter(table.code)
        self.text = _getter(table.text)
        self.fatal = _codes(table.fatal)
        self.slow = _codes(table.slow)
        self.ends = _codes(table.ends)
        self.benign = _codes(table.benign)


class LoginRule:
    def __init__(self, table: LoginTable) -> None:
        self.table = table
        self.greeting = compiled(table.greeting)
        self.answer = compiled(table.answer)
        self.refused = compiled(table.refused)
        self.code = _getter(table.code)
        self.text = _getter(table.text)


class Ask:
    """How topics are asked for, or given up."""

    def __init__(self, table: AskTable) -> None:
        self.table = table
        self._single = table.send.slots - {MANY, "id"}  # what a frame says once, for all its topics
        self._many = MANY in table.send.slots

    def groups(self, topics: Sequence[Topic], values: Callable[[Topic], dict[str, Any]]) -> list[list[Topic]]:
        """The topics of each frame: those that agree in what a frame says once."""
        groups: dict[object, list[Topic]] = {}
        for topic in topics:
            own = values(topic)
            same = tuple(own.get(name, MISSING) for name in sorted(self._single))
            groups.setdefault(same if self._many else topic, []).append(topic)
        most = self.table.at_most
        if most is None:
            return list(groups.values())
        return [group[at : at + most] for group in groups.values() for at in range(0, len(group), most)]

    def frame(self, group: Sequence[dict[str, Any]], fixed: Mapping[str, Any]) -> str:
        """One frame for topics of one group, each told by its values."""
        told = [self.table.topic.value({**fixed, **values}) for values in group]
        topics = [each for each in told if each not in (MISSING, "")]
        return self.table.send.render({**fixed, **group[0], **({MANY: topics} if topics else {})})


class Vocabulary:
    """What a feed's sessions share, whatever their protocol. `own` are its keys: `$name` → value."""

    def __init__(self, table: VenueTable, feed: str, own: Mapping[str, str]) -> None:
        self.feed = feed
        self.own = own
        self._secrets = [
            own[f"${name}"] for name, key in table.keys.items() if key.secret and own.get(f"${name}")
        ]
        self.names = {name: Names(name, channel) for name, channel in table.channels.items()}
        self.events = [EventRule(each, self.names) for each in table.events]
        # What no message tells of a channel's topics: two topics that differ in it alone need two lines.
        self.silent = {name: self._silent(each) for name, each in self.names.items()}

    def hide(self, words: str) -> str:
        """The venue's words without the feed's secrets: some venues repeat what they were sent."""
        for secret in self._secrets:
            words = words.replace(secret, REDACTED)
        return words

    def values(self, topic: Topic) -> dict[str, Any]:
        return self.names[topic.channel].values(topic)

    def begins(self, channel: str) -> bool:
        """Whether its events mean nothing before one that begins a count."""
        table = self.names[channel].table
        return table.resyncable and table.sequence is not None and table.sequence.start is not None

    def _silent(self, names: Names) -> frozenset[str]:
        silent: set[str] = set()
        for rule in self.events:
            if names.name in rule.places.names:
                silent |= set(names.table.options) - rule.places.tells(names)
        return frozenset(silent)


class TableProtocol(Vocabulary):
    """Of a venue that is subscribed to by frames."""

    def __init__(self, table: FrameTable, feed: str, own: Mapping[str, str]) -> None:
        super().__init__(table, feed, own)
        self.table = table
        self.acks = [AckRule(each, self.names) for each in table.acks]
        self.errors = [ErrorRule(each, self.names) for each in table.errors]
        self.ignore = [each.compiled() for each in table.ignore]
        self.replies = [(each.when.compiled(), each.send) for each in table.replies]
        self.login = LoginRule(table.login) if table.login is not None else None
        self.ask = Ask(table.subscribe) if table.subscribe is not None else None
        self.give_up = Ask(table.unsubscribe) if table.unsubscribe is not None else None
        self.pong = compiled(table.ping.answer) if table.ping is not None else None
        self.words = _words(table)


def _words(table: FrameTable) -> dict[bytes, tuple[str, Template | None]]:
    """Messages that are a mere text: what each is, and what is replied."""
    words: dict[bytes, tuple[str, Template | None]] = {}
    for condition in table.ignore:
        if condition.text is not None:
            words[condition.text.encode()] = ("ignored", None)
    for reply in table.replies:
        if reply.when.text is not None:
            words[reply.when.text.encode()] = ("heartbeat", reply.send)
    if table.ping is not None and table.ping.answer is not None and table.ping.answer.text is not None:
        words[table.ping.answer.text.encode()] = ("pong", None)
    return words


def _getter(path: Path | None) -> Callable[[Any], Any]:
    return getter(path.steps) if path is not None else lambda _: MISSING


def _codes(codes: Sequence[str | int]) -> frozenset[str]:
    return frozenset(map(str, codes))


def _whole(value: Any) -> int | None:
    """A number of a sequence; some venues write it as text."""
    if type(value) is int:
        return value
    return int(value) if type(value) is str and value.isascii() and value.isdigit() else None
