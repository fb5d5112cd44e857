"""How a status is put together from what the supervisor holds and has lent. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from actors.actor import DeadLetters
from actors.delivery.cells import Cell, Cells
from actors.events import Topic
from actors.heartbeat import Watch
from actors.rules.books import StreamStatus
from actors.rules.freshness import Contract, Freshness, Heard, Signs, judge
from actors.rules.liveness import Health, HealthInputs, health
from actors.status import (
    ActorStatus,
    Counters,
    DeadLettersStatus,
    FeedStatus,
    LineStatus,
    QuarantineStatus,
    Status,
    TopicStatus,
    cause_of,
)
from actors.supervision.state import COUNTED, OUTCOMES, Books, Child, FeedSpec, LineRecord
from actors.wire.timers import Clock


def take(
    name: str,
    feeds: Mapping[str, FeedSpec],
    lines: Mapping[str, LineRecord],
    books: Books,
    children: Sequence[Child],
    awaited: Mapping[str, int],  # workers for which there is no thread: the number of their next life
    dead_letters: DeadLetters,
    clock: Clock,
) -> Status:
    """The whole tree at this moment."""
    shown: dict[str, FeedStatus] = {}
    for feed, spec in feeds.items():
        mine = {line.name: _line(line, books, clock) for line in lines.values() if line.feed == feed}
        refused = {str(topic): cell.subscription.reason for topic, cell in books.cells.refused(feed)}
        live = all(line.state == "live" for line in mine.values())
        shown[feed] = FeedStatus(spec.venue.name, live, mine, refused, spec.vault.expires_in)
    return Status(
        schema=1,
        name=name,
        state=_state(list(shown.values())),
        feeds=shown,
        streams=_streams(books),
        actors=(*(_actor(child) for child in children), *_restarting(lines.values(), awaited)),
        dead_letters=DeadLettersStatus(dead_letters.count, dead_letters.newest()),
        quarantine=QuarantineStatus(books.jail.count, books.jail.newest()),
    )


def _state(feeds: Sequence[FeedStatus]) -> Literal["starting", "live", "degraded"]:
    if all(feed.live for feed in feeds):
        return "live"
    never = all(
        line.epoch <= 1 and line.reason is None and line.state != "paused"
        for feed in feeds
        for line in feed.lines.values()
        if line.state != "live"
    )
    return "starting" if never else "degraded"


def _line(line: LineRecord, books: Books, clock: Clock) -> LineStatus:
    now, watch = clock.monotonic(), books.watches.get(line.name)
    topics = tuple(
        _topic(topic, cell, line, books, watch, clock) for topic, cell in books.cells.topics_of(line.name)
    )
    ages = [topic.age_s for topic in topics if topic.age_s is not None]
    return LineStatus(
        state=line.shown,
        reason=None if line.reason is None else cause_of(line.reason),
        epoch=line.epoch,
        attempt=line.restarts.attempt,
        next_attempt_s=None if line.retry_at is None else max(0.0, line.retry_at - now),
        live_for_s=None if line.live_at is None else now - line.live_at,
        rtt_ms=None if watch is None or watch.beats.rtt is None else watch.beats.rtt * 1000.0,
        data_age_s=min(ages, default=None),
        health=_health(line, watch, now, sum(topic.stale for topic in topics)),
        topics=topics,
        counters=_counters(line, books.cells),
        last_gap=books.cells.gaps(line.name)[1],
        rotations=line.rotations,
        complaint=line.complaint,
        journal=line.journal.told(),
        held_by=line.held_by,
        url=line.spec.venue.endpoint(line.name).url.partition("?")[0],
        insecure=line.spec.dial.insecure,
        compressed=line.gauges.compressed,
    )


def _topic(
    topic: Topic, cell: Cell, line: LineRecord, books: Books, watch: Watch | None, clock: Clock
) -> TopicStatus:
    at = books.cells.heard_at(topic)
    blind_ns, today_ns = cell.blind_time.with_open(cell.blind_since, clock.wall_ns())
    found = freshness(topic, line, books, watch, clock) if watch is not None and line.state.is_open else None
    return TopicStatus(
        topic=str(topic),
        state=cell.subscription,
        age_s=None if at is None else max(0.0, clock.monotonic() - at),
        stale=found is not None and found.state == "stale",
        blind_s=blind_ns / 1e9,
        blind_today_s=today_ns / 1e9,
        freshness=found,
    )


def freshness(topic: Topic, line: LineRecord, books: Books, watch: Watch, clock: Clock) -> Freshness:
    """How a topic stands to its contract now, while its line is watched. Any thread."""
    gauges, contract = line.gauges, watch.rhythm.contracts.get(topic, Contract())
    heard = books.cells.heard(line.name)
    stamp = None if heard is None else heard.stamps.get(topic)
    at, received_ns, venue_ns = None, 0, None
    if heard is not None and stamp is not None:
        at, received_ns = stamp.at, stamp.wall_ns
        if contract.venue_stale_after:
            venue_ns = _venue_time(line, heard.events.get(topic))
    return judge(
        contract,
        Heard(
            now=clock.monotonic(),
            now_ns=clock.wall_ns(),
            since=watch.since,
            at=None if at is None or at < gauges.upgraded_at else at,
            signs=Signs(gauges.heard_at, gauges.message_at, gauges.acknowledged_at, gauges.event_at),
            venue_ns=venue_ns,
            received_ns=received_ns,
        ),
    )


def _venue_time(line: LineRecord, event: object) -> int | None:
    try:
        return None if event is None else line.spec.venue.event_time_ns(event)
    except Exception:  # a defect of the venue's: the event names no time that can be read
        return None


def _counters(line: LineRecord, cells: Cells) -> Counters:
    lost = line.history.lost
    counts = {
        name: line.history.counted(name) for name in reversed(COUNTED)
    }  # outcomes first: none is in flight twice
    outcomes = {name: counts[name] for name in OUTCOMES}
    return Counters(
        bytes=counts["bytes"],
        frames=counts["frames"],
        decoded=counts["decoded"],
        **outcomes,
        lost=lost,
        in_flight=counts["decoded"] - sum(outcomes.values()) - lost,
        restarts=line.deaths,
        restored=line.restored,
        gaps=cells.gaps(line.name)[0],
    )


def _health(line: LineRecord, watch: Watch | None, now: float, stale: int) -> Health:
    rtt = watch.beats.rtt if watch is not None else None
    return health(
        HealthInputs(
            live=line.live,
            rtt_ms=None if rtt is None else rtt * 1000.0,
            missed_pongs=0 if watch is None else watch.beats.missed,
            restarts=line.recent_deaths.count(now),
            quarantined=line.gauges.quarantined,
            stale_topics=stale,
        )
    )


def _streams(books: Books) -> tuple[StreamStatus, ...]:
    return tuple(reader.inlet.status() for reader in books.routing.readers.copy().values())


def _restarting(lines: Iterable[LineRecord], awaited: Mapping[str, int]) -> Iterator[ActorStatus]:
    """Those that have ended and whose successor waits for its time, or for a thread."""
    for role, incarnation in awaited.items():
        yield ActorStatus(role, "restarting", incarnation, incarnation - 1)
    for line in lines:
        if line.child is None and line.retry_at is not None:
            yield ActorStatus(f"connection/{line.name}", "restarting", line.epoch, line.epoch - 1)


def _actor(child: Child) -> ActorStatus:
    state: Literal["running", "wedged"] = "wedged" if child.stack else "running"
    return ActorStatus(child.id, state, child.incarnation, child.incarnation - 1, child.stack)
