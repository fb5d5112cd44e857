"""`runtime.bars` on a simulated gateway: history, live trades, losses that REST mends, handlers that ask."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

import actors
from actors import (
    AskRefusedError,
    Bar,
    BarEvent,
    BarsView,
    LinewardenError,
    Runtime,
    RuntimeStopped,
    SubscribeError,
    Timeout,
)
from actors.protocol.bars import BarQuery
from actors.rules.bars.sessions import session_of
from actors.simulators.projectx import SimulatedProjectX
from actors.venues.projectx import ProjectX
from tests.support.runtimes import HEARTBEAT, RESTART

MNQ, EP = "CON.F.US.MNQ.Z26", "CON.F.US.EP.Z26"
HOUR = 3_600 * 10**9
CME = {"zone": "America/Chicago", "sessions": ["Sun-Thu 17:00-16:00"]}


def config(px: SimulatedProjectX, **feed: Any) -> dict[str, Any]:
    table: dict[str, Any] = {
        "venue": "projectx",
        "url": px.url,
        "user_name": "trader",
        "api_key": "canary-9c1f70aa",
    }
    table |= {"restart": RESTART, "heartbeat": HEARTBEAT, "connect_timeout": 5.0}
    return {"feeds": {"px": table | feed}, "calendars": {"cme": CME}}


@pytest.fixture
def px() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, contracts=(EP, MNQ), past=2.0) as simulator:
        yield simulator


@pytest.fixture
def runtime(px: SimulatedProjectX) -> Iterator[Runtime]:
    with actors.start(config(px), wait=10.0) as runtime:
        yield runtime


def until(look: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def bars_of(px: SimulatedProjectX, contract: str, seconds: int) -> dict[int, tuple[Any, ...]]:
    """What the gateway's own trades make, by the start of each bar."""
    listing = px.listings[contract]
    made: dict[int, list[tuple[datetime, int, int]]] = {}
    for at, ticks, volume in list(listing.tape):
        made.setdefault(int(at.timestamp()) // seconds * seconds * 10**9, []).append((at, ticks, volume))
    price = listing.price
    return {
        start: (
            price(its[0][1]),
            price(max(ticks for _, ticks, _ in its)),
            price(min(ticks for _, ticks, _ in its)),
            price(its[-1][1]),
            Decimal(sum(volume for *_, volume in its)),
        )
        for start, its in made.items()
    }


def numbers(bar: Bar) -> tuple[Any, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def agrees(view: BarsView, px: SimulatedProjectX, frame: str, seconds: int, contract: str = MNQ) -> bool:
    """Each finished bar since the first live trade is the gateway's own, and none of these is missing."""
    own = bars_of(px, contract, seconds)
    shown = {bar.start_ns: bar for bar in view[frame].finished if bar.start_ns >= min(own)}
    over = {start for start in own if start + (seconds + 2) * 10**9 < time.time_ns()}
    return over <= shown.keys() and all(numbers(bar) == own[start] for start, bar in shown.items())


# ── history and trades ──


def test_bars_of_several_timeframes_come_from_history_and_go_on_with_trades(
    runtime: Runtime, px: SimulatedProjectX
) -> None:
    view = runtime.bars("px", MNQ, "1s", "1min", "4h", "session", calendar="cme", history=50, wait=20.0)
    assert [*view] == ["1s", "1min", "4h", "session"]
    assert len(view["1min"].finished) in (50, 51)  # one may have ended since
    assert all(bar.exact and bar.complete for bar in view["1min"].finished)
    assert [bar.start_ns for bar in view["1min"].finished] == sorted(
        {bar.start_ns for bar in view["1min"].finished}
    )
    for bar in view["4h"].finished:
        assert bar.start_ns % (4 * 3600 * 10**9) == 0
    forming = view["session"].forming or view["session"].finished[-1]
    assert forming.end_ns - forming.start_ns == 23 * 3600 * 10**9

    for number in range(30):
        px.trade(MNQ, 24730 + Decimal(number) / 4, volume=number + 1)
        time.sleep(0.1)
    until(lambda: agrees(runtime.bars("px", MNQ, "1s"), px, "1s", 1))
    until(lambda: all(bar.exact for bar in runtime.bars("px", MNQ, "1s")["1s"].finished))
    assert agrees(runtime.bars("px", MNQ, "1s"), px, "1s", 1)
    assert runtime.bars("px", MNQ, "1s")["1s"].finished[-1].trades is not None  # made of the stream's


def test_a_contract_is_named_by_its_root_and_resolved_once(runtime: Runtime, px: SimulatedProjectX) -> None:
    assert runtime.bars("px", "MNQ", "1min", history=5, wait=20.0).key == MNQ
    searches = px.seen.requests["Contract/search"]
    assert runtime.bars("px", "MNQ", "1min").key == MNQ
    assert px.seen.requests["Contract/search"] == searches
    assert runtime.bars("px", MNQ).key == MNQ  # the same bars, by the full id


def test_a_name_of_no_contract_is_refused_with_the_gateways_words(runtime: Runtime) -> None:
    with pytest.raises(AskRefusedError, match="NotFound"):
        runtime.bars("px", "XYZ", "1min")


def test_a_wait_that_is_over_names_what_is_missing(px: SimulatedProjectX, runtime: Runtime) -> None:
    with pytest.raises(Timeout, match=r"bars of px/trades/CON.F.US.MNQ.Z26 are not synced"):
        runtime.bars("px", MNQ, "1min", wait=0.0)


# ── losses ──


@pytest.fixture
def slow(px: SimulatedProjectX) -> Iterator[Runtime]:
    """It tries again a second after a loss."""
    again = RESTART | {"initial": 1.0, "maximum": 1.0}
    with actors.start(config(px, restart=again), wait=10.0) as runtime:
        yield runtime


def test_a_loss_is_repaired_by_rest_and_its_bars_are_marked_until_then(
    slow: Runtime, px: SimulatedProjectX
) -> None:
    runtime = slow
    told: queue.SimpleQueue[BarEvent] = queue.SimpleQueue()
    runtime.on_bar("px", MNQ, "1s", handler=told.put)
    runtime.bars("px", MNQ, "1s", history=5, wait=20.0)
    stop = threading.Event()

    def trades() -> None:
        number = 0
        while not stop.wait(0.1):
            number += 1
            px.trade(MNQ, 24730 + Decimal(number % 7) / 4, volume=number)

    trading = threading.Thread(target=trades)
    trading.start()
    try:
        time.sleep(2.5)
        px.refuse(status=503, n=2, only_hub="market")
        px.drop(only_hub="market")
        until(lambda: not runtime.bars("px", MNQ, "1s").synced, 5.0)
        until(lambda: runtime.bars("px", MNQ, "1s").synced, 20.0)
        time.sleep(2.5)
    finally:
        stop.set()
        trading.join()

    def is_mended() -> bool:
        view = runtime.bars("px", MNQ, "1s")
        return agrees(view, px, "1s", 1) and all(bar.exact for bar in view["1s"].finished)

    until(is_mended)
    kinds: dict[str, list[Bar]] = {}
    while not told.empty():
        event = told.get()
        kinds.setdefault(event.kind, []).append(event.bar)
    assert "finished" in kinds
    assert "repaired" in kinds
    assert all(bar.exact for bar in kinds["repaired"])


def test_while_the_line_is_down_rest_stands_in(px: SimulatedProjectX) -> None:
    with actors.start(config(px, restart=RESTART | {"initial": 30.0, "maximum": 30.0}), wait=10.0) as runtime:
        runtime.bars("px", MNQ, "1s", history=5, wait=20.0)
        px.drop(only_hub="market")
        until(lambda: "reconnecting" in runtime.bars("px", MNQ, "1s").reason)
        px.trade(MNQ, 24731, volume=5)
        time.sleep(1.1)
        px.trade(MNQ, 24732, volume=6)
        until(lambda: Decimal(5) in {bar.volume for bar in runtime.bars("px", MNQ, "1s")["1s"].finished})


# ── handlers ──


def test_a_handler_may_ask_anything_of_the_runtime(runtime: Runtime, px: SimulatedProjectX) -> None:
    """Asking for data in a handler of new bars deadlocked in the SDK whose place this takes."""
    told: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()

    def handler(event: BarEvent) -> None:
        view = runtime.bars("px", event.key, "1s", "1min", wait=20.0)
        runtime.latest("px", event.key, timeout=0.0)
        runtime.bars("px", EP, "1min", history=3, wait=20.0)
        runtime.ask("px").bars(EP, "1min", days=0.1).get(timeout=20.0)
        told.put((event.kind, len(view["1s"].finished)))

    runtime.on_bar("px", MNQ, "1s", handler=handler, history=5)
    px.trade(MNQ, 24731)
    until(lambda: bool(runtime.bars("px", MNQ, "1s").frames) and _say_until_told(px, told))


def _say_until_told(px: SimulatedProjectX, told: queue.SimpleQueue[Any]) -> bool:
    px.trade(MNQ, 24731)
    return not told.empty()


def test_a_handler_that_raises_gets_the_next_bar(
    runtime: Runtime, px: SimulatedProjectX, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[BarEvent] = []

    def handler(event: BarEvent) -> None:
        calls.append(event)
        raise RuntimeError("a mistake")

    listening = runtime.on_bar("px", MNQ, "1s", handler=handler, history=5)
    runtime.bars("px", MNQ, "1s", wait=20.0)

    def two_have_come() -> bool:
        px.trade(MNQ, 24731)
        return len(calls) >= 2

    until(two_have_come)
    until(lambda: listening.errors >= 2)
    assert "on_bar/px/trades/CON.F.US.MNQ.Z26 failed" in caplog.text
    assert repr(listening).startswith("<BarHandler px/trades/CON.F.US.MNQ.Z26: open, ")
    listening.close()
    assert repr(listening).endswith(" errors, 0 dropped>")
    assert ": closed, " in repr(listening)
    until(lambda: not listening.thread.is_alive())


def test_bars_that_are_forgotten_end_their_handlers_and_their_stream(
    runtime: Runtime, px: SimulatedProjectX
) -> None:
    listening = runtime.on_bar("px", "MNQ", "1s", handler=lambda _: None, history=5)
    runtime.bars("px", "MNQ", "1s", wait=20.0)
    assert px.subscribers("trades", MNQ) == 1
    runtime.forget_bars("px", "MNQ")
    until(lambda: px.subscribers("trades", MNQ) == 0)
    until(lambda: not listening.thread.is_alive())
    runtime.forget_bars("px", MNQ)


def test_the_end_of_the_runtime_ends_threads_and_views(px: SimulatedProjectX) -> None:
    with actors.start(config(px), wait=10.0) as runtime:
        listening = runtime.on_bar("px", MNQ, "1s", handler=lambda _: None, history=5)
    assert not listening.thread.is_alive()
    assert not [each for each in threading.enumerate() if each.name.startswith("bars/")]
    with pytest.raises(RuntimeStopped):
        runtime.bars("px", MNQ, "1s")


# ── what is refused ──


@pytest.mark.parametrize(
    ("frames", "more", "words"),
    [
        (("5 fortnights",), {}, "bars are of a length such as"),
        ((["1min", "5min"],), {}, "bars are of a length such as"),
        (("session",), {"calendar": "cmo"}, "no calendar \"cmo\"|no calendar 'cmo'"),
        (("2day",), {}, "no agreed beginning"),
        (("1min",), {"history": -1}, "history is a number of bars from 0"),
        (("1min",), {"keep": True}, "keep is a number of bars from 1"),
        ((), {}, "name the timeframes"),
        (("1min",), {"limit": 5}, "bars take calendar, history, keep, wait, and no option 'limit'"),
        ((), {"timeframe": "1min"}, 'Timeframes such as "1min" are not named: they follow the key'),
        (("1min",), {"kep": 5}, "no option 'kep'; did you mean 'keep'"),
    ],
    ids=["unit", "list", "calendar", "days", "history", "keep", "none", "option", "named", "misspelt"],
)
def test_what_makes_no_sense_is_refused_before_anything_is_subscribed_to(
    runtime: Runtime, px: SimulatedProjectX, frames: tuple[str, ...], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(LinewardenError, match=words):
        runtime.bars("px", EP, *frames, **more)
    assert px.subscribers("trades", EP) == 0


def test_sessions_are_of_the_only_calendar_and_otherwise_of_the_one_that_is_named() -> None:
    with SimulatedProjectX(rate=0, contracts=(MNQ,), past=4.0) as px:
        with actors.start(config(px), wait=10.0) as runtime:
            view = runtime.bars("px", MNQ, "session", "1day", history=1, wait=20.0)
            session = session_of(runtime.settings.calendars["cme"], view["session"].finished[-1].start_ns)
            assert session is not None
            assert session.start_ns == view["session"].finished[-1].start_ns
            assert view["1day"].finished[-1].start_ns % (24 * HOUR) == 0
        two = config(px) | {"calendars": {"cme": CME, "other": CME}}
        with actors.start(two, wait=10.0) as other, pytest.raises(LinewardenError, match="need a calendar"):
            other.bars("px", MNQ, "session")


def test_many_keys_and_none_make_no_bars(runtime: Runtime) -> None:
    for key in ("*", "", " "):
        with pytest.raises(LinewardenError, match="bars are of one key"):
            runtime.bars("px", key, "1min")


def test_a_contract_that_was_read_is_a_key(runtime: Runtime, px: SimulatedProjectX) -> None:
    contract = runtime.ask("px").contract("MNQ").get(timeout=10.0)
    view = runtime.bars("px", contract, "1min", history=3, wait=20.0)
    assert view.key == MNQ
    runtime.on_bar("px", contract, handler=print).close()
    runtime.forget_bars("px", contract)
    until(lambda: px.subscribers("trades", MNQ) == 0)


def test_a_handler_is_something_that_can_be_called(runtime: Runtime) -> None:
    with pytest.raises(LinewardenError, match="cannot be called"):
        runtime.on_bar("px", EP, "1min", handler="print")  # type: ignore[arg-type]


# ── rotations, reloads, rejections ──


def test_a_venue_whose_bars_raise_is_asked_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own, asked = ProjectX.bars, []

    def bars(venue: ProjectX, query: BarQuery) -> object:
        if query.start_ns:  # not the question whether there are such bars at all
            asked.append(query)
            if len(asked) == 1:
                raise ValueError("a defect")
        return own(venue, query)

    monkeypatch.setattr(ProjectX, "bars", bars)
    assert runtime.bars("px", EP, "1min", history=3, wait=30.0).synced
    assert len(asked) > 1
    assert "unexpected error in Venue.bars" in caplog.text


def test_bars_are_right_over_a_rotation(px: SimulatedProjectX, runtime: Runtime) -> None:
    """Trades have no id, so some may come twice: what they may have changed is asked of REST."""
    runtime.bars("px", MNQ, "1s", history=5, wait=20.0)
    stop = threading.Event()

    def trades() -> None:
        number = 0
        while not stop.wait(0.02):
            number += 1
            px.trade(MNQ, 24730 + Decimal(number % 7) / 4, volume=1)

    trading = threading.Thread(target=trades)
    trading.start()
    try:
        time.sleep(1.0)
        runtime.rotate("px/market")
        time.sleep(1.0)
    finally:
        stop.set()
        trading.join()

    def is_right() -> bool:
        view = runtime.bars("px", MNQ, "1s")
        return agrees(view, px, "1s", 1) and all(bar.exact for bar in view["1s"].finished)

    until(is_right)


def test_a_contract_that_the_venue_rejects_has_no_bars(runtime: Runtime) -> None:
    unknown = "CON.F.US.ZZZ.Z26"
    with pytest.raises(SubscribeError):
        runtime.bars("px", unknown, "1min", history=0, wait=10.0)
    until(lambda: "rejected" in runtime.bars("px", unknown, "1min").reason)


def test_the_bars_of_a_feed_that_is_removed_end(px: SimulatedProjectX, runtime: Runtime) -> None:
    listening = runtime.on_bar("px", MNQ, "1s", handler=lambda _: None, history=5)
    runtime.bars("px", MNQ, "1s", wait=20.0)
    without = config(px)
    without["feeds"] = {"other": without["feeds"]["px"]}
    runtime.reload(without)
    until(lambda: not listening.thread.is_alive())
    with pytest.raises(LinewardenError, match="no feed 'px'"):
        runtime.bars("px", MNQ, "1s")
