"""The three small languages of a table: paths, conditions, templates."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.settings.venue_tables import read_venue
from actors.venues.declarative.path import MISSING, Condition, Each, Path, getter, spot
from actors.venues.declarative.template import Template, Text

MESSAGE = {"arg": {"channel": "trades", "a.b": 1}, "data": [{"s": "A", "p": [1, 2, 3]}, {"s": "B", "p": []}]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("arg", MESSAGE["arg"]),
        ("arg.channel", "trades"),
        ('arg."a.b"', 1),
        ("data[1].s", "B"),
        ("data[-1].s", "B"),
        ("data[0].p[2]", 3),
        ("data[2].s", MISSING),
        ("data[1].p[0]", MISSING),
        ("arg.channel[0]", MISSING),  # a text is no list
        ("arg[0]", MISSING),
        ("data.s", MISSING),
        ("none.at.all", MISSING),
    ],
)
def test_paths(path: str, found: object) -> None:
    assert Path.parse(path).get(MESSAGE) == found


@pytest.mark.parametrize(
    "text", ["", ".", ".a", "a.", "a..b", "a[", "a[x]", "a[*", "a b", "[1]a", 'a."', 1, None, ["a"]]
)
def test_what_is_no_path(text: object) -> None:
    with pytest.raises(ValueError, match=r"^expected a path such as data\.symbol"):
        Path.parse(text)


names = st.text(string.ascii_letters + string.digits + "_-$@", min_size=1, max_size=4)
quoted = st.text(min_size=1, max_size=4).filter(lambda text: '"' not in text)
steps = st.lists(names | quoted | st.integers(0, 3), min_size=1, max_size=5)


@given(steps, st.integers())
def test_a_path_finds_what_was_put_there(way: list[str | int], value: int) -> None:
    node: Any = value
    for step in reversed(way):
        node = {step: node} if isinstance(step, str) else [None] * step + [node]
    text = "".join(f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in way).removeprefix(".")
    path = Path.parse(text)
    assert path.steps == tuple(way)
    assert getter(path.steps)(node) == value
    assert getter(path.steps)({}) is MISSING
    assert getter(path.steps)([]) is MISSING


@given(st.text(max_size=12))
def test_any_text_is_a_path_or_is_refused_in_words(text: str) -> None:
    try:
        path = Path.parse(text)
    except ValueError as error:
        told = str(error)
    else:
        told = ""
        assert "".join(filter(str.isalnum, text)) == "".join(
            filter(str.isalnum, "".join("" if step is None else str(step) for step in path.steps))
        )
    assert told == "" or told.startswith("expected a path such as")


def test_elements_with_what_is_around_them() -> None:
    each = Path.parse("data[*].p[*]")
    symbol, price, channel = (
        spot(Path.parse(text), each) for text in ("data[*].s", "data[*].p[*]", "arg.channel")
    )
    found = Each(each).of(MESSAGE)
    assert found is not None
    assert [(channel.of(n), symbol.of(n), price.of(n)) for n in found] == [
        ("trades", "A", p) for p in (1, 2, 3)
    ]
    assert Each(each).of({"data": 1}) is None
    with pytest.raises(ValueError, match="it begins otherwise than each"):
        spot(Path.parse("rows[*].s"), each)


# ── conditions ──


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"type": "a"}, True),
        ({"type": ["b", "a"]}, True),
        ({"type": "b"}, False),
        ({"n": 1}, True),
        ({"n": True}, False),
        ({"n": "1"}, False),
        ({"yes": True}, True),
        ({"yes": 1}, False),
        ({"null": "{any}"}, False),
        ({"null": "{none}"}, True),
        ({"nowhere": "{none}"}, True),
        ({"n": "{any}"}, True),
        ({"list": ["a", "b"]}, False),
        ({"arg": {"channel": "x"}, "n": 1}, True),
        ({"arg.channel": "x", "n": 2}, False),
        ({"list[0]": "a"}, True),
        ("type", False),
    ],
)
def test_conditions(condition: object, holds: bool) -> None:
    message = {"type": "a", "n": 1, "yes": True, "null": None, "arg": {"channel": "x"}, "list": ["a"]}
    assert Condition.parse(condition).fits(message) is holds


@pytest.mark.parametrize(
    "raw", [{}, 1, [], {"a": 1.5}, {"a": []}, {"a": [True, "x"]}, {"a[*]": 1}, {"a b": 1}]
)
def test_what_is_no_condition(raw: object) -> None:
    with pytest.raises(ValueError, match=r"expected|takes no"):
        Condition.parse(raw)


# ── templates ──


def test_a_place_alone_keeps_its_value_and_among_text_it_is_text() -> None:
    values = {"id": 7, "key": "BTC", "list": ["a"]}
    raw = {
        "id": "{id}",
        "t": "{id|text}",
        "k": "{key|lower}@{id}",
        "l": "{list}",
        "b": "{{{key}}}",
        "n": [1, True],
    }
    node = Template.parse(raw).value(values)
    assert node == {"id": 7, "t": "7", "k": "btc@7", "l": ["a"], "b": "{BTC}", "n": [1, True]}


def test_what_has_no_value_is_left_out() -> None:
    node = Template.parse({"a": "{x}", "b": {"c": "{x}.1"}, "d": ["{x}", "e"]}).value({})
    assert node == {"b": {}, "d": ["e"]}


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a|}", "{a b}", "{a|loud}", "${}", "{{}", "{a}}"])
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected places|there is no 'loud'"):
        Text.parse(text)


@given(st.text(max_size=20))
@example("${")
def test_any_text_can_be_written_with_braces_doubled(text: str) -> None:
    assert Text.parse(text.replace("{", "{{").replace("}", "}}")).render({}) == (text or "")


keys = st.text(string.ascii_uppercase + string.digits + "-/", min_size=1, max_size=12)
TABLE = """
name = "pier"
about = "for tests"
url = "wss://pier.example"
[channels.plain]
about = "a"
key = "k"
spelling = "upper"
wire = "{key|lower}@trade"
[channels.candles]
about = "b"
key = "k"
spelling = "upper"
wire = "{key|lower}@kline_{interval}"
options.interval = { values = [1, 15, 60] }
[channels.depth]
about = "c"
key = "k"
spelling = "upper"
wire = "{key|lower}@depth{levels}{speed}"
options.levels = { values = { all = "", five = "5" }, default = "all" }
options.speed = { values = { slow = "", fast = "@100ms" }, default = "slow" }
[channels.dotted]
about = "d"
key = "k"
spelling = "upper"
wire = "dotted.{interval}.{key}"
options.interval = { values = [1, 15, 60] }
[channels.whole]
about = "e"
wire = "!all@arr"
[subscribe]
send = ["{topics}"]
[[events]]
wire = "stream"
data = "data"
"""


@given(st.sampled_from(["plain", "candles", "depth", "dotted", "whole"]), keys, st.data())
@example("dotted", "1.15", None)
def test_a_rendered_topic_is_recognised_as_itself(channel: str, key: str, data: st.DataObject | None) -> None:
    kind = read_venue(TABLE, "pier.toml")
    made = kind("pier", kind.Settings())
    choices = {
        name: data.draw(st.sampled_from(list(option.values or ()))) if data is not None else 15
        for name, option in made.table.channels[channel].options.items()
    }
    topic = made.topic(channel, key if made.channels[channel].key else "", choices)
    (rule,) = made.protocol.events
    (wire,) = rule.places.marks_of(topic) or ("",)
    assert list(rule.places.guess("pier", (wire,))) == [topic]
    session = made.listener()
    session.opened(0.0)
    message = f'{{"stream": "{wire}", "data": 1}}'.encode()
    _, delivered = session.received([(1, message)], 0.0)
    assert delivered.pairs[0][0] == topic  # type: ignore[union-attr]


def test_a_pattern_takes_the_longest_value() -> None:
    found = (
        Text.parse("depth{levels}{rest}")
        .pattern({"levels": {"", "5", "50"}, "rest": {"", "x"}})
        .fullmatch("depth50x")
    )
    assert found is not None
    assert found.groupdict() == {"_levels": "50", "_rest": "x"}


def test_a_place_that_stands_twice_is_the_same_twice() -> None:
    pattern = Text.parse("{key}.{key|lower}").pattern({})
    assert pattern.fullmatch("AB.ab")
    assert not pattern.fullmatch("AB.ac")
