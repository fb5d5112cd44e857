"""Several streams read as one: in the order of arrival, whatever their lines are doing meanwhile."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.merge import merge
from actors.errors import StreamClosed, Timeout
from actors.events import Closed, Gap, Lifecycle, Received, Topic
from actors.rules.stream_buffer import Origin, Policy
from actors.stream import Marked, Stream
from tests.delivery.streams import A, B, C, Writer
from tests.support.examples import examples
from tests.test_stream import DOWN, blocked, end, make, put

OVERFLOW = Gap(A, "overflow", 3, 1, 2, 1)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def events(*streams: Stream[Any], arrivals: Arrivals | None = None) -> list[Any]:
    return [received.event for received in merge(arrivals or Arrivals(), *streams)]


def test_merge_gives_the_order_of_arrival() -> None:
    (first, one), (second, two) = make(id=1), make(id=2)
    put(two, 20, 21, order=1)
    put(one, 10, order=2)
    put(two, 22, order=3)
    one.mark(OVERFLOW)
    put(one, 11, order=4)
    first.close()
    second.close()
    assert events(first, second) == [20, 21, 10, 22, 11]
    assert first.gaps == (OVERFLOW,)


def test_events_of_one_read_come_in_their_order() -> None:
    (trades, one), (quotes, two) = make(id=1), make(id=2)
    one.put([(A, "t1"), (A, "t3")], Origin(1, 1, 1), (0, 2))
    two.put([(B, "q2"), (B, "q4")], Origin(1, 1, 1), (1, 3))
    trades.close()
    quotes.close()
    assert events(trades, quotes) == ["t1", "q2", "t3", "q4"]


def test_merge_lives_as_long_as_any_of_its_streams(pool: ThreadPoolExecutor) -> None:
    (first, one), (second, two) = make(id=1), make(id=2)
    merged = merge(Arrivals(), first, second)
    put(one, 1)
    assert next(merged).event == 1
    first.close()
    waiting = blocked(pool, second, lambda: [received.event for received in merged])
    put(two, 2)
    second.close()
    assert waiting.result(10) == [2]
    assert (first._inlet.wakers, second._inlet.wakers) == ((), ())


def test_merge_passes_over_streams_that_are_over() -> None:
    (first, _), (second, two) = make(id=1), make(id=2)
    first.close()
    assert list(first) == []
    put(two, 2)
    second.close()
    assert events(first, second) == [2]
    assert events(first, second) == []
    assert events() == []


def test_an_end_that_was_not_asked_for_is_raised_behind_the_events_of_the_others() -> None:
    (first, one), (second, two) = make(id=1), make(id=2)
    put(one, 1, order=3)
    put(two, 2, order=1)
    end(second, "the supervisor died", quiet=False)
    merged = merge(Arrivals(), first, second)
    assert [next(merged).event for _ in range(2)] == [2, 1]
    put(one, 3, order=4)
    first.close()
    assert next(merged).event == 3
    with pytest.raises(StreamClosed, match="the supervisor died"):
        next(merged)
    with pytest.raises(StreamClosed, match="the supervisor died"):
        next(merge(Arrivals(), second))


# ── markers ─────────────────────────────────────────────────────────────────────────────────────


def test_markers_say_in_which_stream_they_stand() -> None:
    (first, one), (second, two) = make(id=1), make(id=2)
    put(one, 10, order=1)
    one.mark(DOWN)
    put(one, 11, order=4)
    put(two, 20, order=2)
    two.mark(DOWN)
    two.mark(OVERFLOW)
    first.close()
    end(second, "its feed was removed", quiet=False)
    told = [
        item.event if isinstance(item, Received) else (item.stream.id, item.marker)
        for item in merge(Arrivals(), first, second, markers=True)
    ]
    assert told == [
        10,
        (1, DOWN),
        20,
        (2, DOWN),
        (2, OVERFLOW),
        (2, Closed("its feed was removed")),
        11,
        (1, Closed("close() was called")),
    ]
    assert second.gaps == (OVERFLOW,)


def test_markers_are_matched_like_events() -> None:
    (trades, one), (orders, two) = make(id=1), make(id=2)
    put(one, 10)
    two.mark(DOWN)
    trades.close()
    end(orders, "its feed was removed", quiet=False)
    seen = list[str]()
    for item in merge(Arrivals(), trades, orders, markers=True):
        match item:
            case Received(event=int(price)):
                seen.append(f"traded at {price}")
            case Marked(stream, Lifecycle(state="disconnected")):
                seen.append(f"stream {stream.id} is blind")
            case Marked(stream, Closed(reason)) if stream is orders:
                seen.append(reason)
    assert seen == ["stream 2 is blind", "its feed was removed", "traded at 10"]


def test_an_end_that_was_read_before_is_not_shown_again() -> None:
    (first, _), (second, _) = make(id=1), make(id=2)
    end(first, "the supervisor died", quiet=False)
    assert [type(item) for item in first.with_markers()] == [Closed]
    second.close()
    (last,) = merge(Arrivals(), first, second, markers=True)
    assert (last.stream, last.marker) == (second, Closed("close() was called"))  # type: ignore[union-attr]


# ── a timeout ───────────────────────────────────────────────────────────────────────────────────


def test_a_silence_raises_and_the_next_loop_goes_on() -> None:
    (first, one), (second, two) = make(id=1), make(id=2)
    merged = merge(Arrivals(), first, second, timeout=0.01)
    assert iter(merged) is merged
    for number in range(3):
        with pytest.raises(Timeout, match=r"nothing on o2/trades, o2/trades within 0\.01 s"):
            next(merged)
        assert first._inlet.wakers == ()
        put(one, number, order=2)
        put(two, -number, order=1)
        seen = list[Any]()
        with pytest.raises(Timeout):  # noqa: PT012
            for received in merged:
                seen.append(received.event)
        assert seen == [-number, number]
    first.close()
    second.close()
    assert list(merged) == []


@pytest.mark.parametrize("markers", [False, True])
def test_a_marker_ends_a_silence_where_markers_are_wanted(markers: bool) -> None:
    (first, one), (second, _) = make(id=1), make(id=2)
    one.mark(DOWN)
    merged = merge(Arrivals(), first, second, markers=markers, timeout=0)
    if markers:
        assert next(merged) == Marked(first, DOWN)
    with pytest.raises(Timeout):
        next(merged)
    assert first._box.peek_order() is None


@pytest.mark.parametrize("timeout", [None, math.inf, 1e300])
def test_a_timeout_without_an_end_waits(timeout: float | None, pool: ThreadPoolExecutor) -> None:
    (first, one), (second, _) = make(id=1), make(id=2)
    merged = merge(Arrivals(), first, second, timeout=timeout)
    waiting = blocked(pool, second, lambda: next(merged))
    put(one, 1)
    assert waiting.result(10).event == 1


def test_a_timeout_of_nothing_gives_what_is_there() -> None:
    (first, one), (second, two) = make(id=1), make(id=2)
    put(one, 1, order=2)
    put(two, 2, order=1)
    merged = merge(Arrivals(), first, second, timeout=0)
    assert [next(merged).event for _ in range(2)] == [2, 1]
    with pytest.raises(Timeout):
        next(merged)


def test_a_batch_that_is_never_delivered_is_a_silence_too() -> None:
    arrivals, hung = Arrivals(), Right()
    (first, one), (second, _) = make(id=1), make(id=2)
    arrivals.begin(hung)
    put(one, 1, order=arrivals.begin(one.right))
    arrivals.end(one.right)
    merged = merge(arrivals, first, second, timeout=0.01)
    with pytest.raises(Timeout):
        next(merged)
    arrivals.revoke(hung)
    assert next(merged).event == 1


def test_a_silence_of_many_streams_names_some() -> None:
    streams = [make(id=id)[0] for id in range(1, 9)]
    with pytest.raises(Timeout, match="o2/trades and 3 more within 0 s"):
        next(merge(Arrivals(), *streams, timeout=0))


def test_the_end_is_raised_again_by_the_next_loop() -> None:
    (first, _), (second, _) = make(id=1), make(id=2)
    end(first, "the supervisor died", quiet=False)
    merged = merge(Arrivals(), first, second, timeout=0)
    with pytest.raises(Timeout):
        next(merged)
    second.close()
    for _ in range(2):
        with pytest.raises(StreamClosed, match="the supervisor died"):
            list(merged)


# ── a batch that is still being delivered ───────────────────────────────────────────────────────


@pytest.mark.parametrize("over", [Arrivals.end, Arrivals.give_up, Arrivals.revoke])
def test_merge_waits_for_a_batch_that_arrived_before(over: Any, pool: ThreadPoolExecutor) -> None:
    """Until its buffers are filled, or its writer has ended or was given up."""
    arrivals, slow = Arrivals(), Right()
    (first, one), (second, two) = make(id=1), make(id=2)
    before = arrivals.begin(slow)
    put(one, 2, order=arrivals.begin(one.right))
    arrivals.end(one.right)
    merged = merge(arrivals, first, second)
    reading = Reading(arrivals)
    waiting = pool.submit(next, merged)
    reading.waits()
    put(two, 1, order=before)
    over(arrivals, slow)
    assert waiting.result(10).event == 1
    assert next(merged).event == 2


class Reading:
    """Tells when a thread waits for a batch to be complete."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._waiting = threading.Event()
        wait = arrivals.changed.wait

        def waits(timeout: float | None = None) -> bool:
            self._waiting.set()
            return wait(timeout)

        arrivals.changed.wait = waits  # type: ignore[method-assign]

    def waits(self) -> None:
        assert self._waiting.wait(10)


def test_what_was_replaced_meanwhile_does_not_let_a_later_event_pass() -> None:
    """Between two looks a newer event took the place of the next one; a batch between them is on its way."""
    arrivals, slow = Arrivals(), Right()
    (first, one), (second, two) = make("conflate", id=1), make(id=2)
    put(one, 1, order=arrivals.begin(one.right))
    arrivals.end(one.right)
    is_complete = arrivals.is_complete

    def complete_and_overtaken(number: int) -> bool:
        answer = is_complete(number)
        if number == 1:
            between = arrivals.begin(slow)
            put(one, 3, order=arrivals.begin(one.right))
            arrivals.end(one.right)
            arrivals.is_complete = is_complete  # type: ignore[method-assign]
            threading.Thread(target=deliver, args=(between,), daemon=True).start()
        return answer

    def deliver(order: int) -> None:
        reading.waits()
        put(two, 2, order=order)
        arrivals.end(slow)

    reading = Reading(arrivals)
    arrivals.is_complete = complete_and_overtaken  # type: ignore[method-assign]
    merged = merge(arrivals, first, second)
    assert [next(merged).event for _ in range(2)] == [2, 3]


# ── any order, any split ────────────────────────────────────────────────────────────────────────

batches = st.lists(st.lists(st.sampled_from((A, B, C)), min_size=1, max_size=5), max_size=25)


@settings(max_examples=examples(50), deadline=None)
@given(st.tuples(batches, batches), st.sampled_from(["block", "drop_oldest"]), st.sampled_from([3, 1_000]))
def test_two_lines_and_three_streams_merge_in_the_order_of_arrival(
    lines: tuple[list[list[Topic]], list[list[Topic]]], policy: Policy, capacity: int
) -> None:
    """Each line numbers its batches under the lock and then fills the streams; one of each topic."""
    arrivals, numbered = Arrivals(), list[tuple[int, int]]()
    streams = {topic: make(policy, capacity, id=id) for id, topic in enumerate((A, B, C), 1)}

    def write(mine: list[list[Topic]]) -> None:
        right = Right()
        for batch in mine:
            number = arrivals.begin(right)
            numbered.extend((number, index) for index in range(len(batch)))
            for topic in dict.fromkeys(batch):
                indexes = [index for index, other in enumerate(batch) if other == topic]
                pairs = [(topic, (number, index)) for index in indexes]
                Writer(streams[topic][1].inlet, right).put(pairs, Origin(1, 1, number), indexes)
            arrivals.end(right)

    def run() -> None:
        writers = [threading.Thread(target=write, args=(mine,), daemon=True) for mine in lines]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(10)
        for stream, _ in streams.values():
            stream.close()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        runner = threading.Thread(target=run, daemon=True)
        runner.start()
        merged = events(*(stream for stream, _ in streams.values()), arrivals=arrivals)
        runner.join(10)
    finally:
        sys.setswitchinterval(before)
    assert all(earlier < later for earlier, later in pairwise(merged))
    dropped = sum(stream.dropped for stream, _ in streams.values())
    assert len(merged) + dropped == len(numbered)
    if policy == "block":
        assert merged == sorted(numbered)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((A, B, C)), st.sampled_from(["event", "marker"])), max_size=40),
    st.sampled_from(["block", "drop_oldest", "conflate"]),
)
def test_each_marker_stands_among_the_events_of_its_stream_as_in_that_stream(
    written: list[tuple[Topic, str]], policy: Policy
) -> None:
    def fill() -> list[Stream[Any]]:
        made = {topic: make(policy, 5, id=id) for id, topic in enumerate((A, B, C), 1)}
        for number, (topic, kind) in enumerate(written, 1):
            stream, writer = made[topic]
            if kind == "event":
                put(writer, number, order=number, topic=topic)
            else:
                writer.mark(Gap(topic, "sequence", number, number, number, 1))
        for stream, _ in made.values():
            stream.close()
        return [stream for stream, _ in made.values()]

    alone = {stream.id: list(stream.with_markers()) for stream in fill()}
    together = fill()
    by_topic = {topic: stream.id for topic, stream in zip((A, B, C), together, strict=True)}
    merged: dict[int, list[Any]] = {stream.id: [] for stream in together}
    numbers = list[int]()
    for item in merge(Arrivals(), *together, markers=True):
        if isinstance(item, Received):
            numbers.append(item.event)
            merged[by_topic[item.topic]].append(item.event)
        else:
            merged[item.stream.id].append(item.marker)
    assert merged == alone
    assert numbers == sorted(numbers)
    again = fill()
    assert events(*again) == numbers  # without markers the same events come, in the same order


def test_a_reader_that_is_interrupted_lets_writers_go_on(pool: ThreadPoolExecutor) -> None:
    """As by a signal handler, which may stop the runtime: at each line that has not locked the stream."""
    (first, one), (second, _) = make(id=1), make(id=2)
    lines = 0

    def interrupt(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if event == "line" and not first._inlet.lock._is_owned():  # type: ignore[attr-defined]
            lines += 1
            pool.submit(put, one, lines, order=lines).result(10)
        return interrupt

    put(one, 0, order=0)
    pool.submit(int).result()  # its thread is there
    former = sys.gettrace()
    sys.settrace(interrupt)
    try:
        merged = merge(Arrivals(), first, second)
        seen = [next(merged).event for _ in range(4)]
    finally:
        sys.settrace(former)
    first._inlet.close("the test is over", quiet=True)  # it is full: this thread could not wait for its feed
    assert seen == [0, 1, 2, 3]
    assert lines > 30
