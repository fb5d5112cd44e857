"""A mistake in a table is told with its place and a hint, and all of them at once."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ConfigError
from actors.settings.venue_tables import read_venue

GOOD = """
name = "pier"
about = "for tests"
url = "wss://${network}.pier.example"
[keys.network]
values = ["main", "test"]
default = "main"
[channels.trades]
about = "trades"
key = "market"
[channels.book]
about = "book"
key = "market"
options.depth = { values = [1, 5], default = 5 }
[subscribe]
send = { op = "sub", params = { channel = "{wire}", ids = "{topics}", depth = "{depth}" } }
topic = "{key}"
[[events]]
wire = "ch"
key = "m"
[ping]
interval = 20
send = "ping"
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_venue(text, "pier.toml")
    return [problem.removeprefix("pier.toml: ") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("about = ", "abuot = ", "abuot: there is no such key; did you mean 'about'?"),
        ('"pier"', '"Pier"', "name: expected lower-case letters, digits, - and _."),
        (
            "wss:",
            "https:",
            "url: expected a URL that starts with wss://, ws:// or sim://; did you mean wss://?",
        ),
        ("${network}", "${netwrok}", "url: nothing is known of ${netwrok}; did you mean ${network}?"),
        (
            "keys.network",
            "keys.subscribe",
            "[keys.subscribe]: a venue's key cannot be called that: it is a feed's own",
        ),
        ('"main"\n', '"mian"\n', "[keys.network] default: it is none of its values; did you mean 'main'?"),
        ('key = "market"\n', "key = 1\n", "[channels.trades] key: expected text, found 1."),
        ("default = 5", "default = 7", "[channels.book.options.depth] default: it is none of its values;"),
        ("options.depth", "options.key", "[channels.book.options.key]: an option cannot be called that"),
        ("[1, 5]", "[]", "[channels.book.options.depth] values: expected at least one value."),
        (
            '"{wire}"',
            '"{wir}"',
            "[subscribe] send.params.channel: nothing is known of {wir}; did you mean {wire}?",
        ),
        ('"{wire}"', '"{wire"', "[subscribe] send.params.channel: expected places such as"),
        ('"{wire}"', '"{wire|loud}"', "[subscribe] send.params.channel: there is no 'loud' after |;"),
        ('"{topics}"', '["{topcis}"]', "[subscribe] send.params.ids[0]: nothing is known of {topcis}; did"),
        (
            'topic = "{key}"',
            'topic = { a = ["{ky}"] }',
            "[subscribe] topic.a[0]: nothing is known of {ky}; did",
        ),
        ('wire = "ch"', 'wire = "c[h]"', "[[events]] entry 1 wire: expected a path such as data.symbol"),
        (
            'wire = "ch"',
            'wire = "c[*].h"',
            '[[events]] entry 1 wire: [*] means each of several; add each = "c[*]".',
        ),
        ('wire = "ch"', 'channel = "trade"', "[[events]] entry 1 channel: there is no channel 'trade';"),
        ('wire = "ch"', 'channel = "trades"', "[channels.book]: no entry of events bears it."),
        ('wire = "ch"\n', "", "[[events]] entry 1: nothing tells the channel; add wire (where"),
        ('key = "m"\n', "", "[[events]] entry 1 key: missing: nothing tells the key of channel trades;"),
        (
            'key = "m"',
            'key = "m"\nwhen = { a = 1.5 }',
            "[[events]] entry 1 when: a: expected text, a whole number, true",
        ),
        ('key = "m"', 'key = "m"\nwhen = "x"', "[[events]] entry 1 when: expected a table such as"),
        ('key = "m"', 'key = "m"\nunit = "sec"', "[[events]] entry 1 unit: expected one of: "),
        (
            'key = "m"',
            'key = "m"\neach = "a.b"',
            "[[events]] entry 1 each: expected a path with [*], such as data[*].",
        ),
        (
            'key = "m"',
            'key = "m"\noptions = { dpth = "d" }',
            '[[events]] entry 1 "options.dpth": no channel has such an option;',
        ),
        (
            'topic = "{key}"',
            'topic = "{wire}"',
            "[subscribe] topic: nothing tells the venue the key of channel trades.",
        ),
        (
            'params = { channel = "{wire}", ids = "{topics}", depth = "{depth}" } }\ntopic = "{key}"\n',
            'params = "{topics}" }\ntopic = "{wire}.{key}"\n[channels.all]\nabout = "all"\n',
            "[subscribe] topic: channel all has no {key}; put it into the wire of those channels",
        ),
        ("interval = 20\n", "", "[ping] interval: missing; expected seconds, 0 or more and at most a day."),
        (
            'send = "ping"',
            'send = "{key}"',
            "[ping] send: nothing is known of {key}; there is: ${network}, {id}.",
        ),
        ("[[events]]", "[events]", "events: expected a list, found a table."),
        (
            "[ping]",
            "[[replies]]\nwhen = 1\nsend = 2\n[ping]",
            '[[replies]] entry 1 when: expected a table such as { type = "trade" }',
        ),
        (
            "[ping]",
            "[login]\nsend = [{ a = '${kye}' }]\n[ping]",
            "[login] send entry 1.a: nothing is known of ${kye}; there is: ",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(right: str, wrong: str, told: str) -> None:
    assert right in GOOD
    problems = mistakes(GOOD.replace(right, wrong, 1))
    assert any(problem.startswith(told) for problem in problems), problems
    assert len(problems) <= 2, problems


def test_all_mistakes_are_told_at_once() -> None:
    text = GOOD.replace("wss:", "wss://x.${nework}").replace('"{wire}"', '"{wir}"').replace('"ch"', '"c["')
    text = text.replace("default = 5", "default = 7") + "pong = 1\n"
    assert [problem.partition(": ")[0] for problem in mistakes(text)] == [
        "[[events]] entry 1 wire",
        "[ping] pong",
        "[channels.book.options.depth] default",
        "url",
        "[subscribe] send.params.channel",
    ]


def test_what_is_missing_is_told() -> None:
    assert mistakes("") == [
        "name: missing; expected lower-case letters, digits, - and _.",
        "about: missing; expected text that is not empty.",
        "url: missing; expected text, such as {key}@trade.",
        "channels: missing; expected a table.",
        "events: missing; expected a list, each of it a table.",
    ]


def test_the_same_text_is_the_same_venue() -> None:
    assert read_venue(GOOD, "a.toml") is read_venue(GOOD, "b.toml")
    assert read_venue(GOOD, "a.toml") is not read_venue(GOOD + "\n", "a.toml")


def test_keys_become_settings() -> None:
    text = GOOD + '[keys.secret]\nsecret = true\n[keys.account]\nabout = "account"\n'
    settings = read_venue(text, "pier.toml").Settings
    assert "network='main'" in repr(settings(secret="s", account="a"))  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        settings()


raw = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["{key}", "a[*]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.data(), raw)
def test_whatever_stands_in_a_table_is_told_in_sentences(data: st.DataObject, value: Any) -> None:
    from actors.settings.venue_tables import TableReader

    source = tomllib.loads(GOOD)
    node: Any = source
    while True:  # somewhere in the table, something else
        where = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
        deeper = node[where]
        if not isinstance(deeper, dict | list) or not deeper or data.draw(st.booleans()):
            break
        node = deeper
    node[where] = value
    try:
        TableReader("pier.toml").read(source)
    except ConfigError as error:
        problems = list(error.problems)
    else:
        problems = ["pier.toml: none."]
    assert problems
    assert all(problem.startswith("pier.toml: ") and problem[-1] in ".?" for problem in problems)
