"""Texts and numbers in a row that people read."""

from __future__ import annotations

import functools
import time
import unicodedata
from collections.abc import Iterator

STAYS = "\xa0"  # a space that no row ends at


def cut(text: str, length: int) -> str:
    """At most so many characters of the text."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


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


def brief_span(seconds: float) -> str:
    """`4.2s`, `42s`, `12m`, `3h5m`, `4d3h`: for a column."""
    return span(seconds).replace(" ", "")


def unbroken(text: str) -> str:
    """The text for a sentence that is folded: it stays in one row, if that has room for it."""
    return text.replace(" ", STAYS)


def width_of(text: str) -> int:
    """The columns of a terminal that the text takes, at most."""
    return len(text) if text.isascii() else sum(map(_columns, text))


@functools.cache
def _columns(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return int(char in "\xad\ufe0f")
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut_middle(text: str, width: int) -> str:
    """The two ends of a text that takes more columns than this; its end often tells what has failed."""
    if width_of(text) <= width:
        return text
    head = _fitting(text, (width - 1) // 2)
    tail = _fitting(text[::-1], max(0, width - 1 - width_of(head)))[::-1]
    return f"{head}…{tail}"


def _pieces(word: str, used: int, width: int, indent: int) -> Iterator[str]:
    """A word in pieces, each of which fills its row, but the last. `used`: columns of the first row."""
    begin, room = 0, width - used
    for index, char in enumerate(word):
        columns = _columns(char)
        if columns > room and index > begin:
            yield word[begin:index]
            begin, room = index, width - indent
        room -= columns
    yield word[begin:]


def _fitting(text: str, width: int) -> str:
    """The beginning of the text that has so many columns at most."""
    if text.isascii():
        return text[: max(0, width)]
    used = 0
    for index, char in enumerate(text):
        used += _columns(char)
        if used > width:
            return text[:index]
    return text


def folded(text: str, width: int, indent: str = "  ") -> list[str]:
    """The text in rows of so many columns at most, broken between words; a longer word is broken.

    The second row and those below it begin with `indent`. What is `unbroken` counts as one word.
    """
    rows: list[str] = []
    row, used = "", 0
    for each in text.split(" "):
        word, width_of_word = each, width_of(each)
        between = 1 if row.strip() else 0
        if used + between + width_of_word > width:
            if row.strip():
                rows.append(row)
                row, used, between = indent, len(indent), 0
            *pieces, word = _pieces(word, used, width, len(indent))
            for piece in pieces:
                rows.append(row + piece)
                row, used = indent, len(indent)
            width_of_word = width_of(word)
        row += " " * between + word
        used += between + width_of_word
    rows += [row] if row.strip() or not rows else []
    return [each.replace(STAYS, " ") for each in rows]
