"""Results as tables: on the terminal, and as Markdown with the machine that they were measured on."""

from __future__ import annotations

from collections.abc import Sequence

import rich.table
from msgspec import Struct
from rich.console import Console

WIDTH = 150  # columns, where there is no terminal to ask


class Table(Struct):
    """Numbers stand on the right; the first columns up to `words` are words."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = []
    notes: list[str] = []
    words: int = 1


def show(table: Table) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    shown = rich.table.Table(title=table.title, title_justify="left")
    for number, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if number < table.words else "right")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in table.notes:
        console.print(note, markup=False)


def markdown(table: Table) -> str:
    rule = [":--" if number < table.words else "--:" for number in range(len(table.columns))]
    rows = [table.columns, rule, *table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"## {table.title}", "", *lines, "", *table.notes, ""])
