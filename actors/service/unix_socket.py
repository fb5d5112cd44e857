"""The service's Unix socket: its folder, its file, and the lock that says whose it is."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.service.listening_sockets import closed_in_children
from actors.service.socket_folder import ADVICE, ServiceError, give, prepare_folder
from actors.supervision.forks import Home
from actors.trading.file_lock import FileLock

BACKLOG: Final = 1_024
FILE: Final = 0o600  # for its own user
GROUP_FILE: Final = 0o660  # and for a group


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
        self.path, self._home = path, Home()
        try:
            prepare_folder(path.parent, group, is_usual=is_usual)
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
        """The file goes, unless another one has taken its place. In a forked child nothing goes."""
        self.sock.close()
        if self._home.is_left:
            return
        with suppress(OSError):
            if _identity(self.path) == self._identity:
                self.path.unlink()
        self._lock.close()


def _lock(path: Path) -> FileLock:
    """The lock beside the socket. Its file stays, with the number of the process that had it last."""
    place = path.with_name(f"{path.name}.lock")
    if place.is_symlink():  # the file that it leads to would be written
        raise ServiceError(f"{place} is a symbolic link, and has to be a file: remove it, or {ADVICE}")
    lock = FileLock(place)
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
    sock = closed_in_children(socket.socket(socket.AF_UNIX))
    try:
        sock.bind(str(path))
        path.chmod(FILE)
        if group is not None:
            give(path, group, GROUP_FILE)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _identity(path: Path) -> tuple[int, int]:
    facts = path.lstat()
    return facts.st_dev, facts.st_ino
