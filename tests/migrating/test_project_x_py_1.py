"""People who come from project-x-py 1.1: its words, its config file and its names in errors."""

from __future__ import annotations

import re

import pytest

import actors
from actors.errors import ConfigError, LinewardenError
from actors.protocol.bars import timeframe_of
from actors.protocol.foreign_words import meaning
from actors.settings import load
from actors.trading.projectx_requests import ProjectXRequests
from actors.venues import VENUES
from tests.migrating.test_pages import HERE, TRANSLATED, names_of

NAMES = {re.split(r"[.:]", name)[-1] for name in names_of(HERE / "project-x-py-1.txt")}
[WORDS] = (each for each in VENUES["projectx"].sdk_words() if each.sdk == "project-x-py 1.1")
# The config file, as its README has it, and as `create_config_template` writes it.
FILE = {
    "_comment": "ProjectX Configuration Template",
    "_description": {"api_url": "Base URL"},
    "api_url": "https://api.topstepx.com/api",
    "realtime_url": "wss://realtime.topstepx.com/api",
    "user_hub_url": "https://rtc.topstepx.com/hubs/user",
    "market_hub_url": "https://rtc.topstepx.com/hubs/market",
    "timezone": "America/Chicago",
    "timeout_seconds": 30,
    "retry_attempts": 3,
    "retry_delay_seconds": 2.0,
    "requests_per_minute": 60,
    "burst_limit": 10,
    "connection_pool_size": 20,
    "cache_ttl_seconds": 300,
}
README_ALONE = {"_comment", "_description", "connection_pool_size", "cache_ttl_seconds"}
ARGUMENTS = {"username", "account_name", "jwt_token", "account_id", "instrument", "cleanup_interval"}
CLIENTS = {
    "ProjectX",
    "ProjectXRealtimeClient",
    "ProjectXRealtimeDataManager",
    "OrderBook",
    "OrderManager",
    "PositionManager",
    "ConfigManager",
}
# Of a client, and no methods.
STATE = {"session", "session_token", "api_call_count", "cache_hit_count", "cache_ttl", "max_cache_size"}
LOGIN = {"user_name": "trader", "api_key": "K"}


def test_each_translated_word_is_one_of_the_sdk() -> None:
    assert (WORDS.channels.keys() | WORDS.calls.keys()) - NAMES == set()
    assert WORDS.keys.keys() - NAMES - README_ALONE - ARGUMENTS == set()


def test_each_class_function_and_method_is_answered() -> None:
    """What a program calls: no fields of models, and no indicators' own methods."""
    names = [name for name in names_of(HERE / "project-x-py-1.txt") if ":" not in name]
    called = {name for name in names if "." not in name}
    called |= {name.partition(".")[2] for name in names if name.partition(".")[0] in CLIENTS}
    ours = {*dir(actors.Runtime), *dir(ProjectXRequests)}
    words = VENUES["projectx"].sdk_words()
    assert [name for name in sorted(called - ours - STATE - {""}) if not meaning(name, "calls", words)] == []


def test_each_key_of_its_config_file_is_translated_in_a_feed() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"feeds": {"desk": {"venue": "projectx", **LOGIN, **FILE}}})
    told = str(caught.value)
    for key in FILE.keys() - {"api_url"}:
        assert re.search(rf"{key}: there is no such key: it is project-x-py( 1\.1)?{TRANSLATED}", told)


@pytest.mark.parametrize(("defaults", "kind"), [(False, "table"), (True, "key")])
def test_a_key_of_its_config_file_is_translated_outside_of_feeds(defaults: bool, kind: str) -> None:
    feeds = {"desk": {"venue": "projectx", **LOGIN}}
    config = {"feeds": feeds, **({"defaults": FILE} if defaults else FILE)}
    with pytest.raises(ConfigError) as caught:
        load(config)
    told = str(caught.value)
    for key in FILE.keys() - {"api_url"}:
        assert re.search(rf"{key}\]?: there is no such {kind}: it is project-x-py( 1\.1)?{TRANSLATED}", told)
    assert "'s name for key 'url', in [feeds.NAME]" in told


def test_its_urls_are_taken_as_they_are() -> None:
    """Under our keys; https:// and the /api at the end stay."""
    urls = {"url": FILE["user_hub_url"], "market_url": FILE["market_hub_url"], "api_url": FILE["api_url"]}
    settings = load({"feeds": {"desk": {"venue": "projectx", **LOGIN, **urls}}})
    assert settings.feeds.keys() == {"desk"}


@pytest.mark.parametrize("key", ["username", "account_name", "jwt_token"])
def test_an_argument_of_its_client_is_translated_in_a_feed(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: there is no such key: it is project-x-py.*'s name for "):
        load({"feeds": {"desk": {"venue": "projectx", **LOGIN, key: "X"}}})


def test_its_timeframes_are_written_here_as_there() -> None:
    texts = [name.partition(":")[2] for name in names_of(HERE / "project-x-py-1.txt") if "timeframe:" in name]
    assert len(texts) == 14
    lengths = [timeframe_of(text).length_ns for text in texts]
    assert len(set(lengths)) == 12  # days, weeks and months depend on the calendar


def test_a_list_of_timeframes_as_there_is_refused_with_what_to_do() -> None:
    with pytest.raises(LinewardenError, match=r"not \['5min', '15min'\]; give several one by one"):
        timeframe_of(["5min", "15min"])  # type: ignore[arg-type]


def test_its_functions_are_translated() -> None:
    with pytest.raises(AttributeError, match=r"'create_data_manager': it is project-x-py.*'s name for runti"):
        _ = actors.create_data_manager  # type: ignore[attr-defined]


def test_its_methods_are_translated_where_requests_are_asked() -> None:
    requests = object.__new__(ProjectXRequests)
    with pytest.raises(
        AttributeError, match=r"no attribute 'place_limit_order': it is project-x-py.*'s name for"
    ):
        _ = requests.place_limit_order  # type: ignore[attr-defined]
    with pytest.raises(AttributeError) as told:
        _ = requests.cancel_order  # type: ignore[attr-defined]
    assert "o2-sdk" not in str(told.value)  # which has that name, too
    assert not hasattr(requests, "_ipython_display_")
