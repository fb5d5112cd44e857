"""What a program sees where it prints a value: its state, in one short line, without secrets or a wait."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import actors
from actors import BookView, Runtime, Stream, SubscribeError, Topic
from actors.events import SubscriptionState
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.status import Cause, Status
from tests.supervision.test_forks import held
from tests.support.runtimes import KEY, SECRET, alpaca_runtime, config, feed_at, runtime_on, until
from tests.test_stream import in_a_child, needs_fork

A, B = Topic("o2", "depth", "0x1"), Topic("o2", "trades", "0x2")


@pytest.fixture
def runtime(o2: SimulatedO2) -> Any:
    with runtime_on(o2) as runtime:
        yield runtime


def test_a_runtime_shows_its_state_and_how_many_lines_of_each_feed_are_live(o2: SimulatedO2) -> None:
    feeds = {"o2": feed_at(o2.url), "down": feed_at("ws://127.0.0.1:1")}
    with actors.start({"runtime": {"name": "bot"}, "feeds": feeds}) as runtime:
        runtime.wait_live("o2", timeout=10.0)
        until(runtime, lambda status: status.state == "degraded")
        assert repr(runtime) == "<Runtime bot: degraded; o2 1/1 live, down 0/1 live>"
    assert repr(runtime) == "<Runtime bot: stopped; o2 0/1 live, down 0/1 live>"


def test_a_runtime_with_many_feeds_or_none_is_shown_in_one_line(o2: SimulatedO2) -> None:
    with actors.start({"feeds": {f"f{number}": feed_at(o2.url) for number in range(20)}}, wait=10.0) as many:
        assert repr(many).endswith(", f7 1/1 live, 12 more feeds>")
    with actors.start({}) as none:
        assert repr(none) == "<Runtime linewarden: live; no feeds>"


def test_a_runtime_that_was_not_started_is_shown_too() -> None:
    assert repr(Runtime.__new__(Runtime)) == "<Runtime that was not started>"


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_sees_its_parents_values_while_their_locks_are_held(
    runtime: Runtime, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    status, shown = runtime.status(), repr(trades)
    with held(runtime, trades):
        assert (
            in_a_child(lambda: repr(runtime)) == "<Runtime linewarden: of the parent process, see ForkError>"
        )
        assert in_a_child(lambda: repr(trades)) == shown
        assert in_a_child(lambda: repr(status)) == repr(status)


def test_a_stream_shows_whether_it_is_open_and_what_waits_in_it(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, policy="drop_newest", capacity=2_000, wait=10.0)
    assert repr(trades) == "<Stream 1 o2/trades: open, 1 topic, drop_newest 2,000, 0 queued, 0 gaps>"
    for number in range(3):
        o2.trade(market, trade_id=str(number))
    until(runtime, lambda _: trades.queued == 3)
    trades.get(timeout=10.0)
    assert repr(trades) == "<Stream 1 o2/trades: open, 1 topic, drop_newest 2,000, 2 queued, 0 gaps>"
    trades.close()
    closed = "closed (closed by its reader), 1 topic, drop_newest 2,000, 2 queued, 0 gaps"
    assert repr(trades) == f"<Stream 1 o2/trades: {closed}>"
    inline: Stream[Any] = runtime.on("o2", "trades", market, handler=print, inline=True)
    assert repr(inline) == "<Stream 2 o2/trades: open, 1 topic, inline, 0 queued, 0 gaps>"
    runtime.stop()
    assert repr(inline) == "<Stream 2 o2/trades: closed (stopped), 1 topic, inline, 0 queued, 0 gaps>"


def test_a_status_and_its_parts_show_their_state(runtime: Runtime, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    status = runtime.status()
    assert trades.id == status.streams[0].id
    assert repr(status) == "<Status linewarden: live; o2 1/1 live; 1 stream>"
    assert repr(status.feeds["o2"]) == "<FeedStatus o2: 1/1 live>"
    assert repr(status.lines()["o2"]) == "<LineStatus live: epoch 1, 1 topic, health 100>"


def test_a_line_that_is_not_live_shows_why_and_no_secret() -> None:
    with (
        SimulatedAlpaca(rate=0, keys={KEY: "other"}) as alpaca,
        alpaca_runtime(alpaca, live=False) as runtime,
    ):
        status = until(runtime, lambda status: status.lines()["iex"].state == "failed")
        shown = repr(status.lines()["iex"])
        assert shown.startswith(
            "<LineStatus failed: epoch 1, 0 topics, health 0, alpaca error 402: auth failed"
        )
        values = [runtime, status, *status.feeds.values(), *status.lines().values()]
        assert all(KEY not in repr(each) and SECRET not in repr(each) for each in values)
        assert all("\n" not in repr(each) and len(repr(each)) < 300 for each in values)


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        (BookView(A, "syncing", "no snapshot has come yet"), "syncing, no snapshot has come yet"),
        (
            BookView(A, "synced", "", ((99, 5), (98, 1)), ((101, 2),)),
            "bid 99 × 5 (2 levels) · ask 101 × 2 (1 level)",
        ),
        (BookView(A, "synced", "", (), ((101, 2),) * 2_000), "no bids · ask 101 × 2 (2,000 levels)"),
    ],
    ids=["syncing", "both", "one side"],
)
def test_a_book_shows_its_best_levels_and_how_many_there_are(view: BookView, shown: str) -> None:
    assert repr(view) == f"<BookView o2/depth/0x1: {shown}>"


def test_the_error_of_a_subscription_shows_what_is_missing() -> None:
    states = {A: SubscriptionState("confirmed"), B: SubscriptionState("rejected", reason="no such market")}
    assert repr(SubscribeError(None, states)) == (
        "SubscribeError('not confirmed: o2/trades/0x2: rejected (no such market)')"
    )


def test_a_long_reason_is_cut(runtime: Runtime) -> None:
    line = runtime.status().lines()["o2"]
    reason = Cause("retryable", "lost", "a long\n story " * 100)
    lost = msgspec.structs.replace(line, state="waiting", reason=reason)
    assert len(repr(lost)) < 200
    assert repr(lost).startswith(
        "<LineStatus waiting: epoch 1, 0 topics, health 100, a long story a long story"
    )


def test_a_value_that_is_shown_asks_no_actor(runtime: Runtime) -> None:
    runtime._tree.ask = None  # type: ignore[assignment,method-assign]
    assert repr(runtime) == "<Runtime linewarden: live; o2 1/1 live>"
    del runtime._tree.ask
    assert isinstance(runtime.status(), Status)


def test_no_value_of_a_config_is_shown(o2: SimulatedO2) -> None:
    with actors.start(config(o2.url), wait=10.0) as runtime:
        assert o2.url not in repr(runtime) + repr(runtime.status())
