from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.display.rows import Quote, plain, rows_of
from actors.display.text import unbroken, width_of

TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_long_quotation_is_cut_in_its_middle_and_the_advice_stays(width: int) -> None:
    parts = ("a: failed; 402: ", Quote("begins " + "so " * 500 + "ends"), ". Check key and secret")
    rows = rows_of(parts, "red", width)
    text = " ".join(row.text.strip() for row in rows)
    assert len(rows) <= 3
    assert text.startswith("a: failed; 402: begins so ")
    assert text.endswith("ends. Check key and secret")
    assert "…" in text
    assert {style for row in rows for _, style in row.spans} == {"red"}


def test_a_short_quotation_beside_a_long_one_is_whole() -> None:
    rows = rows_of((Quote("x" * 900), "; began with ", Quote("connection reset by peer")), "", 80)
    assert " ".join(row.text.strip() for row in rows).endswith("; began with connection reset by peer")


def test_a_row_without_a_width_is_whole() -> None:
    parts = ("see ", Quote("x" * 900), unbroken(" linewarden quarantine"))
    (row,) = rows_of(parts, "", None)
    assert row.text == plain(parts) == f"see {'x' * 900} linewarden quarantine"


def test_a_command_is_in_one_row() -> None:
    for width in range(40, 60):
        rows = rows_of((f"some words before it: {unbroken('linewarden status --all')}",), "", width)
        assert any("linewarden status --all" in row.text for row in rows), width


@given(st.lists(st.tuples(TEXTS, st.booleans()), min_size=1, max_size=5), st.integers(40, 160))
def test_no_row_is_wider_than_the_width_and_our_own_words_are_all_there(
    texts: list[tuple[str, bool]], width: int
) -> None:
    rows = rows_of([Quote(text) if is_quote else text for text, is_quote in texts], "", width)
    assert all(width_of(row.text) <= width for row in rows)
    shown = "".join("".join(row.text.split()) for row in rows)
    position = 0
    for text, is_quote in texts:
        if not is_quote:
            words = "".join(text.split())
            position = shown.index(words, position) + len(words)
