"""`linewarden run` in a process of its own, with a config that a test writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.commands import PATIENCE, asked, child


class Running:
    """`linewarden run` in a process of its own, and its log as it grows."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.logged("Answers at ").split()[-1]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.log.append(line)
                self._more.notify_all()

    def logged(self, words: str, times: int = 1) -> str:
        """The line of the log with these words in it, once it is there so many times."""

        def enough() -> bool:
            return sum(words in line for line in self.log) >= times

        with self._more:
            assert self._more.wait_for(enough, PATIENCE), f"no {words!r} in {''.join(self.log)}"
            return [line for line in self.log if words in line][-1]

    def ask(self, *arguments: object, environ: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        return asked(*arguments, "--url", self.url, environ=environ)

    def status(self) -> Any:
        return json.loads(self.ask("status", "--json").stdout)

    def lines(self) -> dict[str, Any]:
        return {
            name: line for feed in self.status()["feeds"].values() for name, line in feed["lines"].items()
        }

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The lines, once they are as wanted. Each look asks the service, so this is no busy loop."""
        deadline = time.monotonic() + PATIENCE
        while not wanted(lines := self.lines()):
            assert time.monotonic() < deadline, lines
        return lines

    def end(self) -> tuple[int, str]:
        """Its exit code and what it printed."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        return self.process.wait(PATIENCE), out


@contextmanager
def running(
    config: Path, *arguments: object, environ: Mapping[str, str] = {}, **options: Any
) -> Iterator[Running]:
    with child("run", config, *arguments, environ=environ, **options) as process:
        yield Running(process)


_numbers = count()


def written(file: Path, *feeds: str, service: str = "") -> Path:
    """A config, quick to come back; its socket is its own, however many run at once."""
    service = service or f'socket = "{os.environ["XDG_RUNTIME_DIR"]}/{next(_numbers)}.sock"'
    often = "limits = { restart_interval = 0 }\n"
    quick = "[defaults.restart]\ninitial = 0.05\nmaximum = 0.2\nstable_after = 0.05\nmax_restarts = 10000\n"
    file.write_text(f'[runtime]\nname = "desk"\n[service]\n{service}\n{often}{quick}' + "".join(feeds))
    return file


def feed(name: str, url: str, subscribe: str = "") -> str:
    return f'[feeds.{name}]\nvenue = "o2"\nurl = "{url}"\nsubscribe = [{subscribe}]\n'


def trades(market: str) -> str:
    return f'{{ channel = "trades", keys = ["{market}"] }}'
