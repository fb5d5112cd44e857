"""Halts of a runtime: made here or by another process, told and shown. The store is real, time is not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors import log_queue
from actors.status import HaltStatus
from actors.trading.halt_target import HaltTarget
from actors.trading.halting import EVERY, PERIOD, Halting
from actors.trading.order_store import OrderStore
from actors.trading.records import Halt
from tests.support.virtual_time import VirtualTimers
from tests.trading.orders import ACCOUNT, CANCEL, CLOSE, HOST, begun, place, refused

THIS = HaltTarget(HOST, ACCOUNT)


class Shown:
    """What a status would show."""

    def __init__(self) -> None:
        self.halts: tuple[HaltStatus, ...] = ()
        self.times = 0

    def __call__(self, halts: tuple[HaltStatus, ...]) -> None:
        self.halts = halts
        self.times += 1


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def timers() -> VirtualTimers:
    return VirtualTimers()


@pytest.fixture
def halting(store: OrderStore, shown: Shown, timers: VirtualTimers) -> Iterator[Halting]:
    halting = Halting(lambda: (store, ""), [], shown, timers)
    yield halting
    halting.stop(5.0)


def until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10.0
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_t4_a_halt_is_in_the_file_and_shown_when_the_call_returns(
    halting: Halting, store: OrderStore, shown: Shown, folder: Path
) -> None:
    halt = halting.halt(THIS, reason="too much", by="bot")
    assert shown.halts == (
        HaltStatus(halt.id, f"{HOST}/{ACCOUNT}", "too much", halt.begun_ns, "bot", is_written=True),
    )
    assert refused(store, place()).name == halt.id
    other = OrderStore(folder)
    assert other.halts() == (halt,)
    other.close()


def test_a_halt_of_another_process_is_shown_and_logged_when_it_begins_and_when_it_ends(
    halting: Halting,
    shown: Shown,
    timers: VirtualTimers,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "actors.trading")
    halting.begin()
    other = OrderStore(folder)
    told = other.halt(HOST, ACCOUNT, reason="from a shell", by="ann")
    timers.advance(PERIOD)
    until(lambda: [each.id for each in shown.halts] == [told.id])
    with other.writing() as db:
        db.execute("UPDATE halts SET ended_ns = 1, ended_by = 'ann' WHERE id = ?", (told.id,))
    timers.advance(PERIOD)
    until(lambda: shown.halts == ())
    other.close()
    assert log_queue.flush(5.0)
    said = [record.getMessage() for record in caplog.records if record.name == "actors.trading.halting"]
    assert said == [
        f"{told}. What adds risk is refused until: linewarden unhalt {told.id}",
        f"{HOST}/{ACCOUNT} is halted no longer by halt {told.id}",
    ]


def test_a_file_that_has_not_changed_is_not_read(
    halting: Halting, store: OrderStore, timers: VirtualTimers, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[float] = []
    read = store.halts

    def noted() -> tuple[Halt, ...]:
        reads.append(timers.monotonic())
        return read()

    monkeypatch.setattr(store, "halts", noted)
    looks: list[float] = []
    look = halting._look_when_due

    def counted() -> None:
        look()
        looks.append(timers.monotonic())

    monkeypatch.setattr(halting, "_look_when_due", counted)
    halting.begin()
    for number in range(1, 2 * EVERY + 1):
        until(lambda number=number: len(looks) == number)  # type: ignore[misc]
        timers.advance(PERIOD)
    assert len(reads) <= 3  # at the beginning, and one look of ten in any case


def test_t7_a_halt_that_cannot_be_written_holds_in_memory_and_says_so_loudly(
    halting: Halting, store: OrderStore, shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    store._db.execute("PRAGMA query_only = ON")  # a disk that takes nothing
    halt = halting.halt(THIS, reason="too much", by="bot")
    assert not halt.is_written
    assert [each.is_written for each in shown.halts] == [False]
    assert log_queue.flush(5.0)
    loud = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert any("holds in this process alone" in record.getMessage() for record in loud)
    store._db.execute("PRAGMA query_only = OFF")
    assert refused(store, place()).code == "halted"
    begun(store, CLOSE)  # what gets flat passes
    begun(store, CANCEL, protects=False)


def test_t4_without_a_store_a_halt_holds_in_memory_and_all_counts_as_halted(
    shown: Shown, timers: VirtualTimers, caplog: pytest.LogCaptureFixture
) -> None:
    halting = Halting(lambda: (None, "orders.db: it is empty."), [], shown, timers)
    halting.look()
    (unread,) = shown.halts
    assert (unread.target, unread.is_written) == ("all", False)
    assert "orders.db: it is empty." in unread.reason
    halt = halting.halt(THIS, reason="too much", by="bot")
    assert not halt.is_written
    assert [each.id for each in shown.halts] == [unread.id, halt.id]
    assert log_queue.flush(5.0)
    assert "it is empty." in caplog.text


def test_what_stays_as_it_was_is_shown_once(halting: Halting, shown: Shown) -> None:
    halting.halt(THIS, reason="too much", by="bot")
    for _ in range(3):
        halting.look()
    assert shown.times == 1


def test_a_look_that_waits_is_not_asked_for_twice(
    shown: Shown, store: OrderStore, timers: VirtualTimers
) -> None:
    halting = Halting(lambda: (store, ""), [], shown, timers)
    halting.tell(None)  # no thread takes it
    timers.advance(10 * PERIOD)
    assert halting._jobs.qsize() == 1
    halting.stop()
