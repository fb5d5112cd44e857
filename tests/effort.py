"""What something costs, without a clock: a noisy machine has no say in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
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
