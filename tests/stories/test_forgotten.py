"""What no name holds any more gives back what it had, whichever thread the garbage collector runs in."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import actors
from actors import Runtime
from actors.dispatcher import Dispatcher
from actors.messages import OpenStream
from actors.simulators import SimulatedO2
from tests.support.runtimes import config, runtime_on, until

Use = Callable[[Runtime, str], object]


def collected(reference: weakref.ref[Any]) -> bool:
    gc.collect()
    return reference() is None


@pytest.fixture
def by_hand() -> Iterator[None]:
    """The collector runs when a test says so."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def nothing(_runtime: Runtime, _market: str) -> None:
    """A runtime that is only started."""


def a_stream(runtime: Runtime, market: str) -> object:
    return runtime.subscribe("o2", "trades", market, wait=10.0)


def a_closed_stream(runtime: Runtime, market: str) -> None:
    runtime.subscribe("o2", "trades", market, wait=10.0).close()


def an_iterator(runtime: Runtime, market: str) -> object:
    return iter(runtime.subscribe("o2", "trades", market).with_markers())


def a_book(runtime: Runtime, market: str) -> object:
    return runtime.book("o2", market, wait=10.0)


def bars(runtime: Runtime, market: str) -> object:
    return runtime.bars("o2", market, "1s", wait=10.0)


@pytest.mark.parametrize("use", [nothing, a_stream, a_closed_stream, an_iterator, a_book, bars])
def test_a_runtime_that_is_forgotten_gives_its_connection_back(
    use: Use, o2: SimulatedO2, market: str
) -> None:
    runtime = actors.start(config(o2.url), wait=10.0)
    use(runtime, market)
    reference = weakref.ref(runtime)
    del runtime
    o2.wait_for(lambda: collected(reference) and o2.connections == 0, timeout=20.0)


def test_a_stream_in_use_keeps_its_runtime(o2: SimulatedO2, market: str) -> None:
    stream = actors.start(config(o2.url), wait=10.0).subscribe("o2", "trades", market, wait=10.0)
    gc.collect()
    o2.trade(market, trade_id="1")
    assert stream.get(timeout=10.0).trade_id == "1"


def test_the_thread_of_a_book_ends_with_a_runtime_that_is_forgotten(o2: SimulatedO2, market: str) -> None:
    def threads() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name.startswith("book/")]

    runtime = actors.start(config(o2.url), wait=10.0)
    runtime.book("o2", market, wait=10.0)
    assert threads() == [f"book/o2/depth/{market}?precision=10"]
    del runtime
    o2.wait_for(lambda: gc.collect() >= 0 and threads() == [], timeout=20.0)


def test_the_thread_of_bars_ends_with_a_runtime_that_is_forgotten(o2: SimulatedO2, market: str) -> None:
    runtime = actors.start(config(o2.url), wait=10.0)
    runtime.bars("o2", market, "1s", wait=10.0)
    threads = [each for each in threading.enumerate() if each.name.startswith("bars/")]
    assert len(threads) == 1
    reference = weakref.ref(runtime)
    del runtime
    assert collected(reference)
    threads[0].join(10.0)
    assert not threads[0].is_alive()


def test_a_handler_of_bars_keeps_its_runtime(o2: SimulatedO2, market: str) -> None:
    runtime = actors.start(config(o2.url), wait=10.0)
    reference = weakref.ref(runtime)
    listening = runtime.on_bar("o2", market, "1s", handler=lambda _: None)
    del runtime
    assert not collected(reference)
    listening.close()
    listening.thread.join(10.0)
    assert collected(reference)


def test_a_book_is_kept_for_as_long_as_its_runtime(o2: SimulatedO2, market: str) -> None:
    with actors.start(config(o2.url), wait=10.0) as runtime:
        runtime.book("o2", market, wait=10.0)
        gc.collect()
        assert runtime.book("o2", market).synced
        runtime.forget_book("o2", market)
        until(runtime, lambda status: status.streams == ())


def test_a_handler_keeps_its_runtime(o2: SimulatedO2, market: str) -> None:
    heard = threading.Event()
    runtime = actors.start(config(o2.url), wait=10.0)
    runtime.on("o2", "trades", market, handler=lambda _: heard.set(), wait=10.0)
    reference = weakref.ref(runtime)
    del runtime
    gc.collect()
    o2.trade(market)
    assert heard.wait(10.0)
    kept = reference()
    assert kept is not None
    kept.stop()


def test_a_stream_that_is_forgotten_is_given_up_at_the_venue(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    stream = runtime.subscribe("o2", "trades", market, wait=10.0)
    assert o2.subscribers("trades", market) == 1
    del stream
    gc.collect()
    o2.wait_heard("unsubscribe_trades")
    until(runtime, lambda status: status.streams == ())


def test_a_stream_that_closes_in_a_finaliser_holds_nothing_up(
    by_hand: None, o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector runs in the dispatcher's thread, while another thread adds a topic to that stream."""
    first, second = o2.markets[:2]

    class Holder:
        def __init__(self, stream: actors.Stream[Any]) -> None:
            self.stream, self.me = stream, self  # a cycle: only the collector finds it

        def __del__(self) -> None:
            self.stream.close()

    receive = Dispatcher.on_receive

    def on_receive(dispatcher: Dispatcher, message: Any) -> None:
        if isinstance(message, OpenStream):
            gc.collect()
        receive(dispatcher, message)

    with runtime_on(o2) as runtime:
        closing = runtime.subscribe("o2", "trades", first, wait=10.0)
        other = runtime.subscribe("o2", "trades", first, wait=10.0)
        Holder(closing)
        monkeypatch.setattr(Dispatcher, "on_receive", on_receive)

        def add() -> None:
            with contextlib.suppress(actors.StreamClosed):
                closing.add(second)

        adding = threading.Thread(target=add)
        adding.start()
        o2.trade(first, trade_id="1")
        assert other.get(timeout=5.0).trade_id == "1"
        adding.join(5 * 1.0)
        assert not adding.is_alive()
        assert closing.closed
        until(runtime, lambda status: [stream.id for stream in status.streams] == [other.id])
