"""One stream's buffer and those who write into it: rights, words, and back-pressure as a level."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.delivery.inlet import Inlet, Put, Waker
from actors.events import Closed, Gap, Lifecycle, LifecycleState
from actors.rules.stream_buffer import MARKERS, GapRun, Origin, Policy
from tests.delivery.streams import A, B, Writer, new_inlet, read, told
from tests.support.batches import batch_of
from tests.support.examples import examples

ORIGIN = Origin(1_000, 1, 1)


def word(state: LifecycleState, line: str = "o2") -> Lifecycle:
    return Lifecycle(line, state, 1, 1, "", 1)


def put(writer: Writer, *events: str, now: float = 0.0) -> Put:
    """Each event begins with the key of its topic."""
    return writer.put([({"A": A, "B": B}[event[0]], event) for event in events], ORIGIN, now=now)


# ── rights ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "conflate"])
def test_a_writer_without_its_right_changes_nothing(policy: Policy) -> None:
    inlet = new_inlet(policy, deltas=policy == "block")
    former, present = Writer(inlet), Writer(inlet)
    put(present, "A1")
    former.right.valid = False  # it wakes up, and goes on with its batch
    assert put(former, "A2") is Put.REFUSED
    former.mark(Gap(A, "unknown", None, 0, 0, 1))
    inlet.mark_gaps(former.right, GapRun([(A, 1)], "disconnect", 2, 1))
    inlet.put_lifecycle(former.right, word("restored"), 1_000)
    inlet.put_run(former.right, A, [batch_of([(A, "A3")], ORIGIN)])
    inlet.put_lifecycle(present.right, word("disconnected"), 1)  # the number of the other counts for nothing
    assert told(inlet) == ["A1", "disconnected"]
    assert inlet.status().received == 1


def test_closed_is_the_last_item_from_every_writer() -> None:
    inlet = new_inlet()
    writer = Writer(inlet)
    put(writer, "A1")
    inlet.close("enough", quiet=True)
    inlet.close("once more", quiet=False)
    assert put(writer, "A2") is Put.REFUSED
    writer.mark(Gap(A, "unknown", None, 0, 0, 1))
    inlet.mark_gaps(writer.right, GapRun([(A, 1)], "disconnect", 2, 1))
    inlet.put_lifecycle(writer.right, word("restored"), 1)
    assert not inlet.put_run(writer.right, A, [batch_of([(A, "A3")], ORIGIN)])
    assert (list(read(inlet)), inlet.quiet) == ([(A, "A1"), Closed("enough")], True)


def test_a_word_that_is_not_newer_than_the_last_of_its_line_is_dropped() -> None:
    inlet = new_inlet()
    right = Writer(inlet).right
    for state, number, line in (
        ("disconnected", 5, "o2"),
        ("reconnecting", 5, "o2"),
        ("connected", 4, "o2"),
        ("paused", 1, "o2/b"),
        ("restored", 6, "o2"),
    ):
        inlet.put_lifecycle(right, word(state, line), number)  # type: ignore[arg-type]
    assert told(inlet) == ["disconnected", "paused", "restored"]


def test_a_reader_of_several_streams_is_woken_by_each() -> None:
    inlet = new_inlet()
    writer, waker = Writer(inlet), Waker()
    inlet.wakers = (waker,)
    for act in (
        lambda: put(writer, "A1"),
        lambda: writer.mark(word("restored")),
        lambda: inlet.mark_gaps(writer.right, GapRun([(A, 1)], "disconnect", 2, 1)),
        lambda: inlet.put_lifecycle(writer.right, word("restored"), 1),
        lambda: inlet.close("enough", quiet=True),
    ):
        act()
        assert waker.wait(0.0)
        assert not waker.wait(0.0)


def test_more_topics_have_more_markers() -> None:
    inlet = new_inlet()
    inlet.set_topics(1_000)
    assert inlet.status().topics == 1_000
    assert inlet.buffer.marker_bound >= MARKERS + 1_000


# ── deltas ──────────────────────────────────────────────────────────────────────────────────────


def test_a_run_stands_behind_the_gap_of_what_was_lost_and_outside_the_capacity() -> None:
    inlet = new_inlet("drop_newest", 2, deltas=True)
    writer = Writer(inlet)
    assert put(writer, "A1", "A2") is Put.ACCEPTED
    assert put(writer, "A3") is Put.CUT
    assert (inlet.cut(), inlet.is_roomy) == ((A,), False)
    assert inlet.put_run(
        writer.right, A, [batch_of([(A, "A0"), (A, "A1")], ORIGIN), batch_of([(A, "A2")], ORIGIN)]
    )
    assert inlet.cut() == ()
    assert told(inlet) == ["A1", "A2", "overflow gap in A", "A0", "A1", "A2"]


def test_a_run_holds_no_line() -> None:
    inlet = new_inlet("block", 4, deltas=True)
    writer = Writer(inlet)
    inlet.put_run(writer.right, A, [batch_of([(A, f"A{number}") for number in range(100)], ORIGIN)])
    assert put(writer, "A100") is Put.ACCEPTED
    assert not inlet.pauses


def test_what_is_no_longer_wanted_need_not_start_anew() -> None:
    inlet = new_inlet("drop_newest", 1, deltas=True)
    put(Writer(inlet), "A1", "A2", "B1")
    inlet.forget(A)
    assert inlet.cut() == (B,)


def test_a_full_stream_with_a_topic_that_was_cut_asks_for_a_pause_all_the_same() -> None:
    """Else it would grow without end while the topic waits to start again."""
    inlet = new_inlet("block", 2, deltas=True)
    writer = Writer(inlet)
    assert put(writer, "B1", "B2") is Put.PAUSE
    inlet.overflow(writer.right, inlet.full_since)
    assert put(writer, "A1") is Put.CUT
    told(inlet)
    assert put(writer, "B3") is Put.CUT
    assert put(writer, "B4") is Put.PAUSE
    assert told(inlet) == ["B3", "B4"]


# ── back-pressure ───────────────────────────────────────────────────────────────────────────────


def test_it_asks_for_a_pause_from_full_until_half_empty() -> None:
    inlet = new_inlet("block", 4)
    writer = Writer(inlet)
    assert put(writer, "A1", "A2", "A3", now=1.0) is Put.ACCEPTED
    assert put(writer, "A4", now=2.0) is Put.PAUSE
    assert put(writer, "A5", now=3.0) is Put.PAUSE  # what had been read before
    assert inlet.full_since == 2.0
    items = read(inlet)
    for _ in range(2):
        next(items)
        assert inlet.pauses
    next(items)
    assert not inlet.pauses
    items.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "conflate"])
def test_other_policies_hold_no_line(policy: Policy) -> None:
    inlet = new_inlet(policy, 1)
    assert put(Writer(inlet), "A1", "B1", "A2") is Put.ACCEPTED
    assert not inlet.pauses


def test_an_overflow_is_over_when_it_is_half_empty() -> None:
    inlet = new_inlet("block", 4)
    writer = Writer(inlet)
    put(writer, "A1", "A2", "A3", "A4")
    inlet.overflow(writer.right, inlet.full_since)
    assert not inlet.pauses
    assert put(writer, "A5") is Put.ACCEPTED
    items = read(inlet)
    for _ in range(2):
        next(items)
    items.close()  # type: ignore[attr-defined]
    assert put(writer, "A6", "A7") is Put.PAUSE
    assert told(inlet) == ["A3", "A4", "overflow gap in A", "A6", "A7"]
    assert inlet.status().dropped == 1


class AnyOrder(RuleBasedStateMachine):
    """Two lines fill one blocking stream: a line waits if and only if the stream asks for it."""

    lines = st.sampled_from(["one", "two"])
    most = 5  # events of one read

    @initialize(capacity=st.integers(1, 12))
    def begin(self, capacity: int) -> None:
        self.inlet: Inlet = new_inlet("block", capacity)
        self.writers = {line: Writer(self.inlet) for line in ("one", "two")}
        self.waiting: set[str] = set()
        self.ended = 0  # connections that ended; each of their successors reads once
        self.numbers = 0
        self.lost = 0
        self.overflowing = False
        self.expected: list[int] = []
        self.now = 0.0
        self.full_since: float | None = None

    @property
    def capacity(self) -> int:
        return self.inlet.capacity

    @precondition(lambda self: self.inlet.end is None)
    @rule(line=lines, count=st.integers(1, most))
    def read_socket(self, line: str, count: int) -> None:
        if line in self.waiting:
            return
        self.now += 1
        fresh = list(range(self.numbers, self.numbers + count))
        self.numbers += count
        answer = self.writers[line].put([(A, number) for number in fresh], ORIGIN, now=self.now)
        if self.overflowing:
            room = max(0, self.capacity - len(self.expected))
            self.lost += len(fresh[room:])
            fresh = fresh[:room]
        self.expected += fresh
        if not self.overflowing and self.full_since is None and len(self.expected) >= self.capacity:
            self.full_since = self.now
        assert (answer is Put.PAUSE) == (self.full_since is not None)
        if answer is Put.PAUSE:
            self.waiting.add(line)
            self.inlet.wake_at_room(line, lambda: self.waiting.discard(line))

    @rule(count=st.integers(1, 12))
    def take(self, count: int) -> None:
        """The reader: its hand holds one event at most, for the capacity is small."""
        items = read(self.inlet)
        for item in items:
            if not isinstance(item, tuple):
                continue
            assert item[1] == self.expected.pop(0)
            if len(self.expected) <= self.capacity // 2:
                self.full_since, self.overflowing = None, False
            count -= 1
            if not count:
                break
        items.close()  # type: ignore[attr-defined]

    @precondition(lambda self: self.inlet.end is None)
    @rule()
    def held_for_too_long(self) -> None:
        was_full = self.full_since is not None
        self.inlet.overflow(self.writers["one"].right, self.inlet.full_since)
        if was_full:
            self.overflowing, self.full_since = True, None

    @rule(line=lines)
    def a_line_ends(self, line: str) -> None:
        self.inlet.forget_line(line)
        self.waiting.discard(line)
        self.ended += 1

    @rule(line=lines)
    def a_line_asks_once_more(self, line: str) -> None:
        called: list[str] = []
        self.inlet.wake_at_room("asking", lambda: called.append(line))
        has_room = self.inlet.end is not None or len(self.expected) <= self.capacity // 2
        assert bool(called) == has_room
        self.inlet.forget_line("asking")

    @precondition(lambda self: len(self.expected) > 3)
    @rule()
    def close(self) -> None:
        self.inlet.close("enough", quiet=True)
        self.full_since = None

    @invariant()
    def a_line_waits_only_if_the_stream_asks_for_it(self) -> None:
        assert self.inlet.full_since == self.full_since
        assert not self.waiting or self.inlet.pauses

    @invariant()
    def it_holds_no_more_than_one_read_of_each_line_beyond_its_capacity(self) -> None:
        status = self.inlet.status()
        assert status.queued == len(self.expected) < self.capacity + (2 + self.ended) * self.most
        assert status.received == status.delivered + status.dropped + status.queued
        assert status.dropped == self.lost


TestAnyOrder: Any = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(80), stateful_step_count=40, deadline=None)


def test_a_stream_that_was_cut_has_a_gap_until_its_topic_starts_again() -> None:
    inlet = new_inlet("drop_oldest", 2, deltas=True)
    writer = Writer(inlet)
    assert not inlet.has_unread_gap
    put(writer, "A1", "A2", "A3")
    writer.mark(word("connected"))  # the gap stands before it
    gaps = [item for item in read(inlet) if isinstance(item, Gap)]
    inlet.gaps_read += len(gaps)  # as a stream counts them
    assert (len(gaps), inlet.buffer.gaps) == (1, 1)
    assert inlet.has_unread_gap
    inlet.resume(writer.right, A)
    assert not inlet.has_unread_gap
