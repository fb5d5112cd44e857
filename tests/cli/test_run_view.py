from __future__ import annotations

import io
import time
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console

from actors.cli.run_view import WIDE, StatusTable, last_gap, summary, troubles
from actors.events import Gap, SubscriptionState, Topic
from actors.rules.counters import StreamStatus
from actors.rules.freshness import Freshness
from actors.rules.liveness import HealthInputs, health
from actors.status import (
    Cause,
    Counters,
    DeadLettersStatus,
    FeedStatus,
    LineStatus,
    QuarantineStatus,
    Status,
    TopicStatus,
)

COUNTERS = Counters(**dict.fromkeys(Counters.__struct_fields__, 0))


def line(state: Any = "live", decoded: int = 0, **changes: Any) -> LineStatus:
    it = LineStatus(
        state=state,
        reason=None,
        epoch=1,
        attempt=0,
        next_attempt_s=None,
        live_for_s=1.0,
        rtt_ms=0.25,
        data_age_s=0.1,
        health=health(HealthInputs(True, 0.25, 0, 0, 0, 0)),
        topics=(),
        counters=structs.replace(COUNTERS, decoded=decoded, routed=decoded, restarts=2, restored=1),
        last_gap=None,
        last_venue_error="",
        paused_by_streams=(),
        url="wss://example.org/v1",
        verify_tls=True,
    )
    return structs.replace(it, **changes)


def topic(name: str, state: Any, *, stale: bool = False) -> TopicStatus:
    return TopicStatus(topic=name, state=SubscriptionState(state), age_s=1.0, stale=stale)


def status(**lines: LineStatus) -> Status:
    return Status(
        schema_version=1,
        name="desk",
        state="live",
        feeds={"o2": FeedStatus(venue="o2", live=True, lines=lines)},
        streams=(),
        actors=(),
        dead_letters=DeadLettersStatus(count=0, newest=()),
        quarantine=QuarantineStatus(count=7, newest=()),
    )


def picture(table: StatusTable, now: float, width: int, **lines: LineStatus) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(table.render(status(**lines), now, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def shown(table: StatusTable, now: float, **lines: LineStatus) -> list[str]:
    return [" ".join(row.split()) for row in picture(table, now, 160, **lines)]


def test_a_row_tells_how_a_line_is() -> None:
    table = StatusTable()
    shown(table, 100.0, a=line(decoded=1000))
    wanted = (
        topic("o2/depth/A", "confirmed", stale=True),
        topic("o2/depth/B", "rejected"),
        topic("o2/depth/C", "sent"),
    )
    lost = line(
        "backoff", attempt=2, next_attempt_s=1.5, rtt_ms=None, reason=Cause("retryable", "lost", "reset")
    )
    rows = shown(table, 102.0, a=line(decoded=3000, topics=wanted), b=lost)
    assert rows[0] == "line state events/s topics restored gaps last gap"
    assert rows[2:] == [
        "a live 1,000 1/3, 1 rejected, 1 stale 1/2 0",
        "b backoff, try 2 in 1.5 s 0 0/0 1/2 0",
        "b: lost: reset",
        "desk: live · 7 messages in quarantine",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(9.94, "try 8 in 9.9 s"), (9.96, "try 8 in 10 s"), (19.53, "try 8 in 20 s")]
)
def test_a_long_wait_for_the_next_try_fits_into_its_column(seconds: float, words: str) -> None:
    lost = line("backoff", attempt=8, next_attempt_s=seconds)
    assert f"o2 backoff, {words} 0" in shown(StatusTable(), 1.0, o2=lost)[2]


def test_what_is_stale_is_told_with_its_cause_and_what_is_quiet_is_counted() -> None:
    why = Freshness("stale", "pongs", False, 61.0, "nothing for 61 s")
    night = Freshness("quiet", "closed", False, 900.0, "us_equities is closed")
    confirmed = topic("o2/trades/A", "confirmed", stale=True)
    wanted = (
        structs.replace(confirmed, freshness=why),
        structs.replace(confirmed, topic="o2/trades/B", freshness=why),
        structs.replace(confirmed, topic="o2/trades/C", stale=False, freshness=night),
    )
    rows = shown(StatusTable(), 1.0, a=line(topics=wanted))
    assert "3/3, 2 stale, 1 quiet" in rows[2]
    assert "a: o2/trades/A and 1 more stale (nothing for 61 s)" in " ".join(rows)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_row_is_folded(width: int) -> None:
    wanted = (topic("o2/depth/A", "confirmed"), topic("o2/depth/B", "rejected"))
    gap = Gap(Topic("o2", "depth_view", "0x" + "ab" * 32), "disconnect", None, 0, 10**9, 3)
    good = line("live", topics=wanted, last_gap=gap, reason=Cause("retryable", "lost", "reset " * 30))
    held = line("live", paused_by_streams=(1,), topics=wanted)
    lost = line("backoff", attempt=1, next_attempt_s=12.5)
    rows = picture(StatusTable(), 1.0, width, o2=good, market=held, user=lost)
    assert max(map(len, rows)) <= width
    assert [row.split()[0] for row in rows[2:5]] == ["o2", "market", "user"]
    assert ("last gap" in rows[0]) == (width >= WIDE)
    assert any("1.00 s of depth_view" in row for row in rows)


def test_events_are_counted_over_a_short_while() -> None:
    table = StatusTable()
    for second in range(10):
        rows = shown(table, float(second), a=line(decoded=100 * second * second))
    assert "1,500" in rows[2]  # of the seconds 6 to 9


def test_text_of_a_venue_is_no_markup() -> None:
    lost = line("failed", reason=Cause("fatal", "401", "[bold]no[/] \x1b[2Jway", "Check key"))
    assert "401: [bold]no[/] \\x1b[2Jway. Check key" in " ".join(shown(StatusTable(), 1.0, a=lost))


def test_the_last_gap_tells_when_how_long_of_what_and_why() -> None:
    until = 1_790_000_000_000_000_000
    gap = Gap(Topic("o2", "depth", "0x" + "ab" * 32), "disconnect", None, until - 410_000_000, until, 3)
    at = time.strftime("%H:%M:%S", time.localtime(until / 1e9))
    assert last_gap(line(last_gap=gap)) == f"{at} 0.41 s of depth 0xabab…abab (disconnect)"
    because = Cause("retryable", "lost", "reset by\npeer")
    told = last_gap(line(last_gap=gap, reason=because))
    assert told == f"{at} 0.41 s of depth 0xabab…abab (disconnect: reset by\\npeer)"
    counted = Gap(Topic("o2", "nonce"), "overflow", 1200, until, until, 3)
    assert last_gap(line(last_gap=counted, reason=because)) == f"{at} nonce (overflow, 1,200 missed)"
    assert last_gap(line()) == ""


def test_the_summary_tells_what_became_of_each_line() -> None:
    lost = line("failed", reason=Cause("fatal", "401", "auth failed", "Check key."))
    end = status(a=line(decoded=12345), b=lost)
    assert list(summary(end, 60.04)) == [
        "desk ran for 60.0 s; 1 of 2 lines live at the end.",
        "  a: live; lost twice, 1 of them before it was back, restored once, 0 gaps, 12,345 events, "
        "0/0 topics confirmed.",
        "  b: failed; lost twice (last: auth failed), restored once, 0 gaps, 0 events, 0/0 topics confirmed.",
        "  books balanced: 12,345 decoded = 12,345 routed.",
        "  7 messages in quarantine.",
    ]
    assert troubles(end) == ["b is not live: failed (401: auth failed. Check key.)."]


def test_books_that_do_not_balance_are_named() -> None:
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
        "the books of a do not balance: 5 decoded is not 3 routed + 1 unrouted.",
        "the books of stream 4 (o2/depth) do not balance: 9 received is not 7 delivered + 1 dropped.",
    ]
    assert troubles(odd) == sentences
    assert list(summary(odd, 1.0))[2:5] == [
        "  streams: 9 received = 7 delivered + 1 dropped; 1 gap marked.",
        *(f"  {sentence}" for sentence in sentences),
    ]
