"""What a review found by racing: each of these was wrong once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from actors import Gap, Lifecycle, LinewardenError, Runtime, RuntimeStopped, StreamClosed
from actors.dispatcher import Dispatcher
from actors.messages import TopicsRestored
from actors.settings import load
from actors.simulators import SimulatedO2
from tests.support.runtimes import at_epoch, config, runtime_on, until


def test_the_venue_s_reason_outweighs_its_close_frame(o2: SimulatedO2) -> None:
    with runtime_on(o2) as runtime:
        o2.error(1004, "not from here")
        o2.close(1008)
        failed = until(runtime, lambda status: status.lines()["o2"].state == "failed")
        reason = failed.lines()["o2"].reason
        assert reason is not None
        assert (reason.kind, reason.code) == ("fatal", "o2_1004")


def test_a_pause_of_one_life_does_not_reach_the_next(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
    o2.number_trades(market, 20)
    until(runtime, lambda status: status.lines()["o2"].paused_by_streams == (trades.id,))
    runtime.supervisor.restart("o2").get(timeout=5)
    until(runtime, at_epoch(2))
    runtime.wait_live(timeout=10)
    o2.trade(market, trade_id="last")
    while trades.get(timeout=5).trade_id != "last":
        pass  # what came before the restart
    until(runtime, lambda status: status.lines()["o2"].paused_by_streams == ())


def test_a_feed_is_removed_while_others_subscribe_to_it(o2: SimulatedO2, market: str) -> None:
    both = config(o2.url)
    both["feeds"]["other"] = config(o2.url)["feeds"]["o2"]
    with Runtime(load(both)) as runtime:
        runtime.wait_live(timeout=10)
        done = threading.Event()

        def subscribe() -> None:
            while not done.is_set():
                try:
                    runtime.subscribe("other", "trades", market).close()
                except LinewardenError:
                    continue

        threads = [threading.Thread(target=subscribe) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            runtime.reload(config(o2.url))
            runtime.reload(both)
        done.set()
        for thread in threads:
            thread.join()
        runtime.wait_live(timeout=10)


def test_a_thread_that_waits_for_a_line_is_told_of_the_end(o2: SimulatedO2) -> None:
    o2.refuse(status=503, n=1_000)
    runtime = Runtime(load(config(o2.url)))
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            runtime.wait_live()
        except RuntimeStopped as error:
            ended.append(error)

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    runtime.stop()
    for thread in threads:
        thread.join(10)
    assert len(ended) == 4


def test_a_closed_stream_takes_no_more_keys(runtime: Runtime, o2: SimulatedO2) -> None:
    trades = runtime.subscribe("o2", "trades", o2.markets[0], wait=5.0)
    trades.close()
    with pytest.raises(StreamClosed):
        trades.add(o2.markets[1])
    until(runtime, lambda status: status.lines()["o2"].topics == ())


def test_a_key_that_is_added_while_its_stream_closes_leaves_no_subscription(
    runtime: Runtime, o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread closes it when `add` has just seen it open: the dispatcher hears of that first."""
    first, second = o2.markets[:2]
    trades = runtime.subscribe("o2", "trades", first, wait=5.0)
    set_topics = trades._inlet.set_topics

    def close_first(count: int) -> None:
        trades.close()
        set_topics(count)

    monkeypatch.setattr(trades._inlet, "set_topics", close_first)
    with pytest.raises(StreamClosed):
        trades.add(second)
    runtime.subscribe("o2", "trades", first, wait=5.0).close()  # what was asked before has been dealt with
    until(runtime, lambda status: status.lines()["o2"].topics == ())


def test_a_report_that_a_keeper_died_of_is_not_lost(
    runtime: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    receive = Dispatcher.on_receive

    def fail_once(self: Dispatcher, message: Any) -> None:
        if isinstance(message, TopicsRestored):
            monkeypatch.setattr(Dispatcher, "on_receive", receive)
            raise ZeroDivisionError("on purpose")
        receive(self, message)

    monkeypatch.setattr(Dispatcher, "on_receive", fail_once)
    o2.drop()
    items = trades.with_markers()
    states = []
    while "restored" not in states:
        item = next(items)
        states += [item.state] if isinstance(item, Lifecycle) else []
    assert isinstance(next(items), Gap)  # put behind the word, not together with it
    assert trades.gap_count == 1
