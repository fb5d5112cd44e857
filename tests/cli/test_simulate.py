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
    at = rows.index("delay_ack seconds")
    assert rows[at + 2] == "        seconds: of the delay (a number)"
    heads = [number for number, row in enumerate(rows) if not row.startswith(" ")]
    assert all(rows[number + 1].startswith("    ") and len(rows[number + 1]) > 10 for number in heads)


def test_sim_takes_each_setting_as_an_option(linewarden: Invoke) -> None:
    told = linewarden("sim", "o2", "--list-settings").stdout.splitlines()
    assert told[told.index("--snapshot-key orders") + 1].endswith("(orders or view or '')")
    for words, problem in (
        (["--rte", "5"], "did you mean 'rate'?"),
        (["--name-errors", "perhaps"], "name_errors takes true or false"),
        (["--snapshot-key=box"], "snapshot_key takes orders or view or ''"),
        (["--port", "70000"], "Invalid value for '--port'"),
        (["view"], "'view' is no option"),
    ):
        refused = linewarden("sim", "o2", *words)
        assert refused.exit_code == 2
        assert problem in " ".join(refused.stderr.replace("│", " ").split())


def test_sim_takes_a_simulator_of_your_own(linewarden: Invoke) -> None:
    own = "tests.venues.ticks.simulator:SimulatedTicks"
    assert "delay_ack seconds" in linewarden("sim", own, "--list-faults").stdout
    for name, problem in (
        ("no_such_module:Own", "(ModuleNotFoundError: No module named 'no_such_module'); install it, or put"),
        ("tests.venues.ticks.simulator:Tocks", "cannot be imported (AttributeError: "),
        ("tests.venues.ticks.venue:Ticks", "is no subclass of actors.simulators.Simulator"),
    ):
        refused = linewarden("sim", name)
        assert refused.exit_code == 2
        assert problem in " ".join(refused.stderr.replace("│", " ").split())


def test_sim_names_a_port_that_is_taken(linewarden: Invoke) -> None:
    with SIMULATORS["o2"]() as other:
        refused = linewarden("sim", "o2", "--port", str(other.port))
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"port {other.port}: ")
    assert refused.stderr.endswith("; choose another port.\n")


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sim_prints_its_url_and_ends_when_told(number: signal.Signals) -> None:
    with child("sim", "o2", "--seed", "1") as it:
        assert it.stdout is not None
        assert it.stdout.readline().startswith("ws://127.0.0.1:")
        it.send_signal(number)
        assert it.wait(timeout=ENDING) == 0
