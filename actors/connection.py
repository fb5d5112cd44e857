"""One line's connection for one epoch; it never reconnects itself.

It ends with a typed reason, and the supervisor decides. Its inbox reads its socket, so it needs no
reader thread. A short-lived thread opens the socket, since opening may block.
"""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import struct
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from actors import log_queue
from actors.actor import Actor, ActorContext, KeptReply, Letter
from actors.delivery.askings import Askings, Ready
from actors.delivery.backfills import AskVenue, Cancel
from actors.delivery.connection_delivery import ConnectionDelivery, DeliveryArgs
from actors.delivery.epoch_delivery import LOOK_AGAIN
from actors.delivery.kept import Misread
from actors.delivery.table import Route
from actors.diagnostics import QuarantinedMessages
from actors.errors import LinewardenError
from actors.events import Topic, VenueState
from actors.login.connector import Connector
from actors.login.redaction import without_secrets
from actors.messages import (
    AckOverdue,
    BackfillAnswered,
    CandidateDropped,
    ChangeRoute,
    ConfirmAssumed,
    ConnectionCloseAnnounced,
    DeliveryReturned,
    EndConnection,
    EndIfSilent,
    FetchDue,
    Fetched,
    HandOver,
    Inherit,
    JudgeStale,
    LineUpgraded,
    LoginOverdue,
    LookAgain,
    OpenSocket,
    PongReceived,
    ReadingPaused,
    ReadingResumed,
    RotationBegun,
    RotationOverdue,
    RoutesWanted,
    SendDue,
    SendMessage,
    SendPing,
    SendSubscriptions,
    SendUnsubscriptions,
    SendVenuePing,
    SessionOpened,
    TakePolicy,
    TakeRoutes,
    TakeTurn,
    TopicsConfirmed,
    TopicsRejected,
    TopicsResent,
    TopicsRestored,
    TopicsSent,
    TopicsTooLarge,
    VenueComplained,
)
from actors.metrics import LineMetrics
from actors.protocol.backfill import Backfilled
from actors.protocol.formatting import counted
from actors.protocol.limits import SendRate, closed_for
from actors.protocol.numbers import known_time
from actors.protocol.rest import Call
from actors.protocol.session import (
    Announce,
    Answered,
    Complain,
    Confirm,
    ConnectionCloses,
    Deliver,
    Duplicates,
    Effect,
    End,
    Fetch,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Resync,
    Send,
    Session,
    SessionState,
    TokenRefused,
    Unrouted,
)
from actors.reasons import HANDED_OVER, Reason, Retryable, Stopped
from actors.rules import oversized
from actors.rules.acks import AckDeadlines
from actors.rules.answers import Answers, last_answers
from actors.rules.collapse import CollapsedByKind
from actors.rules.event_lags import EVERY
from actors.rules.frame_budget import FrameBudget
from actors.rules.outbox import Outbox
from actors.rules.venue_requests import (
    ResyncRequest,
    SubscribeRequest,
    UnsubscribeRequest,
    VenueRequest,
    VenueRequests,
)
from actors.rules.venue_states import completed
from actors.timers import Timer
from actors.wire.connect import ConnectFailed, SocketOpened, SocketRefused
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
    Oversized,
    close_payload,
    encode,
    read_close,
)
from actors.wire.socket_inbox import BytesReceived, HandlingEnded, SocketInbox, SocketLost

log = log_queue.logger("actors.connection")

MAX_WORDS = 500  # characters of what a venue says of itself
TICK = 0.001  # seconds: for so little time a timer is not set again
LAST_WORD = b"hand over"  # in a ping; those of the heartbeat have 8 bytes
COMPLAINTS = 1.0  # seconds within which the complaints of one code, and states of one kind, are told once
CODE, WORDS = 64, 1_000  # characters of an error's code and of its text that are told
READ = 64 * 1_024  # characters of it that are looked at: a secret across the cut is struck out whole
STALL = 0.25  # seconds in handlers after which what waits in the socket may be old
NOTE_AGAIN = 0.1  # seconds until the next look at a socket that was not at its end after a pause
LAST_READS = 0.5  # seconds for what was received before the connection is told to end


class ConnectionArgs(Struct, frozen=True):
    """All that a connection is given for its life."""

    delivery: DeliveryArgs
    connector: Connector
    session: Session
    max_message: int  # bytes
    ack_timeout: float  # seconds
    send_rate: SendRate
    send_buffer: int  # bytes
    metrics: LineMetrics
    quarantine: QuarantinedMessages
    ask_venue: AskVenue


class LoggedReply:
    """In place of a reply, for a message whose sender does not wait: why it was not sent is logged."""

    open = True

    def __init__(self, line: str) -> None:
        self._line = line

    def set(self, trouble: str | None) -> None:
        if trouble is not None:
            log.warning(
                "handler.send_failed",
                "%s: a message of an inline handler: %s.",
                self._line,
                trouble,
                line=self._line,
            )


ProgramMessage = tuple[bytes, KeptReply | LoggedReply]  # its frame


class Connection(Actor):
    """One line's connection in one epoch: owns its socket and session, and dies with them."""

    # Beyond thirty attributes an instance keeps a hash table of its own.
    __slots__ = (
        "_acks",
        "_answers",
        "_args",
        "_askings",
        "_batch",
        "_beats",
        "_closing_told",
        "_complaints",
        "_connector",
        "_counters",
        "_delivery",
        "_dispatcher",
        "_end_reason",
        "_epoch",
        "_exchanges",
        "_frames",
        "_given_up",
        "_has_read_all",
        "_heartbeat",
        "_is_asking",
        "_legacy",
        "_line",
        "_login_timer",
        "_look_at",
        "_look_timer",
        "_messages",
        "_messages_size",
        "_metrics",
        "_now",
        "_outbox",
        "_parted",
        "_program_next",
        "_read_size",
        "_registry",
        "_requests",
        "_resent",
        "_routes_version",
        "_sample_at",
        "_send_at",
        "_send_timer",
        "_session",
        "_session_paused",
        "_socket",
        "_states",
        "_successor",
        "_supervisor",
        "_to_await",
        "_wall_ns",
        "_wire",
    )

    def __init__(self, context: ActorContext[SocketInbox[Letter]], args: ConnectionArgs) -> None:
        super().__init__(context)
        self._wire = context.inbox
        self._supervisor, self._registry = self.address("supervisor"), self.address("registry")
        self._dispatcher, self._heartbeat = self.address("dispatcher"), self.address("heartbeat")
        self._now, self._wall_ns = self._clock.monotonic, self._clock.wall_ns
        self._args = args
        self._line, self._epoch = args.delivery.line, args.delivery.epoch
        self._session = args.session
        self._counters, self._metrics = args.delivery.counters, args.metrics
        self._connector = args.connector
        self._frames = FrameReader(args.max_message)
        self._socket: socket.socket | None = None
        self._read_size = 0  # bytes of the last read that no batch was charged with
        self._parted = False  # a close frame has been sent
        self._closing_told = -math.inf  # monotonic seconds: when an announced close was passed on
        self._delivery = ConnectionDelivery(args.delivery, self, self._now, self._wall_ns)
        self._routes_version: tuple[int, int] | None = None  # of the last change: its keeper, and its number
        self._sample_at = 0.0  # monotonic seconds: when the next event's lag is noted
        self._acks = AckDeadlines(args.ack_timeout)
        self._askings = Askings()
        self._answers = Answers()
        self._complaints = CollapsedByKind[Complain](COMPLAINTS)
        self._states = CollapsedByKind[VenueState](COMPLAINTS)  # that are to be logged
        self._batch = args.send_rate.batch
        self._requests = VenueRequests()
        self._outbox = Outbox(FrameBudget(args.send_rate.frames))
        self._send_timer: Timer | None = None
        self._session_paused = False  # told to the session
        self._send_at = math.inf  # monotonic seconds
        self._is_asking = False
        self._messages: list[ProgramMessage] = []  # mostly empty; a deque is large
        self._messages_size = 0  # bytes
        self._program_next = False  # whether its messages have the next turn
        self._resent = 0  # the number of the last asking that the session made by itself
        # Such askings, until the effects that tell of them are done.
        self._to_await: list[tuple[tuple[Topic, ...], int]] = []
        self._legacy: Inherit | None = None
        self._given_up: int | None = None  # epoch of the candidate whose drop was asked for
        self._successor: int | None = None  # epoch of the connection that takes over
        self._end_reason: Reason | None = None  # of the end that it was told to come to
        self._has_read_all = False  # that the venue sent before its successor was subscribed
        self._login_timer: Timer | None = None
        self._look_timer: Timer | None = None
        self._look_at = math.inf  # monotonic seconds
        self._exchanges = Exchanges(self.id, self, args.connector.dial, self._timers)
        self._beats: dict[int, float] = {}  # beat: when it was sent, monotonic seconds
        self.tell_self(OpenSocket())

    def on_receive(self, message: Any) -> None:
        match message:
            case BytesReceived(data=data):
                self._received(data)
            case SendPing(beat=beat):
                self._send_ping(beat)
            case SendVenuePing():
                self._perform(self._session.ping(self._now()))
            case SendDue():
                self._send_due()
            case EndIfSilent():
                self._end_if_silent(message)
            case SendSubscriptions(asking=asking, numbers=numbers):
                self._send_subscriptions(self._askings.add(asking, numbers, self._delivery.routes))
            case SendUnsubscriptions(topics=topics):
                self._send_subscriptions(self._askings.cancel(topics, self._delivery.routes))
                self._answers.lift(topics)
                self._requests.unsubscribe(topics)
                self._ask_venue()
            case ConfirmAssumed(topics=topics):
                self._delivery.bring_assumed(topics)
            case LookAgain():
                self._look_again()
            case Fetched(ticket=ticket, outcome=outcome):
                self._exchanges.ended(ticket)
                self._perform(self._session.fetched(ticket, outcome, self._now()))
            case FetchDue():
                self._exchanges.begin(message)
            case SendMessage():
                self._send_for_user(message)
            case SocketOpened():
                self._opened(message)
            case SocketRefused(reason=reason):
                self.exit(reason)
            case SocketLost(reason=reason):
                self._close(1000, reason)
            case EndConnection(reason=reason):
                self._end_when_read(reason)
            case HandOver(epoch=epoch):
                self._successor = epoch
                self._send_control(LAST_WORD, encode(PING, LAST_WORD))
                self.update_reading()
            case LoginOverdue(was_read=was_read):
                self._login_overdue(was_read=was_read)
            case OpenSocket():
                self._start_opening()
            case HandlingEnded(error=error):
                if error is not None:
                    raise error
            case _:
                self._on_delivery_message(message)

    def _on_delivery_message(self, message: Any) -> None:
        match message:
            case ChangeRoute():
                self._change_route(message)
            case TakeRoutes():
                self._take_routes(message)
            case TakeTurn(state=state, last_events=last_events, late=late):
                self._delivery.take_turn(state, last_events, late=late)
                self._open_session()
            case Inherit():
                self._legacy = message
                self._open_session()
            case RotationBegun(epoch=candidate, overlap=overlap):
                self._delivery.begin_rotation(candidate, overlap)
                self.connection(self._line).tell(Inherit(self._session.legacy()), candidate)
            case CandidateDropped():
                self._delivery.end_rotation()
            case JudgeStale(topics=topics):
                self._delivery.judge_stale(topics)
            case BackfillAnswered():
                self._backfill_answered(message)
            case TakePolicy():
                self._take_policy(message)
            case _:
                self.unknown(message)

    def _take_policy(self, policy: TakePolicy) -> None:
        self._acks.timeout = policy.ack_timeout
        self._delivery.take_block_timeout(policy.block_timeout)
        self._delivery.take_backfill(policy.backfill)
        self._batch = policy.send_rate.batch
        self._outbox.take_limits(policy.send_rate.frames)
        self._look_again()
        self._send_due()

    # ── opening ──

    def _start_opening(self) -> None:
        try:
            threading.Thread(target=self._open, name=f"{self.id}/open", daemon=True).start()
        except RuntimeError as error:
            self.exit(Retryable(f"out of threads: {error}", "resources"))

    def _open(self) -> None:
        """On the opener's thread: every outcome is sent as a message, nothing is raised."""
        try:
            opened = self._connector.open()
        except ConnectFailed as failed:
            self.tell_self(SocketRefused(failed.reason))
        except Exception as error:
            log.exception("line.defect", "unexpected error while connecting", **self._where)
            self.tell_self(SocketRefused(Retryable(f"{type(error).__name__}: {error}", "opening")))
        else:
            self._socket = opened.socket  # noted first: an actor that ends before it reads this closes it
            self.tell_self(opened)

    def _opened(self, opened: SocketOpened) -> None:
        self._counters.compressed = opened.compressed
        if opened.compressed:
            self._frames = FrameReader(self._args.max_message, Inflater())
        self._counters.upgraded_at = self._counters.received_at = self._now()
        self._counters.received_ns = self._wall_ns()
        self._wire.open(opened.socket, self._now, self._received, self._counters)
        self._supervisor.tell(LineUpgraded(self._line, self._epoch))
        patience = self._connector.dial.connect_timeout
        self._login_timer = self._timers.send_after(patience, self, LoginOverdue())
        self._perform(self._session.opened(self._now()))

    def tell(self, message: LoginOverdue | FetchDue | Fetched | LookAgain | SendDue | EndIfSilent) -> None:
        """For timers and threads."""
        self.tell_self(message)

    def _login_overdue(self, *, was_read: bool) -> None:
        """`was_read`: all that had been received by then; the answer may have been among it."""
        if not was_read and self._wire.read_to_end(LoginOverdue(was_read=True), LAST_READS):
            return
        seconds = self._connector.dial.connect_timeout
        if self._delivery.awaits_routes:
            text = f"the routes of the line did not come within {seconds:g} s"
            self._close(1000, Retryable(text, "routes"))
        elif self._session.state is SessionState.LOGGING_IN:
            text = f"the venue accepted the connection and did not answer the login within {seconds:g} s"
            self._close(1000, Retryable(text, "login_timeout"))

    # ── reading ──

    def _received(self, data: bytes) -> bool:
        """Returns whether the connection goes on."""
        counters = self._counters
        self._read_size = len(data)
        counters.bytes += self._read_size
        counters.received_at = self._now()
        counters.received_ns = self._wall_ns()
        frames = self._frames.feed(data)
        if self._frames.controls:
            self._handle_with_controls(frames)
        elif frames:
            self._handle_data(frames)
        violation = self._frames.violation
        if violation is not None and not self.actor_stopped.is_set():
            text = f"the venue violated the protocol: {violation.text}"
            if violation.oversized is None:
                self._close(violation.code, Retryable(text, "protocol"))
            else:
                self._close(violation.code, self._too_large(violation.oversized))
        return not self.actor_stopped.is_set()

    def _too_large(self, message: Oversized) -> Reason:
        """The topic that brings such messages, if it can be told, is not asked for again."""
        feed, maximum = self._line.partition("/")[0], self._args.max_message
        text = f"a message of {message.size:,} bytes or more is over max_message ({maximum:,} bytes)"
        advice = oversized.advice(message.size, feed)
        topics = tuple(self._session.oversized(message.head))
        if not topics:
            found = oversized.topic_of(message.head[1], self._answers.asked, self._answers.waiting)
            topics = () if found is None else (found,)
        for topic in topics:
            why, first = f"{text}. {advice}", not self._has_event(topic)
            self._registry.tell(TopicsTooLarge(self._line, self._epoch, (topic,), why, first))
        return Retryable(text, "max_message", advice)

    def _has_event(self, topic: Topic) -> bool:
        """In this epoch."""
        last_events = self._args.delivery.cells.last_events(self._line)
        stamp = None if last_events is None else last_events.stamps.get(topic)
        return stamp is not None and stamp.at >= self._counters.upgraded_at

    def _handle_data(self, frames: Sequence[Frame]) -> None:
        counters = self._counters
        counters.frames += len(frames)
        counters.message_at = counters.received_at
        effects = self._session.received(frames, counters.received_at)
        if len(effects) == 1 and type(effects[0]) is Deliver:  # as nearly all reads have it
            self._handle_events(effects[0].topics, effects[0].events)
        else:
            self._perform(effects)

    def _handle_with_controls(self, frames: list[Frame]) -> None:
        """Control frames stand where they came: what lies between two of them goes in one piece."""
        data: list[Frame] = []
        for frame in frames:
            opcode, payload = frame
            if opcode in {TEXT, BINARY}:
                data.append(frame)
                continue
            if data and not self.actor_stopped.is_set():
                self._handle_data(data)
            data = []
            if self.actor_stopped.is_set():  # the venue gave a reason, and its close frame holds less
                return
            if opcode == PING:
                self._send_control(PONG, encode(PONG, payload))
            elif opcode == PONG:
                self._pong(payload)
            elif opcode == CLOSE:
                self._closed_by_venue(payload)
                return
        if data and not self.actor_stopped.is_set():
            self._handle_data(data)

    def _closed_by_venue(self, payload: bytes) -> None:
        self._has_read_all = self._successor is not None
        code, words = read_close(payload)
        self._close(code, closed_for(self._session.closed(code, words), words))

    # ── effects of the session ──

    def _perform(self, effects: Sequence[Effect]) -> None:
        """In order, but for one thing: confirmations come before the events of the same read.

        A `Resent` is not overtaken: what is confirmed behind it was asked for by it. Frames that follow
        one another leave in one write.
        """
        settled = 0
        frames: list[bytes] = []
        for number, effect in enumerate(effects):
            if number == settled:
                settled = self._settle_ahead(effects, number)
            if self.actor_stopped.is_set():
                return
            if type(effect) is Send:
                if effect.control:
                    self._send_control(effect.payload, _data_frame(effect.payload))
                else:
                    frames.append(_data_frame(effect.payload))
                continue
            if frames:
                self._send_frames(frames)
                frames.clear()
            if not self.actor_stopped.is_set():
                self._do(effect)
        if frames and not self.actor_stopped.is_set():
            self._send_frames(frames)
        for topics, number in self._to_await:  # a session may tell of it before the frames themselves
            self._after_frames(partial(self._await_answer, topics, number))
        self._to_await.clear()
        if self._requests:
            self._ask_venue()

    def _settle_ahead(self, effects: Sequence[Effect], start: int) -> int:
        """Tell what is confirmed or rejected from `start` to the next `Resent`; where to go on.

        The last answer to each topic counts. Equal answers are one letter to the registry.
        """
        end = next((n for n in range(start, len(effects)) if type(effects[n]) is Resent), len(effects) - 1)
        settled = last_answers(effects[start : end + 1])
        if settled:
            self._counters.acknowledged_at = self._counters.received_at
            for answer, topics in self._answers.news(settled):
                self._tell_answer(answer, topics)
            self._delivery.bring_answers(settled)
        return end + 1

    def _tell_answer(self, answer: Confirm | Reject, topics: tuple[Topic, ...]) -> None:
        if isinstance(answer, Confirm):
            self._connector.token_taken()
            self._registry.tell(TopicsConfirmed(self._line, self._epoch, topics, answer.assumed))
        else:
            why, again = self._shortened(answer.reason), answer.retry_after
            if again is not None and not (isinstance(again, int | float) and math.isfinite(again)):
                raise LinewardenError(
                    f"{self._session_name}: retry_after of a Reject is seconds, not {again!r}"
                )
            self._registry.tell(TopicsRejected(self._line, self._epoch, topics, why, again))

    def _do(self, effect: Effect) -> None:
        match effect:
            case Deliver(topics=topics, events=events):
                self._handle_events(topics, events)
            case Confirm(topics=topics):  # reported already
                self._delivery.end_tails(topics)
            case Reject() | Answered():
                pass  # reported already, or a sign of life, as any bytes are
            case Announce():
                self._check_welcomed()
                self._delivery.await_routes()
                self._dispatcher.tell(RoutesWanted(self._line, self._epoch))
            case Resent(topics=topics):
                self._resent -= 1
                self._answers.ask(topics)
                self._registry.tell(TopicsResent(self._line, self._epoch, topics, self._resent))
                self._to_await.append((topics, self._resent))
            case Resync(topics=topics):
                self._requests.resync(topics)
            case Missed():
                self._delivery.bring(effect)
            case VenueState():
                self._tell_state(effect)
            case ConnectionCloses(text=text):
                self._tell_closing(text)
            case Quarantine(raw=raw, error=error):
                self._quarantine(raw, error)
            case Unrouted(count=count):
                self._counters.decoded += count
                self._counters.unrouted += count
            case Duplicates(count=count):
                self._counters.decoded += count
                self._counters.duplicates += count
            case Complain(code=code, text=text):
                if self._complaints.add(code[:CODE], Complain(code[:CODE], text[:READ]), self._now()):
                    self._tell_complaints(self._now())
                    self._plan_look()
            case Fetch(ticket=ticket, request=request, after=after):
                self._exchanges.plan(FetchDue(ticket, request), after)
            case TokenRefused(text=text):
                self._close(1000, self._connector.token_refused(text))
            case End(reason=reason):
                self._close(1000, reason)
            case _:
                kind = type(effect).__name__
                raise LinewardenError(f"{self._session_name} returned a {kind}, which is no effect")

    def _quarantine(self, raw: bytes, error: str) -> None:
        self._counters.note_undecoded()
        self._delivery.bring(Misread())
        self._metrics.increment("quarantined_total")
        redactor = self._connector.redactor
        if self._args.quarantine.add(self._line, raw, error, self._wall_ns(), redactor):
            self._log_quarantined()
            self._plan_look()

    def _log_quarantined(self) -> None:
        found = self._args.quarantine.take_unlogged(self._line, self._now())
        if found is not None:
            count, error = found
            what = "1 message" if count == 1 else f"{count:,} messages"
            words = "%s: %s could not be decoded (the newest: %s). To see them, run: linewarden quarantine"
            log.warning(
                "messages.undecoded", words, self._line, what, error, cause="quarantine", **self._where
            )

    def _tell_complaints(self, now: float) -> None:
        for kind, count, newest in self._complaints.take(now):
            text = self._shortened(newest.text)
            report = VenueComplained(self._line, self._epoch, newest.code, text, count, kind)
            self._supervisor.tell(report)

    def _shortened(self, text: str) -> str:
        """Words of the venue as people are told them."""
        return self._connector.redactor.words(text[:READ], WORDS)

    def _tell_state(self, state: VenueState) -> None:
        if len(str(state.scope)) > MAX_WORDS:  # no topic of ours
            return
        text = self._connector.redactor.words(state.text[: 10 * MAX_WORDS])[:MAX_WORDS]
        told = completed(state, text, self._line, self._epoch, self._counters.received_ns)
        if self._delivery.bring_state(told) and self._states.add(told.state, told, self._now()):
            self._log_states(self._now())
            self._plan_look()
        if told.state == "data_lost" and not self.actor_stopped.is_set():
            self._look_again()
            self._delivery.mark_lost()

    def _tell_closing(self, text: str) -> None:
        """Now and then, however often the venue says so."""
        if self._now() - self._closing_told >= COMPLAINTS:
            self._closing_told = self._now()
            told = self._shortened(text)
            self._supervisor.tell(ConnectionCloseAnnounced(self._line, self._epoch, told))

    def _log_states(self, now: float) -> None:
        for _, count, told in self._states.take(now):
            level = logging.WARNING if told.is_alarming else logging.INFO
            often = f" ({count:,} of these)" if count > 1 else ""
            text = "%s: the venue says: %s%s"
            log.log(level, "venue.state", text, self._line, told, often, cause=told.state, **self._where)

    def _handle_events(self, topics: list[Topic], events: list[Any]) -> None:
        if not events:
            return
        counters = self._counters
        if counters.data_at is None:
            counters.data_at = counters.received_at
        counters.event_at = counters.received_at
        counters.decoded += len(events)
        if self._metrics.counts:  # mostly there are none
            self._metrics.increment("events_total", len(events))
        if counters.received_at >= self._sample_at:
            self._note_event_lag(topics[-1].channel, events[-1])
        size, self._read_size = self._read_size, 0  # once, where a read brings several batches
        self._delivery.bring_events(topics, events, counters.received_ns, counters.received_at, size)

    def _note_event_lag(self, channel: str, event: Any) -> None:
        counters = self._counters
        self._sample_at = counters.received_at + EVERY
        with contextlib.suppress(Exception):  # a defect of the venue's: the event names no time
            at_ns = known_time(self._args.delivery.venue.event_time_ns(event))
            if at_ns is not None:
                counters.event_lags.note(channel, counters.received_at, counters.received_ns, at_ns)

    # ── routes, and the turn ──

    def _take_routes(self, message: TakeRoutes) -> None:
        """The first time they come the login is over; later they come from another dispatcher."""
        is_first = self._routes_version is None
        self._routes_version = message.keeper, message.version
        if is_first:
            self._delivery.take_routes(message.routes, message.state, message.last_events)
            self._open_session()
        else:
            for topic, route in self._delivery.differences(message.routes.routes).items():
                self._set_route(topic, route)

    def _change_route(self, change: ChangeRoute) -> None:
        version = change.keeper, change.version
        if self._routes_version is not None and version > self._routes_version:
            self._routes_version = version
            self._set_route(change.topic, change.route)

    def _set_route(self, topic: Topic, route: Route | None) -> None:
        """While it ends, a new placement is its successor's: what comes here was asked for before."""
        if self._is_ending and not self._delivery.has_placement(topic, route):
            route = None
        self._delivery.set_route(topic, route)
        self._send_subscriptions(self._askings.routed(topic, self._delivery.routes))
        if self._delivery.wants_attention:
            self.update_reading()

    @property
    def _is_ending(self) -> bool:
        """It reads to its end, and asks the venue for nothing more."""
        return self._successor is not None or self._end_reason is not None or self._wire.is_broken

    def _open_session(self) -> None:
        """Once the routes are there, and what the session is to inherit."""
        if not self._delivery.may_open(inherited=self._legacy is not None):
            return
        if self._legacy is not None:
            self._session.inherit(self._legacy.legacy)
        self._forget_login_timer()
        self._supervisor.tell(SessionOpened(self._line, self._epoch))
        self._delivery.open()

    # ── what the delivery asks for ──

    def wake(self) -> None:
        self.tell_self(LookAgain())

    def tell_restored(self, topics: tuple[Topic, ...], blind: Mapping[Topic, int], now_ns: int) -> None:
        self._dispatcher.tell(TopicsRestored(self._line, self._epoch, topics, blind, now_ns))

    def give_up_rotation(self, candidate: int, why: str) -> None:
        """Told once. Keys are noted until the answer comes: the candidate may take over meanwhile."""
        if self._given_up != candidate:
            self._given_up = candidate
            self._supervisor.tell(RotationOverdue(self._line, candidate, why))

    def note_call(self) -> None:
        """For the watchdog: a batch of slow calls makes progress with each of them."""
        self._wire.serial += 1

    def end_calls(self, begun: float) -> None:
        """The deadlines of acknowledgements stood still: no answer was read meanwhile."""
        now = self._now()
        if now - begun > STALL:
            self._wire.note_stall(begun)
            self.tell_self(LookAgain())
        if self._counters.reading:
            self._acks.pause(begun)
            self._acks.resume(now)
            if not self._session_paused:
                self._session.paused(begun)
                self._session.resumed(now)

    # ── the events of a loss ──

    def ask_backfill(self, number: int, call: Call[Backfilled], seconds: float) -> Cancel:
        told = partial(self._tell_backfill, number)
        return self._args.ask_venue(self._args.delivery.venue.feed, call, seconds, told)

    def _tell_backfill(self, number: int, outcome: Backfilled | BaseException) -> None:
        """On the thread of an ask."""
        self.tell_self(BackfillAnswered(number, outcome))

    def _backfill_answered(self, message: BackfillAnswered) -> None:
        is_awaited = self._delivery.answer_backfill(message.number, message.outcome)
        if not is_awaited and isinstance(message.outcome, Backfilled):
            text = "%s: the venue answered what was lost when the streams had gone on: %s are not delivered."
            events = counted(len(message.outcome.events), "event")
            log.warning("backfill.late", text, self._line, events, **self._where)
        self._plan_look()

    def venue_failed(self, topic: Topic) -> None:
        text = "%s: unexpected error in Venue.backfill; the gap stays open."
        log.exception("backfill.failed", text, topic, **self._where)

    @property
    def _where(self) -> log_queue.Place:
        return {"line": self._line, "epoch": self._epoch}

    # ── asking the venue ──

    def _send_subscriptions(self, ready: Iterable[Ready]) -> None:
        """These have their routes: the venue is asked for them, asking by asking."""
        for asking, topics in ready:
            if self._outbox.is_open and not self._requests and len(topics) <= self._topics_to_ask():
                self._request(SubscribeRequest(topics, asking))
            else:
                self._requests.subscribe(asking, topics)
        self._ask_venue()

    def _request(self, request: VenueRequest) -> None:
        match request:
            case SubscribeRequest(topics=topics, number=number):
                effects = self._session.subscribe(topics, self._now())
                # Its first frame leaves now: the venue may answer that before the last one has left.
                self._answers.ask(topics)
                self._registry.tell(TopicsSent(self._line, self._epoch, topics, number))
                self._perform(effects)
                self._after_frames(partial(self._await_answer, topics, number))
            case UnsubscribeRequest(topics=topics):
                self._perform(self._session.unsubscribe(topics, self._now()))
            case ResyncRequest(topics=topics):
                self._perform(self._session.resync(topics, self._now()))

    def _await_answer(self, topics: tuple[Topic, ...], asking: int) -> None:
        self._acks.sent(topics, asking, self._now())
        self._plan_look()

    def _check_welcomed(self) -> None:
        """Raises LinewardenError: the session announces itself where no topic would be asked for."""
        if self._session.state in {SessionState.OPENING, SessionState.LOGGING_IN}:
            mistake = "returned Announce() before it called self._move('welcomed')"
            raise LinewardenError(f"{self._session_name} {mistake}")

    @property
    def _session_name(self) -> str:
        """For people who write a venue."""
        return type(self._session).__name__

    # ── sending, within the budget ──

    def _send_for_user(self, message: SendMessage) -> None:
        """It is answered when it has left, and not sent when the caller has given it up before."""
        reply = self.keep_reply() if message.is_answered else LoggedReply(self._line)
        if self._session.state is not SessionState.OPEN:
            reply.set("nothing was sent: it is not connected and logged in")
            return
        try:
            frame = _data_frame(self._written(message.message))
        except Exception as error:  # the program's mistake, or the venue's: it costs no connection
            reply.set(f"nothing was sent: the message cannot be written for this venue: {error}")
            return
        if self._messages_size + len(frame) > self._args.send_buffer:
            reply.set("nothing was sent: too much waits already for the budget of frames")
        else:
            self._messages.append((frame, reply))
            self._messages_size += len(frame)
            self._ask_venue()

    def _written(self, message: str | bytes | Mapping[str, Any] | Sequence[Any]) -> str | bytes:
        return message if isinstance(message, str | bytes) else self._session.written(message)

    def _send_message(self) -> None:
        """The first message of the program; there is room for it."""
        frame, reply = self._messages.pop(0)
        self._messages_size -= len(frame)
        if reply.open:
            self._send_frames((frame,))
            trouble = "the connection was lost while this was sent: the venue may not have it"
            reply.set(trouble if self._is_over else None)

    @property
    def _is_over(self) -> bool:
        """Nothing can be sent any more."""
        return self.actor_stopped.is_set() or self._wire.is_broken

    def _send_control(self, kind: Hashable, frame: bytes, then: Callable[[], None] | None = None) -> None:
        self._outbox.put_control(kind, frame, then)
        self._flush()

    def _send_frames(self, frames: Iterable[bytes]) -> None:
        if self._outbox.is_open:
            self._write(b"".join(frames), at_once=True)
            return
        for frame in frames:
            self._outbox.put(frame)
        self._flush()

    def _after_frames(self, call: Callable[[], None]) -> None:
        """Called when the frames that wait now have left."""
        if not self._outbox.is_open:
            self._outbox.then(call)
            self._flush()
        elif not self._is_over:
            call()

    def _send_due(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None
        self._flush()
        self._ask_venue()

    def _flush(self) -> None:
        """Send what the budget allows; frames that follow one another leave in one write."""
        frames: list[bytes] = []
        if self._wire.is_broken:  # nothing leaves any more, and what is to follow does not
            return
        while (item := self._outbox.take(self._now())) is not None:
            if isinstance(item, bytes):
                frames.append(item)
                continue
            if frames:
                if not self._write(b"".join(frames)):
                    return
                frames.clear()
            if self.actor_stopped.is_set():
                return
            item()
        if frames:
            self._write(b"".join(frames))
        if self._outbox.size > self._args.send_buffer:
            text = f"over {self._args.send_buffer} bytes wait for the budget of frames"
            self._close(1000, Retryable(text, "send_buffer"))
        self._tell_session()
        self._plan_send()

    def _ask_venue(self) -> None:
        """Ask for what waits while there is room: what comes meanwhile may still join it."""
        if self._is_asking:
            return
        self._is_asking = True
        try:
            while (most := self._topics_to_ask()) and self._ask_next(most):
                pass
        finally:
            self._is_asking = False
        self._plan_send()

    def _ask_next(self, most: int) -> bool:
        """Requests and messages of a program take turns: a steady flow of one does not hold the other up."""
        if self._messages and (self._program_next or not self._requests):
            self._program_next = False
            self._send_message()
            return True
        request = self._requests.take(most)
        if request is not None:
            self._program_next = True
            self._request(request)
        return request is not None or bool(self._messages)

    def _topics_to_ask(self) -> int:
        """How many topics the session may be asked for now."""
        if self._session.state is not SessionState.OPEN or self._is_over:
            return 0
        room = self._outbox.room(self._now())
        return min(room, self._batch) if self._session.asks_one_by_one or not room else self._batch

    def _plan_send(self) -> None:
        """A heartbeat may leave before what the timer was set for."""
        asks = (self._requests or self._messages) and self._session.state is SessionState.OPEN
        if self._is_over or (self._outbox.is_empty and not asks):
            return
        seconds = self._outbox.next_in(self._now())
        due = self._now() + seconds
        if self._send_timer is not None and due >= self._send_at - TICK:
            return
        if self._send_timer is not None:
            self._send_timer.cancel()
        self._send_at = due
        self._send_timer = self._timers.send_after(seconds, self, SendDue())

    def _write(self, frames: bytes, *, at_once: bool = False) -> bool:
        """Whether the socket takes it. If not, what was received is read, and then `SocketLost` comes.

        What is not sent `at_once` may wait for a moment while there is more to read.
        """
        taken = self._wire.send(frames, at_once=at_once)
        self._counters.unsent = self._wire.unsent
        return taken

    # ── beats ──

    def _send_ping(self, beat: int) -> None:
        self._look_at_socket()
        if self._counters.kernel_bytes is not None:
            self._metrics.gauge("kernel_bytes", self._counters.kernel_bytes)
        if self._counters.event_at:
            self._metrics.gauge("last_event_age_seconds", self._now() - self._counters.event_at)
        self._send_control(PING, encode(PING, struct.pack("!Q", beat)), partial(self._note_beat, beat))

    def _note_beat(self, beat: int) -> None:
        self._beats = {beat: self._now()}

    def _pong(self, payload: bytes) -> None:
        if payload == LAST_WORD and self._successor is not None:
            self._has_read_all = True
            self._close(1000, Stopped("another connection has taken over", HANDED_OVER))
            return
        beat = int.from_bytes(payload, "big") if len(payload) == 8 else 0
        sent = self._beats.pop(beat, None)
        if sent is not None:
            rtt = self._counters.received_at - sent
            self._metrics.observe("rtt_seconds", rtt)
            self._heartbeat.tell(PongReceived(self._line, self._epoch, beat, rtt))

    def _end_if_silent(self, overdue: EndIfSilent) -> None:
        """Decides once the ping has had its time since it left, and all bytes received have been read."""
        sent = self._beats.get(overdue.beat)
        if sent is None or self._counters.received_at > sent or not self._counters.reading:
            return
        left = sent + overdue.waited - self._now()
        if left > 0:
            self._timers.send_after(left, self, overdue)
            return
        if self._wire.has_unread:
            self.tell_self(overdue)
            return
        text = f"no pong and no data within {overdue.waited:g} s: half-open, or the venue hangs"
        self._close(1000, Retryable(text, "pong_timeout"))

    def _look_at_socket(self) -> None:
        self._wire.note_end()
        self._counters.kernel_bytes = self._wire.kernel_bytes

    # ── reading, or not: a level that is looked at again and again ──

    def _look_again(self) -> None:
        self._look_at_socket()
        if due := self._delivery.look_again(self._now()):
            self._requests.resync(due)
            self._ask_venue()
        self.update_reading()
        for over in self._acks.overdue(self._now()):
            self._registry.tell(AckOverdue(self._line, self._epoch, over.topics, over.number))
        self._tell_complaints(self._now())
        self._log_states(self._now())
        self._log_quarantined()
        self._plan_look()

    def update_reading(self) -> None:
        counters = self._counters
        counters.paused_by_streams = self._delivery.paused_by
        may_read = self._delivery.may_read
        if may_read != counters.reading:
            counters.reading = may_read
            self._wire.watch(may_read)
            now = self._now()
            if may_read:
                self._acks.resume(now)
                self.tell_self(LookAgain())  # where nothing waits, it is at its end
                self._heartbeat.tell(ReadingResumed(self._line, self._epoch))
            else:
                self._acks.pause(now)
                self._heartbeat.tell(ReadingPaused(self._line, self._epoch))
                if self._end_reason is not None:  # a full stream is not awaited
                    self._close(1000, self._end_reason)
            self._tell_session()
        self._plan_look()

    def _tell_session(self) -> None:
        """No answer is due while the line is not read, or frames of the session have not left."""
        is_paused = not self._counters.reading or self._outbox.holds_frames
        if is_paused != self._session_paused:
            self._session_paused = is_paused
            (self._session.paused if is_paused else self._session.resumed)(self._now())

    def _plan_look(self) -> None:
        """Look again when something is due, by the inbox's own timeout and by the runtime's time."""
        seconds = self._delivery.look_in(self._now())
        if self._counters.reading:
            seconds = min(seconds, self._acks.next_in(self._now()))
            if self._counters.read_to_end_at < self._timers.pulse.resumed_at:  # permits wait for that
                seconds = min(seconds, NOTE_AGAIN)
        due_at = (self._complaints.due_at, self._states.due_at)
        told_at = min(*due_at, self._args.quarantine.log_due_at(self._line))
        seconds = min(seconds, max(0.0, told_at - self._now()))
        self._wire.look_again_in(None if self._counters.reading else LOOK_AGAIN)
        due = self._now() + seconds
        if due < self._look_at or self._look_at <= self._now():
            self._look_at = due
            if self._look_timer is not None:
                self._look_timer.cancel()
                self._look_timer = None
            if seconds < math.inf:
                self._look_timer = self._timers.send_after(seconds, self, LookAgain())

    # ── ending ──

    def _end_when_read(self, reason: Reason) -> None:
        """What was received comes first, and a close frame in it counts. A full stream is not awaited."""
        self._end_reason = reason
        if not self._wire.read_to_end(SocketLost(reason), LAST_READS):
            self._close(1000, reason)

    def _close(self, code: int, reason: Reason) -> None:
        if not self.actor_stopped.is_set():
            self._part(code)
        self.exit(without_secrets(reason, self._connector.redactor))

    def _part(self, code: int) -> None:
        """Send a close frame, once, if the socket takes it at once. Its answer is not awaited."""
        if self._socket is not None and not self._parted:
            self._parted = True
            self._wire.send(encode(CLOSE, close_payload(code)), at_once=True)

    def _forget_login_timer(self) -> None:
        if self._login_timer is not None:
            self._login_timer.cancel()

    def _return_delivery(self) -> None:
        """The right to write is given up after the last put; then the state goes back."""
        state = self._delivery.leave()
        if state is not None:
            right = self._args.delivery.right
            report = DeliveryReturned(self._line, self._epoch, right, state, self._has_read_all)
            self._dispatcher.tell(report)

    def cleanup(self) -> None:
        try:
            self._tell_complaints(math.inf)
            self._log_states(math.inf)
            self._return_delivery()
        finally:  # the socket goes in any case: a venue may have one slot an account
            self._release()

    def _release(self) -> None:
        try:
            self._forget_login_timer()
            for timer in (self._look_timer, self._send_timer):
                if timer is not None:
                    timer.cancel()
            for _, reply in self._messages:
                reply.set("nothing was sent: the connection ended while this waited for the budget of frames")
            self._exchanges.end_all()
            self._part(1001)  # after a crash, too: without it a venue may count the connection for minutes
            self._wire.forget()
        finally:
            self._connector.connect_cancel.cancel()
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.close()


def _data_frame(payload: str | bytes) -> bytes:
    return encode(TEXT, payload.encode()) if isinstance(payload, str) else encode(BINARY, payload)
