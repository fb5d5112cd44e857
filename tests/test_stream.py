"""A stream as its reader meets it: in threads, at its end, after a fork."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, repeat
from operator import call
from typing import Any

import pytest

from actors.delivery.arrivals import Arrivals
from actors.delivery.inlet import KEPT_GAPS, Put
from actors.delivery.merge import merge
from actors.errors import ForkError, LinewardenError, StreamClosed, Timeout
from actors.events import Closed, Freshness, Gap, Keys, Lifecycle, Received, SubscriptionState, Topic
from actors.rules.stream_buffer import Batch, Origin, Policy
from actors.stream import Stream
from tests.delivery.streams import Writer, new_inlet

A, B = Topic("o2", "trades", "A"), Topic("o2", "trades", "B")
OVERFLOW = Gap(A, "overflow", 3, 1, 2, 1)
DOWN = Lifecycle("o2", "disconnected", 1, 0, "cancelled", 5)


class Desk:
    """A runtime's answers to its streams."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Keys, ...]]] = []

    def widen(self, stream: Stream[Any], keys: Sequence[Keys], wait: float | None) -> None:
        self.asked.append(("widen", tuple(keys)))

    def narrow(self, stream: Stream[Any], keys: Sequence[Keys]) -> None:
        self.asked.append(("narrow", tuple(keys)))

    def close(self, stream: Stream[Any]) -> None:
        end(stream, "close() was called", quiet=True)

    def fresh(self, stream: Stream[Any], max_age: float | None) -> Freshness:
        return Freshness("unknown", "not_subscribed")

    def states(self, topics: Iterable[Topic]) -> dict[Topic, SubscriptionState]:
        return {topic: SubscriptionState("confirmed") for topic in topics}


Made = tuple[Stream[int], Writer]


def make(policy: Policy = "block", capacity: int = 100, *, id: int = 1, deltas: bool = False) -> Made:
    """A stream without a runtime, and who writes into it."""
    inlet = new_inlet(policy, capacity, id=id, deltas=deltas)
    stream = Stream[int](inlet, Desk())
    stream._topics = dict.fromkeys((A, B))
    return stream, Writer(inlet)


def end(stream: Stream[Any], reason: str, *, quiet: bool) -> None:
    stream._inlet.close(reason, quiet=quiet)


def put(writer: Writer, *events: int, order: int = 1, topic: Topic = A) -> Put:
    return writer.put([(topic, event) for event in events], Origin(1_000, 7, order))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def blocked(pool: ThreadPoolExecutor, stream: Stream[int], read: Callable[[], Any]) -> Future[Any]:
    """A reader that waits: when this returns, its thread does, or has not come that far."""
    started = threading.Event()

    def run() -> Any:
        started.set()
        return read()

    future = pool.submit(run)
    assert started.wait(10)
    return future


# ── one event ───────────────────────────────────────────────────────────────────────────────────


def test_a_reader_is_woken_by_the_event_it_waits_for(pool: ThreadPoolExecutor) -> None:
    stream, inlet = make()
    waiting = blocked(pool, stream, stream.get)
    put(inlet, 42)
    assert waiting.result(10) == 42


def test_a_timeout_leaves_the_stream_unharmed() -> None:
    stream, inlet = make()
    with pytest.raises(Timeout, match=r"within 0\.01 s"):
        stream.get(timeout=0.01)
    with pytest.raises(TimeoutError):  # whatever a caller is used to catch
        stream.get(timeout=0)
    with pytest.raises(Timeout):
        stream.get_many(5, timeout=0)
    put(inlet, 42)
    assert stream.get(timeout=0) == 42


def test_markers_do_not_prolong_a_wait() -> None:
    stream, inlet = make()
    inlet.mark(DOWN)
    inlet.mark(OVERFLOW)
    with pytest.raises(Timeout):
        stream.get(timeout=0)
    assert stream.gaps == (OVERFLOW,)


def test_get_many_takes_what_is_there() -> None:
    stream, inlet = make()
    put(inlet, 1, 2)
    inlet.mark(OVERFLOW)
    put(inlet, 3, 4)
    assert stream.get_many(3) == [1, 2, 3]
    assert stream.get_many(3) == [4]
    assert stream.gaps == (OVERFLOW,)


def test_get_many_waits_for_the_first(pool: ThreadPoolExecutor) -> None:
    stream, inlet = make()
    waiting = blocked(pool, stream, lambda: stream.get_many(10))
    put(inlet, 1, 2)
    assert waiting.result(10) == [1, 2]


def test_none_at_all_cannot_be_asked_for() -> None:
    stream, _ = make()
    with pytest.raises(ValueError, match="maximum is 0"):
        stream.get_many(0)


def test_get_many_stops_at_the_end() -> None:
    stream, inlet = make()
    put(inlet, 1, 2)
    stream.close()
    assert stream.get_many(10) == [1, 2]
    with pytest.raises(StreamClosed):
        stream.get_many(10)


# ── for so many seconds ──


def test_take_ends_without_an_error_when_its_time_is_over(pool: ThreadPoolExecutor) -> None:
    stream, inlet = make()
    put(inlet, 1, 2)
    inlet.mark(DOWN)
    put(inlet, 3)
    assert list(stream.take(0.01)) == [1, 2, 3]
    assert list(stream.take(0.01)) == []
    waiting = blocked(pool, stream, lambda: list(islice(stream.take(30.0), 1)))
    put(inlet, 4)
    assert waiting.result(10) == [4]


def test_take_ends_amid_the_events_that_wait() -> None:
    stream, inlet = make()
    put(inlet, *range(50))
    seen = []
    for event in stream.take(0.05):
        seen.append(event)
        time.sleep(0.02)
    assert 1 <= len(seen) <= 5
    assert next(iter(stream)) == len(seen)


@pytest.mark.parametrize("seconds", [0, 0.0, -1.0])
def test_take_without_time_gives_what_waits_now(seconds: float) -> None:
    stream, inlet = make()
    put(inlet, 1, 2)
    inlet.mark(OVERFLOW)
    put(inlet, 3)
    taken = stream.take(seconds)
    assert next(taken) == 1
    put(inlet, 4)
    assert list(taken) == [2, 3]
    assert list(stream.take(seconds)) == [4]
    assert list(stream.take(seconds)) == []


@pytest.mark.parametrize("seconds", [None, math.inf, 1e300])
def test_take_without_an_end_is_plain_iteration(seconds: float | None, pool: ThreadPoolExecutor) -> None:
    stream, inlet = make()
    put(inlet, 1)
    waiting = blocked(pool, stream, lambda: list(stream.take(seconds)))
    put(inlet, 2)
    stream.close()
    assert waiting.result(10) == [1, 2]


@pytest.mark.parametrize("seconds", [5.0, None])
def test_take_ends_as_iteration_does_where_the_end_was_not_asked_for(seconds: float | None) -> None:
    stream, inlet = make()
    put(inlet, 1)
    end(stream, "the supervisor died", quiet=False)
    taken = stream.take(seconds)
    assert next(taken) == 1
    with pytest.raises(StreamClosed, match="the supervisor died"):
        next(taken)


# ── a timeout among markers ──


@pytest.mark.parametrize("read", [Stream.with_markers, Stream.items])
def test_iteration_goes_on_after_a_timeout(read: Callable[..., Iterator[Any]]) -> None:
    stream, inlet = make()
    items = read(stream, timeout=0.01)
    assert iter(items) is items
    for number in range(3):
        with pytest.raises(Timeout, match=r"no event on o2/trades within 0\.01 s"):
            next(items)
        with pytest.raises(Timeout):
            list(items)
        inlet.mark(DOWN)
        put(inlet, number)
        assert next(items) == DOWN
        (event,) = islice(items, 1)
        assert event in (number, Received(A, 1_000, 7, number))
    stream.close()
    assert list(items) == [Closed("close() was called")]
    assert list(items) == []
    with pytest.raises(StopIteration):
        next(items)


def test_a_timeout_counts_from_each_wait_and_not_from_the_first_item() -> None:
    stream, inlet = make()
    items = stream.with_markers(timeout=0.2)
    for number in range(8):
        time.sleep(0.05)
        put(inlet, number)
        assert next(items) == number


@pytest.mark.parametrize("timeout", [None, math.inf, 1e300])
def test_a_timeout_without_an_end_waits(timeout: float | None, pool: ThreadPoolExecutor) -> None:
    stream, inlet = make()
    waiting = blocked(pool, stream, lambda: next(stream.with_markers(timeout=timeout)))
    put(inlet, 1)
    assert waiting.result(10) == 1


def test_a_timeout_of_nothing_gives_what_is_there() -> None:
    stream, inlet = make()
    put(inlet, 1)
    items = stream.with_markers(timeout=0)
    assert next(items) == 1
    with pytest.raises(Timeout):
        next(items)


@pytest.mark.parametrize("seconds", ["5", math.nan, True])
@pytest.mark.parametrize("read", [Stream.take, Stream.with_markers, Stream.items])
def test_what_is_no_time_is_refused_at_once(read: Callable[..., Iterator[Any]], seconds: Any) -> None:
    stream, _ = make()
    with pytest.raises(LinewardenError, match="is a number of seconds"):
        read(stream, seconds)


def test_a_loop_takes_over_what_next_has_begun() -> None:
    stream, inlet = make()
    put(inlet, 1, 2, 3)
    stream.close()
    items = stream.with_markers()
    assert next(items) == 1
    assert [*islice(items, 1), next(items)] == [2, 3]
    assert list(items) == [Closed("close() was called")]


# ── the end ─────────────────────────────────────────────────────────────────────────────────────


def test_iteration_ends_quietly_after_close() -> None:
    stream, inlet = make()
    with stream:
        put(inlet, 1, 2)
    assert stream.closed
    assert list(stream) == [1, 2]
    assert list(stream) == []
    with pytest.raises(StreamClosed, match="close"):
        stream.get()


def test_iteration_raises_when_the_end_was_not_asked_for() -> None:
    stream, inlet = make()
    put(inlet, 1)
    end(stream, "the supervisor died", quiet=False)
    events = iter(stream)
    assert next(events) == 1
    with pytest.raises(StreamClosed, match="the supervisor died"):
        next(events)
    with pytest.raises(StreamClosed, match="the supervisor died"):
        list(stream.with_meta())


def test_closing_from_another_thread_wakes_a_blocked_reader(pool: ThreadPoolExecutor) -> None:
    stream, _ = make()
    waiting = blocked(pool, stream, lambda: list(stream))
    stream.close()
    assert waiting.result(10) == []


def test_closing_wakes_a_blocked_get(pool: ThreadPoolExecutor) -> None:
    stream, _ = make()
    waiting = blocked(pool, stream, stream.get)
    stream.close()
    with pytest.raises(StreamClosed):
        waiting.result(10)


def test_a_reader_does_not_wait_on_when_a_signal_handler_has_read_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, _ = make()
    handled: list[Any] = []

    def wait(timeout: float | None) -> bool:
        assert not handled, "it waits again, and nothing more will come"
        stream.close()
        handled.extend(stream.items())
        return True

    monkeypatch.setattr(stream._inlet.ready, "wait", wait)
    with pytest.raises(StreamClosed):
        stream.get()
    assert handled == [Closed("close() was called")]


def test_closed_is_the_last_thing_always() -> None:
    stream, inlet = make()
    put(inlet, 1)
    end(stream, "first", quiet=False)
    end(stream, "second", quiet=True)
    put(inlet, 2)
    inlet.mark(OVERFLOW)
    put(Writer(stream._inlet), 3)  # a new connection that has not heard of the end
    assert list(stream.with_markers()) == [1, Closed("first")]
    assert (stream.received, stream.queued, stream.gap_count) == (1, 0, 0)


def test_closed_is_last_even_where_markers_are_merged() -> None:
    stream, inlet = make("conflate")
    stream._box.marker_bound = 1
    put(inlet, 1)
    inlet.mark(OVERFLOW)
    end(stream, "enough", quiet=True)
    assert list(stream.with_markers()) == [1, OVERFLOW, Closed("enough")]


# ── markers and origins ─────────────────────────────────────────────────────────────────────────


def test_with_markers_shows_everything_in_its_place() -> None:
    stream, inlet = make()
    put(inlet, 1)
    inlet.mark(DOWN)
    inlet.mark(OVERFLOW)
    put(inlet, 2)
    stream.close()
    assert list(stream.with_markers()) == [1, DOWN, OVERFLOW, 2, Closed("close() was called")]
    assert list(stream.with_markers()) == []


def test_with_meta_says_where_an_event_came_from() -> None:
    stream, inlet = make()
    put(inlet, 1)
    inlet.mark(DOWN)
    put(inlet, 2, topic=B)
    stream.close()
    assert list(stream.with_meta()) == [Received(A, 1_000, 7, 1), Received(B, 1_000, 7, 2)]


@pytest.mark.parametrize("read", [Stream.with_meta, Stream.items])
def test_a_signal_handler_that_reads_leaves_each_event_its_topic(
    read: Callable[[Stream[int]], Iterator[Received[int]]],
) -> None:
    stream, inlet = make()
    inlet.inlet.put(inlet.right, Batch([A, B, A], [1, 2, 3], Origin(1_000, 7, 1)), 0.0)
    handled: list[int] = []
    before = signal.signal(signal.SIGINT, lambda *_: handled.append(stream.get(0)))
    reading = read(stream)
    try:
        first = next(reading)
        signal.raise_signal(signal.SIGINT)  # in the middle of the batch
        third = next(reading)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [(first.event, first.topic), handled, (third.event, third.topic)] == [(1, A), [2], (3, A)]


def test_the_newest_gaps_are_kept() -> None:
    stream, inlet = make()
    for number in range(KEPT_GAPS + 500):
        inlet.mark(Gap(A, "sequence", 1, number, number, 1))
    stream.close()
    assert list(stream) == []
    assert [gap.since_ns for gap in stream.gaps] == list(range(500, KEPT_GAPS + 500))
    assert stream.gap_count == KEPT_GAPS + 500


def test_what_a_stream_asks_of_its_runtime() -> None:
    stream, _ = make()
    stream.add("C", "D")
    stream.remove("A")
    assert stream._control.asked == [("widen", ("C", "D")), ("narrow", ("A",))]  # type: ignore[attr-defined]
    assert set(stream.topics) == {A, B}


# ── room ────────────────────────────────────────────────────────────────────────────────────────


def test_reading_makes_room_for_the_lines_that_wait() -> None:
    stream, writer = make(capacity=4)
    calls: list[str] = []
    assert put(writer, 1, 2, 3) is Put.ACCEPTED
    assert put(writer, 4) is Put.PAUSE
    writer.inlet.wake_at_room("o2", lambda: calls.append("room"))
    assert stream.get() == 1
    assert (calls, writer.inlet.pauses) == ([], True)
    assert stream.get() == 2
    assert (calls, writer.inlet.pauses) == (["room"], False)
    stream.get()
    assert calls == ["room"]  # said once


def test_closing_a_full_stream_lets_its_lines_go_on() -> None:
    stream, writer = make(capacity=1)
    calls: list[str] = []
    assert put(writer, 1) is Put.PAUSE
    writer.inlet.wake_at_room("o2", lambda: calls.append("room"))
    stream.close()
    assert (calls, writer.inlet.pauses) == (["room"], False)
    assert put(writer, 2) is Put.REFUSED


def test_a_stream_that_was_cut_says_so_until_its_topic_starts_anew() -> None:
    stream, writer = make("block", capacity=2, deltas=True)
    put(writer, 1, 2)
    writer.inlet.overflow(writer.right, writer.inlet.full_since)
    assert put(writer, 3, 4) is Put.CUT  # it has held its line for long enough
    assert stream.is_cut
    assert stream.get_many(2) == [1, 2]
    assert put(writer, 5) is Put.CUT  # of no use until the topic starts again; and no reason to stop reading
    with pytest.raises(Timeout):
        stream.get(timeout=0)
    writer.inlet.resume(writer.right, A)
    assert not stream.is_cut
    put(writer, 6)
    assert stream.get() == 6
    assert [gap.missed for gap in stream.gaps] == [3]


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest", "conflate"])
def test_the_counters_reconcile_while_two_threads_are_at_it(policy: Policy, pool: ThreadPoolExecutor) -> None:
    stream, inlet = make(policy, capacity=50)
    unreconciled: list[object] = []

    def write() -> None:
        for number in range(3_000):
            put(inlet, 2 * number, 2 * number + 1, order=number, topic=(A, B)[number % 2])
            if number % 100 == 0:
                inlet.mark(DOWN)
            it = stream._inlet.status()
            if it.received != it.delivered + it.dropped + it.conflated + it.queued:
                unreconciled.append(it)
        stream.close()

    writing = pool.submit(write)
    events: dict[Topic, list[int]] = {A: [], B: []}
    for received in stream.with_meta():
        events[received.topic].append(received.event)
    writing.result(10)
    assert unreconciled == []
    assert all(numbers == sorted(numbers) for numbers in events.values())
    assert stream.received == 6_000 == stream.delivered + stream.dropped + stream.conflated
    assert stream.delivered == sum(map(len, events.values()))
    assert sum(gap.missed or 0 for gap in stream.gaps) == stream.dropped or stream.gap_count > KEPT_GAPS
    assert stream.queued == 0


# ── a forked child ──────────────────────────────────────────────────────────────────────────────


def in_a_child(say: Callable[[], str]) -> str:
    """What a forked child of this process has to say."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, say().encode())
        except BaseException as error:
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    "read",
    [
        lambda stream: stream.get(),
        lambda stream: stream.get_many(5),
        lambda stream: next(iter(stream)),
        lambda stream: next(stream.with_markers()),
        lambda stream: next(merge(Arrivals(), stream)),
    ],
    ids=["get", "get_many", "iter", "with_markers", "merge"],
)
def test_a_forked_child_is_told_what_to_do(read: Callable[[Stream[int]], object]) -> None:
    stream, inlet = make()
    assert in_a_child(lambda: str(read(stream))) == ForkError.__name__
    put(inlet, 1)
    assert in_a_child(lambda: str(read(stream))) == ForkError.__name__  # nor is anything read twice
    assert stream.get() == 1


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    "read",
    [
        Stream.__iter__,
        Stream.with_markers,
        Stream.with_meta,
        Stream.items,
        lambda stream: merge(Arrivals(), stream),
        lambda stream: iter(stream.get, None),
    ],
    ids=["iter", "with_markers", "with_meta", "items", "merge", "get"],
)
@pytest.mark.parametrize("left", [0, 2], ids=["nothing waits", "events wait"])
@pytest.mark.parametrize("locked", [False, True], ids=["free", "locked"])
def test_a_reader_that_has_begun_does_not_go_on_in_a_child(
    read: Callable[[Stream[int]], Iterator[object]], left: int, locked: bool
) -> None:
    stream, inlet = make()
    put(inlet, 0, *range(left))
    reading = read(stream)
    next(reading)
    with stream._inlet.ready if locked else contextlib.nullcontext():
        said = in_a_child(lambda: _in_a_thread(lambda: next(reading)))
    assert said == ForkError.__name__


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_wait_for_a_lock_that_stayed_locked() -> None:
    stream, _ = make()
    with stream._inlet.ready:  # a line is at it while another thread forks
        said = in_a_child(lambda: _in_a_thread(lambda: list(islice(stream, 1))))
    assert said == ForkError.__name__


def _in_a_thread(read: Callable[[], object]) -> str:
    said: list[str] = []

    def run() -> None:
        try:
            said.append(str(read()))
        except ForkError as error:
            said.append(type(error).__name__)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    return "".join(said) or "it hangs"


# ── events that are called back ─────────────────────────────────────────────────────────────────


class Called(deque[Any]):
    """A reader's hand out of which its events are called back right after a look at them."""

    def __init__(self, look: int, call_back: Callable[[], object]) -> None:
        super().__init__()
        self.look, self.call_back = look, call_back

    def __bool__(self) -> bool:
        full = len(self) > 0
        self.look -= full
        if full and self.look == 0:
            self.call_back()
        return full


@pytest.mark.parametrize("look", range(1, 5))
@pytest.mark.parametrize(
    "read",
    [iter, lambda stream: (each.event for each in stream.with_meta()), lambda stream: iter(stream.get, None)],
    ids=["iteration", "with_meta", "get"],
)
def test_events_that_are_called_back_before_they_are_taken_do_not_end_the_reading(
    look: int, read: Callable[[Stream[int]], Iterator[int]]
) -> None:
    stream, inlet = make("drop_oldest", 2)
    hand = stream._box.hand = Called(look, lambda: put(inlet, 3))
    stream._taking = map(call, repeat(hand.popleft))
    put(inlet, 1, 2)
    events = read(stream)
    heard = [next(events)]
    while heard[-1] < 2:
        heard.append(next(events))
    if stream.received == 3:
        heard.append(next(events))
    assert heard == list(range(heard[0], heard[-1] + 1))
    assert stream.received == stream.delivered + stream.dropped
