"""The status: one value that all callers share, built from values that actors publish.

No actor is asked. The caller's thread builds it: there is no thread to be had, to wait for or to lose.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from msgspec import Struct, structs

from actors import log_queue
from actors.delivery.cells import Cells
from actors.delivery.inlet import Inlet
from actors.diagnostics import DeadLetters
from actors.events import Freshness
from actors.feed_spec import FeedSpec
from actors.metrics import UserMetrics
from actors.rules.counters import LineCounters, StreamStatus
from actors.rules.lag import Backlog
from actors.rules.lag import judge as judge_lag
from actors.rules.line import LineState
from actors.rules.liveness import HealthInputs, health
from actors.status import (
    CooldownStatus,
    Counters,
    DeadLettersStatus,
    FeedStatus,
    LineGlance,
    LineStatus,
    ProcessStatus,
    QuarantineStatus,
    Status,
    TopicStatus,
    cause_of,
    waiting_until,
)
from actors.supervision.cooldown_file import Cooldown
from actors.supervision.freshness import FreshnessLooks, LineLook, no_line
from actors.supervision.state import OUTCOMES, LineView, SharedState
from actors.timers import Timers, give_way

SHARED = 0.1  # seconds for which a status is shared, where nothing happens
AT_ONCE = 25  # topics, which take about half a millisecond, between two moments for other threads
PATIENCE = 5.0  # seconds that a look waits for another thread that builds; then the last one has to do


class Taken(Struct, frozen=True):
    """A status, and when another is due."""

    status: Status
    number: int  # of the build
    change: object  # the last one before it
    at: float  # monotonic seconds of this machine, at its end
    own_at: float  # the same by the runtime's clock, whose time may be moved by hand


class SharedStatus:
    """Builds a status at most once in 0.1 s, and once after each change. Any thread may look."""

    def __init__(
        self,
        name: str,
        shared: SharedState,
        inlets: Callable[[], Collection[Inlet]],  # of the streams that are open
        dead_letters: DeadLetters,
        timers: Timers,
        metrics: UserMetrics,
        config: str = "",  # the file that its settings are of
    ) -> None:
        clock, self._metrics, self._config = timers.clock, metrics, config
        self._started_ns, self._started = clock.wall_ns(), clock.monotonic()
        self._looks = FreshnessLooks(shared, timers)
        self.name, self._shared, self._inlets = name, shared, inlets
        self._dead_letters, self._clock = dead_letters, clock
        # Re-entrant: a signal handler, or the garbage collector, may look in the middle of a look.
        self._building = threading.RLock()
        self._begun = 0  # builds
        self._taken: Taken | None = None
        self._last: Status | None = None  # once the runtime has ended

    def look(self) -> Status:
        """All that is known now. After the end: all that was known then."""
        if self._last is not None:
            return self._last
        taken, begun = self._taken, self._begun
        if taken is not None and self._holds(taken):
            return taken.status
        if not self._building.acquire(timeout=PATIENCE):
            return self._take() if taken is None else taken.status
        try:
            taken = self._taken
            # One that was begun after this look shows all that this look is to show.
            if taken is None or not (taken.number > begun or self._holds(taken)):
                taken = self._taken = self._build()
            return self._last or taken.status
        finally:
            self._building.release()

    def glance(self) -> dict[str, LineGlance]:
        """The state of each line by its name, feeds in order; it builds no status."""
        lines = _lines(self._shared)
        return {line.name: _glance(line) for feed in self._shared.specs.feeds for line in lines.get(feed, ())}

    def end(self) -> None:
        """The runtime has ended: the last status is the one of this moment."""
        if self._last is None:
            self._last = self._take(ended=True)

    def _holds(self, taken: Taken) -> bool:
        return (
            taken.change is self._shared.change
            and time.monotonic() - taken.at < SHARED
            and self._clock.monotonic() - taken.own_at < SHARED
        )

    def _build(self) -> Taken:
        self._begun += 1
        number, change = self._begun, self._shared.change
        status = self._take()
        return Taken(status, number, change, time.monotonic(), self._clock.monotonic())

    def _take(self, *, ended: bool = False) -> Status:
        """The whole tree at this moment; it reads values that are replaced, never changed.

        `ended`: the tree is no more, whatever its actors have published last.
        """
        shared, inlets, dead_letters = self._shared, self._inlets(), self._dead_letters
        specs, lines = shared.specs.feeds, _lines(shared)
        actors = () if ended else shared.actors
        if ended:
            lines = {feed: list(map(_ended, mine)) for feed, mine in lines.items()}
        streams = {inlet: inlet.status() for inlet in inlets}
        lagging = _by_line(shared.cells, streams)
        untrusted: dict[str, Freshness] = {}
        feeds = {
            feed: self._feed(spec, lines.get(feed, []), lagging, untrusted, ended=ended)
            for feed, spec in specs.items()
        }
        return Status(
            schema_version=1,
            name=self.name,
            state="stopped" if ended else _state(list(feeds.values())),
            feeds=feeds,
            untrusted=untrusted,
            streams=tuple(streams.values()),
            actors=(*actors, *(actor for mine in lines.values() for line in mine for actor in line.actors)),
            dead_letters=DeadLettersStatus(dead_letters.count, dead_letters.newest()),
            quarantine=QuarantineStatus(shared.quarantine.count, shared.quarantine.newest()),
            metrics_errors=self._metrics.errors,
            cooldowns=cooldowns_of(shared.cooldowns, self._clock.wall_ns()),
            halts=shared.halts,
            accounts=dict(shared.accounts()),
            process=self._process(),
        )

    def _process(self) -> ProcessStatus:
        return ProcessStatus(
            version=_version(),
            pid=os.getpid(),
            started_ns=self._started_ns,
            uptime_s=self._clock.monotonic() - self._started,
            config=self._config,
            log_levels=log_queue.levels(),
        )

    def _feed(
        self,
        spec: FeedSpec,
        lines: Sequence[LineView],
        lagging: Mapping[str, Sequence[StreamStatus]],
        untrusted: dict[str, Freshness],
        *,
        ended: bool,
    ) -> FeedStatus:
        shown = {line.name: self._line(line, lagging.get(line.name, ()), untrusted) for line in lines}
        refused = self._shared.cells.refused(spec.venue.feed)
        untrusted |= {str(topic): no_line(cell).about(topic) for topic, cell in refused}
        return FeedStatus(
            venue=spec.venue.name,
            live=not ended and all(line.state == "live" and not line.degraded for line in shown.values()),
            lines=shown,
            refused={str(topic): cell.subscription.reason for topic, cell in refused},
            token_expires_in_s=spec.token_store.expires_in,
            token_error=spec.token_store.trouble,
            login_variables=spec.login_variables,
        )

    def _line(
        self, line: LineView, lagging: Sequence[StreamStatus], untrusted: dict[str, Freshness]
    ) -> LineStatus:
        return _line(line, self._shared, self._looks.line(line.name, line.spec), lagging, untrusted)


@functools.cache
def _version() -> str:
    try:
        return version("linewarden")
    except PackageNotFoundError:  # the package is used from its sources
        return ""


def _lines(shared: SharedState) -> dict[str, list[LineView]]:
    """By feed. A line that the supervisor does not know yet is there as soon as a topic lies on it."""
    specs, lines = shared.specs.feeds, shared.lines.copy()
    for name in shared.cells.lines():
        spec = specs.get(feed := name.partition("/")[0])
        if name not in lines and spec is not None:
            lines[name] = LineView(name=name, feed=feed, spec=spec)
    by_feed: dict[str, list[LineView]] = {}
    for line in lines.values():
        by_feed.setdefault(line.feed, []).append(line)
    return by_feed


def _by_line(cells: Cells, streams: Mapping[Inlet, StreamStatus]) -> dict[str, list[StreamStatus]]:
    """Those in which something waits, by the lines that their topics lie on."""
    by_line: dict[str, list[StreamStatus]] = {}
    for inlet, status in streams.items():
        if status.lag_s:
            found = (cells.get(topic) for topic in inlet.wanted.copy())
            for line in {cell.line for cell in found if cell is not None and cell.line is not None}:
                by_line.setdefault(line, []).append(status)
    return by_line


def _backlog(line: LineView, lagging: Sequence[StreamStatus], now: float) -> Backlog:
    counters = line.counters
    if not line.state.is_open:
        return Backlog(lagging)
    return Backlog(
        lagging,
        line.paused_by_streams,
        counters.receive_lag(now),
        counters.kernel_bytes,
        counters.event_lags.growth(now),
    )


def _glance(line: LineView) -> LineGlance:
    return LineGlance(line.state.shown, None if line.reason is None else cause_of(line.reason))


def _ended(line: LineView) -> LineView:
    return structs.replace(line, state=LineState.STOPPED, retry_at=None, live_at=None, actors=())


def _state(feeds: Sequence[FeedStatus]) -> Literal["starting", "live", "degraded"]:
    if all(feed.live for feed in feeds):
        return "live"
    never = all(
        not line.degraded and line.epoch <= 1 and line.reason is None and line.state != "paused"
        for feed in feeds
        for line in feed.lines.values()
        if line.state != "live" or line.degraded
    )
    return "starting" if never else "degraded"


def _line(
    line: LineView,
    shared: SharedState,
    look: LineLook,
    lagging: Sequence[StreamStatus],
    untrusted: dict[str, Freshness],
) -> LineStatus:
    """`lagging`: streams that get events of it, and in which some wait. `untrusted` is filled in."""
    cells, watched, counters = shared.cells, shared.watches.get(line.name), line.counters
    topics = tuple(_topics(line.name, cells, look, untrusted))
    states, now = cells.venue_states(line.name), look.now
    backlog = _backlog(line, lagging, now)
    rtt_ms = None if watched is None or watched.rtt is None else watched.rtt * 1000.0
    return LineStatus(
        state=line.state.shown,
        since_ns=line.since_ns,
        down_since_ns=line.down_since_ns,
        reason=None if line.reason is None else cause_of(line.reason),
        epoch=line.epoch,
        attempt=line.attempt,
        next_attempt_s=None if line.retry_at is None else max(0.0, line.retry_at - now),
        waiting=_waiting(line, look),
        live_for_s=None if line.live_at is None else now - line.live_at,
        rtt_ms=rtt_ms,
        data_age_s=min((topic.age_s for topic in topics if topic.age_s is not None), default=None),
        health=health(
            HealthInputs(
                live=line.state is LineState.LIVE,
                rtt_ms=rtt_ms,
                missed_pongs=0 if watched is None else watched.missed,
                restarts=line.recent_deaths.count(now),
                quarantined=counters.quarantined,
                stale_topics=sum(topic.stale for topic in topics),
                decodes_nothing=line.state.is_open and counters.decodes_nothing,
            )
        ),
        topics=topics,
        counters=_counters(line, cells),
        last_gap=cells.gaps(line.name)[1],
        venue_states=states.present(look.now_ns),
        venue_journal=states.recent,
        rotations=line.rotations,
        last_venue_error=line.last_venue_error,
        degraded=_degraded(counters) if line.state.is_open and counters.decodes_nothing else "",
        journal=line.journal,
        silent_losses=shared.silent_losses.get(line.name, ()),
        paused_by_streams=line.paused_by_streams,
        url=line.spec.url(line.name, line.door),
        verify_tls=line.spec.dial.verify_tls,
        lag=judge_lag(backlog),
        receive_lag_s=backlog.receive_lag_s,
        kernel_bytes=backlog.kernel_bytes,
        event_lag_s=backlog.event_lag_s,
        compressed=counters.compressed,
    )


def _topics(
    line: str, cells: Cells, look: LineLook, untrusted: dict[str, Freshness]
) -> Iterator[TopicStatus]:
    """The rows of its topics; those that are not fresh are noted."""
    last_events = cells.last_events(line)
    for number, (topic, cell) in enumerate(cells.topics_of(line), 1):
        stamp = None if last_events is None else last_events.stamps.get(topic)
        blind_ns, today_ns = cell.blind_time.with_open(cell.blind_since, look.now_ns)
        judged = look.judged(topic, cell)
        name, fresh = str(topic), look.fresh(topic, cell, judged=judged)
        found = None if judged is None else judged.found
        if not fresh:
            untrusted[name] = fresh.about(name)
        if number % AT_ONCE == 0:
            give_way()
        yield TopicStatus(
            topic=name,
            state=cell.subscription,
            age_s=None if stamp is None else max(0.0, look.now - stamp.at),
            stale=found is not None and found.state == "stale",
            blind_s=blind_ns / 1e9,
            blind_today_s=today_ns / 1e9,
            freshness=structs.replace(found, fresh=True) if fresh and found is not None else found,
        )


def _degraded(counters: LineCounters) -> str:
    return f"{counters.undecoded:,} messages in a row could not be decoded; see linewarden quarantine"


def _waiting(line: LineView, look: LineLook) -> str:
    if line.retry_at is None or line.wait != "asked":
        return ""
    return waiting_until(max(0.0, line.retry_at - look.now), look.now_ns)


def cooldowns_of(known: Mapping[str, Cooldown], now_ns: int) -> tuple[CooldownStatus, ...]:
    """Those that are not over, the nearest end first."""
    rest = sorted(known.items(), key=lambda pair: (pair[1].until_ns, pair[0]))
    return tuple(
        CooldownStatus(name, each.until_ns, each.why, each.line, "venue" if each.is_asked else "linewarden")
        for name, each in rest
        if now_ns < each.until_ns
    )


def _counters(line: LineView, cells: Cells) -> Counters:
    counts, lost = line.tally.counts(), line.tally.lost
    repairs = cells.repairs(line.name)
    return Counters(
        **counts,
        lost=lost,
        in_flight=counts["decoded"] - sum(counts[name] for name in OUTCOMES) - lost,
        restarts=line.deaths,
        restored=line.restored,
        gaps=cells.gaps(line.name)[0],
        repaired=repairs.complete,
        unrepaired=repairs.incomplete,
    )
