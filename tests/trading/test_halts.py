"""T4 and T8: what a halt refuses, what passes, and how far it reaches."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.protocol.trading import AnyMutation, Refused
from actors.trading.halts import allowed_under_halt
from actors.trading.order_file import NAME
from actors.trading.order_store import OrderStore
from actors.trading.records import Begun
from tests.trading.orders import (
    ACCOUNT,
    CANCEL,
    CLOSE,
    EVERY,
    HOST,
    MODIFY,
    PART,
    allow,
    begun,
    intent_of,
    place,
    refused,
)


def name(mutation: AnyMutation) -> str:
    return type(mutation).__name__


@pytest.mark.parametrize(
    ("mutation", "unprotected", "protected", "unknown"),
    [
        (place(), False, False, False),
        (MODIFY, False, False, False),
        (CANCEL, True, False, False),
        (CLOSE, True, True, True),
        (PART, True, True, True),
    ],
    ids=["place", "modify", "cancel", "close", "part"],
)
def test_t8_closes_pass_under_a_halt_and_cancels_that_take_no_protection(
    store: OrderStore, mutation: AnyMutation, unprotected: bool, protected: bool, unknown: bool
) -> None:
    store.halt(HOST, ACCOUNT, reason="lunch", by="anna")
    for protects, passes in ((False, unprotected), (True, protected), (None, unknown)):
        assert allowed_under_halt(mutation, protects) == passes
        answer = store.begin(intent_of(store, mutation), HOST, allow, protects=protects)
        assert (answer == Begun()) == passes, protects


def test_t8_a_refusal_names_the_halt_and_what_would_pass(store: OrderStore) -> None:
    halt = store.halt(HOST, ACCOUNT, reason="lunch", by="anna")
    answer = refused(store, place())
    assert (answer.code, answer.name, answer.by_venue) == ("halted", halt.id, False)
    told = f"api.venue.example/7 is halted: lunch (halt {halt.id}, by anna)"
    assert answer.message == f"{told}. Nothing was sent."
    hint = "only the cancel of an order that protects no position passes"
    assert refused(store, CANCEL).message == f"{told}; {hint}. Nothing was sent."


@pytest.mark.parametrize(
    ("host", "account", "is_halted"),
    [
        ("", None, True),
        (HOST, None, True),
        (HOST, ACCOUNT, True),
        (HOST, 8, False),
        ("another.host", None, False),
        ("another.host", ACCOUNT, False),
    ],
)
def test_t4_a_halt_is_of_a_host_and_an_account(
    store: OrderStore, host: str, account: int | None, is_halted: bool
) -> None:
    halt = store.halt(host, account, reason="lunch", by="anna")
    assert store.halts() == (halt,)
    assert (store.halt_of(HOST, ACCOUNT) == halt) == is_halted
    answer = store.begin(intent_of(store, place()), HOST, allow)
    assert isinstance(answer, Refused) == is_halted


def test_t4_a_halt_of_one_process_holds_in_the_others_and_after_a_start(folder: Path) -> None:
    OrderStore.make(folder)
    one, other = OrderStore(folder), OrderStore(folder)
    halt = one.halt(reason="lunch", by="anna")
    one.close()
    assert refused(other, place()).name == halt.id
    other.close()
    third = OrderStore(folder)
    assert refused(third, place()).name == halt.id
    third.close()


def test_t4_no_program_can_end_a_halt() -> None:
    """The operator's class can, and `tests/test_layout.py` holds that the command alone imports it."""
    ends = {name for name in dir(OrderStore) if not name.startswith("_")}
    assert {"unhalt", "resolve", "adopt"} & ends == set()


def test_t4_halt_and_intent_exclude_one_another(folder: Path) -> None:
    """An intent that is begun while a halt is written waits for it, and is refused."""
    OrderStore.make(folder)
    store = OrderStore(folder, patience=30.0)
    holder = sqlite3.connect(folder / NAME, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    order: list[str] = []

    def begin() -> None:
        refused(store, place())
        order.append("refused")

    thread = threading.Thread(target=begin)
    thread.start()
    holder.execute(
        "INSERT INTO halts (id, host, kind, reason, by, begun_ns) VALUES ('x', '', 'asked', 'r', 'b', 1)"
    )
    order.append("halted")
    holder.execute("COMMIT")
    holder.close()
    thread.join(30)
    assert order == ["halted", "refused"]
    store.close()


# ── what cannot be read ──


def removed(folder: Path) -> None:
    (folder / NAME).unlink()


def replaced(folder: Path) -> None:
    """By an empty store: another process would see no halt."""
    (folder / NAME).unlink()
    OrderStore.make(folder)


def overwritten(folder: Path) -> None:
    with (folder / NAME).open("r+b") as file:
        file.write(b"x" * 8_192)


@pytest.mark.parametrize("damage", [removed, replaced, overwritten])
def test_t4_what_cannot_be_read_counts_as_halted(
    store: OrderStore, folder: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    begun(store, place())
    damage(folder)
    for mutation in EVERY[:2]:
        answer = refused(store, mutation)
        assert answer.code in {"halted", "store"}
    (halt,) = store.halts()
    assert (halt.kind, halt.target) == ("unreadable", "all")
    assert "the order store cannot be read" in refused(store, CANCEL).message
    assert refused(store, PART).code == "store"
    for mutation in (CANCEL, CLOSE):
        passed = store.begin(intent_of(store, mutation), HOST, allow, protects=False)
        assert passed == Begun(recorded=False)
    assert "is sent without a record" in caplog.text


@pytest.mark.parametrize("mutation", EVERY, ids=name)
def test_t7_a_halt_that_cannot_be_written_holds_in_this_process(
    store: OrderStore, folder: Path, mutation: AnyMutation, caplog: pytest.LogCaptureFixture
) -> None:
    holder = sqlite3.connect(folder / NAME, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout = 0")
    halt = store.halt(HOST, ACCOUNT, reason="lunch", by="anna")
    assert not halt.is_written
    assert "holds in this process alone" in caplog.text
    assert store.halts() == (halt,)
    answer = store.begin(intent_of(store, mutation), HOST, allow)
    assert isinstance(answer, Refused) == (mutation is not CLOSE)
    holder.execute("ROLLBACK")
    holder.close()
    begun(store, CANCEL, protects=False)  # the disk can be written again, and takes the halt
    other = OrderStore(folder)
    assert [each.id for each in other.halts()] == [halt.id]
    assert refused(other, place()).name == halt.id
    other.close()


BEGINNER = """
import sys, time
from pathlib import Path
from actors.trading.order_store import OrderStore
from tests.trading.orders import HOST, allow, intent_of, place
store = OrderStore(Path(sys.argv[1]), patience=60.0)
print("ready", flush=True)
answer = None
while getattr(answer, "code", "") != "halted":
    answer = store.begin(intent_of(store, place()), HOST, allow)
    time.sleep(0.01)
print(len(store.open_intents()), flush=True)
"""


def test_t4_once_a_halt_is_written_no_process_begins_an_order(store: OrderStore, folder: Path) -> None:
    store._db.execute("PRAGMA busy_timeout = 60000")
    command = [sys.executable, "-c", BEGINNER, str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    while len(store.open_intents()) < 10:
        time.sleep(0.01)
    assert store.halt(reason="lunch", by="anna").is_written
    begun_before = len(store.open_intents())
    told = [process.communicate(timeout=60)[0] for process in processes]
    assert told == [f"{begun_before}\n"] * 3
