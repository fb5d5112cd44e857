"""What a loss has swallowed of the market data of Alpaca, O2 and Binance's table comes from their history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

import actors
from actors import Gap, Received, Repaired, Runtime, Stream
from actors.simulators import SimulatedAlpaca, SimulatedO2, SimulatedTable, Simulator
from tests.support.runtimes import HEARTBEAT, RESTART, until

MARKET = "0x" + "aa" * 32
MINUTE = 60 * 10**9
TALK = """> {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}
< {"result":null,"id":1}
"""


class Case(Struct, frozen=True):
    """A venue's channel, its key, and how its simulator tells event number so-and-so."""

    venue: str
    channel: str
    key: str
    make: Callable[[Path], Simulator]
    tell: Callable[[Any, int], object]
    number: Callable[[Any], int]  # of an event
    feed: dict[str, Any] = {}


def binance(folder: Path) -> Simulator:
    (folder / "talk.txt").write_text(TALK, encoding="utf-8")
    (folder / "rows.json").write_text("[]", encoding="utf-8")
    return SimulatedTable(talk=str(folder / "talk.txt"), page=str(folder / "rows.json"), page_id="a")


def tell_binance(table: SimulatedTable, number: int) -> None:
    row = {"a": number, "p": "1", "q": "2", "f": number, "l": number, "T": number, "m": True, "M": True}
    table.add_row(row)
    data = {"e": "aggTrade", "E": number, "s": "BTCUSDT", **row}
    table.say(json.dumps({"stream": "btcusdt@aggTrade", "data": data}))


KEYS = {"key": "K", "secret": "S"}
BEGAN = time.time_ns() // MINUTE * MINUTE - 60 * MINUTE
CASES = {
    "alpaca trades": Case(
        "alpaca",
        "trades",
        "AAPL",
        lambda _: SimulatedAlpaca(rate=0, market=False),
        lambda alpaca, number: alpaca.trade("AAPL", 10, 1, i=number),
        lambda event: int(event.id),
        {**KEYS, "stream": "iex"},
    ),
    "alpaca crypto in msgpack": Case(
        "alpaca",
        "trades",
        "BTC/USD",
        lambda _: SimulatedAlpaca(rate=0, market=False),
        lambda alpaca, number: alpaca.trade("BTC/USD", 70_000.5, 0.25, i=number),
        lambda event: int(event.id),
        {**KEYS, "stream": "crypto", "encoding": "msgpack"},
    ),
    "alpaca bars": Case(
        "alpaca",
        "bars",
        "AAPL",
        lambda _: SimulatedAlpaca(rate=0, market=False),
        lambda alpaca, number: alpaca.bar("AAPL", t=BEGAN + number * MINUTE),
        lambda event: int((event.ts_ns - BEGAN) // MINUTE),
        {**KEYS, "stream": "iex"},
    ),
    "o2 trades": Case(
        "o2",
        "trades",
        MARKET,
        lambda _: SimulatedO2(rate=0, market=False),
        lambda o2, number: o2.trade(MARKET, trade_id=str(number)),
        lambda event: int(event.trade_id),
    ),
    "binance aggregate trades": Case(
        "binance", "agg_trades", "BTCUSDT", binance, tell_binance, lambda event: int(event.data["a"])
    ),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[str(request.param)]


@pytest.fixture
def venue(case: Case, tmp_path: Path) -> Iterator[Simulator]:
    with case.make(tmp_path) as simulator:
        yield simulator


@pytest.fixture
def runtime(case: Case, venue: Simulator) -> Iterator[Runtime]:
    feed = {"venue": case.venue, "url": venue.url, "backfill": True, "backfill_hold": 10.0, **case.feed}
    if case.venue == "alpaca":
        assert isinstance(venue, SimulatedAlpaca)
        feed["url"] = venue.url_of(case.feed["stream"])
    feed |= {"restart": RESTART, "heartbeat": HEARTBEAT}
    with actors.start({"feeds": {"desk": feed}}, wait=10.0) as runtime:
        yield runtime


def lose(case: Case, venue: Simulator, runtime: Runtime, *numbers: int, fault: str = "") -> None:
    """The line is lost; meanwhile these events happen; then it is live again, with this fault."""
    venue.refuse(503, n=1_000_000)
    venue.drop()
    until(runtime, lambda status: status.lines()["desk"].state != "live")
    for number in numbers:
        case.tell(venue, number)
    venue.heal()
    if fault:
        venue.arm(fault)
    until(runtime, lambda status: status.lines()["desk"].state == "live")


def words_to(case: Case, stream: Stream[Any], last: int) -> list[object]:
    """Numbers up to the last, negative if they came over HTTP, and words for what lies between."""
    words: list[object] = []
    for item in stream.items(timeout=20.0):
        match item:
            case Received(source=source):
                number = case.number(item.event)
                words.append(-number if source == "rest" else number)
                if number == last:
                    return words
            case Gap():
                words.append("gap")
            case Repaired(complete=complete):
                words.append("repaired" if complete else f"in part: {item.text}")
    raise AssertionError(f"the stream ended: {words}")


def test_the_events_of_a_loss_stand_behind_its_gap(case: Case, venue: Simulator, runtime: Runtime) -> None:
    stream = runtime.subscribe("desk", case.channel, case.key, wait=10.0)
    case.tell(venue, 1)
    case.tell(venue, 2)
    assert words_to(case, stream, 2) == [1, 2]
    lose(case, venue, runtime, 3, 4, 5)
    case.tell(venue, 6)
    assert words_to(case, stream, 6) == ["gap", -3, -4, -5, "repaired", 6]


def test_a_loss_without_events_is_complete(case: Case, venue: Simulator, runtime: Runtime) -> None:
    stream = runtime.subscribe("desk", case.channel, case.key, wait=10.0)
    case.tell(venue, 1)
    assert words_to(case, stream, 1) == [1]
    lose(case, venue, runtime)
    case.tell(venue, 2)
    assert words_to(case, stream, 2) == ["gap", "repaired", 2]


@pytest.mark.parametrize(
    "fault",
    [
        "page_refused status=503 n=9",
        "page_refused status=429 retry_after=60",
        "page_cut size=-3 n=9",
        "page_late seconds=30 n=9",
        "history_lags seconds=60",
        "page_reversed n=9",
    ],
)
def test_a_history_that_fails_is_told_and_the_stream_goes_on(
    case: Case, venue: Simulator, tmp_path: Path, fault: str
) -> None:
    feed = {"venue": case.venue, "url": venue.url, "backfill": True, "backfill_hold": 1.0, **case.feed}
    if isinstance(venue, SimulatedAlpaca):
        feed["url"] = venue.url_of(case.feed["stream"])
    feed |= {"restart": RESTART, "heartbeat": HEARTBEAT}
    with actors.start({"feeds": {"desk": feed}}, wait=10.0) as runtime:
        stream = runtime.subscribe("desk", case.channel, case.key, wait=10.0)
        case.tell(venue, 1)
        assert words_to(case, stream, 1) == [1]
        lose(case, venue, runtime, 2, 3, fault=fault)
        case.tell(venue, 4)
        words = words_to(case, stream, 4)
    if words == ["gap", -2, -3, "repaired", 4]:  # O2's pages may come in any order
        assert (case.venue, fault) == ("o2", "page_reversed n=9")
        return
    first, *numbers, part, live = words
    assert (first, live) == ("gap", 4)
    assert str(part).startswith("in part: ")
    assert numbers in ([], [-2], [-3], [-2, -3])  # a part of the venue's list, in its order
