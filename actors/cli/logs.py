"""The log of `linewarden run`: one row per record, as text or JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from actors import log_queue
from actors.cli.log_folding import Folding
from actors.display.escaping import printable, printable_json, printable_rows
from actors.settings.schema import LogFormat, LogLevel

PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))  # syslog's


class TextFormatter(logging.Formatter):
    """`2026-10-03T09:30:00.125Z INFO    o2#3  what happened`; #3 is the line's epoch.

    `timed`: with the time; journald has it already.
    """

    def __init__(self, *, timed: bool = True) -> None:
        super().__init__()
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        # A message may quote a venue, which must not forge a row.
        message = printable(record.getMessage())
        message = message.removeprefix(f"{_place(record)}: ")  # the row has it already
        parts = [_time(record) if self._timed else "", f"{record.levelname:<7}", _source(record), message]
        text = " ".join(part for part in parts if part)
        error = printable_rows(_traceback(self, record))
        return "\n    ".join([text, *error.split("\n")]) if error else text


class JsonFormatter(logging.Formatter):
    """One object per record; `event`, `feed`, `line` and `epoch` are null where a record has none."""

    def format(self, record: logging.LogRecord) -> str:
        written = {
            "at": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **{name: getattr(record, name, None) for name in ("event", "feed", "line", "epoch")},
            "message": record.getMessage(),
        }
        if error := _traceback(self, record):
            written["error"] = error
        return printable_json(json.dumps(written, ensure_ascii=False, default=str))


class JournalFormatter(logging.Formatter):
    """Another's rows, each with its priority as journald reads it: `<4>`, as in sd-daemon(3)."""

    def __init__(self, rows: logging.Formatter) -> None:
        super().__init__()
        self._rows = rows

    def format(self, record: logging.LogRecord) -> str:
        priority = next((found for level, found in PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{row}" for row in self._rows.format(record).split("\n"))


class StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to the current `sys.stderr`, which a live table replaces."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def set_up(form: LogFormat = "text", level: LogLevel = "info") -> None:
    """Make this process write its log to stderr: for the command alone, not for a library."""
    handler = StderrHandler()
    is_journal = is_journald(os.environ, sys.stderr)
    rows = JsonFormatter() if form == "json" else TextFormatter(timed=not is_journal)
    handler.setFormatter(JournalFormatter(rows) if is_journal else rows)
    handler.addFilter(Folding(handler.handle))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # of other libraries
    logging.getLogger("actors").setLevel(level.upper())


def is_journald(environ: Mapping[str, str], stderr: TextIO) -> bool:
    """Whether that is journald's: `JOURNAL_STREAM` has its device and inode (systemd.exec(5))."""
    try:
        found = os.fstat(stderr.fileno())
    except (OSError, ValueError):  # no file, or a closed one
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def tell_folded(*, rest: bool = False) -> None:
    """Write the counts of folded records that are due. `rest`: all of them, at the end.

    The log's thread writes them, because the reader of stderr may have stopped.
    """
    for handler in logging.getLogger().handlers:
        for folding in handler.filters:
            if isinstance(folding, Folding) and (rest or folding.due):
                log_queue.call_later(folding.tell_all if rest else folding.tell_due)


def _source(record: logging.LogRecord) -> str:
    place, epoch = _place(record), getattr(record, "epoch", None)
    return f"{place}#{epoch}" if place and epoch is not None else place


def _place(record: logging.LogRecord) -> str:
    """Its line, or else its feed."""
    return printable(str(getattr(record, "line", None) or getattr(record, "feed", None) or ""))


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    error = formatter.formatException(record.exc_info) if record.exc_info else ""
    stack = formatter.formatStack(record.stack_info) if record.stack_info else ""
    return "\n".join(filter(None, (error, stack)))
