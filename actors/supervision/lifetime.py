"""What ends a runtime that its program does not stop: the garbage collector, or the interpreter's end."""

from __future__ import annotations

import atexit
import functools
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Protocol

from actors.actor import Roles
from actors.calls import CALL
from actors.messages import StopAll
from actors.supervision.forks import Home

AT_EXIT = 1.0  # seconds that a runtime has to stop when the interpreter ends


class Stoppable(Protocol):
    def stop(self) -> object: ...


class StoppableInTime(Protocol):
    def stop(self, timeout: float) -> object: ...


class Lifetime:
    """Ends one runtime once no reference to it is left, or when the interpreter ends. Holds it weakly.

    A venue may allow one connection per account: a runtime that its program has forgotten gives it back.
    """

    def __init__(
        self,
        runtime: StoppableInTime,
        home: Home,
        roles: Roles,
        simulators: Mapping[str, Stoppable],
        close_requests: Callable[[], object],
    ) -> None:
        weakref.finalize(runtime, abandon, home, roles, simulators, close_requests).atexit = False
        self._at_exit = functools.partial(stop_at_exit, home, weakref.ref(runtime))
        atexit.register(self._at_exit)

    def close(self) -> None:
        """The runtime has been stopped: nothing is left to do at the end of the interpreter."""
        atexit.unregister(self._at_exit)


def abandon(
    home: Home, roles: Roles, simulators: Mapping[str, Stoppable], close_requests: Callable[[], object]
) -> None:
    """Runs in the garbage collector: tells the supervisor, and waits for nothing."""
    if home.is_left:
        return
    roles.named("supervisor").tell(StopAll(CALL))
    threading.Thread(target=close_requests, name="requests/close", daemon=True).start()
    for simulator in simulators.values():
        threading.Thread(target=simulator.stop, name="simulator/stop", daemon=True).start()


def stop_at_exit(home: Home, reference: Callable[[], StoppableInTime | None]) -> None:
    if (runtime := reference()) is not None and not home.is_left:
        runtime.stop(AT_EXIT)
