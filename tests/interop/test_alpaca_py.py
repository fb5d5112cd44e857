"""The venue's own SDK takes the simulator for Alpaca. What it believes, our sessions may believe."""

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

from actors.simulators import SimulatedAlpaca

OPTION = "AAPL281215C00200000"
SUBSCRIPTIONS = [
    *((channel, "AAPL") for channel in ("quotes", "trades", "bars", "updatedBars", "dailyBars", "statuses")),
    ("orderbooks", "BTC/USD"),
    ("trades", "BTC/USD"),
    ("quotes", OPTION),
    ("trades", OPTION),
    ("news", "*"),
    ("trade_updates", ""),
]


class Program:
    """The SDK's program in its own process, and what it told."""

    def __init__(self, python: Path, *arguments: str) -> None:
        script = Path(__file__).with_name("alpaca_py_client.py")
        self.told: dict[str, queue.Queue[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [python, "-I", script, *arguments],
            stdin=subprocess.PIPE,
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

    def hear(self, stream: str) -> Any:
        """The next update of that stream or, where there is none, what was told instead."""
        try:
            told = self._queue(stream).get(timeout=30)
        except queue.Empty:
            pytest.fail(f"nothing came on {stream!r}; the program said: {''.join(self._errors)}")
        return told.get("update", told)

    def hear_log(self, *words: str) -> str:
        """The next line of the SDK's log that has all these words."""
        while True:
            text: str = self.hear("log")["text"]
            if all(word in text for word in words):
                return text

    def ask(self) -> None:
        """Has the program ask the pages."""
        assert self._process.stdin is not None
        self._process.stdin.write("ask\n")
        self._process.stdin.flush()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
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
def alpaca() -> Iterator[SimulatedAlpaca]:
    with SimulatedAlpaca(rate=0, keys={"PK1": "hush"}) as each:
        yield each


@pytest.fixture
def start(alpaca: SimulatedAlpaca, sdk_python: Callable[[str], Path]) -> Iterator[Callable[[str], Program]]:
    """Starts the program with this secret."""
    programs = []

    def make(secret: str) -> Program:
        python = sdk_python("alpaca-py==0.44.0")
        programs.append(Program(python, alpaca.url, alpaca.http_url, "PK1", secret))
        return programs[0]

    yield make
    for each in programs:
        each.end()


def test_the_sdk_hears_every_stream_and_comes_back_after_a_drop(
    alpaca: SimulatedAlpaca, start: Callable[[str], Program]
) -> None:
    program = start("hush")

    def all_subscribed() -> bool:
        return all(alpaca.subscribers(*each) == 1 for each in SUBSCRIPTIONS)

    for life in (1, 2):
        alpaca.wait_for(all_subscribed, timeout=60)
        acknowledged = program.hear_log("subscribed to", "quotes: ['AAPL']")
        assert "corrections: ['AAPL']" in acknowledged

        alpaca.quote("AAPL", bid=10.01, ask=10.02, t="2026-03-02T15:04:05.120000045Z")
        heard = program.hear("quotes")
        assert (heard["symbol"], heard["bid_price"], heard["ask_price"]) == ("AAPL", 10.01, 10.02)
        assert heard["timestamp"] == "2026-03-02 15:04:05.120000+00:00"  # the SDK cuts nanoseconds off
        alpaca.trade("AAPL", 10.02, 100, i=77)
        heard = program.hear("trades")
        assert (heard["id"], heard["price"], heard["size"], heard["conditions"]) == (77, 10.02, 100, ["@"])
        for channel in ("bars", "updatedBars", "dailyBars"):
            told = alpaca.bar("AAPL", channel)
            assert program.hear(channel)["volume"] == told["v"]
        alpaca.status("AAPL", "H", "Trading Halt")
        assert program.hear("statuses")["status_code"] == "H"
        alpaca.correction("AAPL", cp=10.0)
        heard = program.hear("corrections")
        assert (heard["original_price"], heard["corrected_price"]) == (10.02, 10.0)
        alpaca.cancel_error("AAPL")
        assert program.hear("cancelErrors")["id"] == 77

        heard = program.hear("orderbooks")
        assert heard["reset"] is True
        assert heard["bids"][0]["price"] < heard["asks"][0]["price"]
        alpaca.orderbook("BTC/USD", {heard["bids"][0]["price"]: 0})
        heard = program.hear("orderbooks")
        assert (heard["reset"], heard["bids"][0]["size"], heard["asks"]) == (False, 0, [])
        alpaca.trade("BTC/USD", 70_000.5, 0.25)
        assert program.hear("crypto trades")["size"] == 0.25
        alpaca.quote(OPTION, bid=12.3)
        assert program.hear("option quotes")["bid_price"] == 12.3
        alpaca.trade(OPTION, 12.35, 3)
        assert program.hear("option trades")["conditions"] == "a"
        alpaca.news("AAPL", headline="Something happened")
        assert program.hear("news")["headline"] == "Something happened"

        new = alpaca.trade_update("new", {"symbol": "AAPL", "qty": "100"})
        assert program.hear("trade updates")["event"] == "new"
        alpaca.trade_update("partial_fill", {"id": new["order"]["id"]}, qty="40", price="10.02")
        heard = program.hear("trade updates")
        assert (heard["event"], heard["qty"], heard["price"]) == ("partial_fill", 40, 10.02)
        alpaca.multi_leg(OPTION, "AAPL281215P00200000")
        heard = program.hear("trade updates")
        assert heard["execution_id"] is None
        assert [leg["symbol"] for leg in heard["order"]["legs"]] == [OPTION, "AAPL281215P00200000"]

        if life == 1:
            alpaca.error(405)
            program.hear_log("error: symbol limit exceeded (405)")
            alpaca.drop()
    assert alpaca.lives == 10  # five sockets, twice


def test_the_sdk_reads_every_page(alpaca: SimulatedAlpaca, start: Callable[[str], Program]) -> None:
    program = start("hush")
    alpaca.quote("AAPL", bid=10.01, ask=10.02)
    alpaca.trade("AAPL", 10.02)
    alpaca.quote(OPTION, bid=12.3)
    alpaca.news("AAPL", headline="Something happened")
    alpaca.trade_update("fill")
    program.ask()

    heard = program.hear("latest quote")
    assert (heard["bid_price"], heard["ask_price"]) == (10.01, 10.02)
    assert program.hear("latest trade")["price"] == 10.02
    assert program.hear("snapshot")["daily_bar"]["close"] == 10.02
    assert program.hear("option quote")["bid_price"] == 12.3
    assert program.hear("orderbook")["bids"]
    assert program.hear("articles")["headline"] == "Something happened"
    placed = program.hear("order")
    assert (placed["symbol"], placed["qty"], placed["limit_price"]) == ("XYZ", "5", "7")
    assert program.hear("orders")["id"] == placed["id"]
    assert program.hear("position")["qty"] == "100"
    assert program.hear("account")["status"] == "ACTIVE"
    assert program.hear("clock")["is_open"] is True


def test_the_sdk_is_told_of_wrong_keys(alpaca: SimulatedAlpaca, start: Callable[[str], Program]) -> None:
    program = start("wrong")
    program.hear_log("auth failed")
    program.hear_log("failed to authenticate")
    program.ask()
    assert "forbidden" in program.hear("latest quote")["error"]
