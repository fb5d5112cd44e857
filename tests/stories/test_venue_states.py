"""What a venue says of itself: in the streams, in freshness, in the status and in the journal."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import Gap, Lifecycle, Runtime, Scope, Stream, VenueState
from actors.actor import Address
from actors.events import Topic
from actors.messages import ConnectionCloseAnnounced
from actors.simulators import SimulatedAlpaca, SimulatedTable
from actors.simulators.base.client import Peer, text_frame
from actors.simulators.base.server import Message
from actors.simulators.table.transcript import value_of
from actors.status import LineStatus, TopicStatus
from tests.support.runtimes import HEARTBEAT, RESTART, alpaca_config, alpaca_runtime, fresh, line_of, until
from tests.support.virtual_time import Clockwork, clockwork

AAPL = Scope(key="AAPL")
STATUSES = {"channel": "statuses", "keys": ["*"]}
WATCHED = {"channel": "trades", "keys": ["AAPL", "MSFT", "*"], "stale_after": 60.0}
BEAT = {"ping_interval": 3600.0, "pong_timeout": 3600.0, "venue_ping_interval": 0.0}


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    """A venue where nothing moves by itself."""
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


def next_state(stream: Stream[Any]) -> VenueState:
    """The next of these markers."""
    return next(item for item in stream.with_markers() if isinstance(item, VenueState))


def waiting(stream: Stream[Any]) -> list[str]:
    """What is in a stream until its end, in a word each."""
    stream.close()
    return [word(item) for item in stream.with_markers()]


def word(item: object) -> str:
    match item:
        case VenueState():
            return str(item)
        case Lifecycle(state=state):
            return state
        case Gap(reason=reason):
            return f"gap: {reason}"
    return type(item).__name__


def all_confirmed(line: LineStatus) -> bool:
    return {topic.state.state for topic in line.topics} == {"confirmed"}


def states_of(line: LineStatus) -> list[str]:
    return [str(told) for told in line.venue_states]


# ── Alpaca's trading statuses ──


def test_a_halt_is_told_to_the_streams_of_its_symbol_at_its_place(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "iex", subscribe=[STATUSES]) as runtime:
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        every = runtime.subscribe("iex", "trades", "*", wait=10.0)
        others = runtime.subscribe("iex", "quotes", "MSFT", wait=10.0)
        alpaca.trade("AAPL", 1.0)
        alpaca.halt("AAPL", message="News Pending")
        alpaca.trade("AAPL", 2.0)
        alpaca.resume("AAPL", message="Resumed")
        alpaca.trade("AAPL", 3.0)
        alpaca.quote("MSFT")
        others.get(timeout=10.0)
        told = ["Trade", "AAPL is halted: News Pending", "Trade", "AAPL is open: Resumed", "Trade", "Closed"]
        assert waiting(trades) == ["connected", *told]
        assert waiting(every) == ["connected", *told]
        assert waiting(others) == ["Closed"]


def test_a_resumption_where_nothing_was_halted_is_no_news(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "iex", subscribe=[STATUSES]) as runtime:
        statuses = runtime.subscribe("iex", "statuses", "*", wait=10.0)
        alpaca.resume("AAPL")
        alpaca.halt("AAPL")
        alpaca.halt("AAPL")
        alpaca.status("AAPL", "E", "Short Sale Restriction", z="A")
        told = ["Status", "Status", "AAPL is halted: Trading Halt", "Status", "Status", "Closed"]
        until(runtime, lambda status: status.streams[-1].received == 4)
        assert waiting(statuses) == ["connected", *told]


@pytest.mark.parametrize("tape", ["A", "B", "C", "O"])
def test_each_tape_has_its_codes(alpaca: SimulatedAlpaca, tape: str) -> None:
    with alpaca_runtime(alpaca, "iex", subscribe=[STATUSES]) as runtime:
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        alpaca.halt("AAPL", tape=tape)
        alpaca.resume("AAPL", tape=tape)
        assert [next_state(trades).state, next_state(trades).state] == ["halted", "open"]


def test_a_late_reader_gets_what_holds_as_its_first_marker(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "iex", subscribe=[STATUSES]) as runtime:
        early = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        for symbol in ("AAPL", "MSFT", "SPY"):
            alpaca.halt(symbol)
        alpaca.resume("SPY")
        assert next_state(early).state == "halted"
        until(runtime, lambda _: len(line_of(runtime, "iex").venue_journal) == 4)
        late = runtime.subscribe("iex", "quotes", "AAPL", "SPY", wait=10.0)
        every = runtime.subscribe("iex", "quotes", "*", wait=10.0)
        late.add("AAPL", "MSFT", wait=10.0)
        alpaca.resume("AAPL")
        assert next_state(early).state == "open"
        halted = [f"{symbol} is halted: Trading Halt" for symbol in ("AAPL", "MSFT")]
        over = "AAPL is open: Trading Resumption"
        assert waiting(late) == ["connected", *halted, over, "Closed"]
        assert waiting(every) == ["connected", *halted, over, "Closed"]


class Halts:
    """A runtime whose time is moved by hand, on topics that are watched."""

    def __init__(self, clock: Clockwork) -> None:
        self.clock, self.runtime = clock, clock.runtime

    def topic(self, key: str) -> TopicStatus:
        topics = [*self.clock.line().topics]
        return next(topic for topic in topics if topic.topic == f"iex/trades/{key}")

    def found(self, key: str) -> tuple[str, str]:
        freshness = self.topic(key).freshness
        assert freshness is not None
        return freshness.state, freshness.cause

    def await_state(self, key: str, state: str, cause: str) -> None:
        self.clock.until(lambda _: self.found(key) == (state, cause))


@contextmanager
def halts(alpaca: SimulatedAlpaca) -> Iterator[Halts]:
    with clockwork(alpaca_config(alpaca, "iex", heartbeat=BEAT, subscribe=[STATUSES, WATCHED])) as clock:
        clock.until(lambda status: clock.runtime._shared.watches.keys() >= status.lines().keys())
        yield Halts(clock)


def test_a_halted_symbol_is_quiet_and_its_neighbours_are_stale(alpaca: SimulatedAlpaca) -> None:
    with halts(alpaca) as story:
        for symbol in ("AAPL", "MSFT"):
            alpaca.trade(symbol)
        story.clock.until(lambda _: story.found("MSFT")[0] == "live")
        alpaca.halt("AAPL", message="Volatility Trading Pause")
        story.await_state("AAPL", "quiet", "halted")
        story.clock.advance(3600.0)
        assert story.found("AAPL") == ("quiet", "halted")
        assert story.found("MSFT")[0] == story.found("*")[0] == "stale"
        freshness = story.topic("AAPL").freshness
        assert freshness is not None
        assert freshness.text == "halted: Volatility Trading Pause"
        assert states_of(story.clock.line()) == ["AAPL is halted: Volatility Trading Pause"]


def test_silence_counts_from_the_end_of_the_halt(alpaca: SimulatedAlpaca) -> None:
    with halts(alpaca) as story:
        alpaca.trade("AAPL")
        alpaca.halt("AAPL")
        story.await_state("AAPL", "quiet", "halted")
        story.clock.advance(3600.0)
        alpaca.resume("AAPL")
        story.clock.until(lambda _: not story.clock.line().venue_states)
        story.clock.advance(58.0)
        assert story.found("AAPL") == ("quiet", "not_due")
        story.clock.advance(3.0)
        assert story.found("AAPL")[0] == "stale"


def test_a_halt_survives_a_rotation(alpaca: SimulatedAlpaca) -> None:
    alpaca.settings.connections = 2
    with alpaca_runtime(alpaca, "iex", subscribe=[STATUSES]) as runtime:
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        alpaca.halt("AAPL")
        assert next_state(trades).state == "halted"
        runtime.rotate("iex", timeout=20.0)
        assert states_of(line_of(runtime, "iex")) == ["AAPL is halted: Trading Halt"]
        alpaca.resume("AAPL")
        told = next_state(trades)
        assert (told.state, told.epoch) == ("open", 2)


def test_another_life_ends_the_halt_unless_it_is_told_again(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "iex", subscribe=[STATUSES]) as runtime:
        trades = runtime.subscribe("iex", "trades", "AAPL", wait=10.0)
        alpaca.halt("AAPL")
        assert next_state(trades).state == "halted"
        alpaca.drop()
        told = next_state(trades)
        assert (told.state, told.epoch) == ("open", 2)
        assert states_of(line_of(runtime, "iex")) == []


def test_the_journal_has_what_the_venue_said(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "iex", subscribe=[STATUSES]) as runtime:
        alpaca.halt("AAPL")
        until(runtime, lambda _: bool(line_of(runtime, "iex").venue_states))
        alpaca.drop()
        until(
            runtime, lambda status: status.lines()["iex"].epoch == 2 and status.lines()["iex"].state == "live"
        )
        entries = line_of(runtime, "iex").entries()
        assert [type(entry).__name__ for entry in entries[:2]] == ["VenueState", "LineExit"]


def test_an_inline_handler_is_told(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "iex", subscribe=[STATUSES]) as runtime:
        told: list[object] = []
        runtime.on("iex", "trades", "AAPL", handler=print, on_marker=told.append, inline=True, wait=10.0)
        alpaca.halt("AAPL")
        until(runtime, lambda _: len(told) == 2)
        assert [word(item) for item in told] == ["connected", "AAPL is halted: Trading Halt"]


# ── tables ──

TABLE = """
name = "desk"
about = "a venue that speaks of itself"
url = "ws://localhost:1/"

[subscribe]
send = { op = "subscribe", topic = "{wire}" }

[[acks]]
when = { ok = "{any}" }
wire = "ok"

[[events]]
when = { topic = "{any}" }
wire = "topic"
data = "data"

[[venue_states]]
when = { system = "{any}" }
value = "system"
states = { up = "open", down = "maintenance", slow = "degraded", reset = "data_lost" }
text = "words"
until = "until"

[[venue_states]]
when = { markets = "{any}" }
each = "markets[*]"
key = "markets[*].symbol"
channel = "trades"
value = "markets[*].trading"
states = { true = "open", false = "halted" }

[[venue_states]]
when = { goodbye = true }
state = "degraded"
text = "words"
closes = true

[channels.trades]
about = "trades"
key = "symbol"
spelling = "upper"
wire = "trades.{key}"

[channels.depth]
about = "depth"
key = "symbol"
spelling = "upper"
wire = "depth.{key}"
deltas = true
resyncable = true
"""


class Confirming(SimulatedTable):
    """Confirms whatever it is asked for, as often as it is asked."""

    def received(self, peer: Peer, message: Message) -> None:
        peer.tell(text_frame(json.dumps({"ok": value_of(message)["topic"]}).encode()))


class Desk:
    """A venue from a table, which says what it is told to."""

    def __init__(self, folder: Path) -> None:
        (folder / "desk.toml").write_text(TABLE)
        (folder / "talk.txt").write_text('< {"system":"up"}')
        self.folder = folder
        self.venue = Confirming(talk=str(folder / "talk.txt"), rate=0)

    def say(self, **message: Any) -> None:
        self.venue.send_frame(text_frame(json.dumps(message).encode()))

    def config(self, **feed: Any) -> dict[str, Any]:
        wanted = [{"channel": channel, "keys": ["a"], "stale_after": 60.0} for channel in ("trades", "depth")]
        table = {"venue": str(self.folder / "desk.toml"), "url": self.venue.url, "subscribe": wanted}
        return {"feeds": {"desk": {**table, "restart": RESTART, "heartbeat": HEARTBEAT} | feed}}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    with found.venue:
        yield found


@pytest.fixture
def runtime(desk: Desk) -> Iterator[Runtime]:
    with actors.start(desk.config(), wait=10.0) as runtime:
        yield runtime


def test_maintenance_makes_all_topics_quiet_until_its_end(desk: Desk) -> None:
    with clockwork(desk.config(heartbeat=BEAT)) as clock:

        def found() -> set[tuple[str, str]]:
            every = [topic.freshness for topic in clock.line().topics]
            return {(each.state, each.cause) for each in every if each is not None}

        until_ms = clock.timers.wall_ns() // 1_000_000 + 600_000
        desk.say(system="down", words="new engine", until=until_ms)
        clock.until(lambda _: found() == {("quiet", "maintenance")})
        clock.advance(599.0)
        assert found() == {("quiet", "maintenance")}
        assert states_of(clock.line()) == ["maintenance: new engine"]
        clock.advance(2.0)
        assert found() == {("quiet", "not_due")}
        assert states_of(clock.line()) == []
        clock.advance(60.0)
        assert {state for state, _ in found()} == {"stale"}


def test_degraded_is_shown_and_explains_nothing(desk: Desk) -> None:
    with clockwork(desk.config(heartbeat=BEAT)) as clock:
        desk.say(system="slow", words="late by a minute")
        clock.until(lambda _: states_of(clock.line()) == ["degraded: late by a minute"])
        clock.advance(61.0)
        assert {topic.stale for topic in clock.line().topics} == {True}


def test_each_element_of_a_list_is_told_apart(desk: Desk, runtime: Runtime) -> None:
    trades = runtime.subscribe("desk", "trades", "A", wait=10.0)
    depth = runtime.subscribe("desk", "depth", "A", wait=10.0)
    desk.say(markets=[{"symbol": "a", "trading": False}, {"symbol": "b", "trading": False}, {"symbol": "c"}])
    assert next_state(trades).scope == Scope("trades", "A")
    assert states_of(line_of(runtime, "desk")) == ["trades/A is halted: false", "trades/B is halted: false"]
    desk.say(system="slow")
    assert next_state(trades).scope == next_state(depth).scope == Scope()
    assert waiting(depth) == ["Closed"]


def test_lost_data_is_asked_for_again_at_once_and_leaves_a_gap(desk: Desk, runtime: Runtime) -> None:
    trades = runtime.subscribe("desk", "trades", "A", wait=10.0)
    desk.say(topic="trades.A", data=1)
    trades.get(timeout=10.0)
    before = len(desk.venue.heard)
    desk.say(system="reset", words="the feed handler was restarted")
    desk.say(topic="trades.A", data=2)
    until(runtime, lambda _: len(desk.venue.heard) >= before + 2)
    until(
        runtime, lambda _: {topic.state.state for topic in line_of(runtime, "desk").topics} == {"confirmed"}
    )
    desk.say(topic="trades.A", data=3)
    until(runtime, lambda status: status.streams[0].received == 3)
    assert waiting(trades) == [
        "data_lost: the feed handler was restarted",
        "gap: unknown",
        "Message",
        "Message",
        "Closed",
    ]
    assert sorted(each["topic"] for each in desk.venue.heard[before:]) == ["depth.A", "trades.A"]
    line = line_of(runtime, "desk")
    assert (line.epoch, line.state, line.venue_states) == (1, "live", ())


def test_a_flood_of_lost_data_asks_once_per_back_off_and_marks_each_loss(
    desk: Desk, runtime: Runtime
) -> None:
    trades = runtime.subscribe("desk", "trades", "A", wait=10.0)
    before = len(desk.venue.heard)
    for _ in range(200):
        desk.say(system="reset")
    desk.say(topic="trades.A", data=1)
    trades.get(timeout=10.0)
    assert trades.gap_count >= 200
    assert len(desk.venue.heard) <= before + 4
    assert len(line_of(runtime, "desk").venue_journal) == 20


def test_a_flood_of_states_is_logged_as_few_and_counted(
    desk: Desk, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "actors.connection")
    words = ["up", "down", "slow"]
    for number in range(3_000):
        desk.say(system=words[number % 3], words=f"no {number}")
    until(runtime, lambda _: states_of(line_of(runtime, "desk")) == ["degraded: no 2999"])
    runtime.stop()
    told = [text for each in caplog.records if "the venue says" in (text := each.getMessage())]
    assert len(told) < 100
    counts = [re.search(r"\(([\d,]+) of these\)", text) for text in told]
    assert (
        sum(int(each[1].replace(",", "")) if each else 1 for each in counts) == 2_999
    )  # the first `open` is none


def test_a_flood_of_announced_closes_is_passed_on_as_few(
    desk: Desk, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed_on: list[object] = []
    tell = Address.tell

    def noted(self: Address, message: object, life: int | None = None) -> None:
        if isinstance(message, ConnectionCloseAnnounced):
            passed_on.append(message)
        tell(self, message, life)

    monkeypatch.setattr(Address, "tell", noted)
    desk.venue.refuse(status=503, n=1_000)
    for _ in range(2_000):
        desk.say(goodbye=True, words="closing")
    desk.say(topic="trades.A", data=1)
    until(runtime, lambda _: line_of(runtime, "desk").counters.decoded == 1)
    assert 1 <= len(passed_on) < 50


def is_rotated(line: LineStatus) -> bool:
    return line.rotations == 1 and not line.venue_states


def test_a_connection_that_will_be_closed_is_rotated_before(desk: Desk, runtime: Runtime) -> None:
    trades = runtime.subscribe("desk", "trades", "A", wait=10.0)
    desk.say(goodbye=True, words="closing for an upgrade")
    # The state ends when the connection that takes over has its turn.
    until(runtime, lambda _: is_rotated(line_of(runtime, "desk")))
    desk.say(topic="trades.A", data=1)
    assert trades.get(timeout=10.0).data == 1
    assert waiting(trades) == ["Closed"]
    line = line_of(runtime, "desk")
    assert (line.epoch, line.counters.restarts, line.counters.gaps) == (2, 0, 0)
    assert states_of(line) == []
    assert [entry.state for entry in line.venue_journal] == ["degraded", "open"]


def test_what_the_venue_says_again_and_again_is_told_once(desk: Desk, runtime: Runtime) -> None:
    trades = runtime.subscribe("desk", "trades", "A", wait=10.0)
    for _ in range(500):
        desk.say(system="down", words="x" * 10_000)
    desk.say(topic="trades.A", data=1)
    items = trades.with_markers()
    connected, state, event = next(items), next(items), next(items)
    assert word(connected) == "connected"
    assert isinstance(state, VenueState)
    assert len(state.text) <= 500
    assert word(event) == "Message"


def test_a_state_on_topics_of_another_line_is_none_of_this_one(desk: Desk, runtime: Runtime) -> None:
    assert not Scope(key="A").reaches(Topic("desk", "trades", "B"))
    desk.say(system="odd")
    desk.say(topic="trades.A", data=1)
    until(runtime, lambda _: line_of(runtime, "desk").counters.unrouted == 2)
    assert fresh(runtime).lines()["desk"].venue_journal == ()


def test_a_rotation_that_fails_is_tried_again_before_the_venue_closes(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with clockwork(desk.config(heartbeat=BEAT)) as clock:
        desk.venue.refuse(status=503, n=1)
        desk.say(goodbye=True, words="closing in ten minutes")
        clock.until(lambda _: any("not rotated" in record.getMessage() for record in caplog.records))
        assert clock.line().rotations == 0
        clock.advance(61.0)
        clock.until(lambda _: clock.line().rotations == 1)
        assert (clock.line().epoch, clock.line().counters.gaps) == (3, 0)
