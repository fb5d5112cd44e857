"""`runtime.bars` of Alpaca, O2 and tplus begins with the venue's history, which has what a stream lacked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import Struct

import actors
from actors import BarsView, Runtime
from actors.simulators import SimulatedAlpaca, SimulatedO2, SimulatedTplus, Simulator
from tests.support.runtimes import HEARTBEAT, RESTART, until

MINUTE = 60 * 10**9
MARKET = "0x" + "aa" * 32

Trade = Callable[[Any, int, int, int], object]  # of a simulator: price, size, the venue's time in nanoseconds


class Case(Struct, frozen=True):
    """A venue, its key, and how its simulator is made to trade."""

    venue: str
    key: str
    make: Callable[[], Simulator]
    trade: Trade
    feed: dict[str, Any] = {}


CASES = {
    "alpaca stocks": Case(
        "alpaca",
        "AAPL",
        lambda: SimulatedAlpaca(rate=0, market=False),
        lambda venue, price, size, at: venue.trade("AAPL", price, size, t=at),
        {"key": "K", "secret": "S", "stream": "iex"},
    ),
    "alpaca crypto": Case(
        "alpaca",
        "BTC/USD",
        lambda: SimulatedAlpaca(rate=0, market=False),
        lambda venue, price, size, at: venue.trade("BTC/USD", price, size, t=at),
        {"key": "K", "secret": "S", "stream": "crypto"},
    ),
    "o2": Case(
        "o2",
        MARKET,
        lambda: SimulatedO2(rate=0, market=False),
        lambda venue, price, size, at: venue.trade(
            MARKET, price=str(price), quantity=str(size), timestamp=at // 10**6
        ),
    ),
    "tplus": Case(
        "tplus",
        "200",
        lambda: SimulatedTplus(rate=0, market=False),
        lambda venue, price, size, at: venue.trade(
            "200", price=str(price), quantity=str(size), timestamp_ns=at
        ),
    ),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[str(request.param)]


@pytest.fixture
def venue(case: Case) -> Iterator[Simulator]:
    with case.make() as simulator:
        yield simulator


@pytest.fixture
def runtime(case: Case, venue: Simulator) -> Iterator[Runtime]:
    feed = {"venue": case.venue, "url": venue.url, "restart": RESTART, "heartbeat": HEARTBEAT, **case.feed}
    with actors.start({"feeds": {"desk": feed}}, wait=10.0) as runtime:
        yield runtime


def minutes_ago(count: int) -> int:
    """The beginning of a minute."""
    return (time.time_ns() // MINUTE - count) * MINUTE


def told(view: BarsView) -> list[tuple[int, int, int, int, int, int]]:
    return [
        (bar.start_ns, int(bar.open), int(bar.high), int(bar.low), int(bar.close), int(bar.volume))
        for bar in view["1min"].finished
    ]


def test_bars_come_from_the_history(case: Case, venue: Simulator, runtime: Runtime) -> None:
    first, second = minutes_ago(4), minutes_ago(3)
    for at, price, size in ((first, 10, 2), (first + 10**6, 14, 1), (second, 12, 3)):
        case.trade(venue, price, size, at)
    view = runtime.bars("desk", case.key, "1min", "5min", history=10, wait=30.0)
    assert told(view) == [(first, 10, 14, 10, 14, 3), (second, 12, 12, 12, 12, 3)]
    assert sum(bar.volume for bar in view["5min"].finished) in {0, 3, 6}  # as the clock has it


# They have bars of seconds.
@pytest.mark.parametrize("case", ["o2", pytest.param("tplus", marks=pytest.mark.long)], indirect=True)
def test_a_trade_that_no_stream_brought_is_in_its_bar(case: Case, venue: Simulator, runtime: Runtime) -> None:
    case.trade(venue, 10, 2, minutes_ago(2))
    runtime.bars("desk", case.key, "1s", wait=30.0)
    venue.drop()
    at = time.time_ns()
    case.trade(venue, 11, 7, at)

    def is_mended() -> bool:
        view = runtime.bars("desk", case.key, "1s")
        found = [(int(bar.close), int(bar.volume), bar.exact) for bar in view["1s"].finished]
        return found[-1] == (11, 7, True) and view.synced

    until(runtime, lambda _: is_mended())


def test_a_live_trade_is_in_the_bar_of_its_own_time(case: Case, venue: Simulator, runtime: Runtime) -> None:
    case.trade(venue, 10, 2, minutes_ago(3))
    runtime.bars("desk", case.key, "1min", history=10, wait=30.0)
    at = time.time_ns()
    case.trade(venue, 13, 5, at)
    minute = at // MINUTE * MINUTE

    def has_it() -> bool:
        frame = runtime.bars("desk", case.key, "1min")["1min"]
        bars = [*frame.finished, *([frame.forming] if frame.forming else [])]
        return any((bar.start_ns, int(bar.close), int(bar.volume)) == (minute, 13, 5) for bar in bars)

    until(runtime, lambda _: has_it())
