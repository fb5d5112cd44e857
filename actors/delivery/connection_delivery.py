"""What one connection brings for the streams of its line, from its login to its end.

It is kept until the connection has its routes and its turn, and is delivered after that.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Protocol

from msgspec import Struct

from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.backfills import Asking, Cancel
from actors.delivery.cells import Cells
from actors.delivery.epoch_delivery import EpochDelivery
from actors.delivery.holder import Holder
from actors.delivery.inline import make_calls
from actors.delivery.kept import Kept, KeptEvents, KeptItem, Misread, TailEnd
from actors.delivery.last_events import LastEvents
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.overlap import KnownKeys, Overlap
from actors.delivery.runs import RunBudget, Runs
from actors.delivery.stale_topics import PolicyOf
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route, RouteTable
from actors.events import Topic, VenueState
from actors.protocol.backfill import Backfilled
from actors.protocol.rest import Call
from actors.protocol.session import Confirm, Missed, Reject
from actors.protocol.venue import Venue
from actors.rules.backfill import NEVER, BackfillPolicy
from actors.rules.counters import LineCounters
from actors.rules.latest_price import Prices

EARLY = 100  # words of the venue about itself that are kept before the login is done


class DeliveryArgs(Struct, frozen=True):
    """All that the delivery of one epoch is given."""

    line: str
    epoch: int
    overlap: Overlap | None  # of a candidate: what the connection brings that it may take over from
    venue: Venue
    block_timeout: float  # seconds
    right: Right
    counters: LineCounters
    cells: Cells
    arrivals: Arrivals
    run_budget: RunBudget
    config_policy: PolicyOf  # of freshness, as the config has it now
    backfill: BackfillPolicy = NEVER


class Hands(Protocol):
    """What the connection does for its delivery, on its own thread but for `wake`."""

    def wake(self) -> None:
        """From any thread: something that the delivery waits for may be there."""

    def update_reading(self) -> None:
        """Whether the socket may be read has changed, or a topic waits to start again."""

    def tell_restored(self, topics: tuple[Topic, ...], blind: Mapping[Topic, int], now_ns: int) -> None:
        """The streams were told that these are answered for. `blind`: since when they were not."""

    def give_up_rotation(self, candidate: int, why: str) -> None:
        """The candidate of this epoch is to be dropped."""

    def ask_backfill(self, number: int, call: Call[Backfilled], seconds: float) -> Cancel:
        """The venue, within so many seconds; `answer_backfill` is called then. Returns what ends it."""

    def venue_failed(self, topic: Topic) -> None:
        """The exception that is being handled is a defect of the venue's, about this topic."""

    def note_call(self) -> None:
        """An inline handler has returned."""

    def end_calls(self, begun: float) -> None:
        """All of them have. Nothing was read since `begun`, monotonic seconds."""


class Keeping(Enum):
    """Why what comes for the streams is kept and not delivered yet."""

    NOT = 0
    ROUTES = 1  # the login is done, and the dispatcher has been asked for the routes
    TURN = 2  # another connection delivers still


class ConnectionDelivery:
    """Keeps what comes, in order, until this epoch is the holder; then delivers it. One thread."""

    def __init__(
        self, args: DeliveryArgs, hands: Hands, now: Callable[[], float], wall_ns: Callable[[], int]
    ) -> None:
        self._args, self._hands, self._now, self._wall_ns = args, hands, now, wall_ns
        self._counters = args.counters
        self._block_timeout = args.block_timeout
        self._backfill = args.backfill
        self._keeping = Keeping.NOT
        self._kept = Kept()
        self._early: deque[VenueState] = deque(maxlen=EARLY)  # told before there was a stream to tell
        self._table: RouteTable | None = None
        self._epoch: EpochDelivery | None = None  # while this is the holder
        self._candidate: int | None = None  # epoch of the candidate beside this one
        self._overlap: Overlap | None = None  # where what comes is noted for that candidate
        self._known: KnownKeys | None = None  # what the former connection brought, and this one may too
        self._rejected: set[Topic] = set()  # by the venue, in this epoch

    # ── its place in the line's life ──

    def await_routes(self) -> None:
        """The session has logged in."""
        self._keeping = Keeping.ROUTES
        self._hands.update_reading()

    @property
    def awaits_routes(self) -> bool:
        return self._keeping is Keeping.ROUTES

    def may_open(self, *, inherited: bool) -> bool:
        """Whether the login is over, and the routes and what the former session leaves are there."""
        if self._keeping is not Keeping.ROUTES or self._table is None:
            return False
        return inherited or self._args.overlap is None or self._epoch is not None

    def open(self) -> None:
        """The session is open: what comes is delivered, or kept until this epoch has its turn."""
        self._keeping = Keeping.TURN if self._epoch is None else Keeping.NOT
        self._hand_out_kept()
        if self._epoch is not None:
            self._epoch.end_former_states(self._wall_ns())

    def _hold(self, table: RouteTable, state: DeliveryState, last_events: LastEvents | None) -> EpochDelivery:
        """Become the holder of the line's delivery state."""
        args = self._args
        line = LineDelivery(args.line, args.epoch, args.right, table, state)
        line.rotated = args.overlap is not None and state.up
        state.begin_epoch(args.epoch)
        if last_events is None or not last_events.prices.are_of(args.venue):
            last_events = LastEvents(Prices(args.venue))
        last_events.keep_only(table.routes.keys())
        holder = Holder(
            args.epoch,
            args.venue,
            args.right,
            args.counters,
            last_events,
            state.settled,
            state.venue_states,
            self._now(),
            self._rejected,
        )
        former = args.cells.holder(args.line)
        if line.rotated and former is not None:
            holder.follow(former)
        epoch = self._epoch = EpochDelivery(
            line,
            holder=holder,
            config_policy=args.config_policy,
            arrivals=args.arrivals,
            runs=Runs(args.venue, args.right, args.run_budget),
            block_timeout=self._block_timeout,
            wake=self._hands.wake,
            asking=Asking(self, self._backfill, self._now, self._wall_ns),
        )
        epoch.backfills.note_last(state.blind)
        self._known = None if args.overlap is None else args.overlap.take()
        args.cells.publish(args.line, holder)
        epoch.tell_states(self._wall_ns())
        while self._early:
            epoch.tell_state(self._early.popleft())
        return epoch

    def take_turn(self, state: DeliveryState, last_events: LastEvents | None, *, late: bool) -> None:
        """The former connection delivers no more. `late`: it left something unread."""
        if self._epoch is not None or self._table is None:
            return
        unanswered = (state.settled & self._table.routes.keys()) - self._kept.answered
        epoch = self._hold(self._table, state, last_events)
        epoch.interrupt(unanswered, self._wall_ns())
        epoch.note_rejected(self._rejected)
        if late:
            self._mark(Missed(tuple(epoch.settled), "unknown"))
        if answered := self._kept.answered - epoch.settled:  # what is kept of these lies behind their gap
            self._mark(Confirm(tuple(answered)))
        if self._keeping is Keeping.TURN:
            self.open()
        self._make_calls()  # of handlers that came when the former connection was gone

    def leave(self) -> DeliveryState | None:
        """The epoch ends: it puts nothing more. The state, if this was the holder."""
        try:
            if self._epoch is not None:
                self._epoch.backfills.close("the connection ended before the venue answered")
                self._epoch.end_tails(None, self._wall_ns())
            self._make_calls()  # where a defect came between: other streams have these events, too
        finally:
            self._args.arrivals.give_up(self._args.right)
        if self._epoch is None:
            self._counters.unrouted += self._kept.count  # no stream was to have it; a holder's is lost
            return None
        self._epoch.leave()
        return self._epoch.state

    # ── what the venue sends ──

    def bring_events(
        self, topics: list[Topic], events: list[Any], received_ns: int, at: float, size: int
    ) -> None:
        """One batch: its events, and their topics in step.

        `at`: monotonic seconds of its receipt; `size`: bytes of the read that it came with.
        """
        if self._keeping is Keeping.NOT and not self._kept:
            self._hand_out(topics, events, received_ns, at, size)
        else:
            self._keep(KeptEvents(topics, events, received_ns, at, size))

    def bring_answers(self, answers: Mapping[Topic, Confirm | Reject]) -> None:
        """What the venue answered to subscriptions, the last answer to each."""
        routes = self.routes
        rejected = [topic for topic, answer in answers.items() if type(answer) is Reject and topic in routes]
        self._rejected.difference_update(answers)
        self._rejected.update(rejected)
        if self._epoch is not None:
            self._epoch.note_rejected(rejected)
        self.bring(Confirm(tuple(answers)))

    def bring_assumed(self, topics: tuple[Topic, ...]) -> None:
        """The venue answers no such subscription, and has had its time."""
        self.bring(Confirm(topics))
        self.end_tails(topics)

    def end_tails(self, topics: tuple[Topic, ...]) -> None:
        """The answer for these stood here; `bring_answers` has told it ahead."""
        if self._epoch is not None and self._epoch.awaits_tails:
            self.bring(TailEnd(topics))

    def bring(self, item: Confirm | Missed | Misread | TailEnd) -> None:
        """What the venue answered, what it left out, and what could not be read."""
        if self._keeping is Keeping.NOT and not self._kept:
            self._mark(item)
        else:
            self._keep(item)

    def bring_state(self, told: VenueState) -> bool:
        """What the venue says of itself. Returns whether it is news, as far as is known yet."""
        is_kept = self._keeping is not Keeping.NOT or bool(self._kept)
        if not is_kept and self._epoch is not None:
            is_news = self._epoch.tell_state(told)
            self._make_calls()
            return is_news
        if is_kept:
            self._keep(told)
        else:  # before the login
            self._early.append(told)
        return told.state != "open"

    def mark_lost(self) -> None:
        """What the venue has just lost, and was not asked for again yet, has its gap here."""
        if self._epoch is not None:
            self._epoch.mark_lost(self._wall_ns())
            self._args.cells.note_gaps(self._args.line, self._args.right, *self._epoch.gaps)
            self._make_calls()

    def judge_stale(self, topics: tuple[Topic, ...]) -> None:
        """The heartbeat takes these for stale: judged again now, they are marked."""
        if self._epoch is not None:
            self._epoch.judge_stale(topics, self._now(), self._wall_ns())
            self._make_calls()

    def _keep(self, item: KeptItem) -> None:
        """A candidate is given up if it brings too much before all its topics are answered for."""
        self._kept.add(item)
        if self._kept.is_full and self._keeping is Keeping.TURN:
            if not self._is_settled():
                text = f"it received more than {self._kept.bound} before it was ready"
                self._hands.give_up_rotation(self._args.epoch, text)
            self._hands.update_reading()

    def _is_settled(self) -> bool:
        return self._kept.answered >= self.routes.keys()

    def _hand_out_kept(self) -> None:
        """Piece by piece, for as long as no stream asks for a pause."""
        epoch = self._epoch
        while self._kept and epoch is not None and not epoch.paused_by:
            item, left_out = self._kept.take()
            self._counters.unrouted += left_out
            if not isinstance(item, KeptEvents):
                self._mark(item)
            elif item.events:
                self._hand_out(item.topics, item.events, item.received_ns, item.at, item.size)
        self._hands.update_reading()

    def _hand_out(
        self, topics: list[Topic], events: list[Any], received_ns: int, at: float, size: int
    ) -> None:
        epoch, counters = self._epoch, self._counters
        if epoch is None:  # before the login: no subscription can have asked for it
            counters.unrouted += len(events)
            return
        if self._known is not None:
            topics, events = self._without_known(topics, events, self._known)
            if not events:
                return
        if self._overlap is not None:
            self._note(topics, events, self._overlap)
        if not epoch.backfills.is_idle:
            topics, events = epoch.backfills.hold(topics, events, received_ns, at, size)
            if not events:
                self._follow_up(epoch)
                return
        routed = epoch.hand_out(topics, events, received_ns, at, size)
        counters.routed += routed
        counters.unrouted += len(events) - routed
        if epoch.wants_attention:
            self._hands.update_reading()
        if self._args.right.calls:  # as a rule there are none
            self._make_calls()

    def _follow_up(self, epoch: EpochDelivery) -> None:
        """Where some topic was filled, or given up, what came of it is seen."""
        self._args.cells.note_repairs(self._args.line, self._args.right, epoch.state.repairs)
        if epoch.wants_attention:
            self._hands.update_reading()
        self._make_calls()

    def _make_calls(self) -> None:
        """Of inline handlers, once the buffers are filled and what came of it is counted and reported."""
        if self._args.right.calls:
            begun = self._counters.calls_since = self._now()
            try:
                make_calls(self._args.right, self._hands.note_call)
            finally:
                self._counters.calls_since = 0.0
            self._hands.end_calls(begun)

    def _mark(self, item: Confirm | Missed | VenueState | Misread | TailEnd) -> None:
        epoch, now_ns = self._epoch, self._wall_ns()
        if epoch is None:
            return
        match item:
            case VenueState():
                epoch.tell_state(item)
                epoch.mark_lost(now_ns)
            case Missed(topics=topics, reason=reason, missed=missed):
                epoch.missed(topics, reason, missed, now_ns)
            case TailEnd(topics=topics):
                epoch.end_tails(topics, now_ns)
            case Misread():
                epoch.misread()
                return
            case Confirm(topics=topics):
                self._hands.tell_restored(topics, epoch.settle(topics, self._now(), now_ns), now_ns)
        self._args.cells.note_gaps(self._args.line, self._args.right, *epoch.gaps)
        self._args.cells.note_repairs(self._args.line, self._args.right, epoch.state.repairs)
        self._make_calls()

    # ── the events of a loss ──

    def wake(self) -> None:
        self._hands.wake()

    def ask_backfill(self, number: int, call: Call[Backfilled], seconds: float) -> Cancel:
        return self._hands.ask_backfill(number, call, seconds)

    def venue_failed(self, topic: Topic) -> None:
        self._hands.venue_failed(topic)

    def note_filled(self, topics: list[Topic], events: list[Any]) -> None:
        """Another connection may bring these, too."""
        if self._overlap is not None:
            self._note(topics, events, self._overlap)

    def answer_backfill(self, number: int, outcome: Backfilled | BaseException) -> bool:
        """What came of a question. Returns whether it was waited for."""
        epoch = self._epoch
        is_awaited = epoch is not None and epoch.backfills.answered(number, outcome)
        if epoch is not None:
            self._follow_up(epoch)
        return is_awaited

    def take_backfill(self, policy: BackfillPolicy) -> None:
        """Which channels are back-filled from now on."""
        self._backfill = policy
        if self._epoch is not None:
            self._epoch.backfills.take_policy(policy)

    # ── what two connections of the line both bring ──

    def begin_rotation(self, candidate: int, overlap: Overlap) -> None:
        """Note the keys of what comes from now on, for the candidate of this epoch."""
        self._candidate, self._overlap = candidate, overlap

    def end_rotation(self) -> None:
        self._candidate = self._overlap = None

    def _note(self, topics: list[Topic], events: list[Any], overlap: Overlap) -> None:
        overlap.add(topics, events)
        if overlap.is_full and self._candidate is not None:
            text = "the present connection received more events than can be compared"
            self._hands.give_up_rotation(self._candidate, text)

    def _without_known(
        self, topics: list[Topic], events: list[Any], known: KnownKeys
    ) -> tuple[list[Topic], list[Any]]:
        new_topics, new_events = known.without(topics, events)
        self._counters.duplicates += len(events) - len(new_events)
        if known.is_over:
            self._known = None
        return new_topics, new_events

    # ── routes ──

    @property
    def routes(self) -> Mapping[Topic, Route]:
        return {} if self._table is None else self._table.routes

    def take_routes(
        self, table: RouteTable, state: DeliveryState | None, last_events: LastEvents | None
    ) -> None:
        """The whole table, for the first time; with the state, unless another connection delivers still."""
        self._table = table
        if state is not None:
            self._hold(table, state, last_events)

    def differences(self, routes: Mapping[Topic, Route]) -> dict[Topic, Route | None]:
        """What is to change so that these are the routes; None: the topic lies on this line no longer."""
        mine = self.routes
        changes: dict[Topic, Route | None] = {topic: None for topic in mine if topic not in routes}
        return changes | {topic: route for topic, route in routes.items() if mine.get(topic) != route}

    def has_placement(self, topic: Topic, route: Route | None) -> bool:
        """Whether this route is of the placement that is known here."""
        known = self.routes.get(topic)
        return known is not None and route is not None and known.number == route.number

    def set_route(self, topic: Topic, route: Route | None) -> None:
        """None: the topic lies on this line no longer."""
        if not self.has_placement(topic, route):
            self._kept.forget(topic)
            self._rejected.discard(topic)
        if self._epoch is None:
            self._set_ahead(topic, route)
        elif route is None:
            self._epoch.remove_route(topic, self._wall_ns())
            self._args.cells.note_gaps(self._args.line, self._args.right, *self._epoch.gaps)
        else:
            self._epoch.set_route(topic, route, self._now(), self._wall_ns())
        self._make_calls()

    def _set_ahead(self, topic: Topic, route: Route | None) -> None:
        """Another connection delivers still, so the table alone changes."""
        table = self._table
        assert table is not None
        if route is None:
            table.remove(topic)
        else:
            table.set(topic, route)

    # ── reading, or not ──

    @property
    def may_read(self) -> bool:
        match self._keeping:
            case Keeping.ROUTES:
                return False
            case Keeping.TURN:
                return not self._kept.is_full
            case Keeping.NOT:
                return not self._kept and not self.paused_by

    @property
    def paused_by(self) -> tuple[int, ...]:
        """The streams that ask the line to pause."""
        return () if self._epoch is None else self._epoch.paused_by

    @property
    def wants_attention(self) -> bool:
        return self._epoch is not None and self._epoch.wants_attention

    def take_block_timeout(self, seconds: float) -> None:
        """How long a full stream may make the line pause, from now on."""
        self._block_timeout = seconds
        if self._epoch is not None:
            self._epoch.block_timeout = seconds

    def look_again(self, now: float) -> tuple[Topic, ...]:
        """Check which streams still ask for a pause. Returns the topics that the venue is to resend whole."""
        if self._epoch is None:
            return ()
        self._epoch.look_again(now)
        if not self._epoch.backfills.is_idle:
            self._epoch.backfills.look(now)
            self._follow_up(self._epoch)
        if self._kept:
            self._hand_out_kept()
        return self._epoch.resyncs.take(now)

    def look_in(self, now: float) -> float:
        """Seconds until it is to look again; infinity: when it is woken."""
        epoch = self._epoch
        return math.inf if epoch is None else min(epoch.look_in(now), epoch.backfills.look_in(now))
