"""What waits for too long is given up, counted and marked, in whatever order it is put and taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LinewardenError
from actors.events import Gap, Lifecycle, Marker, Topic
from actors.protocol.venue import Channel
from actors.rules.stream_buffer import (
    AgingBuffer,
    BatchRun,
    ConflatingBuffer,
    FifoBuffer,
    Origin,
    Policy,
    StreamBuffer,
)
from actors.rules.stream_policy import checked_age
from tests.support.batches import batch_of

A, B, C = TOPICS = tuple(Topic("o2", "trades", key) for key in "ABC")
LIMIT = 10.0


class Event(NamedTuple):
    topic: Topic
    n: int  # of its topic
    at: float


class Clocked:
    """A buffer whose events may wait for `LIMIT` seconds, and what became of each."""

    def __init__(self, buffer: StreamBuffer) -> None:
        self.buffer = buffer
        self.now = 0.0
        self.puts: Counter[Topic] = Counter()
        self.batches = 0
        self.out: list[Event | Marker] = []

    def put(self, topics: list[Topic]) -> None:
        pairs = []
        for topic in topics:
            self.puts[topic] += 1
            pairs.append((topic, Event(topic, self.puts[topic], self.now)))
        self.batches += 1
        self.buffer.drop_before(self.now - LIMIT)
        if pairs:
            self.buffer.put(batch_of(pairs, Origin(self.batches, 1, self.batches, self.now)))

    def mark(self) -> None:
        self.buffer.mark(Lifecycle("o2", "failed", 1, 0, "", 0))

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def take(self, count: int) -> None:
        for _ in range(count):
            self.buffer.drop_before(self.now - LIMIT)
            if (marker := self.buffer.reach()) is not None:
                self.out.append(marker)
            elif self.buffer.hand:
                event: Event = self.buffer.hand.popleft()
                assert self.now - event.at <= LIMIT
                self.out.append(event)

    def counters_reconcile(self) -> None:
        it = self.buffer
        assert it.received == sum(self.puts.values())
        assert it.received == it.delivered + it.dropped + it.conflated + it.queued
        assert min(it.delivered, it.dropped, it.conflated, it.queued) >= 0

    def waits_since(self, waiting: Iterator[float]) -> None:
        assert self.buffer.waiting_since() == min(waiting, default=None)

    def drain(self) -> None:
        while self.buffer.queued or self.buffer.peek_order() is not None:
            self.take(1)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.sampled_from(TOPICS), max_size=6)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.floats(0.0, 8.0)),
        st.tuples(st.just("mark")),
    ),
    max_size=40,
)


@given(st.sampled_from(["drop_oldest", "drop_newest"]), st.integers(1, 10), steps)
def test_each_event_is_delivered_in_time_or_counted_in_a_gap_before_the_next(
    policy: Policy, capacity: int, steps: list[tuple[str, list[Topic]]]
) -> None:
    buffer = AgingBuffer(capacity, policy)
    clocked = Clocked(buffer)
    for verb, *words in steps:
        getattr(clocked, verb)(*words)
        clocked.counters_reconcile()
        clocked.waits_since(run.since for run in buffer._items if isinstance(run, BatchRun))
    clocked.drain()
    seen: Counter[Topic] = Counter()
    for item in clocked.out:
        match item:
            case Event(topic=topic, n=n):
                seen[topic] += 1
                assert seen[topic] == n
            case Gap(topic=topic, reason="overflow", missed=int(missed)):
                seen[topic] += missed
    assert seen == clocked.puts
    assert buffer.gaps == sum(isinstance(item, Gap) for item in clocked.out)


@given(steps)
def test_of_a_conflating_stream_too_the_newest_that_is_too_old_is_a_gap(
    steps: list[tuple[str, list[Topic]]],
) -> None:
    buffer = ConflatingBuffer(10)
    clocked = Clocked(buffer)
    for verb, *words in steps:
        getattr(clocked, verb)(*words)
        clocked.counters_reconcile()
    clocked.drain()
    gaps = [item for item in clocked.out if isinstance(item, Gap)]
    assert [(gap.reason, gap.missed) for gap in gaps] == [("overflow", 1)] * buffer.dropped
    assert buffer.gaps == buffer.dropped
    last: dict[Topic, int] = {}
    for item in clocked.out:
        if isinstance(item, Event):
            assert item.n > last.get(item.topic, 0)
            last[item.topic] = item.n


def test_what_is_just_as_old_as_it_may_be_is_delivered() -> None:
    clocked = Clocked(AgingBuffer(10, "drop_oldest"))
    clocked.put([A])
    clocked.wait(LIMIT)
    clocked.take(1)
    assert clocked.out == [Event(A, 1, 0.0)]


def test_markers_keep_their_places_among_what_is_given_up() -> None:
    clocked = Clocked(AgingBuffer(10, "drop_oldest"))
    clocked.put([A, B])
    clocked.mark()
    clocked.put([A])
    clocked.wait(LIMIT + 1.0)
    clocked.put([A])
    clocked.take(5)
    told = [(item.topic, item.missed) if isinstance(item, Gap) else type(item) for item in clocked.out]
    assert told == [(A, 1), (B, 1), Lifecycle, (A, 1), Event]


def test_a_full_stream_gives_up_what_is_too_old_before_what_is_new() -> None:
    clocked = Clocked(AgingBuffer(2, "drop_newest"))
    clocked.put([A, A])
    clocked.wait(LIMIT + 1.0)
    clocked.put([A, A])
    clocked.take(3)
    assert [item.n for item in clocked.out if isinstance(item, Event)] == [3, 4]


def test_an_event_in_the_hand_waits_as_well() -> None:
    buffer = FifoBuffer(100, "drop_oldest", deltas=False)
    assert buffer.waiting_since() is None
    buffer.put(batch_of([(A, 1), (A, 2)], Origin(1, 1, 1, 5.0)))
    buffer.put(batch_of([(A, 3)], Origin(2, 1, 2, 7.0)))
    buffer.reach()
    assert buffer.waiting_since() == 5.0
    buffer.hand.clear()
    assert buffer.waiting_since() == 7.0


def test_what_makes_a_topic_whole_waits_since_it_was_put() -> None:
    buffer = FifoBuffer(100, "drop_oldest", deltas=True)
    buffer.put_beyond(batch_of([(A, "book")], Origin(1, 1, 1, 5.0)), 90.0)
    assert buffer.waiting_since() == 90.0
    buffer.reach()
    assert buffer.waiting_since() == 90.0


def test_in_a_conflating_stream_the_oldest_event_counts_wherever_it_stands() -> None:
    buffer = ConflatingBuffer(10)
    assert buffer.waiting_since() is None
    buffer.put(batch_of([(A, 1)], Origin(1, 1, 1, 5.0)))
    buffer.put(batch_of([(B, 1)], Origin(2, 1, 2, 6.0)))
    buffer.put(batch_of([(A, 2)], Origin(3, 1, 3, 7.0)))
    assert buffer.waiting_since() == 6.0
    buffer.reach()
    assert buffer.waiting_since() == 6.0
    buffer.hand.clear()
    assert buffer.waiting_since() == 6.0
    buffer.reach()
    buffer.hand.clear()
    assert buffer.waiting_since() is None


# ── where it is refused ─────────────────────────────────────────────────────────────────────────


def test_a_limit_is_taken_where_events_may_be_given_up() -> None:
    trades = Channel("trades", int, "")
    assert checked_age("o2", trades, "drop_oldest", 2) == 2.0
    assert checked_age("o2", trades, "conflate", 0.5) == 0.5
    assert checked_age("o2", trades, "block", None) == 0.0


@pytest.mark.parametrize(
    ("channel", "policy", "seconds", "why"),
    [
        (Channel("orders", int, "", account=True), "drop_oldest", 1.0, "a channel of an account"),
        (Channel("depth", int, "", deltas=True), "drop_oldest", 1.0, "changes to earlier ones"),
        (Channel("trades", int, ""), "block", 1.0, "gives up no event for its age"),
        (Channel("trades", int, ""), "drop_oldest", 0.0, "seconds above 0"),
        (Channel("trades", int, ""), "drop_oldest", True, "seconds above 0"),
    ],
    ids=["account", "deltas", "block", "zero", "bool"],
)
def test_elsewhere_a_limit_is_refused_with_the_reason(
    channel: Channel, policy: Policy, seconds: float, why: str
) -> None:
    with pytest.raises(LinewardenError, match=why):
        checked_age("o2", channel, policy, seconds)
