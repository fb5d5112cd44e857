"""Counters of a connection and of a stream."""

from __future__ import annotations

from msgspec import Struct

from actors.rules.event_lags import EventLags

# Messages in a row that could not be decoded, and are no exception any more: since an event, and without one.
MANY, FEW = 10, 3


class LineCounters:
    """What one connection has counted. Its own thread writes, any thread reads.

    An outcome is counted after its event, so a reader that reads outcomes first never sees too many.
    """

    def __init__(self) -> None:
        self.bytes = 0  # received
        self.frames = 0  # data frames received
        self.decoded = 0  # events, and messages that were none
        self.routed = 0  # events that reached at least one stream
        self.unrouted = 0  # events that no stream took
        self.duplicates = 0
        self.quarantined = 0
        self.undecoded = 0  # messages in a row that could not be decoded, without an event between them
        self.undecoded_since = 0.0  # monotonic seconds of the first of these
        self.received_at = 0.0  # monotonic seconds of the last bytes
        self.received_ns = 0  # the same by the wall clock
        self.message_at = 0.0  # monotonic seconds of the last data frames
        self.acknowledged_at = 0.0  # monotonic seconds of the last answer to a subscription
        self.data_at: float | None = None  # monotonic seconds of the first event
        self.event_at = 0.0  # monotonic seconds of the last event
        self.unsent = 0  # bytes that the venue has not taken
        self.paused_by_streams: tuple[int, ...] = ()  # streams that ask the line to pause
        self.reading = True  # whether the socket is read, if there is one
        self.read_begun_at = 0.0  # monotonic seconds: the first read since the socket was last at its end
        self.read_to_end_at = 0.0  # monotonic seconds: what had been received by then has been handled
        self.calls_since = 0.0  # monotonic seconds, while its thread is in inline handlers; 0.0: it is not
        self.kernel_bytes: int | None = None  # received and unread, at the last look; None: not known
        self.event_lags = EventLags()
        self.upgraded_at = 0.0  # monotonic seconds
        self.compressed = False  # the venue may compress what it sends

    def receive_lag(self, now: float) -> float:
        """Seconds since the socket was last read to its end; 0: nothing is known to wait.

        In a handler nothing is read, so it is not known what waits.
        """
        is_behind = self.read_begun_at > self.read_to_end_at if self.reading else self.kernel_bytes != 0
        begun_at = max(self.read_begun_at, self.upgraded_at) if is_behind else self.calls_since or now
        return max(0.0, now - begun_at)

    def is_read_to_end(self, since: float) -> bool:
        """Whether all that had been received by then (monotonic seconds) has been read and handled.

        A quiet connection takes note on each beat, and when it is told `LookAgain`; any thread may tell it.
        """
        return self.reading and self.read_to_end_at >= since

    def note_undecoded(self) -> None:
        """A message of the present read could not be decoded."""
        if self.event_at >= self.undecoded_since:
            self.undecoded, self.undecoded_since = 0, self.received_at
        self.decoded += 1
        self.quarantined += 1
        self.undecoded += 1

    @property
    def decodes_nothing(self) -> bool:
        """No message could be decoded: none of a few in all, or none of many since the last event."""
        if self.event_at >= self.undecoded_since:
            return False
        return self.undecoded >= MANY or self.quarantined == self.decoded >= FEW


class StreamStatus(Struct, frozen=True):
    """One stream's counters, as status shows them. received = delivered + dropped + conflated + queued."""

    id: int
    feed: str
    channel: str
    topics: int
    policy: str
    capacity: int
    received: int
    delivered: int
    dropped: int
    conflated: int
    queued: int
    gaps: int
    handler_errors: int
    lag_s: float = 0.0  # since the receipt of the oldest event that waits; 0: none does
