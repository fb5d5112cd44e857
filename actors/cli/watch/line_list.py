"""The list of lines: a cursor, and as many rows as fit. Only visible rows are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from actors.display.rows import Row

EMPTY: Final = Row((("No line to show.", ""),))
CHOSEN, OTHERS = ">", " "  # what stands before a row
MARGIN: Final = len(CHOSEN)  # columns
RowsOf = Callable[[int], Sequence[Row]]


class LineList(Widget, can_focus=True):
    """Entries of one row or several, with a cursor, which stays on its line when the order changes."""

    DEFAULT_CSS = "LineList { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)"),
        Binding("up", "move(-1)"),
        Binding("pagedown,space", "page(1)"),
        Binding("pageup", "page(-1)"),
        Binding("home", "to(0)"),
        Binding("end", "to(-1)"),
    ]

    class Moved(Message):
        """The cursor is on another line, or the rows are others."""

    def __init__(self) -> None:
        super().__init__()
        self._names: Sequence[str] = ()
        self._rows_of: RowsOf = lambda _: ()
        self._cursor = self._top = 0  # entries
        self._visible: list[tuple[int, Row]] = []  # rows, and the entry of each
        self._is_old = False

    @property
    def chosen(self) -> str | None:
        """The line under the cursor."""
        return self._names[self._cursor] if self._names else None

    def show(self, names: Sequence[str], rows_of: RowsOf, *, is_old: bool) -> None:
        """`rows_of`: those of the line with this number in `names`. Old ones are drawn dim."""
        chosen, self._names, self._rows_of, self._is_old = self.chosen, names, rows_of, is_old
        if chosen in names:
            self._cursor = names.index(chosen)
        self._settle()

    def where(self) -> str:
        """`21-40 of 200`, if not all lines are visible."""
        first, last = (self._visible[0][0], self._visible[-1][0]) if self._visible else (0, -1)
        some = last - first + 1 < len(self._names)
        return f"{first + 1:,}-{last + 1:,} of {len(self._names):,}" if some else ""

    def action_move(self, entries: int) -> None:
        self.action_to(max(0, self._cursor + entries))

    def action_page(self, pages: int) -> None:
        entries = {entry for entry, _ in self._visible}
        self.action_move(pages * max(1, len(entries) - 1))

    def action_to(self, entry: int) -> None:
        """-1: the last."""
        self._cursor = len(self._names) - 1 if entry < 0 else entry
        self._settle()

    def on_resize(self) -> None:
        self._settle()

    def _settle(self) -> None:
        """The cursor is on an entry, and that is visible; no row is left empty that an entry could have."""
        self._visible = []
        if self._names:
            self._fill(self.size.height, len(self._names) - 1)
        self.refresh()
        self.post_message(self.Moved())

    def _fill(self, height: int, last: int) -> None:
        self._cursor = max(0, min(self._cursor, last))
        self._top = min(max(self._top, self._highest(self._cursor)), self._cursor, self._highest(last))
        for entry in range(self._top, last + 1):
            self._visible += [(entry, row) for row in self._rows_of(entry)]
            if len(self._visible) >= height:
                break
        del self._visible[height:]

    def _highest(self, entry: int) -> int:
        """The first of the entries that can be visible together with the whole of this one."""
        room = self.size.height
        for each in range(entry, -1, -1):
            room -= len(self._rows_of(each))
            if room < 0:
                return min(each + 1, entry)
        return 0

    def render_line(self, y: int) -> Strip:
        if y == 0 and not self._names:
            return self._strip(EMPTY, is_chosen=False)
        if y >= len(self._visible):
            return Strip.blank(self.size.width, self.rich_style)
        entry, row = self._visible[y]
        return self._strip(row, is_chosen=entry == self._cursor)

    def _strip(self, row: Row, *, is_chosen: bool) -> Strip:
        # A colour in reverse may be hard to read: the chosen row has none.
        spans = (row.text,) if is_chosen else row.spans
        text = Text.assemble(CHOSEN if is_chosen else OTHERS, *spans)
        text.truncate(self.size.width, pad=is_chosen)
        text.stylize("reverse" if is_chosen else "dim" if self._is_old else "")
        segments = Segment.apply_style(text.render(self.app.console, end=""), self.rich_style)
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)
