"""People who come from project-x-py 4: its words in errors, and what its page says of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

import actors
from actors.errors import ConfigError, LinewardenError
from actors.settings import load
from actors.venues import VENUES, projectx
from tests.migrating.test_pages import TRANSLATED, names_of

LIST = Path(__file__).with_name("project-x-py.txt")
NAMES = {name.rpartition(":")[2].rpartition(".")[2] for name in names_of(LIST)}
[WORDS] = (each for each in VENUES["projectx"].sdk_words() if each.sdk == "project-x-py")
LOGIN = {"user_name": "trader", "api_key": "K"}
EVENT = "Event"  # of the package `project_x_py.event_bus`, which handlers name in their types


ENUMS = ("DomType", "OrderStatus", "OrderType", "PositionType")
RENAMED = {"DomType.SESSION_LOW": "LOW", "DomType.SESSION_HIGH": "HIGH"}  # as the page says


@pytest.mark.parametrize("kind", ENUMS)
def test_enumerations_have_the_members_that_the_page_says(kind: str) -> None:
    listed = [name for name in names_of(LIST) if name.startswith(f"{kind}.")]
    theirs = {RENAMED.get(name, name.partition(".")[2]) for name in listed}
    ours = set(getattr(projectx, kind).__members__)
    assert theirs <= ours
    assert len(theirs) > 2


# Arguments in calls and an event in its README, which 4.4.1 does not have as options of its own.
OF_ITS_README = (
    "account_id",
    "contract_id",
    "enable_orderbook",
    "enable_risk_management",
    "tick",
    "timeframe",
)


def test_each_translated_word_is_one_of_the_sdk() -> None:
    used = {*WORDS.channels, *WORDS.options, *WORDS.keys, *WORDS.calls}
    assert used - NAMES == {EVENT, *OF_ITS_README}


@pytest.mark.parametrize("word", sorted(WORDS.channels))
def test_an_event_is_translated_where_a_channel_is_wanted(word: str) -> None:
    entry = {"channel": word, "keys": ["X"]}
    feed = {"venue": "projectx", **LOGIN, "subscribe": [entry]}
    with pytest.raises(ConfigError, match=f"no channel '{word}': it is project-x-py's name for "):
        load({"feeds": {"desk": feed}})


@pytest.mark.parametrize("word", sorted(WORDS.keys))
def test_an_argument_of_a_suite_is_translated_in_a_feed(word: str) -> None:
    with pytest.raises(ConfigError, match=f"{word}: there is no such key: it is project-x-py{TRANSLATED}"):
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
