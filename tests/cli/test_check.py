from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import PIER, Invoke, rows


def test_check_sums_up_a_good_config(linewarden: Invoke, desk_config: Path) -> None:
    told = linewarden("check", desk_config)
    assert told.exit_code == 0
    assert rows(told.stdout)[0] == "feed venue url lines topics"
    assert rows(told.stdout)[2] == "a desk the venue's own a 2 depth, 1 account"
    assert rows(told.stdout)[3].endswith("desk.toml: no mistakes; 1 feed, 1 line, 3 topics.")
    assert told.stderr.startswith(f"warning: {desk_config}: [feeds.a] verify_tls: ")


def test_check_names_the_accounts_that_are_followed(linewarden: Invoke, tmp_path: Path) -> None:
    config = tmp_path / "px.toml"
    config.write_text(
        """
        [feeds.px]
        venue = "actors.venues.projectx.venue:ProjectX"
        url = "sim://projectx"
        user_name = "anna"
        api_key = "k"
        accounts = [4242, "4243"]
        """
    )
    assert "px: accounts 4242, 4243 are followed." in linewarden("check", config).stdout


def test_check_names_the_variables_of_the_environment_that_are_a_login(
    linewarden: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "iex.toml"
    config.write_text('[feeds.iex]\nvenue = "actors.venues.alpaca:Alpaca"\n')
    monkeypatch.setenv("ALPACA_API_KEY", "canary-1")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "canary-2")
    told = linewarden("check", config).stdout
    assert "iex: its login was taken from ALPACA_API_KEY and ALPACA_SECRET_KEY of the environment." in told
    assert "canary" not in told


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_bad_config_is_78(linewarden: Invoke, desk_config: Path, command: str) -> None:
    desk_config.write_text("[runtime]\nnmae = 1\nwatchdog_timeout = -1\n")
    told = linewarden(command, desk_config)
    assert told.exit_code == 78
    assert told.stdout == ""
    assert told.stderr.splitlines() == [
        f"{desk_config}: [runtime] nmae: there is no such key; did you mean 'name'?",
        f"{desk_config}: [runtime] watchdog_timeout: expected seconds, 0 or more and at most a year, "
        "found -1.",
    ]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_mistake_in_a_simulators_url_is_78_and_comes_with_all_others(
    linewarden: Invoke, desk_config: Path, command: str
) -> None:
    desk_config.write_text(
        """
        [feeds.a]
        venue = "desk"
        key = "k"
        url = "sim://desk?fault=drp&rte=5"
        subscribe = [{ channel = "depth", keys = ["too-long"] }]
        [feeds.b]
        venue = "desk"
        url = "sim://desk?rate=-1"
        compression = "no"
        """
    )
    told = linewarden(command, desk_config)
    assert told.exit_code == 78
    assert [line.removeprefix(f"{desk_config}: ")[:33].rstrip() for line in told.stderr.splitlines()] == [
        "[feeds.a] url: no 'rte' here; did",
        "[feeds.a] url: fault 'drp': there",
        "[feeds.a] subscribe entry 1 keys:",
        "[feeds.b] key: missing; expected",
        "[feeds.b] url: rate is steps per",
        "[feeds.b] compression: expected o",
    ]


def test_check_takes_a_table_itself(linewarden: Invoke, pier: Path) -> None:
    told = linewarden("check", pier)
    assert told.exit_code == 0
    assert "trades public trades market depth: levels; one of 1, 5; by default 5" in rows(told.stdout)
    assert rows(told.stdout)[-1].endswith("pier.toml: no mistakes; venue pier, 2 channels.")
    pier.write_text(PIER.replace("default = 5", "default = 6").replace('wire = "ch"', 'wire = "ch["'))
    told = linewarden("check", pier)
    assert (told.exit_code, told.stdout) == (78, "")
    assert [line.removeprefix(f"{pier}: ").partition(":")[0] for line in told.stderr.splitlines()] == [
        "[[events]] entry 1 wire",
        "[channels.trades.options.depth] default",
    ]
