"""The words of other SDKs in errors say what the pages say: two places that are written separately."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import actors
from actors.errors import LinewardenError
from actors.protocol import ForeignWords
from actors.protocol.venue import Venue
from actors.settings import load
from actors.venues import VENUES
from tests.migrating.test_pages import CODE, PAGES, names_of

PAGE_OF = {
    "alpaca-py": "alpaca-py",
    "o2-sdk": "o2-sdk",
    "project-x-py 1.1": "project-x-py-1",
    "project-x-py": "project-x-py",
    "ReadyTrader-Stocks": "alpaca-py",  # the thread manager, which has no page of its own
    "tpluspy": "tpluspy",
}
# What a call is made on, and the call that gives it. Pages shorten `runtime.ask(...)` to `px`, and the like.
GIVEN_BY = {"book": "book", "bars": "bars", "view": "account"}
CALLED = re.compile(
    r"(?<![\w.])(runtime|stream|actors|px|view|book|bars|line)(?:\.(?:ask|account)\(\.\.\.\))?\.([a-zA-Z]\w*)"
)
OF_A_STREAM = re.compile(r"\b(\w+)\([^)]*\) of its stream")


LOGINS = {"alpaca": {"key": "K", "secret": "S"}, "projectx": {"user_name": "trader", "api_key": "K"}}


class Said(NamedTuple):
    sdk: str
    word: str
    ours: str
    venue: type[Venue]

    def __str__(self) -> str:
        return f"{self.sdk}: {self.word}"


def words() -> Iterator[tuple[ForeignWords, type[Venue]]]:
    for venue in VENUES.values():
        yield from ((each, venue) for each in venue.sdk_words())


def said(*kinds: str) -> list[Said]:
    return [
        Said(each.sdk, word, ours, venue)
        for each, venue in words()
        for kind in kinds
        for word, ours in getattr(each, kind).items()
    ]


def rows(sdk: str) -> Iterator[tuple[set[str], str]]:
    """Of each row of the page's tables: the names in its first cell, and its second cell."""
    for line in (PAGES / f"{PAGE_OF[sdk]}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| "):
            theirs, ours, *_ = line.strip("|").split(" | ")
            yield set(re.findall(r"[\w-]+", " ".join(CODE.findall(theirs)))), ours


def cells(sdk: str, word: str) -> str:
    """What the page has beside this word."""
    return " ; ".join(ours for theirs, ours in rows(sdk) if word in theirs)


def channels_in(text: str, known: Collection[str]) -> set[str]:
    """Those that are named as channels, or by their constants."""
    named = {
        name
        for some in re.findall(r"channels? ([^;|]*)", text)
        for name in re.findall(r"[`'](\w+)[`']", some)
    }
    constants = {name.lower() for name in re.findall(r"\b[a-z]\w*\.([A-Z_]{4,})\b", text)}
    subscribed = set(re.findall(r"subscribe\(feed, '(\w+)'", text))
    return (named | constants | subscribed) & set(known)


def calls_in(text: str) -> set[str]:
    found = set(OF_A_STREAM.findall(text))
    for owner, name in CALLED.findall(text):
        found |= {name, *([GIVEN_BY[owner]] if owner in GIVEN_BY else [])}
    return found | {name for name in re.findall(r"\b[A-Z]\w+", text) if hasattr(actors, name)}


def test_each_sdk_has_a_page() -> None:
    assert {each.sdk for each, _ in words()} == PAGE_OF.keys()


def test_a_word_and_its_row_name_the_same_channel() -> None:
    compared, contrary = 0, []
    for each in said("channels", "calls"):
        told = channels_in(each.ours, each.venue.channels)
        shown = channels_in(cells(each.sdk, each.word), each.venue.channels)
        compared += bool(told and shown)
        if told and shown and not told & shown:
            contrary.append(f"{each}: {told} and {shown}")
    assert contrary == []
    assert compared > 40


def test_a_word_and_its_row_name_the_same_call() -> None:
    compared, contrary = 0, []
    for each in said("calls"):
        told, shown = calls_in(each.ours), calls_in(cells(each.sdk, each.word))
        compared += bool(told and shown)
        if told and shown and not told & shown:
            contrary.append(f"{each}: {told} and {shown}")
    assert contrary == []
    assert compared > 100


def test_a_method_that_subscribes_to_one_channel_is_a_word_for_that_channel() -> None:
    compared = 0
    for each, venue in words():
        for word, ours in each.calls.items():
            of = channels_in(ours, venue.channels) if re.match(r"(stream|subscribe|register)_", word) else ()
            if len(of) == 1:
                compared += 1
                assert channels_in(each.channels.get(word, ""), venue.channels) == of, word
    assert compared > 20


@pytest.mark.parametrize("sdk", PAGE_OF)
def test_each_event_whose_row_names_a_channel_is_a_word(sdk: str) -> None:
    [venue] = {venue for each, venue in words() if each.sdk == sdk}
    known = {word for each in venue.sdk_words() for word in each.channels} | set(venue.channels)
    events = {
        name.removeprefix("event:")
        for name in names_of(Path(__file__).with_name(f"{PAGE_OF[sdk]}.txt"))
        if name.startswith("event:")
    }
    named = {word for word in events if channels_in(cells(sdk, word), venue.channels)}
    assert named - known == set()


@pytest.mark.parametrize("each", said("options"), ids=str)
def test_an_option_is_translated_in_a_config_and_where_a_program_subscribes(each: Said) -> None:
    channels = each.venue.channels
    channel = next(name for name, channel in channels.items() if channel.key and channel.is_public)
    entry = {"channel": channel, "keys": ["X"], each.word: "1"}
    feed = {"venue": each.venue.name, **LOGINS.get(each.venue.name, {}), "subscribe": [entry]}
    told = re.escape(f"it is {each.sdk.partition(' ')[0]}'s name for {each.ours}")
    with pytest.raises(LinewardenError, match=told):
        load({"feeds": {"desk": feed}}, {})
    venue = each.venue("desk", each.venue.Settings.of(LOGINS.get(each.venue.name, {})))
    with pytest.raises(LinewardenError, match=told):
        venue.check_options(channels[channel], [each.word])
