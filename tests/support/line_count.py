"""What something costs, without a clock: a noisy machine has no say in it."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def effort(of: Callable[[], object]) -> int:
    """How many lines of Python run for it; each turn of a loop counts."""
    lines = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        of()
    finally:
        sys.settrace(former)
    return lines


@contextmanager
def efforts(is_ours: Callable[[str], bool]) -> Iterator[Callable[[], int]]:
    """Counts on all threads that begin meanwhile, and on this one: how many lines have run so far.

    `is_ours`: whether the lines of a file of this name count.
    """
    lines = itertools.count()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "call":
            return trace if is_ours(frame.f_code.co_filename) else None
        if event == "line":
            next(lines)
        return trace

    former = sys.gettrace()
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        yield lambda: next(lines)
    finally:
        sys.settrace(former)
        threading.settrace(former)
