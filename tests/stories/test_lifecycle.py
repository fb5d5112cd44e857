"""A program is told what its lines do: as events of their own, and as the first marker of each stream."""

from __future__ import annotations

import gc
import math
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

import actors
from actors import Closed, Lifecycle, LinewardenError, Marked, Received, Runtime, RuntimeStopped, Stream
from actors.dispatcher import Dispatcher
from actors.simulators import SimulatedO2, SimulatedTplus
from actors.supervisor import Supervisor
from actors.venues import tplus as venue
from tests.stories import test_tplus as tplus_story
from tests.stories.test_killed_actors import after, incarnation, kill
from tests.stories.test_reload import two_feeds
from tests.support.runtimes import at_epoch, config, line_of, pause, runtime_on, until

LOSS = ["disconnected", "reconnecting", "restored"]
BEGUN = ["connecting", "connected"]


@pytest.fixture
def tplus() -> Iterator[SimulatedTplus]:
    with SimulatedTplus() as tplus:
        yield tplus


def words(lives: Stream[Lifecycle], count: int) -> list[str]:
    """The next so many."""
    return [lives.get(timeout=10.0).state for _ in range(count)]


def first_words(stream: Stream[Any], count: int) -> list[str]:
    """The states that are the first so many of its markers."""
    items = islice(stream.with_markers(timeout=10.0), count)
    return [item.state if isinstance(item, Lifecycle) else type(item).__name__ for item in items]


def is_(state: str) -> Callable[[Any], bool]:
    return lambda status: status.lines()["o2"].state == state


# ── a stream of them ────────────────────────────────────────────────────────────────────────────


def test_a_line_without_a_topic_is_told_of_from_its_first_connect_to_its_end(o2: SimulatedO2) -> None:
    with runtime_on(o2, live=False) as runtime:
        lives = runtime.lifecycle()
        runtime.wait_live(timeout=10)
        o2.drop()
        assert words(lives, 5)[-4:] == ["connected", *LOSS]
        runtime.supervisor.pause("o2").get(timeout=5)
        assert words(lives, 2) == ["disconnected", "paused"]
        runtime.supervisor.resume("o2").get(timeout=5)
        assert words(lives, 2) == ["connecting", "restored"]
        runtime.supervisor.restart("o2").get(timeout=5)
        assert words(lives, 2) == ["disconnected", "restored"]
        runtime.rotate("o2")
        runtime.stop()
        last: list[Any] = list(lives.with_markers())
        assert [getattr(item, "state", "closed") for item in last] == ["disconnected", "closed"]
        assert list(lives) == []


def test_events_say_which_line_when_and_why(runtime: Runtime, o2: SimulatedO2) -> None:
    lives = runtime.lifecycle("o2")
    begun = lives.get(timeout=10.0)
    assert begun == Lifecycle("o2", "connected", 1, 0, "", begun.at_ns)
    o2.drop()
    lost, again, back = islice(lives.with_meta(), 3)
    assert [lost.topic, again.topic] == [actors.Topic("o2", "lifecycle", "o2")] * 2
    assert "reset" in lost.event.reason
    assert [each.event.attempt for each in (lost, again, back)] == [1, 1, 1]
    assert (lost.epoch, back.epoch) == (1, 2)
    assert begun.at_ns < lost.event.at_ns <= again.event.at_ns < back.event.at_ns


@pytest.mark.parametrize("state", ["reconnecting", "failed", "paused"])
def test_it_begins_with_the_present_state_of_a_line_that_is_down(o2: SimulatedO2, state: str) -> None:
    law = {"max_restarts": 1 if state == "failed" else 100, "stable_after": 60.0, "probe_interval": 0.0}
    with runtime_on(o2, restart=law) as runtime:
        if state == "paused":
            pause(runtime, "o2")
        else:
            o2.flap(1_000)
            o2.drop()
            until(runtime, lambda status: status.lines()["o2"].attempt > 2 or is_("failed")(status))
        lives = runtime.lifecycle()
        first = lives.get(timeout=10.0)
        while state == "reconnecting" and first.state == "disconnected":  # the venue flaps
            first = lives.get(timeout=10.0)
        assert first.state == state
        o2.flap(0)
        runtime.supervisor.restart("o2").get(timeout=5)
        told: list[str] = [next(lives.take(10.0)).state]
        while told[-1] != "restored":
            told += words(lives, 1)
        assert state == "reconnecting" or told == ["connecting", "restored"]


@pytest.mark.parametrize("target", ["o2", "other", None])
def test_a_feed_that_a_reload_adds_and_removes_is_told_of(o2: SimulatedO2, target: str | None) -> None:
    with actors.start(two_feeds(o2), wait=10.0) as runtime:
        lives, all_lives = runtime.lifecycle(target), runtime.lifecycle()
        assert {all_lives.get(timeout=5).line for _ in range(2)} == {"o2", "other"}
        runtime.reload(config(o2.url))
        gone = all_lives.get(timeout=5)
        assert (gone.line, gone.state) == ("other", "disconnected")
        assert gone.reason == "the line is no longer needed"
        runtime.reload(two_feeds(o2))
        assert [(each.line, each.state) for each in (all_lives.get(timeout=5) for _ in range(2))] == [
            ("other", "connecting"),
            ("other", "connected"),
        ]
        if target == "other":
            items: list[Any] = list(lives.with_markers())
            assert items[-1] == Closed("feed other was removed from the config")
        else:
            assert not lives.closed


def test_lines_come_and_go_with_their_topics(tplus: SimulatedTplus) -> None:
    with tplus_story.runtime_on(tplus) as runtime:
        lives = runtime.lifecycle("tplus")  # it has no line yet
        asset = "100"
        stream = runtime.subscribe("tplus", venue.TICKER, asset, wait=5.0)
        begun = [lives.get(timeout=5) for _ in BEGUN]
        assert [(each.line, each.state) for each in begun] == [("tplus/ticker-100", word) for word in BEGUN]
        one = runtime.lifecycle("tplus/ticker-100")
        assert words(one, 1) == ["connected"]
        stream.close()
        assert words(lives, 1) == words(one, 1) == ["disconnected"]
        stream = runtime.subscribe("tplus", venue.TICKER, asset, wait=5.0)
        assert words(lives, 2) == words(one, 2) == BEGUN
        assert first_words(stream, 2) == BEGUN


@pytest.mark.parametrize("target", ["o3", "o2/7", "", 5, "*"])
def test_an_unknown_target_is_refused_with_a_sentence(runtime: Runtime, target: Any) -> None:
    with pytest.raises(LinewardenError, match=r"feed or line|name of a feed"):
        runtime.lifecycle(target)
    assert runtime.status().streams == ()


def test_it_is_closed_counted_and_changed_as_far_as_that_makes_sense(runtime: Runtime) -> None:
    before = len(_supervisor()._lines.lifecycles._followers)
    with runtime.lifecycle("o2") as lives:
        assert words(lives, 1) == ["connected"]
        (shown,) = runtime.status().streams
        assert (shown.feed, shown.channel, shown.policy, shown.capacity) == (
            "o2",
            "lifecycle",
            "drop_oldest",
            1_000,
        )
        assert (shown.received, shown.delivered, lives.topics) == (1, 1, {})
        for ask in (
            lives.fresh,
            lambda: runtime.require(lives),
            lambda: runtime.require(runtime.lifecycle()),
        ):
            with pytest.raises(LinewardenError, match="no data that could be fresh"):
                ask()
        for change in (lives.add, lives.remove):
            with pytest.raises(LinewardenError, match="no keys"):
                change("x")
    assert list(lives.with_markers()) == [Closed("closed by its reader")]
    until(runtime, lambda status: status.streams == ())
    assert len(_supervisor()._lines.lifecycles._followers) == before


def _supervisor() -> Supervisor:
    (found,) = [each for each in gc.get_objects() if type(each) is Supervisor and each.thread.is_alive()]
    return found


def test_one_that_is_dropped_is_forgotten(runtime: Runtime) -> None:
    lives = runtime.lifecycle()
    words(lives, 1)
    del lives
    gc.collect()
    until(runtime, lambda status: status.streams == ())
    assert not _supervisor()._lines.lifecycles._followers


def test_it_does_not_keep_its_runtime_and_ends_with_it(o2: SimulatedO2) -> None:
    runtime = actors.start(config(o2.url), wait=10.0)
    lives = runtime.lifecycle()
    seen: list[Any] = []
    reading = threading.Thread(target=lambda: seen.extend(lives.with_markers()), daemon=True)
    reading.start()
    reference = weakref.ref(runtime)
    del runtime
    gc.collect()
    assert reference() is None
    reading.join(10)
    assert not reading.is_alive()
    assert isinstance(seen[-1], Closed)
    assert list(lives) == []


def test_the_death_of_the_supervisor_ends_it_with_its_reason(o2: SimulatedO2) -> None:
    with runtime_on(o2) as runtime:
        lives = runtime.lifecycle()
        kill(Supervisor)
        with pytest.raises(actors.StreamClosed, match="nothing_of_that_name"):
            list(lives)
        with pytest.raises(RuntimeStopped):
            runtime.lifecycle()


def test_a_reader_that_never_reads_holds_up_no_line(o2: SimulatedO2) -> None:
    with runtime_on(o2, restart={"initial": 0.001, "maximum": 0.002, "stable_after": 0.0}) as runtime:
        slow = runtime.lifecycle()
        slow._box.capacity = 4
        for number in range(2, 12):
            o2.drop()
            until(runtime, at_epoch(number))
            runtime.wait_live(timeout=10)
        assert slow.dropped >= 20
        assert words(slow, 1) != []
        (gap,) = slow.gaps
        assert (gap.topic, gap.missed) == (actors.Topic("o2", "lifecycle", "o2"), slow.dropped)


# ── among the streams of a merge ────────────────────────────────────────────────────────────────


def test_a_bot_reads_prices_and_the_lives_of_its_lines_in_one_loop(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    seen = list[str]()
    may_act = False
    o2.trade(market, trade_id="1")
    merged = runtime.merge(trades, runtime.lifecycle("o2"), markers=True, timeout=10.0)
    for item in merged:
        match item:
            case Received(event=Lifecycle(state=state)):
                may_act = state in {"connected", "restored"}
                seen.append(state)
            case Received(event=event):
                seen.append(f"trade {event.trade_id}")
                if event.trade_id == "1":
                    o2.drop()
            case Marked(stream, Lifecycle(state="restored")):
                assert stream is trades
                o2.trade(market, trade_id="2")
            case Marked(stream, Closed(reason)):
                seen.append(f"{stream.channel}: {reason}")
        if {"restored", "trade 2"} <= set(seen):  # the two come in either order
            trades.close()
        if "trades: closed by its reader" in seen:
            break
    assert may_act
    assert [word for word in seen if word in LOSS] == LOSS
    assert seen.index("trade 1") < seen.index("disconnected") < seen.index("trade 2")


@pytest.mark.parametrize("timeout", [0.01, 0])
def test_a_silence_of_all_streams_is_told(
    runtime: Runtime, o2: SimulatedO2, market: str, timeout: float
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    merged = runtime.merge(trades, runtime.lifecycle(), timeout=timeout)
    with pytest.raises(actors.Timeout):
        list(merged)
    o2.trade(market, trade_id="7")
    until(runtime, lambda _: trades.queued == 1)
    event: Any = next(merged).event
    assert event.trade_id == "7"


# ── the first marker of each stream ─────────────────────────────────────────────────────────────


def test_a_stream_is_told_that_its_line_is_connected(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    for _ in range(2):
        assert first_words(runtime.subscribe("o2", "trades", market), 1) == ["connected"]


@pytest.mark.parametrize("state", ["reconnecting", "failed", "paused"])
def test_a_stream_of_a_line_that_is_down_is_told_why(o2: SimulatedO2, market: str, state: str) -> None:
    law = {"max_restarts": 1 if state == "failed" else 100, "stable_after": 60.0, "probe_interval": 0.0}
    law |= {"initial": 60.0, "maximum": 60.0} if state == "reconnecting" else {}
    with runtime_on(o2, restart=law) as runtime:
        if state == "paused":
            pause(runtime, "o2")
        else:
            o2.flap(3)
            o2.drop()
            if state == "reconnecting":
                until(runtime, is_("backoff"))
                runtime.supervisor.restart("o2").get(timeout=5)
                until(runtime, at_epoch(2))
                until(runtime, is_("backoff"))
            else:
                until(runtime, is_("failed"))
        shown = line_of(runtime)
        trades = runtime.subscribe("o2", "trades", market)
        (first,) = islice(trades.with_markers(timeout=10.0), 1)
        assert isinstance(first, Lifecycle)
        assert (first.line, first.state, first.epoch) == ("o2", state, shown.epoch)
        assert first.attempt == (shown.attempt if state != "paused" else 0)
        assert first.reason == ("paused" if state == "paused" else shown.reason and shown.reason.text)
        called: list[Any] = []
        heard = threading.Event()

        def hear(marker: Any) -> None:
            called.append(marker)
            heard.set()

        _handled = runtime.on("o2", "trades", market, handler=print, on_marker=hear)
        assert heard.wait(10)
        assert called[0] == first
        o2.flap(0)
        runtime.supervisor.restart("o2").get(timeout=5)
        back = first_words(trades, 1)
        while back[-1] != "connected":
            back += first_words(trades, 1)
        assert set(back[:-1]) <= {"connecting", "disconnected", "reconnecting"}


def test_a_topic_on_another_line_tells_the_state_of_that_line(tplus: SimulatedTplus) -> None:
    with tplus_story.runtime_on(tplus) as runtime:
        stream = runtime.subscribe("tplus", venue.TICKER, "100", wait=5.0)
        stream.add("101", wait=5.0)
        told: list[Any] = list(islice(stream.with_markers(timeout=10.0), 4))
        assert [(each.line, each.state) for each in told] == [
            (f"tplus/ticker-{asset}", word) for asset in ("100", "101") for word in BEGUN
        ]
        pause(runtime, "tplus/ticker-101")
        other = runtime.subscribe("tplus", venue.TICKER, "100", "101")
        both: list[Any] = list(islice(other.with_markers(timeout=10.0), 2))
        assert {(each.line, each.state) for each in both} == {
            ("tplus/ticker-100", "connected"),
            ("tplus/ticker-101", "paused"),
        }


def test_what_does_not_change_the_line_does_not_repeat_it(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    runtime.rotate("o2")
    runtime.reload(config(o2.url, subscribe=[{"channel": "trades", "keys": [market]}]))
    for _ in range(2):
        before = incarnation(runtime.status(), "dispatcher")
        kill(Dispatcher)
        until(runtime, after("dispatcher", before))
        trades.add(o2.markets[1], wait=5.0)
        trades.remove(o2.markets[1])
    runtime.rotate("o2")
    trades.close()
    assert first_words(trades, 5) == ["connected", "Closed"]


# ── any life ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_of_the_only_topic_and_the_lifecycle_of_its_line_tell_the_same(
    o2: SimulatedO2, market: str, seed: int
) -> None:
    chance = random.Random(seed)
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        lives = runtime.lifecycle("o2")
        for _ in range(8):
            match chance.choice(["drop", "restart", "pause", "rotate"]):
                case "drop":
                    epoch = line_of(runtime).epoch
                    o2.drop()
                    until(runtime, at_epoch(epoch + 1))
                case "restart":
                    runtime.supervisor.restart("o2").get(timeout=5)
                case "pause":
                    pause(runtime, "o2")
                    runtime.supervisor.resume("o2").get(timeout=5)
                case "rotate":
                    runtime.rotate("o2")
            runtime.wait_live(timeout=10)
        trades.close()
        markers = [each for each in trades.with_markers() if isinstance(each, Lifecycle)]
        events = list(lives.take(0))
    assert [(each.state, each.epoch, each.reason) for each in markers] == [
        (each.state, each.epoch, each.reason) for each in events
    ]
    assert math.isclose(markers[0].at_ns, events[0].at_ns, abs_tol=60e9)
