"""Which config a command takes that is given none."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from actors.errors import ConfigError
from actors.settings.toml_file import user_path

NAME = "linewarden.toml"
VARIABLE = "LINEWARDEN_CONFIG"
SYSTEM = Path("/etc/linewarden")


class FoundConfig(Struct, frozen=True):
    """A config, and why it is taken."""

    path: Path
    because: str  # such as "from LINEWARDEN_CONFIG"


def find_config(environ: Mapping[str, str]) -> FoundConfig:
    """That of `LINEWARDEN_CONFIG`, else the first `linewarden.toml` of the folders that are searched.

    A file that is found without being named could be another user's: it is taken only if it belongs to this
    user or to root, and not every user can write it.

    Raises:
        ConfigError: there is none, or it may be another user's.
    """
    if named := environ.get(VARIABLE, ""):
        return FoundConfig(user_path(named), f"from {VARIABLE}")
    places = folders(environ)
    for path, because in places.items():
        try:
            facts = path.stat()
        except OSError:
            continue
        if mistake := _trust_mistake(facts):
            raise ConfigError([f"{path} {mistake}; to use it all the same, give its path."])
        return FoundConfig(path, because)
    looked = ", ".join(map(str, places))
    raise ConfigError([f"there is no config: give the path of one, or set {VARIABLE}. Not found: {looked}."])


def folders(environ: Mapping[str, str]) -> dict[Path, str]:
    """The paths that are looked at, in this order, each with words for it."""
    home = environ.get("HOME") or environ.get("USERPROFILE")
    config_home = environ.get("XDG_CONFIG_HOME") or (str(Path(home, ".config")) if home else "")
    found = {Path(NAME): "in this folder"}
    if Path(config_home).is_absolute():  # the XDG specification: another one is ignored
        found[Path(config_home, "linewarden", NAME)] = "of this user"
    found[SYSTEM / NAME] = "of this machine"
    return found


def _trust_mistake(facts: os.stat_result) -> str:
    """Why the file could be another user's; empty: it is not. Windows shows no such bits."""
    if os.name == "nt":
        return ""
    if facts.st_uid not in {0, os.geteuid()}:
        return f"belongs to another user (uid {facts.st_uid})"
    if facts.st_mode & stat.S_IWOTH:
        return f"can be written by every user (mode {stat.S_IMODE(facts.st_mode):04o})"
    return ""
