"""docs/venues.md, "A venue in Python": its code is put together, run, and talked to."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import msgspec
import pytest

import actors
from actors.errors import ConfigError
from actors.settings import load
from actors.simulators import Simulator
from actors.simulators.base.client import Peer, text_frame
from actors.simulators.base.server import Message

GUIDE = (Path(__file__).parents[2] / "docs" / "venues.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```$", GUIDE.partition("## A venue in Python")[2], re.DOTALL | re.M)
*VENUE, TRIED, USED = PYTHON
MODULE = "guided_ticks"


class SimulatedTicks(Simulator):
    """The other end of the guide's imaginary venue."""

    name: ClassVar[str] = "ticks"
    path: ClassVar[str] = "/v1"

    def opened(self, peer: Peer) -> None:
        self._say(peer, t="hello")

    def decode(self, message: Message) -> Any:
        return msgspec.json.decode(message)

    def kind(self, heard: Any) -> str:
        return str(heard["t"])

    def received(self, peer: Peer, message: Message) -> None:
        match self.decode(message):
            case {"t": "login", "key": "K"}:
                self._say(peer, t="welcome")
            case {"t": "login"}:
                self._say(peer, t="error", code=401, text="who are you?")
            case {"t": "subscribe", "symbols": symbols}:
                known = [symbol for symbol in symbols if not self.rejects(symbol)]
                self._say(peer, t="subscribed", symbols=known)
                if refused := [symbol for symbol in symbols if self.rejects(symbol)]:
                    self._say(peer, t="error", code=404, text="no such symbol", symbols=refused)
                if "ABC" in known:
                    self.tick(1)

    def tick(self, number: int) -> None:
        said = {"t": "tick", "s": "ABC", "p": "10.02", "q": "3", "n": number}
        self.send_raw(msgspec.json.encode(said).decode())

    def _say(self, peer: Peer, **message: Any) -> None:
        peer.tell(text_frame(msgspec.json.encode(message)))


@pytest.fixture
def ticks() -> Iterator[ModuleType]:
    """The guide's venue as a module that can be imported."""
    module = sys.modules[MODULE] = ModuleType(MODULE)
    exec(compile("\n".join(VENUE), "docs/venues.md", "exec"), module.__dict__)
    yield module
    del sys.modules[MODULE]


@pytest.fixture
def venue() -> Iterator[SimulatedTicks]:
    with SimulatedTicks(rate=0) as simulator:
        yield simulator


def config(url: str, key: str = "K") -> dict[str, Any]:
    feed = {"venue": f"{MODULE}:Ticks", "url": url, "key": key, "restart": {"initial": 0.05}}
    return {"feeds": {"ticks": feed}}


def test_the_session_is_tried_as_the_guide_says(ticks: ModuleType) -> None:
    exec(compile(TRIED, "docs/venues.md", "exec"), ticks.__dict__)


def test_the_venue_is_used_as_the_guide_says(
    ticks: ModuleType, venue: SimulatedTicks, capsys: pytest.CaptureFixture[str]
) -> None:
    loop_once = re.sub(r"(\n +)(print\(tick.price\))", r"\1\2\1break", USED)
    exec(compile(loop_once, "docs/venues.md", "exec"), ticks.__dict__ | {"URL": venue.url})
    assert capsys.readouterr().out == "10.02\n"


def test_it_is_found_by_module_and_class_and_tells_what_is_missing(
    ticks: ModuleType, venue: SimulatedTicks
) -> None:
    with actors.start(config(venue.url), wait=10.0) as runtime:
        stream = runtime.subscribe("ticks", "ticks", " abc", wait=10.0)
        assert stream.get(timeout=10.0).number == 1
        venue.tick(4)
        assert stream.get(timeout=10.0).number == 4
        assert [(gap.reason, gap.missed) for gap in stream.gaps] == [("sequence", 2)]
        assert runtime.latest("ticks", "abc", max_age=60.0).last == stream_price(ticks)
        venue.drop()
        venue.wait_heard("subscribe", 2)
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
    with pytest.raises(actors.NotLiveError, match="who are you"):
        actors.start(config(venue.url, key="L"), wait=10.0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "no_such_module:Ticks",
            "'no_such_module:Ticks' cannot be imported (ModuleNotFoundError); install it, or put its "
            "directory into PYTHONPATH.",
        ),
        (f"{MODULE}:Tocks", "cannot be imported (AttributeError)"),
        (f"{MODULE}:Tick", "is no subclass of actors.protocol.venue.Venue"),
        (":", "cannot be imported (ValueError)"),
    ],
)
def test_a_venue_that_is_none_is_told(ticks: ModuleType, name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load({"feeds": {"ticks": {"venue": name}}})
