from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actors import cli
from tests.cli.conftest import Invoke, rows

MESSAGES = """wss://pier.example <-> 1633998511.159679
wss://pier.example <- 1633998511.16: {"sub":["trades"]}
1633998512.0633569: {"ok":true}
1633998512.0633569: {"ch":"trades","m":"A","depth":5}
{"ch":"trades","m":"B","depth":1}

ping
{"ch":"status"}
"""


@pytest.mark.parametrize("packed", [False, True])
def test_a_sample_shows_how_it_would_be_routed(
    linewarden: Invoke, pier: Path, tmp_path: Path, packed: bool
) -> None:
    sample = tmp_path / "sample"
    sample.write_bytes(gzip.compress(MESSAGES.encode()) if packed else MESSAGES.encode())
    told = linewarden("check", pier, "--sample", sample)
    shown = rows(told.stdout)
    assert {"trades 2 2", "status 1 1", "ack 1", "heartbeat 1"} <= set(shown)
    assert shown[-1] == "5 messages: 3 events routed, 0 unrouted, 0 messages quarantined; 100.00% routed."
    assert told.exit_code == 0


def test_a_sample_with_what_the_table_does_not_know_is_1(
    linewarden: Invoke, pier: Path, tmp_path: Path
) -> None:
    sample = tmp_path / "sample"
    sample.write_bytes(
        MESSAGES.encode() + b'{"type":"news","n":{"a":1},"l":[1]}\n{"type":"olds"}\n{nope\n\xff\xfe\n'
    )
    told = linewarden("check", pier, "--sample", sample)
    text = " ".join(told.stdout.split())
    assert told.exit_code == 1
    assert all(word in text for word in ('{type: "news"', "n: {a: number}", "l: […]}", '{type: "olds"}'))
    assert "JSON is malformed" in text
    assert "9 messages: 3 events routed, 2 unrouted, 2 messages quarantined; 42.86% routed." in text


def test_a_sample_is_of_the_topics_that_the_config_wants(
    linewarden: Invoke, pier: Path, tmp_path: Path
) -> None:
    sample, config = tmp_path / "sample", tmp_path / "desk.toml"
    sample.write_text(MESSAGES)
    config.write_text(
        '[feeds.a]\nvenue = "./pier.toml"\napi_key = "k"\n'
        'subscribe = [{ channel = "trades", keys = ["A"] }]\n'
        '[feeds.b]\nvenue = "./pier.toml"\napi_key = "k"\n'
    )
    told = linewarden("check", config, "--sample", sample, "--feed", "a")
    assert told.exit_code == 1
    assert "5 messages: 1 event routed, 2 unrouted" in told.stdout
    assert linewarden("check", config, "--sample", sample, "--feed", "b").exit_code == 0
    unsaid = linewarden("check", config, "--sample", sample)
    assert unsaid.exit_code == 2
    assert "name the feed of the messages; known: a, b." in " ".join(unsaid.stderr.split())
    assert linewarden("check", config, "--sample", tmp_path / "none", "--feed", "a").exit_code == 1


def test_a_sample_of_a_venue_in_python(tmp_path: Path) -> None:
    sample, config = tmp_path / "sample", tmp_path / "desk.toml"
    trade = (
        '{"action":"subscribe_trades","market_id":"0xaa","trades":[{"trade_id":"1","side":"buy","price":"1",'
    )
    sample.write_text(trade + '"quantity":"2"}]}\n{"action":"odd"}\n')
    config.write_text('[feeds.a]\nvenue = "o2"\nsubscribe = [{ channel = "trades", keys = ["0xaa"] }]\n')
    told = CliRunner().invoke(cli.app, ["check", str(config), "--sample", str(sample)])
    assert told.exit_code == 1
    assert rows(told.stdout)[-1].startswith("2 messages: 1 event routed, 0 unrouted, 1 message quarantined")
