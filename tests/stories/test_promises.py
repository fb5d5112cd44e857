"""The promises about data that no other story is about: order, handlers, the end, and the books."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actors import Closed, Gap, Lifecycle, Runtime, Stream, StreamClosed
from actors.dispatcher import Dispatcher
from actors.simulators import SimulatedO2
from actors.status import Status
from actors.supervisor import Supervisor
from actors.venues.o2 import Trade
from tests.stories.test_killed_actors import after, kill
from tests.support.counters import decoded, reconciled, settle
from tests.support.runtimes import at_epoch, fresh, line_of, runtime_on, until

# ── order ──


def test_every_topic_comes_in_the_venue_s_order_under_load(runtime: Runtime, o2: SimulatedO2) -> None:
    count = 5_000
    trades = runtime.subscribe("o2", "trades", *o2.markets, wait=5.0, policy="block")
    for market in o2.markets:  # all at once
        o2.number_trades(market, count, background=True)
    heard: dict[str, list[int]] = defaultdict(list)
    for received in trades.with_meta():
        assert received.topic.key == received.event.market
        assert received.epoch == 1
        heard[received.topic.key].append(int(received.event.trade_id))
        if trades.delivered == count * len(o2.markets):
            break
    for market in o2.markets:
        assert heard[market] == list(range(1, count + 1))
    settle(runtime)


def test_order_and_gaps_survive_drops_under_load(o2: SimulatedO2, market: str) -> None:
    """Between two trades that do not follow each other there is a gap, and nowhere else."""
    restart = {"initial": 0.01, "maximum": 0.02}
    with runtime_on(o2, restart=restart) as runtime, ThreadPoolExecutor() as pool:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=100_000)
        for number in range(2, 7):
            burst = pool.submit(o2.number_trades, market, 1_000)
            until(runtime, decoded((number - 2) * 50 + 50))
            o2.drop()
            until(runtime, at_epoch(number))
            runtime.wait_live(timeout=10)
            burst.result(30)  # two at once would mix their numbers
        last = o2.number_trades(market, 1)[0]
        previous, marked, lost = 0, False, 0
        for item in trades.with_markers():
            if isinstance(item, Gap):
                assert item.reason == "disconnect"
                marked = True
            elif isinstance(item, Trade):
                number = int(item.trade_id)
                assert number > previous
                assert number == previous + 1 or marked
                lost += number - previous - 1
                previous, marked = number, False
                if number == last:
                    break
        line = settle(runtime).lines()["o2"]
        assert trades.gap_count == line.counters.gaps == line.counters.restarts == 5
        assert last == trades.delivered + lost


def test_merged_streams_come_in_the_order_of_arrival(runtime: Runtime, o2: SimulatedO2) -> None:
    streams = [runtime.subscribe("o2", "trades", market, wait=5.0) for market in o2.markets]
    merged = runtime.merge(*streams)
    for number in range(30):
        o2.trade(o2.markets[number % 3], trade_id=str(number))
        until(runtime, decoded(number + 1))  # one batch each
    assert [next(merged).event.trade_id for _ in range(30)] == [str(number) for number in range(30)]


# ── handlers ──


def test_a_handler_that_raises_is_logged_counted_and_goes_on(
    runtime: Runtime, o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    enough = threading.Event()

    def handler(trade: Trade) -> None:
        heard.append(trade.trade_id)
        if len(heard) == 9:
            enough.set()
        if int(trade.trade_id) % 3 == 0:
            raise ArithmeticError("on purpose")

    stream = runtime.on("o2", "trades", market, handler=handler, wait=5.0)
    o2.number_trades(market, 9)
    assert enough.wait(5)
    until(runtime, lambda status: status.streams[0].handler_errors == 3)
    assert runtime.stop() == ()  # the handler's thread has ended, and has logged
    assert heard == [str(number) for number in range(1, 10)]
    assert stream.handler_errors == 3
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 3
    assert f"o2/trades/{market}" in errors[0].getMessage()
    assert errors[0].exc_info is not None
    assert errors[0].exc_info[0] is ArithmeticError


def test_consumers_that_sleep_or_fail_hurt_no_other_stream(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    wake = threading.Event()

    def sleeper(trade: Trade) -> None:
        wake.wait(30)

    def failer(trade: Trade) -> None:
        raise ArithmeticError("on purpose")

    quick = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block")
    asleep = runtime.on("o2", "trades", market, handler=sleeper, capacity=10)
    failing = runtime.on("o2", "trades", market, handler=failer)
    forgotten = runtime.subscribe("o2", "trades", market, capacity=10)
    o2.number_trades(market, 2_000, background=True)
    for number in range(1, 2_001):
        assert quick.get(timeout=5).trade_id == str(number)
    until(runtime, lambda status: status.streams[2].delivered == 2_000)
    settle(runtime)
    assert quick.gap_count == failing.gap_count == 0
    assert asleep.dropped == 2_000 - 10 - asleep.delivered
    assert forgotten.dropped == 1_990
    assert line_of(runtime).paused_by_streams == ()
    wake.set()


# ── the end ──


def ends(stream: Stream[Any]) -> list[str]:
    """What a stream tells to its very end, by kind."""
    kinds = [type(item).__name__ for item in stream.with_markers()]
    assert kinds.count("Closed") == 1
    assert kinds[-1] == "Closed"
    assert list(stream.with_markers()) == []  # nothing follows it
    return kinds


def test_closing_leaves_what_was_there_and_closed_behind_it(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.number_trades(market, 5)
    until(runtime, decoded(5))
    trades.close()
    trades.close()
    o2.number_trades(market, 5)
    assert ends(trades) == ["Lifecycle"] + ["Trade"] * 5 + ["Closed"]
    assert list(trades) == []  # quietly: it was asked for
    with pytest.raises(StreamClosed, match="closed by its reader"):
        trades.get()


def test_closing_under_load_ends_in_closed(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    o2.number_trades(market, 20_000, per_second=10_000, background=True)
    for _ in range(20):
        with runtime.subscribe("o2", "trades", market, wait=5.0) as trades:
            trades.get(timeout=5)
        assert ends(trades)[-1] == "Closed"
        with runtime.subscribe("o2", "trades", market, capacity=2, wait=5.0) as trades:
            trades.get(timeout=5)
        assert ends(trades)[-1] == "Closed"


def test_stopping_ends_every_stream_quietly(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        o2.number_trades(market, 20_000, per_second=10_000, background=True)
        read = runtime.subscribe("o2", "trades", market, wait=5.0)
        unread = runtime.subscribe("o2", "trades", market, wait=5.0, capacity=5)
        deltas = runtime.subscribe("o2", "depth", market, wait=5.0)
        read.get(timeout=5)
        ended = threading.Event()

        def read_to_the_end() -> None:
            for _ in read:
                pass
            ended.set()

        reader = threading.Thread(target=read_to_the_end)
        reader.start()
        assert runtime.stop(timeout=2.0) == ()
        assert ended.wait(5)
        reader.join()
        assert ends(unread)[-1] == ends(deltas)[-1] == "Closed"
        late = read.with_markers()
        assert list(late) == []


def test_the_death_of_the_supervisor_ends_streams_with_its_reason(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.number_trades(market, 3)
        until(runtime, decoded(3))
        kill(Supervisor)
        assert ends(trades) == ["Lifecycle"] + ["Trade"] * 3 + ["Closed"]
        with pytest.raises(StreamClosed, match="nothing_of_that_name"):
            next(iter(trades))


def test_no_trouble_of_a_line_closes_its_streams(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, restart={"max_restarts": 1, "stable_after": 60.0, "probe_interval": 0.0}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.stop()  # down
        until(runtime, lambda status: status.lines()["o2"].state == "backoff")
        o2.start()
        runtime.wait_live(timeout=10)
        o2.drop()  # parked
        until(runtime, lambda status: status.lines()["o2"].state == "failed")
        o2.refuse(403)
        runtime.supervisor.restart("o2").get(timeout=5)  # fatal

        def is_fatal(status: Status) -> bool:
            reason = status.lines()["o2"].reason
            return status.lines()["o2"].state == "failed" and reason is not None and reason.kind == "fatal"

        until(runtime, is_fatal)
        assert not trades.closed
        runtime.supervisor.pause("o2").get(timeout=5)
        runtime.supervisor.resume("o2").get(timeout=5)
        runtime.wait_live(timeout=10)
        o2.trade(market, trade_id="1")
        states: list[str] = []
        for item in trades.with_markers():
            assert not isinstance(item, Closed)
            if isinstance(item, Lifecycle):
                states.append(item.state)
            elif isinstance(item, Trade):
                break
        assert states.count("failed") == 2
        assert states[-1] == "restored"


# ── the books ──


def quarantined(count: int) -> Callable[[Status], bool]:
    return lambda status: status.lines()["o2"].counters.quarantined == count


def test_the_counters_reconcile_after_all_of_it(o2: SimulatedO2) -> None:
    """Five streams of every policy, drops, dead dispatchers, garbage, and streams that come and go."""
    first, second, third = o2.markets
    with runtime_on(o2, block_timeout=0.05) as runtime:
        streams = [
            runtime.subscribe("o2", "trades", first, second, wait=5.0, policy="drop_oldest", capacity=20),
            runtime.subscribe("o2", "trades", first, wait=5.0, policy="drop_newest", capacity=20),
            runtime.subscribe("o2", "trades", second, third, wait=5.0, policy="conflate"),
            runtime.subscribe("o2", "trades", third, wait=5.0, policy="block", capacity=20),
            runtime.subscribe("o2", "depth", first, wait=5.0, capacity=20),
        ]
        for round in range(3):
            for market in o2.markets:
                o2.number_trades(market, 500, background=True)
            o2.steps(200)
            o2.garbage("binary")
            kill(Dispatcher)
            until(runtime, after("dispatcher", round + 1))
            until(runtime, quarantined(round + 1))  # before a drop takes it away
            with runtime.subscribe("o2", "trades", third, wait=5.0):
                o2.drop()
                until(runtime, at_epoch(round + 2))
            runtime.wait_live(timeout=10)
        status = settle(runtime)
        counters = status.lines()["o2"].counters
        assert counters.quarantined == 3
        assert counters.decoded > 500
        for stream, book in zip(streams, status.streams, strict=True):
            assert book.id == stream.id
            assert book.gaps == stream.gap_count > 0
            stream.close()
            list(stream.with_markers())
            assert stream.received == stream.delivered + stream.dropped + stream.conflated
            assert stream.queued == 0
            told = sum(gap.missed or 0 for gap in stream.gaps if gap.missed is not None)
            assert told == stream.dropped  # every event that was given up stands in a marker
        assert reconciled(fresh(runtime))
