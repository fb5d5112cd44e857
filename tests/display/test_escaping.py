from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.display.escaping import printable, printable_json, printable_json_bytes, printable_rows

# What Unicode calls a control, a format character, a surrogate, or a separator of lines or paragraphs; but
# for the signs of some scripts that are seen (such as U+0600, the Arabic number sign).
SEEN = {0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x600, 0x606)}
CONTROL = [
    chr(code)
    for code in range(sys.maxunicode + 1)
    if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and code not in SEEN
]
texts = st.text(st.one_of(st.sampled_from(CONTROL), st.characters(exclude_categories=())))


_CONTROLS = frozenset(CONTROL)


def controls(text: str) -> frozenset[str]:
    return _CONTROLS.intersection(text)


def test_no_control_character_is_left() -> None:
    assert len(CONTROL) > 2_000
    assert printable("".join(CONTROL)).isascii()
    assert {printable_json(f'"{char}"') for char in CONTROL if ord(char) > 31} & _CONTROLS == set()


@pytest.mark.parametrize(
    "text", ["", "no pong for 5 s", "a ≠ b · 0x1234…cdef", "Größe 東京 ٣", "🚀", "C:\\new"]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert printable(text) == printable_rows(text) == text
    assert printable_json(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x7f", "\\x7f"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
        ("a\u200bb\u2066c\u2028d\ufeff", "a\\u200bb\\u2066c\\u2028d\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
    ids=ascii,
)
def test_a_control_character_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_error_keeps_its_rows() -> None:
    assert printable_rows("a\n  b\r\x1b\n") == "a\n  b\\r\\x1b\n"


@given(texts)
def test_a_text_that_was_escaped_stays_the_same(text: str) -> None:
    shown = printable(text)
    assert controls(shown) == set()
    assert printable(shown) == printable_rows(shown) == shown


@given(texts)
def test_json_is_decoded_to_the_same_text(text: str) -> None:
    written = printable_json(json.dumps({text: text}, ensure_ascii=False))
    assert controls(written) == set()
    assert json.loads(written) == {text: text}


@given(st.text())
def test_bytes_of_json_are_escaped_as_their_text_is(text: str) -> None:
    written = json.dumps(text, ensure_ascii=False)
    assert printable_json_bytes(written.encode()) == printable_json(written).encode()
