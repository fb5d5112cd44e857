"""How a topic is written on the wire, and how a message is known by it.

What a message shows of a topic (its wire name, its key, options) is its *mark*. The marks of the topics that
are asked for are rendered once, so that a message costs one look-up; the way back, from any mark to a
topic, is for messages that belong to no request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from actors.protocol import Option, Topic
from actors.venues.declarative.path import MISSING, Each, Getter, spot
from actors.venues.declarative.table import ChannelTable, Place, Value
from actors.venues.declarative.template import Text

Marks = tuple[Any, ...]
T = TypeVar("T")


class Names:
    """How one channel's topics are written."""

    def __init__(self, name: str, table: ChannelTable) -> None:
        self.name = name
        self.table = table
        self.wire = table.wire or Text((name), (name,))
        self.shown = table.shown or self.wire
        self.written = {option: _written(each.values) for option, each in table.options.items()}
        self._read: dict[str, dict[str, Option]] = {
            option: {str(wire): value for value, wire in written.items()}
            for option, written in self.written.items()
            if written
        }
        self.shown_pattern = self.shown.pattern(self._read)

    def values(self, topic: Topic) -> dict[str, Any]:
        """What templates may name of a topic."""
        values: dict[str, Any] = {"channel": self.name}
        if topic.key:
            values["key"] = topic.key
        for option, value in topic.options:
            written = self.written.get(option)
            values[option] = written.get(value, value) if written and isinstance(value, str | int) else value
        values["wire"] = self.wire.render(values)
        return values

    def spelled(self, key: str) -> str:
        key = key.strip()
        match self.table.spelling:
            case "upper":
                return key.upper()
            case "lower":
                return key.lower()
        return key

    def read(self, option: str, written: Any) -> Option:
        """An option from how it is written."""
        known = self._read.get(option)
        value = known.get(str(written), written) if known else written
        return value if isinstance(value, str | int | bool) else str(value)

    def unread(self, shown: Any) -> dict[str, str] | None:
        """The key and the options that stand in a wire name; None: it is another channel's."""
        found = self.shown_pattern.fullmatch(shown) if isinstance(shown, str) else None
        if found is None:
            return None
        return {name[1:]: text for name, text in found.groupdict().items()}


def _written(values: tuple[Value, ...] | dict[str, Value] | None) -> dict[Value, Value]:
    if isinstance(values, dict):
        return {value: wire for value, wire in values.items()}  # noqa: C416 - the keys are a wider type
    return {value: value for value in values or ()}


class TopicPlaces:
    """Where a kind of message shows its topics: one `Place` of a table, ready for use."""

    def __init__(self, place: Place, names: Mapping[str, Names]) -> None:
        self.fits = place.when.fits if place.when is not None else _always
        self.each = Each(place.each) if place.each is not None else None
        self.names = {place.channel: names[place.channel]} if place.channel else names
        self.channel = place.channel
        paths = [("wire", place.wire), ("key", place.key), *place.options.items()]
        # What a mark consists of.
        self.parts = [(name, spot(path, place.each)) for name, path in paths if path is not None]
        self.marks = _marks([(part.level, part.get) for _, part in self.parts])
        self._named = bool(self.parts) and self.parts[0][0] == "wire"

    def elements(self, message: Any) -> Sequence[tuple[Any, ...]] | None:
        """What it consists of; None: it is no message of this kind."""
        if not self.fits(message):
            return None
        return ((message,),) if self.each is None else self.each.of(message)

    def shows(self, marks: Marks) -> bool:
        """Whether it names a topic at all."""
        if self._named:
            return marks[0] is not MISSING
        return not marks or any(mark is not MISSING for mark in marks)

    def marks_of(self, topic: Topic) -> Marks | None:
        """What such a message shows of this topic; None: it never is of its channel."""
        names = self.names.get(topic.channel)
        if names is None:
            return None
        values = names.values(topic)
        values["wire"] = names.shown.render(values)
        return tuple(values.get(name, MISSING) for name, _ in self.parts)

    def tells(self, names: Names) -> set[str]:
        """What of a topic of this channel such a message shows: `key` and options."""
        told = {name for name, _ in self.parts}
        return (told - {"wire"}) | (names.shown.slots if "wire" in told else set())

    def guess(self, feed: str, marks: Marks) -> Iterator[Topic]:
        """The topics that could show these marks, wanted or not."""
        told = {name: mark for (name, _), mark in zip(self.parts, marks, strict=True) if mark is not MISSING}
        wire = told.pop("wire", None)
        for names in self.names.values():
            found: dict[str, Any] = dict(told)
            if wire is not None:
                inside = names.unread(wire)
                if inside is None:
                    continue
                found = inside | found
            key = found.pop("key", None)
            if (key is None) == bool(names.table.key) or isinstance(key, dict | list):
                continue
            options = {
                name: names.read(name, text) for name, text in found.items() if name in names.table.options
            }
            spelled = names.spelled(str(key)) if key is not None else ""
            yield Topic(feed, names.name, spelled, tuple(sorted(options.items())))


def _always(_: Any) -> bool:
    return True


def _marks(ways: Sequence[tuple[int, Getter]]) -> Callable[[Sequence[Any]], Marks]:
    """What nodes show of their topic. Options that they leave out are MISSING, as other channels' are."""
    match ways:
        case [(level, get)]:
            return lambda nodes: (get(nodes[level]),)
        case [(level, get), (other, find)]:
            return lambda nodes: (get(nodes[level]), find(nodes[other]))
    return lambda nodes: tuple([get(nodes[level]) for level, get in ways])


ALIASES = 1000  # other spellings that an index remembers, beyond those of its topics


class Index(Generic[T]):
    """The topics that a message names: several, where it leaves out what distinguishes them."""

    def __init__(self, places: TopicPlaces) -> None:
        self.places = places
        self._exact: dict[Marks, list[T]] = {}
        self._folded: dict[Marks, list[T]] = {}

    def add(self, topic: Topic, owner: T) -> None:
        marks = self.places.marks_of(topic)
        if marks is not None:
            owners = self._folded.setdefault(self._fold(topic, marks), [])
            owners.append(owner)
            self._exact[marks] = owners

    def remove(self, topic: Topic, owner: T) -> None:
        marks = self.places.marks_of(topic)
        folded = () if marks is None else self._fold(topic, marks)
        owners = self._folded.get(folded, [])
        if owner in owners:
            owners.remove(owner)
        if not owners and marks is not None:
            self._folded.pop(folded, None)
            self._exact.pop(marks, None)

    def find(self, marks: Marks) -> Sequence[T]:
        """Empty: no topic."""
        try:
            owners = self._exact.get(marks)
        except TypeError:  # a list or an object is no name
            return ()
        if owners:
            return owners
        owners = self._folded.get(_folded(marks, True)) or self._folded.get(_folded(marks, False))
        if owners and len(self._exact) < len(self._folded) + ALIASES:
            self._exact[marks] = owners
        return owners or ()

    def _fold(self, topic: Topic, marks: Marks) -> Marks:
        return _folded(marks, self.places.names[topic.channel].table.spelling != "as is")


def _folded(marks: Marks, caseless: bool) -> Marks:
    """Marks in which 1 is as good as "1", and, where keys are brought into one case, A as a."""
    texts = [mark if mark is MISSING else str(mark).casefold() if caseless else str(mark) for mark in marks]
    return (caseless, *texts)
