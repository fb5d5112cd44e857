"""tplus in the stories that are told of all venues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.secret import Secret
from actors.simulators import SimulatedTplus
from tests.login.test_connector import SEED
from tests.support.venue_cases import End, Outages, Soaked

ASSET = "100"

OWN = {"private_key": Secret(SEED)}
OUTAGES = Outages(
    lambda: SimulatedTplus(rate=0, market=False),
    {
        "private_key": SEED,
        "subscribe": [{"channel": "orders"}, {"channel": "depth", "keys": ["200"]}],
    },
    ("trades",),
    lambda venue: venue.trade("200"),
    {"during auth": "POST", "mid-replay": "GET"},
    forget=lambda venue: venue.expire_tokens(),
)
SOAKED = Soaked(lambda _: ("trades",), {"private_key": SEED})


@contextmanager
def end(directory: Path) -> Iterator[End]:
    with SimulatedTplus(rate=0, market=False) as tplus:
        yield End(
            tplus,
            {"venue": "tplus", "url": tplus.url},
            "ticker",
            ASSET,
            f"feed/ticker-{ASSET}",
            lambda number: tplus.ticker(ASSET, last_price=str(number)),
            lambda ticker: int(ticker.last_price),
        )
