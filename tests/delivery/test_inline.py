"""Inline handlers: who calls, in which order, one at a time, and what is called no more."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from actors.delivery import inline
from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.inlet import Put
from actors.delivery.inline import (
    Handlers,
    InlineInlet,
    Turn,
    make_calls,
)
from actors.delivery.waits import calls_handlers, refuse_to_wait
from actors.errors import LinewardenError
from actors.events import Gap, Lifecycle, Marker, Topic
from actors.rules.stream_buffer import GapRun, Origin, merge
from tests.delivery.inline import Called, inline_inlet
from tests.delivery.streams import A, B
from tests.delivery.test_epoch_delivery import Line, X
from tests.support.batches import Pair, batch_of

BATCH = Origin(1_000, 1, 1)
DOWN = Lifecycle("o2", "disconnected", 1, 0, "lost", 5)
BACK = Lifecycle("o2", "restored", 2, 1, "", 9)


def put(inlet: InlineInlet, right: Right, *texts: str, topic: Topic = A) -> Put:
    pairs: list[Pair] = [(topic, text) for text in texts]
    return inlet.put(right, batch_of(pairs, BATCH), 0.0)


def call(right: Right, progress: Callable[[], None] = lambda: None) -> None:
    make_calls(right, progress)


def counters(inlet: InlineInlet) -> tuple[int, int, int, int]:
    """Received, delivered, dropped, queued."""
    status = inlet.status()
    assert status.received == status.delivered + status.dropped + status.conflated + status.queued
    return status.received, status.delivered, status.dropped, status.queued


# ── one writer ──


def test_nothing_is_called_until_its_writer_makes_the_calls() -> None:
    called, right = Called(), Right()
    inlet = inline_inlet(called)
    assert put(inlet, right, "1", "2") is Put.ACCEPTED
    inlet.mark(right, Gap(A, "sequence", 3, 1, 2, 1))
    put(inlet, right, "3")
    assert called.words == []
    assert counters(inlet) == (3, 0, 0, 3)
    call(right)
    assert called.words == ["1", "2", "gap in A", "3"]
    assert counters(inlet) == (3, 3, 0, 0)
    assert inlet.status().gaps == len(inlet.passed) == 1
    assert inlet.status().policy == "inline"


def test_all_handlers_of_a_line_are_called() -> None:
    called, other, right = Called(), Called(), Right()
    inlets = inline_inlet(called), inline_inlet(other, id=2)
    for text in "12":
        for inlet in inlets:
            put(inlet, right, text)
    call(right)
    assert called.words == other.words == ["1", "2"]
    assert not right.calls


def test_each_call_is_progress() -> None:
    called, right, seen = Called(), Right(), []
    inlet = inline_inlet(called)
    put(inlet, right, "1", "2")
    inlet.mark(right, DOWN)
    call(right, lambda: seen.append(len(called.words)))
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_a_call_that_raises_is_counted_and_the_next_one_follows(error: type[BaseException]) -> None:
    called, right = Called(), Right()

    def fail(event: str) -> None:
        called(event)
        raise error

    inlet = inline_inlet(called, handler=fail)
    put(inlet, right, "1", "2")
    call(right)
    assert called.words == ["1", "2"]
    assert called.failed == [A, A]
    assert inlet.status().handler_errors == 2
    assert counters(inlet) == (2, 2, 0, 0)


def test_a_marker_is_not_shown_to_a_handler_that_wants_none_and_counts() -> None:
    called, right, dispatcher = Called(), Right(), Right(makes_calls=False)
    woken: list[InlineInlet] = []
    inlet = inline_inlet(called, markers=False, notify=woken.append)
    inlet.mark(dispatcher, DOWN)
    inlet.mark_gaps(right, GapRun([(A, 1), (B, 1)], "disconnect", 5, 2))
    put(inlet, right, "1")
    call(right)
    inlet.close("why", quiet=True)
    assert called.words == ["1"]
    assert woken == []
    assert inlet.status().gaps == len(inlet.passed) == 2


def _return() -> None:
    """As a program may that forgets that it is a child."""


def _exit_with(code: object) -> Callable[[], None]:
    return lambda: sys.exit(code)  # type: ignore[arg-type]


def _raise() -> None:
    raise ZeroDivisionError


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("in_marker", [False, True])
@pytest.mark.parametrize(
    ("leave", "code"),
    [(_return, 0), (_exit_with(3), 3), (_exit_with(None), 0), (_exit_with("why"), 1), (_raise, 1)],
)
def test_a_forked_child_ends_with_the_call(leave: Callable[[], None], code: int, in_marker: bool) -> None:
    called, right, parent = Called(), Right(), os.getpid()
    children: list[int] = []

    def fork(item: Any) -> None:
        if os.getpid() != parent:
            os._exit(99)  # called again, in the child
        called(item)
        if not children:
            children.append(os.fork())
            if not children[0]:
                leave()

    handlers = Handlers(fork, fork, called.failed.append)
    inlet = InlineInlet(1, "o2", "trades", handlers, lambda _: None, deltas=False)
    if in_marker:
        inlet.mark(right, DOWN)
    put(inlet, right, "1", "2")
    try:
        call(right)
    finally:
        if os.getpid() != parent:
            os._exit(98)  # the thread goes on in the child
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == code
    assert called.words == [*["disconnected"] * in_marker, "1", "2"]
    assert not called.failed


# ── what is called no more ──


def test_a_writer_that_was_given_up_calls_no_more() -> None:
    called, right, arrivals = Called(), Right(), Arrivals()

    def revoke(event: str) -> None:
        called(event)
        arrivals.revoke(right)

    inlet = inline_inlet(called, handler=revoke)
    put(inlet, right, "1", "2", "3")
    inlet.mark(right, BACK)
    put(inlet, right, "4")
    call(right)
    assert called.words == ["1"]
    assert counters(inlet) == (4, 1, 3, 0)
    assert put(inlet, right, "5") is Put.REFUSED
    inlet.mark(right, BACK)
    assert not right.calls


class LineLost:
    """While the handler is called for the first time, its line is given up: the call hangs."""

    def __init__(self, inlet_of: Callable[[], InlineInlet], right: Right, *then: Marker) -> None:
        self.called = Called()
        self._inlet_of, self._right, self._then = inlet_of, right, then
        self._dispatcher = Right(makes_calls=False)

    def __call__(self, item: Any) -> None:
        self.called(item)
        if self._right.valid:
            Arrivals().revoke(self._right)
            for marker in self._then:
                self._inlet_of().mark(self._dispatcher, marker)


@pytest.mark.parametrize("then", [(), (DOWN,)])
def test_markers_that_a_lost_line_has_brought_are_told_before_those_of_its_loss(
    then: tuple[Marker, ...],
) -> None:
    right = Right()
    woken: list[InlineInlet] = []
    lost = LineLost(lambda: inlet, right, *then)
    handlers = Handlers(lost, lost, lost.called.failed.append)
    inlet = InlineInlet(1, "o2", "trades", handlers, woken.append, deltas=False)
    inlet.put_lifecycle(right, BACK, 1)
    inlet.mark_gaps(right, GapRun([(A, 1), (B, 1)], "disconnect", 5, 2))
    put(inlet, right, "1")
    call(right)
    assert lost.called.words == ["restored"]
    assert counters(inlet) == (1, 0, 1, 0)
    assert woken == [inlet]
    assert inlet.tell(Right(makes_calls=False))
    assert lost.called.words == ["restored", "gap in A", "gap in B", *["disconnected"] * len(then)]
    assert inlet.status().gaps == len(inlet.passed) == 2


def test_the_first_event_of_a_line_takes_over_what_a_lost_one_has_left() -> None:
    called, lost, later = Called(), Right(), Right()
    woken: list[InlineInlet] = []
    inlet = inline_inlet(called, notify=woken.append)
    inlet.mark(lost, BACK)
    put(inlet, lost, "1")
    Arrivals().revoke(lost)
    put(inlet, later, "2")
    assert woken == [inlet]
    assert counters(inlet) == (2, 0, 1, 1)
    call(later)
    call(lost)
    assert called.words == ["restored", "2"]
    assert counters(inlet) == (2, 1, 1, 0)


def test_nothing_is_kept_of_epochs_that_are_over() -> None:
    inlet = inline_inlet(Called())
    for _ in range(5):
        right = Right()
        put(inlet, right, "1")
        call(right)
        Arrivals().give_up(right)
    assert list(inlet._brought) == [right]
    assert counters(inlet) == (5, 5, 0, 0)


def test_a_closed_handler_gets_no_event_and_the_end_last() -> None:
    called, right, dispatcher = Called(), Right(), Right(makes_calls=False)
    woken: list[InlineInlet] = []
    inlet = inline_inlet(called, notify=woken.append)
    inlet.owner = object()
    put(inlet, right, "1")
    inlet.mark(dispatcher, DOWN)
    inlet.close("why", quiet=True)
    inlet.close("again", quiet=False)
    call(right)
    assert inlet.tell(Right(makes_calls=False))
    assert called.words == ["disconnected", "closed"]
    assert counters(inlet) == (1, 0, 1, 0)
    assert put(inlet, right, "2") is Put.REFUSED
    inlet.mark(dispatcher, DOWN)
    assert woken == [inlet]
    assert inlet.owner is None


def test_markers_that_a_line_has_brought_are_told_before_the_end() -> None:
    called, right, notifier = Called(), Right(), Right(makes_calls=False)
    woken: list[InlineInlet] = []
    inlet = inline_inlet(called, notify=woken.append)
    put(inlet, right, "1")
    inlet.mark(right, Gap(A, "sequence", 3, 1, 2, 1))
    put(inlet, right, "2")
    inlet.close("why", quiet=False)
    call(right)
    assert woken == [inlet]
    assert inlet.tell(notifier)
    assert called.words == ["gap in A", "closed"]
    assert inlet.status().gaps == len(inlet.passed) == 1
    assert counters(inlet) == (2, 0, 2, 0)


# ── the dispatcher's markers ──


def test_what_the_dispatcher_has_put_comes_before_what_a_line_brings() -> None:
    called, right, dispatcher = Called(), Right(), Right(makes_calls=False)
    woken: list[InlineInlet] = []
    inlet = inline_inlet(called, notify=woken.append)
    inlet.put_lifecycle(dispatcher, DOWN, 1)
    inlet.put_lifecycle(dispatcher, DOWN, 1)  # of another dispatcher, which repeats it
    inlet.put_lifecycle(dispatcher, BACK, 2)
    assert woken == [inlet]
    assert not dispatcher.calls
    put(inlet, right, "1")
    call(right)
    assert called.words == ["disconnected", "restored", "1"]
    assert inlet.tell(Right(makes_calls=False))
    assert called.words == ["disconnected", "restored", "1"]


def test_a_dispatcher_that_was_replaced_puts_nothing() -> None:
    called, dispatcher = Called(), Right(makes_calls=False)
    inlet = inline_inlet(called)
    inlet.mark(dispatcher, DOWN)
    Arrivals().revoke(dispatcher)
    inlet.mark(dispatcher, BACK)
    assert inlet.tell(Right(makes_calls=False))
    assert called.words == ["disconnected"]


def test_markers_that_are_not_told_are_merged() -> None:
    called, dispatcher = Called(), Right(makes_calls=False)
    inlet = inline_inlet(called)
    bound = inlet.buffer.marker_bound
    for number in range(bound):
        inlet.mark(dispatcher, Gap(A, "unknown", None, number, number, 1))
    inlet.mark(dispatcher, DOWN)
    assert inlet.status().gaps == 1
    assert inlet.tell(Right(makes_calls=False))
    assert called.words == ["gap in A", "disconnected"]
    assert (inlet.passed[0].since_ns, inlet.passed[0].until_ns) == (0, bound - 1)


def test_markers_that_do_not_become_fewer_are_not_merged_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of many topics that are removed one by one while their line is down."""
    sizes: list[int] = []

    def counted(markers: Collection[Marker]) -> list[Marker]:
        sizes.append(len(markers))
        return merge(markers)

    monkeypatch.setattr(inline, "merge", counted)
    dispatcher, inlet = Right(makes_calls=False), inline_inlet(Called(), markers=False)
    count = 4 * inlet.buffer.marker_bound
    for number in range(count):
        inlet.mark(dispatcher, Gap(Topic("o2", "trades", str(number)), "unknown", None, 1, 1, 1))
    assert len(sizes) == 2
    assert inlet.status().gaps == count


# ── several writers ──


@contextmanager
def running(*calls: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    with ThreadPoolExecutor(len(calls)) as pool:
        yield [pool.submit(each) for each in calls]


def test_one_call_at_a_time_over_all_lines() -> None:
    lock, rights = threading.Lock(), [Right() for _ in range(4)]
    met: list[str] = []

    def alone(event: str) -> None:
        assert lock.acquire(blocking=False)
        met.append(event)
        lock.release()

    inlet = inline_inlet(Called(), handler=alone)

    def bring(name: int) -> None:
        for number in range(200):
            put(inlet, rights[name], f"{name}/{number}", f"{name}/{number}+")
            call(rights[name])

    with running(*(lambda name=name: bring(name) for name in range(4))) as done:
        for each in done:
            each.result(30)
    assert inlet.status().handler_errors == 0
    assert counters(inlet) == (1_600, 1_600, 0, 0)
    for name in range(4):
        mine = [event for event in met if event.startswith(f"{name}/")]
        assert mine == [f"{name}/{number}{end}" for number in range(200) for end in ("", "+")]


class Gate:
    """A handler that waits at each event until it is let on."""

    def __init__(self, called: Called) -> None:
        self.entered, self.leave = threading.Semaphore(0), threading.Semaphore(0)
        self._called = called

    def __call__(self, event: str) -> None:
        self._called(event)
        self.entered.release()
        assert self.leave.acquire(timeout=10)


def test_a_line_gets_its_turn_between_two_calls_of_another_and_is_not_wedged() -> None:
    called = Called()
    gate = Gate(called)
    inlet, long, short = inline_inlet(called, handler=gate), Right(), Right()
    put(inlet, long, "1", "2", "3")
    put(inlet, short, "a")
    waits = threading.Event()

    def call_second() -> None:
        assert gate.entered.acquire(timeout=10)
        call(short, waits.set)

    with running(lambda: call(long), call_second) as done:
        assert waits.wait(10)  # progress, while the other line's call goes on
        for _ in range(4):
            gate.leave.release()
        for each in done:
            each.result(10)
    assert called.words == ["1", "a", "2", "3"]


def test_a_call_of_a_line_that_was_given_up_keeps_no_other_waiting() -> None:
    called = Called()
    gate = Gate(called)
    inlet, wedged, other = inline_inlet(called, handler=gate), Right(), Right()
    put(inlet, wedged, "1", "2")
    with running(lambda: call(wedged)) as done:
        assert gate.entered.acquire(timeout=10)
        Arrivals().revoke(wedged)
        put(inlet, other, "3")
        with running(lambda: call(other)) as more:
            assert gate.entered.acquire(timeout=10)
            gate.leave.release(2)
            more[0].result(10)
            done[0].result(10)
    assert called.words == ["1", "3"]
    assert counters(inlet) == (3, 2, 1, 0)
    put(inlet, other, "4")
    gate.leave.release()
    call(other)  # its turn is free again
    assert called.words == ["1", "3", "4"]


def test_a_line_waits_for_no_call_of_a_stream_that_was_closed() -> None:
    called, notifier = Called(), Right(makes_calls=False)
    gate = Gate(called)
    inlet, long, short = inline_inlet(called, handler=gate), Right(), Right()
    put(inlet, long, "1", "2")
    put(inlet, short, "a")
    waits = threading.Event()

    def call_second() -> None:
        assert gate.entered.acquire(timeout=10)
        call(short, waits.set)

    with running(lambda: call(long), call_second) as done:
        assert waits.wait(10)
        inlet.close("why", quiet=True)
        done[1].result(5)  # the other line's call goes on
        assert not done[0].done()
        assert not inlet.tell(notifier)
        gate.leave.release()
        done[0].result(10)
    assert inlet.tell(notifier)
    assert called.words == ["1", "closed"]
    assert counters(inlet) == (3, 1, 2, 0)


def test_a_line_that_was_given_up_while_it_waited_gives_up_the_notifiers_call() -> None:
    turn, notifier, line, later = Turn(), Right(makes_calls=False), Right(), Right()
    progress: list[None] = []
    assert turn.try_take(notifier)
    with running(lambda: turn.take(line, lambda: progress.append(None))) as done:
        while not turn.waiting:
            pass
        Arrivals().revoke(line)
        assert not done[0].result(10)
    assert not progress
    assert turn.take(later, lambda: None)
    turn.give(notifier)
    assert turn.is_held_by(later)
    assert not turn.is_held_by(notifier)


def test_a_line_passes_on_what_the_notifier_has_not_told_yet() -> None:
    """The watchdog sees no progress of a line that waits for the notifier: it waits for one call of it."""
    called, notifier, line, dispatcher = Called(), Right(makes_calls=False), Right(), Right(makes_calls=False)
    gate = Gate(called)
    handlers = Handlers(called, gate, called.failed.append)
    inlet = InlineInlet(1, "o2", "trades", handlers, lambda _: None, deltas=False)
    for marker in (DOWN, BACK, DOWN, BACK):
        inlet.mark(dispatcher, marker)
    put(inlet, line, "1")

    def call_second() -> None:
        assert gate.entered.acquire(timeout=10)
        call(line)

    with running(lambda: inlet.tell(notifier), call_second) as done:
        while not inlet._turn.waiting:
            pass
        gate.leave.release(4)
        assert not done[0].result(10)  # something is left, so it comes again
        done[1].result(10)
    assert called.words == ["disconnected", "restored", "disconnected", "restored", "1"]
    assert inlet.tell(notifier)


def test_the_notifier_waits_a_moment_only() -> None:
    turn, notifier, line = Turn(), Right(makes_calls=False), Right()
    assert turn.take(line, lambda: None)
    assert not turn.try_take(notifier)
    assert not turn.waiting
    turn.give(line)
    assert turn.try_take(notifier)


# ── inside a handler ──


def test_waiting_is_refused_inside_a_call_and_nowhere_else() -> None:
    right, inside = Right(), []

    def wait(_: str) -> None:
        inside.append(calls_handlers())
        refuse_to_wait("this call")

    inlet = inline_inlet(Called(), handler=wait)
    put(inlet, right, "1")
    call(right)
    assert inside == [True]
    assert inlet.status().handler_errors == 1
    assert not calls_handlers()
    refuse_to_wait("this call")
    with running(calls_handlers) as done:
        assert not done[0].result(10)


def test_the_refusal_names_the_call_and_the_way_out() -> None:
    right = Right()
    told: list[str] = []

    def wait(_: str) -> None:
        with pytest.raises(LinewardenError) as refused:
            refuse_to_wait("rotate")
        told.append(str(refused.value))

    inlet = inline_inlet(Called(), handler=wait)
    put(inlet, right, "1")
    call(right)
    (text,) = told
    assert text.startswith("rotate is refused inside an inline handler")
    assert "thread of your own" in text


# ── with a line's delivery ──


def test_a_newcomer_to_changes_gets_what_makes_the_topic_whole() -> None:
    line, called = Line(), Called()
    first = line.stream(X)
    line.settle(X)
    line.put((X, "whole"), (X, "+1"))
    inlet = inline_inlet(called, id=9)
    line.add(inlet, X)
    make_calls(line.right, lambda: None)
    line.put((X, "+2"))
    make_calls(line.right, lambda: None)
    assert called.words == ["connected", "whole", "+1", "+2"]
    assert first.status().received == 3
    assert not line.delivery.wants_attention


def test_it_never_asks_its_line_to_pause() -> None:
    line, called = Line(), Called()
    inlet = inline_inlet(called, id=9)
    line.add(inlet, A)
    line.settle(A)
    for _ in range(5_000):
        line.put((A, "1"), (A, "2"))
    assert not line.delivery.wants_attention
    assert counters(inlet) == (10_000, 0, 0, 10_000)
    make_calls(line.right, lambda: None)
    assert counters(inlet) == (10_000, 10_000, 0, 0)
