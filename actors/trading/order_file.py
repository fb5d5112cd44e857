"""The file of the order store: SQLite with a rollback journal, so that a commit is on the disk or is not.

Several processes share it. Nothing is cached: each transaction reads what the others have written.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from base64 import b32encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote
from weakref import WeakSet

from actors.supervision.forks import Home
from actors.timers import SystemClock
from actors.trading.folder import MAKE, MOUNTS, StoreError, check_folder, make_folder

NAME: Final = "orders.db"
PATIENCE: Final = 2.0  # seconds for a transaction of another process; an order may wait twice
APPLICATION: Final = 0x4C574F52  # "LWOR", where SQLite keeps whose file it is
VERSION: Final = 1
RESTORE: Final = (
    "Restore it from a backup. Without one, look at orders and positions at the venue, move the file away, "
    "and run: linewarden orders init -c CONFIG"
)
SCHEMA: Final = f"""
CREATE TABLE stores (id TEXT PRIMARY KEY, is_own INTEGER NOT NULL, writes INTEGER NOT NULL DEFAULT 0);
CREATE TABLE intents (
    tag TEXT PRIMARY KEY, host TEXT NOT NULL, account INTEGER NOT NULL, kind TEXT NOT NULL,
    contract TEXT, side TEXT, size INTEGER, legs INTEGER NOT NULL, order_id INTEGER,
    digest BLOB NOT NULL, mutation BLOB NOT NULL, process TEXT NOT NULL, pid INTEGER NOT NULL,
    begun_ns INTEGER NOT NULL, boot TEXT NOT NULL, up_ns INTEGER NOT NULL,
    state TEXT NOT NULL, outcome BLOB, finished_ns INTEGER,
    CHECK (state IN ('open', 'accepted', 'refused', 'unknown', 'resolved', 'adopted')),
    CHECK (kind IN ('place', 'modify', 'cancel', 'close'))
);
CREATE INDEX intents_open ON intents (host, account) WHERE state IN ('open', 'unknown');
CREATE INDEX intents_by_time ON intents (host, account, begun_ns);
CREATE INDEX intents_by_order ON intents (host, account, order_id) WHERE order_id IS NOT NULL;
CREATE TABLE halts (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, account INTEGER, kind TEXT NOT NULL, reason TEXT NOT NULL,
    by TEXT NOT NULL, begun_ns INTEGER NOT NULL, tags TEXT NOT NULL DEFAULT '',
    ended_ns INTEGER, ended_by TEXT
);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""


def random_text(bits: int) -> str:
    """Returns so many random bits of the system's as lower-case letters and digits."""
    return b32encode(secrets.token_bytes(bits // 8)).decode().rstrip("=").lower()


def storable(text: str) -> str:
    """Returns a text as the file can hold it: what is no Unicode is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


class OrderFile:
    """The open file. Any thread; one transaction at a time. A forked child of this process is refused."""

    def __init__(
        self,
        folder: Path,
        *,
        now_ns: Callable[[], int] = SystemClock.wall_ns,
        mounts: Path = MOUNTS,
        patience: float = PATIENCE,
    ) -> None:
        """Opens the store of a folder. `patience`: seconds for a transaction of another process.

        Raises:
            StoreError: it is missing, empty, corrupt, of a newer version, open to other users, or on a
                network file system.
        """
        check_folder(folder, mounts)
        self.folder = folder
        self.path = folder / NAME
        self._now_ns = now_ns
        self._home = Home()
        self._is_closed = False
        self._turn = threading.RLock()  # held while this process forks, too: no transaction is torn in two
        self._inode = _checked(self.path)
        self._writes = 0  # how many transactions the file has had, as this process has seen it
        self._db = open_file(self.path, patience)
        self.id: str = self._own_id()
        _OPEN.add(self)

    @classmethod
    def make(cls, folder: Path, *, mounts: Path = MOUNTS) -> None:
        """Makes the folder, if need be, and an empty store in it.

        Raises:
            StoreError: there is one, or it cannot be made there.
        """
        try:
            make_folder(folder)
            check_folder(folder, mounts)
            _make(folder / NAME)
        except FileExistsError:
            raise StoreError(
                f"{folder / NAME}: there is an order store already; it was not touched."
            ) from None
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{folder / NAME}: cannot be made ({error}).") from None

    def close(self) -> None:
        """Closes the file. Any number of times; every later call raises StoreError."""
        if not self._home.is_left:
            with self._turn:
                self._is_closed = True
                self._db.close()

    def check(self) -> None:
        """Raises ForkError in a forked child, StoreError where the store is closed."""
        self._home.check()
        if self._is_closed:
            raise StoreError(f"{self.path}: the order store is closed.")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; no other process writes meanwhile. It is on the disk when this returns.

        Raises:
            sqlite3.Error: nothing was written.
            ForkError, StoreError: see `check`.
        """
        with self._reading("BEGIN IMMEDIATE") as db:
            yield db
            db.execute("UPDATE stores SET writes = writes + 1 WHERE is_own")
            db.execute("COMMIT")
            self._writes += 1

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the file, for as long as this lasts. Raises as `writing` does."""
        with self._reading("BEGIN") as db:
            yield db

    @contextmanager
    def _reading(self, begin: str) -> Iterator[sqlite3.Connection]:
        self._home.check()  # first: the lock is that of the parent
        with self._turn:
            self.check()
            self._check_inode()
            try:
                self._db.execute(begin)
                self._check_writes()
                yield self._db
            except (UnicodeError, OverflowError) as error:  # a broken file, or what no file can hold
                raise sqlite3.DatabaseError(f"{self.path}: {error}") from None
            finally:
                if self._db.in_transaction:
                    with suppress(sqlite3.Error):
                        self._db.execute("ROLLBACK")

    def _check_inode(self) -> None:
        """A file that was removed or replaced is not written: other processes see another one."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise sqlite3.OperationalError(f"{self.path}: {error.strerror}") from None
        if (found.st_dev, found.st_ino) != self._inode:
            raise sqlite3.OperationalError(f"{self.path} was replaced by another file; start again")

    def _check_writes(self) -> None:
        """An older copy that was written over the file has lost halts and intents, and is not used."""
        row = self._db.execute("SELECT writes FROM stores WHERE is_own").fetchone()
        writes = 0 if row is None else row[0]
        if not isinstance(writes, int) or writes < self._writes:
            raise sqlite3.OperationalError(f"{self.path} is an older copy than before; start again")
        self._writes = writes

    def _own_id(self) -> str:
        try:
            with self.reading() as db:
                (row,) = db.execute("SELECT id FROM stores WHERE is_own").fetchall()
        except (sqlite3.Error, ValueError) as error:
            self._db.close()
            raise _corrupt(self.path, error) from None
        return str(row[0])


# ── making and opening ──────────────────────────────────────────────────────────────────────────


def _make(path: Path) -> None:
    """Made beside and linked into its place: another process never sees a part of it."""
    beside = path.with_name(f"{NAME}.new-{os.getpid()}-{random_text(40)}")
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        db = sqlite3.connect(beside, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = EXTRA")
            db.executescript(f"BEGIN;{SCHEMA}")
            db.execute("INSERT INTO stores (id, is_own) VALUES (?, 1)", (random_text(64),))
            db.execute("COMMIT")
        finally:
            db.close()
        os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _checked(path: Path) -> tuple[int, int]:
    """Device and inode. Raises StoreError for what is no store of this user."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise StoreError(f"{path}: there is no order store. {MAKE}") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be looked at ({error.strerror}). Check its owner.") from None
    if not found.st_size:
        raise StoreError(f"{path}: the order store is empty, so its orders and halts are lost. {RESTORE}")
    if found.st_mode & 0o077:
        raise StoreError(f"{path}: other users may read the order store. Run: chmod 600 {path}")
    return found.st_dev, found.st_ino


def open_file(path: Path, patience: float = PATIENCE) -> sqlite3.Connection:
    """Opens the file of an order store. Raises StoreError."""
    db = None
    try:
        db = sqlite3.connect(
            f"file:{quote(os.fspath(path))}?mode=rw",
            uri=True,
            timeout=patience,
            isolation_level=None,
            check_same_thread=False,
        )
        _check_format(db, path)
    except (sqlite3.Error, StoreError, UnicodeDecodeError) as error:
        if db is not None:
            db.close()
        raise error if isinstance(error, StoreError) else _corrupt(path, error) from None
    return db


def _check_format(db: sqlite3.Connection, path: Path) -> None:
    """Raises StoreError, or sqlite3.Error where it is no database, or a broken one."""
    db.execute("PRAGMA trusted_schema = OFF")
    if _pragma(db, "application_id") != APPLICATION:
        raise StoreError(f"{path}: this is no order store of Linewarden. {MAKE}")
    version = _pragma(db, "user_version")
    if version != VERSION:
        known = f"this Linewarden knows version {VERSION}; use the one that made it, or a newer one"
        raise StoreError(f"{path}: the order store is of version {version}, and {known}.")
    if _pragma(db, "journal_mode") != "delete" and _pragma(db, "journal_mode = DELETE") != "delete":
        raise StoreError(f"{path}: another program has changed its journal mode. End that program first.")
    db.execute("PRAGMA synchronous = EXTRA")
    db.execute("PRAGMA fullfsync = ON")  # macOS: to the disk itself
    if (found := _pragma(db, "integrity_check(1)")) != "ok":
        raise _corrupt(path, found)


def _pragma(db: sqlite3.Connection, text: str) -> object:
    return db.execute(f"PRAGMA {text}").fetchone()[0]


def _corrupt(path: Path, why: object) -> StoreError:
    return StoreError(f"{path}: the order store cannot be read ({why}). {RESTORE}")


# ── forks ───────────────────────────────────────────────────────────────────────────────────────

_OPEN: WeakSet[OrderFile] = WeakSet()
_forking = threading.local()  # `held`: what the thread that forks has acquired


def _before() -> None:
    _forking.held = [file._turn for file in list(_OPEN)]
    for turn in _forking.held:
        turn.acquire()


def _after() -> None:
    for turn in _forking.held:
        turn.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
