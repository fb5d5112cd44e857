from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from msgspec import Struct

import actors
from actors import log_queue
from actors.log_events import EVENTS, LogEvent

PACKAGE = Path(actors.__file__).parent
OPERATING = (PACKAGE.parent / "docs" / "operating.md").read_text(encoding="utf-8")
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log", "traced"}
LOGGERS = {"log", "self._log", "line"}
# Simulated venues import nothing of Linewarden's log; `logging` has their events as extra.
SIMULATORS = {"simulators/base/server.py", "simulators/table/simulator.py"}
# They are about loggers, and log nothing through them: levels, handlers, filters of other libraries.
WITHOUT_EVENTS = {
    *("log_queue.py", "actor.py", "wire/http_client.py", "cli/logs.py", "cli/halt_cancel.py"),
    "service/log_levels.py",
}


class LogCall(Struct):
    """A call of a logger in the source."""

    place: str
    method: str
    arguments: list[ast.expr]

    @property
    def events(self) -> list[object]:
        """Those that it may have; None: what is no text. A variable is left to the type checker."""
        of_line = ast.unparse(self.arguments[0]) == "log"  # `line.log(log, level, event, text)`
        event = self.arguments[2 if of_line else 1 if self.method in {"log", "traced"} else 0]
        found = [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]
        return [
            each.value if isinstance(each, ast.Constant) else None
            for each in found
            if not isinstance(each, ast.Name)
        ]


def calls() -> Iterator[LogCall]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in METHODS
                and ast.unparse(node.func.value) in LOGGERS
            ):
                yield LogCall(f"{name}:{node.lineno}", node.func.attr, node.args)


def test_each_event_has_a_sentence() -> None:
    assert get_args(LogEvent) == tuple(EVENTS)
    assert list(EVENTS) == sorted(EVENTS)
    for name, sentence in EVENTS.items():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", name), name
        assert sentence.endswith((".", ".)")), name
        assert sentence[0].isupper() or sentence.startswith("systemd"), name


def test_each_call_of_a_logger_has_an_event() -> None:
    found = list(calls())
    wrong = [call.place for call in found if any(event not in EVENTS for event in call.events)]
    assert wrong == []
    assert len(found) > 100


def test_each_event_is_logged_somewhere() -> None:
    texts = {
        node.value
        for path in PACKAGE.rglob("*.py")
        if path.name != "log_events.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    assert EVENTS.keys() - texts == set()


def test_no_module_has_a_logger_without_events() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.relative_to(PACKAGE).as_posix() not in WITHOUT_EVENTS | SIMULATORS:
            assert not re.search(r"^[^'\"#]*\bgetLogger\(", source, re.MULTILINE), path


def test_a_format_has_as_many_places_as_arguments() -> None:
    for call in calls():
        texts = [each for each in call.arguments if isinstance(each, ast.Constant) and "%" in str(each.value)]
        if texts and call.method not in {"log", "traced"}:
            places = str(texts[0].value).replace("%%", "").count("%")
            assert len(call.arguments) == 2 + places, call.place


def test_a_record_has_its_event_and_what_it_concerns(caplog: pytest.LogCaptureFixture) -> None:
    log = log_queue.EventLogger(logging.getLogger("actors.test"))
    log.warning("line.lost", "%s: %s", "px/market", "reset", line="px/market", epoch=3, cause="lost")
    log.error("halt.began", "a halt")
    one, other = caplog.records
    assert (one.event, one.feed, one.line, one.epoch) == ("line.lost", "px", "px/market", 3)  # type: ignore[attr-defined]
    assert (one.getMessage(), one.filename) == ("px/market: reset", "test_log_events.py")
    assert (other.event, other.feed, hasattr(other, "line")) == ("halt.began", None, False)  # type: ignore[attr-defined]


def test_the_traceback_is_that_of_the_exception_in_hand(caplog: pytest.LogCaptureFixture) -> None:
    log = log_queue.EventLogger(logging.getLogger("actors.test"))
    try:
        int("odd")
    except ValueError as error:
        log.exception("timer.failed", "it failed")
        log.traced(logging.WARNING, "timer.failed", "it failed", error=error)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError] * 2


def test_the_manual_lists_every_event_with_its_sentence() -> None:
    table = "\n".join(f"| `{name}` | {sentence} |" for name, sentence in EVENTS.items())
    assert table in OPERATING
