"""How far behind the events of a line are, and what is behind.

What waits in a stream waits for its reader, and what waits in the kernel for this process. Where nothing
waits and events still come later than they did, the venue or the network is behind.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from msgspec import Struct

from actors.rules.counters import StreamStatus

LATE: Final = 1.0  # seconds from which on a reader or this process is named
LATER: Final = 2.0  # the same of the venue or the network: its time may count in whole seconds
MUCH: Final = 64 * 1024  # bytes in the kernel: more than one read of a line that keeps up finds there

Cause = Literal["", "reader", "process", "upstream"]


class Lag(Struct, frozen=True):
    """How far behind a line is. `cause` and `text` are empty while it keeps up.

    `cause`: the `reader` of a stream, this `process`, or `upstream`, which is the venue or the network.
    """

    seconds: float = 0.0
    cause: Cause = ""
    text: str = ""  # for people


class Backlog(Struct, frozen=True):
    """What there is to judge a line by."""

    streams: Collection[StreamStatus] = ()  # that get events of it
    paused_by: Collection[int] = ()  # those that ask it to pause
    receive_lag_s: float | None = None  # since its socket was last read to the end
    kernel_bytes: int | None = None  # that wait there, as far as is known
    event_lag_s: float | None = None  # by which events come later than they did, by the venue's time


def judge(backlog: Backlog) -> Lag:
    """The largest of the three. Where nothing waits for long, no cause."""
    every = (_of_reader(backlog), _of_process(backlog), _of_upstream(backlog))
    named = [lag for lag in every if lag.cause]
    return max(named or every[:2], key=lambda lag: lag.seconds)


def _of_reader(backlog: Backlog) -> Lag:
    slowest = max(backlog.streams, key=lambda stream: stream.lag_s, default=None)
    if slowest is None or slowest.lag_s < LATE:
        return Lag(0.0 if slowest is None else slowest.lag_s)
    held = "; the line waits for it" if slowest.id in backlog.paused_by else ""
    name = f"stream {slowest.id} ({slowest.feed}/{slowest.channel})"
    text = f"the reader of {name} is {slowest.lag_s:,.1f} s behind: {slowest.queued:,} queued{held}"
    return Lag(slowest.lag_s, "reader", text)


def _of_process(backlog: Backlog) -> Lag:
    seconds, waiting = backlog.receive_lag_s or 0.0, backlog.kernel_bytes or 0
    if waiting >= MUCH:
        seconds = max(seconds, backlog.event_lag_s or 0.0)
    if seconds < LATE:
        return Lag(seconds)
    more = f": {waiting:,} bytes wait in the kernel" if waiting else ""
    return Lag(seconds, "process", f"this process is {seconds:,.1f} s behind with reading{more}")


def _of_upstream(backlog: Backlog) -> Lag:
    seconds = backlog.event_lag_s or 0.0
    if seconds < LATER or (backlog.kernel_bytes or 0) >= MUCH or (backlog.receive_lag_s or 0.0) >= LATE:
        return Lag(seconds)
    text = (
        f"events come {seconds:,.1f} s later than they did on this connection, by the venue's time, and "
        "nothing waits here: the venue, the network or a clock"
    )
    return Lag(seconds, "upstream", text)
