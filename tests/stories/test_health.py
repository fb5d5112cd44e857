"""Lines that are restarted for their health: hours pass in a moment here, on real sockets."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors import Gap, Lifecycle, RotationFailed, Stream
from actors.rules.line import LineState
from actors.simulators import SimulatedAlpaca, SimulatedO2, SimulatedTplus
from actors.simulators.faulty_proxy import FaultyProxy
from actors.status import LineStatus
from tests.stories.test_tplus import config as tplus_config
from tests.stories.test_venue_states import Desk
from tests.support.internals import is_busy, line_record, watch_of
from tests.support.runtimes import alpaca_config, config, until
from tests.support.virtual_time import Clockwork, clockwork

LOOK, PING = 5.0, 10.0
MARKET, OTHER = "0xbeef", "0xfade"
BEAT = {"ping_interval": PING, "pong_timeout": 8.0, "venue_ping_interval": 0.0}
RESTART = {"stable_after": 10.0, "max_restarts": 0, "initial": 0.05, "slow_initial": 30.0}
STALE = {"stale_action": "restart"}
HOUR = 3_600.0
WITHOUT_WATCHDOG = {"runtime": {"watchdog_timeout": 0.0}}


class Ward:
    """A runtime whose time is moved by hand, one look at a time. Every ping is answered, every look made."""

    def __init__(self, clock: Clockwork, *lines: str) -> None:
        self.clock, self.runtime, self.lines = clock, clock.runtime, lines
        self.holds = False  # a pong that is due is not awaited
        self._inner, clock.timers._settle = clock.timers._settle, self.settle

    def pass_by(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK)):
            self.clock.advance(LOOK)

    def settle(self) -> None:
        """Whatever is due has been done, and a line that was told to end has ended."""
        deadline = time.monotonic() + 10.0
        while not all(map(self._is_settled, self.lines)):
            assert time.monotonic() < deadline
            time.sleep(0.0005)
        self._inner()

    def _is_settled(self, name: str) -> bool:
        record, watch = line_record(name), watch_of(name)
        if is_busy("heartbeat", "supervisor"):
            return False
        if record.state is not LineState.LIVE:
            return True
        if watch is None or record.live_at <= record.health.restarted_at:
            return False
        return bool(self.holds or watch.beats.frozen or watch.beats.answered)

    @property
    def line(self) -> LineStatus:
        return self.clock.lines()[self.lines[0]]

    @property
    def endings(self) -> list[str]:
        return [each.code for each in self.line.journal]


@contextmanager
def ward(table: dict[str, Any], *lines: str) -> Iterator[Ward]:
    with clockwork(table) as clock:
        until(clock.runtime, lambda status: clock.runtime._shared.watches.keys() >= status.lines().keys())
        yield Ward(clock, *(lines or ("o2",)))


@contextmanager
def o2_ward(url: str, health: dict[str, Any], **feed: Any) -> Iterator[Ward]:
    with ward(config(url, **{"health": health, "heartbeat": BEAT, "restart": RESTART} | feed)) as it:
        yield it


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    """A venue where nothing moves by itself."""
    with SimulatedO2(rate=0) as simulator:
        yield simulator


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


def trades_of(it: Ward, market: str = MARKET, **policy: Any) -> Stream[Any]:
    return it.runtime.subscribe("o2", "trades", market, wait=10.0, **policy)


def trade(o2: SimulatedO2, stream: Stream[Any], market: str = MARKET) -> None:
    o2.trade(market)
    stream.get(timeout=10.0)


# ── a topic that is stale ──


def test_a_mute_line_is_restarted_and_its_events_go_on_behind_a_gap(
    o2: SimulatedO2, caplog: pytest.LogCaptureFixture
) -> None:
    with o2_ward(o2.url, STALE) as it:
        trades = trades_of(it, stale_after=60.0)
        trade(o2, trades)
        o2.mute(new=False)
        it.pass_by(85.0)
        assert it.endings == []  # stale for less than half a minute
        it.pass_by(20.0)
        assert it.endings == ["stale"]
        assert it.line.state == "live"
        assert (it.line.epoch, it.line.counters.restarts, it.line.counters.restored) == (2, 1, 1)
        o2.trade(MARKET)
        items = trades.with_markers()
        seen = [next(items) for _ in range(5)]
        kinds = [each.state if isinstance(each, Lifecycle) else type(each).__name__ for each in seen]
        assert kinds == ["Stale", "disconnected", "reconnecting", "restored", "Gap"]
        gap = seen[-1]
        assert isinstance(gap, Gap)
        assert gap.until_ns - gap.since_ns < 30 * 10**9
        assert type(next(items)).__name__ == "Fresh"
        assert type(next(items)).__name__ == "Trade"
        reason = it.line.reason
        assert reason is not None
        assert (reason.kind, reason.code) == ("retryable", "stale")
        assert reason.text.startswith(f"o2/trades/{MARKET} is stale: nothing for ")
        rest = "restarted for its health, and left alone for 120 s after it is live"
        assert reason.text.endswith(f"its line receives pongs only; {rest}")
        (told,) = [each for each in caplog.records if "restarted for" in each.getMessage()]
        assert "; try 1 in " in told.getMessage()
        assert told.levelno == logging.WARNING


def test_a_topic_that_never_has_an_event_restarts_its_line_ever_more_rarely(o2: SimulatedO2) -> None:
    with o2_ward(
        o2.url, STALE, subscribe=[{"channel": "trades", "keys": [MARKET], "stale_after": 30.0}]
    ) as it:
        it.pass_by(HOUR)
        # At first after 30 s of silence and 30 s more, then after 120, 240, 480, 960 and 1,920 s.
        assert it.endings == ["stale"] * 5
        assert o2.lives == 6
        assert it.line.state == "live"  # though `max_restarts` is 0: stable lives spend no budget


def test_by_default_a_stale_topic_restarts_nothing(o2: SimulatedO2) -> None:
    with o2_ward(o2.url, {}, subscribe=[{"channel": "trades", "keys": [MARKET], "stale_after": 30.0}]) as it:
        it.clock.advance(600.0)
        until(it.runtime, lambda _: any(topic.stale for topic in it.line.topics))
        assert it.line.epoch == 1


def test_a_reload_watches_a_line_whose_socket_stays_open(o2: SimulatedO2) -> None:
    entry = {"channel": "trades", "keys": [MARKET], "stale_after": 30.0}
    wanted: dict[str, Any] = {"subscribe": [entry], "heartbeat": BEAT}
    with o2_ward(o2.url, {}, **wanted) as it:
        it.clock.advance(600.0)
        it.runtime.reload(config(o2.url, health=STALE, restart=RESTART, **wanted) | WITHOUT_WATCHDOG)
        assert it.line.epoch == 1
        until(it.runtime, lambda _: watch_of("o2").rhythm.health_every)
        it.pass_by(60.0)
        assert it.endings == ["stale"]


def test_a_topic_beside_others_that_arrive_restarts_nothing(o2: SimulatedO2) -> None:
    with o2_ward(o2.url, STALE) as it:
        _silent = trades_of(it, stale_after=20.0)
        busy = trades_of(it, OTHER)
        for _ in range(24):
            trade(o2, busy, OTHER)
            it.pass_by(LOOK)
        assert it.endings == []
        found = [topic.freshness for topic in it.line.topics if topic.stale]
        assert [each.cause for each in found if each is not None] == ["others"]


def test_a_closed_market_restarts_nothing(alpaca: SimulatedAlpaca) -> None:
    """It is a Monday, 10:13 in New York, when the story begins."""
    calendar = {"us": {"zone": "America/New_York", "sessions": ["Mon-Fri 09:30-10:15"]}}
    entry = {"channel": "trades", "keys": ["AAPL"], "stale_after": 60.0, "calendar": "us"}
    every = STALE | {"health_floor": 90, "poor_for": 15.0}
    table = alpaca_config(alpaca, "iex", health=every, heartbeat=BEAT, restart=RESTART, subscribe=[entry])
    with ward(table | {"calendars": calendar}, "iex") as it:
        it.pass_by(90.0)
        assert it.endings == ["stale"]  # while it is open
        it.pass_by(120.0)
        for _ in range(10):
            alpaca.garbage()
        until(it.runtime, lambda _: it.line.health.score < 90)
        it.pass_by(HOUR)
        assert it.endings == ["stale"]


def test_a_venue_in_maintenance_is_left_alone(tmp_path: Path) -> None:
    desk, keys = Desk(tmp_path), {"health": {"health_floor": 90}, "heartbeat": BEAT, "restart": RESTART}
    with desk.venue, ward(desk.config(**keys), "desk") as it:
        desk.say(system="down", words="new engine")
        until(it.runtime, lambda _: bool(it.line.venue_states))
        for _ in range(10):
            desk.venue.garbage()
        until(it.runtime, lambda _: it.line.health.score < 90)
        it.pass_by(600.0)
        assert it.endings == []
        desk.say(system="up")
        for _ in range(10):
            desk.venue.garbage()
        until(it.runtime, lambda _: not it.line.venue_states)
        it.pass_by(60.0)
        assert it.endings == ["health"]


def test_a_line_that_a_full_stream_holds_is_not_restarted(o2: SimulatedO2) -> None:
    with o2_ward(o2.url, STALE | {"health_floor": 90}, block_timeout=HOUR) as it:
        trades = trades_of(it, policy="block", capacity=1, stale_after=20.0)
        for _ in range(3):
            o2.trade(MARKET)
        until(it.runtime, lambda _: bool(it.line.paused_by_streams))
        it.pass_by(300.0)
        assert it.endings == []
        assert trades.queued


# ── round trips and the score ──


def slow_ping(it: Ward, o2: SimulatedO2, proxy: FaultyProxy) -> None:
    """The next ping, which is due in a look's time, is answered a look's time later."""
    proxy.hold("down")
    it.holds, before = True, o2.pings
    it.clock.advance(LOOK)
    until(it.runtime, lambda _: o2.pings > before or it.line.epoch > 1)
    it.clock.advance(LOOK)
    proxy.heal()
    it.holds = False
    it.settle()


def test_slow_pongs_restart_the_line_and_one_does_not(o2: SimulatedO2) -> None:
    with FaultyProxy(o2.url) as proxy, o2_ward(proxy.url, {"rtt_ceiling": 2.0, "hold_off": 5.0}) as it:
        it.pass_by(25.0)
        slow_ping(it, o2, proxy)
        assert it.line.rtt_ms == 5_000.0
        it.pass_by(3 * PING)
        assert (it.endings, it.line.rtt_ms) == ([], 0.0)
        while it.line.epoch == 1 and it.clock.now < HOUR:
            slow_ping(it, o2, proxy)
        assert it.endings == ["rtt"]
        assert it.line.reason is not None
        assert it.line.reason.text.startswith(
            "the round trip is 5,000 ms; rtt_ceiling is 2,000 ms; restarted"
        )


def test_a_low_score_restarts_the_line_and_the_restart_itself_does_not_count(o2: SimulatedO2) -> None:
    with o2_ward(o2.url, {"health_floor": 95, "hold_off": 60.0}) as it:
        trades = trades_of(it)
        it.pass_by(30.0)
        for _ in range(10):
            o2.garbage()
        until(it.runtime, lambda _: it.line.health.score < 95)
        it.pass_by(90.0)
        assert it.endings == ["health"]
        assert it.line.health.score == 90  # less ten for the restart
        trade(o2, trades)
        it.pass_by(300.0)
        assert it.endings == ["health"]


# ── where it could not come back ──


def test_none_is_ended_while_the_venue_asks_its_account_for_patience(o2: SimulatedO2) -> None:
    with o2_ward(o2.url, STALE) as it:
        _trades = trades_of(it, stale_after=60.0)
        o2.refuse(429, retry_after=600.0)
        with pytest.raises(RotationFailed, match="429"):
            it.runtime.rotate("o2", timeout=20.0)
        it.pass_by(550.0)
        assert (it.endings, it.line.state, it.line.epoch) == ([], "live", 1)
        it.pass_by(60.0)
        assert it.endings == ["stale"]
        it.pass_by(30.0)
        assert it.line.state == "live"


def test_one_line_of_a_feed_is_restarted_at_a_time() -> None:
    entry = {"channel": "ticker", "keys": ["100", "101"], "stale_after": 30.0}
    names = ["tplus/ticker-100", "tplus/ticker-101"]
    with SimulatedTplus(rate=0, market=False) as venue:
        table = tplus_config(venue, health=STALE, heartbeat=BEAT, restart=RESTART, subscribe=[entry])
        with ward(table, *names) as it:
            it.pass_by(100.0)
            first, second = (it.clock.lines()[name].journal[0] for name in names)
            assert {first.code, second.code} == {"stale"}
            assert abs(first.at_ns - second.at_ns) >= LOOK * 1e9
