"""Handlers of account channels may ask the venue and place orders; project-x-py 1.1 held a lock then."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import Accepted, Runtime, Unknown
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from tests.trading.test_projectx_requests import ACCOUNT, config


@pytest.fixture
def venue() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0) as venue:
        yield venue


@pytest.fixture
def runtime(tmp_path: Path, venue: SimulatedProjectX) -> Iterator[Runtime]:
    OrderStore.create(tmp_path / "orders").close()
    with actors.start(config(tmp_path / "orders", venue), wait=10.0) as runtime:
        runtime.ask("projectx").wait_settled(10.0)
        yield runtime


@pytest.mark.parametrize("inline", [False, True], ids=["on its thread", "inline"])
def test_a_handler_of_fills_may_ask_and_place_orders(runtime: Runtime, inline: bool) -> None:
    px, told = runtime.ask("projectx"), queue.SimpleQueue[Any]()

    def protect(fill: Any) -> None:
        positions = px.positions(ACCOUNT).get(timeout=10)
        told.put((fill.size, [each.net for each in positions]))
        told.put(px.place(ACCOUNT, "ENQ", "sell", 1, stop="9000").get(timeout=10))

    runtime.on("projectx", "account_trades", ACCOUNT, handler=protect, inline=inline, wait=10.0)
    assert isinstance(px.place(ACCOUNT, "ENQ", "buy", 1).get(timeout=10), Accepted)
    assert told.get(timeout=10) == (1, [1])
    assert isinstance(told.get(timeout=10), Accepted)


def test_a_handler_that_hangs_keeps_no_order_from_its_outcome(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    px, going_on, came = runtime.ask("projectx"), queue.SimpleQueue[None](), queue.SimpleQueue[None]()

    def hang(_: Any) -> None:
        came.put(None)
        going_on.get(timeout=30)

    runtime.on("projectx", "orders", ACCOUNT, handler=hang, inline=True, wait=10.0)
    for tag in ("first", "second"):
        outcome = px.place(ACCOUNT, "ENQ", "buy", 1, tag=tag).get(timeout=10)
        assert isinstance(outcome, Accepted)
        came.get(timeout=10) if tag == "first" else None
    assert [venue.seen.orders(tag) for tag in ("first", "second")] == [1, 1]
    for _ in range(10):
        going_on.put(None)


def test_a_handle_may_be_read_in_a_handler_with_no_time(runtime: Runtime) -> None:
    """`Unknown` with "under way" is no outcome yet: a later `get` gives it."""
    px, told = runtime.ask("projectx"), queue.SimpleQueue[Any]()

    def place(_: Any) -> None:
        handle = px.place(ACCOUNT, "ENQ", "sell", 1)
        told.put((handle.get(timeout=0), handle))

    runtime.on("projectx", "account_trades", ACCOUNT, handler=place, inline=True, wait=10.0)
    px.place(ACCOUNT, "ENQ", "buy", 1).get(timeout=10)
    first, handle = told.get(timeout=10)
    assert isinstance(first, Unknown | Accepted)
    assert isinstance(handle.get(timeout=10), Accepted)
