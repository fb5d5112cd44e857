"""Runtimes that trade at a simulator, for the tests of halts, and the fixtures that these share.

A test module takes a fixture by its name: `venue, folder = halts.venue, halts.folder`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import Accepted, OrderHandle, Runtime
from actors.simulators.projectx import SimulatedProjectX
from actors.trading import halt_sweep
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests

ACCOUNT = 4242
THIS = f"projectx/{ACCOUNT}"


@pytest.fixture
def venue() -> Iterator[SimulatedProjectX]:
    """A gateway on loopback where nothing moves by itself."""
    with SimulatedProjectX(rate=0, snapshots=False) as venue:
        yield venue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an order store."""
    OrderStore.create(tmp_path / "orders").close()
    return tmp_path / "orders"


@pytest.fixture
def runtime(folder: Path, venue: SimulatedProjectX) -> Iterator[Runtime]:
    """It trades at the venue, with the store of the folder."""
    with actors.start(config(folder, venue)) as runtime:
        yield runtime


@pytest.fixture
def px(runtime: Runtime) -> ProjectXRequests:
    """Its requests, once orders may be placed."""
    return settled(runtime)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once: the simulator's lists do not lag behind, unless they are made to."""
    monkeypatch.setattr(halt_sweep, "PAUSE", 0.05)


def config(folder: Path, venue: SimulatedProjectX, **feed: Any) -> dict[str, Any]:
    """One feed `projectx` that trades. `feed` overrides its table's keys."""
    limits = {"max_size": 10, "orders_per_minute": 1_000}
    login = {"user_name": "me", "api_key": "a-key-of-the-gateway"}
    table = {"venue": "projectx", "url": venue.url, "trading": True, "limits": limits, **login} | feed
    return {
        "runtime": {"watchdog_timeout": 0.0},
        "trading": {"dir": str(folder)},
        "feeds": {"projectx": table},
    }


def until(wanted: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def settled(runtime: Runtime) -> ProjectXRequests:
    """The requests of this runtime, once orders may be placed."""
    px = runtime.ask("projectx")
    px.wait_settled(10.0)
    return px


def far_below(px: ProjectXRequests, venue: SimulatedProjectX) -> Decimal:
    """A price at which an order rests."""
    contract = px.contract("ENQ").get(5.0)
    return venue.listings[contract.id].last - 400 * contract.tick_size


def accepted(handle: OrderHandle) -> int:
    """The id of an order that the venue has taken."""
    outcome = handle.get(5.0)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.order_id is not None
    return outcome.order_id


def resting(px: ProjectXRequests, venue: SimulatedProjectX, account: int = ACCOUNT) -> int:
    """The id of a new order that can open a position."""
    return accepted(px.place(account, "ENQ", "buy", 1, limit=far_below(px, venue)))


def working(px: ProjectXRequests, account: int = ACCOUNT) -> set[int]:
    """The ids of the orders that work."""
    return {each.id for each in px.open_orders(account).get(5.0)}
