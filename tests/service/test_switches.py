"""The dead man's switch of a service: beats over its port, a clock that is moved by hand, real halts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import actors
from actors import Runtime, log_queue
from actors.rules.dead_mans_switch import Rounds
from actors.service import Service
from actors.service.switches import PERIOD, Switches
from actors.simulators.projectx import SimulatedProjectX
from actors.trading import halt_sweep
from tests.service.conftest import HERE, PORT
from tests.service.visitor import BEARER, ask, raw
from tests.support.virtual_time import Clock
from tests.trading import halts
from tests.trading.halts import config, resting, settled, until, working

SWITCH = {"after": 10.0}

venue, folder = halts.venue, halts.folder


@pytest.fixture
def trading(folder: Path, venue: SimulatedProjectX) -> Iterator[Runtime]:
    with actors.start(config(folder, venue, dead_mans_switch=SWITCH)) as runtime:
        yield runtime


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def switches(trading: Runtime, clock: Clock) -> Switches:
    return unwatched(trading, clock)


def unwatched(runtime: Runtime, clock: Clock, answer_all: Callable[[float], object] = float) -> Switches:
    """No thread judges: the test does."""
    switches = Switches(runtime, answer_all, monotonic=clock)
    switches.stop()
    return switches


def judge(switches: Switches, clock: Clock, seconds: float) -> None:
    """Lets so many seconds pass, round by round, each in time."""
    rounds = Rounds(PERIOD, clock.now)
    for _ in range(round(seconds / PERIOD)):
        clock.now += PERIOD
        switches.round(rounds)


def targets(runtime: Runtime) -> list[tuple[str, str, str]]:
    return [(each.target.split("/")[0], each.by, each.reason) for each in runtime.status().halts]


def test_t9_a_program_that_stops_to_beat_halts_its_feed_once(
    switches: Switches, clock: Clock, trading: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    switches.beat("projectx", "bot")
    judge(switches, clock, 10.0)
    assert targets(trading) == []
    judge(switches, clock, 1.0)
    ((_, by, reason),) = targets(trading)
    assert by == "dead man's switch of projectx"
    assert reason == "dead man's switch: no beat of 'bot' for 11.0 s"
    judge(switches, clock, 60.0)
    assert len(targets(trading)) == 1
    assert log_queue.flush(5.0)
    told = [r.getMessage() for r in caplog.records if r.name == "actors.service.switches"]
    assert told == [
        "projectx: the dead man's switch of 'bot' is armed: it fires after 10 s without a beat",
        "projectx: dead man's switch: no beat of 'bot' for 11.0 s",
    ]


def test_a_program_that_beats_or_that_ended_in_good_order_halts_nothing(
    switches: Switches, clock: Clock, trading: Runtime
) -> None:
    for _ in range(20):
        switches.beat("projectx", "bot")
        judge(switches, clock, 9.0)
    switches.beat("projectx", "bot", last=True)
    judge(switches, clock, 60.0)
    assert targets(trading) == []


def test_t9_a_round_that_is_late_by_half_its_period_judges_nothing(
    switches: Switches, clock: Clock, trading: Runtime
) -> None:
    switches.beat("projectx", "bot")
    rounds = Rounds(PERIOD, clock.now)
    clock.now += 3_600.0  # the process was stopped, or the machine slept
    switches.round(rounds)
    assert targets(trading) == []
    switches.beat("projectx", "bot")  # it was alive all the time
    clock.now += PERIOD
    switches.round(rounds)
    assert targets(trading) == []


def test_t9_all_beats_that_wait_are_read_before_it_judges(trading: Runtime, clock: Clock) -> None:
    """The beat lies in the socket when the round begins."""
    made: list[Switches] = []
    made.append(unwatched(trading, clock, lambda _: made[0].beat("projectx", "bot")))
    made[0].beat("projectx", "bot")
    judge(made[0], clock, 60.0)
    assert targets(trading) == []


def test_t9_a_pause_while_it_reads_them_judges_nothing(trading: Runtime, clock: Clock) -> None:
    def answer_all(_: float) -> None:
        clock.now += 30.0

    switches = unwatched(trading, clock, answer_all)
    switches.beat("projectx", "bot")
    rounds = Rounds(PERIOD, clock.now)
    for _ in range(11):
        clock.now += PERIOD
        switches.round(rounds)
    assert targets(trading) == []


def test_t9_what_was_armed_stays_armed_over_a_restart_of_the_service(
    switches: Switches, clock: Clock, trading: Runtime, folder: Path
) -> None:
    switches.beat("projectx", "bot")
    switches.beat("projectx", "other")
    switches.beat("projectx", "other", last=True)
    assert msgspec.json.decode((folder / "armed-linewarden.json").read_bytes()) == {"projectx": ["bot"]}
    clock.now += 3_600.0
    after = unwatched(trading, clock)
    after.begin()
    after.stop()
    judge(after, clock, 10.0)
    assert targets(trading) == []
    judge(after, clock, 1.0)
    assert len(targets(trading)) == 1


@pytest.mark.parametrize("content", [b"{", b'{"projectx": 1}'])
def test_a_file_that_cannot_be_read_arms_nothing(trading: Runtime, folder: Path, content: bytes) -> None:
    (folder / "armed-linewarden.json").write_bytes(content)
    switches = Switches(trading, lambda _: None)
    switches.begin()
    switches.stop()
    assert switches._switches["projectx"].armed == ()


def test_it_is_opt_in(folder: Path, venue: SimulatedProjectX, clock: Clock) -> None:
    with actors.start(config(folder, venue)) as runtime:
        switches = unwatched(runtime, clock)
        switches.begin()
        assert switches._thread is None
        with Service(runtime, HERE) as service:
            told = ask(service, "/beat/projectx?by=bot", "POST")
            assert told.status == 400
            assert "has no dead man's switch" in told.body["error"]


def test_it_cancels_if_that_was_asked_for(
    folder: Path, venue: SimulatedProjectX, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halt_sweep, "PAUSE", 0.05)
    switch = SWITCH | {"action": "halt+cancel"}
    with actors.start(config(folder, venue, dead_mans_switch=switch)) as runtime:
        px = settled(runtime)
        resting(px, venue)
        switches = unwatched(runtime, clock)
        switches.beat("projectx", "bot")
        judge(switches, clock, 12.0)
        until(lambda: working(px) == set())
        assert len(targets(runtime)) == 1


# ── over the port ──


def test_beats_come_over_the_port_with_the_name_of_their_program(trading: Runtime) -> None:
    with Service(trading, HERE) as service:
        assert ask(service, "/beat/projectx?by=bot%201", "POST").body == {"ok": True}
        assert list(service._switches._switches["projectx"].armed) == ["bot 1"]
        assert ask(service, "/beat/projectx?by=bot%201&last=1", "POST").body == {"ok": True}
        assert list(service._switches._switches["projectx"].armed) == []
        assert ask(service, "/beat/nowhere?by=bot", "POST").status == 400
        assert ask(service, "/beat/projectx?name=bot", "POST").status == 400
        assert ask(service, f"/beat/projectx?by={'b' * 65}", "POST").status == 400


def test_s1_a_service_halts_what_it_is_told_to(trading: Runtime) -> None:
    with Service(trading, HERE) as service:
        told = ask(service, "/halt/projectx/4242?reason=from%20afar", "POST")
        assert told.status == 200
        assert told.body["halt"]["target"].endswith("/4242")
        assert ask(service, "/halt?reason=all%20of%20it", "POST").body["halt"]["target"] == "all"
        shown = ask(service, "/status").body["halts"]
        assert [each["reason"] for each in shown] == ["from afar", "all of it"]
        assert set(shown[0]) == {"id", "target", "reason", "since_ns", "by", "is_written"}
        assert ask(service, "/halt/projectx", "POST").status == 400, "a halt has a reason"


def test_s1_a_port_halts_and_never_unhalts(trading: Runtime) -> None:
    with Service(trading, PORT) as service:
        id = ask(service, "/halt?reason=r", "POST", **BEARER).body["halt"]["id"]
        for path in (f"/unhalt/{id}", "/orders/adopt", "/orders/resolve/t?reason=r"):
            told = ask(service, path, "POST", **BEARER)
            assert (told.status, "the service's own user, or root" in told.error) == (403, True)
        assert [halt.id for halt in trading.status().halts] == [id]


def test_the_owner_ends_a_halt_at_the_socket(trading: Runtime) -> None:
    with Service(trading, HERE) as service:
        id = ask(service, "/halt?reason=r", "POST").body["halt"]["id"]
        assert ask(service, f"/unhalt/{id}", "POST").body["ended"]["id"] == id
        until(lambda: trading.status().halts == ())
        told = ask(service, f"/unhalt/{id}", "POST")
        assert (told.status, told.error) == (400, f"there is no halt {id}; those that stand: none.")


def test_the_owner_settles_orders_at_the_socket(trading: Runtime) -> None:
    with Service(trading, HERE) as service:
        assert ask(service, "/orders/adopt", "POST").body == {"adopted": []}
        told = ask(service, "/orders/resolve/lw-1?reason=not%20there", "POST")
        assert (told.status, "there is no order with tag lw-1" in told.error) == (400, True)
        assert ask(service, "/orders/resolve/lw-1", "POST").status == 400, "it has a reason"


def test_s1_halts_and_beats_need_the_token(trading: Runtime) -> None:
    with Service(trading, PORT) as service:
        for path in ("/halt?reason=r", "/beat/projectx?by=bot", "/beat/projectx?by=bot&last=1"):
            assert ask(service, path, "POST").status == 401
        assert ask(service, "/status").status == 401, "halts name accounts"
        assert trading.status().halts == ()


def test_a_request_that_has_arrived_is_answered_before_the_service_says_that_all_are(
    trading: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Service(trading, HERE) as service:
        inside, go_on = threading.Event(), threading.Event()
        beat = service._switches.beat

        def slow(feed: str, name: str, *, last: bool = False) -> None:
            inside.set()
            assert go_on.wait(10.0)
            beat(feed, name, last=last)

        monkeypatch.setattr(service._switches, "beat", slow)
        asking = threading.Thread(target=ask, args=(service, "/beat/projectx?by=bot", "POST"))
        asking.start()
        assert inside.wait(10.0)
        waiting = threading.Thread(target=service.answer_all, args=(30.0,))
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        go_on.set()
        waiting.join(10.0)
        assert not waiting.is_alive()
        assert service._switches._switches["projectx"].armed == ("bot",)
        asking.join(10.0)


def test_a_client_that_sends_nothing_holds_no_judgement_for_long(trading: Runtime) -> None:
    with Service(trading, HERE) as service, raw(service):
        until(lambda: len(service._arrivals._present) == 1)
        service.answer_all(0.05)
        service.answer_all(0.05)


def test_the_switch_is_logged_when_it_is_on(trading: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "actors.service")
    with Service(trading, HERE):
        pass
    assert log_queue.flush(5.0)
    assert (
        "projectx: its dead man's switch is on: 10 s without a beat of an armed program halt it"
        in caplog.text
    )
