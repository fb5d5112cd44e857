from __future__ import annotations

import pytest

from actors.display.text import brief_span, cut_middle, folded, span, times, unbroken, width_of
from actors.protocol.formatting import counted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 m"),
        (3_599, "59 m"),
        (3_600, "1 h 0 m"),
        (1e6, "11 d 13 h"),
    ],
)
def test_how_long_is_said_in_two_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_one_is_no_plural() -> None:
    assert [counted(number, "line") for number in (0, 1, 1_200)] == ["0 lines", "1 line", "1,200 lines"]
    assert [times(number) for number in (0, 1, 2, 1_200)] == ["never", "once", "twice", "1,200 times"]


def test_a_span_in_a_column_has_no_spaces() -> None:
    assert [brief_span(seconds) for seconds in (4.2, 42.0, 11_100.0, 1e6)] == [
        "4.2s",
        "42s",
        "3h5m",
        "11d13h",
    ]


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("日本", 4), ("e\u0301", 1), ("…", 1), ("a\u200bb", 2), ("\u2620\ufe0f", 2)],
)
def test_a_text_takes_the_columns_that_a_terminal_gives_it(text: str, width: int) -> None:
    assert width_of(text) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("connection reset", 20, "connection reset"),
        ("connection reset", 9, "conn…eset"),
        ("日本日本日本", 6, "日…本"),
        ("ab", 1, "…"),
    ],
)
def test_a_text_that_is_too_long_keeps_its_ends(text: str, width: int, shown: str) -> None:
    assert cut_middle(text, width) == shown
    assert width_of(shown) <= width


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("one two", ["one two"]),
        ("one two three four", ["one two", "  three", "  four"]),
        ("abcdefghijklmnop", ["abcdefghi", "  jklmnop"]),
        ("one abcdefghijklmnop", ["one", "  abcdefg", "  hijklmn", "  op"]),
        (f"a {unbroken('b c d')} e", ["a b c d e"]),
        (f"one two {unbroken('b c')}", ["one two", "  b c"]),
        ("日本 日本日", ["日本", "  日本日"]),
    ],
)
def test_a_text_is_folded_between_words(text: str, rows: list[str]) -> None:
    assert folded(text, 9) == rows
