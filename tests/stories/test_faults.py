"""Each way in which a venue misbehaves, on a live desk: what the line does, and what people see."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

import actors
from actors import Gap, Lifecycle, Runtime, SubscribeError
from actors.simulators import SimulatedO2
from actors.status import Status, TopicStatus
from actors.venues import o2 as venue
from actors.venues.o2 import DepthSnapshot
from tests.support.counters import settle
from tests.support.depth_book import Book
from tests.support.runtimes import at_epoch, config, line_of, runtime_on, until

BEAT = {"ping_interval": 0.1, "pong_timeout": 0.1}


def topic_of(status: Status, channel: str) -> TopicStatus:
    (found,) = [topic for topic in status.lines()["o2"].topics if f"/{channel}/" in topic.topic]
    return found


def comes_back(runtime: Runtime, epoch: int = 2) -> None:
    """The line lives again: what is said from now on is heard."""
    until(runtime, at_epoch(epoch))
    runtime.wait_live(timeout=10)


# ── the connection goes ──


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000])
def test_a_close_frame_of_any_code_is_followed_by_a_new_line(
    code: int, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.close(code, "so long")
    comes_back(runtime)
    reason = line_of(runtime).reason
    assert reason is not None
    assert (reason.kind, reason.code) == ("retryable", f"close_{code}")
    assert "so long" in reason.text
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=5).trade_id == "1"
    assert [gap.reason for gap in trades.gaps] == ["disconnect"]
    settle(runtime)


def test_a_drop_is_seen_at_once_though_no_beat_is_due(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, heartbeat={"ping_interval": 60.0}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.drop()
        comes_back(runtime)
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=5).trade_id == "1"
        reason = line_of(runtime).reason
        assert reason is not None
        assert reason.code in {"lost", "eof"}


def test_a_venue_that_flaps_is_outlived(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.flap(3, code=1013)
    o2.drop()
    comes_back(runtime, 5)
    assert line_of(runtime).counters.restarts == 4
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=5).trade_id == "1"
    assert [gap.reason for gap in trades.gaps] == ["disconnect"]  # one, however often it was tried


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_venue_that_cannot_now_is_asked_again(
    status: int, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    _stream = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.refuse(status=status, n=2)
    o2.drop()
    comes_back(runtime, 4)
    reason = line_of(runtime).reason
    assert reason is not None
    assert (reason.kind, reason.code) == ("retryable", f"http_{status}")


def test_a_refusal_that_names_its_time_is_believed(o2: SimulatedO2) -> None:
    o2.refuse(status=503, retry_after=77, n=1)
    with runtime_on(o2, live=False) as runtime:
        line = until(runtime, lambda status: status.lines()["o2"].state == "backoff").lines()["o2"]
        assert line.reason is not None
        assert (line.reason.kind, line.reason.code) == ("slow", "http_503")
        assert 70 < (line.next_attempt_s or 0.0) <= 77


# ── the connection stays, and says nothing ──


def stale_runtime(o2: SimulatedO2, market: str, stale_after: float) -> dict[str, Any]:
    wanted = [{"channel": "trades", "keys": [market], "stale_after": stale_after}]
    return config(o2.url, subscribe=wanted, heartbeat=BEAT)


def test_a_mute_venue_shows_as_stale_where_silence_means_something(o2: SimulatedO2, market: str) -> None:
    with actors.start(stale_runtime(o2, market, 0.3), wait=10.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.trade(market)
        assert trades.get(timeout=5)
        o2.mute()
        status = until(runtime, lambda status: topic_of(status, "trades").stale, 5 * 0.3)
        line = status.lines()["o2"]
        assert line.state == "live"
        assert 0 < line.health.score <= 50
        assert line.health.inputs.stale_topics == 1
        assert (topic_of(status, "trades").age_s or 0.0) >= 0.3

        o2.heal()
        o2.trade(market)
        healed = until(runtime, lambda status: not topic_of(status, "trades").stale, 5 * 0.3)
        assert healed.lines()["o2"].health.score > 50
        assert healed.lines()["o2"].epoch == 1


def test_a_mute_venue_that_answers_pings_is_just_quiet(o2: SimulatedO2, market: str) -> None:
    with actors.start(stale_runtime(o2, market, 0.0), wait=10.0) as runtime:
        until(runtime, lambda status: topic_of(status, "trades").state.state == "confirmed")
        o2.mute()
        pings = o2.pings
        o2.wait_for(lambda: o2.pings > pings + 5)
        line = line_of(runtime)
        assert (line.state, line.epoch, line.health.score) == ("live", 1, 100)


def test_a_deaf_venue_is_left(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, heartbeat=BEAT) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.deaf(new=False)
        comes_back(runtime)
        reason = line_of(runtime).reason
        assert reason is not None
        assert reason.code == "pong_timeout"
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=5).trade_id == "1"


def test_a_venue_deaf_to_newcomers_as_well_is_tried_until_it_hears(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, heartbeat=BEAT, connect_timeout=0.2) as runtime:
        _stream = runtime.subscribe("o2", "trades", market, wait=5.0)
        o2.deaf()
        until(runtime, at_epoch(3))
        reason = line_of(runtime).reason
        assert reason is not None
        assert reason.code == "connect_timeout"
        o2.heal()
        runtime.wait_live(timeout=10)


# ── subscriptions ──


def test_an_answer_that_takes_its_time_is_waited_for(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, ack_timeout=30.0) as runtime:
        o2.delay_ack(0.3)
        depth = runtime.subscribe("o2", "depth", market)
        (state,) = depth.topics.values()
        assert state.state in {"desired", "sent"}
        until(runtime, lambda status: topic_of(status, "depth").state.state == "confirmed", 5 * 0.3)
        assert isinstance(depth.get(timeout=5), DepthSnapshot)
        assert len(o2.wait_heard("subscribe_depth")) == 1


def test_a_lost_answer_is_asked_for_once_more(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, ack_timeout=0.2) as runtime:
        o2.lose_ack()
        depth = runtime.subscribe("o2", "depth", market, wait=5 * 0.2)
        (state,) = depth.topics.values()
        assert (state.state, state.assumed) == ("confirmed", False)
        assert len(o2.wait_heard("subscribe_depth", 2)) == 2
        assert isinstance(depth.get(timeout=5), DepthSnapshot)
        assert line_of(runtime).epoch == 1


def test_an_answer_lost_twice_restarts_the_line(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, ack_timeout=0.2) as runtime:
        o2.lose_ack(2)
        depth = runtime.subscribe("o2", "depth", market)
        until(runtime, at_epoch(2), 5 * 0.4)
        reason = line_of(runtime).reason
        assert reason is not None
        assert reason.code == "ack_timeout"
        assert f"o2/depth/{market}" in reason.text
        assert isinstance(depth.get(timeout=10), DepthSnapshot)
        runtime.wait_live(timeout=10)


def test_trades_whose_answer_is_lost_are_assumed() -> None:
    with SimulatedO2(rate=0, acknowledge_all=True) as o2, runtime_on(o2) as runtime:
        o2.lose_ack()
        trades = runtime.subscribe("o2", "trades", o2.markets[0], wait=5.0)
        (state,) = trades.topics.values()
        assert (state.state, state.assumed) == ("confirmed", True)
        answered = runtime.subscribe("o2", "trades", o2.markets[1], wait=5.0)
        (state,) = answered.topics.values()
        assert (state.state, state.assumed) == ("confirmed", False)
        assert line_of(runtime).epoch == 1


@pytest.mark.parametrize("channel", ["depth", "trades", "depth_view"])
def test_a_rejected_topic_says_why_and_the_line_lives(
    channel: str, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    bad = o2.markets[1]
    o2.reject(bad)
    with pytest.raises(SubscribeError, match=r"rejected \(o2 error 2000: market not found\)") as refused:
        runtime.subscribe("o2", channel, bad, wait=5.0)
    ((topic, state),) = refused.value.results.items()
    assert (topic.key, state.state) == (bad, "rejected")
    assert state.reason == "o2 error 2000: market not found"
    stream = refused.value.stream
    assert isinstance(stream, actors.Stream)
    assert not stream.closed
    shown = topic_of(runtime.status(), channel)
    assert shown.state == state
    assert line_of(runtime).state == "live"

    stream.add(market, wait=5.0)
    stream.remove(bad)
    assert [topic.key for topic in stream.topics] == [market]


def test_a_topic_rejected_in_one_life_is_asked_for_in_the_next(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    o2.reject(market)
    with pytest.raises(SubscribeError) as refused:
        runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.heal()
    o2.drop()
    comes_back(runtime)
    o2.trade(market, trade_id="1")
    stream = refused.value.stream
    assert isinstance(stream, actors.Stream)
    assert stream.get(timeout=5).trade_id == "1"


# ── O2's own ──


def test_an_error_that_ends_the_connection(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.error(1000, "internal error")
    comes_back(runtime)
    reason = line_of(runtime).reason
    assert reason is not None
    assert (reason.kind, reason.code) == ("retryable", "o2_1000")
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=5).trade_id == "1"


def test_an_error_that_asks_for_patience_gets_it(runtime: Runtime, o2: SimulatedO2) -> None:
    o2.error(1003, "rate limit exceeded")
    line = until(runtime, lambda status: status.lines()["o2"].state == "backoff").lines()["o2"]
    assert line.reason is not None
    assert (line.reason.kind, line.reason.code) == ("slow", "o2_1003")
    assert (line.next_attempt_s or 0.0) > 20


def test_an_error_for_good_parks_the_line_with_advice(runtime: Runtime, o2: SimulatedO2) -> None:
    o2.error(1004, "geo restricted")
    line = until(runtime, lambda status: status.lines()["o2"].state == "failed").lines()["o2"]
    assert line.reason is not None
    assert (line.reason.kind, line.reason.code) == ("fatal", "o2_1004")
    assert line.reason.advice
    assert line.next_attempt_s is None


def test_an_error_that_concerns_no_topic_leaves_the_line_up(
    runtime: Runtime, o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    o2.error(3002, "something about an order")
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=5).trade_id == "1"
    line = until(runtime, lambda status: bool(status.lines()["o2"].last_venue_error)).lines()["o2"]
    assert "something about an order" in line.last_venue_error
    assert (line.state, line.epoch) == ("live", 1)
    assert "something about an order" in caplog.text


def test_a_venue_that_lost_its_place_is_asked_for_a_new_snapshot(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    depth = runtime.subscribe("o2", venue.DEPTH, market, wait=5.0)
    other = runtime.subscribe("o2", venue.DEPTH, o2.markets[1], wait=5.0)
    items = depth.with_markers()
    assert [type(next(items)) for _ in range(2)] == [Lifecycle, DepthSnapshot]
    o2.depth_change(market, buys=[(50, 5)])
    assert isinstance(next(items), venue.DepthChange)

    o2.resync_required(market)
    o2.wait_heard("subscribe_depth", 3)
    o2.depth_change(market, buys=[(60, 6)])
    gap, *events = islice(items, 3)
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.topic.key) == ("unknown", market)
    assert isinstance(events[0], DepthSnapshot)
    book = Book()
    for event in events:
        assert isinstance(event, venue.DepthSnapshot | venue.DepthChange)
        book.apply(event)
    assert book.sides == o2.book(market)
    assert other.gap_count == 0
    assert line_of(runtime).epoch == 1
    settle(runtime)
