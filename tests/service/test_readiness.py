"""Whether the service is ready, for many callers without a right at once."""

from __future__ import annotations

import pytest

from actors.service.readiness import KEPT, RECENT, Readiness
from actors.service.responses import ServiceResponse
from tests.support.virtual_time import Clock

READY, UNREADY = ServiceResponse(200, "ready"), ServiceResponse(503, "unready")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[object]:
    """The last one is the newest."""
    return [object()]


@pytest.fixture
def readiness(clock: Clock, changes: list[object]) -> Readiness:
    readiness = Readiness(lambda: changes[-1], monotonic=clock)
    assert readiness.recent(False) is None
    readiness.note(False, READY, changes[-1])
    return readiness


def test_a_recent_answer_is_given_again(readiness: Readiness, clock: Clock) -> None:
    clock.now += 0.9 * RECENT
    assert readiness.recent(False) is READY
    assert readiness.recent(True) is None


def test_after_a_change_a_caller_looks(readiness: Readiness, changes: list[object]) -> None:
    changes.append(object())
    assert [readiness.recent(False) for _ in range(2)] == [None, READY]
    readiness.note(False, UNREADY, changes[-1])
    assert readiness.recent(False) is UNREADY


def test_one_caller_looks_and_the_others_get_the_last_answer(readiness: Readiness, clock: Clock) -> None:
    clock.now += RECENT
    assert [readiness.recent(False) for _ in range(3)] == [None, READY, READY]
    readiness.note(False, UNREADY, None)
    clock.now += RECENT
    assert [readiness.recent(False) for _ in range(2)] == [None, UNREADY]
    readiness.note(False, UNREADY, readiness._change())
    assert readiness.recent(False) is UNREADY


def test_an_old_answer_is_not_given_however_long_the_look_takes(readiness: Readiness, clock: Clock) -> None:
    clock.now += RECENT
    assert readiness.recent(False) is None
    clock.now += KEPT
    assert readiness.recent(False) is None
