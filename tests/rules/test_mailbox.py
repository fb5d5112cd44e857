"""What a full stream gives up, held against a model that remembers everything."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events import Closed, Gap, Lifecycle, Marker, Topic
from actors.rules.mailbox import Conflater, Line, Mailbox, Origin, Pair, Policy

A, B, C = TOPICS = tuple(Topic("o2", "trades", key) for key in "ABC")


class Event(NamedTuple):
    """Number `n` of its topic, number `seq` of all; `start` counts how often its topic began anew."""

    topic: Topic
    n: int
    seq: int
    start: int


def lifecycle(number: int) -> Lifecycle:
    return Lifecycle("o2", "failed", 1, number, "", 0)


class Witness:
    """Puts into a mailbox and takes out of it, and knows what must have become of every event."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.puts: Counter[Topic] = Counter()
        self.seq = 0
        self.starts: Counter[Topic] = Counter()
        self.marks: list[tuple[int, Counter[Topic]]] = []  # what had been put before each marker
        self.batches = 0
        self.out: list[Event | Marker] = []

    # ── what may happen ──

    def put(self, topics: list[Topic]) -> None:
        pairs: list[Pair] = []
        for topic in topics:
            self.seq += 1
            self.puts[topic] += 1
            pairs.append((topic, Event(topic, self.puts[topic], self.seq, self.starts[topic])))
        self.batches += 1
        self.mailbox.put(pairs, Origin(1_000 + self.batches, 1, self.batches))

    def mark(self) -> None:
        self.marks.append((self.seq, self.puts.copy()))
        self.mailbox.mark(lifecycle(len(self.marks)))

    def lose(self, topic: Topic, count: int) -> None:
        """A batch that died with a dispatcher."""
        self.seq += count
        self.puts[topic] += count
        self.mailbox.lose(topic, "dispatcher", count, 0, 0, 1)

    def resume(self, topic: Topic) -> None:
        if isinstance(self.mailbox, Line):
            self.starts[topic] += 1
            self.mailbox.resume(topic)

    def overflow(self, on: bool) -> None:
        if isinstance(self.mailbox, Line):
            self.mailbox.overflowing = on

    def take(self) -> bool:
        order, hand = self.mailbox.peek_order(), self.mailbox.hand
        marker = None if hand else self.mailbox.reach()
        if marker is not None:
            assert order == 0
            self.out.append(marker)
        elif hand:
            assert self.mailbox.origin.order == order
            self.out.append(hand.popleft()[1])
        else:
            assert order is None
            return False
        return True

    def drain(self) -> None:
        for topic in TOPICS:
            self.resume(topic)
        while self.take():
            pass

    # ── what must be so ──

    def books_balance(self) -> None:
        it = self.mailbox
        assert it.received == sum(self.puts.values())
        assert it.received == it.delivered + it.dropped + it.conflated + it.queued
        assert it.delivered == sum(isinstance(item, Event) for item in self.out)
        assert min(it.delivered, it.dropped, it.conflated, it.queued, it.gaps) >= 0

    def every_loss_is_marked_in_its_place(self) -> None:
        seen: Counter[Topic] = Counter()
        last_marker = 0
        for item in self.out:
            if isinstance(item, Gap):
                assert item.missed is not None
                assert item.since_ns <= item.until_ns
                seen[item.topic] += item.missed
            elif isinstance(item, Event):
                seen[item.topic] += 1
                assert seen[item.topic] == item.n, "out of order, or lost without a word"
                assert last_marker == 0 or item.seq > self.marks[last_marker - 1][0]
            elif isinstance(item, Lifecycle):
                last_marker += 1
                assert item.attempt == last_marker
                assert seen == self.marks[last_marker - 1][1], "not where it was put"
        assert seen == self.puts
        assert last_marker == len(self.marks)
        self.gaps_are_counted()

    def gaps_are_counted(self) -> None:
        gaps = [item for item in self.out if isinstance(item, Gap)]
        assert self.mailbox.gaps == len(gaps)
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
        st.tuples(st.just("take"), st.integers(1, 6)),
        st.tuples(st.just("mark")),
        st.tuples(st.just("lose"), st.sampled_from(TOPICS), st.integers(1, 3)),
        st.tuples(st.just("resume"), st.sampled_from(TOPICS)),
        st.tuples(st.just("overflow"), st.booleans()),
    ),
    max_size=40,
)


def play(witness: Witness, steps: list[tuple[Any, ...]]) -> None:
    mailbox = witness.mailbox
    for verb, *words in steps:
        queued = mailbox.queued
        match verb:
            case "take":
                for _ in range(words[0]):
                    witness.take()
            case _:
                getattr(witness, verb)(*words)
        witness.books_balance()
        gives_up = isinstance(mailbox, Line) and (mailbox._policy != "block" or mailbox.overflowing)
        if gives_up:
            assert mailbox.queued <= max(mailbox.capacity, queued)


policies: st.SearchStrategy[Policy] = st.sampled_from(["block", "drop_oldest", "drop_newest"])
capacities = st.integers(1, 10)
handfuls = st.integers(1, 5)


def line_of(capacity: int, policy: Policy, handful: int, *, deltas: bool) -> Line:
    line = Line(capacity, policy, deltas=deltas)
    line.handful = handful
    return line


@settings(max_examples=400)
@given(policies, capacities, handfuls, steps)
def test_a_line_accounts_for_every_event(
    policy: Policy, capacity: int, handful: int, steps: list[tuple[Any, ...]]
) -> None:
    witness = Witness(line_of(capacity, policy, handful, deltas=False))
    play(witness, steps)
    witness.drain()
    witness.every_loss_is_marked_in_its_place()


@settings(max_examples=400)
@given(policies, capacities, handfuls, steps)
def test_a_line_of_deltas_accounts_for_every_event(
    policy: Policy, capacity: int, handful: int, steps: list[tuple[Any, ...]]
) -> None:
    witness = Witness(line_of(capacity, policy, handful, deltas=True))
    play(witness, [step for step in steps if step[0] != "lose"])
    witness.drain()
    witness.every_loss_is_marked_in_its_place()
    witness.deltas_are_cut_not_picked()


@given(capacities, handfuls, steps)
def test_a_blocking_line_gives_up_nothing_of_its_own_accord(
    capacity: int, handful: int, steps: list[tuple[Any, ...]]
) -> None:
    mailbox = line_of(capacity, "block", handful, deltas=False)
    play(Witness(mailbox), [step for step in steps if step[0] not in {"lose", "overflow"}])
    assert mailbox.dropped == 0


@settings(max_examples=400)
@given(policies, st.booleans(), capacities, handfuls, st.integers(1, 12), steps)
def test_a_line_that_nobody_reads_stays_small_and_true(
    policy: Policy, deltas: bool, capacity: int, handful: int, bound: int, steps: list[tuple[Any, ...]]
) -> None:
    mailbox = line_of(capacity, policy, handful, deltas=deltas)
    mailbox.marker_bound = bound
    witness = Witness(mailbox)
    play(witness, [step for step in steps if step[0] != "lose" or not deltas])
    assert mailbox._markers == _waiting_markers(mailbox) <= bound + capacity + len(TOPICS) + 2
    witness.drain()
    mailbox.mark(Closed("the end"))
    witness.drain()
    assert witness.out[-1] == Closed("the end")
    witness.books_balance()
    witness.gaps_are_counted()
    accounted = Counter[Topic]()
    newest = Counter[Topic]()
    for item in witness.out:
        if isinstance(item, Gap):
            accounted[item.topic] += item.missed or 0
        elif isinstance(item, Event):
            accounted[item.topic] += 1
            assert item.n > newest[item.topic]
            newest[item.topic] = item.n
    assert accounted == witness.puts
    if deltas:
        witness.deltas_are_cut_not_picked()


def _waiting_markers(mailbox: Line) -> int:
    return sum(isinstance(item, Marker) for item in (*mailbox._front, *mailbox._items))


# ── the newest of each topic ────────────────────────────────────────────────────────────────────


@settings(max_examples=400)
@given(steps, st.sampled_from([10_000, 1, 3]))
def test_a_conflater_keeps_the_newest_in_its_place(steps: list[tuple[Any, ...]], bound: int) -> None:
    mailbox = Conflater(10)
    mailbox.marker_bound = bound
    witness = Witness(mailbox)
    for step in steps:
        play(witness, [step])
        assert mailbox.queued <= len(TOPICS)
        assert len(mailbox._items) - mailbox.queued <= bound + len(TOPICS) + 1
    witness.mailbox.mark(Closed("the end"))
    witness.drain()
    assert witness.out[-1] == Closed("the end")
    witness.books_balance()
    witness.gaps_are_counted()
    newest: Counter[Topic] = Counter()
    markers_seen = 0
    for item in witness.out:
        if isinstance(item, Event):
            assert item.n > newest[item.topic]
            newest[item.topic] = item.n
            later = [number for number, (seq, _) in enumerate(witness.marks, 1) if seq >= item.seq]
            first_later = later[0] if later else len(witness.marks) + 1
            assert markers_seen >= first_later - 1, "before a marker it came after"
            assert bound < 10_000 or markers_seen == first_later - 1, "behind a marker it came before"
        elif isinstance(item, Lifecycle):
            assert item.attempt > markers_seen
            markers_seen = item.attempt


def test_what_is_replaced_keeps_its_turn() -> None:
    witness = Witness(Conflater(10))
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


# ── stories of single losses ────────────────────────────────────────────────────────────────────


def tale(mailbox: Mailbox, *batches: list[Topic], marks_after: int = -1) -> list[object]:
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
    assert tale(Line(2, "drop_oldest", deltas=False), [A, B], [A, B]) == [("A", 1), ("B", 1), "A2", "B2"]


def test_drop_newest_shows_the_gap_last() -> None:
    assert tale(Line(2, "drop_newest", deltas=False), [A, B], [A, B]) == ["A1", "B1", ("A", 1), ("B", 1)]


def test_a_marker_stays_between_two_gaps() -> None:
    told = tale(Line(1, "drop_oldest", deltas=False), [A], [A], [A], marks_after=0)
    assert told == [("A", 1), "marker", ("A", 1), "A3"]


def test_a_batch_larger_than_the_mailbox_keeps_its_end() -> None:
    assert tale(Line(2, "drop_oldest", deltas=False), [A, A, A, A, A]) == [("A", 3), "A4", "A5"]


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest"])
def test_a_merge_gives_up_deltas_as_an_overflow_does(policy: Policy) -> None:
    mailbox = Line(10, policy, deltas=True)
    mailbox.marker_bound = 2
    witness = Witness(mailbox)
    witness.put([A])
    for _ in range(3):
        witness.mark()  # nobody reads
    assert mailbox.cut == {A}
    witness.put([A])
    witness.drain()
    assert not any(isinstance(item, Event) for item in witness.out)


def test_a_merge_never_gives_up_the_topic_that_starts_anew() -> None:
    mailbox = Line(1, "drop_newest", deltas=True)
    mailbox.marker_bound = 1
    witness = Witness(mailbox)
    witness.mark()
    witness.put([A, A])
    witness.resume(A)
    assert mailbox.cut == set()


def test_beyond_a_hundred_tries_a_line_takes_one_place() -> None:
    for mailbox in (Line(1, "block", deltas=False), Conflater(1)):
        for attempt in range(1, 5_001):
            mailbox.mark(Lifecycle("o2", "reconnecting", 1, attempt, "", 0))
        told = []
        while isinstance(item := mailbox.reach(), Lifecycle):
            told.append(item.attempt)
        assert told == [*range(1, 100), 5_000]  # the last number says how many there were


def test_merged_gaps_tell_what_is_known_of_all_of_them() -> None:
    mailbox = Conflater(1)
    mailbox.marker_bound = 2
    mailbox.mark(Gap(A, "overflow", 3, 10, 20, 1))
    mailbox.mark(Gap(A, "overflow", 4, 30, 40, 2))
    mailbox.mark(Gap(B, "disconnect", None, 30, 40, 2))
    assert mailbox.reach() == Gap(A, "overflow", 7, 10, 40, 2)
    assert mailbox.reach() == Gap(B, "disconnect", None, 30, 40, 2)
    assert mailbox.gaps == 2


class Contested(deque[Pair]):
    """A hand whose reader takes the next event after each that the mailbox takes back."""

    def __init__(self, pairs: Iterable[Pair], read: list[int]) -> None:
        super().__init__(pairs)
        self._read = read

    def popleft(self) -> Pair:
        return self._let_read(super().popleft())

    def pop(self) -> Pair:  # type: ignore[override]
        return self._let_read(super().pop())

    def _let_read(self, taken: Pair) -> Pair:
        if self:
            self._read.append(super().popleft()[1])
        return taken


def test_events_called_back_under_a_reader_s_hand_keep_their_order() -> None:
    mailbox = Line(160, "drop_oldest", deltas=False)
    mailbox.put([(A, number) for number in range(160)], Origin(1, 1, 1))
    mailbox.reach()
    assert len(mailbox.hand) == 10
    read: list[int] = []
    mailbox.hand = Contested(mailbox.hand, read)
    mailbox.put([(A, 160), (A, 161)], Origin(2, 1, 2))
    kept = mailbox.received - mailbox.dropped
    mailbox.hand = deque()
    lost = 0
    while (item := mailbox.reach()) is not None or mailbox.hand:
        if isinstance(item, Gap):
            lost += item.missed or 0
        read += [mailbox.hand.popleft()[1] for _ in range(len(mailbox.hand))]
    assert read == sorted(set(read))
    assert (len(read), len(read) + lost) == (kept, mailbox.received)
    assert (mailbox.delivered, mailbox.dropped, mailbox.queued) == (kept, lost, 0)
