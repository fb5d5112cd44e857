"""T5, T6: which files are taken for an order store, and what is told of the others."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.protocol.trading import Accepted
from actors.trading.folder import StoreError
from actors.trading.order_file import NAME, OrderFile
from actors.trading.order_store import OrderStore
from tests.trading.orders import begun, place


def missing(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("no database " * 1_000)


def foreign(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE orders (tag)")
    db.close()
    file.chmod(0o600)


def newer(file: Path) -> None:
    changed(file, "PRAGMA user_version = 2")


def without_id(file: Path) -> None:
    changed(file, "DELETE FROM stores")


def without_table(file: Path) -> None:
    changed(file, "DROP TABLE stores")


def changed(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as db:
        db.execute(statement)
    db.close()


def cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def readable_by_others(file: Path) -> None:
    file.chmod(0o640)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (missing, "there is no order store. Check dir in [trading], or make a store: linewarden orders init"),
        (empty, "the order store is empty, so its orders and halts are lost. Restore it from a backup."),
        (text, "the order store cannot be read (file is not a database). Restore it from a backup."),
        (foreign, "this is no order store of Linewarden."),
        (
            newer,
            "the order store is of version 2, and this Linewarden knows version 1; use the one that made it",
        ),
        (without_id, "the order store cannot be read"),
        (without_table, "the order store cannot be read (no such table: stores)."),
        (cut, "the order store cannot be read (database disk image is malformed)."),
        (readable_by_others, "other users may read the order store. Run: chmod 600 "),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_t5_what_is_no_order_store_is_told_with_what_to_do(
    folder: Path, damage: Callable[[Path], None], told: str
) -> None:
    OrderStore.make(folder)
    damage(folder / NAME)
    before = (folder / NAME).read_bytes() if (folder / NAME).exists() else None
    with pytest.raises(StoreError) as raised:
        OrderStore(folder)
    assert str(raised.value).startswith(f"{folder / NAME}: {told}")
    after = (folder / NAME).read_bytes() if (folder / NAME).exists() else None
    assert after == before  # nothing was made or mended


def test_t5_each_broken_byte_is_told_or_harms_nothing(folder: Path) -> None:
    """Bytes of the file are changed at random: it opens and answers what was written, or is refused."""
    store = OrderStore.create(folder)
    tags = [begun(store, place()) for _ in range(20)]
    for tag in tags[:10]:
        store.finish(Accepted(tag, 1))
    store.close()
    whole = (folder / NAME).read_bytes()
    chance, refused = random.Random(7), 0
    for _ in range(80):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 8, 200])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (folder / NAME).write_bytes(data)
        try:
            broken = OrderStore(folder)
        except StoreError:
            refused += 1
            continue
        try:
            for tag in tags:
                broken.outcome(tag)
            broken.open_intents()
            broken.halts()
        except sqlite3.Error:
            refused += 1
        finally:
            broken.close()
    assert refused > 15


def test_t6_it_is_never_in_write_ahead_mode_and_syncs_all_there_is(folder: Path) -> None:
    OrderStore.make(folder)
    changed(folder / NAME, "PRAGMA journal_mode = WAL")
    store = OrderStore(folder)
    pragmas = ("journal_mode", "synchronous", "application_id")
    found = [store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert found == ["delete", 3, 0x4C574F52]
    begun(store, place())
    assert sorted(path.name for path in folder.iterdir()) == [NAME, "processes"]
    store.close()


def test_t6_a_store_that_another_program_keeps_in_write_ahead_mode_is_refused(folder: Path) -> None:
    OrderStore.make(folder)
    other = sqlite3.connect(folder / NAME, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError):
        OrderFile(folder, patience=0.05)
    other.close()


def test_t6_a_store_on_a_network_file_system_is_refused(folder: Path, tmp_path: Path) -> None:
    OrderStore.make(folder)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 0:50 / {tmp_path} rw - nfs4 server:/home rw\n")
    for call in (OrderStore, OrderStore.make, OrderStore.create):
        with pytest.raises(StoreError, match="lies on nfs4"):
            call(folder, mounts=mounts)


def test_a_store_is_made_once_and_for_this_user_alone(folder: Path) -> None:
    OrderFile.make(folder)
    assert (folder.stat().st_mode & 0o777, (folder / NAME).stat().st_mode & 0o777) == (0o700, 0o600)
    assert [path.name for path in folder.iterdir()] == [NAME]
    with pytest.raises(StoreError, match="there is an order store already"):
        OrderFile.make(folder)
    assert [path.name for path in folder.iterdir()] == [NAME]
    first = OrderFile(folder)
    (folder.parent / "other").mkdir(mode=0o700)
    OrderFile.make(folder.parent / "other")
    second = OrderFile(folder.parent / "other")
    assert first.id != second.id
    assert len(first.id) == 13
    first.close()
    second.close()


def test_a_store_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        OrderFile.make(tmp_path / "file" / "inside")
    with pytest.raises(StoreError, match="expected an absolute path"):
        OrderFile.make(Path("orders"))
