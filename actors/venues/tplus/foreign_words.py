"""The names that tpluspy has for what Linewarden has too; docs/migrating has all of them."""

from __future__ import annotations

from actors.protocol import ForeignWords

WORDS = (
    ForeignWords(
        sdk="tpluspy",
        calls={"MarketDataClient": "actors.start(...)"},
    ),
)
