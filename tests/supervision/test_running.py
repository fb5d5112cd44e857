"""The runtimes of one process: which there are, which has an account's connection, how one is replaced."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import actors
from actors import ConfigError, LinewardenError, Runtime, RuntimeStopped, StreamClosed
from actors.messages import REPLACED
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.supervision import running
from tests.support.runtimes import KEY, SECRET, alpaca_config, config, line_of, runtime_on, until
from tests.test_stream import in_a_child, needs_fork


@pytest.fixture(autouse=True)
def _alone() -> None:
    """Of other tests nothing is left that only the collector would end."""
    gc.collect()
    for each in running.present():
        each.replace(5.0, float("inf"))


@pytest.fixture
def alpaca() -> Iterator[SimulatedAlpaca]:
    """An account may have one connection to an endpoint."""
    with SimulatedAlpaca(rate=0) as simulator:
        yield simulator


def named(settings: dict[str, Any], name: str) -> dict[str, Any]:
    return {**settings, "runtime": {"name": name}}


# ── running() ──


def test_the_runtimes_that_have_not_ended_are_listed_in_the_order_of_their_start(o2: SimulatedO2) -> None:
    with runtime_on(o2) as first, runtime_on(o2) as second:
        assert actors.running() == (first, second)
        first.stop()
        assert actors.running() == (second,)
    assert actors.running() == ()


def test_a_runtime_whose_supervisor_ends_is_not_listed(o2: SimulatedO2) -> None:
    with runtime_on(o2) as runtime:
        runtime._tree.begin_stop(1.0)
        o2.wait_for(lambda: actors.running() == ())
        assert runtime.end_reason is not None


def test_the_list_keeps_no_runtime_alive(o2: SimulatedO2) -> None:
    runtime = actors.start(config(o2.url), wait=10.0)
    reference = weakref.ref(runtime)
    assert actors.running() == (runtime,)
    del runtime
    gc.collect()
    assert reference() is None
    assert actors.running() == ()
    o2.wait_for(lambda: o2.connections == 0 and not running.present())


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_none_of_its_parents(o2: SimulatedO2) -> None:
    with runtime_on(o2) as runtime:
        assert in_a_child(lambda: str(actors.running())) == "()"
        assert actors.running() == (runtime,)


# ── one account ──


def test_a_refusal_names_the_runtime_that_has_the_connection(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        actors.start(named(alpaca_config(alpaca), "first"), wait=10.0) as first,
        actors.start(named(alpaca_config(alpaca), "second")) as second,
    ):
        status = until(second, lambda told: told.lines()["iex"].reason is not None)
        reason = status.lines()["iex"].reason
        assert reason is not None
        assert reason.code == "alpaca_406"
        assert reason.text == (
            "alpaca error 406: connection limit exceeded; "
            "runtime 'first' of this process has a connection with this account (line iex). "
            "actors.running() finds it, and its stop() ends it; "
            "start(config, replace=True) does both for one of the same name"
        )
        assert all("runtime 'first'" not in each.why for each in status.cooldowns)  # it outlives this process
        first.stop()
        second.wait_live(timeout=10.0)
    assert "runtime 'first' of this process" in caplog.text
    assert KEY not in caplog.text + reason.text
    assert SECRET not in caplog.text + reason.text


def test_a_refusal_names_no_runtime_at_another_endpoint_or_with_another_key(alpaca: SimulatedAlpaca) -> None:
    with (
        actors.start(alpaca_config(alpaca), wait=10.0) as there,
        actors.start(alpaca_config(alpaca, "sip"), wait=10.0) as other,
    ):
        spec = there._wanted.feeds["iex"]
        account, url = spec.venue.account(), spec.url("iex")
        assert "runtime 'linewarden'" in running.holder_of(account, url, other._shared)
        assert running.holder_of(account, url, there._shared) == ""
        assert running.holder_of("alpaca@else/0", url, other._shared) == ""
        there.supervisor.pause("iex").get(timeout=5.0)
        until(there, lambda _: running.holder_of(account, url, other._shared) == "")


# ── replace ──


def test_a_cell_that_is_run_again_replaces_its_runtime(alpaca: SimulatedAlpaca) -> None:
    runtime = actors.start(alpaca_config(alpaca), wait=10.0)
    quotes = runtime.subscribe("iex", "quotes", "AAPL", wait=10.0)
    former = runtime
    with actors.start(alpaca_config(alpaca), replace=True, wait=10.0) as runtime:
        assert (former.end_reason, quotes.end_reason) == (REPLACED, REPLACED)
        with pytest.raises(StreamClosed, match=r"replaced by another runtime .* subscribe to that one"):
            list(quotes)
        with pytest.raises(RuntimeStopped, match="replaced by another runtime"):
            former.subscribe("iex", "quotes", "AAPL")
        assert actors.running() == (runtime,)
        assert line_of(runtime, "iex").epoch == 1  # it was not refused once


def test_a_runtime_that_nothing_holds_any_more_is_waited_for(
    alpaca: SimulatedAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.supervision.lifetime.abandon", lambda *_: None)
    runtime: Runtime | None = actors.start(alpaca_config(alpaca), wait=10.0)
    del runtime
    gc.collect()
    assert (len(running.present()), actors.running()) == (1, ())
    with actors.start(alpaca_config(alpaca), replace=True, wait=10.0) as runtime:
        assert line_of(runtime, "iex").epoch == 1


def test_runtimes_of_another_name_go_on(o2: SimulatedO2) -> None:
    with (
        actors.start(named(config(o2.url), "other"), wait=10.0) as other,
        actors.start(config(o2.url), replace=True, wait=10.0) as runtime,
    ):
        assert actors.running() == (other, runtime)


def test_a_config_or_metrics_with_a_mistake_replaces_nothing(o2: SimulatedO2) -> None:
    with runtime_on(o2) as runtime:
        with pytest.raises(ConfigError):
            actors.start({"feeds": {"o2": {"venue": "o3"}}}, replace=True)
        with pytest.raises(LinewardenError, match="metrics"):
            actors.start(config(o2.url), metrics=object(), replace=True)  # type: ignore[arg-type]
        assert actors.running() == (runtime,)


def test_an_inline_handler_cannot_replace_its_runtime(o2: SimulatedO2, market: str) -> None:
    refused, told = threading.Event(), []

    def replace(_: object) -> None:
        try:
            actors.start(config(o2.url), replace=True)
        except LinewardenError as error:
            told.append(str(error))
        refused.set()

    with runtime_on(o2) as runtime:
        runtime.on("o2", "trades", market, handler=replace, inline=True, wait=10.0)
        o2.trade(market)
        assert refused.wait(10.0)
        assert "start(replace=True) is refused inside an inline handler" in told[0]
        assert actors.running() == (runtime,)
