"""What the streams of one line are owed: which of them wait for its return, and what they have not seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from actors.delivery.table import Route
from actors.events import Gap, Lifecycle, Topic
from actors.rules.journal import NO_REPAIRS
from actors.rules.venue_states import VenueStates

WORDS = 1 << 32  # the numbers of one epoch's words; the upper half is for those after its end

Word = Literal["connected", "restored"]


class LastSeen(Struct, frozen=True):
    """The newest events of a topic before it became blind, oldest first."""

    events: tuple[Any, ...]
    received_ns: int | None


class Outage:
    """What a stream waits for on one line before it is told that the line is back."""

    __slots__ = ("waiting", "word")

    def __init__(self, waiting: Iterable[Topic], word: Word) -> None:
        self.waiting = set(waiting)
        self.word: Word = word


class DeliveryState:
    """One holder at a time: the dispatcher while the line is down, else the line's connection.

    It travels by letter, and its giver changes it no more.
    """

    def __init__(self) -> None:
        self.up = False  # every topic of the line has been answered for since it was lost
        self.attempt = 0
        self.last: Lifecycle | None = None  # that the streams of the line were told while it was down
        self.settled: set[Topic] = set()  # answered for in the present epoch
        self.outages: dict[int, Outage] = {}  # by stream
        self.blind: dict[Topic, int] = {}  # topics whose data is interrupted: since when, wall-clock ns
        self.blind_streams: dict[int, dict[Topic, int]] = {}  # the same for each stream that followed them
        self.joining: dict[Topic, set[int]] = {}  # streams that come in when the topic starts again
        self.number = 0  # of the last word of this line
        self.gaps = 0  # interruptions of topics, whether or not a stream got a `Gap`
        self.last_gap: Gap | None = None
        self.last_seen: dict[Topic, LastSeen] = {}  # of blind topics that are to be back-filled
        self.repairs = NO_REPAIRS
        self.venue_states = VenueStates()  # the holder's alone to change; any thread may look

    def copy(self) -> DeliveryState:
        copy = DeliveryState()
        copy.__dict__.update(self.__dict__)
        copy.settled = self.settled.copy()
        copy.outages = {stream: Outage(it.waiting, it.word) for stream, it in self.outages.copy().items()}
        copy.blind = self.blind.copy()
        copy.blind_streams = {stream: topics.copy() for stream, topics in self.blind_streams.copy().items()}
        copy.last_seen = self.last_seen.copy()
        copy.joining = {topic: streams.copy() for topic, streams in self.joining.copy().items()}
        copy.venue_states = self.venue_states.copy()
        return copy

    def note_settled(self, topics: Iterable[Topic], routes: Mapping[Topic, Route]) -> None:
        """The holder has told the streams of these that they are answered for."""
        for topic in topics:
            route = routes.get(topic)
            if route is None:
                continue
            self.settled.add(topic)
            self.blind.pop(topic, None)
            self.last_seen.pop(topic, None)
            self.joining.pop(topic, None)  # it starts again with that answer, and all come in
            for inlet in route.inlets:
                self._note_seen(inlet.id, topic)

    def _note_seen(self, stream: int, topic: Topic) -> None:
        outage = self.outages.get(stream)
        if outage is not None:
            outage.waiting.discard(topic)
            if not outage.waiting:
                del self.outages[stream]
        blind = self.blind_streams.get(stream)
        if blind is not None and blind.pop(topic, None) is not None and not blind:
            del self.blind_streams[stream]

    def gap(self, gap: Gap) -> None:
        self.gaps += 1
        self.last_gap = gap

    def begin_epoch(self, epoch: int) -> None:
        """Words of this epoch are newer than all of former ones."""
        self.number = max(self.number, epoch * WORDS)

    def end_epoch(self, epoch: int) -> None:
        """It has ended without handing its state back: later words are newer than all of its own."""
        self.number = max(self.number, epoch * WORDS + WORDS // 2)

    def next_number(self) -> int:
        self.number += 1
        return self.number
