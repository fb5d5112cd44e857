"""What a venue asks of an account holds for all of its lines, and for the next process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
from actors import Runtime
from actors.simulators import SimulatedAlpaca
from actors.status import Status
from actors.supervision.cooldown_file import Cooldown, Cooldowns
from tests.support.runtimes import KEY, alpaca_config, alpaca_runtime, line_of, until


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


def told_to_stay_away(runtime: Runtime, alpaca: SimulatedAlpaca) -> None:
    """The line `iex` is lost, and hears on its way back that the account has asked too often."""
    alpaca.refuse(status=429, retry_after=60.0)
    alpaca.drop()
    until(runtime, lambda status: _asked(status, "iex") > 50)


def _asked(status: Status, line: str) -> float:
    return status.lines()[line].next_attempt_s or 0.0


def test_a_cool_down_of_one_line_holds_for_all_of_the_account(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "iex", "news") as runtime:
        runtime.supervisor.pause("news").get(timeout=5)
        until(runtime, lambda status: status.lines()["news"].state == "paused" and alpaca.lives == 2)
        told_to_stay_away(runtime, alpaca)
        lives = alpaca.lives
        runtime.supervisor.resume("news").get(timeout=5)
        until(runtime, lambda status: status.lines()["news"].state == "backoff")
        assert 50 < _asked(runtime.status(), "news") <= 61
        assert alpaca.lives == lives, "it did not try_acquire"


def test_a_call_that_asks_for_a_restart_is_not_kept_waiting(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(alpaca, "iex") as runtime:
        told_to_stay_away(runtime, alpaca)
        runtime.supervisor.restart("iex").get(timeout=5)
        runtime.wait_live(timeout=10)


def test_a_restart_of_the_process_does_not_make_it_forget(alpaca: SimulatedAlpaca, tmp_path: Path) -> None:
    path = tmp_path / "cooldowns.json"
    config = alpaca_config(alpaca, "iex") | {"runtime": {"cooldown_file": str(path)}}
    with actors.start(config, wait=10.0) as runtime:
        told_to_stay_away(runtime, alpaca)
        for thread in threading.enumerate():
            if thread.name == "cooldowns":
                thread.join(10)
    assert KEY not in path.read_text()
    lives = alpaca.lives
    with actors.start(config) as runtime:
        until(runtime, lambda status: status.lines()["iex"].state == "backoff")
        assert 50 < _asked(runtime.status(), "iex") <= 61
        assert alpaca.lives == lives, "it did not try_acquire"
        runtime.supervisor.restart("iex").get(timeout=5)
        runtime.wait_live(timeout=10)
    with actors.start(config, wait=10.0):
        pass  # that was forgotten for good


def test_a_kept_cool_down_is_observed_up_to_the_cap_and_no_longer(
    alpaca: SimulatedAlpaca, tmp_path: Path
) -> None:
    path = tmp_path / "cooldowns.json"
    with actors.start(alpaca_config(alpaca, "iex"), wait=10.0) as runtime:
        told_to_stay_away(runtime, alpaca)
        (cooldown,) = runtime.status().cooldowns
    years = Cooldown(time.time_ns() + 10**18, "429", "iex", is_asked=True)  # the clock was wrong then
    Cooldowns(path).write({cooldown.account: years})
    config = alpaca_config(alpaca, "iex", restart={"retry_after_cap": 2.0})
    with actors.start(config | {"runtime": {"cooldown_file": str(path)}}) as runtime:
        until(runtime, lambda status: status.lines()["iex"].waiting != "")
        (cooldown,) = runtime.status().cooldowns
        assert cooldown.until_ns < time.time_ns() + 3 * 10**9
        runtime.wait_live(timeout=10.0)


def test_lines_of_one_account_connect_at_the_venue_s_pace(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(
        alpaca, "iex", "news", live=False, connect_rate={"burst": 1, "interval": 60.0}
    ) as runtime:
        until(runtime, lambda status: {each.state for each in status.lines().values()} == {"live", "backoff"})
        waiting = next(each for each in runtime.status().lines().values() if each.state == "backoff")
        assert 50 < (waiting.next_attempt_s or 0.0) <= 60
        assert alpaca.lives == 1


def test_a_line_that_waits_for_its_turn_may_be_paused_and_stopped(alpaca: SimulatedAlpaca) -> None:
    with alpaca_runtime(
        alpaca, "iex", "news", live=False, connect_rate={"burst": 1, "interval": 60.0}
    ) as runtime:
        until(runtime, lambda status: {each.state for each in status.lines().values()} == {"live", "backoff"})
        for name in ("iex", "news"):
            runtime.supervisor.pause(name).get(timeout=5)
        until(runtime, lambda status: {each.state for each in status.lines().values()} == {"paused"})
        runtime.supervisor.resume("iex").get(timeout=5)
        assert line_of(runtime, "iex").state in ("connecting", "backoff")
