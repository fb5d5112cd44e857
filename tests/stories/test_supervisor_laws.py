"""The supervisor's laws, a line each: what an ending of a child is followed by, and what it never touches.

The cases are those that OTP proves its supervisor by, as far as they apply to one that starts its children
itself and knows one strategy, `one_for_one`. Time is moved by hand; actors and sockets are real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pykka
import pytest

import actors
from actors import Closed, NotLiveError, RotationFailed, RuntimeStopped, StreamClosed
from actors.actor import Actor
from actors.connection import Connection
from actors.dispatcher import Dispatcher
from actors.errors import ConfigError
from actors.heartbeat import Heartbeat
from actors.messages import ChildExited, EndConnection
from actors.reasons import Crashed, Fatal, Reason, Retryable, Slow
from actors.registry import Registry
from actors.requester import Requester
from actors.simulators import SimulatedO2
from actors.status import LineStatus, Status
from actors.supervisor import Supervisor
from tests.conftest import Baseline
from tests.stories.test_killed_actors import POISON, kill
from tests.stories.test_wedged import Trap
from tests.support.runtimes import config
from tests.support.virtual_time import Clockwork, clockwork

HOUR = 3_600.0
WORKERS: tuple[type[Actor], ...] = (Registry, Dispatcher, Heartbeat, Requester)
LOST = Retryable("the venue is gone", "lost")
PROBE = 60.0
QUIET = {"ping_interval": 0.0, "venue_ping_interval": 0.0}
LAW: dict[str, Any] = {"max_restarts": 3, "period": 300.0, "stable_after": 10.0, "probe_interval": PROBE}


def feed(url: str, **restart: Any) -> dict[str, Any]:
    """A feed whose lines are watched by nobody but the supervisor."""
    return {"venue": "o2", "url": url, "heartbeat": QUIET, "restart": LAW | restart}


@pytest.fixture
def clock(o2: SimulatedO2) -> Iterator[Clockwork]:
    """Two feeds of one venue, `o2` and `other`, both live."""
    with clockwork({"feeds": {"o2": feed(o2.url), "other": feed(o2.url)}}) as clock:
        yield clock


def line(clock: Clockwork, name: str = "o2") -> LineStatus:
    return clock.lines()[name]


def running(status: Status) -> Mapping[str, int]:
    """Who runs, in which incarnation: nobody twice."""
    found = [actor for actor in status.actors if actor.state == "running"]
    assert len({actor.id for actor in found}) == len(found)
    return {actor.id: actor.incarnation for actor in found}


def alive(clock: Clockwork) -> Mapping[str, int]:
    return running(clock.runtime.status())


def end(clock: Clockwork, reason: Reason, name: str = "o2") -> LineStatus:
    """The connection dies of this; the line as it is when the supervisor has decided."""
    before = line(clock, name).epoch
    clock.runtime._roles.connection(name).tell(EndConnection(reason))
    clock.until(
        lambda status: (found := status.lines()[name]).epoch > before or found.state in {"backoff", "failed"}
    )
    return line(clock, name)


def begins_anew(clock: Clockwork, kind: type[Actor], end_it: Callable[[], object]) -> None:
    """The worker ends in this way, and is followed by one more; nobody else notices."""
    id = kind.__name__.lower()
    before = alive(clock)
    end_it()
    clock.until(lambda status: running(status).get(id, 0) > before[id])
    assert alive(clock) == {**before, id: before[id] + 1}
    clock.until(lambda status: {each.state for each in status.lines().values()} == {"live"})


# ── restart type and kind of exit ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", WORKERS)
def test_permanent_crashed(clock: Clockwork, kind: type[Actor]) -> None:
    """A permanent child that crashes is started again, at once."""
    begins_anew(clock, kind, lambda: kill(kind))


@pytest.mark.parametrize("kind", WORKERS)
def test_permanent_stopped(clock: Clockwork, kind: type[Actor]) -> None:
    """A permanent child that ends in good order is started again, too."""
    (reference,) = pykka.ActorRegistry.get_by_class(kind)
    begins_anew(clock, kind, lambda: reference.stop(timeout=5))


def test_transient_retryable(clock: Clockwork) -> None:
    """A line that was lost comes back after its delay, and not before."""
    lost = end(clock, LOST)
    assert (lost.state, lost.attempt) == ("backoff", 1)
    assert lost.next_attempt_s is not None
    assert 0.125 <= lost.next_attempt_s <= 0.25
    clock.advance(lost.next_attempt_s - 0.001)
    assert line(clock).state == "backoff"
    clock.advance(0.001)
    assert (line(clock).state, line(clock).epoch) == ("live", 2)


def test_transient_slow(clock: Clockwork) -> None:
    """A line whose venue asks for patience comes back exactly when that is over."""
    asked = end(clock, Slow("too many", "http_429", 45.0))
    assert (asked.state, asked.next_attempt_s) == ("backoff", 45.0)
    clock.advance(44.999)
    assert line(clock).state == "backoff"
    clock.advance(0.001)
    assert (line(clock).state, line(clock).epoch) == ("live", 2)


def test_transient_fatal(clock: Clockwork) -> None:
    """A line that fails for good is not started again, in no time, until somebody asks for it."""
    failed = end(clock, Fatal("login refused", "http_401", "Check the key."))
    assert (failed.state, failed.next_attempt_s) == ("failed", None)
    clock.advance(24 * HOUR)
    assert (line(clock).state, line(clock).epoch) == ("failed", 1)
    clock.runtime.supervisor.restart("o2").get(timeout=5)
    clock.runtime.wait_live("o2", timeout=10)
    assert (line(clock).epoch, line(clock).attempt) == (2, 0)


def test_transient_crashed(clock: Clockwork) -> None:
    """A connection that crashes by a defect of ours comes back like one that was lost."""
    before = line(clock).epoch
    clock.runtime._roles.connection("o2").tell(POISON)
    clock.until(lambda status: status.lines()["o2"].state == "backoff")
    reason = line(clock).reason
    assert reason is not None
    assert reason.kind == "crashed"
    clock.advance(0.25)
    assert (line(clock).state, line(clock).epoch) == ("live", before + 1)


def test_transient_stopped_by_a_stranger(clock: Clockwork) -> None:
    """A connection that somebody else stopped is wanted all the same: it comes back without a delay."""
    for reference in pykka.ActorRegistry.get_by_class(Connection):
        reference.stop(timeout=5)
    clock.until(lambda status: {each.epoch for each in status.lines().values()} == {2})
    clock.runtime.wait_live(timeout=10)


def test_transient_paused(clock: Clockwork) -> None:
    """A line that was stopped as asked stays down, in no time, until it is asked for."""
    clock.runtime.supervisor.pause("o2").get(timeout=5)
    clock.until(lambda status: "connection/o2" not in running(status))
    clock.advance(24 * HOUR)
    assert (line(clock).state, line(clock).epoch) == ("paused", 1)
    clock.runtime.supervisor.resume("o2").get(timeout=5)
    clock.runtime.wait_live(timeout=10)


def test_temporary_crashed(clock: Clockwork, o2: SimulatedO2) -> None:
    """A candidate that dies is not started again, and the connection that it was to replace goes on."""
    o2.wait_for(lambda: o2.lives == 2)  # of the two feeds: the venue counts when it has answered
    o2.refuse(status=503, n=1)
    with pytest.raises(RotationFailed):
        clock.runtime.rotate("o2", timeout=10.0)
    clock.advance(HOUR)
    assert (line(clock).state, line(clock).epoch, o2.lives) == ("live", 1, 2)


# ── one for one ─────────────────────────────────────────────────────────────────────────────────


def test_one_for_one(clock: Clockwork) -> None:
    """Who dies takes nobody along, however often."""
    others = {id: life for id, life in alive(clock).items() if id != "connection/o2"}
    for _ in range(20):
        assert line(clock).state == "live"
        end(clock, LOST)
        clock.advance(PROBE)
    assert {id: life for id, life in alive(clock).items() if id != "connection/o2"} == others


@pytest.mark.parametrize("kind", WORKERS)
def test_one_for_one_escalation(clock: Clockwork, market: str, kind: type[Actor]) -> None:
    """A worker's sixth death within a minute ends the runtime, and everybody is told why."""
    trades = clock.runtime.subscribe("o2", "trades", market)
    for _ in range(5):
        begins_anew(clock, kind, lambda: kill(kind))
    kill(kind)
    why = f"{kind.__name__.lower()} died more than 5 times in 60 s"
    with pytest.raises(StreamClosed, match=why):
        trades.get(timeout=10)
    with pytest.raises(RuntimeStopped, match=why):
        clock.runtime.wait_live()
    assert clock.runtime.status().state == "stopped"


def test_deaths_further_apart_than_the_period(clock: Clockwork) -> None:
    """Only deaths within the period count: one now and then may go on for ever."""
    for _ in range(5):
        for _ in range(5):
            begins_anew(clock, Heartbeat, lambda: kill(Heartbeat))
        clock.advance(60.1)


# ── intensity and period of a line ──────────────────────────────────────────────────────────────


def park(clock: Clockwork, name: str = "o2") -> LineStatus:
    """It dies young once more than it may."""
    for _ in range(LAW["max_restarts"]):
        wait = end(clock, LOST, name).next_attempt_s
        assert wait is not None
        clock.advance(wait)
        assert line(clock, name).state == "live"
    return end(clock, LOST, name)


def test_intensity_exceeded(clock: Clockwork) -> None:
    """A line that dies young too often is parked with its reason; the others never notice."""
    parked = park(clock)
    assert (parked.state, parked.next_attempt_s) == ("failed", PROBE)
    assert parked.reason is not None
    assert parked.reason.code == "lost"
    assert (line(clock, "other").state, line(clock, "other").epoch) == ("live", 1)


def test_intensity_not_exceeded(clock: Clockwork) -> None:
    """Deaths that leave the period one by one park nobody."""
    for _ in range(30):
        end(clock, LOST)
        clock.advance(LAW["period"] / LAW["max_restarts"] + 1.0)
        assert line(clock).state == "live"


def test_a_parked_line_is_probed(clock: Clockwork) -> None:
    """A parked line is tried at each probe and at no other time; a stable life ends the parking."""
    park(clock)
    epoch = line(clock).epoch
    clock.advance(PROBE - 0.001)
    assert line(clock).epoch == epoch
    clock.advance(0.001)
    assert (line(clock).state, line(clock).epoch) == ("live", epoch + 1)
    assert end(clock, LOST).state == "failed"  # it has not proved anything yet
    clock.advance(PROBE + LAW["stable_after"])
    assert end(clock, LOST).state == "backoff"


def test_a_parked_line_is_restarted(clock: Clockwork) -> None:
    """Whoever asks for a restart clears the failures, and the budget is whole again."""
    park(clock)
    clock.runtime.supervisor.restart("o2").get(timeout=5)
    clock.runtime.wait_live(timeout=10)
    assert line(clock).attempt == 0
    assert park(clock).state == "failed"  # not before it has died as often again


# ── starting ────────────────────────────────────────────────────────────────────────────────────


def test_a_faulty_specification(o2: SimulatedO2, baseline: Baseline) -> None:
    """A tree with one faulty specification is not started at all, and every fault is named."""
    faulty = feed(o2.url, initial=-1.0) | {"venue": "nasdaq"}
    with pytest.raises(ConfigError) as error:
        actors.start({"feeds": {"o2": feed(o2.url), "a": faulty, "b": feed(o2.url, max_restarts=-1)}})
    assert len(error.value.problems) >= 2
    assert o2.lives == 0
    baseline.check()


def test_a_start_that_fails(o2: SimulatedO2, baseline: Baseline) -> None:
    """Whoever waits for a start that fails is told why, and nothing is left of it."""
    o2.refuse(status=403, n=10)
    with pytest.raises(NotLiveError, match="403"):
        actors.start({"feeds": {"o2": feed(o2.url), "other": feed(o2.url)}}, wait=10.0)
    assert not pykka.ActorRegistry.get_all()
    baseline.check()


def test_a_child_that_cannot_be_started(clock: Clockwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart that hangs in a loop of failures hangs nobody else, and ends when the machine gives again."""

    def launch(self: Connection) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as poor:
        poor.setattr(Connection, "launch", launch)
        end(clock, LOST)
        clock.advance(HOUR)
        waiting = line(clock)
        assert waiting.state == "backoff"
        assert waiting.reason is not None
        assert waiting.reason.code == "resources"
        assert waiting.attempt > HOUR / 30.0
        assert "connection/o2" not in alive(clock)
        assert line(clock, "other").state == "live"
    clock.advance(30.0)
    assert line(clock).state == "live"


# ── counts ──────────────────────────────────────────────────────────────────────────────────────

EVERYBODY = {"registry", "dispatcher", "heartbeat", "requester", "connection/o2", "connection/other"}


def test_count_children(clock: Clockwork) -> None:
    """Each child is counted once, whatever it has been through."""
    assert set(alive(clock)) == EVERYBODY
    for kind in WORKERS:
        begins_anew(clock, kind, lambda kind=kind: kill(kind))  # type: ignore[misc]
    end(clock, LOST)
    clock.advance(1.0)
    assert set(alive(clock)) == EVERYBODY
    assert len(pykka.ActorRegistry.get_all()) == len(EVERYBODY) + 1


def test_count_restarting_children(clock: Clockwork) -> None:
    """A child that waits for its restart is not there, and its line is."""
    end(clock, LOST)
    assert set(alive(clock)) == EVERYBODY - {"connection/o2"}
    assert set(clock.lines()) == {"o2", "other"}


def test_a_hundred_lives(clock: Clockwork) -> None:
    """The lives that are over leave nothing behind in the supervisor."""
    for _ in range(100):
        end(clock, LOST)
        clock.advance(PROBE)
    assert set(alive(clock)) == EVERYBODY
    assert len(pykka.ActorRegistry.get_all()) == len(EVERYBODY) + 1
    assert clock.runtime.status().dead_letters.count == 0


# ── news of others ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "exited",
    [
        ChildExited("connection/o2", 0, LOST),
        ChildExited("connection/o2", 99, LOST),
        ChildExited("connection/nobody", 1, LOST),
        ChildExited("registry", 0, Crashed("long ago")),
        ChildExited("nobody", 1, Crashed("who?")),
    ],
    ids=["past", "future", "no line", "past worker", "stranger"],
)
def test_an_exit_of_a_stranger(clock: Clockwork, exited: ChildExited) -> None:
    """The end of somebody who is not a child, or not any more, is followed by nothing."""
    before = alive(clock)
    (supervisor,) = pykka.ActorRegistry.get_by_class(Supervisor)
    supervisor.tell(exited)
    clock.advance(HOUR)
    assert alive(clock) == before
    assert {each.state for each in clock.lines().values()} == {"live"}


def test_a_message_that_the_supervisor_does_not_know(clock: Clockwork) -> None:
    """What it does not understand it counts, and goes on."""
    (supervisor,) = pykka.ActorRegistry.get_by_class(Supervisor)
    supervisor.tell("hello?")
    clock.until(lambda status: status.dead_letters.count == 1)
    assert set(alive(clock)) == EVERYBODY


# ── the end ─────────────────────────────────────────────────────────────────────────────────────


def test_stop_in_every_state(o2: SimulatedO2, baseline: Baseline) -> None:
    """A tree stops whatever its lines are at, and nobody is left."""
    feeds = {name: feed(o2.url) for name in ("live", "backoff", "failed", "paused")}
    with clockwork({"feeds": feeds}) as clock:
        end(clock, Slow("later", "http_429"), "backoff")
        end(clock, Fatal("no", "http_401"), "failed")
        clock.runtime.supervisor.pause("paused").get(timeout=5)
        clock.until(
            lambda status: {name for name in feeds if status.lines()[name].state == name} == set(feeds)
        )
        assert clock.runtime.stop(timeout=5.0) == ()
    assert not pykka.ActorRegistry.get_all()
    baseline.check()


def test_stop_timeout(o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that does not end in its time is named and left behind; the others end in order."""
    trap = Trap(monkeypatch, Heartbeat, "_beat")
    with actors.start(config(o2.url), wait=10.0) as runtime:
        assert trap.caught.wait(10)
        assert runtime.stop(timeout=0.5) == ("heartbeat",)
        (left,) = pykka.ActorRegistry.get_all()
        trap.released.set()
        assert left.actor_stopped.wait(10)


def test_stop_brutal(o2: SimulatedO2, market: str, baseline: Baseline) -> None:
    """Without any time to give, everything ends all the same, and streams have their last word."""
    with actors.start(config(o2.url), wait=10.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        runtime.stop(timeout=0.0)
        assert isinstance(list(trades.with_markers())[-1], Closed)
    baseline.check()
