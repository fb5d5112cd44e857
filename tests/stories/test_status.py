"""The status while things come and go, and after the end; and the proxy of the supervisor."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pykka
import pytest

import actors
from actors import LinewardenError, Runtime, RuntimeStopped
from actors.simulators import SimulatedO2, SimulatedTplus
from actors.status import Status
from actors.supervision import snapshot
from actors.supervisor import Supervisor
from actors.venues import tplus as venue
from tests.stories.test_killed_actors import kill
from tests.stories.test_many_lines import ASSETS
from tests.stories.test_tplus import config as tplus_config
from tests.support.runtimes import config, feed_at, runtime_on, until

FOUR = ["pause", "restart", "resume", "status"]
KEYS = [hex(0x1000 + number) for number in range(40)]


@pytest.fixture
def shared_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a change makes a fresh status."""
    monkeypatch.setattr(snapshot, "SHARED", 3_600.0)


@pytest.fixture
def tplus() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0, market=False) as simulator:
        yield simulator


# ── each command shows in the next look ─────────────────────────────────────────────────────────


def topics(status: Status) -> dict[str, str]:
    return {each.topic: each.state.state for each in status.lines()["o2"].topics}


@pytest.mark.usefixtures("shared_for_long")
def test_each_command_shows_in_the_next_look(runtime: Runtime, o2: SimulatedO2) -> None:
    one, two = o2.markets[:2]
    assert runtime.status() is runtime.status()
    trades = runtime.subscribe("o2", "trades", one, wait=10.0)
    status = runtime.status()
    assert topics(status) == {f"o2/trades/{one}": "confirmed"}
    assert [each.id for each in status.streams] == [trades.id]
    trades.add(two, wait=10.0)
    status = runtime.status()
    assert topics(status) == {f"o2/trades/{key}": "confirmed" for key in (one, two)}
    assert [each.topics for each in status.streams] == [2]
    trades.remove(two)
    assert [each.topics for each in runtime.status().streams] == [1]
    trades.close()
    assert runtime.status().streams == ()
    handled = runtime.on("o2", "trades", one, handler=print)
    assert [each.id for each in runtime.status().streams] == [handled.id]
    handled.close()
    assert runtime.status().streams == ()


@pytest.mark.usefixtures("shared_for_long")
def test_each_command_to_the_supervisor_shows_in_the_next_look(runtime: Runtime, o2: SimulatedO2) -> None:
    def state() -> str:
        return runtime.status().lines()["o2"].state

    assert state() == "live"
    runtime.supervisor.pause("o2").get(timeout=5)
    assert state() == "paused"
    runtime.supervisor.resume("o2").get(timeout=5)
    assert state() != "paused"
    runtime.wait_live(timeout=10)
    assert state() == "live"
    runtime.rotate("o2")
    assert (runtime.status().lines()["o2"].rotations, state()) == (1, "live")
    runtime.supervisor.restart("o2").get(timeout=5)
    assert state() != "live"
    runtime.wait_live(timeout=10)
    table = config(o2.url)
    runtime.reload({**table, "feeds": {**table["feeds"], "other": feed_at(o2.url)}})
    assert list(runtime.status().feeds) == ["o2", "other"]
    runtime.reload(table)
    assert list(runtime.status().feeds) == ["o2"]


@pytest.mark.usefixtures("shared_for_long")
def test_each_change_of_a_line_shows_in_the_next_look(runtime: Runtime, o2: SimulatedO2) -> None:
    epoch, deadline = runtime.status().lines()["o2"].epoch, time.monotonic() + 20.0
    o2.drop()
    while (line := runtime.status().lines()["o2"]).epoch == epoch or line.state != "live":
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_outage_has_one_beginning_whatever_its_tries(o2: SimulatedO2) -> None:
    with SimulatedO2() as gone:
        url = gone.url
    with actors.start(config(url)) as runtime:
        first = until(runtime, lambda status: status.lines()["o2"].attempt > 1).lines()["o2"]
        later = until(runtime, lambda status: status.lines()["o2"].attempt > 3).lines()["o2"]
        assert first.down_since_ns is not None
        assert later.down_since_ns == first.down_since_ns
        assert later.since_ns is not None
        assert later.since_ns > later.down_since_ns
        runtime.reload(config(o2.url))
        runtime.wait_live(timeout=20)
        live = runtime.status().lines()["o2"]
        assert live.down_since_ns is None
        assert live.since_ns is not None
        assert live.since_ns > later.since_ns
        runtime.supervisor.pause("o2").get(timeout=10)
        paused = until(runtime, lambda status: status.lines()["o2"].down_since_ns is not None).lines()["o2"]
        assert paused.state == "paused"
        assert paused.down_since_ns is not None
        assert paused.down_since_ns >= live.since_ns


def test_a_line_is_there_before_the_supervisor_begins(
    o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins, start = threading.Event(), Supervisor._start_tree

    def wait(supervisor: Supervisor) -> None:
        assert begins.wait(30)
        start(supervisor)

    monkeypatch.setattr(Supervisor, "_start_tree", wait)
    with actors.start(config(o2.url)) as runtime:
        status = runtime.status()
        assert (status.state, status.lines()["o2"].state) == ("starting", "connecting")
        begins.set()
        runtime.wait_live(timeout=10)


def test_a_line_is_there_as_soon_as_its_topic_is(tplus: SimulatedTplus) -> None:
    with actors.start(tplus_config(tplus), wait=10) as runtime:
        for asset in ASSETS:
            runtime.subscribe("tplus", venue.TICKER, asset)
            assert f"tplus/ticker-{asset}" in runtime.status().lines()


def test_a_supervisor_that_hangs_keeps_no_look(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, go_on = threading.Event(), threading.Event()

    def hang(target: str) -> list[Any]:
        hangs.set()
        assert go_on.wait(30)
        return []

    monkeypatch.setattr(runtime._tree._supervisor, "_targets", hang)
    answer = runtime.supervisor.restart("o2")
    assert hangs.wait(10)
    runtime._shared.note_change()
    assert runtime.status().state == "live"
    assert runtime.supervisor.status().get(timeout=0).state == "live"
    go_on.set()
    assert answer.get(timeout=10) == "accepted"


# ── while everything comes and goes ─────────────────────────────────────────────────────────────


@contextmanager
def switching_all_the_time() -> Iterator[None]:
    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(former)


def test_no_look_raises_while_lines_topics_and_streams_come_and_go(
    o2: SimulatedO2, tplus: SimulatedTplus
) -> None:
    feeds = {**config(o2.url, ack_timeout=10.0)["feeds"], **tplus_config(tplus)["feeds"]}
    failed: list[BaseException] = []
    over = threading.Event()
    looks = 0

    def lives(work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)

        return threading.Thread(target=run)

    def look() -> None:
        nonlocal looks
        while not over.is_set():
            runtime._shared.note_change()  # none is shared
            status = runtime.status()
            assert status.lines().keys() >= {"o2"}
            assert all(each.received >= 0 for each in status.streams)
            assert all(stream.topics is not None and stream.gaps is not None for stream in streams)
            looks += 1

    def change_topics() -> None:
        for _ in range(6):
            streams[0].add(*KEYS)
            streams[0].remove(*KEYS)

    def change_streams() -> None:
        for _ in range(12):
            with runtime.subscribe("o2", "trades", *KEYS[:10]):
                pass

    def change_lines() -> None:
        for number in range(6):
            with runtime.subscribe("tplus", venue.TICKER, *ASSETS[number : number + 3]):
                pass

    def lose_lines() -> None:
        for _ in range(6):
            epoch = runtime.status().lines()["o2"].epoch
            o2.drop()
            until(runtime, lambda status, epoch=epoch: status.lines()["o2"].epoch > epoch)  # type: ignore[misc]
            runtime.wait_live("o2", timeout=20)

    with actors.start({"feeds": feeds}, wait=10.0) as runtime:
        streams = [runtime.subscribe("o2", "trades", *KEYS[20:], wait=10.0)]
        lookers = [lives(look) for _ in range(2)]
        workers = [lives(each) for each in (change_topics, change_streams, change_lines, lose_lines)]
        with switching_all_the_time():
            for thread in (*lookers, *workers):
                thread.start()
            for thread in workers:
                thread.join(60)
            over.set()
            for thread in lookers:
                thread.join(60)
    assert failed == []
    assert looks > 10


# ── after the end ───────────────────────────────────────────────────────────────────────────────


def test_after_the_end_the_last_status_is_shown(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.trade(market)
        trades.get(timeout=10)
        assert runtime.end_reason is None
        proxy = runtime.supervisor
        runtime.stop()
    last = runtime.status()
    line = last.lines()["o2"]
    assert (last.state, last.feeds["o2"].live) == ("stopped", False)
    assert (line.state, line.health.score, line.live_for_s) == ("stopped", 0, None)
    assert line.counters.routed == 1
    assert [each.delivered for each in last.streams] == [1]
    assert last.actors == ()
    assert runtime.end_reason == "stopped"
    assert runtime.status() is last
    for each in (proxy, runtime.supervisor):
        assert each.status().get(timeout=0) is last
        for command in (each.pause, each.resume, each.restart):
            with pytest.raises(RuntimeStopped):
                command("o2").get(timeout=5)


def test_who_learns_of_the_end_sees_it_in_the_status(runtime: Runtime, market: str) -> None:
    runtime._shared.note_change()
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    kill(Supervisor)
    list(trades.with_markers())  # up to `Closed`
    assert runtime.status().state == "stopped"
    with pytest.raises(RuntimeStopped, match="nothing_of_that_name"):
        runtime.wait_live()
    assert "nothing_of_that_name" in (runtime.end_reason or "")


# ── the proxy ───────────────────────────────────────────────────────────────────────────────────


def test_the_proxy_has_four_methods_and_nothing_else_of_the_supervisor(runtime: Runtime) -> None:
    proxy = runtime.supervisor
    assert dir(proxy) == FOUR
    others = {name for name in dir(runtime._tree._supervisor) if not name.startswith("__")} - set(FOUR)
    assert [name for name in others if hasattr(proxy, name)] == []
    with pytest.raises(AttributeError):
        proxy.stopping = True  # type: ignore[attr-defined]


def test_the_proxy_gives_futures_of_pykka_at_once(runtime: Runtime) -> None:
    proxy = runtime.supervisor
    calls: list[pykka.Future[Any]] = [proxy.status(), proxy.pause("o2"), proxy.resume("o2")]
    futures = [*calls, proxy.restart("o2")]
    assert all(isinstance(each, pykka.Future) for each in futures)
    status, *answers = pykka.get_all(futures, timeout=5)
    assert isinstance(status, Status)
    assert answers == ["accepted"] * 3


@pytest.mark.parametrize("name", ["pause", "restart", "resume"])
def test_an_unknown_target_fails_in_the_future(runtime: Runtime, name: str) -> None:
    with pytest.raises(LinewardenError, match="there is no feed or line 'o3'"):
        getattr(runtime.supervisor, name)("o3").get(timeout=5)


def test_a_failure_that_is_not_read_is_a_dead_letter(runtime: Runtime) -> None:
    runtime.supervisor.pause("o3")
    status = until(runtime, lambda status: status.dead_letters.count > 0)
    assert [(each.to, each.message) for each in status.dead_letters.newest] == [("supervisor", "PauseLines")]
