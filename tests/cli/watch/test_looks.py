"""Looks at a service, one after the other, on a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import msgspec
import pytest

from actors.cli.watch.looks import Look, Looks, next_look, sentence, successful
from actors.errors import ServiceUnreachableError
from actors.status import Status
from tests.cli.statuses import line, status
from tests.commands import PATIENCE

GONE = ServiceUnreachableError("cannot reach the service at unix:/run/x: Connection refused")


def refused() -> Status:
    raise GONE


def test_a_look_that_fails_keeps_the_status_and_the_time_of_the_first_failure() -> None:
    known = successful(status(o2=line()))
    first = next_look(known, refused)
    assert (first.status, first.taken_at, first.trouble) == (known.status, known.taken_at, str(GONE))
    assert first.troubled_since == first.at >= known.at
    second = next_look(first, refused)
    assert second.troubled_since == first.troubled_since
    back = next_look(second, lambda: status(o2=line()))
    assert (back.trouble, back.troubled_since) == ("", 0.0)
    assert back.taken_at == back.at >= second.at


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (GONE, str(GONE)),
        (msgspec.ValidationError("Object missing required field"), "another version of Linewarden"),
        (ZeroDivisionError("a defect\x1b[2J"), r"ZeroDivisionError: a defect\x1b[2J"),
    ],
)
def test_each_error_becomes_a_sentence(error: Exception, words: str) -> None:
    assert words in sentence(error)


def test_looks_go_on_after_a_failure_until_they_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.cli.watch.looks.LOOK", 0.001)
    answers: Iterator[Status | Exception] = iter([status(o2=line()), GONE, status(o2=line())])
    told: queue.Queue[Look] = queue.Queue()

    def ask() -> Status:
        answer = next(answers, GONE)
        if isinstance(answer, Exception):
            raise answer
        return answer

    looks = Looks(ask, told.put, successful(status()))
    looks.start()
    assert [bool(told.get(timeout=PATIENCE).trouble) for _ in range(4)] == [False, True, False, True]
    looks.stop()


def test_a_look_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.cli.watch.looks.LOOK", 0.001)
    asked: queue.Queue[None] = queue.Queue()
    answers: queue.Queue[Status] = queue.Queue()
    told: list[Look] = []

    def ask() -> Status:
        asked.put(None)
        return answers.get(timeout=PATIENCE)

    looks = Looks(ask, told.append, successful(status()))
    before = set(threading.enumerate())
    looks.start()
    asked.get(timeout=PATIENCE)
    (thread,) = set(threading.enumerate()) - before
    looks.stop()  # returns at once
    answers.put(status(o2=line()))
    thread.join(PATIENCE)
    assert told == []
