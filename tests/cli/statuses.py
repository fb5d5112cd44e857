"""Statuses that a test makes up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from actors.diagnostics import Quarantined
from actors.events import Freshness, Gap, Scope, SubscriptionState, Topic, VenueState
from actors.rules.counters import StreamStatus
from actors.rules.journal import LineExit, RecoveryTimes
from actors.rules.lag import Lag
from actors.rules.liveness import HealthInputs, health
from actors.status import (
    AccountStatus,
    ActorStatus,
    Cause,
    Counters,
    DeadLettersStatus,
    FeedStatus,
    HaltStatus,
    LineStatus,
    ProcessStatus,
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


def stream(**changes: Any) -> StreamStatus:
    names = StreamStatus.__struct_fields__
    words: dict[str, Any] = {
        "id": 3,
        "feed": "o2",
        "channel": "trades",
        "policy": "block",
        "capacity": 100,
    }
    return StreamStatus(**(dict.fromkeys(names, 0) | words | changes))


# ── troubles ────────────────────────────────────────────────────────────────────────────────────

NOW = 1_790_000_000.0  # seconds of the wall clock
DOWN_SINCE = int((NOW - 3 * 3_600) * 1e9)
VENUE_TEXT = "the venue\x1b[2J says \u202eno\n" + "and explains it at length " * 40
ADVICE = "Check key and secret in [feeds.alpaca]."


def ending(code: str, text: str, lived_s: float | None = None, **more: Any) -> LineExit:
    return LineExit(3, DOWN_SINCE, "retryable", code, text, 1, lived_s, RecoveryTimes(), **more)


OUTAGE = (ending("lost", "connection reset by peer", 4_000.0), ending("dns", VENUE_TEXT, times=50))


def down(state: str, code: str = "dns", advice: str = "", **changes: Any) -> LineStatus:
    """A line three hours into an outage."""
    return line(
        state,
        reason=Cause("fatal" if advice else "retryable", code, VENUE_TEXT, advice),
        since_ns=DOWN_SINCE + 10**9,
        down_since_ns=DOWN_SINCE,
        live_for_s=None,
        journal=OUTAGE,
        **changes,
    )


def _stale() -> LineStatus:
    why = Freshness("stale", "pongs", text=VENUE_TEXT)
    return line(topics=(structs.replace(topic("o2/trades/A", "confirmed", stale=True), freshness=why),))


def _rejected() -> LineStatus:
    refused = SubscriptionState("rejected", reason=VENUE_TEXT)
    return line(topics=(structs.replace(topic("o2/trades/B", "rejected"), state=refused),))


# Lines in trouble, by the kind.
LINES: Mapping[str, Callable[[], LineStatus]] = {
    "failed": lambda: down("failed", "http_402", ADVICE),
    "backoff": lambda: down("backoff", attempt=51, next_attempt_s=12.0),
    "waiting": lambda: down(
        "backoff", "http_429", next_attempt_s=900.0, waiting="waiting until 14:05 (the venue asked)"
    ),
    "opening": lambda: down("connecting"),
    "paused": lambda: down("paused"),
    "stopped": lambda: down("stopped"),
    "degraded": lambda: line(degraded="50 messages in a row could not be decoded; see linewarden quarantine"),
    "held": lambda: line(paused_by_streams=(3,)),
    "stale": _stale,
    "rejected": _rejected,
    "behind": lambda: line(lag=Lag(40.0, "reader", f"the reader of stream 3 is 40.0 s behind {VENUE_TEXT}")),
    "venue": lambda: line(venue_states=(VenueState(Scope(), "maintenance", VENUE_TEXT, None, "o2", 2, 0),)),
    "venue_key": lambda: line(venue_states=(VenueState(Scope(key="A"), "halted", VENUE_TEXT, None, "o2"),)),
    "unfilled": lambda: line(counters=structs.replace(COUNTERS, unrepaired=2)),
    "unchecked": lambda: line(verify_tls=False),
    "venue_error": lambda: line(last_venue_error=VENUE_TEXT),
    "last_gap": lambda: line(
        last_gap=Gap(Topic("o2", "depth", "0x" + "ab" * 32), "disconnect", None, 0, 9, 3)
    ),
}


def _feed(**changes: Any) -> Callable[[Status], Status]:
    return lambda it: structs.replace(
        it, feeds={name: structs.replace(feed, **changes) for name, feed in it.feeds.items()}
    )


def _account(**changes: Any) -> Callable[[Status], Status]:
    synced = AccountStatus("synced", "", 3.0, 0, ())
    return lambda it: structs.replace(it, accounts={"o2/4242": structs.replace(synced, **changes)})


HALT = HaltStatus("h1", "api.venue.example/7", VENUE_TEXT, DOWN_SINCE, "ann")
QUARANTINED = Quarantined("o2", DOWN_SINCE, VENUE_TEXT, 812, VENUE_TEXT)

# Troubles of the process and its feeds, by the kind.
OTHERS: Mapping[str, Callable[[Status], Status]] = {
    "halted": lambda it: structs.replace(it, halts=(HALT,)),
    "disputed": _account(state="disputed", disputed=(VENUE_TEXT,)),
    "untrusted": _account(untrusted="3 events were lost in silence", silent_losses=3),
    "silent_loss": _account(silent_losses=3),
    "account": _account(),
    "refused": _feed(refused={"o2/trades/C": VENUE_TEXT, "o2/trades/D": "no"}),
    "token": _feed(token_error=VENUE_TEXT, token_expires_in_s=90.0),
    "login": _feed(login_variables=("A_KEY", "A_SECRET")),
    "handler": lambda it: structs.replace(it, streams=(*it.streams, stream(id=9, handler_errors=2))),
    "actor": lambda it: structs.replace(it, actors=(ActorStatus("dispatcher", "wedged", 2, 1, "stack"),)),
    "quarantine": lambda it: structs.replace(it, quarantine=QuarantineStatus(7, (QUARANTINED,))),
    "dead_letter": lambda it: structs.replace(it, dead_letters=DeadLettersStatus(2, ())),
    "metrics": lambda it: structs.replace(it, metrics_errors=2),
}

PROCESS = ProcessStatus("1.2.3", 4_711, DOWN_SINCE, 293_000.0, "/etc/linewarden/desk.toml")


def troubled(kinds: Mapping[str, int], healthy: int = 0, feeds: int = 1) -> Status:
    """A status with so many lines of each kind, with the troubles of the process, and with healthy lines."""
    lines = {
        f"{kind}/{number}": LINES[kind]() for kind in kinds if kind in LINES for number in range(kinds[kind])
    }
    lines |= {f"well/{number}": line() for number in range(healthy)}
    it = structs.replace(
        status(), quarantine=QuarantineStatus(0, ()), streams=(stream(queued=100),), process=PROCESS
    )
    names = list(lines)
    spread = {f"feed{number}": names[number::feeds] for number in range(feeds)}
    it = structs.replace(
        it,
        feeds={
            feed: FeedStatus("o2", False, {name: lines[name] for name in mine})
            for feed, mine in spread.items()
        },
    )
    for kind in kinds:
        if kind in OTHERS:
            it = OTHERS[kind](it)
    return it
