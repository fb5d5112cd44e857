"""The picture in the README: `python -m tests.picture` draws the terminal of a real run of the demo.

It takes the last screen of `linewarden run` on which a line is down, and writes it as docs/live-table.svg.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from typing import Annotated

import typer
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.ansi import AnsiDecoder
from rich.console import Console

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "live-table.svg"
COMMAND = ("run", "config/demo.toml", "--show-events", "--no-service", "--log-level", "error")
ROWS, COLUMNS = 40, 118
CLEARED = re.compile(r"(?:\r?\x1b\[2K(?:\x1b\[1A)?)+")  # what is written between two screens
CURSOR = re.compile(r"\x1b\[\?\d+[hl]")
# Fonts of the reader's machine: a picture fetches nothing.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def shown(seconds: float) -> str:
    """All that the demo wrote to a terminal in that time."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
    command = [sys.executable, "-m", "actors", *COMMAND, "--duration", f"{seconds:g}"]
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    written = bytearray()
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=theirs, stderr=theirs):
        os.close(theirs)
        try:
            while data := os.read(ours, 65_536):
                written += data
        except OSError:  # as Linux tells that the other end is closed
            pass
        finally:
            os.close(ours)
    return written.decode().replace("\r\n", "\n")


def draw(screen: str) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="256")
    for line in AnsiDecoder().decode(screen):
        console.print(line, no_wrap=True, overflow="crop")
    return console.export_svg(
        title=f"linewarden {' '.join(COMMAND[:3])}", code_format=FORMAT, unique_id="live"
    )


def main(seconds: Annotated[float, typer.Argument(help="The length of the run.")] = 20.0) -> None:
    *screens, end = CLEARED.split(CURSOR.sub("", shown(seconds)))  # the summary is behind the last screen
    if not screens:
        sys.exit(f"the demo showed no table:\n{end}")
    down = [screen for screen in screens[len(screens) // 2 :] if "backoff" in screen]
    PICTURE.write_text(draw((down or screens)[-1]), encoding="utf-8")
    typer.echo(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    typer.run(main)
