"""T1: what a program is told that places an order again, with the tag of one that may be at the venue."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from actors import Accepted, LinewardenError, Refused, Runtime, Unknown
from actors.protocol.trading import Place
from actors.trading.order_store import OrderStore
from actors.wire.send_right import SendRight
from tests.trading.shop import Shop, ShopRequests, asking

TAG = "my-order-1"


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


@pytest.fixture
def desk(tmp_path: Path, shop: Shop) -> Iterator[tuple[Runtime, ShopRequests]]:
    with asking(tmp_path, shop) as (runtime, px):
        px.page("first").get()
        while runtime._requests.settlement.is_under_way("shop"):
            threading.Event().wait(0.01)
        yield runtime, px


@pytest.fixture
def px(desk: tuple[Runtime, ShopRequests]) -> ShopRequests:
    return desk[1]


def login_of(px: ShopRequests) -> Any:
    return px.core._way().access(lambda: 5.0).login


def test_t1_a_call_with_the_tag_of_an_order_under_way_has_its_outcome(px: ShopRequests, shop: Shop) -> None:
    """The second handle gives the outcome of the order, too."""
    go, came = threading.Event(), threading.Event()

    def hold(path: str) -> None:
        if path == "/order":
            came.set()
            go.wait(5.0)

    shop.before = hold
    first = px.place(TAG)
    assert came.wait(5.0)
    second = px.place(TAG)
    assert second.get(0.05) == Unknown(TAG, "under way")
    go.set()
    assert first.get(5.0) == second.get(5.0) == Accepted(TAG, 1)
    assert shop.count(TAG) == 1


def test_t1_of_two_threads_with_one_tag_one_sends_it_and_both_have_its_outcome(
    px: ShopRequests, shop: Shop
) -> None:
    for number in range(10):
        told: list[object] = []
        tag = f"{TAG}-{number}"
        threads = [
            threading.Thread(target=lambda tag=tag, told=told: told.append(px.place(tag).get(5.0)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told == [Accepted(tag, number + 1)] * 8
        assert shop.count(tag) == 1


def test_t1_another_order_with_the_tag_of_one_under_way_is_refused(px: ShopRequests, shop: Shop) -> None:
    go, came = threading.Event(), threading.Event()

    def hold(path: str) -> None:
        if path == "/order":
            came.set()
            go.wait(5.0)

    shop.before = hold
    first = px.place(TAG)
    assert came.wait(5.0)
    assert px.place(TAG, size=2).get(5.0).code == "tag"
    go.set()
    assert isinstance(first.get(5.0), Accepted)


def empty_meter(px: ShopRequests, _: pytest.MonkeyPatch) -> None:
    login_of(px).meter.take = lambda *_: 30.0


def no_time(_: ShopRequests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderStore, "begin", lambda *_, **__: threading.Event().wait(0.7))


def no_disk(_: ShopRequests, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(_store: OrderStore, intent: Any, *_: Any, **__: Any) -> Refused:
        return Refused(intent.tag, "store", message="the disk")

    monkeypatch.setattr(OrderStore, "begin", begin)


@pytest.mark.parametrize("hinder", [empty_meter, no_time, no_disk])
def test_t1_that_a_second_call_sends_nothing_does_not_say_that_the_first_did_not(
    px: ShopRequests, shop: Shop, monkeypatch: pytest.MonkeyPatch, hinder: Any
) -> None:
    """Refused would mean that it was certainly not done, and the program would place it with a new tag."""
    assert isinstance(px.place(TAG).get(5.0), Accepted)
    hinder(px, monkeypatch)
    outcome = px.place(TAG, deadline=0.3).get(5.0)
    assert isinstance(outcome, Unknown), outcome
    assert "an earlier call has this tag" in outcome.why
    fresh = px.place("my-order-2", deadline=0.3).get(5.0)
    assert isinstance(fresh, Refused), fresh
    assert shop.orders == [TAG]


def test_t1_while_former_orders_are_settled_a_known_tag_is_unknown(
    desk: tuple[Runtime, ShopRequests], shop: Shop
) -> None:
    runtime, px = desk
    assert isinstance(px.place(TAG).get(5.0), Accepted)
    runtime._requests.settlement._under_way.add("shop")
    assert isinstance(px.place(TAG).get(5.0), Unknown)
    assert px.place("my-order-2").get(5.0).code == "settling"


def test_a_stop_leaves_no_order_open_that_was_not_sent(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its account would be refused further orders at the next start, until a person looks at the venue."""
    write = SendRight.write
    begun = threading.Event()

    def hanging(right: SendRight, *args: Any) -> None:
        begun.set()
        while not right.revoked:
            threading.Event().wait(0.01)
        threading.Event().wait(0.2)
        write(right, *args)

    monkeypatch.setattr(SendRight, "write", hanging)
    with asking(tmp_path, shop) as (runtime, px):
        px.page("first").get()
        while runtime._requests.settlement.is_under_way("shop"):
            threading.Event().wait(0.01)
        handle = px.place()
        assert begun.wait(5.0)
        runtime.stop()
        assert handle.get(0.0).code == "stopped"
    store = OrderStore(tmp_path / "trading")
    recorded = store.outcome(handle.tag)
    assert store.open_intents() == ()
    store.close()
    assert isinstance(recorded, Refused)


def test_a_feed_that_is_removed_while_it_is_asked_is_told_without_a_traceback(
    px: ShopRequests, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    def removed() -> Any:
        raise LinewardenError("feed 'shop' is not in the config")

    def resolve(_: Any) -> Any:
        px.core._way = removed
        return px.core.contract(cast(Any, None), "A")

    place = Place(account=7, contract="A", side="buy", size=1, type="market")
    outcome = px.core.mutate(place, resolve=resolve).get(5.0)
    assert isinstance(outcome, Refused)
    assert (outcome.code, "not in the config" in outcome.message) == ("failed", True)
    assert "Traceback" not in caplog.text
