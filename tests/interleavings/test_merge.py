"""`merge` yields what several threads put into several streams in the order of its arrival."""

from __future__ import annotations

from itertools import count
from typing import Any

from actors import stream
from actors.rules import mailbox
from actors.rules.mailbox import Origin
from actors.stream import Inlet, merge
from tests.support.interleave import Built, explore
from tests.test_stream import A, make

WATCHED = (stream, mailbox)


class Arrivals:
    """Numbers one read after another, and puts its events where they belong."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def deliver(self, *events: tuple[Inlet, str]) -> None:
        """The events of one read, which are named after its number and their place in it."""
        number = next(self._numbers)
        batches: dict[Inlet, list[Any]] = {}
        for place, (inlet, name) in enumerate(events):
            batches.setdefault(inlet, []).append((A, (number, place, name)))
        for inlet, pairs in batches.items():
            inlet.put(pairs, Origin(number, 1, number))


def test_one_thread_fills_two_streams() -> None:
    def delivering() -> Built:
        (first, into_first), (second, into_second) = make(id=1), make(id=2)
        arrivals = Arrivals()
        merged: list[Any] = []

        def writer() -> None:
            arrivals.deliver((into_first, "a"))
            arrivals.deliver((into_second, "b"))
            first.end("over", quiet=True)
            second.end("over", quiet=True)

        def reader() -> None:
            merged.extend(received.event for received in merge(first, second))

        def check() -> None:
            assert [name for _, _, name in merged] == ["a", "b"]

        return [writer, reader], check

    explore(delivering, *WATCHED)


def test_two_threads_fill_two_streams() -> None:
    def delivering() -> Built:
        (first, into_first), (second, into_second) = make(id=1), make(id=2)
        arrivals = Arrivals()
        merged: list[Any] = []

        def one() -> None:
            arrivals.deliver((into_first, "a"))
            first.end("over", quiet=True)

        def other() -> None:
            arrivals.deliver((into_second, "b"))
            second.end("over", quiet=True)

        def reader() -> None:
            merged.extend(received.event for received in merge(first, second))

        def check() -> None:
            assert len(merged) == 2
            assert merged == sorted(merged)

        return [one, other, reader], check

    explore(delivering, *WATCHED)


def test_the_events_of_one_read_keep_their_order() -> None:
    def delivering() -> Built:
        (first, into_first), (second, into_second) = make(id=1), make(id=2)
        arrivals = Arrivals()
        merged: list[Any] = []

        def writer() -> None:
            arrivals.deliver((into_first, "a"), (into_second, "b"), (into_first, "c"), (into_second, "d"))
            first.end("over", quiet=True)
            second.end("over", quiet=True)

        def reader() -> None:
            merged.extend(received.event for received in merge(first, second))

        def check() -> None:
            assert [name for _, _, name in merged] == ["a", "b", "c", "d"]

        return [writer, reader], check

    explore(delivering, *WATCHED)
