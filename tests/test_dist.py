"""What `make dist` makes: installed where nothing else is, and run by the unit's own command."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import ENDING, PATIENCE
from tests.deploy import DESK, INSTALLED, ROOT, entries_of

INSTALLING = 600.0  # seconds: the packages come over the network
CONFIG = """
[runtime]
name = "desk"

[feeds.o2]
venue = "o2"
url = "sim://o2"
subscribe = [{{ channel = "trades", keys = ["{market}"] }}]
"""
MARKET = "0x32d6c94ffb1a61890266ab17a4ed5fe10a5c4cf3115f5ec5add0cafcbd0e8f2e"

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(2 * INSTALLING + 5 * PATIENCE),
    pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's"),
]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source archive and the wheel."""
    made = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(made), str(ROOT)]
    it = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALLING)
    assert it.returncode == 0, it.stdout + it.stderr
    return made


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, in a virtualenv with the wheel and what it depends on."""
    there = tmp_path_factory.mktemp("clean")
    venv.create(there, with_pip=True)
    (wheel,) = dist.glob("*.whl")
    pip = [str(there / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)]
    it = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALLING)
    assert it.returncode == 0, it.stdout + it.stderr
    return there / "bin" / "linewarden"


class Unit:
    """The unit as it stands, with the paths of this machine, and what systemd would do with it."""

    def __init__(self, installed: Path, folder: Path, run: Path) -> None:
        self.entries = entries_of("linewarden.service")
        self._installed, self._folder = installed, folder
        self._run = run  # for the runtime folder: the path of a socket is short
        self.config = folder / "desk.toml"
        self.config.write_text(CONFIG.format(market=MARKET))
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(folder / "notify"))
        self.notify.settimeout(PATIENCE)

    @property
    def environ(self) -> Mapping[str, str]:
        """Nothing of this process: as systemd starts a unit."""
        given = dict(each.split("=", 1) for each in self.entries["Environment"])
        (given["RUNTIME_DIRECTORY"],) = (str(self._run / name) for name in self.entries["RuntimeDirectory"])
        (given["STATE_DIRECTORY"],) = (str(self._folder / name) for name in self.entries["StateDirectory"])
        seconds = float(self.entries["WatchdogSec"][0].removesuffix("s"))
        notify = {"NOTIFY_SOCKET": str(self._folder / "notify"), "WATCHDOG_USEC": str(int(seconds * 1e6))}
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **given, **notify}

    def make_folders(self) -> None:
        """As systemd does, with the mode that the unit names."""
        (mode,) = self.entries["RuntimeDirectoryMode"]
        Path(self.environ["RUNTIME_DIRECTORY"]).mkdir(parents=True, mode=int(mode, 8))
        Path(self.environ["STATE_DIRECTORY"]).mkdir(parents=True)

    def command(self, entry: str, number: int = 0, pid: int = 0) -> list[str]:
        text = self.entries[entry][number].replace("$MAINPID", str(pid))
        return shlex.split(text.replace(INSTALLED, str(self._installed)).replace(DESK, str(self.config)))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command, as root would give it beside the unit."""
        environ = {name: value for name, value in self.environ.items() if name != "NOTIFY_SOCKET"}
        return subprocess.run(
            command,
            env=environ,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        log = (self._folder / "log").open("w")
        with (
            log,
            subprocess.Popen(
                self.command("ExecStart"), env=self.environ, cwd="/", stdout=log, stderr=log, text=True
            ) as it,
        ):
            try:
                yield it
            finally:
                it.kill()

    def told(self, words: str) -> str:
        """The notification of the process that contains these words."""
        while True:
            text = self.notify.recv(65_536).decode()
            if words in text:
                return text


@pytest.fixture
def unit(installed: Path, tmp_path: Path) -> Iterator[Unit]:
    with tempfile.TemporaryDirectory(prefix="lw-") as run:
        unit = Unit(installed, tmp_path, Path(run))
        unit.make_folders()
        with unit.notify:
            yield unit


def test_the_archives_hold_the_package_and_nothing_of_the_machine(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    (source,) = dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"actors"}
    assert "actors/py.typed" in names
    assert any(name.startswith("actors/venues/tables/") for name in names)
    assert not [name for name in names if "__pycache__" in name]
    assert source.stat().st_size < 10_000_000


def test_the_unit_s_command_runs_reloads_and_ends(unit: Unit) -> None:
    with unit.started() as it:
        unit.told("READY=1")
        unit.told("1 of 1 line live")
        assert unit.run(str(unit._installed), "status").returncode == 0
        check = unit.run(*unit.command("ExecReload"))
        assert check.returncode == 0, check.stderr
        assert unit.run(*unit.command("ExecReload", 1, it.pid)).returncode == 0
        unit.told("RELOADING=1")
        unit.told("READY=1")
        unit.told("WATCHDOG=1")
        it.send_signal(signal.SIGTERM)
        assert it.wait(ENDING) == 0
    assert not list(Path(unit.environ["RUNTIME_DIRECTORY"]).glob("*.sock"))


def test_a_mistake_in_the_config_is_not_started_again(unit: Unit) -> None:
    unit.config.write_text('[feeds.o2]\nvenue = "o3"\n')
    with unit.started() as it:
        code = it.wait(PATIENCE)
    assert [str(code)] == unit.entries["RestartPreventExitStatus"]
    assert code == os.EX_CONFIG
    assert unit.run(*unit.command("ExecReload")).returncode == os.EX_CONFIG
