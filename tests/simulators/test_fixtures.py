"""The fixtures of `actors.testing`: venues in which nothing happens unless a test makes it happen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.simulators import SIMULATORS, SimulatedTable, Simulator

pytest_plugins = ["actors.testing"]
ROOT = Path(__file__).parents[2]
PAGE, PLUGIN = ROOT / "docs" / "testing.md", ROOT / "actors" / "testing.py"
VENUES = sorted(set(SIMULATORS) - {"table"})


@pytest.mark.parametrize("name", VENUES)
def test_nothing_moves_by_itself(name: str, request: pytest.FixtureRequest) -> None:
    simulator: Simulator = request.getfixturevalue(f"simulated_{name}")
    assert isinstance(simulator, SIMULATORS[name])
    assert simulator.settings.rate == 0
    assert getattr(simulator.settings, "snapshots", False) is False
    assert simulator.connections == 0  # it listens: this asks the server


def test_a_transcript_is_played_at_the_pace_of_the_test(
    simulated_table: Callable[[Path], SimulatedTable], tmp_path: Path
) -> None:
    talk = tmp_path / "talk.txt"
    talk.write_text('> {"a": 1}\n< {"b": 2}\n', encoding="utf-8")
    one, other = simulated_table(talk), simulated_table(talk)
    assert one.settings.rate == 0
    assert one.url != other.url


def test_the_page_names_each_fixture_and_no_other() -> None:
    fixtures = re.findall(r"^def (simulated_\w+)\(", PLUGIN.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fixtures) == len(VENUES) + 1
    named = re.findall(r"^\| `(simulated_\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert named == sorted(fixtures)
