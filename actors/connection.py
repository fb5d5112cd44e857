"""One line's connection for one epoch; it never reconnects itself.

It dies with a typed reason, and the supervisor decides. Its inbox hears its socket, so it needs no
reader thread; a short-lived thread opens the socket, since opening may block.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from msgspec import Struct, structs

from actors import log_queue
from actors.actor import Actor, Address, DeadLetters
from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.askings import Askings, Ready
from actors.delivery.cells import Cells, Heard
from actors.delivery.epoch_delivery import LOOK_AGAIN, EpochDelivery
from actors.delivery.kept import Kept, KeptEvents, KeptItem, Misread
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.overlap import Known, Overlap
from actors.delivery.runs import RunBudget, Runs
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route
from actors.door import Door, without_secrets
from actors.events import Topic
from actors.messages import (
    AckOverdue,
    BytesReceived,
    CandidateDropped,
    ChangeRoute,
    ConfirmAssumed,
    DeliveryReturned,
    EndConnection,
    EndIfSilent,
    FetchDue,
    Fetched,
    HandOver,
    Inherit,
    LineUpgraded,
    LoginOverdue,
    LookAgain,
    OpenSocket,
    PongReceived,
    ReadingPaused,
    ReadingResumed,
    Reason,
    Retryable,
    RotationBegun,
    RotationOverdue,
    RoutesWanted,
    SendMessage,
    SendPing,
    SendSubscriptions,
    SendUnsubscriptions,
    SendVenuePing,
    SessionOpened,
    SocketLost,
    SocketOpened,
    SocketRefused,
    Stopped,
    TakeRoutes,
    TakeTurn,
    TopicsConfirmed,
    TopicsRejected,
    TopicsResent,
    TopicsRestored,
    TopicsSent,
    VenueComplained,
)
from actors.metrics import LineMetrics
from actors.quarantine import Quarantine as Jail
from actors.rules.acks import AckDeadlines
from actors.rules.latest import Prices
from actors.rules.mailbox import Pair
from actors.rules.session import (
    Announce,
    Answered,
    Complain,
    Confirm,
    Deliver,
    Duplicates,
    Effect,
    End,
    Fetch,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Send,
    Session,
    State,
    TokenRefused,
    Unrouted,
)
from actors.rules.venue import Venue
from actors.wire.connect import ConnectFailed
from actors.wire.deflate import Inflater
from actors.wire.exchanges import Exchanges
from actors.wire.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameReader,
    close_payload,
    encode,
    read_close,
)
from actors.wire.inbox import SocketInbox
from actors.wire.timers import Timer, Timers

log = log_queue.logger("actors.connection")

HANDED_OVER = "handed_over"  # the reason's code of a connection that said its last word
LAST_WORD = b"hand over"  # in a ping; those of the heartbeat have 8 bytes


class Gauges:
    """What one connection has counted. Its own thread writes, any thread reads.

    An outcome is counted after what it is the outcome of: who reads outcomes first never sees too many.
    """

    def __init__(self) -> None:
        self.bytes = 0  # received
        self.frames = 0  # data frames received
        self.decoded = 0  # events, and messages that were none
        self.routed = 0  # events that reached at least one stream
        self.unrouted = 0  # events that no stream took
        self.duplicates = 0
        self.quarantined = 0
        self.heard_at = 0.0  # monotonic seconds of the last bytes
        self.heard_ns = 0  # the same by the wall clock
        self.message_at = 0.0  # monotonic seconds of the last data frames
        self.acknowledged_at = 0.0  # monotonic seconds of the last answer to a subscription
        self.data_at: float | None = None  # monotonic seconds of the first event
        self.event_at = 0.0  # monotonic seconds of the last event
        self.unsent = 0  # bytes that the venue has not taken
        self.held_by: tuple[int, ...] = ()  # streams that ask the line to pause
        self.reading = True  # whether the socket is read, if there is one
        self.upgraded_at = 0.0  # monotonic seconds
        self.compressed = False  # the venue may compress what it sends
        self.venue_answers = 0  # of the venue's own heartbeat


class Orders(Struct, frozen=True):
    """All that a connection is given for its life."""

    line: str
    epoch: int
    overlap: Overlap | None  # of a candidate: what the connection brings that it may take over from
    venue: Venue
    door: Door
    session: Session
    max_message: int  # bytes
    ack_timeout: float
    block_limit: float
    right: Right
    gauges: Gauges
    metrics: LineMetrics
    jail: Jail
    cells: Cells
    arrivals: Arrivals
    run_budget: RunBudget


class Keeping(Enum):
    """Why what comes for the streams is kept and not delivered yet."""

    NOT = 0
    LOGIN = 1  # the dispatcher has been asked for the routes
    TURN = 2  # another connection delivers still


class Connection(Actor):
    """One line's connection in one epoch: owns its socket and session, and dies with them."""

    def __init__(
        self,
        id: str,
        incarnation: int,
        inbox: SocketInbox,
        parent: Address,
        dead_letters: DeadLetters,
        *,
        orders: Orders,
        own_address: Address,
        registry: Address,
        dispatcher: Address,
        heartbeat: Address,
        timers: Timers,
    ) -> None:
        super().__init__(id, incarnation, inbox, parent, dead_letters)
        self._wire = inbox
        self._supervisor, self._own_address = parent, own_address
        self._registry, self._dispatcher, self._heartbeat = registry, dispatcher, heartbeat
        self._timers, self._clock = timers, timers.clock
        self._line, self._epoch = orders.line, orders.epoch
        self._orders = orders
        self._session = orders.session
        self._gauges, self._metrics = orders.gauges, orders.metrics
        self._door = orders.door
        self._frames = FrameReader(orders.max_message)
        self._socket: socket.socket | None = None
        self._read_size = 0  # bytes of the last read that no batch was charged with
        self._parted = False  # good-bye has been said
        self._acks = AckDeadlines(orders.ack_timeout)
        self._keeping = Keeping.NOT
        self._kept = Kept()  # for the streams, until they may have it
        self._routes: TakeRoutes | None = None  # as they were sent first
        self._delivery: EpochDelivery | None = None  # while this is the holder
        self._askings = Askings()
        self._resent = 0  # the number of the last asking that the session made by itself
        self._legacy: Inherit | None = None
        self._rotation: RotationBegun | None = None  # while there is a candidate beside this one
        self._given_up: int | None = None  # epoch of the candidate that is to be dropped, as was told
        self._known: Known | None = None  # what the former connection brought, and this one may too
        self._successor: int | None = None  # epoch of the connection that takes over
        self._has_read_all = False  # that the venue sent before its successor was subscribed
        self._login_timer: Timer | None = None
        self._look_timer: Timer | None = None
        self._look_at = math.inf  # monotonic seconds
        self._exchanges = Exchanges(id, self, orders.door.dial, timers)
        self._beats: dict[int, float] = {}  # beat: when it was sent, monotonic seconds
        self.tell_self(OpenSocket())

    def on_receive(self, message: Any) -> str | None:
        match message:
            case BytesReceived(data=data):
                self._received(data)
            case SendPing(beat=beat):
                self._send_ping(beat)
            case SendVenuePing():
                self._perform(self._session.ping(self._now()))
            case EndIfSilent():
                self._end_if_silent(message)
            case SendSubscriptions(asking=asking, numbers=numbers):
                self._send_subscriptions(self._askings.add(asking, numbers, self._present_routes))
            case SendUnsubscriptions(topics=topics):
                self._send_subscriptions(self._askings.cancel(topics, self._present_routes))
                self._perform(self._session.unsubscribe(topics, self._now()))
            case ConfirmAssumed(topics=topics):
                self._settle(topics)
            case LookAgain():
                self._look_again()
            case Fetched(ticket=ticket, outcome=outcome):
                self._exchanges.ended(ticket)
                self._perform(self._session.fetched(ticket, outcome, self._now()))
            case FetchDue():
                self._exchanges.begin(message)
            case SendMessage(payload=payload):
                return self._send_for_user(payload)
            case SocketOpened():
                self._opened(message)
            case SocketRefused(reason=reason) | SocketLost(reason=reason):
                self.exit(reason)
            case EndConnection(reason=reason):
                self._close(1000, reason)
            case HandOver(epoch=epoch):
                self._successor = epoch
                self._send_frame(PING, LAST_WORD)
                self._update_reading()
            case LoginOverdue():
                self._login_overdue()
            case OpenSocket():
                self._start_opening()
            case _:
                self._on_delivery_letter(message)
        return None

    def _on_delivery_letter(self, message: Any) -> None:
        match message:
            case ChangeRoute():
                self._change_route(message)
            case TakeRoutes():
                self._take_routes(message)
            case TakeTurn():
                self._take_turn(message)
            case Inherit():
                self._inherit(message)
            case RotationBegun():
                self._begin_rotation(message)
            case CandidateDropped():
                self._rotation = None
            case _:
                self.unknown(message)

    # ── opening ──

    def _start_opening(self) -> None:
        try:
            threading.Thread(target=self._open, name=f"{self.id}/open", daemon=True).start()
        except RuntimeError as error:
            self.exit(Retryable(f"this machine gives no more threads: {error}", "resources"))

    def _open(self) -> None:
        """On the opener's thread: whatever comes of it is told, nothing is raised."""
        try:
            opened = self._door.open()
        except ConnectFailed as failed:
            self.tell_self(SocketRefused(failed.reason))
        except Exception as error:
            where = {"line": self._line, "epoch": self._epoch}
            log.exception("opening failed in a way that nobody foresaw", extra=where)
            self.tell_self(SocketRefused(Retryable(f"{type(error).__name__}: {error}", "opening")))
        else:
            self.tell_self(opened)

    def _opened(self, opened: SocketOpened) -> None:
        self._socket = opened.socket
        self._gauges.compressed = opened.compressed
        if opened.compressed:
            self._frames = FrameReader(self._orders.max_message, Inflater())
        self._gauges.upgraded_at = self._gauges.heard_at = self._now()
        self._gauges.heard_ns = self._clock.wall_ns()
        self._wire.open(opened.socket)
        self._supervisor.tell(LineUpgraded(self._line, self._epoch))
        patience = self._door.dial.connect_timeout
        self._login_timer = self._timers.send_after(patience, self, LoginOverdue())
        self._perform(self._session.opened(self._now()))

    def tell(self, message: LoginOverdue | FetchDue | Fetched | LookAgain | EndIfSilent) -> None:
        """The way in for timers and threads."""
        self.tell_self(message)

    def _login_overdue(self) -> None:
        seconds = self._door.dial.connect_timeout
        if self._keeping is Keeping.LOGIN:
            self._close(
                1000, Retryable(f"the routes of the line did not come within {seconds:g} s", "routes")
            )
        elif self._session.state is State.LOGGING_IN:
            text = f"the venue accepted the connection and did not answer the login within {seconds:g} s"
            self._close(1000, Retryable(text, "login_timeout"))

    # ── hearing ──

    def _received(self, data: bytes) -> None:
        gauges = self._gauges
        gauges.bytes += len(data)
        gauges.heard_at = self._now()
        gauges.heard_ns = self._clock.wall_ns()
        self._read_size = len(data)
        frames = self._frames.feed(data)
        if self._frames.controls:
            self._hear_with_controls(frames)
        elif frames:
            self._hear(frames)
        violation = self._frames.violation
        if violation is not None and not self.actor_stopped.is_set():
            self._close(
                violation.code, Retryable(f"the venue broke the protocol: {violation.text}", "protocol")
            )

    def _hear(self, frames: Sequence[Frame]) -> None:
        self._gauges.frames += len(frames)
        self._gauges.message_at = self._gauges.heard_at
        self._perform(self._session.received(frames, self._gauges.heard_at))

    def _hear_with_controls(self, frames: list[Frame]) -> None:
        """Control frames stand where they came: what lies between two of them goes in one piece."""
        data: list[Frame] = []
        for frame in frames:
            opcode, payload = frame
            if opcode in {TEXT, BINARY}:
                data.append(frame)
                continue
            if data:
                self._hear(data)
                data = []
            if self.actor_stopped.is_set():  # the venue said why, and its close frame says less
                return
            if opcode == PING:
                self._send_frame(PONG, payload)
            elif opcode == PONG:
                self._pong(payload)
            elif opcode == CLOSE:
                self._closed_by_venue(payload)
                return
        if data:
            self._hear(data)

    def _closed_by_venue(self, payload: bytes) -> None:
        self._has_read_all = self._successor is not None
        code, words = read_close(payload)
        self._close(code, self._session.closed(code, words))

    # ── doing what the session wants ──

    def _perform(self, effects: Sequence[Effect]) -> None:
        """In order, but for one thing: confirmations come before the events of the same read.

        A `Resent` is not overtaken: what is confirmed behind it was asked for by it.
        """
        settled = 0
        for number, effect in enumerate(effects):
            if number == settled:
                settled = self._settle_ahead(effects, number)
            if self.actor_stopped.is_set():
                return
            self._do(effect)

    def _settle_ahead(self, effects: Sequence[Effect], start: int) -> int:
        """Tell what is confirmed or rejected from `start` to the next `Resent`; where to go on."""
        settled: list[Topic] = []
        end = start
        for effect in effects[start:]:
            end += 1
            if type(effect) is Deliver:  # as nearly all are
                continue
            if isinstance(effect, Resent):
                break
            if isinstance(effect, Confirm):
                settled += effect.topics
                self._gauges.acknowledged_at = self._gauges.heard_at
                self._door.token_taken()
                self._registry.tell(TopicsConfirmed(self._line, self._epoch, effect.topics, effect.assumed))
            elif isinstance(effect, Reject):
                settled += effect.topics
                why = self._door.blotter.strike(effect.reason)
                rejected = TopicsRejected(self._line, self._epoch, effect.topics, why, effect.retry_after)
                self._registry.tell(rejected)
        if settled:
            self._settle(tuple(settled))
        return end

    def _do(self, effect: Effect) -> None:
        match effect:
            case Deliver(pairs=pairs):
                self._heard_events(pairs)
            case Confirm() | Reject():
                pass  # told already
            case Send(payload=payload):
                self._send(payload)
            case Announce():
                self._keep_until(Keeping.LOGIN)
                self._dispatcher.tell(RoutesWanted(self._line, self._epoch))
            case Resent(topics=topics):
                self._resent -= 1
                self._registry.tell(TopicsResent(self._line, self._epoch, topics, self._resent))
                self._acks.sent(topics, self._resent, self._now())
                self._plan_look()
            case Missed():
                self._deliver_or_keep(effect)
            case Quarantine(raw=raw, error=error):
                self._gauges.decoded += 1
                self._gauges.quarantined += 1
                self._deliver_or_keep(Misread())
                self._metrics.increment("quarantined_total")
                self._orders.jail.add(self._line, raw, error, self._clock.wall_ns(), self._door.blotter)
            case Unrouted(count=count):
                self._gauges.decoded += count
                self._gauges.unrouted += count
            case Duplicates(count=count):
                self._gauges.decoded += count
                self._gauges.duplicates += count
            case Complain(code=code, text=text):
                told = self._door.blotter.strike(text)
                self._supervisor.tell(VenueComplained(self._line, self._epoch, code, told))
            case Answered():
                self._gauges.venue_answers += 1
            case Fetch(ticket=ticket, request=request, after=after):
                self._exchanges.plan(FetchDue(ticket, request), after)
            case TokenRefused(text=text):
                self._close(1000, self._door.token_refused(text))
            case End(reason=reason):
                self._close(1000, reason)

    def _heard_events(self, pairs: list[Pair]) -> None:
        gauges = self._gauges
        if gauges.data_at is None:
            gauges.data_at = gauges.heard_at
        gauges.event_at = gauges.heard_at
        gauges.decoded += len(pairs)
        self._metrics.increment("events_total", len(pairs))
        size, self._read_size = self._read_size, 0  # once, where a read brings several batches
        if self._keeping is Keeping.NOT and not self._kept:
            self._hand_out(pairs, gauges.heard_ns, gauges.heard_at, size)
        else:
            self._keep(KeptEvents(pairs, gauges.heard_ns, gauges.heard_at, size))

    # ── delivering ──

    def _hand_out(self, pairs: list[Pair], received_ns: int, at: float, size: int) -> None:
        delivery = self._delivery
        if delivery is None:  # before the login: no subscription can have asked for it
            self._gauges.unrouted += len(pairs)
            return
        if self._known is not None:
            pairs = self._without_known(pairs)
            if not pairs:
                return
        if (rotation := self._rotation) is not None:
            rotation.overlap.add(pairs)
            if rotation.overlap.is_full:
                self._give_up_rotation(rotation.epoch, "its present connection brings more than is compared")
        routed = delivery.hand_out(pairs, received_ns, at, size)
        self._gauges.routed += routed
        self._gauges.unrouted += len(pairs) - routed
        if delivery.wants_attention:
            self._update_reading()

    def _without_known(self, pairs: list[Pair]) -> list[Pair]:
        assert self._known is not None
        new = self._known.without(pairs)
        self._gauges.duplicates += len(pairs) - len(new)
        if self._known.is_over:
            self._known = None
        return new

    def _settle(self, topics: tuple[Topic, ...]) -> None:
        self._deliver_or_keep(Confirm(topics))

    def _deliver_or_keep(self, effect: Confirm | Missed | Misread) -> None:
        if self._keeping is Keeping.NOT and not self._kept:
            self._mark(effect)
        else:
            self._keep(effect)

    def _mark(self, effect: Confirm | Missed | Misread) -> None:
        """What the venue answered, and what it left out, as the streams are told of it."""
        delivery, now_ns = self._delivery, self._clock.wall_ns()
        if delivery is None:
            return
        match effect:
            case Missed(topics=topics, reason=reason, missed=missed):
                delivery.missed(topics, reason, missed, now_ns)
            case Misread():
                delivery.misread()
                return
            case Confirm(topics=topics):
                blind = delivery.settle(topics, now_ns)
                report = TopicsRestored(self._line, self._epoch, topics, blind, now_ns)
                self._dispatcher.tell(report)
        self._orders.cells.note_gaps(self._line, self._orders.right, *delivery.gaps)

    # ── keeping what the streams may not have yet ──

    def _keep_until(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._update_reading()

    def _keep(self, item: KeptItem) -> None:
        """A candidate is given up if it brings too much before all its topics are answered for."""
        self._kept.add(item)
        if self._kept.is_full and self._keeping is Keeping.TURN:
            if not self._is_settled():
                text = f"it brought more than {self._kept.bound} before it was ready"
                self._give_up_rotation(self._epoch, text)
            self._update_reading()

    def _is_settled(self) -> bool:
        return self._routes is not None and self._kept.answered >= self._routes.routes.routes.keys()

    def _hand_out_kept(self) -> None:
        """Piece by piece, for as long as no stream asks for a pause."""
        delivery = self._delivery
        while self._kept and delivery is not None and not delivery.paused_by:
            item = self._kept.take()
            if isinstance(item, KeptEvents):
                self._hand_out(item.pairs, item.received_ns, item.at, item.size)
            else:
                self._mark(item)
        self._update_reading()

    # ── routes ──

    def _take_routes(self, message: TakeRoutes) -> None:
        """The first time they come the login is over; later they come from another dispatcher."""
        if self._delivery is not None:
            self._compare_routes(message)
            return
        self._routes = message
        if message.state is not None:
            self._become_holder(message.state, message.heard)
        self._go_on_after_login()

    def _go_on_after_login(self) -> None:
        if self._keeping is not Keeping.LOGIN or self._routes is None:
            return
        if self._legacy is not None:
            self._session.inherit(self._legacy.legacy)
        elif self._orders.overlap is not None and self._delivery is None:
            return  # the other connection lives, and has not left it yet
        self._forget_login_timer()
        self._keeping = Keeping.TURN if self._delivery is None else Keeping.NOT
        self._supervisor.tell(SessionOpened(self._line, self._epoch))
        self._hand_out_kept()

    def _inherit(self, message: Inherit) -> None:
        self._legacy = message
        self._go_on_after_login()

    def _become_holder(self, state: DeliveryState, heard: Heard | None) -> None:
        assert self._routes is not None
        orders = self._orders
        line = LineDelivery(self._line, self._epoch, orders.right, self._routes.routes, state)
        state.begin_epoch(self._epoch)
        if heard is None or not heard.prices.are_of(orders.venue):
            heard = Heard(Prices(orders.venue))
        self._delivery = EpochDelivery(
            line,
            venue=orders.venue,
            arrivals=orders.arrivals,
            heard=heard,
            runs=Runs(orders.venue, orders.right, orders.run_budget),
            block_limit=orders.block_limit,
            wake=self._wake,
        )
        self._known = None if orders.overlap is None else orders.overlap.take()
        orders.cells.publish(self._line, orders.right, heard)

    def _wake(self) -> None:
        """From any thread: something that this connection waits for may be there."""
        self.tell_self(LookAgain())

    def _compare_routes(self, message: TakeRoutes) -> None:
        """What a new dispatcher knows is what counts."""
        assert self._routes is not None
        assert self._delivery is not None
        mine, theirs = self._routes.routes.routes, message.routes.routes
        changes: dict[Topic, Route | None] = {topic: None for topic in mine if topic not in theirs}
        changes |= {topic: route for topic, route in theirs.items() if mine.get(topic) != route}
        self._routes = structs.replace(self._routes, keeper=message.keeper, version=message.version)
        for topic, route in changes.items():
            self._set_route(topic, route)

    def _change_route(self, change: ChangeRoute) -> None:
        routes = self._routes
        if routes is None or (change.keeper, change.version) <= (routes.keeper, routes.version):
            return
        self._routes = structs.replace(routes, keeper=change.keeper, version=change.version)
        self._set_route(change.topic, change.route)

    def _set_route(self, topic: Topic, route: Route | None) -> None:
        assert self._routes is not None
        if self._delivery is None:
            table = self._routes.routes
            former = table.routes.get(topic)
            if route is None or former is None or route.number != former.number:
                self._kept.forget(topic)
            if route is None:
                table.remove(topic)
            else:
                table.set(topic, route)
        elif route is None:
            self._delivery.remove_route(topic, self._clock.wall_ns())
        else:
            self._delivery.set_route(topic, route, self._clock.wall_ns())
        self._send_subscriptions(self._askings.routed(topic, self._present_routes))
        if self._delivery is not None and self._delivery.wants_attention:
            self._update_reading()

    # ── asking the venue ──

    @property
    def _present_routes(self) -> Mapping[Topic, Route]:
        return {} if self._routes is None else self._routes.routes.routes

    def _send_subscriptions(self, ready: Iterable[Ready]) -> None:
        """These have their routes: the venue is asked for them, asking by asking."""
        for asking, topics in ready:
            effects = self._session.subscribe(topics, self._now())
            self._registry.tell(TopicsSent(self._line, self._epoch, topics, asking))
            self._acks.sent(topics, asking, self._now())
            self._perform(effects)
            self._plan_look()

    def _tell_overdue(self) -> None:
        for over in self._acks.overdue(self._now()):
            self._registry.tell(AckOverdue(self._line, self._epoch, over.topics, over.number))

    # ── another connection takes over ──

    def _begin_rotation(self, rotation: RotationBegun) -> None:
        """From now on the keys of what comes are noted; the candidate gets what the session leaves."""
        self._rotation = rotation
        self._own_address.tell(Inherit(self._session.legacy()), rotation.epoch)

    def _give_up_rotation(self, candidate: int, why: str) -> None:
        """Told once. Keys are noted until the answer comes: the candidate may take over meanwhile."""
        if self._given_up != candidate:
            self._given_up = candidate
            self._supervisor.tell(RotationOverdue(self._line, candidate, why))

    def _take_turn(self, turn: TakeTurn) -> None:
        if self._delivery is not None or self._routes is None:
            return
        unanswered = (turn.state.settled & self._routes.routes.routes.keys()) - self._kept.answered
        self._become_holder(turn.state, turn.heard)
        delivery = self._delivery
        assert delivery is not None
        delivery.interrupt(unanswered, self._clock.wall_ns())
        if turn.late:
            self._mark(Missed(tuple(delivery.settled), "unknown"))
        if answered := self._kept.answered - delivery.settled:  # what is kept of these lies behind their gap
            self._mark(Confirm(tuple(answered)))
        if self._keeping is Keeping.LOGIN:
            self._go_on_after_login()
        else:
            self._keeping = Keeping.NOT
            self._hand_out_kept()

    # ── sending ──

    def _send_for_user(self, payload: str | bytes) -> str | None:
        if self._session.state is not State.OPEN:
            return "it is not connected and logged in"
        self._send(payload)
        return None

    def _send(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            self._send_frame(TEXT, payload.encode())
        else:
            self._send_frame(BINARY, payload)

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        lost = self._wire.send(encode(opcode, payload))
        self._gauges.unsent = self._wire.unsent
        if lost is not None:
            self.exit(lost.reason)

    # ── beats ──

    def _send_ping(self, beat: int) -> None:
        self._beats = {beat: self._now()}
        if self._gauges.event_at:
            self._metrics.gauge("last_event_age_seconds", self._now() - self._gauges.event_at)
        self._send_frame(PING, struct.pack("!Q", beat))

    def _pong(self, payload: bytes) -> None:
        if payload == LAST_WORD and self._successor is not None:
            self._has_read_all = True
            self._close(1000, Stopped("another connection has taken over", HANDED_OVER))
            return
        beat = int.from_bytes(payload, "big") if len(payload) == 8 else 0
        sent = self._beats.pop(beat, None)
        if sent is not None:
            rtt = self._gauges.heard_at - sent
            self._metrics.observe("rtt_seconds", rtt)
            self._heartbeat.tell(PongReceived(self._line, self._epoch, beat, rtt))

    def _end_if_silent(self, overdue: EndIfSilent) -> None:
        """Judges once the ping has had its time since it left, and all that came has been heard."""
        sent = self._beats.get(overdue.beat)
        if sent is None or self._gauges.heard_at > sent or not self._gauges.reading:
            return
        left = sent + overdue.waited - self._now()
        if left > 0:
            self._timers.send_after(left, self, overdue)
            return
        if self._wire.unheard:
            self.tell_self(overdue)
            return
        text = f"no pong and nothing else within {overdue.waited:g} s: half-open, or the venue hangs"
        self._close(1000, Retryable(text, "pong_timeout"))

    # ── reading, or not: a level that is looked at again and again ──

    def _look_again(self) -> None:
        if self._delivery is not None:
            self._delivery.look_again(self._now())
            if self._kept:
                self._hand_out_kept()
            if due := self._delivery.resyncs.take(self._now()):
                self._perform(self._session.resync(due, self._now()))
        self._update_reading()
        self._tell_overdue()
        self._plan_look()

    def _may_read(self) -> bool:
        if self._keeping is Keeping.LOGIN:
            return False
        if self._keeping is Keeping.TURN:
            return not self._kept.is_full
        return not self._kept and (self._delivery is None or not self._delivery.paused_by)

    def _update_reading(self) -> None:
        gauges = self._gauges
        gauges.held_by = () if self._delivery is None else self._delivery.paused_by
        may_read = self._may_read()
        if may_read != gauges.reading:
            gauges.reading = may_read
            self._wire.watch(may_read)
            now = self._now()
            if may_read:
                self._session.resumed(now)
                self._acks.resume(now)
                self._heartbeat.tell(ReadingResumed(self._line, self._epoch))
            else:
                self._session.paused(now)
                self._acks.pause(now)
                self._heartbeat.tell(ReadingPaused(self._line, self._epoch))
        self._plan_look()

    def _plan_look(self) -> None:
        """Look again when something is due, by the inbox's own timeout and by the runtime's time."""
        seconds = math.inf if self._delivery is None else self._delivery.look_in(self._now())
        if self._gauges.reading:
            seconds = min(seconds, self._acks.next_in(self._now()))
        self._wire.look_again_in(None if self._gauges.reading else LOOK_AGAIN)
        due = self._now() + seconds
        if due < self._look_at or self._look_at <= self._now():
            self._look_at = due
            if self._look_timer is not None:
                self._look_timer.cancel()
                self._look_timer = None
            if seconds < math.inf:
                self._look_timer = self._timers.send_after(seconds, self, LookAgain())

    # ── ending ──

    def _close(self, code: int, reason: Reason) -> None:
        if not self.actor_stopped.is_set():
            self._part(code)
        self.exit(without_secrets(reason, self._door.blotter))

    def _part(self, code: int) -> None:
        """Say good-bye, once, if the peer takes it at once; nobody waits for its answer."""
        if self._socket is not None and not self._parted:
            self._parted = True
            self._wire.send(encode(CLOSE, close_payload(code)))

    def _forget_login_timer(self) -> None:
        if self._login_timer is not None:
            self._login_timer.cancel()

    def _return_delivery(self) -> None:
        """The right to write is given up after the last put; then the state goes back."""
        right, delivery = self._orders.right, self._delivery
        self._orders.arrivals.give_up(right)
        if delivery is None:
            self._gauges.unrouted += self._kept.count  # no stream was to have it; a holder's is lost
            return
        delivery.leave()
        report = DeliveryReturned(self._line, self._epoch, right, delivery.state, self._has_read_all)
        self._dispatcher.tell(report)

    def cleanup(self) -> None:
        self._return_delivery()
        self._forget_login_timer()
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._exchanges.end_all()
        self._part(1001)  # a crash, too: a venue may count who is gone without a word for minutes
        self._wire.forget()
        self._door.hangup.pull()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()

    def _now(self) -> float:
        return self._clock.monotonic()
