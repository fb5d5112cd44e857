"""The actors of one runtime, as user threads reach them: by their supervisor, until it has ended."""

from __future__ import annotations

from typing import Any

from actors.actor import ActorContext, Reply
from actors.calls import answer_of
from actors.errors import RuntimeStopped, Timeout
from actors.feed_spec import Specs
from actors.messages import REPLACED, RoleStarted, StopAll
from actors.supervision import running
from actors.supervision.forks import Home
from actors.supervision.proxy import Command
from actors.supervision.state import Environment, OnEnd
from actors.supervisor import Supervisor
from actors.timers import lock_timeout, seconds_left


class Tree:
    """Starts the supervisor, asks it and ends it. Any thread; in a forked child it raises `ForkError`."""

    def __init__(self, specs: Specs, environment: Environment, on_end: OnEnd) -> None:
        self.home = Home()
        self.ended: str | None = None  # why
        self.roles, self.clock = environment.roles, environment.timers.clock
        self._on_end = on_end
        self._inbox = self.roles.mailboxes["supervisor"].lease(RoleStarted())
        self._serial = -1  # of its last letter, as it was looked at last
        context = ActorContext("supervisor", 1, self._inbox, self.roles, environment.timers, parent=None)
        self._supervisor = Supervisor(context, specs, environment, self._end)
        self.shared = self._supervisor.shared

    def launch(self) -> None:
        self._supervisor.launch()

    def check(self) -> None:
        """Raises RuntimeStopped once it has ended."""
        self.home.check()
        if self.ended is not None:
            raise RuntimeStopped(self.ended)

    def ask(self, message: Any) -> Reply:
        return self.roles.named("supervisor").ask(message)

    def command(self, command: Command) -> Reply:
        """Ask what a caller need not wait for; what comes of it unread is a dead letter."""
        self.home.check()
        if self.ended is not None:  # also where the supervisor was given up, and still has its mailbox
            reply = Reply()
            reply.fail(RuntimeStopped(self.ended))
            return reply
        reply = self.ask(command)
        reply.notice_unread(lambda why: self.roles.dead_letters.add("supervisor", command, why))
        return reply

    def moves(self) -> bool:
        """Whether the supervisor has dealt with a letter since the last call, or has none in hand."""
        inbox, former = self._inbox, self._serial
        self._serial = inbox.serial
        return not inbox.busy or self._serial != former

    def stop(self, timeout: float, deadline: float, *, replaced: bool = False) -> tuple[str, ...]:
        """End every actor within `timeout` seconds. What has not ended by the deadline, by name.

        `replaced`: by another runtime, which the readers of streams are told.
        """
        if self.ended is not None:
            return ()
        left: tuple[str, ...]
        try:
            left = answer_of(self.ask(StopAll(timeout, replaced)), seconds_left(deadline))
        except Timeout:
            left = ("supervisor",)
        except RuntimeStopped:  # it ended meanwhile
            left = ()
        self._end(REPLACED if replaced else "stopped", not replaced)
        self._supervisor.thread.join(lock_timeout(seconds_left(deadline)))
        return left

    def begin_stop(self, timeout: float) -> None:
        """The supervisor is told to end every actor within `timeout` seconds. Waits for nothing."""
        if self.ended is None:
            self.roles.named("supervisor").tell(StopAll(timeout))

    def _end(self, reason: str, wanted: bool) -> None:
        """The supervisor has ended, or is given up."""
        if self.ended is None:
            self.ended = reason
        running.leave(self.shared)
        self._on_end(reason, wanted)
