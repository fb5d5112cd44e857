"""The end of a service for a deployment: nothing new is opened, tails end in good order, then the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Final, Protocol

from actors import log_queue
from actors.service.responses import RequestDeclined
from actors.timers import SystemClock

USUAL: Final = 10.0  # seconds
LONGEST: Final = 3_600.0  # seconds
LOOK: Final = 0.05  # seconds between two looks at who is left
WHY: Final = "the service drains: it ends soon"

log = log_queue.logger("actors.service")


class Drained(Protocol):
    """A client that may have a tail."""

    def drain(self, why: str) -> object:
        """Its tail ends behind what is queued. Called several times."""


class Draining:
    """Any thread may call.

    `clients` are those that are left. `close` makes the service open nothing more. `end` ends the process;
    None: nothing does.
    """

    def __init__(
        self,
        clients: Callable[[], Collection[Drained]],
        close: Callable[[str], object],
        end: Callable[[], object] | None,
        *,
        monotonic: Callable[[], float] = SystemClock.monotonic,
    ) -> None:
        self._clients, self._close, self._end, self._monotonic = clients, close, end, monotonic
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.is_on = False

    def begin(self, seconds: float, by: str) -> None:
        """Ends the process once no client is left, after so many seconds at most. The first call counts.

        Raises: RequestDeclined: the program of this service ends by itself (404).
        """
        if self._end is None:
            raise RequestDeclined(404, "this service ends with its program, which has to end it")
        with self._lock:
            if self.is_on:
                return
            self.is_on = True
        self._close(WHY)
        log.warning("service.draining", "The service ends within %g s, as %s asked.", seconds, by)
        threading.Thread(
            target=self._run, args=(seconds, self._end), name="service/drain", daemon=True
        ).start()

    @property
    def left(self) -> int:
        """How many clients there are."""
        return len(self._clients())

    def stop(self) -> None:
        self._stopped.set()

    def _run(self, seconds: float, end: Callable[[], object]) -> None:
        deadline = self._monotonic() + seconds
        while (clients := self._clients()) and self._monotonic() < deadline:
            for client in clients:
                client.drain(WHY)
            if self._stopped.wait(LOOK):
                return
        end()
