"""What a stream is told when its line goes and comes: real buffers, and no actor."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.delivery.arrivals import Right
from actors.delivery.inlet import Inlet
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.routing import Routing
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route
from actors.events import Gap, Lifecycle, LifecycleState, Topic
from actors.rules.stream_buffer import Origin
from tests.delivery.streams import LINE, TOPICS, A, B, C, new_inlet, read, told, unwant, whole_route, word
from tests.support.batches import batch_of
from tests.support.examples import examples


class Story:
    """Lines that go and come, with streams that want topics of them.

    A connection speaks for its line while it is there, with a right of its own, else the dispatcher does.
    The state goes from one to the other as it does by letter.
    """

    def __init__(self) -> None:
        self.routing = Routing()
        self.epoch = 0
        self.attempt = 0
        self.ids = itertools.count(1)
        self.numbers = itertools.count(1)
        self.now = itertools.count(10, 10)
        self.speakers: dict[str, LineDelivery] = {}

    # ── who wants what ──

    def stream(self, *topics: Topic) -> Inlet:
        inlet = new_inlet("block", id=next(self.ids))
        self.add(inlet, *topics)
        return inlet

    def add(self, inlet: Inlet, *topics: Topic) -> None:
        for topic in self.routing.want(inlet, topics):
            if topic in self.routing.line_of:
                self.route(topic)

    def leave(self, inlet: Inlet, *topics: Topic) -> None:
        for topic in unwant(self.routing, inlet.id, topics):
            if topic in self.routing.line_of:
                self.route(topic)

    def place(self, *topics: Topic, line: str = LINE) -> None:
        for topic in topics:
            self.routing.line_of[topic] = line
            self.route(topic)

    def route(self, topic: Topic) -> None:
        speaker = self.speaker(self.routing.line_of[topic])
        come, gone = speaker.table.set(topic, whole_route(self.routing, topic, next(self.numbers)))
        now_ns = next(self.now)
        speaker.attached(topic, come, now_ns)
        speaker.detached(topic, gone, now_ns)

    # ── lines ──

    def speaker(self, line: str = LINE) -> LineDelivery:
        """Who speaks for the line now: the dispatcher, until a connection does."""
        if line not in self.speakers:
            table = self.routing.line(line).table
            self.speakers[line] = LineDelivery(line, self.epoch, self.routing.right, table, DeliveryState())
        return self.speakers[line]

    def start(self, *, line: str = LINE) -> None:
        """A connection begins; its data may come."""
        self.epoch += 1
        former = self.speaker(line)
        state = former.state.copy()
        state.begin_epoch(self.epoch)
        self.speakers[line] = LineDelivery(line, self.epoch, Right(), former.table, state)

    def settle(self, *topics: Topic, line: str = LINE) -> None:
        self.speaker(line).settle(topics, next(self.now))

    def up(self, *topics: Topic) -> None:
        """A whole start that goes well."""
        self.start()
        self.settle(*topics)

    def change(self, state: LifecycleState, *, since_ns: int = 1, line: str = LINE) -> None:
        """The line is down: its connection has handed its state back."""
        self.attempt += state == "reconnecting"
        former = self.speaker(line)
        if former.right is not self.routing.right:
            former.right.valid = False
        self.speakers[line] = speaker = LineDelivery(
            line, former.epoch, self.routing.right, former.table, former.state
        )
        speaker.reconcile()
        speaker.lose(state, self.attempt, "why", since_ns, next(self.now))

    def event(self, topic: Topic, event: str) -> None:
        speaker = self.speaker(self.routing.line_of[topic])
        for inlet in speaker.table.routes[topic].inlets:
            inlet.put(speaker.right, batch_of([(topic, event)], Origin(1, self.epoch, 1)), 0.0)


def gaps(inlet: Inlet) -> list[Gap]:
    """The gaps among what waits."""
    return [item for item in read(inlet) if isinstance(item, Gap)]


# ── a line goes and comes ───────────────────────────────────────────────────────────────────────


def test_a_loss_is_told_in_its_order() -> None:
    story = Story()
    quotes = story.stream(A)
    story.place(A)
    story.up(A)
    story.event(A, "before")
    story.change("disconnected", since_ns=7)
    story.change("reconnecting")
    story.change("reconnecting")
    story.up(A)
    story.event(A, "after")
    _, connected, _, disconnected, _, _, restored, gap, _ = items = list(read(quotes))
    assert [word(item) for item in items] == [
        "connecting",
        "connected",
        "before",
        "disconnected",
        "reconnecting",
        "reconnecting",
        "restored",
        "disconnect gap in A",
        "after",
    ]
    assert isinstance(gap, Gap)
    assert (gap.since_ns, gap.epoch) == (7, 2)
    assert gap.until_ns > gap.since_ns
    assert isinstance(connected, Lifecycle)
    assert isinstance(disconnected, Lifecycle)
    assert isinstance(restored, Lifecycle)
    assert (connected.epoch, disconnected.epoch, restored.epoch) == (1, 1, 2)
    assert (connected.attempt, disconnected.attempt, restored.attempt) == (0, 0, 2)
    assert disconnected.reason == "why"


def test_a_stream_that_had_nothing_of_its_line_is_not_blind_when_the_line_goes() -> None:
    story = Story()
    other, late = story.stream(B), story.stream(A)
    story.place(A, B)
    story.up(B)
    story.change("disconnected")
    assert story.speaker().state.blind_streams.keys() == {other.id}
    story.leave(late, A)
    assert story.speaker().state.blind_streams.keys() == {other.id}


def test_restored_waits_for_every_topic_of_the_stream() -> None:
    story = Story()
    both, one = story.stream(A, B), story.stream(A)
    story.place(A, B)
    story.up(A, B)
    story.change("disconnected")
    story.change("reconnecting")
    told(both)
    told(one)
    story.start()
    story.settle(A)
    story.event(A, "early")
    assert told(one) == ["restored", "disconnect gap in A", "early"]
    assert told(both) == ["disconnect gap in A", "early"]  # one slow answer holds no data back
    story.settle(B)
    assert told(both) == ["restored", "disconnect gap in B"]


def test_each_topic_has_one_gap_behind_restored() -> None:
    story = Story()
    stream = story.stream(A, B, C)
    story.place(A, B, C)
    story.up(A, B, C)
    story.change("disconnected")
    told(stream)
    story.up(A, B, C)
    assert told(stream) == ["restored", *(f"disconnect gap in {key}" for key in "ABC")]


def test_a_second_death_before_restored_is_one_outage() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.place(A, B)
    story.up(A, B)
    told(stream)
    story.change("disconnected", since_ns=7)
    story.change("reconnecting")
    story.start()  # reached the venue, and died before it answered
    story.change("disconnected", since_ns=9)
    story.change("reconnecting")
    story.up(A, B)
    items = list(read(stream))
    assert [word(item) for item in items] == [
        "disconnected",
        "reconnecting",
        "reconnecting",
        "restored",
        "disconnect gap in A",
        "disconnect gap in B",
    ]
    assert {item.since_ns for item in items if isinstance(item, Gap)} == {7}  # unseen since the first death


def test_a_death_amid_the_replay_leaves_a_second_gap_where_data_came_between() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.place(A, B)
    story.up(A, B)
    story.change("disconnected", since_ns=7)
    story.start()
    story.settle(A)
    story.event(A, "between")
    story.change("disconnected", since_ns=9)
    former = gaps(stream)
    story.up(A, B)
    items = list(read(stream))
    assert [word(item) for item in items] == ["restored", "disconnect gap in A", "disconnect gap in B"]
    since = [(gap.topic, gap.since_ns) for gap in (*former, *items) if isinstance(gap, Gap)]
    assert since == [(A, 7), (A, 9), (B, 7)]


def test_two_outages_are_told_apart() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.up(A)
    told(stream)
    for _ in range(2):
        story.change("disconnected")
        story.up(A)
        assert told(stream) == ["disconnected", "restored", "disconnect gap in A"]


def test_a_parked_line_is_told_and_the_stream_stays() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.up(A)
    story.change("disconnected")
    story.change("failed")
    story.up(A)
    assert told(stream)[2:] == ["disconnected", "failed", "restored", "disconnect gap in A"]


def test_another_line_is_no_business_of_this_stream() -> None:
    story = Story()
    here, there = story.stream(A), story.stream(B)
    story.place(A)
    story.place(B, line="o2/b")
    story.up(A)
    told(here)
    assert told(there) == ["connecting"]
    story.change("disconnected")
    story.change("reconnecting")
    assert told(there) == []
    assert told(here) == ["disconnected", "reconnecting"]


def test_a_connection_of_the_past_says_nothing() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.up(A)
    former = story.speaker()
    state = former.state.copy()
    story.change("disconnected")
    told(stream)
    past = LineDelivery(LINE, 1, former.right, former.table, state)  # it does not know that it was given up
    past.lose("disconnected", 0, "", 1, 2)
    past.settle((A,), 3)
    past.missed((A,), "sequence", 1, 4)
    assert told(stream) == []
    story.up(A)
    assert told(stream) == ["restored", "disconnect gap in A"]


def test_an_answer_that_comes_twice_is_told_once() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.place(A, B)
    story.up(A, B)
    story.change("disconnected")
    told(stream)
    story.start()
    story.settle(A, A, B)
    story.settle(A)
    assert told(stream) == ["restored", "disconnect gap in A", "disconnect gap in B"]
    assert story.speaker().state.gaps == 2


def test_what_a_venue_skipped_is_marked_where_it_is_followed() -> None:
    story = Story()
    first, other = story.stream(A), story.stream(B)
    story.place(A, B)
    story.up(A, B)
    told(first)
    told(other)
    story.speaker().missed([A, C], "sequence", 3, 50)
    assert list(read(first)) == [Gap(A, "sequence", 3, 50, 50, story.epoch)]
    assert told(other) == []


# ── who comes, and when ─────────────────────────────────────────────────────────────────────────


def test_a_stream_that_comes_before_its_line_is_told_when_it_is_there() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.change("reconnecting")  # the first attempt failed
    story.up(A)
    story.event(A, "first")
    # There is no gap: it missed nothing.
    assert told(stream) == ["connecting", "reconnecting", "connected", "first"]


def test_a_stream_that_comes_while_the_line_is_down_is_told_when_it_is_there() -> None:
    story = Story()
    early = story.stream(A)
    story.place(A)
    story.up(A)
    story.change("disconnected")
    late = story.stream(A)
    story.change("reconnecting")
    story.up(A)
    assert told(late) == ["disconnected", "reconnecting", "connected"]
    assert told(early)[-2:] == ["restored", "disconnect gap in A"]


def test_a_stream_that_comes_while_the_line_is_up_is_told_so_and_reads() -> None:
    story = Story()
    story.stream(A)
    story.place(A)
    story.up(A)
    stream = story.stream(A)
    story.event(A, "next")
    connected, event = read(stream)
    assert connected == Lifecycle(LINE, "connected", 1, 0, "", 30)
    assert word(event) == "next"


@pytest.mark.parametrize("present", ["disconnected", "reconnecting", "failed", "paused"])
def test_a_stream_that_comes_is_told_what_its_line_was_told_last(present: LifecycleState) -> None:
    story = Story()
    first = story.stream(A)
    story.place(A)
    story.up(A)
    story.change("disconnected")
    if present != "disconnected":
        story.change(present)
    *_, last = read(first)
    second = story.stream(A)
    assert list(read(second)) == [last]
    story.start()
    third = story.stream(A)  # its connection has logged in, and no topic is answered
    assert list(read(third)) == [last]
    story.settle(A)
    assert (told(second), told(third)) == (["connected"], ["connected"])


def test_a_line_that_is_to_try_again_tells_so_and_one_that_has_never_tried_does_not_repeat_it() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.change("connecting")
    assert told(stream) == ["connecting"]
    story.change("failed")
    story.change("connecting")
    assert told(stream) == ["failed", "connecting"]
    assert told(story.stream(A)) == ["connecting"]


def test_a_further_topic_of_the_same_line_tells_nothing_and_one_of_another_line_does() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A, B)
    story.place(C, line="o2/c")
    story.up(A, B)
    told(stream)
    story.add(stream, B)
    assert told(stream) == []
    story.add(stream, C)
    assert told(stream) == ["connecting"]


def test_a_stream_that_comes_back_to_a_line_is_told_its_state_again() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.up(A)
    told(stream)
    story.leave(stream, A)
    story.change("disconnected")
    story.change("failed")
    assert told(stream) == []
    story.add(stream, A)
    assert told(stream) == ["failed"]


def test_a_stream_is_told_the_state_of_its_line_once_by_all_that_hold_it() -> None:
    """A connection, one that takes over from it, and each dispatcher."""
    story = Story()
    stream = story.stream(A)
    story.place(A)
    for holder in range(3):
        story.up(A)
        story.speaker().introduce(100)
        assert told(stream) == ["connecting", "connected"] * (holder == 0)


def test_a_stream_whose_route_no_holder_has_taken_is_told_by_the_next_one() -> None:
    """A connection ends, and leaves the change unread."""
    story = Story()
    story.place(A)
    story.up(A)
    stream = new_inlet("block")
    story.speaker().table.set(A, Route(1, (stream,)))
    story.speaker().introduce(100)
    assert told(stream) == ["connected"]


def test_who_waits_for_a_topic_to_start_anew_has_missed_nothing_of_it() -> None:
    story = Story()
    first = story.stream(A)
    story.place(A)
    story.up(A)
    second = story.stream(A)
    story.speaker().state.joining[A] = {second.id}
    told(first)
    assert told(second) == ["connected"]
    story.speaker().missed([A], "unknown", None, 50)
    assert (told(first), told(second)) == (["unknown gap in A"], [])
    story.change("disconnected")
    story.up(A)
    assert told(first) == ["disconnected", "restored", "disconnect gap in A"]
    assert told(second) == ["disconnected", "restored"]
    story.speaker().interrupt([A], 60)
    story.settle(A)
    assert (told(first), told(second)) == (["disconnect gap in A"], [])


# ── who goes ────────────────────────────────────────────────────────────────────────────────────


def test_who_leaves_the_last_unanswered_topic_is_restored() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.place(A, B)
    story.up(A, B)
    story.change("disconnected")
    story.start()
    story.settle(A)
    told(stream)
    story.leave(stream, B)
    assert told(stream) == ["restored"]


def test_who_leaves_a_line_that_is_down_is_not_told_that_it_is_back() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.place(A)
    story.place(B, line="o2/b")
    story.up(A)
    story.change("disconnected")
    told(stream)
    story.leave(stream, A)
    assert told(stream) == []


def test_who_leaves_altogether_hears_nothing_more() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.up(A)
    told(stream)
    story.leave(stream, A)
    story.change("disconnected")
    story.event(A, "unseen")
    story.up(A)
    assert told(stream) == []
    assert (story.routing.subscribers, story.routing.by_topic) == ({}, {})
    assert (story.speaker().table.inlets, story.speaker().table.topics) == ({}, {})
    assert (story.speaker().state.outages, story.speaker().state.blind_streams) == ({}, {})


def test_who_leaves_while_joining_joins_no_more() -> None:
    story = Story()
    story.stream(A)
    story.place(A, B)
    story.up(A, B)
    second = story.stream(A, B)
    state = story.speaker().state
    state.joining[A] = {second.id}
    story.leave(second, A)
    assert state.joining == {A: set()}


def test_a_topic_that_is_lifted_leaves_no_trace() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A, B)
    story.up(A, B)
    story.change("disconnected")
    speaker = story.speaker()
    story.leave(stream, A)
    speaker.table.remove(A)
    speaker.lifted(A)
    assert (speaker.state.blind, speaker.state.joining) == ({B: 1}, {})


def test_a_topic_that_is_lifted_before_it_is_back_is_a_gap_for_those_that_had_it() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.up(A)
    story.change("disconnected")
    later = story.stream(A)
    assert (len(told(stream)), told(later)) == (3, ["disconnected"])
    story.speaker().mark_lifted(A, 50)
    [gap] = list(read(stream))
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.since_ns) == ("unknown", 1)
    assert told(later) == []


# ── the state changes hands ─────────────────────────────────────────────────────────────────────


def test_what_left_while_the_state_was_away_is_waited_for_no_more() -> None:
    """A connection ends before it has learned that a stream left a topic that another still wants."""
    story = Story()
    both, other = story.stream(A, B), story.stream(B)
    gone = story.stream(A)
    story.place(A, B)
    story.up(A, B)
    story.change("disconnected")
    story.start()
    story.settle(A)  # and none for B
    away = story.speaker().state.copy()
    away.joining[B] = {both.id}
    story.leave(both, B)
    story.leave(gone, A)
    story.speaker().state = away  # it comes back
    story.change("reconnecting")
    state = story.speaker().state
    assert state.outages.keys() == state.blind_streams.keys() == {both.id, other.id}
    assert state.joining == {B: set()}
    told(both)
    told(other)
    story.start()
    story.settle(A)
    assert told(both) == ["restored", "disconnect gap in A"]
    assert told(other) == []
    story.settle(B)
    assert (told(both), told(other)) == ([], ["restored", "disconnect gap in B"])


def test_another_connection_that_takes_over_waits_for_no_topic_that_was_left() -> None:
    story = Story()
    both, other = story.stream(A, B), story.stream(B)
    story.place(A, B)
    story.up(A, B)
    story.change("disconnected")
    story.start()
    away = story.speaker().state.copy()
    story.leave(both, B)
    told(both)
    told(other)
    story.speaker().state = away  # it comes back, and goes to the candidate
    story.speaker().reconcile()
    story.start()
    story.settle(A)
    assert told(both) == ["restored", "disconnect gap in A"]


def test_what_came_while_the_state_was_away_is_waited_for() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A, B)
    story.up(A, B)
    story.change("disconnected")
    story.start()
    away = story.speaker().state.copy()
    story.add(stream, B)
    story.speaker().state = away
    story.change("reconnecting")
    told(stream)
    story.start()
    story.settle(A)
    assert told(stream) == ["disconnect gap in A"]
    story.settle(B)
    assert told(stream) == ["restored"]


def test_words_of_a_new_epoch_are_newer_than_all_of_former_ones() -> None:
    story = Story()
    stream = story.stream(A)
    story.place(A)
    story.up(A)
    former = story.speaker().state.copy()
    for _ in range(50):  # what it said before it was given up; its last letter is missing
        former.next_number()
    late = Lifecycle(LINE, "restored", 1, 0, "", 1)
    stream.put_lifecycle(story.routing.right, late, former.number)
    story.speaker().state.end_epoch(1)
    story.change("disconnected")
    assert told(stream) == ["connecting", "connected", "restored", "disconnected"]
    stream.put_lifecycle(story.routing.right, late, former.next_number())
    assert told(stream) == []


# ── a connection that takes over ────────────────────────────────────────────────────────────────


def test_what_a_candidate_has_no_answer_for_is_blind_until_it_has() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.place(A, B)
    story.up(A, B)
    told(stream)
    story.start()
    story.speaker().interrupt([B], 100)  # it was wanted too late for it
    assert told(stream) == []
    story.settle(B)
    assert told(stream) == ["disconnect gap in B"]
    assert story.speaker().state.gaps == 1


# ── any order ───────────────────────────────────────────────────────────────────────────────────


class AnyOrder(RuleBasedStateMachine):
    """Streams come and go while one line does: nothing is missed in silence, and what is told is true.

    Each event says the number of the connection that brought it. A reader that follows a topic reads
    either the next event of the same connection, or a gap comes first.
    """

    topics = st.sampled_from(TOPICS)

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.story.place(*TOPICS)
        self.live = False  # a connection is there
        self.streams: dict[Inlet, set[Topic]] = {}
        self.since: dict[Inlet, dict[Topic, int]] = {}  # the connection whose events it follows
        self.words: dict[Inlet, str] = defaultdict(str)

    @precondition(lambda self: len(self.streams) < 4)
    @rule(wants=st.sets(topics, min_size=1))
    def come(self, wants: set[Topic]) -> None:
        inlet = self.story.stream(*sorted(wants))
        self.streams[inlet] = set(wants)
        self.since[inlet] = {}

    @precondition(lambda self: self.streams)
    @rule(topic=topics, data=st.data())
    def widen(self, topic: Topic, data: st.DataObject) -> None:
        inlet = data.draw(st.sampled_from(list(self.streams)))
        self.story.add(inlet, topic)
        self.streams[inlet].add(topic)

    @precondition(lambda self: self.streams)
    @rule(topic=topics, data=st.data())
    def narrow(self, topic: Topic, data: st.DataObject) -> None:
        inlet = data.draw(st.sampled_from(list(self.streams)))
        self.read_from(inlet)
        self.story.leave(inlet, topic)
        self.streams[inlet].discard(topic)
        self.since[inlet].pop(topic, None)
        self.read_from(inlet)
        if not self.streams[inlet]:
            del self.streams[inlet]

    @precondition(lambda self: not self.live)
    @rule()
    def connect(self) -> None:
        self.story.start()
        self.live = True

    @precondition(lambda self: self.live)
    @rule(topics=st.lists(topics, max_size=3))
    def answer(self, topics: list[Topic]) -> None:
        self.story.settle(*topics)

    @precondition(lambda self: self.live)
    @rule(topic=topics)
    def event(self, topic: Topic) -> None:
        if topic in self.story.speaker().state.settled:
            self.story.event(topic, str(self.story.epoch))

    @rule(word=st.sampled_from(["disconnected", "reconnecting", "failed", "paused"]))
    def change(self, word: LifecycleState) -> None:
        if self.live or word != "disconnected":
            self.story.change("disconnected" if self.live else word)
            self.live = False

    def read_from(self, inlet: Inlet) -> None:
        follows = self.since[inlet]
        for item in read(inlet):
            if isinstance(item, Gap):
                assert item.topic in self.streams[inlet]
                follows.pop(item.topic, None)
            elif isinstance(item, Lifecycle):
                self.words[inlet] = item.state
            else:
                assert isinstance(item, tuple)
                topic, event = item
                assert follows.setdefault(topic, int(event)) == int(event), "an outage without a gap"

    @invariant()
    def each_stream_is_told_the_truth(self) -> None:
        state = self.story.speaker().state
        for inlet, wants in self.streams.items():
            self.read_from(inlet)
            if self.live and wants <= state.settled:
                assert self.words[inlet] in {"connected", "restored"}
                assert inlet.id not in state.outages
            if not self.live:
                assert self.words[inlet] not in {"", "connected", "restored"}
        assert self.live or not state.up
        assert state.blind_streams.keys() <= {inlet.id for inlet in self.streams}

    def teardown(self) -> None:
        if not self.live:
            self.connect()
        self.answer(list(TOPICS))
        self.each_stream_is_told_the_truth()
        assert self.story.speaker().state.outages == {}
        assert not any(self.story.speaker().state.blind_streams.values())


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
