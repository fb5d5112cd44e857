"""Ctrl-C while a stream is read: wherever it comes, no event and no gap is lost, and none comes twice.

The interpreter runs signal handlers after calls, where it jumps back, and at the beginning of a function.
Here a tracer raises at each of these places in turn, once per run.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import actors
from actors import Closed, Gap, Marked, Received, Stream, StreamClosed
from actors.delivery.arrivals import Arrivals
from actors.delivery.merge import merge
from actors.rules.stream_buffer import Policy
from tests.test_stream import OVERFLOW, A, B, make, put

OURS = str(Path(actors.__file__).parent)
LOOKS = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "RESUME"}
MOST = 2_000  # places of one run


class Interrupter:
    """Raises KeyboardInterrupt at the `number`-th place of our code where signals are looked for."""

    def __init__(self, number: int) -> None:
        self.left = number
        self._names: dict[Any, dict[int, str]] = {}
        self._last: dict[FrameType, str] = {}
        self._returned = False  # into a frame of ours, of which nothing has run since

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
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
