"""What the supervisor supervises: feeds as they are wanted, lines as they are."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct, field, structs

from actors import log_queue
from actors.actor import Actor, Inbox, KeptReply, Roles, letter
from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.backfills import AskVenue, Cancel
from actors.delivery.cells import Cells
from actors.delivery.routing import Routing
from actors.delivery.runs import RunBudget
from actors.diagnostics import QuarantinedMessages
from actors.errors import LinewardenError
from actors.events import Freshness, Topic
from actors.feed_spec import FeedSpec, Specs
from actors.log_events import LogEvent
from actors.login.token_store import Shows
from actors.messages import ChildExited
from actors.metrics import LineMetrics, UserMetrics
from actors.protocol.limits import TokenBucket
from actors.protocol.rest import Call
from actors.reasons import Reason, Slow, Stopped
from actors.rules.connect_limit import Wait
from actors.rules.counters import LineCounters
from actors.rules.doors import Doors
from actors.rules.journal import KEPT, Journal, LineExit, RecoveryTimes, SilentLossEntry
from actors.rules.ledger import Ledger
from actors.rules.line import LineState, RotationState, ShownState
from actors.rules.liveness import RecentRoundTrips, Watched
from actors.rules.outage_log import OutageLog
from actors.rules.poor_health import HealthWatch
from actors.rules.restarts import Restarts
from actors.rules.stale_log import StaleLog
from actors.secret import origin
from actors.status import AccountStatus, ActorStatus, HaltStatus, cause_of
from actors.supervision.cooldown_file import Cooldown, Cooldowns
from actors.timers import Timer, Timers
from actors.wire.connect import ConnectCancel

OUTCOMES = ("routed", "unrouted", "duplicates", "quarantined")  # of what was decoded
COUNTED = ("bytes", "frames", "decoded", *OUTCOMES)
WORKERS = ("registry", "dispatcher", "heartbeat", "requester")  # in the order of their start


OnEnd = Callable[[str, bool], None]  # is called with the reason, and whether a stop was asked for


class Environment(Struct, frozen=True, kw_only=True):
    """What a runtime gives to its actors, beside its feeds."""

    roles: Roles = field(default_factory=lambda: Roles(("supervisor", *WORKERS)))
    timers: Timers
    watchdog: float  # seconds without progress; 0: none
    chance: random.Random
    cooldowns: Cooldowns
    metrics: UserMetrics


def refuse_read(feed: str, _call: Call[Any], _seconds: float, told: Callable[[Any], None]) -> Cancel:
    """Of a runtime without requests."""
    told(LinewardenError(f"{feed}: there is nothing to ask the venue with"))
    return _nothing


def _nothing() -> None:
    """Ends a question that was not asked."""


class SharedState:
    """What outlives the actors that work on it. One keeper of a role at a time changes its part, under the
    lease of the role; what any thread may look at is in the cells."""

    def __init__(self, specs: Specs) -> None:
        self.specs = specs  # as they are in force; replaced by the supervisor
        self.cells = Cells()
        self.arrivals = Arrivals()
        self.run_budget = RunBudget()
        self.ledger = Ledger()
        self.routing = Routing()
        self.watches: dict[str, Watched] = {}  # by line; the heartbeat's
        self.buckets: dict[str, TokenBucket] = {}  # by feed: how often its venue may be asked for prices
        self.quarantine = QuarantinedMessages()
        self.ask_venue: AskVenue = refuse_read  # before it begins, its runtime replaces it
        self.cooldowns: Mapping[str, Cooldown] = {}  # by account; the supervisor replaces it
        # By name, as the supervisor shows them; before it begins, those that it begins with.
        self.lines = {
            name: LineView(name=name, feed=feed, spec=spec)
            for feed, spec in specs.feeds.items()
            for name in spec.venue.spread(spec.wanted)
        }
        self.halts: tuple[HaltStatus, ...] = ()  # that stand; `trading/halting.py` replaces it
        # `trading/accounts.py` replaces these three: what is known of the accounts that are followed, by line
        # what their audits have found missing, and why topics of theirs are not trusted.
        self.accounts: Callable[[], Mapping[str, AccountStatus]] = dict
        self._noting = threading.Lock()
        self.silent_losses: Mapping[str, tuple[SilentLossEntry, ...]] = {}
        self.distrusted: Mapping[Topic, str] = {}
        self.actors: tuple[ActorStatus, ...] = ()  # all but connections, as the supervisor shows them
        self.change: object = None  # replaced with each change that the next status is to show

    def show(self, line: LineRecord, *, news: bool = True) -> None:
        """Replace what any thread may see of this line. `news`: the next status is to show it."""
        if line.state is LineState.GONE:
            self.lines.pop(line.name, None)
        else:
            self.lines[line.name] = line.view()
        if news:
            self.note_change()

    def show_halts(self, halts: tuple[HaltStatus, ...]) -> None:
        """These stand now."""
        self.halts = halts
        self.note_change()

    def distrust(self, topics: Collection[Topic], why: str) -> None:
        """These are not fresh from now on; `why` empty: they may be again. Any thread."""
        with self._noting:
            others = {topic: text for topic, text in self.distrusted.items() if topic not in topics}
            self.distrusted = others | dict.fromkeys(topics, why) if why else others
        self.note_change()

    def note_silent_loss(self, line: str, entry: SilentLossEntry) -> None:
        """An audit has found it. Any thread."""
        with self._noting:
            known = self.silent_losses.get(line, ())
            self.silent_losses = {**self.silent_losses, line: (*known, entry)[-KEPT:]}
        self.note_change()

    def note_change(self) -> None:
        """The next look at the status builds a new one. Any thread."""
        self.change = object()

    def present_feeds(self) -> Collection[str]:
        """The feeds that the config has now."""
        return self.specs.feeds.keys()

    def lend_routing(self, *, copy: bool) -> Routing:
        """The former dispatcher loses its right to write; a `copy`, where it still holds the original."""
        self.arrivals.revoke(self.routing.right)
        if copy:
            self.routing = self.routing.copy()
        self.routing.right = Right(makes_calls=False)
        return self.routing

    def new_watches(self) -> dict[str, Watched]:
        """For a new heartbeat, which is told of every life again."""
        self.watches = {}
        return self.watches


class Child:
    """One incarnation of one actor, as its supervisor sees it."""

    def __init__(self, actor: Actor, inbox: Inbox) -> None:
        self.id, self.incarnation = actor.id, actor.incarnation
        self.thread = actor.thread
        self.inbox = inbox
        self.stack = ""  # of its thread, once it is wedged

    def status(self) -> ActorStatus:
        return ActorStatus(
            self.id, "wedged" if self.stack else "running", self.incarnation, self.incarnation - 1, self.stack
        )

    def tell(self, message: object) -> None:
        """Straight into its inbox, whatever its role's address points at."""
        self.inbox.put(letter(message))

    def matches(self, exited: ChildExited) -> bool:
        return self.id == exited.id and self.incarnation == exited.incarnation


class RotationRequest:
    """One question for rotations, and what came of them so far. `target` is a feed or a line.

    `holds`: candidates that have settled do not take over. They wait for each other, and for the word that
    all shall (`Rotations.commit`).
    """

    def __init__(self, reply: KeptReply, target: str, lines: Collection[str], *, holds: bool = False) -> None:
        self._reply = reply
        self._waiting = set(lines)
        self._results: dict[str, str] = {}
        self.target, self.holds = target, holds
        self.records: tuple[LineRecord, ...] = ()  # the lines of one that holds
        self.epochs: dict[str, int] = {}  # of candidates that have settled, by line

    def note(self, line: str, why_not: str) -> None:
        self._waiting.discard(line)
        self._results[line] = why_not

    def settled(self, line: str, epoch: int) -> None:
        """The candidate of this line waits for the others."""
        self.epochs[line] = epoch
        self.note(line, "")
        self.answer()

    def unsettled(self, line: str) -> None:
        """It has more to ask for."""
        if self.epochs.pop(line, None) is not None:
            self._waiting.add(line)

    def why_not(self, line: str) -> str:
        return self._results.get(line, "") or "its topics wait for the venue's answers"

    def answer(self) -> None:
        """If nothing is waited for any more."""
        if not self._waiting:
            self._reply.set(dict(self._results))


class Life:
    """One connection of a line: the present one, a candidate, or a former one that hands over."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.child: Child | None = None
        self.door = 0  # the index of its address
        self.shows: Shows = "stored"  # which token
        self.is_settled = False  # as a candidate
        self.connect_cancel, self.right, self.counters = ConnectCancel(), Right(), LineCounters()


class LineTally(Struct, frozen=True):
    """What a line has counted: the sums of the connections that have ended, and where the others count."""

    ended: Mapping[str, int] = {}
    lost: int = 0  # events that ended with a connection
    counting: Mapping[int, LineCounters] = {}  # by epoch

    def counts(self) -> dict[str, int]:
        """Over all epochs, now. Outcomes first: no event is counted as an outcome alone."""
        return {
            name: self.ended.get(name, 0) + sum(getattr(each, name) for each in self.counting.values())
            for name in reversed(COUNTED)
        }


class LineHistory:
    """What outlives a line's record, by the line's name: no epoch is used twice, and no count is lost."""

    def __init__(self) -> None:
        self.last_epoch = 0
        self.tally = LineTally()

    def begin(self) -> Life:
        """A connection that is about to start."""
        self.last_epoch += 1
        life = Life(self.last_epoch)
        self.tally = structs.replace(self.tally, counting={**self.tally.counting, life.epoch: life.counters})
        return life

    def fold(self, epoch: int) -> None:
        """That epoch counts no more. What it decoded and did not bring anywhere is lost."""
        counting = dict(self.tally.counting)
        counters = counting.pop(epoch, None)
        if counters is None:
            return
        counts = LineTally(counting={epoch: counters}).counts()
        ended = {name: self.tally.ended.get(name, 0) + count for name, count in counts.items()}
        lost = counts["decoded"] - sum(counts[name] for name in OUTCOMES)
        self.tally = LineTally(ended, self.tally.lost + lost, counting)


class LineView(Struct, frozen=True):
    """A line as any thread may see it; the supervisor replaces it with each change.

    What counts on goes on in it: counters are written by the connection alone. With its defaults it shows a
    line that is about to be started.
    """

    name: str
    feed: str
    spec: FeedSpec
    state: LineState = LineState.NEW
    since_ns: int | None = None  # wall clock, in the state that is shown
    down_since_ns: int | None = None  # wall clock; None: this life has been live
    epoch: int = 0
    reason: Reason | None = None
    last_venue_error: str = ""
    attempt: int = 0
    retry_at: float | None = None
    wait: Wait = "backoff"  # until then
    live_at: float | None = None
    rotations: int = 0
    restored: int = 0
    deaths: int = 0
    recent_deaths: RecentRoundTrips = field(default_factory=RecentRoundTrips)
    journal: tuple[LineExit, ...] = ()
    tally: LineTally = LineTally()
    counters: LineCounters = field(default_factory=LineCounters)
    door: int = 0  # the index of the address that its connection has
    former: LineCounters | None = None  # of a connection that is to hand over
    actors: tuple[ActorStatus, ...] = ()  # its connection and its candidate, or one that waits for its time

    @property
    def paused_by_streams(self) -> tuple[int, ...]:
        """The streams that make the line pause, or a connection which is to hand over."""
        former = () if self.former is None else self.former.paused_by_streams
        return tuple(dict.fromkeys((*self.counters.paused_by_streams, *former)))


class LineRecord:
    """One line: what it is, and where it stands."""

    def __init__(
        self, name: str, feed: str, spec: FeedSpec, environment: Environment, history: LineHistory
    ) -> None:
        self.name, self.feed, self.spec = name, feed, spec
        self.metrics = LineMetrics(environment.metrics, feed, name)
        self.history = history
        self.restarts = Restarts(spec.policy.restart, environment.chance)
        self.health = HealthWatch()
        self.doors = Doors(spec.urls)
        self.state = LineState.NEW  # `Lines` alone changes it
        self.since_ns = environment.timers.clock.wall_ns()  # in the state that is shown
        self.down_since_ns: int | None = self.since_ns  # None: this life has been live
        self.rotating = RotationState.NONE  # `Rotations` alone changes it
        self.life = Life(history.last_epoch)  # the present one, or the last
        self.reason: Reason | None = None  # of the last ending
        self.last_venue_error = ""  # the last error of the venue's that concerned no topic
        self.candidate: Life | None = None  # may take over, if the venue confirms as much to it
        self.former: Life | None = None  # until it has read what was sent to it
        self.missing_since_ns = 0  # the last sign of life of a former connection, where the next had no turn
        self.rotates_next: list[RotationRequest] = []  # held ones; they begin when the present one is over
        self.wants_rotation: list[RotationRequest] = []  # the questions that wait for the end of that
        self.rotations = 0  # connections that took over from another without a gap
        self.rotation: Timer | None = None  # when the next one is planned
        self.rotation_turn = 0  # of that timer
        self.closing_epoch = 0  # whose connection the venue has said it will close
        self.live_at: float | None = None  # monotonic seconds: when this life was first live
        self.retry: Timer | None = None
        self.retry_at: float | None = None
        self.wait: Wait = "backoff"  # what it waits for until then
        self.turn = 0  # of the retry timer
        self.stale: Mapping[Topic, Freshness] = {}  # as the heartbeat reported last, in this life
        self.stale_log = StaleLog()
        self.restored = 0  # times it was live again after a death
        self.deaths = 0  # lives that ended without being asked to
        self.deaths_when_live = 0  # the same, when it was last live
        self.recent_deaths = RecentRoundTrips()
        self.journal = Journal()
        self.outage = OutageLog()

    @property
    def epoch(self) -> int:
        return self.life.epoch

    @property
    def has_closed_its_streams(self) -> bool:
        """It has failed, and its feed wants no stream to wait for such lines."""
        return self.state.has_given_up and self.spec.policy.restart.give_up == "close"

    @property
    def shown(self) -> ShownState:
        """Its state, as status shows it."""
        return self.state.shown

    def move(self, state: LineState, at_ns: int) -> None:
        """It is in this state since `at_ns` (wall clock), unless it was shown in the same one before."""
        if state.shown != self.state.shown:
            self.since_ns = at_ns
        self.state = state
        if state is LineState.LIVE:
            self.down_since_ns = None
        elif self.live_at is None and self.down_since_ns is None:
            self.down_since_ns = at_ns

    def view(self) -> LineView:
        return LineView(
            name=self.name,
            feed=self.feed,
            spec=self.spec,
            state=self.state,
            since_ns=self.since_ns,
            down_since_ns=self.down_since_ns,
            epoch=self.epoch,
            reason=self.reason,
            last_venue_error=self.last_venue_error,
            attempt=self.restarts.attempt,
            retry_at=self.retry_at,
            wait=self.wait,
            live_at=self.live_at,
            rotations=self.rotations,
            restored=self.restored,
            deaths=self.deaths,
            recent_deaths=self.recent_deaths,
            journal=self.journal.exits(),
            tally=self.history.tally,
            counters=self.life.counters,
            door=self.life.door,
            former=None if self.former is None else self.former.counters,
            actors=self._actors(),
        )

    def _actors(self) -> tuple[ActorStatus, ...]:
        if self.life.child is None and self.retry_at is not None:
            return (ActorStatus(f"connection/{self.name}", "restarting", self.epoch, self.epoch - 1),)
        return tuple(child.status() for child in self.children())

    def children(self) -> list[Child]:
        """Its connection and its candidate."""
        lives = (self.life, self.candidate)
        return [life.child for life in lives if life is not None and life.child is not None]

    def log(
        self, logger: log_queue.EventLogger, level: int, event: LogEvent, text: str, cause: str = ""
    ) -> None:
        """`cause` is what records that differ in their numbers have in common."""
        about: log_queue.Place = {"line": self.name, "epoch": self.epoch, "feed": self.feed}
        logger.log(level, event, "%s: %s", self.name, text, cause=cause or text, **about)

    def access(self) -> tuple[object, ...]:
        """What a stable life proves to work: URL, credentials and the way there."""
        return *self.spec.access, self.spec.url(self.name, self.life.door)

    def capped(self, logger: log_queue.EventLogger, reason: Reason) -> Reason:
        """The reason with as much of the venue's pause as the policy observes; a longer one is logged."""
        capped = self.restarts.capped(reason)
        if isinstance(reason, Slow) and capped != reason:
            cap = self.spec.policy.restart.retry_after_cap
            text = f"the venue asks for a pause of {reason.retry_after:.0f} s; {cap:g} s of it are observed"
            text = f"{text} (retry_after_cap): {reason.text}"
            self.log(logger, logging.WARNING, "cooldown.capped", text, "retry_after_cap")
        return capped

    def epochs(self) -> tuple[int, ...]:
        """Those whose messages are of interest."""
        return (self.epoch,) if self.candidate is None else (self.epoch, self.candidate.epoch)

    def take_doors(self, urls: Sequence[str]) -> None:
        """Other addresses: begin with the first. The index that a connection has means nothing there."""
        self.doors = Doors(urls)
        for life in (self.life, self.candidate, self.former):
            if life is not None:
                life.door = 0

    def promote(self, candidate: Life) -> None:
        """The candidate is the line's connection from now on."""
        self.life, self.candidate, self.stale = candidate, None, {}

    def begin_life(self) -> Life:
        """The line's next connection, which is about to start."""
        self.life, self.stale = self.history.begin(), {}
        self.live_at, self.missing_since_ns = None, 0
        return self.life

    def begin_live(self, now: float) -> None:
        """Live for the first time in this life."""
        self.live_at = now
        self.journal.mark("live", now)
        self.last_venue_error = ""  # of a life that is over
        self.restored += self.deaths > self.deaths_when_live
        self.deaths_when_live = self.deaths

    def end_life(self, reason: Reason, now: float) -> None:
        """Its connection has ended: counts, and the reason where it was not asked to.

        Its socket is shut here, too: a connection may fail at its own cleanup.
        """
        self.life.child = None
        self.life.connect_cancel.cancel()
        self.metrics.increment_later("line_stops_total", kind=cause_of(reason).kind)
        if not isinstance(reason, Stopped):
            self.metrics.increment_later("line_errors_total", code=reason.code)
            self.reason = reason
            self.deaths += 1
            self.recent_deaths.add(now)

    def enter_in_journal(self, reason: Reason, now: float, now_ns: int) -> None:
        """How this life ended; `restarts` has judged it."""
        if self.life.counters.data_at is not None:
            self.journal.mark("data", self.life.counters.data_at)
        cause = cause_of(reason)
        ending = LineExit(
            epoch=self.epoch,
            at_ns=now_ns,
            kind=cause.kind,
            code=cause.code,
            text=cause.text,
            attempt=self.restarts.attempt,
            lived_s=None if self.live_at is None else now - self.live_at,
            split=RecoveryTimes(),
            url=origin(self.doors.urls[self.life.door % len(self.doors.urls)]) if self.spec.others else "",
        )
        self.journal.ended(ending, self.life.counters.received_at or None, now)
