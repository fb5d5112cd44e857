"""All that is known of a runtime at one moment: one typed tree behind every face that shows it."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Literal

from msgspec import Struct

from actors.diagnostics import DeadLetter, Quarantined
from actors.display.escaping import printable
from actors.display.shown import html_of
from actors.events import Freshness, Gap, SubscriptionState, VenueState
from actors.protocol.formatting import counted
from actors.reasons import Crashed, Fatal, Reason, Retryable, Slow, Weather
from actors.rules.counters import StreamStatus
from actors.rules.journal import JournalEntry, LineExit, SilentLossEntry
from actors.rules.lag import Lag
from actors.rules.line import ShownState
from actors.rules.liveness import Health

DAY = 86_400.0  # seconds
SHOWN = 8  # feeds in the repr of a status
LONGEST = 120  # characters of a reason in a repr
ActorState = Literal["running", "wedged", "restarting"]


class Cause(Struct, frozen=True):
    """Why a line is not live, or why it last died."""

    kind: str  # retryable, slow, fatal, crashed, stopped
    code: str  # short and stable: lost, pong_timeout, http_429, close_1006, ...
    text: str  # for people
    advice: str = ""  # what they can do, where something helps


class LineGlance(Struct, frozen=True):
    """What of a line costs no look at its topics."""

    state: ShownState
    reason: Cause | None  # as in a `LineStatus`


class Counters(Struct, frozen=True):
    """One line's counters over all its epochs.

    decoded = routed + unrouted + quarantined + duplicates + lost + in_flight, at any quiescence with
    in_flight 0.
    """

    bytes: int
    frames: int
    decoded: int
    routed: int
    unrouted: int  # no stream wanted them, or their epoch was over
    quarantined: int
    duplicates: int
    lost: int  # decoded by a connection that ended before they reached a stream; a Gap covers them
    in_flight: int
    restarts: int  # lives that ended without being asked to
    restored: int  # times the line was live again after one of them
    gaps: int  # interruptions of a topic, whether or not a stream got a `Gap`
    repaired: int = 0  # of these, back-filled completely
    unrepaired: int = 0  # of these, back-filled in part or not in time


class TopicStatus(Struct, frozen=True):
    topic: str
    state: SubscriptionState
    age_s: float | None  # since its last event; None: none yet
    stale: bool
    blind_s: float = 0.0  # without data that could be trusted, since the start
    blind_today_s: float = 0.0  # the same, this UTC day
    freshness: Freshness | None = None  # judged by its freshness policy; None: its line is not up


class LineStatus(Struct, frozen=True):
    state: ShownState
    reason: Cause | None  # of the last ending; while live: why it last died
    epoch: int
    attempt: int
    next_attempt_s: float | None
    live_for_s: float | None
    rtt_ms: float | None
    data_age_s: float | None
    health: Health
    topics: tuple[TopicStatus, ...]
    counters: Counters
    last_gap: Gap | None
    paused_by_streams: tuple[int, ...]  # streams that are full and make the line wait
    url: str  # without its query
    verify_tls: bool
    compressed: bool = False  # the venue took the offer of compression, in this life
    rotations: int = 0  # connections that took over from another without a gap
    degraded: str = ""  # in which way a line that is up serves no purpose, such as that it decodes nothing
    last_venue_error: str = ""  # the last error of the venue's, in this life, that concerned no topic of ours
    journal: tuple[LineExit, ...] = ()  # its last endings, oldest first
    waiting: str = ""  # "waiting until 14:05 (the venue asked)", by local time, where it did
    venue_states: tuple[VenueState, ...] = ()  # what the venue says of itself at present
    venue_journal: tuple[VenueState, ...] = ()  # the last that it said, oldest first
    lag: Lag = Lag()  # how far behind it is, and what is behind
    receive_lag_s: float | None = None  # since its socket was last read to the end; None: it has none
    kernel_bytes: int | None = None  # received and unread, at the last ping or pause; None: not known
    event_lag_s: float | None = None  # by which events come later than they did, by the venue's time
    silent_losses: tuple[SilentLossEntry, ...] = ()  # the last that audits have found, oldest first
    since_ns: int | None = None  # wall clock: since when it is in this state; None: it has not begun
    down_since_ns: int | None = None  # wall clock: since when it is not live; None: it is, or has not begun

    def entries(self) -> tuple[JournalEntry, ...]:
        """Its endings, what its venue said of itself, and its silent losses, oldest first."""
        every: tuple[JournalEntry, ...] = (*self.journal, *self.venue_journal, *self.silent_losses)
        return tuple(sorted(every, key=lambda entry: entry.at_ns))

    def __repr__(self) -> str:
        why = f", {_in_a_line(self.reason.text)}" if self.reason is not None and self.state != "live" else ""
        topics = counted(len(self.topics), "topic")
        return f"<LineStatus {self.state}: epoch {self.epoch}, {topics}, health {self.health.score}{why}>"


class FeedStatus(Struct, frozen=True):
    venue: str
    live: bool  # every line of it, and none is degraded
    lines: dict[str, LineStatus]
    refused: dict[str, str] = {}  # wanted topics that no line can take, and why
    token_expires_in_s: float | None = None  # where its lines show one that ends
    token_error: str = ""  # why that was not renewed, although it is due
    login_variables: tuple[str, ...] = ()  # of the environment, where its login was taken from them

    @property
    def lines_live(self) -> str:
        """How many of its lines serve: `1/2 live`."""
        live = sum(line.state == "live" and not line.degraded for line in self.lines.values())
        return f"{live}/{len(self.lines)} live"

    def __repr__(self) -> str:
        return printable(f"<FeedStatus {self.venue}: {self.lines_live}>")


class ActorStatus(Struct, frozen=True):
    id: str
    state: ActorState
    incarnation: int
    restarts: int
    stack: str = ""  # of its thread, when it is wedged


class DeadLettersStatus(Struct, frozen=True):
    count: int
    newest: tuple[DeadLetter, ...]


class QuarantineStatus(Struct, frozen=True):
    count: int
    newest: tuple[Quarantined, ...]


class CooldownStatus(Struct, frozen=True):
    """No line of the account connects until then."""

    account: str
    until_ns: int  # wall clock
    why: str
    line: str  # that was refused; empty: unknown
    asked_by: Literal["venue", "linewarden"]  # venue: it named the time


class HaltStatus(Struct, frozen=True):
    """A halt that stands: what adds risk is refused there, in every process of the folder."""

    id: str  # `linewarden unhalt ID` ends it
    target: str  # all, the host of a venue, or one account there
    reason: str
    since_ns: int  # wall clock
    by: str  # a user, or what has halted it by itself
    is_written: bool = True  # False: it holds in this process alone, or the order store cannot be read

    def __str__(self) -> str:
        alone = "" if self.is_written else "; it is not written"
        return f"HALTED: {self.target}: {self.reason} (halt {self.id}, by {self.by}{alone})"


class AccountStatus(Struct, frozen=True):
    """An account that the runtime follows."""

    state: str  # of its view
    reason: str  # why it is not synced, what is in doubt, or why the last look failed; empty: nothing is
    age_s: float | None  # since the requests of the last complete look left; None: there was none
    silent_losses: int  # that audits have found since the start
    disputed: tuple[str, ...] = ()  # what the venue's lists and its events contradict each other about
    untrusted: str = ""  # why its channels are not trusted; empty: they are

    @property
    def is_well(self) -> bool:
        """Whether nothing about it needs a look."""
        return not (self.reason or self.disputed or self.untrusted)


class ProcessStatus(Struct, frozen=True):
    """The process, and the runtime in it."""

    version: str = ""  # of Linewarden
    pid: int = 0
    started_ns: int = 0  # wall clock: when the runtime began
    uptime_s: float = 0.0  # of the runtime
    config: str = ""  # the absolute path of its file; `<config>`: a mapping
    log_levels: dict[str, str] = {}  # of the loggers that have one of their own


class Status(Struct, frozen=True):
    schema_version: int
    name: str
    state: Literal["starting", "live", "degraded", "stopped"]
    feeds: dict[str, FeedStatus]
    streams: tuple[StreamStatus, ...]
    actors: tuple[ActorStatus, ...]
    dead_letters: DeadLettersStatus
    quarantine: QuarantineStatus
    metrics_errors: int = 0  # calls of the program's metrics object that failed
    cooldowns: tuple[CooldownStatus, ...] = ()
    untrusted: dict[str, Freshness] = {}  # the topics that are not fresh, by their policies alone, and why
    halts: tuple[HaltStatus, ...] = ()  # that stand, where a feed trades
    accounts: dict[str, AccountStatus] = {}  # that are followed, by feed and number: "projectx/4242"
    process: ProcessStatus = ProcessStatus()
    redacted: bool = False  # what belongs to accounts is left out: the caller lacks the right

    @property
    def text(self) -> str:
        """Name, state, and the live lines of each feed, in one line."""
        told = [f"{name} {feed.lines_live}" for name, feed in islice(self.feeds.items(), SHOWN)]
        more = [f"{len(self.feeds) - SHOWN:,} more feeds"] if len(self.feeds) > SHOWN else []
        halted = f"; {counted(len(self.halts), 'halt')}" if self.halts else ""
        feeds = ", ".join([*told, *more]) or "no feeds"
        return printable(f"{self.name}: {self.state}; {feeds}{halted}")

    def __repr__(self) -> str:
        return f"<Status {self.text}; {counted(len(self.streams), 'stream')}>"

    def _repr_html_(self) -> str | None:
        return html_of(self, "status_page:of_status")

    def lines(self) -> dict[str, LineStatus]:
        """Every line by its name, feeds in order."""
        return {name: line for feed in self.feeds.values() for name, line in feed.lines.items()}


def _in_a_line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def cause_of(reason: Reason) -> Cause:
    """A reason as people and programs outside read it."""
    kinds = {Retryable: "retryable", Slow: "slow", Fatal: "fatal", Weather: "fatal", Crashed: "crashed"}
    advice = reason.advice if isinstance(reason, Fatal | Retryable) else ""
    return Cause(kinds.get(type(reason), "stopped"), reason.code, reason.text, advice)


def waiting_until(seconds: float, now_ns: int) -> str:
    """How people are told of a pause that the venue asked for, `seconds` from now; by local time."""
    until = datetime.fromtimestamp(now_ns / 1e9 + seconds)
    when = until.strftime("%H:%M" if seconds < DAY else "%Y-%m-%d %H:%M")
    return f"waiting until {when} (the venue asked)"


def why_not_live(status: Status, target: str | None) -> dict[str, str]:
    """What each line that is not live, or is degraded, waits for; `target`: of this feed or line only."""
    return {
        name: _why(line)
        for feed, found in status.feeds.items()
        for name, line in found.lines.items()
        if (line.state != "live" or line.degraded) and target in {None, feed, name}
    }


HOPELESS = frozenset({"rejected", "unwatched"})  # causes that waiting does not mend


def why_not_fresh(status: Status, target: str | None) -> dict[str, Freshness]:
    """The topics that are not fresh; `target`: of this feed or line only."""
    lines = status.lines()
    if target is None:
        return status.untrusted
    if target in lines and target not in status.feeds:
        mine = {topic.topic for topic in lines[target].topics}
        return {topic: found for topic, found in status.untrusted.items() if topic in mine}
    return {topic: found for topic, found in status.untrusted.items() if topic.partition("/")[0] == target}


def _why(line: LineStatus) -> str:
    if line.degraded:
        return f"{line.state}, degraded: {line.degraded}"
    if line.reason is None or line.state == "paused":
        return line.state
    advice = f" ({line.reason.advice})" if line.state == "failed" and line.reason.advice else ""
    return f"{line.waiting or line.state}: {line.reason.text}{advice}"
