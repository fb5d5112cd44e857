"""How each child of the supervisor is started, and what its death means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.actor import Actor, ActorContext, Lease, Letter, letter, refuse
from actors.connection import Connection, ConnectionArgs
from actors.delivery.connection_delivery import DeliveryArgs
from actors.delivery.overlap import Overlap
from actors.dispatcher import Dispatcher
from actors.events import Freshness, Topic
from actors.feed_spec import Feeds
from actors.heartbeat import Heartbeat
from actors.login.connector import Connector
from actors.messages import Ephemeral, LineStarted, RoleStarted, RotationBegun, SessionOpened
from actors.protocol.venue import Opening
from actors.registry import Registry
from actors.requester import Requester
from actors.rules.freshness import FreshnessPolicy, Policies
from actors.rules.line import RotationState
from actors.rules.liveness import Rhythm
from actors.supervision.freshness import FreshnessLooks, policies_of
from actors.supervision.state import Child, Environment, Life, LineRecord, SharedState
from actors.supervision.vitals import VitalSigns
from actors.wire.connect import SocketOpened, SocketRefused
from actors.wire.socket_inbox import SocketInbox

GONE = Freshness("quiet")


class Children:
    """Starts every child with what it is given; each start returns at once. The supervisor's thread only.

    What a child holds up for longer than its share of the time to stop is left behind: Python cannot kill
    a thread, so nothing may block without a timeout or a handle that another closes.
    """

    def __init__(
        self, environment: Environment, shared: SharedState, feeds: Feeds, lines: Mapping[str, LineRecord]
    ) -> None:
        self._roles, self._timers = environment.roles, environment.timers
        self._shared, self._feeds, self._lines = shared, feeds, lines
        self._looks = FreshnessLooks(shared, environment.timers)
        self._workers: dict[str, Callable[[ActorContext[Lease]], Actor]] = {
            "registry": self._registry,
            "dispatcher": self._dispatcher,
            "heartbeat": self._heartbeat,
            "requester": self._requester,
        }

    # ── the workers: mail and state are lent to each incarnation ──

    def start_worker(self, role: str, incarnation: int) -> Child:
        """The worker of this role, and each one that follows: OTP's permanent child."""
        lease = self._roles.mailboxes[role].lease(RoleStarted())
        context = ActorContext(role, incarnation, lease, self._roles, self._timers)
        return Child(self._workers[role](context).launch(), lease)

    def _registry(self, context: ActorContext[Lease]) -> Registry:
        if context.inbox.needs_copy:
            self._shared.ledger = self._shared.ledger.copy()
        with context.inbox:
            self._shared.ledger.keep_only({line.name: line.epochs() for line in self._lines.values()})
        self._tell_of_sessions("registry")
        return Registry(
            context,
            ledger=self._shared.ledger,
            cells=self._shared.cells,
            feeds=self._feeds,
            present=self._shared.present_feeds,
        )

    def _dispatcher(self, context: ActorContext[Lease]) -> Dispatcher:
        routing = self._shared.lend_routing(copy=context.inbox.needs_copy)
        return Dispatcher(
            context, routing=routing, cells=self._shared.cells, closes_streams=self._closes_streams
        )

    def _heartbeat(self, context: ActorContext[Lease]) -> Heartbeat:
        self._tell_of_sessions("heartbeat")
        return Heartbeat(
            context,
            rhythm=self._rhythm,
            silent_since=self._shared.cells.silent_since,
            policies=self._policies,
            judge=self._judge,
            vitals=VitalSigns(self._shared, self._looks).read,
            shown=self._shared.new_watches(),
        )

    def _requester(self, context: ActorContext[Lease]) -> Requester:
        return Requester(context, feeds=self._feeds, buckets=self._shared.buckets)

    def _tell_of_sessions(self, role: str) -> None:
        """Tell again what a former keeper may have had in hand when it ended; twice does no harm."""
        for line in self._lines.values():
            if line.state.is_open:
                self._roles.named(role).tell(SessionOpened(line.name, line.epoch))
            candidate = line.candidate
            is_open = line.rotating is RotationState.CANDIDATE_OPEN
            if candidate is not None and is_open and role == "registry":
                self._roles.named(role).tell(SessionOpened(line.name, candidate.epoch))

    def _rhythm(self, name: str) -> Rhythm | None:
        """Called on the heartbeat's thread, with what is wanted of the line now; None: it is gone."""
        line = self._shared.lines.get(name)
        if line is None:
            return None
        spec = line.spec
        beats = spec.policy.heartbeat
        own = spec.venue.ping_interval if beats.venue_ping_interval is None else beats.venue_ping_interval
        policies = {
            topic: found
            for topic, cell in self._shared.cells.topics_of(name)
            if (found := policies_of(spec, topic, cell))
        }
        health = spec.policy.health
        return Rhythm(
            beats.ping_interval,
            beats.pong_timeout,
            own,
            policies,
            line.counters.reading,
            health.look_every if health.acts else 0.0,
        )

    def _closes_streams(self, name: str) -> bool:
        """Called on the dispatcher's thread."""
        line = self._shared.lines.get(name)
        is_wanted = line is not None and line.spec.policy.restart.give_up == "close"
        return line is not None and is_wanted and line.state.has_given_up

    def _policies(self, name: str, topic: Topic) -> Policies:
        """Called on the heartbeat's thread: by which policies this topic of the line is judged now."""
        cell, spec = self._shared.cells.get(topic), self._feeds.get(topic.feed)
        if cell is None or spec is None or cell.line != name:
            return ()
        return policies_of(spec, topic, cell)

    def _config_policy(self, topic: Topic) -> FreshnessPolicy | None:
        """Called on a connection's thread."""
        spec = self._feeds.get(topic.feed)
        return None if spec is None else spec.freshness.get(topic)

    def _judge(self, name: str, topic: Topic) -> Freshness:
        """Called on the heartbeat's thread, about a line that it watches."""
        cell, spec = self._shared.cells.get(topic), self._feeds.get(topic.feed)
        if cell is None or spec is None or cell.line != name:  # it has just gone
            return GONE
        look = self._looks.line(name, spec)
        if look.holder is None or topic not in look.holder.settled:  # its silence does not count yet
            return GONE
        judged = look.judged(topic, cell)
        return GONE if judged is None else judged.found

    # ── connections ──

    def start_connection(self, line: LineRecord, life: Life) -> Child:
        """A line's connection; `rules/restarts.py` decides when another one follows, and whether.

        A candidate, beside the present one, gets only the messages for its epoch.
        """
        id, epoch, is_candidate = f"connection/{line.name}", life.epoch, life is line.candidate
        overlap = Overlap(line.spec.venue.duplicate_key) if is_candidate else None
        self._roles.named("dispatcher").tell(LineStarted(line.name, epoch, is_candidate))
        address, spec = self._roles.connection(line.name), line.spec
        venue = spec.doors[life.door]
        session = venue.session(Opening(line.name))  # first: it is the venue's, and may raise
        inbox = SocketInbox(spec.policy.send_buffer, letter, lambda unread: self._refuse(id, unread))
        connection = Connection(
            ActorContext(id, epoch, inbox, self._roles, self._timers),
            ConnectionArgs(
                delivery=DeliveryArgs(
                    line=line.name,
                    epoch=epoch,
                    overlap=overlap,
                    venue=spec.venue,
                    block_timeout=spec.policy.block_timeout,
                    right=life.right,
                    counters=life.counters,
                    cells=self._shared.cells,
                    arrivals=self._shared.arrivals,
                    run_budget=self._shared.run_budget,
                    config_policy=self._config_policy,
                    backfill=spec.policy.backfills,
                ),
                connector=Connector(
                    venue, line.name, spec.dial, life.connect_cancel, spec.token_store, life.shows
                ),
                session=session,
                max_message=spec.policy.max_message,
                ack_timeout=spec.policy.ack_timeout,
                send_rate=spec.send_rate,
                send_buffer=spec.policy.send_buffer,
                metrics=line.metrics,
                quarantine=self._shared.quarantine,
                ask_venue=self._shared.ask_venue,
            ),
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

    def _refuse(self, id: str, envelope: Letter) -> None:
        if isinstance(envelope.message, SocketOpened):  # too late: its connection has been stopped
            envelope.message.socket.close()
            return
        if not isinstance(envelope.message, Ephemeral | SocketRefused):
            refuse(envelope, None, id, self._roles.dead_letters)
