from __future__ import annotations

from msgspec import structs

from actors.cli.run_view import summary, troubles
from actors.rules.counters import StreamStatus
from actors.status import (
    Cause,
)
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
