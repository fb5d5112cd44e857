"""Halts: who is halted, and what passes all the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from actors.protocol.trading import AnyMutation, Cancel, Close
from actors.trading.order_file import random_text, storable
from actors.trading.records import Halt, HaltKind

COLUMNS = "id, host, account, kind, reason, by, begun_ns"
APPLIES = "ended_ns IS NULL AND host IN ('', ?) AND (account IS NULL OR account = ?)"


def allowed_under_halt(mutation: AnyMutation, protects: bool | None) -> bool:
    """Returns whether a halt lets it pass: `Close`, in part too, and a `Cancel` that takes no protection.

    `protects`: whether the order protects an open position; None: not known, which counts as yes.
    """
    return isinstance(mutation, Close) or (isinstance(mutation, Cancel) and protects is False)


def new_halt(host: str, account: int | None, kind: HaltKind, reason: str, by: str, now_ns: int) -> Halt:
    return Halt(random_text(40), host, account, kind, storable(reason), storable(by), now_ns)


def unreadable(host: str, account: int | None, why: object, now_ns: int) -> Halt:
    """The halt that stands for a store that cannot be read: what is not known counts as halted."""
    reason = f"the order store cannot be read ({why})"
    return Halt("none", host, account, "unreadable", reason, "Linewarden", now_ns, is_written=False)


def write(db: sqlite3.Connection, halt: Halt, tags: Sequence[str] = ()) -> None:
    """Writes a halt. One that is there stays: an error may come after it was written."""
    values = (
        halt.id,
        halt.host,
        halt.account,
        halt.kind,
        halt.reason,
        halt.by,
        halt.begun_ns,
        " ".join(tags),
    )
    db.execute(f"INSERT OR IGNORE INTO halts ({COLUMNS}, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def read(db: sqlite3.Connection) -> tuple[Halt, ...]:
    """Returns every halt that stands, the oldest first."""
    rows = db.execute(f"SELECT {COLUMNS} FROM halts WHERE ended_ns IS NULL ORDER BY begun_ns")
    return tuple(Halt(*row) for row in rows)


def applying(db: sqlite3.Connection, host: str, account: int) -> Halt | None:
    """Returns a halt of this account, the oldest one."""
    query = f"SELECT {COLUMNS} FROM halts WHERE {APPLIES} ORDER BY begun_ns LIMIT 1"
    row = db.execute(query, (host, account)).fetchone()
    return None if row is None else Halt(*row)


def applies(halt: Halt, host: str, account: int) -> bool:
    return halt.host in {"", host} and halt.account in {None, account}


def tags(db: sqlite3.Connection, halt: Halt) -> list[str]:
    """Returns the tags for which a halt of kind `restored` was made."""
    (text,) = db.execute("SELECT tags FROM halts WHERE id = ?", (halt.id,)).fetchone()
    return str(text).split()


def take_over(other: sqlite3.Connection, db: sqlite3.Connection) -> None:
    """Copies the halts of another store that stand there."""
    columns = f"{COLUMNS}, tags"
    rows = other.execute(f"SELECT {columns} FROM halts WHERE ended_ns IS NULL").fetchall()
    db.executemany(f"INSERT OR IGNORE INTO halts ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
