"""A handler of bars is called on its own thread, one event at a time, and a slow one loses the oldest."""

from __future__ import annotations

import logging
import threading

import pytest

from actors.market import bar_handlers
from actors.market.bar_handlers import BarHandler
from actors.protocol.bars import timeframe_of
from actors.rules.bars.frame import BarEvent
from tests.display.test_records import BARS

MINUTE, HOUR = (timeframe_of("1min"), None), (timeframe_of("1h"), None)


def event(number: int, timeframe: str = "1min") -> BarEvent:
    return BarEvent("feed", str(number), timeframe, BARS[0], "finished")


def test_it_gets_the_events_of_its_timeframes_in_order() -> None:
    came: list[str] = []
    handler = BarHandler("on_bar/feed/KEY", frozenset({MINUTE}), lambda told: came.append(told.key), None)
    handler.thread.start()
    for number in range(5):
        handler.put(MINUTE, event(number))
        handler.put(HOUR, event(-1, "1h"))
    handler.finish()
    handler.thread.join(10.0)
    assert came == ["0", "1", "2", "3", "4"]
    assert handler.is_closed


def test_a_slow_one_loses_the_oldest_and_counts_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bar_handlers, "MOST", 3)
    came: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def handle(told: BarEvent) -> None:
        came.append(told.key)
        inside.set()
        assert go.wait(10.0)

    handler = BarHandler("on_bar/feed/KEY", frozenset({MINUTE}), handle, None)
    handler.thread.start()
    handler.put(MINUTE, event(0))
    assert inside.wait(10.0)
    with caplog.at_level(logging.WARNING):
        for number in range(1, 7):
            handler.put(MINUTE, event(number))
    go.set()
    handler.finish()
    handler.thread.join(10.0)
    assert (came, handler.dropped) == (["0", "4", "5", "6"], 3)


def test_one_that_is_closed_is_called_no_more() -> None:
    came: list[BarEvent] = []
    handler = BarHandler("on_bar/feed/KEY", frozenset({MINUTE}), came.append, None)
    handler.put(MINUTE, event(0))
    handler.close()
    handler.thread.start()
    handler.thread.join(10.0)
    assert came == []


def test_a_block_that_ends_closes_it() -> None:
    with BarHandler("on_bar/feed/KEY", frozenset({MINUTE}), print, None) as handler:
        assert not handler.is_closed
    assert handler.is_closed


def test_a_handler_that_exits_ends_nothing_but_its_call() -> None:
    came: list[str] = []

    def handle(told: BarEvent) -> None:
        came.append(told.key)
        raise SystemExit

    handler = BarHandler("on_bar/feed/KEY", frozenset({MINUTE}), handle, None)
    handler.thread.start()
    for number in range(3):
        handler.put(MINUTE, event(number))
    handler.finish()
    handler.thread.join(10.0)
    assert (came, handler.errors) == (["0", "1", "2"], 3)
