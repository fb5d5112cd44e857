"""What a program's own metrics are told of a runtime."""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec

import pytest

import actors
from actors import LinewardenError, log_queue
from actors.metrics import IncMetrics, LineMetrics, Metrics, NoMetrics, UserMetrics
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
def counted(simulator: SimulatedO2, metrics: Metrics) -> Iterator[actors.Runtime]:
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
        assert all(waiting >= 0 for waiting in seen.wait_for("linewarden_kernel_bytes"))


def test_metrics_that_raise_are_told_once_and_hurt_nothing(
    o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "actors.metrics"), counted(o2, Failing()) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.trade(market, trade_id="7")
        assert trades.get(timeout=10.0).trade_id == "7"
        until(runtime, lambda status: status.metrics_errors >= 3)
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
    line = LineMetrics(UserMetrics(mine), "o2", "o2")
    line.increment("line_errors_total")
    line.increment_later("line_stops_total")
    assert log_queue.flush(10.0)
    assert mine.counts == {"linewarden_line_errors_total": 1, "linewarden_line_stops_total": 1}


# ── objects of other shapes ──


class Exits:
    """Each method raises what no `except Exception` catches."""

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        sys.exit(1)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        raise KeyboardInterrupt

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        raise GeneratorExit


class Vanishing(Recorder):
    """Its methods are there when it is checked, and not later."""

    def __getattribute__(self, name: str) -> Any:
        gone = name in {"increment", "gauge", "observe"} and threading.current_thread().name != "MainThread"
        if gone:
            raise AttributeError(name)
        return super().__getattribute__(name)


class ReturnsCoroutines(NoMetrics):
    """What its methods return is never run."""

    def increment(self, name: str, value: int = 1, /, **labels: str) -> Any:
        return self._later()

    gauge = observe = increment  # type: ignore[assignment]

    async def _later(self) -> None: ...


@pytest.mark.parametrize("metrics", [Exits(), Vanishing(), ReturnsCoroutines()])
def test_whatever_metrics_raise_costs_no_line_and_no_actor(
    o2: SimulatedO2, market: str, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "actors.metrics"), counted(o2, metrics) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.trade(market, trade_id="7")
        assert trades.get(timeout=10.0).trade_id == "7"
        status = until(runtime, lambda status: status.metrics_errors >= 12)  # of several pongs
        assert status.lines()["o2"].epoch == 1
        assert {actor.restarts for actor in status.actors} == {0}
    assert len([each for each in caplog.records if each.name == "actors.metrics"]) == 1


class Empty(Recorder):
    """An object that is falsy counts all the same."""

    def __len__(self) -> int:
        return 0


class Named(NoMetrics):
    def increment(self, name: str, value: int = 1, /, **labels: str) -> None: ...


@pytest.mark.parametrize(
    "mock",
    [Mock(), MagicMock(), Mock(spec=Named), create_autospec(Named, instance=True)],
    ids=["plain", "magic", "with a spec", "autospec"],
)
def test_a_mock_is_used(o2: SimulatedO2, mock: Any) -> None:
    with counted(o2, mock) as runtime:
        until(runtime, lambda _: bool(mock.observe.called))
        assert runtime.status().metrics_errors == 0
    assert mock.increment.called


def test_a_falsy_object_is_used(o2: SimulatedO2) -> None:
    seen = Empty()
    with counted(o2, seen):
        assert seen.wait_for("linewarden_rtt_seconds")


class NoObserve:
    def increment(self, name: str, value: int = 1, /, **labels: str) -> None: ...
    def gauge(self, name: str, value: float, /, **labels: str) -> None: ...


class OnlyIncrement:
    def increment(self, name: str, value: int = 1, /, **labels: str) -> None: ...


class NoLabels(NoMetrics):
    def gauge(self, name: str, value: float) -> None: ...  # type: ignore[override]


class NoValue(NoMetrics):
    def increment(self, name: str, /, **labels: str) -> None: ...  # type: ignore[override]


class FewLabels(NoMetrics):
    def increment(self, name: str, value: int = 1, *, feed: str, line: str) -> None: ...  # type: ignore[override]


class NotCallable(NoMetrics):
    observe = 5  # type: ignore[assignment]


class Asynchronous(NoMetrics):
    async def gauge(self, name: str, value: float, /, **labels: str) -> None: ...  # type: ignore[override]


class Generating(NoMetrics):
    def increment(self, name: str, value: int = 1, /, **labels: str) -> Iterator[None]:  # type: ignore[override]
        yield


class Broken(NoMetrics):
    @property
    def observe(self) -> Any:
        raise OSError("not connected")


class Usual:
    """Another usual shape."""

    def inc(self, name: str, value: float = 1, **labels: str) -> None: ...
    def set_gauge(self, name: str, value: float, **labels: str) -> None: ...


MISTAKES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "nothing at all": (object(), ("no increment", "no gauge", "no observe")),
    "no observe": (NoObserve(), ("it has no observe",)),
    "only increment": (OnlyIncrement(), ("no gauge", "no observe")),
    "no labels": (NoLabels(), ("its gauge cannot be called with",)),
    "no value": (NoValue(), ("its increment cannot be called with",)),
    "few labels": (FewLabels(), ("its increment cannot be called with", "kind")),
    "no method": (NotCallable(), ("its observe cannot be called",)),
    "a coroutine function": (Asynchronous(), ("its gauge is a coroutine function",)),
    "a generator function": (Generating(), ("its increment is a generator function",)),
    "a mock of coroutine functions": (AsyncMock(), ("its increment is a coroutine function",)),
    "a property that raises": (Broken(), ("its observe cannot be read (OSError: not connected)",)),
    "a class": (Recorder, ("an object of it is wanted",)),
    "another shape": (Usual(), ("actors.metrics.IncMetrics",)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_used_is_told_by_start(o2: SimulatedO2, name: str) -> None:
    metrics, words = MISTAKES[name]
    with pytest.raises(LinewardenError, match="the metrics object") as told:
        actors.start(config(o2.url), metrics=metrics)
    assert all(word in str(told.value) for word in words), str(told.value)
    assert o2.connections == 0


class IncLabels:
    """Takes labels as a mapping."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def inc(self, name: str, value: float = 1, labels: dict[str, str] | None = None) -> None:
        self.told.append((name, value, labels))

    set_gauge = inc


class IncKeywords(IncLabels):
    def inc(self, name: str, value: float = 1, **labels: str) -> None:  # type: ignore[override]
        self.told.append((name, value, labels))

    set_gauge = observe = inc  # type: ignore[assignment]


class IncPlain(IncLabels):
    def inc(self, name: str, value: float = 1) -> None:  # type: ignore[override]
        self.told.append((name, value))

    set_gauge = inc  # type: ignore[assignment]


class IncThird(IncLabels):
    """Takes labels as a mapping, under another name."""

    def inc(self, name: str, value: float, dimensions: dict[str, str]) -> None:  # type: ignore[override]
        self.told.append((name, value, dimensions))

    set_gauge = inc  # type: ignore[assignment]


class IncTimed(IncLabels):
    """What its third parameter is for is not known."""

    def inc(self, name: str, value: float = 1, at: float | None = None) -> None:  # type: ignore[override]
        assert at is None
        self.told.append((name, value))

    set_gauge = inc  # type: ignore[assignment]


class IncAlone(IncLabels):
    def inc(self, name: str) -> None: ...  # type: ignore[override]


LABELLED = 'linewarden_events_total{feed="o2",line="o2"}'


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (IncLabels(), ("linewarden_events_total", 3, LINE)),
        (IncKeywords(), ("linewarden_events_total", 3, LINE)),
        (IncPlain(), (LABELLED, 3)),
        (IncThird(), ("linewarden_events_total", 3, LINE)),
        (IncTimed(), (LABELLED, 3)),
    ],
)
def test_an_object_with_inc_and_set_gauge_is_told_through_the_adapter(
    o2: SimulatedO2, market: str, target: IncLabels, told: tuple[Any, ...]
) -> None:
    line = LineMetrics(UserMetrics(IncMetrics(target)), "o2", "o2")
    line.increment("events_total", 3)
    line.gauge("last_event_age_seconds", 0.5)
    line.observe("rtt_seconds", 0.25)
    assert target.told[0] == told
    assert [each[1] for each in target.told] == [3, 0.5, 0.25]
    with counted(o2, IncMetrics(target)) as runtime:
        until(runtime, lambda _: any("rtt" in each[0] for each in target.told[3:]))
        assert runtime.status().metrics_errors == 0


def test_the_adapter_tells_what_its_object_lacks() -> None:
    with pytest.raises(LinewardenError, match=r"no set_gauge\. IncMetrics takes an object with inc"):
        IncMetrics(Recorder())
    with pytest.raises(LinewardenError, match="its inc cannot be called with a name and a value"):
        IncMetrics(IncAlone())
