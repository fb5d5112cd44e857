"""The processes that trade from one folder. Each holds the lock of a file; a number could be used again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.trading.file_lock import FileLock


class TradingProcess(Struct, frozen=True):
    """One process that trades. `token` is random and never used again; `pid` is for people."""

    token: str
    pid: int


class Membership:
    """This process in the folder, until `close` or until the process ends."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock. Raises OSError."""
        self.process = TradingProcess(secrets.token_hex(8), os.getpid())
        self._path = _room(folder) / self.process.token
        _room(folder).mkdir(mode=0o700, exist_ok=True)
        with _gate(folder):  # a file without its lock is that of an ended process
            self._lock = FileLock(self._path)
            self._lock.try_acquire()
        with suppress(OSError):  # a full disk: the process goes without its number
            self._path.write_bytes(msgspec.json.encode(self.process))

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
    with suppress(FileNotFoundError), _gate(folder):
        tokens = sorted(path.name for path in _room(folder).iterdir())
        return tuple(_process(folder, token) for token in tokens if is_alive(folder, token))
    return ()


def forget_ended(folder: Path) -> None:
    """Removes the files of ended processes. Raises OSError."""
    with suppress(FileNotFoundError), _gate(folder):
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


@contextmanager
def _gate(folder: Path) -> Iterator[None]:
    """While it is held, no process comes or is forgotten."""
    with closing(FileLock(folder / "processes.lock")) as lock:
        lock.acquire()
        yield
