"""May I act now? Freshness, permits, and the markers Stale and Fresh, on real sockets in virtual time."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytest

import actors
from actors import Blind, Fresh, Lifecycle, NotLiveError, Runtime, Stale, Stream
from actors.rules.calendar import Calendar, read_session
from actors.settings import load
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.status import Status, why_not_fresh
from actors.venues.o2 import DEPTH
from actors.wire.socket_inbox import SocketInbox
from tests.support.runtimes import alpaca_config, config, fresh, runtime_on, until
from tests.support.virtual_time import VirtualTimers

PING = 5.0
QUIET = {"ping_interval": 0.0, "venue_ping_interval": 0.0}  # nothing moves by itself
BEAT = {"ping_interval": PING, "pong_timeout": PING, "venue_ping_interval": 0.0}
MARKET, ACCOUNT = "0xbeef", "0xacc"


class Desk:
    """A runtime whose time is moved by hand."""

    def __init__(self, runtime: Runtime, timers: VirtualTimers, *, pings: bool) -> None:
        self.runtime, self.timers, self.pings = runtime, timers, pings

    def pass_by(self, seconds: float) -> None:
        """A ping that is due meanwhile is answered before time goes on."""
        while seconds > 0:
            before, step = self.bytes(), min(seconds, PING)
            self.timers.advance(step)
            if self.pings and step == PING:
                until(self.runtime, partial(self.has_more, before))
            seconds -= step

    def moved(self, seconds: float) -> bool:
        """The same, where it is waited for something."""
        self.pass_by(seconds)
        return True

    def has_more(self, before: int, _: Status) -> bool:
        return self.bytes() > before

    def bytes(self) -> int:
        return sum(line.counters.bytes for line in fresh(self.runtime).lines().values())


@contextmanager
def desk(table: dict[str, Any]) -> Iterator[Desk]:
    timers = VirtualTimers()
    with Runtime(load(table | {"runtime": {"watchdog_timeout": 0.0}}), timers=timers) as runtime:
        runtime.wait_live(timeout=10.0)
        until(runtime, lambda status: runtime._shared.watches.keys() >= status.lines().keys())
        beats = [feed.heartbeat for feed in runtime.settings.feeds.values()]
        yield Desk(runtime, timers, pings=any(beat.ping_interval for beat in beats))


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0) as simulator:
        yield simulator


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


@contextmanager
def o2_desk(o2: SimulatedO2, **feed: Any) -> Iterator[Desk]:
    with desk(config(o2.url, **{"heartbeat": QUIET} | feed)) as it:
        yield it


def trades_of(it: Desk, **policy: Any) -> Stream[Any]:
    return it.runtime.subscribe("o2", "trades", MARKET, wait=10.0, **policy)


def trade(o2: SimulatedO2, stream: Stream[Any]) -> None:
    o2.trade(MARKET)
    stream.get(timeout=10.0)


def markers(stream: Stream[Any], count: int) -> list[str]:
    """The kinds of the next items that are no lifecycle events."""
    found = []
    for item in stream.with_markers():
        if not isinstance(item, Lifecycle):
            found.append(type(item).__name__)
        if len(found) == count:
            break
    return found


# ── fresh ──


def test_what_is_unknown_is_never_fresh(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        assert it.runtime.fresh("o2", "trades", MARKET).cause == "not_subscribed"
        assert it.runtime.fresh("o2").cause == "not_subscribed"
        trades = trades_of(it)
        assert (trades.fresh().state, trades.fresh().cause) == ("unknown", "no_event")
        trade(o2, trades)
        assert not trades.fresh()
        assert trades.fresh().cause == "unwatched"  # nothing says how old is too old
        assert it.runtime.fresh("o2", "trades", MARKET, max_age=5.0)
        assert trades.fresh(max_age=5.0)


def test_without_keys_a_channel_with_an_option_is_about_the_topics_with_that_option(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        fine = it.runtime.subscribe("o2", "depth", MARKET, precision="10", wait=10.0)
        coarse = it.runtime.subscribe("o2", "depth", MARKET, precision="1000", wait=10.0, stale_after=60.0)
        for stream in (fine, coarse):
            stream.get(timeout=10.0)
        assert it.runtime.fresh("o2", "depth", precision="1000")
        assert it.runtime.fresh("o2", DEPTH(precision="1000"))
        assert it.runtime.fresh("o2", "depth").cause == "unwatched"


def test_fresh_without_a_policy_is_within_max_age_only(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it)
        trade(o2, trades)
        it.pass_by(4.0)
        found = trades.fresh(max_age=5.0)
        assert found
        assert found.age_s == pytest.approx(4.0)
        it.pass_by(2.0)
        found = trades.fresh(max_age=5.0)
        assert (found.state, found.cause) == ("stale", "max_age")
        assert "max_age is 5.0 s" in str(found)


def test_each_stream_is_judged_by_its_own_policy_and_a_topic_by_all_of_them(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        quick, slow = trades_of(it, stale_after=3.0), trades_of(it, stale_after=30.0)
        trade(o2, quick)
        slow.get(timeout=10.0)
        it.pass_by(5.0)
        assert slow.fresh()
        assert quick.fresh().state == "stale"
        assert it.runtime.fresh("o2", "trades", MARKET).state == "stale"
        quick.close()
        until(it.runtime, lambda _: bool(it.runtime.fresh("o2", "trades", MARKET)))


def test_a_policy_of_a_stream_stands_over_that_of_the_config(o2: SimulatedO2) -> None:
    entry = {"channel": "trades", "keys": [MARKET], "stale_after": 60.0}
    with o2_desk(o2, subscribe=[entry]) as it:
        as_config, own = trades_of(it), trades_of(it, stale_after=2.0)
        trade(o2, as_config)
        own.get(timeout=10.0)
        it.pass_by(4.0)
        assert as_config.fresh()
        assert not own.fresh()


def test_an_account_channel_is_fresh_while_its_line_shows_signs_of_life(o2: SimulatedO2) -> None:
    with o2_desk(o2, heartbeat=BEAT) as it:
        orders = it.runtime.subscribe("o2", "orders", ACCOUNT, wait=10.0)
        assert orders.fresh()
        it.pass_by(60.0)  # it answers pings, and nothing has changed in the account
        assert orders.fresh()
        assert orders.fresh(max_age=1.0)
        assert it.runtime.require(orders, max_age=1.0).valid
        o2.mute()
        it.timers._move(it.timers.monotonic() + 2 * PING + 0.1)  # no timer fires
        assert (orders.fresh().state, orders.fresh().cause) == ("stale", "nothing")


def test_an_account_channel_that_the_venue_rejects_is_not_fresh(o2: SimulatedO2) -> None:
    with o2_desk(o2, heartbeat=BEAT) as it:
        o2.reject(ACCOUNT)
        orders = it.runtime.subscribe("o2", "orders", ACCOUNT)
        until(it.runtime, lambda _: orders.fresh().cause == "rejected")
        with pytest.raises(Blind, match="the venue rejected it"):
            it.runtime.require(orders)


def test_a_silent_line_ends_no_permit_for_an_account_channel(o2: SimulatedO2) -> None:
    with o2_desk(o2, heartbeat=BEAT) as it:
        orders = it.runtime.subscribe("o2", "orders", ACCOUNT, wait=10.0)
        permit = it.runtime.require(orders)
        it.timers._move(it.timers.monotonic() + 2 * PING + 0.1)  # no timer fires
        assert not permit.valid
        it.timers.advance(0.0)  # a ping is due
        until(it.runtime, lambda _: permit.valid)


def test_after_a_halt_nothing_from_before_it_is_fresh(alpaca: SimulatedAlpaca) -> None:
    with desk(alpaca_config(alpaca, "iex", heartbeat=QUIET)) as it:
        trades = it.runtime.subscribe("iex", "trades", "AAPL", wait=10.0, stale_after=30.0)
        statuses = it.runtime.subscribe("iex", "statuses", "AAPL", wait=10.0)
        alpaca.trade("AAPL")
        trades.get(timeout=10.0)
        alpaca.halt("AAPL")
        until(it.runtime, lambda _: trades.fresh().cause == "halted")
        it.pass_by(1.0)
        alpaca.resume("AAPL")
        until(it.runtime, lambda _: statuses.received == 2)
        assert trades.fresh().cause == "not_due"
        assert trades.fresh(max_age=60.0).cause == "not_due"
        it.pass_by(1.0)
        alpaca.trade("AAPL")
        trades.get(timeout=10.0)
        assert trades.fresh()


def test_a_wall_clock_that_is_set_back_makes_nothing_younger(alpaca: SimulatedAlpaca) -> None:
    with desk(alpaca_config(alpaca, "iex", heartbeat=QUIET)) as it:
        trades = it.runtime.subscribe("iex", "trades", "AAPL", wait=10.0, stale_after=30.0)
        statuses = it.runtime.subscribe("iex", "statuses", "AAPL", wait=10.0)
        alpaca.halt("AAPL")
        alpaca.resume("AAPL")
        alpaca.trade("AAPL")
        trades.get(timeout=10.0)
        assert statuses.received == 2
        assert trades.fresh()
        it.timers._wall_ns -= 3600 * 10**9
        it.timers._move(it.timers.monotonic() + 31.0)
        assert trades.fresh().state == "stale"


def test_a_calendar_alone_says_when_the_market_is_closed(o2: SimulatedO2) -> None:
    sundays = Calendar("sundays", "UTC", (read_session("Sun 00:00-00:01"),))
    entry = {"channel": "trades", "keys": ["0xcafe"], "calendar": "sundays"}
    table = config(o2.url, heartbeat=QUIET, subscribe=[entry])
    table["calendars"] = {"sundays": {"zone": "UTC", "sessions": ["Sun 00:00-00:01"]}}
    with desk(table) as it:
        trades = trades_of(it, calendar=sundays)
        trade(o2, trades)
        assert trades.fresh(max_age=60.0).cause == "closed"
        assert it.runtime.fresh("o2", "trades", MARKET, max_age=60.0).cause == "closed"
        with pytest.raises(Blind, match="sundays is closed"):
            it.runtime.require(trades, max_age=60.0)
        as_config = it.runtime.subscribe("o2", "trades", "0xcafe", wait=10.0)
        o2.trade("0xcafe")
        as_config.get(timeout=10.0)
        assert as_config.fresh(max_age=60.0).cause == "closed"


def test_status_lists_what_is_not_fresh_and_why(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=3.0)
        trade(o2, trades)
        until(it.runtime, lambda status: not status.untrusted)
        it.pass_by(4.0)
        status = it.runtime.status()
        assert {topic: found.state for topic, found in status.untrusted.items()} == {
            f"o2/trades/{MARKET}": "stale"
        }
        assert status.state == "live"


def test_wait_live_waits_for_fresh_data_and_says_what_is_not(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0)
        with pytest.raises(NotLiveError, match="no event has come"):
            it.runtime.wait_live(fresh=True, timeout=0.2)
        trade(o2, trades)
        it.runtime.wait_live("o2", fresh=True, timeout=10.0)
        unwatched = it.runtime.subscribe("o2", "trades", "0xcafe", wait=10.0)
        o2.trade("0xcafe")
        unwatched.get(timeout=10.0)
        with pytest.raises(NotLiveError, match="how old is too old"):
            it.runtime.wait_live(fresh=True)  # it would wait for ever


def test_a_wait_for_fresh_data_ends_with_the_runtime(
    o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    ended: queue.SimpleQueue[Exception] = queue.SimpleQueue()

    def look(status: Status, target: str | None) -> dict[str, actors.Freshness]:
        looked.set()
        return why_not_fresh(status, target)

    monkeypatch.setattr("actors.runtime.why_not_fresh", look)
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", MARKET, stale_after=600.0, wait=10.0)

        def wait() -> None:
            try:
                runtime.wait_live(fresh=True)
            except actors.RuntimeStopped as stopped:
                ended.put(stopped)

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        assert looked.wait(10.0)  # all lines are live by then, and no event comes
        assert trades.fresh().cause == "no_event"
        runtime.stop()
        assert "stopped" in str(ended.get(timeout=10.0))
        waiting.join()


# ── the markers ──


def test_the_silence_of_a_topic_counts_from_its_own_confirmation(o2: SimulatedO2) -> None:
    """A stream that is opened on a line which has been up for long is not stale at once."""
    with o2_desk(o2) as it:
        it.pass_by(100.0)
        trades = trades_of(it, stale_after=3.0)
        assert trades.fresh().cause == "no_event"
        it.pass_by(2.0)
        assert trades.fresh().cause == "no_event"
        assert trades.fresh().age_s == pytest.approx(2.0)
        it.pass_by(1.5)
        assert trades.fresh().cause == "acks"
        until(it.runtime, lambda _: bool(trades._inlet.stale))
        o2.trade(MARKET)
        assert markers(trades, 3) == ["Stale", "Fresh", "Trade"]


def test_a_stream_that_comes_to_a_silent_topic_is_told_at_once(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        unwatched = trades_of(it)
        it.pass_by(100.0)
        watched = trades_of(it, stale_after=3.0)
        until(it.runtime, lambda _: bool(watched._inlet.stale))  # no time passes
        assert not unwatched._inlet.stale


def test_a_stream_contains_stale_and_fresh_at_their_places(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=3.0)
        o2.trade(MARKET)
        until(it.runtime, lambda _: trades.queued == 1)
        it.pass_by(4.0)
        until(it.runtime, lambda _: bool(trades._inlet.stale))
        o2.trade(MARKET)
        assert markers(trades, 4) == ["Trade", "Stale", "Fresh", "Trade"]


def test_a_stale_topic_is_told_once_and_ended_once_over_a_loss(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=3.0)
        o2.trade(MARKET)
        until(it.runtime, lambda _: trades.queued == 1)
        it.pass_by(9.0)
        until(it.runtime, lambda _: bool(trades._inlet.stale))
        o2.drop()
        until(
            it.runtime,
            lambda status: status.lines()["o2"].epoch == 1 and status.lines()["o2"].state != "live",
        )
        it.pass_by(2.0)
        it.runtime.wait_live(timeout=10.0)
        it.pass_by(5.0)  # stale again, in the next life
        o2.trade(MARKET)
        assert markers(trades, 5) == ["Trade", "Stale", "Gap", "Fresh", "Trade"]


def test_a_stream_that_comes_to_a_stale_topic_is_told_so(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        first = trades_of(it, stale_after=3.0)
        trade(o2, first)
        it.pass_by(4.0)
        second = trades_of(it, stale_after=3.0)
        unwatched = trades_of(it)
        o2.trade(MARKET)
        assert markers(second, 3) == ["Stale", "Fresh", "Trade"]
        assert markers(unwatched, 1) == ["Trade"]


def test_a_handler_is_told_of_stale_and_fresh(o2: SimulatedO2) -> None:
    told: list[object] = []
    with o2_desk(o2) as it:
        it.runtime.on(
            "o2",
            "trades",
            MARKET,
            handler=print,
            on_marker=told.append,
            inline=True,
            stale_after=3.0,
            wait=10.0,
        )
        it.pass_by(4.0)
        until(it.runtime, lambda _: any(isinstance(item, Stale) for item in told))
        o2.trade(MARKET)
        until(it.runtime, lambda _: any(isinstance(item, Fresh) for item in told))


# ── permits ──


def test_a_permit_is_given_for_fresh_streams_and_refused_with_reasons(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=3.0)
        with pytest.raises(Blind, match="no event has come") as refused:
            it.runtime.require(trades)
        (reason,) = refused.value.reasons
        assert (reason.topic, reason.cause) == (f"o2/trades/{MARKET}", "no_event")
        trade(o2, trades)
        permit = it.runtime.require(trades, ("o2", "trades", MARKET), next(iter(trades.topics)))
        assert permit.valid
        permit.check()


def test_a_permit_ends_at_its_stale_moment_without_a_heartbeat(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0)
        trade(o2, trades)
        permit = it.runtime.require(trades, max_age=2.0)
        it.timers._move(it.timers.monotonic() + 1.9)  # no timer fires
        assert permit.valid
        it.timers._move(it.timers.monotonic() + 0.2)
        assert not permit.valid
        trade(o2, trades)
        assert not permit.valid  # it has ended for good
        with pytest.raises(Blind, match="max_age"):
            permit.check()
        assert it.runtime.require(trades, max_age=2.0).valid


def test_a_permit_ends_with_its_line_and_a_new_one_waits_for_the_gap_to_be_read(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        o2.drop()
        until(it.runtime, lambda _: not permit.valid)
        until(it.runtime, lambda status: status.lines()["o2"].state == "backoff")
        it.pass_by(2.0)
        it.runtime.wait_live(timeout=10.0)
        o2.trade(MARKET)
        until(it.runtime, lambda _: trades.queued == 1)
        assert not permit.valid
        with pytest.raises(Blind, match="a gap waits in it"):
            it.runtime.require(trades)
        trades.get(timeout=10.0)
        assert it.runtime.require(trades).valid
        assert not permit.valid


def test_a_permit_ends_when_the_stream_gives_something_up(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0, capacity=2)
        trade(o2, trades)
        permit = it.runtime.require(trades, max_queue=1)
        for _ in range(3):
            o2.trade(MARKET)
        until(it.runtime, lambda _: trades.dropped == 1)
        assert not permit.valid
        with pytest.raises(Blind, match="max_queue is 1"):
            it.runtime.require(trades, max_queue=1)


@pytest.mark.parametrize("inline", [False, True])
def test_a_handler_may_act_on_the_newest_event_only(alpaca: SimulatedAlpaca, inline: bool) -> None:
    told: queue.SimpleQueue[object] = queue.SimpleQueue()
    all_came = threading.Event()

    def act(_: object) -> None:
        assert all_came.wait(10.0)
        try:
            told.put(it.runtime.require(stream, max_age=60.0, max_queue=0).valid)
        except Blind as blind:
            told.put([reason.cause for reason in blind.reasons])

    with desk(alpaca_config(alpaca, "iex", heartbeat=QUIET)) as it:
        stream = it.runtime.on("iex", "trades", "AAPL", handler=act, inline=inline, wait=10.0)
        alpaca.number_trades("AAPL", 3, batch=3)  # in one message
        until(it.runtime, lambda _: stream.received == 3)
        all_came.set()
        assert [told.get(timeout=10.0) for _ in range(3)] == [["queue"], ["queue"], True]


def test_a_permit_ends_when_its_stream_gives_up_a_key_though_others_follow_it(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        mine, other = trades_of(it, stale_after=30.0), trades_of(it, stale_after=30.0)
        trade(o2, mine)
        other.get(timeout=10.0)
        permits = it.runtime.require(mine), it.runtime.require(other)
        mine.remove(MARKET)
        mine.add(MARKET, wait=10.0)
        assert [permit.valid for permit in permits] == [False, True]


def test_a_line_that_is_not_read_is_not_fresh_and_a_permit_holds_again_after_that(o2: SimulatedO2) -> None:
    with o2_desk(o2, block_timeout=1000.0) as it:
        trades = trades_of(it, stale_after=300.0)
        full = trades_of(it, policy="block", capacity=2)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        for _ in range(3):
            o2.trade(MARKET)
        until(it.runtime, lambda status: bool(status.lines()["o2"].paused_by_streams))
        found = trades.fresh()
        assert (found.state, found.cause) == ("blind", "not_reading")
        assert str(full.id) in found.text
        assert not permit.valid
        full.close()
        until(it.runtime, lambda _: permit.valid)


def test_what_waited_while_a_line_was_held_is_not_fresh_when_it_is_read(o2: SimulatedO2) -> None:
    told: list[bool] = []
    with o2_desk(o2, block_timeout=1000.0) as it:
        trades, full = trades_of(it, stale_after=300.0), trades_of(it, policy="block", capacity=2)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        it.timers._move(it.timers.monotonic() + 1.0)  # no timer fires, so nothing looks at the socket
        trade(o2, trades)
        until(it.runtime, lambda status: bool(status.lines()["o2"].paused_by_streams))
        note = lambda _: told.append(permit.valid)  # noqa: E731
        it.runtime.on("o2", "trades", MARKET, handler=note, inline=True, wait=10.0)
        o2.trade(MARKET)
        until(it.runtime, lambda status: it.moved(1.0) and bool(status.lines()["o2"].kernel_bytes))
        it.pass_by(10.0)
        full.close()
        until(it.runtime, lambda _: bool(told))
        assert told == [False]
        until(it.runtime, lambda _: permit.valid)


def test_a_line_that_waits_in_a_handler_for_longer_than_a_second_is_not_fresh(o2: SimulatedO2) -> None:
    goes_on = threading.Event()
    with runtime_on(o2, heartbeat={"ping_interval": 60.0}) as runtime:  # its silence is of no interest
        orders = runtime.subscribe("o2", "orders", ACCOUNT, wait=10.0)
        permit = runtime.require(orders)
        runtime.on("o2", "trades", MARKET, handler=lambda _: goes_on.wait(60.0), inline=True, wait=10.0)
        o2.trade(MARKET)
        try:
            # On a machine that is busy the process may be taken for paused, until the line has read on.
            until(runtime, lambda _: orders.fresh().cause in {"not_reading", "process_paused"})
            assert not permit.valid
        finally:
            goes_on.set()
        until(runtime, lambda _: permit.valid)


def test_a_line_that_waits_in_a_handler_for_a_marker_is_not_fresh(o2: SimulatedO2) -> None:
    goes_on = threading.Event()
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=300.0)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        entered = threading.Event()

        def wait(_: object) -> None:
            entered.set()
            goes_on.wait(60.0)

        try:
            it.runtime.on("o2", "trades", MARKET, handler=print, on_marker=wait, inline=True)
            assert entered.wait(10.0)  # on the line's thread, which has read all there was
            it.pass_by(2.0)
            assert trades.fresh().cause == "not_reading"
            assert not permit.valid
        finally:
            goes_on.set()
        until(it.runtime, lambda _: permit.valid)


def test_what_waited_while_a_line_was_in_a_handler_is_not_fresh_when_it_is_read(o2: SimulatedO2) -> None:
    goes_on = threading.Event()
    told: list[bool] = []
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", MARKET, wait=10.0, stale_after=600.0)
        o2.trade(MARKET)
        trades.get(timeout=10.0)
        permit = runtime.require(trades)

        def handle(_: object) -> None:
            if not told:
                goes_on.wait(60.0)
            told.append(permit.valid)

        runtime.on("o2", "trades", MARKET, handler=handle, inline=True, wait=10.0)
        o2.trade(MARKET)
        try:
            until(runtime, lambda _: trades.fresh().cause == "not_reading")
            o2.trade(MARKET)
        finally:
            goes_on.set()
        until(runtime, lambda _: len(told) == 2)
        assert told == [False, False]
        until(runtime, lambda _: permit.valid)


def test_after_a_pause_of_the_process_a_permit_holds_once_its_line_is_read_to_the_end(
    o2: SimulatedO2,
) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=300.0)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        pulse = it.timers.pulse
        pulse.beat_at = it.timers.monotonic()  # as if the thread of the timers beat
        assert permit.valid
        it.timers._move(it.timers.monotonic() + 60.0)
        assert [reason.cause for reason in permit.reasons] == ["process_paused"]
        assert pulse.beat(it.timers.monotonic())
        assert [reason.cause for reason in permit.reasons] == ["process_paused"]  # it was not read since
        assert it.timers.on_resume is not None
        it.timers.on_resume.tell(None)
        until(it.runtime, lambda _: permit.valid)


def test_after_a_pause_a_permit_waits_for_no_byte_where_the_first_look_found_some(
    o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=300.0)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        looked = threading.Event()
        has_unread = [True]  # in hand, when the word of the end of the pause comes

        def look(inbox: Any) -> bool:
            looked.set()
            return has_unread.pop() if has_unread else False

        monkeypatch.setattr(SocketInbox, "has_unread", property(look))
        it.timers._move(it.timers.monotonic() + 10.0)
        it.timers.pulse.resumed_at = it.timers.monotonic()
        assert it.timers.on_resume is not None
        it.timers.on_resume.tell(None)
        assert looked.wait(10.0)
        assert [reason.cause for reason in permit.reasons] == ["process_paused"]
        until(it.runtime, lambda _: it.moved(1.0) and permit.valid)


def test_a_halted_market_ends_a_permit_even_if_it_is_open_again(alpaca: SimulatedAlpaca) -> None:
    table = alpaca_config(alpaca, "iex", heartbeat=QUIET)
    with desk(table) as it:
        quotes = it.runtime.subscribe("iex", "quotes", "AAPL", wait=10.0, stale_after=30.0)
        statuses = it.runtime.subscribe("iex", "statuses", "AAPL", wait=10.0)
        alpaca.quote("AAPL")
        quotes.get(timeout=10.0)
        permit = it.runtime.require(quotes)
        alpaca.halt("AAPL")
        until(it.runtime, lambda _: not permit.valid)
        found = quotes.fresh()
        assert (found.state, found.cause) == ("quiet", "halted")
        alpaca.quote("AAPL")  # quotes go on while a symbol is halted
        quotes.get(timeout=10.0)
        assert quotes.fresh().cause == "halted"
        alpaca.resume("AAPL")
        until(it.runtime, lambda _: quotes.fresh().cause != "halted")
        assert statuses.received == 2
        assert not permit.valid


def test_a_permit_is_judged_by_the_policy_of_its_own_stream(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        quick, slow = trades_of(it, stale_after=3.0), trades_of(it, stale_after=30.0)
        trade(o2, quick)
        slow.get(timeout=10.0)
        mine, other = it.runtime.require(slow), it.runtime.require(("o2", "trades", MARKET))
        it.pass_by(4.0)
        until(it.runtime, lambda _: bool(quick._inlet.stale))
        assert mine.valid
        o2.trade(MARKET)
        until(it.runtime, lambda _: not quick._inlet.stale)
        assert quick.fresh()
        assert (mine.valid, other.valid) == (True, False)  # it was stale meanwhile


def test_a_permit_for_a_topic_that_no_stream_follows_ends_when_that_is_stale(o2: SimulatedO2) -> None:
    entry = {"channel": "trades", "keys": [MARKET], "stale_after": 3.0}
    with o2_desk(o2, subscribe=[entry]) as it:
        o2.trade(MARKET)
        until(it.runtime, lambda _: bool(it.runtime.fresh("o2", "trades", MARKET)))
        permit = it.runtime.require(("o2", "trades", MARKET))
        it.pass_by(4.0)
        holder = it.runtime._shared.cells.holder("o2")
        assert holder is not None
        until(it.runtime, lambda _: bool(holder._stale))  # the line has taken note
        o2.trade(MARKET)
        until(it.runtime, lambda _: bool(it.runtime.fresh("o2", "trades", MARKET)))
        assert not permit.valid


def test_a_line_that_ends_in_the_middle_of_a_look_leaves_no_permit_unjudged(o2: SimulatedO2) -> None:
    class Ending:
        """A right that is given up between two looks at it."""

        looks = 0

        @property
        def valid(self) -> bool:
            self.looks += 1
            return self.looks == 1

    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        it.timers._move(it.timers.monotonic() + 31.0)  # no timer fires
        holder = it.runtime._shared.cells.holder("o2")
        assert holder is not None
        right, holder.right = holder.right, cast(Any, Ending())
        try:
            assert not permit.valid
        finally:
            holder.right = right


def test_a_permit_that_another_thread_has_found_ended_is_not_revived(
    o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        looks = permit._looks
        look, now = looks.line, it.timers.monotonic()

        def look_and_be_overtaken(*line: Any) -> Any:
            found = look(*line)
            monkeypatch.undo()
            it.timers._move(now + 31.0)
            assert not permit.valid
            return found

        monkeypatch.setattr(looks, "line", look_and_be_overtaken)
        assert permit.valid  # it was, when this look began
        it.timers._move(now)
        assert not permit.valid


def test_a_permit_is_judged_by_the_config_of_the_moment(o2: SimulatedO2) -> None:
    entry = {"channel": "trades", "keys": [MARKET], "stale_after": 300.0}
    with o2_desk(o2, subscribe=[entry]) as it:
        trades = trades_of(it)
        trade(o2, trades)
        permits = it.runtime.require(("o2", "trades", MARKET)), it.runtime.require(trades)
        it.pass_by(5.0)
        assert all(permits)
        stricter = config(o2.url, heartbeat=QUIET, subscribe=[entry | {"stale_after": 2.0}])
        it.runtime.reload(stricter | {"runtime": {"watchdog_timeout": 0.0}})
        assert not any(permits)


def test_a_book_can_be_required_once_it_is_synced(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        view = it.runtime.book("o2", MARKET, wait=10.0)
        permit = it.runtime.require(view, max_age=10.0)
        o2.drop()
        until(it.runtime, lambda _: not permit.valid)
        until(it.runtime, lambda _: not it.runtime.book("o2", MARKET).synced)
        lost = it.runtime.book("o2", MARKET)
        with pytest.raises(Blind, match="its book is syncing"):
            it.runtime.require(lost, max_age=10.0)


def test_a_view_that_is_older_than_its_book_is_not_required(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        old = it.runtime.book("o2", MARKET, wait=10.0)
        it.pass_by(5.0)
        o2.depth_change(MARKET, buys=[(100, 5)])
        until(it.runtime, lambda _: it.runtime.book("o2", MARKET).received_ns != old.received_ns)
        with pytest.raises(Blind, match="s newest event"):
            it.runtime.require(old, max_age=3.0)
        now = it.runtime.book("o2", MARKET)
        permit = it.runtime.require(now, max_age=3.0)
        it.runtime.forget_book("o2", MARKET)
        assert not permit.valid
        with pytest.raises(Blind, match="followed no longer"):
            it.runtime.require(now, max_age=3.0)


def test_a_permit_for_a_book_ends_when_that_has_given_something_up(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        view = it.runtime.book("o2", MARKET, wait=10.0)
        permit = it.runtime.require(view, max_age=60.0)
        followed = it.runtime._books._books[view.topic]
        followed._book.lose("a gap in its events (overflow)")
        with pytest.raises(Blind, match="its book is syncing: a gap"):
            it.runtime.require(view, max_age=60.0)
        followed.stream._inlet.buffer.dropped += 1
        assert not permit.valid


def test_a_rotation_ends_no_permit(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0)
        trade(o2, trades)
        permit = it.runtime.require(trades, live_for=0.0)
        it.runtime.rotate("o2", timeout=20.0)
        until(it.runtime, lambda status: status.lines()["o2"].epoch == 2)
        trade(o2, trades)
        until(it.runtime, lambda _: permit.valid)


def test_a_rotation_in_which_no_event_comes_ends_no_permit(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=300.0)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        it.pass_by(5.0)
        it.runtime.rotate("o2", timeout=20.0)
        until(it.runtime, lambda _: permit.valid)
        assert it.runtime.status().lines()["o2"].epoch == 2


def test_live_for_wants_a_line_that_has_been_up_for_a_while(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0)
        trade(o2, trades)
        with pytest.raises(Blind, match="live_for is 5 s"):
            it.runtime.require(trades, live_for=5.0)
        it.pass_by(6.0)
        assert it.runtime.require(trades, live_for=5.0)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_age": -1}, "max_age is a number of seconds from 0 up"),
        ({"max_age": True}, "max_age"),
        ({"max_queue": "7"}, "max_queue is a number of events"),
        ({"max_queue": 1.5}, "max_queue is a number of events"),
        ({"live_for": float("nan")}, "live_for"),
    ],
)
def test_a_limit_that_is_no_number_is_refused_in_words(
    o2: SimulatedO2, limits: dict[str, Any], words: str
) -> None:
    with o2_desk(o2) as it, pytest.raises(actors.LinewardenError, match=words):
        it.runtime.require("o2", **limits)


def test_a_stream_in_the_place_of_a_feed_is_refused_with_the_call_for_streams(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        stream: Any = it.runtime.subscribe("o2", "trades", MARKET)
        with pytest.raises(actors.LinewardenError, match=r"ask the stream itself, stream\.fresh"):
            it.runtime.fresh(stream, max_age=5.0)


def test_what_cannot_be_required_is_refused_in_words(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it:
        wrong: list[tuple[tuple[object, ...], str]] = [
            ((), "at least one"),
            ((7,), "cannot be required"),
            (("nasdaq",), "there is no feed 'nasdaq'"),
            ((("o2", "tradez", MARKET),), "tradez"),
            ((actors.Topic("nasdaq", "trades", "X"),), "there is no feed 'nasdaq'"),
            (([it.runtime.subscribe("o2", "trades", MARKET)],), "each as an argument of its own"),
        ]
        for sources, words in wrong:
            with pytest.raises(actors.LinewardenError, match=words):
                it.runtime.require(*cast(Any, sources))


def test_a_source_without_topics_is_named_as_it_is_written(o2: SimulatedO2) -> None:
    with o2_desk(o2) as it, pytest.raises(Blind, match=r"not fresh: o2/trades: unknown \(not_subscribed\)"):
        it.runtime.require(("o2", "trades"))


def test_a_gap_leaves_nothing_fresh_until_the_next_event(o2: SimulatedO2) -> None:
    """A message that cannot be decoded may have been newer than what is known."""
    with o2_desk(o2) as it:
        trades = trades_of(it, stale_after=30.0)
        trade(o2, trades)
        permit = it.runtime.require(trades)
        o2.garbage("json")
        until(it.runtime, lambda _: not permit.valid)
        assert (trades.fresh().state, trades.fresh().cause) == ("unknown", "gap")
        trade(o2, trades)
        assert trades.fresh()
        assert [gap.reason for gap in trades.gaps] == ["quarantine"]
        assert not permit.valid


PROGRAM = """
import sys, time
import actors

with actors.start({"feeds": {"o2": {"venue": "o2", "url": sys.argv[1]}}}, wait=20) as runtime:
    trades = runtime.subscribe("o2", "trades", "0xbeef", stale_after=600.0, wait=20)
    print("subscribed", flush=True)
    trades.get(timeout=20)
    permit = runtime.require(trades)
    print("valid", flush=True)
    before = time.monotonic()
    while (now := time.monotonic()) - before < 1.5:  # until the process is stopped, and goes on
        before = now
    print(sum(permit.valid for _ in range(20_000)), flush=True)
    try:
        permit.check()
    except actors.Blind as blind:
        print(blind, flush=True)
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="the system stops no processes")
def test_a_process_that_was_stopped_gets_no_word_from_before_what_came_meanwhile(o2: SimulatedO2) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, o2.url], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "subscribed\n"
        o2.trade(MARKET)
        assert program.stdout.readline() == "valid\n"
        os.kill(program.pid, signal.SIGSTOP)
        o2.garbage("json")  # something may be missing from here on
        time.sleep(2.0)  # longer than what counts as a pause
        os.kill(program.pid, signal.SIGCONT)
        assert program.stdout.readline() == "0\n"
        assert "is missing" in program.stdout.readline()
