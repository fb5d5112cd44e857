from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import log_queue
from actors.cli import logs
from actors.settings.schema import LogFormat


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("actors")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def odd(words: str = "odd") -> None:
    raise ValueError(words)


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


def test_neither_form_passes_a_character_that_controls_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile = "\x9b31m\x7f\u202e\x85"
    for form in ("text", "json"):
        logs.set_up("json" if form == "json" else "text")
        try:
            odd(hostile)
        except ValueError:
            logging.getLogger("actors").exception("it said %s", hostile)
        told = capsys.readouterr().err
        assert not re.search("[\x7f-\x9f\u202e]", told), form
        if form == "json":
            record = json.loads(told)
            assert record["message"] == f"it said {hostile}"
            assert record["error"].endswith(f"ValueError: {hostile}")
        else:
            assert told.count("\\x9b31m\\x7f\\u202e\\x85") == 2


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


@pytest.mark.parametrize("form", ["text", "json"])
def test_journald_gets_priorities_and_the_time_once(
    form: LogFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+", encoding="utf-8") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr(sys, "stderr", journal)
        logs.set_up(form, "debug")
        log = logging.getLogger("actors.connection")
        for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG):
            log.log(level, "o2: it happened", extra={"line": "o2", "epoch": 3})
        try:
            odd()
        except ValueError:
            log.exception("a defect")
        journal.seek(0)
        rows = journal.read().splitlines()
    assert [row[:3] for row in rows[:5]] == ["<2>", "<3>", "<4>", "<6>", "<7>"]
    assert all(row.startswith("<3>") for row in rows[5:])  # each row of a traceback, too
    if form == "text":
        assert rows[2] == "<4>WARNING o2#3 it happened"
        assert rows[-1] == "<3>    ValueError: odd"
    else:
        assert json.loads(rows[2][3:])["level"] == "warning"


def test_another_stderr_than_journalds_has_no_priorities(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")  # of the service that has started this program
    logs.set_up("text")
    logging.getLogger("actors").info("it happened")
    assert capsys.readouterr().err.endswith("Z INFO    it happened\n")
    with Path(os.devnull).open(encoding="utf-8") as closed:
        pass
    assert not logs.is_journald({"JOURNAL_STREAM": "1:2"}, closed)


def test_a_record_of_a_feed_names_it_and_json_has_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    log = log_queue.EventLogger(logging.getLogger("actors.test"))
    forms: tuple[LogFormat, ...] = ("text", "json")
    words = "%s: it failed"
    for form in forms:
        logs.set_up(form)
        log.error("request.failed", words, "px", feed="px")
    text, written = capsys.readouterr().err.splitlines()
    assert text.endswith("Z ERROR   px it failed")
    told = json.loads(written)
    assert (told["event"], told["feed"], told["line"], told["epoch"]) == ("request.failed", "px", None, None)
