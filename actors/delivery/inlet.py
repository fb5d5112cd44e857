"""One stream's buffer with its lock: lines write through it on their own threads, one consumer reads it.

Each put checks the right of its writer. The lock guards bookkeeping alone: no code of a user or a venue
runs under it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import Literal

from actors.delivery.arrivals import Right
from actors.events import Closed, Fresh, Lifecycle, Marker, Scope, Stale, Topic, VenueState
from actors.rules.counters import StreamStatus
from actors.rules.freshness import NO_POLICY, FreshnessPolicy
from actors.rules.stream_buffer import (
    MARKERS,
    AgingBuffer,
    Batch,
    ConflatingBuffer,
    FifoBuffer,
    GapRun,
    Policy,
    StreamBuffer,
)
from actors.rules.venue_states import MOMENTARY, MOST

KEPT_GAPS = 1_000  # that a stream shows of those which were read


def _no_writers() -> None:
    """Of a stream without a runtime."""


class Put(Enum):
    """What became of a batch."""

    REFUSED = 0  # the stream is closed, or the right is not valid
    ACCEPTED = 1
    PAUSE = 2  # accepted; the stream is full and asks its lines to pause
    CUT = 3  # accepted in part; some topic of deltas is of no use until it starts again


class Waker:
    """Wakes the reader of several streams.

    A writer sets it with the lock of a stream, and must not wait there for a reader that a signal handler has
    interrupted: a queue of the interpreter's own never lets it wait.
    """

    __slots__ = ("_set", "is_over")

    def __init__(self) -> None:
        self.is_over = False  # its reader reads no more, and may have been interrupted while it left
        self._set: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        if self._set.empty():
            self._set.put(None)

    def wait(self, seconds: float | None) -> bool:
        """Wait until it is set, and unset it. False: so many seconds were over first."""
        try:
            self._set.get(timeout=seconds)
        except queue.Empty:
            return False
        return True


class Inlet:
    """The writers' side of one stream, and all that its reader shares with them."""

    def __init__(
        self,
        id: int,
        feed: str,
        channel: str,
        policy: Policy,
        capacity: int,
        *,
        deltas: bool,
        freshness: FreshnessPolicy = NO_POLICY,
        drop_older_than: float = 0.0,
        now: Callable[[], float] = float,
        stays: bool = False,
        channels: Collection[str] = (),
    ) -> None:
        """`drop_older_than`: seconds that an event may wait; 0: for ever. `now`: monotonic seconds.

        `stays`: it belongs to a view of this runtime, which does not end where all lines have failed.
        `channels`: of its topics, where they are of several; then `channel` is only a name for people.
        """
        self.id, self.feed, self.channel = id, feed, channel
        self.channels = frozenset(channels or (channel,))
        self.drop_older_than, self._now, self.stays = drop_older_than, now, stays
        self.runtime: object = None  # one object for all inlets of a runtime
        self.freshness = freshness  # what the stream itself was opened with
        self.policy: Policy | Literal["inline"] = policy
        self.capacity, self.deltas = capacity, deltas
        # Entered itself: a signal handler that raises inside `Condition.__enter__` would leave it locked.
        self.lock = threading.RLock()
        self.ready = threading.Condition(self.lock)
        self.buffer = self._new_buffer(policy)
        self.sleepers = 0  # readers that wait for `ready`; after Ctrl-C it may be one too many
        self.wakers: tuple[Waker, ...] = ()  # of readers of several streams
        self.end: Closed | None = None  # the last thing in the stream
        self.quiet = False  # the end was asked for: iteration just stops
        self.leave: Callable[[], None] = _no_writers  # tells its writers that it was closed
        self.put_at = now()  # monotonic seconds: the receipt of what was put last; set behind the put
        self.topics = 0  # how many it is subscribed to
        self.gaps_read = 0  # gap markers that its reader has come to
        self.wanted: dict[Topic, None] = {}  # these; its stream changes them
        self.removals = 0  # how often topics of it were given up by its program
        self.handler_errors = 0  # how often a handler of `Runtime.on` raised
        self.reader = 0  # the thread that has read it last, if it is a `block` stream
        self.full_since: float | None = None  # monotonic seconds; it asks its lines to pause
        self._waiting: dict[object, Callable[[], None]] = {}  # by line: what is called when there is room
        self._lifecycle_numbers: dict[str, int] = {}  # by line: the number of the last event that was put
        self.stale: dict[Topic, None] = {}  # the stream was told so, and not that they are fresh again
        self._states: dict[tuple[str, Scope], VenueState] = {}  # by line and scope: the last that was put

    def _new_buffer(self, policy: Policy) -> StreamBuffer:
        if policy == "conflate":
            return ConflatingBuffer(self.capacity)
        if self.drop_older_than:
            return AgingBuffer(self.capacity, policy)
        return FifoBuffer(self.capacity, policy, deltas=self.deltas)

    def __str__(self) -> str:
        """How people tell its stream from others."""
        return f"stream {self.id} ({self.feed}/{self.channel})"

    @property
    def unread(self) -> int:
        """Events that its reader has not come to. Any thread, without the lock."""
        return self.buffer.queued

    def lacks(self, received_at: float, within: float) -> bool:
        """Whether it has yet to get what came then: a line is about to put it, if that is not long ago.

        Monotonic seconds, and seconds. Any thread, without the lock: what it does not lack can be seen in it.
        """
        return received_at > max(self.put_at, self._now() - within)

    # ── for writers ──

    def put(self, right: Right, batch: Batch, now: float) -> Put:
        """Events of one batch, in their order."""
        with self.lock:
            if not right.valid or self.end is not None:
                return Put.REFUSED
            buffer = self.buffer
            if type(buffer) is not FifoBuffer:
                self.drop_old()
                buffer.put(batch)
                self.put_at = now
                self.wake()
                return Put.ACCEPTED
            # A reader of several streams takes what came first, which may come here behind this batch.
            is_in_hand = self.sleepers and not self.wakers and buffer.put_in_hand(batch)
            if not is_in_hand:
                buffer.put(batch)
            self.put_at = now
            if is_in_hand:
                self.ready.notify_all()
                return Put.ACCEPTED
            self.wake()
            if self._asks_to_pause(buffer, now):
                return Put.PAUSE
            return Put.CUT if buffer.cut else Put.ACCEPTED

    def put_run(self, right: Right, topic: Topic, parts: Sequence[Batch]) -> bool:
        """All that makes a topic of deltas whole, behind the gap of what was lost of it."""
        with self.lock:
            buffer = self.buffer
            if not right.valid or self.end is not None or not isinstance(buffer, FifoBuffer):
                return False
            buffer.resume(topic)
            for part in parts:
                buffer.put_beyond(part, self._now())
            self.put_at = self._now()
            self.wake()
            return True

    def resume(self, right: Right, topic: Topic) -> None:
        """The topic starts again here with the next event."""
        with self.lock:
            if right.valid and self.end is None:
                self.buffer.resume(topic)
                self.wake()

    def mark(self, right: Right, marker: Marker) -> None:
        """A marker, behind all that was put before it."""
        with self.lock:
            if right.valid and self.end is None:
                self.buffer.mark(marker)
                self.wake()

    def mark_gaps(self, right: Right, gaps: GapRun) -> None:
        """The gaps of one outage."""
        with self.lock:
            if right.valid and self.end is None and gaps:
                self.buffer.mark_gaps(gaps)
                self.wake()

    def put_lifecycle(self, right: Right, event: Lifecycle, number: int) -> None:
        """A lifecycle event of a line; one that is not newer than the last of that line is dropped."""
        with self.lock:
            if right.valid and self.end is None and number > self._lifecycle_numbers.get(event.line, 0):
                self._lifecycle_numbers[event.line] = number
                self.mark(right, event)

    def introduce(self, right: Right, present: Lifecycle, number: int) -> None:
        """The present state of a line, unless this stream knows one of it."""
        with self.lock:
            if right.valid and self.end is None and present.line not in self._lifecycle_numbers:
                self._lifecycle_numbers[present.line] = number
                self.mark(right, present)

    def leave_line(self, line: str) -> None:
        """It follows no topic there: when it comes back, it is told the state of the line again."""
        with self.lock:
            self._lifecycle_numbers.pop(line, None)

    def put_state(self, right: Right, told: VenueState) -> None:
        """What the venue says of itself, unless this stream has it, or needs not know that it is over."""
        subject = told.line, told.scope
        with self.lock:
            former = self._states.get(subject)
            if former == told or (former is None and told.state in MOMENTARY):
                return
            self.tell_state(right, told)

    def tell_state(self, right: Right, told: VenueState) -> None:
        """What the venue has just said of itself."""
        with self.lock:
            if right.valid and self.end is None:
                self._states.pop((told.line, told.scope), None)
                self._states[told.line, told.scope] = told
                if len(self._states) > MOST:
                    del self._states[next(iter(self._states))]
                self.mark(right, told)

    def mark_stale(self, right: Right, stale: Stale) -> None:
        """Unless the stream was told so."""
        with self.lock:
            if right.valid and self.end is None and stale.topic not in self.stale:
                self.stale[stale.topic] = None
                self.mark(right, stale)

    def mark_fresh(self, right: Right, fresh: Fresh) -> None:
        """The end of what it was told before."""
        with self.lock:
            if right.valid and self.end is None and fresh.topic in self.stale:
                del self.stale[fresh.topic]
                self.mark(right, fresh)

    def _asks_to_pause(self, buffer: FifoBuffer, now: float) -> bool:
        """From full until half empty; with the lock."""
        if self.policy != "block" or buffer.overflowing:
            return False
        if self.full_since is None and buffer.full and not buffer.roomy:  # a buffer of two may be both
            self.full_since = now
        return self.full_since is not None

    # ── back-pressure: a level that any thread may look at ──

    @property
    def pauses(self) -> bool:
        """Whether it asks its lines to pause."""
        return self.full_since is not None

    def wake_at_room(self, line: object, call: Callable[[], None]) -> None:
        """Call this when there is room again, or at once if there is. It only puts a letter somewhere."""
        with self.lock:
            if not self._has_room():
                self._waiting[line] = call
                return
        call()

    def forget_line(self, line: object) -> None:
        """That line waits no longer."""
        with self.lock:
            self._waiting.pop(line, None)

    def overflow(self, right: Right, since: float | None) -> None:
        """It has held its lines for too long: it gives up what it has no room for, until it is half empty.

        `since`: when it became full. Nothing happens if it has had room after that.
        """
        with self.lock:
            is_held = self.full_since is not None and self.full_since == since
            if right.valid and is_held:
                self.buffer.overflowing = True
                self.full_since = None
                self._call_waiting()

    def notice_room(self) -> None:
        """The reader has taken something; with the lock."""
        if not self._waiting and self.full_since is None and not self.buffer.overflowing:
            return
        if self._has_room():
            self.buffer.overflowing = False
            self.full_since = None
            self._call_waiting()

    def _has_room(self) -> bool:
        return self.end is not None or self.buffer.roomy

    def _call_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            call()

    @property
    def is_roomy(self) -> bool:
        """Whether a topic that was cut may start again here."""
        with self.lock:
            return self._has_room()

    @property
    def has_unread_gap(self) -> bool:
        """Whether its reader has yet to come to a gap, or to the new start of changes that were cut.

        No lock is taken: it may be an instant old.
        """
        buffer = self.buffer
        return buffer.gaps > self.gaps_read or buffer.has_unmarked_loss or bool(buffer.cut)

    def cut(self) -> tuple[Topic, ...]:
        """Topics whose deltas this stream cannot use until they start again."""
        with self.lock:
            return tuple(self.buffer.cut)

    def forget(self, topic: Topic) -> None:
        """The stream no longer wants this topic: it need not start again."""
        with self.lock:
            self.stale.pop(topic, None)
            self.buffer.forget(topic)

    # ── its age ──

    def drop_old(self) -> None:
        """Give up what has waited for too long, if there is a limit; with the lock."""
        if self.drop_older_than:
            self.buffer.drop_before(self._now() - self.drop_older_than)

    def lag(self) -> float:
        """For how many seconds the oldest event that waits has waited; 0: none waits."""
        try:
            since = self.buffer.waiting_since()
        except RuntimeError:  # a writer or the reader has just changed it
            with self.lock:
                since = self.buffer.waiting_since()
        return 0.0 if since is None else max(0.0, self._now() - since)

    # ── for the runtime ──

    def set_topics(self, count: int) -> None:
        self.topics = count
        self.buffer.marker_bound = MARKERS + 4 * count

    def close(self, reason: str, *, quiet: bool) -> None:
        """Put `Closed` behind everything; later calls change nothing."""
        with self.lock:
            if self.end is None:
                self.end = Closed(reason)
                self.quiet = quiet
                self.full_since = None
                self.buffer.mark(self.end)
                self._call_waiting()
                self.wake()

    def status(self) -> StreamStatus:
        """The counters, taken at one moment."""
        with self.lock:
            buffer = self.buffer
            delivered, queued = buffer.delivered_and_queued()
            return StreamStatus(
                id=self.id,
                feed=self.feed,
                channel=self.channel,
                topics=self.topics,
                policy=self.policy,
                capacity=self.capacity,
                received=buffer.received,
                delivered=delivered,
                dropped=buffer.dropped,
                conflated=buffer.conflated,
                queued=queued,
                gaps=buffer.gaps,
                handler_errors=self.handler_errors,
                lag_s=self.lag(),
            )

    def wake(self) -> None:
        """The reader has something to look at; with the lock."""
        if self.sleepers:
            self.ready.notify_all()
        for waker in self.wakers:
            waker.set()
