"""People who come from o2-sdk: its words in calls and in a config, and the names of the errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter

import pytest

import actors
from actors import Runtime
from actors.errors import ConfigError, LinewardenError
from actors.settings import load
from actors.venues import VENUES
from tests.migrating.test_pages import HERE, names_of

NAMES = {re.split(r"[.:]", name)[-1] for name in names_of(HERE / "o2-sdk.txt")}
ACTIONS = {f"subscribe_{name}" for name in ("depth", "depth_update", "orders", "trades", "balances", "nonce")}
[WORDS] = VENUES["o2"].sdk_words()
FEED = {"venue": "o2", "url": "sim://o2"}


def test_each_translated_word_is_one_of_the_sdk() -> None:
    kinds = (WORDS.channels, WORDS.options, WORDS.keys, WORDS.calls)
    words = {word for kind in kinds for word in kind}
    assert words - NAMES - ACTIONS == {"lifecycle"}  # the name of its queue


def test_each_method_of_its_client_that_a_runtime_lacks_is_translated() -> None:
    methods = {
        name.partition(".")[2] for name in names_of(HERE / "o2-sdk.txt") if name.startswith("O2WebSocket.")
    }
    assert {each for each in methods if not hasattr(Runtime, each)} - WORDS.calls.keys() == {"connect"}


@pytest.mark.parametrize(
    ("key", "value", "ours"),
    [
        ("ws_url", "wss://o2.example", "key 'url'"),
        ("max_reconnect_attempts", 10, "max_restarts in [feeds.NAME.restart]"),
        ("ping_interval", 30.0, "ping_interval in [feeds.NAME.heartbeat]"),
    ],
)
def test_a_setting_of_the_sdk_in_a_config_is_translated(key: str, value: object, ours: str) -> None:
    words = f"{key}: there is no such key: it is o2-sdk's name for {ours}"
    with pytest.raises(ConfigError, match=re.escape(words)):
        load({"feeds": {"o2": {**FEED, key: value}}})


def test_calls_of_the_sdk_are_translated() -> None:
    def error(call: Callable[[], object]) -> str:
        with pytest.raises((AttributeError, LinewardenError)) as caught:
            call()
        return str(caught.value)

    with actors.start({"feeds": {"o2": FEED}}) as runtime:
        named = "it is o2-sdk's name for"
        depth = error(lambda: attrgetter("stream_depth")(runtime))
        assert f"{named} runtime.subscribe(feed, o2.DEPTH, ...)" in depth
        assert f"{named} an order, which" in error(lambda: attrgetter("create_order")(runtime))
        assert f"{named} actors.start(...)" in error(lambda: attrgetter("O2Client")(actors))
        stream = error(lambda: runtime.subscribe("o2", "stream_trades", "FUEL/USDC"))
        assert f"{named} channel 'trades'" in stream
        wire = error(lambda: runtime.subscribe("o2", "depth", "FUEL/USDC", wire_precision="10"))
        assert f"{named} option 'precision'" in wire
