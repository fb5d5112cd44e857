"""What is wanted, by whom, on which line, and how far it has come."""

from __future__ import annotations

import itertools
import queue
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import actors
from actors import Gap, Received, Runtime, Stream, SubscribeError
from actors.errors import ConfigError, LinewardenError
from actors.messages import Unsubscribe
from actors.protocol.limits import FrameLimit
from actors.reasons import Stopped
from actors.registry import Registry
from actors.rules.frame_budget import FrameBudget
from actors.simulators import SimulatedO2
from actors.status import Status
from actors.venues import alpaca
from actors.venues import o2 as venue
from actors.venues.o2 import DepthSnapshot
from actors.wire.socket_inbox import SocketInbox, SocketLost
from tests.stories.test_killed_actors import after, kill
from tests.support.counters import decoded, settle
from tests.support.depth_book import Book
from tests.support.runtimes import at_epoch, config, line_of, runtime_on, until

ACCOUNTS = [f"0x{number:064x}" for number in range(1, 12)]  # one more than a connection takes


def said(o2: SimulatedO2, action: str) -> int:
    return sum(1 for frame in o2.heard if isinstance(frame, dict) and frame["action"] == action)


def lines(*names: str) -> Callable[[Status], bool]:
    """These lines are there, and no others; all are live."""
    return lambda status: (
        tuple(status.lines()) == names and all(line.state == "live" for line in status.lines().values())
    )


# ── waiting for the venue's answer ──


def test_waiting_returns_when_every_topic_is_confirmed(runtime: Runtime, o2: SimulatedO2) -> None:
    depth = runtime.subscribe("o2", "depth", *o2.markets, wait=5.0)
    assert {(state.state, state.assumed) for state in depth.topics.values()} == {("confirmed", False)}
    trades = runtime.subscribe("o2", "trades", *o2.markets, wait=5.0)
    assert {(state.state, state.assumed) for state in trades.topics.values()} == {("confirmed", True)}
    shown = {topic.topic: topic.state for topic in line_of(runtime).topics}
    assert shown == {str(topic): state for topic, state in (depth.topics | trades.topics).items()}


def test_waiting_in_vain_raises_and_leaves_the_stream_open(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2, ack_timeout=60.0) as runtime:
        o2.delay_ack(1.0)
        begun = time.monotonic()
        with pytest.raises(SubscribeError, match=f"not confirmed: o2/depth/{market}.*: sent") as late:
            runtime.subscribe("o2", "depth", market, wait=0.2)
        assert 0.2 <= time.monotonic() - begun < 5 * 0.2
        ((topic, state),) = late.value.results.items()
        assert (topic.key, state.state) == (market, "sent")
        depth = late.value.stream
        assert isinstance(depth, Stream)
        assert isinstance(depth.get(timeout=5), DepthSnapshot)  # late, but there
        until(runtime, lambda _: [state.state for state in depth.topics.values()] == ["confirmed"])


def test_waiting_in_vain_tells_that_the_line_is_down(o2: SimulatedO2, market: str) -> None:
    o2.refuse(status=503, n=1_000)
    with runtime_on(o2, live=False) as runtime, pytest.raises(SubscribeError) as late:
        runtime.subscribe("o2", "trades", market, "0xbee", wait=1.0)
    told = str(late.value)
    assert told.count("its line is ") == 1
    assert re.search(r"0xbee: desired; its line is (backoff|connecting) \(.*503", told)


def test_waiting_tells_each_topic_apart(runtime: Runtime, o2: SimulatedO2) -> None:
    good, bad, *_ = o2.markets
    o2.reject(bad)
    with pytest.raises(SubscribeError) as refused:
        runtime.subscribe("o2", "depth", good, bad, wait=5.0)
    states = {topic.key: state.state for topic, state in refused.value.results.items()}
    assert states == {good: "confirmed", bad: "rejected"}
    assert good not in str(refused.value)
    assert line_of(runtime).state == "live"


def test_waiting_on_a_line_that_is_down_waits_for_its_return(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        o2.stop()
        until(runtime, lambda status: status.lines()["o2"].state == "backoff")
        with pytest.raises(SubscribeError, match="desired"):
            runtime.subscribe("o2", "depth", market, wait=0.1)
        o2.start()
        _stream = runtime.subscribe("o2", "depth", market, wait=10.0)


def test_the_pace_is_kept_by_every_kind_of_request(o2: SimulatedO2) -> None:
    """A registry that dies half way is followed by one that asks no faster."""
    markets = [f"0x{number:064x}" for number in range(1, 31)]
    with runtime_on(o2, send_rate={"batch": 1, "frames": ["10/s"]}) as runtime:
        begun = time.monotonic()
        _stream = runtime.subscribe("o2", "trades", *markets)
        for incarnation in (1, 2, 3):
            o2.wait_heard("subscribe_trades", 2 * incarnation)
            kill(Registry)
            until(runtime, after("registry", incarnation))
        o2.wait_heard("subscribe_trades", 12)
        frames = 2 * 12 - 1  # each topic has a PING behind it
        assert time.monotonic() - begun >= FrameBudget([FrameLimit(10, 1.0)]).time_for(frames)


def test_the_pace_is_kept_by_wishes_that_come_one_by_one_too(o2: SimulatedO2) -> None:
    with runtime_on(o2, send_rate={"batch": 1, "frames": ["2/s"]}) as runtime:
        begun = time.monotonic()
        streams = [runtime.subscribe("o2", "trades", market) for market in o2.markets]
        o2.wait_heard("subscribe_trades", len(streams))
        assert time.monotonic() - begun >= 2.0


# ── one subscription for all who want it ──


def test_the_frames_of_one_batch_leave_in_one_write(
    runtime: Runtime, o2: SimulatedO2, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    send = SocketInbox.send

    def noted(inbox: SocketInbox[Any], data: bytes, **how: bool) -> Any:
        writes.append(data)
        return send(inbox, data, **how)

    monkeypatch.setattr(SocketInbox, "send", noted)
    keys = [f"0x{number:064x}" for number in range(1, 51)]
    runtime.subscribe("o2", "depth", *keys, wait=10.0)
    asking = [data for data in writes if len(data) > 1_000]
    assert len(asking) == 1
    assert len(asking[0]) > 50 * 100


def test_streams_of_one_topic_share_its_subscription(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    one = runtime.subscribe("o2", "trades", market, wait=5.0)
    two = runtime.subscribe("o2", "trades", market.upper().replace("0X", ""), wait=5.0)  # spelled differently
    assert one.topics.keys() == two.topics.keys()
    o2.trade(market, trade_id="1")
    assert one.get(timeout=5).trade_id == two.get(timeout=5).trade_id == "1"
    assert said(o2, "subscribe_trades") == 1

    one.close()
    o2.trade(market, trade_id="2")
    assert two.get(timeout=5).trade_id == "2"
    assert said(o2, "unsubscribe_trades") == 0

    two.close()
    o2.wait_heard("unsubscribe_trades")
    o2.wait_for(lambda: o2.subscribers("trades", market) == 0)
    until(runtime, lambda status: status.lines()["o2"].topics == () and status.streams == ())
    assert said(o2, "unsubscribe_trades") == 1


def test_keys_come_and_go(runtime: Runtime, o2: SimulatedO2) -> None:
    first, second, _ = o2.markets
    trades = runtime.subscribe("o2", "trades", first, wait=5.0)
    trades.add(second, wait=5.0)
    trades.add(second)  # wanted already: nothing happens
    o2.trade(second, trade_id="1")
    assert trades.get(timeout=5).market == second
    o2.trade(first, trade_id="2")
    trades.remove(first)
    o2.wait_heard("unsubscribe_trades")
    o2.trade(first, trade_id="3")
    o2.trade(second, trade_id="4")
    heard = [trades.get(timeout=5).trade_id]
    while heard[-1] != "4":
        heard.append(trades.get(timeout=5).trade_id)
    assert heard in (["2", "4"], ["4"])
    assert [topic.key for topic in trades.topics] == [second]
    assert said(o2, "subscribe_trades") == 2
    settle(runtime)


def test_a_late_reader_of_a_book_starts_with_a_snapshot(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    early = runtime.subscribe("o2", venue.DEPTH, market, wait=5.0)
    book = Book()
    book.apply(early.get(timeout=5))
    o2.depth_change(market, buys=[(70, 7)])
    book.apply(early.get(timeout=5))

    late = runtime.subscribe("o2", venue.DEPTH, market, wait=5.0)
    o2.depth_change(market, buys=[(80, 8)])
    first = late.get(timeout=5)
    assert isinstance(first, DepthSnapshot)
    other = Book()
    other.apply(first)
    while other.sides != o2.book(market):
        other.apply(late.get(timeout=5))
    assert said(o2, "subscribe_depth") == 1  # the line kept what makes the book whole
    assert late.gap_count == early.gap_count == 0
    book.apply(early.get(timeout=5))
    assert book.sides == o2.book(market)
    settle(runtime)


# ── lines as they are needed ──


def test_more_identities_than_a_connection_takes_open_a_second_line(
    runtime: Runtime, o2: SimulatedO2
) -> None:
    orders = runtime.subscribe("o2", "orders", *ACCOUNTS, wait=10.0)
    status = until(runtime, lines("o2", "o2/2"))
    assert [len(line.topics) for line in status.lines().values()] == [10, 1]
    assert o2.connections == 2
    for account in ACCOUNTS:
        o2.order(account)
    owners = {orders.get(timeout=5).account for _ in ACCOUNTS}
    assert owners == set(ACCOUNTS)

    orders.remove(ACCOUNTS[10])
    until(runtime, lines("o2"))
    o2.wait_for(lambda: o2.connections == 1)
    assert [actor.id for actor in runtime.status().actors].count("connection/o2/2") == 0
    o2.order(ACCOUNTS[0])
    assert orders.get(timeout=5).account == ACCOUNTS[0]
    settle(runtime)


def test_a_line_that_goes_and_comes_again_keeps_its_books(runtime: Runtime, o2: SimulatedO2) -> None:
    orders = runtime.subscribe("o2", "orders", *ACCOUNTS, wait=10.0)
    for number in range(1, 4):
        until(runtime, lines("o2", "o2/2"))
        for _ in range(5):
            o2.order(ACCOUNTS[10])
            assert orders.get(timeout=5).account == ACCOUNTS[10]
        until(runtime, decoded(5, "o2/2"))
        assert line_of(runtime, "o2/2").epoch == number
        orders.remove(ACCOUNTS[10])
        until(runtime, lines("o2"))
        orders.add(ACCOUNTS[10], wait=10.0)


def test_each_line_is_lost_by_itself(runtime: Runtime, o2: SimulatedO2) -> None:
    orders = runtime.subscribe("o2", "orders", *ACCOUNTS, wait=10.0)
    until(runtime, lines("o2", "o2/2"))
    runtime.supervisor.restart("o2/2").get(timeout=5)
    until(runtime, lambda status: status.lines()["o2/2"].epoch == 2)
    runtime.wait_live("o2/2", timeout=10)
    assert line_of(runtime).epoch == 1
    o2.order(ACCOUNTS[10])
    assert orders.get(timeout=5).account == ACCOUNTS[10]
    assert [gap.topic.key for gap in orders.gaps] == [ACCOUNTS[10]]


def test_two_precisions_of_one_market_are_two_books(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    fine = runtime.subscribe("o2", venue.DEPTH, market, wait=10.0)
    coarse = runtime.subscribe("o2", venue.DEPTH, market, wait=10.0, precision="1000000")
    until(runtime, lines("o2", "o2/2"))
    o2.depth_change(market, buys=[(5_000_010, 3), (5_000_020, 4)])
    for depth, precision in ((fine, 10), (coarse, 1_000_000)):
        book = Book()
        while book.sides != o2.book(market, precision):
            book.apply(depth.get(timeout=5))
        assert book.bids[5_000_010 if precision == 10 else 5_000_000] in {3, 7}
    coarse.close()
    until(runtime, lines("o2"))


def test_a_constant_with_its_option_keeps_it_for_keys_that_are_added(
    runtime: Runtime, o2: SimulatedO2
) -> None:
    first, second, third = o2.markets
    depth = runtime.subscribe("o2", venue.DEPTH(precision="100"), first, wait=10.0)
    depth.add([second, third], wait=10.0)
    depth.remove({first, second})
    assert {str(topic) for topic in depth.topics} == {f"o2/depth/{third}?precision=100"}
    told: queue.SimpleQueue[object] = queue.SimpleQueue()
    runtime.on("o2", venue.DEPTH(precision="100"), [third], handler=told.put, wait=10.0)
    assert isinstance(told.get(timeout=5), DepthSnapshot)


def test_keys_may_be_integers(runtime: Runtime, o2: SimulatedO2) -> None:
    orders = runtime.subscribe("o2", venue.ORDERS, 4242, wait=10.0)
    orders.add(range(10, 12), wait=10.0)
    assert [topic.key for topic in orders.topics] == ["0x4242", "0x10", "0x11"]
    orders.remove(4242)
    assert [topic.key for topic in orders.topics] == ["0x10", "0x11"]


# ── wanted by the config ──


def test_what_the_config_wants_is_there_from_the_start_for_later_streams(o2: SimulatedO2) -> None:
    market, other, _ = o2.markets
    wanted = [
        {"channel": "trades", "keys": [market]},
        {"channel": "depth", "keys": [market], "precision": "100"},
    ]
    with actors.start(config(o2.url, subscribe=wanted), wait=10.0) as runtime:
        assert {topic.state.state for topic in line_of(runtime).topics} == {"confirmed"}
        assert o2.subscribers("trades", market) == o2.subscribers("depth", market) == 1
        o2.trade(market, trade_id="1")  # nobody is there for it
        status = until(runtime, decoded(2))
        assert status.lines()["o2"].counters.unrouted == 2  # and the snapshot

        with runtime.subscribe("o2", "trades", market, wait=5.0) as trades:
            o2.trade(market, trade_id="2")
            assert trades.get(timeout=5).trade_id == "2"
        assert trades.gap_count == 0
        depth = runtime.subscribe("o2", venue.DEPTH, market, precision="100", wait=5.0)
        assert isinstance(depth.get(timeout=5), DepthSnapshot)
        runtime.subscribe("o2", "trades", other, wait=5.0).close()
        o2.wait_heard("unsubscribe_trades")
        assert o2.subscribers("trades", market) == 1  # the config wants it still

        o2.forget_heard()
        o2.drop()
        o2.wait_heard("subscribe_trades")
        o2.wait_heard("subscribe_depth")
        runtime.wait_live(timeout=10)
        assert said(o2, "subscribe_trades") == 1


# ── mistakes ──


def opening(
    runtime: Runtime, *names: Any, feed: str = "o2", channel: str = "depth", **more: Any
) -> Callable[[], object]:
    return lambda: runtime.subscribe(feed, channel, *names, **more)


def test_mistakes_are_answered_in_sentences(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    mistakes = {
        "there is no feed 'o3' in the config. There are: o2.": opening(runtime, market, feed="o3"),
        "there is no feed 'o22' in the config; did you mean 'o2'? There are: o2.": opening(
            runtime, market, feed="o22"
        ),
        "venue 'o2' has no channel 'deep'; did you mean 'depth'? It has: ": opening(
            runtime, market, channel="deep"
        ),
        "venue 'o2' has no channel 'xyzzy'. It has: balances, ": opening(runtime, market, channel="xyzzy"),
        "o2: a key is text or an integer, and 4.5 is of type float. Give each key as an argument of its own, "
        "or one list of keys.": opening(runtime, 4.5),
        "o2: a key is text or an integer, and {'0x1': 2} is of type dict.": opening(runtime, {"0x1": 2}),
        "o2: the given list of keys is empty": opening(runtime, []),
        "channel 'depth' wants at least one key (market id, 0x…, or name, FUEL/USDC)": opening(runtime),
        "A name has a slash: FUEL/USDC. O2 lists its markets at /v1/markets.": opening(runtime, "FUEL-USDC"),
        "depth has no option 'precison'; did you mean 'precision'? It takes: precision.": opening(
            runtime, market, precison="10"
        ),
        "o2: 'polcy' is no keyword, and no option of depth; did you mean 'policy'?": opening(
            runtime, market, polcy="block"
        ),
        "precision of depth is one of 1, 2, 3, ": opening(runtime, market, precision=11),
        "trades has no option 'precision'. It takes: none.": opening(
            runtime, market, channel="trades", precision="10"
        ),
        "o2: this constant is for 'trades' of venue 'alpaca', and the feed is of venue 'o2'. Write 'trades', "
        "or the constant of venue 'o2'.": lambda: runtime.subscribe("o2", alpaca.TRADES, market),
        "for 'quotes' of venue 'alpaca', and the feed is of venue 'o2'. It has: balances, ": lambda: (
            runtime.on("o2", alpaca.QUOTES, market, handler=print)
        ),
        "policy 'drop' is none of block, drop_oldest": opening(runtime, market, policy="drop"),
        "a handler is called with each event, and 5 cannot be called": lambda: runtime.on(
            "o2",
            "trades",
            market,
            handler=5,  # type: ignore[call-overload]
        ),
        "a capacity of 0 holds no event; it must be at least 1": opening(runtime, market, capacity=0),
    }
    for sentence, mistake in mistakes.items():
        with pytest.raises(LinewardenError) as made:
            mistake()
        assert sentence in str(made.value)
    assert runtime.status().streams == ()
    assert o2.heard == []


def test_a_stream_refuses_a_key_that_is_none_and_goes_on(
    runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    with pytest.raises(LinewardenError, match="was given 'nonsense'"):
        trades.add("nonsense")
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=5).trade_id == "1"


def test_the_same_mistakes_in_a_config_are_found_before_anything_runs(o2: SimulatedO2) -> None:
    wanted = [{"channel": "deep", "keys": o2.markets}, {"channel": "trades", "keys": ["nonsense"]}]
    with pytest.raises(ConfigError) as made:
        actors.start(config(o2.url, subscribe=wanted))
    assert len(made.value.problems) == 2
    assert o2.lives == 0


def test_a_topic_that_is_opened_anew_at_once_brings_nothing_of_its_former_placement(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came between the two would be missing in the new stream, and no marker would say so."""
    receive, held, going_on = Registry.on_receive, threading.Event(), threading.Event()

    def on_receive(registry: Registry, message: Any) -> None:
        if isinstance(message, Unsubscribe):
            held.set()
            going_on.wait(30)
        receive(registry, message)

    with runtime_on(o2) as runtime:
        former = runtime.subscribe("o2", "trades", market, wait=5.0)
        monkeypatch.setattr(Registry, "on_receive", on_receive)
        former.close()
        assert held.wait(10)
        with ThreadPoolExecutor() as pool:
            opening = pool.submit(runtime.subscribe, "o2", "trades", market)
            readers = runtime._shared.routing.subscribers
            o2.wait_for(lambda: readers.keys() == {former.id + 1})  # the dispatcher has heard of it
            o2.number_trades(market, 1)
            until(runtime, lambda status: status.lines()["o2"].counters.unrouted == 1)
            going_on.set()
            trades = opening.result(10)
        assert trades.received == 0
        o2.wait_for(lambda: trades.topics[next(iter(trades.topics))].state == "confirmed")
        o2.number_trades(market, 1)
        assert trades.get(timeout=10).trade_id == "2"


def test_who_leaves_a_placement_that_is_ending_lets_no_other_stream_into_it(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two streams want a topic anew, and one of them wants it no longer before the topic is placed."""
    receive, held, going_on = Registry.on_receive, threading.Event(), threading.Event()

    def on_receive(registry: Registry, message: Any) -> None:
        if isinstance(message, Unsubscribe):
            held.set()
            going_on.wait(30)
        receive(registry, message)

    with runtime_on(o2) as runtime, ThreadPoolExecutor() as pool:
        undecided = runtime.subscribe("o2", "trades", o2.markets[1], wait=5.0)
        former = runtime.subscribe("o2", "trades", market, wait=5.0)
        (topic,) = former.topics
        monkeypatch.setattr(Registry, "on_receive", on_receive)
        former.close()
        assert held.wait(10)
        by_topic = runtime._shared.routing.by_topic
        adding = pool.submit(undecided.add, market)
        o2.wait_for(lambda: by_topic.get(topic, {}).keys() == {undecided.id})
        opening = pool.submit(runtime.subscribe, "o2", "trades", market)
        o2.wait_for(lambda: len(by_topic[topic]) == 2)
        undecided.remove(market)
        o2.wait_for(lambda: by_topic[topic].keys() == {former.id + 1})
        o2.number_trades(market, 1)
        until(runtime, lambda status: status.lines()["o2"].counters.decoded == 1)
        settle(runtime)
        going_on.set()
        trades = opening.result(10)
        adding.result(10)
        assert trades.received == 0


def test_a_connection_that_is_told_to_end_takes_no_new_subscription(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it still reads was asked for before, and the next connection asks for what is new."""
    with runtime_on(o2) as runtime:
        former = runtime.subscribe("o2", "trades", market, wait=5.0)
        asked = said(o2, "subscribe_trades")
        monkeypatch.setattr(SocketInbox, "read_to_end", lambda *_: True)  # it goes on reading
        runtime.supervisor.restart("o2").get(timeout=5)
        former.close()
        trades = runtime.subscribe("o2", "trades", market)
        runtime._roles.connection("o2").tell(SocketLost(Stopped()))
        o2.wait_for(lambda: [each.state for each in trades.topics.values()] == ["confirmed"])
        o2.number_trades(market, 1)
        assert trades.get(timeout=10).trade_id == "1"
        assert trades.gap_count == 0
        assert said(o2, "subscribe_trades") == asked + 1


def test_a_line_that_ends_does_not_wait_for_the_reader_of_a_stream_that_is_full_by_now(
    o2: SimulatedO2, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market, policy="block", capacity=1, wait=5.0)
        monkeypatch.setattr(SocketInbox, "read_to_end", lambda *_: True)  # it goes on reading
        runtime.supervisor.restart("o2").get(timeout=5)
        o2.number_trades(market, 5)
        until(runtime, at_epoch(2))
        assert trades.queued


def test_a_new_reader_of_what_a_former_subscription_left_is_told_where_it_ends(
    o2: SimulatedO2, market: str
) -> None:
    """The line was not read when its last reader left: the venue was told so behind what it had sent."""
    with runtime_on(o2, heartbeat={"ping_interval": 60.0}) as runtime:
        former = runtime.subscribe("o2", "trades", market, wait=5.0)
        holder = runtime.subscribe("o2", "trades", o2.markets[1], policy="block", capacity=1, wait=5.0)
        o2.number_trades(o2.markets[1], 5)
        until(runtime, lambda status: status.lines()["o2"].paused_by_streams == (holder.id,))
        o2.number_trades(market, 3)
        former.close()
        with runtime.subscribe("o2", "trades", market) as trades:
            assert [holder.get(timeout=10).trade_id for _ in range(5)] == ["1", "2", "3", "4", "5"]
            o2.wait_for(lambda: [each.state for each in trades.topics.values()] == ["confirmed"])
            o2.number_trades(market, 1)
            read = list(itertools.islice(trades.items(timeout=10), 6))
        told = [item.event.trade_id if isinstance(item, Received) else type(item).__name__ for item in read]
        assert told == ["Lifecycle", "1", "2", "3", "Gap", "4"]
        assert [item.reason for item in read if isinstance(item, Gap)] == ["unknown"]
