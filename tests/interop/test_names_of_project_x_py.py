"""`tests/migrating/project-x-py.txt` names all that project-x-py 4 offers, as it says itself."""

from __future__ import annotations

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
