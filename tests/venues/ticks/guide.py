"""The code of docs/venues.md, "A venue in Python", block by block."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = (Path(__file__).parents[3] / "docs" / "venues.md").read_text(encoding="utf-8")
THEIRS, OURS = "my_package", __package__  # what the guide calls the folder, and what it is called here
PYTHON = [
    block.replace(THEIRS, OURS)
    for block in re.findall(
        r"^```python\n(.*?)^```$", GUIDE.partition("## A venue in Python")[2], re.DOTALL | re.M
    )
]
*PARTS, TRIED, USED, SIMULATOR, FAULTS, SETTINGS, TESTED = PYTHON
HUB_SIMULATOR, HUB_TESTED = (
    GUIDE.partition(f"<!-- the hub's {part} -->\n```python\n")[2].partition("```")[0]
    for part in ("simulator", "test")
)
HUB = GUIDE.partition("<!-- the hub -->\n```toml\n")[2].partition("```")[0]
