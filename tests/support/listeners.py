"""Readers of numbered streams: each event bears a number, and a number that is missing needs its `Gap`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from actors import Closed, Gap, Received, Stream
from actors.venues.o2 import DepthSnapshot, DepthView

STEP = 10  # of a book's prices: the finest that the venue tells apart
PACE = 0.002  # seconds that a slow reader takes for an event


class Channel(Struct, frozen=True):
    """A channel of the simulated venue, and how numbers travel on it."""

    name: str
    number: Callable[[Any], int]  # of an event
    counted: bool  # a number comes once and in its place; False: it may come twice, or be skipped
    options: Mapping[str, str] = {}


def _level(event: Any) -> int:
    """The book has one level at a time; a change adds the next and takes the last away."""
    return max((level.price // STEP for level in event.bids if level.quantity > 0), default=0)


def _order(event: Any) -> int:
    return int(event.order_id, 16)


def _trade(event: Any) -> int:
    return int(event.trade_id)


TRADES = Channel("trades", _trade, counted=True)
DEPTH = Channel("depth", _level, counted=True)
VIEW = Channel("depth_view", _level, counted=False, options={"frequency": "100ms"})
ORDERS = Channel("orders", _order, counted=False)


class Listener:
    """Reads one stream on a thread of its own. While its gate is closed it is a dead reader."""

    def __init__(
        self,
        stream: Stream[Any],
        channel: Channel,
        keys: Iterable[str],
        news: threading.Condition,
        *,
        slow: bool = False,
    ) -> None:
        self.stream, self.channel = stream, channel
        self.keys = list(keys)
        self.slow = slow
        self.gate = threading.Event()
        self.gate.set()
        self.hurry = threading.Event()  # a slow reader is slow until it is set
        self.last: dict[str, int] = {}  # the newest number by key
        self.gaps: Counter[str] = Counter()  # by key
        self.reasons: Counter[str] = Counter()  # of gaps
        self.wholes: Counter[str] = Counter()  # events by key that need no predecessor
        self.renewed = 0  # topics that started again after they had been cut
        self.wrong: list[str] = []
        self.ended = False  # `Closed` was read
        self._news = news
        self._missed: Counter[str] = Counter()  # by key: counted in gaps since the last event
        self._holes: set[str] = set()  # keys with a gap of unknown size since the last event
        self._joins: Counter[str] = Counter(self.keys)  # how often a key may begin at any number
        self._cut: set[str] = set()
        self.thread = threading.Thread(target=self._read, daemon=True, name=f"listener/{stream.id}")
        self.thread.start()

    def __str__(self) -> str:
        stream = self.stream
        return f"stream {stream.id} ({stream.feed}/{self.channel.name}, {stream.policy} {stream.capacity})"

    @property
    def is_full(self) -> bool:
        return self.stream.queued >= self.stream.capacity

    def join(self, key: str) -> None:
        """Before the key is added: its next numbers may begin anywhere."""
        with self._news:
            self._joins[key] += 1
        self.keys.append(key)

    def _read(self) -> None:
        try:
            for item in self.stream.items():
                with self._news:
                    self._take(item)
                    self._news.notify_all()
                self.gate.wait()
                if self.slow:
                    self.hurry.wait(PACE)
        except Exception as error:  # a reader that dies is a finding
            self.wrong.append(f"{self}: reading raised {type(error).__name__}: {error}")

    def _take(self, item: object) -> None:
        match item:
            case Received():
                self._take_event(item.topic.key, item.event)
            case Gap():
                self._take_gap(item)
            case Closed():
                self.ended = True

    def _take_event(self, key: str, event: Any) -> None:
        number = self.channel.number(event)
        if isinstance(event, DepthSnapshot | DepthView):
            self.wholes[key] += 1
            self.renewed += key in self._cut
            self._cut.discard(key)
        elif self.channel.counted:
            self._check(key, number)
        self.last[key] = number
        self._missed.pop(key, None)
        self._holes.discard(key)

    def _check(self, key: str, number: int) -> None:
        due = self.last.get(key, 0) + 1 + self._missed[key]
        if number == due or (number > due and (key in self._holes or self.stream.policy == "conflate")):
            return
        if number > due and self._joins[key]:
            self._joins[key] -= 1
            return
        self.wrong.append(f"{self}: {key} has {number} where {due} is due")

    def _take_gap(self, gap: Gap) -> None:
        key = gap.topic.key
        self.gaps[key] += 1
        self.reasons[gap.reason] += 1
        self._missed[key] += gap.missed or 0
        if gap.missed is None:
            self._holes.add(key)
        if gap.reason == "overflow" and self.channel is DEPTH:
            self._cut.add(key)


class Mark:
    """How far a stream was when the venue was asked for one more event."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._gaps = listener.gaps.copy()
        self._received, self._gap_count = listener.stream.received, listener.stream.gap_count

    def verdict(self, key: str, number: int) -> str:
        """`here`, `gap`, or nothing yet. A stream whose reader stands has to count what comes."""
        listener, stream = self._listener, self._listener.stream
        stands = not listener.gate.is_set()
        if listener.last.get(key, 0) >= number or (stands and stream.received > self._received):
            return "here"
        if listener.gaps[key] > self._gaps[key] or (stands and stream.gap_count > self._gap_count):
            return "gap"
        return ""
