"""Texts and numbers in a row that people read."""

from __future__ import annotations

import time


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
