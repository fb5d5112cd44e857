"""The folder of orders: of one user, on a file system of this machine whose locks and syncs hold."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from actors.errors import LinewardenError

NETWORK = ("nfs", "cifs", "smb", "9p", "fuse", "ceph", "glusterfs", "afs", "lustre")  # they begin so
MOUNTS = Path("/proc/self/mountinfo")

_ESCAPED = re.compile(r"\\([0-7]{3})")  # proc(5): space, tab, newline and backslash in a path


class StoreError(LinewardenError):
    """The order store, or its folder, cannot be used. The message says why, and what to do."""


def check_folder(folder: Path, mounts: Path = MOUNTS) -> None:
    """Checks a folder that holds orders or counts of requests.

    Raises:
        StoreError: it is missing, others may enter it, or it lies on a network file system.
    """
    _check_path(folder)
    try:
        found = folder.stat()
    except FileNotFoundError:
        raise StoreError(f"{folder}: there is no such folder. {MAKE}") from None
    except OSError as error:
        raise StoreError(f"{folder}: cannot be looked at ({error.strerror}). Check its owner.") from None
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{folder}: this is no folder. Give [trading] dir another path.")
    if found.st_mode & 0o077:
        raise StoreError(f"{folder}: other users may enter this folder. Run: chmod 700 {folder}")
    check_file_system(folder, mounts)


MAKE = "Check dir in [trading], or make a store: linewarden orders init -c CONFIG"


def check_file_system(folder: Path, mounts: Path = MOUNTS) -> None:
    """Raises StoreError for a network file system: locks and syncs may not hold there."""
    kind = file_system(folder, mounts)
    if kind.startswith(NETWORK):
        advice = "Use a folder on a local disk; for containers, a volume of their host"
        raise StoreError(f"{folder}: lies on {kind}, where locks and syncs may not hold. {advice}.")


def make_folder(folder: Path) -> None:
    """Makes the folder, for this user only; one that exists stays as it is.

    Raises:
        OSError: it cannot be made.
        StoreError: it has no absolute path.
    """
    _check_path(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _check_path(folder: Path) -> None:
    if not folder.is_absolute():
        raise StoreError(f"{folder}: expected an absolute path, the same for all processes of an account.")


def file_system(folder: Path, mounts: Path = MOUNTS) -> str:
    """Returns the type of the file system at the path; empty where the system does not tell (no Linux)."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    found = [mount for mount in map(_mount, lines) if mount is not None]
    path = os.path.realpath(folder)
    under = [(len(point), number) for number, (point, _) in enumerate(found) if _is_under(path, point)]
    return found[max(under)[1]][1] if under else ""  # of two mounts on one point, the later one covers


def _mount(line: str) -> tuple[str, str] | None:
    """Point and type: `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`."""
    before, _, after = line.partition(" - ")
    fields, kinds = before.split(), after.split()
    if len(fields) < 5 or not kinds:
        return None
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]), kinds[0]


def _is_under(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
