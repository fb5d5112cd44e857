"""A status on a terminal: troubles first, and all of it within the screen, or counted.

Each row of the screen is spent on what matters most: first the summary and the number of each kind of
trouble, then the troubles that need a person, the lines that are not well, the other troubles, notes, healthy
lines and streams. What has no room is counted, with the command that shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property

from actors.display.columns import fit
from actors.display.escaping import printable
from actors.display.line_table import LineTable
from actors.display.rows import Quote, Row, rows_of
from actors.display.status_rows import STREAM_COLUMNS, StatusRows
from actors.display.status_troubles import EVERYTHING, KINDS, Level, Trouble, counts
from actors.display.text import unbroken, width_of
from actors.protocol.formatting import counted

FOR_LINES = 10  # rows that the troubles of persons, and notes, leave to the table at first
STYLES: dict[Level, str] = {"person": "bold red", "trouble": "yellow", "note": "dim", "extra": "dim"}
CODES = 3  # causes of lines that are counted together
MARK = "! "  # before what needs a person


def screen(rows: StatusRows, width: int | None, height: int | None) -> list[Row]:
    """The rows for a terminal. None of them is wider than `width`, and there are no more than `height`.

    `width` None: nothing is cut or folded. `height` None: everything is shown.
    """
    return Screen(rows, width).rows(height)


class Screen:
    """One picture, while it is put together."""

    def __init__(self, rows: StatusRows, width: int | None) -> None:
        self._of, self._width = rows, width
        self._kinds: dict[str, list[Trouble]] = {}
        for each in rows.troubles:
            self._kinds.setdefault(each.kind, []).append(each)
        self._shown = dict.fromkeys(self._kinds, 0)  # how many of each kind have rows of their own
        self._told: dict[str, list[Row]] = {kind: [] for kind in self._kinds}  # these rows
        self._table, self._lines = LineTable(rows.lines, width), 0  # lines that are shown
        self._listed: list[Row] = []  # their rows
        self._has_streams = False
        self._counted = self._count()

    def rows(self, height: int | None) -> list[Row]:
        if height is None:
            self._show_all()
        else:
            self._fill(height)
        return [row for part in self._parts() for row in part]

    def _show_all(self) -> None:
        for kind, known in self._kinds.items():
            self._told[kind] = [row for each in known for row in self._sentence(each)]
            self._shown[kind] = len(known)
        self._lines = len(self._of.lines)
        self._listed = [row for number in range(self._lines) for row in self._table.rows(number)]
        self._has_streams, self._counted = True, []

    def _fill(self, height: int) -> None:
        """Spend the rows that there are."""
        lines = self._of.lines
        bad = sum(line.is_troubled for line in lines)
        self._tell("person", height - min(FOR_LINES, bad + 2))
        self._list(bad, height)
        self._tell("person", height)
        self._tell("trouble", height)
        self._tell("note", height - min(FOR_LINES, len(lines) - self._lines + 2))
        self._list(len(lines), height)
        self._tell("note", height)
        self._has_streams = True
        self._has_streams = self._used() <= height
        self._tell("extra", height)

    def _tell(self, level: Level, height: int) -> None:
        for kind, known in self._kinds.items():
            if KINDS[kind].level == level:
                while self._shown[kind] < len(known) and self._tell_next(kind, height):
                    pass

    def _tell_next(self, kind: str, height: int) -> bool:
        """Whether one more of the kind has room."""
        rows = self._sentence(self._kinds[kind][self._shown[kind]])
        former = self._counted
        self._shown[kind] += 1
        self._counted = self._count()
        if self._used() + len(rows) <= height:
            self._told[kind] += rows
            return True
        self._shown[kind] -= 1
        self._counted = former
        return False

    def _sentence(self, trouble: Trouble) -> list[Row]:
        level = KINDS[trouble.kind].level
        mark = (MARK,) if level == "person" else ()
        return rows_of((*mark, *trouble.sentence), STYLES[level], self._width)

    def _list(self, most: int, height: int) -> None:
        """Show so many lines, as far as they have room."""
        while self._lines < most:
            rows = self._table.rows(self._lines)
            self._lines += 1
            if self._used() + len(rows) > height:
                self._lines -= 1
                break
            self._listed += rows

    def _used(self) -> int:
        return sum(map(len, self._parts()))

    def _parts(self) -> Iterator[Sequence[Row]]:
        yield self._summary
        yield from self._told.values()
        yield self._counted
        if self._lines:
            yield [self._table.header()]
            yield self._listed
        if self._has_streams and self._of.streams:
            yield self._streams
        yield self._unlisted()

    @cached_property
    def _summary(self) -> list[Row]:
        first, *others = self._of.summary
        every = rows_of((first,), "bold", self._width)
        for text in others:
            every += rows_of((text,), "dim", self._width)
        return every

    def _count(self) -> list[Row]:
        """The number of each kind of trouble that has no row of its own."""
        by_command: dict[str, list[str]] = {}
        worst = ""
        for kind, known in self._kinds.items():
            number = sum(each.count for each in known[self._shown[kind] :])
            if number and KINDS[kind].level != "extra":
                more = "more " if self._shown[kind] else ""
                words = f"{counts(kind, number)}{_codes(known[self._shown[kind] :])}"
                by_command.setdefault(KINDS[kind].command, []).append(
                    words.replace(" ", f" {more}", 1) if more else words
                )
                worst = worst or STYLES[KINDS[kind].level]
        if not by_command:
            return []
        text = "; ".join(f"{', '.join(words)}: {unbroken(command)}" for command, words in by_command.items())
        return rows_of((f"also {text}",), worst, self._width)

    @cached_property
    def _streams(self) -> list[Row]:
        columns, streams = STREAM_COLUMNS.items(), self._of.streams
        every = [{name: words(each) for name, words in columns} for each in streams]
        widths = {name: max(map(width_of, (name, *(row[name] for row in every)))) for name, _ in columns}
        keep = {name: -number for number, name in enumerate(STREAM_COLUMNS)}
        right = frozenset(STREAM_COLUMNS) - {"of", "policy"}
        layout, _ = fit(widths, {}, keep, right, self._width)
        # An inline handler has no buffer.
        full = [{"queued": "yellow"} if each.queued >= each.capacity > 0 else {} for each in streams]
        rows = [row for cells, styles in zip(every, full, strict=True) for row in layout.rows(cells, styles)]
        return [layout.header(), *rows]

    def _unlisted(self) -> list[Row]:
        """How many lines of the table have no room, by feed."""
        hidden = self._of.lines[self._lines :]
        streams = [] if self._has_streams else self._of.streams
        if not hidden:
            text = f"not shown: {counted(len(streams), 'stream')}: {unbroken(EVERYTHING)}"
            return rows_of((text,), "dim", self._width) if streams else []
        well = [line for line in hidden if not line.is_troubled]
        others = len(hidden) - len(well)
        by_feed: dict[str, int] = {}
        for line in hidden:
            by_feed[line.feed] = by_feed.get(line.feed, 0) + 1
        told = [f"{counted(others, 'line')} in trouble"] if others else []
        told += [f"{counted(len(well), 'line')} live"] if well else []
        feeds = ", ".join(f"{printable(feed)} {number:,}" for feed, number in by_feed.items())
        more = f", and {counted(len(streams), 'stream')}" if streams else ""
        parts = (f"not shown: {' and '.join(told)} (", Quote(feeds), f"){more}: {unbroken(EVERYTHING)}")
        return rows_of(parts, "yellow" if others else "dim", self._width, most=2)


def _codes(every: Sequence[Trouble]) -> str:
    """Their causes, the most frequent first, such as ` (180 dns, 3 http_429)`; empty: they have none."""
    found = Counter(each.code for each in every if each.code)
    if len(found) == 1:
        return f" ({next(iter(found))})"
    told = [f"{number:,} {code}" for code, number in found.most_common(CODES)]
    others = found.total() - sum(number for _, number in found.most_common(CODES))
    return f" ({', '.join([*told, *[f'{others:,} others'] * bool(others)])})" if told else ""
