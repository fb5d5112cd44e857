"""Make before break: a new connection takes over from a line's present one, and no stream sees a gap.

The candidate connects, logs in and has every subscription confirmed while the present connection
goes on. What it brings is held by the dispatcher until it takes over; what both brought is handed out
once, where the venue's events have a key. If anything goes wrong before that, the candidate is
dropped, and nothing has happened.
"""

from __future__ import annotations

import logging
import math

from pykka._envelope import Envelope

from actors import log_queue
from actors.children import Children
from actors.connection import HANDED_OVER
from actors.messages import (
    CandidateDropped,
    EndConnection,
    HandOver,
    HangUp,
    LineCutOver,
    LineLost,
    LineSettled,
    LineUnsettled,
    LineUpgraded,
    Reason,
    Report,
    RotationOverdue,
    SessionOpened,
    Stopped,
    VenueComplained,
)
from actors.tree import Books, Candidate, Former, LineRecord, Roles
from actors.wire.timers import Timers

log = log_queue.logger("actors.rotation")

GOODBYE = 5.0  # seconds that a connection which is rotated out has to read what was sent to it


class Rotations:
    """Carries them out for the supervisor, in its thread."""

    def __init__(self, roles: Roles, books: Books, children: Children, timers: Timers) -> None:
        self._roles, self._books, self._children = roles, books, children
        self._timers = timers
        self._supervisor = roles.named("supervisor")

    def begin(self, line: LineRecord) -> str:
        """Start a candidate beside the line's connection; why that cannot be, or nothing."""
        if line.candidate is not None or line.former is not None:
            return ""
        if not line.session_open or line.state not in ("live", "subscribing"):
            return f"it is {line.state}"
        if line.gauges.held_by:
            return "a full stream makes it wait"
        candidate = line.begin_candidate()
        try:
            candidate.child = self._children.candidate(line, candidate)
        except (OSError, RuntimeError) as error:  # no descriptor, no thread
            self.drop(line, f"this machine gives no more: {error}")
            line.fold(candidate.epoch)
            return f"this machine gives no more: {error}"
        overdue = RotationOverdue(line.name, candidate.epoch)
        self._timers.send_after(self._patience(line), self._supervisor, overdue)
        return ""

    def _patience(self, line: LineRecord) -> float:
        """Seconds: for the way in, for the answers, and for asking at the venue's pace."""
        spec = line.spec
        pacing = spec.pacing or spec.venue.pacing
        batches = math.ceil(len(self._books.ledger.topics(line.name)) / pacing.batch)
        return 2 * (spec.dial.connect_timeout + spec.ack_timeout) + batches * pacing.interval

    def hear(self, line: LineRecord, candidate: Candidate, report: Report) -> bool:
        """What the candidate has to say; whether it has taken over."""
        match report:
            case LineUpgraded():
                candidate.upgraded = True
            case SessionOpened():
                candidate.session_open = True
                self._roles.named("registry").tell(report)
            case LineSettled():
                candidate.settled = True
            case LineUnsettled():
                candidate.settled = False
            case RotationOverdue(why=why):
                self.drop(line, why)
                return False
            case VenueComplained(code=code, text=text):
                log.warning("%s: the venue reports to the next connection %s: %s", line.name, code, text)
        return candidate.session_open and candidate.settled and self._take_over(line, candidate)

    def _take_over(self, line: LineRecord, candidate: Candidate) -> bool:
        worse = self._books.ledger.worse(line.name, candidate.epoch, line.epoch)
        if worse:
            self.drop(line, f"the venue refused {worse[0]} to it")
            return False
        assert line.child is not None
        former = line.former = Former(line.epoch, line.child, line.hangup, line.gauges)
        line.leaving[former.epoch] = former.child
        address = self._roles.connection(line.name)
        address.tell(HandOver(candidate.epoch), former.epoch)
        address.promote()
        line.promote(candidate)
        for role in ("registry", "heartbeat"):
            self._roles.named(role).tell(LineLost(line.name, former.epoch))
        self._roles.named("heartbeat").tell(SessionOpened(line.name, line.epoch))
        self._hang_up_later(line, former.epoch)
        self._log(line, logging.INFO, f"epoch {line.epoch} took over from epoch {former.epoch}")
        return True

    def _hang_up_later(self, line: LineRecord, epoch: int) -> None:
        self._timers.send_after(GOODBYE, self._supervisor, HangUp(line.name, epoch))

    def overdue(self, line: LineRecord, epoch: int) -> None:
        """The connection that was rotated out has had its time, unless a full stream makes it wait."""
        former = line.former
        if former is None or former.epoch != epoch:
            return
        if former.gauges.held_by:
            self._hang_up_later(line, epoch)
        else:
            self._dismiss(line)

    def former_ended(self, line: LineRecord, epoch: int, reason: Reason) -> None:
        """The connection that was rotated out is gone: if it did not say its last word, it is said now."""
        if line.former is None or line.former.epoch != epoch:
            return
        line.former = None
        self._roles.connection(line.name).forget_former()
        if reason.code != HANDED_OVER:
            self._log(line, logging.WARNING, f"epoch {epoch} ended before it had read all: {reason.text}")
            self._roles.named("dispatcher").tell(LineCutOver(line.name, line.epoch, late=True))
        self._answer(line, "")

    def _dismiss(self, line: LineRecord) -> None:
        """The former connection has to go, whatever it has left unread."""
        former = line.former
        if former is not None:
            why = Stopped("it had no more time to hand over")
            former.child.inbox.put(Envelope(EndConnection(why)))
            former.hangup.pull()
            self.former_ended(line, former.epoch, why)

    def ended(self, line: LineRecord, reason: Reason) -> None:
        """The candidate's connection has ended by itself."""
        self.drop(line, reason.text)

    def drop(self, line: LineRecord, why: str) -> None:
        """The candidate is not wanted any more, if there is one; the present connection goes on."""
        candidate, line.candidate = line.candidate, None
        self._dismiss(line)
        if candidate is None:
            return
        if candidate.child is not None:
            line.leaving[candidate.epoch] = candidate.child
        address = self._roles.connection(line.name)
        address.tell(EndConnection(Stopped(why)), candidate.epoch)
        address.point_candidate(None)
        candidate.hangup.pull()
        self._roles.named("registry").tell(LineLost(line.name, candidate.epoch))
        self._roles.named("dispatcher").tell(CandidateDropped(line.name, candidate.epoch))
        self._log(line, logging.WARNING, f"not rotated: {why}; the present connection goes on")
        self._answer(line, why)

    def _answer(self, line: LineRecord, why_not: str) -> None:
        asked, line.wants_rotation = line.wants_rotation, []
        for each in asked:
            each.tell(line.name, why_not)
            each.answer()

    def _log(self, line: LineRecord, level: int, text: str) -> None:
        log.log(level, "%s: %s", line.name, text, extra={"line": line.name, "epoch": line.epoch})
