from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Invoke
from tests.commands import PATIENCE, child

COMMANDS = ("run", "check", "venues", "sim")


ASKING = (
    "status", "tail", "journal", "quarantine", "dead-letters", "restart", "pause", "resume", "reload",
)  # fmt: skip


def test_help_tells_of_every_command(linewarden: Invoke) -> None:
    told = linewarden("--help")
    assert told.exit_code == 0
    for command in (*COMMANDS, *ASKING):
        assert f"  {command} " in told.stdout
        assert linewarden(command, "--help").exit_code == 0
    assert told.stdout.count("...") == 1  # [ARGS]...; no sentence is cut short


def test_a_usage_error_is_2(linewarden: Invoke, config: Path) -> None:
    for arguments in (
        ["chek"],
        ["check"],
        ["run", config, "--duration", "-1"],
        ["run", config, "--log-level", "x"],
    ):
        assert linewarden(*arguments).exit_code == 2


def test_the_module_is_the_command(tmp_path: Path) -> None:
    with child("--version") as it:
        out, _ = it.communicate(timeout=PATIENCE)
        assert (out.split()[0], it.returncode) == ("linewarden", 0)
