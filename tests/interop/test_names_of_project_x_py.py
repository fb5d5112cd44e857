"""`tests/migrating/project-x-py.txt` names all that project-x-py 4 offers, as it says itself."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.installs import PROJECT_X_PY

HERE = Path(__file__).parent
LIST = HERE.parent / "migrating" / "project-x-py.txt"


def test_the_list_has_each_name_that_the_sdk_offers(sdk_python: Callable[..., Path]) -> None:
    python = sdk_python(PROJECT_X_PY, version="3.12")
    command = [str(python), "-I", "-W", "ignore", str(HERE / "project_x_py_names.py")]
    offered = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert LIST.read_text(encoding="utf-8").splitlines() == offered.splitlines()


def test_eight_events_are_never_emitted(sdk_source: Callable[..., Path]) -> None:
    """As docs/migrating/project-x-py.md says: no file names them but the one that declares them."""
    package = sdk_source(PROJECT_X_PY, version="3.12") / "project_x_py"
    declared = dict(
        re.findall(r'^    ([A-Z_]+) = "(\w+)"$', (package / "event_bus.py").read_text(), re.MULTILINE)
    )
    others = "".join(each.read_text() for each in package.rglob("*.py") if each.name != "event_bus.py")
    never = {
        text
        for name, text in declared.items()
        if not re.search(rf"EventType\.{name}\b|[\"']{text}[\"']", others)
    }
    assert never == {
        "authenticated",
        "latency_warning",
        "memory_warning",
        "rate_limit_warning",
        "reconnecting",
        "risk_limit_exceeded",
        "stop_loss_triggered",
        "take_profit_triggered",
    }
