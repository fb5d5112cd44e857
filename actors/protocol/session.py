"""One connection's life as a table, and the effects that its connection carries out.

A session is sans-I/O: it is given what happened, in frames and monotonic seconds, and returns what is to
be done. Venues subclass it; the connection actor drives it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from actors.errors import LinewardenError
from actors.events import GapReason, Topic, VenueState
from actors.http_types import HttpAnswer, HttpFailed, HttpRequest
from actors.reasons import Reason, Retryable
from actors.secret import RedactedStruct, Shown

TEXT, BINARY = 1, 2  # RFC 6455 section 5.2
Frame = tuple[int, bytes]  # opcode, payload; a text payload is valid UTF-8


class SessionState(Enum):
    """How far the life of a session has come; `NEXT` has the transitions."""

    OPENING = "opening"  # the WebSocket is not up yet
    LOGGING_IN = "logging_in"
    OPEN = "open"  # subscriptions may be sent
    ENDED = "ended"


# The whole life, as data. What is not in this table cannot happen.
NEXT = {
    (SessionState.OPENING, "upgraded"): SessionState.LOGGING_IN,
    (SessionState.LOGGING_IN, "welcomed"): SessionState.OPEN,
    (SessionState.OPENING, "ended"): SessionState.ENDED,
    (SessionState.LOGGING_IN, "ended"): SessionState.ENDED,
    (SessionState.OPEN, "ended"): SessionState.ENDED,
}


# ── effects: what the connection does, in this order ────────────────────────────────────────────


class Send(RedactedStruct, frozen=True):
    """Send one frame: text for a `str`, binary for `bytes`. Its repr has no payload, which may be a login.

    It leaves when the connection's budget allows it (`Venue.send_rate`). `control`: a heartbeat, or the
    answer to one, which leaves before all others; of equal ones that wait the last one leaves.
    """

    payload: str | bytes
    control: bool = False

    def shown(self) -> Shown:
        """Yields kind and size for the repr; characters of a text, bytes of a binary payload."""
        yield "kind", "text" if isinstance(self.payload, str) else "binary"
        yield "size", len(self.payload)


class Announce(Struct, frozen=True):
    """The login is done: `subscribe` may be called. Once in a life; the session has moved to `OPEN`."""


class Confirm(Struct, frozen=True):
    """The venue acknowledged these topics; `assumed`: by a sign, such as an event, and not by an answer."""

    topics: tuple[Topic, ...]
    assumed: bool = False


class Reject(Struct, frozen=True):
    """The venue refused these topics. They are asked for again after `retry_after` seconds, if given."""

    topics: tuple[Topic, ...]
    reason: str  # the venue's words, for people
    retry_after: float | None = None


class Resent(Struct, frozen=True):
    """The session subscribed to these topics again by itself: their acknowledgement is open again."""

    topics: tuple[Topic, ...]


class Resync(Struct, frozen=True):
    """Call `Session.resync` for these topics when the budget has room: those that wait share frames."""

    topics: tuple[Topic, ...]


class Deliver:
    """Events in the venue's order, each with its topic. One effect for all of a read costs least.

    It is made of `(topic, event)` pairs and holds two lists in step, not a tuple for each event. The lists
    belong to the connection from then on. Events are shared by all streams: they must be frozen.
    """

    __slots__ = ("events", "topics")
    __match_args__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[Topic, Any]]) -> None:
        pairs = list(pairs)
        self.topics = [topic for topic, _ in pairs]
        self.events = [event for _, event in pairs]

    @classmethod
    def lists(cls, topics: list[Topic], events: list[Any]) -> Deliver:
        """Of two lists in step, which are not copied.

        Raises:
            ValueError: one of them is longer than the other.
        """
        if len(topics) != len(events):
            raise ValueError(f"{len(topics)} topics for {len(events)} events")
        deliver = cls.__new__(cls)
        deliver.topics, deliver.events = topics, events
        return deliver

    @property
    def pairs(self) -> list[tuple[Topic, Any]]:
        """The events with their topics; a new list."""
        return list(zip(self.topics, self.events, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Deliver) and (self.topics, self.events) == (other.topics, other.events)

    def __hash__(self) -> int:
        return hash(tuple(self.topics))

    def __repr__(self) -> str:
        return f"Deliver({self.pairs!r})"


class Unrouted(Struct, frozen=True):
    """So many events were decoded that belong to no topic of this session."""

    count: int


class Duplicates(Struct, frozen=True):
    """So many events were decoded that had been delivered before."""

    count: int


class Missed(Struct, frozen=True):
    """At this position events of these topics are, or may be, missing: their streams get a `Gap`."""

    topics: tuple[Topic, ...]
    reason: GapReason
    missed: int | None = None  # events of each topic; None: unknown


class ConnectionCloses(Struct, frozen=True):
    """The venue has announced that it will close this connection, which is rotated before, if possible."""

    text: str  # the venue's words


class Quarantine(Struct, frozen=True):
    """A message could not be decoded: it is counted and kept for people, with the error."""

    raw: bytes
    error: str


class Complain(Struct, frozen=True):
    """The venue reported an error that concerns no topic. It is logged, and shown in the status."""

    code: str  # see `code_of`
    text: str


class Answered(Struct, frozen=True):
    """The venue answered the heartbeat that `Session.ping` sent."""


class Fetch(Struct, frozen=True):
    """Send this request over HTTP, `after` so many seconds; then `Session.fetched` is called with the ticket.

    After the end of the connection it is not called.
    """

    ticket: str
    request: HttpRequest
    after: float = 0.0


class TokenRefused(Struct, frozen=True):
    """The venue rejected the token of this connection, which ends.

    A token from an earlier login is discarded, and the line reconnects with a new one. For a token that was
    made for this connection the line fails: the credentials are wrong.
    """

    text: str


class End(Struct, frozen=True):
    """The connection ends for this reason, which decides what follows: see `Retryable`, `Slow`, `Fatal`."""

    reason: Reason


# Open for more: a session returns what it knows, and handles no effects itself.
Effect = (
    Send
    | Announce
    | Confirm
    | Reject
    | Resent
    | Resync
    | Deliver
    | Unrouted
    | Duplicates
    | Missed
    | VenueState
    | ConnectionCloses
    | Quarantine
    | Complain
    | Answered
    | Fetch
    | TokenRefused
    | End
)


class EffectBatch:
    """Collects the effects of one read in order: events in a row as one `Deliver`, counts last.

    A session calls `deliver`, or appends to `topics` and `events` in step where an event must cost little. It
    counts up `unrouted` and `duplicates`. For one thread.
    """

    def __init__(self) -> None:
        self.topics: list[Topic] = []  # new lists after each `add`: do not keep them across one
        self.events: list[Any] = []
        self.unrouted = 0  # events
        self.duplicates = 0  # events
        self._effects: list[Effect] = []

    def deliver(self, topic: Topic, event: Any) -> None:
        """Appends this event behind the events and effects so far."""
        self.topics.append(topic)
        self.events.append(event)

    def deliver_all(self, topic: Topic, events: Sequence[Any]) -> None:
        """Appends these events of one topic."""
        self.topics += [topic] * len(events)
        self.events += events

    def add(self, *effects: Effect) -> None:
        """Appends these effects behind the events so far."""
        self._end_piece()
        self._effects += effects

    def quarantine(self, raw: bytes, error: Exception | str) -> None:
        """Appends a `Quarantine`; an exception without words goes by the name of its type."""
        self.add(Quarantine(raw, str(error) or type(error).__name__))

    def effects(self) -> list[Effect]:
        """Returns all of them. Called once, at the end of the read."""
        if self.events:
            self._effects.append(Deliver.lists(self.topics, self.events))
        if self.unrouted:
            self._effects.append(Unrouted(self.unrouted))
        if self.duplicates:
            self._effects.append(Duplicates(self.duplicates))
        return self._effects

    def _end_piece(self) -> None:
        if self.events:
            self._effects.append(Deliver.lists(self.topics, self.events))
            self.topics, self.events = [], []


class Session(ABC):
    """The venue's protocol on one connection. One thread at a time; `now` is monotonic seconds.

    Each method returns effects in the order in which the connection carries them out. An exception is a
    defect: it ends the connection as a crash, so none may be raised for what a venue sent.
    """

    # Each topic takes a frame or more: the session is asked for as many as may leave, so that none waits for
    # its answer before it has left.
    asks_one_by_one = False

    def __init__(self) -> None:
        self.state = SessionState.OPENING

    def _move(self, event: str) -> None:
        """Makes a transition of `NEXT`: "upgraded", "welcomed" or "ended".

        Raises:
            LinewardenError: the table has no such transition from this state.
        """
        following = NEXT.get((self.state, event))
        if following is None:
            allowed = " or ".join(repr(each) for state, each in NEXT if state is self.state) or "nothing"
            name, state = type(self).__name__, self.state.value
            raise LinewardenError(f"{name}: _move({event!r}) in the state {state!r}, where {allowed} is next")
        self.state = following

    def _end(self, reason: Reason) -> End:
        """Ends the session; returns the effect that ends its connection for this reason."""
        if self.state is not SessionState.ENDED:
            self._move("ended")
        return End(reason)

    def opened(self, now: float) -> list[Effect]:
        """The WebSocket is up. By default there is no login: the session announces itself at once."""
        self._move("upgraded")
        self._move("welcomed")
        return [Announce()]

    @abstractmethod
    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        """The data frames of one read, in order. What cannot be decoded becomes a `Quarantine`."""

    @abstractmethod
    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Asks the venue for these topics, all of this session's line. Called only while it is open.

        Earlier requests may still be open. A topic may be asked for again when its answer does not come.
        """

    @abstractmethod
    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Gives these topics up at the venue; what is still received of them is `Unrouted`."""

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Makes the venue send these topics from the start, with a `Missed` at the seam.

        Called for channels that are `resyncable`, and for all topics whose data the venue says is lost. By
        default it subscribes again.
        """
        return [
            Missed(tuple(topics), "unknown"),
            *self.unsubscribe(topics, now),
            *self.subscribe(topics, now),
            Resent(tuple(topics)),
        ]

    def written(self, message: Mapping[str, Any] | Sequence[Any]) -> str | bytes:
        """Returns the payload for a message that a program sends as a mapping or list (`Runtime.send`).

        By default it is JSON, as text. A venue with another encoding, or with an end to its messages,
        overrides it. An exception is told to the program, and nothing is sent.
        """
        return msgspec.json.encode(message).decode()

    def closed(self, code: int, words: str) -> Reason:
        """Returns what the venue's close frame means (RFC 6455, 7.4). By default it is retryable."""
        said = f": {words}" if words else ""
        return Retryable(f"the venue closed the connection ({code}{said})", f"close_{code}")

    def ping(self, now: float) -> list[Effect]:
        """Sends the venue's own heartbeat. Called every `Venue.ping_interval` seconds, unless it is 0."""
        return []

    def paused(self, now: float) -> None:
        """No answer is due from now on: the socket is not read, or frames wait for the budget."""
        return

    def resumed(self, now: float) -> None:
        """Answers are due again: the socket is read, and all frames have left."""
        return

    def oversized(self, head: Frame) -> Sequence[Topic]:
        """Returns the topics whose message begins like this; it is too large to be read.

        `head` is all of it that had come, some kilobytes at most, and may be empty. By default the topics are
        told by their keys and channels; a session that decodes the beginning can tell more.
        """
        return ()

    def legacy(self) -> object:
        """Returns what the next session of the line must know of this one; a value, since this one goes on.

        Called when a connection is rotated. A venue that repeats events at a subscription returns what
        identifies those that this session delivered.
        """
        return None

    def inherit(self, legacy: object) -> None:
        """Takes over from the session that returned `legacy`. Called before `subscribe`."""
        return

    def fetched(self, ticket: str, outcome: HttpAnswer | HttpFailed, now: float) -> list[Effect]:
        """The outcome of the `Fetch` with that ticket."""
        return []
