"""Bars of each venue are those of its own trades, over a loss as well; where it has no REST they say so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

import actors
from actors import Bar, Runtime
from actors.protocol.bars import SECOND_NS, Print, timeframe_of
from actors.rules.bars.periods import periods_of
from actors.simulators import SimulatedAlpaca, SimulatedO2, SimulatedTplus, Simulator
from tests.login.test_connector import SEED
from tests.rules.bars.venue import plain
from tests.stories.test_bars import until
from tests.support.runtimes import HEARTBEAT, KEY, RESTART, SECRET

SAYS = 60  # trades, all of one size


class Case(Struct, frozen=True):
    """A venue: what its trades are called, and in which of two timeframes its REST has bars."""

    make: Callable[[], Simulator]
    feed: Callable[[Any], dict[str, Any]]
    channel: str
    key: Callable[[Any], str]
    say: Callable[[Any, str], object]
    has_seconds: bool


CASES = {
    "alpaca": Case(
        lambda: SimulatedAlpaca(rate=0),
        lambda alpaca: {"venue": "alpaca", "url": alpaca.url_of("iex"), "key": KEY, "secret": SECRET},
        "trades",
        lambda _: "AAPL",
        lambda alpaca, key: alpaca.trade(key),
        False,
    ),
    "o2": Case(
        lambda: SimulatedO2(rate=0),
        lambda o2: {"venue": "o2", "url": o2.url},
        "trades",
        lambda o2: str(o2.markets[0]),
        lambda o2, key: o2.trade(key),
        True,
    ),
    "tplus": Case(
        lambda: SimulatedTplus(rate=0, market=False),
        lambda tplus: {"venue": "tplus", "url": tplus.url, "private_key": SEED},
        "market_trades",
        lambda _: "200",
        lambda tplus, key: tplus.trade(key),
        True,
    ),
}


def numbers(bar: Bar) -> tuple[Any, ...]:
    return bar.start_ns, bar.open, bar.high, bar.low, bar.close, bar.volume


OF_ALL = [name if name == "alpaca" else pytest.param(name, marks=pytest.mark.long) for name in sorted(CASES)]


@pytest.mark.parametrize("name", OF_ALL)
def test_bars_are_those_of_the_trades_over_a_loss_as_well(name: str) -> None:
    case = CASES[name]
    with case.make() as simulator:
        table = {"restart": RESTART, "heartbeat": HEARTBEAT} | case.feed(simulator)
        key = case.key(simulator)
        with actors.start({"feeds": {"feed": table}}, wait=10.0) as runtime:
            tape = runtime.subscribe("feed", case.channel, key, wait=10.0)
            runtime.bars("feed", key, "1s", "1min", history=5, wait=20.0)
            for step in range(SAYS):
                case.say(simulator, key)
                time.sleep(0.1)
                if step == SAYS // 2:
                    simulator.drop()
            time.sleep(2.5)
            trades = told(runtime, tape)
            wanted = {bar.start_ns: bar for bar in plain(trades, periods_of(timeframe_of("1s"), None))}

            def is_right() -> bool:
                bars = runtime.bars("feed", key, "1s")["1s"].finished
                agreeing = [bar for bar in bars if numbers(bar) == numbers(wanted.get(bar.start_ns, bar))]
                if case.has_seconds:  # what the stream did not bring is in REST's bars
                    is_whole = sum(bar.volume for bar in bars) == SAYS * trades[0].size
                    return is_whole and all(bar.exact for bar in bars) and len(agreeing) >= len(bars) - 2
                return {bar.start_ns for bar in bars if bar.exact} <= {bar.start_ns for bar in agreeing}

            until(is_right)
            if not case.has_seconds:
                marked = [bar for bar in runtime.bars("feed", key, "1s")["1s"].finished if not bar.exact]
                assert marked, "nothing says that trades may be missing"
                assert not any(bar.complete for bar in marked)


def told(runtime: Runtime, tape: actors.Stream[Any]) -> list[Print]:
    """The trades that the stream has brought."""
    venue = runtime._spec_of("feed").venue
    events = tape.get_many(10_000, timeout=5.0)
    prints = [venue.trade(event) for event in events]
    return [each for each in prints if each is not None]


def test_a_loss_that_was_back_filled_leaves_no_mark_on_bars_that_rest_does_not_have() -> None:
    case, numbers = CASES["alpaca"], count(1)
    with SimulatedAlpaca(rate=0, market=False) as alpaca:
        table = {"restart": RESTART, "heartbeat": HEARTBEAT, "backfill": True, "backfill_hold": 10.0}
        with actors.start({"feeds": {"feed": table | case.feed(alpaca)}}, wait=10.0) as runtime:
            runtime.bars("feed", "AAPL", "1s", wait=20.0)

            def say() -> None:
                alpaca.trade("AAPL", 10, 1, i=next(numbers))
                time.sleep(0.1)  # trades of real time make the bars

            def bars() -> tuple[Bar, ...]:
                return runtime.bars("feed", "AAPL", "1s")["1s"].finished

            def later() -> tuple[Bar, ...]:
                say()
                return tuple(bar for bar in bars() if bar.start_ns > first)

            first = 0
            until(lambda: any(bar.exact for bar in later()))
            first = next(bar for bar in bars() if bar.exact).start_ns
            alpaca.refuse(503, n=1_000_000)
            alpaca.drop()
            until(lambda: any(not bar.exact for bar in later()) or not runtime.bars("feed", "AAPL").synced)
            for _ in range(15):
                say()
            alpaca.heal()
            until(lambda: len(found := later()) >= 5 and all(bar.exact and bar.complete for bar in found))
            whole = later()
            assert [after.start_ns - bar.start_ns for bar, after in pairwise(whole)] == [SECOND_NS] * (
                len(whole) - 1
            )
            counters = runtime.status().lines()["feed"].counters
            assert (counters.repaired, counters.unrepaired) == (1, 0)


def test_a_table_has_bars_of_its_trades_and_says_what_it_lacks(tmp_path: Path) -> None:
    began = int(time.time() * 1000)
    trades = [
        {"e": "trade", "E": at, "s": "BTCUSDT", "t": number, "p": f"{100 + number}.5", "q": "0.25", "T": at}
        for number, at in enumerate(range(began, began + 3_000, 100))
    ]
    subscribe = {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}
    talk = tmp_path / "talk.txt"
    lines = [
        f"> {json.dumps(subscribe)}",
        '< {"result":null,"id":1}',
        *(f"< {json.dumps({'stream': 'btcusdt@trade', 'data': each})}" for each in trades),
    ]
    talk.write_text("\n".join(lines), encoding="utf-8")
    feed = {"venue": "binance", "url": f"sim://table?talk={talk}"}
    with actors.start({"feeds": {"feed": feed}}, wait=10.0) as runtime:
        view = runtime.bars("feed", "btcusdt", "1s", "1day", wait=10.0)
        assert view["1day"].synced

        def volume() -> Decimal:
            view = runtime.bars("feed", "btcusdt", "1s")["1s"]
            return sum((bar.volume for bar in view.finished), Decimal(0))

        until(lambda: volume() == Decimal("0.25") * len(trades))
        forming = runtime.bars("feed", "btcusdt")["1day"].forming
        assert forming is not None
        assert (forming.trades, forming.exact, forming.complete) == (len(trades), False, False)
