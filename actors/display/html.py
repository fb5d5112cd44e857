"""Small tables in HTML for notebooks: escaped, bounded, and without colours, so that they suit any theme."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from itertools import islice

from msgspec import Struct

from actors.display.escaping import printable
from actors.display.text import cut

ROWS = 20  # of a table that are shown
NOTES = 10  # sentences that are shown
LONGEST = 160  # characters of a cell or of a sentence

# JupyterLab aligns cells to the right, and reads $…$ as a formula wherever these classes do not forbid it.
_OPEN = '<div class="linewarden tex2jax_ignore mathjax_ignore">'
_TABLE = '<table style="border-collapse: collapse; font-variant-numeric: tabular-nums">'
_LEFT, _RIGHT = 'style="text-align: left"', 'style="text-align: right"'


class Row(Struct, frozen=True):
    """One row of a table. `troubled`: it needs a look, so it is set in bold."""

    cells: tuple[str, ...]
    troubled: bool = False


def text(words: object) -> str:
    """Returns words as HTML: in one row, cut, without control characters, and escaped."""
    return escape(printable(cut(str(words), LONGEST)))


def page(title: str, *parts: str) -> str:
    """Returns the HTML of a whole output: what it is, then its parts."""
    return f"{_OPEN}<div><b>{text(title)}</b></div>{''.join(parts)}</div>"


def notes(sentences: Iterable[str], more: int = 0) -> str:
    """Returns one line per sentence, the first ones. `more`: how many there are beyond those given."""
    given = list(islice(sentences, NOTES + 1))
    shown = given[:NOTES]
    left = more + len(given) - len(shown)
    lines = [*map(text, shown), *([f"… and {left:,} more"] if left else [])]
    return "".join(f"<div>{line}</div>" for line in lines)


def table(
    headings: Sequence[str],
    rows: Sequence[Row],
    noun: str,
    *,
    right: Collection[str] = (),
    rows_shown: int = ROWS,
    left_out: int = 0,
) -> str:
    """Returns a table of the first rows, and how many more there are; empty: there are none.

    `right`: columns that are aligned there. `left_out`: rows that were not given, which count as well.
    """
    if not rows:
        return ""
    sides = [_RIGHT if heading in right else _LEFT for heading in headings]
    head = "".join(f"<th {side}>{text(heading)}</th>" for side, heading in zip(sides, headings, strict=True))
    body = "".join(_row(row, sides) for row in rows[:rows_shown])
    left = len(rows[rows_shown:]) + left_out
    tail = f"<div>… and {left:,} more {noun}</div>" if left else ""
    return f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{tail}"


def _row(row: Row, sides: Sequence[str]) -> str:
    bold, end = ("<b>", "</b>") if row.troubled else ("", "")
    cells = (f"<td {side}>{bold}{text(cell)}{end}</td>" for side, cell in zip(sides, row.cells, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Returns a table of names and values; those without a value (None, empty) are left out."""
    known = [(name, value) for name, value in pairs if value is not None and value != ""]
    rows = "".join(
        f"<tr><th {_LEFT}>{text(name)}</th><td {_LEFT}>{text(value)}</td></tr>" for name, value in known
    )
    return f"{_TABLE}<tbody>{rows}</tbody></table>" if rows else ""
