"""How the commands show tables."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from threading import get_ident
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from actors.display.escaping import printable_rows

PIPE = 10_000  # columns where stdout is no terminal


class PrintableConsole(Console):
    """Escapes each character that controls a terminal, also in texts that their view has not escaped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._rendering: set[int] = set()  # threads

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As the console's own; what is rendered within it is escaped once, on its way out."""
        segments = super().render(renderable, options)
        return segments if get_ident() in self._rendering else self._printable(segments)

    def _printable(self, segments: Iterable[Segment]) -> Iterator[Segment]:
        thread = get_ident()
        self._rendering.add(thread)
        try:
            for segment in segments:
                text, style, control = segment
                is_safe = control is not None or (text.isascii() and text.isprintable())
                yield segment if is_safe else Segment(printable_rows(text), style)
        finally:
            self._rendering.discard(thread)


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
