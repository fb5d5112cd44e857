"""Everything at once, from a seed: the counters reconcile at every rest, and no hole is without its marker.

`make chaos SEEDS=20 ROUNDS=50` plays more of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from actors.rules.restarts import Intensity
from actors.simulators import SimulatedO2
from tests.support.chaos import Chaos
from tests.support.counters import reconciled
from tests.support.runtimes import fresh, runtime_on

pytestmark = pytest.mark.timeout(0)  # as long as the rounds that were asked for


@pytest.fixture(autouse=True)
def _workers_may_die_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than five deaths of one in a minute would end the runtime, which is another story."""
    monkeypatch.setattr("actors.supervisor.Intensity", functools.partial(Intensity, 1_000_000))


@pytest.fixture(params=[False, True], ids=["gaps stay", "gaps are filled"])
def is_filled(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def chaos(seed: int, is_filled: bool) -> Iterator[Chaos]:
    feed: dict[str, Any] = {"block_timeout": 0.05, "backfill": is_filled, "backfill_hold": 0.3}
    with SimulatedO2(rate=0, seed=seed) as venue, runtime_on(venue, **feed) as runtime:
        chaos = Chaos(seed, runtime, venue)
        yield chaos
        chaos.close()


def test_the_counters_reconcile_and_every_hole_is_marked_whatever_happens(
    chaos: Chaos, seed: int, rounds: int, is_filled: bool
) -> None:
    runtime, markets = chaos.runtime, chaos.venue.markets
    first, second, third = markets
    whole = runtime.subscribe("o2", "trades", *markets, wait=5.0, policy="block", capacity=10_000_000)
    streams = [
        whole,
        runtime.subscribe("o2", "trades", *markets, wait=5.0, policy="drop_oldest", capacity=200),
        runtime.subscribe("o2", "trades", first, second, wait=5.0, policy="drop_newest", capacity=200),
        runtime.subscribe("o2", "trades", second, third, wait=5.0, policy="conflate"),
        runtime.subscribe("o2", "trades", third, wait=5.0, policy="block", capacity=200),
    ]
    _stream = runtime.subscribe("o2", "depth", first, wait=5.0, capacity=50)  # of changes; nobody reads it
    readers = chaos.read(*streams)
    for number in range(rounds):
        chaos.round()
        status = chaos.rest()
        where = f"--seeds {seed} --rounds {rounds}, round {number}: {', '.join(chaos.done)}"
        assert status.lines()["o2"].counters.restarts == chaos.outages, where
        assert status.lines()["o2"].rotations == chaos.rotations, where
        assert [reader.wrong for reader in readers] == [[]] * len(readers), where
    last = chaos.read_up()
    for stream in streams:
        stream.close()
    for reader in readers:
        reader.thread.join(30)
        stream = reader.stream
        where = f"--seeds {seed} --rounds {rounds}, {stream!r}: {', '.join(chaos.done)}"
        assert not reader.thread.is_alive(), where
        assert reader.wrong == [], where
        assert reader.heard().items() <= last.items(), where
        assert stream.received == stream.delivered + stream.dropped + stream.conflated, where
        assert reader.marked == stream.dropped, where
    told = {topic.key: count for topic, count in readers[0].outages.items() if count}
    assert told == {market: chaos.outages for market in markets if chaos.outages}, where
    status = fresh(runtime)
    assert whole.dropped <= status.lines()["o2"].counters.lost, where
    assert reconciled(status)
    counters = status.lines()["o2"].counters
    assert (counters.repaired + counters.unrepaired > 0) == (is_filled and chaos.outages > 0), where
