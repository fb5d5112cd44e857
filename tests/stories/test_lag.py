"""How far behind a stream and a line are, and what is behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import pytest

from actors import Gap
from actors.errors import LinewardenError
from actors.messages import LookAgain
from actors.rules.counters import LineCounters
from actors.rules.stream_buffer import Policy
from actors.runtime import Runtime
from actors.simulators import SimulatedO2
from actors.status import Status
from actors.venues.o2 import Trade
from tests.support.counters import stream_reconciles
from tests.support.runtimes import config, fresh, line_of, runtime_on, until
from tests.support.virtual_time import Clockwork, clockwork


def counters_of(runtime: Runtime, line: str = "o2") -> LineCounters:
    return runtime._shared.lines[line].counters


def looking_until(runtime: Runtime, wanted: Callable[[], bool], line: str = "o2") -> None:
    """The connection is told to look again until it is as wanted."""

    def is_wanted(_: Status) -> bool:
        runtime._roles.connection(line).tell(LookAgain())
        return wanted()

    until(runtime, is_wanted)


def test_a_quiet_line_that_is_told_to_look_again_is_read_to_its_end(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, heartbeat={"ping_interval": 600.0}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.number_trades(market, 1)
        trades.get(5.0)
        counters, since = counters_of(runtime), time.monotonic()
        assert not counters.is_read_to_end(since)
        looking_until(runtime, lambda: counters.is_read_to_end(since))
        assert counters.kernel_bytes == 0


def test_a_line_that_is_paused_is_not_read_to_its_end_and_counts_what_waits(
    o2: SimulatedO2, market: str
) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 10)
        until(runtime, lambda status: bool(status.lines()["o2"].paused_by_streams))
        counters, since = counters_of(runtime), time.monotonic()
        o2.number_trades(market, 100)
        looking_until(runtime, lambda: bool(counters.kernel_bytes))
        assert not counters.is_read_to_end(since)
        for _ in range(110):
            trades.get(5.0)
        looking_until(runtime, lambda: counters.is_read_to_end(since))
        assert counters.kernel_bytes == 0


@contextmanager
def virtual(o2: SimulatedO2) -> Iterator[Clockwork]:
    """A runtime whose time is moved by hand."""
    with clockwork(config(o2.url, heartbeat={"ping_interval": 600.0}), live=False) as works:
        yield works


def trade(works: Clockwork, o2: SimulatedO2, market: str, *, late: float = 0.0) -> None:
    """One trade, which is so many seconds old by the venue's time when it comes, a moment after the last."""
    works.advance(0.2)
    events = fresh(works.runtime).lines()["o2"].counters.decoded
    o2.trade(market, timestamp=round(works.timers.wall_ns() / 1e6 - late * 1e3))
    until(works.runtime, lambda status: status.lines()["o2"].counters.decoded > events)


# ── what is behind ──────────────────────────────────────────────────────────────────────────────


def test_a_reader_that_is_slow_is_named(o2: SimulatedO2, market: str) -> None:
    with virtual(o2) as works:
        trades = works.runtime.subscribe("o2", "trades", market, wait=5.0)
        quick = works.runtime.subscribe("o2", "trades", market, wait=5.0)
        for _ in range(2):
            trade(works, o2, market)
        quick.get_many(2)
        assert line_of(works.runtime).lag.cause == ""
        works.advance(4.0)
        assert [trades.lag_s, quick.lag_s] == [pytest.approx(4.2), 0.0]
        status = fresh(works.runtime)
        assert [stream.lag_s for stream in status.streams] == [pytest.approx(4.2), 0.0]
        lag = status.lines()["o2"].lag
        assert lag.seconds == pytest.approx(4.2)
        assert lag.cause == "reader"
        assert lag.text == f"the reader of stream {trades.id} (o2/trades) is 4.2 s behind: 2 queued"
        trades.get()
        assert trades.lag_s == pytest.approx(4.0)  # the other one came later, and is in the hand by now
        trades.get()
        assert trades.lag_s == 0.0
        assert line_of(works.runtime).lag.cause == ""


def test_a_reader_that_makes_its_line_wait_is_named_and_not_the_process(o2: SimulatedO2, market: str) -> None:
    with virtual(o2) as works:
        trades = works.runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 10)
        until(works.runtime, lambda status: bool(status.lines()["o2"].paused_by_streams))
        o2.number_trades(market, 100)
        works.advance(2.0)
        looking_until(works.runtime, lambda: bool(line_of(works.runtime).kernel_bytes))
        line = line_of(works.runtime)
        assert line.lag.cause == "reader"
        assert line.lag.text.endswith("10 queued; the line waits for it")
        assert line.receive_lag_s == pytest.approx(2.0)
        assert len(trades.get_many(10)) == 10


def test_a_process_whose_line_does_not_get_to_read_is_named(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.rules.lag.LATE", 0.05)
    calls, gate = threading.Semaphore(0), threading.Semaphore(0)

    def slow(_: Trade) -> None:
        calls.release()
        assert gate.acquire(timeout=10.0)

    def is_process(status: Status) -> bool:
        return status.lines()["o2"].lag.cause == "process"

    with runtime_on(o2, heartbeat={"ping_interval": 600.0}) as runtime:
        runtime.on("o2", "trades", market, handler=slow, inline=True, wait=5.0)
        o2.number_trades(market, 1)
        assert calls.acquire(timeout=10.0)
        held = until(runtime, is_process).lines()["o2"]
        assert (held.receive_lag_s or 0.0) >= 0.05
        assert held.lag.text.startswith("this process is 0.")
        runtime._roles.connection("o2").tell(LookAgain())
        o2.number_trades(market, 2_000)
        gate.release()
        assert calls.acquire(timeout=10.0)  # what was told came between two reads
        held = until(runtime, is_process).lines()["o2"]
        assert (held.kernel_bytes or 0) > 1_000
        assert held.lag.text.endswith(f": {held.kernel_bytes:,} bytes wait in the kernel")
        gate.release(2_000)
        until(runtime, lambda status: status.lines()["o2"].lag.cause == "")


def test_where_nothing_waits_and_events_come_later_the_venue_or_the_network_is_named(
    o2: SimulatedO2, market: str
) -> None:
    with virtual(o2) as works:
        trades = works.runtime.subscribe("o2", "trades", market, wait=5.0)
        for _ in range(5):
            trade(works, o2, market, late=3.0)  # as ever: a clock that is wrong
        trades.get_many(5)
        line = line_of(works.runtime)
        assert line.lag.cause == ""
        assert line.event_lag_s == pytest.approx(0.0, abs=0.01)
        trade(works, o2, market, late=33.0)  # history, as a topic begins with
        trades.get()
        assert line_of(works.runtime).event_lag_s == pytest.approx(0.0, abs=0.01)
        works.advance(30.0)
        for _ in range(5):
            trade(works, o2, market, late=33.0)
        trades.get_many(5)
        line = line_of(works.runtime)
        assert (line.lag.cause, line.receive_lag_s) == ("upstream", 0.0)
        assert line.lag.seconds == line.event_lag_s == pytest.approx(30.0, abs=0.01)
        assert "the venue, the network or a clock" in line.lag.text


# ── what is too old ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "conflate"])
def test_what_has_waited_for_too_long_is_given_up_with_a_gap_in_its_place(
    o2: SimulatedO2, market: str, policy: Policy
) -> None:
    with virtual(o2) as works:
        trades = works.runtime.subscribe("o2", "trades", market, wait=5.0, policy=policy, drop_older_than=5.0)
        items = trades.with_markers()
        trade(works, o2, market)
        works.advance(5.1)
        if policy != "conflate":
            trade(works, o2, market)
        [gap] = islice((item for item in items if isinstance(item, Gap)), 1)
        assert (gap.reason, gap.missed, gap.topic.key) == ("overflow", 1, market)
        if policy == "conflate":
            trade(works, o2, market)
        assert isinstance(next(items), Trade)
        [status] = fresh(works.runtime).streams
        assert (status.received, status.delivered, status.dropped) == (2, 1, 1)
        assert stream_reconciles(status)
        assert trades.gaps == (gap,)


def test_a_plain_loop_and_a_merge_pass_what_is_too_old(o2: SimulatedO2, market: str) -> None:
    with virtual(o2) as works:
        subscribe = works.runtime.subscribe
        streams = [subscribe("o2", "trades", market, wait=5.0, drop_older_than=5.0) for _ in range(2)]
        trade(works, o2, market)
        works.advance(5.1)
        trade(works, o2, market)
        kept = streams[0].get(5.0)
        assert streams[0].queued == 0
        [received] = islice(works.runtime.merge(streams[1]), 1)
        assert received.event == kept
        assert [stream.dropped for stream in streams] == [1, 1]


def test_drop_older_than_is_refused_where_each_event_counts(runtime: Runtime, market: str) -> None:
    with pytest.raises(LinewardenError, match="o2: events of 'depth' are changes to earlier ones"):
        runtime.subscribe("o2", "depth", market, drop_older_than=1.0)
    with pytest.raises(LinewardenError, match="an inline handler has no buffer"):
        runtime.on("o2", "trades", market, handler=print, inline=True, drop_older_than=1.0)
