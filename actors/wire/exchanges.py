"""The HTTP exchanges of one session, each on a short-lived thread."""

from __future__ import annotations

import threading

from actors import log_queue
from actors.http_types import HttpAnswer, HttpFailed
from actors.messages import FetchDue, Fetched
from actors.timers import Tellable, Timer, Timers
from actors.wire.attempt import ConnectCancel
from actors.wire.connect import Dial

log = log_queue.logger("actors.connection")


class Exchanges:
    """Begun and ended in the connection's thread; each outcome is sent to the connection."""

    def __init__(self, name: str, owner: Tellable, dial: Dial, timers: Timers) -> None:
        self._name, self._owner, self._dial, self._timers = name, owner, dial, timers
        self._planned: dict[str, Timer] = {}  # by ticket
        self._begun: dict[str, ConnectCancel] = {}

    def plan(self, due: FetchDue, after: float) -> None:
        """Begin it in so many seconds, or now."""
        if after:
            self._planned[due.ticket] = self._timers.send_after(after, self._owner, due)
        else:
            self.begin(due)

    def begin(self, due: FetchDue) -> None:
        self._planned.pop(due.ticket, None)
        connect_cancel = self._begun[due.ticket] = ConnectCancel()
        try:
            threading.Thread(
                target=self._exchange, args=(due, connect_cancel), name=f"{self._name}/fetch", daemon=True
            ).start()
        except RuntimeError as error:
            failed = HttpFailed(f"out of threads: {error}", "resources")
            self._owner.tell(Fetched(due.ticket, failed))

    def ended(self, ticket: str) -> None:
        """Its outcome has been received."""
        self._begun.pop(ticket, None)

    def end_all(self) -> None:
        """The connection ends."""
        for timer in self._planned.values():
            timer.cancel()
        for connect_cancel in self._begun.values():
            connect_cancel.cancel()

    def _exchange(self, due: FetchDue, connect_cancel: ConnectCancel) -> None:
        """On a thread of its own: whatever comes of it is told, nothing is raised."""
        outcome: HttpAnswer | HttpFailed
        try:
            from actors.wire.http_client import fetch  # an HTTP client, where one is needed

            outcome = fetch(due.request, self._dial, connect_cancel)
        except Exception as error:
            log.exception(
                "request.failed", "%s: an HTTP exchange failed with an unexpected error.", self._name
            )
            outcome = HttpFailed(f"{type(error).__name__}: {error}", "fetching")
        self._owner.tell(Fetched(due.ticket, outcome))
