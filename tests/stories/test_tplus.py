"""tplus through the whole runtime: one token for every line, and books that are right or empty."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import msgspec
import pytest

import actors
from actors import Closed, Gap, Lifecycle, NotLiveError, Runtime, Stream
from actors.login.token_store import TokenStore
from actors.protocol.limits import RateLimit
from actors.secret import Secret
from actors.simulators import SimulatedTplus
from actors.status import Cause, Status
from actors.venues import tplus as venue
from actors.venues.tplus import Tplus, TplusSession
from tests.conftest import Baseline
from tests.login.test_connector import A_LOGIN, SEED, SlowAtTheGate
from tests.support.counters import settle
from tests.support.runtimes import HEARTBEAT, RESTART, until

PRIVATE = ("orders", "user_trades", "positions", "account_events")
USER = venue.Tplus("tplus", venue.TplusSettings(private_key=Secret(SEED)))._user


FILLS: dict[str, Any] = {"private_key": SEED, "subscribe": [{"channel": "user_trades"}]}


def config(tplus: SimulatedTplus, **feed: Any) -> dict[str, Any]:
    """The config of one feed at this venue; `feed` adds to its table, or overrides it."""
    table: dict[str, Any] = {"venue": "tplus", "url": tplus.url, "ack_timeout": 30.0, "connect_timeout": 5.0}
    table["restart"] = RESTART | feed.pop("restart", {})
    table["heartbeat"] = HEARTBEAT | feed.pop("heartbeat", {})
    return {"feeds": {"tplus": table | feed}}


@contextmanager
def runtime_on(tplus: SimulatedTplus, *, live: bool = True, **feed: Any) -> Iterator[Runtime]:
    """A runtime at this venue; its lines are live when the story begins."""
    with actors.start(config(tplus, **feed), wait=10.0 if live else None) as runtime:
        yield runtime


@pytest.fixture
def tplus() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0, market=False) as simulator:
        yield simulator


@pytest.fixture
def runtime(tplus: SimulatedTplus) -> Iterator[Runtime]:
    with runtime_on(tplus) as runtime:
        yield runtime


def wants(*channels: str) -> dict[str, Any]:
    """The keys of a feed that logs in and wants these channels of its account."""
    return {"private_key": SEED, "subscribe": [{"channel": channel} for channel in channels]}


def states(status: Status) -> dict[str, str]:
    return {name: line.state for name, line in status.lines().items()}


def epochs(runtime: Runtime) -> set[int]:
    return {line.epoch for line in runtime.status().lines().values()}


def all_at(epoch: int) -> Callable[[Status], bool]:
    """Every line is live, in this life or a later one."""
    return lambda status: all(
        line.state == "live" and line.epoch >= epoch for line in status.lines().values()
    )


def why(status: Status, line: str) -> Cause:
    reason = status.lines()[line].reason
    assert reason is not None
    return reason


def codes(status: Status) -> set[str]:
    return {line.reason.code if line.reason else "" for line in status.lines().values()}


# ── one login ───────────────────────────────────────────────────────────────────────────────────


def test_one_login_serves_all_lines_over_drops_restarts_and_reloads(tplus: SimulatedTplus) -> None:
    with runtime_on(tplus, **wants(*PRIVATE)) as runtime:
        assert tplus.auth_requests == A_LOGIN
        tplus.drop()
        until(runtime, all_at(2))
        runtime.supervisor.restart("tplus").get(timeout=5)
        until(runtime, all_at(3))
        runtime.reload(config(tplus, **wants(*PRIVATE, "account_stats")))
        until(runtime, lambda status: states(status).get("tplus/account-stats") == "live")
        runtime.reload(config(tplus, heartbeat={"ping_interval": 0.2}, **wants(*PRIVATE)))
        runtime.supervisor.pause("tplus").get(timeout=5)
        runtime.supervisor.resume("tplus").get(timeout=5)
        until(runtime, all_at(4))
        tokens = {each.headers["authorization"] for each in tplus.requests if "upgrade" in each.headers}
        assert len(tokens) == 1
        assert tplus.auth_requests == A_LOGIN


def test_lost_tokens_cost_one_login_for_all_lines(tplus: SimulatedTplus) -> None:
    with runtime_on(tplus, **wants(*PRIVATE)) as runtime:
        tplus.expire_tokens(close=1008)
        until(runtime, all_at(2))
        assert tplus.auth_requests == 2 * A_LOGIN
        assert epochs(runtime) == {2}


@pytest.mark.parametrize("close", [0, 1000, 1008])
def test_a_kept_token_that_is_refused_inside_is_replaced_and_the_stream_comes_back(
    tplus: SimulatedTplus, close: int
) -> None:
    with runtime_on(tplus, **wants("positions")) as runtime:
        orders = runtime.subscribe("tplus", venue.ORDERS, wait=5.0)
        assert tplus.auth_requests == A_LOGIN
        tplus.unauthorized(n=1, close=close)
        tplus.close_stream("/orders", 1001)
        until(runtime, lambda status: status.lines()["tplus/orders"].epoch == 3)
        runtime.wait_live(timeout=10)
        tplus.order(USER, "Created")
        told = list(takewhile(lambda each: not isinstance(each, venue.Created), orders.with_markers()))
        assert [each.state for each in told if isinstance(each, Lifecycle)][-1] == "restored"
        assert [each.reason for each in told if isinstance(each, Gap)] == ["disconnect"]
        assert tplus.auth_requests == 2 * A_LOGIN
        assert states(runtime.status()) == {"tplus/orders": "live", "tplus/positions": "live"}


@pytest.mark.parametrize("close", [0, 1000, 1008])
def test_a_new_token_that_is_refused_inside_is_a_failure_and_no_empty_stream(
    tplus: SimulatedTplus, close: int
) -> None:
    tplus.unauthorized(n=1_000, close=close)
    with runtime_on(tplus, live=False, **wants()) as runtime:
        orders = runtime.subscribe("tplus", venue.ORDERS)
        failed = until(runtime, lambda status: states(status) == {"tplus/orders": "failed"})
        cause = why(failed, "tplus/orders")
        assert (cause.kind, cause.code) == ("fatal", "token_refused")
        assert "[feeds.tplus]" in cause.advice
        assert failed.lines()["tplus/orders"].next_attempt_s is None
        with pytest.raises(NotLiveError, match="does not take the token"):
            runtime.wait_live(timeout=10)
        assert any(isinstance(each, Lifecycle) and each.state == "failed" for each in orders.with_markers())
        assert (tplus.auth_requests, tplus.lives) == (A_LOGIN, 1)

        tplus.heal()  # somebody has seen to it
        runtime.supervisor.restart("tplus/orders").get(timeout=5)
        runtime.wait_live(timeout=10)
        assert tplus.auth_requests <= 2 * A_LOGIN


def test_a_refused_login_is_tried_once_for_all_lines_and_said(
    tplus: SimulatedTplus, caplog: pytest.LogCaptureFixture
) -> None:
    tplus.refuse_auth(401, n=1_000)
    with runtime_on(tplus, live=False, **wants(*PRIVATE)) as runtime:
        failed = until(runtime, lambda status: set(states(status).values()) == {"failed"})
        for line in failed.lines():
            assert why(failed, line).kind == "fatal"
            assert f"linewarden restart {line}" in caplog.text
        assert "Check user and private_key (or token) of this feed" in caplog.text
        assert tplus.auth_requests == 1

        tplus.heal()
        runtime.supervisor.restart("tplus").get(timeout=5)
        runtime.wait_live(timeout=10)
        assert tplus.auth_requests == 1 + A_LOGIN


def test_a_metered_login_is_waited_for_by_every_line(tplus: SimulatedTplus) -> None:
    tplus.refuse_auth(429, n=1_000, retry_after=120)
    with runtime_on(tplus, live=False, restart={"slow_initial": 0.05}, **wants(*PRIVATE)) as runtime:
        slow = until(runtime, lambda status: set(states(status).values()) == {"backoff"})
        for name, line in slow.lines().items():
            assert (why(slow, name).kind, why(slow, name).code) == ("slow", "tplus_rate_limited")
            assert 100 < (line.next_attempt_s or 0) <= 120
        assert tplus.auth_requests == 1


def test_public_lines_are_there_though_the_login_is_refused(tplus: SimulatedTplus) -> None:
    tplus.refuse_auth(401, n=1_000)
    with runtime_on(tplus, live=False, **wants("orders", "tickers")) as runtime:
        tickers = runtime.subscribe("tplus", venue.TICKERS, wait=10.0)
        tplus.ticker("200")
        assert tickers.get(timeout=5).asset_id == "200"
        until(runtime, lambda status: states(status) == {"tplus/orders": "failed", "tplus/tickers": "live"})


def test_a_storm_of_refusals_stays_within_the_budget_of_logins(
    tplus: SimulatedTplus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tplus, "login_budget", RateLimit(3, 600.0))
    with runtime_on(tplus, restart={"slow_initial": 0.05}, **wants(*PRIVATE)) as runtime:
        for epoch in (2, 3):
            tplus.expire_tokens(close=1001)
            until(runtime, all_at(epoch))
        tplus.expire_tokens(close=1001)
        status = until(runtime, lambda status: codes(status) == {"login_budget"})
        assert all((line.next_attempt_s or 0) > 500 for line in status.lines().values())
        assert tplus.auth_requests == 3 * A_LOGIN


def test_a_stream_that_is_not_ours_to_see_costs_the_others_nothing() -> None:
    with SimulatedTplus(rate=0, market_maker=False) as tplus, runtime_on(tplus, **wants(*PRIVATE)) as runtime:
        _stream = runtime.subscribe("tplus", venue.INTENT)
        failed = until(runtime, lambda status: states(status).get("tplus/intent") == "failed")
        assert why(failed, "tplus/intent").code == "http_403"
        assert [state for name, state in states(failed).items() if name != "tplus/intent"] == ["live"] * 4
        tplus.drop()
        until(runtime, lambda status: sorted(states(status).values()) == ["failed", *["live"] * 4])
        assert tplus.auth_requests == 2 * A_LOGIN


def test_stop_does_not_wait_for_a_login_that_hangs(baseline: Baseline) -> None:
    with SlowAtTheGate() as tplus:
        with runtime_on(tplus, live=False, **wants(*PRIVATE)) as runtime:
            tplus.wait_for(lambda: tplus.waiting)
            assert set(states(runtime.status()).values()) == {"connecting"}
            assert runtime.stop() == ()
        assert len(tplus.waiting) == 1
    baseline.check()


def test_a_line_that_goes_while_it_logs_in_leaves_the_login_to_the_others() -> None:
    with SlowAtTheGate() as tplus, runtime_on(tplus, live=False, **wants()) as runtime:
        orders = runtime.subscribe("tplus", venue.ORDERS)
        tplus.wait_for(lambda: tplus.waiting)
        positions = runtime.subscribe("tplus", venue.POSITIONS)
        until(runtime, lambda status: "tplus/positions" in status.lines())
        orders.close()
        tplus.wait_for(lambda: len(tplus.waiting) == 2)
        tplus.let_in()
        runtime.wait_live(timeout=10)
        tplus.position(USER)
        assert positions.get(timeout=5).user_id == USER


def test_neither_key_nor_token_is_shown_anywhere(
    tplus: SimulatedTplus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    def look(runtime: Runtime) -> None:
        status = runtime.status()
        shown.extend(
            [msgspec.json.encode(status).decode(), repr(status), repr(runtime), repr(runtime.settings)]
        )

    with runtime_on(tplus, **wants(*PRIVATE)) as runtime:
        orders = runtime.subscribe("tplus", venue.ORDERS, wait=5.0)
        tplus.refuse(401)
        tplus.expire_tokens(close=1008)
        until(runtime, all_at(2))
        look(runtime)

        def fail(*_: object) -> None:
            raise ArithmeticError("on purpose")

        with monkeypatch.context() as patch:  # a crash of ours, with its traceback
            patch.setattr(TplusSession, "received", fail)
            tplus.order(USER, "Created")
            until(runtime, lambda status: status.lines()["tplus/orders"].epoch >= 3)
            look(runtime)
        tplus.refuse_auth(401, n=1_000)
        tplus.expire_tokens(close=1008)
        until(runtime, lambda status: set(states(status).values()) == {"failed"})
        with pytest.raises(NotLiveError) as refused:
            runtime.wait_live(timeout=10)
        shown += ["".join(traceback.format_exception(refused.value)), repr(orders)]
        look(runtime)
    form = logging.Formatter()
    shown += [form.format(each) for each in caplog.records if not each.name.startswith("websockets")]
    tokens = {each.headers.get("authorization", "").removeprefix("Bearer ") for each in tplus.requests} - {""}
    assert len(tokens) >= 2
    assert "ArithmeticError" in "".join(shown)
    assert not [text for text in shown for secret in (SEED, *tokens) if secret in text]


# ── what is asked over HTTP ──


def test_stop_does_not_wait_for_a_snapshot_that_hangs(baseline: Baseline, tplus: SimulatedTplus) -> None:
    with runtime_on(tplus) as runtime:
        tplus.hold_snapshot(n=2)
        runtime.book("tplus", "200")
        runtime.book("tplus", "201")
        tplus.wait_for(lambda: tplus.held == 2)
        assert runtime.stop() == ()
    tplus.stop()
    baseline.check()


def test_a_book_that_is_forgotten_while_its_snapshot_is_on_its_way_leaves_nothing(
    runtime: Runtime, tplus: SimulatedTplus, baseline: Baseline
) -> None:
    tplus.hold_snapshot()
    runtime.book("tplus", "200")
    tplus.wait_for(lambda: tplus.held)
    runtime.forget_book("tplus", "200")
    until(runtime, lambda status: status.lines() == {})
    tplus.wait_for(lambda: tplus.connections == 0)
    baseline.check()
    tplus.release_snapshots()
    assert runtime.book("tplus", "200", wait=10.0).epoch == 2


def test_a_snapshot_that_a_past_life_asked_for_reaches_no_book(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    tplus.hold_snapshot(n=2)
    depth = runtime.subscribe("tplus", venue.DEPTH, "200")
    tplus.wait_for(lambda: tplus.held)
    tplus.drop()
    tplus.wait_for(lambda: tplus.held == 2 or tplus.subscribers("/marketdepth/diff/200"))
    tplus.wait_for(lambda: tplus.held)
    tplus.depth_change("200", bids=[("1", "1")])
    tplus.heal()
    first = next(depth.with_meta())
    assert isinstance(first.event, venue.DepthSnapshot)
    assert first.epoch == 2
    settle(runtime)


# ── books ───────────────────────────────────────────────────────────────────────────────────────


def is_right(runtime: Runtime, tplus: SimulatedTplus, asset: str = "200") -> Callable[[Status], bool]:
    """The book is synced and what the venue has."""

    def look(status: Status) -> bool:
        view, there = runtime.book("tplus", asset), tplus.book(asset)
        ours: tuple[Any, ...] = (dict(view.bids), dict(view.asks), view.sequence)
        return view.synced and ours == (there.bids, there.asks, there.sequence)

    return look


def change(tplus: SimulatedTplus, price: int, quantity: int = 1) -> None:
    tplus.depth_change("200", bids=[(str(price), str(quantity))])


def depth_of(runtime: Runtime) -> Stream[venue.DepthSnapshot | venue.DepthChange]:
    return runtime.subscribe("tplus", venue.DEPTH, "200", wait=10.0)


def told_until(stream: Stream[Any], sequence: int) -> list[Any]:
    """Everything up to the event of that number."""
    told: list[Any] = []
    for each in stream.with_markers():
        told.append(each)
        if getattr(each, "sequence", -1) == sequence:
            break
    return told


def gaps_in(told: list[Any]) -> list[tuple[str, int | None]]:
    return [(each.reason, each.missed) for each in told if isinstance(each, Gap)]


def test_a_book_is_the_venue_s_after_every_change(runtime: Runtime, tplus: SimulatedTplus) -> None:
    change(tplus, 90)
    assert runtime.book("tplus", "200", wait=10.0).synced
    for price in range(50, 90):
        change(tplus, price, price)
    tplus.depth_change("200", bids=[("90", "0")], asks=[("101.5", "3.25"), ("9007199254740993.12", "1")])
    tplus.unknown_level("200")
    tplus.two_documents("200")
    tplus.two_documents("200", "array")
    until(runtime, is_right(runtime, tplus))
    assert runtime.book("tplus", "200", depth=1).bids[0][0] == 89
    assert tplus.snapshots == 1
    settle(runtime)


def test_changes_that_come_before_the_snapshot_is_served_are_in_the_book_once(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    tplus.hold_snapshot()
    assert not runtime.book("tplus", "200").synced
    tplus.wait_for(lambda: tplus.held)
    for price in range(50, 60):
        change(tplus, price)
    assert runtime.book("tplus", "200").bids == ()
    tplus.release_snapshots()
    for price in range(60, 70):
        change(tplus, price)
    until(runtime, is_right(runtime, tplus))
    settle(runtime)


def test_a_snapshot_older_than_the_first_change_is_asked_for_again(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    change(tplus, 50)
    tplus.stale_snapshot()  # as the book is now
    tplus.skip("200")
    tplus.skip("200")
    tplus.hold_snapshot()
    runtime.book("tplus", "200")
    tplus.wait_for(lambda: tplus.held)
    change(tplus, 51)  # the socket hears of this one, and the snapshot knows nothing of what was before
    tplus.release_snapshots()
    until(runtime, is_right(runtime, tplus))
    assert tplus.snapshots == 2


def test_a_hole_is_one_gap_in_every_stream_with_its_count_and_the_book_comes_back(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    runtime.book("tplus", "200", wait=10.0)
    streams = [depth_of(runtime), depth_of(runtime)]
    for _ in streams:
        until(runtime, is_right(runtime, tplus))
    change(tplus, 50)
    start = tplus.book("200").sequence
    for stream in streams:  # what opening the second of them did to the first is read
        told_until(stream, start)
    for _ in range(3):
        tplus.skip("200")
    change(tplus, 51)
    until(runtime, is_right(runtime, tplus))
    change(tplus, 52)
    until(runtime, is_right(runtime, tplus))
    end = tplus.book("200").sequence
    for stream in streams:
        told = told_until(stream, end)
        assert gaps_in(told) == [("sequence", 3)]
        kinds = [type(each) for each in told if not isinstance(each, Lifecycle)]
        assert kinds == [Gap, venue.DepthSnapshot, venue.DepthChange]
    assert {line.epoch for line in runtime.status().lines().values()} == {1}
    settle(runtime)


def test_a_change_told_twice_costs_a_snapshot_and_harms_no_book(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    runtime.book("tplus", "200", wait=10.0)
    depth = depth_of(runtime)
    change(tplus, 50)
    told_until(depth, tplus.book("200").sequence)
    tplus.repeat("200")
    change(tplus, 51)
    until(runtime, is_right(runtime, tplus))
    change(tplus, 52)
    told = told_until(depth, tplus.book("200").sequence)
    assert gaps_in(told) == [("sequence", None)]
    settle(runtime)


def test_numbers_that_begin_anew_are_followed(runtime: Runtime, tplus: SimulatedTplus) -> None:
    for price in range(50, 60):
        change(tplus, price)
    depth = depth_of(runtime)
    runtime.book("tplus", "200", wait=10.0)
    change(tplus, 60)
    until(runtime, is_right(runtime, tplus))
    tplus.restart_sequence("200")
    change(tplus, 70)
    until(runtime, is_right(runtime, tplus))
    change(tplus, 71)
    until(runtime, is_right(runtime, tplus))
    assert runtime.book("tplus", "200").sequence == 2
    assert ("sequence", None) in gaps_in(told_until(depth, 2))


def test_a_change_that_cannot_be_read_is_a_gap_and_not_a_hole(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    runtime.book("tplus", "200", wait=10.0)
    depth = depth_of(runtime)
    change(tplus, 50)
    told_until(depth, tplus.book("200").sequence)
    tplus.malformed_diff("200")
    change(tplus, 51)
    until(runtime, is_right(runtime, tplus))
    change(tplus, 52)
    told = told_until(depth, tplus.book("200").sequence)
    assert [reason for reason, _ in gaps_in(told)] == ["quarantine"]
    status = settle(runtime)
    assert status.lines()["tplus/depth-200"].counters.quarantined == 1


def test_a_snapshot_that_is_not_to_be_had_now_is_asked_for_again(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    change(tplus, 50)
    tplus.snapshot_error(503, n=1)
    assert runtime.book("tplus", "200", wait=20.0).synced
    assert is_right(runtime, tplus)(runtime.status())


def test_a_snapshot_that_cannot_even_be_asked_for_is_asked_for_again(
    runtime: Runtime, tplus: SimulatedTplus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    change(tplus, 50)
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "actors.wire.http_client", None)  # as in an installation that lost a file
        runtime.book("tplus", "200")
        until(runtime, lambda _: "an HTTP exchange failed with an unexpected error" in caplog.text)
    until(runtime, is_right(runtime, tplus))


def test_a_snapshot_that_does_not_exist_refuses_the_book(runtime: Runtime, tplus: SimulatedTplus) -> None:
    tplus.snapshot_error(404, n=100)
    with pytest.raises(actors.SubscribeError, match="404"):
        runtime.book("tplus", "200", wait=10.0)
    view = runtime.book("tplus", "200")
    assert not view.synced
    assert view.reason.startswith("rejected: ")


@pytest.mark.parametrize("code", [0, 1000, 1001])
def test_a_loss_in_mid_stream_never_shows_a_book_of_two_lives(
    runtime: Runtime, tplus: SimulatedTplus, code: int
) -> None:
    runtime.book("tplus", "200", wait=10.0)
    streams = [depth_of(runtime), depth_of(runtime)]
    change(tplus, 50)
    until(runtime, is_right(runtime, tplus))
    for stream in streams:
        told_until(stream, tplus.book("200").sequence)
    tplus.hold_snapshot()
    tplus.close_stream("/marketdepth/diff/200", code)
    change(tplus, 51)  # nobody hears of it
    tplus.wait_for(lambda: tplus.held)
    change(tplus, 52)
    lost = runtime.book("tplus", "200")
    assert (lost.state, lost.bids, lost.epoch) == ("syncing", (), None)
    tplus.release_snapshots()
    until(runtime, is_right(runtime, tplus))
    assert runtime.book("tplus", "200").epoch == 2
    change(tplus, 53)
    until(runtime, is_right(runtime, tplus))
    for stream in streams:
        told = told_until(stream, tplus.book("200").sequence)
        assert gaps_in(told) == [("disconnect", None)]
        words = [each.state for each in told if isinstance(each, Lifecycle)]
        assert words == ["disconnected", "reconnecting", "restored"]
        assert not any(isinstance(each, Closed) for each in told)
    settle(runtime)


def test_a_view_is_always_one_of_the_venue_s_whatever_happens(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    """Each state of the venue has one bid more than the last, so a view that mixes two shows."""
    runtime.book("tplus", "200", wait=10.0)
    faults = ["skip", "drop", "malformed_diff", "repeat", "close", "restart_sequence"]
    expected: set[tuple[Any, ...]] = {tuple(sorted(tplus.book("200").bids.items()))}
    for price in range(1, 61):
        if price % 10 == 0:
            tplus.arm(faults[price // 10 - 1])
            expected.add(tuple(sorted(tplus.book("200").bids.items())))
        change(tplus, price)
        expected.add(tuple(sorted(tplus.book("200").bids.items())))
        view = runtime.book("tplus", "200")
        assert not view.synced or tuple(reversed(view.bids)) in expected
    until(runtime, is_right(runtime, tplus))
    settle(runtime)


def followed_to(stream: Stream[Any], end: int) -> dict[Any, Any]:
    """The bids as a reader of a depth stream has them at that number; no change may be missing."""
    bids: dict[Any, Any] | None = None
    at = 0
    for each in stream.with_markers():
        if isinstance(each, Gap):
            bids = None
        elif isinstance(each, venue.DepthSnapshot):
            bids, at = {}, each.sequence - 1
        if isinstance(each, venue.DepthSnapshot | venue.DepthChange):
            assert bids is not None, "a change that follows on nothing"
            assert each.sequence == at + 1
            at = each.sequence
            bids |= {level.price: level.quantity for level in each.bids}
            if at == end:
                break
    return {price: quantity for price, quantity in (bids or {}).items() if quantity}


def test_readers_that_come_to_a_moving_book_all_have_it_right(
    runtime: Runtime, tplus: SimulatedTplus
) -> None:
    done = threading.Event()

    def move() -> None:
        number = 0
        while not done.wait(0.001):
            number += 1
            change(tplus, number % 50 + 1, number % 7)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        streams = [depth_of(runtime) for _ in range(3)]
    finally:
        done.set()
        mover.join()
    change(tplus, 99)
    there = tplus.book("200")
    for stream in streams:
        assert followed_to(stream, there.sequence) == there.bids
        assert {gap.reason for gap in stream.gaps} <= {"unknown"}  # of those who came later
    assert streams[-1].gap_count == 0
    settle(runtime)


def test_a_new_token_that_takes_too_long_is_given_up_in_time() -> None:
    with SlowAtTheGate() as tplus:
        tplus.is_slow = False
        with actors.start(config(tplus, **FILLS), wait=10.0) as runtime:
            tplus.is_slow = True
            with pytest.raises(actors.Timeout, match=r"no new token within 0\.2 s"):
                runtime.refresh_token("tplus", timeout=0.2)
            assert runtime.status().state == "live"  # with the token that it has


def test_a_refresh_does_not_wait_longer_than_told_for_a_login_of_another_line() -> None:
    with SlowAtTheGate() as tplus, actors.start(config(tplus, **FILLS)) as runtime:
        tplus.wait_for(lambda: tplus.waiting)
        with pytest.raises(actors.Timeout, match=r"no new token within 0\.2 s"):
            runtime.refresh_token("tplus", timeout=0.2)
        assert runtime.status().lines()["tplus/user-trades"].reason is None  # that login is still under way
        tplus.let_in()
        runtime.wait_live(timeout=10.0)


def test_a_token_that_was_not_proved_in_time_is_not_kept(tplus: SimulatedTplus) -> None:
    with actors.start(config(tplus, **FILLS), wait=10.0) as runtime:
        tplus.deaf(new=True)
        with pytest.raises(actors.Timeout):
            runtime.refresh_token("tplus", token="not-a-good-token", timeout=0.3)
        tplus.heal()
        tplus.drop()
        until(runtime, lambda status: status.lines()["tplus/user-trades"].epoch >= 2)
        runtime.wait_live(timeout=10.0)
        assert tplus.auth_requests == A_LOGIN  # the former one is good


def test_a_line_that_is_lost_while_a_wrong_token_is_on_trial_comes_back(
    tplus: SimulatedTplus, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_trial = TokenStore.begin_trial
    lost: list[Runtime] = []

    def before_a_loss(*arguments: Any) -> None:
        begin_trial(*arguments)
        tplus.drop()
        (running,) = lost
        until(running, lambda status: status.lines()["tplus/user-trades"].epoch == 2)
        running.wait_live(timeout=10.0)

    monkeypatch.setattr(TokenStore, "begin_trial", before_a_loss)
    with actors.start(config(tplus, **FILLS), wait=10.0) as runtime:
        lost.append(runtime)
        with pytest.raises(actors.RotationFailed):
            runtime.refresh_token("tplus", token="not-a-good-token")
        runtime.wait_live(timeout=10.0)
        assert tplus.auth_requests == A_LOGIN


def test_a_pause_that_a_refresh_is_asked_for_is_observed_until_it_is_cleared(tplus: SimulatedTplus) -> None:
    with actors.start(config(tplus, **FILLS), wait=10.0) as runtime:
        tplus.refuse_auth(429, n=1, retry_after=600.0)
        with pytest.raises(actors.LinewardenError, match=r"no new token: .*HTTP 429"):
            runtime.refresh_token("tplus", timeout=5.0)
        (cooldown,) = runtime.status().cooldowns
        assert (cooldown.line, cooldown.asked_by) == ("tplus/user-trades", "venue")
        asked = tplus.auth_requests
        with pytest.raises(actors.LinewardenError, match=r"HTTP 429.*; (599|600) s of the pause"):
            runtime.refresh_token("tplus", timeout=5.0)
        assert tplus.auth_requests == asked
        assert epochs(runtime) == {1}
        assert runtime.clear_cooldowns("tplus") == (cooldown.account,)
        runtime.refresh_token("tplus", timeout=10.0)
        assert tplus.auth_requests == asked + A_LOGIN
        assert epochs(runtime) == {2}


def test_a_reload_that_is_not_about_the_login_keeps_the_token(tplus: SimulatedTplus) -> None:
    with actors.start(config(tplus, **FILLS), wait=10.0) as runtime:
        runtime.reload(config(tplus, max_lines=7, connect_timeout=4.0, **FILLS))
        until(runtime, lambda status: status.lines()["tplus/user-trades"].epoch == 2)
        runtime.wait_live(timeout=10.0)
        assert tplus.auth_requests == 2
