"""Whether the counters of lines and streams reconcile, and how to wait until they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors import Runtime
from actors.rules.counters import StreamStatus
from actors.status import Counters, Status
from tests.support.runtimes import until


def line_reconciles(counters: Counters) -> bool:
    ended = counters.routed + counters.unrouted + counters.quarantined + counters.duplicates + counters.lost
    return counters.decoded == ended and counters.in_flight == 0


def stream_reconciles(stream: StreamStatus) -> bool:
    return stream.received == stream.delivered + stream.dropped + stream.conflated + stream.queued


def reconciled(status: Status) -> bool:
    """Nothing is on its way, and all counters reconcile."""
    lines: Mapping[str, Counters] = {name: line.counters for name, line in status.lines().items()}
    return all(map(line_reconciles, lines.values())) and all(map(stream_reconciles, status.streams))


def decoded(count: int, line: str = "o2") -> Callable[[Status], bool]:
    """So many events have come in over that line, and all of them have gone where they belong."""
    return lambda status: status.lines()[line].counters.decoded >= count and reconciled(status)


def settle(runtime: Runtime) -> Status:
    """Quiescence: nothing is on its way any more."""
    return until(runtime, reconciled)
