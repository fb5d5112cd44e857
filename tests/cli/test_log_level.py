from __future__ import annotations

from tests.cli.running import Running


def test_the_level_of_a_run_is_shown_and_changed(live_run: Running) -> None:
    assert live_run.ask("log-level").stdout == "actors: info\n"
    told = live_run.ask("log-level", "debug", "--logger", "actors.service", "--for", 600)
    assert (told.returncode, told.stdout) == (0, "actors: info\nactors.service: debug\n")
    live_run.logged("is debug for 600 s, as ")
    live_run.ask("log-level")
    live_run.logged("GET '/log-level': 200")
    wrong = live_run.ask("log-level", "loud")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "expected debug, info, warning, error or reset" in wrong.stderr
    assert live_run.ask("log-level", "--for", 5).returncode == 2
