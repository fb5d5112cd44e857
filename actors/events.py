"""Words to users: what a stream carries, and what its topics are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct, structs

from actors.display.escaping import printable
from actors.display.shown import html_of

Event = TypeVar("Event")
LIFECYCLE = "lifecycle"  # the channel of a stream of `Lifecycle` events, and of their topics
Key = str | int  # as a user writes it; an integer means its digits
# A mapping is one key, where the venue writes its keys so: O2's identities, tplus' assets.
Keys = Key | Mapping[str, Any] | Iterable[Key | Mapping[str, Any]]
Option = str | int | float | bool
Options = tuple[tuple[str, Option], ...]  # sorted by name, so that equal options are equal

Desire = Literal["desired", "sent", "confirmed", "rejected"]
GapReason = Literal["disconnect", "overflow", "sequence", "quarantine", "unknown"]
LifecycleState = Literal[
    "connecting", "connected", "disconnected", "reconnecting", "restored", "failed", "paused"
]
StateName = Literal["open", "halted", "maintenance", "degraded", "data_lost"]

Standing = Literal["live", "quiet", "stale", "blind", "unknown"]
Company = Literal["nothing", "pongs", "acks", "heartbeats", "others"]
Told = Literal["halted", "maintenance"]  # by the venue, of itself
# Of a topic that is blind: its line does not bring it, or not all of it.
Blindness = Literal[
    "not_subscribed",
    "unconfirmed",
    "rejected",
    "not_live",
    "not_reading",
    "process_paused",
    "undecodable",
    "backfill",
    "silent_loss",
]
# Of a stream: what it holds has not been read, or is over.
Unread = Literal["gap_unread", "queue", "lag", "closed_stream"]
Cause = (
    Literal[
        "",
        "venue_time",
        "closed",
        "not_due",
        "unwatched",
        "no_event",
        "gap",
        "max_age",
        "live_for",
        "unproved",
    ]
    | Company
    | Told
    | Blindness
    | Unread
)


class Topic(Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """What can be subscribed to: a feed's channel, a key in it, and the options that matter.

    Topics are made by the feed's venue, which brings keys and options into one form, so that
    two spellings of one subscription are one topic.
    """

    feed: str
    channel: str
    key: str = ""  # empty on a channel without keys
    options: Options = ()

    def __str__(self) -> str:
        text = "/".join(filter(None, (self.feed, self.channel, self.key)))
        if self.options:
            text += "?" + "&".join(f"{name}={value}" for name, value in self.options)
        return printable(text)  # a program, or a client of the service, has chosen the key


class SubscriptionState(Struct, frozen=True):
    """How far a wanted subscription has come: desired, sent, confirmed or rejected."""

    state: Desire
    assumed: bool = False  # confirmed by the venue's silence: it does not acknowledge this channel
    reason: str = ""  # why the venue rejected it, in the venue's words


class Gap(Struct, frozen=True):
    """Here something is missing, or may be: between two events of one topic.

    `missed` is the number of events lost where that is known. `since_ns` and `until_ns` are
    wall-clock nanoseconds and bound the time that was not seen.
    """

    topic: Topic
    reason: GapReason
    missed: int | None
    since_ns: int
    until_ns: int
    epoch: int


class Repaired(Struct, frozen=True):
    """The events of this gap stand before it: the venue was asked for them, and `count` came.

    They are marked (`Received.source` is "rest") and in the venue's order, none twice. `complete`: they are
    all, as ids or sequence numbers prove over both seams. Otherwise what is from `lacks_since_ns` on to
    `lacks_until_ns` may be missing still, and `text` says why. Times are wall-clock nanoseconds.
    """

    gap: Gap
    count: int
    complete: bool
    text: str = ""
    lacks_since_ns: int | None = None
    lacks_until_ns: int | None = None

    @property
    def topic(self) -> Topic:
        """That of the gap."""
        return self.gap.topic


class Lifecycle(Struct, frozen=True):
    """A line under a stream is in this state from this place between two events on.

    The first of a line tells its present state. `connecting`: it is tried for the first time, or again
    because that was asked for. `attempt` counts the tries of its last connect, or of the one that is under
    way. `at_ns` is wall-clock nanoseconds.
    """

    line: str
    state: LifecycleState
    epoch: int
    attempt: int
    reason: str
    at_ns: int


class Restored(Struct, frozen=True):
    """A line is live again after one or several `losses`: what happened meanwhile was not seen.

    It was not live from `since_ns` on, and is from `at_ns` on, which are wall-clock nanoseconds; `reason` is
    that of the last loss. `topics` are those of the line at the moment at which a handler is called.
    """

    feed: str
    line: str
    epoch: int
    since_ns: int
    at_ns: int
    losses: int = 1
    reason: str = ""
    topics: tuple[Topic, ...] = ()

    @property
    def outage_s(self) -> float:
        """Seconds from the first of the losses to the restore."""
        return max(0.0, (self.at_ns - self.since_ns) / 1e9)


class Scope(Struct, frozen=True, cache_hash=True, gc=False):
    """The topics of a line that a `VenueState` is about: all, those of a channel, of a key, or of both."""

    channel: str = ""  # empty: all channels
    key: str = ""  # empty: all keys

    def reaches(self, topic: Topic) -> bool:
        """Returns whether some of the topic's events belong to it: those of `*` may be of any key."""
        has_key = not self.key or topic.key in {self.key, *ALL_KEYS}
        return has_key and (not self.channel or topic.channel == self.channel)

    def __str__(self) -> str:
        return "/".join(part for part in (self.channel, self.key) if part)


ALL_KEYS = ("*", "")  # of topics with the events of many keys


class VenueState(Struct, frozen=True, tag_field="entry", tag="venue_state"):
    """What the venue says of itself, at this place between two events. A session gives the first four fields.

    `open` ends the state of its scope. While a scope is `halted` or in `maintenance`, silence is expected.
    `degraded` changes nothing. After `data_lost` its topics are subscribed to again, behind a `Gap`, and the
    scope counts as open. Times are wall-clock nanoseconds.
    """

    scope: Scope
    state: StateName
    text: str = ""  # the venue's words
    until_ns: int | None = None  # when it ends by itself; None: not known
    line: str = ""
    epoch: int = 0
    at_ns: int = 0

    @property
    def explains_silence(self) -> bool:
        """Whether topics of its scope are quiet, not stale, while it holds."""
        return self.state in {"halted", "maintenance"}

    @property
    def is_alarming(self) -> bool:
        """Whether it is a warning about more than one key."""
        return self.state != "open" and not self.scope.key

    def is_over(self, now_ns: int) -> bool:
        """Returns whether it has ended by itself."""
        return self.until_ns is not None and self.until_ns <= now_ns

    def __str__(self) -> str:
        scope = str(self.scope)
        return (f"{scope} is " if scope else "") + self.state + (f": {self.text}" if self.text else "")


class Stale(Struct, frozen=True):
    """From here on this topic breaks its freshness policy, though its line is up.

    `cause` and `age_s` are those of a `Freshness`: the seconds of silence, or the lag with the cause
    `venue_time`. At most one stands before the `Fresh` that ends it.
    """

    topic: Topic
    cause: Cause
    age_s: float
    text: str = ""  # for people
    epoch: int = 0
    at_ns: int = 0  # wall-clock nanoseconds


class Fresh(Struct, frozen=True):
    """The topic is no longer stale: an event that ends it follows."""

    topic: Topic
    epoch: int = 0
    at_ns: int = 0  # wall-clock nanoseconds


class Freshness(Struct, frozen=True):
    """Truthy if the topic is fresh: its data can be acted on now.

    `age_s` belongs to `cause`: the lag with `venue_time`, else the silence. Seconds that count.
    """

    state: Standing
    cause: Cause = ""  # of not being live or fresh; short and stable
    no_event_yet: bool = False  # no event has come in this life of the line
    age_s: float = 0.0
    text: str = ""  # for people
    fresh: bool = False
    topic: str = ""  # or a stream; where several were asked about, the worst of them

    def __bool__(self) -> bool:
        return self.fresh

    def about(self, topic: object) -> Freshness:
        """The same, with what it is about."""
        return structs.replace(self, topic=str(topic))

    def __str__(self) -> str:
        about = f"{self.topic}: " if self.topic else ""
        if self.fresh:
            return f"{about}fresh, {seconds_text(self.age_s)} old"
        return f"{about}{self.state} ({self.cause}): {self.text.removeprefix(f'{self.cause}: ')}"

    def _repr_html_(self) -> str | None:
        return html_of(self, "view_pages:of_freshness")


class Closed(Struct, frozen=True):
    """The end of a stream; nothing follows it."""

    reason: str


Marker = Gap | Repaired | Lifecycle | VenueState | Stale | Fresh | Closed


Source = Literal["stream", "rest"]


class Received(Struct, Generic[Event], frozen=True):
    """An event with where it came from. `received_ns` is wall-clock nanoseconds.

    `source`: "rest" where the venue was asked for it after a gap.
    """

    topic: Topic
    received_ns: int
    epoch: int
    event: Event
    source: Source = "stream"


Part = Literal["quote", "trade"]


class Tried(Struct, frozen=True):
    """Where a price was looked for and why what was there was not taken.

    `source` is that of a `LatestPrice`. `age` is in seconds, the larger of both ages; None where nothing was
    there.
    """

    source: str
    part: Part | None  # None: the source as a whole
    why: str
    age: float | None = None


def seconds_text(seconds: float) -> str:
    """How people read a duration."""
    return f"{seconds:.1f} s" if seconds < 10.0 else f"{seconds:,.0f} s"
