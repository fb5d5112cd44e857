"""One consumer's stream: events and markers in their order, read by one thread at a time.

Lines write into its `Inlet` on their own threads (`delivery/inlet.py`); a lock stands between the two.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import repeat
from operator import attrgetter, call, getitem, neg
from typing import Any, Generic, NoReturn, Protocol, TypeVar
from weakref import WeakSet

from msgspec import Struct

from actors.delivery.inlet import KEPT_GAPS, Inlet
from actors.delivery.inline import InlineInlet
from actors.delivery.waits import note_reader, reading_slice, wait_for
from actors.display.escaping import printable
from actors.display.shown import html_of
from actors.errors import LinewardenError, StreamClosed, Timeout
from actors.events import (
    Closed,
    Freshness,
    Gap,
    Keys,
    Lifecycle,
    Marker,
    Option,
    Received,
    SubscriptionState,
    Topic,
)
from actors.protocol.formatting import counted
from actors.rules.stream_buffer import FIRST, Batch, Place
from actors.supervision.forks import Home
from actors.timers import check_seconds, lock_timeout

# Covariant, since a stream is only read: one of quotes is one of quotes or trades.
Event = TypeVar("Event", covariant=True)  # noqa: PLC0105
Item = TypeVar("Item")

# Ctrl-C does not end a lock's wait on Windows: there it is waited in slices.
SLICE = 0.1 if sys.platform == "win32" else None


_streams: WeakSet[Stream[Any]] = WeakSet()  # of this process


def _forked() -> None:
    for stream in _streams:
        stream._box.hand.clear()  # the parent's; without it, reading comes to where it is refused


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Deadline:
    """So many seconds from now, by the machine's monotonic clock; None: never."""

    __slots__ = ("_at", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._at = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self._at - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    def wait_time(self, at_most: float | None) -> float | None:
        """Seconds that a lock may wait, as it takes them."""
        return lock_timeout(self.left if at_most is None else min(self.left, at_most))


class Reading(Iterator[Item]):
    """What a loop reads. After an error, such as `Timeout`, another loop or `next` goes on where it stopped.

    A generator that has raised is at its end: here the next one takes its place.
    """

    def __init__(self, begin: Callable[[], Iterator[Item]]) -> None:
        self._begin = begin
        self._present: Iterator[Item] | None = None

    def __next__(self) -> Item:
        present = self._present = self._begin() if self._present is None else self._present
        try:
            for item in present:
                return item  # no call is between: a signal handler that raises loses nothing
        except BaseException:
            self._present = None
            raise
        raise StopIteration


class StreamControl(Protocol):
    """What a stream needs of its runtime."""

    def widen(self, stream: Stream[Any], keys: Sequence[Keys], wait: float | None) -> None: ...
    def narrow(self, stream: Stream[Any], keys: Sequence[Keys]) -> None: ...
    def close(self, stream: Stream[Any]) -> None: ...
    def states(self, topics: Iterable[Topic]) -> dict[Topic, SubscriptionState]: ...
    def fresh(self, stream: Stream[Any], max_age: float | None) -> Freshness: ...


class Stream(Generic[Event]):
    """Events of a feed's channel that wait to be read, in a `for` loop or by `get`, `get_many` and `take`.

    Any thread may read, one at a time; any thread may close it meanwhile.

    Made by `Runtime.subscribe`. Iterating gives events alone; `with_markers` shows what happened
    between them, too. The counters reconcile: received = delivered + dropped + conflated + queued.
    """

    def __init__(
        self, inlet: Inlet, control: StreamControl, kind: object = None, options: Mapping[str, Option] = {}
    ) -> None:
        self.id, self.feed, self.channel = inlet.id, inlet.feed, inlet.channel
        self.policy, self.capacity = inlet.policy, inlet.capacity
        self._inlet = inlet
        self._box = inlet.buffer
        self._control = control
        self._kind = kind  # of venue
        self._options = options  # that it was opened with
        self._source: str | None = inlet.feed  # whose lines bring its events
        self._topics = inlet.wanted
        self._changing = threading.RLock()  # held while its topics change
        self._ended = False  # the end was delivered
        self._passed: deque[Gap] = deque(maxlen=KEPT_GAPS)
        self._marker: Marker | None = None  # taken out of the buffer, and not yet handed over
        self._counted: Marker | None = None  # the last one that is among those passed
        self._kept: deque[Received[Event]] = deque()  # so are these, since a signal handler raised
        self._taking_kept = map(call, repeat(self._kept.popleft))
        # Takes the first event out of the hand. Raises IndexError, again and again: it is empty. A `for` loop
        # does that in one step of the interpreter, which looks for signals at calls and where it jumps back.
        # So no signal handler that reads, or raises as Ctrl-C does, comes between taking an event and handing
        # it over.
        self._taking: Iterator[Event] = map(call, repeat(self._box.hand.popleft))
        self._home = Home()
        _streams.add(self)

    # ── reading ──

    def __iter__(self) -> Iterator[Event]:
        """Events, for as long as the stream lives.

        Raises:
            StreamClosed: it ended, and neither `close()` nor the runtime's `stop()` asked for it.
        """
        in_hand = self._taking  # raises where the hand is empty
        while True:
            while self._kept:
                for received in self._taking_kept:
                    yield received.event
                    break
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
        while True:
            try:
                for event in self._taking:
                    return event
            except IndexError:
                if self._kept:  # then the hand is empty
                    for received in self._taking_kept:
                        return received.event
                if not self._reach_event(timeout):
                    raise StreamClosed(self.end_reason or "closed", self._inlet) from None

    def get_many(self, maximum: int, timeout: float | None = None) -> list[Event]:
        """Up to `maximum` events: waits for the first like `get`, and takes what else is there.

        Raises:
            Timeout: not one came in time.
            StreamClosed: `Closed` was delivered; nothing follows it.
        """
        self._home.check()
        if not isinstance(maximum, int):
            raise LinewardenError(f"maximum is a number of events, and {maximum!r} is none")
        if maximum < 1:
            raise ValueError(f"maximum is {maximum}, and at least one event has to be asked for")
        hand, events, begun = self._box.hand, list[Event](), list[tuple[int, Batch, int]]()
        if self._kept:
            return [self.get()]
        try:
            while len(events) < maximum:
                if hand:
                    begun.append((len(events), self._box.reached_for, len(hand)))
                    with contextlib.suppress(IndexError):  # called back: it was the oldest of too many
                        events.extend(map(call, repeat(hand.popleft, min(maximum - len(events), len(hand)))))
                elif events:
                    if not self._reach_at_once():
                        break
                elif not self._reach_event(timeout):
                    break
        except BaseException:
            self._keep(events, begun)
            raise
        if not events:
            raise StreamClosed(self.end_reason or "closed", self._inlet)
        return events

    def _keep(self, events: list[Event], begun: list[tuple[int, Batch, int]]) -> None:
        """A signal handler has raised: the next reader gets these events. `begun`: where a batch begins in
        them, the batch, and how much of it was left."""
        ends = (*(start for start, *_ in begun[1:]), len(events))
        for (start, batch, left), end in zip(begun, ends, strict=False):  # none has begun: there are none
            origin = batch.origin
            for place, event in enumerate(events[start:end], len(batch) - left):
                topic = batch.topics[place]
                self._kept.append(Received(topic, origin.received_ns, origin.epoch, event, origin.source))
        if self._kept:
            self._keep_hand()

    def _keep_hand(self) -> None:
        """What is in the hand comes behind what is kept, and iterators look into the hand first."""
        with self._inlet.lock, contextlib.suppress(IndexError):
            self._kept.extend(self._taking_received)

    def take(self, seconds: float | None) -> Iterator[Event]:
        """Events for so many seconds from the first look at them; then iteration ends without an error.

        0: the events that wait now. None: as plain iteration, and so it ends at the end of the stream.

        Raises:
            StreamClosed: it ended, and neither `close()` nor the runtime's `stop()` asked for it.
        """
        check_seconds("seconds", seconds, optional=True)
        return self._waiting() if seconds is not None and seconds <= 0 else self._within(seconds)

    def _within(self, seconds: float | None) -> Iterator[Event]:
        deadline, taking = Deadline(seconds), self._taking
        while not deadline.is_over:
            try:
                while self._kept:
                    for received in self._taking_kept:
                        yield received.event
                        break
                for event in taking:
                    yield event
                    if deadline.is_over:
                        return
            except IndexError:
                if not self._reach_before(deadline):
                    return

    def _waiting(self) -> Iterator[Event]:
        """As many events as wait now, if they are not given up meanwhile."""
        while self._kept:
            for received in self._taking_kept:
                yield received.event
                break
        for _ in range(self._own.buffer.queued):
            if not self._reach_at_once():
                return
            with contextlib.suppress(IndexError):  # called back: it was the oldest of too many
                for event in self._taking:
                    yield event
                    break

    def with_markers(self, timeout: float | None = None) -> Iterator[Event | Marker]:
        """Events, and all markers from `Lifecycle` to `Closed` in their places. Ends after `Closed`.

        Waits at most `timeout` seconds for each; None waits as long as the stream lives.

        Raises:
            Timeout: nothing came in time. The stream is unharmed, and iteration can go on.
        """
        check_seconds("timeout", timeout, optional=True)
        return Reading(partial(self._everything, self._taking, events=True, timeout=timeout))

    def with_meta(self) -> Iterator[Received[Event]]:
        """Events with their topic, time of receipt and epoch; ends like plain iteration."""
        while self._kept or self._reach_event(None):
            with contextlib.suppress(IndexError):  # it is empty, or was called back
                yield from self._taking_kept if self._kept else self._taking_received

    def items(self, timeout: float | None = None) -> Iterator[Received[Event] | Marker]:
        """As `with_markers`, and each event with where it came from.

        Raises:
            Timeout: nothing came in time. The stream is unharmed, and iteration can go on.
        """
        check_seconds("timeout", timeout, optional=True)
        return Reading(partial(self._everything, self._taking_received, events=False, timeout=timeout))

    # ── changing ──

    def add(self, *keys: Keys, wait: float | None = None) -> None:
        """Want these keys, too: text or integers, or one iterable of them.

        Raises:
            SubscribeError: `wait` seconds were given, and not every new topic was confirmed.
        """
        self._home.check()
        self._control.widen(self, keys, wait)

    def remove(self, *keys: Keys) -> None:
        """Want these keys no longer; what is queued of them is still delivered."""
        self._home.check()
        self._control.narrow(self, keys)

    def close(self) -> None:
        """End the stream. What waits in it can still be read; `Closed` is the last of it."""
        self._home.check()
        self._control.close(self)

    def __enter__(self) -> Stream[Event]:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._home.is_left:  # a forked child that ends closes nothing of its parent's
            self.close()

    # ── looking ──

    @property
    def topics(self) -> dict[Topic, SubscriptionState]:
        """What the stream is subscribed to, and how far each topic has come."""
        self._home.check()
        return self._control.states(self._topics.copy())

    def fresh(self, *, max_age: float | None = None) -> Freshness:
        """Whether the data of all its topics can be acted on, by the policy of this stream. Asks no actor.

        `max_age`: seconds since the last event of each topic at most, and by the venue's time for prices and
        books. The answer is truthy if all are fresh; otherwise it is about the topic that is worst off.
        """
        self._home.check()
        return self._control.fresh(self, max_age)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The newest gaps (1,000 at most) that reading has passed over or shown."""
        with self._own.lock:
            return tuple(self._passed)

    @property
    def gap_count(self) -> int:
        """All gaps put into this stream so far."""
        return self._own.buffer.gaps

    @property
    def received(self) -> int:
        """Events that were meant for this stream."""
        return self._own.buffer.received

    @property
    def delivered(self) -> int:
        return self._own.buffer.delivered

    @property
    def dropped(self) -> int:
        """Events given up for lack of room, or for their age; each is in a `Gap`."""
        return self._own.buffer.dropped

    @property
    def conflated(self) -> int:
        """Events that a newer one of their topic took the place of."""
        return self._own.buffer.conflated

    @property
    def queued(self) -> int:
        return self._own.buffer.queued

    @property
    def lag_s(self) -> float:
        """Seconds since the receipt of the oldest event that waits to be read; 0.0: none does."""
        return self._own.lag()

    @property
    def closed(self) -> bool:
        """Whether the end is in the stream, delivered or not."""
        return self._own.end is not None

    @property
    def end_reason(self) -> str | None:
        """Why it ended, delivered or not; None: it has not."""
        end = self._own.end
        return None if end is None else end.reason

    @property
    def handler_errors(self) -> int:
        """How often a handler of `Runtime.on` raised."""
        return self._own.handler_errors

    @property
    def is_cut(self) -> bool:
        """Whether changes were given up, and some topic has yet to start again for the stream to go on."""
        return bool(self._own.cut())

    def __repr__(self) -> str:
        """Its state now. Takes no lock and raises nothing, also in a forked child."""
        end, box = self._inlet.end, self._box
        parts = [
            "open" if end is None else f"closed ({printable(' '.join(end.reason.split()))})",
            counted(len(self._topics), "topic"),
            self.policy if self.policy == "inline" else f"{self.policy} {self.capacity:,}",
            f"{box.queued:,} queued",
            counted(box.gaps, "gap"),
        ]
        return f"<Stream {self.id} {self.feed}/{self.channel}: {', '.join(parts)}>"

    def _repr_html_(self) -> str | None:
        return html_of(self, "stream_page:of_stream")

    @property
    def _own(self) -> Inlet:
        """Raises ForkError in a forked child, whose copy is another's."""
        self._home.check()
        return self._inlet

    # ── waiting and taking ──

    def _everything(self, taking: Iterator[Item], *, events: bool, timeout: float | None) -> Iterator[Any]:
        """Markers, and what `taking` makes of the event that is first in the reader's hand."""
        while True:
            self._home.check()  # before the lock, which in a forked child another thread may hold for ever
            while self._kept:
                for received in self._taking_kept:
                    yield received.event if events else received
                    break
            if self._ended and self._marker is None:
                return
            marker = self._next(timeout=timeout)
            if marker is not None:
                self._marker = None
                yield marker
            else:
                with contextlib.suppress(IndexError):  # called back: it was the oldest of too many
                    for item in taking:
                        yield item
                        break

    def _reach_event(self, timeout: float | None) -> bool:
        """Wait for events in the reader's hand. False: the stream was closed on purpose."""
        check_seconds("timeout", timeout, optional=True)
        deadline = None if timeout is None else Deadline(timeout)
        while not self._box.hand:
            self._home.check()
            if self._is_over():
                return False
            self._next(deadline)
            self._marker = None  # it is passed over
        return True  # but they may be called back before they are taken

    def _reach_before(self, deadline: Deadline) -> bool:
        """The same, where False is also that the time is over."""
        try:
            return self._reach_event(None if deadline.seconds is None else deadline.left)
        except Timeout:
            if deadline.is_over:
                return False
            raise  # no event can come while this thread waits

    def _reach_at_once(self) -> bool:
        """Whether there are events in the reader's hand now."""
        with self._inlet.lock:
            while not self._box.hand:
                if self._reach() is None:
                    break
                self._marker = None  # it is passed over
        return bool(self._box.hand)

    def _is_over(self) -> bool:
        """Whether `Closed` was delivered.

        Raises:
            StreamClosed: the stream was closed, and not on purpose.
        """
        end = self._inlet.end
        is_over = self._ended and self._marker is None
        if is_over and end is not None and not self._inlet.quiet:
            raise StreamClosed(end.reason, self._inlet)
        return is_over

    def _next(self, deadline: Deadline | None = None, *, timeout: float | None = None) -> Marker | None:
        """Wait for what comes next: a marker; or None, if it is in the hand, or the end was read.

        `timeout` counts from the first wait.
        """
        inlet, hand = self._inlet, self._box.hand
        with inlet.lock:
            while not hand:
                marker = self._reach()
                if marker is not None:
                    return marker
                if hand or self._ended:  # its end was taken by another thread, or in a signal handler
                    break
                if deadline is None and timeout is not None:
                    deadline = Deadline(timeout)
                if deadline is not None and deadline.is_over:
                    raise Timeout(f"no event on {self.feed}/{self.channel} within {deadline.seconds} s")
                at_most = reading_slice(self._source, inlet.runtime) or SLICE
                inlet.sleepers += 1
                try:
                    wait_for(
                        inlet.ready, inlet.lock, at_most if deadline is None else deadline.wait_time(at_most)
                    )
                finally:
                    inlet.sleepers -= 1
            return None

    def _peek(self) -> Place | None:
        """The place of the next event; a marker comes before all events. None: nothing waits."""
        self._home.check()
        with self._inlet.lock:
            return FIRST if self._is_handing_over else self._box.peek_order()

    @property
    def _is_handing_over(self) -> bool:
        """Whether something was taken out of the buffer that no reader has got yet."""
        return bool(self._kept) or self._marker is not None

    def _take_at(self, place: Place) -> Received[Event] | Marker | None:
        """The next event or marker, if it is the one at this place; None: it is not."""
        item: Received[Event] | Marker
        for item in self._handing_over_at(place):
            return item
        return None

    def _handing_over_at(
        self, place: Place, mark: Callable[[Stream[Any], Marker], Any] | None = None
    ) -> Iterator[Any]:
        """The same, at most one. It is not lost if a signal handler raises before the reader has got it.

        `mark`: what becomes of a marker.
        """
        try:
            with self._inlet.lock:
                is_next = self._marker is not None or self._box.peek_order() == place
                if not self._kept and is_next and self._reach() is None:
                    with contextlib.suppress(IndexError):  # another thread has taken it
                        keep = self._kept.append
                        for received in self._taking_received:
                            keep(received)
                            break
        except BaseException:
            if self._kept:
                self._keep_hand()
            raise
        if self._kept:
            for received in self._taking_kept:
                yield received
                return
        marker = self._marker
        if marker is not None:
            told = marker if mark is None else mark(self, marker)
            self._marker = None
            yield told

    def _reach(self) -> Marker | None:
        """Fill the empty hand, or answer the marker that is next, until it is handed over. With the lock."""
        if self._box.hand:
            return None
        if self._marker is None:
            if self.policy == "block" and self._inlet.reader != threading.get_ident():
                note_reader(self._inlet)
            self._inlet.drop_old()
            self._marker = self._box.reach()
        marker = self._marker
        self._inlet.notice_room()
        if marker is None:
            return None
        if isinstance(marker, Gap):
            put = self._passed.append
            if marker is not self._counted:
                self._counted = marker
                self._inlet.gaps_read += 1
                put(marker)
        elif isinstance(marker, Closed):
            self._ended = True
        return marker

    @cached_property
    def _taking_received(self) -> Iterator[Received[Event]]:
        """The same, with where the event came from: the batch in the hand, by how much of it is left."""
        box, hand = self._box, self._box.hand
        left = map(neg, map(len, repeat(hand)))
        topics = map(getitem, map(attrgetter("reached_for.topics"), repeat(box)), left)
        received_ns, epochs, sources = (
            map(attrgetter(f"reached_for.origin.{name}"), repeat(box))
            for name in ("received_ns", "epoch", "source")
        )
        events = map(call, repeat(hand.popleft))  # behind the look at its topic
        return map(Received, topics, received_ns, epochs, events, sources)


class Marked(Struct, frozen=True):
    """A marker among the items of `Runtime.merge`, and the stream in which it stands."""

    stream: Stream[Any]
    marker: Marker


class LifecycleStream(Stream[Lifecycle]):
    """The states of lines as events. The supervisor writes it, so no line has to read for it."""

    def __init__(self, inlet: Inlet, control: StreamControl) -> None:
        super().__init__(inlet, control)
        self._source = None


class ToldStream(Stream[Event]):
    """What the runtime itself tells of a feed, such as the events of an account. It has no keys."""

    def add(self, *keys: Keys, wait: float | None = None) -> NoReturn:
        raise LinewardenError(f"{self.feed}/{self.channel} has no keys: no line brings its events")

    def remove(self, *keys: Keys) -> NoReturn:
        self.add()


class InlineStream(Stream[Event]):
    """The stream of an inline handler: it is changed, counted and closed like any other, and not read."""

    def __init__(
        self, inlet: InlineInlet, control: StreamControl, kind: object, options: Mapping[str, Option]
    ) -> None:
        super().__init__(inlet, control, kind, options)
        self._passed = inlet.passed

    def _refuse(self) -> NoReturn:
        raise LinewardenError(
            f"the events of {self.feed}/{self.channel} go to an inline handler: this stream is not read. "
            "To read them, too, subscribe to a stream of their own"
        )

    def __iter__(self) -> NoReturn:
        self._refuse()

    def get(self, timeout: float | None = None) -> NoReturn:
        self._refuse()

    def get_many(self, maximum: int, timeout: float | None = None) -> NoReturn:
        self._refuse()

    def take(self, seconds: float | None) -> NoReturn:
        self._refuse()

    def with_markers(self, timeout: float | None = None) -> NoReturn:
        self._refuse()

    def with_meta(self) -> NoReturn:
        self._refuse()

    def items(self, timeout: float | None = None) -> NoReturn:
        self._refuse()

    def _peek(self) -> NoReturn:
        self._refuse()
