from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from actors.cli import logs


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("actors")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def odd() -> None:
    raise ValueError("odd")


def test_text_names_line_and_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text", "info")
    log = logging.getLogger("actors.connection")
    log.info("o2: it is %s", "live", extra={"line": "o2", "epoch": 3})
    log.warning("no epoch", extra={"line": "o2"})
    log.error("no line")
    log.debug("not asked for")
    logging.getLogger("other").info("other libraries only from warning on")
    told = [line.split(" ", 1) for line in capsys.readouterr().err.splitlines()]
    assert [rest for _, rest in told] == ["INFO    o2#3 it is live", "WARNING o2 no epoch", "ERROR   no line"]
    assert all(len(at) == len("2026-10-03T09:30:00.125Z") for at, _ in told)


def test_what_a_venue_sent_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text")
    logging.getLogger("actors").info("venue said %s", "no\n2026 ERROR\x1b[31m o2 all\u2028is \u202elost")
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "no\\n2026 ERROR\\x1b[31m o2 all\\u2028is \\u202elost" in told


def test_a_traceback_stands_under_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text")
    try:
        odd()
    except ValueError:
        logging.getLogger("actors").exception("a defect")
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("a defect")
    assert rest[-1] == "    ValueError: odd"
    assert all(line.startswith("    ") for line in rest)


def test_json_is_one_object_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json", "debug")
    log = logging.getLogger("actors.connection")
    log.debug("line\nbreak", extra={"line": "o2", "epoch": 3})
    try:
        odd()
    except ValueError:
        log.exception("a defect", stack_info=True)
    one, other = map(json.loads, capsys.readouterr().err.splitlines())
    assert {key: one[key] for key in ("level", "logger", "line", "epoch", "message")} == {
        "level": "debug",
        "logger": "actors.connection",
        "line": "o2",
        "epoch": 3,
        "message": "line\nbreak",
    }
    assert "error" not in one
    assert (other["line"], other["epoch"]) == (None, None)
    assert "ValueError: odd" in other["error"]
