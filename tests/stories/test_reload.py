"""A changed config is taken over while the feeds that did not change keep their sockets."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import actors
from actors import Closed, ConfigError, LinewardenError, Runtime, StreamClosed
from actors.delivery.inlet import Inlet
from actors.feed_spec import Specs
from actors.registry import Registry
from actors.settings import load
from actors.settings.diff import compare
from actors.simulators import SimulatedO2
from actors.supervision.state import WORKERS
from actors.supervisor import Supervisor
from tests.support.runtimes import at_epoch, config, until


def two_feeds(o2: SimulatedO2, **changes: Any) -> dict[str, Any]:
    """Feeds `o2` and `other` on one venue; `changes` go into the table of `other`."""
    both = config(o2.url)
    both["feeds"]["other"] = config(o2.url)["feeds"]["o2"] | changes
    return both


def epochs(runtime: Runtime) -> dict[str, int]:
    return {name: line.epoch for name, line in runtime.status().lines().items()}


def test_nothing_changed(o2: SimulatedO2) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        runtime.wait_live(timeout=10)
        assert runtime.reload(two_feeds(o2)).changes == ()
        assert epochs(runtime) == {"o2": 1, "other": 1}


def test_a_topic_more_keeps_every_socket(o2: SimulatedO2, market: str) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        runtime.wait_live(timeout=10)
        wanted = two_feeds(o2, subscribe=[{"channel": "trades", "keys": [market]}])
        plan = runtime.reload(wanted)
        assert [change.text for change in plan.changes] == [
            "feed other wants 1 more and 0 fewer topics; sockets stay open"
        ]
        o2.wait_heard("subscribe_trades")
        runtime.reload(two_feeds(o2))
        o2.wait_heard("unsubscribe_trades")
        assert epochs(runtime) == {"o2": 1, "other": 1}


def test_a_plan_changes_nothing(o2: SimulatedO2) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        runtime.wait_live(timeout=10)
        plan = runtime.reload(config(o2.url), plan_only=True)
        assert plan.feeds("removed") == ("other",)
        assert epochs(runtime) == {"o2": 1, "other": 1}


def test_mistakes_change_nothing(o2: SimulatedO2) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        runtime.wait_live(timeout=10)
        with pytest.raises(ConfigError, match="chanel"):
            runtime.reload(two_feeds(o2, subscribe=[{"chanel": "trades"}]))
        assert epochs(runtime) == {"o2": 1, "other": 1}


def test_a_feed_is_removed_and_comes_back(o2: SimulatedO2, market: str) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        runtime.wait_live(timeout=10)
        stays = runtime.subscribe("o2", "trades", market, wait=5.0)
        goes = runtime.subscribe("other", "trades", market, wait=5.0)
        runtime.reload(config(o2.url))
        assert isinstance(list(goes.with_markers())[-1], Closed)
        with pytest.raises(StreamClosed, match="removed"):
            goes.get()
        with pytest.raises(LinewardenError, match="no feed 'other'"):
            runtime.subscribe("other", "trades", market)
        until(runtime, lambda status: list(status.lines()) == ["o2"])
        runtime.reload(two_feeds(o2))
        runtime.wait_live(timeout=10)
        assert epochs(runtime) == {"o2": 1, "other": 2}  # no epoch is used twice
        o2.trade(market)
        stays.get(timeout=5)


def test_another_address_reconnects_that_feed_alone(o2: SimulatedO2, market: str) -> None:
    with SimulatedO2(rate=0) as elsewhere, Runtime(load(two_feeds(o2))) as runtime:
        runtime.wait_live(timeout=10)
        trades = runtime.subscribe("other", "trades", market, wait=5.0)
        plan = runtime.reload(two_feeds(o2, url=elsewhere.url))
        assert plan.feeds("reconnected") == ("other",)
        until(runtime, at_epoch(2, "other"))
        runtime.wait_live(timeout=10)
        elsewhere.wait_heard("subscribe_trades")
        elsewhere.trade(market)
        trades.get(timeout=5)
        assert epochs(runtime)["o2"] == 1


def test_another_law_is_taken_over_under_a_live_line(o2: SimulatedO2) -> None:
    young = {"stable_after": 60.0}  # no life is called healthy here: its first retry would come sooner
    with Runtime(load(two_feeds(o2, restart=young))) as runtime:
        runtime.wait_live(timeout=10)
        patient = young | {"initial": 30.0, "maximum": 60.0}
        plan = runtime.reload(two_feeds(o2, restart=patient, heartbeat={"ping_interval": 0.05}))
        assert plan.feeds("adjusted") == ("other",)
        pings = o2.pings
        o2.wait_for(lambda: o2.pings >= pings + 5)
        assert epochs(runtime) == {"o2": 1, "other": 1}
        o2.drop()
        waiting = until(runtime, lambda status: status.lines()["other"].state == "backoff")
        assert (waiting.lines()["other"].next_attempt_s or 0) > 10


def test_how_long_a_full_stream_may_hold_a_live_line_is_taken_over(o2: SimulatedO2, market: str) -> None:
    with Runtime(load(two_feeds(o2, block_timeout=1000.0))) as runtime:
        slow = runtime.subscribe("other", "trades", market, wait=10.0, policy="block", capacity=10)
        o2.number_trades(market, 10)
        until(runtime, lambda status: status.lines()["other"].paused_by_streams == (slow.id,))
        assert runtime.reload(two_feeds(o2, block_timeout=0.2)).feeds("adjusted") == ("other",)
        until(runtime, lambda status: status.lines()["other"].paused_by_streams == ())
        assert epochs(runtime) == {"o2": 1, "other": 1}


def test_a_line_that_a_full_stream_holds_misses_no_pong_after_a_reload(o2: SimulatedO2, market: str) -> None:
    beats = {"heartbeat": {"ping_interval": 0.05, "pong_timeout": 0.05}}
    former, present = (two_feeds(o2, block_timeout=1000.0, **changes) for changes in ({}, beats))
    present["feeds"]["o2"] |= beats
    with Runtime(load(former)) as runtime:
        slow = runtime.subscribe("other", "trades", market, wait=10.0, policy="block", capacity=10)
        o2.number_trades(market, 10)
        until(runtime, lambda status: status.lines()["other"].paused_by_streams == (slow.id,))
        runtime.reload(present)
        pings = o2.pings
        o2.wait_for(lambda: o2.pings >= pings + 10)
        assert runtime.status().lines()["other"].health.inputs.missed_pongs == 0
        assert len(slow.get_many(10, timeout=5.0)) == 10  # it is read again, and its beat goes on
        until(runtime, lambda status: status.lines()["other"].rtt_ms is not None)


def test_how_long_an_answer_may_take_is_taken_over_under_a_live_line(o2: SimulatedO2, market: str) -> None:
    with Runtime(load(two_feeds(o2, ack_timeout=1000.0))) as runtime:
        runtime.wait_live("other", timeout=10.0)
        runtime.reload(two_feeds(o2, ack_timeout=0.2))
        o2.lose_ack()
        trades = runtime.subscribe("other", "trades", market, wait=10.0)
        assert [state.assumed for state in trades.topics.values()] == [True]
        assert epochs(runtime) == {"o2": 1, "other": 1}


def test_a_live_line_is_rotated_as_often_as_another_config_wants(o2: SimulatedO2) -> None:
    with Runtime(load(two_feeds(o2))) as runtime:
        runtime.wait_live(timeout=10.0)
        assert runtime.reload(two_feeds(o2, rotate_every=0.2)).feeds("adjusted") == ("other",)
        until(runtime, lambda status: status.lines()["other"].rotations >= 2)
        runtime.reload(two_feeds(o2))
        assert runtime.status().lines()["other"].counters.restarts == 0


def test_what_needs_a_new_start_says_so(o2: SimulatedO2) -> None:
    old, new = load(config(o2.url)), load(config(o2.url, runtime={"name": "desk"}))
    (change,) = compare(old, new).changes
    assert change.kind == "next start"


def test_reloads_from_many_threads_end_as_the_last_one_said(o2: SimulatedO2) -> None:
    """Runtime and supervisor agree, whatever the order in which the threads came."""
    configs = [two_feeds(o2), config(o2.url), two_feeds(o2, heartbeat={"ping_interval": 0.05})]
    with actors.start(two_feeds(o2), wait=10.0) as runtime:
        failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

        def reload(first: int) -> None:
            try:
                for number in range(12):
                    runtime.reload(configs[(first + number) % 3])
            except BaseException as error:
                failures.put(error)
                raise

        threads = [threading.Thread(target=reload, args=(first,)) for first in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures.empty()
        status = runtime.status()
        assert set(status.feeds) == set(runtime.settings.feeds)
        runtime.reload(two_feeds(o2))
        runtime.wait_live(timeout=10.0)
        assert set(runtime.status().feeds) == {"o2", "other"}


def test_a_reload_that_was_not_waited_for_is_carried_out_all_the_same(
    o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    with actors.start(two_feeds(o2), wait=10.0) as runtime:
        opened = threading.Event()
        reload = Supervisor._reload

        def slow(supervisor: Supervisor, specs: Specs) -> None:
            assert opened.wait(30)
            reload(supervisor, specs)

        monkeypatch.setattr(Supervisor, "_reload", slow)
        monkeypatch.setattr("actors.feeds.feed_calls.CALL", 0.0)
        with pytest.raises(actors.Timeout, match="the reload is not done within 0 s; it goes on"):
            runtime.reload(config(o2.url))
        monkeypatch.undo()
        opened.set()
        until(runtime, lambda status: set(status.feeds) == set(runtime.settings.feeds) == {"o2"})


def test_a_topic_on_its_way_when_its_feed_gets_another_venue_ends_no_actor(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with actors.start(config(o2.url), wait=10.0) as runtime:
        arrived, reloaded = threading.Event(), threading.Event()
        want = Registry._want

        def late(registry: Registry, stream: int, *args: Any) -> None:
            if stream:  # 0 is the config
                arrived.set()
                assert reloaded.wait(30)
            want(registry, stream, *args)

        monkeypatch.setattr(Registry, "_want", late)
        opened = ThreadPoolExecutor(1).submit(runtime.subscribe, "o2", "depth_view", market)
        assert arrived.wait(30)
        runtime.reload(config(o2.url, venue="coinbase"))
        reloaded.set()
        stream = opened.result(30)
        with pytest.raises(StreamClosed, match="was removed"):
            stream.get(timeout=10)
        runtime.wait_live("o2", timeout=10)
        status = until(runtime, lambda status: not status.feeds["o2"].refused)
        assert all(actor.incarnation == 1 for actor in status.actors if actor.id in WORKERS)


def test_a_stream_that_is_opened_across_a_reload_is_not_left_on_another_venue(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with actors.start(config(o2.url), wait=10.0) as runtime:

        def inlet(*args: Any, **kwargs: Any) -> Inlet:
            monkeypatch.undo()
            runtime.reload(config(o2.url, venue="coinbase"))  # it closes the streams that there are
            return Inlet(*args, **kwargs)

        monkeypatch.setattr("actors.streams.Inlet", inlet)
        with pytest.raises(StreamClosed, match="feed o2 was removed from the config"):
            runtime.subscribe("o2", "trades", market)
        runtime.wait_live("o2", timeout=10)
        assert runtime.status().streams == ()
        assert runtime.status().lines()["o2"].topics == ()


def test_a_simulator_whose_port_is_taken_is_a_mistake_of_the_config() -> None:
    """Threads that had started by then are stopped."""
    with SimulatedO2(rate=0) as other:
        feeds = {
            "a": {"venue": "o2", "url": "sim://o2?rate=0"},
            "b": {"venue": "o2", "url": f"sim://o2?port={other.port}"},
        }
        before = set(threading.enumerate())
        with pytest.raises(ConfigError) as raised:
            actors.start({"feeds": feeds})
        assert set(threading.enumerate()) <= before
    [problem] = raised.value.problems
    place = f"<config>: [feeds.b] url: port {other.port}: "
    assert problem.startswith(place)
    assert problem.endswith("; choose another port.")
