"""Reads for the connection of a line: nothing of them waits, and one answer is told."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import AskFailedError, AskRefusedError, RuntimeStopped, Timeout
from actors.errors import LinewardenError
from actors.protocol import Call
from actors.trading.line_reads import LineReads
from tests.trading.shop import Shop, ShopRequests, asking, wait_for

Told = queue.SimpleQueue[Any]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


@pytest.fixture
def desk(tmp_path: Path, shop: Shop) -> Iterator[tuple[LineReads, ShopRequests, actors.Runtime]]:
    with asking(tmp_path, shop) as (runtime, px):
        yield LineReads(runtime._requests), px, runtime


Desk = tuple[LineReads, ShopRequests, actors.Runtime]


def test_the_answer_is_told_once(desk: Desk) -> None:
    reads, px, _ = desk
    told: Told = queue.SimpleQueue()
    for name in ("first", "second"):  # the first one opens the way to the venue
        reads("shop", px.api.page(name), 5.0, told.put)
        assert told.get(timeout=5.0) == name
    assert told.empty()


def test_a_refusal_is_told_with_the_words_of_the_venue(desk: Desk, shop: Shop) -> None:
    reads, px, _ = desk
    shop.before = lambda path: (409, "not that one") if path == "/page" else None
    told: Told = queue.SimpleQueue()
    reads("shop", px.api.page("page"), 5.0, told.put)
    error = told.get(timeout=5.0)
    assert isinstance(error, AskRefusedError)
    assert "not that one" in str(error)


def test_an_answer_that_does_not_come_in_time_is_told_as_that(desk: Desk, shop: Shop) -> None:
    reads, px, _ = desk
    go = threading.Event()
    shop.after = wait_for(go, "/page")
    told: Told = queue.SimpleQueue()
    began = time.monotonic()
    reads("shop", px.api.page("page"), 0.2, told.put)
    error = told.get(timeout=5.0)
    go.set()
    assert isinstance(error, Timeout | AskFailedError)
    assert time.monotonic() - began < 2.0


def test_the_caller_does_not_wait_even_where_the_venue_does_not_answer(desk: Desk, shop: Shop) -> None:
    reads, px, _ = desk
    go = threading.Event()
    shop.after = wait_for(go, "/page")
    told: Told = queue.SimpleQueue()
    began = time.monotonic()
    cancel = reads("shop", px.api.page("page"), 5.0, told.put)
    assert time.monotonic() - began < 0.5
    assert told.empty()
    cancel()
    error = told.get(timeout=5.0)
    go.set()
    assert isinstance(error, AskFailedError)
    assert error.code == "cancelled"


def test_what_is_cancelled_before_it_has_begun_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, px, _ = desk
    begun = threading.Event()
    opened = threading.Event()
    core = reads._requests.core

    def slow(*args: Any) -> Any:
        begun.set()
        opened.wait(5.0)
        return core(*args)

    monkeypatch.setattr(reads._requests, "core", slow)
    told: Told = queue.SimpleQueue()
    cancel = reads("shop", px.api.page("page"), 5.0, told.put)
    assert begun.wait(5.0)
    cancel()
    opened.set()
    assert isinstance(told.get(timeout=5.0), AskFailedError)


def test_a_feed_that_is_gone_is_told(desk: Desk) -> None:
    reads, px, _ = desk
    told: Told = queue.SimpleQueue()
    reads("nowhere", px.api.page("page"), 5.0, told.put)
    assert "nowhere" in str(told.get(timeout=5.0))


def test_the_end_of_the_runtime_ends_what_is_under_way(desk: Desk, shop: Shop) -> None:
    reads, px, runtime = desk
    go = threading.Event()
    shop.after = wait_for(go, "/page")
    told: Told = queue.SimpleQueue()
    call: Call[str] = px.api.page("page")
    reads("shop", call, 5.0, told.put)
    while not any(path == "/page" for path, _ in shop.requests):
        time.sleep(0.005)
    runtime.stop()
    go.set()
    assert isinstance(told.get(timeout=5.0), RuntimeStopped)
    reads("shop", call, 5.0, told.put)
    assert isinstance(told.get(timeout=5.0), LinewardenError)


def test_an_unexpected_error_is_told_and_ends_no_thread(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reads, px, runtime = desk
    told: Told = queue.SimpleQueue()
    reads("shop", px.api.page("first"), 5.0, told.put)
    assert told.get(timeout=5.0) == "first"

    def defect(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(type(runtime._requests), "core", defect)
    for feed in ("shop", "other"):  # on the thread of the line, and on one of its own
        reads(feed, px.api.page("page"), 5.0, told.put)
        error = told.get(timeout=5.0)
        assert isinstance(error, AskFailedError)
        assert "OSError" in str(error)
    assert "unexpected error before the venue was asked" in caplog.text
