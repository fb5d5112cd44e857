"""The topics that a session of a table was asked for, and the events that go to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from actors.protocol import AskedTopic, Confirm, EffectBatch, GapReason, Topic, TopicAnswer
from actors.venues.declarative.path import MISSING
from actors.venues.declarative.protocol import Count, EventRule, Hole, Nodes, Told, Vocabulary
from actors.venues.declarative.topics import Index, Marks, TopicPlaces

GUESSED = 100_000  # topics without a request, where all are accepted
REST = 10.0  # seconds in which a topic is resubscribed only once, because of its numbers

WAITING, _, CONFIRMED, REFUSED = TopicAnswer
Parts = deque[list["TableTopic"]]


class SentFrame:
    """A frame that waits for its answer; of one that gives up topics, `asked` is empty."""

    __slots__ = ("asked", "id", "rest")

    def __init__(self, id: int, asked: list[TableTopic], rest: Parts | None = None) -> None:
        self.id = id
        self.asked = asked
        # Parts of a frame that was refused: when this is answered, the first is asked for.
        self.rest: Parts = deque() if rest is None else rest

    def is_only(self, blamed: list[TableTopic]) -> bool:
        """Whether there is one at fault and it is this: not one that was refused or given up meanwhile."""
        return len(blamed) == 1 and all(each.answer is not REFUSED for each in self.asked)

    def waiting(self) -> list[TableTopic]:
        return [each for each in self.asked if each.answer is WAITING]


class TableTopic(AskedTopic):
    """A topic that was asked for, and how far it has come."""

    __slots__ = ("count", "key", "request", "wire")

    def __init__(self, topic: Topic, wire: str) -> None:
        super().__init__(topic)
        self.wire, self.key = wire.casefold(), topic.key.casefold()  # to be found in the venue's words
        self.count = Count()
        self.request: SentFrame | None = None  # the last one that asked for it


TableIndex = Index[TableTopic]
Heal = Callable[[TableTopic, GapReason, int | None, EffectBatch], bool]


def _agrees(places: TopicPlaces, topic: Topic, marks: Marks) -> bool:
    """Whether a topic is not at odds with what a message shows: it may show less than a topic has."""
    own = places.marks_of(topic)
    if own is None:
        return False
    pairs = [(mine, shown) for mine, shown in zip(own, marks, strict=True) if MISSING not in (mine, shown)]
    return bool(pairs) and all(str(mine) == str(shown) for mine, shown in pairs)


class TableTopics(dict[Topic, TableTopic]):
    """The topics of one connection. `takes_all`: every topic that the table can make out counts as asked for.

    `heal` handles events that are missing, and returns whether the next one may be delivered.
    """

    def __init__(self, vocabulary: Vocabulary, heal: Heal, *, takes_all: bool) -> None:
        super().__init__()
        self._vocabulary, self._heal, self._takes_all = vocabulary, heal, takes_all
        self._indexes: list[TableIndex] = []
        self.routes: dict[Any, Any] = {}  # `UsualMessages` keeps them; a topic that comes or goes ends all

    def index(self, places: TopicPlaces) -> TableIndex:
        """A new index of these topics, for one kind of message."""
        self._indexes.append(Index(places))
        return self._indexes[-1]

    def enter(self, topic: Topic) -> TableTopic:
        asked = self.get(topic)
        if asked is None:
            asked = self[topic] = TableTopic(topic, str(self._vocabulary.values(topic)["wire"]))
            self.begin(asked)
            self.routes.clear()
            for index in self._indexes:
                index.add(topic, asked)
        return asked

    def begin(self, asked: TableTopic) -> None:
        """It is asked for from the start."""
        asked.answer = WAITING
        asked.count = Count()
        asked.count.lost = not self._takes_all and self._vocabulary.begins(asked.topic.channel)

    def leave(self, topic: Topic) -> bool:
        """Returns whether it was asked for, and not refused."""
        asked = self.pop(topic, None)
        if asked is None:
            return False
        was_up = asked.answer is not REFUSED
        asked.answer = REFUSED  # an answer that is still to come is ignored
        self.routes.clear()
        for index in self._indexes:
            index.remove(topic, asked)
        return was_up

    def heals(self, asked: TableTopic) -> bool:
        """Whether it is resubscribed where events are missing."""
        return not self._takes_all and self._vocabulary.names[asked.topic.channel].table.resyncable

    def guess(self, index: TableIndex, marks: Marks) -> Sequence[TableTopic]:
        """The topic that a message is of that no topic was asked for; none, unless all count as asked for."""
        if not self._takes_all or len(self) >= GUESSED:
            return ()
        return [self.enter(topic) for topic in islice(index.places.guess(self._vocabulary.feed, marks), 1)]

    def deliver(
        self, rule: EventRule, index: Index[TableTopic], told: Sequence[Told], out: EffectBatch
    ) -> None:
        """The events of one message."""
        for nodes, marks, data in told:
            owners = index.find(marks) or self.guess(index, marks)
            if not owners:
                out.unrouted += 1
            for asked in owners:
                topic = asked.topic
                if topic.channel in rule.sequences and not self._in_order(rule, asked, nodes, out):
                    out.unrouted += 1
                    continue
                if asked.answer is not CONFIRMED:  # it comes, so it is there
                    asked.answer = CONFIRMED
                    out.add(Confirm((topic,)))
                out.deliver(topic, rule.event(topic, nodes, data))

    def _in_order(self, rule: EventRule, asked: TableTopic, nodes: Nodes, out: EffectBatch) -> bool:
        """Whether the event may be delivered; where others are missing before it, that is said first."""
        followed = rule.sequences[asked.topic.channel].follow(asked.count, nodes)
        if isinstance(followed, Hole):
            return self._heal(asked, "sequence", followed.missed, out)
        return followed

    def named(self, index: TableIndex, found: Iterable[Nodes]) -> list[TableTopic]:
        """The topics that an answer of the venue names."""
        named: dict[Topic, TableTopic] = {}
        for nodes in found:
            marks = index.places.marks(nodes)
            owners = index.find(marks) or self.guess(index, marks)
            owners = owners or [each for each in self.values() if _agrees(index.places, each.topic, marks)]
            named |= {each.topic: each for each in owners}
        return list(named.values())

    def up(self) -> list[TableTopic]:
        return [each for each in self.values() if each.answer is CONFIRMED]

    def named_in(self, payload: bytes) -> list[TableTopic]:
        """The confirmed topics whose keys stand in a message that could not be read."""
        text = payload.lower()
        return [each for each in self.up() if each.topic.key and each.topic.key.lower().encode() in text]
