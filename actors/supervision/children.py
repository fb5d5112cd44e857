"""How each child of the supervisor is started, and what its death means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from pykka._envelope import Envelope

from actors.actor import Lease, refuse
from actors.connection import Connection, ConnectionArgs
from actors.delivery.connection_delivery import DeliveryArgs
from actors.delivery.overlap import Overlap
from actors.diagnostics import DeadLetters
from actors.dispatcher import Dispatcher
from actors.events import Topic
from actors.feed_spec import FeedSpec
from actors.heartbeat import Heartbeat
from actors.login.connector import Connector
from actors.messages import (
    CandidateDropped,
    ChangeRoute,
    EndConnection,
    Fetched,
    HandOver,
    Inherit,
    LineStarted,
    LookAgain,
    RoleStarted,
    RotationBegun,
    SessionOpened,
    TakeRoutes,
    TakeTimeouts,
    TakeTurn,
)
from actors.protocol.venue import Opening
from actors.registry import Registry
from actors.requester import Requester
from actors.rules.freshness import Freshness
from actors.rules.line import RotationState
from actors.rules.liveness import Rhythm, Watched
from actors.rules.restarts import Restart
from actors.supervision.snapshot import look_at
from actors.supervision.state import Candidate, Child, LineRecord, Roles, SharedState
from actors.timers import Timers
from actors.wire.connect import SocketOpened, SocketRefused
from actors.wire.socket_inbox import SocketInbox

# What a connection that is gone need not hear: it is no loss.
EPHEMERAL = (
    Fetched
    | SocketRefused
    | LookAgain
    | ChangeRoute
    | TakeRoutes
    | TakeTimeouts
    | TakeTurn
    | Inherit
    | RotationBegun
    | CandidateDropped
    | HandOver
    | EndConnection
)


class ChildSpec(Struct, frozen=True, kw_only=True):
    """How to start one child, and what its death means: OTP's child specification.

    `start` is given the number of the incarnation, runs in the supervisor's thread and returns at
    once. What a child holds up for longer than its share of the time to stop is left behind: Python
    cannot kill a thread, so nothing may block without a timeout or a handle that another closes.
    """

    id: str  # "connection/alpaca"; its thread and its log lines bear it too
    start: Callable[[int], Child]
    restart: Restart = Restart.PERMANENT


class Children:
    """The specifications of all children, over what they are given. The supervisor's thread only."""

    def __init__(
        self,
        roles: Roles,
        books: SharedState,
        feeds: Mapping[str, FeedSpec],
        lines: Mapping[str, LineRecord],
        timers: Timers,
        dead_letters: DeadLetters,
    ) -> None:
        self._roles, self._books = roles, books
        self._feeds, self._lines = feeds, lines
        self._timers, self._dead_letters = timers, dead_letters
        self._supervisor = roles.named("supervisor")
        self.workers = {
            "registry": ChildSpec(id="registry", start=self._start_registry),
            "dispatcher": ChildSpec(id="dispatcher", start=self._start_dispatcher),
            "heartbeat": ChildSpec(id="heartbeat", start=self._start_heartbeat),
            "requester": ChildSpec(id="requester", start=self._start_requester),
        }  # in the order of their start

    def connection(self, line: LineRecord) -> ChildSpec:
        """A line's connection; when it comes back, and whether, is `rules/restarts.py`'s to say."""
        return ChildSpec(
            id=f"connection/{line.name}", start=lambda epoch: self._start_connection(line, line, epoch)
        )

    def candidate(self, line: LineRecord, candidate: Candidate) -> Child:
        """A connection beside the present one; it hears only what is meant for its epoch."""
        return self._start_connection(line, candidate, candidate.epoch)

    # ── the workers: mail and a copy of the book are lent to each keeper ──

    def _start_registry(self, incarnation: int) -> Child:
        inbox = self._lease("registry")
        if inbox.needs_copy:
            self._books.ledger = self._books.ledger.copy()
        with inbox:
            self._books.ledger.keep_only({line.name: line.epochs() for line in self._lines.values()})
        registry = Registry(
            "registry",
            incarnation,
            inbox,
            self._supervisor,
            self._dead_letters,
            address=self._roles.named("registry"),
            ledger=self._books.ledger,
            cells=self._books.cells,
            feeds=self._feeds,
            present=self._books.present_feeds,
            dispatcher=self._roles.named("dispatcher"),
            connection=self._roles.connection,
            timers=self._timers,
        )
        self._tell_of_sessions("registry")
        return Child(registry.launch(), inbox)

    def _start_dispatcher(self, incarnation: int) -> Child:
        inbox = self._lease("dispatcher")
        dispatcher = Dispatcher(
            "dispatcher",
            incarnation,
            inbox,
            self._supervisor,
            self._dead_letters,
            routing=self._books.lend_routing(copy=inbox.needs_copy),
            cells=self._books.cells,
            registry=self._roles.named("registry"),
            connection=self._roles.connection,
            timers=self._timers,
        )
        return Child(dispatcher.launch(), inbox)

    def _start_heartbeat(self, incarnation: int) -> Child:
        inbox = self._lease("heartbeat")
        heartbeat = Heartbeat(
            "heartbeat",
            incarnation,
            inbox,
            self._supervisor,
            self._dead_letters,
            address=self._roles.named("heartbeat"),
            rhythm=self._rhythm,
            heard_at=self._books.cells.heard_at,
            judge=self._judge,
            connection=self._roles.connection,
            timers=self._timers,
            shown=self._books.new_watches(),
        )
        self._tell_of_sessions("heartbeat")
        return Child(heartbeat.launch(), inbox)

    def _start_requester(self, incarnation: int) -> Child:
        inbox = self._lease("requester")
        requester = Requester(
            "requester",
            incarnation,
            inbox,
            self._supervisor,
            self._dead_letters,
            address=self._roles.named("requester"),
            feeds=self._feeds,
            buckets=self._books.buckets,
            timers=self._timers,
        )
        return Child(requester.launch(), inbox)

    def _lease(self, role: str) -> Lease:
        return self._roles.mailboxes[role].lease(RoleStarted())

    def _tell_of_sessions(self, role: str) -> None:
        """What a former keeper may have had in hand when it died is told again; twice hurts nobody."""
        for line in self._lines.values():
            if line.state.is_open:
                self._roles.named(role).tell(SessionOpened(line.name, line.epoch))
            candidate = line.candidate
            is_open = line.rotating is RotationState.CANDIDATE_OPEN
            if candidate is not None and is_open and role == "registry":
                self._roles.named(role).tell(SessionOpened(line.name, candidate.epoch))

    def _rhythm(self, name: str) -> Rhythm | None:
        """Called on the heartbeat's thread, with what is wanted of the line now; None: it is gone."""
        line = self._books.lines.get(name)
        if line is None:
            return None
        spec = line.spec
        own = spec.venue.ping_interval if spec.venue_ping_interval is None else spec.venue_ping_interval
        contracts = {
            topic: contract
            for topic, contract in spec.contracts.items()
            if (cell := self._books.cells.get(topic)) is not None and cell.line == name
        }
        return Rhythm(spec.ping_interval, spec.pong_timeout, own, contracts, line.counters.reading)

    def _judge(self, name: str, topic: Topic, watched: Watched) -> Freshness:
        """Called on the heartbeat's thread, about a line that it watches."""
        line = self._books.lines.get(name)
        if line is None:  # it has just gone
            return Freshness("quiet")
        look = look_at(line, self._books.cells, watched, self._timers.clock)
        return look.freshness(topic) or Freshness("quiet")

    # ── connections ──

    def _start_connection(self, line: LineRecord, life: LineRecord | Candidate, epoch: int) -> Child:
        id = f"connection/{line.name}"
        is_candidate = isinstance(life, Candidate)
        overlap = Overlap(line.spec.venue.duplicate_key) if is_candidate else None
        self._roles.named("dispatcher").tell(LineStarted(line.name, epoch, is_candidate))
        address, spec = self._roles.connection(line.name), line.spec
        inbox = SocketInbox(line.spec.send_buffer, lambda envelope: self._refuse(id, envelope))
        connection = Connection(
            id,
            epoch,
            inbox,
            self._supervisor,
            self._dead_letters,
            args=ConnectionArgs(
                delivery=DeliveryArgs(
                    line=line.name,
                    epoch=epoch,
                    overlap=overlap,
                    venue=spec.venue,
                    block_timeout=spec.block_timeout,
                    right=life.right,
                    counters=life.counters,
                    cells=self._books.cells,
                    arrivals=self._books.arrivals,
                    run_budget=self._books.run_budget,
                ),
                connector=Connector(spec.venue, line.name, spec.dial, life.connect_cancel, spec.token_store),
                session=spec.venue.session(Opening(line.name)),
                max_message=spec.max_message,
                ack_timeout=spec.ack_timeout,
                metrics=line.metrics,
                jail=self._books.jail,
            ),
            own_address=address,
            registry=self._roles.named("registry"),
            dispatcher=self._roles.named("dispatcher"),
            heartbeat=self._roles.named("heartbeat"),
            timers=self._timers,
        )
        (address.point_candidate if is_candidate else address.point)(inbox.put, epoch)
        if is_candidate:
            # Before it runs: it inherits what the present one has brought until now, and notes what comes.
            assert overlap is not None
            address.tell(RotationBegun(line.name, epoch, overlap), line.epoch)
        try:
            return Child(connection.launch(), inbox)
        except RuntimeError:  # no thread to be had
            inbox.close()
            raise

    def _refuse(self, id: str, envelope: Envelope[Any]) -> None:
        if isinstance(envelope.message, SocketOpened):  # too late: its connection has been stopped
            envelope.message.socket.close()
            return
        if isinstance(envelope.message, EPHEMERAL):
            return
        refuse(envelope, None, id, self._dead_letters)
