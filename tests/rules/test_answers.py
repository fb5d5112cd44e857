"""Repeated answers, and answers to nothing, are no news."""

from __future__ import annotations

from actors.events import Topic
from actors.protocol.session import Answered, Confirm, Effect, Reject
from actors.rules.answers import Answers, last_answers

A, B, C = (Topic("o2", "trades", key) for key in "ABC")


def test_the_last_answer_of_a_read_counts_and_an_assumption_overrules_none() -> None:
    effects: list[Effect] = [
        Confirm((A, B)),
        Answered(),
        Reject((A,), "no"),
        Confirm((A, C), assumed=True),
        Reject((B,), "no"),
        Confirm((B,)),
    ]
    assert last_answers(effects) == {A: effects[2], B: effects[5], C: effects[3]}


def test_equal_answers_are_told_together_and_once() -> None:
    answers = Answers()
    answers.ask((A, B, C))
    yes, no = Confirm((A,)), Reject((C,), "no")
    assert answers.news({A: yes, B: Confirm((B,)), C: no}) == [(yes, (A, B)), (no, (C,))]
    assert answers.news({A: yes, C: no}) == []
    later = Reject((C,), "no", retry_after=1.0)
    assert answers.news({A: Reject((A,), "gone"), C: later}) == [
        (Reject((A,), "gone"), (A,)),
        (later, (C,)),
    ]


def test_the_first_answer_after_each_asking_is_news() -> None:
    answers = Answers()
    for _ in range(3):
        answers.ask((A,))
        assert answers.news({A: Confirm((A,))}) == [(Confirm((A,)), (A,))]
        assert answers.news({A: Confirm((A,))}) == []


def test_an_answer_to_what_was_not_asked_is_none() -> None:
    answers = Answers()
    answers.ask((A,))
    answers.lift((A, B))
    assert answers.news({A: Confirm((A,)), B: Reject((B,), "unknown")}) == []
