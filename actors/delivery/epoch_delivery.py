"""How a connection delivers its line while it is the holder: on its own thread, straight into the streams."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.backfills import Asking, Backfills
from actors.delivery.holder import Holder
from actors.delivery.inlet import Inlet, Put
from actors.delivery.last_events import ReceiptTime
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.resyncs import Resyncs
from actors.delivery.runs import Runs
from actors.delivery.stale_topics import PolicyOf, StaleTopics
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route
from actors.events import Gap, GapReason, Topic, VenueState
from actors.rules.stream_buffer import Batch, Origin

LOOK_AGAIN = 1.0  # seconds after which a line that pauses looks again by itself
LEFT = 10_000  # topics that were given up, and are remembered

Going = tuple[Inlet, ...]


class EpochDelivery:
    """The routes of one epoch, and the streams that make it pause. One thread."""

    def __init__(
        self,
        line: LineDelivery,
        *,
        holder: Holder,
        config_policy: PolicyOf,
        arrivals: Arrivals,
        runs: Runs,
        block_timeout: float,
        wake: Callable[[], None],
        asking: Asking,
    ) -> None:
        self._line, self._state, self._table = line, line.state, line.table
        self._right: Right = line.right
        self._holder, self._stale = holder, StaleTopics(holder, line.table, config_policy)
        self._arrivals, self._runs, self.last_events = arrivals, runs, holder.last_events
        self.block_timeout, self._wake = block_timeout, wake
        channels = holder.venue.channels
        self._deltas = tuple(name for name, channel in channels.items() if channel.deltas)
        self._resyncable = tuple(name for name, channel in channels.items() if channel.resyncable)
        self._pausing: dict[Inlet, None] = {}  # streams that ask this line to pause
        self._cut: dict[Inlet, None] = {}  # streams with topics that have to start again
        self.resyncs = Resyncs()
        self.backfills = Backfills(line, holder, self, asking)
        self._unmarked: dict[Topic, None] = {}  # the venue has lost data of them, and no gap shows it yet
        self._left: dict[Topic, None] = {}  # given up here: the venue may still send what it was asked for
        self._going: dict[Topic, Going] = {}  # where events go: all readers but those that are to join
        for topic, route in self._table.routes.items():
            self._going[topic] = self._joined(topic, route.inlets)
        line.judge()

    @property
    def state(self) -> DeliveryState:
        return self._state

    @property
    def gaps(self) -> tuple[int, Gap | None]:
        """How many interruptions there were, and the last one."""
        return self._state.gaps, self._state.last_gap

    @property
    def wants_attention(self) -> bool:
        """Whether a stream asks for a pause, or has to start again."""
        return bool(self._pausing or self._cut or self.resyncs.wanted)

    @property
    def settled(self) -> set[Topic]:
        return self._state.settled

    # ── events ──

    def hand_out(
        self, topics: list[Topic], events: list[Any], received_ns: int, now: float, size: int
    ) -> int:
        """The events of one batch to the streams that want them; how many of them reached a buffer.

        `size`: bytes of the batch; `now`: monotonic seconds.
        """
        # The ends are compared first: to count among many topics costs each of them.
        is_one_topic = topics[0] is topics[-1] and topics.count(topics[0]) == len(topics)
        newest = {topics[0]: events[-1]} if is_one_topic else dict(zip(topics, events, strict=True))
        self.last_events.keep(topics, events, newest, ReceiptTime(now, received_ns))
        if self.backfills.filled:
            self.backfills.note_recent(topics, events, newest)
        right = self._right
        origin = Origin(received_ns, self._line.epoch, self._arrivals.begin(right), now)
        batch = Batch(topics, events, origin)
        try:
            started: Sequence[Topic] = ()
            if self._deltas:
                started = self._runs.keep(batch, newest, size)
            if self._stale:
                self._stale.end(newest, now, received_ns)
            readers = list(map(self._going.get, newest))
            if readers.count(readers[0]) == len(readers):  # mostly all go to the same streams
                inlets = readers[0] or ()
                routed = len(events) if self._put(inlets, batch, now) else 0
            else:
                routed = self._put_shares(batch, newest, now)
            for topic in started:
                self._join(topic)
            if None in readers:
                self._forget_unrouted(newest)
            return routed
        finally:
            self._arrivals.end(right)

    def put_filled(
        self, topic: Topic, events: list[Any], inlets: Going, age: float, now: float, now_ns: int
    ) -> bool:
        """Events that the venue was asked for; the newest is `age` seconds old. Whether one took them."""
        topics, newest, right = [topic] * len(events), {topic: events[-1]}, self._right
        stamp = self.last_events.stamps.get(topic)
        at = now - age if stamp is None else max(now - age, stamp.at)
        self.last_events.keep(topics, events, newest, ReceiptTime(at, now_ns - round((now - at) * 1e9)))
        self.backfills.note_recent(topics, events, newest)
        origin = Origin(now_ns, self._line.epoch, self._arrivals.begin(right), now, "rest")
        try:
            if self._stale:
                self._stale.end(newest, now, now_ns)
            return self._put(inlets, Batch(topics, events, origin), now)
        finally:
            self._arrivals.end(right)

    def set_readers(self, topic: Topic, inlets: Going | None) -> None:
        """Events of the topic go to these streams alone; None: to all that read it."""
        if topic in self._going:
            self._going[topic] = (
                self._joined(topic, self._table.routes[topic].inlets) if inlets is None else inlets
            )

    def _forget_unrouted(self, topics: Iterable[Topic]) -> None:
        """Their routes have ended; until the session is told, it brings more of them."""
        for topic in topics:
            if topic not in self._going:
                self.last_events.forget(topic)

    def _put(self, inlets: Going, batch: Batch, now: float) -> bool:
        """Whether at least one stream has taken them."""
        taken = False
        for inlet in inlets:
            put = inlet.put(self._right, batch, now)
            if put is not Put.REFUSED:
                taken = True
            if put is not Put.ACCEPTED:
                self._note(inlet, put)
        return taken

    def _put_shares(self, batch: Batch, topics: Iterable[Topic], now: float) -> int:
        """Each stream gets its part. `topics`: all of the batch, each once."""
        going = self._going
        shares: dict[Going, list[int]] = {}
        parts = {topic: shares.setdefault(going.get(topic, ()), []) for topic in topics}
        for place, topic in enumerate(batch.topics):
            parts[topic].append(place)
        routed = 0
        if _are_apart(shares):
            for inlets, share in shares.items():
                if self._put(inlets, batch.at(share), now):
                    routed += len(share)
            return routed
        # A stream that is in several groups gets all of its events at once, in their order.
        taken: set[Inlet] = set()
        for inlet in dict.fromkeys(inlet for inlets in shares for inlet in inlets):
            mine = [place for place, topic in enumerate(batch.topics) if inlet in going.get(topic, ())]
            if self._put((inlet,), batch.at(mine), now):
                taken.add(inlet)
        return sum(len(share) for inlets, share in shares.items() if not taken.isdisjoint(inlets))

    def _note(self, inlet: Inlet, put: Put) -> None:
        waiting = self._pausing if put is Put.PAUSE else self._cut
        if put is not Put.REFUSED and inlet not in waiting:
            waiting[inlet] = None
            inlet.wake_at_room(self._right, self._wake)

    # ── words, gaps, answers ──

    def settle(self, topics: Iterable[Topic], now: float, now_ns: int) -> dict[Topic, int]:
        """These are answered for in this epoch. Since when each of them was blind."""
        topics = tuple(topics)
        losses = self.backfills.blind(topics, now_ns)
        self._holder.note_settled(topics, now)
        for topic in topics:
            if topic.channel in self._deltas and topic in self._table.routes:
                self.resyncs.forget(topic)
                for inlet in self._table.routes[topic].inlets:
                    inlet.resume(self._right, topic)
                self._let_in(topic, self._state.joining.pop(topic, set()))
        spans = self._line.settle(topics, now_ns)
        self.backfills.begin(losses)
        return spans

    def missed(self, topics: Iterable[Topic], reason: GapReason, count: int | None, now_ns: int) -> None:
        topics = tuple(topics)
        self.backfills.end(topics, "more was lost before the venue answered")
        losses = self.backfills.missed(topics, reason, count, now_ns)
        for topic in topics:
            if topic in self._table.routes:  # else it was removed, and the session has yet to be told
                self._holder.note_missing(topic)
            self._runs.forget(topic)
            self._unmarked.pop(topic, None)
        self._line.missed(topics, reason, count, now_ns)
        self.backfills.begin(losses)

    @property
    def awaits_tails(self) -> bool:
        """Whether a topic was given up on this connection, and may have been asked for again."""
        return bool(self._left)

    def end_tails(self, topics: Iterable[Topic] | None, now_ns: int) -> None:
        """The venue has answered for these here; None: the epoch ends, and no answer comes any more.

        What a topic brought since it was asked for again may be of its former subscription, after which the
        venue sent nothing until it had the new one. A whole event of a delta channel needs none before it.
        """
        topics = self._left if topics is None else topics
        left = [topic for topic in topics if topic in self._left and topic in self._table.routes]
        for topic in left:
            del self._left[topic]
        self.missed([topic for topic in left if self._has_tail(topic)], "unknown", None, now_ns)

    def _has_tail(self, topic: Topic) -> bool:
        return topic in self.last_events.events and topic.channel not in self._deltas

    def interrupt(self, topics: Iterable[Topic], now_ns: int) -> None:
        topics = tuple(topics)
        self.backfills.note_last(topics)
        for topic in topics:
            self._holder.note_missing(topic)
        self._line.interrupt(topics, now_ns)

    def note_rejected(self, topics: Iterable[Topic]) -> None:
        """The venue brings these no longer, or never did."""
        for topic in topics:
            self._holder.note_missing(topic)

    def judge_stale(self, topics: Iterable[Topic], now: float, now_ns: int) -> None:
        """Readers of those of these topics that are stale are told so."""
        for topic in topics:
            if topic in self._state.settled and topic in self._table.routes:
                self._stale.begin(topic, self._table.routes[topic].inlets, now, now_ns)

    def tell_state(self, told: VenueState) -> bool:
        """Returns whether it is news. Lost topics are asked for again, each at most once per back-off."""
        if told.state == "data_lost":
            lost = [topic for topic in self._table.reached(told.scope) if topic in self._state.settled]
            self._unmarked = dict.fromkeys(lost)
            for topic in lost:
                self._holder.note_missing(topic)  # first: a reader of the marker may look at its permit
                self.resyncs.want(topic)
        return self._line.tell_state(told)

    def mark_lost(self, now_ns: int) -> None:
        """Topics that were not resynced at once have their gap here, and another one when they are."""
        self.missed(list(self._unmarked), "unknown", None, now_ns)

    def tell_states(self, now_ns: int) -> None:
        """Streams that came while the line had no holder get what holds at present."""
        self._line.introduce(now_ns)
        if self._state.venue_states:
            for topic, route in self._table.routes.items():
                self._line.tell_states_to(topic, route.inlets, now_ns)

    def end_former_states(self, now_ns: int) -> None:
        """The session is open, and what it kept is handed out."""
        self._line.end_former_states(now_ns, is_open=True)

    def misread(self) -> None:
        """An event could not be read: what was kept of deltas may lack it."""
        self._runs.forget_all()

    # ── routes ──

    def set_route(self, topic: Topic, route: Route, now: float, now_ns: int) -> None:
        come, gone = self._table.set(topic, route)
        self._line.attached(topic, come, now_ns)
        self._line.tell_states_to(topic, come, now_ns)
        self._part(topic, gone, now_ns)
        self.backfills.came(topic, come)
        if come and topic in self._state.settled:  # they are told what others have been told before
            self._stale.begin(topic, come, now, now_ns)
        joins = bool(come) and topic.channel in self._deltas and topic in self._state.settled
        if joins:
            self._state.joining.setdefault(topic, set()).update(inlet.id for inlet in come)
        if gone or not joins:
            self._going[topic] = self._joined(topic, route.inlets)
        if joins:
            self._join(topic)

    def remove_route(self, topic: Topic, now_ns: int) -> None:
        self.backfills.forget(topic)
        self._line.mark_lifted(topic, now_ns)
        self._note_left(topic)
        gone = self._table.remove(topic)
        self._going.pop(topic, None)
        self._part(topic, gone, now_ns)
        self._line.lifted(topic)
        self._line.judge()
        self._line.end_former_states(now_ns)
        self._runs.forget(topic)
        self.last_events.forget(topic)
        self._holder.forget(topic)
        self.resyncs.drop(topic)

    def _note_left(self, topic: Topic) -> None:
        if topic in self._table.routes:
            self._left[topic] = None
            if len(self._left) > LEFT:
                del self._left[next(iter(self._left))]

    def _part(self, topic: Topic, gone: list[Inlet], now_ns: int) -> None:
        if not gone:
            return
        self._line.detached(topic, gone, now_ns)
        self._stale.forget(topic, gone)
        for inlet in gone:
            inlet.forget(topic)
            if inlet.id not in self._table.inlets:
                self._pausing.pop(inlet, None)
                self._cut.pop(inlet, None)
                inlet.forget_line(self._right)

    # ── newcomers to deltas, and readers that were cut ──

    def _join(self, topic: Topic) -> None:
        """Streams that wait for this topic to start again get what makes it whole, if that is known.

        Where that is not known and the venue cannot be made to send it, they get the changes alone.
        """
        joining = self._state.joining.get(topic)
        if not joining:
            return
        parts = self._runs.parts(topic)
        if parts is None and topic.channel in self._resyncable:
            self.resyncs.want(topic)
            return
        del self._state.joining[topic]
        self.resyncs.forget(topic)
        for stream in joining:
            if parts is not None and (inlet := self._table.inlets.get(stream)) is not None:
                inlet.put_run(self._right, topic, parts)
        self._let_in(topic, joining)

    def _let_in(self, topic: Topic, joining: set[int]) -> None:
        if joining:
            self._going[topic] = self._joined(topic, self._table.routes[topic].inlets)

    def _joined(self, topic: Topic, inlets: Going) -> Going:
        joining = self._state.joining.get(topic)
        return tuple(inlet for inlet in inlets if inlet.id not in joining) if joining else inlets

    def _restart_cut(self, inlet: Inlet) -> None:
        for topic in inlet.cut():
            if topic not in self._table.wants(inlet.id):
                continue
            parts = self._runs.parts(topic)
            if parts is not None:
                inlet.put_run(self._right, topic, parts)
            elif topic.channel not in self._resyncable:  # its changes go on behind the gap
                inlet.resume(self._right, topic)
            elif topic in self._state.settled:
                self.resyncs.want(topic)

    # ── back-pressure: a level, looked at again and again ──

    @property
    def paused_by(self) -> tuple[int, ...]:
        """The streams that ask this line to pause."""
        return tuple(inlet.id for inlet in self._pausing)

    def look_again(self, now: float) -> None:
        """Check which streams still ask for a pause, and which have room for a topic to start again."""
        for inlet in list(self._pausing):
            since = inlet.full_since
            if since is not None and now - since >= self.block_timeout:
                inlet.overflow(self._right, since)
            if not inlet.pauses:
                del self._pausing[inlet]
        for inlet in list(self._cut):
            if inlet.is_roomy:
                del self._cut[inlet]
                self._restart_cut(inlet)
        for inlet in (*self._pausing, *self._cut):  # another line may have filled what this one was woken for
            inlet.wake_at_room(self._right, self._wake)

    def look_in(self, now: float) -> float:
        """Seconds until it is to look again; infinity: when it is woken."""
        waits = [self.resyncs.next_in(now)]
        for inlet in self._pausing:
            since = inlet.full_since
            left = 0.0 if since is None else since + self.block_timeout - now
            waits.append(max(0.0, min(LOOK_AGAIN, left)))
        return min(waits, default=math.inf)

    def leave(self) -> None:
        """The epoch ends: no stream has to wake it."""
        for inlet in (*self._pausing, *self._cut):
            inlet.forget_line(self._right)
        self._pausing.clear()
        self._cut.clear()
        self._runs.forget_all()


def _are_apart(shares: Iterable[Going]) -> bool:
    """Whether no stream is in two of these groups."""
    every = [inlet for inlets in shares for inlet in inlets]
    return len(every) == len(set(every))
