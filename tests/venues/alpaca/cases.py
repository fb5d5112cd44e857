"""Alpaca in the stories that are told of all venues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.secret import Secret
from actors.simulators import SimulatedAlpaca
from tests.support.runtimes import KEY, SECRET
from tests.support.venue_cases import End, Outages, Soaked

OWN = {"key": Secret(KEY), "secret": Secret(SECRET)}
OUTAGES = Outages(
    lambda: SimulatedAlpaca(rate=0),
    {"key": KEY, "secret": SECRET},
    ("quotes", "AAPL"),
    lambda venue: venue.quote("AAPL"),
    {"during auth": "frame 1", "mid-replay": "frame 2"},
    url=lambda venue: str(venue.url_of("iex")),
)
SOAKED = Soaked(lambda _: ("quotes", "AAPL", "MSFT"), {"stream": "iex", "key": "demo", "secret": "demo"})


@contextmanager
def end(directory: Path) -> Iterator[End]:
    with SimulatedAlpaca(rate=0) as alpaca:
        yield End(
            alpaca,
            {"venue": "alpaca", "url": alpaca.url_of("iex"), "key": KEY, "secret": SECRET},
            "quotes",
            "AAPL",
            "feed",
            lambda number: alpaca.quote("AAPL", bp=float(number)),
            lambda quote: int(quote.bid_price),
        )
