"""What takes hours, on real sockets and a clock that is moved by hand: one seed, one life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.login.token_store import DUE, SHARE
from actors.rules.restarts import RestartPolicy
from actors.simulators import SimulatedO2, SimulatedTplus
from actors.venues.tplus import Tplus
from tests.login.test_connector import A_LOGIN, SEED
from tests.support.failing_relay import Front
from tests.support.virtual_time import Clockwork, clockwork

HOUR = 3_600.0
QUIET = {"ping_interval": 0.0, "venue_ping_interval": 0.0}


def o2_feed(o2: SimulatedO2, **keys: Any) -> Mapping[str, Any]:
    return {"feeds": {"o2": {"venue": "o2", "url": o2.url, "heartbeat": QUIET, **keys}}}


def waits(o2: SimulatedO2, seconds: float, seed: int) -> list[float]:
    """How long the line waited each time, while nobody listened for so many seconds."""
    with clockwork(o2_feed(o2), seed=seed) as clock:
        o2.stop()
        clock.until(lambda status: status.lines()["o2"].state == "backoff")
        told: list[float] = []
        until = clock.now + seconds
        while clock.now < until:
            wait = clock.line().next_attempt_s
            assert wait is not None
            told.append(wait)
            clock.advance(wait)
        assert clock.line().attempt == len(told) + 1
        o2.start()
        clock.advance(clock.line().next_attempt_s or 0.0)
        assert clock.line().state == "live"
    return told


def test_an_hour_of_backoff_keeps_the_law_and_its_seed_repeats_it(o2: SimulatedO2) -> None:
    law = RestartPolicy()
    hour = waits(o2, HOUR, seed=7)
    for number, wait in enumerate(hour):
        step = min(law.initial * law.multiplier**number, law.maximum)
        assert step / 2 <= wait <= step
    assert HOUR / law.maximum < len(hour) < HOUR / (law.maximum / 2) + 10
    again = waits(o2, 300.0, seed=7)
    assert again == hour[: len(again)]
    assert waits(o2, 300.0, seed=8) != again


def is_stale(clock: Clockwork) -> bool:
    (topic,) = clock.line().topics
    return topic.stale


def test_a_topic_is_stale_after_its_hour_and_not_before(o2: SimulatedO2, market: str) -> None:
    wanted = [{"channel": "trades", "keys": [market], "stale_after": HOUR}]
    with clockwork(o2_feed(o2, subscribe=wanted)) as clock:
        trades = clock.runtime.subscribe("o2", "trades", market, wait=10.0)
        for _ in range(3):  # somebody trades now and then
            clock.advance(0.9 * HOUR)
            o2.trade(market)
            trades.get(timeout=10)
        clock.advance(HOUR - 1.0)
        assert not is_stale(clock)
        clock.advance(2.0)
        clock.until(lambda status: status.lines()["o2"].topics[0].stale)
        clock.advance(24 * HOUR)
        assert (clock.line().state, clock.line().epoch) == ("live", 1)  # silence is no loss
        o2.trade(market)
        trades.get(timeout=10)
        clock.advance(HOUR / 2)
        clock.until(lambda status: not status.lines()["o2"].topics[0].stale)
        assert trades.gap_count == 0


def tplus_feed(url: str) -> Mapping[str, Any]:
    wanted = [{"channel": "orders"}]
    feed = {"venue": "tplus", "url": url, "private_key": SEED, "heartbeat": QUIET, "subscribe": wanted}
    return {"feeds": {"tplus": feed}}


def test_a_token_is_kept_for_its_whole_life_and_replaced_before_its_end() -> None:
    with (
        SimulatedTplus(rate=0, market=False) as tplus,
        clockwork(tplus_feed(tplus.url)) as clock,
    ):
        orders = clock.runtime.subscribe("tplus", "orders", wait=10.0)
        left = clock.runtime.status().feeds["tplus"].token_expires_in_s
        assert left is not None
        clock.advance(left - min(DUE, left * SHARE) - 1.0)
        assert (clock.line().rotations, tplus.auth_requests) == (0, A_LOGIN)
        clock.advance(1.1)
        clock.until(lambda status: status.lines()["tplus/orders"].rotations > 0)
        assert tplus.auth_requests >= 2 * A_LOGIN
        assert orders.gap_count == 0


def test_an_hour_of_logins_that_fail_stays_within_the_budget() -> None:
    budget = Tplus.login_budget
    with (
        SimulatedTplus(rate=0, market=False) as tplus,
        Front(tplus.port) as front,
        clockwork(tplus_feed(tplus.url.replace(f":{tplus.port}", f":{front.port}"))) as clock,
    ):
        front.fail("POST")
        tplus.expire_tokens()
        clock.until(lambda status: status.lines()["tplus/orders"].state == "backoff")
        clock.advance(HOUR)
        most = budget.burst + HOUR / budget.interval
        assert 0.9 * most < front.met <= most  # it is made use of, too
        front.heal()
        clock.advance(2 * budget.interval)
        assert clock.line().state == "live"
