"""Reading what a venue sent, where an unreadable answer is an answer too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def decoded(decode: Callable[[bytes], T], body: bytes) -> T | None:
    """Returns what the decoder reads; None: it raises, for whatever reason."""
    try:
        return decode(body)
    except Exception:
        return None
