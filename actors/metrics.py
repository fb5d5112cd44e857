"""What a program may count of a runtime: an interface, and a default that counts nothing.

Give `start(config, metrics=…)` an object with these three methods, over whatever library you use.
They are called on the threads of lines and of the log (`actors.log_queue`). A method that waits makes that
line, or the log, wait with it, and no other part of the runtime. What one raises is logged once a line.

| name | kind | labels |
| --- | --- | --- |
| `linewarden_line_starts_total` | counter | feed, line |
| `linewarden_line_connects_total` | counter | feed, line |
| `linewarden_line_stops_total` | counter | feed, line, kind (of its reason) |
| `linewarden_line_errors_total` | counter | feed, line, code |
| `linewarden_events_total` | counter | feed, line |
| `linewarden_quarantined_total` | counter | feed, line |
| `linewarden_last_event_age_seconds` | gauge, at each ping | feed, line |
| `linewarden_rtt_seconds` | observed, at each pong | feed, line |
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from actors import log_queue

log = log_queue.logger("actors.metrics")


class Metrics(Protocol):
    """Any thread may call these; they return at once."""

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        """A counter goes up by `value`."""

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """A measure is `value` now."""

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """One more sample of a distribution."""


class NoMetrics:
    """Counts nothing."""

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        pass

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        pass

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        pass


class LineMetrics:
    """A user's metrics as one line sees them: its labels, and no way to raise into an actor."""

    def __init__(self, metrics: Metrics, feed: str, line: str) -> None:
        self._metrics = metrics
        self.counts = type(metrics) is not NoMetrics  # False: nothing is made of what is told here
        self._labels = {"feed": feed, "line": line}
        self._first = threading.Lock()  # taken by the first failure, and kept

    def increment(self, name: str, value: int = 1, **labels: str) -> None:
        if self.counts:
            self._call(self._metrics.increment, name, value, labels)

    def increment_later(self, name: str, **labels: str) -> None:
        """The same, from an actor that must not wait for a program's object."""
        if self.counts:
            log_queue.call_later(partial(self._call, self._metrics.increment, name, 1, labels))

    def gauge(self, name: str, value: float) -> None:
        self._call(self._metrics.gauge, name, value, {})

    def observe(self, name: str, value: float) -> None:
        self._call(self._metrics.observe, name, value, {})

    def _call(self, method: Callable[..., None], name: str, value: Any, labels: dict[str, str]) -> None:
        try:
            method(f"linewarden_{name}", value, **self._labels, **labels)
        except Exception:
            if self._first.acquire(blocking=False):
                log.exception(
                    "The metrics of %s failed; further failures are not logged.", self._labels["line"]
                )
