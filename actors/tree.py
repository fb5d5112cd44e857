"""What the supervisor supervises: feeds as they are wanted, lines as they are, roles by name."""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Mapping

from msgspec import Struct

from actors.actor import Actor, Address, DeadLetters, Inbox, KeptReply, Mailbox
from actors.connection import Gauges
from actors.door import Vault
from actors.events import Topic
from actors.heartbeat import Watch
from actors.messages import ChildExited, Reason
from actors.metrics import LineMetrics, Metrics
from actors.quarantine import Quarantine
from actors.rules.exchange import Bucket, Budget
from actors.rules.freshness import Contract
from actors.rules.journal import Journal
from actors.rules.latest import Newest
from actors.rules.ledger import Ledger
from actors.rules.liveness import Recent
from actors.rules.restarts import RestartPolicy, Restarts
from actors.rules.routes import Flow, Routes
from actors.rules.session import Session
from actors.rules.venue import Pacing, Venue
from actors.status import LineState
from actors.wire.connect import Dial, Hangup
from actors.wire.timers import Timer

COUNTED = ("bytes", "frames", "decoded", "unrouted", "duplicates", "quarantined")
WORKERS = ("registry", "dispatcher", "heartbeat", "fetcher")  # in the order of their start


class FeedSpec(Struct, frozen=True, kw_only=True):
    """One feed as it is wanted; seconds and bytes."""

    venue: Venue
    vault: Vault
    dial: Dial = Dial()
    restart: RestartPolicy = RestartPolicy()
    pacing: Pacing | None = None  # None: the venue's own
    connects: Budget | None = None  # None: the venue's own
    ack_timeout: float = 10.0
    block_limit: float = 5.0
    ping_interval: float = 10.0
    pong_timeout: float = 5.0
    venue_ping_interval: float | None = None  # None: the venue's own
    send_buffer: int = 1_048_576
    max_message: int = 16 * 1_048_576
    wanted: tuple[Topic, ...] = ()
    contracts: Mapping[Topic, Contract] = {}
    dated: frozenset[Topic] = frozenset()  # whose contract is about the venue's time, too
    rotate_every: float = 0.0
    kind: object = None  # of venue; a feed that gets another one is another feed
    identity: tuple[object, ...] = ()  # all that its connections depend on: a change connects anew


class Specs(Struct, frozen=True, kw_only=True):
    """What is wanted of a runtime, all at once: `generation` counts the configs it has had.

    The supervisor owns the newest one and publishes it.
    """

    generation: int = 0
    feeds: Mapping[str, FeedSpec] = {}
    settings: object = None  # what the user said


Dated = tuple[object, int]  # an event, and our wall clock when it came


class Roles:
    """Every address in the tree by the name of its role. Any thread."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters
        self._addresses: dict[str, Address] = {}
        self._lock = threading.RLock()
        self.mailboxes = {role: Mailbox(role, dead_letters) for role in WORKERS}
        for role, mailbox in self.mailboxes.items():
            self.named(role).point(mailbox.put)

    def named(self, role: str) -> Address:
        with self._lock:
            if role not in self._addresses:
                self._addresses[role] = Address(role, self._dead_letters)
            return self._addresses[role]

    def connection(self, line: str) -> Address:
        return self.named(f"connection/{line}")


class Books:
    """What outlives its keepers. A keeper works on a copy, so what one that was given up on still
    writes goes nowhere; the supervisor reads the newest copy, for status."""

    def __init__(self, specs: Specs) -> None:
        self.specs = specs  # as they are in force; replaced by the supervisor
        self.ledger = Ledger()
        self.routes = Routes()
        self.seen: dict[Topic, float] = {}  # topic: monotonic seconds of its last event
        self.dated: dict[Topic, Dated] = {}  # the newest event of topics whose venue's time counts
        self.watches: dict[str, Watch] = {}
        self.newest = Newest()
        self.buckets: dict[str, Bucket] = {}  # by feed: how often its venue may be asked for prices
        self.jail = Quarantine()

    def lend_ledger(self, epochs: Mapping[str, Collection[int]]) -> Ledger:
        """`epochs`: every line's present ones; lives of others have ended."""
        self.ledger = self.ledger.copy()
        self.ledger.keep_only(epochs)
        return self.ledger

    def lend_routes(self, lines: Mapping[str, tuple[int, Flow]]) -> Routes:
        """`lines`: those with a connection, with its epoch and its flow."""
        self.routes = self.routes.copy()
        for line, (epoch, flow) in lines.items():
            self.routes.line(line).flows[epoch] = flow
        return self.routes

    def new_watches(self) -> dict[str, Watch]:
        """The heartbeat keeps nothing: it is told of every life anew."""
        self.watches = {}
        return self.watches


class Child:
    """One incarnation of one actor, as its supervisor sees it."""

    def __init__(self, actor: Actor, inbox: Inbox) -> None:
        self.id, self.incarnation = actor.id, actor.incarnation
        self.thread = actor.thread
        self.inbox = inbox
        self.asked_at: float | None = None  # monotonic seconds of an unanswered AreYouThere
        self.stack = ""  # of its thread, once it is wedged

    def is_it(self, exited: ChildExited) -> bool:
        return self.id == exited.id and self.incarnation == exited.incarnation


class Asked:
    """One question for rotations, and what came of them so far."""

    def __init__(self, reply: KeptReply) -> None:
        self._reply = reply
        self._waiting: set[str] = set()
        self._told: dict[str, str] = {}

    def expect(self, line: str) -> None:
        self._waiting.add(line)

    def tell(self, line: str, why_not: str) -> None:
        self._waiting.discard(line)
        self._told[line] = why_not

    def answer(self) -> None:
        """If nothing is waited for any more."""
        if not self._waiting:
            self._reply.set(self._told)


class Former(Struct, frozen=True):
    """A connection that was rotated out, until it has read what was sent to it."""

    epoch: int
    child: Child
    hangup: Hangup
    gauges: Gauges


class Candidate:
    """A connection that may take over from a line's present one, if the venue confirms as much to it."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.child: Child | None = None
        self.session: Session | None = None
        self.hangup, self.flow, self.gauges = Hangup(), Flow(), Gauges()
        self.upgraded = self.session_open = self.settled = False


class LineRecord:
    """One line: what it is, and where it stands."""

    def __init__(self, name: str, feed: str, spec: FeedSpec, chance: random.Random, metrics: Metrics) -> None:
        self.name, self.feed, self.spec = name, feed, spec
        self.metrics = LineMetrics(metrics, feed, name)
        self.restarts = Restarts(spec.restart, chance)
        self.state: LineState = "stopped"
        self.epoch = 0
        self.last_epoch = 0  # of a candidate, where one was later than the present connection
        self.reason: Reason | None = None  # of the last ending
        self.complaint = ""  # the last error of the venue's that concerned no topic
        self.child: Child | None = None
        self.candidate: Candidate | None = None  # while the line is being rotated
        self.former: Former | None = None  # while it hands over
        self.leaving: dict[int, Child] = {}  # epoch: told to end, and not ended yet
        self.wants_rotation: list[Asked] = []  # who waits for the end of that
        self.rotations = 0  # connections that took over from another without a gap
        self.rotation: Timer | None = None  # when the next one is planned
        self.rotation_turn = 0  # of that timer
        self.session: Session | None = None  # of the present connection, which is its thread's
        self.hangup = Hangup()
        self.flow = Flow()
        self.gauges = Gauges()
        self.total = Gauges()  # of the connections that have ended
        self.counting: dict[int, Gauges] = {}  # epoch: of those that have not
        self.upgraded = False  # the venue accepted this epoch's WebSocket
        self.session_open = False
        self.settled = False
        self.live_at: float | None = None  # monotonic seconds: when this epoch was first live
        self.retry: Timer | None = None
        self.retry_at: float | None = None
        self.turn = 0  # of the retry timer
        self.paused = False
        self.pausing = False  # paused, and the connection has not ended yet
        self.removed = False
        self.again = False  # start anew as soon as the present connection has ended
        self.told_failed = False
        self.stale: frozenset[Topic] = frozenset()  # those that the log was told of
        self.lost = False  # it died, and was not live since
        self.restored = 0  # times it was live again after a death
        self.deaths = 0  # lives that ended without being asked to
        self.recent_deaths = Recent()
        self.journal = Journal()

    @property
    def is_ending(self) -> bool:
        """Its present connection has been told to go."""
        return self.again or self.paused or self.removed

    @property
    def live(self) -> bool:
        return self.state == "live"

    def counted(self, name: str) -> int:
        """One gauge over all epochs."""
        gauges = (self.total, *self.counting.copy().values())
        return sum(getattr(each, name) for each in gauges)

    def fold(self, epoch: int) -> None:
        """That epoch's connection has ended: it will not count any more."""
        ended = self.counting.pop(epoch, None)
        if ended is not None:
            for name in COUNTED:
                setattr(self.total, name, getattr(self.total, name) + getattr(ended, name))

    def epochs(self) -> tuple[int, ...]:
        """Those whose messages are of interest."""
        return (self.epoch,) if self.candidate is None else (self.epoch, self.candidate.epoch)

    def begin_candidate(self) -> Candidate:
        candidate = self.candidate = Candidate(self.last_epoch + 1)
        self.last_epoch = candidate.epoch
        self.counting[candidate.epoch] = candidate.gauges
        return candidate

    def promote(self, candidate: Candidate) -> None:
        """The candidate is the line's connection from now on."""
        self.candidate = None
        self.epoch, self.child, self.session = candidate.epoch, candidate.child, candidate.session
        self.hangup, self.flow, self.gauges = candidate.hangup, candidate.flow, candidate.gauges
        self.upgraded = self.session_open = self.settled = True
        self.stale = frozenset()
        self.rotations += 1

    def next_epoch(self) -> int:
        """A new life begins: fresh gauges, flow and hang-up."""
        self.epoch = self.last_epoch = self.last_epoch + 1
        self.gauges, self.flow, self.hangup = Gauges(), Flow(), Hangup()
        self.counting[self.epoch] = self.gauges
        self.upgraded = self.session_open = self.settled = self.again = False
        self.live_at = None
        self.stale = frozenset()
        return self.epoch
