"""`flock` on a file: one holder on this host, and the kernel lets go when the process ends."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from weakref import WeakSet

from actors.trading.folder import StoreError

if sys.platform != "win32":
    import fcntl


class FileLock:
    """One open file and its lock. A forked child closes its copy, so that the lock ends with this process.

    One thread at a time.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Opens the file; nothing is locked yet. Raises OSError; StoreError on Windows."""
        if sys.platform == "win32":
            raise StoreError("Trading needs file locks of a POSIX system; Windows has none of them.")
        self.fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0) | os.O_CLOEXEC, 0o600)
        _OPEN.add(self)

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Returns whether the lock is taken now.

        Raises:
            OSError: the file is closed, or its file system has no locks.
        """
        self._check()
        try:
            fcntl.flock(self.fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Raises OSError: the file is closed."""
        self._check()
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the file and with it the lock. Any number of times."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def _check(self) -> None:
        if self.fd < 0:  # for which `flock` raises ValueError
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


_OPEN: WeakSet[FileLock] = WeakSet()


def _forked() -> None:
    for lock in list(_OPEN):
        lock.close()  # the parent's copy keeps the lock


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
