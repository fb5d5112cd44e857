"""One consumer's buffer: its reader, the thread that fills it, and those who end it or look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from actors import Gap, StreamClosed, stream
from actors.events import Closed
from actors.rules import mailbox
from actors.rules.mailbox import Line
from actors.stream import Stream
from tests.stories.books import stream_balances
from tests.support.interleave import Built, explore
from tests.test_stream import drained, make, put

WATCHED = (stream, mailbox)


def full(capacity: int, *, policy: mailbox.Policy = "drop_oldest", handful: int = 2) -> Any:
    """A stream with the events 1 to capacity, whose reader takes so many at once."""
    made, inlet = make(policy, capacity)
    made._mailbox.handful = handful
    put(inlet, *range(1, capacity + 1))
    return made, inlet


def iterating(made: Stream[int]) -> Iterable[object]:
    return made


def getting(made: Stream[int]) -> Iterable[object]:
    while True:
        try:
            yield made.get()
        except StreamClosed:
            return


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


@pytest.mark.parametrize("read", [iterating, getting, getting_many, with_meta, with_markers])
def test_an_overflow_takes_back_what_the_reader_holds(
    read: Callable[[Stream[int]], Iterable[object]],
) -> None:
    """Each event is delivered once and in its order, or counted in a gap that stands in its place."""

    def overflowing() -> Built:
        made, inlet = full(4, handful=3)
        got: list[object] = []

        def reader() -> None:
            got.extend(read(made))

        def writer() -> None:
            put(inlet, 5, 6)
            made.end("over", quiet=True)

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


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
def test_the_books_balance_at_any_moment(policy: mailbox.Policy) -> None:
    def looking() -> Built:
        made, inlet = full(3, policy=policy)

        def reader() -> None:
            made.get()

        def writer() -> None:
            put(inlet, 4)

        def looker() -> None:
            status = made.status()
            assert stream_balances(status)
            assert min(status.delivered, status.queued, status.dropped) >= 0

        return [reader, writer, looker], lambda: None

    explore(looking, *WATCHED)


def test_what_was_received_before_the_end_is_delivered() -> None:
    def ending() -> Built:
        made, inlet = make()
        got: list[object] = []

        def reader() -> None:
            got.extend(made.with_markers())

        def writer() -> None:
            put(inlet, 1, 2)

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
        made, _ = make()
        got: list[object] = []

        def reader() -> None:
            got.extend(made.with_markers())

        def one() -> None:
            made.end("one", quiet=True)

        def other() -> None:
            made.end("other", quiet=True)

        def check() -> None:
            assert got == [Closed(made.end_reason or "")]

        return [reader, one, other], check

    explore(ending_twice, *WATCHED)


def test_a_fenced_writer_writes_nothing_more() -> None:
    def fencing() -> Built:
        made, former = make()

        def old() -> None:
            put(former, 1)
            put(former, 2)

        def new() -> None:
            inlet = made.open_inlet()
            put(inlet, 10)
            put(inlet, 11)

        def check() -> None:
            made.end("over", quiet=True)
            got = list(made)
            assert got in ([10, 11], [1, 10, 11], [1, 2, 10, 11])
            assert made.received == len(got)

        return [old, new], check

    explore(fencing, *WATCHED)


def test_nothing_is_written_behind_the_end_through_a_new_inlet() -> None:
    def reopening() -> Built:
        made, _ = make()

        def closer() -> None:
            made.close()

        def new() -> None:
            put(made.open_inlet(), 1)

        def check() -> None:
            *events, last = made.with_markers()
            assert isinstance(last, Closed)
            assert events == [1][: made.received]

        return [closer, new], check

    explore(reopening, *WATCHED)


def test_a_writer_that_is_held_learns_of_the_room() -> None:
    def holding() -> Built:
        made, inlet = full(2, policy="block", handful=1)
        held: list[bool] = []

        def writer() -> None:
            held.append(put(inlet, 3))

        def reader() -> None:
            for _ in range(3):
                made.get()

        def check() -> None:
            assert drained(made) or held == [False]

        return [writer, reader], check

    explore(holding, *WATCHED)


def test_a_stream_that_overflows_lets_its_line_go_on() -> None:
    def overflowing() -> Built:
        made, inlet = full(2, policy="block", handful=1)

        def writer() -> None:
            put(inlet, 3)
            put(inlet, 4)

        def keeper() -> None:
            inlet.overflow()

        def check() -> None:
            made.end("over", quiet=True)
            got = list(made)
            assert got == [1, 2, 3, 4][: len(got)]
            assert made.dropped == 4 - len(got) == sum(gap.missed or 0 for gap in made.gaps)

        return [writer, keeper], check

    explore(overflowing, *WATCHED)


def test_a_cut_topic_starts_anew_for_a_reader_that_reads_on() -> None:
    def resuming() -> Built:
        made, inlet = make("drop_oldest", 2, deltas=True)
        put(inlet, 1, 2)
        put(inlet, 3)  # no room: the topic is cut
        got: list[object] = []

        def reader() -> None:
            got.extend(made.with_markers())

        def writer() -> None:
            for topic in inlet.cut():
                inlet.resume(topic)
            put(inlet, 4)
            made.end("over", quiet=True)

        def check() -> None:
            assert isinstance(made._mailbox, Line)
            events = [item for item in got if isinstance(item, int)]
            gaps = [item for item in got if isinstance(item, Gap)]
            assert events[:2] == [1, 2]
            assert isinstance(got[2], Gap)
            assert len(events) + sum(gap.missed or 0 for gap in gaps) == 4 == made.received

        return [reader, writer], check

    explore(resuming, *WATCHED)
