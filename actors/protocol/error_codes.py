"""A venue's own name for an error as a code of ours, which is a label of metrics: short and stable."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 40  # characters
_WORD: Final = re.compile(r"[a-z0-9_]+")
_OTHERS: Final = re.compile(r"[^a-z0-9_]")


def code_of(venue: str, said: str, otherwise: str = "error") -> str:
    """`venue_word` in [a-z0-9_]{1,40}; what is no short word (a sentence, an id) becomes `otherwise`."""
    before = _OTHERS.sub("_", venue.lower())[: LONGEST // 2]
    word = said.strip().lower().replace("-", "_").replace(".", "_")
    if not _WORD.fullmatch(word) or len(before) + 1 + len(word) > LONGEST:
        word = otherwise
    return f"{before}_{word}"
