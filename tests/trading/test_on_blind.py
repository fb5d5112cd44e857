"""`on_blind`: an account is halted to which a program is blind for too long. Time is moved by hand."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors import ConfigError, log_queue
from actors.events import Topic
from actors.rules.blindness import LongBlind
from actors.settings import load
from actors.simulators.projectx import SimulatedProjectX
from actors.status import HaltStatus
from actors.trading import halt_sweep
from actors.trading.on_blind import PERIOD, account_of
from actors.trading.order_store import OrderStore
from tests.support.virtual_time import Clockwork, clockwork
from tests.trading import halts
from tests.trading.halts import ACCOUNT, resting, settled, until, working

ORDERS = {"channel": "orders", "keys": [str(ACCOUNT)]}
QUOTES = {"channel": "quotes", "keys": ["CON.F.US.ENQ.Z26"]}
DELAY = 20.0

venue = halts.venue


def config(folder: Path, venue: SimulatedProjectX, *subscribe: Any, **feed: Any) -> dict[str, Any]:
    blind: dict[str, Any] = {"on_blind": "halt", "on_blind_after": DELAY}
    restart = {"initial": 1.0, "maximum": 2.0, "max_restarts": 10_000}
    return halts.config(folder, venue, subscribe=list(subscribe), restart=restart, **blind | feed)


@contextmanager
def blinded(folder: Path, venue: SimulatedProjectX, *subscribe: Any, **feed: Any) -> Iterator[Clockwork]:
    OrderStore.create(folder).close()
    with clockwork(config(folder, venue, *subscribe, **feed)) as clock:
        yield clock


def host(venue: SimulatedProjectX) -> str:
    return venue.url.removeprefix("ws://").rstrip("/")


def standing(clock: Clockwork) -> tuple[HaltStatus, ...]:
    """Those that stand, once what was asked for is written."""
    done: list[None] = []
    clock.runtime._halts._halting.put(lambda: done.append(None))
    until(lambda: bool(done))
    return clock.runtime.status().halts


def go_dark(clock: Clockwork, venue: SimulatedProjectX, line: str = "projectx/user") -> None:
    """Returns when its connection has ended: that takes real time, and no virtual time."""
    holder = clock.runtime._shared.cells.holder(line)
    clock.runtime.supervisor.pause(line).get(timeout=5.0)
    until(lambda: holder is None or not holder.right.valid)


def test_an_account_whose_channels_are_blind_for_longer_than_the_delay_is_halted_once_and_logged(
    tmp_path: Path, venue: SimulatedProjectX, caplog: pytest.LogCaptureFixture
) -> None:
    with blinded(tmp_path / "orders", venue, ORDERS) as clock:
        clock.advance(DELAY)
        assert standing(clock) == ()
        go_dark(clock, venue)
        clock.advance(DELAY - PERIOD)
        assert standing(clock) == ()
        clock.advance(2 * PERIOD)
        (halt,) = standing(clock)
        assert halt.target == f"{host(venue)}/{ACCOUNT}"
        assert halt.by == "on_blind of projectx"
        assert halt.reason.startswith("blind for 20 s: projectx/orders/4242: its line is paused")
        clock.advance(2 * DELAY)
        assert standing(clock) == (halt,)
    assert log_queue.flush(5.0)
    told = [r for r in caplog.records if r.levelno == logging.WARNING and halt.id in r.getMessage()]
    assert len(told) == 1


def test_a_blindness_that_ends_in_time_halts_nothing(tmp_path: Path, venue: SimulatedProjectX) -> None:
    with blinded(tmp_path / "orders", venue, ORDERS) as clock:
        for _ in range(3):
            go_dark(clock, venue)
            clock.advance(DELAY / 2)
            clock.runtime.supervisor.resume("projectx/user").get(timeout=5.0)
            clock.until(lambda status: status.lines()["projectx/user"].state == "live")
            clock.advance(DELAY)
        assert standing(clock) == ()


def test_once_an_account_is_halted_its_return_ends_no_halt(tmp_path: Path, venue: SimulatedProjectX) -> None:
    with blinded(tmp_path / "orders", venue, ORDERS) as clock:
        go_dark(clock, venue)
        clock.advance(DELAY + 2 * PERIOD)
        (halt,) = standing(clock)
        clock.runtime.supervisor.resume("projectx/user").get(timeout=5.0)
        clock.until(lambda status: status.lines()["projectx/user"].state == "live")
        clock.advance(DELAY)
        assert standing(clock) == (halt,)
        go_dark(clock, venue)
        clock.advance(2 * DELAY)
        assert standing(clock) == (halt,), "a halt of a former blindness that stands is enough"


def test_market_data_that_is_blind_halts_nothing_where_the_account_is_seen(
    tmp_path: Path, venue: SimulatedProjectX
) -> None:
    with blinded(tmp_path / "orders", venue, ORDERS, QUOTES) as clock:
        go_dark(clock, venue, "projectx/market")
        clock.advance(2 * DELAY)
        assert standing(clock) == ()


def test_without_account_channels_the_lines_of_the_feed_count_and_all_its_accounts_are_halted(
    tmp_path: Path, venue: SimulatedProjectX
) -> None:
    with blinded(tmp_path / "orders", venue, QUOTES) as clock:
        go_dark(clock, venue, "projectx/market")
        clock.advance(DELAY + 2 * PERIOD)
        (halt,) = standing(clock)
        assert halt.target == host(venue)
        assert "projectx/market: its line is paused" in halt.reason


def test_a_channel_of_all_accounts_counts_for_those_that_are_named(
    tmp_path: Path, venue: SimulatedProjectX
) -> None:
    with blinded(tmp_path / "orders", venue, ORDERS, {"channel": "accounts"}) as clock:
        go_dark(clock, venue)
        clock.advance(DELAY + 2 * PERIOD)
        assert [each.target.rpartition("/")[2] for each in standing(clock)] == [str(ACCOUNT)]
    assert account_of(Topic("projectx", "accounts", "")) is None
    assert account_of(Topic("projectx", "orders", "4242")) == 4242


def test_a_closed_market_makes_no_blindness(tmp_path: Path, venue: SimulatedProjectX) -> None:
    """The time of these tests begins on a Monday at 14:13 UTC."""
    subscribed = ORDERS | {"calendar": "day"}
    OrderStore.create(tmp_path / "orders").close()
    table = config(tmp_path / "orders", venue, subscribed)
    table["calendars"] = {"day": {"zone": "UTC", "sessions": ["Mon-Fri 15:00-15:10"]}}
    with clockwork(table) as clock:
        now = datetime.fromtimestamp(clock.timers.wall_ns() / 1e9, UTC)
        opens = now.replace(hour=15, minute=0, second=0, microsecond=0)
        assert now < opens
        go_dark(clock, venue)
        clock.advance((opens - now).total_seconds())
        assert standing(clock) == ()
        clock.advance(DELAY + 2 * PERIOD)
        assert len(standing(clock)) == 1


@pytest.mark.parametrize("feed", [{"on_blind": "none"}, {"trading": False}])
def test_it_is_opt_in_and_for_feeds_that_trade(
    tmp_path: Path, venue: SimulatedProjectX, feed: dict[str, Any]
) -> None:
    with blinded(tmp_path / "orders", venue, ORDERS, **feed) as clock:
        go_dark(clock, venue)
        clock.advance(2 * DELAY)
        assert clock.runtime.status().halts == ()


def test_t14_a_round_that_is_late_judges_nothing(tmp_path: Path, venue: SimulatedProjectX) -> None:
    """Of a process that was stopped: its lines are read first."""
    with blinded(tmp_path / "orders", venue, ORDERS) as clock:
        acts: list[LongBlind] = []
        watch = clock.runtime._halts._on_blind
        watch._act = lambda _, found: acts.append(found)
        go_dark(clock, venue)
        clock.advance(2 * PERIOD)
        clock.timers._move(clock.now + 10 * DELAY)  # no timer runs meanwhile
        watch.tell(None)
        assert acts == []
        clock.advance(PERIOD)
        assert [found.account for found in acts] == [ACCOUNT]


def test_halt_and_cancel_takes_back_what_can_open_a_position(
    tmp_path: Path, venue: SimulatedProjectX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halt_sweep, "PAUSE", 0.05)
    with blinded(tmp_path / "orders", venue, ORDERS, on_blind="halt+cancel") as clock:
        px = settled(clock.runtime)
        resting(px, venue)
        go_dark(clock, venue)
        clock.advance(DELAY + 2 * PERIOD)
        assert len(standing(clock)) == 1
        until(lambda: working(px) == set())


def test_another_delay_counts_after_a_reload(tmp_path: Path, venue: SimulatedProjectX) -> None:
    with blinded(tmp_path / "orders", venue, ORDERS) as clock:
        clock.runtime.reload(config(tmp_path / "orders", venue, ORDERS, on_blind_after=5.0))
        go_dark(clock, venue)
        clock.advance(5.0 + 2 * PERIOD)
        assert len(standing(clock)) == 1


def test_without_trading_the_keys_have_no_effect_and_the_config_says_so(
    tmp_path: Path, venue: SimulatedProjectX
) -> None:
    switch = {"after": 10.0}
    off = config(tmp_path, venue, ORDERS, trading=False, dead_mans_switch=switch)
    told = "\n".join(load(off).warnings)
    assert "[feeds.projectx] on_blind: it has no effect without trading = true" in told
    assert "[feeds.projectx] dead_mans_switch: it has no effect without trading = true" in told
    assert load(config(tmp_path, venue, ORDERS, dead_mans_switch=switch)).warnings == ()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("on_blind", "stop", "on_blind: expected one of"),
        ("on_blind_after", 0, "seconds"),
        ("dead_mans_switch", {}, "after: missing"),
        ("dead_mans_switch", {"after": 1.0}, "2 or more"),
        ("dead_mans_switch", {"after": 5.0, "action": "flat"}, "halt"),
        ("dead_mans_switch", {"afer": 5.0}, "afer"),
    ],
)
def test_mistakes_of_the_keys_are_named(
    tmp_path: Path, venue: SimulatedProjectX, key: str, value: Any, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load(config(tmp_path, venue, ORDERS, **{key: value}))
