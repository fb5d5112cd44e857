"""No stream falls silent, whatever dies, hangs, fills up or changes: the silence hunter, from seeds.

`make chaos SEEDS=x20 ROUNDS=50` hunts longer. A failure names its seed and lists the steps that led to it.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.conftest import seeds_of
from tests.support.field import Silence
from tests.support.hunter import hunt
from tests.support.rare import STOPPED, Rare
from tests.support.scenarios import comes_through

MORE = 6  # seeds that are tried for rare states that the given ones did not reach

pytestmark = pytest.mark.timeout(0)  # as long as the rounds that were asked for


def test_no_stream_falls_silent(pytestconfig: pytest.Config) -> None:
    """And no rare state is missed: one that no seed comes through is not tested."""
    seeds, rounds = seeds_of(pytestconfig), pytestconfig.getoption("rounds")
    found: list[str] = []
    reached: set[Rare] = set()
    more = range(max(seeds) + 1, max(seeds) + 1 + MORE) if comes_through(seeds, rounds) else ()
    for seed in (*seeds, *more):
        if seed in more and set(Rare) - STOPPED <= reached:
            break  # a busy machine may let the moment of a state pass: then further seeds are tried
        try:
            reached |= hunt(seed, rounds)
        except Silence as silence:
            found.append(str(silence))
    _report(found, seeds, rounds)
    if more:
        assert set(Rare) - STOPPED - reached == set()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="there is no SIGSTOP here")
def test_no_stream_falls_silent_when_processes_are_stopped(pytestconfig: pytest.Config) -> None:
    seeds, rounds = seeds_of(pytestconfig), pytestconfig.getoption("rounds")
    found: list[str] = []
    reached: set[str] = set()
    for seed in seeds[:: len(seeds) // 3 + 1]:
        command = [sys.executable, "-m", "tests.support.hunter", str(seed), str(max(1, rounds // 4))]
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 * rounds)
        if told.returncode:
            found.append(told.stdout + told.stderr)
        else:
            reached.update(told.stdout.split())
    _report(found, seeds, rounds)
    assert {state.name for state in STOPPED} <= reached


def _report(found: list[str], seeds: list[int], rounds: int) -> None:
    if found:
        told = [f"with --rounds {rounds}, {len(found)} of the seeds {seeds} failed", *found]
        pytest.fail("\n\n".join(told), pytrace=False)
