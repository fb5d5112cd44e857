from __future__ import annotations

from tests.cli.running import Running
from tests.commands import PATIENCE


def test_drain_ends_a_run_with_0_and_returns_when_it_has_ended(live_run: Running) -> None:
    told = live_run.ask("drain", "--timeout", 20)
    assert (told.returncode, told.stdout, told.stderr) == (0, "The service has ended.\n", "")
    assert live_run.process.wait(PATIENCE) == 0
    live_run.logged("The service ends within 20 s, as ")
    assert live_run.ask("drain").returncode == 3
