"""How the commands show tables."""

from __future__ import annotations

from collections.abc import Container, Iterable

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from actors.display.escaping import printable_rows

PIPE = 10_000  # columns where stdout is no terminal


class PrintableConsole(Console):
    """Writes no character of a shown text that controls a terminal, whoever has forgotten to escape it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            is_safe = control is not None or text == "\n"
            yield segment if is_safe else Segment(printable_rows(text), style)


def console() -> Console:
    """For stdout as it is now. A pipe has no width, so no row is folded there."""
    shown = PrintableConsole(highlight=False, markup=False, emoji=False)
    if shown.is_terminal:
        return shown
    return PrintableConsole(highlight=False, markup=False, emoji=False, width=PIPE)


def screen_width() -> int | None:
    """The columns of the terminal; None: stdout is none."""
    shown = console()
    return shown.width if shown.is_terminal else None


def plain_table(*headings: str, right: Container[str] = (), unfolded: Container[str] = ()) -> Table:
    """The columns of `right` are aligned there; those of `unfolded` are cut at the end of their row."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in headings:
        is_cut = heading in unfolded
        table.add_column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=is_cut,
            overflow="ellipsis" if is_cut else "fold",
        )
    return table


def one_row(text: str, style: str = "") -> Text:
    """Text that is cut at the end of its row."""
    return Text(text, style, no_wrap=True, overflow="ellipsis")
