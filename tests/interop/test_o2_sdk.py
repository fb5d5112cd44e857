"""The venue's own SDK takes the simulator for O2. What it believes, our sessions may believe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.simulators import SimulatedO2
from benchmarks.installs import O2_SDK
from tests.interop.program import Program

ALICE = "0x" + "a1" * 32
SLOTS = ("orders", "balances", "nonce")


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0) as each:
        yield each


@pytest.fixture
def program(o2: SimulatedO2, sdk_python: Callable[[str], Path]) -> Iterator[Program]:
    each = Program(sdk_python(O2_SDK), "o2_sdk_client.py", o2.url, o2.http_url, o2.markets[0], ALICE)
    try:
        yield each
    finally:
        each.end()


def test_the_sdk_hears_every_channel_and_comes_back_after_a_drop(o2: SimulatedO2, program: Program) -> None:
    market = o2.markets[0]

    def all_subscribed() -> bool:
        slots = [("depth", market), ("trades", market), *((each, ALICE) for each in SLOTS)]
        return o2.subscribers("depth", market) == 2 and all(o2.subscribers(*slot) for slot in slots)

    for life in (1, 2):
        o2.wait_for(all_subscribed, timeout=30)
        assert [program.hear(stream)["snapshot"] for stream in ("depth", "client depth")] == [True, True]

        price, quantity = o2.book(market)[1].popitem()
        o2.depth_change(market, buys=[(1000, 5)], sells=[(price, -quantity)])
        told = program.hear("depth")
        assert not told["snapshot"]
        assert (dict(map(tuple, told["bids"])), dict(map(tuple, told["asks"]))) == o2.book(market)
        told = program.hear("client depth")  # of a coarser precision
        assert dict(map(tuple, told["asks"])) == o2.book(market, 10**9)[1]

        trade = o2.trade(market)
        assert program.hear("trades")["update"]["trades"][0]["trade_id"] == trade["trade_id"]
        order = o2.order(ALICE)
        assert program.hear("orders")["update"]["orders"][0]["order_id"] == order["order_id"]
        balance = o2.balance(ALICE)
        assert program.hear("balances")["update"]["balance"] == [balance]
        nonce = o2.nonce(ALICE)
        assert program.hear("nonce")["update"]["nonce"] == str(nonce)

        if life == 1:
            o2.drop()
            assert [program.hear("lifecycle")["state"] for _ in range(3)] == [
                "disconnected",
                "reconnecting",
                "reconnected",
            ]
    assert o2.lives == 4  # two sockets, twice
