"""The venue's own SDK takes the simulator for O2. What it believes, our sessions may believe."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.simulators import SimulatedO2

pytestmark = pytest.mark.timeout(300)  # the first run makes a virtualenv

ALICE = "0x" + "a1" * 32
SLOTS = ("orders", "balances", "nonce")


class Program:
    """The SDK's program in its own process, and what it told."""

    def __init__(self, python: Path, *arguments: str) -> None:
        script = Path(__file__).with_name("o2_sdk_client.py")
        self.told: dict[str, queue.Queue[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [python, "-I", script, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        )
        self._readers = [
            threading.Thread(target=each, daemon=True) for each in (self._read, self._read_errors)
        ]
        self._errors: list[str] = []
        for reader in self._readers:
            reader.start()

    def hear(self, stream: str) -> dict[str, Any]:
        try:
            return self._queue(stream).get(timeout=20)
        except queue.Empty:
            pytest.fail(f"nothing came on {stream!r}; the program said: {''.join(self._errors)}")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _queue(self, stream: str) -> queue.Queue[dict[str, Any]]:
        with self._lock:
            return self.told.setdefault(stream, queue.Queue())

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            self._queue(told["stream"]).put(told)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0) as each:
        yield each


@pytest.fixture
def program(o2: SimulatedO2, sdk_python: Callable[[str], Path]) -> Iterator[Program]:
    each = Program(sdk_python("o2-sdk==0.5.0"), o2.url, o2.http_url, o2.markets[0], ALICE)
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
