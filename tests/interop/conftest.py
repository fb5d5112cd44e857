"""Other people's SDKs, unmodified, each in a virtualenv of its own that is kept between runs."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_UNREACHABLE = ("NewConnectionError", "ConnectTimeout", "name resolution", "ProxyError", "Max retries")


@pytest.hookimpl(tryfirst=True)  # before -m chooses by it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is here: `make interop` runs it, and `make test` does not."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.timeout(300))  # the first run makes a virtualenv


@pytest.fixture(scope="session")
def sdk_python() -> Callable[[str], Path]:
    """The Python of a virtualenv that has this requirement, such as `o2-sdk==0.5.0`.

    The virtualenvs are in $LINEWARDEN_INTEROP, or in .venv-interop beside pyproject.toml.
    """
    root = Path(os.environ.get("LINEWARDEN_INTEROP") or HERE.parents[1] / ".venv-interop")

    def make(requirement: str) -> Path:
        home = root / requirement.partition("==")[0]
        python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        stamp = home / "has.txt"
        wanted = f"{requirement} on {sys.version_info[:2]}"
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        venv.create(home, with_pip=True, clear=True)
        pip = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--retries",
            "1",
            "--timeout",
            "15",
            requirement,
        ]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            if any(word in done.stderr for word in _UNREACHABLE):
                pytest.skip(f"{requirement}: the package index cannot be reached")
            if f" {requirement.partition('==')[2]} Requires-Python" in done.stderr:  # ignored, says pip
                pytest.skip(f"{requirement} is not for Python {sys.version_info[0]}.{sys.version_info[1]}")
            pytest.fail(f"{requirement} does not install:\n{done.stderr}")
        stamp.write_text(wanted)
        return python

    return make
