"""People who come from project-x-py 4: its words in errors, and what its page says of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

import actors
from actors.errors import ConfigError, LinewardenError
from actors.settings import load
from actors.venues import VENUES
from tests.migrating.test_pages import names_of

NAMES = {
    name.rpartition(":")[2].rpartition(".")[2]
    for name in names_of(Path(__file__).with_name("project-x-py.txt"))
}
[WORDS] = (each for each in VENUES["projectx"].sdk_words() if each.sdk == "project-x-py")
LOGIN = {"user_name": "trader", "api_key": "K"}
EVENT = "Event"  # of the package `project_x_py.event_bus`, which handlers name in their types


def test_each_translated_word_is_one_of_the_sdk() -> None:
    used = {*WORDS.channels, *WORDS.options, *WORDS.keys, *WORDS.calls}
    assert used - NAMES == {EVENT}


@pytest.mark.parametrize("word", sorted(WORDS.channels))
def test_an_event_is_translated_where_a_channel_is_wanted(word: str) -> None:
    entry = {"channel": word, "keys": ["X"]}
    feed = {"venue": "projectx", **LOGIN, "subscribe": [entry]}
    with pytest.raises(ConfigError, match=f"no channel '{word}': it is project-x-py's name for "):
        load({"feeds": {"desk": feed}})


@pytest.mark.parametrize("word", sorted(WORDS.keys))
def test_an_argument_of_a_suite_is_translated_in_a_feed(word: str) -> None:
    with pytest.raises(ConfigError, match=f"{word}: there is no such key: it is project-x-py's name for "):
        load({"feeds": {"desk": {"venue": "projectx", **LOGIN, word: "X"}}})


def test_a_class_is_translated_where_the_package_is_asked() -> None:
    with pytest.raises(
        AttributeError, match="'OrderTracker': it is project-x-py's name for a stream of channel"
    ):
        _ = actors.OrderTracker  # type: ignore[attr-defined]


def test_a_method_and_an_option_are_translated_where_the_runtime_is_asked() -> None:
    feed = {"venue": "projectx", "url": "sim://projectx?rate=0", **LOGIN}
    with actors.start({"feeds": {"projectx": feed}}) as runtime:
        with pytest.raises(
            AttributeError, match=r"'wait_for': it is project-x-py's name for runtime.subscribe"
        ):
            _ = runtime.wait_for  # type: ignore[attr-defined]
        with pytest.raises(
            LinewardenError, match=r"'timeframes': it is project-x-py's name for runtime.bars"
        ):
            runtime.subscribe("projectx", "trades", "CON.F.US.EP.Z26", timeframes="5min")
