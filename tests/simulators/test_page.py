"""docs/simulators.md: its tables are those of the simulators, and what it shows is run."""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

import actors
from actors import cli
from actors.settings import load
from actors.simulators import SIMULATORS
from actors.simulators.base.faults import table_of
from actors.simulators.base.parameters import parameters_of
from tests.commands import PATIENCE, child, posix
from tests.simulators.page import PAGE, page

TEXT = PAGE.read_text(encoding="utf-8")
TALK, MISTAKE = re.findall(r"^```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
CONFIGS = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = [line.removeprefix("$ ") for line in TEXT.splitlines() if line.startswith("$ ")]


def test_its_tables_are_those_of_the_simulators() -> None:
    """Where they differ: `python -m tests.simulators.page`."""
    assert page(TEXT) == TEXT


@pytest.mark.parametrize("name", SIMULATORS)
def test_every_parameter_says_what_it_means(name: str) -> None:
    kind = SIMULATORS[name]
    assert [each.name for each in parameters_of(kind.Settings) if not each.meaning] == []
    faults = table_of(kind)
    assert [row.name for row in faults if not row.meaning.endswith(".")] == []
    assert [(row.name, each.name) for row in faults for each in row.parameters if not each.meaning] == []


@pytest.mark.parametrize("code", PYTHON)
def test_python(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/simulators.md", "exec"), {})


@pytest.mark.parametrize("command", [each for each in COMMANDS if "--list-" in each])
def test_a_command_that_lists(command: str) -> None:
    told = CliRunner().invoke(cli.app, shlex.split(command)[1:])
    assert told.exit_code == 0
    assert told.stdout


@posix
@pytest.mark.parametrize("command", [each for each in COMMANDS if "--list-" not in each])
def test_a_command_that_listens(command: str, tmp_path: Path) -> None:
    written(tmp_path)
    with child(*shlex.split(command.replace("--port 9801", "--port 0"))[1:], cwd=tmp_path) as it:
        assert it.stdout is not None
        assert it.stdout.readline().startswith("ws://127.0.0.1:")
        it.send_signal(signal.SIGTERM)
        assert it.wait(timeout=PATIENCE) == 0


def written(directory: Path) -> Path:
    """The example's files; its config."""
    (directory / "talks").mkdir()
    (directory / "talks" / "binance.txt").write_text(TALK, encoding="utf-8")
    config = directory / "config.toml"
    config.write_text(CONFIGS[-1], encoding="utf-8")
    return config


def test_configs(tmp_path: Path) -> None:
    file = tmp_path / "o2.toml"
    file.write_text(CONFIGS[0], encoding="utf-8")
    assert load(file).feeds["o2"].own.url.startswith("sim://o2?")


def test_the_mistake_is_the_one_that_is_shown(tmp_path: Path) -> None:
    config = written(tmp_path)
    talk = tmp_path / "talks" / "binance.txt"
    talk.write_text(TALK.replace('< {"result"', '{"result"'), encoding="utf-8")
    with pytest.raises(actors.ConfigError) as raised:
        actors.start(config)
    assert [problem.replace(f"{tmp_path}/", "") for problem in raised.value.problems] == [MISTAKE.strip()]
