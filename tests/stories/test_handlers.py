"""Handlers: what one raises, returns or waits for costs no line and no other stream."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from actors import Closed, LinewardenError, Runtime, SubscribeError
from actors.delivery.failure_log import PASS
from actors.simulators import SimulatedO2
from actors.venues.o2 import Trade
from tests.stories.test_inline import Calls, Within
from tests.support.counters import settle
from tests.support.runtimes import line_of, runtime_on, until

# ── what a handler raises ──


class OwnError(BaseException):
    pass


RAISED = [
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    GeneratorExit,
    StopIteration,
    OwnError,
    MemoryError,
]


def logged_by(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "actors.streams"]


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("error", RAISED)
def test_a_handler_may_raise_anything(
    o2: SimulatedO2, error: type[BaseException], inline: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is called with all events and markers, and its full stream holds no line for longer than a call."""
    market, other = o2.markets[:2]
    calls = Calls()

    def fail(item: Any) -> None:
        calls(item)
        raise error("on purpose")

    buffer: dict[str, Any] = {} if inline else {"policy": "block", "capacity": 4}
    with runtime_on(o2) as runtime:
        stream = runtime.on(
            "o2", "trades", market, handler=fail, on_marker=fail, inline=inline, wait=10.0, **buffer
        )
        trades = runtime.subscribe("o2", "trades", other, wait=10.0)
        o2.number_trades(market, 40)
        o2.trade(other, trade_id="7")
        assert trades.get(timeout=10.0).trade_id == "7"
        items = calls.wait(41)
        assert [item.trade_id for item in items if isinstance(item, Trade)] == [
            str(number) for number in range(1, 41)
        ]
        until(runtime, lambda _: stream.handler_errors == len(calls.items))
        stream.close()
        calls.wait(len(items) + 1)
        assert isinstance(calls.items[-1], Closed)
        assert (stream.dropped, stream.queued) == (0, 0)
        assert line_of(runtime).epoch == 1
        settle(runtime)
        until(runtime, lambda _: len(logged_by(caplog)) == PASS)
    logged = logged_by(caplog)
    assert stream.handler_errors == len(calls.items)
    assert len(logged) == PASS
    assert str(stream._inlet.channel) in logged[1].getMessage()
    assert all(record.exc_info is not None and record.exc_info[0] is error for record in logged)


def test_a_thread_that_is_ended_from_outside_leaves_no_open_stream(
    o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that another thread raises in it may come where no handler runs."""
    with runtime_on(o2) as runtime:
        calls = Calls()
        stream = runtime.on(
            "o2", "trades", market, handler=calls, policy="block", capacity=4, on_marker=calls, wait=10.0
        )
        other = runtime.subscribe("o2", "trades", market, wait=10.0)
        (thread,) = [each for each in threading.enumerate() if each.name == "on/o2/trades"]
        set_async_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
        assert set_async_exception(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)) == 1
        o2.number_trades(market, 40)  # the thread wakes up
        thread.join(10.0)
        assert not thread.is_alive()
        assert [other.get(timeout=10.0).trade_id for _ in range(40)] == [str(each) for each in range(1, 41)]
        assert stream.closed
        assert "SystemExit" in (stream.end_reason or "")
        assert [each.id for each in runtime.status().streams] == [other.id]
        assert line_of(runtime).state == "live"
    assert "the stream is closed" in caplog.text


# ── what a handler returns ──


class Asynchronous:
    async def __call__(self, _: Any) -> None:
        pass


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("which", ["handler", "on_marker"])
@pytest.mark.parametrize("handler", [Asynchronous(), functools.partial(Asynchronous())])
def test_a_handler_that_no_call_runs_is_refused_before_anything_is_subscribed(
    runtime: Runtime, market: str, handler: Any, which: str, inline: bool
) -> None:
    handlers: dict[str, Any] = {"handler": print, which: handler}
    with pytest.raises(LinewardenError, match="Give a plain function; for a loop of yours"):
        runtime.on("o2", "trades", market, inline=inline, **handlers)
    assert runtime.status().streams == ()


@pytest.mark.parametrize("inline", [False, True])
def test_a_coroutine_that_a_handler_returns_counts_as_a_failure_and_is_told_once(
    o2: SimulatedO2, market: str, inline: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def later(_: Any) -> None:
        pass

    def later_of(item: Any) -> Any:
        return later(item)

    with runtime_on(o2) as runtime:
        stream = runtime.on(
            "o2",
            "trades",
            market,
            handler=later_of,
            on_marker=later_of,
            inline=inline,
            wait=10.0,
        )
        o2.number_trades(market, 5)
        until(runtime, lambda _: stream.handler_errors == 6)  # of a marker and five events
        gc.collect()  # a coroutine that was never awaited would warn, and warnings are errors
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "returned an object of type coroutine" in record.getMessage()
    assert "run_coroutine_threadsafe" in record.getMessage()


# ── what a handler waits for ──


def test_subscribing_with_a_wait_in_the_handler_of_a_full_block_stream_costs_no_event(
    o2: SimulatedO2,
) -> None:
    market, other = o2.markets[:2]
    with runtime_on(o2, block_timeout=1.0) as runtime:
        opened: list[Any] = []
        full = threading.Event()

        def subscribe() -> Any:
            assert full.wait(10.0)
            opened.append(runtime.subscribe("o2", "depth", other, wait=10.0))

        within = Within(subscribe)
        stream = runtime.on("o2", "trades", market, handler=within, policy="block", capacity=20, wait=10.0)
        beside = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.number_trades(market, 3_000, background=True)
        until(runtime, lambda _: stream._inlet.pauses)
        full.set()
        assert within.done.wait(10.0)
        assert within.took < 1.0
        assert isinstance(within.result, LinewardenError)
        assert "which is full" in str(within.result)
        until(runtime, lambda _: stream.delivered == beside.received == 3_000)
        assert (stream.dropped, stream.gap_count) == (0, 0)
        assert [each.channel for each in runtime.status().streams] == ["trades", "trades"]


def test_a_wait_ends_when_the_stream_of_its_thread_becomes_full(o2: SimulatedO2) -> None:
    """The stream that was opened is open, and shows up in the error; later it is confirmed."""
    market, other = o2.markets[:2]
    with runtime_on(o2, block_timeout=5.0, ack_timeout=10.0) as runtime:
        within = Within(lambda: runtime.subscribe("o2", "depth", other, wait=20.0))
        stream = runtime.on("o2", "trades", market, handler=within, policy="block", capacity=20, wait=10.0)
        o2.delay_ack(3.0)
        o2.trade(market)
        until(runtime, lambda status: [each.channel for each in status.streams] == ["trades", "depth"])
        o2.number_trades(market, 3_000, background=True)
        assert within.done.wait(20.0)
        assert within.took < 5.0
        assert isinstance(within.result, SubscribeError)
        assert "which is full" in str(within.result)
        until(runtime, lambda _: stream.delivered == 3_001)
        assert (stream.dropped, stream.gap_count) == (0, 0)


WAITS: dict[str, Callable[[Runtime, str], Any]] = {
    "add": lambda runtime, market: runtime.subscribe("o2", "depth", market).add(market, wait=10.0),
    "on": lambda runtime, market: runtime.on("o2", "depth", market, handler=print, wait=10.0),
    "book": lambda runtime, market: runtime.book("o2", market, wait=10.0),
    "wait_live": lambda runtime, _: runtime.wait_live(timeout=10.0),
    "wait_live of a line": lambda runtime, _: runtime.wait_live("o2", timeout=10.0),
    "rotate": lambda runtime, _: runtime.rotate("o2", timeout=10.0),
    "another stream": lambda runtime, market: runtime.subscribe("o2", "depth", market).get(timeout=10.0),
    "merge": lambda runtime, market: next(runtime.merge(runtime.subscribe("o2", "depth", market))),
}


@pytest.mark.parametrize("act", WAITS)
def test_no_wait_in_the_handler_of_a_full_block_stream_holds_its_line(o2: SimulatedO2, act: str) -> None:
    market, other = o2.markets[:2]
    with runtime_on(o2, block_timeout=2.0) as runtime:
        full = threading.Event()

        def wait() -> Any:
            assert full.wait(10.0)
            return WAITS[act](runtime, other)

        within = Within(wait)
        stream = runtime.on("o2", "trades", market, handler=within, policy="block", capacity=20, wait=10.0)
        o2.number_trades(market, 1_000, background=True)
        until(runtime, lambda _: stream._inlet.pauses)
        full.set()
        assert within.done.wait(10.0)
        assert within.took < 1.0
        assert isinstance(within.result, LinewardenError)
        assert "full" in str(within.result)
        until(runtime, lambda _: stream.delivered == 1_000)
        assert (stream.dropped, stream.gap_count) == (0, 0)


@pytest.mark.parametrize("act", WAITS)
def test_a_handler_whose_stream_is_not_full_may_wait(o2: SimulatedO2, act: str) -> None:
    market, other = o2.markets[:2]
    with runtime_on(o2) as runtime:
        within = Within(lambda: WAITS[act](runtime, other))
        _stream = runtime.on("o2", "trades", market, handler=within, policy="block", wait=10.0)
        o2.trade(market)
        assert within.done.wait(20.0)
        assert not isinstance(within.result, Exception)


def test_the_loop_of_a_full_block_stream_may_not_wait_for_its_line(o2: SimulatedO2) -> None:
    market, other = o2.markets[:2]
    with runtime_on(o2, block_timeout=5.0) as runtime:
        stream = runtime.subscribe("o2", "trades", market, policy="block", capacity=20, wait=10.0)
        o2.number_trades(market, 1_000, background=True)
        first = stream.get(timeout=10.0)
        until(runtime, lambda _: stream._inlet.pauses)
        with pytest.raises(LinewardenError, match="which is full"):
            runtime.subscribe("o2", "depth", other, wait=10.0)
        rest = [stream.get(timeout=10.0) for _ in range(999)]
        assert [each.trade_id for each in (first, *rest)] == [str(each) for each in range(1, 1_001)]
        runtime.subscribe("o2", "depth", other, wait=10.0)


def test_the_loop_of_a_full_block_stream_may_wait_for_another_runtime(o2: SimulatedO2) -> None:
    first, second = o2.markets[:2]
    with runtime_on(o2) as full, runtime_on(o2) as other:
        trades = full.subscribe("o2", "trades", first, policy="block", capacity=1, wait=10.0)
        for number in range(3):
            o2.trade(first, trade_id=str(number))
        trades.get(timeout=10.0)
        until(full, lambda _: trades._inlet.pauses)
        with pytest.raises(LinewardenError, match="wait_live is refused while this thread reads"):
            full.wait_live(timeout=10.0)
        other.wait_live(timeout=10.0)
        other.subscribe("o2", "trades", second, wait=10.0)
        other.rotate("o2", timeout=10.0)


NO_WAITS: dict[str, Callable[[Runtime, str], Any]] = {
    "subscribe": lambda runtime, market: runtime.subscribe("o2", "depth", market),
    "status": lambda runtime, _: runtime.status(),
    "send": lambda runtime, _: runtime.send("o2", {"action": "none"}),
    "restart": lambda runtime, _: runtime.supervisor.restart("o2").get(timeout=5.0),
    "pause": lambda runtime, _: runtime.supervisor.pause("o2").get(timeout=5.0),
    "reload": lambda runtime, _: runtime.reload(runtime.settings),
    "stop": lambda runtime, _: runtime.stop(),
}


@pytest.mark.parametrize("act", NO_WAITS)
def test_what_needs_no_line_is_done_in_the_handler_of_a_full_block_stream(o2: SimulatedO2, act: str) -> None:
    market, other = o2.markets[:2]
    with runtime_on(o2, block_timeout=5.0) as runtime:
        full = threading.Event()

        def do() -> Any:
            assert full.wait(10.0)
            return NO_WAITS[act](runtime, other)

        within = Within(do)
        stream = runtime.on("o2", "trades", market, handler=within, policy="block", capacity=20, wait=10.0)
        o2.number_trades(market, 1_000, background=True)
        until(runtime, lambda _: stream._inlet.pauses)
        full.set()
        assert within.done.wait(10.0)
        assert not isinstance(within.result, Exception), within.result
        assert within.took < 1.0
        assert stream.dropped == 0
