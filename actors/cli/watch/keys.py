"""The keys of the view: one table for what they do, the bar at the foot, and the help."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec import Struct
from rich.text import Text


class Key(Struct, frozen=True):
    key: str  # as textual names it
    shown: str  # as people read it
    action: str  # the method `action_…` of the view
    word: str  # in the bar; empty: it is in the help alone
    help: str
    needs: str = ""  # the right that it needs


KEYS: Final = (
    Key("slash", "/", "filter", "filter", "Show lines whose row contains a text. Esc shows all again."),
    Key("s", "s", "sort", "sort", "Sort by the next column: see the heading that is marked."),
    Key("d", "d", "down", "down only", "Show only lines in trouble; again shows all."),
    Key(
        "enter",
        "enter",
        "details",
        "details",
        "The chosen line: topics in trouble, journal, last gap, streams.",
    ),
    Key("t", "t", "troubles", "troubles", "All that is wrong, the worst first."),
    Key("j", "j", "journal", "journal", "How lines ended and came back. It opens at its end."),
    Key("u", "u", "quarantine", "quarantine", "Messages that could not be decoded."),
    Key("f", "f", "fresh", "not fresh", "Topics that are not fresh, and why."),
    Key("r", "r", "restart", "restart", "Connect the chosen line again. It asks first.", "act"),
    Key(
        "p",
        "p",
        "pause",
        "pause/resume",
        "Disconnect the chosen line until it is resumed, or resume it.",
        "act",
    ),
    Key("question_mark", "?", "help", "help", "These keys."),
    Key("q", "q", "quit", "quit", "Leave the view. The service goes on."),
)


def bar(rights: Collection[str], width: int) -> Text:
    """All keys in rows of this width. Keys whose right is missing are left out, and named behind them."""
    parts = [
        Text.assemble((key.shown, "bold reverse"), f" {key.word}")
        for key in KEYS
        if key.needs in ("", *rights)
    ]
    missing = sorted({key.needs for key in KEYS} - {"", *rights})
    for right in missing:
        keys = " ".join(key.shown for key in KEYS if key.needs == right)
        parts.append(Text(f"{keys}: not without the right {right}", "dim"))
    rows = [Text()]
    for part in parts:
        if rows[-1].cell_len and rows[-1].cell_len + 2 + part.cell_len > width:
            rows.append(Text())
        rows[-1].append_text(Text("  " if rows[-1].cell_len else "")).append_text(part)
    return Text("\n").join(rows)
