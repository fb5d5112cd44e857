"""Results as tables: on the terminal, and as Markdown with the machine that they were measured on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rich.table
from msgspec import Struct
from rich.console import Console

from benchmarks.alone import FailedAloneError
from benchmarks.machine import machine

WIDTH = 150  # columns, where there is no terminal to ask
RESULTS = Path(__file__).with_name("results")


class Table(Struct):
    """What was measured. The first columns are `words`; numbers stand on the right."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = []
    notes: list[str] = []
    words: int = 1

    def add(self, words: Sequence[str], measure: Callable[[], Sequence[str]]) -> None:
        """A row: what it is about, and what is measured; or that this failed, with a note."""
        try:
            cells = measure()
        except FailedAloneError as error:
            cells = ["failed"] * (len(self.columns) - len(words))
            self.notes.append(f"- {', '.join(words)}: {error}")
        self.rows.append((*words, *cells))


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
    lines = [f"| {' | '.join(row)} |" for row in (table.columns, rule, *table.rows)]
    return "\n".join([f"## {table.title}", "", *lines, "", *table.notes, ""])


def write(tables: Sequence[Table], command: str, began: float) -> Path:
    """A file of its own for this run, named after the day and the hour; `began` is of the monotonic clock."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y-%m-%d-%H%M')}.md"
    minutes = (time.monotonic() - began) / 60
    head = [
        f"# Benchmarks of {time.strftime('%Y-%m-%d')}",
        "",
        f"    {command}",
        "",
        *(f"- {line}" for line in (*machine(), f"It took {minutes:.0f} minutes.")),
        "",
        "What the columns mean is in [docs/benchmarks.md](../../docs/benchmarks.md).",
        "",
    ]
    path.write_text("\n".join([*head, *map(markdown, tables)]))
    return path
