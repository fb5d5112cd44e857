"""Inline handlers: lines, the notifier, a loss and the end, in every order."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable

import pytest

from actors.delivery import arrivals, inlet, inline, notifier
from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.inline import Handlers, InlineInlet, make_calls
from actors.events import Closed, Lifecycle, Marker
from actors.rules import stream_buffer
from actors.rules.stream_buffer import Origin
from tests.interleavings.pieces import A
from tests.support.batches import batch_of
from tests.support.interleave import Built, explore

HERE = sys.modules[__name__]
WATCHED = (arrivals, inlet, inline, notifier, stream_buffer, HERE)
DOWN = Lifecycle("o2", "disconnected", 1, 0, "lost", 5)
BACK = Lifecycle("o2", "restored", 2, 0, "", 5)

# Two preemptions take thousands of schedules here: `make long`.
DEPTHS = pytest.mark.parametrize("preemptions", [1, pytest.param(2, marks=pytest.mark.long)])


class Line:
    """One epoch of a line, which brings events and calls."""

    def __init__(self) -> None:
        self.right = Right()

    def bring(self, into: InlineInlet, *events: str) -> None:
        pairs = [(A, event) for event in events]
        into.put(self.right, batch_of(pairs, Origin(1, 1, 1)), 0.0)

    def call(self) -> None:
        make_calls(self.right, lambda: None)


class Handled:
    """An inline handler, and the notifier beside it."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.calling = 0
        self.at_once = 0
        self.told: notifier.Told = queue.SimpleQueue()
        handlers = Handlers(self.handle, self.handle, self.failed)
        self.inlet = InlineInlet(1, "o2", "trades", handlers, self.told.put, deltas=False)
        self.dispatcher = Right(makes_calls=False)

    def failed(self, about: object) -> None:
        raise AssertionError(about)

    def handle(self, item: str | Marker) -> None:
        self.calling += 1
        self.at_once = max(self.at_once, self.calling)
        match item:
            case Lifecycle(state=state):
                self.words.append(state)
            case Closed():
                self.words.append("closed")
            case _:
                self.words.append(str(item))
        self.calling -= 1

    def notify(self) -> None:
        notifier._run(self.told)

    def check_counters(self) -> None:
        status = self.inlet.status()
        assert status.received == status.delivered + status.dropped + status.queued
        assert status.queued == 0


def in_order(words: list[str], *wanted: str) -> bool:
    places = [words.index(word) for word in wanted]
    return places == sorted(places)


@DEPTHS
def test_two_lines_call_one_at_a_time_and_each_in_its_order(preemptions: int) -> None:
    def scenario() -> Built:
        handled, one, other = Handled(), Line(), Line()

        def lines(line: Line, *events: str) -> Callable[[], None]:
            def run() -> None:
                line.bring(handled.inlet, *events)
                line.call()

            return run

        def check() -> None:
            assert sorted(handled.words) == ["1", "2", "a", "b"]
            assert in_order(handled.words, "1", "2")
            assert in_order(handled.words, "a", "b")
            assert handled.at_once == 1
            handled.check_counters()

        return [lines(one, "1", "2"), lines(other, "a", "b")], check

    explore(scenario, *WATCHED, preemptions=preemptions)


@DEPTHS
def test_no_event_of_an_epoch_comes_before_the_markers_of_the_outage(preemptions: int) -> None:
    def scenario() -> Built:
        handled, line = Handled(), Line()

        def come_back() -> None:
            handled.inlet.mark(handled.dispatcher, DOWN)
            handled.inlet.mark(line.right, BACK)
            line.bring(handled.inlet, "1")
            line.call()
            handled.told.put(None)

        def check() -> None:
            assert handled.words == ["disconnected", "restored", "1"]
            assert handled.at_once == 1
            handled.check_counters()

        return [come_back, handled.notify], check

    explore(scenario, *WATCHED, preemptions=preemptions)


@DEPTHS
def test_a_line_that_is_given_up_finishes_one_call_at_most(preemptions: int) -> None:
    def scenario() -> Built:
        handled, former, later = Handled(), Line(), Line()
        former.bring(handled.inlet, "1", "2")
        seen: list[int] = []

        def lose() -> None:
            Arrivals().revoke(former.right)
            seen.append(len(handled.words))
            handled.inlet.mark(handled.dispatcher, DOWN)
            later.bring(handled.inlet, "3")
            later.call()

        def check() -> None:
            since = handled.words[seen[0] :]
            assert len([word for word in since if word in "12"]) <= 1
            assert handled.words.count("disconnected") == 1
            assert in_order(handled.words, "disconnected", "3")
            handled.check_counters()

        return [former.call, lose], check

    explore(scenario, *WATCHED, preemptions=preemptions)


@DEPTHS
def test_markers_that_a_lost_line_has_brought_come_before_those_of_its_loss(preemptions: int) -> None:
    def scenario() -> Built:
        handled, former = Handled(), Line()
        handled.inlet.mark(former.right, BACK)
        former.bring(handled.inlet, "1")

        def lose() -> None:
            Arrivals().revoke(former.right)
            handled.inlet.mark(handled.dispatcher, DOWN)
            while not handled.inlet.tell(handled.dispatcher):
                pass

        def check() -> None:
            assert handled.words.count("restored") == handled.words.count("disconnected") == 1
            if handled.at_once == 1 and handled.words[0] != "disconnected":  # else its call had begun
                assert in_order(handled.words, "restored", "disconnected")
            handled.check_counters()

        return [former.call, lose], check

    explore(scenario, *WATCHED, preemptions=preemptions)


@DEPTHS
def test_the_end_is_the_last_call(preemptions: int) -> None:
    def scenario() -> Built:
        handled, line = Handled(), Line()

        def bring() -> None:
            line.bring(handled.inlet, "1", "2")
            line.call()

        def close() -> None:
            handled.inlet.mark(handled.dispatcher, DOWN)
            handled.inlet.close("over", quiet=True)
            handled.told.put(None)
            handled.notify()

        def check() -> None:
            assert handled.words[-1] == "closed"
            assert handled.words.count("closed") == handled.words.count("disconnected") == 1
            assert handled.at_once == 1
            handled.check_counters()

        return [bring, close], check

    explore(scenario, *WATCHED, preemptions=preemptions)
