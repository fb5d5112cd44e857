"""What waits in a stream, and what a full one gives up: counted, and marked where it is missing.

Two kinds. A `FifoBuffer` of events keeps their order and gives up the oldest, the newest, or nothing (and
then asks for less). A `ConflatingBuffer` keeps the newest event of each topic. Both are plain structures
for one thread at a time; the stream around them holds the lock.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from itertools import repeat, takewhile
from operator import call
from typing import Any, Literal, cast

from msgspec import Struct, structs

from actors.events import (
    Fresh,
    Gap,
    GapReason,
    Lifecycle,
    Marker,
    Repaired,
    Source,
    Stale,
    Topic,
    VenueState,
)
from actors.rules.venue_states import MOST as MOST_STATES

Policy = Literal["block", "drop_oldest", "drop_newest", "conflate"]
HANDFUL = 1_000  # events that a reader takes out at once, at most
MARKERS = 2_000  # waiting markers beyond which old ones are merged; a stream adds some a topic


class Origin(Struct, frozen=True, gc=False):
    """Where the events of one batch came from, and when."""

    received_ns: int
    epoch: int
    order: int  # of arrival, over all streams of a runtime
    at: float = 0.0  # the same as `received_ns`, monotonic seconds
    source: Source = "stream"


class Batch:
    """Events of one batch, all or some of them: with their topics and their places in it, in lists in step.

    Lists cost less than an object for each event, and leave the garbage collector nothing to walk.
    """

    __slots__ = ("events", "indexes", "origin", "topics")

    def __init__(
        self,
        topics: Sequence[Topic],
        events: Sequence[Any],
        origin: Origin,
        indexes: Sequence[int] | None = None,
    ) -> None:
        self.topics, self.events, self.origin = topics, events, origin
        self.indexes = range(len(events)) if indexes is None else indexes

    def __len__(self) -> int:
        return len(self.events)

    def piece(self, start: int, stop: int | None = None) -> Batch:
        """From `start`, up to and without `stop`."""
        if start == 0 and (stop is None or stop >= len(self.events)):
            return self
        where = slice(start, stop)
        return Batch(self.topics[where], self.events[where], self.origin, self.indexes[where])

    def at(self, places: Sequence[int]) -> Batch:
        """Those at these places of its lists."""
        topics, events, indexes = self.topics, self.events, self.indexes
        return Batch(
            [topics[place] for place in places],
            [events[place] for place in places],
            self.origin,
            [indexes[place] for place in places],
        )


Place = tuple[int, int]  # an event among all of a runtime: the arrival of its batch, its index in that


class WaitingEvent(Struct, frozen=True):
    """The newest event of a topic, in its place among the others'."""

    batch: Batch  # of this event alone

    @property
    def topic(self) -> Topic:
        return self.batch.topics[0]

    @property
    def place(self) -> Place:
        return self.batch.origin.order, self.batch.indexes[0]

    @property
    def since(self) -> float:
        """When it was received, monotonic seconds."""
        return self.batch.origin.at


class Loss(Struct):
    """Events given up that no marker covers yet."""

    missed: int
    since_ns: int
    until_ns: int
    epoch: int

    def grow(self, received_ns: int) -> None:
        self.missed += 1
        self.until_ns = received_ns


class BatchRun:
    """The events of one batch, taken from the left.

    A run `beyond` the capacity makes an order book whole, and nothing of it is dropped. It may have been
    received long before: it waits since `beyond_since`.
    """

    __slots__ = ("batch", "beyond_since", "taken")

    def __init__(self, batch: Batch, *, beyond_since: float | None = None) -> None:
        self.batch, self.beyond_since = batch, beyond_since
        self.taken = 0  # of its events

    @property
    def since(self) -> float:
        """When it began to wait, monotonic seconds."""
        return self.batch.origin.at if self.beyond_since is None else self.beyond_since

    def __len__(self) -> int:
        return len(self.batch) - self.taken

    def peek(self, most: int) -> Batch:
        """The next ones, at most so many."""
        return self.batch.piece(self.taken, self.taken + most)

    def take(self, most: int) -> Batch:
        piece = self.peek(most)
        self.taken += len(piece)
        return piece

    @property
    def place(self) -> Place:
        """Of the next event."""
        return self.batch.origin.order, self.batch.indexes[self.taken]


class GapRun:
    """The gaps of one outage: one item in a buffer, made into a `Gap` for each topic when it is read."""

    __slots__ = ("at", "epoch", "reason", "spans", "until_ns")

    def __init__(
        self, spans: Sequence[tuple[Topic, int]], reason: GapReason, until_ns: int, epoch: int
    ) -> None:
        self.spans, self.reason, self.until_ns, self.epoch = spans, reason, until_ns, epoch
        self.at = 0  # a span: a topic, and since when it was not seen

    def __len__(self) -> int:
        return len(self.spans) - self.at

    def peek(self) -> Gap:
        """The next one."""
        topic, since_ns = self.spans[self.at]
        return Gap(topic, self.reason, None, since_ns, max(since_ns, self.until_ns), self.epoch)

    def take(self) -> Gap:
        gap = self.peek()
        self.at += 1
        return gap

    def expand(self) -> list[Gap]:
        return [self.take() for _ in range(len(self))]


NOTHING = Batch((), (), Origin(0, 0, 0))
FIRST: Place = (0, 0)  # of a marker


class StreamBuffer(ABC):
    """Bounded; the counters reconcile at any moment: received = delivered + dropped + conflated + queued.

    A reader takes events by the handful: `reach` needs the lock, and what is in the `hand` then is taken
    from its left without it. What is in the hand still counts as queued.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.received = self.dropped = self.conflated = 0
        self.gaps = 0  # markers of that kind, waiting or delivered
        self.marker_bound = MARKERS
        self.cut: set[Topic] = set()  # topics whose deltas are of no use until they start again
        self.overflowing = False  # a blocking stream that has held its line for too long
        self.hand: deque[Any] = deque()  # events
        self.reached_for = NOTHING  # all that was put into the hand
        self._waiting = 0  # events that no reader has reached for
        self._reached = 0  # events that a reader has

    @property
    def delivered(self) -> int:
        return self._reached - len(self.hand)

    @property
    def queued(self) -> int:
        return self._waiting + len(self.hand)

    @property
    def has_unmarked_loss(self) -> bool:
        """Whether events were given up that no waiting marker covers yet."""
        return False

    def delivered_and_queued(self) -> tuple[int, int]:
        """Delivered and queued, of one moment: a reader may be taking from its hand."""
        held = len(self.hand)
        return self._reached - held, self._waiting + held

    @abstractmethod
    def put(self, batch: Batch) -> None:
        """Events of one batch, in their order."""

    @abstractmethod
    def mark(self, marker: Marker) -> None:
        """A marker, behind all events that came before it."""

    @abstractmethod
    def mark_gaps(self, gaps: GapRun) -> None:
        """The gaps of one outage, at one place."""

    @abstractmethod
    def reach(self) -> Marker | None:
        """Fill the empty hand with what comes next, or answer the marker that does.

        An empty hand and None: nothing waits.
        """

    @abstractmethod
    def peek_order(self) -> Place | None:
        """The place of the next event; a marker comes before all events."""

    def waiting_since(self) -> float | None:
        """When the oldest event that waits was received, monotonic seconds; None: none waits."""
        return None

    def drop_before(self, at: float) -> None:  # noqa: B027 - of what has a buffer alone
        """Give up what comes next if it was received before this moment, monotonic seconds."""

    def resume(self, topic: Topic) -> None:  # noqa: B027 - only a `FifoBuffer` cuts
        """A topic that was cut starts again with the next event."""

    def forget(self, topic: Topic) -> None:
        """The topic is no longer wanted, so it need not start again."""
        if topic in self.cut:
            self.resume(topic)

    @property
    def origin(self) -> Origin:
        """Of what is in the hand, and of what was taken from it last."""
        return self.reached_for.origin

    @property
    def _hand_place(self) -> Place:
        return self.origin.order, self.reached_for.indexes[-len(self.hand)]

    @property
    def roomy(self) -> bool:
        return self._waiting <= self.capacity // 2


class FifoBuffer(StreamBuffer):
    """First in, first out."""

    def __init__(self, capacity: int, policy: Policy, *, deltas: bool) -> None:
        super().__init__(capacity)
        # Events that a reader may have in its hand: a small part of what the buffer may hold.
        self.handful = max(1, min(HANDFUL, capacity // 16))
        self._policy = policy
        self._deltas = deltas  # a delta without its predecessors is worth nothing: cut, do not pick
        self._front: deque[Marker | GapRun] = deque()  # what stands before everything else
        self._front_lost: dict[Topic, Loss] = {}  # dropped between the front and the items
        self._items: deque[BatchRun | Marker | GapRun] = deque()
        self._back_lost: dict[Topic, Loss] = {}  # dropped behind the items
        self._newest = 0  # order of arrival of what was put
        self._beyond = 0  # waiting events that lie outside the capacity
        self._hand_beyond_since: float | None = None  # so does what is in the hand
        self._markers = 0
        self._merge_at = 0  # markers beyond which they are merged next, if that is more than the bound

    def put(self, batch: Batch) -> None:
        self.received += len(batch)
        if self.cut:
            batch = self._without_cut(batch)
        count = len(batch)
        over = self._held + count - self.capacity
        if over <= 0 or (self._policy == "block" and not self.overflowing):
            self._add(batch)
        elif self._policy == "drop_oldest" and not self._deltas:
            self._recall()
            over -= self._drop_oldest(over)
            self._drop(batch.piece(0, over))  # a batch larger than the whole mailbox
            self._add(batch.piece(over))
        else:
            room = max(count - over, 0)
            self._add(batch.piece(0, room))
            dropped = batch.piece(room)
            self._drop(dropped)
            if self._deltas:
                self.cut.update(dropped.topics)

    def put_in_hand(self, batch: Batch) -> bool:
        """Put all of a batch into the hand of a reader that waits. False: something else comes first.

        It is what `put` and `reach` do to an empty buffer, with less on the way.
        """
        count = len(batch.events)
        if (
            self.hand
            or self._items
            or self._front
            or self._front_lost
            or self._back_lost
            or self.cut
            or count > self.handful
            or batch.origin.order < self._newest
        ):
            return False
        self._newest = batch.origin.order
        self.reached_for, self._hand_beyond_since = batch, None
        self.received += count
        self._reached += count
        self.hand.extend(batch.events)
        return True

    def put_beyond(self, batch: Batch, now: float) -> None:
        """Events that make a topic of deltas whole, outside the capacity."""
        self.received += len(batch)
        self._beyond += len(batch)
        self._settle_back(but=self.cut)
        self._items.append(BatchRun(batch, beyond_since=now))
        self._waiting += len(batch)

    @property
    def has_unmarked_loss(self) -> bool:
        return bool(self._front_lost or self._back_lost)

    @property
    def full(self) -> bool:
        return self._held >= self.capacity

    @property
    def _held(self) -> int:
        """How many events count towards the capacity."""
        return self._waiting - self._beyond + (len(self.hand) if self._hand_beyond_since is None else 0)

    @property
    def roomy(self) -> bool:
        return self._waiting - self._beyond <= self.capacity // 2

    def mark(self, marker: Marker) -> None:
        self._settle_back()
        if _repeats(marker, self._items[-1] if self._items else None):
            self._items[-1] = marker
        else:
            self._append(marker)

    def mark_gaps(self, gaps: GapRun) -> None:
        self._settle_back()
        self._append(gaps)

    def reach(self) -> Marker | None:
        if not self._front and self._front_lost:
            self._settle_front()
        if self._front:
            return self._take_marker(self._front)
        if not self._items:
            self._settle_back(but=self.cut)
        return self._reach_item()

    def peek_order(self) -> Place | None:
        if self.hand:
            return self._hand_place
        if self._front or self._front_lost:
            return FIRST
        if not self._items:
            return FIRST if self._back_lost.keys() - self.cut else None
        first = self._items[0]
        return first.place if isinstance(first, BatchRun) else FIRST

    def waiting_since(self) -> float | None:
        if self.hand:
            since = self._hand_beyond_since
            return self.origin.at if since is None else since
        return next((item.since for item in self._items if isinstance(item, BatchRun)), None)

    def drop_before(self, at: float) -> None:
        runs = (item for item in self._items if isinstance(item, BatchRun))
        count = sum(1 for _ in takewhile(lambda run: run.since < at, runs))
        while count > 0 and self._items:
            first = self._items[0]
            if isinstance(first, BatchRun):
                self._drop_run(first)
                count -= 1
            else:
                self._bring_to_front(first)

    def resume(self, topic: Topic) -> None:
        """The topic starts again here: mark what was lost of it and take its events again."""
        self._settle_back(but=self.cut - {topic})
        self.cut.discard(topic)

    def _reach_item(self) -> Marker | None:
        if not self._items:
            return None
        first = self._items[0]
        if not isinstance(first, BatchRun):
            return self._take_marker(cast("deque[Marker | GapRun]", self._items))
        batch, start = first.batch, first.taken
        count = len(batch.events) - start
        is_all = count <= self.handful
        if is_all and not start:  # the most frequent: it costs no call
            taken = batch
        else:
            taken = batch.piece(start, start + self.handful)
            count = len(taken.events)
        beyond = 0 if first.beyond_since is None else count
        put, events = self.hand.extend, taken.events
        # No call until the last line: the interpreter looks for signals at calls, and a handler that raises,
        # as Ctrl-C does, finds the events in the one place or in the other. One that reads has come before.
        if self.hand:
            return None
        if not self._items or self._items[0] is not first or first.taken != start:
            return self.reach()
        first.taken += count
        self.reached_for, self._hand_beyond_since = taken, first.beyond_since
        self._beyond -= beyond
        if is_all:
            del self._items[0]
        self._waiting -= count
        self._reached += count
        put(events)
        return None

    def _take_marker(self, markers: deque[Marker | GapRun]) -> Marker | None:
        first = markers[0]
        run, at, is_all = first if isinstance(first, GapRun) else None, 0, True
        if isinstance(first, GapRun):
            at = first.at
            marker: Marker = first.peek()
            is_all = len(first) == 1
        else:
            marker = first
        # No call from here on, as above.
        if self.hand:
            return None
        if not markers or markers[0] is not first or (run is not None and run.at != at):
            return self.reach()
        if run is not None:
            run.at = at + 1
        if is_all:
            del markers[0]
        self._markers -= 1
        return marker

    def _without_cut(self, batch: Batch) -> Batch:
        dropped: list[int] = []
        kept: list[int] = []
        for place, topic in enumerate(batch.topics):
            (dropped if topic in self.cut else kept).append(place)
        self._drop(batch.at(dropped))
        return batch.at(kept)

    def _recall(self) -> None:
        """What is in the hand is the oldest there is: it waits again. The reader may be taking of it.

        It takes from the left. Taken back from the right, what is left for it stays older than the rest.
        """
        back: list[Any] = []
        with contextlib.suppress(IndexError):  # in one step: the reader may look at how much is left
            back.extend(map(call, repeat(self.hand.pop)))
        if count := len(back):
            taken = self.reached_for
            self._items.appendleft(BatchRun(taken.piece(len(taken) - count)))
            self._waiting += count
            self._reached -= count

    def _add(self, batch: Batch) -> None:
        if batch.events:
            if self._back_lost:
                self._settle_back(but=self.cut)
            self._insert(BatchRun(batch))
            self._waiting += len(batch)

    def _insert(self, run: BatchRun) -> None:
        """Two lines may fill one stream in another order than that of their arrival."""
        order = run.batch.origin.order
        if order >= self._newest:
            self._newest = order
            self._items.append(run)
            return
        topics, at = set(run.batch.topics), len(self._items)
        for place in range(at - 1, -1, -1):
            item = self._items[place]
            if isinstance(item, BatchRun):
                if item.beyond_since is not None or item.batch.origin.order < order:
                    break
                at = place
            elif _speaks_of(item, topics):
                break
        self._items.insert(at, run)

    def _drop(self, batch: Batch) -> None:
        for topic in batch.topics:
            _count(self._back_lost, topic, batch.origin)
        self.dropped += len(batch)

    def _drop_oldest(self, wanted: int) -> int:
        """Drop up to so many; answers how many there were to drop."""
        count = wanted
        while count > 0 and self._items:
            first = self._items[0]
            if not isinstance(first, BatchRun):
                self._bring_to_front(first)
                continue
            lost = first.take(count)
            for topic in lost.topics:
                _count(self._front_lost, topic, lost.origin)
            count -= len(lost)
            if not first:
                self._items.popleft()
        dropped = wanted - count
        self.dropped += dropped
        self._waiting -= dropped
        return dropped

    def _bring_to_front(self, first: Marker | GapRun) -> None:
        """What stands behind it is given up: a marker keeps its place between two events."""
        self._settle_front()
        put = self._front.append
        if self._items and self._items[0] is first:
            del self._items[0]
            put(first)

    def _drop_run(self, first: BatchRun) -> None:
        """Give up what is left of the first run. An interrupt of the reader finds all done, or nothing."""
        lost, start = first.peek(len(first)), first.taken
        count, origin, losses = len(lost), lost.origin, dict[Topic, Loss]()
        for topic in lost.topics:
            if topic not in losses and (former := self._front_lost.get(topic)) is not None:
                losses[topic] = structs.replace(former)
            _count(losses, topic, origin)
        put = self._front_lost.update
        if self._items and self._items[0] is first and first.taken == start:
            del self._items[0]
            self.dropped += count
            self._waiting -= count
            put(losses)

    def _settle_front(self) -> None:
        lost, put = self._front_lost, self._front.append
        while lost:
            topic = next(iter(lost))
            gap = _overflow(topic, lost[topic])
            if topic in lost:  # a signal handler that reads may have come before
                del lost[topic]
                self._markers += 1
                self.gaps += 1
                put(gap)

    def _settle_back(self, but: set[Topic] | frozenset[Topic] = frozenset()) -> None:
        lost = self._back_lost
        if not lost:
            return
        for topic in [topic for topic in lost if topic not in but]:
            if (loss := lost.get(topic)) is not None:
                gap = _overflow(topic, loss)
                self._make_room()
                put = self._items.append
                if topic in lost:
                    del lost[topic]
                    self._markers += 1
                    self.gaps += 1
                    put(gap)

    def _append(self, marker: Marker | GapRun) -> None:
        self._make_room()
        size, gaps, put = _size(marker), _gaps(marker), self._items.append
        self._markers += size
        self.gaps += gaps
        put(marker)

    def _make_room(self) -> None:
        """For one more marker."""
        if self._markers >= max(self.marker_bound, self._merge_at):
            self._merge()

    def _merge(self) -> None:
        """Markers that stand between the same two events become fewer; no event is touched."""
        self._settle_front()
        self._front = deque(self._merged(list(self._front)))
        items: deque[BatchRun | Marker | GapRun] = deque()
        group: list[Marker | GapRun] = []
        for item in self._items:
            if isinstance(item, BatchRun):
                items += self._merged(group)
                items.append(item)
                group = []
            else:
                group.append(item)
        items += self._merged(group)
        self._items = items
        self._markers = sum(_size(item) for item in (*self._front, *items) if not isinstance(item, BatchRun))
        self._merge_at = 2 * self._markers

    def _merged(self, markers: list[Marker | GapRun]) -> list[Marker | GapRun]:
        if len(markers) < 2:
            return markers
        every: list[Marker] = []
        for marker in markers:
            every += marker.expand() if isinstance(marker, GapRun) else [marker]
        fewer = merge(every)
        self.gaps -= sum(map(_gaps, every)) - sum(map(_gaps, fewer))
        return _packed(fewer)


class AgingBuffer(FifoBuffer):
    """Of a stream that gives up what has waited for too long: its reader has one event in its hand."""

    def __init__(self, capacity: int, policy: Policy) -> None:
        super().__init__(capacity, policy, deltas=False)
        self.handful = 1


class ConflatingBuffer(StreamBuffer):
    """The newest event of each topic; nothing is dropped, older ones are replaced."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._items: OrderedDict[Topic | int, WaitingEvent | Marker] = OrderedDict()
        self._marks = 0  # how many markers have been put; keys of markers
        self._since: dict[Topic | int, int] = {}  # marks when the topic's event took its place
        self._merge_at = 0  # markers beyond which they are merged next, if that is more than the bound

    def put(self, batch: Batch) -> None:
        self.received += len(batch)
        newest = dict(zip(batch.topics, range(len(batch)), strict=True))  # where the newest of each topic is
        self.conflated += len(batch) - len(newest)
        for topic, place in newest.items():
            if topic not in self._items:
                self._waiting += 1
            else:
                self.conflated += 1
                if self._since[topic] != self._marks:  # a marker came since: go behind it
                    del self._items[topic]
            self._items[topic] = WaitingEvent(batch.piece(place, place + 1))
            self._since[topic] = self._marks

    def mark(self, marker: Marker) -> None:
        if len(self._items) - self._waiting >= max(self.marker_bound, self._merge_at):
            self._merge()
        self._marks += 1
        if self._items:
            last = next(reversed(self._items.values()))
            if not isinstance(last, WaitingEvent) and _repeats(marker, last):
                self._items.popitem()
        self._items[self._marks] = marker
        self.gaps += isinstance(marker, Gap)

    def mark_gaps(self, gaps: GapRun) -> None:
        for gap in gaps.expand():
            self.mark(gap)

    def _merge(self) -> None:
        """A topic's gaps before its event become one, and those behind it; of a line the last word stays.

        So does the last state of each scope. At most two gaps of each topic are left, and no gap changes
        sides with an event of its topic.
        """
        kept: dict[Topic | int, WaitingEvent | Marker] = {}
        later: dict[object, Topic | int] = {}  # by what a marker is about: the one that stays
        states = 0
        for key, item in reversed(self._items.items()):
            if isinstance(item, WaitingEvent):
                kept[key] = item
            elif isinstance(item, Gap):
                place = later.setdefault((item.topic, item.topic in kept), key)
                kept[place] = item if place == key else _joined(item, cast(Gap, kept[place]))
                self.gaps -= place != key
            elif later.setdefault(_subject(item), key) == key:
                states += isinstance(item, VenueState)
                if states <= MOST_STATES or not isinstance(item, VenueState):
                    kept[key] = item
        for key in [key for key, item in kept.items() if isinstance(item, Repaired)]:
            if not self._is_of_one_gap(cast(Repaired, kept[key]), kept.values()):
                del kept[key]
        self._items = OrderedDict(reversed(kept.items()))
        self._merge_at = 2 * (len(self._items) - self._waiting)

    @staticmethod
    def _is_of_one_gap(repaired: Repaired, items: Iterable[WaitingEvent | Marker]) -> bool:
        """Whether its gap was not joined with others."""
        gaps = [item for item in items if isinstance(item, Gap) and item.topic == repaired.topic]
        return all(gap == repaired.gap or gap.until_ns < repaired.gap.since_ns for gap in gaps)

    def reach(self) -> Marker | None:
        if not self._items:
            return None
        key, item = next(iter(self._items.items()))
        marker = None if isinstance(item, WaitingEvent) else item
        batch = item.batch if isinstance(item, WaitingEvent) else NOTHING
        put, events = self.hand.extend, batch.events
        # No call until the last line, as in a `FifoBuffer`.
        if self.hand:
            return None
        if key not in self._items or self._items[key] is not item:
            return self.reach()
        del self._items[key]
        if marker is not None:
            return marker
        del self._since[key]
        self._waiting -= 1
        self._reached += 1
        self.reached_for = batch
        put(events)
        return None

    def waiting_since(self) -> float | None:
        waiting = [item.since for item in self._items.values() if isinstance(item, WaitingEvent)]
        return min([self.origin.at] * bool(self.hand) + waiting, default=None)

    def drop_before(self, at: float) -> None:
        """An event that is given up becomes the gap of its topic in its place, which is the first."""
        first = next(iter(self._items.values()), None)
        if not isinstance(first, WaitingEvent) or first.since >= at:
            return
        topic, origin = first.topic, first.batch.origin
        gap = _overflow(topic, Loss(1, origin.received_ns, origin.received_ns, origin.epoch))
        put_first = self._items.move_to_end
        # No call until the last line, as in `reach`.
        if topic not in self._items or self._items[topic] is not first:
            return
        del self._items[topic], self._since[topic]
        self._waiting -= 1
        self.dropped += 1
        self.gaps += 1
        key = -self.dropped  # those of other markers are positive
        self._items[key] = gap
        put_first(key, last=False)

    def peek_order(self) -> Place | None:
        if self.hand:
            return self._hand_place
        if not self._items:
            return None
        first = next(iter(self._items.values()))
        return first.place if isinstance(first, WaitingEvent) else FIRST


def merge(markers: Iterable[Marker]) -> list[Marker]:
    """One gap for each topic, the last word on its staleness, of each line and of each scope stay.

    `Repaired` goes with its gap: it says nothing of one that was joined with others.
    """
    gaps: dict[Topic, Gap] = {}
    states: dict[object, VenueState] = {}
    last_words: dict[object, Marker] = {}
    for marker in markers:
        if isinstance(marker, Gap):
            gaps[marker.topic] = _joined(gaps.get(marker.topic), marker)
        elif isinstance(marker, VenueState):
            states.pop(_subject(marker), None)  # the newest is last
            states[_subject(marker)] = marker
        else:
            last_words[_subject(marker)] = marker
    for key, marker in list(last_words.items()):
        if isinstance(marker, Repaired) and gaps.get(marker.topic, marker.gap) != marker.gap:
            del last_words[key]
    return [*gaps.values(), *[*states.values()][-MOST_STATES:], *last_words.values()]


def _packed(markers: list[Marker]) -> list[Marker | GapRun]:
    """The gaps that differ in their topics alone are one item again."""
    runs: dict[tuple[GapReason, int, int], list[Gap]] = {}
    packed: list[Marker | GapRun] = []
    for marker in markers:
        if isinstance(marker, Gap) and marker.missed is None:
            runs.setdefault((marker.reason, marker.until_ns, marker.epoch), []).append(marker)
        else:
            packed.append(marker)
    for (reason, until_ns, epoch), gaps in runs.items():
        packed.insert(0, GapRun([(gap.topic, gap.since_ns) for gap in gaps], reason, until_ns, epoch))
    return packed


def _size(marker: Marker | GapRun) -> int:
    """How many markers a reader makes of it."""
    return len(marker) if isinstance(marker, GapRun) else 1


def _gaps(marker: Marker | GapRun) -> int:
    return len(marker) if isinstance(marker, GapRun) else isinstance(marker, Gap)


def _speaks_of(marker: Marker | GapRun, topics: set[Topic]) -> bool:
    """Whether it marks a loss of one of these."""
    if isinstance(marker, GapRun):
        return any(topic in topics for topic, _ in marker.spans)
    return isinstance(marker, Gap | Repaired) and marker.topic in topics


def _count(losses: dict[Topic, Loss], topic: Topic, origin: Origin) -> None:
    loss = losses.get(topic)
    if loss is None:
        losses[topic] = Loss(1, origin.received_ns, origin.received_ns, origin.epoch)
    else:
        loss.grow(origin.received_ns)


def _overflow(topic: Topic, loss: Loss) -> Gap:
    return Gap(topic, "overflow", loss.missed, loss.since_ns, loss.until_ns, loss.epoch)


def _subject(marker: Marker) -> object:
    """What it is about: a later marker about the same replaces it."""
    match marker:
        case Lifecycle(line=line):
            return line
        case VenueState(line=line, scope=scope):
            return line, scope
        case Stale(topic=topic) | Fresh(topic=topic):
            return topic
        case Repaired(topic=topic):
            return "repaired", topic
    return None


def _joined(former: Gap | None, later: Gap) -> Gap:
    if former is None:
        return later
    missed = None if former.missed is None or later.missed is None else former.missed + later.missed
    reason = former.reason if former.reason == later.reason else "unknown"
    since = min(former.since_ns, later.since_ns)
    return Gap(later.topic, reason, missed, since, max(former.until_ns, later.until_ns), later.epoch)


def _repeats(marker: Marker, last: Any) -> bool:
    """A further try of the same line: the number in the newest says how many there were."""
    return (
        isinstance(marker, Lifecycle)
        and isinstance(last, Lifecycle)
        and marker.state == last.state == "reconnecting"
        and marker.line == last.line
        and marker.attempt > 100
    )
