from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from actors import cli
from tests.cli.conftest import Invoke
from tests.commands import PATIENCE, child

# A look at a service needs none of these: its cost would be several times as much.
NOT_NEEDED = ("actors.runtime", "actors.service", "actors.simulators", "actors.venues.", "actors.supervisor",
              "asyncio", "httpx", "pykka", "sqlite3", "textual", "websockets")  # fmt: skip
ASK = """
import sys
from actors import cli
cli.app(["status", "--url", "http://127.0.0.1:9"], standalone_mode=False)
print(*sys.modules)
"""


def test_help_tells_of_every_command(linewarden: Invoke) -> None:
    told = linewarden("--help")
    assert told.exit_code == 0
    for command in cli.COMMANDS:
        assert f"  {command} " in told.stdout
        assert linewarden(command, "--help").exit_code == 0
    assert told.stdout.count("...") == 1  # [ARGS]...; no sentence is cut short


def test_a_usage_error_is_2(linewarden: Invoke, desk_config: Path) -> None:
    for arguments in (
        ["chek"],
        ["run", desk_config, "--duration", "-1"],
        ["run", desk_config, "--log-level", "x"],
    ):
        assert linewarden(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--log-level", "foo", "'foo' is unknown; known: debug, error, info, warning."),
        ("--log-level", "inf", "'inf' is unknown; did you mean 'info'?"),
        ("--log-format", "xml", "'xml' is unknown; known: json, text."),
    ],
)
def test_a_wrong_choice_is_answered_with_those_there_are(
    linewarden: Invoke, desk_config: Path, option: str, value: str, told: str
) -> None:
    answer = linewarden("run", desk_config, option, value)
    assert answer.exit_code == 2
    assert answer.stderr.splitlines()[-1] == f"Error: Invalid value for {option}: {told}"


def test_a_shell_completes_a_choice(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = {"COMP_WORDS": "linewarden run desk.toml --log-level d", "COMP_CWORD": "4"}
    for name, value in {"_LINEWARDEN_COMPLETE": "complete_bash", **words}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        cli.main()
    assert capfd.readouterr().out.split() == ["debug"]


def test_the_module_is_the_command(tmp_path: Path) -> None:
    with child("--version") as it:
        out, _ = it.communicate(timeout=PATIENCE)
        assert (out.split()[0], it.returncode) == ("linewarden", 0)


def test_status_imports_what_it_needs_and_no_runtime() -> None:
    command = [sys.executable, "-c", ASK]
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert "cannot reach the service" in told.stderr
    modules = told.stdout.split()
    assert "actors.cli.status_view" in modules
    assert [name for name in modules if f"{name}.".startswith(NOT_NEEDED)] == []
