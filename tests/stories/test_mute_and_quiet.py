"""Mute and quiet look alike on the wire: the one is found within its contract, the other costs nothing.

Hours pass in a moment here, on real sockets: it is a Monday, 10:13 in New York, when a story begins.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors import Runtime
from actors.events import Freshness
from actors.settings import load
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.status import TopicStatus
from tests.support.runtimes import alpaca_config, config, fresh, until
from tests.support.virtual_time import VirtualTimers

HOUR = 3600.0
EQUITIES = {
    "us_equities": {"zone": "America/New_York", "sessions": ["Mon-Fri 09:30-16:00"], "closed": ["2026-12-25"]}
}
BEAT = {"ping_interval": 120.0, "pong_timeout": 1200.0, "venue_ping_interval": 0.0}


class Hours:
    """A runtime whose time is moved by hand; all the while its lines hear pongs."""

    def __init__(self, runtime: Runtime, timers: VirtualTimers) -> None:
        self.runtime, self.timers = runtime, timers

    def pass_by(self, seconds: float) -> None:
        """A beat at a time; each is answered before the next, but for one that fell between two steps."""
        end = self.timers.monotonic() + seconds
        while (left := end - self.timers.monotonic()) > 1e-9:
            before = self._bytes()
            self.timers.advance(min(left, BEAT["ping_interval"]))
            if left >= BEAT["ping_interval"]:
                self._hear_pongs(before)

    def jump(self, seconds: float) -> None:
        """So little time that no beat is waited for."""
        self.timers.advance(seconds)

    def _bytes(self) -> dict[str, int]:
        return {name: line.counters.bytes for name, line in fresh(self.runtime).lines().items()}

    def _hear_pongs(self, before: dict[str, int]) -> None:
        patience = time.monotonic() + 0.5  # of ten steps without one the line would die
        while any(now <= before[line] for line, now in self._bytes().items()) and time.monotonic() < patience:
            pass

    def topic(self, name: str) -> TopicStatus:
        return next(
            topic
            for line in fresh(self.runtime).lines().values()
            for topic in line.topics
            if topic.topic == name
        )

    def freshness(self, name: str) -> Freshness:
        until(self.runtime, lambda _: self.topic(name).freshness is not None)
        found = self.topic(name).freshness
        assert found is not None
        return found

    def wait_for(self, name: str, state: str) -> Freshness:
        until(self.runtime, lambda _: self.freshness(name).state == state)
        return self.freshness(name)


@contextmanager
def hours(table: dict[str, Any]) -> Iterator[Hours]:
    timers = VirtualTimers()
    with Runtime(load(table | {"runtime": {"watchdog_timeout": 0.0}}), timers=timers) as runtime:
        runtime.wait_live(timeout=10.0)
        # The heartbeat may hear of the login a moment later; what it judges begins then.
        until(runtime, lambda status: runtime._shared.watches.keys() >= status.lines().keys())
        yield Hours(runtime, timers)


def alpaca_hours(alpaca: SimulatedAlpaca, *wanted: dict[str, Any], **beat: float) -> Any:
    table = alpaca_config(alpaca, "iex", heartbeat=BEAT | beat, subscribe=list(wanted))
    return hours(table | {"calendars": EQUITIES})


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    """A venue where nothing moves by itself."""
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


AAPL = "iex/trades/AAPL"
TRADES = {"channel": "trades", "keys": ["AAPL"], "stale_after": 60.0}


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for record in caplog.records if " is stale: " in (text := record.getMessage())]


def returns(caplog: pytest.LogCaptureFixture) -> list[str]:
    records = [record for record in caplog.records if vars(record).get("event") == "topic.fresh"]
    return [record.getMessage() for record in records]


# ── mute: found within the contract, by its cause ──


def test_mute_from_birth_but_for_the_answer_is_told_as_answers_only(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "actors")
    with alpaca_hours(alpaca, TRADES) as clock:
        clock.jump(58.0)
        assert clock.freshness(AAPL).state == "quiet"
        clock.jump(4.0)
        found = clock.wait_for(AAPL, "stale")
        assert (found.cause, found.no_event_yet, found.age_s) == ("acks", True, pytest.approx(62.0))
        assert "nothing since it was subscribed" in found.text
        until(clock.runtime, lambda _: bool(alarms(caplog)))
        (alarm,) = alarms(caplog)
        assert alarm.startswith(f"iex: {AAPL} is stale: nothing since it was subscribed, for 6")
        assert alarm.endswith("its line receives answers to subscriptions only")
        line = fresh(clock.runtime).lines()["iex"]
        assert (line.state, line.epoch, line.health.score) == ("live", 1, 50)
        alpaca.trade("AAPL")
        until(clock.runtime, lambda _: clock.freshness(AAPL).state == "live")
        clock.jump(30.0)
        until(clock.runtime, lambda _: bool(returns(caplog)))
        assert returns(caplog) == [f"iex: {AAPL} is not stale any more; it was for 30 s"]
        assert len(alarms(caplog)) == 1


def test_one_that_falls_mute_but_for_pongs_is_told_as_pongs_only(alpaca: SimulatedAlpaca) -> None:
    with alpaca_hours(alpaca, TRADES | {"stale_after": 300.0}) as clock:
        trades = clock.runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        clock.pass_by(240.0)
        alpaca.trade("AAPL")
        assert trades.get(timeout=10)
        until(clock.runtime, lambda _: clock.freshness(AAPL).state == "live")
        alpaca.mute()
        clock.pass_by(240.0)
        assert clock.freshness(AAPL).state == "live"
        clock.pass_by(120.0)
        found = clock.wait_for(AAPL, "stale")
        assert (found.cause, found.no_event_yet) == ("pongs", False)
        alpaca.heal()
        alpaca.trade("AAPL")
        assert trades.get(timeout=10)
        assert clock.wait_for(AAPL, "live").cause == ""
        assert fresh(clock.runtime).lines()["iex"].epoch == 1


def test_one_whose_line_brings_nothing_at_all_is_told_so(alpaca: SimulatedAlpaca) -> None:
    with alpaca_hours(alpaca, TRADES, ping_interval=0.0) as clock:
        trades = clock.runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        alpaca.trade("AAPL")
        assert trades.get(timeout=10)
        until(clock.runtime, lambda _: clock.freshness(AAPL).state == "live")
        clock.jump(61.0)
        assert clock.wait_for(AAPL, "stale").cause == "nothing"


def test_a_symbol_that_falls_mute_beside_others_is_told_so(alpaca: SimulatedAlpaca) -> None:
    with alpaca_hours(alpaca, TRADES | {"keys": ["AAPL", "MSFT"]}) as clock:
        trades = clock.runtime.subscribe("iex", "trades", "AAPL", "MSFT", wait=10.0)
        for symbol in ("AAPL", "MSFT"):
            alpaca.trade(symbol)
            assert trades.get(timeout=10)
        clock.jump(61.0)
        alpaca.trade("MSFT")
        assert trades.get(timeout=10).symbol == "MSFT"
        assert clock.wait_for("iex/trades/MSFT", "live")
        assert clock.wait_for(AAPL, "stale").cause == "others"


def test_a_venue_that_only_answers_its_own_heartbeat_is_told_as_heartbeats_only(
    o2: SimulatedO2, market: str
) -> None:
    wanted = [{"channel": "trades", "keys": [market], "stale_after": 60.0}]
    beat = {"ping_interval": 0.0, "pong_timeout": 5.0, "venue_ping_interval": 20.0}
    name = f"o2/trades/{market}"
    with hours(config(o2.url, subscribe=wanted, heartbeat=beat)) as clock:
        for _ in range(4):
            frames = fresh(clock.runtime).lines()["o2"].counters.frames
            clock.jump(20.0)
            until(clock.runtime, lambda status, f=frames: status.lines()["o2"].counters.frames > f)  # type: ignore[misc]
        found = clock.wait_for(name, "stale")
        assert (found.cause, found.no_event_yet) == ("heartbeats", True)


def test_a_slow_drip_whose_events_grow_older_is_stale_by_the_venue_s_time(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    with alpaca_hours(alpaca, TRADES | {"max_event_lag": 10.0}) as clock:
        trades = clock.runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        for lag in (0, 3, 6, 9):
            alpaca.trade("AAPL", t=clock.timers.wall_ns() - lag * 10**9)
            assert trades.get(timeout=10)
            assert clock.wait_for(AAPL, "live").cause == ""
            clock.jump(30.0)  # it is never silent for long
        assert alarms(caplog) == []
        alpaca.trade("AAPL", t=clock.timers.wall_ns() - 12 * 10**9)
        assert trades.get(timeout=10)
        found = clock.wait_for(AAPL, "stale")
        assert (found.cause, found.age_s) == ("venue_time", pytest.approx(12.0))
        clock.jump(6.0)  # half the contract: by then it has been looked at
        until(clock.runtime, lambda _: bool(alarms(caplog)))
        assert alarms(caplog) == [
            f"iex: {AAPL} is stale: the newest event was 12 s old by the venue's time when it came"
        ]
        alpaca.trade("AAPL", t=clock.timers.wall_ns())
        assert trades.get(timeout=10)
        assert clock.wait_for(AAPL, "live")


# ── quiet: no alarm, and no reconnect ──


def test_a_market_that_is_closed_for_the_night_is_quiet_and_mute_once_it_is_open(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    wanted = TRADES | {"stale_after": 900.0, "calendar": "us_equities"}
    with alpaca_hours(alpaca, wanted) as clock:
        trades = clock.runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        until_close = 5 * HOUR + 46 * 60 + 40  # 10:13:20 to 16:00
        while until_close > 600.0:
            clock.pass_by(600.0)
            until_close -= 600.0
            alpaca.trade("AAPL")
            assert trades.get(timeout=10)
        clock.pass_by(until_close + 16 * HOUR)
        found = clock.freshness(AAPL)
        assert (found.state, found.cause) == ("quiet", "closed")
        assert found.text == "us_equities is closed until Tue 2026-09-22 09:30 EDT"
        line = fresh(clock.runtime).lines()["iex"]
        assert (line.state, line.epoch, line.counters.restarts) == ("live", 1, 0)
        assert line.health.score == 100
        clock.pass_by(1.5 * HOUR)  # it is 09:30
        assert clock.freshness(AAPL).state == "quiet"
        assert alarms(caplog) == []
        clock.pass_by(480.0)  # and not a trade; 400 s of the silence were before the close
        assert clock.freshness(AAPL).state == "quiet"
        clock.pass_by(40.0)  # a fiftieth of the contract is what its watch may be late
        assert clock.wait_for(AAPL, "stale").age_s == pytest.approx(920.0)
        until(clock.runtime, lambda _: len(alarms(caplog)) == 1)


def test_an_account_without_orders_is_quiet_for_sixteen_hours(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    table = alpaca_config(alpaca, "account", heartbeat=BEAT, subscribe=[{"channel": "trade_updates"}])
    with hours(table) as clock:
        clock.pass_by(16 * HOUR)
        status = fresh(clock.runtime)
        line = status.lines()["account"]
        assert (line.state, line.epoch, line.health.score) == ("live", 1, 100)
        found = line.topics[0].freshness
        assert found is not None
        assert (found.state, found.cause) == ("quiet", "unwatched")
        assert alarms(caplog) == []


def test_an_asset_that_trades_once_an_hour_is_live_by_its_own_contract(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    with alpaca_hours(alpaca, TRADES | {"stale_after": 1.1 * HOUR}) as clock:
        trades = clock.runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        for _ in range(8):
            alpaca.trade("AAPL")
            assert trades.get(timeout=10)
            assert clock.wait_for(AAPL, "live")
            clock.pass_by(HOUR)
            assert clock.freshness(AAPL).state == "live"
        line = fresh(clock.runtime).lines()["iex"]
        assert (line.epoch, line.health.score, trades.gap_count) == (1, 100, 0)
        assert alarms(caplog) == []
        clock.pass_by(0.2 * HOUR)
        assert clock.wait_for(AAPL, "stale").cause == "pongs"


def test_a_line_that_is_down_has_no_opinion_of_its_topics(alpaca: SimulatedAlpaca) -> None:
    with alpaca_hours(alpaca, TRADES) as clock:
        alpaca.refuse(n=1000)
        alpaca.drop()
        until(clock.runtime, lambda status: status.lines()["iex"].state == "backoff")
        assert (clock.topic(AAPL).freshness, clock.topic(AAPL).stale) == (None, False)
