"""Connects to a Unix socket. Its error names the users to whom the socket is open, and the way to get in."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import Final

from actors.client.server_trust import ROOT, user
from actors.client.unreachable import UnreachableError

_TIMEVAL: Final = struct.Struct("ll")  # seconds and microseconds


def connect_unix(sock: socket.socket, path: Path, timeout: float) -> None:
    """Raises: UnreachableError, TimeoutError, OSError."""
    try:
        _connect(sock, path, timeout)
    except BlockingIOError:
        raise TimeoutError from None
    except FileNotFoundError:
        raise UnreachableError("there is no such socket", is_absent=True) from None
    except ConnectionRefusedError:
        raise _refused(path) from None
    except PermissionError:
        raise _forbidden(path) from None
    except NotADirectoryError:
        raise UnreachableError("there is no such folder") from None


def _connect(sock: socket.socket, path: Path, timeout: float) -> None:
    if sys.platform != "linux":
        sock.settimeout(timeout)
        sock.connect(os.fspath(path))
        return
    # A socket with Python's timeout is refused at once where the queue of the listener has no room.
    limit = _TIMEVAL.pack(int(timeout), max(1, int(timeout % 1 * 1e6)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    sock.connect(os.fspath(path))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(0, 0))


def _refused(path: Path) -> UnreachableError:
    with contextlib.suppress(OSError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            return UnreachableError("this file is no socket", "Give the path of the socket of a service.")
    return UnreachableError(
        "the socket is there, and no process listens: the service has ended",
        "Start it: linewarden run. It replaces the socket.",
        is_absent=True,
    )


def _forbidden(path: Path) -> UnreachableError:
    """Names what is closed, to whom it is open, and how to get in."""
    mine = user(os.geteuid())
    closed = _closed(path)
    line = f'"{_login_name()}" = ["look"]'
    advice = f"Add {line} to [service.users] of its config and restart it, or ask as its user."
    if closed is None:
        return UnreachableError(f"{mine} may not use it", advice)
    place, found = closed
    text = f"{mine} may not use {place}: it is open to {user(found.st_uid)}"
    needed = stat.S_IWGRP if stat.S_ISSOCK(found.st_mode) else stat.S_IXGRP
    if not found.st_mode & needed or found.st_gid == ROOT:  # its group is no reason to join that of root
        return UnreachableError(text, advice)
    named = "[service.users] of its config has to name this user or the group, too."
    return UnreachableError(f"{text} and the group {_group(found.st_gid)}", f"{_join(found.st_gid)} {named}")


def _closed(path: Path) -> tuple[str, os.stat_result] | None:
    """The first folder of the path, or the socket, that this user may not use; None: not known."""
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK):
            return _seen(f"the folder {folder}", folder)
    return None if os.access(path, os.W_OK) else _seen("the socket", path)


def _seen(place: str, path: Path) -> tuple[str, os.stat_result] | None:
    try:
        return place, path.stat()
    except OSError:
        return None


def _login_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return f"gid {gid}"


def _join(gid: int) -> str:
    import grp

    name = _login_name()
    try:
        is_member = name in grp.getgrgid(gid).gr_mem
    except (KeyError, OverflowError):
        is_member = False
    if is_member:
        return "You have joined this group since you logged in: log in again."
    return f"Join the group (usermod -aG {_group(gid)} {name}) and log in again."
