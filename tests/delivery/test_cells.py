"""What any thread may know of a topic without asking an actor."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.delivery.arrivals import Right
from actors.delivery.cells import Cells
from actors.delivery.last_events import LastEvents, ReceiptTime
from actors.events import Gap, Topic
from actors.rules.latest_price import Prices
from actors.rules.ledger import CONFIRMED, DESIRED
from tests.delivery.streams import TOPICS, A, B, C, new_holder
from tests.delivery.venue import STUB
from tests.support.batches import lists
from tests.support.examples import examples


def last_events(*pairs: tuple[Topic, Any], at: float = 1.0) -> LastEvents:
    it = LastEvents(Prices(STUB))
    it.keep(*lists(pairs), dict(pairs), ReceiptTime(at, 1_000))
    return it


class AnyOrder(RuleBasedStateMachine):
    """Topics are placed, moved, refused and removed."""

    topics = st.lists(st.sampled_from(TOPICS), max_size=3)
    lines = st.sampled_from(["o2", "o2/b", None])

    def __init__(self) -> None:
        super().__init__()
        self.cells = Cells()
        self.model: dict[Topic, str | None] = {}

    @rule(topics=topics, line=lines)
    def place(self, topics: list[Topic], line: str | None) -> None:
        former = {topic: self.cells.get(topic) for topic in topics}
        self.cells.place(topics, line)
        self.model |= dict.fromkeys(topics, line)
        for topic, cell in former.items():
            assert cell is None or self.cells.get(topic) is cell

    @rule(topics=topics)
    def remove(self, topics: list[Topic]) -> None:
        self.cells.remove(topics)
        for topic in topics:
            self.model.pop(topic, None)

    @invariant()
    def each_topic_is_where_it_was_placed(self) -> None:
        cells = self.cells
        for line in ("o2", "o2/b"):
            mine = {topic for topic, placed in self.model.items() if placed == line}
            assert {topic for topic, _ in cells.topics_of(line)} == mine
            assert (cells.count(line), cells.has_topics(line)) == (len(mine), bool(mine))
        refused = {topic for topic, placed in self.model.items() if placed is None}
        assert {topic for topic, _ in cells.refused("o2")} == refused
        assert cells.refused("other") == ()
        for topic in TOPICS:
            cell = cells.get(topic)
            assert (cell is None) == (topic not in self.model)
            assert cell is None or cell.line == self.model[topic]
        assert cells.states(TOPICS) == dict.fromkeys(self.model, DESIRED)


TestAnyOrder: Any = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(50), stateful_step_count=20, deadline=None)


def test_the_state_of_a_topic_that_is_not_wanted_is_none_at_all() -> None:
    cells = Cells()
    cells.place([A], "o2")
    cell = cells.get(A)
    assert cell is not None
    cell.subscription = CONFIRMED
    assert cells.states([A, B]) == {A: CONFIRMED}


def test_a_writer_that_was_given_up_publishes_nothing() -> None:
    cells, former, present = Cells(), Right(), Right()
    mine = last_events((A, "1"))
    cells.publish("o2", new_holder(present, last_events=mine))
    cells.note_gaps("o2", present, 1, None)
    former.valid = False
    cells.publish("o2", new_holder(former, last_events=last_events((A, "2"))))
    cells.note_gaps("o2", former, 7, Gap(A, "sequence", 1, 1, 1, 1))
    assert cells.last_events("o2") is mine
    assert cells.gaps("o2") == (1, None)


def test_when_a_topic_was_heard_of_is_what_its_line_says() -> None:
    cells = Cells()
    assert cells.last_event_at(A) is None
    cells.place([A, B], "o2")
    cells.place([C], None)
    assert [cells.last_event_at(topic) for topic in (A, C)] == [None, None]
    cells.publish("o2", new_holder(last_events=last_events((A, "1"), at=5.0)))
    assert [cells.last_event_at(topic) for topic in (A, B, C)] == [5.0, None, None]
    cells.remove([A])
    assert cells.last_event_at(A) is None


def test_the_next_holder_goes_on_with_what_was_heard() -> None:
    """With a copy, where the former one may still write to its own."""
    cells = Cells()
    assert cells.take_over("o2", copy=True) is None
    former = last_events((A, "1"))
    cells.publish("o2", new_holder(last_events=former))
    assert cells.take_over("o2", copy=False) is former
    copy = cells.take_over("o2", copy=True)
    assert copy is not None
    former.keep([A, B], ["2", "2"], {A: "2", B: "2"}, ReceiptTime(2.0, 2_000))
    assert (copy.events, copy.stamps) == ({A: "1"}, {A: ReceiptTime(1.0, 1_000)})


def test_what_the_lines_of_one_feed_have_heard_goes_with_the_feed() -> None:
    cells, right = Cells(), Right()
    lines = {name: last_events() for name in ("o2", "o2/b", "o2b")}
    for name, it in lines.items():
        cells.publish(name, new_holder(right, last_events=it))
        cells.note_gaps(name, right, 1, None)
    assert cells.last_events_of_feed("o2") == (lines["o2"], lines["o2/b"])
    cells.forget_lines("o2")
    assert [cells.last_events(name) for name in lines] == [None, None, lines["o2b"]]
    assert [cells.gaps(name)[0] for name in lines] == [0, 0, 1]


def test_the_newest_event_of_each_topic_is_kept_with_its_stamp() -> None:
    it = last_events((A, "1"), (A, "2"), (B, "3"))
    assert it.events == {A: "2", B: "3"}
    it.keep([A], ["4"], {A: "4"}, ReceiptTime(2.0, 2_000))
    assert it.stamps == {A: ReceiptTime(2.0, 2_000), B: ReceiptTime(1.0, 1_000)}
    it.forget(A)
    it.forget(C)
    assert (set(it.events), set(it.stamps)) == ({B}, {B})


def test_a_look_meets_no_half_done_change() -> None:
    """One thread places and removes while others look."""
    cells, over, topics = Cells(), threading.Event(), [Topic("o2", "trades", str(n)) for n in range(50)]
    failures: list[BaseException] = []

    def look() -> None:
        try:
            while not over.is_set():
                for topic, cell in cells.topics_of("o2"):
                    assert cell.line in {"o2", None, "o2/b"}
                    cells.last_event_at(topic)
                cells.states(topics)
                cells.refused("o2")
                assert cells.count("o2") >= 0
        except BaseException as error:
            failures.append(error)

    lookers = [threading.Thread(target=look, daemon=True) for _ in range(2)]
    for looker in lookers:
        looker.start()
    for turn in range(200):
        cells.place(topics, ("o2", "o2/b", None)[turn % 3])
        cells.remove(topics[turn % 50 :])
    over.set()
    for looker in lookers:
        looker.join(10)
    assert failures == []


def test_a_topic_that_has_moved_to_another_line_and_back_can_be_told_from_one_that_stayed() -> None:
    cells = Cells()
    cells.place([A], "o2/1")
    cell = cells.get(A)
    assert cell is not None
    before = cell.moves
    cells.place([A], "o2/1")  # wanted by another stream
    assert cell.moves == before
    cells.place([A], "o2/2")
    cells.place([A], "o2/1")
    assert cell.moves == before + 2
