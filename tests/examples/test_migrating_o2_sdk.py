"""The ports of o2-sdk's examples do what their originals did, on a simulated venue."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.examples.running import EXAMPLES, run

HERE = EXAMPLES / "migrating" / "o2_sdk"
PRICE = r"0\.\d+"


def test_every_port_is_run_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert all(f"/{script.name}" in here for script in HERE.glob("*.py"))


def test_quickstart() -> None:
    found, *told = run("migrating/o2_sdk/quickstart.py")
    assert re.fullmatch(rf"FUEL/USDC: the best ask is {PRICE}", found)
    assert re.fullmatch(rf"would buy 1 of FUEL/USDC at {PRICE}", told[0])
    assert re.fullmatch(rf"order 0x\w{{8}}…: (buy|sell) at {PRICE}, (open|filled|closed|cancelled)", told[-1])
    assert all(line.startswith("balance of 0x") for line in told[1:-1])


def test_market_maker() -> None:
    told = run("migrating/o2_sdk/market_maker.py")
    quoted = [line for line in told if line.startswith("would cancel 0 orders, buy ")]
    assert len(quoted) == 4
    assert told[-1] == quoted[-1]
    assert "updates of orders may be missing (disconnect)" in told
    assert told.index("open orders are read again") < told.index(quoted[-1], 1)


def test_taker_bot() -> None:
    *blind, found, bought = run("migrating/o2_sdk/taker_bot.py")
    assert re.fullmatch(rf"the best ask is {PRICE}, at or below {PRICE}", found)
    assert re.fullmatch(rf"would buy [\d.]+ of FUEL/USDC at {PRICE}", bought)
    assert all(line.startswith("not at ") for line in blind)


def test_portfolio() -> None:
    told = run("migrating/o2_sdk/portfolio.py")
    assert sum(line.startswith("balance of 0x") for line in told) == 2
    assert any(re.fullmatch(r"buy [\d,]+ at [\d,]+: open", line) for line in told)
    missing = "changes may be missing (disconnect); read them again over REST"
    assert {f"-- balances: {missing}", f"-- orders: {missing}"} <= set(told)


def test_streams() -> None:
    told = run("migrating/o2_sdk/streams.py")
    events = "events: DepthChange, DepthSnapshot, Nonce, Order, Trade"
    assert told[:2] == ["connection: connected", events]
    states = [line for line in told if line.startswith("connection: ")]
    assert states == [
        f"connection: {each}" for each in ("connected", "disconnected", "reconnecting", "restored")
    ]
    assert {line for line in told if line.startswith("gap of ")} == {
        f"gap of {each}" for each in ("depth", "trades", "orders", "nonce")
    }
    assert re.fullmatch(r"trade \w+ of FUEL/USDC", told[-1])


# ── beside.py: o2-sdk in the same process ───────────────────────────────────────────────────────


def test_beside() -> None:
    own, sdk = run("migrating/o2_sdk/beside.py")
    assert re.fullmatch(r"FUEL/USDC is 0x\w{8}…, with 9 and 9 decimals", own)
    assert sdk == "o2-sdk is not installed: the ports print their orders"  # tests/interop runs it with o2-sdk


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(HERE))
    import beside

    yield beside
    del sys.modules["beside"]


class Actions(tuple[object, ...]):
    """Stands for o2-sdk's builder: the market, and each call with its arguments."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Callable[..., Actions]:
        return lambda *terms: Actions((*self, (name, *terms)))


class Made:
    orders = None


class Client:
    """Stands for o2-sdk's client: it notes what it is asked for, and on which thread."""

    def __init__(self) -> None:
        self.asked: list[object] = [threading.current_thread().name]

    async def create_order(self, *terms: object) -> None:
        self.asked.append(terms)

    def actions_for(self, market: str) -> Actions:
        return Actions((market,))

    async def batch_actions(self, groups: list[Actions], *, collect_orders: bool) -> Made:
        assert collect_orders
        self.asked += groups
        return Made()

    async def fail(self) -> None:
        raise ValueError("of the SDK")

    async def close(self) -> None:
        self.asked.append("closed")


class Sides:
    OrderSide: ClassVar = {"BUY": "B", "SELL": "S"}


def test_coroutines_of_o2_sdk_run_on_a_thread_of_their_own(beside: Any) -> None:
    sdk = beside.Sdk(Client)
    orders, price = beside.SdkOrders(sdk, Sides), Decimal("0.02")
    orders.create("FUEL/USDC", "buy", price, Decimal(50))
    assert orders.replace("FUEL/USDC", ["0xaa"], price, price * 2, Decimal(1)) == []
    with pytest.raises(ValueError, match="of the SDK"):
        sdk.call(sdk.client.fail())
    asked = sdk.client.asked
    sdk.close()
    assert asked == [
        "o2-sdk",
        ("FUEL/USDC", "B", price, Decimal(50)),
        (
            "FUEL/USDC",
            ("cancel_order", "0xaa"),
            ("settle_balance",),
            ("create_order", "B", price, Decimal(1)),
            ("create_order", "S", price * 2, Decimal(1)),
            ("build",),
        ),
        "closed",
    ]
