"""Intents and outcomes on the disk: what is written when, what is refused, and what is found again."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from actors.errors import ForkError
from actors.protocol.trading import Accepted, AnyMutation, Intent, Refused, Unknown
from actors.trading.folder import StoreError
from actors.trading.order_file import NAME
from actors.trading.order_store import OVERDUE_NS, OrderStore
from actors.trading.records import Begun
from tests.trading.orders import (
    ACCOUNT,
    CANCEL,
    CLOSE,
    EVERY,
    HOST,
    MODIFY,
    PART,
    Wall,
    allow,
    begun,
    intent_of,
    place,
    refused,
)


def name(mutation: AnyMutation) -> str:
    return type(mutation).__name__


@pytest.mark.parametrize("mutation", EVERY, ids=name)
def test_an_intent_and_its_outcome_are_read_by_another_process(folder: Path, mutation: AnyMutation) -> None:
    store = OrderStore.create(folder)
    intent = intent_of(store, mutation)
    assert store.begin(intent, HOST, allow) == Begun()
    store.finish(Accepted(intent.tag, 9))
    store.close()
    again = OrderStore(folder)
    assert again.id == store.id
    assert again.intent(intent.tag) == intent
    assert again.outcome(intent.tag) == Accepted(intent.tag, 9)
    assert again.open_intents() == ()
    again.close()


# ── T1: tags ──


def test_t1_tags_are_random_begin_with_the_store_and_leave_room_for_a_leg(store: OrderStore) -> None:
    tags = {store.new_tag() for _ in range(1_000)}
    assert len(tags) == 1_000
    assert {len(tag) for tag in tags} == {43}
    assert all(tag.startswith(f"lw-{store.id}-") for tag in tags)
    assert len(next(iter(tags)).rpartition("-")[2]) * 5 >= 128  # 5 bits each


@pytest.mark.parametrize(
    "tag", ["mine-SL", "mine-tp", "x" * 49, "", "ü", "a\nb", "lw-another-tag"], ids=["sl", "tp", *"12345"]
)
def test_t1_a_tag_that_cannot_be_used_is_refused(store: OrderStore, tag: str) -> None:
    answer = store.begin(Intent(tag=tag, mutation=place(), begun_ns=1), HOST, allow)
    assert isinstance(answer, Refused)
    assert answer.code == "tag"
    assert answer.message.endswith("Nothing was sent.")
    assert store.outcome(tag) is None


def test_t1_the_same_tag_and_order_give_the_outcome_and_send_nothing(store: OrderStore) -> None:
    tag = begun(store, place(limit_price=Decimal("6800.50")), "mine")
    same = intent_of(store, place(limit_price=Decimal("6800.5")), "mine")
    assert store.begin(same, HOST, allow) == Begun(Unknown("mine", "under way"))
    store.finish(Accepted(tag, 4))
    assert store.begin(same, HOST, allow) == Begun(Accepted("mine", 4))


@pytest.mark.parametrize("other", [place(2), place(side="sell"), CLOSE], ids=["size", "side", "kind"])
def test_t1_the_same_tag_for_another_order_is_refused(store: OrderStore, other: AnyMutation) -> None:
    begun(store, place(), "mine")
    answer = refused(store, other, "mine")
    assert (answer.code, answer.by_venue) == ("tag", False)


def test_t1_a_known_tag_is_answered_under_a_halt_too(store: OrderStore) -> None:
    intent = intent_of(store, place())
    store.begin(intent, HOST, allow)
    store.finish(Accepted(intent.tag, 4))
    store.halt(reason="lunch", by="anna")
    assert store.begin(intent, HOST, allow) == Begun(Accepted(intent.tag, 4))


def test_t1_of_many_threads_with_one_tag_one_may_send(store: OrderStore) -> None:
    intent, answers = intent_of(store, place()), []
    go = threading.Barrier(8)

    def ask() -> None:
        go.wait()
        answers.append(store.begin(intent, HOST, allow))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer == Begun() for answer in answers) == [False] * 7 + [True]


# ── T2: what is not known ──


@pytest.mark.parametrize("mutation", EVERY, ids=name)
def test_t2_an_unknown_outcome_stops_what_adds_risk_until_there_is_evidence(
    store: OrderStore, mutation: AnyMutation
) -> None:
    tag = begun(store, mutation)
    store.finish(Unknown(tag, "the connection was lost"))
    for adds_risk in (place(), MODIFY):
        answer = refused(store, adds_risk)
        assert answer.code == "unknown"
        assert tag in answer.message
        assert "linewarden orders resolve" in answer.message
    for reduces_risk in (CANCEL, CLOSE, PART):
        store.finish(Accepted(begun(store, reduces_risk)))
    assert store.begin(intent_of(store, place()), "another.host", allow) == Begun()
    store.finish(Accepted(tag, 3))
    begun(store, place())


def test_of_an_account_are_known_what_is_open_and_the_recent_orders_that_were_accepted(
    store: OrderStore,
) -> None:
    now = intent_of(store, place()).begun_ns
    intents = [intent_of(store, place(), now_ns=now - age) for age in (9, 3, 1, 0)]
    for intent in intents:
        assert store.begin(intent, HOST, allow) == Begun()
    old, new, open_tag, lost = (intent.tag for intent in intents)
    closed = begun(store, CLOSE)
    for number, tag in enumerate((old, new, closed)):
        store.finish(Accepted(tag, number))
    store.finish(Refused(lost, "terms"))
    found = store.of_account(HOST, ACCOUNT, now - 5)
    assert (found.open, found.placed) == ((open_tag,), ((new, now - 3),))
    store.finish(Unknown(open_tag, "?"))
    assert store.of_account(HOST, ACCOUNT, now).open == (open_tag,)
    assert store.of_account(HOST, ACCOUNT + 1, 0) == store.of_account("elsewhere", ACCOUNT, 0)


def test_t2_an_intent_under_way_stops_nothing_and_an_overdue_one_does(folder: Path) -> None:
    OrderStore.make(folder)
    wall = Wall()
    store = OrderStore(folder, now_ns=wall)
    begun(store, place())
    begun(store, place())
    wall.now_ns += OVERDUE_NS + 10**9
    assert refused(store, place()).code == "unknown"
    store.close()


def test_t2_what_an_ended_process_left_open_stops_what_adds_risk(store: OrderStore, folder: Path) -> None:
    other = OrderStore(folder)
    tag = begun(other, place())
    begun(store, place())  # the other process is at work
    other.close()
    assert refused(store, place()).code == "unknown"
    store.finish(Accepted(tag, 3))
    begun(store, place())


def test_t2_evidence_replaces_unknown_and_nothing_replaces_evidence(store: OrderStore) -> None:
    tag = begun(store, place())
    store.finish(Unknown(tag, "lost"))
    store.finish(Accepted(tag, 3))
    for later in (Unknown(tag, "lost"), Refused(tag, "2"), Accepted(tag, 4)):
        store.finish(later)
        assert store.outcome(tag) == Accepted(tag, 3)


def test_t2_an_order_that_appears_after_its_refusal_is_told_recorded_and_halts_the_account(
    store: OrderStore, caplog: pytest.LogCaptureFixture
) -> None:
    tag = begun(store, place())
    store.finish(Refused(tag, "deadline"))
    store.finish(Accepted(tag, 3))
    assert store.outcome(tag) == Accepted(tag, 3)
    (halt,) = store.halts()
    assert (halt.kind, halt.host, halt.account) == ("late", HOST, ACCOUNT)
    assert tag in halt.reason
    assert f"linewarden unhalt {halt.id}" in caplog.text
    assert refused(store, place()).name == halt.id


# ── T5: the store ──


def test_t5_what_an_ended_process_left_is_listed_and_what_a_living_one_does_is_not(
    store: OrderStore, folder: Path
) -> None:
    other = OrderStore(folder)
    left = begun(other, place())
    doubted = begun(store, CANCEL)
    store.finish(Unknown(doubted, "lost"))
    under_way = begun(store, CLOSE)
    assert [each.intent.tag for each in store.open_intents()] == [left, doubted, under_way]
    assert [each.intent.tag for each in store.open_intents(of_ended_processes=True)] == [doubted]
    other.close()
    ended = store.open_intents(of_ended_processes=True)
    assert [each.intent.tag for each in ended] == [left, doubted]
    assert [each.process_ended for each in ended] == [True, False]
    assert ended[0].pid == os.getpid()
    assert ended[1].outcome == Unknown(doubted, "lost")


def test_t5_tags_of_this_store_that_it_lacks_mean_that_it_was_restored(
    store: OrderStore, caplog: pytest.LogCaptureFixture
) -> None:
    known, lost = begun(store, place()), store.new_tag()
    at_the_venue = [known, f"{known}-SL", lost, f"{lost}-TP", "of a user", "lw-elsewhere-abc", ""]
    assert store.lost_tags(at_the_venue, HOST, ACCOUNT) == (lost,)
    (halt,) = store.halts()
    assert (halt.kind, halt.account) == ("restored", ACCOUNT)
    assert "orders adopt" in caplog.text
    assert refused(store, place()).code == "halted"
    assert store.begin(intent_of(store, place()), "another.host", allow) == Begun()


def test_t5_nothing_is_halted_where_the_store_knows_its_tags(store: OrderStore) -> None:
    assert store.lost_tags([begun(store, place()), "mine"], HOST, ACCOUNT) == ()
    assert store.halts() == ()


def test_t5_a_forked_child_refuses_every_call(store: OrderStore, folder: Path) -> None:
    intent = intent_of(store, place())
    calls: list[Callable[[], object]] = [
        store.new_tag,
        lambda: store.begin(intent, HOST, allow),
        lambda: store.finish(Accepted(intent.tag)),
        lambda: store.outcome(intent.tag),
        lambda: store.intent(intent.tag),
        store.open_intents,
        store.halts,
        lambda: store.halt(reason="", by=""),
        lambda: store.lost_tags([], HOST, ACCOUNT),
    ]
    pid = os.fork()
    if not pid:
        told = 0
        for call in calls:
            try:
                call()
            except ForkError:
                told += 1
            except BaseException:
                break
        store.close()
        os._exit(told)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == len(calls)
    other = OrderStore(folder)  # the child's end has neither closed nor unlocked anything of ours
    begun(other, place())
    assert store.open_intents(of_ended_processes=True) == ()
    assert begun(store, place())
    other.close()


def test_a_closed_store_refuses_every_call(folder: Path) -> None:
    store = OrderStore.create(folder)
    intent = intent_of(store, CLOSE)
    store.close()
    store.close()
    for call in (store.new_tag, lambda: store.begin(intent, HOST, allow), store.halts, store.open_intents):
        with pytest.raises(StoreError, match="is closed"):
            call()


def test_limits_that_raise_leave_nothing_behind(store: OrderStore) -> None:
    def check(view: object) -> None:
        raise ValueError

    intent = intent_of(store, place())
    with pytest.raises(ValueError):
        store.begin(intent, HOST, check)
    assert store.intent(intent.tag) is None
    begun(store, place())


def test_a_store_that_another_process_holds_is_waited_for_and_then_not_written(folder: Path) -> None:
    OrderStore.make(folder)
    store = OrderStore(folder, patience=0.05)
    holder = sqlite3.connect(folder / NAME, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert refused(store, place()).code == "store"
    holder.execute("ROLLBACK")
    holder.close()
    begun(store, place())
    store.close()
