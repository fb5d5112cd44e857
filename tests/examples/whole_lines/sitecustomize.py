"""`print` writes a line at once: those of two threads do not mix, so that a test can tell them apart."""

from __future__ import annotations

import builtins
import sys
from typing import TextIO


def print_line(
    *words: object,
    sep: str | None = " ",
    end: str | None = "\n",
    file: TextIO | None = None,
    flush: bool = False,
) -> None:
    out = sys.stdout if file is None else file
    between, last = " " if sep is None else sep, "\n" if end is None else end
    out.write(between.join(map(str, words)) + last)
    if flush:
        out.flush()


builtins.print = print_line  # type: ignore[assignment]  # it takes what the examples give
