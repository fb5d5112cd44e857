"""The process at the other end of a Unix socket, as the kernel names it."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

if sys.platform != "win32":
    import pwd

OVERFLOW: Final = 65_534  # of a user or a group that this user namespace does not know
OVERFLOW_FILES: Final = (Path("/proc/sys/kernel/overflowuid"), Path("/proc/sys/kernel/overflowgid"))
SO_PEERGROUPS: Final = 59  # asm-generic/socket.h; Python has no name for it
LOCAL_PEERCRED: Final = 1  # macOS and FreeBSD, sys/un.h: a `struct xucred`, at level 0
GROUP_BYTES: Final = 1_024  # what Python's getsockopt takes: 256 groups

_UCRED = struct.Struct("iII")  # pid, uid, gid
_XUCRED = struct.Struct("IIhxx16I")  # version, uid, number of groups, groups


class Peer(Struct, frozen=True):
    """The process that has connected, or that listens, as it was then."""

    uid: int
    groups: frozenset[int]  # its own one and the supplementary ones
    pid: int = 0  # 0: not known


def peer_of(sock: socket.socket) -> Peer:
    """Raises: OSError: the system does not name it."""
    if sys.platform == "linux":
        pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return Peer(uid, frozenset({gid, *_groups(sock, uid, gid)}), pid)
    return xucred(sock.getsockopt(0, LOCAL_PEERCRED, _XUCRED.size))


def xucred(data: bytes) -> Peer:
    """The peer of a `struct xucred`, as macOS has it."""
    _, uid, count, *groups = _XUCRED.unpack(data)
    return Peer(uid, frozenset(groups[: max(0, count)]))


def _groups(sock: socket.socket, uid: int, gid: int) -> Iterable[int]:
    """Those of the process; where the kernel does not name them, those of its user."""
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUP_BYTES)
        return struct.unpack(f"{len(data) // 4}I", data)
    except OSError:  # a kernel before 4.13, or more groups than fit
        return () if sys.platform == "win32" else _groups_of_user(uid, gid)


def overflow_ids() -> tuple[int, int]:
    """The uid and the gid that this system shows for unknown ones."""
    uid, gid = (_number_in(file) for file in OVERFLOW_FILES)
    return uid, gid


def _number_in(file: Path) -> int:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return OVERFLOW


if sys.platform != "win32":

    def _groups_of_user(uid: int, gid: int) -> Iterable[int]:
        with suppress(KeyError):
            return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        return ()
