"""A status on a terminal: troubles first, and all of it within the screen, or counted.

Each row of the screen is spent on what matters most: first the summary and the number of each kind of trouble,
then the troubles that need a person, the lines that are not well, the other troubles, healthy lines, notes. What
has no room is counted, with the command that shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from actors.display.columns import Layout, fit
from actors.display.rows import Quote, Row, rows_of
from actors.display.status_rows import COLUMNS, LineRow, StatusRows
from actors.display.status_troubles import EVERYTHING, KINDS, Level, Trouble, counts
from actors.display.text import unbroken, width_of
from actors.protocol.formatting import counted, printable

FOR_LINES = 10  # rows that the troubles of persons leave to the table
STYLES: dict[Level, str] = {"person": "bold red", "trouble": "yellow", "note": "dim", "extra": "dim"}
MARK = "! "  # before what needs a person
LEVELS: tuple[Level, ...] = ("person", "trouble", "note", "extra")


def screen(rows: StatusRows, width: int | None, height: int | None) -> list[Row]:
    """The rows for a terminal. None of them is wider than `width`, and there are no more than `height`.

    `width` None: nothing is cut or folded. `height` None: everything is shown.
    """
    return Screen(rows, width, height).rows()


class Screen:
    """One picture, while it is put together."""

    def __init__(self, rows: StatusRows, width: int | None, height: int | None) -> None:
        self._of, self._width, self._height = rows, width, height
        self._kinds: dict[str, list[Trouble]] = {}
        for each in rows.troubles:
            self._kinds.setdefault(each.kind, []).append(each)
        self._shown = dict.fromkeys(self._kinds, 0)  # how many of each kind are shown one by one
        self._lines = 0  # rows of the table
        self._made: dict[str, list[list[Row]]] = {kind: [] for kind in self._kinds}
        self._tables: list[list[Row]] = []

    def rows(self) -> list[Row]:
        if self._height is None:
            self._shown = {kind: len(known) for kind, known in self._kinds.items()}
            self._lines = len(self._of.lines)
        else:
            self._fill(self._height)
        return [row for part in self._parts() for row in part]

    def _fill(self, height: int) -> None:
        """Spend the rows that there are."""
        well = sum(line.is_troubled for line in self._of.lines)
        self._tell("person", height - min(FOR_LINES, well + 2))
        self._list(well, height)
        self._tell("person", height)
        self._tell("trouble", height)
        self._list(len(self._of.lines), height)
        self._tell("note", height)
        self._tell("extra", height)

    def _tell(self, level: Level, height: int) -> None:
        for kind, known in self._kinds.items():
            if KINDS[kind].level == level:
                while self._shown[kind] < len(known):
                    self._shown[kind] += 1
                    if self._used() > height:
                        self._shown[kind] -= 1
                        break

    def _list(self, most: int, height: int) -> None:
        while self._lines < most:
            self._lines += 1
            if self._used() > height:
                self._lines -= 1
                break

    def _used(self) -> int:
        return sum(map(len, self._parts()))

    def _parts(self) -> Iterator[list[Row]]:
        yield self._summary
        for kind, known in self._kinds.items():
            for number in range(self._shown[kind]):
                yield self._trouble(kind, number, known[number])
        yield self._uncounted()
        if self._lines:
            yield [self._layout[0].header()]
            for number in range(self._lines):
                yield self._line(number)
        yield self._unlisted()

    @cached_property
    def _summary(self) -> list[Row]:
        first, *others = self._of.summary
        every = rows_of((first,), "bold", self._width)
        for text in others:
            every += rows_of((text,), "dim", self._width)
        return every

    def _trouble(self, kind: str, number: int, trouble: Trouble) -> list[Row]:
        made = self._made[kind]
        if number == len(made):
            level = KINDS[kind].level
            mark = (MARK,) if level == "person" else ()
            made.append(rows_of((*mark, *trouble.sentence), STYLES[level], self._width))
        return made[number]

    def _uncounted(self) -> list[Row]:
        """The number of each kind of trouble that has no row of its own."""
        by_command: dict[str, list[str]] = {}
        worst = ""
        for kind, known in self._kinds.items():
            number = sum(each.count for each in known[self._shown[kind] :])
            if number and KINDS[kind].level != "extra":
                more = "more " if self._shown[kind] else ""
                words = counts(kind, number)
                by_command.setdefault(KINDS[kind].command, []).append(
                    words.replace(" ", f" {more}", 1) if more else words
                )
                worst = worst or STYLES[KINDS[kind].level]
        if not by_command:
            return []
        text = "; ".join(f"{', '.join(words)}: {unbroken(command)}" for command, words in by_command.items())
        return rows_of((f"also {text}",), worst, self._width)

    @cached_property
    def _layout(self) -> tuple[Layout, frozenset[str]]:
        headings = [
            name
            for name in COLUMNS
            if name != "events/s" or any(line.rate is not None for line in self._of.lines)
        ]
        lines = self._of.lines
        widths = {name: _widest(name, lambda line, name=name: line.cell(name), lines) for name in headings}
        shorter = {
            name: _widest(name, column.short, lines)
            for name, column in COLUMNS.items()
            if column.short is not None
        }
        keep = {name: COLUMNS[name].keep for name in headings}
        right = frozenset(name for name in headings if COLUMNS[name].right)
        return fit(widths, shorter, keep, right, self._width)

    def _line(self, number: int) -> list[Row]:
        while number >= len(self._tables):
            line = self._of.lines[len(self._tables)]
            layout, short = self._layout
            cells = {name: _short(name, line) if name in short else line.cell(name) for name in layout.widths}
            self._tables.append(layout.rows(cells, {"state": line.colour}))
        return self._tables[number]

    def _unlisted(self) -> list[Row]:
        """How many lines of the table have no room, by feed."""
        hidden = self._of.lines[self._lines :]
        if not hidden:
            return []
        well = [line for line in hidden if not line.is_troubled]
        others = len(hidden) - len(well)
        by_feed: dict[str, int] = {}
        for line in hidden:
            by_feed[line.feed] = by_feed.get(line.feed, 0) + 1
        told = [f"{counted(others, 'line')} in trouble"] if others else []
        told += [f"{counted(len(well), 'line')} live"] if well else []
        feeds = ", ".join(f"{printable(feed)} {number:,}" for feed, number in by_feed.items())
        parts = (f"not shown: {' and '.join(told)} (", Quote(feeds), f"): {unbroken(EVERYTHING)}")
        return rows_of(parts, "yellow" if others else "dim", self._width, most=1)


def _widest(heading: str, words: Callable[[LineRow], str], lines: tuple[LineRow, ...]) -> int:
    return max((width_of(heading), *(width_of(words(line)) for line in lines)))


def _short(name: str, line: LineRow) -> str:
    short = COLUMNS[name].short
    assert short is not None
    return short(line)
