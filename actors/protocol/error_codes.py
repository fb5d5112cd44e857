"""Codes of errors: short and stable, because they are labels of metrics."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 40  # characters
_WORD: Final = re.compile(r"[a-z0-9_]+")
_OTHERS: Final = re.compile(r"[^a-z0-9_]")


def code_of(venue: str, said: str, otherwise: str = "error") -> str:
    """Returns `venue_word`, at most 40 of [a-z0-9_]; a sentence or an id as the word becomes `otherwise`."""
    before = _OTHERS.sub("_", venue.lower())[: LONGEST // 2]
    word = said.strip().lower().replace("-", "_").replace(".", "_")
    if not _WORD.fullmatch(word) or len(before) + 1 + len(word) > LONGEST:
        word = otherwise
    return f"{before}_{word}"
