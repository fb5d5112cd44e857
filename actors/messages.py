"""The messages between actors.

Commands are VerbNoun and ask; reports are NounVerbed and state facts that cannot be refused. Times are
monotonic seconds where they are called `at`, wall-clock nanoseconds where they end in `_ns`.

A question is a message that was asked: its answer travels with its envelope. A letter whose type has
`again` set is idempotent: where a keeper of a role died of it, the next one reads it once more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from actors.events import LifecycleState, Topic
from actors.http_types import HttpAnswer, HttpFailed, HttpRequest
from actors.reasons import Reason, Slow
from actors.secret import RedactedStruct, Shown

if TYPE_CHECKING:
    from actors.delivery.arrivals import Right
    from actors.delivery.inlet import Inlet
    from actors.delivery.last_events import LastEvents
    from actors.delivery.overlap import Overlap
    from actors.delivery.state import DeliveryState
    from actors.delivery.table import Route, RouteTable
    from actors.events import Freshness
    from actors.feed_spec import Specs
    from actors.protocol.backfill import Backfilled
    from actors.protocol.limits import SendRate
    from actors.protocol.prices import Price
    from actors.protocol.venue import Venue
    from actors.rules.backfill import BackfillPolicy
    from actors.rules.poor_health import Vitals

# ── reports about a line; one of a past epoch is dropped ────────────────────────────────────────


class Idempotent(Struct, frozen=True):
    """Reading it twice does what reading it once does."""

    again: ClassVar[bool] = True


class Ephemeral(Struct, frozen=True):
    """To a connection; no loss when that has ended."""


class Report(Idempotent, frozen=True):
    line: str
    epoch: int  # of the line


class TopicsReport(Report, frozen=True):
    topics: tuple[Topic, ...]


class LineStarted(Report, frozen=True):
    """Supervisor to dispatcher, before the connection runs: this epoch may ask for the routes.

    A `candidate` gets the delivery state with its turn: `TurnGranted`.
    """

    candidate: bool = False


class LineUpgraded(Report, frozen=True):
    """Connection to supervisor: the venue accepted the WebSocket. This life counts as one."""


class SessionOpened(Report, frozen=True):
    """Logged in: subscriptions may be sent. Live comes later, when all are confirmed.

    To the supervisor, which passes it on to the registry and the heartbeat if the epoch is present.
    """


class LineSettled(Report, frozen=True):
    """Registry to supervisor: every desired topic of the line is confirmed or rejected.

    `worse`: those that the venue refused to this epoch, and confirmed to the one before it.
    """

    worse: tuple[Topic, ...] = ()


class LineUnsettled(Report, frozen=True):
    """Registry to supervisor: some desired topic of the line waits for the venue's answer."""


class LineChanged(Report, frozen=True):
    """Supervisor to dispatcher: the line is down, and its streams get this event."""

    state: LifecycleState
    attempt: int
    reason: str
    since_ns: int  # the last sign of life, where something was lost
    at_ns: int
    crashed: bool = False  # it ended by a defect of ours


class RotationBegun(Report, Ephemeral, frozen=True):
    """Supervisor to the present connection: the candidate of this epoch may take over from it.

    What it brings from now on it notes in `overlap`, which the candidate has as well.
    """

    overlap: Overlap


class TurnGranted(Report, frozen=True):
    """Supervisor to dispatcher: the candidate of this epoch takes over, as soon as the former has left.

    One that has not asked for the routes yet gets the delivery state with them.
    """


class FormerEnded(Report, frozen=True):
    """Supervisor to dispatcher: the connection of this epoch was to hand over, and is gone."""


class CandidateDropped(Report, Ephemeral, frozen=True):
    """Supervisor to dispatcher and present connection: the candidate of this epoch does not take over."""


class LineLost(Report, frozen=True):
    """Supervisor to registry and heartbeat: this epoch is over."""


class VenueComplained(Report, frozen=True):
    """Connection to supervisor: the newest of `count` errors of the venue that concern no topic of ours."""

    code: str
    text: str
    count: int
    kind: str  # what such reports have in common: the code, if its venue has not too many


class ConnectionCloseAnnounced(Report, frozen=True):
    """Connection to supervisor: the venue says that it will close it. Another one is to take over before."""

    text: str  # the venue's words


class RoutesWanted(Report, frozen=True):
    """Connection to dispatcher: logged in, and waits for its routes."""


class DeliveryReturned(Report, frozen=True):
    """Connection to dispatcher, its last letter: the delivery state of its line.

    `complete`: it had read all that the venue sent before its successor was subscribed.
    """

    right: Right
    state: DeliveryState
    complete: bool


class TopicsRestored(TopicsReport, frozen=True):
    """Connection to dispatcher: these are answered for; `blind`: since when some of them were not seen."""

    blind: Mapping[Topic, int]
    at_ns: int


class TopicsPlaced(Idempotent, frozen=True):
    """Registry to dispatcher: these topics lie on this line from now on, each by that placement.

    `streams`: those that come into it, by topic. A stream whose `Subscribe` is still unread comes later.
    """

    line: str
    numbers: Mapping[Topic, int]
    streams: Mapping[Topic, Collection[int]]


class WantsPlaced(Idempotent, frozen=True):
    """Registry to dispatcher: its asking number `asking` is answered.

    `gone`: topics whose feed is no longer in the config.
    """

    asking: int
    gone: tuple[Topic, ...] = ()


class TopicsLifted(Idempotent, frozen=True):
    """Registry to dispatcher: these topics of this line are no longer wanted."""

    line: str
    topics: tuple[Topic, ...]


class TopicsStale(Report, frozen=True):
    """Heartbeat to supervisor: all topics of the line that are stale, and why; maybe none."""

    topics: Mapping[Topic, Freshness]


class HealthLooked(Report, frozen=True):
    """Heartbeat to supervisor: one look at a line whose feed has a health policy."""

    vitals: Vitals


class TopicsSent(TopicsReport, frozen=True):
    """Connection to registry: the first frame of this asking leaves, or the session needs none."""

    asking: int


class TopicsResent(TopicsReport, frozen=True):
    """Connection to registry: the session sent these again by itself; they are unconfirmed.

    `asking` is a number of the connection's own, below zero.
    """

    asking: int


class TopicsConfirmed(TopicsReport, frozen=True):
    assumed: bool = False


class TopicsRejected(TopicsReport, frozen=True):
    """`retry_after` seconds later it may be asked again; None: never in this epoch."""

    reason: str
    retry_after: float | None = None


class TopicsTooLarge(TopicsReport, frozen=True):
    """They brought a message over `max_message`. `first`: before any event of this epoch."""

    reason: str
    first: bool


class LiftBars(Struct, frozen=True):
    """Supervisor to registry: a person has acted, so the line's too large topics are asked for again."""

    line: str


class PongReceived(Report, frozen=True):
    """Connection to heartbeat: beat number `beat` was answered after `rtt` seconds."""

    beat: int
    rtt: float


class ReadingPaused(Report, frozen=True):
    """Connection to heartbeat: the socket is not read, so a pong could not be seen."""


class ReadingResumed(Report, frozen=True):
    """Connection to heartbeat: the socket is read again."""


class WatchTimer(Report, frozen=True):
    """A timer's, to the heartbeat: `watch` numbers the watch that set it; a former one has ended."""

    watch: int


class BeatDue(WatchTimer, frozen=True):
    """Time for the next protocol ping."""


class PongOverdue(WatchTimer, frozen=True):
    """The deadline of beat number `beat`."""

    beat: int


class VenueBeatDue(WatchTimer, frozen=True):
    """Time for the venue's own heartbeat."""


class StaleDue(WatchTimer, frozen=True):
    """Time to look which subscriptions are stale; `look` numbers the looks, and an older one is overtaken."""

    look: int


class HealthDue(WatchTimer, frozen=True):
    """Time to look at the line's health."""


class PoliciesChanged(Struct, frozen=True):
    """Dispatcher to heartbeat: the cells of these topics have other freshness policies."""

    line: str
    topics: tuple[Topic, ...]


# ── to a connection ─────────────────────────────────────────────────────────────────────────────


class OpenSocket(Struct, frozen=True):
    """Its first message, to itself."""


class SendSubscriptions(Struct, frozen=True):
    """Registry: ask the venue for these topics, each as soon as the route of its placement is there."""

    numbers: Mapping[Topic, int]
    asking: int


class SendUnsubscriptions(Struct, frozen=True):
    topics: tuple[Topic, ...]


class JudgeStale(Struct, frozen=True):
    """Heartbeat: these topics have become stale for some of their streams."""

    topics: tuple[Topic, ...]


class ConfirmAssumed(Struct, frozen=True):
    """Registry: the venue does not answer for these; its silence is taken for a confirmation."""

    topics: tuple[Topic, ...]


class SendPing(Struct, frozen=True):
    """A protocol ping that bears the number of its beat."""

    beat: int


class SendVenuePing(Struct, frozen=True):
    """The venue's own heartbeat."""


class EndIfSilent(Struct, frozen=True):
    """A beat was not answered: end, unless anything was received since it was sent."""

    beat: int
    waited: float  # seconds


class FetchDue(Struct, frozen=True):
    """A timer's: the session wanted this exchange so much later."""

    ticket: str
    request: HttpRequest


class Fetched(Ephemeral, frozen=True):
    """From a requester's thread: what came of the session's exchange `ticket`."""

    ticket: str
    outcome: HttpAnswer | HttpFailed


class BackfillAnswered(Ephemeral, frozen=True):
    """From the thread of an ask: what came of the question of this number, for the events of a loss."""

    number: int
    outcome: Backfilled | BaseException


class SendMessage(RedactedStruct, frozen=True):
    """Asked by a user: one message of the user's own. Answers None, or why it was not sent.

    Text and bytes go unchanged; the session writes a mapping or list. Told from an inline handler
    (`is_answered` is false): the connection logs why it was not sent.
    """

    message: str | bytes | Mapping[str, Any] | Sequence[Any]
    is_answered: bool = True

    def shown(self) -> Shown:
        yield "size", len(self.message)


class EndConnection(Ephemeral, frozen=True):
    reason: Reason


class HandOver(Ephemeral, frozen=True):
    """Another connection takes over: read what the venue has sent until now, tell the dispatcher, and end."""

    epoch: int  # of the other


class LookAgain(Ephemeral, frozen=True):
    """From its inbox, a timer or a consumer's thread: see whether to read on, and what is due."""


class TakeRoutes(Ephemeral, frozen=True):
    """Dispatcher: the routes of the line, whole. `version` counts the changes of this dispatcher's.

    `state` and `last_events` make the connection the holder; a candidate gets them with its turn.
    """

    keeper: int  # incarnation of the dispatcher
    version: int
    routes: RouteTable
    state: DeliveryState | None
    last_events: LastEvents | None


class ChangeRoute(Ephemeral, frozen=True):
    """Dispatcher: where the events of this topic go from now on; None: it lies here no longer."""

    keeper: int
    version: int
    topic: Topic
    route: Route | None


class TakeTurn(Ephemeral, frozen=True):
    """Dispatcher to a candidate: it is the line's connection. `late`: something before it may be missing."""

    state: DeliveryState
    last_events: LastEvents | None
    late: bool


class TakePolicy(Ephemeral, frozen=True):
    """Supervisor to connection: the config of its feed has changed; these hold from now on. Seconds."""

    ack_timeout: float
    block_timeout: float
    send_rate: SendRate
    backfill: BackfillPolicy


class Inherit(Ephemeral, frozen=True):
    """From the connection that a candidate may take over from: what its session leaves to the next."""

    legacy: object


class SendDue(Struct, frozen=True):
    """A timer's: the budget has room for another frame."""


class LoginOverdue(Struct, frozen=True):
    """A timer's: the venue accepted the socket and did not answer the login.

    It comes again when all that had been received has been read.
    """

    was_read: bool = False


# ── to the supervisor ───────────────────────────────────────────────────────────────────────────


class ChildExited(Struct, frozen=True):
    """From a child's own thread, its last act. `incarnation` tells it from its successor."""

    id: str
    incarnation: int
    reason: Reason


class RetryDue(Struct, frozen=True):
    """A timer's: the backoff of this line, or the interval to its next probe, is over."""

    line: str
    turn: int  # of the timer: an older one has been overtaken


class WorkerDue(Struct, frozen=True):
    """A timer's: there was no thread for this worker, and it is time to ask for one again."""

    role: str


class StableDue(Report, frozen=True):
    """A timer's: this epoch may have been live for `stable_after`."""


class SteadyDue(Report, frozen=True):
    """A timer's: a topic of this line that was stale again and again may be steady."""


class RotateDue(Struct, frozen=True):
    """A timer's: time to replace the connection of this line before the venue ends it."""

    line: str
    turn: int  # of the timer: an older one has been overtaken


class RotationOverdue(Report, frozen=True):
    """A timer's, or the dispatcher's: the candidate of this epoch has had its time, or brought too much."""

    why: str = "it was not ready in time"


class FormerDue(Struct, frozen=True):
    """A timer's: the connection of this epoch was rotated out, and has had its time to hand over."""

    line: str
    epoch: int


class ReadMail(Idempotent, frozen=True):
    """Asked: answers None, when all earlier mail has been handled."""


class TargetCommand(Struct, frozen=True):
    target: str  # a feed or a line


class RestartLines(TargetCommand, frozen=True):
    """Asked: clear failures and attempts of a feed or line, and reconnect it. Answers `"accepted"`."""


class PauseLines(TargetCommand, frozen=True):
    """Asked: close the sockets of a feed or line. Answers `"accepted"`."""


class ResumeLines(TargetCommand, frozen=True):
    """Asked: undo a pause. Answers `"accepted"`."""


class Rotate(TargetCommand, frozen=True):
    """Asked: replace the connections of a feed or line, make before break.

    Answers `dict[str, str]`: each line with why it was not replaced; empty: it was.
    """


class PrepareRotation(TargetCommand, frozen=True):
    """Asked: candidates for these lines of a feed, with the token on trial. They take over together.

    Answers as `Rotate` does, once each candidate has settled or was refused.
    """

    lines: tuple[str, ...]


class CommitRotation(TargetCommand, frozen=True):
    """Asked: what was prepared for this feed takes over. Answers as `Rotate`; if not empty, none does."""


class AbandonRotation(TargetCommand, frozen=True):
    """Asked: what was prepared for this feed is dropped.

    Answers `tuple[str, ...]`: the lines on which the candidate had to take over before that.
    """

    why: str


class Reload(Idempotent, frozen=True):
    """Asked: bring the feeds in line with these specs; an older generation changes nothing."""

    specs: Specs


class WatchdogDue(Struct, frozen=True):
    """A timer's: time to look for actors without progress."""


class LineNeeded(Idempotent, frozen=True):
    """Registry: a topic lies on a line that is not there yet."""

    feed: str
    line: str


class LineUnneeded(Idempotent, frozen=True):
    """Registry: no topic lies on this line any more."""

    line: str


class LoginPaused(Struct, frozen=True):
    """Asked: `refresh_token` was told that no line of this feed's account is to log in for a while."""

    feed: str
    reason: Slow


class ClearCooldowns(Struct, frozen=True):
    """Asked: end the cool-down of this account, or of a feed's; of all of them: "". Answers their names."""

    account: str


class AwaitLive(Struct, frozen=True):
    """Asked: answers True when these lines are live, False when one never will be by itself."""

    target: str | None


class AwaitGone(Struct, frozen=True):
    """Asked: answers when a feed that was removed has no line left, or is wanted again."""

    feed: str


class FollowLines(Struct, frozen=True):
    """Asked: this stream gets the lifecycle events of a feed, a line, or of all lines, from the present state
    of each. Answers nothing. `LeaveTopics` ends it."""

    inlet: Inlet
    target: str | None


REPLACED = "replaced by another runtime (start with replace=True); subscribe to that one"


class StopAll(Struct, frozen=True):
    """Asked: end the tree within `timeout` seconds.

    `replaced`: another runtime takes its place, so readers of its streams are told to subscribe there.
    Answers `tuple[str, ...]`: the names of what did not end.
    """

    timeout: float
    replaced: bool = False


class PhaseOverdue(Struct, frozen=True):
    """A timer's: the children of this phase of stopping have had their share of the time."""

    phase: int


# ── to any actor ────────────────────────────────────────────────────────────────────────────────


class RoleStarted(Struct, frozen=True):
    """An actor's first message to itself: pick up what was lent."""


# ── to the registry ─────────────────────────────────────────────────────────────────────────────


class Subscribe(Idempotent, frozen=True):
    """`stream` wants these topics from now on. The dispatcher's askings have a number, and are answered."""

    stream: int
    topics: tuple[Topic, ...]
    asking: int = 0


class Unsubscribe(Idempotent, frozen=True):
    """`stream` no longer wants these topics."""

    stream: int
    topics: tuple[Topic, ...]


class AwaitAnswers(Idempotent, frozen=True):
    """Asked: answers `dict[Topic, SubscriptionState]` when all of these are confirmed or rejected."""

    topics: tuple[Topic, ...]


class ReplayNext(Report, frozen=True):
    """A timer's: the venue's pacing allows the next batch of subscriptions.

    `keeper` is the incarnation that set it: two of them would ask twice as fast.
    """

    keeper: int


class AckOverdue(TopicsReport, frozen=True):
    """Connection to registry: these topics may still be unanswered since asking number `turn`."""

    turn: int


class AskAgain(TopicsReport, frozen=True):
    """A timer's: the venue rejected these for a while, and the while is over."""


# ── to the dispatcher ───────────────────────────────────────────────────────────────────────────


class OpenStream(Idempotent, frozen=True):
    """Asked: this stream gets the events of these topics from now on; it may have others already.

    Answers nothing, when every topic lies on a line or none can take it.
    """

    inlet: Inlet
    topics: tuple[Topic, ...]


class LeaveTopics(Idempotent, frozen=True):
    """`stream` gets no more events of these topics; None: of none at all."""

    stream: int
    topics: tuple[Topic, ...] | None = None


# ── to the requester ──────────────────────────────────────────────────────────────────────────────


class AskLatest(Idempotent, frozen=True):
    """Asked: the newest price of this symbol, from the venue over HTTP. Answers `LatestTold`."""

    venue: Venue
    symbol: str
    until: float  # monotonic seconds: the asker waits no longer


class LatestTold(Struct, frozen=True):
    """From a thread of the requester's: what came of this question.

    `keeper` is the incarnation that asked it: what is left of another one's conversations is no answer.
    """

    venue: Venue
    symbol: str
    outcome: Price | Reason | HttpFailed
    at: float
    keeper: int


class BudgetDue(Idempotent, frozen=True):
    """A timer's: this feed may be asked again. `turn`: an older one has been overtaken."""

    feed: str
    turn: int
