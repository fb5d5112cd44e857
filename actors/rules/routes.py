"""From topic to streams, and what each stream has to be told when its line goes and comes.

A stream is told of its own topics: `restored` when every one of them is answered for again, and
the `Gap` of a topic before the first event that follows it. So a slow answer for one topic does
not hold back another's data.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from actors.events import Gap, GapReason, Lifecycle, Topic
from actors.messages import EventsReceived, LineChanged, TopicsMissed, TopicsSettled
from actors.rules.journal import BlindTime

if TYPE_CHECKING:
    from actors.stream import Inlet, Stream


Held = EventsReceived | TopicsSettled | TopicsMissed


class Flow:
    """How much of what an epoch's connection decoded has been dealt with: its credit.

    `done` is the dispatcher's to write, `waiting` the connection's to set and the dispatcher's to
    clear.
    """

    __slots__ = ("done", "waiting")

    def __init__(self) -> None:
        self.done = 0
        self.waiting = False


class Outage:
    """What a stream waits for on one line before it is told that the line is back."""

    def __init__(self, waiting: Iterable[Topic], word: Literal["connected", "restored"]) -> None:
        self.waiting = set(waiting)
        self.word = word


class LineBook:
    """One line, as far as streams go."""

    def __init__(self) -> None:
        self.flows: dict[int, Flow] = {}  # the epochs whose data is taken
        self.candidate: int | None = None  # the one of them whose data is held until it takes over...
        self.held: deque[Held] = deque()  # ...in its order
        self.holding = 0  # events of it
        self.overlap: dict[Topic, set[Hashable]] = {}  # what the present epoch brought since then
        self.known: dict[Topic, set[Hashable]] = {}  # what the former epoch brought, and this one may too
        self.duplicates = 0  # such events, brought again
        self.topics: set[Topic] = set()
        self.settled: set[Topic] = set()  # answered for in the current epoch
        self.up = False
        self.attempt = 0
        self.routed = 0  # events that reached at least one stream
        self.unrouted = 0  # events that nobody asked for, or of a past epoch
        self.lost = 0  # events that died with a dispatcher
        self.blind: dict[Topic, int] = {}  # topics whose data is interrupted: since when, wall-clock ns
        self.blind_time: dict[Topic, BlindTime] = {}  # of the interruptions that are over
        self.gaps = 0  # interruptions of topics, whether or not a stream was told of them
        self.last_gap: Gap | None = None

    def gap(self, gap: Gap) -> None:
        self.gaps += 1
        self.last_gap = gap

    def begin(self, epoch: int, flow: Flow) -> None:
        """A new life; lives that never upgraded tell no end."""
        self.flows = {epoch: flow}
        self.known = {}
        self.drop_candidate()

    def begin_candidate(self, epoch: int, flow: Flow) -> None:
        self.drop_candidate()
        self.flows[epoch] = flow
        self.candidate = epoch

    def drop_candidate(self) -> None:
        """It does not take over: what it brought is nobody's."""
        if self.candidate is not None:
            self.flows.pop(self.candidate, None)
        self.unrouted += sum(len(held.pairs) for held in self.held if isinstance(held, EventsReceived))
        self.candidate = None
        self.held, self.holding, self.overlap = deque(), 0, {}

    def cut_over(self) -> set[Topic]:
        """The candidate's data is taken from now on, and no other's. What it was not answered for yet."""
        if self.candidate is None:
            return set()
        self.flows = {self.candidate: self.flows[self.candidate]}
        self.candidate = None
        self.known, self.overlap = self.overlap, {}
        answered = {topic for held in self.held if isinstance(held, TopicsSettled) for topic in held.topics}
        unanswered = self.settled - answered
        self.settled -= unanswered
        return unanswered

    def copy(self) -> LineBook:
        copy = LineBook()
        copy.__dict__.update(self.__dict__)
        copy.flows, copy.blind = self.flows.copy(), self.blind.copy()
        copy.held = self.held.copy()
        copy.known = {topic: keys.copy() for topic, keys in self.known.copy().items()}
        copy.overlap = {topic: keys.copy() for topic, keys in self.overlap.copy().items()}
        copy.blind_time = self.blind_time.copy()
        copy.topics, copy.settled = self.topics.copy(), self.settled.copy()
        return copy


class Routes:
    """The dispatcher's book. Not thread-safe: each keeper gets a copy of its own."""

    def __init__(self) -> None:
        self.inlets: dict[int, Inlet] = {}
        self.wants: dict[int, set[Topic]] = {}  # stream: its topics
        self.by_topic: dict[Topic, list[Inlet]] = {}
        self.joining: dict[Topic, list[Inlet]] = {}  # who comes in when the topic starts anew
        self.lines: dict[str, LineBook] = {}
        self.line_of: dict[Topic, str] = {}
        self.outages: dict[tuple[int, str], Outage] = {}
        self.blind: dict[tuple[int, Topic], int] = {}  # since when, wall-clock ns
        self.arrivals = itertools.count(1)  # numbers the batches of all lines, for `merge`
        self.in_hand: EventsReceived | None = None  # the batch being routed
        self.served: set[int] = set()  # streams that got their part of it

    def copy(self) -> Routes:
        """What a new keeper is lent: fresh inlets fence the former one off from the streams."""
        copy = Routes()
        copy.wants = {stream: topics.copy() for stream, topics in self.wants.copy().items()}
        copy.inlets = {id: inlet.stream.open_inlet() for id, inlet in self.inlets.copy().items()}
        copy.by_topic = _moved(self.by_topic, copy.inlets)
        copy.joining = _moved(self.joining, copy.inlets)
        copy.lines = {name: line.copy() for name, line in self.lines.copy().items()}
        copy.line_of = self.line_of.copy()
        copy.outages = {key: Outage(it.waiting, it.word) for key, it in self.outages.copy().items()}
        copy.blind = self.blind.copy()
        copy.arrivals = self.arrivals
        copy.in_hand, copy.served = self.in_hand, self.served.copy()
        return copy

    # ── who wants what ──

    def attach(self, stream: Stream[Any], topics: Iterable[Topic]) -> list[Topic]:
        """Topics of deltas that have to start anew, so that the newcomer can follow them."""
        inlet = self.inlets.get(stream.id)
        if inlet is None:
            inlet = self.inlets[stream.id] = stream.open_inlet()
        wants = self.wants.setdefault(stream.id, set())
        anew = []
        for topic in topics:
            if topic in wants:
                continue
            wants.add(topic)
            if stream.deltas and self._is_settled(topic):
                self.joining.setdefault(topic, []).append(inlet)
                anew.append(topic)
            else:
                self.by_topic.setdefault(topic, []).append(inlet)
            if (line := self.line_of.get(topic)) is not None:
                self._expect(inlet.id, line, topic)
        return anew

    def detach(self, stream: int, topics: Iterable[Topic], now_ns: int) -> Iterator[tuple[Inlet, Lifecycle]]:
        """No more of these; a stream that waited for them alone is told that its line is back."""
        wants = self.wants.get(stream, set())
        for topic in topics:
            wants.discard(topic)
            self.blind.pop((stream, topic), None)
            _remove(self.by_topic, topic, stream)
            _remove(self.joining, topic, stream)
        for key in [key for key in self.outages if key[0] == stream]:
            outage = self.outages[key]
            outage.waiting &= wants
            if not outage.waiting:
                del self.outages[key]
                book = self.line(key[1])
                if wants & book.topics:
                    epoch = max(book.flows, default=0)
                    word = Lifecycle(key[1], outage.word, epoch, book.attempt, "", now_ns)
                    yield self.inlets[stream], word
        if not wants:
            self.wants.pop(stream, None)
            self.inlets.pop(stream, None)

    def place(self, line: str, topics: Iterable[Topic]) -> None:
        book = self.line(line)
        for topic in topics:
            book.topics.add(topic)
            self.line_of[topic] = line
            for inlet in (*self.by_topic.get(topic, ()), *self.joining.get(topic, ())):
                self._expect(inlet.id, line, topic)

    def lift(self, line: str, topics: Iterable[Topic]) -> None:
        book = self.line(line)
        for topic in topics:
            book.topics.discard(topic)
            book.settled.discard(topic)
            book.blind.pop(topic, None)
            book.blind_time.pop(topic, None)
            self.line_of.pop(topic, None)

    def line(self, name: str) -> LineBook:
        book = self.lines.get(name)
        if book is None:
            book = self.lines[name] = LineBook()
        return book

    def lines_of(self, stream: int) -> set[str]:
        """The lines with a connection on which topics of this stream lie."""
        lines = {self.line_of.get(topic, "") for topic in self.wants.get(stream, ())}
        return {line for line in lines if line and self.line(line).flows}

    # ── what happens to a line ──

    def changed(self, report: LineChanged) -> Iterator[tuple[Inlet, Lifecycle]]:
        """Who is to be told of it."""
        book = self.line(report.line)
        settled, book.attempt = book.settled, report.attempt
        if report.state == "connected":
            book.up = True
            return
        book.up = False
        book.flows.pop(report.epoch, None)
        book.settled = set()
        for topic in settled:
            book.blind.setdefault(topic, report.since_ns)
        word = Lifecycle(report.line, report.state, report.epoch, report.attempt, report.reason, report.at_ns)
        for stream, wants in self.wants.items():
            mine = wants & book.topics
            if not mine:
                continue
            for topic in mine & settled:
                self.blind.setdefault((stream, topic), report.since_ns)
            outage = self.outages.get((stream, report.line))
            told_before = outage is not None and outage.word == "restored"
            self.outages[stream, report.line] = Outage(
                mine, "restored" if settled or told_before or report.state == "disconnected" else "connected"
            )
            if report.state != "disconnected" or not told_before:
                yield self.inlets[stream], word

    def cut_over(self, line: str, now_ns: int) -> None:
        """A candidate takes over. Topics that it has no answer for, as they were wanted late, are blind."""
        book = self.line(line)
        for topic in book.cut_over():
            book.blind.setdefault(topic, now_ns)
            for inlet in self.by_topic.get(topic, ()):
                self.blind.setdefault((inlet.id, topic), now_ns)

    def settle(
        self, line: str, epoch: int, topics: Iterable[Topic], now_ns: int
    ) -> Iterator[tuple[Inlet, Lifecycle | Gap]]:
        """These topics are answered for in this epoch: who is to be told what."""
        book = self.line(line)
        if epoch not in book.flows:
            return
        topics = [topic for topic in topics if topic in book.topics]
        book.settled.update(topics)
        for topic in topics:
            since = book.blind.pop(topic, None)
            if since is not None:
                book.gap(Gap(topic, "disconnect", None, since, max(since, now_ns), epoch))
                book.blind_time.setdefault(topic, BlindTime()).add(since, now_ns)
        streams: dict[int, list[Topic]] = {}
        for topic in topics:
            for inlet in self.joining.pop(topic, ()):
                self.by_topic.setdefault(topic, []).append(inlet)
            for inlet in self.by_topic.get(topic, ()):
                inlet.resume(topic)
                streams.setdefault(inlet.id, []).append(topic)
        for stream, settled in streams.items():
            yield from self._settle_stream(stream, line, epoch, settled, now_ns)

    def _settle_stream(
        self, stream: int, line: str, epoch: int, settled: list[Topic], now_ns: int
    ) -> Iterator[tuple[Inlet, Lifecycle | Gap]]:
        inlet = self.inlets[stream]
        outage = self.outages.get((stream, line))
        if outage is not None:
            outage.waiting.difference_update(settled)
            if not outage.waiting:
                del self.outages[stream, line]
                attempt = self.line(line).attempt
                yield inlet, Lifecycle(line, outage.word, epoch, attempt, "", now_ns)
        for topic in settled:
            since = self.blind.pop((stream, topic), None)
            if since is not None:
                yield inlet, Gap(topic, "disconnect", None, since, max(since, now_ns), epoch)

    def missed(
        self, topics: Iterable[Topic], reason: GapReason, missed: int | None, now_ns: int, epoch: int
    ) -> Iterator[tuple[Inlet, Gap]]:
        """At this place something of these topics is missing, for everybody who follows them."""
        for topic in topics:
            if (line := self.line_of.get(topic)) is not None:
                self.line(line).gap(Gap(topic, reason, missed, now_ns, now_ns, epoch))
            for inlet in self.by_topic.get(topic, ()):
                if (inlet.id, topic) not in self.blind:
                    yield inlet, Gap(topic, reason, missed, now_ns, now_ns, epoch)

    def _expect(self, stream: int, line: str, topic: Topic) -> None:
        """A stream that comes while its line is down is told when it is there."""
        book = self.line(line)
        if not book.up and topic not in book.settled:
            outage = self.outages.setdefault((stream, line), Outage((), "connected"))
            outage.waiting.add(topic)

    def _is_settled(self, topic: Topic) -> bool:
        line = self.line_of.get(topic)
        return line is not None and topic in self.line(line).settled


def _remove(table: dict[Topic, list[Inlet]], topic: Topic, stream: int) -> None:
    left = [inlet for inlet in table.get(topic, ()) if inlet.id != stream]
    if left:
        table[topic] = left
    else:
        table.pop(topic, None)


def _moved(table: dict[Topic, list[Inlet]], inlets: dict[int, Inlet]) -> dict[Topic, list[Inlet]]:
    return {
        topic: [inlets[inlet.id] for inlet in former.copy() if inlet.id in inlets]
        for topic, former in table.copy().items()
    }
