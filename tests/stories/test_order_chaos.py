"""No order is placed twice, and each has the outcome that the venue counts, whatever fails: from a seed.

`make chaos SEEDS=x20 ROUNDS=50` plays more of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
from actors.simulators import FaultyProxy
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from actors.trading.request_meter import RequestMeter
from tests.support.internals import Internals
from tests.support.order_chaos import ACCOUNTS, OrderChaos

pytestmark = pytest.mark.timeout(0)  # as long as the rounds that were asked for


@pytest.fixture(autouse=True)
def _without_meters(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are another story: here a login may ask as often as it likes."""
    monkeypatch.setattr(RequestMeter, "take", lambda *_: 0.0)
    monkeypatch.setattr(RequestMeter, "leave", lambda *_: None)
    monkeypatch.setattr(RequestMeter, "late", lambda *_: None)


@pytest.fixture
def chaos(seed: int, tmp_path: Path) -> Iterator[OrderChaos]:
    folder = tmp_path / "orders"
    OrderStore.create(folder).close()
    with (
        Internals.at_work(),
        SimulatedProjectX(rate=0, accounts=ACCOUNTS, rest_limit=0, bars_limit=0, seed=seed) as venue,
        FaultyProxy(venue.url, seed=seed) as proxy,
    ):
        feed = {
            "venue": "projectx",
            "url": proxy.url,
            "trading": True,
            "user_name": "me",
            "api_key": "a-key-of-the-gateway",
            "limits": {"max_size": 10, "orders_per_minute": 1_000_000},
        }
        config = {
            "runtime": {"watchdog_timeout": 0.3},
            "trading": {"dir": str(folder)},
            "feeds": {"projectx": feed},
        }
        chaos = OrderChaos(seed, venue, proxy, lambda: actors.start(config))
        yield chaos
        chaos.close()


def test_no_order_is_placed_twice_and_each_has_the_outcome_that_the_venue_counts(
    chaos: OrderChaos, seed: int, rounds: int
) -> None:
    for number in range(rounds):
        chaos.done.append(f"--seeds {seed} --rounds {rounds}, round {number}:")
        if number % 4 == 3:
            chaos.stop_in_the_middle()
        else:
            chaos.round()
    assert chaos.outcomes["Accepted"] > 0
    assert chaos.venue.seen.placed_twice == []
