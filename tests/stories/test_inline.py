"""Inline handlers: called by the thread of the line, in the order of the events, beside ordinary streams."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

import actors
from actors import Closed, Gap, Lifecycle, LinewardenError, Runtime, Stream, Timeout
from actors.connection import Connection
from actors.delivery.epoch_delivery import EpochDelivery
from actors.dispatcher import Dispatcher
from actors.rules.counters import StreamStatus
from actors.simulators import SimulatedO2
from actors.supervision import rotation
from actors.supervision.rotation import Rotations
from actors.supervision.state import LineRecord
from actors.venues.o2 import DepthChange, DepthSnapshot
from tests.conftest import Baseline
from tests.stories.test_killed_actors import after, incarnation, kill
from tests.stories.test_subscriptions import ACCOUNTS
from tests.stories.test_wedged import WATCHDOG, is_wedged, nobody_is_wedged
from tests.support.counters import settle
from tests.support.depth_book import Book
from tests.support.runtimes import at_epoch, config, line_of, pause, runtime_on, until

T = TypeVar("T")
LINE, NOTIFIER = "connection/o2", "on/markers"
OUTAGE = ["disconnected", "reconnecting", "restored", "gap"]


class Calls:
    """What an inline handler was called with, and by which threads."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.threads: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, item: Any) -> None:
        with self._changed:
            self.items.append(item)
            self.threads.append(threading.current_thread().name)
            self._changed.notify_all()

    def wait(self, count: int, seconds: float = 10.0) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.items) >= count, seconds), self.words
            return self.items.copy()

    @property
    def words(self) -> list[str]:
        return [word(item) for item in self.items]


def word(item: Any) -> str:
    match item:
        case Lifecycle(state=state):
            return state
        case Gap():
            return "gap"
        case Closed():
            return "closed"
        case _:
            return str(item.trade_id)


class Within:
    """Calls something from inside an inline handler, once, and keeps what came of it."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act
        self.done = threading.Event()
        self.result: Any = None
        self.took = 0.0  # seconds

    def __call__(self, _: Any) -> None:
        if self.done.is_set():
            return
        begun = time.monotonic()
        try:
            self.result = self._act()
        except Exception as error:
            self.result = error
        self.took = time.monotonic() - begun
        self.done.set()


class Hang:
    """A handler whose first call hangs until it is released."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.caught, self.released, self.over = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, item: Any) -> None:
        self.calls(item)
        if not self.caught.is_set():
            self.caught.set()
            self.released.wait(30)
            self.over.set()


@pytest.fixture
def hang() -> Iterator[Hang]:
    hang = Hang()
    yield hang
    hang.released.set()


@pytest.fixture
def watched(o2: SimulatedO2) -> Iterator[Runtime]:
    with actors.start(config(o2.url, runtime={"watchdog_timeout": WATCHDOG}), wait=10.0) as runtime:
        yield runtime


def counts(runtime: Runtime, stream: Stream[Any]) -> StreamStatus:
    (mine,) = [each for each in settle(runtime).streams if each.id == stream.id]
    return mine


def lose_the_line(runtime: Runtime, o2: SimulatedO2) -> None:
    epoch = line_of(runtime).epoch
    o2.drop()
    until(runtime, at_epoch(epoch + 1))
    runtime.wait_live(timeout=10.0)


# ── calls ──


def test_events_come_on_the_thread_of_their_line(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    calls = Calls()
    stream = runtime.on("o2", "trades", market, handler=calls, inline=True, wait=10.0)
    o2.number_trades(market, 100, batch=10)
    calls.wait(100)
    assert calls.words == [str(number) for number in range(1, 101)]
    assert set(calls.threads) == {LINE}
    shown = counts(runtime, stream)
    assert (shown.policy, shown.topics) == ("inline", 1)
    assert (shown.received, shown.delivered, shown.dropped, shown.queued) == (100, 100, 0, 0)
    assert (stream.received, stream.delivered, stream.queued) == (100, 100, 0)


def test_a_handler_keeps_its_stream_and_its_runtime(o2: SimulatedO2, market: str) -> None:
    calls = Calls()
    runtime = actors.start(config(o2.url), wait=10.0)
    reference = weakref.ref(runtime)
    runtime.on("o2", "trades", market, handler=calls, inline=True, wait=10.0)
    del runtime
    gc.collect()
    o2.number_trades(market, 1)
    calls.wait(1)
    still_there = reference()
    assert still_there is not None
    still_there.stop()


def test_ordinary_streams_have_their_events_before_the_handler_is_called(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    seen: list[list[int]] = []
    late: list[Stream[Any]] = []

    def look(trade: Any) -> None:
        behind = late[0].get(timeout=0)
        seen.append([int(trade.trade_id), early.received, int(behind.trade_id), early.queued])

    early = runtime.subscribe("o2", "trades", market, wait=10.0)
    _stream = runtime.on("o2", "trades", market, handler=look, inline=True, wait=10.0)
    late.append(runtime.subscribe("o2", "trades", market, wait=10.0))
    o2.trade(market, trade_id="1")
    until(runtime, lambda _: len(seen) == 1)
    o2.trade(market, trade_id="2")
    until(runtime, lambda _: len(seen) == 2)
    assert seen == [[1, 1, 1, 1], [2, 2, 2, 2]]
    assert [int(early.get(timeout=0).trade_id) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("inline", [True, False])
def test_a_handler_that_raises_is_logged_and_counted_and_goes_on(
    inline: bool, runtime: Runtime, o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Calls()

    def fail(trade: Any) -> None:
        calls(trade)
        if trade.trade_id == "1":
            raise ZeroDivisionError("on purpose")
        if trade.trade_id == "2":
            sys.exit("on purpose")

    stream = runtime.on("o2", "trades", market, handler=fail, inline=inline, wait=10.0)
    with caplog.at_level(logging.ERROR, "actors.streams"):
        o2.number_trades(market, 3, batch=3)
        calls.wait(3)
        until(runtime, lambda _: stream.delivered == 3)
    assert stream.handler_errors == 2
    told = [record for record in caplog.records if f"o2/trades/{market}" in record.getMessage()]
    assert [record.exc_info[0] for record in told if record.exc_info] == [ZeroDivisionError, SystemExit]
    assert line_of(runtime).epoch == 1


def test_add_and_remove_change_what_the_handler_gets(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    calls = Calls()
    stream = runtime.on("o2", "trades", market, handler=calls, inline=True, wait=10.0)
    other = o2.markets[1]
    stream.add(other, wait=10.0)
    o2.trade(other, trade_id="20")
    calls.wait(1)
    stream.remove(market)
    o2.wait_for(lambda: o2.subscribers("trades", market) == 0)
    o2.trade(market, trade_id="10")
    o2.trade(other, trade_id="21")
    calls.wait(2)
    assert calls.words == ["20", "21"]
    assert [topic.key for topic in stream.topics] == [other]


def test_a_newcomer_to_changes_gets_the_whole_book_first(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    first = runtime.subscribe("o2", "depth", market, precision="10", wait=10.0)
    for quantity in (1, 2, 3):
        o2.depth_change(market, buys=[(100, quantity)])
    until(runtime, lambda _: first.received == 4)
    calls, book = Calls(), Book()
    _stream = runtime.on("o2", "depth", market, precision="10", handler=calls, inline=True, wait=10.0)
    o2.depth_change(market, buys=[(100, 4)])
    events = calls.wait(5)
    assert [type(event) for event in events] == [DepthSnapshot, *[DepthChange] * 4]
    for event in events:
        book.apply(event)
    assert book.sides == o2.book(market)
    assert first.gap_count == 0


# ── markers ──


def test_the_markers_of_a_loss_stand_in_their_place(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    calls = Calls()
    stream = runtime.on("o2", "trades", market, handler=calls, on_marker=calls, inline=True, wait=10.0)
    o2.trade(market, trade_id="1")
    calls.wait(2)
    lose_the_line(runtime, o2)
    o2.trade(market, trade_id="2")
    calls.wait(7)
    assert calls.words == ["connected", "1", *OUTAGE, "2"]
    assert calls.threads[0] == calls.threads[1] == calls.threads[4] == calls.threads[6] == LINE
    assert set(calls.threads[2:4]) <= {NOTIFIER, LINE}
    assert stream.gap_count == 1
    assert stream.gaps == (calls.items[5],)
    stream.close()
    calls.wait(8)
    assert calls.words[7:] == ["closed"]
    assert calls.threads[7] == NOTIFIER
    assert stream.closed


def test_a_line_that_is_down_is_told_on_the_notifier(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    markers = Calls()
    _stream = runtime.on("o2", "trades", market, handler=print, on_marker=markers, inline=True, wait=10.0)
    runtime.supervisor.pause("o2").get(timeout=5)
    markers.wait(3)
    until(runtime, lambda status: status.lines()["o2"].state == "paused")
    runtime.supervisor.resume("o2").get(timeout=5)
    runtime.wait_live(timeout=10)
    until(runtime, lambda _: markers.words[-1:] == ["gap"])
    assert markers.words == ["connected", "disconnected", "paused", "connecting", "restored", "gap"]
    assert markers.threads[:3] == [LINE, NOTIFIER, NOTIFIER]
    assert markers.threads[-1] == LINE


def test_an_inline_handler_is_told_the_present_state_of_its_line_while_that_is_down(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    runtime.wait_live(timeout=10)
    pause(runtime, "o2")
    markers = Calls()
    _stream = runtime.on("o2", "trades", market, handler=print, on_marker=markers, inline=True)
    markers.wait(1)
    runtime.supervisor.resume("o2").get(timeout=5)
    markers.wait(3)
    assert markers.words == ["paused", "connecting", "connected"]
    assert markers.threads[0] == NOTIFIER


def test_on_without_inline_shows_markers_too(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    calls = Calls()
    stream = runtime.on("o2", "trades", market, handler=calls, on_marker=calls, wait=10.0)
    o2.trade(market, trade_id="1")
    calls.wait(2)
    lose_the_line(runtime, o2)
    o2.trade(market, trade_id="2")
    calls.wait(7)
    stream.close()
    calls.wait(8)
    assert calls.words == ["connected", "1", *OUTAGE, "2", "closed"]
    assert set(calls.threads) == {"on/o2/trades"}


def test_a_marker_handler_that_raises_is_counted(
    runtime: Runtime, o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Calls()

    def fail(marker: Any) -> None:
        calls(marker)
        raise ZeroDivisionError("on purpose")

    stream = runtime.on("o2", "trades", market, handler=print, on_marker=fail, inline=True, wait=10.0)
    with caplog.at_level(logging.ERROR, "actors.streams"):
        lose_the_line(runtime, o2)
        calls.wait(5)
        stream.close()
        calls.wait(6)
        until(runtime, lambda _: stream.handler_errors == 6)
    assert calls.words == ["connected", *OUTAGE, "closed"]


def test_numbers_and_markers_agree_through_losses_and_deaths(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    calls = Calls()
    stream = runtime.on("o2", "trades", market, handler=calls, on_marker=calls, inline=True, wait=10.0)
    for turn in range(4):
        o2.number_trades(market, 200)
        if turn % 2:
            before = incarnation(runtime.status(), "dispatcher")
            kill(Dispatcher)
            until(runtime, after("dispatcher", before))
            lose_the_line(runtime, o2)
        else:
            epoch = line_of(runtime).epoch
            kill(Connection)
            until(runtime, at_epoch(epoch + 1))
            runtime.wait_live(timeout=10.0)
        o2.number_trades(market, 200)
    last = o2.number_trades(market, 1)[0]
    until(runtime, lambda _: calls.words[-1:] == [str(last)])
    due, may_leap = 1, False
    for item in calls.items:
        match item:
            case Gap():
                may_leap = True
            case Lifecycle():
                pass
            case _:
                number = int(item.trade_id)
                assert number == due or (may_leap and number > due)
                due, may_leap = number + 1, False
    assert calls.words.count("gap") == calls.words.count("disconnected") == 4
    shown = counts(runtime, stream)
    assert shown.received == shown.delivered == sum(word.isdigit() for word in calls.words)


def test_rotations_show_nothing_and_repeat_nothing(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    calls = Calls()
    _stream = runtime.on("o2", "trades", market, handler=calls, on_marker=calls, inline=True, wait=10.0)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            talking = pool.submit(o2.number_trades, market, 300, 2_000)
            runtime.rotate("o2", timeout=20.0)
            talking.result(timeout=10)
    calls.wait(1_501)
    settle(runtime)
    assert calls.words == ["connected", *(str(number) for number in range(1, 1_501))]
    assert line_of(runtime).epoch == 6


def test_a_long_call_holds_the_handing_over_and_is_not_made_beside_another(
    runtime: Runtime, o2: SimulatedO2, market: str, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The former connection is in it when its time to hand over has passed."""
    monkeypatch.setattr(rotation, "GOODBYE", 0.1)
    stream = runtime.on("o2", "trades", market, handler=hang, on_marker=hang.calls, inline=True, wait=10.0)
    take_over, former_due = Rotations._take_over, Rotations.former_due
    due = threading.Semaphore(0)

    def take_over_amid_a_call(self: Rotations, line: LineRecord) -> None:
        o2.number_trades(market, 3, batch=3)
        assert hang.caught.wait(10)
        take_over(self, line)

    def note_due(self: Rotations, line: LineRecord, epoch: int) -> None:
        former_due(self, line, epoch)
        due.release()

    monkeypatch.setattr(Rotations, "_take_over", take_over_amid_a_call)
    monkeypatch.setattr(Rotations, "former_due", note_due)
    with ThreadPoolExecutor(1) as pool:
        rotated = pool.submit(runtime.rotate, "o2", timeout=20.0)
        assert due.acquire(timeout=10)
        assert due.acquire(timeout=10)
        o2.number_trades(market, 3, batch=3)
        assert hang.calls.words == ["connected", "1"]
        assert not rotated.done()
        hang.released.set()
        rotated.result(timeout=20)
    hang.calls.wait(7)
    settle(runtime)
    assert hang.calls.words == ["connected", *(str(number) for number in range(1, 7))]
    assert (stream.dropped, stream.gap_count, line_of(runtime).epoch) == (0, 0, 2)


def test_two_lines_call_one_handler_one_at_a_time(runtime: Runtime, o2: SimulatedO2) -> None:
    calls, alone = Calls(), threading.Lock()
    errors: list[str] = []

    def handle(order: Any) -> None:
        if not alone.acquire(blocking=False):
            errors.append("two at once")
            return
        calls(order)
        alone.release()

    _stream = runtime.on("o2", "orders", *ACCOUNTS, handler=handle, inline=True, wait=10.0)
    until(runtime, lambda status: set(status.lines()) == {"o2", "o2/2"})
    for _ in range(20):
        for account in ACCOUNTS:
            o2.order(account)
    orders = calls.wait(20 * len(ACCOUNTS))
    assert not errors
    assert {order.account for order in orders} == set(ACCOUNTS)
    assert set(calls.threads) == {LINE, "connection/o2/2"}
    settle(runtime)


# ── the end ──


def test_a_closed_handler_is_called_no_more(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    calls = Calls()
    opened: list[Stream[Any]] = []

    def close(trade: Any) -> None:
        calls(trade)
        if trade.trade_id == "2":
            opened[0].close()

    opened.append(runtime.on("o2", "trades", market, handler=close, on_marker=calls, inline=True, wait=10.0))
    beside = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.number_trades(market, 10, batch=10)
    calls.wait(4)
    assert [beside.get(timeout=5).trade_id for _ in range(10)][-1] == "10"
    assert calls.words == ["connected", "1", "2", "closed"]
    stream = opened[0]
    until(runtime, lambda _: not stream.queued)
    assert stream.received == stream.delivered + stream.dropped
    assert stream.delivered == 2


def test_stop_tells_the_end_and_leaves_no_thread(baseline: Baseline, o2: SimulatedO2, market: str) -> None:
    before = {thread.name for thread in baseline.threads}
    calls = Calls()
    with runtime_on(o2) as runtime:
        _stream = runtime.on("o2", "trades", market, handler=calls, on_marker=calls, inline=True, wait=10.0)
        o2.number_trades(market, 1)
        calls.wait(2)
        assert runtime.stop() == ()
    assert (*calls.words[:2], calls.words[-1]) == ("connected", "1", "closed")
    assert NOTIFIER not in {thread.name for thread in threading.enumerate()} - before


def test_without_on_marker_there_is_no_notifier(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    calls = Calls()
    stream = runtime.on("o2", "trades", market, handler=calls, inline=True, wait=10.0)
    lose_the_line(runtime, o2)
    o2.number_trades(market, 1)
    calls.wait(1)
    assert stream.gap_count == len(stream.gaps) == 1
    assert NOTIFIER not in {thread.name for thread in threading.enumerate()}


# ── what is refused ──


@pytest.mark.parametrize("buffer", [{"policy": "block"}, {"capacity": 10}])
def test_policy_and_capacity_are_refused(runtime: Runtime, market: str, buffer: dict[str, Any]) -> None:
    with pytest.raises(LinewardenError, match="no buffer"):
        runtime.on("o2", "trades", market, handler=print, inline=True, **buffer)
    assert runtime.status().streams == ()


@pytest.mark.parametrize(
    "read",
    [
        iter,
        lambda stream: stream.get(),
        lambda stream: stream.get(timeout=0),
        lambda stream: stream.get_many(1),
        lambda stream: stream.with_markers(),
        lambda stream: stream.with_meta(),
        lambda stream: stream.items(),
    ],
)
def test_its_stream_is_not_read(runtime: Runtime, market: str, read: Callable[[Any], Any]) -> None:
    with runtime.on("o2", "trades", market, handler=print, inline=True) as stream:
        with pytest.raises(LinewardenError, match="inline handler"):
            read(stream)
        with pytest.raises(LinewardenError, match="inline handler"):
            next(runtime.merge(stream))
    assert stream.closed


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("which", ["handler", "on_marker"])
def test_a_coroutine_function_is_refused(runtime: Runtime, market: str, which: str, inline: bool) -> None:
    async def handle(_: Any) -> None:
        pass

    handlers: dict[str, Any] = {"handler": print, which: handle}
    with pytest.raises(LinewardenError, match="coroutine function"):
        runtime.on("o2", "trades", market, inline=inline, **handlers)
    assert runtime.status().streams == ()


def within(runtime: Runtime, o2: SimulatedO2, market: str, act: Callable[[], T]) -> Within:
    """What comes of a call inside an inline handler of a line that goes on."""
    tried = Within(act)
    calls = Calls()
    handlers = [
        runtime.on("o2", "trades", market, handler=each, inline=True, wait=10.0) for each in (tried, calls)
    ]
    o2.trade(market, trade_id="1")
    assert tried.done.wait(15)
    o2.trade(market, trade_id="2")
    calls.wait(2)
    assert line_of(runtime).epoch == 1
    for handler in handlers:
        handler.close()
    return tried


WAITS: dict[str, Callable[[Runtime, str], Any]] = {
    "subscribe": lambda runtime, market: runtime.subscribe("o2", "depth", market, wait=5.0),
    "on": lambda runtime, market: runtime.on("o2", "depth", market, handler=print, wait=5.0),
    "book": lambda runtime, market: runtime.book("o2", market, wait=5.0),
    "rotate": lambda runtime, _: runtime.rotate("o2"),
    "refresh_token": lambda runtime, _: runtime.refresh_token("o2"),
    "wait_live": lambda runtime, _: runtime.wait_live(timeout=5.0),
}


@pytest.mark.parametrize("call", WAITS)
def test_what_would_wait_for_the_line_is_refused(
    call: str, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    tried = within(runtime, o2, market, lambda: WAITS[call](runtime, market))
    assert isinstance(tried.result, LinewardenError)
    assert "inside an inline handler" in str(tried.result)
    assert tried.took < 1.0
    assert o2.subscribers("depth", market) == 0


def test_reading_with_a_wait_is_refused(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    other = runtime.subscribe("o2", "trades", o2.markets[1], wait=10.0)
    reads: list[Callable[[], Any]] = [
        other.get,
        lambda: other.get(timeout=5.0),
        lambda: next(iter(other)),
        lambda: next(runtime.merge(other)),
        lambda: other.add(market, wait=1.0),
    ]
    for read in reads:
        tried = within(runtime, o2, market, read)
        assert isinstance(tried.result, LinewardenError)
        assert "inside an inline handler" in str(tried.result)
    at_once = within(runtime, o2, market, lambda: other.get(timeout=0)).result
    assert isinstance(at_once, Timeout)


# ── what works inside ──


def test_subscribing_and_closing_work_inside(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    other, third = o2.markets[1], o2.markets[2]
    inner = Calls()

    def open_two() -> tuple[Stream[Any], Stream[Any]]:
        ordinary = runtime.subscribe("o2", "trades", other)
        inline = runtime.on("o2", "trades", other, handler=inner, inline=True)
        ordinary.add(third)
        ordinary.remove(other)
        return ordinary, inline

    opened = within(runtime, o2, market, open_two)
    assert opened.took < 2.0
    ordinary, inline = opened.result
    o2.wait_for(lambda: o2.subscribers("trades", other) and o2.subscribers("trades", third))
    o2.trade(other, trade_id="5")
    inner.wait(1)
    o2.trade(third, trade_id="6")
    assert ordinary.get(timeout=5).trade_id == "6"

    closed = within(runtime, o2, market, lambda: (ordinary.close(), inline.close()))
    assert closed.took < 1.0
    o2.wait_for(lambda: not o2.subscribers("trades", other) and not o2.subscribers("trades", third))


def test_looking_works_inside(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    status = within(runtime, o2, market, runtime.status)
    assert status.result.lines()["o2"].state == "live"
    price = within(runtime, o2, market, lambda: runtime.latest("o2", market, timeout=0))
    assert price.result.symbol == market
    book = within(runtime, o2, market, lambda: runtime.book("o2", market))
    assert not book.result.synced
    lives = within(runtime, o2, market, lambda: runtime.lifecycle("o2"))
    assert lives.result.get(timeout=5).state == "connected"
    refused = within(runtime, o2, market, lambda: list(lives.result.take(1.0)))
    assert "inside an inline handler" in str(refused.result)
    proxied = within(runtime, o2, market, lambda: runtime.supervisor.status().get(timeout=5))
    assert proxied.result.lines()["o2"].state == "live"


def test_another_config_is_taken_inside(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    more = config(o2.url)
    more["feeds"]["beside"] = more["feeds"]["o2"]
    reloaded = within(runtime, o2, market, lambda: runtime.reload(more))
    assert reloaded.took < 2.0
    assert reloaded.result.changes
    runtime.wait_live("beside", timeout=10.0)

    del more["feeds"]["o2"]
    calls, tried = Calls(), Within(lambda: runtime.reload(more))
    runtime.on("o2", "trades", market, handler=tried, on_marker=calls, inline=True, wait=10.0)
    o2.trade(market)
    assert tried.done.wait(10)  # it has removed the line whose thread has called it
    assert tried.result.changes
    until(runtime, lambda status: set(status.lines()) == {"beside"})
    until(runtime, lambda _: "closed" in calls.words)


def test_a_message_is_sent_after_the_call(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    hello = {"action": "hello"}

    def send() -> bool:
        with pytest.raises(LinewardenError, match="no Unicode text"):
            runtime.send("o2", "\ud800")
        runtime.send("o2", hello)
        return hello in o2.heard

    sent = within(runtime, o2, market, send)
    assert sent.took < 1.0
    assert sent.result is False
    assert o2.wait_heard("hello") == [hello]


def test_stop_begins_and_returns(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        calls = Calls()
        tried = Within(runtime.stop)
        for handler in (tried, calls):
            runtime.on("o2", "trades", market, handler=handler, on_marker=calls, inline=True, wait=10.0)
        o2.trade(market, trade_id="1")
        assert tried.done.wait(10)
        assert tried.result == ()
        assert tried.took < 1.0
        until(runtime, lambda status: status.state == "stopped")
        assert runtime.stop() == ()
    assert calls.words[:3] == ["connected", "connected", "1"]
    assert calls.words.count("closed") == 2


# ── slow, and hung ──


def test_a_batch_of_slow_calls_is_not_wedged(watched: Runtime, o2: SimulatedO2, market: str) -> None:
    calls = Calls()

    def work(trade: Any) -> None:
        time.sleep(WATCHDOG / 20)  # it works
        calls(trade)

    _stream = watched.on("o2", "trades", market, handler=work, inline=True, wait=10.0)
    beside = watched.subscribe("o2", "trades", market, wait=10.0)
    o2.number_trades(market, 60, batch=60)
    calls.wait(60, 30.0)
    assert beside.received == 60
    assert nobody_is_wedged(watched.status())
    assert line_of(watched).epoch == 1


def test_an_answer_that_comes_during_a_slow_call_is_not_overdue(
    o2: SimulatedO2, market: str, hang: Hang
) -> None:
    with runtime_on(o2, ack_timeout=0.5) as runtime:
        _stream = runtime.on("o2", "trades", market, handler=hang, inline=True, wait=10.0)
        o2.delay_ack(0.2)
        depth = runtime.subscribe("o2", "depth", market)
        o2.wait_heard("subscribe_depth")
        o2.trade(market)
        assert hang.caught.wait(5)
        o2.wait_for(lambda: o2.subscribers("depth", market) == 1)
        assert not hang.released.wait(0.8)  # longer than the venue's answer may take
        hang.released.set()
        assert isinstance(depth.get(timeout=5), DepthSnapshot)
        until(runtime, lambda _: [state.state for state in depth.topics.values()] == ["confirmed"])
        asked = [frame["action"] for frame in o2.heard if isinstance(frame, dict)]
        assert asked == ["subscribe_trades", "subscribe_depth"]


def test_a_call_that_never_returns_wedges_its_line_and_is_the_last_of_its_thread(
    watched: Runtime, o2: SimulatedO2, market: str, hang: Hang
) -> None:
    beside = watched.subscribe("o2", "trades", market, wait=10.0)
    stream = watched.on("o2", "trades", market, handler=hang, on_marker=hang.calls, inline=True, wait=10.0)
    o2.number_trades(market, 10, batch=10)
    assert hang.caught.wait(5)
    until(watched, is_wedged(LINE))
    until(watched, at_epoch(2))
    watched.wait_live(timeout=10.0)
    o2.number_trades(market, 5, batch=5)
    words = [word(item) for item in hang.calls.wait(11)]
    assert words == ["connected", "1", *OUTAGE, *(str(number) for number in range(11, 16))]
    # The ordinary stream had all events of that read before the call that hung.
    read = [int(beside.get(timeout=5).trade_id) for _ in range(stream.received)]
    assert read == [*range(1, len(read) - 4), *range(11, 16)]
    assert beside.received == stream.received == len(read)

    hang.released.set()
    assert hang.over.wait(5)
    until(watched, nobody_is_wedged)
    o2.number_trades(market, 1)
    hang.calls.wait(12)
    assert hang.calls.words[11:] == ["16"]
    until(watched, lambda _: not stream.queued)
    assert (stream.received, stream.dropped) == (len(read) + 1, len(read) - 6)
    assert line_of(watched).epoch == 2
    assert stream.gap_count == 1


def test_a_marker_call_that_never_returns_costs_the_line_one_life(
    watched: Runtime, o2: SimulatedO2, market: str, hang: Hang
) -> None:
    """The notifier hangs in it, and the line that waits for its turn is given up, once."""
    calls, others = Calls(), Calls()
    _stream = watched.on("o2", "trades", market, handler=calls, on_marker=hang, inline=True, wait=10.0)
    _other = watched.on("o2", "trades", market, handler=others, on_marker=others, inline=True, wait=10.0)
    o2.drop()
    assert hang.caught.wait(5)
    until(watched, at_epoch(3))
    watched.wait_live(timeout=10.0)
    o2.trade(market, trade_id="1")
    calls.wait(1)
    until(watched, lambda _: others.words[-1:] == ["1"])
    assert line_of(watched).epoch == 3
    assert others.words[-3:] == ["restored", "gap", "1"]
    hang.released.set()
    assert hang.over.wait(5)
    until(watched, nobody_is_wedged)


def test_a_marker_call_of_the_line_that_never_returns_hides_no_marker(
    watched: Runtime, o2: SimulatedO2, market: str
) -> None:
    calls, caught, released = Calls(), threading.Event(), threading.Event()

    def hang(marker: Any) -> None:
        calls(marker)
        if word(marker) == "restored" and not caught.is_set():
            caught.set()
            released.wait(30)

    stream = watched.on("o2", "trades", market, handler=calls, on_marker=hang, inline=True, wait=10.0)
    o2.drop()
    assert caught.wait(10)
    until(watched, at_epoch(3))
    watched.wait_live(timeout=10.0)
    o2.trade(market, trade_id="1")
    calls.wait(10)
    released.set()
    until(watched, nobody_is_wedged)
    o2.trade(market, trade_id="2")
    calls.wait(11)
    assert calls.words == ["connected", *OUTAGE, *OUTAGE, "1", "2"]
    assert stream.gap_count == len(stream.gaps) == 2


def test_a_defect_in_delivery_loses_no_call(
    runtime: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails once the event is put, and before the handler is called."""
    calls = Calls()
    stream = runtime.on("o2", "trades", market, handler=calls, on_marker=calls, inline=True, wait=10.0)
    put = EpochDelivery._put

    def fail_once(delivery: EpochDelivery, *args: Any) -> Any:
        monkeypatch.setattr(EpochDelivery, "_put", put)
        put(delivery, *args)
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(EpochDelivery, "_put", fail_once)
    o2.number_trades(market, 1)
    until(runtime, at_epoch(2))
    runtime.wait_live(timeout=10.0)
    o2.number_trades(market, 1)
    calls.wait(7)
    assert calls.words == ["connected", "1", *OUTAGE, "2"]
    shown = counts(runtime, stream)
    assert (shown.received, shown.delivered, shown.queued) == (2, 2, 0)
