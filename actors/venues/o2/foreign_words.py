"""The names that o2-sdk has for what Linewarden has too; docs/migrating has all of them."""

from __future__ import annotations

from actors.protocol import ForeignWords

WORDS = (
    ForeignWords(
        sdk="o2-sdk",
        calls={"O2Client": "actors.start(...)"},
    ),
)
