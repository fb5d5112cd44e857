"""What a stream is told when its line goes and comes: real streams, and no actor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from actors.rules.routes import Flow, Routes

from actors.events import Gap, Lifecycle, LifecycleState, Marker, SubscriptionState, Topic
from actors.messages import LineChanged, TopicsSettled
from actors.rules.mailbox import Origin, Policy
from actors.stream import Inlet, Stream

A, B, C = (Topic("o2", "trades", key) for key in "ABC")
LINE = "o2"


class StubDesk:
    """A runtime that nobody asks for anything."""

    def widen(self, stream: Stream[Any], keys: Sequence[str], wait: float | None) -> None: ...
    def narrow(self, stream: Stream[Any], keys: Sequence[str]) -> None: ...
    def close(self, stream: Stream[Any]) -> None: ...
    def states(self, topics: Sequence[Topic]) -> dict[Topic, SubscriptionState]:
        return {}


class Story:
    """A dispatcher's work by hand, with one line that goes and comes."""

    def __init__(self) -> None:
        self.routes = Routes()
        self.epoch = 0
        self.attempt = 0
        self.ids = iter(range(1, 100))
        self.now = iter(range(10, 10_000, 10))

    def stream(self, *topics: Topic, policy: Policy = "block", deltas: bool = False) -> Stream[str]:
        desk, id = StubDesk(), next(self.ids)
        stream = Stream[str](id, desk, "o2", "trades", policy, 100, deltas=deltas, on_drained=lambda _: None)
        stream._set_topics(topics)
        self.anew = self.routes.attach(stream, topics)
        return stream

    def placed(self, *topics: Topic, line: str = LINE) -> None:
        self.routes.place(line, topics)

    def start(self, *, line: str = LINE) -> None:
        """A connection begins; its data may come."""
        self.epoch += 1
        self.routes.line(line).flows[self.epoch] = Flow()

    def settle(self, *topics: Topic, line: str = LINE) -> None:
        self.tell(self.routes.settle(line, self.epoch, topics, next(self.now)))

    def up(self, *topics: Topic) -> None:
        """A whole start that goes well."""
        self.start()
        self.settle(*topics)
        self.change("connected")

    def change(self, state: LifecycleState, *, since_ns: int = 1, line: str = LINE) -> None:
        self.attempt += state == "reconnecting"
        report = LineChanged(line, self.epoch, state, self.attempt, "why", since_ns, next(self.now))
        self.tell(self.routes.changed(report))

    def event(self, topic: Topic, event: str) -> None:
        for inlet in self.routes.by_topic.get(topic, ()):
            inlet.put([(topic, event)], Origin(1, self.epoch, 1))

    def detach(self, stream: Stream[str], *topics: Topic) -> None:
        self.tell(self.routes.detach(stream.id, topics, next(self.now)))

    def tell(self, told: Iterable[tuple[Inlet, Marker]]) -> None:
        for inlet, marker in list(told):
            inlet.mark(marker)


def told(stream: Stream[str]) -> list[str]:
    """All that waits in a stream, in a word each."""
    return list(_told(stream))


def _told(stream: Stream[str]) -> Iterator[str]:
    hand = stream._mailbox.hand
    while (item := stream._reach()) is not None or hand:
        match item:
            case None:
                yield hand.popleft()[1]
            case Lifecycle(state=state):
                yield state
            case Gap(topic=topic, reason=reason):
                yield f"{reason} gap in {topic.key}"
            case _:
                yield "closed"


# ── a line goes and comes ───────────────────────────────────────────────────────────────────────


def test_a_loss_is_told_in_its_order() -> None:
    story = Story()
    quotes = story.stream(A)
    story.placed(A)
    story.up(A)
    story.event(A, "before")
    story.change("disconnected", since_ns=7)
    story.change("reconnecting")
    story.change("reconnecting")
    story.up(A)
    story.event(A, "after")
    assert told(quotes) == [
        "connected",
        "before",
        "disconnected",
        "reconnecting",
        "reconnecting",
        "restored",
        "disconnect gap in A",
        "after",
    ]
    (gap,) = quotes.gaps
    assert gap.since_ns == 7
    assert gap.epoch == 2
    assert gap.until_ns > gap.since_ns


def test_restored_waits_for_every_topic_of_the_stream() -> None:
    story = Story()
    both, one = story.stream(A, B), story.stream(A)
    story.placed(A, B)
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
    story.placed(A, B, C)
    story.up(A, B, C)
    story.change("disconnected")
    told(stream)
    story.up(A, B, C)
    assert told(stream) == ["restored", *(f"disconnect gap in {key}" for key in "ABC")]


def test_a_second_death_before_restored_is_one_outage() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.placed(A, B)
    story.up(A, B)
    told(stream)
    story.change("disconnected", since_ns=7)
    story.change("reconnecting")
    story.start()  # reached the venue, and died before it answered
    story.change("disconnected", since_ns=9)
    story.change("reconnecting")
    story.up(A, B)
    assert told(stream) == [
        "disconnected",
        "reconnecting",
        "reconnecting",
        "restored",
        "disconnect gap in A",
        "disconnect gap in B",
    ]
    assert {gap.since_ns for gap in stream.gaps} == {7}  # unseen since the first death


def test_a_death_amid_the_replay_leaves_a_second_gap_where_data_came_between() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.placed(A, B)
    story.up(A, B)
    story.change("disconnected", since_ns=7)
    story.start()
    story.settle(A)
    story.event(A, "between")
    story.change("disconnected", since_ns=9)
    told(stream)
    story.up(A, B)
    assert told(stream) == ["restored", "disconnect gap in A", "disconnect gap in B"]
    since = [(gap.topic, gap.since_ns) for gap in stream.gaps]
    assert since == [(A, 7), (A, 9), (B, 7)]


def test_two_outages_are_told_apart() -> None:
    story = Story()
    stream = story.stream(A)
    story.placed(A)
    story.up(A)
    told(stream)
    for _ in range(2):
        story.change("disconnected")
        story.up(A)
        assert told(stream) == ["disconnected", "restored", "disconnect gap in A"]


def test_a_parked_line_is_told_and_the_stream_stays() -> None:
    story = Story()
    stream = story.stream(A)
    story.placed(A)
    story.up(A)
    story.change("disconnected")
    story.change("failed")
    story.up(A)
    assert told(stream)[1:] == ["disconnected", "failed", "restored", "disconnect gap in A"]


def test_another_line_is_no_business_of_this_stream() -> None:
    story = Story()
    here, there = story.stream(A), story.stream(B)
    story.placed(A)
    story.placed(B, line="o2/b")
    story.up(A)
    told(here)
    story.change("disconnected")
    story.change("reconnecting")
    assert told(there) == []
    assert told(here) == ["disconnected", "reconnecting"]


def test_data_of_a_past_epoch_settles_nothing() -> None:
    story = Story()
    stream = story.stream(A)
    story.placed(A)
    story.up(A)
    story.change("disconnected")
    told(stream)
    story.settle(A)  # an answer that the dead connection had still on its way
    assert told(stream) == []


def test_what_a_venue_skipped_is_marked_where_it_is_followed() -> None:
    story = Story()
    first, other = story.stream(A), story.stream(B)
    story.placed(A, B)
    story.up(A, B)
    told(first)
    told(other)
    story.tell(story.routes.missed([A], "sequence", 3, 50, story.epoch))
    assert told(first) == ["sequence gap in A"]
    assert told(other) == []


# ── who comes, and when ─────────────────────────────────────────────────────────────────────────


def test_a_stream_that_comes_before_its_line_is_told_when_it_is_there() -> None:
    story = Story()
    stream = story.stream(A)
    story.placed(A)
    story.change("reconnecting")  # the first attempt failed
    story.up(A)
    story.event(A, "first")
    assert told(stream) == ["reconnecting", "connected", "first"]  # and no gap: it missed nothing


def test_a_stream_that_comes_while_the_line_is_down_is_told_when_it_is_there() -> None:
    story = Story()
    early = story.stream(A)
    story.placed(A)
    story.up(A)
    story.change("disconnected")
    late = story.stream(A)
    story.change("reconnecting")
    story.up(A)
    assert told(late) == ["reconnecting", "connected"]
    assert told(early)[-2:] == ["restored", "disconnect gap in A"]


def test_a_stream_that_comes_while_the_line_is_up_just_reads() -> None:
    story = Story()
    story.stream(A)
    story.placed(A)
    story.up(A)
    stream = story.stream(A)
    story.event(A, "next")
    assert told(stream) == ["next"]


def test_a_newcomer_to_deltas_waits_until_they_start_anew() -> None:
    story = Story()
    first = story.stream(A, deltas=True)
    assert story.anew == []
    story.placed(A)
    story.up(A)
    told(first)
    second = story.stream(A, deltas=True)
    assert story.anew == [A]
    story.event(A, "delta")  # of no use to the newcomer
    story.tell(story.routes.missed([A], "unknown", None, 50, story.epoch))
    story.settle(A)
    story.event(A, "snapshot")
    assert told(first) == ["delta", "unknown gap in A", "snapshot"]
    assert told(second) == ["snapshot"]


def test_a_newcomer_to_deltas_whose_line_dies_comes_in_with_the_next() -> None:
    story = Story()
    story.stream(A, deltas=True)
    story.placed(A)
    story.up(A)
    second = story.stream(A, deltas=True)
    story.change("disconnected")
    story.up(A)
    story.event(A, "snapshot")
    assert told(second) == ["disconnected", "restored", "disconnect gap in A", "snapshot"]
    assert [inlet.id for inlet in story.routes.by_topic[A]] == [1, 2]


# ── who goes ────────────────────────────────────────────────────────────────────────────────────


def test_who_leaves_the_last_unanswered_topic_is_restored() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.placed(A, B)
    story.up(A, B)
    story.change("disconnected")
    story.start()
    story.settle(A)
    told(stream)
    story.detach(stream, B)
    assert told(stream) == ["restored"]


def test_who_leaves_a_line_that_is_down_is_not_told_that_it_is_back() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.placed(A)
    story.placed(B, line="o2/b")
    story.up(A)
    story.change("disconnected")
    told(stream)
    story.detach(stream, A)
    assert told(stream) == []


def test_who_leaves_altogether_hears_nothing_more() -> None:
    story = Story()
    stream = story.stream(A)
    story.placed(A)
    story.up(A)
    told(stream)
    story.detach(stream, A)
    story.change("disconnected")
    story.event(A, "unseen")
    story.up(A)
    assert told(stream) == []
    assert (story.routes.wants, story.routes.inlets, story.routes.by_topic) == ({}, {}, {})
    assert (story.routes.outages, story.routes.blind) == ({}, {})


def test_who_leaves_while_joining_is_not_let_in() -> None:
    story = Story()
    story.stream(A, deltas=True)
    story.placed(A)
    story.up(A)
    second = story.stream(A, deltas=True)
    story.detach(second, A)
    story.settle(A)
    story.event(A, "snapshot")
    assert told(second) == []


# ── a new keeper ────────────────────────────────────────────────────────────────────────────────


def test_fresh_inlets_fence_a_former_keeper() -> None:
    story = Story()
    stream = story.stream(A)
    story.placed(A)
    story.up(A)
    told(stream)
    former = story.routes
    story.routes = former.copy()
    for inlet in former.by_topic[A]:  # it wakes up, and goes on with its batch
        assert not inlet.put([(A, "ghost")], Origin(1, 1, 1))
        inlet.mark(Gap(A, "unknown", None, 0, 0, 1))
        inlet.lose(A, "dispatcher", 5, 0, 0, 1)
    story.event(A, "real")
    assert told(stream) == ["real"]
    assert stream.received == 1


def test_a_copy_is_independent_of_the_original() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.placed(A, B)
    story.up(A, B)
    story.change("disconnected")
    told(stream)
    former = story.routes
    story.routes = former.copy()
    former.line(LINE).flows[2] = Flow()
    list(former.settle(LINE, 2, [A], 0))  # a former keeper knows of an answer, and tells nobody
    list(former.detach(stream.id, [A, B], 0))
    former.lift(LINE, [A, B])
    story.start()
    story.settle(A)
    assert told(stream) == ["disconnect gap in A"]
    story.settle(B)
    assert told(stream) == ["restored", "disconnect gap in B"]


def test_a_copy_opens_no_way_into_a_stream_that_has_ended() -> None:
    story = Story()
    stream = story.stream(A)
    story.placed(A)
    story.up(A)
    stream.end("enough", quiet=True)
    story.routes = story.routes.copy()
    story.event(A, "too late")
    story.change("disconnected")
    assert told(stream) == ["connected", "closed"]
    assert (stream.received, stream.queued) == (0, 0)


def test_a_cut_topic_resumes_with_its_answer() -> None:
    story = Story()
    stream = story.stream(A, policy="drop_newest", deltas=True)
    story.placed(A)
    story.up(A)
    for _ in range(103):
        story.event(A, "delta")
    (inlet,) = story.routes.by_topic[A]
    assert inlet.cut() == (A,)
    assert list(islice(stream, 100)) == ["delta"] * 100
    story.settle(A)
    story.event(A, "snapshot")
    assert inlet.cut() == ()
    assert told(stream) == ["overflow gap in A", "snapshot"]
    assert [gap.missed for gap in stream.gaps] == [3]


# ── a connection that takes over ────────────────────────────────────────────────────────────────


def test_what_a_candidate_has_no_answer_for_is_blind_until_it_has() -> None:
    story = Story()
    stream = story.stream(A, B)
    story.placed(A, B)
    story.up(A, B)
    told(stream)
    book = story.routes.line(LINE)
    book.begin_candidate(2, Flow())
    book.held.append(TopicsSettled(LINE, 2, (A,)))  # B was wanted too late for it
    story.routes.cut_over(LINE, 100)
    story.epoch = 2
    story.settle(A)
    assert told(stream) == []
    story.settle(B)
    assert told(stream) == ["disconnect gap in B"]
    assert book.gaps == 1
