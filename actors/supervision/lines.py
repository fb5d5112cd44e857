"""The lives of the lines: the hands of `rules/line.py: LIFE`, in the supervisor's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from actors import log_queue
from actors.display.text import span
from actors.events import Freshness, Lifecycle, LifecycleState, Topic
from actors.feed_spec import FeedSpec
from actors.log_events import LogEvent
from actors.messages import (
    ChildExited,
    ConnectionCloseAnnounced,
    EndConnection,
    HealthLooked,
    LiftBars,
    LineChanged,
    LineLost,
    LineSettled,
    LineUnsettled,
    LineUpgraded,
    Report,
    RetryDue,
    RotationOverdue,
    SessionOpened,
    StableDue,
    SteadyDue,
    TakePolicy,
    TopicsStale,
    VenueComplained,
)
from actors.reasons import Crashed, Fatal, Reason, Retryable, Slow, Stopped, Weather
from actors.rules.connect_limit import Wait, wait_of
from actors.rules.line import Action as Do
from actors.rules.line import Event, follows, step
from actors.rules.outage_log import Happened, OutageRecord
from actors.rules.restarts import Park, RestDelay, Retry, Verdict
from actors.rules.stale_log import STEADY
from actors.secret import origin
from actors.status import waiting_until
from actors.supervision.children import Children
from actors.supervision.connect_limits import ConnectLimiters
from actors.supervision.down_lines import DownLines
from actors.supervision.health import HealthRestarts
from actors.supervision.lifecycles import Lifecycles
from actors.supervision.rotation import Rotations
from actors.supervision.running import holder_of
from actors.supervision.state import Child, Environment, LineHistory, LineRecord, SharedState
from actors.supervision.topic_records import log_topics

log = log_queue.logger("actors.supervisor")


DOWN: Mapping[Do, LifecycleState] = {
    Do.TELL_DISCONNECTED: "disconnected",
    Do.TELL_RECONNECTING: "reconnecting",
    Do.TELL_FAILED: "failed",
}


class Occasion(Struct, frozen=True):
    """What comes with an event, for its actions."""

    reason: Reason = Stopped("")  # why the connection has ended, or is to
    why: str = ""  # the same for a rotation that is dropped for it
    seconds: float = 0.0  # for the timer
    wait: Wait = "backoff"  # what its time is for
    text: str = ""  # for the log
    happened: Happened | None = None  # as the log counts it; None: it is no ending


NOTHING = Occasion()

RECORDS: Mapping[OutageRecord | None, tuple[LogEvent, int]] = {
    "lost": ("line.lost", logging.WARNING),
    "flapping": ("line.flapping", logging.WARNING),
    "failed": ("line.failed", logging.ERROR),
    None: ("line.retry", logging.DEBUG),
}


class Lines:
    """Every line there is, by name. One event at a time; what follows is carried out at once."""

    def __init__(
        self,
        records: dict[str, LineRecord],
        environment: Environment,
        shared: SharedState,
        children: Children,
        answer_waiters: Callable[[], None],
    ) -> None:
        self.records = records
        self.leaving: dict[tuple[str, int], Child] = {}  # by line and epoch: told to end, not ended yet
        self._histories: dict[str, LineHistory] = {}  # of lines that are gone, too
        self._proved: dict[str, tuple[object, ...]] = {}  # by line: what its last stable life has proved
        self._environment, self._shared, self._children = environment, shared, children
        self._roles, self._timers = environment.roles, environment.timers
        self._clock = self._timers.clock
        self._limiters = ConnectLimiters(environment, shared)
        self.rotations = Rotations(
            environment, shared, children, self._limiters, self.leaving, self._took_over
        )
        self._health = HealthRestarts(records, self._roles, self._limiters, self._clock)
        self._answer_waiters = answer_waiters
        self._supervisor = self._roles.named("supervisor")
        self._stopping = False
        self.down = DownLines()
        self.lifecycles = Lifecycles(shared.arrivals, self._clock)

    # ── what is wanted ──

    def of(self, feed: str) -> list[LineRecord]:
        return [line for line in self.records.values() if line.feed == feed]

    def need(self, name: str, feed: str) -> None:
        """The line is wanted: a new one; or one that is being removed, and is followed by a new life."""
        if self._stopping:
            return
        spec = self._shared.specs.feeds[feed]
        line = self.records.get(name)
        if line is None:
            history = self._histories.setdefault(name, LineHistory())
            line = LineRecord(name, feed, spec, self._environment, history)
            self.records[name] = line
        elif line.spec is not spec:
            self.adjust(line, spec, reconnect=False)
        self._handle(line, Event.NEEDED)

    def release(self, name: str) -> None:
        """No topic lies on the line; it stays where its venue always has it, or where one lies by now."""
        line = self.records.get(name)
        if line is None or name in line.spec.venue.first_lines() or self._shared.cells.has_topics(name):
            return
        if line.has_closed_its_streams:  # else the next stream would try at once what has failed
            return
        self.rotations.release(line)
        self.remove(line)

    def remove(self, line: LineRecord) -> None:
        self._handle(line, Event.REMOVE, _asked("the line is no longer needed"))

    def adjust(self, line: LineRecord, spec: FeedSpec, *, reconnect: bool) -> None:
        """`reconnect`: the new spec holds for new connections only."""
        if line.spec.policy.restart != spec.policy.restart:
            line.restarts = line.restarts.under(spec.policy.restart)
        if line.spec.urls != spec.urls:
            line.take_doors(spec.urls)
        former, line.spec = line.spec, spec
        self._shared.show(line)  # the heartbeat reads the spec there
        if reconnect:
            self._roles.named("registry").tell(LiftBars(line.name))
            line.restarts.clear()  # what came of the former config says nothing of this one
            line.outage.note(Happened.ASKED, self._clock.monotonic())
            self._handle(line, Event.RECONFIGURE, _asked("its config has changed"))
            return
        if line.life.child is not None:
            for epoch in line.epochs():
                its = spec.policy
                policy = TakePolicy(its.ack_timeout, its.block_timeout, spec.send_rate, its.backfills)
                self._roles.connection(line.name).tell(policy, epoch)
        if line.live_at is not None and former.policy.rotate_every != spec.policy.rotate_every:
            self.rotations.plan(line)
        if line.state.is_open:
            # The heartbeat takes its new rhythm from the beginning of a life.
            self._roles.named("heartbeat").tell(SessionOpened(line.name, line.epoch))

    def restart(self, line: LineRecord) -> None:
        line.restarts.clear()
        line.outage.note(Happened.ASKED, self._clock.monotonic())
        self._roles.named("registry").tell(LiftBars(line.name))
        for account in line.spec.accounts:
            self._limiters.open(account)
        self._handle(line, Event.RESTART, _asked("a restart was asked for"))

    def login_paused(self, feed: str, reason: Slow) -> None:
        """A login that was no line's was asked for a pause: it holds for all lines of the account."""
        line = next((each for each in self.records.values() if each.feed == feed), None)
        if line is not None:
            self._limiters.note_refusal(line.name, line.spec, line.capped(log, reason), line.life.door)

    def clear_cooldowns(self, wanted: str) -> tuple[str, ...]:
        """End the cool-down of this account or of a feed's, of all of them: "". Their lines connect at once.

        Raises:
            LinewardenError: there is no such cool-down.
        """
        cleared = self._limiters.clear(wanted)
        for line in list(self.records.values()):
            waits = line.retry_at is not None and line.wait != "backoff"
            if waits and not set(cleared).isdisjoint(line.spec.accounts):
                self._handle(line, Event.RESTART)
        return cleared

    def pause(self, line: LineRecord) -> None:
        self._handle(line, Event.PAUSE, Occasion(Stopped("paused"), "the line is paused"))

    def resume(self, line: LineRecord) -> None:
        line.outage.note(Happened.ASKED, self._clock.monotonic())
        self._handle(line, Event.RESUME)

    def stop(self, why: str) -> None:
        """The runtime ends: every connection is told to, and none starts."""
        self._stopping = True
        for line in self.records.values():
            self._handle(line, Event.STOP, Occasion(Stopped(), why))

    def present(self) -> list[Child]:
        """The connections and candidates that are to make progress."""
        return [child for line in self.records.values() for child in line.children()]

    def formers(self) -> list[Child]:
        """The connections that hand over: they are to make progress, too."""
        formers = [line.former for line in self.records.values() if line.former is not None]
        return [former.child for former in formers if former.child is not None]

    def not_ended(self) -> list[Child]:
        return [*self.present(), *self.leaving.values()]

    # ── what happens ──

    def handle_report(self, report: Report) -> bool:
        """A report of a line's epoch; whether it was understood. One of a past epoch is dropped."""
        line = self.records.get(report.line)
        if line is None:
            return True
        if line.epoch == report.epoch and line.life.child is not None:
            return self._handle_present(line, report)
        if line.candidate is not None and line.candidate.epoch == report.epoch:
            self.rotations.handle_report(line, report)
        return True

    def _handle_present(self, line: LineRecord, report: Report) -> bool:
        match report:
            case LineUpgraded():
                self._handle(line, Event.UPGRADED)
            case SessionOpened():
                self._handle(line, Event.OPENED)
            case LineSettled():
                self._handle(line, Event.SETTLED)
                if line.spec.policy.restart.give_up == "close":  # it may have had no topic for a while
                    self.release(line.name)
            case LineUnsettled():
                self._handle(line, Event.UNSETTLED)
            case SteadyDue():
                self._log_stale(line)
            case StableDue():
                if line.live_at is not None and not line.state.is_leaving:
                    line.restarts.stable()
                    self._log_stable(line)
                    self._proved[line.name] = line.access()
                    self._shared.show(line)
            case VenueComplained(code=code, text=text, count=count, kind=kind):
                line.last_venue_error = text
                self._shared.show(line, news=False)
                often = f" ({count:,} of these)" if count > 1 else ""
                words = f"the venue reports {code}: {text}{often}; the line stays up"
                line.log(log, logging.WARNING, "venue.error", words, kind)
            case ConnectionCloseAnnounced(text=text):
                self.rotations.close_announced(line, text)
            case TopicsStale(topics=topics):
                self._stale(line, topics)
            case HealthLooked(vitals=vitals):
                self._health.look(line, vitals)
            case RotationOverdue():
                pass  # it has taken over
            case _:
                return False
        return True

    def due(self, name: str, turn: int) -> None:
        """The timer of a line's retry or probe, unless it was overtaken."""
        line = self.records.get(name)
        if line is not None and line.turn == turn:
            self._forget_timer(line)
            self._handle(line, Event.DUE)

    def exited(self, exited: ChildExited, name: str) -> None:
        """A connection of the line of that name has ended."""
        epoch, line = exited.incarnation, self.records.get(name)
        if line is not None:
            if line.life.child is not None and line.life.child.matches(exited):
                self._ended(line, exited.reason)
            elif line.candidate is not None and line.candidate.epoch == epoch:
                self.rotations.ended(line, exited.reason)
            elif line.former is not None and line.former.epoch == epoch:
                self.rotations.former_ended(line, exited.reason)
        self.leaving.pop((name, epoch), None)
        if (history := self._histories.get(name)) is not None:
            history.fold(epoch)
            if line is not None:
                self._shared.show(line)

    def give_up(self, child: Child, reason: Reason) -> None:
        """That connection, candidate or former connection is wedged, unless it was let go just now."""
        line = self.records.get(child.id.partition("connection/")[2])
        if line is None:
            return
        if child is line.life.child:
            line.life.connect_cancel.cancel()  # a venue has one slot an account: the old socket goes first
            self._shared.arrivals.revoke(line.life.right)
            line.history.fold(line.epoch)
            child.tell(EndConnection(reason))
            self._ended(line, reason)
        else:
            self.rotations.give_up(line, child, reason)

    def _ended(self, line: LineRecord, reason: Reason) -> None:
        """The line's connection has ended, or could not be started."""
        now = self._clock.monotonic()
        reached, door = line.state.is_reached, line.life.door
        passing, at_once = self._next_door(line, reason, now)
        refusal = self._judge(line, reason, now) if passing is None else line.capped(log, reason)
        reason = self._with_holder(line, reason, passing or refusal)
        line.end_life(reason, now)
        self._roles.connection(line.name).point(None)
        for role in ("registry", "heartbeat"):
            self._roles.named(role).tell(LineLost(line.name, line.epoch))
        self._limiters.note_refusal(line.name, line.spec, refusal, door, reached=reached)
        verdict = line.restarts.ended(reason, reached=reached, now=now)
        if at_once and isinstance(verdict, Retry):
            verdict = Retry(min(verdict.delay, line.spec.policy.restart.initial), verdict.attempt)
        line.enter_in_journal(reason, now, self._clock.wall_ns())
        line.live_at = None
        event, occasion = _judged(line, verdict, reason)
        if line.doors.at != door:
            occasion = structs.replace(occasion, text=f"{occasion.text}, at {origin(line.doors.url)}")
        if (followed := follows(line.rotating, event)) is None:
            self.rotations.line_left(line, f"the line's connection has ended: {reason.text}")
        else:
            text = f"{reason.text}; the connection that was to replace it takes over at once"
            event, occasion = followed, structs.replace(occasion, text=text, happened=Happened.LOST)
        self._handle(line, event, occasion)

    def _with_holder(self, line: LineRecord, told: Reason, reason: Reason) -> Reason:
        """A refusal of an account to which another runtime of this process is connected says so."""
        if not isinstance(told, Slow | Weather) or getattr(told, "exact", False):
            return reason
        door = line.life.door % len(line.spec.doors)
        account = line.spec.doors[door].account()
        holder = holder_of(account, line.spec.url(line.name, door), self._shared)
        return structs.replace(reason, text=f"{reason.text}; {holder}") if holder else reason

    def _next_door(self, line: LineRecord, reason: Reason, now: float) -> tuple[Retryable | None, bool]:
        """Where its feed has several addresses: the next one.

        Returns the reason by which the line goes on, and whether it is to try another address at once. While
        another address may do better, none is final, and a pause is that address's alone. None: the reason
        stays as it is.
        """
        if not line.spec.others:
            return None, False
        stable_after = line.spec.policy.restart.stable_after
        stable = line.live_at is not None and now - line.live_at >= stable_after
        line.doors.at = line.life.door
        told = line.doors.ended(reason, reached=line.state.is_reached, stable=stable)
        return (Retryable(reason.text, reason.code), told.at_once) if told.passes else (None, False)

    def _judge(self, line: LineRecord, reason: Reason, now: float) -> Reason:
        """What the reason means for this line. A verdict that is final ends what was proved before."""
        if not isinstance(reason, Fatal):
            return line.capped(log, reason)
        access = line.access()
        judged = line.restarts.judged(reason, proved=access in self._proved.values(), now=now)
        if isinstance(judged, Fatal) and judged.probe_after is None:
            self._proved = {name: each for name, each in self._proved.items() if each != access}
        return judged

    def _took_over(self, line: LineRecord) -> None:
        """The candidate is the line's connection: everything that is wanted is answered for."""
        self._handle(line, Event.SETTLED)
        self._plan_stable(line)

    # ── what follows ──

    def _handle(self, line: LineRecord, event: Event, occasion: Occasion = NOTHING) -> None:
        found = step(line.state, event)
        if found is None:
            log.error(
                "line.defect",
                "%s: defect: no row for %s in %s; ignored.",
                line.name,
                event.name,
                line.state.name,
                line=line.name,
            )
            return
        state, actions = found
        line.move(state, self._clock.wall_ns())
        self.down.note(line)
        self._shared.show(line)
        for action in actions:
            self._do(line, action, occasion)
            self._shared.show(line)  # before another action, which may answer a question

    def _do(self, line: LineRecord, action: Do, occasion: Occasion) -> None:
        match action:
            case Do.ASK_LIMITER:
                self._ask_limiter(line)
            case Do.CONNECT:
                self._connect(line)
            case Do.END:
                self.rotations.line_left(line, occasion.why)
                self._roles.connection(line.name).tell(EndConnection(occasion.reason))
            case Do.PROMOTE:
                self.rotations.line_lost(line)
                line.metrics.increment_later("line_starts_total")
                line.journal.mark("started", self._clock.monotonic())
            case Do.SET_TIMER:
                self._set_timer(line, occasion.seconds, occasion.wait)
            case Do.CANCEL_TIMER:
                self._forget_timer(line)
            case Do.NOTE_UPGRADE:
                line.metrics.increment_later("line_connects_total")
                line.journal.mark("upgraded", self._clock.monotonic())
            case Do.OPEN_SESSION:
                line.journal.mark("opened", self._clock.monotonic())
                for role in ("registry", "heartbeat"):  # from here, so that a past life cannot say it
                    self._roles.named(role).tell(SessionOpened(line.name, line.epoch))
            case Do.BEGIN_LIVE:
                line.begin_live(self._clock.monotonic())
                line.doors.live()
                self._log_live(line)
                self._tell_lifecycle(line, self.lifecycles.live_word(line.name), "", self._clock.wall_ns())
                self.rotations.live(line)
                self._plan_stable(line)
            case Do.LOG_NEXT:
                self._log_next(line, occasion)
            case Do.LOG_CLOSED:
                line.log(log, logging.INFO, "line.closed", "no longer needed; closed")
            case Do.TELL_CONNECTING:
                self._tell_streams(line, "connecting", Stopped(""))
            case Do.TELL_DISCONNECTED | Do.TELL_RECONNECTING | Do.TELL_FAILED:
                self._tell_streams(line, DOWN[action], occasion.reason)
            case Do.TELL_PAUSED:
                line.log(log, logging.INFO, "line.paused", "paused")
                self._tell_streams(line, "paused", Stopped("paused"))
            case Do.ANSWER_WAITERS:
                self._answer_waiters()
            case Do.DROP:
                del self.records[line.name]
                self.down.forget(line)
                self.lifecycles.forget(line.name)
                # A stream that makes it needed again is told how the next one of this name begins.
                self._tell_dispatcher(line, "connecting", Stopped(""), self._clock.wall_ns())

    def _log_live(self, line: LineRecord) -> None:
        now = self._clock.monotonic()
        record = line.outage.note(Happened.LIVE, now)
        if record == "restored":
            away, tries = span(now - line.outage.since), line.outage.tries
            text = f"live again after {away}; {'1 try' if tries == 1 else f'{tries:,} tries'}"
            line.log(log, logging.INFO, "line.restored", text, "restored")
        else:
            line.log(log, logging.INFO if record else logging.DEBUG, "line.live", "live")

    def _log_stable(self, line: LineRecord) -> None:
        now, outage = self._clock.monotonic(), line.outage
        if outage.note(Happened.STABLE, now) == "restored":
            lost = f"lost {outage.losses:,} times within {span(now - outage.since)}"
            text = f"live for {line.spec.policy.restart.stable_after:g} s again; it was {lost}"
            line.log(log, logging.INFO, "line.restored", text, "stable")

    def _log_next(self, line: LineRecord, occasion: Occasion) -> None:
        text = self._next_words(line, occasion)
        if occasion.happened is None:
            level = logging.INFO if line.outage.is_well else logging.DEBUG
            line.log(log, level, "line.deferred", text, "deferred")
            return
        record = line.outage.note(occasion.happened, self._clock.monotonic())
        if record == "flapping":
            stable = f"{line.spec.policy.restart.stable_after:g} s"
            text = f"lost again before it was live for {stable}; its next losses are not logged: {text}"
        event, level = RECORDS[record]
        line.log(log, level, event, text, occasion.reason.code)

    def _ask_limiter(self, line: LineRecord) -> None:
        line.doors.at = self._limiters.open_door(line.spec, line.doors.at)
        deferral = self._limiters.try_acquire(line.name, line.spec, line.doors.at)
        if deferral.seconds:
            text = f"connects in {deferral.seconds:.2f} s: {deferral.why}"
            occasion = Occasion(seconds=deferral.seconds, text=text, wait=deferral.wait)
            self._handle(line, Event.DEFERRED, occasion)
        else:
            self._handle(line, Event.ADMITTED)

    def _connect(self, line: LineRecord) -> None:
        life = line.begin_life()
        life.door = line.doors.at
        line.metrics.increment_later("line_starts_total")
        line.journal.mark("started", self._clock.monotonic())
        line.log(log, logging.DEBUG, "line.connecting", f"connects to {origin(line.doors.url)}")
        try:
            life.child = self._children.start_connection(line, life)
        except (OSError, RuntimeError) as error:  # no descriptor, no thread
            line.history.fold(life.epoch)
            reason: Reason = Retryable(f"out of threads or file descriptors: {error}", "resources")
            if "interpreter shutdown" in str(error):
                reason = Stopped("the program ends")
                self._handle(line, Event.STOP, Occasion(reason))
            self._ended(line, reason)

    def _set_timer(self, line: LineRecord, seconds: float, wait: Wait) -> None:
        line.turn += 1
        line.retry_at, line.wait = self._clock.monotonic() + seconds, wait
        line.retry = self._timers.send_after(seconds, self._supervisor, RetryDue(line.name, line.turn))

    def _next_words(self, line: LineRecord, occasion: Occasion) -> str:
        if occasion.wait != "asked" or line.retry_at is None:
            return occasion.text
        return f"{waiting_until(occasion.seconds, self._clock.wall_ns())}: {occasion.text}"

    def _forget_timer(self, line: LineRecord) -> None:
        line.turn += 1
        line.retry_at = None
        if line.retry is not None:
            line.retry.cancel()
            line.retry = None

    def _plan_stable(self, line: LineRecord) -> None:
        """When it will have been live for long enough, by whichever of its connections."""
        if line.live_at is not None:
            left = line.live_at + line.spec.policy.restart.stable_after - self._clock.monotonic()
            self._timers.send_after(max(0.0, left), self._supervisor, StableDue(line.name, line.epoch))

    def _stale(self, line: LineRecord, topics: Mapping[Topic, Freshness]) -> None:
        line.stale = topics
        self._log_stale(line)
        self._shared.note_change()

    def _log_stale(self, line: LineRecord) -> None:
        log_topics(log, line, self._shared.cells, self._clock.monotonic())
        if line.stale_log.waits:
            self._timers.send_after(STEADY, self._supervisor, SteadyDue(line.name, line.epoch))

    def _tell_streams(self, line: LineRecord, state: LifecycleState, reason: Reason) -> None:
        now_ns = self._clock.wall_ns()
        self._tell_dispatcher(line, state, reason, now_ns)
        self._tell_lifecycle(line, state, reason.text, now_ns)

    def _tell_dispatcher(self, line: LineRecord, state: LifecycleState, reason: Reason, now_ns: int) -> None:
        since_ns = min(line.life.counters.received_ns or now_ns, line.missing_since_ns or now_ns, now_ns)
        attempt = line.restarts.attempt
        crashed = isinstance(reason, Crashed)
        report = LineChanged(line.name, line.epoch, state, attempt, reason.text, since_ns, now_ns, crashed)
        self._roles.named("dispatcher").tell(report)

    def _tell_lifecycle(self, line: LineRecord, state: LifecycleState, reason: str, now_ns: int) -> None:
        told = Lifecycle(line.name, state, line.epoch, line.restarts.attempt, reason, now_ns)
        self.lifecycles.tell(line.feed, told)


def _asked(why: str) -> Occasion:
    return Occasion(Stopped(why), why)


def _judged(line: LineRecord, verdict: Verdict, reason: Reason) -> tuple[Event, Occasion]:
    """The verdict on an ending, as an event."""
    match verdict:
        case Retry(delay=delay, attempt=attempt):
            advice = f". {reason.advice}" if isinstance(reason, Retryable) and reason.advice else ""
            text = f"{reason.text}; try {attempt} in {delay:.2f} s{advice}"
            occasion = Occasion(reason, "", delay, wait_of(reason), text, Happened.LOST)
            return Event.ENDED_RETRY, occasion
        case Park(probe_after=probe_after):
            text = f"{reason.text}; {_next_step(line, probe_after, reason)}"
            if probe_after is None:
                return Event.ENDED_FAIL, Occasion(reason, text=text, happened=Happened.FAILED)
            occasion = Occasion(reason, "", probe_after, wait_of(reason), text, Happened.PARKED)
            return Event.ENDED_PARK, occasion
        case RestDelay():
            return Event.ENDED_REST, Occasion(reason)


def _next_step(line: LineRecord, probe_after: float | None, reason: Reason) -> str:
    """What happens to a parked line, and what a person can do."""
    law = line.spec.policy.restart
    if isinstance(reason, Fatal):
        advice = f"{reason.advice.rstrip('.')}, and" if reason.advice else "To try again"
        again = "not retried" if probe_after is None else f"it worked before; next probe in {probe_after:g} s"
        command = f"linewarden restart {line.name}; after a change of the config: linewarden reload"
        return f"{again}. {advice} run: {command}"
    often = "once" if law.max_restarts == 1 else f"{law.max_restarts} times"
    spent = f"it died more than {often} within {law.period:g} s and is parked"
    probe = "" if probe_after is None else f"; next probe in {probe_after:g} s"
    return f"{spent}{probe}. To try at once: linewarden restart {line.name}"
