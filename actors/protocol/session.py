"""One connection's life as a table, and the effects that its owner carries out.

A session is sans-I/O: it is told what happened, in frames and monotonic seconds, and answers what
to do. Venues subclass it; the connection actor drives it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import Any

from msgspec import Struct

from actors.events import GapReason, Topic
from actors.http_types import HttpAnswer, HttpFailed, HttpRequest
from actors.reasons import Reason, Retryable
from actors.secret import RedactedStruct, Shown

TEXT, BINARY = 1, 2  # RFC 6455 section 5.2
Frame = tuple[int, bytes]  # opcode, payload; a text payload is valid UTF-8


class State(Enum):
    OPENING = "opening"  # no socket yet
    LOGGING_IN = "logging_in"
    OPEN = "open"  # subscriptions may be sent
    ENDED = "ended"


# The whole life, as data. What is not in this table cannot happen.
NEXT = {
    (State.OPENING, "upgraded"): State.LOGGING_IN,
    (State.LOGGING_IN, "welcomed"): State.OPEN,
    (State.OPENING, "ended"): State.ENDED,
    (State.LOGGING_IN, "ended"): State.ENDED,
    (State.OPEN, "ended"): State.ENDED,
}


# ── effects: what the connection is to do, in this order ────────────────────────────────────────


class Send(RedactedStruct, frozen=True):
    """Send one frame: text for a `str`, binary for `bytes`. Its repr shows nothing: it may be a login."""

    payload: str | bytes

    def shown(self) -> Shown:
        yield "kind", "text" if isinstance(self.payload, str) else "binary"
        yield "size", len(self.payload)


class Announce(Struct, frozen=True):
    """The login is done: subscriptions may be sent."""


class Confirm(Struct, frozen=True):
    """The venue acknowledged these topics; `assumed`: it gave a sign, but no acknowledgement."""

    topics: tuple[Topic, ...]
    assumed: bool = False


class Reject(Struct, frozen=True):
    """The venue refused these topics; they may be asked again after `retry_after` seconds."""

    topics: tuple[Topic, ...]
    reason: str
    retry_after: float | None = None


class Resent(Struct, frozen=True):
    """These topics were subscribed to again by the session and wait for a new answer."""

    topics: tuple[Topic, ...]


class Deliver(Struct, frozen=True):
    """Events in the venue's order, each with its topic."""

    pairs: list[tuple[Topic, Any]]


class Unrouted(Struct, frozen=True):
    """Events were decoded that no topic of ours asked for."""

    count: int


class Duplicates(Struct, frozen=True):
    """Events were decoded that had been delivered before."""

    count: int


class Missed(Struct, frozen=True):
    """At this place events of these topics are, or may be, missing."""

    topics: tuple[Topic, ...]
    reason: GapReason
    missed: int | None = None


class Quarantine(Struct, frozen=True):
    """A message that could not be understood is put aside, with the error that it gave."""

    raw: bytes
    error: str


class Complain(Struct, frozen=True):
    """The venue reported an error that concerns no topic of ours."""

    code: str
    text: str


class Answered(Struct, frozen=True):
    """The venue answered its own heartbeat."""


class Fetch(Struct, frozen=True):
    """Ask this over HTTP, `after` so many seconds; `fetched` is told what came of `ticket`."""

    ticket: str
    request: HttpRequest
    after: float = 0.0


class TokenRefused(Struct, frozen=True):
    """The venue does not take the token that this connection came with. It ends.

    A token that was kept from an earlier login is thrown away and the line tries again with a new
    one; one that was just made is no better next time, so then the line has failed.
    """

    text: str


class End(Struct, frozen=True):
    """The connection is of no more use."""

    reason: Reason


Effect = (
    Send
    | Announce
    | Confirm
    | Reject
    | Resent
    | Deliver
    | Unrouted
    | Duplicates
    | Missed
    | Quarantine
    | Complain
    | Answered
    | Fetch
    | TokenRefused
    | End
)


class Session(ABC):
    """The venue's side of one connection. One thread at a time; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self.state = State.OPENING

    def _move(self, event: str) -> None:
        self.state = NEXT[self.state, event]

    def opened(self, now: float) -> list[Effect]:
        """The WebSocket is up. A venue without a login announces itself at once."""
        self._move("upgraded")
        self._move("welcomed")
        return [Announce()]

    @abstractmethod
    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        """Data frames, in order. Never raises for what a venue sent: that is quarantined."""

    @abstractmethod
    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Ask the venue for these topics; all lie on this session's line."""

    @abstractmethod
    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Tell the venue that nobody wants these topics any more."""

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Make the venue start these topics anew, with a `Missed` at the place of the seam."""
        return [
            Missed(tuple(topics), "unknown"),
            *self.unsubscribe(topics, now),
            *self.subscribe(topics, now),
            Resent(tuple(topics)),
        ]

    def closed(self, code: int, words: str) -> Reason:
        """What the venue's close frame means; venues that use codes of their own override it."""
        said = f": {words}" if words else ""
        return Retryable(f"the venue closed the connection ({code}{said})", f"close_{code}")

    def ping(self, now: float) -> list[Effect]:
        """The venue's own heartbeat, where it has one."""
        return []

    def paused(self, now: float) -> None:
        """The socket is not read for a while: silence means nothing, and no answer can be seen."""
        return

    def resumed(self, now: float) -> None:
        """The socket is read again."""
        return

    def legacy(self) -> object:
        """What the next life of this line needs to know of this one, which goes on; a value of its own.

        Where the venue repeats events at a subscription, what this life brought belongs here.
        """
        return None

    def inherit(self, legacy: object) -> None:
        """This life is to take over from the one that left this."""
        return

    def fetched(self, ticket: str, outcome: HttpAnswer | HttpFailed, now: float) -> list[Effect]:
        """What came of a `Fetch`. Never raises for what a venue sent."""
        return []
