"""`runtime.on_restored`: a program asks for what it missed, after each restore, on a thread of its own."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import actors
from actors import LinewardenError, Restored, Runtime, RuntimeStopped, Topic
from actors.simulators import SimulatedO2
from tests.conftest import Baseline
from tests.stories.test_reload import two_feeds
from tests.support.runtimes import at_epoch, config, feed_at, runtime_on, until


class Resync:
    """A handler that notes its calls, and can be held inside of one."""

    def __init__(self, inside: Callable[[Restored], object] = lambda _: None) -> None:
        self.calls: list[Restored] = []
        self.threads: set[str] = set()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self._inside, self._changed = inside, threading.Condition()

    def __call__(self, restored: Restored) -> None:
        with self._changed:
            self.calls.append(restored)
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()
        assert self.goes_on.wait(30)
        self._inside(restored)

    def wait(self, count: int = 1) -> list[Restored]:
        """Its calls, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, 20), self.calls
            return self.calls


def lose(runtime: Runtime, o2: SimulatedO2, line: str = "o2") -> None:
    """A loss, and the restore after it."""
    epoch = runtime.status().lines()[line].epoch
    o2.drop()
    until(runtime, at_epoch(epoch + 1, line))
    runtime.wait_live(line, timeout=10)


def test_it_is_called_after_a_restore_with_the_line_and_its_topics(o2: SimulatedO2, market: str) -> None:
    resync = Resync()
    with runtime_on(o2, live=False) as runtime:
        following = runtime.on_restored("o2", handler=resync)
        runtime.wait_live(timeout=10)
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        lose(runtime, o2)
        (restored,) = resync.wait()
        assert not trades.closed
        assert (restored.feed, restored.line, restored.epoch, restored.losses) == ("o2", "o2", 2, 1)
        assert restored.topics == (Topic("o2", "trades", market),)
        assert 0.0 < restored.outage_s < 20.0
        assert restored.reason
        assert resync.threads == {"on_restored/o2"}
        assert following.handler_errors == 0


def test_restores_that_come_during_a_call_are_told_as_one(runtime: Runtime, o2: SimulatedO2) -> None:
    resync = Resync()
    resync.goes_on.clear()
    runtime.on_restored(handler=resync)
    lose(runtime, o2)
    resync.wait()
    for _ in range(3):  # the call that is under way is not interrupted
        lose(runtime, o2)
    assert len(resync.calls) == 1
    resync.goes_on.set()
    first, second = resync.wait(2)
    assert (first.losses, second.losses) == (1, 3)
    assert (first.epoch, second.epoch) == (2, 5)
    assert first.at_ns < second.since_ns < second.at_ns
    lose(runtime, o2)
    assert resync.wait(3)[2].losses == 1


def test_a_line_that_is_lost_again_is_told_of_after_its_next_restore(o2: SimulatedO2) -> None:
    resync = Resync()
    with SimulatedO2(rate=0) as elsewhere, runtime_on(o2) as runtime:
        runtime.add_feed("other", feed_at(elsewhere.url))
        runtime.wait_live("other", timeout=10)
        runtime.on_restored(handler=resync)
        resync.goes_on.clear()
        lose(runtime, o2)
        resync.wait()
        lose(runtime, elsewhere, "other")
        lives = runtime.lifecycle("other")
        runtime.supervisor.pause("other").get(timeout=5)
        while lives.get(timeout=10).state != "paused":
            pass
        resync.goes_on.set()
        lose(runtime, o2)
        assert [each.line for each in resync.wait(2)] == ["o2", "o2"]
        runtime.supervisor.resume("other").get(timeout=5)
        last = resync.wait(3)[2]
        assert (last.line, last.losses) == ("other", 2)


def test_a_failing_handler_is_logged_and_counted_and_called_again(
    runtime: Runtime, o2: SimulatedO2, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[BaseException] = [ValueError("no answer"), SystemExit(1)]

    def fail(_: Restored) -> None:
        if errors:
            raise errors.pop(0)

    resync = Resync(fail)
    following = runtime.on_restored("o2", handler=resync)
    with caplog.at_level(logging.ERROR):
        for calls in range(1, 4):
            lose(runtime, o2)
            resync.wait(calls)
    assert following.handler_errors == 2
    assert caplog.text.count("on_restored of o2 failed; it is called again after the next restore.") == 2
    assert "no answer" in caplog.text


def test_it_may_ask_the_runtime_for_anything(o2: SimulatedO2, market: str) -> None:
    found: list[Any] = []

    def ask(restored: Restored) -> None:
        with runtime.subscribe("o2", "trades", market, wait=5.0) as trades:
            runtime.put_price("o2", market, last=1, source="resync")
            found.append((runtime.latest("o2", market).source, trades.closed))
        runtime.wait_live(restored.line, timeout=5.0)
        runtime.rotate(restored.line)
        found.append(runtime.status().state)

    resync = Resync(ask)
    with runtime_on(o2) as runtime:
        runtime.on_restored(handler=resync)
        lose(runtime, o2)
        resync.wait()
        until(runtime, lambda _: len(found) == 2)
        assert found == [("resync", False), "live"]
        assert len(resync.calls) == 1  # a rotation is no loss


def test_it_may_stop_the_runtime(o2: SimulatedO2) -> None:
    resync = Resync(lambda _: runtime.stop())
    runtime = actors.start(config(o2.url), wait=10)
    runtime.on_restored(handler=resync)
    o2.drop()
    resync.wait()
    until(runtime, lambda status: status.state == "stopped")
    assert runtime.stop() == ()


def test_it_ends_with_its_stream_its_feed_and_the_runtime(o2: SimulatedO2, baseline: Baseline) -> None:
    resync = Resync()
    with actors.start(two_feeds(o2), wait=10) as runtime:
        closed, removed, last = (
            runtime.on_restored(target, handler=resync) for target in ("o2", "other", None)
        )
        closed.close()
        runtime.remove_feed("other")
        assert removed.end_reason == "feed other was removed from the config"
        lose(runtime, o2)
        (restored,) = resync.wait()
        assert restored.line == "o2"
        assert resync.threads == {"on_restored/all"}
    assert last.closed
    baseline.check()
    with pytest.raises(RuntimeStopped):
        runtime.on_restored(handler=resync)


def test_a_handler_keeps_its_runtime_until_it_is_closed(o2: SimulatedO2, baseline: Baseline) -> None:
    resync = Resync()
    runtime = actors.start(config(o2.url), wait=10)
    following = runtime.on_restored(handler=resync)
    reference = weakref.ref(runtime)
    del runtime
    gc.collect()
    o2.drop()
    resync.wait()
    assert reference() is not None
    following.close()
    baseline.check()
    assert reference() is None


@pytest.mark.parametrize(
    ("target", "handler", "told"),
    [
        ("o3", print, "there is no feed or line 'o3'"),
        ("o2", None, "a handler is called with each Restored, and None cannot be called"),
        ("o2", lambda: None, "a handler is called with one argument"),
    ],
)
def test_a_mistake_is_told_at_once(runtime: Runtime, target: str, handler: Any, told: str) -> None:
    with pytest.raises(LinewardenError, match=told):
        runtime.on_restored(target, handler=handler)


def test_a_coroutine_function_is_refused(runtime: Runtime) -> None:
    async def resync(_: Restored) -> None: ...

    with pytest.raises(LinewardenError, match="is a coroutine function, and a call runs none of it"):
        runtime.on_restored(handler=resync)
