"""O2 in the stories that are told of all venues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.simulators import SimulatedO2
from tests.support.venue_cases import End, Outages, Soaked

MARKET = SimulatedO2(rate=0).markets[0]

OUTAGES = Outages(
    lambda: SimulatedO2(rate=0),
    {},
    ("trades", MARKET),
    lambda venue: venue.trade(MARKET),
    {"mid-replay": "frame 1"},
)
SOAKED = Soaked(lambda venue: ("trades", *venue.markets))


@contextmanager
def end(directory: Path) -> Iterator[End]:
    with SimulatedO2(rate=0) as o2:
        market = o2.markets[0]
        yield End(
            o2,
            {"venue": "o2", "url": o2.url},
            "trades",
            market,
            "feed",
            lambda number: o2.trade(market, trade_id=str(number)),
            lambda trade: int(trade.trade_id),
        )
