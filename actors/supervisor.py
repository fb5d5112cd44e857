"""Starts children, hears how they ended, and restarts them or gives up: one for one.

It decides by `rules/restarts.py` and carries out; it never waits for anybody, so that `status` and
`stop` are answered while connects hang and children crash.
"""

from __future__ import annotations

import logging
import random
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal

from pykka._envelope import Envelope

from actors import census
from actors.actor import Actor, DeadLetters, Inbox, KeptReply
from actors.children import Children
from actors.connection import Gauges
from actors.cooldowns import Cooldowns
from actors.errors import LinewardenError, RuntimeStopped
from actors.events import LifecycleState, Topic
from actors.gates import Gates
from actors.messages import (
    AreYouThere,
    AwaitLive,
    ChildAnswered,
    ChildExited,
    Crashed,
    EndConnection,
    Fatal,
    HangUp,
    KeeperStarted,
    LineChanged,
    LineLost,
    LineNeeded,
    LineSettled,
    LineUnneeded,
    LineUnsettled,
    LineUpgraded,
    PhaseOverdue,
    Reason,
    Reload,
    Report,
    Retryable,
    RetryDue,
    Rotate,
    RotateDue,
    SessionOpened,
    StableDue,
    StopAll,
    Stopped,
    Subscribe,
    TopicsStale,
    Unsubscribe,
    VenueComplained,
    WatchdogDue,
    WorkerDue,
)
from actors.metrics import Metrics
from actors.rotation import Rotations
from actors.rules.freshness import Freshness
from actors.rules.journal import Ending, Split
from actors.rules.restarts import Intensity, Park, Rest, Restarts, Retry, comes_back
from actors.status import LineState, Status, cause_of
from actors.tree import WORKERS, Asked, Books, Child, FeedSpec, LineRecord, Roles, Specs
from actors.wire.timers import Timers

log = logging.getLogger("actors.supervisor")

ROTATE_AGAIN = 60.0  # seconds after which a rotation that failed is tried again, at the latest
THREAD_AGAIN = 1.0  # seconds after which a thread that there was not is asked for again
SOON = 1.0  # seconds between two rotations for the sake of a token, at the least
CONFIG = 0  # the stream number under which the config wants its topics


class Supervisor(Actor):
    """The root of the tree. Its public methods are what `runtime.supervisor` offers, as futures."""

    def __init__(
        self,
        inbox: Inbox,
        dead_letters: DeadLetters,
        *,
        name: str,
        specs: Specs,
        roles: Roles,
        timers: Timers,
        watchdog: float,
        chance: random.Random,
        cooldowns: Cooldowns,
        metrics: Metrics,
        on_end: Callable[[str, bool], None],
    ) -> None:
        super().__init__("supervisor", 1, inbox, None, dead_letters)
        self._name = name
        self._specs = dict(specs.feeds)  # with those of removed feeds: their last messages are on the way
        self._roles = roles
        self._timers, self._clock = timers, timers.clock
        self._address = roles.named("supervisor")
        self._watchdog = watchdog
        self._chance = chance
        self._gates = Gates(self._clock, chance, cooldowns)
        self._metrics = metrics
        self._on_end = on_end  # told why, and whether somebody wanted it
        self._workers: dict[str, Child] = {}
        self._incarnations = dict.fromkeys(WORKERS, 0)
        self._intensity = {role: Intensity() for role in WORKERS}
        self._wedged: list[Child] = []  # given up on, and their threads are still there
        self._lines: dict[str, LineRecord] = {}
        self._epochs: dict[str, int] = {}  # the last ones of lines that are gone: none is used twice
        self._totals: dict[str, Gauges] = {}  # what such lines have counted: the routes count on, too
        self._books = Books(specs)
        self._children = Children(roles, self._books, self._specs, self._lines, timers, dead_letters)
        self._rotations = Rotations(roles, self._books, self._children, timers)
        self._waiters: list[tuple[AwaitLive, KeptReply]] = []
        self._stopping = False
        self._stoppers: list[KeptReply] = []
        self._deadline = 0.0
        self._phase = 0
        self._phase_ids: set[tuple[str, int]] = set()
        self._leftovers: list[str] = []
        self._why = "stopped"
        # Before anybody else can want anything: the registry places topics on the lines that are started.
        for spec in specs.feeds.values():
            self._want(spec.wanted, ())

    # ── what users ask, through a proxy ──

    def status(self) -> Status:
        """All that is known now. Asks nobody, so it answers whatever the children do."""
        return census.take(
            self._name,
            self._feeds,
            self._lines,
            self._books,
            [*self._present(), *self._wedged],
            self._awaited(),
            self._dead_letters,
            self._clock,
        )

    def restart(self, target: str) -> Literal["accepted"]:
        """Clear failures and attempts of a feed or line, and connect it anew.

        Raises:
            LinewardenError: there is no such feed or line.
        """
        for line in self._targets(target):
            line.restarts.clear()
            self._gates.open(line.spec)
            line.paused = line.told_failed = False
            self._start_anew(line, Stopped("restart asked for"))
        return "accepted"

    def pause(self, target: str) -> Literal["accepted"]:
        """Close the sockets of a feed or line; what is wanted of it stays wanted.

        Raises:
            LinewardenError: there is no such feed or line.
        """
        for line in self._targets(target):
            if line.paused:
                continue
            line.paused = True
            line.again = False
            line.state = "paused"  # at once: whoever asks next is not told of the life that is ending
            self._rotations.drop(line, "the line is paused")
            self._cancel_retry(line)
            if line.child is not None:
                line.pausing = True
                self._roles.connection(line.name).tell(EndConnection(Stopped("paused")))
            else:
                self._rest(line)
        return "accepted"

    def resume(self, target: str) -> Literal["accepted"]:
        """Undo a pause.

        Raises:
            LinewardenError: there is no such feed or line.
        """
        for line in self._targets(target):
            if line.paused:
                line.paused = False
                self._start_anew(line, Stopped("resume asked for"))
        return "accepted"

    def _lines_of(self, feed: str) -> list[LineRecord]:
        return [line for line in self._lines.values() if line.feed == feed]

    def _targets(self, target: str) -> list[LineRecord]:
        found = [line for line in self._lines.values() if target in {line.name, line.feed}]
        if found or target in self._feeds:
            return found
        known = list(dict.fromkeys((*self._feeds, *self._lines)))
        near = get_close_matches(target, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise LinewardenError(f"there is no feed or line {target!r}{hint} There are: {', '.join(known)}.")

    # ── mail ──

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, Report):
            self._hear_report(message)
            return
        match message:
            case ChildExited():
                self._child_exited(message)
            case ChildAnswered(id=id, incarnation=incarnation):
                self._answered(id, incarnation)
            case RetryDue(line=name, turn=turn):
                line = self._lines.get(name)
                if line is not None and line.turn == turn and line.child is None:
                    self._start_line(line)
            case WorkerDue(role=role):
                if role not in self._workers and not self._stopping:
                    self._start_worker(role)
            case WatchdogDue():
                self._watch()
            case LineNeeded(feed=feed, line=name):
                self._need(feed, name)
            case LineUnneeded(line=name):
                self._let_go(name)
            case AwaitLive():
                self._waiters.append((message, self.keep_reply()))
                self._tell_waiters()
            case Rotate(target=target):
                self._rotate(target)
            case RotateDue(line=name, turn=turn):
                line = self._lines.get(name)
                if line is not None and line.rotation_turn == turn:
                    self._begin_rotation(line)
            case HangUp(line=name, epoch=epoch):
                if (line := self._lines.get(name)) is not None:
                    self._rotations.overdue(line, epoch)
            case Reload(specs=specs):
                self._reload(specs)
            case StopAll(timeout=timeout):
                self._stoppers.append(self.keep_reply())
                self._begin_stop(timeout)
            case PhaseOverdue(phase=phase):
                self._phase_overdue(phase)
            case KeeperStarted():
                self._start_tree()
            case _:
                self.unknown(message)

    def _hear_report(self, report: Report) -> None:
        line = self._lines.get(report.line)
        if line is None:
            return
        candidate = line.candidate
        if line.epoch == report.epoch and line.child is not None:
            self._hear_of_line(line, report)
        elif candidate is not None and candidate.epoch == report.epoch:
            if self._rotations.hear(line, candidate, report):
                self._weigh(line)
                self._plan_rotation(line)
                self._plan_stable(line)
            elif line.candidate is None:  # it was dropped
                self._plan_rotation(line, failed=True)

    def _hear_of_line(self, line: LineRecord, report: Report) -> None:
        match report:
            case LineUpgraded():
                line.upgraded = True
                line.metrics.increment("line_connects_total")
                self._progress(line, "logging_in")
                line.journal.mark("upgraded", self._clock.monotonic())
            case SessionOpened():
                line.session_open = True
                self._progress(line, "subscribing")
                line.journal.mark("opened", self._clock.monotonic())
                for role in ("registry", "heartbeat"):  # from here, so that a past life cannot say it
                    self._roles.named(role).tell(report)
                self._weigh(line)
            case LineSettled():
                line.settled = True
                self._weigh(line)
            case LineUnsettled():
                line.settled = False
                if line.live:
                    line.state = "subscribing"
            case StableDue():
                if line.live_at is not None:
                    line.restarts.stable()
            case VenueComplained(code=code, text=text):
                line.complaint = text
                self._log(line, logging.WARNING, f"the venue reports {code}: {text}; the line stays up")
            case TopicsStale(topics=topics):
                self._stale(line, topics)
            case _:
                self.unknown(report)

    # ── the workers ──

    def _start_tree(self) -> None:
        for role in self._children.workers:
            self._start_worker(role)
        for feed, spec in self._feeds.items():
            self._start_feed(feed, spec)
        if self._watchdog:
            self._timers.send_after(self._watchdog / 2, self._address, WatchdogDue())

    def _start_worker(self, role: str) -> None:
        """Where the machine gives no thread, its mail waits for one: that ends nothing."""
        self._incarnations[role] += 1
        try:
            self._workers[role] = self._children.workers[role].start(self._incarnations[role])
        except RuntimeError as error:
            log.warning("%s: no thread for it (%s); asked again in %g s.", role, error, THREAD_AGAIN)
            self._timers.send_after(THREAD_AGAIN, self._address, WorkerDue(role))

    def _awaited(self) -> dict[str, int]:
        """Workers for which there is no thread, with the number of the life that was to begin."""
        if self._stopping:
            return {}
        return {
            role: begun for role, begun in self._incarnations.items() if begun and role not in self._workers
        }

    # ── who has ended ──

    def _child_exited(self, exited: ChildExited) -> None:
        self._wedged = [child for child in self._wedged if not child.is_it(exited)]
        name = exited.id.partition("connection/")[2]
        line = self._lines.get(name)
        if line is not None:
            if line.child is not None and line.child.is_it(exited):
                self._line_ended(line, exited.reason)
            elif line.candidate is not None and line.candidate.epoch == exited.incarnation:
                self._rotations.ended(line, exited.reason)
                self._plan_rotation(line, failed=True)
            else:
                self._rotations.former_ended(line, exited.incarnation, exited.reason)
            line.leaving.pop(exited.incarnation, None)
            line.fold(exited.incarnation)
        elif exited.id in self._workers and self._workers[exited.id].is_it(exited):
            self._worker_ended(exited.id, exited.reason)
        if self._stopping:
            self._phase_ids.discard((exited.id, exited.incarnation))
            self._advance()

    def _worker_ended(self, role: str, reason: Reason) -> None:
        del self._workers[role]
        if self._stopping:
            return
        if self._intensity[role].exceeded(self._clock.monotonic()):
            limit = self._intensity[role]
            self._give_up(f"the {role} died more than {limit.limit} times in {limit.period:g} s")
            return
        if comes_back(self._children.workers[role].restart, reason):
            log.error("%s ended (%s: %s); a new one takes its book over.", role, reason.code, reason.text)
            self._start_worker(role)

    def _give_up(self, why: str) -> None:
        log.critical("%s: the runtime stops.", why)
        self._why = why
        self.exit(Crashed(why))

    # ── feeds ──

    @property
    def _feeds(self) -> Mapping[str, FeedSpec]:
        return self._books.specs.feeds

    def _reload(self, specs: Specs) -> None:
        """Bring the feeds in line with these specs; sockets stay open where their connection is as it was."""
        former = self._books.specs
        if specs.generation <= former.generation:
            return
        gone = [name for name, spec in former.feeds.items() if _is_another(spec, specs.feeds.get(name))]
        for feed in gone:
            self._want((), former.feeds[feed].wanted)
            for line in self._lines_of(feed):
                self._remove(line)
        self._books.specs = specs
        self._specs.update(specs.feeds)
        for feed, spec in specs.feeds.items():
            before = former.feeds.get(feed)
            if before is None or feed in gone:
                self._want(spec.wanted, ())
                self._start_feed(feed, spec)
            elif before is not spec:
                self._change_feed(feed, before, spec)

    def _change_feed(self, feed: str, before: FeedSpec, spec: FeedSpec) -> None:
        self._want(
            [topic for topic in spec.wanted if topic not in before.wanted],
            [topic for topic in before.wanted if topic not in spec.wanted],
        )
        for line in self._lines_of(feed):
            self._adjust(line, spec, anew=before.identity != spec.identity)
        spec.vault.follow(spec.venue, spec.dial)  # what was kept of a token is for the new settings to use

    def _start_feed(self, feed: str, spec: FeedSpec) -> None:
        for line in [self._add_line(name, feed) for name in spec.venue.spread(spec.wanted)]:
            if line.child is None:
                self._start_line(line)

    def _want(self, more: Sequence[Topic], less: Sequence[Topic]) -> None:
        registry = self._roles.named("registry")
        if more:
            registry.tell(Subscribe(CONFIG, tuple(more)))
        if less:
            registry.tell(Unsubscribe(CONFIG, tuple(less)))

    def _adjust(self, line: LineRecord, spec: FeedSpec, *, anew: bool) -> None:
        if line.spec.restart != spec.restart:
            line.restarts = Restarts(spec.restart, self._chance)
        line.spec = spec
        if anew and not line.paused:
            self._start_anew(line, Stopped("its config has changed"))
        elif line.session_open and line.child is not None:
            # The heartbeat takes its new rhythm from the beginning of a life.
            self._roles.named("heartbeat").tell(SessionOpened(line.name, line.epoch))

    # ── lines ──

    def _add_line(self, name: str, feed: str) -> LineRecord:
        """A new line; or one that is just being removed, and stays as what is wanted now."""
        line = self._lines.get(name)
        if line is None:
            line = LineRecord(name, feed, self._feeds[feed], self._chance, self._metrics)
            line.epoch = line.last_epoch = self._epochs.get(name, 0)
            line.total = self._totals.get(name, line.total)
            self._lines[name] = line
        if line.removed and line.child is not None:  # it is followed by a new life, not by the old one
            line.again = True
            line.state = "connecting"
        line.removed = False
        if line.spec is not self._feeds[feed]:
            self._adjust(line, self._feeds[feed], anew=False)
        return line

    def _drop_line(self, line: LineRecord) -> None:
        self._epochs[line.name] = line.last_epoch
        self._totals[line.name] = line.total
        del self._lines[line.name]

    def _need(self, feed: str, name: str) -> None:
        """A connection that is just being closed is followed by a new one as soon as it has ended."""
        if feed not in self._feeds:  # removed, while the registry was asking
            return
        line = self._add_line(name, feed)
        if line.state == "stopped" and line.child is None:
            self._start_line(line)

    def _let_go(self, name: str) -> None:
        line = self._lines.get(name)
        if line is None or name in line.spec.venue.first_lines() or self._books.ledger.topics(name):
            return
        self._remove(line)

    def _remove(self, line: LineRecord) -> None:
        line.removed = True
        line.again = False
        line.state = "stopped"
        self._rotations.drop(line, "nobody needs the line any more")
        self._cancel_retry(line)
        if line.child is not None:
            self._roles.connection(line.name).tell(EndConnection(Stopped("nobody needs this line")))
        else:
            self._drop_line(line)

    def _start_line(self, line: LineRecord) -> None:
        if self._stopping:
            return
        self._cancel_retry(line)
        seconds, why = self._gates.knock(line.name, line.spec)
        if seconds:
            line.state = "backoff"
            self._retry_in(line, seconds)
            self._log(line, logging.INFO, f"connects in {seconds:.2f} s: {why}")
            return
        epoch = line.next_epoch()
        line.metrics.increment("line_starts_total")
        line.state = "connecting"
        line.journal.mark("started", self._clock.monotonic())
        try:
            line.child = self._children.connection(line).start(epoch)
        except (OSError, RuntimeError) as error:  # no descriptor, no thread
            line.fold(epoch)
            if "interpreter shutdown" in str(error):  # the program ends: nobody will miss this line
                line.state = "stopped"
                return
            self._line_ended(line, Retryable(f"this machine gives no more: {error}", "resources"))

    def _line_ended(self, line: LineRecord, reason: Reason) -> None:
        self._rotations.drop(line, "the connection that it was to replace has ended")
        line.child = None
        self._roles.connection(line.name).point(None)
        for role in ("registry", "heartbeat"):
            self._roles.named(role).tell(LineLost(line.name, line.epoch))
        line.metrics.increment("line_stops_total", kind=cause_of(reason).kind)
        if not isinstance(reason, Stopped):
            line.metrics.increment("line_errors_total", code=reason.code)
            line.reason = reason
            line.lost = True
            line.deaths += 1
            line.recent_deaths.add(self._clock.monotonic())
            self._gates.learn(line.spec, reason)
        verdict = line.restarts.ended(reason, reached=line.upgraded, now=self._clock.monotonic())
        self._enter_in_journal(line, reason)
        was_live, line.live_at = line.live_at is not None, None
        if line.upgraded:
            self._tell_streams(line, "disconnected", reason)
        if line.pausing:  # also where it has been resumed already: the streams were promised a pause
            line.pausing = False
            self._rest(line)
        if line.removed:
            self._log(line, logging.INFO, "nobody needs it any more; closed")
            self._drop_line(line)
        elif self._stopping:
            line.state = "stopped"
        elif line.again:
            self._start_line(line)
        elif not line.paused:
            self._obey(line, verdict, reason, was_live)

    def _enter_in_journal(self, line: LineRecord, reason: Reason) -> None:
        now, cause = self._clock.monotonic(), cause_of(reason)
        if line.gauges.data_at is not None:
            line.journal.mark("data", line.gauges.data_at)
        ending = Ending(
            epoch=line.epoch,
            at_ns=self._clock.wall_ns(),
            kind=cause.kind,
            code=cause.code,
            text=cause.text,
            attempt=line.restarts.attempt,
            lived_s=None if line.live_at is None else now - line.live_at,
            split=Split(),
        )
        line.journal.ended(ending, line.gauges.heard_at or None, now)

    def _obey(self, line: LineRecord, verdict: Retry | Park | Rest, reason: Reason, was_live: bool) -> None:
        match verdict:
            case Retry(delay=delay, attempt=attempt):
                line.state = "backoff"
                self._retry_in(line, delay)
                level = logging.WARNING if was_live or attempt == 1 else logging.INFO
                self._log(line, level, f"{reason.text}; try {attempt} in {delay:.2f} s")
                self._tell_streams(line, "reconnecting", reason)
            case Park(probe_after=probe_after):
                self._park(line, probe_after, reason, was_live)
            case Rest() if comes_back(self._children.connection(line).restart, reason):
                self._start_line(line)  # stopped by a stranger: it is wanted all the same

    def _park(self, line: LineRecord, probe_after: float | None, reason: Reason, was_live: bool) -> None:
        line.state = "failed"
        if probe_after is not None:
            self._retry_in(line, probe_after)
        then = _next_step(line, probe_after, reason)
        level = logging.INFO if line.told_failed and not was_live else logging.ERROR
        self._log(line, level, f"{reason.text}; {then}")
        if line.upgraded or not line.told_failed:
            line.told_failed = True
            self._tell_streams(line, "failed", reason)
        self._tell_waiters()

    def _rest(self, line: LineRecord) -> None:
        self._log(line, logging.INFO, "paused")
        self._tell_streams(line, "paused", Stopped("paused"))

    def _start_anew(self, line: LineRecord, why: Stopped) -> None:
        if line.child is None:
            self._start_line(line)
        else:
            line.again = True
            line.state = "connecting"
            self._rotations.drop(line, why.text)
            self._roles.connection(line.name).tell(EndConnection(why))

    def _retry_in(self, line: LineRecord, seconds: float) -> None:
        line.turn += 1
        line.retry_at = self._clock.monotonic() + seconds
        line.retry = self._timers.send_after(seconds, self._address, RetryDue(line.name, line.turn))

    def _cancel_retry(self, line: LineRecord) -> None:
        line.turn += 1
        line.retry_at = None
        if line.retry is not None:
            line.retry.cancel()
            line.retry = None

    def _weigh(self, line: LineRecord) -> None:
        if not (line.session_open and line.settled) or line.live or line.is_ending:
            return
        line.state = "live"
        if line.live_at is None:
            line.live_at = self._clock.monotonic()
            line.journal.mark("live", line.live_at)
            line.told_failed = False
            line.complaint = ""  # of a life that is over
            line.restored += line.lost
            line.lost = False
            self._log(line, logging.INFO, "live")
            self._plan_rotation(line)
            self._plan_stable(line)
            self._tell_streams(line, "connected", Stopped(""))
        self._tell_waiters()

    def _plan_stable(self, line: LineRecord) -> None:
        """When it will have been live for long enough, by whichever of its connections."""
        if line.live_at is not None:
            left = line.live_at + line.spec.restart.stable_after - self._clock.monotonic()
            self._timers.send_after(max(0.0, left), self._address, StableDue(line.name, line.epoch))

    def _progress(self, line: LineRecord, state: LineState) -> None:
        if not line.is_ending:  # what is left of such a life is no progress
            line.state = state

    def _stale(self, line: LineRecord, topics: Mapping[Topic, Freshness]) -> None:
        for topic, found in topics.items():
            if topic not in line.stale:
                self._log(line, logging.WARNING, f"{topic} is stale: {found.text}")
        line.stale = frozenset(topics)

    def _tell_streams(self, line: LineRecord, state: LifecycleState, reason: Reason) -> None:
        now_ns = self._clock.wall_ns()
        since_ns = min(line.gauges.heard_ns or now_ns, now_ns)
        attempt = line.restarts.attempt
        report = LineChanged(line.name, line.epoch, state, attempt, reason.text, since_ns, now_ns)
        self._roles.named("dispatcher").tell(report)

    def _log(self, line: LineRecord, level: int, text: str) -> None:
        log.log(level, "%s: %s", line.name, text, extra={"line": line.name, "epoch": line.epoch})

    # ── rotation ──

    def _rotate(self, target: str) -> None:
        lines = self._targets(target)
        asked = Asked(self.keep_reply())
        for line in lines:
            asked.expect(line.name)
        for line in lines:
            why_not = self._try_rotation(line)
            if why_not:
                asked.tell(line.name, why_not)
            else:
                line.wants_rotation.append(asked)
        asked.answer()

    def _begin_rotation(self, line: LineRecord) -> None:
        if not self._stopping and self._try_rotation(line):
            self._plan_rotation(line, failed=True)

    def _try_rotation(self, line: LineRecord) -> str:
        """Why not; empty: it has begun."""
        seconds, why = self._gates.knock(line.name, line.spec)
        return f"it may connect in {seconds:.0f} s: {why}" if seconds else self._rotations.begin(line)

    def _plan_rotation(self, line: LineRecord, *, failed: bool = False) -> None:
        """The next one: as the config wants it, and before the line's token ends."""
        line.rotation_turn += 1
        if line.rotation is not None:
            line.rotation.cancel()
        waits = [seconds for seconds in (line.spec.rotate_every, self._token_life(line)) if seconds]
        if waits:
            wait = min(*waits, ROTATE_AGAIN) if failed else min(waits)
            due = RotateDue(line.name, line.rotation_turn)
            line.rotation = self._timers.send_after(wait, self._address, due)

    def _token_life(self, line: LineRecord) -> float:
        """Seconds until a new token is to be shown; 0: there is none that ends."""
        spec = line.spec
        if not spec.venue.needs_token(line.name):
            return 0.0
        left = spec.vault.fresh_for()
        return 0.0 if left is None else max(left, SOON)

    # ── who waits for lines to be live ──

    def _tell_waiters(self) -> None:
        self._waiters = [waiter for waiter in self._waiters if not self._is_answered(*waiter)]

    def _is_answered(self, asked: AwaitLive, reply: KeptReply) -> bool:
        if not reply.open:
            return True
        try:
            lines = list(self._lines.values()) if asked.target is None else self._targets(asked.target)
        except LinewardenError as error:
            reply.fail(error)
            return True
        if any(line.state == "failed" and line.retry_at is None for line in lines):
            reply.set(False)
        elif all(line.live for line in lines):
            reply.set(True)
        return not reply.open

    # ── the watchdog ──

    def _present(self) -> list[Child]:
        lines = [line.child for line in self._lines.values() if line.child is not None]
        candidates = [line.candidate.child for line in self._lines.values() if line.candidate is not None]
        return [*self._workers.values(), *lines, *(child for child in candidates if child is not None)]

    def _answered(self, id: str, incarnation: int) -> None:
        for child in self._present():
            if child.id == id and child.incarnation == incarnation:
                child.asked_at = None

    def _watch(self) -> None:
        now = self._clock.monotonic()
        for child in self._present():
            if child.asked_at is None:
                child.asked_at = now
                child.inbox.put(Envelope(AreYouThere(child.incarnation)))
            elif now - child.asked_at >= self._watchdog:
                self._replace_wedged(child)
        self._timers.send_after(self._watchdog / 2, self._address, WatchdogDue())

    def _replace_wedged(self, child: Child) -> None:
        child.stack = stack_of(child.thread)
        self._wedged.append(child)
        seconds = self._watchdog
        text = "%s is wedged: no answer for %g s; it is replaced. Its stack:\n%s"
        log.error(text, child.id, seconds, child.stack)
        reason = Retryable(f"its actor gave no answer for {seconds:g} s", "wedged")
        if child.id in self._workers:
            self._worker_ended(child.id, reason)
            return
        line = self._lines[child.id.partition("connection/")[2]]
        if child is not line.child:
            line.leaving[child.incarnation] = child
            self._rotations.ended(line, reason)
            self._plan_rotation(line, failed=True)
            return
        line.hangup.pull()  # a venue has one slot an account: the old socket goes first
        child.inbox.put(Envelope(EndConnection(reason)))
        self._line_ended(line, reason)

    # ── the end ──

    def _begin_stop(self, timeout: float) -> None:
        """Once: a later question is answered with the first one."""
        if self._stopping:
            return
        self._stopping = True
        self._deadline = self._clock.monotonic() + timeout
        for line in self._lines.values():
            self._cancel_retry(line)
            self._rotations.drop(line, "the runtime stops")
            if line.child is not None:
                self._roles.connection(line.name).tell(EndConnection(Stopped()))
        self._enter(0)

    def _enter(self, phase: int) -> None:
        """What is left of the budget is shared among the phases that are left."""
        self._phase = phase
        children = self._phase_children()
        self._phase_ids = {(child.id, child.incarnation) for child in children}
        for child in children:
            if child.id in self._workers:
                self._roles.mailboxes[child.id].stop_reader()
        left = max(0.0, self._deadline - self._clock.monotonic()) / (len(WORKERS) + 1 - phase)
        self._timers.send_after(left, self._address, PhaseOverdue(phase))
        self._advance()

    def _phase_children(self) -> list[Child]:
        if self._phase == 0:
            lines = self._lines.values()
            present = [line.child for line in lines if line.child is not None]
            return [*present, *(child for line in lines for child in line.leaving.values())]
        role = WORKERS[-self._phase]
        return [self._workers[role]] if role in self._workers else []

    def _advance(self) -> None:
        if self._phase_ids or not self._stopping:
            return
        if self._phase < len(WORKERS):
            self._enter(self._phase + 1)
        else:
            self.exit(Stopped())

    def _phase_overdue(self, phase: int) -> None:
        if phase != self._phase:
            return
        for child in self._phase_children():
            if (child.id, child.incarnation) in self._phase_ids:
                self._leftovers.append(child.id)
                log.error(
                    "%s did not end in time; it is left behind. Its stack:\n%s",
                    child.id,
                    stack_of(child.thread),
                )
        for line in self._lines.values():
            line.hangup.pull()
        self._phase_ids.clear()
        self._advance()

    def cleanup(self) -> None:
        """However it ended: sockets are shut, streams get `Closed`, open questions fail."""
        ending = self._ending
        if isinstance(ending, Crashed):
            self._why = ending.text
        error = RuntimeStopped(self._why)
        for line in self._lines.values():
            self._cancel_retry(line)
            self._rotations.drop(line, "the runtime has ended")
            line.hangup.pull()
            if line.child is not None:
                self._roles.connection(line.name).tell(EndConnection(Stopped()))
            line.state = "stopped"
        own = self._roles.mailboxes["supervisor"]
        for mailbox in self._roles.mailboxes.values():
            if mailbox is not own:
                mailbox.close(error)
        self._timers.stop()
        self._on_end(self._why, self._stopping)
        for stopper in self._stoppers:
            stopper.set((*self._leftovers, *(child.id for child in self._wedged)))
        own.close(error)


def _is_another(before: FeedSpec, spec: FeedSpec | None) -> bool:
    return spec is None or spec.kind is not before.kind


def _next_step(line: LineRecord, probe_after: float | None, reason: Reason) -> str:
    """What happens to a parked line, and what a person can do."""
    if isinstance(reason, Fatal):
        advice = f"{reason.advice.rstrip('.')}, and" if reason.advice else "To try again"
        return f"not retried. {advice} run: linewarden restart {line.name}"
    law = line.spec.restart
    spent = f"it died more than {law.max_restarts} times within {law.period:g} s and is parked"
    probe = "" if probe_after is None else f"; next probe in {probe_after:g} s"
    return f"{spent}{probe}. To try at once: linewarden restart {line.name}"


def stack_of(thread: threading.Thread) -> str:
    """Where a thread stands now, as a traceback shows it."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return "(its thread has ended)"
    return "".join(traceback.format_stack(frame)).rstrip()
