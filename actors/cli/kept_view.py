"""What a service has put aside: messages in quarantine, dead letters, and cool-downs of accounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from actors.cli.formatting import one_row, plain_table
from actors.diagnostics import Quarantined
from actors.display.escaping import printable
from actors.display.rows import Part, Quote, rows_of
from actors.display.text import day_and_clock, unbroken
from actors.protocol.formatting import counted
from actors.status import CooldownStatus, DeadLettersStatus, QuarantineStatus

INDENT = "    "  # of the rows below the first one of an entry


def quarantine(kept: QuarantineStatus, width: int | None) -> RenderableType:
    """When, which line, why, and the beginning of the message last. `width` None: in one row, and whole."""
    rows = [row for each in kept.newest for row in _quarantined(each, width)]
    return _kept(rows, kept.count, len(kept.newest), "message", " in quarantine")


def _quarantined(message: Quarantined, width: int | None) -> Iterator[Text]:
    raw = f"{message.size:,} bytes: {printable(message.raw)}"
    words = (_when(message.at_ns), printable(message.line), "  ", Quote(printable(message.error)))
    if width is None:
        yield from _texts((*words, f"  {raw}"), None)
    else:
        yield from _texts(words, width)
        yield one_row(f"{INDENT}{raw}", "dim")


def cooldowns(known: Sequence[CooldownStatus]) -> RenderableType:
    """Times are local."""
    if not known:
        return Text("There is no cool-down.")
    table = plain_table("account", "until", "asked by", "line", "why", unfolded=("account", "until"))
    for each in known:
        table.add_row(
            printable(each.account),
            day_and_clock(each.until_ns),
            "the venue" if each.asked_by == "venue" else "linewarden (slow_initial)",
            printable(each.line),
            printable(each.why),
        )
    return table


def dead_letters(kept: DeadLettersStatus, width: int | None) -> RenderableType:
    """When, to which actor, why, and which message. `width` None: in one row, and whole."""
    rows = [
        row
        for each in kept.newest
        for row in _texts(
            (
                *(_when(each.at_ns), printable(each.to), "  "),
                *(Quote(printable(each.why)), ": ", Quote(printable(each.message))),
            ),
            width,
        )
    ]
    return _kept(rows, kept.count, len(kept.newest), "dead letter")


def _when(at_ns: int) -> str:
    return f"{unbroken(day_and_clock(at_ns))}  "


def _texts(parts: Sequence[Part], width: int | None) -> list[Text]:
    rows = rows_of(parts, "", width, indent=INDENT)
    return [Text(row.text, no_wrap=True, overflow="ignore") for row in rows]


def _kept(rows: Sequence[Text], count: int, kept: int, noun: str, where: str = "") -> RenderableType:
    if not count:
        return Text(f"There is no {noun}{where}.")
    newest = f"; the newest {kept:,} are shown" if kept < count else ""
    return Group(*rows, Text(f"{counted(count, noun)}{newest}.", "dim"))
