"""An operator who follows the table "At 3 a.m." of docs/operating.md, and nothing else.

What stands in the table is what is looked for on a screen of 24 rows of 80 columns, and its commands are run
as they stand there.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

import actors
from actors.service import Service
from actors.settings.schema import ServiceSettings
from tests.cli.running import Running, running
from tests.commands import PATIENCE, asked, on_a_terminal

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
ROWS, COLUMNS = 24, 80
SCREEN = {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}  # as on a terminal
_PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b")
_CODE = re.compile(r"`([^`]+)`")
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Entry(Struct, frozen=True):
    """One row of the table."""

    sees: str
    cause: str
    action: str

    @property
    def needs_person(self) -> bool:
        """By its mark."""
        return self.sees.startswith("`! ")

    def is_seen(self, screen: str) -> bool:
        """Whether what the first cell quotes is on the screen: its first text, and those behind it.

        With "or" between them, one of them is enough.
        """
        told = " ".join(screen.split())
        first, *others = [bool(re.search(each, told)) for each in _quoted(self.sees)]
        if re.search(r"^[`\"][^`\"]+[`\"],? \(?or ", self.sees):
            return any([first, *others])
        return first and (any(others) if " or " in self.sees else all(others))

    def commands(self, **names: str) -> list[str]:
        """Those of the action, with these names in the place of what is written in capitals."""
        found = [each for each in _CODE.findall(self.action) if each.startswith("linewarden ")]
        return [_PLACEHOLDER.sub(lambda name: names[name.group()], each) for each in found]


def _quoted(cell: str) -> Iterator[str]:
    """A pattern for each text in backticks or quotes."""
    for code, quote in re.findall(r'`([^`]+)`|"([^"]+)"', cell):
        words = re.escape(code or quote).replace("…", ".+?").replace(r"\ ", " ")
        words = re.sub(r"\b(LINE|FEED|TOPIC|ACTOR)\b", r"\\S+", words)
        words = re.sub(r"^n ([a-z]+(?: letter)?)s\b", r"[\\d,]+ \1s?", words)
        yield re.sub(r"\b2\b", r"[\\d,]+", words)


def entries() -> list[Entry]:
    """The table, row by row."""
    section = PAGE.read_text(encoding="utf-8").partition("## At 3 a.m.")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [Entry(*(cell.strip() for cell in row.strip("|").split(" | "))) for row in rows[2:]]


def entry(begins: str) -> Entry:
    """The row of the table whose first cell begins with this."""
    (found,) = [each for each in entries() if each.sees.startswith(begins)]
    return found


class Desk:
    """A service, and the terminal of its operator. `process`: where the service has one of its own."""

    def __init__(self, config: Path, environ: Mapping[str, str], process: Running | None = None) -> None:
        self._config, self._environ, self._process = config, dict(environ), process

    @property
    def process(self) -> Running:
        assert self._process is not None
        return self._process

    def run(self, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A command as it stands in the manual."""
        name, *arguments = shlex.split(command)
        assert name == "linewarden"
        return asked(*arguments, environ=self._environ | environ)

    def succeeds(self, command: str) -> str:
        """What the command prints."""
        told = self.run(command)
        assert told.returncode == 0, told
        return told.stdout

    def screen(self) -> str:
        """What `linewarden status` shows."""
        return _fitting(self.run("linewarden status", **SCREEN).stdout)

    def _terminal(self) -> str:
        """The same, of a process of its own on a real terminal."""
        with on_a_terminal("status", environ=self._environ, rows=ROWS) as (process, screen):
            process.wait(PATIENCE)
            return _fitting(screen.whole().replace("\r", ""))

    def sees(self, begins: str) -> Entry:
        """The row of the table, once the screen shows what its first column says."""
        row = entry(begins)
        self._until(row, self.screen)
        if self._process is not None:
            self._until(row, self._terminal)
        return row

    @staticmethod
    def _until(row: Entry, look: Callable[[], str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not row.is_seen(screen := look()):
            assert time.monotonic() < deadline, f"{row.sees!r} is not seen in\n{screen}"
        head = " ".join(screen.partition("\nup ")[0].split())
        assert (" a person (!)" in head) == row.needs_person, head

    def does(self, row: Entry, only: str = "linewarden", **names: str) -> list[str]:
        """Runs the commands of a row that begin so, of which each succeeds. Returns what they print."""
        commands = [each for each in row.commands(CONFIG=str(self._config), **names) if each.startswith(only)]
        assert commands, row
        return [self.succeeds(each) for each in commands]

    def is_well(self) -> None:
        """Returns when the status says so."""
        deadline = time.monotonic() + PATIENCE
        while (told := self.run("linewarden status")).returncode != 0 or "(!)" in told.stdout:
            assert time.monotonic() < deadline, told.stdout
        head = told.stdout.partition("\n")[0]
        assert re.fullmatch(r"\S+: live( · may end by itself)? · (\d+) of \2 lines? live", head), head


def _fitting(screen: str) -> str:
    """Without styles. It has no more rows than there are above the prompt, and none is too wide."""
    shown = _STYLE.sub("", screen)
    rows = shown.splitlines()
    assert len(rows) < ROWS, shown
    assert max(map(len, rows), default=0) <= COLUMNS, shown
    return shown


@contextmanager
def in_a_process(config: Path) -> Iterator[Desk]:
    """`linewarden run` of this config, whose `[runtime] name` is desk."""
    with tempfile.TemporaryDirectory(prefix="lw-") as folder:  # short enough for the path of a socket
        environ = {"XDG_RUNTIME_DIR": folder}
        with running(config, environ=environ) as process:
            yield Desk(config, {"LINEWARDEN_URL": process.url}, process)


@contextmanager
def served(runtime: actors.Runtime, config: Path) -> Iterator[Desk]:
    """The service of a runtime of this process."""
    with Service(runtime, ServiceSettings()) as service:
        yield Desk(config, {"LINEWARDEN_URL": service.url})
