"""What a connection keeps for the streams: after its login, or while another connection delivers."""

from __future__ import annotations

from itertools import compress
from typing import Any, Final

from msgspec import Struct, structs

from actors.events import Topic, VenueState
from actors.protocol.session import Confirm, Missed

EVENTS: Final = 500_000
BYTES: Final = 64 * 1_048_576
STATE: Final = 1_000  # bytes that a word of the venue about itself counts for


class KeptEvents(Struct, frozen=True):
    """The events of one batch, as they will be handed out."""

    topics: list[Topic]
    events: list[Any]
    received_ns: int
    at: float  # monotonic seconds
    size: int  # bytes of the read that they came with


class Misread(Struct, frozen=True):
    """At this place something could not be read: what is kept of deltas may lack it."""


class TailEnd(Struct, frozen=True):
    """At this place the venue has answered for these topics."""

    topics: tuple[Topic, ...]


KeptItem = KeptEvents | Confirm | Missed | VenueState | Misread | TailEnd


class Kept:
    """In their order. One thread."""

    bound = f"{EVENTS:,} events or {BYTES // 1_048_576} MB"

    def __init__(self) -> None:
        self._items: dict[int, KeptItem] = {}  # by their numbers, which follow one another
        self.count = self._size = 0  # events, bytes
        self.answered: set[Topic] = set()  # topics that were answered for
        self._added = 0  # items so far
        self._left: dict[Topic, int] = {}  # topics that were forgotten: how many items there were then

    def __bool__(self) -> bool:
        return bool(self._items)

    @property
    def is_full(self) -> bool:
        return self.count > EVENTS or self._size > BYTES

    def add(self, item: KeptItem) -> None:
        if isinstance(item, Misread) and isinstance(self._items.get(self._added, item), Misread):
            return  # nothing new that lacks it
        self._added += 1
        self._items[self._added] = item
        if isinstance(item, KeptEvents):
            self.count += len(item.events)
            self._size += item.size
        elif isinstance(item, VenueState):
            self._size += STATE
        elif isinstance(item, Confirm):
            self.answered.update(item.topics)

    def forget(self, topic: Topic) -> None:
        """The topic leaves this line, or gets a new placement: `take` leaves out what is kept of it."""
        self.answered.discard(topic)
        if self._items:
            self._left[topic] = self._added

    def take(self) -> tuple[KeptItem, int]:
        """The first item, and how many of its events are left out."""
        number = self._added - len(self._items) + 1
        item = self._items.pop(number)
        left_out = 0
        if isinstance(item, KeptEvents):
            self.count -= len(item.events)
            self._size -= item.size
        elif isinstance(item, VenueState):
            self._size -= STATE
        if self._left:
            if isinstance(item, KeptEvents):
                kept = [self._left.get(topic, 0) < number for topic in item.topics]
                topics, events = list(compress(item.topics, kept)), list(compress(item.events, kept))
                left_out = len(item.events) - len(events)
                item = structs.replace(item, topics=topics, events=events)
            elif isinstance(item, Confirm | Missed):
                left = tuple(topic for topic in item.topics if self._left.get(topic, 0) < number)
                item = structs.replace(item, topics=left)
        if not self._items:
            self._left.clear()
        return item, left_out
