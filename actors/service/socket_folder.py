"""The folder of the service's socket: no other user may replace it, or what it contains."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.errors import LinewardenError
from actors.service.peers import ROOT, group_name
from actors.wire.unix_peer import overflow_ids

FOLDER: Final = 0o700  # for the service's own user
GROUP_FOLDER: Final = 0o750  # and for a group
ADVICE: Final = "see socket in [service]"
LINKS: Final = 40  # symbolic links of one path, as in Linux


class ServiceError(LinewardenError):
    """The service cannot listen; the message has the address, the reason and what to do."""


def prepare_folder(folder: Path, group: int | None, *, is_usual: bool) -> None:
    """Makes the folder, where it is missing.

    `group`: gets access to it, if it is made here or `is_usual`: Linewarden's, so its mode may be changed.

    Raises:
        ServiceError: another user could replace it, or what it contains.
        OSError: it cannot be made.
    """
    _check_way(folder)
    is_missing = not folder.exists()
    if is_missing:
        folder.parent.mkdir(0o755, parents=True, exist_ok=True)
        folder.mkdir(FOLDER, exist_ok=True)
    _check_folder(folder)
    if group is not None and (is_missing or is_usual) and folder.stat().st_uid == os.geteuid():
        give(folder, group, GROUP_FOLDER)


def give(path: Path, group: int, mode: int) -> None:
    """Raises: ServiceError: this process may not give it to that group."""
    try:
        os.chown(path, -1, group)
    except PermissionError:
        name = group_name(group)
        raise ServiceError(
            f"{path} cannot be given to the group {name}, which [service.users] needs: uid {os.geteuid()} is "
            f"no member of it. Under systemd, add SupplementaryGroups={name} to the unit; elsewhere, add "
            "the user to the group"
        ) from None
    path.chmod(mode)


def _check_folder(folder: Path) -> None:
    facts = folder.stat()
    if facts.st_uid not in {os.geteuid(), ROOT}:
        why = f"its folder belongs to uid {facts.st_uid}, who could replace the socket"
        raise ServiceError(f"{folder}: {why}; {ADVICE}")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        why = f"other users may write there (mode {stat.S_IMODE(facts.st_mode):04o}) and replace the socket"
        raise ServiceError(f"{folder}: {why}; chmod go-w {folder}, or {ADVICE}")


def _check_way(folder: Path) -> None:
    """All folders above it, as far as they are there. Their groups are trusted.

    The owner of such a folder could put another one, or a link, in the place of the one below it.
    """
    trusted = {os.geteuid(), ROOT, overflow_ids()[0]}  # the last: root, where a container does not know it
    for place in way_to(folder):
        try:
            facts = place.lstat()
        except FileNotFoundError:
            return
        if place == folder and not stat.S_ISLNK(facts.st_mode):
            return
        if facts.st_uid not in trusted:
            why = f"{place} belongs to uid {facts.st_uid}, who could replace what is below it"
            raise ServiceError(f"{folder}: {why}; {ADVICE}")
        is_open = facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX
        if is_open and not stat.S_ISLNK(facts.st_mode):
            why = f"every user may write to {place}, and replace what is below it"
            raise ServiceError(f"{folder}: {why}; chmod o-w {place}, or {ADVICE}")


def way_to(path: Path) -> Iterator[Path]:
    """Every folder and every symbolic link through which the system comes to it; itself last.

    Raises: OSError: the links lead in a circle.
    """
    here, rest, links = Path("/"), [*reversed(path.absolute().parts[1:])], 0
    yield here
    while rest:
        name = rest.pop()
        if name == "..":
            here = here.parent
            continue
        place = here / name
        yield place
        if not place.is_symlink():
            here = place
            continue
        links += 1
        if links > LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = place.readlink()
        rest.extend(reversed([part for part in target.parts if part != "/"]))
        here = Path("/") if target.is_absolute() else here
