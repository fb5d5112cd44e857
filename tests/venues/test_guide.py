"""docs/venues.md, "A venue in Python": its code is put together, run, and talked to."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

import actors
from actors.errors import ConfigError
from actors.settings import load
from actors.simulators import made
from actors.simulators.signalr import SimulatedHubs
from tests.venues.ticks.guide import (
    FAULTS,
    HUB,
    HUB_SIMULATOR,
    HUB_TESTED,
    PARTS,
    SETTINGS,
    SIMULATOR,
    TESTED,
    TRIED,
    USED,
)
from tests.venues.ticks.simulator import SimulatedTicks

MODULE = "tests.venues.ticks.venue"


@pytest.fixture
def ticks() -> ModuleType:
    """The guide's venue as a module that can be imported."""
    return importlib.import_module(MODULE)


@pytest.fixture
def venue() -> Iterator[SimulatedTicks]:
    with SimulatedTicks(rate=0) as simulator:
        yield simulator


def config(url: str, key: str = "K") -> dict[str, Any]:
    feed = {"venue": f"{MODULE}:Ticks", "url": url, "key": key, "restart": {"initial": 0.05}}
    return {"feeds": {"ticks": feed}}


def test_a_venue_is_written_with_the_protocol_alone() -> None:
    imported = {
        node.module or "" if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse("\n".join(PARTS)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    ours = {name for name in imported if name.split(".")[0] == "actors"}
    assert ours == {"actors.protocol"}


def test_the_session_is_tried_as_the_guide_says(ticks: ModuleType) -> None:
    exec(compile(TRIED, "docs/venues.md", "exec"), ticks.__dict__)


def test_the_venue_is_used_as_the_guide_says(ticks: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    loop_once = re.sub(r"(\n +)(print\(tick.price\))", r"\1\2\1break", USED)
    with SimulatedTicks(rate=20) as venue:
        exec(compile(loop_once, "docs/venues.md", "exec"), ticks.__dict__ | {"URL": venue.url})
    assert capsys.readouterr().out == "10.02\n"


def test_the_simulator_is_short_and_passes_the_guide_s_own_test(venue: SimulatedTicks) -> None:
    assert len([line for line in SIMULATOR.splitlines() if line.strip()]) <= 30
    names: dict[str, Any] = {"SimulatedTicks": SimulatedTicks}
    exec(compile(TESTED, "docs/venues.md", "exec"), names)
    names["test_a_lost_price_is_a_gap"](venue)


def test_the_simulator_of_the_guide_plays_the_faults_of_every_simulator(venue: SimulatedTicks) -> None:
    with actors.start(config(venue.url), wait=10.0) as runtime:
        venue.arm("lose_ack")
        with pytest.raises(actors.SubscribeError, match="ABC: sent"):
            runtime.subscribe("ticks", "ticks", "ABC", wait=0.3)
        venue.arm("delay_ack seconds=0.3")
        assert runtime.subscribe("ticks", "ticks", "DEF", wait=10.0)


def test_the_faults_of_the_guide_are_played(ticks: ModuleType) -> None:
    names = vars(importlib.import_module("tests.venues.ticks.simulator")).copy()
    exec(compile(FAULTS, "docs/venues.md", "exec"), names)
    with names["FaultyTicks"](rate=0, faults=["no_hello n=2"]) as faulty:
        restart = {"initial": 0.05}
        feed = config(faulty.url)["feeds"]["ticks"] | {"connect_timeout": 0.5, "restart": restart}
        with actors.start({"feeds": {"ticks": feed}}, wait=20.0) as runtime:
            assert faulty.lives == 3
            stream = runtime.subscribe("ticks", "ticks", "ABC", wait=10.0)
            faulty.tick(1)
            faulty.arm("skip n=3")
            faulty.steps()
            assert [stream.get(timeout=10.0).number for _ in range(2)] == [1, 5]
            assert [(gap.reason, gap.missed) for gap in stream.gaps] == [("sequence", 3)]


def test_the_settings_of_the_guide_are_read_from_keywords_and_texts(ticks: ModuleType) -> None:
    names = vars(importlib.import_module("tests.venues.ticks.simulator")).copy()
    block = f"from typing import Annotated\n{SETTINGS}"
    exec(compile(block, "docs/venues.md", "exec", dont_inherit=True), names)  # its types are no texts
    keyed: Any = names["KeyedTicks"]
    assert (keyed().settings.key, keyed(rate=0, key="L").settings.key) == ("K", "L")
    by_text: Any = made("ticks", keyed, (), [("key", "L"), ("rate", "0")])
    assert (by_text.settings.key, by_text.settings.rate) == ("L", 0)
    with pytest.raises(ConfigError, match=r"ticks: no 'kye' here; did you mean 'key'\?"):
        made("ticks", keyed, (), [("kye", "L")])


def test_what_cannot_be_decoded_is_a_gap_of_each_topic(venue: SimulatedTicks) -> None:
    with actors.start(config(venue.url), wait=10.0) as runtime:
        streams = [runtime.subscribe("ticks", "ticks", key, wait=10.0) for key in ("ABC", "DEF")]
        venue.garbage()
        for stream, key in zip(streams, ("ABC", "DEF"), strict=True):
            venue.tick(1, key)
            stream.get(timeout=10.0)
            assert [gap.reason for gap in stream.gaps] == ["quarantine"]


@pytest.fixture
def quay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[SimulatedHubs]:
    """The simulator of the guide's hub, in a directory that has the table."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "quay.toml").write_text(HUB, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "quay"}
    exec(compile(HUB_SIMULATOR, "docs/venues.md", "exec"), names)
    return cast("type[SimulatedHubs]", names["SimulatedQuay"])


def test_the_simulator_of_the_hub_is_short_and_passes_the_guide_s_own_test(quay: type[SimulatedHubs]) -> None:
    assert len([line for line in HUB_SIMULATOR.splitlines() if line.strip()]) <= 30
    names: dict[str, Any] = {"SimulatedQuay": quay}
    exec(compile(HUB_TESTED, "docs/venues.md", "exec"), names)
    names["test_a_quote_arrives_and_a_loss_is_a_gap"]()


def test_the_simulator_of_the_hub_plays_the_faults_of_every_simulator(quay: type[SimulatedHubs]) -> None:
    with quay(faults=["reject key=NOPE"]) as hub:
        feed = {"venue": "tables/quay.toml", "url": hub.url, "token": "T"}
        with actors.start({"feeds": {"quay": feed}}, wait=10.0) as runtime:
            with pytest.raises(actors.SubscribeError, match="no such contract"):
                runtime.subscribe("quay", "quotes", "NOPE", wait=10.0)
            hub.arm("delay_ack seconds=0.2")
            assert runtime.subscribe("quay", "quotes", "ESZ6", wait=10.0)
        with pytest.raises(actors.NotLiveError, match="401"):
            actors.start({"feeds": {"quay": feed | {"token": "another"}}}, wait=10.0)


def test_it_is_found_by_module_and_class_and_tells_what_is_missing(
    ticks: ModuleType, venue: SimulatedTicks
) -> None:
    with actors.start(config(venue.url), wait=10.0) as runtime:
        stream = runtime.subscribe("ticks", "ticks", " abc", wait=10.0)
        venue.tick(1)
        assert stream.get(timeout=10.0).number == 1
        venue.tick(4)
        assert stream.get(timeout=10.0).number == 4
        assert [(gap.reason, gap.missed) for gap in stream.gaps] == [("sequence", 2)]
        assert runtime.latest("ticks", "abc", max_age=60.0).last == stream_price(ticks)
        venue.drop()
        venue.wait_heard("subscribe", 2)
        venue.tick(1)
        assert stream.get(timeout=10.0).number == 1
        assert [gap.reason for gap in stream.gaps] == ["sequence", "disconnect"]


def stream_price(ticks: ModuleType) -> Any:
    return ticks.Decimal("10.02")


def test_a_refused_symbol_and_a_wrong_key_are_told(ticks: ModuleType, venue: SimulatedTicks) -> None:
    venue.reject("XYZ")
    with (
        actors.start(config(venue.url), wait=10.0) as runtime,
        pytest.raises(actors.SubscribeError, match="no such symbol"),
    ):
        runtime.subscribe("ticks", "ticks", "ABC", "XYZ", wait=10.0)
    with pytest.raises(actors.NotLiveError, match="unknown key"):
        actors.start(config(venue.url, key="L"), wait=10.0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "no_such_module:Ticks",
            "'no_such_module:Ticks' cannot be imported (ModuleNotFoundError: No module named "
            "'no_such_module'); install it, or put its directory into PYTHONPATH.",
        ),
        (f"{MODULE}:Tocks", "cannot be imported (AttributeError: module "),
        (f"{MODULE}:Tick", "is no subclass of actors.protocol.Venue"),
        (":", "cannot be imported (ValueError: "),
    ],
)
def test_a_venue_that_is_none_is_told(ticks: ModuleType, name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load({"feeds": {"ticks": {"venue": name}}})


def test_a_sim_url_starts_the_simulator_that_the_class_names(
    ticks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with actors.start(config("sim://ticks?rate=0"), wait=10.0) as runtime:
        simulator = runtime.simulator("ticks")
        assert isinstance(simulator, SimulatedTicks)
        stream = runtime.subscribe("ticks", "ticks", "abc", wait=10.0)
        simulator.tick(1)
        assert stream.get(timeout=10.0).number == 1
    monkeypatch.setattr(ticks.Ticks, "simulator", f"{MODULE}:SimulatedTocks")
    with pytest.raises(ConfigError, match=r"the simulator '.*:SimulatedTocks' cannot be imported"):
        actors.start(config("sim://ticks"))
