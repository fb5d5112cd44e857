"""The command in this process, with a venue of these tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from actors import cli
from actors.protocol.venue import Venue
from actors.simulators import SimulatedO2
from tests.cli.running import Running, feed, running, trades, written
from tests.test_settings import Desk

Invoke = Any


@pytest.fixture
def linewarden(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command in this process, with a venue of these tests."""
    known: Mapping[str, type[Venue]] = {"desk": Desk}
    monkeypatch.setattr("actors.venues.VENUES", known, raising=False)
    return lambda *arguments: CliRunner().invoke(cli.app, [str(each) for each in arguments])


@pytest.fixture
def desk_config(tmp_path: Path) -> Path:
    """A config of that venue."""
    file = tmp_path / "desk.toml"
    file.write_text(
        """
        [feeds.a]
        venue = "desk"
        key = "k"
        verify_tls = false
        subscribe = [{ channel = "depth", keys = ["A", "B"] }, { channel = "account" }]
        """
    )
    return file


@pytest.fixture
def o2_config(tmp_path: Path, o2: SimulatedO2, market: str) -> Path:
    """A config of one feed at the simulator, for a command in a process of its own."""
    return written(tmp_path / "desk.toml", feed("o2", o2.url, trades(market)))


@pytest.fixture
def live_run(o2_config: Path) -> Iterator[Running]:
    """`linewarden run` of that config, once its line is live."""
    with running(o2_config) as it:
        it.logged("live")
        yield it


def rows(text: str) -> list[str]:
    return [" ".join(row.split()) for row in text.splitlines() if row.strip()]


PIER = """
name = "pier"
about = "a pier"
url = "wss://pier.example/${way}"
topics_per_line = 7
limits = { connections = "3 a minute" }
[keys.way]
values = ["in", "out"]
default = "in"
[keys.api_key]
secret = true
about = "its key"
variable = "PIER_KEY"
[channels.trades]
about = "public trades"
key = "market"
wire = "trades.{key}"
shown = "trades"
options.depth = { about = "levels", values = [1, 5], default = 5 }
[channels.status]
about = "how it is"
[subscribe]
send = { sub = "{topics}" }
[[events]]
wire = "ch"
key = "m"
options.depth = "depth"
[[acks]]
when = { ok = true }
[[replies]]
when = "ping"
send = "pong"
"""


@pytest.fixture
def pier(tmp_path: Path) -> Path:
    file = tmp_path / "pier.toml"
    file.write_text(PIER)
    return file
