"""A thread that keeps a line from reading cannot wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from actors.delivery.inlet import Inlet
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
from actors.rules.stream_buffer import Origin
from tests.delivery.streams import A, Writer, new_inlet, read


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
