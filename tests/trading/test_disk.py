"""T7: a disk that is full or read-only: getting flat goes on, and what adds risk does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.protocol.trading import Accepted, AnyMutation, Intent, Refused, Unknown
from actors.trading.folder import StoreError
from actors.trading.order_store import OrderStore
from actors.trading.records import Begun, StoreView
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


@contextmanager
def full_disk(store: OrderStore) -> Iterator[None]:
    """As this connection sees it; `test_kills` has the real errors of the system."""
    for event in ("INSERT ON intents", "UPDATE ON intents", "INSERT ON halts"):
        name = event.replace(" ", "_")
        full = "SELECT RAISE(FAIL, 'database or disk is full')"
        store._db.execute(f"CREATE TEMP TRIGGER {name} BEFORE {event} BEGIN {full}; END")
    yield
    for (name,) in store._db.execute("SELECT name FROM sqlite_temp_master").fetchall():
        store._db.execute(f"DROP TRIGGER {name}")


@contextmanager
def read_only(store: OrderStore) -> Iterator[None]:
    store._db.execute("PRAGMA query_only = ON")
    yield
    store._db.execute("PRAGMA query_only = OFF")


@pytest.fixture(params=[full_disk, read_only])
def disk(request: pytest.FixtureRequest, store: OrderStore) -> Iterator[None]:
    with request.param(store):
        yield


def unrecorded(store: OrderStore, mutation: AnyMutation, **more: bool | None) -> Intent:
    intent = intent_of(store, mutation)
    assert store.begin(intent, HOST, allow, **more) == Begun(recorded=False)
    return intent


@pytest.mark.usefixtures("disk")
def test_t7_what_adds_risk_or_cannot_be_repeated_is_refused(store: OrderStore) -> None:
    for mutation in (place(), MODIFY, PART):
        answer = refused(store, mutation)
        assert answer.code == "store"
        assert answer.message.startswith("the order store cannot be written (")
        assert answer.message.endswith(". Nothing was sent.")


@pytest.mark.usefixtures("disk")
def test_t7_cancels_and_closes_go_out_unrecorded_and_loudly(
    store: OrderStore, caplog: pytest.LogCaptureFixture
) -> None:
    for mutation in (CANCEL, CLOSE):
        intent = unrecorded(store, mutation)
        told = (
            f"{type(mutation).__name__.lower()} of account 7 is sent without a record, with tag {intent.tag}"
        )
        assert told in caplog.text
        assert store.intent(intent.tag) == intent
        again = Intent(tag=intent.tag, mutation=mutation, begun_ns=0)
        assert store.begin(again, HOST, allow) == Begun(Unknown(intent.tag, "under way"))
        other = store.begin(Intent(tag=intent.tag, mutation=place(), begun_ns=0), HOST, allow)
        assert isinstance(other, Refused)
        store.finish(Accepted(intent.tag))
        assert store.outcome(intent.tag) == Accepted(intent.tag)


@pytest.mark.usefixtures("disk")
def test_t7_a_halt_is_still_read(store: OrderStore) -> None:
    store._held.append(store.halt(HOST, ACCOUNT, reason="lunch", by="anna"))
    assert refused(store, CANCEL).code == "halted"
    unrecorded(store, CANCEL, protects=False)
    unrecorded(store, CLOSE)


@pytest.mark.parametrize("how", [full_disk, read_only])
def test_t7_what_was_kept_is_written_as_soon_as_that_is_possible(
    store: OrderStore, folder: Path, how: type, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = begun(store, place())
    with how(store):
        with_outcome, without = unrecorded(store, CLOSE), unrecorded(store, CANCEL)
        store.finish(Accepted(with_outcome.tag))
        store.finish(Accepted(recorded, 8))
        assert "cannot be written" in caplog.text
        other = OrderStore(folder)
        assert other.intent(with_outcome.tag) is None
        assert other.outcome(recorded) is None
    begun(store, CANCEL)
    assert "can be written again" in caplog.text
    assert other.outcome(with_outcome.tag) == Accepted(with_outcome.tag)
    assert other.outcome(recorded) == Accepted(recorded, 8)
    assert other.intent(without.tag) == without
    assert without.tag in {each.intent.tag for each in other.open_intents()}
    store.finish(Accepted(without.tag))
    assert other.outcome(without.tag) == Accepted(without.tag)
    other.close()


def test_t7_without_require_durable_all_goes_out_within_its_limits(folder: Path) -> None:
    OrderStore.make(folder)
    store = OrderStore(folder, require_durable=False)
    seen: list[StoreView] = []

    def check(view: StoreView) -> Refused | None:
        seen.append(view)
        return None if len(view.orders) < 2 else Refused("", "limit")

    with read_only(store):
        for mutation in EVERY:
            answer = store.begin(intent_of(store, mutation), HOST, check)
            assert answer == Begun(recorded=False)
        last = store.begin(intent_of(store, place()), HOST, check)
        assert isinstance(last, Refused)
        assert last.code == "limit"
        assert [order.kind for order in seen[-1].orders] == ["place", "modify"]
    store.close()


def test_a_folder_that_takes_no_process_is_told(folder: Path) -> None:
    OrderStore.make(folder)
    (folder / "processes").touch()
    with pytest.raises(StoreError, match="this process cannot be entered there"):
        OrderStore(folder)
