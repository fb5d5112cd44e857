"""One consumer's bounded mailbox: events and markers in their order.

The dispatcher writes through an `Inlet`, the consumer reads in its own thread, and a lock stands
between the two. An inlet is fenced when the dispatcher is replaced: what a former one still writes
goes nowhere.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast
from weakref import WeakSet

from actors.errors import ForkError, StreamClosed, Timeout
from actors.events import Closed, Gap, GapReason, Marker, Received, SubscriptionState, Topic
from actors.rules.books import StreamStatus
from actors.rules.mailbox import MARKERS, Conflater, Line, Mailbox, Origin, Pair, Policy
from actors.wire.timers import lock_timeout

Event = TypeVar("Event")

# Ctrl-C does not end a lock's wait on Windows: there it is waited in slices.
SLICE = 0.1 if sys.platform == "win32" else None
KEPT_GAPS = 1_000
event_of = itemgetter(1)  # of a pair


class _Process:
    """A forked child's `here` is another: locks that a thread of the parent held stay locked there."""

    here = object()
    streams: ClassVar[WeakSet[Stream[Any]]] = WeakSet()


def _forked() -> None:
    _Process.here = object()
    for stream in _Process.streams:
        stream._mailbox.hand.clear()  # the parent's; without it, reading comes to where it is refused


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Desk(Protocol):
    """What a stream needs of its runtime."""

    def widen(self, stream: Stream[Any], keys: Sequence[str], wait: float | None) -> None: ...
    def narrow(self, stream: Stream[Any], keys: Sequence[str]) -> None: ...
    def close(self, stream: Stream[Any]) -> None: ...
    def states(self, topics: Sequence[Topic]) -> dict[Topic, SubscriptionState]: ...


class Stream(Generic[Event]):
    """What you read. Any thread may read, one at a time; any thread may close it meanwhile.

    Made by `Runtime.subscribe`. Iterating gives events alone; `with_markers` shows what happened
    between them, too. The books balance: received = delivered + dropped + conflated + queued.
    """

    def __init__(
        self,
        id: int,
        desk: Desk,
        feed: str,
        channel: str,
        policy: Policy,
        capacity: int,
        *,
        deltas: bool,
        on_drained: Callable[[int], None],
        kind: object = None,
    ) -> None:
        self.id = id
        self.kind = kind  # of venue
        self.feed, self.channel = feed, channel
        self.policy, self.capacity = policy, capacity
        self.deltas = deltas
        self._desk = desk
        self._on_drained = on_drained
        self._topics: tuple[Topic, ...] = ()
        self._mailbox: Mailbox = (
            Conflater(capacity) if policy == "conflate" else Line(capacity, policy, deltas=deltas)
        )
        self._ready = threading.Condition()
        self._wakers: tuple[threading.Event, ...] = ()
        self._inlet: Inlet | None = None
        self._hungry = False  # the dispatcher waits for room
        self._end: Closed | None = None  # the last thing in the stream
        self._ended = False  # and it was delivered
        self._quiet = False  # the end was asked for: iteration just stops
        self._passed: deque[Gap] = deque(maxlen=KEPT_GAPS)
        self._home = _Process.here
        _Process.streams.add(self)
        self.changing = threading.RLock()  # held while its topics change
        self.handler_errors = 0  # how often a handler of `Runtime.on` raised

    # ── reading ──

    def __iter__(self) -> Iterator[Event]:
        """Events, for as long as the stream lives.

        Raises:
            StreamClosed: it ended, and neither `close()` nor the runtime's `stop()` asked for it.
        """
        in_hand = map(event_of, iter(self._mailbox.hand.popleft, None))  # raises where the hand is empty
        while True:
            try:
                yield from in_hand  # the hot loop: no line of Python for an event
            except IndexError:
                if not self._reach_event(None):
                    return

    def get(self, timeout: float | None = None) -> Event:
        """The next event, waiting for it if none has come.

        Waits at most `timeout` seconds; None waits as long as the stream lives.

        Raises:
            Timeout: nothing came in time. The stream is unharmed.
            StreamClosed: `Closed` was delivered; nothing follows it.
        """
        self._refuse_forked()
        while True:
            try:
                return cast(Event, self._mailbox.hand.popleft()[1])
            except IndexError:
                if not self._reach_event(timeout):
                    raise StreamClosed(self._end.reason if self._end else "closed") from None

    def get_many(self, maximum: int, timeout: float | None = None) -> list[Event]:
        """Up to `maximum` events: waits for the first like `get`, and takes what else is there.

        Raises:
            Timeout: not one came in time.
            StreamClosed: `Closed` was delivered; nothing follows it.
        """
        if maximum < 1:
            raise ValueError(f"maximum is {maximum}, and at least one event has to be asked for")
        events = [self.get(timeout)]
        take = self._mailbox.hand.popleft
        while len(events) < maximum:
            try:
                events.append(cast(Event, take()[1]))
            except IndexError:
                if not self._reach_at_once():
                    break
        return events

    def with_markers(self) -> Iterator[Event | Marker]:
        """Events, and `Lifecycle`, `Gap` and `Closed` in their places. Ends after `Closed`."""
        for item in self._everything():
            yield cast("Event | Marker", item[1] if type(item) is tuple else item)

    def with_meta(self) -> Iterator[Received[Event]]:
        """Events with their topic, time of receipt and epoch; ends like plain iteration."""
        while self._reach_event(None):
            with contextlib.suppress(IndexError):  # called back: it was the oldest of too many
                yield self._received(self._mailbox.hand.popleft())

    def items(self) -> Iterator[Received[Event] | Marker]:
        """Everything in its order: events with where they came from, and markers. Ends after `Closed`."""
        for item in self._everything():
            yield self._received(item) if type(item) is tuple else cast(Marker, item)

    # ── changing ──

    def add(self, *keys: str, wait: float | None = None) -> None:
        """Want these keys, too.

        Raises:
            SubscribeError: `wait` seconds were given, and not every new topic was confirmed.
        """
        self._desk.widen(self, keys, wait)

    def remove(self, *keys: str) -> None:
        """Want these keys no longer; what is queued of them is still delivered."""
        self._desk.narrow(self, keys)

    def close(self) -> None:
        """End the stream. What waits in it can still be read; `Closed` is the last of it."""
        self._desk.close(self)

    def __enter__(self) -> Stream[Event]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── looking ──

    @property
    def topics(self) -> dict[Topic, SubscriptionState]:
        """What the stream is subscribed to, and how far each topic has come."""
        return self._desk.states(self._topics)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The newest gaps (1,000 at most) that reading has passed over or shown."""
        return tuple(self._passed)

    @property
    def gap_count(self) -> int:
        """All gaps put into this stream so far."""
        return self._mailbox.gaps

    @property
    def received(self) -> int:
        """Events that were meant for this stream."""
        return self._mailbox.received

    @property
    def delivered(self) -> int:
        return self._mailbox.delivered

    @property
    def dropped(self) -> int:
        """Events given up for lack of room, or lost with a dispatcher; each is in a `Gap`."""
        return self._mailbox.dropped

    @property
    def conflated(self) -> int:
        """Events that a newer one of their topic took the place of."""
        return self._mailbox.conflated

    @property
    def queued(self) -> int:
        return self._mailbox.queued

    @property
    def closed(self) -> bool:
        """Whether the end is in the stream, delivered or not."""
        return self._end is not None

    @property
    def end_reason(self) -> str | None:
        """Why it ended, delivered or not; None: it has not."""
        return None if self._end is None else self._end.reason

    @property
    def is_cut(self) -> bool:
        """Whether changes were given up, and some topic has yet to start anew for the stream to go on."""
        return isinstance(self._mailbox, Line) and bool(self._mailbox.cut)

    def __repr__(self) -> str:
        return (
            f"<Stream {self.id} {self.feed}/{self.channel}, {len(self._topics)} topics, {self.queued} queued>"
        )

    # ── for the runtime ──

    def open_inlet(self) -> Inlet:
        """The one way in from now on; a former one is fenced."""
        inlet = Inlet(self)
        with self._ready:
            if self._end is None:  # else nothing may follow it, whoever comes
                self._inlet = inlet
        return inlet

    def end(self, reason: str, *, quiet: bool) -> None:
        """Put `Closed` behind everything; later calls change nothing."""
        with self._ready:
            if self._end is None:
                self._end = Closed(reason)
                self._quiet = quiet
                self._inlet = None
                self._mailbox.mark(self._end)
                self._wake()

    def status(self) -> StreamStatus:
        """The books, for the status; taken at one moment."""
        with self._ready:
            box = self._mailbox
            delivered, queued = box.books()
            return StreamStatus(
                id=self.id,
                feed=self.feed,
                channel=self.channel,
                topics=len(self._topics),
                policy=self.policy,
                capacity=self.capacity,
                received=box.received,
                delivered=delivered,
                dropped=box.dropped,
                conflated=box.conflated,
                queued=queued,
                gaps=box.gaps,
                handler_errors=self.handler_errors,
            )

    def _set_topics(self, topics: tuple[Topic, ...]) -> None:
        self._topics = topics
        self._mailbox.marker_bound = MARKERS + 4 * len(topics)

    # ── waiting and taking ──

    def _everything(self) -> Iterator[Pair | Marker]:
        while not self._ended:
            marker = self._next()
            if marker is not None:
                yield marker
            else:
                with contextlib.suppress(IndexError):  # called back: it was the oldest of too many
                    yield self._mailbox.hand.popleft()

    def _reach_event(self, timeout: float | None) -> bool:
        """Wait for events in the reader's hand. False: the stream has ended, as somebody wanted."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._mailbox.hand:
            if self._is_over():
                return False
            self._next(deadline, timeout)
        return True  # but they may be called back before they are taken

    def _reach_at_once(self) -> bool:
        """Whether there are events in the reader's hand now."""
        with self._ready:
            while not self._mailbox.hand:
                if self._reach() is None:
                    break
        return bool(self._mailbox.hand)

    def _is_over(self) -> bool:
        """Whether `Closed` was delivered.

        Raises:
            StreamClosed: it was, and nobody had asked for it.
        """
        if self._ended and self._end is not None and not self._quiet:
            raise StreamClosed(self._end.reason)
        return self._ended

    def _next(self, deadline: float | None = None, timeout: float | None = None) -> Marker | None:
        """Wait for what comes next: a marker, or None, and then it is in the reader's hand."""
        self._refuse_forked()
        with self._ready:
            while (marker := self._reach()) is None and not self._mailbox.hand:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise Timeout(f"no event on {self.feed}/{self.channel} within {timeout} s")
                self._ready.wait(SLICE if left is None else lock_timeout(min(left, SLICE or left)))
            return marker

    def _refuse_forked(self) -> None:
        if self._home is not _Process.here:
            raise ForkError

    def _reach(self) -> Marker | None:
        """With the lock."""
        if self._mailbox.hand:
            return None
        marker = self._mailbox.reach()
        if self._hungry and self._mailbox.roomy:
            self._hungry = False
            self._on_drained(self.id)
        if isinstance(marker, Gap):
            self._passed.append(marker)
        elif isinstance(marker, Closed):
            self._ended = True
        return marker

    def _received(self, pair: Pair) -> Received[Event]:
        origin = self._mailbox.origin
        return Received(pair[0], origin.received_ns, origin.epoch, pair[1])

    def _wake(self) -> None:
        self._ready.notify_all()
        for waker in self._wakers:
            waker.set()


class Inlet:
    """The dispatcher's end of a stream. Each method answers at once; a fenced inlet does nothing."""

    __slots__ = ("_stream", "id")

    def __init__(self, stream: Stream[Any]) -> None:
        self._stream = stream
        self.id = stream.id

    @property
    def stream(self) -> Stream[Any]:
        return self._stream

    def put(self, pairs: list[Pair], origin: Origin) -> bool:
        """Whether the stream makes its line wait now; it says when it has room again."""
        stream = self._stream
        with stream._ready:
            if stream._inlet is not self:
                return False
            mailbox = stream._mailbox
            mailbox.put(pairs, origin)
            stream._wake()
            if not isinstance(mailbox, Line):
                return False
            if mailbox.full or mailbox.cut:  # a cut topic starts anew when there is room for it
                stream._hungry = True
            return self.holds

    @property
    def holds(self) -> bool:
        """Whether it is full and gives nothing up, so that its line has to wait."""
        mailbox = self._stream._mailbox
        if self._stream.policy != "block" or not isinstance(mailbox, Line):
            return False
        return mailbox.full and not mailbox.overflowing

    def mark(self, marker: Marker) -> None:
        stream = self._stream
        with stream._ready:
            if stream._inlet is self:
                stream._mailbox.mark(marker)
                stream._wake()

    def lose(
        self, topic: Topic, reason: GapReason, count: int, since_ns: int, until_ns: int, epoch: int
    ) -> None:
        """Events of this topic died on their way: count and mark them."""
        stream = self._stream
        with stream._ready:
            if stream._inlet is self:
                stream._mailbox.lose(topic, reason, count, since_ns, until_ns, epoch)
                stream._wake()

    def overflow(self) -> None:
        """It has held its line for too long: from now on it gives up what it has no room for."""
        self._set_overflowing(True)

    def drained(self) -> None:
        """There is room again."""
        self._set_overflowing(False)

    def _set_overflowing(self, overflowing: bool) -> None:
        stream = self._stream
        with stream._ready:
            if stream._inlet is self and isinstance(stream._mailbox, Line):
                stream._mailbox.overflowing = overflowing

    def cut(self) -> tuple[Topic, ...]:
        """Topics whose deltas this stream cannot use until they start anew."""
        stream = self._stream
        with stream._ready:
            mailbox = stream._mailbox
            return tuple(mailbox.cut) if isinstance(mailbox, Line) else ()

    def resume(self, topic: Topic) -> None:
        """The topic starts anew here."""
        stream = self._stream
        with stream._ready:
            if stream._inlet is self and isinstance(stream._mailbox, Line):
                stream._mailbox.resume(topic)
                stream._wake()


def merge(*streams: Stream[Any]) -> Iterator[Received[Any]]:
    """The events of several streams in the order of their arrival, as long as any of them lives."""
    waker = threading.Event()
    for stream in streams:
        with stream._ready:
            stream._wakers = (*stream._wakers, waker)
    try:
        yield from _merged(list(streams), waker)
    finally:
        for stream in streams:
            with stream._ready:
                stream._wakers = tuple(other for other in stream._wakers if other is not waker)


def _merged(streams: list[Stream[Any]], waker: threading.Event) -> Iterator[Received[Any]]:
    while streams := [stream for stream in streams if not stream._is_over()]:
        streams[0]._refuse_forked()
        waker.clear()
        waiting = [(order, stream) for stream in streams if (order := _order(stream)) is not None]
        if not waiting:
            waker.wait(SLICE)
            continue
        _, first = min(waiting, key=lambda pair: pair[0])
        with first._ready:
            first._reach()
        with contextlib.suppress(IndexError):  # it was a marker; or called back, as the oldest of too many
            yield first._received(first._mailbox.hand.popleft())


def _order(stream: Stream[Any]) -> int | None:
    with stream._ready:
        return stream._mailbox.peek_order()
