"""How lines ended and came back: the journal, and how long each topic was without data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from actors.cli.formatting import plain_table
from actors.display.escaping import printable
from actors.display.rows import Part, Quote, plain, rows_of
from actors.display.text import STAYS, day_and_clock, span, unbroken
from actors.events import VenueState
from actors.rules.journal import JournalEntry, LineExit, RecoveryTimes, SilentLossEntry
from actors.status import LineStatus

WIDE = 150  # columns of a terminal from which on it is a table
INDENT = "    "  # of the rows below the first one of an entry
STEPS = ("detect", "wait", "connect", "login", "subscribe", "first_data")


def journal(entries: Mapping[str, Sequence[JournalEntry]], width: int) -> RenderableType:
    """Every ending of these lines and all that their venues said of themselves, oldest first.

    Equal tries in a row stand where the first of them was. Times of the day are local.
    """
    every = [(name, entry) for name, mine in entries.items() for entry in mine]
    every.sort(key=lambda pair: pair[1].at_ns)
    if not every:
        return Text("No line has been lost.")
    if width < WIDE:
        return Group(*(row for name, entry in every for row in _rows(name, entry, width)))
    numbers = ("try", "lived", *map(_heading, STEPS))
    headings = ("when", "line", "epoch", "kind", "code", *numbers)
    table = plain_table(*headings, "what happened", right=("epoch", *numbers), unfolded=headings)
    for name, entry in every:
        cells = _split_cells(entry) if isinstance(entry, LineExit) else [""] * len(numbers)
        kind, code = _kind_and_code(entry)
        when = (day_and_clock(entry.at_ns), printable(name), str(entry.epoch))
        table.add_row(*when, kind, printable(code), *cells, plain(_what_happened(entry)))
    return Group(table, Text("detect to first data: the way back, in ms", "dim"))


def blind_times(lines: Mapping[str, LineStatus]) -> RenderableType:
    """How long each topic of these lines was without data that could be trusted; days are UTC's."""
    blind = [topic for line in lines.values() for topic in line.topics if topic.blind_s]
    if not blind:
        return Group()
    times = ("blind today", "since the start")
    table = plain_table("subscription", *times, right=times)
    for topic in blind:
        table.add_row(printable(topic.topic), span(topic.blind_today_s), span(topic.blind_s))
    return Group(Text(), table)


def _kind_and_code(entry: JournalEntry) -> tuple[str, str]:
    if isinstance(entry, VenueState):
        return "venue", entry.state
    if isinstance(entry, SilentLossEntry):
        return "audit", "silent_loss"
    return entry.kind, entry.code


def _split_cells(ending: LineExit) -> list[str]:
    lived = "" if ending.lived_s is None else span(ending.lived_s)
    return [str(ending.attempt), lived, *(_ms(ending.split, step) for step in STEPS)]


def _rows(name: str, entry: JournalEntry, width: int) -> Iterator[Text]:
    """Where a table has no room: when, which line and why, and the way back below."""
    head = f"{unbroken(day_and_clock(entry.at_ns))}  {printable(name)}#{entry.epoch}  "
    if isinstance(entry, LineExit):
        head += f"{entry.kind} {printable(entry.code)}: "
    elif isinstance(entry, VenueState):
        head += "the venue says: "
    yield from _texts((head, *_what_happened(entry)), "", width)
    if isinstance(entry, LineExit):
        lived = "never live" if entry.lived_s is None else f"lived {span(entry.lived_s)}"
        steps = [
            unbroken(f"{_heading(step)} {_ms(entry.split, step)}") for step in STEPS if _ms(entry.split, step)
        ]
        back = f"; ms: {', '.join(steps)}" if steps else ""
        yield from _texts((f"{STAYS * 4}try {entry.attempt}, {lived}{back}",), "dim", width)


def _texts(parts: Sequence[Part], style: str, width: int) -> Iterator[Text]:
    for row in rows_of(parts, style, width, indent=INDENT):
        yield Text(row.text, style, no_wrap=True, overflow="ignore")


def _what_happened(entry: JournalEntry) -> tuple[Part, ...]:
    """With the address, where the feed has several, and how often it happened in a row."""
    if isinstance(entry, VenueState):
        return (Quote(printable(str(entry))),)
    if isinstance(entry, SilentLossEntry):
        return (f"lost in silence: {printable(entry.account)}: ", Quote(printable(entry.text)))
    at = f" (at {printable(entry.url)})" if entry.url else ""
    often = f"{entry.times:,} times until {unbroken(day_and_clock(entry.last_at_ns))}: "
    return (often if entry.times > 1 else "", Quote(printable(entry.text)), at)


def _heading(step: str) -> str:
    return step.replace("_", " ")


def _ms(split: RecoveryTimes, step: str) -> str:
    milliseconds: float | None = getattr(split, step)
    if milliseconds is None:
        return ""
    return f"{milliseconds:,.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"
