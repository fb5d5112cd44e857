"""A status is built seldom and shared, and is made anew where something has changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection
from importlib.metadata import version
from pathlib import Path

import pytest

import actors
from actors.delivery.inlet import Inlet
from actors.diagnostics import DeadLetters
from actors.feed_spec import Specs
from actors.metrics import NoMetrics, UserMetrics
from actors.status import Status
from actors.supervision import snapshot
from actors.supervision.snapshot import SharedStatus
from actors.supervision.state import SharedState
from tests.support.virtual_time import VirtualTimers

LONG = 3_600.0


class Look:
    """A shared status of no feed; its builds are counted, and `meanwhile` is called in each."""

    def __init__(self) -> None:
        self.shared = SharedState(Specs())
        self.timers = VirtualTimers()
        self.builds = 0
        self.meanwhile: Callable[[], object] = lambda: None
        metrics = UserMetrics(NoMetrics())
        self.status = SharedStatus("test", self.shared, self._inlets, DeadLetters(), self.timers, metrics)

    def __call__(self) -> Status:
        return self.status.look()

    def _inlets(self) -> Collection[Inlet]:
        self.builds += 1
        self.meanwhile()
        return ()


@pytest.fixture
def look() -> Look:
    return Look()


@pytest.fixture
def shared_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "SHARED", LONG)


def test_sixty_askers_share_ten_a_second(look: Look) -> None:
    begun = time.monotonic()

    def ask() -> None:
        for _ in range(2_000):
            look()

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= look.builds <= 1 + (time.monotonic() - begun) / snapshot.SHARED


@pytest.mark.usefixtures("shared_for_long")
def test_nothing_happens_and_one_is_shared(look: Look) -> None:
    assert look() is look()
    assert look.builds == 1


@pytest.mark.usefixtures("shared_for_long")
def test_the_look_after_a_change_is_a_fresh_one(look: Look) -> None:
    before = look()
    look.shared.note_change()
    assert look() is not before
    assert look() is look()
    assert look.builds == 2


@pytest.mark.usefixtures("shared_for_long")
def test_a_change_while_one_is_built_makes_the_next_a_fresh_one(look: Look) -> None:
    look.meanwhile = look.shared.note_change
    before = look()
    look.meanwhile = lambda: None
    assert look() is not before
    assert look.builds == 2


def test_the_time_of_the_runtime_counts_too(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "SHARED", 60.0)
    before = look()
    look.timers.advance(59.0)
    assert look() is before
    look.timers.advance(2.0)
    assert look() is not before


class Held:
    """A thread whose build is under way until it is told to go on."""

    def __init__(self, look: Look) -> None:
        self.status: Status | None = None
        self._go_on, begun = threading.Event(), threading.Event()

        def hold() -> None:
            look.meanwhile = lambda: None
            begun.set()
            assert self._go_on.wait(30)

        look.meanwhile = hold
        self._thread = threading.Thread(target=self._look, args=(look,))
        self._thread.start()
        assert begun.wait(10)

    def _look(self, look: Look) -> None:
        self.status = look()

    def go_on(self) -> Status:
        self._go_on.set()
        self._thread.join(10)
        assert self.status is not None
        return self.status


@pytest.mark.usefixtures("shared_for_long")
@pytest.mark.parametrize("changed", [False, True])
def test_who_looks_while_one_is_built_shares_it_unless_it_misses_a_change(look: Look, changed: bool) -> None:
    held = Held(look)
    if changed:
        look.shared.note_change()
    found: list[Status] = []
    asker = threading.Thread(target=lambda: found.append(look()))
    asker.start()
    first = held.go_on()
    asker.join(10)
    assert (found[0] is first) is not changed
    assert look.builds == 1 + changed


def test_a_build_that_does_not_end_keeps_no_look(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PATIENCE", 0.01)
    before = look()
    look.shared.note_change()
    held = Held(look)
    assert look() is before
    held.go_on()


def test_a_look_in_the_middle_of_a_look(look: Look) -> None:
    """A signal handler, or the garbage collector."""
    inner: list[Status] = []

    def again() -> None:
        look.meanwhile = lambda: None
        inner.append(look())

    look.meanwhile = again
    assert look() == inner[0]
    assert look.builds == 2


def test_after_the_end_there_is_one_status(look: Look) -> None:
    assert look().state == "live"
    look.status.end()
    last = look()
    assert last.state == "stopped"
    look.shared.note_change()
    look.status.end()
    assert look() is last


def test_a_status_names_its_process_and_the_whole_path_of_its_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader of the status is in another folder than the process."""
    monkeypatch.chdir(tmp_path)
    Path("desk.toml").write_text('[runtime]\nname = "desk"\n')
    before_ns = time.time_ns()
    with actors.start("desk.toml") as runtime:
        process = runtime.status().process
        assert (process.pid, process.version) == (os.getpid(), version("linewarden"))
        assert process.config == str(tmp_path / "desk.toml")
        assert before_ns <= process.started_ns <= time.time_ns()
    with actors.start({"feeds": {}}) as runtime:
        assert runtime.status().process.config == "<config>"


def test_the_uptime_of_a_process_counts_from_its_start(look: Look) -> None:
    look.timers.advance(90.0)
    assert look().process.uptime_s == pytest.approx(90.0)
