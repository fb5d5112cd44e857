"""`linewarden check --show`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import asked

CANARY = "canary-90de"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "desk.toml"
    file.write_text(
        """
        include = ["more.toml"]
        [runtime]
        name = "desk"
        [service]
        listen = "127.0.0.1:9700"
        tokens = { look = "${LOOK_TOKEN}" }
        [defaults]
        compression = "deflate"
        proxy = "http://user:canary-90de@host:8080"
        [defaults.restart]
        maximum = 9.0
        [defaults.alpaca]
        stream = "sip"
        [feeds.a]
        venue = "alpaca"
        key = "canary-90de"
        secret = { credential = "secret" }
        restart = { initial = 1.0 }
        subscribe = [{ channel = "quotes", keys = ["AAPL"] }]
        """
    )
    (tmp_path / "more.toml").write_text('[feeds.b]\nvenue = "alpaca"\nstream = "${STREAM}"\n')
    (tmp_path / "secret").write_text(CANARY)
    return file


def test_every_value_has_its_origin_and_no_secret_is_shown(config: Path) -> None:
    environ = {
        "STREAM": "iex",
        "LOOK_TOKEN": f"{CANARY}-0123456789",
        "ALPACA_API_KEY": CANARY,
        "ALPACA_API_SECRET": CANARY,
        "CREDENTIALS_DIRECTORY": str(config.parent),
    }
    told = asked("check", config, "--show", environ=environ)
    assert (told.returncode, told.stderr) == (0, "")
    assert CANARY not in told.stdout
    parts = told.stdout.replace(f"{config.parent}/", "").split("\n\n")
    tables = {part.strip().partition("\n")[0]: part.splitlines() for part in parts}
    rows = {
        table: {row.split(" #")[0].strip(): row.split("# ")[-1] for row in its}
        for table, its in tables.items()
    }
    assert rows["[runtime]"]['name = "desk"'] == "desk.toml [runtime]"
    assert rows["[service]"]["tokens.look = …"] == "desk.toml [service.tokens], ${LOOK_TOKEN}"
    assert rows["[log]"]['level = "info"'] == "default"
    a, b = rows["[feeds.a]"], rows["[feeds.b]"]
    assert a['venue = "alpaca"'] == "desk.toml [feeds.a]"
    assert a["key = …"] == "desk.toml [feeds.a]"
    assert a["secret = …"] == "desk.toml [feeds.a], credential secret"
    assert a['stream = "sip"'] == "desk.toml [defaults.alpaca]"
    assert a['compression = "deflate"'] == "desk.toml [defaults]"
    assert a['proxy = "http://host:8080/…"'] == "desk.toml [defaults]"
    assert a["restart.initial = 1.0"] == "desk.toml [feeds.a.restart]"
    assert a["restart.maximum = 9.0"] == "desk.toml [defaults.restart]"
    assert a["connect_timeout = 10.0"] == "default"
    assert a["subscribe = 1 table"] == "desk.toml [feeds.a]"
    assert b["stream = …"] == "more.toml [feeds.b], ${STREAM}"
    assert b["key = …"] == "the environment: ALPACA_API_KEY and ALPACA_API_SECRET"
    assert b["restart.maximum = 9.0"] == "desk.toml [defaults.restart]"


def test_mistakes_come_first(config: Path) -> None:
    told = asked("check", config, "--show")
    assert (told.returncode, told.stdout) == (78, "")
    assert "the environment variable STREAM is not set" in told.stderr
