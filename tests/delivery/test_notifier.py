"""The thread that tells markers of lines without a connection."""

from __future__ import annotations

import gc
import threading

from actors.delivery.arrivals import Right
from actors.delivery.notifier import Notifier
from actors.events import Lifecycle
from tests.delivery.inline import Called, inline_inlet

DOWN = Lifecycle("o2", "disconnected", 1, 0, "lost", 5)


def test_it_tells_what_waits_and_then_ends() -> None:
    notifier, called = Notifier(), Called()
    inlet = inline_inlet(called, notify=notifier.notify)
    notifier.start()
    notifier.start()
    inlet.mark(Right(makes_calls=False), DOWN)
    inlet.close("why", quiet=True)
    notifier.stop()
    thread = notifier.thread
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
    assert called.words == ["disconnected", "closed"]
    assert set(called.threads) == {thread.name}


def test_a_handler_that_hangs_delays_the_others_only_for_its_own_call() -> None:
    """A line's thread holds the turn of one handler: the other is told, and the first one later."""
    notifier, called, other = Notifier(), Called(), Called()
    busy, free = inline_inlet(called, notify=notifier.notify), inline_inlet(other, notify=notifier.notify)
    line, dispatcher = Right(), Right(makes_calls=False)
    assert busy._turn.take(line, lambda: None)
    notifier.start()
    busy.mark(dispatcher, DOWN)
    free.mark(dispatcher, DOWN)
    other.wait(1)
    assert called.words == []
    busy._turn.give(line)
    called.wait(1)
    notifier.stop()


def test_it_ends_with_the_runtime_that_is_forgotten() -> None:
    notifier = Notifier()
    notifier.start()
    thread = notifier.thread
    assert isinstance(thread, threading.Thread)
    del notifier
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
