"""How the commands show numbers, times and tables."""

from __future__ import annotations

import re
import time
from collections.abc import Container, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE = 10_000  # columns where stdout is no terminal

# Beyond ASCII, as parts of a class: what a terminal may obey, and what changes the order of what is shown.
UNSAFE = r"\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(rf"[\x00-\x1f{UNSAFE}]")


def console() -> Console:
    """For stdout as it is now. A pipe has no width, so no row is folded there."""
    shown = Console(highlight=False, markup=False, emoji=False)
    return shown if shown.is_terminal else Console(highlight=False, markup=False, emoji=False, width=PIPE)


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


def printable(text: str) -> str:
    """The text in one row, without characters that control a terminal."""
    return _CONTROL.sub(lambda match: repr(match.group())[1:-1], text)


def cut(text: str, length: int) -> str:
    """At most so many characters of the text."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def login_words(variables: Sequence[str]) -> str:
    """Of a feed: which environment variables its login was taken from."""
    return f"its login was taken from {' and '.join(variables)} of the environment"


def times(number: int) -> str:
    """`never`, `once`, `twice`, `3 times`."""
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number:,} times")


def span(seconds: float) -> str:
    """`4.2 s`, `42 s`, `12 m`, `3 h 5 m`, `4 d 3 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} m"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} m" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def clock(at_ns: int) -> str:
    """The local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at_ns / 1e9))


def day_and_clock(at_ns: int) -> str:
    """The local month, day and time of day."""
    return time.strftime("%m-%d %H:%M:%S", time.localtime(at_ns / 1e9))
