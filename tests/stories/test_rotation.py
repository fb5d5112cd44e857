"""Make before break: a connection is replaced, and no stream notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import actors
from actors import Closed, Gap, Lifecycle, RotationFailed, Runtime
from actors.connection import LAST_WORD, Connection
from actors.simulators import SimulatedO2, SimulatedTplus
from actors.venues import o2 as o2_events
from tests.conftest import Baseline
from tests.support.counters import settle
from tests.support.runtimes import at_epoch, line_of, runtime_on, until

ACCOUNT = "0x" + "c0" * 32


def test_a_rotation_shows_no_gap_and_loses_nothing(o2: SimulatedO2, runtime: Runtime, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.number_trades(market, 3)
    runtime.rotate("o2", timeout=20.0)
    o2.number_trades(market, 3)
    until(runtime, lambda status: status.streams[0].received >= 6)
    trades.close()
    *seen, closed = trades.with_markers()
    assert isinstance(closed, Closed)
    assert [item.trade_id for item in seen if isinstance(item, o2_events.Trade)] == list("123456")
    markers = [item for item in seen if isinstance(item, Gap | Lifecycle)]
    assert all(isinstance(marker, Lifecycle) and marker.state == "connected" for marker in markers)
    line = line_of(runtime)
    assert (line.epoch, line.state, line.rotations, line.counters.restarts) == (2, "live", 1, 0)
    o2.wait_for(lambda: o2.connections == 1)


def numbered(stream: actors.Stream[object]) -> Iterator[int]:
    for trade in stream:
        yield int(trade.trade_id)  # type: ignore[attr-defined]


def test_a_numbered_feed_is_whole_through_thirty_rotations(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0, capacity=1_000_000)
    ended = threading.Event()
    told: list[range] = []

    def talk() -> None:
        while not ended.is_set():
            told.append(o2.number_trades(market, 50, per_second=2_000))

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        for _ in range(30):
            runtime.rotate("o2", timeout=20.0)
    finally:
        ended.set()
        talking.join()
    last = told[-1][-1]
    heard = []
    for number in numbered(trades):
        heard.append(number)
        if number == last:
            break
    assert heard == list(range(1, last + 1))
    assert not trades.gaps
    line = line_of(runtime)
    assert line.rotations == 30
    assert line.epoch == 31
    settle(runtime)


def test_a_book_goes_on_through_a_rotation(o2: SimulatedO2, runtime: Runtime, market: str) -> None:
    runtime.book("o2", market, wait=10.0)
    o2.steps(20)
    runtime.rotate("o2", timeout=20.0)
    o2.steps(20)

    def equal(_: object) -> bool:
        view = runtime.book("o2", market)
        return (dict(view.bids), dict(view.asks)) == o2.book(market)

    until(runtime, equal)
    assert runtime.book("o2", market).epoch == 2


def test_a_new_connection_that_fails_leaves_the_old_one_alone(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.refuse(503)
    with pytest.raises(RotationFailed, match="503"):
        runtime.rotate("o2", timeout=20.0)
    o2.trade(market, trade_id="7")
    assert trades.get(timeout=10.0).trade_id == "7"
    assert (line_of(runtime).epoch, line_of(runtime).state) == (1, "live")
    runtime.rotate("o2", timeout=20.0)
    o2.trade(market, trade_id="8")
    assert trades.get(timeout=10.0).trade_id == "8"
    assert not trades.gaps


def test_a_new_connection_that_is_refused_a_subscription_is_given_up(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    books = runtime.subscribe("o2", "depth", market, wait=10.0)
    o2.reject(market)
    with pytest.raises(RotationFailed, match="refused"):
        runtime.rotate("o2", timeout=20.0)
    books.get(timeout=10.0)  # the snapshot
    o2.depth_change(market, buys=[(99, 5)])
    assert [(level.price, level.quantity) for level in books.get(timeout=10.0).bids] == [(99, 5)]
    assert line_of(runtime).epoch == 1


def test_a_line_that_is_down_is_not_rotated(o2: SimulatedO2, runtime: Runtime) -> None:
    runtime.supervisor.pause("o2").get(timeout=5.0)
    with pytest.raises(RotationFailed, match="it is paused"):
        runtime.rotate("o2")
    with pytest.raises(actors.LinewardenError, match="no feed or line 'o3'"):
        runtime.rotate("o3")


def test_the_old_connections_death_in_the_middle_is_a_loss_like_any_other(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    _stream = runtime.subscribe("o2", "depth", market, wait=10.0)
    o2.delay_ack(5.0)  # the new one waits for its snapshot
    rotating = threading.Thread(target=lambda: _rotate_in_vain(runtime))
    rotating.start()
    o2.wait_heard("subscribe_depth", 2)
    o2.heal()
    o2.drop()
    rotating.join(20.0)
    until(runtime, at_epoch(3))
    runtime.wait_live(timeout=20.0)
    o2.trade(market, trade_id="9")
    assert trades.get(timeout=10.0).trade_id == "9"
    # The drop takes both connections. If the present one's end is judged first, the candidate takes over with
    # its answer for the trades, and its own end is a second loss.
    first, *second = trades.gaps
    assert first.reason == "disconnect"
    assert [(gap.reason, gap.epoch) for gap in second] in ([], [("disconnect", 3)])


def _rotate_in_vain(runtime: Runtime) -> None:
    with pytest.raises(RotationFailed):
        runtime.rotate("o2", timeout=20.0)


def test_rotations_leave_nothing_behind(o2: SimulatedO2, market: str, baseline: Baseline) -> None:
    with runtime_on(o2) as runtime:
        _stream = runtime.subscribe("o2", "trades", market, wait=10.0)
        for _ in range(5):
            runtime.rotate("o2", timeout=20.0)
    baseline.check()


def test_it_is_rotated_as_often_as_the_config_wants(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, rotate_every=0.2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        until(runtime, lambda status: status.lines()["o2"].rotations >= 3)
        assert not trades.gaps
        assert line_of(runtime).counters.restarts == 0


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────

KEY = "17" * 32
USER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEY)).public_key().public_bytes_raw().hex()


def user_runtime(tplus: SimulatedTplus) -> dict[str, object]:
    feed = {"venue": "tplus", "url": tplus.url, "private_key": KEY, "restart": {"initial": 0.05}}
    return {"feeds": {"tplus": feed | {"subscribe": [{"channel": "user_trades"}, {"channel": "orders"}]}}}


def test_a_token_that_is_about_to_end_is_replaced_under_live_lines() -> None:
    with (
        SimulatedTplus(rate=0, token_life=2.0) as tplus,
        actors.start(user_runtime(tplus), wait=10.0) as runtime,
    ):
        fills = runtime.subscribe("tplus", "user_trades", wait=10.0)
        left = runtime.status().feeds["tplus"].token_expires_in_s
        assert left is not None
        assert 0 < left <= 2.0
        names = ("tplus/user-trades", "tplus/orders")
        until(runtime, lambda status: all(status.lines()[name].rotations for name in names))
        tplus.user_trade(USER, trade_id=5)
        assert fills.get(timeout=10.0).trade_id == 5
        assert not fills.gaps
        assert tplus.auth_requests == 4  # two logins of two requests each, for both lines


def test_a_token_is_replaced_on_demand_and_a_wrong_one_changes_nothing() -> None:
    with SimulatedTplus(rate=0) as tplus, actors.start(user_runtime(tplus), wait=10.0) as runtime:
        fills = runtime.subscribe("tplus", "user_trades", wait=10.0)
        runtime.refresh_token("tplus")
        assert tplus.auth_requests == 4
        with pytest.raises(RotationFailed) as failed:
            runtime.refresh_token("tplus", token="canary-5f1d")
        assert "canary" not in str(failed.value)
        tplus.user_trade(USER, trade_id=6)
        assert fills.get(timeout=10.0).trade_id == 6
        assert not fills.gaps
        assert runtime.status().state == "live"
        with pytest.raises(actors.LinewardenError, match="no feed 'o2'"):
            runtime.refresh_token("o2")


def test_a_feed_without_a_token_has_none_to_refresh(runtime: Runtime) -> None:
    with pytest.raises(actors.LinewardenError, match="none of its lines shows a token"):
        runtime.refresh_token("o2")


# ── what may come between ───────────────────────────────────────────────────────────────────────


def hands_over(runtime: Runtime, o2: SimulatedO2) -> threading.Thread:
    """A rotation whose old connection never answers, once the new one has taken over."""
    o2.deaf(new=False)
    rotating = threading.Thread(target=lambda: runtime.rotate("o2", timeout=20.0))
    rotating.start()
    until(runtime, at_epoch(2))
    return rotating


def test_a_stop_amid_a_hand_over_leaves_nothing_behind(baseline: Baseline) -> None:
    with SimulatedO2(rate=0) as o2, runtime_on(o2) as runtime:
        _stream = runtime.subscribe("o2", "trades", o2.markets[0], wait=10.0)
        rotating = hands_over(runtime, o2)
        assert runtime.stop(5.0) == ()
        rotating.join(20.0)
    baseline.check()


def test_a_pause_amid_a_hand_over_gives_both_connections_back(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    _stream = runtime.subscribe("o2", "trades", market, wait=10.0)
    rotating = hands_over(runtime, o2)
    runtime.supervisor.pause("o2").get(timeout=5.0)
    until(runtime, lambda status: not [each for each in status.actors if each.id == "connection/o2"])
    rotating.join(20.0)
    o2.heal()
    o2.wait_for(lambda: o2.connections == 0)


def test_a_line_that_a_full_stream_holds_is_not_rotated(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, block_timeout=60.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, policy="block", capacity=5, wait=10.0)
        o2.number_trades(market, 50)
        until(runtime, lambda status: bool(status.lines()["o2"].paused_by_streams))
        with pytest.raises(RotationFailed, match="a full stream makes it wait"):
            runtime.rotate("o2", timeout=20.0)
        assert [int(trades.get(timeout=10.0).trade_id) for _ in range(50)] == list(range(1, 51))
        assert not trades.gaps


def test_a_rotation_that_is_due_amid_a_subscription_is_made_up_for(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, rotate_every=0.3, ack_timeout=5.0) as runtime:
        o2.delay_ack(0.8)
        _stream = runtime.subscribe("o2", "depth", market, wait=10.0)
        o2.heal()
        begun = line_of(runtime).rotations
        until(runtime, lambda status: status.lines()["o2"].rotations >= begun + 3)


def test_a_line_is_stable_by_whichever_connection(o2: SimulatedO2) -> None:
    with runtime_on(o2, restart={"stable_after": 1.0}) as runtime:
        o2.drop()
        until(runtime, at_epoch(2))
        runtime.wait_live(timeout=10.0)
        assert line_of(runtime).attempt == 1
        runtime.rotate("o2", timeout=20.0)
        until(runtime, lambda status: status.lines()["o2"].attempt == 0)


def test_a_topic_that_is_wanted_anew_while_a_line_is_handed_over_begins_with_its_snapshot(
    o2: SimulatedO2, runtime: Runtime, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The former connection still has the earlier subscription: its changes are no use to the new stream."""
    pong = Connection._pong

    def unanswered(connection: Connection, payload: bytes) -> None:
        if payload != LAST_WORD:
            pong(connection, payload)

    monkeypatch.setattr(Connection, "_pong", unanswered)
    monkeypatch.setattr("actors.supervision.rotation.GOODBYE", 2.0)
    former = runtime.subscribe("o2", "depth", market, wait=10.0)
    rotating = threading.Thread(target=runtime.rotate, args=("o2",))
    rotating.start()
    until(runtime, at_epoch(2))
    former.close()
    books = runtime.subscribe("o2", "depth", market)
    o2.wait_for(lambda: o2.subscribers("depth", market) == 2)  # each connection has one
    o2.depth_change(market, buys=[(99, 5)])
    assert isinstance(books.get(timeout=20.0), o2_events.DepthSnapshot)
    rotating.join()
    settle(runtime)
