"""A venue is registered by its class: everything else about it is found by its name."""

from __future__ import annotations

import pytest

from actors.simulators import SIMULATORS, Simulator
from actors.venues import VENUES
from benchmarks.shapes import SHAPES
from tests.support import venue_cases

IN_CONFIGS = "signalr"  # a feed describes it: its class has no channels of its own
BUILT_IN = [name for name in VENUES if name != IN_CONFIGS]


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_venue_that_is_built_in_is_simulated_tried_and_measured(name: str) -> None:
    assert VENUES[name].name == name
    assert issubclass(SIMULATORS[name], Simulator)
    assert SIMULATORS[name].name == name
    assert name in venue_cases.VENUES
    assert name in venue_cases.by_venue("OUTAGES")
    assert name in venue_cases.by_venue("SOAKED")
    assert name in SHAPES


def test_a_venue_without_a_simulator_is_not_among_them() -> None:
    assert set(BUILT_IN) <= set(SIMULATORS)
    assert len(SIMULATORS) == len(list(SIMULATORS))
    assert IN_CONFIGS not in SIMULATORS


def test_a_folder_with_cases_is_all_that_adds_a_venue_to_the_stories() -> None:
    assert set(venue_cases.VENUES) == {*BUILT_IN, "pier", "ticks"}
