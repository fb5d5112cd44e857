"""The venue that docs/venues.md writes in Python, as a module: `Ticks`, its messages and its session."""

from __future__ import annotations

from tests.venues.ticks.guide import PARTS

exec(compile("\n".join(PARTS), "docs/venues.md", "exec", dont_inherit=True), globals())
