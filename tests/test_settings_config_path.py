"""Which config a command takes that is given none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.errors import ConfigError
from actors.settings import config_path
from actors.settings.config_path import find_config
from tests.commands import asked, posix

CONFIG = '[feeds.a]\nvenue = "o2"\n'


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The places that are searched, all of them empty."""
    here, user, system = (tmp_path / name for name in ("here", "config", "etc"))
    for each in (here, user / "linewarden", system):
        each.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setattr(config_path, "SYSTEM", system)
    return {"here": here, "user": user / "linewarden", "system": system}


@pytest.fixture
def environ(folders: dict[str, Path]) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folders["user"].parent), "HOME": "/nowhere"}


def write(folder: Path, mode: int = 0o644) -> Path:
    file = folder / "linewarden.toml"
    file.write_text(CONFIG)
    file.chmod(mode)
    return file


def test_the_nearest_one_is_taken(folders: dict[str, Path], environ: dict[str, str]) -> None:
    system = write(folders["system"])
    found = find_config(environ)
    assert (found.path, found.because) == (system, "of this machine")
    user = write(folders["user"])
    found = find_config(environ)
    assert (found.path, found.because) == (user, "of this user")
    write(folders["here"])
    found = find_config(environ)
    assert (found.path, found.because) == (Path("linewarden.toml"), "in this folder")
    found = find_config(environ | {"LINEWARDEN_CONFIG": "~/x.toml"})  # also where there is no such file
    assert (found.path.name, found.because) == ("x.toml", "from LINEWARDEN_CONFIG")


def test_the_users_folder_is_below_the_home_by_default(folders: dict[str, Path], tmp_path: Path) -> None:
    below = tmp_path / ".config" / "linewarden"
    below.mkdir(parents=True)
    file = write(below)
    for given in ({}, {"XDG_CONFIG_HOME": ""}):
        assert find_config({"HOME": str(tmp_path), **given}).path == file
    with pytest.raises(ConfigError):  # the XDG specification: a relative path is ignored
        find_config({"HOME": str(tmp_path), "XDG_CONFIG_HOME": ".config"})


def test_where_there_is_none_all_places_are_named(folders: dict[str, Path], environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config(environ)
    (problem,) = caught.value.problems
    assert problem == (
        "there is no config: give the path of one, or set LINEWARDEN_CONFIG. Not found: linewarden.toml, "
        f"{folders['user'] / 'linewarden.toml'}, {folders['system'] / 'linewarden.toml'}."
    )


@posix
def test_a_file_that_another_user_can_write_is_not_taken_by_itself(
    folders: dict[str, Path], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folders["system"])
    file = write(folders["here"], 0o666)
    with pytest.raises(ConfigError, match=r"linewarden.toml can be written by every user \(mode 0666\)"):
        find_config(environ)
    file.chmod(0o644)
    assert find_config(environ).because == "in this folder"
    if os.geteuid() == 0:  # what is root's may be taken by every user
        os.chown(file, 4242, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(ConfigError, match=r"linewarden.toml belongs to another user \(uid \d+\)"):
        find_config(environ)


def test_a_command_prints_the_one_that_it_takes(folders: dict[str, Path], environ: dict[str, str]) -> None:
    file = write(folders["user"])
    told = asked("check", environ=environ)
    assert (told.returncode, told.stderr) == (0, f"config: {file} (of this user)\n")
    assert f"{file.name}: no mistakes" in told.stdout.replace("\n", "")
    assert asked("check", file, environ=environ).stderr == ""


def test_without_a_config_a_command_exits_with_78(folders: dict[str, Path], environ: dict[str, str]) -> None:
    for command in (["check"], ["run"], ["orders"], ["halt", "all"], ["unhalt", "x"]):
        told = asked(*command, environ=environ)
        assert (told.returncode, told.stdout) == (78, "")
        assert told.stderr.startswith("there is no config: ")
