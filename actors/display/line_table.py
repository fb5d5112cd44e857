"""Lines in the columns that fit into a width. A row is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial

from actors.display.columns import Layout, fit
from actors.display.rows import Row
from actors.display.status_rows import COLUMNS, LineRow
from actors.display.text import width_of


class LineTable:
    """`width`: columns of the terminal; None: nothing is cut or folded."""

    def __init__(self, lines: Sequence[LineRow], width: int | None) -> None:
        self._lines, self._width = lines, width

    def header(self) -> Row:
        return self._layout[0].header()

    def rows(self, number: int) -> list[Row]:
        """Those of the line with this number."""
        line = self._lines[number]
        layout, short = self._layout
        cells = {name: _short(name, line) if name in short else line.cell(name) for name in layout.widths}
        return layout.rows(cells, {"state": line.colour})

    @cached_property
    def _layout(self) -> tuple[Layout, frozenset[str]]:
        lines = self._lines
        rated = any(line.rate is not None for line in lines)
        headings = [name for name in COLUMNS if name != "events/s" or rated]
        widths = {name: _widest(name, partial(LineRow.cell, column=name), lines) for name in headings}
        shorter = {
            name: _widest(name, column.short, lines)
            for name, column in COLUMNS.items()
            if column.short is not None
        }
        keep = {name: COLUMNS[name].keep for name in headings}
        right = frozenset(name for name in headings if COLUMNS[name].right)
        return fit(widths, shorter, keep, right, self._width)


def _widest(heading: str, words: Callable[[LineRow], str], lines: Sequence[LineRow]) -> int:
    return max((width_of(heading), *(width_of(words(line)) for line in lines)))


def _short(name: str, line: LineRow) -> str:
    short = COLUMNS[name].short
    assert short is not None
    return short(line)
