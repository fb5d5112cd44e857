"""Both SDKs of ProjectX trade at the simulator, unmodified: the newest, and the last synchronous one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.simulators import SimulatedProjectX
from benchmarks.installs import POLARS, PROJECT_X_PY, PROJECT_X_PY_SYNC
from tests.interop.program import Program

EP = "CON.F.US.EP.Z26"
FILLED, CANCELLED, REJECTED = 2, 3, 5


@pytest.fixture
def projectx() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False, past=2) as each:
        yield each


@pytest.fixture
def newest(projectx: SimulatedProjectX, sdk_python: Callable[..., Path]) -> Iterator[Program]:
    hubs = [projectx.hub_url("user"), projectx.hub_url("market")]
    python = sdk_python(PROJECT_X_PY, version="3.12")
    program = Program(python, "project_x_py_orders.py", projectx.http_url, *hubs)
    yield program
    program.end()


@pytest.fixture
def synchronous(projectx: SimulatedProjectX, sdk_python: Callable[..., Path]) -> Iterator[Program]:
    python = sdk_python(PROJECT_X_PY_SYNC, POLARS, version="3.12")
    program = Program(python, "project_x_py_sync.py", projectx.http_url)
    yield program
    program.end()


def told(program: Program, stream: str) -> Any:
    return program.hear(stream)["told"]


def assert_an_order_lives(program: Program) -> None:
    """It is placed, found, changed and cancelled."""
    placed = told(program, "limit")
    assert placed["success"] is True
    (found,) = told(program, "open")
    assert (found["id"], found["size"], found["limitPrice"]) == (placed["orderId"], 3, 6790.25)
    assert told(program, "modified") is True
    changed = told(program, "changed")
    changed = changed[0] if isinstance(changed, list) else changed
    assert (changed["id"], changed["size"], changed["limitPrice"]) == (placed["orderId"], 2, 6789.5)
    assert told(program, "cancelled") is True
    assert [told(program, each)["success"] for each in ("market", "stop", "trail")] == [True] * 3
    (position,) = told(program, "position")
    assert (position["contractId"], position["type"], position["size"]) == (EP, 1, 3)


def assert_history_is_read(program: Program) -> None:
    bars = told(program, "bars")
    assert len(bars) > 200  # of five minutes, in a day
    assert [each["timestamp"] for each in bars] == sorted(each["timestamp"] for each in bars)
    assert all(each["low"] <= each["open"] <= each["high"] for each in bars)


def test_the_newest_sdk_trades(projectx: SimulatedProjectX, newest: Program) -> None:
    assert told(newest, "hubs") is True
    assert_an_order_lives(newest)
    assert told(newest, "join")["success"] is True
    assert told(newest, "part")["success"] is True
    assert told(newest, "all") == {"total": 3, "cancelled": 3, "failed": 0, "errors": []}

    native = told(newest, "native")["orderId"]
    assert [each["id"] - native for each in told(newest, "suspended")] == [1, 2]
    bracket = told(newest, "bracket")
    assert bracket["success"] is True
    # It asks for a bracket with unsigned ticks first, which is refused, and then places three orders.
    assert projectx.accounts[4242].orders[bracket["entry_order_id"] - 1]["status"] == REJECTED
    assert told(newest, "closed")["success"] is True
    assert told(newest, "left") == []
    history = {each["id"]: each["status"] for each in told(newest, "history")}
    assert history[bracket["entry_order_id"]] == FILLED
    orphans = {each["id"] for each in told(newest, "query")}
    assert {bracket["stop_order_id"], bracket["target_order_id"]} <= orphans
    assert_history_is_read(newest)
    assert {each["orderId"] for each in told(newest, "trades")} >= {bracket["entry_order_id"]}


def test_the_last_synchronous_sdk_trades(projectx: SimulatedProjectX, synchronous: Program) -> None:
    assert told(synchronous, "account")["id"] == 4242
    assert len(told(synchronous, "accounts")) == 2
    assert told(synchronous, "instrument")["id"] == EP
    assert_an_order_lives(synchronous)
    assert told(synchronous, "cancelled again") is False
    assert synchronous.hear("wrong")["error"].endswith("Order placement failed: Invalid stop price")
    assert "400" in synchronous.hear("part")["error"]  # it says closeSize, which is no key
    assert told(synchronous, "all") == {"total_orders": 2, "cancelled": 2, "failed": 0, "errors": []}

    bracket = told(synchronous, "bracket")
    assert bracket["success"] is True
    tagged = {each["id"]: each["customTag"] for each in told(synchronous, "tagged")}
    assert tagged.keys() == {bracket[f"{each}_order_id"] for each in ("entry", "stop", "target")}
    assert len(set(tagged.values())) == 3
    assert told(synchronous, "closed")["success"] is True
    assert told(synchronous, "left") == []
    assert_history_is_read(synchronous)
    assert [each["size"] for each in told(synchronous, "trades")] == [3, 3]
    assert projectx.seen.placed_twice == []
