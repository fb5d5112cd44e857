"""A table with a feed's own keys put in: what its sessions go by. Immutable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from actors.protocol import REDACTED, Topic
from actors.venues.declarative.messages import Message, clock
from actors.venues.declarative.path import MISSING, Condition, Path, Spot, Test, getter, spot
from actors.venues.declarative.states import StateRule
from actors.venues.declarative.table import AskTable, EventTable, FrameTable, SequenceTable, VenueTable
from actors.venues.declarative.template import Template
from actors.venues.declarative.topics import Marks, Names, TopicPlaces

MANY = "topics"  # the place in a frame that takes a list of them


Nodes = Sequence[Any]  # the message, and the element of each list on the way to an event


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

    def go_on(self, count: Count, events: Sequence[Nodes]) -> bool:
        """Whether all these events may be delivered, and none is missing; only then are they counted."""
        before = count.number, count.lost
        gone_on = False
        try:
            gone_on = all(self.follow(count, nodes) is True for nodes in events)
        finally:
            if not gone_on:
                count.number, count.lost = before
        return gone_on


Told = tuple[Nodes, Marks, Any]  # of one event: the nodes on the way to it, its marks, its data


class EventRule:
    """One kind of message that bears events."""

    def __init__(self, table: EventTable, names: Mapping[str, Names]) -> None:
        self.table = table
        self.places = TopicPlaces(table, names)
        data = _spot(table.data, table.each)
        self.data = (-1, getter(())) if data is None else (data.level, data.get)
        self._kind = _spot(table.kind, table.each)
        self._time = _spot(table.time, table.each)
        self._nanoseconds = clock(table.unit)
        self.sequences = {
            name: _numbers(each.table.sequence, table.each)
            for name, each in self.places.names.items()
            if each.table.sequence
        }

    def read(self, message: Any) -> Sequence[Told] | None:
        """The events in it; None: it is no such message.

        Raises:
            ValueError: one of several is no event.
        """
        places, (_, get) = self.places, self.data
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
        places, (level, get) = self.places, self.data
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
        where, when = self._kind, self._time
        kind = "" if where is None else where.get(nodes[where.level])
        at_ns = None if when is None else self._nanoseconds(when.get(nodes[when.level]))
        return Message(topic.channel, topic.key, data, kind if type(kind) is str else "", at_ns)


def _spot(path: Path | None, each: Path | None) -> Spot | None:
    return None if path is None else spot(path, each)


def _numbers(table: SequenceTable, each: Path | None) -> Numbers:
    start = None if table.start is None else table.start.fits
    return Numbers(spot(table.number, each), _spot(table.first, each), _spot(table.previous, each), start)


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
        self.acks = [(each, TopicPlaces(each, self.names)) for each in table.acks]
        self.errors = [(each, TopicPlaces(each, self.names)) for each in table.errors]
        self.ask = Ask(table.subscribe) if table.subscribe is not None else None
        self.give_up = Ask(table.unsubscribe) if table.unsubscribe is not None else None
        rules = [StateRule(each, self.names) for each in table.venue_states]
        self.states = [rule for rule in rules if not rule.table.in_events]
        self.states_in_events = [rule for rule in rules if rule.table.in_events]
        self.words = _words(table)


def _words(table: FrameTable) -> dict[bytes, tuple[str, Template | None]]:
    """Messages that are a mere text: what each is, and what is replied."""
    every: list[tuple[Condition, str, Template | None]] = [(each, "ignored", None) for each in table.ignore]
    every += [(reply.when, "heartbeat", reply.send) for reply in table.replies]
    if table.ping is not None and table.ping.answer is not None:
        every.append((table.ping.answer, "pong", None))
    return {when.text.encode(): (kind, reply) for when, kind, reply in every if when.text is not None}


def _whole(value: Any) -> int | None:
    """A number of a sequence; some venues write it as text."""
    if type(value) is int:
        return value
    return int(value) if type(value) is str and value.isascii() and value.isdigit() else None
