"""`give_up = "close"`: a stream ends where all of its lines have failed."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import actors
from actors import Closed, Lifecycle, Runtime, Stream, StreamClosed
from actors.dispatcher import Dispatcher
from actors.simulators import SimulatedO2, SimulatedTplus
from tests.stories.test_killed_actors import kill
from tests.stories.test_tplus import runtime_on as tplus_runtime
from tests.support.runtimes import feed_at, line_of, runtime_on, until

CLOSE = {"give_up": "close"}
EVER = 10**6
FATAL = {**CLOSE, "stable_after": 3_600.0}  # nothing is proved: a refusal is final at once


@contextmanager
def closing(o2: SimulatedO2, **feed: Any) -> Iterator[Runtime]:
    with runtime_on(o2, restart=FATAL | feed.pop("restart", {}), **feed) as runtime:
        yield runtime


def fail(o2: SimulatedO2, runtime: Runtime) -> None:
    o2.refuse(401, n=EVER)
    o2.drop()
    until(runtime, lambda status: status.lines()["o2"].state == "failed")


def to_the_end(stream: Stream[Any]) -> list[Any]:
    return list(stream.with_markers())


def test_a_stream_gets_failed_and_then_its_end(o2: SimulatedO2, market: str) -> None:
    with closing(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.trade(market)
        fail(o2, runtime)
        *_, trade, lost, trying, failed, closed = to_the_end(trades)
        assert type(trade).__name__ == "Trade"
        assert [each.state for each in (lost, trying, failed) if isinstance(each, Lifecycle)][-1] == "failed"
        assert isinstance(closed, Closed)
        assert closed.reason.startswith("its lines have failed: o2 (")
        assert "401" in closed.reason
        until(runtime, lambda status: status.streams == ())


def test_iteration_raises_the_reason_and_get_does_so(o2: SimulatedO2, market: str) -> None:
    with closing(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        others = runtime.subscribe("o2", "trades", market, wait=10.0)
        fail(o2, runtime)
        with pytest.raises(StreamClosed, match="401"):
            next(iter(trades))
        with pytest.raises(StreamClosed, match="401"):
            others.get(timeout=5.0)


def test_by_default_the_stream_waits(o2: SimulatedO2, market: str) -> None:
    with closing(o2, restart={"give_up": "wait"}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        fail(o2, runtime)
        o2.heal()
        runtime.supervisor.restart("o2").get(timeout=5)
        runtime.wait_live(timeout=10.0)
        o2.trade(market)
        assert trades.get(timeout=5.0)


@pytest.mark.parametrize("inline", [False, True])
def test_a_handler_is_told_so_and_ends(o2: SimulatedO2, market: str, inline: bool) -> None:
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with closing(o2) as runtime:
        stream = runtime.on("o2", "trades", market, handler=print, on_marker=told.put, inline=inline)
        until(runtime, lambda _: line_of(runtime).topics[0].state.state == "confirmed")
        fail(o2, runtime)
        seen = []
        while not isinstance(marker := told.get(timeout=5.0), Closed):
            seen.append(marker)
        assert seen[-1].state == "failed"
        assert stream.closed
        until(runtime, lambda status: status.streams == ())


def test_the_streams_of_another_feed_go_on(o2: SimulatedO2, market: str) -> None:
    with SimulatedO2(rate=0) as other:
        feeds = {"o2": feed_at(o2.url, restart=FATAL), "other": feed_at(other.url, restart=FATAL)}
        with actors.start({"feeds": feeds}, wait=10.0) as runtime:
            mine = runtime.subscribe("o2", "trades", market, wait=10.0)
            theirs = runtime.subscribe("other", "trades", market, wait=10.0)
            fail(o2, runtime)
            to_the_end(mine)
            other.trade(market)
            assert theirs.get(timeout=5.0)


def test_a_stream_of_lifecycle_events_goes_on(o2: SimulatedO2, market: str) -> None:
    with closing(o2) as runtime, runtime.lifecycle("o2") as states:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        fail(o2, runtime)
        to_the_end(trades)
        o2.heal()
        runtime.supervisor.restart("o2").get(timeout=5)
        runtime.wait_live(timeout=10.0)
        words: list[str] = []
        while words[-2:] != ["connecting", "restored"] and len(words) < 20:
            words.append(states.get(timeout=5.0).state)
        assert "failed" in words
        assert not states.closed


def test_a_line_that_is_parked_for_its_short_lives_ends_its_streams(o2: SimulatedO2, market: str) -> None:
    with closing(o2, restart={"max_restarts": 2, "probe_interval": 3_600.0}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.flap(EVER)
        o2.drop()
        closed = to_the_end(trades)[-1]
        assert isinstance(closed, Closed)
        assert line_of(runtime).state == "failed"


def test_a_line_that_a_person_pauses_ends_nothing(o2: SimulatedO2, market: str) -> None:
    with closing(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        runtime.supervisor.pause("o2").get(timeout=5)
        until(runtime, lambda status: status.lines()["o2"].state == "paused")
        runtime.supervisor.resume("o2").get(timeout=5)
        runtime.wait_live(timeout=10.0)
        o2.trade(market)
        assert trades.get(timeout=5.0)


def test_a_stream_on_a_line_that_has_failed_is_closed_as_it_opens(o2: SimulatedO2, market: str) -> None:
    with closing(o2) as runtime:
        fail(o2, runtime)
        trades = runtime.subscribe("o2", "trades", market)
        assert trades.closed
        failed, closed = to_the_end(trades)
        assert (failed.state, type(closed)) == ("failed", Closed)
        with pytest.raises(StreamClosed, match="401"):
            runtime.subscribe("o2", "trades", market, wait=10.0)


def test_no_loop_that_subscribes_again_makes_the_line_connect() -> None:
    """Its line has no topic any more, and stays: what has failed is lifted by a person."""
    with SimulatedTplus(rate=0, market=False) as venue, tplus_runtime(venue, restart=FATAL) as runtime:
        name = "tplus/ticker-100"
        ticker = runtime.subscribe("tplus", "ticker", "100", wait=10.0)
        venue.refuse(401, n=EVER)
        venue.drop()
        to_the_end(ticker)
        epoch = line_of(runtime, name).epoch
        for _ in range(5):
            to_the_end(runtime.subscribe("tplus", "ticker", "100"))
        assert (line_of(runtime, name).epoch, line_of(runtime, name).state) == (epoch, "failed")
        venue.heal()
        runtime.supervisor.restart(name).get(timeout=5)
        until(runtime, lambda status: status.lines() == {})  # nothing wants it


def test_one_line_of_two_that_still_tries_keeps_the_stream() -> None:
    with SimulatedTplus(rate=0, market=False) as venue, tplus_runtime(venue, restart=FATAL) as runtime:
        tickers = runtime.subscribe("tplus", "ticker", "100", "101", wait=10.0)
        one, two = "tplus/ticker-100", "tplus/ticker-101"
        runtime.supervisor.pause(two).get(timeout=5)
        until(runtime, lambda status: status.lines()[two].state == "paused")
        venue.refuse(401, n=EVER)
        venue.drop()
        until(runtime, lambda status: status.lines()[one].state == "failed")
        seen = []
        items = tickers.with_markers()
        while not (isinstance(item := next(items), Lifecycle) and item.state == "failed"):
            seen.append(item)
        assert not tickers.closed
        runtime.supervisor.resume(two).get(timeout=5)
        closed = list(items)[-1]
        assert isinstance(closed, Closed)
        assert one in closed.reason
        assert two in closed.reason


def test_a_restart_brings_back_the_topics_of_the_config_and_no_closed_stream(
    o2: SimulatedO2, market: str
) -> None:
    with closing(o2, subscribe=[{"channel": "trades", "keys": [market]}]) as runtime:
        former = runtime.subscribe("o2", "trades", market, wait=10.0)
        fail(o2, runtime)
        to_the_end(former)
        o2.heal()
        runtime.supervisor.restart("o2").get(timeout=5)
        runtime.wait_live(timeout=10.0)
        assert [topic.topic for topic in line_of(runtime).topics] == [f"o2/trades/{market}"]
        assert former.closed
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.trade(market)
        assert trades.get(timeout=5.0)


def test_a_book_waits_for_its_line(o2: SimulatedO2, market: str) -> None:
    with closing(o2) as runtime:
        runtime.book("o2", market, wait=10.0)
        fail(o2, runtime)
        until(runtime, lambda _: "failed" in runtime.book("o2", market).reason)
        o2.heal()
        runtime.supervisor.restart("o2").get(timeout=5)
        assert runtime.book("o2", market, wait=10.0).synced


def test_another_dispatcher_ends_what_the_former_one_left(o2: SimulatedO2, market: str) -> None:
    with closing(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.refuse(401, n=EVER)
        kill(Dispatcher)
        o2.drop()
        assert isinstance(to_the_end(trades)[-1], Closed)
