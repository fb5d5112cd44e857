"""Lines that are lost return by the law, and their streams say what was missed."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from actors import Gap, Lifecycle, NotLiveError, Runtime
from actors.simulators import SimulatedO2
from actors.venues.o2 import DepthSnapshot, Trade
from tests.support.runtimes import at_epoch, line_of, runtime_on, until


def told(items: Any, count: int) -> list[Any]:
    """The next so many of a stream with markers: a marker's name or a lifecycle's state."""
    return [item.state if isinstance(item, Lifecycle) else type(item) for item in islice(items, count)]


def test_a_drop_shows_as_a_gap_and_the_trades_go_on(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    items = trades.with_markers()
    o2.trade(market, trade_id="1")
    assert told(items, 2) == ["connected", Trade]

    o2.drop()  # a cancelled cable: no close frame
    o2.wait_heard("subscribe_trades", 2)
    o2.trade(market, trade_id="2")
    assert told(items, 5) == ["disconnected", "reconnecting", "restored", Gap, Trade]
    (gap,) = trades.gaps
    assert gap.reason == "disconnect"
    assert gap.missed is None
    assert gap.since_ns <= gap.until_ns
    assert gap.epoch == 2
    runtime.wait_live(timeout=5)  # the stream may hear of it a moment before the supervisor
    line = line_of(runtime)
    assert line.counters.gaps == 1
    assert line.topics[0].blind_s >= (gap.until_ns - gap.since_ns) / 1e9
    (ending,) = line.journal
    assert (ending.kind, ending.code, ending.epoch) == ("retryable", "lost", 1)
    assert None not in (ending.split.wait, ending.split.connect, ending.split.subscribe)


def test_every_subscription_comes_back_once(runtime: Runtime, o2: SimulatedO2) -> None:
    streams = [runtime.subscribe("o2", "trades", market, wait=5.0) for market in o2.markets]
    again = runtime.subscribe("o2", "trades", o2.markets[0], wait=5.0)  # shared: nothing goes out
    asked = sorted(frame["market_id"] for frame in o2.heard if "market_id" in frame)
    assert asked == sorted(o2.markets)

    o2.forget_heard()
    o2.drop()
    runtime.wait_live(timeout=10)
    o2.wait_heard("subscribe_trades", len(o2.markets))
    asked = sorted(frame["market_id"] for frame in o2.heard if "market_id" in frame)
    assert asked == sorted(o2.markets)

    again.close()
    streams[0].close()
    o2.wait_heard("unsubscribe_trades")


def test_a_stream_of_several_topics_is_restored_once_with_a_gap_each(
    runtime: Runtime, o2: SimulatedO2
) -> None:
    depth = runtime.subscribe("o2", "depth", *o2.markets, wait=5.0)
    items = depth.with_markers()
    assert told(items, 1 + len(o2.markets)) == ["connected", *[DepthSnapshot] * len(o2.markets)]
    o2.drop()
    count = len(o2.markets)
    seen = told(items, 3 + 2 * count)
    assert seen[:2] == ["disconnected", "reconnecting"]
    assert seen.count("restored") == 1
    assert seen.count(Gap) == count
    assert {gap.topic.key for gap in depth.gaps} == set(o2.markets)


def test_a_server_gone_for_four_seconds(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, restart={"initial": 0.25, "maximum": 30.0}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.stop()
        until(runtime, lambda status: status.lines()["o2"].attempt >= 4)  # 0.25 + 0.5 + 1 + 2 s at most
        o2.start()
        o2.wait_heard("subscribe_trades", 1, timeout=30)
        runtime.wait_live(timeout=30)
        o2.trade(market, trade_id="7")
        assert trades.get(timeout=5).trade_id == "7"
        assert [gap.reason for gap in trades.gaps] == ["disconnect"]


@pytest.mark.parametrize("drops", [200, pytest.param(1_000, marks=pytest.mark.long)])
def test_a_thousand_drops_in_one_life(o2: SimulatedO2, market: str, drops: int) -> None:
    quick = {"initial": 0.001, "maximum": 0.01, "stable_after": 0.0, "max_restarts": 2_000}
    with runtime_on(o2, restart=quick) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block")
        for number in range(drops):
            o2.drop()
            until(runtime, at_epoch(number + 2), 10)
            runtime.wait_live(timeout=10)
            o2.trade(market, trade_id=str(number))
            assert trades.get(timeout=10).trade_id == str(number)
        counters = line_of(runtime).counters
        assert counters.restarts == counters.restored == drops
        assert counters.gaps == trades.gap_count == drops
        assert counters.in_flight == 0


def test_accepted_then_closed_twenty_times(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        o2.flap(20)
        o2.drop()
        o2.wait_for(lambda: o2.lives >= 22, timeout=20)  # the venue counts when it has answered
        runtime.wait_live(timeout=20)
        line = line_of(runtime)
        assert line.epoch >= 22
        assert line.counters.restarts == 21


def test_the_attempts_are_forgotten_only_after_a_stable_life(o2: SimulatedO2) -> None:
    with runtime_on(o2, restart={"stable_after": 30.0}) as runtime:
        for number in (1, 2, 3):
            o2.drop()
            until(runtime, at_epoch(number + 1))
            runtime.wait_live(timeout=10)
            assert line_of(runtime).attempt == number
    with runtime_on(o2, restart={"stable_after": 0.0}) as runtime:
        o2.drop()
        until(runtime, at_epoch(2))
        runtime.wait_live(timeout=10)
        until(runtime, lambda status: status.lines()["o2"].attempt == 0)


def test_a_spent_budget_parks_the_line_and_a_probe_brings_it_back(o2: SimulatedO2) -> None:
    law = {"max_restarts": 3, "stable_after": 5.0, "probe_interval": 0.2}
    with runtime_on(o2, restart=law) as runtime:
        trades = runtime.subscribe("o2", "trades", o2.markets[0], wait=5.0).with_markers()
        o2.flap(8)
        o2.drop()
        until(runtime, lambda status: status.lines()["o2"].state == "failed")
        assert o2.lives == 4  # all of them died young, and three deaths were allowed
        states: list[str] = []
        while not states or states[-1] != "restored":
            item = next(trades)
            states += [item.state] if isinstance(item, Lifecycle) else []
        assert "failed" in states
        runtime.wait_live(timeout=10)  # the probes went on until one lived


def test_a_parked_line_without_probes_waits_for_a_person(o2: SimulatedO2) -> None:
    law = {"max_restarts": 1, "stable_after": 5.0, "probe_interval": 0.0}
    with runtime_on(o2, restart=law) as runtime:
        o2.flap(1)
        o2.drop()
        parked = until(runtime, lambda status: status.lines()["o2"].state == "failed")
        assert parked.lines()["o2"].next_attempt_s is None
        with pytest.raises(NotLiveError, match="o2: failed"):
            runtime.wait_live(timeout=5)
        assert runtime.supervisor.restart("o2").get(timeout=5) == "accepted"
        runtime.wait_live(timeout=10)
        assert line_of(runtime).attempt == 0


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_for_good_stops_at_once_and_says_what_to_do(o2: SimulatedO2, status: int) -> None:
    o2.refuse(status=status, n=1_000)
    with runtime_on(o2, live=False) as runtime:
        with pytest.raises(NotLiveError):
            runtime.wait_live(timeout=10)
        line = line_of(runtime)
        assert line.state == "failed"
        assert line.reason is not None
        assert line.reason.kind == "fatal"
        assert line.reason.code == f"http_{status}"
        assert line.next_attempt_s is None
        o2.heal()
        runtime.supervisor.restart("o2").get(timeout=5)
        runtime.wait_live(timeout=10)


def test_a_venue_that_asks_for_patience_gets_it(o2: SimulatedO2) -> None:
    o2.refuse(status=429, retry_after=45, n=1)
    with runtime_on(o2, live=False) as runtime:
        waiting = until(runtime, lambda status: status.lines()["o2"].state == "backoff")
        line = waiting.lines()["o2"]
        assert line.reason is not None
        assert line.reason.kind == "slow"
        assert 40 < (line.next_attempt_s or 0) <= 45


def test_a_half_open_connection_is_found(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, heartbeat={"ping_interval": 0.2, "pong_timeout": 0.2}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.deaf(new=False)  # takes nothing, says nothing, and the next connection is fine
        until(runtime, at_epoch(2), 5 * 0.4)
        line = line_of(runtime)
        assert line.reason is not None
        assert line.reason.code == "pong_timeout"
        runtime.wait_live(timeout=10)
        o2.trade(market, trade_id="9")
        assert trades.get(timeout=5).trade_id == "9"


def test_wait_live_after_a_restart_is_about_the_new_life(runtime: Runtime) -> None:
    for epoch in range(2, 30):
        runtime.supervisor.restart("o2").get(timeout=5)
        runtime.wait_live(timeout=10)
        assert line_of(runtime).epoch == epoch


def test_a_pause_shows_at_once(runtime: Runtime) -> None:
    for _ in range(10):
        runtime.supervisor.pause("o2").get(timeout=5)
        assert line_of(runtime).state == "paused"
        with pytest.raises(NotLiveError, match=r"o2: paused$"):
            runtime.wait_live(timeout=0.01)
        runtime.supervisor.resume("o2").get(timeout=5)
        runtime.wait_live(timeout=10)


def test_a_pause_is_no_loss(runtime: Runtime) -> None:
    for action in ("pause", "resume", "restart"):
        getattr(runtime.supervisor, action)("o2").get(timeout=5)
    runtime.wait_live(timeout=10)
    counters = line_of(runtime).counters
    assert (counters.restarts, counters.restored) == (0, 0)


def test_pause_and_resume(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    items = trades.with_markers()
    assert runtime.supervisor.pause("o2").get(timeout=5) == "accepted"
    until(runtime, lambda status: status.lines()["o2"].state == "paused")
    o2.wait_for(lambda: o2.connections == 0)
    runtime.supervisor.resume("o2").get(timeout=5)
    runtime.wait_live(timeout=10)
    o2.trade(market, trade_id="3")
    words = ["connected", "disconnected", "paused", "connecting", "restored"]
    assert told(items, 7) == [*words, Gap, Trade]
