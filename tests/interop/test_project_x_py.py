"""The usual SDK takes the simulator for ProjectX. It is as it was published, defects and all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.simulators import SimulatedProjectX
from benchmarks.installs import PROJECT_X_PY
from tests.interop.program import Program

CONTRACT, ACCOUNT = "CON.F.US.EP.Z26", 4242
CHANNELS: list[tuple[str, str | int]] = [
    ("accounts", ""),
    *((channel, ACCOUNT) for channel in ("orders", "positions", "user_trades")),
    *((channel, CONTRACT) for channel in ("quotes", "trades", "depth")),
]


@pytest.fixture
def projectx() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False, keys={"trader": "hush"}) as each:
        yield each


Start = Callable[..., Program]


@pytest.fixture
def start(projectx: SimulatedProjectX, sdk_python: Callable[..., Path]) -> Iterator[Start]:
    programs = []

    def make(key: str = "hush") -> Program:
        hubs = [projectx.hub_url("user"), projectx.hub_url("market")]
        python = sdk_python(PROJECT_X_PY, version="3.12")
        programs.append(Program(python, "project_x_py_client.py", projectx.http_url, *hubs, CONTRACT, key))
        return programs[-1]

    yield make
    for each in programs:
        each.end()


def subscribed(projectx: SimulatedProjectX) -> None:
    projectx.wait_for(lambda: all(projectx.subscribers(*each) == 1 for each in CHANNELS), timeout=30)


def told(program: Program, stream: str) -> Any:
    return program.hear(stream)["told"]


def test_the_sdk_logs_in_and_reads_the_pages(projectx: SimulatedProjectX, start: Start) -> None:
    order = projectx.order(size=2, side=0)
    projectx.fill(order["id"], price="6800.25")
    program = start()
    assert told(program, "login") == "PRAC-V2-4242"
    assert [each["id"] for each in told(program, "accounts")] == [4242, 4243]
    assert [each["id"] for each in told(program, "instruments")] == [CONTRACT]
    assert told(program, "instrument")["tickSize"] == 0.25
    assert [each["name"] for each in told(program, "available")] == ["ESZ6", "NQZ6", "CLZ6"]
    (position,) = told(program, "positions")
    assert (position["contractId"], position["size"], position["averagePrice"]) == (CONTRACT, 2, 6800.25)
    (trade,) = told(program, "trades")
    assert (trade["orderId"], trade["profitAndLoss"], trade["price"]) == (order["id"], None, 6800.25)


def test_the_sdk_hears_both_hubs(projectx: SimulatedProjectX, start: Start) -> None:
    program = start()
    assert told(program, "connected") is True
    subscribed(projectx)

    projectx.quote(lastPrice=6801.25, bestBid=6801.0)
    heard = told(program, "quote_update")
    assert heard["contract_id"] == CONTRACT
    assert heard["data"]["bestBid"] == 6801.0
    projectx.trade(price="6802.25", volume=7)
    heard = told(program, "market_trade")
    assert heard["contract_id"] == CONTRACT
    assert [(each["price"], each["volume"]) for each in heard["data"]] == [(6802.25, 7)]
    projectx.depth(bids=[("6801.00", 3)], reset=True)
    heard = told(program, "market_depth")["data"]
    assert [(row["type"], row["volume"]) for row in heard] == [(6, 0), (2, 3)]

    order = projectx.order(shape="action")
    assert told(program, "order_update") == {"action": 1, "data": as_heard(order)}
    projectx.fill(order["id"])
    assert told(program, "order_update")["status"] == 2
    assert told(program, "trade_execution")["orderId"] == order["id"]
    assert told(program, "position_update")["size"] == 1
    assert told(program, "account_update")["balance"] < 50_000


def test_the_sdk_negotiates_as_of_old_with_its_token_in_the_query(
    projectx: SimulatedProjectX, start: Start
) -> None:
    assert told(start(), "connected") is True
    for hub in ("user", "market"):
        (negotiated,) = [each for each in projectx.requests if each.path == f"/hubs/{hub}/negotiate"]
        (upgraded,) = [each for each in projectx.requests if each.path == f"/hubs/{hub}"]
        assert "negotiateVersion" not in negotiated.query
        assert upgraded.query["access_token"] == negotiated.query["access_token"]
        assert upgraded.query["id"]


def test_the_sdk_comes_back_after_a_reset(projectx: SimulatedProjectX, start: Start) -> None:
    """Its first attempt shows an id that is over: it meets a 404, and negotiates anew."""
    program = start()
    assert told(program, "market") is True
    subscribed(projectx)
    projectx.reset()
    projectx.wait_for(lambda: projectx.subscribers("trades", CONTRACT) == 0)
    projectx.wait_for(lambda: projectx.subscribers("trades", CONTRACT) == 1, timeout=40)
    projectx.trade(volume=9)
    assert told(program, "market_trade")["data"][0]["volume"] == 9
    shown = [each.query["id"] for each in projectx.requests if each.path == "/hubs/market"]
    assert len(shown) > len(set(shown)) == 2


def test_the_sdk_sees_that_its_key_is_wrong(start: Start) -> None:
    assert "error" in start(key="guess").hear("login")


def test_the_sdk_sees_a_close_with_an_error(projectx: SimulatedProjectX, start: Start) -> None:
    program = start()
    assert told(program, "market") is True
    subscribed(projectx)
    projectx.hub_close(allow_reconnect=True, error="enough for today", only_hub="market")
    assert "enough for today" in program.hear("market ended")["error"]
    assert projectx.callers("user") == 1


def test_the_sdk_does_not_connect_with_a_token_that_is_refused(
    projectx: SimulatedProjectX, start: Start
) -> None:
    projectx.unauthorized(n=0)
    program = start()
    assert told(program, "login") == "PRAC-V2-4242"
    assert told(program, "connected") is False
    assert projectx.callers() == 0


def as_heard(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: decimals as floats."""
    return {key: float(value) if key.endswith("Price") and value else value for key, value in row.items()}
