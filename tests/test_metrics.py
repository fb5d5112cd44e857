"""What a program's own metrics are told of a runtime."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import actors
from actors import log_queue
from actors.metrics import LineMetrics, NoMetrics
from actors.simulators import SimulatedO2
from tests.support.runtimes import at_epoch, config, until

LINE = {"feed": "o2", "line": "o2"}


class Recorder:
    """Metrics as a program may write them: called on the runtime's threads."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.values: dict[str, list[float]] = {}
        self.labels: dict[str, set[frozenset[tuple[str, str]]]] = {}
        self.changed = threading.Condition()

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        with self.changed:
            self.counts[name] += value
            self.labels.setdefault(name, set()).add(frozenset(labels.items()))
            self.changed.notify_all()

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self.observe(name, value, **labels)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        with self.changed:
            self.values.setdefault(name, []).append(value)
            self.labels.setdefault(name, set()).add(frozenset(labels.items()))
            self.changed.notify_all()

    def wait_for(self, name: str) -> list[float]:
        with self.changed:
            assert self.changed.wait_for(lambda: name in self.values, timeout=20.0)
            return list(self.values[name])


class Failing:
    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        raise RuntimeError("no metrics today")

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        raise RuntimeError("no metrics today")

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        raise RuntimeError("no metrics today")


@contextmanager
def counted(simulator: SimulatedO2, metrics: Recorder | Failing) -> Iterator[actors.Runtime]:
    beat = {"ping_interval": 0.05}
    with actors.start(config(simulator.url, heartbeat=beat), wait=10.0, metrics=metrics) as runtime:
        yield runtime


def test_starts_connects_stops_errors_and_events_are_counted(o2: SimulatedO2, market: str) -> None:
    seen = Recorder()
    with counted(o2, seen) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.number_trades(market, 3)
        assert len([trades.get(timeout=10.0) for _ in range(3)]) == 3
        o2.drop()
        until(runtime, at_epoch(2))
        runtime.wait_live(timeout=10.0)
        o2.garbage()
        until(runtime, lambda status: status.quarantine.count == 1)
    assert seen.counts == {
        "linewarden_line_starts_total": 2,
        "linewarden_line_connects_total": 2,
        "linewarden_line_stops_total": 2,
        "linewarden_line_errors_total": 1,
        "linewarden_events_total": 3,
        "linewarden_quarantined_total": 1,
    }
    assert seen.labels["linewarden_line_starts_total"] == {frozenset(LINE.items())}
    kinds = {dict(labels)["kind"] for labels in seen.labels["linewarden_line_stops_total"]}
    assert kinds == {"retryable", "stopped"}


def test_round_trips_and_the_age_of_the_last_event_are_told_at_each_ping(
    o2: SimulatedO2, market: str
) -> None:
    seen = Recorder()
    with counted(o2, seen) as runtime:
        _stream = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.trade(market)
        assert all(rtt >= 0 for rtt in seen.wait_for("linewarden_rtt_seconds"))
        assert all(age >= 0 for age in seen.wait_for("linewarden_last_event_age_seconds"))


def test_metrics_that_raise_are_told_once_and_hurt_nobody(
    o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "actors.metrics"), counted(o2, Failing()) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.trade(market, trade_id="7")
        assert trades.get(timeout=10.0).trade_id == "7"
    assert len(caplog.records) == 1
    assert "no metrics today" in caplog.text


class ErrorsOnly(NoMetrics):
    """A program may build on the default, and count only what it wants to know."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        self.counts[name] += value


def test_metrics_that_build_on_the_default_are_told() -> None:
    mine = ErrorsOnly()
    line = LineMetrics(mine, "o2", "o2")
    line.increment("line_errors_total")
    line.increment_later("line_stops_total")
    assert log_queue.flush(10.0)
    assert mine.counts == {"linewarden_line_errors_total": 1, "linewarden_line_stops_total": 1}
