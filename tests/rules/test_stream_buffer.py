"""What a full stream gives up, held against a model that remembers everything."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events import Closed, Gap, Lifecycle, Marker, Repaired, Topic
from actors.rules.stream_buffer import (
    FIRST,
    HANDFUL,
    BatchRun,
    ConflatingBuffer,
    FifoBuffer,
    GapRun,
    Origin,
    Place,
    Policy,
    StreamBuffer,
)
from tests.support.batches import Pair, batch_of
from tests.support.examples import examples
from tests.support.line_count import effort

A, B, C = TOPICS = tuple(Topic("o2", "trades", key) for key in "ABC")


class Event(NamedTuple):
    """Number `n` of its topic, number `seq` of all; `start` counts how often its topic began anew."""

    topic: Topic
    n: int
    seq: int
    start: int
    place: Place
    beyond: bool = False


def lifecycle(number: int) -> Lifecycle:
    return Lifecycle("o2", "failed", 1, number, "", 0)


class Mark(NamedTuple):
    """One marker that was put: how many events came before it, and how many of each topic."""

    seq: int
    puts: Counter[Topic]
    gap: Topic | None  # of a run of gaps; None: a word
    last: int = 0  # the number of the last gap of the run, which all of them bear in `until_ns`


class Witness:
    """Puts into a mailbox and takes out of it, and knows what must have become of every event."""

    def __init__(self, mailbox: StreamBuffer) -> None:
        self.mailbox = mailbox
        self.puts: Counter[Topic] = Counter()
        self.seq = 0
        self.starts: Counter[Topic] = Counter()
        self.marks: list[Mark] = []  # each has its number in it: a word as its attempt, a gap as `since_ns`
        self.batches = 0
        self.beyond = 0  # events outside the capacity that have not been taken
        self.out: list[Event | Marker] = []

    # ── what may happen ──

    def put(self, topics: list[Topic]) -> None:
        """The part of a batch that is meant for this mailbox: every second event of it."""
        if topics:
            indexes = range(1, 2 * len(topics), 2)
            self.mailbox.put(batch_of(self._batch(topics, indexes), self._origin, indexes))

    def _batch(self, topics: list[Topic], indexes: range, *, beyond: bool = False) -> list[Pair]:
        self.batches += 1
        pairs: list[Pair] = []
        for topic, index in zip(topics, indexes, strict=True):
            self.seq += 1
            self.puts[topic] += 1
            place = self.batches, index
            event = Event(topic, self.puts[topic], self.seq, self.starts[topic], place, beyond)
            pairs.append((topic, event))
        return pairs

    @property
    def _origin(self) -> Origin:
        return Origin(1_000 + self.batches, 1, self.batches)

    def mark(self) -> None:
        self.marks.append(Mark(self.seq, self.puts.copy(), None))
        self.mailbox.mark(lifecycle(len(self.marks)))

    def gaps(self, topics: list[Topic]) -> None:
        """A line is back after an outage."""
        spans = []
        last = len(self.marks) + len(topics)
        for topic in topics:
            self.marks.append(Mark(self.seq, self.puts.copy(), topic, last))
            spans.append((topic, len(self.marks)))
        if spans:
            self.mailbox.mark_gaps(GapRun(spans, "disconnect", 2_000 + len(self.marks), 1))

    def resume(self, topic: Topic) -> None:
        if isinstance(self.mailbox, FifoBuffer):
            self.starts[topic] += 1
            self.mailbox.resume(topic)

    def whole(self, topic: Topic, count: int) -> None:
        """A reader that was cut, or a newcomer, gets what makes the topic whole."""
        if isinstance(self.mailbox, FifoBuffer) and self.mailbox._deltas:
            self.resume(topic)
            self.beyond += count
            pairs = self._batch([topic] * count, range(count), beyond=True)
            self.mailbox.put_beyond(batch_of(pairs, self._origin), 0.0)

    def overflow(self, on: bool) -> None:
        if isinstance(self.mailbox, FifoBuffer):
            self.mailbox.overflowing = on

    def take(self) -> Event | Marker | None:
        place, hand = self.mailbox.peek_order(), self.mailbox.hand
        taken: Event | Marker | None = None if hand else self.mailbox.reach()
        if taken is not None:
            assert place == FIRST
        elif hand:
            topic = self.mailbox.reached_for.topics[-len(hand)]
            event: Event = hand.popleft()
            assert (event.topic, event.place) == (topic, place)
            assert event.place[0] == self.mailbox.origin.order
            self.beyond -= event.beyond
            taken = event
        else:
            assert place is None
            return None
        self.out.append(taken)
        return taken

    def take_events(self, count: int) -> None:
        while count and (taken := self.take()) is not None:
            count -= isinstance(taken, Event)

    def drain(self) -> None:
        for topic in TOPICS:
            self.resume(topic)
        while self.take() is not None:
            pass

    # ── what must be so ──

    def counters_reconcile(self) -> None:
        it = self.mailbox
        assert it.received == sum(self.puts.values())
        assert it.received == it.delivered + it.dropped + it.conflated + it.queued
        assert it.delivered_and_queued() == (it.delivered, it.queued)
        assert it.delivered == sum(isinstance(item, Event) for item in self.out)
        assert min(it.delivered, it.dropped, it.conflated, it.queued, it.gaps) >= 0

    def every_loss_is_marked_in_its_place(self) -> None:
        seen: Counter[Topic] = Counter()
        last_marker = 0
        for item in self.out:
            if isinstance(item, Gap) and item.reason == "overflow":
                assert item.missed is not None
                assert item.since_ns <= item.until_ns
                seen[item.topic] += item.missed
            elif isinstance(item, Event):
                seen[item.topic] += 1
                assert seen[item.topic] == item.n, "out of order, or lost without a word"
                assert last_marker == 0 or item.seq > self.marks[last_marker - 1].seq
            elif isinstance(item, Lifecycle | Gap):
                last_marker += 1
                mark = self.marks[last_marker - 1]
                number, topic = (item.since_ns, item.topic) if isinstance(item, Gap) else (item.attempt, None)
                assert (number, topic) == (last_marker, mark.gap)
                assert seen == mark.puts, "not where it was put"
        assert seen == self.puts
        assert last_marker == len(self.marks)
        self.gaps_are_counted()

    def gaps_are_counted(self) -> None:
        gaps = [item for item in self.out if isinstance(item, Gap)]
        assert self.mailbox.gaps == len(gaps)
        if all(gap.reason == "overflow" for gap in gaps):
            assert sum(gap.missed or 0 for gap in gaps) == self.mailbox.dropped

    def deltas_are_cut_not_picked(self) -> None:
        """Of each start of a topic there is a beginning, without a hole."""
        delivered: dict[tuple[Topic, int], list[int]] = defaultdict(list)
        for item in self.out:
            if isinstance(item, Event):
                delivered[item.topic, item.start].append(item.n)
        for numbers in delivered.values():
            assert numbers == list(range(numbers[0], numbers[-1] + 1))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.sampled_from(TOPICS), max_size=8)),
        st.tuples(st.just("take_events"), st.integers(1, 6)),
        st.tuples(st.just("mark")),
        st.tuples(st.just("gaps"), st.lists(st.sampled_from(TOPICS), max_size=3, unique=True)),
        st.tuples(st.just("resume"), st.sampled_from(TOPICS)),
        st.tuples(st.just("whole"), st.sampled_from(TOPICS), st.integers(1, 6)),
        st.tuples(st.just("overflow"), st.booleans()),
    ),
    max_size=40,
)


def play(witness: Witness, steps: list[tuple[Any, ...]]) -> None:
    mailbox = witness.mailbox
    for verb, *words in steps:
        before = mailbox.queued - witness.beyond
        getattr(witness, verb)(*words)
        witness.counters_reconcile()
        gives_up = isinstance(mailbox, FifoBuffer) and (mailbox._policy != "block" or mailbox.overflowing)
        if gives_up:
            assert mailbox.queued - witness.beyond <= max(mailbox.capacity, before)


policies: st.SearchStrategy[Policy] = st.sampled_from(["block", "drop_oldest", "drop_newest"])
capacities = st.integers(1, 10)
handfuls = st.integers(1, 5)


def line_of(capacity: int, policy: Policy, handful: int, *, deltas: bool) -> FifoBuffer:
    line = FifoBuffer(capacity, policy, deltas=deltas)
    line.handful = handful
    return line


@settings(max_examples=examples(400))
@given(policies, capacities, handfuls, steps)
def test_a_line_accounts_for_every_event(
    policy: Policy, capacity: int, handful: int, steps: list[tuple[Any, ...]]
) -> None:
    witness = Witness(line_of(capacity, policy, handful, deltas=False))
    play(witness, steps)
    witness.drain()
    witness.every_loss_is_marked_in_its_place()


@settings(max_examples=examples(400))
@given(policies, capacities, handfuls, steps)
def test_a_line_of_deltas_accounts_for_every_event(
    policy: Policy, capacity: int, handful: int, steps: list[tuple[Any, ...]]
) -> None:
    witness = Witness(line_of(capacity, policy, handful, deltas=True))
    play(witness, steps)
    witness.drain()
    witness.every_loss_is_marked_in_its_place()
    witness.deltas_are_cut_not_picked()


@given(capacities, handfuls, steps)
def test_a_blocking_line_gives_up_nothing_of_its_own_accord(
    capacity: int, handful: int, steps: list[tuple[Any, ...]]
) -> None:
    mailbox = line_of(capacity, "block", handful, deltas=False)
    play(Witness(mailbox), [step for step in steps if step[0] != "overflow"])
    assert mailbox.dropped == 0


class Between(NamedTuple):
    """What the markers between two events say, whether or not some of them were merged."""

    event: Event | None  # behind them; None: nothing is
    missed: dict[Topic, int | None]
    spans: dict[Topic, tuple[int, int]]
    last_word: int


def told(out: list[Event | Marker]) -> list[Between]:
    between: list[Between] = []
    missed, spans, word = dict[Topic, int | None](), dict[Topic, tuple[int, int]](), 0
    for item in (*out, None):
        if isinstance(item, Gap):
            former = missed.get(item.topic, 0)
            missed[item.topic] = None if former is None or item.missed is None else former + item.missed
            since, until = spans.get(item.topic, (item.since_ns, item.until_ns))
            spans[item.topic] = min(since, item.since_ns), max(until, item.until_ns)
        elif isinstance(item, Lifecycle):
            word = item.attempt
        elif item is None or isinstance(item, Event):
            between.append(Between(item, missed, spans, word))
            missed, spans, word = {}, {}, 0
    return between


@settings(max_examples=examples(400))
@given(policies, st.booleans(), capacities, handfuls, st.integers(1, 12), steps)
def test_markers_between_the_same_two_events_merge_and_no_event_is_touched(
    policy: Policy, deltas: bool, capacity: int, handful: int, bound: int, steps: list[tuple[Any, ...]]
) -> None:
    """Held against the same mailbox without a bound."""
    witness = Witness(line_of(capacity, policy, handful, deltas=deltas))
    twin = Witness(line_of(capacity, policy, handful, deltas=deltas))
    witness.mailbox.marker_bound = bound
    for step in steps:
        play(witness, [step])
        play(twin, [step])
        assert stays_small(witness.mailbox)
    for each in (witness, twin):
        each.drain()
        each.mailbox.mark(Closed("the end"))
        each.drain()
        each.counters_reconcile()
        each.gaps_are_counted()
        assert each.out[-1] == Closed("the end")
    assert told(witness.out) == told(twin.out)


def stays_small(mailbox: StreamBuffer) -> bool:
    """At most twice what it is after a merge, and what the last put added."""
    assert isinstance(mailbox, FifoBuffer)
    items = [*mailbox._front, *mailbox._items]
    markers = sum(len(item) if isinstance(item, GapRun) else not isinstance(item, BatchRun) for item in items)
    assert mailbox._markers == markers
    places = sum(isinstance(item, BatchRun) for item in items) + 2
    most = max(mailbox.marker_bound, mailbox._merge_at, 2 * places * (len(TOPICS) + 1))
    return markers <= most + len(TOPICS)


# ── the newest of each topic ────────────────────────────────────────────────────────────────────


@settings(max_examples=examples(400))
@given(steps, st.sampled_from([10_000, 1, 3]))
def test_a_conflater_keeps_the_newest_in_its_place(steps: list[tuple[Any, ...]], bound: int) -> None:
    mailbox = ConflatingBuffer(10)
    mailbox.marker_bound = bound
    witness = Witness(mailbox)
    for step in steps:
        play(witness, [step])
        assert mailbox.queued <= len(TOPICS)
        after_a_merge = 2 * len(TOPICS) + 1  # two gaps of each topic, and a word of one line
        assert len(mailbox._items) - mailbox.queued <= max(bound, 2 * after_a_merge)
    witness.mailbox.mark(Closed("the end"))
    witness.drain()
    assert witness.out[-1] == Closed("the end")
    witness.counters_reconcile()
    witness.gaps_are_counted()
    newest: Counter[Topic] = Counter()
    markers_seen = word_seen = 0
    gaps_seen: Counter[Topic] = Counter()  # by topic: the number of the newest
    for item in witness.out:
        if isinstance(item, Event):
            assert item.n > newest[item.topic]
            newest[item.topic] = item.n
            before = [(number, mark) for number, mark in enumerate(witness.marks, 1) if mark.seq < item.seq]
            own = [mark.last for _, mark in before if mark.gap == item.topic]
            assert gaps_seen[item.topic] == max(own, default=0), "on the other side of a gap of its topic"
            words = [number for number, mark in before if mark.gap is None]
            assert word_seen <= max(words, default=0), "behind a word it came before"
            assert bound < 10_000 or markers_seen == len(before), "not where it was put"
        elif isinstance(item, Gap):
            assert bound < 10_000 or item.since_ns == markers_seen + 1
            markers_seen = item.since_ns
            gaps_seen[item.topic] = item.until_ns - 2_000  # of the newest of those that were merged
        elif isinstance(item, Lifecycle):
            assert bound < 10_000 or item.attempt == markers_seen + 1
            assert item.attempt > word_seen
            markers_seen = word_seen = item.attempt
    words = [number for number, mark in enumerate(witness.marks, 1) if mark.gap is None]
    assert word_seen == max(words, default=0)


def test_what_is_replaced_keeps_its_turn() -> None:
    witness = Witness(ConflatingBuffer(10))
    witness.put([A, B])
    for _ in range(100):
        witness.put([A])
    witness.put([C, A])
    witness.drain()
    assert [(item.topic, item.n) for item in witness.out if isinstance(item, Event)] == [
        (A, 102),
        (B, 1),
        (C, 1),
    ]


@pytest.mark.parametrize(("put", "read"), [(3, [1, 2, 3]), (4, [3, 4])])
def test_markers_among_events_are_merged_by_their_own_number(put: int, read: list[int]) -> None:
    """Three may wait; the events that wait beside them do not count."""
    mailbox = ConflatingBuffer(10)
    mailbox.marker_bound = 3
    witness = Witness(mailbox)
    witness.put([A, B, C])
    for _ in range(put):
        witness.mark()
    assert mailbox.peek_order() == (1, 1)
    witness.put([A])
    witness.drain()
    assert [item.attempt for item in witness.out if isinstance(item, Lifecycle)] == read
    assert [_short(item) for item in witness.out] == ["B1", "C1", *(["marker"] * len(read)), "A2"]


def test_merged_markers_of_a_conflater_keep_the_last_word_of_each_line() -> None:
    mailbox = ConflatingBuffer(1)
    mailbox.marker_bound = 4
    other, end = Lifecycle("o2/2", "failed", 1, 2, "", 0), Closed("the end")
    for marker in (lifecycle(1), other, end, lifecycle(3), lifecycle(4)):
        mailbox.mark(marker)
    assert [mailbox.reach() for _ in range(5)] == [other, end, lifecycle(3), lifecycle(4), None]


def test_a_conflated_event_has_its_place_until_it_is_taken_from_the_hand() -> None:
    mailbox = ConflatingBuffer(10)
    mailbox.put(batch_of([(A, "event")], Origin(1, 1, 3), (7,)))
    assert mailbox.peek_order() == (3, 7)
    assert mailbox.reach() is None
    assert mailbox.peek_order() == (3, 7)
    mailbox.hand.popleft()
    assert mailbox.peek_order() is None


def test_a_conflater_is_roomy_while_half_of_it_is_free() -> None:
    witness = Witness(ConflatingBuffer(4))
    witness.put([A, B])
    assert witness.mailbox.roomy
    witness.put([C])
    assert not witness.mailbox.roomy


# ── stories of single losses ────────────────────────────────────────────────────────────────────


def tale(mailbox: StreamBuffer, *batches: list[Topic], marks_after: int = -1) -> list[object]:
    witness = Witness(mailbox)
    for number, batch in enumerate(batches):
        witness.put(batch)
        if number == marks_after:
            witness.mark()
    witness.drain()
    return [_short(item) for item in witness.out]


def _short(item: Event | Marker) -> object:
    if isinstance(item, Event):
        return f"{item.topic.key}{item.n}"
    return (item.topic.key, item.missed) if isinstance(item, Gap) else "marker"


def test_drop_oldest_shows_the_gap_first() -> None:
    assert tale(FifoBuffer(2, "drop_oldest", deltas=False), [A, B], [A, B]) == [
        ("A", 1),
        ("B", 1),
        "A2",
        "B2",
    ]


def test_drop_newest_shows_the_gap_last() -> None:
    assert tale(FifoBuffer(2, "drop_newest", deltas=False), [A, B], [A, B]) == [
        "A1",
        "B1",
        ("A", 1),
        ("B", 1),
    ]


def test_a_marker_stays_between_two_gaps() -> None:
    told = tale(FifoBuffer(1, "drop_oldest", deltas=False), [A], [A], [A], marks_after=0)
    assert told == [("A", 1), "marker", ("A", 1), "A3"]


def test_a_batch_larger_than_the_mailbox_keeps_its_end() -> None:
    assert tale(FifoBuffer(2, "drop_oldest", deltas=False), [A, A, A, A, A]) == [("A", 3), "A4", "A5"]


def test_a_flapping_line_costs_a_stream_without_a_reader_no_event() -> None:
    """700 losses, five orders between two of them."""
    mailbox, events = FifoBuffer(100_000, "block", deltas=False), 0
    for life in range(700):
        mailbox.put(batch_of([(A, events + each) for each in range(5)], Origin(life, life, life), range(5)))
        events += 5
        for marker in flap(life):
            mailbox.mark(marker)
    assert (mailbox.received, mailbox.queued, mailbox.dropped, mailbox.gaps) == (3_500, 3_500, 0, 700)
    for life in range(700):
        assert mailbox.reach() is None
        assert [mailbox.hand.popleft() for _ in range(5)] == [5 * life + each for each in range(5)]
        markers = []
        while mailbox.peek_order() == FIRST:
            markers.append(mailbox.reach())
        assert set(flap(life)[1:]) <= set(markers) <= set(flap(life))  # merged, the newest word is left
        assert len(markers) == (2 if life < 600 else len(set(markers)))
    assert mailbox.reach() is None


def flap(life: int) -> list[Marker]:
    down = Lifecycle("o2", "disconnected", life, 1, "", life)
    up = Lifecycle("o2", "restored", life, 1, "", life)
    return [down, up, Gap(A, "disconnect", None, life, life, life)]


def test_outages_without_an_event_between_them_stay_one_gap_for_each_topic() -> None:
    """Not one of them for each outage: nobody reads, and the line flaps."""
    mailbox = FifoBuffer(10, "block", deltas=False)
    mailbox.marker_bound = 50
    topics = [Topic("o2", "trades", str(number)) for number in range(20)]
    for life in range(1, 201):
        mailbox.mark(Lifecycle("o2", "disconnected", life, 1, "", life))
        mailbox.mark_gaps(GapRun([(topic, 10 * life) for topic in topics], "disconnect", 10 * life + 5, life))
        assert mailbox._markers <= 100
    out: list[Marker] = []
    while (marker := mailbox.reach()) is not None:
        out.append(marker)
    gaps = [marker for marker in out if isinstance(marker, Gap)]
    assert len(gaps) == mailbox.gaps <= 100
    for topic in topics:
        mine = [gap for gap in gaps if gap.topic == topic]
        assert (min(gap.since_ns for gap in mine), max(gap.until_ns for gap in mine)) == (10, 2_005)
    assert [marker.epoch for marker in out if isinstance(marker, Lifecycle)][-1] == 200


def test_a_run_lies_outside_the_capacity_and_behind_the_gap() -> None:
    mailbox = FifoBuffer(2, "drop_newest", deltas=True)
    witness = Witness(mailbox)
    witness.put([A, B, A])
    assert (mailbox.cut, mailbox.full) == ({A}, True)
    witness.take_events(2)
    witness.whole(A, 5)
    assert not mailbox.full
    assert mailbox.roomy
    witness.put([A, B])
    assert mailbox.dropped == 1
    witness.drain()
    assert [_short(item) for item in witness.out] == [
        *("A1", "B1", ("A", 1)),
        *("A3", "A4", "A5", "A6", "A7"),
        *("A8", "B2"),
    ]


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ([], ["five", "six"]),
        ([lifecycle(1), Gap(B, "sequence", 1, 0, 0, 1)], ["five", "six"]),
        ([Gap(A, "sequence", 1, 0, 0, 1)], ["six", "five"]),  # it must not go before what it follows
        ([GapRun([(B, 0), (A, 0)], "disconnect", 0, 1)], ["six", "five"]),
        ([GapRun([(A, 0)], "disconnect", 0, 1)], ["six", "five"]),
        ([GapRun([(B, 0)], "disconnect", 0, 1)], ["five", "six"]),
    ],
)
def test_what_arrived_before_and_was_put_later_stands_where_it_arrived(
    between: list[Marker | GapRun], expected: list[str]
) -> None:
    """Two lines fill one stream."""
    mailbox = FifoBuffer(10, "block", deltas=False)
    mailbox.put(batch_of([(B, "four")], Origin(4, 1, 4), (0,)))
    mailbox.put(batch_of([(B, "six")], Origin(6, 1, 6), (0,)))
    for marker in between:
        if isinstance(marker, GapRun):
            mailbox.mark_gaps(GapRun(marker.spans, marker.reason, marker.until_ns, marker.epoch))
        else:
            mailbox.mark(marker)
    mailbox.put(batch_of([(A, "five")], Origin(5, 1, 5), (0,)))
    mailbox.put(batch_of([(A, "seven")], Origin(7, 1, 7), (0,)))
    out = []
    while mailbox.peek_order() is not None:
        if mailbox.reach() is None:
            out.append(mailbox.hand.popleft())
    assert out == ["four", *expected, "seven"]


def test_the_events_of_a_run_keep_their_own_receipt() -> None:
    mailbox = FifoBuffer(10, "block", deltas=True)
    old, new = Origin(5, 1, 3), Origin(9, 2, 8)
    mailbox.put_beyond(batch_of([(A, "whole")], old), 0.0)
    mailbox.put(batch_of([(A, "change")], new, (4,)))
    places, origins = [], []
    for _ in range(2):
        places.append(mailbox.peek_order())
        assert mailbox.reach() is None
        mailbox.hand.popleft()
        origins.append(mailbox.origin)
    assert (places, origins) == ([(3, 0), (8, 4)], [old, new])


def test_what_is_no_longer_wanted_is_not_cut() -> None:
    mailbox = FifoBuffer(1, "drop_newest", deltas=True)
    witness = Witness(mailbox)
    witness.put([A, A, B])
    assert mailbox.cut == {A, B}
    mailbox.forget(A)
    assert mailbox.cut == {B}
    assert mailbox.peek_order() == (1, 1)
    while witness.take() is not None:
        pass
    assert [_short(item) for item in witness.out] == ["A1", ("A", 1)]


def test_a_run_of_gaps_is_read_one_by_one() -> None:
    for mailbox in (FifoBuffer(1, "block", deltas=False), ConflatingBuffer(1)):
        mailbox.mark_gaps(GapRun([(A, 5), (B, 30)], "disconnect", 20, 2))
        assert mailbox.gaps == 2
        assert mailbox.reach() == Gap(A, "disconnect", None, 5, 20, 2)
        assert mailbox.peek_order() == FIRST
        assert mailbox.reach() == Gap(B, "disconnect", None, 30, 30, 2)  # it ends no earlier than it began
        assert mailbox.peek_order() is None
        assert mailbox.reach() is None


def test_beyond_a_hundred_tries_a_line_takes_one_place() -> None:
    for mailbox in (FifoBuffer(1, "block", deltas=False), ConflatingBuffer(1)):
        for attempt in range(1, 5_001):
            mailbox.mark(Lifecycle("o2", "reconnecting", 1, attempt, "", 0))
        told = []
        while isinstance(item := mailbox.reach(), Lifecycle):
            told.append(item.attempt)
        assert told == [*range(1, 100), 5_000]  # the last number says how many there were


def test_merged_gaps_tell_what_is_known_of_all_of_them() -> None:
    mailbox = ConflatingBuffer(1)
    mailbox.marker_bound = 2
    mailbox.mark(Gap(A, "overflow", 3, 10, 20, 1))
    mailbox.mark(Gap(A, "overflow", 4, 30, 40, 2))
    mailbox.mark(Gap(B, "disconnect", None, 30, 40, 2))
    assert mailbox.reach() == Gap(A, "overflow", 7, 10, 40, 2)
    assert mailbox.reach() == Gap(B, "disconnect", None, 30, 40, 2)
    assert mailbox.gaps == 2


def merging(*markers: Marker) -> list[Marker]:
    """What is read of these, if the next one is one too many."""
    mailbox = FifoBuffer(10, "block", deltas=False)
    mailbox.marker_bound = len(markers)
    for marker in markers:
        mailbox.mark(marker)
    mailbox.put(batch_of([(A, "event")], Origin(1, 1, 1), (0,)))
    mailbox.mark(lifecycle(9))
    out: list[Marker] = []
    while (read := mailbox.reach()) is not None:
        out.append(read)
    return out


def test_the_repair_of_a_gap_stays_with_it_and_not_with_one_that_was_joined() -> None:
    first, second = (Gap(A, "disconnect", None, since, since + 5, 1) for since in (0, 10))
    other = Gap(B, "disconnect", None, 0, 5, 1)
    repaired, also = Repaired(first, 0, True), Repaired(other, 0, True)
    assert merging(first, repaired, other, also) == [first, other, repaired, also]
    joined = Gap(A, "disconnect", None, 0, 15, 1)
    assert merging(first, repaired, second) == [joined]
    assert merging(first, repaired, second, Repaired(second, 0, True)) == [joined]


def test_a_conflater_keeps_no_repair_of_gaps_that_it_has_joined() -> None:
    mailbox = ConflatingBuffer(1)
    mailbox.marker_bound = 3
    first, second = (Gap(A, "disconnect", None, since, since + 5, 1) for since in (0, 10))
    for marker in (first, Repaired(first, 0, True), second, Repaired(second, 0, True)):
        mailbox.mark(marker)
    every = list(iter(mailbox.reach, None))
    assert every == [Gap(A, "disconnect", None, 0, 15, 1), Repaired(second, 0, True)]


def test_two_gaps_of_a_topic_are_merged_and_a_word_follows_them() -> None:
    assert merging(Gap(A, "sequence", 1, 0, 5, 1), Gap(A, "sequence", 2, 5, 9, 1)) == [
        Gap(A, "sequence", 3, 0, 9, 1)
    ]
    unknown = Gap(A, "disconnect", None, 0, 5, 1)
    assert merging(lifecycle(1), unknown, lifecycle(2)) == [unknown, lifecycle(2)]


def test_what_is_merged_says_what_each_said() -> None:
    other, end = Lifecycle("o2/2", "failed", 1, 2, "", 0), Closed("the end")
    assert merging(lifecycle(1), other, end, lifecycle(3)) == [lifecycle(3), other, end]
    hole, loss = Gap(A, "sequence", 1, 0, 5, 1), Gap(A, "overflow", 2, 5, 9, 1)
    assert merging(hole, loss) == [Gap(A, "unknown", 3, 0, 9, 1)]


def test_markers_that_cannot_be_merged_cost_as_much_each_however_many_wait() -> None:
    def fill(count: int) -> int:
        mailbox = FifoBuffer(10 * count, "block", deltas=False)
        mailbox.marker_bound = 10

        def flap() -> None:
            for number in range(count):
                mailbox.put(batch_of([(A, number)], Origin(number, 1, number), (0,)))
                mailbox.mark(lifecycle(number))

        return effort(flap)

    assert fill(2_000) < 3 * fill(1_000)  # 4 times, if each were merged with all before it


def test_the_same_of_topics_that_a_conflating_stream_has_given_up() -> None:
    """Their gaps wait, and the bound is that of the few topics that are left."""

    def fill(count: int) -> int:
        mailbox = ConflatingBuffer(10)
        mailbox.marker_bound = 10
        topics = [Topic("o2", "trades", str(number)) for number in range(count)]

        def lose() -> None:
            for topic in topics:
                mailbox.mark(Gap(topic, "disconnect", None, 1, 2, 1))

        return effort(lose)

    assert fill(2_000) < 3 * fill(1_000)


def test_events_that_just_fit_leave_the_hand_alone() -> None:
    mailbox = line_of(4, "drop_oldest", 2, deltas=False)
    witness = Witness(mailbox)
    witness.put([A, A, A])
    assert mailbox.reach() is None
    witness.put([B])
    assert (len(mailbox.hand), mailbox.queued, mailbox.dropped) == (2, 4, 0)


def test_runs_beyond_the_capacity_count_for_nothing_where_they_wait_and_in_the_hand() -> None:
    mailbox = line_of(2, "drop_newest", 4, deltas=True)
    witness = Witness(mailbox)
    witness.whole(A, 2)
    witness.whole(B, 3)
    witness.put([C])
    assert not mailbox.full
    assert mailbox.reach() is None
    assert len(mailbox.hand) == 2
    witness.put([C])
    assert (mailbox.full, mailbox.dropped, mailbox.queued) == (True, 0, 7)


def test_a_loss_behind_the_last_event_is_told_once_that_has_been_read() -> None:
    mailbox = line_of(1, "drop_newest", 1, deltas=False)
    witness = Witness(mailbox)
    witness.put([A])
    assert mailbox.reach() is None
    witness.put([A])  # the first is still in the hand
    while witness.take() is not None:
        pass
    assert [_short(item) for item in witness.out] == ["A1", ("A", 1)]


@pytest.mark.parametrize(("capacity", "handful"), [(1, 1), (31, 1), (32, 2), (160, 10), (100_000, HANDFUL)])
def test_a_reader_takes_a_small_part_of_what_the_buffer_may_hold(capacity: int, handful: int) -> None:
    mailbox = FifoBuffer(capacity, "block", deltas=False)
    Witness(mailbox).put([A] * capacity)
    assert mailbox.reach() is None
    assert len(mailbox.hand) == handful


def test_a_loss_goes_on_growing_while_older_markers_are_read() -> None:
    mailbox = line_of(2, "drop_oldest", 1, deltas=False)
    witness = Witness(mailbox)
    witness.put([A])
    witness.mark()
    for _ in range(3):
        witness.put([A])  # the first is lost before the marker, the second behind it
    witness.take()
    witness.put([A])
    witness.drain()
    assert [_short(item) for item in witness.out] == [("A", 1), "marker", ("A", 2), "A4", "A5"]


def test_events_that_are_called_back_from_the_hand_keep_their_places() -> None:
    mailbox = line_of(6, "drop_oldest", 4, deltas=False)
    mailbox.put(batch_of([(A, number) for number in range(6)], Origin(1, 1, 5), range(10, 16)))
    assert mailbox.reach() is None
    mailbox.hand.popleft()  # three are left in it
    mailbox.put(batch_of([(A, number) for number in (6, 7)], Origin(2, 1, 6), range(2)))
    assert mailbox.reach() == Gap(A, "overflow", 1, 1, 1, 1)
    assert mailbox.peek_order() == (5, 12)


class Contested(deque[int]):
    """A hand whose reader takes the next event after each that the mailbox takes back."""

    def __init__(self, events: Iterable[int], read: list[int]) -> None:
        super().__init__(events)
        self._read = read

    def popleft(self) -> int:
        return self._let_read(super().popleft())

    def pop(self) -> int:  # type: ignore[override]
        return self._let_read(super().pop())

    def _let_read(self, taken: int) -> int:
        if self:
            self._read.append(super().popleft())
        return taken


def test_events_called_back_under_a_reader_s_hand_keep_their_order() -> None:
    mailbox = FifoBuffer(160, "drop_oldest", deltas=False)
    mailbox.put(batch_of([(A, number) for number in range(160)], Origin(1, 1, 1), range(160)))
    mailbox.reach()
    assert len(mailbox.hand) == 10
    assert mailbox.peek_order() == (1, 0)
    read: list[int] = []
    mailbox.hand = Contested(mailbox.hand, read)
    mailbox.put(batch_of([(A, 160), (A, 161)], Origin(2, 1, 2), range(2)))
    assert mailbox.peek_order() is not None
    kept = mailbox.received - mailbox.dropped
    mailbox.hand = deque()
    lost = 0
    while (item := mailbox.reach()) is not None or mailbox.hand:
        if isinstance(item, Gap):
            lost += item.missed or 0
        read += [mailbox.hand.popleft() for _ in range(len(mailbox.hand))]
    assert read == sorted(set(read))
    assert (len(read), len(read) + lost) == (kept, mailbox.received)
    assert (mailbox.delivered, mailbox.dropped, mailbox.queued) == (kept, lost, 0)


# ── into the hand of a reader that waits ──


def in_hand(buffer: FifoBuffer) -> list[object]:
    place = buffer.peek_order()
    topic = buffer.reached_for.topics[-len(buffer.hand)] if buffer.hand else None
    counts = buffer.received, buffer.delivered, buffer.queued, buffer.dropped
    return [list(buffer.hand), place, topic, buffer.origin, buffer.roomy, buffer.full, *counts]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4), st.booleans()), max_size=12),
    st.integers(1, 6),
    st.sampled_from(["block", "drop_oldest", "drop_newest"]),
)
def test_what_is_put_into_the_hand_is_as_if_it_had_been_put_and_reached(
    steps: list[tuple[int, int, bool]], handful: int, policy: Policy
) -> None:
    """`steps`: events of a batch, how many of the hand are taken after it, and whether a marker follows."""
    direct, usual = (FifoBuffer(6, policy, deltas=False) for _ in range(2))
    direct.handful = usual.handful = handful
    for order, (count, taken, is_marked) in enumerate(steps, 1):
        batch = batch_of([(A, (order, place)) for place in range(count)], Origin(order, 1, order))
        was_empty = usual.peek_order() is None
        assert direct.put_in_hand(batch) == (was_empty and count <= handful)
        if not was_empty or count > handful:
            direct.put(batch)
        usual.put(batch)
        if was_empty and count <= handful:
            assert usual.reach() is None
        assert in_hand(direct) == in_hand(usual)
        for buffer in (direct, usual):
            if is_marked:
                buffer.mark(lifecycle(order))
            for _ in range(taken):
                if not buffer.hand:
                    buffer.reach()
                if buffer.hand:
                    buffer.hand.popleft()
        assert in_hand(direct) == in_hand(usual)


def test_nothing_is_put_into_the_hand_before_what_it_has_to_follow() -> None:
    late = batch_of([(A, 1)], Origin(1, 1, 1))
    newest = batch_of([(A, 2)], Origin(2, 1, 2))
    buffer = FifoBuffer(64, "block", deltas=True)
    assert buffer.put_in_hand(newest)
    buffer.hand.clear()
    assert not buffer.put_in_hand(late)  # another line's, which began before
    buffer.cut.add(A)
    assert not buffer.put_in_hand(newest)
