"""Commands of clients to lines: counted, and equal ones that come meanwhile are carried out once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from actors.calls import CALL
from actors.errors import LinewardenError, RuntimeStopped, Timeout
from actors.rules.command_limit import CommandLimit, Go, Later, Same
from actors.runtime import Runtime
from actors.service.responses import RequestDeclined, ServiceResponse
from actors.settings.schema import ServiceLimits
from actors.timers import SystemClock

LINE_COMMANDS = ("restart", "pause", "resume")  # methods of the supervisor's proxy


class Commands:
    """Any thread may call. `client`: see `Caller.client`."""

    def __init__(
        self,
        runtime: Runtime,
        limits: ServiceLimits,
        *,
        monotonic: Callable[[], float] = SystemClock.monotonic,
    ) -> None:
        self._runtime, self._monotonic = runtime, monotonic
        self._limit = CommandLimit(limits.restart_interval, limits.commands)
        self._lock = threading.Lock()

    def count(self, client: str) -> None:
        """Raises: RequestDeclined: this client has given too many commands (429)."""
        with self._lock:
            later = self._limit.count(client, self._monotonic())
        if later is not None:
            raise _later(later)

    def to_lines(self, name: str, target: str, client: str) -> ServiceResponse:
        """One of `LINE_COMMANDS`, for a feed or a line.

        Raises:
            RequestDeclined: it comes too soon (429), or there is no such feed or line (404).
            RuntimeStopped, Timeout: the supervisor does not answer.
        """
        self.count(client)
        lines = [
            line for line, view in self._runtime._shared.lines.copy().items() if target in {line, view.feed}
        ]
        with self._lock:
            verdict = self._limit.judge(name, target, lines, self._monotonic())
        match verdict:
            case Later():
                raise _later(verdict)
            case Same(told=told):
                return ServiceResponse(202, {"answer": told})
            case Go(lines=due, told=told):
                targets = [target] if len(due) == len(lines) else due
                try:
                    answers = {self._carry_out(name, each) for each in targets}
                except BaseException:
                    with self._lock:
                        self._limit.not_done(due)
                    raise
                return ServiceResponse(202, {"answer": "; ".join(filter(None, [*answers, told]))})

    def _carry_out(self, name: str, target: str) -> str:
        try:
            answer: str = getattr(self._runtime.supervisor, name)(target).get(timeout=CALL)
        except (RuntimeStopped, Timeout):
            raise
        except LinewardenError as error:
            raise RequestDeclined(404, str(error)) from None
        return answer


def _later(later: Later) -> RequestDeclined:
    return RequestDeclined(429, later.told, ("Retry-After", str(later.retry_after)))
