"""`merge` yields what several threads put into several streams in the order of its arrival.

One preemption shows the misorder of a merge that does not wait for lower numbers. Two threads
run with two, three threads with one.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from actors.delivery.arrivals import Arrivals
from actors.delivery.merge import merge
from actors.errors import StreamClosed
from actors.rules.stream_buffer import Policy
from tests.interleavings.pieces import WATCHED, Event, Writer, end, make
from tests.support.interleave import Built, explore


def names(merged: list[Event]) -> str:
    return "".join(event.name for event in merged)


def test_one_thread_fills_two_streams() -> None:
    def delivering() -> Built:
        (first, into_first), (second, into_second) = make(), make()
        line = Writer()
        merged: list[Any] = []

        def writer() -> None:
            line.deliver((into_first, "a"))
            line.deliver((into_second, "b"))

        def reader() -> None:
            merged.extend(received.event for received in islice(merge(line.arrivals, first, second), 2))

        def check() -> None:
            assert names(merged) == "ab"

        return [writer, reader], check

    explore(delivering, *WATCHED)


def test_two_threads_fill_two_streams() -> None:
    def delivering() -> Built:
        (first, into_first), (second, into_second) = make(), make()
        arrivals = Arrivals()
        lines = Writer(arrivals), Writer(arrivals)
        merged: list[Any] = []

        def one() -> None:
            lines[0].deliver((into_first, "a"), (into_second, "b"))

        def other() -> None:
            lines[1].deliver((into_second, "c"), (into_first, "d"))

        def reader() -> None:
            merged.extend(received.event for received in islice(merge(arrivals, first, second), 4))

        def check() -> None:
            assert len(merged) == 4
            assert merged == sorted(merged)

        return [one, other, reader], check

    explore(delivering, *WATCHED, preemptions=1)


def test_the_events_of_one_batch_keep_their_order() -> None:
    def delivering() -> Built:
        (first, into_first), (second, into_second) = make(), make()
        line = Writer()
        merged: list[Any] = []

        def writer() -> None:
            line.deliver((into_first, "a"), (into_second, "b"), (into_first, "c"), (into_second, "d"))

        def reader() -> None:
            merged.extend(received.event for received in islice(merge(line.arrivals, first, second), 4))

        def check() -> None:
            assert names(merged) == "abcd"

        return [writer, reader], check

    explore(delivering, *WATCHED)


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
def test_an_event_that_takes_the_place_of_another_is_not_brought_forward(policy: Policy) -> None:
    """The reader may have looked at one that has been given up since."""

    def overflowing() -> Built:
        (first, into_first), (second, into_second) = make(policy, 1), make()
        arrivals = Arrivals()
        slow, fast = Writer(arrivals), Writer(arrivals)
        merged: list[Any] = []
        fast.deliver((into_first, "a"))
        begun = arrivals.begin(slow.right)

        def slow_writer() -> None:
            slow.deliver((into_second, "b"), begun=begun)

        def fast_writer() -> None:
            fast.deliver((into_first, "c"))

        def reader() -> None:
            for received in merge(arrivals, first, second):
                merged.append(received.event)
                if received.event.name == "c":
                    return

        def check() -> None:
            assert names(merged) in ("abc", "bc")

        return [slow_writer, fast_writer, reader], check

    explore(overflowing, *WATCHED, preemptions=1)


def test_a_writer_that_is_revoked_keeps_no_reader_waiting() -> None:
    def revoking() -> Built:
        (first, into_first), (second, into_second) = make(), make()
        arrivals = Arrivals()
        stuck, line = Writer(arrivals), Writer(arrivals)
        stuck.arrivals.begin(stuck.right)
        merged: list[Any] = []

        def writer() -> None:
            line.deliver((into_first, "a"))

        def supervisor() -> None:
            arrivals.revoke(stuck.right)

        def reader() -> None:
            merged.extend(received.event for received in islice(merge(arrivals, first, second), 1))

        def check() -> None:
            stuck.put(into_second, "late")
            assert names(merged) == "a"
            assert second.received == 0

        return [writer, supervisor, reader], check

    explore(revoking, *WATCHED, preemptions=1)


def test_a_stream_that_ends_by_itself_ends_a_merge_behind_the_others() -> None:
    def ending() -> Built:
        (first, into_first), (second, into_second) = make(), make()
        line = Writer()
        merged: list[Any] = []

        def writer() -> None:
            line.deliver((into_first, "a"))
            into_first.close("its feed has gone", quiet=False)
            line.deliver((into_second, "b"))
            end(into_second)

        def reader() -> None:
            with pytest.raises(StreamClosed, match="its feed has gone"):
                merged.extend(received.event for received in merge(line.arrivals, first, second))

        def check() -> None:
            assert names(merged) == "ab"

        return [writer, reader], check

    explore(ending, *WATCHED, preemptions=1)  # two: 831 schedules
