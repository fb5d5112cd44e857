"""Make before break: a new connection takes over from a line's present one, and no stream sees a gap.

The candidate connects, logs in and has every subscription confirmed while the present connection
goes on. What it brings is held by the dispatcher until it takes over; what both brought is handed out
once, where the venue's events have a key. If anything goes wrong before that, the candidate is
dropped, and nothing has happened.
"""

from __future__ import annotations

import logging

from actors.children import Children
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
from actors.tree import Books, Candidate, LineRecord, Roles
from actors.wire.timers import Timers

log = logging.getLogger("actors.rotation")

GOODBYE = 5.0  # seconds that a connection which is rotated out has to read what was sent to it


class Rotations:
    """Carries them out for the supervisor, in its thread."""

    def __init__(self, roles: Roles, books: Books, children: Children, timers: Timers) -> None:
        self._roles, self._books, self._children = roles, books, children
        self._timers = timers
        self._supervisor = roles.named("supervisor")

    def begin(self, line: LineRecord) -> str:
        """Start a candidate beside the line's connection; why that cannot be, or nothing."""
        if line.candidate is not None or line.handing_over is not None:
            return ""
        if not line.session_open or line.state not in ("live", "subscribing"):
            return f"it is {line.state}"
        candidate = line.begin_candidate()
        try:
            candidate.child = self._children.candidate(line, candidate)
        except (OSError, RuntimeError) as error:  # no descriptor, no thread
            self.drop(line, f"this machine gives no more: {error}")
            return f"this machine gives no more: {error}"
        spec = line.spec
        patience = 2 * (spec.dial.connect_timeout + spec.ack_timeout)
        overdue = RotationOverdue(line.name, candidate.epoch)
        self._timers.send_after(patience, self._supervisor, overdue)
        return ""

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
            case RotationOverdue():
                self.drop(line, "it was not ready in time")
                return False
            case VenueComplained(code=code, text=text):
                log.warning("%s: the venue reports to the next connection %s: %s", line.name, code, text)
        return candidate.session_open and candidate.settled and self._take_over(line, candidate)

    def _take_over(self, line: LineRecord, candidate: Candidate) -> bool:
        worse = self._books.ledger.worse(line.name, candidate.epoch, line.epoch)
        if worse:
            self.drop(line, f"the venue refused {worse[0]} to it")
            return False
        former, hangup = line.epoch, line.hangup
        address = self._roles.connection(line.name)
        address.tell(HandOver(candidate.epoch), former)
        address.promote()
        line.promote(candidate)
        for role in ("registry", "heartbeat"):
            self._roles.named(role).tell(LineLost(line.name, former))
        self._roles.named("heartbeat").tell(SessionOpened(line.name, line.epoch))
        line.handing_over = former
        self._timers.send_after(GOODBYE, self._supervisor, HangUp(line.name, former, hangup))
        self._log(line, logging.INFO, f"epoch {line.epoch} took over from epoch {former}")
        return True

    def former_ended(self, line: LineRecord, epoch: int) -> None:
        """The connection that was rotated out is gone: if it did not say its last word, it is said now."""
        if line.handing_over == epoch:
            line.handing_over = None
            self._roles.named("dispatcher").tell(LineCutOver(line.name, line.epoch, late=True))
            self._answer(line, "")

    def ended(self, line: LineRecord, reason: Reason) -> None:
        """The candidate's connection has ended by itself."""
        self.drop(line, reason.text)

    def drop(self, line: LineRecord, why: str) -> None:
        """The candidate is not wanted any more, if there is one; the present connection goes on."""
        candidate, line.candidate = line.candidate, None
        if line.handing_over is not None:
            self.former_ended(line, line.handing_over)
        if candidate is None:
            return
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
