"""A pytest plugin: `pytest_plugins = ["actors.testing"]` gives your tests a venue of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from actors.simulators import (
    SimulatedAlpaca,
    SimulatedO2,
    SimulatedProjectX,
    SimulatedTable,
    SimulatedTplus,
)


@pytest.fixture
def simulated_o2() -> Iterator[SimulatedO2]:
    """O2 on loopback, in which nothing moves by itself: it sends what a test makes it send."""
    with SimulatedO2(rate=0) as o2:
        yield o2


@pytest.fixture
def simulated_alpaca() -> Iterator[SimulatedAlpaca]:
    """Alpaca on loopback, in which nothing moves by itself: it sends what a test makes it send."""
    with SimulatedAlpaca(rate=0) as alpaca:
        yield alpaca


@pytest.fixture
def simulated_tplus() -> Iterator[SimulatedTplus]:
    """tplus on loopback, in which nothing moves by itself: it sends what a test makes it send."""
    with SimulatedTplus(rate=0) as tplus:
        yield tplus


@pytest.fixture
def simulated_projectx() -> Iterator[SimulatedProjectX]:
    """ProjectX on loopback, in which nothing moves by itself: it sends what a test makes it send."""
    with SimulatedProjectX(rate=0, snapshots=False) as projectx:
        yield projectx


@pytest.fixture
def simulated_table() -> Iterator[Callable[[str | Path], SimulatedTable]]:
    """Starts a simulator that plays a transcript to a feed of a table: `simulated_table("talks/a.txt")`.

    Raises:
        ConfigError: the file cannot be played.
    """
    with ExitStack() as started:

        def play(talk: str | Path) -> SimulatedTable:
            return started.enter_context(SimulatedTable(talk=str(talk), rate=0))

        yield play
