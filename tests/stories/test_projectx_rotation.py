"""ProjectX' hubs are rotated, on demand, by the clock, and before a token ends: and no stream notices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import pytest

import actors
from actors import Closed, Gap, Lifecycle, RotationFailed, Runtime, Stream
from actors.simulators.projectx import SimulatedProjectX
from actors.venues import projectx as venue
from tests.conftest import Baseline
from tests.stories.test_projectx import (
    ALICE,
    EP,
    HUBS,
    LINES,
    MARKET,
    USER,
    WANTED,
    line,
    live_again,
    runtime_on,
    streams,
    tell,
    tokens_shown,
    told,
)
from tests.support.counters import settle
from tests.support.runtimes import until

FILLS = {"channel": "account_trades", "keys": [ALICE]}


@pytest.fixture
def px() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0) as simulator:
        yield simulator


@pytest.fixture
def runtime(px: SimulatedProjectX) -> Iterator[Runtime]:
    with runtime_on(px) as runtime:
        yield runtime


@contextmanager
def talking(px: SimulatedProjectX) -> Iterator[dict[str, list[int]]]:
    """Both hubs tell numbered things all the while: what they told, when it is over."""
    said: dict[str, list[int]] = {"trades": [], "orders": [], "fills": []}
    ended = threading.Event()

    def talk() -> None:
        while not ended.is_set():
            said["trades"] += px.number_trades(EP, 20, per_second=2_000)
            said["orders"].append(px.order(int(ALICE), EP)["id"])
            said["fills"].append(px.user_trade(int(ALICE), EP)["id"])

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield said
    finally:
        ended.set()
        thread.join()


def heard_until(stream: Stream[Any], last: int) -> list[tuple[int, int]]:
    """Epoch and number of each event up to this one; the clock of the test suite ends what does not end."""
    heard = []
    for received in stream.with_meta():
        heard.append((received.epoch, int(getattr(received.event, "volume", None) or received.event.id)))
        if heard[-1][1] == last:
            break
    return heard


def is_whole(heard: list[tuple[int, int]], said: list[int]) -> bool:
    """Each connection brought its part without a hole, and began no later than the former one ended.

    Trades have no number at the gateway: what both brought comes twice, and nobody could tell.
    """
    reached = said[0] - 1
    for _, part in groupby(heard, key=lambda each: each[0]):
        numbers = [number for _, number in part]
        if numbers != list(range(numbers[0], numbers[-1] + 1)) or numbers[0] > reached + 1:
            return False
        reached = max(reached, numbers[-1])
    return reached == said[-1]


def check_whole(
    trades: Stream[Any], orders: Stream[Any], fills: Stream[Any], said: dict[str, list[int]]
) -> None:
    assert is_whole(heard_until(trades, said["trades"][-1]), said["trades"])
    # Orders and fills have an id: nothing twice.
    assert [number for _, number in heard_until(orders, said["orders"][-1])] == said["orders"]
    assert [number for _, number in heard_until(fills, said["fills"][-1])] == said["fills"]
    assert [stream.gap_count for stream in (trades, orders, fills)] == [0, 0, 0]


def all_streams(runtime: Runtime) -> tuple[Stream[Any], Stream[Any], Stream[Any]]:
    """Of trades, orders and fills, large enough for all that is told."""

    def stream(channel: str, key: str) -> Stream[Any]:
        return runtime.subscribe("projectx", channel, key, capacity=1_000_000, wait=10.0)

    return stream("trades", EP), stream("orders", ALICE), stream("account_trades", ALICE)


# ── under a numbered feed ───────────────────────────────────────────────────────────────────────


def test_a_numbered_feed_is_whole_while_both_hubs_are_rotated_every_second(px: SimulatedProjectX) -> None:
    with runtime_on(px, rotate_every=1.0, subscribe=[*WANTED, FILLS]) as runtime:
        heard = all_streams(runtime)
        with talking(px) as said:
            until(runtime, lambda status: all(each.rotations >= 3 for each in status.lines().values()))
        check_whole(*heard, said)
        for hub in HUBS:
            assert line(runtime, hub).counters.restarts == 0
            assert line(runtime, hub).health.score == 100
        settle(runtime)
        assert px.logins == 1


def test_a_numbered_feed_is_whole_through_twenty_rotations(px: SimulatedProjectX) -> None:
    with runtime_on(px, subscribe=[*WANTED, FILLS]) as runtime:
        heard = all_streams(runtime)
        with talking(px) as said:
            for _ in range(20):
                runtime.rotate("projectx", timeout=20.0)
        check_whole(*heard, said)
        assert [(line(runtime, hub).rotations, line(runtime, hub).epoch) for hub in HUBS] == [(20, 21)] * 2
        settle(runtime)
        px.wait_for(lambda: px.connections == 2)
        assert len(px.invocations("SubscribeOrders")) == 21


def test_a_rotation_shows_in_no_stream(px: SimulatedProjectX, runtime: Runtime) -> None:
    heard = streams(runtime)
    for hub in HUBS:
        tell(px, hub)
    runtime.rotate("projectx", timeout=20.0)
    numbers = {hub: tell(px, hub) for hub in HUBS}
    for hub, stream in heard.items():
        until(runtime, lambda _, stream=stream: stream.received >= 2)  # type: ignore[misc]
        stream.close()
        *seen, closed = stream.with_markers()
        assert isinstance(closed, Closed)
        assert not [each for each in seen if isinstance(each, Gap)]
        assert {each.state for each in seen if isinstance(each, Lifecycle)} <= {"connected"}
        assert [told(each) for each in seen if not isinstance(each, Lifecycle)][-1] == numbers[hub]


def test_one_hub_is_rotated_alone(px: SimulatedProjectX, runtime: Runtime) -> None:
    runtime.rotate(MARKET, timeout=20.0)
    assert {name: each.epoch for name, each in runtime.status().lines().items()} == {USER: 1, MARKET: 2}


def test_quotes_and_books_stay_whole_through_rotations(px: SimulatedProjectX, runtime: Runtime) -> None:
    quotes = runtime.subscribe("projectx", venue.QUOTES, EP, wait=10.0)
    whole: Any = quotes.get(timeout=10)
    runtime.book("projectx", EP, wait=10.0)
    for turn in range(1, 6):
        px.depth(EP, bids=[("6790.25", turn)], asks=[("6810.25", 2 * turn)])
        runtime.rotate("projectx", timeout=20.0)
        px.depth(EP, bids=[("6790.50", turn)], asks=[("6810.25", 0)])

        def equal(_: object) -> bool:
            view = runtime.book("projectx", EP)
            return (dict(view.bids), dict(view.asks)) == px.book(EP)

        until(runtime, equal)
        px.quote(EP, bestBid=whole.best_bid - turn)
        last = next(each for each in quotes if each.best_bid == whole.best_bid - turn)
        assert (last.best_ask, last.high, last.open) == (whole.best_ask, whole.high, whole.open)
    assert quotes.gap_count == 0


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────

REFUSALS: dict[str, tuple[Callable[[SimulatedProjectX], Any], str]] = {
    "out of order": (lambda px: px.refuse(n=2, only_hub="market"), "503"),
    "not with this token, nor another": (lambda px: px.unauthorized(n=0, only_hub="market"), "401"),
    "an id that is over": (lambda px: px.reuse_id(), "404"),
    "no handshake": (lambda px: px.handshake_error("Not now.", only_hub="market"), "Not now"),
    "no subscription": (lambda px: px.completion_error("SubscribeContractTrades"), "refused"),
    "sent away": (lambda px: px.negotiate_error("Elsewhere."), "Elsewhere"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_new_connection_that_is_refused_leaves_the_old_one(px: SimulatedProjectX, name: str) -> None:
    fault, words = REFUSALS[name]
    with runtime_on(px, skip_negotiation=False) as runtime:
        heard = streams(runtime)
        fault(px)
        with pytest.raises(RotationFailed, match=words) as failed:
            runtime.rotate(MARKET, timeout=20.0)
        assert list(failed.value.lines) == [MARKET]
        number = tell(px, "market")
        assert told(heard["market"].get(timeout=10)) == number
        assert (line(runtime, "market").epoch, line(runtime, "market").state) == (1, "live")
        px.heal()
        runtime.rotate("projectx", timeout=20.0)
        number = tell(px, "market")
        assert told(heard["market"].get(timeout=10)) == number
        assert heard["market"].gap_count == 0
        assert line(runtime, "market").counters.restarts == 0


def test_a_new_connection_that_hears_nothing_is_given_up(px: SimulatedProjectX) -> None:
    with runtime_on(px, connect_timeout=0.5) as runtime:
        heard = streams(runtime)
        before = line(runtime, "market").epoch
        px.mute(new=True, only_hub="market")
        with pytest.raises(RotationFailed, match="did not answer the login"):
            runtime.rotate(MARKET, timeout=20.0)
        number = tell(px, "user")
        assert told(heard["user"].get(timeout=10)) == number
        assert (line(runtime, "market").epoch, line(runtime, "market").state) == (before, "live")


def test_a_gateway_that_resets_in_the_middle_is_a_loss_like_any_other(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    heard = streams(runtime)
    px.delay_ack(5.0)  # the new ones wait for their answers
    rotating = threading.Thread(target=_rotate_in_vain, args=(runtime,))
    rotating.start()
    px.wait_heard("SubscribeOrders", 2)
    px.wait_heard("SubscribeContractTrades", 2)
    px.heal()
    px.reset()
    rotating.join(20.0)
    until(runtime, live_again(3))
    for hub in HUBS:
        number = tell(px, hub)
        assert told(heard[hub].get(timeout=10)) == number
        assert [gap.reason for gap in heard[hub].gaps] == ["disconnect"]


def _rotate_in_vain(runtime: Runtime) -> None:
    with pytest.raises(RotationFailed):
        runtime.rotate("projectx", timeout=20.0)


def test_rotations_leave_nothing_behind(px: SimulatedProjectX, baseline: Baseline) -> None:
    with runtime_on(px) as runtime:
        for _ in range(3):
            runtime.rotate("projectx", timeout=20.0)
        px.refuse(n=2)
        with pytest.raises(RotationFailed):
            runtime.rotate("projectx", timeout=20.0)
    px.wait_for(lambda: px.connections == 0)
    baseline.check()


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("own", [True, False])
def test_a_token_is_refreshed_under_live_lines(px: SimulatedProjectX, runtime: Runtime, own: bool) -> None:
    heard = streams(runtime)
    (first,) = tokens_shown(px)
    runtime.refresh_token("projectx", token=px.token(life=7_200) if own else None, timeout=20.0)
    assert len(tokens_shown(px) - {first}) == 1  # both lines show the same new one
    assert [line(runtime, hub).rotations for hub in HUBS] == [1, 1]
    left = runtime.status().feeds["projectx"].token_expires_in_s or 0.0
    assert (left <= 7_200) is own
    assert left > 7_000
    for hub in HUBS:
        number = tell(px, hub)
        assert told(heard[hub].get(timeout=10)) == number
        assert heard[hub].gap_count == 0


def test_a_token_is_renewed_before_it_ends_and_without_a_login() -> None:
    with SimulatedProjectX(rate=0, token_life=3.0) as px, runtime_on(px) as runtime:
        heard = streams(runtime)
        assert 0 < (runtime.status().feeds["projectx"].token_expires_in_s or 0.0) <= 3.0
        until(runtime, lambda status: all(each.rotations >= 1 for each in status.lines().values()))
        assert px.logins == 1
        assert px.renewals >= 1
        for hub in HUBS:
            number = tell(px, hub)
            assert told(heard[hub].get(timeout=10)) == number
            assert (heard[hub].gap_count, line(runtime, hub).counters.restarts) == (0, 0)


def test_a_gateway_that_renews_nothing_is_logged_in_to_again() -> None:
    with SimulatedProjectX(rate=0, token_life=3.0) as px:
        px.refuse_login(3, n=100, page="validate")
        with runtime_on(px) as runtime:
            heard = streams(runtime)
            until(runtime, lambda status: all(each.rotations >= 1 for each in status.lines().values()))
            assert px.renewals == 0
            assert px.logins >= 2
            assert [heard[hub].gap_count for hub in HUBS] == [0, 0]


def test_a_token_that_one_hub_refuses_is_taken_back(px: SimulatedProjectX, runtime: Runtime) -> None:
    heard = streams(runtime)
    (first,) = tokens_shown(px)
    px.unauthorized(n=0, only_hub="market")
    with pytest.raises(RotationFailed, match="401") as failed:
        runtime.refresh_token("projectx", token=px.token())
    assert list(failed.value.lines) == [MARKET]
    px.heal()
    before = len(px.requests)
    px.drop()
    until(runtime, live_again(2))
    assert {each.query["access_token"] for each in px.requests[before:]} == {first}
    for hub in HUBS:
        number = tell(px, hub)
        assert told(heard[hub].get(timeout=10)) == number


def test_several_who_refresh_at_once_do_not_wait_for_each_other_forever(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    heard = streams(runtime)
    failures: list[BaseException] = []

    def refresh() -> None:
        try:
            runtime.refresh_token("projectx", timeout=20.0)
        except actors.LinewardenError as error:
            failures.append(error)

    threads = [threading.Thread(target=refresh) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert not [thread for thread in threads if thread.is_alive()]
    assert failures == []
    assert set(LINES) == {name for name, each in runtime.status().lines().items() if each.state == "live"}
    for hub in HUBS:
        number = tell(px, hub)
        assert told(heard[hub].get(timeout=10)) == number
        assert heard[hub].gap_count == 0
