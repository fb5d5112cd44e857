"""What project-x-py gets wrong, by its number in the list of its defects: told with the runtime.

What a session shows by itself is in tests/venues/test_projectx_defects.py. Last comes what it reports of
itself, and where the same stands here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import pytest

import actors
from actors import Lifecycle, NotLiveError, RotationFailed, Runtime, Stream
from actors.settings import load
from actors.simulators.projectx import SimulatedProjectX
from actors.simulators.projectx.auth import TokenGate
from actors.venues import projectx as venue
from tests.conftest import Baseline
from tests.stories.test_projectx import (
    ALICE,
    EP,
    HUBS,
    LINES,
    MARKET,
    USER,
    WANTED,
    asked,
    config,
    line,
    live_again,
    other,
    reason_of,
    runtime_on,
    states,
    streams,
    tell,
    tokens_shown,
    told,
)
from tests.support.counters import settle
from tests.support.runtimes import until
from tests.support.virtual_time import VirtualTimers


@pytest.fixture
def px() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0) as simulator:
        yield simulator


@pytest.fixture
def runtime(px: SimulatedProjectX) -> Iterator[Runtime]:
    with runtime_on(px) as runtime:
        yield runtime


# ── connecting, and a new token ─────────────────────────────────────────────────────────────────


def test_defect_1_to_disconnect_and_connect_again_is_ready_when_it_is_and_not_before(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    for epoch in range(2, 5):
        runtime.supervisor.pause("projectx").get(timeout=5)
        assert states(runtime.status()) == dict.fromkeys(LINES, "paused")
        with pytest.raises(NotLiveError):
            runtime.wait_live(timeout=0)
        px.wait_for(lambda: px.connections == 0)
        runtime.supervisor.resume("projectx").get(timeout=5)
        runtime.wait_live(timeout=10.0)
        assert [line(runtime, hub).epoch for hub in HUBS] == [epoch, epoch]
        assert (px.subscribers("orders", ALICE), px.subscribers("trades", EP)) == (1, 1)


def test_defect_2_a_good_token_is_taken_and_each_subscription_sent_once(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    mine = px.token()
    px.forget_heard()
    runtime.refresh_token("projectx", token=mine)  # it says what came of it by raising nothing
    assert len(px.invocations("SubscribeOrders")) == len(px.invocations("SubscribeContractTrades")) == 1
    px.drop()
    until(runtime, live_again(3))
    assert [each.query["access_token"] for each in px.requests[-4:]] == [mine] * 4
    assert len(px.invocations("SubscribeOrders")) == 2


def test_defect_3_and_18_a_token_that_is_refused_costs_one_try_and_the_old_one_goes_on(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    heard = streams(runtime)
    (first,) = tokens_shown(px)
    before = len(px.requests)
    with pytest.raises(RotationFailed, match="401"):
        runtime.refresh_token("projectx", token=TokenGate(60, None).issue("trader"))  # of another gateway
    with pytest.raises(actors.LinewardenError, match="has expired"):
        runtime.refresh_token("projectx", token=px.token(life=-1))
    assert len(px.requests) == before + 1  # one upgrade, and no second recovery behind it
    assert asked(px, "loginKey") == 1
    assert [line(runtime, hub).epoch for hub in HUBS] == [1, 1]
    for hub in HUBS:
        number = tell(px, hub)
        assert told(heard[hub].get(timeout=10)) == number
        assert heard[hub].gap_count == 0
    px.drop()
    until(runtime, live_again(2))
    assert {each.query["access_token"] for each in px.requests[before + 1 :]} == {first}


@pytest.mark.parametrize("text", ["", "two words", "a\r\nX-Injected: b", "tökén"])
def test_defect_3_what_is_no_token_is_not_even_shown(
    px: SimulatedProjectX, runtime: Runtime, text: str
) -> None:
    before = len(px.requests)
    with pytest.raises(actors.LinewardenError, match="no token") as refused:
        runtime.refresh_token("projectx", token=text)
    assert not text or text not in str(refused.value)
    assert len(px.requests) == before
    runtime.rotate("projectx", timeout=20.0)  # and the one that is kept is still good
    assert px.logins == 1


def test_defect_17_a_start_that_failed_leaves_nothing_that_connects_later(
    px: SimulatedProjectX, baseline: Baseline
) -> None:
    px.refuse(n=0, only_hub="market")
    with pytest.raises(NotLiveError, match="projectx/market"):
        actors.start(config(px), wait=0.3)
    baseline.check()
    px.heal()
    assert px.connections == 0


def test_defect_19_a_refresh_from_a_handler_or_from_many_threads_ends(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    done = threading.Event()

    def refresh(_: object) -> None:
        runtime.refresh_token("projectx", timeout=20.0)
        done.set()

    with runtime.on("projectx", venue.TRADES, EP, handler=refresh, wait=10.0):
        tell(px, "market")
        assert done.wait(20.0)
    assert [line(runtime, hub).rotations for hub in HUBS] == [1, 1]


@pytest.mark.parametrize("place", ["query", "header"])
def test_defect_19_the_token_stands_in_one_place_at_every_connect(px: SimulatedProjectX, place: Any) -> None:
    with runtime_on(px, token_in=place) as runtime:
        px.drop()
        until(runtime, live_again(2))
        hubs = [each for each in px.requests if each.path.startswith("/hubs/")]
        shown = [("access_token" in each.query, "authorization" in each.headers) for each in hubs]
        assert shown == [(place == "query", place == "header")] * 4


# ── watching ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["restart", "drop", "rotate"])
def test_defect_4_the_watch_goes_on_after_every_new_connection(px: SimulatedProjectX, how: str) -> None:
    stale = [*WANTED[:1], WANTED[1] | {"stale_after": 0.2}]
    with runtime_on(px, heartbeat={"ping_interval": 0.05}, subscribe=stale) as runtime:
        for epoch in range(2, 5):
            if how == "restart":
                runtime.supervisor.restart("projectx").get(timeout=5)
            elif how == "drop":
                px.drop()
            else:
                runtime.rotate("projectx", timeout=20.0)
            until(runtime, live_again(epoch))
            tell(px, "market")
            until(runtime, lambda status: not status.lines()[MARKET].topics[0].stale)
            until(runtime, lambda status: status.lines()[MARKET].topics[0].stale)  # seen again, by itself
            until(runtime, lambda status: all(each.rtt_ms for each in status.lines().values()))
        px.deaf(new=False)  # and a connection that answers nothing is found out
        until(runtime, live_again(5))
        assert reason_of(runtime.status(), USER).code == "pong_timeout"


def test_defect_5_a_silent_market_ends_no_connection(px: SimulatedProjectX) -> None:
    stale = [*WANTED[:1], WANTED[1] | {"stale_after": 0.05}]
    with runtime_on(px, heartbeat={"ping_interval": 0.02}, subscribe=stale) as runtime:
        status = until(runtime, lambda status: status.lines()[MARKET].topics[0].stale)
        px.wait_heard("ping", 2)
        assert states(status) == dict.fromkeys(LINES, "live")
        assert px.lives == 2
        assert line(runtime, "user").health.score == 100


def test_defect_5_a_feed_without_a_subscription_is_well(px: SimulatedProjectX) -> None:
    with runtime_on(px, heartbeat={"ping_interval": 0.02}, subscribe=[]) as runtime:
        until(runtime, lambda status: all(each.rtt_ms for each in status.lines().values()))
        assert [each.health.score for each in runtime.status().lines().values()] == [100, 100]
        assert (states(runtime.status()), px.lives) == (dict.fromkeys(LINES, "live"), 2)


@pytest.mark.parametrize("words", ["", "out of order"])
@pytest.mark.parametrize("allow", [True, False])
def test_defect_6_what_a_close_says_is_known_at_once(px: SimulatedProjectX, words: str, allow: bool) -> None:
    with runtime_on(px, restart={"initial": 60.0, "maximum": 60.0, "slow_initial": 60.0}) as runtime:
        heard = streams(runtime)
        px.hub_close(allow, words, "market")
        markers = heard["market"].with_markers()
        first, second = cast(list[Lifecycle], [next(markers), next(markers)])
        assert (first.state, second.state) == ("connected", "disconnected")
        status = until(runtime, lambda status: status.lines()[MARKET].state != "live")
        reason = reason_of(status, MARKET)
        assert reason.kind == ("retryable" if allow else "slow")
        assert (words in reason.text) if words else (": " not in reason.text)
        assert not status.feeds["projectx"].live
        assert status.lines()[USER].state == "live"


def test_defect_7_a_refusal_counts_and_stays_to_be_seen(px: SimulatedProjectX, runtime: Runtime) -> None:
    px.completion_error("SubscribeContractQuotes", text="not entitled")
    quotes = runtime.subscribe("projectx", venue.QUOTES, EP)
    status = until(
        runtime, lambda status: "rejected" in [each.state.state for each in status.lines()[MARKET].topics]
    )
    (refused,) = [each for each in status.lines()[MARKET].topics if each.state.state == "rejected"]
    assert refused.topic == f"projectx/quotes/{EP}"
    assert "not entitled" in refused.state.reason
    assert [each.state for each in quotes.topics.values()] == ["rejected"]


@pytest.mark.parametrize("hub", HUBS)
def test_defect_11_each_hub_gets_its_own_back_whichever_comes_first(
    px: SimulatedProjectX, runtime: Runtime, hub: str
) -> None:
    heard = streams(runtime)
    px.forget_heard()
    px.refuse(n=0, only_hub=hub)
    px.drop()
    until(runtime, live_again(2, f"projectx/{other(hub)}"))
    px.heal()
    until(runtime, live_again(2))
    assert px.invocations("SubscribeOrders") == [[int(ALICE)]]
    assert px.invocations("SubscribeContractTrades") == [[EP]]
    for each in HUBS:
        number = tell(px, each)
        assert told(heard[each].get(timeout=10)) == number


def test_defect_12_beats_that_find_their_hub_gone_begin_again_with_it(px: SimulatedProjectX) -> None:
    with runtime_on(px, heartbeat={"ping_interval": 0.01, "venue_ping_interval": 0.01}) as runtime:
        for epoch in range(2, 6):
            px.refuse(n=2)
            px.drop()
            until(runtime, live_again(epoch))
            until(runtime, lambda status: all(each.rtt_ms for each in status.lines().values()))


def test_defect_13_a_round_trip_is_one_and_a_hub_that_answers_nothing_is_not_healthy(
    px: SimulatedProjectX,
) -> None:
    with runtime_on(px, heartbeat={"ping_interval": 0.05, "pong_timeout": 30.0}) as runtime:
        status = until(runtime, lambda status: all(each.rtt_ms for each in status.lines().values()))
        assert [each.health.inputs.rtt_ms for each in status.lines().values()] != [None, None]
    with runtime_on(px, live=False, heartbeat={"ping_interval": 0.05, "pong_timeout": 0.1}) as runtime:
        runtime.wait_live(timeout=10.0)
        px.deaf(new=False, only_hub="market")  # to write to it is as quick as ever
        until(runtime, lambda status: status.lines()[MARKET].epoch >= 2)
        assert reason_of(runtime.status(), MARKET).code == "pong_timeout"
        assert line(runtime, "user").epoch == 1


def test_defect_14_to_look_changes_nothing_however_many_look(px: SimulatedProjectX, runtime: Runtime) -> None:
    heard = streams(runtime)
    px.number_trades(EP, 100)
    assert [told(heard["market"].get(timeout=10)) for _ in range(100)] == list(range(1, 101))
    settle(runtime)
    looks: list[Any] = []

    def look() -> None:
        for _ in range(20):
            status = runtime.status()
            market = status.lines()[MARKET]
            books = (market.counters.decoded, market.counters.routed, market.counters.restarts)
            looks.append((books, market.health.score, [each.delivered for each in status.streams]))

    readers = [threading.Thread(target=look) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(20.0)
    assert len(looks) == 80
    assert all(each == looks[0] for each in looks)
    assert looks[0][0] == (100, 100, 0)


def test_defect_15_a_wall_clock_that_jumps_changes_no_age_and_ends_nothing(px: SimulatedProjectX) -> None:
    timers = VirtualTimers()
    with Runtime(load(config(px, heartbeat={"ping_interval": 0.0})), timers=timers) as runtime:
        runtime.wait_live(timeout=10.0)
        trades = runtime.subscribe("projectx", venue.TRADES, EP, wait=10.0)
        tell(px, "market")
        trades.get(timeout=10)
        for hours in (-48, 24):
            timers._wall_ns += hours * 3_600 * 10**9
            timers.advance(2.0)
        market = runtime.status().lines()[MARKET]
        assert (market.live_for_s, market.data_age_s) == (4.0, 4.0)
        assert [each.epoch for each in runtime.status().lines().values()] == [1, 1]
        tell(px, "market")
        assert told(trades.get(timeout=10)) == 2


# ── events ──────────────────────────────────────────────────────────────────────────────────────


def test_defect_8_a_burst_for_a_reader_that_does_not_read_yet_is_there_when_it_does(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    depth: Stream[Any] = runtime.subscribe("projectx", "depth", EP, wait=10.0)
    depth.get(timeout=10)
    for price in ("6790.00", "6790.25", "6790.50"):
        px.depth(EP, bids=[(price, 7)])
    until(runtime, lambda status: status.streams[0].queued >= 3)
    assert [str(depth.get(timeout=10).price) for _ in range(3)] == ["6790.00", "6790.25", "6790.50"]
    assert settle(runtime).streams[0].dropped == 0


def test_defect_9_and_10_a_batch_of_trades_has_each_of_them_with_its_contract(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    trades = runtime.subscribe("projectx", venue.TRADES, EP, wait=10.0)
    fills = runtime.subscribe("projectx", venue.ACCOUNT_TRADES, ALICE, wait=10.0)
    rows = [{"price": price, "volume": price} for price in (1, 2, 3)]
    heard = [(EP, Decimal(price)) for price in (1, 2, 3)]
    px.tell_market("trades", EP, *rows, shape="nulls")
    assert [(each.contract_id, each.price) for each in (trades.get(timeout=10) for _ in rows)] == heard
    wrapped = [(0, {"id": id, "accountId": int(ALICE)}) for id in (1, 2, 3)]
    for shape in ("list", "several"):
        px.tell_user("user_trades", int(ALICE), *wrapped, shape=shape)
        assert [fills.get(timeout=10).id for _ in wrapped] == [1, 2, 3]


def test_defect_16_who_subscribes_again_asks_the_hub_for_nothing(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    every = [runtime.subscribe("projectx", venue.TRADES, EP, EP, wait=10.0) for _ in range(5)]
    number = tell(px, "market")
    assert [told(each.get(timeout=10)) for each in every] == [number] * 5
    for each in every:
        each.close()
    _stream = runtime.subscribe("projectx", venue.QUOTES, EP, wait=10.0)
    assert px.invocations("SubscribeContractTrades") == [[EP]]
    assert px.invocations("UnsubscribeContractTrades") == []  # the config still wants it


def test_defect_20_a_logout_is_told_to_readers_and_comes_back(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    orders = runtime.subscribe("projectx", venue.ORDERS, ALICE, wait=10.0)
    px.gateway_logout(only_hub="user")
    seen = orders.with_markers()
    first, second = cast(list[Lifecycle], [next(seen), next(seen)])
    assert first.state == "connected"
    assert (second.state, "GatewayLogout" in second.reason) == ("disconnected", True)
    until(runtime, live_again(2, USER))
    number = tell(px, "user")
    assert told(next(each for each in orders)) == number


# ── what it reports, and where the same stands here ─────────────────────────────────────────────


def test_what_project_x_py_reports_has_its_counterpart(px: SimulatedProjectX) -> None:
    with runtime_on(px, heartbeat={"ping_interval": 0.05}) as runtime:
        heard = streams(runtime)
        px.number_trades(EP, 10)
        tell(px, "user")
        for _ in range(10):
            heard["market"].get(timeout=10)
        heard["user"].get(timeout=10)
        px.drop(only_hub="market")
        until(runtime, live_again(2, MARKET))
        px.completion_error("SubscribeContractQuotes")
        _stream = runtime.subscribe("projectx", venue.QUOTES, EP)
        until(runtime, lambda status: "rejected" in [t.state.state for t in status.lines()[MARKET].topics])
        until(runtime, lambda status: all(each.rtt_ms for each in status.lines().values()))
        status = settle(runtime)
        user, market = status.lines()[USER], status.lines()[MARKET]

        # events_received, coalesced_…_dropped
        assert (user.counters.routed, market.counters.routed) == (1, 10)
        assert sum(each.received for each in status.streams) == 11
        assert sum(each.dropped + each.conflated for each in status.streams) == 0
        # connection_errors, and which
        assert (user.counters.restarts, market.counters.restarts) == (0, 1)
        assert [each.code for each in market.journal] == ["lost"]
        # connected_time, user_connected, market_connected
        assert user.live_for_s is not None
        assert market.live_for_s is not None
        assert user.live_for_s > market.live_for_s
        assert (user.state, market.state, status.feeds["projectx"].live) == ("live", "live", True)
        # last_event_time, in all and of each subscription
        assert user.data_age_s is not None
        assert market.data_age_s is not None
        assert {each.topic: each.age_s is not None for each in market.topics} == {
            f"projectx/trades/{EP}": True,
            f"projectx/quotes/{EP}": market.topics[-1].age_s is not None,
        }
        # user_hub_latency_ms, market_hub_latency_ms, health_score
        assert (user.rtt_ms or 0.0) > 0.0
        assert (market.rtt_ms or 0.0) > 0.0
        assert (user.health.score, market.health.score) == (100, 90)
        # subscribed_contracts; task_stats: what waits for an answer, what has failed
        assert {each.state.state for each in market.topics} <= {"confirmed", "rejected"}
        assert {each.state for each in status.actors} == {"running"}
        assert sum(each.restarts for each in status.actors if "connection/" not in each.id) == 0
        px.delay_ack(60.0)
        _stream2 = runtime.subscribe("projectx", venue.DEPTH, EP)
        pending = until(
            runtime, lambda status: "sent" in [each.state.state for each in status.lines()[MARKET].topics]
        )
        assert pending.lines()[MARKET].state == "subscribing"
