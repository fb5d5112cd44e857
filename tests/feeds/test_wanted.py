"""Feeds are added, replaced and removed while a program runs; the others keep their sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

import actors
from actors import (
    Closed,
    ConfigError,
    Gap,
    LinewardenError,
    Runtime,
    RuntimeStopped,
    StreamClosed,
    Timeout,
)
from actors.connection import Connection
from actors.feeds.builder import FeedBuilder
from actors.settings import load
from actors.settings.added_feeds import with_feed, without_feed
from actors.settings.diff import Plan
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.venues.o2 import O2, Trade
from tests.conftest import Baseline
from tests.stories.test_reload import epochs
from tests.support.runtimes import KEY, SECRET, at_epoch, config, feed_at, runtime_on, until

TPLUS = {"venue": "tplus", "url": "sim://tplus"}


def texts(plan: Plan) -> list[str]:
    return [change.text for change in plan.changes]


def mistakes(runtime: Runtime, name: Any, table: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        runtime.add_feed(name, table)
    return list(raised.value.problems)


# ── adding, replacing, removing ─────────────────────────────────────────────────────────────────


def test_a_feed_is_added_and_the_others_keep_their_sockets(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    plan = runtime.add_feed("other", feed_at(o2.url, subscribe=[{"channel": "trades", "keys": [market]}]))
    assert texts(plan) == ["feed other is added"]
    runtime.wait_live("other", timeout=10)
    trades = runtime.subscribe("other", "trades", market, wait=5.0)
    o2.trade(market, price=7)
    assert trades.get(timeout=5).price == 7
    assert epochs(runtime) == {"o2": 1, "other": 1}
    assert list(runtime.settings.feeds) == ["o2", "other"]


def test_the_same_table_again_changes_nothing(runtime: Runtime, o2: SimulatedO2) -> None:
    runtime.add_feed("other", feed_at(o2.url))
    runtime.wait_live(timeout=10)
    assert runtime.add_feed("other", feed_at(o2.url)).changes == ()
    assert runtime.add_feed("o2", feed_at(o2.url)).changes == ()
    assert epochs(runtime) == {"o2": 1, "other": 1}


def test_a_running_feed_is_replaced_and_its_streams_go_on_behind_a_gap(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    runtime.add_feed("other", feed_at(o2.url))
    runtime.wait_live(timeout=10)
    with SimulatedO2(rate=0) as elsewhere:
        trades = runtime.subscribe("other", "trades", market, wait=5.0)
        o2.trade(market, price=1)
        assert trades.get(timeout=5).price == 1
        plan = runtime.add_feed("other", feed_at(elsewhere.url))
        assert texts(plan) == ["feed other is reconnected: url changed"]
        until(runtime, at_epoch(2, "other"))
        runtime.wait_live("other", timeout=10)
        elsewhere.wait_heard("subscribe_trades")
        elsewhere.trade(market, price=2)
        items = trades.with_markers(timeout=5)
        gap = next(item for item in items if isinstance(item, Gap))
        assert (gap.reason, gap.topic.feed) == ("disconnect", "other")
        assert next(item for item in items if isinstance(item, Trade)).price == 2
        assert epochs(runtime)["o2"] == 1
        runtime.remove_feed("other")


def test_a_feed_that_gets_another_venue_loses_its_streams(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    runtime.add_feed("other", feed_at(o2.url))
    trades = runtime.subscribe("other", "trades", market, wait=5.0)
    plan = runtime.add_feed("other", TPLUS)
    assert texts(plan) == [
        "feed other gets another venue: its connections and streams are closed",
        "feed other is added with venue tplus",
    ]
    assert isinstance(list(trades.with_markers(timeout=5))[-1], Closed)
    runtime.wait_live("other", timeout=10)
    assert runtime.status().feeds["other"].venue == "tplus"


def test_a_feed_is_removed_with_its_streams_and_views(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    runtime.add_feed("other", feed_at(o2.url))
    trades = runtime.subscribe("other", "trades", market, wait=5.0)
    lives = runtime.lifecycle("other")
    runtime.book("other", market, wait=5.0)
    assert texts(runtime.remove_feed("other")) == [
        "feed other is removed: its connections and streams are closed"
    ]
    for stream in (trades, lives):
        items: list[Any] = list(stream.with_markers(timeout=5))
        assert items[-1] == Closed("feed other was removed from the config")
    with pytest.raises(StreamClosed, match="feed other was removed"):
        trades.get()
    for call in (runtime.book, runtime.latest):
        with pytest.raises(LinewardenError, match="there is no feed 'other' in the config"):
            call("other", market)
    assert list(runtime._shared.lines) == ["o2"]  # its connection has ended
    assert "connection/other" not in {thread.name for thread in threading.enumerate()}
    o2.wait_for(lambda: o2.connections == 1)
    assert list(runtime.status().feeds) == ["o2"]


def test_a_simulator_ends_with_its_feed_or_with_the_feeds_use_of_it(o2: SimulatedO2) -> None:
    with actors.start({"feeds": {}}) as runtime:
        ends: tuple[Callable[[], Plan], ...] = (
            lambda: runtime.remove_feed("sim"),
            lambda: runtime.add_feed("sim", feed_at(o2.url)),
        )
        for end in ends:
            runtime.add_feed("sim", feed_at("sim://o2?rate=0"))
            runtime.wait_live("sim", timeout=10)
            host, _, port = runtime.simulator("sim").url.removeprefix("ws://").partition(":")
            socket.create_connection((host, int(port.partition("/")[0])), timeout=5).close()
            end()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port.partition("/")[0])), timeout=5)
        with pytest.raises(LinewardenError, match="feed 'sim' uses no embedded simulator"):
            runtime.simulator("sim")
        runtime.wait_live("sim", timeout=10)


def test_a_feed_that_another_thread_has_removed_meanwhile_is_told_of() -> None:
    added = with_feed(load({"feeds": {}}), "other", TPLUS).settings
    removed = without_feed(added, "other").settings
    assert (added.added, removed.added) == (frozenset({"other"}), frozenset())
    with pytest.raises(LinewardenError, match="feed 'other' was removed meanwhile"):
        without_feed(removed, "other")


def test_a_feed_of_the_config_is_removed_too_and_an_unknown_one_is_not(runtime: Runtime) -> None:
    with pytest.raises(LinewardenError, match=r"there is no feed 'o3' in the config\. There are: o2\."):
        runtime.remove_feed("o3")
    runtime.remove_feed("o2")
    with pytest.raises(LinewardenError, match=r"there is no feed 'o2' in the config\. There are: none\."):
        runtime.remove_feed("o2")
    assert runtime.status().feeds == {}


def test_a_feed_whose_connection_does_not_end_is_removed_all_the_same(
    runtime: Runtime, o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.add_feed("other", feed_at(o2.url))
    runtime.wait_live("other", timeout=10)
    goes_on, cleanup = threading.Event(), Connection.cleanup

    def hang(connection: Connection) -> None:
        assert goes_on.wait(20)
        cleanup(connection)

    monkeypatch.setattr(Connection, "cleanup", hang)
    try:
        with pytest.raises(Timeout, match=r"removed; its connections have not ended within 0\.1 s"):
            runtime.remove_feed("other", timeout=0.1)
        assert list(runtime.settings.feeds) == ["o2"]
    finally:
        goes_on.set()
    with pytest.raises(LinewardenError, match="there is no feed 'other'"):
        runtime.remove_feed("other")
    with pytest.raises(LinewardenError, match="timeout is a number of seconds"):
        runtime.remove_feed("o2", timeout=cast(float, "5"))


def test_an_inline_handler_removes_its_own_feed(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    """It does not wait for the connection whose thread it is on."""
    plans: list[Plan] = []
    trades = runtime.on(
        "o2",
        "trades",
        market,
        handler=lambda _: plans.append(runtime.remove_feed("o2")),
        inline=True,
        wait=5.0,
    )
    o2.trade(market)
    until(runtime, lambda status: not status.feeds)
    assert trades.end_reason == "feed o2 was removed from the config"
    o2.wait_for(lambda: o2.connections == 0)
    assert [plan.feeds("removed") for plan in plans] == [("o2",)]


def test_starting_stopping_and_the_status_go_by_the_name_of_a_feed(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    """What programs ask of a manager of providers: start alpaca, stop alpaca, status of alpaca."""
    runtime.add_feed("other", feed_at(o2.url))
    runtime.wait_live("other", timeout=10)
    trades = runtime.subscribe("other", "trades", market, wait=5.0)
    assert runtime.status().feeds["other"].live
    assert runtime.supervisor.pause("other").get(timeout=5) == "accepted"
    until(runtime, lambda status: status.lines()["other"].state == "paused")
    o2.wait_for(lambda: o2.connections == 1)
    status = runtime.status()
    assert (status.feeds["other"].live, status.feeds["o2"].live) == (False, True)
    assert runtime.supervisor.resume("other").get(timeout=5) == "accepted"
    runtime.wait_live("other", timeout=10)
    o2.trade(market, price=5)
    assert trades.get(timeout=5).price == 5
    runtime.remove_feed("other")
    assert "other" not in runtime.status().feeds


def test_a_venue_that_allows_one_connection_sees_one_at_a_time() -> None:
    """The stream that replaced another one used to be refused: the former one still had the slot."""
    with SimulatedAlpaca() as alpaca, actors.start({"feeds": {}}) as runtime:
        table = feed_at(alpaca.url_of("iex"), venue="alpaca", key=KEY, secret=SECRET)
        for compression in ("none", "deflate", "none"):
            runtime.add_feed("alpaca", table | {"compression": compression})
            until(runtime, lambda status: status.feeds["alpaca"].live)
            journal = runtime.status().lines()["alpaca"].journal
            assert "alpaca_406" not in {each.code for each in journal}
        for _ in range(3):
            runtime.remove_feed("alpaca")
            runtime.add_feed("alpaca", table)
            runtime.wait_live("alpaca", timeout=10)
            journal = runtime.status().lines()["alpaca"].journal
            assert "alpaca_406" not in {each.code for each in journal}


# ── the table ───────────────────────────────────────────────────────────────────────────────────


def test_mistakes_name_the_feed_and_the_key_and_change_nothing(runtime: Runtime) -> None:
    wrong = {"venue": "alpaca", "key": "${NOT_SET_HERE}", "secret": "S", "compresion": "deflate"}
    assert mistakes(runtime, "alpaca", wrong) == [
        "add_feed: [feeds.alpaca] key: the environment variable NOT_SET_HERE is not set.",
        "add_feed: [feeds.alpaca] compresion: there is no such key; did you mean 'compression'?",
    ]
    assert mistakes(runtime, "o2", {"venue": "o2", "restart": {"initail": 1.0}}) == [
        "add_feed: [feeds.o2.restart] initail: there is no such key; did you mean 'initial'?"
    ]
    assert mistakes(runtime, "two words", {"venue": "o2"}) == [
        'add_feed: [feeds."two words"]: expected a feed\'s name of letters, digits, - and _ only.'
    ]
    assert epochs(runtime) == {"o2": 1}
    assert list(runtime.settings.feeds) == ["o2"]


@pytest.mark.parametrize("table", ['venue = "o2"', Path("o2.toml"), None, [("venue", "o2")]])
def test_a_table_is_a_mapping(runtime: Runtime, table: Any) -> None:
    (told,) = mistakes(runtime, "other", table)
    assert told.startswith("add_feed: expected a mapping such as the table [feeds.other] of a config, found ")
    assert told.endswith("Of a TOML text, give what tomllib.loads makes of that table.")


def test_a_name_is_text(runtime: Runtime) -> None:
    assert mistakes(runtime, 5, {"venue": "o2"}) == ["add_feed: expected a feed's name, found 5."]


def test_the_environment_is_read(runtime: Runtime, o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE_O2_IS", o2.url)
    runtime.add_feed("other", feed_at("${WHERE_O2_IS}"))
    runtime.wait_live("other", timeout=10)


def test_defaults_calendars_and_relative_paths_are_those_of_the_config(tmp_path: Path) -> None:
    file = tmp_path / "desk.toml"
    file.write_text(
        """
        [defaults.restart]
        maximum = 7.5
        [defaults.heartbeat]
        ping_interval = 3.0
        [calendars.nyse]
        zone = "America/New_York"
        sessions = ["Mon-Fri 09:30-16:00"]
        """,
        encoding="utf-8",
    )
    (tmp_path / "extra.pem").write_text("", encoding="utf-8")
    topics = [{"channel": "trades", "keys": ["0xbeef"], "stale_after": 60.0, "calendar": "nyse"}]
    with actors.start(file) as runtime:
        runtime.add_feed("o2", {"venue": "o2", "url": "sim://o2", "subscribe": topics})
        feed = runtime.settings.feeds["o2"]
        assert (feed.restart.maximum, feed.heartbeat.ping_interval) == (7.5, 3.0)
        assert feed.subscribe[0].calendar == runtime.settings.calendars["nyse"]
        runtime.add_feed("other", {"venue": "o2", "url": "sim://o2", "ca_file": "extra.pem"})
        assert runtime.settings.feeds["other"].ca_file == str(tmp_path / "extra.pem")


class Refusing(O2):
    """A venue of a program's own that has a defect: it cannot be made for a feed of this name."""

    name: ClassVar[str] = "refusing"

    def __init__(self, feed: str, settings: Any) -> None:
        super().__init__(feed, settings)
        if not settings.url.startswith(("sim:", "wss:")):  # at the address of its simulator alone
            raise RuntimeError("a defect")


def test_a_change_that_fails_changes_nothing(o2: SimulatedO2, market: str, baseline: Baseline) -> None:
    with actors.start({"feeds": {"sim": {"venue": "o2", "url": "sim://o2?rate=0"}}}, wait=10) as runtime:
        simulator = runtime.simulator("sim")
        refusing = f"{__name__}:Refusing"
        for name in ("other", "sim"):
            with pytest.raises(RuntimeError, match="a defect"):
                runtime.add_feed(name, {"venue": refusing, "url": "sim://o2?rate=1"})
        assert runtime.simulator("sim") is simulator
        assert list(runtime.settings.feeds) == ["sim"]
        trades = runtime.subscribe("sim", "trades", market, wait=5.0)
        assert isinstance(simulator, SimulatedO2)
        simulator.trade(market)
        trades.get(timeout=5)
        assert epochs(runtime) == {"sim": 1}
    baseline.check()


# ── beside a reload ─────────────────────────────────────────────────────────────────────────────


def test_a_reload_keeps_what_was_added_and_says_so(runtime: Runtime, o2: SimulatedO2) -> None:
    runtime.add_feed("other", feed_at(o2.url))
    runtime.wait_live(timeout=10)
    kept = "feed other is kept: the program has added it, and remove_feed ends it"
    assert texts(runtime.reload(config(o2.url))) == [kept]
    plan = runtime.reload(config(o2.url, block_timeout=1.0))
    assert texts(plan) == ["feed o2 takes over block_timeout; sockets stay open", kept]
    assert plan.feeds("kept") == ("other",)
    assert epochs(runtime) == {"o2": 1, "other": 1}
    assert runtime.reload(runtime.settings).changes == ()
    runtime.remove_feed("other")
    assert runtime.reload(config(o2.url, block_timeout=1.0)).changes == ()


def test_where_the_config_has_the_feed_the_config_counts(runtime: Runtime, o2: SimulatedO2) -> None:
    runtime.add_feed("other", feed_at(o2.url, block_timeout=1.0))
    runtime.wait_live(timeout=10)
    both = config(o2.url)
    both["feeds"]["other"] = feed_at(o2.url)
    assert texts(runtime.reload(both, plan_only=True)) == [
        "feed other takes over block_timeout; sockets stay open",
        "feed other was added by the program, and is the config's from now on",
    ]
    runtime.reload(both)
    assert runtime.reload(both).changes == ()
    assert runtime.reload(config(o2.url)).feeds("removed") == ("other",)


def test_a_feed_that_the_program_has_removed_or_replaced_is_again_as_the_config_says(
    runtime: Runtime, o2: SimulatedO2
) -> None:
    runtime.remove_feed("o2")
    assert texts(runtime.reload(config(o2.url))) == ["feed o2 is added"]
    runtime.add_feed("o2", feed_at(o2.url, block_timeout=1.0))
    assert runtime.reload(config(o2.url)).feeds("adjusted") == ("o2",)
    runtime.wait_live(timeout=10)


# ── many threads ────────────────────────────────────────────────────────────────────────────────


def test_many_threads_add_remove_and_reload(o2: SimulatedO2, market: str, baseline: Baseline) -> None:
    """One owner of the feeds: each call sees those before it, and the last generation is what runs."""
    started = threading.Barrier(4)

    def work(number: int) -> None:
        name, table = f"own{number}", {"venue": "o2", "url": "sim://o2?rate=0"}
        started.wait(10)
        for each in range(5):
            runtime.add_feed(name, table)
            assert name in runtime.settings.feeds
            if number == 0:
                runtime.reload(config(o2.url, block_timeout=each + 1.0))
            stream = runtime.subscribe(name, "trades", market)
            runtime.remove_feed(name)
            assert stream.closed
            assert name not in runtime.settings.feeds
        runtime.add_feed(name, table)

    with runtime_on(o2) as runtime:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        names = {"o2", "own0", "own1", "own2", "own3"}
        assert runtime.settings.feeds.keys() == names
        assert runtime.settings.feeds["o2"].block_timeout == 5.0
        until(runtime, lambda status: status.feeds.keys() == names and status.state == "live")
        assert epochs(runtime)["o2"] == 1
        assert runtime._shared.specs is runtime._wanted.specs
    baseline.check()


def test_two_threads_that_remove_one_feed_are_both_told(runtime: Runtime, o2: SimulatedO2) -> None:
    for _ in range(5):
        runtime.add_feed("other", feed_at(o2.url))
        started = threading.Barrier(2)

        def remove(started: threading.Barrier) -> str:
            started.wait(10)
            try:
                return str(runtime.remove_feed("other").feeds("removed"))
            except LinewardenError as error:
                return str(error)

        with ThreadPoolExecutor(2) as pool:
            told = sorted(pool.map(remove, [started, started]))
        assert told[0] == "('other',)"
        assert "'other'" in told[1]


@pytest.fixture
def held_build(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A change of the feeds begins, and goes on when it is let."""
    begun, go_on, build = threading.Event(), threading.Event(), FeedBuilder.build

    def held(builder: FeedBuilder, *args: Any) -> Any:
        if args[1].generation:
            begun.set()
            assert go_on.wait(20)
        return build(builder, *args)

    monkeypatch.setattr(FeedBuilder, "build", held)
    yield begun, go_on
    go_on.set()


def test_a_runtime_that_is_stopped_while_a_feed_is_added_leaves_nothing_behind(
    o2: SimulatedO2, held_build: tuple[threading.Event, threading.Event], baseline: Baseline
) -> None:
    begun, go_on = held_build
    runtime = Runtime(load(config(o2.url)))
    with ThreadPoolExecutor() as pool:
        adding = pool.submit(runtime.add_feed, "sim", {"venue": "o2", "url": "sim://o2?rate=0"})
        assert begun.wait(10)
        stopping = pool.submit(runtime.stop)
        until(runtime, lambda status: status.state == "stopped")
        go_on.set()
        assert stopping.result(timeout=20) == ()
        with pytest.raises(RuntimeStopped):
            adding.result(timeout=20)
    with pytest.raises(RuntimeStopped):
        runtime.add_feed("sim", {"venue": "o2"})
    with pytest.raises(RuntimeStopped):
        runtime.remove_feed("o2")
    baseline.check()


@pytest.mark.parametrize("moment", ["stop", "start"])
def test_an_interrupt_while_a_simulator_starts_or_ends_leaves_none_behind(
    o2: SimulatedO2, baseline: Baseline, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    whole = getattr(SimulatedO2, moment)

    def interrupted(simulator: SimulatedO2) -> None:
        monkeypatch.setattr(SimulatedO2, moment, whole)
        if moment == "start":
            whole(simulator)
        raise KeyboardInterrupt

    with runtime_on(o2) as runtime:
        if moment == "stop":
            runtime.add_feed("sim", {"venue": "o2", "url": "sim://o2?rate=0"})
            former = runtime.simulator("sim")
        monkeypatch.setattr(SimulatedO2, moment, interrupted)
        add = partial(runtime.add_feed, "sim", {"venue": "o2", "url": "sim://o2?rate=0"})
        with pytest.raises(KeyboardInterrupt):
            partial(runtime.remove_feed, "sim")() if moment == "stop" else add()
        assert list(runtime.settings.feeds) == ["o2"]
        runtime.add_feed("next", {"venue": "o2", "url": "sim://o2?rate=0"})
        if moment == "stop":
            assert isinstance(former, SimulatedO2)
            assert not former.running
    baseline.check()


def test_a_signal_handler_that_adds_a_feed_while_its_thread_adds_another_adds_both(
    o2: SimulatedO2, market: str, baseline: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = FeedBuilder.build
    with runtime_on(o2) as runtime:
        streams: list[Any] = []

        def interrupted(builder: FeedBuilder, *args: Any) -> Any:
            built = build(builder, *args)
            if not streams:
                monkeypatch.setattr(FeedBuilder, "build", build)
                runtime.add_feed("inner", feed_at(o2.url))
                streams.append(runtime.subscribe("inner", "trades", market))
            return built

        monkeypatch.setattr(FeedBuilder, "build", interrupted)
        assert texts(runtime.add_feed("sim", {"venue": "o2", "url": "sim://o2?rate=0"})) == [
            "feed sim is added"
        ]
        assert list(runtime.settings.feeds) == ["o2", "inner", "sim"]
        assert not streams[0].closed
        until(runtime, lambda status: len(status.feeds) == 3 and status.state == "live")
        runtime.simulator("sim")
    baseline.check()


def test_a_signal_handler_that_stops_the_runtime_while_its_thread_adds_a_feed_leaves_nothing_behind(
    o2: SimulatedO2, baseline: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, build = Runtime(load(config(o2.url))), FeedBuilder.build

    def interrupted(builder: FeedBuilder, *args: Any) -> Any:
        runtime.stop()
        return build(builder, *args)

    monkeypatch.setattr(FeedBuilder, "build", interrupted)
    with pytest.raises(RuntimeStopped):
        runtime.add_feed("sim", {"venue": "o2", "url": "sim://o2?rate=0"})
    assert list(runtime.settings.feeds) == ["o2"]
    baseline.check()
