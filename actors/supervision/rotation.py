"""Make before break: a new connection takes over from a line's present one, and no stream sees a gap.

The candidate connects, logs in and has every subscription confirmed while the present connection
goes on. It keeps what it brings until it takes over; what both brought is handed out once, where the
venue's events have a key. If anything goes wrong with the candidate before that, it is dropped, and
nothing has happened. If the present connection is lost before that, the candidate takes over at once.
`rules/line.py: ROTATION` says what follows from what.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from actors import log_queue
from actors.login.token_store import Shows
from actors.messages import (
    CandidateDropped,
    EndConnection,
    FormerDue,
    FormerEnded,
    HandOver,
    LineLost,
    LineSettled,
    LineUnsettled,
    LineUpgraded,
    Report,
    RotateDue,
    RotationOverdue,
    SessionOpened,
    TurnGranted,
    VenueComplained,
)
from actors.reasons import HANDED_OVER, Reason, Stopped
from actors.rules.frame_budget import FrameBudget
from actors.rules.line import CANDIDATES, RotationEvent, RotationState, rotation_step
from actors.rules.line import RotationAction as Do
from actors.supervision.children import Children
from actors.supervision.connect_limits import ConnectLimiters
from actors.supervision.state import Child, Environment, LineRecord, RotationRequest, SharedState

log = log_queue.logger("actors.rotation")

NO_MORE_TIME = "its time to hand over was up"
GOODBYE = 5.0  # seconds that a connection which is rotated out has to read what was sent to it
ROTATE_AGAIN = 60.0  # seconds after which a rotation that failed is tried again, at the latest
SOON = 1.0  # seconds between two rotations for the sake of a token, at the least


class Rotations:
    """The hands of the table of rotation, in the supervisor's thread."""

    def __init__(
        self,
        environment: Environment,
        shared: SharedState,
        children: Children,
        limiters: ConnectLimiters,
        leaving: dict[tuple[str, int], Child],
        took_over: Callable[[LineRecord], None],
    ) -> None:
        self._roles, self._timers = environment.roles, environment.timers
        self._shared, self._children, self._limiters = shared, children, limiters
        self._supervisor = self._roles.named("supervisor")
        self._leaving = leaving  # by line and epoch: told to end, and not ended yet
        self._held: dict[str, list[RotationRequest]] = {}  # by feed
        self._took_over = took_over  # called when a line has got its next connection

    # ── what happens ──

    def want(self, line: LineRecord, asked: RotationRequest) -> None:
        """A person asks; the answer comes when it is done, or is not to be."""
        line.wants_rotation.append(asked)
        self._handle(line, RotationEvent.WANTED)

    def prepare(self, lines: Sequence[LineRecord], asked: RotationRequest) -> None:
        """Candidates for these lines. All that are prepared for a feed take over together, or none does.

        A candidate that has begun shows another token: it is dropped.
        """
        self._held.setdefault(asked.target, []).append(asked)
        asked.records = tuple(lines)
        for line in lines:
            if line.rotating in CANDIDATES:
                self._handle(line, RotationEvent.OVERDUE, "another token is to be shown")
            if line.rotating is RotationState.NONE:
                self.want(line, asked)
            else:
                line.rotates_next.append(asked)

    def commit(self, feed: str) -> dict[str, str]:
        """All that were prepared take over. Returns why not, by line; then none does."""
        held = [(line, asked) for asked in self._held.get(feed, ()) for line in asked.records]
        lost = {line.name: asked.why_not(line.name) for line, asked in held if not _is_prepared(line, asked)}
        if not lost:
            self._let_go(feed, RotationEvent.SETTLED, "")
        return lost

    def abandon(self, feed: str, why: str) -> tuple[str, ...]:
        """What was prepared is dropped. Returns the lines whose candidate had to take over before."""
        held = self._let_go(feed, RotationEvent.OVERDUE, why)
        return tuple(line.name for line, asked in held if asked.epochs.get(line.name) == line.epoch)

    def _let_go(self, feed: str, event: RotationEvent, why: str) -> list[tuple[LineRecord, RotationRequest]]:
        """Nothing is held for this feed any more; this happens to the candidates that were."""
        held = [(line, asked) for asked in self._held.pop(feed, ()) for line in asked.records]
        for line, asked in held:
            asked.holds = False
            if asked in line.rotates_next:
                line.rotates_next.remove(asked)
        for line, asked in held:
            if line.rotating in CANDIDATES and asked in line.wants_rotation:
                self._handle(line, event, why)
        return held

    def release(self, line: LineRecord) -> None:
        """No topic lies on it any more: a rotation of its whole feed goes on without it."""
        spared = [each for each in line.wants_rotation if each.target == line.feed]
        line.wants_rotation = [each for each in line.wants_rotation if each.target != line.feed]
        for each in spared:
            each.note(line.name, "")
            each.answer()

    def due(self, line: LineRecord, turn: int) -> None:
        """The timer of a planned rotation, unless it was overtaken."""
        if line.rotation_turn == turn:
            self._handle(line, RotationEvent.WANTED)
            if line.rotating is RotationState.NONE:
                self.plan(line, soon=True)

    def handle_report(self, line: LineRecord, report: Report) -> None:
        """A report of the candidate's epoch."""
        match report:
            case LineUpgraded():
                self._handle(line, RotationEvent.UPGRADED)
            case SessionOpened():
                self._handle(line, RotationEvent.OPENED)
            case LineUnsettled():
                self._settled(line, is_settled=False)
                self._handle(line, RotationEvent.UNSETTLED)
            case LineSettled(worse=()) if self._settled(line, is_settled=True):
                pass  # it waits for the others
            case LineSettled(worse=()):
                self._handle(line, RotationEvent.SETTLED)
            case LineSettled(worse=worse):
                self._handle(line, RotationEvent.SETTLED_WORSE, f"the venue refused {worse[0]} to it")
            case RotationOverdue(why=why):
                self._handle(line, RotationEvent.OVERDUE, why)
            case VenueComplained(code=code, text=text, count=count):
                words = "%s: the venue reports on the new connection %s: %s (%d of these)"
                log.warning(
                    "venue.error", words, line.name, code, text, count, line=line.name, epoch=report.epoch
                )

    def _settled(self, line: LineRecord, *, is_settled: bool) -> bool:
        """Whether its candidate is held."""
        candidate = line.candidate
        assert candidate is not None
        candidate.is_settled = is_settled
        holding = [asked for asked in line.wants_rotation if asked.holds]
        for asked in holding:
            if is_settled:
                asked.settled(line.name, candidate.epoch)
            else:
                asked.unsettled(line.name)
        return bool(holding)

    def ended(self, line: LineRecord, reason: Reason) -> None:
        """The candidate's connection has ended. A pause that the venue asks of it is the account's, too.

        If its address was at fault, the next candidate has another one.
        """
        assert line.candidate is not None
        door, reached = line.candidate.door, line.rotating is not RotationState.CANDIDATE
        pause = line.capped(log, reason)
        self._limiters.note_refusal(line.name, line.spec, pause, door, reached=reached)
        line.doors.ended(reason, reached=reached, stable=False)
        self._handle(line, RotationEvent.ENDED, reason.text)

    def give_up(self, line: LineRecord, child: Child, reason: Reason) -> None:
        """The candidate, or the connection that hands over, is wedged."""
        candidate, former = line.candidate, line.former
        if candidate is not None and candidate.child is child:
            self._shared.arrivals.revoke(candidate.right)
            line.history.fold(candidate.epoch)
            self.ended(line, reason)
        elif former is not None and former.child is child:
            self._handle(line, RotationEvent.FORMER_DUE, reason.text)

    def line_left(self, line: LineRecord, why: str) -> None:
        """The present connection has ended, or is told to, and what the rotation has begun ends with it."""
        if line.former is not None:  # what the present one kept came to no stream
            line.missing_since_ns = line.former.counters.received_ns
        self._handle(line, RotationEvent.LINE_LEFT, why)

    def line_lost(self, line: LineRecord) -> None:
        """The present connection has ended, and its candidate goes on."""
        self._handle(line, RotationEvent.LINE_LOST)

    def live(self, line: LineRecord) -> None:
        """The line is, for the first time in the life of its present connection."""
        self._handle(line, RotationEvent.LIVE)
        self.plan(line)

    def former_ended(self, line: LineRecord, reason: Reason) -> None:
        """The connection that was rotated out is gone."""
        done = reason.code == HANDED_OVER
        self._handle(line, RotationEvent.HANDED_OVER if done else RotationEvent.FORMER_LOST, reason.text)

    def former_due(self, line: LineRecord, epoch: int) -> None:
        """The connection that was rotated out has had its time.

        An inline handler holds it as a full stream does: it is called by one thread at a time, and what was
        brought for it is not given up. A call that does not return is for the watchdog.
        """
        former = line.former
        if former is not None and former.epoch == epoch:
            held = former.counters.paused_by_streams or former.right.is_calling
            self._handle(line, RotationEvent.FORMER_HELD if held else RotationEvent.FORMER_DUE)

    def close_announced(self, line: LineRecord, text: str) -> None:
        """The venue says that it will close the present connection."""
        if line.closing_epoch == line.epoch:
            return
        line.closing_epoch = line.epoch
        words = f": {text}" if text else ""
        line.log(
            log,
            logging.INFO,
            "line.closing",
            f"the venue says that it will close the connection{words}",
            "closing",
        )
        self._handle(line, RotationEvent.WANTED)
        if line.rotating is RotationState.NONE:
            self.plan(line, soon=True)

    # ── what follows ──

    def _handle(self, line: LineRecord, event: RotationEvent, why: str = "") -> None:
        """`why` is for people: what went wrong, where something did."""
        found = rotation_step(line.rotating, event)
        if found is None:
            text = "%s: defect: no row for %s in rotation %s; ignored."
            log.error("line.defect", text, line.name, event.name, line.rotating.name, line=line.name)
            return
        line.rotating, actions = found
        for action in actions:
            self._do(line, action, why)
            self._shared.show(line)  # before another action, which may answer a question
        if line.rotating is RotationState.NONE and line.rotates_next:
            waiting, line.rotates_next = line.rotates_next, []
            line.wants_rotation += waiting
            self._handle(line, RotationEvent.WANTED)

    def _do(self, line: LineRecord, action: Do, why: str) -> None:
        match action:
            case Do.CHECK:
                self._check(line)
            case Do.ASK_LIMITER:
                self._ask_limiter(line)
            case Do.START:
                self._start(line)
            case Do.OPEN_SESSION:
                assert line.candidate is not None
                self._roles.named("registry").tell(SessionOpened(line.name, line.candidate.epoch))
            case Do.TAKE_OVER:
                self._take_over(line)
            case Do.FOLLOW:
                assert line.candidate is not None
                is_settled = line.candidate.is_settled  # it was held
                self._roles.connection(line.name).promote()
                self._roles.connection(line.name).forget_former()
                self._promote(line)
                if is_settled:  # the registry does not report it twice
                    self._supervisor.tell(LineSettled(line.name, line.epoch))
            case Do.AWAIT_FORMER:
                assert line.former is not None
                self._timers.send_after(GOODBYE, self._supervisor, FormerDue(line.name, line.former.epoch))
            case Do.DROP_CANDIDATE:
                self._drop(line, why)
            case Do.END_FORMER:
                self._end_former(line)
            case Do.LOG_LATE:
                assert line.former is not None
                text = f"epoch {line.former.epoch} ended before it had read all: {why or NO_MORE_TIME}"
                line.log(log, logging.WARNING, "line.rotation_incomplete", text, "unread")
            case Do.FORGET_FORMER:
                self._forget_former(line)
            case Do.REFUSE | Do.CONFIRM:
                self._answer(line, why if action is Do.REFUSE else "")
            case Do.PLAN | Do.PLAN_AGAIN:
                self.plan(line, soon=action is Do.PLAN_AGAIN)

    def _check(self, line: LineRecord) -> None:
        if not line.state.is_open:
            self._handle(line, RotationEvent.UNFIT, f"it is {line.shown}")
        elif line.life.counters.paused_by_streams:
            self._handle(line, RotationEvent.UNFIT, "a full stream makes it wait")
        else:
            self._handle(line, RotationEvent.FIT)

    def _ask_limiter(self, line: LineRecord) -> None:
        deferral = self._limiters.try_acquire(line.name, line.spec, line.doors.at)
        if deferral.seconds:
            text = f"it may connect in {deferral.seconds:.0f} s: {deferral.why}"
            self._handle(line, RotationEvent.DEFERRED, text)
        else:
            self._handle(line, RotationEvent.ADMITTED)

    def _start(self, line: LineRecord) -> None:
        candidate = line.candidate = line.history.begin()
        candidate.shows, candidate.door = self._shows(line), line.doors.at
        try:
            candidate.child = self._children.start_connection(line, candidate)
        except (OSError, RuntimeError) as error:  # no descriptor, no thread
            line.history.fold(candidate.epoch)
            self._handle(line, RotationEvent.ENDED, f"out of threads or file descriptors: {error}")
            return
        overdue = RotationOverdue(line.name, candidate.epoch)
        self._timers.send_after(self._patience(line), self._supervisor, overdue)

    def _shows(self, line: LineRecord) -> Shows:
        """Which token the candidate is for."""
        if any(asked.holds for asked in line.wants_rotation):
            return "trial"
        return "stored" if line.wants_rotation or self._token_due(line) != 0.0 else "new"

    def _patience(self, line: LineRecord) -> float:
        """Seconds: for the way in, for the answers, and for asking at the venue's pace."""
        spec = line.spec
        frames = self._shared.cells.count(line.name)  # one for each topic, where one does not ask for several
        asking = FrameBudget(spec.send_rate.frames).time_for(frames)
        return 2 * (spec.dial.connect_timeout + spec.policy.ack_timeout) + asking

    def _take_over(self, line: LineRecord) -> None:
        candidate = line.candidate
        assert candidate is not None
        former = line.former = line.life
        assert former.child is not None
        self._leaving[line.name, former.epoch] = former.child
        address = self._roles.connection(line.name)
        address.tell(HandOver(candidate.epoch), former.epoch)
        address.promote()
        self._promote(line)
        line.rotations += 1
        for role in ("registry", "heartbeat"):
            self._roles.named(role).tell(LineLost(line.name, former.epoch))
        self._roles.named("heartbeat").tell(SessionOpened(line.name, line.epoch))
        text = f"epoch {line.epoch} took over from epoch {former.epoch}"
        line.log(log, logging.INFO, "line.rotated", text, "took_over")
        self._took_over(line)

    def _promote(self, line: LineRecord) -> None:
        assert line.candidate is not None
        line.promote(line.candidate)
        self._roles.named("dispatcher").tell(TurnGranted(line.name, line.epoch))

    def _end_former(self, line: LineRecord) -> None:
        """It has to go, whatever it has left unread."""
        former = line.former
        assert former is not None
        self._shared.arrivals.revoke(former.right)
        line.history.fold(former.epoch)
        assert former.child is not None
        former.child.tell(EndConnection(Stopped(NO_MORE_TIME)))
        former.connect_cancel.cancel()

    def _forget_former(self, line: LineRecord) -> None:
        former, line.former = line.former, None
        assert former is not None
        former.connect_cancel.cancel()
        self._roles.connection(line.name).forget_former()
        self._roles.named("dispatcher").tell(FormerEnded(line.name, former.epoch))

    def _drop(self, line: LineRecord, why: str) -> None:
        """The present connection goes on."""
        candidate, line.candidate = line.candidate, None
        assert candidate is not None
        if candidate.child is not None:
            self._leaving[line.name, candidate.epoch] = candidate.child
        address = self._roles.connection(line.name)
        address.tell(EndConnection(Stopped(why)), candidate.epoch)
        address.tell(CandidateDropped(line.name, candidate.epoch), line.epoch)
        address.point_candidate(None)
        candidate.connect_cancel.cancel()
        self._roles.named("registry").tell(LineLost(line.name, candidate.epoch))
        self._roles.named("dispatcher").tell(CandidateDropped(line.name, candidate.epoch))
        text = f"not rotated: {why}; the present connection goes on"
        line.log(log, logging.WARNING, "line.rotation_dropped", text, why)

    def _answer(self, line: LineRecord, why_not: str) -> None:
        asked, line.wants_rotation = line.wants_rotation, []
        for each in asked:
            if each.holds and not why_not:  # it took over, for the present connection was lost
                each.settled(line.name, line.epoch)
            else:
                each.note(line.name, why_not)
                each.answer()

    # ── when ──

    def plan(self, line: LineRecord, *, soon: bool = False) -> None:
        """The next rotation: as the config wants it, and before the line's token ends.

        `soon`: the last one failed.
        """
        line.rotation_turn += 1
        if line.rotation is not None:
            line.rotation.cancel()
        closing = ROTATE_AGAIN if line.closing_epoch == line.epoch else 0.0
        own, token_due = line.spec.policy.rotate_every, self._token_due(line)
        waits = [seconds for seconds in (own, closing) if seconds]
        if token_due is not None:
            waits.append(max(token_due, self._patience_for_token(line) if soon else SOON))
        if waits:
            wait = min(*waits, ROTATE_AGAIN) if soon else min(waits)
            due = RotateDue(line.name, line.rotation_turn)
            line.rotation = self._timers.send_after(wait, self._supervisor, due)

    def _token_due(self, line: LineRecord) -> float | None:
        """Seconds until a new token is to be shown; None: there is none that ends."""
        spec = line.spec
        return spec.token_store.renewal_in if spec.venue.needs_token(line.name) else None

    def _patience_for_token(self, line: LineRecord) -> float:
        """Seconds until another attempt to renew a token: more often as its end comes near."""
        left = line.spec.token_store.expires_in
        return ROTATE_AGAIN if left is None or left <= 0 else max(SOON, min(ROTATE_AGAIN, left / 4))


def _is_prepared(line: LineRecord, asked: RotationRequest) -> bool:
    """Whether its candidate waits for the word, or has taken over since, or needs none: the line closes."""
    if line.state.shown == "stopped":
        return True
    epoch = asked.epochs.get(line.name)
    waits = line.candidate is not None and line.candidate.epoch == epoch
    return epoch is not None and (waits or line.epoch == epoch)
