"""What a stream contains while the events of a loss are asked for, and after it: all, or what it lacks."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.delivery import backfills
from actors.delivery.inlet import Inlet
from actors.events import Gap, Received, Repaired
from actors.protocol.session import Confirm, Missed, Reject
from actors.rules.backfill import NEVER, BackfillPolicy
from tests.delivery.inline import Called, inline_inlet
from tests.delivery.losses import FILLS, OTHERS, SECOND, TRADES, Life, Question, items, told
from tests.delivery.streams import new_inlet
from tests.support.examples import examples


def lost(inlet: Inlet, life: Life) -> Question:
    """Fills 1 to 3 were delivered, and the line came back: what the venue is asked for."""
    life.bring(FILLS, 1, 2, 3)
    life.reconnect()
    assert told(inlet) == [1, 2, 3, "gap"]
    return life.questions[-1]


def repaired_in(inlet: Inlet) -> Repaired:
    (found,) = [item for item in items(inlet) if isinstance(item, Repaired)]
    return found


# ── the usual case ──────────────────────────────────────────────────────────────────────────────


def test_live_events_wait_behind_what_the_venue_is_asked_for() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    question = lost(inlet, life)
    assert (question.loss.last, question.loss.first, question.seconds) == ("3", None, 2.0)
    life.bring(FILLS, 6)
    life.bring(FILLS, 7)
    assert told(inlet) == []
    question.answer(4, 5, complete=True)
    assert told(inlet) == [-4, -5, "repaired", 6, 7]
    assert life.reconciles()


def test_other_topics_go_on_meanwhile() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life)
    life.bring(TRADES, 8)
    assert told(inlet, TRADES) == [8]


def test_what_lies_between_is_asked_for_by_the_first_event_after_the_loss() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life).answer()
    assert told(inlet) == []
    life.bring(FILLS, 5)
    life.look()
    again = life.questions[-1]
    assert (again.loss.last, again.loss.first) == ("3", "5")
    again.answer(4, complete=True)
    assert told(inlet) == [-4, "repaired", 5]


def test_the_gap_that_was_repaired_is_the_one_in_the_stream() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.bring(FILLS, 1)
    life.reconnect()
    life.questions[-1].answer(2, complete=True)
    every = [item for item in items(inlet) if isinstance(item, Gap | Repaired) and item.topic == FILLS]
    assert every == [gap := every[0], Repaired(gap, 1, True)]  # type: ignore[arg-type]


def test_no_event_before_the_loss_asks_from_when_the_line_was_heard_last() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.lose(1.0)
    life.log_in()
    (question,) = life.questions
    assert (question.loss.last, question.loss.since_ns) == (None, 100 * SECOND)


def test_a_topic_that_the_venue_rejects_after_a_loss_is_not_asked_for() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.bring(FILLS, 1)
    life.lose(1.0)
    life.log_in(TRADES)
    life.delivery.bring_answers({FILLS: Reject((FILLS,), "no such account")})
    life.look()
    assert life.questions == []
    assert told(inlet) == [1, "gap"]
    assert life.is_fresh(FILLS)


def test_without_back_fill_nothing_is_asked_and_nothing_waits() -> None:
    inlet = new_inlet()
    life = Life(inlet, policy=NEVER)
    life.bring(FILLS, 1)
    life.reconnect()
    life.bring(FILLS, 3)
    assert (told(inlet), life.questions) == ([1, "gap", 3], [])


def test_a_reload_holds_for_the_next_loss() -> None:
    inlet = new_inlet()
    life = Life(inlet, policy=NEVER)
    life.policy = BackfillPolicy()
    life.delivery.take_backfill(life.policy)
    life.miss(FILLS)
    life.look()
    assert [each.topic for each in life.questions] == [str(FILLS)]


def test_a_fill_that_changes_an_earlier_one_is_neither_seam_of_a_loss() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.bring(FILLS, 1, 2, 3, "1v")
    life.reconnect()
    question = life.questions[-1]
    assert question.loss.last == "3"
    life.bring(FILLS, "2v")
    question.answer()
    life.look()
    assert life.questions == [question]
    life.bring(FILLS, "3v", 6)
    life.look()
    assert life.questions[-1].loss.first == "6"
    life.questions[-1].answer(2, 3, 4, 5, complete=True)
    found = [item.event for item in items(inlet) if isinstance(item, Received) and item.topic == FILLS]
    assert found == ["1", "2", "3", "1v", "4", "5", "2v", "3v", "6"]
    assert life.reconciles()


def test_a_list_that_lags_is_asked_for_once_more_half_a_second_later() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life)
    life.bring(FILLS, 6)
    life.questions[-1].answer()
    life.questions[-1].answer(lags=True)
    assert life.delivery.look_in(life.now) == pytest.approx(0.5)
    life.wait(0.4)
    assert len(life.questions) == 2
    life.wait(0.2)
    assert len(life.questions) == 3
    life.questions[-1].answer(4, 5, complete=True)
    assert told(inlet) == [-4, -5, "repaired", 6]


def test_of_a_batch_of_several_topics_each_has_its_own_last_event() -> None:
    life = Life(new_inlet(), topics=(FILLS, OTHERS))
    life.counters[-1].decoded += 3
    life.delivery.bring_events([FILLS, OTHERS, FILLS], ["1", "7", "2"], life.now_ns, life.now, 30)
    life.reconnect()
    assert {each.topic: each.loss.last for each in life.questions} == {str(FILLS): "2", str(OTHERS): "7"}


def test_what_came_while_a_channel_was_not_filled_is_not_asked_for_later() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.bring(FILLS, 1)
    life.delivery.take_backfill(NEVER)
    life.bring(FILLS, 2)
    life.delivery.take_backfill(BackfillPolicy())
    life.miss(FILLS)
    life.look()
    assert life.questions[-1].loss.last == "2"


def test_keys_that_cannot_be_hashed_identify_nothing() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.shop.keys_are_lists = True
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    question.answer(4, complete=True)
    life.bring(FILLS, 7)
    assert told(inlet) == [-4, "repaired", 6, 7]


# ── no answer, or not all ───────────────────────────────────────────────────────────────────────


def test_without_an_answer_in_time_the_stream_goes_on_and_a_late_one_changes_nothing() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    life.wait(1.9)
    assert told(inlet) == []
    life.wait(0.2)
    assert told(inlet) == ["in part", 6]
    assert life.cancelled == [question]
    assert not question.answer(4, 5, complete=True)
    assert (told(inlet), life.reconciles()) == ([], True)


def test_the_connection_looks_again_when_the_hold_is_over() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life)
    assert life.delivery.look_in(life.now + 0.5) == pytest.approx(1.5)


def test_a_part_is_delivered_and_the_rest_named() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    question = lost(inlet, life)
    reached = 100 * SECOND + SECOND // 2
    question.answer(4, reaches_ns=reached)
    life.wait(2.0)
    found = [item for item in items(inlet) if isinstance(item, Received | Repaired)]
    repaired = found[-1]
    assert isinstance(repaired, Repaired)
    assert [item.event for item in found[:-1] if isinstance(item, Received)] == ["4"]
    lacks = (repaired.lacks_since_ns, repaired.lacks_until_ns)
    assert (repaired.count, repaired.complete, repaired.text, lacks) == (
        1,
        False,
        "no seam",
        (reached, 101 * SECOND),
    )


def test_a_refusal_lets_the_stream_go_on_at_once() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    question.fail("http 429")
    assert told(inlet) == ["in part", 6]


def test_a_venue_that_cannot_be_asked_or_fails_leaves_the_gap_open() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.shop.cannot = True
    life.reconnect()
    assert told(inlet) == ["gap", "in part"]
    life.shop.error = ValueError("a defect")
    life.reconnect()
    assert (told(inlet), life.failures) == (["gap", "in part"], [FILLS])


def test_too_much_that_waits_ends_the_hold_of_the_topic_with_the_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backfills, "HELD_EVENTS", 4)
    inlet = new_inlet()
    life = Life(inlet, topics=(FILLS, OTHERS))
    life.reconnect()
    assert told(inlet) == ["gap"]
    life.bring(OTHERS, 1)
    life.bring(FILLS, 1, 2, 3)
    assert told(inlet) == []
    life.bring(FILLS, 4)
    assert told(inlet) == ["in part", 1, 2, 3, 4]
    assert (life.is_fresh(FILLS), life.is_fresh(OTHERS)) == (True, False)


# ── nothing twice ───────────────────────────────────────────────────────────────────────────────


def test_what_the_stream_brings_behind_the_answer_is_delivered_once() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life).answer(4, 5, complete=True)
    life.bring(FILLS, 5, 6)
    assert told(inlet) == [-4, -5, "repaired", 6]
    assert (life.counters[-1].duplicates, life.reconciles()) == (1, True)
    life.wait(backfills.KNOWN_FOR)
    life.bring(FILLS, 5)  # nothing is remembered for ever
    assert told(inlet) == [5]


def test_what_a_former_fill_brought_is_known_in_the_next_one_too() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life).answer(4, 5, complete=True)
    life.miss(FILLS)
    life.look()
    life.bring(FILLS, 5)
    life.questions[-1].answer(6, complete=True)
    life.bring(FILLS, 5, 6, 7)
    assert told(inlet) == [-4, -5, "repaired", "gap", -6, "repaired", 7]
    assert life.reconciles()


def test_what_was_delivered_before_and_what_waits_counts_as_duplicates() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    question.answer(2, 3, 4, 4, 5, 6, complete=True)
    assert told(inlet) == [-4, -5, "repaired", 6]
    assert (life.counters[-1].duplicates, life.reconciles()) == (4, True)


# ── more losses ─────────────────────────────────────────────────────────────────────────────────


def test_a_loss_while_the_venue_is_asked_gives_the_stream_what_waited_before_its_gap() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    life.miss(FILLS)
    assert told(inlet) == ["in part", 6, "gap"]
    life.look()
    assert life.questions[-1].loss.last == "6"
    assert not question.answer(4, 5, complete=True)
    life.bring(FILLS, 8)
    life.questions[-1].answer(7, complete=True)
    assert (told(inlet), life.reconciles()) == ([-7, "repaired", 8], True)


def test_the_end_of_the_connection_gives_the_stream_what_waited() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life)
    life.bring(FILLS, 6)
    life.lose(1.0)
    assert told(inlet) == ["in part", 6]
    life.log_in()
    assert told(inlet) == ["gap"]
    assert life.questions[-1].loss.last == "6"
    life.questions[-1].answer(7, complete=True)
    assert (told(inlet), life.reconciles()) == ([-7, "repaired"], True)


def test_two_losses_without_an_event_between_them_are_filled_from_the_same_event_on() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life)
    life.reconnect()
    assert told(inlet) == ["in part", "gap"]
    question = life.questions[-1]
    assert (question.loss.last, question.loss.since_ns) == ("3", 100 * SECOND)
    question.answer(4, 5, complete=True)
    assert told(inlet) == [-4, -5, "repaired"]


def test_the_event_before_a_loss_is_remembered_over_a_connection_that_never_answered_for_it() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.bring(FILLS, 3)
    life.lose(1.0)
    life.log_in(TRADES)
    life.bring(FILLS, 5)  # before the venue's answer: the gap is still to come
    life.lose(1.0)
    life.log_in()
    assert life.questions[-1].loss.last == "3"


def test_a_revoked_connection_puts_nothing_more_and_what_waited_is_not_counted() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    life.arrivals.revoke(life.right)
    question.answer(4, 5, complete=True)
    life.delivery.leave()
    assert told(inlet) == []
    assert life.counters[-1].routed == 0


def test_an_overflow_is_no_loss_of_the_venue() -> None:
    inlet = new_inlet("drop_oldest", 2)
    life = Life(inlet)
    life.bring(FILLS, 1, 2, 3)
    life.look()
    assert (told(inlet), life.questions) == (["gap", 2, 3], [])


# ── streams and topics that come and go ─────────────────────────────────────────────────────────


def test_a_stream_that_comes_meanwhile_gets_what_came_after_it_and_no_marker() -> None:
    inlet, newcomer = new_inlet(), new_inlet(id=2)
    life = Life(inlet)
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    life.set_readers(FILLS, inlet, newcomer)
    life.bring(FILLS, 7)
    question.answer(4, 5, complete=True)
    life.bring(FILLS, 8)
    assert told(inlet) == [-4, -5, "repaired", 6, 7, 8]
    assert told(newcomer) == [7, 8]
    assert life.reconciles()


def test_a_stream_that_comes_while_the_line_is_down_has_no_gap_and_no_back_fill() -> None:
    inlet, newcomer = new_inlet(), new_inlet(id=2)
    life = Life(inlet)
    life.bring(FILLS, 1)
    life.lose(1.0)
    life.routes[FILLS] = type(life.routes[FILLS])(1, (inlet, newcomer))
    life.log_in()
    life.questions[-1].answer(2, complete=True)
    life.bring(FILLS, 3)
    assert told(inlet) == [1, "gap", -2, "repaired", 3]
    assert told(newcomer) == [3]


def test_a_stream_that_leaves_meanwhile_gets_nothing_more() -> None:
    inlet, other = new_inlet(), new_inlet(id=2)
    life = Life(inlet, other)
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    life.set_readers(FILLS, other)
    question.answer(4, 5, complete=True)
    assert told(inlet) == []
    assert told(other) == [1, 2, 3, "gap", -4, -5, "repaired", 6]


def test_a_topic_that_is_given_up_meanwhile_ends_the_question() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    question = lost(inlet, life)
    life.bring(FILLS, 6)
    life.delivery.set_route(FILLS, None)
    assert told(inlet) == ["in part", 6, "gap"]  # the stream still wanted it: it lies elsewhere from now on
    assert life.cancelled == [question]
    assert (life.is_fresh(FILLS), life.reconciles()) == (True, True)


# ── kinds of streams ────────────────────────────────────────────────────────────────────────────


def test_a_full_blocking_stream_takes_it_and_asks_its_line_to_pause() -> None:
    inlet = new_inlet("block", 4)
    life = Life(inlet)
    question = lost(inlet, life)
    question.answer(4, 5, 6, 7, 8, complete=True)
    life.bring(FILLS, 9)
    assert life.delivery.paused_by == (inlet.id,)
    assert told(inlet) == [-4, -5, -6, -7, -8, "repaired", 9]


def test_a_dropping_stream_marks_what_of_a_fill_it_has_no_room_for() -> None:
    inlet = new_inlet("drop_oldest", 2)
    life = Life(inlet)
    life.bring(FILLS, 1)
    life.reconnect()
    assert told(inlet) == [1, "gap"]
    life.questions[-1].answer(2, 3, 4, 5, complete=True)
    assert told(inlet) == ["gap", -4, -5, "repaired"]
    assert inlet.buffer.dropped == 2


def test_a_conflating_stream_keeps_the_newest_and_the_marker_before_it() -> None:
    inlet = new_inlet("conflate")
    life = Life(inlet)
    question = lost_of_conflated(inlet, life)
    life.bring(FILLS, 6)
    question.answer(4, 5, complete=True)
    assert told(inlet) == ["repaired", 6]
    assert inlet.status().received == inlet.status().delivered + inlet.status().conflated


def lost_of_conflated(inlet: Inlet, life: Life) -> Question:
    life.bring(FILLS, 3)
    life.reconnect()
    assert told(inlet) == [3, "gap"]
    return life.questions[-1]


def test_an_inline_handler_is_called_in_the_same_order() -> None:
    called = Called()
    life = Life(inline_inlet(called))
    life.bring(FILLS, 1)
    life.reconnect()
    life.bring(FILLS, 4)
    life.questions[-1].answer(2, 3, complete=True)
    assert [word for word in called.words if word.isdigit()] == ["1", "2", "3", "4"]
    assert life.reconciles()


# ── what is known of the topic meanwhile ────────────────────────────────────────────────────────


def test_a_topic_is_not_to_be_trusted_until_its_stream_has_gone_on() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    assert life.is_fresh(FILLS)
    question = lost(inlet, life)
    assert (life.is_fresh(FILLS), life.is_fresh(TRADES)) == (False, True)
    question.answer(4, complete=True)
    assert life.is_fresh(FILLS)


def test_a_whole_repair_ends_what_was_missing_and_another_one_does_not() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.bring(FILLS, 1)
    for complete, is_broken in ((True, False), (False, True)):
        life.miss(FILLS)
        life.look()
        life.questions[-1].answer(2 + complete, complete=complete)
        life.wait(2.0)
        holder = life.cells.holder("o2")
        assert holder is not None
        assert holder.evidence(FILLS, life.now, life.now_ns, dated=False).is_broken is is_broken


def test_gaps_that_were_repaired_and_those_that_were_not_are_counted_over_connections() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    lost(inlet, life).answer(4, complete=True)
    life.reconnect()
    life.wait(2.0)
    counted = life.cells.repairs("o2")
    assert (counted.complete, counted.incomplete) == (1, 1)


def test_a_rotation_that_takes_over_late_is_filled_too() -> None:
    inlet = new_inlet()
    life = Life(inlet)
    life.bring(FILLS, 1)
    life.delivery.bring(Missed((FILLS,), "unknown"))  # as a connection that takes its turn late marks it
    life.delivery.bring(Confirm((FILLS,)))
    life.bring(FILLS, 3)
    life.look()
    life.questions[-1].answer(2, complete=True)
    assert told(inlet) == [1, "gap", -2, "repaired", 3]


# ── any order ───────────────────────────────────────────────────────────────────────────────────


class Losses(RuleBasedStateMachine):
    """A venue with a numbered list, of which a stream lacks nothing that no marker names."""

    @initialize(policy=st.sampled_from(["block", "drop_oldest"]))
    def begin(self, policy: str) -> None:
        self.inlet = new_inlet("block" if policy == "block" else "drop_oldest", 10_000)
        self.life = Life(self.inlet)
        self.said = 0
        self.is_up = True
        self.seen: list[Received[str] | Gap | Repaired] = []

    def _say(self, count: int) -> list[int]:
        self.said += count
        return list(range(self.said - count + 1, self.said + 1))

    @rule(count=st.integers(1, 3))
    def tell(self, count: int) -> None:
        """The venue tells its next events, if it can."""
        events = self._say(count)
        if self.is_up:
            self.life.bring(FILLS, *events)

    @precondition(lambda self: self.is_up)
    @rule(count=st.integers(1, 2))
    def miss(self, count: int) -> None:
        """Its session finds a hole."""
        self._say(count)
        self.life.miss(FILLS)

    @precondition(lambda self: self.is_up)
    @rule()
    def lose(self) -> None:
        self.life.lose(0.3)
        self.is_up = False

    @precondition(lambda self: not self.is_up)
    @rule()
    def come_back(self) -> None:
        self.life.log_in()
        self.is_up = True

    @precondition(lambda self: self.is_up)
    @rule(count=st.integers(0, 4))
    def outage(self, count: int) -> None:
        self.life.lose(0.3)
        self._say(count)
        self.life.log_in()

    @precondition(lambda self: self.is_up)
    @rule()
    def look(self) -> None:
        self.life.wait(0.1)

    @precondition(lambda self: self.is_up)
    @rule()
    def expire(self) -> None:
        self.life.wait(2.5)

    @property
    def _under_way(self) -> list[Question]:
        return [each for each in self.life.questions[-1:] if each not in self.life.cancelled]

    @precondition(lambda self: self._under_way)
    @rule(cut=st.sampled_from([0, 0, 1, 4]), more=st.integers(0, 3))
    def answer(self, cut: int, more: int) -> None:
        """Short, overlapping, or whole."""
        self._answer(self._under_way[0], cut, more)

    @precondition(lambda self: self._under_way)
    @rule(more=st.integers(0, 3))
    def answer_to_both_seams(self, more: int) -> None:
        """The first answer is in part, the event after the loss comes, and the second one is whole."""
        self._answer(self._under_way[0], 1, 0)
        self.tell(1)
        self.look()
        if self._under_way:
            self._answer(self._under_way[0], 0, more)

    @precondition(lambda self: self.is_up and self._under_way)
    @rule()
    def tell_behind_its_list(self) -> None:
        """The venue's list has an event before its stream brings it."""
        event = self._say(1)
        self._answer(self._under_way[0], 0, 0)
        self.expire()
        self.life.bring(FILLS, *event)

    @precondition(lambda self: self.life.questions)
    @rule(data=st.data())
    def answer_late(self, data: st.DataObject) -> None:
        """To any question, however old."""
        self._answer(data.draw(st.sampled_from(self.life.questions[-4:])), 0, 1)

    def _answer(self, question: Question, cut: int, more: int) -> None:
        loss = question.loss
        last = int(loss.last) if loss.last is not None else 0
        first = int(loss.first) if loss.first is not None else self.said + 1
        events = list(range(last + 1, first))
        is_whole = cut == 0 and loss.first is not None and loss.last is not None
        events = events[: max(0, len(events) - cut)]
        around = [*range(max(1, last - more + 1), last + 1), *events]
        around += [*events[-1:], *range(first, min(self.said, first + more - 1) + 1)] if not cut else []
        question.answer(*around, complete=is_whole)

    @precondition(lambda self: self._under_way)
    @rule()
    def fail(self) -> None:
        self.life.questions[-1].fail()

    @rule()
    def read(self) -> None:
        self.seen += [
            item
            for item in items(self.inlet)
            if isinstance(item, Received | Gap | Repaired) and item.topic == FILLS
        ]

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        if hasattr(self, "life"):
            assert all(
                each.decoded >= each.routed + each.unrouted + each.duplicates for each in self.life.counters
            )

    def teardown(self) -> None:
        if not hasattr(self, "life"):
            return
        if not self.is_up:
            self.life.log_in()
        self.life.wait(2.5)
        self.life.bring(FILLS, *self._say(1))
        self.read()
        assert self.life.reconciles()
        check(self.seen, self.said)


def check(seen: list[Received[str] | Gap | Repaired], said: int) -> None:
    """In order, none twice, and a marker at each place where some are missing."""
    newest, is_open, pending = 0, False, False  # pending: behind a gap whose end is yet to be told
    jumped = False
    for item in seen:
        match item:
            case Gap():
                assert not pending, "a gap before the last one had its end"
                is_open = pending = True
                jumped = False
            case Repaired(complete=complete):
                assert pending
                assert not (complete and jumped), "a complete repair lacks something"
                pending, is_open = False, not complete
            case Received(event=event, source=source):
                number = int(event)
                assert number > newest, "in order, and none twice"
                assert (source == "rest") == pending, "what was asked for stands before the end of its gap"
                jumped = jumped or number != newest + 1
                assert number == newest + 1 or pending or is_open, f"{newest + 1} is missing, and no marker"
                newest = number
                is_open = is_open and pending
    assert newest == said
    assert not pending


TestLosses = Losses.TestCase
TestLosses.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)
