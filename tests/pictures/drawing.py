"""What a terminal shows, as an SVG that fetches nothing: its fonts are those of the reader's machine."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterable, Mapping
from pathlib import Path

import typer
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent.parent
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def written(*arguments: str, columns: int, rows: int, environ: Mapping[str, str] = {}) -> str:
    """All that the command writes to a terminal of this size."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (rows, columns))
    command = [sys.executable, "-m", "actors", *arguments]
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}
    told = bytearray()
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | terminal | dict(environ), stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        try:
            while data := os.read(ours, 65_536):
                told += data
        except OSError:  # as Linux tells that the other end is closed
            pass
        finally:
            os.close(ours)
    return told.decode().replace("\r\n", "\n")


def decoded(screen: str) -> Iterable[Text]:
    """The rows of what was written to a terminal, which only has colours in it."""
    return AnsiDecoder().decode(screen)


def draw(picture: Path, rows: Iterable[Text], *, columns: int, title: str) -> None:
    """Write the picture, and its size to stdout."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="256")
    for row in rows:
        console.print(row, no_wrap=True, overflow="crop")
    # The id is part of each rule and element: a short one halves the file.
    picture.write_text(console.export_svg(title=title, code_format=FORMAT, unique_id="t"), encoding="utf-8")
    typer.echo(f"{picture.relative_to(ROOT)}: {picture.stat().st_size:,} bytes")
