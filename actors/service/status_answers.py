"""The status for those who ask the service: built and encoded at most ten times a second, and shared.

A runtime builds a status after each change that is asked for. Lines that flap must not make each of many
askers pay for one, nor may many topics. So builds are 0.1 s apart, and so far that they take a tenth of a
core. An asker after a change waits for the next of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from actors.service.status_json import status_json
from actors.status import Status
from actors.supervision.snapshot import SHARED
from actors.timers import SystemClock

SHARE: Final = 0.1  # of a core, which builds and encodings may take...
LONGEST: Final = 1.0  # ...if they are no further apart than so many seconds


class _Taken(Struct, frozen=True):
    status: Status
    change: object  # the last one before it
    until: float  # monotonic seconds, from which on another may be built


class _Encoded(Struct, frozen=True):
    status: Status
    json: bytes


class StatusAnswers:
    """One thread at a time. `look` gives the status of this moment; `change` is replaced with each change."""

    def __init__(
        self,
        look: Callable[[], Status],
        change: Callable[[], object],
        *,
        monotonic: Callable[[], float] = SystemClock.monotonic,
        cpu: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._look, self._change = look, change
        self._monotonic, self._cpu, self._sleep = monotonic, cpu, sleep
        self._taken: _Taken | None = None
        self._encoded: dict[str, _Encoded] = {}
        self._encoding_took = 0.0  # seconds of a core, the last time

    def status(self) -> Status:
        """At most 1 s old, with few topics 0.1 s, and not older than the last change."""
        if (taken := self._taken) is not None and (left := taken.until - self._monotonic()) > 0.0:
            if taken.change is self._change():
                return taken.status
            self._sleep(left)
        change, begun = self._change(), self._cpu()
        status = self._look()
        cost = self._cpu() - begun + self._encoding_took
        self._taken = _Taken(status, change, self._monotonic() + pause(cost))
        return status

    def json(self, view: str = "", shown: Callable[[Status], Status] | None = None) -> bytes:
        """The same as JSON. `view` names what `shown` leaves of it: equal names share one encoding."""
        status = self.status()
        kept = self._encoded.get(view)
        if kept is None or kept.status is not status:
            begun = self._cpu()
            kept = _Encoded(status, status_json(status if shown is None else shown(status)))
            self._encoded[view] = kept
            self._encoding_took = self._cpu() - begun
        return kept.json


def pause(cost: float) -> float:
    """Returns the seconds between two statuses, if one takes so many of a core."""
    return min(LONGEST, max(SHARED, cost / SHARE))
