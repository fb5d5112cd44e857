"""The end of the tree, in phases: connections first, then the workers in the reverse order of their start."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors import log_queue
from actors.diagnostics import stack_of
from actors.messages import PhaseOverdue
from actors.supervision.lines import Lines
from actors.supervision.state import WORKERS, Child, Environment

log = log_queue.logger("actors.supervisor")


class Shutdown:
    """Waits for the children of one phase after another, each for its share of the time."""

    def __init__(
        self, lines: Lines, workers: Mapping[str, Child], environment: Environment, done: Callable[[], None]
    ) -> None:
        self._lines, self._workers, self._roles = lines, workers, environment.roles
        self._timers, self._clock = environment.timers, environment.timers.clock
        self._done = done
        self.begun = False
        self.leftovers: list[str] = []  # what did not end in its time
        self._deadline = 0.0
        self._phase = 0
        self._phase_ids: set[tuple[str, int]] = set()

    def begin(self, timeout: float) -> None:
        """Once: what is asked later is answered with the first one."""
        if self.begun:
            return
        self.begun = True
        self._deadline = self._clock.monotonic() + timeout
        self._lines.stop("the runtime stops")
        self._enter(0)

    def exited(self, id: str, incarnation: int) -> None:
        """A child has ended."""
        if self.begun:
            self._phase_ids.discard((id, incarnation))
            self._advance()

    def overdue(self, phase: int) -> None:
        """The children of this phase have had their share of the time."""
        if phase != self._phase:
            return
        for child in self._children():
            if (child.id, child.incarnation) in self._phase_ids:
                self.leftovers.append(child.id)
                text = "%s did not end in time; it is left behind. Its stack:\n%s"
                log.error("actor.left_behind", text, child.id, stack_of(child.thread))
        for line in self._lines.records.values():
            line.life.connect_cancel.cancel()
        self._phase_ids.clear()
        self._advance()

    def _enter(self, phase: int) -> None:
        """What is left of the budget is shared among the phases that are left."""
        self._phase = phase
        children = self._children()
        self._phase_ids = {(child.id, child.incarnation) for child in children}
        for child in children:
            if child.id in self._workers:
                self._roles.mailboxes[child.id].stop_reader()
        left = max(0.0, self._deadline - self._clock.monotonic()) / (len(WORKERS) + 1 - phase)
        self._timers.send_after(left, self._roles.named("supervisor"), PhaseOverdue(phase))
        self._advance()

    def _children(self) -> list[Child]:
        if self._phase == 0:
            return self._lines.not_ended()
        role = WORKERS[-self._phase]
        return [self._workers[role]] if role in self._workers else []

    def _advance(self) -> None:
        if self._phase_ids:
            return
        if self._phase < len(WORKERS):
            self._enter(self._phase + 1)
        else:
            self._done()
