"""The fills that a loss has swallowed: asked for by REST, between the gap and what came after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors import Closed, Gap, Lifecycle, Received, Repaired, Runtime, Stream
from actors.simulators.projectx import SimulatedProjectX
from tests.stories.test_projectx import ALICE, EP, USER, runtime_on
from tests.support.counters import settle
from tests.support.runtimes import at_epoch, until

FILLS = {"channel": "account_trades", "keys": [ALICE]}
ACCOUNT = int(ALICE)


@pytest.fixture
def px() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False) as simulator:
        yield simulator


def fill(px: SimulatedProjectX) -> int:
    """One that the venue has in its list, and tells who listens. Its id."""
    return int(px.user_trade(ACCOUNT, EP)["id"])


def followed(runtime: Runtime) -> Stream[Any]:
    return runtime.subscribe("projectx", "account_trades", ALICE, wait=10.0)


def read_to(stream: Stream[Any], last: int) -> list[Any]:
    """All items up to the fill of this id, but for the states of the line."""
    items: list[Any] = []
    for item in stream.items(timeout=20.0):
        if not isinstance(item, Lifecycle):
            items.append(item)
        if isinstance(item, Received) and int(item.event.id) == last:
            return items
    raise AssertionError(f"the stream ended before {last}: {items}")


def words(items: list[Any]) -> list[object]:
    """An id for each fill, negative if REST brought it, and a word for each marker."""
    told: list[object] = []
    for item in items:
        match item:
            case Received(source="rest"):
                told.append(-int(item.event.id))
            case Received():
                told.append(int(item.event.id))
            case Gap():
                told.append("gap")
            case Repaired(complete=complete):
                told.append("repaired" if complete else "repaired in part")
            case Closed():
                told.append("closed")
    return told


class Away:
    """The user hub is cut, and nothing of it comes back until `end`."""

    def __init__(self, px: SimulatedProjectX, runtime: Runtime) -> None:
        self._px, self._runtime = px, runtime
        self._epoch = runtime.status().lines()[USER].epoch

    def __enter__(self) -> None:
        self._px.refuse(503)
        self._px.drop()
        until(self._runtime, lambda status: status.lines()[USER].state != "live")

    def __exit__(self, *_: object) -> None:
        self._px.refuse(0)
        until(self._runtime, lambda status: status.lines()[USER].state == "live")


def test_fills_of_an_outage_stand_between_the_gap_and_what_came_after_it(px: SimulatedProjectX) -> None:
    with runtime_on(px, subscribe=[FILLS]) as runtime:
        stream = followed(runtime)
        before = [fill(px), fill(px)]
        assert words(read_to(stream, before[-1])) == before
        with Away(px, runtime):
            lost = [fill(px) for _ in range(5)]
        after = [fill(px)]
        items = read_to(stream, after[-1])
        assert words(items) == ["gap", *[-each for each in lost], "repaired", *after]
        (repaired,) = [item for item in items if isinstance(item, Repaired)]
        assert (repaired.count, repaired.gap) == (5, items[0])
        settle(runtime)
        assert runtime.status().lines()[USER].counters.repaired == 1
