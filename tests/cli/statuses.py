"""Statuses that a test makes up."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from actors.events import SubscriptionState
from actors.rules.liveness import HealthInputs, health
from actors.status import (
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
