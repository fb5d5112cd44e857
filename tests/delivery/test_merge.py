"""Several streams read as one: in the order of arrival, whatever their lines are doing meanwhile."""

from __future__ import annotations

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
from actors.errors import StreamClosed
from actors.events import Gap, Topic
from actors.rules.stream_buffer import Origin, Policy
from actors.stream import Stream
from tests.delivery.streams import A, B, C, Writer
from tests.test_stream import blocked, end, make, put

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


@settings(max_examples=50, deadline=None)
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
    assert seen == [0, 1, 2, 3]
    assert lines > 30
