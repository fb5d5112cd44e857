from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from actors.service.shared_answers import QUESTIONS, SHARED, SharedAnswers
from tests.support.virtual_time import Clock


def test_equal_questions_share_an_answer_for_a_moment() -> None:
    clock, made = Clock(), iter(range(10))
    shared = SharedAnswers(monotonic=clock)
    assert [shared.answer("a", made.__next__) for _ in range(3)] == [0, 0, 0]
    assert shared.answer("b", made.__next__) == 1
    clock.now += SHARED
    assert shared.answer("a", made.__next__) == 2


def test_an_error_is_not_shared() -> None:
    shared = SharedAnswers(monotonic=Clock())
    with pytest.raises(ZeroDivisionError):
        shared.answer("a", lambda: 1 // 0)
    assert shared.answer("a", lambda: 5) == 5


def test_askers_at_once_share_one_look() -> None:
    begun, may_end, looks = threading.Event(), threading.Event(), []
    shared = SharedAnswers()

    def look() -> int:
        looks.append(1)
        begun.set()
        assert may_end.wait(20.0)
        return 7

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(shared.answer, "a", look) for _ in range(8)]
        assert begun.wait(20.0)
        may_end.set()
        assert {answer.result() for answer in answers} == {7}
    assert len(looks) == 1


def test_different_questions_are_looked_at_one_after_the_other() -> None:
    shared, looking, at_once = SharedAnswers(), threading.Semaphore(1), []

    def look() -> None:
        at_once.append(not looking.acquire(blocking=False))
        threading.Event().wait(0.005)
        looking.release()

    with ThreadPoolExecutor(8) as pool:
        for answer in [pool.submit(shared.answer, str(number), look) for number in range(16)]:
            answer.result()
    assert at_once == [False] * 16


def test_few_questions_are_kept() -> None:
    shared = SharedAnswers(monotonic=Clock())
    for number in range(3 * QUESTIONS):
        assert shared.answer(str(number), lambda: number) == number  # noqa: B023 - called at once
    assert len(shared._entries) == QUESTIONS
