"""The guide's venue in the stories that are told of all venues. This folder is all that registers it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.support.venue_cases import End
from tests.venues.ticks.simulator import SimulatedTicks

SYMBOL = "XYZ"


@contextmanager
def end(directory: Path) -> Iterator[End]:
    with SimulatedTicks(rate=0) as ticks:
        order = count(1)
        yield End(
            ticks,
            {"venue": "tests.venues.ticks.venue:Ticks", "url": ticks.url, "key": "K"},
            "ticks",
            SYMBOL,
            "feed",
            lambda number: ticks.tick(next(order), SYMBOL, str(number)),
            lambda tick: int(tick.price),
        )
