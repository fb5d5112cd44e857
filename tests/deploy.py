"""The files of `examples/deploy`, for the tests that read them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import actors

ROOT = Path(actors.__file__).parents[1]
DEPLOY = ROOT / "examples" / "deploy"
INSTALLED = "/opt/linewarden/bin/linewarden"  # as the unit names it
DESK = "/etc/linewarden/desk.toml"


def entries_of(unit: str) -> dict[str, list[str]]:
    """The values of a unit by their names, those that are commented out left out."""
    entries = defaultdict(list)
    for row in (DEPLOY / unit).read_text(encoding="utf-8").splitlines():
        if row and row[0] not in "#[":
            name, _, value = row.partition("=")
            entries[name].append(value)
    return entries
