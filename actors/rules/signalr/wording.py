"""What a hub says, in a form that people may be shown."""

from __future__ import annotations

from typing import Any

MAX_WORDS = 300  # characters


def said(words: Any) -> str:
    """One line of a bounded length, whatever type it came in; `no words` where there are none."""
    text = "" if words is None else str(words)
    text = "".join(each if each.isprintable() else " " for each in text[: 4 * MAX_WORDS])
    return " ".join(text.split())[:MAX_WORDS] or "no words"
