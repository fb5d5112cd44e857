"""A feed with several addresses: its line stays with the one that works, and leaves one that does not."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import actors
from actors import ConfigError, Gap, RotationFailed, Runtime
from actors.secret import origin
from actors.settings import load
from actors.settings.diff import compare
from actors.simulators import SimulatedO2
from actors.status import Status
from tests.support.counters import settle
from tests.support.runtimes import config, fresh, line_of, until


@pytest.fixture
def second() -> Iterator[SimulatedO2]:
    with SimulatedO2(rate=0) as simulator:
        yield simulator


@pytest.fixture
def closed() -> str:
    """An address at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/ws"


def on(*urls: str, **feed: Any) -> dict[str, Any]:
    return config(list(urls), **feed)  # type: ignore[arg-type]


def at(simulator: SimulatedO2, epoch: int = 1) -> Callable[[Status], bool]:
    """The line is live there."""

    def wanted(status: Status) -> bool:
        line = status.lines()["o2"]
        return line.state == "live" and line.epoch >= epoch and line.url == simulator.url

    return wanted


def test_an_unreachable_address_is_left_at_once(closed: str, o2: SimulatedO2, market: str) -> None:
    slow = {"initial": 0.2, "maximum": 60.0, "multiplier": 1000.0}
    with actors.start(on(closed, f"{closed}2", o2.url, restart=slow), wait=5.0) as runtime:
        status = until(runtime, at(o2))
        (both,) = status.lines()["o2"].journal
        assert (both.url, both.code, both.times) == (origin(closed), "refused", 2)
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        o2.trade(market, trade_id="7")
        assert trades.get(timeout=10.0).trade_id == "7"


def test_a_line_stays_with_the_address_that_works(closed: str, o2: SimulatedO2, second: SimulatedO2) -> None:
    market = o2.markets[0]
    with actors.start(on(closed, o2.url, second.url), wait=10.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        for epoch in (3, 4, 5):
            stable(runtime)
            o2.drop()  # a loss after a stable life: the same address first
            until(runtime, at(o2, epoch))
        assert second.requests == []
        assert trades.gap_count == 3
        settle(runtime)


def test_an_address_that_is_lost_and_refuses_is_left_for_the_next(
    o2: SimulatedO2, second: SimulatedO2
) -> None:
    with actors.start(on(o2.url, second.url), wait=10.0) as runtime:
        until(runtime, at(o2))
        stable(runtime)
        o2.refuse(503, n=100)
        o2.drop()
        until(runtime, at(second, 3))
        assert [each.url for each in line_of(runtime).journal] == [origin(o2.url)] * 2
        o2.heal()
        stable(runtime)
        second.drop()
        until(runtime, at(second, 4))  # it stays there, though the first one is back
        second.refuse(503, n=100)
        second.drop()
        until(runtime, at(o2, 5))


def stable(runtime: Runtime) -> None:
    """The present life has been live for `stable_after`."""
    until(runtime, lambda status: (status.lines()["o2"].live_for_s or 0.0) > 0.1)


def test_a_cool_down_is_that_of_the_address(o2: SimulatedO2, second: SimulatedO2) -> None:
    o2.refuse(429, retry_after=3_600, n=1)
    with actors.start(on(o2.url, second.url), wait=10.0) as runtime:
        until(runtime, at(second))
        stable(runtime)
        second.refuse(503, n=3)
        second.drop()
        until(runtime, at(second, 4))  # it waits for no cool-down of the other one
        assert len(o2.requests) == 1


def test_all_addresses_in_a_cool_down_are_waited_for(o2: SimulatedO2, second: SimulatedO2) -> None:
    o2.refuse(429, retry_after=3_600)
    second.refuse(429, retry_after=2)
    with actors.start(on(o2.url, second.url)) as runtime:
        until(runtime, lambda status: (status.lines()["o2"].next_attempt_s or 0.0) > 1.0)
        until(runtime, at(second))
        assert (len(o2.requests), len(second.requests)) == (1, 2)


def test_a_verdict_on_credentials_is_taken_to_no_other_address(o2: SimulatedO2, second: SimulatedO2) -> None:
    o2.refuse(401, n=100)
    with actors.start(on(o2.url, second.url)) as runtime:
        until(runtime, lambda status: status.lines()["o2"].state == "failed")
        assert second.requests == []


def test_an_address_that_moved_away_is_left_and_all_of_them_are_final(
    o2: SimulatedO2, second: SimulatedO2
) -> None:
    o2.refuse(404, n=1)
    second.refuse(404, n=1)
    with actors.start(on(o2.url, second.url)) as runtime:
        until(runtime, lambda status: status.lines()["o2"].state == "failed")
        assert (len(o2.requests), len(second.requests)) == (1, 1)
        runtime.supervisor.restart("o2").get(timeout=5.0)
        runtime.wait_live(timeout=10.0)


def test_addresses_that_all_refuse_are_tried_with_the_usual_delays(
    o2: SimulatedO2, second: SimulatedO2
) -> None:
    for each in (o2, second):
        each.refuse(503, n=1_000)
    slow = {"initial": 0.01, "maximum": 60.0, "multiplier": 100.0}
    with actors.start(on(o2.url, second.url, restart=slow)) as runtime:
        until(runtime, lambda status: (status.lines()["o2"].next_attempt_s or 0.0) > 20.0)
        tries = len(o2.requests) + len(second.requests)
        assert tries <= 6
        assert abs(len(o2.requests) - len(second.requests)) <= 1


def test_a_rotation_keeps_the_address_unless_it_is_down(o2: SimulatedO2, second: SimulatedO2) -> None:
    market = o2.markets[0]
    with actors.start(on(o2.url, second.url), wait=10.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=10.0)
        runtime.rotate("o2", timeout=10.0)
        assert at(o2, 2)(fresh(runtime))
        o2.refuse(503, n=100)
        with pytest.raises(RotationFailed, match="503"):
            runtime.rotate("o2", timeout=10.0)
        assert at(o2, 2)(fresh(runtime))
        runtime.rotate("o2", timeout=10.0)
        assert at(second, 4)(fresh(runtime))
        trades.close()
        assert not [each for each in trades.with_markers() if isinstance(each, Gap)]


def test_a_reload_with_other_addresses_reconnects(o2: SimulatedO2, second: SimulatedO2) -> None:
    with actors.start(on(o2.url, second.url), wait=10.0) as runtime:
        plan = runtime.reload(on(second.url, o2.url))
        assert [change.text for change in plan.changes] == ["feed o2 is reconnected: url changed"]
        until(runtime, at(second, 2))
        runtime.reload(config(o2.url))
        until(runtime, at(o2, 3))


def test_a_reload_begins_with_the_first_of_the_new_addresses(
    closed: str, o2: SimulatedO2, second: SimulatedO2
) -> None:
    with actors.start(on(closed, o2.url), wait=10.0) as runtime:
        until(runtime, at(o2, 2))
        runtime.reload(on(second.url, closed))
        until(runtime, at(second, 3))
        assert [each.code for each in line_of(runtime).journal] == ["refused", "stopped"]


def test_a_list_of_one_address_is_that_address() -> None:
    one, listed = load(config("ws://127.0.0.1:9/a")), load(on("ws://127.0.0.1:9/a"))
    assert one.feeds == listed.feeds
    assert compare(one, listed).changes == ()


MISTAKES: dict[str, tuple[list[Any], str]] = {
    "none": ([], "url: expected at least one address in the list"),
    "no text": ([5], "url"),
    "no address": (["ws://a", "nowhere"], "url: entry 2: expected a URL that starts with"),
    "an empty text": (["wss://a", ""], "url: entry 2: expected a URL, found an empty text"),
    "another scheme": (["wss://a", "ws://127.0.0.1"], "url: entry 2: expected wss:// as in entry 1"),
    "twice": (["wss://a/b", "wss://a/b"], "url: entry 2: the address is there twice"),
    "a simulator": (["sim://o2", "sim://o2?rate=5"], "entry 1: expected one simulator alone"),
    "a password": (["wss://a", "wss://me:secret@b"], "entry 2: a user name or password in a URL"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_with_their_entry(name: str) -> None:
    urls, words = MISTAKES[name]
    with pytest.raises(ConfigError, match=r"\[feeds\.o2\]") as told:
        load(on(*urls))
    assert words in str(told.value)
    assert "leave the key out" not in str(told.value)  # which is said of one address
    assert "secret" not in str(told.value)


def test_addresses_are_shown_without_their_paths() -> None:
    feed = load(on("wss://a.example/canary-path-4711", "wss://b.example/canary-path-4711")).feeds["o2"]
    assert "canary" not in repr(feed)
    assert "wss://b.example" in repr(feed)


def test_addresses_of_another_stream_are_a_mistake() -> None:
    keys = {"venue": "alpaca", "key": "k" * 8, "secret": "s" * 8}
    urls = ["wss://stream.data.alpaca.markets/v2/iex", "wss://paper-api.alpaca.markets/stream"]
    with pytest.raises(ConfigError, match=r"entry 2: .*"):
        load({"feeds": {"a": keys | {"url": urls}}})
