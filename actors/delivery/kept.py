"""What a connection keeps for the streams: after its login, or while another connection delivers."""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec import Struct

from actors.events import Topic
from actors.rules.mailbox import Pair
from actors.rules.session import Confirm, Missed

EVENTS: Final = 500_000
BYTES: Final = 64 * 1_048_576


class KeptEvents(Struct, frozen=True):
    """The events of one batch, as they will be handed out."""

    pairs: list[Pair]
    received_ns: int
    at: float  # monotonic seconds
    size: int  # bytes of the read that they came with


KeptItem = KeptEvents | Confirm | Missed


class Kept:
    """In their order. One thread."""

    bound = f"{EVENTS:,} events or {BYTES // 1_048_576} MB"

    def __init__(self) -> None:
        self._items: deque[KeptItem] = deque()
        self.count = self._size = 0  # events, bytes
        self.answered: set[Topic] = set()  # topics that were answered for

    def __bool__(self) -> bool:
        return bool(self._items)

    @property
    def is_full(self) -> bool:
        return self.count > EVENTS or self._size > BYTES

    def add(self, item: KeptItem) -> None:
        self._items.append(item)
        if isinstance(item, KeptEvents):
            self.count += len(item.pairs)
            self._size += item.size
        elif isinstance(item, Confirm):
            self.answered.update(item.topics)

    def take(self) -> KeptItem:
        item = self._items.popleft()
        if isinstance(item, KeptEvents):
            self.count -= len(item.pairs)
            self._size -= item.size
        return item
