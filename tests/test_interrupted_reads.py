"""Ctrl-C while a stream is read: wherever it comes, no event and no gap is lost, and none comes twice.

The interpreter runs signal handlers after calls, where it jumps back, and at the beginning of a function.
Here a tracer raises at each of these places in turn, once per run.
"""

from __future__ import annotations

import contextlib
import dis
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import actors
from actors import Closed, Gap, Marked, Received, Stream, StreamClosed, Timeout
from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.inlet import Inlet
from actors.delivery.merge import merge
from actors.rules.stream_buffer import Origin, Policy
from tests.delivery.streams import Writer
from tests.test_stream import OVERFLOW, A, B, Desk, make, put

OURS = str(Path(actors.__file__).parent)
LOOKS = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "RESUME"}
MOST = 2_000  # places of one run


class Interrupter:
    """Raises KeyboardInterrupt at the `number`-th place of our code where signals are looked for."""

    def __init__(self, number: int, *others: str) -> None:
        """`others`: paths of code that counts, too."""
        self.left = number
        self._paths = (OURS, *others)
        self._names: dict[Any, dict[int, str]] = {}
        self._last: dict[FrameType, str] = {}
        self._returned = False  # into a frame of ours, of which nothing has run since

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self._paths):
            return None
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "return":
            self._returned = not frame.f_code.co_flags & inspect.CO_GENERATOR
            self._last.pop(frame, None)
        elif event == "opcode":
            last = self._last.get(frame, "")
            self._last[frame] = self._name(frame)
            came_back, self._returned = self._returned, False
            # A call of a Python function ends without a look.
            if last in LOOKS and not (came_back and last.startswith("CALL")):
                self.left -= 1
                if self.left == 0:
                    raise KeyboardInterrupt
        return self

    def _name(self, frame: FrameType) -> str:
        names = self._names.get(frame.f_code)
        if names is None:
            every = dis.get_instructions(frame.f_code)
            names = self._names[frame.f_code] = {each.offset: each.opname for each in every}
        return names.get(frame.f_lasti, "")


LOST = Gap(B, "disconnect", None, 1, 2, 3)


def filled(policy: Policy) -> Stream[int]:
    """Five events in four batches, and two gaps between them."""
    stream, writer = make(policy)
    put(writer, 1, 2, order=1)
    put(writer, 3, topic=B, order=2)
    writer.mark(OVERFLOW)
    put(writer, 4, order=3)
    writer.mark(LOST)
    put(writer, 5, topic=B, order=4)
    stream.close()
    return stream


def each_by(read: Callable[[Stream[int]], Any]) -> Callable[[Stream[int]], Iterator[Any]]:
    """Calls it until the stream is over."""

    def calls(stream: Stream[int]) -> Iterator[Any]:
        while True:
            try:
                told = read(stream)
            except StreamClosed:
                return
            yield from told if isinstance(told, list) else [told]

    return calls


READS: dict[str, Callable[[Stream[int]], Iterator[Any]]] = {
    "for": iter,
    "get": each_by(lambda stream: stream.get(0)),
    "get_many": each_by(lambda stream: stream.get_many(3, 0)),
    "take": lambda stream: stream.take(60.0),
    "with_meta": Stream.with_meta,
    "with_markers": Stream.with_markers,
    "items": Stream.items,
    "merge": lambda stream: merge(Arrivals(), stream),
    "merge with markers": lambda stream: merge(Arrivals(), stream, markers=True),
}


def read(stream: Stream[int], how: str, interrupter: Interrupter) -> list[Any]:
    """All that is read of it, with one interrupt."""
    told: list[Any] = []
    items = READS[how](stream)
    sys.settrace(interrupter)
    try:
        for item in items:
            told.append(item)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    told += READS[how](stream)
    return told


def event_of(item: Any) -> Any:
    return item.event if isinstance(item, Received) else item.marker if isinstance(item, Marked) else item


@pytest.mark.parametrize(
    ("how", "policy"),
    [*((how, "drop_oldest") for how in READS), ("for", "conflate"), ("items", "conflate")],
)
def test_wherever_an_interrupt_comes_each_event_and_each_gap_is_read_once(how: str, policy: Policy) -> None:
    wanted = [event_of(item) for item in read(filled(policy), how, Interrupter(0))]
    if how in {"with_markers", "items", "merge with markers"}:
        assert {OVERFLOW, LOST, Closed("close() was called")} <= {*wanted} - {*range(9)}
    assert {4, 5} <= {*wanted}
    for number in range(1, MOST):
        stream, interrupter = filled(policy), Interrupter(number)
        told = read(stream, how, interrupter)
        assert [event_of(item) for item in told] == wanted, number
        assert [item.topic for item in told if isinstance(item, Received)] in (
            [],
            [B if item.event in {3, 5} else A for item in told if isinstance(item, Received)],
        )
        assert (stream.gaps, stream.queued) == ((OVERFLOW, LOST), 0), number
        assert stream._inlet.gaps_read == 2
        if interrupter.left > 0:
            break
    else:
        pytest.fail(f"a run has more than {MOST} places")
    assert number > 20


@pytest.mark.parametrize("how", ["get_many", "merge"])
def test_wherever_an_interrupt_comes_an_iterator_that_goes_on_keeps_the_order(how: str) -> None:
    for number in range(1, MOST):
        stream, writer = make("drop_oldest")
        put(writer, *range(10))
        events = iter(stream)
        told = [next(events)]
        interrupter, merged = Interrupter(number), merge(Arrivals(), stream)
        sys.settrace(interrupter)
        try:
            if how == "merge":
                for received in merged:
                    told.append(received.event)
                    if len(told) == 4:
                        break
            else:
                told += stream.get_many(3)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        stream.close()
        assert [*told, *events] == [*range(10)], number
        if interrupter.left > 0:
            break
    assert 5 < number < MOST - 1


# ── losses that have no marker yet ──


def overflown(policy: Policy) -> Stream[int]:
    """Of two topics, before and behind a marker."""
    stream, writer = make(policy, 3)
    put(writer, 1, 2, order=1)
    writer.mark(LOST)
    for order, event in enumerate((3, 4, 5, 6), 2):
        put(writer, event, topic=B if event % 2 else A, order=order)
    return stream


def aged(policy: Policy) -> Stream[int]:
    """The oldest have waited for too long."""
    now = [0.0]
    inlet = Inlet(1, "o2", "trades", policy, 100, deltas=False, drop_older_than=5.0, now=lambda: now[0])
    stream, writer = Stream[int](inlet, Desk()), Writer(inlet)
    for at, (event, topic) in enumerate(((1, A), (2, A), (3, B))):
        writer.put([(topic, event)], Origin(at, 7, at + 1, at))
    writer.mark(LOST)
    writer.put([(A, 4), (A, 5)], Origin(8, 7, 9, 8.0))
    now[0] = 9.0
    return stream


LOSSES = {
    "drop_oldest": partial(overflown, "drop_oldest"),
    "drop_newest": partial(overflown, "drop_newest"),
    "aged": partial(aged, "drop_oldest"),
    "aged, conflate": partial(aged, "conflate"),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("how", ["get", "items"])
def test_wherever_an_interrupt_comes_each_loss_is_counted_and_told_once(how: str, loss: str) -> None:
    def run(interrupter: Interrupter) -> tuple[Any, ...]:
        stream, told = LOSSES[loss](), list[Any]()
        for tracer in (interrupter, None):
            sys.settrace(tracer)
            try:
                if how == "items":
                    for item in stream.items(0):
                        told.append(item)
                while how == "get":
                    told.append(stream.get(0))
            except (KeyboardInterrupt, Timeout):
                pass
            finally:
                sys.settrace(None)
        return [event_of(item) for item in told], stream.gaps, stream._inlet.status(), stream._inlet.gaps_read

    wanted = run(Interrupter(0))
    assert wanted[2].dropped > 0
    assert len(wanted[1]) == wanted[3] == wanted[2].gaps > 1
    for number in range(1, MOST):
        interrupter = Interrupter(number)
        assert run(interrupter) == wanted, number
        if interrupter.left > 0:
            break
    assert 20 < number < MOST - 1


# ── waits ──


@pytest.mark.parametrize("how", ["items", "merge", "merge behind another line"])
def test_wherever_an_interrupt_ends_a_wait_nothing_of_the_wait_is_left(how: str) -> None:
    for number in range(1, MOST):
        stream, writer = make("block")
        arrivals = Arrivals()
        if how == "merge behind another line":
            arrivals.begin(Right())
            put(writer, 1, order=2)
        wait = stream.items(0.003) if how == "items" else merge(arrivals, stream, timeout=0.003)
        interrupter = Interrupter(number, threading.__file__)
        sys.settrace(interrupter)
        try:
            next(wait)
        except (KeyboardInterrupt, Timeout):
            pass
        finally:
            sys.settrace(None)
        inlet = stream._inlet
        with ThreadPoolExecutor(1) as pool:
            for lock in (inlet.lock, arrivals.lock):
                assert pool.submit(lock.acquire, timeout=5.0).result(), number
                pool.submit(lock.release).result()
        with contextlib.suppress(Timeout):
            next(merge(arrivals, stream, timeout=0))
        assert (inlet.sleepers, inlet.wakers, arrivals._merging) == (0, (), []), number
        if interrupter.left > 0:
            break
    assert 10 < number < MOST - 1
