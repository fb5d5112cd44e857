"""A line between two wishes: told to end, and wanted again before it has ended."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest

import actors
from actors import Lifecycle, RotationFailed, log_queue
from actors.connection import Connection
from actors.messages import LineSettled, LineUpgraded, Report
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.supervision.rotation import Rotations
from actors.supervision.state import LineRecord
from tests.support.counters import settle
from tests.support.runtimes import alpaca_config, config, line_of, runtime_on, until
from tests.support.virtual_time import clockwork

HOUR = 3_600.0
QUIET = {"ping_interval": 0.0, "venue_ping_interval": 0.0}


class SlowEnd:
    """The connection of one epoch takes its time to end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
        self.began, self.released = threading.Event(), threading.Event()
        cleanup = Connection.cleanup

        def slow(connection: Connection) -> None:
            cleanup(connection)
            if connection.id == "connection/o2" and connection.incarnation == epoch:
                self.began.set()
                self.released.wait(30)

        monkeypatch.setattr(Connection, "cleanup", slow)


@contextmanager
def released(end: SlowEnd) -> Iterator[None]:
    try:
        yield
    finally:
        end.released.set()


def with_other(o2: SimulatedO2) -> dict[str, Any]:
    """Feeds `o2` and `other` on one venue."""
    both = config(o2.url)
    both["feeds"]["other"] = config(o2.url)["feeds"]["o2"]
    return both


def without(feed: str, table: dict[str, Any]) -> dict[str, Any]:
    return {**table, "feeds": {name: each for name, each in table["feeds"].items() if name != feed}}


def test_a_paused_line_that_is_removed_and_added_before_it_ended_is_live_again(
    o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = SlowEnd(monkeypatch, epoch=1)
    with actors.start(with_other(o2), wait=10.0) as runtime, released(end):
        runtime.supervisor.pause("o2").get(timeout=5)
        assert end.began.wait(10)
        runtime.reload(without("o2", with_other(o2)))
        runtime.reload(with_other(o2))
        assert line_of(runtime).state == "connecting"
        end.released.set()
        runtime.wait_live("o2", timeout=10)
        assert line_of(runtime).epoch == 2


def test_wishes_that_change_while_a_line_ends_leave_the_last_one(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = SlowEnd(monkeypatch, epoch=1)
    with runtime_on(o2) as runtime, released(end):
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        for wish, shown in (
            ("pause", "paused"),
            ("resume", "connecting"),
            ("restart", "connecting"),
            ("pause", "paused"),
            ("resume", "connecting"),
        ):
            getattr(runtime.supervisor, wish)("o2").get(timeout=5)
            assert line_of(runtime).state == shown
        assert end.began.wait(10)
        end.released.set()
        runtime.wait_live(timeout=10)
        words = [each.state for each in islice(trades.with_markers(), 5) if isinstance(each, Lifecycle)]
        assert words == ["connected", "disconnected", "paused", "connecting", "restored"]


def test_a_line_is_not_waited_for_once_it_is_gone(o2: SimulatedO2) -> None:
    with actors.start(with_other(o2), wait=10.0) as runtime, ThreadPoolExecutor(1) as pool:
        runtime.supervisor.pause("other").get(timeout=5)
        until(runtime, lambda status: all(each.id != "connection/other" for each in status.actors))
        waiting = pool.submit(runtime.wait_live, timeout=30.0)
        until(runtime, lambda _: bool(runtime._tree._supervisor._waiters))
        runtime.reload(without("other", with_other(o2)))
        waiting.result(timeout=10)


def test_the_counts_of_a_candidate_outlive_the_record_of_its_line(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = SlowEnd(monkeypatch, epoch=2)
    handle_report = Rotations.handle_report

    def never_settled(self: Rotations, line: LineRecord, report: Report) -> None:
        if not isinstance(report, LineSettled):
            handle_report(self, line, report)

    monkeypatch.setattr(Rotations, "handle_report", never_settled)
    with actors.start(with_other(o2), wait=10.0) as runtime, released(end), ThreadPoolExecutor(1) as pool:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        rotating = pool.submit(runtime.rotate, "o2", timeout=20.0)
        o2.wait_heard("subscribe_trades", 2)
        o2.number_trades(market, 100)
        until(runtime, lambda status: status.lines()["o2"].counters.decoded >= 200)
        runtime.reload(without("o2", with_other(o2)))
        with pytest.raises(RotationFailed):
            rotating.result(timeout=10)
        assert end.began.wait(10)
        until(runtime, lambda status: "o2" not in status.lines())
        assert trades.closed
        runtime.reload(with_other(o2))
        end.released.set()
        runtime.wait_live("o2", timeout=10)
        settle(runtime)


def test_an_event_without_a_row_is_logged_and_changes_nothing(
    o2: SimulatedO2, caplog: pytest.LogCaptureFixture
) -> None:
    with runtime_on(o2) as runtime:
        supervisor = runtime._roles.named("supervisor")
        supervisor.tell(LineUpgraded("o2", 1))
        runtime.wait_live(timeout=10)
        assert "o2: defect: no row for UPGRADED in LIVE; ignored." in caplog.messages
        runtime.rotate("o2", timeout=20.0)
        assert (line_of(runtime).epoch, line_of(runtime).state) == (2, "live")


# ── the connect limiter ─────────────────────────────────────────────────────────────────────────


def test_a_rotation_that_is_refused_spends_no_connect(o2: SimulatedO2) -> None:
    with runtime_on(o2, connect_rate={"burst": 2, "interval": HOUR}) as runtime:
        runtime.supervisor.pause("o2").get(timeout=5)
        for _ in range(3):
            with pytest.raises(RotationFailed, match="it is paused"):
                runtime.rotate("o2", timeout=10.0)
        runtime.supervisor.resume("o2").get(timeout=5)
        runtime.wait_live(timeout=10)
        with pytest.raises(RotationFailed, match="it may connect in"):
            runtime.rotate("o2", timeout=10.0)


@pytest.mark.parametrize("loose", ["iex", "news"])
def test_the_strictest_budget_of_an_account_holds_for_all_of_its_feeds(loose: str) -> None:
    with SimulatedAlpaca(rate=0) as alpaca:
        table = alpaca_config(alpaca, "iex", "news", connect_rate={"burst": 1, "interval": HOUR})
        table["feeds"][loose]["connect_rate"] = {"burst": 5, "interval": 1.0}
        with actors.start(table) as runtime:
            until(
                runtime,
                lambda status: {each.state for each in status.lines().values()} == {"live", "backoff"},
            )
            (waits,) = [each for each in runtime.status().lines().values() if each.state == "backoff"]
            assert HOUR - 60 < (waits.next_attempt_s or 0.0) <= HOUR
            assert alpaca.lives == 1


def test_the_journal_of_a_long_outage_has_its_cause_and_one_entry_for_equal_tries(o2: SimulatedO2) -> None:
    with clockwork(config(o2.url, heartbeat=QUIET)) as clock:
        clock.advance(HOUR)
        o2.refuse(503, n=1_000)
        o2.drop()
        clock.until(lambda status: status.lines()["o2"].state == "backoff")
        clock.advance(1_400.0)
        cause, refused = clock.line().journal
        assert (cause.code, cause.times, refused.code) == ("lost", 1, "http_503")
        assert cause.lived_s is not None
        assert cause.lived_s >= HOUR
        assert refused.times == refused.attempt - 1 > 40
        o2.heal()
        clock.advance(60.0)
        assert clock.line().state == "live"
        _, refused = clock.line().journal
        assert refused.split.subscribe is not None  # the way back, from the last try
        o2.drop()
        clock.until(lambda status: len(status.lines()["o2"].journal) == 3)


def events_of_line(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What an operator reads of the line in the log, with the texts."""
    log_queue.flush(10.0)
    told = [record for record in caplog.records if getattr(record, "line", "") == "o2"]
    return [(vars(record)["event"], record.getMessage()) for record in told if record.levelno >= logging.INFO]


def test_an_outage_is_two_records_of_the_log_however_long_it_lasts(
    o2: SimulatedO2, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "actors")
    with clockwork(config(o2.url, heartbeat=QUIET, restart={"initial": 0.25, "maximum": 30.0})) as clock:
        clock.advance(HOUR)
        o2.refuse(503, n=1_000)
        o2.drop()
        clock.until(lambda status: status.lines()["o2"].state == "backoff")
        clock.advance(600.0)
        o2.heal()
        clock.advance(60.0)
        (live, _), (lost, loss), (restored, text) = events_of_line(caplog)
        assert (live, lost, restored) == ("line.live", "line.lost", "line.restored")
        assert "; try 1 in" in loss
        assert re.fullmatch(r"o2: live again after 10 m; \d\d tries", text)
        events = [vars(record)["event"] for record in caplog.records if getattr(record, "line", "") == "o2"]
        assert events.count("line.retry") == events.count("line.connecting") - 2 > 20


def test_a_line_that_flaps_is_logged_once_until_it_is_stable(
    o2: SimulatedO2, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "actors")
    with clockwork(config(o2.url, heartbeat=QUIET, restart={"stable_after": 10.0})) as clock:
        clock.advance(60.0)
        for _ in range(6):
            o2.drop()
            clock.until(lambda status: status.lines()["o2"].state == "backoff")
            clock.advance(1.0)
            assert clock.line().state == "live"
        told = events_of_line(caplog)
        assert [event for event, _ in told] == ["line.live", "line.lost", "line.restored", "line.flapping"]
        clock.advance(10.0)
        event, text = events_of_line(caplog)[-1]
        assert (event, text) == ("line.restored", "o2: live for 10 s again; it was lost 6 times within 15 s")
        o2.drop()
        clock.until(lambda status: status.lines()["o2"].counters.restarts == 7)
        assert events_of_line(caplog)[-1][0] == "line.lost"


def test_a_rotation_that_succeeded_leaves_no_dead_letter(o2: SimulatedO2) -> None:
    with clockwork(config(o2.url, heartbeat=QUIET)) as clock:
        clock.runtime.rotate("o2", timeout=20.0)
        clock.advance(HOUR)
        assert clock.runtime.status().dead_letters.count == 0
