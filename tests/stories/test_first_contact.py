"""The first minutes with a config: what works at once, and which sentence tells what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import actors
from actors import ConfigError
from actors.protocol import Opening
from actors.settings import Settings, load
from actors.simulators import SimulatedProjectX
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


@pytest.mark.parametrize("url", [None, "sim://projectx", "http://127.0.0.1:5000/hubs/user"])
def test_a_feed_that_cannot_work_without_a_login_is_a_mistake(url: str | None) -> None:
    [mistake] = mistakes({"venue": "projectx"} | ({} if url is None else {"url": url}))
    assert mistake == (
        "<config>: [feeds.a]: there is no login, and both hubs want one: add "
        'user_name = "${PROJECT_X_USERNAME}" and api_key = "${PROJECT_X_API_KEY}", or a token.'
    )


def test_keys_that_are_missing_are_named_with_their_variables() -> None:
    assert mistakes({"venue": "alpaca"}) == [
        'key: missing; expected text, such as "${ALPACA_API_KEY}".',
        'secret: missing; expected text, such as "${ALPACA_API_SECRET}".',
    ]
    orders = {"subscribe": [{"channel": "orders"}]}
    [mistake] = mistakes({"venue": "tplus"} | orders)
    assert 'Add private_key = "${TPLUS_PRIVATE_KEY}" to the feed, or user and token' in mistake


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
