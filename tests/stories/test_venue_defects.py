"""A defect in a class of a user's venue is told with its name, and costs no other feed."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import actors
from actors.errors import LinewardenError, SubscribeError
from actors.protocol import Announce, Bound, Reject, Topic
from actors.settings import load
from actors.simulators import SimulatedO2
from tests.support.runtimes import until
from tests.venues.ticks.simulator import SimulatedTicks

MODULE = "tests.venues.ticks.venue"


@pytest.fixture
def ticks() -> ModuleType:
    return importlib.import_module(MODULE)


@pytest.fixture
def venue() -> Iterator[SimulatedTicks]:
    with SimulatedTicks(rate=0) as simulator:
        yield simulator


def feed_of(venue: SimulatedTicks) -> dict[str, Any]:
    return {"venue": f"{MODULE}:Ticks", "url": venue.url, "key": "K", "restart": {"initial": 0.05}}


def topic(**of: Any) -> Topic:
    return Topic(**({"feed": "ticks", "channel": "ticks", "key": "ABC"} | of))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (None, "no Topic"),
        ("ticks/ABC", "no Topic"),
        (topic(feed="ticket"), "a Topic of feed 'ticket', not of self.feed"),
        (topic(channel="tick"), "a Topic of channel 'tick', which is none of its channels"),
        (topic(key=5), "a Topic whose key is no text: 5"),
        (
            topic(options={"every": "1s"}),
            "a Topic whose options are no tuple of (name, value): {'every': '1s'}",
        ),
        (topic(options=(("every", ["1s"]),)), "a Topic whose options are no tuple of (name, value)"),
    ],
)
def test_a_topic_that_is_none_is_told_to_the_caller_and_by_check(
    ticks: ModuleType, venue: SimulatedTicks, monkeypatch: pytest.MonkeyPatch, made: Any, told: str
) -> None:
    monkeypatch.setattr(ticks.Ticks, "topic", lambda *_: made)
    sentence = re.escape(f"Ticks.topic('ticks', 'abc', …) returned {told}")
    with actors.start({"feeds": {"ticks": feed_of(venue)}}, wait=10.0) as runtime:
        with pytest.raises(LinewardenError, match=f"^ticks: {sentence}"):
            runtime.subscribe("ticks", "ticks", "abc")
        assert not any(actor.restarts for actor in runtime.status().actors)
    wanted = {"subscribe": [{"channel": "ticks", "keys": ["abc"]}]}
    with pytest.raises(LinewardenError, match=sentence):
        load({"feeds": {"ticks": feed_of(venue) | wanted}})


@pytest.mark.parametrize(
    ("method", "made", "told"),
    [
        ("place", KeyError("lines"), r"place or bounds of Ticks failed: KeyError: 'lines' \(.*\.py:\d+\)"),
        ("place", None, "Ticks.place returned None, which is no line of feed 'ticks'"),
        ("place", "market", "Ticks.place returned 'market', which is no line of feed 'ticks'"),
        ("bounds", KeyError("limit"), "place or bounds of Ticks failed: KeyError: 'limit'"),
        ("bounds", 5, "place or bounds of Ticks failed: TypeError"),
        ("bounds", (5,), r"Ticks.bounds returned \(5,\), which is no tuple of Bound"),
        ("bounds", (Bound([], 5),), "place or bounds of Ticks failed: TypeError: unhashable"),  # type: ignore[arg-type]
    ],
)
def test_a_defect_of_placing_refuses_the_topic_and_other_feeds_go_on(
    ticks: ModuleType,
    venue: SimulatedTicks,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    made: Any,
    told: str,
) -> None:
    def answer(*given: Any) -> Any:
        if isinstance(made, Exception):
            raise made
        return made

    monkeypatch.setattr(ticks.Ticks, method, answer)
    wanted = {"subscribe": [{"channel": "ticks", "keys": ["def"]}]}  # what the start places, too
    with SimulatedO2(rate=0) as o2:
        feeds = {"o2": {"venue": "o2", "url": o2.url}, "ticks": feed_of(venue) | wanted}
        with actors.start({"feeds": feeds}) as runtime:
            with pytest.raises(SubscribeError, match=f"ticks/ticks/ABC: rejected .{told}"):
                runtime.subscribe("ticks", "ticks", "abc", wait=10.0)
            trades = runtime.subscribe("o2", "trades", "0xbeef", wait=10.0)
            o2.trade("0xbeef", trade_id="1")
            assert trades.get(timeout=10.0).trade_id == "1"
            assert not any(actor.restarts for actor in runtime.status().actors)


@pytest.mark.parametrize(
    ("method", "effects", "told"),
    [
        ("opened", [Announce()], "TicksSession returned Announce() before it called self._move('welcomed')"),
        ("opened", [topic()], "TicksSession returned a Topic, which is no effect"),
        (
            "subscribe",
            [Reject((topic(),), "later", "5")],  # type: ignore[arg-type]
            "TicksSession: retry_after of a Reject is seconds, not '5'",
        ),
    ],
)
def test_effects_that_are_wrong_are_told_and_cost_the_line_alone(
    ticks: ModuleType,
    venue: SimulatedTicks,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    effects: list[Any],
    told: str,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="pykka")  # its traceback
    monkeypatch.setattr(ticks.TicksSession, method, lambda *_: effects)
    with actors.start({"feeds": {"ticks": feed_of(venue)}}) as runtime:
        _stream = runtime.subscribe("ticks", "ticks", "abc")
        status = until(runtime, lambda status: status.lines()["ticks"].reason is not None)
        found = status.lines()["ticks"].reason
        assert found is not None
        assert (found.code, found.text) == ("crashed", f"LinewardenError: {told}")
        restarted = {actor.id for actor in runtime.status().actors if actor.restarts}
        assert restarted <= {"connection/ticks"}


def test_a_move_that_cannot_be_is_told_with_those_that_can(ticks: ModuleType) -> None:
    session = ticks.Ticks("ticks", ticks.TicksSettings(key=ticks.Secret("K"))).session(ticks.Opening("ticks"))
    told = "TicksSession: _move('welcomed') in the state 'opening', where 'upgraded' or 'ended' is next"
    with pytest.raises(LinewardenError, match=re.escape(told)):
        session._move("welcomed")
    session._move("ended")
    with pytest.raises(LinewardenError, match="where nothing is next"):
        session._move("upgraded")
