"""Runtimes that trade at a simulator, for the tests of halts."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors import Accepted, OrderHandle, Runtime
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.projectx_requests import ProjectXRequests

ACCOUNT = 4242
THIS = f"projectx/{ACCOUNT}"


def config(
    folder: Path, venue: SimulatedProjectX, *, listen: str = "127.0.0.1:9700", **feed: Any
) -> dict[str, Any]:
    """One feed `projectx` that trades. `feed` overrides its table's keys."""
    limits = {"max_size": 10, "orders_per_minute": 1_000}
    login = {"user_name": "me", "api_key": "a-key-of-the-gateway"}
    table = {"venue": "projectx", "url": venue.url, "trading": True, "limits": limits, **login} | feed
    return {
        "runtime": {"watchdog_timeout": 0.0},
        "service": {"listen": listen},
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
