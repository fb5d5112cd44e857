"""The event loop that a program of asyncio runs on."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio


def run(main, asked) -> None:
    """Runs `main(asked)` on the loop that its options name."""
    if asked.options.get("loop") == "uvloop":
        import uvloop

        uvloop.run(main(asked))
    else:
        asyncio.run(main(asked))
