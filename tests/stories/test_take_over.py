"""A rotation that is overtaken: the present connection, the candidate or the one that hands over is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Any

import pytest

from actors import Gap, Lifecycle, RotationFailed, Runtime, Stream
from actors.connection import LAST_WORD, Connection
from actors.delivery import kept, overlap
from actors.delivery.epoch_delivery import EpochDelivery
from actors.login.connector import Connector
from actors.messages import LineSettled, Report, RotationBegun
from actors.simulators import SimulatedO2
from actors.status import Status
from actors.supervision import rotation
from actors.supervision.rotation import Rotations
from actors.supervision.state import LineRecord
from tests.stories.test_wedged import WATCHDOG, Trap, is_wedged, nobody_is_wedged
from tests.support.counters import settle
from tests.support.runtimes import at_epoch, line_of, runtime_on, until

PATIENT: dict[str, Any] = {"ack_timeout": 3.0}


def record(runtime: Runtime) -> LineRecord:
    return runtime._tree._supervisor._lines.records["o2"]


def lose_connection(runtime: Runtime) -> None:
    """The present one of the line; a candidate stays."""
    record(runtime).life.connect_cancel.cancel()


@contextmanager
def rotating(runtime: Runtime) -> Iterator[Future[None]]:
    """What comes of a rotation that goes on meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(runtime.rotate, "o2", timeout=20.0)


def decoded(count: int) -> Callable[[Status], bool]:
    return lambda status: status.lines()["o2"].counters.decoded >= count


def told(stream: Stream[Any]) -> list[str | int]:
    """All that lies in a stream: words, `gap`, and the numbers of trades."""
    stream.close()
    said: list[str | int] = []
    for item in stream.with_markers():
        if isinstance(item, Lifecycle):
            said.append(item.state)
        elif isinstance(item, Gap):
            said.append("gap")
        elif hasattr(item, "trade_id"):
            said.append(int(item.trade_id))
    return said


def newest(runtime: Runtime) -> int:
    """The number of the last trade that a stream was given."""
    last_events = runtime._tree._supervisor.shared.cells.last_events("o2")
    assert last_events is not None
    return max(
        (int(event.trade_id) for event in last_events.events.values() if hasattr(event, "trade_id")),
        default=0,
    )


def live_by(epoch: int) -> Callable[[Status], bool]:
    def wanted(status: Status) -> bool:
        line = status.lines()["o2"]
        return line.epoch == epoch and line.state == "live"

    return wanted


def check_took_over(runtime: Runtime) -> None:
    """By the second connection, without a timer."""
    line = line_of(runtime)
    assert (line.epoch, line.state, line.rotations, line.counters.restarts) == (2, "live", 0, 1)
    settle(runtime)


# ── the present connection dies first ───────────────────────────────────────────────────────────


def test_the_present_connection_dies_while_the_candidate_connects(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runtime_on(o2, restart={"initial": 60.0, "maximum": 60.0, "stable_after": 60.0}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        trap = Trap(monkeypatch, Connector, "open")
        with rotating(runtime) as rotation:
            assert trap.caught.wait(10)
            lose_connection(runtime)
            until(runtime, lambda status: status.lines()["o2"].state == "connecting")
            assert not rotation.done()
            trap.released.set()
            rotation.result(timeout=20)
        o2.number_trades(market, 3)
        until(runtime, lambda status: status.streams[0].received >= 3)
        check_took_over(runtime)
        assert told(trades) == ["connected", "disconnected", "restored", "gap", 1, 2, 3]


def test_the_present_connection_dies_while_the_candidate_logs_in(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its routes, and waits for what the other session leaves."""
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        on_message = Connection._on_delivery_message

        def deaf(connection: Connection, message: Any) -> None:
            if not isinstance(message, RotationBegun):
                on_message(connection, message)

        monkeypatch.setattr(Connection, "_on_delivery_message", deaf)
        with rotating(runtime) as rotation:
            until(runtime, lambda _: record(runtime).rotating.name == "CANDIDATE_REACHED")
            lose_connection(runtime)
            rotation.result(timeout=20)
        o2.number_trades(market, 3)
        until(runtime, lambda status: status.streams[0].received >= 3)
        check_took_over(runtime)
        assert told(trades) == ["connected", "disconnected", "restored", "gap", 1, 2, 3]


def test_the_present_connection_dies_before_the_candidate_is_settled(o2: SimulatedO2, market: str) -> None:
    """Each topic has its gap when it is answered for, and what was kept lies behind it."""
    with runtime_on(o2, **PATIENT) as runtime:
        books = runtime.subscribe("o2", "depth", market, wait=10.0)
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.number_trades(market, 3)
        until(runtime, decoded(4))
        o2.lose_ack(1)  # of the candidate's depth
        with rotating(runtime) as rotation:
            o2.wait_heard("subscribe_trades", 2)
            until(runtime, lambda _: record(runtime).rotating.name == "CANDIDATE_OPEN")
            both = decoded(record(runtime).history.tally.counts()["decoded"] + 6)
            o2.number_trades(market, 3)  # both bring them
            until(runtime, both)
            o2.mute(new=False)
            list(o2._peers)[-1].muted = False  # the candidate alone
            before = record(runtime).history.tally.counts()["decoded"]
            o2.number_trades(market, 3)
            until(runtime, decoded(before + 3))
            lose_connection(runtime)
            until(runtime, lambda status: status.lines()["o2"].state == "subscribing")
            assert not rotation.done()
            rotation.result(timeout=20)
        until(runtime, live_by(2))
        o2.number_trades(market, 1)
        until(runtime, lambda status: status.streams[1].received >= 10)
        check_took_over(runtime)
        assert told(books) == ["connected", "disconnected", "restored", "gap"]
        said = told(trades)
        assert said[:7] == ["connected", 1, 2, 3, 4, 5, 6]
        assert said[7:] == ["disconnected", "restored", "gap", 7, 8, 9, 10]


def test_the_present_connection_dies_when_the_candidate_has_just_settled(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor learns of the death first."""
    handle_report, settled = Rotations.handle_report, list[Report]()

    def late(self: Rotations, line: LineRecord, report: Report) -> None:
        settled.append(report) if isinstance(report, LineSettled) else handle_report(self, line, report)

    monkeypatch.setattr(Rotations, "handle_report", late)
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        with rotating(runtime) as rotation:
            until(runtime, lambda _: bool(settled))
            o2.number_trades(market, 3)
            until(runtime, decoded(6))
            lose_connection(runtime)
            until(runtime, at_epoch(2))
            assert not rotation.done()
            runtime._roles.named("supervisor").tell(settled[0])
            rotation.result(timeout=20)
        o2.number_trades(market, 1)
        until(runtime, lambda status: status.streams[0].received >= 4)
        check_took_over(runtime)
        assert told(trades) == ["connected", 1, 2, 3, "disconnected", "restored", "gap", 4]


def test_the_present_connection_dies_in_the_very_moment_of_the_hand_over(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor learns of the death last."""
    with runtime_on(o2) as runtime:
        books = runtime.subscribe("o2", "depth", market, wait=10.0)
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        trap = Trap(monkeypatch, Rotations, "_take_over")
        present = record(runtime).life.child
        assert present is not None
        with rotating(runtime) as rotation:
            assert trap.caught.wait(10)
            lose_connection(runtime)
            present.thread.join(10)
            trap.released.set()
            rotation.result(timeout=20)
        o2.number_trades(market, 3)
        until(runtime, lambda status: status.streams[1].received >= 3)
        line = line_of(runtime)
        assert (line.epoch, line.state, line.rotations, line.counters.restarts) == (2, "live", 1, 0)
        settle(runtime)
        assert told(books) == ["connected", "gap"]
        assert told(trades) == ["connected", "gap", 1, 2, 3]
        assert runtime.status().dead_letters.count == 0


def test_a_present_connection_that_is_wedged_is_followed_by_its_candidate(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it brought and was not cut off from comes once, although it hands nothing back."""
    with runtime_on(o2, runtime={"watchdog_timeout": WATCHDOG}, **PATIENT) as runtime:
        _books = runtime.subscribe("o2", "depth", market, wait=10.0)
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.lose_ack(1)
        with rotating(runtime) as rotation:
            o2.wait_heard("subscribe_trades", 2)
            until(runtime, lambda _: record(runtime).rotating.name == "CANDIDATE_OPEN")
            until(runtime, lambda _: o2.subscribers("trades", market) == 2)
            o2.number_trades(market, 3)
            until(runtime, lambda status: status.streams[1].received >= 3)
            trap = Trap(monkeypatch, EpochDelivery, "hand_out")
            o2.number_trades(market, 3)
            assert trap.caught.wait(10)
            until(runtime, is_wedged("connection/o2"))
            until(runtime, at_epoch(2))
            rotation.result(timeout=20)
        until(runtime, live_by(2))
        trap.released.set()
        assert trap.over.wait(10)
        until(runtime, nobody_is_wedged)
        o2.number_trades(market, 1)
        until(runtime, lambda _: newest(runtime) == 7)
        settle(runtime)
        said = told(trades)
        assert said[:7] == ["connected", 1, 2, 3, "disconnected", "restored", "gap"]
        assert said[7:] in ([7], [6, 7], [5, 6, 7])  # but for what the former one hung over


STEPS = ("CANDIDATE", "CANDIDATE_REACHED", "CANDIDATE_OPEN", "HANDING_OVER")


def test_a_numbered_feed_brings_nothing_twice_whenever_the_present_connection_dies(
    o2: SimulatedO2, market: str
) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0, capacity=1_000_000)
        ended, numbers = threading.Event(), list[range]()

        def talk() -> None:
            while not ended.is_set():
                numbers.append(o2.number_trades(market, 50, per_second=2_000))

        with ThreadPoolExecutor(1) as pool:
            talking = pool.submit(talk)
            for step in STEPS * 5:
                present = record(runtime).life.connect_cancel
                with rotating(runtime) as rotation:
                    until(runtime, has_come_to(runtime, step, rotation))
                    present.cancel()
                    rotation.result(timeout=20)
            ended.set()
            talking.result(timeout=20)
        until(runtime, lambda _: newest(runtime) == numbers[-1][-1])
        settle(runtime)
        said = told(trades)
        last_events = [each for each in said if isinstance(each, int)]
        assert last_events == sorted(set(last_events))
        for before, after in pairwise(said):
            if isinstance(before, int) and isinstance(after, int):
                assert after == before + 1


def has_come_to(runtime: Runtime, step: str, rotation: Future[None]) -> Callable[[Status], bool]:
    return lambda _: record(runtime).rotating.name == step or rotation.done()


# ── the candidate that took over dies as well ───────────────────────────────────────────────────


def test_a_candidate_that_took_over_and_dies_is_no_rotation(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        trap = Trap(monkeypatch, Connector, "open")
        with rotating(runtime) as rotation:
            assert trap.caught.wait(10)
            lose_connection(runtime)
            until(runtime, at_epoch(2))
            o2.refuse(503)
            trap.released.set()
            with pytest.raises(RotationFailed, match="503"):
                rotation.result(timeout=20)
        until(runtime, live_by(3))
        o2.number_trades(market, 1)
        until(runtime, lambda status: status.streams[0].received >= 1)
        settle(runtime)
        said = told(trades)
        assert said == ["connected", "disconnected", "reconnecting", "restored", "gap", 1]


def test_a_line_that_is_paused_leaves_its_candidate(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        trap = Trap(monkeypatch, Connector, "open")
        with rotating(runtime) as rotation:
            assert trap.caught.wait(10)
            runtime.supervisor.pause("o2").get(timeout=5)
            with pytest.raises(RotationFailed, match="paused"):
                rotation.result(timeout=20)
            trap.released.set()
        until(runtime, lambda status: not [each for each in status.actors if each.id == "connection/o2"])
        o2.wait_for(lambda: o2.connections == 0)
        words = [word.state for word in islice(trades.with_markers(), 3) if isinstance(word, Lifecycle)]
        assert words == ["connected", "disconnected", "paused"]


# ── handing over ────────────────────────────────────────────────────────────────────────────────


def test_a_candidate_that_dies_before_its_turn_brought_its_events_to_no_stream(
    o2: SimulatedO2, market: str
) -> None:
    with runtime_on(o2) as runtime:
        books = runtime.subscribe("o2", "depth", market, wait=10.0)
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.deaf(new=False)  # the present one never says its last word
        with rotating(runtime) as rotation:
            until(runtime, at_epoch(2))
            before = line_of(runtime).counters
            former = record(runtime).former
            assert former is not None
            o2.number_trades(market, 5)
            until(runtime, decoded(before.decoded + 5))
            lose_connection(runtime)
            rotation.result(timeout=20)
        until(runtime, live_by(3))
        until(runtime, lambda status: all(stream.gaps for stream in status.streams))
        counters = settle(runtime).lines()["o2"].counters
        assert counters.unrouted >= before.unrouted + 5
        assert told(books) == ["connected", "disconnected", "reconnecting", "restored", "gap"]
        assert [gap.since_ns for gap in books.gaps] == [
            former.counters.received_ns
        ]  # since then they had nothing
        assert [each for each in told(trades) if isinstance(each, str)] == [
            "connected",
            "disconnected",
            "reconnecting",
            "restored",
            "gap",
        ]


def test_a_former_connection_that_is_wedged_is_given_up(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the watchdog, and long before its time to hand over has passed."""
    monkeypatch.setattr(rotation, "GOODBYE", 600.0)
    pong, caught, released, over = Connection._pong, *(threading.Event() for _ in range(3))

    def hang(self: Connection, payload: bytes) -> None:
        if payload == LAST_WORD:
            caught.set()
            released.wait(30)
        pong(self, payload)
        over.set()

    monkeypatch.setattr(Connection, "_pong", hang)
    with runtime_on(o2, runtime={"watchdog_timeout": WATCHDOG}) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.number_trades(market, 3)
        until(runtime, lambda status: status.streams[0].received >= 3)
        with rotating(runtime) as rotated:
            assert caught.wait(10)
            o2.number_trades(market, 3)
            rotated.result(timeout=20)
            assert is_wedged("connection/o2")(runtime.status())
        until(runtime, lambda status: status.streams[0].received >= 6)
        released.set()
        assert over.wait(10)
        until(runtime, nobody_is_wedged)
        settle(runtime)
        assert (line_of(runtime).epoch, line_of(runtime).counters.restarts) == (2, 0)
        assert told(trades) == ["connected", 1, 2, 3, "gap", 4, 5, 6]


# ── bounds ──────────────────────────────────────────────────────────────────────────────────────


def test_a_candidate_that_brings_too_much_before_it_is_settled_is_dropped(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "EVENTS", 20)
    with runtime_on(o2, **PATIENT) as runtime:
        _books = runtime.subscribe("o2", "depth", market, wait=10.0)
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.lose_ack(1)
        with rotating(runtime) as rotation:
            until(runtime, lambda _: o2.subscribers("trades", market) == 2)
            o2.number_trades(market, 100)
            with pytest.raises(RotationFailed, match="before it was ready"):
                rotation.result(timeout=20)
        until(runtime, lambda status: status.streams[1].received >= 100)
        settle(runtime)
        assert (line_of(runtime).epoch, line_of(runtime).state) == (1, "live")
        assert told(trades) == ["connected", *range(1, 101)]


def test_a_candidate_that_brings_too_much_before_its_turn_reads_no_further(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "EVENTS", 20)
    monkeypatch.setattr(rotation, "GOODBYE", 600.0)
    quiet = {"ping_interval": 0.0, "venue_ping_interval": 0.0}
    with runtime_on(o2, heartbeat=quiet) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.deaf(new=False)
        with rotating(runtime) as rotated:
            until(runtime, at_epoch(2))
            o2.number_trades(market, 100)
            until(runtime, lambda _: not record(runtime).life.counters.reading)
            o2.number_trades(market, 100)
            assert not rotated.done()
            o2.heal()
            rotated.result(timeout=20)
        until(runtime, lambda status: status.streams[0].received >= 200)
        settle(runtime)
        assert told(trades) == ["connected", *range(1, 201)]


def test_a_present_connection_that_brings_more_than_is_compared_stays(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the candidate's epoch is not the next one."""
    monkeypatch.setattr(overlap, "KEYS", 20)
    with runtime_on(o2, **PATIENT) as runtime:
        _books = runtime.subscribe("o2", "depth", market, wait=10.0)
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.refuse(503)
        with pytest.raises(RotationFailed, match="503"):
            runtime.rotate("o2", timeout=20.0)
        o2.lose_ack(1)
        with rotating(runtime) as rotation:
            until(runtime, lambda _: o2.subscribers("trades", market) == 2)
            o2.number_trades(market, 100)
            with pytest.raises(RotationFailed, match="more events than can be compared"):
                rotation.result(timeout=20)
        until(runtime, lambda status: status.streams[1].received >= 100)
        settle(runtime)
        assert (line_of(runtime).epoch, line_of(runtime).state) == (1, "live")
        assert told(trades) == ["connected", *range(1, 101)]
        assert runtime.status().dead_letters.count == 0
