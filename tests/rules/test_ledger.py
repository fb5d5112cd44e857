"""The registry's book against a venue that answers late, twice, not at all, or with a refusal."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.events import SubscriptionState, Topic
from actors.protocol.placement import Bound, Placement
from actors.rules.ledger import ASSUMED, CONFIRMED, DESIRED, SENT, Ledger, Life, Overdue
from tests.support.examples import examples

LINES = ("o2/a", "o2/b")
TOPICS = tuple(Topic("o2", channel, str(n)) for n in range(4) for channel in ("depth", "trades"))
REFUSED = SubscriptionState("rejected", reason="not today")
A, B = TOPICS[:2]
LINE = LINES[0]

topics = st.sampled_from(TOPICS)
lines = st.sampled_from(LINES)
sizes = st.integers(1, 5)
# All of them, as often as not.
several: st.SearchStrategy[set[Topic]] = st.one_of(st.builds(set, st.just(TOPICS)), st.sets(topics))


def line_of(topic: Topic) -> str:
    return LINES[int(topic.key) % 2]


class Connection:
    """One epoch: what is on the wire in each direction, and what the venue holds."""

    def __init__(self) -> None:
        self.states: dict[Topic, SubscriptionState] = {}  # as the book should have them
        self.due: set[Topic] = set()  # what there is a reason to send
        self.asked: dict[Topic, int] = {}
        self.turns: dict[Topic, int] = {}  # the asking whose frame left last
        self.resent = 0
        self.to_send: deque[tuple[int, tuple[Topic, ...]]] = deque()  # askings whose frames have not left
        self.asking: dict[Topic, int] = {}  # the asking that is on its way, where one is
        self.asks: deque[tuple[Literal["subscribe", "unsubscribe"], Topic]] = deque()
        self.answers: deque[tuple[Literal["granted", "refused"], Topic]] = deque()
        self.held: set[Topic] = set()  # the venue's own set

    def wish(self, topic: Topic) -> None:
        self.states[topic] = DESIRED
        self.due.add(topic)
        self.asked.pop(topic, None)

    def forget(self, topic: Topic) -> None:
        self.states.pop(topic, None)
        self.due.discard(topic)
        self.asking.pop(topic, None)
        self.asked.pop(topic, None)
        for turn, asked in list(self.to_send):  # a connection that waits for its route drops it
            self.to_send.popleft()
            self.to_send.append((turn, tuple(other for other in asked if other != topic)))
        self.asks.append(("unsubscribe", topic))

    def told(self, turn: int, topics: tuple[Topic, ...]) -> None:
        """The registry tells the connection to ask for these."""
        if topics:
            self.to_send.append((turn, topics))
            self.asking |= dict.fromkeys(topics, turn)

    def send(self, topic: Topic, turn: int) -> None:
        """Its frame has left."""
        self.states[topic] = SENT
        self.turns[topic] = turn
        self.asking.pop(topic, None)
        self.asked[topic] = self.asked.get(topic, 0) + 1

    def answered(self, topic: Topic, state: SubscriptionState) -> None:
        self.asked.pop(topic, None)
        self.states[topic] = state

    def in_state(self, *states: SubscriptionState) -> set[Topic]:
        return {topic for topic, state in self.states.items() if state in states}


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens, in any order: book and venue end up with what is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.wants: dict[Topic, set[int]] = {}
        self.lives: dict[tuple[str, int], Connection] = {}
        self.past: list[tuple[str, int, Connection]] = []
        self.refused: set[Topic] = set()  # what the venue refuses at present
        self.epoch = 0

    @initialize(line=lines, wanted=several)
    def begin(self, line: str, wanted: set[Topic]) -> None:
        for topic in sorted(wanted):
            self.want(0, topic)
        self.open(line)

    def on(self, line: str) -> list[tuple[int, Connection]]:
        return [(epoch, life) for (name, epoch), life in self.lives.items() if name == line]

    # ── wishes ──

    @rule(stream=st.integers(0, 3), topic=topics)
    def want(self, stream: int, topic: Topic) -> None:
        is_new = topic not in self.wants
        assert self.ledger.want(stream, topic) == is_new
        self.wants.setdefault(topic, set()).add(stream)
        if is_new:
            self.ledger.place(topic, line_of(topic))
            for _, life in self.on(line_of(topic)):
                life.wish(topic)

    @rule(stream=st.integers(0, 3), topic=topics)
    def unwant(self, stream: int, topic: Topic) -> None:
        line = self.ledger.unwant(stream, topic)
        wants = self.wants.get(topic, set())
        is_last = wants == {stream}
        wants.discard(stream)
        assert line == (line_of(topic) if is_last else None)
        if is_last:
            del self.wants[topic]
            for _, life in self.on(line_of(topic)):
                life.forget(topic)

    @precondition(lambda self: self.wants)
    @rule(data=st.data())
    def unwant_what_is_wanted(self, data: st.DataObject) -> None:
        topic = data.draw(st.sampled_from(sorted(self.wants)))
        self.unwant(data.draw(st.sampled_from(sorted(self.wants[topic]))), topic)

    # ── lives ──

    @rule(line=lines)
    def open(self, line: str) -> None:
        if len(self.on(line)) == 2:  # one takes over from another; there is never a third
            self.close(line, False)
        self.epoch += 1
        self.ledger.open(line, self.epoch)
        life = self.lives[line, self.epoch] = Connection()
        for topic in self.wants:
            if line_of(topic) == line:
                life.wish(topic)

    @precondition(lambda self: self.lives)
    @rule(line=lines)
    def open_again(self, line: str) -> None:
        for epoch, _ in self.on(line):
            self.ledger.open(line, epoch)  # told twice, by a supervisor that cannot know

    @rule(line=lines, newest=st.booleans())
    def close(self, line: str, newest: bool) -> None:
        if lives := self.on(line):
            epoch = lives[-1 if newest else 0][0]
            self.ledger.close(line, epoch)
            self.past.append((line, epoch, self.lives.pop((line, epoch))))

    @rule()
    def a_new_keeper_takes_over(self) -> None:
        former, self.ledger = self.ledger, self.ledger.copy()
        for (line, epoch), life in self.lives.items():  # who does not know it yet, and goes on
            asked = former.next_batch(line, epoch, 100)
            former.send(line, epoch, asked, former.turn(line, epoch))
            former.ask_once_more(line, epoch, [A, B])
            former.confirm(line, epoch, life.states, assumed=False)
            former.reject(line, epoch, [A, B], "no")
            former.resent(line, epoch, [A, B], -100)
            former.close(line, epoch)
        for topic in list(self.wants):
            former.unwant(0, topic)
            former.want(9, topic)

    # ── asking ──

    @rule(line=lines, size=sizes)
    def ask(self, line: str, size: int) -> None:
        for epoch, life in self.on(line):
            batch = self.ledger.next_batch(line, epoch, size)
            assert len(batch) <= size
            for topic in batch:
                assert topic in life.due, "asked for without a reason"
                life.due.discard(topic)
            life.told(self.ledger.turn(line, epoch), batch)

    @rule(line=lines, count=sizes)
    def frames_leave(self, line: str, count: int) -> None:
        """The connection has been told what to ask for, in this order, and reports it."""
        for epoch, life in self.on(line):
            for _ in range(min(count, len(life.to_send))):
                turn, asked = life.to_send.popleft()
                sent = self.ledger.send(line, epoch, asked, turn)
                assert set(sent) == {topic for topic in asked if life.asking.get(topic) == turn}
                assert self.ledger.send(line, epoch, asked, turn) == ()  # reported once more
                for topic in asked:
                    life.asks.append(("subscribe", topic))
                for topic in sent:
                    life.send(topic, turn)

    @rule(line=lines, late=several)
    def ask_once_more(self, line: str, late: set[Topic]) -> None:
        for epoch, life in self.on(line):
            for turn in sorted({life.turns[topic] for topic in life.in_state(SENT) & late}):
                overdue = self.ledger.overdue(line, epoch, sorted(late), turn)
                silent = {topic for topic in life.in_state(SENT) & late if life.turns[topic] == turn}
                assert set(overdue.give_up) == {topic for topic in silent if life.asked[topic] > 1}
                assert set(overdue.ask_again) == silent - set(overdue.give_up)
                if overdue.ask_again:
                    again = self.ledger.ask_once_more(line, epoch, overdue.ask_again)
                    assert again == self.ledger.turn(line, epoch)
                    for topic in overdue.ask_again:
                        life.asks.append(("unsubscribe", topic))
                    life.told(again, overdue.ask_again)

    @rule(line=lines, some=several)
    def the_session_sends_again(self, line: str, some: set[Topic]) -> None:
        for epoch, life in self.on(line):
            life.resent -= 1
            known = self.ledger.resent(line, epoch, sorted(some), life.resent)
            assert set(known) == some & life.states.keys()
            for topic in known:
                life.due.discard(topic)
                life.asks.append(("unsubscribe", topic))
                life.asks.append(("subscribe", topic))
                life.send(topic, life.resent)
                life.asked[topic] = 1

    @rule(line=lines, some=several)
    def ask_the_refused_again(self, line: str, some: set[Topic]) -> None:
        for epoch, life in self.on(line):
            self.ledger.ask_again(line, epoch, sorted(some))
            for topic in some & life.in_state(REFUSED):
                life.wish(topic)

    # ── the venue ──

    @rule(some=several)
    def the_venue_changes_its_mind(self, some: set[Topic]) -> None:
        self.refused ^= some

    @rule(line=lines, count=sizes)
    def the_venue_hears(self, line: str, count: int) -> None:
        for _, life in self.on(line):
            for _ in range(min(count, len(life.asks))):
                verb, topic = life.asks.popleft()
                if verb == "unsubscribe":
                    life.held.discard(topic)
                elif topic in self.refused:
                    life.held.discard(topic)
                    life.answers.append(("refused", topic))
                else:
                    life.held.add(topic)
                    life.answers.append(("granted", topic))

    @rule(line=lines, count=sizes)
    def the_venue_answers(self, line: str, count: int) -> None:
        for epoch, life in self.on(line):
            for _ in range(min(count, len(life.answers))):
                self.answer(line, epoch, life, *life.answers.popleft())

    @rule(line=lines)
    def an_answer_is_lost(self, line: str) -> None:
        for _, life in self.on(line):
            if life.answers:
                life.answers.popleft()

    @rule(line=lines, some=several)
    def silence_is_taken_for_consent(self, line: str, some: set[Topic]) -> None:
        for epoch, life in self.on(line):
            changed = self.ledger.confirm(line, epoch, sorted(some), assumed=True)
            assert set(changed) <= some & life.in_state(SENT, ASSUMED)
            for topic in some & life.in_state(SENT):
                assert topic in changed
                life.answered(topic, ASSUMED)

    @precondition(lambda self: self.past)
    @rule()
    def an_answer_comes_too_late(self) -> None:
        line, epoch, life = self.past[-1]
        asked = sorted(life.states)  # `consistent` sees that none of it changed anything
        assert self.ledger.confirm(line, epoch, asked, assumed=False) == ()
        assert self.ledger.reject(line, epoch, asked, "late") == ()
        assert self.ledger.resent(line, epoch, asked, -1) == ()
        assert self.ledger.overdue(line, epoch, asked, 1_000) == Overdue((), ())
        assert self.ledger.next_batch(line, epoch, 100) == ()
        self.ledger.ask_again(line, epoch, asked)
        assert self.ledger.send(line, epoch, asked, 1) == ()
        assert self.ledger.asking(line, epoch) == {}
        assert self.ledger.ask_once_more(line, epoch, asked) == self.ledger.turn(line, epoch) == 0
        assert not self.ledger.settled(line, epoch)

    def answer(self, line: str, epoch: int, life: Connection, word: str, topic: Topic) -> None:
        state = life.states.get(topic)
        waits = state is not None and state != DESIRED
        if word == "granted":
            changed = self.ledger.confirm(line, epoch, [topic], assumed=False)
            assert bool(changed) == (waits and state != CONFIRMED)
        else:
            changed = self.ledger.reject(line, epoch, [topic], REFUSED.reason)
            assert bool(changed) == waits
        if waits:
            life.answered(topic, CONFIRMED if word == "granted" else REFUSED)

    # ── what is always so ──

    @invariant()
    def many_states_are_those_of_each(self) -> None:
        each = {topic: state for topic in TOPICS if (state := self.ledger.state(topic)) is not None}
        assert self.ledger.states(TOPICS) == each

    @invariant()
    def consistent(self) -> None:
        ledger = self.ledger
        assert set(ledger.wanted()) == set(self.wants)
        for topic in TOPICS:
            assert ledger.count(topic) == len(self.wants.get(topic, ()))
            assert ledger.line(topic) == (line_of(topic) if topic in self.wants else None)
        for line in LINES:
            assert set(ledger.open_epochs(line)) == {epoch for epoch, _ in self.on(line)}
            assert set(ledger.topics(line)) == {topic for topic in self.wants if line_of(topic) == line}
            for epoch, life in self.on(line):
                assert life.states.keys() == set(ledger.topics(line))
                assert ledger.has_more(line, epoch) == bool(life.due)
                assert set(ledger.unanswered(line, epoch)) == life.in_state(SENT)
                assert ledger.settled(line, epoch) == (not life.in_state(DESIRED, SENT))

    @invariant()
    def a_new_keeper_would_ask_for_what_is_asked_for(self) -> None:
        for (line, epoch), life in self.lives.items():
            asking = self.ledger.asking(line, epoch)
            assert {topic: turn for turn, asked in asking.items() for topic in asked} == life.asking
            assert all(turn <= self.ledger.turn(line, epoch) for turn in asking)

    @invariant()
    def people_see_the_present_epoch_and_no_candidates(self) -> None:
        for topic in TOPICS:
            lives = self.on(line_of(topic))
            present = lives[0][1].states.get(topic) if lives else DESIRED
            assert self.ledger.state(topic) == (present if topic in self.wants else None)

    def teardown(self) -> None:
        """Let everything be sent, heard and answered: venue and book agree on what is wanted."""
        for line in LINES:
            for _ in range(2):  # what has lost its answer is asked for once more
                while any(life.due or life.to_send or life.asks or life.answers for _, life in self.on(line)):
                    self.ask(line, 3)
                    self.frames_leave(line, 3)
                    self.the_venue_hears(line, 3)
                    self.the_venue_answers(line, 3)
                self.ask_once_more(line, set(TOPICS))
            for epoch, life in self.on(line):
                if given_up := life.in_state(SENT):  # asked twice: such a line is restarted
                    for topic in given_up:
                        overdue = self.ledger.overdue(line, epoch, [topic], life.turns[topic])
                        assert overdue == Overdue((), (topic,))
                    continue
                assert self.ledger.settled(line, epoch)
                assert life.held == life.in_state(CONFIRMED, ASSUMED) - self.assumed_in_vain(life)
                assert life.held | life.in_state(REFUSED) | self.assumed_in_vain(life) == set(
                    self.ledger.topics(line)
                )

    def assumed_in_vain(self, life: Connection) -> set[Topic]:
        """Taken for granted, though the venue had refused and that answer was lost."""
        return life.in_state(ASSUMED) - life.held


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)


def send(ledger: Ledger, size: int = 10, epoch: int = 1) -> tuple[Topic, ...]:
    """Ask for the next ones, and their frames leave."""
    batch = ledger.next_batch(LINE, epoch, size)
    assert ledger.send(LINE, epoch, batch, ledger.turn(LINE, epoch)) == batch
    return batch


def open_ledger(*wanted: Topic) -> Ledger:
    ledger = Ledger()
    for topic in wanted:
        ledger.want(1, topic)
        ledger.place(topic, LINE)
    ledger.open(LINE, 1)
    return ledger


def test_a_subscription_is_desired_then_sent_then_confirmed() -> None:
    ledger = open_ledger(A)
    assert ledger.state(A) == DESIRED
    assert ledger.next_batch(LINE, 1, 10) == (A,)
    assert ledger.state(A) == DESIRED  # until its frame has left
    assert ledger.send(LINE, 1, [A], ledger.turn(LINE, 1)) == (A,)
    assert ledger.state(A) == SENT
    assert ledger.confirm(LINE, 1, [A], assumed=False) == (A,)
    assert ledger.state(A) == CONFIRMED
    assert ledger.settled(LINE, 1)


def test_the_streams_of_a_topic_are_those_that_want_it() -> None:
    ledger = Ledger()
    for stream, topic in ((1, A), (2, A), (2, B)):
        ledger.want(stream, topic)
    ledger.unwant(1, A)
    ledger.want(3, A)
    assert ledger.streams([A, B, TOPICS[2]]) == {A: {2, 3}, B: {2}, TOPICS[2]: set()}


def test_batches_go_out_in_the_order_of_wanting() -> None:
    ledger = open_ledger(*TOPICS)
    assert ledger.next_batch(LINE, 1, 3) == TOPICS[:3]
    assert ledger.next_batch(LINE, 1, 100) == TOPICS[3:]
    assert not ledger.has_more(LINE, 1)


def test_an_answer_to_a_wish_taken_back_is_none_to_the_next_one() -> None:
    ledger = open_ledger(A)
    send(ledger)
    ledger.unwant(1, A)  # the venue is told so; its answer to the first wish is on its way
    ledger.want(2, A)
    ledger.place(A, LINE)
    assert ledger.confirm(LINE, 1, [A], assumed=False) == ()
    assert ledger.reject(LINE, 1, [A], "late") == ()
    assert ledger.next_batch(LINE, 1, 10) == (A,)


def test_a_refusal_is_overruled_by_a_later_grant_and_not_by_silence() -> None:
    ledger = open_ledger(A)
    send(ledger)
    ledger.reject(LINE, 1, [A], "no")
    assert ledger.confirm(LINE, 1, [A], assumed=True) == ()
    assert ledger.confirm(LINE, 1, [A], assumed=False) == (A,)


def test_silence_is_taken_for_consent_once_and_is_told_apart_from_an_answer() -> None:
    ledger = open_ledger(A)
    send(ledger)
    assert ledger.confirm(LINE, 1, [A], assumed=True) == (A,)
    assert ledger.state(A) == ASSUMED
    assert ledger.confirm(LINE, 1, [A], assumed=True) == ()
    assert ledger.confirm(LINE, 1, [A], assumed=False) == (A,)
    assert ledger.state(A) == CONFIRMED


def test_a_refusal_has_the_venue_s_reason_and_concerns_what_lies_on_the_line() -> None:
    ledger = open_ledger(A)
    send(ledger)
    assert ledger.reject(LINE, 1, [B, A], "no such market") == (A,)
    assert ledger.state(A) == SubscriptionState("rejected", reason="no such market")


def test_one_topic_unanswered_keeps_the_line_unsettled() -> None:
    ledger = open_ledger(A, B)
    send(ledger)
    ledger.confirm(LINE, 1, [A], assumed=False)
    assert not ledger.settled(LINE, 1)
    ledger.unwant(1, B)
    assert ledger.settled(LINE, 1)


def test_a_deadline_of_an_earlier_asking_changes_nothing() -> None:
    ledger = open_ledger(A)
    send(ledger)
    turn = ledger.turn(LINE, 1)
    ledger.resent(LINE, 1, [A], -1)  # by the session itself, since
    assert ledger.overdue(LINE, 1, [A], turn) == Overdue((), ())
    assert ledger.overdue(LINE, 1, [A], -1) == Overdue((A,), ())
    ledger.resent(LINE, 1, [A], -2)
    assert ledger.overdue(LINE, 1, [A], -1) == Overdue((), ())


def test_what_was_asked_for_and_has_not_left_is_not_asked_for_again() -> None:
    ledger = open_ledger(A, B)
    assert ledger.next_batch(LINE, 1, 1) == (A,)
    turn = ledger.turn(LINE, 1)
    assert ledger.next_batch(LINE, 1, 10) == (B,)
    assert ledger.next_batch(LINE, 1, 10) == ()
    assert ledger.asking(LINE, 1) == {turn: [A], turn + 1: [B]}
    assert ledger.confirm(LINE, 1, [A], assumed=False) == ()  # nothing has been asked for
    assert not ledger.settled(LINE, 1)


def test_frames_of_an_asking_before_the_topic_was_wanted_anew_count_for_nothing() -> None:
    ledger = open_ledger(A)
    ledger.next_batch(LINE, 1, 10)
    former = ledger.turn(LINE, 1)
    ledger.unwant(1, A)
    ledger.want(2, A)
    ledger.place(A, LINE)
    ledger.next_batch(LINE, 1, 10)
    assert ledger.send(LINE, 1, [A], former) == ()
    assert ledger.state(A) == DESIRED
    assert ledger.send(LINE, 1, [A], ledger.turn(LINE, 1)) == (A,)


def test_a_second_asking_counts_once_its_frame_has_left() -> None:
    ledger = open_ledger(A)
    send(ledger)
    first = ledger.turn(LINE, 1)
    again = ledger.ask_once_more(LINE, 1, [A])
    assert ledger.overdue(LINE, 1, [A], first) == Overdue((A,), ())
    ledger.send(LINE, 1, [A], again)
    assert ledger.overdue(LINE, 1, [A], first) == Overdue((), ())
    assert ledger.overdue(LINE, 1, [A], again) == Overdue((), (A,))


def test_each_placement_has_a_number_of_its_own() -> None:
    ledger = open_ledger(A, B)
    first = ledger.numbers([A, B])
    assert len(set(first.values())) == 2
    ledger.unwant(1, A)
    assert ledger.numbers([A, B]) == {B: first[B]}
    ledger.want(1, A)
    ledger.place(A, LINE)
    assert ledger.numbers([A])[A] > max(first.values())


def test_a_line_without_topics_is_settled_at_once() -> None:
    assert open_ledger().settled(LINE, 1)


def test_lives_that_ended_unheard_are_forgotten() -> None:
    ledger = open_ledger(A)
    ledger.open(LINE, 2)
    ledger.open(LINES[1], 3)
    ledger.keep_only({LINE: (2,)})
    assert (ledger.open_epochs(LINE), ledger.open_epochs(LINES[1])) == ((2,), ())


def test_the_askings_of_a_wish_that_was_taken_back_are_forgotten() -> None:
    ledger = open_ledger(A)
    send(ledger)
    ledger.unwant(1, A)
    ledger.want(1, A)
    ledger.place(A, LINE)
    send(ledger)
    assert ledger.overdue(LINE, 1, [A], ledger.turn(LINE, 1)) == Overdue(ask_again=(A,), give_up=())


def test_the_lines_of_a_feed_are_those_with_topics_of_it() -> None:
    ledger, elsewhere = open_ledger(A), Topic("elsewhere", "depth", "0")
    for topic, line in ((B, "o2"), (elsewhere, "elsewhere/a")):
        ledger.want(1, topic)
        ledger.place(topic, line)
    assert {line: tuple(topics) for line, topics in ledger.placed("o2").items()} == {LINE: (A,), "o2": (B,)}
    assert ledger.topics("o2") == (B,)
    assert (ledger.has_topics("o2"), ledger.has_topics("o2/b")) == (True, False)
    ledger.unwant(1, A)
    assert list(ledger.placed("o2")) == ["o2"]
    assert not ledger.has_topics(LINE)


def test_a_new_keeper_s_lines_of_a_feed_are_its_own() -> None:
    former = open_ledger(A)
    former.want(1, B)
    former.place(B, "o2")
    ledger = former.copy()
    ledger.unwant(1, A)
    assert {line: tuple(topics) for line, topics in ledger.placed("o2").items()} == {"o2": (B,)}
    assert {line: tuple(topics) for line, topics in former.placed("o2").items()} == {LINE: (A,), "o2": (B,)}


def test_a_line_is_known_as_long_as_it_has_topics_or_has_had_a_life() -> None:
    ledger = open_ledger()
    ledger.want(1, B)
    ledger.place(B, LINES[1])
    assert set(ledger.lines()) == set(LINES)
    ledger.unwant(1, B)
    assert ledger.lines() == (LINE,)


def test_worse_is_what_a_candidate_is_refused_and_the_present_life_has() -> None:
    granted, assumed, refused, kept = TOPICS[:4]
    ledger = open_ledger(*TOPICS[:5])  # the last is not answered, here nor there
    send(ledger)
    ledger.confirm(LINE, 1, [granted, kept], assumed=False)
    ledger.confirm(LINE, 1, [assumed], assumed=True)
    ledger.reject(LINE, 1, [refused], "no")
    ledger.open(LINE, 2)
    send(ledger, epoch=2)
    ledger.reject(LINE, 2, [granted, assumed, refused], "no")
    ledger.confirm(LINE, 2, [kept], assumed=False)
    assert ledger.worse(LINE, 2, present=1) == (granted, assumed)
    assert ledger.worse(LINE, 1, present=2) == ()
    assert ledger.worse(LINE, 2, present=3) == ledger.worse(LINE, 3, present=1) == ()


def test_only_what_was_refused_is_asked_for_again_when_the_while_is_over() -> None:
    ledger = open_ledger(*TOPICS[:3])
    send(ledger)
    refused, granted, silent = TOPICS[:3]
    ledger.reject(LINE, 1, [refused], "not now")
    ledger.confirm(LINE, 1, [granted], assumed=False)
    ledger.ask_again(LINE, 2, TOPICS)  # of a life that is over
    assert not ledger.has_more(LINE, 1)
    ledger.ask_again(LINE, 1, TOPICS)
    assert (ledger.state(refused), ledger.state(granted), ledger.state(silent)) == (DESIRED, CONFIRMED, SENT)
    assert not ledger.settled(LINE, 1)
    assert send(ledger) == (refused,)
    assert ledger.overdue(LINE, 1, [refused], ledger.turn(LINE, 1)) == Overdue((refused,), ())


def test_a_life_that_is_over_has_nothing_to_send_and_may_end_again() -> None:
    ledger = open_ledger(A)
    ledger.close(LINE, 1)
    assert not ledger.has_more(LINE, 1)
    ledger.close(LINE, 1)
    ledger.close("o2/never-there", 1)
    assert not ledger.settled("o2/never-there", 1)
    assert (ledger.open_epochs(LINE), ledger.topics(LINE)) == ((), (A,))


def worse_after(*changes: str) -> tuple[Topic, ...]:
    """Of one topic that the present life has and the candidate was refused, and then this happened."""
    ledger = open_ledger(A)
    send(ledger)
    ledger.confirm(LINE, 1, [A], assumed=False)
    ledger.open(LINE, 2)
    send(ledger, epoch=2)
    ledger.reject(LINE, 2, [A], "no")
    for change in changes:
        match change:
            case "granted":
                ledger.confirm(LINE, 2, [A], assumed=False)
            case "asked again":
                ledger.ask_again(LINE, 2, [A])
            case "sent again":
                ledger.resent(LINE, 2, [A], -1)
            case "unwanted and wanted":
                ledger.unwant(1, A)
                ledger.want(1, A)
                ledger.place(A, LINE)
                send(ledger)
                ledger.confirm(LINE, 1, [A], assumed=False)
    return ledger.worse(LINE, 2, present=1)


def test_a_candidate_that_was_refused_a_topic_for_a_while_is_not_worse_for_ever() -> None:
    assert worse_after() == (A,)
    for change in ("granted", "asked again", "sent again", "unwanted and wanted"):
        assert worse_after(change) == ()


def test_the_last_that_wants_a_topic_is_known() -> None:
    ledger = Ledger()
    assert not ledger.is_last(1, A)
    ledger.want(1, A)
    assert ledger.is_last(1, A)
    assert not ledger.is_last(2, A)
    ledger.want(2, A)
    assert not ledger.is_last(1, A)


def holds(thing: object, topic: Topic) -> bool:
    """Whether the topic lies anywhere in this."""
    match thing:
        case Topic():
            return thing == topic
        case dict():
            return any(holds(each, topic) for each in (*thing, *thing.values()))
        case Placement() | Ledger() | Life():
            return holds(vars(thing), topic)
        case Collection() if not isinstance(thing, str):
            return any(holds(each, topic) for each in thing)
        case _:
            return False


@pytest.mark.parametrize("answer", ["granted", "assumed", "refused", "none"])
def test_a_ledger_keeps_nothing_of_a_topic_that_no_stream_wants(answer: str) -> None:
    ledger = open_ledger(A, B)
    send(ledger)
    match answer:
        case "granted":
            ledger.confirm(LINE, 1, [A], assumed=False)
        case "assumed":
            ledger.confirm(LINE, 1, [A], assumed=True)
        case "refused":
            ledger.reject(LINE, 1, [A], "no")
    assert holds(ledger, A)
    ledger.unwant(1, A)
    assert not holds(ledger, A)
    assert holds(ledger, B)


# ── what no line can take ──


def test_a_refused_topic_is_rejected_with_its_reason_until_it_is_placed() -> None:
    ledger = open_ledger()
    assert ledger.want(1, A)
    ledger.refuse(A, "no room")
    assert ledger.state(A) == SubscriptionState("rejected", reason="no room")
    assert (ledger.refused("o2"), ledger.line(A), ledger.topics(LINE)) == ((A,), None, ())
    assert ledger.settled(LINE, 1)  # it is nothing to wait for
    ledger.place(A, LINE)
    assert ledger.refused("o2") == ()
    assert ledger.state(A) == DESIRED
    assert ledger.next_batch(LINE, 1, 10) == (A,)


def test_who_else_wants_a_refused_topic_has_it_placed_or_refused_again() -> None:
    ledger = open_ledger()
    ledger.want(1, A)
    ledger.refuse(A, "no room")
    assert ledger.want(2, A)
    ledger.refuse(A, "still no room")
    assert ledger.unwant(1, A) is None
    assert ledger.refused("o2") == (A,)  # the other wants it
    assert ledger.unwant(2, A) is None
    assert (ledger.refused("o2"), ledger.state(A), ledger.wanted()) == ((), None, ())


def test_a_topic_that_is_placed_leaves_the_others_refused() -> None:
    ledger = open_ledger()
    for topic in (A, B):
        ledger.want(1, topic)
        ledger.refuse(topic, "no room")
    ledger.place(A, LINE)
    assert (ledger.refused("o2"), ledger.is_refused(A), ledger.is_refused(B)) == ((B,), False, True)


def test_a_placed_topic_takes_room_under_its_bounds() -> None:
    ledger, bounds = open_ledger(), (Bound("trades", 1),)
    assert ledger.placed("o2").first_line(bounds) == "o2"
    ledger.want(1, A)
    ledger.place(A, "o2", bounds)
    assert ledger.placed("o2").first_line(bounds) == "o2/2"
    ledger.unwant(1, A)
    assert ledger.placed("o2").first_line(bounds) == "o2"


def test_the_refused_wait_in_the_order_of_wanting_each_feed_by_itself() -> None:
    ledger, other = open_ledger(), Topic("elsewhere", "depth", "0")
    for topic in (B, other, A):
        ledger.want(1, topic)
        ledger.refuse(topic, "no room")
    ledger.refuse(B, "still no room")  # tried again in vain: it keeps its place
    assert ledger.refused("o2") == (B, A)
    assert ledger.refused("elsewhere") == (other,)
    assert (ledger.first_refused("o2"), ledger.first_refused("elsewhere")) == (B, other)
    assert ledger.first_refused("nowhere") is None


def test_a_new_keeper_knows_who_was_refused_and_a_former_one_changes_nothing() -> None:
    former = open_ledger()
    former.want(1, A)
    former.refuse(A, "no room")
    ledger = former.copy()
    former.place(A, LINE)
    assert ledger.refused("o2") == (A,)
    assert ledger.placed("o2") == {}


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("want", "unwant")), topics, st.integers(1, 2)), max_size=40))
def test_whatever_is_wanted_lies_on_a_line_or_was_refused_and_nothing_else(
    wishes: list[tuple[str, Topic, int]],
) -> None:
    """With room for two lines of one topic each; who was refused first is placed first."""
    ledger = Ledger()

    def place(topic: Topic) -> None:
        placed = ledger.placed("o2")
        if len(placed) < 2:
            ledger.place(topic, f"o2/{topic.channel}-{topic.key}")
        else:
            ledger.refuse(topic, "no room")

    for verb, topic, stream in wishes:
        if verb == "want" and ledger.want(stream, topic):
            place(topic)
        elif verb == "unwant":
            ledger.unwant(stream, topic)
            for each in ledger.refused("o2"):
                place(each)
        refused = list(ledger.refused("o2"))
        lying = [each for each in ledger.wanted() if ledger.line(each) is not None]
        assert sorted(lying + refused) == sorted(ledger.wanted())
        assert len(lying) == min(2, len(ledger.wanted()))
        assert all(ledger.count(each) for each in ledger.wanted())


def test_what_is_too_large_is_not_asked_for_until_a_person_acts() -> None:
    ledger = Ledger()
    for topic in (A, B):
        ledger.want(1, topic)
        ledger.place(topic, "o2")
    ledger.open("o2", 1)
    assert ledger.bar("o2", [A], "too large", at_once=True) == (A,)
    assert ledger.bar("o2", [B], "too large", at_once=False) == ()
    ledger.close("o2", 1)
    assert ledger.open("o2", 2) == (A,)
    state = ledger.state(A)
    assert state is not None
    assert (state.state, state.reason) == ("rejected", "too large")
    assert ledger.next_batch("o2", 2, 10) == (B,)
    assert ledger.bar("o2", [B], "too large", at_once=False) == ()
    assert ledger.bar("o2", [B], "too large", at_once=False) == (B,)  # the third time
    assert ledger.copy()._barred.keys() == {A, B}
    ledger.lift_bars("other")
    ledger.unwant(1, B)
    assert ledger._barred.keys() == {A}
    ledger.lift_bars("o2")
    ledger.close("o2", 2)
    ledger.open("o2", 3)
    assert ledger.next_batch("o2", 3, 10) == (A,)
