"""The venue's own SDK takes the simulator for Alpaca. What it believes, our sessions may believe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.simulators import SimulatedAlpaca
from benchmarks.installs import ALPACA_PY
from tests.interop.program import Program

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


class Desk(Program):
    """The SDK's program: it hears the `streams`, or reads the `pages` once."""

    def update(self, stream: str) -> Any:
        return self.hear(stream)["update"]

    def hear_log(self, *words: str) -> str:
        """The next line of the SDK's log that has all these words."""
        while True:
            text: str = self.hear("log")["text"]
            if all(word in text for word in words):
                return text


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    with SimulatedAlpaca(rate=0, keys={"PK1": "hush"}) as each:
        yield each


Start = Callable[[str, str], Desk]


@pytest.fixture
def start(alpaca: SimulatedAlpaca, sdk_python: Callable[[str], Path]) -> Iterator[Start]:
    """Starts the program: what it is to do, and with which secret."""
    desks = []

    def make(what: str, secret: str) -> Desk:
        python = sdk_python(ALPACA_PY)
        desks.append(Desk(python, "alpaca_py_client.py", what, alpaca.url, alpaca.http_url, "PK1", secret))
        return desks[-1]

    yield make
    for each in desks:
        each.end()


def test_the_sdk_hears_every_stream_and_comes_back_after_a_drop(
    alpaca: SimulatedAlpaca, start: Start
) -> None:
    program = start("streams", "hush")

    def all_subscribed() -> bool:
        return all(alpaca.subscribers(*each) == 1 for each in SUBSCRIPTIONS)

    for life in (1, 2):
        alpaca.wait_for(all_subscribed, timeout=60)
        acknowledged = program.hear_log("subscribed to", "quotes: ['AAPL']")
        assert "corrections: ['AAPL']" in acknowledged

        alpaca.quote("AAPL", bid=10.01, ask=10.02, t="2026-03-02T15:04:05.120000045Z")
        heard = program.update("quotes")
        assert (heard["symbol"], heard["bid_price"], heard["ask_price"]) == ("AAPL", 10.01, 10.02)
        assert heard["timestamp"] == "2026-03-02 15:04:05.120000+00:00"  # the SDK cuts nanoseconds off
        alpaca.trade("AAPL", 10.02, 100, i=77)
        heard = program.update("trades")
        assert (heard["id"], heard["price"], heard["size"], heard["conditions"]) == (77, 10.02, 100, ["@"])
        for channel in ("bars", "updatedBars", "dailyBars"):
            told = alpaca.bar("AAPL", channel)
            assert program.update(channel)["volume"] == told["v"]
        alpaca.status("AAPL", "H", "Trading Halt")
        assert program.update("statuses")["status_code"] == "H"
        alpaca.correction("AAPL", cp=10.0)
        heard = program.update("corrections")
        assert (heard["original_price"], heard["corrected_price"]) == (10.02, 10.0)
        alpaca.cancel_error("AAPL")
        assert program.update("cancelErrors")["id"] == 77

        heard = program.update("orderbooks")
        assert heard["reset"] is True
        assert heard["bids"][0]["price"] < heard["asks"][0]["price"]
        alpaca.orderbook("BTC/USD", {heard["bids"][0]["price"]: 0})
        heard = program.update("orderbooks")
        assert (heard["reset"], heard["bids"][0]["size"], heard["asks"]) == (False, 0, [])
        alpaca.trade("BTC/USD", 70_000.5, 0.25)
        assert program.update("crypto trades")["size"] == 0.25
        alpaca.quote(OPTION, bid=12.3)
        assert program.update("option quotes")["bid_price"] == 12.3
        alpaca.trade(OPTION, 12.35, 3)
        assert program.update("option trades")["conditions"] == "a"
        alpaca.news("AAPL", headline="Something happened")
        assert program.update("news")["headline"] == "Something happened"

        new = alpaca.trade_update("new", {"symbol": "AAPL", "qty": "100"})
        assert program.update("trade updates")["event"] == "new"
        alpaca.trade_update("partial_fill", {"id": new["order"]["id"]}, qty="40", price="10.02")
        heard = program.update("trade updates")
        assert (heard["event"], heard["qty"], heard["price"]) == ("partial_fill", 40, 10.02)
        alpaca.multi_leg(OPTION, "AAPL281215P00200000")
        heard = program.update("trade updates")
        assert heard["execution_id"] is None
        assert [leg["symbol"] for leg in heard["order"]["legs"]] == [OPTION, "AAPL281215P00200000"]

        if life == 1:
            alpaca.error(405)
            program.hear_log("error: symbol limit exceeded (405)")
            alpaca.drop()
    assert alpaca.lives == 10  # five sockets, twice


def test_the_sdk_reads_every_page(alpaca: SimulatedAlpaca, start: Start) -> None:
    alpaca.quote("AAPL", bid=10.01, ask=10.02)
    for minute in range(10):
        alpaca.trade("AAPL", 10 + minute / 10, t=f"2026-03-02T15:{minute:02}:05Z")
    alpaca.trade("AAPL", 10.02)
    alpaca.settings.page_rows = 3
    alpaca.quote(OPTION, bid=12.3)
    alpaca.news("AAPL", headline="Something happened")
    alpaca.trade_update("fill")
    program = start("pages", "hush")

    heard = program.update("latest quote")
    assert (heard["bid_price"], heard["ask_price"]) == (10.01, 10.02)
    assert program.update("latest trade")["price"] == 10.02
    trades = program.update("trades")["data"]["AAPL"]
    assert [each["price"] for each in trades] == [10 + minute / 10 for minute in range(10)]
    minutes = program.update("minutes")["data"]["AAPL"]
    assert [(each["close"], each["trade_count"]) for each in minutes] == [
        (10 + minute / 10, 1) for minute in range(10)
    ]
    assert program.update("snapshot")["daily_bar"]["close"] == 10.02
    assert program.update("option quote")["bid_price"] == 12.3
    assert program.update("orderbook")["bids"]
    assert program.update("articles")["headline"] == "Something happened"
    placed = program.update("order")
    assert (placed["symbol"], placed["qty"], placed["limit_price"]) == ("XYZ", "5", "7")
    assert program.update("orders")["id"] == placed["id"]
    assert program.update("position")["qty"] == "100"
    assert program.update("account")["status"] == "ACTIVE"
    assert program.update("clock")["is_open"] is True


def test_the_sdk_is_told_of_wrong_keys(alpaca: SimulatedAlpaca, start: Start) -> None:
    program = start("streams", "wrong")
    program.hear_log("auth failed")
    program.hear_log("failed to authenticate")
    assert "forbidden" in start("pages", "wrong").hear("latest quote")["error"]
