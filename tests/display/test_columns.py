from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.display.columns import fit
from actors.display.text import width_of

WIDTHS = {"line": 30, "state": 20, "since": 6, "subs": 18, "gaps": 5}
KEEP = {"line": 9, "state": 9, "since": 3, "subs": 2, "gaps": 1}


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (None, {"line": 30, "state": 20, "since": 6, "subs": 18, "gaps": 5}),
        (120, {"line": 30, "state": 20, "since": 6, "subs": 18, "gaps": 5}),
        (80, {"line": 20, "state": 20, "since": 6, "subs": 18, "gaps": 5}),
        (60, {"line": 15, "state": 20, "since": 6, "subs": 4, "gaps": 5}),
        (54, {"line": 13, "state": 20, "since": 6, "subs": 4}),
        (44, {"line": 12, "state": 20, "since": 6}),
        (30, {"line": 12, "state": 16}),
    ],
)
def test_where_there_is_no_room_cells_are_shortened_and_then_columns_go(
    width: int | None, columns: dict[str, int]
) -> None:
    layout, short = fit(WIDTHS, {"subs": 4}, KEEP, frozenset(), width)
    assert layout.widths == columns
    assert short == ({"subs"} if width is not None and width < 80 else set())


def test_a_cell_that_is_too_wide_is_folded_and_a_name_is_cut_in_its_middle() -> None:
    layout, _ = fit(WIDTHS, {}, KEEP, frozenset({"since"}), 44)
    cells = {"line": "tplus/ticker-0x1234567890", "state": "live, held by a full stream", "since": "9s"}
    first, second = layout.rows(cells, {"state": "green"})
    assert layout.header().text == "line          state                  since"
    assert first.text == "tplus…567890  live, held by a full      9s"
    assert second.text.split() == ["stream"]
    assert ("live, held by a full", "green") in first.spans


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60), min_size=5, max_size=5),
    st.integers(40, 160),
)
def test_no_row_is_wider_than_the_terminal(texts: list[str], width: int) -> None:
    cells = dict(zip(WIDTHS, texts, strict=True))
    widths = {heading: max(width_of(heading), width_of(text)) for heading, text in cells.items()}
    layout, _ = fit(widths, {}, KEEP, frozenset({"gaps"}), width)
    assert width_of(layout.header().text) <= width
    assert all(width_of(row.text) <= width for row in layout.rows(cells, {}))
