"""A venue with a socket for each stream: lines come as topics come, and go as they go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import pykka
import pytest

import actors
from actors import Gap, Lifecycle, LinewardenError, RotationFailed, Runtime, SubscribeError
from actors.connection import Connection
from actors.reasons import Reason
from actors.registry import Registry
from actors.simulators import SimulatedTplus
from actors.status import Status
from actors.venues import tplus as venue
from tests.conftest import Baseline
from tests.login.test_connector import SEED
from tests.stories.test_killed_actors import after, kill
from tests.stories.test_tplus import config, runtime_on, states
from tests.support.counters import settle
from tests.support.runtimes import until

ASSETS = tuple(map(str, range(100, 112)))


@pytest.fixture
def tplus() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0, market=False) as simulator:
        yield simulator


@pytest.fixture
def runtime(tplus: SimulatedTplus) -> Iterator[Runtime]:
    with runtime_on(tplus) as runtime:
        yield runtime


def tickers(*assets: str) -> dict[str, Any]:
    """The key of a feed that wants the tickers of these assets."""
    return {"subscribe": [{"channel": "ticker", "keys": list(assets)}]}


def line(asset: str) -> str:
    return f"tplus/ticker-{asset}"


def just(*assets: str) -> Callable[[Status], bool]:
    """There are the lines of these tickers and no others; all are live."""
    return lambda status: states(status) == dict.fromkeys(map(line, assets), "live")


def lives(runtime: Runtime) -> dict[str, int]:
    return {name: each.epoch for name, each in runtime.status().lines().items()}


def refusal_of(call: Callable[[], object]) -> SubscribeError:
    with pytest.raises(SubscribeError) as refused:
        call()
    assert [state.state for state in refused.value.results.values()].count("rejected") == 1
    return refused.value  # it holds the stream, which is open all the same


# ── as topics come and go ───────────────────────────────────────────────────────────────────────


def test_a_feed_without_topics_has_no_line_and_is_live(runtime: Runtime, tplus: SimulatedTplus) -> None:
    assert states(runtime.status()) == {}
    runtime.wait_live("tplus", timeout=1)
    assert tplus.lives == 0
    assert runtime.supervisor.restart("tplus").get(timeout=5) == "accepted"


def test_lines_come_and_go_with_the_keys_of_a_stream(
    runtime: Runtime, tplus: SimulatedTplus, baseline: Baseline
) -> None:
    one, two, three = ASSETS[:3]
    stream = runtime.subscribe("tplus", venue.TICKER, one, two, wait=5.0)
    until(runtime, just(one, two))
    stream.add(three, wait=5.0)
    until(runtime, just(one, two, three))
    tplus.tickers(one, two, three)
    assert {stream.get(timeout=5).asset_id for _ in range(3)} == {one, two, three}

    stream.remove(one)
    until(runtime, just(two, three))
    tplus.wait_for(lambda: tplus.connections == 2)
    tplus.tickers(one, two, three)
    assert {stream.get(timeout=5).asset_id for _ in range(2)} == {two, three}
    assert (stream.gap_count, stream.queued) == (0, 0)

    stream.close()
    until(runtime, lambda status: status.lines() == {} and status.streams == ())
    tplus.wait_for(lambda: tplus.connections == 0)
    settle(runtime)
    baseline.check()


def test_a_line_is_shared_by_all_who_want_its_topic_and_goes_with_the_last(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    one, two = ASSETS[:2]
    streams = [runtime.subscribe("tplus", venue.TICKER, one, two, wait=5.0) for _ in range(3)]
    assert tplus.lives == 2
    for stream in streams[:2]:
        stream.close()
    tplus.ticker(one)
    assert streams[2].get(timeout=5).asset_id == one
    assert lives(runtime) == {line(one): 1, line(two): 1}
    streams[2].close()
    until(runtime, lambda status: status.lines() == {})


def test_a_stream_that_leaves_and_comes_back_at_once_has_its_line(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    one, two = ASSETS[:2]
    stream = runtime.subscribe("tplus", venue.TICKER, one, two, wait=5.0)
    for _ in range(20):
        stream.remove(one)
        stream.add(one)
    stream.add(one, wait=10.0)
    until(runtime, just(one, two))
    tplus.wait_for(lambda: tplus.connections == 2)
    tplus.wait_for(lambda: tplus.subscribers(f"/ticker/ws/{one}") == 1)
    tplus.ticker(one)
    tplus.ticker(two)
    assert {stream.get(timeout=5).asset_id for _ in range(2)} == {one, two}
    assert lives(runtime)[line(two)] == 1
    settle(runtime)


def test_streams_that_come_and_go_on_many_threads_leave_just_what_is_wanted(
    runtime: Runtime, tplus: SimulatedTplus, baseline: Baseline
) -> None:
    stays = runtime.subscribe("tplus", venue.TICKER, ASSETS[0], wait=5.0)

    def come_and_go() -> None:
        for _ in range(4):
            with runtime.subscribe("tplus", venue.TICKER, *ASSETS[:4]) as stream:
                stream.remove(ASSETS[1])
                stream.add(ASSETS[1])

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    until(runtime, just(ASSETS[0]))
    tplus.wait_for(lambda: tplus.connections == 1)
    tplus.ticker(ASSETS[0])
    assert stays.get(timeout=5).asset_id == ASSETS[0]
    assert lives(runtime) == {line(ASSETS[0]): 1}
    assert stays.gap_count == 0
    stays.close()
    until(runtime, lambda status: status.lines() == {})
    baseline.check()


def test_live_means_every_line_of_the_config_from_the_first_moment(tplus: SimulatedTplus) -> None:
    tplus.delay_ack(0.2)
    with runtime_on(tplus, **tickers(*ASSETS)) as runtime:
        assert states(runtime.status()) == dict.fromkeys(map(line, ASSETS), "live")
        assert all(tplus.subscribers(f"/ticker/ws/{asset}") == 1 for asset in ASSETS)


def test_one_line_that_is_down_keeps_the_feed_from_being_live(tplus: SimulatedTplus) -> None:
    tplus.refuse(n=1)
    with actors.start(
        config(tplus, restart={"initial": 60.0, "maximum": 60.0}, **tickers(*ASSETS[:3]))
    ) as runtime:
        with pytest.raises(actors.NotLiveError, match=r"tplus/ticker-1.*503") as error:
            runtime.wait_live("tplus", timeout=1.0)
        assert len(error.value.reasons) == 1
        status = runtime.status()
        assert sorted(states(status).values()) == ["backoff", "live", "live"]
        assert not status.feeds["tplus"].live


# ── a rotation of all lines, while one is closing ──────────────────────────────────────────────────


@contextmanager
def slow_to_close(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The connections of this line do not close until the block is left."""
    may_close, close = threading.Event(), Connection._close

    def close_late(connection: Connection, code: int, reason: Reason) -> None:
        assert connection._line != name or may_close.wait(20.0)
        close(connection, code, reason)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_close", close_late)
        try:
            yield
        finally:
            may_close.set()


def test_a_rotation_of_a_feed_leaves_out_a_line_that_is_closing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = ASSETS[:2]
    closing, _other = (runtime.subscribe("tplus", venue.TICKER, each, wait=5.0) for each in (one, two))
    with slow_to_close(line(one), monkeypatch):
        closing.close()
        until(runtime, lambda status: states(status)[line(one)] == "stopped")
        runtime.rotate("tplus", timeout=20.0)
        assert lives(runtime) == {line(one): 1, line(two): 2}
        with pytest.raises(RotationFailed, match="it is stopped"):
            runtime.rotate(line(one), timeout=20.0)
    until(runtime, just(two))


def test_a_line_that_is_closing_does_not_keep_a_feed_from_a_new_token(
    tplus: SimulatedTplus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runtime_on(tplus, private_key=SEED) as runtime:
        closing, _other = (runtime.subscribe("tplus", each, wait=5.0) for each in ("user_trades", "orders"))
        with slow_to_close("tplus/user-trades", monkeypatch):
            closing.close()
            until(runtime, lambda status: states(status)["tplus/user-trades"] == "stopped")
            runtime.refresh_token("tplus", timeout=20.0)
            assert lives(runtime) == {"tplus/user-trades": 1, "tplus/orders": 2}


def test_a_line_that_closes_amid_the_rotation_of_its_feed_does_not_fail_it(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    one, two = ASSETS[:2]
    closing, _other = (runtime.subscribe("tplus", venue.TICKER, each, wait=5.0) for each in (one, two))
    tplus.deaf(new=True)  # the new connections wait
    with ThreadPoolExecutor(1) as pool:
        rotation = pool.submit(runtime.rotate, "tplus", 20.0)
        tplus.wait_for(lambda: len(tplus._peers) == 4)
        closing.close()
        until(runtime, lambda status: states(status).get(line(one), "stopped") == "stopped")
        tplus.heal()
        assert rotation.result(timeout=20.0) is None
    until(runtime, just(two))
    assert lives(runtime) == {line(two): 2}


# ── no more than may be ─────────────────────────────────────────────────────────────────────────


def test_a_topic_beyond_the_limit_is_refused_with_a_sentence_and_gets_the_next_line(
    tplus: SimulatedTplus,
) -> None:
    one, two, three, four = ASSETS[:4]
    with runtime_on(tplus, max_lines=2) as runtime:
        first = runtime.subscribe("tplus", venue.TICKER, one, two, wait=5.0)
        refused = refusal_of(lambda: runtime.subscribe("tplus", venue.TICKER, three, wait=5.0))
        said = str(refused)
        assert f"tplus/ticker/{three}: rejected (tplus has its 2 lines" in said
        assert "raise max_lines of the feed, or give up another topic" in said
        waiting = runtime.subscribe("tplus", venue.TICKER, two, four)
        until(runtime, just(one, two))
        runtime.wait_live(timeout=5)
        assert tplus.lives == 2

        first.remove(one)  # who was refused first gets it
        until(runtime, just(two, three))
        first.close()
        until(runtime, just(two, three))  # somebody else wants the other
        tplus.tickers(*ASSETS[:4])
        assert waiting.get(timeout=5).asset_id == two
        assert [state.state for state in waiting.topics.values()] == ["confirmed", "rejected"]


def test_a_refused_topic_that_is_given_up_waits_for_no_line(tplus: SimulatedTplus) -> None:
    one, two, three = ASSETS[:3]
    with runtime_on(tplus, max_lines=1, **tickers(one)) as runtime:
        given_up = runtime.subscribe("tplus", venue.TICKER, two)
        _stream = runtime.subscribe("tplus", venue.TICKER, three)
        given_up.close()
        runtime.reload(config(tplus, max_lines=1))
        until(runtime, just(three))


def test_what_the_config_wants_beyond_the_limit_is_refused_and_the_rest_is_live(
    tplus: SimulatedTplus,
) -> None:
    with runtime_on(tplus, max_lines=2, **tickers(*ASSETS[:3])) as runtime:
        until(runtime, just(*ASSETS[:2]))
        said = str(refusal_of(lambda: runtime.subscribe("tplus", venue.TICKER, ASSETS[2], wait=5.0)))
        assert "max_lines" in said


def test_a_raised_limit_gives_the_refused_topics_their_lines(tplus: SimulatedTplus) -> None:
    one, two, three = ASSETS[:3]
    with runtime_on(tplus, max_lines=1, **tickers(one)) as runtime:
        waiting = runtime.subscribe("tplus", venue.TICKER, two, three)
        until(runtime, just(one))
        runtime.reload(config(tplus, max_lines=3, **tickers(one)))
        until(runtime, just(one, two, three))
        tplus.ticker(three)
        assert waiting.get(timeout=5).asset_id == three


def test_a_registry_that_dies_remembers_who_was_refused(tplus: SimulatedTplus) -> None:
    one, two = ASSETS[:2]
    with runtime_on(tplus, max_lines=1) as runtime:
        first = runtime.subscribe("tplus", venue.TICKER, one, wait=5.0)
        second = runtime.subscribe("tplus", venue.TICKER, two)
        kill(Registry)
        until(runtime, after("registry", 1))
        assert [state.state for state in second.topics.values()] == ["rejected"]
        first.close()
        until(runtime, just(two))


# ── all lines of a feed, and one of them ────────────────────────────────────────────────────────


def test_a_feed_is_paused_and_resumed_with_all_its_lines(runtime: Runtime, tplus: SimulatedTplus) -> None:
    assets = ASSETS[:4]
    stream = runtime.subscribe("tplus", venue.TICKER, *assets, wait=5.0)
    runtime.supervisor.pause("tplus").get(timeout=5)
    tplus.wait_for(lambda: tplus.connections == 0)
    assert set(states(runtime.status()).values()) == {"paused"}
    runtime.supervisor.resume("tplus").get(timeout=5)
    until(runtime, just(*assets))
    tplus.tickers(*assets)
    heard: set[str] = set()
    told: list[Any] = []
    for each in stream.with_markers():
        told.append(each)
        if isinstance(each, venue.Ticker):
            heard.add(each.asset_id)
        if heard == set(assets):
            break
    gaps = [each.topic.key for each in told if isinstance(each, Gap)]
    assert sorted(gaps) == sorted(assets)  # one for each, for each was lost
    words = [(each.line, each.state) for each in told if isinstance(each, Lifecycle)]
    for asset in assets:
        mine = [state for name, state in words if name == line(asset)]
        assert mine == ["connecting", "connected", "disconnected", "paused", "connecting", "restored"]
    settle(runtime)


def test_a_topic_that_comes_while_the_feed_is_paused_has_a_line_all_the_same(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    one, two = ASSETS[:2]
    _stream = runtime.subscribe("tplus", venue.TICKER, one, wait=5.0)
    runtime.supervisor.pause("tplus").get(timeout=5)
    stream = runtime.subscribe("tplus", venue.TICKER, two, wait=5.0)
    tplus.ticker(two)
    assert stream.get(timeout=5).asset_id == two
    assert states(runtime.status()) == {line(one): "paused", line(two): "live"}


def test_a_restart_of_one_line_leaves_the_others_alone(runtime: Runtime, tplus: SimulatedTplus) -> None:
    one, two, three = ASSETS[:3]
    stream = runtime.subscribe("tplus", venue.TICKER, one, two, three, wait=5.0)
    runtime.supervisor.restart(line(two)).get(timeout=5)
    until(runtime, lambda status: status.lines()[line(two)].epoch == 2)
    until(runtime, just(one, two, three))
    tplus.ticker(two)
    told = list(takewhile(lambda each: not isinstance(each, venue.Ticker), stream.with_markers()))
    words = [(each.line, each.state) for each in told if isinstance(each, Lifecycle)]
    begun = ["connecting", "connected"]
    for each in (one, three):
        assert [state for name, state in words if name == line(each)] == begun
    assert [state for name, state in words if name == line(two)] == [*begun, "disconnected", "restored"]
    assert [each.topic.key for each in told if isinstance(each, Gap)] == [two]
    runtime.supervisor.restart("tplus").get(timeout=5)
    until(runtime, lambda status: just(one, two, three)(status) and set(lives(runtime).values()) == {2, 3})
    assert lives(runtime) == {line(one): 2, line(two): 3, line(three): 2}
    with pytest.raises(LinewardenError, match=f"did you mean '{line(one)}'"):
        runtime.supervisor.restart(f"tplus/tickr-{one}").get(timeout=5)


def test_a_reload_that_adds_and_removes_topics_keeps_the_other_sockets(
    tplus: SimulatedTplus, baseline: Baseline
) -> None:
    one, two, three, four = ASSETS[:4]
    with runtime_on(tplus, **tickers(one, two)) as runtime:
        plan = runtime.reload(config(tplus, **tickers(two, three, four)))
        assert [change.text for change in plan.changes] == [
            "feed tplus wants 2 more and 1 fewer topics; sockets stay open"
        ]
        until(runtime, just(two, three, four))
        tplus.wait_for(lambda: tplus.connections == 3)
        assert tplus.lives == 4
        runtime.reload(config(tplus, **tickers(one, two)))
        until(runtime, just(one, two))
        assert lives(runtime) == {line(one): 2, line(two): 1}  # no epoch is used twice
        tplus.wait_for(lambda: tplus.connections == 2)
        assert tplus.lives == 5
    tplus.stop()
    baseline.check()


def test_a_feed_of_many_lines_leaves_with_all_of_them_and_comes_back(tplus: SimulatedTplus) -> None:
    with runtime_on(tplus, **tickers(*ASSETS[:3])) as runtime:
        other = config(tplus, **tickers(*ASSETS[:3]))
        other["feeds"]["elsewhere"] = other["feeds"].pop("tplus")
        runtime.reload(other)
        until(runtime, lambda status: {name.partition("/")[0] for name in status.lines()} == {"elsewhere"})
        runtime.wait_live(timeout=10)
        tplus.wait_for(lambda: tplus.connections == 3)
        runtime.reload(config(tplus, **tickers(*ASSETS[:3])))
        until(runtime, just(*ASSETS[:3]))
        assert set(lives(runtime).values()) == {2}


def test_twenty_lines_come_back_after_an_outage_and_nothing_is_left_of_them_at_the_end(
    tplus: SimulatedTplus, baseline: Baseline
) -> None:
    assets = tuple(map(str, range(300, 320)))
    with runtime_on(tplus, **tickers(*assets)) as runtime:
        tplus.stop()
        until(runtime, lambda status: set(states(status).values()) == {"backoff"})
        tplus.start()
        until(runtime, just(*assets))
        tplus.flap(n=10)
        tplus.close(1001)
        until(
            runtime,
            lambda status: just(*assets)(status) and all(epoch > 1 for epoch in lives(runtime).values()),
        )
        assert runtime.stop() == ()
        assert not pykka.ActorRegistry.get_all()
    tplus.stop()
    baseline.check()


# ── sending to one of them ──────────────────────────────────────────────────────────────────────


def test_a_message_of_ones_own_goes_to_the_line_that_was_named(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    one, two = ASSETS[:2]
    with pytest.raises(LinewardenError, match=r"has the lines \(none yet\): name one with line="):
        runtime.send("tplus", "too early")
    _stream = runtime.subscribe("tplus", venue.TICKER, one, wait=5.0)
    runtime.send("tplus", {"type": "ping"})  # there is but one
    tplus.wait_for(lambda: tplus.heard == [{"type": "ping"}])
    _stream2 = runtime.subscribe("tplus", venue.TICKER, two, wait=5.0)
    runtime.send("tplus", "for the second", line=line(two))
    tplus.wait_heard("for the second")
    with pytest.raises(LinewardenError, match=f"has the lines {line(one)}, {line(two)}: name one with line="):
        runtime.send("tplus", "to whom?")
    with pytest.raises(LinewardenError, match="there is no 'tplus/nowhere'"):
        runtime.send("tplus", "lost", line="tplus/nowhere")
    runtime.supervisor.pause(line(two)).get(timeout=5)
    tplus.wait_for(lambda: tplus.connections == 1)
    with pytest.raises(LinewardenError, match=f"{line(two)}: nothing was sent: it is not connected"):
        runtime.send("tplus", "lost", line=line(two))
    assert tplus.heard == [{"type": "ping"}, "for the second"]


# ── what the config wants comes first ───────────────────────────────────────────────────────────


def test_who_subscribes_at_once_takes_no_line_from_the_config(tplus: SimulatedTplus) -> None:
    wanted = {"subscribe": [{"channel": "tickers"}]}
    for _ in range(10):
        with actors.start(config(tplus, max_lines=1, **wanted)) as runtime:
            runtime.subscribe("tplus", "trades")
            runtime.wait_live(timeout=10.0)
            assert states(runtime.status()) == {"tplus/tickers": "live"}


def test_live_after_a_reload_means_the_lines_of_the_new_config(tplus: SimulatedTplus) -> None:
    one, two = ASSETS[:2]
    with actors.start(config(tplus, **tickers(one)), wait=10.0) as runtime:
        for _ in range(5):
            runtime.reload(config(tplus, **tickers(one, two)))
            runtime.wait_live(timeout=10.0)
            assert just(one, two)(runtime.status())
            runtime.reload(config(tplus, **tickers(one)))
            until(runtime, just(one))


def test_a_topic_that_no_line_can_take_is_shown_and_logged_once(
    tplus: SimulatedTplus, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = ASSETS[:2]
    with actors.start(config(tplus, max_lines=1, **tickers(one, two)), wait=10.0) as runtime:
        refused = runtime.status().feeds["tplus"].refused
        assert list(refused) == [f"tplus/ticker/{two}"]
        assert "max_lines" in refused[f"tplus/ticker/{two}"]
        told = [record for record in caplog.records if record.name == "actors.registry"]
        assert len(told) == 1
