"""Texts and numbers in a row that people read: nothing in it controls a terminal or a page."""

from __future__ import annotations

import re
import time

# Beyond ASCII, as parts of a class: what a terminal may obey, what changes the order of what is shown, and
# halves of surrogate pairs, which no output can have.
UNSAFE = r"\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(rf"[\x00-\x1f{UNSAFE}]")


def printable(text: str) -> str:
    """The text in one row, without characters that control a terminal."""
    return _CONTROL.sub(lambda match: repr(match.group())[1:-1], text)


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
