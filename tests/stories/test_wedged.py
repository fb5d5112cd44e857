"""An actor that hangs is shown with its stack, fenced off and replaced; waking up it changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import actors
from actors import Runtime
from actors.connection import Connection
from actors.delivery.epoch_delivery import EpochDelivery
from actors.dispatcher import Dispatcher
from actors.events import Topic
from actors.heartbeat import Heartbeat
from actors.registry import Registry
from actors.rules.ledger import Ledger
from actors.simulators import SimulatedO2
from actors.status import ActorStatus, Status
from actors.venues.o2 import O2, O2Session
from tests.stories.test_killed_actors import after, kill
from tests.support.counters import settle
from tests.support.runtimes import config, line_of, until

WATCHDOG = 0.5  # seconds


class Trap:
    """The next call of a method hangs until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> None:
        self.caught, self.released = threading.Event(), threading.Event()
        self.over = threading.Event()  # the call that hung has returned
        original = getattr(kind, name)
        first = iter([True])

        def hang(*args: Any, **kwargs: Any) -> Any:
            if not next(first, False):
                return original(*args, **kwargs)
            self._sit_in_the_trap()
            try:
                return original(*args, **kwargs)
            finally:
                self.over.set()

        monkeypatch.setattr(kind, name, hang)

    def _sit_in_the_trap(self) -> None:
        self.caught.set()
        self.released.wait(30)


class Knot:
    """Two methods, each of which holds a lock and wants that of the other: ABBA, once, until it is cut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *methods: tuple[type, str]) -> None:
        self._cut = threading.Event()
        self._both = threading.Barrier(2)
        one, other = threading.Lock(), threading.Lock()
        for (kind, name), mine, yours in zip(methods, (one, other), (other, one), strict=True):
            monkeypatch.setattr(kind, name, self._tie(getattr(kind, name), mine, yours))

    def cut(self) -> None:
        self._cut.set()

    def _tie(self, original: Any, mine: threading.Lock, yours: threading.Lock) -> Any:
        first = iter([True])

        def call(*args: Any, **kwargs: Any) -> Any:
            if next(first, False):
                with mine:
                    self._both.wait(10)
                    self._wait_for_the_other(yours)
            return original(*args, **kwargs)

        return call

    def _wait_for_the_other(self, lock: threading.Lock) -> None:
        while not self._cut.is_set():
            if lock.acquire(timeout=0.05):
                lock.release()
                return


@pytest.fixture
def watched(o2: SimulatedO2) -> Iterator[Runtime]:
    """A live desk that notices within a second when somebody hangs."""
    with actors.start(config(o2.url, runtime={"watchdog_timeout": WATCHDOG}), wait=10.0) as runtime:
        yield runtime


def wedged(status: Status, id: str) -> list[ActorStatus]:
    return [actor for actor in status.actors if actor.id == id and actor.state == "wedged"]


def is_wedged(id: str) -> Callable[[Status], bool]:
    return lambda status: bool(wedged(status, id))


def nobody_is_wedged(status: Status) -> bool:
    return all(actor.state != "wedged" for actor in status.actors)


HANGS = [
    ("registry", Registry, "_reject"),
    ("dispatcher", Dispatcher, "_open"),
    ("heartbeat", Heartbeat, "_beat"),
    ("connection/o2", O2Session, "received"),
]


@pytest.mark.parametrize(("id", "kind", "method"), HANGS)
def test_an_actor_that_hangs_is_shown_replaced_and_harmless_when_it_wakes(
    id: str,
    kind: type,
    method: str,
    watched: Runtime,
    o2: SimulatedO2,
    market: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trades = watched.subscribe("o2", "trades", market, wait=5.0)
    o2.number_trades(market, 10)
    heard = [int(trades.get(timeout=5).trade_id) for _ in range(10)]
    trap = Trap(monkeypatch, kind, method)
    begun = time.monotonic()
    if id in {"registry", "dispatcher"}:
        bad = o2.markets[2]
        o2.reject(bad)
        _stream = watched.subscribe("o2", "depth", bad)
    o2.number_trades(market, 10)
    assert trap.caught.wait(5)

    (victim,) = wedged(until(watched, is_wedged(id)), id)
    assert time.monotonic() - begun < 5 * (1.5 * WATCHDOG) + 5 * 0.5  # and the beat it hangs on
    assert "_sit_in_the_trap" in victim.stack
    assert "self.released.wait(30)" in victim.stack
    begun = time.monotonic()
    watched.status()
    assert time.monotonic() - begun < 5 * 0.1
    until(watched, after(id, victim.incarnation))

    watched.wait_live(timeout=10)
    o2.wait_for(lambda: o2.subscribers("trades", market) == 1)  # the old socket went first
    o2.number_trades(market, 10)
    while heard[-1] < 30:
        heard.append(int(trades.get(timeout=5).trade_id))
    said = len(o2.heard)
    epoch = line_of(watched).epoch

    trap.released.set()
    assert trap.over.wait(5)
    until(watched, nobody_is_wedged)
    o2.number_trades(market, 10)
    while heard[-1] < 40:
        heard.append(int(trades.get(timeout=5).trade_id))
    assert heard == sorted(set(heard))
    asked = [frame for frame in o2.heard[said:] if isinstance(frame, dict)]
    assert asked == []
    assert line_of(watched).epoch == epoch == (2 if id.startswith("connection") else 1)
    settle(watched)
    missing = 40 - len(heard)
    if missing:
        (gap,) = trades.gaps
        assert gap.reason == "disconnect"


class Work:
    """A letter that takes a fifth of the watchdog's time."""


@pytest.mark.parametrize(
    ("id", "kind"),
    [
        ("registry", Registry),
        ("dispatcher", Dispatcher),
        ("heartbeat", Heartbeat),
        ("connection/o2", Connection),
    ],
)
def test_busy_is_not_wedged(
    id: str, kind: type[Any], watched: Runtime, o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog of five times the watchdog's time, and every letter of it makes progress."""
    original = kind.on_receive

    def on_receive(actor: Any, message: Any) -> Any:
        if not isinstance(message, Work):
            return original(actor, message)
        time.sleep(WATCHDOG / 5)  # it works
        return actor.incarnation

    monkeypatch.setattr(kind, "on_receive", on_receive)
    answers = [watched._roles.named(id).ask(Work()) for _ in range(25)]
    assert [answer.get(timeout=30) for answer in answers] == [1] * 25
    assert nobody_is_wedged(watched.status())
    assert line_of(watched).epoch == 1


def test_two_that_wait_for_each_other_are_both_shown_and_replaced(
    watched: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades = watched.subscribe("o2", "trades", market, wait=5.0)
    knot = Knot(monkeypatch, (Registry, "_reject"), (Dispatcher, "_wants_placed"))
    bad = o2.markets[2]
    o2.reject(bad)
    begun = time.monotonic()
    opening = ThreadPoolExecutor(1).submit(watched.subscribe, "o2", "depth", bad)
    status = until(watched, lambda status: is_wedged("registry")(status) and is_wedged("dispatcher")(status))
    assert time.monotonic() - begun < 5 * (1.5 * WATCHDOG)
    for id in ("registry", "dispatcher"):
        (victim,) = wedged(status, id)
        assert "_wait_for_the_other" in victim.stack
        until(watched, after(id, victim.incarnation))
    o2.trade(market, trade_id="2")
    assert trades.get(timeout=5).trade_id == "2"
    assert trades.gap_count == 0  # no event passes through either of them
    assert opening.result(timeout=10).topics
    knot.cut()
    until(watched, nobody_is_wedged)
    assert line_of(watched).epoch == 1
    settle(watched)


def test_a_connection_that_hangs_before_it_is_logged_in(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(monkeypatch, O2Session, "opened")
    with actors.start(config(o2.url, runtime={"watchdog_timeout": WATCHDOG})) as runtime:
        assert trap.caught.wait(5)
        until(runtime, is_wedged("connection/o2"))
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        runtime.wait_live(timeout=10)
        o2.forget_heard()
        trap.released.set()  # it says that it is logged in, as a life that is over
        until(runtime, nobody_is_wedged)
        o2.trade(market, trade_id="1")
        assert trades.get(timeout=5).trade_id == "1"
        assert [frame for frame in o2.heard if isinstance(frame, dict)] == []
        pings = o2.pings
        o2.wait_for(lambda: o2.pings >= pings + 2)  # the beat is that of the life there is
        until(runtime, lambda status: status.lines()["o2"].rtt_ms is not None)
        assert line_of(runtime).epoch == 2
        settle(runtime)


def test_a_registry_that_hangs_over_a_wish_sends_nothing_when_it_wakes(
    watched: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(monkeypatch, Ledger, "next_batch")
    with ThreadPoolExecutor() as pool:
        opening = pool.submit(watched.subscribe, "o2", "trades", market)
        assert trap.caught.wait(5)
        until(watched, is_wedged("registry"))
        o2.wait_heard("subscribe_trades")  # by the new one, from the same book
        until(watched, lambda status: status.lines()["o2"].state == "live")
        trap.released.set()
        assert trap.over.wait(5)
        until(watched, nobody_is_wedged)
        trades = opening.result(timeout=10)
    pings = o2.pings
    o2.wait_for(lambda: o2.pings > pings)
    assert o2.heard.count({"action": "subscribe_trades", "market_id": market}) == 1
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=5).trade_id == "1"


def test_the_books_are_those_of_the_new_keeper(
    watched: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that hangs over a wish: what it then writes is not in the book that counts."""
    keep = watched.subscribe("o2", "trades", market, wait=5.0)
    gone = watched.subscribe("o2", "trades", o2.markets[1], wait=5.0)
    trap = Trap(monkeypatch, Ledger, "unwant")
    gone.close()
    assert trap.caught.wait(5)
    until(watched, is_wedged("registry"))
    before = {f"o2/trades/{market}"}
    until(watched, lambda status: {topic.topic for topic in status.lines()["o2"].topics} == before)
    trap.released.set()
    until(watched, nobody_is_wedged)
    assert {topic.topic for topic in line_of(watched).topics} == before
    o2.trade(market, trade_id="1")
    assert keep.get(timeout=5).trade_id == "1"


def test_stop_is_answered_and_names_who_hangs(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchdog = {"watchdog_timeout": 60.0}  # it does not look before the stop
    with actors.start(config(o2.url, runtime=watchdog), wait=10.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        trap = Trap(monkeypatch, EpochDelivery, "hand_out")
        o2.trade(market)
        assert trap.caught.wait(5)
        begun = time.monotonic()
        left = runtime.stop(timeout=2.0)
        assert time.monotonic() - begun < 5 * 3.0
        assert left == ("connection/o2",)
        assert list(trades) == []
        trap.released.set()


def test_stop_names_those_who_were_replaced_too(
    watched: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stream = watched.subscribe("o2", "trades", market, wait=5.0)
    trap = Trap(monkeypatch, EpochDelivery, "hand_out")
    o2.trade(market)
    assert trap.caught.wait(5)
    until(watched, is_wedged("connection/o2"))
    assert watched.stop(timeout=2.0) == ("connection/o2",)
    trap.released.set()


def test_a_heartbeat_that_is_replaced_beats_no_faster(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timers of a former keeper are still about; they are not the new one's."""
    slow = {"ping_interval": 0.2, "pong_timeout": 5.0, "venue_ping_interval": 0.2}
    with actors.start(config(o2.url, heartbeat=slow), wait=10.0) as runtime:
        for incarnation in (1, 2, 3):
            kill(Heartbeat)
            until(runtime, after("heartbeat", incarnation))
        begun = line_of(runtime).live_for_s or 0.0
        o2.forget_heard()
        until(runtime, lambda status: (status.lines()["o2"].live_for_s or 0.0) > begun + 2.0)
        assert o2.heard.count("PING") <= 11  # every 0.2 s


def test_what_a_registry_had_placed_when_it_hung_is_told_by_the_next(
    watched: Runtime, o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = o2.markets[:2]
    place, hung, released = O2.place, threading.Event(), threading.Event()

    def hang(self: O2, topic: Topic, placed: Any) -> Any:
        if topic.key == two and not hung.is_set():
            hung.set()
            released.wait(30.0)
        return place(self, topic, placed)

    monkeypatch.setattr(O2, "place", hang)
    trades = watched.subscribe("o2", "trades", one, two)
    assert hung.is_set()
    watched.wait_live(timeout=20.0)
    o2.drop()
    o2.wait_heard("subscribe_trades", 4)
    watched.wait_live(timeout=20.0)
    o2.trade(one)
    o2.trade(two)
    assert {trades.get(timeout=10.0).market for _ in range(2)} == {one, two}
    assert {gap.topic.key for gap in trades.gaps} == {one, two}
    released.set()


def test_the_gaps_of_a_line_are_not_forgotten_with_a_connection_that_hangs(
    watched: Runtime, o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last letter, with the count, never comes."""
    trades = watched.subscribe("o2", "trades", market, wait=5.0)
    for _ in range(3):
        o2.garbage("json")
    until(watched, lambda status: status.lines()["o2"].counters.gaps == 3)
    trap = Trap(monkeypatch, O2Session, "received")
    o2.number_trades(market, 1)
    assert trap.caught.wait(5)
    until(watched, lambda status: (line := status.lines()["o2"]).epoch == 2 and line.state == "live")
    o2.number_trades(market, 1)
    trades.get(timeout=5)
    assert line_of(watched).counters.gaps == 4  # and that of the loss
    trap.released.set()
    assert trap.over.wait(5)
    until(watched, nobody_is_wedged)
