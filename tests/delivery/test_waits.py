"""A thread that keeps a line from reading cannot wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actors.delivery.arrivals import Arrivals
from actors.delivery.inlet import Inlet
from actors.delivery.merge import merge
from actors.delivery.waits import (
    SLICE,
    WaitRefusedError,
    handles,
    is_reader,
    note_reader,
    reading_slice,
    refuse_to_wait,
    set_calls_handlers,
)
from actors.errors import Timeout
from actors.events import Received
from actors.rules.stream_buffer import Origin
from actors.stream import LifecycleStream, Stream
from tests.delivery.streams import A, Writer, new_inlet, read
from tests.test_stream import Desk, make, put


def full(inlet: Inlet) -> Inlet:
    Writer(inlet).put([(A, str(number)) for number in range(4)], Origin(1, 1, 1))
    assert inlet.pauses
    return inlet


def on_a_thread(call: Callable[[], None]) -> None:
    """A thread of its own, for what it reads is remembered."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result(10)


def test_the_reader_of_a_full_block_stream_may_not_wait_for_that_feed() -> None:
    def story() -> None:
        inlet = new_inlet(capacity=4)
        refuse_to_wait("rotate")
        assert not is_reader()
        note_reader(inlet)
        assert is_reader()
        refuse_to_wait("rotate")
        full(inlet)
        refuse_to_wait("rotate", "elsewhere")
        for feed in (None, "o2"):
            with pytest.raises(WaitRefusedError, match=r"rotate is refused.* o2/trades, which is full"):
                refuse_to_wait("rotate", feed)
        list(read(inlet))
        refuse_to_wait("rotate")

    on_a_thread(story)


def test_a_full_stream_of_another_runtime_keeps_no_call_from_waiting() -> None:
    def story() -> None:
        inlet, other = full(new_inlet(capacity=4)), object()
        inlet.runtime = object()
        note_reader(inlet)
        handles(inlet)
        refuse_to_wait("rotate", "o2", other)
        assert reading_slice("o2", other) is None
        with pytest.raises(WaitRefusedError, match="rotate is refused"):
            refuse_to_wait("rotate", "o2", inlet.runtime)
        with pytest.raises(Timeout, match="which is full"):
            reading_slice("o2", inlet.runtime)

    on_a_thread(story)


def test_the_thread_that_reads_now_counts() -> None:
    inlet = new_inlet(capacity=4)

    def story() -> None:
        note_reader(inlet)
        other = threading.Thread(target=note_reader, args=(inlet,))
        other.start()
        other.join()
        full(inlet)
        refuse_to_wait("rotate")

    on_a_thread(story)


def test_a_stream_that_is_closed_holds_no_line() -> None:
    def story() -> None:
        inlet = new_inlet(capacity=4)
        note_reader(inlet)
        full(inlet).close("over", quiet=True)
        refuse_to_wait("rotate")

    on_a_thread(story)


def test_a_handler_waits_for_other_streams_until_its_own_is_full() -> None:
    def story() -> None:
        inlet = new_inlet(capacity=4)
        assert reading_slice("o2") is None
        handles(inlet)
        assert reading_slice("o2") == SLICE
        full(inlet)
        assert reading_slice("elsewhere") is None
        with pytest.raises(Timeout, match="which is full"):
            reading_slice("o2")

    on_a_thread(story)


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "conflate"])
def test_a_stream_that_holds_no_line_lets_its_handler_wait(policy: str) -> None:
    def story() -> None:
        handles(new_inlet(policy))  # type: ignore[arg-type]
        assert reading_slice("o2") is None

    on_a_thread(story)


def test_nothing_is_waited_for_inside_an_inline_handler() -> None:
    def story() -> None:
        set_calls_handlers(True)
        with pytest.raises(WaitRefusedError, match="inside an inline handler"):
            refuse_to_wait("rotate", "elsewhere")
        with pytest.raises(WaitRefusedError, match="inside an inline handler"):
            reading_slice("o2")

    on_a_thread(story)


@pytest.mark.parametrize("read", [Stream.take, Stream.with_markers, Stream.items])
def test_a_loop_with_a_time_is_told_so_as_any_other_that_waits_for_its_own_line(
    read: Callable[..., Iterator[Any]],
) -> None:
    """What is there is given; the refusal of the wait is no end of the time."""

    def story() -> None:
        own = full(new_inlet(capacity=4))
        handles(own)
        other, writer = make(id=2)
        put(writer, 1)
        items = read(other, 30.0)
        assert event_of(next(items)) == 1
        for reading in (items, read(other, 30.0), merge(Arrivals(), other, timeout=30.0)):
            with pytest.raises(Timeout, match="which is full"):
                next(reading)

    on_a_thread(story)


def test_the_states_of_lines_come_whatever_holds_a_line() -> None:
    def story() -> None:
        handles(full(new_inlet(capacity=4)))
        lives = LifecycleStream(Inlet(2, "o2", "lifecycle", "drop_oldest", 9, deltas=False), Desk())
        assert list(lives.take(0.01)) == []
        for reading in (merge(Arrivals(), lives, timeout=0.01), lives.with_markers(0.01)):
            with pytest.raises(Timeout, match=r"within 0\.01 s"):
                next(reading)
        Writer(lives._inlet).put([(A, "failed")], Origin(1, 1, 1))
        assert next(lives.take(1.0)) == "failed"  # type: ignore[comparison-overlap]

    on_a_thread(story)


def event_of(item: Any) -> Any:
    return item.event if isinstance(item, Received) else item
