"""The processes that trade from one folder. Each holds the lock of a file; a number could be used again."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from actors.trading.file_lock import FileLock

TRIES: Final = 50
BESIDE: Final = ".new"


BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class TradingProcess(Struct, frozen=True):
    """One process that trades. `token` is random and never used again; `pid` is for people."""

    token: str
    pid: int


class Uptime(Struct, frozen=True):
    """A moment of the boot-time clock, which is never set. `boot` empty: the system has no id of its boot."""

    boot: str
    ns: int


def boot_id() -> str:
    """Empty where the system has none."""
    try:
        return BOOT.read_text("ascii").strip()
    except OSError:
        return ""


class Membership:
    """This process in the folder, until `close` or until the process ends."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock. Raises OSError."""
        self.process = TradingProcess(secrets.token_hex(8), os.getpid())
        self._path = _room(folder) / self.process.token
        _room(folder).mkdir(mode=0o700, exist_ok=True)
        lock = next(filter(None, (_locked(self._path) for _ in range(TRIES))), None)
        if lock is None:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self._lock = lock
        with suppress(OSError):  # a full disk: the process goes without its number
            os.pwrite(self._lock.fd, msgspec.json.encode(self.process), 0)

    def close(self) -> None:
        with suppress(OSError):
            self._path.unlink()
        self._lock.close()


def is_alive(folder: Path, token: str) -> bool:
    """Returns whether the process that has this token holds its lock."""
    try:
        lock = FileLock(_room(folder) / token, create=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # it cannot be known: its intents are not settled over its head
    with closing(lock):
        return not lock.try_acquire(shared=True)


def living(folder: Path) -> tuple[TradingProcess, ...]:
    """Returns the processes that trade from this folder now. Raises OSError."""
    with suppress(FileNotFoundError):
        tokens = sorted(path.name for path in _room(folder).iterdir() if path.suffix != BESIDE)
        return tuple(_process(folder, token) for token in tokens if is_alive(folder, token))
    return ()


def forget_ended(folder: Path) -> None:
    """Removes the files of ended processes. Raises OSError."""
    with suppress(FileNotFoundError):
        for path in _room(folder).iterdir():
            if not is_alive(folder, path.name):
                path.unlink(missing_ok=True)


def _process(folder: Path, token: str) -> TradingProcess:
    try:
        return msgspec.json.decode((_room(folder) / token).read_bytes(), type=TradingProcess)
    except (OSError, msgspec.MsgspecError):
        return TradingProcess(token, 0)


def _room(folder: Path) -> Path:
    return folder / "processes"


def _locked(path: Path) -> FileLock | None:
    """Makes the file beside its place and moves it there locked: without its lock, its process has ended.

    None: another process looks at it, or took it for one that was left behind. Raises OSError.
    """
    beside = path.with_name(f"{secrets.token_hex(8)}{BESIDE}")
    lock = FileLock(beside)
    if lock.try_acquire():
        with suppress(FileNotFoundError):
            beside.rename(path)
            return lock
    lock.close()
    return None
