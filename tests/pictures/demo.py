"""The picture of `linewarden run`: the last screen of the demo on which a line is down."""

from __future__ import annotations

import re
import sys

from tests.pictures.drawing import ROOT, decoded, draw, written

PICTURE = ROOT / "docs" / "pictures" / "run-118x40.svg"
COMMAND = ("run", "config/demo.toml", "--show-events", "--no-service", "--log-level", "error")
ROWS, COLUMNS = 40, 118
CLEARED = re.compile(r"(?:\r?\x1b\[2K(?:\x1b\[1A)?)+")  # what is written between two screens
CURSOR = re.compile(r"\x1b\[\?\d+[hl]")


def draw_demo(seconds: float) -> None:
    """`seconds`: the length of the run."""
    shown = written(*COMMAND, "--duration", f"{seconds:g}", columns=COLUMNS, rows=ROWS)
    *screens, end = CLEARED.split(CURSOR.sub("", shown))  # the summary is behind the last screen
    if not screens:
        sys.exit(f"the demo showed no table:\n{end}")
    down = [screen for screen in screens[len(screens) // 2 :] if "backoff" in screen]
    title = f"linewarden {' '.join(COMMAND[:3])}"
    draw(PICTURE, decoded((down or screens)[-1]), columns=COLUMNS, title=title)
