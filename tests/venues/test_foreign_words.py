"""The words of other SDKs: the errors that translate them, and that each translation names what there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import actors
from actors.errors import ConfigError, LinewardenError
from actors.protocol import ForeignWords
from actors.protocol.foreign_words import Kind, meaning
from actors.settings import load
from actors.settings.feed_keys import FEED_KEYS
from actors.settings.subscriptions import ENTRY_KEYS
from actors.settings.wording import keys_of
from actors.venues import VENUES, alpaca, o2, projectx, tplus

CONFIG = {"feeds": {"desk": {"venue": "projectx", "url": "sim://projectx", "token": "t"}}}
CONFIG = {"feeds": {"desk": {"venue": "projectx", "url": "sim://projectx", "token": "t"}}}
KINDS: tuple[Kind, ...] = ("channels", "options", "keys", "calls")
NAMED = re.compile(r"\b(channel|option|key) '([^']+)'")
EVENT = re.compile(r"\b(alpaca|o2|projectx|tplus)\.([A-Za-z]\w+)")
CALLED = re.compile(r"\b(runtime|stream|actors)\.(\w+)")
SDKS = [
    pytest.param(words, name, id=f"{name}: {words.sdk}, {number}")
    for name, kind in VENUES.items()
    for number, words in enumerate(kind.sdk_words(), 1)
]


def translations(words: ForeignWords) -> Iterator[str]:
    for kind in KINDS:
        yield from getattr(words, kind).values()


@pytest.mark.parametrize(("words", "venue"), SDKS)
def test_each_channel_option_and_key_that_a_translation_names_exists(words: ForeignWords, venue: str) -> None:
    kind = VENUES[venue]
    options = {option for channel in kind.channels.values() for option in channel.options}
    there = {
        "channel": set(kind.channels),
        "option": options | ENTRY_KEYS,
        "key": FEED_KEYS | ENTRY_KEYS | keys_of(kind.Settings),
    }
    named = [found.groups() for text in translations(words) for found in NAMED.finditer(text)]
    assert [(what, name) for what, name in named if name not in there[what]] == []


@pytest.mark.parametrize(("words", "venue"), SDKS)
def test_each_call_that_a_translation_names_exists(words: ForeignWords, venue: str) -> None:
    owners: dict[str, object] = {"runtime": actors.Runtime, "stream": actors.Stream, "actors": actors}
    named = [found.groups() for text in translations(words) for found in CALLED.finditer(text)]
    assert [name for owner, name in named if not hasattr(owners[owner], name)] == []


@pytest.mark.parametrize(("words", "venue"), SDKS)
def test_each_channel_and_event_of_a_venue_that_a_translation_names_exists(
    words: ForeignWords, venue: str
) -> None:
    modules = {"alpaca": alpaca, "o2": o2, "projectx": projectx, "tplus": tplus}
    named = [found.groups() for text in translations(words) for found in EVENT.finditer(text)]
    assert [f"{module}.{name}" for module, name in named if not hasattr(modules[module], name)] == []


@pytest.mark.parametrize(("words", "venue"), SDKS)
def test_no_translated_word_is_a_name_of_linewarden(words: ForeignWords, venue: str) -> None:
    """Such a word would never be looked up."""
    kind = VENUES[venue]
    assert words.channels.keys() & kind.channels.keys() == set()
    assert words.keys.keys() & (FEED_KEYS | keys_of(kind.Settings)) == set()
    assert [name for name in words.calls if hasattr(actors, name) and hasattr(actors.Runtime, name)] == []


# ── the errors ──────────────────────────────────────────────────────────────────────────────────


def test_a_subscription_to_an_event_of_another_sdk_names_the_channel() -> None:
    with (
        actors.start(CONFIG) as runtime,
        pytest.raises(
            LinewardenError,
            match=r"no channel 'quote_update': it is project-x-py's name for channel 'quotes'\. It has: ",
        ),
    ):
        runtime.subscribe("desk", "quote_update", "CON.F.US.ENQ.Z26")


def test_a_config_with_an_event_of_another_sdk_names_the_channel() -> None:
    feed = {"venue": "projectx", "token": "t", "subscribe": [{"channel": "quote_update", "keys": ["X"]}]}
    with pytest.raises(
        ConfigError,
        match=r"no channel 'quote_update': it is project-x-py's name for channel 'quotes'\.",
    ):
        load({"feeds": {"desk": feed}})


def translated(call: Callable[[], object]) -> str:
    with pytest.raises(AttributeError) as caught:
        call()
    return str(caught.value)


def test_a_class_of_another_sdk_is_translated() -> None:
    text = translated(lambda: actors.TradingSuite)  # type: ignore[attr-defined]
    assert text.startswith("module 'actors' has no attribute 'TradingSuite': it is project-x-py's name for ")


def test_a_method_of_another_sdk_is_translated() -> None:
    with actors.start(CONFIG) as runtime:
        text = translated(lambda: runtime.TradingSuite)  # type: ignore[attr-defined]
        assert text.startswith("'Runtime' object has no attribute 'TradingSuite': it is project-x-py's name")
        assert translated(lambda: runtime.wait_lives) == (  # type: ignore[attr-defined]
            "'Runtime' object has no attribute 'wait_lives'"
        )
        assert not hasattr(runtime, "_ipython_display_")


def test_a_word_of_several_sdks_is_that_of_the_venues_of_the_feeds() -> None:
    with actors.start(CONFIG) as runtime:
        text = translated(lambda: runtime.cancel_order)  # type: ignore[attr-defined]
    assert "o2-sdk" not in text
    assert text.endswith("it is project-x-py's name for runtime.ask(...).cancel(...)")


def test_a_request_of_another_sdk_is_that_of_projectx() -> None:
    with actors.start(CONFIG) as runtime:
        text = translated(lambda: runtime.ask("desk").cancel_order)  # type: ignore[attr-defined]
    assert text.endswith(
        "attribute 'cancel_order': it is project-x-py's name for runtime.ask(...).cancel(...)"
    )


@pytest.mark.parametrize("word", ["EventType.QUOTE_UPDATE", "QUOTE_UPDATE", "quote_update"])
def test_a_member_of_an_enum_of_events_is_translated(word: str) -> None:
    with (
        actors.start(CONFIG) as runtime,
        pytest.raises(LinewardenError, match=f"'{word}': it is project-x-py's name for channel 'quotes'"),
    ):
        runtime.subscribe("desk", word, "CON.F.US.ENQ.Z26")


def test_a_word_of_sdks_of_other_venues_has_each_meaning() -> None:
    text = translated(lambda: actors.cancel_order)  # type: ignore[attr-defined]
    assert ": it is o2-sdk's name for an order, " in text
    assert "; and it is project-x-py's name for runtime.ask(...).cancel(...)" in text
    alpaca_feed = {"venue": "alpaca", "url": "sim://alpaca", "key": "k", "secret": "s"}
    with actors.start({"feeds": {"desk": alpaca_feed}}) as runtime:
        assert translated(lambda: runtime.cancel_order).endswith(text.partition(": ")[2])  # type: ignore[attr-defined]


def test_a_class_of_another_sdk_is_translated_by_the_module_of_its_venue() -> None:
    assert translated(lambda: o2.DepthUpdate) == (  # type: ignore[attr-defined]
        "module 'actors.venues.o2' has no attribute 'DepthUpdate': it is o2-sdk's name for the events of "
        "channel 'depth', o2.DepthSnapshot and o2.DepthChange"
    )
    assert translated(lambda: tplus.OrderBookDiff).endswith(  # type: ignore[attr-defined]
        "it is tpluspy's name for tplus.DepthChange"
    )
    for module in (alpaca, o2, projectx, tplus):
        assert translated(partial(getattr, module, "nothing")).endswith("has no attribute 'nothing'")


@pytest.mark.parametrize("word", ["market", "market_id"])
def test_a_key_that_is_given_by_its_name_is_translated(word: str) -> None:
    config = {"feeds": {"o2": {"venue": "o2", "url": "sim://o2"}}}
    given: dict[str, Any] = {word: "FUEL/USDC"}
    with (
        actors.start(config) as runtime,
        pytest.raises(
            LinewardenError,
            match=rf"trades has no option '{word}': it is o2-sdk's name for the key of the call",
        ),
    ):
        runtime.subscribe("o2", "trades", **given)


def test_a_word_that_requests_do_not_have_is_of_an_sdk_of_their_venue() -> None:
    with actors.start(CONFIG) as runtime:
        text = translated(lambda: runtime.ask("desk").cancel_all_orders)  # type: ignore[attr-defined]
    assert "o2-sdk" not in text
    assert text.endswith("'s name for runtime.ask(...).cancel_all(...)")


def test_an_option_of_another_sdk_is_translated_where_bars_are_asked_for() -> None:
    with (
        actors.start(CONFIG) as runtime,
        pytest.raises(
            LinewardenError,
            match=r"no option 'initial_days': it is project-x-py( 1\.1)?'s name for history= ",
        ),
    ):
        runtime.bars("desk", "CON.F.US.ENQ.Z26", "5min", initial_days=5)


def test_a_key_of_another_sdk_is_translated_in_a_feed_without_its_venue() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"feeds": {"desk": {"exchange": "alpaca"}}})
    assert "exchange: there is no such key: it is ReadyTrader-Stocks's name for key 'venue'" in str(
        caught.value
    )


def test_the_first_sdk_that_has_a_word_tells_its_meaning() -> None:
    words = (ForeignWords(sdk="one", calls={"a": "b"}), ForeignWords(sdk="two", calls={"a": "c", "d": "e"}))
    assert meaning("a", "calls", words) == ": it is one's name for b"
    assert meaning("d", "calls", words) == ": it is two's name for e"
    assert meaning("a", "keys", words) == ""
