"""Starts children, and restarts those that have ended or gives them up: OTP's one_for_one.

It decides by `rules/restarts.py` and carries out. It never waits for another actor, so it answers while
connects hang and children crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actors import log_queue
from actors.actor import Actor, ActorContext, KeptReply, Lease
from actors.delivery.inlet import Inlet
from actors.diagnostics import stack_of
from actors.errors import LinewardenError, RuntimeStopped
from actors.events import Topic
from actors.feed_spec import Feeds, FeedSpec, Specs
from actors.messages import (
    REPLACED,
    AbandonRotation,
    AwaitGone,
    AwaitLive,
    ChildExited,
    ClearCooldowns,
    CommitRotation,
    FollowLines,
    FormerDue,
    LeaveTopics,
    LineNeeded,
    LineUnneeded,
    LoginPaused,
    PauseLines,
    PhaseOverdue,
    PrepareRotation,
    ReadMail,
    Reload,
    Report,
    RestartLines,
    ResumeLines,
    RetryDue,
    RoleStarted,
    Rotate,
    RotateDue,
    StopAll,
    Subscribe,
    Unsubscribe,
    WatchdogDue,
    WorkerDue,
)
from actors.protocol.formatting import suggestion
from actors.reasons import Crashed, Reason, Retryable, Stopped
from actors.rules.ledger import CONFIG
from actors.rules.restarts import Intensity
from actors.rules.watchdog import Watchdog
from actors.status import ActorStatus
from actors.supervision.children import Children
from actors.supervision.lines import Lines
from actors.supervision.shutdown import Shutdown
from actors.supervision.state import (
    WORKERS,
    Child,
    Environment,
    LineRecord,
    OnEnd,
    RotationRequest,
    SharedState,
)

log = log_queue.logger("actors.supervisor")

THREAD_AGAIN = 1.0  # seconds after which a thread that there was not is asked for again


class Supervisor(Actor):
    """The root of the tree. What any thread may see of it, it publishes in its `SharedState`."""

    def __init__(
        self, context: ActorContext[Lease], specs: Specs, environment: Environment, on_end: OnEnd
    ) -> None:
        super().__init__(context)
        self._specs = dict(specs.feeds)  # with those of removed feeds: their last messages are on the way
        self._watchdog: Watchdog[Child] = Watchdog(environment.watchdog)
        self._on_end = on_end
        self._workers: dict[str, Child] = {}
        self._incarnations = dict.fromkeys(WORKERS, 0)
        self._intensity = {role: Intensity() for role in WORKERS}
        self._wedged: list[Child] = []  # given up on, and their threads are still there
        self.shared = SharedState(specs)
        records: dict[str, LineRecord] = {}
        self._children = Children(environment, self.shared, self._specs, records)
        self._lines = Lines(records, environment, self.shared, self._children, self._answer_waiters)
        self._shutdown = Shutdown(self._lines, self._workers, environment, lambda: self.exit(Stopped()))
        self._waiters: list[tuple[AwaitLive | AwaitGone, KeptReply]] = []
        self._stoppers: list[KeptReply] = []
        self._why = "stopped"
        # First in the mailbox of the registry, which places topics on the lines that are started.
        for spec in specs.feeds.values():
            self._want(spec.wanted, ())

    # ── commands ──

    def _command(self, command: RestartLines | PauseLines | ResumeLines) -> None:
        match command:
            case RestartLines(target=target):
                self._each(target, self._lines.restart)
            case PauseLines(target=target):
                self._each(target, self._lines.pause)
            case ResumeLines(target=target):
                self._each(target, self._lines.resume)

    def _each(self, target: str, act: Callable[[LineRecord], None]) -> None:
        for line in self._targets(target):
            act(line)
        self.keep_reply().set("accepted")

    def _targets(self, target: object) -> list[LineRecord]:
        if not isinstance(target, str):  # such as seconds that were given without their name
            raise LinewardenError(f"a target is the name of a feed or line, and {target!r} is none")
        lines = self._lines.records
        found = [line for line in lines.values() if target in {line.name, line.feed}]
        if found or target in self._feeds:
            return found
        known = list(dict.fromkeys((*self._feeds, *lines)))
        hint = suggestion(target, known)
        raise LinewardenError(f"there is no feed or line {target!r}{hint} There are: {', '.join(known)}.")

    def _check_target(self, target: object) -> None:
        """Raises LinewardenError where there is no such feed or line; None: all of them."""
        is_known = isinstance(target, str) and (target in self._feeds or target in self._lines.records)
        if target is not None and not is_known:
            self._targets(target)

    # ── mail ──

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Report):
            if not self._lines.handle_report(message):
                self.unknown(message)
            return
        match message:
            case ChildExited():
                self._child_exited(message)
            case RetryDue(line=name, turn=turn):
                self._lines.due(name, turn)
            case WorkerDue(role=role):
                if role not in self._workers and not self._shutdown.begun:
                    self._start_worker(role)
            case WatchdogDue():
                self._watch()
            case LineNeeded(feed=feed, line=name):
                if feed in self._feeds:  # else removed, while the registry was asking
                    self._lines.need(name, feed)
            case LineUnneeded(line=name):
                self._lines.release(name)
            case AwaitLive() | AwaitGone():
                self._await(message)
            case FollowLines(inlet=inlet, target=target):
                self._follow(inlet, target)
            case LeaveTopics(stream=stream):
                self._lines.lifecycles.leave(stream)
            case ReadMail():
                pass
            case RestartLines() | PauseLines() | ResumeLines():
                self._command(message)
            case LoginPaused(feed=feed, reason=reason):
                self._lines.login_paused(feed, reason)
            case ClearCooldowns(account=account):
                cleared = self._lines.clear_cooldowns(account)  # what is raised here answers the question
                self.keep_reply().set(cleared)
            case Rotate() | PrepareRotation() | CommitRotation() | AbandonRotation():
                self._rotate(message)
            case RotateDue() | FormerDue():
                self._rotation_due(message)
            case Reload(specs=specs):
                self._reload(specs)
            case StopAll(timeout=timeout, replaced=replaced):
                self._stoppers.append(self.keep_reply())
                if replaced and not self._shutdown.begun:
                    self._why = REPLACED
                self._shutdown.begin(timeout)
            case PhaseOverdue(phase=phase):
                self._shutdown.overdue(phase)
            case RoleStarted():
                self._start_tree()
            case _:
                self.unknown(message)

    def _follow(self, inlet: Inlet, target: str | None) -> None:
        self._check_target(target)  # what is raised here answers the question
        self._lines.lifecycles.follow(inlet, target)
        self.keep_reply().set(None)

    def _rotate(self, asked: Rotate | PrepareRotation | CommitRotation | AbandonRotation) -> None:
        rotations = self._lines.rotations
        match asked:
            case CommitRotation(target=feed):
                self.keep_reply().set(rotations.commit(feed))
            case AbandonRotation(target=feed, why=why):
                self.keep_reply().set(rotations.abandon(feed, why))
            case PrepareRotation(target=feed, lines=names):
                lines = [
                    line for line in self._targets(feed) if line.name in names and not line.state.is_closing
                ]
                request = RotationRequest(self.keep_reply(), feed, [line.name for line in lines], holds=True)
                rotations.prepare(lines, request)
                request.answer()
            case Rotate(target=target):
                lines = self._targets(target)
                if target in self._feeds:  # of which a line that is closing needs no rotation
                    lines = [line for line in lines if not line.state.is_closing]
                request = RotationRequest(self.keep_reply(), target, [line.name for line in lines])
                for line in lines:
                    rotations.want(line, request)
                request.answer()

    def _rotation_due(self, due: RotateDue | FormerDue) -> None:
        line = self._lines.records.get(due.line)
        match due:
            case RotateDue(turn=turn) if line is not None:
                self._lines.rotations.due(line, turn)
            case FormerDue(epoch=epoch) if line is not None:
                self._lines.rotations.former_due(line, epoch)

    # ── the workers ──

    def _start_tree(self) -> None:
        for role in WORKERS:
            self._start_worker(role)
        for line in self.shared.lines.copy().values():
            self._lines.need(line.name, line.feed)
        if self._watchdog.timeout:
            self._watch()

    def _start_worker(self, role: str) -> None:
        """Where the machine gives no thread, its mail waits for one: that ends nothing."""
        self._incarnations[role] += 1
        try:
            self._workers[role] = self._children.start_worker(role, self._incarnations[role])
        except RuntimeError as error:
            text = "%s: its thread cannot be started (%s); the next try is in %g s."
            log.warning("actor.out_of_threads", text, role, error, THREAD_AGAIN)
            self.send_later(THREAD_AGAIN, WorkerDue(role))
        self._show_actors()

    def _show_actors(self) -> None:
        """For status: the workers, those that are wedged, and those for which there is no thread."""
        children = (*self._workers.values(), *self._wedged)
        awaited = (
            ActorStatus(role, "restarting", begun, begun - 1)
            for role, begun in self._incarnations.items()
            if begun and role not in self._workers and not self._shutdown.begun
        )
        self.shared.actors = (*(child.status() for child in children), *awaited)
        self.shared.note_change()

    # ── children that have ended ──

    def _child_exited(self, exited: ChildExited) -> None:
        if any(child.matches(exited) for child in self._wedged):
            self._wedged = [child for child in self._wedged if not child.matches(exited)]
            self._show_actors()
        if name := exited.id.partition("connection/")[2]:
            self._lines.exited(exited, name)
        elif exited.id in self._workers and self._workers[exited.id].matches(exited):
            self._worker_ended(exited.id, exited.reason)
        self._shutdown.exited(exited.id, exited.incarnation)

    def _worker_ended(self, role: str, reason: Reason) -> None:
        del self._workers[role]
        self._show_actors()
        if self._shutdown.begun:
            return
        if self._intensity[role].exceeded(self._clock.monotonic()):
            limit = self._intensity[role]
            self._give_up(f"the {role} died more than {limit.limit} times in {limit.period:g} s")
            return
        log.error(
            "actor.replaced",
            "%s ended (%s: %s); a new one takes over its state.",
            role,
            reason.code,
            reason.text,
        )
        self._start_worker(role)

    def _give_up(self, why: str) -> None:
        log.critical("runtime.stopped", "%s: the runtime stops.", why)
        self._why = why
        self.exit(Crashed(why))

    # ── feeds ──

    @property
    def _feeds(self) -> Feeds:
        return self.shared.specs.feeds

    def _reload(self, specs: Specs) -> None:
        """Bring the feeds in line with these specs; sockets stay open where their connection is as it was."""
        former = self.shared.specs
        if specs.generation <= former.generation:
            return
        kinds = {name: spec.kind for name, spec in specs.feeds.items()}
        gone = [name for name, spec in former.feeds.items() if kinds.get(name) is not spec.kind]
        for feed in gone:
            self._want((), former.feeds[feed].wanted)
            for line in self._lines.of(feed):
                self._lines.remove(line)
            self.shared.cells.forget_lines(feed)
        self.shared.specs = specs
        self._specs.update(specs.feeds)
        for feed, spec in specs.feeds.items():
            before = former.feeds.get(feed)
            if before is None or feed in gone:
                self._want(spec.wanted, ())
                for name in spec.venue.spread(spec.wanted):
                    self._lines.need(name, feed)
            elif before is not spec:
                self._change_feed(feed, before, spec)
        self.shared.note_change()

    def _change_feed(self, feed: str, before: FeedSpec, spec: FeedSpec) -> None:
        former, present = set(before.wanted), set(spec.wanted)
        self._want(
            [topic for topic in spec.wanted if topic not in former],
            [topic for topic in before.wanted if topic not in present],
        )
        for line in self._lines.of(feed):
            self._lines.adjust(line, spec, reconnect=before.identity != spec.identity)
        # A kept token is used with the new settings.
        spec.token_store.follow(spec.venue, spec.dial, spec.policy.restart.retry_after_cap)

    def _want(self, more: Sequence[Topic], less: Sequence[Topic]) -> None:
        registry = self._roles.named("registry")
        if more:
            registry.tell(Subscribe(CONFIG, tuple(more)))
        if less:
            registry.tell(Unsubscribe(CONFIG, tuple(less)))

    # ── questions that wait for lines to be live, or gone ──

    def _await(self, asked: AwaitLive | AwaitGone) -> None:
        if isinstance(asked, AwaitLive):
            self._check_target(asked.target)  # what is raised here answers the question
        self._waiters.append((asked, self.keep_reply()))
        self._answer_waiters()

    def _answer_waiters(self) -> None:
        self._waiters = [waiter for waiter in self._waiters if not self._is_answered(*waiter)]

    def _is_answered(self, asked: AwaitLive | AwaitGone, reply: KeptReply) -> bool:
        if not reply.open:
            return True
        if isinstance(asked, AwaitGone):
            if is_gone := asked.feed in self._feeds or not self._lines.of(asked.feed):
                reply.set(None)
            return is_gone
        target = asked.target
        try:
            self._check_target(target)
        except LinewardenError as error:
            reply.fail(error)
            return True
        if (live := self._lines.down.are_live(target)) is not None:
            reply.set(live)
        return live is not None

    # ── the watchdog ──

    def _present(self) -> list[Child]:
        return [*self._workers.values(), *self._lines.present()]

    def _watch(self) -> None:
        """Plain reads of what other threads write: no lock, so a child that hangs with one is seen, too."""
        watched = (*self._present(), *self._lines.formers())
        shown = [(child, child.inbox.serial, child.inbox.busy) for child in watched]
        for child in self._watchdog.look(shown, self._clock.monotonic()):
            self._replace_wedged(child)
        self.send_later(self._watchdog.period, WatchdogDue())

    def _replace_wedged(self, child: Child) -> None:
        child.stack = stack_of(child.thread)
        self._wedged.append(child)
        seconds = self._watchdog.timeout
        text = "%s is wedged: no progress for %g s; it is replaced. Its stack:\n%s"
        log.error("actor.wedged", text, child.id, seconds, child.stack)
        reason = Retryable(f"the actor made no progress for {seconds:g} s", "wedged")
        if child.id in self._workers:
            self._worker_ended(child.id, reason)
        else:
            self._lines.give_up(child, reason)
        self._show_actors()

    # ── the end ──

    def cleanup(self) -> None:
        """However it ended: sockets are shut, streams get `Closed`, open questions fail."""
        ending = self._ending
        if isinstance(ending, Crashed):
            self._why = ending.text
        error = RuntimeStopped(self._why)
        self._lines.stop("the runtime has ended")
        for line in self._lines.records.values():
            line.life.connect_cancel.cancel()
        is_quiet = self._shutdown.begun and self._why != REPLACED
        self._on_end(self._why, is_quiet)  # first: questions that are refused below find it ended
        self._lines.lifecycles.end(self._why, quiet=is_quiet)
        own = self._roles.mailboxes["supervisor"]
        for mailbox in self._roles.mailboxes.values():
            if mailbox is not own:
                mailbox.close(error)
        self._timers.stop()
        for stopper in self._stoppers:
            stopper.set((*self._shutdown.leftovers, *(child.id for child in self._wedged)))
        own.close(error)
