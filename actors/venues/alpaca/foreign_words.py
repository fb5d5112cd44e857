"""The names that alpaca-py has for what Linewarden has too; docs/migrating has all of them."""

from __future__ import annotations

from actors.protocol import ForeignWords

WORDS = (
    ForeignWords(
        sdk="alpaca-py",
        calls={"StockDataStream": "actors.start(...)"},
    ),
)
