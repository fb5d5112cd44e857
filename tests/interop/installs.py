"""What the interop tests need beside Python packages for this Python: other Pythons, and packages of npm.

All of it is kept between runs, beside the SDKs' virtualenvs: see conftest.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(os.environ.get("LINEWARDEN_INTEROP") or Path(__file__).parents[2] / ".venv-interop")
_UNREACHABLE = (
    "NewConnectionError",
    "ConnectTimeout",
    "name resolution",
    "ProxyError",
    "Max retries",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ETIMEDOUT",
)


def python_with(version: str, requirement: str) -> Path:
    """The Python of a virtualenv that has this requirement, made with `python3.12`, say.

    Skips where that Python is neither on the PATH nor among pyenv's.
    """
    home = _ROOT / f"{requirement.partition('==')[0]}-{version}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if _has(home, requirement):
        return python
    made_with = next(filter(_runs, _pythons(version)), None)
    if made_with is None:
        pytest.skip(f"{requirement} needs Python {version}, and there is no python{version} on the PATH")
    shutil.rmtree(home, ignore_errors=True)
    _do([made_with, "-m", "venv", str(home)], requirement)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "15", requirement]
    _do(pip, requirement)
    _stamp(home, requirement)
    return python


def packages_with(version: str, requirements: Path) -> tuple[str, Path]:
    """A Python of this version, and a folder of packages for it: for one that cannot make virtualenvs.

    The file names all of them. Skips where that Python is neither on the PATH nor among pyenv's.
    """
    home, wanted = _ROOT / f"{requirements.parent.name}-{version}", requirements.read_text()
    python = next(filter(_runs, _pythons(version)), None)
    if python is None:
        pytest.skip(f"this needs Python {version}, and there is no python{version} on the PATH or in pyenv")
    if not _has(home, wanted):
        shutil.rmtree(home, ignore_errors=True)
        quiet = ["--quiet", "--retries", "1", "--timeout", "15", "--no-deps"]
        pip = [python, "-m", "pip", "install", *quiet, "--target", str(home), "-r", str(requirements)]
        _do(pip, requirements.parent.name)
        _stamp(home, wanted)
    return python, home


def _pythons(version: str) -> list[str]:
    """The one on the PATH, which may be pyenv's shim of another; then those that pyenv keeps."""
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [f"python{version}", *map(str, sorted(kept.glob(f"{version}.*/bin/python{version}")))]


def modules_with(requirement: str) -> Path:
    """The node_modules that have this requirement, such as `@microsoft/signalr@10.0.0`.

    Skips where node or npm is missing.
    """
    for program in ("node", "npm"):
        if not _runs(program):
            pytest.skip(f"{requirement} needs node and npm, and there is no {program} on the PATH")
    home = _ROOT / "npm" / requirement.strip("@").replace("/", "-")
    if not _has(home, requirement):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "package.json").write_text('{"private": true}')
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
        _do([str(shutil.which("npm")), "install", "--prefix", str(home), *quiet, requirement], requirement)
        _stamp(home, requirement)
    return home / "node_modules"


def _has(home: Path, requirement: str) -> bool:
    stamp = home / "has.txt"
    return stamp.exists() and stamp.read_text() == requirement


def _stamp(home: Path, requirement: str) -> None:
    (home / "has.txt").write_text(requirement)


def _runs(program: str) -> bool:
    """Whether it is there and works: a version manager's shim may be there for a Python that is not."""
    found = shutil.which(program)
    if found is None:
        return False
    return subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0


def _do(command: list[str], requirement: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if any(word in done.stderr for word in _UNREACHABLE):
            pytest.skip(f"{requirement}: the package index cannot be reached")
        pytest.fail(f"{requirement} does not install:\n{done.stderr}")
