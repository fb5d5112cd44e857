"""Inline handlers: no buffer, no policy. The thread that has brought an event calls the handler.

A writer puts as into any stream, and what it puts is noted with its right (`Right.calls`). Once the buffers
of the batch are filled, the line's thread makes these calls. What the dispatcher puts for a line without a
connection is told by the notifier, or by the next thread that calls the same handler.
"""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

from msgspec import Struct

from actors.delivery.arrivals import Progress, Right
from actors.delivery.handlers import check_result
from actors.delivery.inlet import KEPT_GAPS, Inlet, Put
from actors.delivery.waits import set_calls_handlers
from actors.events import Gap, Marker, Topic
from actors.rules.freshness import NO_POLICY, FreshnessPolicy
from actors.rules.stream_buffer import Batch, GapRun, Place, Policy, StreamBuffer, merge

Pair = tuple[Topic, Any]  # an event with its topic

SLICE: Final = 0.05  # seconds after which a thread that waits for its turn looks around


def make_calls(right: Right, progress: Progress) -> None:
    """On its writer's thread: the calls that are noted with this right."""
    calls = right.calls
    set_calls_handlers(True)
    right.is_calling = True
    try:
        while calls:
            calls.pop(0).call(right, progress)
    finally:
        right.is_calling = False
        set_calls_handlers(False)


class Turn:
    """One call of a handler at a time, over all threads that call it, in the order of asking.

    Python cannot end a call. One whose writer was given up keeps no other thread waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._holder: Right | None = None
        self._is_over = False
        self.waiting: deque[Right] = deque()  # for their turn, in the order of asking

    def is_held_by(self, right: Right) -> bool:
        """Whether this writer has it, and was not given up."""
        return self._holder is right and right.valid

    def take(self, right: Right, progress: Progress) -> bool:
        """Waits for it. False: this writer was given up meanwhile, or the stream was closed.

        A line that waits for another line is not wedged: the other one is, if its call never returns. The
        watchdog does not watch the notifier, so a line that waits for it may be given up; the next line does
        not wait for that call any more.
        """
        with self._lock:
            if not right.valid or self._is_over:
                return False
            if self._holder is None and not self.waiting:
                self._holder = right
                return True
            self.waiting.append(right)
            try:
                while right.valid and not self._is_over:
                    if self._is_next(right):
                        self._holder = right
                        return True
                    self._changed.wait(SLICE)
                    if self._holder is None or self._holder.makes_calls:
                        progress()
                if not right.valid and self._holder is not None and not self._holder.makes_calls:
                    self._holder = None
                return False
            finally:
                self.waiting.remove(right)
                self._changed.notify_all()

    def try_take(self, right: Right) -> bool:
        """Waits for it a moment; whether it came."""
        with self._lock:
            self.waiting.append(right)
            try:
                if not self._is_next(right):
                    self._changed.wait(SLICE)
                if not self._is_next(right):
                    return False
                self._holder = right
                return True
            finally:
                self.waiting.remove(right)
                self._changed.notify_all()

    def end(self) -> None:
        """The stream was closed: no line has anything to call, so none waits for a call of another one."""
        with self._lock:
            self._is_over = True
            self._changed.notify_all()

    def give(self, right: Right) -> None:
        """The call has returned."""
        with self._lock:
            if self._holder is right:  # else its writer was given up, and another one calls
                self._holder = None
            if self.waiting:
                self._changed.notify_all()

    def _is_next(self, right: Right) -> bool:
        is_free = self._holder is None or self._holder.revoked
        return is_free and self.waiting[0] is right


class CallCounters(StreamBuffer):
    """Counts what an inline handler is given: received = delivered + dropped + queued. It holds no event."""

    def put(self, batch: Batch) -> None:
        count = len(batch.events)
        self.received += count
        self._waiting += count

    def note_call(self) -> None:
        """A call has returned."""
        self._waiting -= 1
        self._reached += 1

    def give_up(self) -> None:
        """The handler is not called with an event: the stream was closed, or its writer was given up."""
        self._waiting -= 1
        self.dropped += 1

    def mark(self, marker: Marker) -> None:
        self.gaps += isinstance(marker, Gap)

    def mark_gaps(self, gaps: GapRun) -> None:
        self.gaps += len(gaps)

    def reach(self) -> None:
        return None

    def peek_order(self) -> Place | None:
        return None


class Handlers(Struct, frozen=True):
    """What a program gave, and what is done about a call that raised."""

    on_event: Callable[[Any], object]
    on_marker: Callable[[Any], object] | None
    failed: Callable[[Topic | Marker], None]  # logs the exception that is being handled


class InlineInlet(Inlet):
    """The writers' side of an inline handler. It never asks a line to pause, and drops nothing by itself."""

    buffer: CallCounters

    def __init__(
        self,
        id: int,
        feed: str,
        channel: str,
        handlers: Handlers,
        notify: Callable[[InlineInlet], None],
        *,
        deltas: bool,
        freshness: FreshnessPolicy = NO_POLICY,
    ) -> None:
        super().__init__(id, feed, channel, "block", 0, deltas=deltas, freshness=freshness)
        self.policy = "inline"
        self.owner: object = None  # lives as long as this is open: a handler keeps its stream
        self.passed: deque[Gap] = deque(maxlen=KEPT_GAPS)
        self._handlers = handlers
        self._notify = notify
        self._turn = Turn()
        self._process = os.getpid()
        self._brought: dict[Right, deque[Pair | Marker]] = {}  # by lines: what their threads have yet to call
        self._told: deque[Marker] = deque()  # for the notifier, or the next line that calls
        self._merge_at = 0  # markers beyond which they are merged next, if that is more than the bound

    @property
    def has_unread_gap(self) -> bool:
        """Its handler is called as the gap arises."""
        return False

    @property
    def unread(self) -> int:
        """The event of the present call is not among them. Markers that wait are: they may be gaps."""
        return sum(map(len, self._brought.copy().values()))

    def lacks(self, received_at: float, within: float) -> bool:
        """Its handler is called as the event arises."""
        return False

    def _new_buffer(self, policy: Policy) -> CallCounters:
        return CallCounters(self.capacity)

    # ── for writers ──

    def put(self, right: Right, batch: Batch, now: float) -> Put:
        with self.lock:
            if not right.valid or self.end is not None:
                return Put.REFUSED
            self.buffer.put(batch)
            self._note(right, zip(batch.topics, batch.events, strict=True))
            return Put.ACCEPTED

    def put_run(self, right: Right, topic: Topic, parts: Sequence[Batch]) -> bool:
        taken = [self.put(right, part, 0.0) for part in parts]
        return Put.REFUSED not in taken

    def mark(self, right: Right, marker: Marker) -> None:
        self._bring(right, [marker])

    def mark_gaps(self, right: Right, gaps: GapRun) -> None:
        self._bring(right, gaps.expand())

    def _bring(self, right: Right, markers: Sequence[Marker]) -> None:
        with self.lock:
            if not right.valid or self.end is not None:
                return
            for marker in markers:
                self.buffer.mark(marker)
            was_empty = not self._told
            self._take_over_left()
            if right.makes_calls:
                self._note(right, markers)
            else:
                self._told.extend(markers)
                if len(self._told) > max(self.buffer.marker_bound, self._merge_at):
                    self._merge_told()
            self._wake_notifier(was_empty)

    def _note(self, right: Right, items: Iterable[Pair | Marker]) -> None:
        """These are to be called by their writer's thread; with the lock."""
        brought = self._brought.get(right)
        if brought is None:
            brought = self._begin(right)
        if not brought:
            right.calls.append(self)
        brought.extend(items)

    def _begin(self, right: Right) -> deque[Pair | Marker]:
        """The first that this line brings. With the lock."""
        was_empty = not self._told
        self._take_over_left()
        self._wake_notifier(was_empty)
        return self._brought.setdefault(right, deque())

    def _take_over_left(self) -> None:
        """What lines have left that were given up. With the lock."""
        for writer in [writer for writer in self._brought if not writer.valid]:
            self._take_over(writer)

    def _take_over(self, writer: Right) -> None:
        """What a writer leaves: its markers are told by others, its events are given up. With the lock."""
        left = self._brought.pop(writer, None)
        if left is None:
            return
        with contextlib.suppress(IndexError):  # its thread may take the last one
            while True:
                item = left.popleft()
                if type(item) is tuple:
                    self.buffer.give_up()
                else:
                    self._told.append(cast(Marker, item))

    def _merge_told(self) -> None:
        fewer = merge(self._told)
        self.buffer.gaps -= _gaps(self._told) - _gaps(fewer)
        self._told.clear()
        self._told.extend(fewer)
        self._merge_at = 2 * len(fewer)  # gaps of topics that were removed do not become fewer

    # ── for the runtime ──

    def close(self, reason: str, *, quiet: bool) -> None:
        """`Closed` is the last call. One that is going on ends by itself; events that wait are given up.

        Markers that wait are told before it, so that each gap that was counted is shown.
        """
        with self.lock:
            if self.end is not None:
                return
            was_empty = not self._told
            for writer in list(self._brought):
                self._take_over(writer)
            super().close(reason, quiet=quiet)
            assert self.end is not None
            self._told.append(self.end)
            self._wake_notifier(was_empty)
        self._turn.end()
        self.owner = None

    def _wake_notifier(self, was_empty: bool) -> None:
        """Where nothing waited before; else it is on its way. Without `on_marker` there is none."""
        if was_empty and self._told and self._handlers.on_marker is not None:
            self._notify(self)

    # ── calling ──

    def tell(self, right: Right) -> bool:
        """On the notifier's thread. False: another thread was calling all the while, and something waits."""
        if not self._turn.try_take(right):
            return False
        try:
            self._tell(right, _unwatched)
        finally:
            self._turn.give(right)
        return not self._told

    def call(self, right: Right, progress: Progress) -> None:
        """On the thread of a line. It ends at once if the line was given up, or the stream closed."""
        brought, turn = self._brought.get(right, ()), self._turn
        while brought and turn.take(right, progress):
            try:
                if self._told:
                    self._tell(right, progress)
                while brought and right.valid and self.end is None:
                    try:
                        item = brought.popleft()
                    except IndexError:  # another thread has taken the last one over
                        break
                    if type(item) is tuple:
                        self._handle(item)
                    else:
                        self._show(cast(Marker, item))
                    progress()
                    if turn.waiting:
                        break
            finally:
                turn.give(right)
        if brought:
            with self.lock:
                was_empty = not self._told
                self._take_over(right)
                self._wake_notifier(was_empty)

    def _tell(self, right: Right, progress: Progress) -> None:
        """What the dispatcher has put comes before all that a line brings after it.

        A line that waits passes on the rest of it: the watchdog sees its calls, and not the notifier's.
        """
        while self._turn.is_held_by(right):
            with self.lock:
                if not self._told:
                    return
                marker = self._told.popleft()
            self._show(marker)
            progress()
            if self._turn.waiting and not right.makes_calls:
                return

    def _handle(self, pair: Pair) -> None:
        try:
            result = self._handlers.on_event(pair[1])
            if result is not None:
                check_result(result)
        except BaseException as error:  # the thread is a line's: `sys.exit()` in a handler must not end that
            self._leave_child(error)
            self._fail(pair[0])
        self._leave_child()
        with self.lock:
            self.buffer.note_call()

    def _show(self, marker: Marker) -> None:
        if isinstance(marker, Gap):
            with self.lock:
                self.passed.append(marker)
        if self._handlers.on_marker is None:
            return
        try:
            check_result(self._handlers.on_marker(marker))
        except BaseException as error:
            self._leave_child(error)
            self._fail(marker)
        self._leave_child()

    def _leave_child(self, error: BaseException | None = None) -> None:
        """A child that a handler has forked ends with that call: the socket of the line is its parent's.

        Its only thread would go on as the line's. It would read what the venue sends to the parent, and an
        orderly end would send a close frame.
        """
        if os.getpid() == self._process:
            return
        if isinstance(error, SystemExit):
            code = error.code
            os._exit(code if isinstance(code, int) else int(code is not None))
        if error is not None:
            traceback.print_exception(error)
        os._exit(int(error is not None))

    def _fail(self, about: Topic | Marker) -> None:
        with self.lock:
            self.handler_errors += 1
        self._handlers.failed(about)


def _unwatched() -> None:
    """The progress of a thread that the watchdog does not watch."""


def _gaps(markers: Sequence[Marker] | deque[Marker]) -> int:
    return sum(isinstance(marker, Gap) for marker in markers)
