"""The service's Unix socket: its folder, its file, and the lock that says whose it is."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.errors import LinewardenError
from actors.service.peers import group_name
from actors.trading.file_lock import FileLock

BACKLOG: Final = 1_024
FOLDER, FILE = 0o700, 0o600  # for its own user
GROUP_FOLDER, GROUP_FILE = 0o750, 0o660  # and for a group
ADVICE: Final = "see socket in [service]"


class ServiceError(LinewardenError):
    """The service cannot listen; the message has the address, the reason and what to do."""


class UnixSocket:
    """A socket that listens. It has the lock beside its file until `close`, which removes the file.

    A socket of a process that has ended is replaced. One of a living process is not: it has the lock.
    """

    def __init__(self, path: Path, group: int | None = None, *, is_usual: bool = False) -> None:
        """`group`: the gid whose members may connect as well; None: its own user alone.

        `is_usual`: the folder is Linewarden's, so its mode may be changed.

        Raises:
            ServiceError: another process listens there, or the folder does not allow it.
        """
        self.path = path
        try:
            _prepare(path.parent, group, is_usual=is_usual)
            self._lock = _lock(path)
            try:
                _remove_stale(path)
                self.sock = _listening(path, group)
            except BaseException:
                self._lock.close()
                raise
            self._identity = _identity(path)
        except OSError as error:
            why = error.strerror or str(error)
            if error.errno in {errno.EACCES, errno.EROFS}:
                why += f": uid {os.geteuid()} may not write in its folder"
            raise ServiceError(f"{path} cannot be listened on: {why}; {ADVICE}") from None

    def close(self) -> None:
        """The file goes, unless another one has taken its place."""
        self.sock.close()
        with suppress(OSError):
            if _identity(self.path) == self._identity:
                self.path.unlink()
        self._lock.close()


def _prepare(folder: Path, group: int | None, *, is_usual: bool) -> None:
    """Makes the folder, where it is missing. Another user could replace the socket in an open one."""
    is_missing = not folder.exists()
    if is_missing:
        folder.parent.mkdir(0o755, parents=True, exist_ok=True)
        folder.mkdir(FOLDER, exist_ok=True)
    facts = folder.stat()
    if group is not None and (is_missing or is_usual) and facts.st_uid == os.geteuid():
        _give(folder, group, GROUP_FOLDER)
    if facts.st_uid not in {os.geteuid(), 0}:
        why = f"its folder belongs to uid {facts.st_uid}, who could replace the socket"
        raise ServiceError(f"{folder}: {why}; {ADVICE}")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        why = f"other users may write there (mode {stat.S_IMODE(facts.st_mode):04o}) and replace the socket"
        raise ServiceError(f"{folder}: {why}; chmod go-w {folder}, or {ADVICE}")


def _give(path: Path, group: int, mode: int) -> None:
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


def _lock(path: Path) -> FileLock:
    """The lock beside the socket. Its file stays, with the number of the process that had it last."""
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    if lock.try_acquire():
        os.ftruncate(lock.fd, 0)
        os.pwrite(lock.fd, f"{os.getpid()}\n".encode(), 0)
        return lock
    holder = os.pread(lock.fd, 32, 0).decode("ascii", "replace").strip()
    lock.close()
    raise _taken(path, int(holder) if holder.isdecimal() else 0)


def _remove_stale(path: Path) -> None:
    """With the lock, what is left of an ended process."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(facts.st_mode):
        raise ServiceError(f"{path} is a file and no socket: move it away, or {ADVICE}")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # its queue is full
            raise _taken(path, 0) from None
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise _taken(path, 0)


def _taken(path: Path, pid: int) -> ServiceError:
    other = f"process {pid}" if pid else "another process"
    return ServiceError(
        f"{path} is taken: {other} listens there, perhaps another linewarden run; end it, or give this one "
        "another name in [runtime] or another socket in [service]"
    )


def _listening(path: Path, group: int | None) -> socket.socket:
    """Nothing can connect before the modes are those that are wanted: it listens last."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(path))
        path.chmod(FILE)
        if group is not None:
            _give(path, group, GROUP_FILE)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _identity(path: Path) -> tuple[int, int]:
    facts = path.lstat()
    return facts.st_dev, facts.st_ino
