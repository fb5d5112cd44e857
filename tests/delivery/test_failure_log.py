from __future__ import annotations

import logging

import pytest

from actors.delivery.failure_log import KINDS, PASS, PERIOD, FailureLog
from actors.events import Closed, Topic
from actors.log_queue import EventLogger
from tests.support.virtual_time import Clock

TOPIC = Topic("o2", "trades", "0xbeef")


def fail(log: FailureLog, error: BaseException, about: Topic | Closed = TOPIC) -> None:
    def handler() -> None:
        raise error

    try:
        handler()
    except BaseException:
        log(about)


def test_a_handler_that_always_fails_is_logged_five_times_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = FailureLog(EventLogger(logging.getLogger("handlers")), clock)
    with caplog.at_level(logging.ERROR):
        for _ in range(1000):
            fail(log, ValueError("no"))
    texts = [record.getMessage() for record in caplog.records]
    start = "The handler of o2/trades/0xbeef failed; it goes on with the next event."
    ending = " More like it are counted in handler_errors; at most 5 in a minute are logged."
    assert texts == [start] * (PASS - 1) + [start + ending]
    assert all(record.exc_info for record in caplog.records)

    caplog.clear()
    clock.now += PERIOD
    with caplog.at_level(logging.ERROR):
        fail(log, ValueError("no"), Closed("stopped"))
    assert [record.getMessage() for record in caplog.records] == [
        "on_marker failed for the end of its stream. 995 failures before it were not logged."
    ]


def test_failures_of_another_type_or_place_are_logged_besides(caplog: pytest.LogCaptureFixture) -> None:
    log = FailureLog(EventLogger(logging.getLogger("handlers")), Clock())
    with caplog.at_level(logging.ERROR):
        for _ in range(2 * PASS):
            fail(log, ValueError("no"))
            fail(log, TypeError("no"))
            try:
                int("no")
            except ValueError:
                log(TOPIC)
    assert len(caplog.records) == 3 * PASS


def test_kinds_that_are_told_apart_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    log = FailureLog(EventLogger(logging.getLogger("handlers")), Clock())
    with caplog.at_level(logging.CRITICAL):
        for number in range(3 * KINDS):
            fail(log, type(f"Error{number}", (Exception,), {})())
            assert len(log._logged) <= KINDS
