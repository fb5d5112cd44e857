from __future__ import annotations

import signal

import pytest

from actors.simulators import SIMULATORS
from tests.cli.conftest import Invoke
from tests.commands import ENDING, child, posix


def test_sim_refuses_what_it_cannot_play(linewarden: Invoke) -> None:
    assert f"known: {', '.join(sorted(SIMULATORS))}" in linewarden("sim", "xyz").stderr
    odd = linewarden("sim", "o2", "--fault", "drp")
    assert odd.exit_code == 2
    assert "did you mean 'drop'?" in odd.stderr
    assert linewarden("sim", "o2", "--rate", "nan").exit_code == 2


def test_sim_prints_the_faults_that_it_can_play(linewarden: Invoke) -> None:
    told = linewarden("sim", "alpaca", "--list-faults")
    assert told.exit_code == 0
    rows = told.stdout.splitlines()
    assert "refuse status=503 retry_after=0.0 n=1" in rows
    assert "reject key" in rows
    assert all(row.startswith("    ") and len(row) > 10 for row in rows[1::2])


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sim_prints_its_url_and_ends_when_told(number: signal.Signals) -> None:
    with child("sim", "o2", "--seed", "1") as it:
        assert it.stdout is not None
        assert it.stdout.readline().startswith("ws://127.0.0.1:")
        it.send_signal(number)
        assert it.wait(timeout=ENDING) == 0
