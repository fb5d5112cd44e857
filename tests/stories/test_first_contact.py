"""The first minutes with a config: what works at once, and which sentence tells what is missing."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import actors
from actors import ConfigError, LinewardenError
from actors.protocol import Opening
from actors.settings import Settings, load
from actors.simulators import SimulatedO2, SimulatedProjectX
from tests.support.runtimes import runtime_on
from tests.venues.test_signalr_live import TABLE, SimulatedQuay

PX = {"venue": "projectx", "user_name": "me", "api_key": "k"}
HUB = {"channels": {"ticks": {"about": "ticks"}}, "events": [{"target": "Tick", "channel": "ticks"}]}
SIGNALR = {"venue": "signalr", "hub": HUB}


def mistakes(feed: dict[str, Any], **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load({"feeds": {"a": feed}}, environ)
    return [each.removeprefix("<config>: [feeds.a] ") for each in caught.value.problems]


def read(feed: dict[str, Any], **environ: str) -> Settings:
    return load({"feeds": {"a": feed}}, environ)


def states(runtime: actors.Runtime) -> dict[str, str]:
    return {name: line.state for name, line in runtime.status().lines().items()}


@pytest.fixture
def runtime(o2: SimulatedO2) -> Iterator[actors.Runtime]:
    with runtime_on(o2) as runtime:
        yield runtime


# ── the addresses of hubs ──


def test_the_address_that_a_simulated_hub_gives_is_taken() -> None:
    with SimulatedProjectX(rate=0) as px:
        feed = {"venue": "projectx", "url": px.hub_url("user"), "token": px.token()}
        with actors.start({"feeds": {"px": feed}}, wait=10.0) as runtime:
            assert px.hub_url("user").startswith("http://127.0.0.1:")
            assert states(runtime) == {"px/user": "live", "px/market": "live"}


def test_the_address_of_a_hub_in_a_table_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "quay.toml").write_text(TABLE)
    with SimulatedQuay() as quay:
        feed = {"venue": str(tmp_path / "quay.toml"), "url": quay.hub_url("market"), "token": "t0ken-c4nary"}
        with actors.start({"feeds": {"quay": feed}}, wait=10.0) as runtime:
            assert states(runtime) == {"quay": "live"}


@pytest.mark.parametrize("feed", [PX, SIGNALR], ids=["projectx", "signalr"])
def test_hubs_are_reached_by_https_and_on_loopback_by_http(feed: dict[str, Any]) -> None:
    of = {
        "https://rtc.topstepx.com/hubs/user": "wss://rtc.topstepx.com/hubs/user",
        "HTTPS://rtc.topstepx.com": "wss://rtc.topstepx.com",
        "http://127.0.0.1:5000/hubs/user": "ws://127.0.0.1:5000/hubs/user",
        "http://localhost:5000/": "ws://localhost:5000/",
    }
    assert {url: read(feed | {"url": url}).feeds["a"].own.url for url in of} == of
    [mistake] = mistakes(feed | {"url": "http://rtc.topstepx.com/hubs/user"})
    assert mistake == (
        "url: expected https://: http:// sends everything in clear, also keys, and is for loopback only."
    )


def test_each_of_several_addresses_of_a_hub_may_be_written_so() -> None:
    urls = ["https://one/hubs/user", "wss://two/hubs/user"]
    assert read(PX | {"url": urls}).feeds["a"].doors == ("wss://one/hubs/user", "wss://two/hubs/user")
    [mistake] = mistakes(PX | {"url": ["https://one/hubs/user", "http://two/hubs/user"]})
    assert mistake.startswith("url: entry 2: expected https://: ")
    [mistake] = mistakes(PX | {"url": ["https://one/hubs/user", "wss://one/hubs/user"]})
    assert mistake == "url: entry 2: the address is there twice."


def test_a_venue_without_hubs_wants_a_websocket() -> None:
    [mistake] = mistakes({"venue": "o2", "url": "https://api.o2.app/v1/ws"})
    assert mistake.endswith("; did you mean wss://?")


# ── a login that is missing ──


@pytest.mark.parametrize("url", ["sim://projectx", "http://127.0.0.1:5000/hubs/user"])
def test_a_feed_that_cannot_work_without_a_login_is_a_mistake(url: str) -> None:
    [mistake] = mistakes({"venue": "projectx", "url": url})
    assert mistake == (
        "<config>: [feeds.a]: there is no login, and both hubs want one: add "
        'user_name = "${PROJECT_X_USERNAME}" and api_key = "${PROJECT_X_API_KEY}", or a token.'
    )


def test_keys_that_are_missing_are_named_with_their_variables() -> None:
    assert mistakes({"venue": "alpaca", "url": "sim://alpaca"}) == [
        '<config>: [feeds.a]: there is no login: add key = "${ALPACA_API_KEY}" and secret = '
        '"${ALPACA_API_SECRET}".'
    ]
    orders = {"subscribe": [{"channel": "orders"}]}
    [mistake] = mistakes({"venue": "tplus"} | orders)
    assert 'Add keystore and keystore_password to the feed, or private_key = "${TPLUS_SEED}"' in mistake


@pytest.mark.parametrize(
    "feed",
    [
        {"venue": "o2"},
        {"venue": "tplus", "subscribe": [{"channel": "tickers"}]},
        {"venue": "binance"},
        {"venue": "projectx", "url": "http://127.0.0.1:5000", "token": "t"},
        SIGNALR | {"url": "wss://host/hub"},
    ],
    ids=lambda feed: str(feed["venue"]),
)
def test_a_feed_that_needs_no_login_is_left_alone(feed: dict[str, Any]) -> None:
    assert read(feed).warnings == ()


# ── empty texts ──


@pytest.mark.parametrize(
    ("feed", "key"),
    [
        ({"venue": "alpaca", "key": "K", "secret": "S", "url": "${NONE}"}, "url: expected a URL"),
        ({"venue": "alpaca", "key": "${NONE}", "secret": "S"}, "key: expected text that is not empty"),
        ({"venue": "alpaca", "key": "K", "secret": " "}, "secret: expected text that is not empty"),
        ({"venue": "projectx", "token": "${NONE}"}, "token: expected text that is not empty"),
        (
            {"venue": "projectx", "user_name": "${NONE}", "api_key": "k"},
            "user_name: expected text that is not",
        ),
        ({"venue": "tplus", "user": ""}, "user: expected text that is not empty; leave the key out"),
        (
            {"venue": "o2", "url": ["${NONE}", "wss://one"]},
            "url: entry 1: expected a URL, found an empty text",
        ),
        (PX | {"market_url": ""}, "market_url: expected a URL, found an empty text; leave the key out"),
        ({"venue": "o2", "proxy": ""}, 'proxy: expected "none", "env" or a URL'),
        ({"venue": "${NONE}"}, "venue: there is no venue"),
    ],
    ids=lambda value: value[:9] if isinstance(value, str) else str(value["venue"]),
)
def test_an_empty_text_is_a_mistake_and_means_nothing_else(feed: dict[str, Any], key: str) -> None:
    assert any(each.startswith(key) for each in mistakes(feed, NONE=""))


def test_a_key_that_is_left_out_means_the_venue_s_own() -> None:
    own = read(PX).feeds["a"].build_venue()
    assert own.endpoint(Opening("a/user")).url == "wss://rtc.topstepx.com/hubs/user"


# ── calls ──


NOT_A_CONFIG: dict[str, tuple[Any, str]] = {
    "a missing file": ("none.toml", "none.toml: there is no such file."),
    "a directory": ("/", "/: it cannot be read (Is a directory)."),
    "bytes": (b"desk.toml", "expected the path of a TOML file, or a mapping; found a bytes."),
    "None": (None, "expected the path of a TOML file, or a mapping; found None."),
    "a list": ([1], "expected the path of a TOML file, or a mapping; found a list."),
    "an empty text": ("", "expected the path of a TOML file, found an empty text."),
    "TOML": ('[feeds.a]\nvenue = "o2"', "expected the path of a TOML file, found a text of several lines"),
    "feeds as a list": ({"feeds": [1]}, "<config>: [feeds]: expected a table, found a list."),
    "no feed": (
        {"feeds": {"a": None}},
        "<config>: [feeds.a]: expected a table, found None: a feed has a name, [feeds.NAME].",
    ),
    "a feed alone": (
        {"venue": "o2"},
        "<config>: [venue]: there is no such table; it belongs in [feeds.NAME].",
    ),
}


@pytest.mark.parametrize(("config", "words"), NOT_A_CONFIG.values(), ids=NOT_A_CONFIG)
def test_what_is_no_config_is_refused_in_a_sentence(config: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        actors.start(config)
    assert str(caught.value).startswith(words)


def test_a_config_without_feeds_starts_and_waits_for_a_reload() -> None:
    with actors.start({}, wait=10.0) as runtime:
        assert runtime.status().state == "live"


Call = Callable[[actors.Runtime, str, Any], object]
SECONDS: dict[str, Call] = {
    "wait of start": lambda _, __, time: actors.start({}, wait=time),
    "wait of subscribe": lambda runtime, key, time: runtime.subscribe("o2", "trades", key, wait=time),
    "wait of on": lambda runtime, key, time: runtime.on("o2", "trades", key, handler=print, wait=time),
    "wait of book": lambda runtime, key, time: runtime.book("o2", key, wait=time),
    "wait of add": lambda runtime, key, time: runtime.subscribe("o2", "trades", key).add(key, wait=time),
    "timeout of wait_live": lambda runtime, _, time: runtime.wait_live(timeout=time),
    "timeout of rotate": lambda runtime, _, time: runtime.rotate("o2", timeout=time),
    "timeout of refresh_token": lambda runtime, _, time: runtime.refresh_token("o2", timeout=time),
    "timeout of latest": lambda runtime, key, time: runtime.latest("o2", key, timeout=time),
    "max_age of latest": lambda runtime, key, time: runtime.latest("o2", key, max_age=time),
    "timeout of get": lambda runtime, key, time: runtime.subscribe("o2", "trades", key).get(time),
    "timeout of get_many": lambda runtime, key, time: runtime.subscribe("o2", "trades", key).get_many(
        1, time
    ),
    "timeout of stop": lambda runtime, _, time: runtime.stop(time),
}


@pytest.mark.parametrize("name", SECONDS)
def test_what_is_no_time_is_refused_in_a_sentence(name: str, runtime: actors.Runtime, market: str) -> None:
    for time in ("10", True, float("nan"), [1]):
        words = f"^{name.partition(' ')[0]} is a number of seconds, and {re.escape(repr(time))} is none$"
        with pytest.raises(LinewardenError, match=words):
            SECONDS[name](runtime, market, time)
    assert runtime.end_reason is None


CALLS: dict[str, tuple[Call, str]] = {
    "a feed that is none": (
        lambda runtime, key, _: runtime.subscribe(["o2"], "trades", key),  # type: ignore[call-overload]
        "there is no feed ['o2'] in the config. There are: o2.",
    ),
    "a feed misspelt": (
        lambda runtime, key, _: runtime.subscribe("o2x", "trades", key),
        "there is no feed 'o2x' in the config; did you mean 'o2'? There are: o2.",
    ),
    "a channel misspelt": (
        lambda runtime, key, _: runtime.subscribe("o2", "trade", key),
        "o2: venue 'o2' has no channel 'trade'; did you mean 'trades'?",
    ),
    "a policy that is none": (
        lambda runtime, key, _: runtime.subscribe("o2", "trades", key, policy=["block"]),  # type: ignore[call-overload]
        "policy ['block'] is none of block, drop_oldest, drop_newest and conflate",
    ),
    "a capacity in words": (
        lambda runtime, key, _: runtime.subscribe("o2", "trades", key, capacity="5"),  # type: ignore[call-overload]
        "a capacity is a number of events, and '5' is none",
    ),
    "half an event": (
        lambda runtime, key, _: runtime.subscribe("o2", "trades", key, capacity=1.5),  # type: ignore[call-overload]
        "a capacity is a number of events, and 1.5 is none",
    ),
    "a depth in words": (
        lambda runtime, key, _: runtime.book("o2", key, depth="3"),  # type: ignore[arg-type]
        "depth is a number of levels, and '3' is none",
    ),
    "a number of events in words": (
        lambda runtime, key, _: runtime.subscribe("o2", "trades", key).get_many("3"),  # type: ignore[arg-type]
        "maximum is a number of events, and '3' is none",
    ),
    "a handler of two arguments": (
        lambda runtime, key, _: runtime.on("o2", "trades", key, handler=lambda _, __: None),  # type: ignore[misc,arg-type]
        "a handler is called with one argument, and <function ",
    ),
    "a handler of none": (
        lambda runtime, key, _: runtime.on("o2", "trades", key, handler=lambda: None),  # type: ignore[misc,arg-type]
        "a handler is called with one argument, and <function ",
    ),
    "a function for markers that takes none": (
        lambda runtime, key, _: runtime.on("o2", "trades", key, handler=print, on_marker=lambda: None),  # type: ignore[misc,arg-type]
        "on_marker is called with one argument, and <function ",
    ),
    "a number for markers": (
        lambda runtime, key, _: runtime.on("o2", "trades", key, handler=print, on_marker=5),  # type: ignore[call-overload]
        "on_marker is called with each marker, and 5 cannot be called",
    ),
    "a list for one price": (
        lambda runtime, key, _: runtime.latest("o2", [key]),  # type: ignore[arg-type]
        "o2: a key is text or an integer, and ['0x",
    ),
    "a list of streams": (
        lambda runtime, key, _: runtime.merge([runtime.subscribe("o2", "trades", key)]),  # type: ignore[call-overload]
        "merge takes streams, each as an argument of its own; a list is none",
    ),
    "the name of a feed to merge": (
        lambda runtime, _, __: runtime.merge("o2"),  # type: ignore[call-overload]
        "merge takes streams, each as an argument of its own; a str is none",
    ),
    "a runtime of a mapping": (
        lambda _, __, ___: actors.Runtime({}),  # type: ignore[arg-type]
        "a Runtime takes settings: call actors.start(config) with a file or mapping",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_refused_in_a_sentence(name: str, runtime: actors.Runtime, market: str) -> None:
    call, words = CALLS[name]
    with pytest.raises(LinewardenError) as caught:
        call(runtime, market, None)
    assert str(caught.value).startswith(words)


def test_a_timeout_of_0_asks_whether_a_line_is_live_now(runtime: actors.Runtime) -> None:
    for timeout in (0, -1, 0.001):
        runtime.wait_live(timeout=timeout)
        runtime.wait_live("o2", timeout=timeout)
    with pytest.raises(LinewardenError, match="there is no feed or line 'o3'"):
        runtime.wait_live("o3", timeout=0)


def test_handlers_that_take_an_event_and_more_if_need_be_are_taken(
    runtime: actors.Runtime, market: str
) -> None:
    def given(injected: object) -> Callable[[Callable[..., None]], Callable[[object], None]]:
        def decorate(function: Callable[..., None]) -> Callable[[object], None]:
            @functools.wraps(function)
            def call(event: object) -> None:
                function(event, injected)

            return call

        return decorate

    @given("a database")
    def wrapped(event: object, database: object) -> None:
        raise NotImplementedError

    handlers: list[Callable[..., object]] = [lambda _, __=1: None, lambda *_: None]
    handlers += [wrapped, print, [].append, Mock(), functools.partial(lambda _, __: None, 1)]
    for handler in handlers:
        runtime.on("o2", "trades", market, handler=handler).close()
