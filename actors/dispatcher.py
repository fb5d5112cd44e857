"""From a decoded event to the streams that asked for its topic.

It never waits: a full stream that may not drop makes its line pause instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from operator import itemgetter
from typing import Any

from msgspec import Struct, structs

from actors.actor import Actor, Address, DeadLetters, Inbox
from actors.events import Marker, Topic
from actors.messages import (
    Attach,
    BlockOverdue,
    CandidateDropped,
    Detach,
    EventsReceived,
    KeeperStarted,
    LineChanged,
    LineCutOver,
    LineStarted,
    PauseReading,
    ResumeReading,
    ResyncTopics,
    RotationOverdue,
    StreamDrained,
    TopicsLifted,
    TopicsMissed,
    TopicsPlaced,
    TopicsSettled,
)
from actors.rules.latest import Newest
from actors.rules.mailbox import Origin, Pair
from actors.rules.routes import Flow, LineBook, Routes
from actors.rules.venue import Venue
from actors.stream import Inlet
from actors.wire.timers import Timers

HELD = 500_000  # events of a candidate, beyond which it is given up
WINDOW = 20_000  # events on their way to the dispatcher, beyond which a connection stops reading
FLOW = 0  # on whose behalf reading pauses when it is not a stream

Shares = Collection[tuple[Inlet, list[Pair]]]
topic_of = itemgetter(0)

Hears = (
    EventsReceived
    | TopicsSettled
    | TopicsMissed
    | StreamDrained
    | Attach
    | Detach
    | TopicsPlaced
    | TopicsLifted
    | LineStarted
    | LineChanged
    | LineCutOver
    | CandidateDropped
    | BlockOverdue
    | KeeperStarted
)


class Hold(Struct, frozen=True):
    """A line that a full stream makes wait: which timer ends it, and in which of its lives."""

    turn: int
    epoch: int


class Dispatcher(Actor):
    """Routes, and the overflow policy of streams. What it keeps is lent to it: `routes`, `seen`, ..."""

    def __init__(
        self,
        id: str,
        incarnation: int,
        inbox: Inbox,
        parent: Address,
        dead_letters: DeadLetters,
        *,
        address: Address,
        routes: Routes,
        seen: dict[Any, float],
        dated: dict[Any, tuple[object, int]],
        is_dated: Callable[[str], frozenset[Topic]],
        newest: Newest,
        registry: Address,
        connection: Callable[[str], Address],
        block_limit: Callable[[str], float],
        venue: Callable[[str], Venue],
        timers: Timers,
    ) -> None:
        super().__init__(id, incarnation, inbox, parent, dead_letters)
        self._address = address
        self._routes = routes
        self._seen = seen  # topic: monotonic seconds of its last event
        self._dated = dated  # topic: its newest event and its receipt, where the venue's time counts
        self._is_dated = is_dated  # the topics for which it does, of a line's feed
        self._newest = newest  # for whoever asks for a price
        self._supervisor = self.voice(parent)
        self._registry = self.voice(registry)
        self._connections = connection
        self._block_limit = block_limit  # of a line, seconds
        self._venue = venue  # of a line
        self._timers = timers
        self._holding: dict[tuple[int, str], Hold] = {}  # a stream and a line that it holds
        self._turn = incarnation << 32  # a former keeper's timers are still about, with turns of its own

    def on_receive(self, message: Hears) -> None:
        match message:
            case EventsReceived():
                self._route(message)
            case TopicsSettled() | TopicsMissed():
                self._hear_of_topics(message)
            case StreamDrained(stream=stream):
                self._drained(stream)
            case Attach(stream=stream, topics=topics):
                self._resync(self._routes.attach(stream, topics))
            case Detach(stream=stream_id, topics=topics):
                self._tell(self._routes.detach(stream_id, topics, self._now_ns()))
                if stream_id not in self._routes.inlets:
                    self._let_go(stream_id)
            case TopicsPlaced(line=line, topics=topics):
                self._routes.place(line, topics)
            case TopicsLifted(line=line, topics=topics):
                self._routes.lift(line, topics)
                for topic in topics:
                    self._seen.pop(topic, None)
                    self._dated.pop(topic, None)
                    self._newest.forget(topic)
            case LineStarted(line=line, epoch=epoch, flow=flow):
                book = self._routes.line(line)
                (book.begin_candidate if message.candidate else book.begin)(epoch, flow)
                self._newest.serve(self._venue(line))
            case LineChanged():
                self._line_changed(message)
            case LineCutOver(line=line, epoch=epoch, late=late):
                self._cut_over(line, epoch, late=late)
            case CandidateDropped(line=line, epoch=epoch):
                if self._routes.line(line).candidate == epoch:
                    self._routes.line(line).drop_candidate()
            case BlockOverdue(stream=stream_id, turn=turn):
                self._block_overdue(stream_id, turn)
            case KeeperStarted():
                self._take_over()
            case _:
                self.unknown(message)

    # ── events ──

    def _route(self, batch: EventsReceived) -> None:
        routes = self._routes
        book = routes.lines.get(batch.line)
        flow = book.flows.get(batch.epoch) if book is not None else None
        if book is None or flow is None:
            routes.line(batch.line).unrouted += len(batch.pairs)
            return
        if book.candidate == batch.epoch:
            self._keep(batch, book, flow)
            return
        routes.in_hand = batch
        if book.known:
            batch = self._without_known(book, batch, flow)
        if book.candidate is not None:
            self._remember(book, batch)
        self._hand_out(batch, book, flow)

    def _keep(self, batch: EventsReceived, book: LineBook, flow: Flow) -> None:
        """A candidate's: it is read on, for behind its events come the answers that it waits for."""
        book.held.append(batch)
        book.holding += len(batch.pairs)
        flow.done += len(batch.pairs)
        self._give_back(batch, flow)
        if book.holding > HELD:
            why = f"it brought more than {HELD:,} events before it was ready"
            self._supervisor.tell(RotationOverdue(batch.line, batch.epoch, why))

    def _hand_out(self, batch: EventsReceived, book: LineBook, flow: Flow) -> None:
        routes, pairs = self._routes, batch.pairs
        topics = set(map(topic_of, pairs))
        self._note(batch, topics)
        shares, routed = self._shares(pairs, topics)
        origin = Origin(batch.received_ns, batch.epoch, next(routes.arrivals))
        for inlet, share in shares:
            holds = inlet.put(share, origin)
            routes.served.add(inlet.id)
            if holds and (inlet.id, batch.line) not in self._holding:
                self._hold(inlet.id, batch.line, batch.epoch)
        book.routed += routed
        book.unrouted += len(pairs) - routed
        self._put_down(batch, flow)

    def _note(self, batch: EventsReceived, topics: set[Topic]) -> None:
        """When topics were heard last, what bears the venue's time, and the newest prices."""
        clock = self._timers.clock
        now = clock.monotonic()
        self._seen.update(dict.fromkeys(topics, now))
        if dated := topics & self._is_dated(batch.line):
            newest = dict(batch.pairs)  # of each topic its last event
            self._dated.update((topic, (newest[topic], batch.received_ns)) for topic in dated)
        age = max(0.0, (clock.wall_ns() - batch.received_ns) / 1e9)
        self._newest.keep(batch.pairs, topics, now - age)

    def _shares(self, pairs: list[Pair], topics: set[Topic]) -> tuple[Shares, int]:
        """What each stream gets of these pairs, and how many of them go anywhere.

        Mostly all go to the same streams: those get the list as it is.
        """
        by_topic = self._routes.by_topic
        inlets = by_topic.get(pairs[0][0], []) if pairs else []
        if all(by_topic.get(topic, []) == inlets for topic in topics):
            return [(inlet, pairs) for inlet in inlets], len(pairs) if inlets else 0
        shares: dict[Inlet, list[Pair]] = {}
        parts = {  # by topic: the shares that its events go to
            topic: [shares.setdefault(inlet, []) for inlet in by_topic.get(topic, ())] for topic in topics
        }
        routed = 0
        for pair in pairs:
            for share in (part := parts[pair[0]]):
                share.append(pair)
            routed += bool(part)
        return shares.items(), routed

    def _put_down(self, batch: EventsReceived, flow: Flow) -> None:
        self._routes.in_hand = None
        self._routes.served.clear()
        flow.done += len(batch.pairs)
        self._give_back(batch, flow)

    def _give_back(self, batch: EventsReceived, flow: Flow) -> None:
        if flow.waiting:
            flow.waiting = False
            self._connection(batch.line).tell(ResumeReading(FLOW), batch.epoch)

    def _take_over(self) -> None:
        """What a former keeper had in hand when it died is lost: counted, and marked in its place."""
        routes = self._routes
        for inlet in routes.inlets.values():
            self._take_over_hold(inlet)
        batch = routes.in_hand
        if batch is None:
            return
        book = routes.line(batch.line)
        if book.held and book.held[0] is batch:
            book.held.popleft()
        book.lost += len(batch.pairs)
        now_ns = self._now_ns()
        lost = Counter(topic for topic, _ in batch.pairs)
        for topic, count in lost.items():
            for inlet in routes.by_topic.get(topic, ()):
                if inlet.id not in routes.served:
                    inlet.lose(topic, "dispatcher", count, batch.received_ns, now_ns, batch.epoch)
        self._resync([topic for topic in lost if self._has_deltas(topic)])
        self._put_down(batch, book.flows.get(batch.epoch) or Flow())

    def _take_over_hold(self, inlet: Inlet) -> None:
        """Lines may wait for a stream on a former keeper's word; the stream may have said: room again."""
        routes = self._routes
        if inlet.holds:
            for line in routes.lines_of(inlet.id):
                book = routes.line(line)
                for epoch in book.flows:
                    if epoch != book.candidate:  # what that brings comes to no stream yet
                        self._hold(inlet.id, line, epoch)
        elif inlet.stream.queued < inlet.stream.capacity:
            if inlet.stream.policy == "block":
                for line in routes.lines_of(inlet.id):
                    for epoch in routes.line(line).flows:
                        self._connection(line).tell(ResumeReading(inlet.id), epoch)
            self._drained(inlet.id)

    def _has_deltas(self, topic: Any) -> bool:
        return any(inlet.stream.deltas for inlet in self._routes.by_topic.get(topic, ()))

    # ── a connection that takes over from another ──

    def _hear_of_topics(self, report: TopicsSettled | TopicsMissed) -> None:
        book = self._routes.line(report.line)
        if report.epoch not in book.flows:
            return
        if report.epoch == book.candidate:
            book.held.append(report)
        elif isinstance(report, TopicsSettled):
            self._tell(self._routes.settle(report.line, report.epoch, report.topics, self._now_ns()))
        else:
            told = self._routes.missed(
                report.topics, report.reason, report.missed, self._now_ns(), report.epoch
            )
            self._tell(told)

    def _remember(self, book: LineBook, batch: EventsReceived) -> None:
        """What the present connection brings while another is about to take over from it."""
        key_of = self._venue(batch.line).duplicate_key
        for topic, event in batch.pairs:
            key = key_of(topic, event)
            if key is not None:
                book.overlap.setdefault(topic, set()).add(key)

    def _cut_over(self, line: str, epoch: int, *, late: bool = False) -> None:
        """What the candidate brought so far is handed out, and then what it brings."""
        book = self._routes.line(line)
        if epoch not in book.flows:
            return
        if book.candidate == epoch:
            self._routes.cut_over(line, self._now_ns())
            self._forget_holds(line)
            if late:  # nobody knows what the former one has left unread
                self._tell(self._routes.missed(book.settled, "unknown", None, self._now_ns(), epoch))
        while book.held:  # one by one: a keeper that dies of one leaves the others to the next
            held = book.held[0]
            if isinstance(held, EventsReceived):
                book.flows[epoch].done -= len(held.pairs)  # was given back when it was kept
                self._route(held)
            else:
                self._hear_of_topics(held)
            book.held.popleft()
        book.holding = 0

    def _without_known(self, book: LineBook, batch: EventsReceived, flow: Flow) -> EventsReceived:
        """But for what the former connection brought: a topic's first event beyond that ends it."""
        key_of = self._venue(batch.line).duplicate_key
        pairs = []
        for topic, event in batch.pairs:
            known = book.known.get(topic)
            if known is not None:
                if key_of(topic, event) in known:
                    continue
                del book.known[topic]
            pairs.append((topic, event))
        dropped = len(batch.pairs) - len(pairs)
        book.duplicates += dropped
        flow.done += dropped
        return structs.replace(batch, pairs=pairs)

    # ── full streams ──

    def _hold(self, stream: int, line: str, epoch: int) -> None:
        """A full stream that may not drop makes its line wait, for `block_limit` at most."""
        self._turn += 1
        self._holding[stream, line] = Hold(self._turn, epoch)
        self._connection(line).tell(PauseReading(stream), epoch)
        self._timers.send_after(self._block_limit(line), self._address, BlockOverdue(stream, self._turn))

    def _block_overdue(self, stream: int, turn: int) -> None:
        if turn not in (held.turn for (holder, _), held in self._holding.items() if holder == stream):
            return
        if (inlet := self._routes.inlets.get(stream)) is not None:
            inlet.overflow()
        self._let_go(stream)

    def _drained(self, stream: int) -> None:
        self._let_go(stream)
        inlet = self._routes.inlets.get(stream)
        if inlet is not None:
            inlet.drained()
            self._resync(inlet.cut())

    def _let_go(self, stream: int) -> None:
        for holder, line in [key for key in self._holding if key[0] == stream]:
            held = self._holding.pop((holder, line))
            self._connection(line).tell(ResumeReading(stream), held.epoch)

    def _resync(self, topics: Iterable[Any]) -> None:
        topics = tuple(topics)
        if topics:
            self._registry.tell(ResyncTopics(topics))

    # ── lines ──

    def _line_changed(self, report: LineChanged) -> None:
        if self._routes.line(report.line).candidate == report.epoch:  # it took over, and that is on its way
            self._cut_over(report.line, report.epoch)
        if report.state != "connected":
            # The next connection starts reading; whoever is still full will say so again.
            self._forget_holds(report.line)
        self._tell(self._routes.changed(report))

    def _forget_holds(self, line: str) -> None:
        for key in [key for key in self._holding if key[1] == line]:
            del self._holding[key]

    def _tell(self, told: Iterable[tuple[Inlet, Marker]]) -> None:
        for inlet, marker in list(told):
            inlet.mark(marker)

    def _now_ns(self) -> int:
        return self._timers.clock.wall_ns()

    def _connection(self, line: str) -> Address:
        return self.voice(self._connections(line))
