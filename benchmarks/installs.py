"""Other people's programs as they were published: each in a virtualenv of its own, or in npm's node_modules.

All of it is kept between runs, in $LINEWARDEN_INTEROP, or else in .venv-interop beside pyproject.toml. The
tests of interop share it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# The versions that everything here is about.
AIOSIGNALR = "aiosignalr==0.1.1"
ALPACA_PY = "alpaca-py==0.44.0"
CRYPTOFEED = "cryptofeed==3.0.1"
MSGSPEC = "msgspec==0.22.0"
NOTEBOOK = (
    "nbclient==0.11.0",
    "ipykernel==7.4.0",
    "ipython==9.18.1",
    "matplotlib==3.11.2",
    "pandas==2.3.3",
)
O2_SDK = "o2-sdk==0.5.0"
PANDAS = "pandas==2.3.3"
PICOWS = "picows==2.3.1"
POLARS = "polars==1.32.3"
PROJECT_X_PY = "project-x-py==4.4.1"
PROJECT_X_PY_SYNC = (
    "project-x-py==1.1.4"  # the last one that was synchronous; with Polars 2 it reads no history
)
PYSIGNALR = "pysignalr==1.3.3"
SIGNALR_JS = "@microsoft/signalr@10.0.11"
SIGNALRCORE = "signalrcore==1.0.2"
TPLUSPY = "tpluspy==0.6.0"
UBWA = "unicorn-binance-websocket-api==2.16.1"
UVLOOP = "uvloop==0.23.0"
WEBSOCKET_RS = "websocket-rs==0.7.10"
WS4PY = "ws4py==0.6.0"

_ROOT = Path(os.environ.get("LINEWARDEN_INTEROP") or Path(__file__).parents[1] / ".venv-interop")
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
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


class NotHereError(Exception):
    """This machine lacks what a program needs: a Python, node, a package index."""


def python_with(*requirements: str, version: str = HERE) -> Path:
    """The Python of a virtualenv that has these, such as `o2-sdk==0.5.0`, made with Python `version`.

    Raises:
        NotHereError: there is no such Python, neither on the PATH nor among pyenv's; or the index cannot
            be reached, or has them for other Pythons alone.
        RuntimeError: they do not install.
    """
    home = _ROOT / f"{requirements[0].replace('==', '-')}-{version}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = " ".join(requirements)
    if _has(home, wanted):
        return python
    made_with = next(filter(_runs, _pythons(version)), None)
    if made_with is None:
        raise NotHereError(f"{wanted} needs Python {version}, and there is no python{version} on the PATH")
    shutil.rmtree(home, ignore_errors=True)
    _do([made_with, "-m", "venv", str(home)], wanted)
    quiet = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "15"]
    _do([str(python), "-m", "pip", "install", *quiet, *requirements], wanted)
    _stamp(home, wanted)
    return python


def source_of(requirement: str, *, version: str) -> Path:
    """The folder of an unpacked wheel, such as `project-x-py==1.1.4`: to be read, and not to be imported.

    `version` is the Python that the wheel is for; this machine needs none of it.

    Raises:
        NotHereError: the index cannot be reached.
        RuntimeError: there is no such wheel.
    """
    home = _ROOT / "wheels" / requirement.replace("==", "-")
    if _has(home, requirement):
        return home
    shutil.rmtree(home, ignore_errors=True)
    quiet = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "15"]
    only = ["--no-deps", "--only-binary", ":all:", "--python-version", version]
    pip = [sys.executable, "-m", "pip", "download", *quiet, *only, "--dest", str(home), requirement]
    _do(pip, requirement)
    for wheel in home.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(home)
        wheel.unlink()
    _stamp(home, requirement)
    return home


def packages_with(version: str, requirements: Path) -> tuple[str, Path]:
    """A Python of this version, and a folder of packages for it: for one that cannot make virtualenvs.

    The file names all of them.

    Raises:
        NotHereError: there is no such Python, or the index cannot be reached.
        RuntimeError: they do not install.
    """
    home, wanted = _ROOT / f"{requirements.parent.name}-{version}", requirements.read_text()
    python = next(filter(_runs, _pythons(version)), None)
    if python is None:
        raise NotHereError(f"this needs Python {version}, and there is none on the PATH or in pyenv")
    if not _has(home, wanted):
        shutil.rmtree(home, ignore_errors=True)
        quiet = ["--quiet", "--retries", "1", "--timeout", "15", "--no-deps"]
        pip = [python, "-m", "pip", "install", *quiet, "--target", str(home), "-r", str(requirements)]
        _do(pip, requirements.parent.name)
        _stamp(home, wanted)
    return python, home


def modules_with(requirement: str) -> Path:
    """The node_modules that have this requirement, such as `@microsoft/signalr@10.0.0`.

    Raises:
        NotHereError: there is no node or npm, or the registry cannot be reached.
        RuntimeError: it does not install.
    """
    for program in ("node", "npm"):
        if not _runs(program):
            raise NotHereError(f"{requirement} needs node and npm, and there is no {program} on the PATH")
    home = _ROOT / "npm" / requirement.strip("@").replace("/", "-")
    if not _has(home, requirement):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "package.json").write_text('{"private": true}')
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
        _do([str(shutil.which("npm")), "install", "--prefix", str(home), *quiet, requirement], requirement)
        _stamp(home, requirement)
    return home / "node_modules"


def _pythons(version: str) -> list[str]:
    """Our own; the one on the PATH, which may be pyenv's shim of another; then those that pyenv keeps."""
    if version == HERE:
        return [sys.executable]
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [f"python{version}", *map(str, sorted(kept.glob(f"{version}.*/bin/python{version}")))]


def _has(home: Path, wanted: str) -> bool:
    stamp = home / "has.txt"
    return stamp.exists() and stamp.read_text() == wanted


def _stamp(home: Path, wanted: str) -> None:
    (home / "has.txt").write_text(wanted)


def _runs(program: str) -> bool:
    """Whether it is there and works: a version manager's shim may be there for a Python that is not."""
    found = shutil.which(program)
    if found is None:
        return False
    return subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0


def _do(command: list[str], wanted: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if any(word in done.stderr for word in _UNREACHABLE):
            raise NotHereError(f"{wanted}: the package index cannot be reached")
        if " Requires-Python" in done.stderr:  # versions that pip passed over, it says
            raise NotHereError(f"{wanted} is not for this Python:\n{done.stderr}")
        raise RuntimeError(f"{wanted} does not install:\n{done.stderr}")
