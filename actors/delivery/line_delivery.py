"""The delivery of one line: its events, lifecycle events and gaps into the streams that want its topics.

A stream gets `restored` when every one of its own topics is answered for again, and the `Gap` of a
topic before the first event that follows it. So a slow answer for one topic does not hold
back another's data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from actors.delivery.arrivals import Right
from actors.delivery.inlet import Inlet
from actors.delivery.state import DeliveryState, Outage
from actors.delivery.table import NO_ROUTE, RouteTable
from actors.events import Gap, GapReason, Lifecycle, LifecycleState, Topic, VenueState
from actors.rules.stream_buffer import GapRun

Told = tuple[Inlet, Lifecycle | GapRun]


class LineDelivery:
    """Held by one thread: the dispatcher's while the line is down, else its connection's."""

    def __init__(self, line: str, epoch: int, right: Right, table: RouteTable, state: DeliveryState) -> None:
        self.line, self.epoch, self.right = line, epoch, right
        self.table, self.state = table, state
        self.rotated = False  # this epoch takes over without a gap

    # ── lifecycle and gaps: the state changes after they have been put ──

    def lose(
        self, word: LifecycleState, attempt: int, reason: str, since_ns: int, now_ns: int
    ) -> dict[Topic, int]:
        """The line is down; its streams get a lifecycle event. Returns the topics that are blind now."""
        state, settled = self.state, self.state.settled
        state.up, state.attempt = False, attempt
        told = Lifecycle(self.line, word, self.epoch, attempt, reason, now_ns)
        if word == "connecting" and (state.last is None or state.last.state == word):
            state.last = told  # streams were told so when they came
            return {}
        number = state.next_number()
        state.last = told
        for stream, inlet in self.table.inlets.items():
            outage = state.outages.get(stream)
            told_before = outage is not None and outage.word == "restored"
            if word != "disconnected" or not told_before:
                inlet.put_lifecycle(self.right, told, number)
            self._interrupt(stream, since_ns)
            is_back = bool(settled) or told_before or (outage is None and word == "disconnected")
            state.outages[stream] = Outage(self.table.wants(stream), "restored" if is_back else "connected")
        blind = {topic: since_ns for topic in settled if topic not in state.blind}
        state.blind |= blind
        state.settled = set()
        return blind

    def _interrupt(self, stream: int, since_ns: int) -> None:
        """What this stream followed is blind from then on."""
        state = self.state
        if not state.settled:
            return
        blind = state.blind_streams.get(stream, {})
        for topic in self.table.wants(stream):
            if topic in state.settled and stream not in state.joining.get(topic, ()):
                blind.setdefault(topic, since_ns)
        if blind:
            state.blind_streams[stream] = blind

    def settle(self, topics: Iterable[Topic], now_ns: int) -> dict[Topic, int]:
        """These are answered for in this epoch; the streams are told. Returns since when each was blind."""
        state, routes = self.state, self.table.routes
        mine = [topic for topic in dict.fromkeys(topics) if topic in routes]  # answers may come twice
        for inlet, item in self._settled(mine, now_ns):
            if isinstance(item, GapRun):
                inlet.mark_gaps(self.right, item)
            else:
                inlet.put_lifecycle(self.right, item, state.number)
        spans = {topic: since for topic in mine if (since := state.blind.pop(topic, None)) is not None}
        for topic, since in spans.items():
            state.gap(Gap(topic, "disconnect", None, since, max(since, now_ns), self.epoch))
        state.settled.update(mine)
        self.judge()
        self.end_former_states(now_ns)
        return spans

    def judge(self) -> None:
        """The line is up once every topic of it is answered for."""
        self.state.up = self.state.up or len(self.state.settled) >= len(self.table.routes)

    def _settled(self, topics: list[Topic], now_ns: int) -> Iterator[Told]:
        streams: dict[int, list[Topic]] = {}
        for topic in topics:
            for inlet in self.table.routes[topic].inlets:
                streams.setdefault(inlet.id, []).append(topic)
        for stream, settled in streams.items():
            inlet = self.table.inlets[stream]
            yield from self._answered(inlet, settled, now_ns)
            blind = self.state.blind_streams.get(stream)
            if blind:
                spans = [(topic, blind[topic]) for topic in settled if topic in blind]
                if spans:
                    yield inlet, GapRun(spans, "disconnect", now_ns, self.epoch)
                for topic, _ in spans:
                    del blind[topic]
                if not blind:
                    del self.state.blind_streams[stream]

    def _answered(self, inlet: Inlet, topics: Iterable[Topic], now_ns: int) -> Iterator[Told]:
        """The stream need not wait for these topics; if it waits for no other, its line is back."""
        outage = self.state.outages.get(inlet.id)
        if outage is None:
            return
        outage.waiting.difference_update(topics)
        if not outage.waiting:
            self.state.next_number()
            yield inlet, self._back(outage, now_ns)
            del self.state.outages[inlet.id]

    def _back(self, outage: Outage, now_ns: int) -> Lifecycle:
        return Lifecycle(self.line, outage.word, self.epoch, self.state.attempt, "", now_ns)

    def interrupt(self, topics: Iterable[Topic], now_ns: int) -> None:
        """The epoch that takes over has no answer for these yet: they are blind from now on."""
        state = self.state
        for topic in topics:
            state.settled.discard(topic)
            state.blind.setdefault(topic, now_ns)
            joining = state.joining.get(topic, ())
            for inlet in self.table.routes[topic].inlets:
                if inlet.id not in joining:  # it has had nothing of it
                    state.blind_streams.setdefault(inlet.id, {}).setdefault(topic, now_ns)

    def missed(self, topics: Iterable[Topic], reason: GapReason, count: int | None, now_ns: int) -> None:
        """At this place something of these topics is missing, for every stream that follows them."""
        for topic in topics:
            if (route := self.table.routes.get(topic)) is None:
                continue
            gap = Gap(topic, reason, count, now_ns, now_ns, self.epoch)
            self.state.gap(gap)
            joining = self.state.joining.get(topic, ())
            for inlet in route.inlets:
                if inlet.id not in joining and topic not in self.state.blind_streams.get(inlet.id, ()):
                    inlet.mark(self.right, gap)

    # ── what the venue says of itself ──

    def tell_state(self, told: VenueState) -> bool:
        """The streams with a topic of its scope get it at this place. Returns whether it is news."""
        if not self.state.venue_states.note(told):
            return False
        for inlet in self.table.readers(told.scope):
            inlet.tell_state(self.right, told)
        return True

    def tell_states_to(self, topic: Topic, inlets: Iterable[Inlet], now_ns: int) -> None:
        """Streams that read this topic from now on get what holds at present."""
        states = self.state.venue_states
        if states:
            for told in states.reaching(topic, now_ns):
                if told.epoch == self.epoch or self.state.up:  # else it is to be told again, or to end
                    for inlet in inlets:
                        inlet.put_state(self.right, told)

    def end_former_states(self, now_ns: int, *, is_open: bool = False) -> None:
        """Once the line is up: what the venue told a former connection, and this one not again, has ended.

        After a rotation once this one is open: what the venue told it before was kept until then.
        """
        states = self.state.venue_states
        if states and self.state.up and (is_open or not self.rotated):
            for told in states.take_over(self.epoch, keep_narrow=self.rotated):
                text = f"{told.state} was told to a connection that has ended"
                self.tell_state(VenueState(told.scope, "open", text, None, self.line, self.epoch, now_ns))

    # ── streams that come and go ──

    def attached(self, topic: Topic, inlets: Iterable[Inlet], now_ns: int) -> None:
        """A stream that comes is told the state of its line; if that is down, also when it is there."""
        if not inlets:
            return
        is_up = self.state.up or topic in self.state.settled
        self._introduce(inlets, now_ns, is_up=is_up)
        if not is_up:
            for inlet in inlets:
                self.state.outages.setdefault(inlet.id, Outage((), "connected")).waiting.add(topic)

    def introduce(self, now_ns: int) -> None:
        """Streams that came while the line had no holder are told its state."""
        self._introduce(self.table.inlets.values(), now_ns, is_up=self.state.up)

    def _introduce(self, inlets: Iterable[Inlet], now_ns: int, *, is_up: bool) -> None:
        present = self._present(now_ns, is_up=is_up)
        for inlet in inlets:
            inlet.introduce(self.right, present, self.state.number)

    def _present(self, now_ns: int, *, is_up: bool) -> Lifecycle:
        if is_up:
            return Lifecycle(self.line, "connected", self.epoch, self.state.attempt, "", now_ns)
        return self.state.last or Lifecycle(self.line, "connecting", self.epoch, 0, "", now_ns)

    def detached(self, topic: Topic, inlets: Iterable[Inlet], now_ns: int) -> None:
        """No more of it; a stream that waited for this topic alone is told that its line is back."""
        state = self.state
        for inlet in inlets:
            blind = state.blind_streams.get(inlet.id, {})
            if blind.pop(topic, None) is not None and not blind:
                del state.blind_streams[inlet.id]
            if topic in state.joining:
                state.joining[topic].discard(inlet.id)
            if inlet.id not in self.table.inlets:
                state.outages.pop(inlet.id, None)
                inlet.leave_line(self.line)
                continue
            for _, word in self._answered(inlet, (topic,), now_ns):
                assert isinstance(word, Lifecycle)
                inlet.put_lifecycle(self.right, word, state.number)

    def mark_lifted(self, topic: Topic, now_ns: int) -> None:
        """This placement ends: a stream that has followed it may miss events until the next one."""
        state, route = self.state, self.table.routes.get(topic, NO_ROUTE)
        joining, is_settled = state.joining.get(topic, ()), topic in state.settled
        following = False
        for inlet in route.inlets:
            since = state.blind_streams.get(inlet.id, {}).get(topic, now_ns if is_settled else None)
            if since is None or inlet.id in joining:  # it has had nothing of it
                continue
            inlet.mark(self.right, Gap(topic, "unknown", None, since, now_ns, self.epoch))
            following = True
        if following:
            state.gap(Gap(topic, "unknown", None, now_ns, now_ns, self.epoch))

    def lifted(self, topic: Topic) -> None:
        """The topic lies on this line no longer."""
        state = self.state
        state.settled.discard(topic)
        state.blind.pop(topic, None)
        state.joining.pop(topic, None)
        state.last_seen.pop(topic, None)

    def reconcile(self) -> None:
        """The state came back from another holder: it forgets the streams and topics that have gone since."""
        state, table = self.state, self.table
        state.settled &= table.routes.keys()
        state.outages = {stream: it for stream, it in state.outages.items() if stream in table.inlets}
        for stream, outage in state.outages.items():
            outage.waiting &= table.topics[stream].keys()
        state.blind = _within(state.blind, table.routes)
        state.last_seen = _within(state.last_seen, table.routes)
        state.joining = {
            topic: {stream for stream in streams if topic in table.wants(stream)}
            for topic, streams in _within(state.joining, table.routes).items()
        }
        state.blind_streams = {
            stream: mine
            for stream, topics in state.blind_streams.items()
            if (mine := _within(topics, table.topics.get(stream, {})))
        }


def _within(table: dict[Topic, Any], topics: Any) -> dict[Topic, Any]:
    return {topic: value for topic, value in table.items() if topic in topics}
