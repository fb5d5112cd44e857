"""The `linewarden` command: in a process of its own, as people run it, or in this one.

A process costs a second of a processor before it does anything: tests that ask many times ask in this one.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from actors import cli

DEMO = Path(__file__).parent.parent / "config" / "demo.toml"
PATIENCE = 50.0  # seconds until a process counts as hung: it needs one, and many more on a busy machine
ENDING = 25.0  # seconds: five times the documented bound for the end of a process
NOT_OURS = (
    "COLUMNS",
    "LINES",
    "FORCE_COLOR",
    "LINEWARDEN_URL",
    "LINEWARDEN_TOKEN",
    "LINEWARDEN_CONFIG",
)  # they change what is printed
posix = pytest.mark.skipif(os.name == "nt", reason="signals to a child, and terminals, differ there")


def spawn(*arguments: object, environ: Mapping[str, str] = {}, **options: Any) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "actors", *map(str, arguments)]
    bare = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    return subprocess.Popen(command, text=True, encoding="utf-8", env=bare | dict(environ), **pipes | options)


@contextmanager
def child(
    *arguments: object, environ: Mapping[str, str] = {}, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    with spawn(*arguments, environ=environ, **options) as it:
        try:
            yield it
        finally:
            it.kill()  # does nothing to one that has ended


def ran(*arguments: object, environ: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    """What a process of its own printed. It ended by itself."""
    with child(*arguments, environ=environ) as it:
        out, log = it.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(it.args, it.returncode, out, log)


def asked(*arguments: object, environ: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    """What the command prints, and its exit code; it runs in this process."""
    command = [str(each) for each in arguments]
    bare: dict[str, str | None] = dict.fromkeys(NOT_OURS)
    told = CliRunner().invoke(
        cli.app, command, prog_name="linewarden", env=bare | dict(environ), catch_exceptions=False
    )
    return subprocess.CompletedProcess(command, told.exit_code, told.stdout, told.stderr)


class Screen:
    """What a terminal was given to show."""

    def __init__(self, terminal: int) -> None:
        self.text = ""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(terminal,), daemon=True)
        self._reader.start()

    def _read(self, terminal: int) -> None:
        decode = codecs.getincrementaldecoder("utf-8")().decode
        with contextlib.suppress(OSError):  # as Linux tells that the other end is closed
            while data := os.read(terminal, 65_536):
                with self._more:
                    self.text += decode(data)
                    self._more.notify_all()

    def seen(self, words: str, times: int = 1) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.text.count(words) >= times, PATIENCE), self.text[-2000:]

    def whole(self) -> str:
        """All that was shown, once the process has ended."""
        self._reader.join(PATIENCE)
        return self.text


@contextmanager
def on_a_terminal(
    *arguments: object, rows: int = 30, environ: Mapping[str, str] = {}, **options: Any
) -> Iterator[tuple[subprocess.Popen[str], Screen]]:
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (rows, 80))
    environ = {"TERM": "xterm", "NO_COLOR": "1", **environ}
    try:
        with child(*arguments, environ=environ, **{"stdout": theirs, "stderr": theirs} | options) as it:
            os.close(theirs)
            yield it, Screen(ours)
    finally:
        os.close(ours)
