"""Orders while something happens to their process, their folder, their config or their venue."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import Accepted, AskFailedError, ForkError, LinewardenError, Refused, Runtime, Unknown, gather
from actors.protocol.trading import OrderOutcome
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_file import NAME
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests
from tests.commands import PATIENCE, posix
from tests.test_stream import in_a_child, needs_fork

ACCOUNT, OTHER, CONTRACT = 4242, 4243, "CON.F.US.EP.Z26"


def config(url: str, folder: Path, **feed: Any) -> dict[str, Any]:
    table = {
        "venue": "projectx",
        "url": url,
        "trading": True,
        "user_name": "me",
        "api_key": "a-key-of-the-gateway",
        "limits": {"max_size": 10, "orders_per_minute": 1_000},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": table | feed}}


@contextmanager
def desk_at(folder: Path, url: str, **feed: Any) -> Iterator[tuple[Runtime, ProjectXRequests]]:
    """A runtime that trades, when it may add risk and knows its contract."""
    if not (folder / NAME).exists():
        OrderStore.create(folder).close()
    with actors.start(config(url, folder, **feed)) as runtime:
        px = runtime.ask("projectx")
        while runtime._requests.settlement.is_under_way("projectx"):
            threading.Event().wait(0.005)
        px.contract(CONTRACT).get(10.0)
        assert isinstance(px.close(OTHER, CONTRACT).get(10.0), Refused)  # its contract is known from now on
        yield runtime, px


@pytest.fixture
def venue() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0) as venue:
        yield venue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "orders"


@pytest.fixture
def desk(folder: Path, venue: SimulatedProjectX) -> Iterator[tuple[Runtime, ProjectXRequests]]:
    with desk_at(folder, venue.url) as desk:
        yield desk


@pytest.fixture
def px(desk: tuple[Runtime, ProjectXRequests]) -> ProjectXRequests:
    return desk[1]


def bought(px: ProjectXRequests, account: int = ACCOUNT, **more: Any) -> OrderOutcome:
    return px.place(account, CONTRACT, "buy", 1, **more).get(10.0)


def await_in_flight(venue: SimulatedProjectX, count: int) -> None:
    deadline = time.monotonic() + 10.0
    while venue.seen.in_flight < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ── who is held up by whom ──


def test_a_mutation_leaves_while_eight_reads_hang_and_a_cancel_while_changes_hang(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    venue.answer_late(1.5, 8, page="reads")
    reads = [px.positions(ACCOUNT) for _ in range(8)]
    await_in_flight(venue, 6)  # the reads' part
    assert isinstance(bought(px), Accepted)
    venue.answer_late(1.5, 2, page="Order/place")
    changes = [px.place(ACCOUNT, CONTRACT, "buy", 1) for _ in range(2)]
    await_in_flight(venue, 7)
    assert isinstance(px.cancel(ACCOUNT, 1).get(10.0), Refused)  # there is no such order
    assert isinstance(px.close(ACCOUNT, CONTRACT).get(10.0), Accepted)
    assert not any(each.done for each in changes)
    assert venue.seen.most_in_flight == 8
    gather(changes, timeout=20.0)
    gather(reads, timeout=20.0)
    assert venue.seen.placed_twice == []


def test_five_reads_take_as_long_as_the_slowest(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    px.ping().get(5.0)
    venue.answer_late(0.5, 5, page="reads")
    begun = time.monotonic()
    gather([px.positions(ACCOUNT) for _ in range(5)], timeout=10.0)
    assert time.monotonic() - begun < 5 * 0.5
    assert venue.seen.most_in_flight >= 5


# ── T1: handles ──


def test_t1_handles_from_thirty_two_threads_and_a_gather_over_all(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    handles: list[Any] = []

    def trade() -> None:
        handles.extend(px.place(ACCOUNT, CONTRACT, side, 1) for side in ("buy", "sell"))

    threads = [threading.Thread(target=trade) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    early = gather(handles, timeout=0.0)
    assert all(
        each == Unknown(handle.tag, "under way") or handle.done
        for each, handle in zip(early, handles, strict=True)
    )
    late = gather({handle.tag: handle for handle in handles}, timeout=30.0)
    for tag, outcome in late.items():
        assert venue.seen.orders(tag) == isinstance(outcome, Accepted), outcome
        assert not isinstance(outcome, Unknown)
    assert len(venue.seen.placed) == sum(isinstance(each, Accepted) for each in late.values())


@needs_fork
def test_t1_a_forked_child_places_nothing_and_the_parents_order_has_one_outcome(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    venue.answer_late(0.5, page="Order/place")
    handle = px.place(ACCOUNT, CONTRACT, "buy", 1)
    await_in_flight(venue, 1)

    def look() -> str:
        told = [type(handle.get(1.0)).__name__]
        try:
            px.place(ACCOUNT, CONTRACT, "buy", 1)
        except ForkError:
            told.append("ForkError")
        return " ".join(told)

    assert in_a_child(look) == "Unknown ForkError"
    assert isinstance(handle.get(10.0), Accepted)
    assert len(venue.seen.placed) == 1


# ── the config changes ──


def test_a_reload_during_an_ask_disturbs_neither_read_nor_order(
    desk: tuple[Runtime, ProjectXRequests], folder: Path, venue: SimulatedProjectX
) -> None:
    runtime, px = desk
    venue.answer_late(0.5, 2)
    venue.answer_late(0.5, page="reads")
    handle, read = px.place(ACCOUNT, CONTRACT, "buy", 1), px.positions(ACCOUNT)
    await_in_flight(venue, 2)
    runtime.reload(config(venue.url, folder, limits={"max_size": 1, "orders_per_minute": 1_000}))
    assert isinstance(handle.get(10.0), Accepted)
    assert read.get(10.0) is not None
    outcome = px.place(ACCOUNT, CONTRACT, "buy", 2).get(10.0)
    assert isinstance(outcome, Refused)
    assert outcome.name == "max_size"
    assert len(venue.seen.placed) == 1


def test_a_feed_that_is_removed_during_an_ask_sends_nothing_more_and_loses_no_outcome(
    desk: tuple[Runtime, ProjectXRequests], folder: Path, venue: SimulatedProjectX
) -> None:
    runtime, px = desk
    venue.answer_late(0.5, page="Order/place")
    handle = px.place(ACCOUNT, CONTRACT, "buy", 1)
    await_in_flight(venue, 1)
    other = config(venue.url, folder)
    other["feeds"] = {"another": other["feeds"]["projectx"] | {"trading": False, "limits": {}}}
    runtime.reload(other)
    assert isinstance(handle.get(10.0), Accepted)
    with pytest.raises(LinewardenError, match="not in the config"):
        px.place(ACCOUNT, CONTRACT, "buy", 1)
    with pytest.raises(LinewardenError, match="not in the config"):
        px.positions(ACCOUNT)
    assert len(venue.seen.placed) == 1


# ── several programs ──


def test_two_runtimes_of_one_process_share_a_folder(folder: Path, venue: SimulatedProjectX) -> None:
    """Each sees what is unknown, and neither takes the other for an ended process."""
    with desk_at(folder, venue.url) as (_, first), desk_at(folder, venue.url) as (_, second):
        tag = "one-of-two"
        venue.answer_late(0.4, page="Order/place")
        handle = first.place(ACCOUNT, CONTRACT, "buy", 1, tag=tag)
        await_in_flight(venue, 1)
        assert second.place(ACCOUNT, CONTRACT, "buy", 1, tag=tag).get(5.0) == Unknown(tag, "under way")
        assert isinstance(bought(second, OTHER), Accepted)
        assert isinstance(handle.get(5.0), Accepted)
        assert second.place(ACCOUNT, CONTRACT, "buy", 1, tag=tag).get(5.0) == handle.get(0.0)
        venue.request_lost(page="Order/place")
        lost = bought(first)
        assert isinstance(lost, Unknown)
        assert getattr(bought(second), "code", "") == "unknown"
    assert venue.seen.orders(tag) == 1


ANOTHER = """
import sys
from pathlib import Path
from actors.simulators.projectx import SimulatedProjectX
from tests.stories.test_order_hardships import ACCOUNT, CONTRACT, desk_at
with desk_at(Path(sys.argv[2]), sys.argv[1]) as (_, px):
    for line in sys.stdin:
        outcome = px.place(ACCOUNT, CONTRACT, "buy", 1, tag=line.strip()).get(20.0)
        print(type(outcome).__name__, getattr(outcome, "code", "-"), flush=True)
"""


@posix
def test_two_processes_on_one_folder_send_a_tag_once(
    px: ProjectXRequests, folder: Path, venue: SimulatedProjectX
) -> None:
    command = [sys.executable, "-c", ANOTHER, venue.url, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        told: list[str] = []
        for number in range(10):
            other.stdin.write(f"tag-{number}\n")
            other.stdin.flush()
            outcome = bought(px, tag=f"tag-{number}")
            told.append(other.stdout.readline().split()[0])
            assert "Accepted" in {type(outcome).__name__, told[-1]}
            assert "Refused" not in {type(outcome).__name__, told[-1]}
        other.stdin.close()
        other.wait(PATIENCE)
    assert [venue.seen.asked(f"tag-{number}") for number in range(10)] == [1] * 10


# ── T4: a halt of another process, in the worst moment ──


def test_t4_a_halt_written_between_the_preparation_and_the_record_of_an_order_holds(
    px: ProjectXRequests, folder: Path, venue: SimulatedProjectX, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = OrderStore.begin

    def halted_just_before(store: OrderStore, *args: Any, **named: Any) -> Any:
        monkeypatch.setattr(OrderStore, "begin", begin)
        other = OrderStore(folder)  # as another process has it
        other.halt(reason="now", by="a test")
        other.close()
        return begin(store, *args, **named)

    monkeypatch.setattr(OrderStore, "begin", halted_just_before)
    outcome = bought(px)
    assert isinstance(outcome, Refused)
    assert outcome.code == "halted"
    assert isinstance(px.close(ACCOUNT, CONTRACT).get(5.0), Refused)  # it left: the venue has no position
    assert venue.seen.requests["Position/closeContract"] == 2
    assert list(venue.seen.placed) == []


# ── T5, T7: the store goes bad while the program runs ──


def deleted(folder: Path) -> None:
    (folder / NAME).unlink()


def folder_deleted(folder: Path) -> None:
    shutil.rmtree(folder)


def replaced(folder: Path) -> None:
    (folder / NAME).unlink()
    OrderStore.make(folder)


def emptied(folder: Path) -> None:
    os.truncate(folder / NAME, 0)


def overwritten(folder: Path) -> None:
    path = folder / NAME
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize("harm", [deleted, folder_deleted, replaced, emptied, overwritten])
def test_t7_a_store_that_goes_bad_refuses_what_adds_risk_and_lets_a_position_be_closed(
    px: ProjectXRequests, folder: Path, venue: SimulatedProjectX, harm: Callable[[Path], None]
) -> None:
    resting = px.place(ACCOUNT, CONTRACT, "buy", 1, limit="1000").get(5.0)
    assert isinstance(resting, Accepted)
    assert resting.order_id is not None
    assert isinstance(bought(px), Accepted)
    harm(folder)
    refused = bought(px)
    assert isinstance(refused, Refused)
    assert refused.code in {"store", "halted"}, refused
    partly = px.close(ACCOUNT, CONTRACT, 1).get(5.0)
    assert isinstance(partly, Refused)
    assert isinstance(px.cancel(ACCOUNT, resting.order_id).get(5.0), Accepted)
    assert isinstance(px.close(ACCOUNT, CONTRACT).get(5.0), Accepted)
    assert len(venue.seen.placed) == 2
    assert px.positions(ACCOUNT).get(5.0).rows == ()


def test_t7_a_store_that_cannot_be_written_any_more_refuses_what_adds_risk(
    desk: tuple[Runtime, ProjectXRequests], venue: SimulatedProjectX
) -> None:
    """A file system that was mounted again read-only, as after an error of its disk."""
    runtime, px = desk
    assert isinstance(bought(px), Accepted)
    store = runtime._requests.store()
    assert isinstance(store, OrderStore)
    store._db.execute("PRAGMA query_only = ON")
    refused = bought(px)
    assert isinstance(refused, Refused)
    assert refused.code == "store"
    assert isinstance(px.close(ACCOUNT, CONTRACT).get(5.0), Accepted)
    store._db.execute("PRAGMA query_only = OFF")
    after = bought(px)
    assert isinstance(after, Accepted)
    assert len(venue.seen.placed) == 2


# ── a venue that does not answer as a venue should ──


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_an_order_is_not_followed(
    px: ProjectXRequests, venue: SimulatedProjectX, status: int
) -> None:
    venue.redirect_page(status, page="Order/place")
    outcome = bought(px)
    assert isinstance(outcome, Unknown)
    assert venue.seen.asked(outcome.tag) == 1


def test_reads_of_a_venue_that_only_hangs_up_end_and_say_so(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    venue.answer_lost(20, page="reads")
    with pytest.raises(AskFailedError):
        px.positions(ACCOUNT).get(10.0)
    assert venue.seen.requests["Position/searchOpen"] == 2  # once more, and no more
