"""The venue that docs/venues.md writes in Python, as a module: `Ticks`, its messages and its session."""

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
*PARTS, TRIED, USED = PYTHON

exec(compile("\n".join(PARTS), "docs/venues.md", "exec", dont_inherit=True), globals())
