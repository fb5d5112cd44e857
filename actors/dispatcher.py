"""Which stream wants which topic: it tells the connections, and delivers for a line that has none.

No event passes through it. It gives the routes of a line to each connection that has logged in, and the
delivery state to the one that may deliver; it takes the state back when that connection ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable
from typing import Any

from actors.actor import Actor, ActorContext, KeptReply, Lease
from actors.delivery.cells import Cells
from actors.delivery.inlet import Inlet
from actors.delivery.last_events import LastEvents
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.routing import LineRoutes, Routing
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route
from actors.errors import LinewardenError, StreamClosed
from actors.events import Topic
from actors.messages import (
    CandidateDropped,
    ChangeRoute,
    DeliveryReturned,
    FormerEnded,
    LeaveTopics,
    LineChanged,
    LineStarted,
    OpenStream,
    PoliciesChanged,
    RoleStarted,
    RoutesWanted,
    Subscribe,
    TakeRoutes,
    TakeTurn,
    TopicsLifted,
    TopicsPlaced,
    TopicsRestored,
    TurnGranted,
    Unsubscribe,
    WantsPlaced,
)
from actors.rules.journal import BlindTime

CRASHES = 2  # of a line in a row, after which its delivery state is trusted no longer


class Dispatcher(Actor):
    """Routes, and the lifecycle events of lines that are down. Its state is lent to it: `routing`."""

    def __init__(
        self,
        context: ActorContext[Lease],
        *,
        routing: Routing,
        cells: Cells,
        closes_streams: Callable[[str], bool],
    ) -> None:
        """`closes_streams`: whether this line has failed, and its feed wants no stream to wait for that."""
        super().__init__(context)
        self._closes_streams = closes_streams
        self._lease = context.inbox
        self._routing = routing
        self._right = routing.right
        self._cells = cells
        self._registry, self._heartbeat = self.address("registry"), self.address("heartbeat")
        self._versions = itertools.count(1)
        self._askings = itertools.count((self.incarnation << 32) + 1)
        self._asked: dict[int, tuple[OpenStream, KeptReply]] = {}  # by asking: the registry has not answered

    def on_receive(self, message: Any) -> None:
        match message:
            case OpenStream():
                self._open(message)
            case LeaveTopics(stream=stream, topics=topics):
                self._leave(stream, topics)
            case TopicsPlaced(line=line, numbers=numbers, streams=streams):
                with self._lease:
                    for topic, number in numbers.items():
                        self._place(line, topic, number, streams[topic])
                self._show_policies(line, numbers)
            case TopicsLifted(line=line, topics=topics):
                with self._lease:
                    for topic in topics:
                        self._lift(line, topic)
                self._show_policies(line, topics)
            case WantsPlaced():
                self._wants_placed(message)
            case TopicsRestored():
                self._restored(message)
            case LineStarted():
                self._line_started(message)
            case RoutesWanted(line=line, epoch=epoch):
                self._send_routes(line, epoch)
            case DeliveryReturned():
                self._returned(message)
            case LineChanged():
                self._line_changed(message)
            case TurnGranted(line=line, epoch=epoch):
                self._grant_turn(line, epoch)
            case FormerEnded(line=line, epoch=epoch):
                self._former_ended(line, epoch)
            case CandidateDropped(line=line, epoch=epoch):
                self._candidate_dropped(line, epoch)
            case RoleStarted():
                self._take_over()
            case _:
                self.unknown(message)

    # ── wants ──

    def _open(self, message: OpenStream) -> None:
        """The registry places the topics, and their routes follow; then the asker gets its answer.

        Not before: where the last stream has just left a topic, its present placement is about to end.
        A stream that was closed meanwhile may have been left before this: it wants nothing any more.
        """
        if (end := message.inlet.end) is not None:
            self.keep_reply().fail(StreamClosed(end.reason, message.inlet))
            return
        with self._lease:
            self._routing.want(message.inlet, message.topics)
        asking = next(self._askings)
        self._asked[asking] = message, self.keep_reply()
        self._registry.tell(Subscribe(message.inlet.id, message.topics, asking))

    def _wants_placed(self, message: WantsPlaced) -> None:
        asked = self._asked.pop(message.asking, None)
        if asked is None:
            return
        (opened, reply) = asked
        if message.gone:
            self._leave(opened.inlet.id, message.gone)
            feed = message.gone[0].feed
            reply.fail(LinewardenError(f"feed {feed!r} is no longer in the config"))
        else:
            if self._have_failed(opened.topics):
                self._close_if_failed(opened.inlet)
            reply.set(None)

    def _leave(self, stream: int, topics: tuple[Topic, ...] | None) -> None:
        with self._lease:
            gone = self._routing.wanted(stream, topics)
            for topic in gone:
                self._routing.leave(stream, topic)
                if (name := self._routing.line_of.get(topic)) is not None:
                    self._set_route(name, topic, self._routing.parted(name, topic, stream))
            if gone:
                self._registry.tell(Unsubscribe(stream, tuple(gone)))
            self._routing.forget(stream, gone)
        lines: dict[str, list[Topic]] = {}
        for topic in gone:
            if (name := self._routing.line_of.get(topic)) is not None:
                lines.setdefault(name, []).append(topic)
        for name, mine in lines.items():
            self._show_policies(name, mine)

    def _show_policies(self, line: str, topics: Iterable[Topic]) -> None:
        """Any thread sees by which freshness policies the streams of these topics want them judged."""
        changed: list[Topic] = []
        for topic in topics:
            policies, cell = self._routing.policies(topic), self._cells.get(topic)
            if cell is not None and cell.policies != policies:
                cell.policies = policies
                changed.append(topic)
        if changed:
            self._heartbeat.tell(PoliciesChanged(line, tuple(changed)))

    # ── routes ──

    def _place(self, name: str, topic: Topic, number: int, streams: Collection[int]) -> None:
        """These streams come into its route, beside those that follow this placement already."""
        former = self._routing.line_of.get(topic)
        if former is not None and former != name:
            self._lift(former, topic)
        self._routing.line_of[topic] = name
        self._set_route(name, topic, self._routing.joined(name, topic, number, streams))

    def _set_route(self, name: str, topic: Topic, route: Route) -> None:
        line = self._routing.line(name)
        if line.table.routes.get(topic) == route:
            return
        come, gone = line.table.set(topic, route)
        if line.holder is None:
            delivery, now_ns = self._line_delivery(name, line), self._now_ns()
            delivery.attached(topic, come, now_ns)
            delivery.detached(topic, gone, now_ns)
            for inlet in gone:
                inlet.forget(topic)
        self._tell_change(name, line, topic, route)

    def _lift(self, name: str, topic: Topic) -> None:
        line = self._routing.line(name)
        if topic not in line.table.routes:
            return
        delivery, now_ns = self._line_delivery(name, line), self._now_ns()
        if line.holder is None:
            delivery.mark_lifted(topic, now_ns)
        gone = line.table.remove(topic)
        if self._routing.line_of.get(topic) == name:
            del self._routing.line_of[topic]
        if line.holder is None:
            delivery.detached(topic, gone, now_ns)
            delivery.lifted(topic)
        self._tell_change(name, line, topic, None)

    def _tell_change(self, name: str, line: LineRoutes, topic: Topic, route: Route | None) -> None:
        for epoch in line.routed:
            change = ChangeRoute(self.incarnation, next(self._versions), topic, route)
            self.connection(name).tell(change, epoch)

    def _send_routes(self, name: str, epoch: int) -> None:
        """It has logged in. The present connection becomes the holder, a candidate waits for its turn."""
        with self._lease:
            line = self._routing.line(name)
            if epoch not in (line.epoch, line.candidate):
                return
            becomes_holder = epoch == line.epoch and line.holder is None
            state = line.state.copy() if becomes_holder else None
            last_events = self._cells.take_over(name, copy=line.was_given_up) if becomes_holder else None
            # Told first, and then noted: a keeper that dies between the two is followed by one that tells
            # it again, and the connection takes it once.
            self._tell_routes(name, line, epoch, state, last_events)
            line.routed.add(epoch)
            if becomes_holder:
                line.holder, line.failed = epoch, ""

    def _tell_routes(
        self, name: str, line: LineRoutes, epoch: int, state: DeliveryState | None, last: LastEvents | None
    ) -> None:
        routes = TakeRoutes(self.incarnation, next(self._versions), line.table.copy(), state, last)
        self.connection(name).tell(routes, epoch)

    # ── lines ──

    def _line_started(self, message: LineStarted) -> None:
        with self._lease:
            line = self._routing.line(message.line)
            if message.candidate:
                line.candidate = message.epoch
                return
            self._take_back(message.line, line)
            line.epoch, line.candidate, line.turn = message.epoch, None, None
            line.routed.clear()

    def _line_changed(self, report: LineChanged) -> None:
        """The line is down: its streams are told, unless another connection has taken it over meanwhile."""
        with self._lease:
            line = self._routing.line(report.line)
            if report.epoch != line.epoch:
                return
            if line.holder == report.epoch:
                self._take_back(report.line, line)
            if report.state == "disconnected":
                line.routed.discard(report.epoch)
                line.crashes = line.crashes + 1 if report.crashed else 0
                if line.crashes >= CRASHES:
                    line.state = self._distrusted(line)
            delivery = self._line_delivery(report.line, line)
            blind = delivery.lose(report.state, report.attempt, report.reason, report.since_ns, report.at_ns)
            for topic, since in blind.items():
                if (cell := self._cells.get(topic)) is not None and cell.blind_since is None:
                    cell.blind_since = since
            line.failed = report.reason or "failed" if report.state == "failed" else ""
        self._close_failed(report.line, line)

    def _returned(self, message: DeliveryReturned) -> None:
        """The connection's last letter. That of a connection that was given up is ignored."""
        if message.right.revoked:
            return
        with self._lease:
            line = self._routing.line(message.line)
            line.routed.discard(message.epoch)
            if line.holder == message.epoch:
                line.state, line.was_given_up = message.state, False
                self._line_delivery(message.line, line).reconcile()
                line.is_late, line.holder = not message.complete, None
        self._give_turn(message.line)

    def _take_back(self, name: str, line: LineRoutes) -> None:
        """The holder is gone and its last letter is missing: the copy counts."""
        if line.holder is not None:
            line.state.end_epoch(line.holder)
            line.state.venue_states = self._cells.venue_states(name).copy()
            gaps, last = self._cells.gaps(name)  # as it has shown them last
            if gaps > line.state.gaps:
                line.state.gaps, line.state.last_gap = gaps, last
            line.state.repairs = self._cells.repairs(name)
            line.routed.discard(line.holder)
            line.holder, line.is_late, line.was_given_up = None, True, True
            self._line_delivery(name, line).reconcile()

    def _distrusted(self, line: LineRoutes) -> DeliveryState:
        """Connections die of what they are handed: everything counts as interrupted."""
        state = DeliveryState()
        state.number, state.gaps, state.last = line.state.number, line.state.gaps, line.state.last
        state.repairs = line.state.repairs
        state.settled = set(line.table.routes)
        line.crashes = 0
        return state

    def _restored(self, report: TopicsRestored) -> None:
        """The copy follows, and the time of blindness is known."""
        with self._lease:
            line = self._routing.line(report.line)
            if line.holder == report.epoch:
                line.state.note_settled(report.topics, line.table.routes)
            after: dict[tuple[BlindTime, int], BlindTime] = {}  # topics of one history share its value
            for topic, since in report.blind.items():
                if (cell := self._cells.get(topic)) is not None:
                    history = cell.blind_time, since
                    if history not in after:
                        after[history] = cell.blind_time.plus(since, report.at_ns)
                    cell.blind_time, cell.blind_since = after[history], None

    # ── streams whose lines have all failed ──

    def _close_failed(self, name: str, line: LineRoutes) -> None:
        """If it has failed: its streams have been told so."""
        if not self._has_failed(name):
            return
        opening = {opened.inlet.id for opened, _ in self._asked.values()}
        for stream, inlet in list(line.table.inlets.items()):
            if stream not in opening:  # else some of its topics are yet to be placed
                self._close_if_failed(inlet)

    def _close_if_failed(self, inlet: Inlet) -> None:
        """All of its lines have, and their feed wants it to end then."""
        topics = self._routing.wanted(inlet.id, None)
        if inlet.stays or not self._have_failed(topics):
            return
        lines = self._routing.lines_of(topics)
        told = [f"{name} ({self._routing.line(name).failed})" for name in sorted(lines)]
        inlet.close(f"its lines have failed: {', '.join(told)}", quiet=False)
        self._leave(inlet.id, None)

    def _have_failed(self, topics: Iterable[Topic]) -> bool:
        """All lines of these."""
        lines = self._routing.lines_of(topics)
        return bool(lines) and all(map(self._has_failed, lines))

    def _has_failed(self, name: str) -> bool:
        """Its streams were told so, and it has not been restarted since."""
        return bool(self._routing.line(name).failed) and self._closes_streams(name)

    # ── another connection takes over ──

    def _grant_turn(self, name: str, epoch: int) -> None:
        with self._lease:
            line = self._routing.line(name)
            if epoch != line.epoch:  # else a former keeper has given it
                line.turn = epoch
        self._give_turn(name)

    def _give_turn(self, name: str) -> None:
        """As soon as the former connection has left, and the supervisor has granted the turn."""
        with self._lease:
            line = self._routing.line(name)
            if line.turn is None or line.holder is not None:
                return
            last_events = self._cells.take_over(name, copy=line.was_given_up)
            turn = TakeTurn(line.state.copy(), last_events, line.is_late)
            epoch = line.turn
            if epoch in line.routed:  # else it takes over early, and gets the state with the routes
                self.connection(name).tell(turn, epoch)  # and then it is noted, as above
                line.holder = epoch
            line.epoch = epoch
            line.turn = line.candidate = None

    def _former_ended(self, name: str, epoch: int) -> None:
        with self._lease:
            line = self._routing.line(name)
            if line.holder == epoch:
                self._take_back(name, line)
        self._give_turn(name)

    def _candidate_dropped(self, name: str, epoch: int) -> None:
        with self._lease:
            line = self._routing.line(name)
            line.routed.discard(epoch)
            if line.candidate == epoch:
                line.candidate = None
            if line.turn == epoch:
                line.turn = None

    # ── after another dispatcher ──

    def _take_over(self) -> None:
        """Changes that a former keeper may have reported in part are reported again."""
        with self._lease:
            self._routing.mend()
            for name, line in self._routing.lines.items():
                if line.holder is None:
                    self._line_delivery(name, line).reconcile()
                for epoch in line.routed:
                    self._tell_routes(name, line, epoch, None, None)
        for name, line in list(self._routing.lines.items()):
            self._show_policies(name, line.table.routes)
            self._give_turn(name)
            self._close_failed(name, line)  # a former keeper may not have come to all of its streams

    def _line_delivery(self, name: str, line: LineRoutes) -> LineDelivery:
        return LineDelivery(name, line.epoch, self._right, line.table, line.state)

    def _now_ns(self) -> int:
        return self._clock.wall_ns()
