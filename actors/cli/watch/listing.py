"""What the list shows of a status: lines in the wanted order, those that are wanted, and their troubles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from actors.display.line_table import LineTable
from actors.display.rows import Row
from actors.display.status_rows import BY_TROUBLE, LineRow, StatusRows, status_rows
from actors.display.status_troubles import KINDS, Trouble
from actors.status import Status

NEEDS_PERSON, TROUBLED, WELL = "! ", "* ", "  "  # before the row of a line


class Wanted(Struct, frozen=True):
    """What the user has chosen."""

    text: str = ""  # part of a name, a state or a trouble of a line; the case of letters does not matter
    down: bool = False  # only lines that are not live, or degraded
    sort: str = BY_TROUBLE
    target: str | None = None  # a feed or a line: only its lines


class Listing(Struct, frozen=True):
    summary: tuple[str, ...]
    alarms: tuple[Trouble, ...]  # that need a person, and are not of a line
    troubles: Mapping[str, Sequence[Trouble]]  # by line
    columns: Row
    names: Sequence[str]
    rows_of: Callable[[int], Sequence[Row]]  # the line with this number in `names`


def listing(status: Status, at: float, rates: Mapping[str, float], wanted: Wanted, width: int) -> Listing:
    """`at`: seconds of the wall clock; `rates`: events per second, by line; `width`: columns."""
    every = status_rows(status, at, target=wanted.target, down=wanted.down, sort=wanted.sort, rates=rates)
    troubles: dict[str, list[Trouble]] = {}
    for trouble in every.troubles:
        troubles.setdefault(trouble.line, []).append(trouble)
    lines = [row for row in every.lines if _has(row, troubles.get(row.name, ()), wanted.text)]
    marks = [_mark(troubles.get(row.name, ())) for row in lines]
    table = LineTable(lines, width - len(WELL))
    return Listing(
        every.summary,
        tuple(_alarms(every)),
        troubles,
        _marked(WELL, table.header()),
        [row.name for row in lines],
        lambda number: _marked_first(marks[number], table.rows(number)),
    )


def _alarms(every: StatusRows) -> list[Trouble]:
    return [each for each in every.troubles if KINDS[each.kind].level == "person" and not each.line]


def _mark(troubles: Sequence[Trouble]) -> str:
    """Of the worst of them: `!` needs a person, `*` may end by itself."""
    levels = {KINDS[each.kind].level for each in troubles}
    return NEEDS_PERSON if "person" in levels else TROUBLED if "trouble" in levels else WELL


def _marked(mark: str, row: Row) -> Row:
    return Row(((mark, "bold"), *row.spans))


def _marked_first(mark: str, rows: Sequence[Row]) -> list[Row]:
    first, *others = rows
    return [_marked(mark, first), *(_marked(WELL, row) for row in others)]


def _has(row: LineRow, troubles: Sequence[Trouble], text: str) -> bool:
    if not text:
        return True
    words = (row.name, row.feed, row.cell("state"), *(trouble.text for trouble in troubles))
    return any(text.casefold() in each.casefold() for each in words)
