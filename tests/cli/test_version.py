"""`linewarden version`."""

from __future__ import annotations

import platform
from importlib.metadata import version

from tests.commands import asked


def test_the_versions_are_printed() -> None:
    told = asked("version")
    assert (told.returncode, told.stderr) == (0, "")
    first, second = told.stdout.splitlines()
    assert first == f"linewarden {version('linewarden')}" == asked("--version").stdout.strip()
    assert second.startswith(f"python {platform.python_version()} (")
