"""How a connection delivers while it is the holder: shares, newcomers to deltas, cut readers, pauses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.epoch_delivery import LOOK_AGAIN, EpochDelivery
from actors.delivery.inlet import Inlet
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.routing import Routing
from actors.delivery.runs import RunBudget, Runs
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route, RouteTable
from actors.events import Gap, Scope, Topic, VenueState
from actors.rules.stream_buffer import Policy
from tests.delivery.streams import NOT_ASKING, A, B, C, new_holder, new_inlet, read, told, unwant, whole_route
from tests.delivery.venue import STUB
from tests.support.batches import Pair, lists
from tests.support.examples import examples

X, Y = (Topic("o2", "depth", key) for key in "XY")
CHANGES = Topic("o2", "changes", "X")  # the venue can neither send them whole nor start them anew
BLOCK_LIMIT = 30.0


class Line:
    """One connection's delivery, and the streams that want its topics."""

    def __init__(self, state: DeliveryState | None = None, routing: Routing | None = None) -> None:
        self.routing = routing or Routing()
        self.arrivals, self.right = Arrivals(), Right()
        self.numbers, self.now_ns = itertools.count(1), itertools.count(10, 10)
        self.wakes = 0
        table = RouteTable()
        for topic in self.routing.by_topic:
            table.set(topic, whole_route(self.routing, topic, next(self.numbers)))
        state = state or DeliveryState()
        self.holder = new_holder(self.right, state)
        self.delivery = EpochDelivery(
            LineDelivery("o2", 1, self.right, table, state),
            holder=self.holder,
            config_policy=lambda _: None,
            arrivals=self.arrivals,
            runs=Runs(STUB, self.right, RunBudget()),
            block_timeout=BLOCK_LIMIT,
            wake=self._wake,
            asking=NOT_ASKING,
        )

    def _wake(self) -> None:
        self.wakes += 1

    def stream(
        self, *topics: Topic, policy: Policy = "block", capacity: int = 1_000, deltas: bool | None = None
    ) -> Inlet:
        deltas = topics[0].channel == "depth" if deltas is None else deltas
        inlet = new_inlet(policy, capacity, id=next(self.numbers), deltas=deltas)
        self.add(inlet, *topics)
        return inlet

    def add(self, inlet: Inlet, *topics: Topic) -> None:
        for topic in self.routing.want(inlet, topics):
            self.delivery.set_route(topic, whole_route(self.routing, topic, 1), 0.0, next(self.now_ns))

    def leave(self, inlet: Inlet, *topics: Topic) -> None:
        for topic in unwant(self.routing, inlet.id, topics):
            self.delivery.set_route(topic, whole_route(self.routing, topic, 1), 0.0, next(self.now_ns))

    def settle(self, *topics: Topic) -> None:
        self.delivery.settle(topics, 0.0, next(self.now_ns))

    def put(self, *pairs: Pair, now: float = 0.0) -> int:
        return self.delivery.hand_out(*lists(pairs), 1_000, now, 100)

    def resync(self, now: float) -> tuple[Topic, ...]:
        """As a session does it: the topics are given up, and asked for once more."""
        due = self.delivery.resyncs.take(now)
        if due:
            self.delivery.missed(due, "unknown", None, next(self.now_ns))
        return due


# ── shares ──────────────────────────────────────────────────────────────────────────────────────


def test_each_stream_gets_its_events_in_their_order_and_places() -> None:
    line = Line()
    one, two, all_of_them = line.stream(A), line.stream(B), line.stream(A, B, C)
    line.settle(A, B, C)
    for each in (one, two, all_of_them):
        told(each)
    assert line.put((A, "a0"), (B, "b1"), (C, "c2"), (A, "a3")) == 4
    assert places(one) == [(1, 0), (1, 3)]
    assert places(two) == [(1, 1)]
    assert places(all_of_them) == [(1, 0), (1, 1), (1, 2), (1, 3)]


def places(inlet: Inlet) -> list[Any]:
    found = []
    while (place := inlet.buffer.peek_order()) is not None:
        found.append(place)
        assert inlet.buffer.hand or inlet.buffer.reach() is None
        inlet.buffer.hand.popleft()
    return found


def test_an_event_counts_as_routed_if_one_buffer_took_it() -> None:
    line = Line()
    open_one, closed = line.stream(A), line.stream(B)
    closed.close("enough", quiet=True)
    assert line.put((A, "1"), (B, "2"), (C, "3")) == 1
    assert line.put((B, "2")) == 0
    line.add(open_one, B)
    assert line.put((A, "1"), (B, "2")) == 2
    line.right.valid = False
    assert line.put((A, "1"), (B, "2")) == 0


topics = st.sampled_from([A, B, C])


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.sets(topics, min_size=1), max_size=4), st.lists(st.lists(topics, min_size=1), max_size=8))
def test_whatever_the_streams_want_each_gets_that_and_nothing_else(
    wants: list[set[Topic]], batches: list[list[Topic]]
) -> None:
    line = Line()
    inlets = [line.stream(*sorted(mine)) for mine in wants]
    line.settle(A, B, C)
    for inlet in inlets:
        told(inlet)
    sent: list[Pair] = []
    for batch in batches:
        pairs: list[Pair] = [(topic, f"{len(sent) + index}") for index, topic in enumerate(batch)]
        sent += pairs
        wanted = set[Topic]().union(*wants)
        assert line.put(*pairs) == sum(topic in wanted for topic in batch)
    for inlet, mine in zip(inlets, wants, strict=True):
        assert list(read(inlet)) == [pair for pair in sent if pair[0] in mine]


def test_a_failing_buffer_does_not_leave_the_batch_open(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    inlet = line.stream(A)

    def fail(*_: object) -> None:
        raise ValueError("bug")

    monkeypatch.setattr(inlet.buffer, "put", fail)
    with pytest.raises(ValueError, match="bug"):
        line.put((A, "1"))
    assert line.arrivals.is_complete(1)


def test_what_was_heard_is_kept_whether_or_not_a_stream_wants_it() -> None:
    line = Line()
    line.delivery.set_route(A, Route(1), 0.0, 1)
    line.put((A, "1"), (A, "2"), now=5.0)
    assert line.delivery.last_events.events == {A: "2"}
    assert line.delivery.last_events.stamps[A].at == 5.0
    line.stream(A)
    line.delivery.remove_route(A, 1)
    assert line.delivery.last_events.events == {}


@pytest.mark.parametrize("others", [(), (B,)])
def test_nothing_is_kept_for_a_topic_that_has_no_route_any_more(others: tuple[Topic, ...]) -> None:
    line = Line()
    line.stream(A, B)
    line.put((A, "1"), (B, "1"))
    line.delivery.remove_route(A, 1)
    line.put((A, "late"), *[(topic, "2") for topic in others])  # the session has not been told yet
    last_events = line.delivery.last_events
    assert set(last_events.events) == set(last_events.stamps) == set(last_events.prices._topics) == {B}


def test_a_placement_that_ends_is_a_gap_for_the_streams_that_still_follow_it() -> None:
    line = Line()
    stays, leaves = line.stream(A), line.stream(A)
    line.settle(A)
    line.put((A, "1"))
    line.leave(leaves, A)
    line.delivery.remove_route(A, 1)
    assert told(stays) == ["connected", "1", "unknown gap in A"]
    assert told(leaves) == ["connected", "1"]


def test_a_placement_that_ends_before_its_topic_was_confirmed_is_no_gap() -> None:
    line = Line()
    stream = line.stream(A)
    line.delivery.remove_route(A, 1)
    assert told(stream) == ["connected"]
    assert list(line.delivery.gaps) == [0, None]


@pytest.mark.parametrize("is_answered", [True, False])
def test_what_a_former_subscription_left_ends_with_a_gap(is_answered: bool) -> None:
    """The venue sent it before it was told that the topic was given up, and then nothing for a while."""
    line = Line()
    line.leave(line.stream(A), A)
    line.settle(A)
    line.delivery.remove_route(A, 1)
    assert line.delivery.awaits_tails
    stream = line.stream(A)
    line.put((A, "1"))
    if is_answered:
        line.settle(A)
    line.delivery.end_tails((A,) if is_answered else None, 1)
    line.put((A, "2"))
    assert told(stream)[-3:] == ["1", "unknown gap in A", "2"]
    assert not line.delivery.awaits_tails


def test_a_topic_that_brings_nothing_before_its_answer_has_no_gap() -> None:
    line = Line()
    line.leave(line.stream(A), A)
    line.put((A, "0"))
    line.delivery.remove_route(A, 1)
    stream = line.stream(A)
    line.settle(A)
    line.delivery.end_tails((A, B), 1)
    line.put((A, "1"))
    assert told(stream) == ["connected", "1"]


# ── newcomers to deltas ─────────────────────────────────────────────────────────────────────────


def test_a_newcomer_gets_what_makes_the_topic_whole_and_others_see_nothing_of_it() -> None:
    line = Line()
    first = line.stream(X)
    line.settle(X)
    line.put((X, "whole 1"), (X, "+1"))
    line.put((X, "+2"))
    second = line.stream(X)
    line.put((X, "+3"))
    assert told(first) == ["connected", "whole 1", "+1", "+2", "+3"]
    assert told(second) == ["connected", "whole 1", "+1", "+2", "+3"]
    assert not line.delivery.resyncs.wanted


def test_without_a_run_the_topic_is_resynced_once_for_all_who_wait() -> None:
    line = Line()
    first = line.stream(X)
    line.settle(X)
    line.put((X, "+1"))  # it is not known what it changes
    others = [line.stream(X), line.stream(X)]
    told(first)
    line.put((X, "+2"))
    assert (told(first), [told(other) for other in others]) == (["+2"], [["connected"]] * 2)
    assert line.resync(0.0) == (X,)
    line.settle(X)
    line.put((X, "whole"))
    assert told(first) == ["unknown gap in X", "whole"]
    assert [told(other) for other in others] == [["whole"], ["whole"]]
    assert line.resync(100.0) == ()


def test_who_waits_comes_in_when_the_topic_starts_anew_by_itself() -> None:
    line = Line()
    first = line.stream(X)
    line.settle(X)
    line.put((X, "+1"))
    second = line.stream(X)
    line.put((X, "+2"), (X, "whole"), (X, "+3"))
    line.put((X, "+4"))
    assert told(first) == ["connected", "+1", "+2", "whole", "+3", "+4"]
    assert told(second) == ["connected", "whole", "+3", "+4"]
    assert line.resync(0.0) == ()


def test_changes_that_never_start_anew_reach_a_newcomer_at_once_and_cost_others_nothing() -> None:
    line = Line()
    first = line.stream(CHANGES, deltas=True)
    line.settle(CHANGES)
    line.put((CHANGES, "+1"))
    second = line.stream(CHANGES, deltas=True)
    line.put((CHANGES, "+2"))
    assert (told(first), told(second)) == (["connected", "+1", "+2"], ["connected", "+2"])
    assert line.resync(0.0) == ()


def test_what_could_not_be_read_is_in_no_run() -> None:
    line = Line()
    line.stream(X)
    line.settle(X)
    line.put((X, "whole"))
    line.delivery.misread()
    line.put((X, "+1"))
    second = line.stream(X)
    assert told(second) == ["connected"]
    assert line.resync(0.0) == (X,)


def test_a_successor_serves_who_still_waits_as_a_newcomer() -> None:
    former = Line()
    first = former.stream(X)
    former.settle(X)
    former.put((X, "+1"))
    second = former.stream(X)
    told(first)
    successor = Line(former.delivery.state, former.routing)
    successor.put((X, "whole"), (X, "+1"))
    assert (told(first), told(second)) == (["whole", "+1"], ["connected", "whole", "+1"])


def test_a_newcomer_whose_line_is_lost_has_no_gap() -> None:
    former = Line()
    first = former.stream(X)
    former.settle(X)
    former.put((X, "+1"))
    second = former.stream(X)
    told(first)
    table, state = RouteTable(), former.delivery.state
    table.set(X, whole_route(former.routing, X, 1))
    LineDelivery("o2", 1, Right(), table, state).lose("disconnected", 0, "why", 1, 2)
    successor = Line(state, former.routing)
    successor.settle(X)
    successor.put((X, "whole"))
    assert told(first) == ["disconnected", "restored", "disconnect gap in X", "whole"]
    assert told(second) == ["connected", "disconnected", "restored", "whole"]


def test_who_was_let_in_is_told_of_the_next_loss_though_the_last_letter_is_missing() -> None:
    """The dispatcher's copy of the state counts then: in it, too, that stream has followed the topic."""
    former = Line()
    former.stream(X)
    former.settle(X)
    former.put((X, "+1"))
    second = former.stream(X)  # waits for a whole one, and the connection ends before it comes
    copy, table = former.delivery.state, RouteTable()
    table.set(X, whole_route(former.routing, X, 1))
    line = LineDelivery("o2", 1, Right(), table, copy)
    line.lose("disconnected", 0, "why", 1, 2)
    holder = Line(copy.copy(), former.routing)
    holder.settle(X)
    copy.note_settled([X], table.routes)
    holder.put((X, "whole"))
    assert told(second) == ["connected", "disconnected", "restored", "whole"]
    copy.end_epoch(1)
    line.lose("disconnected", 0, "wedged", 3, 4)
    successor = Line(copy, former.routing)
    successor.settle(X)
    assert told(second) == ["disconnected", "restored", "disconnect gap in X"]


def test_who_leaves_while_it_waits_is_not_let_in() -> None:
    line = Line()
    line.stream(X)
    line.settle(X)
    line.put((X, "+1"))
    second = line.stream(X, Y)
    line.leave(second, X)
    line.put((X, "whole"))
    assert told(second) == ["connected"]
    assert line.delivery.state.joining.get(X, set()) == set()


# ── readers that were cut ───────────────────────────────────────────────────────────────────────


def test_a_reader_that_was_cut_gets_the_gap_and_the_run_once_it_has_room() -> None:
    line = Line()
    first, slow = line.stream(X), line.stream(X, policy="drop_newest", capacity=4)
    line.settle(X)
    told(first)
    told(slow)
    line.put((X, "whole"), *((X, f"+{number}") for number in range(1, 6)))
    assert line.delivery.wants_attention
    line.delivery.look_again(0.0)
    assert line.wakes == 0
    items = read(slow)
    assert [next(items) for _ in range(2)] == [(X, "whole"), (X, "+1")]
    items.close()  # type: ignore[attr-defined]
    assert line.wakes == 1  # it is half empty
    line.delivery.look_again(0.0)
    whole = ["whole", "+1", "+2", "+3", "+4", "+5"]
    assert told(slow) == ["+2", "+3", "overflow gap in X", *whole]
    assert told(first) == whole
    assert not line.delivery.wants_attention


def test_a_cut_topic_that_never_starts_anew_goes_on_behind_its_gap() -> None:
    line = Line()
    other = line.stream(CHANGES, deltas=True)
    slow = line.stream(CHANGES, policy="drop_newest", capacity=2, deltas=True)
    line.settle(CHANGES)
    line.put(*((CHANGES, f"+{number}") for number in range(1, 4)))
    assert told(slow) == ["connected", "+1", "+2"]
    line.delivery.look_again(0.0)
    line.put((CHANGES, "+4"))
    assert told(slow) == ["overflow gap in X", "+4"]
    assert told(other) == ["connected", "+1", "+2", "+3", "+4"]
    assert line.resync(0.0) == ()


def test_a_cut_topic_without_a_run_resumes_with_its_answer() -> None:
    line = Line()
    slow = line.stream(X, policy="drop_newest", capacity=100)
    line.settle(X)
    line.put(*((X, "+") for _ in range(103)))
    told(slow)
    line.delivery.look_again(0.0)
    assert line.resync(0.0) == (X,)
    line.settle(X)
    line.put((X, "whole"))
    first, second, event = list(read(slow))
    assert isinstance(first, Gap)
    assert isinstance(second, Gap)
    assert {(first.reason, first.missed), (second.reason, second.missed)} == {
        ("overflow", 3),
        ("unknown", None),
    }
    assert event == (X, "whole")


def test_a_topic_that_was_removed_is_not_resynced() -> None:
    line = Line()
    other, slow = line.stream(X), line.stream(X, Y, policy="drop_newest", capacity=2)
    line.settle(X, Y)
    line.put((X, "+1"), (X, "+2"), (X, "+3"))
    line.leave(slow, X)
    told(slow)
    told(other)
    for now in range(100):
        line.put((Y, "+"))
        told(slow)
        line.delivery.look_again(float(now))
        assert line.resync(float(now)) == ()
    assert told(other) == []


# ── back-pressure ───────────────────────────────────────────────────────────────────────────────


def test_a_full_stream_makes_the_line_pause_until_it_is_half_empty() -> None:
    line = Line()
    inlet = line.stream(A, capacity=4)
    line.settle(A)
    told(inlet)
    line.put(*((A, str(number)) for number in range(4)), now=1.0)
    assert list(line.delivery.paused_by) == [inlet.id]
    assert line.delivery.look_in(1.0) == LOOK_AGAIN
    assert line.delivery.look_in(1.0 + BLOCK_LIMIT - 0.25) == 0.25
    line.delivery.look_again(2.0)
    assert list(line.delivery.paused_by) == [inlet.id]
    items = read(inlet)
    for _ in range(2):
        next(items)
    items.close()  # type: ignore[attr-defined]
    assert line.wakes == 1
    line.delivery.look_again(3.0)
    assert not line.delivery.paused_by
    assert line.delivery.look_in(3.0) == math.inf


def test_a_stream_that_holds_its_line_for_too_long_overflows_alone() -> None:
    line = Line()
    slow, other = line.stream(A, capacity=2), line.stream(A)
    line.settle(A)
    told(slow)
    told(other)
    line.put((A, "1"), (A, "2"), now=1.0)
    line.delivery.look_again(1.0 + BLOCK_LIMIT - 0.001)
    assert list(line.delivery.paused_by) == [slow.id]
    line.delivery.look_again(1.0 + BLOCK_LIMIT)
    assert not line.delivery.paused_by
    line.put((A, "3"), now=32.0)
    assert not line.delivery.paused_by
    assert told(slow) == ["1", "2", "overflow gap in A"]
    assert told(other) == ["1", "2", "3"]


@pytest.mark.parametrize("how", ["close", "leave", "remove_route"])
def test_a_full_stream_that_goes_holds_nothing(how: str) -> None:
    line = Line()
    inlet = line.stream(A, capacity=1)
    line.put((A, "1"))
    assert line.delivery.paused_by
    match how:
        case "close":
            inlet.close("enough", quiet=True)
            assert line.wakes == 1
            line.delivery.look_again(0.0)
        case "leave":
            line.leave(inlet, A)
        case _:
            line.delivery.remove_route(A, 1)
    assert not line.delivery.paused_by


def test_a_line_that_ends_is_woken_by_no_stream() -> None:
    line = Line()
    inlet = line.stream(A, capacity=1)
    line.settle(A)
    line.put((A, "1"))
    line.delivery.leave()
    assert not line.delivery.paused_by
    told(inlet)
    assert line.wakes == 0


# ── any order ───────────────────────────────────────────────────────────────────────────────────


class AnyOrder(RuleBasedStateMachine):
    """Readers of deltas come, go, and fall behind: each reads a whole event and all changes to it.

    An event is `whole G.0` or `+ G.N`: the N-th change to the G-th whole event of its topic.
    """

    topics = st.sampled_from([X, Y])

    def __init__(self) -> None:
        super().__init__()
        self.line = Line()
        self.line.delivery.set_route(X, whole_route(self.line.routing, X, 1), 0.0, 1)
        self.line.delivery.set_route(Y, whole_route(self.line.routing, Y, 1), 0.0, 1)
        self.line.settle(X, Y)
        self.newest = {X: (0, 0), Y: (0, 0)}
        self.ends: dict[tuple[Topic, int], int] = {}  # the last change to each whole event
        self.readers: dict[Inlet, dict[Topic, tuple[int, int] | None]] = {}
        self.resynced: dict[Topic, int] = {X: 0, Y: 0}
        self.resyncs_at: dict[tuple[Inlet, Topic], int] = {}
        self.gaps: dict[tuple[Inlet, Topic], int] = {}
        self.now = 0.0

    @precondition(lambda self: len(self.readers) < 4)
    @rule(mine=st.sets(topics, min_size=1), small=st.booleans())
    def come(self, mine: set[Topic], small: bool) -> None:
        policy: Policy = "drop_newest" if small else "block"
        inlet = self.line.stream(*sorted(mine), policy=policy, capacity=3 if small else 10_000)
        self.readers[inlet] = dict.fromkeys(mine)
        for topic in mine:
            self.resyncs_at[inlet, topic] = self.resynced[topic]
            self.gaps[inlet, topic] = 0

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        inlet = data.draw(st.sampled_from(list(self.readers)))
        topic = data.draw(st.sampled_from(sorted(self.readers[inlet])))
        self.read_from(inlet)
        self.line.leave(inlet, topic)
        self.read_from(inlet)
        del self.readers[inlet][topic]
        if not self.readers[inlet]:
            del self.readers[inlet]

    @rule(batch=st.lists(st.tuples(topics, st.booleans()), min_size=1, max_size=6))
    def hear_venue(self, batch: Sequence[tuple[Topic, bool]]) -> None:
        self.line.put(*(self.next_event(topic, is_whole=whole) for topic, whole in batch), now=self.now)

    def next_event(self, topic: Topic, *, is_whole: bool) -> Pair:
        start, change = self.newest[topic]
        if is_whole:
            self.ends[topic, start] = change
            start, change = start + 1, 0
        else:
            change += 1
        self.newest[topic] = start, change
        return topic, f"{'whole' if is_whole else '+'} {start}.{change}"

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def read_some(self, data: st.DataObject) -> None:
        self.read_from(data.draw(st.sampled_from(list(self.readers))), data.draw(st.integers(1, 4)))

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0]))
    def look_again(self, seconds: float) -> None:
        self.now += seconds
        self.line.delivery.look_again(self.now)
        for topic in self.line.resync(self.now):
            self.resynced[topic] += 1
            self.line.settle(topic)
            self.line.put(self.next_event(topic, is_whole=True), now=self.now)

    @rule()
    def misread(self) -> None:
        self.line.delivery.misread()

    def read_from(self, inlet: Inlet, count: int = 1_000_000) -> None:
        mine = self.readers[inlet]
        items = read(inlet)
        for item in itertools.islice(items, count):
            if isinstance(item, Gap):
                mine[item.topic] = None
                self.gaps[inlet, item.topic] += 1
            elif isinstance(item, tuple):
                topic, event = item
                start, change = map(int, event.split()[1].split("."))
                before = mine[topic]
                if before is None:
                    assert change == 0, "it has no base"
                elif change:
                    assert before == (start, change - 1)
                else:
                    assert before == (start - 1, self.ends[topic, start - 1]), "missed in silence"
                mine[topic] = start, change
        items.close()  # type: ignore[attr-defined]

    @invariant()
    def a_reader_that_keeps_up_sees_nothing_of_the_others(self) -> None:
        for inlet, mine in self.readers.items():
            if inlet.policy == "block":
                self.read_from(inlet)
                for topic in mine:
                    resynced = self.resynced[topic] - self.resyncs_at[inlet, topic]
                    assert self.gaps[inlet, topic] <= resynced

    def teardown(self) -> None:
        """All of them come in, with what there is now."""
        for _ in range(4):
            self.now += 100.0
            for inlet in self.readers:
                self.read_from(inlet)
            self.look_again(0.0)
        for topic in (X, Y):
            self.line.put(self.next_event(topic, is_whole=False), now=self.now)
        for inlet, mine in self.readers.items():
            self.read_from(inlet)
            assert inlet.cut() == ()
            assert all(mine[topic] == self.newest[topic] for topic in mine)


TestAnyOrder: Any = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)


def test_who_reads_that_the_venue_has_lost_data_finds_its_permit_withdrawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line()
    inlet = line.stream(A)
    line.settle(A)
    line.put((A, "1"))
    before, found = line.holder.breaks_of(A, ()), list[int]()
    tell = inlet.tell_state

    def tell_and_look(right: Right, state: VenueState) -> None:
        tell(right, state)
        found.append(line.holder.breaks_of(A, ()))

    monkeypatch.setattr(inlet, "tell_state", tell_and_look)
    line.delivery.tell_state(VenueState(Scope(), "data_lost", line="o2", epoch=1, at_ns=5))
    assert found == [before + 1]


def test_what_is_rejected_ends_a_permit() -> None:
    line = Line()
    line.stream(A)
    line.settle(A)
    line.put((A, "1"))
    before = line.holder.breaks_of(A, ())
    line.delivery.note_rejected([A])
    assert line.holder.breaks_of(A, ()) == before + 1


def test_nothing_is_noted_of_a_topic_that_has_left() -> None:
    line = Line()
    inlet = line.stream(A)
    line.settle(A)
    line.leave(inlet, A)
    line.delivery.remove_route(A, 1)
    line.delivery.missed([A], "sequence", 1, 2)
    assert line.holder.breaks_of(A, ()) == 0
