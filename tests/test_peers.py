"""What is said of a program in docs/peers.md has to be what it said."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import msgspec
import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

from benchmarks.reliability import trials
from benchmarks.reliability.judging import ended, missing, since, told
from benchmarks.reliability.market import Market
from benchmarks.reliability.program import Program, Said
from benchmarks.shapes.binance import BinanceTrades
from benchmarks.shapes.o2 import O2Trades


def said(*lines: tuple[str, object]) -> list[Said]:
    return [Said(float(at), kind, what) for at, (kind, what) in enumerate(lines)]


def test_what_the_program_was_told_is_named_once_and_in_its_order() -> None:
    lines = said(
        ("told", "lost"), ("logged", "oh"), ("told", "again"), ("told", "lost"), ("ended", "Error: a|b")
    )
    assert told(lines) == "told: lost, again, ended (Error: a/b)"
    assert ended(lines)


def test_a_log_is_not_the_program() -> None:
    assert told(said(("heard", 1), ("logged", "oh"))) == "told: no, logged"
    assert told(said(("heard", 1), ("printed", "oh"))) == "told: no"


def test_only_events_that_were_not_heard_are_missing() -> None:
    assert missing(said(("heard", 3), ("heard", 5), ("heard", 9)), after=3, until=9) == 4
    assert missing(said(("heard", 3), ("heard", 4)), after=3, until=4) == 0


def test_what_was_said_before_does_not_count() -> None:
    lines = said(("told", "before"), ("told", "after"))
    assert told(since(lines, 1.0)) == "told: after"


def number(socket: ClientConnection) -> int:
    found: int = msgspec.json.decode(socket.recv(timeout=10.0))["data"]["a"]
    return found


def test_a_market_goes_on_while_its_venue_is_away() -> None:
    with Market(BinanceTrades(1)) as market:
        url = f"{market.shape.address()['url']}stream?streams=btcusdt@aggTrade"
        with connect(url, proxy=None) as socket:
            heard = [number(socket)]
            market.say_goodbye()
            with pytest.raises(ConnectionClosedOK, match="1001"):
                heard.extend(iter(partial(number, socket), 0))
        market.come_back()
        with connect(url, proxy=None) as socket:
            assert number(socket) > heard[-1]


def test_a_program_goes_on_after_its_handler_raised() -> None:
    with (
        Market(O2Trades(1)) as market,
        Program(Path(sys.executable), "linewarden", "o2", market.shape.address(), raise_at=3) as program,
    ):
        assert trials.raising(market, program).startswith("went on; told: status: handler_errors 1")
