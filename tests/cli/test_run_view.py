from __future__ import annotations

import io
import sys
import threading
from typing import Any, cast

import pytest
from msgspec import structs

from actors import log_queue
from actors.cli.run_view import REFRESH, SLOWEST, Screen, pause, summary, troubles
from actors.cli.stream_view import StreamView
from actors.rules.counters import StreamStatus
from actors.status import Cause, Status
from tests.cli.statuses import COUNTERS, line, status


def test_the_summary_tells_what_became_of_each_line() -> None:
    lost = line("failed", reason=Cause("fatal", "401", "auth failed", "Check key."))
    end = status(a=line(decoded=12345), b=lost)
    assert list(summary(end, 60.04)) == [
        "desk ran for 60.0 s; 1 of 2 lines live at the end.",
        "  a: live; lost twice, 1 of them before it was back, restored once, 0 gaps, 12,345 events, "
        "0/0 topics confirmed.",
        "  b: failed; lost twice (last: auth failed), restored once, 0 gaps, 0 events, 0/0 topics confirmed.",
        "  counters reconcile: 12,345 decoded = 12,345 routed.",
        "  7 messages in quarantine.",
    ]
    assert troubles(end) == ["b is not live: failed (401: auth failed. Check key.)."]


def test_the_summary_of_a_run_without_lines() -> None:
    assert list(summary(status(), 1.0)) == [
        "desk ran for 1.0 s; 0 of 0 lines live at the end.",
        "  7 messages in quarantine.",
    ]


def test_counters_that_do_not_reconcile_are_named() -> None:
    counters = structs.replace(COUNTERS, decoded=5, routed=3, unrouted=1, in_flight=1)
    book = StreamStatus(
        id=4,
        feed="o2",
        channel="depth",
        topics=1,
        policy="block",
        capacity=10,
        received=9,
        delivered=7,
        dropped=1,
        conflated=0,
        queued=0,
        gaps=1,
        handler_errors=0,
    )
    odd = structs.replace(status(a=line(counters=counters)), streams=(book,))
    sentences = [
        "the counters of a do not reconcile: 5 decoded is not 3 routed + 1 unrouted.",
        "the counters of stream 4 (o2/depth) do not reconcile: 9 received is not 7 delivered + 1 dropped.",
    ]
    assert troubles(odd) == sentences
    assert list(summary(odd, 1.0))[2:5] == [
        "  streams: 9 received = 7 delivered + 1 dropped; 1 gap marked.",
        *(f"  {sentence}" for sentence in sentences),
    ]


# ── the thread that shows ─────────────────────────────────────────────────────────────────────────


class Streams:
    """What a test prints, one list of rows per turn; the last one again and again."""

    def __init__(self, *turns: Any) -> None:
        self._turns = list(turns)
        self.done = threading.Event()

    def lines(self, now: float) -> list[str]:
        turn = self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]
        if len(self._turns) == 1:
            self.done.set()
        if isinstance(turn, Exception):
            raise turn
        rows: list[str] = turn() if callable(turn) else turn
        return rows


def no_look() -> Status:
    raise AssertionError("no status is wanted where stdout is no terminal")


def screen(streams: Streams) -> Screen:
    return Screen(no_look, cast(StreamView, streams))


def test_a_view_that_fails_is_logged_and_shown_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("actors.cli.run_view.REFRESH", 0.001)
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    streams = Streams(ValueError("odd"), ["one"], OverflowError("int too large"), ["two"])
    with screen(streams):
        assert streams.done.wait(50.0)
    assert out.getvalue().startswith("one\ntwo\n")
    assert log_queue.flush(50.0)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["The view could not be drawn. The run goes on."] * 2


class GoneStdout(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_stdout_that_is_gone_is_told_once_and_ends_the_view_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stdout", GoneStdout())
    with screen(Streams(["one"])) as it:
        it._thread.join(50.0)
        assert not it.is_held()
    assert log_queue.flush(50.0)
    assert [record.getMessage() for record in caplog.records] == [
        "Nothing can be shown on stdout any more ([Errno 32] Broken pipe). The run goes on."
    ]


def test_a_stdout_that_takes_nothing_holds_the_view_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.cli.run_view.ENDS_WITHIN", 0.01)
    go_on = threading.Event()
    streams = Streams([], lambda: go_on.wait(50.0) and [])
    with screen(streams) as it:
        assert streams.done.wait(50.0)
    assert it.is_held(0.0)
    go_on.set()
    assert not it.is_held(50.0)


def test_a_dear_picture_is_drawn_less_often() -> None:
    assert pause(0.0) == pause(0.01) == REFRESH
    assert pause(0.065) == pytest.approx(1.3)  # of 5,000 topics
    assert pause(3.0) == SLOWEST
