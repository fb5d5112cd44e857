"""The losses of one line that its venue is being asked for, and the live events that wait for that.

In a stream follow each other: the `Gap`, the events that the venue was asked for, `Repaired`, and the live
events that waited. Only events of that topic wait. Where no topic is being filled, nothing here is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, Protocol

from msgspec import Struct

from actors.delivery.holder import Holder
from actors.delivery.inlet import Inlet
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.state import LastSeen
from actors.events import Gap, GapReason, Topic
from actors.protocol.backfill import Backfilled
from actors.protocol.numbers import known_time
from actors.protocol.rest import Call
from actors.rules.backfill import HELD_BYTES, HELD_EVENTS, NEVER, BackfillPolicy, Fill, HeldEvents, Known

KNOWN_FOR: Final = 10.0  # seconds for which the stream may bring what the venue was asked for

Cancel = Callable[[], None]
# Asks the venue of a feed, for at most so many seconds. What came of it, or an error, is told on any thread.
# Waits for nothing. Returns what ends it.
AskVenue = Callable[[str, Call[Any], float, Callable[[Any], None]], Cancel]
Gaps = Mapping[Inlet, Gap]  # the gap that each stream has got


class Questions(Protocol):
    """How the venue is asked, on the line's thread. Nothing of it waits."""

    def ask_backfill(self, number: int, call: Call[Backfilled], seconds: float) -> Cancel:
        """The answer comes back with this number, and within so many seconds. Returns what ends it."""

    def venue_failed(self, topic: Topic) -> None:
        """The exception that is being handled is a defect of the venue's."""

    def note_filled(self, topics: list[Topic], events: list[Any]) -> None:
        """These are about to reach the streams."""

    def wake(self) -> None:
        """`look` is to be called soon."""


class Asking(Struct, frozen=True):
    """How the losses of a line are asked for, and by which clocks."""

    questions: Questions
    policy: BackfillPolicy
    now: Callable[[], float]  # monotonic seconds
    wall_ns: Callable[[], int]


class Streams(Protocol):
    """How events reach the streams of the line."""

    def put_filled(
        self,
        topic: Topic,
        events: list[Any],
        inlets: tuple[Inlet, ...],
        age: float,
        now: float,
        now_ns: int,
    ) -> bool:
        """Events that the venue was asked for; the newest is `age` seconds old. Whether one took them."""

    def hand_out(
        self, topics: list[Topic], events: list[Any], received_ns: int, now: float, size: int
    ) -> int: ...

    def set_readers(self, topic: Topic, inlets: tuple[Inlet, ...] | None) -> None:
        """Its events go to these streams alone; None: to all that read it."""


class Filling:
    """A fill, the streams that it is for, and the question that is under way."""

    __slots__ = ("came", "cancel", "fill", "gaps", "number", "seconds")

    def __init__(self, fill: Fill, gaps: Gaps, seconds: float) -> None:
        self.fill, self.gaps, self.seconds = fill, gaps, seconds
        self.number = 0  # of the question; 0: none is under way
        self.cancel: Cancel | None = None
        self.came: dict[Inlet, int] = {}  # streams that came since: how many batches waited then


class Backfills:
    """One thread; an epoch has its own, from its becoming the holder to its end."""

    def __init__(self, line: LineDelivery, holder: Holder, streams: Streams, asking: Asking) -> None:
        self._line, self._holder, self._streams = line, holder, streams
        self._questions = asking.questions
        self._now, self._wall_ns = asking.now, asking.wall_ns
        self._channels = holder.venue.channels
        self.policy, self.filled = NEVER, frozenset[str]()
        self.take_policy(asking.policy)
        self._fills: dict[Topic, Filling] = {}
        self._known: dict[Topic, Known] = {}
        self._numbers = count(1)
        self._held = self._held_size = 0  # events and bytes, of all topics
        self.is_idle = True  # events need not be looked at

    def take_policy(self, policy: BackfillPolicy) -> None:
        """Which channels are back-filled from now on."""
        self.policy = policy
        every = self._channels.items()
        self.filled = frozenset(name for name, channel in every if policy.seconds(channel))
        recent = self._holder.last_events.recent
        for topic in [topic for topic in recent if topic.channel not in self.filled]:
            del recent[topic]  # more of it will come, and will not be kept

    def note_recent(self, topics: list[Topic], events: list[Any], newest: Collection[Topic]) -> None:
        """One batch is about to reach the streams. `newest`: all of its topics, each once."""
        keep = self._holder.last_events.keep_recent
        if len(newest) == 1:
            if topics[0].channel in self.filled:
                keep(topics[0], events)
            return
        for topic, event in zip(topics, events, strict=True):
            if topic.channel in self.filled:
                keep(topic, (event,))

    # ── losses ──

    def seconds(self, topic: Topic) -> float:
        """For how long live events of this topic wait after a loss; 0.0: it is not back-filled."""
        channel = self._channels.get(topic.channel)
        return 0.0 if channel is None or not channel.backfill else self.policy.seconds(channel)

    def note_last(self, topics: Iterable[Topic]) -> None:
        """These are blind from here on: their last event counts, over connections, until they are back."""
        state = self._line.state
        for topic in topics:
            if topic not in state.last_seen and self.seconds(topic):
                state.last_seen[topic] = self._last_seen(topic)

    def blind(self, topics: Iterable[Topic], now_ns: int) -> dict[Topic, Gaps]:
        """Of topics that are about to be answered for: those to be filled, with the gaps that they get.

        What the venue has rejected has no events.
        """
        state = self._line.state
        found: dict[Topic, Gaps] = {}
        if not state.blind_streams:
            return {}
        for topic in topics:
            route = self._line.table.routes.get(topic)
            if route is None or topic in self._holder.rejected or not self.seconds(topic):
                continue
            gaps = {
                inlet: Gap(topic, "disconnect", None, since, max(since, now_ns), self._line.epoch)
                for inlet in route.inlets
                if (since := state.blind_streams.get(inlet.id, {}).get(topic)) is not None
            }
            if gaps:
                found[topic] = gaps
        self._holder.filling.update(found)
        return found

    def missed(
        self, topics: Iterable[Topic], reason: GapReason, missed: int | None, now_ns: int
    ) -> dict[Topic, Gaps]:
        """Of topics of which something is missing here: those to be filled, with the gaps that they get."""
        state = self._line.state
        found: dict[Topic, Gaps] = {}
        for topic in topics:
            route = self._line.table.routes.get(topic)
            if route is None or topic not in state.settled or not self.seconds(topic):
                continue
            gap = Gap(topic, reason, missed, now_ns, now_ns, self._line.epoch)
            gaps = {
                inlet: gap for inlet in route.inlets if topic not in state.blind_streams.get(inlet.id, ())
            }
            if gaps:
                found[topic] = gaps
        self._holder.filling.update(found)
        return found

    def begin(self, losses: Mapping[Topic, Gaps]) -> None:
        """These have just got their gaps; their live events wait from here on."""
        now, now_ns = self._now(), self._wall_ns()
        for topic, gaps in losses.items():
            seen = self._line.state.last_seen.pop(topic, None) or self._last_seen(topic)
            last, seconds = self._newest(topic, seen.events), self.seconds(topic)
            since_ns = self._since_ns(topic, gaps, seen, last, now, now_ns)
            before = frozenset(self._keys(topic, seen.events))
            joins = partial(self._joins, topic, last)
            fill = Fill(topic, since_ns, last, now + seconds, before=before, joins=joins)
            self._fills[topic] = Filling(fill, gaps, seconds)
            self.is_idle = False
        if losses:
            self._questions.wake()

    def _last_seen(self, topic: Topic) -> LastSeen:
        known = self._holder.last_events
        stamp, event = known.stamps.get(topic), known.events.get(topic)
        events = tuple(known.recent.get(topic, ())) or (() if event is None else (event,))
        return LastSeen(events, None if stamp is None else stamp.wall_ns)

    def _newest(self, topic: Topic, events: Sequence[Any]) -> Any | None:
        """The newest by the venue's time of those that the venue's list has where they came, or the last."""
        newest, newest_ns = events[-1] if events else None, 0
        for event in events:
            at_ns = self._event_time(event) or 0
            if at_ns >= newest_ns and self._joins(topic, None, event):
                newest, newest_ns = event, at_ns
        return newest

    def _joins(self, topic: Topic, last: Any | None, event: Any) -> bool:
        """Whether the venue's list has this event where it came, and not before the last one."""
        last_ns = None if last is None else self._event_time(last)
        at_ns = None if last_ns is None else self._event_time(event)
        if last_ns is not None and at_ns is not None and at_ns < last_ns:
            return False
        try:
            return self._holder.venue.joins_history(topic, event)
        except Exception:  # a defect of the venue's
            return False

    def _since_ns(
        self, topic: Topic, gaps: Gaps, seen: LastSeen, last: Any | None, now: float, now_ns: int
    ) -> int:
        """No event from before that is lost: by the venue's time of the last one, if it has one."""
        since_ns = min(gap.since_ns for gap in gaps.values())
        if last is None:
            return min(since_ns, now_ns - max(0, round((now - self._holder.settled_at(topic)) * 1e9)))
        at_ns = self._event_time(last) or seen.received_ns
        return since_ns if at_ns is None else min(since_ns, at_ns)

    def _event_time(self, event: Any) -> int | None:
        try:
            return known_time(self._holder.venue.event_time_ns(event))
        except Exception:  # a defect of the venue's: the event names no time
            return None

    # ── live events ──

    def hold(
        self, topics: list[Topic], events: list[Any], received_ns: int, at: float, size: int
    ) -> tuple[list[Topic], list[Any]]:
        """What of a batch does not wait, and is not known already."""
        if not self.is_concerned(topics):
            return topics, events
        waiting: dict[Topic, list[Any]] = {}
        on_topics: list[Topic] = []
        on_events: list[Any] = []
        for topic, event in zip(topics, events, strict=True):
            known = self._known.get(topic)
            if known is not None and self._key(topic, event) in known.keys:
                self._holder.counters.duplicates += 1
            elif topic in self._fills:
                waiting.setdefault(topic, []).append(event)
            else:
                on_topics.append(topic)
                on_events.append(event)
        for topic, mine in waiting.items():
            fill, share = self._fills[topic].fill, size * len(mine) // len(events)
            fill.hold(HeldEvents(mine, received_ns, at, share))
            self._held += len(mine)
            self._held_size += share
            if fill.is_due:
                self._questions.wake()
        if waiting:
            self._keep_within_bounds()
        return on_topics, on_events

    def is_concerned(self, topics: list[Topic]) -> bool:
        """Whether one of these is being filled, or was a moment ago."""
        return any(topic in self._fills or topic in self._known for topic in dict.fromkeys(topics))

    def _keep_within_bounds(self) -> None:
        while self._held > HELD_EVENTS or self._held_size > HELD_BYTES:
            fills = [filling.fill for filling in self._fills.values()]
            most = max(fills, key=lambda each: (each.size, each.count))
            bound = f"{HELD_EVENTS:,} events or {HELD_BYTES // 1_048_576} MB"
            self.end((most.topic,), f"more than {bound} waited on its line before the venue answered")

    def came(self, topic: Topic, inlets: Iterable[Inlet]) -> None:
        """These streams read the topic from now on: nothing that came before is for them."""
        if (filling := self._fills.get(topic)) is not None:
            for inlet in inlets:
                filling.came[inlet] = len(filling.fill.held)

    # ── asking ──

    def look(self, now: float) -> None:
        """Ask what is due, and end what has waited for too long."""
        for filling in list(self._fills.values()):
            fill = filling.fill
            if now >= fill.until:
                fill.expire(filling.seconds)
                self._finish(filling)
            elif fill.due_at <= now:
                self._ask(filling, now)
        for topic in [topic for topic, known in self._known.items() if now >= known.until]:
            del self._known[topic]
        self._judge_idle()

    def look_in(self, now: float) -> float:
        """Seconds until it is to look again; infinity: nothing is under way."""
        if self.is_idle:
            return math.inf
        ends = [min(each.fill.until, each.fill.due_at) for each in self._fills.values()]
        ends += [known.until for known in self._known.values()]
        return max(0.0, min(ends, default=math.inf) - now)

    def _ask(self, filling: Filling, now: float) -> None:
        fill = filling.fill
        first_ns = None if fill.first is None else self._event_time(fill.first)
        loss = fill.ask(max(self._wall_ns(), first_ns or 0))
        try:
            call = self._holder.venue.backfill(fill.topic, loss)
        except Exception:
            self._questions.venue_failed(fill.topic)
            call = None
        if call is None:
            self._fail(filling, "the venue cannot be asked for it")
            return
        filling.number = next(self._numbers)
        filling.cancel = self._questions.ask_backfill(filling.number, call, fill.until - now)

    def answered(self, number: int, outcome: Backfilled | BaseException) -> bool:
        """What came of a question. Returns False if it is not waited for any more: it changes nothing."""
        filling = next((each for each in self._fills.values() if each.number == number), None)
        if filling is None:
            return False
        filling.number, filling.cancel = 0, None
        if not isinstance(outcome, Backfilled):
            self._fail(filling, str(outcome) or type(outcome).__name__)
            return True
        filling.fill.answered(outcome, self._now())
        if filling.fill.is_over:
            self._finish(filling)
        elif filling.fill.is_due:
            self._ask(filling, self._now())
        return True

    def _fail(self, filling: Filling, why: str) -> None:
        filling.fill.failed(why)
        self._finish(filling)

    # ── the end of a fill ──

    def end(self, topics: Iterable[Topic], why: str) -> None:
        """Those of these that are being filled: nothing is waited for any more."""
        for topic in topics:
            if (filling := self._fills.get(topic)) is not None:
                filling.fill.end(why)
                self._finish(filling)

    def close(self, why: str) -> None:
        """All end, and none begins any more."""
        self.policy = NEVER
        self.end(tuple(self._fills), why)

    def forget(self, topic: Topic) -> None:
        """It is about to leave the line."""
        self.end((topic,), "its subscription ended before the venue answered")
        self._known.pop(topic, None)
        self._judge_idle()

    def _finish(self, filling: Filling) -> None:
        """The stream goes on: with what was brought, `Repaired`, and what waited."""
        fill, topic, state = filling.fill, filling.fill.topic, self._line.state
        del self._fills[topic]
        self._held -= fill.count
        self._held_size -= fill.size
        if filling.cancel is not None:
            filling.cancel()
        events, known = fill.brought(partial(self._key, topic))
        readers = self._readers(topic)
        inlets = tuple(inlet for inlet in filling.gaps if inlet in readers)
        self._deliver(fill, events, known, inlets)
        for inlet in inlets:
            inlet.mark(self._line.right, fill.repaired(filling.gaps[inlet], len(events)))
        state.repairs = state.repairs.with_one(complete=fill.is_complete)
        self._holder.note_filled(topic, complete=fill.is_complete)
        self._hand_out_held(filling)
        self._holder.filling.discard(topic)
        if keys := self._keys(topic, events):
            former = self._known.get(topic)
            every = keys if former is None else keys | former.keys
            self._known[topic] = Known(frozenset(every), self._now() + KNOWN_FOR)
        self._judge_idle()

    def _deliver(self, fill: Fill, events: list[Any], known: int, inlets: tuple[Inlet, ...]) -> None:
        topic, counters = fill.topic, self._holder.counters
        counters.decoded += len(events) + known
        counters.duplicates += known
        if not events:
            return
        at_ns = self._event_time(events[-1])
        now, now_ns = self._now(), self._wall_ns()
        age = max(0.0, (now_ns - (fill.since_ns if at_ns is None else at_ns)) / 1e9)
        self._questions.note_filled([topic] * len(events), events)
        if self._streams.put_filled(topic, events, inlets, age, now, now_ns):
            counters.routed += len(events)
        else:
            counters.unrouted += len(events)

    def _hand_out_held(self, filling: Filling) -> None:
        topic, counters = filling.fill.topic, self._holder.counters
        for place, held in enumerate(filling.fill.held):
            if filling.came:
                readers = self._readers(topic)
                since = tuple(inlet for inlet in readers if filling.came.get(inlet, 0) <= place)
                self._streams.set_readers(topic, since)
            size = len(held.events)
            routed = self._streams.hand_out([topic] * size, held.events, held.received_ns, held.at, held.size)
            counters.routed += routed
            counters.unrouted += size - routed
        if filling.came:
            self._streams.set_readers(topic, None)

    def _readers(self, topic: Topic) -> tuple[Inlet, ...]:
        route = self._line.table.routes.get(topic)
        return () if route is None else route.inlets

    def _key(self, topic: Topic, event: Any) -> Hashable | None:
        try:
            key = self._holder.venue.duplicate_key(topic, event)
            hash(key)
        except Exception:  # a defect of the venue's: nothing identifies the event
            return None
        return key

    def _keys(self, topic: Topic, events: Iterable[Any]) -> set[Hashable]:
        return {key for event in events if (key := self._key(topic, event)) is not None}

    def _judge_idle(self) -> None:
        self.is_idle = not (self._fills or self._known)
