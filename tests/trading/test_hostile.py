"""T1 to T8 under attack: what poisons a store, what is put over its file, and what is not a value."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from actors.protocol.trading import Accepted, AnyMutation, Refused, Unknown
from actors.trading.folder import StoreError
from actors.trading.order_file import NAME
from actors.trading.order_store import OVERDUE_NS, OrderStore
from actors.trading.processes import Membership, forget_ended, is_alive, living
from actors.trading.records import Begun, StoreView
from actors.trading.store_operator import StoreOperator
from tests.trading.orders import (
    ACCOUNT,
    CANCEL,
    CLOSE,
    HOST,
    MINUTE,
    MODIFY,
    PART,
    Wall,
    allow,
    begun,
    intent_of,
    place,
    refused,
)
from tests.trading.test_disk import read_only

# ── what cannot be recorded ──


@pytest.mark.parametrize(
    "mutation",
    [
        structs.replace(place(), account="7"),
        structs.replace(place(), size=True),
        structs.replace(place(), size=10**30),
        structs.replace(place(), limit_price=Decimal("NaN")),
        structs.replace(place(), limit_price=6800.1),
        structs.replace(place(), contract="\ud800"),
        structs.replace(MODIFY, order=2**63),
        structs.replace(CLOSE, account=2**64),
        structs.replace(CANCEL, order=None),
    ],
    ids=lambda each: type(each).__name__,
)
def test_t5_what_would_not_be_read_as_it_was_is_not_recorded(store: OrderStore, mutation: Any) -> None:
    answer = refused(store, mutation)
    assert answer.code == "terms"
    assert answer.message.endswith("Nothing was sent.")
    assert store.open_intents() == ()
    begun(store, place())


def test_t5_a_venue_with_large_ids_and_broken_words_stops_nothing(store: OrderStore) -> None:
    largest = Accepted(begun(store, place()), 2**63)
    broken = Refused(begun(store, place()), "2", message="\udcff")
    for outcome in (largest, broken):
        store.finish(outcome)
    begun(store, CLOSE)
    assert store.outcome(largest.tag) == largest
    assert isinstance(store.outcome(broken.tag), Refused)


def test_t5_a_tag_of_its_own_form_is_one_that_the_store_gave(store: OrderStore) -> None:
    for tag in (f"lw-{store.id}-mine", f"lw-{store.id}-a b", f"{store.new_tag()}x"):
        assert refused(store, place(), tag).code == "tag"
    begun(store, place(), store.new_tag())


# ── halts ──


def test_t4_a_halt_is_written_whatever_its_words_are(store: OrderStore, folder: Path) -> None:
    operator = StoreOperator(folder)
    halt, _ = operator.halt(HOST, ACCOUNT, reason="Pause \udce9", by="\udcff")
    assert halt.reason == "Pause \\udce9"
    assert store.halts() == (halt,)
    assert not store.halt(reason="\ud800", by="anna").reason.isascii() or len(store.halts()) == 2
    operator.close()


def test_t4_a_halt_is_written_beside_a_broken_row(store: OrderStore, folder: Path) -> None:
    begun(store, place())
    with sqlite3.connect(folder / NAME) as db:
        db.execute("UPDATE intents SET mutation = x'00'")
    db.close()
    operator = StoreOperator(folder)
    with pytest.raises(StoreError, match="What was on its way before cannot be read"):
        operator.halt(HOST, ACCOUNT, reason="lunch", by="anna")
    operator.close()
    assert refused(store, place()).code == "halted"


def test_t7_a_halt_that_was_written_in_spite_of_an_error_stops_no_close(store: OrderStore) -> None:
    """As where the journal is gone and the sync of its folder fails."""
    halt = store.halt(reason="lunch", by="anna")
    store._held.append(halt)
    begun(store, CLOSE)
    assert store.halts() == (halt,)


# ── an older copy over the file ──


def restored(folder: Path) -> None:
    """In place, as `cp` does it: the file stays the same one."""
    shutil.copyfile(folder.parent / "copy", folder / NAME)


def test_t5_an_older_copy_over_the_file_is_not_traded_from(store: OrderStore, folder: Path) -> None:
    begun(store, place())
    shutil.copyfile(folder / NAME, folder.parent / "copy")
    other = OrderStore(folder)
    other.halt(reason="lunch", by="anna")
    restored(folder)
    answer = refused(other, place())
    assert answer.code == "halted"
    assert "is an older copy than before; start again" in answer.message
    assert other.halts()[0].kind == "unreadable"
    assert other.begin(intent_of(other, CLOSE), HOST, allow) == Begun(recorded=False)
    other.close()


def test_t5_an_older_copy_is_told_right_after_the_last_write(store: OrderStore, folder: Path) -> None:
    begun(store, place())
    shutil.copyfile(folder / NAME, folder.parent / "copy")
    begun(store, place())
    restored(folder)
    assert "older copy" in refused(store, place()).message


# ── without the disk ──


def test_t2_what_is_unknown_stops_risk_before_it_can_be_written(folder: Path) -> None:
    OrderStore.make(folder)
    for unrecorded in (True, False):
        store = OrderStore(folder, require_durable=False)
        intent = intent_of(store, place())
        if not unrecorded:
            store.begin(intent, HOST, allow)
        with read_only(store):
            if unrecorded:
                assert store.begin(intent, HOST, allow) == Begun(recorded=False)
            store.finish(Unknown(intent.tag, "lost"))
            assert refused(store, place()).code == "unknown"
            answer = store.begin(
                intent_of(store, structs.replace(place(), account=8 + unrecorded)), HOST, allow
            )
            assert answer == Begun(recorded=False)
        store.finish(Accepted(intent.tag, 1))
        store.close()


def test_t15_what_was_kept_in_memory_counts_once_and_for_its_account(folder: Path) -> None:
    OrderStore.make(folder)
    store = OrderStore(folder, require_durable=False)
    seen: list[int] = []

    def check(view: StoreView) -> None:
        seen.append(len(view.orders))

    def ask(mutation: AnyMutation) -> None:
        assert isinstance(store.begin(intent_of(store, mutation), HOST, check), Begun)

    with read_only(store):
        ask(place())
        ask(structs.replace(place(), account=8))
        ask(place())
    ask(place())
    assert seen == [0, 0, 1, 2]
    store.close()


def test_t1_a_known_tag_stays_what_it_was_while_the_store_cannot_be_read(
    store: OrderStore, folder: Path
) -> None:
    tag = begun(store, PART)
    store.finish(Unknown(tag, "lost"))
    hidden = folder / "hidden"
    (folder / NAME).rename(hidden)
    answer = store.begin(intent_of(store, PART, tag), HOST, allow)
    assert isinstance(answer, Refused)
    assert answer.code == "store"
    hidden.rename(folder / NAME)
    assert store.outcome(tag) == Unknown(tag, "lost")
    assert refused(store, place()).code == "unknown"


def test_t1_without_require_durable_a_partial_close_is_not_sent_unseen(folder: Path) -> None:
    OrderStore.make(folder)
    store = OrderStore(folder, require_durable=False)
    tag = begun(store, PART)
    (folder / NAME).rename(folder / "hidden")
    assert refused(store, PART, tag).code == "store"
    assert store.begin(intent_of(store, CLOSE), HOST, allow) == Begun(recorded=False)
    store.close()


# ── clocks ──


def test_t2_a_wall_clock_that_was_set_back_hides_no_lost_intent(folder: Path) -> None:
    OrderStore.make(folder)
    wall = Wall()
    store = OrderStore(folder, now_ns=wall)
    begun(store, place())
    wall.now_ns -= OVERDUE_NS + 10**9
    assert refused(store, place()).code == "unknown"
    store.close()


def test_t15_an_order_that_was_settled_late_is_on_its_way_for_a_moment(folder: Path) -> None:
    OrderStore.make(folder)
    wall = Wall()
    store = OrderStore(folder, now_ns=wall)
    tag = begun(store, place())
    store.finish(Unknown(tag, "lost"))
    wall.now_ns += 10 * MINUTE
    store.finish(Accepted(tag, 1))
    seen: list[StoreView] = []
    store.begin(intent_of(store, place(), now_ns=wall()), HOST, seen.append)
    assert [order.tag for order in seen[0].orders] == [tag]
    store.close()


# ── processes ──


STOPPED = """
import os, signal, sys
from pathlib import Path
from actors.trading import processes
from actors.trading.processes import FileLock
class Stopped(FileLock):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        print("stopped", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
processes.FileLock = Stopped
processes.Membership(Path(sys.argv[1]))
"""


def test_t4_a_process_that_is_stopped_on_its_way_in_stops_no_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopped\n"
    here = Membership(tmp_path)
    assert living(tmp_path) == (here.process,)
    forget_ended(tmp_path)
    assert is_alive(tmp_path, here.process.token)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    forget_ended(tmp_path)
    assert [path.name for path in (tmp_path / "processes").iterdir()] == [here.process.token]
    here.close()


def test_t4_processes_that_come_while_others_are_forgotten_all_have_their_place(tmp_path: Path) -> None:
    pids = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            members = [Membership(tmp_path) for _ in range(20)]
            os._exit(all(is_alive(tmp_path, each.process.token) for each in members))
        pids.append(pid)
    while pids:
        forget_ended(tmp_path)
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended in pids:
            pids.remove(ended)
            assert os.waitstatus_to_exitcode(status) == 1
    forget_ended(tmp_path)
    assert living(tmp_path) == ()
