"""One line's connection for one epoch; it never reconnects itself.

It dies with a typed reason, and the supervisor decides. Its inbox hears its socket, so it needs no
reader thread; a short-lived thread opens the socket, since opening may block.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Sequence

from msgspec import Struct

from actors import log_queue
from actors.actor import Actor, Address, DeadLetters
from actors.dispatcher import FLOW, WINDOW
from actors.door import Door, without_secrets
from actors.events import Topic
from actors.messages import (
    BytesReceived,
    EndConnection,
    EndIfSilent,
    EventsReceived,
    FetchDue,
    Fetched,
    HandOver,
    HttpAnswer,
    HttpFailed,
    LineCutOver,
    LineUpgraded,
    LoginOverdue,
    OpenSocket,
    PauseReading,
    PongReceived,
    ReadingPaused,
    ReadingResumed,
    Reason,
    ResumeReading,
    ResyncTopics,
    Retryable,
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
    TopicsConfirmed,
    TopicsMissed,
    TopicsRejected,
    TopicsSent,
    TopicsSettled,
    VenueComplained,
)
from actors.metrics import LineMetrics
from actors.quarantine import Quarantine as Jail
from actors.rules.routes import Flow
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
from actors.wire.connect import ConnectFailed, Hangup
from actors.wire.deflate import Inflater
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

Hears = (
    BytesReceived
    | SendPing
    | SendVenuePing
    | EndIfSilent
    | SendSubscriptions
    | SendUnsubscriptions
    | ResyncTopics
    | PauseReading
    | ResumeReading
    | SocketOpened
    | SocketRefused
    | SocketLost
    | FetchDue
    | Fetched
    | SendMessage
    | LoginOverdue
    | EndConnection
    | HandOver
    | OpenSocket
)


class Gauges:
    """What one connection has counted. Its own thread writes, anybody reads."""

    def __init__(self) -> None:
        self.bytes = 0  # received
        self.frames = 0  # data frames received
        self.decoded = 0  # events, and messages that were none
        self.unrouted = 0  # events that the session knew nobody had asked for
        self.duplicates = 0
        self.quarantined = 0
        self.heard_at = 0.0  # monotonic seconds of the last bytes
        self.heard_ns = 0  # the same by the wall clock
        self.message_at = 0.0  # monotonic seconds of the last data frames
        self.acknowledged_at = 0.0  # monotonic seconds of the last answer to a subscription
        self.data_at: float | None = None  # monotonic seconds of the first event
        self.event_at = 0.0  # monotonic seconds of the last event
        self.unsent = 0  # bytes that the venue has not taken
        self.held_by: tuple[int, ...] = ()  # streams on whose behalf reading is paused
        self.upgraded_at = 0.0  # monotonic seconds
        self.compressed = False  # the venue may compress what it sends
        self.venue_answers = 0  # of the venue's own heartbeat


class Orders(Struct, frozen=True):
    """All that a connection is given for its life."""

    line: str
    epoch: int
    door: Door
    session: Session
    max_message: int  # bytes
    flow: Flow
    gauges: Gauges
    metrics: LineMetrics
    jail: Jail


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
        registry: Address,
        dispatcher: Address,
        heartbeat: Address,
        timers: Timers,
    ) -> None:
        super().__init__(id, incarnation, inbox, parent, dead_letters)
        self._wire = inbox
        self._supervisor = parent
        self._registry, self._dispatcher, self._heartbeat = registry, dispatcher, heartbeat
        self._timers, self._clock = timers, timers.clock
        self._line, self._epoch = orders.line, orders.epoch
        self._orders = orders
        self._session = orders.session
        self._gauges, self._flow, self._metrics = orders.gauges, orders.flow, orders.metrics
        self._door = orders.door
        self._frames = FrameReader(orders.max_message)
        self._socket: socket.socket | None = None
        self._parted = False  # good-bye has been said
        self._holders: set[int] = set()  # on whose behalf the socket is not read
        self._sent = 0  # events told to the dispatcher
        self._successor: int | None = None  # epoch of the connection that takes over
        self._login_timer: Timer | None = None
        self._fetches: dict[str, Timer] = {}  # of the session's, that are to begin later
        self._fetching: dict[str, Hangup] = {}  # that have begun
        self._beats: dict[int, float] = {}  # beat: when it was sent, monotonic seconds
        self.tell_self(OpenSocket())

    def on_receive(self, message: Hears) -> str | None:
        match message:
            case BytesReceived(data=data):
                self._received(data)
            case SendPing(beat=beat):
                self._send_ping(beat)
            case SendVenuePing():
                self._perform(self._session.ping(self._now()))
            case EndIfSilent():
                self._end_if_silent(message)
            case SendSubscriptions(topics=topics):
                self._perform(self._session.subscribe(topics, self._now()))
            case SendUnsubscriptions(topics=topics):
                self._perform(self._session.unsubscribe(topics, self._now()))
            case ResyncTopics(topics=topics):
                self._perform(self._session.resync(topics, self._now()))
            case PauseReading(on_behalf_of=holder):
                self._hold(holder)
            case ResumeReading(on_behalf_of=holder):
                self._let_go(holder)
            case Fetched(ticket=ticket, outcome=outcome):
                self._fetching.pop(ticket, None)
                self._perform(self._session.fetched(ticket, outcome, self._now()))
            case FetchDue():
                self._start_fetch(message)
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
            case LoginOverdue():
                self._login_overdue()
            case OpenSocket():
                self._start_opening()
            case _:
                self.unknown(message)
        return None

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

    def tell(self, message: LoginOverdue | FetchDue | EndIfSilent) -> None:
        """A timer's way in."""
        self.tell_self(message)

    def _login_overdue(self) -> None:
        if self._session.state is State.LOGGING_IN:
            seconds = self._door.dial.connect_timeout
            text = f"the venue accepted the connection and did not answer the login within {seconds:g} s"
            self._close(1000, Retryable(text, "login_timeout"))

    # ── hearing ──

    def _received(self, data: bytes) -> None:
        gauges = self._gauges
        gauges.bytes += len(data)
        gauges.heard_at = self._now()
        gauges.heard_ns = self._clock.wall_ns()
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

    def _hand_over(self) -> None:
        """All has been read that the venue sent before its successor was subscribed: it answers in order."""
        if self._successor is not None:
            self._dispatcher.tell(LineCutOver(self._line, self._successor))

    def _closed_by_venue(self, payload: bytes) -> None:
        self._hand_over()
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
                settled = self._settle(effects, number)
            if self.actor_stopped.is_set():
                return
            self._do(effect)

    def _settle(self, effects: Sequence[Effect], start: int) -> int:
        """Tell what is confirmed or rejected from `start` to the next `Resent`; where to go on."""
        settled: list[Topic] = []
        end = start
        for effect in effects[start:]:
            end += 1
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
            self._dispatcher.tell(TopicsSettled(self._line, self._epoch, tuple(settled)))
        return end

    def _do(self, effect: Effect) -> None:
        match effect:
            case Deliver(pairs=pairs):
                self._deliver(pairs)
            case Confirm() | Reject():
                pass  # told already
            case Send(payload=payload):
                self._send(payload)
            case Announce():
                self._forget_login_timer()
                self._supervisor.tell(SessionOpened(self._line, self._epoch))
            case Resent(topics=topics):
                self._registry.tell(TopicsSent(self._line, self._epoch, topics))
            case Missed(topics=topics, reason=reason, missed=missed):
                self._dispatcher.tell(TopicsMissed(self._line, self._epoch, topics, reason, missed))
            case Quarantine(raw=raw, error=error):
                self._gauges.decoded += 1
                self._gauges.quarantined += 1
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
                self._fetch_later(FetchDue(ticket, request), after)
            case TokenRefused(text=text):
                self._close(1000, self._door.token_refused(text))
            case End(reason=reason):
                self._close(1000, reason)

    def _deliver(self, pairs: list[tuple[Topic, object]]) -> None:
        if self._gauges.data_at is None:
            self._gauges.data_at = self._gauges.heard_at
        self._gauges.event_at = self._gauges.heard_at
        self._gauges.decoded += len(pairs)
        self._metrics.increment("events_total", len(pairs))
        self._sent += len(pairs)
        self._dispatcher.tell(EventsReceived(self._line, self._epoch, pairs, self._gauges.heard_ns))
        if self._sent - self._flow.done > WINDOW:
            self._flow.waiting = True
            if self._sent - self._flow.done > WINDOW:  # looked at again: it may have just caught up
                self._hold(FLOW)
            else:
                self._flow.waiting = False

    # ── asking over HTTP, for the session ──

    def _fetch_later(self, due: FetchDue, after: float) -> None:
        if after:
            self._fetches[due.ticket] = self._timers.send_after(after, self, due)
        else:
            self._start_fetch(due)

    def _start_fetch(self, due: FetchDue) -> None:
        self._fetches.pop(due.ticket, None)
        hangup = self._fetching[due.ticket] = Hangup()
        thread = threading.Thread(
            target=self._fetch, args=(due, hangup), name=f"{self.id}/fetch", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            self.tell_self(
                Fetched(due.ticket, HttpFailed(f"this machine gives no more threads: {error}", "resources"))
            )

    def _fetch(self, due: FetchDue, hangup: Hangup) -> None:
        """On a thread of its own: whatever comes of it is told, nothing is raised."""
        outcome: HttpAnswer | HttpFailed
        try:
            from actors.wire.fetch import fetch  # an HTTP client, where one is needed

            outcome = fetch(due.request, self._door.dial, hangup)
        except Exception as error:
            where = {"line": self._line, "epoch": self._epoch}
            log.exception("fetching failed in a way that nobody foresaw", extra=where)
            outcome = HttpFailed(f"{type(error).__name__}: {error}", "fetching")
        self.tell_self(Fetched(due.ticket, outcome))

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
            self._hand_over()
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
        if sent is None or self._gauges.heard_at > sent or self._holders:
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

    # ── not reading: the back-pressure ──

    def _hold(self, holder: int) -> None:
        if not self._holders:
            self._wire.watch(False)
            self._session.paused(self._now())
            self._heartbeat.tell(ReadingPaused(self._line, self._epoch))
        self._holders.add(holder)
        self._gauges.held_by = tuple(self._holders - {FLOW})

    def _let_go(self, holder: int) -> None:
        if holder not in self._holders:
            return
        self._holders.discard(holder)
        self._gauges.held_by = tuple(self._holders - {FLOW})
        if not self._holders:
            self._wire.watch(True)
            self._session.resumed(self._now())
            self._heartbeat.tell(ReadingResumed(self._line, self._epoch))

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

    def cleanup(self) -> None:
        self._forget_login_timer()
        for timer in self._fetches.values():
            timer.cancel()
        for hangup in self._fetching.values():
            hangup.pull()
        self._part(1001)  # a crash, too: a venue may count who is gone without a word for minutes
        self._wire.forget()
        self._door.hangup.pull()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()

    def _now(self) -> float:
        return self._clock.monotonic()
