from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from actors import Runtime, log_queue
from actors.service import Service
from actors.service.log_levels import LogLevels
from actors.service.responses import RequestDeclined
from tests.service.conftest import HERE, within
from tests.service.visitor import ask

LOGGER = "actors.connection"


@pytest.fixture(autouse=True)
def _levels_as_they_were() -> Iterator[None]:
    before = {name: logging.getLogger(name).level for name in ("actors", LOGGER)}
    logging.getLogger("actors").setLevel(logging.INFO)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_the_level_of_a_logger_is_changed_and_ends_with_the_service(runtime: Runtime) -> None:
    with Service(runtime, HERE) as service:
        assert ask(service, "/log-level").body == {"levels": {"actors": "info"}}
        told = ask(service, f"/log-level/debug?logger={LOGGER}", "POST")
        assert (told.status, told.body) == (200, {"levels": {"actors": "info", LOGGER: "debug"}})
        assert logging.getLogger(LOGGER).isEnabledFor(logging.DEBUG)
        assert ask(service, "/status").body["process"]["log_levels"] == told.body["levels"]
        assert ask(service, "/log-level/error", "POST").body["levels"]["actors"] == "error"
        assert ask(service, f"/log-level/reset?logger={LOGGER}", "POST").body["levels"] == {"actors": "error"}
    assert log_queue.levels() == {"actors": "info"}


def test_a_change_is_one_of_the_commands_that_a_client_may_give(runtime: Runtime) -> None:
    with Service(runtime, within(commands=1)) as service:
        assert ask(service, "/log-level/info", "POST").status == 200
        assert ask(service, "/log-level/info", "POST").status == 429


def test_a_change_ends_with_its_time(caplog: pytest.LogCaptureFixture) -> None:
    levels, ended = LogLevels(), threading.Event()
    reset = levels._reset
    levels._reset = lambda name, by: (reset(name, by), ended.set())  # type: ignore[method-assign, assignment, func-returns-value]
    levels.change("debug", "actors", 600.0, "alice")
    levels.change("debug", "actors", 0.05, "alice")  # the former time counts no longer
    assert ended.wait(20.0)
    assert log_queue.levels()["actors"] == "info"
    log_queue.flush(10.0)
    assert [(vars(record)["event"], record.getMessage()) for record in caplog.records] == [
        ("log.level", "The log level of actors is debug for 600 s, as alice asked."),
        ("log.level", "The log level of actors is debug for 0.05 s, as alice asked."),
        ("log.level", "The log level of actors is info again, as its time asked."),
    ]


def test_a_change_without_a_time_outlives_the_time_of_the_one_before() -> None:
    levels = LogLevels()
    levels.change("debug", "actors", 600.0, "alice")
    (timer,) = levels._timers.values()
    levels.change("warning", "actors", None, "alice")
    assert timer.finished.is_set()
    levels._due("actors")  # as where it was on its way
    assert log_queue.levels()["actors"] == "warning"
    levels.stop()
    assert log_queue.levels()["actors"] == "info"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/log-level/loud", 400, "expected debug, info, warning, error or reset, found 'loud'"),
        ("/log-level/debug?logger=actors.conection", 404, "did you mean 'actors.connection'?"),
        ("/log-level/debug?logger=httpcore", 404, "there is no logger 'httpcore'"),
        ("/log-level/debug?for=soon", 400, "for: expected 0 to 86400 seconds, found 'soon'"),
        ("/log-level/debug?for=86401", 400, "for: expected 0 to 86400 seconds, found '86401'"),
        ("/log-level/debug?until=noon", 400, "log-level takes logger, for and nothing else"),
    ],
)
def test_what_is_wrong_changes_nothing(service: Service, path: str, status: int, words: str) -> None:
    before = log_queue.levels()
    told = ask(service, path, "POST")
    assert (told.status, log_queue.levels()) == (status, before)
    assert words in told.error


def test_a_logger_that_does_not_exist_is_not_made() -> None:
    with pytest.raises(RequestDeclined):
        LogLevels().change("debug", "actors.nothing", None, "alice")
    assert "actors.nothing" not in logging.root.manager.loggerDict
