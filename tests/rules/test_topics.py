"""Keys of several types, channels by constants, options of both."""

from __future__ import annotations

import inspect
import re
from array import array
from collections.abc import Iterator
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

import pytest

from actors.errors import LinewardenError
from actors.events import Key, Keys, Topic
from actors.protocol.channel import TypedChannel
from actors.protocol.venue import VenueSettings
from actors.rules.stream_policy import StreamTerms
from actors.rules.topics import KEYWORDS, key_of, keys_of, options_of, topics_of
from actors.runtime import Runtime
from actors.venues import o2
from actors.venues.o2 import O2
from actors.venues.tplus import Tplus

FEED = Tplus("feed", Tplus.Settings())


class Account(IntEnum):
    MAIN = 4242


class Symbol(StrEnum):
    APPLE = "AAPL"


class Series:
    """A column of a table, which is no sequence."""

    def __init__(self, *values: Key) -> None:
        self.values = values

    def __iter__(self) -> Iterator[Key]:
        return iter(self.values)

    def __index__(self) -> int:  # as numpy's arrays have it
        raise TypeError("only length-1 arrays can be converted to Python scalars")


class NoNumber:
    def __index__(self) -> int:  # as numpy's truth values have it
        raise TypeError("it has none")


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        ((), ()),
        (("B", "A"), ("B", "A")),
        ((4242, "A"), ("4242", "A")),
        ((Account.MAIN,), ("4242",)),
        ((Symbol.APPLE,), ("AAPL",)),
        ((["B", "A", 3],), ("B", "A", "3")),
        ((("B",),), ("B",)),
        ((Series("B", 7),), ("B", "7")),
        (({"C", "A", "B"},), ("A", "B", "C")),
        ((frozenset({10, 9}),), ("10", "9")),
        (({"B": 1, "A": 2}.keys(),), ("B", "A")),
        ((range(3),), ("0", "1", "2")),
        ((array("q", [7]),), ("7",)),
        (("",), ("",)),
    ],
)
def test_keys_are_text_or_integers_or_one_iterable_of_them(keys: Any, texts: tuple[str, ...]) -> None:
    made = keys_of(FEED, keys)
    assert made == texts
    assert {type(each) for each in made} <= {str}


def test_a_mapping_is_a_key_of_a_venue_that_writes_its_keys_so() -> None:
    identities: list[Keys] = [{"ContractId": "0xAA"}, "0xbb", {"Address": "0xcc"}]
    texts = ("ContractId:0xAA", "0xbb", "Address:0xcc")
    feed = O2("feed", O2.Settings())
    assert keys_of(feed, identities) == texts
    assert keys_of(feed, [{"ContractId": "0xAA"}]) == ("ContractId:0xAA",)
    assert keys_of(feed, [[{"ContractId": "0xAA"}, "0xbb"]]) == ("ContractId:0xAA", "0xbb")


def test_a_generator_is_read_once() -> None:
    assert keys_of(FEED, ((key for key in "AB"),)) == ("A", "B")


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ((True,), "True is of type bool"),
        ((1.0,), "1.0 is of type float"),
        ((None,), "None is of type NoneType"),
        ((b"AAPL",), "b'AAPL' is of type bytes"),
        ((bytearray(b"A"),), "bytearray(b'A') is of type bytearray"),
        (({"A": 1},), "{'A': 1} is of type dict"),
        (([["A"]],), "['A'] is of type list"),
        ((["A", None],), "None is of type NoneType"),
        ((["A"], "B"), "['A'] is of type list"),
        (("A", ["B"]), "['B'] is of type list"),
        ((Series("A"), Series("B")), "is of type Series"),
        ((int,), "<class 'int'> is of type type"),
        ((NoNumber(),), "is of type NoNumber"),
    ],
)
def test_other_keys_are_refused_in_words(keys: Any, named: str) -> None:
    with pytest.raises(LinewardenError) as refused:
        keys_of(FEED, keys)
    assert str(refused.value).startswith("feed: a key is text or an integer, and ")
    assert named in str(refused.value)
    assert str(refused.value).endswith("Give each key as an argument of its own, or one list of keys.")


class Pair(NamedTuple):
    base: str
    quote: str


class Pairs(O2):
    """A venue that knows keys of a type of its own, which are iterable."""

    def key_text(self, given: object) -> str | None:
        return f"{given.base}/{given.quote}" if isinstance(given, Pair) else None


def test_a_venue_may_know_keys_of_another_type() -> None:
    venue, pair = Pairs("feed", VenueSettings()), Pair("FUEL", "USDC")
    listed: Any = [pair, "B"]
    assert key_of(venue, pair) == "FUEL/USDC"
    assert keys_of(venue, (pair,)) == ("FUEL/USDC",)
    assert keys_of(venue, (pair, "B", 3)) == ("FUEL/USDC", "B", "3")
    assert keys_of(venue, (listed,)) == ("FUEL/USDC", "B")
    with pytest.raises(LinewardenError, match=r"\('A',\) is of type tuple"):
        keys_of(venue, (("A",), pair))


def test_one_key_is_not_told_of_lists() -> None:
    with pytest.raises(LinewardenError, match=r"\['A'\] is of type list\. Give one key\.$"):
        key_of(FEED, ["A"])


def test_an_integer_of_thousands_of_digits_is_refused_in_words() -> None:
    with pytest.raises(LinewardenError, match="feed: a key has a few digits, and this integer thousands"):
        keys_of(FEED, (10**5_000,))


def test_a_long_key_is_shortened() -> None:
    with pytest.raises(LinewardenError) as refused:
        key_of(FEED, [*range(100_000)])
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("keys", [[], set(), iter(())], ids=["list", "set", "tuple_iterator"])
def test_no_keys_in_an_iterable_are_a_mistake(keys: Any) -> None:
    with pytest.raises(LinewardenError, match=f"feed: the given {type(keys).__name__} of keys is empty"):
        keys_of(FEED, (keys,))


def test_what_an_iterable_raises_is_passed_on() -> None:
    def broken() -> Iterator[str]:
        yield "A"
        raise TypeError("of its own")

    with pytest.raises(TypeError, match="of its own"):
        keys_of(FEED, (broken(),))


# ── options ──


def test_an_option_of_the_call_comes_before_that_of_the_constant() -> None:
    view = o2.DEPTH_VIEW(precision="100", frequency="1s")
    assert options_of(view, {"precision": "10"}) == {"precision": "10", "frequency": "1s"}
    assert options_of(o2.DEPTH_VIEW, {"precision": "10"}) == {"precision": "10"}
    assert options_of("depth_view", {"precision": "10"}) == {"precision": "10"}
    assert options_of(o2.DEPTH_VIEW(frequency="1s"), {}) == {"frequency": "1s"}


def test_a_misspelt_keyword_is_named() -> None:
    venue = O2("feed", VenueSettings())
    with pytest.raises(
        LinewardenError, match="'polcy' is no keyword, and no option of depth; did you mean 'policy'"
    ):
        topics_of(venue, venue.channel(o2.DEPTH), ("0xa",), {"polcy": "block"})


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_of_another_call_is_named_with_that_call(keyword: str) -> None:
    venue = O2("feed", VenueSettings())
    words = f"feed: '{keyword}' is no option of depth: it is a keyword of {KEYWORDS[keyword]}$"
    with pytest.raises(LinewardenError, match=words):
        topics_of(venue, venue.channel(o2.DEPTH), ("0xa",), {keyword: 5})


def test_the_keywords_are_those_of_the_calls_that_take_them() -> None:
    def keywords(function: Any) -> set[str]:
        parameters = inspect.signature(function).parameters.values()
        return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}

    assert keywords(Runtime.subscribe) == StreamTerms.__annotations__.keys()
    taken: dict[str, set[str]] = {}
    for call in ("subscribe", "on", "fresh", "require", "latest", "book", "merge"):
        for each in keywords(getattr(Runtime, call)) & KEYWORDS.keys():
            taken.setdefault(each, set()).add(call)
    assert taken == {name: set(re.findall(r"\w+", calls)) - {"and"} for name, calls in KEYWORDS.items()}
    assert keywords(Runtime.on) | keywords(Runtime.fresh) <= KEYWORDS.keys()


# ── channels ──


def test_a_constant_is_equal_to_its_name_and_to_no_other_constant() -> None:
    other = TypedChannel[Any]("exchange", "trades")
    assert o2.TRADES == "trades"
    assert o2.TRADES == "trades"
    assert o2.TRADES not in ("depth", other, None, o2.NONCE)
    assert TypedChannel("o2", "trades") == o2.TRADES
    assert o2.DEPTH(precision="100") == o2.DEPTH(precision="100")
    assert o2.DEPTH(precision="100") != o2.DEPTH
    assert {"trades": 1}[o2.TRADES] == 1  # type: ignore[index]
    assert f"{o2.TRADES}" == "trades"


def test_a_topic_of_a_constant_has_its_options() -> None:
    venue, channel = O2("feed", VenueSettings()), o2.DEPTH(precision="100")
    [topic] = topics_of(venue, venue.channel(channel), (["0xa"],), options_of(channel, {}))
    assert topic == Topic("feed", "depth", "0xa", (("precision", "100"),))
