"""What docs/migrating/o2-sdk.md says of o2-sdk's faults, seen in the SDK as it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.simulators import SimulatedO2
from benchmarks.installs import O2_SDK
from tests.interop.program import Program

ALICE, BOB = "0x" + "a1" * 32, "0x" + "b2" * 32
BURST = 1_500  # changes; the SDK keeps 1,000


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0) as each:
        yield each


@pytest.fixture
def on_sdk(o2: SimulatedO2, sdk_python: Callable[[str], Path]) -> Callable[[str], Any]:
    @contextmanager
    def start(scenario: str) -> Iterator[Program]:
        terms = (scenario, o2.url, o2.http_url, o2.markets[0], ALICE, BOB)
        program = Program(sdk_python(O2_SDK), "o2_sdk_faults.py", *terms)
        try:
            yield program
        finally:
            program.end()

    return start


def test_a_burst_leaves_the_book_wrong(o2: SimulatedO2, on_sdk: Callable[[str], Any]) -> None:
    with on_sdk("overflow") as program:
        program.hear("ready")
        for number in range(BURST):
            o2.depth_change(o2.markets[0], buys=[(1_000 + 10 * number, 5)])
        book = dict(map(tuple, program.hear("book")["bids"]))
    assert len(book) < len(o2.book(o2.markets[0])[0])


def test_a_loop_that_is_left_stays_subscribed_also_after_a_loss(
    o2: SimulatedO2, on_sdk: Callable[[str], Any]
) -> None:
    market = o2.markets[0]

    def is_subscribed() -> bool:
        return o2.subscribers("trades", market) == 1

    with on_sdk("leave") as program:
        o2.wait_for(is_subscribed, timeout=30.0)
        o2.trade(market)
        program.hear("left")
        assert is_subscribed()
        o2.drop()
        told = [program.hear("lifecycle") for _ in range(3)]
        assert [(each["state"], each["attempt"]) for each in told] == [
            ("disconnected", 0),
            ("reconnecting", 1),
            ("reconnected", 0),
        ]
        o2.wait_for(is_subscribed, timeout=30.0)


def test_a_message_that_cannot_be_read_leaves_a_second_connection_open(
    o2: SimulatedO2, on_sdk: Callable[[str], Any]
) -> None:
    with on_sdk("errors") as program:
        program.hear("ready")
        o2.wait_for(lambda: o2.subscribers("trades", o2.markets[0]) == 1, timeout=30.0)
        o2.garbage()
        o2.wait_for(lambda: o2.lives == 2, timeout=30.0)
        assert o2.connections == 2


def test_two_streams_of_orders_get_the_orders_of_the_first_account(
    o2: SimulatedO2, on_sdk: Callable[[str], Any]
) -> None:
    with on_sdk("accounts") as program:
        o2.wait_for(lambda: o2.subscribers("orders", ALICE) == 1, timeout=30.0)
        order = o2.order(ALICE)["order_id"]
        assert program.hear("alice")["orders"] == program.hear("bob")["orders"] == [order]
        assert o2.subscribers("orders", BOB) == 0


def test_an_error_of_the_venue_is_seen_nowhere(o2: SimulatedO2, on_sdk: Callable[[str], Any]) -> None:
    with on_sdk("errors") as program:
        assert program.hear("ready")["change_has_best_ask"] is False
        o2.wait_for(lambda: o2.subscribers("trades", o2.markets[0]) == 1, timeout=30.0)
        o2.error(code=1001, message="invalid request")
        o2.trade(o2.markets[0])
        assert program.hear("trades")["trades"] == 1
        assert "log" not in program.told
