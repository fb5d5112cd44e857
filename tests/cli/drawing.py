"""What a console draws, row by row."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType


def drawn(picture: RenderableType, width: int = 200) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(picture)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()
