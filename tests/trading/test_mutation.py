"""Mutations: sent once or not at all, recorded before, and `Unknown` where a byte may have left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import Accepted, ForkError, Refused, Runtime, RuntimeStopped, Timeout, Unknown, gather
from actors.actor import Address
from actors.protocol.trading import Intent, Place
from actors.trading.order_store import OrderStore
from actors.trading.runtime_requests import RuntimeRequests
from actors.wire.send_right import SendRight
from tests.test_stream import in_a_child, needs_fork
from tests.trading.halts import until
from tests.trading.shop import ACCOUNT, Shop, ShopRequests, asking, nothing, wait_for


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


@pytest.fixture
def desk(tmp_path: Path, shop: Shop) -> Iterator[tuple[Runtime, ShopRequests]]:
    with asking(tmp_path, shop) as (runtime, px):
        px.page("first").get()
        yield runtime, px


@pytest.fixture
def px(desk: tuple[Runtime, ShopRequests]) -> ShopRequests:
    return desk[1]


def store_of(px: ShopRequests) -> OrderStore:
    store = px.core._way().terms().store
    assert isinstance(store, OrderStore)
    return store


def recorded_of(px: ShopRequests, tag: str) -> Any:
    """The outcome in the store, once it is there."""
    until(lambda: store_of(px).outcome(tag) is not None)
    return store_of(px).outcome(tag)


def only_orders(act: Any) -> Any:
    """This, for orders alone."""
    return lambda path: act(path) if path == "/order" else None


def lose(path: str) -> None:
    raise ConnectionError


# ── what comes of it ──


def test_an_accepted_order_has_its_tag_and_its_id_and_is_recorded(px: ShopRequests, shop: Shop) -> None:
    handle = px.place()
    assert handle.tag.startswith(f"lw-{store_of(px).id}-")
    assert handle.get(5.0) == Accepted(handle.tag, 1)
    assert store_of(px).outcome(handle.tag) == Accepted(handle.tag, 1)
    assert shop.orders == [handle.tag]


def test_the_intent_is_on_the_disk_before_the_first_byte(px: ShopRequests, shop: Shop) -> None:
    known: list[bool] = []
    shop.before = only_orders(
        lambda _: known.append(store_of(px).open_intents()[0].intent.tag == shop.requests[-1][1]["tag"])
    )
    assert isinstance(px.place().get(5.0), Accepted)
    assert known == [True]


def test_a_refusal_of_the_venue_is_definite(px: ShopRequests, shop: Shop) -> None:
    shop.before = only_orders(lambda _: (409, "too small"))
    outcome = px.place().get(5.0)
    assert (outcome.code, outcome.message, outcome.by_venue) == ("409", "too small", True)
    assert store_of(px).outcome(outcome.tag) == outcome


@pytest.mark.parametrize("status", [500, 503, 429, 200])
def test_an_answer_that_leaves_it_open_is_unknown_and_nothing_is_sent_again(
    desk: tuple[Runtime, ShopRequests], shop: Shop, status: int
) -> None:
    runtime, px = desk
    shop.before = only_orders(lambda _: (status, "not json" if status == 200 else None))
    outcome = px.place().get(5.0)
    assert isinstance(outcome, Unknown)
    assert store_of(px).outcome(outcome.tag) == outcome
    until(lambda: not runtime._requests._logins.asks())  # its thread has ended
    assert sum(path == "/order" for path, _ in shop.requests) == 1


def test_a_lost_answer_is_unknown_and_settling_finds_it(px: ShopRequests, shop: Shop) -> None:
    shop.after = only_orders(lose)
    handle = px.place()
    assert isinstance(handle.get(5.0), Unknown)
    assert shop.orders == [handle.tag]
    assert px.place().get(5.0).code == "unknown"  # the account may not add risk meanwhile
    shop.after = nothing
    assert px.core.settle(handle.tag).get(5.0) == Accepted(handle.tag, 1)
    assert isinstance(px.place().get(5.0), Accepted)


def test_what_is_absent_stays_unknown(px: ShopRequests, shop: Shop) -> None:
    shop.before = only_orders(lose)
    handle = px.place()
    assert isinstance(handle.get(5.0), Unknown)
    assert px.core.settle(handle.tag).get(5.0) == Unknown(handle.tag, "absent so far")
    assert "no intent with this tag" in str(px.core.settle("nothing-of-that-tag").get(5.0))


def test_a_mutation_with_a_token_that_is_not_taken_is_not_repeated(px: ShopRequests, shop: Shop) -> None:
    with shop.lock:
        shop.logins += 1
    outcome = px.place().get(5.0)
    assert (outcome.code, shop.orders) == ("http_401", [])
    assert sum(path == "/order" for path, _ in shop.requests) == 1
    assert isinstance(px.place().get(5.0), Accepted)  # with another token


# ── handles ──


def test_a_handle_never_raises_and_a_later_look_gives_the_outcome(px: ShopRequests, shop: Shop) -> None:
    go = threading.Event()
    shop.after = only_orders(lambda _: go.wait(5.0))
    handle = px.place()
    assert handle.get(timeout=0.05) == Unknown(handle.tag, "under way")
    assert gather([handle], timeout=0.0) == [Unknown(handle.tag, "under way")]
    assert not handle.done
    go.set()
    assert handle.get(5.0) == Accepted(handle.tag, 1)
    assert handle.done


def test_handles_from_many_threads(px: ShopRequests, shop: Shop) -> None:
    found: list[Any] = []

    def place() -> None:
        found.extend(handle.get(10.0) for handle in [px.place(deadline=10.0) for _ in range(5)])

    threads = [threading.Thread(target=place) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(isinstance(each, Accepted) for each in found)
    assert len(set(shop.orders)) == len(shop.orders) == 80


def test_a_known_tag_sends_nothing(px: ShopRequests, shop: Shop) -> None:
    first = px.place("mine").get(5.0)
    assert px.place("mine").get(5.0) == first
    assert px.place("mine", size=2).get(5.0).code == "tag"
    assert shop.orders == ["mine"]


# ── what does not leave ──


def test_a_feed_that_may_not_trade_sends_nothing(tmp_path: Path, shop: Shop) -> None:
    with asking(tmp_path, shop, trading=False) as (_, px):
        outcome = px.place().get(0.0)
        assert (outcome.code, "trading = true" in outcome.message) == ("trading", True)
        assert px.page("a").get(5.0) == "a"
    assert shop.orders == []


def test_a_dry_run_says_what_would_be_sent(tmp_path: Path, shop: Shop) -> None:
    with asking(tmp_path, shop, dry_run=True) as (_, px):
        outcome = px.place().get(5.0)
        assert outcome.code == "dry_run"
        assert "Place(account=7, contract='CON.A', side='buy', size=1" in outcome.message
    assert shop.orders == []


def test_what_cannot_be_sent_says_why(px: ShopRequests, shop: Shop) -> None:
    outcome = px.place(size=0).get(5.0)
    assert (outcome.code, outcome.message) == ("terms", "size is a whole number from 1 on")
    assert shop.orders == []


def test_limits_are_kept(px: ShopRequests, shop: Shop) -> None:
    outcome = px.place(size=11).get(5.0)
    assert (outcome.code, outcome.name) == ("limit", "max_size")
    assert shop.orders == []


def test_an_empty_meter_refuses_at_once_and_names_a_time(px: ShopRequests, shop: Shop) -> None:
    px.core._way().access(lambda: 5.0).login.meter.leave("rest", 30.0)
    started = time.monotonic()
    outcome = px.place().get(5.0)
    assert (outcome.code, 29.0 < outcome.retry_after <= 30.0) == ("meter", True)
    assert time.monotonic() - started < 1.0
    assert shop.orders == []


def test_a_halt_refuses_what_adds_risk_and_lets_a_cancel_pass_that_protects_nothing(
    px: ShopRequests, shop: Shop
) -> None:
    store_of(px).halt(reason="a test", by="a test")
    assert px.place().get(5.0).code == "halted"
    assert px.cancel(order=1).get(5.0).code == "halted"  # it protects a position
    assert isinstance(px.cancel(order=2).get(5.0), Accepted)


def test_without_a_store_only_what_reduces_risk_leaves(tmp_path: Path, shop: Shop) -> None:
    (tmp_path / "trading").mkdir(mode=0o700)
    with asking(tmp_path, shop) as (_, px):
        assert px.place().get(5.0).code == "store"
        assert px.cancel(order=1).get(5.0).code == "halted"
        assert isinstance(px.cancel(order=2).get(5.0), Accepted)
    assert len(shop.orders) == 1


# ── the deadline ──


def test_nothing_is_written_once_the_deadline_is_over(
    px: ShopRequests, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit takes longer than the deadline."""
    begin, over = OrderStore.begin, threading.Event()

    def slow(store: OrderStore, *args: Any, **named: Any) -> Any:
        begun = begin(store, *args, **named)
        assert over.wait(10.0)
        return begun

    monkeypatch.setattr(OrderStore, "begin", slow)
    outcome = px.place(deadline=0.1).get(5.0)
    assert (outcome.code, shop.orders) == ("deadline", [])
    over.set()
    recorded = recorded_of(px, outcome.tag)  # by its thread
    assert isinstance(recorded, Refused)
    assert recorded.code == "deadline"
    assert shop.orders == []


def test_an_answer_that_comes_after_the_deadline_is_no_answer(px: ShopRequests, shop: Shop) -> None:
    go = threading.Event()
    shop.after = only_orders(lambda _: go.wait(5.0))
    outcome = px.place(deadline=0.2).get(5.0)
    assert isinstance(outcome, Unknown)
    go.set()
    recorded = recorded_of(px, outcome.tag)  # by its thread, perhaps after the timer
    assert isinstance(recorded, Unknown)
    assert len(shop.orders) == 1


def test_a_thread_that_hangs_does_not_hold_up_its_handle(
    px: ShopRequests, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs between the commit and the first byte, and wakes up later: its right is gone."""
    write = SendRight.write
    hung, go = threading.Event(), threading.Event()

    def hanging(right: SendRight, *args: Any) -> None:
        hung.set()
        go.wait(10.0)
        write(right, *args)

    monkeypatch.setattr(SendRight, "write", hanging)
    handle = px.place(deadline=0.2)
    assert hung.wait(5.0)
    assert handle.get(5.0).code == "deadline"
    go.set()
    assert recorded_of(px, handle.tag).code == "deadline"
    assert shop.orders == []


def test_a_thread_that_hangs_after_its_first_byte_is_unknown_and_its_late_answer_counts(
    px: ShopRequests, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was read in time, and recorded late."""
    finish = OrderStore.finish
    hung, go = threading.Event(), threading.Event()

    def hanging(store: OrderStore, outcome: Any) -> None:
        hung.set()
        go.wait(10.0)
        finish(store, outcome)

    monkeypatch.setattr(OrderStore, "finish", hanging)
    handle = px.place(deadline=2.0)  # time for its first byte on a busy machine
    assert hung.wait(5.0)
    assert isinstance(handle.get(10.0), Unknown)
    go.set()
    assert isinstance(recorded_of(px, handle.tag), Accepted)
    until(lambda: isinstance(handle.get(5.0), Accepted))


# ── the end of the runtime ──


def test_a_stop_waits_for_what_has_left(tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, stopping = threading.Event(), threading.Event()
    stop = RuntimeRequests.stop

    def begin_to_stop(requests: RuntimeRequests) -> None:
        stop(requests)
        stopping.set()

    monkeypatch.setattr(RuntimeRequests, "stop", begin_to_stop)
    with asking(tmp_path, shop) as (runtime, px):
        px.page("first").get()

        def slow(_: str) -> None:
            arrived.set()
            assert stopping.wait(10.0)

        shop.after = only_orders(slow)
        handle = px.place()
        assert arrived.wait(5.0)
        runtime.stop(5.0)
        assert handle.get(0.0) == Accepted(handle.tag, 1)
    store = OrderStore(tmp_path / "trading")
    assert store.outcome(handle.tag) == Accepted(handle.tag, 1)
    store.close()


def test_a_stop_that_has_no_time_left_makes_it_unknown_and_what_has_not_left_refused(
    tmp_path: Path, shop: Shop
) -> None:
    go, arrived = threading.Event(), threading.Semaphore(0)
    with asking(tmp_path, shop) as (runtime, px):
        px.page("first").get()

        def hold(_: str) -> None:
            arrived.release()
            go.wait(5.0)

        shop.after = only_orders(hold)
        handles = [px.place(deadline=30.0) for _ in range(20)]
        for _ in range(7):
            assert arrived.acquire(timeout=5.0)
        runtime.stop(0.2)
        outcomes = [handle.get(5.0) for handle in handles]
        assert sum(isinstance(each, Unknown) for each in outcomes) == 7
        assert {each.code for each in outcomes if isinstance(each, Refused)} == {"stopped"}
        assert px.place().get(0.0).code == "stopped"
    go.set()
    assert len(shop.orders) == 7


# ── the requester ──


def test_a_letter_that_no_requester_reads_was_not_sent(
    desk: tuple[Runtime, ShopRequests], shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, px = desk
    ask = Address.ask

    def gone(address: Address, message: Any, reply: Any = None) -> Any:
        reply.fail(RuntimeStopped("a test"))
        return reply

    monkeypatch.setattr(Address, "ask", gone)
    outcome = px.place().get(5.0)
    monkeypatch.setattr(Address, "ask", ask)
    assert (outcome.code, shop.orders) == ("stopped", [])
    assert runtime.end_reason is None


# ── a start ──


def test_intents_of_an_ended_process_are_settled_before_anything_adds_risk(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OrderStore.create(tmp_path / "trading")
    place = Place(account=ACCOUNT, contract="CON.A", side="buy", size=1, type="market")
    tag = store.new_tag()
    store.begin(Intent(tag=tag, mutation=place, begun_ns=time.time_ns()), shop.host, lambda _: None)
    store.close()
    shop.orders.append(tag)  # it had left, and its process ended
    go = threading.Event()
    shop.before = wait_for(go, "/find")
    with asking(tmp_path, shop, settled=False) as (_, px):
        with pytest.raises(Timeout):
            px.core.wait_settled(0.05)
        early = px.place().get(5.0)
        assert early.code == "settling"
        go.set()
        px.core.wait_settled(10.0)
        assert isinstance(px.place().get(5.0), Accepted)
        assert store_of(px).outcome(tag) == Accepted(tag, 1)


def test_what_stays_unknown_refuses_what_adds_risk(tmp_path: Path, shop: Shop) -> None:
    store = OrderStore.create(tmp_path / "trading")
    place = Place(account=ACCOUNT, contract="CON.A", side="buy", size=1, type="market")
    tag = store.new_tag()
    store.begin(Intent(tag=tag, mutation=place, begun_ns=time.time_ns()), shop.host, lambda _: None)
    store.close()
    with asking(tmp_path, shop) as (_, px):
        assert px.place().get(5.0).code == "unknown"
        assert isinstance(px.cancel().get(5.0), Accepted)


# ── a fork ──


@needs_fork
def test_a_forked_child_is_refused_every_call(px: ShopRequests) -> None:
    handle, asked = px.place(), px.page("a")
    handle.get(5.0)
    asked.get(5.0)

    def look() -> str:
        outcome = handle.get(0.0)
        told = [type(outcome).__name__]
        for call in (asked.get, px.place, lambda: px.page("b"), lambda: px.core.settle(handle.tag)):
            try:
                call()
            except ForkError:
                told.append("ForkError")
        return " ".join(told)

    assert in_a_child(look) == "Unknown ForkError ForkError ForkError ForkError"
