"""The five walks of docs/architecture.md: each passes the files that the page names."""

from __future__ import annotations

import ast
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import actors
from actors.events import Lifecycle
from actors.service.server import Service
from actors.settings.schema import ServiceSettings
from actors.simulators import SimulatedO2
from tests.commands import asked

PACKAGE = Path(actors.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
WALKS = PAGE.partition("## Five walks\n")[2].partition("\n## ")[0]
# A walk passes fewer files. A status passes the rights of its caller and the rows of the screen, too.
BELOW = {"An event": 14, "A subscription": 17, "A loss": 26, "A config key": 7, "A status": 17}
PATIENCE = 10.0  # seconds


class Stage:
    """A runtime that talks to a simulator, with a service, traced on all threads but the simulator's."""

    def __init__(self, simulator: SimulatedO2, passed: set[str]) -> None:
        self.simulator, self.passed = simulator, passed
        self.market = simulator.markets[0]
        feed = {"venue": "o2", "url": simulator.url, "max_message": 1_000_000, "restart": {"initial": 0.05}}
        self.runtime = actors.start({"feeds": {"o2": feed}}, wait=PATIENCE)
        self.started = passed.copy()
        self.trades = self.runtime.subscribe("o2", "trades", self.market, wait=PATIENCE)

    def trade(self) -> None:
        self.simulator.trade(self.market)
        assert self.trades.get(timeout=PATIENCE)

    def subscription(self) -> None:
        self.runtime.subscribe("o2", "depth", self.market, wait=PATIENCE)

    def loss(self) -> None:
        items = self.trades.with_markers()
        self.simulator.drop()
        while not isinstance(item := next(items), Lifecycle) or item.state != "restored":
            pass
        assert isinstance(next(items), actors.Gap)

    def config_key(self) -> None:
        self.passed |= self.started

    def status(self) -> None:
        with Service(self.runtime, ServiceSettings()) as service:
            told = asked("status", "--url", service.url)
        assert (told.returncode, told.stderr) == (0, "")


STORIES: dict[str, Callable[[Stage], None]] = {
    "An event": Stage.trade,
    "A subscription": Stage.subscription,
    "A loss": Stage.loss,
    "A config key": Stage.config_key,
    "A status": Stage.status,
}


def files_of(walk: str) -> list[str]:
    text = WALKS.partition(f"### {walk}\n")[2].partition("\n### ")[0]
    return re.findall(r"^\d+\. `([\w/]+\.py)`", text, re.MULTILINE)


def has_code(file: str) -> bool:
    """Whether something in it can be passed: Structs alone cannot."""
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))


@contextmanager
def traced(passed: set[str]) -> Iterator[None]:
    """Adds the file of every function of the package that is called by this thread or by a later one."""

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            passed.add(str(Path(frame.f_code.co_filename).relative_to(PACKAGE)))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.mark.parametrize("walk", STORIES)
def test_a_walk_passes_the_files_that_the_page_names(walk: str) -> None:
    passed: set[str] = set()
    with SimulatedO2(rate=0) as simulator, traced(passed):
        stage = Stage(simulator, passed)
        passed.clear()
        STORIES[walk](stage)
        seen = passed.copy()
        stage.runtime.stop()
    files = files_of(walk)
    assert [file for file in files if has_code(file) and file not in seen] == []
    assert len(set(files)) == len(files) < BELOW[walk]
    assert f": {len(files)} files" in WALKS.partition(f"### {walk}\n")[2].partition("\n### ")[0]
