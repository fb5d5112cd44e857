"""A reader takes out of its hand without the lock while a line overflows the stream."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from actors import Gap, StreamClosed, Timeout, Topic
from actors.events import Lifecycle
from actors.rules.stream_buffer import GapRun, Origin, Policy
from actors.stream import Stream
from tests.delivery.streams import Writer
from tests.support.batches import Pair
from tests.support.counters import stream_reconciles
from tests.test_stream import end, make

TOPICS = tuple(Topic("o2", "trades", key) for key in "ABC")
EVENTS = 5_000  # and three times the capacity, at least


class Event(NamedTuple):
    topic: Topic
    n: int  # of its topic, from 1


Reader = Callable[[Stream[Any], random.Random], Iterator[Any]]


def iterating(stream: Stream[Any], chance: random.Random) -> Iterator[Any]:
    yield from stream


def getting(stream: Stream[Any], chance: random.Random) -> Iterator[Any]:
    while True:
        try:
            yield stream.get(timeout=chance.choice((None, 0.0, 0.001)))
        except Timeout:
            continue
        except StreamClosed:
            return


def getting_many(stream: Stream[Any], chance: random.Random) -> Iterator[Any]:
    while True:
        try:
            yield from stream.get_many(chance.randint(1, 40))
        except StreamClosed:
            return


def with_markers(stream: Stream[Any], chance: random.Random) -> Iterator[Any]:
    yield from stream.with_markers()


def with_meta(stream: Stream[Any], chance: random.Random) -> Iterator[Any]:
    for received in stream.with_meta():
        assert received.epoch == 1
        assert received.topic == received.event.topic
        yield received.event


def changing_its_mind(stream: Stream[Any], chance: random.Random) -> Iterator[Any]:
    """One reader, each way of reading in turn."""
    while not stream.closed:
        way = chance.choice((iterating, with_meta))
        for _, item in zip(range(chance.randint(1, 50)), way(stream, chance), strict=False):
            yield item
        try:
            yield from stream.get_many(chance.randint(1, 40))
        except StreamClosed:
            return
    yield from stream


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Threads are switched as often as it goes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def put_everything(writer: Writer, capacity: int, chance: random.Random) -> Counter[Topic]:
    """Numbered events in batches of every size, with markers among them; how many of each topic."""
    sent: Counter[Topic] = Counter()
    order = 0
    while sent.total() < max(EVENTS, 3 * capacity):
        order += 1
        pairs: list[Pair] = []
        for _ in range(chance.randint(1, max(30, capacity // 20))):
            topic = chance.choice(TOPICS)
            sent[topic] += 1
            pairs.append((topic, Event(topic, sent[topic])))
        writer.put(pairs, Origin(order, 1, order))
        what = chance.random()
        if what < 0.05:
            writer.mark(Lifecycle("o2", "connected", 1, order, "", 0))
        elif what < 0.1:
            spans = [(topic, order) for topic in TOPICS]
            writer.inlet.mark_gaps(writer.right, GapRun(spans, "disconnect", order, 1))
    return sent


def race(stream: Stream[Any], writer: Writer, read: Reader, seed: int) -> tuple[list[Any], Counter[Topic]]:
    """All that the reader was given, and all that was put; every status meanwhile has reconciled."""
    out: list[Any] = []
    unreconciled: list[Any] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            status = stream._inlet.status()
            if not stream_reconciles(status) or min(status.delivered, status.queued) < 0:
                unreconciled.append(status)

    threads = [
        threading.Thread(target=lambda: out.extend(read(stream, random.Random(seed))), daemon=True),
        threading.Thread(target=look, daemon=True),
    ]
    for thread in threads:
        thread.start()
    sent = put_everything(writer, stream.capacity, random.Random(seed))
    end(stream, "over", quiet=True)
    threads[0].join(30)
    over.set()
    threads[1].join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert not unreconciled
    return out, sent


def order_is_kept(out: list[Any]) -> None:
    last: Counter[Topic] = Counter()
    for item in out:
        if isinstance(item, Event):
            assert item.n > last[item.topic], f"{item} after {last[item.topic]}"
            last[item.topic] = item.n


def every_loss_stands_in_its_place(out: list[Any], sent: Counter[Topic]) -> None:
    seen: Counter[Topic] = Counter()
    for item in out:
        if isinstance(item, Gap) and item.reason == "overflow":
            assert item.missed is not None
            seen[item.topic] += item.missed
        elif isinstance(item, Event):
            seen[item.topic] += 1
            assert item.n == seen[item.topic], f"{item} where {seen[item.topic]} was due"
    assert seen == sent


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("capacity", [40, 1_600])
@pytest.mark.parametrize(
    "read", [iterating, getting, getting_many, with_markers, with_meta, changing_its_mind]
)
@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "conflate", "block"])
def test_a_reader_who_races_an_overflow_misses_nothing_unmarked(
    policy: Policy, read: Reader, capacity: int, seed: int
) -> None:
    stream, writer = make(policy, capacity)
    out, sent = race(stream, writer, read, seed)
    events = [item for item in out if isinstance(item, Event)]
    order_is_kept(out)
    assert len(set(events)) == len(events), "something came twice"
    status = stream._inlet.status()
    assert status.received == sum(sent.values())
    assert status.delivered == len(events)
    assert status.received == status.delivered + status.dropped + status.conflated
    assert sum(gap.missed or 0 for gap in stream.gaps) == status.dropped or status.gaps > 1_000
    if read is with_markers and policy != "conflate":
        every_loss_stands_in_its_place(out, sent)
