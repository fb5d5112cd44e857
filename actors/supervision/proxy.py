"""What a program may ask of the supervisor: four methods, each of which gives a Pykka future at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from actors.actor import Future, Reply
from actors.messages import PauseLines, RestartLines, ResumeLines
from actors.status import Status

Command = RestartLines | PauseLines | ResumeLines
Accepted = Literal["accepted"]


class SupervisorProxy:
    """`runtime.supervisor`. A target is a feed or a line.

    After the end every future fails with `RuntimeStopped`, but for `status`, which gives the last one. In a
    forked child each method raises `ForkError`.
    """

    __slots__ = ("__ask", "__look")

    def __init__(self, look: Callable[[], Status], ask: Callable[[Command], Reply]) -> None:
        self.__look, self.__ask = look, ask

    def status(self) -> Future[Status]:
        """What `Runtime.status` returns now. No actor is asked, so the future has its value already."""
        answered = Reply()
        answered.set(self.__look())
        return answered

    def restart(self, target: str) -> Future[Accepted]:
        """Clear failures and attempts of a feed or line, and reconnect it.

        The future fails with `LinewardenError` where there is no such feed or line.
        """
        return self.__ask(RestartLines(target))

    def pause(self, target: str) -> Future[Accepted]:
        """Close the sockets of a feed or line; its subscriptions stay desired.

        The future fails with `LinewardenError` where there is no such feed or line.
        """
        return self.__ask(PauseLines(target))

    def resume(self, target: str) -> Future[Accepted]:
        """Undo a pause.

        The future fails with `LinewardenError` where there is no such feed or line.
        """
        return self.__ask(ResumeLines(target))

    def __dir__(self) -> list[str]:
        return ["pause", "restart", "resume", "status"]

    def __repr__(self) -> str:
        return "<SupervisorProxy: status(), restart(target), pause(target), resume(target)>"
