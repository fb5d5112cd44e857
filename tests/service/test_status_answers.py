from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from actors.service.status_answers import LONGEST, StatusAnswers, pause
from actors.status import Status
from actors.supervision.snapshot import SHARED
from tests.cli.statuses import line, status
from tests.support.virtual_time import Clock


class Lines:
    """Lines that flap: the status is another one at each look, and something has changed since the last."""

    def __init__(self) -> None:
        self.looks = 0
        self.name = "desk"
        self.clock = Clock()
        self.mark: object = None
        self.slept: list[float] = []
        self.cost = self.spent = 0.0

    def look(self) -> Status:
        self.looks += 1
        return structs.replace(status(a=line(decoded=self.looks)), name=self.name)

    def change(self) -> object:
        return self.mark

    def cpu(self) -> float:
        self.spent += self.cost
        return self.spent

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += seconds

    def answers(self) -> StatusAnswers:
        return StatusAnswers(self.look, self.change, monotonic=self.clock, cpu=self.cpu, sleep=self.sleep)


def decoded(body: bytes) -> int:
    return msgspec.json.decode(body, type=Status).lines()["a"].counters.decoded


def test_ten_statuses_a_second_are_built_however_many_ask() -> None:
    lines = Lines()
    answers, begun = lines.answers(), lines.clock.now
    while lines.clock.now < begun + 1.0:
        assert len({answers.json() for _ in range(60)}) == 1
        lines.clock.now += 0.01
    assert 9 <= lines.looks <= 11
    assert lines.slept == []


def test_lines_that_flap_make_askers_wait_and_build_no_more() -> None:
    lines = Lines()
    answers, begun = lines.answers(), lines.clock.now
    while lines.clock.now < begun + 1.0:
        lines.mark = object()
        assert decoded(answers.json()) == lines.looks  # it shows the change
        lines.clock.now += 0.01
    assert 9 <= lines.looks <= 11


def test_a_dear_status_is_built_less_often() -> None:
    lines = Lines()
    answers, begun = lines.answers(), lines.clock.now
    lines.cost = 0.03  # seconds of a core for a build, and as much for its JSON
    while lines.clock.now < begun + 6.0:
        answers.json()
        lines.clock.now += 0.01
    assert 10 <= lines.looks <= 12
    assert pause(0.001) == SHARED
    assert pause(30.0) == LONGEST


def test_who_asks_after_a_change_gets_a_status_that_shows_it() -> None:
    lines = Lines()
    answers = lines.answers()
    assert decoded(answers.json()) == decoded(answers.json()) == 1
    lines.mark = object()
    assert decoded(answers.json()) == 2
    assert lines.slept == [pytest.approx(SHARED)]


def test_a_view_is_encoded_once_for_all_who_may_see_it() -> None:
    answers = Lines().answers()

    def hidden(whole: Status) -> Status:
        return structs.replace(whole, name="hidden")

    both = [(answers.json(), answers.json("hidden", hidden)) for _ in range(3)]
    assert all(whole is both[0][0] and reduced is both[0][1] for whole, reduced in both)
    assert b'"hidden"' in both[0][1]
    assert b'"hidden"' not in both[0][0]


def test_a_look_that_fails_fails_for_its_asker_alone() -> None:
    failures = [ValueError("odd")]

    def look() -> Status:
        if failures:
            raise failures.pop()
        return status()

    answers = StatusAnswers(look, lambda: None)
    with pytest.raises(ValueError, match="odd"):
        answers.json()
    assert answers.json()
