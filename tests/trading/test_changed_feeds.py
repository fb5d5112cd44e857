"""Feeds change while orders are on their way: an order that has not left obeys the feeds as they are then."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import Accepted, Refused, Runtime
from actors.protocol.trading import Intent, Place
from actors.trading.mutation import Instrument
from actors.trading.order_handle import OrderHandle
from actors.trading.order_store import OrderStore
from tests.trading.halts import until
from tests.trading.shop import ACCOUNT, CONTRACT, Shop, ShopRequests, asking, shop_feed, wait_for

PLACE = Place(account=ACCOUNT, contract="CON.A", side="buy", size=1, type="market")


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


def resolved(px: ShopRequests) -> OrderHandle:
    """The handle of an order whose contract the shop is asked for first."""
    return px.core.mutate(PLACE, resolve=lambda access: Instrument(px.core.contract(access, "CON.A")))


def add_a_simulator(runtime: Runtime, _: Shop) -> None:
    runtime.add_feed("demo", {"venue": "o2", "url": "sim://o2?rate=0"})


def remove(runtime: Runtime, _: Shop) -> None:
    runtime.remove_feed("shop")


def give_another_gateway(runtime: Runtime, shop: Shop) -> None:
    runtime.add_feed("shop", shop_feed(f"ws://localhost:{shop.port}") | {"trading": False})


def turn_off(runtime: Runtime, shop: Shop) -> None:
    runtime.add_feed("shop", shop_feed(f"ws://{shop.host}") | {"trading": False})


def make_dry(runtime: Runtime, shop: Shop) -> None:
    runtime.add_feed("shop", shop_feed(f"ws://{shop.host}", dry_run=True))


CHANGES = [add_a_simulator, remove, give_another_gateway, turn_off, make_dry]


@pytest.mark.parametrize("change", CHANGES)
def test_t13_an_order_that_waits_when_feeds_change_does_not_leave(
    tmp_path: Path, shop: Shop, change: Callable[[Runtime, Shop], None]
) -> None:
    go = threading.Event()
    shop.before = wait_for(go, "/contract")
    with asking(tmp_path, shop) as (runtime, px):
        handle = resolved(px)
        until(lambda: any(path == "/contract/CON.A" for path, _ in shop.requests))
        change(runtime, shop)
        go.set()
        outcome = handle.get(10.0)
        assert isinstance(outcome, Refused)
        assert outcome.code == "trading"
        assert outcome.message.endswith("Nothing was sent.")
    assert shop.orders == []


@pytest.mark.parametrize("change", CHANGES)
def test_t13_nor_does_one_that_is_recorded_and_about_to_leave(
    tmp_path: Path, shop: Shop, change: Callable[[Runtime, Shop], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with asking(tmp_path, shop) as (runtime, px):
        store = px.core._way().terms().store
        assert store is not None
        monkeypatch.setattr(runtime._requests, "on_mutation", lambda *_: change(runtime, shop))
        outcome = px.place().get(10.0)
        assert isinstance(outcome, Refused)
        assert outcome.code == "trading"
        assert store.outcome(outcome.tag) == outcome
    assert shop.orders == []


def test_one_that_may_leave_after_a_change_leaves(tmp_path: Path, shop: Shop) -> None:
    go = threading.Event()
    shop.before = wait_for(go, "/contract")
    with asking(tmp_path, shop) as (runtime, px):
        handle = resolved(px)
        until(lambda: any(path == "/contract/CON.A" for path, _ in shop.requests))
        runtime.add_feed("shop", shop_feed(f"ws://{shop.host}", block_timeout=1.0))
        go.set()
        assert isinstance(handle.get(10.0), Accepted)


def test_a_contract_is_asked_for_again_at_another_gateway(tmp_path: Path, shop: Shop) -> None:
    """Its tick size may be another one there."""
    with Shop() as other, asking(tmp_path, shop, trading=False) as (runtime, px):
        px.core._way().know_contract("CON.A", CONTRACT)
        assert px.core._way().known_contract("CON.A") is not None
        runtime.add_feed("shop", shop_feed(f"ws://{other.host}") | {"trading": False})
        assert px.core._way().known_contract("CON.A") is None


# ── what former processes left open ──


def left_open(folder: Path, shop: Shop) -> str:
    """The tag of an intent of a process that has ended."""
    store = OrderStore.create(folder / "trading")
    tag = store.new_tag()
    store.begin(Intent(tag=tag, mutation=PLACE, begun_ns=time.time_ns()), shop.host, lambda _: None)
    store.close()
    return tag


@pytest.mark.parametrize("change", [remove, give_another_gateway])
def test_t5_a_feed_that_is_gone_keeps_no_other_from_being_settled(
    tmp_path: Path,
    shop: Shop,
    change: Callable[[Runtime, Shop], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its host was asked in vain before; the other one is the same host by another login."""
    tag = left_open(tmp_path, shop)
    go = threading.Event()
    shop.before = wait_for(go, "/find")
    caplog.set_level(logging.WARNING, "actors.trading")
    with asking(tmp_path, shop, shop, settled=False) as (runtime, _):
        until(lambda: any(path.startswith("/find") for path, _ in shop.requests))
        change(runtime, shop)
        shop.orders.append(tag)
        go.set()
        second: Any = runtime.ask("shop2")
        second.core.wait_settled(10.0)
        runtime._requests.settlement._look()
        assert second.core._way().terms().store.outcome(tag) == Accepted(tag, 1)
        assert "shop" not in runtime._requests.settlement._under_way
    assert "has failed" not in caplog.text
