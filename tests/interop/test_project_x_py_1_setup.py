"""project-x-py 1.1.4 and its config files and commands, as docs/migrating/project-x-py-1.md says."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.installs import POLARS, PROJECT_X_PY_SYNC

FROM_FILE = "from project_x_py import ProjectX; print(ProjectX.from_config_file('config.json').base_url)"
ELSEWHERE = "http://127.0.0.1:9/api"


@pytest.fixture
def python(sdk_python: Callable[..., Path]) -> Path:
    return sdk_python(PROJECT_X_PY_SYNC, POLARS, version="3.12")


@pytest.fixture
def say(python: Path, tmp_path: Path) -> Callable[[str], str]:
    """Runs a program on the SDK in a folder, which is its home as well, and returns its last line."""

    def run(code: str) -> str:
        login = {"PROJECT_X_USERNAME": "trader", "PROJECT_X_API_KEY": "a key of some length"}
        environ = {**os.environ, "HOME": str(tmp_path), **login}
        ran = subprocess.run(
            [python, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        return (ran.stdout + ran.stderr).splitlines()[-1]

    return run


def test_it_reads_a_config_file_that_it_is_told_of(say: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"api_url": ELSEWHERE}))
    assert say(FROM_FILE) == ELSEWHERE


def test_its_default_config_file_is_read_by_no_client(say: Callable[[str], str], tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "projectx"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"api_url": ELSEWHERE}))
    assert say("from project_x_py import ProjectX; print(ProjectX.from_env().base_url)") == (
        "https://api.topstepx.com/api"
    )


def test_it_cannot_read_its_own_template(say: Callable[[str], str]) -> None:
    write = "from project_x_py.config import create_config_template; create_config_template('config.json'); "
    assert say(write + FROM_FILE).endswith("got an unexpected keyword argument '_comment'")


def test_it_cannot_read_the_config_of_its_readme(say: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"connection_pool_size": 20, "cache_ttl_seconds": 300}))
    assert say(FROM_FILE).endswith("got an unexpected keyword argument 'connection_pool_size'")


@pytest.mark.parametrize("command", ["check_setup", "create_config"])
def test_its_commands_do_not_start(say: Callable[[str], str], command: str) -> None:
    """As the entry points `projectx-check` and `projectx-config` begin."""
    assert say(f"from project_x_py.cli import {command}") == (
        "ModuleNotFoundError: No module named 'project_x_py.cli'"
    )


def test_it_takes_a_callback_for_any_name(say: Callable[[str], str]) -> None:
    manager = "from project_x_py import OrderBook; book = OrderBook('MNQ'); "
    assert say(manager + "book.add_callback('no_such_event', print); print('taken')") == "taken"


def test_bars_with_indicators_have_none(say: Callable[[str], str]) -> None:
    code = """
import polars
from project_x_py import ProjectXRealtimeDataManager
manager = ProjectXRealtimeDataManager("MNQ", None, None, ["5min"])
manager.data["5min"] = polars.DataFrame({"close": [1.0, 2.0]})
print(manager.get_data_with_indicators("5min", indicators=["sma_20"]).columns)
"""
    assert say(code) == "['close']"


def test_its_indicators_take_bars_of_linewarden(say: Callable[[str], str]) -> None:
    """Rows as `actors.records` gives them, with `start` as `timestamp`."""
    code = """
import datetime, polars
from project_x_py.indicators import ATR, RSI, SMA
now = datetime.datetime.now(datetime.UTC)
rows = [
    {"start": now, "end": now, "open": c, "high": c + 1, "low": c - 1, "close": c, "volume": 1.0}
    for c in map(float, range(40))
]
frame = polars.DataFrame(rows).rename({"start": "timestamp"})
print(frame.pipe(SMA, period=4).pipe(RSI, period=14).pipe(ATR, period=14)["sma_4"].tail(1).item())
"""
    assert say(code) == "37.5"
