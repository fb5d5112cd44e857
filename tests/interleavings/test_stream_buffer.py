"""One consumer's buffer: its reader, the lines that fill it, and other threads that end it or look at it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from actors import Gap, StreamClosed, Timeout
from actors.delivery.inlet import Inlet, Put
from actors.events import Closed
from actors.rules.stream_buffer import FifoBuffer, Policy
from actors.stream import Stream
from tests.interleavings.pieces import WATCHED, Writer, end, make
from tests.support.counters import stream_reconciles
from tests.support.interleave import Built, explore


def full(
    capacity: int, *, policy: Policy = "drop_oldest", handful: int = 2
) -> tuple[Stream[Any], Inlet, Writer]:
    """A stream with the events 1 to capacity, whose reader takes so many at once."""
    made, inlet = make(policy, capacity, handful=handful)
    line = Writer()
    line.put(inlet, *range(1, capacity + 1))
    return made, inlet, line


def iterating(made: Stream[int]) -> Iterable[object]:
    return made


def getting_many(made: Stream[int]) -> Iterable[object]:
    while True:
        try:
            yield from made.get_many(2)
        except StreamClosed:
            return


def with_meta(made: Stream[int]) -> Iterable[object]:
    return (received.event for received in made.with_meta())


def with_markers(made: Stream[int]) -> Iterable[object]:
    return made.with_markers()


@pytest.mark.parametrize("read", [iterating, getting_many, with_meta, with_markers])
def test_an_overflow_takes_back_what_the_reader_holds(
    read: Callable[[Stream[int]], Iterable[object]],
) -> None:
    """Each event is delivered once and in its order, or counted in a gap that stands in its place."""

    def overflowing() -> Built:
        made, inlet, line = full(4, handful=3)
        got: list[object] = []

        def reader() -> None:
            got.extend(read(made))

        def writer() -> None:
            line.put(inlet, 5, 6)
            end(inlet)

        def check() -> None:
            position, events = 0, 0
            for item in got:
                if isinstance(item, int):
                    position, events = position + 1, events + 1
                    assert read is not with_markers or item == position
                elif isinstance(item, Gap):
                    position += item.missed or 0
            only = [item for item in got if isinstance(item, int)]
            assert only == sorted(set(only))
            assert (made.delivered, made.dropped, made.queued) == (events, 6 - events, 0)
            assert sum(gap.missed or 0 for gap in made.gaps) == made.dropped

        return [reader, writer], check

    explore(overflowing, *WATCHED)


@pytest.mark.parametrize(("policy", "preemptions"), [("drop_oldest", 2), ("conflate", 1)])
def test_the_counters_reconcile_at_any_moment(policy: Policy, preemptions: int) -> None:
    def looking() -> Built:
        made, inlet, line = full(3, policy=policy)

        def reader() -> None:
            made.get()

        def writer() -> None:
            line.put(inlet, 4)

        def looker() -> None:
            status = inlet.status()
            assert stream_reconciles(status)
            assert min(status.delivered, status.queued, status.dropped) >= 0

        return [reader, writer, looker], lambda: None

    explore(looking, *WATCHED, preemptions=preemptions)


def test_what_was_received_before_the_end_is_delivered() -> None:
    def ending() -> Built:
        made, inlet = make()
        line = Writer()
        got: list[object] = []

        def reader() -> None:
            got.extend(made.with_markers())

        def writer() -> None:
            line.put(inlet, 1, 2)

        def closer() -> None:
            made.close()

        def check() -> None:
            *events, last = got
            assert isinstance(last, Closed)
            assert events == [1, 2][: made.received]

        return [reader, writer, closer], check

    explore(ending, *WATCHED)


def test_one_of_two_reasons_ends_a_stream() -> None:
    def ending_twice() -> Built:
        made, inlet = make()
        got: list[object] = []

        def reader() -> None:
            got.extend(made.with_markers())

        def one() -> None:
            inlet.close("one", quiet=True)

        def other() -> None:
            inlet.close("other", quiet=True)

        def check() -> None:
            assert got == [Closed(made.end_reason or "")]

        return [reader, one, other], check

    explore(ending_twice, *WATCHED)


def test_a_right_that_is_revoked_is_good_for_nothing_more() -> None:
    """What a writer puts after the revocation goes nowhere, and each put says what became of it."""

    def revoking() -> Built:
        made, inlet = make()
        former, following = Writer(), Writer()
        puts: list[Put] = []
        seen: list[int] = []

        def writer() -> None:
            puts.extend(former.put(inlet, event) for event in (1, 2))

        def supervisor() -> None:
            former.arrivals.revoke(former.right)
            with inlet.ready:  # a put that had begun is over
                seen.append(made.received)
            following.put(inlet, 10)

        def check() -> None:
            end(inlet)
            assert list(made) == [*[1, 2][: seen[0]], 10]
            assert puts.count(Put.ACCEPTED) == seen[0]

        return [writer, supervisor], check

    explore(revoking, *WATCHED)


def test_nothing_is_written_behind_the_end() -> None:
    def closing() -> Built:
        made, inlet = make()
        line = Writer()
        puts: list[Put] = []

        def closer() -> None:
            made.close()

        def writer() -> None:
            puts.append(line.put(inlet, 1))

        def check() -> None:
            *events, last = made.with_markers()
            assert isinstance(last, Closed)
            assert events == [1] * puts.count(Put.ACCEPTED)

        return [closer, writer], check

    explore(closing, *WATCHED)


@pytest.mark.parametrize("read", [iterating, getting_many, with_meta, with_markers])
def test_a_reader_that_waits_gets_what_comes_each_event_once(
    read: Callable[[Stream[int]], Iterable[object]],
) -> None:
    """What is put into the hand of a reader that waits, and what lies behind it."""

    def waiting() -> Built:
        made, inlet = make(capacity=4, handful=2)
        line = Writer()
        got: list[object] = []

        def reader() -> None:
            got.extend(item for item in read(made) if not isinstance(item, Closed))

        def writer() -> None:
            line.put(inlet, 1, 2)
            line.put(inlet, 3)
            end(inlet)

        def check() -> None:
            assert got == [1, 2, 3]
            assert (made.received, made.delivered, made.queued, inlet.sleepers) == (3, 3, 0, 0)

        return [reader, writer], check

    explore(waiting, *WATCHED)


@pytest.mark.parametrize("count", [1, 3])
def test_a_reader_that_waits_is_woken_by_the_only_batch(count: int) -> None:
    """Whether that fits into its hand, or not."""

    def waiting() -> Built:
        made, inlet = make(capacity=4, handful=2)
        line = Writer()
        got: list[object] = []

        def reader() -> None:
            got.append(made.get())

        def writer() -> None:
            line.put(inlet, *range(count))

        def check() -> None:
            assert got == [0]

        return [reader, writer], check

    explore(waiting, *WATCHED)


def test_a_reader_whose_time_is_over_leaves_what_comes_to_the_next_one() -> None:
    def waiting() -> Built:
        made, inlet = make(capacity=4)
        line = Writer()
        got: list[object] = []

        def reader() -> None:
            for _ in range(2):
                with contextlib.suppress(Timeout):
                    got.append(made.get(timeout=1.0))

        def writer() -> None:
            line.put(inlet, 1)
            line.put(inlet, 2)

        def check() -> None:
            end(inlet)
            assert [*got, *made] == [1, 2]

        return [reader, writer], check

    explore(waiting, *WATCHED)


# ── back-pressure ──


@pytest.mark.parametrize("capacity", [2, 4])
def test_a_line_that_pauses_is_woken_by_a_reader(capacity: int) -> None:
    def pausing() -> Built:
        made, inlet, line = full(capacity, policy="block", handful=1)
        woken: list[str] = []
        paused: list[str] = []

        def writer() -> None:
            if line.put(inlet, capacity + 1) is Put.PAUSE:
                paused.append("line")
                inlet.wake_at_room("line", lambda: woken.append("line"))

        def reader() -> None:
            made.get_many(capacity // 2 + 1)

        def check() -> None:
            assert woken == paused
            assert not inlet.pauses

        return [writer, reader], check

    explore(pausing, *WATCHED)


@pytest.mark.parametrize("way", ["close", "overflow"])
def test_a_stream_that_is_full_asks_for_no_pause_once_it_cannot_fill(way: str) -> None:
    """It has ended, or gives up events from now on. A line that pauses looks at this again by itself."""

    def pausing() -> Built:
        made, inlet, line = full(2, policy="block")

        def writer() -> None:
            line.put(inlet, 3)
            inlet.wake_at_room("line", lambda: None)

        def other() -> None:
            if way == "close":
                made.close()
            else:
                inlet.overflow(Writer().right, inlet.full_since)

        def check() -> None:
            assert not inlet.pauses

        return [writer, other], check

    explore(pausing, *WATCHED)


def test_two_lines_that_pause_are_woken_both() -> None:
    def pausing() -> Built:
        made, inlet, line = full(2, policy="block", handful=1)
        woken: list[str] = []

        def pause(name: str) -> None:
            if line.put(inlet, 3) is Put.PAUSE:
                inlet.wake_at_room(name, lambda: woken.append(name))
            else:
                woken.append(name)

        def one() -> None:
            pause("one")

        def other() -> None:
            pause("other")

        def reader() -> None:
            for _ in range(4):
                made.get()

        def check() -> None:
            assert sorted(woken) == ["one", "other"]

        return [one, other, reader], check

    explore(pausing, *WATCHED, preemptions=1)


# ── deltas ──


def test_a_cut_topic_starts_anew_for_a_reader_that_reads_on() -> None:
    def resuming() -> Built:
        made, inlet = make("drop_oldest", 2, deltas=True)
        line = Writer()
        line.put(inlet, 1, 2)
        line.put(inlet, 3)  # no room: the topic is cut
        got: list[object] = []

        def reader() -> None:
            got.extend(made.with_markers())

        def writer() -> None:
            for topic in inlet.cut():
                inlet.resume(line.right, topic)
            line.put(inlet, 4)
            end(inlet)

        def check() -> None:
            assert isinstance(inlet.buffer, FifoBuffer)
            events = [item for item in got if isinstance(item, int)]
            gaps = [item for item in got if isinstance(item, Gap)]
            assert events[:2] == [1, 2]
            assert isinstance(got[2], Gap)
            assert len(events) + sum(gap.missed or 0 for gap in gaps) == 4 == made.received

        return [reader, writer], check

    explore(resuming, *WATCHED)
