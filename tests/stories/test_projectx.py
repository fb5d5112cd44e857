"""ProjectX through the whole runtime: two hubs that are watched apart, one token, every fault of a hub."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

import actors
from actors import Lifecycle, NotLiveError, RotationFailed, Runtime, SubscribeError
from actors.settings import load
from actors.simulators.projectx import SimulatedProjectX
from actors.simulators.projectx.auth import TokenGate
from actors.status import Cause, LineStatus, Status
from actors.venues import projectx as venue
from tests.support.counters import settle
from tests.support.runtimes import HEARTBEAT, RESTART, fresh, until
from tests.support.virtual_time import VirtualTimers

USER, MARKET = "projectx/user", "projectx/market"
LINES = (USER, MARKET)
HUBS = ("user", "market")
EP, ENQ = "CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26"
ALICE, BOB = "4242", "4243"
API_KEY = "canary-9c1f70aa"  # to be shown nowhere
WANTED: list[dict[str, Any]] = [
    {"channel": "orders", "keys": [ALICE]},
    {"channel": "trades", "keys": [EP]},
]


def config(px: SimulatedProjectX, **feed: Any) -> dict[str, Any]:
    """The config of one feed at this gateway; `feed` adds to its table, or overrides it."""
    table: dict[str, Any] = {"venue": "projectx", "url": px.url, "ack_timeout": 30.0, "connect_timeout": 5.0}
    table["restart"] = RESTART | {"slow_initial": 0.05} | feed.pop("restart", {})
    table["heartbeat"] = HEARTBEAT | feed.pop("heartbeat", {})
    if "token" not in feed:
        table |= {"user_name": "trader", "api_key": API_KEY}
    return {"feeds": {"projectx": table | {"subscribe": WANTED} | feed}}


@contextmanager
def runtime_on(px: SimulatedProjectX, *, live: bool = True, **feed: Any) -> Iterator[Runtime]:
    """A runtime at this gateway; both its lines are live when the story begins."""
    with actors.start(config(px, **feed), wait=10.0 if live else None) as runtime:
        yield runtime


@pytest.fixture
def px() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0) as simulator:
        yield simulator


@pytest.fixture
def runtime(px: SimulatedProjectX) -> Iterator[Runtime]:
    with runtime_on(px) as runtime:
        yield runtime


def other(hub: str) -> str:
    return "market" if hub == "user" else "user"


def line(runtime: Runtime, hub: str) -> LineStatus:
    return runtime.status().lines()[f"projectx/{hub}"]


def states(status: Status) -> dict[str, str]:
    return {name: each.state for name, each in status.lines().items()}


def live_again(epoch: int, *lines: str) -> Callable[[Status], bool]:
    """These lines, or both, are live in this life or a later one."""

    def wanted(status: Status) -> bool:
        told = [status.lines()[name] for name in lines or LINES]
        return all(each.epoch >= epoch and each.state == "live" for each in told)

    return wanted


def all_failed(status: Status) -> bool:
    return set(states(status).values()) == {"failed"}


def reason_of(status: Status, name: str) -> Cause:
    reason = status.lines()[name].reason
    assert reason is not None
    return reason


def asked(px: SimulatedProjectX, page: str) -> int:
    """How often a page of the REST part was asked for."""
    return len([each for each in px.requests if each.path == f"/api/Auth/{page}"])


def tokens_shown(px: SimulatedProjectX) -> set[str]:
    return {each.query["access_token"] for each in px.requests if "access_token" in each.query}


def tell(px: SimulatedProjectX, hub: str) -> int | None:
    """Something happens that the streams of WANTED are told; what tells it from others of its kind."""
    if hub == "user":
        told: int = px.order(int(ALICE), EP)["id"]
        return told
    return px.number_trades(EP, 1)[0]


def told(event: Any) -> int:
    return int(event.id if isinstance(event, venue.Order) else event.volume)


def streams(runtime: Runtime) -> dict[str, actors.Stream[Any]]:
    """A stream of each hub."""
    return {
        "user": runtime.subscribe("projectx", venue.ORDERS, ALICE, wait=10.0),
        "market": runtime.subscribe("projectx", venue.TRADES, EP, wait=10.0),
    }


# ── two lines, one feed ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hub", HUBS)
def test_the_feed_is_ready_when_both_hubs_are(px: SimulatedProjectX, hub: str) -> None:
    px.refuse(n=0, only_hub=hub)
    with runtime_on(px, live=False) as runtime:
        runtime.wait_live(f"projectx/{other(hub)}", timeout=10.0)
        status = until(runtime, lambda status: status.lines()[f"projectx/{hub}"].reason is not None)
        assert (status.feeds["projectx"].live, status.state) == (False, "degraded")
        assert reason_of(status, f"projectx/{hub}").code == "http_503"
        px.heal()
        runtime.wait_live("projectx", timeout=10.0)
        assert runtime.status().feeds["projectx"].live
        assert px.logins == 1  # of both lines


def test_a_hub_is_not_ready_before_it_has_answered_every_subscription(px: SimulatedProjectX) -> None:
    px.delay_ack(0.3)
    with runtime_on(px, live=False) as runtime:
        until(runtime, lambda status: set(states(status).values()) == {"subscribing"})
        assert (px.callers("user"), px.callers("market")) == (1, 1)
        assert not runtime.status().feeds["projectx"].live
        runtime.wait_live(timeout=10.0)


@pytest.mark.parametrize("hub", HUBS)
def test_a_hub_that_is_gone_leaves_the_other_alone(px: SimulatedProjectX, runtime: Runtime, hub: str) -> None:
    heard = streams(runtime)
    px.refuse(n=0, only_hub=hub)
    px.drop(only_hub=hub)
    status = until(runtime, lambda status: status.lines()[f"projectx/{hub}"].attempt >= 2)
    assert status.lines()[f"projectx/{hub}"].health.score == 0
    assert status.lines()[f"projectx/{other(hub)}"].health.score == 100
    number = tell(px, other(hub))
    assert told(heard[other(hub)].get(timeout=10)) == number
    px.heal()
    until(runtime, live_again(2, f"projectx/{hub}"))
    number = tell(px, hub)
    assert told(heard[hub].get(timeout=10)) == number
    assert [gap.reason for gap in heard[hub].gaps] == ["disconnect"]
    assert (heard[other(hub)].gap_count, line(runtime, other(hub)).epoch) == (0, 1)


def test_every_shape_of_a_push_gives_the_same_events(px: SimulatedProjectX, runtime: Runtime) -> None:
    for channel, own in (("orders", venue.ORDERS), ("user_trades", venue.ACCOUNT_TRADES)):
        row = px.order(int(BOB), EP) if channel == "orders" else px.user_trade(int(BOB), EP)
        rows = [
            (action, row | {"id": id, "accountId": int(ALICE)}) for action, id in ((0, 71), (1, 72), (1, 73))
        ]
        with runtime.subscribe("projectx", own, ALICE, wait=10.0) as stream:
            told: list[list[Any]] = []
            for shape in ("object", "action", "list", "several"):
                px.tell_user(channel, int(ALICE), *rows, shape=shape)
                told.append([stream.get(timeout=10) for _ in rows])
            assert [[each.action for each in events] for events in told] == [[None] * 3] + [[0, 1, 1]] * 3
            plain = [[msgspec.structs.replace(each, action=None) for each in events] for events in told]
            assert [each.id for each in plain[0]] == [71, 72, 73]
            assert plain == plain[:1] * 4
    prints = [px.trade(ENQ, volume=volume) for volume in (1, 2, 3)]  # of a contract that nobody hears
    levels = px.depth(ENQ, bids=[("6800.25", 4)], asks=[("6803.75", 5)])
    for name, rows_ in (("trades", prints), ("depth", levels)):
        with runtime.subscribe("projectx", name, EP, wait=10.0) as stream:
            if name == "depth":
                assert isinstance(stream.get(timeout=10), venue.DepthReset)
            told = []
            for form in ("object", "list", "nulls", "data", "data_list"):
                px.tell_market(name, EP, *rows_, shape=form)
                told.append([stream.get(timeout=10) for _ in rows_])
            assert {each.contract_id for each in told[0]} == {EP}
            assert told == told[:1] * 5
    assert settle(runtime).quarantine.count == 0


def test_a_quote_is_whole_and_says_what_has_changed(px: SimulatedProjectX, runtime: Runtime) -> None:
    quotes = runtime.subscribe("projectx", venue.QUOTES, EP, wait=10.0)
    whole: Any = quotes.get(timeout=10)
    for form in ("object", "list", "nulls", "data", "data_list"):
        px.quote(EP, bestAsk=whole.best_ask + len(form), shape=form)
        quote = quotes.get(timeout=10)
        assert (quote.changed, quote.best_ask) == (("best_ask",), whole.best_ask + len(form))
        assert (quote.best_bid, quote.high, quote.volume) == (whole.best_bid, whole.high, whole.volume)


def test_one_loop_reads_both_hubs(px: SimulatedProjectX, runtime: Runtime) -> None:
    heard = streams(runtime)
    expected = []
    merged = runtime.merge(*heard.values())
    for hub in ("user", "market", "market", "user"):
        number = tell(px, hub)
        received = next(merged)
        expected.append(received.topic.channel)
        assert told(received.event) == number
    assert expected == ["orders", "trades", "trades", "orders"]


# ── refusals ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["hub", "server", "binding", "unknown", "forbidden"])
def test_a_completion_with_an_error_refuses_its_topic_and_no_other(
    px: SimulatedProjectX, runtime: Runtime, kind: Any
) -> None:
    px.completion_error("SubscribeContractQuotes", kind=kind, text="not entitled")
    with pytest.raises(SubscribeError) as refused:
        runtime.subscribe("projectx", venue.QUOTES, EP, ENQ, wait=10.0)
    (answer,) = [each for each in refused.value.results.values() if each.state == "rejected"]
    assert "SubscribeContractQuotes" in answer.reason
    assert ("not entitled" in answer.reason) is (kind == "hub")
    topics = {each.topic: each.state.state for each in line(runtime, "market").topics}
    assert sorted(topics.values()) == ["confirmed", "confirmed", "rejected"]
    until(runtime, lambda status: states(status) == dict.fromkeys(LINES, "live"))
    assert line(runtime, "market").epoch == 1


def test_an_account_that_is_not_there_is_refused_by_its_number(runtime: Runtime) -> None:
    with pytest.raises(SubscribeError, match="Account 999 not found"):
        runtime.subscribe("projectx", venue.POSITIONS, "999", wait=10.0)
    _stream = runtime.subscribe("projectx", venue.POSITIONS, ALICE, wait=10.0)
    until(runtime, lambda status: states(status) == dict.fromkeys(LINES, "live"))


# ── logouts, tokens ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("close", [False, True])
def test_a_logout_is_answered_with_patience_and_not_by_a_race(px: SimulatedProjectX, close: bool) -> None:
    with runtime_on(px, restart={"slow_initial": 60.0}) as runtime:
        heard = streams(runtime)
        px.gateway_logout(close=close)
        for name in LINES:
            status = until(runtime, lambda status, at=name: status.lines()[at].state == "backoff")  # type: ignore[misc]
            assert reason_of(status, name).code == "gateway_logout"
            assert (status.lines()[name].next_attempt_s or 0.0) > 50.0
        runtime.supervisor.restart("projectx").get(timeout=5)  # somebody knows better
        runtime.wait_live(timeout=10.0)
        for hub in HUBS:
            number = tell(px, hub)
            assert told(heard[hub].get(timeout=10)) == number
            assert [gap.reason for gap in heard[hub].gaps] == ["disconnect"]


@pytest.mark.parametrize("door", ["negotiate", "upgrade"])
def test_a_token_that_is_turned_away_is_replaced_once_and_then_nothing_more_is_tried(
    px: SimulatedProjectX, door: Any
) -> None:
    # No life is stable here: one that was is probed, since a login service may fail for a while.
    with runtime_on(px, skip_negotiation=False, restart={"stable_after": 3600.0}) as runtime:
        px.unauthorized(n=0, door=door)
        px.drop()
        status = until(runtime, all_failed)
        made = px.logins + px.renewals
        assert made <= 1 + len(LINES)
        for name in LINES:
            reason = reason_of(status, name)
            assert (reason.kind, reason.code) == ("fatal", "http_401")
            assert "credentials" in reason.advice
            assert status.lines()[name].next_attempt_s is None  # nothing is going on
        assert px.logins + px.renewals == made
        px.heal()
        runtime.refresh_token("projectx", token=px.token())
        runtime.wait_live(timeout=10.0)


@pytest.mark.parametrize("skip", [True, False])
def test_one_401_costs_a_login_and_no_line(px: SimulatedProjectX, skip: bool) -> None:
    with runtime_on(px, skip_negotiation=skip) as runtime:
        heard = streams(runtime)
        px.unauthorized(n=1)
        px.drop()
        until(runtime, live_again(2))
        assert 2 <= px.logins + px.renewals <= 1 + len(LINES)
        for hub in HUBS:
            number = tell(px, hub)
            assert told(heard[hub].get(timeout=10)) == number


def test_a_wrong_key_fails_both_lines_at_once_and_a_token_mends_it() -> None:
    with SimulatedProjectX(rate=0, keys={"trader": "another"}) as px, runtime_on(px, live=False) as runtime:
        with pytest.raises(NotLiveError, match="InvalidCredentials"):
            runtime.wait_live(timeout=10.0)
        status = until(runtime, all_failed)
        assert asked(px, "loginKey") == 1  # for both
        for name in LINES:
            reason = reason_of(status, name)
            assert (reason.kind, reason.code) == ("fatal", "projectx_3")
            assert "user_name" in reason.advice
            assert "api_key" in reason.advice
        with pytest.raises(actors.LinewardenError, match="no new token"):
            runtime.refresh_token("projectx")
        assert all_failed(runtime.status())
        with pytest.raises(RotationFailed, match="401"):
            runtime.refresh_token("projectx", token=TokenGate(60, None).issue("trader"))  # of another gateway
        assert all_failed(runtime.status())
        runtime.refresh_token("projectx", token=px.token(life=3_600))
        runtime.wait_live(timeout=10.0)
        assert 3_000 < (runtime.status().feeds["projectx"].token_expires_in_s or 0.0) <= 3_600
        heard = streams(runtime)
        for hub in HUBS:
            number = tell(px, hub)
            assert told(heard[hub].get(timeout=10)) == number


def test_a_token_of_ones_own_that_has_ended_is_named_and_another_mends_it(px: SimulatedProjectX) -> None:
    with runtime_on(px, live=False, token=px.token(life=-5)) as runtime:
        status = until(runtime, all_failed)
        for name in LINES:
            assert reason_of(status, name).code == "token_expired"
            assert "new token" in reason_of(status, name).advice
        assert tokens_shown(px) == set()  # nobody was bothered with it
        runtime.refresh_token("projectx", token=px.token())
        runtime.wait_live(timeout=10.0)
        assert px.logins == 0


def test_an_expired_token_is_noticed_when_it_is_shown_and_made_anew(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    heard = streams(runtime)
    px.expire_tokens()  # open hubs live on
    number = tell(px, "market")
    assert told(heard["market"].get(timeout=10)) == number
    px.drop()
    until(runtime, live_again(2))
    assert (px.logins, len(tokens_shown(px))) == (2, 2)
    for hub in HUBS:
        number = tell(px, hub)
        assert told(heard[hub].get(timeout=10)) == number
        assert heard[hub].gap_count == 1


# ── what nobody may read ────────────────────────────────────────────────────────────────────────


def echoes(px: SimulatedProjectX, token: str, mine: str, negotiations: int) -> Iterator[Callable[[], None]]:
    """Ways to end both lines' connections, most of which say a token back."""

    def log_out() -> None:
        px.push("market", "GatewayLogout", {"token": token})
        px.drop("user")

    def refuse_hands() -> None:
        px.handshake_error(f"who is {token}", only_hub="user")
        px.drop()

    def refuse_to_negotiate() -> None:
        px.negotiate_error(f"{token} may not", n=negotiations)
        px.drop()

    def redirect() -> None:
        px.redirect(token=mine, n=negotiations)
        px.drop()

    def be_out_of_order() -> None:
        px.refuse(status=503, n=1)
        px.drop()

    yield lambda: px.hub_close(allow_reconnect=True, error=f"{token} is over")
    yield lambda: px.hub_close(error=f"?access_token={quote(token)}")
    yield from (log_out, refuse_hands, refuse_to_negotiate, redirect, be_out_of_order)
    yield lambda: px.close(1008, token[:100])


@pytest.mark.parametrize("skip", [True, False])
def test_token_and_key_are_in_no_log_status_repr_or_error(
    px: SimulatedProjectX, skip: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where the hub says them back to us."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    mine = px.token()
    with runtime_on(px, skip_negotiation=skip) as runtime:
        heard = streams(runtime)

        def look() -> None:
            status = runtime.status()
            shown.append(repr(status) + msgspec.json.encode(status).decode())
            shown.append(
                repr(runtime) + repr(runtime.settings) + repr(runtime._wanted) + repr(list(heard.values()))
            )

        look()
        token = max(tokens_shown(px))
        for epoch, fault in enumerate(echoes(px, token, mine, 0 if skip else 2), 2):
            fault()
            until(runtime, live_again(epoch))
            look()
        px.completion_error("SubscribeContractQuotes", text=f"not with {token}")
        with pytest.raises(SubscribeError) as refused:
            runtime.subscribe("projectx", venue.QUOTES, EP, wait=10.0)
        px.unauthorized(n=0)
        with pytest.raises(actors.RotationFailed) as turned_away:
            runtime.refresh_token("projectx", token=mine)
        px.drop()
        until(runtime, all_failed)
        look()
        with pytest.raises(NotLiveError) as not_live:
            runtime.wait_live(timeout=10.0)
        for each in (refused, turned_away, not_live):
            shown.append("".join(traceback.format_exception(each.value)) + repr(each.value))
    ours = [each for each in caplog.records if not each.name.startswith("websockets")]  # the simulator's
    everything = "\n".join([*shown, *(caplog.handler.format(each) for each in ours)])
    assert "401" in everything  # they were looked at where it counts
    secrets = {API_KEY, mine, *tokens_shown(px)}
    assert len(secrets) >= 3
    for secret in secrets:
        for part in {secret, quote(secret, safe=""), secret.rpartition(".")[2] or secret}:
            assert part not in everything


# ── the faults of a hub ─────────────────────────────────────────────────────────────────────────


def test_an_id_that_is_over_is_negotiated_anew(px: SimulatedProjectX) -> None:
    px.reuse_id(n=3)
    with runtime_on(px, skip_negotiation=False, live=False) as runtime:
        runtime.wait_live(timeout=10.0)
        endings = [each for name in LINES for each in runtime.status().lines()[name].journal]
        assert {each.code for each in endings} == {"http_404"}
        assert sum(each.times for each in endings) == 3
        ids = [each.query["id"] for each in px.requests if "id" in each.query]
        assert len(ids) == len(set(ids)) == 5  # none was shown twice
        assert px.logins == 1


def test_a_hub_path_that_is_wrong_is_fatal_without_a_negotiation(px: SimulatedProjectX) -> None:
    wrong = {"url": f"{px.url}hubs/nowhere", "market_url": f"{px.url}hubs/market", "api_url": px.http_url}
    with runtime_on(px, live=False, **wrong) as runtime:
        status = until(runtime, lambda status: states(status) == {USER: "failed", MARKET: "live"})
        assert "path in url" in reason_of(status, USER).advice


FAULTS: dict[str, tuple[Callable[[SimulatedProjectX], Any], str, str]] = {
    "handshake error": (
        lambda px: px.handshake_error("Not you.", only_hub="market") or px.drop("market"),
        "slow",
        "handshake_refused",
    ),
    "Close, come back": (lambda px: px.hub_close(True, "Moved.", "market"), "retryable", "hub_closed"),
    "Close, stay away": (lambda px: px.hub_close(False, "Enough.", "market"), "slow", "hub_dismissed"),
    "a hub's Abort()": (lambda px: px.hub_close(only_hub="market"), "slow", "hub_dismissed"),
    "a host that is shut down": (lambda px: px.reset(only_hub="market"), "retryable", "lost"),
    "a plain close frame": (lambda px: px.close(1001, only_hub="market"), "retryable", "close_1001"),
    "a policy": (lambda px: px.close(1008, "Too much.", "market"), "slow", "close_1008"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_one_hub_is_named_and_made_good(
    px: SimulatedProjectX, runtime: Runtime, name: str
) -> None:
    fault, kind, code = FAULTS[name]
    heard = streams(runtime)
    fault(px)
    status = until(runtime, live_again(2, MARKET))
    assert (kind, code) in [(each.kind, each.code) for each in status.lines()[MARKET].journal]
    number = tell(px, "market")
    assert told(heard["market"].get(timeout=10)) == number
    assert (heard["market"].gap_count, heard["user"].gap_count) == (1, 0)
    assert line(runtime, "user").epoch == 1


def test_a_hub_that_takes_the_socket_and_says_nothing_is_not_waited_for_forever(
    px: SimulatedProjectX,
) -> None:
    px.mute(new=True, only_hub="market")
    with runtime_on(px, live=False, connect_timeout=1.0) as runtime:
        status = until(runtime, lambda status: status.lines()[MARKET].attempt >= 2)
        assert reason_of(status, MARKET).code == "login_timeout"
        assert states(status)[USER] == "live"
        px.heal()
        runtime.wait_live(timeout=10.0)


def test_what_is_subscribed_to_is_said_once_in_each_life(px: SimulatedProjectX, runtime: Runtime) -> None:
    heard = streams(runtime)
    again = [runtime.subscribe("projectx", venue.TRADES, EP, wait=10.0) for _ in range(3)]
    for epoch in range(2, 5):
        px.drop()
        until(runtime, live_again(epoch))
    assert px.invocations("SubscribeContractTrades") == [[EP]] * 4
    assert px.invocations("SubscribeOrders") == [[int(ALICE)]] * 4  # an integer, or it fails to bind
    number = tell(px, "market")
    assert [told(each.get(timeout=10)) for each in (heard["market"], *again)] == [number] * 4


@pytest.mark.parametrize("habit", ["packed", "fragmented", "split", "all"])
def test_messages_come_whole_however_they_are_cut(px: SimulatedProjectX, habit: str) -> None:
    if habit in ("packed", "all"):
        px.packed(n=50)
    if habit in ("fragmented", "all"):
        px.fragmented(size=7)
    if habit in ("split", "all"):
        px.split()
    with runtime_on(px) as runtime:
        heard = streams(runtime)
        numbers = px.number_trades(EP, 500)
        orders = [tell(px, "user") for _ in range(50)]
        assert [told(heard["market"].get(timeout=10)) for _ in numbers] == list(numbers)
        assert [told(heard["user"].get(timeout=10)) for _ in orders] == orders
        px.drop()
        until(runtime, live_again(2))
        number = tell(px, "market")
        assert told(heard["market"].get(timeout=10)) == number
        status = settle(runtime)
        assert status.quarantine.count == 0
        counters = status.lines()[MARKET].counters
        if habit == "packed":
            assert counters.frames < 100
        assert counters.routed == 501


def test_thirty_drops_in_a_row_cost_thirty_gaps_and_one_login(px: SimulatedProjectX) -> None:
    with runtime_on(px, restart={"initial": 0.01, "maximum": 0.02}) as runtime:
        heard = streams(runtime)
        for epoch in range(2, 32):
            px.drop()
            until(runtime, live_again(epoch))
            for hub in HUBS:
                number = tell(px, hub)
                assert told(heard[hub].get(timeout=10)) == number
        for hub in HUBS:
            assert [gap.reason for gap in heard[hub].gaps] == ["disconnect"] * 30
            assert line(runtime, hub).counters.restored == 30
        assert px.logins == 1
        assert len(px.invocations("SubscribeOrders")) == 31
        settle(runtime)


def test_a_gateway_that_is_gone_for_four_seconds_is_waited_for(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    heard = streams(runtime)
    px.stop()
    coming_back = threading.Timer(4.0, px.start)
    coming_back.start()
    try:
        status = until(runtime, lambda status: all(each.attempt >= 3 for each in status.lines().values()))
        assert {each.health.score for each in status.lines().values()} == {0}
        until(runtime, live_again(2))
    finally:
        coming_back.join()
    for hub in HUBS:
        number = tell(px, hub)
        assert told(heard[hub].get(timeout=10)) == number
        (gap,) = heard[hub].gaps
        assert gap.until_ns - gap.since_ns >= 3_500_000_000
        assert line(runtime, hub).epoch > 5  # it was looked for all the time
    # A gateway that was restarted knows of no session; where it takes the old token, nobody logs in.
    assert px.logins <= 2


# ── hours in a moment ───────────────────────────────────────────────────────────────────────────


class Clockwork:
    """A runtime whose time is moved by hand, on real sockets.

    The hubs ping hundreds of times in a second of ours; between two steps each line that is up hears one.
    """

    STEP = 3.0  # seconds; the hubs' pings may be missing for 30, a pong for 5

    def __init__(self, runtime: Runtime, timers: VirtualTimers) -> None:
        self.runtime, self._timers = runtime, timers

    def frames(self, lines: tuple[str, ...]) -> list[int]:
        told = fresh(self.runtime).lines()
        return [told[name].counters.frames for name in lines]

    def pass_by(self, seconds: float, *lines: str) -> None:
        """`lines`: those that are up all the while, and hear pings."""
        until_then = self._timers.monotonic() + seconds
        while (left := until_then - self._timers.monotonic()) > 1e-9:
            self._timers.advance(min(left, self.STEP))
            before = self.frames(lines)
            until(self.runtime, partial(self._has_heard, lines, before))

    def _has_heard(self, lines: tuple[str, ...], before: list[int], _: Status) -> bool:
        pairs = zip(self.frames(lines), before, strict=True)
        return all(now > then + 1 for now, then in pairs)  # the first may have been on its way


@pytest.fixture
def pinging() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, ping_interval=0.004, client_timeout=600.0, token_life=1e9) as simulator:
        yield simulator


@contextmanager
def clockwork(px: SimulatedProjectX, **feed: Any) -> Iterator[Clockwork]:
    table = config(px, **feed)
    table["feeds"]["projectx"]["heartbeat"] = {"ping_interval": 10.0, "pong_timeout": 5.0}
    table["feeds"]["projectx"]["restart"] = feed.get("restart", {})
    timers = VirtualTimers()
    with Runtime(load(table | {"runtime": {"watchdog_timeout": 0.0}}), timers=timers) as runtime:
        runtime.wait_live(timeout=10.0)
        yield Clockwork(runtime, timers)


def test_a_market_that_freezes_for_90_seconds_is_seen_and_its_line_is_left_alone(
    pinging: SimulatedProjectX,
) -> None:
    stale = [*WANTED[:1], WANTED[1] | {"stale_after": 60.0}]
    with clockwork(pinging, subscribe=stale) as clock:
        heard = streams(clock.runtime)
        pinging.frozen("market")
        clock.pass_by(45.0, *LINES)
        status = fresh(clock.runtime)
        assert [each.health.score for each in status.lines().values()] == [100, 100]  # quiet, for all we know
        clock.pass_by(45.0, *LINES)
        status = until(clock.runtime, lambda status: status.lines()[MARKET].health.score <= 50)
        assert [each.stale for each in status.lines()[MARKET].topics] == [True]
        assert states(status) == dict.fromkeys(LINES, "live")
        assert status.lines()[USER].health.score == 100
        assert [each.epoch for each in status.lines().values()] == [1, 1]
        pinging.heal()
        number = tell(pinging, "market")
        assert told(heard["market"].get(timeout=10)) == number
        clock.pass_by(30.0, *LINES)
        until(clock.runtime, lambda status: status.lines()[MARKET].health.score == 100)
        assert heard["market"].gap_count == 0


def test_three_minutes_without_a_trade_are_no_illness(pinging: SimulatedProjectX) -> None:
    with clockwork(pinging) as clock:
        clock.pass_by(180.0, *LINES)
        status = fresh(clock.runtime)
        assert [(each.epoch, each.health.score) for each in status.lines().values()] == [(1, 100)] * 2


def test_a_hub_that_says_nothing_for_30_seconds_is_left_and_dialled_again(pinging: SimulatedProjectX) -> None:
    with clockwork(pinging) as clock:
        heard = streams(clock.runtime)
        pinging.server_timeout(only_hub="market")  # it answers protocol pings as before
        clock.pass_by(24.0, USER)
        assert line(clock.runtime, "market").state == "live"
        clock.pass_by(9.0, USER)
        until(clock.runtime, lambda status: status.lines()[MARKET].reason is not None)
        assert reason_of(fresh(clock.runtime), MARKET).code == "server_timeout"
        clock.pass_by(1.0, USER)
        until(clock.runtime, live_again(2, MARKET))
        number = tell(pinging, "market")
        assert told(heard["market"].get(timeout=10)) == number
        assert (heard["market"].gap_count, heard["user"].gap_count) == (1, 0)


def test_a_call_that_is_never_answered_is_not_made_twice_on_one_connection(
    pinging: SimulatedProjectX,
) -> None:
    with clockwork(pinging) as clock:
        trades = clock.runtime.subscribe("projectx", venue.TRADES, EP, wait=10.0)
        pinging.lose_ack()  # it was heard and acted upon, for all we know
        depth = clock.runtime.subscribe("projectx", venue.DEPTH, EP)
        clock.pass_by(1.0, *LINES)  # calls are paced
        pinging.wait_heard("SubscribeContractMarketDepth")
        clock.pass_by(21.0, USER)
        until(clock.runtime, live_again(2, MARKET))
        assert reason_of(fresh(clock.runtime), MARKET).code == "invocation_timeout"
        assert pinging.invocations("SubscribeContractMarketDepth") == [[EP]] * 2
        assert isinstance(depth.get(timeout=10), venue.DepthReset)
        number = tell(pinging, "market")
        assert told(trades.get(timeout=10)) == number
        assert line(clock.runtime, "user").epoch == 1


def test_a_hub_that_is_gone_for_ten_minutes_is_looked_for_all_the_time(pinging: SimulatedProjectX) -> None:
    with clockwork(pinging) as clock:
        heard = streams(clock.runtime)
        pinging.refuse(n=0, only_hub="market")
        pinging.drop(only_hub="market")
        waits: list[float] = []
        while sum(waits) < 600.0:
            until(clock.runtime, lambda status: status.lines()[MARKET].state == "backoff")
            status = fresh(clock.runtime)
            waits.append(status.lines()[MARKET].next_attempt_s or 0.0)
            clock.pass_by(waits[-1], USER)
            tried = status.lines()[MARKET].attempt
            until(clock.runtime, lambda status, tried=tried: status.lines()[MARKET].attempt > tried)  # type: ignore[misc]
        assert max(waits) <= 30.0
        assert len(waits) > 20
        status = fresh(clock.runtime)
        assert status.lines()[MARKET].health.score == 0
        assert (status.lines()[USER].epoch, status.lines()[USER].health.score) == (1, 100)
        pinging.heal()
        clock.pass_by(30.0, USER)
        until(clock.runtime, live_again(2, MARKET))
        number = tell(pinging, "market")
        assert told(heard["market"].get(timeout=10)) == number
        (gap,) = heard["market"].gaps
        assert (gap.until_ns - gap.since_ns) / 1e9 >= 600.0
        assert heard["user"].gap_count == 0


# ── the markers ─────────────────────────────────────────────────────────────────────────────────


def test_a_loss_stands_in_the_stream_where_it_happened(px: SimulatedProjectX, runtime: Runtime) -> None:
    trades = runtime.subscribe("projectx", venue.TRADES, EP, wait=10.0)
    tell(px, "market")
    assert told(trades.get(timeout=10)) == 1
    px.reset()
    until(runtime, live_again(2))
    tell(px, "market")
    seen = trades.with_markers()
    words = []
    while not isinstance(item := next(seen), venue.Trade):
        words.append(item.state if isinstance(item, Lifecycle) else type(item).__name__)
    assert words == ["disconnected", "reconnecting", "restored", "Gap"]
    assert told(item) == 2
