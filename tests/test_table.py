from __future__ import annotations

import io
import time
from typing import Any

from msgspec import structs
from rich.console import Console

from actors.events import Gap, SubscriptionState, Topic
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
from actors.table import StatusTable, last_gap, summary

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
        counters=structs.replace(COUNTERS, decoded=decoded, restarts=2, restored=1),
        last_gap=None,
        complaint="",
        held_by=(),
        url="wss://example.org/v1",
        insecure=False,
    )
    return structs.replace(it, **changes)


def topic(name: str, state: Any, *, stale: bool = False) -> TopicStatus:
    return TopicStatus(topic=name, state=SubscriptionState(state), age_s=1.0, stale=stale)


def status(**lines: LineStatus) -> Status:
    return Status(
        schema=1,
        name="desk",
        state="live",
        feeds={"o2": FeedStatus(venue="o2", live=True, lines=lines)},
        streams=(),
        actors=(),
        dead_letters=DeadLettersStatus(count=0, newest=()),
        quarantine=QuarantineStatus(count=7, newest=()),
    )


def shown(table: StatusTable, now: float, **lines: LineStatus) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    console.print(table.render(status(**lines), now))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(row.split()) for row in console.file.getvalue().splitlines()]


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
    assert rows[0] == "feed line state events/s topics restored gaps last gap cause"
    assert rows[2:4] == [
        "o2 a live 1,000 1/3, 1 rejected, 1 stale 1/2 0",
        "b backoff, again in 1.5 s (attempt 3) 0 0/0 1/2 0 lost: reset",
    ]
    assert rows[-1] == "desk: live · 7 messages in quarantine"


def test_events_are_counted_over_a_short_while() -> None:
    table = StatusTable()
    for second in range(10):
        rows = shown(table, float(second), a=line(decoded=100 * second * second))
    assert "1,500" in rows[2]  # of the seconds 6 to 9


def test_text_of_a_venue_is_no_markup() -> None:
    lost = line("failed", reason=Cause("fatal", "401", "[bold]no[/] \x1b[2Jway", "Check key"))
    assert "401: [bold]no[/] \\x1b[2Jway. Check key" in " ".join(shown(StatusTable(), 1.0, a=lost))


def test_the_last_gap_tells_when_how_long_and_of_what() -> None:
    until = 1_790_000_000_000_000_000
    gap = Gap(Topic("o2", "depth", "0x" + "ab" * 32), "disconnect", None, until - 410_000_000, until, 3)
    at = time.strftime("%H:%M:%S", time.localtime(until / 1e9))
    assert last_gap(gap) == f"{at} 0.41 s of depth/0xabab…abab (disconnect)"
    counted = Gap(Topic("o2", "nonce"), "overflow", 1200, until, until, 3)
    assert last_gap(counted) == f"{at} nonce (overflow, 1,200 missed)"
    assert last_gap(None) == ""


def test_the_summary_tells_what_became_of_each_line() -> None:
    lost = line("failed", reason=Cause("fatal", "401", "auth failed"))
    assert list(summary(status(a=line(decoded=12345), b=lost), 60.04)) == [
        "desk ran for 60.0 s; 1 of 2 lines live at the end.",
        "  a: live; 12,345 events, 0/0 topics confirmed, restored after 1 of 2 losses, 0 gaps.",
        "  b: failed; 0 events, 0/0 topics confirmed, restored after 1 of 2 losses, 0 gaps, "
        "last loss: 401: auth failed.",
        "  7 messages in quarantine.",
    ]
